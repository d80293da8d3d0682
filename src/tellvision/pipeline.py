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
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from tellvision import metrics, report, stages
from tellvision.corpus.collect.folder import describe, scan
from tellvision.embedding import checkpoint
from tellvision.embedding.config import ModelConfig, Track, to_dict
from tellvision.embedding.model import TextVideoModel
from tellvision.embedding.pairs import Pairs
from tellvision.embedding.train import split, train
from tellvision.evaluation import held_out
from tellvision.progress import Progress
from tellvision.recipes import Recipe
from tellvision.records import InputError
from tellvision.search import choice, index
from tellvision.stages import Workplace
from tellvision.store import Ledger, atomic_write, digest, read_manifest, read_table, write_manifest
from tellvision.vision.extractors import find as find_extractor

HELD_OUT = "held_out.txt"
PROBED = 50  # videos that a plan opens to learn their length
STEPS_PER_SECOND = 70.0  # that one process decodes and extracts (docs/log.md)
PAIRS_PER_STEP = 0.4  # clips per second of narration


def run(
    videos: Path,
    work: Path,
    recipe: Recipe,
    *,
    name: str = "main",
    held_out_file: Path | None = None,
    model: str | None = None,
    workers: int = 2,
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
    if model:
        extractor = find_extractor(recipe.features.backbone)
        _given(model, (Track(name=recipe.features.backbone, fps=extractor.fps, dim=extractor.dim),))
    with Ledger(work) as ledger:
        at = Workplace(work=work, ledger=ledger, name=name, workers=workers, max_skipped=recipe.max_skipped)
        with tell.stage("videos") as update:
            stages.scan_videos(at, videos, update)
        with tell.stage("captions") as update:
            stages.read_captions(at, recipe.captions, update)
        with tell.stage("clips") as update:
            stages.cut_clips(at, recipe.clips, update)
        with tell.stage("features") as update:
            stages.extract_tracks(at, recipe.features, update)
        with tell.stage("pairs") as update:
            stages.join_pairs(at, update)
        learned = learn(at, recipe, held_out_file=held_out_file, progress=tell)
        build_index(at, given=model, progress=tell)
        lost = stages.skipped(ledger, name)
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

    Returns:
        What the run's manifest counts: `learned`, `why`, `retrieval`, `training`, `held_out`.
    """
    folder, pairs = at.folder("runs"), Pairs(at.folder("pairs"))
    kept_out = _held_out(pairs, recipe, held_out_file)
    config = {
        "text": asdict(recipe.text),
        "dim": recipe.dim,
        "train": asdict(recipe.train),
        "held_out": digest(sorted(kept_out)),
        "start": start,
    }
    inputs = {"pairs": at.hash_of("pairs")}
    if _is_current(folder, config, inputs):
        counts: dict[str, Any] = read_manifest(folder)["counts"]
        return counts
    (folder / "manifest.json").unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write(folder / HELD_OUT, "".join(f"{i}\n" for i in sorted(kept_out)).encode())
    training = [i for i in pairs.videos if i not in kept_out]
    counts = {"learned": False, "why": "", "retrieval": None, "training": len(training), "held_out": len(kept_out)}
    if len(training) < recipe.train.min_videos:
        counts["why"] = f"{len(training)} videos are too few to learn from (at least {recipe.train.min_videos})."
        for left in ("model.safetensors", "metrics.jsonl"):
            (folder / left).unlink(missing_ok=True)
    else:
        with progress.stage("train") as update:
            model = train(
                pairs,
                _model_config(at, recipe),
                recipe.train,
                folder,
                videos=training,
                start=checkpoint.load(start) if start else None,
                on_epoch=lambda done, total, measured: update(done, total, note=_spoken(measured)),
            )
        counts |= {"learned": True, "retrieval": held_out.retrieval(model, pairs, kept_out)}
    write_manifest(folder, stage=f"runs/{at.name}", config=config, inputs=inputs, counts=counts)
    return counts


def _spoken(measured: Mapping[str, float]) -> str:
    return f"loss {measured['loss']:.4f}, {measured['pairs_per_second']:,.0f} pairs/s"


def _is_current(folder: Path, config: Mapping[str, Any], inputs: Mapping[str, str]) -> bool:
    if not (folder / "manifest.json").exists():
        return False
    manifest = read_manifest(folder)
    return bool(manifest["config"] == json.loads(json.dumps(config)) and manifest["inputs"] == inputs)


def _held_out(pairs: Pairs, recipe: Recipe, file: Path | None) -> set[str]:
    if file is None:
        return split(pairs.videos, recipe.train.held_out)
    named = _read_ids(file)
    kept_out = named & set(pairs.videos)
    if named and not kept_out:
        example = f"{min(named)!r}, here they look like {pairs.videos[0]!r}"
        raise InputError(f"--held-out {file}: none of its {len(named)} ids is a video here, e.g. {example}")
    return kept_out


def _read_ids(file: Path) -> set[str]:
    try:
        return {line.strip() for line in file.read_text(encoding="utf-8").splitlines()} - {""}
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"--held-out {file} cannot be read ({error}): give a text file, a video id per line"
        ) from None


def _tracks(at: Workplace) -> tuple[Track, ...]:
    return tuple(Track(**track) for track in read_manifest(at.folder("pairs"))["config"]["tracks"])


def _model_config(at: Workplace, recipe: Recipe) -> ModelConfig:
    return ModelConfig(tracks=_tracks(at), dim=recipe.dim, text=recipe.text)


def build_index(at: Workplace, *, given: str | None = None, progress: Progress) -> None:
    """`index/NAME/`: the clips with the vectors of the best picture, searched by what did best.

    Speech, the learned picture, the picture of a `given` model and both fused are compared on held-out
    videos (tellvision.search.choice); index and report say which was chosen and why.
    """
    folder, run_folder = at.folder("index"), at.folder("runs")
    ran = read_manifest(run_folder)
    models = {}
    if ran["counts"]["learned"]:
        models[choice.LEARNED] = checkpoint.load(run_folder)
    if given:
        models[choice.GIVEN] = _given(given, _tracks(at))
    inputs = {
        "videos": read_manifest(at.work / "videos")["hash"],
        "pairs": at.hash_of("pairs"),
        "captions": at.hash_of("captions"),
        "run": ran["hash"],
        "model": _weights_hash(models.get(choice.GIVEN)),
    }
    if (folder / "manifest.json").exists() and read_manifest(folder)["inputs"] == inputs:
        return
    with progress.stage("index") as update:
        update(0, 2)
        pairs = Pairs(at.folder("pairs"))
        kept_out = set((run_folder / HELD_OUT).read_text(encoding="utf-8").split("\n")) - {""}
        compared = _compare(at, pairs, kept_out, models)
        update(1, 2)
        chosen = compared["model"] or next(iter(models), None)
        where = {choice.LEARNED: f"../../runs/{at.name}", choice.GIVEN: given and _location(given)}
        table, rows = pairs.select(pairs.videos)
        videos = stages.videos_table(at.work)
        index.build(
            folder,
            clips=table,
            videos=videos,
            vectors=models[chosen].embed_clips(rows.astype(np.float32)) if chosen else None,
            search_by=compared["search_by"],
            why=" ".join(filter(None, [ran["counts"]["why"], compared["why"]])),
            model=where[chosen] if chosen else None,
            comparison={key: value for key, value in compared.items() if key not in ("search_by", "why")},
            inputs=inputs,
        )
        update(2, 2)


def _compare(
    at: Workplace, pairs: Pairs, kept_out: set[str], models: Mapping[str, TextVideoModel]
) -> dict[str, Any]:
    table, rows = pairs.select(kept_out)
    vectors = rows.astype(np.float32)
    pictures: dict[str, tuple[Callable[[list[str]], np.ndarray], np.ndarray]] = {
        name: (model.encode_text, model.embed_clips(vectors)) for name, model in models.items()
    }
    lines = read_table(at.folder("captions"))
    held = [i in kept_out for i in lines["video_id"].to_pylist()]
    return choice.compare(lines.filter(held), table, pictures)


def _given(path: str, tracks: tuple[Track, ...]) -> TextVideoModel:
    model = checkpoint.load(path)
    if model.features != tracks:
        wanted, there = (", ".join(f"{t.name} ({t.dim})" for t in one) for one in (model.features, tracks))
        raise InputError(f"--model {path} reads {wanted}, the features here are {there}: extract those first")
    return model


def _location(model: str) -> str:
    return str(Path(model).absolute()) if Path(model).exists() else model


def _weights_hash(model: TextVideoModel | None) -> str:
    if model is None:
        return ""
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


def plan(videos: Path, work: Path, recipe: Recipe, *, name: str = "main", workers: int = 2) -> dict[str, Any]:
    """What `run` would do: how many videos are new or changed, how long it takes, how much disk.

    Writes nothing. Seconds and bytes are estimates from the files' headers and from the speed of the
    backbone on a machine like the one in docs/log.md.
    """
    files = scan(videos)
    known: dict[str, str] = {}
    if (work / "ledger.sqlite").exists():
        with Ledger(work) as ledger:
            known = {i: row.fingerprint for i, row in ledger.rows(f"features/{name}").items()}
    narrated = [file for file in files if file.subtitles]
    fresh = [file for file in narrated if file.video_id not in known]
    sample = fresh[:: max(1, len(fresh) // PROBED)]
    durations = [describe(file).output["duration"][0].as_py() for file in sample]
    seconds = len(fresh) * float(np.mean(durations)) if durations else 0.0
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


def spoken_plan(planned: Mapping[str, Any]) -> str:
    """A plan for a reader."""
    parts = [
        f"{planned['videos']} videos, {planned['no_subtitles']} without subtitles",
        f"{planned['to_extract']} to extract, {planned['video_seconds'] / 3600:.1f} h",
        f"about {planned['seconds'] / 60:.0f} min and {planned['bytes'] / 1e6:.0f} MB, training not counted",
    ]
    return "; ".join(parts)
