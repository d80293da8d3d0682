"""The commands behind `tellvision COMMAND`: each decides nothing and hands over.

A function's arguments are the flags of its command, its docstring the help. Heavy imports stay inside
the command that needs them.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from json import dumps
from pathlib import Path
from textwrap import shorten
from typing import Annotated, Any, Literal

import tyro

from tellvision import recipes
from tellvision.corpus.captions import CaptionConfig
from tellvision.corpus.clips import ClipConfig
from tellvision.progress import Progress
from tellvision.recipes import Recipe
from tellvision.records import InputError
from tellvision.vision.extractors import FeatureConfig

Videos = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="VIDEOS")]
Work = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="WORK")]
Out = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="OUT")]
Benchmark = Annotated[Literal["segments"], tyro.conf.Positional]
Text = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TEXT")]
Retry = tyro.conf.UseAppendAction[tuple[str, ...]]  # a reason per flag, so that none swallows VIDEOS
CaptionSettings = Annotated[CaptionConfig, tyro.conf.arg(name="")]
ClipSettings = Annotated[ClipConfig, tyro.conf.arg(name="")]
FeatureSettings = Annotated[FeatureConfig, tyro.conf.arg(name="")]
Settings = Annotated[Recipe, tyro.conf.arg(name="")]  # fields of the recipe, as --train.epochs and so on
LAPTOP = recipes.laptop()  # in its place comes what --recipe names (cli.py)
LINE = 200  # letters of a hit that the terminal shows
WORKERS = os.cpu_count() or 1


def run(
    videos: Videos,
    *,
    out: Path,
    held_out: Path | None = None,
    model: str | None = None,
    name: str = "main",
    workers: int = WORKERS,
    retry: Retry = (),
    dry_run: bool = False,
    json: bool = False,
    settings: Settings = LAPTOP,
) -> None:
    """From a folder of narrated videos to a search that finds the moment.

    Does what is left to do: run it again after a stop, or after videos were added, changed, renamed or
    removed.

    Args:
        videos: folder of videos (mp4, mkv, webm, avi, mov, m4v) with subtitles beside them
            (ID.vtt, ID.en.vtt, ID.srt, ID.json3).
        out: work folder, new or of an earlier run.
        held_out: text file with a video id per line, kept out of training to measure on.
        model: a checkpoint to search with beside what is learned from these videos.
        name: of the artefacts.
        workers: processes that extract features.
        retry: reasons of skips that are tried again, such as unreadable_video; all for every one.
        dry_run: tell what would be done, how long it takes and how much disk, and do nothing.
        json: print the result as JSON, the last line.
        settings: --recipe, and single settings of it.
    """
    if dry_run:
        from tellvision import plan

        planned = plan.plan(videos, out, settings, name=name, workers=workers)
        _print(planned, json, plan.spoken(planned))
        return
    from tellvision import pipeline

    result = pipeline.run(
        videos,
        out,
        settings,
        name=name,
        held_out_file=held_out,
        model=model,
        workers=workers,
        retry=retry,
        progress=Progress(),
    )
    _print(result, json, pipeline.spoken(result, out))


def search(
    work: Work,
    text: Text,
    *,
    k: Annotated[int, tyro.conf.arg(aliases=["-k"])] = 10,
    by: Literal["speech", "picture", "fused"] | None = None,
    name: str = "main",
    json: bool = False,
) -> None:
    """Find the moments where something is done, best first.

    Args:
        work: work folder of a run.
        text: what is being done, in your own words.
        k: at most so many moments.
        by: what to search by; as the run found best, unless named.
        name: of the index.
        json: print a JSON object per line.
    """
    from tellvision.search import Index, load_model
    from tellvision.search import search as find

    _require_work(work)
    index = Index.open(work / "index" / name)
    model = load_model(index) if (by or index.search_by) != "speech" else None
    hits = find(index, model, text, k, by)
    for hit in hits:
        minutes, seconds = divmod(int(hit.start), 60)
        found = {key: getattr(hit, key) for key in ("video_id", "start", "end", "score", "text")}
        _print(found, json, f"{minutes}:{seconds:02d}  {hit.video_id}  {shorten(hit.text, LINE)}")
    if not hits and not json:
        print("nothing found: ask with other words")


def serve(work: Work, *, port: int = 8000, name: str = "main") -> None:
    """Serve the search page on this machine until you stop it.

    Args:
        work: work folder of a run.
        port: on 127.0.0.1.
        name: of the index.
    """
    from tellvision.search import server

    _require_work(work)
    server.serve(work, port, name)


def captions(
    work: Work,
    *,
    name: str = "main",
    max_skipped: float = 0.9,
    retry: Retry = (),
    settings: CaptionSettings = CaptionConfig(),  # noqa: B008
) -> None:
    """Read the subtitles beside the videos of WORK, every line said once.

    Args:
        work: work folder whose videos were scanned by a run.
        name: of the artefact.
        max_skipped: share of the videos that may be skipped.
        retry: reasons of skips that are tried again; all for every one.
        settings: how captions are read.
    """
    from tellvision import stages

    with _at(work, name, max_skipped=max_skipped, retry=retry) as at, Progress().stage("captions") as update:
        stages.read_captions(at, settings, update)


def clips(
    work: Work,
    *,
    name: str = "main",
    max_skipped: float = 0.9,
    settings: ClipSettings = ClipConfig(),  # noqa: B008
) -> None:
    """Cut a clip for every caption of WORK.

    Args:
        work: work folder with captions.
        name: of the artefact.
        max_skipped: share of the videos that may be skipped.
        settings: how clips are cut.
    """
    from tellvision import stages

    with _at(work, name, max_skipped=max_skipped) as at, Progress().stage("clips") as update:
        stages.cut_clips(at, settings, update)


def features(
    work: Work,
    *,
    name: str = "main",
    workers: int = WORKERS,
    max_skipped: float = 0.9,
    retry: Retry = (),
    settings: FeatureSettings = FeatureConfig(),  # noqa: B008
) -> None:
    """Turn the pictures of WORK's videos into tracks of vectors.

    Args:
        work: work folder with clips.
        name: of the artefact.
        workers: processes.
        max_skipped: share of the videos that may be skipped.
        retry: reasons of skips that are tried again; all for every one.
        settings: how pictures become vectors.
    """
    from tellvision import stages

    opened = _at(work, name, workers=workers, max_skipped=max_skipped, retry=retry)
    with opened as at, Progress().stage("features") as update:
        stages.extract_tracks(at, settings, update)


def pairs(work: Work, *, name: str = "main", max_skipped: float = 0.9) -> None:
    """Pool the tracks of WORK over its clips.

    Args:
        work: work folder with clips and features.
        name: of the artefact.
        max_skipped: share of the videos that may be skipped.
    """
    from tellvision import stages

    with _at(work, name, max_skipped=max_skipped) as at, Progress().stage("pairs") as update:
        stages.join_pairs(at, update)


def train(
    work: Work,
    *,
    start: Annotated[str | None, tyro.conf.arg(name="from")] = None,
    held_out: Path | None = None,
    name: str = "main",
    json: bool = False,
    settings: Settings = LAPTOP,
) -> None:
    """Learn the joint space from the pairs of WORK, and measure it on held-out videos.

    Args:
        work: work folder with pairs.
        start: a checkpoint to go on from (fine-tuning).
        held_out: text file with a video id per line, kept out of training.
        name: of the artefact.
        json: print what was measured as JSON.
        settings: --recipe, and single settings of it.
    """
    from tellvision import pipeline

    with _at(work, name) as at:
        counts = pipeline.learn(at, settings, held_out_file=held_out, start=start, progress=Progress())
    _print(counts, json, pipeline.spoken_retrieval(counts["retrieval"]) or counts["why"])


def index(work: Work, *, model: str | None = None, name: str = "main") -> None:
    """Build the search of WORK, by what finds best on held-out videos.

    Args:
        work: work folder with a finished training.
        model: a checkpoint to search with beside what was learned here.
        name: of the artefact.
    """
    from tellvision import pipeline

    with _at(work, name) as at:
        pipeline.build_index(at, given=model, progress=Progress())


def evaluate(
    benchmark: Benchmark,
    *,
    work: Path,
    truth: Path,
    model: str | None = None,
    name: str = "main",
    json: bool = False,
) -> None:
    """Measure a model on videos whose segments are known.

    Args:
        benchmark: segments: held-out segments of drawn or narrated videos, asked for by name and by single
            instructions.
        work: work folder of a run over these videos.
        truth: the file of truth beside the videos (JSON lines).
        model: a checkpoint; what was learned in the work folder, unless named.
        name: of the artefacts.
        json: print {"results": [...]}.
    """
    from tellvision.evaluation import segments

    assert benchmark == "segments"
    results = segments.evaluate(work, truth, model=model, name=name)
    _print({"results": results}, json, segments.table(results))


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
    from tellvision.store import ArrayReader

    _require_work(work)
    damaged = [(room, i) for room in ("features", "pairs") for i in ArrayReader(work / room / name).damaged()]
    if damaged:
        room, item = damaged[0]
        raise InputError(
            f"{len(damaged)} items are damaged, e.g. {item} in {work / room / name}: "
            "delete that folder and run again"
        )
    print("every checksum is right")


def doctor(*, json: bool = False) -> None:
    """Say what is installed, what is missing, and the line that installs it.

    Args:
        json: print a JSON list.
    """
    from tellvision import doctor as examination

    findings = examination.examine()
    _print([asdict(finding) for finding in findings], json, examination.spoken(findings))


def _require_work(work: Path) -> None:
    if not work.is_dir():
        raise InputError(f"{work} is no work folder: begin with `tellvision run VIDEOS --out {work}`")


@contextmanager
def _at(work: Path, name: str, **options: Any) -> Iterator[Any]:
    from tellvision.stages import Workplace
    from tellvision.store import LEDGER, Ledger

    if not (work / LEDGER).exists():
        raise InputError(f"{work} is no work folder: begin with `tellvision run VIDEOS --out {work}`")
    with Ledger(work) as ledger:
        yield Workplace(work=work, ledger=ledger, name=name, **options)


def _print(value: Any, as_json: bool, text: str) -> None:
    print(dumps(value, ensure_ascii=False) if as_json else text, flush=True)
