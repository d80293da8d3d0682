"""Coverage-guided fuzzing of everything that reads captions from outside, and of what is made of them.

    python tests/fuzz.py NAME [SECONDS] [FOLDER]

runs one of `TARGETS` with atheris in a process of its own and prints one JSON object: executions, coverage, the
slowest input, and the finding if there is one, which is kept in FOLDER. The property is the same for all: only
Skip and InputError are raised, what comes out is in order (`cues.check` and below), and time and memory grow no
faster than the input. A target is a plain function of bytes, so that findings run as ordinary tests.
"""

import atexit
import itertools
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unicodedata
import warnings
from collections.abc import Callable
from contextlib import nullcontext, suppress
from functools import cache, partial
from pathlib import Path

try:
    import atheris
except ImportError:  # no wheel for this Python or system
    atheris = None

# Counting branches takes time that ordinary tests need not spend.
with atheris.instrument_imports(include=["tellvision"]) if atheris and "--inside" in sys.argv else nullcontext():
    from tellvision.corpus import language, subtitles
    from tellvision.corpus.captions import CaptionConfig, captions_of
    from tellvision.corpus.clips import ClipConfig, clips_of
    from tellvision.howto100m import captions, jsonfile, picklefile
    from tellvision.records import Caption, Cue, Skip, Word

from cues import check
from fuzz_seeds import SEEDS, WORDS
from test_released_captions import outcome

INPUT_BYTES = 2000
MEMORY = "/dev/shm"
LONG_BYTES = 1 << 13
SUSPICIOUS_SECONDS = 0.2
"""Processor time for `LONG_BYTES` from which on it is asked whether time grows faster than the input."""

_CAPTIONS = [CaptionConfig(), CaptionConfig(unit="sentences", drop_sounds=False), CaptionConfig(drop_names=True)]
_CLIPS = [
    ClipConfig(),
    ClipConfig(min_time=0.0, max_overlap=0.5),
    ClipConfig(max_time=6.0, pad_before=-2.0, pad_after=2.0),
    ClipConfig(by="windows"),
    ClipConfig(by="windows", window=1.0, stride=0.05, pad_after=1.0),
    ClipConfig(within_shots=True, max_time=7.0, pad_before=1.0),
    ClipConfig(within_shots=True, min_shown=0.0, by="windows"),
]


def fuzz_subtitles(ending: str, data: bytes) -> None:
    """A subtitle file, and the captions and clips that are made of it."""
    path = _written(data, ending)
    assert subtitles.source_of(path) in ("typed", "automatic")
    try:
        cues, num_bad = subtitles.read_counted(path)
    except Skip as skip:
        _check_line(str(skip))
        return
    assert num_bad >= 0
    check(cues)
    for cue in cues:
        _check_text(cue.text)
    _go_on(cues, len(data), data[-1])


def fuzz_released(kind: str, data: bytes) -> None:
    """A released file, read in large pieces and in small ones, which has to be the same."""
    path = _written(data, ".csv")
    reads = []
    for piece in (1 << 20, 5):
        jsonfile.PIECE = picklefile.PIECE = piece
        found, error = outcome(path, kind)
        _check_line(error)
        reads.append(([(n.video_id, n.cues, n.dropped, str(n.problem)) for n in found], bool(error)))
    assert repr(reads[0]) == repr(reads[1])
    for narration in found:
        for cue in narration.cues:
            _check_text(cue.text)
    with suppress(captions.InputError):
        captions.kind_of(path)


def fuzz_cues(data: bytes) -> None:
    """Cues as no reader gives them: times and texts of any kind, made of the bytes."""
    cues, config, odd = _cues(data)
    _go_on(cues, config, odd)


def fuzz_language(data: bytes) -> None:
    """The language of cues; `any` is never another one."""
    cues, _, odd = _cues(data)
    language.check(cues, "any")
    with suppress(Skip):
        language.check(cues, ("en", "de", "ja", "zh")[odd % 4])
    code, probability = language.detect(" ".join(cue.text for cue in cues))
    assert code
    assert 0 <= probability <= 1.000001


def fuzz_growth(data: bytes) -> None:
    """A piece of a file many times over: eight times as much may take about eight times as long.

    The first byte says which format, a byte 1 parts what stands before, the piece, and what stands behind.
    """
    if not data:
        return
    parts = [*data[1:].split(b"\1", 2), b"", b""]
    read = _READERS[data[0] % len(_READERS)]
    if not parts[1]:
        return
    seconds = [_seconds(read, parts, LONG_BYTES)]
    if seconds[0] > SUSPICIOUS_SECONDS:
        seconds += [_seconds(read, parts, 8 * LONG_BYTES)]
        assert seconds[1] < 16 * seconds[0], seconds
        assert seconds[0] < 10 * SUSPICIOUS_SECONDS, seconds


def _seconds(read: Callable[[bytes], None], parts: list[bytes], size: int) -> float:
    before, piece, behind = parts[:3]
    data = before + piece * (size // len(piece)) + behind
    began = time.process_time()
    read(data)
    return time.process_time() - began


def _read_only(ending: str, data: bytes) -> None:
    """A subtitle file and its captions, without checks, which take their own time."""
    with suppress(Skip):
        cues = subtitles.read(_written(data, ending))
        captions_of("v", cues, "typed", _CAPTIONS[1])
        clips_of(captions_of("v", cues, "typed"), None, _CLIPS[4])


def _read_released(kind: str, data: bytes) -> None:
    jsonfile.PIECE = picklefile.PIECE = 1 << 10
    with suppress(captions.InputError):
        for _ in captions.read_captions(_written(data, ".csv"), kind):
            pass


_READERS: list[Callable[[bytes], None]] = [
    *[partial(_read_only, ending) for ending in (".vtt", ".srt", ".json3", ".srv3", ".ttml")],
    *[partial(_read_released, kind) for kind in ("json", "pickle", "csv", "htm_aa")],
]


def _go_on(cues: list[Cue], config: int, odd: int) -> None:
    """From cues to captions to clips, as the stages do."""
    with suppress(Skip):
        subtitles.check_times(cues, float(odd))
    said = captions_of("v", cues, "typed", _CAPTIONS[config % len(_CAPTIONS)])
    _check_captions(said)
    duration = None if odd % 2 else odd / 3
    cuts = [odd / 9, odd / 5, odd / 4]
    clips, dropped = clips_of(said, duration, _CLIPS[config % len(_CLIPS)], cuts)
    limit = math.inf if duration is None else duration
    assert all(count > 0 for count in dropped.values())
    assert len({clip.clip_id for clip in clips}) == len(clips)
    for clip in clips:
        assert 0 <= clip.start <= clip.end <= limit
        assert math.isfinite(clip.end)
        assert clip.words > 0
        assert clip.text.split()


def _check_captions(said: list[Caption]) -> None:
    assert [caption.number for caption in said] == list(range(len(said)))
    for caption in said:
        assert 0 <= caption.start <= caption.end < math.inf
        assert caption.text
        assert caption.text == " ".join(caption.text.split())
    starts = [caption.start for caption in said]
    assert starts == sorted(starts)


def _check_text(text: str) -> None:
    assert not any(unicodedata.category(character) in ("Cc", "Cs") for character in text), ascii(text)


def _check_line(line: str) -> None:
    assert "\n" not in line
    assert len(line) < 1000


_TEXTS = ["", " ", "[Music]", "(applause)", ">> so", "Stop.", "Dr. Oz", "1.", "...", ",", "♪", "JOHN:", "*laughs*",
          "卵を割る。", "\\N", "{\\an8}", "and then you're going to crack the eggs", "na na na", "\u2028", "́",
          "«Oui!»", "Das ist nicht gut und wir haben", "\x85"]  # fmt: skip
_TIMES = [0.0, 0.01, 1.0, 2.5, 5.0, 86400.0, -1.0, -0.0, 1e-300, 1e15, 1e308, math.inf, -math.inf, math.nan]


def _cues(data: bytes) -> tuple[list[Cue], int, int]:
    """Cues made of bytes, and two numbers: five bytes and what they ask for make a cue."""
    found = []
    source = iter(data[2:])
    while len(head := list(itertools.islice(source, 5))) == 5:
        start = head[0] / 4 if head[0] < 240 else _TIMES[(head[0] + head[1]) % len(_TIMES)]
        end = start + head[1] / 16 if head[1] < 240 else _TIMES[head[1] % len(_TIMES)]
        texts = [
            _TEXTS[head[2] % len(_TEXTS)],
            bytes(itertools.islice(source, head[3] % 16)).decode("utf-8", "replace"),
        ]
        text = " ".join(texts if head[4] & 1 else texts[::-1])
        words: tuple[Word, ...] = ()
        if head[4] & 2:
            said = text.split() if head[4] & 4 else text.split(" ")
            words = tuple(Word(start + at * (head[4] - 100) / 50, word) for at, word in enumerate(said))
        found.append(Cue(start, end, text, words))
    return found, data[0] if data else 0, data[1] if len(data) > 1 else 0


@cache
def _folder() -> Path:
    folder = tempfile.mkdtemp(prefix="fuzz")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _written(data: bytes, ending: str) -> Path:
    path = _folder() / f"captions{ending}"
    path.write_bytes(data)
    return path


TARGETS: dict[str, Callable[[bytes], None]] = {
    "vtt": partial(fuzz_subtitles, ".vtt"),
    "srt": partial(fuzz_subtitles, ".srt"),
    "json3": partial(fuzz_subtitles, ".json3"),
    "srv3": partial(fuzz_subtitles, ".srv3"),
    "ttml": partial(fuzz_subtitles, ".ttml"),
    "xml": partial(fuzz_subtitles, ".xml"),
    "json": partial(fuzz_released, "json"),
    "pickle": partial(fuzz_released, "pickle"),
    "csv": partial(fuzz_released, "csv"),
    "htm_aa": partial(fuzz_released, "htm_aa"),
    "cues": fuzz_cues,
    "language": fuzz_language,
    "growth": fuzz_growth,
}


def write_seeds(name: str, folder: Path) -> Path:
    """The seeds of a target as files, and the dictionary in the form that libFuzzer reads, beside the folder."""
    folder.mkdir()
    for at, seed in enumerate(SEEDS[name]):
        (folder / f"seed{at}").write_bytes(seed)
    dictionary = folder.parent / "words"
    lines = ['"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in WORDS]
    dictionary.write_text("".join(lines))
    return dictionary


def run(name: str, seconds: int, keep: Path | None = None) -> dict[str, object]:
    """Fuzz a target in a process of its own; what libFuzzer says at the end.

    Returns:
        `target`, `seconds`, `executions`, `coverage` (edges of the instrumented modules), `slowest` (seconds),
        `memory` (MB), and `finding`: the end of what was printed where the process stopped early, else None.
    """
    # In memory where there is such a folder: on a disk most of the time would go into writing.
    with tempfile.TemporaryDirectory(dir=MEMORY if Path(MEMORY).is_dir() else None) as scratch:
        folder = Path(scratch) / "seeds"
        dictionary = write_seeds(name, folder)
        command = [
            *(sys.executable, __file__, "--inside", name, f"-max_total_time={seconds}", f"-max_len={INPUT_BYTES}"),
            *("-timeout=20", "-rss_limit_mb=1500", "-report_slow_units=1", "-print_final_stats=1", "-seed=1"),
            *(f"-dict={dictionary}", f"-artifact_prefix={keep or Path(scratch)}/{name}-", str(folder)),
        ]
        environment = {**os.environ, "TMPDIR": scratch}
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False, env=environment
        )
    said = done.stdout + done.stderr
    stats = dict(re.findall(r"stat::(\w+): +(\d+)", said))
    covered = re.findall(r"cov: (\d+)", said)
    return {
        "target": name,
        "seconds": seconds,
        "executions": int(stats.get("number_of_executed_units", 0)),
        "coverage": int(covered[-1]) if covered else 0,
        "slowest": int(stats.get("slowest_unit_time_sec", 0)),
        "memory": int(stats.get("peak_rss_mb", 0)),
        "finding": _finding(said) if done.returncode else None,
    }


def _finding(said: str) -> str:
    """What was printed from the exception on."""
    at = said.find("Uncaught Python exception")
    return said[at : at + 3000] if at >= 0 else said[-3000:]


def main(arguments: list[str]) -> None:
    """See the module."""
    if atheris is None:
        raise SystemExit("atheris is not installed: it has no wheel for this Python or system")
    if arguments[:1] == ["--inside"]:
        warnings.simplefilter("error")
        atheris.Setup([sys.argv[0], *arguments[2:]], TARGETS[arguments[1]])
        atheris.Fuzz()
    else:
        name, seconds, keep = (*arguments, *("", "10", "")[len(arguments) :])
        print(json.dumps(run(name, int(seconds), Path(keep) if keep else None)))


if __name__ == "__main__":
    main(sys.argv[1:])
