"""An agenda: the items that a stage should hold, against those that the ledger says it holds.

The differences are taken in SQLite, in temporary tables on disk, and read piece by piece, so that a
stage of a million items needs no more memory than one of ten.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator
from typing import Any, NamedTuple

from tellvision.store.ledger import Ledger

_AT_ONCE = 1000


class Wanted(NamedTuple):
    """An item that a stage should hold.

    Attributes:
        item: its name.
        fingerprint: names its input together with the stage's configuration.
        input: a short text that is handed back with the item when it is worked on.
    """

    item: str
    fingerprint: str
    input: str = ""


class Agenda:
    """What there is to do in one stage; one at a time for a stage.

    Args:
        ledger: of the work folder, open.
        stage: its name.
        wanted: all that the stage should hold, in the order of the input; of a repeated item the first counts.

    Attributes:
        total: items that the stage should hold.
        left: items to work on, those that are new or whose fingerprint changed.
        gone: items that the stage holds and should not.
    """

    def __init__(self, ledger: Ledger, stage: str, wanted: Iterable[Wanted]) -> None:
        self._db, self._stage = ledger.db, stage
        self._wanted, self._todo = (_quoted(f"{what} {stage}") for what in ("wanted", "todo"))
        self._db.executescript(
            f"""DROP TABLE IF EXISTS temp.{self._wanted};
            DROP TABLE IF EXISTS temp.{self._todo};
            CREATE TEMP TABLE {self._wanted} (
                place INTEGER PRIMARY KEY, item TEXT UNIQUE NOT NULL, fingerprint TEXT, input TEXT
            );
            CREATE TEMP TABLE {self._todo} (place INTEGER PRIMARY KEY, item TEXT, fingerprint TEXT, input TEXT);"""
        )
        with self._db:
            self._db.execute("BEGIN")
            self._fill(wanted)
        self.total = self._count(f"SELECT COUNT(*) FROM temp.{self._wanted}")
        self.left = self._count(f"SELECT COUNT(*) FROM temp.{self._todo}")
        gone = f"SELECT COUNT(*) FROM items WHERE stage = ? AND item NOT IN (SELECT item FROM temp.{self._wanted})"
        self.gone = self._count(gone, stage)

    def _fill(self, wanted: Iterable[Wanted]) -> None:
        into = f"INSERT OR IGNORE INTO temp.{self._wanted} (item, fingerprint, input) VALUES (?, ?, ?)"
        self._db.executemany(into, wanted)
        self._db.execute(
            f"""INSERT INTO temp.{self._todo} SELECT place, wanted.item, wanted.fingerprint, wanted.input
            FROM temp.{self._wanted} AS wanted LEFT JOIN items ON items.stage = ? AND items.item = wanted.item
            WHERE items.fingerprint IS NOT wanted.fingerprint ORDER BY place""",
            (self._stage,),
        )

    def _count(self, query: str, *values: str) -> int:
        return int(self._db.execute(query, values).fetchone()[0])

    def todo(self) -> Iterator[Wanted]:
        """All that is to be worked on, in the order of the input."""
        query = f"""SELECT place, item, fingerprint, input FROM temp.{self._todo}
            WHERE place > ? ORDER BY place LIMIT ?"""
        last = -1
        while found := self._db.execute(query, (last, _AT_ONCE)).fetchall():
            for last, *values in found:  # noqa: B007 - the next piece begins behind the last
                yield Wanted(*values)

    def known(self) -> dict[str, str]:
        """Items to work on whose fingerprint another item has already, with that item."""
        query = f"""SELECT todo.item, MIN(items.item) FROM temp.{self._todo} AS todo JOIN items
            ON items.stage = ? AND items.fingerprint = todo.fingerprint AND items.rows > 0
            GROUP BY todo.item ORDER BY todo.place"""
        return dict(self._db.execute(query, (self._stage,)).fetchall())

    def strike(self, items: Iterable[str]) -> None:
        """Take items off what is to be worked on."""
        self._db.executemany(f"DELETE FROM temp.{self._todo} WHERE item = ?", [(item,) for item in items])
        self.left = self._count(f"SELECT COUNT(*) FROM temp.{self._todo}")

    def forget_gone(self) -> None:
        """Take out of the ledger what the stage should not hold."""
        query = f"DELETE FROM items WHERE stage = ? AND item NOT IN (SELECT item FROM temp.{self._wanted})"
        self._db.execute(query, (self._stage,))
        self.gone = 0

    def holding(self) -> "Holding":
        """The items with rows of output, in the order of the input."""
        return Holding(self)

    def content(self) -> str:
        """Names what came out of all items, in the order of the input."""
        query = f"""SELECT item, status, reason, output FROM temp.{self._wanted} JOIN items USING (item)
            WHERE stage = ? ORDER BY place"""
        known = hashlib.sha256()
        for row in self._db.execute(query, (self._stage,)):
            known.update(json.dumps(row).encode())
        return known.hexdigest()[:32]

    def close(self) -> None:
        """Take its tables off the disk."""
        for table in (self._wanted, self._todo):
            self._db.execute(f"DROP TABLE IF EXISTS temp.{table}")

    def left_in_any(self, others: Iterable["Agenda"]) -> int:
        """Items to work on here or in `others`, each once."""
        lists = (f"SELECT item FROM temp.{agenda._todo}" for agenda in (self, *others))
        return self._count(f"SELECT COUNT(*) FROM ({' UNION '.join(lists)})")


def _quoted(name: str) -> str:
    """A name that SQLite takes whatever is in it."""
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


class Holding(Collection[str]):
    """Items of an agenda that have rows; looked up on disk."""

    def __init__(self, agenda: Agenda) -> None:
        self._db, self._stage = agenda._db, agenda._stage
        self._held = f"FROM temp.{agenda._wanted} JOIN items USING (item) WHERE stage = ? AND rows > 0"

    def __iter__(self) -> Iterator[str]:
        for (item,) in self._db.execute(f"SELECT item {self._held} ORDER BY place", (self._stage,)):
            yield item

    def __len__(self) -> int:
        return int(self._db.execute(f"SELECT COUNT(*) {self._held}", (self._stage,)).fetchone()[0])

    def __contains__(self, item: object) -> bool:
        found: Any = self._db.execute(f"SELECT 1 {self._held} AND item = ?", (self._stage, item)).fetchone()
        return found is not None
