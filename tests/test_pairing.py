"""The pairing of one video: what is told apart, what was dropped, in the terminal, as JSON, on a page."""

import base64
import io
import json
import re
import unicodedata
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from corpus import TEXTS, film
from tellvision.corpus.captions import captions_of
from tellvision.corpus.clips import ClipConfig, clips_of
from tellvision.records import Caption, Clip, Cue, InputError, Skip
from tellvision.report import filmstrip, strips, terminal
from tellvision.report.filmstrip import write_html
from tellvision.report.pairing import Pair, Pairing, as_json, paired, pairing
from tellvision.report.terminal import as_text
from tellvision.stages.captions import CAPTIONS
from tellvision.stages.clips import CLIPS
from tellvision.store import TABLE, Ledger, Row, read_manifest, to_table, write_manifest
from test_report import EVIL, Page

SAID = [(0.5, 2.0, "crack two eggs"), (2.0, 3.5, "now whisk"), (4.5, 7.5, "sand the board"), (9.0, 9.5, "bye")]


def table_of(folder, rows, schema=None):
    folder.mkdir(parents=True, exist_ok=True)
    table = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(rows, schema=schema)
    pq.write_table(table, folder / TABLE)


def closed(folder, stage, config=None, inputs=None):
    return write_manifest(folder, stage=stage, config=config or {}, inputs=inputs or {}, counts={"items": 1})


def work_of(work, path, *, said=SAID, config=None, duration=8.0, video="a", title="a", source="typed", cuts=None):
    """A work folder with finished clips of one video among others."""
    config = config or ClipConfig()
    lines = captions_of(video, [Cue(*one) for one in said], source)
    clips, dropped = clips_of(lines, duration, config, cuts)
    videos = [
        {"id": "0", "title": "0", "path": "/nowhere.mp4", "duration": 4.0},
        {"id": video, "title": title, "path": path and str(path), "duration": duration},
    ]
    table_of(work / "videos", videos)
    closed(work / "videos", "videos")
    around = [Caption("0", 0, 0.0, 1.0, "not mine", "typed")], [Caption("zz", 0, 0.0, 1.0, "nor mine", "typed")]
    table_of(work / "captions/main", to_table([*around[0], *lines, *around[1]], CAPTIONS))
    said = closed(work / "captions/main", "captions/main")
    others = [Clip("0#0", "0", 0.0, 1.0, "not mine", 2)]
    table_of(work / "clips/main", to_table([*others, *clips], CLIPS))
    closed(work / "clips/main", "clips/main", {"by": config.by}, {"captions": said})
    with Ledger(work / "new") as ledger:
        ledger.acknowledge("videos", [Row(video, "")])
        ledger.acknowledge("captions/main", [Row(video, "", dropped={"bad_times": 2}, detail="passed over one")])
        ledger.acknowledge("clips/main", [Row(video, "", dropped=dropped)])
    (work / "new/ledger.sqlite").rename(work / "ledger.sqlite")
    return work


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    return film(tmp_path_factory.mktemp("films") / "a.mp4", TEXTS[:2])  # 8 seconds


@pytest.fixture
def work(tmp_path, short):
    return work_of(tmp_path / "work", short)


def test_what_growing_took_in_is_told_apart(work, short):
    found = pairing(work, "main", "a")
    assert [(p.number, p.clip.start, p.clip.end, p.before, p.own, p.after) for p in found.pairs] == [
        # 0.5 to 3.5 are 3 s, to 7.5 are 7
        ("0", 0.5, 7.5, "", "crack two eggs", "now whisk sand the board"),
        ("1", 0.5, 7.5, "crack two eggs", "now whisk", "sand the board"),
        ("2", 2.0, 7.5, "now whisk", "sand the board", ""),
    ]
    assert [p.line.text for p in found.pairs] == ["crack two eggs", "now whisk", "sand the board"]
    assert [(line.text, reasons) for line, reasons in found.dropped] == [("bye", ("after_end",))]
    assert found.counted == {"captions": {"bad_times": 2}, "clips": {"after_end": 1}}
    assert found.notes == ["captions: passed over one"]
    assert (found.path, found.duration, found.end, found.sources) == (short, 8.0, 8.0, ["typed"])
    assert found.left_out == ""
    assert found.cuts == []


def test_lines_that_say_the_same(tmp_path, short):
    said = [(i * 2.0, i * 2.0 + 1.5, "okay") for i in range(4)]
    found = pairing(work_of(tmp_path / "work", short, said=said), "main", "a")
    for pair in found.pairs:
        assert " ".join(part for part in (pair.before, pair.own, pair.after) if part) == pair.clip.text
        assert pair.own == "okay"


def test_a_line_cut_into_parts(tmp_path, short):
    said = [(0.0, 6.0, "one two three four five six"), (6.0, 7.0, "seven")]
    config = ClipConfig(min_time=0, max_time=2)
    found = pairing(work_of(tmp_path / "work", short, said=said, config=config), "main", "a")
    assert [(p.number.partition(".")[0], p.own, p.before + p.after) for p in found.pairs] == [
        ("0", "one two three", ""),  # of 27 letters in 6 s, "three" begins at 1.8 s, "four" at 3.1 s
        ("0", "four", ""),
        ("0", "five six", ""),
        ("1", "seven", ""),
    ]
    assert found.dropped == []


def test_windows_belong_to_no_line(tmp_path, short):
    found = pairing(work_of(tmp_path / "work", short, config=ClipConfig(by="windows")), "main", "a")
    assert found.pairs
    assert all(p.line is None and not p.before and not p.after and p.own == p.clip.text for p in found.pairs)
    assert found.dropped == []
    assert "typed" in as_text(found)


def test_reasons_that_cannot_be_told_apart_are_both_named(tmp_path, short):
    said = [(0, 3, "first shot"), (3.2, 3.6, "at the cut"), (3.7, 4.0, "as before"), (9, 10, "late")]
    config = ClipConfig(min_time=0, within_shots=True, max_overlap=0.1, min_shown=0.5)
    found = pairing(work_of(tmp_path / "work", short, said=said, config=config, cuts=[3.4]), "main", "a")
    reasons = {line.text: reasons for line, reasons in found.dropped}
    assert reasons["late"] == ("after_end",)
    assert set(reasons["at the cut"]) <= {"too_short", "overlaps"}


def test_cuts_where_the_clips_were_cut_within_these_shots(work):
    table_of(work / "shots/main", [{"video_id": "a", "cut": 4.0}, {"video_id": "a", "cut": 1.5}])
    shots = closed(work / "shots/main", "shots/main")
    assert pairing(work, "main", "a").cuts == []
    said = read_manifest(work / "captions/main")["hash"]
    closed(work / "clips/main", "clips/main", {"by": "lines"}, {"captions": said, "shots": shots})
    assert pairing(work, "main", "a").cuts == [1.5, 4.0]
    closed(work / "shots/main", "shots/main", {"changed": 1})
    assert pairing(work, "main", "a").cuts == []


def test_a_video_that_was_left_out(work, tmp_path):
    with Ledger(work) as ledger:
        ledger.acknowledge("clips/main", [Row("0", "", "skipped", "no_clips", "3 no_words")])
    found = pairing(work, "main", "0")
    assert found.left_out == "no_clips: 3 no_words"
    assert "left out, no_clips: 3 no_words" in as_text(found)
    write_html(found, tmp_path / "page.html")
    assert "It was left out, no_clips: 3 no_words." in Page((tmp_path / "page.html").read_text()).text


@pytest.mark.parametrize(
    ("asked", "hint"),
    [("A", "did you mean a?"), ("ab", "did you mean a?"), ("wholly other", "its ids are"), ("", "its ids are"),
     ("\udcff", "its ids are"), ("a\x00b", "did you mean a?")],
)  # fmt: skip
def test_an_unknown_id(work, asked, hint):
    with pytest.raises(InputError, match=re.escape(hint)) as told:
        pairing(work, "main", asked)
    assert "\n" not in str(told.value)


def test_near_ids_among_many(work):
    ids = [f"kitchen/chop the onion {i:03}" for i in range(500)] + ["garage/Change a tyre"]
    table_of(work / "videos", [{"id": i, "title": i, "path": None, "duration": None} for i in ids])
    with pytest.raises(InputError, match="did you mean garage/Change a tyre"):
        pairing(work, "main", "garage/change a tire")
    with pytest.raises(InputError, match="did you mean kitchen/chop the onion 123"):
        pairing(work, "main", "kitchen/chop the onion123")
    with pytest.raises(InputError, match="did you mean garage/Change a tyre"):
        pairing(work, "main", "tyre")


def test_unfinished_stale_and_damaged(work):
    closed(work / "captions/main", "captions/main", {"changed": 1})
    with pytest.raises(InputError, match="captions changed since clips was made: run `tellvision clips"):
        pairing(work, "main", "a")
    with pytest.raises(InputError, match=r"other is not finished: run `tellvision clips .* --name other` first"):
        pairing(work, "other", "a")
    (work / "videos" / TABLE).write_bytes(b"no table")
    said = closed(work / "captions/main", "captions/main")
    closed(work / "clips/main", "clips/main", {}, {"captions": said})
    with pytest.raises(InputError, match=r"table.parquet is damaged"):
        pairing(work, "main", "a")


def test_only_row_groups_that_can_hold_it_are_read(work, monkeypatch):
    ids = [f"v{i:03}" for i in range(100)]
    table = pa.table({"video_id": ids, "number": range(100), "start": [0.0] * 100, "end": [1.0] * 100,
                      "text": ["said"] * 100, "source": ["typed"] * 100})  # fmt: skip
    pq.write_table(table, work / "captions/main" / TABLE, row_group_size=10)
    table_of(work / "videos", [{"id": "v042", "title": "", "path": "", "duration": 0.0}])
    seen = []
    read = pq.ParquetFile.read_row_group
    monkeypatch.setattr(
        pq.ParquetFile, "read_row_group", lambda file, i, **k: seen.append(i) or read(file, i, **k)
    )
    found = pairing(work, "main", "v042")
    assert [line.number for line in found.lines] == [42]
    assert seen == [0, 0, 4, 4]  # the one of the videos, one of ten of the captions, none of the clips
    assert (found.title, found.path, found.duration) == ("v042", None, None)


def test_as_json(work, short):
    found = as_json(pairing(work, "main", "a"))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["path"] == str(short)
    assert found["clips"][1] == {
        "clip_id": "a#1",
        "start": 0.5,
        "end": 7.5,
        "line": 1,
        "before": "crack two eggs",
        "own": "now whisk",
        "after": "sand the board",
    }
    assert found["lines"][3] == {"number": 3, "start": 9.0, "end": 9.5, "text": "bye", "source": "typed"}
    assert found["dropped"] == [{"line": 3, "reasons": ["after_end"]}]


def test_the_table_by_hand(work):
    assert (
        as_text(pairing(work, "main", "a"), 80)
        == """a
4 lines, 3 clips in 0:08.0, typed
captions: passed over one

no  clip             s  line           what is said
 0  0:00.5-0:07.5  7.0  0:00.5-0:02.0  «crack two eggs» now whisk sand the board
 1  0:00.5-0:07.5  7.0  0:02.0-0:03.5  crack two eggs «now whisk» sand the board
 2  0:02.0-0:07.5  5.5  0:04.5-0:07.5  now whisk «sand the board»

1 without a clip of their own
3 0:09.0-0:09.5 after_end bye

captions: 2 dropped, bad_times (a time that is negative, reversed or no number)
clips: 1 dropped, after_end (said after the video has ended)
"""
    )


def test_sources_have_a_column_where_they_differ(work):
    found = pairing(work, "main", "a")
    assert "source" not in as_text(found)
    mixed = [*found.lines[:1], Caption("a", 9, 7.6, 7.9, "heard", "heard")]
    text = as_text(Pairing(**(vars(found) | {"lines": mixed})), 100)
    assert "line           source  what is said" in text
    assert "typed   «crack" in text


def test_a_terminal_gets_bold_and_dim(work):
    text = as_text(pairing(work, "main", "a"), 100, styled=True)
    assert "\x1b[1mcrack two eggs\x1b[0m \x1b[2mnow whisk sand the board\x1b[0m" in text
    assert "«" not in text


def widest(text):
    wide = {"W": 2, "F": 2}
    return max(
        sum(0 if unicodedata.combining(c) else wide.get(unicodedata.east_asian_width(c), 1) for c in line)
        for line in re.sub(r"\x1b\[\d*m", "", text).splitlines()
    )


@given(
    st.lists(st.tuples(st.text(max_size=40), st.text(max_size=400), st.text(max_size=40)), max_size=4),
    st.integers(0, 140),
    st.booleans(),
)
def test_any_text_fits_and_commands_nothing(texts, width, styled):
    pairs = [
        Pair(clip=Clip(f"v#{i}", "v", i * 4000.0, i * 4000.0 + 5, "", 1), before=before, own=own, after=after,
             line=Caption("v", i, 1.0, 2.0, own, "typed"))
        for i, (before, own, after) in enumerate(texts)
    ]  # fmt: skip
    dropped = [(pair.line, ("overlaps",)) for pair in pairs]
    found = Pairing(video_id="v\x1b[2J", title="", path=None, duration=None, lines=[], pairs=pairs, counted={},
                    dropped=dropped, left_out="\x07", notes=[], cuts=[])  # fmt: skip
    text = as_text(found, width, styled=styled)
    assert widest(text) <= max(width, terminal.NARROWEST)
    commands = re.sub(r"\x1b\[[012]m", "", text) if styled else text
    assert all(c.isprintable() or c in "\n\u200c\u200d" for c in commands)
    words = [word for _, own, _ in texts for word in re.findall("[a-z]+", own)]
    assert all(word in "".join(text.split()) for word in words)


def test_moments_by_hand():
    clip = Clip("a#0", "a", 0.4, 5.2, "", 1)
    assert strips.moments(clip, 1.0) == [1, 2, 3, 4, 5]
    assert strips.moments(clip, 2.0) == [2, 4, 6, 8, 10]  # of 1 to 10, at even distances
    assert strips.moments(Clip("a#0", "a", 0.4, 0.6, "", 1), 1.0) == [0]
    assert strips.moments(Clip("a#0", "a", 3.0, 3.0, "", 1), 1.0) == [3]
    assert strips.rate_for(60) == strips.DENSEST
    assert strips.rate_for(7200) == 0.5
    assert strips.rate_for(0) == strips.DENSEST


@given(st.floats(0, 1e5), st.floats(0, 1e4), st.floats(0.01, 2))
def test_moments_lie_in_the_clip_and_rise(start, length, rate):
    clip = Clip("a#0", "a", start, start + length, "", 1)
    found = strips.moments(clip, rate)
    assert 1 <= len(found) <= strips.SHOWN
    assert all(a < b for a, b in pairwise(found))
    if len(found) > 1:
        assert start <= found[0] / rate + 1e-6
        assert found[-1] / rate - 1e-6 <= start + length


def test_every_second_is_kept_once(short, monkeypatch):
    clips = [Clip(f"a#{i}", "a", i / 10, i / 10 + 5, "", 1) for i in range(30)]
    opened = []
    frames = strips.media.Frames
    monkeypatch.setattr(strips.media, "Frames", lambda *a: opened.append(a) or frames(*a))
    monkeypatch.setattr(strips, "SIDE", 2)
    found = strips.strips(short, clips, 1.0)
    assert len(opened) == 1
    assert list(found.places.items()) == [(moment, moment) for moment in range(8)]
    assert len(found.sheets) == 2
    assert (found.width, found.height) == (120, 90)  # the film is 64 x 48
    for sheet, ground in zip(found.sheets, ((210, 40, 40), (40, 180, 60)), strict=True):  # 4 s each
        pixels = np.asarray(Image.open(io.BytesIO(sheet)), np.int64)
        assert pixels.shape == (180, 240, 3)
        for y, x in ((4, 4), (4, 124), (94, 4), (94, 124)):
            assert np.abs(pixels[y, x] - ground).max() < 30


def test_moments_behind_the_end_have_no_still(short):
    found = strips.strips(short, [Clip("a#0", "a", 5.0, 60.0, "", 1)], 1.0)
    assert set(found.places) <= set(range(8))
    assert strips.strips(short, [Clip("a#0", "a", 50.0, 60.0, "", 1)], 1.0).sheets == []


def page_of(found, path, *span):
    write_html(found, path, *span)
    return Page(path.read_text(encoding="utf-8"))


def test_the_page(work, tmp_path):
    page = page_of(pairing(work, "main", "a"), tmp_path / "page.html")
    assert "4 lines, 3 clips in 0:08.0 typed" in page.text
    assert "0 0:00.5–0:07.5 7.0 s its line 0:00.5–0:02.0" in page.text
    assert "crack two eggs now whisk sand the board" in page.text
    assert "3 0:09.0–0:09.5 said after the video has ended bye" in page.text
    assert "a time that is negative, reversed or no number bad_times lines 2" in page.text
    stills = [one for one in page.all("i") if one.get("class", "").startswith("s0")]
    assert len(stills) == 3 * strips.SHOWN
    # of 1, 2.5, 4, 5.5 and 7 s only the first is the first line's own, the second the second's
    assert [one["class"] for one in stills[:5]] == ["s0 own", "s0", "s0", "s0", "s0"]
    assert [one["class"] for one in stills[5:10]] == ["s0", "s0 own", "s0", "s0", "s0"]
    bars = [one["class"] for one in page.all("rect")]
    assert bars == ["said"] * 3 + ["shown"] * 3  # "bye" is said behind the end
    assert {one["href"] for one in page.all("a")} == {"#clip-0", "#clip-1", "#clip-2"}
    assert {one.get("id") for one in page.all("article")} == {"clip-0", "clip-1", "clip-2"}
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    (sheet,) = re.findall(r"url\(data:image/jpeg;base64,([^)]*)\)", html)
    assert Image.open(io.BytesIO(base64.b64decode(sheet))).size == (1200, 900)


def test_a_span_of_the_page(work, tmp_path):
    found = pairing(work, "main", "a")
    page = page_of(found, tmp_path / "page.html", 0.0, 1.0)
    assert "2 of 3 clips, those of the span asked for." in page.text
    assert {one["href"] for one in page.all("a")} == {"#clip-0", "#clip-1"}
    assert page.all("rect").__len__() == 6  # the time line shows the whole video
    assert "There is no clip to show." in page_of(found, tmp_path / "page.html", 100.0).text
    for start, end in (
        (-1.0, 2.0),
        (3.0, 2.0),
        (2.0, 2.0),
        (float("nan"), 2.0),
        (0.0, float("nan")),
        (1e999, None),
    ):
        with pytest.raises(InputError, match="is no span"):
            write_html(found, tmp_path / "page.html", start, end)


def test_a_long_video_says_why_stills_are_few(work, tmp_path, monkeypatch):
    monkeypatch.setattr(strips, "MOST", 4)
    monkeypatch.setattr(filmstrip, "MOST", 4)
    page = page_of(pairing(work, "main", "a"), tmp_path / "page.html")
    assert "A page shows at most 4 moments: here one every 2.0 seconds." in page.text


@pytest.mark.parametrize("gone", ["away", "nonsense", "unknown"])
def test_a_video_that_cannot_be_seen(tmp_path, gone):
    path = {"away": tmp_path / "gone.mp4", "nonsense": tmp_path / "odd.mp4", "unknown": None}[gone]
    (tmp_path / "odd.mp4").write_bytes(b"no video")
    page = page_of(pairing(work_of(tmp_path / "work", path), "main", "a"), tmp_path / "page.html")
    line = {"unknown": "No file of this video is known"}.get(gone, "The pictures cannot be read: ")
    assert page.text.count(line) == 1
    assert "crack two eggs now whisk sand the board" in page.text
    assert not any("aria-label" in one for one in page.all("div"))


def test_nothing_from_outside_and_nothing_unescaped(tmp_path, short):
    said = [(start, end, f"{text} {EVIL}") for start, end, text in SAID]
    work = work_of(tmp_path / "work", short, said=said, video=EVIL, title=EVIL)
    page = page_of(pairing(work, "main", EVIL), tmp_path / "page.html")
    assert not {tag for tag, _ in page.elements} & {"script", "link", "iframe", "object", "base", "form", "img"}
    for tag, attributes in page.elements:
        assert not any(name.startswith("on") for name in attributes), tag
        assert attributes.get("href", "#").startswith("#")
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "://" not in html
    assert all(place.startswith("data:image/jpeg;") for place in re.findall(r"url\(([^)]*)\)", html))
    assert page.text.count(" ".join(EVIL.split())) > 5


def test_cuts_and_lanes(work, tmp_path):
    found = pairing(work, "main", "a")
    page = page_of(Pairing(**(vars(found) | {"cuts": [2.0, 4.0, 300.0]})), tmp_path / "page.html")
    assert [one["x1"] for one in page.all("line")] == ["250.00", "500.00"]
    clips = [
        Clip(f"a#{i}", "a", start, end, "", 1) for i, (start, end) in enumerate([(0, 4), (1, 5), (4, 6), (4, 5)])
    ]
    assert list(filmstrip._lanes(clips)) == [0, 1, 0, 2]
    many = list(filmstrip._lanes([Clip(f"a#{i}", "a", 0, 9 - i / 10, "", 1) for i in range(20)]))
    assert max(many) == 7


def test_lines_as_long_as_they_may_be_are_cut(tmp_path, short):
    said = [(0.0, 4.0, "word " * 1_999), (4.0, 8.0, "x" * 10_000), (8.0, 8.1, "end")]
    found = pairing(work_of(tmp_path / "work", short, said=said), "main", "a")
    page = page_of(found, tmp_path / "page.html")
    assert "word " * 201 not in page.text
    assert "x" * 1_001 not in page.text


def test_a_page_that_cannot_be_written(work, tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        write_html(pairing(work, "main", "a"), tmp_path / "none" / "page.html")


def test_a_video_that_ends_early(work, tmp_path, monkeypatch):
    def gone(*_):
        raise Skip("no_frames", "")

    monkeypatch.setattr(strips.media, "thumbnail", gone)
    page = page_of(pairing(work, "main", "a"), tmp_path / "page.html")
    assert "The pictures cannot be read: no picture where something is said." in page.text


LINES = st.lists(
    st.tuples(
        st.integers(0, 60), st.integers(0, 40), st.lists(st.sampled_from(["ok", "so", "egg", "…"]), min_size=1)
    ),
    max_size=12,
)


@given(LINES, st.sampled_from([0.0, 3.0, 60.0]), st.sampled_from([1.0, 0.3]))
def test_nothing_is_lost_between_own_and_taken_in(spoken, min_time, max_overlap):
    cues = [Cue(start / 4, (start + length) / 4, " ".join(words)) for start, length, words in spoken]
    lines = captions_of("v", cues, "typed")
    config = ClipConfig(min_time=min_time, max_overlap=max_overlap)
    clips, _ = clips_of(lines, 12.0, config)
    found = paired(clips, lines, by_line=True)
    assert [pair.clip for pair in found] == clips
    for pair in found:
        assert pair.own == pair.line.text == lines[int(pair.number)].text
        assert " ".join(part for part in (pair.before, pair.own, pair.after) if part) == pair.clip.text


@given(LINES, st.floats(0.5, 5))
def test_parts_say_what_their_line_says(spoken, max_time):
    cues = [Cue(start / 4, (start + length) / 4, " ".join(words)) for start, length, words in spoken]
    lines = captions_of("v", cues, "typed")
    clips, _ = clips_of(lines, 12.0, ClipConfig(min_time=0, max_time=max_time))
    for pair in paired(clips, lines, by_line=True):
        assert pair.own == pair.clip.text
        assert pair.own in pair.line.text
