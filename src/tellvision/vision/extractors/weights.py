"""Files of weights as others saved them: known by their sha256, read without running anything, held to a network.

Reads what `torch.save` wrote: a state dict, or a checkpoint with one under `state_dict`, with the
prefix `module.` of networks that were trained on several devices, or without.
"""

import functools
import hashlib
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from tellvision.records import InputError

_COUNTER = "num_batches_tracked"  # of training; older files have none


def sha256(path: Path) -> str:
    """sha256 of a file (64 hex digits), read once per process unless it changes.

    Raises:
        InputError: it cannot be read.
    """
    try:
        about = path.stat()
        return _sha256(path, about.st_size, about.st_mtime_ns)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None


@functools.lru_cache(maxsize=16)
def _sha256(path: Path, _size: int, _changed: int) -> str:
    known = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            known.update(block)
    return known.hexdigest()


def read(path: Path) -> dict[str, Tensor]:
    """The weights in a file by name, on the CPU, numbers with a point in float32.

    Raises:
        InputError: no such file, or anything but tensors by name in it.
    """
    try:
        _check_size(path)
        with warnings.catch_warnings():  # about pickles of an odd version: the error below says enough
            warnings.simplefilter("ignore")
            found = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except InputError:
        raise
    except Exception as error:  # damaged bytes lead the unpickler anywhere: KeyError, IndexError, EOFError ...
        raise InputError(
            f"{path} is no file of weights alone ({type(error).__name__}): bring the released one, whole"
        ) from None
    if isinstance(found, Mapping) and isinstance(found.get("state_dict"), Mapping):
        found = found["state_dict"]
    if not isinstance(found, Mapping) or not found:
        raise InputError(f"{path} holds no state dict but {type(found).__name__}")
    for name, value in found.items():
        if not (isinstance(name, str) and isinstance(value, Tensor) and value.layout == torch.strided):
            raise InputError(f"{path} holds no state dict: {str(name)[:80]!r} is {type(value).__name__}")
    return {
        name.removeprefix("module."): value.detach().float() if value.is_floating_point() else value.detach()
        for name, value in found.items()
    }


def _check_size(path: Path) -> None:
    """InputError if more comes out of an archive than the file is long; torch compresses nothing."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > path.stat().st_size:
                raise InputError(f"{path} is compressed: save its weights again with torch.save")


def fill(network: torch.nn.Module, weights: Mapping[str, Tensor], path: Path) -> torch.nn.Module:
    """`network`, in evaluation mode, with the weights that were read from `path`: all of them, and no other.

    Args:
        network: without weights of its own, on the device `meta`.
        weights: by the names of the network.
        path: for the message.

    Raises:
        InputError: a weight is missing, is unknown, or has another shape.
    """
    expected = network.state_dict()
    given = {name: value for name, value in weights.items() if name in expected or not name.endswith(_COUNTER)}
    for name in expected:
        if name.endswith(_COUNTER):
            given[name] = torch.tensor(0)
    for name in sorted(expected.keys() | given.keys()):
        wanted, found = _shape(expected.get(name)), _shape(given.get(name))
        if wanted != found:
            raise InputError(
                f"{path} is no file for this network: {name} is {found or 'missing'}, "
                f"it should be {wanted or 'missing'}"
            )
    network.load_state_dict(given, assign=True)
    return network.eval()


def _shape(value: Tensor | None) -> str:
    """The shape in words, with the type where it is no number with a point; empty for nothing."""
    if value is None:
        return ""
    kind = "" if value.is_floating_point() else f" of {value.dtype}".replace("torch.", "")
    return f"{tuple(value.shape)}{kind}"
