"""The state of a run between two steps, kept on disk so that a killed one goes on at the very next batch.

state.pt     weights, the optimiser's moments, the average, where the loop stands
"""

import os
import pickle
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import nn

from tellvision.embedding.loop.average import Average
from tellvision.records import InputError
from tellvision.store import atomic_write, sync

STATE = "state.pt"
EVERY = 10.0  # seconds between two states, at least
SHARE = 0.05  # of the time may go into writing them


@dataclass
class Standing:
    """Where a run stands."""

    epoch: int = 0
    """Epochs that are done."""
    number: int = 0
    """Batches of the next one that are done."""
    step: int = 0
    """Steps of the optimiser so far."""
    loss_sum: float = 0.0
    """Of the losses of the epoch's batches so far."""
    journal: int = 0
    """Bytes of metrics.jsonl so far."""
    best: float = -1.0
    """Best recall on the validation videos."""
    stale: int = 0
    """Epochs since then."""
    ended: bool = False
    """Whether nothing is left to do."""


class State:
    """Keeps and restores what a run needs to go on.

    Args:
        folder: of the run.
        fingerprint: names everything that decides what the run makes; a state of another one is not gone on from.
        trained: whose parameters are kept.
        optimizer: whose moments are kept.
        average: of the weights; None: none.
    """

    def __init__(
        self,
        folder: Path,
        fingerprint: str,
        trained: nn.Module,
        optimizer: torch.optim.Optimizer,
        average: Average | None,
    ) -> None:
        self._path, self._fingerprint = folder / STATE, fingerprint
        self._trained, self._optimizer, self._average = trained, optimizer, average
        self._due = time.monotonic() + EVERY

    def restore(self) -> Standing:
        """Everything as it was when it was kept; the very beginning without a state of the same run."""
        try:
            kept = torch.load(self._path, weights_only=True, map_location="cpu")
            if kept["fingerprint"] != self._fingerprint:
                return Standing()
            standing = Standing(**kept["standing"])
        except (OSError, EOFError, RuntimeError, pickle.UnpicklingError, KeyError, TypeError, ValueError):
            return Standing()  # none there, or damaged
        self._trained.load_state_dict(kept["weights"], strict=False)  # buffers are not trained
        self._optimizer.load_state_dict(kept["optimizer"])
        if self._average is not None:
            self._average.restore(kept["average"], kept["average_steps"])
        return standing

    def is_due(self) -> bool:
        """Whether enough time has passed since the last one."""
        return time.monotonic() >= self._due

    def keep(self, standing: Standing) -> None:
        """Write the state, whole or not at all.

        Raises:
            InputError: the disk is full, or refuses.
        """
        began = time.monotonic()
        state: dict[str, Any] = {
            "fingerprint": self._fingerprint,
            "standing": asdict(standing),
            "weights": {name: value.detach() for name, value in self._trained.named_parameters()},
            "optimizer": self._optimizer.state_dict(),
        }
        if self._average is not None:
            state |= {"average": self._average.weights, "average_steps": self._average.steps}
        _write(state, self._path)
        ended = time.monotonic()
        self._due = ended + max(EVERY, (ended - began) / SHARE)


def _write(state: Mapping[str, Any], path: Path) -> None:
    """Straight into the file: the bytes of a wide model in memory would be as much again."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
    except (OSError, RuntimeError) as error:  # torch wraps what the disk says
        temporary.unlink(missing_ok=True)
        raise InputError(f"{path} cannot be written: {(str(error).splitlines() or ['no reason'])[0]}") from None
    temporary.replace(path)
    sync(path.parent)


def keep_weights(model: nn.Module, path: Path) -> None:
    """What a model has learned so far, whole or not at all."""
    weights = {name: value.detach().cpu().contiguous() for name, value in model.named_parameters()}
    atomic_write(path, safetensors.torch.save(weights))


def put_weights(model: nn.Module, path: Path) -> None:
    """Put back what `keep_weights` kept."""
    model.load_state_dict(safetensors.torch.load_file(path), strict=False)  # buffers are not trained


def end(folder: Path) -> None:
    """Take away what only a killed run needs: for whoever closes the run, once it is measured."""
    for left in (STATE, f"{STATE}.tmp"):  # the second one where a kill came while it was written
        (folder / left).unlink(missing_ok=True)
