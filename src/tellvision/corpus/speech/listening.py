"""Listening to a video: sound in pieces, windows of speech in each, what the recogniser believes it heard.

Memory is that of a piece of a few minutes, whatever the length of the video: a piece ends in a silence,
what comes after it is carried over to the next.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tellvision.corpus.speech.config import SpeechConfig
from tellvision.corpus.speech.lines import HeardWord, lines_of, straightened
from tellvision.corpus.speech.models import recogniser
from tellvision.media import RATE, Sound
from tellvision.records import Cue, Skip

if TYPE_CHECKING:
    from faster_whisper.transcribe import Segment

WINDOW = 29.5  # seconds: the recogniser hears 30 at once
SILENT = 1e-3  # of full scale (-60 dB): sound that is never louder is silence
_PAUSE = 0.16  # seconds without voice that part two stretches of speech
_PAD = 0.2  # seconds heard before and after a stretch
_HOLE = 3.0  # seconds without voice that end a window
_RUN_UP = 1.0  # seconds carried over where nobody speaks at the end of a piece
_FULL = 0.85  # of a window's length, from which on it ends at the widest pause
_UNSURE = -1.0  # mean log probability of a token: words below it are guessed
_SURE = -0.4  # and above it are believed although nobody seems to speak
_DOUBTED = 0.6  # probability that nobody speaks
_LOOPING = 2.4  # times that a text shrinks when compressed: it says the same over and over


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What is said in a video.

    Attributes:
        cues: lines in order of time, with the times of their words.
        language: as `en`.
        probability: of the language, 0 to 1; 1 where it was given or the model knows no other.
        note: what was odd of the sound, in one line; empty where nothing was.
    """

    cues: list[Cue]
    language: str
    probability: float
    note: str = ""


@dataclass(frozen=True)
class Window:
    """Samples `start` to `end` of a piece: speech with its short pauses."""

    start: int
    end: int


def listen(path: Path, config: SpeechConfig | None = None) -> Heard:
    """What is said in the video at `path`.

    Words' times never run backwards; every cue has 0 <= start <= end within the sound.

    Args:
        path: a video, or a sound file (.wav, .m4a).
        config: None for the defaults. `when` is the caller's: this always listens.

    Raises:
        Skip: `empty_file`, `unreadable_video`; `no_sound`: no sound track, or nothing of it decodes; `silent`:
            never louder than -60 dB; `no_speech`: no voice in it, or none that the recogniser believes.
        InputError: the model cannot be had, or does not know the language.
    """
    config = config or SpeechConfig()
    ears = recogniser(config)
    sound = Sound(path)
    words: list[HeardWord] = []
    language, probability = config.language, 1.0
    seconds, loudest, voices = 0.0, 0.0, 0
    for starts, samples, windows in pieces(sound, (config.batch + 1) * 30.0, config.batch):
        seconds = starts + len(samples) / RATE
        loudest = max(loudest, float(np.abs(samples).max(initial=0.0)))
        if not windows:
            continue
        voices += len(windows)
        segments, about = ears.transcribe(
            samples,
            language=language or None,
            beam_size=config.beam,
            batch_size=config.batch,
            word_timestamps=True,
            clip_timestamps=[{"start": w.start / RATE, "end": w.end / RATE} for w in windows],
        )
        if not language:
            language, probability = about.language, float(about.language_probability)
        for segment in segments:
            if _believed(segment):
                words += [
                    HeardWord(starts + float(w.start), starts + float(w.end), w.word) for w in segment.words or ()
                ]
    if loudest < SILENT:
        raise Skip("silent", f"{path.name}: {seconds:.0f} s of sound, never louder than -60 dB")
    cues = lines_of(straightened(words, seconds))
    if not cues:
        what = f"voice in {voices} places, no word to be understood" if voices else "no voice"
        raise Skip("no_speech", f"{path.name}: {seconds:.0f} s of sound, {what}")
    return Heard(cues=cues, language=language, probability=probability, note=sound.note)


def _believed(segment: "Segment") -> bool:
    """Whether a window's words were said: on music and noise the recogniser makes up a "Thank you"."""
    if segment.avg_logprob < _UNSURE or segment.compression_ratio > _LOOPING:
        return False
    return segment.no_speech_prob <= _DOUBTED or segment.avg_logprob >= _SURE


def pieces(
    blocks: Iterable[np.ndarray], seconds: float, batch: int = 1
) -> Iterator[tuple[float, np.ndarray, list[Window]]]:
    """Sound cut where nobody speaks, each piece with the windows of speech in it.

    A window that may go on, and those that would not fill a batch, are carried over to the next piece.

    Args:
        blocks: (n,) float32 each, at `RATE`.
        seconds: the length of a piece, the last one shorter; more than `WINDOW` and a hole.
        batch: windows that are recognised together; fewer are given only where a piece has no more.

    Returns:
        (seconds where the piece begins, its samples, its windows), in order; the pieces overlap.
    """
    size = round(seconds * RATE)  # every piece but the last: memory of one size is taken up again when it is free
    samples, length, begins = np.empty(size, np.float32), 0, 0
    for block in blocks:
        while len(block):
            part, block = block[: size - length], block[size - length :]
            samples[length : length + len(part)] = part
            length += len(part)
            if length < size:
                continue
            windows = windows_of(samples)
            cut = size - round(_RUN_UP * RATE)
            goes_on = bool(windows) and windows[-1].end + _HOLE * RATE > size
            closed = len(windows) - goes_on
            full = closed - closed % batch or closed
            windows, rest = windows[:full], windows[full:]
            if rest:
                cut = min(cut, rest[0].start)
            elif windows:
                cut = max(cut, windows[-1].end)
            yield begins / RATE, samples, windows
            carried = samples[cut:]
            samples, length, begins = np.empty(size, np.float32), len(carried), begins + cut
            samples[:length] = carried
    yield begins / RATE, samples[:length], windows_of(samples[:length])


def windows_of(samples: np.ndarray) -> list[Window]:
    """Where somebody speaks, in stretches that the recogniser hears at once; in order, none overlap.

    Args:
        samples: (n,) float32 at `RATE`.
    """
    if not len(samples) or np.abs(samples).max() < SILENT:
        return []
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    options = VadOptions(
        min_silence_duration_ms=round(1000 * _PAUSE),
        speech_pad_ms=round(1000 * _PAD),
        max_speech_duration_s=WINDOW,
    )
    voiced = [Window(span["start"], span["end"]) for span in get_speech_timestamps(samples, options)]
    found = []
    while voiced:
        many = _at_once(voiced)
        found.append(Window(voiced[0].start, voiced[many - 1].end))
        voiced = voiced[many:]
    return found


def _at_once(voiced: list[Window]) -> int:
    """How many of the first stretches make a window: as many as fit, up to a hole or the widest late pause."""
    longest = WINDOW * RATE
    for many in range(1, len(voiced)):
        if voiced[many].start - voiced[many - 1].end >= _HOLE * RATE:
            return many
        if voiced[many].end - voiced[0].start > longest:
            late = [n for n in range(1, many + 1) if voiced[n - 1].end - voiced[0].start >= _FULL * longest] or [
                many
            ]
            return max(late, key=lambda n: voiced[n].start - voiced[n - 1].end)
    return len(voiced)
