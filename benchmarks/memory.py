"""Training on ten million pooled clips: the memory it takes besides the page cache.

A pairs folder of that size is written to the temporary folder (11 GB; TMPDIR says where, a disk and not memory)
and taken away afterwards. A process of its own opens it, makes the token ids of all texts, and trains. Meanwhile
its RssAnon and RssShmem in /proc are read twenty times a second; their largest sum is the figure. VmHWM would say
something else: it counts the pages of mapped files, which the system takes back whenever it likes.
"""

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.corpus import texts, vocabulary
from benchmarks.figures import Report, figure
from tellvision.embedding.batches import DataSet, Pooled, prepared
from tellvision.embedding.config import ModelConfig, Track, TrainConfig
from tellvision.embedding.model import TextVideoModel
from tellvision.embedding.pairs import PAIRS, Pairs, PairWriter, VideoPairs
from tellvision.embedding.text import offline_word_pieces
from tellvision.embedding.train import train

BUDGET = 4e9  # bytes
LINES = 2000  # that are said again and again: how many there are does not matter to the memory
AT_ONCE = 256  # videos on disk together


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is measured."""

    clips: int = 10_000_000
    """Clips in the store."""
    dim: int = 512
    """Width of a clip's row, and of the joint space."""
    clips_per_video: int = 110
    """Clips of a video."""
    batches: int = 200
    """Batches of 32 x 64 pairs that are trained on."""


SMALLEST = Size(clips=400, dim=16, batches=2)


class _EnoughError(Exception):
    """As many batches as were asked for."""


def measure(size: Size) -> Iterator[Report]:
    """One report."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        need, free = size.clips * (2 * size.dim + 150), shutil.disk_usage(folder).free
        if free < need:
            sys.exit(
                f"{folder} has {free / 1e9:.0f} GB free, {need / 1e9:.0f} GB are needed: TMPDIR names another"
            )
        began = time.perf_counter()
        _write(folder / "pairs", size)
        written = time.perf_counter() - began
        peak, told = _watched(folder, size)
    rates = {
        "writing the store": ([written], "s"),
        "opening the store": ([told["open"]], "s"),
        "token ids of all texts": ([told["texts"]], "s"),
        "peak, the store open": ([told["opened"] / 1e6], "MB"),
        "peak": ([peak / 1e6], "MB"),
        "trained on": ([told["pairs_per_second"]], "pairs/s"),
    }
    yield Report(
        title=f"memory: {size.clips} clips of width {size.dim}, {size.batches} batches",
        rates=rates,
        figures=(
            figure("memory.training", [BUDGET], [peak], "x", "peak memory besides the page cache, of 4 GB", 1),
        ),
    )


def _write(folder: Path, size: Size) -> None:
    """A pairs folder: every video shows the same random rows."""
    said = texts(vocabulary(offline_word_pieces()), LINES, seed=0)
    rows = np.random.default_rng(0).random((size.clips_per_video, size.dim), np.float32)
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)
    writer, videos = PairWriter(folder, size.dim), set()
    writer.open({})
    for first in range(0, size.clips, size.clips_per_video):
        count = min(size.clips_per_video, size.clips - first)
        video = f"video{first // size.clips_per_video:07d}"
        starts = np.arange(count) * 3.5
        columns = [
            pa.array([f"{video}/{n}" for n in range(count)]),
            pa.array([video] * count),
            pa.array(starts),
            pa.array(starts + 5),
            pa.array([said[(first + n) % LINES] for n in range(count)]),
        ]
        writer.append(video, "", VideoPairs(pa.table(columns, schema=PAIRS), rows[:count]))
        videos.add(video)
        if len(videos) % AT_ONCE == 0:
            writer.commit()
    writer.commit()
    writer.close(videos)
    writer.release()


def _watched(folder: Path, size: Size) -> tuple[int, dict[str, float]]:
    """Train in a process of its own; its largest memory in bytes, and what it told."""
    command = [sys.executable, "-m", "benchmarks.memory", str(folder), str(size.batches)]
    peak = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            peak = max(peak, _resident(process.pid))
            time.sleep(0.05)
        assert process.stdout is not None
        told = process.stdout.read()
    if process.returncode:
        sys.exit(f"training failed with status {process.returncode}")
    return peak, json.loads(told.splitlines()[-1])


def _resident(process: int | str) -> int:
    """Bytes of a process that are in memory and no pages of a file."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
    return sum(1024 * int(lines.get(name, "0 kB").split()[0]) for name in ("RssAnon", "RssShmem"))


def _train(folder: Path, batches: int) -> dict[str, float]:
    """Open the store, prepare its texts, train on some batches."""
    began = time.perf_counter()
    pairs = Pairs(folder / "pairs")
    told = {"open": time.perf_counter() - began, "opened": _resident("self")}
    config = TrainConfig(epochs=max(1, batches), watch=0)
    model = TextVideoModel.new(
        ModelConfig(tracks=(Track(name="made", fps=1.0, dim=pairs.dim),), dim=pairs.dim), seed=0
    )
    began = time.perf_counter()
    width, kind = model.input_width, model.input_dtype
    inputs, usable = prepared(pairs, model.prepare, width, kind, folder / "texts", pairs.content)
    told["texts"] = time.perf_counter() - began
    one = DataSet(source=Pooled(pairs), texts=inputs, usable=usable, videos=pairs.videos)

    def tell(done: int, total: int, measured: dict[str, float]) -> None:
        if done >= min(batches, total):
            told["pairs_per_second"] = measured["pairs_per_second"]
            raise _EnoughError

    with contextlib.suppress(_EnoughError):
        train([one], model, config, folder / "run", tell=tell)
    return told


if __name__ == "__main__":
    print(json.dumps(_train(Path(sys.argv[1]), int(sys.argv[2]))))
