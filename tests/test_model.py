"""The two towers: worked by hand, and the training path equal to the plain form."""

import dataclasses
import shutil

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tellvision.embedding import model as model_module
from tellvision.embedding.config import ModelConfig, StepsConfig, TextConfig, Track, from_dict, to_dict
from tellvision.embedding.model import GatedUnit, TextVideoModel
from tellvision.embedding.text import TextTransform
from tellvision.embedding.towers.pooling import distinct_of
from tellvision.embedding.words import read_words
from tellvision.records import InputError

TRACKS = (Track(name="image", fps=1.0, dim=3), Track(name="motion", fps=1.5, dim=2))
CONFIG = ModelConfig(
    tracks=TRACKS, dim=6, word_dim=4, text=TextConfig(tokens="words", max_words=5, drop_stop_words=False)
)


def vocabulary():
    random = np.random.default_rng(5)
    names = ["crack", "egg", "bowl", "stir", "pour"]
    return read_words({name: random.normal(size=4) for name in names})


def build(**options):
    return TextVideoModel.new(dataclasses.replace(CONFIG, **options), seed=0, words=vocabulary())


@pytest.fixture
def model():
    return build()


def clips(n=7, seed=0, shape=()):
    return np.random.default_rng(seed).normal(size=(n, *shape, 5)).astype(np.float32)


def test_gated_unit_by_hand():
    unit = GatedUnit(1, 2)
    with torch.no_grad():
        unit.project.weight.copy_(torch.tensor([[2.0], [1.0]]))
        unit.project.bias.copy_(torch.tensor([0.0, 1.0]))
        unit.gate.weight.zero_()
        unit.gate.bias.copy_(torch.tensor([0.0, np.log(3.0)]))
    # x = 1: project (2, 2); gates sigmoid(0) = 1/2, sigmoid(log 3) = 3/4; (1, 1.5), of length sqrt(3.25).
    found = unit(torch.ones(1, 1))[0].tolist()
    assert found == pytest.approx([1 / 3.25**0.5, 1.5 / 3.25**0.5])


def test_number_of_weights_is_that_of_the_paper():
    config = ModelConfig(tracks=(Track(name="joined", fps=1.0, dim=4096),), dim=4096, word_dim=300)
    for dim, expected in ((4096, 68_358_144), (6144, 140_285_952)):
        with torch.device("meta"):
            model = TextVideoModel(dataclasses.replace(config, dim=dim))
        assert sum(weight.numel() for weight in model.parameters()) == expected


def test_same_seed_same_weights():
    torch.manual_seed(3)
    first, before = build(), torch.random.get_rng_state()
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), build().parameters(), strict=True))
    assert torch.equal(before, torch.random.get_rng_state())
    other = TextVideoModel.new(CONFIG, seed=1, words=vocabulary())
    assert not torch.equal(first.word_layer.weight, other.word_layer.weight)


def test_features_and_unit_length(model):
    assert model.features == TRACKS
    found = model.embed_clips(clips())
    assert found.dtype == np.float32
    assert found.shape == (7, 6)
    assert np.linalg.norm(found, axis=1) == pytest.approx(1.0)
    texts = model.encode_text(["crack egg", "pour"])
    assert texts.dtype == np.float32
    assert np.linalg.norm(texts, axis=1) == pytest.approx(1.0)


def test_numpy_in_numpy_out_tensors_in_tensors_out(model):
    rows = clips()
    expected = model.embed_clips(rows)
    for given in (torch.from_numpy(rows), torch.from_numpy(rows).double()):
        found = model.embed_clips(given)
        assert isinstance(found, torch.Tensor)
        assert found.dtype == torch.float32
        assert not found.requires_grad
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(model.embed_clips(rows.astype(np.float64)), expected, atol=1e-6)
    half = rows.astype(np.float16)
    np.testing.assert_allclose(model.embed_clips(half), model.embed_clips(half.astype(np.float32)))


def test_read_only_arrays_are_fine(model):
    rows = clips()
    rows.flags.writeable = False
    model.embed_clips(rows)
    model.embed_words(np.broadcast_to(np.float32(1.0), (2, 3, 4)))


def test_steps_are_pooled_per_track(model):
    steps = clips(4, shape=(3,))
    pooled = steps.max(axis=1)
    for part in (slice(0, 3), slice(3, 5)):
        pooled[:, part] /= np.linalg.norm(pooled[:, part], axis=1, keepdims=True)
    np.testing.assert_allclose(model.embed_clips(steps), model.embed_clips(pooled), atol=1e-6)
    mask = np.array([[1, 1, 0]] * 4, dtype=bool)
    steps[:, 2] = np.nan  # what does not count may hold anything
    np.testing.assert_allclose(model.embed_clips(steps, mask), model.embed_clips(steps[:, :2]), atol=1e-6)


def test_a_pooled_track_of_zeros_stays_zero(model):
    steps = np.zeros((1, 2, 5), dtype=np.float32)
    np.testing.assert_allclose(model.embed_clips(steps), model.embed_clips(steps[:, 0]), atol=1e-6)


def test_every_place_counts_without_a_mask(model):
    words = np.random.default_rng(1).normal(size=(3, 2, 4)).astype(np.float32)
    padded = np.concatenate([words, np.zeros((3, 1, 4), dtype=np.float32)], axis=1)
    with torch.no_grad():
        model.word_layer.bias.fill_(5.0)  # a word of zeros is relu(bias) = 5, which now wins often
    assert np.abs(model.embed_words(padded) - model.embed_words(words)).max() > 1e-3
    mask = np.array([[True, True, False]] * 3)
    np.testing.assert_allclose(model.embed_words(padded, mask), model.embed_words(words), atol=1e-6)
    tensors = model.embed_words(torch.from_numpy(padded), torch.from_numpy(mask))
    np.testing.assert_allclose(tensors.numpy(), model.embed_words(words), atol=1e-6)


def test_embed_words_by_hand():
    model = build(dim=2, word_dim=4)
    with torch.no_grad():
        model.word_layer.weight.copy_(torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0]]))
        model.word_layer.bias.zero_()
        model.text_unit.project.weight.copy_(torch.eye(2))
        model.text_unit.project.bias.zero_()
        model.text_unit.gate.weight.zero_()
        model.text_unit.gate.bias.zero_()
    # Word layer with ReLU: (3, 0) and (0, 4); maximum (3, 4); gates 1/2; of unit length (.6, .8).
    words = np.array([[[3.0, -1, 9, 9], [-2, 4, 9, 9]]])
    np.testing.assert_allclose(model.embed_words(words), [[0.6, 0.8]], atol=1e-6)


def test_encode_text_equals_embed_words(model):
    table = vocabulary()
    texts = ["crack egg bowl", "Stir unknown stir", "pour egg egg egg egg crack"]  # the last is cut at five
    for text, found in zip(texts, model.encode_text(texts), strict=True):
        words = [word for word in text.lower().split() if word in table.index][:5]
        rows = table.rows[np.array([table.index[word] for word in words])][None]
        np.testing.assert_allclose(found, model.embed_words(rows)[0], atol=1e-6)


def test_unmasked_padding_in_encode_text():
    model = build(mask_padding=False)
    with torch.no_grad():
        model.word_layer.bias.fill_(2.0)
    table = vocabulary()
    words = np.zeros((1, 5, 4), dtype=np.float32)
    words[0, 0] = table.rows[np.array([table.index["egg"]])]
    np.testing.assert_allclose(model.encode_text(["egg"]), model.embed_words(words), atol=1e-6)
    assert np.abs(model.encode_text(["egg"]) - model.embed_words(words[:, :1])).max() > 1e-3


def plain_text_tower(model, table, ids):
    """The word layer at every place, as it is written in the paper."""
    rows = table[ids.clamp(min=0)] * (ids >= 0)[:, :, None]
    hidden = F.relu(model.word_layer(rows))
    if model.config.mask_padding:
        hidden = hidden.masked_fill((ids < 0)[:, :, None], -torch.inf)
    return model.text_unit(hidden.amax(dim=1))


@pytest.mark.parametrize("mask_padding", [True, False])
@pytest.mark.parametrize("inside", [True, False])
def test_training_path_equals_the_plain_form(mask_padding, inside):
    model = build(mask_padding=mask_padding)
    table = torch.from_numpy(model.words.rows[np.arange(5)])
    if inside:
        model.words, model.word_table = None, table
    ids = torch.from_numpy(np.random.default_rng(3).integers(0, 5, size=(9, 6)).astype(np.int32))
    ids[0, 1:] = -1
    ids[1:4, 4:] = -1
    rows = torch.from_numpy(clips(9))
    weight = torch.randn(9, 6)

    def gradients(texts, seen):
        model.zero_grad()
        ((texts @ seen.T) ** 2 + (texts * weight).sum()).sum().backward()
        return [parameter.grad.clone() for parameter in model.parameters()]

    texts, seen = model(ids, rows)
    plain = plain_text_tower(model, table, ids)
    torch.testing.assert_close(texts, plain, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(seen, model.clip_unit(rows))
    ours = gradients(texts, seen)
    theirs = gradients(plain_text_tower(model, table, ids), model.clip_unit(rows))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)
        assert a.abs().sum() > 0


def test_the_table_is_not_trained():
    model = TextVideoModel(CONFIG, None, torch.ones(3, 4))
    assert "word_table" in model.state_dict()
    assert all(name != "word_table" for name, _ in model.named_parameters())


def test_blocks_change_nothing(model, monkeypatch):
    rows, steps = clips(7), clips(7, shape=(3,))
    words = np.random.default_rng(1).normal(size=(7, 2, 4))
    texts = ["crack", "egg pour", "stir"]
    whole = [
        model.embed_clips(rows),
        model.embed_clips(steps),
        model.embed_words(words),
        model.encode_text(texts),
    ]
    monkeypatch.setattr(model_module, "_BLOCK", 2)
    parts = [
        model.embed_clips(rows),
        model.embed_clips(steps),
        model.embed_words(words),
        model.encode_text(texts),
    ]
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_nothing_in_nothing_out(model):
    assert model.encode_text([]).shape == (0, 6)
    assert model.embed_clips(clips(0)).shape == (0, 6)
    assert model.embed_clips(clips(0, shape=(4,))).shape == (0, 6)
    assert model.embed_words(np.zeros((0, 2, 4))).shape == (0, 6)


def test_errors_name_the_place(model):
    with pytest.raises(ValueError, match="text 1 has no word that the model knows: 'xyz the'"):
        model.encode_text(["egg", "xyz the"])
    with pytest.raises(ValueError, match=r"text 0 .* ''"):
        model.encode_text([""])
    with pytest.raises(ValueError, match="takes a list"):
        model.encode_text("egg")
    mask = np.array([[True, False], [False, False]])
    with pytest.raises(ValueError, match="text 1 has no word that counts"):
        model.embed_words(np.zeros((2, 2, 4)), mask)
    with pytest.raises(ValueError, match="text 0 has no word that counts"):
        model.embed_words(np.zeros((2, 0, 4)))
    with pytest.raises(ValueError, match="clip 1 has no step that counts"):
        model.embed_clips(clips(2, shape=(2,)), mask)
    with pytest.raises(ValueError, match="clip 0 has no step that counts"):
        model.embed_clips(clips(2, shape=(0,)))
    rows = clips()
    rows[3, 2] = np.nan
    with pytest.raises(ValueError, match="clip 3 holds NaN"):
        model.embed_clips(rows)


@pytest.mark.parametrize("shape", [(3, 4), (3, 6), (5,), (1, 2, 3, 5), (2, 3, 4)])
def test_another_width_of_clips(model, shape):
    with pytest.raises(ValueError, match=r"\(n, 5\) or \(n, steps, 5\) \(image 3 \+ motion 2\)"):
        model.embed_clips(np.zeros(shape))


def test_other_shapes(model):
    with pytest.raises(ValueError, match=r"\(n, words, 4\)"):
        model.embed_words(np.zeros((2, 3, 5)))
    with pytest.raises(ValueError, match=r"the mask has the shape \(2, 3\), got \(2, 2\)"):
        model.embed_words(np.zeros((2, 3, 4)), np.ones((2, 2), dtype=bool))
    with pytest.raises(ValueError, match=r"goes with \(n, steps, D\)"):
        model.embed_clips(clips(2), np.ones(2, dtype=bool))


def test_words_that_were_not_given():
    model = TextVideoModel(CONFIG)
    with pytest.raises(ValueError, match="words="):
        model.encode_text(["egg"])
    with pytest.raises(ValueError, match="words="):
        model(torch.zeros(1, 1, dtype=torch.int32), torch.zeros(1, 5))
    with pytest.raises(InputError, match="read_words"):
        TextVideoModel.new(CONFIG, seed=0)
    with pytest.raises(InputError, match="have 4 numbers, the model reads 7"):
        TextVideoModel.new(dataclasses.replace(CONFIG, word_dim=7), seed=0, words=vocabulary())


def test_word_pieces_from_the_offline_table():
    model = TextVideoModel.new(ModelConfig(tracks=TRACKS, dim=8), seed=0)
    found = model.encode_text(["crack two eggs", "crack 2 eggs", "crack two eggs"])
    assert (found[0] == found[2]).all()
    assert not np.allclose(found[0], found[1])


def test_text_transform_is_shared_with_the_model(model):
    ids = TextTransform(CONFIG.text, vocabulary()).token_ids(["crack egg"])
    with torch.no_grad():
        np.testing.assert_allclose(
            model.embed_inputs(torch.from_numpy(ids)).numpy(), model.encode_text(["crack egg"]), atol=1e-6
        )


def test_config_to_dict_and_back():
    config = dataclasses.replace(CONFIG, pooled_dim=3, mask_padding=False)
    assert from_dict(to_dict(config)) == config
    assert config.video_dim == 5
    for broken in ({}, to_dict(config) | {"colour": 1}, to_dict(config) | {"text": {"sound": 2}}):
        with pytest.raises(InputError, match="no model configuration"):
            from_dict(broken)


@pytest.mark.parametrize(
    ("options", "match"),
    [({"dim": 0}, "dim is at least 1"), ({"tracks": ()}, "at least one track")],
)
def test_config_errors(options, match):
    with pytest.raises(InputError, match=match):
        dataclasses.replace(CONFIG, **options)


# ---- other ways to read texts and clips

LEARNED = TextConfig(tokens="learned", max_words=5, drop_stop_words=False, min_count=2)
SAID = ["crack the egg", "crack an egg", "stir the bowl", "stir it"]


def learned(**options):
    return TextVideoModel.new(dataclasses.replace(CONFIG, text=LEARNED, **options), seed=0, texts=SAID)


def test_the_loaders_form_equals_that_of_the_ids(model):
    ids = torch.tensor([[0, 3, -1], [3, 3, 4], [1, -1, -1]], dtype=torch.int32)
    distinct = torch.tensor([0, 1, 3, 4])
    places = torch.tensor([[0, 2, 4], [2, 2, 3], [1, 4, 4]])
    rows = torch.from_numpy(clips(3))
    torch.testing.assert_close(model(places, rows, None, distinct), model(ids, rows))


def test_learned_words():
    model = learned()
    assert model.text.lookup.words == ("crack", "egg", "stir", "the")
    assert model.word_table.shape == (4, 4)
    assert (model.input_width, model.input_dtype) == (5, np.int32)
    assert "word_table" in model.state_dict()
    again = learned()
    assert torch.equal(model.word_table, again.word_table)
    ids = torch.from_numpy(model.prepare(["crack the egg", "crack it"]))
    texts, _ = model(ids, torch.from_numpy(clips(2)))
    texts[:, 0].sum().backward()
    moved = model.word_table.grad.abs().sum(dim=1) > 0
    assert moved.tolist() == [True, True, False, True]  # nobody said stir
    with pytest.raises(InputError, match="pass texts="):
        TextVideoModel.new(dataclasses.replace(CONFIG, text=LEARNED), seed=0)


@pytest.mark.parametrize("pool", ["max", "mean", "attention"])
def test_pools_leave_empty_places_out(pool):
    text = dataclasses.replace(CONFIG.text, pool=pool)
    model = build(text=text)
    assert ("word_pool.query" in model.state_dict()) == (pool == "attention")
    table = vocabulary()
    words = table.rows[np.array([table.index["egg"], table.index["stir"]])][None]
    np.testing.assert_allclose(model.encode_text(["egg stir"]), model.embed_words(words), atol=1e-6)
    padded = np.concatenate([words, np.full((1, 2, 4), np.nan, np.float32)], axis=1)
    mask = np.array([[True, True, False, False]])
    np.testing.assert_allclose(model.embed_words(padded, mask), model.embed_words(words), atol=1e-6)


def test_nan_in_a_word_is_told(model):
    words = np.ones((2, 3, 4), np.float32)
    words[1, 2] = np.nan
    with pytest.raises(ValueError, match="text 1 holds NaN"):
        model.embed_words(words)


def test_bfloat16_comes_close_and_ends_in_float32():
    model = build(dim=32)
    ids = torch.from_numpy(model.prepare(["crack egg", "stir pour bowl", "egg"]))
    rows = torch.from_numpy(clips(3)).half()
    plain = model(ids, rows)
    with torch.autocast("cpu", torch.bfloat16):
        found = model(ids, rows)
    for a, b in zip(found, plain, strict=True):
        assert a.dtype == b.dtype == torch.float32
        assert ((a * b).sum(dim=1) > 0.999).all()
        torch.testing.assert_close(a.norm(dim=1), torch.ones(3))


def test_dropout_only_while_training():
    model = build(dropout=0.5)
    rows = torch.from_numpy(clips(4))
    once, twice = model.train().embed_rows(rows), model.embed_rows(rows)
    assert not torch.allclose(once, twice)
    found = model.embed_clips(rows)
    assert model.training
    torch.testing.assert_close(found, model.eval().embed_rows(rows).detach())


def stepping():
    steps = StepsConfig(width=8, heads=2, layers=1, max_steps=4, dropout=0.5)
    return build(steps=steps)


def test_steps_of_clips():
    model = stepping()
    steps = clips(3, shape=(4,))
    found = model.embed_clips(steps)
    assert found.shape == (3, 6)
    assert np.abs(model.embed_clips(steps[:, ::-1].copy()) - found).max() > 1e-4
    np.testing.assert_allclose(model.embed_clips(steps[:, 0]), model.embed_clips(steps[:, :1]), atol=1e-6)
    # What the mask leaves out is not there: neither in the end nor between.
    mask = np.array([[1, 0, 1, 1]] * 3, dtype=bool)
    steps[:, 1] = np.nan
    np.testing.assert_allclose(model.embed_clips(steps, mask), model.embed_clips(steps[:, [0, 2, 3]]), atol=1e-6)
    with torch.no_grad():
        counted = model.eval().embed_rows(torch.from_numpy(steps[:, [0, 2, 3, 1]]), torch.tensor([3, 3, 3]))
    np.testing.assert_allclose(counted.numpy(), model.embed_clips(steps, mask), atol=1e-6)
    # Of seven steps the first, the last, and between them every other one.
    longer = clips(2, shape=(7,))
    np.testing.assert_allclose(model.embed_clips(longer), model.embed_clips(longer[:, ::2]), atol=1e-6)


def test_steps_of_a_config_survive_json():
    config = dataclasses.replace(CONFIG, steps=StepsConfig(layers=3), dropout=0.1, text=LEARNED)
    assert from_dict(to_dict(config)) == config


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="compiling for a processor takes a C++ compiler")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_compiled_towers_give_the_same():
    model = build(dim=16, pooled_dim=8)
    ids = torch.tensor([[0, 3, -1], [3, 2, 4], [1, -1, -1]], dtype=torch.int32)
    distinct, places = distinct_of(ids)
    model.word_table = torch.from_numpy(model.words.rows[np.arange(5)])
    rows = torch.from_numpy(clips(3))
    compiled = torch.compile(model, dynamic=True)
    results = []
    for towers in (model, compiled):
        model.zero_grad()
        texts, seen = towers(places, rows, None, distinct)
        ((texts @ seen.T) ** 2).sum().backward()
        results.append([texts, seen, *(parameter.grad.clone() for parameter in model.parameters())])
    torch.testing.assert_close(*results, atol=1e-5, rtol=1e-4)
