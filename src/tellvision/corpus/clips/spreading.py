"""Cuts within a line: windows by the clock, and parts of lines that are too long.

A table of captions does not say when a word of a line is said. Here every letter takes equally
long: a guess, but the only one that captions of every kind allow. A word belongs where it begins.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tellvision.corpus.clips.shots import Shots


@dataclass(frozen=True, kw_only=True)
class Lines:
    """What is said in a video, cut or not, in order of time.

    Attributes:
        names: n, the last part of a clip's id.
        starts: (n,) float64 seconds.
        ends: (n,) float64 seconds.
        texts: n.
    """

    names: list[str]
    starts: np.ndarray
    ends: np.ndarray
    texts: list[str]

    def __len__(self) -> int:
        return len(self.names)

    def at(self, places: np.ndarray) -> "Lines":
        """The lines at `places` (k,) int64, in that order."""
        return Lines(
            names=[self.names[i] for i in places.tolist()],
            starts=self.starts[places],
            ends=self.ends[places],
            texts=[self.texts[i] for i in places.tolist()],
        )


def windows_of(
    lines: Lines, window: float, stride: float, limit: float, shots: Shots
) -> tuple[Lines, np.ndarray, int]:
    """The windows of a video in which a word begins.

    Only these are ever made, so that a stray line at the end of the world costs nothing.

    Args:
        lines: of one video.
        window: seconds; windows begin every `stride` seconds from 0 on and end with the video.
        stride: seconds.
        limit: seconds that the video lasts; infinite where that is unknown: up to the last end of a line.
        shots: a window is cut to the shot that holds its middle, and words of other shots left out.

    Returns:
        The windows with their numbers as names; the shot of each (n,); how many windows hold no word.
    """
    if limit == math.inf:
        limit = float(lines.ends.max(initial=0.0))
    words, line, share = _spread(lines)
    times = lines.starts[line] + share * (lines.ends - lines.starts)[line]
    near = np.floor(times / stride)[:, None] + 1 - np.arange(math.ceil(window / stride) + 2)
    begins = near * stride
    said = (near >= 0) & (begins <= times[:, None]) & (times[:, None] < begins + window)
    word, column = np.nonzero(said)
    numbers = near[word, column]
    begins = numbers * stride
    ends = np.maximum(np.minimum(begins + window, limit), begins)
    shot = shots.of(begins, ends)
    kept = shots.hold(times[word], shot)
    order = np.flatnonzero(kept)[np.argsort(numbers[kept], kind="stable")]  # in a window the words stay in order
    edges = np.flatnonzero(np.diff(numbers[order], prepend=-1.0))
    places = word[order].tolist()
    texts = [" ".join([words[i] for i in places[a:b]]) for a, b in pairwise([*edges.tolist(), len(places)])]
    firsts = order[edges]
    starts, stops = shots.within(begins[firsts], ends[firsts], shot[firsts])
    names = [str(int(number)) for number in numbers[firsts].tolist()]
    num_windows = math.ceil(max(min(limit / stride, 2.0**53), numbers[order].max(initial=-1.0) + 1))
    found = Lines(names=names, starts=starts, ends=stops, texts=texts)
    return found, shot[firsts], max(num_windows - len(found), 0)


def parts_of(lines: Lines, longest: float) -> Lines:
    """Lines that last more than `longest` seconds cut into equal parts, named NUMBER.PART from 0.

    Each part keeps the words that begin in it; one in which none does is no line and is left out.
    """
    if longest == math.inf:
        return lines
    lengths = lines.ends - lines.starts
    long = np.array([i for i in np.flatnonzero(lengths > longest).tolist() if lines.texts[i].strip()], np.int64)
    if not len(long):
        return lines
    chosen = lines.at(long)
    words, line, share = _spread(chosen)
    num_parts = np.ceil(np.minimum(lengths[long], longest * 2.0**53) / longest)
    part = np.floor(share * num_parts[line])
    firsts = np.flatnonzero((np.diff(line, prepend=-1) != 0) | (np.diff(part, prepend=-1.0) != 0))
    line, part = line[firsts], part[firsts]
    width = (lengths[long] / num_parts)[line]
    edges = [*firsts.tolist(), len(words)]
    names = [f"{chosen.names[i]}.{int(k)}" for i, k in zip(line.tolist(), part.tolist(), strict=True)]
    starts = chosen.starts[line] + part * width
    ends = np.minimum(starts + width, chosen.ends[line])
    texts = [" ".join(words[a:b]) for a, b in pairwise(edges)]
    whole = lines.at(np.setdiff1d(np.arange(len(lines)), long))
    together = Lines(
        names=whole.names + names,
        starts=np.concatenate([whole.starts, starts]),
        ends=np.concatenate([whole.ends, ends]),
        texts=whole.texts + texts,
    )
    return together.at(np.argsort(together.starts, kind="stable"))


def _spread(lines: Lines) -> tuple[list[str], np.ndarray, np.ndarray]:
    """The words of every line with their punctuation; the line of each, int64; the share of it before each."""
    split = [text.split() for text in lines.texts]
    words = [word for line in split for word in line]
    counts = np.array([len(line) for line in split], np.int64)
    line = np.repeat(np.arange(len(split)), counts)
    letters = np.concatenate([[0], np.cumsum([len(word) for word in words], dtype=np.int64)])  # before each word
    firsts = np.cumsum(counts) - counts
    begun, over = letters[firsts][line], letters[firsts + counts][line]
    return words, line, (letters[:-1] - begun) / (over - begun)
