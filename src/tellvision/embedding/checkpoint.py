"""Checkpoints: a folder with everything that a model needs to be used.

    model.safetensors    weights, the table of word vectors in half precision
    config.json          schema version, the model's configuration, stop words, what the writer adds
    tokenizer.json       with word pieces: the tokenizer

A frozen pair is written as a reference: config.json with its name, where it lies and the sha256 of its weights.

Each file is written whole or not at all; the weights carry a hash of the configuration they belong to,
so that weights are never read with the configuration of another model.
"""

import hashlib
import importlib.util
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from numpy.typing import ArrayLike
from safetensors import SafetensorError
from torch import Tensor

from tellvision.embedding.config import ModelConfig, from_dict, to_dict
from tellvision.embedding.frozen import FrozenPair, is_backbone
from tellvision.embedding.model import TextVideoModel
from tellvision.embedding.text import TextTransform, WordPieces
from tellvision.embedding.words import WordVectors, read_words
from tellvision.records import InputError
from tellvision.store import atomic_write, digest

SCHEMA = 1
WEIGHTS, CONFIG, TOKENIZER = "model.safetensors", "config.json", "tokenizer.json"

Model = TextVideoModel | FrozenPair
"""What `load` gives: both say their `features`, and have `encode_text` and `embed_clips`."""

Words = str | Path | Mapping[str, ArrayLike] | WordVectors


def save(model: Model, folder: Path, extra: dict[str, Any] | None = None) -> None:
    """Write `model` to `folder`, over what stands there.

    Killed between two files, the folder loads as the new weights with the `extra` of before; where the
    configuration has changed it does not load, and says that it has to be saved again.

    Args:
        model: on any device.
        folder: made if it is not there.
        extra: JSON values kept under `extra` in config.json: how it was trained, on what.
    """
    folder.mkdir(parents=True, exist_ok=True)
    about: dict[str, Any] = {"schema": SCHEMA, "model": None, "stop_words": None, "extra": extra or {}}
    if isinstance(model, FrozenPair):
        about["frozen"] = {"name": model.name, "place": model.place, "weights": model.weights}
        _write(about, folder)
        return
    about["model"] = to_dict(model.config)
    if model.text is not None:
        about["stop_words"] = sorted(model.text.stop_words)
        if isinstance(model.text.lookup, WordPieces):
            atomic_write(folder / TOKENIZER, model.text.lookup.to_json().encode())
    weights = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    if model.word_table is not None:
        weights["word_table"] = _halved(weights["word_table"])
    marked = {"model": digest(about["model"])}
    atomic_write(folder / WEIGHTS, safetensors.torch.save(weights, metadata=marked))
    _write(about, folder)


def _write(about: dict[str, Any], folder: Path) -> None:
    atomic_write(folder / CONFIG, json.dumps(about, indent=1, sort_keys=True, ensure_ascii=False).encode())


def weights_hash(folder: Path) -> str:
    """sha256 of the weights' file in `folder`, or of the weights that a frozen pair refers to (64 hex digits)."""
    if not (folder / WEIGHTS).exists() and (frozen := read_config(folder).get("frozen")):
        return str(frozen["weights"])
    known = hashlib.sha256()
    with (folder / WEIGHTS).open("rb") as file:
        while block := file.read(1 << 20):
            known.update(block)
    return known.hexdigest()


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
        if not _may_be_hub_id(source):
            raise InputError(f"there is no checkpoint at {source}")
        folder = _fetch(str(source))
    about = read_config(folder)
    if "frozen" in about:
        return _referred(about["frozen"], folder / CONFIG)
    config = from_dict(about["model"])
    table = None if words is None else words if isinstance(words, WordVectors) else read_words(words)
    stop_words = None if about["stop_words"] is None else frozenset(about["stop_words"])
    text: TextTransform | None = None
    if config.text.tokens == "wordpiece":
        if table is not None:
            raise InputError(f"{folder} brings its own table of word pieces: load it without words=")
        text = TextTransform(config.text, WordPieces.from_json(_read_text(folder / TOKENIZER)), stop_words)
    elif table is not None:
        text = TextTransform(config.text, table, stop_words)
    return _assemble(folder, config, text, table)


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
    except json.JSONDecodeError as error:
        raise InputError(f"{path} is damaged ({error})") from None
    schema = about.get("schema") if isinstance(about, dict) else None
    if schema != SCHEMA:
        raise InputError(
            f"{path} has schema {schema}, this tellvision reads {SCHEMA}: use the version that wrote it"
        )
    if not about.keys() >= {"model", "stop_words", "extra"}:
        raise InputError(f"{path} is no configuration of a checkpoint: it needs model, stop_words and extra")
    return about


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


def _assemble(
    folder: Path, config: ModelConfig, text: TextTransform | None, words: WordVectors | None
) -> TextVideoModel:
    path = folder / WEIGHTS
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            marked = (file.metadata() or {}).get("model")
        weights = safetensors.torch.load_file(path)
    except (OSError, SafetensorError) as error:
        again = "train again: tellvision train WORK (or bring a whole copy, if it was made elsewhere)"
        if not path.exists():
            raise InputError(f"{path} is missing: {again}") from None
        reason = (str(error).splitlines() or ["no reason"])[0]
        raise InputError(f"{path} cannot be read ({reason}): delete it and {again}") from None
    weights = {name: value.float() for name, value in weights.items()}
    with torch.device("meta"):  # nothing is drawn at random only to be overwritten
        model = TextVideoModel(config, text, weights.get("word_table"), words)
    check_shapes(model, weights, path)
    if marked != digest(to_dict(config)):
        raise InputError(f"{path} belongs to another configuration than {folder / CONFIG}: save the model again")
    model.load_state_dict(weights, assign=True)
    return model.eval()


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


def _halved(table: Tensor) -> Tensor:
    """In half precision, if nothing is lost by it."""
    half = table.half()
    return half if torch.equal(half.float(), table) else table


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read, a checkpoint needs it: {error}") from None


def _may_be_hub_id(source: str | Path) -> bool:
    """Whether `source`, which does not exist here, may be meant for the hub: a mistyped path stays here."""
    if isinstance(source, Path) or source.startswith((".", "/", "~")):
        return False
    owner, _, name = source.partition("/")
    return bool(owner and name) and "/" not in name and not Path(owner).exists()


def _fetch(name: str) -> Path:
    """The folder of a model on the hub, fetched."""
    nothing = f"there is no checkpoint at {name}"
    if importlib.util.find_spec("huggingface_hub") is None:
        raise InputError(f"{nothing}; if it is the id of a model on the hub: pip install huggingface_hub")
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError

    print(f"{name} is no folder here; asking the model hub for it", file=sys.stderr)
    try:
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=[WEIGHTS, CONFIG, TOKENIZER]))
    except (OSError, ValueError, HfHubHTTPError) as error:
        raise InputError(
            f"{nothing}, and the hub gave none: {(str(error).splitlines() or ['no reason'])[0]}"
        ) from None
