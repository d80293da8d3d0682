"""Lines -> sentences: no word lost or doubled, cut at full stops, else at pauses, times from the words."""

import itertools
import math
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tellvision.corpus import subtitles
from tellvision.corpus.captions import CaptionConfig, captions_of
from tellvision.corpus.clips import clips_of
from tellvision.corpus.punctuation import sentence_ends
from tellvision.corpus.sentences import LONG_PAUSE, LONGEST_WORD, SentenceConfig, sentences_of
from tellvision.records import Cue, InputError, Word


def timed(*words, end=None):
    """One cue of (start, word) pairs."""
    return Cue(
        words[0][0],
        end or words[-1][0] + 0.3,
        " ".join(w for _, w in words),
        tuple(itertools.starmap(Word, words)),
    )


def spoken(text, start=0.0, letter=0.05, pauses=()):
    """Lines of seven words, each word as long as its letters and one more; (word's place, seconds) pauses."""
    pauses, at, words = dict(pauses), start, []
    for i, word in enumerate(text.split()):
        words.append((round(at, 6), word))
        at += letter * (len(word) + 1) + pauses.get(i, 0.0)
    rows = [words[i : i + 7] for i in range(0, len(words), 7)]
    ends = [row[0][0] for row in rows[1:]] + [at]
    return [timed(*row, end=end) for row, end in zip(rows, ends, strict=True)]


def shown(sentences):
    return [(round(s.start, 3), round(s.end, 3), s.text) for s in sentences]


def texts(sentences):
    return [s.text for s in sentences]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Crack two eggs. Stir them! Done? Good.", ["Crack two eggs.", "Stir them!", "Done?", "Good."]),
        ("Add 2.5 cups of Mr. Smith's flour. Mix it.", ["Add 2.5 cups of Mr. Smith's flour.", "Mix it."]),
        ("Ask J. Kenji or Dr. Oz. He knows.", ["Ask J. Kenji or Dr. Oz.", "He knows."]),
        ("So do I. We all do.", ["So do I.", "We all do."]),
        ("Add 8 oz. of butter, salt etc. Then stir.", ["Add 8 oz. of butter, salt etc.", "Then stir."]),
        (
            "We start at 9 a.m. sharp. Come to the U.S. We do.",
            ["We start at 9 a.m. sharp.", "Come to the U.S.", "We do."],
        ),
        ("Well... I think so. Wait... what is it?", ["Well...", "I think so.", "Wait... what is it?"]),
        (
            'He said "stop." Then "really?" he asked. (Yes.) OK.',
            ['He said "stop."', 'Then "really?" he asked.', "(Yes.)", "OK."],
        ),
        (
            "1. Preheat the oven. 2. Grease a pan. Use pan no. 5.",
            ["1. Preheat the oven.", "2. Grease a pan.", "Use pan no. 5."],
        ),
        ("It was in 2021. Then it broke.", ["It was in 2021.", "Then it broke."]),
        ("Ça va ? Oui ! Bien sûr.", ["Ça va ?", "Oui !", "Bien sûr."]),
        (
            "guys , jason here today. and i 'm with stillman. he cooks.",
            ["guys , jason here today.", "and i 'm with stillman.", "he cooks."],
        ),
        ("no stop at all", ["no stop at all"]),
    ],
)
def test_full_stops(text, sentences):
    assert texts(sentences_of([Cue(0, 10, text)])) == sentences


def test_sentence_ends_count_words():
    assert sentence_ends([]) == []
    assert texts(sentences_of([Cue(0, 1, "? - yes ! ...")])) == ["? - yes ! ..."]
    assert sentence_ends(["", ".", "?!", "..."]) == [1, 2, 3]
    assert sentence_ends(["a", "b.", "c"]) == [1]


def test_typed_words_are_spread_by_letters_and_sentences_cross_cues():
    # "Cut it." is 4 + 4 of the 20 letters and spaces of its cue, which lasts 10 s.
    cues = [Cue(0, 10, "Cut it. Now add the"), Cue(10, 12, "onions and stir."), Cue(20, 22, "Serve it.")]
    assert shown(sentences_of(cues)) == [
        (0, 4, "Cut it."),
        (4, 12, "Now add the onions and stir."),
        (20, 22, "Serve it."),
    ]


def test_a_typed_line_before_a_blank_screen_ends_a_sentence():
    cues = [
        Cue(0, 2, "hello everyone"),
        Cue(2.5, 4, "first the Plank"),
        Cue(4.5, 6, "Lie on the"),
        Cue(6.5, 8, "floor, with care,"),
        Cue(8.5, 10, "and wait. Good."),
    ]
    assert texts(sentences_of(cues)) == [
        "hello everyone",
        "first the Plank",
        "Lie on the floor, with care, and wait.",
        "Good.",
    ]


def test_typed_lines_without_punctuation_are_cut_where_the_screen_is_blank():
    cues = [Cue(0, 2, "crack two eggs into a"), Cue(2, 4, "bowl and whisk them"), Cue(4.5, 6, "now heat some oil")]
    assert shown(sentences_of(cues)) == [
        (0, 4, "crack two eggs into a bowl and whisk them"),
        (4.5, 6, "now heat some oil"),
    ]


def test_spoken_words_are_cut_at_pauses():
    cues = spoken("crack two eggs into a bowl and whisk them well then heat some oil in a pan", pauses=[(9, 0.5)])
    sentences = sentences_of(cues)
    assert texts(sentences) == ["crack two eggs into a bowl and whisk them well", "then heat some oil in a pan"]
    words = [word for cue in cues for word in cue.words]
    assert sentences[0].start == 0
    assert sentences[0].end == sentences[1].start == words[10].start
    assert sentences[1].end == cues[-1].end


def test_no_pause_behind_an_article_ends_a_sentence():
    text = "crack two eggs into the big bowl and whisk them well with a fork"
    assert len(sentences_of(spoken(text, pauses=[(4, 0.5)]))) == 1  # into the ... big bowl
    assert len(sentences_of(spoken(text, pauses=[(4, LONG_PAUSE)]))) == 2
    assert len(sentences_of(spoken(text, pauses=[(6, 0.5)]))) == 2  # big bowl ... and


def test_a_short_piece_goes_where_the_pause_is_shorter():
    text = "crack two eggs into bowls really well heat some oil in pans"
    assert texts(sentences_of(spoken(text, pauses=[(4, 0.5), (6, 0.7)]))) == [
        "crack two eggs into bowls really well",
        "heat some oil in pans",
    ]
    assert texts(sentences_of(spoken(text, pauses=[(4, 0.7), (6, 0.5)]))) == [
        "crack two eggs into bowls",
        "really well heat some oil in pans",
    ]
    alone = sentences_of(spoken(text, pauses=[(4, 3.0), (6, 3.0)]))
    assert texts(alone)[1] == "really well"
    assert alone[0].end == pytest.approx(alone[1].start - 3.3 + LONGEST_WORD)  # "bowls", then silence


def test_punctuated_speech_is_cut_at_its_stops_not_at_pauses():
    text = "Crack two eggs into the big bowl and whisk them. Then heat some oil."
    cues = spoken(text, pauses=[(6, 1.0)])
    assert texts(sentences_of(cues)) == ["Crack two eggs into the big bowl and whisk them.", "Then heat some oil."]
    assert len(sentences_of(spoken(text, pauses=[(6, LONG_PAUSE)]))) == 3


def test_long_sentences_are_cut_where_it_hurts_least():
    config = SentenceConfig(max_words=8, min_words=2)
    text = "take all of these red apples and cut them into very thin even slices"
    assert texts(sentences_of(spoken(text), config)) == [
        "take all of these red apples",  # before "and"
        "and cut them into very thin even slices",
    ]
    commas = "take all of Sweden's, red apples and cut them into very thin even slices."
    assert texts(sentences_of(spoken(commas), config))[0] == "take all of Sweden's,"
    slow = sentences_of(spoken(text, letter=0.5), SentenceConfig(max_seconds=15, min_words=2))
    assert all(s.end - s.start <= 15 for s in slow)
    assert len(slow) > 1


def test_a_caption_that_stands_while_others_come_is_said_before_them():
    cues = [Cue(0, 600, "please subscribe to us"), Cue(5, 7, "crack two eggs."), Cue(7, 9, "stir them.")]
    assert shown(sentences_of(cues)) == [(0, 7, "please subscribe to us crack two eggs."), (7, 9, "stir them.")]


def test_times_of_words_are_those_of_the_cue_where_they_are_nonsense():
    words = (Word(math.nan, "one"), Word(-5.0, "two."), Word(math.inf, "three"), Word(1.0, "four."))
    assert shown(sentences_of([Cue(1, 3, "one two. three four.", words)])) == [
        (1, 3, "one two."),
        (3, 3, "three four."),
    ]
    other = (Word(1.0, "something"), Word(2.0, "else"))  # not the words of the text, which is what is shown
    assert shown(sentences_of([Cue(0, 4, "one. two.", other)])) == [(0, 2, "one."), (2, 4, "two.")]


def test_nothing_said():
    assert sentences_of([]) == []
    assert sentences_of([Cue(0, 1, ""), Cue(1, 2, " ")]) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"pause": -1.0},
        {"pause": math.nan},
        {"max_seconds": 0.0},
        {"max_seconds": math.nan},
        {"min_words": 0},
        {"min_words": 9, "max_words": 8},
    ],
)
def test_wrong_settings_are_named(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        SentenceConfig(**wrong)


WORDS = st.sampled_from(
    [
        "the",
        "egg",
        "Stir",
        "so",
        "it.",
        "Mr.",
        "oz.",
        "5.",
        "what?",
        '"yes."',
        "...",
        "-",
        "and",
        "I'm",
        "好。",
        "well,",
    ]
)


@st.composite
def narrations(draw):
    """Cues as `captions_of` hands them on: sorted, of finite times, each saying a word; words timed anyhow."""
    cues = []
    for start in sorted(draw(st.lists(st.floats(0, 60), max_size=6))):
        words = [*draw(st.lists(WORDS, max_size=3)), "egg", *draw(st.lists(WORDS, max_size=6))]
        end = start + draw(st.sampled_from([0.0, 0.5, 4.0, 1000.0]))
        times = st.floats(0, 100) | st.sampled_from([math.nan, math.inf, -1.0])
        own = [Word(draw(times), word) for word in words] if draw(st.booleans()) else []
        cues.append(Cue(start, end, " ".join(words), tuple(own)))
    return cues


CONFIGS = st.builds(
    lambda pause, least, more, seconds: SentenceConfig(
        pause=pause, min_words=least, max_words=least + more, max_seconds=seconds
    ),
    st.sampled_from([0.0, 0.2, 1.0]),
    st.integers(1, 4),
    st.integers(0, 10),
    st.sampled_from([0.1, 3.0, 20.0]),
)


@settings(max_examples=100, deadline=None)
@given(narrations(), CONFIGS)
def test_every_word_once_in_order_at_its_time(cues, config):
    sentences = sentences_of(cues, config)
    assert [w for s in sentences for w in s.text.split()] == [w for c in cues for w in c.text.split()]
    assert [s.start for s in sentences] == sorted(s.start for s in sentences)
    for sentence in sentences:
        assert 0 <= sentence.start <= sentence.end < math.inf
        assert re.search(r"\w", sentence.text)
        assert sum(bool(re.search(r"\w", word)) for word in sentence.text.split()) <= config.max_words


def test_many_cues_and_long_ones_take_linear_time():
    began = time.process_time()
    assert len(sentences_of([Cue(i, i + 1, "and so on") for i in range(200_000)])) > 1000
    assert len(sentences_of([Cue(0, 3600, "stir it well. " * 70_000)])) == 70_000
    sentences_of([Cue(0, 3600, "word " * 200_000)], SentenceConfig(max_words=10**9, max_seconds=1e9))
    sentences_of([Cue(0, 3600, "." * 1_000_000 + "x")])
    assert time.process_time() - began < 60


def test_sentences_become_captions_and_clips():
    cues = [
        Cue(0, 2, "[Music] >> Cut"),
        *spoken("Cut it now. Then add the [Applause] red onions and stir.", start=2),
    ]
    captions = captions_of("v", cues, "automatic", CaptionConfig(unit="sentences"))
    assert [c.text for c in captions] == ["Cut Cut it now.", "Then add the red onions and stir."]
    assert [c.number for c in captions] == [0, 1]
    clips, dropped = clips_of(captions, 60.0)
    assert [c.clip_id for c in clips] == ["v#0", "v#1"]
    assert not dropped


def test_real_rolling_captions(real_data):
    """Every word of the lines once, in order, in sentences of a speakable length."""
    for path in sorted((real_data / "youtube_rolling_captions").glob("*.vtt")):
        cues = subtitles.read(path)
        lines = captions_of("v", cues, "automatic")
        sentences = captions_of("v", cues, "automatic", CaptionConfig(unit="sentences"))
        words = [word for line in lines for word in line.text.split()]
        assert [word for s in sentences for word in s.text.split()] == words
        assert [s.start for s in sentences] == sorted(s.start for s in sentences)
        own = {word.start for cue in cues for word in cue.words}
        assert {s.start for s in sentences} <= own
        assert max(len(s.text.split()) for s in sentences) <= SentenceConfig().max_words + 2
        assert 5 < len(words) / len(sentences) < 25


def agreement(found, truth, seconds=0.5):
    """F1 of two rising lists of times, those within so many seconds of each other being the same."""
    found, truth, same = list(found), list(truth), 0
    sizes = len(found) + len(truth)
    while found and truth:
        if abs(found[-1] - truth[-1]) <= seconds:
            same += 1
            found.pop()
            truth.pop()
        else:
            (found if found[-1] > truth[-1] else truth).pop()
    return 2 * same / sizes


def test_pauses_find_the_full_stops_of_real_speech(real_data):
    """Automatic captions that have full stops, without them: sentences begin nearer to the truth than lines do."""
    for name in ("concessa_loa_law_of_mind", "smagnacca_video"):
        cues = subtitles.read(real_data / "youtube_rolling_captions" / f"{name}.en.vtt")
        truth = [s.start for s in sentences_of(cues)]
        bare = []
        for cue in cues:
            words = tuple(Word(w.start, re.sub(r"[^\w']", "", w.text).lower() or "uh") for w in cue.words)
            bare.append(Cue(cue.start, cue.end, " ".join(w.text for w in words), words))
        by_sentences = agreement([s.start for s in sentences_of(bare)], truth)
        by_lines = agreement([cue.start for cue in cues], truth)
        assert by_sentences > max(0.4, 1.2 * by_lines)
