"""The losses: worked by hand, equal to loops over the entries, right gradients, no matrix laid out."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from tellvision.embedding import scores
from tellvision.embedding.config import TrainConfig
from tellvision.embedding.losses import InfoNCE, MaxMargin, MilNce, loss_of, max_margin


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


# The losses of the loop, which read vectors.


def units(n, dim=5, seed=0):
    """(n, dim) float64 of unit length, with gradients."""
    random = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(n, dim, generator=random, dtype=torch.float64), dim=1).requires_grad_()


def scaled(loss, temperature, kind=torch.float64):
    return loss(temperature).to(kind)


@pytest.fixture(params=["one block", "a row each", "kept", "uneven"])
def blocks(request, monkeypatch):
    """Every way in which the scores may be cut, and whether a second walk makes them anew."""
    rows, kept = {"one block": (99, 0), "a row each": (1, 0), "kept": (3, 2**20), "uneven": (4, 0)}[request.param]
    monkeypatch.setitem(scores._CELLS, "cpu", 1)
    monkeypatch.setattr(scores, "_FEWEST_ROWS", rows)
    monkeypatch.setattr(scores, "_KEPT_CELLS", kept)


def matrix(texts, clips, log_scale=None):
    scale = 1.0 if log_scale is None else math.exp(log_scale)
    return [[scale * sum(a * b for a, b in zip(t, c, strict=True)) for c in clips] for t in texts]


def slow_info_nce(similarity):
    n, total = len(similarity), 0.0
    for i in range(n):
        row = sum(math.exp(similarity[i][j]) for j in range(n))
        column = sum(math.exp(similarity[j][i]) for j in range(n))
        total -= math.log(math.exp(similarity[i][i]) / row) + math.log(math.exp(similarity[i][i]) / column)
    return total / (2 * n)


def slow_mil_nce(similarity):
    n, total = len(similarity[0]), 0.0
    bag = len(similarity) // n
    for i in range(n):
        own = range(i * bag, (i + 1) * bag)
        right = sum(math.exp(similarity[k][i]) for k in own)
        wrong = sum(math.exp(similarity[k][i]) for k in range(n * bag) if k not in own)
        wrong += sum(math.exp(similarity[k][j]) for k in own for j in range(n) if j != i)
        total -= math.log(right / (right + wrong))
    return total / n


def plain_info_nce(similarity):
    right = torch.arange(len(similarity))
    return (F.cross_entropy(similarity, right) + F.cross_entropy(similarity.T, right)) / 2


def plain_mil_nce(similarity):
    """As autograd sees it, on the whole matrix."""
    n = similarity.shape[1]
    bag = len(similarity) // n
    own = torch.arange(n).repeat_interleave(bag)[:, None] == torch.arange(n)
    right = similarity.masked_fill(~own, -torch.inf).logsumexp(0)
    rows = similarity.masked_fill(own, -torch.inf).logsumexp(1).view(n, bag).logsumexp(1)
    return (torch.logaddexp(similarity.logsumexp(0), rows) - right).mean()


SOFTMAX = [(InfoNCE, 1, slow_info_nce, plain_info_nce), (MilNce, 1, slow_mil_nce, plain_mil_nce)]
SOFTMAX += [(MilNce, 3, slow_mil_nce, plain_mil_nce)]
VIDEO = torch.tensor([4, 4, 1, 9, 1, 4, 2])


def test_softmax_worked_by_hand():
    # Two pairs at right angles, temperature 1: a right pair scores 1, a wrong one 0.
    right = torch.eye(2, dtype=torch.float64)
    video = torch.zeros(2, dtype=torch.int64)
    assert scaled(InfoNCE, 1.0)(right, right, video).item() == pytest.approx(math.log(1 + math.exp(-1)))
    # A clip with two wrong captions, one either way.
    assert scaled(MilNce, 1.0)(right, right, video).item() == pytest.approx(-math.log(math.e / (math.e + 2)))
    # Bags of two: 2 e above; below them 2 captions of the other clip, and 2 of the bag with the other clip.
    bags = right.repeat_interleave(2, 0)
    expected = -math.log(2 * math.e / (2 * math.e + 4))
    assert scaled(MilNce, 1.0)(bags, right, video).item() == pytest.approx(expected)
    # A wrong caption in the bag of clip 0: it scores 0 with it, and 1 with clip 1.
    bags[1] = right[1]
    first = -math.log((math.e + 1) / ((math.e + 1) + 2 + (1 + math.e)))
    second = -math.log(2 * math.e / (2 * math.e + (1 + math.e) + 2))
    assert scaled(MilNce, 1.0)(bags, right, video).item() == pytest.approx((first + second) / 2)


@pytest.mark.parametrize("same_video", [None, 0.0, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("video", [VIDEO, VIDEO * 0, torch.arange(7)])
def test_max_margin_in_blocks(blocks, same_video, video):
    texts, clips = units(7), units(7, seed=1)
    found = MaxMargin(0.2, same_video)(texts, clips, video)
    groups = None if same_video is None else video.tolist()
    share = 0.5 if same_video is None else same_video
    assert found.item() == pytest.approx(slow(matrix(texts.tolist(), clips.tolist()), groups, 0.2, share))
    plain = max_margin(texts @ clips.T, None if same_video is None else video, 0.2, share)
    same_gradients(found, plain, (texts, clips))


@pytest.mark.parametrize(("loss", "bag", "slow_form", "plain_form"), SOFTMAX)
def test_softmax_in_blocks(blocks, loss, bag, slow_form, plain_form):
    texts, clips, module = units(7 * bag), units(7, seed=1), scaled(loss, 0.2)
    found = module(texts, clips, VIDEO)
    similarity = matrix(texts.tolist(), clips.tolist(), module.log_scale.item())
    assert found.item() == pytest.approx(slow_form(similarity))
    plain = plain_form(module.log_scale.exp() * (texts @ clips.T))
    same_gradients(found, plain, (texts, clips, module.log_scale))


def same_gradients(found, expected, inputs):
    assert found.item() == pytest.approx(expected.item(), rel=1e-12)
    expected = torch.autograd.grad(3 * expected, inputs)
    for gradient, each in zip(torch.autograd.grad(3 * found, inputs), expected, strict=True):
        assert torch.allclose(gradient, each, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("loss", [MaxMargin(0.3, 0.4), scaled(InfoNCE, 0.5), scaled(MilNce, 0.5)])
def test_gradients_by_differences(blocks, loss):
    texts, clips = units(10 if isinstance(loss, MilNce) else 5), units(5, seed=1)
    inputs = (texts, clips, *loss.parameters())

    def value(texts, clips, *_):
        return loss(texts, clips, torch.tensor([0, 0, 1, 1, 2]))

    assert torch.autograd.gradcheck(value, inputs)


LOSSES = [MaxMargin(), MaxMargin(same_video=None), InfoNCE(), MilNce()]


@pytest.mark.parametrize("loss", LOSSES)
def test_one_pair(loss):
    texts, clips = units(1).detach().float().requires_grad_(), units(1, seed=1).detach().float().requires_grad_()
    found = loss(texts, clips, torch.tensor([3]))
    assert found.shape == ()
    assert found.dtype == torch.float32
    # Nothing to tell it from: max margin is left with its diagonal.
    assert found.item() == pytest.approx(0.2 if isinstance(loss, MaxMargin) else 0.0)
    for gradient in torch.autograd.grad(found, (texts, clips)):
        assert torch.allclose(gradient, torch.zeros_like(gradient))


def test_a_bag_and_one_clip():
    texts, clips, loss = units(4), units(1), scaled(MilNce, 0.1)
    found = loss(texts, clips, torch.tensor([3]))
    assert found.item() == pytest.approx(0.0)
    for gradient in torch.autograd.grad(found, (texts, clips, loss.log_scale)):
        assert torch.allclose(gradient, torch.zeros_like(gradient))


def test_duplicates():
    """Four times the same pair: nothing can be told apart, and there is nowhere to go."""
    texts, clips = units(1).detach().expand(4, 5).clone(), units(1, seed=1).detach().expand(4, 5).clone()
    video = torch.tensor([0, 0, 1, 1])
    for loss, expected in [
        (MaxMargin(0.1), 0.2),
        (scaled(InfoNCE, 0.1), math.log(4)),
        (scaled(MilNce, 0.1), math.log(7)),
    ]:
        texts.requires_grad_()
        found = loss(texts, clips, video)
        assert found.item() == pytest.approx(expected)
        # The rows of the gradients differ for max margin (who is in whose video), their sum is nothing.
        (gradient,) = torch.autograd.grad(found, texts)
        assert torch.allclose(gradient.sum(0), torch.zeros(5, dtype=torch.float64), atol=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("side", [0, 1])
def test_what_is_no_number_is_not_hidden(blocks, loss, bad, side):
    vectors = [units(7).detach().float(), units(7, seed=1).detach().float()]
    vectors[side][2, 3] = bad
    for vector in vectors:
        vector.requires_grad_()
    assert not math.isfinite(loss(*vectors, VIDEO).item())


def test_temperature():
    loss = InfoNCE(0.07)
    assert math.exp(loss.log_scale.item()) == pytest.approx(1 / 0.07)
    # A step that went too far is taken back, and the next gradient finds a way down again.
    loss = InfoNCE(0.001)
    texts = F.normalize(torch.tensor([[1.0, 0.1], [0.9, 0.2]]), dim=1)
    found = loss(texts, texts.flip(0), torch.tensor([0, 1]))
    found.backward()
    assert math.exp(loss.log_scale.item()) == pytest.approx(100)
    assert loss.log_scale.grad > 0
    similarity = 100 * (texts @ texts.flip(0).T)
    assert found.item() == pytest.approx(plain_info_nce(similarity).item(), rel=1e-4)


def test_scores_that_are_large():
    """Right pairs at 100, wrong ones at -100: no overflow, and nothing is left to learn."""
    right = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], requires_grad=True)
    for loss in (InfoNCE(0.01), MilNce(0.01)):
        assert loss(right, right.detach(), torch.tensor([0, 1])).item() == 0
        wrong = loss(right, right.detach().flip(0), torch.tensor([0, 1]))
        assert wrong.item() == pytest.approx(200 if isinstance(loss, InfoNCE) else 200 + math.log(2))
        assert torch.isfinite(torch.autograd.grad(wrong, right)[0]).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_without_gradients(loss):
    texts, clips = units(7), units(7, seed=1)
    with torch.no_grad():
        value = loss(texts, clips, VIDEO)
    assert not value.requires_grad
    assert value.item() == pytest.approx(loss(texts, clips, VIDEO).item())
    if isinstance(loss, MaxMargin):
        assert not loss(texts.detach(), clips.detach(), VIDEO).requires_grad
    whole = torch.autograd.grad(loss(texts, clips, VIDEO), clips)
    assert torch.equal(whole[0], torch.autograd.grad(loss(texts.detach(), clips, VIDEO), clips)[0])


@pytest.mark.parametrize("loss", LOSSES)
def test_in_bfloat16(loss):
    texts, clips = units(64, 32).detach().float(), units(64, 32, seed=1).detach().float()
    video = torch.arange(64) // 4
    inputs = (texts.requires_grad_(), clips.requires_grad_(), *loss.parameters())
    expected = torch.autograd.grad(loss(texts, clips, video), inputs)
    seen = Seen()
    with torch.autocast("cpu", torch.bfloat16), seen:
        found = loss(texts, clips, video)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(loss(texts, clips, video).item(), rel=0.01)
    for gradient, each in zip(torch.autograd.grad(found, inputs), expected, strict=True):
        assert gradient.dtype == torch.float32
        assert (gradient - each).norm() < 0.02 * each.norm()
    # Products read bfloat16, what is done with a block float32.
    assert seen.kinds["mm"] == {torch.bfloat16}
    elementwise = {"relu_", "sign_", "logsumexp", "exp_", "sub", "sub_", "scatter_"} & set(seen.kinds)
    assert len(elementwise) >= 4
    assert not any(torch.bfloat16 in seen.kinds[name] for name in elementwise)


class Seen(TorchDispatchMode):
    """What goes on inside: the largest result, and of which kind the first input of each operation is."""

    def __init__(self):
        super().__init__()
        self.largest, self.kinds = 0, {}

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        found = operation(*args, **(kwargs or {}))
        if isinstance(found, torch.Tensor):
            self.largest = max(self.largest, found.untyped_storage().nbytes() // found.element_size())
        if args and isinstance(args[0], torch.Tensor):
            self.kinds.setdefault(operation.__name__.partition(".")[0], set()).add(args[0].dtype)
        return found


@pytest.mark.parametrize("loss", LOSSES)
def test_no_matrix_is_laid_out(loss, monkeypatch):
    monkeypatch.setitem(scores._CELLS, "cpu", 1)
    monkeypatch.setattr(scores, "_FEWEST_ROWS", 16)
    monkeypatch.setattr(scores, "_KEPT_CELLS", 0)
    texts, clips = units(300), units(300, seed=1)
    with Seen() as seen:
        loss(texts, clips, torch.arange(300) // 7).backward()
    assert seen.largest == 16 * 300


BIG = """
import sys, torch
from torch.nn import functional as F
from tellvision.embedding import losses

def highest():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) / 1024

texts = F.normalize(torch.randn(16384, 512), dim=1).requires_grad_()
clips = F.normalize(torch.randn(16384, 512), dim=1).requires_grad_()
before = highest()
getattr(losses, sys.argv[1])()(texts, clips, torch.arange(16384) // 64).backward()
print(highest() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the highest memory from /proc")
@pytest.mark.parametrize("loss", ["MaxMargin", "InfoNCE", "MilNce"])
def test_a_large_batch_needs_little(loss):
    """16,384 pairs: the matrix alone would be 1,024 MB."""
    done = subprocess.run([sys.executable, "-c", BIG, loss], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 400


def test_the_loss_that_is_asked_for():
    loss = loss_of(TrainConfig(margin=0.3, same_video=None))
    assert isinstance(loss, MaxMargin)
    assert (loss.margin, loss.same_video) == (0.3, None)
    for name, kind in [("infonce", InfoNCE), ("mil_nce", MilNce)]:
        loss = loss_of(TrainConfig(loss=name, temperature=0.5))
        assert isinstance(loss, kind)
        assert loss.log_scale.item() == pytest.approx(math.log(2))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(("texts", "clips", "video"), [(3, 2, 2), (2, 2, 3), (0, 0, 0), (0, 2, 2), (2, 0, 0)])
def test_rows_that_do_not_fit(loss, texts, clips, video):
    with pytest.raises(ValueError, match=f"{texts} texts, {clips} clips"):
        loss(torch.zeros(texts, 4), torch.zeros(clips, 4), torch.zeros(video, dtype=torch.int64))
