"""The main job, videos to try it on, and what is there to work with."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import tyro

from tellvision.commands.flags import (
    LAPTOP,
    WORKERS,
    Extracted,
    Out,
    Retry,
    Settings,
    Where,
    Work,
    require_work,
    say,
)
from tellvision.progress import Progress
from tellvision.records import InputError

Videos = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="VIDEOS")]


def run(
    videos: Videos,
    *,
    out: Path,
    held_out: Path | None = None,
    model: str | None = None,
    name: str = "main",
    workers: int | None = None,
    retry: Retry = (),
    dry_run: bool = False,
    json: bool = False,
    where: Extracted = Where(),  # noqa: B008
    settings: Settings = LAPTOP,
) -> None:
    """From a folder of narrated videos to a search that finds the moment.

    Does what is left to do: run it again after a stop, or after videos were added, changed, renamed or
    removed.

    Args:
        videos: folder of videos (mp4, mkv, webm, avi, mov, m4v) with subtitles beside them
            (ID.vtt, ID.en.vtt, ID.srt, ID.json3 ...); videos without are listened to, see --speech.
        out: work folder, new or of an earlier run.
        held_out: text file with a video id per line, kept out of training to measure on.
        model: a checkpoint to search with beside what is learned from these videos.
        name: of the artefacts.
        workers: processes that read subtitles, listen and extract features (default: one for each processor);
            with --ray the actors that extract features.
        retry: reasons of skips that are tried again, such as unreadable_video; all for every one.
        dry_run: tell what would be done, how long it takes and how much disk, and do nothing.
        json: print the result as JSON, the last line.
        where: where features are extracted.
        settings: --recipe, and single settings of it.
    """
    processes = WORKERS if workers is None or where.ray else workers
    if dry_run:
        from tellvision import plan

        planned = plan.plan(videos, out, settings, name=name, workers=processes)
        say(planned, json, plan.spoken(planned))
        return
    from tellvision import pipeline

    result = pipeline.run(
        videos,
        out,
        settings,
        name=name,
        held_out_file=held_out,
        model=model,
        workers=processes,
        device=where.device,
        runtime=where.runtime,
        time_limit=where.time_limit,
        cluster=where.cluster(workers),
        retry=retry,
        progress=Progress(),
    )
    say(result, json, pipeline.spoken(result, out))


def draw(out: Out, *, count: int = 24, seed: int = 0, workers: int = WORKERS) -> None:
    """Draw narrated how-to videos, with subtitles beside them and the truth in truth.jsonl.

    Args:
        out: folder for the videos.
        count: videos.
        seed: of everything in them.
        workers: processes.
    """
    from tellvision import draw as drawing

    with Progress().stage("drawing") as update:
        drawing.draw(out, count=count, seed=seed, workers=workers, progress=update)


def verify(work: Work, *, name: str = "main") -> None:
    """Check the stored vectors of WORK against the checksums they were written with.

    Args:
        work: work folder.
        name: of the artefacts.
    """
    from tellvision.store import MANIFEST, manifests_below

    require_work(work)
    folders = [work / "features" / name / part for part in manifests_below(work / "features" / name)]
    if (work / "pairs" / name / MANIFEST).exists():
        folders.append(work / "pairs" / name)
    if not folders:
        raise InputError(f"{work} holds no vectors yet: run `tellvision features {work}` first")
    damaged = [(folder, item) for folder in folders for item in _damaged(work, folder)]
    if damaged:
        folder, item = damaged[0]
        raise InputError(
            f"{len(damaged)} items are damaged, e.g. {item} in {folder}: delete that folder and run again"
        )
    print("every checksum is right")


def _damaged(work: Path, folder: Path) -> list[str]:
    from tellvision.store import ArrayReader, peek

    stage = folder.relative_to(work).as_posix()
    held = [item for item, row in peek(work, stage).items() if row.rows]
    return ArrayReader(folder).damaged(held)


def doctor(*, json: bool = False) -> None:
    """Say what is installed, what is missing, and the line that installs it.

    Args:
        json: print a JSON list.
    """
    from tellvision import doctor as examination

    findings = examination.examine()
    say([asdict(finding) for finding in findings], json, examination.spoken(findings))
