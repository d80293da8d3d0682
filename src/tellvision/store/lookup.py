"""A look-up table on disk: what would be a dictionary, were there not a million videos.

SQLite keeps it in a temporary file that goes away with the process; memory holds a few pages of it.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any

Value = int | float | str | bytes | None


class Lookup:
    """Texts and what each stands for; the last value of a key counts."""

    def __init__(self, pairs: Iterable[tuple[str, Value]] = ()) -> None:
        self._db = sqlite3.connect("", isolation_level=None)  # no name: a file of its own, gone when closed
        self._db.execute("CREATE TABLE entries (key TEXT PRIMARY KEY, value) WITHOUT ROWID")
        self.update(pairs)

    def update(self, pairs: Iterable[tuple[str, Value]]) -> None:
        """Take in keys and values: all of them, or, where `pairs` raises on the way, none."""
        with self._db:
            self._db.execute("BEGIN")
            self._db.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?)", pairs)

    def __len__(self) -> int:
        return int(self._db.execute("SELECT COUNT(*) FROM entries").fetchone()[0])

    def __iter__(self) -> Iterator[str]:
        for (key,) in self._db.execute("SELECT key FROM entries ORDER BY key"):
            yield key

    def __contains__(self, key: str) -> bool:
        return self._db.execute("SELECT 1 FROM entries WHERE key = ?", (key,)).fetchone() is not None

    def __getitem__(self, key: str) -> Any:
        found = self._db.execute("SELECT value FROM entries WHERE key = ?", (key,)).fetchone()
        if found is None:
            raise KeyError(key)
        return found[0]

    def get(self, key: str) -> Any:
        """What `key` stands for; None where it is not there."""
        found = self._db.execute("SELECT value FROM entries WHERE key = ?", (key,)).fetchone()
        return found[0] if found else None
