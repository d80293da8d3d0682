"""The index of a folder of array shards: where each item's rows lie, a JSON line each.

    {"layout": 1, "dtype": "float16", "dim": 1280, "items_per_shard": 256, "before": 0}
    {"item": "eggs", "fingerprint": "...", "shard": 0, "row": 0, "rows": 390, "checksum": 123, "before": 456}
    {"closed": 1, "before": 789}

`before` is the CRC-32 of all that the file holds before it, so that a flipped bit, a lost line and two
that changed places are found when the index is read. Indexes of before it came have none.
"""

import json
import zlib
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

INDEX = "index.jsonl"
_BEFORE = b', "before": '
_LAYOUT = {"layout", "dtype", "dim", "items_per_shard"}
_DTYPES = ("float16", "float32")


@dataclass(frozen=True, slots=True)
class Entry:
    """Where an item's rows lie; `rows` is None where the item was taken away."""

    item: str
    fingerprint: str = ""
    shard: int = -1
    row: int = -1
    rows: int | None = None
    checksum: int = 0  # see `checksum`

    def __post_init__(self) -> None:
        numbers = (self.shard, self.row, self.checksum, 0 if self.rows is None else self.rows)
        if not isinstance(self.item, str) or not isinstance(self.fingerprint, str):
            raise ValueError("an item without a name")
        if not all(type(number) is int for number in numbers) or (self.rows is not None and min(numbers) < 0):
            raise ValueError(f"rows that cannot lie anywhere: {numbers}")


def checksum(rows: np.ndarray) -> int:
    """CRC-32 of the raw bytes of rows."""
    return zlib.crc32(np.ascontiguousarray(rows).data)


@dataclass
class IndexFile:
    """An index as read: entries with the byte offset at which each line begins.

    Attributes:
        layout: the first line.
        entries: of each item the last one counts.
        starts: offset and CRC-32 of what lies before, of each entry's line.
        sealed: shards that were there when the stage last closed.
        closed: entries that were there then, all of them acknowledged.
        size: bytes of whole lines.
        crc: CRC-32 of these.
        torn: whether a line lies beyond that was never finished.
    """

    layout: dict[str, Any]
    entries: list[Entry] = field(default_factory=list)
    starts: list[tuple[int, int]] = field(default_factory=list)
    sealed: int = 0
    closed: int = 0
    size: int = 0
    crc: int = 0
    torn: bool = False


def read_index(data: bytes) -> IndexFile:
    """Read an index.

    Raises:
        ValueError: it is damaged.
    """
    size = data.rfind(b"\n") + 1
    offset = crc = 0
    index: IndexFile | None = None
    try:
        for line in data[:size].splitlines(keepends=True):
            head, marked, before = line.rpartition(_BEFORE)
            if marked and before != b"%d}\n" % zlib.crc32(head, crc):
                raise ValueError(f"the checksum of its bytes before {offset + len(head)} is another")
            record = json.loads(line)
            record.pop("before", None)
            if index is None:
                index = _begun(record)
            elif record.keys() == {"closed"}:
                index.sealed, index.closed = int(record["closed"]), len(index.entries)
            else:
                index.entries.append(Entry(**record))
                index.starts.append((offset, crc))
            offset, crc = offset + len(line), zlib.crc32(line, crc)
    except (TypeError, AttributeError, RecursionError) as error:
        raise ValueError(error) from None
    if index is None:
        raise ValueError("no layout line")
    index.size, index.crc, index.torn = size, crc, size < len(data)
    return index


def _begun(record: dict[str, Any]) -> IndexFile:
    if record.keys() != _LAYOUT or type(record["dim"]) is not int or record["dim"] < 1:
        raise ValueError("the layout line is none")
    if record["dtype"] not in _DTYPES:
        raise ValueError(f"an unknown dtype {record['dtype']!r}")
    return IndexFile(record)


def lines_of(records: list[dict[str, Any] | Entry], crc: int) -> tuple[bytes, int]:
    """The lines of records, to be appended to an index.

    Args:
        records: entries, a layout, or {"closed": shards}.
        crc: CRC-32 of what the index holds so far.

    Returns:
        the bytes, and the CRC-32 of the index with them.
    """
    lines: list[bytes] = []
    for record in records:
        values = asdict(record) if isinstance(record, Entry) else record
        head = json.dumps(values).encode()[:-1]
        line = b"%b%b%d}\n" % (head, _BEFORE, zlib.crc32(head, crc))
        crc = zlib.crc32(line, crc)
        lines.append(line)
    return b"".join(lines), crc
