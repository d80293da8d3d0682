"""Tables of captions -> rows: one table per video, or one for all videos with a time per sentence.

    start,end,text          one file per video, its id the file's name; with this first line or without
    vid,timestamp,text      HTM-AA: one file for all, a video's sentences together

Read as UTF-8 with or without a byte order mark; what is none, as Windows-1252 or Latin-1.
"""

import csv
import io
import math
from collections.abc import Iterable, Iterator
from itertools import groupby, pairwise
from typing import BinaryIO

from tellvision.corpus.subtitles.blocks import decode
from tellvision.howto100m.lines import Row
from tellvision.records import Skip

MOST_BYTES = 16 << 20
"""Bytes of one video's table; a day of rolling captions has 6 million."""

MOST_SENTENCES = 1 << 17
"""Sentences of one video; a day has 20,000. Further ones are left out, and what goes beyond `MOST_BYTES`."""

LONGEST_LINE = 1 << 20
"""Bytes of a line; what is longer is read as several."""

LONGEST_SENTENCE = 5.0
"""Seconds: where the next sentence comes later, a sentence of HTM-AA is taken to last so long, the
`min_time` that the paper gives each clip."""

_OWN = ("start", "end", "text")
_COMMON = ("vid", "timestamp", "text")


def kind_of(head: str) -> str | None:
    """Whether the beginning of a file is a video's own table (`csv`), one for all (`htm_aa`), or none."""
    line = next(_lines(io.StringIO(head, newline="")), [])
    if _columns(line, _OWN):
        return "csv"
    if _columns(line, _COMMON):
        return "htm_aa"
    if len(line) != 3 or _seconds(line[1]) is None or line[0].lstrip().startswith(("[", "<")):  # other JSON, XML
        return None
    return "htm_aa" if _seconds(line[0]) is None else "csv"


def rows(data: bytes) -> Iterator[Row]:
    """Start, end and text of each row of one video's table; a time that is no number is None.

    Where the first line names the columns, they may stand in any order and among others.

    Raises:
        Skip: `unreadable_subtitles`, no such table.
    """
    if len(data) > MOST_BYTES:
        raise Skip("unreadable_subtitles", f"a table of more than {MOST_BYTES >> 20} MB")
    text = decode(data)
    if text.strip() and kind_of(text) != "csv":
        raise Skip("unreadable_subtitles", "no table with the columns start, end and text")
    for start, end, said in _chosen(_lines(io.StringIO(text, newline="")), _OWN):
        yield _seconds(start), _seconds(end), said


def sentences(file: BinaryIO) -> Iterator[tuple[str, list[Row], int]]:
    """The sentences of each video of an HTM-AA file: its id, its rows, and the bytes read so far.

    A sentence has a moment and no end. It is taken to end where the next one begins, which is when
    something else is said, and at most `LONGEST_SENTENCE` later, since the sentences between which
    nothing was found in the picture were left out of these files. A video whose rows stand in several
    places comes several times.
    """
    read = 0

    def lines() -> Iterator[str]:
        nonlocal read
        while line := file.readline(LONGEST_LINE):
            read += len(line)
            yield line.decode("ascii") if line.isascii() else decode(line)

    for video_id, group in groupby(_chosen(_lines(lines()), _COMMON), key=lambda row: row[0]):
        moments: list[tuple[float | None, str]] = []
        size = 0
        for _, moment, said in group:
            size += len(said)
            if len(moments) < MOST_SENTENCES and size < MOST_BYTES:
                moments.append((_seconds(moment), said))
        yield video_id, _with_ends(moments), read


def _with_ends(moments: list[tuple[float | None, str]]) -> list[Row]:
    begins = sorted({moment for moment, _ in moments if moment is not None})
    ends = {begin: min(later, begin + LONGEST_SENTENCE) for begin, later in pairwise([*begins, math.inf])}
    return [(moment, None if moment is None else ends[moment], said) for moment, said in moments]


def _lines(text: Iterable[str]) -> Iterator[list[str]]:
    """The fields of each line that has any; none for a line that cannot be parted."""
    reader = csv.reader(text)
    while True:
        try:
            line = next(reader)
        except StopIteration:
            return
        except csv.Error:  # a field of more than 128 KB: a quote that is never closed
            line = [""]
        if line:
            yield line


def _columns(line: list[str], names: tuple[str, ...]) -> list[int] | None:
    """Where the named columns stand, if this is a line of names."""
    found = [field.strip().lower() for field in line]
    return [found.index(name) for name in names] if set(names) <= set(found) else None


def _chosen(lines: Iterator[list[str]], names: tuple[str, ...]) -> Iterator[list[str]]:
    """The named columns of each line; what is missing is empty."""
    first = next(lines, None)
    if first is None:
        return
    order = _columns(first, names)
    if order is None:
        order = [0, 1, 2]
        yield [first[at] if at < len(first) else "" for at in order]
    for line in lines:
        yield [line[at] if at < len(line) else "" for at in order]


def _seconds(field: str) -> float | None:
    """A time; None for what is no number, or none that a clock shows."""
    try:
        value = float(field) if len(field) < 40 else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None
