"""What `run` would do: how many videos are new or changed, how long it takes, how much disk."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tellvision.corpus.collect.folder import VideoFile, describe, scan
from tellvision.recipes import Recipe
from tellvision.stages.videos import video_fingerprint
from tellvision.store import peek, read_table
from tellvision.vision.extractors import find as find_extractor

PROBED = 50  # videos that are opened to learn their length
STEPS_PER_SECOND = 70.0  # that one process decodes and extracts (docs/log.md)
PAIRS_PER_STEP = 0.4  # clips per second of narration


def plan(videos: Path, work: Path, recipe: Recipe, *, name: str = "main", workers: int = 2) -> dict[str, Any]:
    """What there is to do for the folder `videos` in `work`. Writes nothing.

    Returns:
        `videos` found, `no_subtitles` among them, `to_extract` (new or changed), `video_seconds` of those,
        and estimates of `seconds` and `bytes` from the headers of some files and from the speed of the
        backbone on a machine like the one in docs/log.md.
    """
    files = list(scan(videos))
    seen, extracted = peek(work, "videos"), peek(work, f"features/{name}")
    narrated = [file for file in files if file.subtitles]
    unknown = [
        file
        for file in narrated
        if file.video_id not in extracted or seen[file.video_id].fingerprint != video_fingerprint(videos, file)
    ]
    there = _contents(work, set(extracted))  # a video that was renamed or moved keeps its track
    fresh = [file for file in unknown if not there or _content(file) not in there]
    sample = [describe(file) for file in fresh[:: max(1, len(fresh) // PROBED)]]
    durations = [result.output["duration"][0].as_py() for result in sample if result.skip is None]
    seconds = len(fresh) * sum(durations) / len(sample) if sample else 0.0
    extractor = find_extractor(recipe.features.backbone)
    steps = seconds * extractor.fps
    return {
        "videos": len(files),
        "no_subtitles": len(files) - len(narrated),
        "to_extract": len(fresh),
        "video_seconds": round(seconds),
        "seconds": round(steps / (STEPS_PER_SECOND * max(1, workers))),
        "bytes": round(steps * extractor.dim * 2 * (1 + PAIRS_PER_STEP)),
    }


def _contents(work: Path, extracted: set[str]) -> set[str]:
    if not extracted:
        return set()
    table = read_table(work / "videos", ["id", "content"])
    return {row["content"] for row in table.to_pylist() if row["id"] in extracted}


def _content(file: VideoFile) -> str:
    return str(describe(file).output["content"][0].as_py())


def spoken(planned: Mapping[str, Any]) -> str:
    """A plan for a reader."""
    parts = [
        f"{planned['videos']} videos, {planned['no_subtitles']} without subtitles",
        f"{planned['to_extract']} to extract, {planned['video_seconds'] / 3600:.1f} h",
        f"about {_time(planned['seconds'])} and {planned['bytes'] / 1e6:.0f} MB, start and training not counted",
    ]
    return "; ".join(parts)


def _time(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"
