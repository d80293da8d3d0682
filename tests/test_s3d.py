"""MIL-NCE's S3D and its text tower: random weights in the released layout, against slow references."""

import itertools
import math
import os
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from tellvision.embedding.frozen import FrozenPair
from tellvision.records import InputError
from tellvision.vision.extractors import rate_of, s3d

WORDS = ["open", "door", "cut", "tomato", "don't", "crème", "2", "door"]
ROWS = 12
MIXED = {  # before; straight; one, its 3x3x3; two, its 3x3x3; pooled (table of the S3D-G paper, as released)
    "3b": (192, 64, 96, 128, 16, 32, 32),
    "3c": (256, 128, 128, 192, 32, 96, 64),
    "4b": (480, 192, 96, 208, 16, 48, 64),
    "4c": (512, 160, 112, 224, 24, 64, 64),
    "4d": (512, 128, 128, 256, 24, 64, 64),
    "4e": (512, 112, 144, 288, 32, 64, 64),
    "4f": (528, 256, 160, 320, 32, 128, 128),
    "5b": (832, 256, 160, 320, 32, 128, 128),
    "5c": (832, 384, 192, 384, 48, 128, 128),
}


def released_layout(rows):
    """Name -> shape of s3d_howto100m.pth."""
    found = {}

    def convolution(name, place, after, before, *kernel):
        found[f"{name}.conv{place}.weight"] = (after, before, *kernel)
        for part in ("weight", "bias", "running_mean", "running_var"):
            found[f"{name}.bn{place}.{part}"] = (after,)
        found[f"{name}.bn{place}.num_batches_tracked"] = ()

    def linear(name, after, before):
        found[f"{name}.weight"], found[f"{name}.bias"] = (after, before), (after,)

    def separated(name, after, before):
        convolution(name, 1, after, before, 1, 3, 3)
        convolution(name, 2, after, after, 3, 1, 1)

    convolution("conv1", 1, 64, 24, 2, 4, 4)
    convolution("conv_2b", 1, 64, 64, 1, 1, 1)
    separated("conv_2c", 192, 64)
    linear("gating.fc", 192, 192)
    for name, (before, b0, b1a, b1b, b2a, b2b, b3) in MIXED.items():
        mixed = f"mixed_{name}"
        for way, after in (("b0", b0), ("b1_a", b1a), ("b2_a", b2a), ("b3_b", b3)):
            convolution(f"{mixed}.conv_{way}", 1, after, before, 1, 1, 1)
        separated(f"{mixed}.conv_b1_b", b1b, b1a)
        separated(f"{mixed}.conv_b2_b", b2b, b2a)
        for way, after in enumerate((b0, b1b, b2b, b3)):
            linear(f"{mixed}.gating_b{way}.fc", after, after)
    linear("fc", 512, 1024)
    found["text_module.word_embd.weight"] = (rows, 300)
    linear("text_module.fc1", 2048, 300)
    linear("text_module.fc2", 512, 2048)
    return found


def drawn(shapes):
    dice = torch.Generator().manual_seed(0)
    found = {}
    for name, shape in shapes.items():
        if name.endswith("num_batches_tracked"):
            found[name] = torch.tensor(1000)
        elif name.endswith("running_var") or ("bn" in name and name.endswith("weight")):
            found[name] = 0.5 + torch.rand(shape, generator=dice)
        elif len(shape) == 1:
            found[name] = 0.1 * torch.randn(shape, generator=dice)
        else:
            found[name] = torch.randn(shape, generator=dice) * math.sqrt(2 / math.prod(shape[1:]))
    return found


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """A folder with both files, as their authors released them; fewer words."""
    folder = tmp_path_factory.mktemp("s3d")
    torch.save(drawn(released_layout(ROWS)), folder / "s3d_howto100m.pth")
    np.save(folder / "s3d_dict.npy", np.array(WORDS))
    return folder


@pytest.fixture(scope="module")
def towers(released):
    return s3d.find(str(released)).network(), s3d.text(str(released))


def slow_video(w, frames):
    """The released forward pass, by name: cubes in loops, the first convolution padded, then cut."""
    n, _, time, height, width = frames.shape
    cubes = torch.zeros(n, 24, time // 2, height // 2, width // 2)
    for t, y, x in itertools.product(range(2), repeat=3):
        channel = 3 * (4 * t + 2 * y + x)
        cubes[:, channel : channel + 3] = frames[:, :, t::2, y::2, x::2]

    def convolution(maps, name, place, padding):
        maps = F.conv3d(maps, w[f"{name}.conv{place}.weight"], padding=padding)
        norm = [w[f"{name}.bn{place}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        return F.relu(F.batch_norm(maps, *norm, eps=1e-5))

    def separated(maps, name):
        return convolution(convolution(maps, name, 1, (0, 1, 1)), name, 2, (1, 0, 0))

    def gate(maps, name):
        weighed = torch.sigmoid(F.linear(maps.mean(dim=[2, 3, 4]), w[f"{name}.weight"], w[f"{name}.bias"]))
        return torch.einsum("nc,ncthw->ncthw", weighed, maps)

    def pool(maps, kernel, stride):
        border = [max(size - step, 0) for size, step in zip(kernel, stride, strict=True)]
        before, after = [size // 2 for size in border], [size - size // 2 for size in border]
        padding = (before[2], after[2], before[1], after[1], before[0], after[0])
        return torch.nn.MaxPool3d(kernel, stride, ceil_mode=True)(torch.nn.ConstantPad3d(padding, 0)(maps))

    maps = convolution(cubes, "conv1", 1, (1, 2, 2))[:, :, 1:, 1:, 1:]
    maps = pool(maps, (1, 3, 3), (1, 2, 2))
    maps = gate(separated(convolution(maps, "conv_2b", 1, 0), "conv_2c"), "gating.fc")
    maps = pool(maps, (1, 3, 3), (1, 2, 2))
    for name in MIXED:
        mixed = f"mixed_{name}"
        if name == "4b":
            maps = pool(maps, (3, 3, 3), (2, 2, 2))
        if name == "5b":
            maps = pool(maps, (2, 2, 2), (2, 2, 2))
        ways = [
            convolution(maps, f"{mixed}.conv_b0", 1, 0),
            separated(convolution(maps, f"{mixed}.conv_b1_a", 1, 0), f"{mixed}.conv_b1_b"),
            separated(convolution(maps, f"{mixed}.conv_b2_a", 1, 0), f"{mixed}.conv_b2_b"),
            convolution(F.max_pool3d(maps, 3, 1, 1), f"{mixed}.conv_b3_b", 1, 0),
        ]
        maps = torch.cat([gate(way, f"{mixed}.gating_b{place}.fc") for place, way in enumerate(ways)], dim=1)
    return F.linear(maps.mean(dim=[2, 3, 4]), w["fc.weight"], w["fc.bias"])


def slow_text(w, texts):
    """A text at a time, a place at a time."""
    numbers = {word: row for row, word in enumerate(WORDS, start=1)}
    rows = []
    for text in texts:
        ids = [numbers[word] for word in re.findall(r"[\w']+", text.lower()) if word in numbers][:16]
        places = []
        for row in ids + [0] * (16 - len(ids)):
            vector = w["text_module.word_embd.weight"][row]
            places.append(np.maximum(w["text_module.fc1.weight"] @ vector + w["text_module.fc1.bias"], 0))
        row = w["text_module.fc2.weight"] @ np.max(places, axis=0) + w["text_module.fc2.bias"]
        rows.append(row / np.linalg.norm(row))
    return np.array(rows)


def frames(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8))


def test_the_weights_are_the_released_ones_by_name_and_shape():
    shapes = released_layout(66_250)
    outside = ("running_mean", "running_var", "num_batches_tracked")
    learned = {name: math.prod(shape) for name, shape in shapes.items() if not name.endswith(outside)}
    assert sum(number for name, number in learned.items() if name.startswith("text_module.")) == 21_540_536
    assert sum(learned.values()) == 31_211_336
    with torch.device("meta"):
        ours = s3d._Video().state_dict() | s3d._Words(66_250).state_dict(prefix="text_module.")
    assert {name: tuple(value.shape) for name, value in ours.items()} == shapes


class TestVideo:
    def test_sees_what_it_was_trained_on(self, released):
        found = s3d.find(str(released))
        assert (found.view.fps, found.view.size, found.view.fit, found.view.short) == (10.0, 224, "crop", 0)
        assert (found.unit, found.tail, found.dim, rate_of(found)) == (32, "black", 512, 0.3125)
        assert found == s3d.find(str(released / "s3d_howto100m.pth"))

    @pytest.mark.parametrize("shape", [(2, 8, 32, 32), (1, 4, 40, 56), (1, 10, 36, 36)])
    def test_equals_the_slow_network(self, released, towers, shape):
        w = torch.load(released / "s3d_howto100m.pth", weights_only=True)
        units = frames(*shape)
        units[:, -2:] = 0
        with torch.inference_mode():
            expected = slow_video(w, units.float().permute(0, 4, 1, 2, 3) / 255)
            found = towers[0](units)
        assert found.shape == (shape[0], 512)
        scale = expected.abs().max()
        torch.testing.assert_close(found / scale, expected / scale, atol=1e-4, rtol=1e-4)

    def test_colours_go_from_0_to_1(self, towers):
        bytes_ = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16, 1).expand(1, 1, 16, 16, 3)
        found = towers[0].normalise(bytes_)
        np.testing.assert_allclose(found[0, 0, 1].flatten().numpy(), np.arange(256) / 255, atol=1e-7)

    def test_half_precision_as_a_whole(self, released):
        network, units = s3d.find(str(released)).network(), frames(2, 4, 32, 32)
        assert not network.training
        with torch.inference_mode():
            exact, coarse = network(units), network.to(torch.bfloat16)(units)
        assert F.cosine_similarity(exact, coarse.float()).min() > 0.99

    @pytest.mark.slow
    def test_a_whole_unit(self, towers):
        with torch.inference_mode():
            found = towers[0](frames(1, 32, 224, 224))
        assert found.shape == (1, 512)
        assert torch.isfinite(found).all()


class TestText:
    TEXTS = ("open door", "Cut the TOMATO, don't!", "crème 2", "tomato " * 30 + "open", "x " * 40 + "door")

    def test_equals_the_slow_tower(self, released, towers):
        w = torch.load(released / "s3d_howto100m.pth", weights_only=True)
        found = towers[1](list(self.TEXTS))
        assert found.dtype == np.float32
        expected = slow_text({name: value.numpy() for name, value in w.items()}, self.TEXTS)
        np.testing.assert_allclose(found, expected, atol=1e-5)

    def test_the_last_of_two_equal_words_counts_and_the_first_16(self, towers):
        text = towers[1]
        assert text._loaded[1]["door"] == 8
        assert np.array_equal(text(["tomato " * 16 + "open"]), text(["tomato " * 16]))

    def test_many_at_once_and_none(self, towers):
        found = towers[1](["open door", "cut tomato"] * 300)
        np.testing.assert_allclose(found[::2], np.repeat(found[:1], 300, axis=0), atol=1e-6)
        assert towers[1]([]).shape == (0, 512)

    def test_a_text_without_a_known_word_is_named(self, towers):
        with pytest.raises(InputError, match="text 1 has no word that the model knows: 'shut it'"):
            towers[1](["open", "shut it"])

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.text() | st.sampled_from(WORDS), max_size=5))
    def test_any_texts(self, towers, texts):
        try:
            found = towers[1](texts)
        except InputError as error:
            assert "no word" in str(error)  # noqa: PT017 - or it works
        else:
            np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)

    def test_its_weights_name_both_files(self, released, tmp_path):
        for name in ("s3d_howto100m.pth", "s3d_dict.npy"):
            (tmp_path / name).symlink_to(released / name)
        known, video = s3d.text(str(tmp_path)).weights, s3d.find(str(tmp_path)).weights
        assert known == s3d.text(str(released / "s3d_howto100m.pth")).weights != video
        (tmp_path / "s3d_dict.npy").unlink()
        (tmp_path / "s3d_dict.npy").write_bytes(b"other")
        assert s3d.text(str(tmp_path)).weights != known
        assert s3d.find(str(tmp_path)).weights == video

    def test_a_frozen_pair(self, released):
        name = f"s3d:{released}"
        pair = FrozenPair.named(name)
        assert [(track.name, track.fps, track.dim) for track in pair.features] == [(name, 0.3125, 512)]
        found = pair.encode_text(["cut tomato", "open door"])
        clips = pair.embed_clips(np.array([[3.0] + [0.0] * 511], np.float32))
        np.testing.assert_allclose(found @ clips.T, found[:, :1])

    def test_words_without_a_row_do_not_count(self, released):
        assert len(s3d._numbers(released / "s3d_dict.npy", rows=8)) == 7  # row 0 is for empty places
        with pytest.raises(InputError, match="8 words, the table of the model only 7 rows"):
            s3d._numbers(released / "s3d_dict.npy", rows=7)


class Call:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


class TestWrongFiles:
    @pytest.mark.parametrize("model", ["", "/nowhere", "\0"])
    def test_nothing_there(self, model):
        for ask in (s3d.find, s3d.text):
            with pytest.raises(InputError, match=r"use s3d:/folder with s3d_howto100m.pth and s3d_dict.npy"):
                ask(model)

    def test_no_dictionary(self, tmp_path):
        (tmp_path / "s3d_howto100m.pth").write_bytes(b"")
        with pytest.raises(
            InputError, match=r"texts of s3d need s3d_dict.npy, released with s3d_howto100m.pth, in /"
        ):
            s3d.text(str(tmp_path))

    def test_an_empty_folder(self, tmp_path):
        with pytest.raises(InputError, match="no file of weights at"):
            s3d.find(str(tmp_path))

    def test_code_is_not_run(self, tmp_path):
        torch.save({"fc.bias": Call(tmp_path / "made")}, path := tmp_path / "s3d_howto100m.pth")
        np.save(tmp_path / "s3d_dict.npy", np.array(WORDS))
        for ask in (s3d.find(str(path)).network, lambda: s3d.text(str(path))(["open"])):
            with pytest.raises(InputError, match="no file of weights alone"):
                ask()
        assert not (tmp_path / "made").exists()

    @pytest.mark.parametrize("name", ["mixed_4e.gating_b2.fc.bias", "conv_2c.conv2.weight", "fc.weight"])
    def test_a_weight_is_missing(self, released, tmp_path, name):
        w = torch.load(released / "s3d_howto100m.pth", weights_only=True, mmap=True)
        del w[name]
        torch.save(w, tmp_path / "a.pth")
        with pytest.raises(InputError, match=f"{name} is missing"):
            s3d.find(str(tmp_path / "a.pth")).network()

    @pytest.mark.parametrize("kept", [[], ["fc1.bias"], ["fc1.bias", "word_embd.weight"]])
    def test_no_text_tower(self, released, tmp_path, kept):
        w = torch.load(released / "s3d_howto100m.pth", weights_only=True, mmap=True)
        small = {name: w[name] for name in ["fc.bias", *(f"text_module.{name}" for name in kept)]}
        torch.save(small, tmp_path / "a.pth")
        np.save(tmp_path / "s3d_dict.npy", np.array(WORDS))
        with pytest.raises(InputError, match=r"a.pth is no file for this network: (fc1|fc2)\.\w+ is missing"):
            s3d.text(str(tmp_path / "a.pth"))(["open"])

    @pytest.mark.parametrize("table", [torch.ones(300), torch.ones(5, 200), torch.ones(5, 300, dtype=torch.int64)])
    def test_another_table(self, tmp_path, table):
        w = {name: value for name, value in drawn(released_layout(2)).items() if name.startswith("text_module.")}
        torch.save(w | {"text_module.word_embd.weight": table}, tmp_path / "a.pth")
        np.save(tmp_path / "s3d_dict.npy", np.array(WORDS))
        with pytest.raises(InputError, match=r"word_embd.weight is \("):
            s3d.text(str(tmp_path / "a.pth"))(["open"])

    def test_words_that_are_no_list_of_words(self, tmp_path):
        path = tmp_path / "s3d_dict.npy"
        for content in (np.arange(3), np.array([["a"]]), np.array(b"a")):
            np.save(path, content)
            with pytest.raises(InputError, match="no list of words"):
                s3d._numbers(path, ROWS)
        np.savez(path.with_suffix(""), a=np.array(["a"]))
        path.with_suffix(".npz").rename(path)
        with pytest.raises(InputError, match="no list of words"):
            s3d._numbers(path, ROWS)

    def test_words_that_would_run_code(self, tmp_path):
        np.save(tmp_path / "s3d_dict.npy", np.array([Call(tmp_path / "made")], dtype=object), allow_pickle=True)
        with pytest.raises(InputError, match="cannot be read, the texts of s3d need it"):
            s3d._numbers(tmp_path / "s3d_dict.npy", ROWS)
        assert not (tmp_path / "made").exists()

    def test_a_length_beyond_the_file(self, tmp_path):
        np.save(tmp_path / "a.npy", np.array(WORDS))
        content = (tmp_path / "a.npy").read_bytes()
        (tmp_path / "b.npy").write_bytes(content.replace(b"(8,), }         ", b"(8888888888,), }"))
        assert b"8888888888" in (tmp_path / "b.npy").read_bytes()
        (tmp_path / "c.npy").write_bytes(content[:-9])
        for name in ("b.npy", "c.npy"):
            with pytest.raises(InputError, match="cannot be read"):
                s3d._numbers(tmp_path / name, ROWS)

    @settings(max_examples=100, deadline=None)
    @given(data=st.data())
    def test_damaged_words_give_words_or_one_error(self, tmp_path_factory, data):
        path = tmp_path_factory.mktemp("damaged") / "a.npy"
        np.save(path, np.array(WORDS))
        content = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 3))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
        try:
            found = s3d._numbers(path, ROWS)
        except InputError as error:
            reason = str(error)
        else:
            reason = " ".join(type(word).__name__ for word in found)
        assert "\n" not in reason
