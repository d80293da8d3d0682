"""A small transformer over the steps of a clip, for models to which order and motion count.

A token per step and track: the track's row, brought to unit length and through a linear layer of its own, plus
when it is (seconds since the clip's first step, as sinusoids through a linear layer) and which track it is of
(a learned vector). One learned token asks; what it has gathered after the last block stands for the clip.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tellvision.embedding.config import StepsConfig

_PERIODS = 16  # sinusoids of the time: from two steps up to _LONGEST
_LONGEST = 1000.0  # seconds


class StepsTower(nn.Module):
    """Steps of clips to one vector each.

    Args:
        widths: numbers of a step in each track, in the order they are joined.
        config: sizes.
    """

    def __init__(self, widths: Sequence[int], config: StepsConfig) -> None:
        super().__init__()
        self.config = config
        self._widths = list(widths)
        self.rows = nn.ModuleList(nn.Linear(width, config.width) for width in widths)
        self.time = nn.Linear(2 * _PERIODS, config.width)
        self.track = nn.Parameter(0.02 * torch.randn(len(self._widths), config.width))
        self.query = nn.Parameter(0.02 * torch.randn(config.width))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                config.width,
                config.heads,
                dim_feedforward=4 * config.width,
                dropout=config.dropout,
                activation="gelu",
                batch_first=True,
                norm_first=True,
            )
            for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(config.width)

    def forward(self, clips: Tensor, steps: Tensor | None = None) -> Tensor:
        """One vector per clip.

        Args:
            clips: (m, L, D) joined rows; or (m, D), each a single step.
            steps: (m,) integers, how many of the L steps count, at least one; None: all do. What stands
                behind them may be anything.

        Returns:
            (m, width).
        """
        clips = clips[:, None] if clips.ndim == 2 else clips
        number, length = clips.shape[:2]
        place = torch.arange(length, device=clips.device)
        beyond = torch.zeros(number, length, dtype=torch.bool, device=clips.device)
        if steps is not None:
            beyond = place[None] >= steps[:, None]
            clips = clips.masked_fill(beyond[:, :, None], 0.0)  # else NaN would come through a weight of zero
        time = self.time(self._sinusoids(place / self.config.fps))
        tracks = [
            layer(_spread(part)) + time + track
            for layer, part, track in zip(self.rows, clips.split(self._widths, dim=2), self.track, strict=True)
        ]
        query = self.query.expand(number, 1, -1)
        tokens = torch.cat([query.to(tracks[0].dtype), *tracks], dim=1)
        mask = torch.cat([beyond.new_zeros(number, 1), *[beyond] * len(tracks)], dim=1)
        for block in self.blocks:
            tokens = block(tokens, src_key_padding_mask=mask)
        found: Tensor = self.norm(tokens[:, 0])
        return found

    def _sinusoids(self, seconds: Tensor) -> Tensor:
        """(L,) seconds to (L, 2 * _PERIODS)."""
        shortest = math.log(2 / self.config.fps)
        periods = torch.linspace(shortest, math.log(_LONGEST), _PERIODS, device=seconds.device).exp()
        angles = 2 * math.pi * seconds[:, None] / periods
        return torch.cat([angles.sin(), angles.cos()], dim=1)


def _spread(rows: Tensor) -> Tensor:
    """Rows of any length to numbers of about 1, so that they count beside the time."""
    return F.normalize(rows.float(), dim=-1) * math.sqrt(rows.shape[-1])


def spread_evenly(steps: Tensor, counts: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """The steps that count, in their order, brought to the front; of more than `most` as many, spread evenly.

    Args:
        steps: (n, L, D).
        counts: (n, L) bool, at least one True in a row.
        most: steps of a clip that are kept.

    Returns:
        (n, min(L, most), D), and (n,) int64 how many of them count.
    """
    number = counts.sum(dim=1)
    kept = number.clamp(max=most)
    place = torch.arange(min(steps.shape[1], most), device=steps.device)
    # The first and the last step always, between them the nearest; halves go up.
    gaps = (kept - 1).clamp(min=1)[:, None]
    picked = (2 * place * (number - 1)[:, None] + gaps) // (2 * gaps)
    picked = torch.where(number[:, None] > most, picked, place)
    order = torch.argsort((~counts).to(torch.uint8), dim=1, stable=True)
    where = order.gather(1, picked.clamp(max=steps.shape[1] - 1))
    return steps.gather(1, where[:, :, None].expand(-1, -1, steps.shape[2])), kept
