"""The clips of a work folder as a model sees them: their pooled rows, or, for one that reads steps, their tracks.

Reads pairs and tracks; writes vectors. Whatever measures or indexes clips asks here.
"""

from collections.abc import Collection, Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from tellvision.embedding.batches import Spans
from tellvision.embedding.checkpoint import Model
from tellvision.embedding.config import StepsConfig, Track
from tellvision.embedding.frozen import FrozenPair
from tellvision.embedding.pairs import Pairs
from tellvision.store import ArrayReader, read_manifest
from tellvision.vision.extractors import folder_of

BLOCK = 1024  # clips whose steps are held at a time


class Seen:
    """The clips of `pairs/NAME`, and the tracks that they were joined from.

    Args:
        work: work folder.
        name: of the artefacts.

    Attributes:
        pairs: the clips.
        tracks: what their rows are joined from, in this order.
    """

    def __init__(self, work: Path, name: str = "main") -> None:
        self.pairs = Pairs(work / "pairs" / name)
        self.tracks = tuple(Track(**track) for track in read_manifest(work / "pairs" / name)["config"]["tracks"])
        self._features = work / "features" / name

    @cached_property
    def readers(self) -> list[tuple[ArrayReader, float]]:
        """The tracks themselves and their steps per second, opened when first asked for."""
        return [(ArrayReader(self._features / folder_of(track.name)), track.fps) for track in self.tracks]

    def vectors(self, model: Model, videos: Collection[str]) -> tuple[pa.Table, np.ndarray]:
        """Clips of some videos in the order of the table, and their vectors (n, d) float32 of unit length."""
        table, rows = self.pairs.select(videos)
        if isinstance(model, FrozenPair) or model.config.steps is None:
            return table, model.embed_clips(rows)
        clips = self.numbers(videos)
        places = np.searchsorted(self.pairs.offsets, clips, side="right") - 1
        parts = [model.embed_clips(steps, mask) for steps, mask in self._steps(model.config.steps, places, clips)]
        return table, np.concatenate(parts) if parts else np.zeros((0, model.config.dim), np.float32)

    def numbers(self, videos: Collection[str]) -> np.ndarray:
        """(n,) int64, the clips of some videos by their numbers in the table."""
        wanted = set(videos)
        places = [place for place, video in enumerate(self.pairs.videos) if video in wanted]
        first, last = self.pairs.offsets[places], self.pairs.offsets[[place + 1 for place in places]]
        return np.concatenate(
            [np.arange(a, b) for a, b in zip(first, last, strict=True)] or [np.empty(0, np.int64)]
        )

    def _steps(
        self, config: StepsConfig, places: np.ndarray, clips: np.ndarray
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Some clips at a time: (n, L, D) float16 steps, and (n, L) bool which of them count."""
        spans = Spans(self.pairs, self.readers, steps=config)
        for start in range(0, len(clips), BLOCK):
            there = slice(start, start + BLOCK)
            steps = np.empty((len(clips[there]), *spans.shape), np.float16)
            counts = spans.fill(places[there], clips[there], None, steps)
            assert counts is not None
            yield steps, np.arange(spans.shape[0]) < counts[:, None]
