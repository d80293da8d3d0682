"""Artefact folders: tables, array shards, the ledger, manifests (design: what lies on disk)."""

from tellvision.store.agenda import Agenda, Wanted
from tellvision.store.arrays import ArrayReader, ArrayWriter
from tellvision.store.copies import copy_arrays
from tellvision.store.ledger import LEDGER, Ledger, Row, peek
from tellvision.store.lookup import Lookup
from tellvision.store.manifests import (
    MANIFEST,
    SCHEMA,
    atomic_write,
    digest,
    is_current,
    manifests_below,
    read_manifest,
    sync,
    write_manifest,
)
from tellvision.store.places import File, Piece, Place, find_place
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
    "File",
    "Ledger",
    "Lookup",
    "Piece",
    "Place",
    "Row",
    "TableWriter",
    "Wanted",
    "atomic_write",
    "batches",
    "by_item",
    "copy_arrays",
    "digest",
    "find_place",
    "from_bytes",
    "ids_of",
    "is_current",
    "manifests_below",
    "peek",
    "read_manifest",
    "read_table",
    "runs_of",
    "sync",
    "to_bytes",
    "to_table",
    "write_manifest",
]
