"""What the report says, read from finished artefacts: counts and figures here, pictures in pictures.py.

    manifests + tables + runs/NAME/metrics.jsonl + index/NAME -> Facts

The constants are those of the paper's section 3, which the page sets beside what was found here.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tellvision.corpus.captions import without_stop_words
from tellvision.records import InputError
from tellvision.report.pictures import Question, Still, ask, few
from tellvision.search import Index, load_model
from tellvision.store import TABLE, read_manifest

STAGES = ("captions", "clips", "features", "pairs", "runs", "index")
EXAMPLES = 3  # videos named for each reason
SAMPLED = 20_000  # captions whose words are counted
BATCH = 1 << 17  # rows of a table in memory


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """The size of a narrated corpus; what is not known is None.

    Attributes:
        videos: with clips.
        hours: that they last.
        minutes_per_video: mean.
        captions: lines that are said.
        clips: pairs of a picture and what is said.
        clips_per_video: mean.
        seconds_per_clip: mean.
        words_per_caption: mean, stop words left out.
    """

    videos: int
    hours: float
    minutes_per_video: float | None
    captions: int
    clips: int
    clips_per_video: float | None
    seconds_per_clip: float | None
    words_per_caption: float | None


HOWTO100M = Corpus(
    videos=1_220_000,
    hours=134_472,
    minutes_per_video=6.5,
    captions=136_600_000,
    clips=136_600_000,
    clips_per_video=110,
    seconds_per_clip=4,
    words_per_caption=4,
)


@dataclass(frozen=True, kw_only=True)
class Loss:
    """Videos that are left out for one reason, and (id, detail) of a few of them."""

    reason: str
    videos: int
    examples: list[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Run:
    """How learning went.

    Attributes:
        learned: whether there is a model.
        why: why not.
        training: videos learned from.
        held_out: videos kept out to measure on.
        losses: mean loss of every epoch.
        retrieval: `text_to_video`, `chance`, `shuffled`, `videos`, `clips`; None: not measured.
    """

    learned: bool
    why: str
    training: int
    held_out: int
    losses: list[float]
    retrieval: Mapping[str, Any] | None


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything that the page shows.

    Attributes:
        folder: where the videos lie.
        found: video files that were found.
        corpus: what can be searched.
        sources: captions by where their words come from, the most first.
        lost: videos left out, the most frequent reason first.
        dropped: (stage, reason) -> captions or clips left out.
        run: how learning went.
        search_by: `speech`, `picture` or `fused`.
        why: the sentence that says why.
        comparison: `model`, `systems`, `questions`, `videos`, `clips`.
        has_model: whether there is a model to ask, learned or given.
        stills: a few clips.
        questions: asked of the pictures of held-out videos.
        configs: stage -> its full configuration.
    """

    folder: Path
    found: int
    corpus: Corpus
    sources: dict[str, int]
    lost: list[Loss]
    dropped: dict[tuple[str, str], int]
    run: Run
    search_by: str
    why: str
    comparison: Mapping[str, Any]
    has_model: bool
    stills: list[Still]
    questions: list[Question]
    configs: dict[str, Any]


def manifests_of(work: Path, name: str) -> dict[str, dict[str, Any]]:
    """Stage -> manifest of everything that the report is made from; InputError: one is not finished."""
    folders = {"videos": work / "videos"} | {stage: work / stage / name for stage in STAGES}
    return {stage: read_manifest(folder) for stage, folder in folders.items()}


def gather(
    work: Path, name: str, manifests: Mapping[str, Mapping[str, Any]], skipped: Mapping[str, tuple[str, str]]
) -> Facts:
    """Read what the report says; arguments as for `tellvision.report.write`."""
    from tellvision.embedding.train import read_held_out  # brings PyTorch, which a current report does without

    index = Index.open(work / "index" / name)
    run_folder = work / "runs" / name
    held_out = read_held_out(run_folder)
    model = load_model(index)
    counts = {stage: manifest["counts"] for stage, manifest in manifests.items()}
    return Facts(
        folder=Path(manifests["videos"]["config"]["folder"]),
        found=counts["videos"]["items"],
        corpus=_corpus(index, work / "captions" / name, work / "clips" / name),
        sources=_sources(work / "captions" / name),
        lost=_lost(skipped),
        dropped={
            (stage, reason): number
            for stage in ("captions", "clips", "pairs")
            for reason, number in sorted(counts[stage]["dropped"].items())
        },
        run=_run(run_folder, counts["runs"]),
        search_by=index.search_by,
        why=index.why,
        comparison=index.comparison,
        has_model=model is not None,
        stills=few(index),
        questions=ask(index, model, held_out) if model else [],
        configs={stage: manifest["config"] for stage, manifest in manifests.items() if stage != "index"},
    )


def _batches(folder: Path, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """A stage's table piece by piece: it may be larger than memory."""
    with pq.ParquetFile(folder / TABLE) as file:
        yield from file.iter_batches(batch_size=BATCH, columns=columns)


def _corpus(index: Index, captions: Path, clips: Path) -> Corpus:
    num_videos, num_clips = len(index.videos), index.clips.num_rows
    seconds = sum(video.duration or 0.0 for video in index.videos.values())
    lengths = [
        pc.sum(pc.subtract(batch["end"], batch["start"])).as_py() for batch in _batches(clips, ["start", "end"])
    ]
    num_cut = pq.read_metadata(clips / TABLE).num_rows
    num_captions = pq.read_metadata(captions / TABLE).num_rows
    return Corpus(
        videos=num_videos,
        hours=seconds / 3600,
        minutes_per_video=_ratio(seconds / 60, num_videos),
        captions=num_captions,
        clips=num_clips,
        clips_per_video=_ratio(num_clips, num_videos),
        seconds_per_clip=_ratio(sum(length or 0.0 for length in lengths), num_cut),
        words_per_caption=_words_per_caption(captions, num_captions),
    )


def _ratio(total: float, number: int) -> float | None:
    return total / number if number else None


def _words_per_caption(captions: Path, num_captions: int) -> float | None:
    """Mean number of words without stop words, over an even sample."""
    every = max(1, num_captions // SAMPLED)
    words = sampled = place = 0
    for batch in _batches(captions, ["text"]):
        taken = pa.array(np.arange(-place % every, len(batch), every))
        for text in batch["text"].take(taken).to_pylist():
            words += len(without_stop_words(text).split())
            sampled += 1
        place += len(batch)
    return _ratio(words, sampled)


def _sources(captions: Path) -> dict[str, int]:
    found: Counter[str] = Counter()
    for batch in _batches(captions, ["source"]):
        for one in pc.value_counts(batch["source"]).to_pylist():
            found[one["values"]] += one["counts"]
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def _lost(skipped: Mapping[str, tuple[str, str]]) -> list[Loss]:
    by_reason: dict[str, list[tuple[str, str]]] = {}
    for video in sorted(skipped):
        reason, detail = skipped[video]
        by_reason.setdefault(reason, []).append((video, detail))
    losses = [Loss(reason=r, videos=len(found), examples=found[:EXAMPLES]) for r, found in by_reason.items()]
    return sorted(losses, key=lambda loss: (-loss.videos, loss.reason))


def _run(folder: Path, counts: Mapping[str, Any]) -> Run:
    path = folder / "metrics.jsonl"
    losses = []
    if counts["learned"]:
        try:
            losses = [float(json.loads(line)["loss"]) for line in path.read_text(encoding="utf-8").splitlines()]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path} cannot be read ({error}): delete {folder} and run again") from None
    return Run(
        learned=counts["learned"],
        why=counts["why"],
        training=counts["training"],
        held_out=counts["held_out"],
        losses=losses,
        retrieval=counts["retrieval"],
    )
