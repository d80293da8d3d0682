"""Checkpoints: a folder with everything that a model needs to be used.

    model.safetensors    weights, the table of word vectors in half precision where nothing is lost by it
    config.json          schema version, the model's configuration, stop words, what the writer adds
    tokenizer.json       with word pieces: the tokenizer
    vocabulary.json      with learned words: the words, in the order of their vectors
    encoder/             with sentences: the encoder, its weights (also tuned ones) and its tokenizer

A frozen pair is written as a reference: config.json with its name, where it lies and the sha256 of its weights.

saving.py writes them. The weights carry marks of the configuration and of the files they belong to, and of
their own bytes, so that weights are never read with the configuration of another model, nor damaged ones.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from numpy.typing import ArrayLike
from safetensors import SafetensorError
from torch import Tensor

from tellvision.embedding import hub
from tellvision.embedding.config import ModelConfig, from_dict, to_dict
from tellvision.embedding.frozen import FrozenPair, is_backbone
from tellvision.embedding.model import TextVideoModel
from tellvision.embedding.saving import (
    ABOUT,
    CONFIG,
    ENCODER,
    MARKS,
    SCHEMA,
    TOKENIZER,
    VOCABULARY,
    WEIGHTS,
    beside,
    checksum,
    save,
    sha256,
)
from tellvision.embedding.sentences import SentenceEncoder
from tellvision.embedding.text import TextTransform, WordPieces
from tellvision.embedding.words import Vocabulary, WordVectors, read_words
from tellvision.records import InputError
from tellvision.store import digest

__all__ = [
    "CONFIG",
    "WEIGHTS",
    "Model",
    "Words",
    "check_shapes",
    "digest_of",
    "load",
    "read_config",
    "save",
    "weights_hash",
]

Model = TextVideoModel | FrozenPair
"""What `load` gives: both say their `features`, and have `encode_text` and `embed_clips`."""

Words = str | Path | Mapping[str, ArrayLike] | WordVectors

_AGAIN = "train again: tellvision train WORK (or bring a whole copy, if it was made elsewhere)"


def load(source: str | Path, words: Words | None = None) -> Model:
    """The model of a checkpoint, or a frozen pair.

    Args:
        source: a folder that `save` wrote; or the id of a model on the hub, a text of the form
            `owner/name`, which is fetched if `huggingface_hub` is installed, and said so on stderr.
            What exists here, a `Path`, what begins with `.`, `/` or `~`, or has a folder of this
            machine before the `/`, is never asked of the hub. Or the name of a backbone that reads too, such
            as `clip` or `clip:FOLDER`: its two towers as they are.
        words: only where the checkpoint refers to an outside table: the path of a word2vec .bin or GloVe
            text file, or {word: (e,) array}.

    Returns:
        The model on the CPU, in float32, ready to use.

    Raises:
        InputError: nothing there, a file missing or damaged, another schema, weights of another shape.
    """
    folder = Path(source)
    if not folder.exists():
        if isinstance(source, str) and is_backbone(source):
            return FrozenPair.named(source)
        if not hub.may_be_id(source):
            raise InputError(f"there is no checkpoint at {source}")
        folder = hub.fetch(str(source))
    about = read_config(folder)
    if "frozen" in about:
        return _referred(about["frozen"], folder / CONFIG)
    weights = _weights(folder, about)
    config = from_dict(about["model"])
    stop_words = None if about["stop_words"] is None else frozenset(map(str, about["stop_words"]))
    table = None if words is None else words if isinstance(words, WordVectors) else read_words(words)
    if table is not None and config.text.tokens != "words":
        raise InputError(f"{folder} brings all it needs to read texts: load it without words=")
    text: TextTransform | None = None
    if config.text.tokens == "wordpiece":
        pieces = WordPieces.from_json(_read_text(folder / TOKENIZER))
        text = TextTransform(config.text, pieces, stop_words)
    elif config.text.tokens == "learned":
        vocabulary = Vocabulary.from_json(_read_text(folder / VOCABULARY))
        text = TextTransform(config.text, vocabulary, stop_words)
    elif table is not None:
        text = TextTransform(config.text, table, stop_words)
    sentences: SentenceEncoder | None = None
    if config.text.tokens == "sentence":
        sentences = SentenceEncoder.open(folder / ENCODER, config.text)
    model = _assemble(folder, config, text, table, sentences, weights)
    vars(model)[ABOUT] = about["extra"]  # so that its card can be written again
    return model


def weights_hash(folder: Path) -> str:
    """sha256 of the weights' file in `folder` (64 hex digits), or what names the weights of a frozen pair.

    The file carries the hashes of what the weights are used with, an encoder among it, so this names all of it.
    """
    if not (folder / WEIGHTS).exists() and (frozen := read_config(folder).get("frozen")):
        return str(frozen["weights"])
    return sha256(folder / WEIGHTS)


def digest_of(model: Model) -> str:
    """Names a model by its weights and by what it reads texts with (32 hex digits; a frozen pair's own name)."""
    if isinstance(model, FrozenPair):
        return model.weights
    weights = {name: value.detach().cpu() for name, value in model.state_dict().items()}
    return digest(to_dict(model.config), checksum(weights), model.reading)


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a checkpoint: `model`, `stop_words`, `extra`. InputError as in `load`."""
    if folder.is_file():
        raise InputError(
            f"{folder} is a file, a checkpoint is a folder with {WEIGHTS} and {CONFIG} "
            "(the paper's released file: tellvision.howto100m.load_checkpoint)"
        )
    path = folder / CONFIG
    try:
        about = json.loads(_read_text(path))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged ({error})") from None
    schema = about.get("schema") if isinstance(about, dict) else None
    if schema != SCHEMA:
        raise InputError(
            f"{path} has schema {schema}, this tellvision reads {SCHEMA}: use the version that wrote it"
        )
    if not about.keys() >= {"model", "stop_words", "extra"}:
        raise InputError(f"{path} is no configuration of a checkpoint: it needs model, stop_words and extra")
    if not isinstance(about["stop_words"], list | type(None)):
        raise InputError(f"{path} is damaged: stop_words is a list of words")
    return about


def check_shapes(model: TextVideoModel, weights: Mapping[str, Tensor], path: Path) -> None:
    """InputError if `weights` are not those of `model`, by name and shape."""
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in weights.items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise InputError(
                f"{path} is a checkpoint of another shape: {name} is {found.get(name, 'missing')}, "
                f"the configuration says {expected.get(name, 'nothing of it')}"
            )


def _referred(frozen: object, path: Path) -> FrozenPair:
    """The frozen pair that a checkpoint refers to; InputError: it is not there, or another one by now."""
    if not isinstance(frozen, dict) or not all(
        isinstance(frozen.get(name), str) for name in ("name", "place", "weights")
    ):
        raise InputError(f"{path} is damaged: a frozen pair has a name, a place and weights")
    if not is_backbone(frozen["place"]):
        raise InputError(f"{path} refers to {frozen['place']!r}, which this tellvision does not know")
    pair = FrozenPair(frozen["name"], frozen["place"])
    if pair.weights != frozen["weights"]:
        raise InputError(f"the weights of {pair.place} are others than when {path} was written: make it again")
    return pair


def _weights(folder: Path, about: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights as they lie in the file, seen to be whole and to belong to what lies beside them."""
    path = folder / WEIGHTS
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            head = file.metadata() or {}
        weights: dict[str, Tensor] = safetensors.torch.load_file(path)
    except (OSError, SafetensorError) as error:
        if not path.exists():
            raise InputError(f"{path} is missing: {_AGAIN}") from None
        reason = (str(error).splitlines() or ["no reason"])[0]
        raise InputError(f"{path} cannot be read ({reason}): delete it and {_AGAIN}") from None
    # Before anything is made of the configuration: one that was not written here may ask for any size.
    try:
        # Files of before there were several marks have that of the configuration alone.
        marks: dict[str, Any] = dict(json.loads(head[MARKS])) if MARKS in head else head
    except (ValueError, TypeError, RecursionError):
        raise InputError(f"{path} is damaged: delete it and {_AGAIN}") from None
    if marks.get("model") != digest(about["model"]):
        raise InputError(f"{path} belongs to another configuration than {folder / CONFIG}: save the model again")
    if marks.get("weights", found := checksum(weights)) != found:
        raise InputError(f"{path} is damaged: delete it and {_AGAIN}")
    if isinstance(marks.get("beside"), dict):
        _check_beside(folder, about, marks["beside"])
    return weights


def _check_beside(folder: Path, about: Mapping[str, Any], wanted: Mapping[str, str]) -> None:
    try:
        found = beside(folder, about)
    except OSError as error:
        raise InputError(f"{error.filename} cannot be read, the checkpoint needs it ({error.strerror})") from None
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            place = CONFIG if name == "stop_words" else name
            raise InputError(
                f"{folder / place} is not the one that {WEIGHTS} belongs to"
                + (" (it is missing)" if name not in found else "")
                + ": save the model again, or bring a whole copy"
            )


def _assemble(
    folder: Path,
    config: ModelConfig,
    text: TextTransform | None,
    words: WordVectors | None,
    sentences: SentenceEncoder | None,
    weights: Mapping[str, Tensor],
) -> TextVideoModel:
    # Copied to where memory is aligned: else the last bits of a product depend on where in the file it lay.
    weights = {name: value.to(torch.float32, copy=True) for name, value in weights.items()}
    try:
        with torch.device("meta"):  # nothing is drawn at random only to be overwritten
            model = TextVideoModel(config, text, weights.get("word_table"), words, sentences)
    except (TypeError, RuntimeError, OverflowError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{folder / CONFIG} describes no model ({reason})") from None
    of_encoder = {name: value for name, value in model.state_dict().items() if name.startswith(f"{ENCODER}.")}
    check_shapes(model, of_encoder | weights, folder / WEIGHTS)
    model.load_state_dict(weights, strict=False, assign=True)  # the encoder came with its own
    return model.eval()


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read, a checkpoint needs it: {error}") from None
