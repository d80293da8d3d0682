"""Frozen pairs: the tower that sees and the tower that reads of a released model, as they are.

What CLIP-like models learned elsewhere, as a baseline beside what is learned here: the track that the backbone
`clip:FOLDER` makes is searched with the texts of the same folder. Reads pooled rows; writes vectors.

A clip's row stays as it is pooled for every backbone: the maximum over its steps, of unit length. The mean over
the steps is what is usual with these models; which of the two finds more is not measured here.
"""

import functools
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from tellvision.embedding.config import Track
from tellvision.records import InputError
from tellvision.vision.extractors import EXTRACTORS, FAMILIES, Extractor, find, rate_of
from tellvision.vision.extractors.reading import TextTower

Array = TypeVar("Array", np.ndarray, Tensor)


@dataclass(frozen=True)
class FrozenPair:
    """A released model that sees and reads, with the methods of `TextVideoModel` that use what was learned.

    Nothing heavy is loaded before the first text.
    """

    name: str
    """Of the backbone, as the features here were made with it."""
    place: str
    """The same, a folder in full, so that it is found from everywhere."""

    @classmethod
    def named(cls, name: str) -> "FrozenPair":
        """The pair of a backbone.

        Args:
            name: of `EXTRACTORS`, or family:model; the family has to have a text tower.

        Raises:
            InputError: no such backbone or model, or one that does not read.
        """
        family, _, model = EXTRACTORS.get(name, name).partition(":")
        folder = Path(model).expanduser()
        pair = cls(name, f"{family}:{folder.resolve()}" if model and folder.is_dir() else name)
        _ = pair.features, pair._tower  # what is wrong shows now
        return pair

    @property
    def features(self) -> tuple[Track, ...]:
        """The one track that a clip's row is made of."""
        return (Track(name=self.name, fps=rate_of(self._extractor), dim=self._extractor.dim),)

    @property
    def weights(self) -> str:
        """Names the weights of both towers, and how pictures and texts are prepared."""
        return self._tower.weights

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of texts; what is longer than the tower reads is cut off.

        Args:
            texts: a list of strings.

        Returns:
            (n, d) float32 of unit length.

        Raises:
            ValueError: a text without a letter (names its place), a single string in place of a list.
        """
        if isinstance(texts, str):
            raise InputError(f"encode_text takes a list of texts: pass [{texts!r}]")
        for place, text in enumerate(texts):
            if not text.strip():
                raise InputError(f"text {place} has no word that the model knows: {text!r}")
        return self._tower(texts)

    def embed_clips(self, features: Array, mask: Array | None = None) -> Array:
        """Vectors of clips: their rows, of unit length; all zero stays zero.

        Args:
            features: (n, d) rows as they are pooled, or (n, steps, d), of which the maximum is taken first.
            mask: (n, steps) bool, True where a step counts; None: all do.

        Returns:
            (n, d) float32, numpy or a tensor on the same device, as it came.

        Raises:
            ValueError: another d, a clip without a step that counts, NaN or infinity (names the clip).
        """
        dim = self.features[0].dim
        if features.ndim not in (2, 3) or features.shape[-1] != dim:
            raise InputError(
                f"clips have the shape (n, {dim}) or (n, steps, {dim}) ({self.name}), got {tuple(features.shape)}"
            )
        rows = features if isinstance(features, Tensor) else torch.from_numpy(np.array(features))
        if mask is not None and (rows.ndim == 2 or tuple(mask.shape) != tuple(rows.shape[:2])):
            raise InputError("a mask says which steps count: (n, steps) for clips of (n, steps, d)")
        if rows.ndim == 3:
            counts = torch.ones(rows.shape[:2]) if mask is None else torch.as_tensor(mask)
            counts = counts.to(rows.device, torch.bool)
            if len(empty := torch.nonzero(~counts.any(dim=1))):
                raise InputError(f"clip {int(empty[0])} has no step that counts")
            rows = rows.float().masked_fill(~counts[:, :, None], -torch.inf).amax(dim=1)
        if len(bad := torch.nonzero(~torch.isfinite(rows).all(dim=1))):
            raise InputError(f"clip {int(bad[0])} holds NaN or infinity")
        unit = F.normalize(rows.float(), dim=1, eps=1e-30)
        return unit if isinstance(features, Tensor) else unit.numpy()

    @functools.cached_property
    def _extractor(self) -> Extractor:
        return find(self.place)

    @functools.cached_property
    def _tower(self) -> TextTower:
        family, _, model = EXTRACTORS.get(self.place, self.place).partition(":")
        module = importlib.import_module(f"tellvision.vision.extractors.{FAMILIES[family]}")
        if not hasattr(module, "text"):
            raise InputError(
                f"{self.name} sees but does not read: take one with both towers, such as clip, or train on its "
                "features (tellvision train WORK)"
            )
        tower: TextTower = module.text(model)
        return tower


def is_backbone(name: str) -> bool:
    """Whether `name` may be meant for a backbone: a name of `EXTRACTORS` or family:model."""
    return name in EXTRACTORS or name.partition(":")[0] in FAMILIES
