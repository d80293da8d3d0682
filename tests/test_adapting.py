"""Fine-tuning: what is kept, what begins anew and is said, which tower learns."""

import dataclasses

import numpy as np
import pytest
import torch

from tellvision.embedding.adapting import adapted, freeze
from tellvision.embedding.checkpoint import load, save
from tellvision.embedding.config import ModelConfig, StepsConfig, TextConfig, Track
from tellvision.embedding.frozen import FrozenPair
from tellvision.embedding.model import TextVideoModel
from tellvision.embedding.words import read_words
from tellvision.records import InputError

IMAGE, MOTION = Track(name="image", fps=1.0, dim=5), Track(name="motion", fps=2.0, dim=3)
WORDS = read_words({name: np.random.default_rng(i).normal(size=4) for i, name in enumerate(["crack", "egg"])})
WIDER = read_words({name: np.random.default_rng(i).normal(size=7) for i, name in enumerate(["crack", "pan"])})
CONFIG = ModelConfig(tracks=(IMAGE,), dim=6, word_dim=4, text=TextConfig(tokens="words"))
STEPS = StepsConfig(width=8, heads=2, layers=1, dropout=0.5)


def a_model(steps=None, **changes):
    return TextVideoModel.new(dataclasses.replace(CONFIG, steps=steps, **changes), seed=0, words=WORDS)


def changed(old, new):
    """Names of the weights that are others, or of another shape, or new."""
    before = old.state_dict()
    return {
        name
        for name, value in new.state_dict().items()
        if name not in before or before[name].shape != value.shape or not torch.equal(before[name], value)
    }


def test_the_same_tracks_change_nothing():
    model = a_model()
    assert adapted(model, [IMAGE], seed=1) == (model, [])


def test_another_rate_keeps_the_weights_and_is_said():
    model = a_model()
    faster = dataclasses.replace(IMAGE, fps=3.0)
    again, warnings = adapted(model, [faster], seed=1)
    assert again.features == (faster,)
    assert changed(model, again) == set()
    assert warnings == [
        "the model learned from image at 1 per second, the features here have image at 3 per second: it is kept "
        "as it is"
    ]


@pytest.mark.parametrize(
    "tracks", [[Track(name="image", fps=1.0, dim=9)], [Track(name="other", fps=1.0, dim=5)], [IMAGE, MOTION]]
)
def test_other_tracks_get_a_new_input_layer(tracks):
    model = a_model()
    again, (warning,) = adapted(model, tracks, seed=1)
    assert changed(model, again) == {"clip_unit.project.weight", "clip_unit.project.bias"}
    assert again.config == dataclasses.replace(CONFIG, tracks=tuple(tracks))
    assert again.embed_clips(np.ones((2, again.config.video_dim))).shape == (2, 6)
    assert (again.encode_text(["crack egg"]) == model.encode_text(["crack egg"])).all()
    assert warning.startswith("the model reads image (5), the features here are ")
    assert warning.endswith("begins anew, the rest is kept")
    assert "\n" not in warning


def test_the_order_of_tracks_counts():
    model = a_model(tracks=(IMAGE, MOTION))
    again, (warning,) = adapted(model, [MOTION, IMAGE], seed=1)
    assert changed(model, again) == {"clip_unit.project.weight", "clip_unit.project.bias"}
    assert "image (5), motion (3), the features here are motion (3), image (5)" in warning


def test_a_transformer_over_steps_gets_new_layers_for_its_tracks():
    model = a_model(STEPS)
    again, (_,) = adapted(model, [IMAGE, MOTION], seed=1)
    layers = {f"clip_steps.rows.{i}.{part}" for i in (0, 1) for part in ("weight", "bias")}
    assert changed(model, again) == layers | {"clip_steps.track"}
    same_width, (_,) = adapted(model, [Track(name="other", fps=1.0, dim=5)], seed=1)
    assert changed(model, same_width) == {"clip_steps.rows.0.weight", "clip_steps.rows.0.bias", "clip_steps.track"}


def test_the_seed_decides():
    model = a_model()
    one, two, other = (adapted(model, [MOTION], seed=seed)[0] for seed in (1, 1, 2))
    assert changed(one, two) == set()
    assert changed(one, other) == {"clip_unit.project.weight", "clip_unit.project.bias"}


def test_the_given_model_is_left_alone():
    model = a_model()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    again, _ = adapted(model, [MOTION], seed=1)
    with torch.no_grad():
        for value in again.parameters():
            value.add_(1.0)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_other_words():
    model = a_model()
    again, warnings = adapted(model, [IMAGE], words=WORDS, seed=1)
    assert (changed(model, again), warnings) == (set(), [])
    again, (warning,) = adapted(model, [IMAGE], words=WIDER, seed=1)
    assert changed(model, again) == {"word_layer.weight", "word_layer.bias"}
    assert warning == (
        "the model reads words of 4 numbers, the words here have 7: its layer for them begins anew, the rest is "
        "kept"
    )
    assert again.encode_text(["pan"]).shape == (1, 6)
    assert (again.embed_clips(np.ones((1, 5))) == model.embed_clips(np.ones((1, 5)))).all()
    _, warnings = adapted(model, [MOTION], words=WIDER, seed=1)
    assert len(warnings) == 2


def test_words_in_place_of_learned_ones():
    text = TextConfig(tokens="learned", min_count=1)
    model = TextVideoModel.new(dataclasses.replace(CONFIG, text=text), seed=0, texts=["crack two eggs"])
    again, warnings = adapted(model, [MOTION], seed=1)
    assert (again.encode_text(["two eggs"]) == model.encode_text(["two eggs"])).all()
    assert len(warnings) == 1
    assert isinstance(again.word_table, torch.nn.Parameter)
    again, (warning,) = adapted(model, [IMAGE], words=WORDS, seed=1)
    assert again.config.text.tokens == "words"
    assert again.word_table is None
    assert changed(model, again) == {"word_layer.weight", "word_layer.bias"}
    assert "reads learned of 4 numbers" in warning
    assert again.encode_text(["crack egg"]).shape == (1, 6)


def test_what_is_adapted_can_be_saved(tmp_path):
    again, _ = adapted(a_model(STEPS), [IMAGE, MOTION], words=WIDER, seed=1)
    save(again, tmp_path)
    found = load(tmp_path, words=WIDER)
    assert found.config == again.config
    assert changed(again, found) == set()


def test_words_for_a_checkpoint_that_was_loaded_without(tmp_path):
    save(a_model(), tmp_path)
    again, warnings = adapted(load(tmp_path), [IMAGE], words=WORDS, seed=1)
    assert warnings == []
    assert (again.encode_text(["crack egg"]) == a_model().eval().encode_text(["crack egg"])).all()
    assert len(adapted(load(tmp_path), [IMAGE], words=WIDER, seed=1)[1]) == 1


def test_a_frozen_pair_does_not_learn():
    with pytest.raises(InputError, match="clip is a frozen pair, which does not learn"):
        adapted(FrozenPair("clip", "clip:openai/clip"), [IMAGE], seed=0)


def a_step(model):
    """The names of the weights that a step of training changes."""
    before = {name: value.clone() for name, value in model.state_dict().items()}
    learned = [value for value in model.parameters() if value.requires_grad]
    texts, clips = model.train()(torch.tensor([[0, 1], [1, -1]]), torch.randn(2, 5))
    (texts * clips[:2]).sum().backward()
    torch.optim.SGD(learned, lr=1.0).step()
    return {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}


@pytest.mark.parametrize("steps", [None, STEPS])
def test_a_frozen_tower_stays_as_it_is(steps):
    everything = a_step(a_model(steps))
    clip = {name for name in everything if name.startswith("clip_")}
    assert clip
    assert everything - clip
    for which, learns in (("none", everything), ("text", clip), ("clip", everything - clip)):
        model = a_model(steps)
        freeze(model, which)
        assert a_step(model) == learns


def test_learned_words_are_frozen_with_their_tower():
    text = TextConfig(tokens="learned", min_count=1, pool="attention")
    model = TextVideoModel.new(dataclasses.replace(CONFIG, text=text), seed=0, texts=["crack two eggs"])
    freeze(model, "text")
    assert {name for name, value in model.named_parameters() if value.requires_grad} == {
        f"clip_unit.{layer}.{part}" for layer in ("project", "gate") for part in ("weight", "bias")
    }


def test_nothing_is_left_out_of_a_frozen_tower():
    clips = torch.randn(4, 3, 5)
    model = a_model(STEPS).train()
    assert not torch.equal(model.embed_rows(clips), model.embed_rows(clips))
    freeze(model, "clip")
    model.eval()
    wanted = model.embed_rows(clips)
    model.train()  # as the loop does after each look at the held-out videos
    torch.testing.assert_close(model.embed_rows(clips), wanted, rtol=0, atol=1e-6)


def test_another_name_of_a_tower():
    with pytest.raises(InputError, match="none, text or clip, got 'words'"):
        freeze(a_model(), "words")
