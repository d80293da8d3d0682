"""The scores of a batch, every text with every clip, without ever laying out their matrix.

Stands between the towers and the losses (losses.py): a `Walk` makes the scores of this process's texts
with the clips of all processes (together.py), a block of rows at a time; a formula says what a block
costs and what its gradient is. Gradients are found in the forward pass, so that the backward pass only
hands them on and waits for no other process.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from tellvision.embedding.together import gather, rank, share, total, world

_CELLS = {"cpu": 2**20, "cuda": 2**25}  # scores in a block: a processor's stay in its cache, a GPU wants work
_FEWEST_ROWS = 512  # of a block, however long they are: products of fewer rows are slow
_KEPT_CELLS = 2**24  # scores that are kept from the first walk for a second one, where all fit; 64 MB


class Walk:
    """The scores of this process's texts with the clips of all processes, a block of rows at a time.

    `blocks` gives each block to a formula, which may overwrite it; `learn` takes back the gradient of a
    block and adds up what it means for texts and clips.

    Attributes:
        wanted: whether anyone asks for gradients.
        kind: float32 or float64, of the scores and of all but the products.
        right: (texts, 1) the column where a text meets the clip that it is right for.
    """

    def __init__(self, texts: Tensor, clips: Tensor, log_scale: Tensor | None) -> None:
        inputs = (texts, clips, log_scale)
        device = texts.device.type
        self.wanted = torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in inputs)
        self.kind = torch.float64 if texts.dtype == torch.float64 else torch.float32
        narrow = torch.is_autocast_enabled(device) and self.kind is torch.float32
        kind_of_products = torch.get_autocast_dtype(device) if narrow else self.kind
        with torch.no_grad():
            self.scale = None if log_scale is None else log_scale.to(self.kind).exp()
            # Scaling the vectors scales the scores, and costs next to nothing.
            texts = texts if self.scale is None else texts.to(self.kind) * self.scale
            self.texts, self.own_clips = texts.to(kind_of_products), clips.to(kind_of_products)
            self.clips = gather(self.own_clips)
        places = torch.arange(len(texts), device=texts.device) // (len(texts) // len(clips))
        self.right = (rank() * len(clips) + places)[:, None]
        self._rows = max(_FEWEST_ROWS, _CELLS["cpu" if device == "cpu" else "cuda"] // len(self.clips))
        self._kept: dict[int, Tensor] = {}
        self._for_texts = self._for_clips = torch.empty(0)
        if self.wanted:
            self._for_texts = torch.empty_like(self.texts, dtype=self.kind)
            self._for_clips = torch.zeros_like(self.clips, dtype=self.kind)

    def blocks(self, *, again: bool = False) -> Iterator[tuple[slice, Tensor]]:
        """Each block: which texts, and (texts, clips of all processes) scores.

        Args:
            again: a second walk will follow. Where all blocks are small together they are kept for it, as
                the formula left them.
        """
        keep = again and len(self.texts) * len(self.clips) <= _KEPT_CELLS
        for start in range(0, len(self.texts), self._rows):
            rows = slice(start, start + self._rows)
            scores = self._kept.pop(start, None)
            if scores is None:
                scores = _product(self.texts[rows], self.clips.T, self.kind).to(self.kind)
            if keep:
                self._kept[start] = scores
            yield rows, scores

    def learn(self, rows: slice, gradient: Tensor) -> None:
        """Take in the gradient of a block of scores."""
        gradient = gradient.to(self.texts.dtype)
        self._for_texts[rows] = _product(gradient, self.clips, self.kind)
        if gradient.dtype == self.kind:
            self._for_clips.addmm_(gradient.T, self.texts[rows])
        else:
            self._for_clips += _product(gradient.T, self.texts[rows], self.kind)

    def found(self, value: Tensor, factor: float, diagonal: Tensor | None = None) -> "Found":
        """The value and the gradients, `factor` times what was learned.

        Args:
            value: the loss.
            factor: that the blocks left out.
            diagonal: (texts,) gradient of the scores of the right pairs, besides what the blocks said.
        """
        if not self.wanted:
            return Found(value, None, None, None)
        for_texts, for_clips = self._for_texts, share(self._for_clips)
        if diagonal is not None:
            for_texts.addcmul_(diagonal[:, None], self.own_clips.to(self.kind))
            for_clips.addcmul_(diagonal[:, None], self.texts.to(self.kind))
        # Whoever joins the processes takes the mean of their gradients; here they are parts of a sum.
        factor_each = factor * world()
        for_scale = None
        if self.scale is not None:
            for_scale = total((for_texts * self.texts).sum()) * factor
            for_texts *= self.scale
        return Found(value, for_texts.mul_(factor_each), for_clips.mul_(factor_each), for_scale)


class Found(NamedTuple):
    """What a formula finds on its walk; without gradients where nobody wants them."""

    value: Tensor
    texts: Tensor | None
    clips: Tensor | None
    log_scale: Tensor | None


def _product(a: Tensor, b: Tensor, kind: torch.dtype) -> Tensor:
    """The matrix product: of narrow numbers on a GPU in `kind`, not rounded before; else in their type."""
    return torch.mm(a, b, out_dtype=kind) if a.is_cuda and a.dtype != kind else a @ b


class _Streamed(torch.autograd.Function):
    """A loss whose gradients are found along with its value."""

    @staticmethod
    def forward(ctx: Any, formula: Callable[[Walk], Found], walk: Walk, *_: Tensor | None) -> Tensor:
        with torch.autocast(walk.texts.device.type, enabled=False):
            value, *ctx.gradients = formula(walk)
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> Any:
        return None, None, *(None if found is None else found * upstream for found in ctx.gradients)


def found(
    formula: Callable[[Walk], Found], texts: Tensor, clips: Tensor, log_scale: Tensor | None = None
) -> Tensor:
    """The loss of a formula over a batch, with its place in the graph of gradients."""
    walk = Walk(texts, clips, log_scale)
    return _Streamed.apply(formula, walk, texts, clips, log_scale)
