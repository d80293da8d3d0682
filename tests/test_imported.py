"""Captions without their videos: folders of subtitle files and released files, taken in once, and again."""

import json
import os
import pickle
import re
import subprocess
import sys
import warnings
from contextlib import contextmanager

import pytest

import corpus
from tellvision.corpus.captions import CaptionConfig
from tellvision.corpus.collect import subtitles_only
from tellvision.corpus.speech.config import SpeechConfig
from tellvision.progress import Progress
from tellvision.stages import captions as captions_stage
from tellvision.stages import clips as clips_stage
from tellvision.stages import imported
from tellvision.stages.imported import import_captions
from tellvision.stages.videos import scan_videos
from tellvision.stages.workplace import Workplace
from tellvision.store import Ledger, from_bytes, read_manifest, read_table

SAID = corpus.lines(corpus.TEXTS[:3])
OTHER = corpus.lines(corpus.TEXTS[3:])
GERMAN = [
    (0.5, 3.5, "jetzt schneiden wir die Zwiebel in sehr kleine Würfel"),
    (4.5, 7.5, "und dann braten wir sie langsam mit etwas Butter in der Pfanne"),
]


def entry(said=SAID):
    starts, ends, texts = zip(*said, strict=True)
    return {"start": list(starts), "end": list(ends), "text": list(texts)}


def put(folder, name, said=SAID, write=corpus.vtt):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(write(said), encoding="utf-8")
    return path


@pytest.fixture
def take_in(tmp_path):
    """Import a source into `work`; returns what is counted."""

    def take(source, config=None, work=tmp_path / "work", **options):
        with Ledger(work) as ledger:
            at = Workplace(work=work, ledger=ledger, **options)
            return import_captions(at, source, config or CaptionConfig(), Progress(quiet=True).stage)

    return take


@pytest.fixture
def work(tmp_path):
    return tmp_path / "work"


def texts(work):
    said = {}
    for row in read_table(work / "captions" / "main").to_pylist():
        said.setdefault(row["video_id"], []).append(row["text"])
    return said


def sources(work):
    return {row["video_id"]: row["source"] for row in read_table(work / "captions" / "main").to_pylist()}


def reasons(work):
    with Ledger(work) as ledger:
        return {row.item: row.reason for row in ledger.skipped("captions/main")}


def videos(work):
    return {row["id"]: row for row in read_table(work / "videos").to_pylist()}


def snapshot(work):
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes())
        for path in work.rglob("*")
        if path.is_file() and path.name != "lock"
    }


def one_line(err):
    """The line of an error; nothing but progress stands before it."""
    assert "Traceback" not in err
    lines = [line for line in err.splitlines() if line.startswith("tellvision: ")]
    assert lines == err.splitlines()[-1:]
    return lines[0]


# A folder of subtitle files


@pytest.fixture
def subtitles(tmp_path):
    folder = tmp_path / "subtitles"
    put(folder, "eggs.en.vtt", SAID, corpus.rolling_vtt)
    put(folder, "eggs.de.srt", GERMAN, corpus.srt)
    put(folder, "eggs.en.json3", OTHER, corpus.json3)
    put(folder, "wood/boards.srt", OTHER, corpus.srt)
    put(folder, "wood/deep/er/Mr. Saw vol.2.en-US.vtt", SAID)
    put(folder, "wood/eggs.vtt", OTHER)
    put(folder, "only_german.de.vtt", GERMAN)
    (folder / "broken.vtt").write_bytes(b"\x00\x01\x02 nothing")
    (folder / "empty.srt").touch()
    put(folder, ".hidden.vtt")
    put(folder, ".git/objects.vtt")
    (folder / "readme.txt").write_text("no subtitles")
    (folder / "feed.xml").write_text("<rss></rss>")
    return folder


IDS = ["broken", "eggs", "empty", "only_german", "wood/boards", "wood/deep/er/Mr. Saw vol.2", "wood/eggs"]


def test_a_video_for_every_name(subtitles):
    found = {file.video_id: [path.name for path in file.subtitles] for file in subtitles_only.scan(subtitles)}
    assert sorted(found) == IDS
    assert found["eggs"] == ["eggs.en.json3", "eggs.en.vtt", "eggs.de.srt"]  # English, then typed
    assert found["wood/deep/er/Mr. Saw vol.2"] == ["Mr. Saw vol.2.en-US.vtt"]


def test_a_folder_of_files(subtitles, take_in, work):
    counts = take_in(subtitles)
    assert sorted(videos(work)) == IDS
    assert videos(work)["wood/boards"]["path"] is None
    assert videos(work)["wood/deep/er/Mr. Saw vol.2"]["title"] == "Mr. Saw vol.2"
    assert texts(work) == {
        "eggs": corpus.TEXTS[3:],
        "wood/boards": corpus.TEXTS[3:],
        "wood/deep/er/Mr. Saw vol.2": corpus.TEXTS[:3],
        "wood/eggs": corpus.TEXTS[3:],
    }
    assert reasons(work) == {
        "broken": "unreadable_subtitles", "empty": "empty_subtitles", "only_german": "other_language"
    }  # fmt: skip
    assert (counts["items"], counts["done"], counts["rows"]) == (7, 4, 12)


def test_again_it_does_nothing(subtitles, take_in, work):
    counts = take_in(subtitles)
    before = snapshot(work)
    assert take_in(subtitles) == counts
    assert snapshot(work) == before


def test_just_what_changed_is_read(subtitles, take_in, work, monkeypatch):
    take_in(subtitles)
    read, real = [], captions_stage._captions_of_video
    monkeypatch.setattr(captions_stage, "_captions_of_video", lambda job: read.append(job.video_id) or real(job))
    (subtitles / "eggs.en.json3").unlink()
    put(subtitles, "new.vtt")
    (subtitles / "wood" / "eggs.vtt").unlink()
    put(subtitles, "wood/boards.srt", SAID, corpus.srt)
    take_in(subtitles)
    assert sorted(read) == ["eggs", "new", "wood/boards"]
    assert texts(work)["eggs"] == texts(work)["new"] == texts(work)["wood/boards"] == corpus.TEXTS[:3]
    assert sources(work)["eggs"] == "automatic"
    assert "wood/eggs" not in texts(work)
    assert "wood/eggs" not in videos(work)


def test_settings_are_the_captions(subtitles, take_in, work):
    put(subtitles, "eggs.en.json3", corpus.lines(corpus.TEXTS), corpus.json3)  # three lines are too few to tell
    put(subtitles, "eggs.en.vtt", corpus.lines(corpus.TEXTS))
    take_in(subtitles, CaptionConfig(language="de"))
    assert texts(work)["only_german"] == [text for _, _, text in GERMAN]
    assert texts(work)["eggs"] == [text for _, _, text in GERMAN]  # the English ones are passed over


def test_links_that_lead_nowhere_are_skipped(subtitles, take_in, work):
    (subtitles / "lost.vtt").symlink_to(subtitles / "nowhere.vtt")
    os.mkfifo(subtitles / "pipe.vtt")
    take_in(subtitles)
    assert {reasons(work)["lost"], reasons(work)["pipe"]} == {"unreadable_subtitles"}


def test_a_name_that_breaks_lines_is_skipped(subtitles, take_in, work):
    put(subtitles, "two\nlines.vtt")
    take_in(subtitles)
    with Ledger(work) as ledger:
        assert [row.reason for row in ledger.skipped("videos")] == ["unreadable_name"]
    assert "eggs" in texts(work)


def test_a_name_that_is_no_utf8_is_one_line_of_the_table(subtitles, take_in, work):
    path = os.fsencode(subtitles) + b"/caf\xe9.vtt"
    with open(path, "w", encoding="utf-8") as file:
        file.write(corpus.vtt(SAID))
    take_in(subtitles)
    assert "caf\\xe9" in videos(work)


# Released files


@pytest.fixture
def released(tmp_path):
    """A folder with two videos in every released form."""
    entries = {"eggs": entry(SAID), "dQw4w9WgXcQ": entry(OTHER)}
    (tmp_path / "caption.json").write_text(json.dumps(entries))
    (tmp_path / "caption.pickle").write_bytes(pickle.dumps(entries))
    (tmp_path / "tables").mkdir()
    aa = ["vid,timestamp,text"]
    for name, lines in entries.items():
        rows = list(zip(*lines.values(), strict=True))
        table = "\n".join(["start,end,text", *(f"{start},{end},{text}" for start, end, text in rows)])
        (tmp_path / "tables" / f"{name}.csv").write_text(table)
        aa += [f"{name},{start},{text}" for start, _, text in rows]
    (tmp_path / "htm_aa.csv").write_text("\n".join(aa))
    return tmp_path


@pytest.mark.parametrize("name", ["caption.json", "caption.pickle", "tables", "htm_aa.csv"])
def test_every_released_form(released, take_in, work, name):
    counts = take_in(released / name)
    assert texts(work) == {"eggs": corpus.TEXTS[:3], "dQw4w9WgXcQ": corpus.TEXTS[3:]}
    assert sorted(videos(work)) == ["dQw4w9WgXcQ", "eggs"]
    assert (counts["items"], counts["done"], counts["skipped"]) == (2, 2, {})
    first = next(row for row in read_table(work / "captions" / "main").to_pylist() if row["video_id"] == "eggs")
    assert (first["number"], first["start"], first["source"]) == (0, 0.5, "automatic")
    before = snapshot(work)
    assert take_in(released / name) == counts
    assert snapshot(work) == before


def test_raw_captions_are_said_once(take_in, work, tmp_path):
    shown, above = {"start": [], "end": [], "text": []}, ""
    for start, end, text in SAID + [(s + 12, e + 12, t) for s, e, t in OTHER]:
        for span, lines in (((start, end), f"{above}\n{text}"), ((end, end + 0.01), f"{text}\n ")):
            for key, value in zip(shown, (*span, lines), strict=True):
                shown[key].append(value)
        above = text
    (tmp_path / "raw_caption.json").write_text(json.dumps({"eggs": shown}))
    take_in(tmp_path / "raw_caption.json")
    assert texts(work) == {"eggs": corpus.TEXTS}


def test_of_a_video_that_stands_there_twice_the_first_counts(take_in, work, tmp_path):
    parts = {"a": SAID, "b": OTHER}
    members = [f'"{name}": {json.dumps(entry(said))}' for name, said in parts.items()]
    members += [f'"a": {json.dumps(entry(OTHER))}', f'"c": {json.dumps(entry(SAID))}']
    (tmp_path / "caption.json").write_text("{" + ",".join(members) + "}")
    counts = take_in(tmp_path / "caption.json")
    assert counts["items"] == 3
    assert texts(work) == {"a": corpus.TEXTS[:3], "b": corpus.TEXTS[3:], "c": corpus.TEXTS[:3]}


def test_what_is_wrong_with_one_video_is_counted(take_in, work, tmp_path):
    entries = {
        "good": entry(),
        "": entry(),
        "two\nlines": entry(),
        " blank": entry(),
        "x" * 300: entry(),
        "short": {"start": [1], "end": [2, 3], "text": ["a"]},
        "none": {"start": [], "end": [], "text": []},
        "backwards": {"start": [5, 7], "end": [1, 2], "text": ["a", "b"]},
        "number": 7,
        "german": entry(GERMAN),
        "music": entry([(0.5, 3.0, "[Music]")]),
        "at once": entry([(0.0, 0.01, "crack the eggs")] * 3 + [(1.0, 1.01, f"egg {i}") for i in range(9)]),
        "half": {"start": [0, float("nan"), 4], "end": [2, 3, 6], "text": ["crack it", "lost", "whisk it"]},
    }
    (tmp_path / "caption.json").write_text(json.dumps(entries))
    with pytest.warns(UserWarning, match=r"caption\.json: 4 ids cannot name a video and are left out"):
        counts = take_in(tmp_path / "caption.json")
    assert sorted(texts(work)) == ["good", "half"]
    assert reasons(work) == {
        "short": "unreadable_subtitles",
        "none": "empty_subtitles",
        "backwards": "unreadable_subtitles",
        "number": "unreadable_subtitles",
        "german": "other_language",
        "music": "empty_subtitles",
        "at once": "implausible_times",
    }
    assert counts["dropped"] == {"bad_times": 1, "sounds": 1}
    assert counts["items"] == len(entries) - 4  # what cannot be an id names no video
    manifest = read_manifest(work / "videos")
    assert manifest["counts"]["dropped"] == {"bad_video_id": 4}
    with pytest.warns(UserWarning, match="4 ids"):
        assert take_in(tmp_path / "caption.json") == counts
    assert read_manifest(work / "videos") == manifest


def test_a_video_that_keeps_no_line_tells_what_it_dropped(take_in, work, tmp_path):
    nothing = {"start": [0, float("nan"), 4], "end": [2, 3, 6], "text": ["[Music]", "lost", "(applause)"]}
    (tmp_path / "caption.json").write_text(json.dumps({"a": entry(), "b": nothing}))
    counts = take_in(tmp_path / "caption.json")
    assert reasons(work) == {"b": "empty_subtitles"}
    assert counts["dropped"] == {"bad_times": 1, "sounds": 2}


def test_an_import_reads_its_file_twice_and_says_how_far_it_is(tmp_path, work, monkeypatch):
    (tmp_path / "caption.json").write_text(json.dumps({f"v{n}": entry() for n in range(3)}))
    read, told = [], []
    for name in ("video_ids", "read_file"):
        real = getattr(imported, name)

        def watched(*arguments, real=real, name=name, **options):
            read.append(name)
            return real(*arguments, **options)

        monkeypatch.setattr(imported, name, watched)

    @contextmanager
    def tell(title):
        yield lambda done, total: told.append((title, done / total))

    with Ledger(work) as ledger:
        import_captions(Workplace(work=work, ledger=ledger), tmp_path / "caption.json", CaptionConfig(), tell)
    assert read == ["video_ids", "read_file"]
    assert [title for title, share in told if share == 1.0] == ["ids", "videos", "captions"]


def test_a_changed_file_is_read_anew_and_only_its_videos_are_cut(take_in, work, tmp_path, tellvision, monkeypatch):
    file = tmp_path / "caption.json"
    file.write_text(json.dumps({"a": entry(SAID), "b": entry(OTHER), "gone": entry(SAID)}))
    take_in(file)
    assert tellvision("clips", work, "--workers", "0")[0] == 0
    file.write_text(json.dumps({"a": entry(SAID), "b": entry(SAID), "new": entry(OTHER)}))
    take_in(file)
    assert texts(work) == {"a": corpus.TEXTS[:3], "b": corpus.TEXTS[:3], "new": corpus.TEXTS[3:]}
    assert sorted(videos(work)) == ["a", "b", "new"]
    cut, real = [], clips_stage._clips_of_video

    def watched(config, job):
        cut.append(from_bytes(job.captions)["video_id"][0].as_py())
        return real(config, job)

    monkeypatch.setattr(clips_stage, "_clips_of_video", watched)
    assert tellvision("clips", work, "--workers", "0")[0] == 0
    assert sorted(cut) == ["b", "new"]


def test_killed_in_between_it_goes_on_behind_what_was_read(take_in, work, tmp_path, monkeypatch):
    """What a crash leaves: a part of the videos acknowledged, the file read from its beginning again."""

    class Stopped(Exception):
        pass

    file = tmp_path / "caption.json"
    file.write_text(json.dumps({f"v{n:03d}": entry(SAID if n % 2 else OTHER) for n in range(40)}))
    take_in(file, work=tmp_path / "straight")
    monkeypatch.setattr(imported, "MANY", 8)
    real, read = imported.read_file, []

    def stopping(path):
        for number, narration in enumerate(real(path)):
            if number == 21:
                raise Stopped
            yield narration

    monkeypatch.setattr(imported, "read_file", stopping)
    with pytest.raises(Stopped):
        take_in(file)
    monkeypatch.setattr(imported, "read_file", real)
    work_on = imported._captions_of_video
    monkeypatch.setattr(imported, "_captions_of_video", lambda job: read.append(1) or work_on(job))
    take_in(file)
    assert 40 - 21 <= len(read) <= 40 - 16
    for room in ("videos", "captions/main"):
        assert read_table(work / room).equals(read_table(tmp_path / "straight" / room))
        assert read_manifest(work / room)["hash"] == read_manifest(tmp_path / "straight" / room)["hash"]


def test_skips_of_an_import_are_tried_again(take_in, work, tmp_path):
    file = tmp_path / "caption.json"
    file.write_text(json.dumps({"a": entry(), "number": 7}))
    counts = take_in(file)
    assert take_in(file, retry=("unreadable_subtitles",)) == counts
    with Ledger(work) as ledger:
        assert ledger.row("captions/main", "a").rows == 3
    assert texts(work) == {"a": corpus.TEXTS[:3]}


def test_names_stand_side_by_side(released, take_in, work):
    take_in(released / "caption.json")
    take_in(released / "caption.json", CaptionConfig(unit="sentences"), name="sentences")
    assert len(texts(work)["eggs"]) == 3
    assert read_table(work / "captions" / "sentences").num_rows > 0


def test_another_source_takes_the_place_of_the_first(released, subtitles, take_in, work):
    take_in(released / "caption.json")
    take_in(subtitles)
    assert sorted(videos(work)) == IDS
    assert "dQw4w9WgXcQ" not in texts(work)
    take_in(released / "htm_aa.csv")
    assert sorted(texts(work)) == ["dQw4w9WgXcQ", "eggs"]


# What cannot be


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (
            "broken.json",
            '{"a": {"start": [1], "end": [2], "text": ["x"]}, "b": ',
            r"ends early.*last video read: 'a'",
        ),
        ("list.json", "[1, 2]", "is none of json, pickle"),
        ("words.txt", "just words", "is none of json, pickle"),
        ("archive.zip", "PK\x03\x04", "is an archive: unpack it first"),
        ("nowhere.json", None, "is not there: name a folder of subtitle files, or a file of released captions"),
    ],
)
def test_what_is_no_released_file_is_one_line(tellvision, tmp_path, work, name, content, expected):
    if content is not None:
        (tmp_path / name).write_text(content)
    status, out, err = tellvision("import", tmp_path / name, "--out", work, "--workers", "0")
    assert (status, out) == (1, "")
    assert re.search(expected, one_line(err))


def test_an_empty_folder_is_one_line(tellvision, tmp_path, work):
    (tmp_path / "empty").mkdir()
    status, _, err = tellvision("import", tmp_path / "empty", "--out", work, "--workers", "0")
    assert status == 1
    assert "holds no" in one_line(err)


def test_a_pickle_that_would_run_something_is_one_line(tellvision, tmp_path, work):
    class Trap:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "ran"),))

    (tmp_path / "caption.pickle").write_bytes(pickle.dumps({"a": entry(), "b": Trap()}))
    status, _, err = tellvision("import", tmp_path / "caption.pickle", "--out", work, "--workers", "0")
    assert status == 1
    assert "caption.pickle" in one_line(err)
    assert not (tmp_path / "ran").exists()


def test_a_file_that_breaks_off_later_loses_nothing(released, tellvision, work):
    file = released / "caption.json"
    assert tellvision("import", file, "--out", work, "--workers", "0")[0] == 0
    before = {path: read_table(work / path).to_pylist() for path in ("videos", "captions/main")}
    whole = file.read_text()
    file.write_text(whole[: len(whole) // 2])
    status, _, err = tellvision("import", file, "--out", work, "--workers", "0")
    assert status == 1
    assert "ends early" in one_line(err)
    assert {path: read_table(work / path).to_pylist() for path in before} == before


def test_where_all_is_skipped_it_is_one_line(tellvision, tmp_path, work):
    (tmp_path / "caption.json").write_text(json.dumps({"a": 1, "b": 2}))
    status, _, err = tellvision("import", tmp_path / "caption.json", "--out", work, "--workers", "0")
    assert status == 1
    assert "2 of 2 cannot be used (2 unreadable_subtitles)" in one_line(err)


# Beside videos


@pytest.fixture(scope="module")
def scanned(tmp_path_factory):
    """(videos, work) of two films whose subtitles were read."""
    folder = tmp_path_factory.mktemp("scanned")
    corpus.make(folder / "videos", 2)
    with Ledger(folder / "work") as ledger:
        at = Workplace(work=folder / "work", ledger=ledger)
        scan_videos(at, folder / "videos")
        captions_stage.narrate(at, CaptionConfig(), SpeechConfig(when="never"), Progress(quiet=True).stage)
    return folder / "videos", folder / "work"


def test_a_work_folder_of_videos_is_not_overwritten(scanned, released, tellvision):
    folder, work = scanned
    before = snapshot(work)
    for source in ("caption.json", "tables"):
        status, _, err = tellvision("import", released / source, "--out", work, "--workers", "0")
        assert status == 1
        line = one_line(err)
        assert f"{work} holds the videos of {folder}" in line
        assert f"tellvision captions {work} --released {released / source}" in line
    tables = {path: data for path, data in before.items() if path.suffix != ".sqlite"}
    assert {path: data for path, data in snapshot(work).items() if path in tables} == tables


def test_released_captions_for_videos_that_are_there(scanned, released, tellvision):
    _, work = scanned
    names = {"v00": entry(OTHER), "elsewhere": entry(SAID)}
    (released / "mine.json").write_text(json.dumps(names))
    status, _, _ = tellvision("captions", work, "--released", released / "mine.json", "--workers", "0")
    assert status == 0
    assert texts(work) == {"v00": corpus.TEXTS[3:]}
    assert reasons(work) == {"v01": "no_subtitles"}
    status, out, _ = tellvision("clips", work, "--workers", "0", "--json")
    assert status == 0
    found = json.loads(out)
    assert (found["videos"], found["found"], found["captions"], found["clips"]) == (1, 2, 3, 3)
    assert found["skipped"]["captions"] == {"no_subtitles": 1}
    assert found["hours"] == pytest.approx(12 / 3600, rel=0.05)
    before = snapshot(work)
    assert tellvision("captions", work, "--released", released / "mine.json", "--workers", "0")[0] == 0
    assert snapshot(work) == before
    assert tellvision("captions", work, "--workers", "0", "--speech", "never")[0] == 0  # and back
    assert len(texts(work)) == 2


def test_released_captions_that_are_not_there_are_one_line(scanned, tellvision, tmp_path):
    status, _, err = tellvision("captions", scanned[1], "--released", tmp_path / "nowhere", "--workers", "0")
    assert status == 1
    assert "no released captions at" in one_line(err)


def test_how_speech_is_heard_has_no_effect_on_released_captions(scanned, released, tellvision):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        options = ["--released", released / "caption.json", "--speech", "never", "--workers", "0"]
        status, _, err = tellvision("captions", scanned[1], *options, "--max-skipped", "1")
    assert status == 0
    assert "tellvision: no effect with --released: --speech" in err.splitlines()


# What comes after


def test_an_import_is_cut_and_measured(subtitles, tellvision, work):
    assert tellvision("import", subtitles, "--out", work, "--workers", "0")[0] == 0
    status, out, err = tellvision("clips", work, "--workers", "0", "--json")
    assert status == 0
    found = json.loads(out)
    assert (found["videos"], found["found"], found["captions"], found["clips"]) == (4, 7, 12, 12)
    assert found["clips_per_video"] == 3.0
    assert found["hours"] is None  # nobody knows how long the videos are
    assert found["sources"]["typed"] == 12
    assert "Traceback" not in err
    status, out, _ = tellvision("clips", work, "--workers", "0")
    assert status == 0
    assert "HowTo100M" in out


def test_pictures_of_an_import_are_one_line(released, tellvision, work):
    assert tellvision("import", released / "caption.json", "--out", work, "--workers", "0")[0] == 0
    assert tellvision("clips", work, "--workers", "0")[0] == 0
    status, out, err = tellvision("features", work, "--workers", "0")
    assert (status, out) == (1, "")
    assert "holds what is said and no pictures" in one_line(err)
    assert not (work / "features").exists()


def test_cuts_of_an_import_are_one_line(released, tellvision, work):
    assert tellvision("import", released / "caption.json", "--out", work, "--workers", "0")[0] == 0
    status, out, err = tellvision("clips", work, "--within-shots", "--workers", "0")
    assert (status, out) == (1, "")
    assert "holds what is said and no pictures" in one_line(err)
    assert not (work / "shots").exists()


def test_subtitles_of_released_captions_are_one_line(released, tellvision, work):
    file = released / "caption.json"
    assert tellvision("import", file, "--out", work, "--workers", "0")[0] == 0
    before = texts(work)
    status, out, err = tellvision("captions", work, "--workers", "0")
    assert (status, out) == (1, "")
    assert f"`tellvision captions {work} --released {file}`, or import again" in one_line(err)
    assert texts(work) == before
    assert tellvision("captions", work, "--released", file, "--workers", "0")[0] == 0


def test_an_import_cannot_be_listened_to(subtitles, tellvision, work):
    assert tellvision("import", subtitles, "--out", work, "--workers", "0")[0] == 0
    before = texts(work)
    status, out, err = tellvision("captions", work, "--speech", "always", "--workers", "0")
    assert (status, out) == (1, "")
    assert "holds what is said and no sound" in one_line(err)
    assert texts(work) == before


def test_a_run_does_not_take_the_place_of_an_import(subtitles, tellvision, work, tmp_path):
    assert tellvision("import", subtitles, "--out", work, "--workers", "0")[0] == 0
    before = texts(work)
    corpus.film(tmp_path / "videos" / "x.mp4", corpus.TEXTS[:1])
    status, _, err = tellvision("run", tmp_path / "videos", "--out", work, "--workers", "0")
    assert status == 1
    assert f"holds the captions that were imported from {subtitles}: name another --out" in one_line(err)
    assert texts(work) == before


def test_other_json_is_no_table(tellvision, work, tmp_path):
    (tmp_path / "caption.json").write_text("[1, 2, 3]\n")
    status, _, err = tellvision("import", tmp_path / "caption.json", "--out", work, "--workers", "0")
    assert status == 1
    assert "is none of json, pickle" in one_line(err)


def test_an_import_says_what_it_left_out(tellvision, work, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "good.vtt").write_text(corpus.vtt(corpus.lines(corpus.TEXTS[:2])))
    (source / "empty.vtt").touch()
    status, out, _ = tellvision("import", source, "--out", work, "--workers", "0")
    assert (status, out) == (0, "2 captions of 1 in 2 videos; skipped: 1 empty_subtitles\n")


def test_listening_to_an_import_hears_nothing(subtitles, tellvision, work):
    assert tellvision("import", subtitles, "--out", work, "--workers", "0")[0] == 0
    before = texts(work)
    assert tellvision("captions", work, "--workers", "0")[0] == 0
    assert texts(work) == before
    assert not (work / "speech").exists()


# A process that was forked from a large one has its size in ru_maxrss; VmHWM is its own.
_MEASURE = """
import os, re, sys
from tellvision.cli import main
sys.stdout = sys.stderr = open(os.devnull, "w")
assert main(["import", sys.argv[1], "--out", sys.argv[2], "--workers", "0"]) == 0
assert main(["clips", sys.argv[2], "--workers", "0"]) == 0
peak = re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())
print(int(peak[1]) / 1024, file=sys.__stdout__)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is read from /proc")
@pytest.mark.parametrize("kind", ["files", "json"])
def test_memory_does_not_grow_with_the_number_of_files(tmp_path, kind):
    said = [(3.0 * i, 3.0 * i + 2.5, corpus.TEXTS[i % 6]) for i in range(60)]
    peaks = []
    for count in (1500, 6000):  # with fewer a block of rows would not be full
        source, work = tmp_path / f"{kind}{count}", tmp_path / f"work{count}"
        if kind == "files":
            source.mkdir()
            for number in range(count):
                (source / f"v{number:05d}.en.vtt").write_text(corpus.vtt(said))
        else:
            source.write_text(json.dumps({f"v{number:05d}": entry(said) for number in range(count)}))
        command = [sys.executable, "-c", _MEASURE, str(source), str(work)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=500)
        assert done.returncode == 0, done.stderr
        assert read_table(work / "clips" / "main").num_rows == count * 60
        peaks.append(float(done.stdout))
    assert peaks[1] < peaks[0] + 40, f"{peaks} MB"
