"""Pairs: a row per clip beside what is said, written by video, read without holding the table."""

from itertools import chain

import numpy as np
import pyarrow as pa
import pytest

from tellvision.embedding.pairs import PAIRS, Pairs, PairWriter, join
from tellvision.records import InputError, Skip
from tellvision.store import ArrayReader, read_table, tables
from tellvision.vision.features import pool

DIM = 6
CLIPS = {"cook": 5, "wood": 1, "paint": 8, "a/b": 3, "grow": 2, "mute": 2}  # clips of each video


def clips_of(video, starts, ends):
    rows = [
        {"clip_id": f"{video}#{i}", "video_id": video, "start": s, "end": e, "text": f"{video} {i}", "words": 2}
        for i, (s, e) in enumerate(zip(starts, ends, strict=True))
    ]
    names = [*PAIRS, pa.field("words", pa.int32())]
    return pa.Table.from_pylist(rows, schema=pa.schema(names))


def track(seed, steps=60, dim=DIM):
    rows = np.random.default_rng(seed).standard_normal((steps, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)


def write(folder, counts=CLIPS, dim=DIM):
    writer = PairWriter(folder, dim)
    writer.open({})
    for seed, (video, count) in enumerate(counts.items()):
        starts = np.arange(count) * 5.0
        result = join(clips_of(video, starts, starts + 7.0), [(track(seed, dim=dim), 1.0)])
        writer.append(video, "f", result.output)
        writer.commit()
    writer.close(list(counts))
    writer.release()
    return Pairs(folder)


@pytest.fixture
def pairs(tmp_path):
    return write(tmp_path)


# Joining


def test_a_pair_is_the_pooled_track_beside_what_is_said():
    starts, ends = np.array([0.0, 4.0, 50.0]), np.array([5.0, 4.5, 99.0])
    tracks = [(track(1), 1.0), (track(2, steps=90, dim=4), 1.5)]
    result = join(clips_of("cook", starts, ends), tracks)
    assert result.dropped == {}
    assert result.output.clips.column_names == PAIRS.names
    assert result.output.rows.dtype == np.float16
    for i in range(3):
        expected = np.concatenate([pool(t, fps, starts[i], ends[i]) for t, fps in tracks])
        assert np.array_equal(result.output.rows[i], expected.astype(np.float16))


def test_a_clip_past_the_end_of_any_track_is_dropped_never_zeros():
    starts = np.array([0.0, 20.0, 40.0, 70.0])
    tracks = [(track(1, steps=60), 1.0), (track(2, steps=30), 1.0)]  # they end at 60 s and at 30 s
    result = join(clips_of("cook", starts, starts + 5), tracks)
    assert result.output.clips["clip_id"].to_pylist() == ["cook#0", "cook#1"]
    assert result.dropped == {"no_frames": 2}
    assert len(result.output.rows) == 2
    assert np.abs(result.output.rows).max(axis=1).min() > 0


def test_no_clip_left_is_a_skip():
    with pytest.raises(Skip, match="no_frames"):
        join(clips_of("cook", np.array([60.0]), np.array([65.0])), [(track(1, steps=60), 1.0)])


def test_other_rows_have_another_digest():
    clips = clips_of("cook", np.array([0.0]), np.array([5.0]))
    assert join(clips, [(track(1), 1.0)]).digest == join(clips, [(track(1), 1.0)]).digest
    assert join(clips, [(track(1), 1.0)]).digest != join(clips, [(track(2), 1.0)]).digest
    renamed = clips.set_column(clips.column_names.index("text"), "text", pa.array(["another text"]))
    assert join(clips, [(track(1), 1.0)]).digest != join(renamed, [(track(1), 1.0)]).digest


# On disk


def test_rows_and_clips_stand_side_by_side(tmp_path, pairs):
    assert pairs.videos == list(CLIPS)
    assert len(pairs) == sum(CLIPS.values())
    assert pairs.dim == DIM
    assert pairs.offsets.tolist() == np.cumsum([0, *CLIPS.values()]).tolist()
    reader = ArrayReader(tmp_path)
    whole = read_table(tmp_path)
    for video, first, end in zip(pairs.videos, pairs.offsets, pairs.offsets[1:], strict=False):
        assert whole["video_id"][first:end].to_pylist() == [video] * (end - first)
        assert np.array_equal(pairs.rows(video), reader[video])
    table, rows = pairs.select(["grow", "cook", "not there"])
    assert table["video_id"].to_pylist() == ["cook"] * 5 + ["grow"] * 2
    assert np.array_equal(rows, np.concatenate([reader["cook"], reader["grow"]]))
    assert table.column_names == whole.column_names == PAIRS.names
    assert table.equals(whole.take([0, 1, 2, 3, 4, 17, 18]))


def test_nothing_selected_is_an_empty_table(pairs):
    table, rows = pairs.select([])
    assert table.num_rows == 0
    assert rows.shape == (0, DIM)


def test_no_pairs_at_all_can_be_opened(tmp_path):
    empty = write(tmp_path, {})
    assert len(empty) == 0
    assert empty.videos == []
    assert empty.offsets.tolist() == [0]
    assert empty.select(["cook"])[1].shape == (0, DIM)


def test_the_content_names_clips_and_rows(tmp_path, pairs):
    assert Pairs(tmp_path).content == pairs.content
    assert write(tmp_path / "other", CLIPS | {"grow": 3}).content != pairs.content
    shuffled = {"wood": 1, "cook": 5} | CLIPS  # the same clips over other tracks
    assert write(tmp_path / "third", shuffled).content != pairs.content


def test_a_table_in_many_pieces_reads_the_same(tmp_path, monkeypatch):
    """A video goes on in the next piece, and in the next part of the file."""
    whole = write(tmp_path / "whole")
    monkeypatch.setattr(tables, "ROWS_AT_ONCE", 2)
    parts = write(tmp_path / "parts")
    assert parts.videos == whole.videos
    assert parts.offsets.tolist() == whole.offsets.tolist()
    assert parts.content == whole.content
    assert list(parts.texts(4)) == list(whole.texts(4))
    for given in (["grow", "cook"], CLIPS, ["paint"]):
        assert parts.select(given)[0].equals(whole.select(given)[0])
    assert parts.clip_ids([20, 0, 20]) == whole.clip_ids([20, 0, 20]) == ["mute#1", "cook#0", "mute#1"]


def test_texts_come_in_blocks_from_any_clip_on(tmp_path, pairs):
    said = read_table(tmp_path)["text"].to_pylist()
    blocks = list(pairs.texts(8))
    assert [len(block) for block in blocks] == [8, 8, 5]
    assert list(chain.from_iterable(blocks)) == said
    assert list(chain.from_iterable(pairs.texts(4, start=17))) == said[17:]
    assert list(pairs.texts(4, start=21)) == []


def test_times_are_those_of_the_table(tmp_path, pairs):
    starts, ends = pairs.times()
    table = read_table(tmp_path)
    assert starts.tolist() == table["start"].to_pylist()
    assert ends.tolist() == table["end"].to_pylist()
    assert starts.dtype == ends.dtype == np.float64


def test_rows_that_are_not_the_tables_are_refused(tmp_path):
    write(tmp_path)
    other = write(tmp_path / "other", CLIPS | {"grow": 3})
    (tmp_path / "other" / "table.parquet").replace(tmp_path / "table.parquet")
    with pytest.raises(InputError, match="damaged, the rows of grow"):
        Pairs(tmp_path)
    assert len(other) == 22
