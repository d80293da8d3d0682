"""Whole sentences to vectors, by a text encoder of the transformers library.

`minilm` is the model of the extra `[offline]`; any other comes from a folder or the model hub. Frozen, it gives
one vector per text, computed once and kept by who trains; tuned, its network is a part of `TextVideoModel` and
this module only cuts texts into its tokens. Reads strings, writes vectors or token ids.

    config.json, model.safetensors, tokenizer.json     what `save` writes and `open` reads
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F

from tellvision.embedding.config import TextConfig
from tellvision.embedding.text import offline_folder
from tellvision.embedding.towers.pooling import WordPool
from tellvision.records import InputError
from tellvision.store import atomic_write
from tellvision.vision.extractors.hub import CONFIG, Released, find_released, read_json
from tellvision.vision.network import has_bfloat16

WEIGHTS, TOKENIZER = "model.safetensors", "tokenizer.json"
MINILM = "minilm"

ENCODERS = {
    "albert": "AlbertModel",
    "bert": "BertModel",
    "deberta-v2": "DebertaV2Model",
    "distilbert": "DistilBertModel",
    "electra": "ElectraModel",
    "modernbert": "ModernBertModel",
    "mpnet": "MPNetModel",
    "roberta": "RobertaModel",
    "t5": "T5EncoderModel",
    "xlm-roberta": "XLMRobertaModel",
}
"""Kinds of encoders (`model_type` of their config.json), and the library's names of them."""

_TOKENS_AT_ONCE = 1024  # that go through the encoder together, the empty places of shorter texts among them


class SentenceEncoder:
    """A text encoder and its tokenizer.

    Args:
        network: gives `last_hidden_state` of `input_ids` and `attention_mask`.
        tokenizer: puts the network's own tokens around a text.
        about: the network's config.json.
        config: how many tokens count and how they are pooled.

    Attributes:
        network: in evaluation mode.
        dim: width e of a vector.
        width: places of a text's tokens, the network's own among them.
    """

    def __init__(self, network: nn.Module, tokenizer: Tokenizer, about: Mapping[str, Any], config: TextConfig):
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self.network, self.config = network.eval(), config
        self._about, self._saved = dict(about), tokenizer.to_str()
        self.dim = int(network.config.hidden_size)  # type: ignore[union-attr, arg-type]
        own = tokenizer.num_special_tokens_to_add(is_pair=False)
        self.width = config.max_words + own
        longest = about.get("max_position_embeddings")
        if isinstance(longest, int) and self.width > longest - 2:  # some kinds count from 2
            raise InputError(f"{config.encoder} reads {longest - 2 - own} tokens at most: lower max_words")
        tokenizer.enable_truncation(self.width)
        self._tokenizer = tokenizer
        self._fill = int(about.get("pad_token_id") or 0)
        pooler = getattr(network, "pooler", None)
        if isinstance(pooler, nn.Module):
            pooler.requires_grad_(False)  # it stands behind what is read

    @classmethod
    def open(cls, source: str | Path, config: TextConfig) -> "SentenceEncoder":
        """The encoder of a name, a folder or a hub id.

        Args:
            source: `minilm`; a folder, also one that `save` wrote; or OWNER/NAME on the model hub, which is
                fetched if it was not before, and said so on stderr.
            config: how texts are read.

        Raises:
            InputError: no such encoder, one of an unknown kind, files missing or damaged, or
                transformers is not installed.
        """
        if source == MINILM:
            folder = offline_folder()
            released = Released(model=MINILM, folder=folder, config=read_json(folder / CONFIG))
        else:
            released = find_released(str(source), ENCODERS)
        network = released.load(ENCODERS[released.config["model_type"]])
        path = released.folder / TOKENIZER
        try:
            tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
        except Exception as error:  # the library raises nothing narrower
            raise InputError(f"{path} cannot be read, texts need it: {' '.join(str(error).split())}") from None
        return cls(network, tokenizer, released.config, config)

    @property
    def weights(self) -> str:
        """Names the network as it is now, its configuration and its tokenizer (64 hex digits)."""
        known = hashlib.sha256(json.dumps([self._about, self._saved], sort_keys=True).encode())
        for name, value in sorted(self._weights().items()):
            known.update(name.encode())
            known.update(value.detach().cpu().contiguous().numpy().data)
        return known.hexdigest()

    def save(self, folder: Path) -> None:
        """Write what `open` reads: weights in half precision where nothing is lost by it, else as they are."""
        folder.mkdir(parents=True, exist_ok=True)
        weights = {name: _halved(value.detach().cpu()) for name, value in self._weights().items()}
        atomic_write(folder / WEIGHTS, safetensors.torch.save(weights, metadata={"format": "pt"}))
        atomic_write(folder / TOKENIZER, self._saved.encode())
        atomic_write(folder / CONFIG, json.dumps(self._about, indent=1, sort_keys=True).encode())

    def token_ids(self, texts: Sequence[str]) -> NDArray[np.int32]:
        """The network's tokens of every text.

        Returns:
            (n, width) int32, -1 behind the last one; a text without a letter or digit is a row of -1.
        """
        result = np.full((len(texts), self.width), -1, np.int32)
        for row, ids in zip(result, self._tokens(texts), strict=True):
            row[: len(ids)] = ids
        return result

    def states(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """What the network makes of every token.

        Args:
            ids: (n, w) integers, -1 behind the last token, where the network lies.

        Returns:
            (n * w + 1, e) rows, an empty one last; and (n, w) places of the rows, n * w where there is no
            token: what `WordPool` takes.
        """
        if not torch.compiler.is_compiling():
            ids = ids[:, : max(1, int((ids >= 0).sum(dim=1).max()))] if len(ids) else ids
        known = ids >= 0
        found = self.network(input_ids=ids.long().masked_fill(~known, self._fill), attention_mask=known.long())
        rows = found.last_hidden_state.flatten(0, 1)
        places = torch.arange(len(rows), device=ids.device).view_as(ids).masked_fill(~known, len(rows))
        return F.pad(rows, (0, 0, 0, 1)), places

    @torch.no_grad()
    def encode(self, texts: Sequence[str], device: torch.device | None = None) -> NDArray[np.float16]:
        """Vectors of texts, each distinct text read once.

        Args:
            texts: any strings; what is longer than `max_words` tokens is cut off.
            device: where it is computed; None: where the network lies.

        Returns:
            (n, e) float16 of unit length; zeros for a text without a letter or digit.

        Raises:
            InputError: the network gives no finite numbers.
        """
        number = {text: place for place, text in enumerate(dict.fromkeys(texts))}
        tokens = self._tokens(list(number))
        lengths = np.fromiter(map(len, tokens), np.int64, count=len(tokens))
        order = np.argsort(lengths, kind="stable")[np.count_nonzero(lengths == 0) :]
        network = self.network if device is None else self.network.to(device)
        device = next(network.parameters()).device
        fast = torch.cuda.is_bf16_supported() if device.type == "cuda" else has_bfloat16()
        pool = WordPool(self.config.pool, self.dim, relu=False)
        vectors = np.zeros((len(number), self.dim), np.float16)
        while len(order):
            # The longest first: a batch of too many tokens shows at once, not in the end.
            batch, order = np.split(order[::-1], [max(1, _TOKENS_AT_ONCE // lengths[order[-1]])])
            order = order[::-1]
            ids = np.full((len(batch), lengths[batch[0]]), -1, np.int64)
            for row, place in zip(ids, batch, strict=True):
                row[: lengths[place]] = tokens[place]
            with torch.autocast(device.type, torch.bfloat16, enabled=fast):
                rows, places = self.states(torch.from_numpy(ids).to(device))
            vectors[batch] = F.normalize(pool(rows.float(), places), dim=1).cpu().numpy()
        if not np.isfinite(vectors).all():
            raise InputError(f"{self.config.encoder} gives numbers that are not finite: its weights are damaged")
        return vectors[np.fromiter(map(number.__getitem__, texts), np.int64, count=len(texts))]

    def _weights(self) -> dict[str, Tensor]:
        """Its weights by name, one that has several names by the first of them."""
        names = {name for name, _ in (*self.network.named_parameters(), *self.network.named_buffers())}
        return {name: value for name, value in self.network.state_dict().items() if name in names}

    def _tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Per text its tokens with the network's own around them; none where nothing can be read."""
        # Half of a surrogate pair is a character to Python, and none to the tokenizer.
        plain = [text.encode("utf-8", "replace").decode() for text in texts]
        found = self._tokenizer.encode_batch_fast(plain)
        return [one.ids if any(map(str.isalnum, text)) else [] for one, text in zip(found, plain, strict=True)]


def _halved(value: Tensor) -> Tensor:
    half = value.half()
    if value.dtype == torch.float32 and torch.equal(half.float(), value):
        return half
    return value.clone(memory_format=torch.contiguous_format)  # tied weights would share their memory
