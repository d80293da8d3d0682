"""The loop: it learns, the same seed gives the same weights, killed and resumed equals straight through."""

import dataclasses
import json
import math

import numpy as np
import pytest
import torch

from corpus import TEXTS
from tellvision.embedding import checkpoint
from tellvision.embedding import train as loop
from tellvision.embedding.config import ModelConfig, Track, TrainConfig
from tellvision.embedding.pairs import PAIRS, Pairs, PairWriter, VideoPairs
from tellvision.embedding.train import end, read_held_out, split, train, write_held_out
from tellvision.records import Clip, InputError
from tellvision.store import to_table

DIM = 12
MODEL = ModelConfig(tracks=(Track(name="image", fps=1.0, dim=DIM),), dim=16)
CONFIG = TrainConfig(epochs=5, videos_per_batch=4, pairs_per_video=4, learning_rate=1e-3, seed=1)
VIDEOS = [f"v{i}" for i in range(8)]


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


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    return write(tmp_path_factory.mktemp("pairs"))


def same(one, other):
    weights = zip(one.state_dict().items(), other.state_dict().items(), strict=True)
    return all(a == b and torch.equal(x, y) for (a, x), (b, y) in weights)


@pytest.fixture(scope="module")
def straight(pairs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("straight")
    return folder, train(pairs, MODEL, CONFIG, folder, videos=VIDEOS)


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
        "tokenizer.json",
    ]
    assert [line["epoch"] for line in lines(folder)] == [1, 2, 3, 4, 5]
    rates = [line["learning_rate"] for line in lines(folder)]
    assert rates == pytest.approx([1e-3 * 0.9**n for n in range(5)])
    assert not model.training
    loaded = checkpoint.load(folder)
    assert same(loaded, model)
    about = json.loads((folder / "config.json").read_text())["extra"]
    assert about == {"train": dataclasses.asdict(CONFIG), "num_videos": 8}


def test_the_same_seed_gives_the_same_weights(pairs, straight, tmp_path):
    torch.manual_seed(99)  # what happened before does not matter
    again = train(pairs, MODEL, CONFIG, tmp_path / "a", videos=reversed(VIDEOS))
    assert same(again, straight[1])
    assert lines(tmp_path / "a") == lines(straight[0])
    other = train(pairs, MODEL, dataclasses.replace(CONFIG, seed=2), tmp_path / "b", videos=VIDEOS)
    assert not same(other, straight[1])


class Killed(Exception):
    """Where a test stops the program."""


def killed_after(pairs, folder, epoch, monkeypatch, **options):
    """Train until `epoch` has ended, with a state after every one of them."""

    def kill(done, total, measured):
        if done == epoch:
            raise Killed

    monkeypatch.setattr(loop, "SAVE_EVERY", 0.0)
    with pytest.raises(Killed):
        train(pairs, MODEL, CONFIG, folder, videos=VIDEOS, on_epoch=kill, **options)


def told(pairs, folder, **options):
    """Train to the end; which epochs were worked on, and the model."""
    epochs = []
    model = train(
        pairs, MODEL, CONFIG, folder, videos=VIDEOS, on_epoch=lambda done, *_: epochs.append(done), **options
    )
    return epochs, model


@pytest.mark.parametrize("epoch", [1, 3, 5])
def test_killed_and_resumed_equals_straight_through(pairs, straight, tmp_path, monkeypatch, epoch):
    killed_after(pairs, tmp_path, epoch, monkeypatch)
    assert not (tmp_path / "model.safetensors").exists()
    epochs, model = told(pairs, tmp_path)
    assert epochs == list(range(epoch + 1, 6))
    assert same(model, straight[1])
    for name in ("model.safetensors", "config.json", "metrics.jsonl", "tokenizer.json"):
        assert (tmp_path / name).read_bytes() == (straight[0] / name).read_bytes()


def test_killed_before_the_run_is_closed_nothing_is_trained_again(pairs, straight, tmp_path):
    told(pairs, tmp_path)
    epochs, model = told(pairs, tmp_path)
    assert epochs == []
    assert same(model, straight[1])
    end(tmp_path)
    assert not (tmp_path / "state.pt").exists()
    assert told(pairs, tmp_path)[0] == [1, 2, 3, 4, 5]


def test_the_held_out_videos_stand_beside_the_run(tmp_path):
    write_held_out(tmp_path, {"b/2 \u2603", "a"})
    assert read_held_out(tmp_path) == {"b/2 \u2603", "a"}
    with pytest.raises(InputError, match="holds no run"):
        read_held_out(tmp_path / "nowhere")


def test_killed_twice(pairs, straight, tmp_path, monkeypatch):
    killed_after(pairs, tmp_path, 2, monkeypatch)
    killed_after(pairs, tmp_path, 3, monkeypatch)
    epochs, model = told(pairs, tmp_path)
    assert epochs == [4, 5]
    assert same(model, straight[1])


def test_lines_behind_the_last_state_are_told_again(pairs, straight, tmp_path, monkeypatch):
    """States are seconds apart: epochs between the last one and the kill are done anew, their lines too."""
    killed_after(pairs, tmp_path, 2, monkeypatch)
    state = (tmp_path / "state.pt").read_bytes()
    killed_after(pairs, tmp_path, 4, monkeypatch)
    (tmp_path / "state.pt").write_bytes(state)
    epochs, model = told(pairs, tmp_path)
    assert epochs == [3, 4, 5]
    assert lines(tmp_path) == lines(straight[0])
    assert same(model, straight[1])


def test_a_state_of_other_pairs_is_not_gone_on_from(pairs, straight, tmp_path, monkeypatch):
    """The same clips with other pictures: a video was replaced while the run lay still."""
    changed = write(tmp_path / "changed", scale=0.5)
    killed_after(changed, tmp_path / "run", 2, monkeypatch)
    epochs, model = told(pairs, tmp_path / "run")
    assert epochs == [1, 2, 3, 4, 5]
    assert same(model, straight[1])


def test_a_state_from_another_start_is_not_gone_on_from(pairs, straight, tmp_path, monkeypatch):
    def starting(seed):
        return train(
            pairs, MODEL, dataclasses.replace(CONFIG, seed=seed, epochs=1), tmp_path / str(seed), videos=VIDEOS
        )

    expected = told(pairs, tmp_path / "straight", start=starting(7))[1]
    killed_after(pairs, tmp_path / "run", 2, monkeypatch, start=starting(8))
    epochs, model = told(pairs, tmp_path / "run", start=starting(7))
    assert epochs == [1, 2, 3, 4, 5]
    assert same(model, expected)
    killed_after(pairs, tmp_path / "again", 2, monkeypatch, start=starting(7))
    epochs, model = told(pairs, tmp_path / "again", start=starting(7))
    assert epochs == [3, 4, 5]
    assert same(model, expected)


def test_a_damaged_state_is_begun_anew(pairs, straight, tmp_path, monkeypatch):
    killed_after(pairs, tmp_path, 2, monkeypatch)
    state = (tmp_path / "state.pt").read_bytes()
    for damaged in (state[: len(state) // 2], b"", b"nothing of ours"):
        (tmp_path / "state.pt").write_bytes(damaged)
        epochs, model = told(pairs, tmp_path)
        assert epochs == [1, 2, 3, 4, 5]
        assert same(model, straight[1])


def test_fine_tuning_goes_on_from_a_model(pairs, straight, tmp_path):
    start = checkpoint.load(straight[0])
    wide = dataclasses.replace(MODEL, dim=99)  # ignored: the model brings its own sizes
    model = train(pairs, wide, dataclasses.replace(CONFIG, epochs=1), tmp_path, videos=VIDEOS, start=start)
    assert model.config == MODEL
    assert lines(tmp_path)[0]["loss"] < lines(straight[0])[0]["loss"]


# What cannot be learned


def test_nothing_that_is_known_is_said(tmp_path):
    with pytest.raises(InputError, match="nothing to train on: no training video says a known word"):
        train(write(tmp_path / "pairs", text="\u2603"), MODEL, CONFIG, tmp_path, videos=VIDEOS)


def test_no_videos(pairs, tmp_path):
    with pytest.raises(InputError, match="nothing to train on"):
        train(pairs, MODEL, CONFIG, tmp_path, videos=[])


def test_rows_of_another_width(pairs, tmp_path):
    wide = dataclasses.replace(MODEL, tracks=(Track(name="image", fps=1.0, dim=DIM + 1),))
    with pytest.raises(InputError, match="rows of 12 numbers, the model reads 13"):
        train(pairs, wide, CONFIG, tmp_path, videos=VIDEOS)


def test_a_loss_that_is_no_number_is_one_line(pairs, tmp_path):
    wild = dataclasses.replace(CONFIG, learning_rate=1e30, epochs=20)
    with pytest.raises(InputError, match=r"the loss is no number after epoch \d+: try --train\.") as stop:
        train(pairs, MODEL, wild, tmp_path, videos=VIDEOS)
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
