"""Checkpoints: written then read, refused where they are not whole; the package's lazy names."""

import dataclasses
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

import tellvision
from tellvision.embedding import saving
from tellvision.embedding import text as text_module
from tellvision.embedding.checkpoint import digest_of, load, read_config, save, weights_hash
from tellvision.embedding.config import ModelConfig, StepsConfig, TextConfig, Track, to_dict
from tellvision.embedding.model import TextVideoModel
from tellvision.embedding.sentences import SentenceEncoder
from tellvision.embedding.words import Vocabulary, read_words
from tellvision.records import InputError

TRACKS = (Track(name="image", fps=1.0, dim=5),)
WORDS = {name: np.random.default_rng(i).normal(size=4) for i, name in enumerate(["crack", "egg", "bowl"])}
OUTSIDE = ModelConfig(tracks=TRACKS, dim=6, word_dim=4, text=TextConfig(tokens="words"))
ROWS = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)


@pytest.fixture
def model():
    return TextVideoModel.new(OUTSIDE, seed=0, words=read_words(WORDS))


@pytest.fixture(scope="module")
def pieces():
    return TextVideoModel.new(ModelConfig(tracks=TRACKS, dim=6), seed=0)


def test_word_pieces_lie_in_the_folder(pieces, tmp_path, monkeypatch):
    save(pieces, tmp_path / "run", {"epoch": 3})
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    ]
    assert safetensors.torch.load_file(tmp_path / "run/model.safetensors")["word_table"].dtype == torch.float16

    text_module.offline_folder.cache_clear()
    monkeypatch.setattr(text_module, "_PACKAGE", "no_such_package_here")  # the folder is enough
    again = tellvision.load(tmp_path / "run")
    assert again.config == pieces.config
    assert not again.training
    for name, value in pieces.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name  # bit for bit
        assert again.state_dict()[name].dtype == torch.float32
    texts = ["crack two eggs", "the of", "don't stir it"]
    assert (again.encode_text(texts) == pieces.encode_text(texts)).all()
    assert (again.embed_clips(ROWS) == pieces.embed_clips(ROWS)).all()
    assert read_config(tmp_path / "run")["extra"] == {"epoch": 3}
    text_module.offline_folder.cache_clear()


def test_stop_words_are_those_of_the_writer(pieces, tmp_path, monkeypatch):
    monkeypatch.setattr(pieces.text, "stop_words", frozenset({"eggs"}))
    save(pieces, tmp_path)
    again = load(tmp_path)
    assert again.text.stop_words == {"eggs"}
    assert (again.encode_text(["crack eggs"]) == again.encode_text(["crack"])).all()


def test_outside_words(model, tmp_path):
    save(model, tmp_path)
    assert not (tmp_path / "tokenizer.json").exists()
    bare = load(tmp_path)
    assert (bare.embed_clips(ROWS) == model.embed_clips(ROWS)).all()
    with pytest.raises(ValueError, match="words="):
        bare.encode_text(["egg"])
    again = load(str(tmp_path), words=WORDS)
    assert (again.encode_text(["crack egg"]) == model.encode_text(["crack egg"])).all()
    (tmp_path / "w.txt").write_text("egg 1 2 3 4\n")
    assert load(tmp_path, words=tmp_path / "w.txt").encode_text(["egg"]).shape == (1, 6)
    with pytest.raises(InputError, match="have 2 numbers, the model reads 4"):
        load(tmp_path, words={"egg": [1.0, 2.0]})


def test_word_pieces_take_no_words(pieces, tmp_path):
    save(pieces, tmp_path)
    with pytest.raises(InputError, match="without words="):
        load(tmp_path, words=WORDS)


def test_the_same_model_gives_the_same_bytes(model, tmp_path):
    save(model, tmp_path / "a", {"b": 1, "a": 2})
    save(model, tmp_path / "b", {"a": 2, "b": 1})
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_table_that_half_precision_cannot_hold_is_kept_whole(tmp_path):
    table = torch.full((3, 4), 1 / 3)
    save(TextVideoModel(OUTSIDE, None, table), tmp_path)
    assert torch.equal(load(tmp_path).word_table, table)


def test_killed_between_two_files(model, tmp_path, monkeypatch):
    save(model, tmp_path, {"epoch": 1})
    with torch.no_grad():
        model.word_layer.weight.add_(1.0)
    write = saving.atomic_write

    def killed(path, data):
        if path.name == "config.json":
            raise KeyboardInterrupt
        write(path, data)

    monkeypatch.setattr(saving, "atomic_write", killed)
    with pytest.raises(KeyboardInterrupt):
        save(model, tmp_path, {"epoch": 2})
    assert torch.equal(load(tmp_path).word_layer.weight, model.word_layer.weight)
    assert read_config(tmp_path)["extra"] == {"epoch": 1}
    longer = dataclasses.replace(OUTSIDE, text=TextConfig(tokens="words", max_words=7))
    with pytest.raises(KeyboardInterrupt):
        save(TextVideoModel.new(longer, seed=0, words=read_words(WORDS)), tmp_path)
    with pytest.raises(InputError, match="save the model again"):
        load(tmp_path)


def test_weights_are_named_by_their_bytes(model, tmp_path):
    save(model, tmp_path)
    wanted = hashlib.sha256((tmp_path / "model.safetensors").read_bytes()).hexdigest()
    assert weights_hash(tmp_path) == wanted


def test_files_of_two_models(model, tmp_path):
    save(model, tmp_path / "a")
    longer = dataclasses.replace(OUTSIDE, text=TextConfig(tokens="words", max_words=7))
    save(TextVideoModel.new(longer, seed=0, words=read_words(WORDS)), tmp_path / "b")
    (tmp_path / "a/config.json").write_bytes((tmp_path / "b/config.json").read_bytes())
    with pytest.raises(InputError, match="belongs to another configuration"):
        load(tmp_path / "a")


def edit(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def rewritten(folder, about):
    """Weights that claim to belong to `about`."""
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    marks = {"model": saving.digest(about["model"]), "weights": saving.checksum(weights)}
    data = safetensors.torch.save(weights, {saving.MARKS: json.dumps(marks)})
    (folder / "model.safetensors").write_bytes(data)


def test_another_shape(model, tmp_path):
    save(model, tmp_path)
    about = read_config(tmp_path)
    edit(tmp_path, model=about["model"] | {"dim": 9})
    with pytest.raises(InputError, match="belongs to another configuration"):
        load(tmp_path)
    rewritten(tmp_path, read_config(tmp_path))
    with pytest.raises(InputError, match=r"another shape: clip_unit.gate.bias is \(6,\), .* says \(9,\)"):
        load(tmp_path)


@pytest.mark.parametrize("schema", [0, 2, "1", None])
def test_another_schema(model, tmp_path, schema):
    save(model, tmp_path)
    edit(tmp_path, schema=schema)
    with pytest.raises(InputError, match=f"schema {schema}, this tellvision reads 1"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("content", [None, b"", b"{}", b"\xff\xfe nonsense", b"[1, 2]"])
def test_missing_or_damaged(pieces, tmp_path, name, content):
    save(pieces, tmp_path)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as raised:
        load(tmp_path)
    assert "\n" not in str(raised.value)


def test_without_weights_the_next_step_is_named(model, tmp_path):
    save(model, tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"safetensors is missing: train again: tellvision train WORK"):
        load(tmp_path)


def test_cut_off(model, tmp_path):
    save(model, tmp_path)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InputError, match=r"cannot be read \(.+\): delete it and train again"):
        load(tmp_path)


def test_a_file_in_place_of_a_folder(tmp_path):
    (tmp_path / "released.pth").write_bytes(b"x")
    with pytest.raises(InputError, match=r"howto100m.load_checkpoint"):
        load(tmp_path / "released.pth")


def test_nothing_there(tmp_path):
    with pytest.raises(InputError, match="there is no checkpoint at"):
        load(tmp_path / "none")


def test_a_loaded_model_trains_and_leaves_the_file_alone(pieces, tmp_path):
    save(pieces, tmp_path)
    before = (tmp_path / "model.safetensors").read_bytes()
    again = load(tmp_path).train()
    optimizer = torch.optim.Adam(again.parameters(), lr=0.1)
    texts, clips = again(torch.tensor([[5, 6, -1], [7, -1, -1]]), torch.from_numpy(ROWS))
    (texts @ clips.T).sum().backward()
    optimizer.step()
    assert not torch.equal(again.word_layer.weight, pieces.word_layer.weight)
    assert (tmp_path / "model.safetensors").read_bytes() == before


def tiny_encoder(config, seed=0):
    """A BERT of 8 numbers that knows six words."""
    transformers = pytest.importorskip("transformers")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "crack", "two", "eggs", "stir", "it", "bowl"]
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    sizes = {"vocab_size": 10, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    about = transformers.BertConfig(**sizes, intermediate_size=16, max_position_embeddings=64)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = transformers.BertModel(about)
    return SentenceEncoder(network, tokenizer, about.to_dict(), config)


def a_model(kind):
    """A model of every kind that reads other files."""
    if kind == "steps":
        steps = StepsConfig(width=8, heads=2, layers=1)
        return TextVideoModel.new(dataclasses.replace(OUTSIDE, steps=steps), seed=0, words=read_words(WORDS))
    if kind == "learned":
        text = TextConfig(tokens="learned", min_count=1, pool="attention")
        config = ModelConfig(tracks=TRACKS, dim=6, word_dim=4, text=text)
        return TextVideoModel.new(config, seed=0, texts=["crack two eggs", "two in a bowl"])
    text = TextConfig(tokens="sentence", encoder="tiny", tune=kind == "tuned", pool="mean", max_words=8)
    config = ModelConfig(tracks=TRACKS, dim=6, word_dim=8, text=text, dropout=0.1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return TextVideoModel(config, sentences=tiny_encoder(text)).eval()


FILES = {
    "steps": ["config.json", "model.safetensors"],
    "learned": ["config.json", "model.safetensors", "vocabulary.json"],
    "frozen": [
        "config.json", "encoder/config.json", "encoder/model.safetensors", "encoder/tokenizer.json",
        "model.safetensors",
    ],
}  # fmt: skip
FILES["tuned"] = FILES["frozen"]
TEXTS = ["crack two eggs", "bowl", "two"]
CLIPS = np.random.default_rng(1).normal(size=(2, 4, 5)).astype(np.float32)


def loaded(folder, kind):
    return load(folder, words=WORDS if kind == "steps" else None)


@pytest.mark.parametrize("kind", FILES)
def test_every_kind_comes_back_bit_for_bit(kind, tmp_path):
    model = a_model(kind).eval()
    for _ in range(2):  # over itself as well
        save(model, tmp_path, {"epoch": 1})
    found = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert found == FILES[kind]
    again = loaded(tmp_path, kind)
    assert again.config == model.config
    assert not again.training
    assert again.state_dict().keys() == model.state_dict().keys()
    for name, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
        assert again.state_dict()[name].dtype == value.dtype
    learned = {name for name, value in model.named_parameters() if value.requires_grad}
    assert {name for name, value in again.named_parameters() if value.requires_grad} == learned
    known = ["crack egg"] if kind == "steps" else TEXTS
    assert (again.encode_text(known) == model.encode_text(known)).all()
    assert (again.embed_clips(ROWS) == model.embed_clips(ROWS)).all()
    assert (again.embed_clips(CLIPS) == model.embed_clips(CLIPS)).all()


def test_a_tuned_encoder_is_saved_as_it_became(tmp_path):
    model = a_model("tuned")
    save(model, tmp_path)
    before, named = model.encode_text(TEXTS), weights_hash(tmp_path)
    with torch.no_grad():
        model.encoder.embeddings.word_embeddings.weight.mul_(1.5)
    save(model, tmp_path)
    again = load(tmp_path)
    assert (again.encode_text(TEXTS) == model.encode_text(TEXTS)).all()
    assert (again.encode_text(TEXTS) != before).any()
    assert weights_hash(tmp_path) != named


def test_the_name_of_the_weights_covers_the_encoder(tmp_path):
    model = a_model("frozen")
    save(model, tmp_path)
    named = weights_hash(tmp_path)
    save(model, tmp_path)
    assert weights_hash(tmp_path) == named
    model.sentences = tiny_encoder(model.config.text, seed=5)
    save(model, tmp_path)
    assert weights_hash(tmp_path) != named


@pytest.mark.parametrize("kind", FILES)
def test_a_loaded_model_has_the_name_of_the_one_that_was_saved(kind, tmp_path):
    model = a_model(kind)
    save(model, tmp_path)
    assert digest_of(loaded(tmp_path, kind)) == digest_of(model)


def test_whatever_changes_the_vectors_changes_the_name(pieces):
    learned, frozen = a_model("learned"), a_model("frozen")
    names = [digest_of(model) for model in (pieces, learned, frozen, a_model("tuned"), a_model("steps"))]
    frozen.sentences = tiny_encoder(frozen.config.text, seed=5)
    names.append(digest_of(frozen))
    learned.text.lookup = Vocabulary(learned.text.lookup.words[::-1])
    names.append(digest_of(learned))
    with torch.no_grad():
        learned.word_table += 1
    names.append(digest_of(learned))
    learned.text.stop_words = frozenset({"two"})
    names.append(digest_of(learned))
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("stop", ["model.safetensors", "config.json", "rename"])
def test_killed_while_another_encoder_is_saved(stop, tmp_path, monkeypatch):
    model = a_model("frozen")
    save(model, tmp_path)
    model.sentences = tiny_encoder(model.config.text, seed=5)
    write = saving.atomic_write

    def killed(path, data):
        if path.name == stop:
            raise KeyboardInterrupt
        write(path, data)

    def killed_between(path):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        if stop == "rename":
            patched.setattr(saving, "sync", killed_between)
        else:
            patched.setattr(saving, "atomic_write", killed)
        with pytest.raises(KeyboardInterrupt):
            save(model, tmp_path)
    if stop == "config.json":  # which says the same as before
        assert (load(tmp_path).encode_text(TEXTS) == model.encode_text(TEXTS)).all()
    else:
        with pytest.raises(InputError, match=r"encoder/model.safetensors is not the one .* save the model again"):
            load(tmp_path)
    save(model, tmp_path)
    assert (load(tmp_path).encode_text(TEXTS) == model.encode_text(TEXTS)).all()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "encoder", "model.safetensors"]


def flipped(data, place):
    return data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :]


@pytest.mark.parametrize("kind", ["steps", "learned", "tuned"])
def test_any_damaged_byte_gets_one_line(kind, tmp_path):
    save(a_model(kind), tmp_path)
    for name in FILES[kind]:
        path = tmp_path / name
        whole = path.read_bytes()
        places = np.random.default_rng(0).integers(0, len(whole), 12).tolist()
        damages = [b"", whole[:-1], whole[: len(whole) // 2], *(flipped(whole, place) for place in [0, *places])]
        for damage in damages:
            path.write_bytes(damage)
            if name == "config.json" and _says_the_same(damage, whole):
                continue
            with pytest.raises(InputError) as raised:
                loaded(tmp_path, kind)
            assert "\n" not in str(raised.value)
        path.write_bytes(whole)
    loaded(tmp_path, kind)


def _says_the_same(damage, whole):
    """Whether the damage leaves a configuration that means the same: blanks, `extra`."""
    parts = ("schema", "model", "stop_words")
    try:
        found, wanted = json.loads(damage), json.loads(whole)
    except ValueError:
        return False
    return all(name in found and found[name] == wanted[name] for name in parts) and "extra" in found


@pytest.mark.parametrize(
    "name", ["encoder/config.json", "encoder/model.safetensors", "encoder/tokenizer.json", "encoder"]
)
def test_an_encoder_that_is_not_whole(name, tmp_path):
    save(a_model("frozen"), tmp_path)
    (tmp_path / name).rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"encoder.* cannot be read|encoder.* \(it is missing\)") as raised:
        load(tmp_path)
    assert "\n" not in str(raised.value)


def test_a_checkpoint_of_before(tmp_path):
    """Written by hand as the first version did: fewer fields, one mark, a half-precision table."""
    text = {"tokens": "words", "max_words": 20, "drop_stop_words": True, "lower": True}
    track = {"name": "image", "fps": 1.0, "dim": 5}
    about = {"tracks": [track], "dim": 6, "word_dim": 4, "pooled_dim": None, "mask_padding": True, "text": text}
    model = TextVideoModel.new(OUTSIDE, seed=3, words=read_words(WORDS))
    weights = model.state_dict()
    (tmp_path / "model.safetensors").write_bytes(
        safetensors.torch.save(weights, metadata={"model": saving.digest(about)})
    )
    config = {"schema": 1, "model": about, "stop_words": ["the"], "extra": {"train": {"epochs": 2}}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    again = load(tmp_path, words=WORDS)
    assert again.config == OUTSIDE
    assert again.text.stop_words == {"the"}
    assert (again.encode_text(["crack egg"]) == model.encode_text(["crack egg"])).all()
    assert (again.embed_clips(ROWS) == model.embed_clips(ROWS)).all()
    edit(tmp_path, model=about | {"mask_padding": False})
    with pytest.raises(InputError, match="belongs to another configuration"):
        load(tmp_path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
PLACES = [(name,) for name in to_dict(OUTSIDE)] + [("text", name) for name in to_dict(OUTSIDE)["text"]]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.sampled_from([*PLACES, ("tracks", 0), ("tracks", 0, "dim")]), value=JSON)
def test_a_configuration_of_nonsense_gets_one_line(model, tmp_path, place, value):
    """Also one whose weights claim to belong to it."""
    save(model, tmp_path)
    about = read_config(tmp_path)
    inner = about["model"]
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    (tmp_path / "config.json").write_text(json.dumps(about))
    rewritten(tmp_path, about)
    told = "loaded"
    try:
        load(tmp_path)
    except InputError as error:
        told = str(error)
    assert "\n" not in told


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=JSON | st.fixed_dictionaries({"schema": st.just(1)}, optional={"model": JSON, "stop_words": JSON}))
def test_any_json_in_place_of_a_configuration(model, tmp_path, content):
    save(model, tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(content))
    with pytest.raises(InputError) as raised:
        load(tmp_path)
    assert "\n" not in str(raised.value)


def test_importing_the_package_is_cheap():
    code = "import sys, tellvision; print([m for m in ('torch', 'numpy', 'tokenizers') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_lazy_names():
    assert tellvision.load is load
    assert tellvision.TextVideoModel is TextVideoModel
    with pytest.raises(AttributeError, match="has no attribute 'encode'"):
        tellvision.encode  # noqa: B018


def test_version_is_that_of_the_project():
    project = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    assert re.search(r'^version = "(.+)"$', project, re.MULTILINE).group(1) == tellvision.__version__
