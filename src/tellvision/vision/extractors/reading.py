"""The other half of a model that sees and reads: texts -> vectors in the space of its pictures.

Reads tokenizer.json beside the weights. Where a text begins, ends and is filled up follows what the model was
trained with, not what the tokenizer's file happens to say.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tellvision.records import InputError

AT_ONCE = 64  # texts that go through a tower together
LONGEST = 10_000  # characters of a text that are looked at: far more than any tower reads


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a text becomes token ids."""

    tokenizer: Any
    """Of the tokenizers library."""
    length: int
    """Places of the tower, those of `start` and `end` included."""
    start: int | None
    """Token before the first; None: none."""
    end: int
    """Token behind the last."""
    fill: int
    """Token of the places that are left."""
    whole: bool = False
    """Fill up to `length`, rather than to the longest text of a batch."""
    canonical: Callable[[str], str] = str
    """What is done to a text first."""

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        length: int,
        start: str | None,
        end: str,
        fill: str,
        whole: bool = False,
        canonical: Callable[[str], str] = str,
    ) -> "Reading":
        """With the tokenizer.json of `folder`; the tokens by their names.

        Raises:
            InputError: it is not there, damaged, or without these tokens.
        """
        from tokenizers import Tokenizer

        path = folder / "tokenizer.json"
        try:
            tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
        except Exception as error:  # the library raises Exception itself
            said = " ".join(str(error).split())[:150]
            raise InputError(f"{path} cannot be read, texts need it: {said}") from None
        tokenizer.no_truncation()
        tokenizer.no_padding()

        def token(name: str) -> int:
            number: int | None = tokenizer.token_to_id(name)
            if number is None:
                raise InputError(f"{path} has no token {name}: bring the one that was released with the model")
            return number

        return cls(
            tokenizer=tokenizer,
            length=length,
            start=None if start is None else token(start),
            end=token(end),
            fill=token(fill),
            whole=whole,
            canonical=canonical,
        )

    def ids(self, texts: Sequence[str]) -> np.ndarray:
        """(n, places) int64; what does not fit is cut off before the end token."""
        plain = [text[:LONGEST].encode("utf-8", "replace").decode() for text in texts]
        found = self.tokenizer.encode_batch([self.canonical(text) for text in plain], add_special_tokens=False)
        first = [] if self.start is None else [self.start]
        room = self.length - len(first) - 1
        rows = [[*first, *one.ids[:room], self.end] for one in found]
        places = self.length if self.whole else max(map(len, rows), default=0)
        return np.array([row + [self.fill] * (places - len(row)) for row in rows], np.int64).reshape(-1, places)


class TextTower:
    """Texts -> (n, dim) float32 of unit length, in the space of the pictures.

    Nothing heavy is loaded before the first text.

    Attributes:
        dim: width of a vector.
    """

    def __init__(
        self, *, dim: int, weights: Callable[[], str], load: Callable[[], tuple[Reading, torch.nn.Module]]
    ) -> None:
        self.dim = dim
        self._weights, self._load = weights, load

    @property
    def weights(self) -> str:
        """Names the weights and the tokenizer, as `Extractor.weights` does."""
        return self._weights()

    @torch.inference_mode()
    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of texts, each of its text alone.

        Args:
            texts: n of any length; what does not fit the tower is cut off.

        Raises:
            InputError: no tokenizer, no weights, or a text that gives no finite vector.
        """
        reading, network = self._loaded
        parts = [np.zeros((0, self.dim), np.float32)]
        for first in range(0, len(texts), AT_ONCE):
            ids = torch.from_numpy(reading.ids(texts[first : first + AT_ONCE]))
            try:
                rows = network(ids).float()
            except IndexError:
                raise InputError(
                    "the tokenizer.json knows more pieces than the text tower: bring the one released with it"
                ) from None
            parts.append(torch.nn.functional.normalize(rows, dim=1).numpy())
        found = np.concatenate(parts)
        if not np.isfinite(found).all():
            raise InputError("the text tower gives numbers that are not finite: its weights are damaged")
        return found

    @functools.cached_property
    def _loaded(self) -> tuple[Reading, torch.nn.Module]:
        return self._load()
