"""The gated unit that ends both towers (paper section 4)."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_AT_ONCE = 1 << 17  # numbers of a block: what is computed of it stays in a processor's cache


class GatedUnit(nn.Module):
    """(W1 x + b1) * sigmoid(W2 (W1 x + b1) + b2), to unit length."""

    def __init__(self, dim_in: int, dim_out: int) -> None:
        super().__init__()
        self.project = nn.Linear(dim_in, dim_out)
        self.gate = nn.Linear(dim_out, dim_out)

    def forward(self, x: Tensor) -> Tensor:
        """(n, dim_in) to (n, dim_out) float32 of unit length; what comes out as zero stays zero."""
        x = self.project(x)
        return gated(x, self.gate(x))


def gated(x: Tensor, gate: Tensor) -> Tensor:
    """x * sigmoid(gate), each row to unit length.

    Args:
        x: (n, d) of any float type; computed in float32 from there.
        gate: (n, d).

    Returns:
        (n, d) float32.
    """
    if x.device.type != "cpu" or torch.compiler.is_compiling() or x.dtype == torch.float64:
        return F.normalize(x.float() * torch.sigmoid(gate.float()), dim=1)
    found: Tensor = _Gated.apply(x, gate)
    return found


class _Gated(torch.autograd.Function):
    """`gated` a few rows at a time, so that the processor's memory is passed once and not ten times."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gate: Tensor) -> Tensor:
        result = torch.empty(x.shape, dtype=torch.float32)
        size = max(1, _AT_ONCE // max(1, x.shape[1]))
        for out, *given in zip(*(each.split(size) for each in (result, x, gate)), strict=True):
            some, open_ = (each.float() for each in given)
            torch.mul(some, torch.sigmoid(open_), out=out)
            out.div_(_length(out))
        ctx.save_for_backward(x, gate)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        x, gate = ctx.saved_tensors
        of_x, of_gate = torch.empty_like(x), torch.empty_like(gate)
        size = max(1, _AT_ONCE // max(1, x.shape[1]))
        parts = (each.split(size) for each in (x, gate, gradient, of_x, of_gate))
        for some, closed, pull, out_x, out_gate in zip(*parts, strict=True):
            some, opened = some.float(), torch.sigmoid(closed.float())
            unit = some * opened
            length = _length(unit)
            unit.div_(length)
            # Along the unit vector nothing changes: that part of the pull is taken out.
            along = (pull * unit).sum(dim=1, keepdim=True)
            pull = torch.addcmul(pull, unit, along, value=-1).div_(length).mul_(opened)
            out_x.copy_(pull)
            out_gate.copy_(pull.mul_(some).mul_(opened.neg_().add_(1)))
        return of_x, of_gate


def _length(rows: Tensor) -> Tensor:
    return torch.linalg.vector_norm(rows, dim=1, keepdim=True).clamp_(min=1e-12)
