"""Captions -> Clips: which part of the video goes with what is said.

    the table `captions` -> clips_of -> the table `clips`, whose pictures `vision` pools

config.py      every choice by its name; the defaults are the paper's pairing
cutting.py     a video's clips: moved, cut, grown, padded, thinned
growing.py     the paper's rule by which short lines grow
spreading.py   words over the time of their line: windows by the clock, parts of long lines
shots.py       which shot something is shown in
"""

from tellvision.corpus.clips.config import ClipConfig
from tellvision.corpus.clips.cutting import clips_of
from tellvision.corpus.clips.growing import grow

__all__ = ["ClipConfig", "clips_of", "grow"]
