"""`python -m benchmarks workouts --data FOLDER`: which way to learn finds most, on narrated workouts.

The films are made from photographs (workout_films.py) and go through the chain as anybody's would: scan, captions,
features once; clips and pairs for every way of cutting; then every recipe learns with several seeds and is
measured on the held-out films (tellvision.evaluation.segments): by the exercise's name, by single instructions,
and by the name among the three exercises of its own film. FOLDER is a checkout of the public free-exercise-db.

What is measured is added to WORK/results.jsonl at once; run again after a stop, it does what is left.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks import workout_films
from benchmarks.figures import Figure, Report, json_lines
from tellvision import recipes
from tellvision.corpus.clips import ClipConfig
from tellvision.embedding.config import StepsConfig, TextConfig
from tellvision.evaluation import segments
from tellvision.progress import Progress
from tellvision.recipes import Recipe
from tellvision.records import InputError
from tellvision.stages.captions import narrate
from tellvision.stages.clips import cut_clips
from tellvision.stages.tracks import extract_tracks, join_pairs
from tellvision.stages.training import learn
from tellvision.stages.videos import scan_videos
from tellvision.stages.workplace import Workplace
from tellvision.store import Ledger, digest
from tellvision.vision.extractors import FeatureConfig

BOTH = FeatureConfig(backbone=("efficientnet-lite0", "efficientnet-lite2"))
SENTENCE = TextConfig(tokens="sentence", pool="mean", max_words=64, drop_stop_words=False)
LAPTOP = replace(recipes.laptop(), features=BOTH)  # the paper's towers and loss at a laptop's size
MODERN = recipes.modern()


def _train(recipe: Recipe, **changes: Any) -> Recipe:
    return replace(recipe, train=replace(recipe.train, **changes))


RECIPES: dict[str, Recipe] = {
    "laptop": LAPTOP,
    "no-same-video": _train(LAPTOP, same_video=None),
    "infonce": _train(LAPTOP, loss="infonce"),
    "mil-nce": _train(LAPTOP, loss="mil_nce", bag=3),
    "sentences": replace(LAPTOP, text=SENTENCE),
    # The transformer is small, and learns from a quarter of each batch, so that it takes minutes; so does the unit
    # that it is to be compared with.
    "quarter": _train(LAPTOP, pairs_per_video=16),
    "quarter-steps": _train(
        replace(LAPTOP, clip_tower="steps", steps=StepsConfig(width=256, max_steps=8)), pairs_per_video=16
    ),
    "windows": replace(LAPTOP, clips=ClipConfig(by="windows", window=10.0, stride=4.0)),
    "modern": MODERN,
}
SLOW: dict[str, Recipe] = {"paper": replace(recipes.paper(), features=BOTH)}  # when it is asked for by its name

# What is told of each protocol: protocol, metric, and the name of its figure.
TOLD = (
    ("names", "R@10", "names.r10"),
    ("names", "MedR", "names.medr"),
    ("instructions", "R@10", "instructions.r10"),
    ("instructions", "MedR", "instructions.medr"),
    ("within", "R@1", "within.r1"),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the films, learn by every recipe, print the table and then the JSON lines."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks workouts", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--data", type=Path, required=True, help="a checkout of free-exercise-db")
    parser.add_argument(
        "--work",
        type=Path,
        default=Path(tempfile.gettempdir()) / "tellvision-workouts",
        help="where films, features and results are kept (default: %(default)s)",
    )
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each recipe (default: %(default)s)")
    parser.add_argument("--count", type=int, default=workout_films.ALL, help="films (default: %(default)s)")
    parser.add_argument("--recipes", nargs="+", metavar="NAME", help=f"some of: {', '.join(RECIPES | SLOW)}")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: all cores)")
    parser.add_argument("--json", action="store_true", help="print nothing but the JSON lines")
    options = parser.parse_args(arguments)
    for flag in ("seeds", "count"):
        if getattr(options, flag) < 1:
            parser.error(f"--{flag} is 1 or more")
    named = options.recipes or list(RECIPES)
    if unknown := [name for name in named if name not in RECIPES | SLOW]:
        parser.error(f"unknown recipe {unknown[0]!r}: use {', '.join(RECIPES | SLOW)}")
    chosen = {name: (RECIPES | SLOW)[name] for name in named}
    try:
        results = measure(
            options.data, options.work, chosen, seeds=options.seeds, count=options.count, workers=options.workers
        )
    except InputError as problem:
        parser.exit(1, f"python -m benchmarks workouts: {problem}\n")
    if not options.json:
        print(table(results), end="\n\n")
    print("\n".join(json_lines(Report(title="workouts", rates={}, figures=figures(results)))))


def measure(
    data: Path,
    work: Path,
    chosen: Mapping[str, Recipe],
    *,
    seeds: int = 3,
    count: int = workout_films.ALL,
    workers: int = 2,
    progress: Progress | None = None,
) -> dict[str, list[dict[str, Any]]]:
    """What every recipe finds, a result for each seed.

    Args:
        data: photographs and instructions, see `workout_films.read_exercises`.
        work: folder for films, features, runs and results; what lies there already is not made again.
        chosen: the recipes by name.
        seeds: trainings of each, with seeds from 0 on.
        count: films, about three in four of them to learn from.
        workers: processes that make films and features.
        progress: told how far it is; None: on stderr.

    Returns:
        Name -> results in the order of seeds: `seconds` of training, and each protocol of `segments`.

    Raises:
        InputError: too few exercises, or a stage cannot go on.
    """
    tell = progress or Progress()
    films, kept = work / "films", work / "results.jsonl"
    with tell.stage("films") as update:
        workout_films.make(data, films, count=count, workers=workers, progress=update)
    known = {one["key"]: one for one in map(json.loads, kept.read_text().splitlines())} if kept.exists() else {}
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in chosen}
    with Ledger(work / "run") as ledger:
        at = Workplace(work=work / "run", ledger=ledger, workers=workers)
        for prepared, names in _by_preparation(chosen):
            pairs = _prepare(at, films, prepared, tell)
            for name in names:
                for seed in range(seeds):
                    recipe = _train(chosen[name], seed=seed, watch=0, min_videos=1)
                    key = digest(asdict(recipe), pairs)
                    if key not in known:
                        tell.say(f"{name}, seed {seed}")
                        known[key] = {"key": key, "recipe": name, "seed": seed} | _learned(at, films, recipe, tell)
                        with kept.open("a", encoding="utf-8") as file:
                            file.write(json.dumps(known[key]) + "\n")
                    found[name].append(known[key])
    return found


def _by_preparation(chosen: Mapping[str, Recipe]) -> list[tuple[Recipe, list[str]]]:
    """The recipes whose clips and backbones are the same together: a recipe that stands for them, their names."""
    groups: dict[str, list[str]] = {}
    for name, recipe in chosen.items():
        prepared = (recipe.captions, recipe.speech, recipe.clips, recipe.features)
        groups.setdefault(digest([asdict(one) for one in prepared]), []).append(name)
    return [(chosen[names[0]], names) for names in groups.values()]


def _prepare(at: Workplace, films: Path, recipe: Recipe, tell: Progress) -> str:
    """Everything up to the pairs; returns the name of their values."""
    with tell.stage("videos") as update:
        scan_videos(at, films, update)
    narrate(at, recipe.captions, recipe.speech, tell.stage)
    with tell.stage("clips") as update:
        cut_clips(at, recipe.clips, update)
    with tell.stage("features") as update:
        extract_tracks(at, recipe.features, progress=update)
    with tell.stage("pairs") as update:
        join_pairs(at, recipe.features.backbone, update)
    return at.hash_of("pairs")


def _learned(at: Workplace, films: Path, recipe: Recipe, tell: Progress) -> dict[str, Any]:
    began = time.perf_counter()
    learn(at, recipe, held_out_file=films / "held_out.txt", progress=tell)
    seconds = round(time.perf_counter() - began, 1)
    results = segments.evaluate(at.work, films / "truth.jsonl", name=at.name)
    return {"seconds": seconds} | {one["protocol"]: one for one in results}


def figures(results: Mapping[str, Sequence[Mapping[str, Any]]]) -> tuple[Figure, ...]:
    """Per recipe and protocol the mean over seeds, with the lowest and the highest; chance is the baseline."""
    made = []
    for name, runs in results.items():
        for protocol, metric, called in TOLD:
            if protocol not in runs[0]:  # within: of films in which there is nothing to choose
                continue
            values = [run[protocol]["metrics"][metric] for run in runs]
            one = Figure(
                name=f"workouts.{name}.{called}",
                value=statistics.mean(values),
                low=min(values),
                high=max(values),
                unit="rank" if metric == "MedR" else "of the questions",
                baseline=f"chance: {runs[0][protocol]['chance'][metric]:.3g}",
            )
            made.append(one)
    return tuple(made)


def table(results: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """A row per recipe for a reader: means over seeds, the lowest and the highest in brackets."""
    first = next(iter(results.values()))[0]
    asked = [f"{first[one]['questions']} {one}" for one in dict.fromkeys(one for one, *_ in TOLD) if one in first]
    heads = [f"{protocol} {metric}" for protocol, metric, _ in TOLD]
    lines = [
        f"held-out workouts, {len(next(iter(results.values())))} seeds: {', '.join(asked)}; shares in percent",
        f"  {'':<16}" + "".join(f"{head:>21}" for head in heads) + f"{'seconds':>10}",
    ]
    for name, runs in results.items():
        cells = "".join(f"{_cell([_value(run, *told) for run in runs], told[1]):>21}" for told in TOLD)
        lines.append(f"  {name:<16}{cells}{statistics.mean(run['seconds'] for run in runs):>10.0f}")
    for title in ("shuffled", "chance"):
        cells = "".join(f"{_cell([_value(first, *told, of=title)], told[1]):>21}" for told in TOLD)
        lines.append(f"  {title:<16}{cells}")
    return "\n".join(lines)


def _value(run: Mapping[str, Any], protocol: str, metric: str, _: str, of: str = "metrics") -> float:
    return float(run[protocol][of][metric]) if protocol in run else float("nan")


def _cell(values: Sequence[float], metric: str) -> str:
    scale = 1 if metric == "MedR" else 100
    middle, low, high = (scale * value for value in (statistics.mean(values), min(values), max(values)))
    return f"{middle:.1f}" + (f" ({low:.1f}-{high:.1f})" if len(values) > 1 else "")


if __name__ == "__main__":
    main(sys.argv[1:])
