"""Bringing a stage up to date: what is left to do, what is lost, stopped and gone on."""

import json

import numpy as np
import pytest

from tellvision.records import InputError, Skip
from tellvision.runners import Result
from tellvision.stages.advance import Shared, Stage, advance, advance_together, require_share
from tellvision.store import ArrayReader, ArrayWriter, Ledger, Row, Wanted, read_manifest


def vector(number):
    if number < 0:
        raise Skip("negative", f"{number} is below zero")
    return Result(
        np.full((1 + int(number) % 3, 4), number, np.float16),
        f"of {int(number)}",
        note="odd" if number % 2 else "",
    )


def mended(number):
    return vector(abs(number))


class Room:
    """A work folder with one stage that turns numbers into rows."""

    def __init__(self, work):
        self.work, self.worked_on = work, []

    def advance(self, numbers, *, function=vector, config=None, workers=0, commit_every=1, inputs=None, **options):
        stage = Stage(
            name="vectors/main", config=config or {"dim": 4}, inputs=inputs or {}, commit_every=commit_every
        )
        with Ledger(self.work) as ledger:
            self.worked_on, self.progress = [], []

            def payloads(todo):
                for one in todo:
                    self.worked_on.append(one.item)
                    yield one.item, numbers[one.item]

            self.counts = advance(
                stage,
                self.work,
                ledger,
                ArrayWriter(self.folder, stage.config["dim"]),
                wanted=(Wanted(item, stage.fingerprint(number)) for item, number in numbers.items()),
                payloads=payloads,
                function=function,
                workers=workers,
                progress=lambda done, total: self.progress.append((done, total)),
                **options,
            )
            assert self.counts["items"] == len(numbers)
            return ledger.rows(stage.name)

    @property
    def folder(self):
        return self.work / "vectors" / "main"

    @property
    def manifest(self):
        return read_manifest(self.folder)

    def values(self):
        reader = ArrayReader(self.folder)
        assert reader.damaged() == []
        return {item: (float(reader[item][0, 0]), len(reader[item])) for item in reader.entries}


def expected(numbers):
    return {item: (n, 1 + n % 3) for item, n in numbers.items() if n >= 0}


@pytest.fixture
def room(tmp_path):
    return Room(tmp_path / "work")


NUMBERS = {"a": 1, "b": 2, "c": -3, "d": 4}


def test_a_stage_holds_what_it_should_and_says_what_it_lost(room):
    found = room.advance(NUMBERS)
    assert room.values() == expected(NUMBERS)
    assert found["a"].detail == "odd"
    assert (found["c"].status, found["c"].reason, found["c"].detail) == ("skipped", "negative", "-3 is below zero")
    assert room.manifest["counts"]["skipped"] == {"negative": 1}
    assert room.manifest["counts"]["done"] == 3
    assert room.manifest["counts"]["rows"] == 2 + 3 + 2
    assert room.manifest["counts"]["items"] == 4
    assert room.progress == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]


def test_with_nothing_to_do_nothing_is_written(room):
    room.advance(NUMBERS)
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in room.folder.iterdir()}
    found = room.advance(NUMBERS)
    assert room.worked_on == []
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in room.folder.iterdir()} == before
    assert list(found) == ["a", "b", "c", "d"]


def test_only_the_difference_is_worked_on(room):
    room.advance(NUMBERS)
    changed = {"b": 2, "d": 40, "e": 5}  # a and c went, d changed, e is new
    found = room.advance(changed)
    assert room.worked_on == ["d", "e"]
    assert room.values() == expected(changed)
    assert sorted(found) == ["b", "d", "e"]
    fresh = Room(room.work.parent / "fresh")
    fresh.advance(changed)
    assert fresh.values() == room.values()
    assert fresh.manifest["counts"]["content"] == room.manifest["counts"]["content"]


def test_a_renamed_item_is_not_worked_on_again(room):
    room.advance(NUMBERS)
    room.advance({"z": 1, "b": 2, "c": -3, "d": 4})
    assert room.worked_on == []
    assert room.values() == {"z": (1, 2), "b": (2, 3), "d": (4, 2)}


def test_items_that_swap_their_names_swap_their_rows(room):
    room.advance(NUMBERS)
    swapped = {"a": 2, "b": 4, "c": -3, "d": 1}
    room.advance(swapped)
    assert room.worked_on == []
    assert room.values() == expected(swapped)


def test_an_item_that_can_be_read_no_more_goes(room):
    room.advance(NUMBERS)
    room.advance(NUMBERS | {"d": -1})
    assert room.values() == expected({"a": 1, "b": 2})
    room.advance(NUMBERS)
    assert room.worked_on == ["d"]
    assert room.values() == expected(NUMBERS)


def test_another_configuration_makes_all_anew(room):
    room.advance(NUMBERS)
    before = room.manifest["hash"]
    room.advance(NUMBERS, config={"dim": 4, "more": True})
    assert room.worked_on == list(NUMBERS)
    assert room.values() == expected(NUMBERS)
    assert room.manifest["hash"] != before


def test_other_inputs_rewrite_the_manifest_alone(room):
    room.advance(NUMBERS)
    before = room.manifest["hash"]
    room.advance(NUMBERS, inputs={"videos": "abc"})
    assert room.worked_on == []
    assert room.manifest["inputs"] == {"videos": "abc"}
    assert room.manifest["hash"] == before


def test_an_equal_output_starts_nothing_downstream(room):
    """The manifest names what came out: a file that was only touched leaves it as it was."""
    room.advance(NUMBERS)
    before = (room.folder / "manifest.json").read_bytes()
    room.advance(NUMBERS | {"a": 1.0})  # another fingerprint, the same vector
    assert room.worked_on == ["a"]
    assert (room.folder / "index.jsonl").read_text().count('"item": "a"') == 2
    found = read_manifest(room.folder)["counts"]
    assert found["content"] == json.loads(before)["counts"]["content"]


class Stopped(BaseException):
    """Where a test stops a run."""


def stop_at(last):
    def work(number):
        if number == last:
            raise Stopped
        return vector(number)

    return work


@pytest.mark.parametrize("commit_every", [1, 2, 100])
@pytest.mark.parametrize("last", [1, 2, 4])
def test_a_stage_goes_on_where_it_stopped(room, last, commit_every):
    with pytest.raises(Stopped):
        room.advance(NUMBERS, function=stop_at(last), commit_every=commit_every)
    with pytest.raises(InputError, match="not finished"):
        read_manifest(room.folder)
    done = list(NUMBERS).index({1: "a", 2: "b", 4: "d"}[last])
    acknowledged = done - done % commit_every
    room.advance(NUMBERS, commit_every=commit_every)
    assert room.worked_on == list(NUMBERS)[acknowledged:]
    assert room.values() == expected(NUMBERS)
    assert room.progress[0] == (acknowledged, 4)
    straight = Room(room.work.parent / "straight")
    straight.advance(NUMBERS, commit_every=commit_every)
    for name in ("shard-00000.bin", "index.jsonl", "manifest.json"):
        assert (room.folder / name).read_bytes() == (straight.folder / name).read_bytes()


def test_a_folder_that_was_thrown_away_is_made_again(room):
    room.advance(NUMBERS)
    before = (room.folder / "manifest.json").read_bytes()
    for path in room.folder.iterdir():
        path.unlink()
    room.folder.rmdir()
    room.advance(NUMBERS)
    assert room.worked_on == list(NUMBERS)
    assert room.values() == expected(NUMBERS)
    assert (room.folder / "manifest.json").read_bytes() == before


def test_a_folder_that_was_thrown_away_is_made_again_although_killed_in_between(room):
    room.advance(NUMBERS)
    for path in room.folder.iterdir():
        path.unlink()
    room.folder.rmdir()
    with pytest.raises(Stopped):
        room.advance({i: n for i, n in NUMBERS.items() if i != "b"}, function=stop_at(1))
    room.advance(NUMBERS)
    assert room.worked_on == list(NUMBERS)
    assert room.values() == expected(NUMBERS)


def test_skips_are_tried_again_where_asked(room):
    room.advance(NUMBERS)
    for retry, tried in (((), []), (("other",), []), (("negative",), ["c"]), (("all",), ["c"])):
        room.advance(NUMBERS, retry=retry)
        assert room.worked_on == tried
    room.advance(NUMBERS, retry=("negative",), function=mended)
    assert room.values() == expected(NUMBERS | {"c": 3})


def test_what_was_left_out_before_is_counted_too(room):
    for _ in range(2):  # worked on, then found done
        room.advance(NUMBERS, dropped={"bad_id": 2})
        assert room.counts["dropped"] == {"bad_id": 2}
        assert room.manifest["counts"]["dropped"] == {"bad_id": 2}


def test_workers_give_the_same_stage(room):
    numbers = {f"v{n:02d}": n if n % 7 else -n - 1 for n in range(20)}
    room.advance(numbers, workers=2)
    alone = Room(room.work.parent / "alone")
    alone.advance(numbers)
    for name in ("shard-00000.bin", "index.jsonl", "manifest.json"):
        assert (room.folder / name).read_bytes() == (alone.folder / name).read_bytes()


def test_items_handed_over_together_give_the_same_stage(room):
    numbers = {f"v{n:02d}": n if n % 7 else -n - 1 for n in range(20)}
    with Ledger(room.work) as ledger:
        stage = Stage(name="vectors/main", config={"dim": 4}, inputs={}, commit_every=6)
        advance(
            stage,
            room.work,
            ledger,
            ArrayWriter(room.folder, 4),
            wanted=[Wanted(item, stage.fingerprint(number), str(number)) for item, number in numbers.items()],
            payloads=lambda todo: ((one.item, int(one.input)) for one in todo),
            function=vector,
            workers=2,
            at_once=3,
        )
    alone = Room(room.work.parent / "alone")
    alone.advance(numbers)
    for name in ("shard-00000.bin", "index.jsonl", "manifest.json"):
        assert (room.folder / name).read_bytes() == (alone.folder / name).read_bytes()


def test_an_item_that_goes_away_meanwhile_is_skipped(room):
    with Ledger(room.work) as ledger:
        stage = Stage(name="vectors/main", config={"dim": 4}, inputs={})
        counts = advance(
            stage,
            room.work,
            ledger,
            ArrayWriter(room.folder, 4),
            wanted=[Wanted(item, stage.fingerprint(number), str(number)) for item, number in NUMBERS.items()],
            payloads=lambda todo: ((one.item, int(one.input)) for one in todo if one.item != "b"),
            function=vector,
        )
    assert counts["skipped"] == {"gone": 1, "negative": 1}
    assert room.values() == expected({"a": 1, "d": 4})


def test_a_stage_stops_where_too_much_is_skipped(tmp_path):
    rows = [Row(f"v{n}", "f", status="skipped", reason="no_subtitles", detail="none") for n in range(3)]
    rows += [Row("w", "f", status="skipped", reason="empty_subtitles", detail="w.vtt is empty"), Row("good", "f")]
    with Ledger(tmp_path) as ledger:
        ledger.acknowledge("captions/main", rows)
        counts = ledger.counts("captions/main") | {"items": 5}
        require_share("captions/main", ledger, {"skipped": {}, "items": 0}, 0.0)
        require_share("captions/main", ledger, counts, 0.8)
        with pytest.raises(InputError) as refused:
            require_share("captions/main", ledger, counts, 0.79)
    line = str(refused.value)
    assert "\n" not in line
    assert "captions: 4 of 5 cannot be used (3 no_subtitles, 1 empty_subtitles), e.g. v0: none" in line
    assert "--max-skipped" in line


# Several stages from the same items in one go


def halves(job):
    """For each stage that lacks the number: its double or its half."""
    number, stages = job
    if number < 0:
        raise Skip("negative", f"{number} is below zero")
    found = {"twice": number * 2, "half": number / 2}
    rows = {name: np.full((1, 4), found[name.rpartition("/")[2]], np.float16) for name in stages}
    return Result({name: Result(values, f"{values[0, 0]}") for name, values in rows.items()}, "")


class Together:
    """A work folder with two stages that are made from the same numbers."""

    def __init__(self, work):
        self.work, self.worked_on, self.told = work, [], []

    def advance(self, numbers, *names, function=halves, retry=()):
        self.worked_on, self.told = [], []
        stages = [Stage(name=f"vectors/main/{name}", config={"what": name}, inputs={}) for name in names]

        def payloads(todo):
            for one in todo:
                assert isinstance(one, Shared)
                assert one.input == f"input of {one.item}"
                self.worked_on.append((one.item, [name.rpartition("/")[2] for name in one.stages]))
                yield one.item, (numbers[one.item], one.stages)

        with Ledger(self.work) as ledger:
            return advance_together(
                [(stage, ArrayWriter(self.work / stage.name, 4)) for stage in stages],
                self.work,
                ledger,
                wanted=lambda stage: (
                    Wanted(item, stage.fingerprint(numbers[item]), f"input of {item}") for item in sorted(numbers)
                ),
                payloads=payloads,
                function=function,
                retry=retry,
                progress=lambda *told: self.told.append(told),
            )

    def values(self, name):
        reader = ArrayReader(self.work / "vectors/main" / name)
        return {item: float(reader[item][0, 0]) for item in reader.entries}


def test_an_item_is_worked_on_once_for_all_that_lack_it(tmp_path):
    room = Together(tmp_path / "work")
    room.advance({"a": 1, "b": 2}, "half")
    assert room.worked_on == [("a", ["half"]), ("b", ["half"])]
    counts = room.advance({"a": 1, "b": 2, "c": 3}, "twice", "half")
    assert room.worked_on == [("a", ["twice"]), ("b", ["twice"]), ("c", ["twice", "half"])]
    assert [told[:3] for told in room.told] == [(1, 3, "a"), (2, 3, "b"), (3, 3, "c")]
    assert room.values("twice") == {"a": 2, "b": 4, "c": 6}
    assert room.values("half") == {"a": 0.5, "b": 1, "c": 1.5}
    assert {name: one["rows"] for name, one in counts.items()} == {"vectors/main/twice": 3, "vectors/main/half": 3}
    assert room.advance({"a": 1, "b": 2, "c": 3}, "half", "twice") == dict(reversed(counts.items()))
    assert room.worked_on == room.told == []


def test_a_skip_is_one_of_every_stage_that_lacked_it(tmp_path):
    room = Together(tmp_path / "work")
    counts = room.advance({"a": -1, "b": 2}, "twice", "half")
    assert [one["skipped"] for one in counts.values()] == [{"negative": 1}] * 2
    assert [(told[2], told[3] and told[3].reason) for told in room.told] == [("a", "negative"), ("b", None)]
    room.advance({"a": -1, "b": 2}, "twice", "half")
    assert room.worked_on == []

    def mend(job):
        return halves((abs(job[0]), job[1]))

    room.advance({"a": -1, "b": 2}, "half", function=mend, retry=("negative",))
    assert room.worked_on == [("a", ["half"])]
    assert room.values("half") == {"a": 0.5, "b": 1}
    assert room.values("twice") == {"b": 4}


def test_a_skip_of_one_stage_is_its_own(tmp_path):
    room = Together(tmp_path / "work")

    def one_fails(job):
        made = halves(job)
        return Result({**made.output, "vectors/main/half": Skip("odd", "1")}, "")

    counts = room.advance({"a": 1}, "twice", "half", function=one_fails)
    assert [one["skipped"] for one in counts.values()] == [{}, {"odd": 1}]
    assert room.told[0][3].reason == "odd"
    assert room.values("twice") == {"a": 2}
    assert room.values("half") == {}


@pytest.mark.parametrize("damage", ["index", "shard"])
def test_a_damaged_folder_is_one_line_when_something_is_added(room, damage):
    room.advance(NUMBERS)
    if damage == "index":
        path = room.folder / "index.jsonl"
        path.write_bytes(path.read_bytes().replace(b"shard", b"shird", 1))
    else:
        path = room.folder / "shard-00000.bin"
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"delete .* and run again"):
        room.advance(NUMBERS | {"e": 5})


def test_what_went_away_goes_from_every_stage(tmp_path):
    room = Together(tmp_path / "work")
    room.advance({"a": 1, "b": 2}, "twice", "half")
    room.advance({"b": 2}, "twice", "half")
    assert room.worked_on == []
    assert list(room.values("twice")) == list(room.values("half")) == ["b"]


def test_stopped_together_and_gone_on(tmp_path):
    straight = Together(tmp_path / "straight")
    numbers = {name: n for n, name in enumerate("abcdef")}
    straight.advance(numbers, "twice", "half")
    room = Together(tmp_path / "stopped")

    def stop(job):
        if job[0] == 3:
            raise InputError("stopped")
        return halves(job)

    with pytest.raises(InputError, match="stopped"):
        room.advance(numbers, "twice", "half", function=stop)
    room.advance(numbers, "twice", "half")
    assert [item for item, _ in room.worked_on] == ["d", "e", "f"]
    for name in ("twice", "half"):
        assert room.values(name) == straight.values(name)
        for file in ("index.jsonl", "shard-00000.bin", "manifest.json"):
            left, right = (one.work / "vectors/main" / name / file for one in (room, straight))
            assert left.read_bytes() == right.read_bytes(), file
