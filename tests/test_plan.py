"""What a run would do, told from the folder and the ledger alone."""

import dataclasses

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import corpus
from tellvision import plan, recipes
from tellvision.corpus.collect.folder import describe, scan
from tellvision.stages.videos import video_fingerprint
from tellvision.store import TABLE, Ledger, Row

LAPTOP = recipes.laptop()


def recipe(when):
    return dataclasses.replace(LAPTOP, speech=dataclasses.replace(LAPTOP.speech, when=when))


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Five videos of four seconds; two have subtitles."""
    folder = tmp_path_factory.mktemp("videos")
    for name, text in zip(("done", "heard", "mute", "new", "unheard"), corpus.TEXTS, strict=False):
        corpus.film(folder / f"{name}.mp4", [text])
    for name in ("done", "new"):
        corpus.narrate(folder / f"{name}.mp4", corpus.TEXTS[:1])
    return folder


@pytest.fixture
def work(videos, tmp_path):
    """A work folder in which three of them were worked on."""
    files = [file for file in scan(videos) if file.video_id in ("done", "heard", "mute")]
    work = tmp_path / "work"
    with Ledger(work) as ledger:
        ledger.acknowledge("videos", [Row(f.video_id, video_fingerprint(videos, f)) for f in files])
        ledger.acknowledge("features/main/efficientnet-lite0", [Row("done", ""), Row("heard", "")])
        ledger.acknowledge("speech/main", [Row("heard", ""), Row("mute", "", "skipped", "no_speech")])
    (work / "videos").mkdir()
    pq.write_table(pa.concat_tables(describe(f).output for f in files), work / "videos" / TABLE)
    return work


@pytest.mark.parametrize(
    ("when", "to_hear", "to_extract"),
    [
        ("never", 0, 1),  # new
        ("missing", 1, 2),  # unheard; new and unheard, for mute says nothing
        ("always", 3, 2),  # done, new and unheard
    ],
)
def test_what_is_heard_and_extracted(videos, work, when, to_hear, to_extract):
    planned = plan.plan(videos, work, recipe(when))
    assert (planned["videos"], planned["no_subtitles"]) == (5, 3)
    assert (planned["to_hear"], planned["seconds_to_hear"]) == (to_hear, 4 * to_hear)
    assert (planned["to_extract"], planned["video_seconds"]) == (to_extract, 4 * to_extract)


def test_what_is_heard_takes_time(videos, work, monkeypatch):
    monkeypatch.setattr(plan, "TIMES_REAL_TIME_SEEN", {"efficientnet-lite0": 0.5})
    monkeypatch.setattr(plan, "TIMES_REAL_TIME", 0.1)
    planned = plan.plan(videos, work, recipe("missing"), workers=2)
    assert planned["seconds"] == (8 / 0.5 + 4 / 0.1) / 2
    assert plan.spoken(planned).startswith(
        "5 videos, 3 without subtitles; 1 to listen to, 4 s; 2 to extract, 8 s; about 28 s and 0 MB"
    )


def test_a_moved_folder_is_known_again(videos, work, tmp_path):
    moved = tmp_path / "moved"
    moved.mkdir()
    for path in videos.iterdir():
        (moved / path.name).write_bytes(path.read_bytes())
    planned = plan.plan(moved, work, recipe("missing"))
    assert (planned["to_hear"], planned["to_extract"]) == (1, 2)


def test_times_for_a_reader():
    planned = dict.fromkeys(("videos", "no_subtitles", "to_hear", "to_extract", "bytes"), 1)
    planned |= {"seconds_to_hear": 119, "video_seconds": 120, "seconds": 9000, "not_timed": []}
    assert [part.split(", ")[-1] for part in plan.spoken(planned).split("; ")[1:3]] == ["119 s", "2 min"]
    assert "about 2.5 h and" in plan.spoken(planned)
    planned["not_timed"] = ["clip"]
    assert "about 2.5 h (and for clip, how long is not known) and" in plan.spoken(planned)
