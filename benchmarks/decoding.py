"""Frames of views out of videos, against FFmpeg's decoder alone: every frame decoded, none scaled.

One process, one thread, a frame a second of H.264 at 30 frames per second with the usual B-frames. What
leaves out frames that nobody wants can be faster than decoding them all. `rows` iterates `media.Frames`;
`every frame` is the same written plainly: each frame decoded, those of the rows scaled.
"""

import math
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from benchmarks.figures import Report, figure, interleaved
from tellvision.media import Frames, View

VIEWS = (View(fps=1.0, size=224),)
TWO_VIEWS = (*VIEWS, View(fps=2.0, size=224, fit="crop", short=256, interpolation="bicubic"))


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is measured."""

    pictures: tuple[tuple[int, int], ...] = ((320, 240), (640, 480), (1280, 720))
    """(width, height) of the videos, one case each."""
    seconds: int = 30
    """Length of a video."""
    fps: int = 30
    """Frames per second of the videos."""
    rounds: int = 5
    """Times that everything is measured."""


SMALLEST = Size(pictures=((64, 48),), seconds=3, fps=10, rounds=1)


def measure(size: Size) -> Iterator[Report]:
    """One report per size of picture."""
    for width, height in size.pictures:
        with tempfile.TemporaryDirectory() as folder:
            path = _film(Path(folder) / "x.mp4", width, height, size)
            yield _compare(path, f"{width}x{height}", size)


def _compare(path: Path, case: str, size: Size) -> Report:
    late = size.seconds * 9 / 10
    measures: dict[str, Callable[[], float]] = {
        "decoder alone": lambda: _speed(size.seconds, lambda: _decode(path)),
        "every frame": lambda: _speed(size.seconds, lambda: _plainly(path)),
        "rows": lambda: _speed(size.seconds, lambda: _rows(path, VIEWS)),
        "rows of two views": lambda: _speed(size.seconds, lambda: _rows(path, TWO_VIEWS)),
        "rows of the last tenth alone": lambda: _speed(size.seconds, lambda: _rows(path, VIEWS, late)),
    }
    rates = interleaved(measures, size.rounds)
    alone, plainly = rates["decoder alone"], rates["every frame"]
    return Report(
        title=f"decoding: {size.seconds} s of H.264, {case} at {size.fps} fps, {size.rounds} rounds",
        rates={name: (found, "x real time") for name, found in rates.items()},
        figures=(
            figure(
                f"decoding.{case}.rows", rates["rows"], alone, "x", "the decoder alone, every frame, none scaled"
            ),
            figure(
                f"decoding.{case}.rows_of_plain", rates["rows"], plainly, "x", "every frame decoded, rows scaled"
            ),
            figure(f"decoding.{case}.two_views", rates["rows of two views"], alone, "x", "the decoder alone"),
            figure(
                f"decoding.{case}.late_span",
                rates["rows of the last tenth alone"],
                rates["rows"],
                "x",
                "rows of the whole video: how much sooner the last tenth is there",
            ),
        ),
    )


def _speed(seconds: float, work: Callable[[], object]) -> float:
    """Seconds of video a second of this process."""
    began = time.process_time()
    work()
    return seconds / (time.process_time() - began)


def _decode(path: Path) -> int:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        return sum(1 for _ in container.decode(stream))


def _plainly(path: Path) -> int:
    rows = 0
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        for frame in container.decode(stream):
            if frame.time is not None and frame.time >= rows:
                frame.reformat(224, 224, "rgb24", interpolation="AREA").to_ndarray()
                rows += 1
    return rows


def _rows(path: Path, views: tuple[View, ...], start: float = 0.0) -> int:
    return sum(1 for _ in Frames(path, views, start))


def _film(path: Path, width: int, height: int, size: Size) -> Path:
    """Patches of colour that drift and turn over a fixed ground with grain: H.264 as x264 makes it unasked."""
    rng = np.random.default_rng(0)
    ground = np.kron(rng.integers(0, 256, (9, 16, 3)), np.ones((height // 9 + 1, width // 16 + 1, 1)))[
        :height, :width
    ]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=size.fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for i in range(size.seconds * size.fps):
            t = i / size.fps
            picture = ground + rng.normal(0, 4, (height, width, 1))
            top = round((height / 2) * (1 + math.sin(t)) / 2)
            left = round((width / 2) * (1 + math.cos(0.7 * t)) / 2)
            picture[top : top + height // 2, left : left + width // 2] = np.roll(
                ground[: height // 2, : width // 2], round(40 * t), axis=1
            )
            frame = av.VideoFrame.from_ndarray(np.clip(picture, 0, 255).astype(np.uint8))
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
