"""`features/NAME/BACKBONE/` from released features (`howto100m.features`), in place of `extract_tracks`.

Pairs and training go on from there without a video.
"""

import json
import zlib
from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

from tellvision.howto100m.features import about, fetched, files_at, ids_of, parse, to_track
from tellvision.records import InputError, Skip
from tellvision.runners import ProgressCallback, Result, no_progress
from tellvision.stages.advance import Stage, advance, require_share
from tellvision.stages.workplace import MANY, Workplace
from tellvision.store import ArrayWriter, File, Lookup, Place, Wanted, find_place
from tellvision.vision.extractors import folder_of

LOOKED_AT = 32
"""Files of which the width that most have is taken for that of the track."""

AMBIGUOUS = "several"


def import_tracks(
    at: Workplace, where: str, backbone: str, fps: float, progress: ProgressCallback = no_progress
) -> dict[str, Any]:
    """`features/NAME/BACKBONE/`: the released features of every video that has clips.

    A video is found by its id, or by the last part of it where the files lie in other folders. One without
    a file is skipped as `no_features`, one whose file cannot be used as `unreadable_features`,
    `empty_features`, `not_finite` or `other_width`. A file that changed is read again.

    Args:
        at: where the clips lie.
        where: the place of the files, see `tellvision.store.places`.
        backbone: what the track is called from now on.
        fps: steps per second.
        progress: told of videos done and in all.

    Raises:
        InputError: no file there belongs to a video of the work folder, or too many cannot be used.
    """
    at.require_current("clips")
    if not 0 < fps < 1000:
        raise InputError(f"--fps {fps} has to be steps per second, above 0: 1 for the paper's 2D, 1.5 for its 3D")
    place = find_place(where)
    if (known := about(place).get("fps", fps)) != fps:
        raise InputError(f"--fps {fps:g}: {where} was exported at {known:g} vectors per second")
    files = _Files(place)
    stage = Stage(
        name=f"features/{at.name}/{folder_of(backbone)}",
        config={
            "backbone": backbone,
            "fps": fps,
            "dim": files.width(at.ledger.holding(f"clips/{at.name}")),
            "imported": str(place),
        },
        inputs={},
        commit_every=MANY,
    )

    def wanted() -> Iterator[Wanted]:
        for item in at.ledger.holding(f"clips/{at.name}"):
            known = files.of(item)
            yield Wanted(item, stage.fingerprint(known), known)

    counts = advance(
        stage,
        at.work,
        at.ledger,
        ArrayWriter(at.work / stage.name, stage.config["dim"]),
        wanted=wanted(),
        payloads=lambda todo: fetched(place, ((one.item, _file(one.input)) for one in todo)),
        function=partial(_track_of, stage.config["dim"]),
        retry=at.retry,
        progress=progress,
    )
    require_share(stage.name, at.ledger, counts, at.max_skipped)
    return counts


class _Files:
    """Which file holds the features of which video, on disk."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._found = Lookup()
        self._found.update(self._pairs())
        if not len(self._found):
            raise InputError(f"{place} holds no .npy file: name the folder of released features")

    def _pairs(self) -> Iterator[tuple[str, str]]:
        for file in files_at(self._place):
            for rank, video_id in enumerate(ids_of(file.name)):
                key = f"{rank} {video_id}"
                yield key, AMBIGUOUS if key in self._found else json.dumps([file.name, file.size, file.state])

    def of(self, item: str) -> str:
        """The file of a video, as `_file` reads it; empty where there is none."""
        keys = (f"{rank} {item}" for rank in range(4))
        return str(next(filter(None, map(self._found.get, keys)), ""))

    def width(self, items: Iterator[str]) -> int:
        """The width that most of the first tracks have."""
        first = islice(filter(None, map(self.of, items)), LOOKED_AT)
        widths: Counter[int] = Counter()
        why = "none of its files has the name of a video of the work folder"
        for name, data in fetched(self._place, ((known, _file(known)) for known in first)):
            try:
                widths[_parsed(data).shape[1]] += 1
            except Skip as skip:
                why = f"none of the first {LOOKED_AT} files can be used, e.g. {name}: {skip}"
        if not widths:
            raise InputError(f"{self._place}: {why}")
        return widths.most_common(1)[0][0]


def _file(known: str) -> File | Skip:
    if not known:
        return Skip("no_features", "no file has its name")
    if known == AMBIGUOUS:
        return Skip("ambiguous_features", "the files of several folders have its name")
    return File(*json.loads(known))


def _parsed(data: bytes | Skip) -> np.ndarray:
    if isinstance(data, Skip):
        raise data
    return parse(data)


def _track_of(dim: int, data: bytes | Skip) -> Result[np.ndarray]:
    if isinstance(data, Skip):
        raise data
    track, note = to_track(data)
    if track.shape[1] != dim:
        raise Skip("other_width", f"{track.shape[1]} numbers a step, the others have {dim}")
    return Result(track, f"{zlib.crc32(track.data):08x}", note=note)
