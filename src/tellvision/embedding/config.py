"""Configurations of the embedding, and their way to JSON and back.

Nothing heavy is imported here, so that the command line shows every field without PyTorch.
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tellvision.records import InputError


@dataclass(frozen=True, kw_only=True)
class Track:
    """One kind of visual feature that a clip's row is joined from."""

    name: str
    """Name of the backbone that made it."""
    fps: float
    """Steps per second."""
    dim: int
    """Numbers per step."""


def spoken(tracks: Sequence[Track]) -> str:
    """What a row is joined from, for a reader: `efficientnet-lite0 (1280), motion (512)`."""
    return ", ".join(f"{track.name} ({track.dim})" for track in tracks)


@dataclass(frozen=True, kw_only=True)
class TextConfig:
    """How a text becomes token ids (paper section 3)."""

    tokens: Literal["wordpiece", "words"] = "wordpiece"
    """`wordpiece`: the pieces of MiniLM's table, which lies in the checkpoint. `words`: whole words,
    looked up in an outside table such as GoogleNews word2vec."""
    max_words: int = 20
    """Tokens of a text that count, from its beginning."""
    drop_stop_words: bool = True
    """Leave out common English words, unless nothing else is left."""
    lower: bool = True
    """Lower the case first. Word pieces have no capitals and need it; GoogleNews knows capitals."""

    def __post_init__(self) -> None:
        if self.tokens not in ("wordpiece", "words"):
            raise InputError(f"text tokens are 'wordpiece' or 'words', got {self.tokens!r}")
        if self.max_words < 1:
            raise InputError(f"max_words is the number of tokens kept: at least 1, got {self.max_words}")
        if self.tokens == "wordpiece" and not self.lower:
            raise InputError("the word-piece table has no capitals: lower=False needs tokens='words'")


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The two towers (paper section 4)."""

    tracks: tuple[Track, ...]
    """What a clip's row is joined from, in this order."""
    dim: int = 4096
    """Width d of the joint space (the paper's; 6144 in the released checkpoint)."""
    word_dim: int = 384
    """Width of a word vector (384: MiniLM's table; 300: GoogleNews)."""
    pooled_dim: int | None = None
    """Width of the word layer; None: that of the joint space, as in the paper."""
    mask_padding: bool = True
    """Leave the empty places behind a short text out of the maximum. The released code does not."""
    text: TextConfig = field(default_factory=TextConfig)
    """How a text becomes token ids."""

    def __post_init__(self) -> None:
        sizes = {"dim": self.dim, "word_dim": self.word_dim, "pooled_dim": self.pooled_dim or self.dim}
        sizes |= {f"the width of track {track.name!r}": track.dim for track in self.tracks}
        for name, size in sizes.items():
            if size < 1:
                raise InputError(f"{name} is at least 1, got {size}")
        if not self.tracks:
            raise InputError("a model needs at least one track of visual features")

    @property
    def video_dim(self) -> int:
        """Numbers in a clip's row: the widths of the tracks together."""
        return sum(track.dim for track in self.tracks)

    @property
    def word_layer_dim(self) -> int:
        """Width of the word layer, resolved."""
        return self.pooled_dim or self.dim


def to_dict(config: ModelConfig) -> dict[str, Any]:
    """The configuration as JSON values."""
    return dataclasses.asdict(config) | {"tracks": [dataclasses.asdict(track) for track in config.tracks]}


def from_dict(values: dict[str, Any]) -> ModelConfig:
    """The configuration that `to_dict` wrote.

    Raises:
        InputError: a field is missing, unknown or of another kind.
    """
    try:
        return ModelConfig(
            **values
            | {
                "tracks": tuple(Track(**track) for track in values["tracks"]),
                "text": TextConfig(**values["text"]),
            }
        )
    except (KeyError, TypeError) as error:
        raise InputError(f"this is no model configuration of this version: {error}") from None


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How a model learns (paper section 4.2)."""

    epochs: int = 15
    """Times that every training video is met."""
    videos_per_batch: int = 32
    """Videos in a batch."""
    pairs_per_video: int = 64
    """Pairs of each video in a batch, drawn with replacement."""
    learning_rate: float = 1e-4
    """Adam's step."""
    decay: float = 0.9
    """Factor on the learning rate after each epoch."""
    margin: float = 0.1
    """By how much a pair should score better than a wrong one (cosine)."""
    same_video: float = 0.5
    """Share of the weight of the negatives that lies on pairs of the same video."""
    held_out: float = 0.2
    """Share of the videos kept out of training to measure on, where no list of them is given."""
    min_videos: int = 10
    """Training videos below which nothing is learned: the folder is still searched by what is said."""
    seed: int = 0
    """Of the first weights and of the drawing of batches."""

    def __post_init__(self) -> None:
        for name in ("epochs", "videos_per_batch", "pairs_per_video", "learning_rate", "decay", "min_videos"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} is above 0, got {getattr(self, name)}")
        if not (math.isfinite(self.margin) and math.isfinite(self.learning_rate)):
            raise InputError(f"margin and learning_rate are numbers, got {self.margin} and {self.learning_rate}")
        for name in ("same_video", "held_out"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name} is a share, 0 or more and below 1, got {getattr(self, name)}")
