"""Released captions: every form read as written, rolling lines once, damage told in one line, nothing executed."""

import csv
import io
import json
import pickle
import re
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cues import check
from tellvision.corpus import subtitles
from tellvision.howto100m import captions, csvfile, jsonfile, lines, picklefile
from tellvision.howto100m.captions import KINDS, Narration, kind_of, read_captions, video_ids
from tellvision.records import Cue, InputError
from test_rolling import Rows, ends_of, spoken

EGGS = {"start": [1.5, 4.0], "end": [4.0, 6.5], "text": ["crack eggs", "whisk"]}
TEA = {"start": [0, 2], "end": [3, 5], "text": ["boil water", "tea"]}
EGGS_CUES = (Cue(1.5, 4.0, "crack eggs"), Cue(4.0, 6.5, "whisk"))
TEA_CUES = (Cue(0.0, 3.0, "boil water"), Cue(2.0, 5.0, "tea"))


def written(tmp_path: Path, data: bytes | str, name: str = "captions") -> Path:
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def read(path: Path, kind: str | None = None) -> dict[str, tuple[Cue, ...]]:
    found = list(read_captions(path, kind))
    assert not any(narration.problem for narration in found)
    return {narration.video_id: narration.cues for narration in found}


def outcome(path: Path, kind: str) -> tuple[list[Narration], str]:
    """Everything that is read, and the error at the end if there is one; nothing else may come out."""
    found: list[Narration] = []
    error = ""
    try:
        for narration in read_captions(path, kind):
            found.append(narration)
    except InputError as raised:
        error = str(raised)
    named = []
    with suppress(InputError):
        named += video_ids(path, kind)
    assert named == [
        (narration.video_id, narration.position)
        for narration in found
        if not (narration.problem and narration.problem.reason == "bad_video_id")
    ]
    for narration in found:
        assert bool(narration.cues) != bool(narration.problem)
        assert "\n" not in str(narration.problem)
        if narration.cues:
            check(list(narration.cues))
            lines.check_id(narration.video_id)
    assert "\n" not in error
    assert not error or str(path) in error
    return found, error


class TestForms:
    """Each of the released files, by hand."""

    @pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf", b" \n"])
    @pytest.mark.parametrize("indent", [None, 2])
    def test_json(self, tmp_path: Path, mark: bytes, indent: int | None) -> None:
        path = written(tmp_path, mark + json.dumps({"a-_1": EGGS, "b": TEA}, indent=indent).encode() + b"\n")
        assert kind_of(path) == "json"
        assert read(path) == {"a-_1": EGGS_CUES, "b": TEA_CUES}
        assert [narration.position for narration in read_captions(path)][-1] <= captions.size_of(path)

    @pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
    def test_pickle(self, tmp_path: Path, protocol: int) -> None:
        path = written(tmp_path, pickle.dumps({"a": EGGS, "b": TEA}, protocol))
        assert kind_of(path) == "pickle"
        assert read(path) == {"a": EGGS_CUES, "b": TEA_CUES}

    def test_pickles_of_python_2(self, tmp_path: Path) -> None:
        text = b"(dp0\nS'caf\\xc3\\xa9'\np1\n(dp2\nS'start'\n(lp3\nF1.5\nas"
        text += b"S'end'\n(lp4\nI2\nasS'text'\n(lp5\nS\"it's\"\nass."
        assert read(written(tmp_path, text)) == {"café": (Cue(1.5, 2.0, "it's"),)}
        binary = b"}q\x00U\x01a}q\x01(U\x05start]K\x01aU\x03end]L2L\naU\x04text]T\x03\x00\x00\x00e\xe9eaus."
        assert read(written(tmp_path, binary)) == {"a": (Cue(1.0, 2.0, "eée"),)}

    def test_how_to_caption_has_several_texts_in_a_window(self, tmp_path: Path) -> None:
        entry = {"start": [29, 12, 25], "end": [37, 20, 33], "text": [["load it"], ["unload"], ["hold", "turn"]]}
        expected = (
            Cue(12.0, 20.0, "unload"), Cue(25.0, 33.0, "hold"),
            Cue(25.0, 33.0, "turn"), Cue(29.0, 37.0, "load it"),
        )  # fmt: skip
        assert read(written(tmp_path, json.dumps({"v": entry}))) == {"v": expected}
        assert read(written(tmp_path, pickle.dumps({"v": entry}))) == {"v": expected}

    def test_htm_align(self, tmp_path: Path) -> None:
        entry = [[1, 10.739, 17.535, "add olive oil"], [0, 2, 3.5, "hello"]]
        path = written(tmp_path, json.dumps({"-3C": entry}))
        assert read(path) == {"-3C": (Cue(2.0, 3.5, "hello"), Cue(10.739, 17.535, "add olive oil"))}

    def test_htm_aa_ends_where_the_next_begins(self, tmp_path: Path) -> None:
        text = 'vid,timestamp,text\nb,0,one\nb,3,two\nb,3,"three, four"\nb,20.5,five\na,7,six\n'
        path = written(tmp_path, text)
        assert kind_of(path) == "htm_aa"
        expected = {
            "b": (
                Cue(0.0, 3.0, "one"),
                Cue(3.0, 8.0, "two"),
                Cue(3.0, 8.0, "three, four"),
                Cue(20.5, 25.5, "five"),
            ),
            "a": (Cue(7.0, 12.0, "six"),),
        }
        assert read(path) == expected
        headless = written(tmp_path, text.partition("\n")[2], "headless")
        assert kind_of(headless) == "htm_aa"
        assert read(headless) == expected

    @pytest.mark.parametrize(
        "data",
        [
            b"start,end,text\n1.5,4,crack eggs\n4,6.5,whisk\n",
            b"\xef\xbb\xbfstart,end,text\r\n1.5,4,crack eggs\r\n4,6.5,whisk\r\n",
            b'1.5,4,"crack eggs"\n4,6.5,"whisk"',
            b',text,Start , end\n0,"crack\neggs",1.5,4\n\n1,whisk,4,6.5,more\n',
        ],
    )
    def test_a_table_per_video(self, tmp_path: Path, data: bytes) -> None:
        path = written(tmp_path, data, "-x_1.csv")
        assert kind_of(path) == "csv"
        assert read(path) == {"-x_1": EGGS_CUES}
        written(tmp_path, b"start,end,text\n0,3,boil water\n2,5,tea\n", "y.CSV")
        written(tmp_path, b"no table", "notes.txt")
        assert kind_of(tmp_path) == "folder"
        assert read(tmp_path) == {"-x_1": EGGS_CUES, "y": TEA_CUES}
        assert [n.position for n in read_captions(tmp_path)][-1] == captions.size_of(tmp_path)

    def test_a_table_in_latin_1(self, tmp_path: Path) -> None:
        path = written(tmp_path, "start,end,text\n1,2,crème brûlée\n".encode("latin-1"), "x.csv")
        assert read(path) == {"x": (Cue(1.0, 2.0, "crème brûlée"),)}
        path = written(tmp_path, "vid,timestamp,text\nx,1,crème\n".encode("latin-1"))
        assert read(path) == {"x": (Cue(1.0, 6.0, "crème"),)}

    def test_one_bad_byte_in_ten_gigabytes_is_no_end(self, tmp_path: Path) -> None:
        path = written(tmp_path, b'{"x": {"start": [1], "end": [2], "text": ["cr\xe8me"]}, "y": ' + b"[]}")
        first, second = read_captions(path)
        assert first.cues == (Cue(1.0, 2.0, "crme"),)
        assert second.problem.reason == "empty_subtitles"


class TestKinds:
    def test_what_is_none_of_them(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="no released captions at"):
            kind_of(tmp_path / "absent")
        for data in (b"", b"WEBVTT\n", b"\x00\x00\x00\x20ftypisom", b"a,b,c\n", b"[1]"):
            with pytest.raises(InputError, match="json, pickle, csv, folder, htm_aa"):
                kind_of(written(tmp_path, data))
        with pytest.raises(InputError, match="archive: unpack it first"):
            kind_of(written(tmp_path, b"PK\x03\x04..."))
        with pytest.raises(InputError, match="kind='xml' is none of"):
            read_captions(tmp_path, "xml")
        with pytest.raises(InputError, match="is no json file"):
            read_captions(tmp_path, "json")
        with pytest.raises(InputError, match="is no folder"):
            read_captions(written(tmp_path, b"{}"), "folder")
        assert set(captions._READERS) == set(KINDS)

    def test_empty(self, tmp_path: Path) -> None:
        assert read(written(tmp_path, b"{}")) == {}
        assert read(written(tmp_path, pickle.dumps({}))) == {}
        assert read(written(tmp_path, b"vid,timestamp,text\n")) == {}
        (tmp_path / "none").mkdir()
        with pytest.raises(InputError, match=r"holds no table ID.csv"):
            list(read_captions(tmp_path / "none"))
        (found,) = read_captions(written(tmp_path, b"", "x.csv"), "csv")
        assert found.problem.reason == "empty_subtitles"


class TestBadEntries:
    @pytest.mark.parametrize(
        ("entry", "reason", "detail"),
        [
            (7, "unreadable_subtitles", "type"),
            ({"start": [1], "end": [2]}, "unreadable_subtitles", "without the lists"),
            ({"start": [1], "end": [2], "text": "tea"}, "unreadable_subtitles", "without the lists"),
            ({"start": [1, 2], "end": [2], "text": ["tea"]}, "unreadable_subtitles", "2 starts, 1 ends, 1 texts"),
            ({"start": [3], "end": [2], "text": ["tea"]}, "unreadable_subtitles", "none of 1 lines"),
            ({"start": [], "end": [], "text": []}, "empty_subtitles", "in no lines"),
            ({"start": [1], "end": [2], "text": [" \u200b"]}, "empty_subtitles", "no text"),
            ([[1, 2, 3]], "unreadable_subtitles", "none of the known forms"),
            (
                {"start": [1.0] * 1001, "end": [2.0] * 1001, "text": ["tea"] * 1001},
                "unreadable_subtitles",
                "1000 lines",
            ),
        ],
    )
    def test_a_video_is_skipped_and_the_next_is_read(
        self, tmp_path: Path, entry: object, reason: str, detail: str
    ) -> None:
        content = {"a": entry, "b": EGGS}
        for data in (json.dumps(content).encode(), pickle.dumps(content)):
            bad, good = read_captions(written(tmp_path, data))
            assert (bad.video_id, bad.cues, bad.problem.reason) == ("a", (), reason)
            assert detail in bad.problem.detail
            assert good.cues == EGGS_CUES

    def test_bad_lines_are_counted_and_the_rest_is_read(self, tmp_path: Path) -> None:
        nan, inf = float("nan"), float("inf")
        rows = [
            (1, 2, "tea"), (-1, 2, "x"), (5, 4, "x"), (nan, 2, "x"), (1, inf, "x"), ("1", 2, "x"), (1, 2, nan),
            (1, None, "x"), (True, 2, "x"), (3, 4, None), (5, 6, " milk\u202e &amp;  honey\x07 "), (7, 8, ""),
        ]  # fmt: skip
        starts, ends, texts = map(list, zip(*rows, strict=True))
        (found,) = read_captions(
            written(tmp_path, json.dumps({"a": {"start": starts, "end": ends, "text": texts}}))
        )
        assert found.cues == (Cue(1.0, 2.0, "tea"), Cue(5.0, 6.0, "milk & honey"))
        assert found.dropped == {"bad_times": 7, "bad_text": 2}

    @pytest.mark.parametrize("video_id", ["", " a", "a\nb", "a\u202eb", "\ud800", "a" * 300, "a\x00"])
    def test_odd_ids(self, tmp_path: Path, video_id: str) -> None:
        bad, good = read_captions(written(tmp_path, json.dumps({video_id: EGGS, "b": EGGS})))
        assert bad.problem.reason == "bad_video_id"
        assert str(bad.problem).isascii()
        assert good.cues == EGGS_CUES
        bad, good = read_captions(written(tmp_path, pickle.dumps({video_id: EGGS, "b": EGGS})))
        assert bad.problem.reason == "bad_video_id"

    def test_bad_rows_of_tables(self, tmp_path: Path) -> None:
        (found,) = read_captions(written(tmp_path, "start,end,text\n1,2,tea\nx,2,y\n3\n4,nan,z\n", "x.csv"))
        assert (found.cues, found.dropped) == ((Cue(1.0, 2.0, "tea"),), {"bad_times": 3})
        path = written(tmp_path, "vid,timestamp,text\na,1,tea\na,nan,x\na,soon,x\n,2,x\nb,inf,x\nc,1e5,y\nlast\n")
        a, empty, b, c, last = read_captions(path)
        assert (a.cues, a.dropped) == ((Cue(1.0, 6.0, "tea"),), {"bad_times": 2})
        assert empty.problem.reason == "bad_video_id"
        assert b.problem.reason == last.problem.reason == "unreadable_subtitles"
        assert c.cues == (Cue(1e5, 1e5 + 5, "y"),)

    def test_a_quote_that_is_never_closed_costs_its_lines_alone(self, tmp_path: Path) -> None:
        lost = "".join(f"a,{i},{'x' * 90}\n" for i in range(2000))
        path = written(tmp_path, 'vid,timestamp,text\na,1,tea\na,2,"never\n' + lost + "b,1,milk\n")
        found = list(read_captions(path))
        assert found[0].cues[0] == Cue(1.0, 6.0, "tea")
        assert found[-1].cues == (Cue(1.0, 6.0, "milk"),)

    def test_tables_that_are_none(self, tmp_path: Path) -> None:
        written(tmp_path, b"\x00\x01\xff\xfe\x80" * 99, "a.csv")
        written(tmp_path, b"start,end,text\n1,2,tea\n", "b.csv")
        (tmp_path / "c.csv").mkdir()
        written(tmp_path, b"1,2,tea\n" + b" " * (csvfile.MOST_BYTES + 1), "d.csv")
        reasons = [found.problem and found.problem.reason for found in read_captions(tmp_path)]
        assert reasons == ["unreadable_subtitles", None, "unreadable_subtitles", "unreadable_subtitles"]


class TestDamage:
    """Files that are not whole: what stands before is handed out, then one line says where it breaks."""

    @pytest.mark.parametrize("cut", [1, 5, 8, 20, 40, 60, 90, 99, 120])
    def test_json_cut_off(self, tmp_path: Path, cut: int) -> None:
        whole = json.dumps({"a": EGGS, "b": TEA})
        found, error = outcome(written(tmp_path, whole[:-cut]), "json")
        assert error.endswith(f"last video read: {found[-1].video_id!r}" if found else "last video read: none")
        assert f"at byte {len(whole) - cut}" in error
        assert "ends early" in error
        assert [narration.video_id for narration in found] == ["a", "b"][: 2 if cut == 1 else 1 if cut < 80 else 0]

    @pytest.mark.parametrize(
        ("text", "what"),
        [
            ('{"a": [], "b": [1, }', "no JSON (Expecting value"),
            ('{"a": [] "b": []}', "} is missing at byte 9"),
            ('{"a": []}}', "more stands behind the end at byte 9"),
            ('{"a" []}', ": is missing at byte 5"),
            ("{7: []}", "a name in quotes is missing"),
            ("[1]", "{ is missing at byte 0"),
            ("", "ends early"),
            ('{"a": ' + "[" * 200_000, "nested too deeply"),
            ('{"a": \x00', "no JSON"),
        ],
    )
    def test_no_json(self, tmp_path: Path, text: str, what: str) -> None:
        assert what in outcome(written(tmp_path, text), "json")[1]

    @pytest.mark.parametrize("protocol", [0, 2, 4])
    def test_pickle_cut_off_anywhere(self, tmp_path: Path, protocol: int) -> None:
        whole = pickle.dumps({"a": EGGS, "b": TEA}, protocol)
        for length in range(len(whole)):
            found, error = outcome(written(tmp_path, whole[:length]), "pickle")
            assert error
            assert [n.video_id for n in found] in ([], ["a"], ["a", "b"])

    def test_a_member_without_end(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(jsonfile, "PIECE", 64)
        monkeypatch.setattr(jsonfile, "MOST_MEMBER", 4096)
        path = written(tmp_path, '{"a": ' + json.dumps(EGGS) + ', "b": "' + "x" * 99_999)
        found, error = outcome(path, "json")
        assert [n.video_id for n in found] == ["a"]
        assert "a value of more than" in error

    def test_the_same_long_text_many_times(self, tmp_path: Path) -> None:
        text, count = "x" * 100_000, 10_000
        entry = {
            "start": [1.0 * i for i in range(count)],
            "end": [i + 1.0 for i in range(count)],
            "text": [text] * count,
        }
        path = written(tmp_path, pickle.dumps({"a": entry, "b": EGGS}))
        assert path.stat().st_size < 400_000
        bomb, good = read_captions(path)
        assert bomb.problem.reason == "unreadable_subtitles"
        assert good.cues == EGGS_CUES


class Harmful:
    def __reduce__(self) -> tuple[object, ...]:
        return (print, ("this must not be executed",))


class TestPickles:
    @pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
    @pytest.mark.parametrize(
        ("value", "name"),
        [
            (Harmful(), "print"), (b"x", ""), ((1,), ""), (None, "NONE"), ({1, 2}, ""), (True, ""),
            (1j, "complex"), (bytearray(b"x"), ""), (len, "len"), (io.BytesIO, "BytesIO"), (Path("x"), ""),
        ],
    )  # fmt: skip
    def test_other_types_are_refused(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], value: object, name: str, protocol: int
    ) -> None:
        for content in ({"a": EGGS, "b": value}, {"a": EGGS, "b": {"start": [value]}}, value):
            _, error = outcome(written(tmp_path, pickle.dumps(content, protocol)), "pickle")
            assert "only dict, list, str, int and float are read" in error or "no dict ends" in error
            assert name in error or protocol < 2
        assert capsys.readouterr().out == ""

    def test_what_is_not_run_is_named(self, tmp_path: Path) -> None:
        for data, name in [
            (b"\x80\x04}(\x8c\x01a\x8c\x02os\x8c\x06system\x93", "os.system"),
            (b"cos\nsystem\n(S'ls'\ntR.", "os.system"),
            (b"(dS'a'\n(ios\nsystem\n.", "os.system"),
        ]:
            assert f"needs {name}, which is not run" in outcome(written(tmp_path, data), "pickle")[1]

    @pytest.mark.parametrize(
        ("data", "what"),
        [
            (b"\x80\x04}(X\xff\xff\xff\xff", "more than 32 MB"),
            (b"\x80\x04}(\x8d" + b"\xff" * 8, "more than 32 MB"),
            (b"\x80\x04\x95" + b"\xff" * 8 + b"}.", ""),
            (b"}r\xff\xff\xff\xff.", ""),
            (b"\x80\x04" + b"(" * 99_999, "nested too deeply"),
            (b"\x80\x04}" + b"]" * (2 << 20), "more than 1048576 lists"),
            (b"}I" + b"9" * 99_999, "without end"),
            (b"}\x8a\xff" + b"\x7f" * 255 + b"]s.", "key of type int"),
            (b"}P1\n.", "PERSID"),
            (b"}h\x07.", "far before"),
            (b"].", "a pickle of a list"),
            (b"}(K\x01}u.", "key of type int"),
            (b"}(U\x01au.", "damaged"),
            (b"}(U\x01a", "ends early"),
            (b"u", "damaged"),
            (b"}}.", "no dict ends"),
            (b"}0.", "instruction POP"),
            (b"}\xfe.", "no pickle"),
            (b"", "ends early"),
            (b".", "no dict ends"),
            (b"}X\x02\x00\x00\x00\xff\xff]s.", "damaged"),
            (b"}q\x00(U\x01ah\x00u.", ""),
            (b"}(U\x01a]q\x01h\x01au.", ""),
        ],
    )
    def test_bombs_and_nonsense(self, tmp_path: Path, data: bytes, what: str) -> None:
        began = time.monotonic()
        found, error = outcome(written(tmp_path, data), "pickle")
        assert what in error
        assert bool(error) == bool(what)
        assert all(narration.problem for narration in found)
        assert time.monotonic() - began < 20

    def test_shared_objects(self, tmp_path: Path) -> None:
        times, text = [1.0, 2.0], "the same long text, which is pickled once " * 2
        content = {str(i): {"start": times, "end": times, "text": [text, "I"]} for i in range(3)}
        assert read(written(tmp_path, pickle.dumps(content))) == {
            str(i): (Cue(1.0, 1.0, text.strip()), Cue(2.0, 2.0, "I")) for i in range(3)
        }

    def test_what_is_forgotten(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(picklefile, "REMEMBERED", 4096)
        monkeypatch.setattr(picklefile, "PIECE", 128)
        content = {f"v{i}": {"start": [1.0], "end": [2.0], "text": [f"{i} eggs " * 30]} for i in range(99)}
        content |= {
            "one": {"start": [1.0], "end": [2.0], "text": ["I"]},
            "two": {"start": [1.0], "end": [2.0], "text": ["I"]},
        }
        assert list(read(written(tmp_path, pickle.dumps(content)))) == list(content)
        content["late"] = {"start": [1.0], "end": [2.0], "text": [content["v0"]["text"][0]]}
        found, error = outcome(written(tmp_path, pickle.dumps(content)), "pickle")
        assert len(found) == len(content) - 1
        assert "write it as JSON" in error


plain = st.recursive(
    st.text(max_size=8) | st.integers(-(2**40), 2**40) | st.floats(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)
entries = st.dictionaries(st.text(max_size=6), plain, max_size=6)
line = st.tuples(
    st.floats(0, 1e5), st.floats(0, 1e3), st.text("ab é,\"'\n;", min_size=1).filter(lambda t: t.strip())
)
videos = st.dictionaries(
    st.text("aZ9-_", min_size=1, max_size=8), st.lists(line, min_size=1, max_size=8), min_size=1, max_size=8
)


def same(one: object, other: object) -> bool:
    return repr(one) == repr(other)  # NaN equals NaN, 1.0 is not 1


pieces = st.sampled_from([1, 7, 1 << 20])


class TestWriteThenRead:
    @settings(max_examples=60, deadline=None)
    @given(piece=pieces, content=entries, ascii_only=st.booleans(), indent=st.sampled_from([None, 0, 3]))
    def test_json_equals_the_standard_library(
        self, piece: int, content: dict[str, object], ascii_only: bool, indent: int | None
    ) -> None:
        data = json.dumps(content, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "surrogatepass")
        with mock.patch.object(jsonfile, "PIECE", piece):
            found = list(jsonfile.members(io.BytesIO(data)))
        expected = json.loads(data, parse_int=float)
        assert same({name: value for name, value, _ in found}, expected)
        positions = [position for _, _, position in found]
        for (name, _, _), position in zip(found, positions, strict=True):
            head = data[:position].decode("utf-8", "surrogatepass").rstrip()
            assert same(list(json.loads(head + "}"))[-1], name)

    @settings(max_examples=100, deadline=None)
    @given(piece=pieces, content=entries, protocol=st.integers(0, pickle.HIGHEST_PROTOCOL))
    @example(1, {"a": {}, "b": {"x": {}}, "c": [], "d": [[]], "e": {"x": "y"}, "f": "g", "h": {"i": ["j"]}}, 2)
    @example(7, {str(i): {"x": [1.5] * (i % 5)} for i in range(2500)}, 4)
    def test_pickle_equals_the_standard_library(
        self, piece: int, content: dict[str, object], protocol: int
    ) -> None:
        with mock.patch.object(picklefile, "PIECE", piece):
            found = list(picklefile.items(io.BytesIO(pickle.dumps(content, protocol))))
        assert same({name: value for name, value, _ in found}, content)

    @settings(max_examples=60, deadline=None)
    @given(content=videos)
    def test_every_form_says_the_same(
        self, tmp_path_factory: pytest.TempPathFactory, content: dict[str, list[tuple[float, float, str]]]
    ) -> None:
        folder = tmp_path_factory.mktemp("forms")
        entries = {
            name: {
                "start": [start for start, _, _ in said],
                "end": [start + length for start, length, _ in said],
                "text": [text for _, _, text in said],
            }
            for name, said in content.items()
        }
        (folder / "tables").mkdir()
        for name, entry in entries.items():
            with (folder / "tables" / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(["start", "end", "text"])
                writer.writerows(zip(*entry.values(), strict=True))
        first = read(written(folder, json.dumps(entries), "a"))
        second = read(written(folder, pickle.dumps(entries), "b"))
        third = read(folder / "tables")
        assert list(first) == list(second) == list(entries)
        assert first == second == third
        for name, cues in first.items():
            check(list(cues))
            said = " ".join(" ".join(text for _, _, text in content[name]).split())
            assert sorted(" ".join(cue.text for cue in cues).split()) == sorted(said.split()) or len(cues) < len(
                content[name]
            )


class TestArbitraryBytes:
    @settings(max_examples=150, deadline=None)
    @given(data=st.binary(max_size=300), kind=st.sampled_from(["json", "pickle", "csv", "htm_aa"]))
    def test_nothing_but_our_errors(
        self, tmp_path_factory: pytest.TempPathFactory, data: bytes, kind: str
    ) -> None:
        outcome(written(tmp_path_factory.getbasetemp(), data, "arbitrary.csv"), kind)

    @settings(max_examples=150, deadline=None)
    @given(
        content=entries,
        at=st.floats(0, 1),
        bad=st.binary(min_size=1, max_size=4),
        kind=st.sampled_from(["json", "pickle"]),
        protocol=st.integers(0, 5),
    )
    def test_a_few_bytes_changed(
        self,
        tmp_path_factory: pytest.TempPathFactory,
        content: dict,
        at: float,
        bad: bytes,
        kind: str,
        protocol: int,
    ) -> None:
        content |= {"a": EGGS}
        data = json.dumps(content).encode() if kind == "json" else pickle.dumps(content, protocol)
        place = int(at * len(data))
        data = data[:place] + bad + data[place + len(bad) :]
        outcome(written(tmp_path_factory.getbasetemp(), data, "changed"), kind)

    @settings(max_examples=100, deadline=None)
    @given(
        opcodes=st.lists(
            st.sampled_from(
                [bytes([i]) for i in range(256)] + [b"K\x01", b"U\x01a", b"q\x01", b"h\x01", b"(", b"u", b"e"]
            ),
            max_size=60,
        )
    )
    def test_arbitrary_instructions(self, tmp_path_factory: pytest.TempPathFactory, opcodes: list[bytes]) -> None:
        outcome(written(tmp_path_factory.getbasetemp(), b"}" + b"".join(opcodes), "program"), "pickle")


# The raw captions: rolling cues, each an entry with what it shows.

Shown = list[tuple[int, int, list[str]]]  # milliseconds, and the two rows


def rolling_cues(rows: Rows) -> Shown:
    """As YouTube rolls: a line comes below the one before, then stands 10 ms alone above a blank."""
    shown, above = [], " "
    for row, end in zip(rows, ends_of(rows), strict=True):
        plain = " ".join(word for _, word in row)
        last = max(row[0][0], end - 10)
        shown += [(row[0][0], last, [above, plain]), (last, end, [plain, " "])]
        above = plain
    return shown


def raw_entry(shown: Shown, form: str) -> dict[str, list]:
    """The three ways in which programs write down what a cue shows."""
    write = {
        "rows": lambda rows: "\n".join(rows),
        "stripped": lambda rows: "\n".join(rows).strip(),
        "joined": lambda rows: " ".join(" ".join(rows).split()),
    }[form]
    return {
        "start": [start / 1000 for start, _, _ in shown],
        "end": [end / 1000 for _, end, _ in shown],
        "text": [write(rows) for _, _, rows in shown],
    }


class TestRolling:
    @pytest.mark.parametrize("form", ["rows", "stripped", "joined"])
    def test_by_hand(self, form: str) -> None:
        shown: Shown = [
            (3360, 4150, [" ", "crack two eggs"]), (4150, 4160, ["crack two eggs", " "]),
            (4160, 5990, ["crack two eggs", "okay now"]), (5990, 6000, ["okay now", " "]),
            (6000, 7000, ["okay now", "whisk &amp; wait"]),
        ]  # fmt: skip
        cues, dropped = lines.cues_of(raw_entry(shown, form))
        assert cues == [
            Cue(3.36, 4.15, "crack two eggs"), Cue(4.16, 5.99, "okay now"), Cue(6.0, 7.0, "whisk & wait"),
        ]  # fmt: skip
        assert dropped == {}

    def test_without_the_cues_of_10_ms(self) -> None:
        shown: Shown = [(0, 2000, [" ", "a b"]), (2000, 4000, ["a b", "c d"]), (4000, 6000, ["c d", "e f"])]
        for form in ("rows", "stripped", "joined"):
            assert [cue.text for cue in lines.cues_of(raw_entry(shown, form))[0]] == ["a b", "c d", "e f"]

    def test_lines_shown_alone_again_for_10_ms(self) -> None:
        entry = {"start": [0, 2, 2.01, 4], "end": [2, 2.01, 4, 4.01], "text": ["a b", "a b", "c d", "c d"]}
        assert lines.cues_of(entry)[0] == [Cue(0, 2, "a b"), Cue(2.01, 4, "c d")]

    def test_what_does_not_roll_stays_as_it_is(self) -> None:
        entry = {
            "start": [33.45, 36.84, 39.69],
            "end": [39.69, 41.67, 43.77],
            "text": ["lay them", "and these\ngo", "in"],
        }
        assert lines.cues_of(entry)[0] == [
            Cue(33.45, 39.69, "lay them"), Cue(36.84, 41.67, "and these go"), Cue(39.69, 43.77, "in"),
        ]  # fmt: skip
        chorus = {
            "start": [0, 1, 2, 3, 4],
            "end": [1, 2, 3, 4, 5],
            "text": ["la", "la la", "tea", "yes", "tea for two"],
        }
        assert [cue.text for cue in lines.cues_of(chorus)[0]] == chorus["text"]

    @settings(max_examples=80, deadline=None)
    @given(rows=spoken())
    def test_every_line_once_at_its_time(self, rows: Rows) -> None:
        cues, _ = lines.cues_of(raw_entry(rolling_cues(rows), "rows"))
        check(cues)
        assert [(cue.start, cue.text) for cue in cues] == [
            (row[0][0] / 1000, " ".join(word for _, word in row)) for row in rows
        ]

    def test_real_files_say_what_the_subtitles_say(self, real_data: Path, tmp_path: Path) -> None:
        """Texts and starts equal, ends within 10 ms: an entry has the times of its cue, not of its words."""
        files = sorted((real_data / "youtube_rolling_captions").glob("*.vtt"))
        expected = {path.name.partition(".")[0]: subtitles.read(path) for path in files}
        shown = {path.name.partition(".")[0]: shown_in(path) for path in files}
        for form in ("rows", "stripped", "joined"):
            entries = {name: raw_entry(cues, form) for name, cues in shown.items()}
            for name, cues in read(written(tmp_path, json.dumps(entries))).items():
                assert [cue.text for cue in cues] == [cue.text for cue in expected[name]]
                assert [cue.start for cue in cues] == [cue.start for cue in expected[name]]
                # A word's time may lie up to 10 ms behind its cue, whose end it then moves.
                late = [abs(cue.end - other.end) for cue, other in zip(cues, expected[name], strict=True)]
                assert max(late) < 0.0101


def shown_in(path: Path) -> Shown:
    """What a plain reading of a subtitle file finds: cue by cue, tags and times of words taken out."""
    shown: Shown = []
    timing = r"(\d\d):(\d\d):(\d\d)\.(\d{3}) --> (\d\d):(\d\d):(\d\d)\.(\d{3}).*\n((?:.+\n)*)"
    for found in re.finditer(timing, path.read_text(encoding="utf-8") + "\n"):
        h, m, s, ms, h2, m2, s2, ms2 = map(int, found.groups()[:8])
        rows = [re.sub("<[^>]*>", "", row) for row in found[9].splitlines()]
        shown.append((((h * 60 + m) * 60 + s) * 1000 + ms, ((h2 * 60 + m2) * 60 + s2) * 1000 + ms2, rows))
    return shown


# A process that was forked from a large one has its size in ru_maxrss; VmHWM is its own.
_MEASURE = """
import re, sys
from tellvision.howto100m.captions import read_captions
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
before = peak()
videos = sum(1 for _ in read_captions(sys.argv[1]))
assert "torch" not in sys.modules
print(videos, (peak() - before) / 1024)
"""


def entry_of(number: int) -> dict[str, list]:
    """A video of 110 lines."""
    verbs = ["crack", "whisk", "pour", "heat", "turn", "salt", "serve"]
    return {
        "start": [number % 7 + 3.5 * i for i in range(110)],
        "end": [number % 7 + 3.5 * i + 3 for i in range(110)],
        "text": [f"{verbs[i % 7]} egg number {i} in bowl {number}" for i in range(110)],
    }


def write_many(path: Path, kind: str, count: int) -> None:
    """A file of `count` videos."""
    with path.open("wb") as file:
        if kind == "json":
            for i in range(count):
                file.write((", " if i else "{").encode() + f'"{i:011d}": {json.dumps(entry_of(i))}'.encode())
            file.write(b"}")
        elif kind == "pickle":
            pickle.dump({f"{i:011d}": entry_of(i) for i in range(count)}, file)
        else:
            file.write(b"vid,timestamp,text\n")
            for i in range(count):
                entry = entry_of(i)
                file.writelines(
                    f"{i:011d},{start},{text}\n".encode()
                    for start, text in zip(entry["start"], entry["text"], strict=True)
                )


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is read from /proc")
@pytest.mark.parametrize("kind", ["json", "pickle", "htm_aa"])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, kind: str) -> None:
    peaks = []
    for count in (16_000, 40_000):  # with fewer, what is let go of is not yet used again
        write_many(tmp_path / kind, kind, count)
        ran = subprocess.run(
            [sys.executable, "-c", _MEASURE, tmp_path / kind],
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        )
        videos, peak = ran.stdout.split()
        assert int(videos) == count
        peaks.append(float(peak))
    size = (tmp_path / kind).stat().st_size / 2**20
    assert size > 40
    assert peaks[1] < peaks[0] + size / 4, f"{peaks} MB for a file of {size:.0f} MB"
