"""Frames at a rate against videos whose frame times are known; what is no video, or only half of one."""

import contextlib
import io
import struct
import wave
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from corpus import STEPS, TEXTS, film
from tellvision.media import Frames, View, probe, thumbnail
from tellvision.records import Skip

GREYS = [10, 60, 110, 160, 210, 250]


def timed(path, times, *, size=(64, 48)):
    """A video whose i-th frame, of grey GREYS[i], begins at `times[i]` seconds."""
    width, height = size
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        stream.options = {"bf": "2"}
        for grey, start in zip(GREYS, times, strict=False):
            frame = av.VideoFrame.from_ndarray(np.full((height, width, 3), grey, np.uint8))
            frame.pts, frame.time_base = round(start * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def whole(path, fps, size, **span):
    """Frames of the whole picture, squashed."""
    return Frames(path, [View(fps=fps, size=size)], **span)


def greys(path, fps, size=8, **span):
    """Which grey each row shows."""
    rows = whole(path, fps, size, **span)
    return [GREYS.index(min(GREYS, key=lambda g: abs(g - int(f.mean())))) for _, f in rows]


VARIABLE = [0.0, 0.4, 0.5, 2.7, 3.0, 3.1]  # and the last one stays for a tenth of a second


@pytest.mark.parametrize("ending", [".mkv", ".mp4", ".mov"])
def test_rows_show_what_is_on_the_screen(tmp_path, ending):
    path = timed(tmp_path / f"x{ending}", VARIABLE)
    assert greys(path, 1.0) == [0, 2, 2, 4]
    assert greys(path, 2.0) == [0, 2, 2, 2, 2, 2, 4]
    assert greys(path, 0.5) == [0, 2]
    assert greys(path, 10.0) == [0] * 4 + [1] + [2] * 22 + [3] * 3 + [4, 5]


@pytest.mark.parametrize("offset", [1.4, 5.0, 3600.0])
def test_a_video_that_begins_late_begins_at_zero(tmp_path, offset):
    path = timed(tmp_path / "x.mkv", [offset + t for t in VARIABLE])
    assert greys(path, 1.0) == [0, 2, 2, 4]


def test_a_steady_rate_gives_a_row_per_second(tmp_path):
    path = film(tmp_path / "x.mp4", TEXTS[:3], seconds=4)
    frames = [f for _, f in whole(path, 1.0, 16)]
    assert len(frames) == 12
    assert all(f.shape == (16, 16, 3) and f.dtype == np.uint8 for f in frames)
    for row, frame in enumerate(frames):
        ground, _ = STEPS[TEXTS[row // 4]]
        assert np.abs(np.median(frame.reshape(-1, 3), axis=0) - ground).max() < 25
    about = probe(path)
    assert (about.width, about.height, about.codec) == (64, 48, "h264")
    assert about.duration == pytest.approx(12.0, abs=0.01)


@pytest.mark.parametrize(
    ("ending", "codec"),
    [(".avi", "mpeg4"), (".webm", "libvpx"), (".mkv", "libvpx-vp9"), (".mov", "mjpeg"), (".m4v", "libx264")],
)
def test_other_containers_and_codecs(tmp_path, ending, codec):
    if codec == "mjpeg":
        with av.open(str(tmp_path / f"x{ending}"), "w") as container:
            stream = container.add_stream(codec, rate=5)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
            for i in range(30):
                frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), GREYS[i // 5], np.uint8))
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        assert greys(tmp_path / f"x{ending}", 1.0) == [0, 1, 2, 3, 4, 5]
        return
    path = film(tmp_path / f"x{ending}", TEXTS[:2], codec=codec, seconds=3)
    assert len(list(whole(path, 1.0, 16))) == 6


@pytest.mark.parametrize("size", [(64, 48), (62, 46), (16, 240), (1000, 18)])
def test_the_whole_picture_is_squeezed(tmp_path, size):
    path = timed(tmp_path / "x.mkv", [0.0, 1.0], size=size)
    assert [f.shape for _, f in whole(path, 1.0, 24)] == [(24, 24, 3)] * 2


def test_odd_sizes_decode(tmp_path):
    with av.open(str(tmp_path / "x.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=1)
        stream.width, stream.height, stream.pix_fmt = 63, 47, "bgr0"
        for grey in GREYS:
            frame = av.VideoFrame.from_ndarray(np.full((47, 63, 3), grey, np.uint8))
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert greys(tmp_path / "x.mkv", 1.0) == [0, 1, 2, 3, 4, 5]


def test_one_frame_is_one_row(tmp_path):
    assert greys(timed(tmp_path / "x.mkv", [0.0]), 1.0) == [0]


def turned(path, matrix):
    """Patch the display matrix of an mp4's only track."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 44
    data[at : at + 36] = struct.pack(">9i", *matrix)
    path.write_bytes(data)
    return path


ONE, UNIT = 1 << 16, 1 << 30


@pytest.mark.parametrize(
    ("matrix", "corner"),
    [
        ((ONE, 0, 0, 0, ONE, 0, 0, 0, UNIT), "left"),  # as it lies in the file
        ((0, ONE, 0, -ONE, 0, 0, 0, 0, UNIT), "top"),  # a quarter turn clockwise
        ((-ONE, 0, 0, 0, -ONE, 0, 0, 0, UNIT), "right"),  # upside down
        ((0, -ONE, 0, ONE, 0, 0, 0, 0, UNIT), "bottom"),  # a quarter turn the other way
    ],
)
def test_pictures_stand_upright(tmp_path, matrix, corner):
    path = tmp_path / "x.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
        picture = np.zeros((32, 64, 3), np.uint8)
        picture[:, :32] = 255  # the left half is white
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(stream.encode())
    turned(path, matrix)
    ((_, frame),) = whole(path, 1.0, 32)
    small = np.array(Image.open(io.BytesIO(thumbnail(path, 0.0, width=40))))
    assert small.shape == ((20, 40, 3) if corner in ("left", "right") else (80, 40, 3))
    for shown in (frame, small):
        height, width = shown.shape[:2]
        halves = {
            "left": shown[:, : width // 2],
            "right": shown[:, width // 2 :],
            "top": shown[: height // 2],
            "bottom": shown[height // 2 :],
        }
        assert max(halves, key=lambda side: halves[side].mean()) == corner


# What is only half there


def cut(path, share=0.5):
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    return path


@pytest.mark.parametrize("name", ["x.mp4", "x.mkv", "x.webm", "x.avi"])
def test_half_a_file_gives_what_can_be_read_and_says_so(tmp_path, name):
    codec = {"x.avi": "mpeg4", "x.webm": "libvpx"}.get(name, "libx264")
    path = film(tmp_path / name, TEXTS, seconds=5, codec=codec, options={"movflags": "faststart"})
    assert len(list(whole(path, 1.0, 8))) == 30
    half = whole(cut(path), 1.0, 8)
    rows = len(list(half))
    assert 8 <= rows <= 22
    assert half.note.startswith("ends at ")
    assert "\n" not in half.note


def test_a_whole_file_has_no_note(tmp_path):
    frames = whole(film(tmp_path / "x.mp4", TEXTS[:2]), 1.0, 8)
    assert len(list(frames)) == 8
    assert frames.note == ""


def test_an_mp4_without_its_end_has_no_table_of_contents(tmp_path):
    path = cut(film(tmp_path / "x.mp4", TEXTS[:2]))  # the table stands last
    with pytest.raises(Skip, match=r"unreadable_video: x\.mp4: Invalid data"):
        probe(path)


# What is no video


def skipped(path):
    """The reason with which opening, decoding and thumbnails skip; it must be the same."""
    reasons = set()
    for use in (probe, lambda p: list(whole(p, 1.0, 8)), lambda p: thumbnail(p, 0.0)):
        with pytest.raises(Skip) as skip:
            use(path)
        assert path.name in skip.value.detail
        assert "\n" not in skip.value.detail
        reasons.add(skip.value.reason)
    (reason,) = reasons
    return reason


@pytest.mark.parametrize("content", [b"this is a letter\n" * 500, b"\x00" * 5000, b"<html></html>", b"GIF89a"])
def test_something_else_called_mp4_is_unreadable(tmp_path, content):
    path = tmp_path / "letter.mp4"
    path.write_bytes(content)
    assert skipped(path) == "unreadable_video"


def test_an_empty_file(tmp_path):
    (tmp_path / "x.mp4").touch()
    assert skipped(tmp_path / "x.mp4") == "empty_file"


def test_a_file_that_is_not_there(tmp_path):
    assert skipped(tmp_path / "gone.mp4") == "unreadable_video"


def test_a_picture_called_mp4_is_no_video(tmp_path):
    Image.new("RGB", (64, 48)).save(tmp_path / "x.png")
    assert skipped((tmp_path / "x.png").rename(tmp_path / "x.mp4")) == "unreadable_video"


PLAYLIST = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:8\n#EXTINF:8,\n{other}\n#EXT-X-ENDLIST\n"


@pytest.mark.parametrize(
    "text",
    [
        PLAYLIST,
        "ffconcat version 1.0\nfile '{other}'\n",
        '<?xml version="1.0"?><MPD><BaseURL>file://{other}</BaseURL></MPD>',
    ],
)
def test_a_file_that_names_another_one_does_not_open_it(tmp_path, text):
    """A list of files that calls itself a video could make a server show what it should not."""
    other = film(tmp_path / "secret.mp4", TEXTS[:2])
    path = tmp_path / "list.mp4"
    path.write_text(text.format(other=other))
    assert skipped(path) == "unreadable_video"


def test_sound_alone_has_no_picture(tmp_path):
    sound = tmp_path / "x.wav"
    with wave.open(str(sound), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(16000))
    with av.open(str(tmp_path / "x.mkv"), "w") as container, av.open(str(sound)) as source:
        stream = container.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(audio=0):
            if packet.dts is not None:
                packet.stream = stream
                container.mux(packet)
    assert skipped(tmp_path / "x.mkv") == "no_picture"


@pytest.mark.parametrize("name", ["x.mp4", "x.mkv", "x.avi"])
def test_whatever_the_bytes_only_a_skip_comes_out(tmp_path, name):
    """Thirty damaged files per container: each gives rows or a reason, none anything else."""
    path = film(tmp_path / name, TEXTS[:2], seconds=2, codec="mpeg4" if name == "x.avi" else "libx264")
    undamaged, random = path.read_bytes(), np.random.default_rng(0)
    for _ in range(30):
        data = bytearray(undamaged)
        for at in random.integers(0, random.choice([1000, len(data)]), 20):
            data[at] = random.integers(256)
        path.write_bytes(data)
        for use in (probe, lambda p: next(iter(whole(p, 1.0, 8))), lambda p: thumbnail(p, 1.0)):
            with contextlib.suppress(Skip):
                use(path)


def test_a_file_without_a_decoder_is_unreadable(tmp_path):
    path = film(tmp_path / "x.mkv", TEXTS[:1])
    path.write_bytes(path.read_bytes().replace(b"V_MPEG4/ISO/AVC", b"V_NOBODY/KNOWS "))
    assert skipped(path) == "unreadable_video"


def test_times_of_nonsense_end_a_video(tmp_path):
    frames = whole(timed(tmp_path / "x.mkv", [0.0, 1.0, 2.0, 1e6]), 1.0, 8)
    rows = len(list(frames))
    assert 2 <= rows <= 4
    assert "a frame at 1000000 s" in frames.note


# One picture


def test_a_thumbnail_shows_its_moment(tmp_path):
    path = film(tmp_path / "x.mp4", TEXTS[:4], seconds=4)
    for seconds, step in [(0.0, 0), (2.0, 0), (6.0, 1), (11.5, 2), (15.0, 3), (16.0, 3), (1000.0, 3), (-1.0, 0)]:
        picture = Image.open(io.BytesIO(thumbnail(path, seconds, width=80)))
        assert picture.size == (80, 60)
        ground, _ = STEPS[TEXTS[step]]
        pixels = np.array(picture.convert("RGB"))
        assert np.abs(np.median(pixels.reshape(-1, 3), axis=0) - ground).max() < 25, seconds


def test_a_thumbnail_of_half_a_file(tmp_path):
    path = cut(film(tmp_path / "x.mkv", TEXTS, seconds=5))
    assert Image.open(io.BytesIO(thumbnail(path, 2.0))).size == (320, 240)
    assert Image.open(io.BytesIO(thumbnail(path, 29.0))).size == (320, 240)


def test_real_files_of_several_kinds(real_data):
    seen = 0
    for path in sorted((real_data / "odd_videos").iterdir()):
        about = probe(path)
        frames = whole(path, 1.0, 32)
        rows = len(list(frames))
        assert frames.note == ""
        assert abs(rows - about.duration) <= 1.5, path.name
        assert thumbnail(path, about.duration / 2)[:2] == b"\xff\xd8"
        seen += 1
    assert seen
