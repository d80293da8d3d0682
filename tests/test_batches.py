"""Batches: what is drawn, put together and fed is always the same for a seed, from wherever it goes on."""

import contextlib
import json
import threading
import time
from collections import Counter
from concurrent.futures import Future
from itertools import chain

import numpy as np
import pytest
import torch

from tellvision.embedding import batches as room
from tellvision.embedding.batches import Batches, Buffers, DataSet, Pooled, feed, feeding, prepared
from tellvision.embedding.batches import texts as texts_module
from tellvision.records import InputError
from test_pairs import CLIPS, DIM, write

WORDS = 3
MUTE = {"mute#0", "mute#1", "paint#3", "cook#0"}  # no known word is said in them


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    return write(tmp_path_factory.mktemp("pairs"))


def ids_of(pairs):
    return pairs.clip_ids(np.arange(len(pairs)))


def data_set(pairs, **changes):
    """Texts that name the clip: clip r has the tokens (r, r + 1, -1)."""
    numbers = np.arange(len(pairs), dtype=np.int32)
    given = {
        "source": Pooled(pairs),
        "texts": np.stack([numbers, numbers + 1, np.full_like(numbers, -1)], axis=1),
        "usable": np.array([clip not in MUTE for clip in ids_of(pairs)], bool),
        "videos": pairs.videos,
    }
    return DataSet(**given | changes)


def batches(*sets, per_batch=2, per_video=4, seed=0, **options):
    return Batches(sets, videos_per_batch=per_batch, pairs_per_video=per_video, seed=seed, **options)


def flat(lists):
    return list(chain.from_iterable(lists))


def plain(batch):
    """A batch as lists, copied."""
    return {name: v.tolist() if isinstance(v, torch.Tensor) else v for name, v in vars(batch).items()}


def fed(given, **options):
    with feed(given, **options) as found:
        return [plain(batch) for batch in found]


# What the text tower reads


class Tower:
    """Token ids that say how long the words are; counts what it is asked for."""

    def __init__(self, width=WORDS, dies_after=99):
        self.width, self.asked, self.dies_after = width, [], dies_after

    def __call__(self, texts):
        if len(self.asked) == self.dies_after:
            raise KeyboardInterrupt
        self.asked.append(list(texts))
        result = np.full((len(texts), self.width), -1, np.int32)
        for row, text in zip(result, texts, strict=True):
            lengths = [len(word) for word in text.split() if word != "wood"][: self.width]
            row[: len(lengths)] = lengths
        return result


def test_inputs_are_made_once_for_every_clip(tmp_path, pairs, monkeypatch):
    monkeypatch.setattr(texts_module, "BLOCK", 4)
    tower, told = Tower(), []
    path = tmp_path / "runs" / "texts.bin"
    inputs, usable = prepared(pairs, tower, WORDS, "int32", path, "key", lambda *done: told.append(done))
    assert inputs.shape == (len(pairs), WORDS)
    assert inputs.dtype == np.int32
    assert not inputs.flags.writeable
    assert np.array_equal(inputs, Tower()(flat(pairs.texts(100))))
    assert usable.all()
    assert told == [(4, 21), (8, 21), (12, 21), (16, 21), (20, 21), (21, 21)]
    again = Tower(dies_after=0)
    assert np.array_equal(prepared(pairs, again, WORDS, "int32", path, "key")[0], inputs)
    assert again.asked == []


@pytest.mark.parametrize("died_in", [0, 1, 4])
def test_killed_and_gone_on_equals_straight_through(tmp_path, pairs, monkeypatch, died_in):
    monkeypatch.setattr(texts_module, "BLOCK", 4)
    path = tmp_path / "texts.bin"
    with pytest.raises(KeyboardInterrupt):
        prepared(pairs, Tower(dies_after=died_in), WORDS, "int32", path, "key")
    with path.open("ab") as file:  # what came after the last note
        file.write(b"half a block")
    tower = Tower()
    inputs, _ = prepared(pairs, tower, WORDS, "int32", path, "key")
    assert len(tower.asked) == 6 - died_in
    straight, _ = prepared(pairs, Tower(), WORDS, "int32", tmp_path / "straight.bin", "key")
    assert np.array_equal(inputs, straight)
    assert path.read_bytes() == (tmp_path / "straight.bin").read_bytes()


def test_other_inputs_are_made_anew(tmp_path, pairs):
    path = tmp_path / "texts.bin"
    prepared(pairs, Tower(), WORDS, "int32", path, "one")
    for key, width in (("two", WORDS), ("two", 2)):
        tower = Tower(width)
        assert prepared(pairs, tower, width, "int32", path, key)[0].shape == (len(pairs), width)
        assert len(tower.asked) == 1


@pytest.mark.parametrize("note", [b"", b"[]", b'{"done": "x"}', b'{"key": "key"}', b"\xff"])
def test_a_damaged_note_or_file_is_made_anew(tmp_path, pairs, note):
    path = tmp_path / "texts.bin"
    whole, _ = prepared(pairs, Tower(), WORDS, "int32", path, "key")
    expected = whole.tolist()
    (tmp_path / "texts.bin.json").write_bytes(note)
    assert prepared(pairs, Tower(), WORDS, "int32", path, "key")[0].tolist() == expected
    path.write_bytes(path.read_bytes()[:-1])
    assert json.loads((tmp_path / "texts.bin.json").read_text())["done"] == len(pairs)
    assert prepared(pairs, Tower(), WORDS, "int32", path, "key")[0].tolist() == expected


def test_equal_texts_are_prepared_once(tmp_path, pairs, monkeypatch):
    monkeypatch.setattr(type(pairs), "texts", lambda *_: iter([["stir it"] * 20 + ["wood"]]))
    tower = Tower()
    inputs, usable = prepared(pairs, tower, WORDS, "int32", tmp_path / "texts.bin", "key")
    assert tower.asked == [["stir it", "wood"]]
    assert inputs[19].tolist() == [4, 2, -1]
    assert inputs[20].tolist() == [-1, -1, -1]
    assert usable.tolist() == [True] * 20 + [False]


def test_vectors_of_an_encoder_are_kept_as_halves(tmp_path, pairs):
    def encode(texts):
        return np.array([[0.5, 0] if text.startswith("cook") else [0, 0] for text in texts], np.float16)

    inputs, usable = prepared(pairs, encode, 2, "float16", tmp_path / "texts.bin", "key")
    assert inputs.dtype == np.float16
    assert usable.tolist() == [clip.startswith("cook") for clip in ids_of(pairs)]


def test_no_clips_have_no_inputs(tmp_path):
    inputs, usable = prepared(
        write(tmp_path / "pairs", {}), Tower(), WORDS, "int32", tmp_path / "texts.bin", "key"
    )
    assert inputs.shape == (0, WORDS)
    assert usable.shape == (0,)


# Drawing


def test_an_epoch_meets_every_video_once(pairs):
    found = batches(data_set(pairs), per_video=3)
    assert (len(found), found.num_videos, found.num_pairs) == (3, 5, 15)  # nothing can be drawn of the mute one
    names = np.array([clip.partition("#")[0] for clip in ids_of(pairs)])
    for number in range(4):
        epoch = list(found.epoch(number))
        assert [len(drawn) for drawn in epoch] == [6, 6, 3]
        met = []
        for place, drawn in enumerate(epoch):
            assert (drawn.epoch, drawn.number) == (number, place)
            assert drawn.video.tolist() == np.repeat(np.arange(len(drawn) // 3), 3).tolist()
            assert [pairs.videos[p] for p in drawn.places] == names[drawn.clips].tolist()
            groups = names[drawn.clips].reshape(-1, 3)
            assert (groups == groups[:, :1]).all()  # a group is of one video
            met += groups[:, 0].tolist()
        assert sorted(met) == sorted(set(CLIPS) - {"mute"})


def test_what_says_no_known_word_is_never_drawn(pairs):
    ids = ids_of(pairs)
    found = batches(data_set(pairs), per_video=40)
    seen = Counter(ids[clip] for n in range(5) for drawn in found.epoch(n) for clip in drawn.clips)
    assert seen.keys() == set(ids) - MUTE
    assert seen["wood#0"] == 5 * 40  # one clip: drawn again and again
    paint = [seen[f"paint#{i}"] for i in range(8) if i != 3]
    assert min(paint) > 200 / 7 / 3  # each of the seven about as often


def test_the_same_seed_and_epoch_give_the_same_batches_whatever_came_before(pairs):
    straight = fed(batches(data_set(pairs), seed=3), epochs=4)
    assert straight == fed(batches(data_set(pairs), seed=3), epochs=4)
    assert straight != fed(batches(data_set(pairs), seed=4), epochs=4)
    assert straight[0]["rows"] != straight[3]["rows"]  # an epoch later
    for place in range(len(straight)):  # killed anywhere, gone on with the very next one
        assert fed(batches(data_set(pairs), seed=3), start=divmod(place, 3), epochs=4) == straight[place:]
    assert fed(batches(data_set(pairs), seed=3), start=(1, 3), epochs=4) == straight[6:]  # behind an epoch's last


def test_the_order_of_the_table_does_not_matter(tmp_path):
    turned = dict(reversed(CLIPS.items()))
    one, other = write(tmp_path / "one"), write(tmp_path / "other", turned)
    for a, b in zip(batches(data_set(one)).epoch(0), batches(data_set(other)).epoch(0), strict=True):
        assert one.clip_ids(a.clips) == other.clip_ids(b.clips)


def test_only_the_given_videos_are_drawn(pairs):
    found = batches(data_set(pairs, videos=["wood", "grow", "nobody"]))
    assert {pairs.videos[p] for drawn in found.epoch(0) for p in drawn.places} == {"wood", "grow"}


@pytest.mark.parametrize("videos", [[], ["mute"], ["nobody"]])
def test_nothing_to_draw_is_no_batch(pairs, videos):
    found = batches(data_set(pairs, videos=videos))
    assert (len(found), found.num_videos, found.num_pairs, found.most) == (0, 0, 0, 0)
    assert list(found.epoch(0)) == fed(found, epochs=3) == []


def test_the_shares_of_the_ranks_make_up_the_batch_of_one(pairs):
    whole = fed(batches(data_set(pairs), bag=2, distinct=False), epochs=2)
    ranks = [
        fed(batches(data_set(pairs), bag=2, distinct=False, rank=rank, world=4), epochs=2) for rank in range(4)
    ]
    for batch, *shares in zip(whole, *ranks, strict=True):
        for name in ("clips", "texts", "video", "rows", "source"):
            assert flat(share[name] for share in shares) == batch[name]
        assert {len(share["rows"]) for share in shares} == {len(batch["rows"]) // 4}


def test_pairs_that_cannot_be_shared_equally_are_refused(pairs):
    with pytest.raises(InputError, match="6 pairs per video cannot be shared equally by 4 processes: take 8"):
        batches(data_set(pairs), per_video=6, world=4)


# Bags of captions


def test_a_bag_holds_the_nearest_captions_in_time_by_hand(pairs):
    """paint has the usable clips 6 7 8 (not 9) 10 11 12 13 of the table, grow 17 18, wood 5."""
    expected = {
        3: {6: {6, 7, 8}, 8: {7, 8, 10}, 10: {8, 10, 11}, 13: {11, 12, 13}, 17: {17, 18}, 5: {5}},
        2: {6: {6, 7}, 8: {8, 10}, 10: {10, 11}, 13: {12, 13}, 17: {17, 18}, 18: {17, 18}, 5: {5}},
        4: {6: {6, 7, 8, 10}, 7: {6, 7, 8, 10}, 10: {8, 10, 11, 12}, 13: {10, 11, 12, 13}, 18: {17, 18}},
    }
    for bag, bags in expected.items():
        seen = {}
        for drawn in batches(data_set(pairs), per_video=40, bag=bag).epoch(0):
            assert drawn.captions.shape == (len(drawn), bag)
            assert np.array_equal(drawn.captions[:, 0], drawn.clips)  # its own first
            seen |= dict(zip(drawn.clips.tolist(), drawn.captions.tolist(), strict=True))
        for clip, right in bags.items():
            assert set(seen[clip]) == right
            if len(right) == bag:
                assert seen[clip][1:] == sorted(right - {clip})
    assert seen[17] == [17, 18, 17, 18]  # too few: some again


# Mixtures


def mixed(pairs, *weights, **options):
    """Sets of 5, 3 and 1 videos."""
    videos = [list(CLIPS), ["cook", "paint", "grow"], ["wood"]]
    sets = [
        data_set(pairs, videos=some, weight=weight, name=f"set{n}")
        for n, (some, weight) in enumerate(zip(videos, weights, strict=False))
    ]
    return batches(*sets, **options)


def test_sets_take_turns_by_weight_exactly(pairs):
    found = mixed(pairs, 1.0, 2.0, 0.2, per_batch=4)
    assert found.num_videos == 5 + 10 + 1
    assert len(found) == 4
    met = [Counter(), Counter(), Counter()]
    for epoch in range(6):
        of_epoch = np.zeros(3, int)
        for drawn in found.epoch(epoch):
            shares = np.bincount(drawn.source[::4], minlength=3)
            of_epoch += shares
            assert sorted(drawn.source.tolist()) == drawn.source.tolist()
            done = of_epoch.sum()
            assert np.abs(of_epoch - done * np.array([1, 2, 0.2]) / 3.2).max() <= 1  # spread evenly
            for source, place in zip(drawn.source[::4], drawn.places[::4], strict=True):
                met[source][pairs.videos[place]] += 1
        assert of_epoch.tolist() == [5, 10, 1]
    assert set(met[0].values()) == {6}  # once in each epoch
    assert set(met[1].values()) == {20}  # 60 turns of three, on and on: each as often
    assert met[2] == {"wood": 6}


def test_a_set_goes_on_where_the_last_epoch_left_it(pairs):
    found = mixed(pairs, 1.0, 0.4, per_batch=7)  # two of its three videos in an epoch
    turns = [drawn.places[drawn.source == 1][::4].tolist() for n in range(6) for drawn in found.epoch(n)]
    assert [len(set(turn)) for turn in turns] == [2] * 6
    met = flat(turns)
    assert all(len(set(met[n : n + 3])) == 3 for n in range(0, 12, 3))


def test_a_video_met_twice_in_a_batch_is_one_group(pairs):
    (drawn,) = mixed(pairs, 1.0, 2.0, per_batch=15).epoch(0)
    groups = Counter(zip(drawn.source.tolist(), drawn.places.tolist(), drawn.video.tolist(), strict=True))
    assert len(groups) == 5 + 3
    assert len({video for *_, video in groups}) == 8
    assert sum(groups.values()) == 15 * 4


def test_a_mixture_goes_on_in_the_middle(pairs):
    straight = fed(mixed(pairs, 1.0, 2.0, 0.2), epochs=3)
    for place in (1, 9, 17):
        assert fed(mixed(pairs, 1.0, 2.0, 0.2), start=divmod(place, 8), epochs=3) == straight[place:]


def test_sets_that_do_not_go_together_are_refused(pairs, tmp_path):
    other = write(tmp_path, dim=DIM + 1)
    with pytest.raises(InputError, match=r"'main' and 'wide' cannot be mixed: clips of \(6,\) and of \(7,\)"):
        batches(data_set(pairs), data_set(other, name="wide"))
    with pytest.raises(InputError, match="cannot be mixed: texts"):
        batches(data_set(pairs), data_set(pairs, texts=np.zeros((len(pairs), 5), np.float16)))
    with pytest.raises(InputError, match="data set 'empty' has nothing to draw"):
        batches(data_set(pairs), data_set(pairs, videos=["mute"], name="empty"))
    for weight in (0.0, -1.0, float("nan")):
        with pytest.raises(InputError, match="weight of data set 'main' is a number above 0"):
            batches(data_set(pairs, weight=weight))


# Putting together


def test_every_row_is_the_one_on_disk(pairs):
    """Equal to a slow reference: look every drawn clip up, one by one, in the table and the arrays."""
    ids, given = ids_of(pairs), data_set(pairs)
    found = batches(given, per_batch=3, per_video=5, bag=2, distinct=False)
    buffers = Buffers(found)
    for drawn in found.epoch(1):
        batch = buffers.fill(drawn)
        assert (batch.epoch, batch.number) == (1, drawn.number)
        assert batch.clips.dtype == torch.float16
        assert batch.texts.dtype == torch.int32
        assert batch.video.dtype == batch.rows.dtype == batch.source.dtype == torch.int64
        assert batch.steps is batch.distinct is None
        assert batch.texts.shape == (2 * len(drawn), WORDS)
        for n, clip in enumerate(batch.rows.tolist()):
            video, _, number = ids[clip].rpartition("#")
            assert np.array_equal(batch.clips[n].numpy(), pairs.rows(video)[int(number)])
            for text, caption in zip(batch.texts[2 * n : 2 * n + 2], drawn.captions[n], strict=True):
                assert text.tolist() == given.texts[caption].tolist()


def test_token_ids_as_places_among_the_distinct_ones(pairs):
    plain_ids = fed(batches(data_set(pairs), distinct=False), epochs=3)
    for batch, ids in zip(fed(batches(data_set(pairs)), epochs=3), plain_ids, strict=True):
        distinct = batch["distinct"]
        assert distinct == sorted(set(flat(ids["texts"])) - {-1})
        table = [*distinct, -1]
        assert [[table[place] for place in row] for row in batch["texts"]] == ids["texts"]
        assert batch | {"texts": 0, "distinct": 0} == ids | {"texts": 0, "distinct": 0}


def test_vectors_are_handed_out_as_they_are(pairs):
    vectors = np.random.default_rng(0).standard_normal((len(pairs), 4)).astype(np.float16)
    for batch in fed(batches(data_set(pairs, texts=vectors)), epochs=1):
        assert batch["texts"] == vectors[batch["rows"]].tolist()
        assert batch["distinct"] is None


# Feeding


@pytest.mark.parametrize(("threads", "ahead"), [(1, 0), (1, 2), (3, 1), (4, 20)])
def test_batches_come_in_order_whatever_the_threads(pairs, threads, ahead):
    given = batches(data_set(pairs), per_batch=1)
    expected = [plain(Buffers(given).fill(drawn)) for epoch in range(4) for drawn in given.epoch(epoch)]
    assert fed(given, epochs=4, threads=threads, ahead=ahead) == expected


def test_a_batch_is_there_until_the_next_is_asked_for(pairs):
    given = batches(data_set(pairs), per_batch=1)
    with feed(given, epochs=6, threads=2) as found:
        for batch in found:
            before = plain(batch)
            time.sleep(0.003)
            assert plain(batch) == before


class Broken(Pooled):
    def __init__(self, pairs, at):
        super().__init__(pairs)
        self.left = at

    def fill(self, *args):
        self.left -= 1
        if self.left < 0:
            raise InputError("the disk is gone")
        return super().fill(*args)


def test_what_goes_wrong_in_the_background_comes_out(pairs):
    given = batches(data_set(pairs, source=Broken(pairs, 4)))
    with feed(given, epochs=5) as found:
        assert [next(found).number for _ in range(4)] == [0, 1, 2, 0]
        with pytest.raises(InputError, match="the disk is gone"):
            next(found)


def test_leaving_stops_the_threads(pairs):
    before = threading.active_count()
    given = batches(data_set(pairs))
    with feed(given, epochs=10**6, threads=3) as found:
        next(found)
        assert threading.active_count() > before
    assert threading.active_count() == before


def test_an_error_of_the_consumer_stops_the_threads(pairs):
    before = threading.active_count()

    def stopped():
        with feed(batches(data_set(pairs)), epochs=10**6) as found:
            next(found)
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        stopped()
    assert threading.active_count() == before


def test_on_a_gpu_the_buffers_are_copied_and_waited_for_in_order(pairs, monkeypatch):
    """The order of events, on the CPU: a copy waits for whoever reads, a reader for the copy."""
    said = []

    class Event:
        def __getattr__(self, name):
            return lambda *_: said.append(f"{name} {self.name}")

    events = iter(["copied", "read"] * 3)

    def event():
        made = Event()
        made.name = next(events)
        return made

    monkeypatch.setattr(torch.cuda, "Event", event)
    monkeypatch.setattr(torch.cuda, "Stream", lambda _: None)
    monkeypatch.setattr(torch.cuda, "stream", contextlib.nullcontext)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: None)
    monkeypatch.setattr(feeding, "Buffers", lambda given, _: Buffers(given))
    given = batches(data_set(pairs), bag=2)
    slot, expected = feeding._OnGpu(given, torch.device("cpu")), fed(given, epochs=1)
    for number in range(3):
        drawn = Future()
        drawn.set_result(given.draw(0, number))
        batch = slot.make(drawn)
        slot.take()
        assert plain(batch) == expected[number]
        assert batch.clips.data_ptr() != slot._buffers.clips.data_ptr()
        slot.done()
    assert said == ["synchronize copied", "wait read", "record copied", "wait copied", "record read"] * 3


def test_the_room_says_what_it_offers():
    assert all(hasattr(room, name) for name in room.__all__)
