"""The training loop: pairs in, a checkpoint out (paper, section 4.2).

    runs/NAME/   model.safetensors, config.json, tokenizer.json (see checkpoint.py), metrics.jsonl (a line
                 per epoch), held_out.txt (ids that were kept out), state.pt (the end of an epoch, from
                 which a killed run goes on)

The same pairs, configuration and seed give the same weights on the same machine, also when the run was
killed in between.
"""

import hashlib
import io
import json
import math
import pickle
import time
from collections.abc import Callable, Collection
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tellvision.embedding import checkpoint
from tellvision.embedding.config import ModelConfig, TrainConfig, to_dict
from tellvision.embedding.losses import max_margin
from tellvision.embedding.model import TextVideoModel
from tellvision.embedding.pairs import Batches, Pairs
from tellvision.records import InputError
from tellvision.store import atomic_write, digest

STATE = "state.pt"
METRICS = "metrics.jsonl"
HELD_OUT = "held_out.txt"
SAVE_EVERY = 10.0  # seconds that pass between two states, at least; the last epoch's is always kept

EpochCallback = Callable[[int, int, dict[str, float]], None]  # epochs done, epochs in all, what was measured


def split(videos: Collection[str], share: float) -> set[str]:
    """The videos to keep out of training: `share` of them, always the same ones for the same names.

    A video's place is decided by the hash of its id, so that adding videos moves few others.
    """
    ordered = sorted(videos, key=lambda video: hashlib.sha256(video.encode()).digest())
    return set(ordered[: round(share * len(ordered))])


def train(
    pairs: Pairs,
    model_config: ModelConfig,
    config: TrainConfig,
    folder: Path,
    *,
    videos: Collection[str],
    start: TextVideoModel | None = None,
    on_epoch: EpochCallback = lambda *_: None,
) -> TextVideoModel:
    """Train on the pairs of `videos`, write the run to `folder`, and return the model.

    Args:
        pairs: rows of `model_config.video_dim` numbers.
        model_config: sizes of a new model; ignored with `start`.
        config: how it learns.
        folder: of the run; where a state with the same input lies there, training goes on from it.
        videos: ids to train on.
        start: a model to go on training (fine-tuning), in place of a new one.
        on_epoch: told after every epoch: `loss`, `learning_rate`, `pairs_per_second`.

    Raises:
        InputError: nothing to train on, rows of another width, a loss that is no number.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model = start or TextVideoModel.new(model_config, seed=config.seed)
    if pairs.dim != model.config.video_dim:
        raise InputError(f"the pairs have rows of {pairs.dim} numbers, the model reads {model.config.video_dim}")
    assert model.text is not None
    tokens = model.text.token_ids(pairs.table["text"].to_pylist())
    batches = Batches(
        pairs,
        tokens,
        np.any(tokens >= 0, axis=1),
        videos,
        videos_per_batch=config.videos_per_batch,
        pairs_per_video=config.pairs_per_video,
        seed=config.seed,
    )
    if not len(batches):
        raise InputError("nothing to train on: no training video says a known word over a picture")
    optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, config.decay)

    fingerprint = _fingerprint(pairs, tokens, model, config, videos, fresh=start is None)
    loop = _Loop(folder, model, optimizer, schedule, fingerprint)
    for epoch in range(loop.resume(), config.epochs):
        began, losses = time.perf_counter(), []
        for batch in batches.epoch(epoch):
            texts, clips = model(torch.from_numpy(batch.tokens), torch.from_numpy(batch.clips))
            loss = max_margin(texts @ clips.T, torch.from_numpy(batch.video), config.margin, config.same_video)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        rate = float(schedule.get_last_lr()[0])
        schedule.step()
        measured = {"loss": float(np.mean(losses)), "learning_rate": rate}
        if not math.isfinite(measured["loss"]):
            raise InputError(
                f"the loss is no number after epoch {epoch + 1}: try --train.learning-rate {rate / 10:g}"
            )
        loop.end_epoch(epoch, measured, last=epoch + 1 == config.epochs)
        num_pairs = batches.num_videos * config.pairs_per_video
        on_epoch(
            epoch + 1, config.epochs, measured | {"pairs_per_second": num_pairs / (time.perf_counter() - began)}
        )

    model.eval()
    checkpoint.save(model, folder, {"train": asdict(config), "num_videos": batches.num_videos})
    return model


def end(folder: Path) -> None:
    """Take away what only a killed run needs: for whoever closes the run, once it is measured."""
    for left in (STATE, f"{STATE}.tmp"):  # the second one where a kill came while it was written
        (folder / left).unlink(missing_ok=True)


def write_held_out(folder: Path, videos: Collection[str]) -> None:
    """Keep beside a run which videos it was not trained on."""
    atomic_write(folder / HELD_OUT, "".join(f"{video}\n" for video in sorted(videos)).encode())


def read_held_out(folder: Path) -> set[str]:
    """The videos that the run in `folder` was not trained on; InputError where there is no run."""
    try:
        return set((folder / HELD_OUT).read_text(encoding="utf-8").split("\n")) - {""}
    except FileNotFoundError:
        raise InputError(f"{folder} holds no run: begin with `tellvision run VIDEOS --out WORK`") from None


class _Loop:
    """Keeps on disk what is needed to go on after a kill: weights, optimiser, epoch, the lines so far."""

    def __init__(self, folder: Path, model: Any, optimizer: Any, schedule: Any, fingerprint: str) -> None:
        self._path, self._fingerprint = folder / STATE, fingerprint
        self._metrics = folder / METRICS
        self._parts = {"optimizer": optimizer, "schedule": schedule}
        self._model = model
        self._lines: list[str] = []
        self._saved = time.monotonic()

    def resume(self) -> int:
        """The epoch to begin with, everything put back as it was; 0 without a state of the same run."""
        try:
            state = torch.load(self._path, weights_only=True)
        except (OSError, EOFError, RuntimeError, pickle.UnpicklingError):  # none there, or damaged
            return 0
        if state["fingerprint"] != self._fingerprint:
            return 0
        self._model.load_state_dict(state["model"], strict=False)  # the word table is not trained
        for name, part in self._parts.items():
            part.load_state_dict(state[name])
        self._lines = state["lines"]
        return int(state["epoch"])

    def end_epoch(self, epoch: int, measured: dict[str, float], *, last: bool) -> None:
        self._lines.append(json.dumps({"epoch": epoch + 1} | measured))
        atomic_write(self._metrics, "".join(line + "\n" for line in self._lines).encode())
        if not last and time.monotonic() - self._saved < SAVE_EVERY:
            return
        buffer = io.BytesIO()
        state = {name: part.state_dict() for name, part in self._parts.items()}
        weights = {name: value for name, value in self._model.state_dict().items() if name != "word_table"}
        state |= {"fingerprint": self._fingerprint, "epoch": epoch + 1, "model": weights, "lines": self._lines}
        torch.save(state, buffer)
        atomic_write(self._path, buffer.getvalue())
        self._saved = time.monotonic()


def _fingerprint(
    pairs: Pairs,
    tokens: np.ndarray,
    model: TextVideoModel,
    config: TrainConfig,
    videos: Collection[str],
    *,
    fresh: bool,
) -> str:
    inputs = hashlib.sha256(tokens.tobytes())
    if not fresh:  # new weights follow from the seed, given ones are part of the input
        for value in model.state_dict().values():
            inputs.update(value.numpy().tobytes())
    return digest(inputs.hexdigest(), pairs.content, to_dict(model.config), asdict(config), sorted(videos))
