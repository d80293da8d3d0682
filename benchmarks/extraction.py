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

import numpy as np
import torch

from benchmarks.figures import Report, cores, figure
from tellvision.draw import DrawConfig, draw
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

    pictures: tuple[tuple[tuple[int, int], int], ...] = (((320, 240), 8), ((640, 480), 25))
    """(width, height) and frames per second of the videos, one case each."""
    step_seconds: tuple[float, float] = (2.0, 3.0)
    """Length of a drawn step; a video has a few."""
    videos: int = 5
    """Videos per worker and round."""
    rounds: int = 3
    """Times that everything is measured."""


SMALLEST = Size(pictures=(((64, 48), 2),), step_seconds=(1.0, 1.0), videos=1, rounds=1)


@dataclass(frozen=True)
class _Task:
    """What a worker does: one of STAGES, or `meet`."""

    stage: str
    video: Path
    barrier: Barrier | None = None


def measure(size: Size) -> Iterator[Report]:
    """One report per kind of video."""
    backbone = find(BACKBONE)
    for (width, height), fps in size.pictures:
        with tempfile.TemporaryDirectory() as folder:
            config = DrawConfig(size=(width, height), fps=fps, step_seconds=size.step_seconds)
            draw(Path(folder), count=cores(), seed=0, config=config, workers=cores())
            videos = sorted(Path(folder).glob("*.mp4"))
            for video in videos:
                np.save(_decoded(video), np.stack(list(Frames(video, backbone.fps, backbone.size))))
            yield _compare(f"{width}x{height}", f"{width}x{height} at {fps} fps", videos, size)


def _decoded(video: Path) -> Path:
    return video.with_suffix(".npy")


def _compare(case: str, what: str, videos: list[Path], size: Size) -> Report:
    workers = cores()
    round_of_videos = videos * size.videos
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
                    yield from [("meet", _Task("meet", videos[0], barrier))] * workers
                    yield from [(stage, _Task(stage, video)) for video in round_of_videos]

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
            if arrived == len(round_of_videos):
                rates[stage].append(frames[stage] / (len(rates[stage]) + 1) / (time.monotonic() - released))
    assert len(set(frames.values())) == 1, f"the stages saw different numbers of frames: {frames}"
    slower = [min(pair) for pair in zip(rates["decode"], rates["network"], strict=True)]
    shared = [1 / (1 / d + 1 / n) for d, n in zip(rates["decode"], rates["network"], strict=True)]
    return Report(
        title=(
            f"extraction: {len(round_of_videos)} videos of "
            f"{frames['decode'] / size.rounds / len(round_of_videos):.0f} frames, {what}, {BACKBONE}, "
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
        frames = np.load(_decoded(task.video))
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
