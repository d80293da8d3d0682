"""SubRip (.srt) -> Cues: what people type, and what converters make of rolling captions.

Read generously, as players do: numbers may be missing or wrong, empty lines may stand
inside a text, the fraction may follow a comma or a point.
"""

from tellvision.corpus.subtitles import blocks, rolling
from tellvision.records import Cue


def parse(text: str) -> tuple[list[Cue], int]:
    """The Cues of a SubRip file, sorted by start, and the number of cues dropped for their times.

    Raises:
        Skip: `unreadable_subtitles`, the text is no SubRip file.
    """
    found, num_bad = blocks.split(text, blank_line_ends=False)
    return rolling.cues_of(found), num_bad


def is_automatic(head: str) -> bool:
    """Whether the first part of a file shows that nobody typed it: its lines roll."""
    return rolling.rolls(blocks.split(head, blank_line_ends=False)[0])
