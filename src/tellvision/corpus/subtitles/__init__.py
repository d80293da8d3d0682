"""Subtitle files -> Cues, every line said once; and which file beside a video to read.

blocks.py    decoding, timing lines and markup of the two text formats
rolling.py   what YouTube's rolling captions show two or three times, said once
vtt.py       WebVTT, typed and rolling        srt.py    SubRip
json3.py     YouTube's own JSON               reading.py    a file -> Cues, by its ending
beside.py    the subtitle files of a video, best first, and where their words come from
"""

from tellvision.corpus.subtitles.beside import by_video, find, source_of
from tellvision.corpus.subtitles.reading import ENDINGS, read, read_counted

__all__ = ["ENDINGS", "by_video", "find", "read", "read_counted", "source_of"]
