"""The two towers: texts and clips become vectors of unit length in one space (paper section 4).

Text: every word's vector through Linear + ReLU, the maximum over the words (or their mean, or attention), a
gated unit; or a sentence's vector through a gated unit. Clips: the joined row of visual features through a gated
unit, or the steps of a clip through a small transformer first. Their cosine says how well they fit. Reads token
ids, vectors of words or sentences, rows and steps of features; writes vectors.

`forward` trains. `encode_text`, `embed_words` and `embed_clips` use what was learned: they check what
they are given, go in blocks and keep no gradient; numpy arrays give numpy arrays, tensors give tensors
on their device.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from tellvision.embedding.config import ModelConfig, Track
from tellvision.embedding.given import Array, counted, finite, in_blocks, like
from tellvision.embedding.sentences import SentenceEncoder
from tellvision.embedding.text import (
    TextTransform,
    offline_word_pieces,
    offline_word_table,
    readable,
    vocabulary_of,
)
from tellvision.embedding.towers.centre import Centre
from tellvision.embedding.towers.pooling import WordPool, distinct_of
from tellvision.embedding.towers.steps import StepsTower, spread_evenly
from tellvision.embedding.towers.units import GatedUnit
from tellvision.embedding.words import WordVectors
from tellvision.records import InputError
from tellvision.store import digest

_BLOCK = 4096  # rows that go through a tower together


class TextVideoModel(nn.Module):
    """A joint space of texts and clips.

    Args:
        config: sizes, tracks, how texts are read.
        text: the text transform; None with an encoder of sentences, and where the checkpoint refers to an
            outside table that was not given.
        table: (tokens, e) the word vectors that lie in the model; trained with tokens `learned` alone.
        words: an outside table, in place of `table`.
        sentences: the encoder, with tokens `sentence`; its network is a part of the model (`encoder`) if it is
            tuned, else it stays beside the model.
    """

    word_table: Tensor | None

    def __init__(
        self,
        config: ModelConfig,
        text: TextTransform | None = None,
        table: Tensor | None = None,
        words: WordVectors | None = None,
        sentences: SentenceEncoder | None = None,
    ) -> None:
        super().__init__()
        for width in (table.shape[1] if table is not None else None, words.dim if words is not None else None):
            if width not in (None, config.word_dim):
                raise InputError(f"the word vectors have {width} numbers, the model reads {config.word_dim}")
        if sentences is not None and sentences.dim != config.word_dim:
            raise InputError(
                f"{config.text.encoder} gives vectors of {sentences.dim} numbers, the model reads "
                f"{config.word_dim}: set word_dim={sentences.dim}"
            )
        self.config = config
        self.text = text
        self.words = words
        self.sentences = sentences
        if config.text.tokens == "learned" and table is not None:
            self.word_table = nn.Parameter(table)
        else:
            self.register_buffer("word_table", table)
        of_sentences = config.text.tokens == "sentence"
        self.encoder = sentences.network if sentences is not None and config.text.tune else None
        self.word_layer = None if of_sentences else nn.Linear(config.word_dim, config.word_layer_dim)
        pooled_dim = config.word_dim if of_sentences else config.word_layer_dim
        self.word_pool = WordPool(
            config.text.pool,
            pooled_dim,
            relu=not of_sentences,
            empty_counts=not (config.mask_padding or of_sentences),
        )
        self.text_unit = GatedUnit(pooled_dim, config.dim)
        widths = [track.dim for track in config.tracks]
        self.clip_steps = None if config.steps is None else StepsTower(widths, config.steps)
        self.clip_unit = GatedUnit(config.video_dim if config.steps is None else config.steps.width, config.dim)
        self.text_centre = Centre(config.word_dim) if config.centre and self._of_frozen else None
        self.clip_centre = Centre(config.video_dim) if config.centre else None
        self.text_dropout, self.clip_dropout = nn.Dropout(config.dropout), nn.Dropout(config.dropout)

    @classmethod
    def new(
        cls,
        config: ModelConfig,
        *,
        seed: int,
        words: WordVectors | None = None,
        texts: Iterable[str] | None = None,
    ) -> "TextVideoModel":
        """A model that has learned nothing yet; the same seed gives the same weights.

        Args:
            config: with tokens `wordpiece` the table comes from the extra `[offline]`.
            seed: of the first weights.
            words: the table for tokens `words`.
            texts: the training captions, whose words are those of tokens `learned`.

        Raises:
            InputError: no table, captions or encoder where one is needed, or one of another width.
        """
        kind = config.text.tokens
        text, table, sentences = None, None, None
        if kind == "words":
            if words is None:
                raise InputError("tokens='words' needs a table of word vectors: pass words=read_words(PATH)")
            text = TextTransform(config.text, words)
        elif kind == "wordpiece":
            text = TextTransform(config.text, offline_word_pieces())
            table = torch.from_numpy(offline_word_table())
        elif kind == "learned":
            if texts is None:
                raise InputError("tokens='learned' takes its words from the training captions: pass texts=")
            text = TextTransform(config.text, vocabulary_of(texts, config.text))
        else:
            sentences = SentenceEncoder.open(config.text.encoder, config.text)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            if kind == "learned":
                # Of length 1, like MiniLM's: of the usual length, the root of the width, they would hardly turn.
                table = torch.randn(len(text.lookup), config.word_dim) * config.word_dim**-0.5  # type: ignore[union-attr, arg-type]
            return cls(config, text, table, words, sentences)

    @property
    def features(self) -> tuple[Track, ...]:
        """Names, rates and widths of the tracks that a clip's row is joined from, in this order."""
        return self.config.tracks

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.text_unit.project.weight.device

    @property
    def input_width(self) -> int:
        """Width w of what `prepare` gives."""
        if self.config.text.tokens != "sentence":
            return self.config.text.max_words
        return self._the_sentences().width if self.config.text.tune else self.config.word_dim

    @property
    def input_dtype(self) -> np.dtype[Any]:
        """Kind of what `prepare` gives: float16 vectors of a frozen encoder, else int32 token ids."""
        return np.dtype(np.float16 if self._of_frozen else np.int32)

    @property
    def reading(self) -> str:
        """Names all that decides what `prepare` gives: how texts are cut, the words or the encoder."""
        by = self.sentences.weights if self.sentences else self.text.content if self.text else ""
        return digest(asdict(self.config.text), by)

    @property
    def _of_frozen(self) -> bool:
        return self.config.text.tokens == "sentence" and not self.config.text.tune

    def prepare(self, texts: Sequence[str]) -> NDArray[Any]:
        """What the text tower reads of texts; `text.readable` says which of them can be read.

        Returns:
            (n, input_width): int32 token ids, -1 behind the last one; or, of a frozen encoder, float16
            vectors. A text that cannot be read is a row of -1, or of zeros.

        Raises:
            InputError: no table of words, no encoder.
        """
        if self.config.text.tokens == "sentence":
            sentences = self._the_sentences()
            return sentences.token_ids(texts) if self.config.text.tune else sentences.encode(texts, self.device)
        if self.text is None:
            raise InputError(self._no_words())
        return self.text.token_ids(texts)

    def forward(
        self, inputs: Tensor, clips: Tensor, steps: Tensor | None = None, distinct: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Both towers, with gradients: `embed_inputs` and `embed_rows`.

        Returns:
            (n, d) and (m, d) float32 of unit length; their product is the matrix of similarities.
        """
        return self.embed_inputs(inputs, distinct), self.embed_rows(clips, steps)

    def embed_inputs(self, inputs: Tensor, distinct: Tensor | None = None) -> Tensor:
        """The text tower on what `prepare` gives, (n, w) to (n, d), with gradients.

        A row that cannot be read is for the caller to avoid.

        Args:
            inputs: (n, w) token ids, -1 where there is none; or vectors of sentences.
            distinct: (u,) integers, the token ids of the batch without -1, each once: then `inputs` are
                their places, 0 to u - 1, and u where there is no token. None: found here.
        """
        if self._of_frozen:
            inputs = inputs if self.text_centre is None else self.text_centre(inputs)
            return self.text_unit(self.text_dropout(self._at_compute_type(inputs)))
        if self.config.text.tokens == "sentence":
            rows, places = self._the_sentences().states(inputs)
            return self.text_unit(self.text_dropout(F.normalize(self.word_pool(rows, places).float(), dim=1)))
        if distinct is None:
            distinct, inputs = distinct_of(inputs)
        # The word layer runs once per distinct token of the batch, not once per place: narration repeats itself.
        return self._of_words(self._word_rows(distinct), inputs)

    def embed_rows(self, clips: Tensor, steps: Tensor | None = None) -> Tensor:
        """The clip tower, to (m, d), with gradients.

        Args:
            clips: (m, D) rows of features; with a transformer over steps also (m, L, D) joined steps.
            steps: (m,) integers, how many of the L steps count, from the first; None: all do.
        """
        clips = clips if self.clip_centre is None else self.clip_centre(clips)
        clips = self.clip_dropout(self._at_compute_type(clips))
        return self.clip_unit(clips if self.clip_steps is None else self.clip_steps(clips, steps))

    def _of_words(self, rows: Tensor, places: Tensor) -> Tensor:
        """(u + 1, e) word vectors, the last one zeros, and (n, w) places, u where there is no word, to (n, d)."""
        assert self.word_layer is not None
        return self.text_unit(self.word_pool(self.word_layer(rows), places))

    def _word_rows(self, token_ids: Tensor) -> Tensor:
        """(u,) token ids to (u + 1, e), the last one that of an empty place: zeros, as in the released code."""
        if self.word_table is not None:
            rows = F.embedding(token_ids, self.word_table)
        elif self.words is not None:
            rows = torch.from_numpy(self.words.rows[token_ids.cpu().numpy()]).to(self.device)
        else:
            raise InputError(self._no_words())
        return F.pad(rows, (0, 0, 0, 1))

    def _at_compute_type(self, numbers: Tensor) -> Tensor:
        # Straight from half precision to what the matrix product takes, without a float32 copy between.
        kind = self.device.type
        mixed = torch.is_autocast_enabled(kind)
        return numbers.to(torch.get_autocast_dtype(kind) if mixed else self.text_unit.project.weight.dtype)

    def _the_sentences(self) -> SentenceEncoder:
        if self.sentences is None:
            raise InputError(
                f"the text encoder {self.config.text.encoder} is not loaded: load the whole checkpoint"
            )
        return self.sentences

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
        inputs = self.prepare(list(texts))
        unknown = np.flatnonzero(~readable(inputs))
        if len(unknown):
            place = int(unknown[0])
            raise InputError(f"text {place} has no word that the model knows: {texts[place]!r}")
        return self.encode_inputs(inputs)

    @torch.no_grad()
    def encode_inputs(self, inputs: NDArray[Any]) -> NDArray[np.float32]:
        """(n, d) vectors of texts that `prepare` made ready, each of which can be read."""
        return self._in_blocks(self.embed_inputs, _BLOCK, inputs).cpu().numpy()

    def save_pretrained(self, folder: str | Path, about: Mapping[str, Any] | None = None) -> None:
        """Write the checkpoint and a model card to `folder`, see `hub.save_pretrained`."""
        from tellvision.embedding import hub

        hub.save_pretrained(self, folder, about)

    def push_to_hub(self, repo_id: str, **options: Any) -> str:
        """Put the checkpoint and a model card on the hub, see `hub.push_to_hub`; its address."""
        from tellvision.embedding import hub

        return hub.push_to_hub(self, repo_id, **options)

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
            ValueError: another width or shape, a row without a word that counts, NaN (names the row), or a
                model that reads sentences.
        """
        if self.word_layer is None:
            raise InputError("this model reads whole sentences, not words: use encode_text")
        if vectors.ndim != 3 or vectors.shape[2] != self.config.word_dim:
            raise InputError(
                f"word vectors have the shape (n, words, {self.config.word_dim}), got {tuple(vectors.shape)}"
            )

        def pool(words: Tensor, counts: Tensor) -> Tensor:
            places = torch.arange(counts.numel(), device=counts.device).view_as(counts)
            # What does not count may hold anything: it is left out before the maximum sees it.
            kept = words.float().masked_fill(~counts[:, :, None], 0.0)
            rows = F.pad(kept.flatten(0, 1), (0, 0, 0, 1))
            return self._of_words(rows, places.masked_fill(~counts, counts.numel()))

        counts = counted(mask, vectors.shape[:2], "text", "word")
        result = self._in_blocks(pool, _BLOCK // max(1, vectors.shape[1]), vectors, counts)
        return like(vectors, finite(result, "text"))

    @torch.no_grad()
    def embed_clips(self, features: Array, mask: Array | None = None) -> Array:
        """Vectors of clips.

        Args:
            features: (n, D) rows as they are (per track the maximum over the clip's steps, of unit length;
                joined in the order of `features`), or (n, steps, D), which is pooled so first, unless the
                model reads steps: then those that count are read in their order, spread evenly if they are
                more than it looks at, and a row is a clip of one step.
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
            result = self._in_blocks(lambda rows: self.embed_rows(rows.float()), _BLOCK, features)
            return like(features, finite(result, "clip"))

        def pool(steps: Tensor, counts: Tensor) -> Tensor:
            if self.config.steps is not None:
                return self.embed_rows(*spread_evenly(steps.float(), counts, self.config.steps.max_steps))
            rows = steps.float().masked_fill(~counts[:, :, None], -torch.inf).amax(dim=1)
            tracks = [F.normalize(track, dim=1) for track in rows.split(widths, dim=1)]
            return self.embed_rows(torch.cat(tracks, dim=1))

        counts = counted(mask, features.shape[:2], "clip", "step")
        result = self._in_blocks(pool, _BLOCK // max(1, features.shape[1]), features, counts)
        return like(features, finite(result, "clip"))

    def _in_blocks(self, tower: Callable[..., Tensor], size: int, *inputs: np.ndarray | Tensor) -> Tensor:
        """The tower on `size` rows of all inputs at a time, on the model's device, nothing left out at random."""
        training = self.training
        self.eval()
        try:
            parts = list(in_blocks(tower, max(1, size), self.device, *inputs))
        finally:
            self.train(training)
        return torch.cat(parts) if parts else torch.zeros(0, self.config.dim)
