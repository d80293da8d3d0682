"""ResNeXt-101 over 16 frames, trained on Kinetics-400: the paper's 3D features (paper section 2).

24 frames per second, the short side 112 pixels, the middle 112 x 112 cut out; 16 frames make a vector, 1.5
a second, 2048 wide: the mean over the last map, which is 1 x 4 x 4. The last unit is filled up with black.
Reads the file `resnext-101-kinetics.pth` as its makers saved it, or the bare state dict that the authors
of the paper made of it.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from tellvision.media import View
from tellvision.records import InputError
from tellvision.vision.extractors import weights
from tellvision.vision.extractors.pixels import Normalise, like
from tellvision.vision.extractors.residual import Residual, blocks_of

VIEW = View(fps=24.0, size=112, fit="crop", interpolation="bicubic")
"""The paper's frames; FFmpeg, which scaled them, does it bicubically."""

MEAN = (110.6, 103.2, 96.3)
"""Of red, green and blue, in 0 to 255; black is thus not 0 for the network."""


@dataclass(frozen=True, kw_only=True)
class ResNeXt:
    """See `tellvision.vision.extractors.Extractor`."""

    path: Path
    view: View = VIEW
    unit: int = 16
    tail: Literal["black", "last"] = "black"
    dim: int = 2048

    @property
    def weights(self) -> str:
        """sha256 of the file."""
        return weights.sha256(self.path)

    def network(self) -> torch.nn.Module:
        """(n, 16, 112, 112, 3) uint8 -> (n, 2048)."""
        found = weights.read(self.path)
        without_classes = {name: value for name, value in found.items() if name not in ("fc.weight", "fc.bias")}
        with torch.device("meta"):
            network = Residual(blocks_of(found), stacks=True, width=128, expansion=2, groups=32)
        return _OfStacks(weights.fill(network, without_classes, self.path)).eval()


def find(model: str) -> ResNeXt:
    """The path of a file of weights, whose names tell how deep it is; InputError: it is not there."""
    path = Path(os.path.expanduser(model))
    if not path.is_file():
        raise InputError(f"no file of weights at resnext:{model}: use resnext:/path/of/resnext-101-kinetics.pth")
    return ResNeXt(path=path)


class _OfStacks(torch.nn.Module):
    """Frames in the units of their bytes, minus the mean."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.normalise, self.network = Normalise(MEAN, (1.0, 1.0, 1.0)), network

    def forward(self, units: torch.Tensor) -> torch.Tensor:
        return self.network(like(self.normalise(units).transpose(1, 2), self.network))
