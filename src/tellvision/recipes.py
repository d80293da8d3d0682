"""Recipes: full configurations of a run, as functions. The command line shows the same fields.

A recipe is a starting point that one can read: `tellvision run VIDEOS --out WORK --recipe paper`
takes it whole, flags such as `--train.epochs 30` change single fields of it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from tellvision.corpus.captions import CaptionConfig
from tellvision.corpus.clips import ClipConfig
from tellvision.corpus.speech.config import SpeechConfig
from tellvision.embedding.config import StepsConfig, TextConfig, TrainConfig
from tellvision.records import InputError
from tellvision.vision.extractors import FeatureConfig


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides what a run makes of its videos."""

    recipe: str = "laptop"
    """laptop, paper or modern: what the other settings start from."""
    captions: CaptionConfig = field(default_factory=CaptionConfig)
    """From subtitles to lines said once."""
    speech: SpeechConfig = field(default_factory=SpeechConfig)
    """From sound to lines, for videos without subtitles."""
    clips: ClipConfig = field(default_factory=ClipConfig)
    """From lines to clips."""
    features: FeatureConfig = field(default_factory=FeatureConfig)
    """From pictures to tracks."""
    text: TextConfig = field(default_factory=TextConfig)
    """From captions to tokens."""
    dim: int = 512
    """Width of the joint space."""
    dropout: float = 0.0
    """Share of the numbers of a clip's row, and of a sentence's vector, left out while training."""
    centre: bool = False
    """Take out of rows, and of a frozen encoder's vectors, what all training clips share."""
    clip_tower: Literal["unit", "steps"] = "unit"
    """What reads a clip. `unit`: the paper's gated unit on its pooled row. `steps`: a transformer over its
    steps, for which order and motion count."""
    steps: StepsConfig = field(default_factory=StepsConfig)
    """With --clip-tower steps: how they are read."""
    train: TrainConfig = field(default_factory=TrainConfig)
    """How the embedding learns."""
    max_skipped: float = 0.9
    """Share of the videos that a stage may skip before the run stops."""

    def __post_init__(self) -> None:
        if self.dim < 1:
            raise InputError(f"--dim is the width of the joint space, at least 1, got {self.dim}")
        if not 0 <= self.max_skipped <= 1:
            raise InputError(f"--max-skipped is a share, 0 to 1, got {self.max_skipped}")


def laptop() -> Recipe:
    """Tens to thousands of videos on two cores in minutes: a narrow space, small batches, large steps."""
    train = TrainConfig(epochs=20, videos_per_batch=8, learning_rate=1e-3, decay=0.9)
    return Recipe(recipe="laptop", dim=512, train=train)


def paper() -> Recipe:
    """The sizes and the schedule of the paper (section 4.2), for hundreds of thousands of videos."""
    return Recipe(recipe="paper", dim=4096, train=TrainConfig(epochs=15, learning_rate=1e-4, decay=0.9))


def modern() -> Recipe:
    """What found most on held-out exercises (docs/log.md), for tens to thousands of videos.

    The laptop's sizes and word pieces; softmax over the batch in place of the margin, two backbones, rows less
    what all clips share, a third of their numbers left out while training.
    """
    train = TrainConfig(epochs=20, videos_per_batch=8, learning_rate=1e-3, decay=0.9, loss="infonce")
    return Recipe(
        recipe="modern",
        features=FeatureConfig(backbone=("efficientnet-lite0", "efficientnet-lite2")),
        dim=512,
        dropout=0.3,
        centre=True,
        train=train,
    )


DEFAULT = "laptop"
RECIPES: dict[str, Callable[[], Recipe]] = {"laptop": laptop, "paper": paper, "modern": modern}


def find(name: str) -> Recipe:
    """The recipe called `name`; InputError lists what there is."""
    if name not in RECIPES:
        raise InputError(f"unknown recipe {name!r}: use one of {', '.join(RECIPES)}")
    return RECIPES[name]()
