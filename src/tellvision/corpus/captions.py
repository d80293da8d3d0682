"""Cues -> Captions: lines or sentences of narration, without repeats, sound tags and empty lines.

Stands between `subtitles` (or `speech`) and `clips`; its rows are the table `captions`
(paper section 3.2). Stop words stay in what is shown: only the text that training reads
goes through `without_stop_words` (paper section 3.2: common English stop words are dropped).
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from operator import attrgetter
from typing import Literal

from tellvision.corpus import language, sounds
from tellvision.corpus.sentences import SentenceConfig, sentences_of
from tellvision.records import Caption, Cue, InputError, Skip, Word

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

MOST_LETTERS = 10_000
"""Ten minutes of speech have as many: a longer caption is none, and clips that grow would copy it."""

_WORD = re.compile(r"[\w']+")
_PART = re.compile(r"\S+")


@dataclass(frozen=True, kw_only=True)
class CaptionConfig:
    """How Cues become Captions."""

    unit: Literal["lines", "sentences"] = "lines"
    """What a caption is. `lines`: a line of the subtitles, as in the paper. `sentences`: what is said from one
    full stop to the next, or, without punctuation, from one pause to the next."""
    sentences: SentenceConfig = field(default_factory=SentenceConfig)
    """Where a sentence ends, if captions are sentences."""
    language: str = "en"
    """Two letters (ISO 639-1) of the language that videos are narrated in; others are skipped. `any`: none is."""
    check_times: bool = True
    """Pass over a subtitle file whose times cannot be right."""
    drop_sounds: bool = True
    """Remove `[Music]`, `(applause)`, `♪` and the marks of a change of speaker, `>>`."""
    drop_names: bool = False
    """Remove a speaker's name in capitals at the beginning of a line, `JOHN:`, as typed subtitles have it."""
    repeat_gap: float = 0.1
    """Seconds: a line without word times that says the same as one before it and begins at
    most this long after its end is that line, shown again; it lengthens the first."""

    def __post_init__(self) -> None:
        if self.unit not in ("lines", "sentences"):
            raise InputError(f"unit={self.unit!r} is no kind of caption: give lines or sentences")
        if not 0 <= self.repeat_gap < math.inf:
            raise InputError(f"repeat_gap={self.repeat_gap} is no time: give seconds, 0 or more")
        language.known(self.language)


def captions_of(
    video_id: str,
    cues: Iterable[Cue],
    source: str,
    config: CaptionConfig | None = None,
    dropped: Counter[str] | None = None,
) -> list[Caption]:
    """What is said in a video, line by line or by sentences: sorted by start, numbered from 0.

    Cues that say no word, and cues whose times are not 0 <= start <= end, leave no caption.
    Lines that begin together stand by their ends, then as they were given.

    Args:
        video_id: the video's id.
        cues: what `subtitles.read` or speech recognition found, in any order.
        source: where the words come from, one of `SOURCES`.
        config: None for the defaults. Whoever reads the file sees to `language` and `check_times`, with
            `language.check` and `subtitles.check_times`, and may turn to another file of the video.
        dropped: takes in how many cues left no line of their own, by reason: `bad_times`, `sounds` (no word
            is said), `repeats` (a line shown again).

    Raises:
        Skip: `unreadable_subtitles`, a caption of more than `MOST_LETTERS` letters.
    """
    config = config or CaptionConfig()
    if source not in SOURCES:
        raise ValueError(f"source={source!r} is none of {', '.join(SOURCES)}")
    lines = lines_of(cues, config, dropped)
    if config.unit == "sentences":
        lines = sentences_of(lines, config.sentences)
    longest = max((len(line.text) for line in lines), default=0)
    if longest > MOST_LETTERS:
        raise Skip("unreadable_subtitles", f"{longest:,} letters in one of its lines: nobody says that")
    return [
        Caption(video_id, number, line.start, line.end, line.text, source) for number, line in enumerate(lines)
    ]


def lines_of(cues: Iterable[Cue], config: CaptionConfig, dropped: Counter[str] | None = None) -> list[Cue]:
    """The cues that say something, once each, in order, without sounds.

    Words keep their times if `config` makes sentences of them. `dropped` as for `captions_of`.
    """
    dropped = Counter() if dropped is None else dropped
    lines: list[Cue] = []
    latest: dict[str, int] = {}  # a text -> its last line
    given = list(cues)
    usable = [cue for cue in given if 0 <= cue.start <= cue.end < math.inf]
    num_silent, num_repeats = 0, 0
    for cue in sorted(usable, key=attrgetter("start", "end")):
        line = _cleaned(cue, config)
        if not _WORD.search(line.text):
            num_silent += 1
            continue
        # Word times tell that a line was said anew, as automatic captions tell it: "uh", "uh".
        before = None if cue.words else latest.get(line.text)
        if before is not None and line.start <= lines[before].end + config.repeat_gap:
            shown = lines[before]
            lines[before] = Cue(shown.start, max(shown.end, line.end), shown.text, shown.words)
            num_repeats += 1
        else:
            latest[line.text] = len(lines)
            lines.append(line)
    counts = {"bad_times": len(given) - len(usable), "sounds": num_silent, "repeats": num_repeats}
    dropped.update({reason: count for reason, count in counts.items() if count})
    return lines


def _cleaned(cue: Cue, config: CaptionConfig) -> Cue:
    """The cue with single spaces and without what is not said; itself, where nothing changes."""
    text = sounds.clean(cue.text, names=config.drop_names) if config.drop_sounds else " ".join(cue.text.split())
    if text == cue.text:
        return cue
    words = tuple(_still_said(cue.words, config)) if config.unit == "sentences" else ()  # which alone reads them
    return Cue(cue.start, cue.end, text, words)


def _still_said(words: tuple[Word, ...], config: CaptionConfig) -> Iterator[Word]:
    """What is left of the words without sounds, each with its own time.

    A tag may span words (`[`, `__`, `]`) or hang on one (`>>no`): the line is blanked as a
    whole, and what stays finds its word by its place.
    """
    line = " ".join([word.text for word in words])
    if config.drop_sounds:
        line = sounds.blank(line, names=config.drop_names)
    behind = accumulate(len(word.text) + 1 for word in words)  # where each word's part of the line ends
    parts = _PART.finditer(line)
    part = next(parts, None)
    for word, end in zip(words, behind, strict=True):
        while part is not None and part.start() < end:
            yield Word(word.start, part[0])
            part = next(parts, None)


def words_of(text: str) -> list[str]:
    """The words of a text, as the paper's tokens `[\\w']+`, in order and in their own case."""
    return _WORD.findall(text.replace("’", "'") if "’" in text else text)


def without_stop_words(text: str) -> str:
    """The words of a text that are not `stop_words`, joined by spaces, in their own case.

    >>> without_stop_words("Now, you're going to crack the eggs!")
    'going crack eggs'
    """
    return " ".join([word for word in words_of(text) if word.lower() not in stop_words])
