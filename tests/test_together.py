"""Several processes: the gradients of one, the same text everywhere, and what is said when one is lost."""

import multiprocessing
import os
import socket
import sys
import time

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from tellvision.embedding import scores
from tellvision.embedding.losses import InfoNCE, MaxMargin, MilNce
from tellvision.embedding.together import Together, gather, highest, rank, share, total, world
from tellvision.records import InputError

PLACE = ("RANK", "WORLD_SIZE", "LOCAL_RANK")

# Started once, with what is slow to import; the processes are forked from there.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tellvision.embedding.losses", "torch.nn.parallel"])


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def start(count, work, folder, *, absent=()):
    """Run `work(folder)` in processes placed as torchrun does; returns their exit codes by rank."""
    port = free_port()
    started = {
        rank: PROCESSES.Process(target=placed, args=(rank, count, port, work, folder))
        for rank in range(count)
        if rank not in absent
    }
    for process in started.values():
        process.start()
    for process in started.values():
        process.join(60)
        process.kill()  # one that never ends is no reason for the others to stay
        process.join()
    return {rank: process.exitcode for rank, process in started.items()}


def placed(rank, count, port, work, folder):
    os.environ |= {name: str(value) for name, value in zip(PLACE, (rank, count, rank), strict=True)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    try:
        work(folder)
    except InputError as error:
        (folder / f"said-{rank}").write_text(str(error))
        sys.exit(3)


def said(folder, rank):
    return (folder / f"said-{rank}").read_text()


class Learner(nn.Module):
    """Two towers of one layer, and the loss over them: what DistributedDataParallel is put around."""

    def __init__(self, loss, kind):
        super().__init__()
        torch.manual_seed(0)
        self.text, self.clip, self.loss = nn.Linear(6, 5), nn.Linear(4, 5), loss
        self.to(kind)

    def forward(self, texts, clips, video):
        return self.loss(F.normalize(self.text(texts), dim=1), F.normalize(self.clip(clips), dim=1), video)


def loss_named(name):
    return {
        "max_margin": lambda: MaxMargin(0.2, 0.3),
        "plain": lambda: MaxMargin(0.2, None),
        "infonce": lambda: InfoNCE(0.2),
        "mil_nce": lambda: MilNce(0.2),
    }[name]()


NAMES = ("max_margin", "plain", "infonce", "mil_nce")
KINDS = (torch.float32, torch.float64)
N = 12


def batch(name, kind, part=0, parts=1):
    """A share of the pairs of a batch; a video has one pair to five of them, and lies in several shares."""
    bag = 3 if name == "mil_nce" else 1
    random = torch.Generator().manual_seed(1)
    texts, clips = torch.randn(N * bag, 6, generator=random), torch.randn(N, 4, generator=random)
    video = torch.tensor([7, 7, 1, 7, 2, 2, 1, 7, 9, 7, 1, 3])
    own = slice(part * N // parts, (part + 1) * N // parts)
    return texts.view(N, bag, 6)[own].flatten(0, 1).to(kind), clips[own].to(kind), video[own]


def gradients(name, kind, part=0, parts=1):
    learner = Learner(loss_named(name), kind)
    joined = DistributedDataParallel(learner) if parts > 1 else learner
    loss = joined(*batch(name, kind, part, parts))
    loss.backward()
    return {"loss": loss.detach()} | {name: each.grad for name, each in learner.named_parameters()}


def learn(folder):
    scores._FEWEST_ROWS, scores._CELLS["cpu"] = 2, 1  # several blocks, of which the last is smaller
    with Together(timeout=30) as together:
        assert (together.rank, together.world, together.device) == (rank(), world(), torch.device("cpu"))
        assert together.first == (rank() == 0)
        found = {f"{name} {kind}": gradients(name, kind, rank(), world()) for name in NAMES for kind in KINDS}
        with torch.autocast("cpu", torch.bfloat16):  # what is gathered is narrow then
            found["narrow"] = gradients("infonce", torch.float32, rank(), world())
        torch.save(found, folder / f"found-{rank()}")
    assert (rank(), world()) == (0, 1)


@pytest.mark.parametrize("count", [2, 3])
def test_the_gradients_of_one_process(tmp_path, count):
    assert set(start(count, learn, tmp_path).values()) == {0}
    for part in range(count):
        found = torch.load(tmp_path / f"found-{part}", weights_only=True)
        expected = gradients("infonce", torch.float32)
        for key, value in found["narrow"].items():
            assert torch.allclose(value, expected[key], rtol=0.02, atol=0.02), key
        for name in NAMES:
            for kind in KINDS:
                expected, close = gradients(name, kind), 1e-10 if kind == torch.float64 else 1e-6
                for key, value in found[f"{name} {kind}"].items():
                    assert torch.allclose(value, expected[key], rtol=0, atol=close), (name, kind, key)


def move(folder):
    with Together(timeout=30) as together:
        own = torch.tensor([[rank(), 10], [rank(), 20]])
        assert gather(own).tolist() == [[0, 10], [0, 20], [1, 10], [1, 20]]
        assert share(torch.arange(4.0) * (rank() + 1)).tolist() == [[0.0, 3.0], [6.0, 9.0]][rank()]
        x = torch.tensor([1.0, rank()])
        assert highest(x).tolist() == [1.0, 1.0]
        assert x.tolist() == [1.0, rank()]
        assert total(x).tolist() == [2.0, 1.0]
        assert gather(torch.empty(0, 3)).shape == (0, 3)
        together.barrier()
        together.agree("the same")
        with pytest.raises(AssertionError, match=r"\[1, 2\] rows"):
            gather(torch.zeros(1 + rank()))
        together.agree(f"seed {rank()}", "settings")


def test_rows_move_and_texts_agree(tmp_path):
    assert start(2, move, tmp_path) == {0: 3, 1: 3}
    for part in range(2):
        assert said(tmp_path, part) == (
            "process 1 was started with other settings than process 0: give all the same"
        )


def die_before_gathering(folder):
    with Together(timeout=20):
        gather(torch.zeros(1))
        if rank() == 1:
            os._exit(9)
        loss = InfoNCE()
        loss(torch.ones(2, 3, requires_grad=True), torch.ones(2, 3), torch.tensor([0, 1]))


def die_before_the_backward_pass(folder):
    with Together(timeout=20):
        joined = DistributedDataParallel(Learner(MaxMargin(), torch.float32))
        loss = joined(*batch("max_margin", torch.float32, rank(), world()))
        if rank() == 1:
            os._exit(9)
        loss.backward()


def hang(folder):
    with Together(timeout=2):
        if rank() == 0:
            gather(torch.zeros(1))
        else:
            time.sleep(4)


LOST = "another process of this training was lost: start it again, it goes on from its last state"


@pytest.mark.parametrize("work", [die_before_gathering, die_before_the_backward_pass])
def test_a_process_that_dies(tmp_path, work):
    assert start(2, work, tmp_path) == {0: 3, 1: 9}
    assert said(tmp_path, 0) == LOST


def test_a_process_that_hangs(tmp_path):
    assert start(2, hang, tmp_path)[0] == 3
    assert said(tmp_path, 0) == LOST


def enter(folder):
    with Together(timeout=1):
        pass


@pytest.mark.parametrize("absent", [0, 1])
def test_a_process_that_never_comes(tmp_path, absent):
    assert start(2, enter, tmp_path, absent=[absent]) == {1 - absent: 3}
    assert said(tmp_path, 1 - absent) == "not all of the 2 processes came within 1 s: start all of them again"


@pytest.fixture
def alone(monkeypatch):
    for name in PLACE:
        monkeypatch.delenv(name, raising=False)


def test_one_process(alone):
    with Together() as together:
        assert (together.rank, together.world, together.first) == (0, 1, True)
        x = torch.arange(3.0)
        for same in (gather(x), share(x), highest(x), total(x)):
            assert same is x
        together.barrier()
        together.agree("anything")
    with pytest.raises(RuntimeError, match="mine"), Together():
        raise RuntimeError("mine, and gloo has no part in it")


@pytest.mark.parametrize(
    ("place", "match"),
    [
        ({"RANK": "0"}, "sets RANK, WORLD_SIZE and LOCAL_RANK"),
        ({"RANK": "0", "WORLD_SIZE": "two", "LOCAL_RANK": "0"}, "all numbers"),
        ({"RANK": "2", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}, "between 0 and WORLD_SIZE"),
        ({"RANK": "-1", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}, "between 0 and WORLD_SIZE"),
        ({"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "-1"}, "between 0 and WORLD_SIZE"),
    ],
)
def test_a_place_that_is_none(alone, monkeypatch, place, match):
    for name, value in place.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=match):
        Together()


def test_more_processes_than_gpus(alone, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for local in range(3):
        for name, value in zip(PLACE, (local, 3, local), strict=True):
            monkeypatch.setenv(name, str(value))
        if local < 2:
            assert Together().device == torch.device("cuda", local)
        else:
            with pytest.raises(InputError, match="process 2 of this machine finds 2 GPUs"):
                Together()


def test_the_device_that_is_asked_for(alone, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    chosen = []
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    for device in ("auto", "cpu", "cuda:1"):
        with Together(device=device) as together:
            assert together.device == torch.device("cuda" if device == "auto" else device)
    assert chosen == [torch.device("cuda", 1)]
    for name, value in zip(PLACE, (1, 2, 1), strict=True):
        monkeypatch.setenv(name, str(value))
    assert Together(device="cpu").device == torch.device("cpu")
    assert Together(device="cuda").device == torch.device("cuda", 1)
    with pytest.raises(InputError, match="--device cuda:1: processes that train together"):
        Together(device="cuda:1")
