"""One stage brought up to date with what it should hold.

    wanted: item, fingerprint, input -> agenda -> payloads -> map_items -> writer -> ledger -> manifest

Only items that are new or whose input changed are worked on; output is on disk before the ledger says
so, and the manifest closes the folder. Whatever the number of items, memory holds a block of them.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from tellvision.records import InputError, Skip
from tellvision.runners import ProgressCallback, Result, map_items, no_progress
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


def advance(
    stage: Stage,
    work: Path,
    ledger: Ledger,
    writer: Writer,
    *,
    wanted: Iterable[Wanted],
    payloads: Callable[[Iterator[Wanted]], Iterable[tuple[str, Payload]]],
    function: Callable[[Payload], Result[Output]],
    workers: int = 0,
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
    folder = work / stage.name
    if not writer.has_output():  # or thrown away by hand: then its items are as good as new
        ledger.forget_all(stage.name)
    ledger.forget_skipped(stage.name, retry)
    agenda = Agenda(ledger, stage.name, wanted)
    if not agenda.left and not agenda.gone and is_current(folder, stage.config, stage.inputs):
        return _counts(stage, ledger, agenda, dropped)
    (folder / MANIFEST).unlink(missing_ok=True)
    writer.open(ledger.fingerprints(stage.name))
    try:
        _take_over(stage, ledger, writer, agenda)
        done = agenda.total - agenda.left
        progress(done, agenda.total)
        underway: dict[str, str] = {}
        block: list[Row] = []

        def todo() -> Iterator[Wanted]:
            for item in agenda.todo():
                underway[item.item] = item.fingerprint
                yield item

        if at_once > 1 and agenda.left < WORTH_A_PROCESS * at_once:
            workers = 0
        for item, result in map_items(function, payloads(todo()), workers, at_once):
            block.append(_row(item, underway.pop(item), result, writer))
            done += 1
            if len(block) >= stage.commit_every:
                writer.commit()
                ledger.acknowledge(stage.name, block)
                block = []
            progress(done, agenda.total)
        gone = Skip("gone", "it went away while the stage was at work")
        block += [_row(item, fingerprint, gone, writer) for item, fingerprint in underway.items()]
        writer.commit()
        ledger.acknowledge(stage.name, block)
        agenda.forget_gone()
        layout = writer.close(agenda.holding())
    finally:
        writer.release()
    # What came out, not what it was made from: a file that was only touched starts nothing downstream.
    counts = _counts(stage, ledger, agenda, dropped) | layout
    write_manifest(
        folder,
        stage=stage.name,
        config=stage.config,
        inputs=stage.inputs,
        counts=counts | {"content": agenda.content()},
    )
    return counts


def _counts(stage: Stage, ledger: Ledger, agenda: Agenda, dropped: Mapping[str, int] | None) -> dict[str, Any]:
    counts = ledger.counts(stage.name)
    every = Counter(counts["dropped"]) + Counter(dropped)
    return counts | {"dropped": dict(every), "items": agenda.total}


def _take_over(stage: Stage, ledger: Ledger, writer: Writer, agenda: Agenda) -> None:
    """Where a fingerprint does not hold the item's name, a renamed item has its rows already."""
    if not isinstance(writer, Aliasing):
        return
    known = agenda.known()
    if not known:
        return
    rows = {item: ledger.row(stage.name, other) for item, other in known.items()}
    writer.alias(known)
    writer.commit()
    ledger.acknowledge(stage.name, [replace(row, item=item) for item, row in rows.items() if row])
    agenda.strike(known)


def _row(item: str, fingerprint: str, result: Result[Any] | Skip, writer: Writer) -> Row:
    if isinstance(result, Skip):
        return Row(item, fingerprint, status="skipped", reason=result.reason, detail=result.detail)
    rows = writer.append(item, fingerprint, result.output)
    row = Row(item, fingerprint, detail=result.note, rows=rows, dropped=result.dropped, output=result.digest)
    if result.skip is None:
        return row
    return replace(row, status="skipped", reason=result.skip.reason, detail=result.skip.detail)


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
