"""What a run tells while it learns: metrics.jsonl, TensorBoard's files, Weights & Biases where it is asked for.

    metrics.jsonl     {"step": 100, "loss": ..., "learning_rate": ...} every hundred steps, and after each epoch
                      {"step": 210, "epoch": 1, "loss": mean of the epoch, "learning_rate": ..., "R@10": ...}
    tensorboard/      the same, with the speed

A resumed run cuts off what was written behind the state it goes on from.
"""

import hashlib
import importlib.util
import json
import os
import shutil
from pathlib import Path
from typing import Any

from tellvision.records import InputError

METRICS = "metrics.jsonl"
TENSORBOARD = "tensorboard"
EVERY = 100  # steps between two lines


class Journal:
    """Writes a run's lines.

    Args:
        folder: of the run.
        wandb: project of Weights & Biases; None: nothing is sent.
        about: the run's configuration, for Weights & Biases.
        kept: bytes of metrics.jsonl that were written when the state that is gone on from was kept; 0: a new run.
        step: of that state.

    Raises:
        InputError: `wandb` was asked for and is not installed, or refuses.
    """

    def __init__(self, folder: Path, *, wandb: str | None, about: dict[str, Any], kept: int, step: int) -> None:
        from tensorboardX import SummaryWriter

        path = folder / METRICS
        self._wandb = _wandb_run(wandb, folder, about) if wandb else None
        if kept and (not path.exists() or path.stat().st_size < kept):
            raise InputError(f"{path} has lost its end: delete {folder} and train again")
        self._lines = path.open("a", encoding="utf-8")
        self._lines.truncate(kept)
        if not kept:
            shutil.rmtree(folder / TENSORBOARD, ignore_errors=True)
        # Two starts within a second would write the same file but for the step in its name.
        purged = {"purge_step": step + 1} if step else {}
        self._board = SummaryWriter(str(folder / TENSORBOARD), filename_suffix=f".{step}", **purged)

    def write(self, step: int, values: dict[str, float], speed: float) -> None:
        """One line; `speed` in pairs per second goes to the boards alone, since no two runs have the same."""
        self._lines.write(json.dumps({"step": step} | values) + "\n")
        boards = {name: value for name, value in values.items() if name != "epoch"} | {"pairs_per_second": speed}
        prefix = "epoch/" if "epoch" in values else "step/"
        for name, value in boards.items():
            self._board.add_scalar(prefix + name, value, step)
        if self._wandb is not None:
            self._wandb.log({prefix + name: value for name, value in boards.items()}, step=step)

    def size(self) -> int:
        """Bytes of metrics.jsonl that are on disk, all lines so far."""
        self._lines.flush()
        os.fsync(self._lines.fileno())
        return os.fstat(self._lines.fileno()).st_size

    def close(self) -> None:
        """Let go of the files."""
        self._lines.close()
        self._board.close()
        if self._wandb is not None:
            self._wandb.finish()


class Silence:
    """A journal that keeps nothing: that of every process but the first."""

    def write(self, step: int, values: dict[str, float], speed: float) -> None:
        """Nothing."""

    def size(self) -> int:
        """0."""
        return 0

    def close(self) -> None:
        """Nothing."""


def _wandb_run(project: str, folder: Path, about: dict[str, Any]) -> Any:
    if importlib.util.find_spec("wandb") is None:
        raise InputError("--wandb needs Weights & Biases: pip install 'tellvision[wandb]'")
    import wandb

    try:
        return wandb.init(project=project, dir=str(folder), config=about, resume="allow", id=_run_id(folder))
    except wandb.Error as error:
        raise InputError(f"--wandb {project}: {(str(error).splitlines() or ['refused'])[0]}") from None


def _run_id(folder: Path) -> str:
    """The same for the same folder, so that a resumed run goes on where its curves ended."""
    return hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
