"""One training step against the machine's own matrix product, its memory, and the same step written plainly.

A step is what the loop of `embedding.train` does with a batch: both towers, the loss, backward, the optimiser.
Its arithmetic is counted by formula (`products`): every matrix product once forward and once for each operand
that needs a gradient, two operations per multiply-add; element-wise work, the loss and the optimiser count
nothing, though they take time. The baseline of forward and backward is one large matrix product in the same
numbers; that of the optimiser a copy within memory, by the bytes it has to move. The plain step does the same in
float32 without a thought for speed: every word by itself through the word layer, the whole matrix of scores, Adam
weight by weight.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.corpus import texts, vocabulary
from benchmarks.figures import Report, figure, interleaved
from tellvision.embedding.batches import Batch
from tellvision.embedding.config import ModelConfig, Track, TrainConfig
from tellvision.embedding.loop.steps import keep_freed_memory, optimizer_of, precision_of, take_step
from tellvision.embedding.losses import max_margin
from tellvision.embedding.model import TextVideoModel
from tellvision.embedding.text import TextTransform, offline_word_pieces
from tellvision.embedding.train import Trained

BYTES_PER_WEIGHT = (
    28  # Adam reads weight, gradient and both moments, and writes all but the gradient; 4 bytes each
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A size of model and batch."""

    dim: int
    video_dim: int = 4096
    videos: int = 32
    pairs_per_video: int = 64

    @property
    def name(self) -> str:
        """For figures."""
        return f"d{self.dim}.b{self.videos * self.pairs_per_video}"


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is measured."""

    cases: tuple[Case, ...] = (Case(dim=1024), Case(dim=4096))
    """On the CPU."""
    gpu_cases: tuple[Case, ...] = tuple(
        Case(dim=dim, videos=videos) for dim in (4096, 6144) for videos in (32, 128)
    )
    """On a CUDA device, where there is one."""
    rounds: int = 3
    """Times that everything is measured."""
    gpu_steps: int = 30
    """Steps of a round on a GPU: one alone is shorter than the wait for it."""
    peak: int = 4096
    """Side of the large matrix product."""
    copied: int = 1 << 28
    """Bytes of the copy within memory."""


_SMALL = Case(dim=8, video_dim=16, videos=2, pairs_per_video=2)
SMALLEST = Size(cases=(_SMALL,), gpu_cases=(_SMALL,), rounds=1, gpu_steps=2, peak=16, copied=1 << 12)


def products(config: ModelConfig, num_pairs: int, num_distinct: int) -> int:
    """Operations of the matrix products of a step, those of the text and clip towers and of the scores.

    A layer whose input needs no gradient (the word vectors, the rows of features) is computed forward and
    for its weights: twice; any other a third time for its input.

    Args:
        config: the sizes of the model.
        num_pairs: texts and clips in the batch.
        num_distinct: distinct tokens in it: the word layer runs once for each.
    """
    d, pooled = config.dim, config.word_layer_dim
    multiplied = (
        (num_distinct * config.word_dim * pooled, 2),
        (num_pairs * pooled * d, 3),  # text: project
        (num_pairs * config.video_dim * d, 2),  # clip: project
        (num_pairs * d * d, 6),  # both gates
        (num_pairs * d * num_pairs, 3),  # scores
    )
    return sum(2 * one * times for one, times in multiplied)


def measure(size: Size) -> Iterator[Report]:
    """One report per device and case."""
    keep_freed_memory()
    for case in size.cases:
        yield _case(case, torch.device("cpu"), size)
    if torch.cuda.is_available():
        for case in size.gpu_cases:
            yield _case(case, torch.device("cuda"), size)


def _case(case: Case, device: torch.device, size: Size) -> Report:
    on_gpu = device.type == "cuda"
    config, steps = TrainConfig(), size.gpu_steps if on_gpu else 1
    track = Track(name="random", fps=1.0, dim=case.video_dim)
    model = TextVideoModel.new(ModelConfig(tracks=(track,), dim=case.dim), seed=0)
    plain = _Plain(model, device)
    trained = Trained(model.train(), config).to(device)
    batch = made_batch(case, model)
    optimizer, kind = optimizer_of(trained, config), precision_of(config, device)
    num_pairs, num_weights = len(batch.video), sum(value.numel() for value in trained.parameters())
    assert batch.distinct is not None
    operations = products(model.config, num_pairs, len(batch.distinct))

    def learn() -> None:
        with torch.autocast(device.type, kind, kind != torch.float32):
            loss = trained(batch)
        loss.backward()

    def whole() -> None:
        learn()
        take_step(optimizer, trained, config.learning_rate, None)

    def forward_and_backward() -> None:
        learn()
        for value in trained.parameters():
            value.grad = None

    whole()
    trained(batch).backward()
    gradients = [torch.zeros_like(value) for value in trained.parameters()]

    def update() -> None:
        for value, gradient in zip(trained.parameters(), gradients, strict=True):
            value.grad = gradient
        take_step(optimizer, trained, 0.0, None)

    left, right = (torch.randn(size.peak, size.peak, device=device).to(kind) for _ in range(2))
    source = torch.empty(size.copied, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    names = f"{kind}".removeprefix("torch.")
    rates = interleaved(
        {
            "whole step": _rate(whole, num_pairs, device, steps),
            "plain step in float32": _rate(lambda: plain.step(batch), num_pairs, device, steps),
            "forward and backward": _rate(forward_and_backward, operations / 1e9, device, steps),
            f"product in {names}": _rate(lambda: left @ right, 2 * size.peak**3 / 1e9, device, steps),
            "optimiser": _rate(update, num_weights * BYTES_PER_WEIGHT / 1e9, device, steps),
            "copy in memory": _rate(lambda: target.copy_(source), 2 * size.copied / 1e9, device, steps),
        },
        size.rounds,
    )
    units = ("pairs/s", "pairs/s", "GFLOP/s", "GFLOP/s", "GB/s", "GB/s")
    prefix = f"step.{case.name}.{device.type}"
    budget = 0.35 if on_gpu else 0.5
    share = float(np.median(rates["whole step"])) * operations / num_pairs / 1e9
    peak = float(np.median(rates[f"product in {names}"]))
    notes = [
        f"{num_weights / 1e6:.1f}M weights, {operations / 1e9:.1f} GFLOP a step; "
        f"the whole step at {share / peak:.2f} of the product",
    ]
    if on_gpu:
        notes.append(f"{torch.cuda.max_memory_allocated() / 2**30:.1f} GiB of GPU memory at most")
    return Report(
        title=(
            f"step: d = {case.dim}, rows of {case.video_dim}, {num_pairs} pairs of at most "
            f"{model.config.text.max_words} words, data on {device.type}, {size.rounds} rounds"
        ),
        rates={name: (found, unit) for (name, found), unit in zip(rates.items(), units, strict=True)},
        figures=(
            figure(
                f"{prefix}.of_plain", rates["whole step"], rates["plain step in float32"], "x", "the plain step"
            ),
            figure(
                f"{prefix}.of_product",
                rates["forward and backward"],
                rates[f"product in {names}"],
                "share",
                f"one product of {size.peak} x {size.peak} matrices in {names}; forward and backward alone",
                budget,
            ),
            figure(
                f"{prefix}.optimiser_of_memory",
                rates["optimiser"],
                rates["copy in memory"],
                "share",
                "a copy within memory, bytes read and written",
            ),
        ),
        notes=tuple(notes),
    )


def made_batch(case: Case, model: TextVideoModel) -> Batch:
    """Token ids, rows of unit length and video numbers of one batch, on the model's device."""
    rng = np.random.default_rng(0)
    pieces = offline_word_pieces()
    num_pairs = case.videos * case.pairs_per_video
    tokens = TextTransform(model.config.text, pieces).token_ids(texts(vocabulary(pieces), num_pairs, seed=0))
    distinct, places = np.unique(tokens, return_inverse=True)
    places = places.reshape(tokens.shape)
    if distinct[0] < 0:  # the empty place stands behind all others
        distinct = distinct[1:]
        places = np.where(places == 0, len(distinct), places - 1)
    clips = rng.random((num_pairs, case.video_dim), np.float32)
    clips /= np.linalg.norm(clips, axis=1, keepdims=True)
    video = np.repeat(np.arange(case.videos), case.pairs_per_video)

    def there(array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(model.device)

    return Batch(
        epoch=0,
        number=0,
        clips=there(clips.astype(np.float16)),
        steps=None,
        texts=there(places.astype(np.int64)),
        distinct=there(distinct.astype(np.int64)),
        video=there(video),
        rows=torch.arange(num_pairs),
        source=torch.zeros(num_pairs, dtype=torch.int64),
    )


class _Plain:
    """The paper's network and loss as one would write them down, in float32."""

    def __init__(self, model: TextVideoModel, device: torch.device) -> None:
        assert model.word_table is not None
        self._table = model.word_table.to(device)
        self._weights = {
            name: torch.nn.Parameter(value.detach().clone().to(device)) for name, value in model.named_parameters()
        }
        self._adam = torch.optim.Adam(self._weights.values(), lr=1e-4, foreach=False)

    def step(self, batch: Batch) -> None:
        """Forward, backward and Adam."""
        assert batch.distinct is not None
        there = batch.texts < len(batch.distinct)
        ids = batch.distinct[batch.texts.clamp(max=len(batch.distinct) - 1)]
        words = self._table[ids] * there[..., None]
        hidden = F.relu(self._linear("word_layer", words)) * there[..., None]
        texts = self._unit("text_unit", hidden.amax(dim=1))
        clips = self._unit("clip_unit", batch.clips.float())
        loss = max_margin(texts @ clips.T, batch.video)
        self._adam.zero_grad()
        loss.backward()
        self._adam.step()

    def _linear(self, name: str, x: Tensor) -> Tensor:
        return F.linear(x, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"])

    def _unit(self, name: str, x: Tensor) -> Tensor:
        x = self._linear(f"{name}.project", x)
        return F.normalize(x * torch.sigmoid(self._linear(f"{name}.gate", x)), dim=1)


def _rate(work: Callable[[], object], amount: float, device: torch.device, times: int) -> Callable[[], float]:
    """A measure of `work`: `amount` per second."""

    def measure() -> float:
        began = time.perf_counter()
        for _ in range(times):
            work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return times * amount / (time.perf_counter() - began)

    return measure
