"""V-JEPA 2: videos learned by predicting the features of what was hidden, in the form of the transformers library.

16 frames at 4 per second make a vector, one in four seconds, as in most of its training; models released
for 64 frames take 16 as well, since where a token lies turns it and has no table. The vector is the mean over
all tokens of the encoder after its layer norm; the predictor is left out. `vjepa2:facebook/vjepa2-vitl-fpc64-256`.
"""

import torch

from tellvision.vision.extractors.hub import Released, find_released
from tellvision.vision.extractors.video_transformers import Averaged, VideoModel, video_model

FPS, FRAMES = 4.0, 16


def find(model: str) -> VideoModel:
    """The model of a folder, or of the hub.

    Raises:
        InputError: see `find_released` and `video_model`.
    """
    released = find_released(model, ("vjepa2",))
    size = released.number("crop_size", default=256)
    return video_model(
        released,
        preparation=preparation(size),
        fps=FPS,
        unit=min(FRAMES, released.number("frames_per_clip", default=64)),
        size=size,
        dim=released.number("hidden_size", default=1024),
        tower=_tower,
    )


def preparation(size: int) -> dict[str, object]:
    """What is done to the pixels: it follows from the size alone, so no further file is read."""
    return {
        "size": {"shortest_edge": size * 256 // 224},
        "crop_size": size,
        "do_center_crop": True,
        "resample": 2,
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
    }


def _tower(released: Released) -> torch.nn.Module:
    return Averaged(released.load("VJEPA2Model").get_submodule("encoder"))
