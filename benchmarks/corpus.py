"""A made-up corpus in the sizes of the real one: tracks, clips, texts, and the pairs folder made of them.

Numbers are random, sizes are those of the paper: 6.5 minutes and 110 clips per video, clips of at least 5 s.
The same content is written three times: as the `.npy` file per video that the reference reads, as the tracks
that `Spans` reads, and, through `pairs.join`, as the pairs folder that training reads.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from tellvision.embedding.pairs import PAIRS, PairWriter, join
from tellvision.embedding.text import WordPieces
from tellvision.store import ArrayWriter

SECONDS = 390  # of a video
TRACKS = {
    1280: ((1.0, 1280),),
    4096: ((1.0, 2048), (1.5, 2048)),
}  # width of a clip's row -> (fps, dim) of its tracks


@dataclass(frozen=True)
class Captions:
    """What is said in a video, as the reference keeps it: one list per column."""

    start: list[float]
    end: list[float]
    text: list[str]


@dataclass(frozen=True)
class Corpus:
    """A corpus on disk.

    Attributes:
        tracks: (fps, folder of ID.npy) of each track.
        pairs: the pairs folder.
        captions: by video.
        stores: (fps, folder of array shards) of each track.
    """

    tracks: tuple[tuple[float, Path], ...]
    pairs: Path
    captions: dict[str, Captions]
    stores: tuple[tuple[float, Path], ...] = ()


def vocabulary(pieces: WordPieces, size: int = 10_000) -> list[str]:
    """The first `size` whole words of the tokenizer, the common ones first."""
    ids: dict[str, int] = json.loads(pieces.to_json())["model"]["vocab"]
    return [word for word in sorted(ids, key=ids.__getitem__) if word.isascii() and word.isalpha()][:size]


def texts(words: list[str], count: int, seed: int) -> list[str]:
    """`count` lines of 4 to 16 words; the n-th word of the list is met 1 / (n + 10) as often as the first."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(4, 17, count)
    share = 1 / np.arange(10, len(words) + 10)
    drawn = iter(rng.choice(len(words), int(lengths.sum()), p=share / share.sum()).tolist())
    return [" ".join(words[next(drawn)] for _ in range(length)) for length in lengths.tolist()]


def write(folder: Path, *, dim: int, num_videos: int, clips_per_video: int, words: list[str], seed: int) -> Corpus:
    """Make a corpus of `num_videos` videos, `dim` numbers per clip, below `folder`."""
    rng = np.random.default_rng(seed)
    said = texts(words, num_videos * clips_per_video, seed)
    roots = tuple((fps, folder / f"{dim}-track{n}") for n, (fps, _) in enumerate(TRACKS[dim]))
    for _, root in roots:
        root.mkdir()
    stores = tuple((fps, folder / f"{dim}-store{n}") for n, (fps, _) in enumerate(TRACKS[dim]))
    captions: dict[str, Captions] = {}
    writer = PairWriter(folder / f"{dim}-pairs", dim)
    writers = [ArrayWriter(path, width) for (_, path), (_, width) in zip(stores, TRACKS[dim], strict=True)]
    everything: tuple[PairWriter | ArrayWriter, ...] = (writer, *writers)
    for one in everything:
        one.open({})
    for number in range(num_videos):
        video = f"video{number:05d}"
        start = np.sort(rng.uniform(0, SECONDS - 10, clips_per_video))
        end = start + rng.uniform(5, 8, clips_per_video)
        lines = said[number * clips_per_video : (number + 1) * clips_per_video]
        captions[video] = Captions(start.tolist(), end.tolist(), lines)
        tracks = [(_track(int(SECONDS * fps), width, rng), fps) for fps, width in TRACKS[dim]]
        for (_, root), arrays, (track, _) in zip(roots, writers, tracks, strict=True):
            np.save(root / f"{video}.npy", track)
            arrays.append(video, "", track)
        ids = [f"{video}/{n}" for n in range(clips_per_video)]
        clips = pa.table([ids, [video] * clips_per_video, start, end, lines], schema=PAIRS)
        writer.append(video, "", join(clips, tracks).output)
    for one in everything:
        one.commit()
        one.close(captions)
        one.release()
    return Corpus(roots, folder / f"{dim}-pairs", captions, stores)


def _track(steps: int, dim: int, rng: np.random.Generator) -> np.ndarray:
    rows = rng.random((steps, dim), dtype=np.float32)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)
