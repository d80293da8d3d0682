"""`features/NAME/` and `pairs/NAME/`: what is seen in each video, and each clip's share of it."""

from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tellvision.embedding.pairs import PairWriter, VideoPairs, join
from tellvision.runners import ProgressCallback, Result, no_progress
from tellvision.stages.advance import Stage, advance, require_share
from tellvision.stages.clips import in_step
from tellvision.stages.videos import known_of, paths_of
from tellvision.stages.workplace import MANY, Workplace
from tellvision.store import ArrayReader, ArrayWriter, Wanted, by_item, ids_of, read_manifest
from tellvision.vision.extractors import FeatureConfig
from tellvision.vision.extractors import find as find_extractor
from tellvision.vision.features import Job, extract


def extract_tracks(
    at: Workplace, config: FeatureConfig, progress: ProgressCallback = no_progress
) -> dict[str, Any]:
    """`features/NAME/`: a track for every video that has clips; a renamed video keeps its track."""
    at.require_current("clips")
    extractor = find_extractor(config.backbone)
    paths, contents = paths_of(at.work, "pictures"), known_of(at.work, "content")
    stage = Stage(
        name=f"features/{at.name}",
        config=asdict(config) | {"fps": extractor.fps, "dim": extractor.dim, "weights": extractor.weights},
        inputs={"videos": at.hash_of("videos")},
    )

    def wanted() -> Iterator[Wanted]:
        for item in at.ledger.holding(f"clips/{at.name}"):
            if paths[item]:  # imported captions may stand without their video
                yield Wanted(item, stage.fingerprint(contents[item]), paths[item])

    counts = advance(
        stage,
        at.work,
        at.ledger,
        ArrayWriter(at.folder("features"), extractor.dim),
        wanted=wanted(),
        payloads=lambda todo: ((one.item, Job(Path(one.input), config.backbone)) for one in todo),
        function=extract,
        workers=at.workers,
        retry=at.retry,
        progress=progress,
    )
    require_share(stage.name, at.ledger, counts, at.max_skipped)
    return counts


def join_pairs(at: Workplace, progress: ProgressCallback = no_progress) -> dict[str, Any]:
    """`pairs/NAME/`: every clip's track pooled, beside what is said in it."""
    at.require_current("clips")
    at.require_current("features")
    track = read_manifest(at.folder("features"))
    fps, tracks = track["config"]["fps"], ArrayReader(at.folder("features"))
    stage = Stage(
        name=f"pairs/{at.name}",
        config={"tracks": [{"name": track["config"]["backbone"], "fps": fps, "dim": tracks.dim}]},
        inputs={"clips": at.hash_of("clips"), "features": track["hash"]},
        commit_every=MANY,
    )

    def wanted() -> Iterator[Wanted]:
        for item in ids_of(at.folder("clips")):
            cut = at.ledger.row(f"clips/{at.name}", item)
            seen = at.ledger.row(f"features/{at.name}", item)
            if cut is not None and seen is not None and seen.rows:
                yield Wanted(item, stage.fingerprint(cut.output, seen.output))

    def payloads(todo: Iterator[Wanted]) -> Iterator[tuple[str, tuple[pa.Table, np.ndarray]]]:
        for item, clips in in_step(todo, by_item(at.folder("clips"))):
            yield item, (clips, tracks[item])

    counts = advance(
        stage,
        at.work,
        at.ledger,
        PairWriter(at.folder("pairs"), tracks.dim),
        wanted=wanted(),
        payloads=payloads,
        function=partial(_pairs_of_video, fps),
        retry=at.retry,
        progress=progress,
    )
    require_share(stage.name, at.ledger, counts, at.max_skipped)
    return counts


def _pairs_of_video(fps: float, job: tuple[pa.Table, np.ndarray]) -> Result[VideoPairs]:
    clips, track = job
    return join(clips, [(track, fps)])
