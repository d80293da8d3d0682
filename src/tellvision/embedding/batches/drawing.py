"""Which clips a batch holds: B videos x K pairs drawn with replacement (paper, section 4.2).

Every pair meets negatives from its own video. A batch follows from the seed, its epoch and its number
alone, so that a killed run goes on with the very next one and every process draws the same.

Several data sets are mixed by weight. An epoch meets every video of the first one once; the others take
turns with it in proportion to their weights, and go on in the next epoch where they stopped.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tellvision.embedding.batches.pooled import runs, will_need
from tellvision.embedding.pairs import Pairs
from tellvision.records import InputError

_ORDER, _CLIPS, _JITTER = range(3)  # what random numbers are for, each from a stream of its own


class Source(Protocol):
    """Where the rows of clips come from: `Pooled` or `Spans`.

    Attributes:
        pairs: whose table numbers the clips.
        shape: of a clip: (D,) pooled, or (L, D) in steps.
        jitter: seconds by which the ends of a clip are moved.
    """

    pairs: Pairs
    shape: tuple[int, ...]
    jitter: float

    def ahead(self, places: np.ndarray) -> None:
        """Ask for what will be read of some videos (places in `pairs.videos`), without waiting for it."""

    def fill(
        self, places: np.ndarray, clips: np.ndarray, moves: np.ndarray | None, out: np.ndarray
    ) -> np.ndarray | None:
        """Write the rows of clips.

        Args:
            places: (n,) the videos of the clips, those of a video side by side.
            clips: (n,) numbers of the clips.
            moves: (n, 2) by how much start and end move, in -1 .. 1 times `jitter`; None: they do not.
            out: (n, *shape) float16.

        Returns:
            (n,) how many steps of each clip count; None where a clip is one row.
        """


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """Clips to draw from."""

    source: Source
    """Where their rows come from."""
    texts: np.ndarray
    """(clips, w) what the text tower reads, of the whole table (see `prepared`)."""
    usable: np.ndarray
    """(clips,) bool, False for clips that are not drawn: their text cannot be read."""
    videos: Collection[str]
    """Ids to draw from."""
    weight: float = 1.0
    """Share of the videos of a batch, beside the weights of the other sets."""
    name: str = "main"
    """For messages."""


@dataclass(frozen=True)
class Drawn:
    """The clips of a batch, or of one process's share of it; set by set, a video's side by side.

    Attributes:
        epoch: from 0.
        number: of the batch in its epoch, from 0.
        source: (n,) the place of each pair's data set.
        video: (n,) equal where two pairs are of the same video, over all processes.
        places: (n,) the place of the video in its set's `pairs.videos`.
        clips: (n,) the clip's number in its set's table.
        captions: (n, bag) numbers of the clips whose captions are right, the clip itself first.
        moves: (n, 2) by how much start and end move, in -1 .. 1; None where no set has jitter.
    """

    epoch: int
    number: int
    source: np.ndarray
    video: np.ndarray
    places: np.ndarray
    clips: np.ndarray
    captions: np.ndarray
    moves: np.ndarray | None

    def __len__(self) -> int:
        return len(self.clips)

    def by_set(self) -> list[tuple[int, int, int]]:
        """The data sets that pairs come from, each with its first pair and the one behind its last."""
        which, bounds = runs(self.source)
        return list(zip(which.tolist(), bounds.tolist(), bounds[1:].tolist(), strict=False))


class Batches:
    """Draws the batches of every epoch.

    Args:
        sets: what is drawn from; the first one's videos make the epoch.
        videos_per_batch: B, over all sets and processes; an epoch's last batch may have fewer.
        pairs_per_video: K, drawn with replacement.
        bag: captions that are right for a clip: its own, and those of the nearest usable clips of its video
            by their place in the table. At the ends of a video the window is shifted; a video with fewer
            usable clips gives some of them again.
        seed: of the drawing.
        rank: of this process.
        world: processes; each takes an equal share of a batch's pairs, one behind the other.
        distinct: whether token ids are handed out as places among the distinct ones of the batch.

    Raises:
        InputError: K that cannot be shared equally, sets of other widths, a weight that is none, a set
            beside the first with nothing to draw.
    """

    def __init__(
        self,
        sets: Sequence[DataSet],
        *,
        videos_per_batch: int,
        pairs_per_video: int,
        bag: int = 1,
        seed: int,
        rank: int = 0,
        world: int = 1,
        distinct: bool = True,
    ) -> None:
        if pairs_per_video % world:
            raise InputError(
                f"{pairs_per_video} pairs per video cannot be shared equally by {world} processes: "
                f"take {-(-pairs_per_video // world) * world} pairs per video, or another number of processes"
            )
        _check(sets)
        self.sets, self.bag, self.distinct = tuple(sets), bag, distinct
        self._per_batch, self._per_video = videos_per_batch, pairs_per_video
        self._seed, self._rank, self._world = seed, rank, world
        self._choices = [_Choices(one) for one in sets]
        self._counts = np.array([len(choices) for choices in self._choices])
        for one, count in list(zip(sets, self._counts, strict=True))[1:]:
            if not count:
                raise InputError(f"data set {one.name!r} has nothing to draw: no video of it says a known word")
        self._behind = np.cumsum(self._counts) - self._counts  # videos of the sets before
        self._turns, self._ranks = _turns(self._counts.tolist(), [one.weight for one in sets])
        self._met = np.bincount(self._turns, minlength=len(sets))  # videos of each set in an epoch
        self._orders: dict[tuple[int, int], np.ndarray] = {}

    def __len__(self) -> int:
        """Batches of an epoch."""
        return -(-len(self._turns) // self._per_batch)

    @property
    def num_videos(self) -> int:
        """Videos that an epoch meets, of all sets."""
        return len(self._turns)

    @property
    def num_pairs(self) -> int:
        """Pairs that an epoch meets, in all processes."""
        return len(self._turns) * self._per_video

    @property
    def most(self) -> int:
        """Pairs of this process in a full batch."""
        return min(self._per_batch, len(self._turns)) * self._per_video // self._world

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Drawn]:
        """The batches of an epoch from number `start` on."""
        return (self.draw(epoch, number) for number in range(start, len(self)))

    def draw(self, epoch: int, number: int) -> Drawn:
        """This process's share of batch `number` of an epoch; both count from 0."""
        assert 0 <= number < len(self), f"batch {number} of {len(self)}"
        turns = slice(number * self._per_batch, (number + 1) * self._per_batch)
        by_set = np.argsort(self._turns[turns], kind="stable")  # a set's rows lie side by side
        sets, ranks = self._turns[turns][by_set], self._ranks[turns][by_set]
        chosen = self._chosen(epoch, sets, ranks)
        _, first, again = np.unique(chosen + self._behind[sets], return_index=True, return_inverse=True)
        groups = first[again]  # a small set may have a video twice in a batch
        n = len(sets) * self._per_video
        share = slice(self._rank * n // self._world, (self._rank + 1) * n // self._world)
        turn = np.repeat(np.arange(len(sets)), self._per_video)[share]
        chance = np.random.default_rng((self._seed, _CLIPS, epoch, number)).random(n)[share]
        source = sets[turn].astype(np.int64)
        bounds = np.searchsorted(source, np.arange(len(self.sets) + 1)).tolist()
        parts = [
            choices.draw(chosen[turn[a:b]], chance[a:b], self.bag)
            for choices, a, b in zip(self._choices, bounds, bounds[1:], strict=False)
        ]
        places, captions = (np.concatenate(part) for part in zip(*parts, strict=True))
        moves = None
        if any(one.source.jitter for one in self.sets):
            moves = np.random.default_rng((self._seed, _JITTER, epoch, number)).uniform(-1, 1, (n, 2))[share]
        return Drawn(epoch, number, source, groups[turn], places, captions[:, 0], captions, moves)

    def ahead(self, drawn: Drawn) -> None:
        """Have the system read what a batch will need from the disk, without waiting for it."""
        for which, first, last in drawn.by_set():
            one, places = self.sets[which], runs(drawn.places[first:last])[0]
            one.source.ahead(places)
            for begin, end in zip(*(one.source.pairs.offsets[places + n].tolist() for n in (0, 1)), strict=True):
                will_need(one.texts[begin:end])

    def _chosen(self, epoch: int, sets: np.ndarray, ranks: np.ndarray) -> np.ndarray:
        """The videos whose turns these are in an epoch, each by its place among the choices of its set."""
        chosen = np.empty(len(sets), np.int64)
        rounds, places = np.divmod(epoch * self._met[sets] + ranks, self._counts[sets])
        for which, times in set(zip(sets.tolist(), rounds.tolist(), strict=True)):
            there = (sets == which) & (rounds == times)
            chosen[there] = self._order(which, times)[places[there]]
        return chosen

    def _order(self, which: int, times: int) -> np.ndarray:
        """The order in which a set's videos are met for the n-th time."""
        if (found := self._orders.get((which, times))) is None:
            rng = np.random.default_rng((self._seed, _ORDER, which, times))
            found = rng.permutation(self._counts[which])
            while len(self._orders) > 2 * len(self.sets):
                self._orders.pop(next(iter(self._orders)), None)
            self._orders[which, times] = found
        return found


class _Choices:
    """The videos of a data set that have something to draw, by name, and their usable clips."""

    def __init__(self, given: DataSet) -> None:
        pairs = given.source.pairs
        self._clips = np.flatnonzero(given.usable)
        if len(pairs) < 2**31:
            self._clips = self._clips.astype(np.int32)
        begins = np.searchsorted(self._clips, pairs.offsets)
        # By name: the place in the table depends on whether a video was there from the beginning.
        wanted = set(given.videos)
        named = sorted((v, i) for i, v in enumerate(pairs.videos) if v in wanted and begins[i] < begins[i + 1])
        self._places = np.array([i for _, i in named], np.int64)
        self._first = begins[self._places]
        self._count = begins[self._places + 1] - self._first

    def __len__(self) -> int:
        return len(self._places)

    def draw(self, chosen: np.ndarray, chance: np.ndarray, bag: int) -> tuple[np.ndarray, np.ndarray]:
        """A clip of each of the `chosen` videos, by a number in [0, 1).

        Returns:
            (n,) the place of the video, and (n, bag) clip numbers, those whose captions are right for the clip.
        """
        first, count = self._first[chosen], self._count[chosen]
        own = (chance * count).astype(np.int64)
        start = np.clip(own - (bag - 1) // 2, 0, np.maximum(count - bag, 0))
        others = np.arange(bag - 1) + start[:, None]
        others += others >= own[:, None]  # every place of the window but its own
        window = np.concatenate([own[:, None], others % count[:, None]], axis=1)
        return self._places[chosen], self._clips[first[:, None] + window].astype(np.int64)


def _turns(counts: Sequence[int], weights: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Whose turn it is, video by video of an epoch, and for the how-manieth time.

    The first set has a turn for each of its videos, the others in proportion to their weights, spread evenly:
    the n-th turn of a set comes at the time (n + 1/2) / weight.
    """
    turns = [counts[0], *(max(1, round(counts[0] * weight / weights[0])) for weight in weights[1:])]
    if not counts[0]:
        turns = [0] * len(turns)
    whose = np.repeat(np.arange(len(turns), dtype=np.int16), turns)
    ranks = np.concatenate([np.arange(n) for n in turns])
    order = np.argsort((ranks + 0.5) / np.asarray(weights)[whose], kind="stable")
    return whose[order], ranks[order]


def _check(sets: Sequence[DataSet]) -> None:
    for one in sets:
        if not (np.isfinite(one.weight) and one.weight > 0):
            raise InputError(f"the weight of data set {one.name!r} is a number above 0, got {one.weight}")
        for what, found, first in (
            ("clips", one.source.shape, sets[0].source.shape),
            ("texts", (one.texts.dtype, *one.texts.shape[1:]), (sets[0].texts.dtype, *sets[0].texts.shape[1:])),
        ):
            if found != first:
                both = f"data sets {sets[0].name!r} and {one.name!r}"
                raise InputError(f"{both} cannot be mixed: {what} of {first} and of {found}")
