"""Pictures of many clips of one video, decoded in one pass and each kept once.

    a video's file + the clips' spans -> Strips: sheets of stills, and where each clip's stills are on them

Clips overlap, so the second that ten of them show is one still. A page shows at most `MOST` moments of
a video, at even distances: a longer video gets fewer a second, and a part of it more.
"""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from tellvision import media
from tellvision.records import Clip
from tellvision.report.pictures import evenly

MOST = 3600
"""Moments of a page: an hour at one a second, some 15 MB."""
DENSEST = 2.0
"""Moments a second that are enough for the shortest clip."""
SHOWN = 5
"""Stills of a clip, at most."""
SIDE = 10
"""Stills in a row of a sheet, and rows in it."""

_HEIGHT = 90  # pixels of a still
_WIDEST = 200
_QUALITY = 72  # JPEG


@dataclass(frozen=True, kw_only=True)
class Strips:
    """The stills of a video's clips.

    Attributes:
        rate: moments a second; moment i is what is seen at i / rate seconds.
        width: pixels of a still.
        height: pixels of a still.
        sheets: JPEGs of `SIDE` x `SIDE` stills.
        places: moment -> its place on the sheets, row by row, sheet after sheet.
    """

    rate: float
    width: int
    height: int
    sheets: list[bytes]
    places: dict[int, int]


def rate_for(seconds: float) -> float:
    """Moments a second for a span of a video."""
    return min(DENSEST, MOST / max(seconds, 1.0))


def moments(clip: Clip, rate: float) -> list[int]:
    """Up to `SHOWN` moments at even distances within a clip; its middle where none falls into it."""
    first, last = math.ceil(clip.start * rate), math.floor(clip.end * rate)
    if first > last:
        return [int((clip.start + clip.end) / 2 * rate)]
    return [first + place for place in evenly(last - first + 1, SHOWN)]


def strips(path: Path, clips: Sequence[Clip], rate: float) -> Strips:
    """The stills of `clips`, in one pass over the video; memory holds one sheet and the JPEGs.

    Moments behind the last frame have no place.

    Raises:
        Skip: the video cannot be read.
    """
    wanted = sorted({moment for clip in clips for moment in moments(clip, rate)})
    width, height = _shape(path)
    places: dict[int, int] = {}
    sheets: list[bytes] = []
    sheet = np.zeros((SIDE * height, SIDE * width, 3), np.uint8)
    following = iter(wanted)
    moment = next(following, None)
    view = media.View(fps=rate, size=max(width, height))
    first, last = (wanted[0], wanted[-1]) if wanted else (0, 0)
    rows = media.Frames(path, [view], first / rate, (last + 0.5) / rate)
    for row, (_, frame) in enumerate(rows, first):
        if moment is None:
            break
        if row < moment:
            continue
        place = len(places) % (SIDE * SIDE)
        if places and not place:
            sheets.append(_jpeg(sheet))
            sheet[:] = 0
        top, left = place // SIDE * height, place % SIDE * width
        picture = Image.fromarray(frame).resize((width, height), Image.Resampling.BOX)
        sheet[top : top + height, left : left + width] = np.asarray(picture)
        places[moment] = len(places)
        moment = next(following, None)
    if places:
        sheets.append(_jpeg(sheet))
    return Strips(rate=rate, width=width, height=height, sheets=sheets, places=places)


def _shape(path: Path) -> tuple[int, int]:
    """Width and height of a still: the video's shape as it is shown, upright films upright."""
    with Image.open(io.BytesIO(media.thumbnail(path, 0.0, _WIDEST))) as first:
        across, down = first.size
    width = min(max(round(_HEIGHT * across / down), 8), _WIDEST)
    return width, min(max(round(width * down / across), 8), _HEIGHT)


def _jpeg(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()
