"""Speech: how well, how timely and how fast it is heard, against faster-whisper called by hand.

Real speech: the five recordings of LibriVox in Debian's `pocketsphinx-testdata`. Made speech: espeak-ng in four
voices, where the beginning of every line is known to the sample; narrated workouts, where a folder of them is
named by TELLVISION_WORKOUTS (`videos.jsonl` with the truth beside the videos). What is not there is left out,
saying so. Word error rate: substitutions, insertions and deletions for each word that was said; lower case, no
punctuation, numbers as words, the same for both sides. Start of a line: when the word heard for its first word
begins; where no word, or another, was heard for it the line counts as missed.
"""

import json
import math
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.figures import Figure, Report, figure, interleaved
from tellvision.corpus.speech.config import SpeechConfig
from tellvision.corpus.speech.listening import listen
from tellvision.corpus.speech.models import recogniser
from tellvision.media import RATE, Sound
from tellvision.records import Cue

LIBRIVOX = Path("/usr/share/pocketsphinx/test/data/librivox")
VOICES = ("en-us", "en-gb", "en-us+f3", "en-gb+m3")
GAP = 0.25  # seconds between spoken lines
IN_TIME = 0.3  # seconds that the start of a line may be off
LINES = (
    "hey everyone welcome back to my channel",
    "first I will show you how to do the squat",
    "Stand with your feet about 12 inches apart and hold the bar on your shoulders.",
    "Keep your back straight, breathe in and slowly bend your knees.",
    "Go down until your thighs are parallel to the floor.",
    "Now push through your heels and return to the starting position.",
    "Repeat for 10 to 15 repetitions.",
    "next I will show you how to do the seated row",
    "Sit on the bench, place your feet on the platform and take hold of the handle.",
    "Pull the handle towards your stomach while you breathe out.",
    "Hold it there for 2 seconds and squeeze your shoulder blades.",
    "Then let it go back slowly until your arms are stretched.",
    "Tip: do not lean back, only your arms should move.",
    "thanks for watching and I will see you next time",
)


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is measured."""

    voices: tuple[str, ...] = VOICES
    """Voices of espeak-ng."""
    lines: int = len(LINES)
    """Lines that each of them says."""
    workouts: int = 8
    """Narrated workouts, spread over those in the folder."""
    rounds: int = 7
    """Times that the speed is measured: on a shared machine a round varies by a tenth."""


SMALLEST = Size(voices=VOICES[:1], lines=2, workouts=1, rounds=1)


@dataclass(frozen=True)
class Spoken:
    """A file and what is said in it.

    Attributes:
        path: sound or video.
        lines: (second it begins, text); NaN where only the text is known.
    """

    path: Path
    lines: tuple[tuple[float, str], ...]


@dataclass(frozen=True)
class Score:
    """How what was heard compares to what was said.

    Attributes:
        wrong: words substituted, inserted or deleted.
        words: that were said.
        late: seconds by which the lines' first words were heard late, for those that were.
        missed: lines of which another word, or none, was heard for the first.
    """

    wrong: int
    words: int
    late: tuple[float, ...]
    missed: int


def measure(size: Size) -> Iterator[Report]:
    """One report for real speech, one per voice, one for workouts, one for the speed."""
    named, timed, missing = os.environ.get("TELLVISION_WORKOUTS"), [], []
    with tempfile.TemporaryDirectory() as folder:
        if LIBRIVOX.is_dir():
            yield _accuracy("librivox", librivox(), at_most=0.08)
        else:
            missing.append("pocketsphinx-testdata is not installed: no real speech")
        if shutil.which("espeak-ng"):
            for voice in size.voices:
                timed.append(spoken(Path(folder), voice, LINES[: size.lines]))
                yield _accuracy(voice, timed[-1:], at_most=0.25)
        else:
            missing.append("espeak-ng is not installed: no voices")
        if named:
            films = workouts(Path(named), size.workouts)
            timed = films[:2]
            yield _accuracy("workouts", films, at_most=0.25)
        else:
            missing.append("TELLVISION_WORKOUTS names no folder: no workouts")
        if timed:
            yield _speed(timed, size.rounds, missing)


def _accuracy(case: str, files: list[Spoken], at_most: float) -> Report:
    scores = [score(file.lines, listen(file.path).cues) for file in files]
    words, wrong = sum(s.words for s in scores), sum(s.wrong for s in scores)
    right = [1 - s.wrong / s.words for s in scores]
    figures = [
        Figure(
            name=f"speech.{case}.words_right",
            value=1 - wrong / words,
            low=min(right),
            high=max(right),
            unit="share",
            baseline=f"the {words} words that were said; one less the word error rate",
            budget=1 - at_most,
        )
    ]
    notes = [f"word error rate {wrong / words:.3f} (at most {at_most:g} wanted)"]
    late, missed = [second for s in scores for second in s.late], sum(s.missed for s in scores)
    if late:
        off = np.abs(late)
        shares = [float(np.mean(np.abs(s.late) <= IN_TIME)) for s in scores if s.late]
        figures.append(
            Figure(
                name=f"speech.{case}.starts_in_time",
                value=float(np.mean(off <= IN_TIME)),
                low=min(shares),
                high=max(shares),
                unit="share",
                baseline=f"{len(late)} lines heard: within {IN_TIME:g} s of the sample at which they begin",
                budget=0.5,  # so the median is within it
            )
        )
        notes += [
            f"starts of lines: median {np.median(off):.3f} s off (at most {IN_TIME:g} wanted), nine in ten within "
            f"{np.quantile(off, 0.9):.2f} s, {np.median(late):+.2f} s late in the middle",
            f"{missed} of {len(late) + missed} lines missed: another first word was heard, or none",
        ]
    title = f"speech: {case}, {len(files)} files, {SpeechConfig().model}"
    return Report(title=title, rates={}, figures=tuple(figures), notes=tuple(notes))


def _speed(files: list[Spoken], rounds: int, missing: Sequence[str]) -> Report:
    config = SpeechConfig()
    pipeline = recogniser(config)  # by hand it is the same model, with the same options
    options = {"beam_size": config.beam, "word_timestamps": True, "language": "en"}
    with_batches = options | {"batch_size": config.batch}
    seconds = sum(sum(map(len, Sound(file.path))) for file in files) / RATE

    def timed(hear: Callable[[str], object]) -> Callable[[], float]:
        def rate() -> float:
            began = time.process_time()  # of this process: one thread, whoever else is on the machine
            for file in files:
                hear(str(file.path))
            return seconds / (time.process_time() - began)

        return rate

    rates = interleaved(
        {
            "listen": timed(lambda path: listen(Path(path), config)),
            "by hand, in batches": timed(lambda path: list(pipeline.transcribe(path, **with_batches)[0])),
            "by hand, in order": timed(
                lambda path: list(pipeline.model.transcribe(path, vad_filter=True, **options)[0])
            ),
        },
        rounds,
    )
    return Report(
        title=f"speech: speed on {seconds:.0f} s in {len(files)} files, {config.model}, one thread",
        rates={name: (found, "x real time of a core") for name, found in rates.items()},
        figures=(
            figure(
                "speech.of_batches_by_hand",
                rates["listen"],
                rates["by hand, in batches"],
                "x",
                "faster_whisper.BatchedInferencePipeline on the same files, same model and options",
                budget=0.95,
            ),
            figure(
                "speech.of_order_by_hand",
                rates["listen"],
                rates["by hand, in order"],
                "x",
                "faster_whisper.WhisperModel with vad_filter on the same files, same model and options",
                budget=0.95,
            ),
        ),
        notes=(f"peak memory of the process {_peak():,.0f} MB", *missing),
    )


def _peak() -> float:
    """Megabytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (2**20 if sys.platform == "darwin" else 2**10)


def librivox() -> list[Spoken]:
    """The real recordings, with what is said in each."""
    found = []
    for line in (LIBRIVOX / "transcription").read_text(encoding="utf-8").splitlines():
        if match := re.fullmatch(r"<s> (.*) </s> \((.*)\)", line.strip()):
            found.append(Spoken(LIBRIVOX / f"{match[2]}.wav", ((math.nan, match[1]),)))
    return found


def spoken(folder: Path, voice: str, lines: Sequence[str], speed: int = 170) -> Spoken:
    """The lines said by a voice of espeak-ng, `GAP` seconds apart, as a sound file in `folder`."""
    path, parts, starts, rate, at = folder / f"{voice}.wav", [], [], 0, 0.0
    for line in lines:
        subprocess.run(["espeak-ng", "-v", voice, "-s", str(speed), "-w", str(path), line], check=True)
        with wave.open(str(path)) as file:
            rate = file.getframerate()
            parts += [file.readframes(file.getnframes()), bytes(2 * int(GAP * rate))]
        starts.append(at)
        at += (len(parts[-2]) + len(parts[-1])) / 2 / rate
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(b"".join(parts))
    return Spoken(path, tuple(zip(starts, lines, strict=True)))


def workouts(folder: Path, count: int) -> list[Spoken]:
    """`count` videos of a folder with `videos.jsonl`, evenly spread over it."""
    rows = [json.loads(line) for line in (folder / "videos.jsonl").read_text(encoding="utf-8").splitlines()]
    rows = rows[:: max(1, len(rows) // count)][:count]
    return [
        Spoken(folder / f"{row['id']}.mp4", tuple((line["start"], line["text"]) for line in row["lines"]))
        for row in rows
    ]


def score(lines: Sequence[tuple[float, str]], cues: Sequence[Cue]) -> Score:
    """What was said, (second, text) a line, against what was heard."""
    said: list[str] = []
    firsts: list[tuple[int, float]] = []
    for start, text in lines:
        words = normal(text)
        if words and not math.isnan(start):
            firsts.append((len(said), start))
        said += words
    heard = [(word, spoken.start) for cue in cues for spoken in cue.words for word in normal(spoken.text)]
    wrong, pairs = aligned(said, [word for word, _ in heard])
    late = [heard[pairs[i]][1] - start for i, start in firsts if i in pairs and heard[pairs[i]][0] == said[i]]
    return Score(wrong=wrong, words=len(said), late=tuple(late), missed=len(firsts) - len(late))


def aligned(said: Sequence[str], heard: Sequence[str]) -> tuple[int, dict[int, int]]:
    """The least number of substitutions, insertions and deletions, and which word stands for which.

    >>> aligned(["a", "b", "c"], ["a", "x", "c", "d"])
    (2, {0: 0, 1: 1, 2: 2})
    """
    cost = [list(range(len(heard) + 1))]
    for i, word in enumerate(said, 1):
        above, row = cost[-1], [i]
        for j, other in enumerate(heard, 1):
            row.append(min(above[j - 1] + (word != other), above[j] + 1, row[-1] + 1))
        cost.append(row)
    i, j, pairs = len(said), len(heard), {}
    while i and j:
        if cost[i][j] == cost[i - 1][j - 1] + (said[i - 1] != heard[j - 1]):
            i, j = i - 1, j - 1
            pairs[i] = j
        elif cost[i][j] == cost[i - 1][j] + 1:
            i -= 1
        else:
            j -= 1
    return cost[-1][-1], dict(sorted(pairs.items()))


_ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_WRITTEN = {"mr": "mister", "mrs": "missus", "dr": "doctor", "ok": "okay"}


def normal(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation, numbers as words.

    >>> normal("Hold it for 10-15 seconds, don't stop: 2.5 times!")
    ['hold', 'it', 'for', 'ten', 'fifteen', 'seconds', 'dont', 'stop', 'two', 'point', 'five', 'times']
    """
    text = re.sub(r"(?<=\d),(?=\d{3})|['’]", "", text.lower())
    text = re.sub(r"(?<=\d)\.(?=\d)", " point ", text)
    words: list[str] = []
    for word in re.findall(r"\d+|[^\W\d_]+", text):
        words += number(int(word)) if word.isdigit() and len(word) < 7 else [_WRITTEN.get(word, word)]
    return words


def number(value: int) -> list[str]:
    """0 to 999,999 in words, as one reads it.

    >>> number(342), number(1005), number(20)
    (['three', 'hundred', 'forty', 'two'], ['one', 'thousand', 'five'], ['twenty'])
    """
    if value < 20:
        return [_ONES[value]]
    for unit, name in ((1000, "thousand"), (100, "hundred")):
        if value >= unit:
            return [*number(value // unit), name, *(number(value % unit) if value % unit else ())]
    return [_TENS[value // 10 - 2], *(number(value % 10) if value % 10 else ())]
