"""What to search by: measured on videos that training never saw, and fairly to the picture.

    held-out captions + clips + pictures -> figures per system, the best one, a sentence why

Asking with the very words of the narration would let speech win by quoting. So every k-th
line becomes a question and is taken out of the narration, and a clip's speech is what else
is said within ten seconds of it. Right is a clip that holds the whole line; candidates are
all held-out clips. Beside each picture stands its control: its vectors on shuffled clips.
The metrics are those of the paper's section 6, ties against the system.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from tellvision import metrics
from tellvision.search.narration import Narration
from tellvision.search.ranking import DEPTH, best, fuse

LEARNED, GIVEN = "learned", "given"  # pictures: by this work folder's own model, by one that was handed in
FEWEST_QUESTIONS = 20
FEWEST_VIDEOS = 3
WANTED_QUESTIONS = 100
MOST_QUESTIONS = 1000
EVERY = (5, 4, 3, 2)  # the k of "every k-th line": the first that gives the wanted questions
FEWEST_WORDS = 3  # of a question
AROUND = 10.0  # seconds before and after a clip whose lines are its speech
SHUFFLES = 10
RESAMPLES = 2000
CONFIDENCE = 0.975  # share of resamples in which a picture must be above its control
BLOCK = 64  # questions scored at once

Picture: TypeAlias = tuple[Callable[[list[str]], np.ndarray], np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Questions:
    """Lines kept back, and what is left to speech without them.

    Attributes:
        texts: the questions.
        videos: the video of each.
        right: the rows of the clips that hold each.
        narration: for every clip, what else is said around it.
    """

    texts: list[str]
    videos: list[str]
    right: list[list[int]]
    narration: list[str]


def compare(
    captions: pa.Table, clips: pa.Table, pictures: Mapping[str, Picture], *, seed: int = 0
) -> dict[str, Any]:
    """Measure speech, pictures and both together on held-out videos, and choose.

    Args:
        captions: lines of the held-out videos: video_id, start, end, text.
        clips: clips of the same videos: video_id, start, end.
        pictures: name (`LEARNED`, `GIVEN`) -> (`encode_text` of its model, its unit vectors
            (clips, d) in the order of `clips`). A question with no word that the model knows
            is not found by the picture, and left to speech where both are fused.
        seed: of the control and of the bootstrap.

    Returns:
        A dict that JSON can hold. `search_by`: `speech`, `picture` or `fused`, whichever has the
        best R@10; where equal, the best mean reciprocal rank; then the simplest. `model`: the name
        of its picture, or None. `why`: one sentence. `questions`, `videos`, `clips`: how many.
        `systems`: name -> R@1, R@5, R@10 (shares in 0..1), MedR, MeanR, MRR, questions; the names
        are `speech`, for every picture NAME, `NAME + speech` and `NAME shuffled`, and `chance`.
        A picture can be chosen only if its reciprocal ranks are above those of its control in
        97.5 % of the bootstrap's samples of videos. With fewer than 20 questions or 3 videos
        nothing is measured, and it is speech, fused with the given model if there is one.

    Raises:
        ValueError: vectors that do not fit the clips.
    """
    for name, (_, vectors) in pictures.items():
        if len(vectors) != clips.num_rows:
            raise ValueError(f"{name}: {len(vectors)} vectors for {clips.num_rows} clips")
    asked = draw_questions(captions, clips)
    sizes = {"questions": len(asked.texts), "videos": len(set(asked.videos)), "clips": clips.num_rows}
    if sizes["questions"] < FEWEST_QUESTIONS or sizes["videos"] < FEWEST_VIDEOS:
        return _unmeasured(sizes, pictures) | sizes | {"systems": {}}
    random = np.random.default_rng(seed)
    narration = Narration.build(asked.narration)
    said = [narration.search(text, DEPTH) for text in asked.texts]
    ranks = {"speech": _ranks(said, asked.right, clips.num_rows)}
    unclear = []
    for name, picture in pictures.items():
        seen = _picture_ranks(asked, said, picture, random)
        ranks |= {f"{name}{suffix}": found for suffix, found in seen.items()}
        if not _beats(seen[""], seen[" shuffled"], asked.videos, random):
            unclear.append(name)
    systems = {name: _figures(found, sizes["questions"]) for name, found in ranks.items()}
    systems["chance"] = _chance(asked.right, clips.num_rows)
    return _choice(systems, list(pictures), unclear, sizes) | sizes | {"systems": systems}


def draw_questions(captions: pa.Table, clips: pa.Table) -> Questions:
    """Keep back every k-th line that has three words and lies within a clip.

    k is 5, or down to 2 where that gives fewer than 100 questions; of more than 1,000 an even
    selection is asked, the others stay kept back.
    """
    lines = captions.select(["video_id", "start", "end", "text"]).to_pylist()
    lines.sort(key=lambda line: (line["video_id"], line["start"]))
    rows_of: dict[str, list[int]] = {}
    for row, video in enumerate(clips["video_id"].to_pylist()):
        rows_of.setdefault(video, []).append(row)
    starts, ends = (clips[side].to_numpy() for side in ("start", "end"))
    held = []  # (line, rows of clips that hold it)
    for video, numbered in groupby(enumerate(lines), key=lambda item: str(item[1]["video_id"])):
        spoken = list(numbered)
        rows = np.array(rows_of.get(video, []), np.int64)
        rows = rows[np.argsort(starts[rows], kind="stable")]
        begins, stops = (np.array([line[side] for _, line in spoken]) for side in ("start", "end"))
        holding = reaching(starts[rows], ends[rows], stops, begins)  # begun by its start, not over by its end
        for (number, line), places in zip(spoken, holding, strict=True):
            if len(places) and len(line["text"].split()) >= FEWEST_WORDS:
                held.append((number, sorted(rows[places].tolist())))
    for every in EVERY:
        chosen = held[every // 2 :: every]
        if len(chosen) >= WANTED_QUESTIONS:
            break
    kept_back = {number for number, _ in chosen}
    around: dict[str, list[dict[str, Any]]] = {}
    for number, line in enumerate(lines):
        if number not in kept_back:
            around.setdefault(line["video_id"], []).append(line)
    narration = [""] * clips.num_rows
    for video, clip_rows in rows_of.items():
        left = around.get(video, [])
        begins, stops = (np.array([line[side] for line in left], np.float64) for side in ("start", "end"))
        near = reaching(begins, stops, starts[clip_rows] - AROUND, ends[clip_rows] + AROUND)
        for row, places in zip(clip_rows, near, strict=True):
            narration[row] = " ".join(left[place]["text"] for place in places)
    if len(chosen) > MOST_QUESTIONS:
        chosen = [chosen[i] for i in np.linspace(0, len(chosen) - 1, MOST_QUESTIONS).astype(int)]
    return Questions(
        texts=[lines[number]["text"] for number, _ in chosen],
        videos=[lines[number]["video_id"] for number, _ in chosen],
        right=[rows for _, rows in chosen],
        narration=narration,
    )


def reaching(begins: np.ndarray, ends: np.ndarray, firsts: np.ndarray, lasts: np.ndarray) -> Iterator[np.ndarray]:
    """For each pair of `firsts` and `lasts` the places i with begins[i] <= last and ends[i] >= first.

    `begins` (n,) rises; `ends` (n,) need not, but where they nearly do, few places are looked at.
    """
    reached = np.maximum.accumulate(ends)
    lows, highs = np.searchsorted(reached, firsts), np.searchsorted(begins, lasts, "right")
    for first, low, high in zip(firsts, lows, highs, strict=True):
        yield low + np.flatnonzero(ends[low:high] >= first)


def _ranks(lists: list[tuple[np.ndarray, np.ndarray]], right: list[list[int]], num_clips: int) -> np.ndarray:
    """Ranks (n,) of the right clips in lists of (rows, scores); a clip in no list ranks last."""
    ranks = []
    for (rows, scores), target in zip(lists, right, strict=True):
        everyone = np.full((1, num_clips), -np.inf)
        everyone[0, rows] = scores
        ranks.append(metrics.ranks(everyone, [target])[0])
    return np.array(ranks)


def _picture_ranks(
    asked: Questions, said: list[tuple[np.ndarray, np.ndarray]], picture: Picture, random: np.random.Generator
) -> dict[str, np.ndarray]:
    """Ranks by the picture (n,), fused with speech (n,), and on shuffled clips (SHUFFLES, n)."""
    encode, clip_vectors = picture
    questions = _encode(encode, asked.texts, clip_vectors.shape[1])
    shuffles = [random.permutation(len(clip_vectors)) for _ in range(SHUFFLES)]
    alone, fused, control = [], [], []
    for first in range(0, len(questions), BLOCK):
        block = slice(first, first + BLOCK)
        scores = questions[block] @ clip_vectors.T
        known = ~np.isnan(scores).any(axis=1)
        scores[~known] = -np.inf
        right = asked.right[block]
        alone.append(metrics.ranks(scores, right))
        control.append([metrics.ranks(scores[:, order], right) for order in shuffles])
        lists = [
            fuse(spoken, best(row, DEPTH)) if knows else fuse(spoken)
            for spoken, row, knows in zip(said[block], scores, known, strict=True)
        ]
        fused.append(_ranks(lists, right, len(clip_vectors)))
    return {
        "": np.concatenate(alone),
        " + speech": np.concatenate(fused),
        " shuffled": np.concatenate(control, axis=1),
    }


def _encode(encode: Callable[[list[str]], np.ndarray], texts: list[str], dim: int) -> np.ndarray:
    """Unit rows (n, dim); NaN for a text that holds no word the model knows."""
    try:
        return np.asarray(encode(texts), np.float32)
    except ValueError:
        vectors = np.full((len(texts), dim), np.nan, np.float32)
    for row, text in enumerate(texts):
        try:
            vectors[row] = encode([text])[0]
        except ValueError:
            continue  # stays NaN
    return vectors


def _beats(ranks: np.ndarray, control: np.ndarray, videos: list[str], random: np.random.Generator) -> bool:
    """Whether reciprocal ranks (n,) are clearly above their control's (shuffles, n).

    Videos are resampled, not questions: those of one video are no independent witnesses.
    """
    ahead = 1 / ranks - (1 / control).mean(axis=0)
    _, video = np.unique(videos, return_inverse=True)
    sums, counts = np.bincount(video, ahead), np.bincount(video)
    drawn = random.integers(len(sums), size=(RESAMPLES, len(sums)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    return bool(np.mean(means > 0) >= CONFIDENCE)


def _figures(ranks: np.ndarray, questions: int) -> dict[str, float]:
    found = ranks.ravel()
    return metrics.summary(found) | {"MRR": float(np.mean(1 / found)), "questions": questions}


def _chance(right: list[list[int]], num_clips: int) -> dict[str, float]:
    """What a random order is expected to reach, averaged over the questions."""
    sizes, counts = np.unique([len(rows) for rows in right], return_counts=True)
    each = [metrics.chance(num_clips, int(size)) for size in sizes]
    return {name: float(np.average([one[name] for one in each], weights=counts)) for name in each[0]}


def _choice(
    systems: dict[str, dict[str, float]], pictures: list[str], unclear: list[str], sizes: dict[str, int]
) -> dict[str, Any]:
    """The best system, and the sentence that says so."""
    options: list[tuple[str, str, str | None]] = [("speech", "speech", None)]
    usable = [name for name in pictures if name not in unclear]
    options += [(name, "picture", name) for name in usable]
    options += [(f"{name} + speech", "fused", name) for name in usable]
    winner = max(options, key=lambda option: (systems[option[0]]["R@10"], systems[option[0]]["MRR"]))
    found = {name: _percent(figures["R@10"]) for name, figures in systems.items()}
    others = [f"{_spoken(name)} {found[name]}" for name, *_ in options if name != winner[0]]
    others += [f"{_spoken(name)} {found[name]}, not clearly more than on shuffled clips" for name in unclear]
    others.append(f"chance {found['chance']}")
    why = (
        f"Searched by {_spoken(winner[0])}: of {sizes['questions']} lines kept back from {sizes['videos']} "
        f"videos that training did not see, this found {found[winner[0]]} among the first ten "
        f"({'; '.join(others)})."
    )
    return {"search_by": winner[1], "model": winner[2], "why": why}


def _unmeasured(sizes: dict[str, int], pictures: Mapping[str, Picture]) -> dict[str, Any]:
    name = GIVEN if GIVEN in pictures else None
    system = f"{name} + speech" if name else "speech"
    why = (
        f"Searched by {_spoken(system)}: {sizes['questions']} questions from {sizes['videos']} videos kept "
        f"out of training are too few to compare ({FEWEST_QUESTIONS} from {FEWEST_VIDEOS} are needed)."
    )
    return {"search_by": "fused" if name else "speech", "model": name, "why": why}


def _spoken(system: str) -> str:
    """A system's name in a sentence."""
    if system == "speech":
        return "what is said"
    if system.endswith(" + speech"):
        return f"what is said and the {system.removesuffix(' + speech')} picture together"
    return f"the {system} picture"


def _percent(share: float) -> str:
    return f"{100 * share:.{0 if share >= 0.1 or share == 0 else 1}f} %"
