"""The item-wise stages of a run, one function each: what it should hold, and the work on one video.

    scan_videos -> read_captions -> cut_clips --+
                -> extract_tracks --------------+-> join_pairs

Each compares what its folder should hold with what the ledger says it holds and works on the
difference; the hash of a stage's manifest is the input of the next, and a video whose output did not
change starts nothing behind it.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tellvision import store
from tellvision.corpus import subtitles
from tellvision.corpus.captions import CaptionConfig, captions_of
from tellvision.corpus.clips import ClipConfig, clips_of
from tellvision.corpus.collect.folder import VIDEOS, VideoFile, describe, file_state, scan
from tellvision.embedding.pairs import PairWriter, VideoPairs, join
from tellvision.records import Caption, InputError, Skip
from tellvision.runners import ProgressCallback, Result, Stage, advance, no_progress, require_share
from tellvision.store import (
    ArrayReader,
    ArrayWriter,
    Ledger,
    Row,
    TableWriter,
    read_manifest,
    read_table,
    runs_of,
)
from tellvision.vision.extractors import FeatureConfig
from tellvision.vision.extractors import find as find_extractor
from tellvision.vision.features import Job, extract

CAPTIONS = pa.schema(
    [
        ("video_id", pa.string()),
        ("number", pa.int32()),
        ("start", pa.float64()),
        ("end", pa.float64()),
        ("text", pa.string()),
        ("source", pa.string()),
    ]
)
CLIPS = pa.schema(
    [
        ("clip_id", pa.string()),
        ("video_id", pa.string()),
        ("start", pa.float64()),
        ("end", pa.float64()),
        ("text", pa.string()),
        ("words", pa.int32()),
    ]
)
MANY = 256  # light items that are acknowledged together


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """Where a run works.

    Attributes:
        work: the work folder.
        ledger: its ledger, open.
        name: of the artefacts in each stage's folder.
        workers: processes for what is heavy; 0 works in this one.
        max_skipped: share of its items that a stage may skip.
        retry: reasons (or `all`) of skips that are tried again.
    """

    work: Path
    ledger: Ledger
    name: str = "main"
    workers: int = 0
    max_skipped: float = 0.9
    retry: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w[\w.-]*", self.name):
            raise InputError(f"--name {self.name!r} has to be letters, digits, '.', '_' and '-'")
        if self.workers < 0:
            raise InputError(f"--workers {self.workers} has to be 0 (work in this process) or more")

    def folder(self, stage: str) -> Path:
        """The folder of a stage's artefact."""
        return self.work / stage / self.name

    def hash_of(self, stage: str) -> str:
        """The hash of a finished stage's manifest; `videos` has no name of its own."""
        return str(read_manifest(self.work / "videos" if stage == "videos" else self.folder(stage))["hash"])

    def require_current(self, stage: str) -> None:
        """See to it that `stage` was made from what lies there now, back to the videos.

        Raises:
            InputError: it is unfinished, or older than what it is made from.
        """
        made_from = {} if stage == "videos" else read_manifest(self.folder(stage))["inputs"]
        for name, known in made_from.items():
            self.require_current(name)
            if self.hash_of(name) != known:
                raise InputError(
                    f"{name} changed since {stage} was made: run `tellvision {stage} {self.work}` first"
                )


def scan_videos(at: Workplace, videos: Path, progress: ProgressCallback = no_progress) -> dict[str, Row]:
    """`videos/`: every video below the folder `videos`, probed; subtitles are looked for later."""
    files = {file.video_id: file for file in scan(videos)}
    rows = advance(
        _videos_stage(videos),
        at.work,
        at.ledger,
        TableWriter(at.work / "videos", VIDEOS, key="id"),
        wanted={i: video_fingerprint(videos, file) for i, file in files.items()},
        payload=files.__getitem__,
        function=describe,
        retry=at.retry,
        progress=progress,
    )
    require_share("videos", rows, at.max_skipped)
    return rows


def _videos_stage(videos: Path) -> Stage:
    return Stage(name="videos", config={"folder": str(videos.absolute())}, inputs={}, commit_every=MANY)


def video_fingerprint(videos: Path, file: VideoFile) -> str:
    """What changes when a file of the folder `videos` has to be looked at again."""
    return _videos_stage(videos).fingerprint(str(file.path), file.size, file.modified)


def videos_table(work: Path) -> pa.Table:
    """The videos that can be read, in the order of their ids."""
    table = read_table(work / "videos")
    return table.filter(pa.compute.equal(table["status"], "ok")).sort_by("id")


@dataclass(frozen=True)
class _Narrated:
    """A video and its subtitle files, as they travel to the work on captions."""

    video_id: str
    files: tuple[Path, ...]
    config: CaptionConfig


def read_captions(
    at: Workplace, config: CaptionConfig, progress: ProgressCallback = no_progress
) -> dict[str, Row]:
    """`captions/NAME/`: the first subtitle file beside each video that can be read, said once."""
    videos = read_manifest(at.work / "videos")
    readable = set(videos_table(at.work)["id"].to_pylist())
    files = {f.video_id: f for f in scan(Path(videos["config"]["folder"])) if f.video_id in readable}
    stage = Stage(
        name=f"captions/{at.name}", config=asdict(config), inputs={"videos": videos["hash"]}, commit_every=MANY
    )
    rows = advance(
        stage,
        at.work,
        at.ledger,
        TableWriter(at.folder("captions"), CAPTIONS),
        wanted={i: stage.fingerprint(_states(file)) for i, file in files.items()},
        payload=lambda i: _Narrated(i, files[i].subtitles, config),
        function=_captions_of_video,
        retry=at.retry,
        progress=progress,
    )
    if rows and all(row.reason == "no_subtitles" for row in rows.values()):
        raise InputError(
            f"no_subtitles: none of {len(rows)} videos has subtitles beside it: put ID.vtt, ID.en.vtt, ID.srt or "
            "ID.json3 next to ID.mp4"
        )
    require_share("captions", rows, at.max_skipped)
    return rows


def _states(file: VideoFile) -> list[tuple[str, int, int]]:
    return [(path.name, *file_state(path)) for path in file.subtitles]


def _captions_of_video(job: _Narrated) -> Result[pa.Table]:
    if not job.files:
        raise Skip("no_subtitles", f"no subtitle file beside {job.video_id}")
    problem: Skip | None = None
    for path in job.files:
        try:
            cues, num_bad = subtitles.read_counted(path)
        except Skip as skip:
            problem = problem or skip
            continue
        captions = captions_of(job.video_id, cues, subtitles.source_of(path), job.config)
        if captions:
            table = store.to_table(captions, CAPTIONS)
            return Result(table, _content_of(table), dropped={"bad_times": num_bad} if num_bad else {})
        problem = problem or Skip("empty_subtitles", f"{path.name} says nothing")
    assert problem is not None
    raise problem


def cut_clips(at: Workplace, config: ClipConfig, progress: ProgressCallback = no_progress) -> dict[str, Row]:
    """`clips/NAME/`: each caption's clip, grown to the minimum length."""
    at.require_current("captions")
    said = {i: row for i, row in at.ledger.rows(f"captions/{at.name}").items() if row.rows}
    durations = dict(zip(*(videos_table(at.work)[c].to_pylist() for c in ("id", "duration")), strict=True))
    stage = Stage(
        name=f"clips/{at.name}",
        config=asdict(config),
        inputs={"captions": at.hash_of("captions")},
        commit_every=MANY,
    )
    slices = _Slices(read_table(at.folder("captions")))
    rows = advance(
        stage,
        at.work,
        at.ledger,
        TableWriter(at.folder("clips"), CLIPS),
        wanted={i: stage.fingerprint(said[i].output, durations[i]) for i in slices.ids if i in said},
        payload=lambda i: (slices[i], durations[i] or None),
        function=partial(_clips_of_video, config),
        retry=at.retry,
        progress=progress,
    )
    require_share("clips", rows, at.max_skipped)
    return rows


def _clips_of_video(config: ClipConfig, job: tuple[pa.Table, float | None]) -> Result[pa.Table]:
    lines, duration = job
    clips, dropped = clips_of([Caption(**row) for row in lines.to_pylist()], duration, config)
    if not clips:
        raise Skip("no_clips", ", ".join(f"{n} {reason}" for reason, n in dropped.items()))
    table = store.to_table(clips, CLIPS)
    return Result(table, _content_of(table), dropped=dropped)


def extract_tracks(
    at: Workplace, config: FeatureConfig, progress: ProgressCallback = no_progress
) -> dict[str, Row]:
    """`features/NAME/`: a track for every video that has clips; a renamed video keeps its track."""
    at.require_current("clips")
    extractor = find_extractor(config.backbone)
    narrated = [i for i, row in at.ledger.rows(f"clips/{at.name}").items() if row.rows]
    table = videos_table(at.work)
    videos = {row["id"]: row for row in table.select(["id", "path", "content"]).to_pylist()}
    stage = Stage(
        name=f"features/{at.name}",
        config=asdict(config) | {"fps": extractor.fps, "dim": extractor.dim, "weights": extractor.weights},
        inputs={"videos": at.hash_of("videos")},
    )
    rows = advance(
        stage,
        at.work,
        at.ledger,
        ArrayWriter(at.folder("features"), extractor.dim),
        wanted={i: stage.fingerprint(videos[i]["content"]) for i in sorted(narrated)},
        payload=lambda i: Job(Path(videos[i]["path"]), config.backbone),
        function=extract,
        workers=at.workers,
        retry=at.retry,
        progress=progress,
    )
    require_share("features", rows, at.max_skipped)
    return rows


def join_pairs(at: Workplace, progress: ProgressCallback = no_progress) -> dict[str, Row]:
    """`pairs/NAME/`: every clip's track pooled, beside what is said in it."""
    at.require_current("clips")
    at.require_current("features")
    seen = {i: row for i, row in at.ledger.rows(f"features/{at.name}").items() if row.rows}
    cut = at.ledger.rows(f"clips/{at.name}")
    track = read_manifest(at.folder("features"))
    fps, tracks = track["config"]["fps"], ArrayReader(at.folder("features"))
    slices = _Slices(read_table(at.folder("clips")))
    stage = Stage(
        name=f"pairs/{at.name}",
        config={"tracks": [{"name": track["config"]["backbone"], "fps": fps, "dim": tracks.dim}]},
        inputs={"clips": at.hash_of("clips"), "features": track["hash"]},
        commit_every=MANY,
    )
    rows = advance(
        stage,
        at.work,
        at.ledger,
        PairWriter(at.folder("pairs"), tracks.dim),
        wanted={i: stage.fingerprint(cut[i].output, seen[i].output) for i in sorted(slices.ids) if i in seen},
        payload=lambda i: (slices[i], tracks[i]),
        function=partial(_pairs_of_video, fps),
        retry=at.retry,
        progress=progress,
    )
    require_share("pairs", rows, at.max_skipped)
    return rows


def _pairs_of_video(fps: float, job: tuple[pa.Table, np.ndarray]) -> Result[VideoPairs]:
    clips, track = job
    return join(clips, [(track, fps)])


class _Slices:
    """A table cut by video without copying; a video's rows stand together."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        names, offsets = runs_of(table)
        starts, ends = offsets[:-1].tolist(), offsets[1:].tolist()
        self._ranges = {name: (s, e) for name, s, e in zip(names, starts, ends, strict=True)}

    @property
    def ids(self) -> list[str]:
        """The videos in the order of the table."""
        return list(self._ranges)

    def __getitem__(self, video_id: str) -> pa.Table:
        start, end = self._ranges[video_id]
        return self._table.slice(start, end - start)


def _content_of(table: pa.Table) -> str:
    values: list[Any] = [table.column(name).to_pylist() for name in table.schema.names]
    return hashlib.sha256(repr(values).encode()).hexdigest()[:16]


def skipped(ledger: Ledger, name: str) -> Mapping[str, Row]:
    """The videos that did not make it into the pairs, each with the first reason."""
    found: dict[str, Row] = {}
    for stage in ("videos", *(f"{room}/{name}" for room in ("captions", "clips", "features", "pairs"))):
        for item, row in ledger.rows(stage).items():
            if row.status == "skipped":
                found.setdefault(item, replace(row, item=item))
    return found
