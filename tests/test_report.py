"""The report: numbers worked by hand, nothing from outside, everything escaped, made once."""

import ast
import base64
import io
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import tellvision
from corpus import TEXTS, film
from tellvision import report
from tellvision.records import InputError
from tellvision.report import card, facts, markup, pictures, reasons, statistics
from tellvision.report.plots import histogram, loss_curve
from tellvision.search import Index, build
from tellvision.store import TABLE, read_manifest, tables, write_manifest
from test_search import small_model

EVIL = '<script>alert("x")</script> & \'"><img src=x onerror=alert(1)>'
FIGURES = {"R@1": 0.25, "R@5": 0.5, "R@10": 0.75, "MedR": 2.5, "MRR": 0.4, "questions": 20}
CHANCE = {"R@1": 0.1, "R@5": 0.2, "R@10": 0.3, "MedR": 5.0}
SYSTEMS = {
    "speech": FIGURES,
    "learned": CHANCE,
    "learned + speech": CHANCE,
    "learned shuffled": CHANCE,
    "chance": CHANCE,
}
# video, start, end, what is said: c's two clips are one moment, and were kept out of training with b's
CLIPS = [
    ("a", 0.0, 4.0, "crack the eggs"),
    ("a", 4.0, 8.0, "then whisk them"),
    ("b", 0.0, 4.0, "sand the board"),
    ("b", 4.0, 8.0, "paint it white"),
    ("c", 0.0, 5.0, "water the plants"),
    ("c", 2.0, 6.0, "fold the paper"),
]
VECTORS = np.array([[1, 0], [0, 1], [1, 0], [0.6, 0.8], [0.8, 0.6], [0, 1]], np.float32)


class Model:
    """Knows two words, each an axis."""

    def encode_text(self, texts):
        known = {"paint": [1.0, 0.0], "fold": [0.0, 1.0]}
        found = [vector for text in texts for word, vector in known.items() if word in text]
        if len(found) < len(texts):
            raise ValueError("no known word")
        return np.array(found, np.float32)


class Page(HTMLParser):
    """A page read strictly: every element closed where it should be."""

    void = frozenset({"meta", "img"})

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.words = [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="session")
def films(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    return {name: film(folder / f"{name}.mp4", TEXTS[2 * i : 2 * i + 2]) for i, name in enumerate("abc")}


def table(folder, rows):
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / TABLE)


def closed(folder, stage, config=None, inputs=None, **counts):
    folder.mkdir(parents=True, exist_ok=True)
    counts = {"dropped": {}} | counts
    write_manifest(folder, stage=stage, config=config or {"stage": stage}, inputs=inputs or {}, counts=counts)


def work_of(
    folder,
    films,
    *,
    learned=True,
    why="",
    systems=SYSTEMS,
    search_by="speech",
    picture=None,
    held_out=("b", "c"),
    clips=CLIPS,
    title="{}",
):
    """A finished work folder; its videos say that they last an hour, half an hour and half an hour."""
    durations = {"a": 3600.0, "b": 1800.0, "c": 1800.0}
    closed(folder / "videos", "videos", {"folder": "/somewhere/my <videos>"}, items=4, skipped={"empty_file": 1})
    videos = [
        {"id": i, "title": title.format(i), "path": str(films[i]), "duration": durations[i], "status": "ok"}
        for i in durations
    ]
    table(
        folder / "videos", [*videos, {"id": "d", "title": "d", "path": "", "duration": 0.0, "status": "skipped"}]
    )
    sources = ["automatic", "automatic", "automatic", "typed", "typed", "typed", "typed", "typed"]
    lines = [*(text for *_, text in CLIPS), "water", "and then"]
    said = [{"video_id": "a", "text": text, "source": s} for text, s in zip(lines, sources, strict=True)]
    table(folder / "captions/main", said)
    closed(folder / "captions/main", "captions", rows=8, dropped={"bad_times": 2}, skipped={"no_subtitles": 1})
    cut = [dict(zip(("video_id", "start", "end", "text"), clip, strict=True)) for clip in clips]
    cut = [{"clip_id": f"{clip['video_id']}#{i}"} | clip for i, clip in enumerate(cut)]
    schema = pa.schema([(n, pa.float64() if n in ("start", "end") else pa.string()) for n in [
        "clip_id", "video_id", "start", "end", "text"]])  # fmt: skip
    clip_table = pa.Table.from_pylist(cut, schema=schema)
    (folder / "clips/main").mkdir(parents=True, exist_ok=True)
    pq.write_table(clip_table, folder / "clips/main" / TABLE)
    closed(folder / "clips/main", "clips", {"min_time": 5.0}, dropped={"after_end": 1, "no_such_name": 3})
    closed(folder / "features/main/efficientnet-lite0", "features")
    closed(folder / "pairs/main", "pairs", dropped={"no_frames": 4})
    runs = folder / "runs/main"
    measured = {"text_to_video": FIGURES, "shuffled": CHANCE, "chance": CHANCE, "videos": 2, "clips": 4}
    closed(runs, "runs", learned=learned, why=why, training=1, held_out=len(held_out),
           retrieval=measured if learned and held_out else None)  # fmt: skip
    (runs / "held_out.txt").write_text("".join(f"{i}\n" for i in held_out), encoding="utf-8")
    (runs / "metrics.jsonl").write_text(
        '{"epoch": 1, "loss": 0.2}\n{"epoch": 2, "loss": 0.125}\n', encoding="utf-8"
    )
    build(
        folder / "index/main",
        clips=clip_table,
        videos=pa.Table.from_pylist(videos).select(["id", "title", "path", "duration"]),
        vectors=VECTORS[: len(clips)] if learned else None,
        search_by=search_by,
        why="Searched by <what> is said.",
        model=small_model(dim=2) if learned else None,
        comparison={"model": picture, "systems": systems, "questions": 20, "videos": 2, "clips": 4},
        inputs={},
    )
    return folder


PLOTS = ["seconds per clip", "words per caption, without stop words"]
SKIPPED = {"d": ("no_subtitles", "no subtitle file beside d")}


@pytest.fixture(autouse=True)
def model(monkeypatch):
    monkeypatch.setattr(facts, "load_model", lambda index: Model() if index.model else None)


def page_of(work, skipped=SKIPPED):
    return Page(report.write(work, skipped=skipped).read_text(encoding="utf-8"))


def test_numbers_by_hand(films, tmp_path):
    page = page_of(work_of(tmp_path / "work", films))
    assert "4 videos found; 3 can be searched, by what is said." in page.text
    # 7,200 s; 40 minutes each; 6 clips of 4, 4, 4, 4, 5 and 4 s
    for row in (
        "videos 3 1,220,000",
        "hours 2.0 134,472",
        "minutes per video 40.0 30 – 60 6.5",
        "captions 8 136,600,000",
        "clips 6 136,600,000",
        "clips per video 2.0 2 – 2 110",
        "seconds per clip 4.2 4 – 4 4.0",
        # crack eggs | whisk | sand board | paint white | water plants | fold paper | water | nothing: 12 in 8
        "words per caption without stop words 1.5 1 – 2 4.0",
    ):
        assert row in page.text
    assert "typed by a person 62.5%" in page.text
    assert "recognised automatically 37.5%" in page.text
    assert "Of 4 videos 1 had to be left out. 1 no subtitles beside the video no_subtitles" in page.text
    assert "a time that is negative, reversed or no number bad_times lines 2" in page.text
    assert "said after the video has ended after_end captions 1" in page.text
    assert "no such name no_such_name clips 3" in page.text
    assert "no picture where something is said no_frames clips 4" in page.text
    assert "1 video to learn from, 2 kept out to measure on." in page.text
    assert "0.2000 in the first, 0.1250 in the last of 2." in page.text
    assert "asks for its own clip among 4," in page.text
    assert "the learned picture 25.0% 50.0% 75.0% 2.5 captions shuffled (control) 10.0%" in page.text
    assert "of unseen captions find their clip among the first ten; by chance 30% 75%" in page.text
    assert '"min_time": 5.0' in page.text
    bars = [attributes["style"] for attributes in page.all("i") if attributes.get("style", "").startswith("width")]
    # 1 of 4 videos left out; R@10 beside the best of its table: .75 and twice .3, .75 and four times .3
    assert bars == ["width:25.0%", "width:100.0%", *["width:40.0%"] * 2, "width:100.0%", *["width:40.0%"] * 4]


@pytest.mark.parametrize(
    ("search_by", "picture", "chosen"),
    [("speech", None, "what is said"), ("picture", "learned", "learned picture"),
     ("fused", "learned", "learned picture and what is said")],
)  # fmt: skip
def test_the_chosen_one_stands_out(films, tmp_path, search_by, picture, chosen):
    page = page_of(work_of(tmp_path / "work", films, search_by=search_by, picture=picture))
    assert f" {chosen} chosen 25.0%" in page.text or f" {chosen} chosen 10.0%" in page.text
    assert page.text.count(" chosen ") == 1
    assert "Searched by <what> is said." in page.text
    for name in ("what is said", "learned picture, shuffled (control) 10.0%", "chance 10.0% 20.0% 30.0% 5"):
        assert name in page.text


def test_questions_by_hand(films, tmp_path):
    index = Index.open(work_of(tmp_path / "work", films) / "index/main")
    asked = pictures.ask(index, Model(), {"b", "c", "gone"})
    # b's middle clip is its second, c's too. "paint" is the axis (1, 0): its own clip scores .6 among
    # b 1, b .6, c .8, c 0, so it is third. "fold" is (0, 1): scores 0, .8, .6, 1.
    assert [(question.asked.text, question.rank, question.candidates) for question in asked] == [
        ("paint it white", 3, 4),
        ("fold the paper", 1, 4),
    ]
    # Of c's clips, which share 3 of 4 s, only the better one is shown.
    assert [(hit.still.text, hit.right) for hit in asked[0].hits] == [
        ("sand the board", "video"),
        ("water the plants", ""),
        ("paint it white", "moment"),
    ]
    assert [(hit.still.text, hit.right) for hit in asked[1].hits] == [
        ("fold the paper", "moment"),
        ("paint it white", ""),
        ("sand the board", ""),
    ]


def test_clips_that_share_little_are_two_moments(films, tmp_path):
    clips = [*CLIPS[:-1], ("c", 4.0, 8.0, "fold the paper")]  # 1 of 4 s: a search tells both, so does the report
    index = Index.open(work_of(tmp_path / "work", films, clips=clips) / "index/main")
    asked = pictures.ask(index, Model(), {"b", "c"})
    assert [(hit.still.text, hit.right) for hit in asked[1].hits] == [
        ("fold the paper", "moment"),
        ("paint it white", ""),
        ("water the plants", "video"),
        ("sand the board", ""),
    ]


def test_ties_count_against_the_model(films, tmp_path, monkeypatch):
    monkeypatch.setattr("test_report.VECTORS", np.tile(np.float32([0.6, 0.8]), (6, 1)))
    index = Index.open(work_of(tmp_path / "work", films) / "index/main")
    assert [question.rank for question in pictures.ask(index, Model(), {"b", "c"})] == [4, 4]


def test_questions_without_a_known_word_or_a_choice(films, tmp_path):
    index = Index.open(work_of(tmp_path / "work", films) / "index/main")
    assert [question.asked.text for question in pictures.ask(index, Model(), {"a", "b"})] == ["paint it white"]
    assert pictures.ask(index, Model(), set()) == []
    assert pictures.ask(index, Model(), {"nowhere"}) == []


def test_the_marks_on_the_page(films, tmp_path):
    page = page_of(work_of(tmp_path / "work", films))
    assert page.text.count("✓ the moment") == 2
    assert page.text.count("same video") == 1
    assert "its own clip stands at place 3 of 4" in page.text


def test_pictures_show_the_middle_of_the_clip(films, tmp_path):
    index = Index.open(work_of(tmp_path / "work", films) / "index/main")
    (first, *_) = stills = pictures.few(index)
    assert [still.text for still in stills] == ["then whisk them", "paint it white", "fold the paper"]
    kind, _, data = first.picture.partition(",")
    assert kind == "data:image/jpeg;base64"
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))), np.int64)
    assert picture.shape[1] == pictures.WIDTH
    assert np.abs(picture[2, 2] - (40, 180, 60)).max() < 30  # the second step's ground


def test_a_film_that_went_away(films, tmp_path):
    moved = films | {"b": tmp_path / "gone.mp4"}
    page = page_of(work_of(tmp_path / "work", moved))
    assert (
        page.text.count("the picture can no longer be read") == 6
    )  # in the grid, as a question, two hits of each question


def test_nothing_from_outside_and_nothing_unescaped(films, tmp_path):
    clips = [(video, start, end, f"{text} {EVIL}") for video, start, end, text in CLIPS]
    work = work_of(tmp_path / "work", films, clips=clips, title="{} " + EVIL)
    page = page_of(work, {EVIL: (EVIL, f"{EVIL} is odd"), "e": (EVIL, EVIL)})
    assert not {tag for tag, _ in page.elements} & {"script", "link", "iframe", "object", "base", "form"}
    for tag, attributes in page.elements:
        assert not any(name.startswith("on") for name in attributes), tag
        assert all(attributes.get(name, "data:").startswith("data:") for name in ("src", "srcset", "action"))
        href = next((value for name, value in attributes.items() if name.endswith("href")), "#")
        assert href.startswith("#")
    text = (work / "report.html").read_text(encoding="utf-8")
    assert "://" not in text
    assert "@import" not in text
    assert all(place.startswith("#") for place in re.findall(r"url\(([^)]*)\)", text))
    assert page.text.count(" ".join(EVIL.split())) > 10


def test_made_once_and_again_when_something_changed(films, tmp_path):
    work = work_of(tmp_path / "work", films)
    path = report.write(work, skipped=SKIPPED)
    assert path == work / "report.html"
    made = path.stat().st_mtime_ns
    first = path.read_bytes()
    report.write(work, skipped=SKIPPED)
    assert path.stat().st_mtime_ns == made

    report.write(work, skipped={"d": ("no_subtitles", "another detail")})
    second = path.read_bytes()
    assert b"another detail" in second

    manifest = read_manifest(work / "clips/main")
    closed(work / "clips/main", "clips", {"min_time": 7.5}, **manifest["counts"])
    report.write(work, skipped=SKIPPED)
    assert b"7.5" in path.read_bytes()

    closed(work / "clips/main", "clips", {"min_time": 5.0}, **manifest["counts"])
    report.write(work, skipped=SKIPPED)
    assert path.read_bytes() == first  # the same artefacts give the same bytes


def test_a_newer_version_makes_it_again(films, tmp_path, monkeypatch):
    work = work_of(tmp_path / "work", films)
    path = report.write(work, skipped=SKIPPED)
    path.write_bytes(path.read_bytes() + b"<!-- by hand -->")
    monkeypatch.setattr(card, "LAYOUT", card.LAYOUT + 1)
    assert b"by hand" not in report.write(work, skipped=SKIPPED).read_bytes()


def test_what_is_not_there_is_said(films, tmp_path):
    why = "1 videos are too few to learn from (at least 10)"
    page = page_of(work_of(tmp_path / "work", films, learned=False, why=why, systems={}, held_out=()), {})
    assert "Of 4 videos none had to be left out." in page.text
    assert f"Nothing was learned: {why}." in page.text
    assert "There is no learned model to measure." in page.text
    assert "There is no model to ask." in page.text
    assert [plot["aria-label"].partition(":")[0] for plot in page.all("svg")] == PLOTS  # and no curve
    assert "chosen" not in page.text


def test_nothing_held_out(films, tmp_path):
    page = page_of(work_of(tmp_path / "work", films, held_out=(), systems={}))
    assert "Nothing was measured" in page.text
    assert "Nothing was asked" in page.text
    assert len(page.all("svg")) == len(PLOTS) + 1


def test_an_index_without_a_clip(films, tmp_path):
    page = page_of(work_of(tmp_path / "work", films, clips=[], systems={}))
    assert "There is no clip to show." in page.text
    assert "minutes per video – 6.5" in page.text
    assert "seconds per clip – 4.0" in page.text
    assert not [plot for plot in page.all("svg") if plot["aria-label"].startswith("seconds")]


def test_a_reason_names_a_few_videos(films, tmp_path):
    work = work_of(tmp_path / "work", films)
    page = page_of(
        work, {f"v{i}": ("no_frames" if i else "empty_file", f"what is wrong with {i}") for i in range(6)}
    )
    assert "5 no picture where something is said no_frames v1 : what is wrong with 1" in page.text
    assert "v3 : what is wrong with 3 and 2 more" in page.text
    assert "v4" not in page.text
    assert page.text.index("5 no picture") < page.text.index("1 a file without a byte")


def test_an_example_says_its_name_once(films, tmp_path):
    lost = {
        "amp": ("odd", "detailed & amp"),
        "e": ("odd", "where the e is"),
        "f": ("odd", ""),
        "g": ("odd", "of gold"),
    }
    text = (report.write(work_of(tmp_path / "work", films), skipped=lost)).read_text(encoding="utf-8")
    assert "<li>detailed &amp; <b>amp</b></li><li>where the <b>e</b> is</li><li><b>f</b></li>" in text
    text = report.write(tmp_path / "work", skipped={"g": lost["g"]}).read_text(encoding="utf-8")
    assert "<li><b>g</b>: of gold</li>" in text


def test_an_unfinished_run(films, tmp_path):
    work = work_of(tmp_path / "work", films)
    (work / "pairs/main/manifest.json").unlink()
    with pytest.raises(InputError, match=r"pairs/main is not finished: run"):
        report.write(work, skipped={})
    assert not (work / "report.html").exists()


def test_a_damaged_curve(films, tmp_path):
    work = work_of(tmp_path / "work", films)
    (work / "runs/main/metrics.jsonl").write_text('{"epoch": 1}\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"metrics.jsonl cannot be read"):
        report.write(work, skipped={})


def test_the_figures_as_json(films, tmp_path):
    work = work_of(tmp_path / "work", films)
    report.write(work, skipped=SKIPPED)
    figures = json.loads((work / "report.json").read_text(encoding="utf-8"))
    assert figures["searched"] == {
        "videos": 3, "clips": 6, "hours": 2.0, "by": "speech", "why": "Searched by <what> is said."
    }  # fmt: skip
    assert figures["left_out"] == [
        {"reason": "no_subtitles", "videos": 1, "examples": [["d", "no subtitle file beside d"]]}
    ]
    assert figures["run"]["losses"] == [0.2, 0.125]
    assert figures["comparison"]["systems"] == SYSTEMS
    assert figures["statistics"] == statistics.statistics(work)


def test_a_report_without_its_figures_is_made_again(films, tmp_path):
    work = work_of(tmp_path / "work", films)
    report.write(work, skipped=SKIPPED)
    (work / "report.json").unlink()
    report.write(work, skipped=SKIPPED)
    assert (work / "report.json").exists()


def test_statistics_need_no_more_than_clips(films, tmp_path):
    work = work_of(tmp_path / "work", films)
    for stage in ("features", "pairs", "runs", "index"):
        shutil.rmtree(work / stage)
    found = statistics.statistics(work)
    assert {key: found[key] for key in statistics.PAPER} == {
        "videos": 3,
        "hours": 2.0,
        "minutes_per_video": 40.0,
        "captions": 8,
        "clips": 6,
        "clips_per_video": 2.0,
        "seconds_per_clip": 25 / 6,
        "words_per_caption": 1.5,
    }
    assert found["paper"] == statistics.PAPER
    assert found["found"] == 4
    assert found["quartiles"]["minutes_per_video"] == [30, 30, 60]
    assert found["quartiles"]["seconds_per_clip"] == [4, 4, 4]
    lengths = found["histograms"]["seconds_per_clip"]
    assert {start: n for start, n in zip(lengths["from"], lengths["counts"], strict=True) if n} == {4: 5, 5: 1}
    assert found["sources"] == {"typed": 5, "automatic": 3}
    assert found["skipped"] == {"videos": {"empty_file": 1}, "captions": {"no_subtitles": 1}, "clips": {}}
    assert found["dropped"] == {
        "videos": {},
        "captions": {"bad_times": 2},
        "clips": {"after_end": 1, "no_such_name": 3},
    }
    (work / "clips/main/manifest.json").unlink()
    with pytest.raises(InputError, match=r"clips/main is not finished"):
        statistics.statistics(work)


def test_speech_and_shots_count_where_they_were_used(films, tmp_path):
    work = work_of(tmp_path / "work", films)
    closed(work / "speech/main", "speech", skipped={"silent": 1})
    closed(work / "shots/main", "shots", skipped={"no_frames": 1})
    assert not {"speech", "shots"} & statistics.statistics(work)["skipped"].keys()
    captions = read_manifest(work / "captions/main")
    closed(work / "captions/main", "captions", inputs={"speech": "x"}, **captions["counts"])
    clips = read_manifest(work / "clips/main")
    closed(work / "clips/main", "clips", inputs={"shots": "y"}, **clips["counts"])
    found = statistics.statistics(work)
    assert (found["skipped"]["speech"], found["skipped"]["shots"]) == ({"silent": 1}, {"no_frames": 1})


def test_what_is_dropped_has_its_unit(films, tmp_path):
    work = work_of(tmp_path / "work", films)
    closed(work / "captions/main", "captions", dropped={"sounds": 4, "repeats": 2})
    closed(work / "clips/main", "clips", dropped={"empty_windows": 7, "no_words": 1, "before_start": 3})
    text = page_of(work).text
    assert "nothing but sounds in it sounds lines 4" in text
    assert "a line that was shown again repeats lines 2" in text
    assert "nothing is said in it empty_windows windows 7" in text
    assert "nothing that is a word no_words clips 1" in text
    assert "said before the video begins, once it was moved before_start captions 3" in text


def test_durations_that_nobody_knows(films, tmp_path):
    work = work_of(tmp_path / "work", films)
    schema = pa.schema([("id", pa.string()), ("duration", pa.float64())])
    rows = [{"id": "a", "duration": None}, {"id": "b", "duration": 0.0}, {"id": "c", "duration": 60.0}]
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), work / "videos" / TABLE)
    found = statistics.statistics(work)
    assert (found["videos"], found["hours"], found["minutes_per_video"]) == (3, 1 / 60, 1.0)
    pq.write_table(pa.Table.from_pylist(rows[:2], schema=schema), work / "videos" / TABLE)
    found = statistics.statistics(work)
    assert found["hours"] is None
    assert re.search(r"^hours +- +134,472$", statistics.as_text(found), re.MULTILINE)
    assert "hours – 134,472" in page_of(work).text


@pytest.mark.parametrize("batch", [1, 2, 3, 100])
def test_the_words_of_a_sample(tmp_path, monkeypatch, batch):
    table(tmp_path, [{"text": " ".join(["egg"] * i)} for i in range(10)])
    monkeypatch.setattr(tables, "ROWS_AT_ONCE", batch)
    assert statistics._words(tmp_path).mean == 4.5
    monkeypatch.setattr(statistics, "SAMPLED", 3)  # every third: lines 0, 3, 6 and 9
    assert statistics._words(tmp_path).mean == 4.5
    monkeypatch.setattr(statistics, "SAMPLED", 2)  # lines 0 and 5
    assert statistics._words(tmp_path).mean == 2.5


def test_counting_keeps_no_more_of_a_long_table_than_of_a_short_one(tmp_path):
    schema = pa.schema([("start", pa.float64()), ("end", pa.float64())])
    with pq.ParquetWriter(tmp_path / TABLE, schema) as file:
        for i in range(40):  # 64 MB
            ends = np.random.default_rng(i).random(100_000)
            file.write_table(pa.table({"start": np.zeros(100_000), "end": ends}, schema=schema))
    before, held = pa.total_allocated_bytes(), []
    for _ in statistics.batches(tmp_path, ["start", "end"]):
        held.append(pa.total_allocated_bytes() - before)
    assert max(held) < 16 << 20
    assert len(statistics._lengths(tmp_path)) == 4_000_000


@given(st.lists(st.lists(st.floats(0, 30), max_size=20), max_size=5))
def test_a_tally_is_what_sorting_gives(parts):
    tally = statistics.Tally(0.1, 20)
    for part in parts:
        tally.add(np.array(part, np.float64))
    values = sorted(value for part in parts for value in part)
    assert len(tally) == len(values)
    if not values:
        assert tally.mean is None
        assert tally.quartiles() is None
        return
    assert tally.mean == pytest.approx(sum(values) / len(values))
    exact = [min(values[-(-len(values) * quarter // 4) - 1], 20) for quarter in (1, 2, 3)]
    assert tally.quartiles() == pytest.approx(exact, abs=0.05 + 1e-6)
    assert sum(tally.histogram(0.5, 10)["counts"]) == len(values)


def test_a_histogram_by_hand():
    tally = statistics.Tally(0.1, 20)
    tally.add(np.array([0, 0.4, 0.5, 0.96, 1.0, 9.9, 10, 300]))
    assert tally.histogram(0.5, 2) == {"from": [0.0, 0.5, 1.0, 1.5, 2.0], "counts": [2, 1, 2, 0, 3]}


def test_every_reason_has_words():
    """What any stage calls a skip or a drop by a name that stands in its source."""
    house = Path(tellvision.__file__).parent
    names = set()
    for path in house.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Skip" and node.args:
                names |= {one.value for one in ast.walk(node.args[0]) if isinstance(one, ast.Constant)}
            elif isinstance(node, ast.Subscript) and getattr(node.value, "id", "") == "dropped":
                names |= {one.value for one in ast.walk(node.slice) if isinstance(one, ast.Constant)}
    assert {"no_subtitles", "after_end", "no_words"} <= names
    assert names <= set(reasons.REASONS)


def test_histograms_are_the_same_every_time():
    svg = histogram([0, 1, 2], [1, 0, 3], "words")
    assert svg == histogram([0, 1, 2], [1, 0, 3], "words")
    assert svg.startswith('<svg viewBox="')
    assert 'aria-label="words: most often 2, 75% of all"' in svg
    assert "http" not in svg


def test_evenly_by_hand():
    assert pictures.evenly(10, 2) == [2, 7]
    assert pictures.evenly(3, 12) == [0, 1, 2]
    assert pictures.evenly(1, 6) == [0]
    assert pictures.evenly(0, 6) == []


@given(st.integers(0, 10**7), st.integers(1, 50))
def test_evenly_is_within_and_rising(number, wanted):
    places = pictures.evenly(number, wanted)
    assert len(places) == min(number, wanted)
    assert all(a < b for a, b in zip([-1, *places], [*places, number], strict=True))


def test_curves_are_the_same_every_time_and_take_the_pages_colours():
    for losses in ([0.2], [0.2, 0.1], [0.0] * 3, list(np.linspace(0.2, 0.01, 100))):
        svg = loss_curve(losses)
        assert svg == loss_curve(losses)
        assert svg.startswith('<svg viewBox="')
        assert svg.endswith("</svg>")
        assert "var(--accent)" in svg
        assert "#010203" not in svg
        assert "<style" not in svg
        assert "http" not in svg


def test_numbers_as_a_reader_wants_them():
    assert [markup.hours(n) for n in (0, 0.125, 1.25, 99.94, 134_472)] == [
        "0.00",
        "0.12",
        "1.2",
        "99.9",
        "134,472",
    ]
    assert [markup.rank(n) for n in (1, 17.5, 1675.0)] == ["1", "17.5", "1,675"]
    assert [markup.clock(n) for n in (0, 5.9, 65, 3665)] == ["0:00", "0:05", "1:05", "1:01:05"]
    assert [markup.share(n) for n in (0, 1 / 3, 1)] == ["0.0%", "33.3%", "100.0%"]
    assert [markup.videos(n) for n in (0, 1, 1234)] == ["0 videos", "1 video", "1,234 videos"]
