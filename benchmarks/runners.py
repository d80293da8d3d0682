"""What a runner costs per item: in this process, in processes, on Ray, with work that takes no time.

An item is what a video is: a path and a few settings there, a track (150, 1280) float16 back, 384 kB. The
work is to hand over a track that lies in memory, so that what is measured is the way: pickling, the pipe or
Ray's store, the scheduler. Workers start before the clock does, and end after it.
"""

import importlib.util
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np

from benchmarks.figures import Report, cores, figure, interleaved
from tellvision.records import Skip
from tellvision.runners import Cluster, Result, map_items

VIDEO_SECONDS = 10.0  # of one core's work on a short video: what a cost is compared with
PATIENCE = 120.0  # seconds in which all workers have to be there


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is measured."""

    items: int = 500
    """Items per round."""
    shape: tuple[int, int] = (150, 1280)
    """Of a track: rows, columns."""
    rounds: int = 5
    """Times that everything is measured."""


SMALLEST = Size(items=8, shape=(2, 8), rounds=1)


@dataclass(frozen=True)
class _Job:
    """As a video's job, but no video is opened for it."""

    path: Path
    backbone: str
    shape: tuple[int, int]
    meet: int = 0  # workers that have to leave a file at `path` before this one is done


def measure(size: Size) -> Iterator[Report]:
    """One report."""
    runners: dict[str, int | Cluster] = {"in_process": 0, "processes": cores()}
    if importlib.util.find_spec("ray"):
        runners["ray"] = Cluster(workers=cores())
    rates = interleaved({name: partial(_rate, runner, size) for name, runner in runners.items()}, size.rounds)
    costs = {name: [1 / rate for rate in found] for name, found in rates.items()}
    rows, columns = size.shape
    yield Report(
        title=f"runners: {size.items} items, a track ({rows}, {columns}) float16 for each, {cores()} workers",
        rates={name: (found, "items/s") for name, found in rates.items()},
        figures=tuple(
            figure(
                f"runners.{name}.cost",
                cost,
                [VIDEO_SECONDS] * size.rounds,
                "share",
                f"{VIDEO_SECONDS:g} s of work on a video, to which an item adds so much",
            )
            for name, cost in costs.items()
        ),
        notes=(
            "cost of an item: " + ", ".join(f"{name} {1000 * min(cost):.2f} ms" for name, cost in costs.items()),
        )
        + (() if "ray" in runners else ("Ray is not installed: pip install 'tellvision[ray]'",)),
    )


def _rate(runner: int | Cluster, size: Size) -> float:
    workers = 1 if runner == 0 else cores()
    with tempfile.TemporaryDirectory() as folder:
        meetings = [("meet", _Job(Path(folder), "", size.shape, workers))] * workers
        jobs = [
            ("item", _Job(Path(folder, f"{n}.mp4"), "efficientnet-lite0", size.shape)) for n in range(size.items)
        ]
        started = ended = 0.0
        for name, result in map_items(_work, iter(meetings + jobs), runner):
            if isinstance(result, Skip):
                raise result
            ended = time.perf_counter()
            if name == "meet":
                started = ended
        return size.items / (ended - started)


def _work(job: _Job) -> Result[np.ndarray]:
    if job.meet:
        (job.path / str(os.getpid())).touch()
        until = time.monotonic() + PATIENCE
        while len(os.listdir(job.path)) < job.meet:
            assert time.monotonic() < until, "the other workers did not come"
            time.sleep(0.001)
    return Result(_track(job.shape), "00000000")


@cache
def _track(shape: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(0).random(shape).astype(np.float16)
