"""`features/NAME/BACKBONE/` and `pairs/NAME/`: what is seen in each video, and each clip's share of it."""

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tellvision.embedding.pairs import PairWriter, VideoPairs, join
from tellvision.records import InputError, Skip
from tellvision.runners import Cluster, ProgressCallback, Result, no_progress
from tellvision.stages.advance import Shared, Stage, advance, advance_together, require_share
from tellvision.stages.clips import in_step
from tellvision.stages.videos import known_of, paths_of
from tellvision.stages.workplace import MANY, Workplace
from tellvision.store import MANIFEST, ArrayReader, ArrayWriter, Lookup, Wanted, by_item, ids_of, read_manifest
from tellvision.vision.extractors import Extractor, FeatureConfig, folder_of, rate_of
from tellvision.vision.extractors import find as find_extractor
from tellvision.vision.features import Job, extract
from tellvision.vision.network import Runtime, best_device
from tellvision.vision.service import serving

Update = Callable[..., None]  # (done, total, note="")
TIME_LIMIT = 20.0  # times of a video's own length that it may take
UNKNOWN = 3600.0  # seconds that a video may last that does not say
WORTH_COMPILING = 1800.0  # seconds of video for a worker: below it gets ready longer than it saves (docs/log.md)
START = 300.0  # seconds for what a worker's first video has to wait for: imports, weights


def silent(*_: object, **__: object) -> None:
    """Tell nobody."""


def extract_tracks(
    at: Workplace,
    config: FeatureConfig,
    *,
    device: str = "auto",
    runtime: Runtime = "auto",
    time_limit: float = TIME_LIMIT,
    cluster: Cluster | None = None,
    progress: Update = silent,
) -> dict[str, dict[str, Any]]:
    """`features/NAME/BACKBONE/`: tracks for every video that has clips, each video decoded once for all.

    A renamed video keeps its tracks. What other backbones made stays beside it.

    Args:
        at: where the clips lie.
        config: the backbones.
        device: `cpu`, `cuda`, `cuda:1` ..., or `auto`: a GPU if there is one.
        runtime: of the networks on a processor: `pytorch`, `openvino`, or `auto`: OpenVINO where it is installed
            and there is enough to do for what it needs to get ready.
        time_limit: how long a video may take, in times of its own length; what takes longer is skipped as
            `timed_out`.
        cluster: where the work is done, in place of processes of this machine.
        progress: told of videos done and in all, with the pace and the skips as a note.

    Returns:
        Backbone -> what its manifest counts.

    Raises:
        InputError: a backbone or the device cannot be used, or too many videos were skipped.
    """
    at.require_current("clips")
    if not time_limit > 0:
        raise InputError(f"--time-limit {time_limit} is in times of a video's own length: above 0")
    paths, contents = paths_of(at.work, "pictures"), known_of(at.work, "content")
    lengths = known_of(at.work, "duration")
    extractors = {name: find_extractor(name) for name in config.backbone}
    stages = {name: _stage(at, name, extractor) for name, extractor in extractors.items()}
    names = {stage.name: name for name, stage in stages.items()}
    for stage in stages.values():
        _refuse_imported(at.work / stage.name)
    if not cluster:
        device = best_device(device)
        if runtime == "openvino" and device != "cpu":
            raise InputError(f"--runtime openvino runs on a processor, not on {device}: --device cpu")

    def wanted(stage: Stage) -> Iterator[Wanted]:
        for item in at.ledger.holding(f"clips/{at.name}"):
            if paths[item]:  # imported captions may stand without their video
                yield Wanted(item, stage.fingerprint(contents[item]), paths[item])

    def seconds_left() -> float:
        lacking = (
            item
            for item in at.ledger.holding(f"clips/{at.name}")
            if any(at.ledger.row(stage.name, item) is None for stage in stages.values())
        )
        return sum(lengths[item] or 0.0 for item in lacking)

    def jobs(todo: Iterator[Shared], **where: Any) -> Iterator[tuple[str, tuple[Job, tuple[str, ...]]]]:
        for one in todo:
            backbones = tuple(names[stage] for stage in one.stages)
            job = Job(
                path=Path(one.input),
                backbones=backbones,
                weights=tuple(extractors[name].weights for name in backbones),
                seconds=lengths[one.item] or 0.0,
                **where,
            )
            yield one.item, (job, one.stages)

    if runtime == "auto" and seconds_left() < WORTH_COMPILING * max(1, at.workers):
        runtime = "pytorch"
    with _networks(config.backbone, device, runtime, at.workers, cluster) as where:
        counts = advance_together(
            [(stage, ArrayWriter(at.work / stage.name, extractors[name].dim)) for name, stage in stages.items()],
            at.work,
            at.ledger,
            wanted=wanted,
            payloads=partial(jobs, **where),
            function=_extracted,
            workers=cluster or at.workers,
            limit=partial(_limit, time_limit),
            retry=at.retry,
            progress=_Pace(lengths, progress),
        )
    for stage in stages.values():
        require_share(stage.name, at.ledger, counts[stage.name], at.max_skipped)
    return {names[stage]: found for stage, found in counts.items()}


def spoken_tracks(made: Mapping[str, Mapping[str, Any]]) -> str:
    """What `extract_tracks` made, for a reader: a line for each backbone."""
    lines = []
    for backbone, counts in made.items():
        lost = ", ".join(f"{n} {reason}" for reason, n in sorted(counts["skipped"].items()))
        lines.append(
            f"{backbone}: {counts['done']} of {counts['items']} videos, {counts['rows']} vectors"
            + (f"; skipped: {lost}" if lost else "")
        )
    return "\n".join(lines)


def spoken_pairs(at: Workplace, counts: Mapping[str, Any]) -> str:
    """What `join_pairs` made, for a reader."""
    tracks = read_manifest(at.folder("pairs"))["config"]["tracks"]
    joined = " + ".join(f"{track['name']} ({track['dim']})" for track in tracks)
    lost = Counter(counts["skipped"]) + Counter(counts["dropped"])
    left_out = ", ".join(f"{n} {reason}" for reason, n in sorted(lost.items()))
    return f"{counts['done']} videos, {counts['rows']} clips of {joined}" + (
        f"; left out: {left_out}" if lost else ""
    )


def _stage(at: Workplace, name: str, extractor: Extractor) -> Stage:
    view = extractor.view
    return Stage(
        name=f"features/{at.name}/{folder_of(name)}",
        config={
            "backbone": name,
            "fps": rate_of(extractor),
            "dim": extractor.dim,
            "weights": extractor.weights,
            "unit": extractor.unit,
            "tail": extractor.tail,
            "view": asdict(view),
        },
        inputs={"videos": at.hash_of("videos")},
    )


def _refuse_imported(folder: Path) -> None:
    """Imported features would be lost: their videos may not be here."""
    if (folder / MANIFEST).exists() and (source := read_manifest(folder)["config"].get("imported")):
        raise InputError(
            f"{folder} holds features that were imported from {source}: delete it to extract them here"
        )


@contextlib.contextmanager
def _networks(
    backbones: Sequence[str], device: str, runtime: Runtime, workers: int, cluster: Cluster | None
) -> Iterator[dict[str, Any]]:
    """Where a job's networks are: in its own process, or, on a GPU, in one that all workers ask."""
    if cluster or device == "cpu" or not workers:
        yield {"device": device, "runtime": runtime}
    else:
        with serving(backbones, device) as address:
            yield {"service": address}


def _extracted(job: tuple[Job, tuple[str, ...]]) -> Result[Mapping[str, Result[Any] | Skip]]:
    made = extract(job[0])
    return Result(dict(zip(job[1], made.output.values(), strict=True)), made.digest)


def _limit(times: float, job: tuple[Job, tuple[str, ...]]) -> float:
    return START + times * (job[0].seconds or UNKNOWN) * len(job[1])


class _Pace:
    """Turns what comes out into hours of video per hour."""

    def __init__(self, lengths: Lookup, update: Update) -> None:
        self._lengths, self._update = lengths, update
        self._began, self._seen, self._skipped = time.monotonic(), 0.0, 0

    def __call__(self, done: int, total: int, item: str, skip: Skip | None) -> None:
        self._skipped += skip is not None
        self._seen += self._lengths[item] or 0.0
        pace = self._seen / max(time.monotonic() - self._began, 1e-3)
        skipped = f", {self._skipped} skipped" if self._skipped else ""
        self._update(done, total, note=f"{pace:.0f} video-hours/h{skipped}")


def join_pairs(
    at: Workplace, backbones: Sequence[str] = (), progress: ProgressCallback = no_progress
) -> dict[str, Any]:
    """`pairs/NAME/`: every clip's tracks pooled and joined, beside what is said in it.

    Args:
        at: where clips and tracks lie.
        backbones: what is joined, in this order; none named: every track that lies there, by name.
        progress: told of videos done and in all.

    Raises:
        InputError: a track is not there, unfinished or stale, or too many videos were skipped.
    """
    at.require_current("clips")
    rooms = _rooms(at, backbones)
    for room in rooms:
        at.require_current(room)
    manifests = [read_manifest(at.folder(room)) for room in rooms]
    readers = [ArrayReader(at.folder(room)) for room in rooms]
    rates = [float(manifest["config"]["fps"]) for manifest in manifests]
    stage = Stage(
        name=f"pairs/{at.name}",
        config={
            "tracks": [
                {"name": manifest["config"]["backbone"], "fps": fps, "dim": reader.dim}
                for manifest, fps, reader in zip(manifests, rates, readers, strict=True)
            ]
        },
        inputs={"clips": at.hash_of("clips"), **{room: at.hash_of(room) for room in rooms}},
        commit_every=MANY,
    )

    def wanted() -> Iterator[Wanted]:
        for item in ids_of(at.folder("clips")):
            cut = at.ledger.row(f"clips/{at.name}", item)
            seen = [at.ledger.row(manifest["stage"], item) for manifest in manifests]
            if cut is not None and all(row is not None and row.rows for row in seen):
                yield Wanted(item, stage.fingerprint(cut.output, *(row.output for row in seen if row)))

    def payloads(todo: Iterator[Wanted]) -> Iterator[tuple[str, tuple[pa.Table, list[np.ndarray]]]]:
        for item, clips in in_step(todo, by_item(at.folder("clips"))):
            for room, reader in zip(rooms, readers, strict=True):
                if item not in reader:
                    raise InputError(f"{at.folder(room)} is damaged, it lacks {item}: delete it and run again")
            yield item, (clips, [reader[item] for reader in readers])

    counts = advance(
        stage,
        at.work,
        at.ledger,
        PairWriter(at.folder("pairs"), sum(reader.dim for reader in readers)),
        wanted=wanted(),
        payloads=payloads,
        function=partial(_pairs_of_video, rates),
        retry=at.retry,
        progress=progress,
    )
    require_share(stage.name, at.ledger, counts, at.max_skipped)
    return counts


def _rooms(at: Workplace, backbones: Sequence[str]) -> list[str]:
    there = at.rooms("features")
    if not there:
        raise InputError(f"{at.work} has no features: run `tellvision features {at.work}` first")
    if len(set(backbones)) < len(backbones):
        raise InputError(f"a backbone is named twice: {', '.join(backbones)}")
    rooms = [f"features/{folder_of(name)}" for name in backbones]
    for name, room in zip(backbones, rooms, strict=True):
        if room not in there:
            raise InputError(
                f"no track of {name!r} here: run `tellvision features {at.work} --backbone {name}` first"
            )
    return rooms or there


def _pairs_of_video(rates: Sequence[float], job: tuple[pa.Table, list[np.ndarray]]) -> Result[VideoPairs]:
    clips, tracks = job
    return join(clips, list(zip(tracks, rates, strict=True)))
