"""The parts of the training loop: learning rates by hand, averages, states, what is told."""

import json
import math
import sys
import types

import pytest
import torch

from tellvision.embedding.config import TrainConfig
from tellvision.embedding.loop.average import Average
from tellvision.embedding.loop.journal import Journal
from tellvision.embedding.loop.schedules import learning_rate
from tellvision.embedding.loop.state import Standing, State, keep_weights, put_weights
from tellvision.embedding.loop.steps import optimizer_of, precision_of, take_step
from tellvision.records import InputError


def test_the_paper_s_rate_shrinks_after_each_epoch():
    config = TrainConfig(learning_rate=2.0, decay=0.5, epochs=3)
    assert [learning_rate(config, step, 2) for step in range(6)] == [2, 2, 1, 1, 0.5, 0.5]


def test_the_cosine_falls_to_nothing_behind_the_last_step():
    config = TrainConfig(learning_rate=1.0, schedule="cosine", epochs=2)
    expected = [0.5 * (1 + math.cos(math.pi * n / 4)) for n in range(4)]
    assert [learning_rate(config, step, 2) for step in range(4)] == pytest.approx(expected)


def test_a_warm_up_rises_in_equal_steps():
    config = TrainConfig(learning_rate=1.0, schedule="cosine", warm_up=0.5, epochs=3)
    assert [learning_rate(config, step, 2) for step in range(4)] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert learning_rate(config, 5, 2) == pytest.approx(0.25)


def test_an_average_forgets_the_first_weights_and_comes_back():
    model = torch.nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(8.0)
    average = Average(model, keep=0.5)
    for value, expected in ((0.0, 8 * 2 / 11), (4.0, None)):
        model.weight.data.fill_(value)
        average.update()
        if expected is not None:
            assert average.weights["weight"].item() == pytest.approx(expected)
    expected = 8 * 2 / 11 * 3 / 12 + 4 * 9 / 12  # (1 + n) / (10 + n) is kept as long as it is below 0.5
    assert average.weights["weight"].item() == pytest.approx(expected)
    with average.in_place():
        assert model.weight.item() == pytest.approx(expected)
    assert model.weight.item() == 4.0
    average.put()
    assert model.weight.item() == pytest.approx(expected)


def test_weight_decay_shrinks_matrices_alone():
    model = torch.nn.Linear(2, 2)
    model.weight.data.fill_(1.0)
    model.bias.data.fill_(1.0)
    optimizer = optimizer_of(model, TrainConfig(weight_decay=0.5))
    (model(torch.zeros(1, 2)).sum() * 0).backward()
    take_step(optimizer, model, 0.1, None)
    assert torch.allclose(model.weight, torch.tensor(0.95))
    assert torch.equal(model.bias, torch.ones(2))
    assert model.weight.grad is None


def test_without_decay_a_step_is_adam_s():
    ours, plain = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    plain.load_state_dict(ours.state_dict())
    adam = torch.optim.Adam(plain.parameters(), lr=0.01)
    optimizer = optimizer_of(ours, TrainConfig())
    for n in range(3):
        x = torch.full((4, 3), float(n + 1))
        for model in (ours, plain):
            model(x).square().sum().backward()
        take_step(optimizer, ours, 0.01, None)
        adam.step()
        adam.zero_grad()
    assert all(torch.allclose(a, b) for a, b in zip(ours.parameters(), plain.parameters(), strict=True))


def test_a_gradient_is_cut_to_its_largest_norm():
    model = torch.nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(0.0)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    (model(torch.ones(1, 1)) * 100).sum().backward()
    take_step(optimizer, model, 1.0, 2.0)
    assert model.weight.item() == pytest.approx(-2.0)


def test_precision_by_name_and_by_machine(monkeypatch):
    cpu = torch.device("cpu")
    assert precision_of(TrainConfig(precision="float32"), cpu) == torch.float32
    assert precision_of(TrainConfig(precision="bfloat16"), cpu) == torch.bfloat16
    for there, expected in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr("tellvision.embedding.loop.steps.has_bfloat16", lambda there=there: there)
        assert precision_of(TrainConfig(), cpu) == expected


def test_the_best_weights_are_put_back(tmp_path):
    one, other = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    keep_weights(one, tmp_path / "best")
    put_weights(other, tmp_path / "best")
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_a_state_that_cannot_be_written_is_one_line(tmp_path):
    model = torch.nn.Linear(1, 1)
    state = State(tmp_path / "nowhere", "f", model, torch.optim.AdamW(model.parameters()), None)
    with pytest.raises(InputError, match=r"state\.pt cannot be written") as stop:
        state.keep(Standing())
    assert "\n" not in str(stop.value)


def test_a_journal_cuts_off_what_lies_behind_the_state(tmp_path):
    first = Journal(tmp_path, wandb=None, about={}, kept=0, step=0)
    first.write(1, {"loss": 1.0}, 10.0)
    kept = first.size()
    first.write(2, {"loss": 2.0}, 10.0)
    first.close()
    again = Journal(tmp_path, wandb=None, about={}, kept=kept, step=1)
    again.write(2, {"loss": 3.0, "epoch": 1}, 10.0)
    again.close()
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines == [{"step": 1, "loss": 1.0}, {"step": 2, "loss": 3.0, "epoch": 1}]
    boards = list((tmp_path / "tensorboard").iterdir())
    assert len(boards) == 2
    assert b"pairs_per_second" in b"".join(path.read_bytes() for path in boards)


def test_a_journal_that_lost_its_end_says_so(tmp_path):
    with pytest.raises(InputError, match="has lost its end"):
        Journal(tmp_path, wandb=None, about={}, kept=5, step=1)


def test_weights_and_biases_is_told_when_asked(tmp_path, monkeypatch):
    told = []

    class Run:
        def log(self, values, step):
            told.append((step, values))

        def finish(self):
            told.append("finished")

    double = types.ModuleType("wandb")
    double.Error = RuntimeError
    double.init = lambda **options: told.append(options) or Run()
    monkeypatch.setitem(sys.modules, "wandb", double)
    monkeypatch.setattr("tellvision.embedding.loop.journal.importlib.util.find_spec", lambda name: object())
    journal = Journal(tmp_path, wandb="kitchen", about={"epochs": 3}, kept=0, step=0)
    journal.write(7, {"loss": 0.5, "epoch": 1}, 99.0)
    journal.close()
    options, line, last = told
    assert (options["project"], options["config"], options["resume"]) == ("kitchen", {"epochs": 3}, "allow")
    assert line == (7, {"epoch/loss": 0.5, "epoch/pairs_per_second": 99.0})
    assert last == "finished"


def test_weights_and_biases_that_is_not_there_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("tellvision.embedding.loop.journal.importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'tellvision\[wandb\]'"):
        Journal(tmp_path, wandb="kitchen", about={}, kept=0, step=0)
