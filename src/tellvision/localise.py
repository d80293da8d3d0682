"""Which second shows which step: an ordered list of steps laid over a video (paper section 6).

Reads a matrix of costs per second and step, such as the negative similarity of every second's
clip to every step's text; gives one second per step. Numpy alone.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def ordered_steps(cost: ArrayLike) -> NDArray[np.int64]:
    """The cheapest second of every step, the steps in the listed order.

    CrossTask's assignment: every step takes exactly one second, seconds without a step are free,
    the sum of the costs is smallest. Sums are taken in float64. Between equal sums a step takes
    the earliest second, except that the last step takes the last second where that is as cheap
    (the released order of preference: stay, then the previous state, then two back; background at
    the end only if strictly cheaper).

    Args:
        cost: (seconds, steps), any finite numbers; `-similarity` to find what is most alike.

    Returns:
        (steps,) int64, strictly rising, from 0. No steps: an empty array.

    Raises:
        ValueError: not a matrix, fewer seconds than steps, NaN or infinity.
    """
    costs = np.asarray(cost, dtype=np.float64)
    if costs.ndim != 2:
        raise ValueError(f"cost is a matrix (seconds, steps), got shape {costs.shape}")
    seconds, steps = costs.shape
    if seconds < steps:
        raise ValueError(f"every step needs a second of its own: {seconds} seconds, {steps} steps")
    if not np.isfinite(costs).all():
        raise ValueError("cost holds NaN or infinity")
    if steps == 0:
        return np.zeros(0, dtype=np.int64)

    # sums[t] = cheapest sum of the steps so far with the present one at second t. The background
    # between two steps is free, so the step before is simply the best one up to t - 1.
    sums = costs[:, 0].copy()
    before = np.zeros((steps, seconds), dtype=np.int64)  # where the step before lies, given this one
    for step in range(1, steps):
        first = step - 1  # no room for the steps before it earlier than this
        best = np.minimum.accumulate(sums[first:-1])
        before[step, step:] = first + _first_minimum(sums[first:-1], best)
        sums[step:] = best + costs[step:, step]

    chosen = np.empty(steps, dtype=np.int64)
    feasible = sums[steps - 1 :]
    last_is_best = feasible[-1] <= feasible.min()
    chosen[-1] = seconds - 1 if last_is_best else steps - 1 + int(feasible.argmin())
    for step in range(steps - 1, 0, -1):
        chosen[step - 1] = before[step, chosen[step]]
    return chosen


def _first_minimum(values: NDArray[np.float64], best: NDArray[np.float64]) -> NDArray[np.int64]:
    """For every place, where the smallest value so far was first met."""
    fresh = np.empty(len(values), dtype=bool)
    fresh[:1] = True
    fresh[1:] = best[1:] < best[:-1]
    return np.maximum.accumulate(np.where(fresh, np.arange(len(values)), 0))
