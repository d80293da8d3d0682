"""`captions/NAME/` and `speech/NAME/`: what is said in each video, from a file beside it or as it is heard.

    read_captions -> hear (what no file tells) -> read_captions (takes in what was heard)

The second reading works on the heard videos alone; with nothing to hear there is none.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from tellvision import store
from tellvision.corpus import language, subtitles
from tellvision.corpus.captions import CaptionConfig, captions_of
from tellvision.corpus.collect.folder import VideoFile, file_state
from tellvision.corpus.speech.config import SpeechConfig
from tellvision.corpus.speech.listening import listen
from tellvision.corpus.speech.models import weights_of
from tellvision.records import Cue, InputError, Skip, Word
from tellvision.runners import ProgressCallback, Result, no_progress
from tellvision.stages.advance import Stage, advance, require_share
from tellvision.stages.videos import files_of, known_of
from tellvision.stages.workplace import MANY, TOGETHER, Workplace, content_of
from tellvision.store import Lookup, Row, TableWriter, Wanted, by_item, digest, read_manifest

CAPTIONS = pa.schema(  # the fields of Caption, in their order
    [
        ("video_id", pa.string()),
        ("number", pa.int32()),
        ("start", pa.float64()),
        ("end", pa.float64()),
        ("text", pa.string()),
        ("source", pa.string()),
    ]
)
HEARD = pa.schema(
    [
        ("video_id", pa.string()),
        ("number", pa.int32()),
        ("start", pa.float64()),
        ("end", pa.float64()),
        ("text", pa.string()),
        ("words", pa.list_(pa.string())),
        ("word_starts", pa.list_(pa.float64())),
        ("language", pa.string()),
    ]
)
_FILES_GIVE_NOTHING = frozenset({"no_subtitles", "empty_subtitles", "unreadable_subtitles", "implausible_times"})
_AND_HEARD = "+"  # in a fingerprint, between that of the files and that of what was heard
_HEARD = "heard"  # detail of a video in the ledger whose captions were heard
Tell = Callable[[str], AbstractContextManager[ProgressCallback]]


@dataclass(frozen=True)
class _Narrated:
    """A video on its way to its captions: the files beside it, and what was heard in it."""

    video_id: str
    files: tuple[Path, ...]
    duration: float | None
    heard: bytes | None
    unheard: Skip | None
    config: CaptionConfig


def narrate(at: Workplace, config: CaptionConfig, speech: SpeechConfig, tell: Tell) -> dict[str, Any]:
    """`captions/NAME/` of every video: read where a file tells what is said, heard where `speech` says so.

    Args:
        at: where.
        config: how lines become captions.
        speech: how and when speech is recognised.
        tell: `Progress.stage`, asked for a line per step.
    """
    with tell("captions") as update:
        counts = read_captions(at, config, speech, update)
    if speech.speech != "never":
        with tell("speech") as update:
            hear(at, speech, update)
        if (at.folder("speech") / store.MANIFEST).exists():  # also where nothing is heard any more
            with tell("captions") as update:
                counts = read_captions(replace(at, retry=()), config, speech, update)  # they were tried again
    if counts["items"] and counts["skipped"].get("no_subtitles") == counts["items"]:
        raise InputError(
            f"no_subtitles: none of {counts['items']} videos has subtitles beside it: put ID.vtt, ID.en.vtt, "
            "ID.srt or ID.json3 next to ID.mp4, or have them heard with --speech missing"
        )
    require_share(f"captions/{at.name}", at.ledger, counts, at.max_skipped)
    return counts


def read_captions(
    at: Workplace,
    config: CaptionConfig,
    speech: SpeechConfig,
    progress: ProgressCallback = no_progress,
) -> dict[str, Any]:
    """`captions/NAME/`: the first subtitle file beside each video that can be used, else what was heard in it."""
    videos = read_manifest(at.work / "videos")
    listening = speech.speech != "never" and (at.folder("speech") / store.MANIFEST).exists()
    always = speech.speech == "always"
    stage = Stage(
        name=f"captions/{at.name}",
        config=asdict(config) | ({"speech": "always"} if always else {}),
        inputs={"videos": videos["hash"]} | ({"speech": at.hash_of("speech")} if listening else {}),
        commit_every=MANY,
    )
    durations = known_of(at.work, "duration")

    def wanted() -> Iterator[Wanted]:
        for file in files_of(videos["config"]):
            if file.video_id not in durations:
                continue
            files = [] if always else _states(file)
            plain = stage.fingerprint(files, durations[file.video_id])
            heard = at.ledger.row(f"speech/{at.name}", file.video_id) if listening else None
            if heard is not None and (always or _told_by_no_file(at.ledger.row(stage.name, file.video_id), plain)):
                said = digest(heard.output or f"{heard.reason}: {heard.detail}")
                yield Wanted(file.video_id, f"{plain}{_AND_HEARD}{said}", "heard" + file.to_json())
                continue
            yield Wanted(file.video_id, plain, file.to_json())

    def payloads(todo: Iterator[Wanted]) -> Iterator[tuple[str, _Narrated]]:
        heard: Lookup | None = None
        for one in todo:
            with_heard = one.input.startswith("heard")
            file = VideoFile.from_json(one.input.removeprefix("heard"))
            said, unheard = None, None
            if with_heard:
                if heard is None:
                    heard = Lookup((i, store.to_bytes(rows)) for i, rows in by_item(at.folder("speech")))
                said = heard.get(one.item)
                row = at.ledger.row(f"speech/{at.name}", one.item)
                unheard = Skip(row.reason, row.detail) if row and not row.rows else None
            files = () if always else file.subtitles
            yield one.item, _Narrated(one.item, files, durations[one.item] or None, said, unheard, config)

    return advance(
        stage,
        at.work,
        at.ledger,
        TableWriter(at.folder("captions"), CAPTIONS),
        wanted=wanted(),
        payloads=payloads,
        function=_captions_of_video,
        workers=at.workers,
        at_once=TOGETHER,
        retry=at.retry,
        progress=progress,
    )


def _told_by_no_file(row: Row | None, plain: str) -> bool:
    """Whether the files that lie there now were found to give nothing; `plain` is their fingerprint."""
    if row is None:
        return False
    if row.fingerprint.startswith(f"{plain}{_AND_HEARD}"):
        return True
    return row.fingerprint == plain and row.reason in _FILES_GIVE_NOTHING


def _states(file: VideoFile) -> list[tuple[str, int, int]]:
    return [(path.name, *file_state(path)) for path in file.subtitles]


def _captions_of_video(job: _Narrated) -> Result[pa.Table]:
    problem: Skip | None = None
    for path in job.files:
        try:
            cues, num_bad = subtitles.read_counted(path)
            if job.config.check_times:
                subtitles.check_times(cues, job.duration)
            language.check(cues, job.config.language)
            dropped = {"bad_times": num_bad} if num_bad else {}
            note = f"passed over {problem}" if problem else ""
            if (found := _result(job, cues, subtitles.source_of(path), dropped, note)) is not None:
                return found
            raise Skip("empty_subtitles", f"{path.name} says nothing")
        except Skip as skip:
            problem = problem or skip
    if job.heard is not None:
        cues = [
            Cue(row["start"], row["end"], row["text"], tuple(map(Word, row["word_starts"], row["words"])))
            for row in store.from_bytes(job.heard).to_pylist()
        ]
        language.check(cues, job.config.language)
        if (found := _result(job, cues, "heard", {}, _HEARD)) is not None:
            return found
        problem = Skip("no_speech", f"nothing but sounds is heard in {job.video_id}")
    if problem is None:
        missing = Skip("no_subtitles", f"no subtitle file beside {job.video_id}")
        raise Skip(job.unheard.reason, f"{missing.detail}; {job.unheard.detail}") if job.unheard else missing
    raise Skip(problem.reason, f"{problem.detail}; {job.unheard}" if job.unheard else problem.detail)


def _result(
    job: _Narrated, cues: list[Cue], source: str, dropped: dict[str, int], note: str
) -> Result[pa.Table] | None:
    captions = captions_of(job.video_id, cues, source, job.config)
    if not captions:
        return None
    table = store.to_table(captions, CAPTIONS)
    return Result(table, content_of(table), dropped=dropped, note=note)


def hear(at: Workplace, config: SpeechConfig, progress: ProgressCallback = no_progress) -> dict[str, Any]:
    """`speech/NAME/`: what is said in the videos whose files tell nothing, or in all, with the time of each word.

    Nothing is written where there is nothing to hear and never was.
    """
    name = f"speech/{at.name}"
    paths, contents = known_of(at.work, "path"), known_of(at.work, "content")

    def silent() -> Iterator[str]:
        """The videos to listen to."""
        if config.speech == "always":
            yield from paths
            return
        for row in at.ledger.each(f"captions/{at.name}"):
            lost = row.status == "skipped" and (
                row.reason in _FILES_GIVE_NOTHING or at.ledger.row(name, row.item) is not None
            )
            if (lost or row.detail == _HEARD) and paths.get(row.item):
                yield row.item

    if next(silent(), None) is None and not (at.folder("speech") / store.MANIFEST).exists():
        return {"items": 0}
    # What only decides how fast it goes does not make the words stale.
    words = {key: getattr(config, key) for key in ("model", "language", "beam")}
    stage = Stage(
        name=name,
        config=words | {"weights": weights_of(config.model)},
        inputs={"videos": at.hash_of("videos")},
    )
    return advance(
        stage,
        at.work,
        at.ledger,
        TableWriter(at.folder("speech"), HEARD),
        wanted=(Wanted(i, stage.fingerprint(contents[i]), str(paths[i])) for i in silent()),
        payloads=lambda todo: ((one.item, (one.item, Path(one.input), config)) for one in todo),
        function=_heard_in_video,
        workers=at.workers,
        retry=at.retry,
        progress=progress,
    )


def _heard_in_video(job: tuple[str, Path, SpeechConfig]) -> Result[pa.Table]:
    video_id, path, config = job
    found = listen(path, config)
    rows = [
        {
            "video_id": video_id,
            "number": number,
            "start": cue.start,
            "end": cue.end,
            "text": cue.text,
            "words": [word.text for word in cue.words],
            "word_starts": [word.start for word in cue.words],
            "language": found.language,
        }
        for number, cue in enumerate(found.cues)
    ]
    table = pa.Table.from_pylist(rows, schema=HEARD)
    return Result(table, content_of(table), note=found.note)
