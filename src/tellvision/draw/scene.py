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

from tellvision.draw.pen import HEIGHT, WIDTH, Pen, bend, tone

Motion: TypeAlias = Callable[[Pen, float, float], None]
"""Draws what moves: a pen, seconds since the step began, share of the step that has passed."""

WALLS = "#f2d7b6 #bcd8d0 #e8c1bd #c9d3ea #d9e3b5 #f3e3a9 #cdbfd9 #e7e2d8 #9fc3d4 #d8b08c #8fb39a #6f8796".split()
TABLES = "#8d5a34 #b47f4f #e3c79d #5f6b76 #f0ece4 #3f5a4c #a63f3a #d6dfe3 #6b4a63 #c9a227".split()
CLOTHES = "#2a6f97 #c1440e #5a7d3a #7b2d6b #e0a526 #31343b #d66a8b #1c8c84 #f4f1ea #8b1e3f".split()
ACCENTS = "#e63946 #f4a261 #2a9d8f #ffb703 #8338ec #43aa8b #ff006e #fb5607 #118ab2 #6a994e".split()
SKINS = "#f6d3b3 #e8b48a #c98d5f #9a6239 #6e4326".split()
HAIRS = "#2b1d14 #5a3620 #a9692f #d9b15e #7d7d80 #b5442c #16161a".split()
SKIES = "#aee0f7 #8ecae6 #f9dcc4 #cfe8ef #b8c9e8 #ffe1a8".split()
GROUNDS = "#7fb45b #5f9e52 #a7b86a #b9b4a8 #8f8a80 #d2b48c #9bbf7a".split()


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
            skin=rng.choice(SKINS), sleeve=shirt, accent=accents[0], paper=accents[1], ribbon=accents[2],
            car=rng.choice(CLOTHES), table=table,
        )
        self.camera = Camera(
            zoom=rng.uniform(1.02, 1.13), left=rng.uniform(0.2, 0.8), top=rng.uniform(0.4, 0.95),
            sway=rng.uniform(1.0, 5.0), mirrored=rng.random() < 0.5,
            lit=(rng.choice(["#fffdf5", "#fff3dc", "#f3f9ff", "#ffffff"]),
                 rng.choice(["#c9c3d6", "#dcc3a5", "#b9c6d4", "#e6e6e6", "#cfae9c"]), rng.randrange(4)),
        )
        self.hair, self.style = rng.choice(HAIRS), rng.randrange(4)
        self.sky = rng.choice(SKIES)
        self.pattern = rng.choice([_stripes, _tiles, _bricks, _dots, _panels, _plain])
        self.cover = rng.choice([_boards, _checks, _stone, _plain_table])
        self.props = rng.sample([_window, _shelf, _picture, _clock, _lamp, _pans, _hanging_plant], 3)
        self.small = rng.sample([_fruit, _books, _jar, _vase, _candle], 2)
        self.accents = accents
        self.horizon = rng.uniform(300, 345)
        self.seed = rng.random()

    def backdrop(self, pen: Pen) -> None:
        """Everything behind the step: wall and table, or sky and ground."""
        rng = random.Random(self.seed)
        if self.outdoors:
            _garden(pen, self, rng)
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
            body.shape([(-150, 490), *bend((-150, 300), (-130, 262), (-50, 252)), (50, 252)]
                       + [*bend((50, 252), (130, 262), (150, 300)), (150, 490)], look.sleeve)
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
                body.line([(side * 18, 128), (side * 42, 126)], tone(self.hair, -0.2), 6)
            body.line([(0, 160), (-5, 178), (5, 180)], tone(look.skin, -0.25), 5)
            body.oval(0, 204, 22, 4 + 10 * abs(sin(7.3 * t)), "#8c2f2b")
            wave = 24 * sin(6 * t) if u < 0.75 else 0
            arm = body.at(140, 330, 28 + wave)
            arm.line([(0, 20), (20, -110)], look.sleeve, 54)
            arm.line([(20, -116), (22, -140)], look.skin, 40)
            arm.oval(23, -166, 31, 36, look.skin)
            for k in range(4):
                arm.line([(4 + 13 * k, -186), (-6 + 19 * k, -216)], look.skin, 15)

        return motion


def _plain(pen: Pen, wall: str, trim: str) -> None:
    pen.box(0, 210, WIDTH, HEIGHT, tone(trim, 0.25))
    pen.box(0, 204, WIDTH, 216, tone(wall, 0.5))


def _stripes(pen: Pen, wall: str, trim: str) -> None:
    for k in range(9):
        pen.box(72 * k, 0, 72 * k + 34, HEIGHT, trim)


def _tiles(pen: Pen, wall: str, trim: str) -> None:
    for k in range(11):
        for row in range(6):
            fill = trim if (3 * k + 5 * row) % 7 == 0 else tone(wall, 0.3 if (k + row) % 2 else 0.4)
            pen.box(60 * k + 2, 60 * row + 2, 60 * k + 58, 60 * row + 58, fill, 3)


def _bricks(pen: Pen, wall: str, trim: str) -> None:
    for row in range(12):
        for k in range(9):
            x = 80 * k - 40 * (row % 2)
            pen.box(x + 2, 30 * row + 2, x + 78, 30 * row + 28, tone(trim, (-0.22, -0.12, -0.3)[(k * 2 + row) % 3]))


def _dots(pen: Pen, wall: str, trim: str) -> None:
    for row in range(8):
        for k in range(10):
            pen.oval(70 * k + 35 * (row % 2), 26 + 44 * row, 11, 11, trim)


def _panels(pen: Pen, wall: str, trim: str) -> None:
    for k in range(8):
        pen.box(84 * k, 0, 84 * k + 80, HEIGHT, tone(trim, -0.25 if k % 2 else -0.18))
        pen.line([(84 * k + 26, 0), (84 * k + 30, 340)], tone(trim, -0.34), 3)


def _boards(pen: Pen, table: str, trim: str) -> None:
    for k in range(9):
        pen.shape([(110 * k - 140, 190), (110 * k - 130, 190), (80 * k + 4, 0), (80 * k, 0)], tone(table, -0.22))
        pen.line(bend((95 * k - 40, 150), (90 * k - 10, 90), (84 * k + 30, 10)), tone(table, -0.1), 3)


def _checks(pen: Pen, table: str, trim: str) -> None:
    for row, (y, high) in enumerate(((0, 26), (26, 38), (64, 52), (116, 70))):
        for k in range(-1, 12):
            if (k + row) % 2:
                pen.box(60 * k, y, 60 * k + 60, y + high, tone(trim, 0.2))


def _stone(pen: Pen, table: str, trim: str) -> None:
    for k in range(60):
        x, y = (k * 97) % 640, (k * 53) % 170
        pen.oval(x, y + 6, 4 + k % 5, 2 + k % 3, tone(table, 0.3 if k % 2 else -0.25))


def _plain_table(pen: Pen, table: str, trim: str) -> None:
    pen.shape([(0, 60), (260, 0), (420, 0), (0, 120)], tone(table, 0.12))


def _window(pen: Pen, accents: list[str], rng: random.Random) -> None:
    pen.box(-78, -86, 78, 90, "#ffffff", 4)
    pen.box(-66, -74, 66, 78, rng.choice(SKIES))
    pen.oval(-20, 82, 80, 44, rng.choice(GROUNDS), 180, 360)
    pen.box(-4, -74, 4, 78, "#ffffff")
    pen.box(-66, -4, 66, 4, "#ffffff")
    for side in (-1, 1):
        curtain = pen.at(0, 0, wide=side)
        curtain.shape([(88, -96), (30, -96), *bend((34, -30), (50, 30), (84, 50)), (92, 50)], accents[3])


def _shelf(pen: Pen, accents: list[str], rng: random.Random) -> None:
    for row in (0, 1):
        y = -14 + 80 * row
        pen.box(-92, y, 92, y + 10, "#7a5230")
        for k in range(5):
            x, high = -74 + 36 * k, rng.uniform(26, 52)
            if rng.random() < 0.5:
                pen.box(x - 13, y - high, x + 13, y, rng.choice(ACCENTS), 5)
                pen.box(x - 13, y - high, x + 13, y - high + 9, "#f4efe4", 3)
            else:
                pen.box(x - 9, y - high - 8, x + 7, y, rng.choice(CLOTHES))


def _picture(pen: Pen, accents: list[str], rng: random.Random) -> None:
    pen.box(-70, -58, 70, 58, rng.choice(["#3b2a1e", "#d9b44a", "#f6f6f6", "#1f2937"]))
    pen.box(-58, -46, 58, 46, rng.choice(SKIES))
    pen.shape([(-58, 46), (-20, -14), (10, 22), (30, 0), (58, 46)], rng.choice(GROUNDS))
    pen.oval(30, -24, 12, 12, accents[3])


def _clock(pen: Pen, accents: list[str], rng: random.Random) -> None:
    pen.oval(0, 0, 58, 58, accents[3])
    pen.oval(0, 0, 47, 47, "#fdfbf5")
    for k in range(12):
        pen.at(0, 0, 30 * k).box(-2, -44, 2, -36, "#333333")
    pen.at(0, 0, rng.uniform(0, 360)).line([(0, 0), (0, -34)], "#222222", 4)
    pen.at(0, 0, rng.uniform(0, 360)).line([(0, 0), (0, -22)], "#222222", 6)


def _lamp(pen: Pen, accents: list[str], rng: random.Random) -> None:
    pen.line([(0, -140), (0, -40)], "#2e2e2e", 4)
    pen.shape([(-64, 30), (-26, -42), (26, -42), (64, 30)], accents[3])
    pen.oval(0, 30, 64, 11, "#fff2b8")


def _pans(pen: Pen, accents: list[str], rng: random.Random) -> None:
    pen.box(-96, -62, 96, -54, "#4a4a4f", 4)
    for k, reach in enumerate((26, 36, 22)):
        x = -64 + 62 * k
        pen.line([(x, -54), (x, 6)], "#33343a", 8)
        pen.oval(x, 12 + reach, reach, reach, ("#4d5158", "#b5653a", "#6b7078")[k])
        pen.oval(x, 12 + reach, reach * 0.75, reach * 0.75, ("#5d626b", "#c9794b", "#7d838c")[k])


def _hanging_plant(pen: Pen, accents: list[str], rng: random.Random) -> None:
    pen.line([(-30, -140), (0, -10), (30, -140)], "#cbb994", 3)
    for k in range(9):
        x = -56 + 14 * k
        pen.line(bend((0, -14), (x, -50), (x * 1.2, 20 + 40 * rng.random())), "#4b8f4a", 7)
    pen.shape([(-40, -20), (40, -20), (26, 34), (-26, 34)], accents[3])


def _fruit(pen: Pen, accents: list[str], rng: random.Random) -> None:
    for x, y, fill in ((-24, -34, "#e4572e"), (20, -36, "#f3a712"), (0, -50, "#8cb369")):
        pen.oval(x, y, 22, 22, fill)
    pen.oval(0, -34, 54, 34, "#ded3c1", 0, 180)


def _books(pen: Pen, accents: list[str], rng: random.Random) -> None:
    for k in range(4):
        shift = rng.uniform(-8, 8)
        pen.box(-48 + shift, -18 * k - 17, 48 + shift, -18 * k, rng.choice(CLOTHES), 3)


def _jar(pen: Pen, accents: list[str], rng: random.Random) -> None:
    pen.box(-28, -84, 28, 0, "#e5f2f5c8", 10)
    pen.box(-24, -52, 24, -4, rng.choice(ACCENTS), 8)
    pen.box(-30, -96, 30, -80, "#8a8f98", 4)


def _vase(pen: Pen, accents: list[str], rng: random.Random) -> None:
    for k in range(5):
        stem = pen.at(0, -60, -36 + 18 * k)
        stem.line([(0, 0), (0, -52)], "#4b8f4a", 4)
        stem.oval(0, -58, 13, 13, accents[k % 4])
    pen.shape([(-18, -70), (18, -70), (30, -30), (18, 0), (-18, 0), (-30, -30)], tone(accents[3], 0.4))


def _candle(pen: Pen, accents: list[str], rng: random.Random) -> None:
    pen.box(-40, -8, 40, 0, "#c9a227", 4)
    pen.box(-15, -74, 15, -6, tone(accents[3], 0.5), 4)
    pen.shape([(-7, -78), (0, -104), (7, -78)], "#ffb238")


def _garden(pen: Pen, scene: Scene, rng: random.Random) -> None:
    """Sky, hills, a house or trees, and the ground, all of them by `rng`."""
    ground, y = scene.look.table, scene.horizon
    pen.box(0, 0, WIDTH, HEIGHT, scene.sky)
    pen.oval(rng.uniform(60, 580), rng.uniform(40, 90), 36, 36, "#fff2b0")
    for _ in range(3):
        cloud = pen.at(rng.uniform(40, 600), rng.uniform(40, 130), size=rng.uniform(0.7, 1.2))
        for x, lift, reach in ((-40, 0, 34), (0, -16, 44), (44, 0, 32)):
            cloud.oval(x, lift, reach, reach * 0.6, "#ffffffd0")
    for k in range(3):
        pen.oval(rng.uniform(0, WIDTH), y + 10, 300, rng.uniform(60, 170), tone(rng.choice(GROUNDS), 0.1 * k), 180, 360)
    if rng.random() < 0.6:
        house = pen.at(rng.choice([90, 550]), y + 6, size=rng.uniform(0.8, 1.15))
        house.box(-90, -130, 90, 0, scene.wall)
        house.shape([(-112, -126), (0, -214), (112, -126)], tone(scene.accents[1], -0.25))
        house.box(-24, -76, 22, 0, scene.accents[2])
        for x in (-60, 58):
            house.box(x - 20, -104, x + 20, -64, "#e6f6fb")
    for _ in range(rng.randrange(1, 4)):
        tree = pen.at(rng.uniform(20, 620), y + 8, size=rng.uniform(0.7, 1.2))
        tree.box(-10, -90, 10, 0, "#6e4a2d")
        leaf = rng.choice(["#3f8f4f", "#6aa84f", "#c7902e", "#2f6b4f"])
        for x, up, reach in ((-34, -110, 44), (34, -114, 42), (0, -150, 52)):
            tree.oval(x, up, reach, reach, tone(leaf, 0.1 if x else -0.05))
    pen.box(0, y, WIDTH, HEIGHT, ground)
    for k in range(70):
        x, down = rng.uniform(0, WIDTH), rng.uniform(6, 170)
        pen.line([(x, y + down), (x + rng.uniform(-5, 5), y + down - 10)], tone(ground, 0.2 if k % 2 else -0.2), 3)
