"""Work mapped over items, in their order, whatever it runs on."""

import math
import pickle
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice

from tellvision.records import Skip
from tellvision.runners.cluster import Cluster, actors
from tellvision.runners.crew import Crew, Item
from tellvision.runners.processes import Process
from tellvision.runners.work import Output, Payload, Result, guarded

AHEAD = 256  # items whose results may wait for one before them
ProgressCallback = Callable[[int, int], None]  # items done, items in all


def no_progress(_done: int, _total: int) -> None:
    """Tell nobody."""


def map_items(
    work: Callable[[Payload], Result[Output]],
    items: Iterable[tuple[str, Payload]],
    workers: int | Cluster,
    at_once: int = 1,
    limit: Callable[[Payload], float] | None = None,
) -> Iterator[tuple[str, Result[Output] | Skip]]:
    """Yield (item, what `work` gave for its payload) in the order of `items`.

    Args:
        work: picklable where there are workers; raises `Skip` for what is wrong with its item.
        items: consumed as needed, so that memory does not grow with their number.
        workers: processes on this machine, or a Ray cluster; 0 works in this process.
        at_once: items that a worker is handed together, where each is little work.
        limit: seconds that an item may take, with what `work` loads for its first one; starting a worker
            does not count. Without workers there is nothing to kill, and no limit.

    A worker that dies takes nothing with it: its items are tried once more, each alone, and one that kills
    its worker again is skipped as `worker_died`. An item that takes longer than its limit is skipped as
    `timed_out`, together with its worker; items that were handed over together may take the sum of their
    limits, and are then tried each alone. One on which `work` fails in a way that it does not know is skipped
    as `worker_failed`, with the error: a strange file does not end a run.

    Raises:
        InputError: from `work`; or workers cannot be started; or a cluster has no place for any.
    """
    if isinstance(workers, int) and workers == 0:
        for name, payload in items:
            yield name, guarded(work, payload)
        return
    does = pickle.dumps(work)
    crew = Crew(partial(Process, does), workers) if isinstance(workers, int) else Crew(*actors(does, workers))
    queue = iter(items)
    window: deque[Item] = deque()
    arrived = threading.Event()
    # Light items are handed over together and wait for nobody long: of them no more than are in work.
    most = 2 * crew.size * at_once if at_once > 1 else max(AHEAD, 2 * crew.size)
    finished = False
    try:
        while True:
            arrived.clear()
            underway = sum(not item.future.done() for item in window)
            # One that takes long holds back what is yielded, but not the other workers.
            while underway <= (2 * crew.size - 1) * at_once and len(window) + at_once <= most:
                if not (tasks := list(islice(queue, at_once))):
                    break
                group = [Item(name, payload, limit(payload) if limit else math.inf) for name, payload in tasks]
                for item in group:
                    item.future.add_done_callback(lambda _: arrived.set())
                crew.submit(group)
                window.extend(group)
                underway += len(group)
            if not window:
                finished = True
                return
            if not window[0].future.done():
                arrived.wait()
                continue
            item = window.popleft()
            yield item.name, item.future.result()
    finally:
        crew.close(now=not finished)
