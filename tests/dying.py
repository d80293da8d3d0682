"""Runs the main job in forked copies of this process; a copy is killed at its n-th touch of the disk.

    python dying.py VIDEOS FOLDER EVERY

First straight through, into FOLDER/straight, counting the touches: files opened to write, renamed, removed,
cut, put on disk, acknowledged in the ledger. Then for every EVERY-th of them a run that is killed there
with SIGKILL, and started again, into FOLDER/NUMBER; and one that is killed again and again on its way, into
FOLDER/again. Prints one JSON object: what became of each. test_resume.py looks at the folders.
"""

import dataclasses
import json
import os
import signal
import sys
from pathlib import Path

from tellvision import pipeline, recipes
from tellvision.embedding.loop import state
from tellvision.store.ledger import Ledger

LAPTOP = recipes.laptop()
SMALL = dataclasses.replace(
    LAPTOP,
    dim=16,
    train=dataclasses.replace(LAPTOP.train, epochs=4, pairs_per_video=4, min_videos=2, held_out=0.4),
)
WRITES = os.O_WRONLY | os.O_RDWR


class Touches:
    """Counts touches of files below a folder, and ends the process at the last one."""

    def __init__(self, folder: Path, last: int | None) -> None:
        self.folder, self.last, self.count = str(folder), last, 0

    def __call__(self) -> None:
        self.count += 1
        if self.count == self.last:
            os.kill(os.getpid(), signal.SIGKILL)

    def hook(self, event: str, arguments: tuple) -> None:
        if event == "open":
            touches = isinstance(arguments[2], int) and arguments[2] & WRITES
        else:
            touches = event in ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate")
        if touches and str(arguments[0]).startswith(self.folder):
            self()

    def watch(self) -> None:
        """From now on: what Python tells of files, and before and after what it does not tell."""
        sys.addaudithook(self.hook)
        os.fsync = self.around(os.fsync)
        Ledger.acknowledge = self.around(Ledger.acknowledge)

    def around(self, function):
        def touching(*arguments):
            self()
            result = function(*arguments)
            self()
            return result

        return touching


def run(videos: Path, work: Path, last: int | None = None) -> int:
    """One run in a copy of this process; its touches, or -1 where it was killed."""
    reads, writes = os.pipe()
    if (copy := os.fork()) == 0:
        touches = Touches(work, last)
        try:
            touches.watch()
            pipeline.run(videos, work, SMALL, workers=0)
            os.write(writes, str(touches.count).encode())
        finally:
            os._exit(0)
    os.close(writes)
    with os.fdopen(reads) as told:
        count = told.read()
    _, status = os.waitpid(copy, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return -1
    return int(count or -2)  # -2: it ended with an error


def main(videos: Path, folder: Path, every: int) -> None:
    """See the module."""
    state.EVERY, state.SHARE = 0.0, 1e9
    found = {"straight": run(videos, folder / "straight")}
    for last in range(2, found["straight"], every):
        assert run(videos, folder / str(last), last) == -1
        found[str(last)] = run(videos, folder / str(last))
    for last in range(20, 10_000, 20):  # resuming takes fewer touches, so this ends
        if (done := run(videos, folder / "again", last)) != -1:
            found["again"] = done
            break
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
