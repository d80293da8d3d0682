"""The pen: flat shapes in the world of the drawn videos, turned and moved as a whole.

Stands at the bottom of `draw/`: everything drawn goes through it. The world is 640 wide and
480 high, y pointing down; an image of any size is a window on it. A thing is drawn around
its own origin with a pen that `at` has moved, turned and scaled, so that a kettle tilts and
a car is jacked up without a thought in the code that draws it.
"""

import math
from functools import lru_cache
from typing import TypeAlias

from PIL import Image, ImageColor, ImageDraw

WIDTH, HEIGHT = 640, 480  # of the world

Point: TypeAlias = tuple[float, float]


@lru_cache(maxsize=4096)
def tone(colour: str, by: float) -> str:
    """A shade of `#rrggbb`: `by` in -1..1, towards black below zero and towards white above."""
    target = 255 if by > 0 else 0
    parts = [round(part + (target - part) * abs(by)) for part in ImageColor.getrgb(colour)[:3]]
    return f"#{parts[0]:02x}{parts[1]:02x}{parts[2]:02x}"


@lru_cache(maxsize=4096)
def _ink(colour: str) -> tuple[int, ...]:
    return ImageColor.getrgb(colour)


@lru_cache(maxsize=256)
def _arc(start: float, stop: float) -> list[Point]:
    """Points on the unit circle, degrees clockwise from three o'clock."""
    steps = max(4, round(abs(stop - start) / 10))
    angles = [math.radians(start + (stop - start) * k / steps) for k in range(steps + 1)]
    return [(math.cos(angle), math.sin(angle)) for angle in angles]


def bend(first: Point, by: Point, last: Point, steps: int = 12) -> list[Point]:
    """Points on the curve from `first` to `last` that is pulled towards `by`."""
    shares = [(k / steps) for k in range(steps + 1)]
    return [
        (
            (1 - s) ** 2 * first[0] + 2 * s * (1 - s) * by[0] + s * s * last[0],
            (1 - s) ** 2 * first[1] + 2 * s * (1 - s) * by[1] + s * s * last[1],
        )
        for s in shares
    ]


class Pen:
    """Draws on `image` through an affine map; `#rrggbbaa` colours let what is below shine through."""

    def __init__(self, image: Image.Image) -> None:
        self._solid = ImageDraw.Draw(image)
        self._glaze = ImageDraw.Draw(image, "RGBA")
        self._scale = image.width / WIDTH
        self._map = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)
        self._size = 1.0

    def at(self, x: float, y: float, turn: float = 0.0, size: float = 1.0, wide: float = 1.0) -> "Pen":
        """A pen whose origin is (x, y), turned clockwise by `turn` degrees.

        `size` scales both ways, `wide` the width alone (-1 mirrors).
        """
        a, b, c, d, e, f = self._map
        cos, sin = math.cos(math.radians(turn)) * size, math.sin(math.radians(turn)) * size
        pen = object.__new__(Pen)
        pen._solid, pen._glaze, pen._scale = self._solid, self._glaze, self._scale
        pen._map = (
            (a * cos + c * sin) * wide,
            (b * cos + d * sin) * wide,
            c * cos - a * sin,
            d * cos - b * sin,
            a * x + c * y + e,
            b * x + d * y + f,
        )
        pen._size = self._size * size
        return pen

    def where(self, x: float, y: float) -> Point:
        """The place in the world of a point of this pen."""
        a, b, c, d, e, f = self._map
        return a * x + c * y + e, b * x + d * y + f

    def _pixels(self, points: list[Point]) -> list[Point]:
        a, b, c, d, e, f = (value * self._scale for value in self._map)
        return [(a * x + c * y + e, b * x + d * y + f) for x, y in points]

    def shape(self, points: list[Point], fill: str) -> None:
        """A filled polygon."""
        (self._glaze if len(fill) > 7 else self._solid).polygon(self._pixels(points), fill=_ink(fill))

    def oval(
        self, x: float, y: float, rx: float, ry: float, fill: str, start: float = 0, stop: float = 360
    ) -> None:
        """An ellipse around (x, y), or the part of it between two angles, closed by its chord."""
        self.shape([(x + rx * u, y + ry * v) for u, v in _arc(start, stop)], fill)

    def box(self, x0: float, y0: float, x1: float, y1: float, fill: str, corner: float = 0) -> None:
        """A rectangle, its corners rounded by the radius `corner`."""
        if not corner:
            self.shape([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], fill)
            return
        points = []
        for x, y, start in (
            (x1 - corner, y1 - corner, 0),
            (x0 + corner, y1 - corner, 90),
            (x0 + corner, y0 + corner, 180),
            (x1 - corner, y0 + corner, 270),
        ):
            points += [(x + corner * u, y + corner * v) for u, v in _arc(start, start + 90)[::3]]
        self.shape(points, fill)

    def line(self, points: list[Point], fill: str, width: float) -> None:
        """A line of `width` through the points, with round ends."""
        draw = self._glaze if len(fill) > 7 else self._solid
        pixels = self._pixels(points)
        wide = max(1, round(width * self._size * self._scale))
        draw.line(pixels, fill=_ink(fill), width=wide, joint="curve" if len(pixels) > 2 else None)
        if wide > 3:
            for x, y in (pixels[0], pixels[-1]):
                reach = wide / 2
                draw.ellipse((x - reach, y - reach, x + reach, y + reach), fill=_ink(fill))

    def arc(
        self, x: float, y: float, rx: float, ry: float, fill: str, width: float, start: float, stop: float
    ) -> None:
        """A part of the outline of an ellipse, degrees clockwise from three o'clock."""
        self.line([(x + rx * u, y + ry * v) for u, v in _arc(start, stop)], fill, width)
