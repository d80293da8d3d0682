"""The pictures of the report: a few clips, and what the model finds for questions it has never seen.

    index + the videos' files -> stills; index + model + held-out videos -> questions with their hits

Clips and questions are taken at even distances, never by how well they look or went.
"""

import base64
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tellvision import media, metrics
from tellvision.records import Hit, Skip
from tellvision.search import Index, TextModel
from tellvision.search.ranking import best, same_moment

STILLS = 12
QUESTIONS = 6
HITS = 5  # moments shown for a question
WIDTH = 288  # pixels: sharp on a phone, small in the file


@dataclass(frozen=True, kw_only=True)
class Still:
    """A clip and the picture in its middle.

    Attributes:
        title: of the video.
        start: seconds.
        end: seconds.
        text: what is said in it.
        picture: JPEG as a data URI; None where the video gives none any more.
    """

    title: str
    start: float
    end: float
    text: str
    picture: str | None


@dataclass(frozen=True, kw_only=True)
class Found:
    """A hit of a question.

    Attributes:
        still: the clip.
        right: `moment` where it shows the clip that was asked for, as a search would say
            (`same_moment`), `video` where only the video is right, else empty.
    """

    still: Still
    right: str


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is said in a clip, asked of the pictures alone.

    Attributes:
        asked: the clip whose text is the question.
        rank: of that clip among the candidates, ties against it.
        candidates: all clips of held-out videos.
        hits: the best moments, each told once.
    """

    asked: Still
    rank: int
    candidates: int
    hits: list[Found]


def few(index: Index) -> list[Still]:
    """Up to `STILLS` clips at even distances over the videos, each from the middle of its video."""
    ids = pc.unique(index.clips["video_id"]).to_pylist()
    return [_still(index, index.hit(_middle(index, ids[i]), 0.0)) for i in evenly(len(ids), STILLS)]


def ask(index: Index, model: TextModel, held_out: Collection[str]) -> list[Question]:
    """Up to `QUESTIONS` captions of held-out videos, asked of the pictures of all held-out clips.

    A caption without a word that the model knows is passed over.
    """
    mine = pc.is_in(index.clips["video_id"], pa.array(sorted(held_out), pa.string()))
    candidates = np.flatnonzero(mine.to_numpy(zero_copy_only=False))
    if len(candidates) < 2:
        return []
    ids = pc.unique(index.clips["video_id"].take(candidates)).to_pylist()
    questions = (_question(index, model, _middle(index, ids[i]), candidates) for i in evenly(len(ids), QUESTIONS))
    return [question for question in questions if question]


def evenly(number: int, wanted: int) -> list[int]:
    """Up to `wanted` places of `number`, at even distances, each in the middle of its share."""
    wanted = min(number, wanted)
    return [(2 * i + 1) * number // (2 * wanted) for i in range(wanted)]


def _middle(index: Index, video: str) -> int:
    """The row of the clip in the middle of a video's clips."""
    rows = np.flatnonzero(pc.equal(index.clips["video_id"], video).to_numpy(zero_copy_only=False))
    return int(rows[len(rows) // 2])


def _question(index: Index, model: TextModel, row: int, candidates: np.ndarray) -> Question | None:
    asked = index.hit(row, 0.0)
    try:
        query = np.asarray(model.encode_text([asked.text]))[0]
    except ValueError:
        return None
    scores = index.picture(query)[candidates]
    rank = metrics.ranks(scores[None], [int(np.searchsorted(candidates, row))])[0]
    hits: list[Hit] = []
    for place, score in zip(*best(scores, len(scores)), strict=True):
        hit = index.hit(int(candidates[place]), score)
        if not any(same_moment(hit, better) for better in hits):
            hits.append(hit)
        if len(hits) == HITS:
            break
    found = [Found(still=_still(index, hit), right=_right(hit, asked)) for hit in hits]
    return Question(asked=_still(index, asked), rank=int(rank), candidates=len(candidates), hits=found)


def _right(hit: Hit, asked: Hit) -> str:
    if hit.video_id != asked.video_id:
        return ""
    return "moment" if same_moment(hit, asked) else "video"


def _still(index: Index, hit: Hit) -> Still:
    video = index.videos[hit.video_id]
    return Still(
        title=video.title,
        start=hit.start,
        end=hit.end,
        text=hit.text,
        picture=_picture(video.path, (hit.start + hit.end) / 2),
    )


def _picture(path: Path, seconds: float) -> str | None:
    try:
        jpeg = media.thumbnail(path, seconds, WIDTH)
    except Skip:
        return None
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
