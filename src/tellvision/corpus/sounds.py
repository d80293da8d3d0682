"""What stands in a line of narration and is not said: sound tags, speaker marks, leftovers of markup.

`captions` sends every line of a subtitle file through here. Marks are blanked, character by
character, so that what stays keeps its place: that is how a word finds its own time again.
"""

import re

_SOUND = (
    r"music|musik|musique|música|musica|музыка|applau\w*|aplausos|аплодисменты|clap\w*|laugh\w*|chuckl\w*|giggl\w*"
    r"|lachen|gelächter|rires|risas|смех|cheer\w*|sigh\w*|gasp\w*|cough\w*|sneez\w*|groan\w*|scream\w*|shout\w*"
    r"|whistl\w*|bark\w*|meow\w*|beep\w*|buzz\w*|rattl\w*|sizzl\w*|click\w*|thud\w*|bang\w*|silence|inaudible"
    r"|unintelligible|indistinct|noise\w*|sounds?|chatter\w*|sing\w*|hum\w*|snort\w*"
    r"|音楽|拍手|笑い?声?|音乐|掌声|笑声"
)
# Who says "(it sizzles)" or "(clap your hands)" tells something; a tag names a sound and no one.
_SAID = r"i|you|your|it|its|we|our|they|he|she|this|that|these|is|are|not|if|when|until|or"
_TAG_IN_ROUND = re.compile(
    rf"[(（](?=[^()（）]{{0,60}}[)）])(?=[^()（）]*\b(?:{_SOUND})\b)(?![^()（）]*\b(?:{_SAID})\b)[^()（）]*[)）]",
    re.IGNORECASE,
)
_TAG_IN_STARS = re.compile(  # as people emphasise; a factor has spaces or digits at its stars
    rf"(?<!\w)\*(?=\S[^*]{{1,60}}\*)(?=[^*]*\b(?:{_SOUND})\b)(?![^*]*\b(?:{_SAID})\b)[^*]*(?<=\S)\*(?!\w)",
    re.IGNORECASE,
)
_TAG = re.compile(r"\[[^\[\]]{0,80}\]|［[^［］]{0,80}］|【[^【】]{0,80}】|[♩-♯🎵🎶]+")
# What a subtitle editor's own markup leaves in other formats: {\an8}, and \N for a new line.
_LEFTOVER = re.compile(r"\{\\[^{}]{0,80}\}|\\[Nh]")
_DASHES = "-–—"
_SPEAKER = re.compile(r"(?:^|(?<=\s))(?:>>+|<<+)(?=\s|\w|$)|^\s*[-–—]+\s+")
_NAME = re.compile(r"^\s*(?:[-–—>]+\s*)?[A-Z][A-Z.'’-]+(?: [A-Z0-9][A-Z0-9.'’-]*){0,3}:(?=\s|$)")


def blank(text: str, *, names: bool = False) -> str:
    """The text with spaces in place of what is not said; every other character keeps its place.

    Gone are `[Music]` and whatever else stands in square brackets, `(applause)` and `*laughs*`
    where the brackets name a sound, notes such as `♪`, `>>` and a leading dash, `{\\an8}` and
    `\\N`. A bracket of more than 80 characters is no tag.

    Args:
        text: one line.
        names: whether a speaker's name in capitals goes too, `JOHN:` at the beginning.
    """
    if "[" in text or not text.isascii():
        text = _TAG.sub(_spaces, text)
    if "(" in text or "（" in text:
        text = _TAG_IN_ROUND.sub(_spaces, text)
    if "*" in text:
        text = _TAG_IN_STARS.sub(_spaces, text)
    if "\\" in text:
        text = _LEFTOVER.sub(_spaces, text)
    if names:
        text = _NAME.sub(_spaces, text)
    if ">" in text or "<" in text or text.lstrip()[:1] in _DASHES:
        text = _SPEAKER.sub(_spaces, text)
    return text


def clean(text: str, *, names: bool = False) -> str:
    """What is said in the line, with single spaces (see `blank`)."""
    return " ".join(blank(text, names=names).split())


def _spaces(found: re.Match[str]) -> str:
    return " " * len(found[0])
