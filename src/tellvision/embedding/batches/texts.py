"""What the text tower reads for every clip of a pairs folder, made once and memory-mapped.

    NAME         (clips, w) raw numbers, little-endian: token ids (int32), or a frozen encoder's vectors (float16)
    NAME.json    key, what it was made of, and how many clips are on disk

It is made in blocks, each on disk before it counts: killed and called again it goes on behind the last.
"""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tellvision.embedding.pairs import Pairs
from tellvision.embedding.text import readable
from tellvision.store import atomic_write, sync

BLOCK = 8192  # captions made together

Prepare = Callable[[Sequence[str]], np.ndarray]
"""Texts to (n, w) of what the text tower reads, `TextVideoModel.prepare`."""


def prepared(
    pairs: Pairs,
    prepare: Prepare,
    width: int,
    dtype: np.dtype | str,
    path: Path,
    key: str,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> tuple[np.ndarray, np.ndarray]:
    """The inputs of the text tower for every clip of `pairs`; made where they are not there yet.

    Args:
        pairs: whose texts are read.
        prepare: makes the inputs of some texts; a text that cannot be read is a row of -1, or of zeros.
            Equal texts of a block are made once.
        width: w.
        dtype: int32 or float16.
        path: of the file; one process at a time may make it.
        key: names what the inputs depend on: pairs and model. What lies there under another key is made anew.
        progress: told of clips done and in all.

    Returns:
        (clips, w), memory-mapped and read-only, and (clips,) bool: which clips can be read.
    """
    shape, dtype = (len(pairs), width), np.dtype(dtype)
    note = path.with_name(path.name + ".json")
    state = {"key": key, "clips": len(pairs), "width": width, "dtype": str(dtype), "done": 0}
    row = width * dtype.itemsize
    state["done"] = done = _done(note, path, state, row)
    if done < len(pairs):
        path.parent.mkdir(parents=True, exist_ok=True)
        if not done:
            path.write_bytes(b"")
            sync(path.parent)
        with path.open("r+b") as file:
            file.truncate(done * row)  # what was written but is not noted
            file.seek(done * row)
            for texts in pairs.texts(BLOCK, done):
                file.write(_block(texts, prepare, width, dtype).tobytes())
                file.flush()
                os.fsync(file.fileno())
                done += len(texts)
                atomic_write(note, json.dumps(state | {"done": done}).encode())
                progress(done, len(pairs))
    if not len(pairs):  # nothing can be mapped
        return np.empty(shape, dtype), np.empty(0, bool)
    inputs = np.memmap(path, dtype, "r", shape=shape)
    usable = np.empty(len(pairs), bool)
    for start in range(0, len(pairs), BLOCK):
        usable[start : start + BLOCK] = readable(inputs[start : start + BLOCK])
    return inputs, usable


def _block(texts: list[str], prepare: Prepare, width: int, dtype: np.dtype) -> np.ndarray:
    places: dict[str, int] = {}
    numbers = [places.setdefault(text, len(places)) for text in texts]
    made = np.asarray(prepare(list(places)))
    assert made.shape == (len(places), width), f"inputs of {made.shape}, the model reads {width}"
    assert made.dtype == dtype, f"inputs of {made.dtype}, the model reads {dtype}"
    return made[numbers]


def _done(note: Path, path: Path, state: dict[str, object], row: int) -> int:
    """Clips that are on disk, made of the same; 0 where there is none, or the note is damaged."""
    try:
        found = json.loads(note.read_bytes())
        done, size = found["done"], path.stat().st_size
        same = found | {"done": 0} == state and 0 <= done <= size // row
    except (OSError, ValueError, TypeError, KeyError):
        return 0
    return int(done) if same else 0
