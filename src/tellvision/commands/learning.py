"""What is seen, the joint space, and how good it is."""

from pathlib import Path
from typing import Annotated, Literal

import tyro

from tellvision.commands.flags import LAPTOP, WORKERS, Extracted, Retry, Settings, Where, Work, at_work, say
from tellvision.progress import Progress
from tellvision.vision.extractors import FeatureConfig

Benchmark = Annotated[Literal["segments"], tyro.conf.Positional]
FeatureSettings = Annotated[FeatureConfig, tyro.conf.arg(name="")]


def features(
    work: Work,
    *,
    name: str = "main",
    workers: int | None = None,
    max_skipped: float = 0.9,
    retry: Retry = (),
    json: bool = False,
    where: Extracted = Where(),  # noqa: B008
    settings: FeatureSettings = FeatureConfig(),  # noqa: B008
) -> None:
    """Turn the pictures of WORK's videos into tracks of vectors, one track for each backbone.

    A video is decoded once for all the backbones that lack it. Tracks of other backbones stay. Run it
    again after a stop: it goes on where it was.

    Args:
        work: work folder with clips.
        name: of the artefact.
        workers: processes (default: one for each processor); on Ray, actors.
        max_skipped: share of the videos that may be skipped.
        retry: reasons of skips that are tried again; all for every one.
        json: print {backbone: {"done", "rows", "skipped": {reason: n}, ...}}.
        where: where they are extracted.
        settings: how pictures become vectors.
    """
    from tellvision.stages.tracks import extract_tracks, spoken_tracks

    processes = WORKERS if workers is None or where.ray else workers
    opened = at_work(work, name, workers=processes, max_skipped=max_skipped, retry=retry)
    with opened as at, Progress().stage("features") as update:
        made = extract_tracks(
            at,
            settings,
            device=where.device,
            runtime=where.runtime,
            time_limit=where.time_limit,
            cluster=where.cluster(workers),
            progress=update,
        )
    say(made, json, spoken_tracks(made))


def pairs(
    work: Work,
    *,
    backbone: tuple[str, ...] = (),
    name: str = "main",
    max_skipped: float = 0.9,
    json: bool = False,
) -> None:
    """Pool the tracks of WORK over its clips, and join them.

    Args:
        work: work folder with clips and features.
        backbone: the tracks that are joined, in this order; all that are there, by name, unless given.
        name: of the artefact.
        max_skipped: share of the videos that may be skipped.
        json: print {"done", "rows", "skipped": {reason: n}, "dropped": {reason: n}, ...}.
    """
    from tellvision.stages.tracks import join_pairs, spoken_pairs

    with at_work(work, name, max_skipped=max_skipped) as at:
        with Progress().stage("pairs") as update:
            counts = join_pairs(at, backbone, update)
        say(counts, json, spoken_pairs(at, counts))


def train(
    work: Work,
    *,
    start: Annotated[str | None, tyro.conf.arg(name="from")] = None,
    freeze: Literal["none", "text", "clip"] = "none",
    words: Path | None = None,
    also: tyro.conf.UseAppendAction[tuple[str, ...]] = (),
    held_out: Path | None = None,
    name: str = "main",
    device: str = "auto",
    wandb: str | None = None,
    json: bool = False,
    settings: Settings = LAPTOP,
) -> None:
    """Learn the joint space from the pairs of WORK, and measure it on held-out videos.

    Run it again after a stop: it goes on at the next batch. On several GPUs or machines:
    torchrun --nproc-per-node 8 -m tellvision train WORK.

    Args:
        work: work folder with pairs.
        start: a checkpoint to go on from (fine-tuning): a folder, or owner/name on the hub.
        freeze: with --from, the tower that stays as it is.
        words: with --text.tokens words, the table of word vectors: word2vec .bin, or GloVe text.
        also: a further work folder to train on, as WORK or WORK:WEIGHT (this one weighs 1).
        held_out: text file with a video id per line, kept out of training.
        name: of the artefact.
        device: cpu, cuda, cuda:1 ...; auto: a GPU if there is one.
        wandb: project of Weights & Biases that is told what metrics.jsonl and tensorboard/ are told.
        json: print what was measured as JSON.
        settings: --recipe, and single settings of it.
    """
    from tellvision.embedding.together import Together
    from tellvision.stages.training import Beginning, learn, spoken_retrieval

    beginning = Beginning(start=start, freeze=freeze, words=words, also=also)
    with Together(device=device) as together, at_work(work, name, writes=together.first) as at:
        counts = learn(
            at,
            settings,
            held_out_file=held_out,
            beginning=beginning,
            wandb=wandb,
            together=together,
            progress=Progress(quiet=not together.first),
        )
        if together.first:
            say(counts, json, spoken_retrieval(counts["retrieval"]) or counts["why"])


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
    say({"results": results}, json, segments.table(results))
