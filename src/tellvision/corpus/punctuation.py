"""Where the punctuation of a text ends a sentence, and where a full stop only shortens a word.

`sentences` cuts there. The rules are those a reader would use: what stands before the mark
(`Mr.`, `2.`, `J.`), and whether the next word begins with a capital where the text has any.
"""

from collections.abc import Sequence

_CLOSING = "\"'”’»)]}*」』"
_OPENING = "\"'“‘«([{¿¡*-–—「『"
MARKS = _CLOSING + _OPENING + ",;:"
"""What may stand around a word and does not belong to it."""

_ENDS = frozenset(".!?…。！？।؟")
_COMMAS = frozenset(",;:，、；：–—")
_NEVER_ENDS_LIST = "mr mrs ms dr prof st mt vs e.g i.e approx fig vol"
_NEVER_ENDS = frozenset(_NEVER_ENDS_LIST.split())
_SELDOM_ENDS_LIST = """
etc oz tbsp tsp lb lbs min mins sec hr hrs ft cm mm ml kg pt qt gal inc ltd co jr
"""
_SELDOM_ENDS = frozenset(_SELDOM_ENDS_LIST.split())


def sentence_ends(words: Sequence[str]) -> list[int]:
    """The words, by place, whose punctuation ends a sentence, in order; the last word only if it does so too.

    A full stop ends none behind a title or an initial (`Dr.`, `J.`) nor behind the number that
    opens a sentence (`1. Preheat`). Behind a unit or a short form (`oz.`, `a.m.`), and behind an
    ellipsis, it does where a capital follows. Nothing does before a word in lower case, unless
    the text is written without capitals.

    >>> sentence_ends("Add 2.5 oz. of salt. Stir... then wait! 1. Dr. Oz eats.".split())
    [4, 7, 11]
    """
    marks = {word for word in set(words) if _mark(word)}
    marked = [i for i, word in enumerate(words) if word in marks]
    followers = [words[i + 1] if i + 1 < len(words) else "" for i in marked]
    cases = [_case(word) for word in [*words[:1], *followers]]
    cased = cases.count(1) >= cases.count(-1)
    ends: list[int] = []
    sentence = 0
    for i, follower, case in zip(marked, followers, cases[1:], strict=True):
        if (not cased or case >= 0) and _ends_sentence(words[i], follower, cased, first=i == sentence):
            ends.append(i)
            sentence = i + 1
    return ends


def pauses(word: str) -> bool:
    """Whether a comma or the like stands behind the word."""
    return word[-1:] in _COMMAS


def _mark(word: str) -> bool:
    last = word[-1:]
    return last in _ENDS or (last in _CLOSING and word.rstrip(_CLOSING)[-1:] in _ENDS)


def _case(word: str) -> int:
    """1: the word begins with a capital; -1: with a small letter; 0: with neither."""
    letter = word.lstrip(_OPENING)[:1]
    return 1 if letter.isupper() else -1 if letter.islower() else 0


def _ends_sentence(word: str, follower: str, cased: bool, *, first: bool) -> bool:
    core = word.rstrip(_CLOSING)
    capital = not follower or (cased and _case(follower) > 0)
    if core[-1] == "…" or core.endswith(".."):
        return capital
    if core[-1] != ".":
        return True
    core = core[:-1].lstrip(_OPENING)
    lower = core.lower()
    if lower in _NEVER_ENDS or (len(core) == 1 and core.isupper() and core != "I"):
        return False
    if lower in _SELDOM_ENDS or ("." in core and all(len(letter) == 1 for letter in core.split("."))):
        return capital
    if lower == "no" and follower[:1].isdigit():
        return False
    return not (first and core.isdigit())
