"""ordered_steps: the released assignment by states is the slow reference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tellvision.localise import ordered_steps


def reference(cost):
    """States bg,1,bg,...,K,bg; ties: stay, then the state before, then two back (paper section 6)."""
    seconds, steps = cost.shape
    num_states = 2 * steps + 1
    best = np.full((seconds, num_states), np.inf)
    came = np.zeros((seconds, num_states), dtype=int)
    for t in range(seconds):
        for s in range(num_states):
            own = float(cost[t, s // 2]) if s % 2 else 0.0
            if t == 0:
                if s < 2:
                    best[t, s] = own
                continue
            moves = [s, s - 1] if s % 2 == 0 else [s - 1, s - 2]
            moves = [m for m in moves if m >= 0]
            chosen = moves[0]
            for m in moves[1:]:
                if best[t - 1, m] < best[t - 1, chosen]:
                    chosen = m
            best[t, s], came[t, s] = best[t - 1, chosen] + own, chosen
    state = num_states - 1 if best[-1, -1] < best[-1, -2] else num_states - 2
    found = np.zeros(steps, dtype=int)
    for t in range(seconds - 1, -1, -1):
        if state % 2:
            found[state // 2] = t
        state = came[t, state]
    return found


def test_worked_by_hand():
    cost = -np.array([[0.9, 0.8], [0.1, 0.9], [0.2, 0.3]])
    # (0, 1): .9 + .9 = 1.8; (0, 2): 1.2; (1, 2): .4
    assert ordered_steps(cost).tolist() == [0, 1]
    # The cheapest second of each alone would be 2 and 0, which is not in order; (1, 2) costs 1, (0, 1) 9.
    assert ordered_steps([[4, 0], [1, 5], [0, 0]]).tolist() == [1, 2]


def test_ties_take_the_earliest_second_but_the_last_step_the_last():
    assert ordered_steps(np.zeros((5, 1))).tolist() == [4]
    assert ordered_steps(np.zeros((5, 3))).tolist() == [0, 1, 4]
    # At the end the background wins only if it is strictly cheaper.
    assert ordered_steps([[1], [0], [0], [1]]).tolist() == [1]
    assert ordered_steps([[1], [0], [1], [0]]).tolist() == [3]


def test_as_many_seconds_as_steps():
    assert ordered_steps(np.arange(9.0).reshape(3, 3)).tolist() == [0, 1, 2]
    assert ordered_steps([[7.0]]).tolist() == [0]


def test_no_steps_and_types():
    found = ordered_steps(np.zeros((4, 0)))
    assert found.shape == (0,)
    assert found.dtype == np.int64
    assert ordered_steps(np.zeros((3, 2), dtype=np.float16)).dtype == np.int64
    assert ordered_steps(np.zeros((0, 0))).shape == (0,)


def test_input_is_left_alone():
    cost = np.array([[1.0, 2.0], [0.0, 3.0], [2.0, 1.0]])
    before = cost.copy()
    ordered_steps(cost)
    assert (cost == before).all()


def test_sums_are_taken_in_float64():
    # In float32, 2**24 + 1 is 2**24 and both ways would tie.
    cost = np.array([[2.0**24, 9], [0, 1.0], [0, 0.0]], dtype=np.float32)
    cost[1:, 0] = 2.0**24 + 2
    assert ordered_steps(cost).tolist() == reference(cost.astype(np.float64)).tolist() == [0, 2]


@pytest.mark.parametrize(
    ("cost", "match"),
    [
        (np.zeros((2, 3)), "2 seconds, 3 steps"),
        (np.array([[0.0], [np.nan]]), "NaN"),
        (np.array([[0.0], [np.inf]]), "infinity"),
        (np.zeros(4), "matrix"),
    ],
)
def test_errors(cost, match):
    with pytest.raises(ValueError, match=match):
        ordered_steps(cost)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_equals_the_states_on_ties(data):
    steps = data.draw(st.integers(1, 5))
    seconds = data.draw(st.integers(steps, 12))
    cost = data.draw(hnp.arrays(np.float64, (seconds, steps), elements=st.integers(-2, 2).map(float)))
    assert ordered_steps(cost).tolist() == reference(cost).tolist()


def test_equals_the_states_on_random_costs():
    random = np.random.default_rng(0)
    for steps, seconds in [(1, 50), (4, 60), (12, 40), (30, 31)]:
        cost = random.normal(size=(seconds, steps)).astype(np.float32)
        found = ordered_steps(cost)
        assert found.tolist() == reference(cost).tolist()
        assert (np.diff(found) > 0).all()
