"""The subtitle files that lie beside a video, best first, and where their words come from.

`x.mp4` may have `x.vtt`, `x.en.vtt`, `x.en-US.srt`, `x.en.json3` or `x.mp4.en.vtt` beside it.
"""

import os
import re
from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path

from tellvision.corpus.subtitles import reading

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{1,12})*")
_REGIONS = frozenset({"au", "gb", "ie", "nz", "us"})  # where people write them in lower case
_SOURCES = ("typed", "automatic", "translated")


def find(video: str | Path, names: Sequence[str] | None = None) -> list[Path]:
    """The subtitle files beside a video, best first (see `best_first`).

    Where there are other files `x.cut.*`, `x.cut.vtt` belongs to them and not to `x`; where there is a
    file `x.mkv`, so does `x.mkv.vtt`.

    Args:
        video: path of the video; it need not exist.
        names: of all files in its folder, sorted; hand them in wherever a folder has many
            videos, None lists the folder anew for each.

    Returns:
        Paths in the video's folder; none where nothing lies beside it.
    """
    video = Path(video)
    if names is None:
        names = sorted(os.listdir(video.parent)) if video.parent.is_dir() else ()
    # What begins with "x." stands together: "/" comes right behind "." and is in no name.
    near = names[bisect_left(names, f"{video.stem}.") : bisect_left(names, f"{video.stem}/")]
    others: set[str] = set()
    subtitles: list[tuple[str, str]] = []
    for name in near:
        stem, ending = os.path.splitext(name)
        if ending.lower() in reading.ENDINGS:
            subtitles.append((name, stem))
        else:
            others.update((stem, name))
    mine = {video.stem, video.name}
    found = []
    for name, stem in subtitles:
        shorter, _, language = stem.rpartition(".")
        if stem in mine or (shorter in mine and stem not in others and _LANGUAGE.fullmatch(language)):
            path = video.parent / name
            if reading.is_of_known_form(path):
                found.append(path)
    return best_first(video, found)


def best_first(video: str | Path, paths: Sequence[Path]) -> list[Path]:
    """Subtitle files of a video in the order in which they are preferred.

    English before files that name no language before other languages; then typed before
    automatic before translated (only what cannot be told by the name is opened, and only
    its first bytes are read); then by format and name.
    """
    video = Path(video)
    if len(paths) < 2:
        return list(paths)
    return sorted(paths, key=lambda path: _rank(path, _language(video, path)))


def source_of(path: str | Path) -> str:
    """Where the words of a subtitle file come from: `typed`, `automatic` or `translated`.

    A language like `en-de` says translated (English made from German); captions that roll
    or carry a time per word are automatic; what shows neither counts as typed. (`heard` is
    what speech recognition of this program wrote; no file says it.)
    """
    path = Path(path)
    if _is_translated(Path(path.stem).suffix[1:]):
        return "translated"
    return "automatic" if reading.is_automatic(path) else "typed"


def _language(video: Path, path: Path) -> str:
    """The language in the file's name, empty where it names none."""
    stem = path.stem
    return "" if stem in (video.stem, video.name) else stem.rpartition(".")[2]


def _rank(path: Path, language: str) -> tuple[int, int, int, str]:
    primary = re.split("[-_]", language.lower())[0]
    return (
        0 if primary in ("en", "eng") else 1 if not primary else 2,
        _SOURCES.index(source_of(path)),
        reading.ENDINGS.index(path.suffix.lower()),
        path.name,
    )


def _is_translated(language: str) -> bool:
    """Whether a language names a second one behind the first, as YouTube's translations do."""
    found = re.match(r"[a-z]{2,3}-([a-z]{2,3})(?:-|$)", language)
    return found is not None and found[1] not in _REGIONS
