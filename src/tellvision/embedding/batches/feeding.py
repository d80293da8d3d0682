"""Batches made in the background while a model learns from the one before.

Threads fill buffers that were laid out once. On the CPU a model reads the buffer itself; for a GPU the
buffers are pinned, and copied on a stream of their own into buffers there.
"""

import contextlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from tellvision.embedding.batches.drawing import Batches, Drawn
from tellvision.embedding.batches.filling import Batch, Buffers


@contextlib.contextmanager
def feed(
    batches: Batches,
    *,
    start: tuple[int, int] = (0, 0),
    epochs: int,
    device: torch.device | str = "cpu",
    threads: int = 1,
    ahead: int = 1,
) -> Iterator[Iterator[Batch]]:
    """Batches in their order, made ahead; a context, whose end stops what goes on in the background.

    A batch is there until the next one is asked for: then its buffers are filled again. Whoever wants to
    keep one copies it. What goes wrong in the background is raised where the next batch is asked for.

    Args:
        batches: what is drawn.
        start: epoch and number of the first batch; the number may be that behind the epoch's last.
        epochs: where to stop.
        device: where a model wants them.
        threads: that fill buffers, each its own; one more draws, and has the system read from the disk.
        ahead: batches made and waiting, besides those in the making and the one that is read; each has buffers.
    """
    drawing = ThreadPoolExecutor(1, thread_name_prefix="draw")
    filling = ThreadPoolExecutor(threads, thread_name_prefix="fill")
    try:
        yield _in_order(batches, start, epochs, torch.device(device), drawing, filling, threads + ahead)
    finally:
        drawing.shutdown(wait=True, cancel_futures=True)
        filling.shutdown(wait=True, cancel_futures=True)
        if torch.device(device).type == "cuda":
            torch.cuda.synchronize(device)  # memory that is still copied to must not become another's


def _in_order(
    batches: Batches,
    start: tuple[int, int],
    epochs: int,
    device: torch.device,
    drawing: ThreadPoolExecutor,
    filling: ThreadPoolExecutor,
    waiting: int,
) -> Iterator[Batch]:
    if not len(batches):
        return
    todo = (
        (epoch, number)
        for epoch in range(start[0], epochs)
        for number in range(start[1] if epoch == start[0] else 0, len(batches))
    )
    slots = [_OnGpu(batches, device) if device.type == "cuda" else _Slot(batches) for _ in range(waiting + 1)]
    made: deque[tuple[_Slot, Future[Batch]]] = deque()

    def ask(slot: _Slot) -> None:
        if (place := next(todo, None)) is not None:
            # What is drawn is asked for from the disk long before it is copied.
            drawn = drawing.submit(_drawn, batches, *place)
            made.append((slot, filling.submit(slot.make, drawn)))

    for slot in slots:
        ask(slot)
    while made:
        slot, future = made.popleft()
        batch = future.result()
        slot.take()
        yield batch
        slot.done()
        ask(slot)


def _drawn(batches: Batches, epoch: int, number: int) -> Drawn:
    drawn = batches.draw(epoch, number)
    batches.ahead(drawn)
    return drawn


class _Slot:
    """Buffers for one batch, and the making of it."""

    def __init__(self, batches: Batches, pinned: bool = False) -> None:
        self._buffers = Buffers(batches, pinned)

    def make(self, drawn: "Future[Drawn]") -> Batch:
        """A batch, in a thread of the background."""
        return self._buffers.fill(drawn.result())

    def take(self) -> None:
        """Somebody reads the batch from now on."""

    def done(self) -> None:
        """Nobody reads the batch any more."""


class _OnGpu(_Slot):
    """The same on a GPU: filled in pinned memory, copied beside the computing."""

    def __init__(self, batches: Batches, device: torch.device) -> None:
        super().__init__(batches, pinned=True)
        self._device = device
        self._stream = torch.cuda.Stream(device)
        self._copied, self._read = torch.cuda.Event(), torch.cuda.Event()
        filled = vars(self._buffers)
        self._there: dict[str, Any] = {
            name: torch.empty_like(filled[name], device=device)
            for name in ("clips", "steps", "texts", "distinct", "video")
            if filled[name] is not None
        }

    def make(self, drawn: "Future[Drawn]") -> Batch:
        """See `_Slot`; whoever gets it waits for the copy on the GPU, not here."""
        self._copied.synchronize()  # the pinned memory may still be on its way
        batch = super().make(drawn)
        with torch.cuda.stream(self._stream):
            self._read.wait(self._stream)
            there: dict[str, Any] = {name: self._copy(name, getattr(batch, name)) for name in self._there}
            self._copied.record(self._stream)
        return replace(batch, **there)

    def _copy(self, name: str, made: Tensor) -> Any:
        return self._there[name][: len(made)].copy_(made, non_blocking=True)

    def take(self) -> None:
        """The stream that computes waits for the copy."""
        self._copied.wait(torch.cuda.current_stream(self._device))

    def done(self) -> None:
        """See `_Slot`: what computes now has to be through before the buffers are written again."""
        self._read.record(torch.cuda.current_stream(self._device))
