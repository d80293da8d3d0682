"""What people say: captions and the clips that go with them."""

import shutil
import sys
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import tyro

from tellvision.commands.flags import WORKERS, Retry, Work, at_work, require_work, say
from tellvision.corpus.captions import CaptionConfig
from tellvision.corpus.clips import ClipConfig
from tellvision.corpus.speech.config import SpeechConfig
from tellvision.progress import Progress

Source = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SOURCE")]
CaptionSettings = Annotated[CaptionConfig, tyro.conf.arg(name="")]
ClipSettings = Annotated[ClipConfig, tyro.conf.arg(name="")]


def import_(
    source: Source,
    *,
    out: Path,
    name: str = "main",
    workers: int = WORKERS,
    max_skipped: float = 0.9,
    retry: Retry = (),
    settings: CaptionSettings = CaptionConfig(),  # noqa: B008
) -> None:
    """Take in captions without their videos: subtitle files, or what the paper and its followers released.

    Args:
        source: a folder of subtitle files (ID.en.vtt ...), or of tables ID.csv; a released file: caption.json,
            raw_caption.json, caption.pickle, HTM-AA (csv), HowToCaption.
        out: work folder, new or of an earlier import; `tellvision clips` goes on from there.
        name: of the artefact.
        workers: processes.
        max_skipped: share of the videos that may be skipped.
        retry: reasons of skips that are tried again; all for every one.
        settings: how captions are read.
    """
    from tellvision.stages.imported import import_captions
    from tellvision.stages.workplace import Workplace
    from tellvision.store import Ledger

    with Ledger(out) as ledger:
        at = Workplace(work=out, ledger=ledger, name=name, workers=workers, max_skipped=max_skipped, retry=retry)
        import_captions(at, source, settings, Progress().stage)


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
            with Progress().stage("captions") as update:
                read_released(at, released, settings, update)
        else:
            narrate(at, settings, speech, Progress().stage)


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
    json: bool = False,
    settings: ClipSettings = ClipConfig(),  # noqa: B008
) -> None:
    """Cut a clip for every caption of WORK, or look at the pairing of one video.

    Args:
        work: work folder with captions.
        show: print what is said in this video and the clips that it was paired with; cuts nothing.
        html: with --show: write it as a page of film strips with the captions under the pictures.
        start: with --html: seconds from which on.
        to: with --html: seconds up to which.
        name: of the artefact.
        workers: processes.
        max_skipped: share of the videos that may be skipped.
        json: print the pairing, or what the clips are like beside those of the paper, as JSON.
        settings: how clips are cut.
    """
    if show is not None:
        _show(work, name, show, html, json, (start, to))
        return
    from tellvision.report.statistics import as_text, statistics
    from tellvision.stages.clips import cut_clips

    with at_work(work, name, workers=workers, max_skipped=max_skipped) as at:
        if settings.within_shots:
            from tellvision.stages.shots import find_shots

            with Progress().stage("shots") as update:
                find_shots(at, update)
        with Progress().stage("clips") as update:
            cut_clips(at, settings, update)
    found = statistics(work, name)
    say(found, json, as_text(found))


def _show(work: Path, name: str, video_id: str, html: bool, json: bool, span: tuple[float, float | None]) -> None:
    from tellvision.report import pairing as pairings
    from tellvision.report.filmstrip import write_html
    from tellvision.report.terminal import as_text

    require_work(work)
    found = pairings.pairing(work, name, video_id)
    if html:
        path = work / f"pairing-{quote(video_id, safe='')}.html"
        write_html(found, path, *span)
        say({"page": str(path)}, json, str(path))
        return
    width = shutil.get_terminal_size().columns
    say(pairings.as_json(found), json, as_text(found, width, styled=sys.stdout.isatty()).rstrip())
