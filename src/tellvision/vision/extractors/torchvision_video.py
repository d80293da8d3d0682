"""torchvision's video networks, trained on Kinetics-400: ResNets over 16 frames, S3D, MViT, Video Swin.

`torchvision:r2plus1d_18` reads the released file from where torch.hub keeps its files;
`torchvision:r2plus1d_18=/path/of/weights.pth` reads another one, as torchvision names its weights, with any
number of classes. The vector is what the classifier would see. Rates, frames, colours and sizes are those
of training as torchvision publishes them, with two liberties. Its scaling skips pixels when it
shrinks, ours takes all of them in. And for the ResNets it squeezes every picture to 171 x 128; here the
short side becomes 128 and the aspect is kept, which is the same for 4:3.
"""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from tellvision.media import View
from tellvision.records import InputError
from tellvision.vision.extractors import weights
from tellvision.vision.extractors.pixels import Normalise, like

_Colour = tuple[float, float, float]
_KINETICS: tuple[_Colour, _Colour] = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)
_IMAGENET: tuple[_Colour, _Colour] = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_GREY: tuple[_Colour, _Colour] = (0.45, 0.45, 0.45), (0.225, 0.225, 0.225)

_SMALL = View(fps=15.0, size=112, fit="crop", short=128, interpolation="bilinear")
_SQUEEZED = View(fps=15.0, size=256, interpolation="bilinear")  # whole; the middle is cut out in the network
_LARGE = View(fps=15.0, size=224, fit="crop", short=256, interpolation="bilinear")
_SLOW = View(fps=7.5, size=224, fit="crop", short=256, interpolation="bilinear")


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What torchvision publishes about a network and its weights."""

    file: str
    """Name of the released file; ends in the first digits of its sha256."""
    view: View
    """Rate and size of its frames."""
    unit: int
    """Frames of a clip in training."""
    colours: tuple[_Colour, _Colour]
    """Mean and standard deviation of red, green and blue, in 0 to 1."""
    head: str
    """Name of the classifier."""
    dim: int
    """Width of what the classifier sees."""
    cut: int = 0
    """Pixels cut off at every side within the network."""


MODELS = {
    "r3d_18": Facts(
        file="r3d_18-b3b3357e.pth",
        view=_SMALL,
        unit=16,
        colours=_KINETICS,
        head="fc",
        dim=512,
    ),
    "mc3_18": Facts(
        file="mc3_18-a90a0ba3.pth",
        view=_SMALL,
        unit=16,
        colours=_KINETICS,
        head="fc",
        dim=512,
    ),
    "r2plus1d_18": Facts(
        file="r2plus1d_18-91a641e6.pth",
        view=_SMALL,
        unit=16,
        colours=_KINETICS,
        head="fc",
        dim=512,
    ),
    "s3d": Facts(
        file="s3d-d76dad2f.pth",
        view=_SQUEEZED,
        unit=64,
        colours=_KINETICS,
        head="classifier",
        dim=1024,
        cut=16,
    ),
    "mvit_v1_b": Facts(
        file="mvit_v1_b-dbeb1030.pth",
        view=_SLOW,
        unit=16,
        colours=_GREY,
        head="head",
        dim=768,
    ),
    "mvit_v2_s": Facts(
        file="mvit_v2_s-ae3be167.pth",
        view=_SLOW,
        unit=16,
        colours=_GREY,
        head="head",
        dim=768,
    ),
    "swin3d_t": Facts(
        file="swin3d_t-7615ae03.pth",
        view=_LARGE,
        unit=32,
        colours=_IMAGENET,
        head="head",
        dim=768,
    ),
    "swin3d_s": Facts(
        file="swin3d_s-da41c237.pth",
        view=_LARGE,
        unit=32,
        colours=_IMAGENET,
        head="head",
        dim=768,
    ),
    "swin3d_b": Facts(
        file="swin3d_b_1k-24f7c7c6.pth",
        view=_LARGE,
        unit=32,
        colours=_IMAGENET,
        head="head",
        dim=1024,
    ),
}
"""Name at torchvision -> what it publishes."""


@dataclass(frozen=True, kw_only=True)
class TorchvisionVideo:
    """See `tellvision.vision.extractors.Extractor`."""

    model: str
    path: Path
    tail: Literal["black", "last"] = "last"

    @property
    def view(self) -> View:
        """As in training."""
        return MODELS[self.model].view

    @property
    def unit(self) -> int:
        """As in training."""
        return MODELS[self.model].unit

    @property
    def dim(self) -> int:
        """Width of what the classifier sees."""
        return MODELS[self.model].dim

    @property
    def weights(self) -> str:
        """sha256 of the file."""
        return weights.sha256(self.path)

    def network(self) -> torch.nn.Module:
        """(n, unit, size, size, 3) uint8 -> (n, dim)."""
        facts = MODELS[self.model]
        digits = Path(facts.file).stem.rpartition("-")[2]
        if self.path.name == facts.file and not self.weights.startswith(digits):
            raise InputError(f"{self.path} is damaged: its sha256 begins {self.weights[:8]}; fetch it again")
        build = _builder(self.model)
        found = weights.read(self.path)
        with torch.device("meta"):
            network = build(weights=None)
        setattr(network, facts.head, torch.nn.Identity())
        if isinstance(pool := getattr(network, "avgpool", None), torch.nn.AvgPool3d):
            network.avgpool = _InFloat32(pool)
        found = {name: value for name, value in found.items() if not name.startswith(f"{facts.head}.")}
        return _OfClips(weights.fill(network, found, self.path), facts).eval()


def find(model: str) -> TorchvisionVideo:
    """A name of `MODELS`, or NAME=FILE.

    Raises:
        InputError: an unknown name, no torchvision, or no file of weights.
    """
    name, _, file = model.partition("=")
    if name not in MODELS:
        raise InputError(f"unknown model torchvision:{name}: use {', '.join(MODELS)}")
    if importlib.util.find_spec("torchvision") is None:
        raise InputError(f"torchvision:{name} needs torchvision: pip install 'tellvision[torchvision]'")
    path = Path(file) if file else Path(torch.hub.get_dir()) / "checkpoints" / MODELS[name].file
    if not path.is_file():
        raise InputError(
            f"no weights at {path}: put {MODELS[name].file} there, or name a file by torchvision:{name}=FILE"
        )
    return TorchvisionVideo(model=name, path=path)


def _builder(name: str) -> Callable[..., torch.nn.Module]:
    try:
        from torchvision.models import video
    except (ImportError, OSError, RuntimeError) as error:  # made for another torch, it fails within
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"torchvision does not go with torch {torch.__version__} ({reason}): install both from one index"
        ) from None
    build: Callable[..., torch.nn.Module] = getattr(video, name)
    return build


class _InFloat32(torch.nn.Module):
    """A mean that processors cannot take in half precision."""

    def __init__(self, pool: torch.nn.AvgPool3d) -> None:
        super().__init__()
        self.pool = pool

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        mean: torch.Tensor = self.pool(maps.float())
        return mean


class _OfClips(torch.nn.Module):
    """A network without its classifier, over clips (n, 3, unit, h, w)."""

    def __init__(self, network: torch.nn.Module, facts: Facts) -> None:
        super().__init__()
        mean, std = facts.colours
        self.network, self.normalise, self._cut = network, Normalise(_bytes(mean), _bytes(std)), facts.cut

    def forward(self, units: torch.Tensor) -> torch.Tensor:
        cut = slice(self._cut, -self._cut or None)
        clips = like(self.normalise(units[:, :, cut, cut]).transpose(1, 2), self.network)
        vectors: torch.Tensor = self.network(clips)
        return vectors.float()


def _bytes(colour: _Colour) -> _Colour:
    red, green, blue = colour
    return 255.0 * red, 255.0 * green, 255.0 * blue
