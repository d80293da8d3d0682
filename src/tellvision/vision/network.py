"""A backbone's network on a device: the one place that knows of processors, precision and batches.

PyTorch runs it, and on the processor OpenVINO where it is installed (extra `openvino`): faster, the same
vectors within half precision. Half precision is bfloat16, taken where the device multiplies in it: it has
the range of float32, so nothing overflows in it.
"""

import importlib.util
import warnings
from collections.abc import Callable
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from tellvision.records import InputError, Skip
from tellvision.vision.extractors import Extractor

CPU_FRAMES, GPU_FRAMES = 8, 256  # in a batch; a device that has no room for them gets fewer
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)

Runtime = Literal["auto", "pytorch", "openvino"]


class Network:
    """A backbone's network, ready on a device.

    Args:
        extractor: whose network.
        device: one that `best_device` knows.
        runtime: `auto` is OpenVINO on the processor where it is installed and can run the network, else PyTorch.
        threads: of this process, on the processor; None: as many as PyTorch has.

    Attributes:
        runtime: what it runs on, `pytorch` or `openvino`.

    Raises:
        InputError: the device, the runtime or the weights cannot be used.
    """

    def __init__(
        self, extractor: Extractor, device: str = "cpu", runtime: Runtime = "auto", threads: int | None = None
    ) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        self._device = torch.device(best_device(device))
        on_processor = self._device.type == "cpu"
        self._dim = extractor.dim
        self._batch = max(1, (CPU_FRAMES if on_processor else GPU_FRAMES) // extractor.unit)
        if runtime == "openvino" and not (on_processor and _has_openvino()):
            raise InputError(
                "OpenVINO runs on the processor alone: --device cpu; pip install 'tellvision[openvino]'"
            )
        network = extractor.network().eval().requires_grad_(False)
        example = _example(extractor)
        self.runtime: Runtime = "pytorch"
        if on_processor and runtime != "pytorch" and _has_openvino():
            try:
                self._network, self.runtime = _compiled(network, example), "openvino"
            except Exception as error:  # tracing and converting run whatever the network is made of
                if runtime == "openvino":
                    reason = (str(error).splitlines() or [type(error).__name__])[0]
                    raise InputError(f"OpenVINO cannot run this backbone, PyTorch can: {reason}") from error
        if self.runtime == "pytorch":
            fold(network, example)
            self._network = _prepared(network, self._device)

    @torch.inference_mode()
    def __call__(self, units: np.ndarray) -> np.ndarray:
        """(n, unit, height, width, 3) uint8 RGB -> (n, dim) float32, rows of unit length; all zero stays zero.

        Raises:
            Skip: a vector is not finite (`not_finite`).
            InputError: the device has no room for a single unit.
        """
        found = [torch.empty((0, self._dim), device=self._device)]
        done = 0
        while done < len(units):
            try:
                found.append(self._embed(units[done : done + self._batch]))
                done += len(found[-1])
            except torch.OutOfMemoryError:
                if self._batch == 1:
                    raise InputError(
                        f"{self._device} has no room for this backbone: free its memory, or take another device"
                    ) from None
                self._batch //= 2
                torch.cuda.empty_cache()
        rows = torch.cat(found).cpu()
        if bad := int((~rows.isfinite()).any(dim=1).sum()):
            raise Skip("not_finite", f"{bad} of {len(rows)} vectors are no finite numbers")
        return rows.numpy()

    def _embed(self, units: np.ndarray) -> torch.Tensor:
        pixels = torch.from_numpy(np.ascontiguousarray(units))
        if self._device.type == "cuda":
            # From pinned memory it is copied while the network is still busy with the batch before.
            pixels = pixels.pin_memory().to(self._device, non_blocking=True)
        else:
            pixels = pixels.to(self._device)
        return nn.functional.normalize(self._network(pixels).float(), dim=1, eps=1e-30)


def best_device(asked: str) -> str:
    """The device to use: `auto` is a GPU where there is one, else the processor.

    Args:
        asked: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.

    Raises:
        InputError: no such device here.
    """
    there = ["cpu", "mps"] if torch.backends.mps.is_available() else ["cpu"]
    if gpus := torch.cuda.device_count() if torch.cuda.is_available() else 0:
        there += ["cuda", *(f"cuda:{number}" for number in range(gpus))]
    if asked == "auto":
        return "cuda" if gpus else "cpu"
    if asked not in there:
        raise InputError(f"no device {asked!r} here: use auto or one of {', '.join(there)}")
    return asked


def has_bfloat16() -> bool:
    """Whether this processor multiplies in bfloat16: without its instructions that is slower than float32."""
    return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


@torch.no_grad()
def fold(network: nn.Module, example: torch.Tensor) -> int:
    """Fold every batch norm into the convolution that is registered right before it, as it nearly always runs.

    Where the network gives other vectors for `example` afterwards it is left as it was.

    Args:
        network: in float32, in evaluation mode; changed in place.
        example: what it takes.

    Returns:
        how many were folded.
    """
    pairs = [
        (parent, names, (convolution, norm))
        for parent in network.modules()
        for names, (convolution, norm) in _neighbours(parent)
        if isinstance(convolution, nn.Conv2d | nn.Conv3d)
        and isinstance(norm, _NORMS)
        and convolution.out_channels == norm.num_features
        and norm.running_var is not None
    ]
    if not pairs:
        return 0
    before = network(example)
    for parent, names, (convolution, norm) in pairs:
        setattr(parent, names[0], fuse_conv_bn_eval(convolution, norm))
        setattr(parent, names[1], nn.Identity())
    if _alike(network(example), before, share=1e-3):
        return len(pairs)
    for parent, names, originals in pairs:
        for name, original in zip(names, originals, strict=True):
            setattr(parent, name, original)
    return 0


def _neighbours(parent: nn.Module) -> list[tuple[tuple[str, str], tuple[nn.Module, nn.Module]]]:
    children = pairwise(parent.named_children())
    return [((name, after), (first, second)) for (name, first), (after, second) in children]


def _alike(found: torch.Tensor, expected: torch.Tensor, share: float) -> bool:
    """Whether all vectors (n, dim) are finite and closer to the expected ones than a share of their length."""
    if found.shape != expected.shape:
        return False
    apart = (found.float() - expected.float()).norm(dim=1)
    return bool((apart <= share * expected.float().norm(dim=1)).all())


def _example(extractor: Extractor) -> torch.Tensor:
    """Two units of a few soft patches of colour, as a network takes them: likelier than noise."""
    height, width = extractor.view.shape(1, 1)
    patches = torch.rand((2 * extractor.unit, 3, 4, 4), generator=torch.Generator().manual_seed(0))
    pictures = nn.functional.interpolate(255 * patches, (height, width), mode="bilinear")
    return pictures.to(torch.uint8).permute(0, 2, 3, 1).reshape(2, extractor.unit, height, width, 3).contiguous()


def _prepared(network: nn.Module, device: torch.device) -> nn.Module:
    """On the device, in its precision, channels last in memory."""
    if device.type == "cuda" or (device.type == "cpu" and has_bfloat16()):
        network.to(torch.bfloat16)
    network.to(device)
    for part in network.modules():
        if isinstance(part, nn.Conv2d | nn.Conv3d):
            order = torch.channels_last if isinstance(part, nn.Conv2d) else torch.channels_last_3d
            part.weight.data = part.weight.data.contiguous(memory_format=order)
    return network


def _has_openvino() -> bool:
    return importlib.util.find_spec("openvino") is not None


@torch.no_grad()
def _compiled(network: nn.Module, example: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """The network in OpenVINO, for batches and pictures of any size.

    Raises:
        Exception: whatever tracing and converting it raise.
        ValueError: it gives other vectors than PyTorch.
    """
    import openvino
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    # Not openvino.convert_model, which does the same: it reports its use to its makers.
    frontend = FrontEndManager().load_by_framework("pytorch")
    with warnings.catch_warnings():  # of a traced network's shapes: that they are not fixed is seen below
        warnings.simplefilter("ignore")
        decoder = TorchScriptPythonDecoder(network, example_input=(example[:1],))
        model = frontend.convert(frontend.load(decoder))
    settings = {
        "INFERENCE_PRECISION_HINT": "bf16" if has_bfloat16() else "f32",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": False,  # several processes would share one core and leave the others
    }
    request = openvino.Core().compile_model(model, "CPU", settings).create_infer_request()

    def embed(units: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(request.infer([units.numpy()], share_inputs=True)[0].copy())

    if not _alike(embed(example), network(example), share=0.25):
        raise ValueError("its vectors are others")
    return embed
