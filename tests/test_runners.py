"""Mapping over items and bringing a stage up to date: order, skips, dead workers, what is left to do."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tellvision.records import InputError, Skip
from tellvision.runners import Result, Stage, advance, map_items, require_share
from tellvision.store import ArrayReader, ArrayWriter, Ledger, Row, read_manifest

# Work on one item; at module level, as it travels to other processes.


def double(number):
    time.sleep(0.03 * (number % 3))  # later items end before earlier ones
    if number == 4:
        raise Skip("unlucky", f"{number} is four")
    return Result(2 * number, str(number))


def die_on_five(number):
    if number == 5:
        os._exit(9)
    return double(number)


def die_once(job):
    number, marker = job
    if number == 5 and not marker.exists():
        marker.touch()
        os._exit(9)
    return double(number)


def break_on_two(number):
    if number == 2:
        raise ZeroDivisionError("a mistake of ours")
    return Result(number, "")


def refuse(number):
    raise InputError("the backbone is not installed")


def outcome(results):
    return [(item, r.reason if isinstance(r, Skip) else r.output) for item, r in results]


TEN = [(f"i{n}", n) for n in range(10)]
DOUBLED = [(f"i{n}", "unlucky" if n == 4 else 2 * n) for n in range(10)]


@pytest.mark.parametrize("workers", [0, 3])
def test_the_order_of_the_input_is_kept_and_a_skip_is_a_result(workers):
    results = list(map_items(double, TEN, workers))
    assert outcome(results) == DOUBLED
    assert results[4][1].detail == "4 is four"


@pytest.mark.parametrize("workers", [0, 2])
def test_no_items_give_nothing(workers):
    assert list(map_items(double, [], workers)) == []


def test_items_are_taken_as_they_are_needed():
    taken = []

    def items():
        for n in range(100):
            taken.append(n)
            yield f"i{n}", n

    running = map_items(double, items(), 2)
    next(running)
    assert len(taken) <= 5  # two per worker wait, whatever there is
    running.close()


@pytest.mark.parametrize("workers", [2])
def test_a_worker_that_dies_takes_one_item_with_it(workers):
    expected = [(i, "worker_died" if i == "i5" else r) for i, r in DOUBLED]
    assert outcome(map_items(die_on_five, TEN, workers)) == expected


def test_a_worker_that_dies_once_loses_nothing(tmp_path):
    jobs = [(item, (n, tmp_path / "died")) for item, n in TEN]
    assert outcome(map_items(die_once, jobs, 2)) == DOUBLED


@pytest.mark.parametrize("workers", [0, 2])
def test_what_nobody_foresaw_costs_one_item_and_says_where(workers):
    found = dict(map_items(break_on_two, TEN, workers))
    failed = [result for result in found.values() if isinstance(result, Skip)]
    assert len(found) == len(TEN)
    assert [result.reason for result in failed] == ["worker_failed"]
    assert re.match(r"ZeroDivisionError at test_runners.py:\d+: ", failed[0].detail)


@pytest.mark.parametrize("workers", [0, 2])
def test_what_the_user_has_to_change_ends_the_run(workers):
    with pytest.raises(InputError, match="not installed"):
        list(map_items(refuse, TEN, workers))


WORK_FOR_EVER = """
import os, sys, time
from pathlib import Path
from tellvision.runners import map_items

def work(folder):
    Path(folder, str(os.getpid())).touch()
    time.sleep(600)

if __name__ == "__main__":
    list(map_items(work, [("a", sys.argv[1]), ("b", sys.argv[1])], 2))
"""


def ends(condition, seconds=30.0):
    """Whether `condition` comes true in time."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="reads /proc")
def test_workers_end_with_their_driver(tmp_path):
    script, pids = tmp_path / "work.py", tmp_path / "pids"
    pids.mkdir()
    script.write_text(WORK_FOR_EVER)
    driver = subprocess.Popen([sys.executable, str(script), str(pids)])
    try:
        assert ends(lambda: len(list(pids.iterdir())) == 2)
        driver.send_signal(signal.SIGKILL)
    finally:
        driver.kill()
        driver.wait()
    workers = [int(path.name) for path in pids.iterdir()]
    assert ends(lambda: not any(map(is_running, workers)))


# Stages


def vector(number):
    if number < 0:
        raise Skip("negative", f"{number} is below zero")
    return Result(
        np.full((1 + int(number) % 3, 4), number, np.float16),
        f"of {int(number)}",
        note="odd" if number % 2 else "",
    )


def mended(number):
    return vector(abs(number))


class Room:
    """A work folder with one stage that turns numbers into rows."""

    def __init__(self, work):
        self.work, self.worked_on = work, []

    def advance(self, numbers, *, function=vector, config=None, workers=0, commit_every=1, inputs=None, retry=()):
        stage = Stage(
            name="vectors/main", config=config or {"dim": 4}, inputs=inputs or {}, commit_every=commit_every
        )
        with Ledger(self.work) as ledger:
            self.worked_on, self.progress = [], []

            def payload(item):
                self.worked_on.append(item)
                return numbers[item]

            return advance(
                stage,
                self.work,
                ledger,
                ArrayWriter(self.folder, stage.config["dim"]),
                wanted={item: stage.fingerprint(number) for item, number in numbers.items()},
                payload=payload,
                function=function,
                workers=workers,
                retry=retry,
                progress=lambda done, total: self.progress.append((done, total)),
            )

    @property
    def folder(self):
        return self.work / "vectors" / "main"

    @property
    def manifest(self):
        return read_manifest(self.folder)

    def values(self):
        reader = ArrayReader(self.folder)
        assert reader.damaged() == []
        return {item: (float(reader[item][0, 0]), len(reader[item])) for item in reader.entries}


def expected(numbers):
    return {item: (n, 1 + n % 3) for item, n in numbers.items() if n >= 0}


@pytest.fixture
def room(tmp_path):
    return Room(tmp_path / "work")


NUMBERS = {"a": 1, "b": 2, "c": -3, "d": 4}


def test_a_stage_holds_what_it_should_and_says_what_it_lost(room):
    found = room.advance(NUMBERS)
    assert room.values() == expected(NUMBERS)
    assert found["a"].detail == "odd"
    assert (found["c"].status, found["c"].reason, found["c"].detail) == ("skipped", "negative", "-3 is below zero")
    assert room.manifest["counts"]["skipped"] == {"negative": 1}
    assert room.manifest["counts"]["done"] == 3
    assert room.manifest["counts"]["rows"] == 2 + 3 + 2
    assert room.manifest["counts"]["items"] == 4
    assert room.progress == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]


def test_with_nothing_to_do_nothing_is_written(room):
    room.advance(NUMBERS)
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in room.folder.iterdir()}
    found = room.advance(NUMBERS)
    assert room.worked_on == []
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in room.folder.iterdir()} == before
    assert list(found) == ["a", "b", "c", "d"]


def test_only_the_difference_is_worked_on(room):
    room.advance(NUMBERS)
    changed = {"b": 2, "d": 40, "e": 5}  # a and c went, d changed, e is new
    found = room.advance(changed)
    assert room.worked_on == ["d", "e"]
    assert room.values() == expected(changed)
    assert sorted(found) == ["b", "d", "e"]
    fresh = Room(room.work.parent / "fresh")
    fresh.advance(changed)
    assert fresh.values() == room.values()
    assert fresh.manifest["counts"]["content"] == room.manifest["counts"]["content"]


def test_a_renamed_item_is_not_worked_on_again(room):
    room.advance(NUMBERS)
    room.advance({"z": 1, "b": 2, "c": -3, "d": 4})
    assert room.worked_on == []
    assert room.values() == {"z": (1, 2), "b": (2, 3), "d": (4, 2)}


def test_items_that_swap_their_names_swap_their_rows(room):
    room.advance(NUMBERS)
    swapped = {"a": 2, "b": 4, "c": -3, "d": 1}
    room.advance(swapped)
    assert room.worked_on == []
    assert room.values() == expected(swapped)


def test_an_item_that_can_be_read_no_more_goes(room):
    room.advance(NUMBERS)
    room.advance(NUMBERS | {"d": -1})
    assert room.values() == expected({"a": 1, "b": 2})
    room.advance(NUMBERS)
    assert room.worked_on == ["d"]
    assert room.values() == expected(NUMBERS)


def test_another_configuration_makes_all_anew(room):
    room.advance(NUMBERS)
    before = room.manifest["hash"]
    room.advance(NUMBERS, config={"dim": 4, "more": True})
    assert room.worked_on == list(NUMBERS)
    assert room.values() == expected(NUMBERS)
    assert room.manifest["hash"] != before


def test_other_inputs_rewrite_the_manifest_alone(room):
    room.advance(NUMBERS)
    before = room.manifest["hash"]
    room.advance(NUMBERS, inputs={"videos": "abc"})
    assert room.worked_on == []
    assert room.manifest["inputs"] == {"videos": "abc"}
    assert room.manifest["hash"] == before


def test_an_equal_output_starts_nothing_downstream(room):
    """The manifest names what came out: a file that was only touched leaves it as it was."""
    room.advance(NUMBERS)
    before = (room.folder / "manifest.json").read_bytes()
    room.advance(NUMBERS | {"a": 1.0})  # another fingerprint, the same vector
    assert room.worked_on == ["a"]
    assert (room.folder / "index.jsonl").read_text().count('"item": "a"') == 2
    found = read_manifest(room.folder)["counts"]
    assert found["content"] == json.loads(before)["counts"]["content"]


class Stopped(BaseException):
    """Where a test stops a run."""


def stop_at(last):
    def work(number):
        if number == last:
            raise Stopped
        return vector(number)

    return work


@pytest.mark.parametrize("commit_every", [1, 2, 100])
@pytest.mark.parametrize("last", [1, 2, 4])
def test_a_stage_goes_on_where_it_stopped(room, last, commit_every):
    with pytest.raises(Stopped):
        room.advance(NUMBERS, function=stop_at(last), commit_every=commit_every)
    with pytest.raises(InputError, match="not finished"):
        read_manifest(room.folder)
    done = list(NUMBERS).index({1: "a", 2: "b", 4: "d"}[last])
    acknowledged = done - done % commit_every
    room.advance(NUMBERS, commit_every=commit_every)
    assert room.worked_on == list(NUMBERS)[acknowledged:]
    assert room.values() == expected(NUMBERS)
    assert room.progress[0] == (acknowledged, 4)
    straight = Room(room.work.parent / "straight")
    straight.advance(NUMBERS, commit_every=commit_every)
    for name in ("shard-00000.bin", "index.jsonl", "manifest.json"):
        assert (room.folder / name).read_bytes() == (straight.folder / name).read_bytes()


def test_a_folder_that_was_thrown_away_is_made_again(room):
    room.advance(NUMBERS)
    before = (room.folder / "manifest.json").read_bytes()
    for path in room.folder.iterdir():
        path.unlink()
    room.folder.rmdir()
    room.advance(NUMBERS)
    assert room.worked_on == list(NUMBERS)
    assert room.values() == expected(NUMBERS)
    assert (room.folder / "manifest.json").read_bytes() == before


def test_a_folder_that_was_thrown_away_is_made_again_although_killed_in_between(room):
    room.advance(NUMBERS)
    for path in room.folder.iterdir():
        path.unlink()
    room.folder.rmdir()
    with pytest.raises(Stopped):
        room.advance({i: n for i, n in NUMBERS.items() if i != "b"}, function=stop_at(1))
    room.advance(NUMBERS)
    assert room.worked_on == list(NUMBERS)
    assert room.values() == expected(NUMBERS)


def test_skips_are_tried_again_where_asked(room):
    room.advance(NUMBERS)
    for retry, tried in (((), []), (("other",), []), (("negative",), ["c"]), (("all",), ["c"])):
        room.advance(NUMBERS, retry=retry)
        assert room.worked_on == tried
    room.advance(NUMBERS, retry=("negative",), function=mended)
    assert room.values() == expected(NUMBERS | {"c": 3})


def test_workers_give_the_same_stage(room):
    numbers = {f"v{n:02d}": n if n % 7 else -n - 1 for n in range(20)}
    room.advance(numbers, workers=2)
    alone = Room(room.work.parent / "alone")
    alone.advance(numbers)
    for name in ("shard-00000.bin", "index.jsonl", "manifest.json"):
        assert (room.folder / name).read_bytes() == (alone.folder / name).read_bytes()


def test_a_stage_stops_where_too_much_is_skipped():
    rows = {f"v{n}": Row(f"v{n}", "f", status="skipped", reason="no_subtitles", detail="none") for n in range(3)}
    rows |= {"w": Row("w", "f", status="skipped", reason="empty_subtitles", detail="w.vtt is empty")}
    require_share("captions", {}, 0.0)
    require_share("captions", rows | {"good": Row("good", "f")}, 0.8)
    with pytest.raises(InputError) as refused:
        require_share("captions", rows | {"good": Row("good", "f")}, 0.79)
    line = str(refused.value)
    assert "\n" not in line
    assert "captions: 4 of 5 cannot be used (3 no_subtitles, 1 empty_subtitles), e.g. v0: none" in line
    assert "--max-skipped" in line
