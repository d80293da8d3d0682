"""Words of a text to one vector: the maximum, the mean, or attention over rows that many texts share.

A batch of narration says the same words again and again. Their rows are computed once, one per distinct word,
and every text names the rows of its words by their places.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tellvision.embedding.config import Pool
from tellvision.embedding.towers.maximum import relu_and_max


class WordPool(nn.Module):
    """Pools rows by their places.

    Args:
        kind: `max`, `mean`, or `attention`: a learned query weighs the words by softmax.
        width: of a row.
        relu: put the rows through ReLU first.
        empty_counts: an empty place joins a maximum with the last row; it never counts in a mean.
    """

    def __init__(self, kind: Pool, width: int, *, relu: bool, empty_counts: bool = False) -> None:
        super().__init__()
        self.kind, self.relu, self.empty_counts = kind, relu, empty_counts
        # Zeros: it begins as the mean.
        self.query = nn.Parameter(torch.zeros(width)) if kind == "attention" else None

    def forward(self, rows: Tensor, places: Tensor) -> Tensor:
        """One vector per text.

        Args:
            rows: (u + 1, width), the last one that of an empty place.
            places: (n, words) integers 0 to u - 1, and u where there is no word. A text without a word is for
                the caller to avoid.

        Returns:
            (n, width).
        """
        empty = len(rows) - 1
        if self.kind == "max":
            if not self.empty_counts:  # a word that is there already, said once more
                places = torch.where(places < empty, places, places.amin(dim=1, keepdim=True))
            return relu_and_max(rows, places) if self.relu else F.embedding_bag(places, rows, mode="max")
        if self.relu:
            rows = F.relu(rows)
        known = places < empty
        if self.query is None:
            weights = known / known.sum(dim=1, keepdim=True).clamp(min=1)
        else:
            # One score per distinct word, not per place.
            scores = (rows @ self.query.to(rows.dtype)).float() / math.sqrt(rows.shape[1])
            weights = scores[places].masked_fill(~known, torch.finfo(torch.float32).min).softmax(dim=1)
        return _weighted(rows, places, weights)


def _weighted(rows: Tensor, places: Tensor, weights: Tensor) -> Tensor:
    return F.embedding_bag(places, rows, mode="sum", per_sample_weights=weights.to(rows.dtype))


def distinct_of(token_ids: Tensor) -> tuple[Tensor, Tensor]:
    """The distinct tokens of a batch, and where each place finds its own.

    Args:
        token_ids: (n, words) integers, -1 where there is no token.

    Returns:
        (u,) int64 token ids in rising order, without -1; (n, words) int64 places in them, u where there is none.
    """
    token_ids = token_ids.long()
    known = token_ids >= 0
    distinct = torch.unique(token_ids[known])
    places = torch.searchsorted(distinct, token_ids).masked_fill(~known, len(distinct))
    return distinct, places
