"""Typed subtitles, encodings and nonsense: whatever a file holds, it is Cues or a Skip."""

import codecs
import json
import os
from pathlib import Path

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from cues import check, read
from tellvision.corpus import subtitles
from tellvision.corpus.subtitles import reading
from tellvision.records import Cue, InputError, Skip


class TestTyped:
    def test_vtt(self, tmp_path: Path) -> None:
        text = """WEBVTT - made by hand

STYLE
::cue { color: red }

NOTE a comment
over two lines

intro
00:01.500 --> 00:03.000 line:0 position:20%
<v Ann>Preheat the <b>oven</b>
to 200 &deg;C &amp; wait

NOTE another

2
01:00:00.250 --> 01:00:02.000
a < b, <3 and AT&T

01:00:02.000 --> 01:00:03.000

01:00:03.000 --> 01:00:04.000
<i>done</i>
"""
        assert read(tmp_path, text) == [
            Cue(1.5, 3.0, "Preheat the oven to 200 °C & wait"),
            Cue(3600.25, 3602.0, "a < b, <3 and AT&T"),
            Cue(3603.0, 3604.0, "done"),
        ]

    def test_srt(self, tmp_path: Path) -> None:
        text = """1
00:00:01,000 --> 00:00:02,5
{\\an8}<font color="#fff">Chop</font> the

onions

2
0:00:03.000 --> 0:00:04.000 X1:0 X2:9
  12
eggs
00:00:05 --> 00:00:06
no number, no empty line before
7
00:00:06,000 --> 00:00:07,000

8
00:00:07,000 --> 00:00:08,000
8
"""
        assert read(tmp_path, text, ".srt") == [
            Cue(1.0, 2.5, "Chop the onions"),
            Cue(3.0, 4.0, "12 eggs"),
            Cue(5.0, 6.0, "no number, no empty line before"),
            Cue(7.0, 8.0, "8"),
        ]

    def test_json3(self, tmp_path: Path) -> None:
        events = [
            {"tStartMs": 2500, "dDurationMs": 1500, "segs": [{"utf8": "and\nbake"}]},
            {"tStartMs": 0, "dDurationMs": 3000, "segs": [{"utf8": "Mix "}, {"utf8": "it"}]},
        ]
        cues = read(tmp_path, json.dumps({"events": events}), ".json3")
        assert cues == [Cue(0.0, 3.0, "Mix it"), Cue(2.5, 4.0, "and bake")]

    def test_out_of_order_and_overlapping_cues_are_sorted_and_kept(self, tmp_path: Path) -> None:
        times = {"c": (5, 6), "a": (1, 9), "b": (1, 2)}
        text = "".join(
            f"00:00:0{start},000 --> 00:00:0{end},000\n{said}\n\n" for said, (start, end) in times.items()
        )
        assert read(tmp_path, text, ".srt") == [Cue(1.0, 9.0, "a"), Cue(1.0, 2.0, "b"), Cue(5.0, 6.0, "c")]

    def test_a_chorus_is_no_rolling_file(self, tmp_path: Path) -> None:
        text = "".join(f"{i}\n00:00:0{i},000 --> 00:00:0{i + 1},000\nRow, row\n\n" for i in range(4))
        assert len(read(tmp_path, text, ".srt")) == 4


SRT = "1\n00:00:01,000 --> 00:00:02,000\nCrème brûlée – fertig\n"


@pytest.mark.parametrize(
    "data",
    [
        SRT.encode(),
        codecs.BOM_UTF8 + SRT.encode(),
        codecs.BOM_UTF16_LE + SRT.encode("utf-16-le"),
        codecs.BOM_UTF16_BE + SRT.encode("utf-16-be"),
        SRT.encode("utf-16-le"),
        SRT.encode("utf-16-be"),
        codecs.BOM_UTF32_LE + SRT.encode("utf-32-le"),
        SRT.encode("cp1252"),
        SRT.replace("\n", "\r").encode(),
        SRT.encode() + b"\0",
    ],
    ids=[
        "utf-8",
        "utf-8 bom",
        "utf-16 le",
        "utf-16 be",
        "bare utf-16 le",
        "bare utf-16 be",
        "utf-32",
        "cp1252",
        "old mac",
        "nul",
    ],
)
def test_encodings(tmp_path: Path, data: bytes) -> None:
    assert read(tmp_path, data, ".srt") == [Cue(1.0, 2.0, "Crème brûlée – fertig")]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", ["Разбейте яйца", "卵を　割る", "Ā egg"])
def test_utf_16_without_a_mark_keeps_every_script(tmp_path: Path, encoding: str, text: str) -> None:
    srt = f"1\r\n00:00:01,000 --> 00:00:02,000\r\n{text}\r\n"
    assert [cue.text for cue in read(tmp_path, srt.encode(encoding), ".srt")] == [" ".join(text.split())]
    vtt = f"WEBVTT\n\n00:01.000 --> 00:02.000\n{text}\n"
    assert [cue.text for cue in read(tmp_path, vtt.encode(encoding), ".vtt")] == [" ".join(text.split())]


@pytest.mark.parametrize("junk", [b"\0", b"\0\0\0\0", b"\0" * 3])
def test_stray_nuls_are_no_utf_16(tmp_path: Path, junk: bytes) -> None:
    assert read(tmp_path, junk + SRT.encode(), ".srt") == [Cue(1.0, 2.0, "Crème brûlée – fertig")]


def test_latin_1_where_windows_has_no_character(tmp_path: Path) -> None:
    assert read(tmp_path, b"1\n00:00:01,000 --> 00:00:02,000\ncr\xe8me \x81\n", ".srt")[0].text.startswith("crème")


def test_cues_with_bad_times_are_dropped_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "x.srt"
    bad = [
        "-00:00:01,000 --> 00:00:02,000",
        "00:00:05,000 --> 00:00:04,000",
        "NaN --> 00:00:03,000",
        "a --> b",
        "-->",
    ]
    path.write_text("".join(f"9\n{times}\nbad\n\n" for times in bad) + SRT)
    cues, num_bad = subtitles.read_counted(path)
    assert [cue.text for cue in cues] == ["Crème brûlée – fertig"]
    assert num_bad == 5


def test_json3_events_of_nonsense_are_dropped_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "x.json3"
    said = [{"utf8": "said"}]
    times = [(-5, 1), (float("nan"), 1), (float("inf"), 1), (1, -1), ("1", 1), (True, 1), (None, 1), (10**400, 1)]
    events = [{"tStartMs": start, "dDurationMs": duration, "segs": said} for start, duration in times]
    odd = [7, None, {"segs": 3}, {"segs": [3, {}, {"utf8": 5}, {"utf8": ""}]}]
    path.write_text(json.dumps({"events": [*events, *odd, {"tStartMs": 1000, "dDurationMs": 500, "segs": said}]}))
    cues, num_bad = subtitles.read_counted(path)
    assert cues == [Cue(1.0, 1.5, "said")]
    assert num_bad == 8


@pytest.mark.parametrize(
    ("ending", "data", "reason"),
    [
        (".vtt", b"", "empty_subtitles"),
        (".srt", b" \r\n\n", "empty_subtitles"),
        (".json3", b"\xef\xbb\xbf", "empty_subtitles"),
        (".vtt", b"WEBVTT\nKind: captions\n", "empty_subtitles"),
        (".vtt", b"WEBVTT\n\n00:01.000 --> 00:02.000\n \n", "empty_subtitles"),
        (".json3", b'{"events": []}', "empty_subtitles"),
        (".json3", b'{"events": [{"tStartMs": 1}]}', "empty_subtitles"),
        (".vtt", b"<html><body>404 not found</body></html>", "unreadable_subtitles"),
        (".vtt", b"WEBVTT\n\n00:03.000 --> 00:02.000\nbackwards\n", "unreadable_subtitles"),
        (".srt", b"\x7fELF\x02\x01\x01\x00\xff\xfe\x9c", "unreadable_subtitles"),
        (".srt", bytes(range(256)) * 40, "unreadable_subtitles"),
        (".json3", b"WEBVTT", "unreadable_subtitles"),
        (".json3", b"[]", "unreadable_subtitles"),
        (".json3", b'{"events": 3}', "unreadable_subtitles"),
        (".json3", b'{"error": 404}', "unreadable_subtitles"),
        (".json3", b"[" * 100_000, "unreadable_subtitles"),
        (".json3", b'{"events": [{"tStartMs": -1, "segs": [{"utf8": "a"}]}]}', "unreadable_subtitles"),
    ],
)
def test_what_cannot_be_used_is_a_skip(tmp_path: Path, ending: str, data: bytes, reason: str) -> None:
    with pytest.raises(Skip) as skipped:
        read(tmp_path, data, ending)
    assert skipped.value.reason == reason
    assert str(tmp_path) in skipped.value.detail


def test_a_missing_file_a_folder_and_a_pipe_are_skips(tmp_path: Path) -> None:
    (tmp_path / "folder.vtt").mkdir()
    os.mkfifo(tmp_path / "pipe.vtt")
    for name in ("missing.vtt", "folder.vtt", "pipe.vtt"):
        with pytest.raises(Skip, match="unreadable_subtitles"):
            subtitles.read(tmp_path / name)


def test_a_file_that_is_too_large_is_a_skip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_BYTES", 10)
    with pytest.raises(Skip, match="larger than"):
        read(tmp_path, SRT, ".srt")


def test_a_thousand_lines_at_once_are_a_skip(tmp_path: Path) -> None:
    with pytest.raises(Skip, match="1000 lines begin at 0"):
        read(tmp_path, "".join(f"0:0 --> 0:0\nline {i}\n\n" for i in range(1001)), ".srt")


def test_another_ending_is_the_callers_mistake(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"x\.txt .* \.vtt, \.srt, \.json3"):
        read(tmp_path, SRT, ".txt")


# Pieces that a parser reacts to, in any order.
_PIECES = [
    "WEBVTT", "\n", "\n\n", "\r\n", " ", "-->", "00:00:01.000 --> 00:00:02.000", "00:00:02,000 --> 00:00:01,000",
    "00:00:01.500 --> 00:00:01.500 align:start", "NOTE", "STYLE", "7", "<c>", "</c>", "<", ">", "<00:00:01.500>",
    "<99:99:99.999>", "&amp;", "&#55296;", "&#0;", "&", "{\\an8}", "[Music]", "eggs", "ä", "\0", "\u200b",
    "\u2028", '{"events": [', "-1", "1e999", '"aAppend"', "NaN", "]}", ",",
    '{"tStartMs": 5, "segs": [{"utf8": "a"}', '{"utf8": "\\ud800 b", "tOffsetMs": 9}',
    '<p t="5" d="9">', '<p begin="1s" end="2s">', '<text start="1" dur="2">', '<s t="4"> b</s>',
    '<span begin="1f">', "</span>", "</p>", "</text>", "<br/>", "<!--", "<![CDATA[", "]]>", "<?x?>",
    "<!DOCTYPE x>", "&nbsp;", "\x0b",
]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    head=st.sampled_from(
        [
            b"",
            b"WEBVTT\n\n00:00:01.000 --> 00:00:02.000\n",
            b'{"events": [{"segs": [{"utf8": "a"},',
            b'<timedtext><body><p t="1" d="2">a</p>',
            b'<tt ttp:frameRate="25"><body begin="1s"><p end="2s">a</p>',
        ]
    ),
    body=st.binary(max_size=200)
    | st.lists(st.sampled_from(_PIECES), max_size=40).map(lambda p: "".join(p).encode()),
    ending=st.sampled_from(subtitles.ENDINGS),
)
def test_whatever_a_file_holds_it_is_cues_or_a_skip(
    tmp_path_factory: pytest.TempPathFactory, head: bytes, body: bytes, ending: str
) -> None:
    path = tmp_path_factory.mktemp("any") / f"x{ending}"
    path.write_bytes(head + body)
    assert subtitles.source_of(path) in ("typed", "automatic")
    try:
        cues = subtitles.read(path)
    except Skip as skip:
        event(skip.reason)
        return
    check(cues)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "text", ["<", "<c", "<00:", "0", "0:", "-->", "{\\", "&", "&#1", "\n", "\n\n ", "00:", ">", "[", " "], ids=repr
)
def test_time_stays_linear_in_what_is_repeated(tmp_path: Path, text: str) -> None:
    head = "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n"
    for ending in (".vtt", ".srt"):
        for before in ("", head):
            try:
                read(tmp_path, before + text * 200_000, ending)
            except Skip:
                continue


# One valid file of each format, saying the same.
_VALID = {
    ".vtt": "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\ncrack<00:00:01.300><c> eggs</c>\n\n"
    "00:00:02.000 --> 00:00:03.000\ncrack eggs\ncrème & fertig\n",
    ".srt": "1\n00:00:01,000 --> 00:00:02,000\ncrack eggs\n\n2\n00:00:02,000 --> 00:00:03,000\ncrème & fertig\n",
    ".json3": json.dumps(
        {
            "events": [
                {
                    "tStartMs": 1000,
                    "dDurationMs": 1000,
                    "segs": [{"utf8": "crack"}, {"utf8": " eggs", "tOffsetMs": 300}],
                },
                {"tStartMs": 2000, "dDurationMs": 1000, "segs": [{"utf8": "crème & fertig"}]},
            ]
        },
        ensure_ascii=False,
    ),
    ".srv3": '<?xml version="1.0" encoding="utf-8" ?><timedtext format="3"><body><p t="1000" d="1000">'
    '<s>crack</s><s t="300"> eggs</s></p><p t="2000" d="1000">crème &amp; fertig</p></body></timedtext>',
    ".srv1": '<transcript><text start="1" dur="1">crack eggs</text>'
    '<text start="2" dur="1">crème &amp; fertig</text></transcript>',
    ".ttml": '<?xml version="1.0" encoding="iso-8859-1"?><tt xmlns="http://www.w3.org/ns/ttml"><body><div>'
    '<p begin="1s" end="2s">crack eggs</p><p begin="2s" end="3s">crème &amp; fertig</p></div></body></tt>',
}


@pytest.mark.parametrize("ending", _VALID)
@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "latin-1"]
)
def test_every_format_in_every_encoding(tmp_path: Path, ending: str, encoding: str) -> None:
    cues = read(tmp_path, _VALID[ending].encode(encoding), ending)
    assert [(cue.start, cue.end, cue.text) for cue in cues] == [(1, 2, "crack eggs"), (2, 3, "crème & fertig")]


@settings(max_examples=300, deadline=None)
@given(
    ending=st.sampled_from(list(_VALID)),
    changes=st.lists(
        st.tuples(
            st.integers(0, 500),
            st.integers(0, 20),
            st.integers(0, 3),
            st.sampled_from(["", "-", "9" * 12, "e9", "NaN", "null", "\n\n", '"', "<", ">", "&", "{", "]", "\0"]),
        ),
        min_size=1,
        max_size=4,
    ),
)  # fmt: skip
def test_a_valid_file_with_wrong_places_is_cues_or_a_skip(
    tmp_path_factory: pytest.TempPathFactory, ending: str, changes: list[tuple[int, int, int, str]]
) -> None:
    """Pieces are cut out, repeated and put in; the times that come out stay times."""
    text = _VALID[ending]
    for at, length, times, put in changes:
        at %= len(text) + 1
        text = text[:at] + put + text[at : at + length] * times + text[at + length :]
    try:
        cues = read(tmp_path_factory.mktemp("odd"), text, ending)
    except Skip as skip:
        event(skip.reason)
        assert skip.reason in ("unreadable_subtitles", "empty_subtitles")  # noqa: PT017
        assert "\n" not in str(skip)  # noqa: PT017
        return
    check(cues)


@pytest.mark.parametrize("ending", subtitles.ENDINGS)
def test_a_video_with_the_ending_of_a_subtitle_is_a_skip(tmp_path: Path, ending: str) -> None:
    boxes = (
        b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41\0\0\0\x08free\0\x12\xd6\x87mdat" + bytes(range(256)) * 200
    )
    with pytest.raises(Skip, match="unreadable_subtitles"):
        read(tmp_path, boxes, ending)
    assert subtitles.source_of(tmp_path / f"x{ending}") == "typed"


def _clock(second: int) -> str:
    return f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"


_MANY = {
    ".vtt": ("WEBVTT\n\n", lambda i: f"{_clock(i)}.000 --> {_clock(i)}.900\n \negg<{_clock(i)}.500> {i}\n\n", ""),
    ".srt": ("", lambda i: f"{_clock(i)},000 --> {_clock(i)},900\negg {i}\n\n", ""),
    ".json3": (
        '{"events":[',
        lambda i: f'{{"tStartMs":{i}000,"dDurationMs":900,"segs":[{{"utf8":"egg"}}]}},',
        '{"segs":[]}]}',
    ),
    ".srv3": ("<timedtext><body>", lambda i: f'<p t="{i}000" d="900">egg</p>', "</body></timedtext>"),
    ".ttml": ("<tt><body>", lambda i: f'<p begin="{i}s" dur="0.9s">egg</p>', "</body></tt>"),
}


@pytest.mark.parametrize("ending", _MANY)
def test_cues_of_half_a_day_are_read(tmp_path: Path, ending: str) -> None:
    head, cue, tail = _MANY[ending]
    cues = read(tmp_path, head + "".join(map(cue, range(1, 10_001))) + tail, ending)
    assert len(cues) == 10_000
    check(cues)


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("ending", _MANY)
def test_a_million_cues_are_refused_in_one_line(tmp_path: Path, ending: str) -> None:
    head, cue, tail = _MANY[ending]
    text = head + "".join(map(cue, range(1, 1_000_001))) + tail
    assert len(text) > 25_000_000
    with pytest.raises(Skip, match=r"more than 200000|larger than 32 MB"):
        read(tmp_path, text, ending)


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("ending", "text"),
    [
        (".vtt", "WEBVTT\n\n0:0 --> 0:9\n" + "egg " * 250_000),
        (".vtt", "WEBVTT\n\n" + ("0:0 --> 0:9\n" + "egg\n" * 250_000 + "\n") * 4),
        (".vtt", "WEBVTT\n\n0:0 --> 0:9\n" + "egg<00:01.000>" * 200_000),
        (".srt", "0:0 --> 0:9\n" + "<" * 1_000_000),
        (".srt", "0:0 --> 0:9\n" + "<b>" * 1_000_000 + "egg"),
        (".srt", "0:0 --> 0:9\n" + "&amp;" * 200_000),
        (".json3", '{"events":' + "[" * 1_000_000),
        (".json3", '{"events": [{"segs": ' + '{"a":' * 1_000_000),
        (".json3", '{"events": [{"tStartMs": ' + "9" * 1_000_000 + ', "segs": [{"utf8": "a"}]}]}'),
        (".srv3", "<timedtext>" * 1_000_000),
        (".srv3", "<timedtext>" + "<a/>" * 3_000_000),
        (".srv3", "<timedtext><p>" + "<s>a</s>" * 500_000 + "</p>"),
        (".srv3", '<timedtext><p t="' + "0" * 10_000_000),
        (".srv3", "<timedtext><p " + " ".join(f'a{i}=""' for i in range(500_000)) + ">"),
        (".srv3", "<timedtext><p>" + "&" * 2_000_000 + "</p>"),
        (".srv3", "<timedtext><p>" + "&lt;" * 2_000_000 + "</p>"),
        (".srv3", "<timedtext><!--" + "-" * 10_000_000),
        (".xml", "<!--" * 2_000_000),
    ],
    ids=lambda value: value[-30:] if len(value) > 9 else value,
)
def test_bombs_are_cues_or_a_skip_within_seconds(tmp_path: Path, ending: str, text: str) -> None:
    try:
        check(read(tmp_path, text, ending))
    except Skip as skip:
        assert len(str(skip)) < 1000  # noqa: PT017
