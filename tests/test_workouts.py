"""Narrated workouts out of drawn pictures: the films, their split and their truth, and one tiny study."""

import json
import statistics
from dataclasses import replace
from pathlib import Path

import av
import pytest
from benchmarks import workout_films, workouts
from PIL import Image

from tellvision import recipes
from tellvision.corpus.captions import CaptionConfig
from tellvision.progress import Progress
from tellvision.records import InputError
from tellvision.stages.captions import narrate
from tellvision.stages.videos import scan_videos
from tellvision.stages.workplace import Workplace
from tellvision.store import Ledger, read_table

COLOURS = ("red", "green", "blue", "yellow", "purple", "orange", "white", "black")


def write(folder, name, changes=()):
    """An exercise as the public data has it, its two pictures drawn."""
    (folder / name).mkdir(parents=True)
    images = []
    for number in range(2):
        Image.new("RGB", (96, 64), COLOURS[len(list(folder.glob("*.json"))) % 8]).save(
            folder / name / f"{number}.jpg"
        )
        images.append(f"{name}/{number}.jpg")
    told = {"id": name, "name": f"{name} lift", "images": images}
    told |= {"instructions": [f"Hold the {name} bar.", "Lift it slowly."]} | dict(changes)
    (folder / f"{name}.json").write_text(json.dumps(told))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for colour in COLOURS:
        write(folder, colour)
    return folder


def unpictured(count):
    return [
        workout_films.Exercise(
            id=f"e{n:03d}", name=f"exercise {n}", instructions=("go",), pictures=(Path(f"{n}/0"), Path(f"{n}/1"))
        )
        for n in range(count)
    ]


def test_exercises_are_read_from_a_checkout_or_from_the_folder_itself(tmp_path):
    for name in COLOURS:
        write(tmp_path / "exercises", name)
    found = workout_films.read_exercises(tmp_path)
    assert found == workout_films.read_exercises(tmp_path / "exercises")
    assert [one.id for one in found] == sorted(COLOURS)
    assert found[0].instructions == ("Hold the black bar.", "Lift it slowly.")


def test_what_cannot_be_shown_or_told_is_left_out(tmp_path):
    for name in COLOURS[:6]:
        write(tmp_path, name)
    write(tmp_path, "silent", {"instructions": [" "]})
    write(tmp_path, "unseen", {"images": ["unseen/0.jpg", "unseen/9.jpg"]})
    write(tmp_path, "strange", {"images": "strange/0.jpg"})
    write(tmp_path, "nameless", {"name": None})
    write(tmp_path, "unnumbered", {"id": None})
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "torn.json").write_text("{")
    assert [one.id for one in workout_films.read_exercises(tmp_path)] == sorted([*COLOURS[:6], "unnumbered"])


def test_too_few_exercises_are_refused_with_the_next_step(tmp_path):
    with pytest.raises(InputError, match="free-exercise-db"):
        workout_films.read_exercises(tmp_path)


@pytest.mark.parametrize(
    ("exercises", "count", "split", "held_out"),
    [
        (668, 222, 167, 55),
        (873, 222, 167, 55),
        (873, 500, 167, 124),
        (668, 12, 9, 3),
        (8, 222, 1, 1),
        (12, 4, 3, 1),
    ],
)
def test_the_series_is_split_by_exercise_and_by_picture(exercises, count, split, held_out):
    films = workout_films.series(unpictured(exercises), count)
    sides = [[film for film in films if film.held_out is side] for side in (False, True)]
    assert [len(side) for side in sides] == [split, held_out]
    every = [one.id for film in films for one in film.exercises]
    assert len(every) == len(set(every)) == 3 * len(films)
    shown = [
        {picture for film in side for picture in (*film.others, *(p for x in film.exercises for p in x.pictures))}
        for side in sides
    ]
    assert not shown[0] & shown[1]
    assert all(not set(film.others) & {p for x in film.exercises for p in x.pictures} for film in films)


def test_fewer_films_are_a_part_of_the_whole_series():
    exercises = unpictured(668)
    whole = {film.id: film for film in workout_films.series(exercises, 222)}
    assert all(whole[film.id] == film for film in workout_films.series(exercises, 12))


def test_an_exercise_is_seen_until_something_else_is_told():
    told = [(0.0, 1.0, None), (1.2, 2.0, "a"), (2.2, 3.0, "a"), (3.2, 4.0, "b"), (4.2, 5.0, None)]
    lines = [
        workout_films.Line(start=start, end=end, text="x", step=step, visible=True) for start, end, step in told
    ]
    assert workout_films.segments_of(lines) == [
        {"exercise": "a", "start": 1.2, "end": 3.2},
        {"exercise": "b", "start": 3.2, "end": 4.2},
    ]
    assert workout_films.segments_of(lines[:2]) == [{"exercise": "a", "start": 1.2, "end": 2.0}]


def test_films_are_as_long_as_what_is_said_and_are_not_made_twice(data, tmp_path):
    workout_films.make(data, tmp_path, workers=0)
    truth = [json.loads(line) for line in (tmp_path / "truth.jsonl").read_text().splitlines()]
    assert [video["id"] for video in truth] == ["workout-000", "workout-001"]
    assert (tmp_path / "held_out.txt").read_text() == "workout-001\n"
    assert not list(tmp_path.glob(".*"))
    for video in truth:
        with av.open(str(tmp_path / f"{video['id']}.mp4")) as file:
            (stream,) = file.streams
            assert (stream.width, stream.height) == (320, 240)
            assert abs(file.duration / av.time_base - video["duration"]) < 0.5
        assert [one["exercise"] for one in video["segments"]] == [one["id"] for one in video["exercises"]]
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.mp4")}
    (tmp_path / "workout-001.mp4").write_bytes(b"torn")
    workout_films.make(data, tmp_path, workers=0)
    after = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.mp4")}
    assert [path.stem for path in after if after[path] != before[path]] == ["workout-001"]
    assert (tmp_path / "workout-001.mp4").stat().st_size > 1000


def test_a_segment_shows_its_own_exercise(data, tmp_path):
    workout_films.make(data, tmp_path, workers=0)
    video = json.loads((tmp_path / "truth.jsonl").read_text().splitlines()[0])
    segment = video["segments"][1]
    middle = (segment["start"] + segment["end"]) / 2
    with av.open(str(tmp_path / f"{video['id']}.mp4")) as file:
        frame = next(frame for frame in file.decode(video=0) if frame.time >= middle)
    pixel = frame.to_image().resize((1, 1)).getpixel((0, 0))
    wanted = Image.open(data / f"{segment['exercise']}/0.jpg").resize((1, 1)).getpixel((0, 0))
    assert max(abs(a - b) for a, b in zip(pixel, wanted, strict=True)) < 30


def test_the_three_kinds_of_subtitles_say_the_same(data, tmp_path):
    film = workout_films.series(workout_films.read_exercises(data), 2)[0]
    lines = workout_films.tell(film, workout_films.random.Random(0))
    said = []
    for place, (ending, written) in enumerate(workout_films.SUBTITLES):
        folder = tmp_path / str(place)
        videos, work = folder / "videos", folder / "work"
        videos.mkdir(parents=True)
        workout_films.make(data, videos, count=1, workers=0)
        for path in videos.glob("*.en.*"):
            path.unlink()
        (videos / f"{film.id}.en.{ending}").write_text(written(lines))
        with Ledger(work) as ledger:
            at = Workplace(work=work, ledger=ledger, max_skipped=1.0)
            scan_videos(at, videos)
            narrate(at, CaptionConfig(), recipes.laptop().speech, Progress(quiet=True).stage)
        table = read_table(work / "captions" / "main")
        mine = [row for row in table.to_pylist() if row["video_id"] == film.id]
        said.append(" ".join(row["text"] for row in mine).lower().replace(".", "").split())
        assert abs(mine[-1]["end"] - lines[-1].end) < 3
    assert said[0] == said[1] == said[2]


def test_a_picture_that_cannot_be_read_is_named(tmp_path):
    for name in COLOURS:
        write(tmp_path / "data", name)
        (tmp_path / "data" / name / "0.jpg").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"0\.jpg"):
        workout_films.make(tmp_path / "data", tmp_path / "out", workers=0)


def result(names, within=0.5):
    figures = {"R@1": within, "R@5": names, "R@10": names, "MedR": 7.0}
    one = {"metrics": figures, "chance": figures, "shuffled": figures, "questions": 4}
    return {"seconds": 1.0, "names": one, "instructions": one, "within": one}


def test_the_table_gives_mean_and_range_over_seeds():
    told = {"plain": [result(0.2), result(0.3)], "other": [result(0.4), result(0.4)]}
    text = workouts.table(told)
    assert "25.0 (20.0-30.0)" in text
    assert "7.0 (7.0-7.0)" in text
    found = {one.name: one for one in workouts.figures(told)}
    assert found["workouts.plain.names.r10"].value == pytest.approx(statistics.mean([0.2, 0.3]))
    assert found["workouts.plain.names.r10"].low == 0.2
    assert found["workouts.plain.names.medr"].value == 7.0


def test_the_recipes_say_what_they_are():
    assert workouts.RECIPES["no-same-video"].train.same_video is None
    assert workouts.RECIPES["infonce"].train.loss == "infonce"
    assert workouts.RECIPES["modern"] == recipes.modern()
    assert workouts.RECIPES["windows"].clips.by == "windows"
    laptops = [one for name, one in workouts.RECIPES.items() if not name.startswith("modern")]
    assert {one.features for one in laptops} == {workouts.BOTH}


def test_recipes_are_grouped_by_what_their_pairs_are_made_from():
    laptop = recipes.laptop()
    windows = replace(laptop, clips=replace(laptop.clips, by="windows"))
    named = {"a": laptop, "b": windows, "c": replace(laptop, dim=3), "d": replace(windows, centre=True)}
    assert workouts._by_preparation(named) == [(laptop, ["a", "c"]), (windows, ["b", "d"])]


def test_a_tiny_study_runs_and_goes_on_after_a_stop(data, tmp_path, monkeypatch):
    laptop = recipes.laptop()
    tiny = replace(laptop, dim=8, train=replace(laptop.train, epochs=1, videos_per_batch=2, pairs_per_video=4))
    quiet = Progress(quiet=True)
    found = workouts.measure(data, tmp_path, {"tiny": tiny}, seeds=2, workers=0, progress=quiet)
    assert [run["seed"] for run in found["tiny"]] == [0, 1]
    assert found["tiny"][0]["names"]["questions"] == 3
    assert found["tiny"][0]["within"]["candidates"] == 3
    assert found["tiny"][0]["within"]["chance"]["R@1"] == pytest.approx(1 / 3)
    monkeypatch.setattr(workouts, "learn", lambda *_, **__: pytest.fail("learned again"))
    assert workouts.measure(data, tmp_path, {"tiny": tiny}, seeds=2, workers=0, progress=quiet) == found


def test_the_command_refuses_what_it_does_not_know(tmp_path, capsys):
    with pytest.raises(SystemExit):
        workouts.main(["--data", str(tmp_path), "--recipes", "magic"])
    assert "unknown recipe 'magic'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        workouts.main(["--data", str(tmp_path), "--work", str(tmp_path / "work")])
    assert "free-exercise-db" in capsys.readouterr().err
