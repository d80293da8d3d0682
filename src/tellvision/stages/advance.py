"""Stages brought up to date with what they should hold, one, or several that are made together.

    wanted: item, fingerprint, input -> agenda -> payloads -> map_items -> writer -> ledger -> manifest

Only items that are new or whose input changed are worked on; output is on disk before the ledger says
so, and the manifest closes the folder. Whatever the number of items, memory holds a block of them.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, repeat
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

from tellvision.records import InputError, Skip
from tellvision.runners import Cluster, ProgressCallback, Result, map_items, no_progress
from tellvision.store import MANIFEST, Agenda, Ledger, Row, Wanted, digest, is_current, write_manifest

WORTH_A_PROCESS = 8  # hand-overs of light items, with fewer of which it is not worth to start processes
Payload = TypeVar("Payload")
Output = TypeVar("Output")


class Writer(Protocol):
    """Where a stage's output goes; on disk after `commit`."""

    def open(self, acknowledged: Mapping[str, str]) -> None:
        """Cut off what was written but is not among these items with these fingerprints."""

    def append(self, item: str, fingerprint: str, rows: Any) -> int:
        """Take the output of one item; returns its number of rows."""

    def has_output(self) -> bool:
        """Whether anything was written before; asked before `open`."""

    def commit(self) -> None:
        """Put what was appended on disk."""

    def close(self, items: Collection[str]) -> dict[str, Any]:
        """Leave only `items`; returns what the manifest should say of the folder."""

    def release(self) -> None:
        """Let go of what is open, finished or not."""


@runtime_checkable
class Aliasing(Protocol):
    """A writer that can give items the rows of others."""

    def alias(self, names: Mapping[str, str]) -> None:
        """Give each item (key) the rows that another (value) has now."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One item-wise stage of the chain and where its output lies.

    Attributes:
        name: `captions/main` and so on, also the folder below the work folder.
        config: its full configuration as JSON values.
        inputs: name -> manifest hash of what it is made from.
        commit_every: items that are put on disk and acknowledged together.
    """

    name: str
    config: dict[str, Any]
    inputs: dict[str, str]
    commit_every: int = 1

    def fingerprint(self, *inputs: object) -> str:
        """Names one item's input together with this stage's configuration."""
        return digest(self.name, self.config, *inputs)


class Shared(NamedTuple):
    """An item that several stages made in one go should hold.

    Attributes:
        item: its name.
        input: what was handed over with it.
        stages: the names of those stages that lack it, in their order.
    """

    item: str
    input: str
    stages: tuple[str, ...]


class _Folder:
    """One stage's folder while it is brought up to date."""

    def __init__(
        self,
        stage: Stage,
        work: Path,
        ledger: Ledger,
        writer: Writer,
        wanted: Iterable[Wanted],
        retry: Collection[str],
        dropped: Mapping[str, int] | None = None,
    ) -> None:
        self.stage, self._work, self._ledger, self._writer, self._dropped = stage, work, ledger, writer, dropped
        if not writer.has_output():  # or thrown away by hand: then its items are as good as new
            ledger.forget_all(stage.name)
        ledger.forget_skipped(stage.name, retry)
        self.agenda = Agenda(ledger, stage.name, wanted)
        self._underway: dict[str, str] = {}
        self._block: list[Row] = []

    def is_current(self) -> bool:
        """Whether there is nothing to do."""
        nothing = not self.agenda.left and not self.agenda.gone
        return nothing and is_current(self._work / self.stage.name, self.stage.config, self.stage.inputs)

    def open(self) -> None:
        """From here on the folder is unfinished."""
        (self._work / self.stage.name / MANIFEST).unlink(missing_ok=True)
        self._writer.open(self._ledger.fingerprints(self.stage.name))
        self._take_over()

    def todo(self) -> Iterator[Wanted]:
        """What is to be worked on; each is owed an answer by `take`."""
        for one in self.agenda.todo():
            self._underway[one.item] = one.fingerprint
            yield one

    def take(self, item: str, result: Result[Any] | Skip) -> None:
        """What came of an item: on disk and in the ledger, or soon."""
        self._block.append(self._row(item, self._underway.pop(item), result))
        if len(self._block) >= self.stage.commit_every:
            self._commit()

    def finish(self) -> None:
        """Close the folder with its manifest."""
        gone = Skip("gone", "it went away while the stage was at work")
        self._block += [self._row(item, known, gone) for item, known in self._underway.items()]
        self._commit()
        self.agenda.forget_gone()
        layout = self._writer.close(self.agenda.holding())
        # What came out, not what it was made from: a file that was only touched starts nothing downstream.
        write_manifest(
            self._work / self.stage.name,
            stage=self.stage.name,
            config=self.stage.config,
            inputs=self.stage.inputs,
            counts=self.counts() | layout | {"content": self.agenda.content()},
        )

    def release(self) -> None:
        """Let go of the files, finished or not."""
        self._writer.release()
        self.agenda.close()

    def counts(self) -> dict[str, Any]:
        """What the manifest counts."""
        counts = self._ledger.counts(self.stage.name)
        every = Counter(counts["dropped"]) + Counter(self._dropped)
        return counts | {"dropped": dict(every), "items": self.agenda.total}

    def _commit(self) -> None:
        self._writer.commit()
        self._ledger.acknowledge(self.stage.name, self._block)
        self._block = []

    def _take_over(self) -> None:
        """Where a fingerprint does not hold the item's name, a renamed item has its rows already."""
        known = self.agenda.known() if isinstance(self._writer, Aliasing) else {}
        if not known:
            return
        rows = {item: self._ledger.row(self.stage.name, other) for item, other in known.items()}
        self._writer.alias(known)  # type: ignore[attr-defined]
        self._writer.commit()
        self._ledger.acknowledge(self.stage.name, [replace(row, item=item) for item, row in rows.items() if row])
        self.agenda.strike(known)

    def _row(self, item: str, fingerprint: str, result: Result[Any] | Skip) -> Row:
        if isinstance(result, Skip):
            return Row(item, fingerprint, status="skipped", reason=result.reason, detail=result.detail)
        rows = self._writer.append(item, fingerprint, result.output)
        row = Row(item, fingerprint, detail=result.note, rows=rows, dropped=result.dropped, output=result.digest)
        if result.skip is None:
            return row
        return replace(row, status="skipped", reason=result.skip.reason, detail=result.skip.detail)


def advance(
    stage: Stage,
    work: Path,
    ledger: Ledger,
    writer: Writer,
    *,
    wanted: Iterable[Wanted],
    payloads: Callable[[Iterator[Wanted]], Iterable[tuple[str, Payload]]],
    function: Callable[[Payload], Result[Output]],
    workers: int | Cluster = 0,
    at_once: int = 1,
    retry: Collection[str] = (),
    dropped: Mapping[str, int] | None = None,
    progress: ProgressCallback = no_progress,
) -> dict[str, Any]:
    """Bring `stage` up to date and return what its manifest counts.

    Args:
        stage: name, configuration and inputs.
        work: the work folder.
        ledger: takes the acknowledgements.
        writer: takes the output.
        wanted: all items that the stage should hold, in the order of the input.
        payloads: gives item and what `function` needs for it, for each of the items that it is handed,
            in their order, as late as possible; an item that it leaves out is skipped as `gone`.
        function: see `map_items`.
        workers: see `map_items`.
        at_once: see `map_items`.
        retry: reasons, or `all`: items that were skipped for one of them are worked on again.
        dropped: what was left out before it was an item, by reason, counted beside what the items dropped.
        progress: told of items done and items in all, what was done before included.
    """
    folder = _Folder(stage, work, ledger, writer, wanted, retry, dropped)
    if folder.is_current():
        return folder.counts()
    try:
        folder.open()
        total = folder.agenda.total
        done = total - folder.agenda.left
        progress(done, total)
        if at_once > 1 and folder.agenda.left < WORTH_A_PROCESS * at_once:
            workers = 0
        for item, result in map_items(function, payloads(folder.todo()), workers, at_once):
            folder.take(item, result)
            done += 1
            progress(done, total)
        folder.finish()
        return folder.counts()
    finally:
        folder.release()


def advance_together(
    stages: Sequence[tuple[Stage, Writer]],
    work: Path,
    ledger: Ledger,
    *,
    wanted: Callable[[Stage], Iterable[Wanted]],
    payloads: Callable[[Iterator[Shared]], Iterable[tuple[str, Payload]]],
    function: Callable[[Payload], Result[Mapping[str, Result[Any] | Skip]]],
    workers: int | Cluster = 0,
    limit: Callable[[Payload], float] | None = None,
    retry: Collection[str] = (),
    progress: Callable[[int, int, str, Skip | None], None],
) -> dict[str, dict[str, Any]]:
    """Bring stages up to date that are made from the same items in one go, such as tracks of one decoded video.

    An item is worked on once, for all the stages that lack it.

    Args:
        stages: each with what takes its output.
        work: the work folder.
        ledger: takes the acknowledgements.
        wanted: all items that a stage should hold, the same ones for all, in the order of their names.
        payloads: as for `advance`.
        function: gives for each stage's name what came out for it, or why nothing did; a `Skip` of the item is
            one of each stage that lacks it.
        workers: see `map_items`.
        limit: see `map_items`.
        retry: as for `advance`.
        progress: told of items done, items in all, the item and why it was skipped, if it was.

    Returns:
        Name of each stage -> what its manifest counts.
    """
    every = [_Folder(stage, work, ledger, writer, wanted(stage), retry) for stage, writer in stages]
    folders = {folder.stage.name: folder for folder in every if not folder.is_current()}
    shared: dict[str, tuple[str, ...]] = {}

    def todo() -> Iterator[Shared]:
        lists = [zip(folder.todo(), repeat(name)) for name, folder in folders.items()]
        for item, lacking in groupby(heapq.merge(*lists, key=_item_of), key=_item_of):
            wanting = list(lacking)
            shared[item] = tuple(name for _, name in wanting)
            yield Shared(item, wanting[0][0].input, shared[item])

    if not folders:
        return {folder.stage.name: folder.counts() for folder in every}
    try:
        for folder in folders.values():
            folder.open()
        first, *others = [folder.agenda for folder in folders.values()]
        total = first.total
        done = total - first.left_in_any(others)
        for item, result in map_items(function, payloads(todo()), workers, limit=limit):
            names = shared.pop(item)
            parts = [result if isinstance(result, Skip) else result.output[name] for name in names]
            for name, part in zip(names, parts, strict=True):
                folders[name].take(item, part)
            done += 1
            progress(done, total, item, next((part for part in parts if isinstance(part, Skip)), None))
        for folder in folders.values():
            folder.finish()
        return {folder.stage.name: folder.counts() for folder in every}
    finally:
        for folder in every:
            folder.release()


def _item_of(pair: tuple[Wanted, str]) -> str:
    return pair[0].item


def require_share(stage: str, ledger: Ledger, counts: Mapping[str, Any], max_skipped: float) -> None:
    """Stop where more than `max_skipped` of a stage's items could not be used.

    Args:
        stage: its name, `captions/main` and so on.
        ledger: of the work folder.
        counts: what `advance` returned.
        max_skipped: share of the items, 0 to 1.

    Raises:
        InputError: says how many and why.
    """
    skipped = sum(counts["skipped"].values())
    if skipped > max_skipped * counts["items"]:
        reasons = sorted(counts["skipped"].items(), key=lambda pair: (-pair[1], pair[0]))
        listed = ", ".join(f"{n} {reason}" for reason, n in reasons)
        example = next(ledger.skipped(stage))
        raise InputError(
            f"{stage.partition('/')[0]}: {skipped} of {counts['items']} cannot be used ({listed}), e.g. "
            f"{example.item}: {example.detail}; mend them and run again with --retry REASON, or allow more than "
            f"{max_skipped:.0%} with --max-skipped"
        )
