"""YouTube's json3 -> Cues: events on a time line, automatic ones with a time per word.

    {"events": [{"tStartMs": 1000, "dDurationMs": 4000,
                 "segs": [{"utf8": "crack"}, {"utf8": " two", "tOffsetMs": 300}]},
                {"tStartMs": 3000, "dDurationMs": 10, "aAppend": 1, "segs": [{"utf8": "\\n"}]}]}

Nothing is said twice here, but a line stays on the screen while the next is spoken, so
its duration overlaps the next. Events without text set up windows or roll the screen.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from tellvision.corpus.subtitles import blocks, rolling
from tellvision.records import Cue, Skip

_MOST_MS = 1e12
_AUTOMATIC = re.compile(r'"(?:tOffsetMs|aAppend)"')


def parse(text: str) -> tuple[list[Cue], int]:
    """The Cues of a json3 file, sorted by start, and the number of events dropped for their times.

    Raises:
        Skip: `unreadable_subtitles`, the text is no json3 file.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Skip("unreadable_subtitles", f"no JSON: {error}") from error
    events = content.get("events") if isinstance(content, dict) else None
    if not isinstance(events, list):
        raise Skip("unreadable_subtitles", 'JSON without a list of "events"')
    events = [event for event in events if isinstance(event, dict)]
    timed = any("aAppend" in event or any("tOffsetMs" in seg for seg in _segments(event)) for event in events)
    said: list[rolling.Said] = []
    num_bad = 0
    for event in events:
        words = blocks.words_of(_pieces(event))
        if not words:
            continue
        start, duration = _ms(event.get("tStartMs", 0)), _ms(event.get("dDurationMs", 0))
        if start is None or duration is None:
            num_bad += 1
            continue
        line = " ".join([word for _, word in words])
        seconds = [((start + offset) / 1000, word) for offset, word in words]
        said.append((start / 1000, (start + duration) / 1000, line, seconds))
    return rolling.in_order(said, cut=timed), num_bad


def is_automatic(head: str) -> bool:
    """Whether the first part of a file shows that nobody typed it: times within an event."""
    return _AUTOMATIC.search(head) is not None


def _segments(event: dict[str, Any]) -> list[dict[str, Any]]:
    segments = event.get("segs")
    return [seg for seg in segments if isinstance(seg, dict)] if isinstance(segments, list) else []


def _ms(value: object) -> float | None:
    """A time in milliseconds as the file gives it; None where it is none."""
    usable = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < _MOST_MS
    return value if usable else None  # type: ignore[return-value]


def _pieces(event: dict[str, Any]) -> Iterator[tuple[float, str]]:
    """The text of each segment with its offset in milliseconds.

    An offset that is no number is that of the segment before.
    """
    offset = 0.0
    for segment in _segments(event):
        text = segment.get("utf8")
        if isinstance(text, str):
            value = _ms(segment.get("tOffsetMs", offset))
            offset = offset if value is None else value
            yield offset, blocks.visible(text)
