"""Flags that several commands share; the work folder they open; how they answer."""

import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from tellvision import recipes
from tellvision.recipes import Recipe
from tellvision.records import InputError

if TYPE_CHECKING:
    from tellvision.runners import Cluster

Work = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="WORK")]
Out = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="OUT")]
Retry = tyro.conf.UseAppendAction[tuple[str, ...]]  # a reason per flag, so that none swallows VIDEOS
Settings = Annotated[Recipe, tyro.conf.arg(name="")]  # fields of the recipe, as --train.epochs and so on
LAPTOP = recipes.laptop()  # in its place comes what --recipe names (cli.py)
WORKERS = os.cpu_count() or 1


@dataclass(frozen=True, kw_only=True)
class Where:
    """Where features are extracted."""

    device: str = "auto"
    """cpu, cuda, cuda:1 ...; auto: a GPU if there is one."""
    runtime: Literal["auto", "pytorch", "openvino"] = "auto"
    """What runs a network on a processor; auto: OpenVINO where it is installed and there is half an hour of
    video or more for each worker."""
    time_limit: float = 20.0
    """Times of its own length, for each backbone, that a video's features may take, and five minutes; what takes
    longer is skipped as timed_out. Not with --workers 0, where nobody could stop it."""
    ray: str | None = None
    """Extract on a Ray cluster in place of processes of this machine: its address, auto for the one of this
    machine, or local to start one here. --workers then counts its actors."""
    cpus_per_worker: float | None = None
    """Processors that an actor on Ray takes, fractions too."""
    gpus_per_worker: float | None = None
    """GPUs that an actor on Ray takes, fractions too; then it runs on them unless --device says otherwise."""

    def cluster(self, workers: int | None) -> "Cluster | None":
        """The Ray cluster that was asked for, if one was."""
        from tellvision.runners import Cluster

        shares = {"cpus": self.cpus_per_worker, "gpus": self.gpus_per_worker}
        named = {key: share for key, share in shares.items() if share is not None}
        if self.ray is None:
            idle = {"--cpus-per-worker": "cpus" in named, "--gpus-per-worker": "gpus" in named}
            warn_of_idle("without --ray", idle)
            return None
        return Cluster(address=self.ray, workers=workers or 0, **named)


Extracted = Annotated[Where, tyro.conf.arg(name="")]


def require_work(work: Path) -> None:
    """InputError: there is no such folder."""
    if not work.is_dir():
        raise InputError(f"{work} is no work folder: begin with `tellvision run VIDEOS --out {work}`")


@contextmanager
def at_work(work: Path, name: str, *, writes: bool = True, **options: Any) -> Iterator[Any]:
    """The work folder of a command, its ledger open; InputError: it is none.

    Args:
        work: the folder.
        name: of the artefacts.
        writes: False for a process beside another one that holds the ledger: it only looks.
        options: of the `Workplace`.
    """
    from tellvision.stages.workplace import Workplace
    from tellvision.store import LEDGER, Ledger

    if not (work / LEDGER).exists():
        raise InputError(f"{work} is no work folder: begin with `tellvision run VIDEOS --out {work}`")
    if not writes:
        yield Workplace(work=work, ledger=None, name=name, **options)
        return
    with Ledger(work) as ledger:
        at = Workplace(work=work, ledger=ledger, name=name, **options)
        at.require_retry()
        yield at


def warn_of_idle(why: str, given: Mapping[str, bool]) -> None:
    """Say in one line which flags that were given have no effect.

    Args:
        why: `with --released` and so on.
        given: each flag, and whether it was given.
    """
    if idle := [flag for flag, is_given in given.items() if is_given]:
        warnings.warn(f"no effect {why}: {', '.join(idle)}", stacklevel=3)


def say(value: Any, as_json: bool, text: str) -> None:
    """The result of a command, for a program or for a reader."""
    print(dumps(value, ensure_ascii=False) if as_json else text, flush=True)
