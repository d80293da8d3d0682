"""ResNet-50, 101 and 152 on ImageNet with torchvision's weights: the paper's 2D features (paper section 2).

A frame per second, the short side 224 pixels, the aspect kept and nothing cut off; the mean over the last
map, 2048 wide. Reads torchvision's own files, `resnet152-394f9c45.pth` and the like, from where
`torch.hub` keeps them or from a path; torchvision itself is not needed, and nothing is fetched.
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

FILES = {
    "50": ("resnet50-0676ba61.pth", "resnet50-19c8e357.pth", "resnet50-11ad3fa6.pth"),
    "101": ("resnet101-63fe2227.pth", "resnet101-5d3b4d8f.pth", "resnet101-cd907fc2.pth"),
    "152": ("resnet152-394f9c45.pth", "resnet152-b121ed2d.pth", "resnet152-f82ba261.pth"),
}
"""Model -> torchvision's files, the first that is there is taken: the paper's weights, their older file, and
those of a longer training (IMAGENET1K_V2)."""

SOURCE = "https://download.pytorch.org/models"

VIEW = View(fps=1.0, size=224, fit="short", interpolation="bicubic")
"""The paper's frames; FFmpeg, which scaled them, does it bicubically."""

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of red, green and blue, in 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class ResNet:
    """See `tellvision.vision.extractors.Extractor`."""

    path: Path
    view: View = VIEW
    unit: int = 1
    tail: Literal["black", "last"] = "last"
    dim: int = 2048

    @property
    def weights(self) -> str:
        """sha256 of the file."""
        return weights.sha256(self.path)

    def network(self) -> torch.nn.Module:
        """(n, 1, h, w, 3) uint8 of any height and width -> (n, 2048)."""
        found = weights.read(self.path)
        without_classes = {name: value for name, value in found.items() if name not in ("fc.weight", "fc.bias")}
        with torch.device("meta"):
            network = Residual(blocks_of(found))
        return _OfPictures(weights.fill(network, without_classes, self.path)).eval()


def find(model: str) -> ResNet:
    """`50`, `101`, `152`, or the path of a file of weights, whose names tell how deep it is.

    Raises:
        InputError: no such model, no such file.
    """
    if model not in FILES:
        path = Path(os.path.expanduser(model))
        if not path.is_file():
            raise InputError(
                f"no file of weights at resnet:{model}: use resnet:{', resnet:'.join(FILES)} or a path"
            )
        return ResNet(path=path)
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    found = [folder / name for name in FILES[model] if (folder / name).is_file()]
    if not found:
        name = FILES[model][0]
        raise InputError(
            f"resnet:{model} needs torchvision's file of weights: "
            f"curl --create-dirs -o {folder / name} {SOURCE}/{name}"
        )
    return ResNet(path=found[0])


class _OfPictures(torch.nn.Module):
    """Normalised pictures, one in a unit."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        red, green, blue = ((255 * mean, 255 * std) for mean, std in zip(MEAN, STD, strict=True))
        self.normalise = Normalise((red[0], green[0], blue[0]), (red[1], green[1], blue[1]))
        self.network = network

    def forward(self, units: torch.Tensor) -> torch.Tensor:
        return self.network(like(self.normalise(units)[:, 0], self.network))
