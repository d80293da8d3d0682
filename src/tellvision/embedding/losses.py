"""What is minimised: pairs that belong together score higher than pairs that do not (paper section 5).

`max_margin` reads a matrix of similarities and writes a number; it works on numpy arrays and on tensors,
where it can be differentiated. It is the plain form, and what the fast one is tested against.

`loss_of` gives the losses of the training loop, which read the vectors of texts and clips and never lay
the matrix out: scores.py makes it a block of rows at a time, over all processes, and the three formulas below say
what a block costs and what its gradient is.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional as F

from tellvision.embedding.config import TrainConfig
from tellvision.embedding.scores import Found, Walk, found
from tellvision.embedding.together import gather, highest, rank, share, total

Scores = TypeVar("Scores", np.ndarray, Tensor)

_HIGHEST_SCALE = 100.0


def max_margin(
    similarity: Scores,
    video: ArrayLike | Tensor | None = None,
    margin: float = 0.1,
    same_video: float = 0.5,
) -> Any:
    """Max margin in both directions, half of the weight on pairs of the same video.

    Entry (i, j) costs `relu(margin + s_ij - s_ii) + relu(margin + s_ij - s_jj)`; the loss is the mean
    of this over all n * n entries, the diagonal included (a constant 2 * margin). With h = `same_video`
    and N the sum of the squared group sizes, an entry of two pairs of the same video weighs h n^2 / N,
    any other (1 - h) n^2 / (n^2 - N), so that the weights sum to n^2. Without `video`, with one group,
    or with groups of one alone, every weight is 1.

    Args:
        similarity: (n, n), row: text, column: clip, the right pairs on the diagonal.
        video: (n,) which video each pair comes from: numbers or strings; None: the plain loss.
        margin: by how much the right pair should score higher.
        same_video: h, the share of the whole weight that lies on pairs of the same video, 0 to 1.

    Returns:
        A scalar: a 0-d tensor on the device of `similarity`, or a numpy scalar. float64 for float64
        scores, else float32.

    Raises:
        ValueError: not square, empty, `video` of another length, `same_video` outside 0..1.
    """
    if isinstance(similarity, Tensor):
        return _max_margin(similarity, video, margin, same_video)
    scores = np.asarray(similarity)
    if scores.dtype != np.float64:
        scores = scores.astype(np.float32)
    return _max_margin(torch.from_numpy(np.ascontiguousarray(scores)), video, margin, same_video).numpy()[()]


def _max_margin(scores: Tensor, video: ArrayLike | Tensor | None, margin: float, same_video: float) -> Tensor:
    if scores.ndim != 2 or scores.shape[0] != scores.shape[1] or len(scores) == 0:
        raise ValueError(f"similarity is a square matrix of at least one pair, got {tuple(scores.shape)}")
    if not 0 <= same_video <= 1:
        raise ValueError(f"same_video is a share of the weight, 0 to 1, got {same_video}")
    if scores.dtype != torch.float64:
        scores = scores.float()  # half precision cannot tell scores apart that differ by less than the margin
    right = scores.diagonal()
    cost = F.relu(margin + scores - right[:, None]) + F.relu(margin + scores - right[None, :])
    if video is None:
        return cost.mean()

    group = _group_numbers(video, scores.device)
    n = len(scores)
    if group.shape != (n,):
        raise ValueError(f"video names the video of each of the {n} pairs, got {tuple(group.shape)}")
    same = group[:, None] == group[None, :]
    # All of it stays on the device: reading the counts back would stall a GPU at every step.
    num_same = same.sum().to(scores.dtype)
    num_other = n * n - num_same
    plain = (num_same == n) | (num_other == 0)
    weight_same = torch.where(plain, 1.0, same_video * n * n / num_same)
    weight_other = torch.where(plain, 1.0, (1 - same_video) * n * n / num_other)
    return (cost * torch.where(same, weight_same, weight_other)).mean()


def _group_numbers(video: ArrayLike | Tensor, device: torch.device) -> Tensor:
    if isinstance(video, Tensor):
        return video.to(device)
    names = np.asarray(video)
    _, numbers = np.unique(names, return_inverse=True)
    return torch.from_numpy(numbers.reshape(names.shape)).to(device)


def loss_of(config: TrainConfig) -> nn.Module:
    """The loss that a configuration names; its `forward` is described at `MaxMargin.forward`."""
    if config.loss == "infonce":
        return InfoNCE(config.temperature)
    if config.loss == "mil_nce":
        return MilNce(config.temperature)
    return MaxMargin(config.margin, config.same_video)


class MaxMargin(nn.Module):
    """`max_margin` of all pairs of a batch, without its matrix.

    Args:
        margin: by how much the right pair should score higher (cosine).
        same_video: share of the whole weight that lies on pairs of the same video; None: all weigh the same.
    """

    def __init__(self, margin: float = 0.1, same_video: float | None = 0.5) -> None:
        super().__init__()
        self.margin, self.same_video = margin, same_video

    def forward(self, texts: Tensor, clips: Tensor, video: Tensor) -> Tensor:
        """The loss of a batch; in a group of processes, of the batches of all of them as one.

        The value is that of the whole, on every process, and the mean of the gradients over the processes
        is the gradient of the whole. Under autocast the products are made in its type, all else in float32.

        Args:
            texts: (n * b, d) of unit length; rows b * i to b * i + b - 1 are right for clip i. b is 1 but
                with `MilNce`.
            clips: (n, d) of unit length; n is the same on every process.
            video: (n,) int64, which video each pair comes from; only `MaxMargin` looks at it.

        Returns:
            A scalar, float32 (float64 for float64 vectors). NaN in a vector gives NaN.

        Raises:
            ValueError: no pairs, or numbers of rows that do not fit.
            InputError: another process was lost.
        """
        _check(texts, clips, video, bag=1)
        return found(lambda walk: _hinges(walk, video, self.margin, self.same_video), texts, clips)


class _Softmax(nn.Module):
    """Cosines over a temperature that is learned.

    `log_scale` is the logarithm of what cosines are multiplied by, at most 100 as in CLIP: a temperature
    below 0.01 is one of 0.01. Its gradient is the same on every process.
    """

    def __init__(self, temperature: float = 0.07) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)))

    def _cost(self, formula: "_SoftmaxFormula", texts: Tensor, clips: Tensor) -> Tensor:
        with torch.no_grad():  # the parameter itself: a limit in the formula would be the end of its gradient
            self.log_scale.clamp_(max=math.log(_HIGHEST_SCALE))
        return found(lambda walk: _softmax(walk, formula), texts, clips, self.log_scale)


class InfoNCE(_Softmax):
    """Each text picks its clip among all clips, each clip its text: the mean of both cross entropies.

    Args:
        temperature: what cosines are divided by, at the beginning.
    """

    def forward(self, texts: Tensor, clips: Tensor, video: Tensor) -> Tensor:
        """The loss of a batch, see `MaxMargin.forward`."""
        _check(texts, clips, video, bag=1)
        return self._cost(_info_nce, texts, clips) / 2  # both directions


class MilNce(_Softmax):
    """A bag of captions is right for a clip: MIL-NCE (Miech et al. 2020, arXiv 1912.06430).

    With P the captions in the bag of clip i, and s a cosine over the temperature, clip i costs

        -log( sum_P e^s / (sum_P e^s + sum_N e^s) )

    N are the pairs of clip i with the captions of all other clips, and those of the captions in P with all
    other clips. A positive counts once below the line, as in the paper; the code that its authors released
    counts it twice, once in either direction, so that log 2 is left where nothing is left to learn.

    Args:
        temperature: what cosines are divided by, at the beginning. The paper has none.
    """

    def forward(self, texts: Tensor, clips: Tensor, video: Tensor) -> Tensor:
        """The loss of a batch, see `MaxMargin.forward`."""
        _check(texts, clips, video, bag=len(texts) // max(1, len(clips)))
        return self._cost(_mil_nce, texts, clips)


def _check(texts: Tensor, clips: Tensor, video: Tensor, *, bag: int) -> None:
    if not (len(clips) and bag and len(texts) == bag * len(clips) and video.shape == (len(clips),)):
        raise ValueError(
            f"a batch has one video number for each clip and {'one text' if bag == 1 else 'a bag of texts'}: got "
            f"{len(texts)} texts, {len(clips)} clips, video numbers of the shape {tuple(video.shape)}"
        )


def _hinges(walk: Walk, video: Tensor, margin: float, same_video: float | None) -> Found:
    """`max_margin`, with the sums of a hinge's gradient by row and by column kept for the right pairs."""
    n = len(walk.clips)
    right = (walk.texts.to(walk.kind) * walk.own_clips).sum(1)
    bound_of_rows, bound_of_columns = right[:, None] - margin, gather(right) - margin
    weights = None if same_video is None else _Weights(video, same_video, walk.kind)
    value = right.new_zeros(())
    by_row, by_column = torch.zeros_like(right), torch.zeros_like(bound_of_columns)
    for rows, scores in walk.blocks():
        scores.scatter_(1, walk.right[rows], right[rows, None])  # rounded as it is in the bounds
        row = (scores - bound_of_rows[rows]).relu_()
        column = scores.sub_(bound_of_columns).relu_()
        cost = row + column
        weight = None if weights is None else weights.of(rows)
        value += (cost if weight is None else cost.mul_(weight)).sum()
        if not walk.wanted:
            continue
        for hinge in (row, column):  # from here on they are slopes
            hinge.sign_()
            if weight is not None:
                hinge.mul_(weight)
        by_row[rows] = row.sum(1)
        by_column += column.sum(0)
        walk.learn(rows, row.add_(column))
    return walk.found(total(value) / n**2, 1 / n**2, diagonal=-(by_row + share(by_column)))


class _Weights:
    """The weights of `max_margin`, a block of rows at a time; nothing is read back from the device.

    Args:
        video: (n,) the video of each pair of this process.
        same_video: share of the whole weight that lies on pairs of the same video.
        kind: of the weights.
    """

    def __init__(self, video: Tensor, same_video: float, kind: torch.dtype) -> None:
        every = gather(video)
        n = len(every)
        ordered = every.sort().values
        first = torch.searchsorted(ordered, every)
        num_same = (torch.searchsorted(ordered, every, right=True) - first).sum().to(kind)
        num_other = n * n - num_same
        plain = (num_same == n) | (num_other == 0)
        self._same = torch.where(plain, 1.0, same_video * n * n / num_same)
        other = torch.where(plain, 1.0, (1 - same_video) * n * n / num_other)
        self._step = other - self._same
        # A video's first place in the order stands for it: whole numbers whose difference is 0 or at least 1,
        # so that arithmetic alone makes the weights, which is several times faster than choosing.
        self._groups = first.to(kind)
        self._own = self._groups[rank() * len(video) :][: len(video), None]

    def of(self, rows: slice) -> Tensor:
        """(rows, n of all processes)."""
        return (self._own[rows] - self._groups).abs_().clamp_(max=1).mul_(self._step).add_(self._same)


class _Costs(NamedTuple):
    """What a formula makes of the sums of a softmax.

    A score s off the right places has the gradient e^(s - by_row) + e^(s - by_column).
    """

    clips: Tensor
    """(n,) what each clip costs."""
    by_row: Tensor
    """(n * b,) of each text."""
    by_column: Tensor
    """(n,) of each clip."""
    at_right: Tensor
    """(n * b,) the gradient of the right pair of each text."""


# From (n * b,) the score of each text's right pair, (n * b,) the log of the sum of e^s over all its other
# clips, (n,) the log of the sum of e^s over all texts of a clip.
_SoftmaxFormula = Callable[[Tensor, Tensor, Tensor], _Costs]


def _info_nce(right: Tensor, others: Tensor, columns: Tensor) -> _Costs:
    rows = torch.logaddexp(right, others)
    at_right = (right - rows).exp() + (right - columns).exp() - 2
    return _Costs((rows - right) + (columns - right), rows, columns, at_right)


def _mil_nce(right: Tensor, others: Tensor, columns: Tensor) -> _Costs:
    n, bag = len(columns), len(right) // len(columns)
    above = right.view(n, bag).logsumexp(1)
    below = torch.logaddexp(columns, others.view(n, bag).logsumexp(1))
    by_row = below.repeat_interleave(bag)
    at_right = (right - by_row).exp() - (right - above.repeat_interleave(bag)).exp()
    return _Costs(below - above, by_row, below, at_right)


def _softmax(walk: Walk, formula: _SoftmaxFormula) -> Found:
    """A first walk for the sums, a second one for the gradients."""
    n = len(walk.clips)
    right = walk.texts.new_empty(len(walk.texts), dtype=walk.kind)
    others = torch.empty_like(right)
    columns = right.new_full((n,), -torch.inf)
    for rows, scores in walk.blocks(again=walk.wanted):
        columns = torch.logaddexp(columns, scores.logsumexp(0))
        right[rows] = scores.gather(1, walk.right[rows])[:, 0]
        others[rows] = scores.scatter_(1, walk.right[rows], -torch.inf).logsumexp(1)
    top = highest(columns)
    columns = top + total((columns - top).exp_()).log_()
    own = slice(rank() * len(walk.own_clips), (rank() + 1) * len(walk.own_clips))
    costs = formula(right, others, columns[own])
    value = total(costs.clips.sum())
    if walk.wanted:
        by_column = gather(costs.by_column)
        for rows, scores in walk.blocks():
            gradient = (scores - costs.by_row[rows, None]).exp_()
            gradient += scores.sub_(by_column).exp_()
            walk.learn(rows, gradient.scatter_(1, walk.right[rows], costs.at_right[rows, None]))
    return walk.found(value / n, 1 / n)
