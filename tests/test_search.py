"""Index, ranking and the choice of what to search by: hand-worked scores, swaps, any question."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tellvision.embedding import checkpoint
from tellvision.embedding.config import ModelConfig, TextConfig, Track
from tellvision.embedding.model import TextVideoModel
from tellvision.embedding.words import read_words
from tellvision.records import InputError
from tellvision.search import Index, build, choice, compare, load_model, search
from tellvision.search.narration import Narration, spoken_words, terms
from tellvision.search.ranking import best, fuse
from tellvision.store import read_manifest

SAID = [
    "crack two eggs into the bowl",
    "now we whisk the eggs with salt",
    "sand the wooden board",
    "paint the board white",
    "thanks for watching",
]


class Words:
    """A model of five words: each is an axis."""

    known = ("eggs", "whisk", "sand", "paint", "thanks")

    def encode_text(self, texts):
        rows = np.array([[float(word in text.split()) for word in self.known] for text in texts], np.float32)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        if not lengths.all():
            raise ValueError(f"text {int(np.argmin(lengths))} has no known word")
        return rows / lengths


def small_model(seed=0, dim=5):
    """A real model, small enough to be saved with every index."""
    config = ModelConfig(
        tracks=(Track(name="image", fps=1.0, dim=3),), dim=dim, word_dim=2, text=TextConfig(tokens="words")
    )
    return TextVideoModel.new(config, seed=seed, words=read_words({"egg": [1.0, 0.0]}))


def clips_of(rows):
    """Clips from (video, start, end, text)."""
    names = ["video_id", "start", "end", "text"]
    table = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    return pa.table(
        {"clip_id": [f"c{i}" for i in range(len(rows))], **table},
        schema=pa.schema(
            {"clip_id": pa.string(), "video_id": pa.string(), "start": pa.float64(), "end": pa.float64(),
             "text": pa.string()}
        ),
    )  # fmt: skip


def videos_of(paths):
    """Videos from {id: path}, with a column more than is needed."""
    return pa.table(
        {
            "id": pa.array(list(paths), pa.string()),
            "path": pa.array([str(path) for path in paths.values()], pa.string()),
            "title": pa.array([f"About {name}" for name in paths], pa.string()),
            "duration": pa.array([60.0] * len(paths), pa.float64()),
            "status": ["done"] * len(paths),
        }
    )


def built(folder, clips, vectors=None, by="speech", **more):
    paths = dict.fromkeys(clips["video_id"].to_pylist(), "/films/a.mp4")
    given_ = {
        "videos": videos_of(paths),
        "why": "Because.",
        "model": None if vectors is None else small_model(),
        "comparison": {"questions": 0},
        "inputs": {"clips/main": "abc"},
    }
    build(folder, clips=clips, vectors=vectors, search_by=by, **(given_ | more))
    return Index.open(folder)


@pytest.fixture
def kitchen(tmp_path):
    """Two videos, five clips whose pictures are the axes of `Words`."""
    spans = [("cook", 0, 5), ("cook", 10, 15), ("wood", 0, 5), ("wood", 20, 25), ("wood", 40, 45)]
    clips = clips_of([(*span, text) for span, text in zip(spans, SAID, strict=True)])
    return built(tmp_path / "index" / "main", clips, np.eye(5, dtype=np.float32), by="fused")


# What is said


def test_questions_and_narration_meet_in_their_stems():
    assert terms("Cracking the EGGS, crack!") == ["crack", "egg"]
    assert terms("to be or not to be") == ["to", "be", "or", "not"]  # nothing but stop words: they count
    assert terms("crème brûlée") == terms("creme brulee")
    assert terms("?!\x00 \U0001f373") == []


def test_words_that_answer_are_found_as_written():
    assert spoken_words("cracking an egg", "Eggs: crack the EGGS, an egg") == ["Eggs", "crack", "EGGS", "egg"]


def test_bm25_by_hand():
    # n = 2 texts of 2 and 1 words; "egg" is in both, "bowl" in one.
    rows, scores = Narration.build(["egg bowl", "egg"]).search("egg bowl", 10)
    assert rows.tolist() == [0, 1]

    def bm25(frequency, length, holding):
        weight = np.log(1 + (2 - holding + 0.5) / (holding + 0.5))
        return weight * frequency * 2.2 / (frequency + 1.2 * (0.25 + 0.75 * length / 1.5))

    assert scores == pytest.approx([bm25(1, 2, 2) + bm25(1, 2, 1), bm25(1, 1, 2)], rel=1e-5)


def test_ties_come_in_order_and_the_limit_holds():
    narration = Narration.build(["egg"] * 7)
    assert narration.search("eggs", 3)[0].tolist() == [0, 1, 2]
    assert narration.search("spoon", 3)[0].tolist() == []
    assert Narration.build([]).search("egg", 3)[0].tolist() == []


@pytest.mark.parametrize(
    "question",
    ['"', "eggs:", "-eggs +bowl", "text:eggs", "a AND OR NOT b", "[a TO b}", "IN [", "\\", "(((", "e*?~^2"],
)
def test_query_syntax_means_nothing(question):
    rows, _ = Narration.build(SAID).search(question, 5)
    assert (0 in rows) == ("eggs" in question)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60))
def test_any_question_is_safe(question):
    rows, scores = Narration.build(SAID).search(question, 5)
    assert len(rows) == len(scores) <= 5
    assert set(spoken_words(question, SAID[0])) <= set(SAID[0].split())


def test_threads_share_a_narration():
    narration = Narration.build(SAID * 100)
    wrong = []

    def ask():
        wrong.extend(i for i in range(200) if len(narration.search("whisk eggs", 50)[0]) != 50)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# The index folder


def test_what_is_built_is_read_again(kitchen):
    assert kitchen.clips["text"].to_pylist() == SAID
    assert (kitchen.search_by, kitchen.why) == ("fused", "Because.")
    assert kitchen.model == hashlib.sha256((kitchen.folder / "model/model.safetensors").read_bytes()).hexdigest()
    assert kitchen.videos["wood"].title == "About wood"
    assert kitchen.videos["wood"].path == Path("/films/a.mp4")
    assert isinstance(kitchen.vectors, np.memmap)
    manifest = read_manifest(kitchen.folder)
    assert manifest["counts"] == {"clips": 5, "videos": 2}
    assert manifest["inputs"] == {"clips/main": "abc"}
    assert {path.name for path in kitchen.folder.iterdir()} == {
        "clips.parquet", "videos.parquet", "vectors.npy", "model", "text", "manifest.json"
    }  # fmt: skip


def test_same_input_same_manifest(tmp_path):
    clips, vectors = clips_of([("v", 0, 5, "egg")]), np.eye(1, 5, dtype=np.float32)
    one, two = (built(tmp_path / name / "main", clips, vectors) for name in "ab")
    assert read_manifest(one.folder)["hash"] == read_manifest(two.folder)["hash"]


def test_no_clips_is_an_index_that_finds_nothing(tmp_path):
    index = built(tmp_path / "main", clips_of([]), np.empty((0, 5), np.float32), by="fused")
    assert search(index, Words(), "eggs", 3) == []


def test_videos_without_a_clip_are_not_listed(tmp_path):
    videos = videos_of({"v": "v.mp4", "secret": "/etc/passwd"})
    index = built(tmp_path / "main", clips_of([("v", 0, 5, "egg")]), videos=videos)
    assert list(index.videos) == ["v"]
    assert index.videos["v"].path == Path("v.mp4").absolute()


def test_a_reader_keeps_what_it_opened(kitchen):
    built(kitchen.folder, clips_of([("new", 0, 5, "grind the coffee")]))
    assert kitchen.speech("eggs", 5)[0].tolist() == [1, 0] or kitchen.speech("eggs", 5)[0].tolist() == [0, 1]
    assert kitchen.picture(np.eye(5)[2]).tolist() == [0, 0, 1, 0, 0]
    fresh = Index.open(kitchen.folder)
    assert fresh.speech("coffee", 5)[0].tolist() == [0]
    assert fresh.vectors is None
    assert [path.name for path in kitchen.folder.parent.iterdir()] == ["main"]


@pytest.mark.parametrize("moment", ["first rename", "second rename", "clearing away"])
def test_a_killed_build_leaves_one_whole_index(kitchen, moment):
    script = f"""
import os, pathlib, shutil, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import test_search as t
calls = 0
def dying(self, target, rename=pathlib.Path.rename):
    global calls
    calls += self.name in ("main", ".main.new")
    if calls == {1 if moment == "first rename" else 2} and {moment != "clearing away"}:
        os._exit(9)
    return rename(self, target)
pathlib.Path.rename = dying
if {moment == "clearing away"}:
    shutil.rmtree = lambda *a, **k: os._exit(9)
t.built(pathlib.Path({str(kitchen.folder)!r}), t.clips_of([("new", 0, 5, "grind the coffee")]))
"""
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", script], env=env, check=False).returncode == 9
    survivor = Index.open(kitchen.folder)
    assert survivor.clips.num_rows == (1 if moment == "clearing away" else 5)
    built(kitchen.folder, clips_of([("new", 0, 5, "grind"), ("new", 9, 12, "brew")]))
    assert Index.open(kitchen.folder).clips.num_rows == 2
    assert [path.name for path in kitchen.folder.parent.iterdir()] == ["main"]


def test_what_does_not_fit_is_refused(tmp_path):
    clips, eye = clips_of([("v", 0, 5, "egg")]), np.eye(2, dtype=np.float32)
    for wrong, match in [
        ({"vectors": eye}, "1 clips need as many"),
        ({"vectors": 2 * eye[:1]}, "not of unit length, the first is clip 0"),
        ({"vectors": eye[:1] * np.nan}, "not of unit length"),
        ({"by": "fused"}, "needs vectors"),
        ({"vectors": eye[:1], "model": None}, "go together"),
        ({"model": small_model()}, "go together"),
        ({"by": "smell"}, "'smell', allowed are speech"),
        ({"videos": videos_of({"other": "o.mp4"})}, r"not listed: \['v'\]"),
    ]:
        with pytest.raises(ValueError, match=match):
            built(tmp_path / "main", clips, **wrong)
    assert not (tmp_path / "main").exists()
    with pytest.raises(InputError, match="not finished"):
        Index.open(tmp_path / "main")


DAMAGE = [
    *(
        (name, harm)
        for name in ("clips.parquet", "videos.parquet", "vectors.npy", "text")
        for harm in ("gone", "cut")
    ),
    ("vectors.npy", "empty"),
    ("vectors.npy", "short"),
    ("text", "short"),
    ("clips.parquet", "column"),
    ("manifest.json", "entry"),
]


@pytest.mark.parametrize(("name", "harm"), DAMAGE)
def test_a_damaged_index_says_what_to_do(kitchen, name, harm):
    path = kitchen.folder / name
    parts = [part for part in path.iterdir() if not part.name.endswith(".lock")] if path.is_dir() else [path]
    if harm == "gone":
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    elif harm == "cut":
        for part in parts:
            part.write_bytes(part.read_bytes()[: part.stat().st_size // 2])
    elif harm == "empty":
        path.write_bytes(b"")
    elif harm == "column":
        pq.write_table(kitchen.clips.drop_columns(["text"]), path)
    elif harm == "entry":
        manifest = json.loads(path.read_text())
        del manifest["config"]["why"]
        path.write_text(json.dumps(manifest))
    elif name == "text":
        shutil.rmtree(path)
        Narration.build(SAID[:2], path)
    else:
        np.save(path, np.eye(3, 5, dtype=np.float32))
    with pytest.raises(InputError, match=r"main is damaged \(.+\): run `tellvision index WORK` again") as caught:
        Index.open(kitchen.folder)
    assert "\n" not in str(caught.value)


def test_every_part_of_the_full_text_index_is_missed(kitchen):
    parts = [path for path in (kitchen.folder / "text").iterdir() if not path.name.startswith(".")]
    assert len(parts) >= 6
    for part in parts:
        content = part.read_bytes()
        part.unlink()
        with pytest.raises(InputError, match="main is damaged"):
            search(Index.open(kitchen.folder), None, "eggs", 5, "speech")
        part.write_bytes(content)
    assert search(Index.open(kitchen.folder), None, "eggs", 5, "speech")


def test_an_index_swapped_in_while_another_is_opened(kitchen, monkeypatch):
    read_table, swaps = pq.read_table, []

    def swapping(path, **more):
        if not swaps:
            swaps.append(path)
            built(kitchen.folder, clips_of([("new", 0, 5, "grind the coffee")]))
        return read_table(path, **more)

    monkeypatch.setattr(pq, "read_table", swapping)
    index = Index.open(kitchen.folder)  # not the old manifest with the new clips
    assert (index.search_by, index.clips.num_rows, index.vectors) == ("speech", 1, None)
    assert not index.is_replaced()
    assert kitchen.is_replaced()


# Ranking


def test_fusion_by_hand():
    # Row 4 is 1st and 2nd, row 7 is 2nd only, rows 1 and 2 share the 1st rank of the second list.
    rows, scores = fuse((np.array([4, 7]), np.array([9.0, 5.0])), (np.array([1, 2, 4]), np.array([0.5, 0.5, 0.1])))
    assert rows.tolist() == [4, 1, 2, 7]
    assert scores == pytest.approx([1 / 61 + 1 / 63, 1 / 61, 1 / 61, 1 / 62])
    nothing = np.array([], np.int64), np.array([])
    assert len(fuse(nothing, nothing)[0]) == 0


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-3, 3), max_size=30), st.integers(1, 40))
def test_best_equals_a_sort(values, depth):
    scores = np.array(values, np.float32)
    rows, found = best(scores, depth)
    assert found.tolist() == sorted(values, reverse=True)[:depth]
    assert scores[rows].tolist() == found.tolist()
    if depth >= len(values):  # equal scores in the order of the index
        assert rows.tolist() == sorted(range(len(values)), key=lambda row: (-values[row], row))


def test_each_way_of_searching(kitchen):
    said = search(kitchen, None, "white board", 5, "speech")
    assert [(hit.video_id, hit.start) for hit in said] == [("wood", 20), ("wood", 0)]
    assert said[0].score > said[1].score > 0
    seen = search(kitchen, Words(), "whisk eggs", 2, "picture")
    assert [hit.start for hit in seen] == [0, 10]
    assert [hit.score for hit in seen] == pytest.approx([0.5**0.5] * 2)
    both = search(kitchen, Words(), "whisk", 5)  # the index says fused
    assert both[0].text == SAID[1]
    assert both[0].score == pytest.approx(2 / 61)


def test_words_the_model_does_not_know(kitchen):
    with pytest.raises(InputError, match=r"no word of 'board'.*search by speech"):
        search(kitchen, Words(), "board", 5, "picture")
    hits = search(kitchen, Words(), "board", 5, "fused")
    assert {hit.text for hit in hits} == set(SAID[2:4])
    assert hits[0].score == pytest.approx(1 / 61)
    assert search(kitchen, Words(), "zzz", 5, "fused") == []


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((Words(), "  ", 5), "question is empty"),
        ((Words(), "eggs", 0), "k is 0"),
        ((Words(), "eggs", 5, "smell"), "'smell', allowed are speech"),
        ((None, "eggs", 5), "a model is needed"),
    ],
)
def test_what_cannot_be_asked(kitchen, arguments, match):
    with pytest.raises(InputError, match=match) as caught:
        search(kitchen, *arguments)
    assert "\n" not in str(caught.value)


def test_pictures_need_vectors_of_the_same_model(kitchen, tmp_path):
    speech = built(tmp_path / "other", clips_of([("v", 0, 5, "eggs")]))
    with pytest.raises(InputError, match="holds no pictures"):
        search(speech, Words(), "eggs", 5, "picture")
    with pytest.raises(InputError, match=r"gives 3 numbers.*holds 5"):
        kitchen.picture(np.ones(3))


def test_the_index_keeps_the_model_of_its_vectors(tmp_path):
    run = tmp_path / "runs" / "main"
    checkpoint.save(small_model(seed=1), run)
    clips, vectors = clips_of([("v", 0, 5, "egg")]), np.eye(1, 5, dtype=np.float32)
    index = built(
        tmp_path / "index" / "main", clips, vectors, model=checkpoint.load(run, words={"egg": [1.0, 0.0]})
    )
    checkpoint.save(small_model(seed=2), run)  # trained again: the old vectors go on with their own model
    rows = np.ones((2, 3), np.float32)
    found = load_model(Index.open(index.folder)).embed_clips(rows)
    assert (found == small_model(seed=1).embed_clips(rows)).all()
    assert (found != small_model(seed=2).embed_clips(rows)).any()
    assert load_model(built(tmp_path / "index" / "none", clips)) is None


@pytest.mark.parametrize("seed", [0, 1])
def test_an_index_built_again_is_opened_again(kitchen, seed):
    built(kitchen.folder, kitchen.clips, np.eye(5, dtype=np.float32), by="fused", model=small_model(seed))
    if seed == 0:  # the very same model: that one may still be used
        assert load_model(kitchen) is not None
    else:
        with pytest.raises(InputError, match="the index was built again: open it again"):
            load_model(kitchen)
    assert load_model(Index.open(kitchen.folder)) is not None
    shutil.rmtree(kitchen.folder)
    with pytest.raises(InputError, match="open it again"):
        load_model(kitchen)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "another"])
def test_an_index_whose_model_is_damaged(kitchen, name):
    if name == "another":
        checkpoint.save(small_model(seed=1), kitchen.folder / "model")
    else:
        (kitchen.folder / "model" / name).unlink()
    with pytest.raises(
        InputError, match=r"main is damaged \(its model .*\): run `tellvision index WORK`"
    ) as caught:
        load_model(kitchen)
    assert "\n" not in str(caught.value)


def test_overlapping_moments_are_told_once(tmp_path):
    spans = [(0, 10), (4, 14), (5, 15), (6, 6), (30, 40), (0, 10)]
    videos = ["v", "v", "v", "v", "v", "w"]
    clips = clips_of([(video, *span, "egg") for video, span in zip(videos, spans, strict=True)])
    hits = search(built(tmp_path / "main", clips), None, "egg", 10)
    # (4, 14) shares 6 of 10 s with the first and goes, (5, 15) shares exactly half and stays;
    # the moment at 6 s lies in one already told; another video is another moment.
    assert [(hit.video_id, hit.start) for hit in hits] == [("v", 0), ("v", 5), ("v", 30), ("w", 0)]


def test_many_overlaps_do_not_empty_the_answer(tmp_path):
    rows = [("v", 0, 10, "egg egg")] * 1500 + [("v", 60 * i, 60 * i + 5, "an egg") for i in range(1, 5)]
    hits = search(built(tmp_path / "main", clips_of(rows)), None, "egg", 4)
    assert [hit.start for hit in hits] == [0, 60, 120, 180]


# The choice


def narrated(num_videos, lines=12, seed=0):
    """Videos of lines of 6 s, a clip each; a line says its own word, its topic, and nothing of its neighbours."""
    captions = pa.table(
        {
            "video_id": [f"v{v:02d}" for v in range(num_videos) for _ in range(lines)],
            "number": list(range(lines)) * num_videos,
            "start": [10.0 * i for _ in range(num_videos) for i in range(lines)],
            "end": [10.0 * i + 6 for _ in range(num_videos) for i in range(lines)],
            "text": [f"topic{v} and word{v * lines + i} again" for v in range(num_videos) for i in range(lines)],
        }
    )
    return captions, captions.append_column("clip_id", captions["text"])


def oracle(num_clips, lines=12, dim=64, seed=0):
    """A model that knows each line, and its clips' vectors."""
    vectors = np.random.default_rng(seed).normal(size=(num_clips, dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)

    def encode(texts):
        return np.stack([vectors[int(text.split()[2].removeprefix("word"))] for text in texts])

    return encode, vectors


def test_questions_leave_the_narration():
    captions, clips = narrated(10)
    asked = choice.draw_questions(captions, clips)
    assert len(asked.texts) == 60  # every second line: every fifth would be too few
    assert asked.right[0] == [1]
    for text, video, right in zip(asked.texts, asked.videos, asked.right, strict=True):
        assert not any(text in told for told in asked.narration)
        assert [clips["video_id"][row].as_py() for row in right] == [video]
    # The first clip is [0, 6]: the line at [10, 16] was asked, what it says itself remains.
    assert asked.narration[0] == "topic0 and word0 again"
    # Clip 1, [10, 16]: its own line is gone, [0, 6] and [20, 26] are within ten seconds.
    assert asked.narration[1] == "topic0 and word0 again topic0 and word2 again"


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 40)), max_size=12),
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=6),
)
def test_reaching_equals_a_loop_over_all(lines, spans):
    begins, lengths = np.array(sorted(lines), np.float64).reshape(-1, 2).T
    ends = begins + lengths
    # Second number before the first too: that asks for what begins before a line and ends after it.
    firsts, lasts = np.array(spans, np.float64).reshape(-1, 2).T
    slow = [
        [i for i in range(len(begins)) if begins[i] <= last and ends[i] >= first]
        for first, last in zip(firsts, lasts, strict=True)
    ]
    assert [places.tolist() for places in choice.reaching(begins, ends, firsts, lasts)] == slow


def test_every_clip_that_holds_a_line_is_right():
    captions, _ = narrated(1, lines=4)
    clips = clips_of([("v00", 0, 30, ""), ("v00", 10, 16, ""), ("v00", 12, 30, ""), ("other", 0, 90, "")])
    asked = choice.draw_questions(captions, clips)
    assert asked.right == [[0, 1]]  # line 1; line 3 lies in no clip


def test_a_perfect_picture_is_chosen():
    captions, clips = narrated(10)
    result = compare(captions, clips, {choice.LEARNED: oracle(120)})
    assert (result["search_by"], result["model"]) == ("picture", "learned")
    assert (result["questions"], result["videos"], result["clips"]) == (60, 10, 120)
    systems = result["systems"]
    assert set(systems) == {"speech", "learned", "learned + speech", "learned shuffled", "chance"}
    assert systems["learned"]["R@1"] == systems["learned"]["MRR"] == 1
    assert systems["learned shuffled"]["R@10"] == pytest.approx(10 / 120, abs=0.05)
    assert systems["chance"]["R@10"] == pytest.approx(10 / 120)
    assert systems["speech"]["R@10"] < 1
    assert systems["speech"]["questions"] == 60
    assert "Searched by the learned picture: of 60 lines kept back from 10 videos" in result["why"]
    assert "found 100 % among the first ten" in result["why"]
    json.dumps(result)


def test_a_picture_of_noise_is_not_used():
    captions, clips = narrated(10)
    encode, _ = oracle(120)
    _, noise = oracle(120, seed=1)
    result = compare(captions, clips, {choice.LEARNED: (encode, noise), choice.GIVEN: oracle(120)})
    assert result["model"] == "given"
    assert "not clearly more than on shuffled clips; chance 8.3 %" in result["why"]
    alone = compare(captions, clips, {choice.LEARNED: (encode, noise)})
    assert (alone["search_by"], alone["model"]) == ("speech", None)


def test_a_picture_that_is_always_the_same_ranks_last():
    captions, clips = narrated(10)
    flat = np.zeros((120, 4), np.float32)
    flat[:, 0] = 1
    result = compare(captions, clips, {choice.LEARNED: (lambda texts: flat[: len(texts)], flat)})
    assert result["systems"]["learned"]["MedR"] == 120
    assert result["search_by"] == "speech"


def test_unknown_words_are_misses_of_the_picture_and_left_to_speech():
    captions, clips = narrated(10)
    encode, vectors = oracle(120)

    def forgetful(texts):
        if any("topic0 " in text for text in texts):
            raise ValueError("no known word")
        return encode(texts)

    systems = compare(captions, clips, {choice.GIVEN: (forgetful, vectors)})["systems"]
    assert systems["given"]["R@1"] == pytest.approx(54 / 60)  # six questions lie in the first video
    assert systems["given + speech"]["R@10"] >= systems["speech"]["R@10"]


def test_same_seed_same_figures():
    captions, clips = narrated(8)
    pictures = {choice.LEARNED: oracle(96)}
    assert compare(captions, clips, pictures) == compare(captions, clips, pictures)


@pytest.mark.parametrize(
    ("pictures", "search_by", "model"),
    [({}, "speech", None), ({"learned": 1}, "speech", None), ({"learned": 1, "given": 1}, "fused", "given")],
)
def test_too_few_to_compare(pictures, search_by, model):
    captions, clips = narrated(2)
    result = compare(captions, clips, {name: oracle(24) for name in pictures})
    assert (result["search_by"], result["model"], result["systems"]) == (search_by, model, {})
    assert "12 questions from 2 videos kept out of training are too few" in result["why"]
    empty = compare(captions[:0], clips[:0], {name: oracle(0) for name in pictures})
    assert empty["search_by"] == search_by


def test_without_a_picture_speech_is_measured_all_the_same():
    captions, clips = narrated(10)
    result = compare(captions, clips, {})
    assert result["search_by"] == "speech"
    assert set(result["systems"]) == {"speech", "chance"}
    assert result["systems"]["speech"]["R@10"] > result["systems"]["chance"]["R@10"]


def test_vectors_must_fit_the_clips():
    captions, clips = narrated(3)
    with pytest.raises(ValueError, match="learned: 5 vectors for 36 clips"):
        compare(captions, clips, {choice.LEARNED: oracle(5)})
