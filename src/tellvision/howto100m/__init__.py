"""What the paper's authors and their followers released, in and out.

checkpoint.py   the weights: the released state dict <-> a model of ours (brings PyTorch)
captions.py     a file or folder of released captions -> the lines of each video, one video at a time
lines.py        an entry of such a file -> Cues: what is bad left out, what rolls said once
jsonfile.py     captions as one JSON object, read piece by piece, whatever its size
picklefile.py   captions as a pickle of plain data, read piece by piece; nothing in it is executed
csvfile.py      captions as tables: one per video, or one for all

The weights are offered here, imported when they are asked for: captions are read without PyTorch, from
`tellvision.howto100m.captions`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tellvision.howto100m.checkpoint import load_checkpoint, released_tracks, save_checkpoint, to_state_dict

__all__ = ["load_checkpoint", "released_tracks", "save_checkpoint", "to_state_dict"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'tellvision.howto100m' has no attribute {name!r}")
    from tellvision.howto100m import checkpoint

    return getattr(checkpoint, name)
