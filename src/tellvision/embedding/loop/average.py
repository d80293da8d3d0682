"""An average of the weights over the steps (exponential moving average), measured and kept in their place."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

_EARLY = 10.0  # the average of the first n steps keeps no more than n / (n + this) of what was before


class Average:
    """The running average of a model's learned weights.

    Early on a share of (1 + n) / (10 + n) is kept instead, so that the first random weights are soon forgotten.

    Args:
        model: whose parameters are averaged.
        keep: share of the average that a step keeps.

    Attributes:
        weights: name -> averaged parameter, float32 on the model's device.
        steps: updates so far.
    """

    def __init__(self, model: nn.Module, keep: float) -> None:
        self._keep = keep
        self._learned = {name: value for name, value in model.named_parameters() if value.requires_grad}
        self.weights = {name: value.detach().clone() for name, value in self._learned.items()}
        self.steps = 0

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights after a step of the optimiser."""
        self.steps += 1
        keep = min(self._keep, (1 + self.steps) / (_EARLY + self.steps))
        torch._foreach_lerp_(list(self.weights.values()), list(self._learned.values()), 1 - keep)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The model holds the averaged weights inside, its own again behind."""
        own = {name: value.detach().clone() for name, value in self._learned.items()}
        self.put()
        try:
            yield
        finally:
            self._put(own)

    def put(self) -> None:
        """Leave the averaged weights in the model."""
        self._put(self.weights)

    def restore(self, weights: dict[str, Tensor], steps: int) -> None:
        """Go on from an average that was kept."""
        for name, value in weights.items():
            self.weights[name].copy_(value)
        self.steps = steps

    @torch.no_grad()
    def _put(self, weights: dict[str, Tensor]) -> None:
        for name, value in self._learned.items():
            value.copy_(weights[name])
