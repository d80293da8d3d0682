"""Pictures of a video: its frames as views want them, and one picture of a moment."""

import heapq
import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from PIL import Image

from tellvision.media.decoding import ROUNDED, Decoded
from tellvision.media.opening import reason_of
from tellvision.media.views import Interpolation, View
from tellvision.records import Skip

_LONGEST = 16  # times the short side: what is longer is no picture, and its scaled copy without bounds


_EXACT = 1 << 13 | 1 << 18  # every pixel its own colour, rounded: without, pictures are 1.5 of 255 too dark
_FLAGS = {"area": 0x20, "bilinear": 0x2, "bicubic": 0x4}  # of FFmpeg's scaler


class Frames:
    """Frames of a video from `start` to `end` seconds, as each of `views` wants them, in one decoding.

    Row i of a view is what is on the screen at start + i / view.fps seconds: the last frame begun by then
    (the first one, before any began). There are rows before `end` and before the video ends, and always
    one where the span begins inside the video. Iterate once; afterwards `note` says what was odd, if
    anything, and `refused` which views got nothing, and why.
    """

    def __init__(self, path: Path, views: Sequence[View], start: float = 0.0, end: float = math.inf) -> None:
        if not (0 <= start <= end and start < math.inf):
            raise ValueError(f"a span needs 0 <= start <= end in seconds, got start={start}, end={end}")
        self.path, self.views, self.start, self.end = path, tuple(views), start, end
        self.note = ""
        self.refused: dict[int, Skip] = {}

    def __iter__(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield which view, and its next row as (height, width, 3) uint8 RGB; rows in order of time.

        Rows that show the same frame are the same array: do not write into it.

        Raises:
            Skip: the file cannot be opened, or not one frame can be decoded (`no_frames`), or pictures are
                too long and narrow for every view (`odd_shape`).
        """
        due = [(self.start, which, 0) for which in range(len(self.views))]  # next row of each view
        decoded = Decoded(self.path, self.start, self._needed)
        pictures = _Pictures(self.path, self.views, self.refused)
        shown: av.VideoFrame | None = None
        last = -math.inf
        for begins, frame in decoded:
            if shown is not None:
                if begins < last:
                    continue
                while due and begins > due[0][0] + ROUNDED:
                    yield from pictures.of(shown, due[0][1])
                    self._next(due)
            if not due:
                break
            shown, last = frame, begins
        if shown is None:
            return
        ends = min(decoded.ends, self.end)
        inside = self.start <= last + ROUNDED or self.start + ROUNDED < decoded.ends
        while due and (ends > due[0][0] + ROUNDED or (inside and due[0][2] == 0)):
            yield from pictures.of(shown, due[0][1])
            self._next(due)
        if decoded.ends < min(decoded.expected, self.end) - 2.0:
            self.note = f"ends at {decoded.ends:.0f} of {decoded.expected:.0f} s"
            self.note += f": {decoded.problem}" if decoded.problem else ""
        elif decoded.problem:
            self.note = f"does not decode in places: {decoded.problem}"

    def _next(self, due: list[tuple[float, int, int]]) -> None:
        _, which, row = due[0]
        at = self.start + (row + 1) / self.views[which].fps
        if at + ROUNDED < self.end:
            heapq.heapreplace(due, (at, which, row + 1))
        else:
            heapq.heappop(due)

    def _needed(self, begins: float, ends: float) -> bool:
        """Whether a row of a view falls into begins <= t < ends."""
        for view in self.views:
            near = max(0, math.ceil((begins - ROUNDED - self.start) * view.fps) - 1)
            for row in range(near, near + 3):  # the first row from `begins` on is one of them
                at = self.start + row / view.fps
                if begins <= at + ROUNDED < ends and (row == 0 or at + ROUNDED < self.end):
                    return True
        return False


class _Pictures:
    """The pictures of one frame at a time, each scaled once however many rows and views show it."""

    def __init__(self, path: Path, views: Sequence[View], refused: dict[int, Skip]) -> None:
        self._path, self._views, self._refused = path, views, refused
        self._frame: av.VideoFrame | None = None
        self._sizes: list[tuple[int, int]] = []
        self._scalers: dict[tuple[int, int, str], VideoReformatter] = {}
        self._made: dict[tuple[int, int, str], np.ndarray] = {}

    def of(self, frame: av.VideoFrame, which: int) -> Iterator[tuple[int, np.ndarray]]:
        """The view and the frame as it wants it, of the shape of the first; nothing if the view is refused."""
        if frame is not self._frame:
            self._frame, self._made = frame, {}
            self._sizes = self._sizes or [self._size(number, frame) for number in range(len(self._views))]
        if which in self._refused:
            return
        view, (height, width) = self._views[which], self._sizes[which]
        key = (height, width, view.interpolation)
        if key not in self._made:
            scaler = self._scalers.setdefault(key, VideoReformatter())
            self._made[key] = pixels(frame, width, height, view.interpolation, scaler)
        picture = self._made[key]
        if view.fit == "crop":
            top, left = (height - view.size) // 2, (width - view.size) // 2
            picture = np.ascontiguousarray(picture[top : top + view.size, left : left + view.size])
        yield which, picture

    def _size(self, which: int, frame: av.VideoFrame) -> tuple[int, int]:
        view = self._views[which]
        width, height = _upright(frame)
        if view.fit != "squash" and max(width, height) > _LONGEST * min(width, height):
            self._refused[which] = Skip(
                "odd_shape", f"{self._path.name}: {width}x{height} is more than 1:{_LONGEST}"
            )
            if len(self._refused) == len(self._views):
                raise self._refused[which]
        return view.scaled(width, height)


def pixels(
    frame: av.VideoFrame,
    width: int,
    height: int,
    interpolation: Interpolation = "area",
    scaler: VideoReformatter | None = None,
) -> np.ndarray:
    """(height, width, 3) uint8 RGB, turned as the file says: upright films of telephones lie on their side in it.

    With the same `scaler` for frames of one size what it has prepared is used again.

    Raises:
        Skip: pixels that cannot be converted (`no_frames`).
    """
    turns = _quarter_turns(frame)
    if turns % 2:
        width, height = height, width
    scaler, how = scaler or VideoReformatter(), _FLAGS[interpolation] | _EXACT
    try:
        flat = scaler.reformat(frame, width, height, "rgb24", interpolation=how, threads=1).to_ndarray()
    except (av.FFmpegError, ValueError) as error:
        raise Skip("no_frames", f"{frame.format.name} pixels cannot be converted: {reason_of(error)}") from None
    return np.ascontiguousarray(np.rot90(flat, turns))


def _upright(frame: av.VideoFrame) -> tuple[int, int]:
    """Width and height, as the picture is shown."""
    return (frame.height, frame.width) if _quarter_turns(frame) % 2 else (frame.width, frame.height)


def _quarter_turns(frame: av.VideoFrame) -> int:
    """Counter-clockwise, 0 to 3."""
    return round(frame.rotation / 90) % 4


def thumbnail(path: Path, seconds: float, width: int = 320) -> bytes:
    """The picture at `seconds` (the last one, past the end) as JPEG, `width` pixels wide.

    What is longer than wide by far is squeezed.

    Raises:
        Skip: the file cannot be opened, or not one frame can be decoded (`no_frames`).
    """
    picture = None
    at = max(seconds, 0.0) + ROUNDED
    for begins, frame in Decoded(path, max(seconds, 0.0), lambda begins, ends: begins <= at < ends):
        if picture is not None and begins > at:
            break
        picture = frame
    assert picture is not None
    across, down = _upright(picture)
    small = pixels(picture, width, min(max(2, round(down * width / across)), _LONGEST * width))
    buffer = io.BytesIO()
    Image.fromarray(small).save(buffer, "JPEG", quality=82)
    return buffer.getvalue()
