"""The paper's rule by which short lines grow, all lines of a video at once (section 4.2, released code)."""

import math

import numpy as np
import numpy.typing as npt


def grow(
    starts: npt.ArrayLike,
    ends: npt.ArrayLike,
    min_time: float = 5.0,
    max_time: float = math.inf,
    shots: npt.ArrayLike | None = None,
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
        max_time: seconds; a line stops growing where the span would become longer.
        shots: (n,) the shot that each line lies in, rising: no line grows into another shot. None: one shot.

    Returns:
        first, last: (n,) int64, inclusive line numbers; empty for no lines.

    Raises:
        ValueError: starts or shots that are not sorted, NaN or infinite times, other shapes.
    """
    starts, ends = np.asarray(starts, np.float64), np.asarray(ends, np.float64)
    if starts.ndim != 1 or starts.shape != ends.shape:
        raise ValueError(f"starts and ends need one shape (n,), got {starts.shape} and {ends.shape}")
    if not (np.isfinite(starts).all() and np.isfinite(ends).all() and math.isfinite(min_time)):
        raise ValueError("starts, ends and min_time need to be finite numbers, got NaN or infinity")
    if math.isnan(max_time):
        raise ValueError("max_time needs to be a number of seconds, got NaN")
    if (starts[1:] < starts[:-1]).any():
        raise ValueError("starts need to be sorted: line numbers only mean something in order of time")
    first = np.arange(len(starts), dtype=np.int64)
    last = first.copy()
    end_of_video = len(starts) - 1
    begins, stops = first == 0, first == end_of_video  # lines with no neighbour before them, after them
    if shots is not None:
        shots = np.asarray(shots)
        if shots.shape != starts.shape or (shots[1:] < shots[:-1]).any():
            raise ValueError(f"shots need to rise, one for each of {len(starts)} lines")
        begins[1:] |= shots[1:] != shots[:-1]
        stops[:-1] |= shots[1:] != shots[:-1]
    growing = first.copy()  # the lines whose span may still be too short; all of them step at once
    left, right = first.copy(), first.copy()
    while True:
        short = ends[right] - starts[left] < min_time
        short &= ~(begins[left] & stops[right])
        growing, left, right = growing[short], left[short], right[short]
        if not len(growing):
            return first, last
        with_previous = ends[right] - starts[np.maximum(left - 1, 0)]
        with_next = ends[np.minimum(right + 1, end_of_video)] - starts[left]
        alone = stops[right]
        back = ~begins[left] & (alone | (with_previous <= with_next))
        if max_time < math.inf:
            fits = np.where(back, with_previous, with_next) <= max_time
            growing, left, right, back = growing[fits], left[fits], right[fits], back[fits]
        left, right = left - back, right + ~back
        first[growing], last[growing] = left, right
