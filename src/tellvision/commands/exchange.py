"""What is seen, handed to others and taken from them: tracks as the paper's released files, or as a store."""

from pathlib import Path
from typing import Annotated, Literal

import tyro

from tellvision.commands.flags import Retry, Work, at_work, require_work
from tellvision.progress import Progress

Format = Annotated[Literal["npy", "tracks"], tyro.conf.arg(metavar="{npy,tracks}")]


def export(
    work: Work,
    *,
    to: Annotated[str, tyro.conf.arg(metavar="PLACE")],
    format: Format,
    backbone: str | None = None,
    name: str = "main",
) -> None:
    """Write a track of WORK to a folder or an object store; run again, it goes on where it stopped.

    Args:
        work: work folder with features.
        to: a folder, or s3://bucket/folder.
        format: npy: a file ID.npy per video, as the paper's features were released; tracks: the track store,
            read there by ranged requests.
        backbone: which track, where there are several.
        name: of the artefact.
    """
    from tellvision.stages.exported import export_tracks

    require_work(work)
    with at_work(work, name) as at, Progress().stage("export") as update:
        counts = export_tracks(at, to, format, backbone, update)
    print(", ".join(f"{number:,} {what}" for what, number in counts.items()))


def import_features(
    source: str,
    out: Path,
    backbone: str,
    fps: float,
    *,
    name: str = "main",
    max_skipped: float = 0.9,
    retry: Retry = (),
) -> None:
    """`tellvision import SOURCE --backbone NAME --fps RATE --out WORK`: see `import_tracks`."""
    from tellvision.stages.imported_tracks import import_tracks

    with (
        at_work(out, name, max_skipped=max_skipped, retry=retry) as at,
        Progress().stage("features") as update,
    ):
        counts = import_tracks(at, source, backbone, fps, update)
    lost = ", ".join(f"{number:,} {reason}" for reason, number in counts["skipped"].items())
    print(
        f"tracks of {counts['done']:,} videos, {counts['rows']:,} steps" + (f"; skipped: {lost}" if lost else "")
    )
