"""Held-out segments: is the moment found in which something is done, by the picture alone?

Protocol. Candidates are the segments of the held-out videos that have clips. A candidate's score for a
question is that of the best of the clips whose middle lies in it, by the learned embedding of the picture:
no narration of a held-out video enters. A candidate without a clip ranks last. Questions are the names
of the segments, and apart from those the single instructions spoken in them (without the lines that say
the name). Right are all candidates of the same name; ties count against the model. A third time the
names are asked `within`: only among the segments of the video that the name was said in, so that knowing
what a video is about does not help. A video whose segments have all one name asks nothing there.

The truth is a file of JSON lines, a video each: `id`, `segments` of {step, start, end} and `lines` of
{text, step}, a step being its own name. `exercise` may stand for `step`; it is then an id whose name stands
in `exercises`.
"""

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tellvision import metrics
from tellvision.embedding import checkpoint
from tellvision.embedding.checkpoint import Model
from tellvision.embedding.config import spoken
from tellvision.embedding.held_out import read_held_out
from tellvision.embedding.model import TextVideoModel
from tellvision.embedding.seen import Seen
from tellvision.embedding.text import readable
from tellvision.records import InputError

REPORTED = ("R@1", "R@5", "R@10", "MedR")


@dataclass(frozen=True)
class Question:
    """What is asked for, the `key` of the segments that are right, and the video to look in (None: all)."""

    text: str
    key: str
    video_id: str | None = None


@dataclass(frozen=True)
class Segment:
    """What is seen in a video from `start` to `end` (seconds), and what is said of it there."""

    video_id: str
    key: str
    name: str
    start: float
    end: float
    instructions: tuple[str, ...]


def read_truth(path: Path) -> list[Segment]:
    """The segments of every video in a file of truth.

    Raises:
        InputError: it cannot be read, or a line of it is of another form.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--truth {path} cannot be read: {error}") from None
    segments = []
    for number, line in enumerate(lines, 1):
        try:
            segments += _segments(json.loads(line))
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"--truth {path}, line {number} is of another form: {error!r}") from None
    return segments


def _segments(video: Any) -> list[Segment]:
    if not isinstance(video, dict):
        raise TypeError("no object")
    kind = "exercise" if "exercises" in video else "step"
    names = {one["id"]: one["name"] for one in video.get("exercises", ())}
    found = []
    for segment in video["segments"]:
        key = segment[kind]
        name = names.get(key, key)
        said = [
            one["text"] for one in video["lines"] if one[kind] == key and name.lower() not in one["text"].lower()
        ]
        found.append(Segment(video["id"], key, name, segment["start"], segment["end"], tuple(said)))
    return found


def evaluate(work: Path, truth: Path, *, model: str | None = None, name: str = "main", seed: int = 0) -> list[Any]:
    """Measure on the held-out videos of a work folder.

    Args:
        work: of a run over the videos that `truth` describes.
        truth: see the module.
        model: a checkpoint; None: what was learned in `work`.
        name: of the artefacts.
        seed: of the shuffled control and of the bootstrap.

    Returns:
        A dict per kind of question: `benchmark`, `protocol`, `metrics` (with `interval`: 95 % by
        bootstrap over questions), `chance`, `shuffled`, `coverage` (share of candidates with a clip),
        `seen` (videos among them that the model was trained on), `questions`, `candidates` (that a question
        chooses among; in the mean, where videos have different numbers).

    Raises:
        InputError: no model, no held-out video in the truth.
    """
    run = work / "runs" / name
    kept_out, seen = read_held_out(run), Seen(work, name)
    there = kept_out & set(seen.pairs.videos)
    candidates = [segment for segment in read_truth(truth) if segment.video_id in there]
    if not candidates:
        raise InputError(f"--truth {truth}: none of its videos is held out in {work}")
    network = checkpoint.load(model or run)
    if network.features != seen.tracks:
        raise InputError(
            f"{model or run} reads {spoken(network.features)}, these pairs are joined from {spoken(seen.tracks)}: "
            f"run `tellvision pairs {work} --backbone {' '.join(track.name for track in network.features)}` first"
        )
    clips, vectors = seen.vectors(network, there)
    columns = _clips_in(candidates, clips)
    asked = {"names": _names(candidates), "instructions": _instructions(candidates), "within": _within(candidates)}
    return [
        {
            "benchmark": "segments",
            "protocol": protocol,
            **_measured(_choices(network, vectors, candidates, columns, questions), seed),
            "coverage": sum(1 for inside in columns if len(inside)) / len(candidates),
            "seen": None if model else 0,
        }
        for protocol, questions in asked.items()
        if questions
    ]


def _names(candidates: Sequence[Segment]) -> list[Question]:
    return list({one.key: Question(one.name, one.key) for one in candidates}.values())


def _instructions(candidates: Sequence[Segment]) -> list[Question]:
    return list(
        dict.fromkeys(Question(said, one.key) for one in candidates for said in one.instructions if said.strip())
    )


def _within(candidates: Sequence[Segment]) -> list[Question]:
    """The names once for each video that they stand in, the questions of a video one after the other."""
    videos: dict[str, dict[str, Question]] = {}
    for one in candidates:
        videos.setdefault(one.video_id, {})[one.key] = Question(one.name, one.key, one.video_id)
    return [question for names in videos.values() if len(names) > 1 for question in names.values()]


def _clips_in(candidates: Sequence[Segment], clips: pa.Table) -> list[np.ndarray]:
    """Of each candidate the clips whose middle lies in it."""
    videos = np.array(clips["video_id"].to_pylist())
    middles = (clips["start"].to_numpy() + clips["end"].to_numpy()) / 2
    return [
        np.flatnonzero((videos == one.video_id) & (one.start <= middles) & (middles < one.end))
        for one in candidates
    ]


@dataclass(frozen=True)
class _Choice:
    """Questions that choose among the same candidates: `scores` (questions, candidates), and who is right."""

    scores: np.ndarray
    right: list[list[int]]


def _choices(
    model: Model,
    vectors: np.ndarray,
    candidates: Sequence[Segment],
    columns: Sequence[np.ndarray],
    questions: Sequence[Question],
) -> list[_Choice]:
    """One for all questions, or one for each video that is asked in.

    The score is -inf where a candidate has no clip, and of a question without a known word throughout.
    """
    texts = [question.text for question in questions]
    known = np.arange(len(texts))
    if isinstance(model, TextVideoModel):
        known = np.flatnonzero(readable(model.prepare(texts)))
    similarity = model.encode_text([texts[row] for row in known]) @ vectors.T
    scores = np.full((len(questions), len(candidates)), -np.inf, np.float32)
    for column, inside in enumerate(columns):
        if len(inside):
            scores[known, column] = similarity[:, inside].max(axis=1)
    keys = np.array([one.key for one in candidates])
    videos = np.array([one.video_id for one in candidates])
    found = []
    for video, group in itertools.groupby(range(len(questions)), key=lambda row: questions[row].video_id):
        rows = np.array(list(group))
        among = np.arange(len(candidates)) if video is None else np.flatnonzero(videos == video)
        right = [np.flatnonzero(keys[among] == questions[row].key).tolist() for row in rows]
        found.append(_Choice(scores[np.ix_(rows, among)], right))
    return found


def _measured(choices: Sequence[_Choice], seed: int) -> dict[str, Any]:
    ranks = np.concatenate([metrics.ranks(one.scores, one.right) for one in choices])
    summary = metrics.summary(ranks)
    intervals = {key: list(metrics.bootstrap_interval(ranks, key, seed=seed)) for key in REPORTED}
    chances = [metrics.chance(one.scores.shape[1], len(right)) for one in choices for right in one.right]
    rng = np.random.default_rng(
        seed
    )  # one for all: with few questions a video, equal deals could be the right one
    dealt = [(one.scores, [one.right[i] for i in rng.permutation(len(one.right))]) for one in choices]
    control = metrics.summary(np.concatenate([metrics.ranks(scores, right) for scores, right in dealt]))
    sizes = [one.scores.shape[1] for one in choices for _ in one.right]
    return {
        "metrics": {key: summary[key] for key in REPORTED} | {"interval": intervals},
        "chance": {key: float(np.mean([one[key] for one in chances])) for key in REPORTED},
        "shuffled": {key: control[key] for key in REPORTED},
        "questions": len(ranks),
        "candidates": float(np.mean(sizes)) if len(set(sizes)) > 1 else sizes[0],
    }


def table(results: Sequence[dict[str, Any]]) -> str:
    """The results for a reader, chance and control beside them."""
    parts = []
    for result in results:
        among = f"{result['candidates']:.3g}" if result["protocol"] == "within" else f"{result['candidates']}"
        title = f"{result['protocol']}: {result['questions']} questions, {among} candidates"
        rows = {"learned": "metrics", "shuffled": "shuffled", "chance": "chance"}
        parts.append(metrics.as_text(title, {name: result[key] for name, key in rows.items()}))
        told = "R@1" if result["protocol"] == "within" else "R@10"  # ten are more than a video has
        low, high = result["metrics"]["interval"][told]
        parts.append(
            f"  95% interval of {told}: {100 * low:.1f}% to {100 * high:.1f}%; "
            f"candidates with a clip: {100 * result['coverage']:.0f}%"
        )
    return "\n".join(parts)
