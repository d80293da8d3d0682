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
from tellvision.embedding.seen import Seen
from tellvision.embedding.text import readable

MOST_CLIPS = 20_000  # candidates; of more, every n-th video is taken


def retrieval(
    model: TextVideoModel,
    seen: Seen,
    videos: Collection[str],
    *,
    seed: int = 0,
    most: int = MOST_CLIPS,
    inputs: np.ndarray | None = None,
) -> dict[str, Any] | None:
    """Text-to-video retrieval of `model` on the clips of `videos`.

    Args:
        model: that reads and sees.
        seen: where the clips are.
        videos: whose clips are the candidates.
        seed: of the shuffled control.
        most: clips that are candidates; always the same ones of the same videos.
        inputs: what the text tower reads of every clip of the table, where it is at hand (`prepared`).

    Returns:
        `text_to_video`, `chance`, `shuffled` (each R@1, R@5, R@10 as shares in 0..1 and MedR) and the
        numbers of `videos` and `clips`; None with fewer than two clips to tell apart.
    """
    chosen = _some(seen, videos, most)
    table, clip_vectors = seen.vectors(model, chosen)
    said = model.prepare(table["text"].to_pylist()) if inputs is None else inputs[seen.numbers(chosen)]
    known = np.flatnonzero(readable(said))
    known = known[:: -(-len(known) // most) or 1]
    if len(known) < 2:
        return None
    text_vectors = model.encode_inputs(said[known])
    clip_vectors = clip_vectors[known]
    right = np.arange(len(known))
    shuffled = np.random.default_rng(seed).permutation(len(known))
    return {
        "text_to_video": metrics.retrieval_embeddings(text_vectors, clip_vectors, right),
        "chance": metrics.chance(len(known)),
        "shuffled": metrics.retrieval_embeddings(text_vectors, clip_vectors, shuffled),
        "videos": len(set(table["video_id"].take(known).to_pylist())),
        "clips": len(known),
    }


def _some(seen: Seen, videos: Collection[str], most: int) -> list[str]:
    """Every n-th of the videos, so that they have few more than `most` clips."""
    wanted = set(videos)
    places = [place for place, video in enumerate(seen.pairs.videos) if video in wanted]
    clips = int(np.diff(seen.pairs.offsets)[places].sum())
    return [seen.pairs.videos[place] for place in places[:: max(1, clips // most)]]
