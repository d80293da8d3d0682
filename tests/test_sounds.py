"""What is not said leaves a line; what is said stays, and at its place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellvision.corpus.captions import words_of
from tellvision.corpus.sounds import blank, clean


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[Music]", ""),
        ("[музыка] привет", "привет"),
        ("[ __ ] now", "now"),
        ("［拍手］【音楽】 now", "now"),
        ("(applause)", ""),
        ("(Upbeat music playing) hi", "hi"),
        ("(Musik) hallo (аплодисменты)", "hallo"),
        ("（音楽）now", "now"),
        ("*music* now *laughs softly*", "now"),
        ("♪ la la ♪", "la la"),
        (">> Yes. >> No.", "Yes. No."),
        (">>> yes >>no", "yes no"),
        ("- Stir it", "Stir it"),
        ("[laughs] - Stir it", "Stir it"),
        (r"{\an8}{\i1}Stir\Nit\hwell", "Stir it well"),
        ("stir\u00a0 it \n well", "stir it well"),
        # what is said
        ("add sugar (about two cups) now", "add sugar (about two cups) now"),
        ("the oil (it sizzles now) is hot", "the oil (it sizzles now) is hot"),
        ("(clap your hands) twice", "(clap your hands) twice"),
        ("a musical (musically) note", "a musical (musically) note"),
        ("this is *really* good, 3 * 4 * 5", "this is *really* good, 3 * 4 * 5"),
        ("3 * sound * 4 and 3*noise*4", "3 * sound * 4 and 3*noise*4"),
        ("-5 degrees, a >= b", "-5 degrees, a >= b"),
        ("well-done [unclosed", "well-done [unclosed"),
        ("[" + "a long thought " * 6 + "]", "[" + "a long thought " * 6 + "]"),
        ("(laughs " + "a long thought " * 6 + ")", "(laughs " + "a long thought " * 6 + ")"),
        ("((((", "(((("),
        ("{a note} STEP 1: stir", "{a note} STEP 1: stir"),
    ],
)
def test_by_hand(text, said):
    assert clean(text) == said
    assert len(blank(text)) == len(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("JOHN: stir it", "stir it"),
        (">> MAN 1: stir it", "stir it"),
        ("- DR. O'NEIL-SMITH: stir it", "stir it"),
        ("[laughs] MARY ANN: yes", "yes"),
        ("JOHN stir it: now", "JOHN stir it: now"),
        ("John: stir it", "John: stir it"),
        ("at 12:30 or A:B", "at 12:30 or A:B"),
        ("say STOP: then go", "say STOP: then go"),
    ],
)
def test_names_of_speakers_go_where_asked(text, said):
    assert clean(text, names=True) == said
    assert "stir" not in text or "stir" in clean(text)


ORDINARY = st.sampled_from(
    ["stir", "The", "eggs", "it's", "2", "well-done", "I", "été", "music", "sounds", "яйца"]
)
MARKS = st.sampled_from([" ", ", ", " - ", " >> ", " ♪ ", "! ", " * ", " > ", "/", "\n", " – ", " ) "])
TAGS = st.sampled_from(["[Music]", "(applause)", "♪♪", "*laughs*", "[ __ ]", r"{\an8}", "(crowd cheering)", ">>"])


@given(st.lists(st.tuples(ORDINARY, MARKS), max_size=8))
def test_words_never_go(parts):
    text = "".join(word + mark for word, mark in parts)
    assert words_of(clean(text, names=True)) == words_of(text)


@given(st.lists(st.tuples(ORDINARY, TAGS | st.just("")), max_size=8))
def test_tags_go_and_words_stay_at_their_place(parts):
    text = " ".join(f"{word} {tag}" for word, tag in parts)
    blanked = blank(text)
    assert words_of(blanked) == [found for word, _ in parts for found in words_of(word)]
    assert len(blanked) == len(text)
    assert all(after in (before, " ") for before, after in zip(text, blanked, strict=True))


@given(st.text(alphabet="[](){}*\\N>-–♪A:.hmusic \n（）［］", max_size=60), st.booleans())
def test_any_text(text, names):
    blanked = blank(text, names=names)
    assert len(blanked) == len(text)
    assert clean(text, names=names) == " ".join(blanked.split())


@pytest.mark.parametrize(
    "part", ["[", "(", "*", "(music ", "*music ", ">>", ">> ", "-", "A", "A ", "{\\", " ", "♪a", "\\"]
)
def test_a_megabyte_of_brackets_takes_linear_time(part):
    text = part * (1_000_000 // len(part))
    assert len(blank(text, names=True)) == len(text)
    assert len(blank(text + ".", names=True)) == len(text) + 1
