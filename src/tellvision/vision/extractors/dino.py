"""DINOv2 and DINOv3: pictures learned without words, by models in the form of the transformers library.

The vector is the class token after the last layer norm (DINOv3 ConvNeXt: the pooled map after it). DINOv2 sees
the middle 224 x 224 of the picture at a short side of 256, DINOv3 the whole picture squeezed to 224 x 224.
"""

import torch

from tellvision.vision.extractors.hub import PictureModel, Pooled, Released, find_released, picture_model

ARCHITECTURES = {
    "dinov2": "Dinov2Model",
    "dinov2_with_registers": "Dinov2WithRegistersModel",
    "dinov3_vit": "DINOv3ViTModel",
    "dinov3_convnext": "DINOv3ConvNextModel",
}
"""`model_type` -> the library's name of the network."""

WIDTHS: dict[str, tuple[tuple[str | int, ...], int]] = {
    "dinov2": (("hidden_size",), 768),
    "dinov2_with_registers": (("hidden_size",), 768),
    "dinov3_vit": (("hidden_size",), 384),
    "dinov3_convnext": (("hidden_sizes", -1), 768),
}
"""`model_type` -> where the config says how wide a vector is, and the library's default."""


def find(model: str) -> PictureModel:
    """The model of a folder, or of the hub (`facebook/dinov2-base`); InputError: see `find_released`."""
    released = find_released(model, ARCHITECTURES)
    way, default = WIDTHS[released.config["model_type"]]
    dim = released.number(*way, default=default)
    return picture_model(released, dim=dim, tower=_tower)


def _tower(released: Released) -> torch.nn.Module:
    return Pooled(released.load(ARCHITECTURES[released.config["model_type"]]))
