"""What tells one drawn video from another: room or garden, host, light, camera, colours.

The scene of a video comes from its own random numbers and knows nothing of the task but
whether it is done indoors, so that the picture of a moment says which video it is from
as loudly as it says what is done: as on the web, where negatives of the same video matter.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from math import sin
from typing import TypeAlias

from PIL import Image, ImageChops

from tellvision.draw.backdrops import (
    ACCENTS,
    CLOTHES,
    COVERS,
    GROUNDS,
    HAIRS,
    PATTERNS,
    PROPS,
    SKIES,
    SKINS,
    SMALL,
    TABLES,
    WALLS,
    garden,
)
from tellvision.draw.pen import HEIGHT, WIDTH, Pen, bend, tone

Motion: TypeAlias = Callable[[Pen, float, float], None]
"""Draws what moves: a pen, seconds since the step began, share of the step that has passed."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """The colours of one video that the things and hands in it take on."""

    skin: str
    sleeve: str
    accent: str
    """Handles, cloths: what has no colour of its own."""
    paper: str
    ribbon: str
    car: str
    table: str


@dataclass(frozen=True, kw_only=True)
class Camera:
    """Where the video is filmed from, and in which light."""

    zoom: float
    """1 shows the whole world."""
    left: float
    """Share of what the zoom leaves over, 0..1."""
    top: float
    sway: float
    """Units by which the hand that films it drifts."""
    mirrored: bool
    lit: tuple[str, str, int]
    """Colour of light and of shade, and the quarter turns of the way from one to the other."""

    def film(self, canvas: Image.Image, light: Image.Image, t: float) -> Image.Image:
        """What the camera sees of the canvas at `t` seconds, in the size of `light`."""
        size = light.size
        wide = WIDTH / self.zoom
        high = wide * size[1] / size[0]
        if high > HEIGHT / self.zoom:
            wide, high = wide * (HEIGHT / self.zoom) / high, HEIGHT / self.zoom
        x = self.left * (WIDTH - wide) + self.sway * sin(0.9 * t + 5 * self.left)
        y = self.top * (HEIGHT - high) + self.sway * sin(0.7 * t + 7 * self.top)
        x, y = min(max(x, 0.0), WIDTH - wide), min(max(y, 0.0), HEIGHT - high)
        scale = canvas.width / WIDTH
        window = (x * scale, y * scale, (x + wide) * scale, min((y + high) * scale, canvas.height))
        image = ImageChops.multiply(canvas.resize(size, Image.Resampling.BILINEAR, box=window), light)
        return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if self.mirrored else image

    def light(self, size: tuple[int, int]) -> Image.Image:
        """The light as an image to multiply with."""
        bright, shade, turns = self.lit
        slope = Image.linear_gradient("L").rotate(90 * turns).resize(size)
        return Image.composite(Image.new("RGB", size, shade), Image.new("RGB", size, bright), slope)


class Scene:
    """One video's surroundings, all of them from the random numbers of `rng`.

    Args:
        rng: nothing else decides; the same state gives the same scene.
        outdoors: in a garden or street rather than in a room.
    """

    def __init__(self, rng: random.Random, outdoors: bool) -> None:
        self.outdoors = outdoors
        self.wall, self.trim = rng.sample(WALLS, 2)
        table, shirt = rng.choice(GROUNDS if outdoors else TABLES), rng.choice(CLOTHES)
        accents = rng.sample(ACCENTS, 4)
        self.look = Look(
            skin=rng.choice(SKINS),
            sleeve=shirt,
            accent=accents[0],
            paper=accents[1],
            ribbon=accents[2],
            car=rng.choice(CLOTHES),
            table=table,
        )
        self.camera = Camera(
            zoom=rng.uniform(1.02, 1.13),
            left=rng.uniform(0.2, 0.8),
            top=rng.uniform(0.4, 0.95),
            sway=rng.uniform(1.0, 5.0),
            mirrored=rng.random() < 0.5,
            lit=(
                rng.choice(["#fffdf5", "#fff3dc", "#f3f9ff", "#ffffff"]),
                rng.choice(["#c9c3d6", "#dcc3a5", "#b9c6d4", "#e6e6e6", "#cfae9c"]),
                rng.randrange(4),
            ),
        )
        self.hair, self.style = rng.choice(HAIRS), rng.randrange(4)
        self.sky = rng.choice(SKIES)
        self.pattern = rng.choice(PATTERNS)
        self.cover = rng.choice(COVERS)
        self.props = rng.sample(PROPS, 3)
        self.small = rng.sample(SMALL, 2)
        self.accents = accents
        self.horizon = rng.uniform(300, 345)
        self.seed = rng.random()

    def backdrop(self, pen: Pen) -> None:
        """Everything behind the step: wall and table, or sky and ground."""
        rng = random.Random(self.seed)
        if self.outdoors:
            garden(pen, self.look.table, self.sky, self.horizon, self.accents, rng)
            return
        pen.box(0, 0, WIDTH, HEIGHT, self.wall)
        self.pattern(pen, self.wall, self.trim)
        for place, prop in zip((95, 320, 545), self.props, strict=True):
            prop(pen.at(place + rng.uniform(-30, 30), rng.uniform(95, 130)), self.accents, rng)
        pen.box(0, self.horizon - 26, WIDTH, self.horizon, tone(self.wall, -0.28))
        pen.box(0, self.horizon, WIDTH, HEIGHT, self.look.table)
        self.cover(pen.at(0, self.horizon), self.look.table, self.trim)
        pen.box(0, self.horizon, WIDTH, self.horizon + 6, tone(self.look.table, 0.35))
        for place, prop in zip((58, 590), self.small, strict=True):
            prop(pen.at(place, self.horizon + 26), self.accents, rng)

    def host(self, pen: Pen, look: Look) -> Motion:
        """The person whose video it is, talking and waving behind the table."""

        def motion(pen: Pen, t: float, u: float) -> None:
            body = pen.at(320 + 5 * sin(1.3 * t), 0)
            body.shape(
                [
                    (-150, 490),
                    *bend((-150, 300), (-130, 262), (-50, 252)),
                    *bend((50, 252), (130, 262), (150, 300)),
                    (150, 490),
                ],
                look.sleeve,
            )
            body.box(-30, 210, 30, 268, tone(look.skin, -0.12), 14)
            body.shape([(-34, 252), (34, 252), (0, 296)], tone(look.skin, -0.05))
            if self.style == 1:
                body.box(-92, 96, 92, 280, self.hair, 50)
            body.oval(0, 152, 76, 92, look.skin)
            body.oval(0, 96, 82, 50, self.hair, 180, 360)
            body.box(-82, 90, 82, 112 if self.style != 2 else 98, self.hair, 8)
            if self.style == 3:
                body.oval(0, 42, 34, 30, self.hair)
            if self.style == 2:
                body.oval(0, 205, 58, 44, self.hair, 0, 180)
            for side in (-1, 1):
                body.oval(side * 78, 158, 13, 19, tone(look.skin, -0.08))
                body.oval(side * 29, 150, 10, 12 if t % 3.1 > 0.16 else 2, "#22201f")
                body.line([(side * 17, 122), (side * 30, 120), (side * 43, 127)], tone(self.hair, -0.2), 6)
            body.line([(0, 160), (-5, 178), (5, 180)], tone(look.skin, -0.25), 5)
            body.oval(0, 196, 27, 9 + 13 * abs(sin(7.3 * t)), "#8c2f2b", 0, 180)
            body.box(-20, 196, 20, 202, "#ffffff", 2)
            wave = 24 * sin(6 * t) if u < 0.75 else 0
            arm = body.at(140, 330, 28 + wave)
            arm.line([(0, 20), (20, -110)], look.sleeve, 54)
            arm.line([(20, -116), (22, -140)], look.skin, 40)
            arm.oval(23, -166, 31, 36, look.skin)
            for k in range(4):
                arm.line([(4 + 13 * k, -186), (-6 + 19 * k, -216)], look.skin, 15)

        return motion
