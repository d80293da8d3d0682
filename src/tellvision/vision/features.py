"""Videos -> tracks (steps, dim) at a rate; a track pooled over a clip (paper, section 3.2 and 4.1).

Each step of a track is of unit length and kept as float16. A clip's vector is the maximum over its
steps, of unit length again.
"""

import functools
import multiprocessing
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from tellvision.media import Frames
from tellvision.records import rows_of
from tellvision.runners import Result
from tellvision.vision.extractors import Extractor, find

Array = TypeVar("Array", np.ndarray, torch.Tensor)

FRAMES_AT_ONCE = 64  # bounds memory whatever the length of the video


@dataclass(frozen=True)
class Job:
    """A video to extract a track from, as it travels to a worker."""

    path: Path
    backbone: str


def extract(job: Job) -> Result[np.ndarray]:
    """The track of one video: (steps, dim) float16, steps of unit length, at the backbone's rate.

    Raises:
        Skip: the video cannot be read (see `tellvision.media.Frames`).
    """
    extractor = _loaded(job.backbone)
    frames = Frames(job.path, extractor.fps, extractor.size)
    parts: list[np.ndarray] = []
    waiting: list[np.ndarray] = []
    for frame in frames:
        waiting.append(frame)
        if len(waiting) == FRAMES_AT_ONCE:
            parts.append(_unit(extractor(np.stack(waiting))).astype(np.float16))
            waiting = []
    if waiting:
        parts.append(_unit(extractor(np.stack(waiting))).astype(np.float16))
    track = np.concatenate(parts)
    return Result(track, f"{zlib.crc32(track.tobytes()):08x}", note=frames.note)


@functools.cache
def _loaded(backbone: str) -> Extractor:
    if multiprocessing.parent_process() is not None:
        torch.set_num_threads(1)  # a worker has a core: two threads on it would only wait for each other
    extractor: Extractor = find(backbone)()
    return extractor


def _unit(rows: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    return rows / np.where(norms == 0, 1, norms)


def pool(track: Array, fps: float, start: float, end: float) -> Array:
    """The vector of the clip from `start` to `end`: the maximum over its steps, of unit length.

    Args:
        track: (steps, D), numpy or a tensor; what comes back is of the same kind and on the same device.
        fps: steps per second.
        start: seconds.
        end: seconds; rows int(start * fps) to int(end * fps) inclusive, cut at the end of the track.

    Returns:
        (D,) float32; all zero stays zero.

    Raises:
        ValueError: a negative, reversed or NaN time, or no row left.
    """
    rows = track[rows_of(start, end, fps, len(track))]
    if isinstance(rows, torch.Tensor):
        return torch.nn.functional.normalize(rows.amax(0).float(), dim=0, eps=1e-30)
    return _unit(rows.max(axis=0).astype(np.float32))


def pool_clips(
    track: np.ndarray, fps: float, starts: np.ndarray, ends: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """`pool` for many clips of one track; clips without a step are left out.

    Args:
        track: (steps, D).
        fps: steps per second.
        starts: (n,) seconds.
        ends: (n,) seconds.

    Returns:
        vectors (kept, D) float32, and which clips they belong to (kept,) int64, rising.
    """
    track = np.asarray(track, np.float32)  # once: the maximum of half floats is slow
    kept = np.flatnonzero((starts * fps).astype(np.int64) < len(track))
    vectors = np.empty((len(kept), track.shape[1]), np.float32)
    for row, i in enumerate(kept):
        vectors[row] = track[rows_of(float(starts[i]), float(ends[i]), fps, len(track))].max(axis=0)
    return _unit(vectors), kept
