"""What all rows share is taken out of them before a tower reads them: it tells no clip from another."""

import math

import torch
from torch import Tensor, nn

from tellvision.records import InputError

_AT_ONCE = 4096  # rows that are brought to double precision together


class Centre(nn.Module):
    """Rows less their mean, scaled so that their numbers have a variance of 1 on average.

    One factor for all numbers: the directions in which rows differ much stay those that count most. Nothing
    here is learned; `settle` measures it once on training rows, and it lies in the checkpoint.

    Args:
        dim: width of a row.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("scale", torch.zeros(()))  # 0: not measured yet

    def settle(self, rows: Tensor) -> None:
        """Measure mean and scale on (n, dim) rows; equal rows are centred and not scaled.

        Raises:
            InputError: a row holds NaN or infinity.
        """
        mean = sum((some.double().sum(dim=0) for some in rows.split(_AT_ONCE)), torch.zeros(1).double()) / len(
            rows
        )
        squares = sum(float((some.double() - mean).square().sum()) for some in rows.split(_AT_ONCE))
        if not math.isfinite(squares):
            raise InputError(
                "a row of features holds NaN or infinity: `tellvision verify WORK` says whether it is damaged"
            )
        deviation = math.sqrt(squares / rows.numel())
        self.mean.copy_(mean)
        self.scale.fill_(1 / deviation if deviation > 0 else 1.0)

    @property
    def is_settled(self) -> bool:
        """Whether `settle` was called."""
        return bool(self.scale > 0)

    def forward(self, rows: Tensor) -> Tensor:
        """(..., dim) to the same, float32."""
        return (rows.float() - self.mean) * self.scale
