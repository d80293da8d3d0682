"""`captions/NAME/` and `speech/NAME/`: what is said in each video, from a file beside it or as it is heard.

    read_captions -> hear (what no file tells) -> read_captions (takes in what was heard)

The second reading works on the heard videos alone; with nothing to hear there is none.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
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
from tellvision.corpus.speech.models import on_cuda, weights_of
from tellvision.records import Cue, InputError, Skip, Word
from tellvision.runners import ProgressCallback, Result, no_progress
from tellvision.stages.advance import Stage, advance, require_share
from tellvision.stages.videos import files_of, known_of, paths_of
from tellvision.stages.workplace import MANY, TOGETHER, Workplace, content_of
from tellvision.store import Lookup, Row, TableWriter, Wanted, by_item, digest

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
    if speech.when == "always":
        paths_of(at.work, "sound")  # without any, what the files told would be lost for nothing
    with tell("captions") as update:
        counts = read_captions(at, config, speech, update)
    if speech.when != "never":
        with tell("speech") as update:
            hear(at, speech, update, language_kept=config.language)
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
    files = files_of(at.work)
    listening = speech.when != "never" and (at.folder("speech") / store.MANIFEST).exists()
    always = speech.when == "always"
    stage = Stage(
        name=f"captions/{at.name}",
        config=asdict(config) | ({"speech": "always"} if always else {}),
        inputs={"videos": at.hash_of("videos")} | ({"speech": at.hash_of("speech")} if listening else {}),
        commit_every=MANY,
    )
    durations = known_of(at.work, "duration")

    def wanted() -> Iterator[Wanted]:
        for file in files:
            if file.video_id not in durations:
                continue
            fingerprint = stage.fingerprint([] if always else _states(file), durations[file.video_id])
            heard = at.ledger.row(f"speech/{at.name}", file.video_id) if listening else None
            if heard is not None and (
                always or _told_by_no_file(at.ledger.row(stage.name, file.video_id), fingerprint)
            ):
                fingerprint += _AND_HEARD + digest(heard.output or f"{heard.reason}: {heard.detail}")
            yield Wanted(file.video_id, fingerprint, file.to_json())

    def payloads(todo: Iterator[Wanted]) -> Iterator[tuple[str, _Narrated]]:
        heard: Lookup | None = None
        for one in todo:
            file = VideoFile.from_json(one.input)
            said, unheard = None, None
            if _AND_HEARD in one.fingerprint:
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


def _told_by_no_file(row: Row | None, files: str | None = None) -> bool:
    """Whether a video's files were found to give nothing: it was skipped for that, or what was heard was taken in.

    Args:
        row: of the video in the ledger; None where nobody looked.
        files: fingerprint of the files that lie there now; None: whatever lay there.
    """
    if row is None or (files is not None and row.fingerprint.partition(_AND_HEARD)[0] != files):
        return False
    return _AND_HEARD in row.fingerprint or row.reason in _FILES_GIVE_NOTHING


def _states(file: VideoFile) -> list[tuple[str, int, int]]:
    return [(path.name, *file_state(path)) for path in file.subtitles]


def _captions_of_video(job: _Narrated) -> Result[pa.Table]:
    problem: Skip | None = None
    dropped: Counter[str] = Counter()  # by files of which nothing is left
    for path in job.files:
        try:
            cues, num_bad = subtitles.read_counted(path)
            if job.config.check_times:
                subtitles.check_times(cues, job.duration)
            found = said_in(job.video_id, cues, subtitles.source_of(path), job.config, {"bad_times": num_bad})
            if found.skip is None:
                return replace(found, note=f"passed over {problem}" if problem else "")
            dropped.update(found.dropped)
            raise Skip(found.skip.reason, f"{path.name} says nothing")
        except Skip as skip:
            problem = problem or skip
    if job.heard is not None:
        cues = [
            Cue(row["start"], row["end"], row["text"], tuple(map(Word, row["word_starts"], row["words"])))
            for row in store.from_bytes(job.heard).to_pylist()
        ]
        found = said_in(job.video_id, cues, "heard", job.config)
        if found.skip is None:
            return found
        dropped.update(found.dropped)
        problem = Skip("no_speech", f"nothing but sounds is heard in {job.video_id}")
    if problem is None:
        missing = Skip("no_subtitles", f"no subtitle file beside {job.video_id}")
        raise Skip(job.unheard.reason, f"{missing.detail}; {job.unheard.detail}") if job.unheard else missing
    told = Skip(problem.reason, f"{problem.detail}; {job.unheard}" if job.unheard else problem.detail)
    return Result(CAPTIONS.empty_table(), "", dropped=dict(dropped), skip=told)


def said_in(
    video_id: str, cues: list[Cue], source: str, config: CaptionConfig, dropped: Mapping[str, int] | None = None
) -> Result[pa.Table]:
    """The captions of one video; with the skip `empty_subtitles` where no word is left.

    Args:
        video_id: the video's id.
        cues: what a file says, or what was heard; their times are for the caller to check.
        source: see `captions_of`.
        config: how lines become captions.
        dropped: cues that whoever read them left out, by reason.

    Raises:
        Skip: `other_language`, `unreadable_subtitles`.
    """
    language.check(cues, config.language)
    lost = Counter(dropped)
    table = store.to_table(captions_of(video_id, cues, source, config, lost), CAPTIONS)
    if not table.num_rows:
        return Result(
            table, "", dropped=dict(+lost), skip=Skip("empty_subtitles", f"nothing is said in {video_id}")
        )
    return Result(table, content_of(table), dropped=dict(+lost))


def hear(
    at: Workplace,
    config: SpeechConfig,
    progress: ProgressCallback = no_progress,
    *,
    language_kept: str = language.ANY,
) -> dict[str, Any]:
    """`speech/NAME/`: what is said in the videos whose files tell nothing, or in all, with the time of each word.

    Nothing is written where there is nothing to hear and never was.

    Args:
        at: where.
        config: how and when speech is recognised.
        progress: see `advance`.
        language_kept: the only language that becomes captions later; `any`: all do.

    Raises:
        InputError: there is something to hear, and the model cannot be had or does not know that language.
    """
    name = f"speech/{at.name}"
    paths, contents = known_of(at.work, "path"), known_of(at.work, "content")

    def silent() -> Iterator[str]:
        """The videos to listen to."""
        if config.when == "always":
            yield from filter(paths.get, paths)
            return
        for row in at.ledger.each(f"captions/{at.name}"):
            if _told_by_no_file(row) and paths.get(row.item):
                yield row.item

    if next(silent(), None) is None:
        if not (at.folder("speech") / store.MANIFEST).exists():
            return {"items": 0}
    elif language_kept not in ("en", language.ANY) and config.model.endswith(".en"):
        raise InputError(
            f"videos without subtitles are to be heard in {language_kept!r}, and the model {config.model} knows "
            "English alone: pass --speech.model small, or --speech never to leave them out"
        )
    # What only decides how fast it goes does not make the words stale.
    words = {key: getattr(config, key) for key in ("model", "language", "beam")}
    stage = Stage(
        name=name,
        config=words | {"weights": _weights_of(config.model)},
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
        workers=min(at.workers, 1) if on_cuda(config.device) else at.workers,  # each would fill the same GPU
        retry=at.retry,
        progress=progress,
    )


def _weights_of(model: str) -> str:
    try:
        return weights_of(model)
    except InputError as error:
        raise InputError(
            f"{error}; or pass --speech.model NAME (one of the hub, such as small, is fetched), or --speech never "
            "to leave out what has no subtitles"
        ) from None


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
