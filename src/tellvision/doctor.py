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
from functools import partial
from importlib import metadata
from pathlib import Path

from tellvision import __version__

OFFLINE = "pip install 'tellvision[offline]'"
DECODERS = {"h264": ("h264",), "hevc": ("hevc",), "vp9": ("vp9", "libvpx-vp9"), "av1": ("libdav1d", "libaom-av1")}
"""Codec -> FFmpeg's decoders of it that need no special hardware; one of them is enough."""
PROGRAMS = ("chromium", "espeak-ng", "ffmpeg")  # Debian's packages have the same names
WORDNET = Path("/usr/share/wordnet/data.verb")
BACKBONE = "efficientnet-lite0"
LARGER = ("efficientnet-lite1", "efficientnet-lite2")
PACKAGES = {
    "openvino": "openvino",
    "ray": "ray",
    "s3fs": "s3",
    "torchvision": "torchvision",
    "transformers": "transformers",
}
"""Package -> the extra that brings it."""
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


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing to look at.

    Attributes:
        name: of the thing.
        look: tries it; returns the detail of the finding, or raises what is wrong.
        fix: the line that installs it.
        optional: only tests and extras use it.
    """

    name: str
    look: Callable[[], str]
    fix: str
    optional: bool = False


def examine() -> list[Finding]:
    """Look at everything that tellvision can use, the needed things first. Never raises."""
    return [finding_of(check) for check in checks()]


def checks() -> list[Check]:
    """Everything that `examine` looks at."""
    needed = [
        Check(name="python", look=_python, fix=""),
        Check(name="torch", look=_torch, fix="pip install torch"),
        Check(name="video decoders", look=_decoders, fix="pip install --force-reinstall --only-binary :all: av"),
        Check(name=f"backbone {BACKBONE}", look=partial(_backbone, BACKBONE), fix=OFFLINE),
        Check(name="word table", look=_word_table, fix=OFFLINE),
        Check(name="speech model", look=_speech_model, fix=OFFLINE),
        Check(name="full text", look=_full_text, fix="pip install tantivy"),
        Check(name="disk space", look=_disk_space, fix="free some space, or name an --out on another disk"),
    ]
    cuts = Check(name="cuts", look=_cuts, fix="pip install 'tellvision[shots]'", optional=True)
    extras = [
        *(
            Check(name=f"backbone {name}", look=partial(_backbone, name), fix=OFFLINE, optional=True)
            for name in LARGER
        ),
        cuts,
        *(
            Check(
                name=package,
                look=partial(_package, package),
                fix=f"pip install 'tellvision[{extra}]'",
                optional=True,
            )
            for package, extra in PACKAGES.items()
        ),
        *(
            Check(name=program, look=partial(_program, program), fix=f"apt-get install {program}", optional=True)
            for program in PROGRAMS
        ),
    ]
    wordnet = Check(name="wordnet", look=_wordnet, fix="apt-get install wordnet-base", optional=True)
    return [*needed, *extras, wordnet]


def finding_of(check: Check) -> Finding:
    """What a check says of its thing; whatever it raises is what is wrong."""
    try:
        return Finding(name=check.name, ok=True, detail=check.look(), optional=check.optional)
    except Exception as error:  # a broken library raises anything, and to hear of it is why one asks
        said = " ".join(str(error).split()) or type(error).__name__
        # Where the room that loads it names the line itself, that is the one to type.
        line = re.search(r"pip install [^,]*", said)
        detail = said[: line.start()].rstrip(" :") if line else said
        fix = line[0] if line else check.fix
        return Finding(name=check.name, ok=False, detail=detail, fix=fix, optional=check.optional)


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


def _python() -> str:
    system = f"{platform.system()} {platform.machine()}"
    return f"{platform.python_version()} in {sys.prefix} on {system}, tellvision {__version__}"


def _torch() -> str:
    import torch

    from tellvision.vision.network import has_bfloat16

    devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    bf16 = torch.cuda.is_bf16_supported() if devices else has_bfloat16()
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


def _package(name: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        raise RuntimeError("is not installed") from None


def _backbone(name: str) -> str:
    import numpy as np

    from tellvision.vision.extractors import find, rate_of
    from tellvision.vision.network import Network

    extractor = find(name)
    shape = extractor.view.shape(16, 9)
    (row,) = Network(extractor, runtime="pytorch")(np.zeros((1, extractor.unit, *shape, 3), np.uint8))
    if row.shape != (extractor.dim,):
        raise RuntimeError(f"gives {row.shape} where {extractor.dim} numbers are expected")
    return f"weights checked, {extractor.dim} numbers, {rate_of(extractor):g} per second of video"


def _word_table() -> str:
    from tellvision.embedding.text import offline_word_pieces, offline_word_table

    offline_word_pieces()
    words, width = offline_word_table().shape
    return f"weights checked, {words:,} word pieces of {width} numbers"


def _speech_model() -> str:
    import numpy as np

    from tellvision.corpus.speech.config import SpeechConfig
    from tellvision.corpus.speech.listening import windows_of
    from tellvision.corpus.speech.models import folder_of, recogniser
    from tellvision.media import RATE

    config = SpeechConfig()
    folder_of(config.model, fetch=False)
    pipeline = recogniser(config)
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, RATE).astype(np.float32)
    windows_of(noise)
    list(pipeline.transcribe(noise, clip_timestamps=[{"start": 0.0, "end": 1.0}], language="en")[0])
    version = metadata.version("faster-whisper")
    return f"{config.model}, weights checked, faster-whisper {version} on {pipeline.model.model.device}"


def _cuts() -> str:
    from tellvision.vision.shots import transnet

    transnet()
    return "TransNetV2, weights checked"


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


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise RuntimeError("not installed; only tests and extras use it")
    return found


def _wordnet() -> str:
    if not WORDNET.is_file():
        raise RuntimeError("not installed; only tests and extras use it")
    return str(WORDNET.parent)
