"""Tiny models with random weights, in folders as transformers releases them: built here, never fetched."""

import json

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from corpus import TEXTS

IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
CLIP_COLOURS = {
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}
HALF = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
ON = {"do_resize": True, "do_normalize": True}
NEWER = ON | {"do_rescale": True, "rescale_factor": 0.00392156862745098}

# What the released preprocessor_config.json files say, the oldest form of each among them.
PREPARATIONS = {
    "clip": ON
    | CLIP_COLOURS
    | {
        "crop_size": 224,
        "do_center_crop": True,
        "feature_extractor_type": "CLIPFeatureExtractor",
        "resample": 3,
        "size": 224,
    },
    "siglip": NEWER
    | HALF
    | {"image_processor_type": "SiglipImageProcessor", "resample": 3, "size": {"height": 224, "width": 224}},
    "siglip2": NEWER
    | HALF
    | {
        "do_convert_rgb": None,
        "image_processor_type": "SiglipImageProcessor",
        "resample": 2,
        "size": {"height": 224, "width": 224},
    },
    "dinov2": NEWER
    | IMAGENET
    | {
        "crop_size": {"height": 224, "width": 224},
        "do_center_crop": True,
        "do_convert_rgb": True,
        "image_processor_type": "BitImageProcessor",
        "resample": 3,
        "size": {"shortest_edge": 256},
    },
    "dinov3": NEWER
    | IMAGENET
    | {
        "crop_size": None,
        "default_to_square": True,
        "do_center_crop": None,
        "image_processor_type": "DINOv3ViTImageProcessorFast",
        "resample": 2,
        "size": {"height": 224, "width": 224},
    },
    "hf-resnet": ON
    | IMAGENET
    | {"crop_pct": 0.875, "feature_extractor_type": "ConvNextFeatureExtractor", "resample": 3, "size": 224},
}

PIECES = 768  # of the CLIP tokenizer
SMALL = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
WORDS = [*TEXTS, "the cat sat on a mat, and two dogs don't", "a photo of a bowl of eggs"]


def write(folder, network, preparation):
    """The folder of a model, with what it wants to see."""
    network.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(preparation))
    return folder


def smaller(preparation, pixels):
    """The same, for pictures of `pixels` in place of 224."""
    text = json.dumps(preparation).replace("224", str(pixels)).replace("256", str(pixels * 8 // 7))
    return json.loads(text)


def network(family, pixels=32):
    """A tiny network of the family, as the library builds it."""
    import transformers as t

    torch.manual_seed(0)
    sees = {"image_size": pixels, "patch_size": 8}
    if family == "clip":
        reads = {"vocab_size": PIECES, "bos_token_id": PIECES - 2, "eos_token_id": PIECES - 1}
        return t.CLIPModel(t.CLIPConfig(projection_dim=24, vision_config=SMALL | sees, text_config=SMALL | reads))
    if family in ("siglip", "siglip2"):
        reads = {"vocab_size": 512, "bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 0}
        return t.SiglipModel(t.SiglipConfig(vision_config=SMALL | sees, text_config=SMALL | reads))
    if family == "dinov2":
        return t.Dinov2Model(
            t.Dinov2Config(**SMALL | {"image_size": 74, "patch_size": 8}, layerscale_value=0.5)
        )  # made for larger pictures, as the released ones
    if family == "dinov3":
        return t.DINOv3ViTModel(t.DINOv3ViTConfig(**SMALL | sees, num_register_tokens=4, layerscale_value=0.5))
    assert family == "hf-resnet"
    return t.ResNetModel(t.ResNetConfig(embedding_size=8, hidden_sizes=[16, 24, 32, 40], depths=[1, 1, 1, 1]))


def folder(where, family, pixels=32):
    """A tiny model of the family, with its tokenizer where it reads."""
    write(where, network(family, pixels), smaller(PREPARATIONS[family], pixels))
    if family == "clip":
        write_tokenizer(where, clip_tokenizer(), "CLIPTokenizer", "<|endoftext|>")
    elif family == "siglip":
        write_tokenizer(where, siglip_tokenizer(("</s>", "<unk>")), "SiglipTokenizer", "</s>")
    elif family == "siglip2":
        write_tokenizer(where, siglip_tokenizer(("<pad>", "<eos>", "<bos>", "<unk>")), "GemmaTokenizer", "<pad>")
    return where


def write_tokenizer(where, tokenizer, kind, fill):
    tokenizer.save(str(where / "tokenizer.json"))
    about = {"tokenizer_class": kind, "pad_token": fill, "model_max_length": 77 if "CLIP" in kind else 64}
    (where / "tokenizer_config.json").write_text(json.dumps(about))


def clip_tokenizer():
    """Byte pairs as CLIP's, every byte among them; the last two of `PIECES` begin and end a text."""
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>", continuing_subword_prefix=""))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    words = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(words), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=alphabet, end_of_word_suffix="</w>", show_progress=False
    )
    tokenizer.train_from_iterator([text.lower() for text in WORDS] * 4, trainer)
    made = json.loads(tokenizer.to_str())
    pieces = made["model"]["vocab"]
    for piece in [f"{letter}</w>" for letter in alphabet]:  # CLIP knows every byte, also at the end of a word
        pieces.setdefault(piece, len(pieces))
    while len(pieces) < PIECES - 2:
        pieces[f"unused{len(pieces)}"] = len(pieces)
    pieces |= {"<|startoftext|>": PIECES - 2, "<|endoftext|>": PIECES - 1}
    made["model"]["unk_token"] = "<|endoftext|>"
    tokenizer = Tokenizer.from_str(json.dumps(made))
    tokenizer.add_special_tokens(["<|startoftext|>", "<|endoftext|>"])
    tokenizer.post_processor = processors.RobertaProcessing(
        ("<|endoftext|>", PIECES - 1), ("<|startoftext|>", PIECES - 2), trim_offsets=False, add_prefix_space=False
    )
    return tokenizer


def siglip_tokenizer(special):
    """Pieces with ▁ for a space; capitals are not made small by it, nor is a text ended."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=list(special), show_progress=False)
    tokenizer.train_from_iterator(WORDS * 4, trainer)
    return tokenizer
