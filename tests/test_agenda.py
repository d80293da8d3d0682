"""What there is to do, look-ups and tables read piece by piece: on disk, and equal to what plain Python says."""

import itertools

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tellvision import store
from tellvision.records import InputError
from tellvision.store import Agenda, Ledger, Lookup, Row, TableWriter, Wanted, batches, by_item, ids_of, tables

STAGE = "captions/main"
names = st.sampled_from(["a", "b", "B", "c/d", "ä", "it's", "x'; DROP TABLE items; --", "%", "_", " "])
prints = st.sampled_from(["f0", "f1", "f2"])
wanted_items = st.lists(st.builds(Wanted, names, prints, st.text(max_size=3)), max_size=12)
held_rows = st.dictionaries(
    names, st.tuples(prints, st.integers(0, 3), st.sampled_from(["done", "skipped"]), prints), max_size=10
)


def rows_of(held):
    return [Row(item, fp, status=status, rows=n, output=out) for item, (fp, n, status, out) in held.items()]


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "work") as ledger:
        yield ledger


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with Ledger(tmp_path_factory.mktemp("shared")) as ledger:
        yield ledger


def hold(ledger, held, other):
    for stage, rows in ((STAGE, held), ("clips/main", other)):
        ledger.forget_all(stage)
        ledger.acknowledge(stage, rows_of(rows))


# The agenda


def test_what_is_new_or_changed_is_to_be_done_and_what_is_not_wanted_is_gone(ledger):
    ledger.acknowledge(STAGE, [Row("same", "1", rows=2), Row("changed", "1", rows=1), Row("gone", "1", rows=1)])
    agenda = Agenda(ledger, STAGE, [Wanted("new", "1", "its input"), Wanted("same", "1"), Wanted("changed", "2")])
    assert (agenda.total, agenda.left, agenda.gone) == (3, 2, 1)
    assert list(agenda.todo()) == [Wanted("new", "1", "its input"), Wanted("changed", "2")]
    assert agenda.known() == {"new": "changed"}  # the first by name of those that have its fingerprint
    assert list(agenda.holding()) == ["same", "changed"]
    agenda.forget_gone()
    assert agenda.gone == 0
    assert ledger.row(STAGE, "gone") is None


def test_nothing_wanted_and_nothing_held(ledger):
    agenda = Agenda(ledger, STAGE, [])
    assert (agenda.total, agenda.left, agenda.gone) == (0, 0, 0)
    assert list(agenda.todo()) == list(agenda.holding()) == []
    assert agenda.known() == {}
    assert agenda.content() == Agenda(ledger, "clips/main", []).content()


def test_of_a_repeated_item_the_first_counts(ledger):
    agenda = Agenda(ledger, STAGE, [Wanted("a", "1", "x"), Wanted("b", "2", "y"), Wanted("a", "3", "z")])
    assert list(agenda.todo()) == [Wanted("a", "1", "x"), Wanted("b", "2", "y")]


def test_an_input_that_fails_leaves_the_ledger_as_it_was(ledger):
    ledger.acknowledge(STAGE, [Row("a", "1", rows=2)])

    def failing():
        yield Wanted("b", "1")
        raise InputError("the file breaks off")

    with pytest.raises(InputError, match="breaks off"):
        Agenda(ledger, STAGE, failing())
    assert dict(ledger.fingerprints(STAGE)) == {"a": "1"}
    assert list(Agenda(ledger, STAGE, [Wanted("c", "1")]).todo()) == [Wanted("c", "1")]


def test_what_is_acknowledged_on_the_way_changes_nothing_of_what_is_left(ledger):
    """Items are acknowledged while the rest of them are read, in pieces of a thousand."""
    wanted = [Wanted(f"v{n:05d}", "1", str(n)) for n in range(2500)]
    ledger.acknowledge(STAGE, [Row(one.item, "1", rows=1) for one in wanted[::7]])
    agenda = Agenda(ledger, STAGE, iter(wanted))
    expected = [one for place, one in enumerate(wanted) if place % 7]
    assert agenda.left == len(expected)
    seen = []
    for one in agenda.todo():
        seen.append(one)
        if len(seen) % 100 == 0:
            ledger.acknowledge(STAGE, [Row(late.item, "1", rows=1) for late in seen[-100:]])
    assert seen == expected


def test_the_input_may_read_the_same_ledger(ledger):
    """A stage wants what another holds, and asks for it row by row."""
    ledger.acknowledge("clips/main", [Row(f"v{n:04d}", "1", rows=1) for n in range(1500)])
    agenda = Agenda(
        ledger,
        STAGE,
        (Wanted(item, ledger.row("clips/main", item).fingerprint) for item in ledger.holding("clips/main")),
    )
    assert agenda.left == 1500


@settings(max_examples=150, deadline=None)
@given(wanted=wanted_items, held=held_rows, other=held_rows)
def test_it_equals_plain_dictionaries(shared, wanted, held, other):
    hold(shared, held, other)
    agenda = Agenda(shared, STAGE, iter(wanted))
    first = {}
    for one in wanted:
        first.setdefault(one.item, one)
    todo = [one for one in first.values() if held.get(one.item, ("none",))[0] != one.fingerprint]
    assert agenda.total == len(first)
    assert agenda.left == len(todo)
    assert agenda.gone == len(held.keys() - first.keys())
    assert list(agenda.todo()) == todo
    bearers = {one.item: [i for i, (fp, n, *_) in held.items() if fp == one.fingerprint and n] for one in todo}
    known = {item: min(found, key=str.encode) for item, found in bearers.items() if found}
    assert agenda.known() == known
    holding = agenda.holding()
    assert list(holding) == [item for item in first if item in held and held[item][1] > 0]
    assert len(holding) == len(list(holding))
    assert all((item in holding) == (item in list(holding)) for item in (*first, *held, "nobody"))
    agenda.strike(known)
    assert list(agenda.todo()) == [one for one in todo if one.item not in known]
    assert agenda.left == len(todo) - len(known)
    agenda.forget_gone()
    assert dict(shared.fingerprints(STAGE)) == {i: fp for i, (fp, *_) in held.items() if i in first}
    assert dict(shared.fingerprints("clips/main")) == {i: fp for i, (fp, *_) in other.items()}


@settings(max_examples=100, deadline=None)
@given(wanted=wanted_items, one=held_rows, other=held_rows)
def test_content_names_what_came_out_in_the_order_of_the_input(shared, wanted, one, other):
    def content(held, wanted=wanted):
        hold(shared, held, {})
        return Agenda(shared, STAGE, wanted).content()

    def seen(held):
        items = dict.fromkeys(w.item for w in wanted)
        return [(i, held[i][2], held[i][3]) for i in items if i in held]

    assert (content(one) == content(other)) == (seen(one) == seen(other))
    assert content(one) == content({i: ("x", n, s, out) for i, (_, n, s, out) in one.items()})


# Look-ups


values = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    st.binary(max_size=5),
)
keys = st.text(st.characters(exclude_categories=["Cs"]), max_size=3)


@settings(max_examples=150, deadline=None)
@given(
    pairs=st.lists(st.tuples(keys, values), max_size=12), more=st.lists(st.tuples(keys, values), max_size=4),
    asked=keys,
)  # fmt: skip
def test_a_lookup_is_a_dictionary(pairs, more, asked):
    lookup, expected = Lookup(iter(pairs)), dict(pairs)
    for added in ([], more):
        lookup.update(iter(added))
        expected.update(added)
        assert len(lookup) == len(expected)
        assert list(lookup) == sorted(expected)  # by code points
        assert all(lookup[key] == value and lookup.get(key) == value for key, value in expected.items())
        assert (asked in lookup) == (asked in expected)
        assert lookup.get(asked) == expected.get(asked)
    if asked not in expected:
        with pytest.raises(KeyError):
            lookup[asked]


def test_a_lookup_can_be_asked_while_it_is_gone_through():
    lookup = Lookup((f"{n:04d}", n) for n in range(2000))
    assert [lookup[key] for key in lookup] == list(range(2000))


# Tables


SCHEMA = pa.schema([("video_id", pa.string()), ("number", pa.int32()), ("text", pa.string())])


def table(item, numbers):
    columns = {"video_id": [item] * len(numbers), "number": numbers, "text": [f"{item} {n}" for n in numbers]}
    return pa.table(columns, schema=SCHEMA)


def write(folder, items, keep=None):
    """Write {item: numbers} as one part and close on `keep`."""
    writer = TableWriter(folder, SCHEMA)
    writer.open({})
    for item, numbers in items.items():
        writer.append(item, "f", table(item, numbers))
    writer.commit()
    writer.close(list(items) if keep is None else keep)


def read(folder, **options):
    return [(item, rows.to_pydict()) for item, rows in by_item(folder, **options)]


def runs_of_slow(table):
    return [(item, list(rows)) for item, rows in itertools.groupby(table.to_pylist(), lambda row: row["video_id"])]


@settings(max_examples=60, deadline=None)
@given(
    items=st.dictionaries(names, st.lists(st.integers(0, 99), max_size=7), max_size=7),
    at_once=st.sampled_from([1, 2, 3, 5, 1000]),
)
def test_pieces_give_what_the_whole_gives(tmp_path_factory, items, at_once):
    folder = tmp_path_factory.mktemp("table")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tables, "ROWS_AT_ONCE", at_once)
        write(folder, items)
        whole = store.read_table(folder)
        expected = runs_of_slow(whole)
        assert {i: [row["number"] for row in rows] for i, rows in expected} == {
            i: n for i, n in items.items() if n
        }
        assert [(item, rows.to_pylist()) for item, rows in by_item(folder)] == expected
        assert list(ids_of(folder)) == [item for item, _ in expected]
        pieces = list(batches(folder))
        assert all(0 < piece.num_rows <= at_once for piece in pieces)
        assert [row for piece in pieces for row in piece.to_pylist()] == whole.to_pylist()
        some = [rows.to_pylist() for _, rows in by_item(folder, ["video_id", "number"])]
        assert some == [[{"video_id": r["video_id"], "number": r["number"]} for r in rows] for _, rows in expected]


changes = st.lists(
    st.tuples(st.dictionaries(names, st.lists(st.integers(0, 9), max_size=3), max_size=4), st.sets(names)),
    min_size=1,
    max_size=4,
)


@settings(max_examples=60, deadline=None)
@given(rounds=changes, at_once=st.sampled_from([1, 2, 1000]))
def test_rounds_of_changes_leave_each_items_newest_rows(tmp_path_factory, rounds, at_once):
    """Items come, come again and go, in any order: each is in the table as it came last, its rows together."""
    folder, expected = tmp_path_factory.mktemp("table"), {}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tables, "ROWS_AT_ONCE", at_once)
        for items, gone in rounds:
            expected = {i: n for i, n in (expected | items).items() if i not in gone}
            write(folder, items, keep=list(expected))
            found = read(folder)
            # An item without rows now keeps those that it had: the ledger does not hold it then.
            assert len({item for item, _ in found}) == len(found)
            assert {i: c["number"] for i, c in found if expected[i]} == {i: n for i, n in expected.items() if n}


def test_another_key_names_the_items(tmp_path):
    schema = pa.schema([("id", pa.string()), ("title", pa.string())])
    writer = TableWriter(tmp_path, schema, key="id")
    writer.open({})
    writer.append("a", "f", pa.table({"id": ["a"], "title": ["Eggs"]}, schema=schema))
    writer.commit()
    writer.close(["a"])
    assert [(item, rows["title"].to_pylist()) for item, rows in by_item(tmp_path, key="id")] == [("a", ["Eggs"])]
    assert list(ids_of(tmp_path, "id")) == ["a"]


def test_an_empty_table_has_no_items(tmp_path):
    write(tmp_path, {})
    assert list(by_item(tmp_path)) == list(ids_of(tmp_path)) == []
    assert sum(piece.num_rows for piece in batches(tmp_path)) == 0


def test_an_item_over_several_pieces_comes_once(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "ROWS_AT_ONCE", 2)
    write(tmp_path, {"a": [1], "b": [1, 2, 3, 4, 5], "c": [1]})
    assert [(item, rows["number"].to_pylist()) for item, rows in by_item(tmp_path)] == [
        ("a", [1]), ("b", [1, 2, 3, 4, 5]), ("c", [1]),
    ]  # fmt: skip
    assert list(ids_of(tmp_path)) == ["a", "b", "c"]


@pytest.mark.parametrize("look", [by_item, ids_of, batches])
def test_a_table_that_is_not_there_or_damaged_is_one_line(tmp_path, look):
    with pytest.raises(InputError, match="is not finished: run"):
        next(look(tmp_path))
    (tmp_path / "table.parquet").write_bytes(b"no table at all")
    with pytest.raises(InputError, match=r"table\.parquet is damaged"):
        next(look(tmp_path))


def test_a_few_rows_travel_without_their_table():
    whole = table("a", list(range(5000)))
    part = whole.slice(10, 2)
    data = store.to_bytes(part)
    assert len(data) < 2000
    assert store.from_bytes(data).equals(part)
    assert store.from_bytes(store.to_bytes(whole.slice(0, 0))).num_rows == 0
