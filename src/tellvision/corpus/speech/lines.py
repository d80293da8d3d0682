"""Heard words -> lines of the length of a subtitle's, cut where one pauses."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from tellvision.records import Cue, Word

PAUSE = 0.8  # seconds between words that end a line
LONGEST = 7.0  # seconds of a line
WIDEST = 84  # characters of a line: two rows of a subtitle
_ENDS = (".", "?", "!", "。", "？", "！", "…")
_COMMAS = (",", ";", ":", "，", "、", "；")
_CLOSING = "\"'”’)]}»"


@dataclass(frozen=True, slots=True)
class HeardWord:
    """A word as the recogniser gives it: its text keeps the space before it.

    Attributes:
        start: seconds.
        end: seconds, not before `start`.
        text: with the punctuation that belongs to it.
    """

    start: float
    end: float
    text: str


def straightened(words: Iterable[HeardWord], duration: float) -> list[HeardWord]:
    """The words with times that never run backwards, within 0 and `duration` (seconds)."""
    found: list[HeardWord] = []
    latest = 0.0
    for word in words:
        start = min(max(word.start, latest), duration)
        end = min(max(word.end, start), duration)
        if found and found[-1].end > start:
            found[-1] = replace(found[-1], end=start)
        found.append(HeardWord(start, end, word.text))
        latest = start
    return found


def lines_of(words: Sequence[HeardWord]) -> list[Cue]:
    """Lines of at most `LONGEST` seconds and `WIDEST` characters, in order, none without words.

    A sentence that ends, or a pause of `PAUSE`, ends a line. What is longer is halved, best at a
    pause or comma near its middle; a single word is never cut.

    Args:
        words: in order of time, as `straightened` gives them.
    """
    lines = []
    for sentence in _sentences(words):
        for line in _fitting(sentence):
            text = "".join(word.text for word in line).strip()
            if text:
                said = tuple(Word(word.start, word.text.strip()) for word in line if word.text.strip())
                lines.append(Cue(line[0].start, line[-1].end, text, said))
    return lines


def _sentences(words: Sequence[HeardWord]) -> Iterator[Sequence[HeardWord]]:
    first = 0
    for i, word in enumerate(words):
        last = i + 1 == len(words)
        if last or words[i + 1].start - word.end >= PAUSE or word.text.rstrip(_CLOSING).endswith(_ENDS):
            yield words[first : i + 1]
            first = i + 1


def _fitting(words: Sequence[HeardWord]) -> Iterator[Sequence[HeardWord]]:
    waiting = [words]
    while waiting:
        words = waiting.pop()
        seconds = words[-1].end - words[0].start
        width = sum(len(word.text) for word in words)
        if len(words) == 1 or (seconds <= LONGEST and width <= WIDEST + 1):  # the first word's space
            yield words
            continue
        cut = max(range(1, len(words)), key=lambda at: _fitness(words, at))
        waiting += [words[cut:], words[:cut]]


def _fitness(words: Sequence[HeardWord], at: int) -> float:
    """How well words are cut before the one `at`: the pause there, a comma, less the way from the middle."""
    before, after = words[at - 1], words[at]
    pause = after.start - before.end
    comma = 0.3 * before.text.rstrip(_CLOSING).endswith(_COMMAS)
    return pause + comma - abs(2 * at / len(words) - 1)
