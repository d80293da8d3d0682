"""What is minimised: pairs that belong together score higher than pairs that do not (paper section 5).

Reads a matrix of similarities of one batch, writes a number. Works on numpy arrays and on tensors,
where it can be differentiated.
"""

from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.nn import functional as F

Scores = TypeVar("Scores", np.ndarray, Tensor)


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
