"""Max margin: worked by hand, equal to a loop over the entries, right gradients."""

import numpy as np
import pytest
import torch

from tellvision.embedding.losses import max_margin


def slow(similarity, video=None, margin=0.1, same_video=0.5):
    n = len(similarity)
    sizes = {} if video is None else {v: list(video).count(v) for v in video}
    squares = sum(size**2 for size in sizes.values())
    total = 0.0
    for i in range(n):
        for j in range(n):
            weight = 1.0
            if video is not None and squares not in (n, n * n):
                same = video[i] == video[j]
                weight = same_video * n**2 / squares if same else (1 - same_video) * n**2 / (n**2 - squares)
            cost = max(0.0, margin + similarity[i][j] - similarity[i][i])
            cost += max(0.0, margin + similarity[i][j] - similarity[j][j])
            total += weight * cost
    return total / n**2


def test_worked_by_hand():
    similarity = np.array([[0.5, 0.45], [0.3, 0.2]])
    # Diagonal: 0.2 each. (0, 1): .05 against .5, .35 against .2. (1, 0): .2 against .2, 0 against .5.
    assert max_margin(similarity) == pytest.approx((0.2 + 0.2 + 0.05 + 0.35 + 0.2) / 4)
    assert max_margin(similarity, margin=0.0) == pytest.approx((0.25 + 0.1) / 4)


def test_weights_worked_by_hand():
    # Right pairs score 0 as all others: every entry costs 2 * margin, and the weights sum to n * n.
    assert max_margin(np.zeros((4, 4)), [0, 0, 1, 1], margin=0.5) == pytest.approx(1.0)
    # Two videos of two pairs, N = 8, h = 0.75: same video .75 * 16 / 8 = 1.5, other .25 * 16 / 8 = 0.5.
    similarity = np.full((4, 4), -9.0)
    np.fill_diagonal(similarity, 0.0)
    diagonal = 4 * 1.5 * 0.2 / 16
    assert max_margin(similarity, [0, 0, 1, 1], same_video=0.75) == pytest.approx(diagonal)
    similarity[0, 1] = similarity[0, 2] = 0.1
    assert max_margin(similarity, [0, 0, 1, 1], same_video=0.75) == pytest.approx(
        diagonal + 1.5 * 0.4 / 16 + 0.5 * 0.4 / 16
    )


def test_released_weights():
    # 3 videos of 2 pairs: same B * h = 1.5, other (1 - h) * B / (B - 1) = 0.75.
    similarity = np.random.default_rng(0).normal(size=(6, 6))
    cost = np.maximum(0, 0.1 + similarity - similarity.diagonal()[:, None])
    cost += np.maximum(0, 0.1 + similarity - similarity.diagonal()[None, :])
    weights = np.kron(np.eye(3), np.ones((2, 2))) * 0.75 + 0.75
    assert max_margin(similarity, [4, 4, 2, 2, 9, 9]) == pytest.approx((cost * weights).mean())


@pytest.mark.parametrize("video", [None, [3, 3, 3, 3, 3], [5, 1, 2, 3, 4], ["a"] * 5])
def test_every_weight_one(video):
    similarity = np.random.default_rng(1).normal(size=(5, 5))
    for same_video in (0.0, 0.5, 1.0):
        assert max_margin(similarity, video, same_video=same_video) == pytest.approx(slow(similarity))


@pytest.mark.parametrize("same_video", [0.0, 0.3, 0.5, 1.0])
def test_equals_the_loop(same_video):
    random = np.random.default_rng(2)
    for n in (2, 3, 7, 12):
        similarity = random.normal(size=(n, n))
        video = random.integers(0, 3, size=n)
        expected = slow(similarity, video.tolist(), 0.2, same_video)
        assert max_margin(similarity, video, 0.2, same_video) == pytest.approx(expected)
        names = [f"video/{v}" for v in video]
        assert max_margin(similarity, names, 0.2, same_video) == pytest.approx(expected)
        tensors = max_margin(torch.from_numpy(similarity), torch.from_numpy(video), 0.2, same_video)
        assert float(tensors) == pytest.approx(expected)


def test_kinds():
    scores = np.zeros((2, 2), dtype=np.float32)
    found = max_margin(scores)
    assert isinstance(found, np.float32)
    assert max_margin(scores.astype(np.float64)).dtype == np.float64
    assert max_margin(scores.astype(int)).dtype == np.float32
    tensor = max_margin(torch.zeros(2, 2, dtype=torch.bfloat16))
    assert tensor.shape == ()
    assert tensor.dtype == torch.float32


def test_reads_arrays_that_are_not_its_own():
    scores = np.zeros((3, 3), dtype=np.float32)
    scores.flags.writeable = False
    assert max_margin(scores[::-1]) == pytest.approx(0.2)


def test_gradients():
    torch.manual_seed(0)
    scores = torch.randn(5, 5, dtype=torch.float64, requires_grad=True)
    video = torch.tensor([0, 0, 1, 1, 2])
    assert torch.autograd.gradcheck(lambda s: max_margin(s, video, 0.3, 0.4), (scores,))


@pytest.mark.parametrize(
    ("scores", "options", "match"),
    [
        (np.zeros((2, 3)), {}, "square"),
        (np.zeros((0, 0)), {}, "at least one"),
        (np.zeros((2, 2)), {"video": [1]}, "2 pairs"),
        (np.zeros((2, 2)), {"same_video": 1.5}, "0 to 1"),
    ],
)
def test_errors(scores, options, match):
    with pytest.raises(ValueError, match=match):
        max_margin(scores, **options)
