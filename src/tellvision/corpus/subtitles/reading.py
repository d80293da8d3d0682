"""A subtitle file -> Cues, by its ending. Whatever the file holds, the only error is a Skip."""

from pathlib import Path
from types import ModuleType

from tellvision.corpus.subtitles import blocks, json3, paragraphs, srt, srv3, ttml, vtt
from tellvision.corpus.subtitles.sanity import check_crowd
from tellvision.records import Cue, InputError, Skip

_FORMATS: dict[str, ModuleType | None] = {
    ".vtt": vtt, ".srt": srt, ".json3": json3, ".srv3": srv3, ".srv2": srv3, ".srv1": srv3, ".ttml": ttml,
    ".dfxp": ttml, ".xml": None,
}  # fmt: skip
_XML = (srv3, ttml)
ENDINGS = tuple(_FORMATS)
"""Endings of the formats that can be read, in the order of preference. What an .xml is, its root says."""

MOST_BYTES = 32 << 20
"""A day of rolling captions has 14 MB; what is larger than this is something else."""

HEAD_BYTES = 4096
"""As much of a file as tells whether its captions are automatic."""


def read(path: str | Path) -> list[Cue]:
    """What a subtitle file says, every line once, sorted by start.

    In automatic captions (word times, or lines that roll) a Cue is
    a line said once, from its first word to the end the file gives it, or to the next
    line's first word where that comes earlier; `Cue.words` are all its words with the
    file's own times, which never run backwards in the whole file. In typed ones a Cue is
    what the file shows at once, its lines joined by spaces, without `words`.

    Cues with negative, reversed or unreadable times are dropped.

    Args:
        path: a file with one of `ENDINGS`, in UTF-8 or UTF-16 with or without a byte order
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
    if path.suffix.lower() not in ENDINGS:
        raise InputError(f"{path} is no subtitle file that can be read: use {', '.join(ENDINGS)}")
    data = _bytes(path, MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise Skip("unreadable_subtitles", f"{path} is larger than {MOST_BYTES >> 20} MB")
    text = blocks.decode(data)
    if not text.strip():
        raise Skip("empty_subtitles", f"{path} is empty")
    try:
        cues, num_bad = _format_of(path, text).parse(text)
        check_crowd(cues)
    except Skip as skip:
        raise Skip(skip.reason, f"{path}: {skip.detail}") from skip
    if not cues and num_bad:
        raise Skip("unreadable_subtitles", f"{path}: none of {num_bad} cues has usable times")
    if not cues:
        raise Skip("empty_subtitles", f"{path} says nothing")
    return cues, num_bad


def is_automatic(path: Path) -> bool:
    """Whether the beginning of a file shows automatic captions; False where it cannot be read."""
    try:
        head = blocks.decode(_bytes(path, HEAD_BYTES))
        return bool(_format_of(path, head).is_automatic(head))
    except Skip:
        return False


def is_of_known_form(path: Path) -> bool:
    """Whether a file with one of `ENDINGS` may hold subtitles: of .xml, which is anything, the root tells."""
    try:
        return path.suffix.lower() != ".xml" or bool(_format_of(path, blocks.decode(_bytes(path, HEAD_BYTES))))
    except Skip:
        return False


def _format_of(path: Path, text: str) -> ModuleType:
    """The module that reads files of this ending; for .xml by the root of the text."""
    module = _FORMATS[path.suffix.lower()]
    if module is not None:
        return module
    root = paragraphs.root_of(text)
    for module in _XML:
        if root in module.ROOTS:
            return module
    raise Skip("unreadable_subtitles", f"XML that begins with <{root}>, no subtitles")


def _bytes(path: Path, most: int) -> bytes:
    if not path.is_file():  # a pipe of that name would never end
        raise Skip("unreadable_subtitles", f"{path} is no file")
    try:
        with path.open("rb") as file:
            return file.read(most)
    except OSError as error:
        raise Skip("unreadable_subtitles", f"{path}: {error.strerror}") from error
