"""How the steps of workshop, garage and gift table look; see `kitchen` for what a step is."""

from math import cos, pi, sin

from tellvision.draw.pen import Pen, bend, tone
from tellvision.draw.scene import Look, Motion
from tellvision.draw.things import (
    PAINT,
    WOOD,
    birdhouse,
    bow,
    car,
    fence,
    gift_box,
    paint_can,
    plank,
    shadow,
    teddy,
    wheel,
)
from tellvision.draw.tools import (
    drill,
    hammer,
    hand,
    jack,
    nail,
    paint_brush,
    pump,
    sandpaper,
    saw,
    scissors,
    screwdriver,
    stick,
    tape,
    wrench,
)

CARD = "#c99d63"


def open_can(pen: Pen, look: Look) -> Motion:
    """A screwdriver prises the lid off the paint can."""

    def motion(pen: Pen, t: float, u: float) -> None:
        lifted = max(0.0, 2 * u - 0.9)
        paint_can(pen.at(290, 456, size=1.45), lid=lifted == 0)
        if lifted:
            lid = pen.at(270 - 90 * lifted, 176 - 70 * lifted, -30 * lifted, 1.45)
            lid.oval(0, 4, 114, 24, "#98a3ae")
            lid.oval(0, -2, 114, 24, "#dfe5ea")
            lid.oval(0, 5, 96, 18, PAINT)
        grip = screwdriver(pen.at(446 - 30 * lifted, 186 - 60 * lifted, 58 + 8 * sin(4 * t), 1.05), look.accent)
        hand(pen, grip, look.skin, look.sleeve)

    return motion


def stir_paint(pen: Pen, look: Look) -> Motion:
    """A flat stick goes round in the open paint can."""
    paint_can(pen.at(310, 456, size=1.5), lid=False)

    def motion(pen: Pen, t: float, u: float) -> None:
        x, y = 296 + 88 * cos(3.2 * t), 174 + 14 * sin(3.2 * t)
        for k in range(3):
            start = 180 * t % 360 + 60 * k
            pen.arc(308, 174, 50 + 40 * k, 9 + 9 * k, tone(PAINT, 0.4 - 0.1 * k), 6, start, start + 140)
        grip = stick(pen.at(x, y, 5 * cos(3.2 * t), 1.1), PAINT)
        hand(pen, grip, look.skin, look.sleeve)

    return motion


def _painted(pen: Pen, x: float, top: float, fill: str) -> None:
    pen.shape(
        [(x - 35, 0), (x - 35, max(top, -245)), (x, max(top, -290)), (x + 35, max(top, -245)), (x + 35, 0)], fill
    )
    pen.shape([(x + 22, 0), (x + 22, max(top, -262)), (x + 35, max(top, -245)), (x + 35, 0)], tone(fill, -0.18))


def paint_fence(pen: Pen, look: Look) -> Motion:
    """A brush paints one board of the fence after the other blue."""
    tops = fence(pen.at(320, 462, size=1.3))

    def motion(pen: Pen, t: float, u: float) -> None:
        work = pen.at(320, 462, size=1.3)
        done = 1.0 + 3.8 * u
        for k, (x, _) in enumerate(tops[: int(done) + 1]):
            _painted(work, x, -290 * (done - k if k == int(done) else 1.0), PAINT)
        x = tops[min(int(done), len(tops) - 1)][0]
        stroke = -150 - 100 * sin(4 * t)
        work.line([(x - 16, stroke + 60), (x - 16, stroke)], tone(PAINT, 0.3), 12)
        brush = work.at(x - 18, stroke, -24 + 8 * cos(4 * t), 0.95)
        hand(pen, paint_brush(brush, look.accent, PAINT), look.skin, look.sleeve)

    return motion


def sand_fence(pen: Pen, look: Look) -> Motion:
    """Sandpaper goes up and down the boards of the fence; dust falls, the wood turns pale."""
    tops = fence(pen.at(320, 462, size=1.3))

    def motion(pen: Pen, t: float, u: float) -> None:
        work = pen.at(320, 462, size=1.3)
        done = 1.0 + 3.8 * u
        for x, _ in tops[: int(done)]:
            _painted(work, x, -290, "#ecd3a6")
        x = tops[min(int(done), len(tops) - 1)][0]
        stroke = -130 - 75 * sin(8 * t)
        for k in range(12):
            fall = (t * 0.9 + k * 0.29) % 1
            work.oval(x - 30 + 9 * (k % 7), stroke + 40 + (-stroke - 30) * fall, 5, 4, "#f3e2c2")
        grip = sandpaper(work.at(x - 22, stroke, -4, 1.1))
        hand(pen, grip, look.skin, look.sleeve)

    return motion


def loosen_nuts(pen: Pen, look: Look) -> Motion:
    """A wrench turns the nuts of the wheel, seen from near."""
    pen.box(-40, -10, 680, 150, look.car)
    pen.box(-40, 60, 680, 70, tone(look.car, 0.3))
    pen.oval(290, 250, 262, 245, "#1f2024")
    wheel(pen.at(290, 258, size=1.75))

    def motion(pen: Pen, t: float, u: float) -> None:
        k = int(u * 4.99)
        x, y = pen.at(290, 258, 72 * k + 36, 1.75).where(0, -22)
        swing = 28 * sin(2.6 * t)
        grip = wrench(pen.at(x, y, 18 + swing, 1.15))
        pen.at(x, y, swing).oval(0, 0, 17, 17, "#3c4048")
        hand(pen, grip, look.skin, look.sleeve)

    return motion


def jack_up(pen: Pen, look: Look) -> Motion:
    """A jack lifts the car off the ground."""

    def motion(pen: Pen, t: float, u: float) -> None:
        lift = 16 + 58 * u
        shadow(pen.at(330, 446), 300)
        car(pen.at(400, 446 - lift, 3 * u), look.car)
        crank = jack(pen.at(222, 452, size=1.1, wide=-1), 62 + 0.8 * lift)
        x, y = crank[0] + 12 * cos(5 * t), crank[1] + 12 * sin(5 * t)
        hand(pen, (x, y), look.skin, look.sleeve, -1)

    return motion


def change_wheel(pen: Pen, look: Look) -> Motion:
    """The new wheel is brought to the jacked car and put on."""
    shadow(pen.at(330, 446), 300)
    axle = car(pen.at(390, 372, 3), look.car, with_wheel=False)
    jack(pen.at(170, 452, size=1.1), 108)

    def motion(pen: Pen, t: float, u: float) -> None:
        near = min(1.0, 1.15 * u)
        x = 150 + (axle[0] - 150) * near
        y = 330 + (axle[1] - 330) * near + 5 * sin(4 * t)
        rim = pen.at(x, y, 40 * sin(1.4 * t), 1.25 - 0.2 * near)
        wheel(rim)
        hand(pen, (x - 96, y + 66), look.skin, look.sleeve, -1)
        hand(pen, (x + 96, y + 66), look.skin, look.sleeve)

    return motion


def pump_tyre(pen: Pen, look: Look) -> Motion:
    """Somebody works a yellow pump; the tyre at the end of its hose swells."""

    def motion(pen: Pen, t: float, u: float) -> None:
        shadow(pen.at(210, 450), 150)
        full = 0.86 + 0.14 * u
        wheel(pen.at(205, 450 - 165 * full, size=1.35 * full, wide=1 / full))
        pen.line(bend((260, 420), (360, 500), (440, 430), 14), "#1d1e22", 10)
        grip = pump(pen.at(475, 450, size=1.25), 42 + 40 * sin(4.4 * t))
        hand(pen, grip, look.skin, look.sleeve)

    return motion


def saw_board(pen: Pen, look: Look) -> Motion:
    """A saw goes to and fro through a board on two trestles."""
    for x in (120, 500):
        for side in (-1, 1):
            pen.line([(x, 350), (x + side * 44, 466)], "#8a5a2b", 17)
    plank(pen, 20, 292, 620, 362)

    def motion(pen: Pen, t: float, u: float) -> None:
        deep = 292 + 66 * u
        pen.line([(300, 292), (300, deep)], "#4a2e15", 6)
        pen.oval(300, 462, 60 + 40 * u, 8 + 8 * u, "#e8c892")
        for k in range(10):
            fall = (t * 1.3 + k * 0.23) % 1
            pen.oval(290 + 6 * (k % 5), 362 + 96 * fall, 4, 4, "#f0d5a4")
        grip = saw(pen.at(300 + 74 * sin(5 * t), deep, -7, 1.25), look.accent)
        hand(pen, grip, look.skin, look.sleeve)

    return motion


def drill_hole(pen: Pen, look: Look) -> Motion:
    """A yellow drill bores into an upright board; shavings fly."""
    plank(pen, 60, 440, 330, 468)
    board = pen.at(190, 440, size=1.25)
    board.shape([(-100, 0), (-100, -200), (0, -285), (100, -200), (100, 0)], WOOD)
    board.shape([(82, 0), (82, -214), (100, -200), (100, 0)], tone(WOOD, -0.25))
    for k in range(5):
        board.line(bend((-80 + 36 * k, -8), (-70 + 36 * k, -90), (-80 + 36 * k, -196)), tone(WOOD, -0.13), 3)

    def motion(pen: Pen, t: float, u: float) -> None:
        pen.oval(200, 280, 30 + 12 * u, 30 + 12 * u, "#2b1b10")
        tip = 236 - 44 * u + 3 * sin(40 * t)
        grip = drill(pen.at(tip, 280, 2 * sin(23 * t), 1.2), 3.1 * t)
        for k in range(9):
            fly = (t * 1.7 + k * 0.31) % 1
            pen.arc(
                212 + 120 * fly * sin(2.0 * k + 1),
                280 + 170 * fly * fly - 40 * fly,
                8,
                7,
                "#f0d5a4",
                4,
                40 * k,
                40 * k + 230,
            )
        hand(pen, grip, look.skin, look.sleeve)

    return motion


def hammer_nails(pen: Pen, look: Look) -> Motion:
    """A hammer strikes nails into a board, one after the other."""
    plank(pen, 30, 372, 610, 450)

    def motion(pen: Pen, t: float, u: float) -> None:
        now = min(2, int(3 * u))
        for k, x in enumerate((130, 240, 350)):
            share = min(1.0, max(0.0, 3 * u - k))
            nail(pen.at(x, 378, size=1.5), 6 + 60 * (1 - share))
            if k == now:
                swing = abs(sin(4.2 * t))
                head = 378 - 1.5 * (15 + 60 * (1 - share))
                tool = pen.at(x + 10, head - 8 - 70 * swing, -90 + 34 * swing, 1.35)
                grip = hammer(tool, look.accent)
                if swing < 0.25:
                    for turn in range(-60, 61, 30):
                        pen.at(x, head, turn).line([(0, -26), (0, -48)], "#ffd54a", 6)
        hand(pen, grip, look.skin, look.sleeve)

    return motion


def drive_screws(pen: Pen, look: Look) -> Motion:
    """A screwdriver turns the screws of a steel hinge."""
    holes = (130, 225, 395, 490)
    plank(pen, 20, 366, 620, 466)
    pen.box(80, 334, 540, 374, "#8f99a4", 8)
    pen.box(80, 334, 540, 344, "#aeb8c2", 5)
    for k in range(3):
        pen.box(286 + 18 * k, 322, 300 + 18 * k, 380, "#6d7782", 5)
    for x in holes:
        pen.oval(x, 344, 30, 9, "#4e565f")

    def motion(pen: Pen, t: float, u: float) -> None:
        now = min(3, int(4 * u))
        for k, x in enumerate(holes):
            out = 62 * (1 - min(1.0, max(0.0, 4 * u - k)))
            pen.box(x - 10, 342 - out, x + 10, 344, "#d9a83a")
            for thread in range(int(out / 11)):
                pen.line([(x - 13, 338 - 11 * thread), (x + 13, 333 - 11 * thread)], "#a87a1d", 4)
            pen.oval(x, 341 - out, 29, 11, "#edc558")
            if k == now:
                grip = screwdriver(pen.at(x, 338 - out, 2 * sin(6 * t), 1.22), look.accent, 2.2 * t)
        hand(pen, grip, look.skin, look.sleeve)

    return motion


def paint_birdhouse(pen: Pen, look: Look) -> Motion:
    """A brush paints the birdhouse blue."""
    stage = pen.at(240, 458, size=1.35)
    birdhouse(stage)

    def motion(pen: Pen, t: float, u: float) -> None:
        stage = pen.at(240, 458, size=1.35)
        for k in range(5):
            share = min(1.0, max(0.0, 0.6 + 5 * u - k))
            x = -100 + 40 * k
            if share:
                stage.box(x, -192, x + 40, -192 + 178 * share, PAINT if k % 2 else tone(PAINT, 0.08))
        stage.oval(0, -125, 40, 40, tone(PAINT, -0.35))
        stage.oval(0, -125, 34, 34, "#2b1b10")
        stage.line([(0, -58), (0, -50)], "#8a5a2b", 18)
        x = -84 + 40 * min(4, int(0.6 + 5 * u))
        brush = stage.at(x, -100 + 74 * sin(4.4 * t), -20, 0.95)
        hand(pen, paint_brush(brush, look.accent, PAINT), look.skin, look.sleeve)

    return motion


def _sheet(pen: Pen, paper: str) -> None:
    pen.shape([(-250, 0), (250, 0), (215, -190), (-215, -190)], paper)
    for row in range(5):
        for k in range(7):
            pen.oval((-200 + 66 * k + 33 * (row % 2)) * (1 - 0.03 * row), -20 - 37 * row, 11, 8, tone(paper, 0.6))


def cut_paper(pen: Pen, look: Look) -> Motion:
    """Scissors cut the dotted wrapping paper across."""
    _sheet(pen.at(300, 456, size=1.25), look.paper)
    pen.box(-20, 196, 560, 238, tone(look.paper, -0.2), 18)
    pen.oval(560, 217, 14, 21, tone(look.paper, 0.5))

    def motion(pen: Pen, t: float, u: float) -> None:
        x = 520 - 330 * u
        pen.shape([(620, 318), (620, 352), (x - 30, 334)], look.table)
        pen.line([(612, 316), (x - 30, 334)], tone(look.paper, -0.4), 3)
        grip = scissors(pen.at(x + 60, 334, 4, 1.35), 10 + 32 * abs(sin(3.6 * t)), look.accent)
        hand(pen, grip, look.skin, look.sleeve)

    return motion


def pack_teddy(pen: Pen, look: Look) -> Motion:
    """A teddy bear is lowered into an open cardboard box."""
    shadow(pen.at(310, 456), 220)
    pen.shape([(110, 300), (510, 300), (470, 262), (150, 262)], tone(CARD, -0.45))

    def motion(pen: Pen, t: float, u: float) -> None:
        y = 280 + 120 * min(1.0, 1.1 * u) + 4 * sin(3 * t)
        teddy(pen.at(310, y, 5 * sin(2.4 * t), 1.3))
        for side in (-1, 1):
            hand(pen, (310 + 92 * side, y - 100), look.skin, look.sleeve, side)
        pen.box(110, 300, 510, 458, CARD, 3)
        pen.box(400, 300, 510, 458, tone(CARD, -0.1))
        pen.box(290, 300, 330, 458, "#e3c48f")
        pen.shape([(110, 300), (52, 356), (70, 366), (124, 318)], tone(CARD, 0.2))
        pen.shape([(510, 300), (568, 356), (550, 366), (496, 318)], tone(CARD, 0.1))

    return motion


def fold_paper(pen: Pen, look: Look) -> Motion:
    """The wrapping paper is folded over the cardboard box from both sides."""
    _sheet(pen.at(320, 466, size=1.28), look.paper)
    pen.box(205, 300, 435, 440, CARD, 3)
    pen.shape([(205, 300), (435, 300), (410, 262), (230, 262)], tone(CARD, 0.2))
    pen.box(306, 300, 334, 440, "#e3c48f")

    def motion(pen: Pen, t: float, u: float) -> None:
        for side, share in ((-1, min(1.0, 2.2 * u)), (1, min(1.0, max(0.0, 2.2 * u - 1)))):
            turn = share * (0.92 + 0.05 * sin(3 * t))
            half = pen.at(320, 0, wide=side)
            x = 115 + 150 * cos(pi * turn)
            rise = 90 * sin(pi * turn)
            fill = tone(look.paper, 0.35 - 0.2 * turn)
            half.shape([(118, 446), (112, 262), (x - 6, 262 - rise), (x, 446 - rise)], fill)
            for k in range(4):
                half.oval((112 + x) / 2, 300 + 38 * k - rise * 0.5, 10, 8, tone(look.paper, 0.7))
            grip = half.where(x, 390 - rise)
            if 0 < share < 1 or (side == 1 and share == 1):
                hand(pen, grip, look.skin, look.sleeve, side)

    return motion


def tape_paper(pen: Pen, look: Look) -> Motion:
    """A strip of sticky tape is drawn from its roll over the wrapped box."""
    gift_box(pen.at(300, 456, size=1.35), look.paper)

    def motion(pen: Pen, t: float, u: float) -> None:
        x = 120 + 330 * u
        pen.box(110, 270, x, 306, "#f6e3a5d8")
        pen.box(110, 274, x, 279, "#ffffff90")
        roll = pen.at(x + 40, 272 + 4 * sin(4 * t), 60 * t, 1.25)
        tape(roll)
        hand(pen, (x + 70, 320), look.skin, look.sleeve)
        hand(pen, (106, 300), look.skin, look.sleeve, -1)

    return motion


def tie_ribbon(pen: Pen, look: Look) -> Motion:
    """A ribbon is tied round the wrapped box, and its bow grows."""
    gift_box(pen.at(310, 462, size=1.25), look.paper, look.ribbon)

    def motion(pen: Pen, t: float, u: float) -> None:
        pull = 22 * sin(3 * t)
        size = 0.55 + 0.75 * u
        bow(pen.at(310, 190), look.ribbon, size)
        for side in (-1, 1):
            x = 310 + side * (96 * size + 50 + pull)
            pen.line(bend((310 + side * 60 * size, 160), (x - side * 20, 130), (x, 186)), look.ribbon, 15)
            hand(pen, (x, 190), look.skin, look.sleeve, side)

    return motion
