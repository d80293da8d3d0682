"""Clips and tracks -> pairs: one pooled row per clip beside what is said (paper, section 3).

    pairs/NAME/   shard-*.bin, index.jsonl (one row per clip, a video's rows together), table.parquet
                  (clip_id, video_id, start, end, text: row by row the same clips)

Training batches are drawn from them by the room `batches`. A clip's number is its row in the table.
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tellvision.records import InputError, Skip
from tellvision.runners import Result
from tellvision.store import TABLE, ArrayReader, ArrayWriter, TableWriter, batches, runs_of
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
    """A pairs folder, open for reading; of its clips only numbers are held, however many there are.

    Attributes:
        videos: the video ids in the order of the table.
        offsets: (videos + 1,) int64, the number of each video's first clip.
        dim: width of a clip's row.

    Raises:
        InputError: it is not finished, or table and rows do not belong together.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._arrays = folder, ArrayReader(folder)
        self.dim = self._arrays.dim
        self.videos, self.offsets = _runs(folder)
        for video, count in zip(self.videos, np.diff(self.offsets).tolist(), strict=True):
            if video not in self._arrays or self._arrays.entries[video].rows != count:
                raise InputError(
                    f"{folder} is damaged, the rows of {video} are not its clips': delete it and run again"
                )

    def __len__(self) -> int:
        return int(self.offsets[-1])

    @cached_property
    def content(self) -> str:
        """Names the clips, what is said in them, and the numbers of their rows."""
        known = hashlib.sha256()
        columns = {name: hashlib.sha256() for name in PAIRS.names}
        for batch in batches(self._folder, list(columns)):
            for name, column in columns.items():  # a hash each: where a piece of the table ends does not matter
                column.update(_bytes(batch[name].combine_chunks()))
        for column in columns.values():
            known.update(column.digest())
        for video in self.videos:
            known.update(b"%d" % self._arrays.entries[video].checksum)
        return known.hexdigest()[:32]

    def texts(self, size: int, start: int = 0) -> Iterator[list[str]]:
        """What is said in the clips from number `start` on, `size` of them at a time, the last time fewer."""
        said = chain.from_iterable(batch["text"].to_pylist() for batch in self._from(start, ["text"]))
        while block := list(islice(said, size)):
            yield block

    def times(self) -> tuple[np.ndarray, np.ndarray]:
        """(clips,) float64 start and end of every clip, in seconds."""
        start, end = np.empty(len(self)), np.empty(len(self))
        place = 0
        for batch in batches(self._folder, ["start", "end"]):
            there = slice(place, place + len(batch))
            start[there], end[there] = batch["start"].to_numpy(), batch["end"].to_numpy()
            place += len(batch)
        return start, end

    def rows(self, video: str) -> np.ndarray:
        """(clips, dim) float16 of one video, a view into the shard."""
        return self._arrays[video]

    def rows_at(self, places: Collection[int]) -> list[np.ndarray]:
        """`rows` of the videos at some places of `videos`."""
        return self._arrays.rows(self.videos[place] for place in places)

    def select(self, videos: Collection[str]) -> tuple[pa.Table, np.ndarray]:
        """Clips and rows (n, dim) float16 of some videos, in the order of the table."""
        wanted = set(videos)
        places = [i for i, v in enumerate(self.videos) if v in wanted]
        numbers = [np.arange(self.offsets[i], self.offsets[i + 1]) for i in places]
        table = self._take(np.concatenate(numbers) if numbers else np.empty(0, np.int64), PAIRS.names)
        return table, self._arrays.gather(self.videos[i] for i in places)

    def clip_ids(self, numbers: np.ndarray) -> list[str]:
        """The ids of the clips with these numbers, in this order; a number may stand there twice."""
        wanted, places = np.unique(np.asarray(numbers, np.int64), return_inverse=True)
        found = self._take(wanted, ["clip_id"])["clip_id"]
        return found.take(pa.array(places)).to_pylist()

    def _from(self, start: int, columns: list[str]) -> Iterator[pa.Table]:
        """The table piece by piece from clip `start` on."""
        for batch in batches(self._folder, columns):
            yield batch.slice(min(start, len(batch)))
            start = max(0, start - len(batch))

    def _take(self, numbers: np.ndarray, columns: list[str]) -> pa.Table:
        """The clips with these numbers (rising); only the parts of the file that hold some are read."""
        parts = [PAIRS.empty_table().select(columns)]
        with pq.ParquetFile(self._folder / TABLE, pre_buffer=False) as file:
            sizes = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
            ends = np.cumsum(sizes, dtype=np.int64)
            for part, members in enumerate(np.split(numbers, np.searchsorted(numbers, ends[:-1]))):
                if len(members):
                    parts.append(file.read_row_group(part, columns).take(members - (ends[part] - sizes[part])))
        return pa.concat_tables(parts)


def _runs(folder: Path) -> tuple[list[str], np.ndarray]:
    """The videos of a table and the number at which each begins, read piece by piece (see `runs_of`)."""
    videos: list[str] = []
    starts: list[np.ndarray] = []
    total = 0
    for batch in batches(folder, ["video_id"]):
        names, offsets = runs_of(batch)
        again = int(bool(videos) and names[:1] == videos[-1:])  # the piece goes on with the last video
        videos += names[again:]
        starts.append(total + offsets[again:-1])
        total += len(batch)
    return videos, np.concatenate([*starts, [total]]).astype(np.int64)


def _bytes(column: pa.Array) -> bytes:
    """All of a column, texts with a mark behind each."""
    if not pa.types.is_string(column.type):
        return column.to_numpy().tobytes()
    whole = pa.ListArray.from_arrays(pa.array([0, len(column)], pa.int32()), column)
    return pc.binary_join(whole, "\0")[0].as_py().encode() + b"\0" if len(column) else b""
