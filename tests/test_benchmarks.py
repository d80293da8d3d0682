"""The benchmarks run on their smallest setting and say what they promise; no speed is asserted."""

import json
import subprocess
import sys
from pathlib import Path

import benchmarks.__main__ as benchmark_command
import numpy as np
import pytest
import torch
from benchmarks import corpus, figures, reference_loader, step
from benchmarks.__main__ import BENCHMARKS, QUICK

from tellvision.embedding.config import ModelConfig, Track
from tellvision.embedding.pairs import Pairs

ROOT = Path(__file__).parent.parent


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=200
    )


LONG = ("backbones", "extraction", "runners", "runtimes")  # to get ready, however little is measured


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in LONG)) for name in BENCHMARKS]
)
def test_each_benchmark_prints_well_formed_figures(name):
    done = run(name, "--smallest", "--json")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines
    for line in lines:
        assert list(line) == ["name", "value", "unit", "baseline", "machine"]
        assert line["name"].startswith(f"{name}.")
        assert line["value"] > 0
        assert line["baseline"]
        assert set(line["machine"]) == {"cpu", "cores", "torch_threads", "bf16", "gpu"}
    assert len({line["name"] for line in lines}) == len(lines)


def test_an_unknown_name_is_refused():
    done = run("sped")
    assert done.returncode != 0
    assert "sped" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_quick_ones_are_among_all():
    assert set(QUICK) <= set(BENCHMARKS)


def test_a_figure_is_the_median_of_the_ratios_of_the_rounds():
    found = figures.figure("a.b", [10.0, 30.0, 40.0], [5.0, 10.0, 40.0], "x", "something")
    assert (found.value, found.low, found.high) == (2.0, 1.0, 3.0)


def test_rounds_are_interleaved_after_a_call_that_does_not_count():
    calls = []

    def measure(name):
        return lambda: calls.append(name) or float(len(calls))

    found = figures.interleaved({"a": measure("a"), "b": measure("b")}, 2)
    assert calls == ["a", "b"] * 3
    assert found == {"a": [3.0, 5.0], "b": [4.0, 6.0]}


def test_the_table_says_where_a_budget_was_missed():
    found = figures.figure("a.b", [1.0], [2.0], "share", "something", budget=0.6)
    text = figures.table(figures.Report(title="a", rates={"ours": ([1.0], "pairs/s")}, figures=(found,)))
    assert "budget 0.6: MISSED" in text
    assert "against something" in text


def test_the_operations_of_a_step_are_counted_by_hand():
    config = ModelConfig(tracks=(Track(name="t", fps=1.0, dim=5),), dim=3, word_dim=2)
    # n = 4 pairs, 7 distinct tokens: word layer 7*2*3 twice; text project 4*3*3 three times; clip project
    # 4*5*3 twice; two gates 4*3*3 three times each; similarity 4*3*4 three times. Two operations each.
    by_hand = 2 * (2 * 42 + 3 * 36 + 2 * 60 + 6 * 36 + 3 * 48)
    assert step.products(config, 4, 7) == by_hand


@pytest.mark.parametrize("dim", corpus.TRACKS)
def test_the_reference_loader_and_the_pairs_folder_hold_the_same_rows(tmp_path, dim):
    made = corpus.write(tmp_path, dim=dim, num_videos=2, clips_per_video=5, words=["stir", "pour"], seed=3)
    pairs = Pairs(made.pairs)
    for video, captions in made.captions.items():
        tracks = [(fps, torch.from_numpy(np.load(root / f"{video}.npy")).float()) for fps, root in made.tracks]
        rows = [
            reference_loader.pooled(tracks, start, end)
            for start, end in zip(captions.start, captions.end, strict=True)
        ]
        np.testing.assert_allclose(torch.stack(rows).numpy(), pairs.rows(video).astype(np.float32), atol=1e-4)


def test_the_reference_loader_looks_words_up_in_order_and_pads_with_zeros():
    vectors = {"stir": np.array([1.0, 2.0], np.float32), "tea": np.array([3.0, 4.0], np.float32)}
    videos = reference_loader.ReferenceVideos(corpus.Corpus((), Path(), {}), vectors, 1)
    block = videos.words("stir the tea, stir")
    assert block.shape == (20, 2)
    assert block[:4].tolist() == [[1, 2], [3, 4], [1, 2], [0, 0]]
    assert not videos.words("unheard of").any()


def test_texts_are_the_same_for_the_same_seed():
    words = [f"w{n}" for n in range(50)]
    lines = corpus.texts(words, 20, seed=1)
    assert lines == corpus.texts(words, 20, seed=1) != corpus.texts(words, 20, seed=2)
    assert all(4 <= len(line.split()) <= 16 and set(line.split()) <= set(words) for line in lines)


def test_a_benchmark_with_options_of_its_own_is_reached(monkeypatch):
    given = []
    monkeypatch.setattr("benchmarks.workouts.main", given.append)
    monkeypatch.setattr("sys.argv", ["benchmarks", "workouts", "--data", "there"])
    benchmark_command.main()
    assert given == [["--data", "there"]]
