"""Workers that are processes of this machine, one pipe each."""

import atexit
import contextlib
import multiprocessing
import os
import signal
import threading
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait

from tellvision.runners.work import Desk, Died, TimedOut

LEISURE = 5.0  # seconds that a worker has to end by itself


class Process:
    """One process; see `Worker`. The thread that makes it is deaf to Ctrl+C from then on."""

    def __init__(self, work: bytes) -> None:
        # spawn: a forked copy of a process that has used torch or FFmpeg threads can hang.
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, work))
        # Ctrl+C is for the driver, which ends its workers: they inherit from this thread that they do not hear
        # it, not even while they start. Not the other way round: who starts the tracker hears it again.
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        self._process.start()
        theirs.close()  # or it would not be seen that theirs is closed

    def ask(self, question: bytes, seconds: float | None) -> bytes:
        """See `Worker`."""
        try:
            self._pipe.send_bytes(question)  # it does nothing else but wait for this
            if not wait([self._pipe, self._process.sentinel], seconds):
                raise TimedOut
            if self._pipe.poll():  # the last words of a dead one count
                return self._pipe.recv_bytes()
        except (EOFError, OSError):
            self._process.join(LEISURE)
        raise Died(f"exit code {self._process.exitcode}")

    def stop(self, now: bool) -> None:
        """See `Worker`."""
        if now:
            self._process.kill()
        else:
            self._pipe.close()
            self._process.join(LEISURE)
            self._process.kill()
        self._process.join(LEISURE)


def _serve(pipe: Connection, work: bytes) -> None:
    _die_with_parent()
    atexit.register(os._exit, 0)  # runs last: taking libraries down one by one would take seconds
    desk = Desk(work)
    with contextlib.suppress(EOFError, OSError):  # the driver has no more to ask, or is gone
        while True:
            pipe.send_bytes(desk.answer(pipe.recv_bytes()))


def _die_with_parent() -> None:
    """A worker whose driver was killed would work on and wait for ever: end it instead."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
