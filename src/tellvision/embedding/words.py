"""Tables of word vectors that users bring: word2vec's .bin, GloVe's text, or a dictionary; and bare words.

A file in word2vec's binary layout is mapped, not read: GoogleNews has 3.6 GB, a question needs
a few rows. The layout is a line `count dim`, then per word its name, a space and `dim` float32,
with or without a line break behind.
"""

import json
import mmap
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tellvision.records import InputError
from tellvision.store import digest


class Rows(Protocol):
    """Anything that gives the vectors of many words at once."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(words, e)."""

    def __getitem__(self, numbers: NDArray[np.int64], /) -> NDArray[np.float32]:
        """(k,) row numbers to (k, e)."""


class WordVectors:
    """Words and their vectors.

    Args:
        index: word -> row.
        rows: (words, e) float32.
    """

    def __init__(self, index: Mapping[str, int], rows: Rows) -> None:
        self.index = index
        self.rows = rows

    @property
    def dim(self) -> int:
        """Width e of a vector."""
        return self.rows.shape[1]

    @property
    def content(self) -> str:
        """Names the words in their order and some of their numbers: a file of vectors is not read whole for it."""
        some = np.unique(np.linspace(0, self.rows.shape[0] - 1, 100).astype(np.int64))
        return digest(self.dim, list(self.index), self.rows[some].tolist())

    def token_ids(self, words: list[str]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """The row of every known word, and how many rows each word has: 0 or 1."""
        return _found(self.index, words)


class Vocabulary:
    """Words without vectors, for a table that is learned with the model.

    Args:
        words: all different; a word's place is its row.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.words = tuple(words)
        self._index = {word: number for number, word in enumerate(self.words)}

    def __len__(self) -> int:
        return len(self.words)

    @property
    def content(self) -> str:
        """Names the words in their order."""
        return digest(list(self.words))

    @classmethod
    def from_json(cls, text: str) -> "Vocabulary":
        """What `to_json` wrote; InputError if it is something else."""
        try:
            words = json.loads(text)
        except ValueError as error:
            raise InputError(f"this is no list of words: {error}") from None
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise InputError("this is no list of words: a JSON array of strings was expected")
        if not words or len(set(words)) < len(words):
            raise InputError("this is no list of words: it is empty, or holds a word twice")
        return cls(words)

    def to_json(self) -> str:
        """The words as a JSON array, in their order."""
        return json.dumps(self.words, ensure_ascii=False, indent=0)

    def token_ids(self, words: list[str]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """The place of every known word, and how many each word has: 0 or 1."""
        return _found(self._index, words)


def read_words(source: str | Path | Mapping[str, ArrayLike]) -> WordVectors:
    """The word vectors of a file or a dictionary.

    Args:
        source: a path that ends in `.bin` (word2vec), any other path (text, a word and its numbers
            per line, with or without a first line `count dim`), or {word: (e,) array}.

    Raises:
        InputError: no such file, or not in that layout; names the place.
    """
    if isinstance(source, Mapping):
        return _from_mapping(source)
    path = Path(source)
    if not path.is_file():
        raise InputError(f"no file of word vectors at {path}")
    if path.suffix in (".gz", ".zip"):
        raise InputError(f"{path} is packed: unpack it first, rows of it are read in place")
    return _from_binary(path) if path.suffix == ".bin" else _from_text(path)


def _found(index: Mapping[str, int], words: list[str]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    found = np.fromiter((index.get(word, -1) for word in words), np.int32, count=len(words))
    known = found >= 0
    return found[known], known.astype(np.int64)


def _from_mapping(words: Mapping[str, ArrayLike]) -> WordVectors:
    vectors = [np.asarray(vector, dtype=np.float32) for vector in words.values()]
    shapes = {vector.shape for vector in vectors}
    if len(shapes) != 1 or vectors[0].ndim != 1 or vectors[0].size == 0:
        raise InputError(f"word vectors all have one shape (e,), got {sorted(shapes) or 'no word'}")
    return WordVectors({word: number for number, word in enumerate(words)}, np.stack(vectors))


class _MappedRows:
    """Rows of float32 at any places of a mapped file."""

    def __init__(self, data: NDArray[np.uint8], places: NDArray[np.int64], dim: int) -> None:
        self._data, self._places = data, places
        self.shape = (len(places), dim)

    def __getitem__(self, numbers: NDArray[np.int64], /) -> NDArray[np.float32]:
        places = self._places[numbers][:, None] + np.arange(4 * self.shape[1])
        return self._data[places].view("<f4").astype(np.float32, copy=False)


def _from_binary(path: Path) -> WordVectors:
    size = path.stat().st_size
    if size == 0:
        raise InputError(f"{path} is empty")
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    header_end = mapped.find(b"\n", 0, 100)
    count, dim = _header(mapped[: max(header_end, 0)]) or (0, 0)
    if count < 1 or dim < 1:
        raise InputError(f"{path} does not begin with a line 'count dim': it is no word2vec .bin file")
    index: dict[str, int] = {}
    places = np.empty(min(count, size), dtype=np.int64)
    place = header_end + 1
    for number in range(count):
        space = mapped.find(b" ", place)
        if space < 0 or space + 1 + 4 * dim > size:
            raise InputError(f"{path} ends within word {number + 1} of {count}: it was cut off, fetch it again")
        word = mapped[place:space].lstrip(b"\n").decode("utf-8", errors="replace")
        index.setdefault(word, number)
        places[number] = space + 1
        place = space + 1 + 4 * dim
    return WordVectors(index, _MappedRows(np.frombuffer(mapped, dtype=np.uint8), places, dim))


def _from_text(path: Path) -> WordVectors:
    index: dict[str, int] = {}
    numbers = array("f")
    dim = 0
    with path.open(encoding="utf-8", errors="replace", newline="\n") as lines:
        for line_number, line in enumerate(lines, 1):
            if line_number == 1 and _header(line.encode()):
                continue
            if not line.strip():
                continue
            # Some words of GloVe's largest table hold spaces: the numbers are counted from the right.
            word, *values = line.rstrip().rsplit(" ", dim or -1)
            dim = dim or len(values)
            try:
                numbers.extend([float(value) for value in values])
            except ValueError:
                raise InputError(f"{path}, line {line_number}: a word and {dim} numbers were expected") from None
            if len(values) != dim or dim == 0:
                raise InputError(f"{path}, line {line_number}: a word and {dim} numbers were expected")
            index.setdefault(word, len(numbers) // dim - 1)
    if not index:
        raise InputError(f"{path} holds no word vectors")
    return WordVectors(index, np.frombuffer(numbers, dtype=np.float32).reshape(-1, dim))


def _header(line: bytes) -> tuple[int, int] | None:
    """`count dim`, if that is all the line says."""
    parts = line.split()
    if len(parts) == 2 and all(part.isdigit() for part in parts):
        return int(parts[0]), int(parts[1])
    return None
