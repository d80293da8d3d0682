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
import pickle
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unicodedata
import warnings
from collections.abc import Callable, Iterable
from contextlib import nullcontext, suppress
from functools import cache, partial
from pathlib import Path

try:
    import atheris
except ImportError:  # no wheel for this Python or system
    atheris = None

with atheris.instrument_imports(include=["tellvision"]) if atheris else nullcontext():
    from tellvision.corpus import language, subtitles
    from tellvision.corpus.captions import CaptionConfig, captions_of
    from tellvision.corpus.clips import ClipConfig, clips_of
    from tellvision.howto100m import captions, csvfile, jsonfile, picklefile
    from tellvision.records import Caption, Cue, Skip, Word

from cues import check
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
        assert skip.reason in ("unreadable_subtitles", "empty_subtitles")
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
          "卵を割る。", "\\N", "{\\an8}", "and then you're going to crack the eggs", "na na na", "\u2028", "́", "«Oui!»",
          "Das ist nicht gut und wir haben", "\x85"]  # fmt: skip
_TIMES = [0.0, 0.01, 1.0, 2.5, 5.0, 86400.0, -1.0, -0.0, 1e-300, 1e15, 1e308, math.inf, -math.inf, math.nan]


def _cues(data: bytes) -> tuple[list[Cue], int, int]:
    """Cues made of bytes, and two numbers: five bytes and what they ask for make a cue."""
    found = []
    source = iter(data[2:])
    while len(head := list(itertools.islice(source, 5))) == 5:
        start = head[0] / 4 if head[0] < 240 else _TIMES[(head[0] + head[1]) % len(_TIMES)]
        end = start + head[1] / 16 if head[1] < 240 else _TIMES[head[1] % len(_TIMES)]
        texts = [_TEXTS[head[2] % len(_TEXTS)], bytes(itertools.islice(source, head[3] % 16)).decode("utf-8", "replace")]
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

_SRV3 = (
    b'<?xml version="1.0" encoding="utf-8" ?><timedtext format="3"><head><pen id="1"/></head><body>'
    b'<p t="1000" d="2000" w="1"><s ac="0">crack</s><s t="300"> eggs</s></p><p t="1500" d="9" w="1" a="1">\n</p></body>'
    b'</timedtext>'
)
_SRV1 = b'<transcript><text start="1" dur="1.5">crack &amp;amp; mix</text><text start="2">now<br/>eat</text></transcript>'
_TTML = (
    b'<tt xmlns="http://www.w3.org/ns/ttml" ttp:frameRate="25" ttp:tickRate="10"><body begin="1s"><div>'
    b'<p begin="00:00:01.500" end="00:00:03:12">crack <span begin="300ms">two</span><br/>eggs</p>'
    b'<p begin="5f" dur="9t">&nbsp;mix</p></div></body></tt>'
)
_ENTRIES = {
    "abc": {"start": [1.5, 4.0], "end": [4.0, 6.5], "text": ["crack eggs", "crack eggs\nwhisk"]},
    "d": {"start": [1], "end": [2], "text": [["a b", "c"]]},
    "e": [[1, 0.5, 2.0, "tea"], [0, 2.0, 3.0, "caf\u00e9"]],
}
_HTM_AA = b"vid,timestamp,text\nabc,1.5,crack eggs\nabc,3,\"mix, \"\"well\"\"\nit\"\nd,nan,tea\n"
_PLAIN_CUES = bytes([0, 9]) + b"".join(bytes([i, 40, i % 23, 9, 3 + i]) + b"mix the e" for i in range(40))
_SEEDS: dict[str, list[bytes]] = {
    "vtt": [
        b"WEBVTT\nKind: captions\n\nNOTE x\n\n1\n00:00:01.000 --> 00:00:04.000 align:start\n \nas <b>a</b>"
        b"<00:00:01.300><c> man</c>\n\n00:00:04.000 --> 00:00:04.010\nas a man\n \n\n00:04.010 --> 00:06.000\nas a man\n"
        b"thinks<00:00:05.000><c> &amp; so</c>\n",
        b"\xef\xbb\xbfWEBVTT\r\n\r\n00:01.000 --> 00:02.000\r\n<v Ann>Mix [Music] it.\r\n",
    ],
    "srt": [
        b"1\n00:00:01,000 --> 00:00:02,000\n{\\an8}<i>crack</i>\n\n2\n00:00:02,000 --> 00:00:03,5\ncrack\ncr\xe8me\n",
        "1\n00:00:01,000 --> 00:00:02,000\nété\n".encode("utf-16"),
    ],
    "json3": [
        b'{"events": [{"tStartMs": 1000, "dDurationMs": 4000, "segs": [{"utf8": "crack"}, {"utf8": " two", '
        b'"tOffsetMs": 300}]}, {"tStartMs": 3000, "dDurationMs": 10, "aAppend": 1, "segs": [{"utf8": "\\n"}]}]}'
    ],
    "srv3": [_SRV3, _SRV1, b'<timedtext><text t="1000" d="4000">crack two</text></timedtext>'],
    "ttml": [_TTML],
    "xml": [_SRV3, _SRV1, _TTML],
    "json": [json.dumps(_ENTRIES).encode(), b'\xef\xbb\xbf{"a":{"start":[NaN],"end":[1e999],"text":["\\ud800"]}}'],
    "pickle": [pickle.dumps(_ENTRIES, protocol) for protocol in range(6)],
    "csv": [b"start,end,text\n1.5,4,crack eggs\n4,6,\"mix, \"\"well\"\"\nit\"\n", b"text,x,end,start\r\na,,2,1\r\n", b"1,2,a\n"],
    "htm_aa": [_HTM_AA, b"abc,1.5,crack\nabc,9,eggs\nd,1,x\n"],
    "cues": [_PLAIN_CUES, bytes([3, 8]) + _PLAIN_CUES[2:], bytes(range(256))],
    "language": [_PLAIN_CUES],
    "growth": [
        b"\0WEBVTT\n\n0:0 --> 0:9\n\1egg<00:01.000>\1\n",
        b"\0WEBVTT\n\n\1" b"0:0 --> 0:9\na\nb\n\n\1",
        b"\1\1" b"1\n00:00:01,000 --> 00:00:02,000\na\n\n\1",
        b'\2{"events":[\1{"tStartMs":1,"dDurationMs":9,"segs":[{"utf8":"a"}]},\1{}]}',
        b'\3<timedtext><p t="1">\1<s t="1">a</s>\1</p></timedtext>',
        b'\4<tt><p begin="1s">\1a<b begin="1s"/>\1</p></tt>',
        b'\5{"a":{"start":[1,\1' b'1,\0011],"end":[2],"text":["a"]}}',
        b"\6\x80\x04}(X\x01\0\0\0a]\1h\1e.",
        b"\7\0011,2,a\n\1",
        b"\x08\1a,1,b\n\1",
    ],
}  # fmt: skip

_WORDS = """
WEBVTT --> NOTE STYLE 00:00:01.000 00:00:02,000 <00:00:01.500> <c> </c> <v align:start &amp; &#0; &#x85; &nbsp; &lt;
{\\an8} "events" "segs" "utf8" "tStartMs" "dDurationMs" "tOffsetMs" "aAppend" null true NaN Infinity 1e999 -1 1e15
\\ud800 \\u0000 <timedtext <transcript> <text <body> <p </p> <s </s> <br/> <tt <div <span t=" d=" start=" dur=" begin="
end=" frameRate=" tickRate=" frameRateMultiplier=" 1000:1001 12f 9t 1h 5ms <!-- --> <![CDATA[ ]]> <!DOCTYPE <?xml
encoding="utf-16" "start" "end" "text" start,end,text vid,timestamp,text nan inf 1_0 [Music] (applause) Mr. ...
"""
_BYTES = [b"\n\n", b"\r\n", b"\0", b"\1", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"\xc2\x85", b"\xe2\x80\x8b",
          b"\x80\x04", b"}(", b"X\1\0\0\0a", b"U\1a", b"\x8c\1a", b"G\x3f\xf0\0\0\0\0\0\0", b"K\1", b"]\x94", b"h\0",
          b"\x94", b"(lp0\n", b"F1.5\n", b"I1\n", b"S'a'\n", b"S'\\x'\n", b"V\\u00e9\n", b"u.", b"e", b"s", b"a"]  # fmt: skip


def seeds(name: str) -> list[bytes]:
    """Small valid inputs of a target."""
    return _SEEDS[name]


def write_seeds(name: str, folder: Path) -> Path:
    """The seeds as files, and a dictionary of what parsers react to in the form that libFuzzer reads."""
    for at, seed in enumerate(seeds(name)):
        (folder / f"seed{at}").write_bytes(seed)
    words: Iterable[bytes] = [*(word.encode() for word in _WORDS.split()), *_BYTES]
    lines = ['"' + "".join(f"\\x{byte:02x}" for byte in word) + '"' for word in words]
    dictionary = folder.parent / "words"
    dictionary.write_text("\n".join(lines) + "\n")
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
        folder.mkdir()
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
    return said[max(said.find("Uncaught Python exception"), 0) :][-3000:]


def main(arguments: list[str]) -> None:
    """See the module."""
    if atheris is None:
        raise SystemExit("atheris is not installed: it has no wheel for this Python or system")
    if arguments[:1] == ["--inside"]:
        warnings.simplefilter("error")
        atheris.Setup([sys.argv[0], *arguments[2:]], TARGETS[arguments[1]])
        atheris.Fuzz()
    else:
        name, seconds, keep = [*arguments, "10", ""][:3] if len(arguments) < 3 else arguments
        print(json.dumps(run(name, int(seconds), Path(keep) if keep else None)))


if __name__ == "__main__":
    main(sys.argv[1:])
