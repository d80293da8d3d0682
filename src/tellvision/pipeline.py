"""`run`: from a folder of videos to a search, stage by stage, doing only what is left.

    videos -> captions -> clips ---+
    videos -> features ------------+-> pairs -> train -> index -> report

Every stage compares what it should hold with what the ledger says it holds, works on the
difference, and closes its folder with a manifest; the hash of that manifest is the next one's
input. What one room needs of another (held-out ids, a given model) is handed over here.
"""

import hashlib
import json
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tellvision import metrics, report
from tellvision.embedding import checkpoint
from tellvision.embedding.checkpoint import Model
from tellvision.embedding.config import ModelConfig, Track, to_dict
from tellvision.embedding.config import spoken as spoken_tracks
from tellvision.embedding.frozen import FrozenPair
from tellvision.embedding.pairs import Pairs
from tellvision.embedding.train import METRICS, end, read_held_out, split, train, write_held_out
from tellvision.evaluation import held_out
from tellvision.progress import Progress
from tellvision.recipes import Recipe
from tellvision.records import InputError
from tellvision.runners import Cluster
from tellvision.search import choice, index
from tellvision.stages.captions import narrate
from tellvision.stages.clips import cut_clips
from tellvision.stages.shots import find_shots
from tellvision.stages.tracks import TIME_LIMIT, extract_tracks, join_pairs
from tellvision.stages.videos import scan_videos, videos_table
from tellvision.stages.workplace import Workplace, skipped
from tellvision.store import MANIFEST, Ledger, digest, is_current, read_manifest, read_table, write_manifest
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
        device: where the backbones run, see `extract_tracks`.
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
        _read_ids(held_out_file)
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
        learned = learn(at, recipe, held_out_file=held_out_file, progress=tell)
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


def learn(
    at: Workplace,
    recipe: Recipe,
    *,
    held_out_file: Path | None = None,
    start: str | None = None,
    progress: Progress,
) -> dict[str, Any]:
    """`runs/NAME/`: train on the pairs of all videos but the held-out ones, and measure on those.

    Where there are too few videos to learn from, the run holds no model and says why.

    Args:
        at: where the pairs lie.
        recipe: how it learns.
        held_out_file: a video id per line, in place of the recipe's share.
        start: a checkpoint to go on from.
        progress: told how far it is.

    Returns:
        What the run's manifest counts: `learned`, `why`, `retrieval`, `training`, `held_out`.
    """
    at.require_current("pairs")
    folder, pairs = at.folder("runs"), Pairs(at.folder("pairs"))
    kept_out = _held_out(pairs, recipe, held_out_file, progress)
    given = _given(start, _tracks(at), "--from") if start else None
    if isinstance(given, FrozenPair):
        raise InputError(
            f"--from {start} is a frozen pair, which does not learn: train on its features without --from"
        )
    config = {
        "text": asdict(recipe.text),
        "dim": recipe.dim,
        "train": asdict(recipe.train),
        "held_out": digest(sorted(kept_out)),
        "start": _weights_hash(given),
    }
    inputs = {"pairs": at.hash_of("pairs")}
    if is_current(folder, config, inputs):
        counts: dict[str, Any] = read_manifest(folder)["counts"]
        if not counts["learned"] or (folder / checkpoint.WEIGHTS).exists():
            end(folder)  # a kill may have come just before it
            return counts
    (folder / MANIFEST).unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    write_held_out(folder, kept_out)
    training = [i for i in pairs.videos if i not in kept_out]
    counts = {"learned": False, "why": "", "retrieval": None, "training": len(training), "held_out": len(kept_out)}
    if len(training) < recipe.train.min_videos:
        counts["why"] = f"Too few videos to learn from: {len(training)} (at least {recipe.train.min_videos})."
        for left in (checkpoint.WEIGHTS, METRICS):
            (folder / left).unlink(missing_ok=True)
    else:
        with progress.stage("train") as update:
            model = train(
                pairs,
                ModelConfig(tracks=_tracks(at), dim=recipe.dim, text=recipe.text),
                recipe.train,
                folder,
                videos=training,
                start=given,
                on_epoch=lambda done, total, measured: update(done, total, note=_spoken(measured)),
            )
        counts |= {"learned": True, "retrieval": held_out.retrieval(model, pairs, kept_out)}
    write_manifest(folder, stage=f"runs/{at.name}", config=config, inputs=inputs, counts=counts)
    end(folder)
    return counts


def _spoken(measured: Mapping[str, float]) -> str:
    return f"loss {measured['loss']:.4f}, {measured['pairs_per_second']:,.0f} pairs/s"


def _held_out(pairs: Pairs, recipe: Recipe, file: Path | None, progress: Progress) -> set[str]:
    if file is None:
        return split(pairs.videos, recipe.train.held_out)
    there = set(pairs.videos)
    named = {line if line in there else line.strip() for line in _read_ids(file)}
    unknown = named - there
    if unknown:
        example = f"{min(unknown)!r}" + (f", here they look like {pairs.videos[0]!r}" if pairs.videos else "")
        told = (
            f"--held-out {file}: {len(unknown)} of {len(named)} ids are no video with clips here, e.g. {example}"
        )
        if unknown == named:
            raise InputError(told)
        progress.say(told)
    return named - unknown


def _read_ids(file: Path) -> set[str]:
    try:
        return {line.removesuffix("\r") for line in file.read_text(encoding="utf-8").split("\n")} - {""}
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"--held-out {file} cannot be read ({error}): give a text file, a video id per line"
        ) from None


def _tracks(at: Workplace) -> tuple[Track, ...]:
    return tuple(Track(**track) for track in read_manifest(at.folder("pairs"))["config"]["tracks"])


def build_index(at: Workplace, *, given: str | None = None, progress: Progress) -> None:
    """`index/NAME/`: the clips with the vectors of the best picture, searched by what did best.

    Speech, the learned picture, the picture of a `given` model and both fused are compared on videos that
    training did not see (tellvision.search.choice); index and report say which was chosen and why.
    """
    at.require_current("runs")
    folder, run_folder = at.folder("index"), at.folder("runs")
    ran = read_manifest(run_folder)
    models: dict[str, Model] = {choice.GIVEN: _given(given, _tracks(at), "--model")} if given else {}
    inputs = {name: at.hash_of(name) for name in ("videos", "captions", "pairs", "runs")}
    inputs["model"] = _weights_hash(models.get(choice.GIVEN))
    if (folder / MANIFEST).exists() and read_manifest(folder)["inputs"] == inputs:
        return
    with progress.stage("index") as update:
        update(0, 2)
        pairs = Pairs(at.folder("pairs"))
        unseen = set(pairs.videos)
        if ran["counts"]["learned"]:
            models = {choice.LEARNED: checkpoint.load(run_folder)} | models
            unseen = read_held_out(run_folder)
        compared = _compare(at, pairs, unseen, models)
        update(1, 2)
        chosen = models.get(compared["model"]) or next(iter(models.values()), None)
        table, rows = pairs.select(pairs.videos)
        index.build(
            folder,
            clips=table,
            videos=videos_table(at.work),
            vectors=chosen.embed_clips(rows) if chosen else None,
            search_by=compared["search_by"],
            why=" ".join(filter(None, [ran["counts"]["why"], compared["why"]])),
            model=chosen,
            comparison={key: value for key, value in compared.items() if key not in ("search_by", "why")},
            inputs=inputs,
        )
        update(2, 2)


def _compare(at: Workplace, pairs: Pairs, unseen: set[str], models: Mapping[str, Model]) -> dict[str, Any]:
    table, rows = pairs.select(unseen)
    pictures = {name: (model.encode_text, model.embed_clips(rows)) for name, model in models.items()}
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


def _weights_hash(model: Model | None) -> str:
    if model is None:
        return ""
    if isinstance(model, FrozenPair):
        return model.weights
    known = hashlib.sha256(json.dumps(to_dict(model.config)).encode())
    for name, value in sorted(model.state_dict().items()):
        known.update(name.encode())
        known.update(value.numpy().tobytes())
    return known.hexdigest()[:32]


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


def spoken_retrieval(retrieval: Mapping[str, Any] | None) -> str:
    """Retrieval on held-out videos as a small table; empty where nothing was measured."""
    if retrieval is None:
        return ""
    title = f"retrieval on {retrieval['videos']} held-out videos, {retrieval['clips']} clips"
    rows = {"learned": "text_to_video", "shuffled": "shuffled", "chance": "chance"}
    return metrics.as_text(title, {name: retrieval[key] for name, key in rows.items()})
