"""Text of a subtitle file -> blocks: a time span and the lines shown in it.

WebVTT and SubRip differ little: both are timing lines with `-->`, each followed by the
lines to show. This is what they share: decoding, times, splitting, markup. Every
pattern is bounded or stops at the next `<`, so that reading takes linear time whatever
the file holds.
"""

import codecs
import html
import re
from collections.abc import Iterable
from dataclasses import dataclass

from tellvision.records import Skip

ARROW = "-->"
_TENS = [10**digits for digits in range(10)]
_TIME = r"(?:(\d{1,6}):)?(\d{1,6}):(\d{1,6})(?:[.,](\d{1,9}))?"
_TIMING = re.compile(rf"\s*{_TIME}[ \t]*-->[ \t]*{_TIME}(?![\d:])")
_STAMP = re.compile(rf"<{_TIME}>")
_TAG = re.compile(r"</?[A-Za-z][^<>]*>|</>|\{\\[^{}]*\}")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]\w{1,30});")
_CONTROLS = bytes([*range(9), *range(14, 28), 127])
# Characters without width or meaning, and halves of surrogate pairs, which no table could hold.
_INVISIBLE = re.compile("[\x00-\x08\x0e-\x1b\x7f\u00ad\u200b-\u200f\u202a-\u202e\u2060\ufeff\ud800-\udfff]")
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_UNMARKED = (
    (re.compile(rb"(?:[\t-\r -~]\0){2}"), "utf-16-le"),
    (re.compile(rb"(?:\0[\t-\r -~]){2}"), "utf-16-be"),
)

TimedWord = tuple[float, str]


@dataclass(slots=True)
class Line:
    """One line on the screen: plain `text`, and its words with times where the file has them."""

    text: str
    words: list[TimedWord]


@dataclass(slots=True)
class Block:
    """What the file shows from `start` to `end` (seconds); blank lines are kept, they carry meaning."""

    start: float
    end: float
    lines: list[Line]


def decode(data: bytes) -> str:
    """Bytes of a subtitle file as text with `\\n` line ends.

    The byte order mark decides; without one two ASCII characters in UTF-16, with which every
    format begins; then UTF-8, then Windows-1252 (what old editors wrote), then Latin-1,
    which accepts anything.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return _with_line_ends(visible(data[len(mark) :].decode(encoding, errors="replace")))
    if b"\0" in data[:4]:
        for pattern, encoding in _UNMARKED:
            if pattern.match(data):
                return _with_line_ends(visible(data.decode(encoding, errors="replace")))
    if data.isascii():  # most files; a table of bytes is far faster than a pattern
        return _with_line_ends(data.translate(None, _CONTROLS).decode("ascii"))
    for encoding in ("utf-8", "cp1252"):
        try:
            return _with_line_ends(visible(data.decode(encoding)))
        except UnicodeDecodeError:
            continue
    return _with_line_ends(visible(data.decode("latin-1")))


def _with_line_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def visible(text: str) -> str:
    """The text without control characters, zero-width characters and lone surrogates."""
    return _INVISIBLE.sub("", text)


def seconds_of(hours: str | None, minutes: str, seconds: str, fraction: str | None) -> float:
    """The number nearest to the decimal time written in the file."""
    whole = (int(hours or 0) * 60 + int(minutes)) * 60 + int(seconds)
    return (whole * _TENS[len(fraction)] + int(fraction)) / _TENS[len(fraction)] if fraction else float(whole)


def split(text: str, *, blank_line_ends: bool) -> tuple[list[Block], int]:
    """The blocks of a text in the order of the file, and the number of bad timing lines.

    A timing line is bad when it has no two times or ends before it starts; its text is
    dropped with it. Identifiers before a timing line belong to no text.

    Args:
        text: the decoded file.
        blank_line_ends: whether an empty line ends a cue's text (WebVTT, where comments
            may follow) or belongs to it (SubRip, where people leave them in).

    Raises:
        Skip: `unreadable_subtitles`, a text that is neither WebVTT nor has any timing line.
    """
    rows = text.split("\n")
    timings = [i for i, row in enumerate(rows) if ARROW in row]
    if not timings and not text.startswith("WEBVTT"):
        raise Skip("unreadable_subtitles", f"no line with {ARROW} in it")
    blocks, num_bad = [], 0
    for at, following in zip(timings, [*timings, len(rows)][1:], strict=True):
        span = _span(rows[at])
        if span is None:
            num_bad += 1
            continue
        stop = following - _has_identifier(rows, at, following)
        body = _shown(rows[at + 1 : stop]) if blank_line_ends else rows[at + 1 : stop]
        blocks.append(Block(*span, [_line(row, span[0]) for row in body]))
    return blocks, num_bad


def _span(row: str) -> tuple[float, float] | None:
    found = _TIMING.match(row)
    if found is None:
        return None
    groups = found.groups()
    start, end = seconds_of(*groups[:4]), seconds_of(*groups[4:])
    return (start, end) if start <= end else None


def _has_identifier(rows: list[str], at: int, following: int) -> bool:
    """Whether the row before the timing line `following` is its identifier, not text."""
    before = rows[following - 1]
    if not before or following == len(rows) or following - at < 2:
        return False
    return before.strip().isdecimal() or (following - at > 2 and not rows[following - 2] and not before.isspace())


def _shown(rows: list[str]) -> list[str]:
    """The rows up to the first empty one behind text; leading empty rows are lines of the cue.

    Rolling captions begin with a line of one blank, which some programs strip.
    """
    first = 0
    while first < len(rows) and not rows[first]:
        first += 1
    if first and rows[first : first + 1] and rows[first].startswith("NOTE"):
        return []
    return rows[: rows.index("", first)] if "" in rows[first:] else rows


def _line(row: str, start: float) -> Line:
    """A row of markup as plain text; with stamps in it, its words with their times."""
    if "<" in row or "{" in row:
        row = _TAG.sub("", row.replace("<c>", "").replace("</c>", ""))
    pieces = _STAMP.split(row) if "<" in row else [row]
    if len(pieces) == 1:
        return Line(" ".join(_unescaped(row).split()), [])
    # A match leaves five pieces: the text before it, hours, minutes, seconds, fraction.
    times = [start, *map(seconds_of, pieces[1::5], pieces[2::5], pieces[3::5], pieces[4::5])]
    words = words_of(zip(times, map(_unescaped, pieces[::5]), strict=True))
    return Line(" ".join([word for _, word in words]), words)


def words_of(pieces: Iterable[tuple[float, str]]) -> list[TimedWord]:
    """Pieces of a line, each with the time it is said at, as words with that time.

    A piece that begins without a space goes on with the word before it, which keeps its time.
    """
    words: list[TimedWord] = []
    glued = False
    for time, piece in pieces:
        parts = piece.split()
        if not parts:
            glued = glued and not piece
            continue
        if glued and not piece[0].isspace():
            words[-1] = (words[-1][0], words[-1][1] + parts.pop(0))
        for part in parts:
            words.append((time, part))
        glued = not piece[-1].isspace()
    return words


def _unescaped(text: str) -> str:
    return visible(_ENTITY.sub(lambda m: html.unescape(m[0]), text)) if "&" in text else text
