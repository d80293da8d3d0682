"""YouTube's json3 -> Cues: events on a time line, automatic ones with a time per word.

    {"events": [{"tStartMs": 1000, "dDurationMs": 4000,
                 "segs": [{"utf8": "crack"}, {"utf8": " two", "tOffsetMs": 300}]},
                {"tStartMs": 3000, "dDurationMs": 10, "aAppend": 1, "segs": [{"utf8": "\\n"}]}]}

Nothing is said twice here, but a line stays on the screen while the next is spoken, so
its duration overlaps the next. Events without text set up windows or roll the screen.
"""

import json
import re
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
    return rolling.cues_of_events(_event(event) for event in events if isinstance(event, dict))


def is_automatic(head: str) -> bool:
    """Whether the first part of a file shows that nobody typed it: times within an event."""
    return _AUTOMATIC.search(head) is not None


def _event(event: dict[str, Any]) -> rolling.Event:
    segments = event.get("segs")
    segments = [seg for seg in segments if isinstance(seg, dict)] if isinstance(segments, list) else []
    start, duration = _ms(event.get("tStartMs", 0)), event.get("dDurationMs")
    if duration is not None and (duration := _ms(duration)) is None:
        start = None
    pieces, offset = [], 0.0
    for segment in segments:
        text = segment.get("utf8")
        if isinstance(text, str):
            value = _ms(segment.get("tOffsetMs", offset))  # one that is no number is that of the segment before
            offset = offset if value is None else value
            pieces.append((offset, blocks.visible(text)))
    timed = "aAppend" in event or any("tOffsetMs" in seg for seg in segments)
    return rolling.Event.of_ms(start, duration, pieces, timed=timed)


def _ms(value: object) -> float | None:
    """A time in milliseconds as the file gives it; None where it is none."""
    usable = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < _MOST_MS
    return value if usable else None  # type: ignore[return-value]
