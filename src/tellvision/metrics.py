"""How good is a retrieval: recall at k and median rank, with chance and a control (paper section 6).

Numpy on a matrix of scores, or on two sets of vectors; knows nothing of texts or videos. A rank is
1 + the number of wrong columns that score at least as high as the best right one, so ties count
against the model: one that gives every clip the same score ranks last, not first.
"""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

# What is reported, each as a function of ranks along the last axis.
STATISTICS: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "R@1": lambda ranks: np.mean(ranks <= 1, axis=-1),
    "R@5": lambda ranks: np.mean(ranks <= 5, axis=-1),
    "R@10": lambda ranks: np.mean(ranks <= 10, axis=-1),
    "MedR": lambda ranks: np.median(ranks, axis=-1),
    "MeanR": lambda ranks: np.mean(ranks, axis=-1),
}

# A column per row, or a list of right columns per row; None: the diagonal.
Target = ArrayLike | Sequence[Sequence[int]] | None

_BLOCK = 1 << 22  # scores held at once, so that memory does not grow with the pool
_ROWS = 2048  # vectors of each side that are multiplied at once


def retrieval(similarity: ArrayLike, target: Target = None) -> dict[str, float]:
    """Recall and ranks of a matrix of scores.

    Args:
        similarity: (texts, clips), higher is better; infinite scores are allowed (a clip that cannot
            be scored gets -inf and ranks last).
        target: the right column of every row, (texts,) int; or for every row a list of right columns;
            None: the diagonal of a square matrix.

    Returns:
        `R@1`, `R@5`, `R@10` as shares in 0..1, `MedR` (np.median of the ranks), `MeanR`.

    Raises:
        ValueError: NaN, no row, a row without a target, a column that does not exist, or no target
            for a matrix that is not square.
    """
    return summary(ranks(similarity, target))


def retrieval_embeddings(texts: ArrayLike, clips: ArrayLike, target: Target = None) -> dict[str, float]:
    """The same as `retrieval` of the dot products, in blocks: the whole matrix never exists.

    Products are taken in float64 and rounded to float32, so that equal clips tie whatever the block
    they fall into.

    Args:
        texts: (n, d).
        clips: (m, d).
        target: as in `retrieval`.

    Raises:
        ValueError: as in `retrieval`; widths that differ; NaN or infinity.
    """
    return summary(ranks_of_embeddings(texts, clips, target))


def summary(ranks: ArrayLike) -> dict[str, float]:
    """The metrics of ranks that count from 1: see `retrieval`."""
    values = np.asarray(ranks)
    if values.ndim != 1 or len(values) == 0:
        raise ValueError(f"ranks are one number per text and at least one, got shape {values.shape}")
    return {name: float(statistic(values)) for name, statistic in STATISTICS.items()}


def ranks(similarity: ArrayLike, target: Target = None) -> NDArray[np.int64]:
    """The rank of every row's best right column: 1 is best, ties count against it.

    Args and errors as in `retrieval`; (texts,) int64.
    """
    scores = np.asarray(similarity)
    if scores.ndim != 2:
        raise ValueError(f"similarity is a matrix (texts, clips), got shape {scores.shape}")
    rows, columns = _pairs(target, *scores.shape)
    result = np.empty(len(scores), dtype=np.int64)
    step = max(1, _BLOCK // scores.shape[1])
    for start in range(0, len(scores), step):
        block = scores[start : start + step]
        if np.isnan(block).any():
            bad = start + int(np.flatnonzero(np.isnan(block).any(axis=1))[0])
            raise ValueError(f"similarity holds NaN in row {bad}")
        mine = slice(*np.searchsorted(rows, [start, start + len(block)]))
        row, column = rows[mine] - start, columns[mine]
        best = np.maximum.reduceat(block[row, column], _starts(row))
        result[start : start + step] = 1 + _wrong(block, best, row, column)
    return result


def ranks_of_embeddings(texts: ArrayLike, clips: ArrayLike, target: Target = None) -> NDArray[np.int64]:
    """The ranks behind `retrieval_embeddings`: (n,) int64."""
    text, clip = np.asarray(texts), np.asarray(clips)
    if text.ndim != 2 or clip.ndim != 2 or text.shape[1] != clip.shape[1]:
        raise ValueError(f"texts are (n, d) and clips (m, d), got {text.shape} and {clip.shape}")
    _check_finite("texts", text)
    _check_finite("clips", clip)
    rows, columns = _pairs(target, len(text), len(clip))

    result = np.empty(len(text), dtype=np.int64)
    for start in range(0, len(text), _ROWS):
        block = text[start : start + _ROWS].astype(np.float64)
        mine = slice(*np.searchsorted(rows, [start, start + len(block)]))
        row, column = rows[mine] - start, columns[mine]
        best = np.full(len(block), -np.inf, dtype=np.float32)
        for first in range(0, len(row), _ROWS):
            r, c = row[first : first + _ROWS], column[first : first + _ROWS]
            right = np.einsum("nd,nd->n", block[r], clip[c].astype(np.float64))
            np.maximum.at(best, r, right.astype(np.float32))
        wrong = np.zeros(len(block), dtype=np.int64)
        for first in range(0, len(clip), _ROWS):
            scores = (block @ clip[first : first + _ROWS].astype(np.float64).T).astype(np.float32)
            here = (column >= first) & (column < first + _ROWS)
            wrong += _wrong(scores, best, row[here], column[here] - first)
        result[start : start + _ROWS] = 1 + wrong
    return result


def chance(num_candidates: int, num_right: int = 1) -> dict[str, float]:
    """What a random order of the candidates is expected to reach, under the names of `retrieval`.

    `MedR` is the smallest rank that half of all queries reach: 1,675 of 3,350, 500 of 1,000.

    Args:
        num_candidates: columns that a query chooses from.
        num_right: how many of them are right.
    """
    if not 1 <= num_right <= num_candidates:
        raise ValueError(f"right candidates are 1 to all of {num_candidates}, got {num_right}")
    wrong = num_candidates - num_right

    def reached(rank: int) -> float:
        """Share of queries whose best right candidate stands within the first `rank`."""
        left = range(num_right)
        missed = prod(num_candidates - rank - i for i in left) / prod(num_candidates - i for i in left)
        return 1.0 - missed if rank <= wrong else 1.0

    low, high = 1, wrong + 1
    while low < high:  # the smallest rank reached by half
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) >= 0.5 else (middle + 1, high)
    recalls = {f"R@{k}": reached(min(k, num_candidates)) for k in (1, 5, 10)}
    return recalls | {"MedR": float(low), "MeanR": 1.0 + wrong / (num_right + 1)}


def shuffled(similarity: ArrayLike, target: Target = None, *, seed: int) -> dict[str, float]:
    """The control: the same scores against targets dealt out at random among the rows.

    Expect `chance`: what stands above it does not come from knowing the pairs. Args and errors as in
    `retrieval`; the same seed deals the same way.
    """
    scores = np.asarray(similarity)
    if scores.ndim != 2:
        raise ValueError(f"similarity is a matrix (texts, clips), got shape {scores.shape}")
    rows, columns = _pairs(target, *scores.shape)
    groups = np.split(columns, _starts(rows)[1:])
    order = np.random.default_rng(seed).permutation(len(groups))
    return retrieval(scores, [groups[index].tolist() for index in order])


def bootstrap_interval(
    ranks: ArrayLike, statistic: str, *, seed: int, level: float = 0.95, num_samples: int = 2000
) -> tuple[float, float]:
    """The interval that holds `level` of a statistic's values when the queries are drawn anew.

    Args:
        ranks: (queries,) int, from `ranks`.
        statistic: a name of `STATISTICS`, such as `R@10`.
        seed: of the draws; the same seed gives the same interval.
        level: share of the samples inside.
        num_samples: draws with replacement.

    Returns:
        (low, high).

    Raises:
        ValueError: another name, no ranks, a level outside 0 to 1.
    """
    values = np.asarray(ranks)
    if statistic not in STATISTICS:
        raise ValueError(f"statistic is one of {', '.join(STATISTICS)}, got {statistic!r}")
    if values.ndim != 1 or len(values) == 0:
        raise ValueError(f"ranks are one number per query and at least one, got shape {values.shape}")
    if not 0 < level < 1:
        raise ValueError(f"level lies between 0 and 1, got {level}")
    random = np.random.default_rng(seed)
    step = max(1, _BLOCK // len(values))
    samples = [
        STATISTICS[statistic](values[random.integers(len(values), size=(count, len(values)))])
        for count in [min(step, num_samples - start) for start in range(0, num_samples, step)]
    ]
    low, high = np.quantile(np.concatenate(samples), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def as_text(title: str, rows: Mapping[str, Mapping[str, float]]) -> str:
    """Figures under each other for a reader, a line per row: R@1, R@5, R@10 in percent and MedR."""
    lines = [f"{title:<62}   R@1    R@5   R@10  MedR"]
    for name, figures in rows.items():
        shares = "  ".join(f"{100 * figures[key]:4.1f}%" for key in ("R@1", "R@5", "R@10"))
        lines.append(f"{name:>61}  {shares}  {figures['MedR']:4.0f}")
    return "\n".join(lines)


def _pairs(target: Target, num_rows: int, num_columns: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The right (row, column) pairs, rows rising, at least one per row."""
    if num_rows == 0:
        raise ValueError("no texts: there is nothing to rank")
    if target is None:
        if num_rows != num_columns:
            raise ValueError(f"{num_rows} texts and {num_columns} clips are not square: say the target")
        every = np.arange(num_rows)
        return every, every
    if len(target) != num_rows:  # type: ignore[arg-type]
        raise ValueError(f"target has {len(target)} entries for {num_rows} texts")  # type: ignore[arg-type]
    if np.ndim(target[0]) == 0:  # type: ignore[index]
        columns, sizes = np.asarray(target), np.ones(num_rows, dtype=np.int64)
    else:
        groups = [np.asarray(group) for group in target]  # type: ignore[union-attr]
        sizes = np.array([group.size for group in groups])
        if not sizes.all():
            raise ValueError(f"row {int(np.argmin(sizes))} has no target")
        columns = np.concatenate(groups)
    if columns.ndim != 1 or not np.issubdtype(columns.dtype, np.integer):
        raise ValueError("target holds column numbers: one integer per row, or a list of them")
    if columns.min() < 0 or columns.max() >= num_columns:
        raise ValueError(f"target columns are 0 to {num_columns - 1}, got {columns.min()} to {columns.max()}")
    return np.repeat(np.arange(num_rows), sizes), columns.astype(np.int64)


def _wrong(
    scores: NDArray[Any], best: NDArray[Any], row: NDArray[np.int64], column: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Per row: columns that score at least `best`, the right ones left out."""
    beaten = scores >= best[:, None]
    beaten[row, column] = False
    return np.count_nonzero(beaten, axis=1)


def _starts(row: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each row's entries begin in a rising list of row numbers."""
    return np.flatnonzero(np.diff(row, prepend=-1))


def _check_finite(name: str, vectors: NDArray[Any]) -> None:
    for start in range(0, len(vectors), 4096):
        finite = np.isfinite(vectors[start : start + 4096]).all(axis=1)
        if not finite.all():
            raise ValueError(f"{name} hold NaN or infinity in row {start + int(np.argmin(finite))}")
