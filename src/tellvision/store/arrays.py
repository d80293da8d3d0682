"""Array shards: raw rows of one dtype and width, and an append-only index that finds an item's rows.

    shard-00000.bin     the rows of the first 256 items, one after the other, little-endian
    index.jsonl         a line for the layout, then a line per item: shard, row, rows, checksum,
                        fingerprint; a line with "closed" where a stage was finished (`entries`)

The last line about an item counts; one without rows takes the item away. Rows go to disk before
their line, a line before the ledger's row, so a crash leaves at most a tail that nobody
acknowledged, and opening for writing cuts it off. A shard is a block of items in the order of
the input; once a stage has closed, what comes later goes to new shards.

They are written on this machine, since an object store cannot append, and read from any place.
"""

import contextlib
import os
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tellvision.records import InputError
from tellvision.store.entries import INDEX, Entry, IndexFile, checksum, lines_of, read_index
from tellvision.store.manifests import sync
from tellvision.store.places import LocalPlace, Place, find_place
from tellvision.store.shards import MOST, shard_name, shards_of

ITEMS_PER_SHARD = 256


def _read(place: Place) -> IndexFile:
    try:
        return read_index(place.read(INDEX))
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{place}/{INDEX} is damaged ({error}): delete {place} and run again") from None


class ArrayReader:
    """Reads items' rows from the shards of a place.

    On this machine rows are views into memory maps, whose checksums are looked at where `check` says so.
    From elsewhere they are fetched when asked for, and always checked.

    Attributes:
        place: where they lie.
        dim: numbers in a row.
        dtype: of them.
        entries: item -> where its rows lie, for every item that is there.
    """

    def __init__(self, where: Path | str | Place, check: bool = False) -> None:
        self.place = find_place(where) if isinstance(where, (str, Path)) else where
        if self.place.size(INDEX) is None:
            raise InputError(f"{self.place} holds no arrays: run `tellvision run` on this work folder first")
        index = _read(self.place)
        self.dim: int = index.layout["dim"]
        self.dtype = np.dtype(index.layout["dtype"])
        latest = {e.item: e for e in index.entries}
        self.entries = {i: e for i, e in latest.items() if e.rows is not None}
        self._torn = index.torn
        self._shards = shards_of(self.place, self.dim, self.dtype)
        self._check = check or not isinstance(self.place, LocalPlace)

    def __contains__(self, item: str) -> bool:
        return item in self.entries

    def __getitem__(self, item: str) -> np.ndarray:
        """The rows (rows, dim) of `item`, read-only.

        Raises:
            KeyError: no such item.
            InputError: they are not there whole.
        """
        return self.rows([item])[0]

    def rows(self, items: Iterable[str]) -> list[np.ndarray]:
        """The rows of each of `items`, as `__getitem__` gives them; from far away in few requests."""
        entries = [self.entries[item] for item in items]
        return [self._whole(e, found) for e, found in zip(entries, self._shards.rows(entries), strict=True)]

    def gather(self, items: Iterable[str]) -> np.ndarray:
        """Rows of `items` in one array (rows, dim)."""
        parts = self.rows(items)
        return np.concatenate(parts) if parts else np.empty((0, self.dim), self.dtype)

    def _whole(self, entry: Entry, found: np.ndarray | None) -> np.ndarray:
        if found is None or (self._check and checksum(found) != entry.checksum):
            name = f"{self.place}/{shard_name(entry.shard)}"
            raise InputError(f"{name} is damaged where {entry.item} lies: delete {self.place} and run again")
        return found

    def damaged(self, held: Iterable[str] = ()) -> list[str]:
        """What is not as it was written, read whole, a few shards' worth at a time.

        Args:
            held: items that should be there.

        Returns:
            items whose rows are missing or have another checksum than they were written with, and the
            name of the index where its end is missing.
        """
        lost = [item for item in held if item not in self.entries]
        if self._torn:
            lost.append(INDEX)
        for block in self._blocks():
            for entry, found in zip(block, self._shards.rows(block), strict=True):
                if found is None or checksum(found) != entry.checksum:
                    lost.append(entry.item)
        return lost

    def _blocks(self) -> Iterator[list[Entry]]:
        """The entries in the order in which they lie, in blocks of bounded size."""
        block: list[Entry] = []
        size = 0
        for entry in sorted(self.entries.values(), key=lambda e: (e.shard, e.row)):
            block.append(entry)
            size += (entry.rows or 0) * self.dim * self.dtype.itemsize
            if size > MOST:
                yield block
                block, size = [], 0
        if block:
            yield block


class ArrayWriter:
    """Appends items' rows; one writer at a time (the ledger's lock sees to that)."""

    def __init__(self, folder: Path, dim: int, dtype: str = "float16") -> None:
        self.folder, self.dim, self.dtype = folder, dim, np.dtype(dtype)
        self._layout = {"layout": 1, "dtype": dtype, "dim": dim, "items_per_shard": ITEMS_PER_SHARD}
        self._latest: dict[str, Entry] = {}
        self._pending: list[dict[str, Any] | Entry] = []

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
        self._sealed, self._crc = index.sealed, index.crc
        self._index = (self.folder / INDEX).open("ab")
        self._begin(max([self._sealed, *ends]), ends)
        self._held = sum(e.shard == self._shard for e in index.entries)

    def _continued(self, acknowledged: Mapping[str, str]) -> IndexFile:
        path = self.folder / INDEX
        if path.exists() and b"\n" in path.read_bytes():
            index = _read(LocalPlace(self.folder))
            if index.layout == self._layout:
                while len(index.entries) > index.closed and not _is_known(index.entries[-1], acknowledged):
                    index.entries.pop()
                    index.size, index.crc = index.starts.pop()
                os.truncate(path, index.size)
                return index
            for shard in self.folder.glob("shard-*.bin"):  # another width or dtype: nothing to continue
                shard.unlink()
        first, crc = lines_of([self._layout], 0)
        path.write_bytes(first)
        return IndexFile(self._layout, crc=crc)

    def _begin(self, shard: int, ends: Mapping[int, int]) -> None:
        self._shard, self._row, self._held = shard, ends.get(shard, 0), 0
        self._file = (self.folder / shard_name(shard)).open("ab")
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
        self._pending.append(entry)

    def commit(self) -> None:
        """Rows to disk, then their lines."""
        if not self._pending:
            return
        self._file.flush()
        os.fsync(self._file.fileno())
        lines, self._crc = lines_of(self._pending, self._crc)
        self._index.write(lines)
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
            (self.folder / shard_name(self._shard)).unlink()
        sync(self.folder)
        return {"shards": shards, "dim": self.dim}

    def release(self) -> None:
        """Let go of the files; what a full disk still refuses is cut off when they are opened again."""
        for name in ("_file", "_index"):
            if name in vars(self):  # else it was never opened
                with contextlib.suppress(OSError):
                    getattr(self, name).close()


def _is_known(entry: Entry, acknowledged: Mapping[str, str]) -> bool:
    return entry.rows is None or acknowledged.get(entry.item) == entry.fingerprint
