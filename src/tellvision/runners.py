"""Work on many items, mapped over processes in the order of the input.

What is wrong with one item becomes a `Skip` and never ends the rest; `stages` keeps what comes out.
"""

import contextlib
import gc
import multiprocessing
import os
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Generic, TypeVar

from tellvision.records import InputError, Skip

Payload = TypeVar("Payload")
Output = TypeVar("Output")
ProgressCallback = Callable[[int, int], None]  # items done, items in all


def no_progress(_done: int, _total: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Result(Generic[Output]):
    """What working on one item gave.

    Attributes:
        output: what the stage's writer takes.
        digest: names the output, so that later stages redo only what really changed.
        dropped: rows left out, by reason.
        note: one line, if anything was odd.
        skip: set where the item cannot be used although its output says something of it.
    """

    output: Output
    digest: str
    dropped: dict[str, int] = field(default_factory=dict)
    note: str = ""
    skip: Skip | None = None


def map_items(
    work: Callable[[Payload], Result[Output]], items: Iterable[tuple[str, Payload]], workers: int, at_once: int = 1
) -> Iterator[tuple[str, Result[Output] | Skip]]:
    """Yield (item, what `work` gave for its payload) in the order of `items`.

    Args:
        work: picklable where there are workers; raises `Skip` for what is wrong with its item.
        items: consumed as needed, so that memory does not grow with their number.
        workers: processes; 0 works in this one.
        at_once: items that a process is handed together, where each is little work.

    A process that dies takes nothing with it: its items are tried once more, each alone, and one
    that kills its process again is skipped as `worker_died`. One on which `work` fails in a way that it
    does not know is skipped as `worker_failed`, with the error: a strange file does not end a run.
    """
    if workers == 0:
        for item, payload in items:
            yield item, _guarded(work, payload)
        return
    queue = iter(items)
    waiting: deque[tuple[list[tuple[str, Payload]], Future[Any]]] = deque()
    pool = _pool(workers)
    try:
        while True:
            while len(waiting) < 2 * workers and (tasks := list(islice(queue, at_once))):
                waiting.append((tasks, _submit(pool, work, tasks)))
            if not waiting:
                return
            tasks, future = waiting[0]
            try:
                results = future.result()
            except BrokenProcessPool:
                pool.shutdown(wait=False, cancel_futures=True)
                results = [_alone(work, task) for task in tasks]
                pool = _pool(workers)
                rest = list(waiting)[1:]
                waiting = deque([waiting[0], *((t, f if _sound(f) else _submit(pool, work, t)) for t, f in rest)])
            waiting.popleft()
            for (item, _), result in zip(tasks, results, strict=True):
                yield item, result
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _submit(pool: ProcessPoolExecutor, work: Callable[..., Any], tasks: Sequence[tuple[str, Any]]) -> Future[Any]:
    try:
        with _deaf_to_interrupts():  # a worker is started here, and inherits that
            return pool.submit(_guarded_each, work, [payload for _, payload in tasks])
    except BrokenProcessPool as error:  # it died since: let the caller find out in its turn
        future: Future[Any] = Future()
        future.set_exception(error)
        return future


@contextlib.contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Ctrl+C is for the driver, which ends its workers: they are not to hear it, not even while they start.

    Blocked, not ignored: what comes meanwhile reaches the driver afterwards.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _sound(future: Future[Any]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None


def _alone(work: Callable[..., Any], task: tuple[str, Any]) -> Any:
    pool = _pool(1)
    try:
        return _submit(pool, work, [task]).result()[0]
    except BrokenProcessPool:
        return Skip("worker_died", "its process was killed or crashed, twice")
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _guarded_each(
    work: Callable[[Payload], Result[Output]], payloads: list[Payload]
) -> list[Result[Output] | Skip]:
    return [_guarded(work, payload) for payload in payloads]


def _guarded(work: Callable[[Payload], Result[Output]], payload: Payload) -> Result[Output] | Skip:
    try:
        return work(payload)
    except Skip as skip:
        return skip
    except InputError:
        raise
    except Exception as error:  # whatever a library makes of a strange file
        *_, frame = traceback.extract_tb(error.__traceback__)
        where = f"{Path(frame.filename).name}:{frame.lineno}"
        return Skip("worker_failed", f"{type(error).__name__} at {where}: {error}".partition("\n")[0])


def _pool(workers: int) -> ProcessPoolExecutor:
    # spawn: a forked copy of a process that has used torch or FFmpeg threads can hang.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_prepare)


def _prepare() -> None:
    _die_with_parent()
    # A worker makes many small records and no circles of them: looking for some took a fifth of the
    # time of reading captions.
    gc.set_threshold(50_000)


def _die_with_parent() -> None:
    """A worker whose driver was killed would wait for work for ever: end it instead."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
