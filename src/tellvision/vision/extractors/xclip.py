"""X-CLIP: CLIP for videos, and the texts in the same space, by models in the form of the transformers library.

A vector sees eight seconds, evenly: 8 frames at 1 per second, 16 at 2, 32 at 4. The models were trained on as many
frames spread over Kinetics' videos of ten seconds. The vector is the video's in the joint space. Its
text is the plain one: the adjustment to a single video, which X-CLIP can make of it, would need every pair
of video and text to go through the network. `xclip:microsoft/xclip-base-patch32`.
"""

import torch

from tellvision.records import InputError
from tellvision.vision.extractors.hub import Released, find_released
from tellvision.vision.extractors.reading import Reading, TextTower
from tellvision.vision.extractors.video_transformers import VideoModel, video_model

SECONDS = 8.0
"""Of a vector."""


def find(model: str) -> VideoModel:
    """The tower that sees, of a folder or of the hub.

    Raises:
        InputError: see `find_released` and `video_model`.
    """
    released = find_released(model, ("xclip",))
    frames = released.number("vision_config", "num_frames", default=8)
    if released.number("vision_config", "mit_hidden_size", default=512) != _dim(released):
        raise InputError(
            f"{model}: mit_hidden_size and projection_dim differ in its config.json, its space is one"
        )
    return video_model(
        released,
        preparation=released.preparation,
        fps=frames / SECONDS,
        unit=frames,
        size=released.number("vision_config", "image_size", default=224),
        dim=_dim(released),
        tower=_Sees,
    )


def text(model: str) -> TextTower:
    """The tower that reads, of the same folder or name.

    Raises:
        InputError: see `find_released`; no tokenizer.
    """
    released = find_released(model, ("xclip",))
    length = released.number("text_config", "max_position_embeddings", default=77)
    return TextTower(
        dim=_dim(released),
        weights=lambda: released.weights,
        load=lambda: (_reading(released, length), _Reads(released)),
    )


def _dim(released: Released) -> int:
    return released.number("projection_dim", default=512)


def _reading(released: Released, length: int) -> Reading:
    """As for CLIP: the tower takes its vector at the first end."""
    return Reading.open(
        released.folder, length=length, start="<|startoftext|>", end="<|endoftext|>", fill="<|endoftext|>"
    )


class _Sees(torch.nn.Module):
    """Frame by frame, then over the frames."""

    def __init__(self, released: Released) -> None:
        super().__init__()
        both = released.load("XCLIPModel")
        self.frames, self.projection = both.get_submodule("vision_model"), both.get_submodule("visual_projection")
        self.over_frames = both.get_submodule("mit")

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        seen = self.projection(self.frames(pixel_values=frames.flatten(0, 1)).pooler_output)
        pooled: torch.Tensor = self.over_frames(seen.unflatten(0, frames.shape[:2])).pooler_output
        return pooled


class _Reads(torch.nn.Module):
    def __init__(self, released: Released) -> None:
        super().__init__()
        both = released.load("XCLIPModel")
        self.tower, self.projection = both.get_submodule("text_model"), both.get_submodule("text_projection")

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        projected: torch.Tensor = self.projection(self.tower(input_ids=tokens).pooler_output)
        return projected
