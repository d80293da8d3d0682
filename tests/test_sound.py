"""Sound on the clock of the pictures: pieces at known times, holes, doubles, halves, files of nonsense."""

import contextlib

import av
import numpy as np
import pytest

from corpus import TEXTS, film
from spoken import RATE, quiet, with_sound
from tellvision.media import Sound, sound
from tellvision.records import Skip


def beep(seconds, pitch=440.0):
    return (0.5 * np.sin(2 * np.pi * pitch * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def heard(path, *span):
    return np.concatenate([*Sound(path, *span), np.empty(0, np.float32)])


def loud(samples):
    """First and last second of what is loud."""
    (at,) = np.nonzero(np.abs(samples) > 0.1)
    return at[0] / RATE, at[-1] / RATE


PCM = {"codec": "pcm_s16le", "format": "s16"}


@pytest.mark.parametrize("ending", [".mkv", ".mov", ".avi"])
def test_what_is_heard_is_what_was_written(tmp_path, ending):
    samples = np.concatenate([quiet(1), beep(2), quiet(1)])
    path = with_sound(tmp_path / f"x{ending}", [(0.0, samples)], **PCM)
    found = heard(path)
    assert found.dtype == np.float32
    assert len(found) == len(samples)
    assert np.abs(found - samples).max() < 1e-4


@pytest.mark.parametrize(
    ("ending", "codec", "rate", "layout"),
    [
        (".mp4", "aac", 44100, "stereo"),
        (".webm", "libopus", 48000, "mono"),
        (".mkv", "libmp3lame", 22050, "stereo"),
        (".avi", "libmp3lame", 44100, "mono"),
        (".m4v", "aac", 48000, "5.1"),
    ],
)
def test_codecs_rates_and_channels(tmp_path, ending, codec, rate, layout):
    ticks = np.arange(round(4 * rate)) / rate
    samples = np.where((ticks >= 1) & (ticks < 3), 0.5 * np.sin(2 * np.pi * 440 * ticks), 0).astype(np.float32)
    form = "flt" if codec == "libopus" else "fltp"
    path = with_sound(
        tmp_path / f"x{ending}", [(0.0, samples)], codec=codec, rate=rate, layout=layout, format=form
    )
    found = heard(path)
    assert len(found) / RATE == pytest.approx(4, abs=0.1)
    assert loud(found) == pytest.approx((1, 3), abs=0.06)
    assert np.abs(found).max() <= 1.0


@pytest.mark.parametrize("late", [0.0, 0.7, 3.0])
def test_sound_that_begins_after_the_picture(tmp_path, late):
    path = with_sound(tmp_path / "x.mkv", [(late, beep(1))], picture=(0, 6), **PCM)
    assert loud(heard(path)) == pytest.approx((late, late + 1), abs=0.01)


def test_sound_that_begins_before_the_picture_begins_at_zero(tmp_path):
    path = with_sound(tmp_path / "x.mkv", [(0.0, np.concatenate([quiet(1), beep(1)]))], picture=(3, 5), **PCM)
    assert loud(heard(path)) == pytest.approx((1, 2), abs=0.01)


def test_a_clock_that_does_not_begin_at_zero(tmp_path):
    path = with_sound(tmp_path / "x.mkv", [(3600.5, beep(1))], picture=(3600, 3603), **PCM)
    assert loud(heard(path)) == pytest.approx((0.5, 1.5), abs=0.01)


def test_a_hole_is_silence(tmp_path):
    path = with_sound(tmp_path / "x.mkv", [(0.0, beep(1)), (25.0, beep(1, 880))], **PCM)
    found = heard(path)
    assert len(found) == 26 * RATE
    assert np.abs(found[RATE : 25 * RATE]).max() == 0
    assert np.abs(found[25 * RATE :] - beep(1, 880)).max() < 1e-4


def test_what_is_there_twice_is_heard_once():
    pieces = [(0.0, beep(1)), (0.5, beep(1, 880)), (None, beep(1, 660))]
    found = np.concatenate(list(sound._in_place(pieces)))
    assert len(found) == 2.5 * RATE
    assert np.array_equal(found, np.concatenate([beep(1), beep(1, 880)[RATE // 2 :], beep(1, 660)]))


def test_what_lies_before_the_beginning_is_left_out():
    found = np.concatenate(list(sound._in_place([(-0.25, beep(1)), (None, beep(1))])))
    assert np.array_equal(found, np.concatenate([beep(1), beep(1)])[RATE // 4 :])


def test_blocks_are_even(tmp_path):
    path = with_sound(tmp_path / "x.mkv", [(0.0, beep(25.5))], **PCM)
    assert [len(block) for block in Sound(path)] == [10 * RATE, 10 * RATE, round(5.5 * RATE)]


@pytest.mark.parametrize("span", [(0.0, 2.0), (5.0, 5.25), (12.5, 23.0), (20.0, 99.0), (29.9, 30.0)])
@pytest.mark.parametrize("name", ["x.mkv", "x.mp4"])
def test_a_span_is_a_part_of_the_whole(tmp_path, span, name):
    ticks = np.arange(30 * RATE) / RATE
    samples = (0.5 * np.sin(2 * np.pi * (200 + 40 * ticks) * ticks)).astype(np.float32)
    path = with_sound(tmp_path / name, [(0.0, samples)], picture=(0, 30), **(PCM if name == "x.mkv" else {}))
    whole, part = heard(path), heard(path, *span)
    expected = whole[round(span[0] * RATE) : round(span[1] * RATE)]
    assert len(part) == pytest.approx(len(expected), abs=RATE / 10)
    both = min(len(part), len(expected))
    assert np.abs(part[:both] - expected[:both]).mean() < 0.02  # half a sample at most


def test_an_empty_span_gives_nothing(tmp_path):
    assert len(heard(with_sound(tmp_path / "x.mkv", [(0.0, beep(1))], **PCM), 0.5, 0.5)) == 0


@pytest.mark.parametrize("span", [(-1.0, 2.0), (2.0, 1.0), (float("nan"), 2.0), (0.0, float("nan"))])
def test_a_span_of_nonsense(tmp_path, span):
    with pytest.raises(ValueError, match="0 <= start <= end"):
        Sound(tmp_path / "x.mkv", *span)


def test_half_a_file_gives_what_can_be_read_and_says_so(tmp_path):
    path = with_sound(tmp_path / "x.mkv", [(0.0, beep(20))], **PCM)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    half = Sound(path)
    assert sum(map(len, half)) / RATE == pytest.approx(10, abs=1)
    assert half.note.startswith("sound ends at 10 of 20 s")


def test_a_whole_file_has_no_note(tmp_path):
    whole = Sound(with_sound(tmp_path / "x.mp4", [(0.0, beep(5))], picture=(0, 5)))
    assert sum(map(len, whole))
    assert whole.note == ""


def skip_of(path, *span):
    with pytest.raises(Skip) as skip:
        list(Sound(path, *span))
    assert path.name in skip.value.detail
    assert "\n" not in skip.value.detail
    return skip.value.reason


def test_a_video_without_sound(tmp_path):
    assert skip_of(film(tmp_path / "x.mp4", TEXTS[:1])) == "no_sound"


def test_a_span_after_the_end(tmp_path):
    assert skip_of(with_sound(tmp_path / "x.mkv", [(0.0, beep(1))], **PCM), 5.0, 9.0) == "no_sound"


def test_sound_without_a_decoder(tmp_path):
    path = with_sound(tmp_path / "x.mkv", [(0.0, beep(1))], picture=(0, 1))
    path.write_bytes(path.read_bytes().replace(b"A_AAC", b"A_XYZ"))
    assert skip_of(path) == "no_sound"


def test_no_file_and_no_video(tmp_path):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "letter.mp4").write_bytes(b"this is a letter\n" * 500)
    assert skip_of(tmp_path / "empty.mp4") == "empty_file"
    assert skip_of(tmp_path / "letter.mp4") == "unreadable_video"
    assert skip_of(tmp_path / "gone.mp4") == "unreadable_video"


def test_numbers_that_are_none_are_silence(tmp_path):
    samples = beep(1)
    samples[100:200], samples[300:400] = np.nan, np.inf
    with av.open(str(tmp_path / "x.mkv"), "w") as container:
        stream = container.add_stream("pcm_f32le", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], format="flt", layout="mono")
        frame.sample_rate = RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    found = heard(tmp_path / "x.mkv")
    assert np.isfinite(found).all()
    assert np.abs(found).max() <= 1.0
    assert np.abs(found[500:] - samples[500:]).max() < 1e-6


@pytest.mark.parametrize("name", ["x.mp4", "x.mkv", "x.avi"])
def test_whatever_the_bytes_only_a_skip_comes_out(tmp_path, name):
    path = with_sound(tmp_path / name, [(0.0, beep(3))], codec="libmp3lame" if name == "x.avi" else "aac")
    whole, random = path.read_bytes(), np.random.default_rng(0)
    for _ in range(30):
        data = bytearray(whole)
        for at in random.integers(0, random.choice([1000, len(data)]), 20):
            data[at] = random.integers(256)
        path.write_bytes(data)
        with contextlib.suppress(Skip):
            for number, block in enumerate(Sound(path)):
                assert np.abs(block).max() <= 1.0
                if number > 100:
                    break
