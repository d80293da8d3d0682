"""What the video models in the form of the transformers library share: frames in a row, one vector.

Each family says how fast its model was trained to look: videomae.py, timesformer.py, xclip.py, vjepa2.py.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch

from tellvision.media import View
from tellvision.records import InputError
from tellvision.vision.extractors.hub import Released
from tellvision.vision.extractors.pixels import Normalise, like
from tellvision.vision.extractors.preparation import normalise_of, view_of

MOST_FRAMES = 128
"""Frames of a vector, at most: a unit is held whole."""


@dataclass(frozen=True, kw_only=True)
class VideoModel:
    """A released model of frames in a row. See `tellvision.vision.extractors.Extractor`."""

    released: Released
    preparation: Mapping[str, Any]
    """What is done to the pixels, in the form of a preprocessor_config.json."""
    view: View
    unit: int
    dim: int
    tower: Callable[[Released], torch.nn.Module]
    """Loads what makes (n, dim) of normalised frames (n, unit, 3, height, width)."""
    tail: Literal["black", "last"] = "last"

    @property
    def weights(self) -> str:
        """Names weights, configuration and what is done to the pixels."""
        return self.released.weights

    def network(self) -> torch.nn.Module:
        """(n, unit, size, size, 3) uint8 -> (n, dim)."""
        return _Frames(normalise_of(self.preparation), self.tower(self.released)).eval()


def video_model(
    released: Released,
    *,
    preparation: Mapping[str, Any],
    fps: float,
    unit: int,
    size: int,
    dim: int,
    tower: Callable[[Released], torch.nn.Module],
) -> VideoModel:
    """The model with the view that it was released with.

    Args:
        released: its files.
        preparation: see `VideoModel`.
        fps: frames per second.
        unit: frames of a vector.
        size: pixels of both sides that the network takes.
        dim: width of a vector.
        tower: see `VideoModel`.

    Raises:
        InputError: the pictures are not those of the network, or a vector is made of too many.
    """
    view = view_of(preparation, fps=fps)
    if view.fit == "short" or view.size != size:
        raise InputError(
            f"{released.model} takes pictures of {size} x {size}, its preprocessor_config.json makes "
            f"{view.fit} ones of {view.size}: bring the file that was released with these weights"
        )
    if unit > MOST_FRAMES:
        raise InputError(f"{released.model} makes a vector of {unit} frames, known are 1 to {MOST_FRAMES}")
    return VideoModel(released=released, preparation=preparation, view=view, unit=unit, dim=dim, tower=tower)


class Averaged(torch.nn.Module):
    """The mean over the tokens of the last layer, all places and times, and what comes after it, if anything."""

    def __init__(self, network: torch.nn.Module, then: torch.nn.Module | None = None) -> None:
        super().__init__()
        self.network, self.then = network, then

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """(n, unit, 3, height, width) -> (n, dim)."""
        mean: torch.Tensor = self.network(frames).last_hidden_state.mean(dim=1)
        return mean if self.then is None else self.then(mean)


class _Frames(torch.nn.Module):
    """A tower behind the normalisation of its pixels."""

    def __init__(self, normalise: Normalise, tower: torch.nn.Module) -> None:
        super().__init__()
        self.normalise, self.tower = normalise, tower

    def forward(self, units: torch.Tensor) -> torch.Tensor:
        vectors: torch.Tensor = self.tower(like(self.normalise(units), self.tower).contiguous())
        return vectors.float()
