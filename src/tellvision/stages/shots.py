"""`shots/NAME/`: where the picture of each video is cut, for clips that are not to cross cuts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from tellvision.runners import ProgressCallback, Result, no_progress
from tellvision.stages.advance import Stage, advance, require_share
from tellvision.stages.videos import known_of, paths_of
from tellvision.stages.workplace import Workplace, content_of
from tellvision.store import TableWriter, Wanted
from tellvision.vision.shots import THRESHOLD, WEIGHTS, find_cuts

SHOTS = pa.schema([("video_id", pa.string()), ("cut", pa.float64())])  # a row without a cut where there is none


def find_shots(at: Workplace, progress: ProgressCallback = no_progress) -> dict[str, Any]:
    """`shots/NAME/`: the cuts of every video that has captions."""
    at.require_current("captions")
    paths, contents = paths_of(at.work, "pictures"), known_of(at.work, "content")
    stage = Stage(
        name=f"shots/{at.name}",
        config={"threshold": THRESHOLD, "weights": WEIGHTS},
        inputs={"videos": at.hash_of("videos")},
    )

    def wanted() -> Iterator[Wanted]:
        for item in at.ledger.holding(f"captions/{at.name}"):
            if paths[item]:
                yield Wanted(item, stage.fingerprint(contents[item]), paths[item])

    counts = advance(
        stage,
        at.work,
        at.ledger,
        TableWriter(at.folder("shots"), SHOTS),
        wanted=wanted(),
        payloads=lambda todo: ((one.item, (one.item, one.input)) for one in todo),
        function=_cuts_of_video,
        workers=at.workers,
        # A clip's stage calls `no_shots` whatever this one met.
        retry=("all",) if "no_shots" in at.retry else at.retry,
        progress=progress,
    )
    require_share(stage.name, at.ledger, counts, at.max_skipped)
    return counts


def _cuts_of_video(job: tuple[str, str]) -> Result[pa.Table]:
    video_id, path = job
    cuts: list[float | None] = list(find_cuts(Path(path)))
    table = pa.table({"video_id": [video_id] * max(len(cuts), 1), "cut": cuts or [None]}, schema=SHOTS)
    return Result(table, content_of(table))
