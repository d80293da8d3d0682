"""The clips of a video, from its captions: moved, cut, grown, padded, thinned, each where it is asked for."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

import numpy as np

from tellvision.corpus.captions import words_of
from tellvision.corpus.clips.config import ClipConfig
from tellvision.corpus.clips.growing import grow
from tellvision.corpus.clips.shots import Shots
from tellvision.corpus.clips.spreading import Lines, parts_of, windows_of
from tellvision.records import Caption, Clip


def clips_of(
    captions: Sequence[Caption],
    duration: float | None = None,
    config: ClipConfig | None = None,
    cuts: Sequence[float] | None = None,
) -> tuple[list[Clip], dict[str, int]]:
    """The clips of a video, in order of time, and what left none.

    By default one clip per caption, grown to the minimum length, the texts joined in order of
    time (paper); `ClipConfig` names the alternatives.

    Args:
        captions: of one video, sorted by start, as `captions_of` gives them.
        duration: of the video in seconds; times are cut there. None: unknown.
        config: None for the defaults.
        cuts: seconds at which the picture is cut, rising; read with `within_shots` only.

    Returns:
        The clips, with ids `VIDEO_ID#NUMBER` by the caption's number (`VIDEO_ID#NUMBER.PART` for the parts
        of a caption longer than `max_time`) or by that of the window, and how many were dropped by reason:
        captions that begin when the video is over and are taken in by no other (`after_end`) or are over
        before it begins (`before_start`, when they are moved); clips in which nothing that is a word is
        said (`no_words`), or as many windows (`empty_windows`); clips of which a shot shows too little
        (`too_short`), or that show what the one kept before them shows (`overlaps`).

    Raises:
        ValueError: a duration or cuts that are no times; `within_shots` without cuts.
    """
    config = config or ClipConfig()
    if duration is not None and not 0 <= duration < math.inf:
        raise ValueError(f"duration={duration} is no length: give seconds, or None where it is unknown")
    if config.within_shots and cuts is None:
        raise ValueError("within_shots needs the cuts of the video: an empty list where it has none")
    limit = math.inf if duration is None else duration
    shots = Shots(cuts if config.within_shots else None)
    dropped: Counter[str] = Counter()
    by_windows = config.by == "windows"
    # Later than this, one window could not be told from the next.
    latest = config.stride * 2.0**52 if by_windows else math.inf
    lines = _within(captions, min(limit, latest), config.shift, dropped)
    num_empty = 0
    if by_windows:
        spans, shot, num_empty = windows_of(lines, config.window, config.stride, limit, shots)
        words = [len(words_of(text)) for text in spans.texts]
    else:
        spans, shot, words = _grown(parts_of(lines, config.room), config, shots)
    starts, ends = spans.starts, spans.ends
    before, after = config.padding
    if before or after:
        starts, ends = shots.within(np.maximum(starts - before, 0.0), np.minimum(ends + after, limit), shot)
    video_id = captions[0].video_id if captions else ""
    clips = [
        Clip(f"{video_id}#{name}", video_id, start, end, text, count)
        for name, start, end, text, count in zip(
            spans.names, starts.tolist(), ends.tolist(), spans.texts, words, strict=True
        )
        if count
    ]
    dropped["empty_windows" if by_windows else "no_words"] = num_empty + len(spans) - len(clips)
    if config.within_shots:
        num_clips = len(clips)
        clips = [clip for clip in clips if clip.end - clip.start >= config.min_shown]
        dropped["too_short"] = num_clips - len(clips)
    if config.max_overlap < 1:
        num_clips = len(clips)
        clips = _thinned(clips, config.max_overlap)
        dropped["overlaps"] = num_clips - len(clips)
    return clips, {reason: count for reason, count in dropped.items() if count}


def _within(captions: Sequence[Caption], limit: float, shift: float, dropped: Counter[str]) -> Lines:
    """The captions that are said before `limit`, `shift` seconds later than they say."""
    starts = np.array([caption.start for caption in captions], np.float64)
    ends = np.array([caption.end for caption in captions], np.float64)
    if shift:
        starts, ends = starts + shift, ends + shift
    lines = Lines(
        names=[str(caption.number) for caption in captions],
        starts=np.maximum(starts, 0.0),
        ends=np.minimum(ends, limit),
        texts=[caption.text for caption in captions],
    )
    early, late = (starts < 0) & (ends <= 0), starts >= limit
    dropped["before_start"], dropped["after_end"] = int(early.sum()), int(late.sum())
    return lines.at(np.flatnonzero(~(early | late))) if any(dropped.values()) else lines


def _grown(lines: Lines, config: ClipConfig, shots: Shots) -> tuple[Lines, np.ndarray, list[int]]:
    """Every line grown, the shot of each and the number of its words."""
    shot = shots.of(lines.starts, lines.ends)
    if config.within_shots:
        order = np.argsort(shot, kind="stable")
        lines, shot = lines.at(order), shot[order]
        # The text stays whole: most of it is said in the shot, and nobody knows which word is not.
        starts, ends = shots.within(lines.starts, lines.ends, shot)
        lines = replace(lines, starts=starts, ends=ends)
    bounds = shot if config.within_shots else None
    first, last = grow(lines.starts, lines.ends, config.min_time, config.room, bounds)
    said, reaches = lines.texts, list(zip(first.tolist(), last.tolist(), strict=True))
    num_words = [0, *accumulate([len(words_of(text)) for text in said])]
    texts = [said[a] if a == b else " ".join(said[a : b + 1]) for a, b in reaches]
    grown = replace(lines, starts=lines.starts[first], ends=lines.ends[last], texts=texts)
    return grown, shot, [num_words[b + 1] - num_words[a] for a, b in reaches]


def _thinned(clips: list[Clip], max_overlap: float) -> list[Clip]:
    """The clips without those that overlap the last one kept by more than a share of the shorter.

    In order of their starts, the shorter of two that start together first; what ends within the last one kept
    overlaps it wholly. So the ends rise too, and no clip overlaps any of those kept before it by more.
    """
    kept: list[int] = []
    for i in sorted(range(len(clips)), key=lambda i: (clips[i].start, clips[i].end)):
        clip, last = clips[i], clips[kept[-1]] if kept else None
        if last is not None:
            shorter = min(clip.end - clip.start, last.end - last.start)
            if clip.end <= last.end or last.end - clip.start > max_overlap * shorter:
                continue
        kept.append(i)
    return [clips[i] for i in sorted(kept)]
