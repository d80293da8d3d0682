"""The released state dict, in and out; a slow restatement of the released network in numpy."""

import pickle

import numpy as np
import pytest
import torch

from tellvision import howto100m
from tellvision.embedding import checkpoint
from tellvision.embedding.config import ModelConfig, StepsConfig, TextConfig, Track
from tellvision.embedding.losses import max_margin
from tellvision.embedding.model import TextVideoModel
from tellvision.embedding.words import read_words
from tellvision.howto100m import load_checkpoint, save_checkpoint, to_state_dict
from tellvision.records import InputError

WORD_DIM, DIM, VIDEO_DIM = 3, 6, 8
WORDS = {name: np.random.default_rng(i).normal(size=WORD_DIM) for i, name in enumerate(["Crack", "the", "egg"])}


def released(pooled=DIM, seed=0):
    """Random weights under the released names, as numpy float64."""
    random = np.random.default_rng(seed)
    shapes = {
        "text_pooling.fc": (pooled, WORD_DIM),
        "GU_text.fc": (DIM, pooled),
        "GU_text.cg.fc": (DIM, DIM),
        "GU_video.fc": (DIM, VIDEO_DIM),
        "GU_video.cg.fc": (DIM, DIM),
    }
    weights = {}
    for name, shape in shapes.items():
        weights[f"{name}.weight"] = random.normal(size=shape)
        weights[f"{name}.bias"] = random.normal(size=shape[0])
    for name in ("GU_text", "GU_video"):
        for part in ("weight", "bias", "running_mean", "running_var"):
            weights[f"{name}.cg.batch_norm.{part}"] = random.normal(size=DIM)
        weights[f"{name}.cg.batch_norm.num_batches_tracked"] = np.array(0)
    return weights


def write(path, weights, prefix=""):
    tensors = {}
    for name, value in weights.items():
        tensor = torch.from_numpy(np.asarray(value))
        tensors[prefix + name] = tensor.float() if value.ndim else tensor
    torch.save(tensors, path)
    return path


def unit(weights, name, x):
    """One row through the released gated unit, entry by entry."""
    projected = [
        sum(w * v for w, v in zip(row, x, strict=True)) + b
        for row, b in zip(weights[f"{name}.fc.weight"], weights[f"{name}.fc.bias"], strict=True)
    ]
    gates = [
        1 / (1 + np.exp(-(sum(w * v for w, v in zip(row, projected, strict=True)) + b)))
        for row, b in zip(weights[f"{name}.cg.fc.weight"], weights[f"{name}.cg.fc.bias"], strict=True)
    ]
    out = np.array([p * g for p, g in zip(projected, gates, strict=True)])
    return out / np.sqrt((out**2).sum())


def text_tower(weights, words, places=20):
    """Words, padded with zeros to `places`; the zeros join the maximum."""
    best = None
    for place in range(places):
        word = words[place] if place < len(words) else np.zeros(WORD_DIM)
        hidden = np.maximum(weights["text_pooling.fc.weight"] @ word + weights["text_pooling.fc.bias"], 0)
        best = hidden if best is None else np.maximum(best, hidden)
    return unit(weights, "GU_text", best)


@pytest.mark.parametrize("pooled", [DIM, 4])
def test_equals_the_restatement(tmp_path, pooled):
    weights = released(pooled)
    model = load_checkpoint(write(tmp_path / "model.pth", weights), words=WORDS)
    rows = np.random.default_rng(7).normal(size=(5, VIDEO_DIM))
    expected = [unit(weights, "GU_video", row) for row in rows]
    np.testing.assert_allclose(model.embed_clips(rows), expected, atol=1e-5)

    texts = ["Crack the egg", "egg", "crack the EGG egg", "the " * 30 + "egg"]
    known = [["Crack", "the", "egg"], ["egg"], ["the", "egg"], ["the"] * 20]  # case and stop words kept
    expected = [text_tower(weights, [WORDS[word] for word in words]) for words in known]
    np.testing.assert_allclose(model.encode_text(texts), expected, atol=1e-5)

    vectors = np.zeros((1, 20, WORD_DIM))
    vectors[0, 0] = WORDS["egg"]
    np.testing.assert_allclose(model.embed_words(vectors)[0], expected[1], atol=1e-5)


def test_padding_really_counts(tmp_path):
    weights = released()
    weights["text_pooling.fc.weight"] = -np.abs(weights["text_pooling.fc.weight"])
    weights["text_pooling.fc.bias"] = np.ones(DIM)  # a word of zeros gives 1 everywhere, "up" less
    model = load_checkpoint(write(tmp_path / "model.pth", weights), words={"up": [0.3, 0.2, 0.5]})
    np.testing.assert_allclose(model.encode_text(["up"])[0], unit(weights, "GU_text", np.ones(DIM)), atol=1e-5)
    alone = text_tower(weights, [np.array([0.3, 0.2, 0.5])], places=1)
    assert np.abs(model.encode_text(["up"])[0] - alone).max() > 1e-3


def test_tracks_of_the_paper(tmp_path):
    assert howto100m.released_tracks(4096) == (
        Track(name="2d", fps=1.0, dim=2048),
        Track(name="3d", fps=1.5, dim=2048),
    )
    path = write(tmp_path / "model.pth", released())
    assert [(track.name, track.fps, track.dim) for track in load_checkpoint(path).features] == [
        ("2d", 1.0, 4),
        ("3d", 1.5, 4),
    ]
    one = (Track(name="image", fps=2.0, dim=VIDEO_DIM),)
    assert load_checkpoint(path, tracks=one).features == one
    with pytest.raises(InputError, match="another shape"):
        load_checkpoint(path, tracks=(Track(name="image", fps=2.0, dim=3),))
    with pytest.raises(InputError, match="pass tracks="):
        howto100m.released_tracks(7)


def test_prefix_of_data_parallel(tmp_path):
    plain = load_checkpoint(write(tmp_path / "a.pth", released()))
    parallel = load_checkpoint(write(tmp_path / "b.pth", released(), prefix="module."))
    for name, value in plain.state_dict().items():
        assert torch.equal(parallel.state_dict()[name], value)


def test_without_words(tmp_path):
    model = load_checkpoint(write(tmp_path / "model.pth", released()))
    assert model.embed_clips(np.ones((1, VIDEO_DIM))).shape == (1, DIM)
    with pytest.raises(ValueError, match=r"words=.*3 numbers per word.*GoogleNews"):
        model.encode_text(["egg"])
    with pytest.raises(InputError, match="have 2 numbers, the model reads 3"):
        load_checkpoint(tmp_path / "model.pth", words={"egg": [1.0, 2.0]})


def test_out_and_in_again(tmp_path):
    model = load_checkpoint(write(tmp_path / "model.pth", released()), words=WORDS)
    save_checkpoint(model, tmp_path / "again.pth")
    found = torch.load(tmp_path / "again.pth", weights_only=True)
    assert found.keys() == released().keys()
    assert found["GU_text.cg.batch_norm.running_var"].tolist() == [1.0] * DIM
    again = load_checkpoint(tmp_path / "again.pth", words=WORDS)
    assert (again.encode_text(["egg"]) == model.encode_text(["egg"])).all()


def test_as_a_checkpoint_of_ours(tmp_path):
    model = load_checkpoint(write(tmp_path / "model.pth", released()), words=WORDS)
    checkpoint.save(model, tmp_path / "ours")
    again = checkpoint.load(tmp_path / "ours", words=WORDS)
    assert again.config == model.config
    assert (again.encode_text(["Crack the egg"]) == model.encode_text(["Crack the egg"])).all()
    without = load_checkpoint(tmp_path / "model.pth")
    checkpoint.save(without, tmp_path / "bare")
    late = checkpoint.load(tmp_path / "bare", words=WORDS)
    assert (late.encode_text(["Crack the egg"]) == model.encode_text(["Crack the egg"])).all()


def released_formula(weights, words, rows):
    """The authors' network as it stands in their code, on (n, 20, e) word vectors and (m, D) rows."""

    def linear(name, x):
        return torch.nn.functional.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def gated(name, x):
        x = linear(f"{name}.fc", x)
        x = torch.nn.functional.glu(torch.cat((x, linear(f"{name}.cg.fc", x)), 1), 1)
        return torch.nn.functional.normalize(x)

    pooled = torch.relu(linear("text_pooling.fc", words)).max(dim=1)[0]
    return gated("GU_text", pooled), gated("GU_video", rows)


TEXTS = ["Crack the egg", "egg", "the the Crack", "the " * 25 + "egg"]


def word_vectors(texts):
    found = torch.zeros(len(texts), 20, WORD_DIM)
    for row, text in zip(found, texts, strict=True):
        for place, word in enumerate(text.split()[:20]):
            row[place] = torch.from_numpy(WORDS[word])
    return found


@pytest.mark.parametrize("pooled", [None, 4])
def test_what_was_learned_here_in_the_form_of_the_paper_is_given_out(tmp_path, pooled):
    text = TextConfig(tokens="words", drop_stop_words=False, lower=False)
    config = ModelConfig(
        tracks=(Track(name="2d", fps=1.0, dim=4), Track(name="3d", fps=1.5, dim=4)),
        dim=DIM, word_dim=WORD_DIM, pooled_dim=pooled, mask_padding=False, text=text, dropout=0.1,
    )  # fmt: skip
    model = TextVideoModel.new(config, seed=0, words=read_words(WORDS)).train()
    random = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    inputs = torch.from_numpy(model.prepare(TEXTS))
    for _ in range(10):
        texts, clips = model(inputs, torch.randn(len(TEXTS), VIDEO_DIM, generator=random))
        optimizer.zero_grad()
        max_margin(texts @ clips.T).backward()
        optimizer.step()
    save_checkpoint(model, tmp_path / "model.pth")
    weights = torch.load(tmp_path / "model.pth", weights_only=True)
    rows = torch.randn(5, VIDEO_DIM, generator=random)
    texts, clips = released_formula(weights, word_vectors(TEXTS), rows)
    np.testing.assert_allclose(model.encode_text(TEXTS), texts, atol=1e-6)
    np.testing.assert_allclose(model.embed_clips(rows.numpy()), clips, atol=1e-6)
    again = load_checkpoint(tmp_path / "model.pth", words=WORDS)
    assert (again.encode_text(TEXTS) == model.encode_text(TEXTS)).all()
    assert (again.embed_clips(rows.numpy()) == model.embed_clips(rows.numpy())).all()
    # And in our own form in between.
    checkpoint.save(model, tmp_path / "ours")
    save_checkpoint(checkpoint.load(tmp_path / "ours"), tmp_path / "again.pth")
    found = torch.load(tmp_path / "again.pth", weights_only=True)
    assert all(torch.equal(found[name], value) for name, value in weights.items())


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"mask_padding": True}, "leaves empty places out"),
        ({"text": TextConfig(tokens="words", pool="mean")}, "pools its words by mean"),
        ({"text": TextConfig(tokens="sentence", pool="mean")}, "reads sentences"),
        ({"steps": StepsConfig(width=8, heads=2, layers=1)}, "reads the steps"),
    ],
)
def test_what_the_released_code_cannot_is_not_given_out(changes, told):
    plain = {"dim": 3, "word_dim": 2, "mask_padding": False, "text": TextConfig(tokens="words")}
    config = ModelConfig(tracks=(Track(name="image", fps=1.0, dim=4),), **plain | changes)
    with pytest.raises(InputError, match=f"{told}.*the released code"):
        to_state_dict(TextVideoModel(config))


class Harmful:
    def __reduce__(self):
        return (print, ("this must not be executed",))


def test_files_that_are_no_checkpoint(tmp_path, capsys):
    path = tmp_path / "model.pth"
    with pytest.raises(InputError, match="no checkpoint at"):
        load_checkpoint(path)
    for content in (b"", b"nonsense", b"PK\x03\x04 cut", pickle.dumps(Harmful())):
        path.write_bytes(content)
        with pytest.raises(InputError, match="no file of weights alone") as raised:
            load_checkpoint(path)
        assert "\n" not in str(raised.value)
    torch.save({"weights": Harmful()}, path)
    with pytest.raises(InputError, match="no file of weights alone"):
        load_checkpoint(path)
    assert "executed" not in capsys.readouterr().out
    torch.save([1, 2], path)
    with pytest.raises(InputError, match="but list"):
        load_checkpoint(path)


def test_state_dicts_of_something_else(tmp_path):
    path = tmp_path / "model.pth"
    weights = released()
    del weights["GU_text.fc.bias"]
    with pytest.raises(InputError, match=r"missing GU_text.fc.bias; unknown nothing"):
        load_checkpoint(write(path, weights))
    with pytest.raises(InputError, match=r"missing nothing; unknown head.weight"):
        load_checkpoint(write(path, released() | {"head.weight": np.zeros((2, 2))}))
    with pytest.raises(InputError, match="no matrix"):
        load_checkpoint(write(path, released() | {"GU_text.fc.weight": np.zeros(3)}))
    with pytest.raises(InputError, match=r"another shape: text_unit.gate.weight is \(2, 2\)"):
        load_checkpoint(write(path, released() | {"GU_text.cg.fc.weight": np.zeros((2, 2))}))


def test_only_the_weights_are_offered_at_the_door():
    assert {getattr(howto100m, name).__name__ for name in howto100m.__all__} == {
        "load_checkpoint", "released_tracks", "save_checkpoint", "to_state_dict"
    }  # fmt: skip
    with pytest.raises(AttributeError, match=r"'tellvision\.howto100m' has no attribute 'read_captions'"):
        _ = howto100m.read_captions
