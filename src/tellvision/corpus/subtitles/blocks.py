"""Text of a subtitle file -> blocks: a time span and the lines shown in it.

WebVTT and SubRip differ little: both are timing lines with `-->`, each followed by the
lines to show. This is what they share: decoding, times, splitting, markup. Every
pattern is bounded or stops at the next `<`, so that reading takes linear time whatever
the file holds.
"""

import codecs
import functools
import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tellvision.records import Skip

ARROW = "-->"
MOST_CUES = 200_000
"""A day of speech has some 40,000 lines, and twice as many cues where they roll."""

_TENS = [10**digits for digits in range(10)]
_TIME = r"((?:\d{1,6}:)?\d{1,6}:\d{1,6}(?:[.,]\d{1,9})?)"
_TIMING = re.compile(rf"\s*{_TIME}[ \t]*-->[ \t]*{_TIME}(?![\d:])")
_STAMP = re.compile(rf"<{_TIME}>")
_TAG = re.compile(r"</?[A-Za-z][^<>]*>|</>|\{\\[^{}]*\}")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]\w{1,30});")
_CONTROLS = bytes([*range(9), *range(14, 28), 127])
# Characters without width or meaning, and halves of surrogate pairs, which no table could hold. \x85 ends a line.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u200b-\u200f\u202a-\u202e\u2060\ufeff\ud800-\udfff]"
)
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
    words: Sequence[TimedWord]


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


def seconds_at(time: str) -> float:
    """The number nearest to the decimal time `[hours:]minutes:seconds[.fraction]`."""
    if time[-4:-3] in (".", ","):  # three digits, nearly always
        return (_whole_seconds(time[:-4]) * 1000 + int(time[-3:])) / 1000
    clock, _, fraction = time.replace(",", ".").partition(".")
    scale = _TENS[len(fraction)]
    return (_whole_seconds(clock) * scale + int(fraction or 0)) / scale


@functools.lru_cache(256)
def _whole_seconds(clock: str) -> int:
    """The seconds in `[hours:]minutes:seconds`; remembered, as a few words are said in each."""
    total = 0
    for part in clock.split(":"):
        total = total * 60 + int(part)
    return total


def split(text: str, *, blank_line_ends: bool) -> tuple[list[Block], int]:
    """The blocks of a text in the order of the file, and the number of bad timing lines.

    A timing line is bad when it has no two times or ends before it starts; its text is
    dropped with it. Identifiers before a timing line belong to no text.

    Args:
        text: the decoded file.
        blank_line_ends: whether an empty line ends a cue's text (WebVTT, where comments
            may follow) or belongs to it (SubRip, where people leave them in).

    Raises:
        Skip: `unreadable_subtitles`, a text that is neither WebVTT nor has any timing line,
            or one with more than `MOST_CUES`.
    """
    rows = text.split("\n")
    timings = [i for i, row in enumerate(rows) if ARROW in row]
    if not timings and not text.startswith("WEBVTT"):
        raise Skip("unreadable_subtitles", f"no line with {ARROW} in it")
    if len(timings) > MOST_CUES:
        raise Skip("unreadable_subtitles", f"{len(timings)} cues are more than {MOST_CUES}")
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
    start, end = map(seconds_at, found.groups())
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
        return Line(" ".join(unescaped(row).split()), ())
    if "&" in row:
        pieces = list(map(unescaped, pieces))
    times = [start, *map(seconds_at, pieces[1::2])]
    words = words_of(zip(times, pieces[::2], strict=True))
    return Line(" ".join([word for _, word in words]), words)


def has_stamp(text: str) -> bool:
    """Whether the time of a word stands in the text."""
    return _STAMP.search(text) is not None


def words_of(pieces: Iterable[tuple[float, str]]) -> list[TimedWord]:
    """Pieces of a line, each with the time it is said at, as words with that time.

    A piece that begins without a space goes on with the word before it, which keeps its time.
    """
    words: list[TimedWord] = []
    tail: list[str] = []  # of the last word; joined once, for a word may come in a million pieces
    glued = False
    for time, piece in pieces:
        parts = piece.split()
        if not parts:
            glued = glued and not piece
            continue
        if glued and not piece[0].isspace():
            tail.append(parts.pop(0))
        glued = not piece[-1].isspace()
        if parts and tail:
            _append_to_last(words, tail)
        for part in parts:
            words.append((time, part))
    if tail:
        _append_to_last(words, tail)
    return words


def _append_to_last(words: list[TimedWord], tail: list[str]) -> None:
    time, word = words[-1]
    words[-1] = (time, word + "".join(tail))
    tail.clear()


def unescaped(text: str) -> str:
    """The text with HTML's character references resolved; what only looks like one stays."""
    return visible(_ENTITY.sub(lambda m: html.unescape(m[0]), text)) if "&" in text else text
