"""The index folder: everything a search needs of the clips, in one place that is swapped in whole.

clips + videos + picture vectors -> WORK/index/NAME/
    clips.parquet     clip_id, video_id, start, end, text; row i is clip i everywhere below
    videos.parquet    id, title, path, duration: only those that a clip comes from
    vectors.npy       float32 (clips, d), unit rows, memory-mapped; absent without a model
    text/             the full-text index over what is said in the clips
    manifest.json     written last; its config says what to search by, why, and with which model
"""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tellvision.records import Hit, InputError
from tellvision.search.narration import Narration
from tellvision.store.manifests import read_manifest, sync_folder, write_manifest

SEARCH_BY = ("speech", "picture", "fused")
CLIP_COLUMNS = ["clip_id", "video_id", "start", "end", "text"]
VIDEO_COLUMNS = ["id", "title", "path", "duration"]
UNIT_TOLERANCE = 1e-3


@dataclass(frozen=True, kw_only=True)
class Video:
    """A video that the index lists; `duration` in seconds where it is known."""

    id: str
    title: str
    path: Path
    duration: float | None


@dataclass(frozen=True, kw_only=True)
class Index:
    """An open index; stays usable on what it opened when a new one is swapped in."""

    folder: Path
    hash: str
    search_by: str
    why: str
    model: str | None
    comparison: Mapping[str, Any]
    clips: pa.Table
    videos: Mapping[str, Video]
    vectors: np.ndarray | None
    narration: Narration

    @classmethod
    def open(cls, folder: Path) -> "Index":
        """Open the index in `folder`.

        Raises:
            InputError: no finished index there, or one of another layout version.
        """
        if not folder.exists() and _aside(folder).exists():
            folder = _aside(folder)  # a build was killed between its two renames: this is the old one
        manifest = read_manifest(folder)
        config = manifest["config"]
        clips = pq.read_table(folder / "clips.parquet")
        vectors = None
        if (folder / "vectors.npy").exists():  # an empty array cannot be mapped
            vectors = np.load(folder / "vectors.npy", mmap_mode="r" if clips.num_rows else None)
        return cls(
            folder=folder,
            hash=manifest["hash"],
            search_by=config["search_by"],
            why=config["why"],
            model=config["model"],
            comparison=config["comparison"],
            clips=clips,
            videos={
                row["id"]: Video(
                    id=row["id"],
                    title=row["title"] or row["id"],
                    path=Path(row["path"]),
                    duration=row["duration"],
                )
                for row in pq.read_table(folder / "videos.parquet").to_pylist()
            },
            vectors=vectors,
            narration=Narration.open(folder / "text"),
        )

    def picture(self, query: np.ndarray) -> np.ndarray:
        """Cosine of the question's vector (d,) with every clip's: float32 (clips,).

        Raises:
            InputError: the index holds no vectors, or vectors of another width.
        """
        if self.vectors is None:
            raise InputError(f"{self.folder} holds no pictures to search by: search by speech")
        if query.shape != (self.vectors.shape[1],):
            raise InputError(
                f"the model gives {query.shape[-1]} numbers, {self.folder} holds {self.vectors.shape[1]}: "
                "search with the model it was built with, or build it again"
            )
        return np.asarray(self.vectors @ np.asarray(query, np.float32), np.float32)

    def speech(self, text: str, limit: int) -> tuple[np.ndarray, np.ndarray]:
        """Clips in which a word of `text` is said: rows (m,) and BM25 scores (m,), best first."""
        return self.narration.search(text, limit)

    def hit(self, row: int, score: float) -> Hit:
        """Clip `row` as an answer."""
        clip = {name: self.clips.column(name)[row].as_py() for name in CLIP_COLUMNS[1:]}
        return Hit(score=float(score), **clip)


def build(
    folder: Path,
    *,
    clips: pa.Table,
    videos: pa.Table,
    vectors: np.ndarray | None,
    search_by: str,
    why: str,
    model: str | None,
    comparison: dict[str, Any],
    inputs: dict[str, str],
) -> str:
    """Build the index beside `folder` and swap it in; killed, it leaves what was there.

    Args:
        folder: WORK/index/NAME.
        clips: at least the columns of `CLIP_COLUMNS`.
        videos: at least `VIDEO_COLUMNS`; those without a clip are left out.
        vectors: float (clips, d), unit rows in the order of `clips`; None without a model.
        search_by: `speech`, `picture` or `fused`; the latter two need vectors and a model.
        why: one sentence for the reader of the page.
        model: where the model of `vectors` lies: absolute, relative to `folder`, or a hub id.
        comparison: the figures that led to `search_by` (JSON values).
        inputs: name of each input -> its manifest's hash.

    Returns:
        The hash of the manifest.

    Raises:
        ValueError: vectors that do not fit the clips or are not of unit length, a clip of a
            video that is not in `videos`, a `search_by` that cannot be served.
    """
    _check(clips, videos, vectors, search_by, model)
    listed = videos.select(VIDEO_COLUMNS).filter(pc.is_in(videos["id"], pc.unique(clips["video_id"])))
    paths = [os.path.abspath(path) for path in listed["path"].to_pylist()]
    listed = listed.set_column(VIDEO_COLUMNS.index("path"), "path", pa.array(paths, pa.string()))
    fresh = folder.with_name(f".{folder.name}.new")
    _recover(folder)
    fresh.mkdir(parents=True)
    pq.write_table(clips.select(CLIP_COLUMNS), fresh / "clips.parquet", compression="zstd")
    pq.write_table(listed, fresh / "videos.parquet", compression="zstd")
    if vectors is not None:
        np.save(fresh / "vectors.npy", np.ascontiguousarray(vectors, np.float32))
    Narration.build(clips["text"].to_pylist(), fresh / "text")
    for path in fresh.rglob("*"):
        sync_folder(path)
    hashed = write_manifest(
        fresh,
        stage=f"index/{folder.name}",
        config={"search_by": search_by, "why": why, "model": model, "comparison": comparison},
        inputs=inputs,
        counts={"clips": clips.num_rows, "videos": listed.num_rows},
    )
    if folder.exists():
        folder.rename(_aside(folder))
    fresh.rename(folder)
    sync_folder(folder.parent)
    shutil.rmtree(_aside(folder), ignore_errors=True)
    return hashed


def _aside(folder: Path) -> Path:
    """Where the old index stands for the moment between the two renames of a swap."""
    return folder.with_name(f".{folder.name}.old")


def _recover(folder: Path) -> None:
    """Put back or clear away what a killed build left beside `folder`."""
    if not folder.exists() and _aside(folder).exists():
        _aside(folder).rename(folder)
    for leftover in (_aside(folder), folder.with_name(f".{folder.name}.new")):
        if leftover.exists():
            shutil.rmtree(leftover)


def _check(
    clips: pa.Table, videos: pa.Table, vectors: np.ndarray | None, search_by: str, model: str | None
) -> None:
    if search_by not in SEARCH_BY:
        raise ValueError(f"search_by is {search_by!r}, allowed are {', '.join(SEARCH_BY)}")
    if search_by != "speech" and (vectors is None or model is None):
        raise ValueError(f"to search by {search_by} an index needs vectors and their model")
    unknown = pc.unique(clips["video_id"]).to_pylist()
    unknown = sorted(set(unknown) - set(videos["id"].to_pylist()))
    if unknown:
        raise ValueError(f"clips of videos that are not listed: {unknown[:3]}")
    if vectors is None:
        return
    if vectors.ndim != 2 or len(vectors) != clips.num_rows:
        raise ValueError(f"{clips.num_rows} clips need as many rows of vectors, got shape {vectors.shape}")
    off = np.flatnonzero(~(np.abs(np.linalg.norm(vectors, axis=1) - 1) <= UNIT_TOLERANCE))
    if len(off):
        raise ValueError(f"vectors of {len(off)} clips are not of unit length, the first is clip {off[0]}")
