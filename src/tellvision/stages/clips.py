"""`clips/NAME/`: each caption's clip."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from tellvision import store
from tellvision.corpus.clips import ClipConfig, clips_of
from tellvision.records import Caption, Skip
from tellvision.runners import ProgressCallback, Result, no_progress
from tellvision.stages.advance import Stage, advance, require_share
from tellvision.stages.videos import known_of
from tellvision.stages.workplace import MANY, TOGETHER, Workplace, content_of
from tellvision.store import Lookup, TableWriter, Wanted, by_item, ids_of

CLIPS = pa.schema(
    [
        ("clip_id", pa.string()),
        ("video_id", pa.string()),
        ("start", pa.float64()),
        ("end", pa.float64()),
        ("text", pa.string()),
        ("words", pa.int32()),
    ]
)


def cut_clips(at: Workplace, config: ClipConfig, progress: ProgressCallback = no_progress) -> dict[str, Any]:
    """`clips/NAME/`: each caption's clip; with `within_shots` from `shots/NAME/`, which has to be there."""
    at.require_current("captions")
    durations = known_of(at.work, "duration")
    cuts = None
    inputs = {"captions": at.hash_of("captions")}
    if config.within_shots:
        at.require_current("shots")
        inputs["shots"] = at.hash_of("shots")
        cuts = _cuts_of(at.folder("shots"))
    stage = Stage(
        name=f"clips/{at.name}",
        config=asdict(config),
        inputs=inputs,
        commit_every=MANY,
    )

    def wanted() -> Iterator[Wanted]:
        for item in ids_of(at.folder("captions")):
            said = at.ledger.row(f"captions/{at.name}", item)
            if said is not None:
                shown = [] if cuts is None else [cuts.get(item)]
                yield Wanted(item, stage.fingerprint(said.output, durations[item], *shown))

    def payloads(todo: Iterator[Wanted]) -> Iterator[tuple[str, "_Job"]]:
        for item, lines in in_step(todo, by_item(at.folder("captions"))):
            found = None if cuts is None else cuts.get(item)
            yield item, _Job(store.to_bytes(lines), durations[item] or None, json.loads(found) if found else None)

    counts = advance(
        stage,
        at.work,
        at.ledger,
        TableWriter(at.folder("clips"), CLIPS),
        wanted=wanted(),
        payloads=payloads,
        function=partial(_clips_of_video, config),
        workers=at.workers,
        at_once=TOGETHER,
        retry=at.retry,
        progress=progress,
    )
    require_share(stage.name, at.ledger, counts, at.max_skipped)
    return counts


def _cuts_of(folder: Path) -> Lookup:
    """The cuts in seconds of each video of `shots/NAME`, as JSON lists."""
    found = ((item, [cut for cut in rows["cut"].to_pylist() if cut is not None]) for item, rows in by_item(folder))
    return Lookup((item, json.dumps(cuts)) for item, cuts in found)


def in_step(todo: Iterator[Wanted], items: Iterator[tuple[str, pa.Table]]) -> Iterator[tuple[str, pa.Table]]:
    """Those of a table's items that are to be worked on; both come in the order of the table."""
    following = next(todo, None)
    for item, rows in items:
        if following is None:
            return
        if item == following.item:
            yield item, rows
            following = next(todo, None)


@dataclass(frozen=True)
class _Job:
    """A video on its way to its clips: its captions, its length and its cuts where they are known."""

    captions: bytes
    duration: float | None
    cuts: list[float] | None


def _clips_of_video(config: ClipConfig, job: _Job) -> Result[pa.Table]:
    if config.within_shots and job.cuts is None:
        raise Skip("no_shots", "its cuts are not known: its pictures cannot be read")
    captions = list(map(Caption, *(column.to_pylist() for column in store.from_bytes(job.captions).columns)))
    clips, dropped = clips_of(captions, job.duration, config, job.cuts)
    table = store.to_table(clips, CLIPS)
    if not clips:
        lost = Skip("no_clips", ", ".join(f"{n} {reason}" for reason, n in dropped.items()))
        return Result(table, "", dropped=dropped, skip=lost)
    return Result(table, content_of(table), dropped=dropped)
