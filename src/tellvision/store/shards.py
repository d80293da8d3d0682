"""The bytes of array shards: mapped into memory where they lie on this machine, fetched where they do not.

A shard is a file of raw rows, one item's after another's. Far away, rows that lie near each other are
asked for together: a request costs as much time as the transfer of a megabyte.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Protocol

import numpy as np

from tellvision.store.entries import Entry
from tellvision.store.places import LocalPlace, Piece, Place

GAP = 256 << 10
"""Bytes between two items' rows that are fetched too, rather than asking twice."""

MOST = 32 << 20
"""Bytes that are asked for at once; one item's rows may be more."""


def shard_name(shard: int) -> str:
    """The name of a shard's file."""
    return f"shard-{shard:05d}.bin"


class Shards(Protocol):
    """The shards of a place."""

    def rows(self, entries: Sequence[Entry]) -> list[np.ndarray | None]:
        """The rows (rows, dim) of each entry, read-only; None where its shard does not hold them."""


def shards_of(place: Place, dim: int, dtype: np.dtype) -> Shards:
    """The shards of a place, `dim` numbers a row."""
    if isinstance(place, LocalPlace):
        return MappedShards(place.folder, dim, dtype)
    return FetchedShards(place, dim, dtype)


class MappedShards:
    """Shards on this machine, see `Shards`: rows are views into a memory map."""

    def __init__(self, folder: Path, dim: int, dtype: np.dtype) -> None:
        self._folder, self._dim, self._dtype = folder, dim, dtype
        self._maps: dict[int, np.ndarray] = {}

    def rows(self, entries: Sequence[Entry]) -> list[np.ndarray | None]:
        """See `Shards`."""
        return [self._of(entry) for entry in entries]

    def _of(self, entry: Entry) -> np.ndarray | None:
        assert entry.rows is not None
        if entry.shard not in self._maps:
            self._maps[entry.shard] = self._map(entry.shard)
        rows = self._maps[entry.shard][entry.row : entry.row + entry.rows]
        return rows if len(rows) == entry.rows else None

    def _map(self, shard: int) -> np.ndarray:
        """The whole rows of a shard; none where it is not there."""
        path = self._folder / shard_name(shard)
        count = path.stat().st_size // (self._dim * self._dtype.itemsize) if path.exists() else 0
        if count == 0:  # nothing can be mapped
            return np.empty((0, self._dim), self._dtype)
        # As a plain array: a slice of a memmap object takes ten times as long to make.
        return np.asarray(np.memmap(path, self._dtype, "r", shape=(count, self._dim)))


class FetchedShards:
    """Shards at a place that is far away, see `Shards`: rows come by ranged requests."""

    def __init__(self, place: Place, dim: int, dtype: np.dtype) -> None:
        self._place, self._dim, self._dtype = place, dim, dtype
        self._row_bytes = dim * dtype.itemsize

    def rows(self, entries: Sequence[Entry]) -> list[np.ndarray | None]:
        """See `Shards`."""
        found: list[np.ndarray | None] = [None] * len(entries)
        spans = list(self._spans(entries))
        answers = self._place.read_pieces([piece for piece, _ in spans])
        for (piece, members), data in zip(spans, answers, strict=True):
            for number in members:
                found[number] = self._cut(data or b"", entries[number], piece.start)
        return found

    @cached_property
    def _sizes(self) -> dict[str, int]:
        """A range behind the end of a shard is refused like one of a request gone wrong: do not ask for it."""
        return {file.name: file.size for file in self._place.files()}

    def _span(self, entry: Entry) -> tuple[int, int]:
        assert entry.rows is not None
        return entry.row * self._row_bytes, (entry.row + entry.rows) * self._row_bytes

    def _spans(self, entries: Sequence[Entry]) -> Iterator[tuple[Piece, list[int]]]:
        """The pieces to ask for, each with the numbers of the entries that lie in it."""
        order = sorted(range(len(entries)), key=lambda n: (entries[n].shard, entries[n].row))
        for shard, numbers in groupby(order, key=lambda n: entries[n].shard):
            name, size = shard_name(shard), self._sizes.get(shard_name(shard), 0)
            start = end = 0
            members: list[int] = []
            for number in numbers:
                begins, ends = self._span(entries[number])
                if ends > size:
                    continue
                if members and (begins > end + GAP or max(end, ends) - start > MOST):
                    yield Piece(name, start, end), members
                    members = []
                if not members:
                    start, end = begins, ends
                members, end = [*members, number], max(end, ends)
            if members:
                yield Piece(name, start, end), members

    def _cut(self, data: bytes, entry: Entry, start: int) -> np.ndarray | None:
        begins, ends = self._span(entry)
        part = memoryview(data)[begins - start : ends - start]
        if len(part) < ends - begins:
            return None
        return np.frombuffer(part, self._dtype).reshape(-1, self._dim)
