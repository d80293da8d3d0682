"""Clips and tracks -> pairs: one pooled row per clip beside what is said; from pairs, training batches.

    pairs/NAME/   shard-*.bin, index.jsonl (one row per clip, a video's rows together), table.parquet
                  (clip_id, video_id, start, end, text: row by row the same clips)

A batch is B videos x K pairs drawn with replacement (paper, section 4.2), so that every pair meets
negatives from its own video.
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tellvision.records import Skip
from tellvision.runners import Result
from tellvision.store import ArrayReader, ArrayWriter, TableWriter, digest, read_table, runs_of
from tellvision.vision.features import pool_clips

PAIRS = pa.schema(
    [
        ("clip_id", pa.string()),
        ("video_id", pa.string()),
        ("start", pa.float64()),
        ("end", pa.float64()),
        ("text", pa.string()),
    ]
)


@dataclass(frozen=True)
class VideoPairs:
    """The pairs of one video: table and rows (n, D) float16, clip by clip the same."""

    clips: pa.Table
    rows: np.ndarray


def join(clips: pa.Table, tracks: list[tuple[np.ndarray, float]]) -> Result[VideoPairs]:
    """Pool each track over every clip of a video and join the vectors.

    Args:
        clips: one video's clips, columns as `PAIRS` at least.
        tracks: (steps, dim) and fps of each track, in the order in which the model names them.

    A clip past the end of a track is dropped as `no_frames`, never filled with zeros.

    Raises:
        Skip: no clip is left (`no_frames`).
    """
    starts, ends = clips["start"].to_numpy(), clips["end"].to_numpy()
    pooled = [pool_clips(track, fps, starts, ends) for track, fps in tracks]
    kept = pooled[0][1]
    for _, others in pooled[1:]:
        kept = np.intersect1d(kept, others, assume_unique=True)
    if not len(kept):
        raise Skip("no_frames", "no clip lies within what could be decoded")
    rows = np.concatenate([v[np.searchsorted(which, kept)] for v, which in pooled], axis=1).astype(np.float16)
    table = clips.select(PAIRS.names).take(kept)
    dropped = {"no_frames": len(clips) - len(kept)} if len(kept) < len(clips) else {}
    content = hashlib.sha256(rows.tobytes())
    content.update(repr(table.to_pydict()).encode())
    return Result(VideoPairs(table, rows), content.hexdigest()[:16], dropped=dropped)


class PairWriter:
    """Writes a pairs folder (see `tellvision.runners.Writer`)."""

    def __init__(self, folder: Path, dim: int) -> None:
        self._arrays, self._table = ArrayWriter(folder, dim), TableWriter(folder, PAIRS)

    def open(self, acknowledged: Mapping[str, str]) -> None:
        """Cut off what was written but never acknowledged."""
        self._arrays.open(acknowledged)
        self._table.open(acknowledged)

    def append(self, item: str, fingerprint: str, rows: VideoPairs) -> int:
        """Take the pairs of one video."""
        self._table.append(item, fingerprint, rows.clips)
        return self._arrays.append(item, fingerprint, rows.rows)

    def commit(self) -> None:
        """Rows first, then their clips."""
        self._arrays.commit()
        self._table.commit()

    def close(self, items: Collection[str]) -> dict[str, Any]:
        """Leave only `items`."""
        return self._table.close(items) | self._arrays.close(items)

    def has_output(self) -> bool:
        """Whether anything was written here before."""
        return self._table.has_output() and self._arrays.has_output()

    def release(self) -> None:
        """Let go of the files."""
        self._arrays.release()


class Pairs:
    """A pairs folder, open for reading.

    Attributes:
        table: the clips (columns of `PAIRS`), a video's rows together.
        videos: the video ids in the order of the table.
        offsets: (videos + 1,) the first clip of each video in the table.
        dim: width of a clip's row.
    """

    def __init__(self, folder: Path) -> None:
        self.table = read_table(folder)
        self._arrays = ArrayReader(folder)
        self.dim = self._arrays.dim
        self.videos, self.offsets = runs_of(self.table)

    def __len__(self) -> int:
        return self.table.num_rows

    @property
    def content(self) -> str:
        """Names the clips and the numbers of their rows."""
        checksums = [self._arrays.entries[video].checksum for video in self.videos]
        return digest(self.table["clip_id"].to_pylist(), checksums)

    def rows(self, video: str) -> np.ndarray:
        """(clips, dim) float16 of one video, a view into the shard."""
        return self._arrays[video]

    def select(self, videos: Collection[str]) -> tuple[pa.Table, np.ndarray]:
        """Clips and rows (n, dim) float16 of some videos, in the order of the table."""
        wanted = set(videos)
        places = [i for i, v in enumerate(self.videos) if v in wanted]
        clips = [np.arange(self.offsets[i], self.offsets[i + 1]) for i in places]
        table = self.table.take(np.concatenate(clips) if clips else np.empty(0, np.int64))
        return table, self._arrays.gather(self.videos[i] for i in places)


@dataclass(frozen=True)
class Batch:
    """Pairs that are told apart from each other.

    Attributes:
        tokens: (n, words) int32 token ids, as `TextTransform` gives them.
        clips: (n, D) float32.
        video: (n,) int64, equal where two pairs come from the same video.
    """

    tokens: np.ndarray
    clips: np.ndarray
    video: np.ndarray


class Batches:
    """Draws the batches of an epoch, the same ones for the same seed and epoch.

    Args:
        pairs: where the rows come from.
        tokens: (clips, words) int32 of the whole table.
        usable: (clips,) bool, False for clips that are not drawn (no known word is said).
        videos: ids to draw from.
        videos_per_batch: B.
        pairs_per_video: K, drawn with replacement.
        seed: of the drawing.
    """

    def __init__(
        self,
        pairs: Pairs,
        tokens: np.ndarray,
        usable: np.ndarray,
        videos: Collection[str],
        *,
        videos_per_batch: int,
        pairs_per_video: int,
        seed: int,
    ) -> None:
        self._pairs, self._tokens = pairs, tokens
        self._videos_per_batch, self._pairs_per_video, self._seed = videos_per_batch, pairs_per_video, seed
        # By name: the place in the table depends on whether a video was there from the beginning.
        wanted = set(videos)
        places = [i for _, i in sorted((v, i) for i, v in enumerate(pairs.videos) if v in wanted)]
        choices = [(i, np.flatnonzero(usable[pairs.offsets[i] : pairs.offsets[i + 1]])) for i in places]
        self._choices = [(i, clips) for i, clips in choices if len(clips)]

    def __len__(self) -> int:
        """Batches of an epoch."""
        return -(-len(self._choices) // self._videos_per_batch)

    @property
    def num_videos(self) -> int:
        """Videos with something to draw."""
        return len(self._choices)

    def epoch(self, number: int) -> Iterator[Batch]:
        """Every video once, in a new order, K of its pairs each."""
        rng = np.random.default_rng((self._seed, number))
        order = rng.permutation(len(self._choices))
        for start in range(0, len(order), self._videos_per_batch):
            yield self._draw(order[start : start + self._videos_per_batch], rng)

    def _draw(self, chosen: np.ndarray, rng: np.random.Generator) -> Batch:
        k, pairs = self._pairs_per_video, self._pairs
        rows = np.empty((len(chosen) * k, pairs.dim), np.float16)
        clips = np.empty(len(chosen) * k, np.int64)
        for n, choice in enumerate(chosen):
            video, usable = self._choices[choice]
            drawn = usable[rng.integers(len(usable), size=k)]
            rows[n * k : (n + 1) * k] = pairs.rows(pairs.videos[video])[drawn]
            clips[n * k : (n + 1) * k] = pairs.offsets[video] + drawn
        return Batch(self._tokens[clips], rows.astype(np.float32), np.repeat(np.arange(len(chosen)), k))
