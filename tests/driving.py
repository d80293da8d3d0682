"""A stage over 20 items in a process that can be killed: `driving.py WORK LOG processes|HOST:PORT`."""

import sys
from pathlib import Path

from labour import Job, toil_for_a_row
from tellvision.runners import Cluster
from tellvision.stages.advance import Stage, advance
from tellvision.store import ArrayWriter, Ledger, Wanted

COUNT = 20


def main(work: Path, log: Path, where: str) -> None:
    """Bring the stage up to date, two items at a time."""
    log.mkdir(exist_ok=True)
    stage = Stage(name="rows/main", config={}, inputs={})
    with Ledger(work) as ledger:
        advance(
            stage,
            work,
            ledger,
            ArrayWriter(work / "rows" / "main", 4),
            wanted=(Wanted(f"i{n}", stage.fingerprint(n)) for n in range(COUNT)),
            payloads=lambda todo: ((one.item, Job(int(one.item[1:]), log, 0.2)) for one in todo),
            function=toil_for_a_row,
            workers=2 if where == "processes" else Cluster(address=where),
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
