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


Pool = Literal["max", "mean", "attention"]


@dataclass(frozen=True, kw_only=True)
class TextConfig:
    """How a text becomes what the text tower reads (paper section 3)."""

    tokens: Literal["wordpiece", "words", "learned", "sentence"] = "wordpiece"
    """`wordpiece`: the pieces of MiniLM's table, which lies in the checkpoint. `words`: whole words,
    looked up in an outside table such as GoogleNews word2vec. `learned`: the words of the training
    captions, their vectors learned from nothing. `sentence`: the whole line through an encoder."""
    max_words: int = 20
    """Tokens of a text that count, from its beginning."""
    drop_stop_words: bool = True
    """Leave out common English words, unless nothing else is left. An encoder reads them all."""
    lower: bool = True
    """Lower the case first. Word pieces have no capitals and need it; GoogleNews knows capitals."""
    pool: Pool = "max"
    """How the words of a text, or the tokens of a sentence, become one vector."""
    encoder: str = "minilm"
    """With `sentence`: `minilm` of the extra `[offline]`, or a folder or hub id of a text encoder of
    transformers."""
    tune: bool = False
    """With `sentence`: the encoder learns too; else it stays as it is and every line is encoded once."""
    min_count: int = 2
    """With `learned`: times that a word is said in the training captions before it counts."""

    def __post_init__(self) -> None:
        if self.tokens not in ("wordpiece", "words", "learned", "sentence"):
            raise InputError(f"text tokens are 'wordpiece', 'words', 'learned' or 'sentence', got {self.tokens!r}")
        if self.max_words < 1:
            raise InputError(f"max_words is the number of tokens kept: at least 1, got {self.max_words}")
        if self.tokens == "wordpiece" and not self.lower:
            raise InputError("the word-piece table has no capitals: lower=False needs tokens='words'")
        if self.pool not in ("max", "mean", "attention"):
            raise InputError(f"texts are pooled by 'max', 'mean' or 'attention', got {self.pool!r}")
        if self.tokens == "sentence" and self.pool == "attention" and not self.tune:
            raise InputError(
                "attention over the tokens of a frozen encoder would have to learn: set tune, or mean"
            )
        if self.min_count < 1:
            raise InputError(f"min_count is how often a word is said: at least 1, got {self.min_count}")


@dataclass(frozen=True, kw_only=True)
class StepsConfig:
    """A transformer over the steps of a clip, in place of a unit on its pooled row."""

    fps: float = 1.0
    """Steps per second: of each track the row that is on at that time."""
    max_steps: int = 16
    """Steps of a clip that are looked at; a longer clip gives as many, spread evenly."""
    width: int = 512
    """Numbers of a token inside."""
    layers: int = 2
    """Blocks of attention."""
    heads: int = 8
    """Of each block; they share `width`."""
    dropout: float = 0.1
    """Share of numbers left out inside while training."""

    def __post_init__(self) -> None:
        for name in ("fps", "max_steps", "width", "layers", "heads"):
            if not getattr(self, name) > 0:
                raise InputError(f"steps.{name} is above 0, got {getattr(self, name)}")
        if self.width % self.heads:
            raise InputError(f"steps.width is a multiple of steps.heads, got {self.width} and {self.heads}")
        if not 0 <= self.dropout < 1:
            raise InputError(f"steps.dropout is a share, 0 or more and below 1, got {self.dropout}")


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The two towers (paper section 4)."""

    tracks: tuple[Track, ...]
    """What a clip's row is joined from, in this order."""
    dim: int = 4096
    """Width d of the joint space (the paper's; 6144 in the released checkpoint)."""
    word_dim: int = 384
    """Width of a word vector (384: MiniLM's table; 300: GoogleNews), or of a sentence's."""
    pooled_dim: int | None = None
    """Width of the word layer; None: that of the joint space, as in the paper. An encoder has none."""
    mask_padding: bool = True
    """Leave the empty places behind a short text out of the maximum. The released code does not."""
    text: TextConfig = field(default_factory=TextConfig)
    """How a text is read."""
    steps: StepsConfig | None = None
    """How the steps of a clip are read; None: its pooled row, through a gated unit."""
    dropout: float = 0.0
    """Share of the numbers of a row, and of a sentence's vector, left out while training."""
    centre: bool = False
    """Take the mean of the training clips out of rows, and of their captions out of a frozen encoder's
    vectors, and scale what is left to a variance of 1: what all share tells none apart."""

    def __post_init__(self) -> None:
        sizes = {"dim": self.dim, "word_dim": self.word_dim, "pooled_dim": self.pooled_dim or self.dim}
        sizes |= {f"the width of track {track.name!r}": track.dim for track in self.tracks}
        for name, size in sizes.items():
            if size < 1:
                raise InputError(f"{name} is at least 1, got {size}")
        if not self.tracks:
            raise InputError("a model needs at least one track of visual features")
        if not 0 <= self.dropout < 1:
            raise InputError(f"dropout is a share, 0 or more and below 1, got {self.dropout}")

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
                "steps": StepsConfig(**values["steps"]) if values.get("steps") else None,
            }
        )
    except (KeyError, TypeError) as error:
        raise InputError(f"this is no model configuration of this version: {error}") from None


Loss = Literal["max_margin", "infonce", "mil_nce"]


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How a model learns (paper section 4.2)."""

    epochs: int = 15
    """Times that every training video is met."""
    videos_per_batch: int = 32
    """Videos in a batch, over all processes."""
    pairs_per_video: int = 64
    """Pairs of each video in a batch, drawn with replacement."""
    jitter: float = 0.0
    """Seconds by which either end of a clip moves at random, each time it is drawn; above 0 clips are
    pooled from their tracks while training."""
    loss: Loss = "max_margin"
    """`max_margin`: the paper's. `infonce`: each text picks its clip and each clip its text, by softmax.
    `mil_nce`: the captions around a clip are right for it as well, as a bag."""
    margin: float = 0.1
    """With `max_margin`: by how much a pair should score better than a wrong one (cosine)."""
    same_video: float | None = 0.5
    """With `max_margin`: share of the weight of the negatives that lies on pairs of the same video; None:
    all pairs weigh the same."""
    temperature: float = 0.07
    """With `infonce` and `mil_nce`: what cosines are divided by, at the beginning; it is learned."""
    bag: int = 1
    """With `mil_nce`: captions that are right for a clip, its own and its neighbours in time."""
    learning_rate: float = 1e-4
    """Adam's step, at its highest."""
    weight_decay: float = 0.0
    """Share by which the matrices shrink in a step, times the learning rate."""
    schedule: Literal["decay", "cosine"] = "decay"
    """`decay`: times `decay` after each epoch. `cosine`: down to nothing along half a wave."""
    decay: float = 0.9
    """Factor on the learning rate after each epoch."""
    warm_up: float = 0.0
    """Share of all steps in which the learning rate rises from nothing."""
    accumulate: int = 1
    """Batches whose gradients are averaged for one step of the optimiser; each has its own negatives."""
    clip_gradient: float | None = None
    """Largest norm of a step's gradient; None: as it comes."""
    ema: float | None = None
    """Share of the averaged weights that a step keeps, 0.999 say; the average is what is measured and
    kept. None: no average."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the matrix products; weights stay float32. `auto`: bfloat16 where the machine computes with it
    at speed."""
    compile: bool = False
    """Compile the towers (`torch.compile`)."""
    patience: int = 0
    """Epochs without a better recall on the validation videos before training stops; 0: it does not."""
    validation: float = 0.1
    """With `patience`: share of the training videos kept aside to watch; the best epoch is what is kept."""
    watch: int = 2000
    """Clips on which recall is told after each epoch; 0: none."""
    held_out: float = 0.2
    """Share of the videos kept out of training to measure on, where no list of them is given."""
    min_videos: int = 10
    """Training videos below which nothing is learned: the folder is still searched by what is said."""
    seed: int = 0
    """Of the first weights and of the drawing of batches."""

    def __post_init__(self) -> None:
        above = ("epochs", "videos_per_batch", "pairs_per_video", "learning_rate", "decay", "min_videos")
        for name in (*above, "temperature", "bag", "accumulate"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} is above 0, got {getattr(self, name)}")
        for name in ("margin", "learning_rate", "temperature", "jitter", "weight_decay"):
            if not math.isfinite(getattr(self, name)):
                raise InputError(f"{name} is a number, got {getattr(self, name)}")
        for name in ("jitter", "weight_decay", "patience", "watch"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} is 0 or more, got {getattr(self, name)}")
        for name in ("same_video", "held_out", "validation", "warm_up", "ema"):
            if (share := getattr(self, name)) is not None and not 0 <= share < 1:
                raise InputError(f"{name} is a share, 0 or more and below 1, got {share}")
        if self.clip_gradient is not None and not self.clip_gradient > 0:
            raise InputError(f"clip_gradient is above 0, got {self.clip_gradient}")
        if self.bag > 1 and self.loss != "mil_nce":
            raise InputError(f"a bag of {self.bag} captions goes with the loss mil_nce, not with {self.loss}")
