"""The stage that trains: every way to learn, from a work folder of real videos to a model that loads and finds."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

import corpus
from tellvision import pipeline, recipes
from tellvision.embedding import checkpoint
from tellvision.embedding.config import TextConfig
from tellvision.embedding.seen import Seen
from tellvision.evaluation import held_out
from tellvision.progress import Progress
from tellvision.records import InputError
from tellvision.stages.training import Beginning, learn
from tellvision.stages.workplace import Workplace
from tellvision.store import Ledger, read_manifest

LAPTOP = recipes.laptop()
SMALL = dataclasses.replace(
    LAPTOP,
    dim=16,
    train=dataclasses.replace(
        LAPTOP.train, epochs=2, videos_per_batch=3, pairs_per_video=4, min_videos=2, held_out=0.4
    ),
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    corpus.make(folder / "videos", 6)
    pipeline.run(folder / "videos", folder / "work", SMALL, workers=0)
    return folder / "work"


@pytest.fixture
def work(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "work")


def trained(work, recipe=SMALL, progress=None, **options):
    """Train in `work`; what the manifest counts."""
    with Ledger(work) as ledger:
        at = Workplace(work=work, ledger=ledger)
        return learn(at, recipe, progress=progress or Progress(quiet=True), **options)


def changed(train=None, **fields):
    return dataclasses.replace(SMALL, train=dataclasses.replace(SMALL.train, **train or {}), **fields)


WAYS = {
    "infonce, jitter": changed({"loss": "infonce", "jitter": 1.0}),
    "mil_nce": changed({"loss": "mil_nce", "bag": 3, "ema": 0.9}),
    "learned words": changed(text=TextConfig(tokens="learned", min_count=1, pool="attention")),
    "sentences": changed(text=TextConfig(tokens="sentence", pool="mean"), centre=True, dropout=0.1),
    "steps": changed(clip_tower="steps", steps=dataclasses.replace(SMALL.steps, width=16, heads=2, layers=1)),
    "patience": changed({"patience": 1, "validation": 0.5, "epochs": 3}),
}


@pytest.mark.parametrize("way", list(WAYS))
def test_every_way_learns_loads_and_finds(work, way):
    counts = trained(work, WAYS[way])
    assert counts["learned"]
    found = counts["retrieval"]
    assert found["clips"] > 2
    assert 0 <= found["text_to_video"]["R@10"] <= 1
    model = checkpoint.load(work / "runs" / "main")
    seen = Seen(work)
    again = held_out.retrieval(model, seen, (work / "runs" / "main" / "held_out.txt").read_text().split())
    assert again == found
    about = checkpoint.read_config(work / "runs" / "main")["extra"]
    assert about["retrieval"] == found
    assert about["recipe"] == "laptop"
    lines = [json.loads(line) for line in (work / "runs" / "main" / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == list(range(1, len(lines) + 1))
    assert all("R@10" in line for line in lines)


def test_what_all_clips_share_is_taken_out_once_and_kept(work):
    trained(work, WAYS["sentences"])
    model = checkpoint.load(work / "runs" / "main")
    seen = Seen(work)
    kept_out = set((work / "runs" / "main" / "held_out.txt").read_text().split())
    rows = np.concatenate([seen.pairs.rows(v) for v in seen.pairs.videos if v not in kept_out]).astype(np.float64)
    np.testing.assert_allclose(model.clip_centre.mean.numpy(), rows.mean(axis=0), atol=1e-6)
    deviation = np.sqrt(((rows - rows.mean(axis=0)) ** 2).mean())
    assert model.clip_centre.scale.item() == pytest.approx(1 / deviation, rel=1e-5)
    mean = model.text_centre.mean.clone()
    # Going on keeps what was measured.
    start = shutil.copytree(work / "runs" / "main", work.parent / "start")
    trained(work, WAYS["sentences"], beginning=Beginning(start=str(start)))
    assert checkpoint.load(work / "runs" / "main").text_centre.mean.equal(mean)


def test_a_table_of_words_of_one_s_own(work, tmp_path):
    words = sorted({word for text in corpus.TEXTS for word in text.split()})
    random = np.random.default_rng(0)
    lines = [f"{word} " + " ".join(f"{x:.4f}" for x in random.standard_normal(8)) for word in words]
    (tmp_path / "glove.txt").write_text("\n".join(lines) + "\n")
    recipe = changed(text=TextConfig(tokens="words", lower=False))
    with pytest.raises(InputError, match="--words"):
        trained(work, recipe)
    trained(work, recipe, beginning=Beginning(words=tmp_path / "glove.txt"))
    model = checkpoint.load(work / "runs" / "main", words=tmp_path / "glove.txt")
    assert model.encode_text(corpus.TEXTS[:2]).shape == (2, 16)


def test_a_frozen_tower_stays(work):
    start = shutil.copytree(work / "runs" / "main", work.parent / "start")
    trained(work, beginning=Beginning(start=str(start), freeze="text"))
    before, after = checkpoint.load(start).state_dict(), checkpoint.load(work / "runs" / "main").state_dict()
    moved = {name.split(".")[0] for name in before if not before[name].equal(after[name])}
    assert moved == {"clip_unit"}


def test_other_features_get_a_new_layer_and_a_warning(work, capsys):
    start = shutil.copytree(work / "runs" / "main", work.parent / "start")
    with Ledger(work) as ledger:
        at = Workplace(work=work, ledger=ledger)
        pipeline.extract_tracks(at, dataclasses.replace(SMALL.features, backbone=("motion",)))
        pipeline.join_pairs(at, ("motion",))
    trained(work, beginning=Beginning(start=str(start)), progress=Progress())
    assert "the model reads efficientnet-lite0 (1280), the features here are motion" in capsys.readouterr().err
    model = checkpoint.load(work / "runs" / "main")
    assert [track.name for track in model.features] == ["motion"]
    before = checkpoint.load(start).state_dict()
    assert model.state_dict()["clip_unit.gate.weight"].shape == before["clip_unit.gate.weight"].shape


def test_two_work_folders_are_mixed(work, finished):
    one = trained(work)["retrieval"]
    counts = trained(work, beginning=Beginning(also=(f"{finished}:0.5",)))
    assert counts["learned"]
    assert counts["retrieval"] != one or counts["retrieval"]["clips"] == one["clips"]
    assert f"{finished}:0.5" in read_manifest(work / "runs" / "main")["config"]["also"]
    assert checkpoint.read_config(work / "runs" / "main")["extra"]["num_videos"] > counts["training"]


@pytest.mark.parametrize(
    ("beginning", "told"),
    [
        ({"freeze": "clip"}, "goes with --from"),
        ({"also": ("nowhere:0.5",)}, "nowhere"),
        ({"also": ("nowhere:much",)}, "such as WORK:0.5"),
        ({"start": "nowhere/at/all"}, "there is no checkpoint"),
        ({"words": "no.txt"}, "goes with --text.tokens words, not with wordpiece"),
    ],
)
def test_a_beginning_that_is_none_is_one_line(work, beginning, told):
    with pytest.raises(InputError, match=told) as stop:
        trained(work, beginning=Beginning(**beginning))
    assert "\n" not in str(stop.value)
    assert (work / "runs" / "main" / "model.safetensors").exists()


def test_trained_again_with_the_same_settings_nothing_is_done(work):
    before = (work / "runs" / "main" / "model.safetensors").stat().st_mtime_ns
    trained(work)
    assert (work / "runs" / "main" / "model.safetensors").stat().st_mtime_ns == before
