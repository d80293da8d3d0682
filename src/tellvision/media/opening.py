"""A file opened: which containers are trusted, where its time begins, what it says of itself."""

from dataclasses import dataclass
from pathlib import Path

import av

from tellvision.records import Skip

ENDINGS = frozenset({".mp4", ".mkv", ".webm", ".avi", ".mov", ".m4v"})
_OPTIONS = {
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
    """The file as a container whose first video stream can be decoded; the caller closes it.

    Raises:
        Skip: `empty_file`, `unreadable_video` or `no_picture`.
    """
    container = opened(path)
    if not container.streams.video:
        container.close()
        raise Skip("no_picture", f"{path.name} has no video stream")
    if container.streams.video[0].codec_context is None:
        container.close()
        raise Skip("unreadable_video", f"{path.name}: nothing here decodes its pictures")
    return container


def reason_of(error: Exception) -> str:
    """What the library says, in one line."""
    return getattr(error, "strerror", None) or str(error)


def start_of(container: av.container.InputContainer) -> float:
    """Where the file's own clock stands when it begins: what is 0 for everything else, in seconds."""
    return (container.start_time or 0) / av.time_base


def length_of(container: av.container.InputContainer) -> tuple[float, float]:
    """How long the file says it is (0: it does not say), and after when a time is nonsense; seconds."""
    expected = max((container.duration or 0) / av.time_base, 0.0)
    return expected, min(LONGEST, expected + 60) if expected > 0 else LONGEST


def probe(path: Path) -> Probe:
    """Open `path` and read its header, without decoding.

    Raises:
        Skip: `empty_file`, `unreadable_video` or `no_picture`.
    """
    with with_picture(path) as container:
        stream = container.streams.video[0]
        seconds = (container.duration or 0) / av.time_base
        if seconds <= 0 and stream.duration and stream.time_base:
            seconds = float(stream.duration * stream.time_base)
        context = stream.codec_context
        return Probe(duration=max(seconds, 0.0), width=context.width, height=context.height, codec=context.name)
