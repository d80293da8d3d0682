"""TTML and its older name DFXP -> Cues: what broadcasters, caption houses and yt-dlp write.

    <tt xmlns="http://www.w3.org/ns/ttml" ttp:frameRate="25"><body><div begin="10s">
      <p begin="00:00:01.500" end="00:00:03:12">crack <span begin="300ms">two</span><br/>eggs</p>

A paragraph is a Cue. Its times count from those of the elements around it; times of spans
are those of their words. Every container is read as parallel, which is the default.
"""

import contextlib
import re
from collections.abc import Iterator

from tellvision.corpus.subtitles import blocks, paragraphs, rolling
from tellvision.records import Cue

ROOTS = frozenset({"tt"})
_NAMES = frozenset({"p"})
_CLOCK = re.compile(r"((?:\d{1,6}:)?\d{1,6}:\d{1,6}(?:[.,]\d{1,9})?)(?::(\d{1,6})(?:\.\d{1,9})?)?")
_RATE = re.compile(r"\d{1,9}")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_OFFSET = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)(h|ms|m|s|f|t)?")


def parse(text: str) -> tuple[list[Cue], int]:
    """The Cues of a TTML file, sorted by start, and the number of paragraphs dropped for their times.

    Raises:
        Skip: `unreadable_subtitles`, the text is no TTML file.
    """
    return rolling.cues_of_events(_events(text))


def is_automatic(head: str) -> bool:
    """Whether the first part of a file shows that nobody typed it: times within a line, or lines that overlap."""
    return rolling.is_rolling(_events(head))


def _events(text: str) -> Iterator[rolling.Event]:
    clock: _Clock | None = None
    for paragraph in paragraphs.paragraphs(text, roots=ROOTS, names=_NAMES):
        clock = clock or _Clock(paragraph.around[0].attributes)
        start, end, usable = 0.0, None, True
        for attributes in (*(element.attributes for element in paragraph.around), paragraph.attributes):
            try:
                start, end = clock.span(attributes, start, end)
            except ValueError:
                usable = False
        usable = usable and (end is None or start <= end)
        timed, pieces = False, []
        for around, piece in paragraph.pieces:
            said = start
            for span in around:
                if "begin" in span:
                    timed = True
                    with contextlib.suppress(ValueError):  # its words are said at the time around it
                        said, _ = clock.span(span, said, None)
            pieces.append((said, piece))
        yield rolling.Event(start if usable else None, end, pieces, timed)


class _Clock:
    """What times mean in a file: frames and ticks per second, as its root says."""

    def __init__(self, root: paragraphs.Attributes) -> None:
        rate = _rate(root.get("frameRate"))
        over, under = 1.0, 1.0
        multiplier = root.get("frameRateMultiplier", "").replace(":", " ").split()
        if len(multiplier) == 2:
            over, under = _rate(multiplier[0]) or 1.0, _rate(multiplier[1]) or 1.0
        self.frames = (rate or 30.0) * over / under
        self.ticks = _rate(root.get("tickRate")) or (
            self.frames * (_rate(root.get("subFrameRate")) or 1.0) if rate else 1.0
        )

    def span(
        self, attributes: paragraphs.Attributes, start: float, end: float | None
    ) -> tuple[float, float | None]:
        """When an element is shown that stands in one shown from `start` to `end` (seconds; None: no end).

        Raises:
            ValueError: a time that is none.
        """
        begins = start + self.seconds(attributes["begin"]) if "begin" in attributes else start
        ends = [] if end is None else [end]
        if "end" in attributes:
            ends.append(start + self.seconds(attributes["end"]))
        if "dur" in attributes:
            ends.append(begins + self.seconds(attributes["dur"]))
        # Sums of decimal times lose their last digits; nobody writes more than six.
        return round(begins, 6), round(min(ends), 6) if ends else None

    def seconds(self, time: str) -> float:
        """A time expression in seconds; one without a unit counts seconds.

        Raises:
            ValueError: it is none.
        """
        time = time.strip()
        if clock := _CLOCK.fullmatch(time):
            return blocks.seconds_at(clock[1]) + int(clock[2] or 0) / self.frames
        if offset := _OFFSET.fullmatch(time):
            number, unit = float(offset[1]), offset[2] or "s"
            rates = {"f": self.frames, "t": self.ticks}
            return number / rates[unit] if unit in rates else number * _SECONDS[unit]
        raise ValueError(f"{time!r} is no time expression")


def _rate(value: str | None) -> float | None:
    """A positive number that the root gives; None where it is none."""
    found = _RATE.fullmatch(value.strip()) if value else None
    return float(found[0]) or None if found else None
