"""Models in the form of the transformers library: a folder, or the model hub by its usual names.

    config.json                 what the model is
    preprocessor_config.json    what it wants to see
    model.safetensors           its weights; in several files with an index beside them; or pytorch_model.bin

The two small files are read as what they are, JSON, so that the rate, size and width of a model are known
without loading it. What they name is looked up here, never run: no code comes with a model.
"""

import contextlib
import functools
import hashlib
import json
import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import safetensors
import safetensors.torch
import torch

from tellvision.media import View
from tellvision.records import InputError
from tellvision.vision.extractors.pixels import Normalise, like
from tellvision.vision.extractors.preparation import normalise_of, view_of
from tellvision.vision.extractors.weights import read, sha256

CONFIG, PREPARATION, PROCESSOR = "config.json", "preprocessor_config.json", "processor_config.json"
OF_VIDEOS = "video_preprocessor_config.json"  # in its place in newer folders of video models
TOKENS = ("tokenizer.json", "tokenizer_config.json")
INSTALL = "pip install 'tellvision[transformers]'"

MOST_WIDE = 65_536  # numbers of a vector: beyond that it is no width
MOST_LAYERS = 512

_SMALL = (CONFIG, PREPARATION, OF_VIDEOS, PROCESSOR, *TOKENS)
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # the first one that is there
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


@dataclass(frozen=True, kw_only=True)
class Released:
    """A model as its makers released it; nothing heavy is read before `weights` or `load` is asked for.

    Attributes:
        model: as it was asked for.
        folder: where its files lie.
        config: its config.json.
    """

    model: str
    folder: Path
    config: Mapping[str, Any]

    @functools.cached_property
    def preparation(self) -> dict[str, Any]:
        """Its preprocessor_config.json: what it wants to see.

        Raises:
            InputError: it is not there or damaged.
        """
        if not (self.folder / PREPARATION).is_file() and (self.folder / PROCESSOR).is_file():
            inner = read_json(self.folder / PROCESSOR).get("image_processor")
            if isinstance(inner, dict):
                return inner
        only_of_videos = not (self.folder / PREPARATION).is_file() and (self.folder / OF_VIDEOS).is_file()
        return read_json(self.folder / (OF_VIDEOS if only_of_videos else PREPARATION))

    @functools.cached_property
    def files(self) -> tuple[Path, ...]:
        """Files of its weights, fetched if they lie on the hub.

        Raises:
            InputError: they are not there.
        """
        found = _weights_in(self.folder)
        if not found and self.folder.parent.name == "snapshots":  # of the hub's cache
            for name in _WEIGHTS:
                stem, _, ending = name.partition(".")
                _fetched(self.model, (f"{stem}*.{ending}", f"{stem}*.{ending}.index.json"), self.folder.name)
                if found := _weights_in(self.folder):
                    break
        if not found:
            raise InputError(f"{self.folder} has no weights: bring {' or '.join(_WEIGHTS)} of {self.model}")
        return found

    @functools.cached_property
    def weights(self) -> str:
        """sha256 over the weights and the small files that say how they are used (64 hex digits)."""
        known = hashlib.sha256()
        small = [self.folder / name for name in _SMALL if (self.folder / name).is_file()]
        for path in [*small, *self.files]:
            known.update(f"{path.name} {sha256(path)}\n".encode())
        return known.hexdigest()

    def number(self, *way: str | int, default: int) -> int:
        """A width or size in its config, such as `vision_config`, `hidden_size` or `hidden_sizes`, -1.

        Args:
            way: keys, places in lists.
            default: of the library: configs leave out what has its usual value.

        Raises:
            InputError: something else stands there.
        """
        value: Any = self.config
        for step in way:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                value = None
        value = default if value is None else value
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= MOST_WIDE:
            raise InputError(f"{self.folder / CONFIG}: {way[0]} says {value!r}, known are 1 to {MOST_WIDE}")
        return value

    def load(self, architecture: str) -> torch.nn.Module:
        """The network on the CPU, in float32, in evaluation mode.

        Args:
            architecture: the library's name of it; the config never chooses one.

        Raises:
            InputError: the weights are not there, damaged, or those of another model.
        """
        weights = {name: value for path in self.files for name, value in _tensors(path).items()}
        transformers = library()
        kind = getattr(transformers, architecture)
        try:
            with _quiet(transformers):
                config = kind.config_class.from_dict(_sane(self.config))
                with torch.device("meta"):  # else a config of nonsense would take memory before it is refused
                    wanted = sum(value.numel() for value in kind(config).parameters())
                if wanted > sum(value.numel() for value in weights.values()):
                    raise ValueError("the config asks for more numbers than the weights hold")
                network, told = kind.from_pretrained(
                    None,
                    config=config,
                    state_dict=weights,
                    attn_implementation="sdpa" if kind._supports_sdpa else "eager",
                    dtype=torch.float32,
                    output_loading_info=True,
                )
        except Exception as error:  # the library raises anything; it is told in one line
            raise InputError(f"{self.folder} does not load as {architecture}: {_said(error)}") from None
        if missing := sorted(told["missing_keys"]):
            raise InputError(f"{self.folder} has no weights for {missing[0]} (of {len(missing)} missing)")
        loaded: torch.nn.Module = network.eval()
        return loaded


@dataclass(frozen=True, kw_only=True)
class PictureModel:
    """A released model of single pictures. See `tellvision.vision.extractors.Extractor`."""

    released: Released
    view: View
    dim: int
    tower: Callable[[Released], torch.nn.Module]
    """Loads what makes (n, dim) of normalised pixels (n, 3, height, width)."""
    unit: int = 1
    tail: Literal["black", "last"] = "last"

    @property
    def weights(self) -> str:
        """Names weights, configuration and what is done to the pixels."""
        return self.released.weights

    def network(self) -> torch.nn.Module:
        """(n, 1, height, width, 3) uint8 -> (n, dim)."""
        return _Pictures(normalise_of(self.released.preparation), self.tower(self.released)).eval()


class Pooled(torch.nn.Module):
    """What the network makes of the whole picture: its `pooler_output`, laid flat."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """(n, 3, height, width) to (n, dim)."""
        pooled: torch.Tensor = self.network(pixel_values=pixels).pooler_output
        return pooled.flatten(1)


class _Pictures(torch.nn.Module):
    """A tower behind the normalisation of its pixels."""

    def __init__(self, normalise: Normalise, tower: torch.nn.Module) -> None:
        super().__init__()
        self.normalise, self.tower = normalise, tower

    def forward(self, units: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.tower(like(self.normalise(units)[:, 0], self.tower))
        return found


def picture_model(released: Released, *, dim: int, tower: Callable[[Released], torch.nn.Module]) -> PictureModel:
    """The model with the view that it was released with, at 1 frame per second."""
    return PictureModel(released=released, view=view_of(released.preparation, fps=1.0), dim=dim, tower=tower)


def find_released(model: str, kinds: Collection[str]) -> Released:
    """The model of a folder, or of the hub by its name there (fetched, and said so on stderr).

    Args:
        model: folder, or owner/name.
        kinds: values of `model_type` that the caller knows.

    Raises:
        InputError: no such folder or model, or a model of another kind.
    """
    folder = _folder_of(model)
    config = read_json(folder / CONFIG)
    if config.get("model_type") not in kinds:
        raise InputError(
            f"{model} is a model of type {config.get('model_type')!r}: this family reads {', '.join(kinds)}"
        )
    if config.get("quantization_config"):
        raise InputError(f"{model} has quantized weights: use the released ones")
    return Released(model=model, folder=folder, config=config)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; InputError: it is not there, or something else."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read, the model needs it: {_said(error)}") from None
    if not isinstance(found, dict):
        raise InputError(f"{path} holds no JSON object")
    return found


def library() -> Any:
    """transformers; InputError: it is not installed."""
    try:
        import transformers
    except ImportError as error:
        raise InputError(f"this backbone needs transformers ({_said(error)}): {INSTALL}") from None
    return transformers


def _folder_of(model: str) -> Path:
    given = Path(model).expanduser()
    if model and given.is_dir():
        return given
    if not _HUB_NAME.fullmatch(model) or given.exists() or Path(model.partition("/")[0]).exists():
        raise InputError(
            f"there is no folder {model!r}: give the folder of a model (with {CONFIG}, {PREPARATION} and its "
            "weights), or its name on the model hub, OWNER/NAME"
        )
    return _fetched(model, _SMALL)


def _fetched(model: str, patterns: Collection[str], revision: str | None = None) -> Path:
    """The folder of the hub's cache with the files of `patterns`: nobody is asked for what is there."""
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise InputError(f"there is no folder {model}, and to fetch it from the model hub: {INSTALL}") from None
    if revision is None:
        with contextlib.suppress(Exception):  # not fetched before; the hub's client raises anything
            folder = Path(snapshot_download(model, allow_patterns=[*patterns], local_files_only=True))
            if (folder / CONFIG).is_file() and any(
                (folder / name).is_file() for name in (PREPARATION, OF_VIDEOS, PROCESSOR)
            ):
                return folder
    print(f"{model} is no folder here; asking the model hub for it", file=sys.stderr)
    try:
        return Path(snapshot_download(model, allow_patterns=[*patterns], revision=revision))
    except Exception as error:  # whatever it is, it is told in one line
        raise InputError(
            f"{model} is not here and the model hub does not give it ({_said(error)}): "
            "pass the folder that holds it, FAMILY:FOLDER"
        ) from None


def _weights_in(folder: Path) -> tuple[Path, ...]:
    """The files of the weights, none if there are none; InputError: an index names one that is not there."""
    for name in _WEIGHTS:
        if (folder / name).is_file():
            return (folder / name,)
        index = folder / f"{name}.index.json"
        if not index.is_file():
            continue
        shards = read_json(index).get("weight_map")
        if not isinstance(shards, dict) or not all(_is_name(shard) for shard in shards.values()):
            raise InputError(f"{index} has no weight_map of files beside it")
        if missing := sorted(shard for shard in set(shards.values()) if not (folder / shard).is_file()):
            raise InputError(f"{folder} lacks {missing[0]}, which {index.name} names: bring the whole model")
        return tuple(folder / shard for shard in sorted(set(shards.values())))
    return ()


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value.endswith((".safetensors", ".bin")) and Path(value).name == value


def _sane(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config without what could make the library fetch code; ValueError: a size of nonsense."""
    kept: dict[str, Any] = {}
    for key, value in config.items():
        if key == "auto_map" or key.endswith("implementation"):
            continue
        for number in value if isinstance(value, list) else [value]:
            most = MOST_LAYERS if "layers" in key or "depth" in key else 1 << 20
            if isinstance(number, int) and abs(number) > most:
                raise ValueError(f"{key} is {number}, known are up to {most}")
        kept[key] = _sane(value) if isinstance(value, Mapping) else value
    return kept


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    if path.suffix != ".safetensors":
        return read(path)
    try:
        found = safetensors.torch.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise InputError(f"{path} is damaged or no file of weights: {_said(error)}") from None
    return {name: value.float() if value.is_floating_point() else value for name, value in found.items()}


@contextlib.contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Without the library's own report and progress: what is wrong is said here."""
    logging = transformers.utils.logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _said(error: BaseException) -> str:
    return " ".join(str(error).split())[:150] or type(error).__name__
