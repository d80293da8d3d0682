"""One training step against the machine's own matrix product.

A step is what the loop of `embedding.train` does with a batch: both towers, max margin, backward, Adam. Its
arithmetic is counted by formula (`products`): every matrix product once forward and once for each operand
that needs a gradient, two operations per multiply-add; element-wise work, the loss and Adam count nothing,
though they take time. The baseline computes the same products, of the same shapes, and nothing else, in
float32 (what a step computes in) and in bfloat16 (what the machine could do). The share of a step that they
would take is the figure.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from benchmarks.corpus import texts, vocabulary
from benchmarks.figures import Report, figure, interleaved
from tellvision import recipes
from tellvision.embedding.config import ModelConfig, Track, TrainConfig
from tellvision.embedding.losses import max_margin
from tellvision.embedding.model import TextVideoModel
from tellvision.embedding.text import TextTransform, offline_word_pieces

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A size of model and batch."""

    name: str
    dim: int
    video_dim: int
    videos: int
    pairs_per_video: int = 64


def _recipe(name: str, video_dim: int) -> Case:
    recipe = recipes.find(name)
    train = recipe.train
    return Case(
        name=name,
        dim=recipe.dim,
        video_dim=video_dim,
        videos=train.videos_per_batch,
        pairs_per_video=train.pairs_per_video,
    )


LAPTOP = _recipe("laptop", video_dim=1280)
PAPER = _recipe("paper", video_dim=4096)
D512 = Case(name="d512", dim=512, video_dim=1280, videos=32)
D4096 = Case(name="d4096", dim=4096, video_dim=4096, videos=8)


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is measured."""

    cases: tuple[Case, ...] = (LAPTOP, D512, D4096)
    """On the CPU."""
    gpu_cases: tuple[Case, ...] = (LAPTOP, PAPER)
    """On a CUDA device, where there is one."""
    rounds: int = 9
    """Times that everything is measured."""


_SMALL = Case(name="small", dim=8, video_dim=16, videos=2, pairs_per_video=2)
SMALLEST = Size(cases=(_SMALL,), gpu_cases=(_SMALL,), rounds=1)


@dataclass(frozen=True)
class Product:
    """(rows, inner) @ (inner, columns), so many times in a step."""

    rows: int
    inner: int
    columns: int
    times: int

    @property
    def operations(self) -> int:
        """Multiplications and additions."""
        return 2 * self.rows * self.inner * self.columns * self.times


def products(config: ModelConfig, num_pairs: int, num_distinct: int) -> tuple[Product, ...]:
    """The matrix products of a step.

    A layer whose input needs no gradient (the word vectors, the rows of features) is computed forward and
    for its weights: twice; any other a third time for its input.

    Args:
        config: the sizes of the model.
        num_pairs: texts and clips in the batch.
        num_distinct: distinct tokens in it: the word layer runs once for each.
    """
    d, pooled = config.dim, config.word_layer_dim
    return (
        Product(num_distinct, config.word_dim, pooled, 2),
        Product(num_pairs, pooled, d, 3),  # text: project
        Product(num_pairs, config.video_dim, d, 2),  # clip: project
        Product(num_pairs, d, d, 6),  # both gates
        Product(num_pairs, d, num_pairs, 3),  # similarity
    )


def measure(size: Size) -> Iterator[Report]:
    """One report per device and case."""
    for case in size.cases:
        yield _case(case, torch.device("cpu"), size.rounds)
    if torch.cuda.is_available():
        for case in size.gpu_cases:
            yield _case(case, torch.device("cuda"), size.rounds)


def _case(case: Case, device: torch.device, rounds: int) -> Report:
    track = Track(name="random", fps=1.0, dim=case.video_dim)
    model = TextVideoModel.new(ModelConfig(tracks=(track,), dim=case.dim), seed=0).to(device)
    tokens, clips, video = _batch(case, model)
    train = TrainConfig()
    optimizer = torch.optim.Adam(model.parameters(), lr=train.learning_rate)

    def step() -> None:
        texts, rows = model(tokens, clips)
        loss = max_margin(texts @ rows.T, video, train.margin, train.same_video)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()

    work = products(model.config, len(tokens), len(torch.unique(tokens)))
    operations = sum(product.operations for product in work)
    measures = {"step": _rate(step, operations, device)}
    for name, dtype in DTYPES.items():
        measures[f"products in {name}"] = _rate(_multiply(work, dtype, device), operations, device)
    rates = interleaved(measures, rounds)
    shares = tuple(
        figure(
            f"step.{case.name}.{device.type}.of_{name}",
            rates["step"],
            rates[f"products in {name}"],
            "share",
            f"the step's own matrix products in {name}, nothing else",
            budget=0.5 if name == "bfloat16" and device.type == "cpu" else None,
        )
        for name in DTYPES
    )
    seconds = operations / 1e9 / float(np.median(rates["step"]))
    return Report(
        title=(
            f"step: d = {case.dim}, rows of {case.video_dim}, {case.videos} x {case.pairs_per_video} pairs, "
            f"on {device.type}, {rounds} rounds"
        ),
        rates={name: (found, "GFLOP/s") for name, found in rates.items()},
        figures=shares,
        notes=(f"{operations / 1e9:.1f} GFLOP and {seconds:.3f} s a step, {len(tokens) / seconds:,.0f} pairs/s",),
    )


def _batch(case: Case, model: TextVideoModel) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Token ids, rows of unit length and video numbers of one batch, on the model's device."""
    rng = np.random.default_rng(0)
    pieces = offline_word_pieces()
    num_pairs = case.videos * case.pairs_per_video
    tokens = TextTransform(model.config.text, pieces).token_ids(texts(vocabulary(pieces), num_pairs, seed=0))
    clips = rng.random((num_pairs, case.video_dim), np.float32)
    clips /= np.linalg.norm(clips, axis=1, keepdims=True)
    video = np.repeat(np.arange(case.videos), case.pairs_per_video)
    return tuple(torch.from_numpy(array).to(model.device) for array in (tokens, clips, video))  # type: ignore[return-value]


def _multiply(work: tuple[Product, ...], dtype: torch.dtype, device: torch.device) -> Callable[[], None]:
    operands = [
        (
            torch.randn(product.rows, product.inner, device=device).to(dtype),
            torch.randn(product.inner, product.columns, device=device).to(dtype),
            product.times,
        )
        for product in work
    ]

    def multiply() -> None:
        for left, right, times in operands:
            for _ in range(times):
                left @ right

    return multiply


def _rate(work: Callable[[], None], operations: int, device: torch.device) -> Callable[[], float]:
    """A measure of `work` in GFLOP/s."""

    def measure() -> float:
        began = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return operations / 1e9 / (time.perf_counter() - began)

    return measure
