"""Finished artefacts -> WORK/report.html, one file that shows what a run made of its videos.

Reads the manifests, tables and index that the stages left, and the pictures of a few clips; writes
one page that needs nothing else to be looked at. A page that was made from the same artefacts is
left as it is.
"""

from collections.abc import Mapping
from pathlib import Path

from tellvision import __version__
from tellvision.report import page
from tellvision.report.facts import Facts, gather, manifests_of
from tellvision.store import atomic_write, digest

REPORT = "report.html"
LAYOUT = 1  # to be raised when the page changes, so that reports are made again
_HEAD = 1024  # bytes of the file that surely hold the name of what it was made from


def write(work: Path, name: str = "main", *, skipped: Mapping[str, tuple[str, str]]) -> Path:
    """Write WORK/report.html about the artefacts called `name`, unless it is there and current.

    Args:
        work: a work folder whose run has ended.
        name: of the artefacts.
        skipped: video id -> (reason, one line of detail) of the videos that cannot be searched.

    Returns:
        The path of the report.

    Raises:
        InputError: a stage is not finished, or another version wrote it.
    """
    path = work / REPORT
    manifests = manifests_of(work, name)
    hashes = {stage: manifest["hash"] for stage, manifest in manifests.items()}
    made_from = digest(__version__, LAYOUT, name, hashes, sorted(map(str, skipped.items())))
    if not is_current(path, made_from):
        facts: Facts = gather(work, name, manifests, skipped)
        atomic_write(path, page.render(facts, made_from).encode())
    return path


def is_current(path: Path, made_from: str) -> bool:
    """Whether the report at `path` was made from the artefacts that `made_from` names."""
    try:
        with path.open("rb") as file:
            return made_from.encode() in file.read(_HEAD)
    except FileNotFoundError:
        return False
