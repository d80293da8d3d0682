"""Models of pictures as transformers releases them: what they see, what they give, and folders that are broken."""

import contextlib
import copy
import json
import pickle
import shutil

import av
import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import released
from tellvision.media import Frames, View
from tellvision.records import InputError
from tellvision.vision.extractors import EXTRACTORS, find, rate_of
from tellvision.vision.extractors.preparation import normalise_of, view_of

FAMILIES = ("clip", "siglip", "siglip2", "dinov2", "dinov3", "hf-resnet")
DIMS = {"clip": 24, "siglip": 32, "siglip2": 32, "dinov2": 32, "dinov3": 32, "hf-resnet": 40}
PILLOW = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {family: released.folder(tmp_path_factory.mktemp(family), family) for family in FAMILIES}


@pytest.fixture
def folder(folders, tmp_path):
    """A CLIP folder that a test may spoil."""
    return shutil.copytree(folders["clip"], tmp_path / "clip")


def slow_pixels(picture, preparation):
    """The released preprocessing by Pillow and numpy, before normalisation: (224, 224, 3) uint8, or smaller."""
    image, size = Image.fromarray(picture), preparation["size"]
    resample = preparation["resample"]
    if isinstance(size, dict) and "height" in size:
        return np.asarray(image.resize((size["width"], size["height"]), resample))
    edge = size["shortest_edge"] if isinstance(size, dict) else size
    cut = preparation.get("crop_size", edge)
    cut = cut["height"] if isinstance(cut, dict) else cut
    if "crop_pct" in preparation:
        edge = int(edge / preparation["crop_pct"])
    width, height = image.size
    scaled = (edge, round(height * edge / width)) if width < height else (round(width * edge / height), edge)
    pixels = np.asarray(image.resize(scaled, resample))
    top, left = (pixels.shape[0] - cut) // 2, (pixels.shape[1] - cut) // 2
    return pixels[top : top + cut, left : left + cut]


def slow_vector(family, folder, pixels, preparation):
    """What the library gives for (n, h, w, 3) uint8, normalised by numpy."""
    import transformers

    kinds = {"clip": "CLIPModel", "dinov2": "Dinov2Model", "dinov3": "DINOv3ViTModel", "hf-resnet": "ResNetModel"}
    network = getattr(transformers, kinds.get(family, "SiglipModel")).from_pretrained(folder).eval()
    values = (pixels / 255.0 - preparation["image_mean"]) / preparation["image_std"]
    values = torch.from_numpy(values.transpose(0, 3, 1, 2).astype(np.float32))
    with torch.no_grad():
        if family in ("clip", "siglip", "siglip2"):
            return network.get_image_features(values).pooler_output.numpy()
        return network(values).pooler_output.flatten(1).numpy()


def photograph(height, width, seed=0):
    """A smooth picture with edges in it, as photographs have."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (height // 12, width // 12, 3), dtype=np.uint8))
    picture = np.array(small.resize((width, height), Image.Resampling.BICUBIC))
    picture[height // 3 : height // 2, width // 4 : width // 2] = (220, 40, 90)
    return picture


class TestWhatTheyGive:
    @pytest.mark.parametrize("family", FAMILIES)
    def test_the_same_as_the_library_with_slow_preprocessing(self, folders, family):
        preparation = json.loads((folders[family] / "preprocessor_config.json").read_text())
        pixels = np.stack([slow_pixels(photograph(60, 90, seed), preparation) for seed in range(3)])
        extractor = find(f"{family}:{folders[family]}")
        network = extractor.network()
        assert not network.training
        with torch.inference_mode():
            found = network(torch.from_numpy(pixels)[:, None]).numpy()
        assert found.shape == (3, DIMS[family]) == (3, extractor.dim)
        expected = slow_vector(family, folders[family], pixels, preparation)
        assert np.ptp(expected, axis=0).max() > 0.01  # the pictures are told apart
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-5)

    @pytest.mark.parametrize("family", FAMILIES)
    def test_a_rate_a_unit_and_one_dtype(self, folders, family):
        extractor = find(f"{family}:{folders[family]}")
        assert (rate_of(extractor), extractor.unit, extractor.view.size) == (1.0, 1, 32)
        network = extractor.network()
        assert {value.dtype for value in network.parameters()} == {torch.float32}
        pixels = torch.from_numpy(photograph(32, 32))[None, None]
        with torch.inference_mode():
            whole, half = network(pixels), network.bfloat16()(pixels)
        assert half.dtype == torch.bfloat16
        assert torch.nn.functional.cosine_similarity(whole, half.float()).item() > 0.99

    def test_every_row_is_of_its_picture_alone(self, folders):
        network = find(f"dinov3:{folders['dinov3']}").network()
        pixels = torch.from_numpy(np.stack([photograph(32, 32, seed) for seed in range(4)]))[:, None]
        with torch.inference_mode():
            together, alone = network(pixels), torch.cat([network(one[None]) for one in pixels])
        torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)

    def test_attention_is_the_fused_one(self, folders):
        for name, module in find(f"clip:{folders['clip']}").network().named_modules():
            if hasattr(module, "config"):
                assert module.config._attn_implementation == "sdpa", name

    def test_weights_in_half_precision_are_read_in_full(self, folder, folders):
        path = folder / "model.safetensors"
        stored = {name: value.half() for name, value in safetensors.torch.load_file(path).items()}
        safetensors.torch.save_file(stored, path, {"format": "pt"})
        network = find(f"clip:{folder}").network()
        assert {value.dtype for value in network.parameters()} == {torch.float32}
        pixels = torch.from_numpy(photograph(32, 32))[None, None]
        whole = find(f"clip:{folders['clip']}").network()
        with torch.inference_mode():
            torch.testing.assert_close(network(pixels), whole(pixels), rtol=0.02, atol=0.02)


class TestWhatTheySee:
    """The files that were really released, as they are."""

    RELEASED = {  # noqa: RUF012 - read only
        "clip": View(fps=1.0, size=224, fit="crop", short=224, interpolation="bicubic"),
        "siglip": View(fps=1.0, size=224, fit="squash", interpolation="bicubic"),
        "siglip2": View(fps=1.0, size=224, fit="squash", interpolation="bilinear"),
        "dinov2": View(fps=1.0, size=224, fit="crop", short=256, interpolation="bicubic"),
        "dinov3": View(fps=1.0, size=224, fit="squash", interpolation="bilinear"),
        "hf-resnet": View(fps=1.0, size=224, fit="crop", short=256, interpolation="bicubic"),
    }

    @pytest.mark.parametrize("family", FAMILIES)
    def test_views(self, family):
        assert view_of(released.PREPARATIONS[family], fps=1.0) == self.RELEASED[family]

    @pytest.mark.parametrize("family", FAMILIES)
    def test_constants(self, family):
        colours = {"clip": released.CLIP_COLOURS, "siglip": released.HALF, "siglip2": released.HALF}
        mean, std = colours.get(family, released.IMAGENET).values()
        pixels = torch.tensor([[0, 128, 255], [1, 2, 3]], dtype=torch.uint8).reshape(1, 1, 1, 2, 3)
        found = normalise_of(released.PREPARATIONS[family])(pixels)
        expected = (pixels.numpy() / 255 - mean) / std
        np.testing.assert_allclose(found.numpy()[0, 0, :, 0], expected[0, 0, 0].T, rtol=1e-5, atol=1e-6)

    def test_the_names_are_those_of_the_hub(self):
        assert EXTRACTORS["clip"] == "clip:openai/clip-vit-base-patch16"
        assert EXTRACTORS["siglip2"] == "siglip2:google/siglip2-base-patch16-224"
        assert EXTRACTORS["dinov2"] == "dinov2:facebook/dinov2-base"
        assert EXTRACTORS["dinov3"] == "dinov3:facebook/dinov3-vitb16-pretrain-lvd1689m"

    @pytest.mark.parametrize("family", ["clip", "dinov2", "hf-resnet", "siglip2"])
    @pytest.mark.parametrize("shape", [(240, 426), (300, 226)])
    def test_frames_of_a_video_are_nearly_those_of_pillow(self, tmp_path, family, shape):
        """The scaler of the decoder is another one: a few levels off at edges, next to none elsewhere."""
        picture, path = photograph(*shape), tmp_path / "still.mkv"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("ffv1", rate=5)
            stream.width, stream.height, stream.pix_fmt = shape[1], shape[0], "bgr0"
            for _ in range(5):
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="bgr0")
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        ((_, found),) = Frames(path, [view_of(released.PREPARATIONS[family], fps=1.0)])
        expected = slow_pixels(picture, released.PREPARATIONS[family])
        assert found.shape == expected.shape == (224, 224, 3)
        off = np.abs(found.astype(int) - expected)
        assert off.mean() < 1.0
        assert np.quantile(off, 0.99) <= 4

    def test_other_forms(self):
        base = released.PREPARATIONS["clip"]
        assert view_of(base | {"do_center_crop": False}, fps=2.0).fit == "squash"  # one number was a square
        kept = base | {"do_center_crop": False, "size": {"shortest_edge": 100}}
        assert view_of(kept, fps=2.0) == View(fps=2.0, size=100, fit="short", interpolation="bicubic")
        large = released.PREPARATIONS["hf-resnet"] | {"size": {"shortest_edge": 384}}
        assert view_of(large, fps=1.0) == View(fps=1.0, size=384, fit="squash", interpolation="bicubic")
        bytes_as_they_are = normalise_of({"do_rescale": False, "do_normalize": False})
        assert bytes_as_they_are(torch.full((1, 1, 2, 2, 3), 7, dtype=torch.uint8)).unique().tolist() == [7.0]

    @pytest.mark.parametrize(
        "spoiled",
        [
            {"resample": 1},
            {"resample": None},
            {"resample": [3]},
            {"size": None},
            {"size": {}},
            {"size": "224"},
            {"size": True},
            {"size": 10**9},
            {"size": -224},
            {"size": {"height": 224, "width": 448}},
            {"size": {"shortest_edge": None}},
            {"crop_size": 300},
            {"crop_size": None},
            {"do_resize": False},
            {"crop_pct": 0},
            {"crop_pct": "0.9"},
            {"crop_pct": float("nan")},
        ],
    )
    def test_a_view_of_nonsense(self, spoiled):
        with pytest.raises(InputError, match=r"preprocessor_config\.json"):
            view_of(released.PREPARATIONS["clip"] | spoiled, fps=1.0)

    @pytest.mark.parametrize(
        "spoiled",
        [
            {"image_mean": None},
            {"image_mean": [0.5, 0.5]},
            {"image_mean": ["a", "b", "c"]},
            {"image_std": [0.5, 0, 0.5]},
            {"image_std": [0.5, float("inf"), 0.5]},
            {"rescale_factor": 0},
            {"rescale_factor": None},
        ],
    )
    def test_constants_of_nonsense(self, spoiled):
        with pytest.raises(InputError, match=r"preprocessor_config\.json"):
            normalise_of(released.PREPARATIONS["siglip"] | spoiled)

    VALUES = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["height", "width", "shortest_edge"]), inner, max_size=3)
        ),
        max_leaves=5,
    )

    @given(st.dictionaries(st.sampled_from([*released.PREPARATIONS["clip"], "crop_pct"]), VALUES))
    @settings(max_examples=100, deadline=None)
    def test_whatever_stands_there_is_a_view_or_one_error(self, spoiled):
        for read in (lambda found: view_of(found, fps=1.0), normalise_of):
            with contextlib.suppress(InputError):
                read(released.PREPARATIONS["clip"] | spoiled)


class TestWeights:
    def test_they_are_named_by_all_that_makes_the_vector(self, folders, folder):
        weights = find(f"clip:{folder}").weights
        assert len(weights) == 64
        assert weights == find(f"clip:{folders['clip']}").weights  # wherever they lie
        (folder / "preprocessor_config.json").write_text(
            (folder / "preprocessor_config.json").read_text().replace("0.48145466", "0.5")
        )
        assert find(f"clip:{folder}").weights != weights

    def test_in_several_files(self, folders, folder):
        whole = find(f"clip:{folder}").network()
        split(folder)
        assert same(find(f"clip:{folder}").network(), whole)
        (folder / "model-00002-of-00002.safetensors").unlink()
        with pytest.raises(InputError, match=r"model-00002-of-00002\.safetensors"):
            find(f"clip:{folder}").network()
        with pytest.raises(InputError, match=r"model-00002-of-00002\.safetensors"):
            _ = find(f"clip:{folder}").weights

    def test_an_index_cannot_name_a_file_elsewhere(self, folder):
        split(folder)
        index = folder / "model.safetensors.index.json"
        index.write_text(index.read_text().replace("model-00002", "../model-00002"))
        with pytest.raises(InputError, match="weight_map"):
            find(f"clip:{folder}").network()

    def test_the_older_file(self, folder):
        whole = find(f"clip:{folder}").network()
        torch.save(safetensors.torch.load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink()
        assert same(find(f"clip:{folder}").network(), whole)

    def test_a_pickle_with_code_is_not_run(self, folder):
        class Code:
            def __reduce__(self):
                return open, (str(folder / "was_run"), "w")

        (folder / "model.safetensors").unlink()
        for write in (torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))):
            write({"weight": Code()}, folder / "pytorch_model.bin")
            with pytest.raises(InputError, match=r"pytorch_model\.bin"):
                find(f"clip:{folder}").network()
        assert not (folder / "was_run").exists()

    @pytest.mark.parametrize("kept", [0, 7, 100, -5])
    def test_cut_off(self, folder, kept):
        path = folder / "model.safetensors"
        path.write_bytes(path.read_bytes()[:kept])
        with pytest.raises(InputError, match=r"model\.safetensors is damaged"):
            find(f"clip:{folder}").network()

    def test_one_is_missing_or_of_another_shape(self, folder):
        path = folder / "model.safetensors"
        stored = safetensors.torch.load_file(path)
        (name,) = [name for name in stored if name.startswith("visual_projection")]
        row = stored.pop(name)
        extra = {"elsewhere": torch.zeros(5000)}  # is not looked at
        safetensors.torch.save_file(stored | extra, path)
        with pytest.raises(InputError, match=r"no weights for visual_projection\.weight"):
            find(f"clip:{folder}").network()
        safetensors.torch.save_file(stored | extra | {name: row[:3].contiguous()}, path)
        with pytest.raises(InputError, match="does not load as CLIPModel"):
            find(f"clip:{folder}").network()


class TestBrokenFolders:
    def test_none(self, tmp_path):
        for name in (tmp_path / "nothing", "", "./nothing", "models", "a/b/c", "~nobody/x"):
            with pytest.raises(InputError, match="no folder"):
                find(f"clip:{name}")

    def test_a_mistyped_path_is_not_asked_of_the_hub(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "models").mkdir()
        with pytest.raises(InputError, match="no folder 'models/clip'"):
            find("clip:models/clip")

    def test_a_file(self, folder):
        with pytest.raises(InputError, match="no folder"):
            find(f"clip:{folder / 'config.json'}")

    def test_no_config(self, folder):
        (folder / "config.json").unlink()
        with pytest.raises(InputError, match=r"config\.json"):
            find(f"clip:{folder}")

    @pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, "\x00"])
    def test_a_config_of_nonsense(self, folder, text):
        (folder / "config.json").write_text(text)
        with pytest.raises(InputError, match=r"config\.json"):
            find(f"clip:{folder}")

    def test_another_kind_of_model(self, folders, folder):
        (folder / "config.json").write_text(json.dumps({"model_type": "bert", "hidden_size": 32}))
        with pytest.raises(InputError, match="type 'bert': this family reads clip, siglip"):
            find(f"clip:{folder}")
        with pytest.raises(InputError, match="type 'clip': this family reads dinov2"):
            find(f"dinov2:{folders['clip']}")
        (folder / "config.json").write_text(json.dumps({"model_type": "siglip2"}))
        with pytest.raises(InputError, match="NaFlex"):
            find(f"siglip2:{folder}")

    def test_no_word_on_what_it_wants_to_see(self, folder):
        told = (folder / "preprocessor_config.json").read_text()
        (folder / "preprocessor_config.json").unlink()
        with pytest.raises(InputError, match=r"preprocessor_config\.json"):
            find(f"clip:{folder}")
        (folder / "processor_config.json").write_text(json.dumps({"image_processor": json.loads(told)}))
        assert find(f"clip:{folder}").view.size == 32  # the newest form

    def test_a_size_that_the_tower_does_not_take(self, folder):
        (folder / "preprocessor_config.json").write_text(json.dumps(released.PREPARATIONS["clip"]))
        with pytest.raises(InputError, match="sees 32 x 32"):
            find(f"clip:{folder}")

    def test_no_weights(self, folder):
        (folder / "model.safetensors").unlink()
        found = find(f"clip:{folder}")
        assert found.dim == 24  # what it is, is known without them
        for ask in (found.network, lambda: found.weights):
            with pytest.raises(InputError, match="no weights"):
                ask()

    @pytest.mark.parametrize(
        ("way", "value"),
        [
            (("vision_config", "num_hidden_layers"), 10**9),
            (("vision_config", "num_attention_heads"), 0),
            (("vision_config", "hidden_act"), "no_such"),
            (("vision_config", "intermediate_size"), 10**6),
            (("vision_config", "intermediate_size"), "48"),
            (("text_config", "vocab_size"), 10**12),
            (("text_config",), []),
            (("projection_dim",), 10**4),
        ],
    )
    def test_a_config_that_the_weights_do_not_fit(self, folder, way, value):
        config = json.loads((folder / "config.json").read_text())
        inner = config
        for key in way[:-1]:
            inner = inner[key]
        inner[way[-1]] = value
        (folder / "config.json").write_text(json.dumps(config))
        with pytest.raises(InputError, match="does not load as CLIPModel"):
            find(f"clip:{folder}").network()

    @pytest.mark.parametrize("value", [0, -1, "32", 10**9, 1.5, True, [32]])
    def test_a_width_of_nonsense(self, folder, value):
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"projection_dim": value}))
        with pytest.raises(InputError, match="projection_dim"):
            find(f"clip:{folder}")

    def test_nothing_is_fetched_that_a_config_names(self, folder):
        """Attention by a name of the hub would be code from there."""
        config = json.loads((folder / "config.json").read_text())
        named = copy.deepcopy(config) | {"auto_map": {"AutoModel": "x--y.Z"}, "attn_implementation": "some/kernel"}
        named["vision_config"] |= {"attn_implementation": "some/kernel", "_attn_implementation": "some/kernel"}
        (folder / "config.json").write_text(json.dumps(named))
        assert find(f"clip:{folder}").network()(torch.zeros(1, 1, 32, 32, 3, dtype=torch.uint8)).shape == (1, 24)
        (folder / "config.json").write_text(json.dumps(config | {"quantization_config": {"bits": 4}}))
        with pytest.raises(InputError, match="quantized"):
            find(f"clip:{folder}")


class TestTheHub:
    """Asked only for what a folder is not, in small steps; here by a double in its place."""

    @pytest.fixture
    def hub(self, folders, tmp_path, monkeypatch):
        asked, cache = [], tmp_path / "cache" / "snapshots" / "abc"

        def snapshot_download(name, *, allow_patterns, revision=None, local_files_only=False):
            if local_files_only:
                if not cache.is_dir():
                    raise OSError("not there")
                return str(cache)
            asked.append((name, tuple(allow_patterns), revision))
            if name != "openai/clip-vit-base-patch16":
                raise OSError("404 Client Error: no such repository\nsecond line")
            cache.mkdir(parents=True, exist_ok=True)
            for path in folders["clip"].iterdir():
                if any(path.match(pattern) for pattern in allow_patterns):
                    shutil.copy(path, cache)
            return str(cache)

        monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
        monkeypatch.chdir(tmp_path)
        return asked

    def test_small_files_first_then_the_weights(self, hub, capsys):
        extractor = find("clip")
        assert extractor.dim == 24
        assert [name for name, _, _ in hub] == ["openai/clip-vit-base-patch16"]
        assert "model.safetensors" not in hub[0][1]
        extractor.network()
        assert hub[1:] == [
            ("openai/clip-vit-base-patch16", ("model*.safetensors", "model*.safetensors.index.json"), "abc")
        ]
        assert "asking the model hub" in capsys.readouterr().err
        del hub[:]
        find("clip").network()  # it lies here now
        assert hub == []

    def test_not_there(self, hub):
        with pytest.raises(InputError, match=r"no/such is not here .*404 Client Error.*FAMILY:FOLDER") as told:
            find("clip:no/such")
        assert "\n" not in str(told.value)


@pytest.mark.slow
def test_a_clip_of_the_real_size(tmp_path):
    import transformers

    config = transformers.CLIPConfig(vision_config={"patch_size": 16})
    released.write(tmp_path, transformers.CLIPModel(config), released.PREPARATIONS["clip"])
    extractor = find(f"clip:{tmp_path}")
    assert (extractor.dim, extractor.view.size) == (512, 224)
    network = extractor.network()
    assert sum(value.numel() for value in network.parameters()) == 86_192_640  # ViT-B/16 and its projection
    with torch.inference_mode():
        assert network(torch.zeros(2, 1, 224, 224, 3, dtype=torch.uint8)).shape == (2, 512)


def same(one, other):
    """Whether two networks hold the same numbers, to the bit."""
    numbers = [network.state_dict() for network in (one, other)]
    return numbers[0].keys() == numbers[1].keys() and all(
        torch.equal(numbers[0][name], numbers[1][name]) for name in numbers[0]
    )


def split(folder):
    """The weights in two files with an index, as large models come."""
    stored = safetensors.torch.load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(stored)
    index = {}
    for number, part in enumerate((names[: len(names) // 2], names[len(names) // 2 :]), 1):
        file = f"model-{number:05}-of-00002.safetensors"
        safetensors.torch.save_file({name: stored[name] for name in part}, folder / file)
        index |= dict.fromkeys(part, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
