"""The processes that train together, one per GPU or a few on one machine (paper section 4.2 knows one).

Stands below the losses and the training loop. Reads the environment that `torchrun` makes; writes nothing.
`Together` opens and closes the group. The functions beside it move rows between its processes; with one
process each of them gives back what it got. None of them carries gradients: the losses find theirs on
the way (losses.py).
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import TracebackType

import torch
import torch.distributed as dist
from torch import Tensor

from tellvision.records import InputError
from tellvision.vision.network import best_device

_LOST = "another process of this training was lost: start it again, it goes on from its last state"


class Together:
    """The group of processes that `torchrun` started, as a context manager; one process without it.

    Args:
        device: of a process alone `cpu`, `cuda`, `cuda:N`; of several `cpu` or `cuda`; `auto`: a GPU if there
            is one.
        timeout: seconds that a process waits for the others before it gives up.

    Attributes:
        rank: number of this process, from 0.
        world: how many there are.
        device: of several processes `cuda:LOCAL_RANK` where there are GPUs, else the processor.

    Raises:
        InputError: half an environment, numbers that are none, more processes than GPUs on a machine;
            on entering: the others did not come in time; on leaving: one of them was lost.
    """

    def __init__(self, *, device: str = "auto", timeout: float = 600.0) -> None:
        self._timeout = timedelta(seconds=timeout)
        self.rank, self.world, local = _placed()
        if self.world == 1:
            self.device = torch.device(best_device(device))
            return
        if device not in ("auto", "cpu", "cuda"):
            raise InputError(f"--device {device}: processes that train together share auto, cpu or cuda")
        gpus = 0 if device == "cpu" else torch.cuda.device_count() if torch.cuda.is_available() else 0
        if gpus and local >= gpus:
            raise InputError(
                f"process {local} of this machine finds {gpus} GPUs: start at most one process for each"
            )
        self.device = torch.device("cuda", local) if gpus else torch.device("cpu")

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.rank == 0

    def __enter__(self) -> "Together":
        cuda = self.device.type == "cuda"
        if cuda and self.device.index is not None:  # a process alone may leave its number open
            torch.cuda.set_device(self.device)
        if self.world > 1:
            seconds = self._timeout.total_seconds()
            missing = f"not all of the {self.world} processes came within {seconds:g} s: start all of them again"
            with _told_as(missing):
                dist.init_process_group(
                    "nccl" if cuda else "gloo",
                    rank=self.rank,
                    world_size=self.world,
                    timeout=self._timeout,
                    device_id=self.device if cuda else None,
                )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.world > 1:
            dist.destroy_process_group()
            # What DistributedDataParallel says of a lost process, in the backward pass, comes by here.
            if isinstance(error, RuntimeError) and _of_the_group(error):
                raise InputError(_LOST) from error

    def barrier(self) -> None:
        """Wait until every process is here."""
        if self.world > 1:
            with _told_as(_LOST):
                dist.barrier()

    def agree(self, text: str, what: str = "data and settings") -> None:
        """Make sure that every process holds the same text; only a hash of it travels.

        Args:
            text: what has to be the same everywhere.
            what: what it stands for, for the message.

        Raises:
            InputError: on every process, where one of them holds another text.
        """
        own = torch.frombuffer(bytearray(hashlib.sha256(text.encode()).digest()), dtype=torch.uint8)
        every = gather(own.to(self.device)[None]).cpu()
        if different := [rank for rank, each in enumerate(every) if not torch.equal(each, every[0])]:
            raise InputError(
                f"process {different[0]} was started with other {what} than process 0: give all the same"
            )


def rank() -> int:
    """Number of this process, from 0."""
    return dist.get_rank() if _in_a_group() else 0


def world() -> int:
    """How many processes train together."""
    return dist.get_world_size() if _in_a_group() else 1


def gather(x: Tensor) -> Tensor:
    """The rows of all processes in the order of their ranks, (n, ...) to (world * n, ...); no gradients.

    Every process has the same number of rows. That is checked on the processor; on a GPU the check
    would stall every step.
    """
    if not _in_a_group():
        return x
    with _told_as(_LOST):
        if x.device.type == "cpu":
            rows = x.new_empty(world(), dtype=torch.int64)
            dist.all_gather_into_tensor(rows, torch.tensor([len(x)]))
            assert bool((rows == len(x)).all()), f"the processes hold {rows.tolist()} rows"
        every = x.new_empty(world() * len(x), *x.shape[1:])
        dist.all_gather_into_tensor(every, x.contiguous())
    return every


def share(x: Tensor) -> Tensor:
    """The sum of `x` over the processes, cut into equal parts by rows; this process's part of it."""
    if not _in_a_group():
        return x
    own = x.new_empty(len(x) // world(), *x.shape[1:])
    with _told_as(_LOST):
        dist.reduce_scatter_tensor(own, x.contiguous())
    return own


def total(x: Tensor) -> Tensor:
    """The sum over the processes, in place of `x`."""
    if _in_a_group():
        with _told_as(_LOST):
            dist.all_reduce(x)
    return x


def highest(x: Tensor) -> Tensor:
    """The greatest of each number over the processes, as a new tensor."""
    if not _in_a_group():
        return x
    most = x.clone()
    with _told_as(_LOST):
        dist.all_reduce(most, dist.ReduceOp.MAX)
    return most


def _placed() -> tuple[int, int, int]:
    """Rank, number of processes, rank on this machine."""
    found = {name: os.environ.get(name) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
    if not any(found.values()):
        return 0, 1, 0
    try:
        rank, world, local = (int(value or "") for value in found.values())
    except ValueError:
        raise InputError(f"torchrun sets RANK, WORLD_SIZE and LOCAL_RANK, all numbers: got {found}") from None
    if not (0 <= rank < world and local >= 0):
        raise InputError(f"a RANK stands between 0 and WORLD_SIZE - 1: got {found}")
    return rank, world, local


def _in_a_group() -> bool:
    return dist.is_available() and dist.is_initialized()


def _of_the_group(error: RuntimeError) -> bool:
    """Whether it was the connection to the other processes that failed; all else is a fault of ours."""
    return isinstance(error, dist.DistError) or "gloo" in str(error).lower()


@contextmanager
def _told_as(message: str) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if not _of_the_group(error):
            raise
        raise InputError(message) from error
