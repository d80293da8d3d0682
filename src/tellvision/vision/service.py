"""One process with the networks, for all the workers of a machine: a GPU fed by many decoders.

    worker: frames -> memory shared with the service -> (backbone, shape) through a socket -> vectors back

Frames are never pickled: a worker and the service map the same memory, which goes when both have. What
several workers ask at the same time becomes one batch, also across videos.
"""

import contextlib
import mmap
import multiprocessing
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Client, Connection, Listener, wait
from multiprocessing.reduction import recv_handle, send_handle
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tellvision.records import InputError, Skip

PATIENCE = 0.002  # seconds that a request waits for others to share its batch


@dataclass(frozen=True)
class Address:
    """Where a service listens: a socket in the file system, and the key to it."""

    socket: str
    key: bytes


class _Request(NamedTuple):
    """(n, unit, height, width, 3) uint8 that lie at the beginning of the shared memory."""

    backbone: str
    shape: tuple[int, ...]


class _Mapped(NamedTuple):
    """New shared memory follows, of so many bytes."""

    size: int


@contextlib.contextmanager
def serving(backbones: Sequence[str], device: str) -> Iterator[Address]:
    """Run a service with these backbones on `device`; it ends with the block.

    Raises:
        InputError: a backbone or the device cannot be used.
    """
    context = multiprocessing.get_context("spawn")
    ours, its = context.Pipe()
    with tempfile.TemporaryDirectory(prefix="tellvision-") as folder:
        address = Address(str(Path(folder) / "socket"), os.urandom(32))
        process = context.Process(target=_serve, args=(address, tuple(backbones), device, its), daemon=True)
        process.start()
        its.close()
        try:
            problem = ours.recv()
        except EOFError:
            problem = f"the process with {', '.join(backbones)} ended at its start: is there memory for it?"
        try:
            if problem:
                raise InputError(problem)
            yield address
        finally:
            process.kill()  # it holds nothing that could be lost
            process.join()
            ours.close()


def connect(address: Address, backbone: str) -> Callable[[np.ndarray], np.ndarray]:
    """What embeds units in the service: (n, unit, height, width, 3) uint8 -> (n, dim) float32.

    Raises:
        InputError: the service is gone.
    """
    return _Remote(address, backbone)


class _Remote:
    """A worker's end."""

    def __init__(self, address: Address, backbone: str) -> None:
        self._backbone = backbone
        try:
            self._connection = Client(address.socket, "AF_UNIX", authkey=address.key)
        except (OSError, EOFError, multiprocessing.AuthenticationError) as error:
            raise _gone(backbone, error) from None
        self._memory: mmap.mmap | None = None

    def __call__(self, units: np.ndarray) -> np.ndarray:
        try:
            if self._memory is None or len(self._memory) < units.nbytes:
                self._memory = self._share(units.nbytes)
            np.frombuffer(self._memory, np.uint8, units.nbytes).reshape(units.shape)[...] = units
            self._connection.send(_Request(self._backbone, units.shape))
            answer = self._connection.recv()
        except (OSError, EOFError) as error:
            raise _gone(self._backbone, error) from None
        if isinstance(answer, Exception):
            raise answer
        rows: np.ndarray = answer
        return rows

    def _share(self, size: int) -> mmap.mmap:
        room = Path("/dev/shm")
        # Without a name in the file system: nothing is left of it, however this process ends.
        with tempfile.TemporaryFile(dir=room if room.is_dir() else None) as file:
            os.posix_fallocate(file.fileno(), 0, size)  # or it is found missing when it is written to, and kills
            self._connection.send(_Mapped(size))
            send_handle(self._connection, file.fileno(), None)
            return mmap.mmap(file.fileno(), size)


def _gone(backbone: str, error: Exception) -> InputError:
    return InputError(
        f"the process with {backbone} is gone ({error or type(error).__name__}): out of memory? "
        "The same command goes on from here"
    )


def _serve(address: Address, backbones: tuple[str, ...], device: str, ready: Connection) -> None:
    from tellvision.vision.extractors import find
    from tellvision.vision.network import Network

    threading.Thread(target=_end_with_driver, daemon=True).start()
    try:
        networks = {name: Network(find(name), device) for name in backbones}
    except InputError as error:
        ready.send(str(error))
        return
    try:
        listener = Listener(address.socket, "AF_UNIX", backlog=1024, authkey=address.key)
    except OSError as error:
        ready.send(f"{address.socket} cannot be listened to ({error}): set TMPDIR to a shorter path")
        return
    with listener:
        ready.send("")
        _Desk(listener, networks).work()


def _end_with_driver() -> None:
    driver = multiprocessing.parent_process()
    assert driver is not None
    driver.join()
    os._exit(1)


class _Desk:
    """The service's end: who is connected, and what they ask."""

    def __init__(self, listener: Listener, networks: dict[str, Any]) -> None:
        self._listener, self._networks = listener, networks
        self._door = listener._listener._socket  # type: ignore[attr-defined]
        self._memories: dict[Connection, mmap.mmap] = {}

    def work(self) -> None:
        """For ever."""
        while True:
            asked = self._asked(None)
            if not asked:
                continue
            latest = time.monotonic() + PATIENCE
            # Whoever is connected and not waiting for an answer may ask within the patience.
            while len(asked) < len(self._memories) and (left := latest - time.monotonic()) > 0:
                asked |= self._asked(left, but=asked)
            for shape_and_name in {(request.backbone, request.shape[1:]) for request in asked.values()}:
                self._answer([c for c, r in asked.items() if (r.backbone, r.shape[1:]) == shape_and_name], asked)

    def _asked(
        self, seconds: float | None, but: dict[Connection, _Request] | None = None
    ) -> dict[Connection, _Request]:
        """Who asks now, and what; new workers are let in."""
        found: dict[Connection, _Request] = {}
        listening = [self._door, *(c for c in self._memories if c not in (but or {}))]
        for source in wait(listening, seconds):
            if source is self._door:
                with contextlib.suppress(OSError, EOFError, multiprocessing.AuthenticationError):
                    self._memories[self._listener.accept()] = mmap.mmap(-1, 1)
                continue
            assert isinstance(source, Connection)
            try:
                message = source.recv()
                if isinstance(message, _Mapped):
                    handle = recv_handle(source)
                    try:
                        self._memories[source] = mmap.mmap(handle, message.size)
                    finally:
                        os.close(handle)
                else:
                    found[source] = message
            except (OSError, EOFError):  # a worker that ended, or was killed
                del self._memories[source]
                source.close()
        return found

    def _answer(self, workers: list[Connection], asked: dict[Connection, _Request]) -> None:
        """One batch of what has the same shape and the same backbone."""
        shapes = [asked[worker].shape for worker in workers]
        units = [
            np.frombuffer(self._memories[worker], np.uint8, int(np.prod(shape))).reshape(shape)
            for worker, shape in zip(workers, shapes, strict=True)
        ]
        network = self._networks[asked[workers[0]].backbone]
        try:
            behind = np.cumsum([shape[0] for shape in shapes])
            rows: list[Any] = np.split(network(np.concatenate(units)), behind[:-1])
        except Skip:  # one of them has what the network makes no number of: find out whose it is
            rows = [_alone(network, one) for one in units]
        except InputError as error:  # no room for it on the device
            rows = [error] * len(units)
        for worker, answer in zip(workers, rows, strict=True):
            with contextlib.suppress(OSError):  # it ended meanwhile: its next message says so
                worker.send(answer)


def _alone(network: Callable[[np.ndarray], np.ndarray], units: np.ndarray) -> np.ndarray | Skip:
    try:
        return network(units)
    except Skip as skip:
        return skip
