"""Tables, arrays, ledger and manifests: what is acknowledged is there, what is not is cut off."""

import json
import sqlite3
import threading

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tellvision import store
from tellvision.records import InputError
from tellvision.store import ArrayReader, ArrayWriter, Ledger, Row, TableWriter, read_manifest, read_table
from tellvision.store.arrays import ITEMS_PER_SHARD


def rows(seed, count=3, dim=4):
    return np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float16)


# Arrays


def written(folder, items, dim=4, acknowledged=None, keep=None):
    """Write {item: rows}, each with its name as fingerprint, and close."""
    writer = ArrayWriter(folder, dim)
    writer.open(acknowledged or {})
    for item, data in items.items():
        writer.append(item, item, data)
    writer.commit()
    layout = writer.close(keep if keep is not None else list(items))
    writer.release()
    return layout


def bytes_of(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("shard-*.bin"))}


def test_what_is_written_is_read(tmp_path):
    items = {"a": rows(1), "b/c": rows(2, 1), "empty": rows(3, 0), "d": rows(4, 7)}
    assert written(tmp_path, items) == {"shards": 1, "dim": 4}
    reader = ArrayReader(tmp_path)
    for item, data in items.items():
        assert np.array_equal(reader[item], data)
    assert reader["a"].dtype == np.float16
    assert "b/c" in reader
    assert "z" not in reader
    with pytest.raises(KeyError):
        reader["z"]
    with pytest.raises(ValueError, match="read-only"):
        reader["a"][0, 0] = 1
    assert (tmp_path / "shard-00000.bin").read_bytes() == b"".join(d.tobytes() for d in items.values())


def test_gather_joins_in_the_order_asked_for(tmp_path):
    items = {"a": rows(1), "b": rows(2, 1)}
    written(tmp_path, items)
    reader = ArrayReader(tmp_path)
    assert np.array_equal(reader.gather(["b", "a"]), np.concatenate([items["b"], items["a"]]))
    assert reader.gather([]).shape == (0, 4)


def test_nothing_written_is_readable_too(tmp_path):
    assert written(tmp_path, {})["shards"] == 0
    assert ArrayReader(tmp_path).entries == {}
    assert bytes_of(tmp_path) == {}


def test_a_folder_without_arrays_is_one_line(tmp_path):
    with pytest.raises(InputError, match="holds no arrays: run"):
        ArrayReader(tmp_path)


def test_what_was_not_acknowledged_is_cut_off(tmp_path):
    writer = ArrayWriter(tmp_path, 4)
    writer.open({})
    for item in "abc":
        writer.append(item, item, rows(ord(item)))
        writer.commit()
    writer.release()  # killed here: the ledger knows a and b only; c is on disk, but nobody may rely on it
    again = ArrayWriter(tmp_path, 4)
    again.open({"a": "a", "b": "b"})
    assert len(bytes_of(tmp_path)["shard-00000.bin"]) == 6 * 4 * 2
    again.append("d", "d", rows(9))
    again.commit()
    again.close(["a", "b", "d"])
    again.release()
    reader = ArrayReader(tmp_path)
    assert list(reader.entries) == ["a", "b", "d"]
    assert np.array_equal(reader["d"], rows(9))
    assert np.array_equal(reader["b"], rows(ord("b")))
    assert reader.damaged() == []


@pytest.mark.parametrize("cut", [1, 10, 60])
def test_a_torn_last_line_is_cut_off(tmp_path, cut):
    writer = ArrayWriter(tmp_path, 4)
    writer.open({})
    for item in "abc":
        writer.append(item, item, rows(ord(item)))
        writer.commit()
    writer.release()
    index = tmp_path / "index.jsonl"
    index.write_bytes(index.read_bytes()[:-cut])
    assert list(ArrayReader(tmp_path).entries) == ["a", "b"]
    again = ArrayWriter(tmp_path, 4)
    again.open({"a": "a", "b": "b"})
    again.append("c", "c", rows(7))
    again.commit()
    again.close("abc")
    again.release()
    assert np.array_equal(ArrayReader(tmp_path)["c"], rows(7))


@pytest.mark.parametrize("left", ["", '{"layout": 1'])
def test_an_index_that_was_never_begun_is_begun(tmp_path, left):
    (tmp_path / "index.jsonl").write_text(left)
    (tmp_path / "shard-00000.bin").write_bytes(b"stale")
    written(tmp_path, {"a": rows(1)})
    assert np.array_equal(ArrayReader(tmp_path)["a"], rows(1))


def test_rows_without_a_line_are_cut_off(tmp_path):
    written(tmp_path, {"a": rows(1)})
    (tmp_path / "shard-00001.bin").write_bytes(b"x" * 11)  # killed between the rows and their lines
    written(tmp_path, {"b": rows(2)}, acknowledged={"a": "a"}, keep="ab")
    reader = ArrayReader(tmp_path)
    assert np.array_equal(reader["b"], rows(2))
    assert np.array_equal(reader["a"], rows(1))
    assert len(bytes_of(tmp_path)["shard-00001.bin"]) == rows(2).nbytes


def test_a_damaged_index_is_one_line(tmp_path):
    written(tmp_path, {"a": rows(1)})
    index = tmp_path / "index.jsonl"
    index.write_text(index.read_text() + "not json\n")
    with pytest.raises(InputError, match=r"is damaged .*: delete .* and run again"):
        ArrayReader(tmp_path)


def test_a_shard_holds_256_items_whatever_their_rows(tmp_path):
    items = {f"v{i:03d}": rows(i, i % 3) for i in range(ITEMS_PER_SHARD + 2)}
    assert written(tmp_path, items)["shards"] == 2
    reader = ArrayReader(tmp_path)
    assert [reader.entries[i].shard for i in items] == [0] * ITEMS_PER_SHARD + [1, 1]
    assert all(np.array_equal(reader[i], data) for i, data in items.items())


def test_shards_are_the_same_whenever_it_was_killed(tmp_path):
    items = {f"v{i:03d}": rows(i, 2) for i in range(ITEMS_PER_SHARD + 3)}
    written(tmp_path / "whole", items)
    folder, names = tmp_path / "pieces", list(items)
    for done in (0, 1, 100, ITEMS_PER_SHARD - 1, ITEMS_PER_SHARD, ITEMS_PER_SHARD + 1):
        writer = ArrayWriter(folder, 4)
        writer.open(dict(zip(names[:done], names[:done], strict=True)))
        for name in names[done:]:
            writer.append(name, name, items[name])
            if name == names[-2]:
                break
        writer.commit()
        writer.release()  # and then it is killed
    written(folder, {n: items[n] for n in names[-2:]}, acknowledged={n: n for n in names[:-2]}, keep=names)
    assert bytes_of(folder) == bytes_of(tmp_path / "whole")
    assert (folder / "index.jsonl").read_text() == (tmp_path / "whole" / "index.jsonl").read_text()


def test_what_was_closed_gets_no_further_bytes(tmp_path):
    written(tmp_path, {"a": rows(1), "b": rows(2)})
    before = bytes_of(tmp_path)
    written(tmp_path, {"c": rows(3)}, acknowledged={"a": "a", "b": "b"}, keep="abc")
    written(tmp_path, {}, acknowledged={"a": "a", "b": "b", "c": "c"}, keep="abc")
    after = bytes_of(tmp_path)
    assert after["shard-00000.bin"] == before["shard-00000.bin"]
    assert list(after) == ["shard-00000.bin", "shard-00001.bin"]
    assert np.array_equal(ArrayReader(tmp_path)["c"], rows(3))


def test_what_was_closed_stays_although_its_last_item_is_made_again(tmp_path):
    written(tmp_path, {"a": rows(1), "b": rows(2)})
    before = bytes_of(tmp_path)["shard-00000.bin"]
    # b changed and can no longer be read: the ledger has another fingerprint, the arrays got no row.
    written(tmp_path, {"c": rows(3)}, acknowledged={"a": "a", "b": "changed"}, keep="ac")
    assert bytes_of(tmp_path)["shard-00000.bin"] == before
    reader = ArrayReader(tmp_path)
    assert list(reader.entries) == ["a", "c"]
    assert reader.entries["c"].shard == 1
    written(tmp_path, {"d": rows(4)}, acknowledged={"a": "a", "c": "c"}, keep="acd")
    assert ArrayReader(tmp_path).entries["d"].shard == 2


def test_an_item_that_went_away_is_a_tombstone(tmp_path):
    written(tmp_path, {"a": rows(1), "b": rows(2)})
    before = bytes_of(tmp_path)
    written(tmp_path, {}, acknowledged={"a": "a", "b": "b"}, keep="b")
    assert list(ArrayReader(tmp_path).entries) == ["b"]
    assert bytes_of(tmp_path) == before
    written(tmp_path, {"a": rows(5)}, acknowledged={"b": "b"}, keep="ab")  # and comes back
    assert np.array_equal(ArrayReader(tmp_path)["a"], rows(5))


def test_an_alias_shares_the_rows(tmp_path):
    written(tmp_path, {"a": rows(1), "b": rows(2)})
    before = bytes_of(tmp_path)
    writer = ArrayWriter(tmp_path, 4)
    writer.open({"a": "a", "b": "b"})
    writer.alias({"renamed": "a"})
    writer.commit()
    writer.close(["renamed", "b"])
    writer.release()
    reader = ArrayReader(tmp_path)
    assert list(reader.entries) == ["b", "renamed"]
    assert np.array_equal(reader["renamed"], rows(1))
    assert bytes_of(tmp_path) == before
    assert reader.damaged() == []


def test_items_can_swap_their_names(tmp_path):
    written(tmp_path, {"a": rows(1), "b": rows(2), "c": rows(3)})
    writer = ArrayWriter(tmp_path, 4)
    writer.open({"a": "a", "b": "b", "c": "c"})
    writer.alias({"a": "b", "b": "c", "c": "a"})
    writer.commit()
    writer.close("abc")
    writer.release()
    reader = ArrayReader(tmp_path)
    for item, was in {"a": 2, "b": 3, "c": 1}.items():
        assert np.array_equal(reader[item], rows(was))


def test_a_checksum_finds_a_flipped_bit(tmp_path):
    written(tmp_path, {"a": rows(1), "b": rows(2), "c": rows(3)})
    assert ArrayReader(tmp_path).damaged() == []
    path = tmp_path / "shard-00000.bin"
    data = bytearray(path.read_bytes())
    data[3 * 4 * 2 + 5] ^= 0x10  # in b
    path.write_bytes(data)
    assert ArrayReader(tmp_path).damaged() == ["b"]
    path.write_bytes(data[:-1])
    assert ArrayReader(tmp_path).damaged() == ["b", "c"]  # c lost its last byte, what lies before it did not
    path.unlink()
    assert ArrayReader(tmp_path).damaged() == ["a", "b", "c"]


@pytest.mark.parametrize("step", [9, pytest.param(1, marks=pytest.mark.slow)])
def test_every_flipped_bit_is_found_or_does_no_harm(tmp_path, step):
    """Of rows and index alike; found is all that is not a row which was taken away."""
    items = {"a": rows(1, 2, 2), "b/ü": rows(2, 1, 2), "empty": rows(3, 0, 2)}
    written(tmp_path, items, dim=2)
    written(tmp_path, {"c": rows(4, 1, 2), "d": rows(5, 1, 2)}, dim=2, acknowledged={i: i for i in items})
    written(tmp_path, {}, dim=2, acknowledged={i: i for i in "cd"}, keep="c")  # its last line takes d away
    dead = {("shard-00000.bin", byte) for byte in range(12)} | {("shard-00001.bin", byte) for byte in range(4, 8)}
    for path in sorted(tmp_path.iterdir()):
        whole = path.read_bytes()
        for bit in range(0, 8 * len(whole), step):
            data = bytearray(whole)
            data[bit // 8] ^= 1 << bit % 8
            path.write_bytes(data)
            assert is_found(tmp_path) == ((path.name, bit // 8) not in dead)
        path.write_bytes(whole)
    assert ArrayReader(tmp_path).damaged("c") == []


def is_found(folder):
    try:
        return ArrayReader(folder).damaged("c") != []
    except InputError:
        return True


@pytest.mark.parametrize("change", ["lost", "twice", "swapped"])
def test_lines_that_moved_are_found(tmp_path, change):
    written(tmp_path, {item: rows(ord(item)) for item in "abc"})
    index = tmp_path / "index.jsonl"
    layout, a, b, *rest = index.read_bytes().splitlines(keepends=True)
    moved = {"lost": [layout, b, *rest], "twice": [layout, a, a, b, *rest], "swapped": [layout, b, a, *rest]}[
        change
    ]
    index.write_bytes(b"".join(moved))
    with pytest.raises(InputError, match="is damaged"):
        ArrayReader(tmp_path)
    with pytest.raises(InputError, match="is damaged"):
        ArrayWriter(tmp_path, 4).open({})


def test_an_index_that_lost_whole_lines_at_its_end_lacks_what_should_be_there(tmp_path):
    written(tmp_path, {item: rows(ord(item)) for item in "abc"})
    index = tmp_path / "index.jsonl"
    index.write_bytes(b"".join(index.read_bytes().splitlines(keepends=True)[:-2]))
    assert ArrayReader(tmp_path).damaged("abc") == ["c"]


def test_swapped_shards_are_found(tmp_path):
    written(tmp_path, {"a": rows(1), "b": rows(2)})
    written(tmp_path, {"c": rows(3)}, acknowledged={"a": "a", "b": "b"}, keep="abc")
    one, other = (tmp_path / f"shard-0000{n}.bin" for n in (0, 1))
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)
    assert ArrayReader(tmp_path).damaged() == ["a", "b", "c"]


def test_rows_are_checked_as_they_are_read_where_that_is_asked_for(tmp_path):
    written(tmp_path, {"a": rows(1), "b": rows(2)})
    path = tmp_path / "shard-00000.bin"
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    assert np.array_equal(ArrayReader(tmp_path, check=True)["a"], rows(1))
    with pytest.raises(InputError, match=r"shard-00000.bin is damaged where b lies: delete .* and run again"):
        ArrayReader(tmp_path, check=True)["b"]


def test_an_index_of_before_lines_had_checksums_is_read_and_gone_on_with(tmp_path):
    import re

    written(tmp_path, {"a": rows(1), "b": rows(2)})
    index = tmp_path / "index.jsonl"
    index.write_text(re.sub(r', "before": \d+', "", index.read_text()))
    assert np.array_equal(ArrayReader(tmp_path)["b"], rows(2))
    written(tmp_path, {"c": rows(3)}, acknowledged={"a": "a", "b": "b"}, keep="abc")
    assert ArrayReader(tmp_path).damaged("abc") == []
    index.write_text(index.read_text().replace('"a"', '"z"', 1))  # what came later vouches for it
    with pytest.raises(InputError, match="is damaged"):
        ArrayReader(tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        "[1]",
        "null",
        '{"item": 3}',
        '{"item": "a", "rows": -1, "row": 0, "shard": 0}',
        '{"item": "a", "rows": 1.5, "row": 0, "shard": 0}',
        '{"item": "a", "rows": true, "row": 0, "shard": 0}',
        '{"item": "a", "rows": 1, "row": "0", "shard": 0}',
        '{"closed": "x"}',
        '{"closed": 1, "more": 2}',
        "[" * 100_000,
    ],
)
def test_lines_of_nonsense_are_damage(tmp_path, line):
    written(tmp_path, {"a": rows(1)})
    index = tmp_path / "index.jsonl"
    index.write_text(index.read_text() + line + "\n")
    with pytest.raises(InputError, match="is damaged"):
        ArrayReader(tmp_path)


def test_a_line_that_claims_more_than_there_is_takes_no_memory(tmp_path):
    written(tmp_path, {"a": rows(1)})
    index = tmp_path / "index.jsonl"
    huge = {"item": "b", "fingerprint": "b", "shard": 0, "row": 0, "rows": 10**12, "checksum": 1}
    index.write_text(index.read_text() + json.dumps(huge) + "\n")
    assert ArrayReader(tmp_path).damaged() == ["b"]


def test_a_shard_that_lost_its_end_is_not_gone_on_with(tmp_path):
    written(tmp_path, {"a": rows(1), "b": rows(2)})
    path = tmp_path / "shard-00000.bin"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(InputError, match=r"has lost its end: delete .* and run again"):
        ArrayWriter(tmp_path, 4).open({"a": "a", "b": "b"})


def test_another_width_starts_anew(tmp_path):
    written(tmp_path, {"a": rows(1), "b": rows(2)})
    written(tmp_path, {"a": rows(5, dim=6)}, dim=6, acknowledged={"a": "a", "b": "b"}, keep="a")
    reader = ArrayReader(tmp_path)
    assert reader.dim == 6
    assert list(reader.entries) == ["a"]
    assert np.array_equal(reader["a"], rows(5, dim=6))


class CrashingArrays(RuleBasedStateMachine):
    """Append, commit, acknowledge, crash anywhere, reopen: the acknowledged items are always there."""

    folder = None  # set by the test: a state machine takes no fixtures

    def __init__(self):
        super().__init__()
        CrashingArrays.count = getattr(CrashingArrays, "count", 0) + 1
        self.place = self.folder / str(CrashingArrays.count)
        self.ledger, self.expected = {}, {}
        self.block = {}
        self.committed = {}
        self.number = 0
        self.open()

    def open(self):
        self.writer = ArrayWriter(self.place, 4)
        self.writer.open(self.ledger)

    @rule(item=st.sampled_from("abcdef"), count=st.integers(0, 3))
    def append(self, item, count):
        self.number += 1
        data = rows(self.number, count)
        self.writer.append(item, f"f{self.number}", data)
        self.block[item] = (f"f{self.number}", data)

    @rule()
    def commit(self):
        self.writer.commit()
        self.committed |= self.block
        self.block = {}

    @precondition(lambda self: self.committed)
    @rule()
    def acknowledge(self):
        self.commit()
        for item, (fingerprint, data) in self.committed.items():
            self.ledger[item] = fingerprint
            self.expected[item] = data
        self.committed = {}

    @rule(torn=st.integers(0, 40))
    def crash(self, torn):
        self.writer.release()  # what was buffered may have reached the disk: it is not acknowledged
        if self.committed:  # the last line may be torn, as it is not acknowledged
            index = self.place / "index.jsonl"
            index.write_bytes(index.read_bytes()[: -torn or None])
        self.block, self.committed = {}, {}
        self.open()

    @precondition(lambda self: len(self.expected) > 1)
    @rule(data=st.data())
    def swap(self, data):
        self.acknowledge_all()
        one, other = data.draw(st.permutations(sorted(self.expected)))[:2]
        self.writer.alias({one: other, other: one})
        self.writer.commit()
        for kept in (self.ledger, self.expected):
            kept[one], kept[other] = kept[other], kept[one]

    def acknowledge_all(self):
        self.commit()
        if self.committed:
            self.acknowledge()

    @rule(gone=st.sampled_from("abcdef"))
    def close(self, gone):
        self.acknowledge_all()
        self.ledger.pop(gone, None)
        self.expected.pop(gone, None)
        self.writer.close(list(self.expected))
        self.sealed = bytes_of(self.place)
        reader = ArrayReader(self.place)
        assert reader.entries.keys() == self.expected.keys()
        assert all(np.array_equal(reader[i], data) for i, data in self.expected.items())
        assert reader.damaged() == []
        self.writer.release()
        self.open()

    sealed: dict = {}  # noqa: RUF012 replaced, never changed

    @invariant()
    def acknowledged_is_there(self):
        reader = ArrayReader(self.place)
        for item, data in self.expected.items():
            if item not in self.block and item not in self.committed:
                assert np.array_equal(reader[item], data)
        now = bytes_of(self.place)
        assert all(now[name] == data for name, data in self.sealed.items())

    def teardown(self):
        self.writer.release()


def test_arrays_survive_any_crash(tmp_path):
    CrashingArrays.folder = tmp_path
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(
        CrashingArrays, settings=settings(max_examples=40, stateful_step_count=25, deadline=None)
    )


# Tables

SCHEMA = pa.schema([("video_id", pa.string()), ("number", pa.int32())])


def table(item, *numbers):
    return pa.table({"video_id": [item] * len(numbers), "number": list(numbers)}, schema=SCHEMA)


def read(folder):
    found = {}
    for row in read_table(folder).to_pylist():
        found.setdefault(row["video_id"], []).append(row["number"])
    return found


def opened(folder, acknowledged=None):
    writer = TableWriter(folder, SCHEMA)
    writer.open(acknowledged or {})
    return writer


def put(writer, **items):
    """Append and commit {item: numbers} as one part; the fingerprint is made of the numbers."""
    for item, numbers in items.items():
        assert writer.append(item, str(numbers), table(item, *numbers)) == len(numbers)
    writer.commit()


def test_parts_are_merged_in_order(tmp_path):
    writer = opened(tmp_path)
    put(writer, a=[1, 2], b=[3])
    put(writer)  # nothing to commit
    put(writer, c=[4])
    writer.close("abc")
    assert read(tmp_path) == {"a": [1, 2], "b": [3], "c": [4]}
    assert not (tmp_path / "parts").exists()
    assert read_table(tmp_path, columns=["number"]).column_names == ["number"]


def test_nothing_at_all_is_an_empty_table(tmp_path):
    opened(tmp_path).close([])
    assert read_table(tmp_path).num_rows == 0
    assert read_table(tmp_path).schema.names == SCHEMA.names


def test_what_is_made_again_replaces_what_was(tmp_path):
    writer = opened(tmp_path)
    put(writer, a=[1, 2], b=[3])
    writer.close("ab")
    writer = opened(tmp_path)
    put(writer, a=[9])
    put(writer, a=[7, 8], c=[5])  # and once more
    writer.close("abc")
    assert read(tmp_path) == {"b": [3], "a": [7, 8], "c": [5]}
    opened(tmp_path).close("b")
    assert read(tmp_path) == {"b": [3]}


def test_a_part_that_nobody_acknowledged_is_thrown_away(tmp_path):
    writer = opened(tmp_path)
    put(writer, a=[1])
    put(writer, b=[2])  # killed before the ledger heard of it
    writer = opened(tmp_path, {"a": "[1]"})
    writer.close("ab")
    assert read(tmp_path) == {"a": [1]}


def test_an_acknowledged_part_stays(tmp_path):
    writer = opened(tmp_path)
    put(writer, a=[1])
    put(writer, b=[2])
    writer = opened(tmp_path, {"a": "[1]", "b": "[2]"})
    put(writer, c=[3])
    writer.close("abc")
    assert read(tmp_path) == {"a": [1], "b": [2], "c": [3]}


def test_a_torn_part_is_not_a_part(tmp_path):
    writer = opened(tmp_path)
    put(writer, a=[1])
    (tmp_path / "parts" / "00000001.parquet.tmp").write_bytes(b"PAR1 and then the power went")
    writer = opened(tmp_path, {"a": "[1]"})
    put(writer, b=[2])
    writer.close("ab")
    assert read(tmp_path) == {"a": [1], "b": [2]}


class Killed(Exception):
    """Where a test stops the program."""


def test_a_merge_that_was_killed_is_done_again(tmp_path, monkeypatch):
    """Killed before the new table, or behind it while the parts go: the same table comes out."""
    from tellvision.store import tables

    def kill(*_):
        raise Killed

    def begin(folder):
        writer = opened(folder)
        put(writer, a=[1], b=[2])
        writer.close("ab")
        writer = opened(folder)
        put(writer, a=[3], c=[4])
        put(writer, a=[5])
        return writer

    acknowledged = {"a": "[5]", "b": "[2]", "c": "[4]"}
    for number, (place, name) in enumerate([(tables, "_write"), (tables.shutil, "rmtree")]):
        writer = begin(tmp_path / str(number))
        with monkeypatch.context() as patched:
            patched.setattr(place, name, kill)
            with pytest.raises(Killed):
                writer.close("abc")
        opened(tmp_path / str(number), acknowledged).close("abc")
        assert read(tmp_path / str(number)) == {"a": [5], "b": [2], "c": [4]}


def test_parts_go_oldest_first_so_that_no_old_row_comes_back(tmp_path, monkeypatch):
    """A part that outlives a merge must not hold an older version of what the merge already has."""
    from pathlib import Path

    writer = opened(tmp_path)
    put(writer, a=[1])
    put(writer, b=[2])
    put(writer, a=[3])
    unlink, gone = Path.unlink, []

    def one_only(path, *arguments, **options):
        if path.suffix == ".parquet" and gone:
            raise Killed
        gone.append(path.name)
        unlink(path, *arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", one_only)
        with pytest.raises(Killed):
            writer.close("ab")
    assert gone == ["00000000.parquet"]
    opened(tmp_path, {"a": "[3]", "b": "[2]"}).close("ab")
    assert read(tmp_path) == {"a": [3], "b": [2]}


def test_a_table_that_is_not_there_or_damaged_is_one_line(tmp_path):
    with pytest.raises(InputError, match="is not finished: run"):
        read_table(tmp_path)
    (tmp_path / "table.parquet").write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(InputError, match=r"is damaged .*: delete .* and run again"):
        read_table(tmp_path)


def test_runs_of_rows_that_stand_together():
    assert store.runs_of(table("a"))[0] == []
    joined = pa.concat_tables([table("b", 1, 2), table("a", 3), table("c", 4, 5)])
    items, starts = store.runs_of(joined)
    assert (items, starts.tolist()) == (["b", "a", "c"], [0, 2, 3, 5])


def test_a_table_is_plain_parquet(tmp_path):
    writer = opened(tmp_path)
    put(writer, a=[1])
    writer.close("a")
    assert pq.read_schema(tmp_path / "table.parquet").names == ["video_id", "number"]


# Look-ups


def test_an_update_that_breaks_off_leaves_what_was():
    found = store.Lookup([("a", 1), ("b", 2)])

    def pairs():
        yield "a", 7
        yield "c", 3
        raise KeyError("on the way")

    with pytest.raises(KeyError, match="on the way"):
        found.update(pairs())
    with pytest.raises(UnicodeEncodeError):
        found.update([("d", 4), ("\udc80", 5)])
    assert [(key, found[key]) for key in found] == [("a", 1), ("b", 2)]
    found.update([("c", 3)])
    assert len(found) == 3


# Ledger


def test_what_is_acknowledged_is_there_after_reopening(tmp_path):
    done = Row("a", "f1", rows=3, dropped={"no_words": 2}, output="x", detail="ends at 3 of 9 s")
    lost = Row("b", "f2", status="skipped", reason="no_subtitles", detail="no file")
    with Ledger(tmp_path) as ledger:
        ledger.acknowledge("captions/main", [done, lost])
        ledger.acknowledge("clips/main", [Row("a", "other")])
    with Ledger(tmp_path) as ledger:
        assert ledger.rows("captions/main") == {"a": done, "b": lost}
        ledger.forget_skipped("captions/main", ["no_subtitles"])
        ledger.acknowledge("captions/main", [Row("a", "f3")])
        assert ledger.rows("captions/main") == {"a": Row("a", "f3")}
        assert ledger.rows("clips/main") == {"a": Row("a", "other")}
        attempts = ledger.db.execute("SELECT attempts FROM items WHERE stage = 'captions/main'").fetchall()
        assert attempts == [(2,)]


def test_an_acknowledgement_is_whole_or_not_at_all(tmp_path):
    with Ledger(tmp_path) as ledger:
        broken = Row("b", None)  # type: ignore[arg-type]
        with pytest.raises(sqlite3.IntegrityError):
            ledger.acknowledge("s", [Row("a", "f"), broken])
        assert ledger.rows("s") == {}
        ledger.acknowledge("s", [Row("a", "f")])
        assert list(ledger.rows("s")) == ["a"]


def test_a_ledger_can_be_looked_at_beside_its_driver(tmp_path):
    assert store.peek(tmp_path / "nowhere", "s") == {}
    with Ledger(tmp_path / "work") as ledger:
        ledger.acknowledge("s", [Row("a", "f", rows=2)])
        assert store.peek(tmp_path / "work", "s") == {"a": Row("a", "f", rows=2)}
        assert store.peek(tmp_path / "work", "other") == {}


def test_a_second_driver_is_refused_in_one_line(tmp_path):
    with Ledger(tmp_path), pytest.raises(InputError, match="another run is working in") as refused:
        Ledger(tmp_path)
    assert "\n" not in str(refused.value)
    Ledger(tmp_path).close()


def test_a_folder_that_is_no_work_folder_is_refused(tmp_path):
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty and not a work folder: name a new folder"):
        Ledger(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_a_file_is_no_work_folder(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(InputError, match="is a file: name a folder"):
        Ledger(tmp_path / "out")


def test_a_ledger_of_another_version_is_refused(tmp_path):
    Ledger(tmp_path).close()
    with sqlite3.connect(tmp_path / "ledger.sqlite") as db:
        db.execute("PRAGMA user_version = 7")
    db.close()
    with pytest.raises(InputError, match="has layout version 7, this tellvision reads 1: use the version"):
        Ledger(tmp_path)
    with pytest.raises(InputError, match="layout version 7"):  # and the lock was let go of
        Ledger(tmp_path)


def test_a_ledger_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "ledger.sqlite").write_bytes(b"nothing that SQLite wrote " * 100)
    with pytest.raises(InputError, match="cannot be used"):
        Ledger(tmp_path)


def test_a_ledger_killed_while_it_was_made_is_made(tmp_path):
    (tmp_path / "ledger.sqlite").touch()
    (tmp_path / "lock").touch()
    with Ledger(tmp_path) as ledger:
        assert ledger.rows("videos") == {}


def test_counts_add_up(tmp_path):
    rows = [
        Row("a", "f", rows=3, dropped={"no_words": 2}),
        Row("b", "f", rows=1, dropped={"no_words": 1, "after_end": 4}),
        Row("c", "f", status="skipped", reason="no_subtitles"),
        Row("d", "f", status="skipped", reason="no_subtitles", rows=1),
    ]
    with Ledger(tmp_path) as ledger:
        ledger.acknowledge("s", rows)
        ledger.acknowledge("other", [Row("e", "f", rows=9, dropped={"no_words": 9})])
        assert ledger.counts("s") == {
            "done": 2,
            "rows": 5,
            "skipped": {"no_subtitles": 2},
            "dropped": {"no_words": 3, "after_end": 4},
        }
        assert ledger.counts("none") == {"done": 0, "rows": 0, "skipped": {}, "dropped": {}}
        assert [row.item for row in ledger.skipped("s")] == ["c", "d"]
        assert list(ledger.holding("s")) == ["a", "b", "d"]
        assert dict(ledger.fingerprints("s")) == dict.fromkeys("abcd", "f")
        ledger.forget_skipped("s", ("other", "no_subtitles"))
        assert list(ledger.fingerprints("s")) == ["a", "b"]


# Manifests


def manifest(folder, **changed):
    values = {
        "stage": "clips/main",
        "config": {"min_time": 5.0},
        "inputs": {"captions": "abc"},
        "counts": {"rows": 1},
    }
    return store.write_manifest(folder, **(values | changed))


def test_the_same_state_has_the_same_name_and_bytes(tmp_path):
    first = manifest(tmp_path)
    data = (tmp_path / "manifest.json").read_bytes()
    assert manifest(tmp_path) == first
    assert (tmp_path / "manifest.json").read_bytes() == data
    assert read_manifest(tmp_path)["hash"] == first
    assert read_manifest(tmp_path)["config"] == {"min_time": 5.0}
    others = [
        manifest(tmp_path, config={"min_time": 6.0}),
        manifest(tmp_path, inputs={}),
        manifest(tmp_path, counts={}),
    ]
    assert len({first, *others}) == 4


def test_where_the_content_is_named_its_origin_does_not_matter(tmp_path):
    """So that a stage that gives the same again, from other inputs, starts nothing behind it."""
    named = manifest(tmp_path, counts={"rows": 1, "content": "abc"})
    assert manifest(tmp_path, counts={"rows": 1, "content": "abc"}, inputs={}) == named
    assert read_manifest(tmp_path)["hash"] == named
    assert manifest(tmp_path, counts={"rows": 1, "content": "other"}) != named
    assert manifest(tmp_path, counts={"rows": 1, "content": "abc"}, config={}) != named


def test_an_unfinished_folder_is_one_line(tmp_path):
    with pytest.raises(InputError, match="is not finished: run"):
        read_manifest(tmp_path)
    with pytest.raises(InputError, match="is not finished: run"):
        read_manifest(tmp_path / "nowhere")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b'{"schema": 1', b'{"schema": 1}'])
def test_a_damaged_manifest_is_one_line(tmp_path, content):
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(InputError, match=r"is damaged .* delete that file and run again"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("content", ["[]", "{}", '{"schema": 2}', '{"schema": "1"}', "7"])
def test_a_manifest_of_another_version_is_one_line(tmp_path, content):
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(InputError, match="has layout version"):
        read_manifest(tmp_path)


def test_writing_is_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "file"
    store.atomic_write(path, b"before")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        store.atomic_write(path, b"after")
    assert path.read_bytes() == b"before"


def test_a_digest_names_values_not_their_spelling():
    assert store.digest({"a": 1, "b": [1.5, "ä"]}) == store.digest({"b": [1.5, "ä"], "a": 1})
    assert store.digest("ab", "c") != store.digest("a", "bc")
    assert len(store.digest()) == 32


def test_threads_do_not_share_a_ledger(tmp_path):
    """The driver is the only writer: SQLite itself refuses a second thread."""
    wrong = []
    with Ledger(tmp_path) as ledger:

        def write():
            try:
                ledger.acknowledge("s", [Row("a", "f")])
            except sqlite3.ProgrammingError as error:
                wrong.append(error)

        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
    assert len(wrong) == 1


def test_manifests_hold_no_time_and_no_host(tmp_path):
    manifest(tmp_path)
    assert json.loads((tmp_path / "manifest.json").read_text()).keys() == {
        "schema",
        "stage",
        "config",
        "inputs",
        "counts",
    }
