"""A folder of videos -> the videos table: what is there, and what of it can be read.

A video's id is its path below the folder without the ending, `/` between folders; where only the
ending differs, those files keep it. A video that cannot be read stays in the table, with its reason.
"""

import hashlib
import json
import os
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from tellvision.corpus import subtitles
from tellvision.media import ENDINGS, probe
from tellvision.records import InputError, Skip
from tellvision.runners import Result
from tellvision.store import digest

VIDEOS = pa.schema(
    [
        ("id", pa.string()),
        ("source", pa.string()),
        ("path", pa.string()),
        ("title", pa.string()),
        ("task", pa.string()),
        ("category", pa.string()),
        ("rank", pa.int32()),
        ("views", pa.int64()),
        ("duration", pa.float64()),
        ("licence", pa.string()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("content", pa.string()),  # names the file's bytes, whatever it is called
    ]
)

_SAMPLE = 1 << 16  # bytes


@dataclass(frozen=True)
class VideoFile:
    """A file that is called a video, and the subtitle files beside it, best first."""

    video_id: str
    path: Path
    size: int
    modified: int
    subtitles: tuple[Path, ...]

    def to_json(self) -> str:
        """As a text; names that are no UTF-8 are kept."""
        names = [path.name for path in self.subtitles]
        return json.dumps([self.video_id, str(self.path), self.size, self.modified, names])

    @staticmethod
    def from_json(text: str) -> "VideoFile":
        """What `to_json` gave."""
        video_id, path, size, modified, names = json.loads(text)
        return VideoFile(video_id, Path(path), size, modified, tuple(Path(path).parent / name for name in names))


def scan(folder: Path) -> Iterator[VideoFile]:
    """Every video file below `folder`, a folder's files by name before the folders in it.

    Hidden files and folders are passed over. Memory holds the names in one folder.

    Raises:
        InputError: no such folder, or no video in it.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder: name the folder that holds the videos")
    if str(folder.absolute()) != text_of(folder.absolute()):
        raise InputError(f"the name of {text_of(folder.absolute())} is not UTF-8: rename it")
    found = False
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for video in _in_folder(folder, Path(where), names):
            found = True
            yield video
    if not found:
        endings = ", ".join(sorted(ENDINGS))
        raise InputError(f"{folder} holds no video: files are looked for by their ending ({endings})")


def _in_folder(folder: Path, where: Path, names: list[str]) -> Iterator[VideoFile]:
    names.sort()  # in place: nothing else is held of a folder, which may have a million
    for name in filter(_is_video, names):
        path = where / name
        size, modified = file_state(path)
        beside = subtitles.find(path.absolute(), names)
        yield VideoFile(_id(path.relative_to(folder), names), path.absolute(), size, modified, tuple(beside))


def _is_video(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in ENDINGS and not name.startswith(".")


def file_state(path: Path) -> tuple[int, int]:
    """Size and time of change; zeros for a link that leads nowhere, which is skipped when it is described."""
    try:
        state = path.stat()
    except OSError:
        return 0, 0
    return state.st_size, state.st_mtime_ns


def _id(path: Path, names: Sequence[str]) -> str:
    """Without the ending, unless another video has that name too: `x.mkv` or `x.mp4.mkv` beside `x.mp4`."""
    stem = path.stem
    near = names[bisect_left(names, f"{stem}.") : bisect_left(names, f"{stem}/")]  # all that begin with "x."
    twins = [name for name in near if _is_video(name) and os.path.splitext(name)[0] == stem]
    at = bisect_left(names, stem)
    taken = _is_video(stem) and names[at : at + 1] == [stem]
    return text_of(path if len(twins) > 1 or taken else path.with_suffix(""))


def text_of(path: Path) -> str:
    """The path with `/`, bytes that are no UTF-8 written as \\xff: no table could hold them."""
    return path.as_posix().encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def describe(video: VideoFile) -> Result[pa.Table]:
    """The row of one video in the videos table; one that cannot be read gets its reason there."""
    status, reason, duration, content, skip = "ok", "", 0.0, "", None
    try:
        duration, content = _opened(video)
    except Skip as problem:
        status, reason, skip = "skipped", problem.reason, problem
    title = video.video_id.rpartition("/")[2].replace("_", " ")
    row = dict.fromkeys(VIDEOS.names) | {
        "id": video.video_id,
        "source": "folder",
        "path": text_of(video.path),
        "title": title,
        "duration": duration,
        "status": status,
        "reason": reason,
        "content": content,
    }
    return Result(pa.Table.from_pylist([row], schema=VIDEOS), digest(row), skip=skip)


def _opened(video: VideoFile) -> tuple[float, str]:
    """Seconds that the video lasts, and the name of its bytes."""
    if not video.path.is_file():  # a pipe of that name would never end
        raise Skip("unreadable_video", f"{video.video_id} is no file")
    if str(video.path) != text_of(video.path) or re.search(r"[\x00-\x1f\x7f]", video.video_id):
        raise Skip("unreadable_name", f"{video.video_id!r}: its name is not UTF-8 or breaks lines, rename it")
    try:
        return probe(video.path).duration, _content(video)
    except OSError as error:
        raise Skip("unreadable_video", f"{video.video_id}: {error.strerror}") from None


def _content(video: VideoFile) -> str:
    # Size and three samples: reading a million videos whole, to see whether one changed, would take days.
    known = hashlib.sha256(str(video.size).encode())
    with video.path.open("rb") as file:
        for offset in sorted({0, max(0, video.size // 2), max(0, video.size - _SAMPLE)}):
            file.seek(offset)
            known.update(file.read(_SAMPLE))
    return known.hexdigest()[:32]
