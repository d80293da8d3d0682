"""Held-out segments: ranks by hand, among all of them and among those of a question's own video."""

import json
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from tellvision.evaluation import segments
from tellvision.records import InputError

AXES = {"lift": 0, "press": 1, "pull": 2}


class Reader:
    """A model whose text vectors are axes."""

    features = ()

    def encode_text(self, texts):
        return np.eye(3, dtype=np.float32)[[AXES[text] for text in texts]]


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """What `evaluate` finds for videos told as {id: [(name, vector of its clip or None), ...]}, 10 s each."""

    def measure(told, *, said=(), seed=0):
        rows, vectors, lines = [], [], []
        for video, seen in told.items():
            found = []
            for place, (name, vector) in enumerate(seen):
                found.append({"step": name, "start": 10.0 * place, "end": 10.0 * place + 10})
                if vector is not None:
                    rows.append({"video_id": video, "start": 10.0 * place + 1, "end": 10.0 * place + 4})
                    vectors.append(vector)
            talk = [{"step": name, "text": text} for name, text in said]
            lines.append(json.dumps({"id": video, "segments": found, "lines": talk}))
        (tmp_path / "truth.jsonl").write_text("\n".join(lines))
        clips = pa.Table.from_pylist(rows), np.array(vectors, np.float32)
        seen = SimpleNamespace(
            pairs=SimpleNamespace(videos=list(told)), tracks=(), vectors=lambda _model, _videos: clips
        )
        monkeypatch.setattr(segments, "Seen", lambda _work, _name: seen)
        monkeypatch.setattr(segments, "read_held_out", lambda _run: set(told))
        monkeypatch.setattr(segments.checkpoint, "load", lambda _path: Reader())
        results = segments.evaluate(tmp_path, tmp_path / "truth.jsonl", seed=seed)
        return {result["protocol"]: result for result in results}

    return measure


HAND = {
    "a": [("lift", (1, 0, 0)), ("press", (0.9, 0.5, 0))],
    "b": [("press", (0, 1, 0.9)), ("pull", (0, 0.2, 0.8))],
    "c": [("pull", (0.5, 0, 0.7))],
}


def test_a_name_is_asked_among_the_segments_of_its_own_video(measured):
    # lift in a: 1 against .9; press in a: .5 against 0; press in b: 1 against .2; pull in b: .8
    # against .9, second. The single segment of c asks nothing.
    found = measured(HAND)["within"]
    assert (found["questions"], found["candidates"]) == (4, 2)
    assert found["metrics"]["R@1"] == pytest.approx(3 / 4)
    assert (found["metrics"]["R@5"], found["metrics"]["MedR"]) == (1.0, 1.0)
    assert found["chance"]["R@1"] == pytest.approx(1 / 2)
    low, high = found["metrics"]["interval"]["R@1"]
    assert 0 <= low <= 3 / 4 <= high <= 1


def test_among_all_of_them_the_best_right_one_counts(measured):
    # lift: 1, second best .9: first. press: right are .5 and 1, wrong 0, .2, 0: first. pull: right are .8 and .7,
    # wrong 0, 0, .9: second.
    found = measured(HAND)["names"]
    assert (found["questions"], found["candidates"]) == (3, 5)
    assert found["metrics"]["R@1"] == pytest.approx(2 / 3)
    assert found["metrics"]["R@5"] == 1.0
    assert found["chance"]["R@1"] == pytest.approx((1 / 5 + 2 / 5 + 2 / 5) / 3)
    assert found["coverage"] == 1.0


def test_all_protocols_have_the_same_keys(measured):
    found = measured({"a": HAND["a"]}, said=[("lift", "pull"), ("press", "press"), ("lift", " ")])
    assert list(found) == ["names", "instructions", "within"]
    assert found["instructions"]["questions"] == 1  # the line that says the name is none, nor is an empty one
    assert len({tuple(result) for result in found.values()}) == 1
    assert len({tuple(result["metrics"]) for result in found.values()}) == 1
    assert {tuple(result[key]) for result in found.values() for key in ("chance", "shuffled")} == {
        segments.REPORTED
    }


def test_a_name_that_stands_twice_in_a_video_has_two_right_segments(measured):
    found = measured({"a": [("lift", (0.2, 0, 0)), ("press", (0.5, 1, 0)), ("lift", (0.7, 0, 0))]})["within"]
    assert (found["questions"], found["candidates"]) == (2, 3)
    assert found["metrics"]["R@1"] == 1.0
    assert found["chance"]["R@1"] == pytest.approx((2 / 3 + 1 / 3) / 2)


def test_where_every_segment_has_one_name_nothing_is_asked_within(measured):
    assert "within" not in measured({"a": [("lift", (1, 0, 0)), ("lift", (1, 0, 0))], "b": [("press", (0, 1, 0))]})


def test_videos_of_different_lengths_tell_the_mean_of_their_candidates(measured):
    found = measured(HAND | {"d": [("lift", (1, 0, 0)), ("press", (0, 1, 0)), ("pull", (0, 0, 1))]})["within"]
    assert found["questions"] == 7
    assert found["candidates"] == pytest.approx((4 * 2 + 3 * 3) / 7)


def test_ties_and_segments_without_a_clip_count_against_the_model(measured):
    found = measured(
        {"a": [("lift", (1, 1, 0)), ("press", (1, 1, 0))], "b": [("lift", None), ("press", (0, 1, 0))]}
    )
    assert found["within"]["metrics"]["R@1"] == pytest.approx(1 / 4)
    assert found["within"]["coverage"] == pytest.approx(3 / 4)


def test_the_control_stands_near_chance_where_the_model_knows_everything(measured):
    told = {f"v{n}": [("lift", (1, 0, 0)), ("press", (0, 1, 0)), ("pull", (0, 0, 1))] for n in range(60)}
    found = measured(told)["within"]
    assert found["metrics"]["R@1"] == 1.0
    assert 0.2 < found["shuffled"]["R@1"] < 0.47  # each video is dealt anew: 180 questions around a third
    assert measured(told)["within"]["shuffled"] == found["shuffled"]


def test_the_table_says_among_how_many_and_gives_the_interval_of_the_first_place(measured):
    text = segments.table(list(measured(HAND).values()))
    assert "names: 3 questions, 5 candidates" in text
    assert "within: 4 questions, 2 candidates" in text
    assert "interval of R@10" in text
    assert "interval of R@1:" in text


def test_a_truth_of_other_videos_is_refused(measured, tmp_path):
    measured(HAND)
    (tmp_path / "truth.jsonl").write_text(json.dumps({"id": "z", "segments": [], "lines": []}))
    with pytest.raises(InputError, match="none of its videos is held out"):
        segments.evaluate(tmp_path, tmp_path / "truth.jsonl")


@pytest.mark.parametrize("line", ["{", "[]", '{"id": "a"}', '{"id": "a", "segments": [{}], "lines": []}'])
def test_a_line_of_another_form_is_named(tmp_path, line):
    path = tmp_path / "truth.jsonl"
    path.write_text(f'{{"id": "a", "segments": [], "lines": []}}\n{line}\n')
    with pytest.raises(InputError, match="line 2"):
        segments.read_truth(path)
