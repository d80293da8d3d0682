"""The tracks of a work folder written elsewhere: as released features, or as the track store itself."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np

from tellvision.howto100m.features import ABOUT, about, write_tracks
from tellvision.records import InputError
from tellvision.runners import ProgressCallback, no_progress
from tellvision.stages.workplace import Workplace
from tellvision.store import ArrayReader, copy_arrays, find_place, read_manifest
from tellvision.vision.extractors import folder_of

Form = Literal["npy", "tracks"]


def export_tracks(
    at: Workplace, to: str, form: Form, backbone: str | None = None, progress: ProgressCallback = no_progress
) -> dict[str, int]:
    """Write one track of every video to a place; what is there already is left alone.

    Args:
        at: where the tracks lie.
        to: the place, see `tellvision.store.places`.
        form: `npy`: a file per video (`howto100m.features`); `tracks`: the store (`store.copies`).
        backbone: which track; None: the only one that there is.
        progress: told of videos, or of files of the store.

    Returns:
        `written`, `there` before, and the videos left out, by reason.

    Raises:
        InputError: no such track, one that is unfinished or damaged, or a place that cannot be written.
    """
    folder = _folder(at, backbone)
    place = find_place(to)
    if form == "tracks":
        return copy_arrays(folder, place, progress)
    config = read_manifest(folder)["config"]
    known = about(place)
    if known.get("backbone", config["backbone"]) != config["backbone"]:
        raise InputError(
            f"{to} holds the track of {known['backbone']}: name another place for {config['backbone']}"
        )
    place.write({ABOUT: json.dumps({"backbone": config["backbone"], "fps": config["fps"]}).encode()})
    reader = ArrayReader(folder, check=True)
    items = sorted(reader.entries, key=lambda item: (reader.entries[item].shard, reader.entries[item].row))

    def tracks() -> Iterator[tuple[str, np.ndarray]]:
        for item in items:
            yield item, reader[item]

    progress(0, len(items))
    return write_tracks(place, tracks(), lambda done: progress(done, len(items)))


def _folder(at: Workplace, backbone: str | None) -> Path:
    rooms = at.rooms("features")
    names = [read_manifest(at.folder(room))["config"]["backbone"] for room in rooms]
    if not names:
        raise InputError(f"{at.work} has no features: run `tellvision features {at.work}` first")
    if backbone is None and len(names) > 1:
        raise InputError(f"there are several tracks here: name one with --backbone ({', '.join(names)})")
    if backbone is not None and backbone not in names:
        raise InputError(f"no track of {backbone!r} here: there is {', '.join(names)}")
    return at.folder(f"features/{folder_of(backbone or names[0])}")
