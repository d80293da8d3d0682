"""Clips read from the track store, against the `.npy` file per video in which the paper's features came.

Videos of the corpus's sizes, one track of 2,048 half floats a second, warm in the page cache. A clip is read
when its rows lie in an array of their own; pooling them is the same on all sides and left out. `clips`
reads a random clip of a random video at a time, as a sampler of clips does; `videos` reads all clips of a
random video in a row, as pooling a corpus does, with the file opened once.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.corpus import SECONDS
from benchmarks.figures import Report, figure, interleaved
from tellvision.howto100m.features import write_tracks
from tellvision.records import rows_of
from tellvision.store import ArrayReader, ArrayWriter, find_place

DIM, FPS = 2048, 1.0
Track = Callable[[str], np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is measured."""

    videos: int = 128
    """Videos in the store."""
    clips_per_video: int = 110
    """Clips of a video."""
    clips: int = 3_000
    """Random clips in a round; a tenth of them where every clip costs a whole file."""
    read: int = 128
    """Videos read clip by clip in a round."""
    rounds: int = 7
    """Times that everything is measured."""


SMALLEST = Size(videos=3, clips_per_video=4, clips=30, read=3, rounds=1)


def measure(size: Size) -> Iterator[Report]:
    """One report for clips alone, one for whole videos."""
    with tempfile.TemporaryDirectory() as folder:
        names = [f"video{n:05d}" for n in range(size.videos)]
        _write(Path(folder), names)
        rng = np.random.default_rng(0)
        starts = np.sort(rng.uniform(0, SECONDS - 10, (size.videos, size.clips_per_video)))
        clips = {
            name: [(float(start), float(start + length)) for start, length in zip(row, lengths, strict=True)]
            for name, row, lengths in zip(names, starts, rng.uniform(5, 8, starts.shape), strict=True)
        }
        plain, checked = ArrayReader(Path(folder) / "store"), ArrayReader(Path(folder) / "store", check=True)
        sides: dict[str, Track] = {
            "store": plain.__getitem__,
            "store, checksums looked at": checked.__getitem__,
            "npy, whole": lambda name: np.load(Path(folder) / "npy" / f"{name}.npy"),
            "npy, mapped": lambda name: np.load(Path(folder) / "npy" / f"{name}.npy", mmap_mode="r"),
        }
        what = f"{size.videos} videos of {SECONDS} x {DIM} half floats"
        yield _clips(sides, clips, size, what)
        yield _videos(sides, clips, size, what)


def _write(folder: Path, names: list[str]) -> None:
    """The same tracks as a store and as `.npy` files."""
    rng = np.random.default_rng(0)
    writer = ArrayWriter(folder / "store", DIM)
    writer.open({})
    for name in names:
        writer.append(name, "", rng.standard_normal((int(SECONDS * FPS), DIM), np.float32).astype(np.float16))
    writer.commit()
    writer.close(names)
    writer.release()
    reader = ArrayReader(folder / "store")
    write_tracks(find_place(folder / "npy"), ((name, reader[name]) for name in names))


def _read(track: np.ndarray, start: float, end: float) -> np.ndarray:
    return np.array(track[rows_of(start, end, FPS, len(track))])


def _clips(sides: dict[str, Track], clips: dict[str, list[tuple[float, float]]], size: Size, what: str) -> Report:
    rng = np.random.default_rng(1)
    names = list(clips)
    drawn = [
        (names[v], clips[names[v]][c])
        for v, c in rng.integers((size.videos, size.clips_per_video), size=(size.clips, 2))
    ]

    def measured(track: Track, wanted: list[tuple[str, tuple[float, float]]]) -> Callable[[], float]:
        def measure() -> float:
            began = time.perf_counter()
            for name, (start, end) in wanted:
                _read(track(name), start, end)
            return len(wanted) / (time.perf_counter() - began)

        return measure

    dear = ("npy, whole", "store, checksums looked at")  # each reads a whole track for a clip
    rates = interleaved(
        {
            side: measured(track, drawn[: len(drawn) // 10] if side in dear else drawn)
            for side, track in sides.items()
        },
        size.rounds,
    )
    return _report(f"store: random clips, {what}", "clips", rates)


def _videos(sides: dict[str, Track], clips: dict[str, list[tuple[float, float]]], size: Size, what: str) -> Report:
    drawn = np.random.default_rng(2).choice(list(clips), size.read).tolist()

    def measured(track: Track) -> Callable[[], float]:
        def measure() -> float:
            began = time.perf_counter()
            for name in drawn:
                rows = track(name)
                for start, end in clips[name]:
                    _read(rows, start, end)
            return len(drawn) * size.clips_per_video / (time.perf_counter() - began)

        return measure

    rates = interleaved({side: measured(track) for side, track in sides.items()}, size.rounds)
    return _report(f"store: all {size.clips_per_video} clips of random videos, {what}", "videos", rates)


def _report(title: str, case: str, rates: dict[str, list[float]]) -> Report:
    return Report(
        title=title,
        rates={side: (found, "clips/s") for side, found in rates.items()},
        figures=(
            figure(
                f"store.{case}.of_npy", rates["store"], rates["npy, whole"], "x", "np.load of the video's file"
            ),
            figure(
                f"store.{case}.of_npy_mapped",
                rates["store"],
                rates["npy, mapped"],
                "x",
                'np.load of the video\'s file with mmap_mode="r"',
            ),
        ),
    )
