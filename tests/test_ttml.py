"""TTML and DFXP -> Cues: every way to write a time, by hand."""

from pathlib import Path

import pytest

from cues import read
from tellvision.corpus import subtitles
from tellvision.corpus.subtitles import ttml
from tellvision.records import Cue, Skip, Word


def document(body: str, root: str = "") -> str:
    return f"""<?xml version="1.0" encoding="utf-8"?>
<tt xmlns="http://www.w3.org/ns/ttml" xmlns:ttp="http://www.w3.org/ns/ttml#parameter" xml:lang="en" {root}>
<head><metadata><title>no</title></metadata><layout><region xml:id="r1"/></layout></head>
<body region="r1"><div>{body}</div></body></tt>"""


def test_as_yt_dlp_writes_it(tmp_path: Path) -> None:
    text = document(
        '<p begin="00:00:01.500" end="00:00:03.000" style="s1">Preheat the <span tts:color="red">oven</span><br/>'
        'to 200&#176;C</p>\n<p begin="00:00:03.000" end="01:00:04.250">and &amp; wait&nbsp;<metadata/></p>'
        '<p begin="00:00:09.000" end="00:00:10.000"/>'
    )
    expected = [Cue(1.5, 3.0, "Preheat the oven to 200°C"), Cue(3.0, 3604.25, "and & wait")]
    for ending in (".ttml", ".dfxp", ".xml"):
        assert read(tmp_path, text, ending) == expected
        assert subtitles.source_of(tmp_path / f"x{ending}") == "typed"


def test_names_with_a_prefix_and_times_that_nest(tmp_path: Path) -> None:
    text = """<tt:tt xmlns:tt="http://www.w3.org/ns/ttml"><tt:body begin="10s"><tt:div begin="1m" end="100s">
<tt:p begin="1.5s" dur="2s">crack</tt:p><tt:p begin="3s">stir</tt:p><tt:p begin="29s" end="40s">bake</tt:p>
</tt:div></tt:body></tt:tt>"""
    assert read(tmp_path, text, ".ttml") == [
        Cue(71.5, 73.5, "crack"),
        Cue(73.0, 110.0, "stir"),  # the division ends at 10 + 100
        Cue(99.0, 110.0, "bake"),
    ]


def test_times_of_spans_are_those_of_their_words(tmp_path: Path) -> None:
    text = document(
        '<p begin="2s" end="4s"><span>crack </span><span begin="0.3s">two '
        '<span begin="200ms">big</span></span> eggs</p>'
        '<p begin="4s" end="6s">now <span begin="soon">wait</span></p>'
    )
    assert read(tmp_path, text, ".ttml") == [
        Cue(2.0, 4.0, "crack two big eggs",
            (Word(2.0, "crack"), Word(2.3, "two"), Word(2.5, "big"), Word(2.5, "eggs"))),
        Cue(4.0, 6.0, "now wait", (Word(4.0, "now"), Word(4.0, "wait"))),
    ]  # fmt: skip
    assert subtitles.source_of(tmp_path / "x.ttml") == "automatic"


@pytest.mark.parametrize(
    ("root", "time", "seconds"),
    [
        ("", "00:01:02.345", 62.345),
        ("", "01:02", 62.0),
        ("", "100:00:00", 360000.0),
        ("", "00:00:01:15", 1.5),
        ('ttp:frameRate="25"', "00:00:01:12", 1.48),
        ('ttp:frameRate="25"', "00:00:01:12.5", 1.48),
        ('ttp:frameRate="30" ttp:frameRateMultiplier="1000 1001"', "30f", 1.001),
        ('ttp:frameRate="30" ttp:frameRateMultiplier="1000:1001"', "30f", 1.001),
        ('ttp:tickRate="10000000"', "12345000t", 1.2345),
        ('ttp:frameRate="50"', "100t", 2.0),
        ('ttp:frameRate="50" ttp:subFrameRate="2"', "100t", 1.0),
        ('ttp:frameRate="0" ttp:tickRate="x"', "3t", 3.0),
        ("", "1.5s", 1.5),
        ("", "100ms", 0.1),
        ("", "0.5m", 30.0),
        ("", "2h", 7200.0),
        ("", " 12.5 ", 12.5),
    ],
)
def test_every_way_to_write_a_time(tmp_path: Path, root: str, time: str, seconds: float) -> None:
    cues = read(tmp_path, document(f'<p begin="{time}" dur="1s">a</p>', root), ".ttml")
    assert cues == [Cue(pytest.approx(seconds, abs=1e-6), pytest.approx(seconds + 1, abs=1e-6), "a")]


def test_paragraphs_with_times_of_nonsense_are_dropped_and_counted(tmp_path: Path) -> None:
    bad = ["-1s", "NaN", "inf", "1e3s", "", "1:2:3:4:5", "99999999999999999999s", "1 s", "begin", "9s"]
    path = tmp_path / "x.ttml"
    paragraphs = "".join(f'<p begin="{time}" end="8s">bad</p>' for time in bad)
    path.write_text(document(f'{paragraphs}<p begin="1s" end="2s">said</p>'))
    assert subtitles.read_counted(path) == ([Cue(1.0, 2.0, "said")], len(bad))


@pytest.mark.parametrize("text", ["<timedtext/>", "<tt", "", "WEBVTT", "<!DOCTYPE tt><tt/>", "<tt>" * 100])
def test_what_is_no_ttml_is_a_skip(text: str) -> None:
    with pytest.raises(Skip, match="unreadable_subtitles"):
        ttml.parse(text)
