"""Finished artefacts -> WORK/report.html and report.json: what a run made of its videos.

Reads the manifests, tables and index that the stages left, and the pictures of a few clips; writes
one page that needs nothing else to be looked at, and its figures for programs. What was made from the
same artefacts is left as it is.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tellvision import __version__
from tellvision.report import page
from tellvision.report.facts import Facts, gather, manifests_of
from tellvision.store import atomic_write, digest

REPORT = "report.html"
FIGURES = "report.json"
LAYOUT = 3  # to be raised when the page changes, so that reports are made again
_HEAD = 1024  # bytes of the file that surely hold the name of what it was made from


def write(work: Path, name: str = "main", *, skipped: Mapping[str, tuple[str, str]]) -> Path:
    """Write WORK/report.html and WORK/report.json about the artefacts called `name`, unless they are current.

    Args:
        work: a work folder whose run has ended.
        name: of the artefacts.
        skipped: video id -> (reason, one line of detail) of the videos that cannot be searched.

    Returns:
        The path of the page.

    Raises:
        InputError: a stage is not finished, or another version wrote it.
    """
    path, figures = work / REPORT, work / FIGURES
    manifests = manifests_of(work, name)
    hashes = {stage: manifest["hash"] for stage, manifest in manifests.items()}
    made_from = digest(__version__, LAYOUT, name, hashes, sorted(map(str, skipped.items())))
    if not (is_current(path, made_from) and is_current(figures, made_from)):
        facts: Facts = gather(work, name, manifests, skipped)
        text = json.dumps(as_json(facts, made_from), indent=1, ensure_ascii=False)
        atomic_write(figures, f"{text}\n".encode())
        atomic_write(path, page.render(facts, made_from).encode())
    return path


def as_json(facts: Facts, made_from: str) -> dict[str, Any]:
    """The figures of the page: what `facts` says but for pictures and configurations."""
    return {
        "made_from": made_from,
        "folder": str(facts.folder),
        "searched": asdict(facts.searched) | {"by": facts.search_by, "why": facts.why},
        "statistics": facts.statistics,
        "left_out": [asdict(loss) for loss in facts.lost],
        "run": asdict(facts.run),
        "comparison": dict(facts.comparison),
    }


def is_current(path: Path, made_from: str) -> bool:
    """Whether the report at `path` was made from the artefacts that `made_from` names."""
    try:
        with path.open("rb") as file:
            return made_from.encode() in file.read(_HEAD)
    except FileNotFoundError:
        return False
