"""The page's server over real HTTP: answers, ids of any kind, ranges, and what it refuses."""

import contextlib
import io
import os
import socket
import subprocess
import sys
import threading

import av
import httpx
import numpy as np
import pytest
import uvicorn
from PIL import Image

from tellvision.records import InputError
from tellvision.search import load_model, server
from tellvision.search.server import create_app, serve
from test_search import Words, built, clips_of, small_model, videos_of

STRANGE = "tips & tricks/50% off #1? (ä) 'x'"
NAMES = ["plain", STRANGE]


def film(path, seconds=6, colours=((200, 30, 30), (30, 30, 200))):
    """A small H.264 video: the first colour in the first half, then the second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 160, 90, "yuv420p"
        for i in range(seconds * 10):
            picture = np.empty((90, 160, 3), np.uint8)
            picture[:] = colours[2 * i // (seconds * 10)]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(stream.encode())
    return path


def work_of(folder, films):
    """A work folder whose index lists `films` {id: path}: one line a video, from 3 s to 5 s."""
    clips = clips_of([(name, 3.0, 5.0, f"crack the eggs, said in {name}") for name in films])
    why, comparison = "Searched by what is said.", {"questions": 0, "systems": {}}
    built(folder / "index" / "main", clips, videos=videos_of(films), why=why, comparison=comparison)
    return folder


@contextlib.contextmanager
def client_of(app):
    """A client of `app`, served on a free port by a thread."""
    running = uvicorn.Server(uvicorn.Config(app, log_level="critical", ws="none"))
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=running.run, args=([listening],))
    thread.start()
    address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    try:
        with httpx.Client(base_url=address, trust_env=False, timeout=20) as client:
            yield client
    finally:
        running.should_exit = True
        thread.join()
        listening.close()


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    folder = tmp_path_factory.mktemp("work")
    return work_of(folder, {name: film(folder / "films" / f"{number}.mp4") for number, name in enumerate(NAMES)})


@pytest.fixture(scope="module")
def client(work):
    with client_of(create_app(work)) as client:
        yield client


def refusal(answer, status):
    assert answer.status_code == status
    detail = answer.json()["detail"]
    assert isinstance(detail, str)
    assert "\n" not in detail
    return detail


def test_hits_carry_all_a_page_needs(client):
    answer = client.get("/api/search", params={"query_text": "Cracking an egg", "page_limit": 1}).json()
    (hit,) = answer["data"]
    assert answer["search_by"] == "speech"
    assert answer["why"] == "Searched by what is said."
    assert {name: hit[name] for name in ("video_id", "start", "end", "title", "text")} == {
        "video_id": "plain",
        "start": 3,
        "end": 5,
        "title": "About plain",
        "text": "crack the eggs, said in plain",
    }
    assert hit["score"] > 0
    assert hit["spoken"] == ["crack", "eggs"]
    assert hit["video_url"] == "/media/plain"
    assert hit["thumbnail_url"] == "/thumbnail/plain?t=4.00"


@pytest.mark.parametrize("number", range(len(NAMES)))
def test_urls_lead_to_the_video_whatever_its_id(client, work, number):
    hits = client.get("/api/search", params={"query_text": "eggs"}).json()["data"]
    (hit,) = [hit for hit in hits if hit["video_id"] == NAMES[number]]
    assert client.get(hit["video_url"]).content == (work / "films" / f"{number}.mp4").read_bytes()
    picture = client.get(hit["thumbnail_url"])
    assert picture.headers["content-type"] == "image/jpeg"
    red, _, blue = np.asarray(Image.open(io.BytesIO(picture.content))).mean(axis=(0, 1))
    assert blue > 150 > 80 > red  # 4 s lies in the second half
    red, _, blue = np.asarray(
        Image.open(io.BytesIO(client.get(hit["video_url"].replace("media", "thumbnail")).content))
    ).mean(axis=(0, 1))
    assert red > 150 > 80 > blue


def test_ranges(client, work):
    whole = (work / "films" / "0.mp4").read_bytes()
    part = client.get("/media/plain", headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(whole)}"
    assert part.headers["content-type"] == "video/mp4"
    assert client.get("/media/plain", headers={"Range": "bytes=-5"}).content == whole[-5:]
    assert client.get("/media/plain", headers={"Range": f"bytes={len(whole)}-"}).status_code == 416
    head = client.head("/media/plain")
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(whole)), b"")


def test_only_what_is_listed_is_served(client, work):
    film = work / "films" / "0.mp4"
    for name in [
        "films/0.mp4",
        "0.mp4",
        str(film),
        f"/{film}",
        "../films/0.mp4",
        "..%2F..%2Fetc%2Fpasswd",
        "%00",
        "",
    ]:
        for kind in ("media", "thumbnail"):
            refusal(client.get(f"/{kind}/{name}"), 404)
    for name in ["page.py", "../server.py", "..%2Fserver.py", "docs", "openapi.json", "page/index.html"]:
        refusal(client.get(f"/{name}"), 404)


def test_files_that_are_gone_or_broken(tmp_path):
    films = {"gone": film(tmp_path / "gone.mp4"), "broken": film(tmp_path / "broken.mp4")}
    with client_of(create_app(work_of(tmp_path / "work", films))) as client:
        films["gone"].unlink()
        films["broken"].write_text("no video")
        assert "'gone' is gone" in refusal(client.get("/media/gone"), 404)
        assert "'gone' is gone" in refusal(client.get("/thumbnail/gone?t=1"), 404)
        assert "unreadable_video" in refusal(client.get("/thumbnail/broken?t=1"), 404)


@pytest.mark.parametrize(
    ("parameters", "status", "says"),
    [
        ({}, 422, "query_text: Field required"),
        ({"query_text": ""}, 422, "query_text: "),
        ({"query_text": "   "}, 400, "the question is empty"),
        ({"query_text": "e" * 1001}, 422, "at most 1000 characters"),
        ({"query_text": "eggs", "page_limit": 0}, 422, "page_limit: "),
        ({"query_text": "eggs", "page_limit": 101}, 422, "page_limit: "),
        ({"query_text": "eggs", "page_limit": "many"}, 422, "page_limit: "),
    ],
)
def test_questions_that_are_refused(client, parameters, status, says):
    assert says in refusal(client.get("/api/search", params=parameters), status)


@pytest.mark.parametrize("moment", ["-1", "nan", "inf", "soon"])
def test_moments_that_are_refused(client, moment):
    assert "t: " in refusal(client.get(f"/thumbnail/plain?t={moment}"), 422)


def test_any_question_is_answered(client):
    for question in ['"', "eggs:-+(", "\x00", "\U0001f373", "e" * 1000, "<script>alert(1)</script>"]:
        assert client.get("/api/search", params={"query_text": question}).status_code == 200


def test_past_the_end_is_the_last_picture(client):
    assert client.get("/thumbnail/plain?t=1e9").status_code == 200


def test_what_is_indexed(client):
    assert client.get("/api/index").json() == {
        "name": "main",
        "videos": 2,
        "clips": 2,
        "hours": pytest.approx(2 / 60),
        "search_by": "speech",
        "why": "Searched by what is said.",
        "comparison": {"questions": 0, "systems": {}},
        "examples": ["crack the eggs, said in plain", "eggs, said in tips & tricks/50% off #1?"],
    }
    assert client.get("/healthz").json() == {"status": "ok"}


def test_nothing_from_outside(client):
    for address in ["/", "/page.css", "/page.js", "/icon.svg", "/api/index", "/media/plain", "/nothing"]:
        answer = client.get(address)
        assert answer.headers["content-security-policy"].startswith("default-src 'self'")
        assert answer.headers["x-content-type-options"] == "nosniff"
    for address in ["/", "/page.css", "/page.js"]:
        text = client.get(address).text
        assert "http://" not in text
        assert "https://" not in text
        assert "innerHTML" not in text


def test_a_new_index_is_taken_up(tmp_path):
    first = film(tmp_path / "a.mp4")
    with client_of(create_app(work_of(tmp_path / "work", {"old": first}))) as client:
        assert client.get("/api/search?query_text=eggs").json()["data"][0]["video_id"] == "old"
        work_of(tmp_path / "work", {"new": first})
        assert [hit["video_id"] for hit in client.get("/api/search?query_text=eggs").json()["data"]] == ["new"]
        refusal(client.get("/media/old"), 404)


def test_a_server_needs_an_index_and_a_port(work, tmp_path):
    with pytest.raises(InputError, match="not finished"):
        create_app(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(InputError, match="choose another"):
        serve(work, taken.getsockname()[1])


@pytest.mark.parametrize("port", [-1, 65536, 99999])
def test_a_port_that_is_none(work, port):
    with pytest.raises(InputError, match=rf"port {port} is none: choose one of 0\.\.65535"):
        serve(work, port)


def test_an_index_built_again_while_its_model_is_loaded(tmp_path, monkeypatch):
    folder, clips = tmp_path / "index" / "main", clips_of([("v", 0.0, 5.0, "crack")])
    vectors = np.eye(1, 5, dtype=np.float32)
    built(folder, clips, vectors, by="picture")
    swaps = []

    def swapping(index):
        if not swaps:
            swaps.append(index)
            built(folder, clips, vectors, by="picture", model=small_model(seed=1))
        return load_model(index)

    monkeypatch.setattr(server, "load_model", swapping)
    index, model = server._Shelf(folder).with_model()
    assert index is not swaps[0]
    rows = np.ones((2, 3), np.float32)
    assert (model.embed_clips(rows) == small_model(seed=1).embed_clips(rows)).all()


def test_a_model_that_is_damaged_is_told_of(tmp_path):
    clips = clips_of([("v", 0.0, 5.0, "crack")])
    index = built(tmp_path / "index" / "main", clips, np.eye(1, 5, dtype=np.float32), by="picture")
    (index.folder / "model" / "model.safetensors").unlink()
    with client_of(create_app(tmp_path)) as client:
        assert "is damaged" in refusal(client.get("/api/search?query_text=whisk"), 400)


def test_the_model_answers_and_is_told_of_where_it_cannot(tmp_path, monkeypatch):
    clips = clips_of([("v", 0.0, 5.0, "crack"), ("v", 9.0, 12.0, "stir it")])
    built(tmp_path / "index" / "main", clips, np.eye(5, dtype=np.float32)[:2], by="picture")
    monkeypatch.setattr(server, "load_model", lambda index: Words())
    with client_of(create_app(tmp_path)) as client:
        hits = client.get("/api/search?query_text=whisk").json()["data"]
        assert [hit["start"] for hit in hits] == [9, 0]
        assert "no word of 'zebra'" in refusal(client.get("/api/search?query_text=zebra"), 400)

    def missing(index):
        raise InputError("there is no checkpoint at ../runs/main")

    monkeypatch.setattr(server, "load_model", missing)
    with client_of(create_app(tmp_path)) as client:
        assert "no checkpoint" in refusal(client.get("/api/search?query_text=whisk"), 400)
        assert client.get("/").status_code == 200


@contextlib.contextmanager
def served(work):
    """The address of `serve` in a process of its own."""
    script = f"import pathlib; from tellvision.search.server import serve; serve(pathlib.Path({str(work)!r}), 0)"
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", script], env=env, stderr=subprocess.PIPE, text=True)
    try:
        line = process.stderr.readline()
        assert " at http://127.0.0.1:" in line
        yield line.split(" at ")[1].split(" (")[0]
    finally:
        process.terminate()
        process.wait(20)
        process.stderr.close()


def test_serve_tells_its_address_and_answers_this_machine_alone(work):
    with served(work) as address, httpx.Client(base_url=address, trust_env=False) as client:
        assert "tellvision" in client.get("/").text
        assert client.get("/", headers={"Host": "evil.example"}).status_code == 400
