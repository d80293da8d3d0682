"""Blocks of the screen -> Cues: what rolling captions show several times, said once.

YouTube's automatic captions roll two lines: a new line appears word by word below the
line before, stands 10 ms alone, and rolls up when the next one comes, so that every line
stands in three cues. The paper's released raw captions have their lines twice for that
reason.

    00:00:04.160 --> 00:00:07.909            the line before, then the new one with word times
    as a man
    thinketh<00:00:05.279><c> by</c>

    00:00:07.909 --> 00:00:07.919            the new one alone, a blank below
    thinketh by
"""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from operator import itemgetter

from tellvision.corpus.subtitles.blocks import MOST_CUES, Block, TimedWord, words_of
from tellvision.records import Cue, Skip, Word

REPEAT_SECONDS = 0.05
"""A cue no longer than this that shows what stood there already is a repeat (YouTube's last 10 ms)."""

MOST_ROLLING = 16
"""Lines that roll up together; what compares more would take hours over a cue of a million."""

Said = tuple[float, float, str, list[TimedWord]]
"""A line said once: start, end (seconds), text, and its words with times where there are any."""


@dataclass(slots=True)
class Event:
    """What a format of events shows once: when, and the pieces of its text with their times.

    Times are seconds. `start` None: the file's times are of no use. `end` None: the file
    gives none, and the line stands until the next begins. `timed`: this event shows that a
    machine wrote the file.
    """

    start: float | None
    end: float | None
    pieces: list[TimedWord]
    timed: bool

    @classmethod
    def of_ms(
        cls, start: float | None, duration: float | None, pieces: list[TimedWord], *, timed: bool
    ) -> "Event":
        """From YouTube's milliseconds, where a piece has its offset from the start."""
        if start is None:
            return cls(None, None, pieces, timed)
        end = None if duration is None else (start + duration) / 1000
        return cls(start / 1000, end, [((start + offset) / 1000, text) for offset, text in pieces], timed)


def cues_of(blocks: list[Block]) -> list[Cue]:
    """The blocks of a text format as Cues, sorted by start; blocks without text leave none.

    In a file that rolls every line is one Cue: its words in order, its start that of its
    first word, its end the end of the cue that brought it, cut where the next line begins.
    Words without a time of their own in a file of timed words take that of their line.
    In other files a block is a Cue, and blocks may overlap.
    """
    timed = any(line.words for block in blocks for line in block.lines)
    if not rolls(blocks):
        return in_order([_said(block, range(len(block.lines)), timed=False) for block in blocks], cut=False)
    said = []
    screen: list[str] = []  # the lines of text that the cue before left standing
    for block in blocks:
        texts = [line.text for line in block.lines]
        standing = [i for i, text in enumerate(texts) if text]
        said.append(_said(block, standing[_num_carried(screen, block, standing) :], timed=timed))
        screen = [texts[i] for i in standing]
    return in_order(said, cut=True)


def rolls(blocks: list[Block]) -> bool:
    """Whether the captions roll: words carry times, or a third of the cues show lines again."""
    again = 0
    screen: list[str] = []
    for block in blocks:
        if any(line.words for line in block.lines):
            return True
        standing = [i for i, line in enumerate(block.lines) if line.text]
        carried = _num_carried(screen, block, standing)
        again += 0 < carried < len(standing) or (carried > 0 and block.end - block.start <= REPEAT_SECONDS)
        screen = [block.lines[i].text for i in standing]
    return again >= 2 and 3 * again >= len(blocks)


def _num_carried(screen: list[str], block: Block, standing: list[int]) -> int:
    """How many of the block's first lines of text stood on the screen before.

    A line with word times, or below a blank, is said anew: what rolls up goes to the top.
    """
    if not standing or standing[0] > 0:
        return 0
    texts = []
    for i in standing:
        if block.lines[i].words:
            break
        texts.append(block.lines[i].text)
    for count in range(min(len(texts), len(screen), MOST_ROLLING), 0, -1):
        if texts[:count] == screen[-count:]:
            return count
    return 0


def _said(block: Block, chosen: list[int] | range, *, timed: bool) -> Said:
    """The chosen lines of a block, as one line."""
    lines = [block.lines[i] for i in chosen if block.lines[i].text]
    words: list[TimedWord] = []
    if timed:
        for line in lines:
            words += line.words or [(block.start, word) for word in line.text.split()]
    return block.start, block.end, " ".join([line.text for line in lines]), words


def in_order(said: list[Said], *, cut: bool) -> list[Cue]:
    """The lines that have text, sorted by start, as Cues.

    Args:
        said: in the order of the file.
        cut: whether a line ends where the next begins, as one voice speaks; then word times
            never run backwards: none lies before the word before it, or behind the first
            word of the next line.
    """
    said = sorted((line for line in said if line[2]), key=itemgetter(0))
    if not (cut and said):
        return [Cue(start, end, text) for start, end, text, _ in said]
    limits = [line[0] for line in said[1:]] + [max(line[1] for line in said)]
    cues = []
    for (start, end, text, timed), limit in zip(said, limits, strict=True):
        latest, words = start, []
        for time, word in timed:
            if time > latest:
                latest = min(time, limit)
            words.append(Word(latest, word))
        begins = words[0].start if words else start
        cues.append(Cue(begins, max(latest, min(end, limit)), text, tuple(words)))
    return cues


def cues_of_events(events: Iterable[Event]) -> tuple[list[Cue], int]:
    """The events that have text as Cues, sorted by start, and the number dropped for their times.

    Nothing is said twice in these formats; but in automatic captions a line stays on the
    screen while the next is spoken, so it is cut where that begins.

    Raises:
        Skip: `unreadable_subtitles`, more than `MOST_CUES` events.
    """
    said, num_bad, timed = _gathered(events)
    return in_order(said, cut=timed or _overlap(said)), num_bad


def is_rolling(events: Iterable[Event]) -> bool:
    """Whether the events show automatic captions: times within a line, or lines that overlap the next."""
    said, _, timed = _gathered(events)
    return timed or _overlap(said)


def _gathered(events: Iterable[Event]) -> tuple[list[Said], int, bool]:
    """The lines of the events sorted by start, how many had bad times, whether words are timed."""
    found: list[tuple[float, float | None, list[TimedWord]]] = []
    num_bad, timed = 0, False
    for num, event in enumerate(events):
        if num == MOST_CUES:
            raise Skip("unreadable_subtitles", f"more than {MOST_CUES} cues")
        timed = timed or event.timed
        words = words_of(event.pieces)
        if words and event.start is not None:
            found.append((event.start, event.end, words))
        elif words:
            num_bad += 1
    found.sort(key=itemgetter(0))
    following = [start for start, _, _ in found[1:]] + [start for start, _, _ in found[-1:]]
    said = [
        (start, later if end is None else end, " ".join([word for _, word in words]), words if timed else [])
        for (start, end, words), later in zip(found, following, strict=True)
    ]
    return said, num_bad, timed


def _overlap(said: list[Said]) -> bool:
    """Whether most lines end after the next has begun, as two lines that roll do; people type them one by one."""
    again = sum(line[0] < later[0] < line[1] - REPEAT_SECONDS for line, later in itertools.pairwise(said))
    return again >= 3 and 2 * again >= len(said)
