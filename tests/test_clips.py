"""Captions -> Clips: the paper's growing rule, by hand and against the rule written out literally."""

import math
import re
import warnings
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tellvision.corpus import subtitles
from tellvision.corpus.captions import CaptionConfig, captions_of
from tellvision.corpus.clips import ClipConfig, clips_of, grow
from tellvision.records import Caption, Clip, InputError


def grow_literally(starts: list[float], ends: list[float], min_time: float) -> tuple[list[int], list[int]]:
    """While too short, take in the neighbour that gives the shorter total span, the previous on a tie."""
    firsts, lasts = [], []
    for line in range(len(starts)):
        first = last = line
        while ends[last] - starts[first] < min_time:
            spans = []
            if first > 0:
                spans.append((ends[last] - starts[first - 1], 0))
            if last < len(starts) - 1:
                spans.append((ends[last + 1] - starts[first], 1))
            if not spans:
                break
            if min(spans)[1]:
                last += 1
            else:
                first -= 1
        firsts.append(first)
        lasts.append(last)
    return firsts, lasts


def grown(starts: list[float], ends: list[float], min_time: float = 5.0) -> tuple[list[int], list[int]]:
    first, last = grow(np.array(starts), np.array(ends), min_time)
    assert first.dtype == last.dtype == np.int64
    return first.tolist(), last.tolist()


class TestGrow:
    def test_by_hand(self) -> None:
        # Line 0 (3 s) has only line 1: 0-4 s is short, then line 2: 0-10 s.
        # Line 1 (1 s): with 0 it lasts 4 s, with 2 it lasts 7 s: takes 0; then only 2 is left.
        # Line 2 (6 s) is long enough. Line 3 (1 s): with 2 it lasts 8 s, with 4 it lasts 4.5 s: takes 4;
        # then with 2 it lasts 11.5 s, nothing comes after: takes 2.
        assert grown([0, 3, 4, 11, 12], [3, 4, 10, 12, 15.5]) == ([0, 0, 2, 2, 2], [2, 2, 2, 4, 4])

    def test_the_previous_line_on_a_tie(self) -> None:
        assert grown([0, 2, 4], [2, 4, 6], 4) == ([0, 0, 1], [1, 1, 2])

    def test_exactly_min_time_is_enough(self) -> None:
        assert grown([0, 5], [5, 10]) == ([0, 1], [0, 1])

    def test_a_short_video_is_taken_in_whole(self) -> None:
        assert grown([0, 1], [1, 2]) == ([0, 0], [1, 1])
        assert grown([3], [4]) == ([0], [0])

    def test_no_lines(self) -> None:
        assert grown([], []) == ([], [])

    def test_min_time_0_leaves_lines_alone(self) -> None:
        assert grown([0, 1, 1], [1, 1, 2], 0) == ([0, 1, 2], [0, 1, 2])

    def test_a_line_inside_another_shortens_the_span(self) -> None:
        # Line 0 (0-4 s): line 1 (1-2 s) makes it 2 s long, so that line 2 (2-9 s) comes in too.
        assert grown([0, 1, 2], [4, 2, 9])[1][0] == 2

    @pytest.mark.parametrize(
        ("starts", "ends", "message"),
        [
            ([1.0, 0.0], [2.0, 1.0], "sorted"),
            ([math.nan], [1.0], "NaN"),
            ([0.0], [math.nan], "NaN"),
            ([0.0], [math.inf], "infinity"),
            ([0.0, 1.0], [1.0], "one shape"),
            ([[0.0]], [[1.0]], "one shape"),
        ],
    )
    def test_what_is_no_list_of_lines(self, starts: list[float], ends: list[float], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            grow(np.array(starts), np.array(ends))

    def test_min_time_nan(self) -> None:
        with pytest.raises(ValueError, match="NaN"):
            grow([0.0], [1.0], math.nan)

    @settings(max_examples=200, deadline=None)
    @given(
        lines=st.lists(st.tuples(st.integers(0, 12) | st.floats(0, 12), st.integers(0, 6) | st.floats(-1, 6))),
        min_time=st.sampled_from([0.0, 1.0, 5.0, 7.3, 100.0]),
    )
    def test_equals_the_literal_rule(self, lines: list[tuple[float, float]], min_time: float) -> None:
        starts = sorted(float(start) for start, _ in lines)
        ends = [start + length for start, (_, length) in zip(starts, lines, strict=True)]
        assert grown(starts, ends, min_time) == grow_literally(starts, ends, min_time)

    def test_equals_the_literal_rule_on_a_long_video(self) -> None:
        rng = np.random.default_rng(0)
        starts = np.sort(rng.uniform(0, 2000, 800).round(1))
        ends = (starts + rng.uniform(0, 6, 800)).round(1)
        assert grown(starts.tolist(), ends.tolist()) == grow_literally(starts.tolist(), ends.tolist(), 5.0)


class TestGrowWithinLimits:
    def test_growing_stops_before_the_limit(self) -> None:
        # Line 1 (2 s): with 0 it lasts 4 s; taking in 2 would make it 9 s. Line 2 (5 s) is long enough.
        first, last = grow([0, 2, 4], [2, 4, 9], 5.0, max_time=8.0)
        assert (first.tolist(), last.tolist()) == ([0, 0, 2], [1, 1, 2])

    def test_no_line_grows_into_another_shot(self) -> None:
        first, last = grow([0, 2, 4, 6], [2, 4, 6, 8], 5.0, shots=[0, 0, 3, 3])
        assert (first.tolist(), last.tolist()) == ([0, 0, 2, 2], [1, 1, 3, 3])

    def test_what_is_no_limit(self) -> None:
        with pytest.raises(ValueError, match="max_time"):
            grow([0.0], [1.0], max_time=math.nan)
        for shots in ([1, 0], [0]):
            with pytest.raises(ValueError, match="shots need to rise"):
                grow([0.0, 1.0], [1.0, 2.0], shots=shots)

    @settings(deadline=None)
    @given(
        rows=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 6), st.integers(0, 3)), max_size=12),
        min_time=st.sampled_from([0.0, 3.0, 5.0]),
    )
    def test_every_shot_is_a_video_of_its_own(self, rows: list[tuple[int, int, int]], min_time: float) -> None:
        starts = np.array(sorted(start for start, _, _ in rows), float)
        ends = starts + [length for _, length, _ in rows]
        shots = np.array(sorted(shot for _, _, shot in rows), int)
        first, last = grow(starts, ends, min_time, shots=shots)
        for shot in set(shots.tolist()):
            (own,) = np.nonzero(shots == shot)
            alone = grow(starts[own], ends[own], min_time)
            assert ((first[own] - own[0]).tolist(), (last[own] - own[0]).tolist()) == tuple(
                map(np.ndarray.tolist, alone)
            )


def lines(*rows: tuple[float, float, str]) -> list[Caption]:
    return [Caption("v", number, start, end, text, "typed") for number, (start, end, text) in enumerate(rows)]


class TestClips:
    def test_by_hand(self) -> None:
        captions = lines((0, 3, "Crack two"), (3, 4, "eggs, it's"), (4, 10, "easy"), (20, 30, "Whisk"))
        clips, dropped = clips_of(captions)
        assert clips == [
            Clip("v#0", "v", 0, 10, "Crack two eggs, it's easy", 5),
            Clip("v#1", "v", 0, 10, "Crack two eggs, it's easy", 5),
            Clip("v#2", "v", 4, 10, "easy", 1),
            Clip("v#3", "v", 20, 30, "Whisk", 1),
        ]
        assert dropped == {}

    def test_times_are_cut_at_the_end_of_the_video(self) -> None:
        captions = lines((0, 6, "a"), (8, 20, "b"), (10, 12, "c"), (11, 12, "d"))
        clips, dropped = clips_of(captions, duration=10.0)
        assert [(c.clip_id, c.start, c.end, c.text) for c in clips] == [("v#0", 0, 6, "a"), ("v#1", 0, 10, "a b")]
        assert dropped == {"after_end": 2}

    def test_a_clip_without_words_is_dropped(self) -> None:
        clips, dropped = clips_of(lines((0, 6, "..."), (6, 12, "b")), config=ClipConfig(min_time=5))
        assert [clip.clip_id for clip in clips] == ["v#1"]
        assert dropped == {"no_words": 1}

    def test_none(self) -> None:
        assert clips_of([]) == ([], {})
        assert clips_of(lines((0, 1, "a")), duration=0.0) == ([], {"after_end": 1})

    def test_wrong_lengths_are_named(self) -> None:
        for min_time in (-1.0, math.nan, math.inf):
            with pytest.raises(InputError, match="min_time="):
                ClipConfig(min_time=min_time)
        with pytest.raises(ValueError, match="duration=nan"):
            clips_of([], duration=math.nan)

    @given(
        rows=st.lists(
            st.tuples(st.floats(0, 60), st.floats(0, 9), st.sampled_from(["a", "b c", "..."])), max_size=12
        ),
        duration=st.none() | st.floats(0, 60),
    )
    def test_every_caption_is_a_clip_or_counted(
        self, rows: list[tuple[float, float, str]], duration: float | None
    ) -> None:
        captions = lines(*[(start, start + length, text) for start, length, text in sorted(rows)])
        clips, dropped = clips_of(captions, duration)
        assert len(clips) + sum(dropped.values()) == len(captions)
        assert len({clip.clip_id for clip in clips}) == len(clips)
        for clip in clips:
            assert 0 <= clip.start <= clip.end
            assert duration is None or (clip.start < duration and clip.end <= duration)
            own = captions[int(clip.clip_id.removeprefix("v#"))]
            assert own.text in clip.text
            assert clip.start <= own.start
            assert clip.words == sum(len(text.replace(".", "").split()) for text in [clip.text])


def spans(clips: list[Clip]) -> list[tuple[str, float, float, str]]:
    return [(clip.clip_id, clip.start, clip.end, clip.text) for clip in clips]


class TestWindows:
    def test_by_hand(self) -> None:
        # Ten letters in 10 s: "crack" begins at 0 s, "two" at 5 s, "eg" at 8 s. Nothing is said from 10 to 20 s.
        captions = lines((0, 10, "crack two eg"), (20, 21, "Whisk!"))
        clips, dropped = clips_of(captions, 26.0, ClipConfig(by="windows", window=6, stride=4))
        assert clips == [
            Clip("v#0", "v", 0, 6, "crack two", 2),
            Clip("v#1", "v", 4, 10, "two eg", 2),
            Clip("v#2", "v", 8, 14, "eg", 1),
            Clip("v#4", "v", 16, 22, "Whisk!", 1),
            Clip("v#5", "v", 20, 26, "Whisk!", 1),
        ]
        assert dropped == {"empty_windows": 2}  # 12-18 s and 24-26 s

    def test_the_last_window_ends_with_the_video_or_with_what_is_said(self) -> None:
        config = ClipConfig(by="windows", window=8, stride=8)
        assert spans(clips_of(lines((0, 12, "a b")), 10.0, config)[0]) == [("v#0", 0, 8, "a b")]
        assert spans(clips_of(lines((0, 12, "a b c d")), None, config)[0]) == [
            ("v#0", 0, 8, "a b c"),
            ("v#1", 8, 12, "d"),
        ]

    def test_lines_that_overlap_keep_their_words_together(self) -> None:
        captions = lines((0, 4, "a b c d"), (1, 3, "e f"))
        assert clips_of(captions, 8.0, ClipConfig(by="windows"))[0][0].text == "a b c d e f"

    def test_none(self) -> None:
        config = ClipConfig(by="windows", window=5, stride=5)
        assert clips_of([], None, config) == ([], {})
        assert clips_of([], 11.0, config) == ([], {"empty_windows": 3})
        assert clips_of(lines((0, 4, "...")), 5.0, config) == ([], {"empty_windows": 1})
        assert clips_of(lines((0, 4, "a")), 0.0, config) == ([], {"after_end": 1})

    def test_a_line_at_the_end_of_the_world_costs_nothing(self) -> None:
        captions = lines((0, 1, "a"), (1e12, 1e12, "b"), (1e300, 1e300, "c"), (1.7e308, 1.7e308, "d"))
        clips, dropped = clips_of(captions, None, ClipConfig(by="windows"))
        assert [clip.text for clip in clips] == ["a", "b", "b"]
        assert dropped == {"after_end": 2, "empty_windows": 2.5e11 - 2}

    @settings(deadline=None)
    @given(
        rows=st.lists(
            st.tuples(st.integers(0, 40), st.integers(0, 12), st.sampled_from(["a", "bb c", "...", "d e fff g"])),
            max_size=8,
        ),
        window=st.sampled_from([1.0, 4.0, 7.5]),
        stride=st.sampled_from([1.0, 4.0, 0.5]),
        duration=st.none() | st.integers(0, 50),
        cuts=st.none() | st.lists(st.integers(0, 50), max_size=5).map(sorted),
    )
    def test_equals_plain_loops(
        self,
        rows: list[tuple[int, int, str]],
        window: float,
        stride: float,
        duration: int | None,
        cuts: list[int] | None,
    ) -> None:
        captions = lines(*[(start, start + length, text) for start, length, text in sorted(rows)])
        config = ClipConfig(by="windows", window=window, stride=stride, within_shots=cuts is not None)
        clips, dropped = clips_of(captions, duration, config, cuts)
        assert (spans(clips), dropped) == windows_literally(captions, window, stride, duration, cuts)


def windows_literally(
    captions: list[Caption], window: float, stride: float, duration: int | None, cuts: list[int] | None
) -> tuple[list[tuple[str, float, float, str]], dict[str, int]]:
    """Every word, every window, every shot in turn."""
    limit = math.inf if duration is None else duration
    told = [caption for caption in captions if caption.start < limit]
    words = []
    for caption in told:
        letters, before = len(caption.text.replace(" ", "")), 0
        for word in caption.text.split():
            words.append((caption.start + before / letters * (min(caption.end, limit) - caption.start), word))
            before += len(word)
    limit = max((caption.end for caption in told), default=0) if duration is None else duration
    found, dropped, number = [], Counter(after_end=len(captions) - len(told)), 0
    while number * stride < limit or any(number * stride <= time for time, _ in words):
        start, end = number * stride, min(number * stride + window, limit)
        low, high = -math.inf, math.inf
        for cut in cuts or []:
            if cut <= (start + end) / 2:
                low = max(low, cut)
            else:
                high = min(high, cut)
        inside = [word for time, word in words if start <= time < start + window and low <= time < high]
        if not re.search(r"\w", " ".join(inside)):
            dropped["empty_windows"] += 1
        elif cuts is not None and min(end, high) - max(start, low) < 0.5:
            dropped["too_short"] += 1
        else:
            found.append((f"v#{number}", max(start, low), min(end, high), " ".join(inside)))
        number += 1
    return found, {reason: count for reason, count in dropped.items() if count}


class TestShots:
    def test_a_clip_keeps_to_the_shot_of_its_middle(self) -> None:
        captions = lines((0, 4, "a"), (4, 10, "b"), (10, 11, "c"))
        clips, dropped = clips_of(captions, 20.0, ClipConfig(within_shots=True), [5.0, 10.5])
        # "b" is seen from 5 s on, where "a" is not; "c" has its middle on the cut and half a second after it.
        assert spans(clips) == [("v#0", 0, 4, "a"), ("v#1", 5, 10, "b"), ("v#2", 10.5, 11, "c")]
        assert dropped == {}

    def test_lines_grow_within_their_shot(self) -> None:
        captions = lines((0, 2, "a"), (2, 4, "b"), (4, 6, "c"), (6, 8, "d"))
        clips, _ = clips_of(captions, 8.0, ClipConfig(within_shots=True), [4.0])
        assert spans(clips) == [
            ("v#0", 0, 4, "a b"),
            ("v#1", 0, 4, "a b"),
            ("v#2", 4, 8, "c d"),
            ("v#3", 4, 8, "c d"),
        ]

    def test_what_a_shot_shows_too_little_of_is_dropped(self) -> None:
        captions = lines((0, 4, "a"), (4, 4.4, "b"))
        config = ClipConfig(within_shots=True, min_shown=1)
        assert clips_of(captions, 9.0, config, [4.0, 4.4])[1] == {"too_short": 1}

    def test_a_line_over_many_shots(self) -> None:
        clips, _ = clips_of(lines((0, 10, "a b c")), 10.0, ClipConfig(within_shots=True), [1.0, 4.0, 7.0, 9.0])
        assert spans(clips) == [("v#0", 4, 7, "a b c")]

    def test_padding_stays_in_the_shot(self) -> None:
        config = ClipConfig(within_shots=True, pad_before=3, pad_after=3)
        assert spans(clips_of(lines((4, 10, "a")), 11.0, config, [3.0])[0]) == [("v#0", 3, 11, "a")]

    def test_cuts_are_asked_for(self) -> None:
        with pytest.raises(ValueError, match="needs the cuts"):
            clips_of([], 1.0, ClipConfig(within_shots=True))
        for cuts in ([2.0, 1.0], [math.nan]):
            with pytest.raises(ValueError, match="cuts need to be finite"):
                clips_of([], 1.0, ClipConfig(within_shots=True), cuts)
        assert clips_of(lines((0, 5, "a")), 5.0, ClipConfig(), [2.0])[0][0].end == 5  # not asked for


class TestPadding:
    def test_more_is_shown_up_to_the_ends_of_the_video(self) -> None:
        captions = lines((1, 7, "a"), (8, 14, "b"))
        clips, _ = clips_of(captions, 15.0, ClipConfig(pad_before=2, pad_after=3))
        assert spans(clips) == [("v#0", 0, 10, "a"), ("v#1", 6, 15, "b")]

    def test_below_zero_everything_moves(self) -> None:
        captions = lines((0, 6, "a"), (8, 14, "b"))
        later, dropped = clips_of(captions, 9.0, ClipConfig(pad_before=-2, pad_after=3))
        assert (spans(later), dropped) == ([("v#0", 2, 9, "a")], {"after_end": 1})
        earlier, dropped = clips_of(captions, 9.0, ClipConfig(pad_before=7, pad_after=-6))
        assert (spans(earlier), dropped) == ([("v#1", 1, 8, "b")], {"before_start": 1})


class TestMaxTime:
    def test_a_long_line_is_cut_into_equal_parts(self) -> None:
        # 12 s are three parts of 4 s; "dddddddd" begins at 3 of 12 letters, in the first of them.
        config = ClipConfig(min_time=0, max_time=5)
        clips, dropped = clips_of(lines((0, 12, "a b c dddddddd e"), (3, 4, "x")), None, config)
        assert spans(clips) == [
            ("v#0.0", 0, 4, "a b c dddddddd"),
            ("v#1", 3, 4, "x"),
            ("v#0.2", 8, 12, "e"),
        ]
        assert dropped == {}

    def test_with_what_is_shown_around_it(self) -> None:
        config = ClipConfig(min_time=2, max_time=6, pad_before=1, pad_after=1)
        clips, _ = clips_of(lines((1, 9, "a b"), (9, 10, "c")), 11.0, config)
        assert spans(clips) == [("v#0.0", 0, 6, "a"), ("v#0.1", 4, 10, "b"), ("v#1", 8, 11, "c")]

    def test_parts_of_the_largest_times(self) -> None:
        config = ClipConfig(min_time=0, max_time=1e-3)
        assert len(clips_of(lines((0, 1.7e308, "a b c")), None, config)[0]) == 3


class TestOverlaps:
    def test_by_hand(self) -> None:
        captions = lines((0, 10, "a"), (4, 14, "b"), (8, 18, "c"), (9, 12, "d"))
        for share, kept in [(1.0, [0, 1, 2, 3]), (0.6, [0, 1, 2]), (0.5, [0, 2]), (0.1, [0])]:
            clips, dropped = clips_of(captions, None, ClipConfig(max_overlap=share))
            assert [clip.clip_id for clip in clips] == [f"v#{number}" for number in kept]
            assert sum(dropped.values()) == 4 - len(kept)
            assert set(dropped) <= {"overlaps"}

    def test_what_growing_made_alike_is_kept_once(self) -> None:
        captions = lines((0, 2, "a"), (2, 4, "b"), (4, 6, "c"), (20, 26, "d"))
        clips, dropped = clips_of(captions, None, ClipConfig(max_overlap=0.99))
        assert [clip.text for clip in clips] == ["a b c", "d"]
        assert dropped == {"overlaps": 2}


class TestConfig:
    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"by": "verses"}, "by='verses'"),
            ({"max_time": -1.0}, "max_time="),
            ({"min_shown": math.nan}, "min_shown="),
            ({"by": "windows", "window": 0.0}, "window="),
            ({"by": "windows", "stride": math.inf}, "stride="),
            ({"by": "windows", "window": 60.0, "stride": 1.0}, "twentieth"),
            ({"pad_before": math.nan}, "pad_before="),
            ({"pad_before": 1.0, "pad_after": -2.0}, "shorten"),
            ({"max_overlap": 1.1}, "max_overlap="),
            ({"max_time": 4.0}, "raise max_time"),
            ({"max_time": 8.0, "pad_after": 4.0}, "leaves 4 s"),
            ({"max_time": 8.0, "pad_after": 8.0, "min_time": 0.0}, "leaves 0 s"),
        ],
    )
    def test_what_makes_no_sense_is_named(self, fields: dict, message: str) -> None:
        with pytest.raises(InputError, match=re.escape(message)):
            ClipConfig(**fields)

    @pytest.mark.parametrize(
        ("fields", "idle"),
        [
            ({"by": "windows", "min_time": 3.0}, "min_time"),
            ({"by": "windows", "max_time": 30.0}, "max_time"),
            ({"window": 9.0, "stride": 1.0}, "window, stride"),
            ({"min_shown": 2.0}, "min_shown"),
        ],
    )
    def test_what_has_no_effect_is_told(self, fields: dict, idle: str) -> None:
        with pytest.warns(UserWarning, match=rf"no effect .*: {idle}$"):
            ClipConfig(**fields)


@st.composite
def configs(draw: st.DrawFn) -> ClipConfig:
    """Any configuration that makes sense."""
    pads = draw(st.sampled_from([(0.0, 0.0), (1.0, 2.5), (-2.0, 2.0), (4.0, -1.5), (-1.0, 3.0)]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of options without effect
        return ClipConfig(
            by=draw(st.sampled_from(["lines", "windows"])),
            min_time=draw(st.sampled_from([0.0, 1.0, 5.0])),
            max_time=draw(st.sampled_from([0.0, 10.0])),
            window=draw(st.sampled_from([2.0, 8.0])),
            stride=draw(st.sampled_from([2.0, 3.3])),
            pad_before=pads[0],
            pad_after=pads[1],
            within_shots=draw(st.booleans()),
            min_shown=draw(st.sampled_from([0.0, 0.5])),
            max_overlap=draw(st.sampled_from([0.0, 0.3, 0.9, 1.0])),
        )


@settings(max_examples=200, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.integers(0, 60) | st.floats(0, 60),
            st.integers(0, 30) | st.floats(0, 9),
            st.sampled_from(["a", "b c", "...", "it's red", "one two three four five"]),
        ),
        max_size=12,
    ),
    duration=st.none() | st.floats(0, 70),
    config=configs(),
    cuts=st.lists(st.integers(0, 70) | st.floats(0, 70), max_size=8).map(sorted),
)
def test_clips_keep_what_their_configuration_promises(
    rows: list[tuple[float, float, str]], duration: float | None, config: ClipConfig, cuts: list[float]
) -> None:
    captions = lines(*[(start, start + length, text) for start, length, text in sorted(rows)])
    clips, dropped = clips_of(captions, duration, config, cuts)
    assert len({clip.clip_id for clip in clips}) == len(clips)
    for clip in clips:
        assert 0 <= clip.start <= clip.end
        assert duration is None or clip.end <= duration
        assert clip.words == len(re.findall(r"[\w']+", clip.text)) > 0
        if config.by == "lines" and config.max_time:
            assert clip.end - clip.start <= config.max_time + 1e-9
        if config.within_shots:
            assert not any(clip.start < cut < clip.end for cut in cuts)
            assert clip.end - clip.start >= config.min_shown
    if config.max_overlap < 1:
        for i, one in enumerate(clips):
            for other in clips[i + 1 :]:
                shared = min(one.end, other.end) - max(one.start, other.start)
                shorter = min(one.end - one.start, other.end - other.start)
                assert shared <= config.max_overlap * shorter + 1e-9
    if config.by == "lines":
        # Parts of long lines beside: every caption is a clip or counted once.
        whole = {clip.clip_id.partition(".")[0] for clip in clips}
        assert len(whole) + sum(dropped.values()) >= len(captions)
        if not config.max_time:
            assert len(clips) + sum(dropped.values()) == len(captions)
    else:
        lost = dropped.get("after_end", 0) + dropped.get("before_start", 0)
        ends = [c.end + config.shift for c in captions if c.end + config.shift > 0 or c.start + config.shift >= 0]
        length = max(ends, default=0.0) if duration is None else duration
        windows = len(clips) + sum(dropped.values()) - lost
        assert math.ceil(length / config.stride) <= windows <= math.ceil(length / config.stride) + 1


@pytest.mark.parametrize("unit", ["lines", "sentences"])
def test_the_defaults_are_the_literal_rule_on_real_captions(real_data, unit: str) -> None:
    for path in sorted((real_data / "youtube_rolling_captions").iterdir())[:3]:
        captions = captions_of("v", subtitles.read(path), "automatic", CaptionConfig(unit=unit))
        first, last = grow_literally([c.start for c in captions], [c.end for c in captions], 5.0)
        clips, dropped = clips_of(captions)
        assert (len(clips), dropped) == (len(captions), {})
        for clip, caption, a, b in zip(clips, captions, first, last, strict=True):
            assert clip.clip_id == f"v#{caption.number}"
            assert (clip.start, clip.end) == (captions[a].start, captions[b].end)
            assert clip.text == " ".join(c.text for c in captions[a : b + 1])


def test_windows_of_real_captions_say_every_word_once(real_data) -> None:
    path = min((real_data / "youtube_rolling_captions").iterdir())
    captions = captions_of("v", subtitles.read(path), "automatic")
    clips, _ = clips_of(captions, None, ClipConfig(by="windows", window=8, stride=8))
    said = Counter(word for clip in clips for word in clip.text.split())
    assert said == Counter(word for caption in captions for word in caption.text.split())
