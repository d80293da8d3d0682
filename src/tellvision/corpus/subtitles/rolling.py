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

from operator import itemgetter

from tellvision.corpus.subtitles.blocks import Block, TimedWord
from tellvision.records import Cue, Word

REPEAT_SECONDS = 0.05
"""A cue no longer than this that shows what stood there already is a repeat (YouTube's last 10 ms)."""

Said = tuple[float, float, str, list[TimedWord]]
"""A line said once: start, end (seconds), text, and its words with times where there are any."""


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
    for count in range(min(len(texts), len(screen)), 0, -1):
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
    if not cut:
        return [Cue(start, end, text) for start, end, text, _ in said]
    limits = [line[0] for line in said[1:]] + [max((line[1] for line in said), default=0.0)]
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
