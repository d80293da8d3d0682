"""Captions without their videos: `videos/` and `captions/NAME/` from subtitle files or from a released file.

A released file (`howto100m`) is read twice: once for the names of its videos, which are kept on disk for both
stages, and once, where any of them is new, for what is said. Neither pass holds more than a video.
"""

import hashlib
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa

from tellvision.corpus import subtitles
from tellvision.corpus.captions import CaptionConfig
from tellvision.corpus.collect import subtitles_only
from tellvision.corpus.collect.folder import VIDEOS, file_state
from tellvision.corpus.speech.config import SpeechConfig
from tellvision.howto100m.captions import SOURCE, Narration, size_of, video_ids
from tellvision.howto100m.captions import read_captions as read_file
from tellvision.records import InputError, Skip
from tellvision.runners import Result
from tellvision.stages.advance import Stage, advance, require_share
from tellvision.stages.captions import CAPTIONS, Tell, read_captions, said_in
from tellvision.stages.videos import known_of, scan_subtitles
from tellvision.stages.workplace import MANY, TOGETHER, Workplace
from tellvision.store import MANIFEST, TableWriter, Wanted, digest, read_manifest


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
    _require_import(at, source)
    if not _holds_subtitles(source):
        with _named(source, tell) as names:
            list_videos(at, source, names, tell)
            return _read(at, source, config, names, tell)
    with tell("videos") as update:
        scan_subtitles(at, source, update)
    with tell("captions") as update:
        counts = read_captions(at, config, SpeechConfig(when="never"), update)
    require_share(f"captions/{at.name}", at.ledger, counts, at.max_skipped)
    return counts


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


@dataclass(frozen=True)
class _Names:
    """The ids that a released file names, in its order, a line each in a file of their own.

    Attributes:
        lines: that file.
        dropped: how many entries have an id that cannot name a video, as `bad_video_id`.
    """

    lines: TextIO
    dropped: Counter[str]

    def __iter__(self) -> Iterator[str]:
        self.lines.seek(0)
        return (line[:-1] for line in self.lines)


@contextmanager
def _named(file: Path, tell: Tell) -> Iterator[_Names]:
    dropped: Counter[str] = Counter()
    found = video_ids(file, dropped=dropped)  # says so where there is no such file
    size = size_of(file) or 1
    with tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n") as lines:
        with tell("ids") as update:
            for video_id, position in found:
                lines.write(f"{video_id}\n")  # no id holds a line end: what does cannot name a video
                update(min(position, size), size)
            update(size, size)
        if num_bad := dropped.total():
            warnings.warn(f"{file.name}: {num_bad} ids cannot name a video and are left out", stacklevel=4)
        yield _Names(lines, dropped)


def list_videos(at: Workplace, file: Path, names: _Names, tell: Tell) -> dict[str, Any]:
    """`videos/`: the videos that a released file names; their pictures are not there."""
    stage = Stage(name="videos", config={"captions": str(file.absolute())}, inputs={}, commit_every=MANY)
    state = _state_of(file)
    with tell("videos") as update:
        counts = advance(
            stage,
            at.work,
            at.ledger,
            TableWriter(at.work / "videos", VIDEOS, key="id"),
            wanted=(Wanted(i, stage.fingerprint(state, i)) for i in names),
            payloads=lambda todo: ((one.item, one.item) for one in todo),
            function=_row_of,
            retry=at.retry,
            dropped=names.dropped,
            progress=update,
        )
    require_share("videos", at.ledger, counts, at.max_skipped)
    return counts


def _state_of(file: Path) -> str:
    """What changes when the file, or one of those in the folder, does."""
    known = hashlib.sha256()
    for path in sorted(file.iterdir()) if file.is_dir() else [file]:
        known.update(repr((path.name, file_state(path))).encode())
    return known.hexdigest()[:32]


def _row_of(video_id: str) -> Result[pa.Table]:
    row = dict.fromkeys(VIDEOS.names) | {"id": video_id, "source": "howto100m", "status": "ok", "content": ""}
    return Result(pa.Table.from_pylist([row | {"reason": "", "title": video_id}], schema=VIDEOS), digest(row))


def read_released(at: Workplace, file: Path, config: CaptionConfig, tell: Tell) -> dict[str, Any]:
    """`captions/NAME/`: what a released file says in the videos of the work folder.

    A video that stands in the file several times is taken from the first place. One that does not stand
    in it is skipped as `no_subtitles`.

    Args:
        at: where.
        file: of released captions.
        config: how lines become captions.
        tell: `Progress.stage`, asked for a line per step.
    """
    with _named(file, tell) as names:
        return _read(at, file, config, names, tell)


def _read(at: Workplace, file: Path, config: CaptionConfig, names: _Names, tell: Tell) -> dict[str, Any]:
    state = _state_of(file)
    stage = Stage(
        name=f"captions/{at.name}",
        config=asdict(config) | {"released": str(file.absolute())},
        inputs={"videos": at.hash_of("videos")},
        commit_every=MANY,
    )
    durations = known_of(at.work, "duration")

    def wanted() -> Iterator[Wanted]:
        for video_id in names:
            if video_id in durations:
                yield Wanted(video_id, stage.fingerprint(state, durations[video_id]), "there")
        for video_id in durations:  # of a video that comes again the first counts
            yield Wanted(video_id, stage.fingerprint(state, durations[video_id]))

    def payloads(todo: Iterator[Wanted]) -> Iterator[tuple[str, _Said]]:
        narrations = read_file(file)
        for one in todo:
            found = next((n for n in narrations if n.video_id == one.item), None) if one.input else None
            yield one.item, _Said(found, durations[one.item] or None, config)

    with tell("captions") as update:
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
            progress=update,
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
    return said_in(job.narration.video_id, cues, SOURCE, job.config, job.narration.dropped)
