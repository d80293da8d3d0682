"""A batch put together in buffers that are used again: rows, texts, and what tells them apart."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tellvision.embedding.batches.drawing import Batches, Drawn


@dataclass(frozen=True)
class Batch:
    """Pairs that are told apart from each other.

    Attributes:
        epoch: from 0.
        number: of the batch in its epoch, from 0.
        clips: (n, D) float16 pooled rows, or (n, L, D) in steps.
        steps: (n,) int64 how many of L count; None where a clip is one row.
        texts: (n * bag, w), rows b * i .. b * i + b - 1 the captions that are right for clip i, its own first:
            a frozen encoder's vectors (float16), token ids (int32, -1 behind the last), or, with `distinct`,
            int64 places in it (u where there is no token).
        distinct: (u,) int64 the token ids of the batch, rising, without -1; or None.
        video: (n,) int64, equal where two pairs come from the same video, over all processes.
        rows: (n,) int64 the clips' numbers in their table; it stays on the CPU.
        source: (n,) int64 the place of each pair's data set; it stays on the CPU.
    """

    epoch: int
    number: int
    clips: Tensor
    steps: Tensor | None
    texts: Tensor
    distinct: Tensor | None
    video: Tensor
    rows: Tensor
    source: Tensor


class Buffers:
    """Room for one batch, filled again and again.

    Args:
        batches: what is filled in.
        pinned: memory that a GPU copies from on its own.
    """

    def __init__(self, batches: Batches, pinned: bool = False) -> None:
        self._batches = batches
        first = batches.sets[0]
        n, width, kind = batches.most, first.texts.shape[1], first.texts.dtype

        def room(*shape: int, dtype: torch.dtype) -> Tensor:
            return torch.empty(shape, dtype=dtype, pin_memory=pinned)

        self.clips = room(n, *first.source.shape, dtype=torch.float16)
        self.steps = room(n, dtype=torch.int64) if len(first.source.shape) > 1 else None
        self._places = _Places() if batches.distinct and kind.kind == "i" else None
        ids = torch.int32 if kind.kind == "i" else torch.float16
        self.texts = room(n * batches.bag, width, dtype=torch.int64 if self._places else ids)
        self.distinct = room(n * batches.bag * width, dtype=torch.int64) if self._places else None
        self.video = room(n, dtype=torch.int64)

    def fill(self, drawn: Drawn) -> Batch:
        """The batch that was drawn; it is there until `fill` is called again."""
        n, bag = len(drawn), self._batches.bag
        clips, video = self.clips[:n], self.video[:n]
        steps = None if self.steps is None else self.steps[:n]
        texts = self.texts[: n * bag]
        ids = np.empty(texts.shape, np.int32) if self._places else texts.numpy()
        for which, first, last in drawn.by_set():
            one, there = self._batches.sets[which], slice(first, last)
            moves = drawn.moves[there] if drawn.moves is not None and one.source.jitter else None
            count = one.source.fill(drawn.places[there], drawn.clips[there], moves, clips[there].numpy())
            if steps is not None:
                assert count is not None, "a clip in steps says how many count"
                steps[there] = torch.from_numpy(count)
            wanted = drawn.captions[there].ravel()
            np.take(one.texts, wanted, axis=0, out=ids[first * bag : last * bag], mode="clip")
        video.copy_(torch.from_numpy(drawn.video))
        distinct = None
        if self._places is not None and self.distinct is not None:
            found = self._places.of(ids, texts.numpy())
            distinct = self.distinct[: len(found)]
            distinct.copy_(torch.from_numpy(found))
        rows, source = torch.from_numpy(drawn.clips), torch.from_numpy(drawn.source)
        return Batch(drawn.epoch, drawn.number, clips, steps, texts, distinct, video, rows, source)


class _Places:
    """Token ids as places among the distinct ones, by a table over the vocabulary: no sorting."""

    def __init__(self) -> None:
        self._flags = np.zeros(1, bool)
        self._numbers = np.empty(1, np.int64)

    def of(self, ids: np.ndarray, out: np.ndarray) -> np.ndarray:
        """The distinct ids (u,) of (n, w), rising, without -1; their places go to `out`, u for -1."""
        size = int(ids.max(initial=-1)) + 2  # the last place of the table is that of -1
        if size > len(self._flags):
            self._flags, self._numbers = np.zeros(size, bool), np.empty(size, np.int64)
        self._flags[ids] = True
        self._flags[-1] = False
        found = np.flatnonzero(self._flags)
        self._flags[found] = False
        self._numbers[found] = np.arange(len(found))
        self._numbers[-1] = len(found)
        out[...] = self._numbers[ids]
        return found
