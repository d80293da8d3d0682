"""Where a run works: the work folder, its ledger, and what every stage asks of them."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa

from tellvision.records import InputError
from tellvision.store import Ledger, Row, manifests_below, read_manifest

MANY = 256
"""Light items that are acknowledged together."""

SKIPPING = ("captions", "speech", "shots", "clips", "features", "pairs")
"""The rooms, beside `videos`, whose stages may skip a video."""

TOGETHER = 32
"""Light items that a process is handed together: alone each would cost more to send than to work on."""


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """Where a run works.

    Attributes:
        work: the work folder.
        ledger: its ledger, open; None for one that only looks at what is finished.
        name: of the artefacts in each stage's folder.
        workers: processes for what is heavy; 0 works in this one.
        max_skipped: share of its items that a stage may skip.
        retry: reasons (or `all`) of skips that are tried again.
    """

    work: Path
    ledger: Any
    name: str = "main"
    workers: int = 0
    max_skipped: float = 0.9
    retry: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w[\w.-]*", self.name):
            raise InputError(f"--name {self.name!r} has to be letters, digits, '.', '_' and '-'")
        if self.workers < 0:
            raise InputError(f"--workers {self.workers} has to be 0 (work in this process) or more")

    def folder(self, stage: str) -> Path:
        """The folder of a stage's artefact: `captions`, or `features/BACKBONE` for one of several."""
        room, _, part = stage.partition("/")
        return self.work / room / self.name / part

    def rooms(self, room: str) -> list[str]:
        """The finished artefacts of a room that has several side by side, as `folder` takes them, by name."""
        return [f"{room}/{part}" for part in manifests_below(self.work / room / self.name)]

    def hash_of(self, stage: str) -> str:
        """The hash of a finished stage's manifest; `videos` has no name of its own."""
        return str(read_manifest(self.work / "videos" if stage == "videos" else self.folder(stage))["hash"])

    def require_retry(self) -> None:
        """See to it that something was skipped for each reason that is to be tried again.

        Raises:
            InputError: nothing was; names the reasons that there are.
        """
        reasons: set[str] = set().union(*map(self.ledger.reasons, skipping(self.ledger, self.name)))
        unknown = sorted(set(self.retry) - reasons - {"all"})
        if unknown:
            there = f"here there are {', '.join(sorted(reasons))}" if reasons else "nothing was skipped here"
            raise InputError(f"--retry {unknown[0]}: no video was skipped for that, {there}")

    def require_current(self, stage: str) -> None:
        """See to it that `stage` was made from what lies there now, back to the videos.

        Raises:
            InputError: it is unfinished, or older than what it is made from.
        """
        made_from = {} if stage == "videos" else read_manifest(self.folder(stage))["inputs"]
        for name, known in made_from.items():
            self.require_current(name)
            if self.hash_of(name) != known:
                command, _, backbone = stage.partition("/")
                again = f"{command} {self.work}" + (f" --backbone {unquote(backbone)}" if backbone else "")
                raise InputError(f"{name} changed since {stage} was made: run `tellvision {again}` first")


def content_of(table: pa.Table) -> str:
    """Names the values of a table."""
    values: list[Any] = [table.column(name).to_pylist() for name in table.schema.names]
    return hashlib.sha256(repr(values).encode()).hexdigest()[:16]


def skipped(ledger: Ledger, name: str) -> Mapping[str, Row]:
    """The videos that did not make it into the pairs, each with the first reason."""
    found: dict[str, Row] = {}
    for stage in skipping(ledger, name, ("captions", "clips", "features", "pairs")):
        for row in ledger.skipped(stage):
            found.setdefault(row.item, row)
    return found


def skipping(ledger: Ledger, name: str, rooms: Sequence[str] = SKIPPING) -> list[str]:
    """The stages that may have skipped a video, in the order of the chain; of features one for each backbone."""
    every = ledger.stages()
    stages = ["videos"]
    for room in rooms:
        stages += [stage for stage in every if f"{stage}/".startswith(f"{room}/{name}/")]
    return stages
