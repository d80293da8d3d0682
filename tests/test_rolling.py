"""Automatic captions -> Cues: every word once, at the file's own time, in whatever form they roll."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cues import check, read
from tellvision.corpus import subtitles
from tellvision.records import Cue, Word

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

    def test_a_line_begins_with_its_first_word(self, tmp_path: Path) -> None:
        cues = read(tmp_path, "WEBVTT\n\n00:01.000 --> 00:03.000\n<00:01.500><c>stir</c><00:02.000><c> it</c>\n")
        assert cues == [Cue(1.5, 3.0, "stir it", (Word(1.5, "stir"), Word(2.0, "it")))]

    def test_word_times_of_nonsense_stay_within_their_line(self, tmp_path: Path) -> None:
        text = (
            "WEBVTT\n\n00:10.000 --> 00:12.000\n"
            "a<00:05.000><c> b</c><99:00:00.000><c> c</c><00:11.000><c> d</c>\n\n"
            "00:12.000 --> 00:14.000\ne<00:13.000><c> f</c>\n"
        )
        first, second = read(tmp_path, text)
        assert [word.start for word in first.words] == [10.0, 10.0, 12.0, 12.0]
        assert [word.start for word in second.words] == [12.0, 13.0]


def test_real_rolling_files_say_every_line_once(real_data: Path) -> None:
    """Against another reading: in these files the new line is always the lower one of two."""
    files = sorted((real_data / "youtube_rolling_captions").glob("*.vtt"))
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
