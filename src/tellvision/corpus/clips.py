"""Captions -> Clips: every caption with the interval it is said in, grown to a minimum length.

Reads what `captions` made; its rows are the table `clips`, whose pictures `vision` pools
(paper section 3.2: every line of subtitles is paired with its own time interval; section
4.2 and the released code: lines grow to 5 seconds by taking in their neighbours).
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tellvision.corpus.captions import words_of
from tellvision.records import Caption, Clip, InputError


@dataclass(frozen=True, kw_only=True)
class ClipConfig:
    """How Captions become Clips."""

    min_time: float = 5.0
    """Seconds that a clip should last; 0 leaves every caption as it is."""

    def __post_init__(self) -> None:
        if not 0 <= self.min_time < math.inf:
            raise InputError(f"min_time={self.min_time} is no length: give seconds, 0 or more")


def grow(
    starts: npt.ArrayLike, ends: npt.ArrayLike, min_time: float = 5.0
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The lines that each line's clip takes in so that it lasts at least `min_time`.

    While the span `ends[last] - starts[first]` is shorter than `min_time`, a line takes in
    the neighbour that gives the shorter total span, the previous one on a tie; at an end
    of the video the only one there is (paper, released code). A video shorter than
    `min_time` is taken in whole.

    Args:
        starts: (n,) seconds, rising (ties allowed).
        ends: (n,) seconds, in any order.
        min_time: seconds.

    Returns:
        first, last: (n,) int64, inclusive line numbers; empty for no lines.

    Raises:
        ValueError: starts that are not sorted, NaN or infinite times, other shapes.
    """
    starts, ends = np.asarray(starts, np.float64), np.asarray(ends, np.float64)
    if starts.ndim != 1 or starts.shape != ends.shape:
        raise ValueError(f"starts and ends need one shape (n,), got {starts.shape} and {ends.shape}")
    if not (np.isfinite(starts).all() and np.isfinite(ends).all() and math.isfinite(min_time)):
        raise ValueError("starts, ends and min_time need to be finite numbers, got NaN or infinity")
    if (starts[1:] < starts[:-1]).any():
        raise ValueError("starts need to be sorted: line numbers only mean something in order of time")
    first = np.arange(len(starts), dtype=np.int64)
    last = first.copy()
    end_of_video = len(starts) - 1
    growing = first.copy()  # the lines whose span may still be too short; all of them step at once
    left, right = first.copy(), first.copy()
    while True:
        short = ends[right] - starts[left] < min_time
        short &= (left > 0) | (right < end_of_video)
        growing, left, right = growing[short], left[short], right[short]
        if not len(growing):
            return first, last
        with_previous = ends[right] - starts[np.maximum(left - 1, 0)]
        with_next = ends[np.minimum(right + 1, end_of_video)] - starts[left]
        back = (left > 0) & ((right == end_of_video) | (with_previous <= with_next))
        left, right = left - back, right + ~back
        first[growing], last[growing] = left, right


def clips_of(
    captions: Sequence[Caption], duration: float | None = None, config: ClipConfig | None = None
) -> tuple[list[Clip], dict[str, int]]:
    """One clip per caption, grown to the minimum length, the texts joined in order of time.

    Args:
        captions: of one video, sorted by start, as `captions_of` gives them.
        duration: of the video in seconds; times are cut there. None: unknown.
        config: None for the defaults.

    Returns:
        The clips in order, with ids `VIDEO_ID#NUMBER` by the caption's number, and how many
        captions left none by reason: `after_end` (begins when the video is over, and is
        taken in by no other), `no_words` (nothing that is a word is said in the clip).
    """
    config = config or ClipConfig()
    if duration is not None and not 0 <= duration < math.inf:
        raise ValueError(f"duration={duration} is no length: give seconds, or None where it is unknown")
    dropped: Counter[str] = Counter()
    kept = list(captions)
    if duration is not None:
        kept = [caption for caption in captions if caption.start < duration]
        dropped["after_end"] = len(captions) - len(kept)
    limit = math.inf if duration is None else duration
    starts = [caption.start for caption in kept]
    ends = [min(caption.end, limit) for caption in kept]
    texts = [caption.text for caption in kept]
    num_words = np.cumsum([0, *(len(words_of(text)) for text in texts)]).tolist()
    clips = []
    for caption, first, last in zip(
        kept, *map(np.ndarray.tolist, grow(starts, ends, config.min_time)), strict=True
    ):
        words = num_words[last + 1] - num_words[first]
        if not words:
            dropped["no_words"] += 1
            continue
        text = texts[first] if first == last else " ".join(texts[first : last + 1])
        clip_id = f"{caption.video_id}#{caption.number}"
        clips.append(Clip(clip_id, caption.video_id, starts[first], ends[last], text, words))
    return clips, {reason: count for reason, count in dropped.items() if count}
