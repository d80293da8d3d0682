"""Ranking: a question in, the best moments out, by what is said, by what is seen, or by both.

    question -> rows and scores of clips -> overlapping ones merged -> Hits, best first

What a score is depends on what was searched by, so scores compare within one answer only:
`speech` is BM25 (above 0, no upper bound); `picture` is the cosine of question and clip
(-1 to 1; paper, section 4); `fused` is the reciprocal rank fusion of both lists, the sum of
1 / (60 + rank) over the lists a clip is in (at most 2/61).
"""

from typing import Protocol

import numpy as np

from tellvision.records import Hit, InputError
from tellvision.search.index import MODEL, SEARCH_BY, Index, damaged, replaced

RANK_OFFSET = 60  # of reciprocal rank fusion, as in Cormack et al. 2009
DEPTH = 1000  # clips of each list that are looked at, at first
OVERLAP = 0.5  # of the shorter clip: more makes two hits one


class TextModel(Protocol):
    """What ranking needs of a model."""

    def encode_text(self, texts: list[str]) -> np.ndarray:
        """Unit rows (n, d); a text without a known word raises ValueError."""
        ...


def load_model(index: Index) -> TextModel | None:
    """The model whose vectors the index holds, None where it has none.

    Raises:
        InputError: the index was built again since it was opened, or its copy of the model is damaged.
    """
    if index.model is None:
        return None
    from tellvision.embedding import checkpoint  # brings PyTorch, which speech does without

    folder = index.folder / MODEL
    failure: Exception | None = None
    try:
        model = checkpoint.load(folder)
        if checkpoint.weights_hash(folder) == index.model:  # asked last: so that is what was loaded
            return model
    except (InputError, OSError) as error:
        failure = error
    if index.is_replaced():
        raise replaced(index.folder) from failure
    why = f"cannot be used: {failure}" if failure else "is another one"
    raise damaged(index.folder, f"its model {why}") from failure


def search(index: Index, model: TextModel | None, text: str, k: int, by: str | None = None) -> list[Hit]:
    """The `k` best moments for a question.

    Of hits in one video that overlap by more than half of the shorter one, only the best stays.

    Args:
        index: an open index.
        model: the one its vectors were made with; None searches by speech only.
        text: the question, any text.
        k: at most so many hits, at least 1.
        by: `speech`, `picture` or `fused`; None takes what the index was found to do best with.

    Returns:
        Hits, best first, equal scores in the order of the index; what a score is: see above.
        None at all where no word is said anywhere and no picture is searched.

    Raises:
        InputError: an empty question, k below 1, an unknown `by`, a picture search without a
            model or for words that it does not know. `fused` then falls back to speech.
    """
    by = by or index.search_by
    if not text.strip():
        raise InputError("the question is empty: say in a few words what happens in the video")
    if k < 1:
        raise InputError(f"k is {k}: ask for at least 1 hit")
    if by not in SEARCH_BY:
        raise InputError(f"cannot search by {by!r}, allowed are {', '.join(SEARCH_BY)}")
    picture = None if by == "speech" else _picture(index, model, text, by)
    depth = max(DEPTH, k)
    while True:
        rows, scores = candidates(index, text, picture, by, depth)
        hits = _merge(index, rows, scores, k)
        if len(hits) == k or depth >= index.clips.num_rows:
            return hits
        depth *= 4  # so many overlapped that the list ran out


def candidates(
    index: Index, text: str, picture: np.ndarray | None, by: str, depth: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rows (m,) and scores (m,) of the best clips, best first, before overlapping ones are merged.

    Args:
        index: an open index.
        text: the question.
        picture: score of every clip (clips,); None where the model does not know the words.
        by: one of `SEARCH_BY`.
        depth: clips that are taken of each list.
    """
    seen = [] if picture is None else [best(picture, depth)]
    if by == "picture":
        return seen[0]
    said = index.speech(text, depth)
    return said if by == "speech" else fuse(said, *seen)


def best(scores: np.ndarray, depth: int) -> tuple[np.ndarray, np.ndarray]:
    """The `depth` highest of `scores` (n,): rows and scores, falling, equal ones by row."""
    rows = np.arange(len(scores))
    if depth < len(scores):
        rows = np.argpartition(-scores, depth - 1)[:depth]
    rows = rows[np.lexsort((rows, -scores[rows]))]
    return rows, scores[rows]


def fuse(*ranked: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Reciprocal rank fusion of lists of (rows, falling scores); equal scores share the better rank.

    Returns:
        rows (m,) that are in any list, and the sums of 1 / (60 + rank), falling, equal ones by row.
    """
    shares = [1 / (RANK_OFFSET + 1 + np.searchsorted(-scores, -scores)) for _, scores in ranked]
    rows, place = np.unique(np.concatenate([rows for rows, _ in ranked]), return_inverse=True)
    sums = np.bincount(place, np.concatenate(shares), minlength=len(rows))
    order = np.lexsort((rows, -sums))
    return rows[order], sums[order]


def _picture(index: Index, model: TextModel | None, text: str, by: str) -> np.ndarray | None:
    """Every clip's score by the picture; None where `by` lets speech step in."""
    if model is None:
        raise InputError(f"to search by {by} a model is needed and there is none: search by speech")
    try:
        query = np.asarray(model.encode_text([text]))[0]
    except ValueError:
        if by == "fused":
            return None
        raise InputError(
            f"the model knows no word of {text!r}: ask with other words, or search by speech"
        ) from None
    return index.picture(query)


def _merge(index: Index, rows: np.ndarray, scores: np.ndarray, k: int) -> list[Hit]:
    """The first `k` hits that do not tell again what a better one shows."""
    kept: list[Hit] = []
    for row, score in zip(rows.tolist(), scores.tolist(), strict=True):
        hit = index.hit(row, score)
        if not any(same_moment(hit, other) for other in kept):
            kept.append(hit)
            if len(kept) == k:
                break
    return kept


def same_moment(a: Hit, b: Hit) -> bool:
    """Whether both tell of one moment: they share more than half of the shorter one."""
    if a.video_id != b.video_id:
        return False
    shorter = min(a.end - a.start, b.end - b.start)
    if shorter <= 0:  # a moment without length lies in the other one or not
        return a.start <= b.end and b.start <= a.end
    return min(a.end, b.end) - max(a.start, b.start) > OVERLAP * shorter
