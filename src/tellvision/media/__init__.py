"""Videos opened with PyAV: what a file holds, its frames at a rate, one picture of a moment, its sound.

Reads local files only: the demuxers are a short list of real containers, so a playlist that
calls itself .mp4 cannot make FFmpeg open another file or the network. A file that ends
early gives what can be read, with a note; one that gives nothing is skipped with a reason.
"""

from tellvision.media.decoding import Decoded
from tellvision.media.frames import Frames, pixels, thumbnail
from tellvision.media.opening import ENDINGS, Probe, probe
from tellvision.media.sound import RATE, Sound
from tellvision.media.views import View

__all__ = ["ENDINGS", "RATE", "Decoded", "Frames", "Probe", "Sound", "View", "pixels", "probe", "thumbnail"]
