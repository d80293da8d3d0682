"""Pictures of a video: its frames at a rate, and one picture of a moment."""

import io
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from PIL import Image

from tellvision.media.opening import length_of, reason_of, start_of, with_picture
from tellvision.records import Skip

ROUNDED = 1e-3  # seconds: what the times in a file may be off


class Frames:
    """Frames of a video at `fps`, the whole picture scaled to `size` x `size`.

    Row i is what is on the screen at i / fps seconds: the last frame begun by then (the first one,
    before any began). Iterate once; afterwards `note` says what was odd, if anything.
    """

    def __init__(self, path: Path, fps: float, size: int) -> None:
        self.path, self.fps, self.size = path, fps, size
        self.note = ""

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield (size, size, 3) uint8 RGB.

        Raises:
            Skip: the file cannot be opened, or not one frame can be decoded (`no_frames`).
        """
        row = 0
        with with_picture(self.path) as container:
            stream = container.streams.video[0]
            stream.thread_type = "NONE"  # one thread a process: the runner keeps the cores busy
            expected, latest = length_of(container)
            start, shown, error = start_of(container), None, None
            frames = container.decode(stream)
            while True:
                try:
                    frame = next(frames)
                except StopIteration:
                    break
                except (av.FFmpegError, ValueError) as problem:
                    error = problem
                    break
                if frame.time is None:
                    continue
                begins = frame.time - start
                if begins > latest:
                    error = ValueError(f"a frame at {begins:.0f} s")
                    break
                if shown is not None and begins > row / self.fps + ROUNDED:
                    picture = self._scaled(shown)
                    while begins > row / self.fps + ROUNDED:
                        yield picture
                        row += 1
                shown, ends = frame, begins + float((frame.duration or 0) * (frame.time_base or 0))
            if shown is None:
                raise Skip("no_frames", f"{self.path.name}: {reason_of(error) if error else 'no frame in it'}")
            picture = self._scaled(shown)
            while row == 0 or min(ends, latest) > row / self.fps + ROUNDED:
                yield picture
                row += 1
        if error is not None or ends < expected - 2.0:
            self.note = f"ends at {ends:.0f} of {expected:.0f} s" + (f": {reason_of(error)}" if error else "")

    def _scaled(self, frame: av.VideoFrame) -> np.ndarray:
        return _rgb(self.path, frame, self.size, self.size)


def _rgb(path: Path, frame: av.VideoFrame, width: int, height: int) -> np.ndarray:
    """(height, width, 3) uint8, turned as the file says: upright films of telephones lie on their side in it."""
    turns = _quarter_turns(frame)
    if turns % 2:
        width, height = height, width
    try:
        pixels = frame.reformat(width, height, "rgb24", interpolation="AREA").to_ndarray()
    except (av.FFmpegError, ValueError) as error:
        raise Skip("no_frames", f"{path.name}: {reason_of(error)}") from None
    return np.ascontiguousarray(np.rot90(pixels, turns))


def _quarter_turns(frame: av.VideoFrame) -> int:
    """Counter-clockwise, 0 to 3."""
    return round(frame.rotation / 90) % 4


def thumbnail(path: Path, seconds: float, width: int = 320) -> bytes:
    """The picture at `seconds` (the last one, past the end) as JPEG, `width` pixels wide.

    Raises:
        Skip: as for `Frames`.
    """
    picture = None
    with with_picture(path) as container:
        stream = container.streams.video[0]
        start = start_of(container)
        try:
            container.seek(int((max(seconds, 0.0) + start) * av.time_base), backward=True)
            for frame in container.decode(stream):
                picture = frame
                if frame.time is None or frame.time - start >= seconds:
                    break
        except (av.FFmpegError, ValueError) as error:
            if picture is None:
                raise Skip("no_frames", f"{path.name}: {reason_of(error)}") from None
        if picture is None:
            raise Skip("no_frames", f"{path.name}: no frame at {seconds:.1f} s")
        sides = picture.width, picture.height
        across, down = sides[::-1] if _quarter_turns(picture) % 2 else sides
        pixels = _rgb(path, picture, width, max(2, round(down * width / across)))
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=82)
    return buffer.getvalue()
