"""`videos/`: every video below a folder, or every subtitle file; and what later stages ask of that table."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tellvision.corpus.collect import subtitles_only
from tellvision.corpus.collect.folder import VIDEOS, VideoFile, describe, scan
from tellvision.records import InputError
from tellvision.runners import ProgressCallback, no_progress
from tellvision.stages.advance import Stage, advance, require_share
from tellvision.stages.workplace import MANY, Workplace
from tellvision.store import MANIFEST, Lookup, TableWriter, Wanted, batches, read_manifest, read_table


def scan_videos(at: Workplace, videos: Path, progress: ProgressCallback = no_progress) -> dict[str, Any]:
    """`videos/`: every video below the folder `videos`, probed; subtitles are looked for later.

    Raises:
        InputError: the work folder holds imported captions, which would be lost.
    """
    if (at.work / "videos" / MANIFEST).exists():
        there = read_manifest(at.work / "videos")["config"]
        if source := there.get("captions") or ("only" in there and there["folder"]):
            raise InputError(f"{at.work} holds the captions that were imported from {source}: name another --out")
    return _scanned(at, _stage(videos), progress)


def scan_subtitles(at: Workplace, folder: Path, progress: ProgressCallback = no_progress) -> dict[str, Any]:
    """`videos/`: a video for the subtitle files of each name below `folder`; their pictures are not there."""
    stage = _stage(folder)
    return _scanned(at, replace(stage, config=stage.config | {"only": "subtitles"}), progress)


def files_of(work: Path) -> Iterator[VideoFile]:
    """The files that `videos/` is made from, as they lie there now.

    Raises:
        InputError: it is made from a file of released captions, which names videos and brings none.
    """
    config = read_manifest(work / "videos")["config"]
    if "folder" not in config:
        raise InputError(
            f"{work} was imported from {config['captions']} and has no subtitle files: read that again with "
            f"`tellvision captions {work} --released {config['captions']}`, or import again"
        )
    return _below(config)


def _below(config: Mapping[str, Any]) -> Iterator[VideoFile]:
    look = subtitles_only.scan if config.get("only") == "subtitles" else scan
    return look(Path(config["folder"]))


def _scanned(at: Workplace, stage: Stage, progress: ProgressCallback) -> dict[str, Any]:
    def wanted() -> Iterator[Wanted]:
        for file in _below(stage.config):
            yield Wanted(file.video_id, _fingerprint(stage, file), file.to_json())

    counts = advance(
        stage,
        at.work,
        at.ledger,
        TableWriter(at.work / "videos", VIDEOS, key="id"),
        wanted=wanted(),
        payloads=lambda todo: ((one.item, VideoFile.from_json(one.input)) for one in todo),
        function=subtitles_only.describe if "only" in stage.config else describe,
        retry=at.retry,
        progress=progress,
    )
    require_share("videos", at.ledger, counts, at.max_skipped)
    return counts


def _stage(folder: Path) -> Stage:
    return Stage(name="videos", config={"folder": str(folder.absolute())}, inputs={}, commit_every=MANY)


def video_fingerprint(videos: Path, file: VideoFile) -> str:
    """What changes when a file of the folder `videos` has to be looked at again."""
    return _fingerprint(_stage(videos), file)


def _fingerprint(stage: Stage, file: VideoFile) -> str:
    return stage.fingerprint(str(file.path), file.size, file.modified)


def paths_of(work: Path, what: str) -> Lookup:
    """Where the file of each video lies, by their ids; None for one that is not here.

    Args:
        work: the work folder.
        what: `pictures` or `sound`, what is wanted of the files.

    Raises:
        InputError: there are videos, and none is here.
    """
    paths = known_of(work, "path")
    if len(paths) and not any(map(paths.get, paths)):
        raise InputError(
            f"{work} holds what is said and no {what}, since captions alone were imported: give the videos "
            "to `tellvision run VIDEOS --out ANOTHER`"
        )
    return paths


def videos_table(work: Path) -> pa.Table:
    """The videos that can be read, in the order of their ids."""
    table = read_table(work / "videos")
    return table.filter(pc.equal(table["status"], "ok")).sort_by("id")


def known_of(work: Path, column: str) -> Lookup:
    """One column of the videos that can be read, by their ids."""

    def rows() -> Iterator[tuple[str, Any]]:
        for batch in batches(work / "videos", ["id", "status", column]):
            kept = batch.filter(pc.equal(batch["status"], "ok"))
            yield from zip(kept["id"].to_pylist(), kept[column].to_pylist(), strict=True)

    return Lookup(rows())
