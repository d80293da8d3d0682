"""Checkpoints: written then read, refused where they are not whole; the package's lazy names."""

import dataclasses
import hashlib
import json
import re
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

import tellvision
from tellvision.embedding import checkpoint
from tellvision.embedding.checkpoint import load, read_config, save, weights_hash
from tellvision.embedding.config import ModelConfig, TextConfig, Track
from tellvision.embedding.model import TextVideoModel
from tellvision.embedding.words import read_words
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

    from tellvision.embedding import text

    text._offline_folder.cache_clear()
    monkeypatch.setattr(text, "_PACKAGE", "no_such_package_here")  # the folder is enough
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
    text._offline_folder.cache_clear()


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
    write = checkpoint.atomic_write

    def killed(path, data):
        if path.name == "config.json":
            raise KeyboardInterrupt
        write(path, data)

    monkeypatch.setattr(checkpoint, "atomic_write", killed)
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


def test_another_shape(model, tmp_path):
    save(model, tmp_path)
    about = read_config(tmp_path)
    edit(tmp_path, model=about["model"] | {"dim": 9})
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


@pytest.fixture
def hub(monkeypatch):
    """A stand-in for the library: the folder it gives, or the error it raises."""
    errors = types.ModuleType("huggingface_hub.errors")
    errors.HfHubHTTPError = type("HfHubHTTPError", (Exception,), {})
    library = types.ModuleType("huggingface_hub")
    library.__spec__ = types.SimpleNamespace(name="huggingface_hub")
    library.errors = errors
    monkeypatch.setitem(sys.modules, "huggingface_hub", library)
    monkeypatch.setitem(sys.modules, "huggingface_hub.errors", errors)
    return library


def test_from_the_hub(model, tmp_path, hub, capsys):
    save(model, tmp_path / "fetched")

    def fetch(name, allow_patterns):
        assert name == "someone/cooking"
        assert set(allow_patterns) == {"model.safetensors", "config.json", "tokenizer.json"}
        return str(tmp_path / "fetched")

    hub.snapshot_download = fetch
    assert load("someone/cooking").config == OUTSIDE
    assert capsys.readouterr().err == "someone/cooking is no folder here; asking the model hub for it\n"


@pytest.mark.parametrize(
    "path",
    ["runs/mian", "./cook", "../cook", "/cook", "~/cook", "cook", "cook/", "", "a/b/c", Path("someone/cooking")],
)
def test_a_mistyped_path_stays_on_this_machine(hub, tmp_path, monkeypatch, capsys, path):
    hub.snapshot_download = lambda *_, **__: pytest.fail("the hub was asked")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs/main").mkdir(parents=True)
    with pytest.raises(InputError, match=r"no checkpoint at|cannot be read") as raised:
        load(path)
    assert "\n" not in str(raised.value)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("kind", [OSError, ValueError, "HfHubHTTPError"])
def test_the_hub_has_none(hub, kind):
    def fetch(name, allow_patterns):
        raise (getattr(hub.errors, kind) if isinstance(kind, str) else kind)("404\nmany lines")

    hub.snapshot_download = fetch
    with pytest.raises(InputError, match=r"no checkpoint at someone/cooking, and the hub gave none: 404$"):
        load("someone/cooking")


def test_the_hub_is_not_installed(monkeypatch):
    find = checkpoint.importlib.util.find_spec
    monkeypatch.setattr(checkpoint.importlib.util, "find_spec", lambda name: None if "hub" in name else find(name))
    with pytest.raises(InputError, match="pip install huggingface_hub"):
        load("someone/cooking")


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
