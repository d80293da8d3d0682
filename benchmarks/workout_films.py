"""Narrated workouts out of photographs of exercises: real pictures and real sentences whose truth is known.

Reads a checkout of the public free-exercise-db, whose exercises have two photographs (the start and the end)
and written instructions. Writes a folder as `tellvision run` takes it: films of three exercises one after the
other, the photographs in turn under a slow zoom, with subtitles of what a voice would say (at a steady pace;
there is no sound), `held_out.txt` and, last, `truth.jsonl`. As in videos from the web, only a part of what is
said can be seen: there is chatter over pictures of other exercises in between. No exercise stands in two films
and no picture, not even under the chatter, on both sides of the split.
"""

import json
import os
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
from PIL import Image

from tellvision.draw.story import Line, Word, rolling_vtt, words_of
from tellvision.records import InputError, Skip
from tellvision.runners import ProgressCallback, Result, map_items, no_progress
from tellvision.store import atomic_write, digest

WIDTH, HEIGHT = 320, 240
FPS = 3  # backbones look once or twice a second
TOGETHER = 3  # exercises in a film
TRAINING, ALL = 167, 222  # films to learn from, of the whole series
PAUSE = 0.25  # seconds between two sentences
ZOOM = 0.15  # share of the picture that a zoom comes closer by
ROW = 7  # words of a row of json3 subtitles
LOOK = 1  # raise it when films change, so that no finished one of an older look is kept

HELLO = (
    "hello everybody and welcome to another video",
    "good to have you here today",
    "if you are new to the channel please subscribe",
)
BETWEEN = (
    "write me a comment if you have a question",
    "have a sip of something and catch your breath",
    "remember that there is a link in the description",
)
GOODBYE = ("that was it for today", "thank you for watching and see you next week", "I hope you had fun, bye")
OPENING = ("we begin with", "the next one is", "and the last one is")


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """One exercise of the data: what to do, and two photographs of it."""

    id: str
    name: str
    instructions: tuple[str, ...]
    pictures: tuple[Path, Path]


@dataclass(frozen=True, kw_only=True)
class Film:
    """What a film is made from."""

    number: int
    """Place in the series; with it everything about the film is drawn."""
    held_out: bool
    exercises: tuple[Exercise, ...]
    others: tuple[Path, ...]
    """Pictures that may stand under the chatter."""

    @property
    def id(self) -> str:
        """The video's id, and the name of its files."""
        return f"workout-{self.number:03d}"


def read_exercises(data: Path) -> list[Exercise]:
    """The exercises with instructions and two photographs, by id.

    Args:
        data: a checkout of free-exercise-db, its folder `exercises`, or another folder of the same files:
            NAME.json, with pictures that it names by paths from that folder.

    Raises:
        InputError: there are too few for a film on either side of the split.
    """
    folder = data / "exercises" if (data / "exercises").is_dir() else data
    found = [one for path in folder.glob("*.json") if (one := _exercise(folder, path))]
    if len(found) < 2 * TOGETHER:
        raise InputError(
            f"--data {data}: {len(found)} exercises with instructions and two pictures, at least {2 * TOGETHER} "
            "are needed: name a checkout of free-exercise-db"
        )
    return sorted(found, key=lambda one: one.id)


def _exercise(folder: Path, path: Path) -> Exercise | None:
    """What the file tells; None where that is no exercise, or one that cannot be shown or told."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(told, dict) or not isinstance(told.get("name"), str):
        return None
    said, images = told.get("instructions"), told.get("images")
    if not isinstance(said, list) or not isinstance(images, list):
        return None
    sentences = tuple(text.strip() for text in said if isinstance(text, str) and text.strip())
    pictures = [folder / image for image in images if isinstance(image, str) and (folder / image).is_file()]
    if not sentences or len(pictures) < 2:
        return None
    identity = told["id"] if isinstance(told.get("id"), str) else path.stem
    return Exercise(id=identity, name=told["name"], instructions=sentences, pictures=(pictures[0], pictures[1]))


def series(exercises: Sequence[Exercise], count: int) -> list[Film]:
    """`count` films, or as many as there are: about three in four to learn from, the others held out.

    The split belongs to the exercises: the first 167 groups of three in the shuffled order are to learn from
    (of fewer exercises the same share), however many films are asked for.
    """
    order = list(exercises)
    random.Random(7).shuffle(order)
    groups = [tuple(order[i : i + TOGETHER]) for i in range(0, len(order) - TOGETHER + 1, TOGETHER)]
    split = min(TRAINING, max(1, len(groups) * TRAINING // ALL))
    learned = max(1, min(split, count * TRAINING // ALL))
    numbers = [*range(learned), *range(split, min(len(groups), split + max(1, count - learned)))]
    films = []
    for number in numbers:
        side = range(split) if number < split else range(split, len(groups))
        strangers = [one.pictures[0] for i in side if i != number for one in groups[i]]
        others = tuple(random.Random(f"others/{number}").sample(strangers, min(4, len(strangers))))
        films.append(Film(number=number, held_out=number >= split, exercises=groups[number], others=others))
    return films


def make(
    data: Path, out: Path, *, count: int = ALL, workers: int = 2, progress: ProgressCallback = no_progress
) -> None:
    """Write the films into `out`. Called again after a stop, it makes what is left.

    Args:
        data: see `read_exercises`.
        out: a folder, made where it is missing.
        count: films, see `series`.
        workers: processes.
        progress: told of films done and in all.

    Raises:
        InputError: too few exercises; a picture cannot be read.
    """
    films = series(read_exercises(data), count)
    out.mkdir(parents=True, exist_ok=True)
    wanted = {film.id for film in films}
    for path in (*out.glob("workout-*.*"), out / "truth.jsonl"):
        if path.name.split(".")[0] not in wanted:
            path.unlink(missing_ok=True)  # films of a longer series, and what was the truth before these
    progress(0, len(films))
    truth = []
    jobs = ((film.id, (film, out)) for film in films)
    for done, (_, result) in enumerate(map_items(_made, jobs, workers if workers > 1 else 0), 1):
        if isinstance(result, Skip):
            raise InputError(f"--data {data}: {result}")
        truth.append(result.output)
        progress(done, len(films))
    held_out = [film.id for film in films if film.held_out]
    atomic_write(out / "held_out.txt", "".join(f"{one}\n" for one in held_out).encode())
    atomic_write(out / "truth.jsonl", "".join(json.dumps(one) + "\n" for one in truth).encode())


def _made(job: tuple[Film, Path]) -> Result[dict[str, Any]]:
    """The truth of a film that lies there with its subtitles, made if it did not."""
    film, out = job
    rng = random.Random(f"film/{film.number}")
    lines = tell(film, rng)
    told = {
        "id": film.id,
        "title": "How to do " + ", ".join(one.name for one in film.exercises),
        "exercises": [{"id": one.id, "name": one.name} for one in film.exercises],
        "duration": lines[-1].end,
        "segments": segments_of(lines),
        "lines": [{"start": x.start, "end": x.end, "text": x.text, "exercise": x.step} for x in lines],
    }
    sizes = [path.stat().st_size for one in film.exercises for path in one.pictures]
    mark = digest(LOOK, told, sizes, [path.name for path in film.others])
    path = out / f"{film.id}.mp4"
    ending, written = SUBTITLES[film.number % len(SUBTITLES)]
    atomic_write(out / f"{film.id}.en.{ending}", written(lines).encode())
    if not path.exists() or _mark_of(path) != mark:
        part = out / f".{film.id}.part"
        with av.open(str(part), "w", format="mp4") as file:
            file.metadata["comment"] = mark
            options = {"preset": "superfast", "crf": "28", "threads": "1"}
            video: Any = file.add_stream("libx264", rate=FPS, options=options)
            video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            for picture in _frames(film, lines, rng):
                file.mux(video.encode(av.VideoFrame.from_image(picture)))
            file.mux(video.encode())
        os.replace(part, path)
    return Result(told, mark)


def _mark_of(path: Path) -> str | None:
    try:
        with av.open(str(path)) as file:
            return file.metadata.get("comment")
    except (av.FFmpegError, OSError):
        return None


def tell(film: Film, rng: random.Random) -> tuple[Line, ...]:
    """What is said, one sentence after the other: `step` is the id of the exercise that is seen, or None."""
    spoken: list[tuple[str, str | None]] = [(rng.choice(HELLO), None)]
    for opening, one in zip(OPENING, film.exercises, strict=True):
        spoken.append((f"{opening} the {one.name}", one.id))
        spoken += [(text, one.id) for text in one.instructions]
        if rng.random() < 0.5:
            spoken.append((rng.choice(BETWEEN), None))
    spoken.append((rng.choice(GOODBYE), None))
    pace = rng.uniform(2.4, 3.0)  # words per second
    lines, at = [], 0.0
    for text, step in spoken:
        end = round(at + len(text.split()) / pace, 3)
        lines.append(Line(start=at, end=end, text=text, step=step, visible=step is not None))
        at = round(end + PAUSE, 3)
    return tuple(lines)


def segments_of(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """From when to when each exercise is seen: from its first sentence to the next one that is not its own."""
    found: list[dict[str, Any]] = []
    before: str | None = None
    for line in lines:
        if line.step != before and before is not None:
            found[-1]["end"] = line.start
        if line.step != before and line.step is not None:
            found.append({"exercise": line.step, "start": line.start, "end": line.end})
        before = line.step
    return found


def _frames(film: Film, lines: Sequence[Line], rng: random.Random) -> Iterator[Image.Image]:
    mirrored, period = rng.random() < 0.5, rng.uniform(2.0, 4.0)  # seconds that one photograph stays
    shown = {one.id: [_read(path, mirrored) for path in one.pictures] for one in film.exercises}
    others = [_read(path, mirrored) for path in film.others] or [Image.new("RGB", (WIDTH, HEIGHT), "grey")]
    place = 0
    for number in range(int(lines[-1].end * FPS)):
        at = number / FPS
        while place + 1 < len(lines) and lines[place + 1].start <= at:
            place += 1
        step = lines[place].step
        pictures = [others[place % len(others)]] if step is None else shown[step]
        turn, moved = divmod(at / period, 1)
        picture = pictures[int(turn) % len(pictures)]
        near = ZOOM * moved / 2
        box = (
            near * picture.width,
            near * picture.height,
            (1 - near) * picture.width,
            (1 - near) * picture.height,
        )
        yield picture.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR, box)


def _read(path: Path, mirrored: bool) -> Image.Image:
    """A photograph no larger than it is needed, squeezed a little: it is 3:2, the film 4:3."""
    try:
        with Image.open(path) as file:
            picture = file.convert("RGB")
    except OSError as error:
        raise InputError(f"{path} cannot be read as a picture: {error}") from None
    picture.thumbnail((2 * WIDTH, 2 * HEIGHT))
    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirrored else picture


def srt(lines: Sequence[Line]) -> str:
    """Subtitles as typed by hand: a cue for every sentence."""
    cues = []
    for number, line in enumerate(lines, 1):
        start, end = (_clock(seconds) for seconds in (line.start, line.end))
        cues.append(f"{number}\n{start} --> {end}\n{line.text}\n")
    return "\n".join(cues)


def _clock(seconds: float) -> str:
    ms = round(1000 * seconds)
    return f"{ms // 3_600_000:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d},{ms % 1000:03d}"


def json3(lines: Sequence[Line]) -> str:
    """Subtitles in the form that YouTube's player is sent: rows of words, each with its time."""
    words = words_of(tuple(lines))
    rows: list[list[Word]] = [list(words[i : i + ROW]) for i in range(0, len(words), ROW)]
    events = []
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        start, end = row[0][0], following[0][0] if following else lines[-1].end
        segments = [
            {"utf8": f"{' ' * bool(place)}{word}", "tOffsetMs": round(1000 * (at - start))}
            for place, (at, word) in enumerate(row)
        ]
        shown = {"tStartMs": round(1000 * start), "dDurationMs": round(1000 * (end - start)) + 1500}
        events += [shown | {"segs": segments}]
        events += [{"tStartMs": round(1000 * end), "dDurationMs": 10, "aAppend": 1, "segs": [{"utf8": "\n"}]}]
    return json.dumps({"wireMagic": "pb3", "events": events})


SUBTITLES: tuple[tuple[str, Callable[[tuple[Line, ...]], str]], ...] = (
    ("vtt", rolling_vtt),
    ("srt", srt),
    ("json3", json3),
)
