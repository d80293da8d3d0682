"""A subtitle file -> Cues, by its ending. Whatever the file holds, the only error is a Skip."""

from pathlib import Path
from types import ModuleType

from tellvision.corpus.subtitles import blocks, json3, srt, vtt
from tellvision.records import Cue, InputError, Skip

_FORMATS = {".vtt": vtt, ".srt": srt, ".json3": json3}
ENDINGS = tuple(_FORMATS)
"""Endings of the formats that can be read."""

MOST_BYTES = 64 << 20
"""A day of rolling captions has 14 MB; what is larger than this is something else."""

MOST_LINES, CROWD_SECONDS = 1000, 5.0
"""More lines than this that begin within so many seconds are times of nonsense, which nobody
speaks; what grows clips out of lines would take hours over them."""

HEAD_BYTES = 4096
"""As much of a file as tells whether its captions are automatic."""


def read(path: str | Path) -> list[Cue]:
    """What a subtitle file says, every line once, sorted by start.

    In automatic captions (WebVTT or json3 with word times, anything that rolls) a Cue is
    a line said once, from its first word to the end the file gives it, or to the next
    line's first word where that comes earlier; `Cue.words` are all its words with the
    file's own times, which never run backwards in the whole file. In typed ones a Cue is
    what the file shows at once, its lines joined by spaces, without `words`.

    Cues with negative, reversed or unreadable times are dropped.

    Args:
        path: a .vtt, .srt or .json3 file in UTF-8 or UTF-16 with or without a byte order
            mark, in UTF-32 with one, in Windows-1252 or Latin-1.

    Raises:
        InputError: another ending.
        Skip: `unreadable_subtitles` (not to be opened, not of this format, no cue with
            usable times, a thousand lines at once) or `empty_subtitles` (nothing is said).
    """
    return read_counted(path)[0]


def read_counted(path: str | Path) -> tuple[list[Cue], int]:
    """As `read`, with the number of cues that were dropped for their times."""
    path = Path(path)
    module = format_of(path)
    data = _bytes(path, MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise Skip("unreadable_subtitles", f"{path} is larger than {MOST_BYTES >> 20} MB")
    text = blocks.decode(data)
    if not text.strip():
        raise Skip("empty_subtitles", f"{path} is empty")
    try:
        cues, num_bad = module.parse(text)
    except Skip as skip:
        raise Skip(skip.reason, f"{path}: {skip.detail}") from skip
    if not cues and num_bad:
        raise Skip("unreadable_subtitles", f"{path}: none of {num_bad} cues has usable times")
    if not cues:
        raise Skip("empty_subtitles", f"{path} says nothing")
    for cue, later in zip(cues, cues[MOST_LINES:], strict=False):
        if later.start - cue.start < CROWD_SECONDS:
            raise Skip("unreadable_subtitles", f"{path}: {MOST_LINES} lines begin at {cue.start} s")
    return cues, num_bad


def is_automatic(path: Path) -> bool:
    """Whether the beginning of a file shows automatic captions; False where it cannot be read."""
    try:
        return bool(format_of(path).is_automatic(blocks.decode(_bytes(path, HEAD_BYTES))))
    except Skip:
        return False


def format_of(path: Path) -> ModuleType:
    """The module that reads files of this ending."""
    try:
        return _FORMATS[path.suffix.lower()]
    except KeyError:
        raise InputError(f"{path} is no subtitle file that can be read: use {', '.join(ENDINGS)}") from None


def _bytes(path: Path, most: int) -> bytes:
    if not path.is_file():  # a pipe of that name would never end
        raise Skip("unreadable_subtitles", f"{path} is no file")
    try:
        with path.open("rb") as file:
            return file.read(most)
    except OSError as error:
        raise Skip("unreadable_subtitles", f"{path}: {error.strerror}") from error
