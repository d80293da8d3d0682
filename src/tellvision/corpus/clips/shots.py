"""Cut times -> the shot that something is shown in: the stretch between two cuts that holds its middle."""

import math
from collections.abc import Sequence

import numpy as np


class Shots:
    """The shots of a video; without cuts all of it is one.

    Args:
        cuts: seconds, rising. None: no cut is known or none matters.

    Raises:
        ValueError: cuts that are not sorted or not finite.
    """

    def __init__(self, cuts: Sequence[float] | None = None) -> None:
        times = [] if cuts is None else [float(cut) for cut in cuts]
        if not all(map(math.isfinite, times)) or sorted(times) != times:
            raise ValueError("cuts need to be finite times in seconds, in order")
        self._cuts = np.array(times, np.float64)
        self._edges = np.array([-math.inf, *times, math.inf])

    def of(self, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """(n,) int64: the number of the shot with each middle; a middle on a cut lies in the later shot."""
        if not len(self._cuts):
            return np.zeros(len(starts), np.int64)
        # Halved before they are added: the sum of two very late times would be infinite. A middle that
        # rounding puts past the end is pulled back.
        middles = np.clip(starts / 2 + ends / 2, starts, ends)
        return np.searchsorted(self._cuts, middles, side="right")

    def within(self, starts: np.ndarray, ends: np.ndarray, shots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`starts` and `ends` (n,) cut at both ends of their shots."""
        return np.maximum(starts, self._edges[shots]), np.minimum(ends, self._edges[shots + 1])

    def hold(self, times: np.ndarray, shots: np.ndarray) -> np.ndarray:
        """(n,) bool: whether each time lies in its shot, from the cut that begins it to before the next."""
        return (self._edges[shots] <= times) & (times < self._edges[shots + 1])
