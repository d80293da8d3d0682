"""Captions without their videos: `videos/` and `captions/NAME/` from subtitle files or from a released file.

A released file (`howto100m`) is read twice, once for the names of its videos and once for what is said in
those that are new; neither pass holds more than a video.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from tellvision import store
from tellvision.corpus import language, subtitles
from tellvision.corpus.captions import CaptionConfig, captions_of
from tellvision.corpus.collect import subtitles_only
from tellvision.corpus.collect.folder import VIDEOS, file_state
from tellvision.corpus.speech.config import SpeechConfig
from tellvision.howto100m.captions import SOURCE, Narration, size_of, video_ids
from tellvision.howto100m.captions import read_captions as read_file
from tellvision.records import InputError, Skip
from tellvision.runners import ProgressCallback, Result, no_progress
from tellvision.stages.advance import Stage, advance, require_share
from tellvision.stages.captions import CAPTIONS, Tell, read_captions
from tellvision.stages.videos import known_of, scan_subtitles
from tellvision.stages.workplace import MANY, TOGETHER, Workplace, content_of
from tellvision.store import MANIFEST, Lookup, TableWriter, Wanted, digest, read_manifest


@dataclass(frozen=True)
class _Said:
    """A video on its way to its captions: what the file says in it, and how long it lasts if that is known."""

    narration: Narration | None
    duration: float | None
    config: CaptionConfig


def import_captions(at: Workplace, source: Path, config: CaptionConfig, tell: Tell) -> dict[str, Any]:
    """`videos/` and `captions/NAME/` of the videos that `source` tells of.

    Args:
        at: where.
        source: a folder of subtitle files, or what `howto100m.read_captions` reads.
        config: how lines become captions.
        tell: `Progress.stage`, asked for a line per step.
    """
    if not source.exists():
        raise InputError(f"{source} is not there: name a folder of subtitle files, or a file of released captions")
    with tell("videos") as update:
        _require_import(at, source)
        if _holds_subtitles(source):
            scan_subtitles(at, source, update)
        else:
            list_videos(at, source, update)
    with tell("captions") as update:
        if _holds_subtitles(source):
            counts = read_captions(at, config, SpeechConfig(speech="never"), update)
            require_share(f"captions/{at.name}", at.ledger, counts, at.max_skipped)
            return counts
        return read_released(at, source, config, update)


def _holds_subtitles(source: Path) -> bool:
    if not source.is_dir():
        return False
    try:
        return next(subtitles_only.scan(source), None) is not None
    except InputError:
        return False


def _require_import(at: Workplace, source: Path) -> None:
    """A work folder of videos is not to lose them to an import."""
    if (at.work / "videos" / MANIFEST).exists():
        there = read_manifest(at.work / "videos")["config"]
        if "captions" not in there and "only" not in there:
            raise InputError(
                f"{at.work} holds the videos of {there['folder']}: give them these captions with "
                f"`tellvision captions {at.work} --released {source}`, or import into another --out"
            )


def list_videos(at: Workplace, file: Path, progress: ProgressCallback = no_progress) -> dict[str, Any]:
    """`videos/`: the videos that a released file names; their pictures are not there."""
    stage = Stage(name="videos", config={"captions": str(file.absolute())}, inputs={}, commit_every=MANY)
    state = _state_of(file)
    counts = advance(
        stage,
        at.work,
        at.ledger,
        TableWriter(at.work / "videos", VIDEOS, key="id"),
        wanted=(Wanted(i, stage.fingerprint(state, i)) for i in _ids(file, progress)),
        payloads=lambda todo: ((one.item, one.item) for one in todo),
        function=_row_of,
        retry=at.retry,
    )
    require_share("videos", at.ledger, counts, at.max_skipped)
    return counts


def _ids(file: Path, progress: ProgressCallback = no_progress) -> Iterator[str]:
    """The videos that a file names; told of the bytes that were read."""
    found = video_ids(file)  # says so where there is no such file
    size = size_of(file) or 1
    for video_id, position in found:
        progress(min(position, size), size)
        yield video_id


def _state_of(file: Path) -> str:
    """What changes when the file, or one of those in the folder, does."""
    known = hashlib.sha256()
    for path in sorted(file.iterdir()) if file.is_dir() else [file]:
        known.update(repr((path.name, file_state(path))).encode())
    return known.hexdigest()[:32]


def _row_of(video_id: str) -> Result[pa.Table]:
    row = dict.fromkeys(VIDEOS.names) | {"id": video_id, "source": "howto100m", "status": "ok", "content": ""}
    return Result(pa.Table.from_pylist([row | {"reason": "", "title": video_id}], schema=VIDEOS), digest(row))


def read_released(
    at: Workplace, file: Path, config: CaptionConfig, progress: ProgressCallback = no_progress
) -> dict[str, Any]:
    """`captions/NAME/`: what a released file says in the videos of the work folder.

    A video that stands in the file several times is taken from the first place. One that does not stand
    in it is skipped as `no_subtitles`.
    """
    state = _state_of(file)
    stage = Stage(
        name=f"captions/{at.name}",
        config=asdict(config) | {"released": str(file.absolute())},
        inputs={"videos": at.hash_of("videos")},
        commit_every=MANY,
    )
    durations = known_of(at.work, "duration")

    def wanted() -> Iterator[Wanted]:
        seen = Lookup()
        for video_id in _ids(file):
            if video_id in durations and video_id not in seen:
                seen.update([(video_id, None)])
                yield Wanted(video_id, stage.fingerprint(state, durations[video_id]), "there")
        for video_id in durations:
            if video_id not in seen:
                yield Wanted(video_id, stage.fingerprint(state, durations[video_id]))

    def payloads(todo: Iterator[Wanted]) -> Iterator[tuple[str, _Said]]:
        narrations = read_file(file)
        for one in todo:
            found = next((n for n in narrations if n.video_id == one.item), None) if one.input else None
            yield one.item, _Said(found, durations[one.item] or None, config)

    counts = advance(
        stage,
        at.work,
        at.ledger,
        TableWriter(at.folder("captions"), CAPTIONS),
        wanted=wanted(),
        payloads=payloads,
        function=_captions_of_video,
        workers=at.workers,
        at_once=TOGETHER,
        retry=at.retry,
        progress=progress,
    )
    require_share(stage.name, at.ledger, counts, at.max_skipped)
    return counts


def _captions_of_video(job: _Said) -> Result[pa.Table]:
    if job.narration is None:
        raise Skip("no_subtitles", "the file of captions does not name it")
    if job.narration.problem is not None:
        raise job.narration.problem
    cues = list(job.narration.cues)
    if job.config.check_times:
        subtitles.check_times(cues, job.duration)
    language.check(cues, job.config.language)
    captions = captions_of(job.narration.video_id, cues, SOURCE, job.config)
    if not captions:
        raise Skip("empty_subtitles", f"nothing is said in {job.narration.video_id}")
    table = store.to_table(captions, CAPTIONS)
    return Result(table, content_of(table), dropped=dict(job.narration.dropped))
