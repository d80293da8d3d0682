"""Cues whose times cannot be right, found before clips are cut from them.

Stands between `reading` and `captions`. A file may be well formed and still say at what
times nobody can have spoken: a program lost the times, took repeats of rolling captions
for cues, or the file belongs to another video. Pairs made of it would teach that words go
with whatever stands there.
"""

import math
from collections.abc import Sequence

from tellvision.records import Cue, Skip

MOST_WORDS_PER_SECOND = 12.0
"""Fast speech has five or six; the fastest that was ever measured ten to eleven."""

LEAST_WORDS = 100
"""Words below which a rate says nothing: a card with a paragraph stands for a few seconds in many a file."""

LETTERS_OF_A_WORD = 10
"""A word has about five."""

SHARE_AT_ONCE = 0.9
"""Share of the words that is looked at, in the middle: a title and a last line may have times of their own."""

REPEAT_SECONDS = 0.02
"""Converters leave cues of 10 ms; signs of one frame, which people do type, have 33 ms and more."""

LEAST_CUES = 5
"""Cues below which a few short ones are no habit."""

SECONDS_PAST_END = 1.0
"""A video's length is told with less than a second of error."""

MOST_LINES, CROWD_SECONDS = 1000, 5.0
"""More lines than this that begin within so many seconds are times of nonsense, which nobody
speaks; what grows clips out of lines would take hours over them."""


def check_crowd(cues: Sequence[Cue]) -> None:
    """Says so where a thousand lines begin at once: whatever reads them on could not work with them.

    Args:
        cues: of one file, sorted by start.

    Raises:
        Skip: `unreadable_subtitles`.
    """
    for cue, later in zip(cues, cues[MOST_LINES:], strict=False):
        if later.start - cue.start < CROWD_SECONDS:
            raise Skip("unreadable_subtitles", f"{MOST_LINES} lines begin at {cue.start} s")


def check_times(cues: Sequence[Cue], duration: float | None = None) -> None:
    """Says so where the times of a file cannot be right; what passes stays as it is.

    Args:
        cues: of one file, sorted by start, times in seconds; none pass.
        duration: of the video in seconds; None, NaN or 0 where nobody knows.

    Raises:
        Skip: `implausible_times`: most cues begin behind the end of the video, most are
            about 10 ms long, or more is said at once than anyone can say.
    """
    if not cues:
        return
    if duration is not None and 0 < duration < math.inf:
        num_past = sum(cue.start > duration + SECONDS_PAST_END for cue in cues)
        if 2 * num_past > len(cues):
            raise Skip(
                "implausible_times",
                f"{num_past} of {len(cues)} cues begin behind the end of the video ({duration:.1f} s)",
            )
    num_short = sum(cue.end - cue.start <= REPEAT_SECONDS for cue in cues)
    if len(cues) >= LEAST_CUES and 2 * num_short > len(cues):
        raise Skip("implausible_times", f"{num_short} of {len(cues)} cues last {REPEAT_SECONDS} s or less")
    words, seconds = _middle(cues)
    if words >= LEAST_WORDS and words > MOST_WORDS_PER_SECOND * seconds:
        raise Skip("implausible_times", f"{words} words within {seconds:.1f} s: nobody speaks so fast")


def _middle(cues: Sequence[Cue]) -> tuple[int, float]:
    """Words in the middle cues, and the seconds from the first one's start to the last one's end.

    Ten letters and more count as a word, whether or not there is a space among them.
    """
    counts = [max(len(cue.text.split()), len(cue.text) // LETTERS_OF_A_WORD) for cue in cues]
    total, before = sum(counts), 0
    margin = (1 - SHARE_AT_ONCE) / 2 * total
    first, last, words = 0, len(cues) - 1, total
    for at, count in enumerate(counts):
        if before + count > margin:
            first = at
            break
        before += count
    words -= before
    behind = 0
    for at in range(len(cues) - 1, first - 1, -1):
        if behind + counts[at] > margin:
            last = at
            break
        behind += counts[at]
    return words - behind, cues[last].end - cues[first].start
