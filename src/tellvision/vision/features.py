"""Videos -> tracks (steps, dim) at a rate; a track pooled over a clip (paper, section 3.2 and 4.1).

A video is decoded once for all the backbones that lack it. Each step of a track is of unit length and kept
as float16. A clip's vector is the maximum over its steps, of unit length again.
"""

import functools
import socket
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from tellvision.media import Frames
from tellvision.records import InputError, Skip, rows_of
from tellvision.runners import Result, in_worker
from tellvision.vision.extractors import Extractor, find
from tellvision.vision.network import Network, Runtime
from tellvision.vision.service import Address, connect

Array = TypeVar("Array", np.ndarray, torch.Tensor)
Embed = Callable[[np.ndarray], np.ndarray]
"""(n, unit, height, width, 3) uint8 -> (n, dim) float32, rows of unit length."""

FRAMES_AT_ONCE = 64  # that wait for the network: bounds memory whatever the length of the video


@dataclass(frozen=True, kw_only=True)
class Job:
    """A video to extract tracks from, as it travels to a worker."""

    path: Path
    """Of the video."""
    backbones: tuple[str, ...]
    """Names, see `tellvision.vision.extractors.find`."""
    weights: tuple[str, ...] = ()
    """Of each backbone, as the driver found them; none: whatever is here."""
    seconds: float = 0.0
    """How long the video says it is; 0: it does not say."""
    device: str = "cpu"
    """Where a worker without a service runs its networks."""
    runtime: Runtime = "auto"
    """What runs them there, see `tellvision.vision.network.Network`."""
    service: Address | None = None
    """Of the process that has the networks, where one has them for all workers."""


def extract(job: Job) -> Result[dict[str, Result[np.ndarray] | Skip]]:
    """The tracks of one video, by the names of the backbones, from one decoding.

    Each is (steps, dim) float16, steps of unit length, at the backbone's rate; or why that backbone alone has
    none: pictures of a shape that it does not take, a vector that is not finite.

    Raises:
        Skip: the video cannot be read (see `tellvision.media.Frames`).
        InputError: a backbone cannot be used, or has other weights here.
    """
    extractors = [find(name) for name in job.backbones]
    for name, extractor, known in zip(job.backbones, extractors, job.weights, strict=False):
        if extractor.weights != known:
            raise InputError(f"{name} has other weights on {socket.gethostname()}: bring the same ones everywhere")
    tracks = [
        _Track(extractor, _embedding(name, job.device, job.runtime, job.service))
        for name, extractor in zip(job.backbones, extractors, strict=True)
    ]
    frames = Frames(job.path, [extractor.view for extractor in extractors])
    for which, picture in frames:
        tracks[which].see(picture)
    made: dict[str, Result[np.ndarray] | Skip] = {}
    for which, (name, track) in enumerate(zip(job.backbones, tracks, strict=True)):
        rows = frames.refused.get(which) or track.finish()
        if isinstance(rows, Skip):
            made[name] = rows
        else:
            made[name] = Result(rows, f"{zlib.crc32(rows.tobytes()):08x}", note=frames.note)
    return Result(made, "")


@functools.cache
def _embedding(backbone: str, device: str, runtime: Runtime, service: Address | None) -> Embed:
    if service is not None:
        return connect(service, backbone)
    # A worker has a core: two threads on it would only wait for each other.
    return Network(find(backbone), device, runtime, threads=1 if in_worker() else None)


class _Track:
    """The steps of one backbone for one video, while its frames come in."""

    def __init__(self, extractor: Extractor, embed: Embed) -> None:
        self._extractor, self._embed = extractor, embed
        self._room = max(1, FRAMES_AT_ONCE // extractor.unit) * extractor.unit
        self._waiting: list[np.ndarray] = []
        self._rows: list[np.ndarray] = []
        self._skip: Skip | None = None

    def see(self, picture: np.ndarray) -> None:
        """Take the next frame, (height, width, 3) uint8."""
        if self._skip:
            return
        self._waiting.append(picture)
        if len(self._waiting) == self._room:
            self._flush()

    def finish(self) -> np.ndarray | Skip:
        """(steps, dim) float16; a unit that was begun is filled up. Or why there are none."""
        if self._waiting:
            missing = -len(self._waiting) % self._extractor.unit
            last = self._waiting[-1]
            self._waiting += [np.zeros_like(last) if self._extractor.tail == "black" else last] * missing
            self._flush()
        return self._skip or np.concatenate(self._rows)

    def _flush(self) -> None:
        frames = np.stack(self._waiting)
        self._waiting = []
        try:
            rows = self._embed(frames.reshape(-1, self._extractor.unit, *frames.shape[1:]))
        except Skip as skip:
            self._skip = skip
        else:
            self._rows.append(rows.astype(np.float16))


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
