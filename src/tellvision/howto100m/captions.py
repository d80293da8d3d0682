"""Released captions -> the lines of each video, one video at a time (paper section 3.2, released files).

    json      caption.json, raw_caption.json, HowToCaption, htm_align.json: an object, a member per video
    pickle    caption.pickle and HowToCaption's: a dict, an item per video; nothing in it is executed
    csv       ID.csv: one video's table `start,end,text`
    folder    a folder of such tables
    htm_aa    one table for all videos, `vid,timestamp,text`

Whatever the size of a file, only one video and a piece of the file are held. What lines look like is
recognised per video: see `lines`.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from tellvision.corpus.subtitles.blocks import decode
from tellvision.howto100m import csvfile, jsonfile, lines, picklefile
from tellvision.records import Cue, InputError, Skip

KINDS = ("json", "pickle", "csv", "folder", "htm_aa")
"""What can be read."""

SOURCE = "automatic"
"""Where the words come from, for the table of captions: the files do not say; most were recognised by
a machine."""

_HEAD = 4096
_PICKLED = (b"\x80", b"}", b"(d", b"(l", b"]")  # protocols 2 and up; 1; 0; and lists, to be refused by name


@dataclass(frozen=True, slots=True, kw_only=True)
class Narration:
    """What a released file says in one video."""

    video_id: str
    """As the file has it; where `problem` is `bad_video_id`, whatever stood there."""

    cues: tuple[Cue, ...] = ()
    """Lines sorted by start, times in seconds; none where there is a problem."""

    dropped: dict[str, int] = field(default_factory=dict)
    """Lines that were left out, by reason: `bad_times`, `bad_text`."""

    problem: Skip | None = None
    """Why nothing of the video can be used."""

    position: int
    """Bytes of the file or folder up to here."""


def read_captions(path: str | Path, kind: str | None = None) -> Iterator[Narration]:
    """The videos of a released file or folder, in the order of the file, of names in a folder.

    A video that stands in several places comes several times. What is wrong with one video is told
    with it, and the next is read.

    Args:
        path: a file or folder of one of `KINDS`.
        kind: one of `KINDS`; None recognises it by the content.

    Raises:
        InputError: at once for what is not there or not of a known kind; while reading, where the file
            breaks off or is not of its kind any more, naming the byte and the last video. The videos
            before were handed out.
    """
    return map(_narration, _entries(Path(path), kind))


def video_ids(
    path: str | Path, kind: str | None = None, dropped: Counter[str] | None = None
) -> Iterator[tuple[str, int]]:
    """The ids of `read_captions` that can name a video, each with the bytes read so far; far quicker, as
    no line is looked at.

    Args:
        path: as for `read_captions`, and so are errors.
        kind: as there.
        dropped: takes in, while ids are read, how many cannot name a video, as `bad_video_id`.
    """
    counted = Counter() if dropped is None else dropped
    entries = _entries(Path(path), kind)
    return ((video_id, position) for video_id, _, position in entries if _names(video_id, counted))


def _names(video_id: str, dropped: Counter[str]) -> bool:
    try:
        lines.check_id(video_id)
    except Skip as skip:
        dropped[skip.reason] += 1
        return False
    return True


def kind_of(path: str | Path) -> str:
    """Which of `KINDS` a file or folder is, by its first bytes.

    Raises:
        InputError: there is none, or it is none of them.
    """
    path = Path(path)
    if path.is_dir():
        return "folder"
    if not path.is_file():
        raise InputError(f"no released captions at {path}")
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    if head.startswith((b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\xfd7zXZ")):
        raise InputError(f"{path} is an archive: unpack it first")
    if head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
        return "json"
    table = csvfile.kind_of(decode(head))
    if table is None and head.startswith(_PICKLED):
        return "pickle"
    if table is None:
        raise InputError(
            f"{path} is none of {', '.join(KINDS)}: give a JSON object or a pickled dict with an entry per video, "
            "a table start,end,text or vid,timestamp,text, or a folder of tables ID.csv"
        )
    return table


def size_of(path: str | Path) -> int:
    """Bytes that `read_captions` reads, where the kind is that of the content: what `position` ends with."""
    path = Path(path)
    if not path.is_dir():
        return path.stat().st_size
    with os.scandir(path) as found:
        return sum(entry.stat().st_size for entry in found if _is_table(entry.name))


_Lines = Callable[[], tuple[list[Cue], dict[str, int]]]
_Entry = tuple[str, _Lines, int]  # id, what reads its lines, bytes up to the end of it


def _narration(entry: _Entry) -> Narration:
    video_id, lines_of, position = entry
    try:
        lines.check_id(video_id)
        cues, dropped = lines_of()
        return Narration(video_id=video_id, cues=tuple(cues), dropped=dropped, position=position)
    except Skip as skip:
        return Narration(video_id=video_id, problem=skip, position=position)


def _entries(path: Path, kind: str | None) -> Iterator[_Entry]:
    """The entries of a file or folder, their lines still to be read."""
    kind = kind or kind_of(path)
    if kind not in _READERS:
        raise InputError(f"kind={kind!r} is none of {', '.join(KINDS)}")
    if path.is_dir() != (kind == "folder") or not path.exists():
        raise InputError(f"{path} is no {'folder' if kind == 'folder' else f'{kind} file'}")
    return _READERS[kind](path)


def _values(path: Path, read: Callable[[BinaryIO], Iterator[tuple[str, object, int]]]) -> Iterator[_Entry]:
    """The entries of a JSON object or a pickled dict."""
    for video_id, value, position in _opened(path, read):
        yield video_id, partial(lines.cues_of, value), position


def _sentences(path: Path) -> Iterator[_Entry]:
    for video_id, rows, position in _opened(path, csvfile.sentences):
        yield video_id, partial(lines.cues_of_rows, rows), position


def _tables(path: Path) -> Iterator[_Entry]:
    """The tables of a folder, or the one that `path` is."""
    names = sorted(filter(_is_table, os.listdir(path))) if path.is_dir() else [path.name]
    if not names:
        raise InputError(f"{path} holds no table ID.csv with start,end,text")
    folder = path if path.is_dir() else path.parent
    position = 0
    for name in names:
        table = folder / name
        with suppress(OSError):
            position += table.stat().st_size
        yield table.stem, partial(_lines_of_table, table), position


def _lines_of_table(path: Path) -> tuple[list[Cue], dict[str, int]]:
    if not path.is_file():  # a pipe of that name would never end
        raise Skip("unreadable_subtitles", f"{path} is no file")
    try:
        with path.open("rb") as file:
            data = file.read(csvfile.MOST_BYTES + 1)
    except OSError as error:
        raise Skip("unreadable_subtitles", f"{path}: {error.strerror}") from None
    return lines.cues_of_rows(csvfile.rows(data))


def _is_table(name: str) -> bool:
    return name.lower().endswith(".csv")


_Found = TypeVar("_Found", bound=tuple[Any, ...])


def _opened(path: Path, read: Callable[[BinaryIO], Iterator[_Found]]) -> Iterator[_Found]:
    """What is read from an open file; errors name the file and the last video."""
    last = "none"
    try:
        with path.open("rb") as file:
            for found in read(file):
                yield found
                last = ascii(found[0][: lines.LONGEST_ID])[: lines.LONGEST_ID + 2]  # and the quotes
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; last video read: {last}") from None
    except InputError as error:
        raise InputError(f"{path}: {error}; last video read: {last}") from None


_READERS: dict[str, Callable[[Path], Iterator[_Entry]]] = {
    "json": lambda path: _values(path, jsonfile.members),
    "pickle": lambda path: _values(path, picklefile.items),
    "csv": _tables,
    "folder": _tables,
    "htm_aa": _sentences,
}
