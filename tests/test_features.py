"""Tracks and their pooling: numbers worked by hand, many clips equal one by one, the real backbone."""

import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus import TEXTS, film
from tellvision.records import InputError, Skip
from tellvision.vision.extractors import EXTRACTORS, find
from tellvision.vision.features import Job, extract, pool, pool_clips

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


def test_a_track_has_a_unit_row_per_second(tmp_path):
    path = film(tmp_path / "x.mp4", TEXTS[:2], seconds=3)
    result = extract(Job(path, "efficientnet-lite0"))
    track = result.output
    assert track.shape == (6, 1280)
    assert track.dtype == np.float16
    assert np.linalg.norm(track.astype(np.float32), axis=1) == pytest.approx(1.0, abs=1e-3)
    assert result.note == ""
    similar = track.astype(np.float32) @ track.astype(np.float32).T
    assert similar[:3, :3].mean() > similar[:3, 3:].mean() + 0.05  # a step looks like itself
    again = extract(Job(path, "efficientnet-lite0"))
    assert np.array_equal(again.output, track)
    assert again.digest == result.digest
    other = extract(Job(film(tmp_path / "y.mp4", TEXTS[2:4], seconds=3), "efficientnet-lite0"))
    assert other.digest != result.digest


def test_each_row_is_of_its_frame_alone():
    """A frame's vector does not depend on the frames beside it, nor on how many there are."""
    extractor = find("efficientnet-lite0")()
    frames = np.random.default_rng(0).integers(0, 256, (11, 224, 224, 3), np.uint8)
    together = extractor(frames)
    assert together.shape == (11, extractor.dim)
    assert together.dtype == np.float32
    alone = np.concatenate([extractor(frame[None]) for frame in frames])
    cosine = (together * alone).sum(1) / np.linalg.norm(together, axis=1) / np.linalg.norm(alone, axis=1)
    assert cosine.min() > 0.999
    assert extractor(frames[:0]).shape == (0, 1280)


def test_long_videos_are_taken_in_blocks(tmp_path, monkeypatch):
    path = film(tmp_path / "x.mp4", TEXTS[:3], seconds=3)
    whole = extract(Job(path, "efficientnet-lite0")).output.astype(np.float32)
    monkeypatch.setattr("tellvision.vision.features.FRAMES_AT_ONCE", 4)
    parts = extract(Job(path, "efficientnet-lite0")).output.astype(np.float32)
    assert parts.shape == whole.shape
    assert (parts * whole).sum(axis=1).min() > 0.999


def test_half_a_video_gives_half_a_track_with_a_note(tmp_path):
    path = film(tmp_path / "x.mkv", TEXTS)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    result = extract(Job(path, "efficientnet-lite0"))
    assert 0 < len(result.output) < 24
    assert result.note.startswith("ends at ")


def test_what_is_no_video_is_skipped(tmp_path):
    (tmp_path / "x.mp4").write_text("a letter")
    with pytest.raises(Skip, match="unreadable_video"):
        extract(Job(tmp_path / "x.mp4", "efficientnet-lite0"))


def test_an_unknown_backbone_lists_those_there_are():
    with pytest.raises(InputError, match="unknown backbone 'resnet': use one of efficientnet-lite0"):
        find("resnet")


def test_backbones_say_what_they_are():
    for name in EXTRACTORS:
        extractor = find(name)
        assert extractor.dim > 0
        assert extractor.fps > 0
        assert extractor.size > 0
        assert len(extractor.weights) == 64


def test_a_job_travels_to_a_worker(tmp_path):
    job = Job(tmp_path / "x.mp4", "efficientnet-lite0")
    assert pickle.loads(pickle.dumps(job)) == job
