"""Tracks and their pooling: numbers worked by hand, many clips equal one by one, the real backbone."""

import importlib
import math
import pickle
from pathlib import Path
from urllib.parse import unquote

import av
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus import TEXTS, film
from tellvision.media import Frames, View
from tellvision.records import InputError, Skip
from tellvision.vision import extractors, features
from tellvision.vision.extractors import FeatureConfig, find, folder_of, rate_of
from tellvision.vision.features import Job, extract, pool, pool_clips
from tellvision.vision.network import Network

TRACK = np.array([[3, 0], [0, 1], [1, 1], [0, 4], [2, 0], [1, 2], [9, 9]], np.float32)


@pytest.mark.parametrize(
    ("start", "end", "fps", "expected"),
    [
        (0, 5, 1, (3 / 5, 4 / 5)),  # six rows: the maximum is (3, 4)
        (0, 0, 1, (1, 0)),
        (1.9, 2.9, 1, (1 / 2**0.5, 1 / 2**0.5)),  # rows 1 and 2
        (4, 5, 1, (1 / 2**0.5, 1 / 2**0.5)),  # (2, 2)
        (6, 100, 1, (1 / 2**0.5, 1 / 2**0.5)),  # cut at the end
        (0, 1, 2, (3 / 10**0.5, 1 / 10**0.5)),  # rows 0 to 2
        (0, 9.9, 0.1, (1, 0)),
    ],
)
def test_pooling_by_hand(start, end, fps, expected):
    found = pool(TRACK, fps, start, end)
    assert found.dtype == np.float32
    assert found.shape == (2,)
    assert found == pytest.approx(expected)
    assert isinstance(found, np.ndarray)


def test_the_maximum_of_negative_numbers_is_kept():
    assert pool(np.array([[-3.0, -4.0]], np.float32), 1, 0, 9) == pytest.approx((-0.6, -0.8))


def test_all_zero_stays_zero():
    for track in (np.zeros((3, 4), np.float16), torch.zeros(3, 4)):
        assert np.array_equal(np.asarray(pool(track, 1.0, 0, 2)), np.zeros(4, np.float32))
    rows, kept = pool_clips(np.zeros((3, 4), np.float16), 1.0, np.array([0.0]), np.array([2.0]))
    assert np.array_equal(rows, np.zeros((1, 4)))
    assert kept.tolist() == [0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.bfloat16, torch.float64])
def test_a_tensor_gives_a_tensor(dtype):
    track = torch.from_numpy(TRACK).to(dtype)
    found = pool(track, 1.0, 0.0, 5.0)
    assert isinstance(found, torch.Tensor)
    assert found.dtype == torch.float32
    assert found.device == track.device
    assert found.tolist() == pytest.approx([0.6, 0.8])


@pytest.mark.parametrize("track", [TRACK, torch.from_numpy(TRACK)])
@pytest.mark.parametrize(
    ("start", "end"), [(-1, 5), (5, 1), (math.nan, 5), (0, math.nan), (0, math.inf), (7, 9), (1e12, 1e13)]
)
def test_times_without_a_row_are_errors(track, start, end):
    with pytest.raises(ValueError):
        pool(track, 1.0, start, end)


def test_half_floats_are_pooled_like_floats():
    track = np.random.default_rng(0).standard_normal((9, 5)).astype(np.float16)
    assert np.array_equal(pool(track, 1.0, 2, 6), pool(track.astype(np.float32), 1.0, 2, 6))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_many_clips_equal_one_by_one(data):
    steps = data.draw(st.integers(1, 12))
    fps = data.draw(st.sampled_from([0.5, 1.0, 1.5]))
    track = np.random.default_rng(steps).standard_normal((steps, 3)).astype(np.float16)
    times = data.draw(st.lists(st.tuples(st.floats(0, 20), st.floats(0, 10)), max_size=8))
    starts = np.array([start for start, _ in times])
    ends = np.array([start + length for start, length in times])
    rows, kept = pool_clips(track, fps, starts, ends)
    assert rows.dtype == np.float32
    assert rows.shape == (len(kept), 3)
    expected = {}
    for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
        try:
            expected[i] = pool(track, fps, float(start), float(end))
        except ValueError as error:
            assert "no row left" in str(error)  # noqa: PT017 which clips are left out is what is compared
    assert kept.tolist() == list(expected)
    assert all(np.array_equal(row, expected[i]) for row, i in zip(rows, kept, strict=True))


def test_reversed_times_among_many_are_an_error():
    with pytest.raises(ValueError, match="0 <= start <= end"):
        pool_clips(TRACK, 1.0, np.array([0.0, 4.0]), np.array([1.0, 3.0]))


# The real backbone

LITE = "efficientnet-lite0"


def job(path, *backbones, **more):
    return Job(path=path, backbones=backbones or (LITE,), **more)


def track_of(path):
    return extract(job(path)).output[LITE]


def test_a_track_has_a_unit_row_per_second(tmp_path):
    path = film(tmp_path / "x.mp4", TEXTS[:2], seconds=3)
    result = track_of(path)
    track = result.output
    assert track.shape == (6, 1280)
    assert track.dtype == np.float16
    assert np.linalg.norm(track.astype(np.float32), axis=1) == pytest.approx(1.0, abs=1e-3)
    assert result.note == ""
    similar = track.astype(np.float32) @ track.astype(np.float32).T
    assert similar[:3, :3].mean() > similar[:3, 3:].mean() + 0.05  # a step looks like itself
    again = track_of(path)
    assert np.array_equal(again.output, track)
    assert again.digest == result.digest
    other = track_of(film(tmp_path / "y.mp4", TEXTS[2:4], seconds=3))
    assert other.digest != result.digest


def test_each_row_is_of_its_frame_alone():
    """A frame's vector does not depend on the frames beside it, nor on how many there are."""
    network = Network(find(LITE))
    frames = np.random.default_rng(0).integers(0, 256, (11, 1, 224, 224, 3), np.uint8)
    together = network(frames)
    assert together.shape == (11, 1280)
    assert together.dtype == np.float32
    alone = np.concatenate([network(frame[None]) for frame in frames])
    assert (together * alone).sum(1).min() > 0.999


def test_long_videos_are_taken_in_blocks(tmp_path, monkeypatch):
    path = film(tmp_path / "x.mp4", TEXTS[:3], seconds=3)
    whole = track_of(path).output.astype(np.float32)
    monkeypatch.setattr("tellvision.vision.features.FRAMES_AT_ONCE", 4)
    parts = track_of(path).output.astype(np.float32)
    assert parts.shape == whole.shape
    assert (parts * whole).sum(axis=1).min() > 0.999


def test_several_backbones_see_one_decoding(tmp_path, monkeypatch):
    path = film(tmp_path / "x.mp4", TEXTS[:2], seconds=3)
    alone = {name: extract(job(path, name)).output[name] for name in (LITE, "efficientnet-lite1")}
    opened = []
    monkeypatch.setattr(features, "Frames", lambda *given: opened.append(given) or Frames(*given))
    together = extract(job(path, "efficientnet-lite1", LITE)).output
    assert len(opened) == 1
    assert list(together) == ["efficientnet-lite1", LITE]
    for name, track in alone.items():
        assert together[name].digest == track.digest
        assert np.array_equal(together[name].output, track.output)


class Colours:
    """Three frames at 2 a second make a vector: their first, second and last mean grey."""

    view, unit, tail, dim, weights = View(fps=2, size=8), 3, "last", 3, "none"

    def network(self):
        return Means()


class Means(torch.nn.Module):
    def forward(self, units):
        return units.float().mean(dim=(2, 3, 4))


@pytest.mark.parametrize(("tail", "last"), [("last", (7, 7, 7)), ("black", (7, 0, 0))])
def test_the_last_unit_is_filled_up(monkeypatch, tmp_path, tail, last):
    """7 frames of grey 1 to 7 in units of three, by hand."""
    monkeypatch.setattr(Colours, "tail", tail)
    monkeypatch.setattr(features, "find", lambda name: Colours())
    monkeypatch.setattr(features, "_embedding", lambda *_: lambda units: Means()(torch.from_numpy(units)).numpy())
    monkeypatch.setattr(features, "FRAMES_AT_ONCE", 4)  # in blocks of whole units: one unit each

    class Film:
        note, refused = "ends early", {}

        def __init__(self, path, views):
            assert views == [Colours.view]

        def __iter__(self):
            yield from ((0, np.full((8, 8, 3), grey, np.uint8)) for grey in range(1, 8))

    monkeypatch.setattr(features, "Frames", Film)
    track = extract(job(tmp_path / "x.mp4", "colours")).output["colours"]
    assert track.output.tolist() == [[1, 2, 3], [4, 5, 6], list(last)]
    assert track.note == "ends early"


def test_what_one_backbone_cannot_take_costs_the_others_nothing(tmp_path, monkeypatch):
    """A film of 1:20: squeezed it gives a row a second; with the aspect kept it is refused."""
    wide = Colours()
    wide.view = View(fps=2, size=8, fit="short")
    monkeypatch.setattr(features, "find", lambda name: wide if name == "wide" else Colours())
    monkeypatch.setattr(features, "_embedding", lambda *_: lambda units: Means()(torch.from_numpy(units)).numpy())
    path = long_film(tmp_path / "x.mp4")
    made = extract(job(path, "wide", "colours")).output
    assert made["wide"].reason == "odd_shape"
    assert len(made["colours"].output) == 2
    with pytest.raises(Skip, match="odd_shape"):
        extract(job(path, "wide"))


def long_film(path):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=2)
        stream.width, stream.height, stream.pix_fmt = 640, 32, "yuv420p"
        for _ in range(6):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 640, 3), np.uint8))))
        container.mux(stream.encode(None))
    return path


def test_a_vector_that_is_no_number_costs_the_others_nothing(tmp_path, monkeypatch):
    def embedding(name, *_):
        def embed(units):
            if name == "bad":
                raise Skip("not_finite", "1 of 1")
            return Means()(torch.from_numpy(units)).numpy()

        return embed

    monkeypatch.setattr(features, "find", lambda name: Colours())
    monkeypatch.setattr(features, "_embedding", embedding)
    made = extract(job(film(tmp_path / "x.mp4", TEXTS[:2], seconds=3), "bad", "good")).output
    assert made["bad"].reason == "not_finite"
    assert len(made["good"].output) == 4


def test_other_weights_on_another_machine_are_an_error(tmp_path):
    with pytest.raises(InputError, match="efficientnet-lite0 has other weights on"):
        extract(job(tmp_path / "x.mp4", weights=("0" * 64,)))


def test_half_a_video_gives_half_a_track_with_a_note(tmp_path):
    path = film(tmp_path / "x.mkv", TEXTS)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    result = track_of(path)
    assert 0 < len(result.output) < 24
    assert result.note.startswith("ends at ")


def test_what_is_no_video_is_skipped(tmp_path):
    (tmp_path / "x.mp4").write_text("a letter")
    with pytest.raises(Skip, match="unreadable_video"):
        extract(job(tmp_path / "x.mp4"))


def test_an_unknown_backbone_lists_those_there_are():
    with pytest.raises(InputError, match="unknown backbone 'no-such': use one of efficientnet-lite0"):
        find("no-such")


def test_what_a_family_does_not_know_is_said():
    with pytest.raises(InputError, match="unknown model efficientnet-lite:7: use 0, 1, 2"):
        find("efficientnet-lite:7")


def test_a_backbone_named_twice_and_none_at_all():
    with pytest.raises(InputError, match="named twice"):
        FeatureConfig(backbone=(LITE, LITE))
    with pytest.raises(InputError, match="name at least one backbone"):
        FeatureConfig(backbone=())


def test_every_name_and_family_leads_to_a_module():
    for name, spec in extractors.EXTRACTORS.items():
        assert spec.partition(":")[0] in extractors.FAMILIES, name
    for module in extractors.FAMILIES.values():
        assert callable(importlib.import_module(f"tellvision.vision.extractors.{module}").find)


@pytest.mark.parametrize("name", ["clip:openai/clip-vit-base-patch16", "a/../b", "ä:ü", "clip:/x y", ".."])
def test_a_folder_for_tracks_holds_its_backbone_and_parts_nothing(name):
    folder = folder_of(name)
    assert unquote(folder) == name
    assert Path(folder).name == folder
    assert folder not in (".", "..")


def test_backbones_say_what_they_are():
    for name in ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"):
        extractor = find(name)
        assert extractor.dim > 0
        assert rate_of(extractor) > 0
        assert extractor.view.size > 0


def test_a_job_travels_to_a_worker(tmp_path):
    one = job(tmp_path / "x.mp4")
    assert pickle.loads(pickle.dumps(one)) == one
