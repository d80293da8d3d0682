"""The one scheduler behind all runners: who does what next, second tries, time limits, skips.

A thread of the driver for each worker takes what is next, asks its worker, and waits: a worker has one group
of items at a time, so it is known what was lost with it, and no other worker notices.
"""

import atexit
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any

from tellvision.records import InputError, Skip
from tellvision.runners.work import Died, Lost, NoRoom, TimedOut, Worker, question, results

STARTS = 5  # workers in a row that end while they start, and no other one lives: that is the rule then
PAUSES = (0.1, 30.0)  # seconds until the next one is started, doubled each time, and at most
PATIENCE = 30.0  # seconds for a worker's thread to end, once its worker was stopped
LOSSES = 5  # machines that may go with an item's worker before the item is suspected after all
LONGEST = 1e6  # seconds; who may take longer may take for ever


class Item:
    """One item on its way."""

    def __init__(self, name: str, payload: Any, seconds: float) -> None:
        self.name, self.payload, self.seconds = name, payload, seconds
        self.future: Future[Any] = Future()
        self.losses = 0  # machines that went with its worker
        self.tried = False  # with others or alone, and its worker did not live to answer


class Crew:
    """Workers, each asked by a thread of its own, and what waits for them.

    A worker is hired only where more waits than those that are free, or are on their way, can take.
    """

    def __init__(self, hire: Callable[[], Worker], size: int) -> None:
        self.size = size
        self._hire = hire
        self._changed = threading.Condition()  # guards all that follows
        self._todo: deque[list[Item]] = deque()
        self._workers: dict[Worker, bool] = {}  # whether it has started
        self._misfires = 0  # workers that ended while they started, since one has
        self._free = 0  # workers that wait or start
        self._serving = size  # threads
        self._closed = False
        self._error: BaseException | None = None  # nothing more can be done
        self._threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(size)]
        for thread in self._threads:
            thread.start()
        atexit.register(self.close, now=True)  # where nobody closes the generator

    def submit(self, *groups: list[Item], first: bool = False) -> None:
        """Have groups of items done, each by one worker; `first` before all that waits."""
        with self._changed:
            if self._error is not None:
                _fail(groups, self._error)
            elif first:
                self._todo.extendleft(reversed(groups))
            else:
                self._todo.extend(groups)
            self._changed.notify_all()

    def close(self, now: bool) -> None:
        """End the workers: `now`, in the middle of their work, or because there is no more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            workers = [worker for worker, started in self._workers.items() if now or not started]
        for worker in workers:
            worker.stop(now=True)
        for thread in self._threads:
            thread.join(PATIENCE)
        atexit.unregister(self.close)

    def _serve(self) -> None:
        """A thread: as long as there is something to do, have it done."""
        error: BaseException | None = None
        try:
            while self._is_needed():
                worker = self._started()
                while (group := self._next()) and self._have_done(worker, group):
                    pass
                if not group:
                    self._dismiss(worker, now=False)
        except BaseException as fatal:
            error = fatal
        with self._changed:
            self._serving -= 1
            if isinstance(error, NoRoom):
                error = InputError(str(error)) if self._serving == 0 else None  # the others go on
            if error is not None and not self._closed:
                self._error = error
                _fail(self._todo, error)
                self._todo.clear()
            self._changed.notify_all()

    def _is_over(self) -> bool:
        return self._closed or self._error is not None

    def _is_needed(self) -> bool:
        """Wait until one worker more is of use, and count it as free; False where none will be."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_over() or len(self._todo) > self._free)
            self._free += 1
            return not self._is_over()

    def _started(self) -> Worker:
        try:
            while True:
                worker = self._hire()
                try:
                    self._register(worker, has_started=False)
                    results(worker.ask(question([]), None))
                    self._register(worker, has_started=True)
                    return worker
                except Died as died:
                    self._dismiss(worker, now=True)
                    self._pause(died)
                except BaseException:
                    self._dismiss(worker, now=True)
                    raise
        except BaseException:
            with self._changed:
                self._free -= 1
            raise

    def _pause(self, died: Died) -> None:
        """Wait until it is worth to start another one, after one that died while it started."""
        with self._changed:
            self._misfires += 1
            if self._is_over():
                raise died
            if self._misfires >= STARTS and not any(self._workers.values()):
                raise InputError(f"workers end while they start ({died}): --workers 0 works without any")
            self._changed.wait_for(self._is_over, min(PAUSES[0] * 2**self._misfires, PAUSES[1]))

    def _register(self, worker: Worker, has_started: bool) -> None:
        with self._changed:
            self._workers[worker] = has_started
            if has_started:
                self._misfires = 0
            elif self._closed:
                raise Died("nobody needs it")

    def _next(self) -> list[Item] | None:
        """What a free worker does next, once there is something; None where there will be nothing."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_over() or self._todo)
            self._free -= 1
            return None if self._is_over() else self._todo.popleft()

    def _have_done(self, worker: Worker, group: list[Item]) -> bool:
        """Whether the worker lived to answer; where not, it is gone, and the items are not."""
        limit = sum(item.seconds for item in group)
        try:
            answered = worker.ask(question([item.payload for item in group]), limit if limit < LONGEST else None)
            for item, result in zip(group, results(answered), strict=True):
                item.future.set_result(result)
        except (Died, TimedOut) as failure:
            self._dismiss(worker, now=True)
            self._try_again(group, failure)
            return False
        except BaseException as error:  # the user's, or ours: whoever asked is told
            _fail([group], error)
        with self._changed:
            self._free += 1
        return True

    def _try_again(self, group: list[Item], failure: Exception) -> None:
        if isinstance(failure, Lost) and max(item.losses for item in group) < LOSSES:
            for item in group:
                item.losses += 1
            self.submit(group, first=True)
        elif len(group) > 1 or not (group[0].tried or isinstance(failure, TimedOut)):
            for item in group:
                item.tried = True
            self.submit(*([item] for item in group), first=True)
        elif isinstance(failure, TimedOut):
            group[0].future.set_result(Skip("timed_out", f"it took longer than {group[0].seconds:g} s"))
        else:
            group[0].future.set_result(Skip("worker_died", "its process was killed or crashed, twice"))

    def _dismiss(self, worker: Worker, now: bool) -> None:
        worker.stop(now)
        with self._changed:
            self._workers.pop(worker, None)


def _fail(groups: Iterable[list[Item]], error: BaseException) -> None:
    for group in groups:
        for item in group:
            if not item.future.done():
                item.future.set_exception(error)
