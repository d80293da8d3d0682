"""What is said in one video beside the clips that were cut for it, to be looked at.

    videos + captions/NAME + clips/NAME -> Pairing -> a table in the terminal, JSON, or filmstrip.py

Only the rows of that video are read, so a work folder of a million videos answers at once. Paper
section 3.2 pairs every line with its own interval; section 4.2 grows it. What growing took in is
told apart from the line's own words.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tellvision.corpus.captions import words_of
from tellvision.records import Caption, Clip, InputError
from tellvision.report.markup import count, moment
from tellvision.store import MANIFEST, TABLE, Row, batches, peek, read_manifest

WAY = ("videos", "captions", "clips")  # of a video, up to its clips
NEAR = 3  # ids that are named in place of an unknown one
_LIKELY = 2000  # ids that are compared letter by letter


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A clip and what is said in it.

    Attributes:
        clip: the clip.
        line: the caption that the clip was cut for; None where it was cut for none (windows).
        before: what growing took in before the line's own words.
        own: the line's own words; the whole text where there is no line, or none of it can be told apart.
        after: what growing took in behind them.
    """

    clip: Clip
    line: Caption | None
    before: str
    own: str
    after: str

    @property
    def number(self) -> str:
        """What names the clip within its video."""
        return self.clip.clip_id.rpartition("#")[2]


@dataclass(frozen=True, kw_only=True)
class Pairing:
    """One video's lines and clips.

    Attributes:
        video_id: the video.
        title: of it.
        path: of its file; None where none is known.
        duration: seconds; None where it is not known.
        lines: everything that is said, sorted by start.
        pairs: the clips, sorted by start.
        dropped: lines without a clip of their own, each with the reason; with more than one where only
            their numbers are known.
        counted: stage -> reason -> how many were dropped on the way.
        left_out: why a stage could not use the video, in one line; empty where all could.
        notes: what was odd about it in a stage that could.
        cuts: seconds at which the picture changes to another shot, rising; empty unless the clips were cut
            within these shots.
    """

    video_id: str
    title: str
    path: Path | None
    duration: float | None
    lines: list[Caption]
    pairs: list[Pair]
    dropped: list[tuple[Caption, tuple[str, ...]]]
    counted: dict[str, dict[str, int]]
    left_out: str
    notes: list[str]
    cuts: list[float]

    @property
    def end(self) -> float:
        """Seconds: where the video ends, or the last that is known of it."""
        said = [line.end for line in self.lines] + [pair.clip.end for pair in self.pairs]
        return self.duration or max(said, default=0.0)

    @property
    def said(self) -> str:
        """How much there is, in one line."""
        lines, clips = (
            f"{count(number)} {noun}{'' if number == 1 else 's'}"
            for number, noun in ((len(self.lines), "line"), (len(self.pairs), "clip"))
        )
        return f"{lines}, {clips}" + (f" in {moment(self.duration)}" if self.duration else "")

    @property
    def sources(self) -> list[str]:
        """Where the words come from, each once."""
        return list(dict.fromkeys(line.source for line in self.lines))


def pairing(work: Path, name: str, video_id: str) -> Pairing:
    """The pairing of one video.

    Args:
        work: a work folder with finished clips.
        name: of the artefacts.
        video_id: the video's id.

    Raises:
        InputError: no such video (near ids are named); a stage is not finished, or older than what
            it is made from.
    """
    video_id = video_id.encode("utf-8", "replace").decode()  # no table holds what is no UTF-8
    captions, clips = work / "captions" / name, work / "clips" / name
    read_manifest(work / "videos")
    if not (clips / MANIFEST).exists():
        named = "" if name == "main" else f" --name {name}"
        raise InputError(f"{clips} is not finished: run `tellvision clips {work}{named}` first")
    cut = read_manifest(clips)
    if cut["inputs"].get("captions") != read_manifest(captions)["hash"]:
        raise InputError(f"captions changed since clips was made: run `tellvision clips {work}` first")
    found = list(_rows(work / "videos", "id", video_id))
    if not found:
        raise InputError(f"{work} holds no video {video_id!r}{_hint(work / 'videos', video_id)}")
    video = found[0]
    lines = [Caption(**_only(row, Caption)) for row in _rows(captions, "video_id", video_id)]
    lines.sort(key=lambda line: (line.start, line.number))
    rows = [Clip(**_only(row, Clip)) for row in _rows(clips, "video_id", video_id)]
    rows.sort(key=lambda clip: (clip.start, clip.end))
    by_line = cut["config"].get("by", "lines") == "lines"
    pairs = paired(rows, lines, by_line=by_line)
    stages = {stage: stage if stage == "videos" else f"{stage}/{name}" for stage in WAY}
    history = {stage: row for stage in WAY if (row := peek(work, stages[stage], video_id).get(video_id))}
    counted = {stage: dict(row.dropped) for stage, row in history.items() if row.dropped}
    duration = video.get("duration") or None
    return Pairing(
        video_id=video_id,
        title=video.get("title") or video_id,
        path=Path(video["path"]) if video.get("path") else None,
        duration=duration,
        lines=lines,
        pairs=pairs,
        dropped=_dropped(lines, pairs, counted.get("clips", {}), duration) if by_line else [],
        counted=counted,
        left_out=next((_said(row) for row in history.values() if row.status == "skipped"), ""),
        notes=[f"{stage}: {row.detail}" for stage, row in history.items() if row.status == "done" and row.detail],
        cuts=_cuts(work / "shots" / name, video_id, cut["inputs"].get("shots")),
    )


def as_json(pairing: Pairing) -> dict[str, Any]:
    """The pairing as JSON values: times in seconds, texts in full."""
    return {
        "video_id": pairing.video_id,
        "title": pairing.title,
        "path": None if pairing.path is None else str(pairing.path),
        "duration": pairing.duration,
        "left_out": pairing.left_out,
        "notes": pairing.notes,
        "lines": [_line(line) for line in pairing.lines],
        "clips": [
            {
                "clip_id": pair.clip.clip_id,
                "start": pair.clip.start,
                "end": pair.clip.end,
                "line": None if pair.line is None else pair.line.number,
                "before": pair.before,
                "own": pair.own,
                "after": pair.after,
            }
            for pair in pairing.pairs
        ],
        "dropped": [{"line": line.number, "reasons": list(reasons)} for line, reasons in pairing.dropped],
        "counted": pairing.counted,
        "cuts": pairing.cuts,
    }


def _line(line: Caption) -> dict[str, Any]:
    return {key: value for key, value in asdict(line).items() if key != "video_id"}


def _only(row: dict[str, Any], record: type) -> dict[str, Any]:
    """The columns that a record knows: a table may hold more."""
    return {field.name: row[field.name] for field in fields(record)}


def _rows(folder: Path, key: str, item: str) -> Iterator[dict[str, Any]]:
    """The rows of one item of a table, in its order; row groups that cannot hold it are not read."""
    with _open(folder) as file:
        column = file.schema_arrow.get_field_index(key)
        for group in range(file.num_row_groups):
            known = file.metadata.row_group(group).column(column).statistics
            if known is not None and known.has_min_max and not known.min <= item <= known.max:
                continue
            mask = pc.equal(file.read_row_group(group, columns=[key])[key], item)
            if pc.any(mask).as_py():  # only now the texts
                yield from file.read_row_group(group).filter(mask).to_pylist()


def _open(folder: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(folder / TABLE, pre_buffer=False)  # with it, what was read is kept to the end
    except FileNotFoundError:
        raise InputError(f"{folder} is not finished: run `tellvision run` on this work folder first") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{folder / TABLE} is damaged ({error}): delete {folder} and run again") from None


def _hint(folder: Path, video_id: str) -> str:
    """Names what is near: of the ids that share most thirds with it those that look most like it."""
    wanted = video_id.lower()
    third = max(1, -(-len(wanted) // 3))
    parts = [wanted[i : i + third] for i in range(0, len(wanted), third)]
    likely: dict[str, str] = {}
    most = 1
    with _open(folder) as file:
        for batch in file.iter_batches(columns=["id"]):
            ids, lower = batch["id"], pc.utf8_lower(batch["id"])
            shared = np.zeros(len(ids), np.int8)
            for part in parts:
                shared += pc.match_substring(lower, part).to_numpy(zero_copy_only=False)
            if shared.max(initial=0) > most:
                most, likely = int(shared.max()), {}
            if len(likely) < _LIKELY:
                found = ids.take(pa.array(np.flatnonzero(shared == most)[:_LIKELY])).to_pylist()
                likely.update((one.lower(), one) for one in found)
    near = get_close_matches(wanted, likely, NEAR, 0.5) or [one for one in likely if wanted in one][:NEAR]
    if not near:
        first = next(batches(folder, ["id"]), None)
        few = ", ".join(first["id"].slice(0, NEAR).to_pylist()) if first else ""
        return f": its ids are like {few}" if few else ""
    return f": did you mean {' or '.join(likely[one] for one in near)}?"


def paired(clips: Sequence[Clip], lines: Sequence[Caption], *, by_line: bool) -> list[Pair]:
    """Each clip with the line that its id names.

    Args:
        clips: of one video.
        lines: of the same, sorted by start.
        by_line: whether clips were cut for lines; if not, ids are no numbers of lines.
    """
    if not by_line:
        return [Pair(clip=clip, line=None, before="", own=clip.text, after="") for clip in clips]
    spoken = _Spoken(lines)
    return [spoken.pair(clip) for clip in clips]


class _Spoken:
    """The lines of a video as one text, in which a clip's text is found again."""

    def __init__(self, lines: Sequence[Caption]) -> None:
        self._lines = lines
        self._place = {str(line.number): place for place, line in enumerate(lines)}
        self._whole = " ".join(line.text for line in lines)
        self._begins = [0]
        for line in lines:
            self._begins.append(self._begins[-1] + len(line.text) + 1)
        self._ends = {end - 1 for end in self._begins[1:]}

    def pair(self, clip: Clip) -> Pair:
        """The clip with its line, its text cut where the line's own words begin and end."""
        place = self._place.get(clip.clip_id.rpartition("#")[2].partition(".")[0])  # 7.2: the second part of 7
        if place is None:
            return Pair(clip=clip, line=None, before="", own=clip.text, after="")
        line, text, begin = self._lines[place], clip.text, self._begins[place]
        end = begin + len(line.text)
        start = self._found(text, place)
        own = slice(max(begin - start, 0), max(end - start, 0)) if start >= 0 else slice(0, len(text))
        before, after = text[: own.start].rstrip(), text[own.stop :].lstrip()
        return Pair(clip=clip, line=line, before=before, own=text[own].strip(), after=after)

    def _found(self, text: str, place: int) -> int:
        """Where a clip's text begins; -1 where its words stand in another order than the lines."""
        begin = self._begins[place]
        end = self._begins[place + 1] - 1
        for first in range(place, -1, -1):  # the lines between are taken in too, so the nearest is right
            start = self._begins[first]
            if end - start > len(text):
                break
            if start + len(text) in self._ends and self._whole.startswith(text, start):
                return start
        part = self._whole.find(text, begin, end)
        if part >= 0 or not text:
            return part
        # A part of the line that grew: it begins before the line, or ends behind it.
        return self._whole.find(text, max(begin - len(text) + 1, 0), end + len(text) - 1)


def _dropped(
    lines: Sequence[Caption], pairs: Sequence[Pair], counted: Mapping[str, int], duration: float | None
) -> list[tuple[Caption, tuple[str, ...]]]:
    """The ledger has numbers by reason: a line gets those that can be its own."""
    kept = {pair.line.number for pair in pairs if pair.line is not None}
    found = []
    for line in lines:
        if line.number in kept:
            continue
        reasons = sorted(counted)
        if duration is not None and line.start >= duration and "after_end" in reasons:
            reasons = ["after_end"]
        elif len(reasons) > 1:
            has_words = bool(words_of(line.text))
            reasons = [r for r in reasons if r != "after_end" and not (r == "no_words" and has_words)] or reasons
        found.append((line, tuple(reasons)))
    return found


def _cuts(folder: Path, video_id: str, wanted: str | None) -> list[float]:
    """The cuts of a video in the table `shots`, where its manifest has the hash that the clips were made from."""
    if wanted is None or not (folder / MANIFEST).exists() or read_manifest(folder)["hash"] != wanted:
        return []
    return sorted(row["cut"] for row in _rows(folder, "video_id", video_id) if row["cut"] is not None)


def _said(row: Row) -> str:
    return f"{row.reason}: {row.detail}" if row.detail else row.reason
