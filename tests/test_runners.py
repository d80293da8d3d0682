"""Mapping over items: order, skips, dead workers, time limits, what is left behind."""

import dataclasses
import multiprocessing
import os
import pickle
import random
import re
import signal
import subprocess
import sys
import threading
import time
import types
from pathlib import Path

import numpy as np
import pytest

from labour import DOUBLED, TEN, double, ends, is_running, jobs, outcome, toil, tries, turned, where, worker_of
from tellvision.records import InputError, Skip
from tellvision.runners import Result, in_worker, map_items
from tellvision.runners.crew import Crew, Item
from tellvision.runners.work import Lost, question
from tellvision.store import ArrayReader, Ledger

ONCE = dict.fromkeys(range(10), 1)


def break_on_two(number):
    if number == 2:
        raise ZeroDivisionError("a mistake of ours")
    return Result(number, "")


def refuse(number):
    raise InputError("the backbone is not installed")


def one_second(_job):
    return 1.0


def doubled(count=10, **other):
    return [(f"i{n}", other.get(f"i{n}", 2 * n)) for n in range(count)]


@pytest.fixture(autouse=True)
def nobody_is_left():
    yield
    assert multiprocessing.active_children() == []
    assert [thread for thread in threading.enumerate() if "_serve" in thread.name] == []


@pytest.mark.parametrize("workers", [0, 3])
def test_the_order_of_the_input_is_kept_and_a_skip_is_a_result(workers):
    results = list(map_items(double, TEN, workers))
    assert outcome(results) == DOUBLED
    assert results[4][1].detail == "4 is four"


@pytest.mark.parametrize("at_once", [1, 3, 7, 20])
def test_items_can_be_handed_over_together(at_once):
    assert outcome(map_items(double, TEN, 2, at_once)) == DOUBLED


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


def test_no_more_workers_start_than_there_are_items(tmp_path):
    running = map_items(toil, jobs(tmp_path / "log", 2), 8)
    next(running)
    assert len(multiprocessing.active_children()) <= 2
    running.close()


def test_much_travels_both_ways():
    arrays = [np.full((1000, 1000), n) for n in range(5)]  # 8 MB each, more than a pipe holds
    found = dict(map_items(turned, [(str(n), array) for n, array in enumerate(arrays)], 2))
    assert [found[str(n)].output[0, 0] for n in range(5)] == list(range(5))


def test_work_can_tell_whether_it_shares_the_machine():
    assert not in_worker()
    [(_, there)] = map_items(where, [("a", 0.0)], 1)
    assert there.output[0]
    [(_, here)] = map_items(where, [("a", 0.0)], 0)
    assert not here.output[0]


# Workers that die


def test_a_worker_that_dies_takes_one_item_with_it(tmp_path):
    found = outcome(map_items(toil, jobs(tmp_path / "log", i5="die"), 2))
    assert found == doubled(i5="worker_died")
    assert tries(tmp_path / "log") == ONCE | {5: 2}


def test_a_worker_that_dies_once_loses_nothing(tmp_path):
    assert outcome(map_items(toil, jobs(tmp_path / "log", i5="die once"), 2)) == doubled()
    assert tries(tmp_path / "log") == ONCE | {5: 2}


def test_of_items_handed_over_together_only_the_guilty_one_is_lost(tmp_path):
    found = outcome(map_items(toil, jobs(tmp_path / "log", i5="die"), 2, at_once=4))
    assert found == doubled(i5="worker_died")
    assert tries(tmp_path / "log") == ONCE | {4: 2, 5: 2}  # 6 and 7 were not begun


def test_a_killed_worker_disturbs_no_other(tmp_path):
    log = tmp_path / "log"
    running = map_items(toil, jobs(log, 10, seconds=0.3), 2)
    killer = threading.Thread(target=lambda: os.kill(worker_of(log, 3), signal.SIGKILL))
    killer.start()
    assert outcome(running) == doubled()
    killer.join()
    assert tries(log) == ONCE | {3: 2}
    assert len({path.name.split("-")[2] for path in log.iterdir()}) == 3  # one process was replaced


@pytest.mark.slow
@pytest.mark.parametrize("at_once", [1, 3])
def test_workers_killed_at_random_lose_nothing_and_do_nothing_twice(tmp_path, at_once):
    """A tenth of a second of work, kills at any moment of it, of a worker's start and of its answers."""
    stop, dice = threading.Event(), random.Random(at_once)

    def kill():
        while not stop.wait(dice.uniform(0.2, 1.2)):
            if alive := multiprocessing.active_children():
                dice.choice(alive).kill()

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        found = outcome(map_items(toil, jobs(tmp_path / "log", 60, seconds=0.1), 3, at_once))
    finally:
        stop.set()
        killer.join()
    assert [item for item, _ in found] == [f"i{n}" for n in range(60)]
    assert [(item, got) for item, got in found if got != "worker_died"] == [
        pair for pair, (_, got) in zip(doubled(60), found, strict=True) if got != "worker_died"
    ]
    for item, got in found:  # who was killed twice is said to be, and was
        assert got != "worker_died" or tries(tmp_path / "log")[int(item[1:])] == 2
    assert sum(got != "worker_died" for _, got in found) > 40


class Lonely:
    """A worker whose machine is lost whenever it is asked to do something."""

    def ask(self, asked, seconds):
        if pickle.loads(asked):
            raise Lost("its node is gone")
        return question([])

    def stop(self, now):
        pass


def test_an_item_with_which_machine_after_machine_goes_is_suspected_after_all():
    hired = []
    crew = Crew(lambda: hired.append(Lonely()) or hired[-1], 1)
    item = Item("a", 1, float("inf"))
    crew.submit([item])
    assert item.future.result(30).reason == "worker_died"
    crew.close(now=False)
    assert len(hired) == 7  # five machines, then twice as any other item


# Work that hangs


def test_an_item_that_hangs_costs_its_limit(tmp_path):
    running = map_items(toil, jobs(tmp_path / "log", i5="hang"), 2, limit=one_second)
    found = dict(running)
    assert outcome(found.items()) == doubled(i5="timed_out")
    assert found["i5"].detail == "it took longer than 1 s"
    assert tries(tmp_path / "log") == ONCE


def test_of_items_handed_over_together_only_the_one_that_hangs_is_lost(tmp_path):
    log = tmp_path / "log"
    running = map_items(toil, jobs(log, i5="hang"), 2, at_once=4, limit=lambda job: 0.3)
    assert outcome(running) == doubled(i5="timed_out")
    assert tries(log) == ONCE | {4: 2, 5: 2}


def test_items_handed_over_together_share_their_limits(tmp_path):
    items = jobs(tmp_path / "log", 2)
    items[0] = ("i0", type(items[0][1])(0, tmp_path / "log", 0.5))  # longer than its own limit alone
    running = map_items(toil, items, 1, at_once=2, limit=lambda job: 0.2 if job.number == 0 else 60.0)
    assert outcome(running) == doubled(2)


def test_the_limit_is_that_of_the_item(tmp_path):
    items = jobs(tmp_path / "log", 4, seconds=0.5)
    running = map_items(toil, items, 2, limit=lambda job: 0.1 if job.number == 2 else float("inf"))
    assert outcome(running) == doubled(4, i2="timed_out")


def test_a_caller_that_takes_its_time_costs_nobody_his(tmp_path):
    """Limits are kept, and answers taken, while who asked does something else."""
    running = map_items(toil, jobs(tmp_path / "log", 4, i1="hang"), 2, limit=one_second)
    found = [next(running)]
    time.sleep(2.0)
    started = time.monotonic()
    found += list(running)
    assert time.monotonic() - started < 1.0
    assert outcome(found) == doubled(4, i1="timed_out")


def test_in_this_process_there_is_no_limit(tmp_path):
    running = map_items(toil, jobs(tmp_path / "log", 2, seconds=0.1), 0, limit=lambda job: 0.01)
    assert outcome(running) == doubled(2)


# What ends a run


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


def test_nobody_waits_for_work_whose_result_nobody_wants(tmp_path):
    running = map_items(toil, jobs(tmp_path / "log", 10, i1="hang", i2="hang"), 2)
    assert next(running) == ("i0", Result(0, "0"))
    worker_of(tmp_path / "log", 2)
    started = time.monotonic()
    running.close()
    assert time.monotonic() - started < 5.0


def test_work_that_cannot_be_found_there_ends_the_run(monkeypatch):
    module = types.ModuleType("only_here")
    exec("def work(number):\n    return number", module.__dict__)
    monkeypatch.setitem(sys.modules, "only_here", module)
    with pytest.raises(InputError, match=r"environment of the driver.*No module named 'only_here'"):
        list(map_items(module.work, TEN, 2))


def test_work_that_cannot_travel_is_a_mistake_of_ours():
    with pytest.raises((pickle.PicklingError, AttributeError)):
        list(map_items(lambda number: number, TEN, 2))
    with pytest.raises((pickle.PicklingError, AttributeError)):
        list(map_items(double, [("a", 1), ("b", lambda: 2)], 2))


def run(tmp_path, script, *arguments, **options):
    path = tmp_path / "script.py"
    path.write_text(script)
    return subprocess.Popen([sys.executable, str(path), *map(str, arguments)], text=True, **options)


def test_workers_that_cannot_start_end_the_run(tmp_path):
    script = "from tellvision.runners import map_items\nlist(map_items(abs, [('a', 1)], 1))"  # without a guard
    driver = run(tmp_path, script, stderr=subprocess.PIPE)
    _, told = driver.communicate(timeout=60)
    assert told.splitlines()[-1].startswith("tellvision.records.InputError: workers end while they start")


WORK_FOR_EVER = """
import os, sys, time
from pathlib import Path
from tellvision.runners import map_items

def work(folder):
    Path(folder, str(os.getpid())).touch()
    time.sleep(600)

if __name__ == "__main__":
    running = map_items(work, [("a", sys.argv[1]), ("b", sys.argv[1])], 2)
    if sys.argv[2:] == ["leave"]:
        import threading
        threading.Thread(target=lambda: next(running), daemon=True).start()
        while len(os.listdir(sys.argv[1])) < 2:
            time.sleep(0.01)
    else:
        list(running)
"""


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="reads /proc")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, "ctrl+c", "leave"])
def test_workers_end_with_their_driver(tmp_path, how):
    """Killed, stopped by hand, or gone without a word to its workers."""
    pids = tmp_path / "pids"
    pids.mkdir()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores Ctrl+C
    try:
        mode = [how] if how == "leave" else []
        driver = run(tmp_path, WORK_FOR_EVER, pids, *mode, stderr=subprocess.PIPE, start_new_session=True)
    finally:
        signal.signal(signal.SIGINT, before)
    try:
        assert ends(lambda: len(list(pids.iterdir())) == 2)
        if how == "ctrl+c":
            os.killpg(driver.pid, signal.SIGINT)  # as a terminal does: driver and workers
        elif how != "leave":
            driver.send_signal(how)
        _, told = driver.communicate(timeout=30)
        assert told.count("Traceback") == (how == "ctrl+c")
    finally:
        driver.kill()
        driver.communicate()
    workers = [int(path.name) for path in pids.iterdir()]
    assert ends(lambda: not any(map(is_running, workers)))


DRIVING = Path(__file__).with_name("driving.py")


def killed_and_started_again(tmp_path, where):
    """A stage whose driver is killed after a few items, then started again; what each of them worked on."""
    work, first, second = tmp_path / "work", tmp_path / "first", tmp_path / "second"
    driver = subprocess.Popen([sys.executable, str(DRIVING), str(work), str(first), where])
    try:
        worker_of(first, 6, seconds=120)
    finally:
        driver.kill()
        driver.wait()
    pids = {int(path.name.split("-")[2]) for path in first.iterdir()}
    assert ends(lambda: not any(map(is_running, pids)))
    with Ledger(work) as ledger:
        done = ledger.rows("rows/main")
    assert 0 < len(done) < 20
    subprocess.run([sys.executable, str(DRIVING), str(work), str(second), where], check=True, timeout=200)
    assert tries(second) == {n: 1 for n in range(20) if f"i{n}" not in done}  # what was acknowledged is not redone
    with Ledger(work) as ledger:
        rows = ledger.rows("rows/main")
    assert sorted(rows) == sorted(f"i{n}" for n in range(20))
    assert {row.status for row in rows.values()} == {"done"}
    reader = ArrayReader(work / "rows" / "main")
    assert reader.damaged() == []
    assert {item: reader[item].tolist() for item in reader.entries} == {
        f"i{n}": [[2.0 * n] * 4] for n in range(20)
    }


def test_a_killed_driver_loses_nothing_that_was_acknowledged(tmp_path):
    killed_and_started_again(tmp_path, "processes")


def test_a_slow_item_holds_back_the_order_but_not_the_work(tmp_path):
    """The first takes 3 s; with two workers all the others are done before it is."""
    items = [
        (f"i{n}", dataclasses.replace(job, seconds=3.0 if n == 0 else 0.0))
        for n, (_, job) in enumerate(jobs(tmp_path / "log", 30))
    ]
    results = map_items(toil, items, 2)
    assert next(results)[0] == "i0"
    assert len(list((tmp_path / "log").iterdir())) == 30
    assert [item for item, _ in results] == [f"i{n}" for n in range(1, 30)]
