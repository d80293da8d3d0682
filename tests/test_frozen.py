"""Frozen pairs: the texts of a released model against the pictures of the same, and an index that holds them."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import released
import tellvision as package
from corpus import TEXTS, film, lines, vtt
from tellvision.embedding import checkpoint
from tellvision.embedding.config import Track
from tellvision.embedding.frozen import FrozenPair, is_backbone
from tellvision.media import Frames
from tellvision.records import InputError
from tellvision.search.index import Index, build
from tellvision.search.ranking import load_model, search
from tellvision.vision.extractors import find

ASKED = [*TEXTS, "A Photo of TWO dogs, don't move!", "word " * 200, "漢字 ünïcode 🍳", "\ud800 lone", "x"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    families = ("clip", "siglip", "siglip2", "dinov2")
    return {family: released.folder(tmp_path_factory.mktemp(family), family) for family in families}


@pytest.fixture(scope="module")
def pair(folders):
    return package.load(f"clip:{folders['clip']}")


@pytest.fixture
def folder(folders, tmp_path):
    """A CLIP folder that a test may spoil."""
    return shutil.copytree(folders["clip"], tmp_path / "clip")


class TestTexts:
    def test_clip_reads_as_the_library_does(self, folders, pair):
        import transformers

        texts = [text for text in ASKED if text.isprintable()]  # the library raises for a lone surrogate
        whole = transformers.CLIPModel.from_pretrained(folders["clip"]).eval()
        tokenizer = transformers.CLIPTokenizer.from_pretrained(folders["clip"])
        asked = tokenizer(texts, padding=True, truncation=True, max_length=77, return_tensors="pt")
        with torch.no_grad():
            expected = whole.get_text_features(**asked).pooler_output
        expected = torch.nn.functional.normalize(expected, dim=1).numpy()
        np.testing.assert_allclose(pair.encode_text(texts), expected, rtol=1e-4, atol=1e-5)

    def test_clip_s_ids(self, pair):
        ids = pair._tower._loaded[0].ids(ASKED)
        assert ids.shape == (len(ASKED), 77)
        begin, end = released.PIECES - 2, released.PIECES - 1
        assert (ids[:, 0] == begin).all()
        assert ids[ASKED.index("word " * 200), -1] == end  # cut off before it
        assert [row.tolist().index(end) for row in ids] == [int((row != end).sum()) for row in ids]

    @pytest.mark.parametrize(
        ("family", "said"),
        [
            ("siglip", "a photo of two dogs dont move"),  # small letters, no punctuation
            ("siglip2", "a photo of two dogs, don't move!"),  # small letters
        ],
    )
    def test_siglip_reads_64_places_always(self, folders, family, said):
        import transformers

        pair = package.load(f"{family}:{folders[family]}")
        tower = pair._tower
        tokenizer = tower._loaded[0].tokenizer
        pieces = tokenizer.encode(said, add_special_tokens=False).ids
        end, fill = (tokenizer.token_to_id(name) for name in tower_tokens(family))
        long = tokenizer.encode("word " * 200, add_special_tokens=False).ids
        expected = np.array([pieces + [end] + [fill] * (63 - len(pieces)), [*long[:63], end]])
        texts = ["A Photo of TWO dogs, don't move!", "Word " * 200]
        assert (tower._loaded[0].ids(texts) == expected).all()
        whole = transformers.SiglipModel.from_pretrained(folders[family]).eval()
        with torch.no_grad():
            vectors = whole.get_text_features(torch.from_numpy(expected)).pooler_output
        vectors = torch.nn.functional.normalize(vectors, dim=1).numpy()
        np.testing.assert_allclose(pair.encode_text(texts), vectors, rtol=1e-4, atol=1e-5)

    def test_shapes_lengths_and_order(self, pair):
        vectors = pair.encode_text(ASKED)
        assert vectors.shape == (len(ASKED), 24)
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
        alone = np.concatenate([pair.encode_text([text]) for text in ASKED])
        np.testing.assert_allclose(vectors, alone, atol=1e-5)  # filled up beside longer ones or not
        many = pair.encode_text(ASKED * 20)  # more than go through together
        np.testing.assert_allclose(many, np.tile(vectors, (20, 1)), atol=1e-5)
        assert pair.encode_text([]).shape == (0, 24)

    def test_what_cannot_be_asked(self, pair):
        with pytest.raises(ValueError, match="a list of texts"):
            pair.encode_text("eggs")
        with pytest.raises(ValueError, match="text 1 has no word"):
            pair.encode_text(["eggs", " \n"])

    @given(st.lists(st.text(max_size=30), min_size=1, max_size=3))
    @settings(max_examples=25, deadline=None)
    def test_any_text_is_a_vector_or_one_error(self, pair, texts):
        if all(text.strip() for text in texts):
            np.testing.assert_allclose(np.linalg.norm(pair.encode_text(texts), axis=1), 1, atol=1e-5)
        else:
            with pytest.raises(ValueError, match="no word"):
                pair.encode_text(texts)


class TestPairs:
    def test_what_it_says_of_itself(self, folders, pair):
        name = f"clip:{folders['clip']}"
        assert isinstance(pair, FrozenPair)
        assert pair.features == (Track(name=name, fps=1.0, dim=24),)
        assert pair.weights == find(name).weights
        assert is_backbone(name)
        assert is_backbone("clip")
        assert not is_backbone("owner/name")
        assert not is_backbone(str(folders["clip"]))

    def test_clips(self, pair):
        rows = np.random.default_rng(0).normal(size=(5, 24)).astype(np.float16)
        expected = rows.astype(np.float32)
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
        found = pair.embed_clips(rows)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=1e-6)
        tensor = pair.embed_clips(torch.from_numpy(rows))
        assert isinstance(tensor, torch.Tensor)
        np.testing.assert_allclose(tensor.numpy(), expected, atol=1e-6)
        assert (pair.embed_clips(np.zeros((1, 24))) == 0).all()
        assert pair.embed_clips(np.zeros((0, 24))).shape == (0, 24)

    def test_steps_are_pooled_first(self, pair):
        steps = np.random.default_rng(1).normal(size=(2, 3, 24)).astype(np.float32)
        np.testing.assert_allclose(pair.embed_clips(steps), pair.embed_clips(steps.max(axis=1)), atol=1e-6)
        counts = np.array([[True, True, False], [False, False, True]])
        expected = np.stack([steps[0, :2].max(axis=0), steps[1, 2]])
        np.testing.assert_allclose(pair.embed_clips(steps, counts), pair.embed_clips(expected), atol=1e-6)

    @pytest.mark.parametrize(
        ("rows", "mask", "said"),
        [
            (np.zeros((2, 23)), None, r"\(n, 24\)"),
            (np.zeros(24), None, r"\(n, 24\)"),
            (np.zeros((2, 24)), np.ones((2, 1), bool), "mask"),
            (np.zeros((2, 3, 24)), np.ones((2, 4), bool), "mask"),
            (np.zeros((2, 3, 24)), np.array([[True] * 3, [False] * 3]), "clip 1 has no step"),
            (np.zeros((2, 0, 24)), None, "clip 0 has no step"),
            (np.array([[0.0] * 24, [np.nan] * 24]), None, "clip 1 holds NaN"),
            (np.array([[np.inf] * 24]), None, "clip 0 holds NaN or infinity"),
        ],
    )
    def test_rows_of_nonsense(self, pair, rows, mask, said):
        with pytest.raises(ValueError, match=said):
            pair.embed_clips(rows, mask)

    def test_one_that_does_not_read(self, folders):
        with pytest.raises(InputError, match="sees but does not read"):
            package.load(f"dinov2:{folders['dinov2']}")
        with pytest.raises(InputError, match="sees but does not read"):
            package.load("efficientnet-lite0")

    def test_no_such_folder(self, tmp_path):
        with pytest.raises(InputError, match="no folder"):
            package.load(f"clip:{tmp_path / 'nothing'}")

    def test_a_checkpoint_in_a_folder_of_that_name_comes_first(self, pair, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        checkpoint.save(pair, tmp_path / "clip")
        assert package.load("clip").place == pair.place


class TestBrokenTokenizers:
    @pytest.mark.parametrize("text", [None, "", "{}", '{"version": "1.0"}', "\x00"])
    def test_a_damaged_one(self, folder, text):
        (folder / "tokenizer.json").unlink()
        if text is not None:
            (folder / "tokenizer.json").write_text(text)
        pair = package.load(f"clip:{folder}")  # pictures can do without
        with pytest.raises(InputError, match=r"tokenizer\.json"):
            pair.encode_text(["eggs"])

    def test_that_of_another_model(self, folders, folder):
        shutil.copy(folders["siglip2"] / "tokenizer.json", folder)
        with pytest.raises(InputError, match=r"no token <\|startoftext\|>"):
            package.load(f"clip:{folder}").encode_text(["eggs"])

    def test_more_pieces_than_the_tower_knows(self, folder):
        made = json.loads((folder / "tokenizer.json").read_text())
        made["model"]["vocab"]["x</w>"] = 100_000
        (folder / "tokenizer.json").write_text(json.dumps(made))
        with pytest.raises(InputError, match="more pieces"):
            package.load(f"clip:{folder}").encode_text(["x"])


class TestReferences:
    def test_saved_and_read(self, pair, tmp_path):
        checkpoint.save(pair, tmp_path, {"made": "here"})
        assert [path.name for path in tmp_path.iterdir()] == ["config.json"]  # no copy of gigabytes
        again = package.load(tmp_path)
        assert (again.name, again.place, again.weights) == (pair.name, pair.place, pair.weights)
        assert checkpoint.weights_hash(tmp_path) == pair.weights
        assert checkpoint.read_config(tmp_path)["extra"] == {"made": "here"}
        assert (again.encode_text(TEXTS) == pair.encode_text(TEXTS)).all()

    def test_a_folder_is_found_from_everywhere(self, folder, tmp_path, monkeypatch):
        monkeypatch.chdir(folder.parent)
        pair = package.load("clip:clip")
        assert pair.features[0].name == "clip:clip"  # as the features were made
        checkpoint.save(pair, tmp_path / "saved")
        monkeypatch.chdir("/")
        assert package.load(tmp_path / "saved").encode_text(["eggs"]).shape == (1, 24)

    def test_other_weights_are_refused(self, folder, tmp_path):
        checkpoint.save(package.load(f"clip:{folder}"), tmp_path / "saved")
        path = folder / "model.safetensors"
        stored = {name: value + 1 for name, value in safetensors.torch.load_file(path).items()}
        safetensors.torch.save_file(stored, path)
        with pytest.raises(InputError, match="others than when"):
            package.load(tmp_path / "saved")
        shutil.rmtree(folder)
        with pytest.raises(InputError, match="no folder"):
            package.load(tmp_path / "saved")

    def test_an_index_holds_one(self, folder, tmp_path):
        pair, place = package.load(f"clip:{folder}"), tmp_path / "index"
        said = ["crack two eggs", "fold the paper"]
        clips = pa.table(
            {
                "clip_id": ["a", "b"],
                "video_id": ["v", "v"],
                "start": [0.0, 5.0],
                "end": [5.0, 9.0],
                "text": ["", ""],
            }
        )
        build(
            place,
            clips=clips,
            videos=pa.table({"id": ["v"], "title": ["V"], "path": ["/films/v.mp4"], "duration": [9.0]}),
            vectors=pair.embed_clips(pair.encode_text(said)),  # pictures of just what is said of them
            search_by="picture",
            why="",
            model=pair,
            comparison={},
            inputs={},
        )
        index = Index.open(place)
        assert index.model == pair.weights
        model = load_model(index)
        assert [hit.start for hit in search(index, model, said[1], 2)] == [5.0, 0.0]
        assert search(index, model, said[0], 1)[0].score == pytest.approx(1, abs=1e-4)
        shutil.rmtree(folder)
        with pytest.raises(InputError, match="again"):
            load_model(index)

    @pytest.mark.parametrize(
        "frozen",
        [
            None,
            [],
            {},
            {"name": "clip", "place": "clip"},
            {"name": "clip", "place": "no-such:x", "weights": "0"},
            {"name": "clip", "place": "efficientnet-lite0", "weights": "0"},
        ],
    )
    def test_a_damaged_reference(self, tmp_path, frozen):
        about = {"schema": 1, "model": None, "stop_words": None, "extra": {}, "frozen": frozen}
        (tmp_path / "config.json").write_text(json.dumps(about))
        with pytest.raises(InputError):
            package.load(tmp_path)


def tower_tokens(family):
    return ("</s>", "</s>") if family == "siglip" else ("<eos>", "<pad>")


def slow_row(videos, name, clip):
    """A clip's vector frame by frame: steps of unit length in half precision, their maximum, of unit length."""
    extractor = find(name)
    (clip,) = clip.to_pylist()
    frames = Frames(videos / f"{clip['video_id']}.mp4", [extractor.view])
    pictures = [picture for i, (_, picture) in enumerate(frames) if int(clip["start"]) <= i <= int(clip["end"])]
    with torch.inference_mode():
        steps = extractor.network()(torch.from_numpy(np.stack(pictures))[:, None])
    row = torch.nn.functional.normalize(steps, dim=1).half().float().amax(dim=0)
    return torch.nn.functional.normalize(row, dim=0).numpy()


@pytest.mark.slow
def test_from_films_to_hits(folders, tmp_path, tellvision):
    """features -> pairs -> index -> search -> evaluate, with both towers of one folder."""
    name = f"clip:{folders['clip']}"
    videos, work = tmp_path / "videos", tmp_path / "work"
    truth = []
    for number in range(2):
        told = TEXTS[number * 3 : number * 3 + 3]
        film(videos / f"{number}.mp4", told)
        (videos / f"{number}.vtt").write_text(vtt(lines(told)))
        segments = [{"step": text, "start": i * 4.0, "end": i * 4.0 + 4} for i, text in enumerate(told)]
        truth.append({"id": str(number), "segments": segments, "lines": []})
    (tmp_path / "held_out.txt").write_text("0\n1\n")
    (tmp_path / "truth.jsonl").write_text("\n".join(map(json.dumps, truth)))
    status, _, told = tellvision(
        "run",
        videos,
        "--out",
        work,
        "--features.backbone",
        name,
        "--model",
        name,
        "--held-out",
        tmp_path / "held_out.txt",
        "--workers",
        1,
    )
    assert status == 0, told
    assert sorted(path.name for path in (work / "index/main/model").iterdir()) == ["config.json"]
    index = Index.open(work / "index/main")
    assert index.model == find(name).weights
    model = load_model(index)
    np.testing.assert_allclose(
        index.vectors[0], slow_row(videos, name, index.clips.slice(0, 1)), atol=1e-2
    )  # bfloat16
    query = model.encode_text(["whisk the butter"])[0]
    np.testing.assert_allclose(index.picture(query), index.vectors @ query, atol=1e-6)

    status, out, _ = tellvision("search", work, "whisk the butter with sugar", "--json")
    hits = [json.loads(line) for line in out.splitlines()]
    assert status == 0
    assert hits
    assert {"video_id", "start", "end", "score", "text"} <= hits[0].keys()

    status, out, told = tellvision(
        "evaluate", "segments", "--work", work, "--truth", tmp_path / "truth.jsonl", "--model", name, "--json"
    )
    assert status == 0, told
    measured = json.loads(out)["results"][0]
    assert measured["candidates"] == 6
    assert measured["coverage"] > 0.5

    status, _, told = tellvision("index", work, "--model", name)  # nothing is left to do
    assert status == 0, told
    status, _, told = tellvision("index", work, "--model", f"siglip:{folders['siglip']}")
    assert status != 0
    assert "extract those first" in told
