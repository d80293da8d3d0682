"""WebVTT -> Cues: typed files, and YouTube's automatic ones whose lines roll.

Header, NOTE, STYLE and REGION blocks, identifiers, cue settings, tags and entities are
read and left out; `<00:00:03.600>` inside a line is the time of the word that follows.
What YouTube writes, which most files of a large collection are, `youtube` reads three times as fast.
"""

from tellvision.corpus.subtitles import blocks, rolling, youtube
from tellvision.records import Cue


def parse(text: str) -> tuple[list[Cue], int]:
    """The Cues of a WebVTT file, sorted by start, and the number of cues dropped for their times.

    Raises:
        Skip: `unreadable_subtitles`, the text is no WebVTT file.
    """
    cues = youtube.cues_of(text)
    if cues is not None:
        return cues, 0
    found, num_bad = blocks.split(text, blank_line_ends=True)
    return rolling.cues_of(found), num_bad


def is_automatic(head: str) -> bool:
    """Whether the first part of a file shows that nobody typed it: its lines roll."""
    return blocks.has_stamp(head) or rolling.rolls(blocks.split(head, blank_line_ends=True)[0])
