"""ResNet-152 and ResNeXt-101: random weights in the released layouts against slow references (paper section 2)."""

import math
import os
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tellvision.records import InputError
from tellvision.vision.extractors import rate_of, resnet, resnext, weights
from tellvision.vision.extractors.residual import Residual, blocks_of

SMALL = (1, 2, 1, 1)


def norm_layout(name, channels):
    sizes = dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (channels,))
    return {f"{name}.{part}": size for part, size in sizes.items()} | {f"{name}.num_batches_tracked": ()}


def layout(blocks, *, kernels, first, width, expansion, classes):
    """Name -> shape as the files have them, written down from the tables of the papers, layer by layer."""
    one, middle = kernels
    found = {"conv1.weight": (64, 3, *first)} | norm_layout("bn1", 64)
    before = 64
    for layer, count in enumerate(blocks, start=1):
        inside = width * 2 ** (layer - 1)
        after = inside * expansion
        for block in range(count):
            name = f"layer{layer}.{block}"
            found |= {f"{name}.conv1.weight": (inside, before, *one)} | norm_layout(f"{name}.bn1", inside)
            found |= {f"{name}.conv2.weight": (inside, *middle(inside))} | norm_layout(f"{name}.bn2", inside)
            found |= {f"{name}.conv3.weight": (after, inside, *one)} | norm_layout(f"{name}.bn3", after)
            if block == 0:
                found |= {f"{name}.downsample.0.weight": (after, before, *one)}
                found |= norm_layout(f"{name}.downsample.1", after)
            before = after
    return found | {"fc.weight": (classes, before), "fc.bias": (classes,)}


def resnet_layout(blocks):
    kernels = (1, 1), lambda inside: (inside, 3, 3)
    return layout(blocks, kernels=kernels, first=(7, 7), width=64, expansion=4, classes=1000)


def resnext_layout(blocks):
    kernels = (1, 1, 1), lambda inside: (inside // 32, 3, 3, 3)
    return layout(blocks, kernels=kernels, first=(7, 7, 7), width=128, expansion=2, classes=400)


def drawn(shapes, seed=0):
    """Weights at random that keep the numbers between the layers near 1."""
    dice = torch.Generator().manual_seed(seed)
    found = OrderedDict()
    for name, shape in shapes.items():
        if name.endswith("num_batches_tracked"):
            found[name] = torch.tensor(7)
        elif name.endswith("running_var") or (len(shape) == 1 and name.endswith("weight")):
            found[name] = 0.5 + torch.rand(shape, generator=dice)
        elif len(shape) == 1:
            found[name] = 0.1 * torch.randn(shape, generator=dice)
        else:
            found[name] = torch.randn(shape, generator=dice) / math.sqrt(math.prod(shape[1:]))
    return found


def counted(shapes):
    outside = ("running_mean", "running_var", "num_batches_tracked")
    return sum(math.prod(shape) for name, shape in shapes.items() if not name.endswith(outside))


def slow_network(w, x, convolution, pool, groups):
    """The forward pass by name, group after group, norms by hand, mean by a pool over the whole map."""

    def shaped(vector):
        return vector.reshape(1, -1, *(1,) * (x.ndim - 2))

    def norm(maps, name):
        scaled = (maps - shaped(w[f"{name}.running_mean"])) / torch.sqrt(shaped(w[f"{name}.running_var"]) + 1e-5)
        return scaled * shaped(w[f"{name}.weight"]) + shaped(w[f"{name}.bias"])

    def grouped(maps, kernel, stride):
        parts = zip(maps.chunk(groups, 1), kernel.chunk(groups, 0), strict=True)
        return torch.cat([convolution(part, piece, stride=stride, padding=1) for part, piece in parts], dim=1)

    first = 2 if x.ndim == 4 else (1, 2, 2)
    maps = F.relu(norm(convolution(x, w["conv1.weight"], stride=first, padding=3), "bn1"))
    maps = pool(maps, 3, stride=2, padding=1)
    for layer in range(1, 5):
        block = 0
        while f"layer{layer}.{block}.conv1.weight" in w:
            name = f"layer{layer}.{block}"
            stride = 2 if block == 0 and layer > 1 else 1
            out = F.relu(norm(convolution(maps, w[f"{name}.conv1.weight"]), f"{name}.bn1"))
            out = F.relu(norm(grouped(out, w[f"{name}.conv2.weight"], stride), f"{name}.bn2"))
            out = norm(convolution(out, w[f"{name}.conv3.weight"]), f"{name}.bn3")
            if block == 0:
                maps = convolution(maps, w[f"{name}.downsample.0.weight"], stride=stride)
                maps = norm(maps, f"{name}.downsample.1")
            maps = F.relu(out + maps)
            block += 1
    return maps


def pictures(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def small_resnet(tmp_path_factory):
    path = tmp_path_factory.mktemp("resnet") / "small.pth"
    torch.save(drawn(resnet_layout(SMALL)), path)
    return path


@pytest.fixture(scope="module")
def small_resnext(tmp_path_factory):
    """As its makers saved it: trained on several devices, with the state of the optimizer."""
    path = tmp_path_factory.mktemp("resnext") / "resnext-101-kinetics.pth"
    plain = drawn(resnext_layout(SMALL))
    whole = OrderedDict((f"module.{name}", value) for name, value in plain.items() if "num_batches" not in name)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=0.1, momentum=0.9)
    saved = {"epoch": 200, "arch": "resnext-101", "state_dict": whole, "optimizer": optimizer.state_dict()}
    torch.save(saved, path, _use_new_zipfile_serialization=False)
    return path


class TestLayouts:
    @pytest.mark.parametrize(
        ("blocks", "published"),
        [((3, 4, 6, 3), 25_557_032), ((3, 4, 23, 3), 44_549_160), ((3, 8, 36, 3), 60_192_808)],
    )
    def test_the_weights_of_a_resnet_are_those_of_torchvision_by_name_and_shape(self, blocks, published):
        shapes = resnet_layout(blocks)
        assert counted(shapes) == published
        with torch.device("meta"):
            ours = Residual(blocks_of(shapes)).state_dict()
        assert {name: tuple(value.shape) for name, value in ours.items()} | {
            "fc.weight": (1000, 2048),
            "fc.bias": (1000,),
        } == shapes

    def test_the_weights_of_resnext_101_are_those_of_its_makers_by_name_and_shape(self):
        shapes = resnext_layout((3, 4, 23, 3))
        assert counted(shapes) == 48_340_816
        with torch.device("meta"):
            ours = Residual(blocks_of(shapes), stacks=True, width=128, expansion=2, groups=32).state_dict()
        assert {name: tuple(value.shape) for name, value in ours.items()} | {
            "fc.weight": (400, 2048),
            "fc.bias": (400,),
        } == shapes

    def test_depth_is_read_off_the_names(self):
        assert blocks_of(resnet_layout((3, 8, 36, 3))) == (3, 8, 36, 3)
        assert blocks_of([]) == (1, 1, 1, 1)
        assert blocks_of(["layer1.999.conv1.weight", "layer5.4.bn1.bias", "layer2.x.y", "layer3.٣.a"]) == (
            1,
            1,
            1,
            1,
        )


class TestResNet:
    def test_sees_what_the_paper_says(self, small_resnet):
        found = resnet.find(str(small_resnet))
        assert (found.view.fps, found.view.size, found.view.fit, found.unit, found.dim) == (
            1.0,
            224,
            "short",
            1,
            2048,
        )
        assert rate_of(found) == 1.0
        assert found.view.shape(width=640, height=360) == (224, 398)  # wide: nothing is cut off
        assert found.view.shape(width=360, height=640) == (398, 224)  # upright

    def test_equals_transformers_with_the_same_weights(self, small_resnet):
        transformers = pytest.importorskip("transformers")
        options = {"depths": list(SMALL), "layer_type": "bottleneck", "downsample_in_bottleneck": False}
        slow = transformers.ResNetModel(transformers.ResNetConfig(**options)).eval()
        ours = torch.load(small_resnet, weights_only=True)

        def theirs(name):
            name = name.replace("downsample.0", "shortcut.convolution").replace(
                "downsample.1", "shortcut.normalization"
            )
            for place in (1, 2, 3):
                if name.startswith("layer"):
                    name = name.replace(f"conv{place}.", f"layer.{place - 1}.convolution.")
                    name = name.replace(f"bn{place}.", f"layer.{place - 1}.normalization.")
            name = name.replace("conv1.", "embedder.embedder.convolution.")
            name = name.replace("bn1.", "embedder.embedder.normalization.")
            if name.startswith("layer"):
                layer, block, rest = name[len("layer") :].split(".", 2)
                name = f"encoder.stages.{int(layer) - 1}.layers.{block}.{rest}"
            return name

        slow.load_state_dict({theirs(name): value for name, value in ours.items() if not name.startswith("fc.")})
        units = pictures(2, 1, 64, 96)
        scaled = (units[:, 0].double() / 255 - torch.tensor(resnet.MEAN)) / torch.tensor(resnet.STD)
        with torch.inference_mode():
            expected = slow(scaled.float().permute(0, 3, 1, 2)).pooler_output.flatten(1)
            found = resnet.find(str(small_resnet)).network()(units)
        assert found.shape == (2, 2048)
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)

    def test_equals_the_slow_network(self, small_resnet):
        w = torch.load(small_resnet, weights_only=True)
        units = pictures(1, 1, 33, 47, seed=3)
        scaled = (units[:, 0].float() / 255 - torch.tensor(resnet.MEAN)) / torch.tensor(resnet.STD)
        expected = slow_network(w, scaled.permute(0, 3, 1, 2), F.conv2d, F.max_pool2d, 1).mean(dim=[-2, -1])
        with torch.inference_mode():
            found = resnet.find(str(small_resnet)).network()(units)
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)

    @pytest.mark.parametrize("size", [(64, 48), (48, 64)])
    def test_pixels_are_normalised_as_with_pillow_and_numpy(self, small_resnet, size):
        found = resnet.find(str(small_resnet))
        height, width = (side // 7 for side in found.view.scaled(width=size[0], height=size[1]))
        picture = Image.effect_mandelbrot(size, (-2, -1, 1, 1), 60).convert("RGB").resize((width, height), 3)
        pixels = np.asarray(picture)
        expected = (pixels / 255 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
        normalised = found.network().normalise(torch.from_numpy(pixels.copy())[None, None])
        np.testing.assert_allclose(normalised[0, 0].permute(1, 2, 0).numpy(), expected, atol=2e-6)

    def test_a_picture_does_not_depend_on_its_batch(self, small_resnet):
        network, units = resnet.find(str(small_resnet)).network(), pictures(3, 1, 40, 40)
        with torch.inference_mode():
            torch.testing.assert_close(network(units)[1:2], network(units[1:2]), atol=1e-4, rtol=1e-4)
        assert not network.training
        assert {value.dtype for value in network.parameters()} == {torch.float32}

    def test_half_precision_as_a_whole(self, small_resnet):
        network, units = resnet.find(str(small_resnet)).network(), pictures(2, 1, 40, 40)
        with torch.inference_mode():
            exact, coarse = network(units), network.to(torch.bfloat16)(units)
        assert F.cosine_similarity(exact, coarse.float()).min() > 0.99

    def test_files_where_torch_keeps_them(self, tmp_path, monkeypatch):
        monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
        with pytest.raises(
            InputError, match=r"curl --create-dirs -o .*checkpoints/resnet152-394f9c45.pth https://"
        ):
            resnet.find("152")
        (tmp_path / "checkpoints").mkdir()
        for name in ("resnet152-f82ba261.pth", "resnet152-b121ed2d.pth", "resnet152-394f9c45.pth"):
            (tmp_path / "checkpoints" / name).write_bytes(name.encode())
            assert resnet.find("152").path.name == name  # the paper's weights before those of a longer training
        with pytest.raises(InputError, match="resnet:50 needs"):
            resnet.find("50")

    @pytest.mark.parametrize("model", ["", "34", "/nowhere/at.pth", ".", "\0"])
    def test_what_is_not_there_says_what_there_is(self, model):
        with pytest.raises(InputError, match="use resnet:50, resnet:101, resnet:152 or a path"):
            resnet.find(model)

    def test_weights_are_the_sha256_and_follow_the_file(self, tmp_path):
        path = tmp_path / "a.pth"
        path.write_bytes(b"abc")
        assert resnet.find(str(path)).weights == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        path.write_bytes(b"")
        assert resnet.find(str(path)).weights == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

    @pytest.mark.slow
    def test_whole_152(self, tmp_path):
        torch.save(drawn(resnet_layout((3, 8, 36, 3))), path := tmp_path / "resnet152-394f9c45.pth")
        with torch.inference_mode():
            found = resnet.find(str(path)).network()(pictures(1, 1, 224, 398))
        assert found.shape == (1, 2048)
        assert torch.isfinite(found).all()


class TestResNeXt:
    def test_sees_what_the_paper_says(self, small_resnext):
        found = resnext.find(str(small_resnext))
        assert (found.view.fps, found.view.size, found.view.fit, found.view.short) == (24.0, 112, "crop", 0)
        assert (found.unit, found.tail, found.dim, rate_of(found)) == (16, "black", 2048, 1.5)
        assert found.view.scaled(width=640, height=360) == (112, 199)
        assert found.view.shape(width=640, height=360) == (112, 112)

    def test_equals_the_slow_network(self, small_resnext):
        w = torch.load(small_resnext, weights_only=True)["state_dict"]
        w = {name.removeprefix("module."): value for name, value in w.items()}
        units = pictures(2, 16, 112, 112)
        units[1, 5:] = 0  # black is minus the mean for the network, as padding before the mean is taken off
        pixels = units.float() - torch.tensor([110.6, 103.2, 96.3])
        maps = slow_network(w, pixels.permute(0, 4, 1, 2, 3), F.conv3d, F.max_pool3d, 32)
        assert maps.shape == (2, 2048, 1, 4, 4)
        expected = F.avg_pool3d(maps, (1, 4, 4), stride=1).flatten(1)
        with torch.inference_mode():
            found = resnext.find(str(small_resnext)).network()(units)
        scale = expected.abs().max()
        torch.testing.assert_close(found / scale, expected / scale, atol=1e-4, rtol=1e-4)

    def test_the_bare_state_dict_is_the_same(self, small_resnext, tmp_path):
        whole = torch.load(small_resnext, weights_only=True)["state_dict"]
        bare = {name.removeprefix("module."): value for name, value in whole.items() if "fc." not in name}
        torch.save(bare, tmp_path / "resnext101.pth")
        units = pictures(1, 16, 32, 32)
        with torch.inference_mode():
            one = resnext.find(str(small_resnext)).network()(units)
            other = resnext.find(str(tmp_path / "resnext101.pth")).network()(units)
        assert torch.equal(one, other)

    def test_a_file_of_2017_from_a_machine_with_a_gpu(self, tmp_path, monkeypatch):
        """Tensors rebuilt by the function of that time, their storages on cuda:0."""

        def old(self, _protocol):
            storage = torch.storage.TypedStorage(
                wrap_storage=self.untyped_storage(), dtype=self.dtype, _internal=True
            )
            return torch._utils._rebuild_tensor, (storage, self.storage_offset(), tuple(self.shape), self.stride())

        values = {"module.a": torch.arange(6.0).reshape(2, 3)}
        with monkeypatch.context() as patched:
            patched.setattr(torch.Tensor, "__reduce_ex__", old)
            patched.setattr(torch.serialization, "location_tag", lambda _: "cuda:0")
            torch.save({"state_dict": values}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
        written = (tmp_path / "old.pth").read_bytes()
        assert b"_rebuild_tensor\n" in written
        assert b"cuda:0" in written
        assert b"ctorch\nFloatStorage\n" in written  # as torch has named it since
        (tmp_path / "old.pth").write_bytes(written.replace(b"ctorch\nFloat", b"ctorch.cuda\nFloat"))
        found = weights.read(tmp_path / "old.pth")
        assert found.keys() == {"a"}
        assert torch.equal(found["a"], torch.arange(6.0).reshape(2, 3))

    def test_nothing_there(self, tmp_path):
        for model in ("", "101", str(tmp_path)):
            with pytest.raises(InputError, match="use resnext:/path/of/resnext-101-kinetics"):
                resnext.find(model)

    @pytest.mark.slow
    def test_whole_101(self, tmp_path):
        whole = {f"module.{name}": value for name, value in drawn(resnext_layout((3, 4, 23, 3))).items()}
        torch.save({"epoch": 1, "arch": "resnext-101", "state_dict": whole}, path := tmp_path / "kinetics.pth")
        with torch.inference_mode():
            found = resnext.find(str(path)).network()(pictures(1, 16, 112, 112))
        assert found.shape == (1, 2048)
        assert torch.isfinite(found).all()


class Call:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


class TestWrongFiles:
    def refused(self, path, match):
        with pytest.raises(InputError, match=match) as error:
            resnet.find(str(path)).network()
        assert "\n" not in str(error.value)

    @pytest.mark.parametrize("zipped", [True, False])
    def test_code_is_not_run(self, tmp_path, zipped):
        path = tmp_path / "code.pth"
        torch.save({"conv1.weight": Call(tmp_path / "made")}, path, _use_new_zipfile_serialization=zipped)
        self.refused(path, "no file of weights alone")
        assert not (tmp_path / "made").exists()

    @pytest.mark.parametrize(
        "content", [b"", b"<html>too many downloads</html>", b"\x80", b"PK\x03\x04", b"\n" * 99]
    )
    def test_no_file_of_weights(self, tmp_path, content):
        (tmp_path / "a.pth").write_bytes(content)
        self.refused(tmp_path / "a.pth", "no file of weights alone")

    @pytest.mark.parametrize("content", [[1], {}, {"a": 1}, {1: torch.ones(1)}, torch.ones(2), {"state_dict": {}}])
    def test_no_state_dict(self, tmp_path, content):
        torch.save(content, tmp_path / "a.pth")
        self.refused(tmp_path / "a.pth", "holds no state dict")

    def test_sparse(self, tmp_path):
        torch.save({"conv1.weight": torch.ones(2, 2).to_sparse()}, tmp_path / "a.pth")
        with pytest.raises(InputError):
            resnet.find(str(tmp_path / "a.pth")).network()

    @pytest.mark.parametrize(
        ("name", "value", "match"),
        [
            ("layer2.1.conv2.weight", None, r"layer2.1.conv2.weight is missing, it should be \(128, 128, 3, 3\)"),
            ("bn1.bias", torch.ones(3), r"bn1.bias is \(3,\), it should be \(64,\)"),
            ("bn1.bias", torch.ones(64, dtype=torch.int64), r"bn1.bias is \(64,\) of int64, it should be \(64,\)"),
            ("head.bias", torch.ones(3), r"head.bias is \(3,\), it should be missing"),
        ],
    )
    def test_other_weights(self, small_resnet, tmp_path, name, value, match):
        w = torch.load(small_resnet, weights_only=True)
        w.pop(name, None)
        torch.save(w if value is None else w | {name: value}, tmp_path / "a.pth")
        self.refused(tmp_path / "a.pth", match)

    def test_weights_of_the_other_family(self, small_resnet, small_resnext):
        self.refused(small_resnext, r"conv1.weight is \(64, 3, 7, 7, 7\), it should be \(64, 3, 7, 7\)")
        with pytest.raises(InputError, match=r"conv1.weight is \(64, 3, 7, 7\)"):
            resnext.find(str(small_resnet)).network()

    def test_cut_off(self, small_resnet, tmp_path):
        whole = small_resnet.read_bytes()
        (tmp_path / "a.pth").write_bytes(whole[: len(whole) // 2])
        self.refused(tmp_path / "a.pth", "no file of weights alone")

    def test_gone_between(self, small_resnet, tmp_path):
        path = tmp_path / "a.pth"
        path.write_bytes(b"abc")
        found = resnet.find(str(path))
        path.unlink()
        with pytest.raises(InputError, match="cannot be read: No such file"):
            found.network()
        with pytest.raises(InputError, match="cannot be read: No such file"):
            _ = found.weights

    def test_an_archive_that_swells_is_not_unpacked(self, tmp_path):
        torch.save({"conv1.weight": torch.zeros(1 << 20)}, tmp_path / "a.pth")
        packed = zipfile.ZipFile(tmp_path / "b.pth", "w", zipfile.ZIP_DEFLATED)
        with zipfile.ZipFile(tmp_path / "a.pth") as plain, packed:
            for entry in plain.infolist():
                packed.writestr(entry.filename, plain.read(entry))
        self.refused(tmp_path / "b.pth", "is compressed: save its weights again")

    @settings(max_examples=150, deadline=None)
    @given(data=st.data(), zipped=st.booleans())
    def test_damaged_bytes_give_weights_or_one_error(self, tmp_path_factory, data, zipped):
        path = tmp_path_factory.mktemp("damaged") / "a.pth"
        torch.save({"a": torch.ones(3), "b": torch.zeros(2, 2)}, path, _use_new_zipfile_serialization=zipped)
        content = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 3))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
        try:
            found = weights.read(path)
        except InputError as error:
            reason = str(error)
        else:
            reason = " ".join(type(value).__name__ for value in found.values())
        assert "\n" not in reason
