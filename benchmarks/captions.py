"""Caption files to clips: how many a second, how much memory, and what merely reading them with webvtt-py costs.

The files are made in YouTube's rolling automatic form, two lines that roll with a time per word, of the mean
length of the paper's videos, and go through `tellvision import` and `tellvision clips`.
"""

import contextlib
import itertools
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.corpus import vocabulary
from benchmarks.figures import Figure, Report, figure
from tellvision.embedding.text import offline_word_pieces
from tellvision.store import read_manifest

SECONDS = 390  # of a video (paper)
WORDS_PER_LINE = 7
ALL = 1_220_000  # videos of the paper


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is measured.

    Attributes:
        files: caption files.
        fewer: caption files of the run that shows whether memory grows with their number.
        read: of them, files that webvtt-py reads in a round.
        rounds: that are measured.
        workers: processes.
    """

    files: int = 20_000
    fewer: int = 2_000
    read: int = 150
    rounds: int = 3
    workers: int = 2


SMALLEST = Size(files=60, fewer=30, read=5, rounds=1, workers=0)


def measure(size: Size) -> list[Report]:
    """Files and pairs per second of the two stages, peak memory, and the ratio to webvtt-py."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        files = write(folder / "captions", size.files)
        write(folder / "few", size.fewer)
        runs = [cut(folder / "captions", folder / f"work{n}", size.workers) for n in range(size.rounds)]
        small = cut(folder / "few", folder / "few.work", size.workers)
        mean = sum(path.stat().st_size for path in files) / len(files)
        reading = [read(files[n :: len(files) // size.read][: size.read]) for n in range(size.rounds)]
    rates = [size.files / run["seconds"] for run in runs]
    cutting = [1 - run["captions"] / run["seconds"] for run in runs]
    peak = max(run["peak_mb"] for run in runs)
    hours = ALL / (sorted(rates)[len(rates) // 2] * 3600)
    growth = (peak - small["peak_mb"]) * 1e6 / (size.files - size.fewer)
    figures = (
        figure(
            "captions.files",
            rates,
            reading,
            f"times, with {size.workers} processes",
            "webvtt-py reading the same files in one process, and making no clips",
        ),
        Figure(
            name="captions.hour",
            value=1 / hours,
            low=min(rates) * 3600 / ALL,
            high=max(rates) * 3600 / ALL,
            unit="of the 1.22 million files in an hour",
            baseline="the paper's corpus on this machine",
            budget=1.0,
        ),
    )
    return [
        Report(
            title=f"captions: {size.files:,} rolling files of {mean / 1e3:.0f} KB, read and cut into clips",
            rates={
                "files": (rates, "files/s"),
                "pairs": ([run["clips"] / run["seconds"] for run in runs], "pairs/s"),
                "webvtt-py": (reading, "files/s"),
                "peak memory of a process": ([run["peak_mb"] for run in runs], "MB"),
                f"peak memory with {size.fewer:,} files": ([small["peak_mb"]], "MB"),
            },
            figures=figures,
            notes=(
                f"memory grows by {growth:,.0f} bytes a file; 1.22 million files would take {hours:.2f} hours",
                f"{runs[0]['clips']:,.0f} clips; {cutting[0]:.0%} of the time cuts them",
            ),
        )
    ]


def write(folder: Path, count: int) -> list[Path]:
    """`count` rolling WebVTT files, each of other words."""
    folder.mkdir()
    words = [word for word in vocabulary(offline_word_pieces()) if len(word) > 1]
    paths = []
    for number in range(count):
        path = folder / f"v{number:07d}.en.vtt"
        path.write_text(rolling(words, random.Random(number)), encoding="utf-8")
        paths.append(path)
    return paths


def rolling(words: list[str], rng: random.Random) -> str:
    """A file as YouTube writes it: each line in three cues, the words of the new one with their times."""
    lines = ["WEBVTT", "Kind: captions", "Language: en", ""]
    common = list(itertools.accumulate(1 / (n + 10) for n in range(len(words))))  # as words are in a language
    at, length, before = 0.0, SECONDS * rng.uniform(0.4, 1.6), " "
    while at < length:
        said = rng.choices(words, cum_weights=common, k=WORDS_PER_LINE)
        step = rng.uniform(0.3, 0.65)  # so that a video has 110 lines in the mean (paper)
        ends = at + step * WORDS_PER_LINE
        timed = said[0] + "".join(f"<{_stamp(at + step * n)}><c> {word}</c>" for n, word in enumerate(said[1:], 1))
        plain = " ".join(said)
        place = "align:start position:0%"
        lines += [f"{_stamp(at)} --> {_stamp(ends - 0.01)} {place}", before, timed, ""]
        lines += [f"{_stamp(ends - 0.01)} --> {_stamp(ends)} {place}", plain, " ", ""]
        at, before = ends + (rng.uniform(1, 4) if rng.random() < 0.1 else 0.0), plain
    return "\n".join(lines)


def _stamp(seconds: float) -> str:
    ms = round(seconds * 1000)
    return f"{ms // 3_600_000:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d}.{ms % 1000:03d}"


def cut(folder: Path, work: Path, workers: int) -> dict[str, float]:
    """Seconds of the two commands, clips, and the largest peak memory of one of their processes, in MB."""
    seconds, peaks = [], []
    for words in (["import", str(folder), "--out", str(work)], ["clips", str(work)]):
        call = [sys.executable, "-m", "tellvision", *words, "--workers", str(workers)]
        began = time.perf_counter()
        process = psutil.Popen(call, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None:
            peaks.append(_largest(process))
            time.sleep(0.05)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, call)
        seconds.append(time.perf_counter() - began)
    clips = read_manifest(work / "clips" / "main")["counts"]["rows"]
    return {"seconds": sum(seconds), "captions": seconds[0], "clips": clips, "peak_mb": max(peaks)}


def _largest(process: psutil.Popen) -> float:
    """Memory in MB of a process or of its largest worker; looked up: a fork tells its parent's peak as its own."""
    sizes = [0.0]
    with contextlib.suppress(psutil.NoSuchProcess):  # they end when they like
        sizes += [one.memory_info().rss / 1e6 for one in (process, *process.children(recursive=True))]
    return max(sizes)


def read(files: list[Path]) -> float:
    """Files per second that webvtt-py reads."""
    import webvtt

    began = time.perf_counter()
    for path in files:
        webvtt.read(str(path))
    return len(files) / (time.perf_counter() - began)
