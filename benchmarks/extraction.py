"""Videos to tracks: how much of decoding alone and of the network alone is left when both are done.

`decode` iterates `media.Frames`, `network` reads frames that were decoded before, `end to end` is
`vision.features.extract`; all three run through `runners.map_items` in the same warm worker processes, on the
same frames. Before each of them the workers meet at a barrier; the time of a stage is from there until its
last result has arrived here. Starting the workers is left out and told apart.

shared      every worker decodes and has a network, as on a machine without a GPU. A second of video costs the
            sum of both: at most 1 / (1 / decode + 1 / network) can be reached.
apart       the workers decode on one core and ask a service on another, as they ask a GPU: here the slower
            of the two is the limit.
reference   the way of the released extractor: a video at a time, ffmpeg through a pipe, the whole video in
            memory, float32, against `end to end` of `shared`. How much of the ratio the network alone would
            allow stands beside it.
"""

import multiprocessing
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
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
from tellvision.vision.extractors import find
from tellvision.vision.features import FRAMES_AT_ONCE, Job, extract
from tellvision.vision.network import Network
from tellvision.vision.service import Address, connect, serving

BACKBONE = "efficientnet-lite0"
STAGES = ("decode", "network", "end to end")
PATIENCE = 300.0  # seconds at the barrier before a benchmark gives up
REFERENCE_BATCH = 64  # frames, as the released extractor has it


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


@dataclass(frozen=True, kw_only=True)
class _Task:
    """What a worker does: one of STAGES, or `meet`."""

    stage: str
    video: Path
    barrier: Barrier | None = None
    core: int | None = None
    service: Address | None = None


def measure(size: Size) -> Iterator[Report]:
    """Three reports per kind of video; one less where there is no ffmpeg, one less on a single core."""
    for (width, height), fps in size.pictures:
        with tempfile.TemporaryDirectory() as folder:
            config = DrawConfig(size=(width, height), fps=fps, step_seconds=size.step_seconds)
            draw(Path(folder), count=cores(), seed=0, config=config, workers=cores())
            videos = sorted(Path(folder).glob("*.mp4"))
            for video in videos:
                pictures = [picture for _, picture in Frames(video, [find(BACKBONE).view])]
                np.save(_decoded(video), np.stack(pictures)[:, None])
            case, what = f"{width}x{height}", f"{width}x{height} at {fps} fps"
            shared = _Rounds(videos * size.videos, size.rounds, cores())
            yield shared.report(f"{case}.shared", f"{what}, {cores()} workers that decode and have a network")
            if cores() > 1:
                apart = _Rounds(videos * size.videos, size.rounds, 2, apart=True)
                yield apart.report(f"{case}.apart", f"{what}, decoding on one core, the network on another")
            if shutil.which("ffmpeg"):
                yield _against_reference(case, what, videos, size, shared)


def _decoded(video: Path) -> Path:
    return video.with_suffix(".npy")


class _Rounds:
    """The three stages measured, round by round.

    Attributes:
        rates: stage -> frames per second, one for each round.
    """

    def __init__(self, videos: list[Path], rounds: int, workers: int, apart: bool = False) -> None:
        self._videos, self._rounds, self._workers = videos, rounds, workers
        self._busy = dict.fromkeys(STAGES, 0.0)
        self._warm: float | None = None
        self.frames = 0
        self.rates: dict[str, list[float]] = {stage: [] for stage in STAGES}
        with ExitStack() as stack:
            barrier = stack.enter_context(multiprocessing.get_context("spawn").Manager()).Barrier(workers)
            core, service = None, None
            if apart:
                core, *_ = sorted(os.sched_getaffinity(0))
                service = stack.enter_context(_service_on(sorted(os.sched_getaffinity(0))[1]))
            self._measure(barrier, core, service)

    def _measure(self, barrier: Barrier, core: int | None, service: Address | None) -> None:
        def tasks() -> Iterator[tuple[str, _Task]]:
            for _ in range(self._rounds):
                for stage in STAGES:
                    meet = _Task(stage="meet", video=self._videos[0], barrier=barrier, core=core, service=service)
                    yield from [("meet", meet)] * self._workers
                    for video in self._videos:
                        yield stage, _Task(stage=stage, video=video, service=service)

        started = released = time.monotonic()
        arrived, frames = 0, dict.fromkeys(STAGES, 0)
        for stage, result in map_items(_work, tasks(), self._workers):
            if isinstance(result, Skip):
                raise result
            if stage == "meet":
                released, arrived = result.output, 0
                self._warm = self._warm or released - started
                continue
            seen, seconds = result.output
            arrived += 1
            frames[stage] += seen
            self._busy[stage] += seconds
            if arrived == len(self._videos):
                each = frames[stage] / (len(self.rates[stage]) + 1)
                self.rates[stage].append(each / (time.monotonic() - released))
        assert len(set(frames.values())) == 1, f"the stages saw different numbers of frames: {frames}"
        self.frames = frames["decode"] // self._rounds

    def report(self, case: str, what: str) -> Report:
        """What was measured, as ratios."""
        decode, network, whole = (self.rates[stage] for stage in STAGES)
        slower = [min(pair) for pair in zip(decode, network, strict=True)]
        summed = [1 / (1 / d + 1 / n) for d, n in zip(decode, network, strict=True)]
        alone = "the slower of decoding alone and the network alone, same frames, same workers"
        figures = [figure(f"extraction.{case}.of_slower", whole, slower, "share", alone, budget=0.85)]
        if case.endswith("shared"):
            both = "1 / (1 / decode + 1 / network): what both reach at most on the same cores"
            figures.append(figure(f"extraction.{case}.of_shared_cores", whole, summed, "share", both))
        told = ", ".join(
            f"{stage} {1000 * self._busy[stage] / self.frames / self._rounds:.1f} ms" for stage in STAGES
        )
        return Report(
            title=(
                f"extraction: {len(self._videos)} videos of {self.frames / len(self._videos):.0f} frames, {what}, "
                f"{BACKBONE}, {self._rounds} rounds"
            ),
            rates={stage: (found, "frames/s") for stage, found in self.rates.items()},
            figures=tuple(figures),
            notes=(
                f"processor time of a worker for a frame: {told}",
                f"starting took {self._warm or 0:.1f} s (processes, imports, weights, one video each)",
            ),
        )


@contextmanager
def _service_on(core: int) -> Iterator[Address]:
    """A service with one thread on one core."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"  # inherited by the service
    known = set(multiprocessing.active_children())
    try:
        with serving([BACKBONE], "cpu") as address:
            (process,) = set(multiprocessing.active_children()) - known
            for thread in Path(f"/proc/{process.pid}/task").iterdir():
                os.sched_setaffinity(int(thread.name), {core})
            yield address
    finally:
        os.environ.pop("OMP_NUM_THREADS")
        if before is not None:
            os.environ["OMP_NUM_THREADS"] = before


def _work(task: _Task) -> Result[Any]:
    """Meet: when the workers parted. Else: how many frames, and the processor time."""
    if task.stage == "meet":
        assert task.barrier is not None
        if task.core is not None:
            os.sched_setaffinity(0, {task.core})
        _warm(task.video, task.service)
        task.barrier.wait(PATIENCE)
        return Result(time.monotonic(), "")
    began = time.process_time()
    seen = _stage(task)
    return Result((seen, time.process_time() - began), "")


def _stage(task: _Task) -> int:
    if task.stage == "decode":
        return sum(1 for _ in Frames(task.video, [find(BACKBONE).view]))
    if task.stage == "network":
        frames = np.load(_decoded(task.video))
        embed = _network() if task.service is None else connect(task.service, BACKBONE)
        for first in range(0, len(frames), FRAMES_AT_ONCE):
            embed(frames[first : first + FRAMES_AT_ONCE]).astype(np.float16)
        return len(frames)
    track = extract(Job(path=task.video, backbones=(BACKBONE,), service=task.service)).output[BACKBONE]
    assert isinstance(track, Result)
    return len(track.output)


@cache
def _network() -> Network:
    return Network(find(BACKBONE), threads=1)  # as in `extract`


@cache
def _warm(video: Path, service: Address | None) -> None:
    """Once in a worker: everything imported, both copies of the network loaded and used."""
    extract(Job(path=video, backbones=(BACKBONE,), service=service))
    if service is None:
        _network()(np.zeros((1, 1, *find(BACKBONE).view.shape(1, 1), 3), np.uint8))


def _against_reference(case: str, what: str, videos: list[Path], size: Size, shared: _Rounds) -> Report:
    network = find(BACKBONE).network()
    rates = []
    _reference(videos[0], network)
    for _ in range(size.rounds):
        began = time.monotonic()
        frames = sum(_reference(video, network) for video in videos)
        rates.append(frames / (time.monotonic() - began))
    return Report(
        title=f"extraction: the released extractor's way, {what}, float32, {torch.get_num_threads()} threads",
        rates={"reference": (rates, "frames/s"), "end to end": (shared.rates["end to end"], "frames/s")},
        figures=(
            figure(
                f"extraction.{case}.times_reference",
                shared.rates["end to end"],
                rates,
                "times",
                "a video at a time, ffmpeg through a pipe, the whole video in memory, float32",
                budget=3.0,
            ),
            figure(
                f"extraction.{case}.network_allows",
                shared.rates["network"],
                rates,
                "times",
                "the same: the network alone, had decoding cost nothing",
            ),
        ),
    )


@torch.inference_mode()
def _reference(video: Path, network: torch.nn.Module) -> int:
    view = find(BACKBONE).view
    scale = f"fps={view.fps:g},scale={view.size}:{view.size}"
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-i",
        str(video),
        "-vf",
        scale,
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
        "pipe:",
    ]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    frames = torch.frombuffer(bytearray(raw), dtype=torch.uint8).reshape(-1, 1, view.size, view.size, 3)
    rows = torch.cat([network(batch) for batch in frames.split(REFERENCE_BATCH)])
    np.save(video.with_suffix(".reference.npy"), torch.nn.functional.normalize(rows, dim=1).half().numpy())
    return len(rows)
