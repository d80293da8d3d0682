"""Large backbones fed from videos: how much of the network alone is left, on a GPU if there is one.

ViT-B/16 (CLIP's) and ResNet-152 with random weights, saved in the form in which the real ones are released
and loaded from there, in half precision where the device has it. `network` is one process with frames in
memory, in batches as large as the pipeline's; `end to end` are the workers that decode, and, on a GPU, the
service that they ask. On a processor both share the cores, and the slower takes nearly all.
"""

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.figures import Report, cores, figure
from tellvision.draw import DrawConfig, draw
from tellvision.media import Frames
from tellvision.records import Skip
from tellvision.runners import Result, map_items
from tellvision.vision.extractors import find
from tellvision.vision.features import Job, extract
from tellvision.vision.network import Network, Runtime, best_device
from tellvision.vision.service import serving


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is measured."""

    backbones: tuple[str, ...] = ("clip", "resnet")
    """Families."""
    small: bool = False
    """Networks of the same kind with next to nothing in them."""
    videos: int = 2
    """Videos per worker and round."""
    rounds: int = 3
    """Times that everything is measured."""
    runtime: Runtime = "auto"
    """Of the networks on a processor."""


SMALLEST = Size(small=True, videos=1, rounds=1, runtime="pytorch")


def measure(size: Size) -> Iterator[Report]:
    """A report per backbone."""
    device = best_device("auto")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        config = DrawConfig(size=(64, 48) if size.small else (640, 480), fps=2 if size.small else 25)
        draw(folder / "videos", count=cores(), seed=0, config=config, workers=cores())
        videos = sorted((folder / "videos").glob("*.mp4")) * size.videos
        for family in size.backbones:
            backbone = f"{family}:{_saved(family, folder, size.small)}"
            yield _compare(family, backbone, device, videos, size)


def _saved(family: str, folder: Path, small: bool) -> Path:
    """Random weights in the released form."""
    torch.manual_seed(0)
    return _clip(folder / "clip", small) if family == "clip" else _resnet(folder / "resnet152-0.pth", small)


def _clip(folder: Path, small: bool) -> Path:
    from transformers import CLIPConfig, CLIPModel

    vision = {"patch_size": 16, "image_size": 224}
    if small:
        vision |= {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    CLIPModel(CLIPConfig(vision_config=vision, text_config=text)).save_pretrained(folder)
    preparation = {
        "do_resize": True, "size": {"shortest_edge": 224}, "resample": 3,
        "do_center_crop": True, "crop_size": {"height": 224, "width": 224},
        "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True,
        "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711],
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(preparation))
    return folder


def _resnet(path: Path, small: bool) -> Path:
    from tellvision.vision.extractors.residual import Residual

    network = Residual(RESNET_50 if small else RESNET_152)
    weights = network.state_dict()
    weights |= {"fc.weight": torch.zeros(1000, 2048), "fc.bias": torch.zeros(1000)}
    torch.save(weights, path)
    return path


RESNET_50, RESNET_152 = (3, 4, 6, 3), (3, 8, 36, 3)


def _compare(family: str, backbone: str, device: str, videos: list[Path], size: Size) -> Report:
    extractor = find(backbone)
    frames = np.stack([picture for _, picture in Frames(videos[0], [extractor.view])])
    units = frames[: len(frames) // extractor.unit * extractor.unit].reshape(-1, extractor.unit, *frames.shape[1:])
    network = Network(extractor, device, size.runtime)
    rates: dict[str, list[float]] = {"network": [], "end to end": []}
    with ExitStack() as stack:
        service = stack.enter_context(serving([backbone], device)) if device != "cpu" else None
        for _ in range(size.rounds + 1):  # the first does not count
            rates["network"].append(_alone(network, units, 2 if device == "cpu" else 40))
            rates["end to end"].append(
                _together(
                    Job(path=videos[0], backbones=(backbone,), runtime=size.runtime, service=service), videos
                )
            )
    found = {name: rate[1:] for name, rate in rates.items()}
    return Report(
        title=f"backbones: {family}, random weights, {len(videos)} videos, {cores()} workers, on {device}",
        rates={name: (rate, "frames/s") for name, rate in found.items()},
        figures=(
            figure(
                f"backbones.{family}.of_network",
                found["end to end"],
                found["network"],
                "share",
                f"the network alone on {device}, frames in memory",
                budget=0.85,
            ),
        ),
    )


def _alone(network: Network, units: np.ndarray, times: int) -> float:
    began = time.monotonic()
    for _ in range(times):
        network(units)
    return times * len(units) / (time.monotonic() - began)


def _together(job: Job, videos: list[Path]) -> float:
    """Frames per second, from the first result on: starting the workers is left out."""
    jobs = ((str(n), replace(job, path=video)) for n, video in enumerate([*videos[: cores()], *videos]))
    began, frames = time.monotonic(), 0
    for n, (_, result) in enumerate(map_items(_work, jobs, cores())):
        if isinstance(result, Skip):
            raise result
        if n < cores():
            began = time.monotonic()
        else:
            frames += result.output
    return frames / (time.monotonic() - began)


def _work(job: Job) -> Result[Any]:
    (track,) = extract(job).output.values()
    assert isinstance(track, Result)
    return Result(len(track.output), "")
