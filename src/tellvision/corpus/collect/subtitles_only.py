"""A folder of subtitle files -> the videos table: what is said in videos that are not here.

A video's id is the path of its subtitle files below the folder, without language and ending. It is `ok`
without a path: captions and clips can be made of it, pictures cannot.
"""

import os
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from tellvision.corpus import subtitles
from tellvision.corpus.collect.folder import VIDEOS, VideoFile, text_of
from tellvision.records import InputError, Skip
from tellvision.runners import Result
from tellvision.store import digest

_LANGUAGE = re.compile(r"\.(?:[a-z]{2}|eng)(?:[-_][A-Za-z0-9]{1,12})*$")


def scan(folder: Path) -> Iterator[VideoFile]:
    """A video for every subtitle file below `folder`, or for several that differ in language or format.

    Raises:
        InputError: no such folder, or no subtitle file in it.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder: name the folder that holds the subtitle files")
    found = False
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        names.sort()  # in place: nothing else is held of a folder, which may have a million
        for name in names:
            files = _files_of(Path(where), name, names)
            if files and files[0].name == name:  # the others come with the first
                found = True
                path = Path(where, _video_of(name)).absolute()
                video_id = text_of(path.relative_to(folder.absolute()))
                yield VideoFile(video_id, path, 0, 0, tuple(subtitles.best_first(path, files)))
    if not found:
        raise InputError(f"{folder} holds no subtitle file: their endings are {', '.join(subtitles.ENDINGS)}")


def _files_of(where: Path, name: str, names: Sequence[str]) -> list[Path]:
    """The subtitle files of the video that `name` belongs to, by name; none if it is no subtitle file itself."""
    if not _is_subtitles(where / name):
        return []
    video = _video_of(name)
    # What begins with "x." stands together: "/" comes right behind "." and is in no name.
    near = names[bisect_left(names, f"{video}.") : bisect_left(names, f"{video}/")]
    return [where.absolute() / n for n in near if _video_of(n) == video and _is_subtitles(where / n)]


def _is_subtitles(path: Path) -> bool:
    if path.name.startswith("."):
        return False
    return path.suffix.lower() in subtitles.ENDINGS and subtitles.is_of_known_form(path)


def _video_of(name: str) -> str:
    stem = os.path.splitext(name)[0]
    return _LANGUAGE.sub("", stem) or stem


def describe(video: VideoFile) -> Result[pa.Table]:
    """The row of one video in the videos table, of which nothing is known but its name."""
    if re.search(r"[\x00-\x1f\x7f]", video.video_id):
        raise Skip("unreadable_name", f"{video.video_id!r}: its name breaks lines, rename it")
    title = video.video_id.rpartition("/")[2].replace("_", " ")
    row = dict.fromkeys(VIDEOS.names) | {
        "id": video.video_id,
        "source": "subtitles",
        "title": title,
        "status": "ok",
        "reason": "",
        "content": "",
    }
    return Result(pa.Table.from_pylist([row], schema=VIDEOS), digest(row))
