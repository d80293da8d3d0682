"""What fuzzing found, kept as ordinary tests; each target on its seeds, and for ten seconds under atheris."""

import csv
import io
import json
import math
import pickle
import re
import time
from contextlib import suppress
from pathlib import Path

import pytest

import corpus
import fuzz
from cues import check, read
from fuzz_seeds import SEEDS
from tellvision.corpus import subtitles
from tellvision.howto100m import csvfile, picklefile
from tellvision.howto100m.captions import read_captions
from tellvision.records import InputError, Skip
from test_released_captions import outcome


@pytest.mark.parametrize("name", fuzz.TARGETS)
def test_seeds_hold(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where atheris has no wheel, and each seed cut off at some places."""
    restore_pieces(monkeypatch)
    for seed in SEEDS[name]:
        for end in range(0, len(seed) + 1, max(len(seed) // 8, 1)):
            fuzz.TARGETS[name](seed[:end])
        fuzz.TARGETS[name](seed)


def restore_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """The targets set these; afterwards they are what they were."""
    for module in (fuzz.jsonfile, fuzz.picklefile):
        monkeypatch.setattr(module, "PIECE", module.PIECE)


FOUND = {
    "automatic json3 that says nothing": ("json3", b'{"events":[{"aAppend":1,"segs":[{"utf8":"\\n"}]}]}'),
    "automatic srv3 that says nothing": ("srv3", b'<timedtext><p t="1" a="1"> </p></timedtext>'),
    "times in ttml and no usable paragraph": ("ttml", b'<tt><p begin="x"><s begin="1s">a</s></p></tt>'),
    "controls of latin-1": ("vtt", b"WEBVTT\n\n0:0 --> 0:1\na\x81b\n"),
    "controls by name": ("srt", b"0:0 --> 0:1\na&#x9c;&#129;b\n"),
    "controls in a table": ("csv", b"1,2,a\x8db\xe9\n"),
    "a long id in an error": ("json", b'{"' + b"\xff" * 200 + b'":1,'),
    "an unknown escape": ("pickle", b"}(S'\\p'\n}u."),
    "an octal escape above 255": ("pickle", b"}(S'\\777\\41'\n}u."),
}


@pytest.mark.parametrize("found", FOUND)
def test_what_was_found_stays_mended(found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    restore_pieces(monkeypatch)
    name, data = FOUND[found]
    fuzz.TARGETS[name](data)


@pytest.mark.parametrize(
    ("ending", "text", "reason"),
    [
        (".json3", '{"events":[{"tStartMs":1,"aAppend":1,"segs":[{"utf8":"\\n"}]}]}', "empty_subtitles"),
        (".srv3", '<timedtext><p t="1" a="1"> </p></timedtext>', "empty_subtitles"),
        (".ttml", '<tt><p begin="x"><s begin="1s">a</s></p></tt>', "unreadable_subtitles"),
    ],
)
def test_automatic_files_that_say_nothing_are_skips(tmp_path: Path, ending: str, text: str, reason: str) -> None:
    with pytest.raises(Skip, match=reason):
        read(tmp_path, text, ending)


def test_control_characters_of_latin_1_are_gone_and_its_line_end_parts_words(tmp_path: Path) -> None:
    text = "WEBVTT\n\n00:00.000 --> 00:01.000\nsti\x81r\x9f &#x90;the\x85eggs\n"
    assert [cue.text for cue in read(tmp_path, text)] == ["stir the eggs"]


def test_an_escape_that_python_does_not_know_is_a_backslash() -> None:
    program = rb"}(S'a\p\\p\x41\101\777'" + b"\n(lI1\nau."
    assert [video_id for video_id, _, _ in picklefile.items(io.BytesIO(program))] == [r"a\p\pAA\777"]


class TestOutOfProportion:
    """Small files that took minutes or gigabytes; found by asking what a byte may cost."""

    def test_a_pickle_that_says_one_list_in_every_window(self, tmp_path: Path) -> None:
        many = 20_000  # 160 KB that stand for 400 million texts
        windows = {"start": [0] * many, "end": [1] * many, "text": [[0] * many] * many}
        path = tmp_path / "x"
        path.write_bytes(pickle.dumps({"v": windows, "w": {"start": [0], "end": [1], "text": ["eggs"]}}))
        began = time.monotonic()
        bad, good = read_captions(path)
        assert "more than 200000 lines" in str(bad.problem)
        assert [cue.text for cue in good.cues] == ["eggs"]
        assert time.monotonic() - began < 30

    def test_a_pickle_that_remembers_with_every_byte(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(picklefile, "MOST_REMEMBERED", 100)
        path = tmp_path / "x"
        by_name = b"".join(b"p%d\n" % i for i in range(101))
        for program, refused in ((b"\x94" * 99, False), (b"\x94" * 101, True), (by_name, True)):
            path.write_bytes(b"}(X\1\0\0\0a" + program + b"K\1u.")
            if refused:
                with pytest.raises(InputError, match="more than 100 texts at byte"):
                    list(read_captions(path, "pickle"))
            else:
                assert len(list(read_captions(path, "pickle"))) == 1

    @pytest.mark.parametrize("ending", [".srv3", ".ttml"])
    def test_texts_that_each_stand_in_many_spans(self, tmp_path: Path, ending: str) -> None:
        head, tail = {
            ".srv3": ('<timedtext><p t="1" d="9">', "</p></timedtext>"),
            ".ttml": ('<tt><p begin="1s" end="2s">', "</p></tt>"),
        }[ending]
        began = time.monotonic()
        cues = read(tmp_path, head + '<s a="">' * 13 + "a<b/>" * 50_000 + "</s>" * 13 + tail, ending)
        assert [cue.text for cue in cues] == ["a" * 50_000]
        assert time.monotonic() - began < 20
        with pytest.raises(Skip, match="deeper than 16"):
            read(tmp_path, head + '<s a="">' * 60 + "a<b/>" * 50_000 + "</s>" * 60 + tail, ending)

    def test_a_video_that_fills_a_table_for_all(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(csvfile, "MOST_BYTES", 1000)
        path = tmp_path / "x.csv"
        path.write_text("".join(f"a,{i},{'eggs ' * 20}\n" for i in range(100)) + "b,1,tea\n")
        long, short = read_captions(path, "htm_aa")
        assert len(long.cues) == 9
        assert [cue.text for cue in short.cues] == ["tea"]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A real video."""
    path = tmp_path_factory.mktemp("film") / "x.mp4"
    corpus.film(path, corpus.TEXTS[:1])
    return path.read_bytes()


@pytest.mark.parametrize("ending", subtitles.ENDINGS)
def test_a_real_video_is_no_subtitle(tmp_path: Path, film: bytes, ending: str) -> None:
    with pytest.raises(Skip, match="unreadable_subtitles"):
        read(tmp_path, film, ending)


@pytest.mark.parametrize("kind", ["json", "pickle", "csv", "htm_aa"])
def test_a_real_video_is_no_released_file(tmp_path: Path, film: bytes, kind: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(film)
    found, error = outcome(path, kind)
    assert error or found
    assert all(narration.problem for narration in found)
    with pytest.raises(InputError, match="is none of json, pickle"):
        read_captions(path)


_MEGABYTE = "egg " * 262_144
_LONG = {
    ".vtt": "WEBVTT\n\n00:00.000 --> 00:09.000\n{}\n",
    ".srt": "1\n00:00:00,000 --> 00:00:09,000\n{}\n",
    ".json3": '{{"events":[{{"tStartMs":0,"dDurationMs":9000,"segs":[{{"utf8":"{}"}}]}}]}}',
    ".srv3": '<timedtext><body><p t="0" d="9000">{}</p></body></timedtext>',
    ".srv2": '<timedtext><text t="0" d="9000">{}</text></timedtext>',
    ".srv1": '<transcript><text start="0" dur="9">{}</text></transcript>',
    ".ttml": '<tt><body><p begin="0s" end="9s">{}</p></body></tt>',
}


@pytest.mark.parametrize("ending", _LONG)
def test_a_cue_of_a_megabyte_is_read_whole(tmp_path: Path, ending: str) -> None:
    (cue,) = read(tmp_path, _LONG[ending].format(_MEGABYTE), ending)
    assert (cue.start, cue.end, cue.text) == (0.0, 9.0, _MEGABYTE.strip())


@pytest.mark.parametrize("ending", _LONG)
@pytest.mark.parametrize("markup", ["<b>", "</b>", "<b ", "&lt;b&gt;", "&amp;amp;", "&#60;", "<![CDATA[<", "<!--"])
def test_a_text_of_nothing_but_markup_takes_seconds(tmp_path: Path, ending: str, markup: str) -> None:
    began = time.monotonic()
    with suppress(Skip):
        check(read(tmp_path, _LONG[ending].format(markup * 50_000), ending))
    assert time.monotonic() - began < 20


def released(kind: str, rows: list[tuple[object, object, object]]) -> bytes:
    """One video in the form of a released file."""
    starts, ends, texts = map(list, zip(*rows, strict=True))
    entries = {"v": {"start": starts, "end": ends, "text": texts}}
    if kind == "json":
        return json.dumps(entries).encode()
    if kind == "pickle":
        return pickle.dumps(entries)
    file = io.StringIO()
    if kind == "csv":
        csv.writer(file).writerows([("start", "end", "text"), *rows])
    else:
        csv.writer(file).writerows(
            [("vid", "timestamp", "text"), *(("v", start, text) for start, _, text in rows)]
        )
    return file.getvalue().encode()


class TestReleased:
    """The same for released files, whatever their kind."""

    @pytest.mark.parametrize("kind", ["json", "pickle"])
    def test_a_line_of_a_megabyte_is_read_whole(self, tmp_path: Path, kind: str) -> None:
        path = tmp_path / "x"
        path.write_bytes(released(kind, [(0, 9, _MEGABYTE)]))
        ((narration,), error) = outcome(path, kind)
        assert not error
        assert narration.cues[0].text == _MEGABYTE.strip()

    @pytest.mark.parametrize("kind", ["csv", "htm_aa"])
    def test_a_line_of_a_megabyte_in_a_table_is_left_out(self, tmp_path: Path, kind: str) -> None:
        path = tmp_path / "v.csv"
        path.write_bytes(released(kind, [(0, 9, _MEGABYTE), (9, 12, "whisk")]))
        found, error = outcome(path, kind)
        assert not error
        assert [cue.text for narration in found for cue in narration.cues] == ["whisk"]

    @pytest.mark.parametrize("kind", ["json", "pickle", "csv", "htm_aa"])
    @pytest.mark.parametrize("markup", ["<b>", "&amp;", "&#60;", "&", "\n", "\n \n", '"', ",", "\0", "[Music] "])
    def test_lines_of_nothing_but_markup_take_seconds(self, tmp_path: Path, kind: str, markup: str) -> None:
        path = tmp_path / "v.csv"
        path.write_bytes(released(kind, [(i, i + 1, markup * 30_000) for i in range(4)]))
        began = time.monotonic()
        outcome(path, kind)
        assert time.monotonic() - began < 20

    @pytest.mark.parametrize("kind", ["json", "pickle", "csv", "htm_aa"])
    def test_times_of_nonsense_leave_the_rest(self, tmp_path: Path, kind: str) -> None:
        odd = [math.nan, math.inf, -math.inf, -1.0, 1e300, "soon", "", 10**30]
        path = tmp_path / "v.csv"
        path.write_bytes(released(kind, [*((time, time, "bad") for time in odd), (5, 4, "bad"), (7, 8, "whisk")]))
        ((narration,), error) = outcome(path, kind)
        assert not error
        texts = [cue.text for cue in narration.cues]
        # A sentence with a moment alone cannot be reversed.
        assert texts == (["bad", "whisk"] if kind == "htm_aa" else ["whisk"])
        assert narration.dropped == {"bad_times": len(odd) + (kind != "htm_aa")}

    @pytest.mark.slow
    @pytest.mark.timeout(120)
    @pytest.mark.parametrize("kind", ["json", "pickle", "csv", "htm_aa"])
    def test_a_million_lines_of_a_video_are_too_many(self, tmp_path: Path, kind: str) -> None:
        path = tmp_path / "v.csv"
        path.write_bytes(released(kind, [(i, i + 1, "egg") for i in range(1_000_000)]))
        found, error = outcome(path, kind)
        if kind == "json":
            assert "more than 16 million characters" in error
        elif kind == "htm_aa":  # what lies behind the first sentences is left out
            assert len(found[0].cues) == csvfile.MOST_SENTENCES
        else:
            assert re.search("more than (200000 lines|16 MB)", str(found[0].problem))


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", fuzz.TARGETS)
def test_ten_seconds_of_fuzzing_find_nothing(name: str, tmp_path: Path) -> None:
    if fuzz.atheris is None:
        pytest.skip("atheris is not installed: it has no wheel for this Python or system")
    found = fuzz.run(name, 10, tmp_path)
    assert found["finding"] is None, found["finding"]
    assert found["executions"]
    assert found["coverage"]
