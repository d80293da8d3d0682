"""What goes wrong between two runs is mended by the next one, or said in one line."""

import dataclasses
import shutil

import pytest

import corpus
from tellvision import pipeline, plan, recipes
from tellvision.embedding.held_out import read_held_out
from tellvision.progress import Progress
from tellvision.records import InputError
from tellvision.search import Index, load_model, narration, search
from tellvision.stages.clips import cut_clips
from tellvision.stages.tracks import extract_tracks
from tellvision.stages.training import Beginning, learn
from tellvision.stages.videos import scan_videos
from tellvision.stages.workplace import Workplace
from tellvision.store import Ledger, read_manifest, read_table

LAPTOP = recipes.laptop()
SMALL = dataclasses.replace(
    LAPTOP,
    dim=16,
    train=dataclasses.replace(LAPTOP.train, epochs=1, pairs_per_video=4, min_videos=3, held_out=0.25),
)


def run(videos, work, recipe=SMALL, **options):
    return pipeline.run(videos, work, recipe, workers=0, **options)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    corpus.make(folder / "videos", 5)
    run(folder / "videos", folder / "work")
    return folder / "videos", folder / "work"


@pytest.fixture
def place(finished, tmp_path):
    videos, work = (shutil.copytree(path, tmp_path / path.name) for path in finished)
    run(videos, work)  # notes where the videos are now
    return videos, work


def first(folder, ending=".mp4"):
    return min(folder.rglob(f"*{ending}"))


def test_a_video_that_was_away_is_tried_again_on_request(place):
    videos, work = place
    path = first(videos)
    content = path.read_bytes()
    path.write_bytes(b"away")
    assert run(videos, work)["skipped"] == {"unreadable_video": 1}
    with Ledger(work) as ledger:  # the same bytes as before, but the skip stands
        row = next(row for row in ledger.rows("videos").values() if row.status == "skipped")
        ledger.acknowledge("videos", [dataclasses.replace(row, reason="unreadable_video")])
    path.write_bytes(content)
    assert run(videos, work, retry=("unreadable_video",))["skipped"] == {}


def test_a_skip_stands_until_it_is_tried_again(place):
    videos, work = place
    stage = "features/main/efficientnet-lite0"
    with Ledger(work) as ledger:
        row = next(iter(ledger.rows(stage).values()))
        lost = dataclasses.replace(row, status="skipped", reason="worker_died", rows=0, output="")
        ledger.acknowledge(stage, [lost])
    (work / stage / "manifest.json").unlink()
    assert run(videos, work)["skipped"] == {"worker_died": 1}
    with pytest.raises(
        InputError, match="--retry no_frames: no video was skipped for that, here there are worker_died"
    ):
        run(videos, work, retry=("no_frames",))
    assert run(videos, work, retry=("all",))["skipped"] == {}


def test_three_files_that_could_share_a_name_keep_apart(tmp_path):
    videos = tmp_path / "videos"
    for name in ("x.mp4", "x.mkv", "x.mp4.mkv"):
        corpus.narrate(corpus.film(videos / name, corpus.TEXTS[:3]), corpus.TEXTS[:3])
    run(videos, tmp_path / "work")
    assert sorted(read_table(tmp_path / "work" / "videos")["id"].to_pylist()) == ["x.mkv", "x.mp4", "x.mp4.mkv"]


def test_a_subtitle_link_that_leads_nowhere_costs_no_run(place):
    videos, work = place
    path = corpus.film(videos / "linked.mp4", corpus.TEXTS[:2])
    path.with_suffix(".vtt").symlink_to(videos / "nowhere.vtt")
    assert run(videos, work)["skipped"] == {"unreadable_subtitles": 1}


def test_a_table_that_was_taken_away_is_made_again(place):
    videos, work = place
    before = read_table(work / "captions" / "main")
    (work / "captions" / "main" / "table.parquet").unlink()
    (work / "captions" / "main" / "manifest.json").unlink()
    run(videos, work)
    assert read_table(work / "captions" / "main").equals(before)


def test_a_damaged_table_is_one_line(place):
    _, work = place
    path = work / "captions" / "main" / "table.parquet"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match=r"is damaged .* delete"):
        read_table(work / "captions" / "main")


def test_training_alone_leaves_the_search_as_it_was(place):
    """The index holds the model that made its vectors."""
    _, work = place
    index = Index.open(work / "index" / "main")
    before = search(index, load_model(index), corpus.TEXTS[0], 3, "picture")
    with Ledger(work) as ledger:
        other = dataclasses.replace(SMALL, train=dataclasses.replace(SMALL.train, seed=9))
        pipeline.learn(Workplace(work=work, ledger=ledger), other, progress=Progress(quiet=True))
    index = Index.open(work / "index" / "main")
    assert search(index, load_model(index), corpus.TEXTS[0], 3, "picture") == before


def test_a_model_that_went_away_is_trained_again(place):
    videos, work = place
    path = work / "runs" / "main" / "model.safetensors"
    content = path.read_bytes()
    path.unlink()
    run(videos, work)
    assert path.read_bytes() == content


def test_a_start_is_known_by_its_weights(place):
    _, work = place
    start = shutil.copytree(work / "runs" / "main", work.parent / "start")
    with Ledger(work) as ledger:
        at = Workplace(work=work, ledger=ledger)
        learn(at, SMALL, beginning=Beginning(start=str(start)), progress=Progress(quiet=True))
        once = read_manifest(work / "runs" / "main")
        shutil.copytree(work / "runs" / "main", start, dirs_exist_ok=True)  # same place, other weights
        learn(at, SMALL, beginning=Beginning(start=str(start)), progress=Progress(quiet=True))
    assert read_manifest(work / "runs" / "main")["config"]["start"] != once["config"]["start"]


def test_a_given_model_is_measured_on_all_videos_of_a_folder_that_nothing_was_learned_from(finished, tmp_path):
    few = dataclasses.replace(SMALL, train=dataclasses.replace(SMALL.train, min_videos=50))
    run(finished[0], tmp_path / "work", few, model=str(finished[1] / "runs" / "main"))
    manifest = read_manifest(tmp_path / "work" / "index" / "main")
    assert manifest["config"]["comparison"]["videos"] == 5


def test_a_stage_alone_asks_for_the_one_before_it(place):
    videos, work = place
    first(videos).unlink()
    with Ledger(work) as ledger:
        at = Workplace(work=work, ledger=ledger)
        scan_videos(at, videos)
        with pytest.raises(InputError, match=r"videos changed since captions was made: run `tellvision captions"):
            cut_clips(at, SMALL.clips)
        with pytest.raises(InputError, match="run `tellvision captions"):
            extract_tracks(at, SMALL.features)


def test_a_plan_sees_what_changed(place):
    videos, work = place
    assert plan.plan(videos, work, SMALL)["to_extract"] == 0
    corpus.film(first(videos), list(reversed(corpus.TEXTS)))
    assert plan.plan(videos, work, SMALL)["to_extract"] == 1


def test_a_plan_beside_a_run(place):
    videos, work = place
    with Ledger(work):
        assert plan.plan(videos, work, SMALL)["to_extract"] == 0


@pytest.mark.parametrize("name", ["../other", "a/b", "", ".hidden"])
def test_a_name_is_no_path(place, name):
    with pytest.raises(InputError, match="--name"), Ledger(place[1]) as ledger:
        Workplace(work=place[1], ledger=ledger, name=name)


def test_settings_are_refused_before_anything_is_worked_on():
    with pytest.raises(InputError, match="--dim"):
        dataclasses.replace(SMALL, dim=0)
    with pytest.raises(InputError, match="margin"):
        dataclasses.replace(SMALL.train, margin=float("nan"))
    with pytest.raises(InputError, match="--max-skipped"):
        dataclasses.replace(SMALL, max_skipped=2)


def test_a_reason_that_nothing_was_skipped_for_is_refused(place):
    videos, work = place
    with pytest.raises(InputError, match="nosuchreason: no video was skipped for that, nothing was"):
        run(videos, work, retry=("nosuchreason",))


def test_a_plan_knows_a_moved_folder_again(place):
    videos, work = place
    moved = videos.rename(videos.parent / "moved")
    assert plan.plan(moved, work, SMALL)["to_extract"] == 0


def test_a_name_that_breaks_lines_is_a_counted_skip(place):
    videos, work = place
    corpus.narrate(corpus.film(videos / "two\nlines.mp4", corpus.TEXTS), corpus.TEXTS)
    assert run(videos, work)["skipped"] == {"unreadable_name": 1}


def test_held_out_ids_with_blanks_are_read_as_they_are_written(place, tmp_path):
    videos, work = place
    path = first(videos)
    shutil.copy(path, videos / " both ends .mp4")
    shutil.copy(
        path.with_suffix(".vtt") if path.with_suffix(".vtt").exists() else first(videos, ".vtt"),
        videos / " both ends .vtt",
    )
    file = tmp_path / "held_out.txt"
    file.write_text(" both ends \r\n", encoding="utf-8")
    run(videos, work, held_out_file=file)
    assert read_held_out(work / "runs" / "main") == {" both ends "}


def test_a_folder_that_may_not_be_written_is_searched(place, monkeypatch):
    _, work = place
    folder = work / "index" / "main"
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    monkeypatch.setattr(narration.os, "access", lambda *_: False)
    index = Index.open(folder)
    assert search(index, None, corpus.TEXTS[0], 3, "speech")
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
