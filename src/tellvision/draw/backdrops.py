"""What stands behind a step and gives its video away: walls, tables, things on them, gardens.

Walls and tables take two colours; what hangs or stands on them takes the accents of the
video and draws around its own middle, or the middle of its base.
"""

import random

from tellvision.draw.pen import HEIGHT, WIDTH, Pen, bend, tone

WALLS = [
    "#f2d7b6",
    "#bcd8d0",
    "#e8c1bd",
    "#c9d3ea",
    "#d9e3b5",
    "#f3e3a9",
    "#cdbfd9",
    "#e7e2d8",
    "#9fc3d4",
    "#d8b08c",
    "#8fb39a",
    "#6f8796",
]
TABLES = [
    "#8d5a34",
    "#b47f4f",
    "#e3c79d",
    "#5f6b76",
    "#f0ece4",
    "#3f5a4c",
    "#a63f3a",
    "#d6dfe3",
    "#6b4a63",
    "#c9a227",
]
CLOTHES = [
    "#2a6f97",
    "#c1440e",
    "#5a7d3a",
    "#7b2d6b",
    "#e0a526",
    "#31343b",
    "#d66a8b",
    "#1c8c84",
    "#f4f1ea",
    "#8b1e3f",
]
ACCENTS = [
    "#e63946",
    "#f4a261",
    "#2a9d8f",
    "#ffb703",
    "#8338ec",
    "#43aa8b",
    "#ff006e",
    "#fb5607",
    "#118ab2",
    "#6a994e",
]
SKINS = ["#f6d3b3", "#e8b48a", "#c98d5f", "#9a6239", "#6e4326"]
HAIRS = ["#2b1d14", "#5a3620", "#a9692f", "#d9b15e", "#7d7d80", "#b5442c", "#16161a"]
SKIES = ["#aee0f7", "#8ecae6", "#f9dcc4", "#cfe8ef", "#b8c9e8", "#ffe1a8"]
GROUNDS = ["#7fb45b", "#5f9e52", "#a7b86a", "#b9b4a8", "#8f8a80", "#d2b48c", "#9bbf7a"]


def plain(pen: Pen, wall: str, trim: str) -> None:
    """A wall in two colours."""
    pen.box(0, 210, WIDTH, HEIGHT, tone(trim, 0.25))
    pen.box(0, 204, WIDTH, 216, tone(wall, 0.5))


def stripes(pen: Pen, wall: str, trim: str) -> None:
    """A striped wall."""
    for k in range(9):
        pen.box(72 * k, 0, 72 * k + 34, HEIGHT, trim)


def tiles(pen: Pen, wall: str, trim: str) -> None:
    """A tiled wall."""
    for k in range(11):
        for row in range(6):
            fill = trim if (3 * k + 5 * row) % 7 == 0 else tone(wall, 0.3 if (k + row) % 2 else 0.4)
            pen.box(60 * k + 2, 60 * row + 2, 60 * k + 58, 60 * row + 58, fill, 3)


def bricks(pen: Pen, wall: str, trim: str) -> None:
    """A brick wall."""
    for row in range(12):
        for k in range(9):
            x = 80 * k - 40 * (row % 2)
            pen.box(
                x + 2, 30 * row + 2, x + 78, 30 * row + 28, tone(trim, (-0.22, -0.12, -0.3)[(k * 2 + row) % 3])
            )


def dots(pen: Pen, wall: str, trim: str) -> None:
    """A dotted wall."""
    for row in range(8):
        for k in range(10):
            pen.oval(70 * k + 35 * (row % 2), 26 + 44 * row, 11, 11, trim)


def panels(pen: Pen, wall: str, trim: str) -> None:
    """A wall of wooden panels."""
    for k in range(8):
        pen.box(84 * k, 0, 84 * k + 80, HEIGHT, tone(trim, -0.25 if k % 2 else -0.18))
        pen.line([(84 * k + 26, 0), (84 * k + 30, 340)], tone(trim, -0.34), 3)


def boards(pen: Pen, table: str, trim: str) -> None:
    """A table of boards."""
    for k in range(9):
        pen.shape([(110 * k - 140, 190), (110 * k - 130, 190), (80 * k + 4, 0), (80 * k, 0)], tone(table, -0.22))
        pen.line(bend((95 * k - 40, 150), (90 * k - 10, 90), (84 * k + 30, 10)), tone(table, -0.1), 3)


def checks(pen: Pen, table: str, trim: str) -> None:
    """A checked tablecloth."""
    for row, (y, high) in enumerate(((0, 26), (26, 38), (64, 52), (116, 70))):
        for k in range(-1, 12):
            if (k + row) % 2:
                pen.box(60 * k, y, 60 * k + 60, y + high, tone(trim, 0.2))


def stone(pen: Pen, table: str, trim: str) -> None:
    """A table top of speckled stone."""
    for k in range(60):
        x, y = (k * 97) % 640, (k * 53) % 170
        pen.oval(x, y + 6, 4 + k % 5, 2 + k % 3, tone(table, 0.3 if k % 2 else -0.25))


def plain_table(pen: Pen, table: str, trim: str) -> None:
    """A smooth table top."""
    pen.shape([(0, 60), (260, 0), (420, 0), (0, 120)], tone(table, 0.12))


def window(pen: Pen, accents: list[str], rng: random.Random) -> None:
    """A window with curtains."""
    pen.box(-78, -86, 78, 90, "#ffffff", 4)
    pen.box(-66, -74, 66, 78, rng.choice(SKIES))
    pen.oval(-20, 82, 80, 44, rng.choice(GROUNDS), 180, 360)
    pen.box(-4, -74, 4, 78, "#ffffff")
    pen.box(-66, -4, 66, 4, "#ffffff")
    for side in (-1, 1):
        curtain = pen.at(0, 0, wide=side)
        curtain.shape([(88, -96), (30, -96), *bend((34, -30), (50, 30), (84, 50)), (92, 50)], accents[3])


def shelf(pen: Pen, accents: list[str], rng: random.Random) -> None:
    """Two shelves of jars and books."""
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


def picture(pen: Pen, accents: list[str], rng: random.Random) -> None:
    """A framed landscape."""
    pen.box(-70, -58, 70, 58, rng.choice(["#3b2a1e", "#d9b44a", "#f6f6f6", "#1f2937"]))
    pen.box(-58, -46, 58, 46, rng.choice(SKIES))
    pen.shape([(-58, 46), (-20, -14), (10, 22), (30, 0), (58, 46)], rng.choice(GROUNDS))
    pen.oval(30, -24, 12, 12, accents[3])


def clock(pen: Pen, accents: list[str], rng: random.Random) -> None:
    """A round clock."""
    pen.oval(0, 0, 58, 58, accents[3])
    pen.oval(0, 0, 47, 47, "#fdfbf5")
    for k in range(12):
        pen.at(0, 0, 30 * k).box(-2, -44, 2, -36, "#333333")
    pen.at(0, 0, rng.uniform(0, 360)).line([(0, 0), (0, -34)], "#222222", 4)
    pen.at(0, 0, rng.uniform(0, 360)).line([(0, 0), (0, -22)], "#222222", 6)


def lamp(pen: Pen, accents: list[str], rng: random.Random) -> None:
    """A hanging lamp."""
    pen.line([(0, -140), (0, -40)], "#2e2e2e", 4)
    pen.shape([(-64, 30), (-26, -42), (26, -42), (64, 30)], accents[3])
    pen.oval(0, 30, 64, 11, "#fff2b8")


def pans(pen: Pen, accents: list[str], rng: random.Random) -> None:
    """Pans on their hooks."""
    pen.box(-96, -62, 96, -54, "#4a4a4f", 4)
    for k, reach in enumerate((26, 36, 22)):
        x = -64 + 62 * k
        pen.line([(x, -54), (x, 6)], "#33343a", 8)
        pen.oval(x, 12 + reach, reach, reach, ("#4d5158", "#b5653a", "#6b7078")[k])
        pen.oval(x, 12 + reach, reach * 0.75, reach * 0.75, ("#5d626b", "#c9794b", "#7d838c")[k])


def hanging_plant(pen: Pen, accents: list[str], rng: random.Random) -> None:
    """A plant in a hanging pot."""
    pen.line([(-30, -140), (0, -10), (30, -140)], "#cbb994", 3)
    for k in range(9):
        x = -56 + 14 * k
        pen.line(bend((0, -14), (x, -50), (x * 1.2, 20 + 40 * rng.random())), "#4b8f4a", 7)
    pen.shape([(-40, -20), (40, -20), (26, 34), (-26, 34)], accents[3])


def fruit(pen: Pen, accents: list[str], rng: random.Random) -> None:
    """A bowl of fruit."""
    for x, y, fill in ((-24, -34, "#e4572e"), (20, -36, "#f3a712"), (0, -50, "#8cb369")):
        pen.oval(x, y, 22, 22, fill)
    pen.oval(0, -34, 54, 34, "#ded3c1", 0, 180)


def books(pen: Pen, accents: list[str], rng: random.Random) -> None:
    """A stack of books."""
    for k in range(4):
        shift = rng.uniform(-8, 8)
        pen.box(-48 + shift, -18 * k - 17, 48 + shift, -18 * k, rng.choice(CLOTHES), 3)


def jar(pen: Pen, accents: list[str], rng: random.Random) -> None:
    """A glass jar."""
    pen.box(-28, -84, 28, 0, "#e5f2f5c8", 10)
    pen.box(-24, -52, 24, -4, rng.choice(ACCENTS), 8)
    pen.box(-30, -96, 30, -80, "#8a8f98", 4)


def vase(pen: Pen, accents: list[str], rng: random.Random) -> None:
    """A vase of flowers."""
    for k in range(5):
        stem = pen.at(0, -60, -36 + 18 * k)
        stem.line([(0, 0), (0, -52)], "#4b8f4a", 4)
        stem.oval(0, -58, 13, 13, accents[k % 4])
    pen.shape([(-18, -70), (18, -70), (30, -30), (18, 0), (-18, 0), (-30, -30)], tone(accents[3], 0.4))


def candle(pen: Pen, accents: list[str], rng: random.Random) -> None:
    """A candle."""
    pen.box(-40, -8, 40, 0, "#c9a227", 4)
    pen.box(-15, -74, 15, -6, tone(accents[3], 0.5), 4)
    pen.shape([(-7, -78), (0, -104), (7, -78)], "#ffb238")


def garden(pen: Pen, ground: str, sky: str, y: float, accents: list[str], rng: random.Random) -> None:
    """Sky, hills, perhaps a house, trees, and from the height `y` down the ground."""
    pen.box(0, 0, WIDTH, HEIGHT, sky)
    pen.oval(rng.uniform(60, 580), rng.uniform(40, 90), 36, 36, "#fff2b0")
    for _ in range(3):
        cloud = pen.at(rng.uniform(40, 600), rng.uniform(40, 130), size=rng.uniform(0.7, 1.2))
        for left, lift, puff in ((-40, 0, 34), (0, -16, 44), (44, 0, 32)):
            cloud.oval(left, lift, puff, puff * 0.6, "#ffffffd0")
    for k in range(3):
        pen.oval(
            rng.uniform(0, WIDTH), y + 10, 300, rng.uniform(60, 170), tone(rng.choice(GROUNDS), 0.1 * k), 180, 360
        )
    if rng.random() < 0.6:
        house = pen.at(rng.choice([90, 550]), y + 6, size=rng.uniform(0.8, 1.15))
        house.box(-90, -130, 90, 0, rng.choice(WALLS))
        house.shape([(-112, -126), (0, -214), (112, -126)], tone(accents[1], -0.25))
        house.box(-24, -76, 22, 0, accents[2])
        for x in (-60.0, 58.0):
            house.box(x - 20, -104, x + 20, -64, "#e6f6fb")
    for _ in range(rng.randrange(1, 4)):
        tree = pen.at(rng.uniform(20, 620), y + 8, size=rng.uniform(0.7, 1.2))
        tree.box(-10, -90, 10, 0, "#6e4a2d")
        leaf = rng.choice(["#3f8f4f", "#6aa84f", "#c7902e", "#2f6b4f"])
        for left, up, wide in ((-34, -110, 44), (34, -114, 42), (0, -150, 52)):
            tree.oval(left, up, wide, wide, tone(leaf, 0.1 if left else -0.05))
    pen.box(0, y, WIDTH, HEIGHT, ground)
    for k in range(70):
        x, down = rng.uniform(0, WIDTH), rng.uniform(6, 170)
        pen.line([(x, y + down), (x + rng.uniform(-5, 5), y + down - 10)], tone(ground, 0.2 if k % 2 else -0.2), 3)


PATTERNS = (stripes, tiles, bricks, dots, panels, plain)
COVERS = (boards, checks, stone, plain_table)
PROPS = (window, shelf, picture, clock, lamp, pans, hanging_plant)
SMALL = (fruit, books, jar, vase, candle)
