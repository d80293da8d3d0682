"""What people say: captions and the clips that go with them."""

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import tyro

from tellvision.commands.exchange import import_features
from tellvision.commands.flags import WORKERS, Retry, Work, at_work, require_work, say, warn_of_idle
from tellvision.corpus.captions import CaptionConfig
from tellvision.corpus.clips import ClipConfig
from tellvision.corpus.speech.config import SpeechConfig
from tellvision.progress import Progress
from tellvision.records import InputError

LONGEST = 200  # letters of a page's name before it is cut; a file system takes 255 with what comes behind
Source = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="SOURCE")]
CaptionSettings = Annotated[CaptionConfig, tyro.conf.arg(name="")]
ClipSettings = Annotated[ClipConfig, tyro.conf.arg(name="")]


def import_(
    source: Source,
    *,
    out: Path,
    backbone: str | None = None,
    fps: float | None = None,
    name: str = "main",
    workers: int = WORKERS,
    max_skipped: float = 0.9,
    retry: Retry = (),
    settings: CaptionSettings = CaptionConfig(),  # noqa: B008
) -> None:
    """Take in what others made: captions without their videos, or, with --backbone, features.

    Captions come from subtitle files, or from what the paper and its followers released. Features are a file
    ID.npy per video, for the clips that the work folder has; they become the track of a backbone.

    Args:
        source: a folder of subtitle files (ID.en.vtt ...), or of tables ID.csv; a released file: caption.json,
            raw_caption.json, caption.pickle, HTM-AA (csv), HowToCaption. With --backbone: a folder of features,
            or s3://bucket/folder.
        out: work folder, new or of an earlier import; `tellvision clips` goes on from captions, `tellvision
            pairs` from features.
        backbone: what made the features, such as resnet:152.
        fps: vectors per second of the features (the paper's: 1 for 2D, 1.5 for 3D).
        name: of the artefact.
        workers: processes that read captions.
        max_skipped: share of the videos that may be skipped.
        retry: reasons of skips that are tried again; all for every one.
        settings: how captions are read.
    """
    if backbone is not None:
        if fps is None:
            raise InputError(f"--backbone {backbone} needs --fps, the vectors per second of these features")
        warn_of_idle("with --backbone", {"caption settings": settings != CaptionConfig()})
        import_features(source, out, backbone, fps, name=name, max_skipped=max_skipped, retry=retry)
        return
    warn_of_idle("without --backbone", {"--fps": fps is not None})
    from tellvision.stages.imported import import_captions
    from tellvision.stages.workplace import Workplace
    from tellvision.store import Ledger

    with Ledger(out) as ledger:
        at = Workplace(work=out, ledger=ledger, name=name, workers=workers, max_skipped=max_skipped, retry=retry)
        at.require_retry()
        counts = import_captions(at, Path(source), settings, Progress().stage)
    print(_said(counts))


def captions(
    work: Work,
    *,
    released: Path | None = None,
    name: str = "main",
    max_skipped: float = 0.9,
    workers: int = WORKERS,
    retry: Retry = (),
    settings: CaptionSettings = CaptionConfig(),  # noqa: B008
    speech: SpeechConfig = SpeechConfig(),  # noqa: B008
) -> None:
    """Read the subtitles beside the videos of WORK, or hear what is said in them.

    Args:
        work: work folder whose videos were scanned by a run or an import.
        released: a file of released captions that is read in place of subtitles: caption.json, caption.pickle ...
        name: of the artefact.
        workers: processes.
        max_skipped: share of the videos that may be skipped.
        retry: reasons of skips that are tried again; all for every one.
        settings: how captions are read.
        speech: how speech is recognised.
    """
    from tellvision.stages.captions import narrate
    from tellvision.stages.imported import read_released

    with at_work(work, name, workers=workers, max_skipped=max_skipped, retry=retry) as at:
        if released:
            warn_of_idle("with --released", {"--speech": speech != SpeechConfig()})
            counts = read_released(at, released, settings, Progress().stage)
        else:
            counts = narrate(at, settings, speech, Progress().stage)
    print(_said(counts))


def _said(counts: Mapping[str, Any]) -> str:
    """What the stage of captions counted, in one line."""
    lost = [f"{number:,} {reason}" for reason, number in counts["skipped"].items()]
    parts = [f"{counts['rows']:,} captions of {counts['done']:,} in {counts['items']:,} videos"]
    return "; ".join([*parts, *([f"skipped: {', '.join(lost)}"] if lost else [])])


def clips(
    work: Work,
    *,
    show: Annotated[str | None, tyro.conf.arg(metavar="VIDEO_ID")] = None,
    html: bool = False,
    start: Annotated[float, tyro.conf.arg(name="from")] = 0.0,
    to: float | None = None,
    name: str = "main",
    workers: int = WORKERS,
    max_skipped: float = 0.9,
    retry: Retry = (),
    json: bool = False,
    settings: ClipSettings = ClipConfig(),  # noqa: B008
) -> None:
    """Cut a clip for every caption of WORK, or look at the pairing of one video.

    Args:
        work: work folder with captions.
        show: print what is said in this video and the clips that it was paired with; cuts nothing. An id that
            begins with two dashes is told as --show=ID.
        html: with --show: write it as a page of film strips with the captions under the pictures.
        start: with --html: seconds from which on.
        to: with --html: seconds up to which.
        name: of the artefact.
        workers: processes.
        max_skipped: share of the videos that may be skipped.
        retry: reasons of skips that are tried again; all for every one.
        json: print the pairing, or what the clips are like beside those of the paper, as JSON.
        settings: how clips are cut.
    """
    if show is not None:
        cutting = {"how clips are cut": settings != ClipConfig(), "--retry": bool(retry)}
        warn_of_idle("with --show, which cuts nothing", cutting)
        warn_of_idle("without --html", {"--from": not html and start != 0, "--to": not html and to is not None})
        _show(work, name, show, html, json, (start, to))
        return
    warn_of_idle("without --show", {"--html": html, "--from": start != 0, "--to": to is not None})
    from tellvision.report.statistics import as_text, statistics
    from tellvision.stages.clips import cut_clips

    with at_work(work, name, workers=workers, max_skipped=max_skipped, retry=retry) as at:
        if settings.within_shots:
            from tellvision.stages.shots import find_shots

            with Progress().stage("shots") as update:
                find_shots(at, update)
        with Progress().stage("clips") as update:
            cut_clips(at, settings, update)
    found = statistics(work, name)
    say(found, json, as_text(found))


def _page_of(video_id: str, name: str) -> str:
    """Names the page of a video: `pairing-ID`, `pairing-ID@NAME` beside it, of a length that any disk takes."""
    from tellvision.store import digest

    page = f"pairing-{quote(video_id, safe='')}" + ("" if name == "main" else f"@{quote(name, safe='')}")
    return page if len(page) <= LONGEST else f"{page[:LONGEST]}@@{digest(page)}"


def _show(work: Path, name: str, video_id: str, html: bool, json: bool, span: tuple[float, float | None]) -> None:
    from tellvision.report import pairing as pairings
    from tellvision.report.filmstrip import write_html
    from tellvision.report.terminal import as_text

    require_work(work)
    found = pairings.pairing(work, name, video_id)
    if html:
        path = work / f"{_page_of(found.video_id, name)}.html"
        write_html(found, path, *span)
        say({"page": str(path)}, json, str(path))
        return
    width = shutil.get_terminal_size().columns
    say(pairings.as_json(found), json, as_text(found, width, styled=sys.stdout.isatty()).rstrip())
