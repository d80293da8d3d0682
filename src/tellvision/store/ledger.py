"""The ledger: one row per item and stage, in SQLite; the driver is its only writer.

An item is acknowledged once its output is on disk and its row committed here; a run that
is killed continues behind the last acknowledged item. A row's fingerprint names the input
and the configuration it was made from, so what is stale is a comparison of two strings.
"""

import contextlib
import fcntl
import json
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tellvision.records import InputError
from tellvision.store.manifests import SCHEMA, check_schema

LEDGER = "ledger.sqlite"
_COLUMNS = "item, fingerprint, status, reason, detail, rows, dropped, output"


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one item in one stage.

    Attributes:
        fingerprint: of the input and the configuration.
        status: `done` or `skipped`.
        reason: why it was skipped, snake_case; empty for done.
        detail: one line for a reader; for done a note, if anything was odd.
        rows: rows of output.
        dropped: rows left out, by reason.
        output: names the output's content, so that an equal one starts nothing downstream.
    """

    item: str
    fingerprint: str
    status: str = "done"
    reason: str = ""
    detail: str = ""
    rows: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    output: str = ""


class Ledger:
    """The ledger of one work folder, which it locks against a second driver while open."""

    def __init__(self, work: Path) -> None:
        path = work / LEDGER
        if work.exists() and not work.is_dir():
            raise InputError(f"{work} is a file: name a folder for the output")
        work.mkdir(parents=True, exist_ok=True)
        if not path.exists() and any(name for name in work.iterdir() if name.name != "lock"):
            raise InputError(f"{work} is not empty and not a work folder: name a new folder for the output")
        self._lock = (work / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise InputError(f"another run is working in {work}: wait for it, or end it") from None
        self._db: sqlite3.Connection | None = None
        try:
            self._db = sqlite3.connect(path, isolation_level=None)
            self._prepare(path)
        except sqlite3.DatabaseError as error:
            self.close()
            raise InputError(f"{path} cannot be used ({error}): free disk space, or name a new --out") from None
        except InputError:
            self.close()
            raise

    def _prepare(self, path: Path) -> None:
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = FULL")  # acknowledged means on disk
        (version,) = self.db.execute("PRAGMA user_version").fetchone()
        if version:
            check_schema(version, path)
            return
        self.db.executescript(
            f"""BEGIN;
            CREATE TABLE items (
                stage TEXT NOT NULL, item TEXT NOT NULL, fingerprint TEXT NOT NULL, status TEXT NOT NULL,
                reason TEXT NOT NULL, detail TEXT NOT NULL, rows INTEGER NOT NULL, dropped TEXT NOT NULL,
                output TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 1, PRIMARY KEY (stage, item)
            ) WITHOUT ROWID;
            PRAGMA user_version = {SCHEMA};
            COMMIT;"""
        )

    @property
    def db(self) -> sqlite3.Connection:
        """The open connection."""
        assert self._db is not None, "the ledger is closed"
        return self._db

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file and of the lock."""
        if self._db is not None:
            self._db.close()
            self._db = None
        self._lock.close()

    def rows(self, stage: str) -> dict[str, Row]:
        """Every item of `stage`, by name: for looking at few; a stage may hold a million."""
        return _rows(self.db, stage)

    def row(self, stage: str, item: str) -> Row | None:
        """One item of `stage`; None where it is not there."""
        return _rows(self.db, stage, item).get(item)

    def fingerprints(self, stage: str) -> "Fingerprints":
        """Item -> fingerprint of a stage, looked up as needed."""
        return Fingerprints(self, stage)

    def counts(self, stage: str) -> dict[str, Any]:
        """What a manifest says of a stage: `done`, `rows`, `skipped` and `dropped` by reason."""
        done = rows = 0
        skipped: dict[str, int] = {}
        grouped = "SELECT status, reason, COUNT(*), SUM(rows) FROM items WHERE stage = ? GROUP BY status, reason"
        for status, reason, items, held in self.db.execute(grouped, (stage,)):
            rows += held
            if status == "done":
                done += items
            else:
                skipped[reason] = items
        dropped: Counter[str] = Counter()
        for (lost,) in self.db.execute("SELECT dropped FROM items WHERE stage = ? AND dropped != '{}'", (stage,)):
            dropped.update(json.loads(lost))
        return {"done": done, "rows": rows, "skipped": skipped, "dropped": dict(dropped)}

    def holding(self, stage: str) -> Iterator[str]:
        """The items of `stage` that have rows of output, in the order of their names."""
        query = "SELECT item FROM items WHERE stage = ? AND rows > 0 ORDER BY item"
        return (item for (item,) in self.db.execute(query, (stage,)))

    def each(self, stage: str) -> Iterator[Row]:
        """Every item of `stage`, one after the other, in the order of their names."""
        return map(_row, self.db.execute(f"SELECT {_COLUMNS} FROM items WHERE stage = ? ORDER BY item", (stage,)))

    def skipped(self, stage: str) -> Iterator[Row]:
        """The items of `stage` that were skipped, in the order of their names."""
        query = f"SELECT {_COLUMNS} FROM items WHERE stage = ? AND status = 'skipped' ORDER BY item"
        return map(_row, self.db.execute(query, (stage,)))

    def stages(self) -> list[str]:
        """The stages that have items, by name."""
        return [stage for (stage,) in self.db.execute("SELECT DISTINCT stage FROM items ORDER BY stage")]

    def reasons(self, stage: str) -> set[str]:
        """Why items of `stage` were skipped, each reason once."""
        query = "SELECT DISTINCT reason FROM items WHERE stage = ? AND status = 'skipped'"
        return {reason for (reason,) in self.db.execute(query, (stage,))}

    def acknowledge(self, stage: str, rows: Iterable[Row]) -> None:
        """Commit `rows`, whose output is on disk; a repeated item counts an attempt more."""
        values = [
            (stage, r.item, r.fingerprint, r.status, r.reason, r.detail, r.rows, json.dumps(r.dropped), r.output)
            for r in rows
        ]
        with self.db:
            self.db.execute("BEGIN")
            self.db.executemany(
                """INSERT INTO items (stage, item, fingerprint, status, reason, detail, rows, dropped, output)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (stage, item) DO UPDATE SET attempts = attempts + 1,
                fingerprint = excluded.fingerprint, status = excluded.status, reason = excluded.reason,
                detail = excluded.detail, rows = excluded.rows, dropped = excluded.dropped,
                output = excluded.output""",
                values,
            )

    def forget_all(self, stage: str) -> None:
        """Take away every item of `stage`."""
        self.db.execute("DELETE FROM items WHERE stage = ?", (stage,))

    def forget_skipped(self, stage: str, reasons: Collection[str]) -> None:
        """Take away the items that were skipped for one of `reasons` (`all`: for any)."""
        query = "DELETE FROM items WHERE stage = ? AND status = 'skipped'"
        if "all" in reasons:
            self.db.execute(query, (stage,))
        else:
            self.db.executemany(f"{query} AND reason = ?", [(stage, reason) for reason in reasons])


class Fingerprints(Mapping[str, str]):
    """The fingerprints of a stage's items, as a mapping that stays on disk."""

    def __init__(self, ledger: Ledger, stage: str) -> None:
        self._db, self._stage = ledger.db, stage

    def __getitem__(self, item: str) -> str:
        query = "SELECT fingerprint FROM items WHERE stage = ? AND item = ?"
        found = self._db.execute(query, (self._stage, item)).fetchone()
        if found is None:
            raise KeyError(item)
        return str(found[0])

    def __iter__(self) -> Iterator[str]:
        for (item,) in self._db.execute("SELECT item FROM items WHERE stage = ?", (self._stage,)):
            yield item

    def __len__(self) -> int:
        return int(self._db.execute("SELECT COUNT(*) FROM items WHERE stage = ?", (self._stage,)).fetchone()[0])


def peek(work: Path, stage: str, item: str | None = None) -> dict[str, Row]:
    """Every item of `stage`, or one, read beside a driver that may be at work; empty without a ledger."""
    if not (work / LEDGER).exists():
        return {}
    # Nobody at work: nothing can change while we read, and nothing is left beside the file.
    mode = "mode=ro" if (work / f"{LEDGER}-wal").exists() else "immutable=1"
    with contextlib.closing(sqlite3.connect(f"{(work / LEDGER).absolute().as_uri()}?{mode}", uri=True)) as db:
        return _rows(db, stage, item)


def _rows(db: sqlite3.Connection, stage: str, item: str | None = None) -> dict[str, Row]:
    query, values = f"SELECT {_COLUMNS} FROM items WHERE stage = ?", [stage]
    if item is not None:
        query, values = f"{query} AND item = ?", [stage, item]
    return {row.item: row for row in map(_row, db.execute(query, values))}


def _row(values: tuple[Any, ...]) -> Row:
    item, fingerprint, status, reason, detail, num_rows, dropped, output = values
    return Row(item, fingerprint, status, reason, detail, num_rows, json.loads(dropped), output)
