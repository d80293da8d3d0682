"""TimeSformer: videos by attention over time, then over space, in the form of the transformers library.

A vector sees eight seconds: 8 frames at 1 per second (the model of high resolution 16 at 2), as the models
were trained on 8 frames in steps of 32 (16 in steps of 16) at 30 per second; the long one sees twelve, 96 at
8 (trained in steps of 4). The vector is the class token after the last layer norm, which the classifier
sees. `timesformer:facebook/timesformer-base-finetuned-k400`.
"""

import torch

from tellvision.vision.extractors.hub import Released, find_released
from tellvision.vision.extractors.video_transformers import VideoModel, video_model

SECONDS, SECONDS_LONG = 8.0, 12.0
"""Of a vector; with more than 16 frames."""


def find(model: str) -> VideoModel:
    """The model of a folder, or of the hub.

    Raises:
        InputError: see `find_released` and `video_model`.
    """
    released = find_released(model, ("timesformer",))
    frames = released.number("num_frames", default=8)
    return video_model(
        released,
        preparation=released.preparation,
        fps=frames / (SECONDS if frames <= 16 else SECONDS_LONG),
        unit=frames,
        size=released.number("image_size", default=224),
        dim=released.number("hidden_size", default=768),
        tower=_tower,
    )


def _tower(released: Released) -> torch.nn.Module:
    return _ClassToken(released.load("TimesformerModel"))


class _ClassToken(torch.nn.Module):
    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        tokens: torch.Tensor = self.network(frames).last_hidden_state
        return tokens[:, 0]
