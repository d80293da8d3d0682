"""How much is said and how it was cut, beside the figures of the paper's corpus (section 3).

    videos + captions/NAME + clips/NAME -> one dictionary that JSON can hold

Usable once clips are cut: no features, no training, no index. Tables are read piece by piece and
what is counted are tallies of fixed size, so memory does not grow with the corpus.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tellvision.corpus.captions import without_stop_words
from tellvision.store import MANIFEST, TABLE, Lookup, batches, by_item, manifests_below, read_manifest

PAPER = {
    "videos": 1_220_000,
    "hours": 134_472.0,
    "minutes_per_video": 6.5,
    "captions": 136_600_000,
    "clips": 136_600_000,
    "clips_per_video": 110.0,
    "seconds_per_clip": 4.0,
    "words_per_caption": 4.0,
}
"""HowTo100M; its clips are as long as their lines, its captions are counted without stop words."""

STAGES = ("speech", "captions", "shots", "clips", "pairs")
"""Where videos may be left out, after `videos` itself; features besides, a stage for each backbone."""

SAMPLED = 20_000  # captions whose words are counted


class Tally:
    """How often each value came, to a tenth or so: means are exact, quartiles within half a step."""

    def __init__(self, step: float, most: float) -> None:
        """Count values of 0 or more in steps of `step`; from `most` on they are one."""
        self.step = step
        self._counts = np.zeros(round(most / step) + 1, np.int64)
        self._sum = 0.0

    def add(self, values: np.ndarray) -> None:
        """Take in values (n,) of 0 or more."""
        places = np.minimum(np.rint(values / self.step), len(self._counts) - 1).astype(np.int64)
        counts = np.bincount(places)
        self._counts[: len(counts)] += counts
        self._sum += float(values.sum())

    def __len__(self) -> int:
        return int(self._counts.sum())

    @property
    def mean(self) -> float | None:
        """None for no values."""
        return self._sum / len(self) if len(self) else None

    def quartiles(self) -> list[float] | None:
        """The smallest values that a quarter, half and three quarters of all do not pass; None for no values."""
        if not len(self):
            return None
        below = np.cumsum(self._counts)
        places = np.searchsorted(below, [len(self) * share for share in (0.25, 0.5, 0.75)])
        return [round(float(place) * self.step, 6) for place in places]

    def histogram(self, step: float, most: float) -> dict[str, list[float]]:
        """Counts of [0, step), [step, 2 step) ... [most, without end): where each begins, and how many."""
        bars = round(most / step) + 1
        values = np.arange(len(self._counts)) * self.step
        places = np.minimum(np.floor(values / step + 1e-9), bars - 1).astype(np.int64)
        counts = np.bincount(places, weights=self._counts, minlength=bars)
        return {"from": [round(i * step, 6) for i in range(bars)], "counts": [int(count) for count in counts]}


def statistics(work: Path, name: str = "main") -> dict[str, Any]:
    """What the videos, lines and clips called `name` are like.

    Returns:
        `videos` (with clips), `hours`, `captions`, `clips` and the means `minutes_per_video`,
        `clips_per_video`, `seconds_per_clip`, `words_per_caption` (stop words left out, over an even sample
        of `SAMPLED`), hours and means None where nothing is known; `paper`: the same of HowTo100M; `quartiles` of
        each mean; `histograms` of clip lengths and words; `found`: videos looked at; `sources`: captions of
        each; `skipped`: stage -> reason -> videos; `dropped`: stage -> reason -> lines, captions, windows or
        clips (`reasons.unit`).

    Raises:
        InputError: the clips are not finished.
    """
    manifests = _manifests(work, name)
    captions, clips = work / "captions" / name, work / "clips" / name
    minutes, per_video = _videos(work / "videos", clips)
    lengths, words = _lengths(clips), _words(captions)
    tallies = {
        "minutes_per_video": minutes,
        "clips_per_video": per_video,
        "seconds_per_clip": lengths,
        "words_per_caption": words,
    }
    return {
        "name": name,
        "found": manifests["videos"]["counts"]["items"],
        "videos": len(per_video),
        "hours": None if minutes.mean is None else minutes.mean * len(minutes) / 60,
        "captions": pq.read_metadata(captions / TABLE).num_rows,
        "clips": len(lengths),
        **{key: tally.mean for key, tally in tallies.items()},
        "quartiles": {key: tally.quartiles() for key, tally in tallies.items()},
        "histograms": {
            "seconds_per_clip": lengths.histogram(0.5, 20),
            "words_per_caption": words.histogram(1, 20),
        },
        "sources": _sources(captions),
        "skipped": {stage: one["counts"].get("skipped", {}) for stage, one in manifests.items()},
        "dropped": {stage: one["counts"].get("dropped", {}) for stage, one in manifests.items()},
        "paper": PAPER,
    }


def as_text(found: Mapping[str, Any]) -> str:
    """What `statistics` found, for a terminal: here and in the paper, whence the words, what is left out."""
    names = {
        "videos": "videos",
        "hours": "hours",
        "captions": "captions",
        "clips": "clips",
        "minutes_per_video": "minutes per video",
        "clips_per_video": "clips per video",
        "seconds_per_clip": "seconds per clip",
        "words_per_caption": "words per caption",
    }
    lines = [f"{'':<20}{'here':>12}{'HowTo100M':>14}"]
    for key, label in names.items():
        lines.append(f"{label:<20}{_number(found[key]):>12}{_number(found['paper'][key]):>14}")
    if total := sum(found["sources"].values()):
        shares = (f"{source} {number / total:.0%}" for source, number in found["sources"].items())
        lines.append("words come from: " + ", ".join(shares))
    for what in ("skipped", "dropped"):
        for stage, reasons in found[what].items():
            if reasons:
                listed = ", ".join(f"{number:,} {reason}" for reason, number in reasons.items())
                lines.append(f"{what} by {stage}: {listed}")
    return "\n".join(lines)


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.1f}" if isinstance(value, float) and value < 1000 else f"{value:,.0f}"


def _manifests(work: Path, name: str) -> dict[str, dict[str, Any]]:
    """Of the stages that have run; videos, captions and clips have to.

    Speech and shots that these captions and clips were not made with are left out.
    """
    captions, clips = (read_manifest(work / stage / name) for stage in ("captions", "clips"))
    unused = {"speech": "speech" not in captions["inputs"], "shots": "shots" not in clips["inputs"]}
    found = {"videos": read_manifest(work / "videos")}
    for stage in STAGES:
        folder = work / stage / name
        if (folder / MANIFEST).exists() and not unused.get(stage):
            found[stage] = read_manifest(folder)
    tracks = manifests_below(work / "features" / name)
    return found | {f"features/{part}": one for part, one in tracks.items()}


def _videos(videos: Path, clips: Path) -> tuple[Tally, Tally]:
    """Minutes and clips of each video that has clips; a duration that is not known is not counted."""
    durations = Lookup()
    for batch in batches(videos, ["id", "duration"]):
        known = zip(batch["id"].to_pylist(), batch["duration"].to_pylist(), strict=True)
        durations.update((video, seconds) for video, seconds in known if seconds)
    minutes, per_video = Tally(0.1, 6000), Tally(1, 100_000)
    for video, rows in by_item(clips, ["video_id"]):
        per_video.add(np.array([rows.num_rows]))
        seconds = durations.get(video)
        if isinstance(seconds, float):
            minutes.add(np.array([seconds / 60]))
    return minutes, per_video


def _lengths(clips: Path) -> Tally:
    """Seconds of every clip."""
    lengths = Tally(0.1, 3600)
    for batch in batches(clips, ["start", "end"]):
        lengths.add(pc.subtract(batch["end"], batch["start"]).to_numpy(zero_copy_only=False))
    return lengths


def _words(captions: Path) -> Tally:
    """Words that are no stop words of an even sample of the captions."""
    every = max(1, pq.read_metadata(captions / TABLE).num_rows // SAMPLED)
    words = Tally(1, 10_000)
    place = 0
    for batch in batches(captions, ["text"]):
        taken = pa.array(np.arange(-place % every, len(batch), every))
        texts = batch["text"].take(taken).to_pylist()
        words.add(np.array([len(without_stop_words(text).split()) for text in texts], np.int64))
        place += len(batch)
    return words


def _sources(captions: Path) -> dict[str, int]:
    """Captions by where their words come from, the most frequent first."""
    found: Counter[str] = Counter()
    for batch in batches(captions, ["source"]):
        for one in pc.value_counts(batch["source"]).to_pylist():
            found[one["values"]] += one["counts"]
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))
