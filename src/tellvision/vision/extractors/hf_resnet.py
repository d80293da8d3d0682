"""ResNet in the form of the transformers library: the mean over the last feature map, 2048 wide from ResNet-50 on.

The picture is scaled to a short side of 256, its middle 224 x 224 is seen: what these were released with.
"""

import torch

from tellvision.vision.extractors.hub import PictureModel, Pooled, Released, find_released, picture_model


def find(model: str) -> PictureModel:
    """The model of a folder, or of the hub (`microsoft/resnet-152`); InputError: see `find_released`."""
    released = find_released(model, ("resnet",))
    return picture_model(released, dim=released.number("hidden_sizes", -1, default=2048), tower=_tower)


def _tower(released: Released) -> torch.nn.Module:
    return Pooled(released.load("ResNetModel"))
