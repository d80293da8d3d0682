"""The paper's released features, in and out: one `.npy` per video, a row per step (paper section 3.2; 4.1).

    ROOT/<id>.npy                  (steps, dim) float16, rows of unit length; ROOT_2D and ROOT_3D hold the
    ROOT/<folders>/<id>.mp4.npy    same names, ResNet-152 at 1 step and ResNeXt-101 at 1.5 steps a second

ROOT is any place of the store. Files are untrusted: nothing in them is executed or believed, a header
that claims more than the file holds takes no memory, and what is wrong with one is a `Skip`.
"""

import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import numpy as np

from tellvision.media import ENDINGS
from tellvision.records import InputError, Skip
from tellvision.store import File, Lookup, Piece, Place

NPY = ".npy"
ABOUT = "track.json"  # beside files that were exported from here

LARGEST = 1 << 30
"""Bytes of a file: three days at one step of 2,048 half floats a second."""

FILES_AT_ONCE, BYTES_AT_ONCE = 32, 64 << 20
"""What is under way at a time to or from a place."""

OFF_UNIT = 0.01
"""How far a row's length may be from 1: half floats round it by less than a thousandth."""

LONGEST_NAME = 240
"""Bytes of a file's name or a folder's; file systems take 255, and a file has endings."""

_MAGIC = (b"\x93NUMPY\x01\x00", b"\x93NUMPY\x02\x00", b"\x93NUMPY\x03\x00")
_SPACE = rb"[ \t\n\r\f]*"  # as Python parts its tokens: no vertical tab
_PAIR = (
    rb"'(?:descr|fortran_order|shape)'"
    + _SPACE
    + rb":"
    + _SPACE
    + rb"(?:'[<>=|]?\w+'|True|False|\([\d, \t\n\r\f]*\))"
)
_NEXT = _SPACE + rb"," + _SPACE
_HEADER = re.compile(
    rb"\{" + _SPACE + _PAIR + rb"(?:" + _NEXT + _PAIR + rb"){2}(?:" + _NEXT + rb")?" + _SPACE + rb"\}" + _SPACE
)
_DTYPES = ("f2", "f4", "f8")
_ROWS_AT_ONCE = 1024
_Key = TypeVar("_Key")
_Item = TypeVar("_Item")


def parse(data: bytes) -> np.ndarray:
    """The numbers of an `.npy` file of two axes, a view into `data`, in the precision of the file.

    Raises:
        Skip: `unreadable_features` (no `.npy` file, cut off, no floats, another number of axes) or
            `empty_features` (no step, or steps of no number).
    """
    start, header = _header(data)
    found = {pair.split(b"'")[1]: pair for pair in re.findall(_PAIR, header)}
    if len(found) < 3:
        raise _unreadable("its header says something twice")
    dtype = found[b"descr"].split(b"'")[3].decode()
    if dtype.lstrip("<>=|") not in _DTYPES:
        raise _unreadable(f"it holds numbers of type {dtype}, not floats of 2, 4 or 8 bytes")
    shape = [int(number) for number in re.findall(rb"\d+", found[b"shape"].partition(b"(")[2])]
    if len(shape) != 2:
        raise _unreadable(f"it has {len(shape)} axes, not steps and numbers")
    kind = np.dtype(dtype)
    if shape[0] * shape[1] * kind.itemsize != len(data) - start:
        raise _unreadable(
            f"its header claims {shape[0]} x {shape[1]} {dtype}, behind it are {len(data) - start} bytes"
        )
    if 0 in shape:
        raise Skip("empty_features", f"{shape[0]} steps of {shape[1]} numbers")
    order = "F" if found[b"fortran_order"].endswith(b"True") else "C"
    return np.frombuffer(data, kind, offset=start).reshape(shape, order=order)  # type: ignore[call-overload]


def _header(data: bytes) -> tuple[int, bytes]:
    """Where the numbers begin, and the text before them."""
    if data[:8] not in _MAGIC:
        raise _unreadable("no .npy file")
    width = 2 if data[6] == 1 else 4  # bytes of the header's length, by the version
    start = 8 + width + int.from_bytes(data[8 : 8 + width], "little")
    header = data[8 + width : start]
    if len(header) > 1024 or start > len(data) or not _HEADER.fullmatch(header):
        raise _unreadable("its header is none of plain floats")
    return start, header


def _unreadable(why: str) -> Skip:
    return Skip("unreadable_features", why)


def to_track(data: bytes) -> tuple[np.ndarray, str]:
    """The track of a file: (steps, dim) float16, rows of unit length, and a note where that took a change.

    Rows whose length is off by more than `OFF_UNIT` are brought to unit length; rows of zeros stay.

    Raises:
        Skip: as `parse`, or `not_finite` where not every number is finite.
    """
    rows = parse(data)
    track = np.empty(rows.shape, np.float16)
    mended = 0
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        block = rows[start : start + _ROWS_AT_ONCE]
        if not np.isfinite(block).all():
            raise Skip("not_finite", f"not every number of the steps {start} to {start + len(block)} is finite")
        block = block.astype(np.float32 if block.itemsize == 2 else np.float64)
        with np.errstate(over="ignore"):  # an infinite length is off, too
            lengths = np.sqrt(np.einsum("ij,ij->i", block, block))
        off = (np.abs(lengths - 1) > OFF_UNIT) & block.any(axis=1)
        if off.any():
            block[off] = _of_unit_length(block[off])
            mended += int(off.sum())
        track[start : start + _ROWS_AT_ONCE] = block
    return track, f"{mended} of {len(rows)} steps were not of unit length" if mended else ""


def _of_unit_length(rows: np.ndarray) -> np.ndarray:
    rows = rows / np.abs(rows).max(axis=1, keepdims=True)  # first: the square of a huge number overflows
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def to_npy(track: np.ndarray) -> bytes:
    """A track as the bytes of a file."""
    file = io.BytesIO()
    np.save(file, np.ascontiguousarray(track, "<f2"), allow_pickle=False)
    return file.getvalue()


def name_of(video_id: str) -> str:
    """The name of the file of a video's features below the root.

    Raises:
        Skip: `bad_video_id`: it would name something elsewhere, or is too long for a file.
    """
    parts = video_id.split("/")
    if any(part in ("", ".", "..") or len(part.encode(errors="replace")) > LONGEST_NAME for part in parts):
        raise Skip("bad_video_id", f"{video_id[:60]!r} cannot name a file")
    return video_id + NPY


def ids_of(name: str) -> list[str]:
    """The ids of the video that a file below the root may belong to, the likeliest first.

    `a/b.mp4.npy` holds the features of `a/b.mp4`, of `a/b`, of `b.mp4` or of `b`.
    """
    path = name.removesuffix(NPY)
    stem, _, ending = path.rpartition(".")
    paths = [path, stem] if stem and f".{ending.lower()}" in ENDINGS else [path]
    return list(dict.fromkeys(paths + [one.rpartition("/")[2] for one in paths]))


def about(place: Place) -> dict[str, Any]:
    """What an export from here says of the files at a place: `backbone` and `fps`; nothing of others' files."""
    if place.size(ABOUT) is None:
        return {}
    try:
        said = json.loads(place.read(ABOUT))
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise InputError(f"{place}: {ABOUT} is damaged: delete it")
    return said


def files_at(place: Place) -> Iterator[File]:
    """The `.npy` files at a place and below it, sorted by name."""
    return (file for file in place.files() if file.name.endswith(NPY))


def read_tracks(place: Place, dropped: Counter[str] | None = None) -> Iterator[tuple[str, np.ndarray]]:
    """The tracks at a place, one after the other, sorted by name.

    Args:
        place: a root of released features.
        dropped: counts the files that cannot be used, by reason; None: the first such raises its `Skip`.

    Returns:
        the name of each file without its `.npy`, and its track (steps, dim) float16, rows of unit length.
    """
    for name, data in fetched(place, ((file.name.removesuffix(NPY), file) for file in files_at(place))):
        try:
            if isinstance(data, Skip):
                raise data
            yield name, to_track(data)[0]
        except Skip as skip:
            if dropped is None:
                raise
            dropped[skip.reason] += 1


def fetched(place: Place, files: Iterable[tuple[_Key, File | Skip]]) -> Iterator[tuple[_Key, bytes | Skip]]:
    """The bytes of files in their order, several under way at a time; a `Skip` for one that is gone or too large.

    What is a `Skip` already stays one.
    """
    for block in _blocks(((key, _checked(file)) for key, file in files), lambda pair: getattr(pair[1], "size", 0)):
        answers = iter(place.read_pieces([Piece(f.name, 0, f.size) for _, f in block if isinstance(f, File)]))
        for key, file in block:
            data = next(answers) if isinstance(file, File) else file
            yield key, Skip("gone", "its file went away") if data is None else data


def _checked(file: File | Skip) -> File | Skip:
    if isinstance(file, File) and file.size > LARGEST:
        return _unreadable(f"{file.size} bytes: no track is that large")
    return file


def write_tracks(
    place: Place,
    tracks: Iterable[tuple[str, np.ndarray]],
    progress: Callable[[int], None] = lambda _done: None,
) -> dict[str, int]:
    """Write tracks as released features; a file that is there already, byte for byte, is left alone.

    Args:
        place: the root.
        tracks: ids of videos with (steps, dim), read as they are written.
        progress: told how many are done.

    Returns:
        `written`, `there` before, and those that could not be written by reason.
    """
    there = Lookup((file.name, file.size) for file in files_at(place))
    counts = Counter({"written": 0, "there": 0})
    for block in _blocks(tracks, lambda pair: pair[1].size * 2):
        files: dict[str, bytes] = {}
        for video_id, track in block:
            try:
                files[name_of(video_id)] = to_npy(track)
            except Skip as skip:
                counts[skip.reason] += 1
        known = [Piece(name, 0, len(data)) for name, data in files.items() if there.get(name) == len(data)]
        for piece, data in zip(known, place.read_pieces(known), strict=True):
            if data == files[piece.name]:
                del files[piece.name]
                counts["there"] += 1
        place.write(files)
        counts["written"] += len(files)
        progress(counts.total())
    return dict(counts)


def _blocks(items: Iterable[_Item], size: Callable[[_Item], int]) -> Iterator[list[_Item]]:
    """The items in their order, few enough at a time for all to be in memory."""
    block: list[_Item] = []
    held = 0
    for item in items:
        if block and (len(block) == FILES_AT_ONCE or held + size(item) > BYTES_AT_ONCE):
            yield block
            block, held = [], 0
        block.append(item)
        held += size(item)
    if block:
        yield block
