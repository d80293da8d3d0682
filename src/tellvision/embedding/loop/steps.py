"""A step of the optimiser, and what it computes in."""

import ctypes
import sys

import torch
from torch import nn

from tellvision.embedding.config import TrainConfig
from tellvision.vision.network import has_bfloat16

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of malloc.h


def precision_of(config: TrainConfig, device: torch.device) -> torch.dtype:
    """What the matrix products of training on `device` are computed in."""
    if config.precision == "auto":
        fast = torch.cuda.is_bf16_supported() if device.type == "cuda" else has_bfloat16()
        return torch.bfloat16 if fast else torch.float32
    return torch.bfloat16 if config.precision == "bfloat16" else torch.float32


def optimizer_of(trained: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """Adam over all that learns; matrices alone shrink by weight decay, which without it is the paper's Adam."""
    learned = [value for value in trained.parameters() if value.requires_grad]
    groups = [
        {"params": [value for value in learned if value.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [value for value in learned if value.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=config.learning_rate, fused=True)


def take_step(
    optimizer: torch.optim.Optimizer, trained: nn.Module, learning_rate: float, clip_gradient: float | None
) -> None:
    """Change the weights by their gradients, and clear those.

    Args:
        optimizer: of `optimizer_of`.
        trained: whose gradients there are.
        learning_rate: of this step.
        clip_gradient: largest norm of all gradients together; None: as they come.
    """
    if clip_gradient is not None:
        nn.utils.clip_grad_norm_(trained.parameters(), clip_gradient)
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
    optimizer.step()
    optimizer.zero_grad()


def keep_freed_memory() -> None:
    """Have this process keep the memory of a step for the next one, where it is Linux with glibc.

    By default large tensors are given back to the system when they are freed, and every page of the next ones is
    cleared anew: that took a seventh of a step (docs/log.md).
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
