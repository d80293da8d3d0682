"""Videos to tracks: how much of decoding alone and of the network alone is left when both are done.

All three run through `runners.map_items` in the same warm worker processes, on the same frames: `decode`
iterates `media.Frames`, `network` reads frames that were decoded before, `end to end` is
`vision.features.extract`. Before each of them the workers meet at a barrier; the time of a stage is from
there until its last result has arrived here. Starting the workers is left out and told apart.

Where both stages run on the same cores, a second of video costs the sum of both: at most
1 / (1 / decode + 1 / network) can be reached. Only where the network runs elsewhere, on a GPU, or weighs
little, can the slower of the two be reached.
"""

import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Barrier
from typing import Any

import av
import numpy as np
import torch

from benchmarks.figures import Report, cores, figure
from tellvision.media import Frames
from tellvision.records import Skip
from tellvision.runners import Result, map_items
from tellvision.vision.extractors import Extractor, find
from tellvision.vision.features import FRAMES_AT_ONCE, Job, extract

BACKBONE = "efficientnet-lite0"
STAGES = ("decode", "network", "end to end")
PATIENCE = 300.0  # seconds at the barrier before a benchmark gives up


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is measured."""

    pictures: tuple[tuple[int, int, int], ...] = ((320, 240, 10), (640, 480, 25))
    """Width, height and frames per second of the videos, one case each."""
    videos: int = 6
    """Videos per worker and round."""
    seconds: int = 16
    """Length of a video: two whole batches of the network."""
    rounds: int = 3
    """Times that everything is measured."""


SMALLEST = Size(pictures=((64, 48, 5),), videos=1, seconds=2, rounds=1)


@dataclass(frozen=True)
class _Task:
    """What a worker does: one of STAGES, or `meet`."""

    stage: str
    video: Path
    decoded: Path
    barrier: Barrier | None = None


def measure(size: Size) -> Iterator[Report]:
    """One report per kind of video."""
    for width, height, fps in size.pictures:
        with tempfile.TemporaryDirectory() as folder:
            video, decoded = Path(folder) / "video.mp4", Path(folder) / "frames.npy"
            film(video, width, height, fps, size.seconds)
            backbone = find(BACKBONE)
            np.save(decoded, np.stack(list(Frames(video, backbone.fps, backbone.size))))
            yield _compare(f"{width}x{height}", f"{width}x{height} at {fps} fps", video, decoded, size)


def film(path: Path, width: int, height: int, fps: int, seconds: int) -> None:
    """Encode a test video as H.264: a rough ground that drifts, a disc that moves, a little grain."""
    rng = np.random.default_rng(0)
    ground = rng.integers(0, 255, (height // 8, width // 8, 3), dtype=np.uint8).repeat(16, 0).repeat(16, 1)
    grain = rng.integers(-6, 7, (2 * height, 2 * width, 1), dtype=np.int16)
    rows, columns = np.mgrid[:height, :width]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"preset": "veryfast", "crf": "25"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(fps * seconds):
            t = number / fps
            x, y = int(width * (0.5 + 0.4 * np.sin(0.3 * t))), int(height * (0.5 + 0.4 * np.sin(0.2 * t)))
            picture = ground[y : y + height, x : x + width].astype(np.int16)
            picture[(rows - y) ** 2 + (columns - x) ** 2 < (height // 5) ** 2] = (220, 60, 40)
            top, left = rng.integers(height), rng.integers(width)
            picture = np.clip(picture + grain[top : top + height, left : left + width], 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())


def _compare(case: str, what: str, video: Path, decoded: Path, size: Size) -> Report:
    workers = cores()
    num_videos = size.videos * workers
    frames: dict[str, int] = dict.fromkeys(STAGES, 0)
    busy: dict[str, float] = dict.fromkeys(STAGES, 0.0)
    rates: dict[str, list[float]] = {stage: [] for stage in STAGES}
    started = released = time.monotonic()
    warm: float | None = None
    with multiprocessing.get_context("spawn").Manager() as manager:
        barrier = manager.Barrier(workers)

        def tasks() -> Iterator[tuple[str, _Task]]:
            for _ in range(size.rounds):
                for stage in STAGES:
                    yield from [("meet", _Task("meet", video, decoded, barrier))] * workers
                    yield from [(stage, _Task(stage, video, decoded))] * num_videos

        arrived = 0
        for stage, result in map_items(_work, tasks(), workers):
            if isinstance(result, Skip):
                raise result
            if stage == "meet":
                released, arrived = result.output, 0
                warm = warm or released - started
                continue
            output, seconds = result.output
            arrived += 1
            frames[stage] += len(output)
            busy[stage] += seconds
            if arrived == num_videos:
                rates[stage].append(frames[stage] / (len(rates[stage]) + 1) / (time.monotonic() - released))
    assert len(set(frames.values())) == 1, f"the stages saw different numbers of frames: {frames}"
    slower = [min(pair) for pair in zip(rates["decode"], rates["network"], strict=True)]
    shared = [1 / (1 / d + 1 / n) for d, n in zip(rates["decode"], rates["network"], strict=True)]
    return Report(
        title=(
            f"extraction: {num_videos} videos of {size.seconds} s, {what}, {BACKBONE}, "
            f"{workers} workers, {size.rounds} rounds"
        ),
        rates={stage: (found, "frames/s") for stage, found in rates.items()},
        figures=(
            figure(
                f"extraction.{case}.of_slower",
                rates["end to end"],
                slower,
                "share",
                "the slower of decoding alone and the network alone, same frames, same workers",
                budget=0.85,
            ),
            figure(
                f"extraction.{case}.of_shared_cores",
                rates["end to end"],
                shared,
                "share",
                "1 / (1 / decode + 1 / network): what both reach at most on the same cores",
            ),
        ),
        notes=(
            "processor time a frame: "
            + ", ".join(f"{stage} {1000 * busy[stage] / frames[stage]:.1f} ms" for stage in STAGES),
            f"starting the workers took {warm or 0:.1f} s (processes, imports, weights, one video each)",
        ),
    )


def _work(task: _Task) -> Result[Any]:
    """Meet: when the workers parted. Else: something as long as there are frames, and the processor time."""
    if task.stage == "meet":
        assert task.barrier is not None
        _warm(task.video)
        task.barrier.wait(PATIENCE)
        return Result(time.monotonic(), "")
    began = time.process_time()
    output = _stage(task)
    return Result((output, time.process_time() - began), "")


def _stage(task: _Task) -> Any:
    backbone = _extractor()
    if task.stage == "decode":
        return [len(frame) for frame in Frames(task.video, backbone.fps, backbone.size)]
    if task.stage == "network":
        frames = np.load(task.decoded)
        parts = [backbone(frames[i : i + FRAMES_AT_ONCE]) for i in range(0, len(frames), FRAMES_AT_ONCE)]
        return np.concatenate(parts).astype(np.float16)
    return extract(Job(task.video, BACKBONE)).output


@cache
def _extractor() -> Extractor:
    torch.set_num_threads(1)  # as in `extract`
    extractor: Extractor = find(BACKBONE)()
    return extractor


@cache
def _warm(video: Path) -> None:
    """Once in a worker: everything imported, both copies of the network loaded and used."""
    extract(Job(video, BACKBONE))
    network = _extractor()
    network(np.zeros((1, network.size, network.size, 3), np.uint8))
