"""Work on many items: mapped over processes, acknowledged one by one, resumed where it stopped.

`map_items` keeps the order of the input and turns what is wrong with one item into a `Skip`.
`advance` brings a stage up to date with it: only items that are new or whose input changed are
worked on, output is on disk before the ledger says so, and the manifest closes the folder.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from tellvision.records import InputError, Skip
from tellvision.store import MANIFEST, Ledger, Row, counts, digest, is_current, write_manifest

Payload = TypeVar("Payload")
Output = TypeVar("Output")
ProgressCallback = Callable[[int, int], None]  # items done, items in all


def no_progress(_done: int, _total: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Result(Generic[Output]):
    """What working on one item gave.

    Attributes:
        output: what the stage's writer takes.
        digest: names the output, so that later stages redo only what really changed.
        dropped: rows left out, by reason.
        note: one line, if anything was odd.
        skip: set where the item cannot be used although its output says something of it.
    """

    output: Output
    digest: str
    dropped: dict[str, int] = field(default_factory=dict)
    note: str = ""
    skip: Skip | None = None


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


def map_items(
    work: Callable[[Payload], Result[Output]], items: Iterable[tuple[str, Payload]], workers: int
) -> Iterator[tuple[str, Result[Output] | Skip]]:
    """Yield (item, what `work` gave for its payload) in the order of `items`.

    Args:
        work: picklable where there are workers; raises `Skip` for what is wrong with its item.
        items: consumed as needed, so that memory does not grow with their number.
        workers: processes; 0 works in this one.

    A process that dies takes nothing with it: its items are tried once more, each alone, and one
    that kills its process again is skipped as `worker_died`. One on which `work` fails in a way that it
    does not know is skipped as `worker_failed`, with the error: a strange file does not end a run.
    """
    if workers == 0:
        for item, payload in items:
            yield item, _guarded(work, payload)
        return
    queue = iter(items)
    waiting: deque[tuple[str, Payload, Future[Any]]] = deque()
    pool = _pool(workers)
    try:
        while True:
            while len(waiting) < 2 * workers and (task := next(queue, None)) is not None:
                waiting.append((*task, _submit(pool, work, task[1])))
            if not waiting:
                return
            item, payload, future = waiting[0]
            try:
                result = future.result()
            except BrokenProcessPool:
                pool.shutdown(wait=False, cancel_futures=True)
                result = _alone(work, payload)
                pool = _pool(workers)
                rest = list(waiting)[1:]
                waiting = deque(
                    [waiting[0], *((i, p, f if _sound(f) else _submit(pool, work, p)) for i, p, f in rest)]
                )
            waiting.popleft()
            yield item, result
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _submit(pool: ProcessPoolExecutor, work: Callable[..., Any], payload: Any) -> Future[Any]:
    try:
        with _deaf_to_interrupts():  # a worker is started here, and inherits that
            return pool.submit(_guarded, work, payload)
    except BrokenProcessPool as error:  # it died since: let the caller find out in its turn
        future: Future[Any] = Future()
        future.set_exception(error)
        return future


@contextlib.contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Ctrl+C is for the driver, which ends its workers: they are not to hear it, not even while they start.

    Blocked, not ignored: what comes meanwhile reaches the driver afterwards.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _sound(future: Future[Any]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None


def _alone(work: Callable[..., Any], payload: Any) -> Any:
    pool = _pool(1)
    try:
        return _submit(pool, work, payload).result()
    except BrokenProcessPool:
        return Skip("worker_died", "its process was killed or crashed, twice")
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _guarded(work: Callable[[Payload], Result[Output]], payload: Payload) -> Result[Output] | Skip:
    try:
        return work(payload)
    except Skip as skip:
        return skip
    except InputError:
        raise
    except Exception as error:  # whatever a library makes of a strange file
        *_, frame = traceback.extract_tb(error.__traceback__)
        where = f"{Path(frame.filename).name}:{frame.lineno}"
        return Skip("worker_failed", f"{type(error).__name__} at {where}: {error}".partition("\n")[0])


def _pool(workers: int) -> ProcessPoolExecutor:
    # spawn: a forked copy of a process that has used torch or FFmpeg threads can hang.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_die_with_parent)


def _die_with_parent() -> None:
    """A worker whose driver was killed would wait for work for ever: end it instead."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


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
    wanted: Mapping[str, str],
    payload: Callable[[str], Payload],
    function: Callable[[Payload], Result[Output]],
    workers: int = 0,
    retry: Collection[str] = (),
    progress: ProgressCallback = no_progress,
) -> dict[str, Row]:
    """Bring `stage` up to date and return its items as the ledger now has them.

    Args:
        stage: name, configuration and inputs.
        work: the work folder.
        ledger: takes the acknowledgements.
        writer: takes the output.
        wanted: item -> fingerprint of all items that the stage should hold, in the order of the input.
        payload: gives what `function` needs for an item; called as late as possible.
        function: see `map_items`.
        workers: see `map_items`.
        retry: reasons, or `all`: items that were skipped for one of them are worked on again.
        progress: told of items done and items in all, what was done before included.
    """
    folder = work / stage.name
    if not writer.has_output():  # or thrown away by hand: then its items are as good as new
        ledger.forget(stage.name, list(ledger.rows(stage.name)))
    ledger.forget(stage.name, [i for i, row in ledger.rows(stage.name).items() if _again(row, retry)])
    rows = ledger.rows(stage.name)
    todo = [i for i, fingerprint in wanted.items() if i not in rows or rows[i].fingerprint != fingerprint]
    gone = [i for i in rows if i not in wanted]
    if not todo and not gone and is_current(folder, stage.config, stage.inputs):
        return rows
    (folder / MANIFEST).unlink(missing_ok=True)
    writer.open({i: row.fingerprint for i, row in rows.items()})
    try:
        todo = _take_over(stage, ledger, writer, rows, todo, wanted)
        done = len(wanted) - len(todo)
        progress(done, len(wanted))
        block: list[Row] = []
        for item, result in map_items(function, ((i, payload(i)) for i in todo), workers):
            block.append(_row(item, wanted[item], result, writer))
            done += 1
            if len(block) >= stage.commit_every:
                writer.commit()
                ledger.acknowledge(stage.name, block)
                block = []
            progress(done, len(wanted))
        writer.commit()
        ledger.acknowledge(stage.name, block)
        ledger.forget(stage.name, gone)
        rows = ledger.rows(stage.name)
        layout = writer.close([i for i in wanted if rows[i].rows])
    finally:
        writer.release()
    # What came out, not what it was made from: a file that was only touched starts nothing downstream.
    content = digest([(i, rows[i].status, rows[i].reason, rows[i].output) for i in wanted])
    write_manifest(
        folder,
        stage=stage.name,
        config=stage.config,
        inputs=stage.inputs,
        counts=counts(rows.values()) | layout | {"items": len(wanted), "content": content},
    )
    return rows


def _again(row: Row, retry: Collection[str]) -> bool:
    return row.status == "skipped" and ("all" in retry or row.reason in retry)


def _take_over(
    stage: Stage,
    ledger: Ledger,
    writer: Writer,
    rows: Mapping[str, Row],
    todo: list[str],
    wanted: Mapping[str, str],
) -> list[str]:
    """Where a fingerprint does not hold the item's name, a renamed item has its rows already."""
    if not isinstance(writer, Aliasing):
        return todo
    known = {row.fingerprint: row for row in rows.values() if row.rows}
    taken = {item: known[wanted[item]] for item in todo if wanted[item] in known}
    writer.alias({item: row.item for item, row in taken.items()})
    writer.commit()
    ledger.acknowledge(stage.name, [replace(row, item=item) for item, row in taken.items()])
    return [item for item in todo if item not in taken]


def _row(item: str, fingerprint: str, result: Result[Any] | Skip, writer: Writer) -> Row:
    if isinstance(result, Skip):
        return Row(item, fingerprint, status="skipped", reason=result.reason, detail=result.detail)
    rows = writer.append(item, fingerprint, result.output)
    row = Row(item, fingerprint, detail=result.note, rows=rows, dropped=result.dropped, output=result.digest)
    if result.skip is None:
        return row
    return replace(row, status="skipped", reason=result.skip.reason, detail=result.skip.detail)


def require_share(stage: str, rows: Mapping[str, Row], max_skipped: float) -> None:
    """Stop where more than `max_skipped` of a stage's items could not be used.

    Raises:
        InputError: says how many and why.
    """
    skipped = [row for row in rows.values() if row.status == "skipped"]
    if rows and len(skipped) > max_skipped * len(rows):
        reasons = counts(skipped)["skipped"]
        listed = ", ".join(f"{n} {reason}" for reason, n in sorted(reasons.items(), key=lambda pair: -pair[1]))
        example = f"{skipped[0].item}: {skipped[0].detail}"
        raise InputError(
            f"{stage}: {len(skipped)} of {len(rows)} cannot be used ({listed}), e.g. {example}; "
            f"mend them and run again with --retry REASON, or allow more than {max_skipped:.0%} with --max-skipped"
        )
