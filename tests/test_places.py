"""Places beyond this folder: an S3 server on this machine, fsspec's memory, and what goes wrong with them."""

import copy
import importlib
import logging
import os
import socket
import sys
import threading
import time
import urllib.request

import numpy as np
import pytest

from tellvision.howto100m.features import read_tracks, write_tracks
from tellvision.records import InputError
from tellvision.stages.exported import export_tracks
from tellvision.stages.workplace import Workplace
from tellvision.store import (
    LEDGER,
    ArrayReader,
    ArrayWriter,
    Ledger,
    Piece,
    arrays,
    copy_arrays,
    find_place,
    places,
    shards,
    write_manifest,
)
from tellvision.store.places import LocalPlace

moto_server = pytest.importorskip("moto.server", reason="needs pip install 's3fs' 'moto[s3,server]'")
pytest.importorskip("s3fs")

KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture(scope="module")
def server():
    """A log, a line per request, of an S3 server on this machine, to which the environment points."""
    log = _Log()
    logger = logging.getLogger("werkzeug")
    logger.addHandler(log)
    logger.setLevel(logging.INFO)
    running = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in KEYS.items():
            patch.setenv(name, value)
        patch.setenv("AWS_ENDPOINT_URL", "http://{}:{}".format(*running.get_host_and_port()))
        patch.delenv("AWS_PROFILE", raising=False)
        yield log.lines
    running.stop()
    logger.removeHandler(log)


class _Log(logging.Handler):
    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


@pytest.fixture(scope="module")
def opened(server):
    """A place on that server: to begin anew takes most of a second."""
    urllib.request.urlopen(
        urllib.request.Request(f"{os.environ['AWS_ENDPOINT_URL']}/bucket", method="PUT")
    ).close()
    return find_place("s3://bucket")


@pytest.fixture
def far(opened, request):
    """An empty place on that server."""
    place = copy.copy(opened)
    name = f"{request.node.name}".encode().hex()[-40:]
    place._text, place._root = f"s3://bucket/{name}", f"bucket/{name}"
    return place


@pytest.fixture(params=["local", "memory", "s3"])
def place(request, tmp_path):
    """An empty place of each kind."""
    if request.param == "local":
        return find_place(tmp_path / "deep" / "er")
    if request.param == "memory":
        return find_place(f"memory://{tmp_path}/deep/er")
    return request.getfixturevalue("far")


def requests_of(log, verb):
    return [line for line in log if f"{verb} /" in line]


# One set of verbs


def test_what_is_written_is_there(place):
    assert place.size("a") is None
    place.write({"a": b"12345", "b/c": b"", "b/d.npy": b"67"})
    assert [(file.name, file.size) for file in place.files()] == [("a", 5), ("b/c", 0), ("b/d.npy", 2)]
    assert place.size("a") == 5
    assert place.read("b/d.npy") == b"67"
    pieces = [Piece("a", 1, 3), Piece("b/c", 0, 0), Piece("none", 0, 4), Piece("b/d.npy", 1, 9), Piece("a", 0, 5)]
    assert place.read_pieces(pieces) == [b"23", b"", None, b"7", b"12345"]
    assert place.read_pieces([]) == []
    place.write({})


def test_a_file_that_changed_has_another_state(place):
    place.write({"a": b"1", "b": b"1"})
    before = {file.name: file.state for file in place.files()}
    place.write({"a": b"2"})
    after = {file.name: file.state for file in place.files()}
    assert after["a"] != before["a"]
    assert after["b"] == before["b"]


def test_a_file_of_any_size_is_put_there(place, tmp_path):
    (tmp_path / "here").write_bytes(bytes(range(256)) * 100)
    place.put("x/there", tmp_path / "here")
    place.put("x/there", tmp_path / "here")
    assert place.read("x/there") == (tmp_path / "here").read_bytes()
    assert [file.name for file in place.files()] == ["x/there"]


@pytest.mark.parametrize("name", ["wood/Mr. Saw [1] 100%.npy", "a*b?c.npy", "käse + #1.npy", "{x}~$'.npy"])
def test_names_are_taken_as_they_are(place, name):
    place.write({name: b"1", "other": b"2"})
    assert [file.name for file in place.files()] == sorted([name, "other"])
    assert place.read(name) == b"1"
    assert place.read_pieces([Piece(name, 0, 1)]) == [b"1"]


def test_a_missing_file_is_one_line(place):
    place.write({"a": b"1"})
    with pytest.raises(InputError, match=r"none(\.npy)? is not there") as error:
        place.read("none.npy")
    assert str(place) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_bucket_is_listed_page_by_page(far, monkeypatch):
    far.write({f"{n}/x": b"1" for n in range(8)})
    monkeypatch.setattr(places, "PAGE", 3)
    assert [file.name for file in far.files()] == [f"{n}/x" for n in range(8)]


def test_a_whole_bucket_is_a_place(opened):
    opened.write({"alone/x": b"1"})
    assert "alone/x" in [file.name for file in opened.files()]
    assert opened.read("alone/x") == b"1"


def test_neighbours_with_the_same_beginning_are_not_below(place):
    beside = copy.copy(place)
    if isinstance(place, LocalPlace):
        beside.folder = place.folder.with_name(place.folder.name + "b")
    else:
        beside._root += "b"
    place.write({"x": b"1"})
    beside.write({"y": b"1"})
    assert [file.name for file in place.files()] == ["x"]


# Names of places


@pytest.mark.parametrize("text", ["file://{}", "file:{}", "{}"])
def test_local_places(text, tmp_path):
    (tmp_path / "a").write_bytes(b"1")
    place = find_place(text.format(tmp_path))
    if text != "file:{}":  # that is a folder named `file:`
        assert isinstance(place, LocalPlace)
        assert place.read("a") == b"1"
    assert list(find_place(tmp_path / "none").files()) == []


def test_a_local_place_needs_no_fsspec(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    place = find_place(tmp_path)
    place.write({"a": b"1"})
    assert place.read("a") == b"1"


def test_what_is_missing_to_reach_a_place_is_one_line(monkeypatch):
    registry = importlib.import_module("fsspec.registry")
    monkeypatch.delitem(sys.modules[registry.__name__]._registry, "s3", raising=False)
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(InputError, match=r"without a library for s3: pip install 'tellvision\[s3\]'"):
        find_place("s3://bucket/x")


@pytest.mark.parametrize(
    ("text", "said"),
    [("s3://", "no bucket"), ("nope://x", "Protocol not known"), ("zip://a::s3://b/c", "within another")],
)
def test_a_place_that_cannot_be_is_one_line(text, said):
    with pytest.raises(InputError, match=said) as error:
        find_place(text)
    assert "\n" not in str(error.value)


# What goes wrong


def test_a_bucket_that_is_not_there_is_one_line(opened):
    place = copy.copy(opened)
    place._text, place._root = "s3://none/x", "none/x"
    with pytest.raises(InputError, match="s3://none/x is not there"):
        list(place.files())
    with pytest.raises(InputError, match="s3://none/x: a is not there"):
        place.write({"a": b""})


def test_no_credentials_are_one_line(opened, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(InputError, match=r"cannot be used .*credentials.*: check your rights") as error:
        find_place("s3://bucket/x").read("a")
    assert "\n" not in str(error.value)


def test_no_right_to_a_file_is_one_line(far, monkeypatch):
    async def refuse(*_, **__):
        raise PermissionError("Access Denied")

    monkeypatch.setattr(far._fs, "_cat_file", refuse)
    with pytest.raises(InputError, match=r"cannot be used \(Access Denied\): check your rights"):
        far.read_pieces([Piece("a", 0, 1)])


def test_a_server_that_is_down_is_one_line(server, monkeypatch):
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{listening.getsockname()[1]}")
    began = time.monotonic()
    with pytest.raises(InputError, match=r"s3://b/x: a cannot be used .*: mend that and run the same again"):
        find_place("s3://b/x").read("a")
    assert time.monotonic() - began < 10


def test_a_server_that_never_answers_is_not_waited_for(server, monkeypatch):
    monkeypatch.setattr(places, "READ_SECONDS", 0.1)
    monkeypatch.setattr(places, "TRIES", 1)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{listening.getsockname()[1]}")
        began = time.monotonic()
        with pytest.raises(InputError, match=r"s3://b/x cannot be used .*timeout"):
            find_place("s3://b/x").read_pieces([Piece("a", 0, 1)])
        assert time.monotonic() - began < 20


def test_a_local_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot be used .*: mend that"):
        find_place(tmp_path / "file").write({"a": b"1"})


# Arrays read from far away


def rows(seed, count=3, dim=4):
    return np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float16)


def write_arrays(folder, items, dim=4, done=(), backbone="x"):
    writer = ArrayWriter(folder, dim)
    writer.open({item: item for item in done})
    for item, data in items.items():
        writer.append(item, item, data)
    writer.commit()
    writer.close([*done, *items])
    writer.release()
    write_manifest(
        folder,
        stage="features/main/x",
        config={"backbone": backbone, "fps": 1.0},
        inputs={},
        counts={"items": len(items) + len(done)},
    )


@pytest.fixture
def items(monkeypatch):
    monkeypatch.setattr(arrays, "ITEMS_PER_SHARD", 12)
    return {f"v{n:03d}": rows(n, n % 4) for n in range(14)}


@pytest.fixture
def folder(tmp_path, items):
    write_arrays(tmp_path / "arrays", items)
    return tmp_path / "arrays"


def test_arrays_are_copied_and_read_there(folder, items, place):
    told = []
    assert copy_arrays(folder, place, lambda *now: told.append(now)) == {"written": 4, "there": 0}
    assert told[0] == (0, 4)
    assert told[-1] == (4, 4)
    assert [file.name for file in place.files()] == [
        "index.jsonl",
        "manifest.json",
        "shard-00000.bin",
        "shard-00001.bin",
    ]
    far = ArrayReader(place)
    assert (far.dim, far.dtype) == (4, np.float16)
    assert far.damaged(items) == []
    assert all(np.array_equal(far[item], data) for item, data in items.items())
    some = ["v013", "v003", "v002", "v000", "v003"]
    assert np.array_equal(far.gather(some), np.concatenate([items[item] for item in some]))
    assert far.gather([]).shape == (0, 4)
    with pytest.raises(KeyError):
        far["none"]
    with pytest.raises(ValueError, match="read-only"):
        far["v003"][0, 0] = 1
    assert copy_arrays(folder, place) == {"written": 0, "there": 4}


def test_an_item_is_one_request_and_neighbours_share_one(folder, items, far, server, monkeypatch):
    copy_arrays(folder, far)
    far = ArrayReader(far)
    far["v001"]  # sizes of the shards are asked for once
    del server[:]
    far["v003"]
    assert len(requests_of(server, "GET")) == 1
    del server[:]
    far.gather(items)
    assert len(requests_of(server, "GET")) == 2  # one for each shard
    del server[:]
    monkeypatch.setattr(shards, "GAP", 0)
    far.gather(["v001", "v002", "v006", "v007"])
    assert len(requests_of(server, "GET")) == 2
    del server[:]
    monkeypatch.setattr(shards, "MOST", 100)
    assert np.array_equal(far.gather(items), np.concatenate(list(items.values())))
    assert len(requests_of(server, "GET")) == 3


def test_aliases_share_what_is_fetched(tmp_path, place):
    write_arrays(tmp_path / "arrays", {"a": rows(1), "b": rows(2)})
    writer = ArrayWriter(tmp_path / "arrays", 4)
    writer.open({"a": "a", "b": "b"})
    writer.alias({"c": "a"})
    writer.commit()
    writer.close("abc")
    writer.release()
    copy_arrays(tmp_path / "arrays", place)
    far = ArrayReader(place)
    assert np.array_equal(far.gather("cab"), np.concatenate([rows(1), rows(1), rows(2)]))


def test_what_was_damaged_there_is_found_when_it_is_read(folder, items, place):
    copy_arrays(folder, place)
    data = bytearray(place.read("shard-00000.bin"))
    data[0] ^= 1  # v001, as v000 is empty
    place.write({"shard-00000.bin": bytes(data)})
    far = ArrayReader(place, check=True)
    assert far.damaged() == ["v001"]
    assert np.array_equal(far["v002"], items["v002"])
    with pytest.raises(InputError, match=r"shard-00000.bin is damaged where v001 lies"):
        far["v001"]
    place.write({"shard-00000.bin": bytes(data[:-8])})
    far = ArrayReader(place, check=True)
    assert far.damaged() == ["v001", "v011"]
    with pytest.raises(InputError, match=r"is damaged where v011 lies"):
        far["v011"]
    assert copy_arrays(folder, place) == {"written": 1, "there": 3}  # mends it
    assert ArrayReader(place).damaged() == []


def test_a_copy_that_was_stopped_goes_on(folder, items, place):
    class Stopped(Exception):
        pass

    def stop(done, _total):
        if done == 1:
            raise Stopped

    with pytest.raises(Stopped):
        copy_arrays(folder, place, stop)
    with pytest.raises(InputError, match="holds no arrays"):
        ArrayReader(place)
    assert copy_arrays(folder, place) == {"written": 3, "there": 1}
    assert ArrayReader(place).damaged(items) == []


def test_what_came_since_is_all_that_is_copied(folder, items, place):
    copy_arrays(folder, place)
    write_arrays(folder, {"new": rows(7)}, done=items)
    assert copy_arrays(folder, place) == {"written": 3, "there": 2}  # its shard, index, manifest
    assert np.array_equal(ArrayReader(place)["new"], rows(7))


def test_other_arrays_are_not_written_over(folder, tmp_path, place):
    copy_arrays(folder, place)
    write_arrays(tmp_path / "other", {"a": rows(1)})
    with pytest.raises(InputError, match=r"holds other arrays than .*: delete them, or name another place"):
        copy_arrays(tmp_path / "other", place)


def test_damaged_or_unfinished_arrays_are_not_copied(folder, place):
    path = folder / "shard-00001.bin"
    path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(InputError, match="are damaged"):
        copy_arrays(folder, place)
    (folder / "manifest.json").unlink()
    with pytest.raises(InputError, match="is not finished"):
        copy_arrays(folder, place)
    assert list(place.files()) == []


def test_what_a_store_keeps_wrong_is_noticed(folder, far, monkeypatch):
    put = far._fs.put_file

    def lossy(path, to):
        put(path, to)
        if to.endswith("00001.bin"):
            far._fs.pipe_file(to, bytes(os.path.getsize(path)))

    monkeypatch.setattr(far._fs, "put_file", lossy)
    with pytest.raises(InputError, match=r"shard-00001.bin reads otherwise than it was sent"):
        copy_arrays(folder, far)
    assert far.size("index.jsonl") is None


def test_many_readers_at_once(folder, items, far):
    copy_arrays(folder, far)
    far, wrong = ArrayReader(far), []

    def read(first):
        for item in list(items)[first::4]:
            if not np.array_equal(far[item], items[item]):
                wrong.append(item)

    threads = [threading.Thread(target=read, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# Released features, far away


def test_released_features_are_written_and_read_anywhere(place):
    tracks = {f"a/v{n}": rows(n, 2, 4) / 100 for n in range(40)}
    assert write_tracks(place, tracks.items()) == {"written": 40, "there": 0}
    place.write({"a/v3.npy": b"torn", "note.txt": b""})
    assert write_tracks(place, tracks.items()) == {"written": 1, "there": 39}
    found = dict(read_tracks(place))
    assert list(found) == sorted(tracks)
    assert all(np.allclose(np.linalg.norm(track, axis=1), 1, atol=1e-2) for track in found.values())


def test_a_work_folder_is_exported_to_an_object_store(tmp_path, server, far):
    write_arrays(tmp_path / "work" / "features" / "main" / "x", {"v1": rows(1), "b/v2": rows(2)}, backbone="x")
    (tmp_path / "work" / LEDGER).touch()
    with Ledger(tmp_path / "work") as ledger:
        at = Workplace(work=tmp_path / "work", ledger=ledger)
        assert export_tracks(at, f"{far}/npy", "npy") == {"written": 2, "there": 0}
        assert export_tracks(at, f"{far}/store/", "tracks", "x") == {"written": 3, "there": 0}
    assert [file.name for file in far.files()] == [
        "npy/b/v2.npy",
        "npy/track.json",
        "npy/v1.npy",
        "store/index.jsonl",
        "store/manifest.json",
        "store/shard-00000.bin",
    ]
    assert np.array_equal(ArrayReader(f"{far}/store")["b/v2"], rows(2))
