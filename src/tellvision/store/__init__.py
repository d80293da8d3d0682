"""Artefact folders: tables, array shards, the ledger, manifests (design: what lies on disk)."""

from tellvision.store.arrays import ArrayReader, ArrayWriter
from tellvision.store.ledger import Ledger, Row
from tellvision.store.manifests import SCHEMA, atomic_write, digest, read_manifest, write_manifest
from tellvision.store.tables import TableWriter, read_table, to_table

__all__ = [
    "SCHEMA",
    "ArrayReader",
    "ArrayWriter",
    "Ledger",
    "Row",
    "TableWriter",
    "atomic_write",
    "digest",
    "read_manifest",
    "read_table",
    "to_table",
    "write_manifest",
]
