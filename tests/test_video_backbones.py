"""VideoMAE, TimeSformer, X-CLIP, V-JEPA 2: what they were released with, and equal to the library, slowly fed."""

import json
import tempfile
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from tellvision.media import Frames, View
from tellvision.records import InputError
from tellvision.vision.extractors import rate_of, timesformer, videomae, vjepa2, xclip

transformers = pytest.importorskip("transformers", reason="needs the extra [transformers]")

MODULES = {"videomae": videomae, "timesformer": timesformer, "xclip": xclip, "vjepa2": vjepa2}
IMAGENET = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
GREY = [0.45] * 3, [0.225] * 3
COLOURS = {"videomae": IMAGENET, "timesformer": GREY, "xclip": IMAGENET, "vjepa2": IMAGENET}
WORDS = ["<unk>", "pour", "the", "milk", "cut", "an", "onion", "<|startoftext|>", "<|endoftext|>"]
FEW = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
TEXT = FEW | {"intermediate_size": 48, "vocab_size": len(WORDS), "max_position_embeddings": 7}
SEES = FEW | {"intermediate_size": 48, "image_size": 32, "patch_size": 16, "num_frames": 8, "mit_hidden_size": 16}
SMALL = {
    "videomae": FEW
    | {"intermediate_size": 48, "image_size": 32, "decoder_hidden_size": 8, "decoder_num_attention_heads": 2}
    | {"decoder_intermediate_size": 16, "decoder_num_hidden_layers": 1},
    "timesformer": FEW | {"intermediate_size": 48, "image_size": 32},
    "xclip": {
        "text_config": TEXT | {"hidden_size": 16},
        "vision_config": SEES | {"mit_num_attention_heads": 2, "mit_intermediate_size": 32},
        "projection_dim": 16,
        "prompt_num_attention_heads": 2,
    },
    "vjepa2": FEW
    | {"crop_size": 32, "pred_hidden_size": 24, "pred_num_attention_heads": 2, "pred_num_hidden_layers": 1},
}


def preparation(kind, size):
    """As it lies beside the released weights, apart from the size."""
    mean, std = COLOURS[kind]
    return {
        "crop_size": {"height": size, "width": size},
        "do_center_crop": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": mean,
        "image_processor_type": "VideoMAEImageProcessor",
        "image_std": std,
        "resample": 2,
        "rescale_factor": 0.00392156862745098,
        "size": {"shortest_edge": size},
    }


def describe(folder, kind, config, size):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_type": kind} | config))
    (folder / "preprocessor_config.json").write_text(json.dumps(preparation(kind, size)))
    return str(folder)


def save(network, folder, kind):
    """Random weights in the released form; zeros and ones of a fresh network would hide mistakes."""
    torch.manual_seed(3)
    with torch.no_grad():
        for weight in network.parameters():
            weight.normal_(0.0, 0.3)
    network.eval().save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(preparation(kind, 32)))
    if kind == "xclip":
        tokenizer = Tokenizer(WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="<unk>"))
        tokenizer.pre_tokenizer = Whitespace()
        tokenizer.save(str(folder / "tokenizer.json"))
    return network


ARCHITECTURES = {
    "videomae": ("VideoMAEConfig", "VideoMAEForPreTraining"),
    "timesformer": ("TimesformerConfig", "TimesformerForVideoClassification"),
    "xclip": ("XCLIPConfig", "XCLIPModel"),
    "vjepa2": ("VJEPA2Config", "VJEPA2Model"),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Family -> its folder and the library's network, made once."""
    made = {}
    for kind, (config, architecture) in ARCHITECTURES.items():
        folder = tmp_path_factory.mktemp(kind)
        more = {"use_mean_pooling": False} if kind == "videomae" else {}
        network = getattr(transformers, architecture)(getattr(transformers, config)(**SMALL[kind], **more))
        made[kind] = str(folder), save(network, folder, kind)
    return made


def units(extractor, n=3):
    """Noise that grows brighter from frame to frame."""
    size = extractor.view.size
    noise = np.random.default_rng(5).random((n, extractor.unit, size, size, 3))
    return (noise * np.linspace(20, 255, extractor.unit)[:, None, None, None]).astype(np.uint8)


def slow(kind, pixels):
    """(n, unit, 3, h, w): the library's preparation, written out in double precision."""
    mean, std = COLOURS[kind]
    ready = (pixels / 255.0 - np.array(mean)) / np.array(std)
    return torch.from_numpy(ready.transpose(0, 1, 4, 2, 3).astype(np.float32))


@torch.inference_mode()
def reference(kind, network, pixels):
    ready = slow(kind, pixels)
    if kind == "videomae":
        return network.videomae(ready).last_hidden_state.mean(dim=1)
    if kind == "timesformer":
        return network.timesformer(ready).last_hidden_state[:, 0]
    if kind == "xclip":
        return network.get_video_features(pixel_values=ready).pooler_output
    return network(pixel_values_videos=ready, skip_predictor=True).last_hidden_state.mean(dim=1)


@torch.inference_mode()
def vectors(network, pixels):
    return network(torch.from_numpy(pixels))


RELEASED = [  # what stands in the released config.json, as far as it is no default
    ("videomae", {"num_frames": 16, "hidden_size": 768, "image_size": 224}, 224, 224, 8.0, 16, 768, 2.0),
    ("videomae", {}, 224, 224, 8.0, 16, 768, 2.0),
    ("videomae", {"hidden_size": 1024}, 224, 224, 8.0, 16, 1024, 2.0),
    ("timesformer", {"num_frames": 8}, 224, 224, 1.0, 8, 768, 8.0),
    ("timesformer", {"num_frames": 16, "image_size": 448}, 448, 448, 2.0, 16, 768, 8.0),
    ("timesformer", {"num_frames": 96}, 224, 224, 8.0, 96, 768, 12.0),
    ("xclip", {"vision_config": {"patch_size": 32}}, 224, 224, 1.0, 8, 512, 8.0),
    ("xclip", {"vision_config": {"num_frames": 32}}, 224, 224, 4.0, 32, 512, 8.0),
    (
        "xclip",
        {"projection_dim": 768, "vision_config": {"num_frames": 16, "image_size": 336, "mit_hidden_size": 768}},
        336,
        336,
        2.0,
        16,
        768,
        8.0,
    ),
    ("vjepa2", {"frames_per_clip": 64, "crop_size": 256}, 256, 292, 4.0, 16, 1024, 4.0),
    ("vjepa2", {"crop_size": 384, "hidden_size": 1408}, 384, 438, 4.0, 16, 1408, 4.0),
    ("vjepa2", {"frames_per_clip": 16}, 256, 292, 4.0, 16, 1024, 4.0),
]


@pytest.mark.parametrize(("kind", "config", "size", "short", "fps", "unit", "dim", "seconds"), RELEASED)
def test_what_it_sees_follows_from_the_small_files(tmp_path, kind, config, size, short, fps, unit, dim, seconds):
    found = MODULES[kind].find(describe(tmp_path / "m", kind, config, size))  # no weights lie there
    assert found.view == View(fps=fps, size=size, fit="crop", short=short, interpolation="bilinear")
    assert (found.unit, found.dim, found.tail) == (unit, dim, "last")
    assert rate_of(found) == 1 / seconds
    with pytest.raises(InputError, match="weights"):
        _ = found.weights
    with pytest.raises(InputError, match="weights"):
        found.network()


@pytest.mark.parametrize("kind", MODULES)
def test_as_the_library_gives_it(models, kind):
    folder, network = models[kind]
    found = MODULES[kind].find(folder)
    pixels = units(found)
    ours = vectors(found.network(), pixels)
    negative = reference(kind, network, 255 - pixels)
    assert (ours - negative).abs().max() > 0.05  # the pixels count
    assert ours.shape == (3, found.dim)
    assert ours.dtype == torch.float32
    torch.testing.assert_close(ours, reference(kind, network, pixels), rtol=1e-4, atol=1e-5)
    assert len(found.weights) == 64


@pytest.mark.parametrize("kind", MODULES)
def test_order_counts_and_neighbours_do_not(models, kind):
    found = MODULES[kind].find(models[kind][0])
    network, pixels = found.network(), units(found, n=2)
    both = vectors(network, pixels)
    alone = torch.cat([vectors(network, pixels[:1]), vectors(network, pixels[1:])])
    torch.testing.assert_close(both, alone, rtol=1e-4, atol=1e-5)
    backwards = vectors(network, pixels[:, ::-1].copy())
    assert (both - backwards).abs().max() > 1e-3


@pytest.mark.parametrize("kind", MODULES)
def test_in_half_precision(models, kind):
    found = MODULES[kind].find(models[kind][0])
    network, pixels = found.network(), units(found)
    whole, half = vectors(network, pixels), vectors(network.to(torch.bfloat16), pixels)
    assert half.dtype == torch.float32
    assert torch.cosine_similarity(whole, half).min() > 0.99


@pytest.mark.parametrize("kind", MODULES)
def test_only_what_is_used_is_kept(models, kind):
    network = MODULES[kind].find(models[kind][0]).network()
    assert not network.training
    names = " ".join(name for name, _ in network.named_parameters())
    assert not any(word in names for word in ("decoder", "classifier", "text_model", "predictor", "prompts"))


def test_videomae_with_a_classifier_stops_before_it(tmp_path):
    config = transformers.VideoMAEConfig(**SMALL["videomae"], use_mean_pooling=True, num_labels=5)
    network = save(transformers.VideoMAEForVideoClassification(config), tmp_path, "videomae")
    found = videomae.find(str(tmp_path))
    pixels = units(found)
    ours = vectors(found.network(), pixels)
    with torch.inference_mode():
        torch.testing.assert_close(network.classifier(ours), network(slow("videomae", pixels)).logits)


def test_videomae_as_it_was_released(models, tmp_path):
    """The released files name the biases of queries and values otherwise, and are pytorch_model.bin."""
    folder, network = models["videomae"]
    old = {
        name.replace("query.bias", "q_bias").replace("value.bias", "v_bias"): value.clone()
        for name, value in network.state_dict().items()
    }
    assert sum(name.startswith("videomae.") and name.endswith("_bias") for name in old) == 4
    torch.save(old, tmp_path / "pytorch_model.bin")
    for name in ("config.json", "preprocessor_config.json"):
        (tmp_path / name).write_text((Path(folder) / name).read_text())
    found, pixels = videomae.find(str(tmp_path)), units(videomae.find(folder))
    torch.testing.assert_close(vectors(found.network(), pixels), reference("videomae", network, pixels))


def test_timesformer_is_what_its_classifier_sees(models):
    folder, network = models["timesformer"]
    found = timesformer.find(folder)
    pixels = units(found)
    ours = vectors(found.network(), pixels)
    with torch.inference_mode():
        torch.testing.assert_close(network.classifier(ours), network(slow("timesformer", pixels)).logits)


def test_texts_of_xclip_as_the_library_gives_them(models):
    folder, network = models["xclip"]
    tower = xclip.text(folder)
    rows = tower(["pour the milk", "cut an onion cut an onion cut an onion", "", "pour nothing"])
    start, end, unknown = 7, 8, 0
    by_hand = [
        [start, 1, 2, 3, end],
        [start, 4, 5, 6, 4, 5, end],  # seven places
        [start, end],
        [start, 1, unknown, end],
    ]
    with torch.inference_mode():
        expected = [network.get_text_features(input_ids=torch.tensor([ids])).pooler_output[0] for ids in by_hand]
    expected = torch.nn.functional.normalize(torch.stack(expected), dim=1).numpy()
    assert (rows.shape, rows.dtype, tower.dim) == ((4, 16), np.float32, 16)
    np.testing.assert_allclose(rows, expected, rtol=1e-4, atol=1e-5)
    assert tower([]).shape == (0, 16)
    assert tower.weights == xclip.find(folder).weights


def test_xclip_sees_and_reads_in_one_space(models):
    """Without the adjustment to one video, whose weight is set to nothing here, the library's own likeness."""
    folder, network = models["xclip"]
    found = xclip.find(folder)
    pixels = units(found)
    seen = torch.nn.functional.normalize(vectors(found.network(), pixels), dim=1)
    read = torch.from_numpy(xclip.text(folder)(["pour the milk", "cut an onion"]))
    alpha = network.prompts_generator.alpha.detach().clone()
    ids = torch.tensor([[7, 1, 2, 3, 8], [7, 4, 5, 6, 8]])
    with torch.no_grad():
        network.prompts_generator.alpha.zero_()
        whole = network(input_ids=ids, pixel_values=slow("xclip", pixels))
        scale = network.logit_scale.exp()
        network.prompts_generator.alpha.copy_(alpha)
    torch.testing.assert_close(seen @ read.T * scale, whole.logits_per_video, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", MODULES)
def test_frames_as_the_library_would_scale_them(models, tmp_path, kind):
    """Against Pillow's filter on the decoded frames: smooth pictures differ by the rounding of colours."""
    found = MODULES[kind].find(models[kind][0])
    film = tmp_path / "film.mp4"
    y, x = np.mgrid[:96, :160]
    with av.open(str(film), "w") as out:
        stream = out.add_stream("libx264", rate=int(found.view.fps * 2), options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv444p"
        for turn in range(2 * found.unit):
            waves = [np.sin((x * a + y * b) / 40 + turn / 5) for a, b in ((1, 0), (0, 1), (1, 1))]
            picture = np.stack([127 + 100 * wave for wave in waves], axis=-1).astype(np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        out.mux(stream.encode())
    rows = np.stack([picture for _, picture in Frames(film, [found.view])])
    with av.open(str(film)) as source:
        decoded = [frame.to_image() for frame in source.decode(video=0)][::2]
    short, cut = found.view.short, found.view.size
    expected = []
    for frame in decoded:
        wide = round(160 * short / 96)
        left, top = (wide - cut) // 2, (short - cut) // 2
        scaled = frame.resize((wide, short), Image.Resampling.BILINEAR)
        expected.append(np.asarray(scaled.crop((left, top, left + cut, top + cut))))
    assert rows.shape == (found.unit, cut, cut, 3)
    assert np.abs(rows.astype(int) - np.stack(expected)).max() <= 6


@pytest.mark.parametrize("kind", MODULES)
def test_another_model_is_refused(tmp_path, kind):
    folder = tmp_path / "m"
    describe(folder, kind, {"model_type": "clip"}, 224)
    with pytest.raises(InputError, match=f"reads {kind}"):
        MODULES[kind].find(str(folder))
    with pytest.raises(InputError, match="no folder"):
        MODULES[kind].find(str(tmp_path / "none"))


@pytest.mark.parametrize("kind", ["videomae", "timesformer", "xclip"])
def test_pictures_of_another_size_are_refused(tmp_path, kind):
    with pytest.raises(InputError, match=r"224 x 224, its preprocessor_config\.json makes crop ones of 112"):
        MODULES[kind].find(describe(tmp_path / "m", kind, {}, 112))


def test_too_many_frames_are_refused(tmp_path):
    with pytest.raises(InputError, match="129 frames, known are 1 to 128"):
        videomae.find(describe(tmp_path / "m", "videomae", {"num_frames": 129}, 224))


def test_two_widths_of_one_space_are_refused(tmp_path):
    with pytest.raises(InputError, match="mit_hidden_size"):
        xclip.find(describe(tmp_path / "m", "xclip", {"projection_dim": 256}, 224))


def test_weights_of_another_shape_are_refused(models, tmp_path):
    folder, _ = models["videomae"]
    for path in Path(folder).iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"hidden_size": 48}))
    with pytest.raises(InputError, match="VideoMAEModel"):
        videomae.find(str(tmp_path)).network()
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    with pytest.raises(InputError, match="missing"):
        videomae.find(str(tmp_path)).network()


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 10**6) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
KEYS = [
    "num_frames",
    "image_size",
    "hidden_size",
    "crop_size",
    "frames_per_clip",
    "vision_config",
    "projection_dim",
]


@given(
    kind=st.sampled_from(sorted(MODULES)),
    config=st.dictionaries(st.sampled_from(KEYS), anything, max_size=4),
    pixels=st.dictionaries(st.sampled_from(sorted(preparation("xclip", 8))), anything, max_size=3),
)
@settings(max_examples=150, deadline=None)
def test_a_config_of_nonsense_is_refused_or_means_something(kind, config, pixels):
    with tempfile.TemporaryDirectory() as there:
        folder = Path(there) / "m"
        describe(folder, kind, config, 224)
        (folder / "preprocessor_config.json").write_text(json.dumps(preparation(kind, 224) | pixels))
        try:
            found = MODULES[kind].find(str(folder))
        except InputError:
            return
    assert 0 < found.unit <= 128
    assert 0 < found.view.size <= 2048
    assert rate_of(found) > 0
