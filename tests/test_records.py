"""Seconds become rows in one place: numbers worked by hand, and a slow reference."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tellvision.records import InputError, Skip, rows_of


@pytest.mark.parametrize(
    ("start", "end", "fps", "num_rows", "rows"),
    [
        (0, 5, 1, 100, range(6)),  # the paper's six rows
        (0, 5, 1, 6, range(6)),
        (0, 5, 1, 3, range(3)),  # cut at the end of the track
        (2.9, 2.9, 1, 100, range(2, 3)),  # a moment has the row that shows it
        (0, 0, 1, 1, range(1)),
        (1.5, 4.49, 2, 100, range(3, 9)),
        (10, 20, 0.1, 100, range(1, 3)),
        (10, 20, 1.5, 100, range(15, 31)),
        (99, 1e9, 1, 100, range(99, 100)),
    ],
)
def test_rows_by_hand(start, end, fps, num_rows, rows):
    assert list(range(num_rows))[rows_of(start, end, fps, num_rows)] == list(rows)


@pytest.mark.parametrize(
    ("start", "end"),
    [(-0.1, 5), (5, 4.9), (math.nan, 5), (0, math.nan), (0, math.inf), (-math.inf, 0), (math.inf, math.inf)],
)
def test_times_of_nonsense_are_errors(start, end):
    with pytest.raises(ValueError, match="needs 0 <= start <= end"):
        rows_of(start, end, 1.0, 100)


@pytest.mark.parametrize(("start", "num_rows"), [(100, 100), (0, 0), (250, 100)])
def test_no_row_left_is_an_error(start, num_rows):
    with pytest.raises(ValueError, match=f"begins at row {start} of {num_rows}"):
        rows_of(start, start + 5, 1.0, num_rows)


@settings(max_examples=200, deadline=None)
@given(st.floats(0, 1e4), st.floats(0, 1e4), st.floats(0.01, 60), st.integers(0, 2000))
def test_rows_equal_a_slow_reference(start, length, fps, num_rows):
    end = start + length
    expected = [row for row in range(num_rows) if int(start * fps) <= row <= int(end * fps)]
    if expected:
        assert list(range(num_rows))[rows_of(start, end, fps, num_rows)] == expected
    else:
        with pytest.raises(ValueError, match="no row left"):
            rows_of(start, end, fps, num_rows)


def test_a_skip_says_its_reason_and_its_detail():
    assert str(Skip("no_subtitles", "no file beside x")) == "no_subtitles: no file beside x"
    assert str(Skip("no_subtitles")) == "no_subtitles"
    assert isinstance(InputError("k is 0"), ValueError)
