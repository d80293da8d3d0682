"""Retrieval on videos that training never saw: each caption asks for its own clip (paper, section 5.1).

Candidates are all clips of the held-out videos with a known word. Ties count against the model. Beside
the figures stand chance and a shuffled control: the same vectors, each caption given a clip at
random as the right one, which any leak in the measure would lift above chance.
"""

from collections.abc import Collection
from typing import Any

import numpy as np

from tellvision import metrics
from tellvision.embedding.model import TextVideoModel
from tellvision.embedding.pairs import Pairs

MOST_CLIPS = 20_000  # candidates; of more, every n-th is taken


def retrieval(
    model: TextVideoModel, pairs: Pairs, videos: Collection[str], *, seed: int = 0
) -> dict[str, Any] | None:
    """Text-to-video retrieval of `model` on the pairs of `videos`.

    Returns:
        `text_to_video`, `chance`, `shuffled` (each R@1, R@5, R@10 as shares in 0..1 and MedR) and the
        numbers of `videos` and `clips`; None with fewer than two clips to tell apart.
    """
    table, rows = pairs.select(videos)
    assert model.text is not None
    texts = table["text"].to_pylist()
    known = np.flatnonzero((model.text.token_ids(texts) >= 0).any(axis=1))
    known = known[:: -(-len(known) // MOST_CLIPS) or 1]
    if len(known) < 2:
        return None
    text_vectors = model.encode_text([texts[i] for i in known])
    clip_vectors = model.embed_clips(rows[known])
    right = np.arange(len(known))
    shuffled = np.random.default_rng(seed).permutation(len(known))
    return {
        "text_to_video": metrics.retrieval_embeddings(text_vectors, clip_vectors, right),
        "chance": metrics.chance(len(known)),
        "shuffled": metrics.retrieval_embeddings(text_vectors, clip_vectors, shuffled),
        "videos": len(set(table["video_id"].take(known).to_pylist())),
        "clips": len(known),
    }
