"""Tables: Parquet, written in parts while a stage runs, one file once it closes.

    parts/00000000.parquet   the rows of a block of items, whole before the ledger acknowledges them
    table.parquet            what stood before merged with the parts, when the stage closes

Rows of items that went away or were made again are left out of the merge, so a merge that was
killed is simply done again.
"""

import json
import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tellvision.store.manifests import sync_folder

TABLE = "table.parquet"
PARTS = "parts"
_ITEMS = b"tellvision.items"  # metadata of a part: item -> fingerprint


def to_table(records: Sequence[Any], schema: pa.Schema) -> pa.Table:
    """Records (anything with the schema's names as attributes) as an Arrow table."""
    return pa.table({name: [getattr(r, name) for r in records] for name in schema.names}, schema=schema)


def read_table(folder: Path, columns: list[str] | None = None) -> pa.Table:
    """The closed table of a stage's folder."""
    return pq.read_table(folder / TABLE, columns=columns)


class TableWriter:
    """Writes one stage's table; `key` is the column that names the item a row belongs to."""

    def __init__(self, folder: Path, schema: pa.Schema, key: str = "video_id") -> None:
        self.folder, self.schema, self.key = folder, schema, key
        self._parts = folder / PARTS
        self._block: dict[str, tuple[str, pa.Table]] = {}

    def open(self, acknowledged: Mapping[str, str]) -> None:
        """Throw away the last part if it was written but never acknowledged."""
        self._parts.mkdir(parents=True, exist_ok=True)
        for part in sorted(self._parts.glob("*.parquet"))[-1:]:
            items = json.loads(pq.read_schema(part).metadata[_ITEMS])
            if not any(acknowledged.get(item) == fingerprint for item, fingerprint in items.items()):
                part.unlink()

    def append(self, item: str, fingerprint: str, rows: pa.Table) -> int:
        """Take the rows of one item; they are on disk after `commit`. Returns their number."""
        self._block[item] = (fingerprint, rows)
        return rows.num_rows

    def commit(self) -> None:
        """Put what was appended on disk, as one part."""
        if not self._block:
            return
        number = max((int(p.stem) for p in self._parts.glob("*.parquet")), default=-1) + 1
        items = json.dumps({item: fingerprint for item, (fingerprint, _) in self._block.items()})
        schema = self.schema.with_metadata({_ITEMS: items.encode()})
        _write(self._parts / f"{number:08d}.parquet", schema, [rows for _, rows in self._block.values()])
        self._block = {}

    def close(self, items: Collection[str]) -> dict[str, Any]:
        """Merge the parts into the table: only rows of `items`, each item's newest ones."""
        wanted = set(items)
        sources = [p for p in [self.folder / TABLE] if p.exists()] + sorted(self._parts.glob("*.parquet"))
        newest: dict[str, Path] = {}
        for source in sources:
            column = pq.read_table(source, columns=[self.key]).column(self.key)
            newest.update(dict.fromkeys(pc.unique(column).to_pylist(), source))

        def live() -> Iterator[pa.Table]:
            for source in sources:
                keep = pa.array([i for i in wanted if newest.get(i) == source], pa.string())
                with pq.ParquetFile(source) as file:
                    for batch in file.iter_batches(batch_size=1 << 17):
                        rows = pa.Table.from_batches([batch])
                        yield rows.filter(pc.is_in(rows.column(self.key), keep))

        _write(self.folder / TABLE, self.schema, live())
        for part in sorted(self._parts.glob("*.parquet")):
            part.unlink()  # the oldest first: one that outlives a kill holds nothing older than the table
        shutil.rmtree(self._parts)
        sync_folder(self.folder)
        return {}

    def release(self) -> None:
        """Nothing is held between two calls."""


def _write(path: Path, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        with pq.ParquetWriter(file, schema, compression="zstd") as writer:
            for table in tables:
                writer.write_table(table.cast(schema))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)
