"""The parts of the towers: fast forms equal to the plain ones, numbers by hand, what must not count does not."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from tellvision.embedding.config import StepsConfig
from tellvision.embedding.towers import centre as centre_module
from tellvision.embedding.towers import maximum, units
from tellvision.embedding.towers.centre import Centre
from tellvision.embedding.towers.maximum import relu_and_max
from tellvision.embedding.towers.pooling import WordPool, distinct_of
from tellvision.embedding.towers.steps import StepsTower, spread_evenly
from tellvision.embedding.towers.units import gated
from tellvision.records import InputError

HALF = torch.bfloat16


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def with_gradients(function, *inputs):
    """The result and the gradients of a weighted sum of it, in float32."""
    inputs = [each.detach().clone().requires_grad_() for each in inputs]
    result = function(*inputs)
    (result.float() * torch.randn(result.shape, generator=rng(9))).sum().backward()
    return result.detach(), *(each.grad for each in inputs)


def assert_close(found, expected, **tolerance):
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype
        torch.testing.assert_close(a, b, **tolerance)


# ---- the gated unit


def plain_gated(x, gate):
    return F.normalize(x.float() * torch.sigmoid(gate.float()), dim=1)


@pytest.mark.parametrize("dtype", [torch.float32, HALF])
@pytest.mark.parametrize("at_once", [4, 24, 1 << 17])
def test_gated_equals_the_plain_form(monkeypatch, dtype, at_once):
    monkeypatch.setattr(units, "_AT_ONCE", at_once)
    x, gate = (torch.randn(7, 8, generator=rng(seed)).to(dtype) for seed in (1, 2))
    tolerance = {"atol": 1e-6, "rtol": 1e-5} if dtype == torch.float32 else {"atol": 2e-2, "rtol": 2e-2}
    found, expected = with_gradients(gated, x, gate), with_gradients(plain_gated, x, gate)
    assert found[0].dtype == torch.float32
    assert_close(found[:1], expected[:1], atol=1e-6, rtol=1e-5)
    assert_close(found[1:], expected[1:], **tolerance)


def test_gated_zeros_stay_zeros_and_nothing_is_fine():
    found, of_x, of_gate = with_gradients(gated, torch.zeros(2, 3), torch.ones(2, 3))
    assert (found == 0).all()
    assert torch.isfinite(of_x).all()
    assert (of_gate == 0).all()
    assert gated(torch.zeros(0, 3), torch.zeros(0, 3)).shape == (0, 3)
    assert torch.isnan(gated(torch.full((1, 2), torch.nan), torch.zeros(1, 2))).all()


# ---- the maximum


def plain_max(rows, places):
    return F.relu(rows[places].amax(dim=1))


def test_relu_and_max_by_hand():
    rows = torch.tensor([[1.0, -2.0, 5.0], [3.0, -1.0, 4.0]], requires_grad=True)
    found = relu_and_max(rows, torch.tensor([[0, 1], [0, 0]]))
    assert found.tolist() == [[3.0, 0.0, 5.0], [1.0, 0.0, 5.0]]
    found.sum().backward()
    # Each number to the row that it came from; what ReLU cut off to none.
    assert rows.grad.tolist() == [[1.0, 0.0, 2.0], [1.0, 0.0, 0.0]]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.integers(1, 6), st.integers(0, 9), st.integers(0, 99), st.booleans())
def test_relu_and_max_equals_the_plain_form(num_rows, num_words, num_texts, seed, half):
    # All different, also in half precision: of equal rows one takes the whole gradient.
    numbers = torch.randperm(num_rows * 5, generator=rng(seed)) + 0.5 - num_rows * 2.5
    rows = numbers.reshape(num_rows, 5).to(HALF if half else torch.float32)
    places = torch.randint(0, num_rows, (num_texts, num_words), generator=rng(seed + 1))
    # A text that says a word twice halves the gradient of the plain form between equals: the sum is the same.
    found = with_gradients(lambda given: relu_and_max(given, places), rows)
    expected = with_gradients(lambda given: plain_max(given.float(), places), rows.float())
    assert found[0].dtype == rows.dtype
    torch.testing.assert_close(found[0].float(), expected[0], atol=0, rtol=0)
    torch.testing.assert_close(found[1].float(), expected[1], atol=2e-2 if half else 1e-6, rtol=1e-2)
    with torch.no_grad():
        assert torch.equal(relu_and_max(rows, places), found[0])


def test_blocks_change_nothing(monkeypatch):
    rows = torch.randn(6, 4, generator=rng())
    places = torch.randint(0, 6, (9, 3), generator=rng())
    whole = with_gradients(lambda given: relu_and_max(given, places), rows)
    monkeypatch.setattr(maximum, "_AT_ONCE", 8)
    assert_close(with_gradients(lambda given: relu_and_max(given, places), rows), whole)


def test_more_rows_than_places_in_sixteen_bits():
    rows = torch.randn((1 << 16) + 3, 2, generator=rng()).to(HALF)
    places = torch.tensor([[0, len(rows) - 1], [65536, 65535]])
    found, of_rows = with_gradients(lambda given: relu_and_max(given, places), rows)
    torch.testing.assert_close(found.float(), plain_max(rows.float(), places))
    assert set(torch.nonzero(of_rows.abs().sum(dim=1)).flatten().tolist()) <= {0, 65535, 65536, len(rows) - 1}


def test_nan_is_not_hidden_where_nothing_is_learned():
    rows = torch.tensor([[1.0], [-torch.nan]])
    assert torch.isnan(relu_and_max(rows, torch.tensor([[0, 1], [1, 0]]))).all()


# ---- pooling


def dense_pool(pool, rows, places):
    """One text after the other."""
    rows = F.relu(rows) if pool.relu else rows
    result = []
    for some in places:
        words = rows[some[some < len(rows) - 1]]
        if pool.kind == "max":
            words = rows[some] if pool.empty_counts else words
            result.append(words.amax(dim=0))
        else:
            scores = (
                words @ pool.query / rows.shape[1] ** 0.5 if pool.query is not None else torch.zeros(len(words))
            )
            result.append(scores.softmax(dim=0) @ words)
    return torch.stack(result)


@pytest.mark.parametrize("kind", ["max", "mean", "attention"])
@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("empty_counts", [True, False])
def test_pools_equal_the_plain_form(kind, relu, empty_counts):
    pool = WordPool(kind, 6, relu=relu, empty_counts=empty_counts)
    if pool.query is not None:
        with torch.no_grad():
            pool.query.normal_(generator=rng(4))
    rows = torch.randn(6, 6, generator=rng(1))
    rows[5] = 3.0  # of the empty place
    places = torch.tensor([[0, 1, 2], [3, 5, 5], [4, 4, 5], [5, 2, 5]])
    found = with_gradients(lambda given: pool(given, places), rows)
    of_query = None if pool.query is None else pool.query.grad.clone()
    pool.zero_grad()
    assert_close(found, with_gradients(lambda given: dense_pool(pool, given, places), rows), atol=1e-5, rtol=1e-4)
    if pool.query is not None:
        torch.testing.assert_close(of_query, pool.query.grad)


def test_attention_begins_as_the_mean_and_learns():
    rows = torch.randn(4, 3, generator=rng())
    places = torch.tensor([[0, 1, 3]])
    pool = WordPool("attention", 3, relu=False)
    torch.testing.assert_close(pool(rows, places), rows[:2].mean(dim=0)[None])
    pool(rows, places)[0, 0].backward()
    assert pool.query.grad.abs().sum() > 0


@pytest.mark.parametrize("kind", ["max", "mean", "attention"])
def test_pools_in_half_precision(kind):
    pool = WordPool(kind, 4, relu=True)
    rows = torch.randn(5, 4, generator=rng())
    places = torch.tensor([[0, 1, 4], [4, 4, 4]])  # the last one says nothing
    with torch.autocast("cpu", HALF):
        found, of_rows = with_gradients(lambda given: pool(given.to(HALF), places), rows)
    torch.testing.assert_close(found[0].float(), pool(rows, places)[0].float(), atol=2e-2, rtol=2e-2)
    assert torch.isfinite(found).all()
    assert torch.isfinite(of_rows).all()


def test_distinct_by_hand():
    distinct, places = distinct_of(torch.tensor([[7, 3, -1], [3, -1, -1]], dtype=torch.int32))
    assert distinct.tolist() == [3, 7]
    assert places.tolist() == [[1, 0, 2], [0, 2, 2]]
    distinct, places = distinct_of(torch.full((2, 2), -1))
    assert (distinct.tolist(), places.tolist()) == ([], [[0, 0], [0, 0]])


# ---- steps

WIDTHS = (3, 2)
STEPS = StepsConfig(width=16, heads=4, layers=2, dropout=0.0)


@pytest.fixture
def tower():
    torch.manual_seed(0)
    return StepsTower(WIDTHS, STEPS).eval()


def some_steps(n=4, length=5, seed=0):
    return torch.randn(n, length, sum(WIDTHS), generator=rng(seed))


@torch.no_grad()
def test_what_stands_behind_the_steps_does_not_count(tower):
    clips, steps = some_steps(), torch.tensor([5, 1, 3, 2])
    found = tower(clips, steps)
    assert found.shape == (4, 16)
    for garbage in (0.0, 1e4, torch.nan, torch.inf):
        spoiled = clips.clone()
        spoiled[torch.arange(5)[None] >= steps[:, None]] = garbage
        torch.testing.assert_close(tower(spoiled, steps), found)
    for clip, number, expected in zip(clips, steps, found, strict=True):
        torch.testing.assert_close(tower(clip[None, :number])[0], expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_order_and_track_count(tower):
    clips = some_steps()
    assert (tower(clips.flip(1)) - tower(clips)).abs().max() > 1e-3
    torch.testing.assert_close(tower(clips[:, 0]), tower(clips[:, :1]))  # a row is a clip of one step
    torch.testing.assert_close(tower(7 * clips), tower(clips), atol=1e-5, rtol=1e-5)  # rows come to unit length
    tower = StepsTower((2, 2), STEPS).eval()
    tower.rows[1].load_state_dict(tower.rows[0].state_dict())
    one, other = (torch.randn(1, 3, 2, generator=rng(seed)) for seed in (1, 2))
    found = [tower(torch.cat(pair, dim=2)) for pair in ((one, other), (other, one))]
    assert (found[0] - found[1]).abs().max() > 1e-4


def test_everything_learns_also_in_half_precision(tower):
    tower.train()
    clips, steps = some_steps(), torch.tensor([5, 1, 3, 2])
    clips[1, 1:] = torch.nan
    with torch.autocast("cpu", HALF):
        (tower(clips.half(), steps) * torch.randn(16, generator=rng())).sum().backward()
    for name, parameter in tower.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_a_step_of_zeros_is_a_number(tower):
    assert torch.isfinite(tower(torch.zeros(2, 3, 5))).all()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=12).filter(any), st.integers(1, 6))
def test_spread_evenly_equals_numpy(counts, most):
    steps = torch.arange(len(counts), dtype=torch.float32)[None, :, None] + 10
    found, number = spread_evenly(steps, torch.tensor([counts]), most)
    kept = np.flatnonzero(counts)
    if len(kept) > most:
        places = np.linspace(0, len(kept) - 1, most)
        kept = kept[np.floor(places + 0.5 + 1e-9).astype(int)]
    assert number.tolist() == [len(kept)]
    assert found.shape[1] == min(len(counts), most)
    assert (found[0, : len(kept), 0] - 10).tolist() == kept.tolist()


def test_a_centre_by_hand():
    centre = Centre(2)
    assert not centre.is_settled
    centre.settle(torch.tensor([[1.0, 0.0], [3.0, 0.0]]))
    assert centre.mean.tolist() == [2.0, 0.0]
    # Squared distances 1, 0, 1, 0: a variance of 1/2 on average.
    assert torch.allclose(centre(torch.tensor([[3.0, 1.0]])), torch.tensor([[2**0.5, 2**0.5]]))
    centre.settle(torch.ones(3, 2))
    assert centre(torch.ones(1, 2)).tolist() == [[0.0, 0.0]]
    with pytest.raises(InputError, match="NaN or infinity"):
        centre.settle(torch.tensor([[1.0, float("nan")]]))


def test_a_centre_measured_in_blocks_is_the_same(monkeypatch):
    rows, whole, blocks = torch.randn(10, 3, generator=rng()), Centre(3), Centre(3)
    whole.settle(rows)
    monkeypatch.setattr(centre_module, "_AT_ONCE", 4)
    blocks.settle(rows)
    assert torch.allclose(whole.mean, blocks.mean)
    assert torch.allclose(whole.scale, blocks.scale)
