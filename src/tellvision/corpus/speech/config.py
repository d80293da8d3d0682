"""What a user may choose of speech recognition."""

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

import tyro

from tellvision.records import InputError

When = Literal["missing", "always", "never"]
Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True, kw_only=True)
class SpeechConfig:
    """How speech becomes Cues, and for which videos."""

    when: Annotated[When, tyro.conf.arg(aliases=["--speech"])] = "missing"
    """Listen to videos whose subtitles give nothing (`missing`), to all (`always`), to none (`never`)."""

    model: str = "tiny.en"
    """A model of faster-whisper by its name, a repository of the model hub, or a folder that holds one."""

    language: str = ""
    """The language spoken, as `en` or `de`; empty: detected, where the model knows more than one."""

    device: Device = "auto"
    """`cuda`, `cpu`, or `auto`: CUDA where there is one. Numbers are 8 bit on a CPU, half floats on CUDA."""

    batch: int = 4
    """Windows of up to 30 seconds that are recognised together. More of them need more memory."""

    beam: int = 5
    """Hypotheses kept while decoding: 1 is a tenth faster, 5 hears better."""

    threads: int = 1
    """Threads of the recogniser in each process: worker processes share the cores."""

    def __post_init__(self) -> None:
        for name, allowed in (("when", get_args(When)), ("device", get_args(Device))):
            if getattr(self, name) not in allowed:
                raise InputError(f"{name}={getattr(self, name)!r} is unknown: use one of {', '.join(allowed)}")
        for name, most in (("batch", 64), ("beam", 64), ("threads", 256)):
            if not 1 <= getattr(self, name) <= most:
                raise InputError(f"{name}={getattr(self, name)} has to be from 1 to {most}")
        if not self.model.strip():
            raise InputError("model is empty: give a name such as tiny.en or small, or a folder")
        if self.language and not (self.language.isalpha() and self.language.islower() and len(self.language) <= 3):
            raise InputError(
                f"language={self.language!r} is no code of a language: use one such as en, or nothing"
            )
