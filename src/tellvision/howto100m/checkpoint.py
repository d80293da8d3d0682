"""The paper's released checkpoint, in and out (paper sections 2 to 4; released names of the weights).

Reads and writes the state dict that the authors' code saves with `torch.save`. The released network
differs from ours in three ways that are kept: words come from an outside table (GoogleNews word2vec,
case kept, stop words kept), 20 places per text, and the empty places of a short text, zeros, join the
maximum.
"""

import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from tellvision.embedding.checkpoint import Words, check_shapes
from tellvision.embedding.config import ModelConfig, TextConfig, Track
from tellvision.embedding.model import TextVideoModel
from tellvision.embedding.text import TextTransform
from tellvision.embedding.words import WordVectors, read_words
from tellvision.records import InputError

# Released name -> ours.
_LAYERS = {
    "text_pooling.fc": "word_layer",
    "GU_text.fc": "text_unit.project",
    "GU_text.cg.fc": "text_unit.gate",
    "GU_video.fc": "clip_unit.project",
    "GU_video.cg.fc": "clip_unit.gate",
}
_NAMES = {f"{theirs}.{part}": f"{ours}.{part}" for theirs, ours in _LAYERS.items() for part in ("weight", "bias")}
_UNUSED = ("GU_text.cg.batch_norm.", "GU_video.cg.batch_norm.")

_TEXT = TextConfig(tokens="words", max_words=20, drop_stop_words=False, lower=False)


def released_tracks(video_dim: int) -> tuple[Track, ...]:
    """The paper's two tracks of equal width: ResNet-152 frames at 1 per second, ResNeXt-101 at 1.5."""
    if video_dim % 2:
        raise InputError(f"a clip's row of {video_dim} numbers is no 2d and 3d half: pass tracks=")
    half = video_dim // 2
    return (Track(name="2d", fps=1.0, dim=half), Track(name="3d", fps=1.5, dim=half))


def load_checkpoint(
    path: str | Path, words: Words | None = None, tracks: tuple[Track, ...] | None = None
) -> TextVideoModel:
    """The model of a state dict with the released names.

    Args:
        path: what the authors' code saved; a prefix `module.` and unused batch norms are fine.
        words: the path of a word2vec .bin or GloVe text file, or {word: (e,) array}; without it clips and
            word vectors can be embedded, texts cannot.
        tracks: what a clip's row is joined from; None: the paper's 2D features, then 3D.

    Returns:
        The model on the CPU, in float32. All sizes are taken from the weights.

    Raises:
        InputError: no such file, not a state dict with these names, shapes that do not fit each other.
    """
    path = Path(path)
    weights = _read(path)
    d, video_dim = weights["clip_unit.project.weight"].shape
    pooled_dim, word_dim = weights["word_layer.weight"].shape
    config = ModelConfig(
        tracks=tracks or released_tracks(video_dim),
        dim=d,
        word_dim=word_dim,
        pooled_dim=None if pooled_dim == d else pooled_dim,
        mask_padding=False,
        text=_TEXT,
    )
    table = None if words is None else words if isinstance(words, WordVectors) else read_words(words)
    text = None if table is None else TextTransform(_TEXT, table)
    with torch.device("meta"):
        model = TextVideoModel(config, text, words=table)
    check_shapes(model, weights, path)
    model.load_state_dict(weights, assign=True)
    return model.eval()


def to_state_dict(model: TextVideoModel) -> dict[str, Tensor]:
    """The weights under the released names, with the batch norms that the authors' code asks for.

    How texts are cut into words is not among the weights: the authors' code keeps the case and reads 20 words.

    Raises:
        InputError: a model that does what the authors' code does not: leaves the empty places out of the
            maximum, pools in another way, reads sentences or steps.
    """
    config = model.config
    if config.text.tokens == "sentence":
        raise InputError("this model reads sentences through an encoder, the released code cannot")
    if config.steps is not None:
        raise InputError("this model reads the steps of a clip, the released code cannot")
    if config.text.pool != "max":
        raise InputError(f"this model pools its words by {config.text.pool}, the released code by the maximum")
    if config.centre:
        raise InputError("this model takes out of a row what all clips share, the released code cannot")
    if config.mask_padding:
        raise InputError("this model leaves empty places out of the maximum, the released code cannot")
    ours = model.state_dict()
    weights = {theirs: ours[name].detach().cpu().clone() for theirs, name in _NAMES.items()}
    for prefix in _UNUSED:
        norm = torch.nn.BatchNorm1d(model.config.dim).state_dict(prefix=prefix)
        weights |= {name: value.clone() for name, value in norm.items()}
    return weights


def save_checkpoint(model: TextVideoModel, path: str | Path) -> None:
    """Write `to_state_dict(model)` the way the authors' code reads it."""
    torch.save(to_state_dict(model), path)


def _read(path: Path) -> dict[str, Tensor]:
    """The weights under our names, in float32."""
    if not path.is_file():
        raise InputError(f"no checkpoint at {path}")
    try:
        with warnings.catch_warnings():  # about pickles of an odd version: the error below says enough
            warnings.simplefilter("ignore")
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged bytes lead the unpickler anywhere: KeyError, IndexError, EOFError ...
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path} is no file of weights alone: {reason}") from None
    if not isinstance(found, Mapping):
        raise InputError(f"{path} holds no state dict but {type(found).__name__}")
    plain = {str(name).removeprefix("module."): value for name, value in found.items()}
    missing = sorted(_NAMES.keys() - plain.keys())
    unknown = sorted(name for name in plain.keys() - _NAMES.keys() if not name.startswith(_UNUSED))
    if missing or unknown:
        raise InputError(
            f"{path} is no released checkpoint: missing {', '.join(missing) or 'nothing'}; "
            f"unknown {', '.join(unknown) or 'nothing'}"
        )
    weights = {ours: plain[theirs] for theirs, ours in _NAMES.items()}
    for name, value in weights.items():
        if not isinstance(value, Tensor) or value.ndim != (1 if name.endswith("bias") else 2):
            raise InputError(f"{path}: {name} is no matrix of weights")
    return {name: value.float() for name, value in weights.items()}
