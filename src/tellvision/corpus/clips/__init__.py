"""Captions -> Clips: which part of the video goes with what is said.

`lines.py` is the paper's pairing and its variations, `windows.py` cuts by the clock; both read the
table `captions` and give the rows of the table `clips`, whose pictures `vision` pools.
"""

from tellvision.corpus.clips.config import ClipConfig
from tellvision.corpus.clips.cutting import clips_of
from tellvision.corpus.clips.growing import grow

__all__ = ["ClipConfig", "clips_of", "grow"]
