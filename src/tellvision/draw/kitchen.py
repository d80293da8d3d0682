"""How the steps of kitchen and garden look: what stands still, and what moves.

A step is a function that is called once with a pen on the still picture and the look of the
video; it draws what stays in place and returns the motion. The motion is called for every
frame with a pen on that frame, the seconds `t` since the step began and the share `u` of it
that has passed, 0..1.
"""

from math import cos, pi, sin

from tellvision.draw.pen import Pen, Point, bend, tone
from tellvision.draw.scene import Look, Motion
from tellvision.draw.things import (
    FLOUR,
    SOIL,
    TEA,
    WATER,
    bowl,
    bread_slice,
    cup,
    dough,
    flour_bag,
    flower,
    jug,
    kettle,
    loaf,
    oven,
    plant_pot,
    scatter,
    shadow,
    speckle,
    steam,
    stove,
    watering_can,
)
from tellvision.draw.tools import cloth, hand, knife, rolling_pin, scissors, spoon, trowel


def stream(pen: Pen, tip: Point, bottom: float, fill: str, t: float, width: float = 17) -> None:
    """A stream that falls from `tip` to the height `bottom`, with drops where it lands."""
    x, y = tip
    end = (x + 16 + 3 * sin(9 * t), bottom)
    pen.line(bend((x, y), (x + 14, y + 10), end, 8), fill, width)
    pen.line(bend((x - 3, y + 4), (x + 10, y + 14), (end[0] - 4, bottom), 8), tone(fill, 0.45), width / 4)
    for k in range(4):
        jump = (t * 2.3 + k / 4) % 1
        side = -1 if k % 2 else 1
        pen.oval(end[0] + side * (8 + 34 * jump), bottom - 34 * sin(pi * jump), 5, 6, fill)


def boil_water(pen: Pen, look: Look) -> Motion:
    """The kettle steams on the flames of the stove."""
    stove(pen.at(320, 450))

    def motion(pen: Pen, t: float, u: float) -> None:
        for k in range(9):
            high = 24 + 9 * sin(11 * t + 2.1 * k)
            flame = pen.at(244 + 19 * k, 386)
            flame.shape([(-11, 2), *bend((-10, -high), (0, -high * 1.3), (0, -high * 1.5), 4), (11, 2)], "#3a7bf0")
            flame.shape([(-5, 2), (0, -high * 0.8), (5, 2)], "#ffb238")
        shake = 1.2 * sin(31 * t) * u
        tip = kettle(pen.at(300 + shake, 366, shake * 0.7, 1.22))
        steam(pen.at(tip[0] + 8, tip[1]), t, 2 + round(3 * u))

    return motion


def dip_tea_bag(pen: Pen, look: Look) -> Motion:
    """A tea bag on its string goes down into the empty cup and up again."""
    cup(pen.at(290, 450, size=1.1), None)
    packet = pen.at(530, 440, 10, 1.15)
    packet.box(-62, -130, 62, 0, "#f0c419", 6)
    packet.box(-62, -96, 62, -40, "#3d7a35")
    packet.oval(0, -68, 26, 22, "#f7f3e8")

    def motion(pen: Pen, t: float, u: float) -> None:
        y = 212 - 74 * cos(1.5 * t)
        surface = 276.0
        pen.line([(290, y - 150), (290, min(y - 70, surface))], "#fdfdfd", 5)
        for inset, fill in ((0, "#efe3c8"), (13, "#8f5f33")):
            top, low = y - 84 + 2.6 * inset, min(y - inset, surface - inset / 2)
            if low > top + 4:
                neck = min(top + 30, low)
                pen.shape(
                    [
                        (264 + inset, top),
                        (316 - inset, top),
                        (346 - inset, neck),
                        (346 - inset, low),
                        (234 + inset, low),
                        (234 + inset, neck),
                    ],
                    fill,
                )
        hand(pen, (298, max(30.0, y - 156)), look.skin, look.sleeve)

    return motion


def pour_tea(pen: Pen, look: Look) -> Motion:
    """The kettle is tilted over the cup, and hot water streams in."""

    def motion(pen: Pen, t: float, u: float) -> None:
        tip = kettle(pen.at(196, 262 + 3 * sin(2 * t), 26 + 3 * sin(1.3 * t), 1.08))
        cup(pen.at(428, 446, size=1.1), tone(TEA, 0.25), u)
        stream(pen, tip, 262, WATER, t)
        steam(pen.at(470, 250), t, 3)
        hand(pen, (178, 66), look.skin, look.sleeve, -1)

    return motion


def stir_tea(pen: Pen, look: Look) -> Motion:
    """A wooden spoon goes round in a full cup."""
    cup(pen.at(310, 446, size=1.5), TEA)

    def motion(pen: Pen, t: float, u: float) -> None:
        x, y = 300 + 92 * cos(3.6 * t), 194 + 14 * sin(3.6 * t)
        for k in range(2):
            pen.arc(304, 196, 60 + 44 * k, 10 + 8 * k, tone(TEA, 0.35), 5, 200 * t % 360, 200 * t % 360 + 150)
        grip = spoon(pen.at(x, y, 6 * cos(3.6 * t), 1.15))
        pen.oval(x, y - 4, 22, 6, tone(TEA, -0.3))
        steam(pen.at(250, 170), t, 3)
        hand(pen, grip, look.skin, look.sleeve)

    return motion


def wipe_table(pen: Pen, look: Look) -> Motion:
    """A cloth wipes crumbs and spills off the bare table."""
    pen.shape([(-60, 480), (700, 480), (640, 170), (0, 170)], look.table)
    pen.shape([(0, 170), (640, 170), (642, 180), (-2, 180)], tone(look.table, 0.3))
    spills = scatter(11, 70, 210, 560, 440)

    def motion(pen: Pen, t: float, u: float) -> None:
        for k, (x, y) in enumerate(spills):
            if k >= u * len(spills):
                pen.oval(x, y, 40 + 2 * k, 14 + k, "#7a3f1dd0")
                speckle(pen, [(x + 50, y - 8), (x + 34, y + 18), (x - 46, y + 8)], 6, "#9a6a34")
        x, y = 320 + 190 * sin(2.6 * t), 250 + 130 * u + 26 * cos(5.2 * t)
        for k in range(3):
            pen.line(bend((x - 150, y + 20 * k), (x, y - 30 + 20 * k), (x + 150, y + 20 * k)), "#ffffff48", 11)
        palm = cloth(pen.at(x, y, 8 * sin(2.6 * t), 1.55), look.accent)
        hand(pen, palm, look.skin, look.sleeve)

    return motion


def pour_flour(pen: Pen, look: Look) -> Motion:
    """White flour falls from its paper bag into the mixing bowl."""

    def motion(pen: Pen, t: float, u: float) -> None:
        bowl(pen.at(414, 452, size=1.15), FLOUR, u)
        x, y = flour_bag(pen.at(180, 262, 46 + 5 * sin(5 * t), 1.12))
        pen.shape([(x - 16, y), (x + 16, y), (x + 52, 278), (x - 22, 278)], FLOUR)
        for k in range(9):
            fall = (t * 1.4 + k * 0.13) % 1
            pen.oval(x + 12 + 46 * sin(5.0 * k), y + (280 - y) * fall, 7, 7, "#fffdf6")
        pen.oval(x + 15, 280, 80, 26, "#ffffff70")
        hand(pen, (150, 190), look.skin, look.sleeve, -1)

    return motion


def pour_water(pen: Pen, look: Look) -> Motion:
    """Water streams from a glass jug into the mixing bowl."""

    def motion(pen: Pen, t: float, u: float) -> None:
        bowl(pen.at(420, 452, size=1.15), WATER, 0.3 + 0.7 * u)
        tip = jug(pen.at(196, 270, 44 + 3 * sin(1.7 * t), 1.12), 0.95 - 0.6 * u)
        stream(pen, tip, 276, WATER, t, 24)
        hand(pen, (108, 168), look.skin, look.sleeve, -1)

    return motion


def roll_dough(pen: Pen, look: Look) -> Motion:
    """A rolling pin goes to and fro over the dough."""

    def motion(pen: Pen, t: float, u: float) -> None:
        dough(pen.at(320, 455, size=1.28), u)
        pin = pen.at(320, 306 + 30 * u + 40 * sin(3 * t), 2 * sin(1.5 * t), 1.15)
        right = rolling_pin(pin)
        hand(pen, right, look.skin, look.sleeve)
        hand(pen, pin.where(-190, 0), look.skin, look.sleeve, -1)

    return motion


def bake_bread(pen: Pen, look: Look) -> Motion:
    """A loaf rises behind the glowing window of the oven."""

    def motion(pen: Pen, t: float, u: float) -> None:
        stage = pen.at(320, 430, size=1.12)
        oven(stage, 0.5 + 0.35 * u + 0.1 * sin(5 * t))
        loaf(stage.at(0, -62), 0.62 + 0.28 * u)
        for k in range(3):
            x = -110 + 110 * k
            stage.line(bend((x, -70), (x + 24 * sin(4 * t + k), -130), (x, -200)), "#ffe9a855", 8)

    return motion


def slice_bread(pen: Pen, look: Look) -> Motion:
    """A bread knife saws through the loaf, and slices pile up beside it."""
    pen.box(40, 424, 620, 452, "#b98550", 10)
    pen.box(40, 440, 620, 456, "#8f6236", 8)
    loaf(pen.at(230, 428), 1.25)

    def motion(pen: Pen, t: float, u: float) -> None:
        cuts = 1 + 4 * u
        for k in range(int(cuts)):
            bread_slice(pen.at(440 + 44 * k, 432, 8 + 3 * k, 1.1))
        deep = cuts % 1
        pen.line([(372, 290), (372, 300 + 118 * deep)], "#6d3410", 5)
        grip = knife(pen.at(352 + 62 * sin(7 * t), 292 + 112 * deep, -4, 1.25))
        hand(pen, grip, look.skin, look.sleeve)

    return motion


def fill_pot(pen: Pen, look: Look) -> Motion:
    """A shovel carries soil from a heap into the flower pot."""
    shadow(pen.at(520, 446), 120)
    pen.oval(525, 446, 130, 84, SOIL, 180, 360)
    speckle(pen, scatter(20, 430, 385, 600, 440), 6, "#6b4a35")

    def motion(pen: Pen, t: float, u: float) -> None:
        plant_pot(pen.at(214, 452, size=1.25), u)
        p = t * 0.42 % 1
        swing = sin(pi * min(p * 1.25, 1.0))
        x, y = 470 - 190 * swing, 380 - 190 * swing
        over = swing > 0.86 and p > 0.35
        if over:
            speckle(pen, [(x - 60 + 13 * k, y + 20 + (90 * t + 37 * k) % 60) for k in range(6)], 9, SOIL)
        load = None if p > 0.55 else SOIL
        grip = trowel(pen.at(x, y, -38 if over else 4, 1.15), look.accent, load)
        hand(pen, grip, look.skin, look.sleeve)

    return motion


def plant_flower(pen: Pen, look: Look) -> Motion:
    """A yellow flower is set into the soil of its pot."""
    plant_pot(pen.at(310, 472, size=1.12))

    def motion(pen: Pen, t: float, u: float) -> None:
        y = 208 + 58 * min(1.0, 1.2 * u) + 4 * sin(4 * t)
        for k in range(5):
            pen.line(bend((310, y - 4), (300 + 6 * k, y + 12), (296 + 8 * k, min(y + 34, 270.0))), "#d8c3a0", 3)
        flower(pen.at(310, y, 3 * sin(2 * t)))
        pen.oval(310, 272, 60, 14, SOIL)
        hand(pen, (322, y - 24), look.skin, look.sleeve)

    return motion


def water_flower(pen: Pen, look: Look) -> Motion:
    """Drops fall from a green watering can on the flower in its pot."""
    plant_pot(pen.at(452, 462, size=0.98))

    def motion(pen: Pen, t: float, u: float) -> None:
        flower(pen.at(452, 286, 2 * sin(2 * t), 0.95))
        x, y = watering_can(pen.at(172, 300 + 4 * sin(2 * t), 24 + 3 * sin(1.6 * t), 1.22))
        for k in range(14):
            fall = (t * 1.1 + k * 0.37) % 1
            spread = 12 * (k % 5 - 1)
            pen.line(
                [
                    (x + spread * (1 + fall), y + (286 - y) * fall),
                    (x + spread * (1.1 + fall), y + (286 - y) * fall + 16),
                ],
                "#3d9be0",
                6,
            )
        hand(pen, (166, 96), look.skin, look.sleeve, -1)

    return motion


def trim_leaves(pen: Pen, look: Look) -> Motion:
    """Scissors snip the leaves of the potted flower, which fall."""
    plant_pot(pen.at(220, 466, size=0.95))

    def motion(pen: Pen, t: float, u: float) -> None:
        flower(pen.at(220, 296, size=1.2), leaves=7 - int(4 * u))
        for k in range(int(5 * u) + 1):
            fall = min(1.0, max(0.0, 5 * u - k + 0.4))
            pen.at(320 + 26 * k, 220 + 210 * fall, 50 * fall + 40 * k).oval(0, 0, 17, 40, "#4fae4a")
        snip = abs(sin(4.5 * t))
        grip = scissors(
            pen.at(400 + 12 * sin(1.1 * t), 214 + 24 * cos(0.9 * t), -8, 1.15), 14 + 34 * snip, look.accent
        )
        hand(pen, grip, look.skin, look.sleeve)

    return motion
