"""Workers that are actors of a Ray cluster."""

import contextlib
import logging
import os
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from tellvision.records import InputError
from tellvision.runners.work import Desk, Died, Lost, NoRoom, TimedOut, Worker

SHARE = 0.9  # of the CPUs that a worker uses are asked for: a full node keeps room for what else Ray places
LOOK = 5.0  # seconds between looks whether the node of a worker that does not answer is there
REACH = 5.0  # seconds in which a head node has to be reached


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Where workers run on Ray, and what each of them takes."""

    address: str = "local"
    """`local`: Ray is started on this machine, for this process; `auto`: the one that runs here;
    HOST:PORT: that of the head node."""
    workers: int = 0
    """Workers; 0: as many as the cluster has CPUs, and shares of GPUs, for."""
    cpus: float = 1.0
    """CPUs that a worker uses: a share of one, or a whole number."""
    gpus: float = 0.0
    """GPUs that a worker uses: 0, a share of one that several workers use, or a whole number."""
    patience: float = 60.0
    """Seconds that a worker waits for its place in the cluster, before the others go on without it."""

    def __post_init__(self) -> None:
        if self.workers < 0:
            raise InputError(f"workers {self.workers} has to be 0 (what the cluster has room for) or more")
        for name, value in (("cpus", self.cpus), ("gpus", self.gpus)):
            if not (0 <= value < 1 or float(value).is_integer()) or value < 0 or (name == "cpus" and value == 0):
                raise InputError(f"{name} per worker: {value:g} has to be a share of one, or a whole number")
        if not self.patience > 0:
            raise InputError(f"patience {self.patience:g} has to be more than 0 seconds")


def actors(work: bytes, cluster: Cluster) -> tuple[Callable[[], Worker], int]:
    """What hires a worker, and how many of them.

    Raises:
        InputError: Ray is not installed, not reached, or has not what a worker takes.
    """
    ray = _attached(cluster.address)
    there = ray.cluster_resources()
    cpus, gpus = there.get("CPU", 0.0), there.get("GPU", 0.0)
    asked = cluster.cpus * SHARE if cluster.cpus <= 1 else cluster.cpus
    room = int(cpus / cluster.cpus)
    if cluster.gpus:
        room = min(room, int(gpus / cluster.gpus))
    if room == 0:
        raise InputError(
            f"a worker takes {cluster.cpus:g} CPUs and {cluster.gpus:g} GPUs, the cluster has {cpus:g} and "
            f"{gpus:g}: ask for less, or add nodes"
        )
    if not cluster.workers and room > 1 and room * asked >= cpus:
        room -= 1
    return partial(_Actor, ray, work, cluster, asked), cluster.workers or room


class _Actor:
    """One actor; see `Worker`."""

    def __init__(self, ray: Any, work: bytes, cluster: Cluster, cpus: float) -> None:
        self._ray, self._cluster, self._cpus = ray, cluster, cpus
        self._node = ""
        options = {"num_cpus": cpus, "num_gpus": cluster.gpus, "max_restarts": 0, "scheduling_strategy": "SPREAD"}
        self._actor = ray.remote(**options)(_Seat).remote(work, cluster.gpus, os.getcwd(), sys.path)

    def ask(self, question: bytes, seconds: float | None) -> bytes:
        """See `Worker`."""
        exceptions = self._ray.exceptions
        until = None if seconds is None else time.monotonic() + seconds
        try:
            self._node = self._node or self._placed()
            asked = self._actor.answer.remote(question)
            while True:
                left = LOOK if until is None else min(LOOK, until - time.monotonic())
                try:
                    answered: bytes = self._ray.get(asked, timeout=max(left, 0))
                    return answered
                except exceptions.GetTimeoutError:
                    if until is not None and time.monotonic() >= until:
                        raise TimedOut from None
                    self._look_after()
        except exceptions.ActorUnavailableError as error:
            raise Lost(_line(error)) from None
        except exceptions.RayError as error:
            self._look_after()
            raise Died(_line(error)) from None

    def stop(self, now: bool) -> None:  # noqa: ARG002  an actor holds nothing that it would have to put back
        """See `Worker`."""
        with contextlib.suppress(self._ray.exceptions.RayError):
            self._ray.kill(self._actor)

    def _placed(self) -> str:
        """The node that it was given."""
        try:
            node: str = self._ray.get(self._actor.node.remote(), timeout=self._cluster.patience)
            return node
        except self._ray.exceptions.GetTimeoutError:
            there = self._ray.cluster_resources()
            raise NoRoom(
                f"no place for a worker within {self._cluster.patience:g} s: it takes {self._cpus:g} CPUs and "
                f"{self._cluster.gpus:g} GPUs, the cluster has {there.get('CPU', 0):g} and "
                f"{there.get('GPU', 0):g}, free or taken: ask for less, or add nodes"
            ) from None

    def _look_after(self) -> None:
        """Lost where the node is gone: Ray does not always say so to who waits for an answer."""
        alive = {node["NodeID"] for node in self._ray.nodes() if node["Alive"]}
        if self._node and self._node not in alive:
            raise Lost("its node is gone")


class _Seat(Desk):
    """A desk on a node of the cluster."""

    def __init__(self, work: bytes, gpus: float, folder: str, path: list[str]) -> None:
        super().__init__(work)
        if not gpus:
            os.environ["CUDA_VISIBLE_DEVICES"] = ""  # those of the node are for who asked for some
        sys.path += [place for place in path if place not in sys.path]  # as in a process of this machine
        with contextlib.suppress(OSError):  # the same for relative paths, where the node has that folder
            os.chdir(folder)

    def node(self) -> str:
        """The id of that node."""
        import ray

        node: str = ray.get_runtime_context().get_node_id()
        return node


def _attached(address: str) -> Any:
    """Ray, connected; it stays so until this process ends."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
    os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")  # after a shutdown no call starts another Ray by itself
    try:
        import ray
    except ImportError:
        raise InputError("a cluster needs Ray: pip install 'tellvision[ray]'") from None
    if ray.is_initialized():
        return ray
    try:
        if address not in ("local", "auto"):  # Ray itself would try for minutes, and end this process then
            host, _, port = address.rpartition(":")
            socket.create_connection((host, int(port)), timeout=REACH).close()
        dashboard = False if address == "local" else None  # None: it is there, or not
        ray.init(address=address, include_dashboard=dashboard, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError, OverflowError) as error:
        raise InputError(
            f"no Ray cluster at {address!r} ({_line(error)}): give HOST:PORT as `ray start --head` says it, "
            "`auto`, or `local` for this machine alone"
        ) from None
    return ray


def _line(error: Exception) -> str:
    """What Ray says of an error in many lines, in one."""
    return " ".join(str(error).split())[:300]
