"""What happens in a drawn video and what is said: tasks, steps, phrases, and their times.

A `Story` is all that is true of a video before a frame is drawn. It depends on the seed and
the number of the video alone, so that a series can be made longer without changing what is
there. The narration is that of the web (paper, section 1): each step is spoken of in other
words every time, some of it is chatter, and some is said before or after it is seen.
"""

import random
from dataclasses import dataclass
from typing import TypeAlias

from tellvision.draw.phrases import BETWEEN, FRAMES, GOODBYE, HELLO, PHRASES, TASKS, TITLES
from tellvision.records import InputError

Word: TypeAlias = tuple[float, str]


@dataclass(frozen=True, kw_only=True)
class DrawConfig:
    """How the drawn videos look and sound.

    Raises:
        InputError: a size that is odd or too small to encode, a rate or time that is not positive,
            a share outside 0..1.
    """

    size: tuple[int, int] = (320, 240)
    """Width and height in pixels, both even."""
    fps: int = 8
    """Frames per second."""
    step_seconds: tuple[float, float] = (6.0, 12.0)
    """Shortest and longest time that a step is seen."""
    chatter: float = 0.25
    """Chance that a line after the first one of a step says nothing about it, 0..1."""
    shifted: float = 0.4
    """Share of steps that are spoken of early or late, 0..1."""
    shift: float = 2.0
    """Most seconds by which those are early or late."""

    def __post_init__(self) -> None:
        if any(side < 32 or side % 2 for side in self.size):
            raise InputError(f"size has to be two even numbers of 32 or more, got {self.size}")
        if not 1 <= self.fps <= 60:
            raise InputError(f"fps has to be 1 to 60, got {self.fps}")
        if not 1 <= self.step_seconds[0] <= self.step_seconds[1]:
            raise InputError(f"step_seconds has to be (shortest, longest), 1 or more, got {self.step_seconds}")
        if not (0 <= self.chatter <= 1 and 0 <= self.shifted <= 1 and self.shift >= 0):
            raise InputError(
                "chatter and shifted have to be shares in 0..1 and shift 0 seconds or more, "
                f"got {self.chatter}, {self.shifted} and {self.shift}"
            )


@dataclass(frozen=True, kw_only=True)
class Line:
    """A sentence of the narration, in seconds; `step` is None for chatter."""

    start: float
    end: float
    text: str
    step: str | None
    visible: bool
    """Its step is seen for at least half of the time that it takes to say it."""


@dataclass(frozen=True, kw_only=True)
class Segment:
    """When a step is seen, in seconds."""

    step: str
    start: float
    end: float


@dataclass(frozen=True, kw_only=True)
class Story:
    """All that is true of one video; between its segments the host is seen."""

    id: str
    title: str
    task: str
    duration: float
    """Seconds; a whole number of frames."""
    segments: tuple[Segment, ...]
    lines: tuple[Line, ...]
    words: tuple[Word, ...]


class _Narrator:
    """Says one line after the other; never two at once."""

    def __init__(self, rng: random.Random, task: str) -> None:
        self.rng, self.task = rng, task
        self.at = rng.uniform(0.2, 0.6)
        self.letters_per_second = rng.uniform(13.5, 17.0)
        self.lines: list[tuple[float, float, str, str | None]] = []
        self.said: set[str] = set()

    def fresh(self, texts: tuple[str, ...]) -> str:
        """One of the texts, and one that was not said yet where there is any."""
        text = self.rng.choice([text for text in texts if text not in self.said] or texts)
        self.said.add(text)
        return text

    def say(self, text: str, step: str | None, earliest: float) -> None:
        text = text.format(task=self.task)
        start = max(self.at, earliest)
        end = start + (len(text) + 1) / self.letters_per_second
        self.lines.append((round(start, 3), round(end, 3), text, step))
        self.at = end + self.rng.uniform(0.15, 0.6)

    def speak_of(self, step: str, start: float, end: float, chatter: float) -> None:
        """Fills [start, end] with what can be said about the step, and with chatter."""
        does, notes = PHRASES[step]
        self.say(self.fresh(FRAMES).replace("{do}", self.fresh(does)), step, start)
        while self.at + 2.0 < end:
            if self.rng.random() < chatter:
                self.say(self.fresh(BETWEEN), None, start)
            elif self.rng.random() < 0.65:
                self.say(self.fresh(notes), step, start)
            else:
                self.say(self.fresh(FRAMES).replace("{do}", self.fresh(does)), step, start)


def tell(number: int, seed: int, config: DrawConfig) -> Story:
    """The story of video `number` of the series `seed`.

    Each round of as many videos as there are tasks has every task once, in an order of its own.
    """
    round_, place = divmod(number, len(TASKS))
    task = random.Random(f"{seed}/round/{round_}").sample(sorted(TASKS), len(TASKS))[place]
    rng = random.Random(f"{seed}/story/{number}")
    steps = list(TASKS[task])
    if len(steps) > 5 and rng.random() < 0.7:
        steps.remove(rng.choice(steps[1:-1]))
    narrator = _Narrator(rng, task)
    narrator.say(rng.choice(HELLO), None, 0.0)
    segments: list[Segment] = []
    now = narrator.at
    for place, step in enumerate(steps):
        if place and rng.random() < 0.25:
            narrator.say(narrator.fresh(BETWEEN), None, now)
            now = max(now, narrator.at)
        until = now + rng.uniform(*config.step_seconds)
        segments.append(Segment(step=step, start=round(now, 3), end=round(until, 3)))
        move = rng.uniform(-config.shift, config.shift) if rng.random() < config.shifted else 0.2
        narrator.speak_of(step, now + move, until + move, config.chatter)
        now = until
    narrator.say(rng.choice(GOODBYE), None, now)
    lines = tuple(
        Line(
            start=start,
            end=end,
            text=text,
            step=step,
            visible=step is not None and _seen(segments, step, start, end) >= (end - start) / 2,
        )
        for start, end, text, step in narrator.lines
    )
    title = rng.choice(TITLES).format(task=task)
    return Story(
        id=f"{task.replace(' ', '-')}-{round_ + 1:02d}",
        title=title[0].upper() + title[1:],
        task=task,
        duration=(int((narrator.at + 0.5) * config.fps) + 1) / config.fps,
        segments=tuple(segments),
        lines=lines,
        words=words_of(lines),
    )


def _seen(segments: list[Segment], step: str, start: float, end: float) -> float:
    """Seconds of [start, end] in which the step is seen."""
    overlaps = (min(end, one.end) - max(start, one.start) for one in segments if one.step == step)
    return sum(max(0.0, overlap) for overlap in overlaps)


def words_of(lines: tuple[Line, ...]) -> tuple[Word, ...]:
    """Every word of the lines with the second at which it begins, spread over its line by letters."""
    words = []
    for line in lines:
        spoken = line.text.split()
        rate = (line.end - line.start) / sum(len(word) + 1 for word in spoken)
        letters = 0
        for word in spoken:
            words.append((round(line.start + rate * letters, 3), word))
            letters += len(word) + 1
    return tuple(words)


ROW = 40  # letters that a row of rolling subtitles holds
PAUSE = 1.5  # seconds of silence after which a new row begins


def rolling_vtt(lines: tuple[Line, ...]) -> str:
    """The lines in the form of YouTube's automatic subtitles.

    Two rows that roll: a cue shows the row before, as it is, above the new one, whose words
    carry their times; 10 ms at its end show the full row alone. So every row stands there
    three times, and a sentence ends anywhere in a row.
    """
    words = words_of(lines)
    ends = {line.end for line in lines}
    rows: list[list[Word]] = []
    for start, word in words:
        long = rows and sum(len(text) + 1 for _, text in rows[-1]) + len(word) > ROW
        if not rows or long or start - rows[-1][-1][0] > PAUSE:
            rows.append([])
        rows[-1].append((start, word))
    out, above = ["WEBVTT", "Kind: captions", "Language: en", ""], " "
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        spoken = min((end for end in ends if end > row[-1][0]), default=row[-1][0])
        stop = spoken if following is None else min(following[0][0], spoken + PAUSE)
        plain = " ".join(word for _, word in row)
        timed = row[0][1] + "".join(f"<{_stamp(start)}><c> {word}</c>" for start, word in row[1:])
        out += [
            f"{_stamp(row[0][0])} --> {_stamp(stop - 0.01)} align:start position:0%",
            above,
            timed,
            "",
            f"{_stamp(stop - 0.01)} --> {_stamp(stop)} align:start position:0%",
            plain,
            " ",
            "",
        ]
        above = plain
    return "\n".join(out) + "\n"


def _stamp(seconds: float) -> str:
    ms = round(seconds * 1000)
    return f"{ms // 3600000:02d}:{ms // 60000 % 60:02d}:{ms // 1000 % 60:02d}.{ms % 1000:03d}"
