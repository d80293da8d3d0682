"""The things of the drawn world: what is poured into, planted, painted, baked and wrapped.

Each is drawn around the middle of its base, y pointing down, about 200 units high. A thing
keeps its shape and colours in every video, so that its name can be learned; only what the
look of a video may change (`accent`) is an argument.
"""

import math
import random

from tellvision.draw.pen import Pen, Point, bend, tone

WATER, TEA, FLOUR, SOIL = "#8fd0f2", "#a8561f", "#f7f3e8", "#4b3122"
WOOD, PAINT, STEEL = "#d2a266", "#2f7fd6", "#b9c2cc"


def shadow(pen: Pen, reach: float) -> None:
    """A soft shadow under a thing that reaches `reach` to both sides."""
    pen.oval(0, 2, reach * 1.12, reach * 0.16 + 5, "#00000022")
    pen.oval(0, 0, reach, reach * 0.11 + 4, "#0000002e")


def speckle(pen: Pen, places: list[Point], size: float, fill: str) -> None:
    """The same small dot at every place."""
    for x, y in places:
        pen.oval(x, y, size, size * 0.8, fill)


def scatter(count: int, x0: float, y0: float, x1: float, y1: float) -> list[Point]:
    """Places spread over a rectangle, the same at every call."""
    rng = random.Random(count)
    return [(rng.uniform(x0, x1), rng.uniform(y0, y1)) for _ in range(count)]


def plank(pen: Pen, x0: float, y0: float, x1: float, y1: float, fill: str = WOOD) -> None:
    """A board lying on its side, with its grain and two knots."""
    pen.box(x0, y0, x1, y1, fill, 5)
    pen.box(x0, y1 - (y1 - y0) * 0.18, x1, y1, tone(fill, -0.18), 4)
    high, wide = y1 - y0, x1 - x0
    for k in range(1, 5):
        y = y0 + high * k * 0.165
        sway = 5 if k % 2 else -5
        pen.line(bend((x0 + 6, y), ((x0 + x1) / 2, y + sway), (x1 - 6, y)), tone(fill, -0.13), 2)
    for share in (0.22, 0.71):
        pen.oval(x0 + wide * share, y0 + high * 0.4, high * 0.11, high * 0.07, tone(fill, -0.3))


def kettle(pen: Pen) -> Point:
    """A red enamel kettle, spout to the right; returns where in the world the spout ends."""
    red = "#d3342f"
    pen.line(bend((-72, -125), (0, -262), (72, -125), 16), "#2b2b30", 17)
    pen.shape([(70, -62), (138, -150), (164, -140), (88, -22)], tone(red, -0.15))
    pen.line([(134, -153), (168, -139)], tone(red, -0.35), 8)
    pen.oval(0, -74, 104, 76, red)
    pen.box(-82, -30, 82, 0, red, 12)
    pen.oval(22, -62, 74, 58, tone(red, -0.1))
    pen.oval(-8, -80, 86, 62, red)
    pen.box(-84, -12, 84, 0, tone(red, -0.45), 5)
    pen.oval(0, -143, 52, 15, tone(red, -0.3))
    pen.oval(0, -148, 46, 12, tone(red, 0.12))
    pen.oval(0, -163, 13, 12, "#2b2b30")
    pen.oval(-54, -96, 13, 34, tone(red, 0.55))
    return pen.where(156, -146)


def cup(pen: Pen, fill: str | None, level: float = 1.0) -> None:
    """A wide white cup with a saucer; `level` of what is in it, 0..1."""
    shadow(pen, 150)
    pen.oval(0, -8, 150, 22, "#c9d3dd")
    pen.oval(0, -13, 142, 18, "#eef3f7")
    pen.arc(112, -104, 44, 44, "#dfe6ec", 19, -95, 110)
    pen.shape(
        [
            (-118, -170),
            *bend((-112, -90), (-96, -12), (-40, -12)),
            *bend((40, -12), (96, -12), (112, -90)),
            (118, -170),
        ],
        "#fbfcfd",
    )
    pen.shape([(60, -170), (118, -170), *bend((112, -90), (96, -14), (36, -12))], "#dde5ec")
    pen.box(-111, -118, 110, -98, "#2a9d8f")
    pen.oval(0, -170, 118, 30, "#ffffff")
    pen.oval(0, -168, 107, 24, "#c3cdd6")
    if fill:
        share = 0.62 + 0.38 * level
        pen.oval(0, -164 + 8 * (1 - level), 104 * share, 21 * share, fill)
        pen.oval(-30, -167 + 8 * (1 - level), 34 * share, 5 * share, tone(fill, 0.25))


def bowl(pen: Pen, fill: str | None, level: float = 1.0) -> None:
    """A large blue mixing bowl; `level` of what is in it, 0..1."""
    blue = "#3f6fb5"
    shadow(pen, 130)
    pen.box(-70, -18, 70, 0, tone(blue, -0.35), 6)
    pen.shape(
        [
            (-170, -150),
            *bend((-164, -90), (-130, -8), (-50, -8)),
            *bend((50, -8), (130, -8), (164, -90)),
            (170, -150),
        ],
        blue,
    )
    pen.shape([(80, -150), (170, -150), *bend((164, -90), (130, -8), (40, -8))], tone(blue, -0.15))
    for k in range(7):
        pen.oval(-126 + 42 * k, -92 + 6 * abs(k - 3), 9, 9, "#f4f0e4")
    pen.oval(0, -150, 172, 40, tone(blue, 0.35))
    pen.oval(0, -148, 158, 33, tone(blue, -0.4))
    if fill:
        share = 0.4 + 0.6 * level
        pen.oval(0, -140 - 6 * level, 148 * share, 28 * share, fill)
        pen.oval(-20, -146 - 12 * level, 80 * share, 17 * share, tone(fill, 0.35))


def jug(pen: Pen, level: float) -> Point:
    """A glass jug of water, lip to the right; returns where in the world the lip is."""
    pen.arc(-84, -120, 46, 62, "#cfe8f5", 15, 95, 265)
    pen.shape([(-78, -205), (98, -218), (74, -190), (66, 0), (-70, 0)], "#d9eef9b0")
    top = -14 - 160 * level
    pen.shape([(-75, top), (70, top), (65, -8), (-68, -8)], "#5cb6ecd0")
    pen.oval(-2, top, 73, 11, "#a9dcf7")
    pen.shape([(-58, -190), (-40, -191), (-44, -18), (-56, -18)], "#ffffff90")
    for k in range(4):
        pen.box(30, -48 - 34 * k, 58, -44 - 34 * k, "#ffffffb0")
    pen.line([(-78, -205), (98, -218)], "#f3fbff", 6)
    return pen.where(96, -214)


def flour_bag(pen: Pen) -> Point:
    """A paper bag of flour with an ear of wheat, open at the top; returns where its mouth is."""
    paper = "#ecd9b4"
    pen.shape([(-80, -205), (-60, -214), (-30, -202), (0, -214), (34, -202), (80, -212), (84, 0), (-84, 0)], paper)
    pen.shape([(40, -204), (80, -212), (84, 0), (50, 0)], tone(paper, -0.12))
    pen.box(-80, -150, 80, -60, "#e07a2f")
    pen.line([(-4, -68), (4, -142)], "#fff3c9", 5)
    for k in range(4):
        for side in (-1, 1):
            pen.at(2, -88 - 15 * k, side * 38).oval(0, -10, 6, 13, "#fff3c9")
    pen.oval(0, -206, 66, 10, FLOUR)
    return pen.where(62, -206)


def dough(pen: Pen, flat: float) -> None:
    """A lump of dough on a floured board, rolled out as `flat` goes from 0 to 1."""
    shadow(pen, 240)
    pen.shape([(-250, 0), (250, 0), (205, -122), (-205, -122)], "#9c6a3c")
    pen.shape([(-250, 0), (250, 0), (250, 16), (-250, 16)], "#8f6236")
    speckle(pen, scatter(26, -215, -82, 215, -8), 7, "#f3e9d6")
    wide, high = 115 + 90 * flat, 66 - 44 * flat
    pen.oval(6, -46, wide + 4, 40, "#bf9c62")
    pen.oval(0, -50 - high * 0.4, wide, 34 + high * 0.5, "#f3e0b5")
    pen.oval(-wide * 0.25, -60 - high * 0.6, wide * 0.5, 12 + high * 0.25, "#fdf3d6")


def loaf(pen: Pen, size: float = 1.0) -> None:
    """A crusty loaf with three slashes."""
    pen = pen.at(0, 0, size=size)
    crust = "#b5651d"
    pen.oval(0, -58, 160, 62, tone(crust, -0.3))
    pen.oval(0, -66, 158, 62, crust)
    pen.oval(-20, -82, 120, 38, "#d98b3a")
    for k in range(4):
        pen.at(-96 + 58 * k, -88, 24).oval(0, 0, 11, 34, "#f3d193")
    speckle(pen, scatter(22, -110, -100, 120, -30), 3.5, "#fff2d6")


def bread_slice(pen: Pen) -> None:
    """A slice of bread: pale crumb, brown crust."""
    for grow, fill in ((0, "#a2551a"), (-8, "#f6dfb0")):
        pen.box(-46 - grow / 2, -92 - grow / 2, 46 + grow / 2, 0 + grow / 2, fill, 16)
        pen.oval(0, -82, 54 + grow, 30 + grow / 2, fill)
    speckle(pen, scatter(12, -32, -84, 32, -12), 4, "#dcbb80")


def oven(pen: Pen, glow: float) -> None:
    """A black oven with a window, its light brighter as `glow` goes from 0 to 1."""
    pen.box(-220, -330, 220, 30, "#dfe3e7", 16)
    pen.box(-220, -330, 220, -264, "#b9c0c8", 16)
    for k in range(4):
        pen.oval(-165 + 60 * k, -297, 19, 19, "#26282d")
        pen.line([(-165 + 60 * k, -297), (-165 + 60 * k + 10, -309)], "#ffffff", 4)
    pen.box(90, -316, 190, -280, "#17251b", 6)
    for k in range(3):
        pen.box(104 + 28 * k, -308, 122 + 28 * k, -288, "#45f08a", 3)
    pen.box(-196, -250, 196, 14, "#2a2c31", 14)
    pen.line([(-150, -234), (150, -234)], "#cfd5db", 12)
    pen.box(-160, -212, 160, -16, tone("#ff8a1e", -0.55 + 0.5 * glow), 12)
    pen.box(-130, -60, 130, -24, tone("#ffbe3b", -0.5 + 0.6 * glow), 12)
    for k in range(9):
        pen.box(-152 + 36 * k, -62, -146 + 36 * k, -56, "#4a3a32")
    pen.line([(-156, -58), (156, -58)], "#4a3a32", 5)


def stove(pen: Pen) -> None:
    """A gas stove with a burner, seen from the front."""
    pen.box(-250, -62, 250, 60, "#e9edf0", 10)
    pen.box(-250, -62, 250, -44, "#b3bcc4", 8)
    for k in range(5):
        pen.oval(-170 + 85 * k, 4, 24, 24, "#33363c")
        pen.line([(-170 + 85 * k, 4), (-170 + 85 * k, -15)], "#f4f6f7", 5)
    pen.box(-130, -82, 130, -68, "#222429", 4)
    for x in (-110, -40, 40, 110):
        pen.box(x - 7, -82, x + 7, -60, "#222429")


def plant_pot(pen: Pen, level: float = 1.0) -> None:
    """A terracotta pot with soil up to `level`, 0..1."""
    clay = "#c8643a"
    shadow(pen, 100)
    pen.shape([(-118, -150), (118, -150), (86, 0), (-86, 0)], clay)
    pen.shape([(40, -150), (118, -150), (86, 0), (34, 0)], tone(clay, -0.14))
    pen.box(-132, -182, 132, -138, tone(clay, 0.1), 6)
    pen.box(50, -182, 132, -138, tone(clay, -0.06), 6)
    pen.line([(-118, -136), (118, -136)], tone(clay, -0.3), 5)
    pen.oval(0, -182, 130, 24, tone(clay, -0.35))
    pen.oval(0, -179 + 6 * (1 - level), 118 * (0.75 + 0.25 * level), 18 * (0.7 + 0.3 * level), SOIL)
    speckle(pen, scatter(int(6 + 16 * level), -90, -190, 90, -172), 5, "#6b4a35")


def flower(pen: Pen, leaves: int = 4) -> None:
    """A yellow daisy on a green stem with `leaves` big leaves; its root is the origin."""
    pen.line(bend((0, 0), (10, -80), (0, -150)), "#3c8d40", 10)
    for k in range(leaves):
        side = 1 if k % 2 else -1
        leaf = pen.at(2, -18 - 24 * k, side * (58 - 5 * k))
        leaf.oval(0, -46, 19, 46, "#4fae4a" if k % 2 else "#3f9a41")
        leaf.line([(0, -8), (0, -84)], "#2f7a35", 3)
    head = pen.at(0, -172)
    for k in range(12):
        head.at(0, 0, 30 * k).oval(0, -38, 13, 30, "#ffd12e" if k % 2 else "#ffc107")
    head.oval(0, 0, 24, 24, "#7a4419")
    speckle(head, scatter(9, -14, -14, 14, 14), 4, "#a96a2c")


def watering_can(pen: Pen) -> Point:
    """A green watering can, its rose to the right; returns where in the world the rose is."""
    green = "#2e8b57"
    pen.arc(-92, -88, 52, 62, tone(green, -0.3), 13, 75, 285)
    pen.line(bend((-60, -150), (0, -215), (64, -150)), tone(green, -0.3), 12)
    pen.shape([(60, -52), (168, -172), (186, -158), (74, -14)], tone(green, -0.12))
    pen.at(178, -168, 42).box(-38, -14, 38, 8, tone(green, -0.35), 5)
    pen.box(-86, -150, 80, 0, green, 10)
    pen.box(30, -150, 80, 0, tone(green, -0.12), 10)
    for y in (-128, -26):
        pen.box(-88, y, 82, y + 10, tone(green, 0.3))
    pen.oval(-3, -150, 80, 12, tone(green, -0.4))
    return pen.where(188, -180)


def paint_can(pen: Pen, lid: bool, label: str = "#f2f4f6") -> None:
    """A tin of blue paint with paint running down its side; `lid` says whether it is closed."""
    shadow(pen, 120)
    pen.line(bend((-116, -150), (0, 20), (116, -150), 14), "#8b949e", 5)
    pen.box(-120, -190, 120, 0, STEEL, 8)
    pen.box(-120, -160, 120, -30, label)
    pen.box(60, -190, 120, 0, "#00000018", 8)
    pen.oval(0, -95, 56, 46, PAINT)
    pen.oval(-16, -108, 16, 10, tone(PAINT, 0.5))
    pen.oval(0, -190, 122, 28, "#8b949e")
    if lid:
        pen.oval(0, -196, 114, 24, "#dfe5ea")
        pen.oval(0, -196, 88, 17, "#c3ccd4")
        return
    pen.oval(0, -189, 108, 22, PAINT)
    pen.oval(-20, -192, 46, 7, tone(PAINT, 0.35))
    for x, y in ((-92, 50), (-70, 88), (-50, 40)):
        pen.line([(x, -176), (x, -176 + y)], PAINT, 16)


def fence(pen: Pen) -> list[Point]:
    """A wooden picket fence; returns the tops of its boards, from left to right."""
    wood = "#c09a6b"
    for y in (-60, -190):
        pen.box(-330, y - 17, 330, y + 17, tone(wood, -0.25), 3)
    tops: list[Point] = []
    for k in range(7):
        x = -270 + 90 * k
        pen.shape([(x - 35, 0), (x - 35, -245), (x, -290), (x + 35, -245), (x + 35, 0)], wood)
        pen.shape([(x + 22, 0), (x + 22, -262), (x + 35, -245), (x + 35, 0)], tone(wood, -0.16))
        for shift in (-16, 2):
            pen.line(bend((x + shift, -12), (x + shift + 7, -120), (x + shift, -235)), tone(wood, -0.13), 2)
        for y in (-60, -190):
            pen.oval(x, y, 5, 5, "#5d4a36")
        tops.append((x, -250.0))
    return tops


def wheel(pen: Pen, hub: bool = True) -> None:
    """A car wheel seen from the side, around its middle: black tyre, five spokes, five nuts."""
    pen.oval(0, 0, 122, 122, "#222327")
    for k in range(30):
        pen.at(0, 0, 12 * k).box(-4, -122, 4, -110, "#3d3f45")
    pen.oval(0, 0, 100, 100, "#34363c")
    pen.oval(0, 0, 80, 80, "#aeb6bf" if hub else "#5b4d45")
    for k in range(5):
        pen.at(0, 0, 72 * k).shape([(-13, -18), (13, -18), (19, -76), (-19, -76)], "#dfe4e9")
    pen.oval(0, 0, 32, 32, "#e9edf0")
    for k in range(5):
        nut = pen.at(0, 0, 72 * k + 36)
        nut.oval(0, -22, 7, 7, "#555c66")
    pen.oval(0, 0, 10, 10, "#7e8791")


def car(pen: Pen, body: str, with_wheel: bool = True) -> Point:
    """The rear half of a car, its wheel at the returned place in the world."""
    pen.shape(
        [(-330, -150), (-300, -262), *bend((-150, -340), (-60, -350), (330, -350)), (330, -40), (-330, -40)], body
    )
    pen.shape([(-190, -222), *bend((-110, -312), (-60, -322), (80, -322)), (80, -222)], "#bfe3f2")
    pen.box(104, -322, 330, -222, "#bfe3f2", 8)
    pen.shape([(-120, -222), (-60, -310), (-30, -316), (-92, -222)], "#e6f6fb")
    pen.line([(92, -330), (92, -60)], tone(body, -0.3), 5)
    pen.box(112, -190, 168, -176, tone(body, -0.4), 6)
    pen.box(-336, -180, -290, -136, "#ff4538", 8)
    pen.box(-345, -86, -160, -40, "#41454c", 10)
    pen.box(-330, -120, 330, -108, tone(body, 0.25))
    pen.oval(-20, -68, 150, 142, tone(body, -0.45), 180, 360)
    pen.box(-170, -70, 130, -38, "#26282c")
    pen.oval(-20, -68, 136, 128, "#26282c", 170, 370)
    axle = pen.at(-20, -58)
    if with_wheel:
        wheel(axle)
    else:
        axle.oval(0, 0, 46, 46, "#8d8f93")
        axle.oval(0, 0, 18, 18, "#5d6066")
        for k in range(5):
            axle.at(0, 0, 72 * k).oval(0, -32, 6, 6, "#d8dce0")
    return pen.where(-20, -58)


def birdhouse(pen: Pen, roof: bool = True) -> None:
    """A birdhouse of raw wood with a round door and a perch."""
    shadow(pen, 110)
    pen.box(-100, -190, 100, 0, WOOD, 4)
    pen.shape([(-100, -188), (100, -188), (0, -280)], WOOD)
    for k in range(1, 5):
        pen.line([(-100 + 40 * k, -6), (-100 + 40 * k, -200)], tone(WOOD, -0.15), 3)
    pen.oval(0, -125, 42, 42, tone(WOOD, -0.3))
    pen.oval(0, -125, 36, 36, "#2b1b10")
    pen.line([(0, -58), (0, -50)], "#8a5a2b", 18)
    pen.box(-112, -14, 112, 4, tone(WOOD, -0.3), 4)
    if roof:
        for side in (-1, 1):
            half = pen.at(0, -292, wide=side)
            half.shape([(-6, -6), (-6, 30), (136, 122), (150, 96)], "#8c3f2b" if side < 0 else "#a54e36")
            for k in range(1, 4):
                half.line([(36 * k - 6, 22 * k - 2), (36 * k - 14, 22 * k + 34)], "#6e2f20", 4)


def gift_box(pen: Pen, paper: str, ribbon: str | None = None) -> None:
    """A wrapped box with dots, tied with a ribbon where one is given."""
    shadow(pen, 165)
    pen.box(-160, -190, 160, 0, paper)
    pen.shape([(-160, -190), (160, -190), (120, -232), (-120, -232)], tone(paper, 0.25))
    for k in range(4):
        for row in range(3):
            pen.oval(-120 + 80 * k + (40 if row % 2 else 0) - 10, -158 + 60 * row, 11, 11, tone(paper, 0.6))
    if ribbon:
        pen.box(-20, -190, 20, 0, ribbon)
        pen.shape([(-20, -190), (20, -190), (15, -232), (-15, -232)], tone(ribbon, 0.2))
        pen.box(-160, -112, 160, -76, ribbon)


def bow(pen: Pen, ribbon: str, size: float = 1.0) -> None:
    """A bow with two loops and two ends, around its knot."""
    for side in (-1, 1):
        half = pen.at(0, 0, size=size, wide=side)
        half.line(bend((0, 0), (40, 40), (62, 78)), tone(ribbon, -0.15), 22)
        half.at(52, -34, -32).oval(0, 0, 64, 34, ribbon)
        half.at(56, -36, -32).oval(0, 0, 36, 16, tone(ribbon, -0.3))
    pen.at(0, 0, size=size).box(-22, -24, 22, 20, tone(ribbon, 0.25), 8)


def teddy(pen: Pen) -> None:
    """A brown teddy bear, sitting."""
    fur = "#9a6233"
    for side in (-1, 1):
        pen.oval(side * 46, -196, 24, 24, fur)
        pen.oval(side * 46, -196, 13, 13, "#e0b585")
        pen.oval(side * 60, -16, 34, 22, tone(fur, -0.12))
        pen.at(side * 66, -84, side * -32).oval(0, 0, 19, 44, tone(fur, -0.1))
    pen.oval(0, -62, 62, 66, fur)
    pen.oval(0, -58, 38, 44, "#d6a876")
    pen.oval(0, -154, 62, 54, fur)
    pen.oval(0, -138, 28, 22, "#e9c79b")
    pen.oval(0, -148, 10, 8, "#2b1a10")
    for side in (-1, 1):
        pen.oval(side * 24, -166, 7, 8, "#1c120b")


def steam(pen: Pen, t: float, count: int = 3) -> None:
    """Wisps of steam that rise from the origin as the seconds `t` go by."""
    for k in range(count):
        rise = (t * 0.45 + k / count) % 1
        x = (k - (count - 1) / 2) * 34 + 12 * math.sin(4 * rise + k)
        fade = f"#ffffff{round(150 * math.sin(math.pi * rise)) + 10:02x}"
        pen.oval(x, -20 - 110 * rise, 15 + 14 * rise, 21 + 14 * rise, fade)
