"""A finished folder of array shards copied to another place, an object store among others.

Shards go first, then the index, the manifest last: a place with a manifest is whole. What is there
already, byte for byte, is left alone, so that a copy that was stopped goes on; every file that was sent is
read back.
"""

import zlib
from collections.abc import Callable
from pathlib import Path

from tellvision.records import InputError
from tellvision.store.arrays import ArrayReader
from tellvision.store.entries import INDEX
from tellvision.store.manifests import MANIFEST, read_manifest
from tellvision.store.places import LocalPlace, Piece, Place
from tellvision.store.shards import MOST


def copy_arrays(
    folder: Path, place: Place, progress: Callable[[int, int], None] = lambda _done, _total: None
) -> dict[str, int]:
    """Copy the arrays of a finished stage, or what came to them since they were copied.

    Args:
        folder: of the stage.
        place: gets the files; nothing else that lies there is touched.
        progress: told of files done and in all.

    Returns:
        files `written` and `there` before.

    Raises:
        InputError: the folder is unfinished or damaged, other arrays lie at the place, or what was sent
            reads otherwise.
    """
    read_manifest(folder)  # says so where it is unfinished
    if damaged := ArrayReader(folder).damaged():
        raise InputError(
            f"{len(damaged)} items of {folder} are damaged, e.g. {damaged[0]}: delete it and run again"
        )
    if place.size(INDEX) is not None and not (folder / INDEX).read_bytes().startswith(place.read(INDEX)):
        raise InputError(f"{place} holds other arrays than {folder}: delete them, or name another place")
    names = [*sorted(path.name for path in folder.glob("shard-*.bin")), INDEX, MANIFEST]
    source, written = LocalPlace(folder), 0
    for done, name in enumerate(names):
        progress(done, len(names))
        size = (folder / name).stat().st_size
        known = _crc(source, name, size)
        if _is_there(place, name, size, known):
            continue
        place.put(name, folder / name)
        written += 1
        if not _is_there(place, name, size, known):
            raise InputError(f"{place}: {name} reads otherwise than it was sent: run the same again")
    progress(len(names), len(names))
    return {"written": written, "there": len(names) - written}


def _is_there(place: Place, name: str, size: int, known: int) -> bool:
    return place.size(name) == size and _crc(place, name, size) == known


def _crc(place: Place, name: str, size: int) -> int:
    """CRC-32 of the first `size` bytes of a file, read piece by piece."""
    known = 0
    for start in range(0, size, MOST):
        (data,) = place.read_pieces([Piece(name, start, min(start + MOST, size))])
        known = zlib.crc32(data or b"", known)
    return known
