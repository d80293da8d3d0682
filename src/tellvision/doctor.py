"""The doctor: what is installed and works, what is missing, and the line that installs it.

Every check tries the thing itself: it loads, runs, searches. Weights are checked by the code that
loads them, with the sha256 that stands there.
"""

import platform
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from tellvision import __version__

OFFLINE = "pip install 'tellvision[offline]'"
DECODERS = {"h264": ("h264",), "hevc": ("hevc",), "vp9": ("vp9", "libvpx-vp9"), "av1": ("libdav1d", "libaom-av1")}
"""Codec -> FFmpeg's decoders of it that need no special hardware; one of them is enough."""
WORDNET = Path("/usr/share/wordnet/data.verb")
ENOUGH_SPACE = 2e9  # bytes: features of about 200 hours at one row of 1,280 half floats per second


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was found of one thing.

    Attributes:
        name: of the thing.
        ok: it works.
        detail: one line: its version, or what is wrong.
        fix: the line to type, or what to do; empty where nothing is.
        optional: only tests and extras use it.
    """

    name: str
    ok: bool
    detail: str
    fix: str = ""
    optional: bool = False


def examine() -> list[Finding]:
    """Look at everything that tellvision can use, the needed things first. Never raises."""
    from tellvision.vision.extractors import EXTRACTORS

    programs = {"chromium": "chromium", "espeak-ng": "espeak-ng", "ffmpeg": "ffmpeg"}  # program -> Debian package
    return [
        _finding("python", _python, ""),
        _finding("torch", _torch, "pip install torch"),
        _finding("video decoders", _decoders, "pip install --force-reinstall --only-binary :all: av"),
        *(_finding(f"backbone {name}", _backbone(name), OFFLINE) for name in EXTRACTORS),
        _finding("word table", _word_table, OFFLINE),
        _finding("full text", _full_text, "pip install tantivy"),
        _finding("disk space", _disk_space, "free some space, or name an --out on another disk"),
        *(
            _finding(program, _program(program), f"apt-get install {package}", optional=True)
            for program, package in programs.items()
        ),
        _finding("wordnet", _wordnet, "apt-get install wordnet-base", optional=True),
    ]


def spoken(findings: list[Finding]) -> str:
    """The findings for a reader: a line each, below what is missing the line that installs it."""
    width = max((len(finding.name) for finding in findings), default=0)
    lines = []
    for finding in findings:
        mark = "ok" if finding.ok else "--" if finding.optional else "!!"
        lines.append(f"{mark}  {finding.name:<{width}}  {finding.detail}")
        if finding.fix:
            lines.append(f"    {'':<{width}}  {finding.fix}")
    missing = [finding.name for finding in findings if not finding.ok and not finding.optional]
    lines += ["", f"To be mended: {', '.join(missing)}" if missing else "Everything that a run needs is there."]
    return "\n".join(lines)


def _finding(name: str, look: Callable[[], str], fix: str, optional: bool = False) -> Finding:
    """What `look` says of the thing; whatever it raises is what is wrong with it."""
    try:
        return Finding(name=name, ok=True, detail=look(), optional=optional)
    except Exception as error:  # a broken library raises anything, and to hear of it is why one asks
        said = " ".join(str(error).split()) or type(error).__name__
        # Where the room that loads it names the line itself, that is the one to type.
        line = re.search(r"pip install .*", said)
        detail = said[: line.start()].rstrip(" :") if line else said
        return Finding(name=name, ok=False, detail=detail, fix=line[0] if line else fix, optional=optional)


def _python() -> str:
    system = f"{platform.system()} {platform.machine()}"
    return f"{platform.python_version()} in {sys.prefix} on {system}, tellvision {__version__}"


def _torch() -> str:
    import torch

    devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    cpu = torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    bf16 = torch.cuda.is_bf16_supported() if devices else cpu
    return (
        f"{torch.__version__}, {torch.get_num_threads()} threads, {', '.join(devices) or 'no CUDA device'}, "
        f"bf16 {'supported' if bf16 else 'not supported: float32 is used'}"
    )


def _decoders() -> str:
    import av

    missing = [codec for codec, decoders in DECODERS.items() if not any(map(_decodes, decoders))]
    if missing:
        raise RuntimeError(f"PyAV {av.__version__} came without {', '.join(missing)}")
    return f"PyAV {av.__version__} with {', '.join(DECODERS)}"


def _decodes(decoder: str) -> bool:
    from av.codec import Codec
    from av.codec.codec import UnknownCodecError

    try:
        return bool(Codec(decoder, "r").is_decoder)
    except UnknownCodecError:
        return False


def _backbone(name: str) -> Callable[[], str]:
    def look() -> str:
        import numpy as np

        from tellvision.vision.extractors import find

        extractor = find(name)()
        (row,) = extractor(np.zeros((1, extractor.size, extractor.size, 3), np.uint8))
        if row.shape != (extractor.dim,) or not np.isfinite(row).all():
            raise RuntimeError(f"gives {row.shape} where {extractor.dim} numbers are expected")
        return f"weights checked, {extractor.dim} numbers, {extractor.fps:g} per second of video"

    return look


def _word_table() -> str:
    from tellvision.embedding.text import offline_word_pieces, offline_word_table

    offline_word_pieces()
    words, width = offline_word_table().shape
    return f"weights checked, {words:,} word pieces of {width} numbers"


def _full_text() -> str:
    from tellvision.search.narration import Narration

    version = f"tantivy {metadata.version('tantivy')}"
    rows, _ = Narration.build(["crack two eggs"]).search("egg", 1)
    if rows.tolist() != [0]:
        raise RuntimeError(f"{version} does not find a word it has read")
    return version


def _disk_space() -> str:
    free = shutil.disk_usage(Path.cwd()).free
    said = f"{free / 1e9:,.1f} GB free in {Path.cwd()}"
    if free < ENOUGH_SPACE:
        raise RuntimeError(said)
    return said


def _program(name: str) -> Callable[[], str]:
    def look() -> str:
        found = shutil.which(name)
        if found is None:
            raise RuntimeError("not installed; only tests and extras use it")
        return found

    return look


def _wordnet() -> str:
    if not WORDNET.is_file():
        raise RuntimeError("not installed; only tests and extras use it")
    return str(WORDNET.parent)
