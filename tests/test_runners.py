"""Mapping over items: order, skips, dead workers."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tellvision.records import InputError, Skip
from tellvision.runners import Result, map_items

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
