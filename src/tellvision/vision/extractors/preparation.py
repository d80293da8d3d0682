"""preprocessor_config.json -> the view a released model was trained on, and its constants.

These files came in several forms over the years: a size as one number or as sides, a share of the picture
that is kept (`crop_pct`) or a size to cut out.
"""

import math
from collections.abc import Mapping
from typing import Any

from tellvision.media import View
from tellvision.records import InputError
from tellvision.vision.extractors.pixels import Normalise

MOST = 2048  # pixels of a side: beyond that it is no size of a network's input
_FILTERS: dict[int, Any] = {2: "bilinear", 3: "bicubic", 4: "area"}  # as Pillow numbers them


def view_of(preparation: Mapping[str, Any], *, fps: float) -> View:
    """What is done to a picture before its pixels are normalised.

    Raises:
        InputError: something is missing, or of a form that is not known.
    """
    if preparation.get("do_resize") is False:
        raise InputError("the preprocessor_config.json does not say how pictures are scaled (do_resize is false)")
    number = preparation.get("resample")
    if not isinstance(number, int) or number not in _FILTERS:
        raise InputError(f"preprocessor_config.json: resample is {number!r}, known are {_known()}")
    interpolation = _FILTERS[number]
    size, share = preparation.get("size"), preparation.get("crop_pct")
    cuts = bool(preparation.get("do_center_crop"))
    if isinstance(size, Mapping) and "shortest_edge" in size:
        short = _side(size["shortest_edge"])
    elif isinstance(size, Mapping):
        return View(fps=fps, size=_square(size), fit="squash", interpolation=interpolation)
    elif cuts or share is not None:
        short = _side(size)
    else:  # one number was a square, where nothing was cut off
        return View(fps=fps, size=_side(size), fit="squash", interpolation=interpolation)
    if share is not None:  # what ResNet and ConvNeXt were released with: from 384 on the whole picture
        if short >= 384:
            return View(fps=fps, size=short, fit="squash", interpolation=interpolation)
        if not isinstance(share, float | int) or not 0.1 <= share <= 1:
            raise InputError(f"preprocessor_config.json: crop_pct is a share, got {share!r}")
        return View(fps=fps, size=short, fit="crop", short=int(short / share), interpolation=interpolation)
    if not cuts:
        return View(fps=fps, size=short, fit="short", interpolation=interpolation)
    cut = preparation.get("crop_size")
    edge = _square(cut) if isinstance(cut, Mapping) else _side(cut)
    if edge > short:
        raise InputError(f"preprocessor_config.json: {edge} pixels cannot be cut out of a short side of {short}")
    return View(fps=fps, size=edge, fit="crop", short=short, interpolation=interpolation)


def normalise_of(preparation: Mapping[str, Any]) -> Normalise:
    """The constants, in the units of the bytes.

    Raises:
        InputError: they are missing or no numbers.
    """
    scale = preparation.get("rescale_factor", 1 / 255) if preparation.get("do_rescale", True) else 1.0
    mean, std = (0.0,) * 3, (1.0,) * 3
    if preparation.get("do_normalize", True):
        mean, std = _colours(preparation, "image_mean"), _colours(preparation, "image_std")
    if not (_is_number(scale) and scale > 0 and min(std) > 0):
        raise InputError("preprocessor_config.json: rescale_factor and image_std are above 0")
    red, green, blue = (m / scale for m in mean)
    return Normalise((red, green, blue), (std[0] / scale, std[1] / scale, std[2] / scale))


def _colours(preparation: Mapping[str, Any], name: str) -> tuple[float, float, float]:
    values = preparation.get(name)
    if not (isinstance(values, list) and len(values) == 3 and all(_is_number(value) for value in values)):
        raise InputError(f"preprocessor_config.json: {name} is three numbers, got {values!r}")
    return values[0], values[1], values[2]


def _is_number(value: object) -> bool:
    return isinstance(value, float | int) and not isinstance(value, bool) and math.isfinite(value)


def _square(sides: Mapping[str, Any]) -> int:
    height, width = _side(sides.get("height")), _side(sides.get("width"))
    if height != width:
        raise InputError(f"preprocessor_config.json: pictures of {width} x {height}, known are squares")
    return height


def _side(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= MOST:
        raise InputError(f"preprocessor_config.json: a side of {value!r} pixels, known are 1 to {MOST}")
    return value


def _known() -> str:
    return ", ".join(f"{number} ({name})" for number, name in _FILTERS.items())
