"""Saving: a model to the folder that `checkpoint.load` reads (checkpoint.py says what lies in one).

Reads a model's weights and what it reads texts with. Knows nothing of how a model is built, so that a model
can save itself.

Each file is written whole or not at all. The weights come last but for the configuration, and carry marks of
what they belong to: the configuration, what lies beside them, and their own bytes. So weights are never used
with what belongs to others, and damage is seen.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors.torch
import torch
from torch import Tensor

from tellvision.embedding.config import to_dict
from tellvision.embedding.frozen import FrozenPair
from tellvision.embedding.text import WordPieces
from tellvision.embedding.words import Vocabulary
from tellvision.store import atomic_write, digest, sync

if TYPE_CHECKING:
    from tellvision.embedding.model import TextVideoModel
    from tellvision.embedding.sentences import SentenceEncoder

SCHEMA = 1
WEIGHTS, CONFIG = "model.safetensors", "config.json"
TOKENIZER, VOCABULARY, ENCODER = "tokenizer.json", "vocabulary.json", "encoder"
ABOUT = "about"  # attribute of a loaded model: what its config.json says under `extra`
MARKS = "tellvision"  # in the head of the weights' file
FILES = (WEIGHTS, CONFIG, TOKENIZER, VOCABULARY, f"{ENCODER}/*")
"""What a checkpoint may hold, as patterns."""

_BESIDE = {"wordpiece": (TOKENIZER,), "learned": (VOCABULARY,), "sentence": (ENCODER,)}


def save(model: "TextVideoModel | FrozenPair", folder: Path, extra: Mapping[str, Any] | None = None) -> None:
    """Write `model` to `folder`, over what stands there.

    Killed between two files, the folder loads as the new weights with the `extra` of before; where more has
    changed than weights it does not load, and says that the model has to be saved again.

    Args:
        model: on any device.
        folder: made if it is not there.
        extra: JSON values kept under `extra` in config.json: how it was trained, on what.
    """
    folder.mkdir(parents=True, exist_ok=True)
    about: dict[str, Any] = {"schema": SCHEMA, "model": None, "stop_words": None, "extra": dict(extra or {})}
    if isinstance(model, FrozenPair):
        about["frozen"] = {"name": model.name, "place": model.place, "weights": model.weights}
        _write(about, folder)
        return
    about["model"] = to_dict(model.config)
    if model.text is not None:
        about["stop_words"] = sorted(model.text.stop_words)
        for name, kind in ((TOKENIZER, WordPieces), (VOCABULARY, Vocabulary)):
            if isinstance(model.text.lookup, kind):
                atomic_write(folder / name, model.text.lookup.to_json().encode())
    if model.sentences is not None:
        _write_encoder(model.sentences, folder)
    weights = {
        name: value.detach().cpu().contiguous()
        for name, value in model.state_dict().items()
        if not name.startswith(f"{ENCODER}.")  # of a tuned encoder: they lie with it
    }
    if "word_table" in weights:
        weights["word_table"] = _halved(weights["word_table"])
    marks = {"model": digest(about["model"]), "beside": beside(folder, about), "weights": checksum(weights)}
    # In one entry: several would be written in no order, and the same model gives the same bytes.
    metadata = {MARKS: json.dumps(marks, sort_keys=True)}
    atomic_write(folder / WEIGHTS, safetensors.torch.save(weights, metadata=metadata))
    _write(about, folder)
    for name in {TOKENIZER, VOCABULARY, ENCODER} - set(_BESIDE.get(model.config.text.tokens, ())):
        if (folder / name).is_dir():
            shutil.rmtree(folder / name)
        else:
            (folder / name).unlink(missing_ok=True)  # of a model of another kind that lay here before


def beside(folder: Path, about: Mapping[str, Any]) -> dict[str, str]:
    """Hashes of what the weights in `folder` are used with, by file.

    Args:
        folder: of the checkpoint.
        about: its config.json; it says which files there are.
    """
    files = [folder / name for name in _BESIDE.get(about["model"]["text"]["tokens"], ())]
    files = [inner for path in files for inner in (sorted(path.iterdir()) if path.is_dir() else [path])]
    found = {path.relative_to(folder).as_posix(): sha256(path) for path in files}
    return found | {"stop_words": digest(about["stop_words"])}


def checksum(weights: Mapping[str, Tensor]) -> str:
    """Names tensors on the CPU by their names, shapes, types and bytes (64 hex digits)."""
    known = hashlib.sha256()
    for name, value in sorted(weights.items()):
        known.update(f"{name} {tuple(value.shape)} {value.dtype}\n".encode())
        known.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return known.hexdigest()


def sha256(path: Path) -> str:
    """Of a file (64 hex digits)."""
    known = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            known.update(block)
    return known.hexdigest()


def _write(about: dict[str, Any], folder: Path) -> None:
    atomic_write(folder / CONFIG, json.dumps(about, indent=1, sort_keys=True, ensure_ascii=False).encode())


def _write_encoder(sentences: "SentenceEncoder", folder: Path) -> None:
    """Beside what stands there, then in its place."""
    fresh, old = folder / f".{ENCODER}.new", folder / f".{ENCODER}.old"
    for left in (fresh, old):  # by a killed one
        shutil.rmtree(left, ignore_errors=True)
    sentences.save(fresh)
    if (folder / ENCODER).exists():
        (folder / ENCODER).rename(old)
    fresh.rename(folder / ENCODER)
    sync(folder)
    shutil.rmtree(old, ignore_errors=True)


def _halved(table: Tensor) -> Tensor:
    """In half precision, if nothing is lost by it."""
    half = table.half()
    return half if torch.equal(half.float(), table) else table
