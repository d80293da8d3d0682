"""The rows of drawn clips straight out of the tracks: pooled on the fly, or step by step.

Ends that move at random give clips of other lengths each time they are drawn. Reads the tracks of
`features/NAME/` and the spans of the table of pairs (paper, sections 3.2 and 4.1).
"""

from collections.abc import Sequence

import numpy as np
import torch

from tellvision.embedding.batches.pooled import runs, will_need
from tellvision.embedding.config import StepsConfig
from tellvision.embedding.pairs import Pairs
from tellvision.records import InputError
from tellvision.store import ArrayReader


class Spans:
    """Clips cut out of tracks, see `drawing.Source`.

    Args:
        pairs: whose table says where the clips lie; its rows are not read.
        tracks: where the tracks lie and their steps per second, in the order in which they are joined.
        steps: give the steps of a clip, in place of one pooled row.
        jitter: seconds by which either end of a clip moves at most; never before 0, never past each other,
            never past the last step.

    Raises:
        InputError: the tracks lack a video, or are of another width than the pairs.
    """

    def __init__(
        self,
        pairs: Pairs,
        tracks: Sequence[tuple[ArrayReader, float]],
        *,
        steps: StepsConfig | None = None,
        jitter: float = 0.0,
    ) -> None:
        self.pairs, self.jitter = pairs, jitter
        self._tracks, self._steps = tuple(tracks), steps
        widths = [reader.dim for reader, _ in tracks]
        if sum(widths) != pairs.dim:
            raise InputError(
                f"the pairs are {pairs.dim} wide, the tracks together {sum(widths)}: make the pairs again"
            )
        for reader, _ in tracks:
            if (lacking := next((video for video in pairs.videos if video not in reader), None)) is not None:
                raise InputError(f"{reader.place} lacks {lacking}, which has pairs: make the pairs again")
        self.shape: tuple[int, ...] = (steps.max_steps, pairs.dim) if steps else (pairs.dim,)
        self._starts, self._ends = pairs.times()  # float64: as float32 a time may fall into another step

    def ahead(self, places: np.ndarray) -> None:
        """See `drawing.Source`."""
        videos = [self.pairs.videos[place] for place in runs(places)[0].tolist()]
        for reader, _ in self._tracks:
            for rows in reader.rows(videos):
                will_need(rows)

    def fill(
        self, places: np.ndarray, clips: np.ndarray, moves: np.ndarray | None, out: np.ndarray
    ) -> np.ndarray | None:
        """See `drawing.Source`."""
        starts, ends = self._starts[clips], self._ends[clips]
        if moves is not None:
            starts = np.maximum(starts + moves[:, 0] * self.jitter, 0)
            ends = np.maximum(ends + moves[:, 1] * self.jitter, starts)
        which, bounds = runs(places)
        videos = [self.pairs.videos[place] for place in which.tolist()]
        grid = _grid(starts, ends, self._steps) if self._steps else None
        whole = torch.from_numpy(out)
        column = 0
        for reader, fps in self._tracks:
            columns = slice(column, column + reader.dim)
            for track, first, last in zip(reader.rows(videos), bounds.tolist(), bounds[1:].tolist(), strict=False):
                there = slice(first, last)
                if grid is None:
                    rows = _pooled(track, *_rows(starts[there], ends[there], fps, len(track)))
                    whole[there, columns] = torch.from_numpy(rows)
                else:
                    steps = np.minimum((grid[0][there] * fps).astype(np.int64), len(track) - 1)
                    out[there, :, columns] = track[steps]
            column += reader.dim
        if grid is None:
            return None
        out[np.arange(out.shape[1]) >= grid[1][:, None]] = 0  # the buffer still holds another batch's
        return grid[1]


def _rows(starts: np.ndarray, ends: np.ndarray, fps: float, num_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """First and last row of each clip (see `records.rows_of`); one that begins past the end has the last row."""
    first = np.minimum((starts * fps).astype(np.int64), num_rows - 1)
    return first, np.minimum((ends * fps).astype(np.int64), num_rows - 1)


def _grid(starts: np.ndarray, ends: np.ndarray, steps: StepsConfig) -> tuple[np.ndarray, np.ndarray]:
    """(n, L) the times of the steps of each clip, in seconds, and (n,) how many there are."""
    whole = ((ends - starts) * steps.fps).astype(np.int64)  # behind the first
    count = np.minimum(whole + 1, steps.max_steps)
    apart = np.where(whole < steps.max_steps, 1.0, whole / max(1, steps.max_steps - 1)) / steps.fps
    return starts[:, None] + np.arange(steps.max_steps) * apart[:, None], count


def _pooled(track: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """(n, D) float32, the maximum over rows `first` to `last` of a track, of unit length: equal to `pool`.

    By a table of the maxima over 1, 2, 4 ... rows, of which two cover a clip of any length. Half floats are
    compared as whole numbers, which is many times faster.
    """
    keys = track.view(f"i{track.dtype.itemsize}")
    negative = bool(keys.min() < 0)
    if negative:
        keys = _swapped(keys)
    most = np.empty((len(first), track.shape[1]), keys.dtype)
    length = last - first + 1
    power = 1
    while True:
        there = np.flatnonzero((power <= length) & (length < 2 * power))
        most[there] = np.maximum(keys[first[there]], keys[last[there] - power + 1])
        if (length < 2 * power).all():
            break
        keys = np.maximum(keys[:-power], keys[power:])
        power *= 2
    rows = _cast(_swapped(most) if negative else most, track.dtype)
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    return rows / np.where(norms == 0, 1, norms)


def _cast(bits: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The numbers with these bits as float32; torch is twenty times as fast at it as numpy."""
    return torch.from_numpy(bits.view(dtype)).float().numpy()


def _swapped(bits: np.ndarray) -> np.ndarray:
    """The bits of floating-point numbers as whole numbers in the same order, and back again."""
    return bits ^ ((bits >> (8 * bits.itemsize - 1)) & np.iinfo(bits.dtype).max)
