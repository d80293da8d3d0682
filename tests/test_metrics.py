"""Ranks and recalls: worked by hand, and equal to a slow reference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tellvision import metrics
from tellvision.metrics import (
    bootstrap_interval,
    chance,
    ranks,
    ranks_of_embeddings,
    retrieval,
    retrieval_embeddings,
    shuffled,
    summary,
)


def slow_ranks(similarity, right):
    """One row, one column at a time."""
    found = []
    for row, columns in zip(similarity, right, strict=True):
        best = max(row[c] for c in columns)
        found.append(1 + sum(score >= best for c, score in enumerate(row) if c not in columns))
    return found


def test_worked_by_hand():
    similarity = np.array([[0.9, 0.1, 0.2], [0.5, 0.5, 0.1], [0.7, 0.6, 0.1]])
    assert ranks(similarity).tolist() == [1, 2, 3]  # the second row's tie counts against it
    assert retrieval(similarity) == {
        "R@1": pytest.approx(1 / 3),
        "R@5": 1.0,
        "R@10": 1.0,
        "MedR": 2.0,
        "MeanR": 2.0,
    }
    assert ranks(similarity, [1, 0, 0]).tolist() == [3, 2, 1]


def test_the_same_score_for_all_ranks_last():
    assert ranks(np.zeros((4, 4))).tolist() == [4, 4, 4, 4]
    assert retrieval(np.zeros((20, 20)))["R@10"] == 0.0
    same = np.ones((30, 7), dtype=np.float32) / 3
    assert ranks_of_embeddings(same, same).tolist() == [30] * 30


def test_several_right_columns():
    similarity = np.array([[0.9, 0.8, 0.7, 0.6], [0.1, 0.5, 0.5, 0.5]])
    # Row 0: best right is column 1, only column 0 beats it. Row 1: right 1 and 2 tie with the wrong 3.
    assert ranks(similarity, [[1, 3], [2, 1]]).tolist() == [2, 2]
    assert ranks(similarity, [[0, 1, 2, 3], [0]]).tolist() == [1, 4]
    assert ranks(similarity, [[3, 3], [1, 1]]).tolist() == [4, 3]  # named twice is named once
    assert ranks(similarity, np.array([[1, 3], [2, 1]])).tolist() == [2, 2]


def test_a_clip_that_cannot_be_scored_ranks_last():
    similarity = np.array([[-np.inf, 0.1, -np.inf], [np.inf, 0.3, 0.2]])
    assert ranks(similarity, [0, 0]).tolist() == [3, 1]


def test_median_of_an_even_number():
    assert summary([1, 2, 7, 30]) == {"R@1": 0.25, "R@5": 0.5, "R@10": 0.75, "MedR": 4.5, "MeanR": 10.0}


@pytest.mark.parametrize(
    ("similarity", "target", "match"),
    [
        ([[0.0, np.nan], [0.0, 0.0]], None, "NaN in row 0"),
        ([[0.0, 1.0]], None, "not square"),
        ([[0.0, 1.0]], [[]], "row 0 has no target"),
        ([[0.0, 1.0]], [2], "0 to 1"),
        ([[0.0, 1.0]], [-1], "0 to 1"),
        ([[0.0, 1.0]], [0, 1], "2 entries for 1"),
        ([[0.0, 1.0]], [0.5], "integer"),
        ([0.0, 1.0], None, "matrix"),
        (np.zeros((0, 0)), None, "no texts"),
        (np.zeros((0, 3)), [], "no texts"),
        (np.zeros((2, 0)), [0, 0], "columns"),
    ],
)
def test_errors(similarity, target, match):
    with pytest.raises(ValueError, match=match):
        retrieval(np.asarray(similarity), target)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_equals_the_slow_reference(data):
    rows, columns = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 8))
    similarity = data.draw(hnp.arrays(np.float32, (rows, columns), elements=st.integers(-2, 2)))
    right = data.draw(st.lists(st.lists(st.integers(0, columns - 1), min_size=1), min_size=rows, max_size=rows))
    assert ranks(similarity, right).tolist() == slow_ranks(similarity, right)


def test_blocks_change_nothing(monkeypatch):
    random = np.random.default_rng(0)
    texts = random.integers(-2, 3, size=(41, 5)).astype(np.float32)  # exact products, many ties
    clips = random.integers(-2, 3, size=(29, 5)).astype(np.float32)
    right = [random.choice(29, size=random.integers(1, 4), replace=False).tolist() for _ in texts]
    whole = slow_ranks(texts @ clips.T, right)
    assert ranks_of_embeddings(texts, clips, right).tolist() == whole
    for rows in (1, 7, 29, 40):
        monkeypatch.setattr(metrics, "_ROWS", rows)
        monkeypatch.setattr(metrics, "_BLOCK", rows)
        assert ranks_of_embeddings(texts, clips, right).tolist() == whole
        assert ranks(texts @ clips.T, right).tolist() == whole
    assert retrieval_embeddings(texts, clips, right) == retrieval(texts @ clips.T, right)


def test_more_vectors_than_a_block():
    random = np.random.default_rng(1)
    clips = random.normal(size=(2500, 16)).astype(np.float32)
    texts = clips + random.normal(size=clips.shape).astype(np.float32)
    scores = (texts.astype(np.float64) @ clips.astype(np.float64).T).astype(np.float32)
    assert retrieval_embeddings(texts, clips) == retrieval(scores)


def test_errors_of_embeddings():
    good = np.ones((3, 2), dtype=np.float32)
    bad = good.copy()
    bad[1, 0] = np.nan
    with pytest.raises(ValueError, match="clips hold NaN or infinity in row 1"):
        retrieval_embeddings(good, bad)
    with pytest.raises(ValueError, match=r"\(3, 2\) and \(3, 4\)"):
        retrieval_embeddings(good, np.ones((3, 4)))
    with pytest.raises(ValueError, match="not square"):
        retrieval_embeddings(good, np.ones((4, 2)))


def test_chance_is_that_of_the_paper():
    assert chance(3350)["MedR"] == 1675
    assert chance(1000) == {
        "R@1": pytest.approx(0.001),
        "R@5": pytest.approx(0.005),
        "R@10": pytest.approx(0.01),
        "MedR": 500,
        "MeanR": 500.5,
    }
    assert chance(1) == {"R@1": 1.0, "R@5": 1.0, "R@10": 1.0, "MedR": 1.0, "MeanR": 1.0}
    assert chance(4)["R@5"] == 1.0


def test_chance_with_several_right():
    # 2 of 4 are right: the first place holds a right one in half of the orders, the first two places in
    # 5 of 6. Each of the two wrong ones stands before both right ones in a third: mean rank 1 + 2/3.
    assert chance(4, 2)["R@1"] == pytest.approx(0.5)
    assert chance(4, 2)["MedR"] == 1
    assert chance(4, 2)["MeanR"] == pytest.approx(1 + 2 / 3)
    random = np.random.default_rng(0)
    drawn = summary(ranks(random.normal(size=(20000, 30)), [[0, 1, 2]] * 20000))
    for name, value in chance(30, 3).items():
        assert drawn[name] == pytest.approx(value, rel=0.05, abs=1 if name == "MedR" else 0)
    assert chance(10**6)["MedR"] == 500_000
    with pytest.raises(ValueError, match="right candidates"):
        chance(3, 4)


def test_shuffled_is_chance():
    right = np.eye(400)
    assert retrieval(right)["R@1"] == 1.0
    control = shuffled(right + np.random.default_rng(0).normal(size=right.shape) * 1e-3, seed=3)
    assert control["R@10"] == pytest.approx(chance(400)["R@10"], abs=0.03)
    assert control == shuffled(
        right + np.random.default_rng(0).normal(size=right.shape) * 1e-3, np.arange(400), seed=3
    )
    assert shuffled(right[:2], [[0, 5], [1]], seed=0)["MeanR"] >= 1


def test_bootstrap_interval():
    found = np.array([1] * 30 + [50] * 70)
    low, high = bootstrap_interval(found, "R@10", seed=0)
    # The share is binomial: 0.3 +- 1.96 * sqrt(.3 * .7 / 100) = 0.3 +- 0.09
    assert low == pytest.approx(0.21, abs=0.02)
    assert high == pytest.approx(0.39, abs=0.02)
    assert bootstrap_interval(found, "R@10", seed=0) == (low, high)
    assert bootstrap_interval([7], "MedR", seed=1) == (7.0, 7.0)
    with pytest.raises(ValueError, match="R@1, R@5"):
        bootstrap_interval(found, "R@3", seed=0)
    with pytest.raises(ValueError, match="level"):
        bootstrap_interval(found, "R@1", seed=0, level=1.0)
    with pytest.raises(ValueError, match="at least one"):
        bootstrap_interval([], "R@1", seed=0)
