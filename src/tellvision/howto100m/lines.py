"""One video's entry of a released caption file -> Cues: bad lines left out, rolling ones said once.

Stands between the files (`jsonfile`, `picklefile`, `csvfile`) and `captions`. An entry is what such a
file holds for a video, in plain types, whatever it may be:

    {"start": [s, ...], "end": [s, ...], "text": [str, ...]}     the paper's captions, processed or raw
    the same with lists of str in "text"                         HowToCaption: several texts in one window
    [[alignable, start, end, text], ...]                         HTM-Align

The raw captions are YouTube's cues as they stand in its files (paper section 3.2), so their lines roll:
each is shown in three cues, in two rows parted by a line end, or by a blank where a program joined them.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from tellvision.corpus.subtitles import rolling
from tellvision.corpus.subtitles.blocks import MOST_CUES, Block, Line, unescaped, visible
from tellvision.corpus.subtitles.sanity import check_crowd
from tellvision.records import Cue, Skip

LONGEST_ID = 255
"""Characters of a video id; it names files."""

MOST_CHARACTERS = 16 << 20
"""A day of speech has a million; a pickle can say the same long text again in two bytes."""

MOST_SECONDS = 1e9
"""Times behind it are no times."""

TIMES, TEXT = "bad_times", "bad_text"

_NUMBERS = (float, int)

Row = tuple[object, object, object]
"""Start, end and text as a file has them."""

_Said = tuple[float, float, str]


def check_id(video_id: object) -> str:
    """The id of a video, as it is.

    Raises:
        Skip: `bad_video_id`: no text, empty, longer than `LONGEST_ID`, with characters that do not
            print or blanks around it.
    """
    if not isinstance(video_id, str):
        raise Skip("bad_video_id", f"an id of type {type(video_id).__name__}")
    if not video_id or video_id != video_id.strip() or not video_id.isprintable() or len(video_id) > LONGEST_ID:
        raise Skip("bad_video_id", f"{video_id[:40]!a} cannot name a video")
    return video_id


def cues_of(value: object) -> tuple[list[Cue], dict[str, int]]:
    """The lines of an entry, sorted by start.

    Lines may overlap, as they do in the file; only where they roll does a line end where the next
    begins. A rolling line's start is that of the cue that brought it, its end that cue's end: what the
    subtitle file itself would give but for the times of its words, which these files do not have.

    Args:
        value: an entry in one of the forms above.

    Returns:
        the lines, and how many entries were left out, by reason: `bad_times` (no number, NaN,
        negative, reversed), `bad_text` (no text).

    Raises:
        Skip: `unreadable_subtitles` (another form, lists of different lengths, no line with usable
            times, a thousand lines at once, too many lines, too much text) or `empty_subtitles` (nothing is said).
    """
    return cues_of_rows(_rows(value))


def cues_of_rows(rows: Iterable[Row]) -> tuple[list[Cue], dict[str, int]]:
    """As `cues_of`, for rows of start, end and text."""
    dropped: Counter[str] = Counter()
    entries = list(_usable(rows, dropped))
    cues = _said_once(entries)
    if not cues and dropped[TIMES]:
        raise Skip("unreadable_subtitles", f"none of {sum(dropped.values())} lines has usable times")
    if not cues:
        raise Skip("empty_subtitles", f"no text in {sum(dropped.values()) or 'no'} lines")
    check_crowd(cues)
    return cues, dict(dropped)


def _rows(value: object) -> Iterator[Row]:
    if isinstance(value, dict):
        starts, ends, texts = value.get("start"), value.get("end"), value.get("text")
        if not (isinstance(starts, list) and isinstance(ends, list) and isinstance(texts, list)):
            raise Skip("unreadable_subtitles", "an entry without the lists start, end and text")
        if not len(starts) == len(ends) == len(texts):
            lengths = f"{len(starts)} starts, {len(ends)} ends, {len(texts)} texts"
            raise Skip("unreadable_subtitles", f"{lengths}: no telling which belong together")
        return _windows(starts, ends, texts)
    if isinstance(value, list) and all(isinstance(row, list) and len(row) == 4 for row in value):
        return ((start, end, text) for _, start, end, text in value)
    raise Skip("unreadable_subtitles", f"an entry of type {type(value).__name__} that is none of the known forms")


def _windows(starts: Sequence[object], ends: Sequence[object], texts: Sequence[object]) -> Iterator[Row]:
    for start, end, text in zip(starts, ends, texts, strict=True):
        for one in text if isinstance(text, list) else (text,):
            yield start, end, one


def _usable(rows: Iterable[Row], dropped: Counter[str]) -> Iterator[_Said]:
    """The rows that are a time span and a text, the text without characters that nobody sees."""
    characters = 0
    for number, (start, end, text) in enumerate(rows):
        if number == MOST_CUES:  # a pickle can give each of many windows the same long list
            raise Skip("unreadable_subtitles", f"more than {MOST_CUES} lines")
        # Types are compared, since True is an int; a NaN is not less than anything.
        if type(start) not in _NUMBERS or type(end) not in _NUMBERS or not 0 <= start <= end < MOST_SECONDS:  # type: ignore[operator]
            dropped[TIMES] += 1
        elif not isinstance(text, str):
            dropped[TEXT] += 1  # tables made with pandas have NaN where nothing is said
        else:
            characters += len(text)
            if characters > MOST_CHARACTERS:
                raise Skip("unreadable_subtitles", f"more than {MOST_CHARACTERS >> 20} million characters")
            if not (text.isascii() and text.isprintable()):  # most are: a pattern takes longer
                text = visible(text)
            yield float(start), float(end), unescaped(text)  # type: ignore[arg-type]


def _said_once(entries: list[_Said]) -> list[Cue]:
    if _may_roll(entries):
        for shown in (entries, _parted(entries)):
            if rolling.rolls(blocks := _blocks(shown)):
                return rolling.cues_of(blocks)
    said: list[rolling.Said] = [(start, end, " ".join(text.split()), []) for start, end, text in entries]
    return rolling.in_order(said, cut=False)


def _may_roll(entries: list[_Said]) -> bool:
    """Whether a third of the entries begin with a word of the entry before; most files are done with that."""
    again, before = 0, ""
    for _, _, text in entries:
        words = text.split(None, 1)
        again += bool(words) and words[0] in before
        before = text
    return again >= 2 and 3 * again >= len(entries)


def _blocks(entries: Iterable[_Said]) -> list[Block]:
    return [
        Block(start, end, [Line(" ".join(row.split()), []) for row in text.split("\n")])
        for start, end, text in entries
    ]


def _parted(entries: Iterable[_Said]) -> Iterator[_Said]:
    """The entries with a line end behind the line that the entry before said, where they begin with it."""
    line = ""
    for start, end, text in entries:
        text = " ".join(text.split())
        if text and text != line:
            if line and text.startswith(f"{line} "):
                text = f"{line}\n{text[len(line) + 1 :]}"
            line = text.rpartition("\n")[2]
        yield start, end, text
