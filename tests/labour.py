"""What workers do in the tests of the runners, in a module of its own, as it travels to other processes."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tellvision.records import Skip
from tellvision.runners import Result, in_worker


def double(number):
    time.sleep(0.03 * (number % 3))  # later items end before earlier ones
    if number == 4:
        raise Skip("unlucky", f"{number} is four")
    return Result(2 * number, str(number))


TEN = [(f"i{n}", n) for n in range(10)]
DOUBLED = [(f"i{n}", "unlucky" if n == 4 else 2 * n) for n in range(10)]


def outcome(results):
    return [(item, r.reason if isinstance(r, Skip) else r.output) for item, r in results]


@dataclass(frozen=True)
class Job:
    """A number to double, and what happens to who does."""

    number: int
    log: Path
    seconds: float = 0.0  # that it takes
    trouble: str = ""  # die, die once, hang, hang once


def toil(job):
    """Doubles the number; leaves a file that names it, the try and the process."""
    tries = len(list(job.log.glob(f"{job.number}-*")))
    (job.log / f"{job.number}-{tries}-{os.getpid()}").touch()
    if job.trouble.startswith("die") and (tries == 0 or "once" not in job.trouble):
        os._exit(9)
    if job.trouble.startswith("hang") and (tries == 0 or "once" not in job.trouble):
        time.sleep(600)
    time.sleep(job.seconds)
    return Result(2 * job.number, str(job.number))


def toil_for_a_row(job):
    """The same, as a row (1, 4)."""
    return Result(np.full((1, 4), toil(job).output, np.float16), str(job.number))


def jobs(log, count=10, seconds=0.0, **trouble):
    """Items for `toil`; trouble: i5="die"."""
    log.mkdir(exist_ok=True)
    return [(f"i{n}", Job(n, log, seconds, trouble.get(f"i{n}", ""))) for n in range(count)]


def tries(log):
    """{number: tries}"""
    numbers = [int(path.name.split("-")[0]) for path in log.iterdir()]
    return {number: numbers.count(number) for number in sorted(numbers)}


def worker_of(log, number, seconds=60.0):
    """The process that works on a number, once it does."""
    until = time.monotonic() + seconds
    while not (found := sorted(log.glob(f"{number}-*"))):
        assert time.monotonic() < until
        time.sleep(0.01)
    return int(found[-1].name.split("-")[2])


def where(seconds):
    time.sleep(seconds)
    return Result((in_worker(), os.getcwd(), os.environ.get("CUDA_VISIBLE_DEVICES"), os.getpid()), "")


def turned(array):
    return Result(array[::-1], "")


def track(seed):
    """A track as a video of 150 s gives it."""
    return Result(np.random.default_rng(seed).random((150, 1280)).astype(np.float16), str(seed))


def ends(condition, seconds=30.0):
    """Whether `condition` comes true in time."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
