"""Which language a video is narrated in, told from its words alone, without a network.

Asked once per file that captions could be made of (paper section 3.1: English subtitles). Most of a collection
is English, and English shows by its commonest words in microseconds; only what does not read
like it goes to the detector (py3langid, a table of letter groups in its wheel).
"""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from tellvision.corpus.sounds import clean
from tellvision.records import Cue, InputError, Skip

ANY = "any"
"""Every language is welcome."""

_CODES = """
af am an ar as az ba be bg bn br bs ca cs cy da de dz el en eo es et eu fa fi fo fr fy ga gd gl gu ha he hi hr ht
hu hy id ig is it ja jv ka kk km kn ko ku ky la lb lg ln lo lt lv mg mk ml mn mr ms mt my ne nl nn no oc om or pa
pl ps pt qu ro ru rw sa se si sk sl sn so sq sr st sv sw ta te tg th tk tl tr tt ug uk ur uz vi vo wa xh yo zh zu
"""
LANGUAGES = frozenset(_CODES.split())
"""ISO 639-1 codes of the languages that can be told apart, each in its own script."""

_COMMON = """
the and of to is it that you this with for are have your we they from there what when going i'm it's that's
you're don't just because then so my be will can some into these which now
"""
_ENGLISH = frozenset(_COMMON.split())
_ENGLISH_SHARE = 0.1  # of the words: above it nothing but English was met, below it also lists of English names
_FEWEST_LETTERS = 80  # about twenty words
_UNLIKELY, _LIKELY = 0.05, 0.4  # what nothing is likely for is no language: a list of names
_MOST_LINES, _MOST_CHARACTERS = 32, 1600
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")


def check(cues: Sequence[Cue], wanted: str) -> None:
    """Nothing, where the cues may be in the wanted language, or say too little to tell.

    Args:
        cues: of one video; at most 1,600 characters of them are read, from all over the video.
        wanted: ISO 639-1 code, or `any`.

    Raises:
        InputError: an unknown code.
        Skip: `other_language`, which one and how sure.
    """
    known(wanted)
    if wanted == ANY:
        return
    text = _sample(cues)
    words = _WORD.findall(text.lower())
    if sum(map(len, words)) < _FEWEST_LETTERS:
        return
    if wanted == "en" and sum(word in _ENGLISH for word in words) >= _ENGLISH_SHARE * len(words):
        return
    likely = _probabilities(text)
    code = next(iter(likely))
    if likely.get(wanted, 0.0) < _UNLIKELY and likely[code] >= _LIKELY:
        raise Skip("other_language", f"narrated in {code} ({likely[code]:.0%} sure), not in {wanted}")


def detect(text: str) -> tuple[str, float]:
    """The likeliest language of a text and its probability in 0..1.

    Codes are those of ISO 639-1, where a language has one. A text without letters is anything.
    """
    return next(iter(_probabilities(text).items()))


def known(wanted: str) -> str:
    """The code itself, where it is one of `LANGUAGES` or `any`; otherwise InputError lists some."""
    if wanted != ANY and wanted not in LANGUAGES:
        raise InputError(
            f"language={wanted!r} is none that can be told apart: give two letters such as en, de, es, fr, hi, "
            f"ja, pt, ru or zh, or {ANY} for all"
        )
    return wanted


def _sample(cues: Sequence[Cue]) -> str:
    """Lines from all over the video, each to its share of `_MOST_CHARACTERS`; `[Music]` is not said."""
    number = min(len(cues), _MOST_LINES)
    return "\n".join(
        [clean(cues[i * len(cues) // number].text[: _MOST_CHARACTERS // number]) for i in range(number)]
    )


def _probabilities(text: str) -> dict[str, float]:
    """Probabilities in 0..1, the likeliest language first."""
    return dict(_identifier().rank(text))


@cache
def _identifier() -> Any:
    """The detector; reading its table takes a third of a second, once per process."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
