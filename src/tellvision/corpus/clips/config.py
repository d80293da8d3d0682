"""How Captions become Clips: every choice by its name. The defaults are the paper's pairing."""

import math
import warnings
from dataclasses import dataclass, fields
from typing import Literal

from tellvision.records import InputError

_MOST_WINDOWS = 20  # that may lie over each other at a moment: each word is written into all of them


@dataclass(frozen=True, kw_only=True)
class ClipConfig:
    """How Captions become Clips."""

    by: Literal["lines", "windows"] = "lines"
    """`lines`: a clip for every caption (paper). `windows`: a clip every `stride` seconds, with the words
    that begin in it, spread over their caption's time by their letters."""

    min_time: float = 5.0
    """Seconds that a clip should last; 0 leaves every caption as it is. Lines only."""

    max_time: float = 0.0
    """Seconds that a clip may last, with what is shown before and after it; 0: no limit. A longer caption
    is cut into equal parts, growing stops before the limit. Lines only."""

    window: float = 8.0
    """Seconds that a window lasts. Windows only."""

    stride: float = 4.0
    """Seconds from the beginning of a window to that of the next. Windows only."""

    pad_before: float = 0.0
    """Seconds shown before a clip. Below 0: what is said is shown that much later, so that `pad_before=-2`
    with `pad_after=2` moves the clips by two seconds."""

    pad_after: float = 0.0
    """Seconds shown after a clip. Below 0: what is said was shown that much earlier."""

    within_shots: bool = False
    """No clip crosses a cut: it ends where the shot does that shows its middle, and grows in there alone."""

    min_shown: float = 0.5
    """Seconds: a clip of which a shot shows less is dropped. With `within_shots` only."""

    max_overlap: float = 1.0
    """Share of the shorter one: a clip that overlaps the one kept before it by more is dropped; 1 keeps all,
    below that one of several with the same span is kept."""

    def __post_init__(self) -> None:
        for name in ("min_time", "max_time", "min_shown"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InputError(f"{name}={getattr(self, name)} is no length: give seconds, 0 or more")
        for name in ("window", "stride"):
            if not 0 < getattr(self, name) < math.inf:
                raise InputError(f"{name}={getattr(self, name)} is no length: give seconds, more than 0")
        for name in ("pad_before", "pad_after"):
            if not math.isfinite(getattr(self, name)):
                raise InputError(
                    f"{name}={getattr(self, name)} is no time: give seconds, below 0 to move the clips"
                )
        if self.by not in ("lines", "windows"):
            raise InputError(f"by={self.by!r} is unknown: use lines or windows")
        if self.pad_before + self.pad_after < 0:
            raise InputError(
                f"pad_before={self.pad_before} and pad_after={self.pad_after} would shorten every clip: "
                "their sum has to be 0 or more"
            )
        if not 0 <= self.max_overlap <= 1:
            raise InputError(f"max_overlap={self.max_overlap} is no share: give a number from 0 to 1")
        if self.by == "windows" and self.window > _MOST_WINDOWS * self.stride:
            raise InputError(
                f"stride={self.stride} is below a twentieth of window={self.window}: give a longer stride"
            )
        if self.by == "lines" and (self.room < self.min_time or self.room <= 0):
            raise InputError(
                f"max_time={self.max_time} leaves {self.room:g} s beside the padding, but clips grow to "
                f"min_time={self.min_time}: raise max_time or lower min_time"
            )
        self._warn_of_idle_options()

    def _warn_of_idle_options(self) -> None:
        idle = ("min_time", "max_time") if self.by == "windows" else ("window", "stride")
        without_shots = () if self.within_shots else ("min_shown",)
        defaults = {field.name: field.default for field in fields(self)}
        found = [name for name in (*idle, *without_shots) if getattr(self, name) != defaults[name]]
        if found:
            shots = "within_shots" if self.within_shots else "no within_shots"
            warnings.warn(f"no effect with by={self.by} and {shots}: {', '.join(found)}", stacklevel=4)

    @property
    def shift(self) -> float:
        """Seconds that what is said moves before it is cut: later above 0, earlier below."""
        return max(-self.pad_before, 0.0) - max(-self.pad_after, 0.0)

    @property
    def padding(self) -> tuple[float, float]:
        """Seconds shown before and after a clip once it has moved: neither is below 0."""
        return max(self.pad_before + self.shift, 0.0), max(self.pad_after - self.shift, 0.0)

    @property
    def room(self) -> float:
        """Seconds that a clip may last before its padding; infinite without a `max_time`."""
        return self.max_time - sum(self.padding) if self.max_time else math.inf
