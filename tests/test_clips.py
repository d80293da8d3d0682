"""Captions -> Clips: the paper's growing rule, by hand and against the rule written out literally."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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

    @settings(max_examples=300)
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
