"""Mapping over items on Ray: the same as in this process, whatever dies meanwhile."""

import os
import shutil
import signal
import sys
import threading
import time

import numpy as np
import psutil
import pytest

import corpus
from labour import DOUBLED, TEN, double, ends, is_running, jobs, outcome, toil, track, tries, where, worker_of
from tellvision.records import InputError
from tellvision.runners import Cluster, map_items
from tellvision.store import ArrayReader
from test_runners import killed_and_started_again

ONCE = dict.fromkeys(range(10), 1)
QUICK_TO_NOTICE = {  # a node that does not answer counts as lost after some five seconds, not thirty
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 1000,
    "health_check_timeout_ms": 2000,
    "health_check_failure_threshold": 5,
}
os.environ["RAY_ENABLE_AUTO_CONNECT"] = "0"  # as the runner does, which is not the first here to import Ray


def doubled(count=10, **other):
    return [(f"i{n}", other.get(f"i{n}", 2 * n)) for n in range(count)]


# What needs no cluster


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cpus": 0.0}, "cpus per worker: 0 "),
        ({"cpus": 1.5}, "cpus per worker: 1.5 "),
        ({"cpus": float("nan")}, "cpus per worker: nan "),
        ({"gpus": -1.0}, "gpus per worker: -1 "),
        ({"gpus": float("inf")}, "gpus per worker: inf "),
        ({"workers": -1}, "workers -1 "),
        ({"patience": 0.0}, "patience 0 "),
    ],
)
def test_what_a_worker_cannot_take_is_refused(options, said):
    with pytest.raises(InputError, match=said):
        Cluster(**options)


def test_without_ray_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"pip install 'tellvision\[ray\]'"):
        list(map_items(double, TEN, Cluster()))


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nonsense", "here:there", "localhost:99999999"])
def test_a_cluster_that_is_not_there_is_named(address):
    pytest.importorskip("ray")
    with pytest.raises(InputError, match=f"no Ray cluster at '{address}'"):
        list(map_items(double, TEN, Cluster(address=address)))


# Ray on this machine


@pytest.fixture(scope="module")
def machine():
    """Ray with two CPUs, as `local` would start it on a machine that has two."""
    ray = pytest.importorskip("ray")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    yield ray
    ray.shutdown()


def test_on_ray_it_is_as_in_this_process(machine):
    assert outcome(map_items(double, TEN, Cluster(), at_once=2)) == DOUBLED
    one = Cluster(workers=1)
    [(_, seat)] = map_items(where, [("a", 0.0)], one)
    assert seat.output[:3] == (True, os.getcwd(), "")  # it asked for no GPU, and sees none
    [(_, there)], [(_, here)] = (list(map_items(track, [("a", 7)], workers)) for workers in (one, 0))
    assert there.digest == here.digest
    np.testing.assert_array_equal(there.output, here.output)
    there.output[0] = 0  # it is ours


@pytest.mark.slow
def test_a_killed_actor_disturbs_no_other(machine, tmp_path):
    log = tmp_path / "log"
    running = map_items(toil, jobs(log, seconds=0.3), Cluster())
    killer = threading.Thread(target=lambda: os.kill(worker_of(log, 3), signal.SIGKILL))
    killer.start()
    assert outcome(running) == doubled()
    killer.join()
    assert tries(log) == ONCE | {3: 2}


@pytest.mark.slow
def test_what_dies_twice_and_what_hangs_is_skipped(machine, tmp_path):
    items = jobs(tmp_path / "log", i2="die", i4="die once", i7="hang")
    found = dict(map_items(toil, items, Cluster(), limit=lambda job: 1.0))
    assert outcome(found.items()) == doubled(i2="worker_died", i7="timed_out")
    assert found["i7"].detail == "it took longer than 1 s"
    assert tries(tmp_path / "log") == ONCE | {2: 2, 4: 2}


@pytest.mark.slow
def test_of_items_handed_over_together_only_the_one_that_hangs_is_lost(machine, tmp_path):
    found = map_items(toil, jobs(tmp_path / "log", i5="hang"), Cluster(), at_once=4, limit=lambda job: 0.5)
    assert outcome(found) == doubled(i5="timed_out")


@pytest.mark.slow
def test_who_stops_leaves_no_actor(machine, tmp_path):
    log = tmp_path / "log"
    running = map_items(toil, jobs(log, i1="hang", i2="hang"), Cluster())
    next(running)
    pids = {worker_of(log, 1), worker_of(log, 2)}
    running.close()
    assert ends(lambda: not any(map(is_running, pids)))


@pytest.mark.slow
def test_what_there_is_no_room_for_is_said(machine, tmp_path):
    with pytest.raises(InputError, match=r"a worker takes 1 CPUs and 0\.5 GPUs, the cluster has 2 and 0"):
        list(map_items(double, TEN, Cluster(gpus=0.5)))

    class Other:  # somebody else's actor
        def there(self):
            return True

    other = machine.remote(num_cpus=2)(Other).remote()
    machine.get(other.there.remote())
    with pytest.raises(InputError, match=r"no place for a worker within 2 s: it takes 0.9 CPUs"):
        list(map_items(double, TEN, Cluster(patience=2.0)))
    machine.kill(other)
    crowd = Cluster(workers=4, patience=20.0)  # there is room for two: they do it
    assert outcome(map_items(toil, jobs(tmp_path / "log", seconds=0.5), crowd)) == doubled()


@pytest.mark.slow
def test_a_node_that_is_full_of_workers_is_not_full(machine, tmp_path):
    """Another task finds a place on a node whose every CPU has a worker."""
    log = tmp_path / "log"
    running = map_items(toil, jobs(log, i1="hang", i2="hang"), Cluster())
    next(running)
    worker_of(log, 1), worker_of(log, 2)

    def task():
        return "done"

    assert machine.get(machine.remote(num_cpus=0.1)(task).remote(), timeout=60) == "done"
    running.close()


# A cluster: nodes are processes of this machine


@pytest.fixture
def nodes():
    """Starts a cluster of nodes with so many CPUs each, the head first; nothing is connected to it yet."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster as Nodes

    if ray.is_initialized():
        ray.shutdown()
    started = []

    def start(*cpus, gpus=0):
        head = {"num_cpus": cpus[0], "include_dashboard": False, "_system_config": QUICK_TO_NOTICE}
        cluster = Nodes(initialize_head=True, head_node_args=head)
        started.append(cluster)
        return cluster, [cluster.add_node(num_cpus=count, num_gpus=gpus) for count in cpus[1:]]

    yield start
    ray.shutdown()
    for cluster in started:
        cluster.shutdown()


def processes_of(node):
    """Those of a node, with its workers."""
    heads = [psutil.Process(info.process.pid) for infos in node.all_processes.values() for info in infos]
    return [*heads, *(child for head in heads for child in head.children(recursive=True))]


def lose(node, how):
    """The node goes with all that runs on it: dead, or without a word."""
    for process in processes_of(node):
        process.send_signal(how)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_node_is_lost_in_mid_run(nodes, tmp_path, how):
    cluster, [second] = nodes(1, 1)
    log = tmp_path / "log"
    running = map_items(toil, jobs(log, 40, seconds=0.5), Cluster(address=cluster.address, patience=20.0))
    found = [next(running)]
    there = {process.pid for process in processes_of(second)}
    while not (lost := there & {int(path.name.split("-")[2]) for path in log.iterdir()}):  # has it begun to work?
        found.append(next(running))
        there = {process.pid for process in processes_of(second)}
    before = len(found)
    lose(second, how)
    found += list(running)
    if how == signal.SIGSTOP:
        for process in processes_of(second):
            process.kill()
    assert before < 30
    assert outcome(found) == doubled(40)  # nothing twice, nothing lost, in order
    counted = tries(log)
    assert set(counted) == set(range(40))
    assert sum(counted.values()) <= 41  # what the lost worker had in hand was begun again
    assert ends(lambda: not any(map(is_running, lost)))


@pytest.mark.slow
def test_no_item_is_blamed_for_lost_nodes(nodes, tmp_path):
    """An item whose two first workers go with their nodes is done by the third."""
    cluster, others = nodes(0, 1, 1)
    log = tmp_path / "log"
    running = map_items(
        toil, jobs(log, 1, seconds=4.0), Cluster(address=cluster.address, workers=1, patience=60.0)
    )
    found = []
    caller = threading.Thread(target=lambda: found.extend(running))
    caller.start()
    for count in (1, 2):
        assert ends(lambda count=count: len(list(log.iterdir())) == count, 90)
        pid = int(max(log.iterdir(), key=lambda path: path.name).name.split("-")[2])
        [node] = [node for node in others if pid in {process.pid for process in processes_of(node)}]
        others.remove(node)
        if not others:
            cluster.add_node(num_cpus=1)
        lose(node, signal.SIGKILL)
    caller.join(120)
    assert outcome(found) == doubled(1)
    assert tries(log) == {0: 3}


@pytest.mark.slow
def test_workers_share_a_gpu(nodes, tmp_path):
    """Ray takes our word for the GPU: how many find a place on it, and which one they see."""
    cluster, _ = nodes(0, 8, gpus=1)
    shared = Cluster(address=cluster.address, gpus=0.25)
    seen = outcome(map_items(where, [(f"i{n}", 3.0) for n in range(8)], shared))
    assert {there[2] for _, there in seen} == {"0"}
    assert len({there[3] for _, there in seen}) == 4
    with pytest.raises(InputError, match="2 GPUs, the cluster has 8 and 1"):
        list(map_items(where, [("a", 0.0)], Cluster(address=cluster.address, gpus=2.0)))


@pytest.mark.slow
def test_when_the_last_node_is_lost_it_says_so(nodes, tmp_path):
    cluster, [only] = nodes(0, 1)
    log = tmp_path / "log"
    running = map_items(toil, jobs(log, 10, seconds=0.2), Cluster(address=cluster.address, patience=8.0))
    assert next(running)[1].output == 0
    lose(only, signal.SIGKILL)
    started = time.monotonic()
    with pytest.raises(InputError, match="no place for a worker within 8 s"):
        list(running)
    assert time.monotonic() - started < 90


@pytest.mark.slow
def test_a_killed_driver_loses_nothing_that_was_acknowledged(nodes, tmp_path):
    cluster, _ = nodes(1, 1)
    killed_and_started_again(tmp_path, cluster.address)


@pytest.mark.slow
def test_features_on_ray_are_those_of_one_process(machine, tmp_path, tellvision):
    videos = tmp_path / "videos"
    for name in ("a", "b", "c"):
        corpus.narrate(corpus.film(videos / f"{name}.mp4", corpus.TEXTS[:3]), corpus.TEXTS[:3])
    work, track = tmp_path / "work", "features/main/motion"
    assert tellvision("run", videos, "--out", work, "--workers", "0", "--features.backbone", "motion")[0] == 0
    here = ArrayReader(work / track).gather("abc")
    shutil.rmtree(work / track)
    status, out, err = tellvision("features", work, "--backbone", "motion", "--ray", "local", "--workers", "2")
    assert (status, out.split(",")[0]) == (0, "motion: 3 of 3 videos"), err
    assert np.array_equal(ArrayReader(work / track).gather("abc"), here)
