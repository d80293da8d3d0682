"""Array shards: raw rows of one dtype and width, and an append-only index that finds an item's rows.

    shard-00000.bin     the rows of the first 256 items, one after the other, little-endian
    index.jsonl         a line for the layout, then a line per item: shard, row, rows, checksum,
                        fingerprint; a line with "closed" where a stage was finished

The last line about an item counts; one without rows takes the item away. Rows go to disk before
their line, a line before the ledger's row, so a crash leaves at most a tail that nobody
acknowledged, and opening for writing cuts it off. A shard is a block of items in the order of
the input; once a stage has closed, what comes later goes to new shards.
"""

import contextlib
import json
import os
import zlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from tellvision.records import InputError
from tellvision.store.manifests import sync

INDEX = "index.jsonl"
ITEMS_PER_SHARD = 256


@dataclass(frozen=True, slots=True)
class Entry:
    """Where an item's rows lie; `rows` is None where the item was taken away."""

    item: str
    fingerprint: str = ""
    shard: int = -1
    row: int = -1
    rows: int | None = None
    checksum: int = 0  # CRC-32 of the raw bytes


@dataclass
class _Index:
    """The index file as read: entries with the byte offset at which each line begins."""

    layout: dict[str, Any]
    entries: list[Entry] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    sealed: int = 0  # shards that were there when the stage last closed
    closed: int = 0  # entries that were there then, all of them acknowledged
    size: int = 0  # bytes of whole lines; a torn last line lies beyond


def _read_index(folder: Path) -> _Index:
    data = (folder / INDEX).read_bytes()
    size = data.rfind(b"\n") + 1
    offset = 0
    index: _Index | None = None
    try:
        for line in data[:size].splitlines(keepends=True):
            record = json.loads(line)
            if index is None:
                index = _Index(record)
            elif "closed" in record:
                index.sealed, index.closed = record["closed"], len(index.entries)
            else:
                index.entries.append(Entry(**record))
                index.offsets.append(offset)
            offset += len(line)
        if index is None:
            raise ValueError("no layout line")
    except (ValueError, TypeError) as error:
        raise InputError(f"{folder / INDEX} is damaged ({error}): delete {folder} and run again") from None
    index.size = size
    return index


def _shard_path(folder: Path, shard: int) -> Path:
    return folder / f"shard-{shard:05d}.bin"


class ArrayReader:
    """Reads items' rows from a folder of shards through memory maps."""

    def __init__(self, folder: Path) -> None:
        if not (folder / INDEX).exists():
            raise InputError(f"{folder} holds no arrays: run `tellvision run` on this work folder first")
        self.folder = folder
        index = _read_index(folder)
        self.dim: int = index.layout["dim"]
        self.dtype = np.dtype(index.layout["dtype"])
        latest = {e.item: e for e in index.entries}
        self.entries = {i: e for i, e in latest.items() if e.rows is not None}
        self._maps: dict[int, np.ndarray] = {}

    def __contains__(self, item: str) -> bool:
        return item in self.entries

    def __getitem__(self, item: str) -> np.ndarray:
        """The rows (rows, dim) of `item`, a read-only view into the shard. KeyError: no such item."""
        entry = self.entries[item]
        assert entry.rows is not None
        return self.shard(entry.shard)[entry.row : entry.row + entry.rows]

    def shard(self, number: int) -> np.ndarray:
        """All rows of a shard, memory-mapped, read-only."""
        if number not in self._maps:
            path = _shard_path(self.folder, number)
            if path.stat().st_size == 0:
                self._maps[number] = np.empty((0, self.dim), self.dtype)
            else:
                self._maps[number] = np.memmap(path, self.dtype, "r").reshape(-1, self.dim)
        return self._maps[number]

    def gather(self, items: Iterable[str]) -> np.ndarray:
        """Rows of `items` in one array (rows, dim)."""
        parts = [self[item] for item in items]
        return np.concatenate(parts) if parts else np.empty((0, self.dim), self.dtype)

    def damaged(self) -> list[str]:
        """Items whose bytes no longer have the checksum they were written with, or are not there."""
        return [i for i, e in self.entries.items() if not self._is_whole(e)]

    def _is_whole(self, entry: Entry) -> bool:
        path = _shard_path(self.folder, entry.shard)
        size = path.stat().st_size if path.exists() else 0
        row_bytes = self.dim * self.dtype.itemsize
        if size % row_bytes or (entry.row + (entry.rows or 0)) * row_bytes > size:
            return False
        return zlib.crc32(self[entry.item].tobytes()) == entry.checksum


class ArrayWriter:
    """Appends items' rows; one writer at a time (the ledger's lock sees to that)."""

    def __init__(self, folder: Path, dim: int, dtype: str = "float16") -> None:
        self.folder, self.dim, self.dtype = folder, dim, np.dtype(dtype)
        self._layout = {"layout": 1, "dtype": dtype, "dim": dim, "items_per_shard": ITEMS_PER_SHARD}
        self._latest: dict[str, Entry] = {}
        self._pending: list[dict[str, Any]] = []

    def has_output(self) -> bool:
        """Whether anything was written here before."""
        return (self.folder / INDEX).exists()

    def open(self, acknowledged: Mapping[str, str]) -> None:
        """Cut off the tail that was written but never acknowledged, and continue behind it.

        Args:
            acknowledged: item -> fingerprint, as the ledger has them.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        index = self._continued(acknowledged)
        ends: dict[int, int] = {}
        for e in index.entries:
            self._latest[e.item] = e
            if e.rows is not None:
                ends[e.shard] = max(ends.get(e.shard, 0), e.row + e.rows)
        for path in self.folder.glob("shard-*.bin"):
            size = ends.get(int(path.stem[6:]), 0) * self.dim * self.dtype.itemsize
            if path.stat().st_size < size:
                raise InputError(f"{path} has lost its end: delete {self.folder} and run again")
            os.truncate(path, size)
        self._sealed = index.sealed
        self._index = (self.folder / INDEX).open("a", encoding="utf-8")
        self._begin(max([self._sealed, *ends]), ends)
        self._held = sum(e.shard == self._shard for e in index.entries)

    def _continued(self, acknowledged: Mapping[str, str]) -> _Index:
        path = self.folder / INDEX
        if path.exists() and b"\n" in path.read_bytes():
            index = _read_index(self.folder)
            if index.layout == self._layout:
                while len(index.entries) > index.closed and not _is_known(index.entries[-1], acknowledged):
                    index.entries.pop()
                    index.size = index.offsets.pop()
                os.truncate(path, index.size)
                return index
            for shard in self.folder.glob("shard-*.bin"):  # another width or dtype: nothing to continue
                shard.unlink()
        path.write_text(json.dumps(self._layout) + "\n", encoding="utf-8")
        return _Index(self._layout)

    def _begin(self, shard: int, ends: Mapping[int, int]) -> None:
        self._shard, self._row, self._held = shard, ends.get(shard, 0), 0
        self._file = _shard_path(self.folder, shard).open("ab")
        sync(self.folder)  # a new file's name has to be on disk before its rows are acknowledged

    def append(self, item: str, fingerprint: str, rows: np.ndarray) -> int:
        """Take the rows (n, dim) of one item; on disk after `commit`. Returns n."""
        assert rows.ndim == 2, f"{item}: rows have {rows.ndim} axes"
        assert rows.shape[1] == self.dim, f"{item}: width {rows.shape[1]}, the shard has {self.dim}"
        if self._held >= ITEMS_PER_SHARD:
            self.commit()
            self._file.close()
            self._begin(self._shard + 1, {})
        data = np.ascontiguousarray(rows, self.dtype).tobytes()
        self._file.write(data)
        self._note(Entry(item, fingerprint, self._shard, self._row, len(rows), zlib.crc32(data)))
        self._row += len(rows)
        self._held += 1
        return len(rows)

    def alias(self, names: Mapping[str, str]) -> None:
        """Give items (keys) the rows that others (values) have now, without copying: videos that were renamed."""
        for entry in [replace(self._latest[of], item=item) for item, of in names.items()]:
            self._note(entry)

    def _note(self, entry: Entry) -> None:
        self._latest[entry.item] = entry
        self._pending.append(asdict(entry))

    def commit(self) -> None:
        """Rows to disk, then their lines."""
        if not self._pending:
            return
        self._file.flush()
        os.fsync(self._file.fileno())
        self._index.write("".join(json.dumps(record) + "\n" for record in self._pending))
        self._index.flush()
        os.fsync(self._index.fileno())
        self._pending = []

    def close(self, items: Collection[str]) -> dict[str, int]:
        """Leave only `items` in the index and seal the shards."""
        wanted = set(items)
        for entry in list(self._latest.values()):
            if entry.rows is not None and entry.item not in wanted:
                self._note(Entry(entry.item))
        shards = self._shard + 1 if self._held else self._shard
        if shards != self._sealed:
            self._pending.append({"closed": shards})
        self.commit()
        if not self._held:
            _shard_path(self.folder, self._shard).unlink()
        sync(self.folder)
        return {"shards": shards, "dim": self.dim}

    def release(self) -> None:
        """Let go of the files; what a full disk still refuses is cut off when they are opened again."""
        for file in (self._file, self._index):
            with contextlib.suppress(OSError):
                file.close()


def _is_known(entry: Entry, acknowledged: Mapping[str, str]) -> bool:
    return entry.rows is None or acknowledged.get(entry.item) == entry.fingerprint
