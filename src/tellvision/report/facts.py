"""What the report says, read from finished artefacts: counts and figures here, pictures in pictures.py.

    manifests + tables + runs/NAME/metrics.jsonl + index/NAME -> Facts

How much there is of everything is counted in statistics.py.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tellvision.records import InputError
from tellvision.report.pictures import Question, Still, ask, few
from tellvision.report.statistics import statistics
from tellvision.search import Index, load_model
from tellvision.store import manifests_below, read_manifest

STAGES = ("captions", "clips", "pairs", "runs", "index")
EXAMPLES = 3  # videos named for each reason


@dataclass(frozen=True, kw_only=True)
class Searched:
    """What can be searched: videos, clips in them, and hours that the videos last."""

    videos: int
    clips: int
    hours: float


@dataclass(frozen=True, kw_only=True)
class Loss:
    """Videos that are left out for one reason, and (id, detail) of a few of them."""

    reason: str
    videos: int
    examples: list[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Run:
    """How learning went.

    Attributes:
        learned: whether there is a model.
        why: why not.
        training: videos learned from.
        held_out: videos kept out to measure on.
        losses: mean loss of every epoch.
        retrieval: `text_to_video`, `chance`, `shuffled`, `videos`, `clips`; None: not measured.
    """

    learned: bool
    why: str
    training: int
    held_out: int
    losses: list[float]
    retrieval: Mapping[str, Any] | None


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything that the page shows.

    Attributes:
        folder: where the videos lie.
        found: video files that were found.
        searched: what of it can be searched.
        statistics: as `tellvision.report.statistics` counts them.
        lost: videos left out, the most frequent reason first.
        run: how learning went.
        search_by: `speech`, `picture` or `fused`.
        why: the sentence that says why.
        comparison: `model`, `systems`, `questions`, `videos`, `clips`.
        has_model: whether there is a model to ask, learned or given.
        stills: a few clips.
        questions: asked of the pictures of held-out videos.
        configs: stage -> its full configuration.
    """

    folder: Path
    found: int
    searched: Searched
    statistics: dict[str, Any]
    lost: list[Loss]
    run: Run
    search_by: str
    why: str
    comparison: Mapping[str, Any]
    has_model: bool
    stills: list[Still]
    questions: list[Question]
    configs: dict[str, Any]


def manifests_of(work: Path, name: str) -> dict[str, dict[str, Any]]:
    """Stage -> manifest of everything that the report is made from; InputError: one is not finished."""
    folders = {"videos": work / "videos"} | {stage: work / stage / name for stage in STAGES}
    found = {stage: read_manifest(folder) for stage, folder in folders.items()}
    tracks = manifests_below(work / "features" / name)
    return found | {f"features/{part}": one for part, one in tracks.items()}


def gather(
    work: Path, name: str, manifests: Mapping[str, Mapping[str, Any]], skipped: Mapping[str, tuple[str, str]]
) -> Facts:
    """Read what the report says; arguments as for `tellvision.report.write`."""
    from tellvision.embedding.held_out import read_held_out  # brings PyTorch, which a current report does without

    index = Index.open(work / "index" / name)
    run_folder = work / "runs" / name
    held_out = read_held_out(run_folder)
    model = load_model(index)
    counts = {stage: manifest["counts"] for stage, manifest in manifests.items()}
    return Facts(
        folder=Path(manifests["videos"]["config"]["folder"]),
        found=counts["videos"]["items"],
        searched=Searched(
            videos=len(index.videos),
            clips=index.clips.num_rows,
            hours=sum(video.duration or 0.0 for video in index.videos.values()) / 3600,
        ),
        statistics=statistics(work, name),
        lost=_lost(skipped),
        run=_run(run_folder, counts["runs"]),
        search_by=index.search_by,
        why=index.why,
        comparison=index.comparison,
        has_model=model is not None,
        stills=few(index),
        questions=ask(index, model, held_out) if model else [],
        configs={stage: manifest["config"] for stage, manifest in manifests.items() if stage != "index"},
    )


def _lost(skipped: Mapping[str, tuple[str, str]]) -> list[Loss]:
    by_reason: dict[str, list[tuple[str, str]]] = {}
    for video in sorted(skipped):
        reason, detail = skipped[video]
        by_reason.setdefault(reason, []).append((video, detail))
    losses = [Loss(reason=r, videos=len(found), examples=found[:EXAMPLES]) for r, found in by_reason.items()]
    return sorted(losses, key=lambda loss: (-loss.videos, loss.reason))


def _run(folder: Path, counts: Mapping[str, Any]) -> Run:
    path = folder / "metrics.jsonl"
    losses = []
    if counts["learned"]:
        try:
            lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
            losses = [float(line["loss"]) for line in lines if "epoch" in line]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path} cannot be read ({error}): delete {folder} and run again") from None
    return Run(
        learned=counts["learned"],
        why=counts["why"],
        training=counts["training"],
        held_out=counts["held_out"],
        losses=losses,
        retrieval=counts["retrieval"],
    )
