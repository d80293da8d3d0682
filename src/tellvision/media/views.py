"""How the frames of a video are wanted: how many a second, how large, which part of the picture."""

import math
from dataclasses import dataclass
from typing import Literal

Fit = Literal["squash", "short", "crop"]
Interpolation = Literal["area", "bilinear", "bicubic"]


@dataclass(frozen=True, kw_only=True)
class View:
    """Frames at a rate, scaled."""

    fps: float
    """Frames per second."""
    size: int
    """Pixels: of both sides, or of the short side where the whole picture is kept."""
    fit: Fit = "squash"
    """`squash`: the whole picture to size x size. `short`: the short side to `size`, the aspect kept, nothing
    cut off. `crop`: the short side to `short`, then the middle size x size."""
    short: int = 0
    """Pixels of the short side before the middle is cut out; 0: `size`."""
    interpolation: Interpolation = "area"
    """How pixels are scaled: `area` (mean), or `bilinear` or `bicubic` with the filter widened when shrinking."""

    def __post_init__(self) -> None:
        if not (0 < self.fps < math.inf and self.size > 0):
            raise ValueError(f"a view needs fps and size above 0, got fps={self.fps}, size={self.size}")
        if self.fit == "crop" and 0 < self.short < self.size:
            raise ValueError(f"{self.size} pixels cannot be cut out of a short side of {self.short}")

    def shape(self, width: int, height: int) -> tuple[int, int]:
        """(height, width) of its pictures, for an upright picture of `width` x `height` pixels."""
        if self.fit != "short":
            return self.size, self.size
        return _scaled(width, height, self.size)

    def scaled(self, width: int, height: int) -> tuple[int, int]:
        """(height, width) to which a picture is scaled, before anything is cut off."""
        if self.fit == "squash":
            return self.size, self.size
        return _scaled(width, height, self.size if self.fit == "short" else self.short or self.size)


def _scaled(width: int, height: int, short: int) -> tuple[int, int]:
    """The short side exactly `short`, the long side to the nearest pixel."""
    if width < height:
        return round(height * short / width), short
    return short, round(width * short / height)
