"""Several processes, by torchrun: the weights of one; a lost process stops all, and they go on from the state."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch

import ranks
from test_train import write

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    write(folder / "pairs")
    return folder


def start(folder, run, world, *kill):
    """Train with `world` processes; what torchrun said."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(world)]
    command += [str(HERE / "ranks.py"), str(folder / "pairs"), str(run), str(folder / "texts"), *map(str, kill)]
    paths = os.pathsep.join([str(HERE.parent / "src"), str(HERE)])
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": paths}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)


def weights(run):
    return safetensors.torch.load_file(run / "model.safetensors")


@pytest.mark.slow
def test_two_processes_learn_what_one_does(folder):
    for world in (1, 2):
        done = start(folder, folder / f"of{world}", world)
        assert done.returncode == 0, done.stderr
    one, two = weights(folder / "of1"), weights(folder / "of2")
    assert one.keys() == two.keys()
    for name in one:
        assert torch.allclose(one[name], two[name], atol=2e-6), name


@pytest.mark.slow
@pytest.mark.parametrize("lost", [0, 1])
def test_a_lost_process_stops_all_and_the_run_goes_on_to_the_same_weights(folder, lost):
    straight, killed = folder / f"straight{lost}", folder / f"killed{lost}"
    assert start(folder, straight, 2).returncode == 0
    done = start(folder, killed, 2, lost, 3)
    assert done.returncode != 0
    assert not (killed / "model.safetensors").exists()
    done = start(folder, killed, 2)
    assert done.returncode == 0, done.stderr
    one, two = weights(straight), weights(killed)
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert (straight / "metrics.jsonl").read_bytes() == (killed / "metrics.jsonl").read_bytes()


def test_pairs_that_cannot_be_shared_equally_are_told(folder):
    assert ranks.CONFIG.pairs_per_video % 3
    done = start(folder, folder / "of3", 3)
    assert done.returncode != 0
    assert "4 pairs per video cannot be shared equally by 3 processes" in done.stderr
