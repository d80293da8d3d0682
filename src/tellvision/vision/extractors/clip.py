"""CLIP, SigLIP and SigLIP 2: pictures and texts in one space, by models in the form of the transformers library.

`find` gives the tower that sees, `text` the one that reads; both end in the space that they were trained in
together, so a track made by the one is searched with the other, without learning anything here.

CLIP sees the middle 224 x 224 of the picture and reads 77 tokens; SigLIP sees the whole picture squeezed to
224 x 224 (or more) and reads 64, always filled up, since it was trained so.
"""

import string

import torch

from tellvision.records import InputError
from tellvision.vision.extractors.hub import PictureModel, Released, find_released, picture_model, read_json
from tellvision.vision.extractors.reading import Reading, TextTower

KINDS = ("clip", "siglip")
NAFLEX = "siglip2"  # SigLIP 2 of a fixed size is released as siglip; this one takes pictures of any shape


def find(model: str) -> PictureModel:
    """The tower that sees, of a folder or of the hub (`openai/clip-vit-base-patch16`).

    Raises:
        InputError: see `find_released`; a size that the tower does not take.
    """
    released = _released(model)
    found = picture_model(released, dim=_dim(released), tower=_sees)
    size = released.number("vision_config", "image_size", default=224)
    if found.view.fit == "short" or found.view.size != size:
        raise InputError(
            f"{model} sees {size} x {size} pixels, its preprocessor_config.json makes others: bring the one that "
            "was released with it"
        )
    return found


def text(model: str) -> TextTower:
    """The tower that reads, of the same folder or name.

    Raises:
        InputError: see `find_released`; no tokenizer.
    """
    released = _released(model)
    siglip = released.config["model_type"] == "siglip"
    length = released.number("text_config", "max_position_embeddings", default=64 if siglip else 77)
    reading = _siglip_reading if siglip else _clip_reading
    return TextTower(
        dim=_dim(released),
        weights=lambda: released.weights,
        load=lambda: (reading(released, length), _reads(released)),
    )


def _released(model: str) -> Released:
    released = find_released(model, (*KINDS, NAFLEX))
    if released.config["model_type"] == NAFLEX:
        raise InputError(
            f"{model} is a NaFlex model, which takes pictures of any shape: use one of a fixed size, such as "
            "google/siglip2-base-patch16-224"
        )
    return released


def _dim(released: Released) -> int:
    if released.config["model_type"] == "clip":
        return released.number("projection_dim", default=512)
    return released.number("vision_config", "hidden_size", default=768)


class _Projected(torch.nn.Module):
    """A tower and its way into the joint space."""

    def __init__(self, tower: torch.nn.Module, projection: torch.nn.Module) -> None:
        super().__init__()
        self.tower, self.projection = tower, projection

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.projection(self.tower(given).pooler_output)
        return found


def _sees(released: Released) -> torch.nn.Module:
    return _half(released, "vision_model", "visual_projection")


def _reads(released: Released) -> torch.nn.Module:
    return _half(released, "text_model", "text_projection")


def _half(released: Released, tower: str, projection: str) -> torch.nn.Module:
    if released.config["model_type"] == "siglip":  # its towers end in the joint space by themselves
        return _Projected(released.load("SiglipModel").get_submodule(tower), torch.nn.Identity())
    both = released.load("CLIPModel")
    return _Projected(both.get_submodule(tower), both.get_submodule(projection))


def _clip_reading(released: Released, length: int) -> Reading:
    """Begin, up to 75 pieces, end; the tower takes its vector at the end, what stands behind is not looked at."""
    return Reading.open(
        released.folder, length=length, start="<|startoftext|>", end="<|endoftext|>", fill="<|endoftext|>"
    )


def _siglip_reading(released: Released, length: int) -> Reading:
    """Up to 63 pieces, end, filled up to 64: the tower takes its vector at the last place.

    SigLIP was trained on small letters without punctuation, SigLIP 2 on small letters; the tokenizers that
    were released with SigLIP 2 do not see to it.
    """
    about = read_json(released.folder / "tokenizer_config.json")
    first = about.get("tokenizer_class") in ("SiglipTokenizer", "SiglipTokenizerFast")
    end, fill = ("</s>", "</s>") if first else ("<eos>", "<pad>")
    canonical = _bare if first else str.lower
    return Reading.open(
        released.folder, length=length, start=None, end=end, fill=fill, canonical=canonical, whole=True
    )


def _bare(words: str) -> str:
    return " ".join(words.lower().translate(str.maketrans("", "", string.punctuation)).split())
