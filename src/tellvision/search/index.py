"""The index folder: everything a search needs of the clips, in one place that is swapped in whole.

clips + videos + picture vectors -> WORK/index/NAME/
    clips.parquet     clip_id, video_id, start, end, text; row i is clip i everywhere below
    videos.parquet    id, title, path, duration: only those that a clip comes from
    vectors.npy       float32 (clips, d), unit rows, memory-mapped; absent without a model
    model/            the checkpoint that made them, so that no later training parts the two; of a frozen pair
                      where it lies and the sha256 of its weights
    text/             the full-text index over what is said in the clips
    manifest.json     written last; its config says what to search by, why, and the sha256 of the model's weights
"""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tellvision.records import Hit, InputError
from tellvision.search.narration import Narration
from tellvision.store import MANIFEST, read_manifest, sync, write_manifest

if TYPE_CHECKING:
    from tellvision.embedding.checkpoint import Model

SEARCH_BY = ("speech", "picture", "fused")
CLIP_COLUMNS = ["clip_id", "video_id", "start", "end", "text"]
VIDEO_COLUMNS = ["id", "title", "path", "duration"]
MODEL = "model"
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
    """An open index; stays usable on what it opened when a new one is swapped in.

    `model` is the sha256 of the weights in `folder`/model (None without a model), `stamp` tells
    this index from any other that stood or will stand in `folder`.
    """

    folder: Path
    stamp: tuple[int, int] | None
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
            InputError: no finished index there, a damaged one, or one of another layout version.
        """
        while True:
            place = folder
            if not folder.exists() and _aside(folder).exists():
                place = _aside(folder)  # a build was killed between its two renames: this is the old one
            stamp = stamp_of(place)
            try:
                return cls._read(place, stamp)
            except InputError:
                if stamp_of(place) == stamp:
                    raise
                # else a new index was swapped in while this one was read

    @classmethod
    def _read(cls, folder: Path, stamp: tuple[int, int] | None) -> "Index":
        manifest = read_manifest(folder)
        try:
            index = cls._assemble(folder, stamp, manifest["config"])
        except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
            raise damaged(folder, str(error) or "cut off") from error
        if index.is_replaced():
            raise replaced(folder)
        if index.vectors is not None and len(index.vectors) != index.clips.num_rows:
            raise damaged(folder, f"{len(index.vectors)} vectors for {index.clips.num_rows} clips")
        if len(index.narration) != index.clips.num_rows:
            raise damaged(folder, f"{len(index.narration)} texts for {index.clips.num_rows} clips")
        return index

    @classmethod
    def _assemble(cls, folder: Path, stamp: tuple[int, int] | None, config: Mapping[str, Any]) -> "Index":
        clips = pq.read_table(folder / "clips.parquet", columns=CLIP_COLUMNS)
        vectors = None
        if config["model"] is not None:  # an empty array cannot be mapped
            vectors = np.load(folder / "vectors.npy", mmap_mode="r" if clips.num_rows else None)
        return cls(
            folder=folder,
            stamp=stamp,
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

    def is_replaced(self) -> bool:
        """Whether its folder holds another index by now, or none."""
        return stamp_of(self.folder) != self.stamp

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
        try:
            return self.narration.search(text, limit)
        except ValueError as error:  # a part that is not looked at when the index is opened
            raise damaged(self.folder, str(error)) from error

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
    model: "Model | None",
    comparison: dict[str, Any],
    inputs: dict[str, str],
) -> str:
    """Build the index beside `folder` and swap it in; killed, it leaves what was there.

    Args:
        folder: WORK/index/NAME.
        clips: at least the columns of `CLIP_COLUMNS`.
        videos: at least `VIDEO_COLUMNS`; those without a clip are left out.
        vectors: float (clips, d), unit rows in the order of `clips`; None without a model.
        search_by: `speech`, `picture` or `fused`; the latter two need a model.
        why: one sentence for the reader of the page.
        model: the one that made `vectors`; a copy of it is kept in the index, of a frozen pair a reference.
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
    weights = None
    if model is not None:
        from tellvision.embedding import checkpoint  # brings PyTorch, which speech does without

        checkpoint.save(model, fresh / MODEL)
        weights = checkpoint.weights_hash(fresh / MODEL)
    Narration.build(clips["text"].to_pylist(), fresh / "text")
    for path in fresh.rglob("*"):
        sync(path)
    hashed = write_manifest(
        fresh,
        stage=f"index/{folder.name}",
        config={"search_by": search_by, "why": why, "model": weights, "comparison": comparison},
        inputs=inputs,
        counts={"clips": clips.num_rows, "videos": listed.num_rows},
    )
    if folder.exists():
        folder.rename(_aside(folder))
    fresh.rename(folder)
    sync(folder.parent)
    shutil.rmtree(_aside(folder), ignore_errors=True)
    return hashed


def stamp_of(folder: Path) -> tuple[int, int] | None:
    """What changes when another index is swapped into `folder`; None where none stands there."""
    try:
        stat = (folder / MANIFEST).stat()
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_mtime_ns


def damaged(folder: Path, reason: str) -> InputError:
    """The error for an index of which a part is missing or unreadable."""
    first = next(iter(reason.splitlines()), "")
    return InputError(f"{folder} is damaged ({first}): run `tellvision index WORK` again after deleting it")


def replaced(folder: Path) -> InputError:
    """The error for an index that was built anew behind the reader's back."""
    return InputError(f"{folder}: the index was built again: open it again")


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
    clips: pa.Table,
    videos: pa.Table,
    vectors: np.ndarray | None,
    search_by: str,
    model: "Model | None",
) -> None:
    if search_by not in SEARCH_BY:
        raise ValueError(f"search_by is {search_by!r}, allowed are {', '.join(SEARCH_BY)}")
    if (vectors is None) != (model is None):
        raise ValueError("vectors and the model that made them go together: one of them is missing")
    if search_by != "speech" and model is None:
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
