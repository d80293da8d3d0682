"""What a model is given to embed: arrays and masks, checked and made tensors; results as the arrays came."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from tellvision.records import InputError

Array = TypeVar("Array", np.ndarray, Tensor)


def as_tensor(array: np.ndarray | Tensor) -> Tensor:
    """As a tensor of the same numbers."""
    # The copy is small, and a tensor over a read-only map would be an open door.
    return array if isinstance(array, Tensor) else torch.from_numpy(np.array(array))


def like(given: Array, result: Tensor) -> Array:
    """The result as what was given came: numpy, or a tensor on its device."""
    return result.to(given.device) if isinstance(given, Tensor) else result.cpu().numpy()


def counted(mask: np.ndarray | Tensor | None, shape: Sequence[int], row: str, place: str) -> Tensor:
    """The mask as a tensor of bool, every row of it with at least one True."""
    counts = torch.ones(*shape, dtype=torch.bool) if mask is None else as_tensor(mask).bool()
    if tuple(counts.shape) != tuple(shape):
        raise InputError(f"the mask has the shape {tuple(shape)}, got {tuple(counts.shape)}")
    empty = torch.nonzero(~counts.any(dim=1))
    if len(empty):
        raise InputError(f"{row} {int(empty[0])} has no {place} that counts")
    return counts


def finite(result: Tensor, row: str) -> Tensor:
    """The result; InputError: a row of it is no number."""
    bad = torch.nonzero(~torch.isfinite(result).all(dim=1))
    if len(bad):
        raise InputError(f"{row} {int(bad[0])} holds NaN, infinity or numbers too large for float32")
    return result


def in_blocks(
    tower: Callable[..., Tensor], size: int, device: torch.device, *inputs: np.ndarray | Tensor
) -> Iterator[Tensor]:
    """The tower on `size` rows of all inputs at a time, on `device`."""
    for start in range(0, len(inputs[0]), size):
        yield tower(*(as_tensor(each[start : start + size]).to(device) for each in inputs))
