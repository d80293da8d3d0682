"""Clips straight from tracks: without jitter what the pairs hold, with it what pooling by hand gives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tellvision.embedding.batches import Batches, Buffers, DataSet, Pooled, Spans
from tellvision.embedding.batches.spans import _pooled
from tellvision.embedding.config import StepsConfig
from tellvision.embedding.pairs import Pairs, PairWriter, join
from tellvision.records import InputError
from tellvision.store import ArrayReader, ArrayWriter
from tellvision.vision.features import pool
from test_pairs import clips_of, track

VIDEOS = {"cook": 5, "wood": 1, "paint": 8, "a/b": 3}
RATES = (1.0, 1.5)
WIDTHS = (6, 4)
SECONDS = 60


def spans_of(seed, count):
    rng = np.random.default_rng(seed)
    starts = np.sort(rng.uniform(0, SECONDS - 2, count))
    return starts, starts + rng.exponential(8, count)  # some go past the end of the tracks


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    writers = [ArrayWriter(folder / f"track{n}", width) for n, width in enumerate(WIDTHS)]
    pairs = PairWriter(folder / "pairs", sum(WIDTHS))
    for writer in (*writers, pairs):
        writer.open({})
    for seed, (video, count) in enumerate(VIDEOS.items()):
        tracks = [
            track(seed + 10 * n, int(SECONDS * fps), width)
            for n, (fps, width) in enumerate(zip(RATES, WIDTHS, strict=True))
        ]
        for writer, rows in zip(writers, tracks, strict=True):
            writer.append(video, "f", rows)
        clips = clips_of(video, *spans_of(seed, count))
        pairs.append(video, "f", join(clips, list(zip(tracks, RATES, strict=True))).output)
    for writer in (*writers, pairs):
        writer.commit()
        writer.close(list(VIDEOS))
        writer.release()
    readers = [ArrayReader(folder / f"track{n}") for n in range(2)]
    return Pairs(folder / "pairs"), list(zip(readers, RATES, strict=True))


def filled(source, epochs=2, **options):
    n = len(source.pairs)
    one = DataSet(
        source=source, texts=np.zeros((n, 2), np.int32), usable=np.ones(n, bool), videos=source.pairs.videos
    )
    found = Batches([one], videos_per_batch=3, pairs_per_video=4, seed=0, **options)
    buffers = Buffers(found)
    for epoch in range(epochs):
        for drawn in found.epoch(epoch):
            found.ahead(drawn)
            yield drawn, buffers.fill(drawn)


def test_without_jitter_they_are_the_rows_of_the_pairs(corpus):
    pairs, tracks = corpus
    for (_, ours), (_, stored) in zip(filled(Spans(pairs, tracks)), filled(Pooled(pairs)), strict=True):
        assert np.array_equal(ours.clips.numpy(), stored.clips.numpy())
        assert ours.steps is None


def test_moved_ends_give_what_pooling_by_hand_gives(corpus):
    pairs, tracks = corpus
    starts, ends = pairs.times()
    moved = 0
    for drawn, batch in filled(Spans(pairs, tracks, jitter=20.0)):
        assert drawn.moves.shape == (len(drawn), 2)
        for n, clip in enumerate(drawn.clips):
            start = max(0.0, starts[clip] + 20 * drawn.moves[n, 0])
            end = max(start, ends[clip] + 20 * drawn.moves[n, 1])
            moved += start > starts[clip] or end == start
            rows = [reader[pairs.videos[drawn.places[n]]] for reader, _ in tracks]
            expected = [
                pool(track, fps, min(start, (len(track) - 1) / fps), max(end, start))
                for track, fps in zip(rows, RATES, strict=True)
            ]
            assert np.array_equal(batch.clips[n].numpy(), np.concatenate(expected).astype(np.float16))
    assert moved


def test_moves_follow_from_the_seed_alone(corpus):
    def all_of(**options):
        return [batch.clips.tolist() for _, batch in filled(Spans(*corpus, jitter=3.0), **options)]

    assert all_of() == all_of()
    assert all_of()[0] != next(batch.clips.tolist() for _, batch in filled(Spans(*corpus)))
    shares = [all_of(rank=rank, world=2) for rank in range(2)]
    assert [one + other for one, other in zip(*shares, strict=True)] == all_of()


def test_steps_by_hand(corpus):
    pairs, tracks = corpus
    starts, ends = pairs.times()
    config = StepsConfig(fps=2.0, max_steps=9)
    for drawn, batch in filled(Spans(pairs, tracks, steps=config)):
        assert batch.clips.shape == (len(drawn), 9, sum(WIDTHS))
        for n, clip in enumerate(drawn.clips):
            whole = int((ends[clip] - starts[clip]) * 2) + 1
            times = [starts[clip] + k / 2 for k in range(whole)]
            if whole > 9:
                times = [starts[clip] + k * (whole - 1) / 8 / 2 for k in range(9)]
            assert batch.steps[n] == len(times)
            for step, moment in enumerate(times):
                expected = np.concatenate(
                    [
                        reader[pairs.videos[drawn.places[n]]][min(int(moment * fps), int(SECONDS * fps) - 1)]
                        for reader, fps in tracks
                    ]
                )
                assert np.array_equal(batch.clips[n, step].numpy(), expected)
            assert not batch.clips[n, len(times) :].any()


def test_one_step_is_that_at_the_start(corpus):
    for _, batch in filled(Spans(*corpus, steps=StepsConfig(max_steps=1), jitter=1.0)):
        assert set(batch.steps.tolist()) == {1}


@given(st.data(), st.sampled_from([np.float16, np.float32]))
@settings(max_examples=60, deadline=None)
def test_the_table_of_maxima_equals_the_slow_form(data, dtype):
    rows = data.draw(st.integers(1, 40))
    seed = data.draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    track = np.round(rng.standard_normal((rows, 3)) * 10.0 ** rng.integers(-9, 4, (rows, 3)), 9).astype(dtype)
    track[rng.random((rows, 3)) < 0.2] = 0
    n = data.draw(st.integers(1, 8))
    ends = np.sort(rng.integers(0, rows, (n, 2)), axis=1)
    found = _pooled(track, ends[:, 0], ends[:, 1])
    assert found.dtype == np.float32
    for row, (first, last) in zip(found, ends.tolist(), strict=True):
        assert np.array_equal(row, pool(track, 1.0, float(first), float(last)))


def test_tracks_that_do_not_go_with_the_pairs_are_refused(corpus, tmp_path):
    pairs, tracks = corpus
    with pytest.raises(InputError, match="10 wide, the tracks together 6"):
        Spans(pairs, tracks[:1])
    writer = ArrayWriter(tmp_path, sum(WIDTHS))
    writer.open({})
    writer.append("cook", "f", np.zeros((3, sum(WIDTHS)), np.float16))
    writer.commit()
    writer.release()
    with pytest.raises(InputError, match="lacks wood, which has pairs"):
        Spans(pairs, [(ArrayReader(tmp_path), 1.0)])


def test_no_clips_are_no_batch(tmp_path):
    writer = PairWriter(tmp_path, 4)
    writer.open({})
    writer.close([])
    writer.release()
    arrays = ArrayWriter(tmp_path / "track", 4)
    arrays.open({})
    arrays.close([])
    arrays.release()
    source = Spans(Pairs(tmp_path), [(ArrayReader(tmp_path / "track"), 1.0)], jitter=1.0)
    assert list(filled(source)) == []
