"""Sentence encoders: saved and opened again, each text of itself alone, what cannot be read, tuned in a model."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from tellvision.embedding import sentences as sentences_module
from tellvision.embedding import text as text_module
from tellvision.embedding.config import ModelConfig, TextConfig, Track
from tellvision.embedding.model import TextVideoModel
from tellvision.embedding.sentences import ENCODERS, SentenceEncoder
from tellvision.embedding.text import readable
from tellvision.records import InputError

transformers = pytest.importorskip("transformers", reason="the extra [transformers] is not installed")

PIECES = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "crack", "the", "egg", "stir", "pour", "."]
SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "vocab_size": len(PIECES),
    "max_position_embeddings": 32,
}
TINY = {
    "bert": transformers.BertConfig(**SIZES),
    "mpnet": transformers.MPNetConfig(**SIZES, pad_token_id=0),
    "roberta": transformers.RobertaConfig(**SIZES, pad_token_id=0),
    "distilbert": transformers.DistilBertConfig(
        dim=16, n_layers=2, n_heads=2, hidden_dim=32, vocab_size=10, max_position_embeddings=32
    ),
    "t5": transformers.T5Config(vocab_size=10, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2),
}
TEXT = TextConfig(tokens="sentence", pool="mean", max_words=6)
MODEL = ModelConfig(tracks=(Track(name="image", fps=1.0, dim=5),), dim=8, word_dim=16, text=TEXT)


def written(folder, kind="bert", seed=0):
    """A tiny encoder of random weights, as its makers would release it."""
    torch.manual_seed(seed)
    network = getattr(transformers, ENCODERS[kind])(TINY[kind])
    for parameter in network.parameters():  # far enough from zero that texts differ
        torch.nn.init.normal_(parameter, std=0.3)
    network.save_pretrained(folder)
    tokenizer = Tokenizer(models.WordLevel({piece: i for i, piece in enumerate(PIECES)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def opened(folder, **options):
    config = dataclasses.replace(TEXT, encoder=str(folder), **options)
    return SentenceEncoder.open(folder, config)


def new(folder, **options):
    text = dataclasses.replace(TEXT, encoder=str(folder), **options)
    return TextVideoModel.new(dataclasses.replace(MODEL, text=text), seed=0)


@pytest.fixture
def folder(tmp_path):
    return written(tmp_path / "released")


TEXTS = ["crack the egg", "", "stir", "crack the egg", "pour the egg the egg the egg the egg", "... !"]


def test_vectors(folder):
    encoder = opened(folder)
    assert (encoder.dim, encoder.width) == (16, 8)
    found = encoder.encode(TEXTS)
    assert found.dtype == np.float16
    assert found.shape == (6, 16)
    assert np.linalg.norm(found.astype(np.float32), axis=1) == pytest.approx([1, 0, 1, 1, 1, 0], abs=2e-3)
    assert readable(found).tolist() == [True, False, True, True, True, False]
    assert (found[0] == found[3]).all()
    assert np.abs(found[0].astype(float) - found[2]).max() > 0.01
    # Six tokens count.
    cut = encoder.encode(["pour the egg the egg the"])
    np.testing.assert_allclose(cut[0].astype(float), found[4].astype(float), atol=2e-3)
    assert encoder.encode([]).shape == (0, 16)


@pytest.mark.parametrize("pool", ["mean", "max"])
def test_mean_by_hand_and_each_text_alone(folder, pool, monkeypatch):
    monkeypatch.setattr(sentences_module, "has_bfloat16", lambda: False)
    encoder = opened(folder, pool=pool)
    found = encoder.encode(TEXTS)
    states = encoder.network(input_ids=torch.tensor([[1, 4, 5, 6, 2]])).last_hidden_state[0]
    expected = states.mean(dim=0) if pool == "mean" else states.amax(dim=0)
    np.testing.assert_allclose(found[0], (expected / expected.norm()).detach().numpy(), atol=1e-3)
    for at_once in (1, 9):
        monkeypatch.setattr(sentences_module, "_TOKENS_AT_ONCE", at_once)
        np.testing.assert_allclose(encoder.encode(TEXTS).astype(float), found.astype(float), atol=1e-3)


def test_token_ids_by_hand(folder):
    found = opened(folder).token_ids(["stir egg", "", "\ud800 egg"])
    assert found.dtype == np.int32
    assert found.tolist() == [[1, 7, 6, 2, *[-1] * 4], [-1] * 8, [1, 3, 6, 2, *[-1] * 4]]


@pytest.mark.parametrize("kind", sorted(TINY))
def test_saved_and_opened(tmp_path, kind):
    encoder = opened(written(tmp_path / "released", kind))
    encoder.save(tmp_path / "saved")
    assert sorted(path.name for path in (tmp_path / "saved").iterdir()) == [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    ]
    again = opened(tmp_path / "saved")
    assert again.weights == opened(tmp_path / "released").weights
    assert (again.encode(TEXTS) == encoder.encode(TEXTS)).all()
    assert again.weights != opened(written(tmp_path / "other", kind, seed=1)).weights


def test_half_precision_where_nothing_is_lost(folder, tmp_path):
    encoder = opened(folder)
    with torch.no_grad():
        for number, parameter in enumerate(encoder.network.parameters()):
            parameter.copy_(parameter.half() if number else parameter + 1e-6)
    encoder.save(tmp_path / "saved")
    kinds = [value.dtype for value in load_file(tmp_path / "saved" / "model.safetensors").values()]
    assert kinds.count(torch.float32) == 1
    assert set(kinds) == {torch.float16, torch.float32}
    assert opened(tmp_path / "saved").weights == encoder.weights


def test_frozen_in_the_model(folder):
    model = new(folder)
    assert (model.input_width, model.input_dtype) == (16, np.float16)
    assert not any("encoder" in name for name in model.state_dict())
    assert model.word_layer is None
    texts = model.encode_text(["crack the egg", "stir"])
    np.testing.assert_allclose(np.linalg.norm(texts, axis=1), 1.0, atol=1e-6)
    inputs = torch.from_numpy(model.prepare(["crack the egg", "stir"]))
    found, clips = model(inputs, torch.randn(2, 5).half())
    np.testing.assert_allclose(found.detach().numpy(), texts, atol=1e-6)
    (found * clips).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    with pytest.raises(InputError, match="text 1 has no word"):
        model.encode_text(["egg", " ?"])
    with pytest.raises(InputError, match="use encode_text"):
        model.embed_words(np.zeros((1, 2, 16)))


@pytest.mark.parametrize("pool", ["mean", "max", "attention"])
def test_tuned_in_the_model(folder, pool):
    model = new(folder, tune=True, pool=pool)
    assert (model.input_width, model.input_dtype) == (8, np.int32)
    assert any(name.startswith("encoder.") for name in model.state_dict())
    inputs = torch.from_numpy(model.prepare(["crack the egg", "stir"]))
    texts, clips = model.eval()(inputs, torch.randn(2, 5))
    if pool != "attention":  # a tuned encoder begins as the frozen one
        np.testing.assert_allclose(
            texts.detach().numpy(), new(folder, pool=pool).encode_text(TEXTS[::2][:2]), atol=5e-3
        )
    (texts * clips).sum().backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name
        assert parameter.requires_grad == ("pooler" not in name), name
    np.testing.assert_allclose(model.encode_text(["stir"])[0], texts[1].detach().numpy(), atol=1e-5)
    with pytest.raises(InputError, match="text 0 has no word"):
        model.encode_text(["."])
    assert model.to("cpu").sentences.network is model.encoder


def test_errors(folder, tmp_path):
    with pytest.raises(InputError, match="vectors of 16 numbers, the model reads 384: set word_dim=16"):
        TextVideoModel.new(
            dataclasses.replace(MODEL, word_dim=384, text=dataclasses.replace(TEXT, encoder=str(folder))), seed=0
        )
    with pytest.raises(InputError, match="there is no folder"):
        opened(tmp_path / "nothing" / "here" / "at all")
    with pytest.raises(InputError, match="reads 28 tokens at most"):
        opened(folder, max_words=29)
    with pytest.raises(InputError, match="is not loaded"):
        TextVideoModel(MODEL).prepare(["egg"])
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(InputError, match=r"tokenizer\.json cannot be read"):
        opened(folder)
    about = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(about | {"model_type": "gpt2"}))
    with pytest.raises(InputError, match="'gpt2': this family reads albert, bert"):
        opened(folder)


def test_a_damaged_encoder(folder):
    encoder = opened(folder)
    with torch.no_grad():
        next(encoder.network.parameters()).fill_(torch.nan)
    with pytest.raises(InputError, match="not finite"):
        encoder.encode(["egg"])


def test_without_the_library(folder, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(InputError, match=r"pip install 'tellvision\[transformers\]'"):
        opened(folder)


def test_minilm():
    try:
        text_module.offline_folder()
    except InputError as error:
        pytest.skip(str(error))
    encoder = SentenceEncoder.open("minilm", dataclasses.replace(TEXT, max_words=20))
    found = encoder.encode(["Crack two eggs.", "Break an egg into the bowl.", "Sand the table."]).astype(float)
    assert found.shape == (3, 384)
    assert found[0] @ found[1] > found[0] @ found[2] + 0.2
