"""Backbones by name. One file per family, all behind one small protocol: pictures in, vectors out."""

import importlib
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tellvision.records import InputError

EXTRACTORS = {
    "efficientnet-lite0": "tellvision.vision.extractors.efficientnet_lite:EfficientNetLite0",
}


@dataclass(frozen=True, kw_only=True)
class FeatureConfig:
    """How pictures become vectors."""

    backbone: str = "efficientnet-lite0"
    """A name of `EXTRACTORS`."""


class Extractor(Protocol):
    """Turns frames into vectors.

    Attributes:
        fps: vectors per second.
        size: height and width of the pictures it takes, pixels.
        dim: width of a vector.
        weights: sha256 of the weights, part of what makes a track stale.
    """

    fps: float
    size: int
    dim: int
    weights: str

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        """(n, size, size, 3) uint8 RGB -> (n, dim) float32, each row of its frame alone."""


def find(name: str) -> type[Extractor]:
    """The class behind `name`; nothing is loaded before it is called.

    Raises:
        InputError: no such backbone.
    """
    if name not in EXTRACTORS:
        raise InputError(f"unknown backbone {name!r}: use one of {', '.join(EXTRACTORS)}")
    module, _, attribute = EXTRACTORS[name].partition(":")
    found: type[Extractor] = getattr(importlib.import_module(module), attribute)
    return found
