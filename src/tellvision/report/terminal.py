"""Pairing -> a table for the terminal.

    no  clip             s  line           what is said
     0  0:00.5-0:05.9  5.4  0:00.5-0:02.6  «welcome back» today we are going to paint

What the line itself says stands out from what growing took in: in bold where there is a terminal,
between « and » where not.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from tellvision.report.markup import count, moment
from tellvision.report.pairing import Pair, Pairing
from tellvision.report.reasons import in_words

NARROWEST = 40
"""Columns that a table needs."""

_BOLD, _DIM, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[0m"
_JOINERS = "\u200c\u200d"  # letters of some scripts are joined by them
_LEAST_TEXT = 24  # columns; with fewer what is said goes below its clip
_RIGHT = (0, 2)  # columns of numbers

_Word = tuple[str, str]  # the letters, and what sets them off in a terminal


def as_text(pairing: Pairing, width: int = 80, *, styled: bool = False) -> str:
    """The pairing as a table.

    Args:
        pairing: of one video.
        width: columns that no line passes; fewer than `NARROWEST` are taken as that many.
        styled: bold and dim letters, for a terminal. Characters that would command one are left out
            of what is said either way.
    """
    width = max(width, NARROWEST)
    parts = [_head(pairing, width)]
    if pairing.pairs:
        parts.append(_table(pairing, width, styled))
    if pairing.dropped:
        parts.append(_dropped(pairing, width))
    if pairing.counted:
        parts.append(_counted(pairing, width))
    return "\n\n".join("\n".join(lines) for lines in parts) + "\n"


def _head(pairing: Pairing, width: int) -> list[str]:
    said = f"{pairing.said}, {pairing.sources[0]}" if len(pairing.sources) == 1 else pairing.said
    shown = [pairing.video_id, said, f"left out, {pairing.left_out}" if pairing.left_out else "", *pairing.notes]
    return [line for text in shown for line in _filled(_plain(text), width)]


def _table(pairing: Pairing, width: int, styled: bool) -> list[str]:
    several = len(pairing.sources) > 1
    rows = [["no", "clip", "s", "line", "source"]]
    for pair in pairing.pairs:
        line, clip = pair.line, pair.clip
        own, source = (_span(line.start, line.end), line.source) if line else ("", "")
        rows.append([pair.number, _span(clip.start, clip.end), f"{clip.end - clip.start:.1f}", own, source])
    if not several:
        rows = [row[:-1] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    left = sum(widths) + 2 * len(widths)
    below = width - left < _LEAST_TEXT
    indent = 4 if below else left
    shown = []
    for row, words in zip(rows, _said(pairing.pairs, styled), strict=True):
        head = "  ".join(
            cell.rjust(w) if column in _RIGHT else cell.ljust(w)
            for column, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        first, *rest = list(_filled(words, width - indent)) or [""]
        if below:
            heads = [head.rstrip()] if len(head.rstrip()) <= width else _filled(_plain(head), width)
            shown += [*heads, f"{' ' * indent}{first}".rstrip()]
        else:
            shown.append(f"{head}  {first}".rstrip())
        shown += [" " * indent + line for line in rest]
    return shown


def _said(pairs: Sequence[Pair], styled: bool) -> Iterator[list[_Word]]:
    """The last column, from its head on."""
    yield _plain("what is said")
    for pair in pairs:
        if not pair.before and not pair.after:
            yield _plain(pair.own)
        elif styled:
            yield _plain(pair.before, _DIM) + _plain(pair.own, _BOLD) + _plain(pair.after, _DIM)
        else:
            yield _plain(f"{pair.before} «{pair.own}» {pair.after}")


def _span(start: float, end: float) -> str:
    return f"{moment(start)}-{moment(end)}"


def _dropped(pairing: Pairing, width: int) -> list[str]:
    shown = [f"{count(len(pairing.dropped))} without a clip of their own"]
    for line, reasons in pairing.dropped:
        head = f"{line.number}  {_span(line.start, line.end)}  {' or '.join(reasons)}"
        shown += _filled(_plain(f"{head}  {line.text}"), width)
    return shown


def _counted(pairing: Pairing, width: int) -> list[str]:
    return [
        line
        for stage, reasons in pairing.counted.items()
        for reason, number in reasons.items()
        for line in _filled(_plain(f"{stage}: {count(number)} dropped, {reason} ({in_words(reason)})"), width)
    ]


def _plain(text: str, style: str = "") -> list[_Word]:
    """The words of a text, without what would move the cursor, ring, or turn the direction of writing."""
    safe = "".join(c if c.isprintable() or c in _JOINERS else " " for c in text)
    return [(word, style) for word in safe.split()]


def _filled(words: Iterable[_Word], width: int) -> Iterator[str]:
    """The words in lines of at most `width` columns; a word that is longer goes on in the next line."""
    line, used = "", 0
    shown = ""  # the style that the line ends in
    for word, style in words:
        for part, columns in _parts(word, width):
            if used and used + 1 + columns > width:
                yield line + (_PLAIN if shown else "")
                line, used, shown = "", 0, ""
            gap = " " if used else ""
            if style != shown:
                line += (_PLAIN if shown else "") + gap + style + part
            else:
                line += gap + part
            shown = style
            used += len(gap) + columns
    if used:
        yield line + (_PLAIN if shown else "")


def _parts(word: str, width: int) -> Iterator[tuple[str, int]]:
    """A word in pieces that fit, each with its columns."""
    if word.isascii() and len(word) <= width:
        yield word, len(word)
        return
    part, used = "", 0
    for letter in word:
        columns = _columns(letter)
        if used + columns > width:
            yield part, used
            part, used = "", 0
        part += letter
        used += columns
    yield part, used


def _columns(letter: str) -> int:
    """Columns that a terminal gives a character: none to an accent, two to an ideograph."""
    if unicodedata.combining(letter) or unicodedata.category(letter) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1
