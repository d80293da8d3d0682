"""What a worker is: how it is asked, what it answers, how it fails.

Bytes travel both ways, the same over a pipe and over Ray: pickled payloads there, the pickled answer back.
"""

import gc
import multiprocessing
import os
import pickle
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from tellvision.records import InputError, Skip

Payload = TypeVar("Payload")
Output = TypeVar("Output")

IN_WORKER = "TELLVISION_IN_WORKER"  # in the environment, so that what a worker starts knows too


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


class Died(Exception):
    """A worker was killed, crashed, or cannot be reached any more."""


class Lost(Died):
    """It went with its machine: no item is to blame."""


class TimedOut(Exception):
    """A worker did not answer in time."""


class NoRoom(Exception):
    """A worker finds no place to run; says what is missing."""


class Worker(Protocol):
    """One worker. A single thread asks it, one question at a time; any thread may `stop` it."""

    def ask(self, question: bytes, seconds: float | None) -> bytes:
        """What `Desk.answer` gives for `question`; the first one waits until the worker has started.

        Raises:
            Died: it ended before it answered.
            TimedOut: it did not answer within `seconds`; it works on, until it is stopped.
            NoRoom: there is no place for it to start.
        """

    def stop(self, now: bool) -> None:
        """End it: `now`, whatever it does, or at leisure where it has nothing to do. May be called twice."""


class Desk:
    """In a worker: where it answers.

    Args:
        work: what it does, pickled.
    """

    def __init__(self, work: bytes) -> None:
        os.environ[IN_WORKER] = "1"
        # A worker makes many small records and no circles of them: looking for some took a fifth of the
        # time of reading captions.
        gc.set_threshold(50_000)
        self._pickled = work
        self._work: Callable[[Any], Result[Any]] | None = None

    def answer(self, question: bytes) -> bytes:
        """What the work makes of each payload, as `results` reads it."""
        try:
            if self._work is None:
                self._work = _imported(self._pickled)
            made = [guarded(self._work, payload) for payload in pickle.loads(question)]
            return pickle.dumps(made, pickle.HIGHEST_PROTOCOL)
        except InputError as error:
            return pickle.dumps(str(error))


def _imported(work: bytes) -> Callable[[Any], Result[Any]]:
    try:
        found: Callable[[Any], Result[Any]] = pickle.loads(work)
        return found
    except (ImportError, AttributeError) as error:
        trouble = f"{type(error).__name__}: {error}"
        raise InputError(f"a worker needs the environment of the driver, and has not: {trouble}") from None


def in_worker() -> bool:
    """Whether this process is one of several that share the machine: it should use one core."""
    return IN_WORKER in os.environ or multiprocessing.parent_process() is not None


def question(payloads: list[Any]) -> bytes:
    """Payloads as they travel to a worker."""
    return pickle.dumps(payloads, pickle.HIGHEST_PROTOCOL)


def results(answered: bytes) -> list[Result[Any] | Skip]:
    """What `Desk.answer` made, back in the driver.

    Raises:
        InputError: the user has to change something first.
    """
    found = pickle.loads(answered)
    if isinstance(found, str):
        raise InputError(found)
    made: list[Result[Any] | Skip] = found
    return made


def guarded(work: Callable[[Payload], Result[Output]], payload: Payload) -> Result[Output] | Skip:
    """What `work` gives; what is wrong with the item, foreseen or not, as a `Skip`."""
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
