"""Progress of long work on stderr: a bar with the time left on a terminal, now and then a line elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

EVERY = 5.0  # seconds between two lines where there is no terminal

Update = Callable[..., None]  # (done, total, note="")


class Progress:
    """Tells how far a run is; one stage at a time."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._console = Console(stderr=True, highlight=False)

    def say(self, line: str) -> None:
        """One line for the reader."""
        if not self._quiet:
            self._console.print(line, markup=False, soft_wrap=True)

    @contextmanager
    def stage(self, title: str) -> Iterator[Update]:
        """A stage of a run; yields what to call with items done, items in all and a short note."""
        if self._quiet:
            yield lambda *_args, **_kwargs: None
        elif self._console.is_terminal:
            columns = (
                TextColumn("{task.description:<10}"),
                BarColumn(30),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}"),
            )
            with Bar(*columns, console=self._console) as bar:
                task = bar.add_task(title, total=None, note="")
                yield lambda done, total, note="": bar.update(task, completed=done, total=total, note=note)
        else:
            yield _Lines(title)


class _Lines:
    def __init__(self, title: str) -> None:
        self._title = title
        self._began = self._told = time.monotonic()
        self._first: int | None = None

    def __call__(self, done: int, total: int, note: str = "") -> None:
        now = time.monotonic()
        if self._first is None:
            self._first = done  # what was done before says nothing of the speed
        ended = done >= total and self._told != 0.0
        if now - self._told < EVERY and not ended:
            return
        self._told = 0.0 if ended else now
        fresh = done - self._first
        left = (now - self._began) / fresh * (total - done) if fresh else 0.0
        times = f"{now - self._began:.0f} s" + (f", {left:.0f} s left" if fresh and not ended else "")
        print(f"{self._title:<10} {done}/{total}  {times}  {note}".rstrip(), file=sys.stderr, flush=True)
