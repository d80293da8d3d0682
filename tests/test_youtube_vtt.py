"""YouTube's automatic WebVTT: the short way gives the Cues of the long way, or leaves the file to it."""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tellvision.corpus.subtitles import blocks, rolling, vtt, youtube
from tellvision.records import Cue, Skip, Word

PLACE = " align:start position:0%"
HEADER = "WEBVTT\nKind: captions\nLanguage: en\n\n"
BY_HAND = (
    f"{HEADER}00:00:03.360 --> 00:00:04.150{PLACE}\n \n"
    f"crack<00:00:03.600><c> two</c><00:00:03.760><c> eggs</c>\n\n"
    f"00:00:04.150 --> 00:00:04.160{PLACE}\ncrack two eggs\n \n\n"
    f"00:00:04.160 --> 00:00:05.990{PLACE}\ncrack two eggs\n&gt;&gt; okay,<00:00:05.279><c> now</c>\n\n"
    f"00:00:05.990 --> 00:00:06.000{PLACE}\n \n \n\n"
    f"01:00:06.000 --> 01:00:07.000{PLACE}\n \nwhisk\n"
)


def the_long_way(text: str) -> list[Cue]:
    found, num_bad = blocks.split(text, blank_line_ends=True)
    assert not num_bad
    return rolling.cues_of(found)


def agrees(text: str) -> bool:
    """Whether the short way is taken; if so, it gives what the long way gives, bit by bit."""
    cues = youtube.cues_of(text)
    assert cues is None or repr(cues) == repr(the_long_way(text))
    return cues is not None


def stamp(ms: int) -> str:
    return f"{ms // 3600000:02d}:{ms // 60000 % 60:02d}:{ms // 1000 % 60:02d}.{ms % 1000:03d}"


WORDS = [
    "uh",
    "stir",
    "it's",
    "crème",
    "10%",
    "[ __ ]",
    "&gt;&gt;",
    "R&amp;B",
    "&gt;&gt; okay,",
    "at\xa0least",
    "a&nbsp;b",
]


@st.composite
def files(draw: st.DrawFn) -> str:
    """Files of two to ten lines as YouTube writes them: with and without pauses, complete or not at the end."""
    now, above, out = draw(st.integers(0, 9_000_000)), " ", []
    for _ in range(draw(st.integers(2, 10))):
        start, line = now, []
        for _ in range(draw(st.integers(1, 5))):
            line.append((now, draw(st.sampled_from(WORDS))))
            now += draw(st.integers(0, 900))
        pause = draw(st.integers(0, 5)) == 0
        last = now + 10
        tagged = line[0][1] + "".join(f"<{stamp(ms)}><c> {word}</c>" for ms, word in line[1:])
        out += [f"{stamp(start)} --> {stamp(now)}{PLACE}", above, tagged, ""]
        above = " " if pause else " ".join(word for _, word in line)
        out += [f"{stamp(now)} --> {stamp(last)}{PLACE}", above, " ", ""]
        now = last + draw(st.sampled_from([0, 0, 4000]))
        above = draw(st.sampled_from([above, " "]))
    if draw(st.booleans()):
        del out[-5:]
    return HEADER + "\n".join(out) + draw(st.sampled_from(["", "\n", "\n\n"]))


PIECES = [
    "", " ", "\n", "\n\n", "<", ">", "&", "{", "-->", "-", "a", "0", "9", ":", ".", "<c>", "</c>", "c", "NOTE",
    "&#10;", "&lt;", "&#8203;", "&nbsp;", "\xa0", "\x85", "٣", "{\\an8}", "<c.colorE5E5E5>",
    "<00:00:01.000>", "<00:00:01.000> ", f"00:00:01.000 --> 00:00:02.000{PLACE}",
    f"00:00:02.000 --> 00:00:01.000{PLACE}",
]  # fmt: skip


@st.composite
def edits(draw: st.DrawFn) -> list[tuple[float, int, str]]:
    """A few places of a text, as shares of its length; how much goes there, and what comes instead."""
    one = st.tuples(st.floats(0, 1), st.sampled_from([0, 0, 1, 1, 2, 5, 30]), st.sampled_from(PIECES))
    return draw(st.lists(one, min_size=1, max_size=3))


def edited(text: str, changes: list[tuple[float, int, str]]) -> str:
    for share, length, piece in changes:
        at = int(share * len(text))
        text = text[:at] + piece + text[at + length :]
    return text


def test_by_hand() -> None:
    assert youtube.cues_of(BY_HAND) == [
        Cue(3.36, 4.15, "crack two eggs", (Word(3.36, "crack"), Word(3.6, "two"), Word(3.76, "eggs"))),
        Cue(4.16, 5.99, ">> okay, now", (Word(4.16, ">>"), Word(4.16, "okay,"), Word(5.279, "now"))),
        Cue(3606.0, 3607.0, "whisk", (Word(3606.0, "whisk"),)),
    ]
    assert agrees(BY_HAND)
    assert vtt.parse(BY_HAND) == (the_long_way(BY_HAND), 0)


def test_a_line_is_cut_where_the_next_begins() -> None:
    text = BY_HAND.replace("--> 00:00:04.150", "--> 00:00:05.000")
    assert agrees(text)
    assert [cue.end for cue in youtube.cues_of(text) or ()] == [4.16, 5.99, 3607.0]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("00:00:03.760", "00:00:03.500"),  # a word before the one before it
        ("00:00:03.760", "00:00:09.500"),  # a word behind the next line
        ("00:00:03.760", "99:00:00.000"),
        ("<00:00:03.760>", "<00:03.760>"),
        ("<00:00:03.760>", "<00:00:03,760>"),
        ("<00:00:03.760>", "<00:00:0٣.760>"),
        ("<c> two</c>", "<c>two</c>"),  # one word with that before it
        ("<c> two</c>", "<c.colorE5E5E5> two</c>"),
        ("crack two eggs\n&gt;", "crack eggs\n&gt;"),  # the line before is another
        ("eggs\n \n\n", "eggs\nand whisk\n\n"),  # two lines alone
        ("crack<", "<"),  # the line begins with its second word
        ("two</c>", "-->two</c>"),
        ("whisk", ""),
        ("whisk", "&#8203;"),
        ("01:00:07.000", "00:00:07.000"),  # ends before it begins
        ("01:00:06.000 -->", "01:00:6.000 -->"),
        (PLACE, " align:start"),
        (PLACE, ""),
        ("\n\n00:00:04.150", "\n\n7\n00:00:04.150"),
        ("\n\n00:00:04.150", "\n\nNOTE so\n\n00:00:04.150"),
    ],
)
def test_what_departs_from_the_form_is_left_alone(old: str, new: str) -> None:
    assert old in BY_HAND
    assert youtube.cues_of(BY_HAND.replace(old, new)) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Language: en", "Language: de\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000"),
        (f"04.150{PLACE}", f"04.150{PLACE} line:0%"),
        ("crack two eggs\n&gt;", " \n&gt;"),  # the line before has gone
        ("okay,<00:00:05.279><c> now</c>", "okay, now"),
        ("whisk\n", f"whisk\n\n01:00:07.000 --> 01:00:07.010{PLACE}\nwhisk\n "),
    ],
)
def test_what_still_has_the_form(old: str, new: str) -> None:
    assert old in BY_HAND
    assert agrees(BY_HAND.replace(old, new))


@pytest.mark.parametrize(
    "text", ["", "\n", "WEBVTT", "WEBVTT\n\n", HEADER + "\n", BY_HAND[: len(HEADER) + 60], "\n \n" * 9]
)
def test_nothing_and_little(text: str) -> None:
    assert youtube.cues_of(text) is None


def test_a_single_line() -> None:
    text = f"{HEADER}00:00:01.000 --> 00:00:02.000{PLACE}\n \nstir<00:00:01.500><c> it</c>\n"
    assert agrees(text)
    assert youtube.cues_of(text) == [Cue(1.0, 2.0, "stir it", (Word(1.0, "stir"), Word(1.5, "it")))]


def test_no_word_has_a_time() -> None:
    row = "00:00:00.000 --> 00:00:01.000" + PLACE
    assert youtube.cues_of(f"{HEADER}{row}\n \nstir\n\n{row}\nstir\n \n\n{row}\nstir\nagain\n") is None


def test_more_cues_than_anyone_says() -> None:
    timing = "00:00:00.000 --> 00:00:00.000" + PLACE
    line = f"{timing}\n \na<00:00:00.000><c> b</c>\n\n{timing}\n \n \n\n"
    assert youtube.cues_of(HEADER + line * (blocks.MOST_CUES // 2)) is not None
    with pytest.raises(Skip, match="unreadable_subtitles"):
        vtt.parse(HEADER + line * (blocks.MOST_CUES // 2 + 1))


@settings(max_examples=150, deadline=None)
@given(files())
def test_in_form_it_is_the_short_way(text: str) -> None:
    assert agrees(text) == ("<" in text.replace(HEADER, ""))


@settings(max_examples=300, deadline=None)
@given(files(), edits())
def test_out_of_form_it_gives_nothing_else(text: str, changes: list[tuple[float, int, str]]) -> None:
    agrees(edited(text, changes))


@pytest.mark.parametrize("number", range(7))
def test_real_files_edited(real_data: Path, number: int) -> None:
    path = sorted((real_data / "youtube_rolling_captions").glob("*.vtt"))[number]
    body = blocks.decode(path.read_bytes()).partition("\n\n")[2].split("\n")
    rng = random.Random(number)
    for _ in range(40):
        at = rng.randrange(len(body) // 8) * 8
        part = "\n".join(body[at : at + rng.choice([3, 8, 24, 43])])
        change = rng.random(), rng.choice([0, 0, 1, 2, 30]), rng.choice(PIECES)
        agrees(HEADER + edited(part, [change]))


def test_real_files(real_data: Path) -> None:
    """Six of the seven are in the form; one marks its words with colours."""
    paths = sorted((real_data / "youtube_rolling_captions").glob("*.vtt"))
    assert sum(agrees(blocks.decode(path.read_bytes())) for path in paths) == 6
