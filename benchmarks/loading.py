"""Training batches from a pairs folder, against a loader written the way the reference is; texts to token ids.

Both draw 32 videos x 64 pairs from the same corpus, warm in the page cache. The reference hands out word
vectors in float32; `Batches` hands out token ids, so the look-up of the vectors of a batch's distinct words,
which the model does, is counted on its side, and so is bringing the rows to float32. It runs in one process
and one thread; the reference is measured in one, and, as it was used, in one worker process per core
(`DataLoader`).
"""

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, RandomSampler

from benchmarks.corpus import Corpus, texts, vocabulary, write
from benchmarks.figures import Report, cores, figure, interleaved
from benchmarks.reference_loader import ReferenceVideos
from tellvision.embedding.config import TextConfig
from tellvision.embedding.pairs import Batches, Pairs
from tellvision.embedding.text import TextTransform, offline_word_pieces, offline_word_table

REFERENCE = "whole .npy per video, a loop per clip, a dictionary look-up per word"
REFERENCE_WORD_DIM = 300


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is measured."""

    dims: tuple[int, ...] = (1280, 4096)
    """Widths of a clip's row, one case each."""
    videos: int = 128
    """Videos in the corpus."""
    clips_per_video: int = 110
    """Clips of a video."""
    videos_per_batch: int = 32
    """B."""
    pairs_per_video: int = 64
    """K."""
    epochs: int = 4
    """Epochs of ours in a round, for half a one of the reference."""
    texts: int = 50_000
    """Texts made token ids in a round; a tenth of them by the reference."""
    rounds: int = 5
    """Times that everything is measured."""


SMALLEST = Size(
    dims=(1280,), videos=4, clips_per_video=3, videos_per_batch=2, pairs_per_video=2, epochs=1, texts=20, rounds=1
)


def measure(size: Size) -> Iterator[Report]:
    """One report per width, then one for the texts."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # more would only wait for each other over rows this short, on either side
    yield from _measure(size)
    torch.set_num_threads(threads)


def _measure(size: Size) -> Iterator[Report]:
    words = vocabulary(offline_word_pieces())
    numbers = np.random.default_rng(0).standard_normal((len(words), REFERENCE_WORD_DIM), np.float32)
    vectors = dict(zip(words, numbers, strict=True))
    for dim in size.dims:
        with tempfile.TemporaryDirectory() as folder:
            corpus = write(
                Path(folder),
                dim=dim,
                num_videos=size.videos,
                clips_per_video=size.clips_per_video,
                words=words,
                seed=0,
            )
            yield _batches(corpus, dim, vectors, size)
    yield _texts(words, vectors, size)


def _batches(corpus: Corpus, dim: int, vectors: dict[str, np.ndarray], size: Size) -> Report:
    pairs = Pairs(corpus.pairs)
    tokens = TextTransform(TextConfig(), offline_word_pieces()).token_ids(pairs.table["text"].to_pylist())
    batches = Batches(
        pairs,
        tokens,
        np.asarray((tokens >= 0).any(axis=1)),
        pairs.videos,
        videos_per_batch=size.videos_per_batch,
        pairs_per_video=size.pairs_per_video,
        seed=0,
    )
    table = torch.from_numpy(offline_word_table())
    reference = ReferenceVideos(corpus, vectors, size.pairs_per_video)

    def ours(look_up: bool) -> int:
        num_pairs = 0
        for epoch in range(size.epochs):
            for batch in batches.epoch(epoch):
                torch.from_numpy(batch.clips).float()
                if look_up:
                    table[torch.unique(torch.from_numpy(batch.tokens)).clamp(min=0)]
                num_pairs += len(batch.clips)
        return num_pairs

    def loader(**options: Any) -> Callable[[], int]:
        half = RandomSampler(reference, num_samples=size.videos // 2)
        batches: Iterable[dict[str, torch.Tensor]] = DataLoader(
            reference, batch_size=size.videos_per_batch, sampler=half, **options
        )
        return lambda: sum(batch["video"].shape[0] * batch["video"].shape[1] for batch in batches)

    workers = cores()
    rates = interleaved(
        {
            "ours": _rate(lambda: ours(look_up=True)),
            "ours, without the word vectors": _rate(lambda: ours(look_up=False)),
            "reference": _rate(loader()),
            f"reference, {workers} workers": _rate(
                loader(num_workers=workers, multiprocessing_context="spawn", persistent_workers=True)
            ),
        },
        size.rounds,
    )
    alone, spread = rates["reference"], rates[f"reference, {workers} workers"]
    return Report(
        title=(
            f"loading: {size.videos} videos x {size.clips_per_video} clips, rows of {dim}, "
            f"batches of {size.videos_per_batch} x {size.pairs_per_video}, {size.rounds} rounds"
        ),
        rates={name: (found, "pairs/s") for name, found in rates.items()},
        figures=(
            figure(f"loading.{dim}.of_reference", rates["ours"], alone, "x", f"{REFERENCE}; one process", 20),
            figure(
                f"loading.{dim}.of_reference_workers",
                rates["ours"],
                spread,
                "x",
                f"{REFERENCE}; in one process per core, ours in one process",
            ),
        ),
    )


def _texts(words: list[str], vectors: dict[str, np.ndarray], size: Size) -> Report:
    lines = texts(words, size.texts, seed=1)
    transform = TextTransform(TextConfig(), offline_word_pieces())
    reference = ReferenceVideos(Corpus((), Path(), {}), vectors, 1)

    def by_reference() -> int:
        return sum(1 for line in lines[: len(lines) // 10] if reference.words(line) is not None)

    rates = interleaved(
        {"token ids": _rate(lambda: len(transform.token_ids(lines))), "reference": _rate(by_reference)},
        size.rounds,
    )
    baseline = "a dictionary look-up per word into a block of (20, 300) per text"
    return Report(
        title=f"loading: {size.texts} texts of 4 to 16 words, {size.rounds} rounds",
        rates={name: (found, "texts/s") for name, found in rates.items()},
        figures=(figure("loading.texts.of_reference", rates["token ids"], rates["reference"], "x", baseline),),
        notes=("token ids are made once per training run, the reference looks words up whenever a pair is drawn",),
    )


def _rate(work: Callable[[], int]) -> Callable[[], float]:
    """Turns work that says how much it did into a measure of how much per second."""

    def measure() -> float:
        began = time.perf_counter()
        done = work()
        return done / (time.perf_counter() - began)

    return measure
