"""YouTube's XML -> Cues: srv3, and srv1 and srv2 before it.

    <timedtext format="3"><body>                       srv3, milliseconds
      <p t="1000" d="4000" w="1"><s>crack</s><s t="300"> two</s></p>
      <p t="3000" d="2000" w="1" a="1">\\n</p>
    <timedtext><text t="1000" d="4000">crack two</text>        srv2, milliseconds
    <transcript><text start="1" dur="4">crack two</text>       srv1, seconds

As json3, which says the same: no line stands twice, and a line stays on the screen while
the next is spoken.
"""

import re
from collections.abc import Iterator

from tellvision.corpus.subtitles import blocks, paragraphs, rolling
from tellvision.records import Cue

ROOTS = frozenset({"timedtext", "transcript"})
_NUMBER = re.compile(r"\d{1,12}(?:\.\d{1,9})?")
_NAMES = frozenset({"p", "text"})


def parse(text: str) -> tuple[list[Cue], int]:
    """The Cues of the file, sorted by start, and the number of paragraphs dropped for their times.

    Raises:
        Skip: `unreadable_subtitles`, the text is none of these forms.
    """
    return rolling.cues_of_events(_events(text))


def is_automatic(head: str) -> bool:
    """Whether the first part of a file shows that nobody typed it: times within a line, or lines that overlap."""
    return rolling.is_rolling(_events(head))


def _events(text: str) -> Iterator[rolling.Event]:
    for paragraph in paragraphs.paragraphs(text, roots=ROOTS, names=_NAMES):
        own = paragraph.attributes
        srv1 = "start" in own
        start, duration = (own["start"], own.get("dur")) if srv1 else (own.get("t", "0"), own.get("d"))
        unit = 1000 if srv1 else 1
        start_ms, duration_ms = _ms(start, unit), None if duration is None else _ms(duration, unit)
        if duration is not None and duration_ms is None:
            start_ms = None
        timed = "a" in own or "append" in own
        pieces, offset = [], 0.0
        for spans, piece in paragraph.pieces:
            for span in spans:
                if "t" in span:
                    timed = True
                    value = _ms(span["t"])  # one that is no number is that of the span before
                    offset = offset if value is None else value
            # What srv1 says is escaped twice.
            pieces.append((offset, blocks.unescaped(piece) if srv1 else piece))
        yield rolling.Event.of_ms(start_ms, duration_ms, pieces, timed=timed)


def _ms(value: str, unit: int = 1) -> float | None:
    """A time in milliseconds, written in units of so many; None where it is none."""
    found = _NUMBER.fullmatch(value.strip())
    return round(float(found[0]) * unit, 3) if found else None
