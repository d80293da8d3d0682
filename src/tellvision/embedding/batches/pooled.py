"""The rows of drawn clips out of a pairs folder: one pooled row each, copied from the memory-mapped shards."""

import mmap

import numpy as np

from tellvision.embedding.pairs import Pairs


class Pooled:
    """Pooled clips, see `drawing.Source`.

    Args:
        pairs: where the rows lie.
    """

    jitter = 0.0

    def __init__(self, pairs: Pairs) -> None:
        self.pairs = pairs
        self.shape: tuple[int, ...] = (pairs.dim,)

    def ahead(self, places: np.ndarray) -> None:
        """See `drawing.Source`: a video's rows lie together, so they are asked for in one piece."""
        for rows in self.pairs.rows_at(runs(places)[0].tolist()):
            will_need(rows)

    def fill(self, places: np.ndarray, clips: np.ndarray, moves: np.ndarray | None, out: np.ndarray) -> None:
        """See `drawing.Source`."""
        assert moves is None, "pooled clips cannot move"
        which, bounds = runs(places)
        within = clips - self.pairs.offsets[places]
        found = self.pairs.rows_at(which.tolist())
        for rows, first, last in zip(found, bounds.tolist(), bounds[1:].tolist(), strict=False):
            # The mode only says that nothing is out of range: numpy would else copy by way of a buffer.
            np.take(rows, within[first:last], axis=0, out=out[first:last], mode="clip")


def runs(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The values that stand side by side, (r,), and (r + 1,) where each run begins and the last one ends."""
    starts = np.flatnonzero(np.diff(places, prepend=-1)) if len(places) else np.empty(0, np.int64)
    return places[starts], np.append(starts, len(places))


def will_need(rows: np.ndarray) -> None:
    """Have the system read the pages of a memory-mapped array, without waiting for them."""
    whole: object = rows
    while isinstance(whole, np.ndarray):
        whole = whole.base
    if isinstance(whole, mmap.mmap) and hasattr(mmap, "MADV_WILLNEED") and rows.nbytes:
        begin = np.frombuffer(whole, np.uint8, 1).__array_interface__["data"][0]
        offset = rows.__array_interface__["data"][0] - begin
        page = offset - offset % mmap.PAGESIZE
        whole.madvise(mmap.MADV_WILLNEED, page, offset - page + rows.nbytes)
