"""torchvision's video networks: the released layout, the published preparation. Most of it needs torchvision."""

import hashlib
import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import library

from tellvision.media import View
from tellvision.records import InputError
from tellvision.vision.extractors import find, rate_of, torchvision_video

LARGE = [name for name in torchvision_video.MODELS if not name.endswith("_18")]
ALL = [pytest.param(name, marks=[pytest.mark.slow] if name in LARGE else []) for name in torchvision_video.MODELS]


@pytest.fixture(scope="module")
def torchvision():
    """torchvision, or the test is skipped. One made for another torch lacks two operators, which no video uses."""
    if importlib.util.find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed: the extra [torchvision]")
    lacking = library.Library("torchvision", "FRAGMENT")
    try:
        import torchvision
    except RuntimeError:
        for name in ("nms", "qnms"):
            lacking.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import torchvision
    import torchvision.models.video

    yield torchvision
    lacking._destroy()


@pytest.fixture
def installed(monkeypatch):
    """As if torchvision were there: what is read before it is needed."""
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name == "torchvision" or real(name))


@pytest.fixture(scope="module")
def saved(torchvision, tmp_path_factory):
    """NAME -> the network with random weights and statistics, and its file as torchvision releases them."""
    folder, made = tmp_path_factory.mktemp("weights"), {}

    def make(name):
        if name not in made:
            torch.manual_seed(4)
            network = getattr(torchvision.models.video, name)(weights=None)
            for part in network.modules():
                if isinstance(part, torch.nn.BatchNorm3d):
                    part.momentum = 1.0
            with torch.no_grad():  # statistics of real features: without, next to nothing of the pixels is left
                for part, value in network.named_parameters():
                    if part.endswith(("bias", "_token")):
                        value.normal_(0.0, 0.1)
                    elif part.endswith("weight") and value.ndim == 2:
                        value.mul_(3.0)
                if name not in ("mvit_v1_b", "mvit_v2_s") and not name.startswith("swin"):
                    network.train()(ready(torchvision, name, units(name)))
            network.eval()
            path = folder / f"{name}.pth"
            torch.save(network.state_dict(), path)
            made[name] = network, path
        return made[name]

    return make


FEW = {"s3d": 14, "mvit_v1_b": 16, "mvit_v2_s": 16}
"""Frames that a network takes at least; the others take two."""


def units(name):
    """Two units, noise that grows brighter and its negative; as few frames as the network takes."""
    frames, size = FEW.get(name, 2), torchvision_video.MODELS[name].view.size
    noise = np.random.default_rng(6).random((frames, size, size, 3)) * np.linspace(0.2, 1.0, size)[:, None]
    one = (noise * np.linspace(90, 255, frames)[:, None, None, None]).astype(np.uint8)
    return torch.from_numpy(np.stack([one, 255 - one]))


def ready(torchvision, name, pixels):
    """(2, 3, frames, h, w): by torchvision's own preparation; the pictures have their size already."""
    preparation = torchvision.models.get_model_weights(name).KINETICS400_V1.transforms()
    preparation.resize_size = list(pixels.shape[2:4])
    return preparation(pixels.permute(0, 1, 4, 2, 3))


def classifier(network, name):
    return getattr(network, torchvision_video.MODELS[name].head)


def test_without_torchvision_the_extra_is_named(monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torchvision" else real(name))
    with pytest.raises(InputError, match=r"pip install 'tellvision\[torchvision\]'"):
        find("torchvision:r2plus1d_18")
    with pytest.raises(InputError, match="unknown model torchvision:r34: use r3d_18, mc3_18"):
        find("torchvision:r34")


def test_without_the_file_its_place_is_named(installed, monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(InputError, match=r"checkpoints/r2plus1d_18-91a641e6\.pth: put .* there"):
        find("torchvision:r2plus1d_18")
    with pytest.raises(InputError, match=r"no weights at /nowhere/a=b\.pth"):
        find("torchvision:s3d=/nowhere/a=b.pth")


def test_the_released_file_is_known_by_its_name(installed, monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    path = tmp_path / "checkpoints" / "s3d-d76dad2f.pth"
    path.parent.mkdir()
    path.write_bytes(b"cut short")
    found = find("torchvision:s3d")
    assert found.weights == hashlib.sha256(b"cut short").hexdigest()
    with pytest.raises(InputError, match="damaged: its sha256 begins"):
        found.network()


@pytest.mark.parametrize(
    ("name", "fps", "size", "fit", "short", "unit", "dim", "rate"),
    [
        ("r3d_18", 15.0, 112, "crop", 128, 16, 512, 0.9375),
        ("mc3_18", 15.0, 112, "crop", 128, 16, 512, 0.9375),
        ("r2plus1d_18", 15.0, 112, "crop", 128, 16, 512, 0.9375),
        ("s3d", 15.0, 256, "squash", 0, 64, 1024, 0.234375),
        ("mvit_v1_b", 7.5, 224, "crop", 256, 16, 768, 0.46875),
        ("mvit_v2_s", 7.5, 224, "crop", 256, 16, 768, 0.46875),
        ("swin3d_t", 15.0, 224, "crop", 256, 32, 768, 0.46875),
        ("swin3d_s", 15.0, 224, "crop", 256, 32, 768, 0.46875),
        ("swin3d_b", 15.0, 224, "crop", 256, 32, 1024, 0.46875),
    ],
)
def test_what_each_sees(installed, tmp_path, name, fps, size, fit, short, unit, dim, rate):
    (tmp_path / "w.pth").write_bytes(b"")
    found = find(f"torchvision:{name}={tmp_path / 'w.pth'}")
    assert found.view == View(fps=fps, size=size, fit=fit, short=short, interpolation="bilinear")
    assert (found.unit, found.dim, found.tail, rate_of(found)) == (unit, dim, "last", rate)


@pytest.mark.parametrize("name", torchvision_video.MODELS)
def test_as_published(torchvision, name):
    """File, colours, sizes, rate and frames against what torchvision says of its weights."""
    facts = torchvision_video.MODELS[name]
    published = torchvision.models.get_model_weights(name).KINETICS400_V1
    preparation = published.transforms()
    assert published.url.rpartition("/")[2] == facts.file
    assert (tuple(preparation.mean), tuple(preparation.std)) == facts.colours
    assert preparation.interpolation.value == facts.view.interpolation
    inner = facts.view.size - 2 * facts.cut
    assert preparation.crop_size == [inner, inner]
    wide = {1: facts.view.short, 2: facts.view.short or facts.view.size}[len(preparation.resize_size)]
    assert preparation.resize_size[0] == wide
    said = published.meta["_docs"]
    assert f"`frame_rate={facts.view.fps:g}`" in said
    assert f"`clip_len={128 if name == 's3d' else facts.unit}`" in said  # S3D: trained with 64
    assert published.meta.get("min_temporal_size", 1) <= facts.unit


@pytest.mark.parametrize("name", ALL)
def test_the_vector_is_what_the_classifier_sees(torchvision, saved, name):
    """And in half precision, with channels last in memory, it points the same way."""
    network, path = saved(name)
    found = torchvision_video.find(f"{name}={path}")
    ours, pixels = found.network(), units(name)
    with torch.inference_mode():
        vectors = ours(pixels)
        expected = network(ready(torchvision, name, pixels))
        # S3D's classifier is a convolution over what is left of time
        scores = classifier(network, name)(vectors[:, :, None, None, None] if name == "s3d" else vectors).flatten(
            1
        )
        ours.to(torch.bfloat16)
        for part in ours.modules():
            if isinstance(part, torch.nn.Conv3d):
                part.to(memory_format=torch.channels_last_3d)
        half = ours(pixels)
    assert (vectors.shape, vectors.dtype, half.dtype) == ((2, found.dim), torch.float32, torch.float32)
    assert (expected[0] - expected[1]).abs().max() > 0.05  # the pixels count
    torch.testing.assert_close(scores, expected, rtol=1e-3, atol=1e-4)
    # S3D: 0.978 with random weights, whose statistics of a few frames amplify what is rounded
    assert torch.cosine_similarity(vectors, half).min() > (0.95 if name == "s3d" else 0.99)


@pytest.mark.parametrize("name", ["r2plus1d_18", pytest.param("s3d", marks=pytest.mark.slow)])
def test_order_counts_and_neighbours_do_not(saved, name):
    network = torchvision_video.find(f"{name}={saved(name)[1]}").network()
    pixels = units(name)
    with torch.inference_mode():
        both = network(pixels)
        alone = torch.cat([network(pixels[:1]), network(pixels[1:])])
        backwards = network(pixels.flip(1))
    torch.testing.assert_close(both, alone, rtol=1e-3, atol=1e-4)
    assert (both - backwards).abs().max() > 0.01


def test_any_number_of_classes_and_no_other_network(saved, tmp_path):
    network, path = saved("r3d_18")
    weights = network.state_dict()
    own = tmp_path / "own.pth"
    torch.save({"state_dict": weights | {"fc.weight": torch.zeros(7, 512), "fc.bias": torch.zeros(7)}}, own)
    pixels = units("r3d_18")
    with torch.inference_mode():
        one = torchvision_video.find(f"r3d_18={own}").network()(pixels)
        assert torch.equal(one, torchvision_video.find(f"r3d_18={path}").network()(pixels))
    with pytest.raises(InputError, match="no file for this network"):
        torchvision_video.find(f"r2plus1d_18={path}").network()
    own.write_bytes(b"\x80\x02nonsense")
    with pytest.raises(InputError, match="no file of weights alone"):
        torchvision_video.find(f"r3d_18={own}").network()


def test_one_made_for_another_torch_is_refused(monkeypatch, tmp_path):
    """Its import fails within, on an operator that it lacks."""
    package = tmp_path / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('operator torchvision::nms does not exist\\nmore')\n")
    (tmp_path / "w.pth").write_bytes(b"")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in __import__("sys").modules if name.partition(".")[0] == "torchvision"]:
        monkeypatch.delitem(__import__("sys").modules, name)
    with pytest.raises(InputError, match=r"does not go with torch 2.*nms does not exist\): install both") as told:
        torchvision_video.find(f"r3d_18={Path(tmp_path / 'w.pth')}").network()
    assert "\n" not in str(told.value)
