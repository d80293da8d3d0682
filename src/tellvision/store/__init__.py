"""Artefact folders: tables, array shards, the ledger, manifests (design: what lies on disk)."""

from tellvision.store.agenda import Agenda, Wanted
from tellvision.store.arrays import ArrayReader, ArrayWriter
from tellvision.store.ledger import LEDGER, Ledger, Row, peek
from tellvision.store.lookup import Lookup
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
from tellvision.store.tables import (
    TABLE,
    TableWriter,
    batches,
    by_item,
    from_bytes,
    ids_of,
    read_table,
    runs_of,
    to_bytes,
    to_table,
)

__all__ = [
    "LEDGER",
    "MANIFEST",
    "SCHEMA",
    "TABLE",
    "Agenda",
    "ArrayReader",
    "ArrayWriter",
    "Ledger",
    "Lookup",
    "Row",
    "TableWriter",
    "Wanted",
    "atomic_write",
    "batches",
    "by_item",
    "digest",
    "from_bytes",
    "ids_of",
    "is_current",
    "peek",
    "read_manifest",
    "read_table",
    "runs_of",
    "sync",
    "to_bytes",
    "to_table",
    "write_manifest",
]
