"""Cues -> Captions: lines of narration without repeats, sound tags and empty lines.

Stands between `subtitles` (or `speech`) and `clips`; its rows are the table `captions`
(paper section 3.2). Stop words stay in what is shown: only the text that training reads
goes through `without_stop_words` (paper section 3.2: common English stop words are dropped).
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from tellvision.records import Caption, Cue, InputError

SOURCES = ("typed", "automatic", "translated", "heard")
"""Where a caption's words may come from."""

_STOP_WORDS = """
a an the this that these those such same other another each every either neither both all any some no
none one ones few several many much more most less least enough own
i me my mine myself you your yours yourself yourselves he him his himself she her hers herself it its
itself we us our ours ourselves they them their theirs themselves who whom whose which what whatever
whichever whoever someone somebody something anyone anybody anything everyone everybody everything
nobody nothing
am is are was were be been being do does did doing done have has had having can could will would shall
should may might must ought need let lets
and or but nor so yet if then else than because since although though while whereas unless until till
as whether
of at by for with about against between into through during before after to from in on onto upon off
within without toward towards per via
not never only just also too very quite rather really even still again already ever almost perhaps maybe
here there where when why how once now
i'm i've i'd i'll you're you've you'd you'll he's he'd he'll she's she'd she'll it's it'd it'll we're
we've we'd we'll they're they've they'd they'll that's that'd that'll there's there'd there'll here's
who's who'd who'll what's what're what'll where's when's why's how's let's
isn't aren't wasn't weren't don't doesn't didn't haven't hasn't hadn't can't cannot couldn't won't wouldn't
shan't shouldn't mayn't mightn't mustn't needn't ain't
im ive youre youve hes shes theyre theyve thats theres whats dont doesnt didnt isnt arent wasnt cant wont
gonna wanna gotta kinda sorta
uh um erm uhm hmm mm
"""

stop_words: frozenset[str] = frozenset(_STOP_WORDS.split())
"""English words that say how a sentence is built and nothing that could be seen, in lower case."""

_WORD = re.compile(r"[\w']+")
_TAGS = re.compile(r"\[[^\[\]]*\]|[♩-♯🎵🎶]+")
_SOUND = (
    r"music|applau\w*|clap\w*|laugh\w*|chuckl\w*|giggl\w*|cheer\w*|sigh\w*|gasp\w*|cough\w*|sneez\w*|groan\w*"
    r"|scream\w*|shout\w*|whistl\w*|bark\w*|meow\w*|beep\w*|buzz\w*|rattl\w*|sizzl\w*|click\w*|thud\w*|bang\w*"
    r"|silence|inaudible|unintelligible|indistinct|noise\w*|sounds?|chatter\w*|sing\w*|hum\w*|snort\w*"
)
_SOUND_IN_ROUND = re.compile(rf"\((?=[^()]*\b(?:{_SOUND})\b)[^()]*\)", re.IGNORECASE)
_SPEAKER = re.compile(r"(?:^|(?<=\s))(?:>>+|<<+)(?=\s|\w|$)|^[-–—]+\s+")


@dataclass(frozen=True, kw_only=True)
class CaptionConfig:
    """How Cues become Captions."""

    drop_sounds: bool = True
    """Remove `[Music]`, `(applause)`, `♪` and the marks of a change of speaker, `>>`."""

    repeat_gap: float = 0.1
    """Seconds: a line without word times that says the same as one before it and begins at
    most this long after its end is that line, shown again; it lengthens the first."""

    def __post_init__(self) -> None:
        if not 0 <= self.repeat_gap < math.inf:
            raise InputError(f"repeat_gap={self.repeat_gap} is no time: give seconds, 0 or more")


def captions_of(
    video_id: str, cues: Iterable[Cue], source: str, config: CaptionConfig | None = None
) -> list[Caption]:
    """The lines that are said in a video: sorted by start (then end, then as given), numbered from 0.

    Cues that say no word, and cues whose times are not 0 <= start <= end, leave no caption.

    Args:
        video_id: the video's id.
        cues: what `subtitles.read` or speech recognition found, in any order.
        source: where the words come from, one of `SOURCES`.
        config: None for the defaults.
    """
    config = config or CaptionConfig()
    if source not in SOURCES:
        raise ValueError(f"source={source!r} is none of {', '.join(SOURCES)}")
    lines: list[tuple[float, float, str]] = []
    latest: dict[str, int] = {}  # a text -> its last line
    usable = [cue for cue in cues if 0 <= cue.start <= cue.end < math.inf]
    for cue in sorted(usable, key=lambda cue: (cue.start, cue.end)):
        text = clean(cue.text, drop_sounds=config.drop_sounds)
        if not _WORD.search(text):
            continue
        # Word times tell that a line was said anew, as automatic captions tell it: "uh", "uh".
        before = None if cue.words else latest.get(text)
        if before is not None and cue.start <= lines[before][1] + config.repeat_gap:
            start, end, _ = lines[before]
            lines[before] = (start, max(end, cue.end), text)
        else:
            latest[text] = len(lines)
            lines.append((cue.start, cue.end, text))
    return [Caption(video_id, number, start, end, text, source) for number, (start, end, text) in enumerate(lines)]


def clean(text: str, *, drop_sounds: bool = True) -> str:
    """The text with single spaces and, where asked, without sound tags and speaker marks."""
    if drop_sounds:
        if "[" in text or not text.isascii():
            text = _TAGS.sub(" ", text)
        if "(" in text:
            text = _SOUND_IN_ROUND.sub(" ", text)
        text = _SPEAKER.sub(" ", text)
    return " ".join(text.split())


def words_of(text: str) -> list[str]:
    """The words of a text, as the paper's tokens `[\\w']+`, in order and in their own case."""
    return _WORD.findall(text.replace("’", "'") if "’" in text else text)


def without_stop_words(text: str) -> str:
    """The words of a text that are not `stop_words`, joined by spaces, in their own case.

    >>> without_stop_words("Now, you're going to crack the eggs!")
    'going crack eggs'
    """
    return " ".join([word for word in words_of(text) if word.lower() not in stop_words])
