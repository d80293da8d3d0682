"""The tools of the drawn world and the hand that holds them.

A tool's origin is the place where it works (the tip, the edge, the jaw); its handle ends
at the point that the function returns, where a hand takes hold. `accent` is the colour of
the handle, which differs between videos.
"""

from tellvision.draw.pen import Pen, Point, bend, tone

STEEL = "#c7cfd7"


def hand(pen: Pen, place: Point, skin: str, sleeve: str, side: float = 1.0) -> None:
    """A fist at `place` in the world, its arm coming in from the right; `side` -1: from the left.

    An arm that works high reaches in from the side, a low one from below, so that it hides
    as little as may be of what it works on.
    """
    x, y = place
    slope = 0.45 + min(1.0, max(0.0, (y - 150) / 130))
    reach = 1.9 - slope * 0.62

    def along(far: float) -> Point:
        return x + side * far * reach, y + slope * far * reach

    pen.line([along(6), along(90)], tone(skin, -0.08), 36)
    pen.line([along(56), along(420)], sleeve, 62)
    pen.line([along(52), along(60)], tone(sleeve, 0.25), 58)
    pen.oval(x, y, 31, 27, skin)
    for k in range(4):
        pen.oval(x - 20 * side, y - 17 + 12 * k, 12, 7, tone(skin, 0.12))
    pen.at(x + 4 * side, y - 20, -28 * side).oval(0, 0, 11, 18, tone(skin, 0.05))


def spoon(pen: Pen) -> Point:
    """A wooden spoon whose bowl is under the surface at the origin, its handle up to the right."""
    pen.line([(0, 0), (74, -190)], "#a8713a", 17)
    pen.line([(3, 0), (72, -180)], "#c08a50", 6)
    return pen.where(62, -160)


def stick(pen: Pen, paint: str) -> Point:
    """A flat stirring stick whose lower end is covered with `paint`."""
    pen.line([(0, 0), (40, -210)], "#e0bd86", 22)
    pen.line([(0, 0), (13, -70)], paint, 24)
    return pen.where(34, -180)


def knife(pen: Pen) -> Point:
    """A bread knife lying level, its edge below; the middle of the edge is the origin."""
    pen.shape([(-150, -34), (70, -34), (70, 0), (-120, 0), (-146, -14)], "#dfe6ec")
    pen.shape([(-146, -14), (70, -12), (70, 0), (-120, 0)], "#b4bec8")
    for k in range(12):
        pen.shape([(-112 + 15 * k, 0), (-97 + 15 * k, 0), (-104 + 15 * k, 6)], "#b4bec8")
    pen.box(66, -38, 190, 2, "#33261e", 12)
    for x in (92, 126, 160):
        pen.oval(x, -18, 5, 5, "#d9c9a8")
    return pen.where(132, -16)


def scissors(pen: Pen, spread: float, accent: str) -> Point:
    """Scissors that point left from their joint at the origin, blades `spread` degrees apart."""
    for side in (-1, 1):
        blade = pen.at(0, 0, side * spread / 2)
        blade.shape([(-150, -3 * side), (0, -15), (12, 0), (0, 15)], STEEL if side < 0 else tone(STEEL, -0.2))
        blade.line([(0, 0), (54, 24 * side)], accent, 16)
        blade.arc(88, 38 * side, 36, 26, accent, 14, 0, 360)
    pen.oval(0, 0, 8, 8, "#5f6873")
    return pen.where(92, 30)


def rolling_pin(pen: Pen) -> Point:
    """A rolling pin lying level, around its middle."""
    pen.line([(-205, 0), (205, 0)], "#7c4a21", 19)
    pen.box(-150, -36, 150, 36, "#d59b57", 16)
    pen.box(-150, 8, 150, 36, "#b47b3b", 14)
    pen.box(-140, -26, 140, -16, "#e8bd84", 5)
    return pen.where(190, 0)


def trowel(pen: Pen, accent: str, load: str | None) -> Point:
    """A garden shovel that points left, with a heap of `load` on its blade."""
    pen.shape(
        [(-130, 0), *bend((-96, -34), (-40, -40), (10, -30)), *bend((10, 30), (-40, 40), (-96, 34))],
        "#8f9aa5",
    )
    pen.shape([(-120, 4), *bend((-90, 30), (-40, 36), (10, 28)), (10, 4)], "#717c88")
    if load:
        pen.oval(-46, -16, 56, 34, load)
        pen.oval(-62, -36, 26, 18, tone(load, 0.12))
        pen.oval(-28, -32, 22, 16, tone(load, 0.06))
    pen.line([(10, 0), (70, -6)], "#717c88", 14)
    pen.line([(70, -6), (160, -16)], accent, 28)
    return pen.where(132, -12)


def paint_brush(pen: Pen, accent: str, paint: str | None) -> Point:
    """A flat brush, bristles to the left with the tip at the origin."""
    pen.shape([(-4, -30), (62, -36), (62, 36), (-4, 30)], "#d8b26a")
    if paint:
        pen.shape([(-8, -32), (34, -35), (34, 35), (-8, 32)], paint)
    pen.box(58, -40, 92, 40, "#aab3bd", 4)
    pen.shape([(92, -34), (126, -14), (214, -13), (214, 13), (126, 14), (92, 34)], accent)
    pen.oval(200, 0, 5, 5, tone(accent, -0.5))
    return pen.where(160, 4)


def cloth(pen: Pen, accent: str) -> Point:
    """A crumpled cleaning cloth with stripes, under a palm at the origin."""
    pen.shape(
        [
            (-112, 20),
            *bend((-92, -26), (-40, -44), (0, -36)),
            *bend((40, -46), (96, -24), (110, 24)),
            (60, 38),
            (8, 28),
            (-50, 42),
        ],
        accent,
    )
    for k in range(4):
        x = -76 + 46 * k
        pen.line(bend((x, 28), (x + 10, 0), (x + 6, -28)), tone(accent, 0.45), 9)
    pen.line(bend((-70, 10), (-10, -16), (80, 12)), tone(accent, -0.25), 4)
    return pen.where(10, -22)


def sandpaper(pen: Pen) -> Point:
    """A sanding block, its rough orange side to the left."""
    pen.box(-14, -62, 8, 62, "#d9822b", 4)
    pen.box(4, -58, 62, 58, "#77603f", 8)
    pen.box(44, -58, 62, 58, "#5b482f", 8)
    return pen.where(50, 4)


def saw(pen: Pen, accent: str) -> Point:
    """A hand saw, teeth below; the middle of the teeth is the origin."""
    pen.shape([(-210, -36), (130, -92), (130, 0), (-210, 0)], "#d3dae1")
    pen.shape([(-210, -12), (130, -22), (130, 0), (-210, 0)], "#b1bbc5")
    for k in range(20):
        pen.shape([(-210 + 17 * k, -1), (-193 + 17 * k, -1), (-202 + 17 * k, 10)], "#97a2ad")
    pen.shape([(112, -112), (176, -128), (224, -84), (214, 10), (150, 20), (112, 4)], accent)
    pen.oval(166, -54, 22, 36, tone(accent, -0.6))
    return pen.where(178, -44)


def hammer(pen: Pen, accent: str) -> Point:
    """A claw hammer, the face of its head at the origin, handle to the right."""
    pen.box(22, -40, 46, 190, accent, 9)
    pen.box(20, 96, 48, 192, tone(accent, -0.5), 9)
    pen.box(-4, -58, 12, -18, "#8e98a3", 5)
    pen.box(8, -62, 62, -14, "#6d7782", 8)
    pen.shape([(58, -60), *bend((84, -60), (122, -50), (134, -8)), (112, -20), (58, -22)], "#6d7782")
    return pen.where(34, 150)


def nail(pen: Pen, out: float) -> None:
    """A nail driven downwards into the origin, `out` units of it still to be seen."""
    pen.box(-6, -out, 6, 0, "#9aa4ae")
    pen.box(-18, -out - 9, 18, -out, "#b9c3cc", 3)


def drill(pen: Pen, phase: float) -> Point:
    """A cordless drill that points left, the tip of its bit at the origin; `phase` turns the bit."""
    pen.box(0, -7, 92, 7, "#9aa4ae")
    for k in range(5):
        x = (k + phase % 1) * 18
        pen.line([(x, -8), (x + 10, 8)], "#59636d", 5)
    pen.shape([(88, -16), (122, -30), (122, 30), (88, 16)], "#33363b")
    pen.box(118, -48, 262, 40, "#f0b429", 16)
    pen.box(150, -48, 176, 40, "#33363b")
    pen.shape([(190, 30), (250, 30), (274, 150), (210, 150)], "#f0b429")
    pen.box(186, 138, 300, 186, "#33363b", 10)
    pen.box(182, 46, 200, 78, "#c0392b", 5)
    return pen.where(236, 92)


def screwdriver(pen: Pen, accent: str, phase: float = 0.0) -> Point:
    """A screwdriver upright on its tip at the origin; `phase` turns the ribs of its handle."""
    pen.box(-6, -120, 6, 0, "#aeb8c2")
    pen.box(-10, -14, 10, 0, "#8a949e", 2)
    pen.box(-30, -246, 30, -112, accent, 16)
    for k in range(4):
        x = -30 + 60 * ((k + phase) % 4) / 4
        pen.box(x - 3, -232, x + 3, -126, tone(accent, -0.4))
    pen.box(-22, -120, 22, -104, "#2f3238", 4)
    return pen.where(0, -190)


def wrench(pen: Pen) -> Point:
    """A long wrench, its jaw around the origin and its handle to the right."""
    pen.box(20, -17, 250, 17, "#c3ccd5", 8)
    pen.box(60, -7, 220, 7, "#98a3ae", 4)
    pen.oval(0, 0, 42, 42, "#c3ccd5")
    pen.shape([(-46, -18), (2, -15), (2, 15), (-46, 18)], "#4a4f57")
    pen.oval(252, 0, 27, 27, "#c3ccd5")
    pen.oval(252, 0, 12, 12, "#4a4f57")
    return pen.where(206, 0)


def jack(pen: Pen, height: float) -> Point:
    """A red scissor jack from the ground at the origin up to `height`; returns its crank."""
    middle = -height / 2
    reach = (110**2 - middle**2) ** 0.5
    for side in (-1, 1):
        pen.line([(-20 * side, -8), (side * reach, middle), (-20 * side, -height + 8)], "#d62828", 18)
    pen.line([(-reach, middle), (reach + 70, middle)], "#55606b", 9)
    pen.line([(reach + 70, middle), (reach + 70, middle + 40)], "#55606b", 11)
    pen.box(-60, -10, 60, 4, "#8d1c1c", 4)
    pen.box(-44, -height - 4, 44, -height + 12, "#8d1c1c", 4)
    return pen.where(reach + 70, middle + 44)


def pump(pen: Pen, out: float) -> Point:
    """An upright foot pump whose piston stands `out` above its cylinder; returns its grip."""
    pen.box(-8, -170 - out, 8, -120, "#c7cfd7")
    pen.box(-70, -190 - out, 70, -164 - out, "#26292e", 10)
    pen.box(-34, -170, 34, -8, "#f4a300", 8)
    pen.box(8, -170, 34, -8, "#d38a00", 8)
    pen.box(-34, -150, 34, -140, "#26292e")
    pen.box(-76, -12, 76, 4, "#26292e", 5)
    pen.oval(0, -84, 21, 21, "#ffffff")
    pen.line([(0, -84), (10, -96)], "#c1121f", 4)
    return pen.where(44, -176 - out)


def tape(pen: Pen) -> Point:
    """A roll of sticky tape standing on its side, around its middle."""
    pen.oval(0, 0, 62, 62, "#e6b94e")
    pen.oval(0, 0, 48, 48, "#c99a30")
    pen.oval(0, 0, 36, 36, "#f7f4ee")
    pen.oval(0, 0, 26, 26, "#8d8674")
    return pen.where(46, 30)
