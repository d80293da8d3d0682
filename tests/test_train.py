"""The loop: it learns, the same seed gives the same weights, killed and resumed equals straight through."""

import dataclasses
import itertools
import json
import math

import numpy as np
import pytest
import torch

from corpus import TEXTS
from tellvision.embedding import checkpoint
from tellvision.embedding.batches import DataSet, Pooled, prepared
from tellvision.embedding.config import ModelConfig, Track, TrainConfig
from tellvision.embedding.held_out import read_held_out, split, write_held_out
from tellvision.embedding.loop import state
from tellvision.embedding.model import TextVideoModel
from tellvision.embedding.pairs import PAIRS, Pairs, PairWriter, VideoPairs
from tellvision.embedding.train import end, train
from tellvision.records import Clip, InputError
from tellvision.store import to_table

DIM = 12
MODEL = ModelConfig(tracks=(Track(name="image", fps=1.0, dim=DIM),), dim=16)
CONFIG = TrainConfig(epochs=5, videos_per_batch=4, pairs_per_video=4, learning_rate=1e-3, watch=0, seed=1)
VIDEOS = [f"v{i}" for i in range(8)]
BATCHES = 2  # of an epoch


def write(folder, *, seed=0, text="{step}", scale=1.0):
    """Eight videos of six clips; each step looks always alike, with a little noise."""
    random = np.random.default_rng(seed)
    looks = random.standard_normal((len(TEXTS), DIM))
    writer = PairWriter(folder, DIM)
    writer.open({})
    for video in VIDEOS:
        order = random.permutation(len(TEXTS))
        clips = [
            Clip(f"{video}#{n}", video, 5.0 * n, 5.0 * n + 5, text.format(step=TEXTS[i]), 5)
            for n, i in enumerate(order)
        ]
        rows = scale * (looks[order] + 0.1 * random.standard_normal((len(order), DIM)))
        writer.append(video, "f", VideoPairs(to_table(clips, PAIRS), rows.astype(np.float16)))
        writer.commit()
    writer.close(VIDEOS)
    writer.release()
    return Pairs(folder)


def learn(pairs, config, folder, *, videos=VIDEOS, start=None, shape=MODEL, **options):
    """`train` on the pairs of `videos`, with a new model unless one is given."""
    model = start or TextVideoModel.new(shape, seed=config.seed)
    texts = folder.parent / f"{folder.name}-texts.bin"
    folder.mkdir(parents=True, exist_ok=True)
    inputs, usable = prepared(pairs, model.prepare, model.input_width, model.input_dtype, texts, pairs.content)
    sets = [DataSet(source=Pooled(pairs), texts=inputs, usable=usable, videos=list(videos))]
    return train(sets, model, config, folder, **options)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    return write(tmp_path_factory.mktemp("pairs"))


def same(one, other):
    weights = zip(one.state_dict().items(), other.state_dict().items(), strict=True)
    return all(a == b and torch.equal(x, y) for (a, x), (b, y) in weights)


@pytest.fixture(scope="module")
def straight(pairs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("straight")
    return folder, learn(pairs, CONFIG, folder)


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_it_learns_what_is_said_of_what_is_seen(pairs, straight):
    folder, model = straight
    losses = [line["loss"] for line in lines(folder)]
    assert losses[-1] < 0.7 * losses[0]
    table, rows = pairs.select(["v0"])
    scores = model.encode_text(table["text"].to_pylist()) @ model.embed_clips(rows.astype(np.float32)).T
    assert (scores.argmax(axis=1) == np.arange(6)).mean() >= 0.5


def test_a_run_leaves_a_checkpoint_and_a_line_per_epoch(straight):
    folder, model = straight
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json",
        "metrics.jsonl",
        "model.safetensors",
        "state.pt",
        "tensorboard",
        "tokenizer.json",
    ]
    assert [line["epoch"] for line in lines(folder)] == [1, 2, 3, 4, 5]
    rates = [line["learning_rate"] for line in lines(folder)]
    assert rates == pytest.approx([1e-3 * 0.9**n for n in range(5)])
    assert not model.training
    loaded = checkpoint.load(folder)
    assert same(loaded, model)
    about = json.loads((folder / "config.json").read_text())["extra"]
    assert about == {"train": dataclasses.asdict(CONFIG), "num_videos": 8, "epochs": 5}


def test_the_same_seed_gives_the_same_weights(pairs, straight, tmp_path):
    torch.manual_seed(99)  # what happened before does not matter
    again = learn(pairs, CONFIG, tmp_path / "a", videos=reversed(VIDEOS))
    assert same(again, straight[1])
    assert lines(tmp_path / "a") == lines(straight[0])
    other = learn(pairs, dataclasses.replace(CONFIG, seed=2), tmp_path / "b")
    assert not same(other, straight[1])


class Killed(Exception):
    """Where a test stops the program."""


def killed_after(pairs, folder, batch, monkeypatch, config=CONFIG, **options):
    """Train until `batch` batches are done, with a state after every one of them."""

    def kill(done, total, told):
        if done == batch + 1:
            raise Killed

    monkeypatch.setattr(state, "EVERY", 0.0)
    monkeypatch.setattr(state, "SHARE", 1e9)
    with pytest.raises(Killed):
        learn(pairs, config, folder, tell=kill, **options)


def told(pairs, folder, config=CONFIG, **options):
    """Train to the end; which batches were worked on, and the model."""
    batches = []
    model = learn(pairs, config, folder, tell=lambda done, *_: batches.append(done), **options)
    return batches, model


def left(batch):
    """The batches behind the first `batch` ones."""
    return list(range(batch + 1, CONFIG.epochs * BATCHES + 1))


@pytest.mark.parametrize("batch", [1, 2, 5, 9])
def test_killed_and_resumed_equals_straight_through(pairs, straight, tmp_path, monkeypatch, batch):
    """In the middle of an epoch and between two: it goes on at the very next batch."""
    killed_after(pairs, tmp_path / "run", batch, monkeypatch)
    tmp_path = tmp_path / "run"
    assert not (tmp_path / "model.safetensors").exists()
    batches, model = told(pairs, tmp_path)
    assert batches == left(batch)
    assert same(model, straight[1])
    for name in ("model.safetensors", "config.json", "metrics.jsonl", "tokenizer.json"):
        assert (tmp_path / name).read_bytes() == (straight[0] / name).read_bytes()


def test_killed_before_the_run_is_closed_nothing_is_trained_again(pairs, straight, tmp_path):
    told(pairs, tmp_path)
    batches, model = told(pairs, tmp_path)
    assert batches == []
    assert same(model, straight[1])
    end(tmp_path)
    assert not (tmp_path / "state.pt").exists()
    assert told(pairs, tmp_path)[0] == left(0)


def test_the_held_out_videos_stand_beside_the_run(tmp_path):
    write_held_out(tmp_path, {"b/2 \u2603", "a"})
    assert read_held_out(tmp_path) == {"b/2 \u2603", "a"}
    with pytest.raises(InputError, match="holds no run"):
        read_held_out(tmp_path / "nowhere")


def test_killed_twice(pairs, straight, tmp_path, monkeypatch):
    killed_after(pairs, tmp_path, 2, monkeypatch)
    killed_after(pairs, tmp_path, 3, monkeypatch)
    batches, model = told(pairs, tmp_path)
    assert batches == left(3)
    assert same(model, straight[1])


def test_lines_behind_the_last_state_are_told_again(pairs, straight, tmp_path, monkeypatch):
    """States are seconds apart: batches between the last one and the kill are done anew, their lines too."""
    killed_after(pairs, tmp_path, 4, monkeypatch)
    kept = (tmp_path / "state.pt").read_bytes()
    killed_after(pairs, tmp_path, 8, monkeypatch)
    (tmp_path / "state.pt").write_bytes(kept)
    batches, model = told(pairs, tmp_path)
    assert batches == left(4)
    assert lines(tmp_path) == lines(straight[0])
    assert same(model, straight[1])


def test_a_state_of_other_pairs_is_not_gone_on_from(pairs, straight, tmp_path, monkeypatch):
    """The same clips with other pictures: a video was replaced while the run lay still."""
    changed = write(tmp_path / "changed", scale=0.5)
    killed_after(changed, tmp_path / "run", 2, monkeypatch)
    batches, model = told(pairs, tmp_path / "run")
    assert batches == left(0)
    assert same(model, straight[1])


def test_a_state_from_another_start_is_not_gone_on_from(pairs, straight, tmp_path, monkeypatch):
    def starting(seed):
        return learn(pairs, dataclasses.replace(CONFIG, seed=seed, epochs=1), tmp_path / f"{seed}-{counted()}")

    counted = itertools.count().__next__
    expected = told(pairs, tmp_path / "straight", start=starting(7))[1]
    killed_after(pairs, tmp_path / "run", 2, monkeypatch, start=starting(8))
    batches, model = told(pairs, tmp_path / "run", start=starting(7))
    assert batches == left(0)
    assert same(model, expected)
    killed_after(pairs, tmp_path / "again", 2, monkeypatch, start=starting(7))
    batches, model = told(pairs, tmp_path / "again", start=starting(7))
    assert batches == left(2)
    assert same(model, expected)


def test_a_damaged_state_is_begun_anew(pairs, straight, tmp_path, monkeypatch):
    killed_after(pairs, tmp_path, 2, monkeypatch)
    kept = (tmp_path / "state.pt").read_bytes()
    for damaged in (kept[: len(kept) // 2], b"", b"nothing of ours"):
        (tmp_path / "state.pt").write_bytes(damaged)
        batches, model = told(pairs, tmp_path)
        assert batches == left(0)
        assert same(model, straight[1])


def test_fine_tuning_goes_on_from_a_model(pairs, straight, tmp_path):
    start = checkpoint.load(straight[0])
    model = learn(pairs, dataclasses.replace(CONFIG, epochs=1), tmp_path, start=start)
    assert model.config == MODEL
    assert lines(tmp_path)[0]["loss"] < lines(straight[0])[0]["loss"]


def test_what_needs_no_gradient_stays(pairs, straight, tmp_path):
    start = checkpoint.load(straight[0])
    for value in start.text_unit.parameters():
        value.requires_grad_(False)
    before = {name: value.clone() for name, value in start.state_dict().items()}
    model = learn(pairs, dataclasses.replace(CONFIG, epochs=1, ema=0.9, clip_gradient=1.0), tmp_path, start=start)
    after = model.state_dict()
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert changed == {
        f"{part}.{kind}"
        for part in ("word_layer", "clip_unit.project", "clip_unit.gate")
        for kind in ("weight", "bias")
    }


# Ways to learn

WAYS = {
    "infonce": {"loss": "infonce", "schedule": "cosine", "warm_up": 0.2, "weight_decay": 0.1},
    "mil_nce": {"loss": "mil_nce", "bag": 3, "clip_gradient": 0.5},
    "plain": {"same_video": None, "accumulate": 2},
    "averaged": {"ema": 0.9},
    "bfloat16": {"precision": "bfloat16"},
}


@pytest.mark.parametrize("way", list(WAYS))
def test_every_way_learns_and_is_resumed_to_the_same_weights(pairs, tmp_path, monkeypatch, way):
    config = dataclasses.replace(CONFIG, **WAYS[way])
    first, straight = tmp_path / "killed", tmp_path / "straight"
    model = learn(pairs, config, straight)
    losses = [line["loss"] for line in lines(straight)]
    assert losses[-1] < losses[0]
    killed_after(pairs, first, 3 if config.accumulate == 1 else 4, monkeypatch, config)
    batches, resumed = told(pairs, first, config)
    assert batches[0] > 2
    assert same(resumed, model)
    assert (first / "metrics.jsonl").read_bytes() == (straight / "metrics.jsonl").read_bytes()


def test_two_batches_with_summed_gradients_are_one_step(pairs, tmp_path):
    """An epoch is one step then: as many as epochs, at the rate of the epoch."""
    learn(pairs, dataclasses.replace(CONFIG, accumulate=2), tmp_path)
    assert [line["step"] for line in lines(tmp_path)] == [1, 2, 3, 4, 5]


def test_a_step_of_fewer_batches_than_asked_for_is_their_mean(pairs, tmp_path):
    """Two batches are all that an epoch has."""
    two = learn(pairs, dataclasses.replace(CONFIG, accumulate=2), tmp_path / "two")
    five = learn(pairs, dataclasses.replace(CONFIG, accumulate=5), tmp_path / "five")
    assert same(two, five)


def test_training_stops_where_recall_rises_no_more_and_keeps_the_best(pairs, tmp_path):
    recalls = iter([0.1, 0.4, 0.3, 0.2, 0.9])
    seen = []

    def measure(model):
        seen.append({name: value.clone() for name, value in model.named_parameters()})
        return {"R@10": next(recalls)}

    model = learn(pairs, dataclasses.replace(CONFIG, patience=2), tmp_path, measure=measure)
    assert [line["R@10"] for line in lines(tmp_path)] == [0.1, 0.4, 0.3, 0.2]
    assert all(torch.equal(value, seen[1][name]) for name, value in model.named_parameters())
    last = dict(checkpoint.load(tmp_path / "last").named_parameters())
    assert all(torch.equal(value, seen[3][name]) for name, value in last.items())
    assert same(checkpoint.load(tmp_path), model)
    end(tmp_path)
    assert not (tmp_path / "best.safetensors").exists()


def test_the_average_is_what_is_measured_and_kept(pairs, tmp_path):
    seen = []

    def measure(model):
        seen.append({name: value.clone() for name, value in model.named_parameters()})
        return {"R@10": 0.0}

    model = learn(pairs, dataclasses.replace(CONFIG, ema=0.5), tmp_path, measure=measure)
    assert all(torch.equal(value, seen[-1][name]) for name, value in model.named_parameters())


# What cannot be learned


def test_nothing_that_is_known_is_said(tmp_path):
    with pytest.raises(InputError, match="nothing to train on: no training video says a known word"):
        learn(write(tmp_path / "pairs", text="\u2603"), CONFIG, tmp_path / "run")


def test_no_videos(pairs, tmp_path):
    with pytest.raises(InputError, match="nothing to train on"):
        learn(pairs, CONFIG, tmp_path, videos=[])


def test_rows_of_another_width(pairs, tmp_path):
    wide = dataclasses.replace(MODEL, tracks=(Track(name="image", fps=1.0, dim=DIM + 1),))
    with pytest.raises(InputError, match="rows of 12 numbers, the model reads 13"):
        learn(pairs, CONFIG, tmp_path, shape=wide)


def test_a_loss_that_is_no_number_is_one_line(pairs, tmp_path):
    wild = dataclasses.replace(CONFIG, learning_rate=1e30, epochs=20)
    with pytest.raises(
        InputError, match=r"the loss is no number at step \d+, epoch \d+, in a batch with the clips v\d#"
    ) as stop:
        learn(pairs, wild, tmp_path)
    assert "try --train.learning-rate 1e+29" in str(stop.value)
    assert "\n" not in str(stop.value)
    assert not (tmp_path / "model.safetensors").exists()
    assert not any(math.isnan(line["loss"]) for line in (lines(tmp_path) if list(tmp_path.iterdir()) else []))


# What is kept out


def test_the_split_is_by_video_and_always_the_same():
    names = [f"video {i}" for i in range(100)]
    kept = split(names, 0.2)
    assert len(kept) == 20
    assert split(reversed(names), 0.2) == kept
    assert split(names, 0.0) == set()
    assert split([], 0.2) == set()
    assert split(["one"], 0.2) == set()


def test_more_videos_move_few_others():
    names = [f"video {i}" for i in range(100)]
    before, after = split(names, 0.2), split([*names, "one more"], 0.2)
    assert len(before ^ after) <= 3


def test_a_state_of_another_frozen_tower_is_not_gone_on_from(pairs, straight, tmp_path, monkeypatch):
    def starting(frozen):
        model = checkpoint.load(straight[0])
        for value in model.text_unit.parameters():
            value.requires_grad_(not frozen)
        return model

    killed_after(pairs, tmp_path / "run", 3, monkeypatch, start=starting(False))
    batches, _ = told(pairs, tmp_path / "run", start=starting(True))
    assert batches == left(0)
