"""Which videos a run is not trained on: how they are chosen, and the list beside the run."""

import hashlib
from collections.abc import Collection
from pathlib import Path

from tellvision.records import InputError
from tellvision.store import atomic_write

HELD_OUT = "held_out.txt"


def split(videos: Collection[str], share: float) -> set[str]:
    """The videos to keep out of training: `share` of them, always the same ones for the same names.

    A video's place is decided by the hash of its id, so that adding videos moves few others.
    """
    ordered = sorted(videos, key=lambda video: hashlib.sha256(video.encode()).digest())
    return set(ordered[: round(share * len(ordered))])


def write_held_out(folder: Path, videos: Collection[str]) -> None:
    """Keep beside a run which videos it was not trained on."""
    atomic_write(folder / HELD_OUT, "".join(f"{video}\n" for video in sorted(videos)).encode())


def read_held_out(folder: Path) -> set[str]:
    """The videos that the run in `folder` was not trained on; InputError where there is no run."""
    try:
        return set((folder / HELD_OUT).read_text(encoding="utf-8").split("\n")) - {""}
    except FileNotFoundError:
        raise InputError(f"{folder} holds no run: begin with `tellvision run VIDEOS --out WORK`") from None
