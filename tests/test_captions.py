"""Cues -> Captions: no repeats, no sound tags, in order; stop words leave only what training reads."""

import math
from collections import Counter
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellvision.corpus.captions import (
    SOURCES,
    CaptionConfig,
    captions_of,
    lines_of,
    stop_words,
    without_stop_words,
    words_of,
)
from tellvision.records import Caption, Cue, InputError, Skip, Word


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


def test_sounds_stay_where_asked() -> None:
    config = CaptionConfig(drop_sounds=False)
    assert [c.text for c in captions_of("v", [Cue(0, 1, ">> [Music]  (laughs)")], "typed", config)] == [
        ">> [Music] (laughs)"
    ]


def test_names_of_speakers_go_where_asked() -> None:
    cues = [Cue(0, 1, "JOHN: stir it"), Cue(2, 3, "MARY:")]
    assert [c.text for c in captions_of("v", cues, "typed", CaptionConfig(drop_names=True))] == ["stir it"]
    assert [c.text for c in captions_of("v", cues, "typed")] == ["JOHN: stir it", "MARY:"]


def test_words_keep_their_times_when_sounds_go() -> None:
    words = ("[", "__", "]", ">>no", "more", "[Music]", "here")
    cue = Cue(1, 9, " ".join(words), tuple(Word(1.0 + i, word) for i, word in enumerate(words)))
    assert lines_of([cue], CaptionConfig(unit="sentences")) == [
        Cue(1, 9, "no more here", (Word(4.0, "no"), Word(5.0, "more"), Word(7.0, "here")))
    ]
    plain = Cue(0, 1, "stir it", (Word(0, "stir"), Word(0.5, "it")))
    assert lines_of([plain], CaptionConfig())[0] is plain


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


def test_what_leaves_no_line_is_counted() -> None:
    cues = [
        Cue(0, 1, "[Music]"),
        Cue(1, 2, "stir it"),
        Cue(2, 3, "stir it"),
        Cue(3, 4, "stir it"),
        Cue(4, 4.5, "♪"),
        Cue(9, 8, "reversed"),
        Cue(9, 10, "eat"),
    ]
    dropped = Counter(bad_times=2)  # of a file, whose reader counts those that it did not even read
    assert len(captions_of("v", cues, "typed", dropped=dropped)) == 2
    assert dropped == {"bad_times": 3, "sounds": 2, "repeats": 2}
    sentences = Counter[str]()
    captions_of("v", cues, "typed", CaptionConfig(unit="sentences"), sentences)
    assert sentences == {"bad_times": 1, "sounds": 2, "repeats": 2}
    none = Counter[str]()
    captions_of("v", [Cue(0, 1, "eat")], "typed", dropped=none)
    assert dict(none) == {}


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match=r"source='spoken' is none of typed, automatic, translated, heard"):
        captions_of("v", [], "spoken")
    with pytest.raises(InputError, match=r"unit='words' is no kind of caption: give lines or sentences"):
        CaptionConfig(unit="words")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"repeat_gap=nan"):
        CaptionConfig(repeat_gap=math.nan)


@given(
    cues=st.lists(
        st.builds(
            Cue,
            st.floats(-1, 50) | st.just(math.nan),
            st.floats(-1, 50),
            st.text(alphabet="ab [](♪>- .?\n\u00a0'9", max_size=12),
            st.lists(st.builds(Word, st.floats(), st.sampled_from(["a", "b.", " b", ""])), max_size=3).map(tuple),
        ),
        max_size=15,
    ),
    unit=st.sampled_from(["lines", "sentences"]),
)
def test_captions_of_any_cues(cues: list[Cue], unit: Literal["lines", "sentences"]) -> None:
    config = CaptionConfig(unit=unit)
    dropped = Counter[str]()
    captions = captions_of("v", cues, "typed", config, dropped)
    if unit == "lines":
        assert len(captions) + dropped.total() == len(cues)
    said = [word for line in lines_of(cues, config) for word in line.text.split()]
    assert [word for caption in captions for word in caption.text.split()] == said
    assert [caption.number for caption in captions] == list(range(len(captions)))
    assert [caption.start for caption in captions] == sorted(caption.start for caption in captions)
    for caption in captions:
        assert 0 <= caption.start <= caption.end < math.inf
        assert words_of(caption.text)
        assert caption.text == " ".join(caption.text.split())


@pytest.mark.parametrize("unit", ["lines", "sentences"])
def test_a_megabyte_and_very_many_cues_take_linear_time(unit: Literal["lines", "sentences"]) -> None:
    config = CaptionConfig(unit=unit)
    if unit == "lines":
        with pytest.raises(Skip, match="899,999 letters in one of its lines"):
            captions_of("v", [Cue(0, 9, "[ (music " * 100_000)], "typed", config)
    else:
        assert len(captions_of("v", [Cue(0, 9, "[ (music " * 100_000)], "typed", config)) >= 1
    with pytest.raises(Skip, match="unreadable_subtitles"):
        captions_of("v", [Cue(0, 9, "a" * 1_000_000)], "typed", config)
    assert captions_of("v", [Cue(9, math.nan, "said")] * 1_000_000, "typed", config) == []
    assert len(captions_of("v", [Cue(1, 2, "stir it")] * 300_000, "typed", config)) == 1
    backwards = [Cue(i, i + 1, f"stir it {i}.") for i in range(50_000, 0, -1)]
    assert len(captions_of("v", backwards, "typed", config)) == 50_000


def test_stop_words() -> None:
    assert without_stop_words("Now, you're going to crack the eggs!") == "going crack eggs"
    assert without_stop_words("I don’t KNOW") == "KNOW"
    assert without_stop_words("Of the and") == ""
    assert without_stop_words("") == ""
    assert all(word == word.lower() and words_of(word) == [word] for word in stop_words)
    assert not {"cut", "egg", "stir", "two", "pan", "left"} & stop_words
    assert len(SOURCES) == 4
