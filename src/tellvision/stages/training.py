"""`runs/NAME/`: the joint space, learned from the pairs of all videos but the held-out ones, measured on those.

Reads pairs (and, where clips change while training or their steps count, the tracks they were joined from);
writes a run (embedding/train.py). What training needs from other rooms is handed over here: the ids to keep
out, a model to begin with, further work folders, how recall is told.
"""

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from tellvision import metrics
from tellvision.embedding import checkpoint
from tellvision.embedding.adapting import adapted, freeze
from tellvision.embedding.batches import DataSet, Pooled, Spans, prepared
from tellvision.embedding.config import ModelConfig, TextConfig, spoken
from tellvision.embedding.frozen import FrozenPair
from tellvision.embedding.held_out import split, write_held_out
from tellvision.embedding.loop.journal import METRICS
from tellvision.embedding.model import TextVideoModel
from tellvision.embedding.seen import Seen
from tellvision.embedding.sentences import SentenceEncoder
from tellvision.embedding.together import Together
from tellvision.embedding.train import end, train
from tellvision.embedding.words import WordVectors, read_words
from tellvision.evaluation import held_out
from tellvision.progress import Progress
from tellvision.recipes import Recipe
from tellvision.records import InputError
from tellvision.stages.workplace import Workplace
from tellvision.store import MANIFEST, digest, is_current, read_manifest, write_manifest

SETTLED = 50_000  # clips on which is measured what all share
WORD_DIM = 384  # of MiniLM's table; of a learned one
WATCHED = 2000  # clips that decide when to stop, where none are told
TOLD = ("R@1", "R@5", "R@10", "MedR")


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """What training begins with, and on."""

    start: str | None = None
    """A checkpoint to go on from (fine-tuning): a folder, or the id of a model on the hub."""
    freeze: Literal["none", "text", "clip"] = "none"
    """The tower that stays as it is."""
    words: Path | None = None
    """A table of word vectors, word2vec .bin or GloVe text, for whole words (--text.tokens words)."""
    also: tuple[str, ...] = ()
    """Further work folders to train on, WORK or WORK:WEIGHT; this one weighs 1."""


def learn(
    at: Workplace,
    recipe: Recipe,
    *,
    held_out_file: Path | None = None,
    beginning: Beginning = Beginning(),
    wandb: str | None = None,
    together: Together | None = None,
    progress: Progress,
) -> dict[str, Any]:
    """Train on the pairs of all videos but the held-out ones, and measure on those.

    Where there are too few videos to learn from, the run holds no model and says why.

    Args:
        at: where the pairs lie.
        recipe: how it learns.
        held_out_file: a video id per line, in place of the recipe's share.
        beginning: with what.
        wandb: project of Weights & Biases that is told as well.
        together: the processes that train together, all of which call this; None: this one alone.
        progress: told how far it is.

    Returns:
        What the run's manifest counts: `learned`, `why`, `retrieval`, `training`, `held_out`.
    """
    together = together or Together()
    at.require_current("pairs")
    folder, seen = at.folder("runs"), Seen(at.work, at.name)
    kept_out = held_out_ids(seen, recipe, held_out_file, progress)
    if beginning.words and recipe.text.tokens != "words" and not beginning.start:
        raise InputError(f"--words {beginning.words} goes with --text.tokens words, not with {recipe.text.tokens}")
    if recipe.text.tokens == "words" and not (beginning.words or beginning.start):
        raise InputError("--text.tokens words needs --words FILE: word2vec's .bin, or GloVe's text")
    words = read_words(beginning.words) if beginning.words else None
    given = _given(beginning)
    others = [_Other.named(text, at.name) for text in beginning.also]
    config = {
        "text": asdict(recipe.text),
        "dim": recipe.dim,
        "dropout": recipe.dropout,
        "centre": recipe.centre,
        "clip_tower": recipe.clip_tower,
        "steps": asdict(recipe.steps) if recipe.clip_tower == "steps" else None,
        "train": asdict(recipe.train),
        "held_out": digest(sorted(kept_out)),
        "start": checkpoint.digest_of(given) if given else "",
        "freeze": beginning.freeze,
        "words": str(beginning.words or ""),
        "also": {other.text: other.seen.pairs.content for other in others},
    }
    inputs = {"pairs": at.hash_of("pairs")}
    done = is_current(folder, config, inputs)
    together.barrier()  # nobody may change the folder before everybody has looked at it
    if done:
        counts: dict[str, Any] = read_manifest(folder)["counts"]
        if not counts["learned"] or (folder / checkpoint.WEIGHTS).exists():
            if together.first:
                end(folder)  # a kill may have come just before it
            return counts
    if together.first:
        (folder / MANIFEST).unlink(missing_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        write_held_out(folder, kept_out)
    training = [i for i in seen.pairs.videos if i not in kept_out]
    counts = {"learned": False, "why": "", "retrieval": None, "training": len(training), "held_out": len(kept_out)}
    if len(training) < recipe.train.min_videos:
        counts["why"] = f"Too few videos to learn from: {len(training)} (at least {recipe.train.min_videos})."
        for left in (checkpoint.WEIGHTS, METRICS):
            (folder / left).unlink(missing_ok=True)
    else:
        model = _trained(at, recipe, seen, kept_out, given, words, others, beginning, together, wandb, progress)
        if together.first:
            counts |= {"learned": True, "retrieval": held_out.retrieval(model, seen, kept_out)}
            about = checkpoint.read_config(folder)["extra"] | {"retrieval": counts["retrieval"]}
            checkpoint.save(model, folder, about)
    if together.first:
        write_manifest(folder, stage=f"runs/{at.name}", config=config, inputs=inputs, counts=counts)
        end(folder)
    together.barrier()
    return counts


def _trained(
    at: Workplace,
    recipe: Recipe,
    seen: Seen,
    kept_out: Collection[str],
    given: TextVideoModel | None,
    words: WordVectors | None,
    others: Sequence["_Other"],
    beginning: Beginning,
    together: Together,
    wandb: str | None,
    progress: Progress,
) -> TextVideoModel:
    watched = kept_out = set(kept_out)
    training = [video for video in seen.pairs.videos if video not in watched]
    if recipe.train.patience:
        watched = split(training, recipe.train.validation)
        training = [video for video in training if video not in watched]
    left_out = kept_out | watched
    if given is not None:
        model, warnings = adapted(given, seen.tracks, words=words, seed=recipe.train.seed)
        for warning in warnings:
            progress.say(warning)
    else:
        shape = ModelConfig(
            tracks=seen.tracks,
            dim=recipe.dim,
            word_dim=_word_dim(recipe.text, words),
            text=recipe.text,
            steps=recipe.steps if recipe.clip_tower == "steps" else None,
            dropout=recipe.dropout,
            centre=recipe.centre,
        )
        said = [
            _said(one, those) for one, those in ((seen, training), *((o.seen, o.videos(left_out)) for o in others))
        ]
        model = TextVideoModel.new(shape, seed=recipe.train.seed, words=words, texts=itertools.chain(*said))
    freeze(model, beginning.freeze)
    sets = [_data(seen, training, model, recipe, at.work, together, progress)]
    _settle(model, sets[0], training)
    for other in others:
        if other.seen.tracks != seen.tracks:
            raise InputError(
                f"--also {other.text}: its rows are joined from {spoken(other.seen.tracks)}, those of {at.work} "
                f"from {spoken(seen.tracks)}: make them with the same --backbone"
            )
        sets.append(
            _data(other.seen, other.videos(left_out), model, recipe, other.work, together, progress, other)
        )

    def measure(model: TextVideoModel) -> dict[str, float]:
        found = held_out.retrieval(model, seen, watched, most=recipe.train.watch or WATCHED, inputs=sets[0].texts)
        return {key: found["text_to_video"][key] for key in TOLD} if found else {}

    with progress.stage("train") as update:
        return train(
            sets,
            model,
            recipe.train,
            at.folder("runs"),
            measure=measure if recipe.train.watch or recipe.train.patience else None,
            together=together,
            wandb=wandb,
            tell=lambda done, total, told: update(done, total, note=_spoken(told)),
            about={"recipe": recipe.recipe, "num_clips": sum(map(_num_clips, sets))},
        )


def _data(
    seen: Seen,
    videos: Collection[str],
    model: TextVideoModel,
    recipe: Recipe,
    work: Path,
    together: Together,
    progress: Progress,
    other: "_Other | None" = None,
) -> DataSet:
    """The clips of a work folder to draw from; what is said in them is made ready beside it, once."""
    steps, jitter = model.config.steps, recipe.train.jitter
    source = Spans(seen.pairs, seen.readers, steps=steps, jitter=jitter) if steps or jitter else Pooled(seen.pairs)
    key = digest(seen.pairs.content, model.reading)
    path = work / "texts" / f"{key}.bin"

    def ready() -> tuple[np.ndarray, np.ndarray]:
        with progress.stage("texts") as update:
            return prepared(
                seen.pairs, model.prepare, model.input_width, model.input_dtype, path, key, progress=update
            )

    if together.first:
        texts, usable = ready()
    together.barrier()
    if not together.first:
        texts, usable = ready()
    named: dict[str, Any] = {"weight": other.weight, "name": other.text} if other else {}
    return DataSet(source=source, texts=texts, usable=usable, videos=videos, **named)


def _settle(model: TextVideoModel, data: DataSet, training: Sequence[str]) -> None:
    """Measure what is common to all clips and captions, where the model wants it and does not know it yet."""
    pairs, wanted = data.source.pairs, set(training)
    places = [place for place, video in enumerate(pairs.videos) if video in wanted]
    places = places[:: 1 + int(np.diff(pairs.offsets)[places].sum()) // SETTLED]
    if model.clip_centre is not None and not model.clip_centre.is_settled:
        model.clip_centre.settle(torch.from_numpy(np.concatenate(pairs.rows_at(places))))
    if model.text_centre is not None and not model.text_centre.is_settled:
        clips = np.concatenate([np.arange(*pairs.offsets[place : place + 2]) for place in places])
        model.text_centre.settle(torch.from_numpy(data.texts[clips[data.usable[clips]]]))


@dataclass(frozen=True)
class _Other:
    """A further work folder, as it was named."""

    text: str
    seen: Seen
    work: Path
    weight: float

    def videos(self, kept_out: Collection[str]) -> list[str]:
        """Those to train on: a video that is held out here may lie there too."""
        return [video for video in self.seen.pairs.videos if video not in kept_out]

    @classmethod
    def named(cls, text: str, name: str) -> "_Other":
        work, colon, weight = text.rpartition(":")
        if Path(text).is_dir() or not colon:
            return cls(text, Seen(Path(text), name), Path(text), 1.0)
        try:
            return cls(text, Seen(Path(work), name), Path(work), float(weight))
        except ValueError:
            raise InputError(f"--also {text}: a work folder, or one with its weight, such as WORK:0.5") from None


def _word_dim(text: TextConfig, words: WordVectors | None) -> int:
    """Width of the vectors that the text tower reads."""
    if text.tokens == "sentence":
        return SentenceEncoder.open(text.encoder, text).dim
    return words.dim if words else WORD_DIM


def _said(seen: Seen, videos: Collection[str]) -> Iterator[str]:
    """The captions of some videos, piece by piece."""
    wanted = np.zeros(len(seen.pairs), bool)
    wanted[seen.numbers(videos)] = True
    return itertools.compress(itertools.chain.from_iterable(seen.pairs.texts(8192)), wanted)


def _num_clips(data: DataSet) -> int:
    """Clips that are drawn from a data set."""
    pairs, wanted = data.source.pairs, set(data.videos)
    drawn = [
        int(data.usable[slice(*pairs.offsets[i : i + 2])].sum()) for i, v in enumerate(pairs.videos) if v in wanted
    ]
    return sum(drawn)


def held_out_ids(seen: Seen, recipe: Recipe, file: Path | None, progress: Progress) -> set[str]:
    """The videos to keep out of training: those of a file, or the recipe's share."""
    videos = seen.pairs.videos
    if file is None:
        return split(videos, recipe.train.held_out)
    there = set(videos)
    named = {line if line in there else line.strip() for line in read_ids(file)}
    unknown = named - there
    if unknown:
        example = f"{min(unknown)!r}" + (f", here they look like {videos[0]!r}" if videos else "")
        told = (
            f"--held-out {file}: {len(unknown)} of {len(named)} ids are no video with clips here, e.g. {example}"
        )
        if unknown == named:
            raise InputError(told)
        progress.say(told)
    return named - unknown


def read_ids(file: Path) -> set[str]:
    """The lines of a file of video ids; InputError where it is none."""
    try:
        return {line.removesuffix("\r") for line in file.read_text(encoding="utf-8").split("\n")} - {""}
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"--held-out {file} cannot be read ({error}): give a text file, a video id per line"
        ) from None


def _given(beginning: Beginning) -> TextVideoModel | None:
    if beginning.start is None:
        if beginning.freeze != "none":
            raise InputError(
                f"--freeze {beginning.freeze} keeps what was learned before: it goes with --from MODEL"
            )
        return None
    model = checkpoint.load(beginning.start)  # `adapted` brings it its words
    if isinstance(model, FrozenPair):
        raise InputError(
            f"--from {beginning.start} is a frozen pair, which does not learn: train on its features "
            "without --from"
        )
    return model


def _spoken(told: Mapping[str, float]) -> str:
    recall = f", R@10 {100 * told['R@10']:.1f}%" if "R@10" in told else ""
    return f"loss {told['loss']:.4f}{recall}, {told['pairs_per_second']:,.0f} pairs/s"


def spoken_retrieval(retrieval: Mapping[str, Any] | None) -> str:
    """Retrieval on held-out videos as a small table; empty where nothing was measured."""
    if retrieval is None:
        return ""
    title = f"retrieval on {retrieval['videos']} held-out videos, {retrieval['clips']} clips"
    rows = {"learned": "text_to_video", "shuffled": "shuffled", "chance": "chance"}
    return metrics.as_text(title, {name: retrieval[key] for name, key in rows.items()})
