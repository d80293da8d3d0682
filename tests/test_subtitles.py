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
]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    head=st.sampled_from(
        [b"", b"WEBVTT\n\n00:00:01.000 --> 00:00:02.000\n", b'{"events": [{"segs": [{"utf8": "a"},']
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
