"""Cues -> Cues, a sentence each, where a subtitle file has lines.

`captions` uses it where sentences are wanted in place of lines (paper section 3.2 takes the
lines as they are). Written text is cut at its full stops; text without any, as automatic
captions have it, where the voice pauses. Words keep the times that the file gives them.
"""

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

import numpy as np

from tellvision.corpus.punctuation import MARKS, pauses, sentence_ends
from tellvision.records import Cue, InputError


@dataclass(frozen=True, kw_only=True)
class SentenceConfig:
    """Where a sentence ends."""

    pause: float = 0.2
    """Seconds of silence that end a sentence in a text without punctuation."""
    min_words: int = 4
    """Words below which a piece between two pauses goes to a neighbour."""
    max_words: int = 40
    """Words of a sentence; a longer one is cut where it hurts least: at a pause, a comma, before `and`."""
    max_seconds: float = 20.0
    """Seconds of a sentence; a longer one is cut as well, into pieces of `min_words` at least."""

    def __post_init__(self) -> None:
        if not 0 <= self.pause < math.inf:
            raise InputError(f"pause={self.pause} is no silence: give seconds, 0 or more")
        if not 0 < self.max_seconds < math.inf:
            raise InputError(f"max_seconds={self.max_seconds} is no length: give seconds above 0")
        if not 1 <= self.min_words <= self.max_words:
            raise InputError(
                f"min_words={self.min_words}, max_words={self.max_words}: give 1 <= min_words <= max_words"
            )


LONG_PAUSE = 2.0
"""Seconds of silence that end a sentence even where punctuation does not."""

LONGEST_WORD = 2.0
"""Seconds that a word takes at most; what follows until the next one is silence."""

WORDS_PER_END = 40
"""A text with fewer full stops than one in so many words counts as one without punctuation."""

# Signs that a sentence ends behind a word, and what each is worth in seconds of silence. Chosen on three real
# files of automatic captions that have full stops, with these taken out.
_BEFORE_OPENER, _BEHIND_COMMA, _BEHIND_LINE, _BEHIND_HANGING = 0.1, 0.3, 0.1, -1.0
_OPENERS_LIST = """
so and but now then next okay ok alright well first second finally once after also because i'm i we we're we'll
we've you you're it's that's there's let's this if when what here's today hi hello hey thanks he she they it
there
"""
_OPENERS = frozenset(_OPENERS_LIST.split())  # words that often begin one
_HANGING_LIST = """
a an the of to and or but my your his her their our its in on at for with from by as into onto is are was were
be been am i'm you're we're they're it's that's there's i we he she they if because so very really just like not
don't can will would could should going have has had gonna wanna these than about some any every each no what
how which who where when while uh um
"""
_HANGING = frozenset(_HANGING_LIST.split())  # words that leave a sentence unfinished


def sentences_of(cues: Sequence[Cue], config: SentenceConfig | None = None) -> list[Cue]:
    """The sentences of a video in order: every word of the cues once, none else.

    A sentence begins with its first word. It ends with the cue where its last word is the
    cue's last, else where the next word begins, but at most `LONGEST_WORD` after a last word
    that has a time of its own. The words of a cue without word times are spread over it by
    their letters. Text without spaces, as Chinese has it, is cut between cues alone.

    Args:
        cues: of one video, sorted by start, 0 <= start <= end < infinity.
        config: None for the defaults.

    Returns:
        Cues without `words`, sorted by start.
    """
    said = _said(cues)
    if not said.words:
        return []
    cuts = _with_words(_cuts(said, config or SentenceConfig()), said.words)
    return [
        Cue(said.starts[first], max(said.starts[last - 1], said.ends[last - 1]), " ".join(said.words[first:last]))
        for first, last in pairwise([0, *cuts, len(said.words)])
    ]


@dataclass(slots=True)
class _Said:
    """The words of a video in order, lists of one length; times in seconds, starts rising."""

    words: list[str] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    silences: list[float] = field(default_factory=list)  # behind each word
    line_ends: list[int] = field(default_factory=list)  # the last words of cues without word times


def _said(cues: Sequence[Cue]) -> _Said:
    said = _Said()
    timed: list[int] = []  # the words with times of their own
    followers = [cue.start for cue in cues[1:]] + [math.inf]
    for cue, follower in zip(cues, followers, strict=False):
        words = cue.text.split()
        if not words:
            continue
        limit = max(cue.start, min(cue.end, follower))  # a cue may stand while others come and go
        starts = _own_times(cue, words, limit)
        place = len(said.words)
        if starts is None:
            starts = _spread(words, cue.start, limit)
            said.ends += [*starts[1:], cue.end]
            said.line_ends.append(place + len(words) - 1)
        else:
            until = [*starts[1:], cue.end]
            said.ends += [min(end, start + LONGEST_WORD) for start, end in zip(starts, until, strict=True)]
            timed += range(place, place + len(words))
        said.words += words
        said.starts += starts
        said.silences += [0.0] * (len(words) - 1) + [max(0.0, follower - cue.end)]
    if timed and timed[-1] == len(said.words) - 1:
        timed.pop()  # nothing follows it
    _hear_silences(said, timed)
    return said


def _own_times(cue: Cue, words: list[str], limit: float) -> list[float] | None:
    """When each word begins, in [cue.start, limit] and rising; None where the cue does not say."""
    if not cue.words:
        return None
    times = [word.start for word in cue.words]
    if [word.text for word in cue.words] != words:
        parts = [(word.start, part) for word in cue.words for part in word.text.split()]
        if [part for _, part in parts] != words:
            return None
        times = [time for time, _ in parts]
    starts, latest = [], cue.start
    for time in times:
        if time > latest:  # never where it is no number
            latest = min(time, limit)
        starts.append(latest)
    return starts


def _spread(words: list[str], start: float, end: float) -> list[float]:
    """When each word begins if all take time by their letters, and the space behind one as much as a letter."""
    letters = [0, *accumulate(len(word) + 1 for word in words)]
    return [start + (end - start) * (before / letters[-1]) for before in letters[:-1]]


def _hear_silences(said: _Said, timed: list[int]) -> None:
    """Adds what passes between the starts of two words beyond what the first of them takes to say.

    Automatic captions show a line until the next begins, so that its end tells of no silence.
    A word takes as long as its letters and one more; what a letter takes is the video's median.
    """
    if not timed:
        return
    at = np.array(timed)
    starts = np.array(said.starts)
    letters = np.fromiter(map(len, said.words), np.int64, count=len(starts))[at] + 1
    gaps = starts[at + 1] - starts[at]
    silences = np.array(said.silences)
    silences[at] = np.maximum(silences[at], gaps - np.median(gaps / letters) * letters)
    said.silences = silences.tolist()


def _cuts(said: _Said, config: SentenceConfig) -> list[int]:
    """The words before which a new sentence begins, rising, without the first."""
    ends = sentence_ends(said.words)
    punctuated = len(ends) * WORDS_PER_END >= len(said.words)
    weights = _weights(said)
    for i in ends:
        weights[i] = math.inf
    if punctuated:  # a full stop is left out before a blank screen more often than a sentence crosses it
        for i in said.line_ends:
            if said.silences[i] >= config.pause and weights[i] > 0 and not pauses(said.words[i]):
                weights[i] = math.inf
    needed = LONG_PAUSE if punctuated else config.pause
    places = [place for place, weight in enumerate(weights[:-1], 1) if weight >= needed]
    cuts: list[int] = []
    for first, last in pairwise([0, *_without_short(places, weights, config.min_words), len(weights)]):
        cuts += [*_within_limits(first, last, said, weights, config), last]
    return cuts[:-1]


def _weights(said: _Said) -> list[float]:
    """How well a sentence may end behind each word, in seconds of silence."""
    behind, before = {}, {}
    for word in {*said.words, ""}:
        bare = word.lower().strip(MARKS)
        behind[word] = _BEHIND_HANGING * (bare in _HANGING) + _BEHIND_COMMA * pauses(word)
        before[word] = _BEFORE_OPENER * (bare in _OPENERS)
    followers = [*said.words[1:], ""]
    weights = [
        silence + behind[word] + before[follower]
        for silence, word, follower in zip(said.silences, said.words, followers, strict=True)
    ]
    for i in said.line_ends:
        weights[i] += _BEHIND_LINE
    return weights


def _without_short(places: list[int], weights: list[float], min_words: int) -> list[int]:
    """The cuts, rising, less those that make too short a piece; of its two cuts the weaker goes.

    A cut at a written end or a long pause stays, however short the piece.
    """
    kept: list[int] = []
    for place in [*places, len(weights)]:
        weight = math.inf if place == len(weights) else weights[place - 1]
        before = weights[kept[-1] - 1] if kept else math.inf
        if place - (kept[-1] if kept else 0) >= min_words:
            kept.append(place)
        elif before < LONG_PAUSE and before <= weight:
            kept[-1] = place
        elif weight >= LONG_PAUSE:
            kept.append(place)
    return kept[:-1]


def _with_words(cuts: list[int], words: list[str]) -> list[int]:
    """The cuts less those that leave a mark alone, without a word, before or behind them."""
    kept: list[int] = []
    begun = False  # whether there is a word since the last cut
    for first, last in pairwise([0, *cuts, len(words)]):
        says = any(character.isalnum() for word in words[first:last] for character in word)
        if says and begun:
            kept.append(first)
        begun = begun or says
    return kept


def _within_limits(
    first: int, last: int, said: _Said, weights: list[float], config: SentenceConfig
) -> Iterator[int]:
    """Further cuts of the sentence `first` to `last`, where it is too long.

    From its beginning on, each as late as the limits allow or up to half as early, wherever the
    weight is greatest (the later on a tie).
    """
    while True:
        least = min(config.min_words, (last - first) // 2)
        too_slow = said.ends[last - 1] - said.starts[first] > config.max_seconds and least >= config.min_words
        if last - first <= config.max_words and not too_slow:
            return
        in_time = bisect_right(said.starts, said.starts[first] + config.max_seconds, first + 1, last) - 1
        furthest = max(first + least, min(last - least, first + config.max_words, in_time))
        earliest = max(first + least, (first + furthest) // 2)
        first = max(range(earliest, furthest + 1), key=lambda place: (weights[place - 1], place))
        yield first
