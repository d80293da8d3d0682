"""A loader in the manner of the paper's released code: what `batches.feed` is measured against.

An item is a video: its feature files are read whole, then, clip by clip, the rows of the clip are pooled
and its words looked up one by one in a dictionary, to stand as vectors in a block of zeros. Growing the
clips to their minimum length, which the released code also does here, is left out in its favour.
"""

import re
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from benchmarks.corpus import Corpus

MAX_WORDS = 20


@dataclass(frozen=True)
class ReferenceVideos(Dataset[dict[str, Tensor]]):
    """A data set for `torch.utils.data.DataLoader`: video -> its drawn pairs.

    Attributes:
        corpus: where the files lie.
        vectors: word -> (e,) float32.
        pairs_per_video: drawn with replacement.
    """

    corpus: Corpus
    vectors: dict[str, np.ndarray]
    pairs_per_video: int

    def __len__(self) -> int:
        return len(self.corpus.captions)

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        """`video` (K, D) and `text` (K, 20, e), float32."""
        video = list(self.corpus.captions)[number]
        captions = self.corpus.captions[video]
        tracks = [
            (fps, torch.from_numpy(np.load(root / f"{video}.npy")).float()) for fps, root in self.corpus.tracks
        ]
        drawn = np.random.default_rng().integers(len(captions.text), size=self.pairs_per_video).tolist()
        rows = [pooled(tracks, captions.start[i], captions.end[i]) for i in drawn]
        words = [self.words(captions.text[i]) for i in drawn]
        return {"video": torch.stack(rows), "text": torch.stack(words)}

    def words(self, text: str) -> Tensor:
        """The vectors of the first known words of a text, zeros behind them: (20, e)."""
        found = [self.vectors[word] for word in re.findall(r"[\w']+", text) if word in self.vectors][:MAX_WORDS]
        block = torch.zeros(MAX_WORDS, len(next(iter(self.vectors.values()))))
        if found:
            block[: len(found)] = torch.from_numpy(np.stack(found))
        return block


def pooled(tracks: list[tuple[float, Tensor]], start: float, end: float) -> Tensor:
    """The row of one clip: per track the maximum over its rows, of unit length; joined."""
    parts = []
    for fps, track in tracks:
        rows = track[int(start * fps) : int(end * fps) + 1]
        parts.append(F.normalize(rows.max(dim=0)[0], dim=0))
    return torch.cat(parts)
