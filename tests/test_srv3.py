"""YouTube's XML forms -> Cues: srv3, srv2 and srv1, and what all XML is refused for."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cues import check, read
from tellvision.corpus import subtitles
from tellvision.corpus.subtitles import blocks, paragraphs
from tellvision.records import Cue, Skip, Word
from test_rolling import Rows, ends_of, spoken

AUTOMATIC = """<?xml version="1.0" encoding="utf-8" ?><timedtext format="3">
<head><ws id="0"/><ws id="1" mh="2" ju="0" sd="3"/><wp id="0"/><wp id="1" ap="6" ah="20" av="100"/></head>
<body>
<w t="0" id="1" wp="1" ws="1"/>
<p t="1000" d="4000" w="1"><s ac="248">crack</s><s t="300" ac="255"> two</s><s t="900"> eggs</s></p>
<p t="2990" d="2010" w="1" a="1">
</p>
<p t="3000" d="4000" w="1"><s>now</s><s t="250"> AT&amp;T</s></p>
</body></timedtext>"""


def automatic_srv3(rows: Rows) -> str:
    """A paragraph per line that stands while the next is said, and one of a line break that rolls it up."""
    out = ['<?xml version="1.0" encoding="utf-8" ?><timedtext format="3"><head><ws id="0"/></head><body>']
    for row, end in zip(rows, ends_of(rows), strict=True):
        start = row[0][0]
        spans = [f"<s>{row[0][1]}</s>", *(f'<s t="{ms - start}" ac="9"> {word}</s>' for ms, word in row[1:])]
        out.append(f'<p t="{start}" d="{end - start + 1500}" w="1">{"".join(spans)}</p>')
        out.append(f'<p t="{end}" d="10" w="1" a="1">\n</p>')
    return "\n".join([*out, "</body></timedtext>"])


def test_automatic_by_hand(tmp_path: Path) -> None:
    assert read(tmp_path, AUTOMATIC, ".srv3") == [
        Cue(1.0, 3.0, "crack two eggs", (Word(1.0, "crack"), Word(1.3, "two"), Word(1.9, "eggs"))),
        Cue(3.0, 7.0, "now AT&T", (Word(3.0, "now"), Word(3.25, "AT&T"))),
    ]
    assert subtitles.source_of(tmp_path / "x.srv3") == "automatic"


def test_typed_by_hand(tmp_path: Path) -> None:
    text = """<timedtext format="3"><head><pen id="1" b="1"/></head><body>
<p t="500" d="1500">Preheat the <s p="1">oven</s><br/>to 200&#176;C</p>
<p t="2500">and wait</p><p t="4000" d="1000">\u200b </p><p t="-5" d="1">bad</p><p t="1" d="NaN">bad</p>
<p t="5000" d="500">a &lt; b &amp;nbsp; & c</p></body></timedtext>"""
    path = tmp_path / "x.srv3"
    path.write_text(text, encoding="utf-8")
    assert subtitles.read_counted(path) == (
        [
            Cue(0.5, 2.0, "Preheat the oven to 200°C"),
            Cue(2.5, 5.0, "and wait"),  # no duration: it stands until the next
            Cue(5.0, 5.5, "a < b &nbsp; & c"),
        ],
        2,
    )
    assert subtitles.source_of(path) == "typed"


def test_srv1_counts_seconds_and_escapes_twice(tmp_path: Path) -> None:
    text = """<?xml version="1.0"?><transcript><text start="1.36" dur="1.68">It&amp;#39;s &amp;lt;3</text>
<text start="4">b</text><text start="9" dur="0.1">c</text></transcript>"""
    expected = [Cue(1.36, 3.04, "It's <3"), Cue(4.0, 9.0, "b"), Cue(9.0, 9.1, "c")]
    assert read(tmp_path, text, ".srv1") == read(tmp_path, text, ".xml") == expected


def test_srv2_counts_milliseconds(tmp_path: Path) -> None:
    text = '<timedtext><text t="1360" d="1680">It&#39;s</text><text t="4000" d="500">b</text></timedtext>'
    assert read(tmp_path, text, ".srv2") == [Cue(1.36, 3.04, "It's"), Cue(4.0, 4.5, "b")]


def test_lines_that_overlap_are_automatic_and_end_where_the_next_begins(tmp_path: Path) -> None:
    text = "".join(f'<text start="{2 * i}" dur="3.5">line {i}</text>' for i in range(4))
    cues = read(tmp_path, f"<transcript>{text}</transcript>", ".srv1")
    assert cues == [
        Cue(0.0, 2.0, "line 0"),
        Cue(2.0, 4.0, "line 1"),
        Cue(4.0, 6.0, "line 2"),
        Cue(6.0, 9.5, "line 3"),
    ]
    assert subtitles.source_of(tmp_path / "x.srv1") == "automatic"


@settings(max_examples=60, deadline=None)
@given(rows=spoken())
def test_every_word_once_at_its_time(tmp_path_factory: pytest.TempPathFactory, rows: Rows) -> None:
    cues = read(tmp_path_factory.mktemp("srv3"), automatic_srv3(rows), ".srv3")
    check(cues)
    assert [(word.start, word.text) for cue in cues for word in cue.words] == [
        (ms / 1000, word) for row in rows for ms, word in row
    ]
    assert [cue.end for cue in cues[:-1]] == [cue.start for cue in cues[1:]]


def test_real_captions_in_another_form_say_the_same(real_data: Path, tmp_path: Path) -> None:
    """The words of the real files, written as srv3, come back with their times."""
    for path in sorted((real_data / "youtube_rolling_captions").glob("*.vtt")):
        cues = subtitles.read(path)[:500]
        rows = [[(round(1000 * word.start), word.text) for word in cue.words] for cue in cues]
        escaped: Rows = [
            [(ms, word.replace("&", "&amp;").replace("<", "&lt;")) for ms, word in row] for row in rows
        ]
        again = read(tmp_path, automatic_srv3(escaped), ".srv3")
        assert [[(round(1000 * word.start), word.text) for word in cue.words] for cue in again] == rows


def test_a_file_that_breaks_off_gives_what_came_before(tmp_path: Path) -> None:
    first, second = AUTOMATIC.index("</p>") + 4, AUTOMATIC.index("</p>\n</body>") + 4
    for length in range(1, len(AUTOMATIC)):
        if length < first:
            with pytest.raises(Skip):
                read(tmp_path, AUTOMATIC[:length], ".srv3")
        else:
            expected = ["crack two eggs", "now AT&T"][: 1 + (length >= second)]
            assert [cue.text for cue in read(tmp_path, AUTOMATIC[:length], ".srv3")] == expected


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ('<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><timedtext>&b;</timedtext>', "document type"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><timedtext/>', "document type"),
        ("<timedtext>" + "<a>" * 100, "deeper than 16"),
        ("<html><body>404</body></html>", "begins with <html>"),
        ('<timedtext><p t="0">a</b></p></timedtext>', "mismatched tag"),
        ("WEBVTT", "no XML"),
        ("<timedtext", "no XML"),
    ],
)
def test_xml_is_read_safely(tmp_path: Path, text: str, detail: str) -> None:
    with pytest.raises(Skip, match="unreadable_subtitles") as skipped:
        read(tmp_path, text, ".srv3")
    assert detail in skipped.value.detail
    assert "\n" not in skipped.value.detail


def test_an_xml_file_is_what_its_root_says(tmp_path: Path) -> None:
    (tmp_path / "x.xml").write_text('<?xml version="1.0"?><!-- <tt> --><camera><p>7</p></camera>')
    (tmp_path / "y.xml").write_text(AUTOMATIC)
    assert subtitles.find(tmp_path / "x.mp4") == []
    assert subtitles.find(tmp_path / "y.mp4") == [tmp_path / "y.xml"]
    with pytest.raises(Skip, match="<camera>"):
        subtitles.read(tmp_path / "x.xml")


def test_too_many_cues_or_elements_are_a_skip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paragraphs, "MOST_ELEMENTS", 10)
    with pytest.raises(Skip, match="more than 10"):
        read(tmp_path, AUTOMATIC, ".srv3")
    monkeypatch.undo()
    monkeypatch.setattr(blocks, "MOST_CUES", 2)
    monkeypatch.setattr("tellvision.corpus.subtitles.rolling.MOST_CUES", 2)
    for text, ending in ((AUTOMATIC, ".srv3"), ("0:0 --> 0:1\na\n\n" * 3, ".srt")):
        with pytest.raises(Skip, match="more than 2"):
            read(tmp_path, text, ending)


@settings(max_examples=100, deadline=None)
@given(
    cut=st.tuples(st.integers(0, len(AUTOMATIC)), st.integers(0, 30)),
    put=st.sampled_from(["", "<", ">", "&", '"', "<s>", "</p>", "<!--", "<![CDATA[", "\x01\x0b\uffff"]),
)
def test_one_wrong_place_is_cues_or_a_skip(
    tmp_path_factory: pytest.TempPathFactory, cut: tuple[int, int], put: str
) -> None:
    at, length = cut
    try:
        check(read(tmp_path_factory.mktemp("odd"), AUTOMATIC[:at] + put + AUTOMATIC[at + length :], ".srv3"))
    except Skip as skip:
        assert skip.reason in ("unreadable_subtitles", "empty_subtitles")  # noqa: PT017
