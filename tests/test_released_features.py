"""Released features, a .npy file per video: read as what they are, written as others read them."""

import io
import json
import pickle
import struct
import tracemalloc
from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import corpus
from tellvision.corpus.captions import CaptionConfig
from tellvision.corpus.clips import ClipConfig
from tellvision.howto100m import features
from tellvision.howto100m.features import (
    fetched,
    files_at,
    ids_of,
    name_of,
    parse,
    read_tracks,
    to_npy,
    to_track,
    write_tracks,
)
from tellvision.progress import Progress
from tellvision.records import InputError, Skip
from tellvision.stages import clips as clips_stage
from tellvision.stages import imported
from tellvision.stages.exported import export_tracks
from tellvision.stages.imported_tracks import import_tracks
from tellvision.stages.tracks import join_pairs
from tellvision.stages.workplace import Workplace
from tellvision.store import ArrayReader, File, Ledger, find_place, read_manifest


def unit(steps, dim, seed=0):
    rows = np.random.default_rng(seed).random((steps, dim), np.float32)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)


def npy(array, **options):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, **options)
    return file.getvalue()


def with_header(text, rows=b"", version=b"\x01\x00"):
    size = struct.pack("<H" if version[0] == 1 else "<I", len(text))
    return b"\x93NUMPY" + version + size + text.encode() + rows


def outcome(data):
    """The track, or the reason of the skip."""
    try:
        return to_track(data)[0]
    except Skip as skip:
        return skip.reason


# One file


def test_a_released_file_reads_as_it_is():
    track = unit(6, 2048)
    found, note = to_track(npy(track))
    assert found.dtype == np.float16
    assert np.array_equal(found, track)
    assert note == ""
    assert np.array_equal(np.load(io.BytesIO(to_npy(track)), allow_pickle=False), track)
    assert to_npy(track) == npy(track)


@pytest.mark.parametrize("dtype", ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_floats_of_any_width_and_order_are_read(dtype, order):
    track = np.asarray(unit(5, 3), dtype=dtype, order=order)
    assert np.array_equal(to_track(npy(track))[0], unit(5, 3))
    assert np.array_equal(to_track(npy(track, version=(2, 0)))[0], unit(5, 3))


def test_rows_are_brought_to_unit_length_and_that_is_noted():
    rows = np.array([[1, 0], [3, 4], [0, 0], [0, 0.995], [-2e-30, 0]])
    found, note = to_track(npy(rows))
    assert np.allclose(found, [[1, 0], [0.6, 0.8], [0, 0], [0, 0.995], [-1, 0]], atol=1e-3)
    assert note == "2 of 5 steps were not of unit length"


@pytest.mark.parametrize("huge", [1e30, 1e200, 1.7e308, 5e-324])
def test_lengths_beyond_any_float_are_no_matter(huge):
    found, note = to_track(npy(np.full((1, 4), huge)))
    assert np.allclose(found, 0.5)
    assert note.startswith("1 of 1")


def test_a_long_track_is_worked_on_in_blocks(monkeypatch):
    track = unit(50, 4)
    track[17] *= 3
    monkeypatch.setattr(features, "_ROWS_AT_ONCE", 7)
    found, note = to_track(npy(track))
    assert np.allclose(found, unit(50, 4), atol=1e-3)
    assert note == "1 of 50 steps were not of unit length"


HEADER = "{'descr': '<f2', 'fortran_order': False, 'shape': (%s), }"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "unreadable_features"),
        (b"\x93NUMPY", "unreadable_features"),
        (b"\x93NUMPY\x01\x00\xff\xff", "unreadable_features"),
        (b"<html>404</html>" * 10, "unreadable_features"),
        (npy(unit(3, 4))[:-1], "unreadable_features"),
        (npy(unit(3, 4)) + b"\0", "unreadable_features"),
        (npy(unit(3, 4))[:50], "unreadable_features"),
        (npy(np.ones(4, np.float16)), "unreadable_features"),
        (npy(np.ones((2, 3, 4), np.float16)), "unreadable_features"),
        (npy(np.float16(1)), "unreadable_features"),
        (npy(np.ones((3, 4), np.int64)), "unreadable_features"),
        (npy(np.ones((3, 4), complex)), "unreadable_features"),
        (npy(np.ones((3, 4), bool)), "unreadable_features"),
        (npy(np.array([["a", "b"]])), "unreadable_features"),
        (npy(np.zeros((2, 2), [("x", "f2")])), "unreadable_features"),
        (npy(np.array([[{}, 1]], object)), "unreadable_features"),
        (pickle.dumps(unit(3, 4)), "unreadable_features"),
        (with_header(HEADER % "1000000000000, 2048"), "unreadable_features"),
        (with_header(HEADER % ("9" * 900 + ", 2")), "unreadable_features"),
        (with_header(HEADER % "-1, -4", bytes(8)), "unreadable_features"),
        (with_header(HEADER % "1 0, 4", bytes(80)), "unreadable_features"),
        (with_header(HEADER % "__import__('os')"), "unreadable_features"),
        (with_header("(" * 1000), "unreadable_features"),
        (with_header("{'descr': '<f2', 'descr': '<f2', 'shape': (1, 1)}", bytes(2)), "unreadable_features"),
        (with_header(HEADER % "1, 1" + " " * 2000, bytes(2)), "unreadable_features"),
        (npy(np.ones((0, 4), np.float16)), "empty_features"),
        (npy(np.ones((4, 0), np.float16)), "empty_features"),
        (with_header(HEADER % "1000000000000, 0"), "empty_features"),
        (npy(np.array([[1, np.nan]])), "not_finite"),
        (npy(np.array([[1, np.inf]])), "not_finite"),
    ],
)
def test_what_is_no_track_is_skipped(data, reason):
    with pytest.raises(Skip) as skip:
        to_track(data)
    assert skip.value.reason == reason
    assert skip.value.detail
    assert len(skip.value.detail) < 1500


@pytest.mark.parametrize(
    "text",
    [
        '{"descr": "<f2"}',
        "{'shape': (1, 2), 'fortran_order': False, 'descr': '<f2'}\n",
        "{'descr':'<f2','fortran_order':False,'shape':(1,2)}",
        "{ 'descr' : '<f2' , 'fortran_order' : False , 'shape' : ( 1 , 2 ) , }   \n",
    ],
)
def test_headers_of_other_writers_are_read(text):
    data = with_header(text, np.array([1, 0], np.float16).tobytes())
    if text.startswith('{"'):
        with pytest.raises(Skip, match="its header"):
            parse(data)
    else:
        assert parse(data).tolist() == [[1, 0]]


def test_nothing_is_believed_of_a_header_that_claims_more_than_is_there():
    data = with_header(HEADER % "1000000000000, 2048", bytes(4096))
    tracemalloc.start()
    with pytest.raises(Skip, match="claims 1000000000000 x 2048"):
        to_track(data)
    assert tracemalloc.get_traced_memory()[1] < 100_000
    tracemalloc.stop()


FLOATS = arrays.arrays(
    st.sampled_from(["<f2", ">f4", "<f8"]), arrays.array_shapes(min_dims=2, max_dims=2, min_side=0)
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(FLOATS)
def test_any_matrix_of_floats_is_read_as_numpy_reads_it(rows):
    data = npy(rows)
    track = outcome(data)
    if 0 in rows.shape or not np.isfinite(rows).all():
        assert track == ("empty_features" if 0 in rows.shape else "not_finite")
        return
    assert np.array_equal(parse(data), rows)
    exact = rows.astype(np.longdouble)
    lengths = np.sqrt((exact**2).sum(axis=1, keepdims=True))
    off = (abs(lengths - 1) > 0.01) & (lengths > 0)
    expected = np.where(off, exact / np.where(lengths > 0, lengths, 1), exact)
    assert np.allclose(track, expected.astype(np.float64), atol=2e-3)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.binary(max_size=300)
    | st.binary(max_size=200).map(lambda tail: npy(unit(2, 3))[:12] + tail)
    | st.text(max_size=200).map(lambda text: with_header(text.encode("ascii", "replace").decode()))
    | st.tuples(st.integers(0, 139), st.integers(0, 255)).map(
        lambda at: npy(unit(2, 3))[: at[0]] + bytes([at[1]]) + npy(unit(2, 3))[at[0] + 1 :]
    )
)
@example(b"\x93NUMPY\x00\x00\x00\x00\x00\x00")
@example(with_header("{'descr': '<f2', 'fortran_order': False, 'shape'\v: (2, 3), }"))
def test_garbage_is_a_skip_or_a_track(data):
    track = outcome(data)
    if isinstance(track, str):
        assert track in ("unreadable_features", "empty_features", "not_finite")
    else:
        assert track.nbytes <= len(data)
        assert np.array_equal(parse(data), np.load(io.BytesIO(data), allow_pickle=False))


# Names


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("x.npy", ["x"]),
        ("x.mp4.npy", ["x.mp4", "x"]),
        ("a/b/x.WEBM.npy", ["a/b/x.WEBM", "a/b/x", "x.WEBM", "x"]),
        ("a/v1.5.npy", ["a/v1.5", "v1.5"]),
        (".mp4.npy", [".mp4"]),
        ("x.npy.npy", ["x.npy"]),
    ],
)
def test_a_file_belongs_to_these_videos(name, ids):
    assert ids_of(name) == ids


@pytest.mark.parametrize("video_id", ["", "/etc/x", "../x", "a/../x", "a//b", "a/.", "x" * 241, "ü" * 121, "a/"])
def test_an_id_that_would_leave_the_root_names_no_file(video_id):
    with pytest.raises(Skip, match="bad_video_id"):
        name_of(video_id)


# A root of files


@pytest.fixture
def root(tmp_path):
    return find_place(tmp_path / "root")


def test_written_is_read(root):
    tracks = {"b": unit(3, 4, 1), "a/c.mp4": unit(2, 4, 2), "a/..": unit(1, 4)}
    told = []
    assert write_tracks(root, tracks.items(), told.append) == {"written": 2, "there": 0, "bad_video_id": 1}
    assert told == [3]
    assert [name for name, _ in read_tracks(root)] == ["a/c.mp4", "b"]
    assert all(np.array_equal(track, tracks[name]) for name, track in read_tracks(root))
    assert np.array_equal(np.load(root.folder / "b.npy", allow_pickle=False), tracks["b"])


def test_writing_goes_on_where_it_stopped_and_mends_what_is_torn(root):
    tracks = {f"v{n:02d}": unit(2, 4, n) for n in range(70)}
    write_tracks(root, list(tracks.items())[:40])
    before = (root.folder / "v00.npy").stat().st_mtime_ns
    (root.folder / "v01.npy").write_bytes((root.folder / "v01.npy").read_bytes()[:-3])
    data = bytearray((root.folder / "v02.npy").read_bytes())
    data[-1] ^= 1
    (root.folder / "v02.npy").write_bytes(data)
    (root.folder / "v50.npy.part").write_bytes(b"killed here")
    assert write_tracks(root, tracks.items()) == {"written": 32, "there": 38}
    assert (root.folder / "v00.npy").stat().st_mtime_ns == before
    assert all(np.array_equal(track, tracks[name]) for name, track in read_tracks(root))
    assert sorted(path.name for path in root.folder.iterdir()) == [f"{name}.npy" for name in tracks]


def test_what_cannot_be_read_is_counted_or_raised(root, monkeypatch):
    root.write({"a.npy": npy(unit(2, 3)), "b.npy": b"", "c.npy": npy(np.full((1, 1), np.nan)), "note.txt": b"x"})
    root.write({"d.npy": bytes(2000)})
    monkeypatch.setattr(features, "LARGEST", 1999)
    dropped = Counter()
    assert [name for name, _ in read_tracks(root, dropped)] == ["a"]
    assert dropped == {"unreadable_features": 2, "not_finite": 1}
    with pytest.raises(Skip):
        list(read_tracks(root))


def test_few_files_are_in_memory_at_a_time(root, monkeypatch):
    root.write({f"{n}.npy": npy(unit(4, 8, n)) for n in range(7)})
    monkeypatch.setattr(features, "BYTES_AT_ONCE", 400)  # two of them
    asked = []
    read = root.read_pieces
    monkeypatch.setattr(root, "read_pieces", lambda pieces: asked.append(len(pieces)) or read(pieces))
    assert len(list(read_tracks(root))) == 7
    assert asked == [2, 2, 2, 1]


def test_a_file_that_went_away_is_a_skip_of_its_own(root):
    root.write({"a.npy": npy(unit(2, 3))})
    files = [("gone", File("gone.npy", 5, "")), ("a", next(files_at(root))), ("known", Skip("other", "x"))]
    found = dict(fetched(root, files))
    assert (found["gone"].reason, found["known"].reason) == ("gone", "other")
    assert found["a"] == npy(unit(2, 3))


# Into a work folder and out of it


SAID = corpus.lines(corpus.TEXTS[:3])


@pytest.fixture
def work(tmp_path):
    """A work folder with the clips of four videos, made from captions alone."""
    for name in ("eggs", "wood/saw", "glue.mp4", "paint"):
        path = tmp_path / "said" / f"{name}.vtt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(corpus.vtt(SAID))
    with Ledger(tmp_path / "work") as ledger:
        at = Workplace(work=tmp_path / "work", ledger=ledger)
        imported.import_captions(at, tmp_path / "said", CaptionConfig(), Progress(quiet=True).stage)
        clips_stage.cut_clips(at, ClipConfig())
    return tmp_path / "work"


@pytest.fixture
def take_in(work, root):
    def take(fps=1.0, backbone="resnet-152", **options):
        with Ledger(work) as ledger:
            at = Workplace(work=work, ledger=ledger, **options)
            return import_tracks(at, str(root), backbone, fps)

    return take


def test_released_features_lead_to_pairs_without_a_video(work, root, take_in):
    released = {"eggs": unit(40, 6, 1), "wood/saw.mp4": unit(40, 6, 2), "deep/er/paint.webm": unit(40, 6, 3)}
    others = {"glue": unit(40, 6), "saw": unit(40, 6), "else": unit(2, 6)}  # `glue.mp4` is another video
    root.write({f"{name}.npy": npy(track) for name, track in (released | others).items()})
    counts = take_in()
    assert counts["done"] == 3
    assert counts["skipped"] == {"no_features": 1}
    folder = work / "features" / "main" / "resnet-152"
    assert read_manifest(folder)["config"] == {
        "backbone": "resnet-152",
        "fps": 1.0,
        "dim": 6,
        "imported": str(root),
    }
    reader = ArrayReader(folder, check=True)
    assert np.array_equal(reader["eggs"], released["eggs"])
    assert np.array_equal(reader["wood/saw"], released["wood/saw.mp4"])
    assert np.array_equal(reader["paint"], released["deep/er/paint.webm"])
    with Ledger(work) as ledger:
        at = Workplace(work=work, ledger=ledger)
        assert join_pairs(at, ["resnet-152"])["done"] == 3


def test_it_is_taken_in_once_and_again_where_it_changed(work, root, take_in):
    root.write({f"{name}.npy": npy(unit(40, 6, 1)) for name in ("eggs", "paint")})
    take_in()
    folder = work / "features" / "main" / "resnet-152"
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    take_in()
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    root.write({"eggs.npy": npy(unit(30, 6, 9)), "wood/saw.npy": npy(unit(3, 6))})
    assert take_in()["done"] == 3
    reader = ArrayReader(folder, check=True)
    assert np.array_equal(reader["eggs"], unit(30, 6, 9))
    assert len(list(folder.glob("shard-*.bin"))) == 2


def test_what_cannot_be_used_is_skipped_with_its_reason(work, root, take_in):
    root.write({"eggs.npy": npy(unit(9, 6)), "wood/saw.npy": npy(unit(9, 7)), "paint.npy": b"x"})
    root.write({"1/glue.mp4.npy": npy(unit(9, 6, 1)), "2/glue.mp4.npy": npy(unit(9, 6, 2))})
    counts = take_in()
    assert counts["skipped"] == {"ambiguous_features": 1, "other_width": 1, "unreadable_features": 1}
    root.write({"paint.npy": npy(unit(9, 6) * 2)})
    assert take_in()["done"] == 2
    with Ledger(work) as ledger:
        row = ledger.row("features/main/resnet-152", "paint")
    assert row.detail == "9 of 9 steps were not of unit length"


def test_too_few_files_stop_it_with_one_line(root, take_in):
    with pytest.raises(InputError, match=r"holds no .npy file"):
        take_in()
    root.write({"else.npy": npy(unit(2, 3))})
    with pytest.raises(InputError, match="none of its files has the name of a video"):
        take_in()
    root.write({"eggs.npy": b"x"})
    with pytest.raises(
        InputError, match=r"none of the first .* can be used, e.g. .*eggs.npy.*: unreadable_features"
    ):
        take_in()
    root.write({"eggs.npy": npy(unit(2, 3))})
    with pytest.raises(InputError, match="features: 3 of 4 cannot be used"):
        take_in(max_skipped=0.5)


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf"), 1e6])
def test_a_rate_that_cannot_be_is_one_line(take_in, fps):
    with pytest.raises(InputError, match="has to be steps per second"):
        take_in(fps=fps)


def test_there_and_back_is_the_same(work, root, take_in, tmp_path):
    root.write({f"{name}.npy": npy(unit(40, 6, n)) for n, name in enumerate(("eggs", "wood/saw", "glue.mp4"))})
    take_in(backbone="2d")
    with Ledger(work) as ledger:
        at = Workplace(work=work, ledger=ledger)
        told = []
        to = tmp_path / "out"
        assert export_tracks(at, str(to), "npy", progress=lambda *now: told.append(now)) == {
            "written": 3,
            "there": 0,
        }
        assert told == [(0, 3), (3, 3)]
        assert export_tracks(at, str(to), "npy", "2d") == {"written": 0, "there": 3}
        for file in files_at(root):
            assert (to / file.name).read_bytes() == root.read(file.name)
        export_tracks(at, f"memory://{tmp_path}/store", "tracks")
        far = ArrayReader(f"memory://{tmp_path}/store")
        assert np.array_equal(far["wood/saw"], unit(40, 6, 1))
        with pytest.raises(InputError, match="no track of '3d' here: there is 2d"):
            export_tracks(at, str(to), "npy", "3d")
    take_in(backbone="3d/x", fps=1.5)
    with Ledger(work) as ledger:
        at = Workplace(work=work, ledger=ledger)
        with pytest.raises(InputError, match=r"several tracks here: name one with --backbone \(2d, 3d/x\)"):
            export_tracks(at, str(to), "npy")
        with pytest.raises(InputError, match="holds the track of 2d: name another place for 3d/x"):
            export_tracks(at, str(to), "npy", "3d/x")
        assert export_tracks(at, str(tmp_path / "other"), "npy", "3d/x")["written"] == 3
    with (
        pytest.raises(InputError, match=r"--fps 30: .*other was exported at 1.5 vectors per second"),
        Ledger(work) as ledger,
    ):
        import_tracks(Workplace(work=work, ledger=ledger), str(tmp_path / "other"), "4d", 30.0)


def test_a_damaged_track_is_not_exported(work, root, take_in, tmp_path):
    root.write({"eggs.npy": npy(unit(40, 6))})
    take_in()
    path = work / "features" / "main" / "resnet-152" / "shard-00000.bin"
    path.write_bytes(bytes(path.stat().st_size))
    with Ledger(work) as ledger:
        at = Workplace(work=work, ledger=ledger)
        for form in ("npy", "tracks"):
            with pytest.raises(InputError, match="damaged"):
                export_tracks(at, str(tmp_path / "out"), form)


def test_nothing_to_export_is_one_line(work, tmp_path):
    with Ledger(work) as ledger, pytest.raises(InputError, match="has no features: run"):
        export_tracks(Workplace(work=work, ledger=ledger), str(tmp_path / "out"), "npy")


def test_the_commands_say_what_they_did(work, root, tmp_path, capsys):
    from tellvision.commands.exchange import export, import_features

    root.write({f"{name}.npy": npy(unit(40, 6, n)) for n, name in enumerate(("eggs", "paint"))})
    import_features(str(root), work, "2d", 1.0)
    assert capsys.readouterr().out == "tracks of 2 videos, 80 steps; skipped: 2 no_features\n"
    export(work, to=str(tmp_path / "out"), format="npy")
    assert capsys.readouterr().out == "2 written, 0 there\n"
    with pytest.raises(InputError, match="is no work folder"):
        export(tmp_path / "none", to=str(tmp_path / "out"), format="npy")
    assert json.loads((work / "features" / "main" / "2d" / "manifest.json").read_text())["counts"]["rows"] == 80


def test_an_export_says_what_it_is_and_is_not_mixed_with_another(tmp_path):
    place = find_place(tmp_path)
    assert features.about(place) == {}
    place.write({features.ABOUT: b'{"backbone": "motion", "fps": 1.0}'})
    assert features.about(place) == {"backbone": "motion", "fps": 1.0}
    for damaged in (b"[", b"[1]", b"\xff"):
        place.write({features.ABOUT: damaged})
        with pytest.raises(InputError, match=r"track\.json is damaged: delete it"):
            features.about(place)
