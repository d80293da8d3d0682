"""One process with the networks: what many ask at once is answered to each, and nobody waits for the dead."""

import multiprocessing
import os
import queue
import signal
import threading
import time

import numpy as np
import pytest
import torch

from corpus import TEXTS, film
from tellvision.media import View
from tellvision.records import InputError, Skip
from tellvision.vision import extractors, service
from tellvision.vision.extractors import find
from tellvision.vision.features import Job, extract
from tellvision.vision.network import Network
from tellvision.vision.service import Address, connect, serving

LITE = "efficientnet-lite0"


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Several processes with several threads each would wait for each other."""
    before = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        torch.set_num_threads(1)
        yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def address(one_thread):
    with serving([LITE], "cpu") as address:
        yield address


def units(seed, n=3, size=224):
    return np.random.default_rng(seed).integers(0, 256, (n, 1, size, size, 3), np.uint8)


def test_many_ask_at_once_and_each_gets_its_own(address):
    answers = queue.Queue()

    def ask(seed):
        embed = connect(address, LITE)
        for n in (3, 1, 9, 2):  # the memory grows and is used again
            answers.put((seed, n, embed(units(seed * 100 + n, n))))

    workers = [threading.Thread(target=ask, args=(seed,)) for seed in range(3)]
    for worker in workers:
        worker.start()
    network = Network(find(LITE))
    for seed, n, rows in [answers.get(timeout=120) for _ in range(12)]:
        alone = network(units(seed * 100 + n, n))
        assert rows.shape == (n, 1280)
        assert (rows * alone).sum(axis=1).min() > 0.999
    for worker in workers:
        worker.join()


def test_a_video_through_the_service_is_the_video_without(address, tmp_path):
    path = film(tmp_path / "x.mp4", TEXTS[:2], seconds=3)
    here = extract(Job(path=path, backbones=(LITE,))).output[LITE].output.astype(np.float32)
    there = extract(Job(path=path, backbones=(LITE,), service=address)).output[LITE].output.astype(np.float32)
    assert there.shape == here.shape
    assert (here * there).sum(axis=1).min() > 0.999


def hang_up_in_the_middle(address):
    embed = connect(address, LITE)
    embed(units(0, 1))
    embed._connection.send(service._Request(LITE, (1, 1, 224, 224, 3)))  # and is not there for the answer
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_dies_costs_nobody_else_anything(address):
    context = multiprocessing.get_context("spawn")
    worker = context.Process(target=hang_up_in_the_middle, args=(address,))
    worker.start()
    worker.join()
    assert worker.exitcode == -signal.SIGKILL
    assert connect(address, LITE)(units(1, 2)).shape == (2, 1280)


def test_a_wrong_key_is_not_let_in(address):
    with pytest.raises(InputError, match=f"the process with {LITE} is gone"):
        connect(Address(address.socket, b"another"), LITE)
    assert connect(address, LITE)(units(1, 1)).shape == (1, 1280)


def test_a_service_that_is_gone_is_one_line():
    with serving([LITE], "cpu") as address:
        embed = connect(address, LITE)
        embed(units(0, 1))
    with pytest.raises(InputError, match=r"is gone .*: out of memory"):
        embed(units(0, 1))
    with pytest.raises(InputError, match="is gone"):
        connect(address, LITE)


def test_what_cannot_be_loaded_is_said_at_once():
    began = time.monotonic()
    unknown = "efficientnet-lite:9"
    with pytest.raises(InputError, match=f"unknown model {unknown}"), serving([unknown], "cpu"):
        pass
    assert time.monotonic() - began < 60


class Fragile:
    """Ones for black pictures, and no number for white ones."""

    view, unit, tail, dim, weights = View(fps=1, size=2), 1, "last", 2, "none"

    def network(self):
        return _Fragile()


class _Fragile(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.one = torch.nn.Parameter(torch.ones(1))

    def forward(self, units):
        return self.one / (1 - units.float().amax(dim=(1, 2, 3, 4)) / 255)[:, None].expand(-1, 2)


class Answered:
    """A worker's end as the service sees it: keeps what it is sent."""

    def __init__(self):
        self.answers = []

    def send(self, answer):
        self.answers.append(answer)


def ask_together(network, *questions):
    """What several workers are answered whose units came into one batch."""
    desk = object.__new__(service._Desk)
    workers = [Answered() for _ in questions]
    desk._networks = {"one": network}
    desk._memories = {worker: bytearray(units.tobytes()) for worker, units in zip(workers, questions, strict=True)}
    asked = {
        worker: service._Request("one", units.shape) for worker, units in zip(workers, questions, strict=True)
    }
    desk._answer(workers, asked)
    return [worker.answers for worker in workers]


def test_a_batch_of_several_workers_is_parted_again():
    sizes = []

    def network(units):
        sizes.append(len(units))
        return units.reshape(len(units), -1)[:, :1].astype(np.float32)

    questions = [np.full((n, 1, 2, 2, 3), n, np.uint8) for n in (2, 1, 3)]
    answers = ask_together(network, *questions)
    assert sizes == [6]
    assert [answer[0].tolist() for answer in answers] == [[[2.0]] * 2, [[1.0]], [[3.0]] * 3]


def test_no_room_on_the_device_is_told_to_everybody():
    def network(units):
        raise InputError("cuda has no room for this backbone")

    for (answer,) in ask_together(network, *[np.zeros((1, 1, 2, 2, 3), np.uint8)] * 2):
        assert isinstance(answer, InputError)


def test_only_who_asked_for_it_gets_the_skip():
    """One batch of two workers' units: the numbers of one are not finite."""
    network = Network(Fragile())
    black, white = np.zeros((2, 1, 2, 2, 3), np.uint8), np.full((1, 1, 2, 2, 3), 255, np.uint8)
    with pytest.raises(Skip, match="not_finite"):
        network(np.concatenate([black, white]))
    answers = [answer for (answer,) in ask_together(network, black, white)]
    assert answers[0] == pytest.approx(np.full((2, 2), 2**-0.5), abs=1e-2)
    assert isinstance(answers[1], Skip)
    assert extractors.rate_of(Fragile()) == 1
