"""Killed with SIGKILL in every stage and started again: the result of a run straight through, nothing twice."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import corpus
from tellvision.search import Index, load_model, search
from tellvision.store import ArrayReader, read_manifest, read_table

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TRACKS = "features/main/efficientnet-lite0"
STAGES = ("captions/main", "clips/main", TRACKS, "pairs/main", "runs/main", "index/main")
MAIN = "import sys; from tellvision.cli import main; sys.exit(main())"
SETTINGS = ["--workers", "2", "--dim", "32", "--train.epochs", "12", "--train.pairs-per-video", "16"]
SETTINGS += ["--train.min-videos", "3", "--train.held-out", "0.4", "--json"]


# What a run leaves, in a form that can be compared


def result(work):
    """All that a run leaves: equal for two runs if and only if they made the same."""
    tracks, pairs = (ArrayReader(work / room) for room in (TRACKS, "pairs/main"))
    assert tracks.damaged() == []
    assert pairs.damaged() == []
    index = Index.open(work / "index" / "main")
    model = load_model(index)
    run = work / "runs" / "main"
    return {
        "tables": [read_table(work / place).to_pylist() for place in ("videos", "captions/main", "clips/main")],
        "pairs": read_table(work / "pairs" / "main").to_pylist(),
        "tracks": {item: tracks[item].tobytes() for item in tracks.entries},
        "rows": {item: pairs[item].tobytes() for item in pairs.entries},
        "weights": (run / "model.safetensors").read_bytes(),
        "curve": (run / "metrics.jsonl").read_bytes(),
        "held out": (run / "held_out.txt").read_text(),
        "clips": index.clips.to_pylist(),
        "vectors": None if index.vectors is None else np.asarray(index.vectors).tobytes(),
        "chosen": (index.search_by, index.why, index.comparison),
        "answers": [search(index, model, text, 5) for text in ("whisk the butter", "a green plant", "the")],
        "seen": [search(index, model, text, 5, "picture") for text in corpus.TEXTS] if model else None,
        "manifests": {stage: read_manifest(work / stage)["hash"] for stage in STAGES},
        "report": (work / "report.html").read_bytes(),
    }


def compare(work, straight):
    """Nothing is missing, nothing differs, nothing was done twice, nothing lies about."""
    found = result(work)
    for part, expected in straight.items():
        assert found[part] == expected, part
    with sqlite3.connect(work / "ledger.sqlite") as db:
        twice = db.execute("SELECT stage, item, attempts FROM items WHERE attempts <> 1").fetchall()
        items = db.execute("SELECT stage, count(*) FROM items GROUP BY stage").fetchall()
    db.close()
    assert twice == []
    assert len({count for _, count in items}) == 1
    left = [path for path in work.rglob("*") if path.name.endswith((".tmp", ".new", ".old", ".pt", "parts"))]
    assert left == []


# Killed at a touch of the disk


@pytest.fixture(scope="module")
def died(tmp_path_factory):
    """(folder, {name: touches}) of runs in forked copies, each killed at another touch; see dying.py."""
    folder = tmp_path_factory.mktemp("died")
    corpus.make(folder / "videos", 5, steps=2)
    script = Path(__file__).with_name("dying.py")
    command = [sys.executable, str(script), str(folder / "videos"), str(folder), "16"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=800)
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


def test_killed_at_any_touch_of_the_disk(died):
    folder, found = died
    assert found["straight"] > 200
    assert len(found) > 15
    straight = result(folder / "straight")
    for name, touches in found.items():
        assert touches > 0, f"killed at touch {name}: it did not go on"
        compare(folder / name, straight)


def test_killed_again_and_again(died):
    folder, found = died
    compare(folder / "again", result(folder / "straight"))
    assert found["again"] < found["straight"]


# Killed from outside, as people do it


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    return corpus.make(tmp_path_factory.mktemp("videos"), 10, steps=4)


def started(videos, work, **options):
    command = [sys.executable, "-c", MAIN, "run", str(videos), "--out", str(work), *SETTINGS]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def finished(videos, work):
    """Run to the end; what it printed, and how long it took."""
    began = time.monotonic()
    run = started(videos, work)
    out, err = run.communicate(timeout=300)
    assert run.returncode == 0, err
    assert "Traceback" not in err
    return json.loads(out.splitlines()[-1]), time.monotonic() - began


@pytest.fixture(scope="module")
def straight(videos, tmp_path_factory):
    """(work, printed, result) of a run that nobody killed."""
    work = tmp_path_factory.mktemp("straight") / "work"
    printed, _ = finished(videos, work)
    assert printed["videos"] == 10
    assert printed["retrieval"]
    return work, printed, result(work)


def lines_in(path):
    try:
        return path.read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0


def exists(path):
    return lambda work: (work / path).exists()


def at_least(number, path):
    return lambda work: lines_in(work / path) >= number


MOMENTS = {  # when to kill: as soon as this is seen
    "nothing": lambda work: work.exists(),
    "videos": exists("videos"),
    "captions": exists("captions/main"),
    "clips": exists("clips/main"),
    "features, begun": exists("features/main/efficientnet-lite0/index.jsonl"),
    "features, first": at_least(2, "features/main/efficientnet-lite0/index.jsonl"),
    "features, half": at_least(6, "features/main/efficientnet-lite0/index.jsonl"),
    "features, last": at_least(11, "features/main/efficientnet-lite0/index.jsonl"),
    "pairs": exists("pairs/main"),
    "train, begun": exists("runs/main/held_out.txt"),
    "train, half": at_least(5, "runs/main/metrics.jsonl"),
    "train, saved": exists("runs/main/model.safetensors"),
    "index": exists("index/.main.new"),
    "report": exists("index/main"),
}


def killed(videos, work, moment, delay=0.0):
    """Start a run and kill it, and it alone, at a moment; whether it was still running."""
    run = started(videos, work)
    try:
        until = time.monotonic() + 120
        while run.poll() is None and not moment(work):
            assert time.monotonic() < until
            time.sleep(0.0005)
        time.sleep(delay)
        alive = run.poll() is None
    finally:
        run.send_signal(signal.SIGKILL)
        run.communicate()
    return alive


@pytest.mark.parametrize("name", MOMENTS)
def test_killed_in_a_stage(videos, straight, tmp_path, name):
    work = tmp_path / "work"
    assert killed(videos, work, MOMENTS[name])
    printed, _ = finished(videos, work)
    assert {**printed, "seconds": 0} == {**straight[1], "seconds": 0}
    compare(work, straight[2])


def test_killed_at_random_until_it_is_done(videos, straight, tmp_path):
    """One folder, killed again and again after random delays, always behind the last one's work."""
    work, random = tmp_path / "work", np.random.default_rng(0)
    moments = [MOMENTS[name] for name in ("videos", "features, first", "features, half", "train, begun", "report")]
    for moment in moments:
        killed(videos, work, moment, delay=float(random.uniform(0, 0.4)))
    printed, _ = finished(videos, work)
    assert {**printed, "seconds": 0} == {**straight[1], "seconds": 0}
    compare(work, straight[2])


def test_with_nothing_to_do_it_is_done_in_seconds(videos, straight):
    work, printed, before = straight
    again, seconds = finished(videos, work)
    assert {**again, "seconds": 0} == {**printed, "seconds": 0}
    assert seconds < 15  # on a busy machine, with the start of Python in it
    assert again["seconds"] < 5
    compare(work, before)


def test_stopped_by_hand_it_says_how_to_go_on(videos, straight, tmp_path):
    work = tmp_path / "work"
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores Ctrl+C
    try:
        run = started(videos, work, start_new_session=True)
    finally:
        signal.signal(signal.SIGINT, before)
    while not MOMENTS["features, first"](work):
        assert run.poll() is None
        time.sleep(0.001)
    os.killpg(run.pid, signal.SIGINT)  # as a terminal does: driver and workers
    out, err = run.communicate(timeout=60)
    assert run.returncode == 130
    assert out == ""
    assert err.splitlines()[-1] == "tellvision: stopped; the same command goes on from here"
    assert "Traceback" not in err
    finished(videos, work)
    compare(work, straight[2])
