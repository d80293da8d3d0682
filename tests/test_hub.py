"""The model hub: fetched and pushed by the real client, against a server of this machine; and the card."""

import base64
import dataclasses
import hashlib
import json
import re
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tellvision.embedding import hub
from tellvision.embedding.card import card
from tellvision.embedding.checkpoint import load, read_config, save
from tellvision.embedding.config import ModelConfig, TextConfig, Track, TrainConfig
from tellvision.embedding.model import TextVideoModel
from tellvision.embedding.words import read_words
from tellvision.records import InputError

huggingface_hub = pytest.importorskip("huggingface_hub")
constants = pytest.importorskip("huggingface_hub.constants")
yaml = pytest.importorskip("yaml")

WORDS = {name: np.random.default_rng(i).normal(size=4) for i, name in enumerate(["crack", "egg", "bowl"])}
CONFIG = ModelConfig(
    tracks=(Track(name="image", fps=1.0, dim=5),), dim=6, word_dim=4, text=TextConfig(tokens="words")
)
SHA = "1" * 40
ABOUT = {
    "train": dataclasses.asdict(TrainConfig(epochs=3)),
    "num_videos": 167,
    "num_clips": 12_345,
    "recipe": "laptop",
    "license": "apache-2.0",
    "retrieval": {
        "text_to_video": {"R@1": 0.123456, "R@5": 0.3, "R@10": 0.5, "MedR": 11.0},
        "chance": {"R@1": 0.001, "R@5": 0.005, "R@10": 0.01, "MedR": 500.5},
        "shuffled": {"R@1": 0.002, "R@5": 0.004, "R@10": 0.012, "MedR": 498.0},
        "videos": 55,
        "clips": 1000,
    },
}


class Hub:
    """What the hub's API says, as far as the client asks: repositories are dictionaries of files."""

    def __init__(self):
        self.repositories, self.private, self.asked = {}, {}, []
        self.status = None  # in place of any answer
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                hub.asked.append((self.command, self.path))
                length = int(self.headers.get("Content-Length") or 0)
                status, content, head = hub.answer(self.path, self.rfile.read(length), self.headers)
                data = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(data))} | head).items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            do_POST = do_HEAD = do_GET  # noqa: N815

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, path, body, head):
        path = path.partition("?")[0]
        allowed = head.get("Authorization") == "Bearer hf_right"
        if self.status:
            return self.status, {"error": "out of order"}, {}
        if path == "/api/validate-yaml":
            return 200, {"warnings": [], "errors": []}, {}
        if path == "/api/repos/create":
            if not allowed:
                return 401, {"error": "Invalid username or password."}, {}
            wanted = json.loads(body)
            name = f"{wanted['organization']}/{wanted['name']}"
            status = 409 if name in self.repositories else 200
            self.repositories.setdefault(name, {})
            self.private.setdefault(name, wanted.get("visibility") == "private" or wanted.get("private"))
            return status, {"url": f"{self.url}/{name}"}, {}
        found = re.fullmatch(r"/(api/models/)?([^/]+/[^/]+)(?:/(\w+)/?(.*))?", path)
        api, name, verb, rest = found.groups()
        files = self.repositories.get(name)
        if files is None and allowed:
            return 404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"}
        if files is None or (self.private.get(name) and not allowed):
            return 401, {"error": "Invalid username or password."}, {"X-Error-Code": "RepoNotFound"}
        if verb == "resolve":
            return self.file(files, rest.partition("/")[2])
        assert api
        if verb == "preupload":
            asked = [file["path"] for file in json.loads(body)["files"]]
            modes = [{"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in asked]
            return 200, {"files": modes}, {}
        if verb == "commit":
            for line in map(json.loads, body.splitlines()):
                value = line["value"]
                if line["key"] == "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                if line["key"] == "deletedFile":
                    del files[value["path"]]
            return 200, {"commitUrl": f"{self.url}/{name}/commit/{SHA}", "commitOid": SHA}, {}
        listed = [
            {"type": "file", "path": path, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
            for path, data in files.items()
        ]
        if verb == "tree":
            return 200, listed, {}
        about = {"id": name, "modelId": name, "sha": SHA, "private": False, "tags": [], "downloads": 0}
        return 200, about | {"siblings": [{"rfilename": path} for path in files]}, {}

    def file(self, files, path):
        if path not in files:
            return 404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound"}
        head = {"ETag": f'"{hashlib.sha1(files[path]).hexdigest()}"', "X-Repo-Commit": SHA}
        return 200, files[path], head


@pytest.fixture
def client(monkeypatch, tmp_path):
    """The client's settings, as a user's shell would say them, and its cache in a folder of the test."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no_token"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)

    def point_at(url):
        monkeypatch.setattr(constants, "ENDPOINT", url)
        template = f"{url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)

    yield point_at
    huggingface_hub.close_session()


@pytest.fixture
def server(client):
    """A hub on this machine that the client asks."""
    found = Hub()
    threading.Thread(target=found.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    client(found.url)
    yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture
def model():
    return TextVideoModel.new(CONFIG, seed=0, words=read_words(WORDS))


def test_pushed_and_fetched_again(model, server, capsys):
    told = hub.push_to_hub(model, "someone/cooking", private=True, token="hf_right", about=ABOUT)
    assert told == f"{server.url}/someone/cooking/commit/{SHA}"
    files = server.repositories["someone/cooking"]
    assert sorted(files) == ["README.md", "config.json", "model.safetensors"]
    assert server.private["someone/cooking"]
    assert b'tellvision.load("someone/cooking"' in files["README.md"]
    server.private.clear()
    capsys.readouterr()
    again = load("someone/cooking", words=WORDS)
    assert capsys.readouterr().err.startswith("someone/cooking is no folder here; asking the model hub for it\n")
    assert (again.encode_text(["crack egg"]) == model.encode_text(["crack egg"])).all()
    assert not any("README" in path for _, path in server.asked)  # what is not needed is not fetched
    # Over what is there: new weights, and nothing left of an encoder.
    files["encoder/old.json"] = b"{}"
    other = TextVideoModel.new(CONFIG, seed=1, words=read_words(WORDS))
    hub.push_to_hub(other, "someone/cooking", token="hf_right")
    assert sorted(files) == ["README.md", "config.json", "model.safetensors"]
    assert b"license" not in files["README.md"]


def test_without_the_hub_what_was_fetched_before_serves(model, server, tmp_path, capsys):
    hub.push_to_hub(model, "someone/cooking", token="hf_right")
    load("someone/cooking", words=WORDS)
    server.status = 500
    capsys.readouterr()
    assert load("someone/cooking").config == CONFIG
    assert "the hub gives nothing now (it is out of order (status 500)" in capsys.readouterr().err


def one_line(call, match):
    began = time.monotonic()
    with pytest.raises(InputError, match=match) as raised:
        call()
    assert "\n" not in str(raised.value)
    assert time.monotonic() - began < 5


def test_what_the_hub_does_not_give(model, server):
    one_line(lambda: load("someone/none"), r"no checkpoint at someone/none, and the hub gave none: .*log in")
    hub.push_to_hub(model, "someone/secret", private=True, token="hf_right")
    one_line(lambda: load("someone/secret"), "no checkpoint at someone/secret, .* private .* log in")
    files = server.repositories["someone/half"] = {"README.md": b"hello"}
    one_line(lambda: load("someone/half"), r"someone/half on the hub is no checkpoint .*: it has no config.json")
    files["config.json"] = server.repositories["someone/secret"]["config.json"]
    server.repositories["someone/cut"] = dict(files)
    one_line(lambda: load("someone/cut"), r"model.safetensors is missing")
    server.status = 500
    one_line(lambda: load("someone/other"), "out of order .status 500.: try again later")


def test_who_may_not_write(model, server):
    for token in (None, "hf_wrong"):
        one_line(lambda token=token: hub.push_to_hub(model, "someone/cooking", token=token), "not yours .* log in")
    server.status = 503
    one_line(lambda: hub.push_to_hub(model, "someone/cooking", token="hf_right"), "out of order")
    assert server.repositories == {}


@pytest.mark.parametrize("name", ["cooking", "/cooking", "a/b/c", "", "some one/cooking", "someone/-.-"])
def test_ids_that_are_none(model, server, name):
    one_line(lambda: hub.push_to_hub(model, name, token="hf_right"), "OWNER/NAME|not written to the hub")
    assert server.repositories == {}


@pytest.mark.parametrize("answers", [False, True])
def test_nobody_there(model, client, monkeypatch, answers):
    """A refused connection, and a server that takes the connection and says nothing."""
    monkeypatch.setattr(hub, "TIMEOUT", 0.3)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if answers:
            silent.listen()
        client(f"http://127.0.0.1:{silent.getsockname()[1]}")
        one_line(lambda: load("someone/cooking"), "and the hub gave none: it cannot be reached")
        one_line(lambda: hub.push_to_hub(model, "someone/cooking"), "not written to the hub: it cannot be reached")


def test_the_client_is_not_installed(model, monkeypatch):
    find = hub.importlib.util.find_spec
    monkeypatch.setattr(hub.importlib.util, "find_spec", lambda name: None if "hub" in name else find(name))
    one_line(lambda: load("someone/cooking"), "if it is the id of a model on the hub: pip install")
    one_line(lambda: hub.push_to_hub(model, "someone/cooking"), "pip install")


@pytest.mark.parametrize(
    "path",
    ["runs/mian", "./cook", "../cook", "/cook", "~/cook", "cook", "cook/", "", "a/b/c", Path("someone/cooking")],
)
def test_a_mistyped_path_stays_on_this_machine(tmp_path, monkeypatch, capsys, path):
    monkeypatch.setattr(hub, "fetch", lambda _: pytest.fail("the hub was asked"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs/main").mkdir(parents=True)
    one_line(lambda: load(path), "no checkpoint at|cannot be read")
    assert capsys.readouterr().err == ""


def test_a_folder_with_its_card(model, tmp_path):
    hub.save_pretrained(model, tmp_path / "cook", ABOUT)
    assert sorted(path.name for path in (tmp_path / "cook").iterdir()) == [
        "README.md", "config.json", "model.safetensors"
    ]  # fmt: skip
    assert read_config(tmp_path / "cook")["extra"] == json.loads(json.dumps(ABOUT))
    assert load(tmp_path / "cook").config == CONFIG
    (tmp_path / "file").write_text("")
    one_line(lambda: hub.save_pretrained(model, tmp_path / "file"), r"file cannot be written \(File exists\)")


def test_a_loaded_model_remembers_how_it_was_made(model, tmp_path):
    save(model, tmp_path / "run", ABOUT)
    hub.save_pretrained(load(tmp_path / "run"), tmp_path / "given", {"title": "Cooking", "num_videos": 168})
    assert read_config(tmp_path / "given")["extra"] == json.loads(json.dumps(ABOUT)) | {
        "title": "Cooking", "num_videos": 168
    }  # fmt: skip
    told = (tmp_path / "given/README.md").read_text(encoding="utf-8")
    assert "# Cooking\n" in told
    assert "- trained on: 168 videos, 12,345 clips\n" in told


def test_the_methods_of_a_model(model, server, tmp_path):
    model.save_pretrained(tmp_path / "given", {"title": "Cooking"})
    assert "# Cooking\n" in (tmp_path / "given/README.md").read_text(encoding="utf-8")
    address = model.push_to_hub("someone/cooking", token="hf_right", private=False, about={"license": "mit"})
    assert address.endswith(SHA)
    assert b'license: "mit"' in server.repositories["someone/cooking"]["README.md"]


def front_of(text):
    begin, front, rest = text.split("---\n", 2)
    assert begin == ""
    return yaml.safe_load(front), rest


def test_the_card_says_what_is_known():
    front, rest = front_of(card(CONFIG, ABOUT, "someone/cooking"))
    assert front["library_name"] == "tellvision"
    assert front["license"] == "apache-2.0"
    (entry,) = front["model-index"]
    assert entry["name"] == "someone/cooking"
    (result,) = entry["results"]
    assert result["dataset"]["name"] == "1,000 clips of 55 videos, kept out of training"
    assert result["metrics"] == [
        {"type": "R@1", "value": 0.1235}, {"type": "R@5", "value": 0.3}, {"type": "R@10", "value": 0.5},
        {"type": "MedR", "value": 11.0},
    ]  # fmt: skip
    for line in (
        "# someone/cooking",
        "- trained on: 167 videos, 12,345 clips",
        "- what is seen: image (5 numbers, 1 per second)",
        "## Recipe: laptop",
        r"| pairs\_per\_video | 64 |",
        r"| clip\_gradient | null |",
        "| | R@1 | R@5 | R@10 | MedR |",
        "| learned | 0.1235 | 0.3 | 0.5 | 11 |",
        "| chance | 0.001 | 0.005 | 0.01 | 500.5 |",
        "| shuffled | 0.002 | 0.004 | 0.012 | 498 |",
        'model = tellvision.load("someone/cooking", words="GoogleNews-vectors-negative300.bin")',
    ):
        assert line in rest.splitlines()


def test_the_card_invents_nothing():
    front, rest = front_of(card(CONFIG, {}))
    assert front.keys() == {"library_name", "tags"}
    for word in ("trained on", "Recipe", "Figures", "None", "null"):
        assert word not in rest
    half = {"retrieval": {"chance": {"R@1": float("nan")}, "clips": True}, "num_videos": "many", "train": []}
    assert card(CONFIG, half) == card(CONFIG, {})
    front, rest = front_of(card(CONFIG, {"retrieval": {"text_to_video": {"R@1": 0.5}}}))
    assert "| learned | 0.5 |" in rest
    assert "chance |" not in rest


def test_where_an_encoder_lay_is_not_told():
    text = TextConfig(tokens="sentence", encoder="/home/someone/models/tiny_bert", pool="mean")
    told = card(dataclasses.replace(CONFIG, text=text), {})
    assert "/home" not in told
    assert r"the sentence encoder tiny\_bert, which" in told
    text = dataclasses.replace(text, encoder="someone/bert")
    assert "encoder someone/bert, which" in card(dataclasses.replace(CONFIG, text=text), {})


ODD = st.text() | st.sampled_from(
    ["a\n---\nb", "`x`", "| y |", "<script>", '"', "\\", "# z", "\x85\u2028", "- 1: {"]
)


@settings(max_examples=150, deadline=None)
@given(
    title=ODD, licence=ODD, recipe=ODD, track=ODD, key=ODD, value=ODD | st.floats() | st.none() | st.lists(ODD),
    recall=st.floats() | st.integers() | ODD,
)  # fmt: skip
def test_whatever_users_call_things_the_card_stays_whole(title, licence, recipe, track, key, value, recall):
    config = dataclasses.replace(CONFIG, tracks=(Track(name=track, fps=1.0, dim=5),))
    about = {"title": title, "license": licence, "recipe": recipe, "train": {key: value}, "num_videos": 3}
    about["retrieval"] = {"text_to_video": {"R@1": recall}, "clips": 7}
    told = card(config, about, None)
    told.encode()
    front, rest = front_of(told)
    assert front["library_name"] == "tellvision"
    assert set(front) <= {"library_name", "tags", "license", "model-index"}
    assert all(isinstance(front[name], str) for name in ("license",) if name in front)
    for entry in front.get("model-index", ()):
        assert isinstance(entry["name"], str)
        assert isinstance(entry["results"][0]["metrics"][0]["value"], float)
    lines = rest.splitlines()
    titles = [line.partition(":")[0] for line in lines if line.startswith("#")][1:]
    known = ["## Data", "## Recipe", *(["## Figures"] if "model-index" in front else []), "## Use", "## Limits"]
    assert titles == known
    assert sum(line.startswith("```") for line in lines) == 2
    # Every row of a table has the cells of its head: no name ends one.
    rows = [re.sub(r"\\.", "", line) for line in lines if line.startswith("|")]
    heads = [i for i, row in enumerate(rows) if row in ("|---|---|",)]
    assert heads
    assert all(row.count("|") == 3 for row in rows)
    assert "<" not in re.sub(r"\\.", "", rest)


def test_a_name_as_markdown(model, tmp_path):
    save(model, tmp_path, ABOUT | {"title": "My *best* <b>model</b>\n# no"})
    told = card(model.config, read_config(tmp_path)["extra"])
    assert r"# My \*best\* \<b\>model\</b\> \# no" in told
