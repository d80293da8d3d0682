"""The records that travel the chain, and the one place where seconds become rows.

Everything upstairs speaks in these: a subtitle file is read into `Cue`s, said-once
`Caption`s are cut from them, `Clip`s are grown from captions, search answers with
`Hit`s. What is wrong with one video or caption is a `Skip`; what the user did wrong is
an `InputError`. Times are seconds as float, rates are rows per second (`fps`).
"""

import math
from dataclasses import dataclass


class InputError(ValueError):
    """What a user asked cannot be done: names the value and the next step, in one line.

    The command line prints it without a traceback and exits with status 1.
    """


class Skip(Exception):
    """One item that cannot be used: raised where it is found, counted by the stage.

    Args:
        reason: stable snake_case name that is counted and can be retried (`no_subtitles`).
        detail: one line for a reader: the file, the value, what the library said.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


@dataclass(frozen=True, slots=True)
class Word:
    """A word and when it begins to be said, in seconds."""

    start: float
    text: str


@dataclass(frozen=True, slots=True)
class Cue:
    """What a subtitle file shows from `start` to `end` (seconds).

    `words` carries the file's own word times where it has them, and is empty where not.
    """

    start: float
    end: float
    text: str
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class Caption:
    """A line of narration, said once: `number` counts from 0 within its video."""

    video_id: str
    number: int
    start: float
    end: float
    text: str
    source: str  # typed, automatic, translated or heard


@dataclass(frozen=True, slots=True)
class Clip:
    """An interval of a video with what is said in it; `words` is the number of words."""

    clip_id: str
    video_id: str
    start: float
    end: float
    text: str
    words: int


@dataclass(frozen=True, slots=True)
class Hit:
    """An answer of a search: this moment of this video, with the score that ranked it."""

    video_id: str
    start: float
    end: float
    score: float
    text: str


def rows_of(start: float, end: float, fps: float, num_rows: int) -> slice:
    """The rows of a track that show the clip from `start` to `end`.

    Rows `int(start * fps)` to `int(end * fps)` inclusive, cut at the end of the track
    (paper, released code): [0, 5] at 1 fps is six rows.

    Args:
        start: seconds, not negative.
        end: seconds, not before `start`.
        fps: rows per second of the track.
        num_rows: rows that the track has.

    Raises:
        ValueError: a NaN, negative or reversed time, or no row left.
    """
    if not (math.isfinite(start) and math.isfinite(end)) or start < 0 or end < start:
        raise ValueError(f"a clip needs 0 <= start <= end in seconds, got start={start}, end={end}")
    first, last = int(start * fps), min(int(end * fps), num_rows - 1)
    if first > last:
        raise ValueError(f"no row left: [{start}, {end}] s at {fps} rows/s begins at row {first} of {num_rows}")
    return slice(first, last + 1)
