"""Pairs and batches: what is drawn is what lies on disk, every video once, always the same for a seed."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from tellvision.embedding.pairs import PAIRS, Batches, Pairs, PairWriter, join
from tellvision.records import Skip
from tellvision.store import ArrayReader, read_table
from tellvision.vision.features import pool

DIM = 6
WORDS = 3
CLIPS = {"cook": 5, "wood": 1, "paint": 8, "a/b": 3, "grow": 2, "mute": 2}  # clips of each video
MUTE = {"mute#0", "mute#1", "paint#3", "cook#0"}  # no known word is said in them


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
    for video, first, end in zip(pairs.videos, pairs.offsets, pairs.offsets[1:], strict=False):
        assert pairs.table["video_id"][first:end].to_pylist() == [video] * (end - first)
        assert np.array_equal(pairs.rows(video), reader[video])
    table, rows = pairs.select(["grow", "cook", "not there"])
    assert table["video_id"].to_pylist() == ["cook"] * 5 + ["grow"] * 2
    assert np.array_equal(rows, np.concatenate([reader["cook"], reader["grow"]]))
    assert table.column_names == read_table(tmp_path).column_names == PAIRS.names


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


# Batches


def batches(pairs, *, per_batch=2, per_video=4, seed=0, videos=None, usable=None):
    """Batches whose token ids name the clip: row r of the table has the tokens (r, r, r)."""
    tokens = np.repeat(np.arange(len(pairs), dtype=np.int32)[:, None], WORDS, axis=1)
    ids = pairs.table["clip_id"].to_pylist()
    if usable is None:
        usable = np.array([clip not in MUTE for clip in ids])
    return Batches(
        pairs,
        tokens,
        usable,
        pairs.videos if videos is None else videos,
        videos_per_batch=per_batch,
        pairs_per_video=per_video,
        seed=seed,
    )


def drawn(batch):
    return batch.tokens[:, 0]


def test_an_epoch_meets_every_video_once(pairs):
    found = batches(pairs, per_video=3)
    assert found.num_videos == 5  # nothing can be drawn of the mute one
    assert len(found) == 3
    names = np.array(pairs.table["video_id"].to_pylist())
    for number in range(4):
        epoch = list(found.epoch(number))
        assert [len(b.video) for b in epoch] == [6, 6, 3]
        met = []
        for batch in epoch:
            assert batch.video.tolist() == np.repeat(np.arange(len(batch.video) // 3), 3).tolist()
            groups = names[drawn(batch)].reshape(-1, 3)
            assert (groups == groups[:, :1]).all()  # a group is of one video
            met += groups[:, 0].tolist()
        assert sorted(met) == sorted(set(CLIPS) - {"mute"})


def test_every_row_is_the_one_on_disk(pairs):
    """Equal to a slow reference: look every drawn clip up, one by one, in the table and the arrays."""
    ids = pairs.table["clip_id"].to_pylist()
    for batch in batches(pairs, per_batch=3, per_video=5).epoch(1):
        assert batch.tokens.dtype == np.int32
        assert batch.clips.dtype == np.float32
        assert batch.video.dtype == np.int64
        assert batch.tokens.shape == (len(batch.video), WORDS)
        for row, clip in zip(batch.clips, drawn(batch), strict=True):
            video, _, number = ids[clip].rpartition("#")
            assert np.array_equal(row, pairs.rows(video)[int(number)].astype(np.float32))


def test_what_says_no_known_word_is_never_drawn(pairs):
    ids = pairs.table["clip_id"].to_pylist()
    found = batches(pairs, per_video=40)
    seen = Counter(ids[clip] for n in range(5) for batch in found.epoch(n) for clip in drawn(batch))
    assert seen.keys() == set(ids) - MUTE
    assert seen["wood#0"] == 5 * 40  # one clip: drawn again and again
    paint = [seen[f"paint#{i}"] for i in range(8) if i != 3]
    assert min(paint) > 200 / 7 / 3  # each of the seven about as often


def test_the_same_seed_and_epoch_give_the_same_batches(pairs):
    def all_of(found, number):
        return [(b.tokens.tolist(), b.clips.tolist(), b.video.tolist()) for b in found.epoch(number)]

    first = batches(pairs, seed=3)
    list(first.epoch(7))  # what was drawn before does not matter
    assert all_of(first, 2) == all_of(batches(pairs, seed=3), 2)
    assert all_of(first, 2) != all_of(first, 3)
    assert all_of(first, 2) != all_of(batches(pairs, seed=4), 2)


def test_only_the_given_videos_are_drawn(pairs):
    found = batches(pairs, videos=["wood", "grow", "nobody"])
    names = np.array(pairs.table["video_id"].to_pylist())
    assert {names[c] for b in found.epoch(0) for c in drawn(b)} == {"wood", "grow"}


@pytest.mark.parametrize("videos", [[], ["mute"], ["nobody"]])
def test_nothing_to_draw_is_no_batch(pairs, videos):
    found = batches(pairs, videos=videos)
    assert len(found) == 0
    assert found.num_videos == 0
    assert list(found.epoch(0)) == []
