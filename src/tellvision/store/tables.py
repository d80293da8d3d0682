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

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tellvision.records import InputError
from tellvision.store.lookup import Lookup
from tellvision.store.manifests import sync

TABLE = "table.parquet"
PARTS = "parts"
ROWS_AT_ONCE = 1 << 17  # bounds memory, whatever the size of a table
_ITEMS = b"tellvision.items"  # metadata of a part: item -> fingerprint


def to_table(records: Sequence[Any], schema: pa.Schema) -> pa.Table:
    """Records (anything with the schema's names as attributes) as an Arrow table."""
    return pa.table({name: [getattr(r, name) for r in records] for name in schema.names}, schema=schema)


def to_bytes(table: pa.Table) -> bytes:
    """A few rows as bytes, to be sent to a process: pickled, a slice would take its whole table along."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def from_bytes(data: bytes) -> pa.Table:
    """What `to_bytes` gave."""
    return pa.ipc.open_stream(data).read_all()


def read_table(folder: Path, columns: list[str] | None = None) -> pa.Table:
    """The closed table of a stage's folder.

    Raises:
        InputError: it is not there, or damaged.
    """
    try:
        return pq.read_table(folder / TABLE, columns=columns)
    except FileNotFoundError:
        raise InputError(f"{folder} is not finished: run `tellvision run` on this work folder first") from None
    except pa.ArrowInvalid as error:
        raise InputError(f"{folder / TABLE} is damaged ({error}): delete {folder} and run again") from None


def runs_of(table: pa.Table, key: str = "video_id") -> tuple[list[str], np.ndarray]:
    """The items of a table in which an item's rows stand together.

    Returns:
        the items in the order of the table, and (items + 1,) the row at which each begins.
    """
    ids = table[key].combine_chunks().dictionary_encode()
    codes = ids.indices.to_numpy()
    first = np.flatnonzero(np.diff(codes, prepend=-1)) if len(codes) else np.empty(0, np.int64)
    return ids.dictionary.take(pa.array(codes[first])).to_pylist(), np.append(first, len(codes))


def ids_of(folder: Path, key: str = "video_id") -> Iterator[str]:
    """The items of a closed table in its order, read piece by piece; an item's rows stand together."""
    last = None
    for batch in batches(folder, [key]):
        for name in runs_of(batch, key)[0]:
            if name != last:
                yield name
            last = name


def by_item(
    folder: Path, columns: list[str] | None = None, key: str = "video_id"
) -> Iterator[tuple[str, pa.Table]]:
    """Each item of a closed table with its rows, in the order of the table, read piece by piece.

    Args:
        folder: a finished stage's.
        columns: those to read, `key` among them; None: all.
        key: the column that names the item.
    """
    waiting: list[pa.Table] = []  # rows of the last item so far, which the next piece may go on with
    name = None
    for batch in batches(folder, columns):
        names, offsets = runs_of(batch, key)
        for place, following in enumerate(names):
            if following != name:
                if name is not None:
                    yield name, pa.concat_tables(waiting)
                name, waiting = following, []
            waiting.append(batch.slice(offsets[place], offsets[place + 1] - offsets[place]))
    if name is not None:
        yield name, pa.concat_tables(waiting)


def batches(folder: Path, columns: list[str] | None = None) -> Iterator[pa.Table]:
    """A closed table piece by piece, in its order; errors as for `read_table`."""
    try:
        yield from _batches(folder / TABLE, columns)
    except FileNotFoundError:
        raise InputError(f"{folder} is not finished: run `tellvision run` on this work folder first") from None
    except pa.ArrowInvalid as error:
        raise InputError(f"{folder / TABLE} is damaged ({error}): delete {folder} and run again") from None


class TableWriter:
    """Writes one stage's table; `key` is the column that names the item a row belongs to."""

    def __init__(self, folder: Path, schema: pa.Schema, key: str = "video_id") -> None:
        self.folder, self.schema, self.key = folder, schema, key
        self._parts = folder / PARTS
        self._block: dict[str, tuple[str, pa.Table]] = {}

    def has_output(self) -> bool:
        """Whether anything was written here before."""
        return (self.folder / TABLE).exists() or any(self._parts.glob("*.parquet"))

    def open(self, acknowledged: Mapping[str, str]) -> None:
        """Throw away the last part if it was written but never acknowledged."""
        self._parts.mkdir(parents=True, exist_ok=True)
        parts = sorted(self._parts.glob("*.parquet"))
        for part in parts[-1:]:
            items = json.loads(pq.read_schema(part).metadata[_ITEMS])
            if not any(acknowledged.get(item) == fingerprint for item, fingerprint in items.items()):
                part.unlink()
        self._next = int(parts[-1].stem) + 1 if parts else 0

    def append(self, item: str, fingerprint: str, rows: pa.Table) -> int:
        """Take the rows of one item; they are on disk after `commit`. Returns their number."""
        self._block[item] = (fingerprint, rows)
        return rows.num_rows

    def commit(self) -> None:
        """Put what was appended on disk, as one part."""
        if not self._block:
            return
        items = json.dumps({item: fingerprint for item, (fingerprint, _) in self._block.items()})
        schema = self.schema.with_metadata({_ITEMS: items.encode()})
        _write(self._parts / f"{self._next:08d}.parquet", schema, [rows for _, rows in self._block.values()])
        self._next += 1
        self._block = {}

    def close(self, items: Collection[str]) -> dict[str, Any]:
        """Merge the parts into the table: only rows of `items`, each item's newest ones."""
        sources = [p for p in [self.folder / TABLE] if p.exists()] + sorted(self._parts.glob("*.parquet"))
        newest = Lookup()  # item -> the last source that holds rows of it
        for place, source in enumerate(sources):
            for batch in _batches(source, [self.key]):
                names = pc.unique(batch.column(self.key)).to_pylist()
                newest.update((name, place) for name in names if name in items)

        def rows() -> Iterator[pa.Table]:
            for place, source in enumerate(sources):
                for batch in _batches(source):
                    names = pc.unique(batch.column(self.key)).to_pylist()
                    live = [name for name in names if newest.get(name) == place]
                    if len(live) == len(names):
                        yield batch
                    elif live:
                        yield batch.filter(pc.is_in(batch.column(self.key), pa.array(live, pa.string())))

        _write(self.folder / TABLE, self.schema, rows())
        for part in sorted(self._parts.glob("*.parquet")):
            part.unlink()  # the oldest first: one that outlives a kill holds nothing older than the table
        shutil.rmtree(self._parts)
        sync(self.folder)
        return {}

    def release(self) -> None:
        """Nothing is held between two calls."""


def _batches(path: Path, columns: list[str] | None = None) -> Iterator[pa.Table]:
    """A file piece by piece, so that memory does not grow with it."""
    with pq.ParquetFile(path, pre_buffer=False) as file:  # which would keep all that was read so far
        for batch in file.iter_batches(batch_size=ROWS_AT_ONCE, columns=columns):
            yield pa.Table.from_batches([batch])


def _blocks(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in few large tables: a row group for each small one would make a file slow to read."""
    waiting: list[pa.Table] = []
    num_rows = 0
    for table in tables:
        waiting.append(table)
        num_rows += table.num_rows
        if num_rows >= ROWS_AT_ONCE:
            yield pa.concat_tables(waiting).combine_chunks()
            waiting, num_rows = [], 0
    if waiting:
        yield pa.concat_tables(waiting).combine_chunks()


def _write(path: Path, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        with pq.ParquetWriter(file, schema, compression="zstd") as writer:
            for table in _blocks(one.cast(schema) for one in tables):
                writer.write_table(table)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync(path.parent)
