"""What the paper's authors and their followers released, in and out.

checkpoint.py   the weights: the released state dict <-> a model of ours (brings PyTorch)
captions.py     a file or folder of released captions -> the lines of each video, one video at a time
lines.py        an entry of such a file -> Cues: what is bad left out, what rolls said once
jsonfile.py     captions as one JSON object, read piece by piece, whatever its size
picklefile.py   captions as a pickle of plain data, read piece by piece; nothing in it is executed
csvfile.py      captions as tables: one per video, or one for all

What is offered here is imported when it is asked for, so that captions are read without PyTorch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tellvision.howto100m.captions import KINDS as KINDS
    from tellvision.howto100m.captions import Narration as Narration
    from tellvision.howto100m.captions import kind_of as kind_of
    from tellvision.howto100m.captions import read_captions as read_captions
    from tellvision.howto100m.captions import video_ids as video_ids
    from tellvision.howto100m.checkpoint import load_checkpoint as load_checkpoint
    from tellvision.howto100m.checkpoint import released_tracks as released_tracks
    from tellvision.howto100m.checkpoint import save_checkpoint as save_checkpoint
    from tellvision.howto100m.checkpoint import to_state_dict as to_state_dict

_CAPTIONS = ("KINDS", "Narration", "kind_of", "read_captions", "video_ids")
_CHECKPOINT = ("load_checkpoint", "released_tracks", "save_checkpoint", "to_state_dict")
__all__ = [
    "KINDS",
    "Narration",
    "kind_of",
    "load_checkpoint",
    "read_captions",
    "released_tracks",
    "save_checkpoint",
    "to_state_dict",
    "video_ids",
]


def __getattr__(name: str) -> Any:
    if name in _CAPTIONS:
        return getattr(import_module("tellvision.howto100m.captions"), name)
    if name in _CHECKPOINT:
        return getattr(import_module("tellvision.howto100m.checkpoint"), name)
    raise AttributeError(f"module 'tellvision.howto100m' has no attribute {name!r}")
