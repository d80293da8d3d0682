"""A file opened: which containers are trusted, where its time begins, what it says of itself."""

from dataclasses import dataclass
from pathlib import Path

import av
from av.stream import Disposition

from tellvision.records import Skip

ENDINGS = frozenset({".mp4", ".mkv", ".webm", ".avi", ".mov", ".m4v"})
LARGEST = 8192 * 8192  # pixels of a picture: a small file may say that its own take gigabytes
_LIMITS = {"max_pixels": str(LARGEST)}
_OPTIONS = _LIMITS | {
    "protocol_whitelist": "file",
    "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,flv,mpeg,wav",
}
LONGEST = 2 * 86400.0  # seconds: what begins later has a time of nonsense


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What a video file says of itself.

    Attributes:
        duration: seconds; 0 where the file does not say.
        width: pixels.
        height: pixels.
        codec: FFmpeg's name of the codec.
    """

    duration: float
    width: int
    height: int
    codec: str


def opened(path: Path) -> av.container.InputContainer:
    """The file as a container, whatever streams it has; the caller closes it.

    Raises:
        Skip: `empty_file` or `unreadable_video`.
    """
    try:
        if path.stat().st_size == 0:
            raise Skip("empty_file", f"{path.name} has no bytes")
        return av.open(str(path), options=_OPTIONS)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise Skip("unreadable_video", f"{path.name}: {reason_of(error)}") from None


def with_picture(path: Path) -> av.container.InputContainer:
    """The file as a container of which `picture_of` can be decoded; the caller closes it.

    Raises:
        Skip: `empty_file`, `unreadable_video`, `no_picture` or `odd_shape`.
    """
    container = opened(path)
    moving = _moving(container)
    if not moving:
        container.close()
        raise Skip("no_picture", f"{path.name} has no video stream")
    if all(stream.codec_context is None for stream in moving):
        container.close()
        raise Skip("unreadable_video", f"{path.name}: nothing here decodes its pictures")
    context = picture_of(container).codec_context
    if context.width * context.height > LARGEST:
        container.close()
        raise Skip("odd_shape", f"{path.name}: {context.width}x{context.height} is more than {LARGEST:,} pixels")
    context.options = _LIMITS  # for what a film becomes later on
    return container


def picture_of(container: av.container.InputContainer) -> av.VideoStream:
    """The video stream that FFmpeg calls the best of a container `with_picture`; never a cover."""
    streams = [stream for stream in _moving(container) if stream.codec_context is not None]
    best = container.streams.best("video")
    return next((stream for stream in streams if best is not None and stream.index == best.index), streams[0])


def _moving(container: av.container.InputContainer) -> list[av.VideoStream]:
    """Video streams but for covers: one picture that stands beside a film or a song."""
    return [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]


def reason_of(error: Exception) -> str:
    """What the library says, in one line."""
    return getattr(error, "strerror", None) or str(error)


def start_of(container: av.container.InputContainer) -> float:
    """Where the file's own clock stands when it begins: what is 0 for everything else, in seconds."""
    return (container.start_time or 0) / av.time_base


def length_of(container: av.container.InputContainer) -> tuple[float, float]:
    """How long the file says it is (0: it does not say), and after when a time is nonsense; seconds."""
    expected = (container.duration or 0) / av.time_base
    if container.format.name == "matroska,webm":  # says when it ends, by its own clock
        expected -= start_of(container)
    expected = max(expected, 0.0)
    return expected, min(LONGEST, expected + 60) if expected > 0 else LONGEST


def probe(path: Path) -> Probe:
    """Open `path` and read its header, without decoding.

    Raises:
        Skip: `empty_file`, `unreadable_video`, `no_picture` or `odd_shape`.
    """
    with with_picture(path) as container:
        stream = picture_of(container)
        seconds, _ = length_of(container)
        if seconds <= 0 and stream.duration and stream.time_base:
            seconds = float(stream.duration * stream.time_base)
        context = stream.codec_context
        return Probe(duration=seconds, width=context.width, height=context.height, codec=context.name)
