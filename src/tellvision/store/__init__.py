"""Artefact folders: tables, array shards, the ledger, manifests (design: what lies on disk)."""

from tellvision.store.arrays import ArrayReader, ArrayWriter
from tellvision.store.ledger import LEDGER, Ledger, Row, counts, peek
from tellvision.store.manifests import (
    MANIFEST,
    SCHEMA,
    atomic_write,
    digest,
    is_current,
    read_manifest,
    sync,
    write_manifest,
)
from tellvision.store.tables import TABLE, TableWriter, read_table, runs_of, to_table

__all__ = [
    "LEDGER",
    "MANIFEST",
    "SCHEMA",
    "TABLE",
    "ArrayReader",
    "ArrayWriter",
    "Ledger",
    "Row",
    "TableWriter",
    "atomic_write",
    "counts",
    "digest",
    "is_current",
    "peek",
    "read_manifest",
    "read_table",
    "runs_of",
    "sync",
    "to_table",
    "write_manifest",
]
