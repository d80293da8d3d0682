"""Loading and learning together, against the slower of the two alone.

The loop's own parts: batches fed from a pairs folder in the background while the step before is computed. On a
GPU the rows travel through pinned memory; the figure that counts there is the number of pairs per second fed.
"""

import itertools
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.corpus import vocabulary, write
from benchmarks.figures import Report, figure, interleaved
from benchmarks.step import Case
from tellvision.embedding.batches import Batch, Batches, DataSet, Pooled, feed, prepared
from tellvision.embedding.config import ModelConfig, Track, TrainConfig
from tellvision.embedding.loop.steps import keep_freed_memory, optimizer_of, precision_of, take_step
from tellvision.embedding.model import TextVideoModel
from tellvision.embedding.pairs import Pairs
from tellvision.embedding.text import offline_word_pieces
from tellvision.embedding.train import Trained


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is measured."""

    cases: tuple[Case, ...] = (Case(dim=512, video_dim=1280), Case(dim=1024))
    """On the CPU."""
    gpu_cases: tuple[Case, ...] = tuple(
        Case(dim=dim, videos=videos) for dim in (4096, 6144) for videos in (32, 128)
    )
    """On a CUDA device, where there is one."""
    videos: int = 256
    """Videos in the corpus."""
    clips_per_video: int = 110
    """Clips of a video."""
    batches: int = 6
    """Of a round on the CPU."""
    gpu_batches: int = 100
    """Of a round on a GPU."""
    rounds: int = 5
    """Times that everything is measured."""


_SMALL = Case(dim=8, video_dim=1280, videos=2, pairs_per_video=2)
SMALLEST = Size(
    cases=(_SMALL,), gpu_cases=(_SMALL,), videos=4, clips_per_video=3, batches=2, gpu_batches=2, rounds=1
)


def measure(size: Size) -> Iterator[Report]:
    """One report per device and case."""
    keep_freed_memory()
    devices = [(torch.device("cpu"), size.cases, size.batches)]
    if torch.cuda.is_available():
        devices.append((torch.device("cuda"), size.gpu_cases, size.gpu_batches))
    for device, cases, batches in devices:
        for case in cases:
            with tempfile.TemporaryDirectory() as folder:
                yield _case(case, device, batches, size, Path(folder))


def _case(case: Case, device: torch.device, count: int, size: Size, folder: Path) -> Report:
    words = vocabulary(offline_word_pieces())
    corpus = write(
        folder,
        dim=case.video_dim,
        num_videos=size.videos,
        clips_per_video=size.clips_per_video,
        words=words,
        seed=0,
    )
    config = TrainConfig()
    pairs = Pairs(corpus.pairs)
    track = Track(name="random", fps=1.0, dim=case.video_dim)
    model = TextVideoModel.new(ModelConfig(tracks=(track,), dim=case.dim), seed=0)
    inputs, usable = prepared(
        pairs, model.prepare, model.input_width, model.input_dtype, folder / "texts.bin", "benchmark"
    )
    batches = Batches(
        [DataSet(source=Pooled(pairs), texts=inputs, usable=usable, videos=pairs.videos)],
        videos_per_batch=case.videos,
        pairs_per_video=case.pairs_per_video,
        seed=0,
    )
    trained = Trained(model.train(), config).to(device)
    optimizer, kind = optimizer_of(trained, config), precision_of(config, device)

    def learn(batch: Batch) -> None:
        with torch.autocast(device.type, kind, kind != torch.float32):
            loss = trained(batch)
        loss.backward()
        take_step(optimizer, trained, config.learning_rate, None)

    rounds = itertools.count()

    def fed(work: Callable[[Batch], object]) -> Callable[[], float]:
        """Pairs per second, once batches have begun to come."""

        def measure() -> float:
            with feed(batches, start=(next(rounds), 0), epochs=1 << 30, device=device) as batches_fed:
                work(next(batches_fed))
                _wait(device)
                began, num_pairs = time.perf_counter(), 0
                for batch in itertools.islice(batches_fed, count):
                    work(batch)
                    num_pairs += len(batch.video)
                _wait(device)
                return num_pairs / (time.perf_counter() - began)

        return measure

    def alone() -> float:
        with feed(batches, epochs=1, device=device) as batches_fed:
            batch = next(batches_fed)
            learn(batch)
            _wait(device)
            began = time.perf_counter()
            for _ in range(count):
                learn(batch)
            _wait(device)
            return count * len(batch.video) / (time.perf_counter() - began)

    rates = interleaved({"loading": fed(lambda batch: batch), "steps": alone, "together": fed(learn)}, size.rounds)
    slower = [min(pair) for pair in zip(rates["loading"], rates["steps"], strict=True)]
    return Report(
        title=(
            f"training: d = {case.dim}, rows of {case.video_dim} from a pairs folder, "
            f"{case.videos} x {case.pairs_per_video} pairs, on {device.type}, {size.rounds} rounds"
        ),
        rates={name: (found, "pairs/s") for name, found in rates.items()},
        figures=(
            figure(
                f"training.{case.name}.{device.type}.of_slower",
                rates["together"],
                slower,
                "share",
                "the slower of loading alone and steps alone",
                0.95,
            ),
        ),
        notes=_storage(rates["together"], case),
    )


def _storage(rates: list[float], case: Case) -> tuple[str, ...]:
    """What a disk has to deliver where the clips are more than memory holds."""
    speed = sorted(rates)[len(rates) // 2]
    return (f"at this speed a disk would have to deliver {speed * case.video_dim * 2 / 1e9:.2f} GB/s of rows",)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
