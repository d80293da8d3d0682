"""Cues -> Captions: no repeats, no sound tags, in order; stop words leave only what training reads."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellvision.corpus.captions import (
    SOURCES,
    CaptionConfig,
    captions_of,
    clean,
    stop_words,
    without_stop_words,
    words_of,
)
from tellvision.records import Caption, Cue, InputError, Word


def test_by_hand() -> None:
    cues = [
        Cue(4.0, 6.0, "  crack\u00a0two \n eggs "),
        Cue(0.0, 2.0, "[Music]"),
        Cue(1.0, 3.0, ">> Hello (laughs) everyone ♪"),
        Cue(6.0, 7.0, "..."),
        Cue(7.0, 8.0, ""),
    ]
    assert captions_of("v", cues, "typed") == [
        Caption("v", 0, 1.0, 3.0, "Hello everyone", "typed"),
        Caption("v", 1, 4.0, 6.0, "crack two eggs", "typed"),
    ]
    assert captions_of("v", [], "heard") == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("[Music]", ""),
        ("[ __ ] now", "now"),
        ("(applause)", ""),
        ("(Upbeat music playing) hi", "hi"),
        ("♪ la la ♪", "la la"),
        ("add sugar (about two cups) now", "add sugar (about two cups) now"),
        ("a musical (musically) note", "a musical (musically) note"),
        (">> Yes. >> No.", "Yes. No."),
        (">>> yes >>no", "yes no"),
        ("- Stir it", "Stir it"),
        ("-5 degrees, a >= b", "-5 degrees, a >= b"),
        ("well-done [unclosed", "well-done [unclosed"),
        ("((((", "(((("),
    ],
)
def test_sounds_and_speaker_marks_are_no_narration(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_sounds_stay_where_asked() -> None:
    config = CaptionConfig(drop_sounds=False)
    assert [c.text for c in captions_of("v", [Cue(0, 1, ">> [Music]  (laughs)")], "typed", config)] == [
        ">> [Music] (laughs)"
    ]


def test_a_line_shown_again_is_one_caption() -> None:
    cues = [
        Cue(0, 2, "stir it"),
        Cue(2.1, 3, "stir  it"),
        Cue(0, 2, "stir it"),
        Cue(1, 2, "well"),
        Cue(3.2, 4, "stir it"),
    ]
    assert [(c.start, c.end, c.text) for c in captions_of("v", cues, "typed")] == [
        (0, 3, "stir it"),
        (1, 2, "well"),
        (3.2, 4, "stir it"),  # begins .2 s later: said again
    ]
    assert len(captions_of("v", cues, "typed", CaptionConfig(repeat_gap=0.5))) == 2


def test_a_line_with_word_times_was_said_again() -> None:
    cues = [Cue(0, 1, "uh", (Word(0, "uh"),)), Cue(1, 2, "uh", (Word(1, "uh"),))]
    assert [c.start for c in captions_of("v", cues, "automatic")] == [0, 1]


def test_times_of_nonsense_leave_no_caption() -> None:
    times = [(math.nan, 1), (0, math.nan), (-1, 1), (3, 2), (0, math.inf), (math.inf, math.inf), (5, 5)]
    captions = captions_of("v", [Cue(start, end, "said") for start, end in times], "typed")
    assert [(c.number, c.start, c.end) for c in captions] == [(0, 5, 5)]


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match=r"source='spoken' is none of typed, automatic, translated, heard"):
        captions_of("v", [], "spoken")
    with pytest.raises(InputError, match=r"repeat_gap=nan"):
        CaptionConfig(repeat_gap=math.nan)


@given(
    cues=st.lists(
        st.builds(
            Cue,
            st.floats(-1, 50) | st.just(math.nan),
            st.floats(-1, 50),
            st.text(alphabet="ab [](♪>- \n\u00a0'9", max_size=12),
        ),
        max_size=15,
    )
)
def test_captions_of_any_cues(cues: list[Cue]) -> None:
    captions = captions_of("v", cues, "typed")
    assert [caption.number for caption in captions] == list(range(len(captions)))
    assert [caption.start for caption in captions] == sorted(caption.start for caption in captions)
    for caption in captions:
        assert 0 <= caption.start <= caption.end < math.inf
        assert words_of(caption.text)
        assert caption.text == " ".join(caption.text.split())


def test_stop_words() -> None:
    assert without_stop_words("Now, you're going to crack the eggs!") == "going crack eggs"
    assert without_stop_words("I don’t KNOW") == "KNOW"
    assert without_stop_words("Of the and") == ""
    assert without_stop_words("") == ""
    assert all(word == word.lower() and words_of(word) == [word] for word in stop_words)
    assert not {"cut", "egg", "stir", "two", "pan", "left"} & stop_words
    assert len(SOURCES) == 4
