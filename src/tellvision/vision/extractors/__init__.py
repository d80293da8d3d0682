"""Backbones by name. One file per family, all behind one small protocol: pictures in, vectors out.

`EXTRACTORS` has the names for people; `family:model` reaches every other model of a family, where `model`
is what the family takes: a name, a name on the model hub, a folder or a file of weights.
"""

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol
from urllib.parse import quote

from tellvision.records import InputError

if TYPE_CHECKING:  # help has to answer at once
    import torch

    from tellvision.media import View

EXTRACTORS = {
    "efficientnet-lite0": "efficientnet-lite:0",
    "efficientnet-lite1": "efficientnet-lite:1",
    "efficientnet-lite2": "efficientnet-lite:2",
    "motion": "motion:",
    "resnet-152": "resnet:152",
    "clip": "clip:openai/clip-vit-base-patch16",
    "siglip2": "siglip2:google/siglip2-base-patch16-224",
    "dinov2": "dinov2:facebook/dinov2-base",
    "dinov3": "dinov3:facebook/dinov3-vitb16-pretrain-lvd1689m",
    "videomae": "videomae:MCG-NJU/videomae-base",
    "timesformer": "timesformer:facebook/timesformer-base-finetuned-k400",
    "xclip": "xclip:microsoft/xclip-base-patch32",
    "vjepa2": "vjepa2:facebook/vjepa2-vitl-fpc64-256",
}
"""Name -> family:model."""

FAMILIES = {
    "efficientnet-lite": "efficientnet_lite",
    "motion": "motion",
    "clip": "clip",
    "siglip": "clip",
    "siglip2": "clip",
    "dinov2": "dino",
    "dinov3": "dino",
    "hf-resnet": "hf_resnet",
    "resnet": "resnet",
    "resnext": "resnext",
    "s3d": "s3d",
    "videomae": "videomae",
    "timesformer": "timesformer",
    "xclip": "xclip",
    "vjepa2": "vjepa2",
    "torchvision": "torchvision_video",
}
"""Family -> the module here that knows it, by a function `find(model: str) -> Extractor`."""


@dataclass(frozen=True, kw_only=True)
class FeatureConfig:
    """How pictures become vectors."""

    backbone: tuple[str, ...] = ("efficientnet-lite0",)
    """efficientnet-lite0, motion, clip ... or family:model (docs/backbones.md lists them), several side by side; a
    clip's row is joined in this order."""

    def __post_init__(self) -> None:
        if not self.backbone:
            raise InputError(f"name at least one backbone: {', '.join(EXTRACTORS)}")
        if len(set(self.backbone)) < len(self.backbone):
            raise InputError(f"a backbone is named twice: {', '.join(self.backbone)}")


class Extractor(Protocol):
    """What a backbone is. Nothing heavy is loaded before `network` is called.

    Attributes:
        view: rate and size of the frames that it sees.
        unit: frames that make one vector, in a row and without overlap; 1 for pictures.
        tail: what fills up the last unit: `black` frames (the paper's way) or the `last` frame again.
        dim: width of a vector.
        weights: sha256 of the weights, part of what makes a track stale; `none` where there are none.
    """

    @property
    def view(self) -> "View": ...  # noqa: D102 - as above
    @property
    def unit(self) -> int: ...  # noqa: D102
    @property
    def tail(self) -> Literal["black", "last"]: ...  # noqa: D102
    @property
    def dim(self) -> int: ...  # noqa: D102
    @property
    def weights(self) -> str: ...  # noqa: D102

    def network(self) -> "torch.nn.Module":
        """(n, unit, height, width, 3) uint8 RGB on any device -> (n, dim), each row of its unit alone.

        In evaluation mode, on the CPU, in float32; brought elsewhere or to half precision as a whole. It
        normalises in float32 first, and then goes on in the precision of its parameters.

        Raises:
            InputError: the weights are not there or not what they should be.
        """


def find(name: str) -> Extractor:
    """The backbone behind `name`.

    Raises:
        InputError: no such backbone, or what it needs is not installed.
    """
    family, _, model = EXTRACTORS.get(name, name).partition(":")
    if family not in FAMILIES:
        known = ", ".join(EXTRACTORS)
        raise InputError(
            f"unknown backbone {name!r}: use one of {known}, or FAMILY:MODEL of {', '.join(FAMILIES)}"
        )
    module = importlib.import_module(f"tellvision.vision.extractors.{FAMILIES[family]}")
    found: Extractor = module.find(model)
    return found


def rate_of(extractor: Extractor) -> float:
    """Vectors per second."""
    return extractor.view.fps / extractor.unit


def folder_of(name: str) -> str:
    """The name of the folder that a backbone's tracks lie in: nothing in it parts folders."""
    return quote(name, safe="@+=,").replace(".", "%2E", not name.strip("."))
