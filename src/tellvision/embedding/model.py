"""The two towers: texts and clips become vectors of unit length in one space (paper section 4).

Text: every word's vector through Linear + ReLU, the maximum over the words, a gated unit. Clips: the
joined row of visual features through a gated unit. Their cosine says how well they fit. Reads token
ids, word vectors and rows of features; writes vectors.

`forward` trains. `encode_text`, `embed_words` and `embed_clips` use what was learned: they check what
they are given, go in blocks and keep no gradient; numpy arrays give numpy arrays, tensors give tensors
on their device.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from tellvision.embedding.config import ModelConfig, Track
from tellvision.embedding.text import TextTransform, offline_word_pieces, offline_word_table
from tellvision.embedding.words import WordVectors
from tellvision.records import InputError

Array = TypeVar("Array", np.ndarray, Tensor)

_BLOCK = 4096  # rows that go through a tower together


class GatedUnit(nn.Module):
    """(W1 x + b1) * sigmoid(W2 (W1 x + b1) + b2), to unit length."""

    def __init__(self, dim_in: int, dim_out: int) -> None:
        super().__init__()
        self.project = nn.Linear(dim_in, dim_out)
        self.gate = nn.Linear(dim_out, dim_out)

    def forward(self, x: Tensor) -> Tensor:
        """(n, dim_in) to (n, dim_out)."""
        x = self.project(x)
        return F.normalize(x * torch.sigmoid(self.gate(x)), dim=1)


class TextVideoModel(nn.Module):
    """A joint space of texts and clips.

    Args:
        config: sizes, tracks, how texts are read.
        text: the text transform; None where the checkpoint refers to an outside table that was not given.
        table: (tokens, e) the word vectors that lie in the model; they are not trained.
        words: an outside table, in place of `table`.
    """

    word_table: Tensor | None

    def __init__(
        self,
        config: ModelConfig,
        text: TextTransform | None = None,
        table: Tensor | None = None,
        words: WordVectors | None = None,
    ) -> None:
        super().__init__()
        for width in (table.shape[1] if table is not None else None, words.dim if words is not None else None):
            if width not in (None, config.word_dim):
                raise InputError(f"the word vectors have {width} numbers, the model reads {config.word_dim}")
        self.config = config
        self.text = text
        self.words = words
        self.register_buffer("word_table", table)
        self.word_layer = nn.Linear(config.word_dim, config.word_layer_dim)
        self.text_unit = GatedUnit(config.word_layer_dim, config.dim)
        self.clip_unit = GatedUnit(config.video_dim, config.dim)

    @classmethod
    def new(cls, config: ModelConfig, *, seed: int, words: WordVectors | None = None) -> "TextVideoModel":
        """A model that has learned nothing yet; the same seed gives the same weights.

        Args:
            config: with tokens `wordpiece` the table comes from the extra `[offline]`.
            seed: of the first weights.
            words: the table for tokens `words`.

        Raises:
            InputError: no table, or one of another width.
        """
        if config.text.tokens == "words":
            if words is None:
                raise InputError("tokens='words' needs a table of word vectors: pass words=read_words(PATH)")
            text, table = TextTransform(config.text, words), None
        else:
            text = TextTransform(config.text, offline_word_pieces())
            table = torch.from_numpy(offline_word_table())
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return cls(config, text, table, words)

    @property
    def features(self) -> tuple[Track, ...]:
        """Names, rates and widths of the tracks that a clip's row is joined from, in this order."""
        return self.config.tracks

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.word_layer.weight.device

    def forward(self, token_ids: Tensor, clips: Tensor) -> tuple[Tensor, Tensor]:
        """Both towers, with gradients.

        Args:
            token_ids: (n, words) integers, -1 where there is no token.
            clips: (m, D) rows of features.

        Returns:
            (n, d) and (m, d) of unit length; their product is the matrix of similarities.
        """
        return self.embed_tokens(token_ids), self.clip_unit(clips)

    def embed_tokens(self, token_ids: Tensor) -> Tensor:
        """The text tower on token ids, (n, words) to (n, d), with gradients.

        The word layer runs once per distinct token of the batch, not once per place: narration repeats
        itself. A row of -1 alone is for the caller to avoid.
        """
        distinct, places = torch.unique(token_ids, return_inverse=True)
        known = (distinct >= 0)[:, None]
        # The empty place is a word of zeros, as in the released code ...
        rows = self._word_rows(distinct.clamp(min=0)).to(self.device) * known
        hidden = F.relu(self.word_layer(rows))
        if self.config.mask_padding:
            # ... or left out: nothing is below zero after ReLU, so zeros never win a maximum.
            hidden = hidden * known
        # The maximum over each text's words without laying them out as (n, words, d).
        pooled = F.embedding_bag(places, hidden, mode="max")
        return self.text_unit(pooled)

    def _word_rows(self, token_ids: Tensor) -> Tensor:
        if self.word_table is not None:
            return self.word_table[token_ids]
        if self.words is None:
            raise InputError(self._no_words())
        return torch.from_numpy(self.words.rows[token_ids.cpu().numpy()])

    def _no_words(self) -> str:
        return (
            "this checkpoint looks its words up in an outside table: load it with words=, the path of a word2vec "
            f".bin or GloVe text file or {{word: array}}, {self.config.word_dim} numbers per word (the released "
            "one was trained with GoogleNews-vectors-negative300.bin)"
        )

    @torch.no_grad()
    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of texts.

        Args:
            texts: a list of strings.

        Returns:
            (n, d) float32 of unit length.

        Raises:
            ValueError: a text without a known word (names its place), a single string in place of a
                list, or no table of words.
        """
        if isinstance(texts, str):
            raise InputError(f"encode_text takes a list of texts: pass [{texts!r}]")
        if self.text is None:
            raise InputError(self._no_words())
        ids = self.text.token_ids(list(texts))
        unknown = np.flatnonzero((ids < 0).all(axis=1))
        if len(unknown):
            place = int(unknown[0])
            raise InputError(f"text {place} has no word that the model knows: {texts[place]!r}")
        return self._in_blocks(self.embed_tokens, _BLOCK, ids).cpu().numpy()

    @torch.no_grad()
    def embed_words(self, vectors: Array, mask: Array | None = None) -> Array:
        """Vectors of texts that come as word vectors.

        Args:
            vectors: (n, words, e) float.
            mask: (n, words) bool, True where a word counts; None: every place counts, also one of zeros
                (the released code pads with zeros and lets them join the maximum).

        Returns:
            (n, d) float32 of unit length.

        Raises:
            ValueError: another width or shape, a row without a word that counts, NaN (names the row).
        """
        if vectors.ndim != 3 or vectors.shape[2] != self.config.word_dim:
            raise InputError(
                f"word vectors have the shape (n, words, {self.config.word_dim}), got {tuple(vectors.shape)}"
            )

        def pool(words: Tensor, counts: Tensor) -> Tensor:
            hidden = F.relu(self.word_layer(words.float()))
            return self.text_unit(hidden.masked_fill(~counts[:, :, None], 0.0).amax(dim=1))

        counts = _mask(mask, vectors.shape[:2], "text", "word")
        result = self._in_blocks(pool, _BLOCK // max(1, vectors.shape[1]), vectors, counts)
        return _like(vectors, _finite(result, "text"))

    @torch.no_grad()
    def embed_clips(self, features: Array, mask: Array | None = None) -> Array:
        """Vectors of clips.

        Args:
            features: (n, D) rows as they are (per track the maximum over the clip's steps, of unit length;
                joined in the order of `features`), or (n, steps, D), which is pooled so first.
            mask: (n, steps) bool, True where a step counts; None: all do.

        Returns:
            (n, d) float32 of unit length.

        Raises:
            ValueError: another D, a clip without a step that counts, NaN or infinity (names the clip).
        """
        widths = [track.dim for track in self.features]
        if features.ndim not in (2, 3) or features.shape[-1] != sum(widths):
            names = " + ".join(f"{track.name} {track.dim}" for track in self.features)
            raise InputError(
                f"clips have the shape (n, {sum(widths)}) or (n, steps, {sum(widths)}) ({names}), "
                f"got {tuple(features.shape)}"
            )
        if features.ndim == 2:
            if mask is not None:
                raise InputError("a mask says which steps count: it goes with (n, steps, D), not with (n, D)")
            result = self._in_blocks(lambda rows: self.clip_unit(rows.float()), _BLOCK, features)
            return _like(features, _finite(result, "clip"))

        def pool(steps: Tensor, counts: Tensor) -> Tensor:
            rows = steps.float().masked_fill(~counts[:, :, None], -torch.inf).amax(dim=1)
            tracks = [F.normalize(track, dim=1) for track in rows.split(widths, dim=1)]
            return self.clip_unit(torch.cat(tracks, dim=1))

        counts = _mask(mask, features.shape[:2], "clip", "step")
        result = self._in_blocks(pool, _BLOCK // max(1, features.shape[1]), features, counts)
        return _like(features, _finite(result, "clip"))

    def _in_blocks(self, tower: Callable[..., Tensor], size: int, *inputs: np.ndarray | Tensor) -> Tensor:
        """The tower on `size` rows of all inputs at a time, on the model's device."""
        size = max(1, size)
        parts = [
            tower(*(_tensor(each[start : start + size]).to(self.device) for each in inputs))
            for start in range(0, len(inputs[0]), size)
        ]
        return torch.cat(parts) if parts else torch.zeros(0, self.config.dim)


def _tensor(array: np.ndarray | Tensor) -> Tensor:
    # The copy is small, and a tensor over a read-only map would be an open door.
    return array if isinstance(array, Tensor) else torch.from_numpy(np.array(array))


def _like(given: Array, result: Tensor) -> Array:
    return result.to(given.device) if isinstance(given, Tensor) else result.cpu().numpy()


def _mask(mask: np.ndarray | Tensor | None, shape: Sequence[int], row: str, place: str) -> Tensor:
    """The mask as a tensor of bool, every row of it with at least one True."""
    counts = torch.ones(*shape, dtype=torch.bool) if mask is None else _tensor(mask).bool()
    if tuple(counts.shape) != tuple(shape):
        raise InputError(f"the mask has the shape {tuple(shape)}, got {tuple(counts.shape)}")
    empty = torch.nonzero(~counts.any(dim=1))
    if len(empty):
        raise InputError(f"{row} {int(empty[0])} has no {place} that counts")
    return counts


def _finite(result: Tensor, row: str) -> Tensor:
    bad = torch.nonzero(~torch.isfinite(result).all(dim=1))
    if len(bad):
        raise InputError(f"{row} {int(bad[0])} holds NaN, infinity or numbers too large for float32")
    return result
