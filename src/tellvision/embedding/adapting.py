"""Fine-tuning: a learned model made ready to learn on from other data.

    checkpoint -> adapted -> freeze -> train

Reads a model; gives one that reads other tracks or other words. What cannot mean the same any more is drawn
anew and said; everything else stays as it was learned (paper, section 5.4: trained on narration, then tuned).
"""

import dataclasses
from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn

from tellvision.embedding.checkpoint import Model
from tellvision.embedding.config import ModelConfig, Track, spoken
from tellvision.embedding.frozen import FrozenPair
from tellvision.embedding.model import TextVideoModel
from tellvision.embedding.text import TextTransform
from tellvision.embedding.words import WordVectors
from tellvision.records import InputError

Frozen = Literal["none", "text", "clip"]

_PARTS = {
    "text": ("word_layer", "word_pool", "text_dropout", "text_unit", "encoder"),
    "clip": ("clip_dropout", "clip_steps", "clip_unit"),
}


def adapted(
    model: Model, tracks: Sequence[Track], *, words: WordVectors | None = None, seed: int
) -> tuple[TextVideoModel, list[str]]:
    """`model`, reading clips of `tracks` and, if given, texts by `words`.

    Other tracks, by name, width or order, get a new input layer; other rates of the same tracks do not. Words
    of another width, or words where the model read something else, get a new word layer. Words of the same
    width are taken for the same table.

    Args:
        model: of a checkpoint, on the CPU.
        tracks: what the rows of the new data are joined from.
        words: the table of the new data; None: texts are read as they were.
        seed: of the weights that are drawn.

    Returns:
        The model itself where nothing changes, else a new one with copies of what is kept; and a warning, in
        one line each, for every layer that begins anew.

    Raises:
        InputError: a frozen pair, which does not learn.
    """
    if isinstance(model, FrozenPair):
        raise InputError(f"{model.name} is a frozen pair, which does not learn: train on its features without it")
    old, warnings, anew = model.config, [], set[str]()
    new = dataclasses.replace(old, tracks=tuple(tracks))
    if _kinds(new.tracks) != _kinds(old.tracks):
        warnings.append(
            f"the model reads {spoken(old.tracks)}, the features here are {spoken(new.tracks)}: its layer for "
            "them begins anew, the rest is kept"
        )
        anew |= {"clip_steps.rows", "clip_steps.track"} if old.steps else {"clip_unit.project"}
        anew.add("clip_centre")
    elif new.tracks != old.tracks:
        warnings.append(
            f"the model learned from {_rates(old.tracks)}, the features here have {_rates(new.tracks)}: it is "
            "kept as it is"
        )
    if words is not None:
        new = dataclasses.replace(new, text=dataclasses.replace(old.text, tokens="words"), word_dim=words.dim)
        if old.text.tokens != "words" or words.dim != old.word_dim:
            begins = "text tower begins" if old.text.tokens == "sentence" else "layer for them begins"
            warnings.append(
                f"the model reads {old.text.tokens} of {old.word_dim} numbers, the words here have {words.dim}: "
                f"its {begins} anew, the rest is kept"
            )
            anew.add("word_layer")
    if new == old and words is None:
        return model, warnings
    return _rebuilt(model, new, words, anew, seed), warnings


def freeze(model: TextVideoModel, which: Frozen) -> None:
    """Keep a tower as it is while the other learns: no gradient, and nothing in it left out at random.

    Holds until the model is loaded anew; nothing of it is saved.

    Args:
        model: changed in place.
        which: `none`: nothing happens.

    Raises:
        InputError: another name.
    """
    if which == "none":
        return
    if which not in _PARTS:
        raise InputError(f"a tower to freeze is none, text or clip, got {which!r}")
    for name in _PARTS[which]:
        if (part := getattr(model, name)) is not None:
            part.requires_grad_(False)
            _without_dropout(part)
    if which == "text" and model.word_table is not None:
        model.word_table.requires_grad_(False)


def _rebuilt(
    model: TextVideoModel, config: ModelConfig, words: WordVectors | None, anew: set[str], seed: int
) -> TextVideoModel:
    """A model of `config` with all weights of `model` but those of `anew`, and those that have no place in it."""
    text, table, sentences = model.text, model.word_table, model.sentences
    if words is not None:
        text = TextTransform(config.text, words, None if model.text is None else model.text.stop_words)
        table, sentences = None, None
    elif table is not None:
        table = table.detach().clone()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = TextVideoModel(config, text, table, words or model.words, sentences)
    drawn = fresh.state_dict()
    kept = {
        name: value.clone()
        for name, value in model.state_dict().items()
        if not any(name.startswith(f"{layer}.") or name == layer for layer in anew)
        and name in drawn
        and drawn[name].shape == value.shape
    }
    fresh.load_state_dict(kept, strict=False)
    return fresh.train(model.training)


def _kinds(tracks: Sequence[Track]) -> list[tuple[str, int]]:
    return [(track.name, track.dim) for track in tracks]


def _rates(tracks: Sequence[Track]) -> str:
    return ", ".join(f"{track.name} at {track.fps:g} per second" for track in tracks)


def _without_dropout(part: nn.Module) -> None:
    # Set to nothing, not switched off: `train()` of the whole model would switch it on again. Attention layers
    # hold the share as a number of their own.
    for module in part.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        for name, value in vars(module).items():
            if "dropout" in name and isinstance(value, float):
                setattr(module, name, 0.0)
