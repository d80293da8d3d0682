"""Subtitle files -> Cues: every line once, with the file's own times; nonsense is a Skip."""

import codecs
import json
import math
import os
import re
from pathlib import Path

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from tellvision.corpus import subtitles
from tellvision.corpus.subtitles import reading
from tellvision.records import Cue, InputError, Skip, Word

# A spoken text as rows of (milliseconds, word); times never run backwards.
Rows = list[list[tuple[int, str]]]


def stamp(ms: int, comma: str = ".") -> str:
    return f"{ms // 3600000:02d}:{ms // 60000 % 60:02d}:{ms // 1000 % 60:02d}{comma}{ms % 1000:03d}"


def ends_of(rows: Rows) -> list[int]:
    """A row ends where the next begins; the last one second after its last word."""
    return [row[0][0] for row in rows[1:]] + [rows[-1][-1][0] + 1000]


def rolling_vtt(rows: Rows, *, blank: str = " ", colours: bool = False) -> str:
    """The two lines that roll, as YouTube writes them: a line comes, stands 10 ms alone, moves up."""
    out = ["WEBVTT", "Kind: captions", "Language: en"]
    if colours:
        out += ["Style:", "::cue(c.colorE5E5E5) { color: rgb(229,229,229);", " }", "##"]
    out.append("")
    above = blank
    for row, end in zip(rows, ends_of(rows), strict=True):
        plain = " ".join(word for _, word in row)
        tagged = row[0][1] + "".join(f"<{stamp(ms)}><c> {word}</c>" for ms, word in row[1:])
        if colours:
            tagged = f"<c.colorE5E5E5>{tagged}</c>"
            plain_below = f"<c.colorE5E5E5>{plain}\n{blank}</c>"
        else:
            plain_below = f"{plain}\n{blank}"
        last = max(row[0][0], end - 10)
        out += [f"{stamp(row[0][0])} --> {stamp(last)} align:start position:0%", above, tagged, ""]
        out += [f"{stamp(last)} --> {stamp(end)} align:start position:0%", *plain_below.split("\n"), ""]
        above = plain
    return "\n".join(out)


def rolling_srt(rows: Rows) -> str:
    """What converters make of it: the word times are gone, the lines roll as before."""
    out, above, number = [], "", 0
    for row, end in zip(rows, ends_of(rows), strict=True):
        plain = " ".join(word for _, word in row)
        last = max(row[0][0], end - 10)
        for first, until, text in (row[0][0], last, [above, plain]), (last, end, [plain, " "]):
            number += 1
            out += [str(number), f"{stamp(first, ',')} --> {stamp(until, ',')}", *text, ""]
        above = plain
    return "\n".join(out)


def automatic_json3(rows: Rows) -> str:
    events: list[dict[str, object]] = [{"tStartMs": 0, "dDurationMs": 99000, "id": 1, "wpWinPosId": 1}]
    for row, end in zip(rows, ends_of(rows), strict=True):
        start = row[0][0]
        segments: list[dict[str, object]] = [{"utf8": row[0][1], "acAsrConf": 0}]
        segments += [{"utf8": f" {word}", "tOffsetMs": ms - start} for ms, word in row[1:]]
        events.append({"tStartMs": start, "dDurationMs": end - start + 1500, "wWinId": 1, "segs": segments})
        events.append({"tStartMs": end, "dDurationMs": 10, "aAppend": 1, "segs": [{"utf8": "\n"}]})
    return json.dumps({"wireMagic": "pb3", "events": events})


@st.composite
def spoken(draw: st.DrawFn) -> Rows:
    """Rows of few different words, so that lines and words repeat as in speech."""
    now, rows = draw(st.integers(0, 5000)), []
    for _ in range(draw(st.integers(2, 12))):
        row = []
        for _ in range(draw(st.integers(1, 5))):
            row.append((now, draw(st.sampled_from(["uh", "stir", "the", "eggs", "it's", "crème", "10%"]))))
            now += draw(st.integers(20, 900))
        rows.append(row)
        now += draw(st.sampled_from([0, 0, 0, 4000]))
    return rows


def read(tmp_path: Path, text: str | bytes, ending: str = ".vtt") -> list[Cue]:
    path = tmp_path / f"x{ending}"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return subtitles.read(path)


def check(cues: list[Cue]) -> None:
    """What holds for the cues of any file whatsoever."""
    assert cues
    for cue in cues:
        assert 0 <= cue.start <= cue.end < math.inf
        assert cue.text
        assert cue.text == " ".join(cue.text.split())
        if cue.words:
            assert cue.text == " ".join(word.text for word in cue.words)
            assert cue.words[0].start == cue.start
            assert cue.words[-1].start <= cue.end
        cue.text.encode()
    starts = [cue.start for cue in cues]
    assert starts == sorted(starts)
    times = [word.start for cue in cues for word in cue.words]
    assert times == sorted(times)


class TestRolling:
    def test_by_hand(self, tmp_path: Path) -> None:
        text = """WEBVTT
Kind: captions
Language: en

00:00:03.360 --> 00:00:04.150 align:start position:0%
 
crack<00:00:03.600><c> two</c><00:00:03.760><c> eggs</c>

00:00:04.150 --> 00:00:04.160 align:start position:0%
crack two eggs
 

00:00:04.160 --> 00:00:05.990 align:start position:0%
crack two eggs
&gt;&gt; okay,<00:00:05.279><c> now</c>

00:00:05.990 --> 00:00:06.000 align:start position:0%
&gt;&gt; okay, now
 

00:00:06.000 --> 00:00:07.000 align:start position:0%
&gt;&gt; okay, now
whisk
"""  # noqa: W293 - the form has lines of one blank
        assert read(tmp_path, text) == [
            Cue(3.36, 4.15, "crack two eggs", (Word(3.36, "crack"), Word(3.6, "two"), Word(3.76, "eggs"))),
            Cue(4.16, 5.99, ">> okay, now", (Word(4.16, ">>"), Word(4.16, "okay,"), Word(5.279, "now"))),
            Cue(6.0, 7.0, "whisk", (Word(6.0, "whisk"),)),
        ]

    def test_colour_classes_and_style_header(self, tmp_path: Path) -> None:
        text = """WEBVTT
Kind: captions
Language: en
Style:
::cue(c.colorCCCCCC) { color: rgb(204,204,204);
 }
##

00:00:03.170 --> 00:00:07.519 align:start position:0%
 
good<00:00:04.170><c> to</c><c.colorE5E5E5><00:00:04.259><c> be</c></c><c.colorA><00:00:06.529><c> here</c></c>

00:00:07.519 --> 00:00:07.529 align:start position:0%
good to<c.colorE5E5E5> be</c><c.colorA> here
 </c>

00:00:07.529 --> 00:00:08.930 align:start position:0%
good to<c.colorE5E5E5> be</c><c.colorA> here
so<00:00:07.710><c> yeah</c></c>
"""  # noqa: W293
        first, second = read(tmp_path, text)
        assert [(w.start, w.text) for w in first.words] == [
            (3.17, "good"),
            (4.17, "to"),
            (4.259, "be"),
            (6.529, "here"),
        ]
        assert [(w.start, w.text) for w in second.words] == [(7.529, "so"), (7.71, "yeah")]
        assert (first.end, second.end) == (7.519, 8.93)

    def test_a_word_said_three_times_is_three_lines(self, tmp_path: Path) -> None:
        rows: Rows = [[(0, "so"), (400, "yeah")], [(900, "uh")], [(2000, "uh")], [(4000, "uh")], [(5000, "right")]]
        cues = read(tmp_path, rolling_vtt(rows))
        assert [(cue.start, cue.text) for cue in cues] == [
            (0.0, "so yeah"), (0.9, "uh"), (2.0, "uh"), (4.0, "uh"), (5.0, "right"),
        ]  # fmt: skip

    def test_after_a_pause_the_same_line_is_said_again(self, tmp_path: Path) -> None:
        pause = "00:00:01.010 --> 00:00:09.000\n \n \n\n"
        text = (
            "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n \ncut<00:00:00.500><c> it</c>\n\n"
            "00:00:01.000 --> 00:00:01.010\ncut it\n \n\n" + pause + "00:00:09.000 --> 00:00:10.000\n \ncut it\n"
        )
        assert [(cue.start, cue.text) for cue in read(tmp_path, text)] == [(0.0, "cut it"), (9.0, "cut it")]

    @settings(max_examples=60, deadline=None)
    @given(
        rows=spoken(),
        blank=st.sampled_from([" ", ""]),
        colours=st.booleans(),
        ends=st.sampled_from(["\n", "\r\n"]),
    )
    def test_every_word_once_at_its_time(
        self, tmp_path_factory: pytest.TempPathFactory, rows: Rows, blank: str, colours: bool, ends: str
    ) -> None:
        if sum(map(len, rows)) == len(rows):
            rows = [[(0, "well"), (1, "now")], *[[(ms + 10, word) for ms, word in row] for row in rows]]
        text = rolling_vtt(rows, blank=blank, colours=colours).replace("\n", ends)
        cues = read(tmp_path_factory.mktemp("rolling"), text)
        check(cues)
        assert [cue.text for cue in cues] == [" ".join(word for _, word in row) for row in rows]
        assert [(word.start, word.text) for cue in cues for word in cue.words] == [
            (ms / 1000, word) for row in rows for ms, word in row
        ]

    @settings(max_examples=60, deadline=None)
    @given(rows=spoken())
    def test_json3_every_word_once_at_its_time(self, tmp_path_factory: pytest.TempPathFactory, rows: Rows) -> None:
        cues = read(tmp_path_factory.mktemp("json3"), automatic_json3(rows), ".json3")
        check(cues)
        assert [(word.start, word.text) for cue in cues for word in cue.words] == [
            (ms / 1000, word) for row in rows for ms, word in row
        ]
        assert [cue.end for cue in cues[:-1]] == [cue.start for cue in cues[1:]]

    @settings(max_examples=60, deadline=None)
    @given(rows=spoken())
    def test_converted_to_srt_every_line_once(self, tmp_path_factory: pytest.TempPathFactory, rows: Rows) -> None:
        cues = read(tmp_path_factory.mktemp("srt"), rolling_srt(rows), ".srt")
        check(cues)
        assert [(cue.start, cue.text) for cue in cues] == [
            (row[0][0] / 1000, " ".join(word for _, word in row)) for row in rows
        ]
        assert not any(cue.words for cue in cues)

    def test_a_piece_without_a_space_belongs_to_the_word_before(self, tmp_path: Path) -> None:
        text = "WEBVTT\n\n00:01.000 --> 00:03.000\nself<00:01.500><c>-made</c><00:02.000><c> jam</c>\n"
        assert read(tmp_path, text)[0].words == (Word(1.0, "self-made"), Word(2.0, "jam"))

    def test_word_times_of_nonsense_stay_within_their_line(self, tmp_path: Path) -> None:
        text = (
            "WEBVTT\n\n00:10.000 --> 00:12.000\n"
            "a<00:05.000><c> b</c><99:00:00.000><c> c</c><00:11.000><c> d</c>\n\n"
            "00:12.000 --> 00:14.000\ne<00:13.000><c> f</c>\n"
        )
        first, second = read(tmp_path, text)
        assert [word.start for word in first.words] == [10.0, 10.0, 12.0, 12.0]
        assert [word.start for word in second.words] == [12.0, 13.0]


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
        codecs.BOM_UTF32_LE + SRT.encode("utf-32-le"),
        SRT.encode("cp1252"),
        SRT.replace("\n", "\r").encode(),
        SRT.encode() + b"\0",
    ],
    ids=["utf-8", "utf-8 bom", "utf-16 le", "utf-16 be", "utf-32", "cp1252", "old mac", "nul"],
)
def test_encodings(tmp_path: Path, data: bytes) -> None:
    assert read(tmp_path, data, ".srt") == [Cue(1.0, 2.0, "Crème brûlée – fertig")]


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
    "\u2028",    '{"events": [', '{"tStartMs": 5, "segs": [{"utf8": "a"}', '{"utf8": "\\ud800 b", "tOffsetMs": 9}', "]}", ",",
    '"aAppend"', "NaN", "-1", "1e999",
]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    data=st.one_of(
        st.binary(max_size=200), st.lists(st.sampled_from(_PIECES), max_size=40).map(lambda p: "".join(p).encode())
    ),
    ending=st.sampled_from(subtitles.ENDINGS),
)
def test_whatever_a_file_holds_it_is_cues_or_a_skip(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, ending: str
) -> None:
    path = tmp_path_factory.mktemp("any") / f"x{ending}"
    path.write_bytes(data)
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


class TestBeside:
    NAMES = (
        "x.mp4", "x.de.vtt", "x.vtt", "x.en.srt", "x.en.vtt", "x.en-de.vtt", "x.mp4.en-US.json3", "xy.en.vtt",
        "x.live_chat.json3", "x.txt", "other.mkv", "x.cut.mp4", "x.cut.vtt", "a.b.webm", "a.b.EN.VTT",
    )  # fmt: skip

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        for name in self.NAMES:
            (tmp_path / name).write_text(SRT)
        automatic = rolling_vtt([[(0, "cut"), (300, "it")], [(900, "now")]])
        (tmp_path / "x.en.vtt").write_text(automatic)
        (tmp_path / "x.mp4.en-US.json3").write_text(automatic_json3([[(0, "cut"), (300, "it")]]))
        return tmp_path

    def test_english_first_then_typed_before_automatic_before_translated(self, folder: Path) -> None:
        expected = ["x.en.srt", "x.en.vtt", "x.mp4.en-US.json3", "x.en-de.vtt", "x.vtt", "x.de.vtt"]
        assert [path.name for path in subtitles.find(folder / "x.mp4")] == expected
        assert [path.name for path in subtitles.find(str(folder / "x.mp4"), set(self.NAMES))] == expected
        listing = subtitles.by_video(self.NAMES)
        assert subtitles.find(folder / "x.mp4", listing) == [folder / name for name in expected]

    def test_a_name_belongs_to_its_own_video(self, folder: Path) -> None:
        listing = subtitles.by_video(self.NAMES)
        assert subtitles.find(folder / "x.cut.mp4", listing) == [folder / "x.cut.vtt"]
        assert subtitles.find(folder / "a.b.webm", listing) == [folder / "a.b.EN.VTT"]
        assert subtitles.find(folder / "other.mkv", listing) == []
        assert subtitles.find(folder / "nowhere" / "x.mp4") == []

    def test_sources(self, folder: Path) -> None:
        (folder / "y.en.srt").write_text(
            rolling_srt([[(0, "cut"), (300, "it")], [(900, "now")], [(2000, "stir")]])
        )
        sources = {
            name: subtitles.source_of(folder / name)
            for name in (*self.NAMES, "y.en.srt", "none.vtt")
            if name[-3:] in ("vtt", "srt", "on3")
        }
        assert sources == {
            "x.de.vtt": "typed", "x.vtt": "typed", "x.en.srt": "typed", "x.en.vtt": "automatic",
            "x.en-de.vtt": "translated", "x.mp4.en-US.json3": "automatic", "xy.en.vtt": "typed",
            "x.live_chat.json3": "typed", "x.cut.vtt": "typed", "y.en.srt": "automatic", "none.vtt": "typed",
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("name", "source"),
        [("x.en-de.vtt", "translated"), ("x.en-zh-Hans.vtt", "translated"), ("x.en-US.vtt", "typed"),
         ("x.en-gb.vtt", "typed"), ("x.en-orig.vtt", "typed"), ("x.en.vtt", "typed"), ("x.vtt", "typed")],
    )  # fmt: skip
    def test_a_second_language_in_the_name_says_translated(self, tmp_path: Path, name: str, source: str) -> None:
        (tmp_path / name).write_text(SRT)
        assert subtitles.source_of(tmp_path / name) == source


def real_files() -> list[Path]:
    folder = os.environ.get("TELLVISION_TEST_DATA")
    if not folder:
        pytest.skip("TELLVISION_TEST_DATA names no folder with real caption files")
    return sorted(Path(folder, "youtube_rolling_captions").glob("*.vtt"))


def test_real_rolling_files_say_every_line_once() -> None:
    """Against another reading: in these files the new line is always the lower one of two."""
    files = real_files()
    assert len(files) == 7
    for path in files:
        cues = subtitles.read(path)
        check(cues)
        raw = path.read_text(encoding="utf-8")
        lower = [re.sub("<[^>]*>", "", found[1]) for found in re.finditer(r"-->.*\n.*\n(.*)", raw)]
        lower = [" ".join(line.replace("&gt;", ">").replace("&nbsp;", " ").split()) for line in lower]
        assert [cue.text for cue in cues] == [line for line in lower if line]
        # Every stamp of the file is the time of a word, but for two that lie 10 ms late or have no text.
        stamps = [
            (int(h) * 3600 + int(m) * 60 + int(s)) * 1000 + int(ms)
            for h, m, s, ms in re.findall(r"<(\d\d):(\d\d):(\d\d)\.(\d{3})>", raw)
        ]
        times = {round(word.start * 1000) for cue in cues for word in cue.words}
        assert len(set(stamps) - times) <= 2
        assert subtitles.source_of(path) == "automatic"
