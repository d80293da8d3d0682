"""One network, one thread, several ways to run it: which is the fastest on this processor?

Against PyTorch as it comes: eager, float32. `network` is `vision.network.Network` with PyTorch, what is used
unless OpenVINO is installed; OpenVINO and ONNX Runtime (with what exports to it) are measured where they
are installed, `compiled` where there is a compiler. A worker has one core, so the rate is that of
processor time: others on the machine disturb it less.
"""

import copy
import importlib.util
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import nn

from benchmarks.figures import Report, figure, interleaved
from tellvision.media import View
from tellvision.vision.extractors import Extractor, find
from tellvision.vision.extractors.pixels import Normalise, like
from tellvision.vision.extractors.residual import Residual
from tellvision.vision.network import CPU_FRAMES, Network, has_bfloat16

Run = Callable[[np.ndarray], np.ndarray]
BASELINE = "eager float32"


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is measured."""

    networks: tuple[str, ...] = ("lite0", "vit-b16", "resnet152")
    """Names of `NETWORKS`."""
    pixels: int = 224
    """Of both sides."""
    batches: int = 4
    """Per round."""
    rounds: int = 5
    """Times that everything is measured."""
    compiled: bool = True
    """Whether also through torch.compile, a minute or more for each network."""


SMALLEST = Size(networks=("lite0",), pixels=64, batches=1, rounds=1, compiled=False)


@dataclass(frozen=True, kw_only=True)
class _Given:
    """A backbone whose network is here already."""

    made: nn.Module
    view: View
    dim: int
    unit: int = 1
    tail: Literal["black", "last"] = "last"
    weights: str = "none"

    def network(self) -> nn.Module:
        return copy.deepcopy(self.made)


class _Pictures(nn.Module):
    """Pixels as networks want them, then the network."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.normalise = network, Normalise((127.0,) * 3, (64.0,) * 3)

    def forward(self, units: torch.Tensor) -> torch.Tensor:
        found = self.network(like(self.normalise(units)[:, 0], self.network))
        return found if isinstance(found, torch.Tensor) else found.last_hidden_state[:, 0]


def _vit(pixels: int) -> nn.Module:
    from transformers import ViTConfig, ViTModel

    return _Pictures(ViTModel(ViTConfig(image_size=pixels), add_pooling_layer=False))


NETWORKS: dict[str, tuple[int, Callable[[int], nn.Module]]] = {
    "lite0": (1280, lambda _: find("efficientnet-lite0").network()),
    "vit-b16": (768, _vit),
    "resnet152": (2048, lambda _: _Pictures(Residual((3, 8, 36, 3)))),
}
"""Name -> width of a vector, how the network is made for so many pixels; all but Lite0 with random weights."""


def measure(size: Size) -> Iterator[Report]:
    """A report per network."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with tempfile.TemporaryDirectory() as folder:
            for name in size.networks:
                yield _compare(name, size, Path(folder))
    finally:
        torch.set_num_threads(threads)


def _compare(name: str, size: Size, folder: Path) -> Report:
    torch.manual_seed(0)
    dim, make = NETWORKS[name]
    view = View(fps=1.0, size=size.pixels)
    extractor = _Given(made=make(size.pixels).eval().requires_grad_(False), view=view, dim=dim)
    units = _pictures(CPU_FRAMES * size.batches, size.pixels)
    expected = _unit(_eager(extractor.made)(units[:CPU_FRAMES]))
    runs: dict[str, Run] = {}
    notes = []
    for way, prepare in _ways(size).items():
        began = time.perf_counter()
        runs[way] = prepare(extractor, folder)
        rows = _unit(runs[way](units[:CPU_FRAMES]))
        seconds = time.perf_counter() - began
        likeness = float((rows * expected).sum(axis=1).min())
        notes.append(f"{way}: ready after {seconds:.1f} s, cosine with float32 at least {likeness:.4f}")
    rates = interleaved({way: partial(_rate, run, units) for way, run in runs.items()}, size.rounds)
    return Report(
        title=f"runtimes: {name}, {size.pixels} x {size.pixels}, batches of {CPU_FRAMES}, one thread",
        rates={way: (found, "frames per second of processor time") for way, found in rates.items()},
        figures=tuple(
            figure(
                f"runtimes.{name}.{way.replace(' ', '_')}", found, rates[BASELINE], "x", "PyTorch, eager, float32"
            )
            for way, found in rates.items()
            if way != BASELINE
        ),
        notes=tuple(notes),
    )


def _ways(size: Size) -> dict[str, Callable[[Extractor, Path], Run]]:
    """What is installed here; the baseline first."""
    ways: dict[str, Callable[[Extractor, Path], Run]] = {
        BASELINE: lambda extractor, _: _eager(extractor.network()),
        "network": lambda extractor, _: Network(extractor, runtime="pytorch", threads=1),
    }
    if has_bfloat16():
        ways["bfloat16"] = lambda extractor, _: _eager(_half(extractor.network()))
    if size.compiled and any(map(shutil.which, ("g++", "clang++"))):
        ways["compiled"] = lambda extractor, _: _eager(_compiled(extractor.network()))
    if importlib.util.find_spec("openvino"):
        ways["openvino"] = lambda extractor, _: Network(extractor, runtime="openvino", threads=1)
    if all(map(importlib.util.find_spec, ("onnx", "onnxruntime", "onnxscript"))):
        ways["onnxruntime"] = _onnx
    return ways


def _eager(network: Callable[[torch.Tensor], torch.Tensor]) -> Run:
    @torch.no_grad()
    def run(units: np.ndarray) -> np.ndarray:
        return network(torch.from_numpy(units)).float().numpy()

    return run


def _half(network: nn.Module) -> nn.Module:
    network = network.to(torch.bfloat16)
    for part in network.modules():
        if isinstance(part, nn.Conv2d):
            part.weight.data = part.weight.data.contiguous(memory_format=torch.channels_last)
    return network


def _compiled(network: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    ready: Callable[[torch.Tensor], torch.Tensor] = torch.compile(_half(network) if has_bfloat16() else network)
    return ready


def _onnx(extractor: Extractor, folder: Path) -> Run:
    import onnxruntime

    height, width = extractor.view.shape(1, 1)
    example = torch.zeros((CPU_FRAMES, 1, height, width, 3), dtype=torch.uint8)
    path = folder / "network.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(extractor.network(), (example,), path, input_names=["units"], verbose=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(units: np.ndarray) -> np.ndarray:
        rows: np.ndarray = session.run(None, {"units": units})[0]
        return rows

    return run


def _rate(run: Run, units: np.ndarray) -> float:
    began = time.process_time()
    for start in range(0, len(units), CPU_FRAMES):
        run(units[start : start + CPU_FRAMES])
    return len(units) / (time.process_time() - began)


def _pictures(n: int, pixels: int) -> np.ndarray:
    """(n, 1, pixels, pixels, 3) uint8: soft patches of colour, more like photographs than noise is."""
    patches = 255 * torch.rand((n, 3, 7, 7), generator=torch.Generator().manual_seed(0))
    pictures = nn.functional.interpolate(patches, (pixels, pixels), mode="bicubic").clamp(0, 255)
    return np.ascontiguousarray(pictures.to(torch.uint8).permute(0, 2, 3, 1).numpy()[:, None])


def _unit(rows: np.ndarray) -> np.ndarray:
    unit: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit
