"""The training loop: pairs in, a checkpoint out (paper, section 4.2).

    runs/NAME/   model.safetensors, config.json, ... (see checkpoint.py), metrics.jsonl and tensorboard/ (see
                 loop/journal.py), held_out.txt (ids that were kept out), state.pt (what a killed run goes on from)

The same pairs, configuration and seed give the same weights on the same machine with as many threads, also when
the run was killed in between. Over several processes each takes its share of every batch.
"""

import hashlib
import math
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from tellvision.embedding import checkpoint
from tellvision.embedding.batches import Batch, Batches, DataSet, feed
from tellvision.embedding.config import TrainConfig, to_dict
from tellvision.embedding.loop.average import Average
from tellvision.embedding.loop.journal import EVERY, Journal, Silence
from tellvision.embedding.loop.schedules import learning_rate
from tellvision.embedding.loop.state import State, keep_weights, put_weights
from tellvision.embedding.loop.state import end as end_state
from tellvision.embedding.loop.steps import keep_freed_memory, optimizer_of, precision_of, take_step
from tellvision.embedding.losses import loss_of
from tellvision.embedding.model import TextVideoModel
from tellvision.embedding.together import Together
from tellvision.records import InputError
from tellvision.store import digest

BEST = "best.safetensors"  # weights of the best epoch so far, until the run is over
LAST = "last"  # checkpoint of the last epoch, where another one is the run's own
RECALL = "R@10"  # what early stopping watches
LOOK_EVERY = 32  # losses on a GPU: to read one is to wait for it
PACE = 1.0  # seconds over which the speed is told

Measure = Callable[[TextVideoModel], dict[str, float]]  # recall on a fixed set of clips, by name
Tell = Callable[[int, int, dict[str, float]], None]  # batches done, batches in all, what was measured


class Trained(nn.Module):
    """What learns: the two towers and what the loss learns beside them. Forward gives the loss of a batch."""

    def __init__(self, model: TextVideoModel, config: TrainConfig) -> None:
        super().__init__()
        self.model = model
        self.loss = loss_of(config)
        self._towers = torch.compile(model, dynamic=True) if config.compile else model

    def forward(self, batch: Batch) -> Tensor:
        """The loss, a scalar float32."""
        texts, clips = self._towers(batch.texts, batch.clips, batch.steps, batch.distinct)
        loss: Tensor = self.loss(texts, clips, batch.video)
        return loss


def train(
    sets: Sequence[DataSet],
    model: TextVideoModel,
    config: TrainConfig,
    folder: Path,
    *,
    measure: Measure | None = None,
    together: Together | None = None,
    wandb: str | None = None,
    tell: Tell = lambda *_: None,
    about: dict[str, Any] | None = None,
) -> TextVideoModel:
    """Train `model`, write the run to `folder`, and return the model.

    Args:
        sets: what is drawn from, the first one's videos once in an epoch; rows as the model reads them.
        model: new or to be trained further; parameters that need no gradient stay as they are.
        config: how it learns.
        folder: of the run; where a state with the same input lies there, training goes on from it.
        measure: recall told after each epoch; with `config.patience` it decides when to stop and what is kept.
        together: the processes that train together; None: this one alone, on a GPU if there is one.
        wandb: project of Weights & Biases that is told as well.
        tell: told after every batch: `loss`, `pairs_per_second`, and what `measure` gave last.
        about: kept in the checkpoint beside the configuration.

    Raises:
        InputError: nothing to train on, rows of another width, a loss that is no number, a lost process.
    """
    folder.mkdir(parents=True, exist_ok=True)
    together = together or Together()
    keep_freed_memory()
    batches = Batches(
        sets,
        videos_per_batch=config.videos_per_batch,
        pairs_per_video=config.pairs_per_video,
        bag=config.bag,
        seed=config.seed,
        rank=together.rank,
        world=together.world,
        distinct=model.config.text.tokens != "sentence",
    )
    width = sets[0].source.shape[-1]
    if width != model.config.video_dim:
        raise InputError(f"the pairs have rows of {width} numbers, the model reads {model.config.video_dim}")
    if not len(batches):
        raise InputError("nothing to train on: no training video says a known word over a picture")
    gpus = [together.device] if together.device.type == "cuda" else []
    with (
        torch.random.fork_rng(gpus),
        _Run(sets, model, config, folder, batches, measure, together, wandb, about) as run,
    ):
        total = config.epochs * len(batches)
        start = (run.standing.epoch, run.standing.number)
        with feed(batches, start=start, epochs=config.epochs, device=together.device) as fed:
            for batch in fed if not run.standing.ended else ():
                run.learn(batch)
                run.standing.number += 1
                if run.standing.number == len(batches):
                    run.end_epoch()
                tell(batch.epoch * len(batches) + batch.number + 1, total, run.told())
                run.keep()
                if run.standing.ended:
                    break
        return run.finish()


class _Run:
    """The parts of a run, and what is done with them: a batch, the end of an epoch, a state, the end."""

    def __init__(
        self,
        sets: Sequence[DataSet],
        model: TextVideoModel,
        config: TrainConfig,
        folder: Path,
        batches: Batches,
        measure: Measure | None,
        together: Together,
        wandb: str | None,
        about: dict[str, Any] | None,
    ) -> None:
        self._config, self._folder, self._batches, self._measure = config, folder, batches, measure
        self._together, self._about = together, about or {}
        fingerprint = _fingerprint(sets, model, config)
        together.agree(fingerprint)
        self._model = model.train()
        self._trained = Trained(model, config).to(together.device)
        self._optimizer = optimizer_of(self._trained, config)
        self._average = None if config.ema is None else Average(model, config.ema)
        self._state = State(folder, fingerprint, self._trained, self._optimizer, self._average)
        self.standing = self._state.restore()
        together.agree(f"{self.standing.epoch} {self.standing.number}")
        self._loss_of: nn.Module = DistributedDataParallel(self._trained) if together.world > 1 else self._trained
        if isinstance(self._loss_of, DistributedDataParallel):
            self._loss_of.broadcast_buffers = False  # the table of words is the same everywhere, and large
        self._precision = precision_of(config, together.device)
        self._steps_per_epoch = -(-len(batches) // config.accumulate)
        self._pending: list[tuple[Tensor, Tensor, Tensor]] = []  # losses that were not looked at yet
        self._latest, self._found, self._pace = math.nan, dict[str, float](), _Pace()
        self._journal = (
            Silence()
            if not together.first
            else Journal(
                folder,
                wandb=wandb,
                about=asdict(config) | self._about,
                kept=self.standing.journal,
                step=self.standing.step,
            )
        )

    def __enter__(self) -> "_Run":
        return self

    def __exit__(self, *_: object) -> None:
        self._journal.close()

    def learn(self, batch: Batch) -> None:
        """Forward and backward on a batch; with the last one of a step, the step of the optimiser."""
        config, standing = self._config, self.standing
        closes = (batch.number + 1) % config.accumulate == 0 or batch.number + 1 == len(self._batches)
        torch.manual_seed(_mixed(config.seed, batch.epoch, batch.number, self._together.rank))  # of dropout
        joined = self._loss_of if isinstance(self._loss_of, DistributedDataParallel) else None
        with joined.no_sync() if joined and not closes else nullcontext():
            with torch.autocast(self._together.device.type, self._precision, self._precision != torch.float32):
                loss = self._loss_of(batch)
            (loss / self._summed(batch.number)).backward()
        self._pending.append((loss.detach(), batch.rows, batch.source))
        self._pace.add(len(batch.video) * self._together.world)
        if not closes:
            return
        self._rate = learning_rate(config, standing.step, self._steps_per_epoch)
        take_step(self._optimizer, self._trained, self._rate, config.clip_gradient)
        if self._average is not None:
            self._average.update()
        standing.step += 1
        if standing.step % EVERY == 0:
            self._look()
            self._write({"loss": self._latest})

    def end_epoch(self) -> None:
        """Measure, write the epoch's line, and say whether it was the last."""
        self._look()
        standing, patience = self.standing, self._config.patience
        mean = standing.loss_sum / len(self._batches)
        standing.epoch, standing.number, standing.loss_sum = standing.epoch + 1, 0, 0.0
        standing.ended = standing.epoch == self._config.epochs
        if self._measure is not None:
            with self._as_kept():
                self._found = self._measure(self._model.eval())
                if patience and RECALL not in self._found:
                    raise InputError(
                        "nothing says when to stop, no validation video has clips: raise --train.validation, "
                        "or set --train.patience 0"
                    )
                recall = self._found.get(RECALL, -1.0)
                better = recall > standing.best
                if patience and better and self._together.first:
                    keep_weights(self._model, self._folder / BEST)
            self._model.train()
            standing.best = max(standing.best, recall)
            standing.stale = 0 if better else standing.stale + 1
            standing.ended |= bool(patience) and standing.stale >= patience
            self._together.agree(str(standing.ended))
        self._write({"epoch": standing.epoch, "loss": mean} | self._found)

    def told(self) -> dict[str, float]:
        """What is said of the run while it goes on."""
        if self._together.device.type == "cpu" or len(self._pending) >= LOOK_EVERY:
            self._look()
        return {"loss": self._latest, "pairs_per_second": self._pace.speed} | self._found

    def keep(self) -> None:
        """Keep a state where one is due; not between two batches of one step, whose gradients nobody keeps."""
        closes = self.standing.number % self._config.accumulate == 0
        if self._together.first and closes and (self.standing.ended or self._state.is_due()):
            self._look()
            self.standing.journal = self._journal.size()
            self._state.keep(self.standing)

    def finish(self) -> TextVideoModel:
        """Write the checkpoint, and give the model back on the CPU, ready to use."""
        model, folder = self._model.eval(), self._folder
        if self._average is not None:
            self._average.put()
        model.to("cpu")
        if self._together.first:
            shutil.rmtree(folder / LAST, ignore_errors=True)  # of a run before
            if self._config.patience and (folder / BEST).exists():
                checkpoint.save(model, folder / LAST, self._extra())
                put_weights(model, folder / BEST)
            checkpoint.save(model, folder, self._extra())
        self._together.barrier()
        return model

    def _summed(self, number: int) -> int:
        """Batches that share the step of a batch, whose gradients are averaged; the last ones may be fewer."""
        first = number - number % self._config.accumulate
        return min(self._config.accumulate, len(self._batches) - first)

    def _look(self) -> None:
        """See that the losses so far are numbers; not after every batch, since a GPU would wait for it."""
        for value, (_, rows, source) in zip(_numbers(self._pending), self._pending, strict=True):
            if not math.isfinite(value):
                ids = self._batches.sets[int(source[0])].source.pairs.clip_ids(rows[:3].numpy())
                raise InputError(
                    f"the loss is no number at step {self.standing.step}, epoch {self.standing.epoch + 1}, in a "
                    f"batch with the clips {', '.join(ids)}: look at them, or try "
                    f"--train.learning-rate {self._config.learning_rate / 10:g}"
                )
            self.standing.loss_sum += value
            self._latest = value
        self._pending = []

    def _write(self, values: dict[str, float]) -> None:
        self._journal.write(self.standing.step, values | {"learning_rate": self._rate}, self._pace.speed)

    def _as_kept(self) -> AbstractContextManager[None]:
        return nullcontext() if self._average is None else self._average.in_place()

    def _extra(self) -> dict[str, Any]:
        num_videos = sum(len(one.videos) for one in self._batches.sets)
        return {
            "train": asdict(self._config),
            "num_videos": num_videos,
            "epochs": self.standing.epoch,
        } | self._about


class _Pace:
    """Pairs per second, of late."""

    def __init__(self) -> None:
        self._began, self._pairs = time.perf_counter(), 0
        self.speed = 0.0

    def add(self, pairs: int) -> None:
        self._pairs += pairs
        if (passed := time.perf_counter() - self._began) > PACE or not self.speed:
            self.speed = self._pairs / max(passed, 1e-9)
            self._began, self._pairs = time.perf_counter(), 0


def end(folder: Path) -> None:
    """Take away what only a killed run needs: for whoever closes the run, once it is measured."""
    end_state(folder)
    (folder / BEST).unlink(missing_ok=True)


def _numbers(pending: Sequence[tuple[Tensor, Any, Any]]) -> list[float]:
    """Of all losses at once: each by itself would be a wait for the GPU."""
    return torch.stack([loss for loss, *_ in pending]).tolist() if pending else []


def _mixed(*numbers: int) -> int:
    """A seed of several numbers."""
    return int.from_bytes(hashlib.sha256(repr(numbers).encode()).digest()[:8], "little") >> 1


def _fingerprint(sets: Sequence[DataSet], model: TextVideoModel, config: TrainConfig) -> str:
    """Names all that decides what a run makes: clips, texts, first weights, configuration."""
    inputs = hashlib.sha256()
    for value in model.state_dict().values():
        inputs.update(value.cpu().contiguous().numpy().tobytes())
    about = [(one.source.pairs.content, one.weight, sorted(one.videos)) for one in sets]
    learned = [name for name, value in model.named_parameters() if value.requires_grad]
    return digest(inputs.hexdigest(), about, model.reading, learned, to_dict(model.config), asdict(config))
