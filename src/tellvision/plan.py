"""What `run` would do: how many videos are new or changed, how long it takes, how much disk.

Reads the folder, the headers of a few files and the ledger. What is inside a subtitle file shows only in
the run: a video whose files turn out to say nothing is listened to as well.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tellvision.corpus.collect.folder import VideoFile, describe, scan
from tellvision.recipes import Recipe
from tellvision.stages.videos import video_fingerprint
from tellvision.store import peek, read_table
from tellvision.vision.extractors import find as find_extractor
from tellvision.vision.extractors import folder_of, rate_of

PROBED = 50  # videos that are opened to learn their length
TIMES_REAL_TIME_SEEN = {"efficientnet-lite0": 175.0, "motion": 365.0, "efficientnet-lite2": 48.0}
"""How fast one process decodes for a backbone and runs it, for those that were measured (docs/log.md)."""
TIMES_REAL_TIME = 6.0  # that one process listens
PAIRS_PER_SECOND = 0.4  # clips, of narration


def plan(videos: Path, work: Path, recipe: Recipe, *, name: str = "main", workers: int = 2) -> dict[str, Any]:
    """What there is to do for the folder `videos` in `work`. Writes nothing.

    Returns:
        `videos` found, `no_subtitles` among them, `to_hear` (new or changed videos that are listened to) and
        `seconds_to_hear` of them, `to_extract` (new or changed, those that are listened to among them),
        `video_seconds` of those, and estimates of `seconds` and `bytes` from the headers of some files and from
        the speed of the backbones and the recogniser on a machine like the one in docs/log.md; `not_timed`, the
        backbones whose speed is not known, whose time is left out.
    """
    files = list(scan(videos))
    backbones = recipe.features.backbone
    seen, heard = peek(work, "videos"), peek(work, f"speech/{name}")
    tracks = [peek(work, f"features/{name}/{folder_of(backbone)}") for backbone in backbones]
    extracted = set(tracks[0]).intersection(*tracks[1:])
    unchanged = {
        file.video_id
        for file in files
        if file.video_id in seen and seen[file.video_id].fingerprint == video_fingerprint(videos, file)
    }
    when = recipe.speech.when
    told = [file for file in files if file.subtitles and when != "always"]
    listened = [file for file in files if when == "always" or (when == "missing" and not file.subtitles)]
    silent = {video_id for video_id, row in heard.items() if row.status == "skipped"}
    to_hear = _new(listened, set(heard), unchanged, work)
    fresh = _new(told, extracted, unchanged, work)
    fresh += _new(listened, extracted | silent, unchanged, work)
    seconds, seconds_to_hear = _seconds(fresh), _seconds(to_hear)
    extractors = [find_extractor(backbone) for backbone in backbones]
    slow = [backbone for backbone in backbones if backbone not in TIMES_REAL_TIME_SEEN]
    seeing = seconds * sum(1 / TIMES_REAL_TIME_SEEN[backbone] for backbone in backbones if backbone not in slow)
    numbers = seconds * sum(rate_of(extractor) * extractor.dim for extractor in extractors)
    work_seconds = seeing + seconds_to_hear / TIMES_REAL_TIME
    return {
        "videos": len(files),
        "no_subtitles": sum(not file.subtitles for file in files),
        "to_hear": len(to_hear),
        "seconds_to_hear": round(seconds_to_hear),
        "to_extract": len(fresh),
        "video_seconds": round(seconds),
        "seconds": round(work_seconds / max(1, workers)),
        "not_timed": slow,
        "bytes": round(
            2 * (numbers + seconds * PAIRS_PER_SECOND * sum(extractor.dim for extractor in extractors))
        ),
    }


def _seconds(files: Sequence[VideoFile]) -> float:
    """How long the videos last together, from the headers of a few."""
    sample = [describe(file) for file in files[:: max(1, len(files) // PROBED)]]
    durations = [result.output["duration"][0].as_py() for result in sample if result.skip is None]
    return len(files) * sum(durations) / len(sample) if sample else 0.0


def _new(files: Sequence[VideoFile], done: set[str], unchanged: set[str], work: Path) -> list[VideoFile]:
    """The files whose content is not that of a video that is `done`: a renamed or moved one is not new."""
    unknown = [file for file in files if file.video_id not in done or file.video_id not in unchanged]
    if not unknown or not done:
        return unknown
    table = read_table(work / "videos", ["id", "content"])
    there = {row["content"] for row in table.to_pylist() if row["id"] in done}
    return [file for file in unknown if _content(file) not in there]


def _content(file: VideoFile) -> str:
    return str(describe(file).output["content"][0].as_py())


def spoken(planned: Mapping[str, Any]) -> str:
    """A plan for a reader."""
    unknown = "".join(f" (and for {backbone}, how long is not known)" for backbone in planned["not_timed"])
    parts = [
        f"{planned['videos']} videos, {planned['no_subtitles']} without subtitles",
        f"{planned['to_hear']} to listen to, {_time(planned['seconds_to_hear'])}",
        f"{planned['to_extract']} to extract, {_time(planned['video_seconds'])}",
        f"about {_time(planned['seconds'])}{unknown} and {planned['bytes'] / 1e6:.0f} MB, "
        "start and training not counted",
    ]
    return "; ".join(parts)


def _time(seconds: float) -> str:
    if seconds >= 7200:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"
