"""One made of each oddity of real files: codecs, times, shapes, streams; spans; what a file may not open."""

import contextlib
import http.server
import io
import struct
import subprocess
import sys
import threading
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tellvision.media import Decoded, Frames, View, decoding, probe, thumbnail
from tellvision.media import frames as frames_module
from tellvision.media.opening import start_of
from tellvision.records import Skip

RATE, SECONDS = 10, 8
LEVELS = [20, 220, 60, 180, 100, 240, 140, 40]  # grey of the ground in each second
SMALL = View(fps=1.0, size=16)


def scene(i, width=64, height=48):
    """Frame i: the ground says which second it is, a patch moves so that B-frames have something to do."""
    picture = np.full((height, width, 3), LEVELS[i // RATE % len(LEVELS)], np.uint8)
    left = i * 3 % (width - width // 4)
    picture[-height // 5 :, left : left + width // 4] = (i * 11 % 256, 128, 255 - i * 11 % 256)
    return picture


def filmed(
    path, codec="libx264", *, times=None, seconds=SECONDS, size=(64, 48), pix="yuv420p", mux=None, **options
):
    """A film of `scene`; `times` in seconds where its frames do not come at `RATE`."""
    with av.open(str(path), "w", options=mux or {}) as container:
        stream = container.add_stream(codec, rate=RATE, options={"g": "20", **options})
        (stream.width, stream.height), stream.pix_fmt = size, pix
        if times is not None:
            stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        for i in range(len(times) if times is not None else seconds * RATE):
            frame = av.VideoFrame.from_ndarray(scene(i, *size))
            if times is not None:
                frame.pts, frame.time_base = round(times[i] * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def remuxed(source, path, *, first=0, mux=None):
    """The packets of a film from the `first` on, unchanged, in another container."""
    with av.open(str(source)) as old, av.open(str(path), "w", options=mux or {}) as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for i, packet in enumerate(old.demux(video=0)):
            if packet.dts is not None and i >= first:
                packet.stream = stream
                new.mux(packet)
    return path


X264 = {"x264-params": "b-adapt=0:scenecut=0:bframes=3"}
X264_OPEN = {"x264-params": "b-adapt=0:scenecut=0:bframes=3:open-gop=1:b-pyramid=normal"}
X265 = {"x265-params": "log-level=none:b-adapt=0:scenecut=0:bframes=3:open-gop=0:pools=1:frame-threads=1"}
X265_OPEN = {"x265-params": "log-level=none:b-adapt=0:scenecut=0:bframes=4:open-gop=1:pools=1:frame-threads=1"}
AV1 = {"preset": "12"}
UNEVEN = list(np.cumsum(np.random.default_rng(1).integers(20, 180, SECONDS * RATE)) / 1000)
LATE = [3600 + i / RATE for i in range(SECONDS * RATE)]
KINDS = {
    "h264.mp4": ("libx264", X264),
    "h264_open.mp4": ("libx264", X264_OPEN),
    "h264_open.mkv": ("libx264", X264_OPEN),
    "h264_open.ts": ("libx264", X264_OPEN),
    "h264.flv": ("libx264", X264),
    "h264.avi": ("libx264", X264),
    "h264_refresh.mkv": ("libx264", {"x264-params": "intra-refresh=1:bframes=2"}),
    "h264_pieces.mp4": ("libx264", X264 | {"mux": {"movflags": "frag_keyframe+empty_moov"}}),
    "h264_uneven.mp4": ("libx264", X264_OPEN | {"times": UNEVEN}),
    "h264_uneven.mkv": ("libx264", X264 | {"times": UNEVEN}),
    "h264_late.mkv": ("libx264", X264 | {"times": LATE}),
    "h264_10bit.mp4": ("libx264", X264 | {"pix": "yuv420p10le"}),
    "h264_fields.mp4": ("libx264", {"x264-params": "interlaced=1:bframes=2"}),
    "hevc.mp4": ("libx265", X265),
    "hevc_open.mkv": ("libx265", X265_OPEN),
    "hevc_open.ts": ("libx265", X265_OPEN),
    "hevc_uneven.mp4": ("libx265", X265_OPEN | {"times": UNEVEN}),
    "hevc_10bit.mkv": ("libx265", X265 | {"pix": "yuv420p10le"}),
    "vp9.webm": ("libvpx-vp9", {"deadline": "good", "cpu-used": "5", "auto-alt-ref": "1", "lag-in-frames": "16"}),
    "vp8.webm": ("libvpx", {"deadline": "realtime", "cpu-used": "8"}),
    "av1.mp4": ("libsvtav1", AV1),
    "av1_10bit.mkv": ("libsvtav1", AV1 | {"pix": "yuv420p10le"}),
    "av1_uneven.mkv": ("libsvtav1", AV1 | {"times": UNEVEN}),
    "mpeg4.mp4": ("mpeg4", {"bf": "2"}),
    "mpeg4.avi": ("mpeg4", {}),
    "mpeg4_b.avi": ("mpeg4", {"bf": "2"}),
    "mpeg2.ts": ("mpeg2video", {"bf": "2"}),
    "mpeg2.mpg": ("mpeg2video", {"bf": "2"}),
}


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    """name -> one film of every kind, made when it is asked for."""
    folder = tmp_path_factory.mktemp("kinds")

    @cache
    def make(name):
        codec, options = KINDS[name]
        return filmed(folder / name, codec, **options)

    return make


def shown(path):
    """The slow way: every frame from the beginning on, (begins, ends, pixels at its own size)."""
    found = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        for i, frame in enumerate(container.decode(stream)):
            # An AVI has no times of showing: its frames are as long as each other and come in that order.
            begins = i / RATE if path.suffix == ".avi" else frame.time - start_of(container)
            lasts = float((frame.duration or 0) * frame.time_base)
            found.append((begins, begins + lasts, frame))
    return found


def rows_by_hand(frames, view, start, end):
    """What `Frames` says it gives, read literally."""
    rows, ends = [], min(end, frames[-1][1])
    at = start + decoding.ROUNDED
    while at < ends or (not rows and at < frames[-1][1]):
        rows.append([frame for begins, _, frame in frames if begins <= at or frame is frames[0][2]][-1])
        at = start + len(rows) / view.fps + decoding.ROUNDED
    return rows


def level(picture):
    """The second that the ground says, of all LEVELS."""
    return LEVELS.index(min(LEVELS, key=lambda grey: abs(grey - float(np.median(picture[: len(picture) // 2])))))


# Every kind


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_shows_its_seconds(kinds, name):
    path = kinds(name)
    frames = Frames(path, [SMALL])
    rows = [picture for _, picture in frames]
    assert all(p.shape == (16, 16, 3) and p.dtype == np.uint8 and p.flags.c_contiguous for p in rows)
    times = np.array(UNEVEN if "uneven" in name else range(SECONDS * RATE)) / (1 if "uneven" in name else RATE)
    truth = [max(0, np.searchsorted(times, row + times[0] + 2e-3) - 1) // RATE for row in range(len(rows))]
    assert [level(picture) for picture in rows] == truth
    assert len(rows) >= SECONDS - 2
    assert frames.note == ""
    about = probe(path)
    assert (about.width, about.height) == (64, 48)
    assert about.duration == pytest.approx(times[-1] - times[0] + 0.1, abs=1.2 if path.suffix == ".mpg" else 0.4)


@pytest.mark.parametrize("name", KINDS)
def test_spans_and_what_is_left_out_change_no_pixel(kinds, name):
    path = kinds(name)
    frames = shown(path)
    scaled = [f.reformat(16, 16, "rgb24", interpolation=1 << 13 | 1 << 18 | 0x20).to_ndarray() for *_, f in frames]
    of = {id(frame): picture for (*_, frame), picture in zip(frames, scaled, strict=True)}

    @settings(max_examples=12, deadline=None)
    @given(
        st.sampled_from([0.0, 0.05, 1.9, 2.0, 3.95, 4.0, 7.9]) | st.floats(0, SECONDS + 1),
        st.sampled_from([0.0, 0.5, np.inf]) | st.floats(0, 4),
        st.lists(st.sampled_from([0.3, 1.0, 2.5, 10.0, 24.0]), min_size=1, max_size=2),
    )
    def same(start, length, rates):
        views = [View(fps=fps, size=16) for fps in rates]
        found = [[] for _ in views]
        for which, picture in Frames(path, views, start, start + length):
            found[which].append(picture)
        for view, rows in zip(views, found, strict=True):
            expected = [of[id(frame)] for frame in rows_by_hand(frames, view, start, start + length)]
            assert len(rows) == len(expected)
            assert all(np.array_equal(row, picture) for row, picture in zip(rows, expected, strict=True))

    same()


def test_what_nobody_wants_is_left_out(kinds):
    """Of an H.264 film with three B-frames in a row, most of them not even decoded."""
    wanted = Decoded(kinds("h264.mp4"), needed=lambda begins, ends: begins <= 4.0 < ends)
    times = [begins for begins, _ in wanted]
    assert times == sorted(times)
    assert any(abs(begins - 4.0) < 0.1 for begins in times)
    assert len(times) < 0.75 * SECONDS * RATE
    assert len(list(Decoded(kinds("h264.mp4")))) == SECONDS * RATE


@pytest.mark.parametrize(
    "name",
    [
        "h264.mp4",
        "h264_open.mkv",
        "h264_open.ts",
        "h264_pieces.mp4",
        "hevc_open.mkv",
        "vp9.webm",
        "av1.mp4",
        "mpeg4.avi",
    ],
)
def test_a_late_span_is_entered_there(kinds, name):
    frames = list(Decoded(kinds(name), start=7.5))
    assert frames[0][0] <= 7.5
    assert len(frames) < SECONDS * RATE


def test_rows_of_several_views_come_in_order_of_time(kinds):
    views = [View(fps=1.0, size=8), View(fps=3.0, size=24), View(fps=1.0, size=8, interpolation="bicubic")]
    order = [which for which, _ in Frames(kinds("h264.mp4"), views, 2.0, 4.0)]
    assert order == [0, 1, 2, 1, 1, 0, 1, 2, 1, 1]
    alone = [p for _, p in Frames(kinds("h264.mp4"), views[1:2], 2.0, 4.0)]
    together = [p for which, p in Frames(kinds("h264.mp4"), views, 2.0, 4.0) if which == 1]
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def test_a_picture_is_made_once(kinds, monkeypatch):
    made = []
    real = frames_module.pixels
    monkeypatch.setattr(frames_module, "pixels", lambda *a: made.append(a) or real(*a))
    views = [View(fps=1.0, size=8), View(fps=1.0, size=8), View(fps=40.0, size=8)]
    rows = list(Frames(kinds("h264.mp4"), views, 0.0, 2.0))
    assert len(rows) == 2 + 2 + 80
    assert len(made) == 2 * RATE


@pytest.mark.parametrize("span", [(-1.0, 2.0), (3.0, 2.0), (float("nan"), 2.0), (np.inf, np.inf)])
def test_a_span_of_nonsense_is_refused(kinds, span):
    with pytest.raises(ValueError, match="a span needs"):
        Frames(kinds("h264.mp4"), [SMALL], *span)


def test_a_span_behind_the_end_is_empty(kinds):
    assert list(Frames(kinds("h264.mp4"), [SMALL], SECONDS + 5.0)) == []
    assert len(list(Frames(kinds("h264.mp4"), [SMALL], 3.0, 3.0))) == 1


# Shapes


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_odd_sizes(tmp_path, codec):
    path = filmed(tmp_path / "x.mp4", codec, seconds=1, size=(321, 241), pix="yuv444p")
    for fit, shape in [("squash", (32, 32, 3)), ("short", (32, 43, 3)), ("crop", (32, 32, 3))]:
        view = View(fps=1.0, size=32, fit=fit)
        assert view.shape(321, 241) == shape[:2]
        assert [p.shape for _, p in Frames(path, [view])] == [shape]


def test_shapes_by_hand():
    assert View(fps=1, size=224, fit="short").shape(1920, 1080) == (224, 398)
    assert View(fps=1, size=224, fit="short").shape(1080, 1920) == (398, 224)
    assert View(fps=1, size=224, fit="crop", short=256).scaled(1920, 1080) == (256, 455)
    assert View(fps=1, size=224, fit="crop", short=256).shape(1920, 1080) == (224, 224)
    assert View(fps=1, size=224).shape(1920, 1080) == (224, 224)


@pytest.mark.parametrize(
    "odd", [{"fps": 0.0}, {"fps": np.inf}, {"fps": np.nan}, {"size": 0}, {"fit": "crop", "short": 8}]
)
def test_a_view_of_nonsense_is_refused(odd):
    with pytest.raises(ValueError, match=r"a view needs|cannot be cut out"):
        View(**({"fps": 1.0, "size": 16} | odd))


def test_the_middle_is_cut_out(tmp_path):
    path = tmp_path / "x.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=1)
        stream.width, stream.height, stream.pix_fmt = 96, 48, "bgr0"
        picture = np.zeros((48, 96, 3), np.uint8)
        picture[12:36, 36:60] = 255  # the middle, half as high as the picture
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(stream.encode())
    ((_, found),) = Frames(path, [View(fps=1, size=24, fit="crop", short=48)])
    assert found.shape == (24, 24, 3)
    assert (found == 255).all()


@pytest.mark.parametrize(("size", "tall"), [((1600, 16), False), ((16, 1600), True)])
def test_what_is_too_long_is_no_picture(tmp_path, size, tall):
    path = filmed(tmp_path / "x.mkv", "ffv1", seconds=1, size=size)
    assert [p.shape for _, p in Frames(path, [SMALL])] == [(16, 16, 3)]
    with pytest.raises(Skip, match=r"odd_shape: x\.mkv"):
        list(Frames(path, [View(fps=1, size=224, fit="short")]))
    assert Image.open(io.BytesIO(thumbnail(path, 0.5, width=32))).height == (512 if tall else 2)


def test_a_film_that_changes_its_size_keeps_its_shape(tmp_path):
    parts = [filmed(tmp_path / f"{i}.ts", seconds=2, size=size) for i, size in enumerate([(64, 48), (48, 64)])]
    path = tmp_path / "x.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    shapes = {p.shape for _, p in Frames(path, [View(fps=5.0, size=16, fit="short")])}
    assert shapes == {(16, 21, 3)}


@pytest.mark.parametrize(
    ("interpolation", "pillow", "most"),
    [
        ("area", Image.Resampling.BOX, 1.5),
        ("bilinear", Image.Resampling.BILINEAR, 0.5),
        ("bicubic", Image.Resampling.BICUBIC, 0.5),
    ],
)
def test_pixels_are_scaled_as_pillow_does(tmp_path, interpolation, pillow, most):
    path = tmp_path / "x.mkv"
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=1, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        picture = np.asarray(coarse.resize((320, 240), Image.Resampling.BICUBIC))
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(stream.encode())
    whole = shown(path)[0][2].reformat(format="rgb24", interpolation=1 << 13 | 1 << 18 | 4).to_ndarray()
    ((_, found),) = Frames(path, [View(fps=1, size=96, interpolation=interpolation)])
    slow = np.asarray(Image.fromarray(whole).resize((96, 96), pillow), np.int64)
    assert np.abs(found - slow).mean() < most
    assert abs((found - slow).mean()) < 0.3  # not darker, not lighter


# Streams


def test_a_cover_is_not_the_film(tmp_path):
    path = tmp_path / "x.mp4"
    with av.open(str(path), "w") as container:
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 200, 200, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        stream = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.mux(cover.encode(av.VideoFrame.from_ndarray(np.full((200, 200, 3), 255, np.uint8))))
        for i in range(3 * RATE):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(scene(i))))
        container.mux(cover.encode())
        container.mux(stream.encode())
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 2
    assert (probe(path).width, probe(path).codec) == (64, "h264")
    assert [level(p) for _, p in Frames(path, [SMALL])] == [0, 1, 2]


def test_a_song_with_a_cover_has_no_picture(tmp_path):
    path = tmp_path / "x.mp4"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac", rate=8000)
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        container.mux(sound.encode(frame))
        container.mux(sound.encode())
        container.mux(cover.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8))))
        container.mux(cover.encode())
    with pytest.raises(Skip, match="no_picture"):
        probe(path)


def test_of_two_films_the_default_one(tmp_path):
    path = tmp_path / "x.mkv"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("libx264", rate=RATE) for _ in range(2)]
        for stream, size in zip(streams, [(32, 24), (64, 48)], strict=True):
            (stream.width, stream.height), stream.pix_fmt = size, "yuv420p"
            stream.disposition = Disposition.default if size == (64, 48) else Disposition.dub
        for i in range(3 * RATE):
            for stream in streams:
                picture = scene(i, stream.width, stream.height)
                picture = picture if stream.width == 64 else 255 - picture
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        for stream in streams:
            container.mux(stream.encode())
    assert probe(path).width == 64
    assert [level(p) for _, p in Frames(path, [SMALL])] == [0, 1, 2]


# What is missing


def test_without_an_index(tmp_path, kinds):
    data = kinds("mpeg4.avi").read_bytes()
    path = tmp_path / "x.avi"
    path.write_bytes(data[: data.rindex(b"idx1")])
    assert [level(p) for _, p in Frames(path, [SMALL])] == list(range(SECONDS))
    assert [level(p) for _, p in Frames(path, [SMALL], 5.0)] == list(range(5, SECONDS))
    pieces = remuxed(
        kinds("h264.mp4"), tmp_path / "x.mp4", mux={"movflags": "frag_every_frame+empty_moov+skip_sidx"}
    )
    assert [level(p) for _, p in Frames(pieces, [SMALL])] == list(range(SECONDS))
    assert [level(p) for _, p in Frames(pieces, [SMALL], 5.0)] == list(range(5, SECONDS))


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("h264.mp4", ".mkv"),
        ("h264_open.ts", ".ts"),
        ("hevc.mp4", ".mkv"),
        ("vp9.webm", ".webm"),
        ("mpeg2.ts", ".ts"),
    ],
)
def test_missing_first_frames(tmp_path, kinds, name, ending):
    """From the middle of a group of pictures on: what leans on nothing is shown, from the first second on."""
    path = remuxed(kinds(name), tmp_path / f"x{ending}", first=8)
    frames = Frames(path, [SMALL])
    rows = [level(p) for _, p in frames]
    assert SECONDS - 1 <= len(rows) <= SECONDS
    assert rows[3:6] == [3, 4, 5] or rows[3:6] == [4, 5, 6]
    assert "\n" not in frames.note


def test_a_stream_cut_anywhere(tmp_path, kinds):
    data = kinds("h264_open.ts").read_bytes()
    path = tmp_path / "x.ts"
    path.write_bytes(data[len(data) // 3 + 50 :])
    rows = [level(p) for _, p in Frames(path, [SMALL])]
    assert 4 <= len(rows) <= 6
    assert rows[-1] == SECONDS - 1


def test_a_film_without_a_length(tmp_path, kinds):
    path = remuxed(kinds("vp9.webm"), tmp_path / "x.webm", mux={"live": "1"})
    assert probe(path).duration == 0
    frames = Frames(path, [SMALL])
    assert [level(p) for _, p in frames] == list(range(SECONDS))
    assert frames.note == ""
    assert [level(p) for _, p in Frames(path, [SMALL], 5.0)] == list(range(5, SECONDS))


@pytest.mark.parametrize(
    ("name", "share"),  # in films so small the header is much of the file
    [("h264_open.mkv", 0.5), ("hevc_open.mkv", 0.7), ("av1_uneven.mkv", 0.7), ("mpeg4.avi", 0.7)],
)
def test_half_a_film(tmp_path, kinds, name, share):
    data = kinds(name).read_bytes()
    path = tmp_path / name
    path.write_bytes(data[: int(share * len(data))])
    frames = Frames(path, [SMALL])
    rows = [level(p) for _, p in frames]
    assert 2 <= len(rows) <= SECONDS - 2
    assert rows == sorted(rows)
    assert frames.note.startswith("ends at ")


def test_what_does_not_decode_in_the_middle_is_passed_over(tmp_path, kinds):
    data = bytearray(kinds("vp9.webm").read_bytes())
    data[len(data) // 2 : len(data) // 2 + 300] = np.random.default_rng(0).bytes(300)
    (tmp_path / "x.webm").write_bytes(data)
    frames = Frames(tmp_path / "x.webm", [SMALL])
    with contextlib.suppress(Skip):
        assert len(list(frames)) <= SECONDS


def test_a_picture_of_gigabytes_is_refused(tmp_path):
    path = filmed(tmp_path / "x.mkv", "ffv1", seconds=1, size=(640, 480))
    data = path.read_bytes().replace(b"\xb0\x82\x02\x80", b"\xb0\x82\xea\x60")  # its width
    data = data.replace(b"\xba\x82\x01\xe0", b"\xba\x82\xea\x60")
    path.write_bytes(data)
    for use in (lambda p: list(Frames(p, [SMALL])), lambda p: thumbnail(p, 0.0)):
        with pytest.raises(Skip, match=r"(odd_shape|no_frames): x\.mkv"):
            use(path)


PEAK = """
import sys, resource
from pathlib import Path
from tellvision.media import Frames, View
rows = sum(1 for _ in Frames(Path(sys.argv[1]), [View(fps=1.0, size=32)]))
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(rows, peak.split()[1])
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_hours_take_no_more_memory_than_minutes(tmp_path):
    found = {}
    for hours in (0.05, 3.0):
        path = tmp_path / f"{hours}.mp4"
        filmed(path, times=np.arange(0, hours * 3600, 0.5), size=(32, 24), preset="ultrafast")
        told = subprocess.run([sys.executable, "-c", PEAK, str(path)], capture_output=True, text=True, check=True)
        rows, peak = map(int, told.stdout.split())
        assert rows == hours * 3600
        found[hours] = peak
    assert found[3.0] - found[0.05] < 40_000  # kB: the table of contents of the file, nothing more


# What a file may not do


@pytest.fixture
def server():
    """An HTTP server on this machine that counts what it is asked for: (address, list of paths)."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}", asked
        running.shutdown()


HLS = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:8\n#EXTINF:8,\n{other}\n#EXT-X-ENDLIST\n"
LISTS = {
    "hls": HLS,
    "hls_key": HLS.replace("#EXTINF", '#EXT-X-KEY:METHOD=AES-128,URI="{other}"\n#EXTINF'),
    "concat": "ffconcat version 1.0\nfile '{other}'\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT8S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period>'
    '<AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1000"><BaseURL>{other}</BaseURL>'
    "</Representation></AdaptationSet></Period></MPD>",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
    "a=rtpmap:96 H264/90000\na=control:{other}\n",
    "smil": '<smil><body><video src="{other}"/></body></smil>',
    "lavfi": "movie={other}",
    "redirect": "[Reference]\nRef1={other}\n",
}


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".m3u8", ".sdp", ".mpd"])
@pytest.mark.parametrize("kind", LISTS)
def test_a_list_opens_nothing(tmp_path, server, kinds, kind, ending):
    address, asked = server
    for other in (f"{address}/secret.mp4", str(kinds("h264.mp4")), "x264://screen", "udp://127.0.0.1:9"):
        path = tmp_path / f"list{ending}"
        path.write_text(LISTS[kind].format(other=other))
        for use in (probe, lambda p: list(Frames(p, [SMALL])), lambda p: thumbnail(p, 0.0)):
            with pytest.raises(Skip, match="unreadable_video"):
                use(path)
    assert asked == []


def test_the_trap_is_one(tmp_path, server, kinds):
    """FFmpeg left alone does what the lists say: the tests above would see it."""
    address, asked = server
    path = tmp_path / "list.m3u8"
    path.write_text(HLS.format(other=f"{address}/secret.ts"))
    with contextlib.suppress(av.FFmpegError), av.open(str(path), options={"protocol_whitelist": "file,http,tcp"}):
        pass
    assert asked
    path = tmp_path / "list.mp4"
    path.write_text(LISTS["concat"].format(other=kinds("h264.mp4")))
    with av.open(str(path), options={"safe": "0"}) as container:
        assert container.streams.video[0].width == 64


@pytest.mark.parametrize(
    "name", ["http://127.0.0.1:{port}/x.mp4", "concat:{other}", "subfile,,start,0,end,0,,:{other}"]
)
def test_a_name_is_a_file_s(tmp_path, server, kinds, name):
    address, asked = server
    with pytest.raises(Skip, match="unreadable_video"):
        probe(Path(name.format(port=address.rpartition(":")[2], other=kinds("h264.mp4"))))
    assert asked == []


def boxed(data, names, change):
    """An MP4 in which the box below `names` is changed; boxes around it grow with it."""
    found, at = b"", 0
    while at + 8 <= len(data):
        size, name = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + size]
        if name == names[0].encode():
            body = boxed(body, names[1:], change) if len(names) > 1 else change(body)
        found += struct.pack(">I4s", 8 + len(body), name) + body
        at += size
    return found


def test_an_mp4_whose_pictures_lie_elsewhere(tmp_path, kinds):
    """A film may name another file as the place of its pictures; it is not read."""
    secret = kinds("mpeg4.mp4")
    volume = b"V"
    there = volume + str(secret).encode()
    alias = bytes(10) + bytes([1]) + volume.ljust(27, b"\0") + bytes(12) + bytes([1]) + b"x".ljust(63, b"\0")
    alias += bytes(16) + struct.pack(">hh", 0, 0) + bytes(16) + struct.pack(">hh", 2, len(there)) + there
    alias += bytes(len(there) % 2) + struct.pack(">hh", -1, 0)
    box = struct.pack(">I4sI", 12 + len(alias), b"alis", 0) + alias
    names = ["moov", "trak", "mdia", "minf", "dinf", "dref"]
    data = boxed(secret.read_bytes(), names, lambda body: body[:8] + box)
    data = boxed(data, ["mdat"], lambda body: bytes(len(body)))  # nothing to see in the file itself
    path = tmp_path / "x.mov"
    path.write_bytes(data)
    with av.open(str(path), options={"enable_drefs": "1", "use_absolute_path": "1"}) as container:
        assert len(list(container.decode(video=0))) == SECONDS * RATE  # FFmpeg would, if it were told to
    for use in (lambda p: list(Frames(p, [SMALL])), lambda p: thumbnail(p, 1.0)):
        with pytest.raises(Skip, match="no_frames"):
            use(path)


@pytest.mark.parametrize("back", [(0.0,), (4.0, 20.0)])
def test_real_films_in_spans(real_data, back, monkeypatch):
    monkeypatch.setattr(decoding, "_BACK", back)
    for path in sorted((real_data / "odd_videos").iterdir())[:6:2]:
        whole = [p for _, p in Frames(path, [View(fps=2.0, size=16)])]
        for start in (1.0, 2.5):
            span = [p for _, p in Frames(path, [View(fps=2.0, size=16)], start, start + 2.0)]
            assert len(span) == 4
            assert all(np.array_equal(a, b) for a, b in zip(span, whole[int(2 * start) :], strict=False)), (
                path.name
            )
