"""The motion track: numbers worked by hand, and equal to a slow reference."""

import math

import numpy as np
import pytest
import torch

from tellvision.records import InputError
from tellvision.vision.extractors.motion import CELLS, DIRECTIONS, FAINT, LUMA, NormalFlow, find
from tellvision.vision.network import Network

RIGHT, DOWN, LEFT, UP = 0, 2, 4, 6


def flow(film):
    """(frames, h, w) grey or (frames, h, w, 3) -> (directions, cells, cells)."""
    film = np.asarray(film, np.uint8)
    if film.ndim == 3:
        film = np.repeat(film[..., None], 3, axis=-1)
    return NormalFlow()(torch.from_numpy(film)[None]).numpy().reshape(len(DIRECTIONS), CELLS, CELLS)


def edge(frames=8, size=64):
    """Bright to the left of column 16 + i in frame i, dark right of it."""
    film = np.zeros((frames, size, size), np.uint8)
    for i in range(frames):
        film[i, :, : 16 + i] = 100
    return film


def square(step, start=28, side=8):
    """A bright square on black that moves by `step` (right, down) pixels from frame to frame."""
    film = np.zeros((8, 64, 64), np.uint8)
    for i in range(8):
        left, top = start + i * step[0], start + i * step[1]
        film[i, top : top + side, left : left + side] = 200
    return film


def reference(film):
    """The same pixel by pixel."""
    grey = np.asarray(film, np.float64) @ np.array(LUMA)
    frames, height, width = grey.shape
    sums = np.zeros((len(DIRECTIONS), CELLS, CELLS))
    for t in range(frames - 1):
        middle = (grey[t] + grey[t + 1]) / 2
        for y in range(height):
            for x in range(width):
                across = (middle[y, min(x + 1, width - 1)] - middle[y, max(x - 1, 0)]) / 2
                down = (middle[min(y + 1, height - 1), x] - middle[max(y - 1, 0), x]) / 2
                share = -(grey[t + 1, y, x] - grey[t, y, x]) / math.sqrt(across**2 + down**2 + FAINT**2)
                for k, (to_right, to_below) in enumerate(DIRECTIONS):
                    towards = share * (across * to_right + down * to_below)
                    sums[k, y * CELLS // height, x * CELLS // width] += max(towards, 0.0)
    return np.sqrt(sums / (frames - 1) / (height // CELLS * (width // CELLS)))


def test_an_edge_that_moves_right_by_one_pixel():
    # Each step one column brightens by 100; the mean of both frames falls there by 50 a pixel. Along the
    # gradient that is 100 * 50 / sqrt(50**2 + 4**2), in 8 of the 64 pixels of a cell, in each of the 7 steps.
    found = flow(edge())
    along = 100 * 50 / math.sqrt(2516)
    expected = np.zeros_like(found)
    expected[RIGHT, :, 2] = math.sqrt(along / 8)
    expected[[RIGHT + 1, UP + 1], :, 2] = math.sqrt(along * math.sqrt(0.5) / 8)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    ("step", "direction", "against"),
    [((1, 0), RIGHT, LEFT), ((0, 1), DOWN, UP), ((-1, 0), LEFT, RIGHT), ((0, -1), UP, DOWN)],
)
def test_a_square_moves(step, direction, against):
    # Both of the edges that are crossed say the same: one brightens, the other darkens and falls the other way.
    found = flow(square(step))
    assert found.sum(axis=(1, 2)).argmax() == direction
    assert not found[against].any()
    assert not found[:, :, 6:].any()
    assert not found[:, :2].any()


def test_a_dark_square_on_white_moves_the_same_way():
    np.testing.assert_allclose(flow(255 - square((1, 0))), flow(square((1, 0))), rtol=1e-4, atol=1e-5)


def test_nothing_moves():
    still = np.repeat(np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3)), 8, axis=0)
    assert not flow(still).any()


def test_zero_stays_zero_and_the_rest_is_of_unit_length():
    films = np.stack([np.repeat(square((1, 0))[:1], 8, axis=0), square((1, 0)), square((0, 1))])
    rows = Network(find(""))(np.repeat(films[..., None], 3, axis=-1))
    assert rows.shape == (3, find("").dim)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), [0, 1, 1], rtol=1e-6)


def test_brightness():
    flash = np.repeat(np.arange(0, 200, 25)[:, None, None], 64, axis=1).repeat(64, axis=2)
    assert not flow(flash).any()  # a flat picture has no edge that could move
    np.testing.assert_allclose(flow(edge() + 50), flow(edge()), rtol=1e-5, atol=0)  # only differences count


def test_backwards_is_the_other_way():
    film = np.random.default_rng(1).integers(0, 256, (8, 64, 64, 3))
    np.testing.assert_allclose(flow(film[::-1]), np.roll(flow(film), 4, axis=0), rtol=1e-5)


def test_mirrored_is_mirrored():
    film = np.random.default_rng(2).integers(0, 256, (8, 64, 64, 3))
    turned = flow(film)[[4, 3, 2, 1, 0, 7, 6, 5]][:, :, ::-1]
    np.testing.assert_allclose(flow(film[:, :, ::-1]), turned, rtol=1e-4)


def test_equals_the_slow_reference():
    film = np.random.default_rng(3).integers(0, 256, (3, 16, 24, 3))
    film[2] = film[1]
    np.testing.assert_allclose(flow(film), reference(film), rtol=1e-5, atol=1e-5)


def test_every_unit_alone():
    units = torch.from_numpy(np.random.default_rng(4).integers(0, 256, (3, 8, 64, 64, 3), np.uint8))
    together = NormalFlow()(units)
    for i in range(3):
        torch.testing.assert_close(NormalFlow()(units[i : i + 1])[0], together[i])


def test_what_it_says_of_itself():
    motion = find("")
    assert motion.view.fps / motion.unit == 1.0
    assert motion.weights == "none"
    assert not list(motion.network().parameters())
    with pytest.raises(InputError, match="motion:fast"):
        find("fast")
