"""VideoMAE: videos learned by filling in what was hidden, by models in the form of the transformers library.

16 frames at 8 per second make a vector, one in two seconds. It was trained on every fourth frame of Kinetics,
whose videos have 25 to 30 a second. The vector is the mean over all tokens, after the layer norm: that of the
encoder, or that of the classifier where the model was released with one. `videomae:MCG-NJU/videomae-base`.
"""

import torch

from tellvision.vision.extractors.hub import Released, find_released
from tellvision.vision.extractors.video_transformers import Averaged, VideoModel, video_model

FPS = 8.0

_CLASSIFIER = "VideoMAEForVideoClassification"


def find(model: str) -> VideoModel:
    """The model of a folder, or of the hub.

    Raises:
        InputError: see `find_released` and `video_model`.
    """
    released = find_released(model, ("videomae",))
    return video_model(
        released,
        preparation=released.preparation,
        fps=FPS,
        unit=released.number("num_frames", default=16),
        size=released.number("image_size", default=224),
        dim=released.number("hidden_size", default=768),
        tower=_tower,
    )


def _tower(released: Released) -> torch.nn.Module:
    config = released.config
    if config.get("architectures") != [_CLASSIFIER] or not config.get("use_mean_pooling", True):
        return Averaged(released.load("VideoMAEModel"))
    network = released.load(_CLASSIFIER)
    return Averaged(network.get_submodule("videomae"), network.get_submodule("fc_norm"))
