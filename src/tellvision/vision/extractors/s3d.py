"""MIL-NCE's S3D with gates and its text tower, trained from HowTo100M alone: a pair that needs no training.

Reads `s3d_howto100m.pth` and, for the texts, `s3d_dict.npy` beside it, as their authors released them. 32
frames at 10 per second make a vector of the joint space, 512 wide; of each frame the middle square,
224 pixels, colours in 0 to 1; what lacks at the end is black.

A text's words (`[\\w']+`, lower case, those of the dictionary, the first 16) go through a linear layer and
ReLU, then the maximum over the 16 places and another linear layer. As released, the empty places
join the maximum. The pair was trained on plain dot products; here all rows have unit length.
"""

import functools
import hashlib
import itertools
import os
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from tellvision.media import View
from tellvision.records import InputError
from tellvision.vision.extractors import weights
from tellvision.vision.extractors.pixels import Normalise, like

FILE, DICTIONARY = "s3d_howto100m.pth", "s3d_dict.npy"

VIEW = View(fps=10.0, size=224, fit="crop", interpolation="bicubic")

MOST_WORDS = 16
"""Words of a text that count."""

_TEXT = "text_module."
_BLOCK = 256  # texts at a time: 16 places of 2048 numbers each
_WIDTHS = {
    "mixed_3b": (64, 96, 128, 16, 32, 32),
    "mixed_3c": (128, 128, 192, 32, 96, 64),
    "mixed_4b": (192, 96, 208, 16, 48, 64),
    "mixed_4c": (160, 112, 224, 24, 64, 64),
    "mixed_4d": (128, 128, 256, 24, 64, 64),
    "mixed_4e": (112, 144, 288, 32, 64, 64),
    "mixed_4f": (256, 160, 320, 32, 128, 128),
    "mixed_5b": (256, 160, 320, 32, 128, 128),
    "mixed_5c": (384, 192, 384, 48, 128, 128),
}
_Kernel = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class S3D:
    """See `tellvision.vision.extractors.Extractor`."""

    path: Path
    view: View = VIEW
    unit: int = 32
    tail: Literal["black", "last"] = "black"
    dim: int = 512

    @property
    def weights(self) -> str:
        """sha256 of the file of weights."""
        return weights.sha256(self.path)

    def network(self) -> nn.Module:
        """(n, frames, h, w, 3) uint8, all of them even -> (n, 512)."""
        found = {name: value for name, value in weights.read(self.path).items() if not name.startswith(_TEXT)}
        with torch.device("meta"):
            network = _Video()
        return _OfStacks(weights.fill(network, found, self.path)).eval()


def find(model: str) -> S3D:
    """The folder of the two files, or the path of the weights; InputError: nothing there."""
    return S3D(path=_file(model))


class Text:
    """Texts -> the joint space of `S3D`. Nothing heavy is loaded before the first text.

    Attributes:
        dim: width of a vector.
    """

    dim = 512

    def __init__(self, path: Path) -> None:
        self._path, self._words = path, path.parent / DICTIONARY

    @property
    def weights(self) -> str:
        """Names the weights and the dictionary (64 hex digits)."""
        both = weights.sha256(self._path) + weights.sha256(self._words)
        return hashlib.sha256(both.encode()).hexdigest()

    @torch.inference_mode()
    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, 512) float32 of unit length.

        Raises:
            InputError: a text without a word of the dictionary, naming its place; a file that is missing or
                not what it should be.
        """
        network, number = self._loaded
        ids = torch.zeros(len(texts), MOST_WORDS, dtype=torch.int64)  # 0: an empty place
        for place, text in enumerate(texts):
            words = (found[0] for found in re.finditer(r"[\w']+", text.lower()))
            known = list(itertools.islice((number[word] for word in words if word in number), MOST_WORDS))
            if not known:
                raise InputError(f"text {place} has no word that the model knows: {text!r}")
            ids[place, : len(known)] = torch.tensor(known)
        rows = [torch.zeros(0, self.dim), *(network(block) for block in ids.split(_BLOCK) if len(block))]
        return F.normalize(torch.cat(rows), dim=1).numpy()

    @functools.cached_property
    def _loaded(self) -> tuple[nn.Module, dict[str, int]]:
        whole = weights.read(self._path)
        found = {name.removeprefix(_TEXT): value for name, value in whole.items() if name.startswith(_TEXT)}
        table = found.get("word_embd.weight")
        rows = table.shape[0] if table is not None and table.ndim == 2 else 1
        with torch.device("meta"):
            network = _Words(rows)
        return weights.fill(network, found, self._path), _numbers(self._words, rows)


def text(model: str) -> Text:
    """The text tower of `find(model)`; InputError: a file is missing."""
    found = _file(model)
    if not (found.parent / DICTIONARY).is_file():
        raise InputError(f"texts of s3d need {DICTIONARY}, released with {FILE}, in {found.parent}")
    return Text(found)


def _file(model: str) -> Path:
    given = Path(os.path.expanduser(model))
    path = given / FILE if given.is_dir() else given
    if not model or not path.is_file():
        raise InputError(f"no file of weights at s3d:{model}: use s3d:/folder with {FILE} and {DICTIONARY}")
    return path


def _numbers(path: Path, rows: int) -> dict[str, int]:
    """Word -> row of the table; row 0 is that of empty places."""
    try:
        with warnings.catch_warnings():  # about a header that Python 2 wrote
            warnings.simplefilter("ignore")
            words = np.load(path, mmap_mode="r", allow_pickle=False)  # mapped: its length is held to the file's
    except (
        Exception
    ) as error:  # numpy reads the header as Python source: SyntaxError, TokenError, RecursionError ...
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path} cannot be read, the texts of s3d need it: {reason}") from None
    if not isinstance(words, np.ndarray) or words.ndim != 1 or words.dtype.kind != "U":
        raise InputError(f"{path} is no list of words")
    if len(words) > rows:
        raise InputError(f"{path} has {len(words)} words, the table of the model only {rows} rows")
    return {str(word): row for row, word in enumerate(words[: rows - 1], start=1)}


class _OfStacks(nn.Module):
    """Frames in 0 to 1."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.normalise, self.network = Normalise((0.0,) * 3, (255.0,) * 3), network

    def forward(self, units: Tensor) -> Tensor:
        return self.network(like(self.normalise(units).transpose(1, 2), self.network))


class _Words(nn.Module):
    """Numbers of words (n, 16) -> (n, 512)."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.word_embd = nn.Embedding(rows, 300)
        self.fc1, self.fc2 = nn.Linear(300, 2048), nn.Linear(2048, 512)

    def forward(self, ids: Tensor) -> Tensor:
        return self.fc2(F.relu(self.fc1(self.word_embd(ids))).amax(dim=1))


class _Video(nn.Module):
    """Frames (n, 3, frames, h, w), all even -> (n, 512). The names of the weights are the released ones."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = _Convolution(24, 64, (2, 4, 4))
        self.conv_2b = _Convolution(64, 64)
        self.conv_2c = _Convolution(64, 192, (1, 3, 3), (3, 1, 1))
        self.gating = _Gate(192)
        channels = 192
        for name, widths in _WIDTHS.items():
            self.add_module(name, mixed := _Mixed(channels, widths))
            channels = mixed.channels
        self.fc = nn.Linear(channels, 512)

    def forward(self, frames: Tensor) -> Tensor:
        # Two by two by two pixels become channels. The first convolution pads as TensorFlow does.
        n, colours, time, height, width = frames.shape
        cubes = frames.reshape(n, colours, time // 2, 2, height // 2, 2, width // 2, 2)
        cubes = cubes.permute(0, 3, 5, 7, 1, 2, 4, 6).reshape(n, -1, time // 2, height // 2, width // 2)
        maps = _pool(self.conv1(F.pad(cubes, (1, 2, 1, 2, 0, 1))), (1, 3, 3), (1, 2, 2))
        maps = self.gating(self.conv_2c(self.conv_2b(maps)))
        maps = _pool(maps, (1, 3, 3), (1, 2, 2))
        for name in _WIDTHS:
            if name == "mixed_4b":
                maps = _pool(maps, (3, 3, 3), (2, 2, 2))
            elif name == "mixed_5b":
                maps = _pool(maps, (2, 2, 2), (2, 2, 2))
            maps = self.get_submodule(name)(maps)
        return self.fc(maps.mean(dim=(2, 3, 4)))


class _Convolution(nn.Module):
    """A convolution, or one over space and one over time, each normalised and cut off at 0."""

    def __init__(self, before: int, after: int, kernel: _Kernel = (1, 1, 1), then: _Kernel | None = None) -> None:
        super().__init__()
        self.conv1, self.bn1 = _convolution(before, after, kernel)
        self.then = then is not None
        if then is not None:
            self.conv2, self.bn2 = _convolution(after, after, then)

    def forward(self, maps: Tensor) -> Tensor:
        maps = F.relu(self.bn1(self.conv1(maps)))
        return F.relu(self.bn2(self.conv2(maps))) if self.then else maps


class _Gate(nn.Module):
    """Every channel weighed by what all of them are in the mean."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Linear(channels, channels)

    def forward(self, maps: Tensor) -> Tensor:
        return torch.sigmoid(self.fc(maps.mean(dim=(2, 3, 4))))[:, :, None, None, None] * maps


class _Mixed(nn.Module):
    """Four ways side by side, each with a gate."""

    def __init__(self, before: int, widths: tuple[int, int, int, int, int, int]) -> None:
        super().__init__()
        plain, narrow, wide, thin, thick, pooled = widths
        self.conv_b0 = _Convolution(before, plain)
        self.conv_b1_a = _Convolution(before, narrow)
        self.conv_b1_b = _Convolution(narrow, wide, (1, 3, 3), (3, 1, 1))
        self.conv_b2_a = _Convolution(before, thin)
        self.conv_b2_b = _Convolution(thin, thick, (1, 3, 3), (3, 1, 1))
        self.conv_b3_b = _Convolution(before, pooled)
        self.gating_b0, self.gating_b1 = _Gate(plain), _Gate(wide)
        self.gating_b2, self.gating_b3 = _Gate(thick), _Gate(pooled)
        self.channels = plain + wide + thick + pooled

    def forward(self, maps: Tensor) -> Tensor:
        ways = (
            self.gating_b0(self.conv_b0(maps)),
            self.gating_b1(self.conv_b1_b(self.conv_b1_a(maps))),
            self.gating_b2(self.conv_b2_b(self.conv_b2_a(maps))),
            self.gating_b3(self.conv_b3_b(F.max_pool3d(maps, 3, stride=1, padding=1))),
        )
        return torch.cat(ways, dim=1)


def _convolution(before: int, after: int, kernel: _Kernel) -> tuple[nn.Conv3d, nn.BatchNorm3d]:
    """Of the same size before and after where the kernel is odd, without a border where it is even."""
    time, height, width = (size // 2 if size % 2 else 0 for size in kernel)
    return nn.Conv3d(before, after, kernel, padding=(time, height, width), bias=False), nn.BatchNorm3d(after)


def _pool(maps: Tensor, kernel: _Kernel, stride: _Kernel) -> Tensor:
    """Maximum, padded as TensorFlow does where the size is even; zeros are no maximum, nothing here is below."""
    time, height, width = (size - step for size, step in zip(kernel, stride, strict=True))
    return F.max_pool3d(F.pad(maps, (0, width, 0, height, 0, time)), kernel, stride, ceil_mode=True)
