"""ReLU and the maximum over rows that many texts share, at the speed of the processor's memory.

PyTorch's own maximum (`embedding_bag`) takes one number after the other on a processor. Here a few texts at a
time stay in its cache, and whole rows are compared. For the gradient each number carries the place of its row in
its low bits: (number, place) as one integer, so the greatest brings its origin along. ReLU comes behind the
maximum, which is the same and has fewer numbers to do; it is also what makes the integers right, since only
numbers above zero are in their order.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

_AT_ONCE = 1 << 17  # numbers of a block: it stays in the cache
# Bits of a number, and an integer with room for a place below them.
_ROOM = {torch.bfloat16: (torch.int16, torch.int32), torch.float32: (torch.int32, torch.int64)}


def relu_and_max(rows: Tensor, places: Tensor) -> Tensor:
    """The maximum of each text's rows, number by number, and zero where all are below; with gradients.

    Of equal numbers one takes the whole gradient, which one depends on the device.

    Args:
        rows: (u, width) float, at least one.
        places: (n, words) integers 0 to u - 1, at least one word.

    Returns:
        (n, width).
    """
    if rows.device.type != "cpu" or torch.compiler.is_compiling() or rows.dtype not in _ROOM:
        return F.relu(F.embedding_bag(places, rows, mode="max"))
    if not (torch.is_grad_enabled() and rows.requires_grad):
        return F.relu(_greatest(rows, places))
    if len(rows) > 1 << 16:  # more places than fit below a number of 16 bits
        rows = rows.float()
    found: Tensor = _ReluAndMax.apply(rows, places)
    return found


class _ReluAndMax(torch.autograd.Function):
    """`relu_and_max` that remembers which row gave each number."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, places: Tensor) -> Tensor:
        found = _greatest(_with_places(rows), places)
        small, _ = _ROOM[rows.dtype]
        result = found[..., None].view(small)[..., 1].contiguous().view(rows.dtype).relu_()
        ctx.save_for_backward(found, result)
        ctx.num_rows = len(rows)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        found, result = ctx.saved_tensors
        low = (1 << 8 * gradient.element_size()) - 1
        # A frequent word gathers from thousands of texts: the sum is kept in float32.
        of_rows = torch.zeros(ctx.num_rows, gradient.shape[1])
        for some, of_some, out in zip(*_blocks(found, gradient, result), strict=True):
            of_rows.scatter_add_(0, some.bitwise_and(low), (of_some * (out > 0)).float())
        return of_rows.to(gradient.dtype), None


def _with_places(rows: Tensor) -> Tensor:
    """(u, width) floats to integers: the bits of the number above, the place of its row below."""
    small, large = _ROOM[rows.dtype]
    result = torch.empty(rows.shape, dtype=large)
    places = torch.arange(len(rows), dtype=large)[:, None]
    for out, some, place in zip(*_blocks(result, rows.contiguous().view(small), places), strict=True):
        out.copy_(some).bitwise_left_shift_(8 * rows.element_size()).bitwise_or_(place)
    return result


def _greatest(rows: Tensor, places: Tensor) -> Tensor:
    """The maximum of each text's rows, of any numbers, without gradients."""
    result = rows.new_empty(len(places), rows.shape[1])
    for best, some in zip(*_blocks(result, places), strict=True):
        first, *others = some.T.contiguous()
        torch.index_select(rows, 0, first, out=best)
        other_row = torch.empty_like(best)
        for other in others:
            torch.index_select(rows, 0, other, out=other_row)
            torch.maximum(best, other_row, out=best)
    return result


def _blocks(first: Tensor, *others: Tensor) -> list[tuple[Tensor, ...]]:
    """The tensors in blocks of rows, all as many rows as of the first one are in the cache."""
    size = max(1, _AT_ONCE // max(1, first.shape[1]))
    return [each.split(size) for each in (first, *others)]
