"""`run`: from a folder of videos to a search, stage by stage, doing only what is left.

    videos -> captions -> clips ---+
    videos -> features ------------+-> pairs -> train -> index -> report

Every stage compares what it should hold with what the ledger says it holds, works on the
difference, and closes its folder with a manifest; the hash of that manifest is the next one's
input. What one room needs of another (held-out ids, a given model) is handed over here.
"""

import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tellvision import report
from tellvision.embedding import checkpoint
from tellvision.embedding.checkpoint import Model
from tellvision.embedding.config import Track
from tellvision.embedding.config import spoken as spoken_tracks
from tellvision.embedding.held_out import read_held_out
from tellvision.embedding.model import TextVideoModel
from tellvision.embedding.seen import Seen
from tellvision.embedding.together import Together
from tellvision.progress import Progress
from tellvision.recipes import Recipe
from tellvision.records import InputError
from tellvision.runners import Cluster
from tellvision.search import choice, index
from tellvision.stages.captions import narrate
from tellvision.stages.clips import cut_clips
from tellvision.stages.shots import find_shots
from tellvision.stages.tracks import TIME_LIMIT, extract_tracks, join_pairs
from tellvision.stages.training import learn, read_ids, spoken_retrieval
from tellvision.stages.videos import scan_videos, videos_table
from tellvision.stages.workplace import Workplace, skipped
from tellvision.store import MANIFEST, Ledger, read_manifest, read_table
from tellvision.vision.extractors import find as find_extractor
from tellvision.vision.extractors import rate_of
from tellvision.vision.network import Runtime


def run(
    videos: Path,
    work: Path,
    recipe: Recipe,
    *,
    name: str = "main",
    held_out_file: Path | None = None,
    model: str | None = None,
    workers: int = 2,
    device: str = "auto",
    runtime: Runtime = "auto",
    time_limit: float = TIME_LIMIT,
    cluster: Cluster | None = None,
    retry: tuple[str, ...] = (),
    progress: Progress | None = None,
) -> dict[str, Any]:
    """The main job: everything from the folder `videos` to a search over it, in `work`.

    Args:
        videos: folder of videos with subtitles beside them.
        work: work folder, new or of an earlier run.
        recipe: the full configuration.
        name: of the artefacts.
        held_out_file: a video id per line to keep out of training, in place of the recipe's share.
        model: a checkpoint to search with beside what is learned here.
        workers: processes that extract features.
        device: where the backbones run, see `extract_tracks`, and where the embedding learns.
        runtime: what runs them there, likewise.
        time_limit: for a video's features, see `extract_tracks`.
        cluster: where features are extracted, in place of processes of this machine.
        retry: reasons (or `all`) of skips that are tried again.
        progress: told how far it is.

    Returns:
        `videos` that can be searched, `clips` in them, `skipped` videos by reason, `seconds` that it took,
        `retrieval` on held-out videos or None, `search_by` and `why`.

    Raises:
        InputError: what the user has to change, in one line.
    """
    began = time.monotonic()
    tell = progress or Progress(quiet=True)
    if work.resolve() == videos.resolve():
        raise InputError(f"--out {work} is the folder of the videos: name another one for the output")
    if held_out_file:  # what is wrong with it shows now, not after hours of work
        read_ids(held_out_file)
    extractors = {name: find_extractor(name) for name in recipe.features.backbone}
    if model:
        tracks = (Track(name=name, fps=rate_of(one), dim=one.dim) for name, one in extractors.items())
        _given(model, tuple(tracks), "--model")
    with Ledger(work) as ledger:
        at = Workplace(
            work=work,
            ledger=ledger,
            name=name,
            workers=workers,
            max_skipped=recipe.max_skipped,
            retry=retry,
        )
        at.require_retry()
        with tell.stage("videos") as update:
            scan_videos(at, videos, update)
        narrate(at, recipe.captions, recipe.speech, tell.stage)
        if recipe.clips.within_shots:
            with tell.stage("shots") as update:
                find_shots(at, update)
        with tell.stage("clips") as update:
            cut_clips(at, recipe.clips, update)
        with tell.stage("features") as update:
            extract_tracks(
                at,
                recipe.features,
                device=device,
                runtime=runtime,
                time_limit=time_limit,
                cluster=cluster,
                progress=update,
            )
        with tell.stage("pairs") as update:
            join_pairs(at, recipe.features.backbone, update)
        learned = learn(at, recipe, held_out_file=held_out_file, together=Together(device=device), progress=tell)
        build_index(at, given=model, progress=tell)
        lost = skipped(ledger, name)
        with tell.stage("report") as update:
            report.write(work, name, skipped={i: (row.reason, row.detail) for i, row in lost.items()})
            update(1, 1)
    found = read_manifest(at.folder("index"))
    return {
        "videos": found["counts"]["videos"],
        "clips": found["counts"]["clips"],
        "skipped": dict(Counter(row.reason for row in lost.values())),
        "seconds": round(time.monotonic() - began, 1),
        "retrieval": learned["retrieval"],
        "search_by": found["config"]["search_by"],
        "why": found["config"]["why"],
    }


def build_index(at: Workplace, *, given: str | None = None, progress: Progress) -> None:
    """`index/NAME/`: the clips with the vectors of the best picture, searched by what did best.

    Speech, the learned picture, the picture of a `given` model and both fused are compared on videos that
    training did not see (tellvision.search.choice); index and report say which was chosen and why.
    """
    at.require_current("runs")
    folder, run_folder = at.folder("index"), at.folder("runs")
    ran = read_manifest(run_folder)
    seen = Seen(at.work, at.name)
    models: dict[str, Model] = {choice.GIVEN: _given(given, seen.tracks, "--model")} if given else {}
    inputs = {name: at.hash_of(name) for name in ("videos", "captions", "pairs", "runs")}
    inputs["model"] = checkpoint.digest_of(models[choice.GIVEN]) if given else ""
    if (folder / MANIFEST).exists() and read_manifest(folder)["inputs"] == inputs:
        return
    with progress.stage("index") as update:
        update(0, 2)
        unseen, why = set(seen.pairs.videos), ran["counts"]["why"]
        if ran["counts"]["learned"]:
            unseen = read_held_out(run_folder)
            learned = checkpoint.load(run_folder)
            if isinstance(learned, TextVideoModel) and learned.config.text.tokens == "words":
                why = "What was learned looks words up in a table that is not part of it: use it from Python."
            else:
                models = {choice.LEARNED: learned} | models
        compared = _compare(at, seen, unseen, models)
        update(1, 2)
        chosen = models.get(compared["model"]) or next(iter(models.values()), None)
        videos = seen.pairs.videos
        table, vectors = seen.vectors(chosen, videos) if chosen else (seen.pairs.select(videos)[0], None)
        index.build(
            folder,
            clips=table,
            videos=videos_table(at.work),
            vectors=vectors,
            search_by=compared["search_by"],
            why=" ".join(filter(None, [why, compared["why"]])),
            model=chosen,
            comparison={key: value for key, value in compared.items() if key not in ("search_by", "why")},
            inputs=inputs,
        )
        update(2, 2)


def _compare(at: Workplace, seen: Seen, unseen: set[str], models: Mapping[str, Model]) -> dict[str, Any]:
    table, _ = seen.pairs.select(unseen)
    pictures = {name: (model.encode_text, seen.vectors(model, unseen)[1]) for name, model in models.items()}
    lines = read_table(at.folder("captions"))
    said = lines.filter(pc.is_in(lines["video_id"], pa.array(sorted(unseen), pa.string())))
    return choice.compare(said, table, pictures)


def _given(path: str, tracks: tuple[Track, ...], flag: str) -> Model:
    model = checkpoint.load(path)
    if model.features != tracks:
        raise InputError(
            f"{flag} {path} reads {spoken_tracks(model.features)}, the features here are {spoken_tracks(tracks)}: "
            "extract those first"
        )
    return model


def spoken(result: Mapping[str, Any], work: Path) -> str:
    """A run's result for a reader."""
    lost = ", ".join(f"{n} {reason}" for reason, n in sorted(result["skipped"].items()))
    lines = [
        f"{result['videos']} videos, {result['clips']} clips" + (f"; skipped: {lost}" if lost else ""),
        spoken_retrieval(result["retrieval"]),
        result["why"],
        f"report: {work / 'report.html'}    search: tellvision serve {work}",
    ]
    return "\n".join(line for line in lines if line)
