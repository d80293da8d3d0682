"""The main job on a small corpus: what comes out, and that running it again does just what is left."""

import dataclasses
import json
import os
import re
import shutil

import numpy as np
import pytest

import corpus
from tellvision import pipeline, plan, recipes
from tellvision.embedding import checkpoint
from tellvision.embedding.pairs import Pairs
from tellvision.records import InputError
from tellvision.search import Index, load_model, search
from tellvision.stages import captions as captions_stage
from tellvision.stages import clips as clips_stage
from tellvision.stages import tracks as tracks_stage
from tellvision.stages import training as training_stage
from tellvision.stages import videos as videos_stage
from tellvision.stages import workplace
from tellvision.store import ArrayReader, Ledger, from_bytes, read_manifest, read_table

LAPTOP = recipes.laptop()
SMALL = dataclasses.replace(
    LAPTOP,
    dim=16,
    train=dataclasses.replace(LAPTOP.train, epochs=2, pairs_per_video=4, min_videos=3, held_out=0.25),
)
TRACKS = "features/main/efficientnet-lite0"
STAGES = ("captions/main", "clips/main", TRACKS, "pairs/main", "runs/main", "index/main")


def run(videos, work, recipe=SMALL, **options):
    return pipeline.run(videos, work, recipe, workers=0, **options)


@pytest.fixture(autouse=True, scope="module")
def remembered():
    """Extraction gives the same for the same bytes (test_features.py): done once per video and module."""
    real, tracks = tracks_stage.extract, {}

    def extract(job):
        key = job.path.read_bytes()
        if key not in tracks:
            tracks[key] = real(job)
        return tracks[key]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tracks_stage, "extract", extract)
        yield real


@pytest.fixture(scope="module")
def finished(tmp_path_factory, remembered):
    """(videos, work, result) of a run over six videos; copied by tests that change something."""
    folder = tmp_path_factory.mktemp("finished")
    corpus.make(folder / "videos", 6)
    return folder / "videos", folder / "work", run(folder / "videos", folder / "work")


@pytest.fixture
def place(finished, tmp_path):
    """A copy of the finished run to change."""
    videos, work, _ = finished
    shutil.copytree(videos, tmp_path / "videos")
    shutil.copytree(work, tmp_path / "work")
    run(tmp_path / "videos", tmp_path / "work")  # notes where the videos are now
    return tmp_path / "videos", tmp_path / "work"


@pytest.fixture
def worked(monkeypatch):
    """Stage -> the videos it worked on, in order; 'train' and 'index' count their calls."""
    seen = {name: [] for name in ("videos", "captions", "clips", "features", "pairs", "train", "index")}

    def watch(module, name, stage, item):
        real = getattr(module, name)

        def watched(*arguments, **options):
            seen[stage].append(item(*arguments))
            return real(*arguments, **options)

        monkeypatch.setattr(module, name, watched)

    watch(videos_stage, "describe", "videos", lambda video: video.video_id)
    watch(captions_stage, "_captions_of_video", "captions", lambda job: job.video_id)
    watch(clips_stage, "_clips_of_video", "clips", lambda _, job: from_bytes(job.captions)["video_id"][0].as_py())
    watch(tracks_stage, "extract", "features", lambda job: job.path.stem)
    watch(tracks_stage, "_pairs_of_video", "pairs", lambda _, job: job[0]["video_id"][0].as_py())
    watch(training_stage, "train", "train", lambda *_: "train")
    watch(pipeline.index, "build", "index", lambda *_: "index")
    return seen


def done(seen):
    return {stage: sorted(items) for stage, items in seen.items() if items}


def rows(folder):
    return sorted(map(repr, read_table(folder).to_pylist()))


def state(work):
    """Everything that a run makes of its videos, whatever the order it was made in."""
    pairs, tracks = Pairs(work / "pairs" / "main"), ArrayReader(work / TRACKS)
    assert tracks.damaged() == []
    assert ArrayReader(work / "pairs" / "main").damaged() == []
    table, data = pairs.select(pairs.videos)
    index = Index.open(work / "index" / "main")
    return {
        "videos": rows(work / "videos"),
        "captions": rows(work / "captions" / "main"),
        "clips": rows(work / "clips" / "main"),
        "tracks": {item: tracks[item].tobytes() for item in sorted(tracks.entries)},
        "pairs": {repr(row): data[i].tobytes() for i, row in enumerate(table.to_pylist())},
        "held out": sorted((work / "runs" / "main" / "held_out.txt").read_text().split()),
        "index": sorted(map(repr, index.clips.to_pylist())),
        "listed": sorted((v.id, v.title, str(v.path), v.duration) for v in index.videos.values()),
        "skipped": skipped(work),
    }


def skipped(work):
    with Ledger(work) as ledger:
        return {i: (row.reason, row.detail) for i, row in workplace.skipped(ledger, "main").items()}


def fresh(videos, folder, **options):
    run(videos, folder, **options)
    return state(folder)


def snapshot(work):
    """Bytes and time of change of every file but the lock."""
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes())
        for path in work.rglob("*")
        if path.is_file() and path.name != "lock"
    }


# Straight through


def test_what_a_run_makes(finished):
    _, work, result = finished
    assert (result["videos"], result["clips"], result["skipped"]) == (6, 18, {})
    assert result["seconds"] > 0
    assert {"text_to_video", "chance", "shuffled"} <= result["retrieval"].keys()
    assert result["search_by"] == "speech"
    for stage in STAGES:
        assert read_manifest(work / stage)["schema"] == 1
    assert read_manifest(work / "videos")["counts"]["items"] == 6
    assert (work / "report.html").stat().st_size > 1000
    assert json.dumps(result)


def test_a_captions_way_and_a_frames_way(finished):
    _, work, _ = finished
    captions = read_table(work / "captions" / "main").to_pylist()
    for number in range(6):
        said = [row["text"] for row in captions if row["video_id"] == f"v{number:02d}"]
        assert said == corpus.steps_of(number), "every line once, also where the subtitles roll"
    assert {row["source"] for row in captions} == {"typed", "automatic"}
    tracks = ArrayReader(work / TRACKS)
    assert {item: len(tracks[item]) for item in tracks.entries} == {f"v{n:02d}": 12 for n in range(6)}
    pairs = Pairs(work / "pairs" / "main")
    clips = read_table(work / "clips" / "main").to_pylist()
    assert sorted(pairs.clip_ids(np.arange(len(pairs)))) == sorted(row["clip_id"] for row in clips)
    model = checkpoint.load(work / "runs" / "main")
    assert model.features == (pipeline.Track(name="efficientnet-lite0", fps=1.0, dim=1280),)


def test_held_out_videos_are_no_training_videos(finished):
    _, work, result = finished
    kept_out = (work / "runs" / "main" / "held_out.txt").read_text().split()
    counts = read_manifest(work / "runs" / "main")["counts"]
    assert len(kept_out) == counts["held_out"] == result["retrieval"]["videos"] == 2
    assert counts["training"] == 4


def test_the_search_finds_what_was_said(finished):
    _, work, _ = finished
    index = Index.open(work / "index" / "main")
    hits = search(index, None, "how do I whisk butter", 10)
    assert hits
    for hit in hits:
        assert "whisk the butter" in hit.text
    assert len(search(index, load_model(index), "butter", 3, "picture")) == 3


def test_workers_make_the_same(finished, remembered, tmp_path, monkeypatch):
    videos, work, result = finished
    # A function of a module travels, the watched one does not.
    monkeypatch.setattr(tracks_stage, "extract", remembered)
    again = pipeline.run(videos, tmp_path / "work", SMALL, workers=2)
    for name in ("shard-00000.bin", "index.jsonl", "manifest.json"):
        assert (tmp_path / "work" / TRACKS / name).read_bytes() == (work / TRACKS / name).read_bytes()
    assert same_model(tmp_path / "work", work)
    assert {**again, "seconds": 0} == {**result, "seconds": 0}


def same_model(one, other):
    weights = [work / "runs" / "main" / "model.safetensors" for work in (one, other)]
    return weights[0].read_bytes() == weights[1].read_bytes()


# Again


def test_a_run_with_nothing_to_do_writes_nothing(finished, worked):
    videos, work, result = finished
    before = snapshot(work)
    again = run(videos, work)
    assert again["seconds"] < 5
    assert json.loads(json.dumps(again)) == json.loads(json.dumps(result)) | {"seconds": again["seconds"]}
    assert done(worked) == {}
    assert snapshot(work) == before


def test_a_moved_folder_of_videos_starts_nothing_but_the_index(finished, worked, tmp_path):
    videos, work = tmp_path / "elsewhere", tmp_path / "work"
    shutil.copytree(finished[0], videos)
    shutil.copytree(finished[1], work)
    os.utime(videos / "v00.mp4", (1, 1))
    run(videos, work)
    assert set(done(worked)) == {"videos", "index"}
    assert same_model(work, finished[1])
    found, original = state(work), state(finished[1])
    for same in ("captions", "clips", "tracks", "pairs", "index"):
        assert found[same] == original[same]
    assert all(str(videos) in path for _, _, path, _ in found["listed"])


def test_an_added_video_is_all_that_is_worked_on(place, worked, tmp_path):
    videos, work = place
    corpus.narrate(corpus.film(videos / "new" / "one.mp4", corpus.TEXTS[:3]), corpus.TEXTS[:3])
    result = run(videos, work)
    one = ["new/one"]
    assert done(worked) == {
        "videos": one, "captions": one, "clips": one, "features": ["one"], "pairs": one,
        "train": ["train"], "index": ["index"],
    }  # fmt: skip
    assert (result["videos"], result["clips"]) == (7, 21)
    assert state(work) == fresh(videos, tmp_path / "fresh")


def test_changed_subtitles_are_all_that_is_worked_on(place, worked, tmp_path):
    videos, work = place
    corpus.narrate(videos / "v01.mp4", ["varnish the violin slowly", *corpus.steps_of(1)[1:]], ".srt", corpus.srt)
    run(videos, work)
    one = ["v01"]
    assert done(worked) == {
        "captions": one, "clips": one, "pairs": one, "train": ["train"], "index": ["index"]
    }  # fmt: skip
    assert search(Index.open(work / "index" / "main"), None, "violin", 1)[0].video_id == "v01"
    assert state(work) == fresh(videos, tmp_path / "fresh")


def test_a_renamed_video_keeps_its_track(place, worked, tmp_path):
    videos, work = place
    for path in videos.glob("v02.*"):
        path.rename(path.with_name(path.name.replace("v02", "violin")))
    run(videos, work)
    assert done(worked)["videos"] == ["violin"]
    assert "features" not in done(worked)
    assert done(worked)["pairs"] == ["violin"]
    found = state(work)
    assert "v02" not in found["tracks"]
    assert found == fresh(videos, tmp_path / "fresh")


def test_videos_that_swap_their_names_keep_their_tracks(place, worked, tmp_path):
    videos, work = place
    (videos / "v02.mp4").rename(videos / "x.mp4")
    (videos / "v03.mp4").rename(videos / "v02.mp4")
    (videos / "x.mp4").rename(videos / "v03.mp4")
    run(videos, work)
    assert "features" not in done(worked)
    assert done(worked)["pairs"] == ["v02", "v03"]
    assert state(work) == fresh(videos, tmp_path / "fresh")


def test_another_ending_is_another_path(place, worked, tmp_path):
    videos, work = place
    (videos / "v02.mp4").rename(videos / "v02.m4v")
    run(videos, work)
    assert "features" not in done(worked)
    found = state(work)
    assert any(path.endswith("v02.m4v") for _, _, path, _ in found["listed"])
    assert found == fresh(videos, tmp_path / "fresh")


def test_a_removed_video_goes_everywhere(place, worked, tmp_path):
    videos, work = place
    for path in videos.glob("v04.*"):
        path.unlink()
    result = run(videos, work)
    assert done(worked) == {"train": ["train"], "index": ["index"]}
    assert result["videos"] == 5
    assert state(work) == fresh(videos, tmp_path / "fresh")


def test_removed_subtitles_are_a_counted_skip(place, worked, tmp_path):
    videos, work = place
    (videos / "v02.en.json3").unlink()
    result = run(videos, work)
    assert result["skipped"] == {"no_sound": 1}
    assert "features" not in done(worked)
    assert state(work) == fresh(videos, tmp_path / "fresh")
    corpus.narrate(videos / "v02.mp4", corpus.steps_of(2), ".en.json3", corpus.json3)
    for items in worked.values():
        items.clear()
    result = run(videos, work)
    assert result["skipped"] == {}
    assert done(worked)["features"] == ["v02"]  # its track had gone with it


def test_a_replaced_video_is_extracted_again(place, worked, tmp_path):
    videos, work = place
    corpus.film(videos / "v03.mp4", corpus.TEXTS[3:])
    run(videos, work)
    assert done(worked)["features"] == ["v03"]
    assert "captions" not in done(worked)
    assert "clips" not in done(worked)
    assert done(worked)["pairs"] == ["v03"]
    assert state(work) == fresh(videos, tmp_path / "fresh")


def test_everything_at_once_equals_a_fresh_run(place, worked, tmp_path):
    videos, work = place
    for path in videos.glob("v00.*"):
        path.unlink()
    for path in videos.glob("v01.*"):
        path.rename(path.with_name(path.name.replace("v01", "v00")))  # takes the place of the one that went
    corpus.narrate(corpus.film(videos / "v09.mp4", corpus.TEXTS[2:5]), corpus.TEXTS[2:5])
    (videos / "v04.mp4").write_bytes(b"")
    run(videos, work)
    assert done(worked)["features"] == ["v09"]
    assert state(work) == fresh(videos, tmp_path / "fresh")


def test_touching_files_changes_nothing_downstream(place, worked):
    videos, work = place
    before = snapshot(work)
    for path in videos.iterdir():
        os.utime(path, (1, 1))
    run(videos, work)
    every = [f"v{n:02d}" for n in range(6)]
    assert done(worked) == {"videos": every, "captions": every}  # looked at anew, and found to be the same
    for path, known in snapshot(work).items():
        if path.relative_to(work).parts[0] in ("clips", "features", "pairs", "runs", "index", "report.html"):
            assert before[path] == known, path


@pytest.mark.parametrize("room", ["features", "captions", "pairs", "index", "runs", "videos"])
def test_a_room_that_was_thrown_away_is_made_again(place, worked, room):
    videos, work = place
    before, weights = state(work), (work / "runs" / "main" / "model.safetensors").read_bytes()
    shutil.rmtree(work / room)
    run(videos, work)
    assert done(worked)["train" if room == "runs" else room]
    assert state(work) == before
    assert (work / "runs" / "main" / "model.safetensors").read_bytes() == weights
    again = snapshot(work)
    run(videos, work)
    assert snapshot(work) == again


def test_another_setting_makes_anew_what_depends_on_it(place, worked):
    videos, work = place
    run(videos, work, dataclasses.replace(SMALL, dim=8))
    assert done(worked) == {"train": ["train"], "index": ["index"]}
    for items in worked.values():
        items.clear()
    longer = dataclasses.replace(SMALL, dim=8, clips=dataclasses.replace(SMALL.clips, min_time=9.0))
    run(videos, work, longer)
    assert set(done(worked)) == {"clips", "pairs", "train", "index"}
    for items in worked.values():
        items.clear()
    loud = dataclasses.replace(longer, captions=dataclasses.replace(SMALL.captions, drop_sounds=False))
    run(videos, work, loud)
    assert set(done(worked)) == {"captions", "index"}  # there are no sounds in it: the same lines came out


def test_stop_words_are_an_option_of_what_is_learned_and_of_nothing_that_is_shown(place, worked):
    videos, work = place
    before = state(work)
    run(videos, work, dataclasses.replace(SMALL, text=dataclasses.replace(SMALL.text, drop_stop_words=False)))
    assert done(worked) == {"train": ["train"], "index": ["index"]}
    after = state(work)
    for shown in ("captions", "clips", "pairs", "index"):
        assert after[shown] == before[shown]
    assert any("the" in clip["text"].split() for clip in read_table(work / "clips" / "main").to_pylist())
    model = checkpoint.load(work / "runs" / "main")
    texts = ["whisk butter with sugar", "whisk the butter with the sugar"]
    assert not np.array_equal(*model.text.token_ids(texts))


def test_other_names_stand_side_by_side(place, worked):
    videos, work = place
    before = state(work)
    run(videos, work, dataclasses.replace(SMALL, dim=8), name="narrow")
    assert done(worked)["train"] == ["train"]
    assert state(work) == before
    assert Index.open(work / "index" / "narrow").clips.num_rows == 18
    assert checkpoint.load(work / "runs" / "narrow").config.dim == 8


# What is handed in


def test_held_out_ids_are_kept_out(place, tmp_path):
    videos, work = place
    file = tmp_path / "held_out.txt"
    file.write_text("v01\n\n  v05 \nnot here\n")
    result = run(videos, work, held_out_file=file)
    assert (work / "runs" / "main" / "held_out.txt").read_text().split() == ["v01", "v05"]
    assert result["retrieval"]["videos"] == 2


def test_a_folder_too_small_to_learn_from_is_searched_by_what_is_said(tmp_path):
    videos = corpus.make(tmp_path / "videos", 2)
    result = run(videos, tmp_path / "work", LAPTOP)
    assert (result["videos"], result["clips"], result["retrieval"]) == (2, 6, None)
    assert result["search_by"] == "speech"
    assert re.search(r"Too few videos to learn from: \d+ \(at least 10\)\.", result["why"])
    index = Index.open(tmp_path / "work" / "index" / "main")
    assert search(index, load_model(index), corpus.steps_of(0)[0], 1)[0].text.startswith(corpus.steps_of(0)[0])
    assert "too few" in (tmp_path / "work" / "report.html").read_text(encoding="utf-8")


def test_a_given_model_searches_a_folder_too_small_to_learn_from(finished, tmp_path):
    videos = corpus.make(tmp_path / "videos", 2)
    model = str(finished[1] / "runs" / "main")
    result = run(videos, tmp_path / "work", LAPTOP, model=model)
    assert result["search_by"] == "fused"
    index = Index.open(tmp_path / "work" / "index" / "main")
    hits = search(index, load_model(index), "whisk the butter", 3)
    assert hits
    assert len(search(index, load_model(index), "whisk the butter", 3, "picture")) == 3


def test_one_video_is_enough(tmp_path):
    videos = corpus.make(tmp_path / "videos", 1)
    result = run(videos, tmp_path / "work", LAPTOP)
    assert (result["videos"], result["clips"]) == (1, 3)


def test_a_plan_writes_nothing(place, tmp_path):
    videos, work = place
    corpus.narrate(corpus.film(videos / "new.mp4", corpus.TEXTS), corpus.TEXTS)
    corpus.film(videos / "mute.mp4", corpus.TEXTS)
    before = snapshot(work)
    planned = plan.plan(videos, work, SMALL)
    assert (planned["videos"], planned["no_subtitles"], planned["to_extract"]) == (8, 1, 2)
    assert (planned["to_hear"], planned["seconds_to_hear"], planned["video_seconds"]) == (1, 24, 48)
    assert planned["bytes"] == pytest.approx(48 * 1280 * 2, rel=0.5)
    assert "8 videos, 1 without subtitles; 1 to listen to, 24 s; 2 to extract, 48 s;" in plan.spoken(planned)
    assert snapshot(work) == before
    nowhere = tmp_path / "nowhere"
    assert plan.plan(videos, nowhere, SMALL)["to_extract"] == 8
    assert not nowhere.exists()


def test_the_work_folder_is_not_the_videos_folder(tmp_path):
    videos = corpus.make(tmp_path / "videos", 1)
    with pytest.raises(InputError, match="is the folder of the videos: name another one"):
        run(videos, videos / ".." / "videos")
    assert not (videos / "ledger.sqlite").exists()


def test_the_work_folder_may_lie_among_the_videos(tmp_path):
    videos = corpus.make(tmp_path / "videos", 2)
    run(videos, videos / "work", LAPTOP)
    assert run(videos, videos / "work", LAPTOP)["videos"] == 2


def test_a_full_precision_copy_of_a_vector_is_in_the_index(finished):
    _, work, _ = finished
    index = Index.open(work / "index" / "main")
    table, data = Pairs(work / "pairs" / "main").select([f"v{n:02d}" for n in range(6)])
    assert index.clips["clip_id"].to_pylist() == table["clip_id"].to_pylist()
    model = checkpoint.load(work / "runs" / "main")
    assert np.array_equal(index.vectors, model.embed_clips(data.astype(np.float32)))
