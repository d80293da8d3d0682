"""Drawn videos: told by the seed alone, true to their truth, finished after a kill."""

import hashlib
import itertools
import json
import os
import random
import re
import signal
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import tellvision
from tellvision.corpus import subtitles
from tellvision.draw import DrawConfig, draw
from tellvision.draw.film import STEPS, frames
from tellvision.draw.pen import Pen
from tellvision.draw.phrases import PHRASES, TASKS
from tellvision.draw.scene import Scene
from tellvision.draw.story import Line, rolling_vtt, tell, words_of
from tellvision.records import InputError

SMALL = DrawConfig(size=(64, 48), fps=2, step_seconds=(3.0, 4.0))


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def truth_of(folder):
    return [json.loads(line) for line in (folder / "truth.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    draw(folder, count=3, config=SMALL, workers=1)
    return folder


def test_every_step_is_drawn_and_spoken_of():
    assert set(STEPS) == set(PHRASES) == {step for steps in TASKS.values() for step in steps}
    assert all(len(does) >= 3 and len(notes) >= 3 for does, notes in PHRASES.values())
    assert all(re.fullmatch(r"[A-Za-z' ]+", text) for pair in PHRASES.values() for texts in pair for text in texts)
    assert all(4 <= len(steps) <= 6 for steps in TASKS.values())


def test_workers_change_nothing(drawn, tmp_path):
    said = []
    draw(tmp_path / "two", count=3, config=SMALL, workers=2, progress=lambda *told: said.append(told))
    assert digests(tmp_path / "two") == digests(drawn)
    assert said == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_the_folder_holds_videos_subtitles_and_truth_alone(drawn):
    ids = [video["id"] for video in truth_of(drawn)]
    expected = {f"{one}.mp4" for one in ids} | {f"{one}.en.vtt" for one in ids} | {"truth.jsonl"}
    assert {path.name for path in drawn.iterdir()} == expected


def test_videos_last_as_long_as_the_truth_says(drawn):
    for video in truth_of(drawn):
        with av.open(str(drawn / f"{video['id']}.mp4")) as file:
            stream = file.streams.video[0]
            assert (stream.codec_context.name, stream.width, stream.height) == ("h264", 64, 48)
            shown = [frame.time for frame in file.decode(stream)]
        assert shown == pytest.approx([k / SMALL.fps for k in range(len(shown))], abs=1e-3)
        assert len(shown) == video["duration"] * SMALL.fps


def test_subtitles_say_the_words_of_the_truth(drawn):
    for video in truth_of(drawn):
        cues = subtitles.read(drawn / f"{video['id']}.en.vtt")
        spoken = [[word.start, word.text.strip()] for cue in cues for word in cue.words]
        assert [word for _, word in spoken] == [word for _, word in video["words"]]
        assert [at for at, _ in spoken] == pytest.approx([at for at, _ in video["words"]], abs=1e-3)
        assert " ".join(cue.text for cue in cues).split() == " ".join(x["text"] for x in video["lines"]).split()


def seen(video, step, start, end):
    """Slow reference: milliseconds of [start, end) in which the step is seen."""
    inside = [(round(1000 * s["start"]), round(1000 * s["end"])) for s in video["segments"] if s["step"] == step]
    return sum(any(a <= ms < b for a, b in inside) for ms in range(round(1000 * start), round(1000 * end)))


@settings(max_examples=40, deadline=None)
@given(number=st.integers(0, 200), seed=st.integers(-5, 5))
def test_a_story_is_in_order_and_inside_its_video(number, seed):
    config = DrawConfig()
    story = tell(number, seed, config)
    assert tell(number, seed, config) == story
    order = [TASKS[story.task].index(segment.step) for segment in story.segments]
    assert order == sorted(set(order))
    assert 4 <= len(order) <= 6
    times = [time for one in story.segments for time in (one.start, one.end)]
    assert times == sorted(times)
    assert times[0] > 0
    assert times[-1] < story.duration
    assert all(6.0 <= one.end - one.start <= 12.001 for one in story.segments)
    edges = [time for line in story.lines for time in (line.start, line.end)]
    assert edges == sorted(edges)
    assert edges[0] >= 0
    assert edges[-1] < story.duration
    starts = [at for at, _ in story.words]
    assert all(a < b for a, b in itertools.pairwise(starts))
    assert float(story.duration * config.fps).is_integer()
    assert {segment.step for segment in story.segments} == {line.step for line in story.lines} - {None}


def test_a_line_is_visible_where_half_of_it_is_seen(drawn):
    for video in truth_of(drawn):
        for line in video["lines"]:
            length = round(1000 * (line["end"] - line["start"]))
            half = line["step"] is not None and 2 * seen(video, line["step"], line["start"], line["end"]) >= length
            assert line["visible"] == half


def test_shift_and_chatter_do_what_they_say():
    def lines(**settings):
        return [line for n in range(30) for line in tell(n, 0, DrawConfig(**settings)).lines]

    def share(kind, said):
        return sum(map(kind, said)) / len(said)

    unseen = [
        share(lambda x: x.step is not None and not x.visible, lines(shift=s, shifted=1.0)) for s in (0.0, 6.0)
    ]
    assert unseen[0] < 0.02
    assert unseen[1] > 0.1
    assert share(lambda x: x.step is None, lines(chatter=0.0)) < share(
        lambda x: x.step is None, lines(chatter=0.9)
    )


def test_tasks_come_in_turns_and_a_longer_series_keeps_its_beginning():
    tasks = [tell(n, 3, SMALL).task for n in range(2 * len(TASKS))]
    assert sorted(tasks[: len(TASKS)]) == sorted(tasks[len(TASKS) :]) == sorted(TASKS)
    ids = [tell(n, 3, SMALL).id for n in range(40)]
    assert len(set(ids)) == 40


def test_seeds_differ_in_words_and_pictures():
    first, second = tell(0, 0, SMALL), tell(0, 1, SMALL)
    assert first.words != second.words
    one, other = (next(iter(frames(first, SMALL, scene))) for scene in ("0/scene/0", "1/scene/0"))
    assert np.abs(np.asarray(one, int) - np.asarray(other, int)).mean() > 10


@pytest.mark.parametrize("step", sorted(STEPS))
def test_a_step_moves_and_covers_its_scene(step):
    scene = Scene(random.Random("scene"), outdoors=False)
    bare = Image.new("RGB", (320, 240))
    scene.backdrop(Pen(bare))
    still = bare.copy()
    motion = STEPS[step](Pen(still), scene.look)
    shots = []
    for t, u in ((0.0, 0.0), (2.1, 0.3), (4.4, 0.6), (8.0, 1.0)):
        canvas = still.copy()
        motion(Pen(canvas), t, u)
        shots.append(np.asarray(canvas, int))
    covered = (np.abs(shots[1] - np.asarray(bare, int)).sum(-1) > 30).mean()
    assert covered > 0.2, f"{step} is drawn too small to be recognised"
    assert all((np.abs(a - b).sum(-1) > 30).mean() > 0.004 for a, b in itertools.pairwise(shots))


def line(start, end, text):
    return Line(start=start, end=end, text=text, step=None, visible=False)


def test_words_are_spread_by_letters():
    # 2 + 1 and 5 + 1 letters share 9 tenths of a second: the second word begins after three of them.
    assert words_of((line(1.0, 1.9, "go paint"),)) == ((1.0, "go"), (1.3, "paint"))


def test_rolling_form_by_hand():
    said = (line(1.0, 1.9, "go paint"), line(5.0, 5.5, "done"))
    assert rolling_vtt(said).split("\n") == [
        "WEBVTT", "Kind: captions", "Language: en", "",
        "00:00:01.000 --> 00:00:03.390 align:start position:0%", " ", "go<00:00:01.300><c> paint</c>", "",
        "00:00:03.390 --> 00:00:03.400 align:start position:0%", "go paint", " ", "",
        "00:00:05.000 --> 00:00:05.490 align:start position:0%", "go paint", "done", "",
        "00:00:05.490 --> 00:00:05.500 align:start position:0%", "done", " ", "", "",
    ]  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 300))
def test_rolling_times_never_run_back(number):
    text = rolling_vtt(tell(number, 9, SMALL).lines)
    stamps = [
        int(h) * 3600 + int(m) * 60 + float(s) for h, m, s in re.findall(r"(\d\d):(\d\d):(\d\d\.\d{3})", text)
    ]
    cues = re.findall(r"(\S+) --> (\S+) align:start position:0%\n([^\n]+)\n([^\n]+)\n", text)
    assert len(cues) % 2 == 0
    assert all(len(re.sub("<[^>]*>", "", row)) <= 40 for *_, row in cues)
    spans = re.findall(r"(\S+) --> (\S+)", text)
    assert all(a < b for a, b in spans)
    assert all(one[1] <= following[0] for one, following in itertools.pairwise(spans))
    assert max(stamps) <= tell(number, 9, SMALL).duration


def test_what_is_finished_is_kept_and_what_is_broken_drawn_again(drawn, tmp_path):
    draw(tmp_path, count=2, config=SMALL, workers=1)
    first, second = (tmp_path / f"{tell(n, 0, SMALL).id}.mp4" for n in range(2))
    kept = first.stat().st_mtime_ns
    second.write_bytes(second.read_bytes()[:500])
    draw(tmp_path, count=3, config=SMALL, workers=1)
    assert first.stat().st_mtime_ns == kept
    assert digests(tmp_path) == digests(drawn)


def test_another_configuration_draws_anew(tmp_path):
    draw(tmp_path, count=1, config=SMALL, workers=1)
    other = DrawConfig(size=(96, 72), fps=2, step_seconds=(3.0, 4.0))
    draw(tmp_path, count=1, config=other, workers=1)
    with av.open(str(tmp_path / f"{tell(0, 0, other).id}.mp4")) as file:
        assert file.streams.video[0].width == 96


KILLED = """
import os, pathlib, signal
from tellvision.draw import DrawConfig, draw, film
drawn, left = film.frames, {frames}
def frames(*story):
    global left
    for image in drawn(*story):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        yield image
film.frames = frames
draw(pathlib.Path({out!r}), count=3, config={config!r}, workers=1)
"""


@pytest.mark.parametrize("frames", [1, 70, 110])
def test_killed_and_drawn_again_is_the_same_as_straight_through(drawn, tmp_path, frames):
    code = KILLED.format(frames=frames, out=str(tmp_path), config=SMALL)
    environment = {**os.environ, "PYTHONPATH": str(Path(tellvision.__file__).parents[1])}
    killed = subprocess.run([sys.executable, "-c", code], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(list(tmp_path.glob("*.mp4"))) < 3
    assert not (tmp_path / "truth.jsonl").exists()
    draw(tmp_path, count=3, config=SMALL, workers=1)
    assert digests(tmp_path) == digests(drawn)


def test_truth_goes_before_videos_change_under_it(tmp_path):
    draw(tmp_path, count=1, config=SMALL, workers=1)

    class StoppedError(Exception):
        pass

    def stop(_done, _count):
        raise StoppedError

    with pytest.raises(StoppedError):
        draw(tmp_path, count=2, config=SMALL, workers=1, progress=stop)
    assert not (tmp_path / "truth.jsonl").exists()


@pytest.mark.parametrize("bad", [{"count": 0}, {"count": -3}, {"count": 1.5}, {"count": True}, {"workers": 0}])
def test_bad_counts_are_named(tmp_path, bad):
    with pytest.raises(InputError, match=f"{next(iter(bad))} has to be .* got {next(iter(bad.values()))}"):
        draw(tmp_path / "out", **bad)
    assert not (tmp_path / "out").exists()


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file is a file"):
        draw(tmp_path / "file", count=1)
    with pytest.raises(InputError, match="cannot be made"):
        draw(tmp_path / "file" / "below", count=1)


def test_other_videos_in_the_folder_are_not_touched(tmp_path):
    (tmp_path / "holiday.mp4").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"holds holiday\.mp4"):
        draw(tmp_path, count=1)
    assert digests(tmp_path).keys() == {"holiday.mp4"}


@pytest.mark.parametrize(
    "bad",
    [{"size": (63, 48)}, {"size": (16, 16)}, {"fps": 0}, {"step_seconds": (9.0, 6.0)}, {"chatter": 1.2},
     {"shifted": -0.1}, {"shift": -1.0}, {"shift": float("nan")}],
)  # fmt: skip
def test_bad_configurations_are_named(bad):
    with pytest.raises(InputError, match=next(iter(bad))):
        DrawConfig(**bad)
