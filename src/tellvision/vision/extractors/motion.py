"""Motion without weights: which edges of the picture move where, as a histogram for every second.

8 frames per second, the whole picture squeezed to 64 x 64 grey pixels. Where brightness changes at an edge the
edge has moved, and by its gradient one sees which way (the normal flow). The amount of change, sorted by 8
directions in 8 x 8 cells, meaned over the second, is the vector, 512 wide. Where nothing moves it is all zero; a
flat picture that flashes is zero as well, one with edges is not.

It stands where the paper has a 3D network (section 2), knows nothing of actions, and costs little beside decoding.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, pad

from tellvision.media import View
from tellvision.records import InputError

VIEW = View(fps=8.0, size=64)
LUMA = (0.299, 0.587, 0.114)
FAINT = 4.0  # grey values per pixel: which way a fainter edge points is mostly noise
CELLS = 8
_R = math.sqrt(0.5)
DIRECTIONS = ((1.0, 0.0), (_R, _R), (0.0, 1.0), (-_R, _R), (-1.0, 0.0), (-_R, -_R), (0.0, -1.0), (_R, -_R))
"""To the right and down: from the right clockwise, as one sees it."""


@dataclass(frozen=True, kw_only=True)
class Motion:
    """See `tellvision.vision.extractors.Extractor`."""

    view: View = VIEW
    unit: int = 8
    tail: Literal["black", "last"] = "last"
    dim: int = len(DIRECTIONS) * CELLS * CELLS
    weights: str = "none"

    def network(self) -> nn.Module:
        """(n, 8, 64, 64, 3) uint8 -> (n, 512): direction by direction, in each the cells row by row."""
        return NormalFlow().eval()


def find(model: str) -> Motion:
    """There is one, without a name; InputError: any other."""
    if model:
        raise InputError(f"unknown model motion:{model}: use motion")
    return Motion()


class NormalFlow(nn.Module):
    """Without parameters, and hence always in float32."""

    def forward(self, units: Tensor) -> Tensor:
        """(n, frames, height, width, 3) uint8 -> (n, 512) float32, 0 or above."""
        grey = _grey(units)
        change = grey[:, 1:] - grey[:, :-1]
        across, down = _gradient((grey[:, 1:] + grey[:, :-1]) / 2)
        # What comes from the left brightens the picture where it gets darker to the right: hence the sign.
        share = -change / torch.sqrt(across**2 + down**2 + FAINT**2)
        across, down = share * across, share * down
        cells = [adaptive_avg_pool2d(torch.relu(x * across + y * down).mean(dim=1), CELLS) for x, y in DIRECTIONS]
        # The root keeps a single fast movement from hiding all slow ones.
        return torch.stack(cells, dim=1).flatten(1).sqrt()


def _grey(units: Tensor) -> Tensor:
    red, green, blue = units.float().unbind(dim=-1)
    return LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue


def _gradient(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Grey values per pixel, to the right and down; the border is repeated outside."""
    wide = pad(pictures, (1, 1, 1, 1), mode="replicate")
    across = (wide[..., 1:-1, 2:] - wide[..., 1:-1, :-2]) / 2
    return across, (wide[..., 2:, 1:-1] - wide[..., :-2, 1:-1]) / 2
