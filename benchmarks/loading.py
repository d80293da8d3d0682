"""Training batches from a pairs folder and from tracks, against a loader written the way the reference is.

Both draw 32 videos x 64 pairs from the same corpus, warm in the page cache and with the pages of their files
dropped from it first (`posix_fadvise`). The reference hands out word vectors in float32; `feed` hands out the
distinct token ids of a batch and where they stand, so the look-up of their vectors, which the model does, is
counted on its side, and so is bringing the rows to float32. It runs in one process, a thread of it in the
background; the reference is measured in one, and, as it was used, in one worker process per core (`DataLoader`).
"""

import mmap
import os
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
from tellvision.embedding.batches import Batches, DataSet, Pooled, Spans, feed, prepared
from tellvision.embedding.config import TextConfig
from tellvision.embedding.pairs import Pairs
from tellvision.embedding.text import TextTransform, offline_word_pieces, offline_word_table
from tellvision.store import ArrayReader

REFERENCE = "whole .npy per video, a loop per clip, a dictionary look-up per word"
REFERENCE_WORD_DIM = 300


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is measured."""

    dims: tuple[int, ...] = (1280, 4096)
    """Widths of a clip's row, one case each."""
    videos: int = 256
    """Videos in the corpus."""
    clips_per_video: int = 110
    """Clips of a video."""
    videos_per_batch: int = 32
    """B."""
    pairs_per_video: int = 64
    """K."""
    epochs: int = 8
    """Epochs of pooled clips in a warm round, for a quarter of them from tracks and a quarter of one of the
    reference; with the pages dropped each side reads its files once."""
    texts: int = 50_000
    """Texts made token ids in a round; a tenth of them by the reference."""
    rounds: int = 5
    """Times that everything is measured."""


SMALLEST = Size(
    dims=(1280,), videos=4, clips_per_video=3, videos_per_batch=2, pairs_per_video=2, epochs=1, texts=20, rounds=1
)


def measure(size: Size) -> Iterator[Report]:
    """Two reports per width, warm and with the pages dropped, then one for the texts."""
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
            os.sync()  # a page that is not written yet cannot be dropped
            ours = _Ours(corpus, Path(folder), size)
            reference = ReferenceVideos(corpus, vectors, size.pairs_per_video)
            yield _warm(ours, reference, dim, size)
            yield _dropped(ours, reference, dim, size)
    yield _texts(words, vectors, size)


class _Ours:
    """The batches of both kinds over one corpus."""

    def __init__(self, corpus: Corpus, folder: Path, size: Size) -> None:
        self._pairs = Pairs(corpus.pairs)
        self._tracks = [(ArrayReader(store), fps) for fps, store in corpus.stores]
        transform = TextTransform(TextConfig(), offline_word_pieces())
        width = TextConfig().max_words
        self._texts, usable = prepared(self._pairs, transform.token_ids, width, "int32", folder / "texts", "")
        self._table = torch.from_numpy(offline_word_table())

        def drawn(source: Pooled | Spans) -> Batches:
            one = DataSet(source=source, texts=self._texts, usable=usable, videos=self._pairs.videos)
            return Batches(
                [one], videos_per_batch=size.videos_per_batch, pairs_per_video=size.pairs_per_video, seed=0
            )

        self._floats = torch.empty(size.videos_per_batch * size.pairs_per_video, self._pairs.dim)
        self.pooled, self.spans = drawn(Pooled(self._pairs)), drawn(Spans(self._pairs, self._tracks))

    def run(self, batches: Batches, epochs: int, look_up: bool = True) -> int:
        """Load some epochs; how many pairs that were."""
        num_pairs, floats = 0, self._floats
        with feed(batches, epochs=epochs) as fed:
            for batch in fed:
                floats[: len(batch.clips)].copy_(batch.clips)
                if look_up:
                    assert batch.distinct is not None
                    self._table[batch.distinct]
                num_pairs += len(batch.clips)
        return num_pairs

    def unmap(self) -> None:
        """Take the pages out of this process, which would else keep them in the page cache."""
        for video in self._pairs.videos:
            for rows in (self._pairs.rows(video), *(reader[video] for reader, _ in self._tracks)):
                _map_of(rows).madvise(mmap.MADV_DONTNEED)
        _map_of(self._texts).madvise(mmap.MADV_DONTNEED)


def _map_of(rows: np.ndarray) -> mmap.mmap:
    whole: Any = rows
    while isinstance(whole, np.ndarray):
        whole = whole.base
    assert isinstance(whole, mmap.mmap)
    return whole


def _drop(folders: Iterable[Path]) -> None:
    """Drop the pages of all files below from the page cache."""
    for path in (path for folder in folders for path in folder.rglob("*") if path.is_file()):
        handle = os.open(path, os.O_RDONLY)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


def _warm(ours: _Ours, reference: ReferenceVideos, dim: int, size: Size) -> Report:
    workers = cores()
    fewer = max(1, size.epochs // 4)
    rates = interleaved(
        {
            "pooled": _rate(lambda: ours.run(ours.pooled, size.epochs)),
            "pooled, without the word vectors": _rate(lambda: ours.run(ours.pooled, size.epochs, look_up=False)),
            "spans of tracks": _rate(lambda: ours.run(ours.spans, fewer)),
            "reference": _rate(_loader(reference, size)),
            f"reference, {workers} workers": _rate(_in_workers(reference, size)),
        },
        size.rounds,
    )
    return _report(rates, dim, size, "warm", f"{workers} workers")


def _dropped(ours: _Ours, reference: ReferenceVideos, dim: int, size: Size) -> Report:
    """Every page that is read comes from the disk, once."""
    folders = (reference.corpus.pairs.parent,)

    def cold(work: Callable[[], int]) -> Callable[[], float]:
        def measure() -> float:
            ours.unmap()
            _drop(folders)
            return _rate(work)()

        return measure

    rates = interleaved(
        {
            "pooled": cold(lambda: ours.run(ours.pooled, 1)),
            "spans of tracks": cold(lambda: ours.run(ours.spans, 1)),
            "reference": cold(_loader(reference, size)),
        },
        size.rounds,
    )
    return _report(rates, dim, size, "pages dropped")


def _loader(reference: ReferenceVideos, size: Size, **options: Any) -> Callable[[], int]:
    some = RandomSampler(reference, num_samples=max(1, size.videos // 4))
    batches: Iterable[dict[str, torch.Tensor]] = DataLoader(
        reference, batch_size=size.videos_per_batch, sampler=some, **options
    )
    return lambda: sum(batch["video"].shape[0] * batch["video"].shape[1] for batch in batches)


def _in_workers(reference: ReferenceVideos, size: Size) -> Callable[[], int]:
    options = {"num_workers": cores(), "multiprocessing_context": "spawn", "persistent_workers": True}
    return _loader(reference, size, **options)


def _report(rates: dict[str, list[float]], dim: int, size: Size, how: str, workers: str | None = None) -> Report:
    case = f"loading.{dim}.{how.replace(' ', '_')}"
    alone = rates["reference"]
    figures = [
        figure(f"{case}.of_reference", rates["pooled"], alone, "x", f"{REFERENCE}; one process", 20),
        figure(f"{case}.spans.of_reference", rates["spans of tracks"], alone, "x", f"{REFERENCE}; one process"),
    ]
    if workers:
        baseline = f"{REFERENCE}; in one process per core, ours in one process"
        spread = rates[f"reference, {workers}"]
        figures.append(figure(f"{case}.of_reference_workers", rates["pooled"], spread, "x", baseline))
    return Report(
        title=(
            f"loading, {how}: {size.videos} videos x {size.clips_per_video} clips, rows of {dim}, "
            f"batches of {size.videos_per_batch} x {size.pairs_per_video}, {size.rounds} rounds"
        ),
        rates={name: (found, "pairs/s") for name, found in rates.items()},
        figures=tuple(figures),
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
