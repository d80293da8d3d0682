"""Subtitle files -> Cues, every line said once; and which file beside a video to read.

blocks.py    decoding, timing lines and markup of the two text formats
rolling.py   what rolling captions show two or three times, or for too long, said once
youtube.py   YouTube's automatic WebVTT, all lines at once
vtt.py       WebVTT, typed and rolling        srt.py    SubRip
json3.py     YouTube's own JSON               srv3.py   YouTube's own XML, srv1 and srv2 too
ttml.py      TTML and DFXP                    paragraphs.py    what the XML formats share
reading.py   a file -> Cues, by its ending    sanity.py        times that cannot be right
beside.py    the subtitle files of a video, best first, and where their words come from
"""

from tellvision.corpus.subtitles.beside import best_first, find, source_of
from tellvision.corpus.subtitles.reading import ENDINGS, is_of_known_form, read, read_counted
from tellvision.corpus.subtitles.sanity import check_times

__all__ = ["ENDINGS", "best_first", "check_times", "find", "is_of_known_form", "read", "read_counted", "source_of"]
