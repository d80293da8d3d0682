"""Held-out segments: is the moment found in which something is done, by the picture alone?

Protocol. Candidates are the segments of the held-out videos that have clips. A candidate's score for a
question is that of the best of the clips whose middle lies in it, by the learned embedding of the picture:
no narration of a held-out video enters. A candidate without a clip ranks last. Questions are the names
of the segments, and apart from those the single instructions spoken in them (without the lines that say
the name). Right are all candidates of the same name; ties count against the model.

The truth is a file of JSON lines, a video each: `id`, `segments` of {step, start, end} and `lines` of
{text, step}, a step being its own name. `exercise` may stand for `step`; it is then an id whose name stands
in `exercises`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tellvision import metrics
from tellvision.embedding import checkpoint
from tellvision.embedding.checkpoint import Model
from tellvision.embedding.config import Track, spoken
from tellvision.embedding.pairs import Pairs
from tellvision.embedding.train import read_held_out
from tellvision.records import InputError
from tellvision.store import read_manifest

REPORTED = ("R@1", "R@5", "R@10", "MedR")


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


def _segments(video: dict[str, Any]) -> list[Segment]:
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
        `seen` (videos among them that the model was trained on), `questions`, `candidates`.

    Raises:
        InputError: no model, no held-out video in the truth.
    """
    run = work / "runs" / name
    kept_out, pairs = read_held_out(run), Pairs(work / "pairs" / name)
    candidates = [segment for segment in read_truth(truth) if segment.video_id in kept_out & set(pairs.videos)]
    if not candidates:
        raise InputError(f"--truth {truth}: none of its videos is held out in {work}")
    network = checkpoint.load(model or run)
    tracks = tuple(Track(**track) for track in read_manifest(work / "pairs" / name)["config"]["tracks"])
    if network.features != tracks:
        raise InputError(
            f"{model or run} reads {spoken(network.features)}, these pairs are joined from {spoken(tracks)}: run "
            f"`tellvision pairs {work} --backbone {' '.join(track.name for track in network.features)}` first"
        )
    return [
        _measure(network, pairs, candidates, protocol, questions, seed, seen=None if model else 0)
        for protocol, questions in (("names", _names(candidates)), ("instructions", _instructions(candidates)))
        if questions
    ]


def _names(candidates: Sequence[Segment]) -> list[tuple[str, str]]:
    return list({segment.key: (segment.name, segment.key) for segment in candidates}.values())


def _instructions(candidates: Sequence[Segment]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((said, segment.key) for segment in candidates for said in segment.instructions))


def _measure(
    model: Model,
    pairs: Pairs,
    candidates: Sequence[Segment],
    protocol: str,
    questions: Sequence[tuple[str, str]],
    seed: int,
    seen: int | None,
) -> dict[str, Any]:
    scores, covered = _scores(model, pairs, candidates, [text for text, _ in questions])
    keys = np.array([segment.key for segment in candidates])
    right = [np.flatnonzero(keys == key).tolist() for _, key in questions]
    ranks = metrics.ranks(scores, right)
    measured: dict[str, Any] = {key: metrics.summary(ranks)[key] for key in REPORTED}
    measured["interval"] = {key: list(metrics.bootstrap_interval(ranks, key, seed=seed)) for key in REPORTED}
    chances = [metrics.chance(len(candidates), len(columns)) for columns in right]
    control = metrics.shuffled(scores, right, seed=seed)
    return {
        "benchmark": "segments",
        "protocol": protocol,
        "metrics": measured,
        "chance": {key: float(np.mean([one[key] for one in chances])) for key in REPORTED},
        "shuffled": {key: control[key] for key in REPORTED},
        "coverage": covered,
        "seen": seen,
        "questions": len(questions),
        "candidates": len(candidates),
    }


def _scores(
    model: Model, pairs: Pairs, candidates: Sequence[Segment], texts: Sequence[str]
) -> tuple[np.ndarray, float]:
    """(texts, candidates) float32, -inf where a candidate has no clip; and the share that has one."""
    table, rows = pairs.select({segment.video_id for segment in candidates})
    similarity = model.encode_text(texts) @ model.embed_clips(rows).T
    videos = np.array(table["video_id"].to_pylist())
    middles = (table["start"].to_numpy() + table["end"].to_numpy()) / 2
    scores = np.full((len(texts), len(candidates)), -np.inf, np.float32)
    covered = 0
    for column, segment in enumerate(candidates):
        inside = (videos == segment.video_id) & (segment.start <= middles) & (middles < segment.end)
        if inside.any():
            scores[:, column] = similarity[:, inside].max(axis=1)
            covered += 1
    return scores, covered / len(candidates)


def table(results: Sequence[dict[str, Any]]) -> str:
    """The results for a reader, chance and control beside them."""
    parts = []
    for result in results:
        title = f"{result['protocol']}: {result['questions']} questions, {result['candidates']} candidates"
        rows = {"learned": "metrics", "shuffled": "shuffled", "chance": "chance"}
        parts.append(metrics.as_text(title, {name: result[key] for name, key in rows.items()}))
        low, high = result["metrics"]["interval"]["R@10"]
        parts.append(
            f"  95% interval of R@10: {100 * low:.1f}% to {100 * high:.1f}%; "
            f"candidates with a clip: {100 * result['coverage']:.0f}%"
        )
    return "\n".join(parts)
