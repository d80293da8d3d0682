"""The model card: what a checkpoint is, in words, for those it is given to (README.md beside the weights).

Reads the configuration and what its maker noted beside it; writes Markdown with front matter in YAML as model
hubs read it. Nothing is said that is not noted: what is not known is left out.
"""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from tellvision.embedding.config import ModelConfig

README = "README.md"

_METRICS = ("R@1", "R@5", "R@10", "MedR")
_SPECIAL = re.compile(r"([\\`*_\[\]<>|#~&$])")
_TEXTS = {
    "wordpiece": "the first {words} word pieces of a text; their table of vectors lies in the checkpoint",
    "words": "the first {words} words of a text, looked up in a table of word vectors that is not part of the "
    "checkpoint: pass it as `words=`",
    "learned": "the first {words} words of a text, of those that the training captions said at least {count} "
    "times; they lie in the checkpoint",
    "sentence": "the whole text through the sentence encoder {encoder}, which lies in the checkpoint{tuned}",
}


def card(config: ModelConfig, about: Mapping[str, Any], name: str | None = None) -> str:
    """The text of the card.

    Args:
        config: of the model.
        about: JSON values; all of them may be missing. `title`, `license` (an identifier such as
            `apache-2.0`), `num_videos` and `num_clips` (trained on), `recipe` (its name), `train` (the
            configuration of training), `retrieval` (`text_to_video`, `chance`, `shuffled`: each R@1, R@5, R@10
            and MedR; `videos`, `clips`: how many it was measured on). What is of another kind is left out.
        name: owner/name on the hub; None: the card speaks of a folder.

    Returns:
        Markdown; whatever stands in `about` neither ends the front matter nor becomes markup.
    """
    title = _plain(about.get("title") or name or "A text-video embedding")
    rows = _retrieval(about.get("retrieval"))
    parts = [
        _front(title, about, rows),
        f"# {_escaped(title)}",
        "A text-video embedding, learned from narration with tellvision: texts and clips of videos become vectors "
        f"of {config.dim} numbers, and their cosine says how well they fit.",
        _data(config, about),
        _recipe(about),
        _figures(about.get("retrieval"), rows),
        _loading(config, name),
        _limits(config),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _front(title: str, about: Mapping[str, Any], rows: dict[str, dict[str, float]]) -> str:
    front: dict[str, Any] = {
        "library_name": "tellvision",
        "tags": ["tellvision", "video-retrieval", "text-video-embedding"],
    }
    if isinstance(about.get("license"), str) and about["license"].strip():
        front["license"] = _plain(about["license"])
    if measured := rows.get("learned"):
        front["model-index"] = [
            {
                "name": title,
                "results": [
                    {
                        "task": {"type": "video-retrieval", "name": "Text-to-video retrieval"},
                        "dataset": {"type": "held-out", "name": _held_out(about["retrieval"])},
                        "metrics": [{"type": name, "value": value} for name, value in measured.items()],
                    }
                ],
            }
        ]
    return "\n".join(["---", *(f"{key}: {_yaml(value)}" for key, value in front.items()), "---"])


def _data(config: ModelConfig, about: Mapping[str, Any]) -> str:
    tracks = ", ".join(
        f"{_escaped(track.name)} ({track.dim} numbers, {track.fps:g} per second)" for track in config.tracks
    )
    counts = [
        f"{about[key]:,} {noun}"
        for key, noun in (("num_videos", "videos"), ("num_clips", "clips"))
        if _is_count(about.get(key))
    ]
    texts = _TEXTS[config.text.tokens].format(
        words=config.text.max_words,
        count=config.text.min_count,
        encoder=_escaped(_public(config.text.encoder)),
        tuned=", tuned" if config.text.tune else "",
    )
    lines = [f"- trained on: {', '.join(counts)}"] if counts else []
    lines += [f"- what is seen: {tracks}", f"- what is said: {texts}"]
    return "\n".join(["## Data", "", *lines])


def _recipe(about: Mapping[str, Any]) -> str:
    train = about.get("train")
    name = about.get("recipe")
    if not isinstance(train, Mapping) or not train:
        return f"## Recipe\n\n`{_code(name)}`" if isinstance(name, str) and name.strip() else ""
    head = f"## Recipe: {_escaped(name)}" if isinstance(name, str) and name.strip() else "## Recipe"
    rows = [f"| {_escaped(key)} | {_escaped(_value(value))} |" for key, value in train.items()]
    return "\n".join([head, "", "| setting | value |", "|---|---|", *rows])


def _figures(retrieval: Any, rows: dict[str, dict[str, float]]) -> str:
    if not rows:
        return ""
    names = [name for name in _METRICS if any(name in row for row in rows.values())]
    table = [f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for title, row in rows.items():
        table.append(f"| {title} | {' | '.join(f'{row[name]:g}' if name in row else '' for name in names)} |")
    about = (
        f"Text-to-video retrieval on {_held_out(retrieval)}: each caption asks for its own clip. Shuffled: the "
        "same vectors, each caption given a clip at random as the right one."
    )
    return "\n".join(["## Figures", "", about, "", *table])


def _loading(config: ModelConfig, name: str | None) -> str:
    words = ', words="GoogleNews-vectors-negative300.bin"' if config.text.tokens == "words" else ""
    return "\n".join(
        [
            "## Use",
            "",
            "```python",
            "import tellvision",
            f"model = tellvision.load({json.dumps(_code(name or 'FOLDER'))}{words})",
            'vectors = model.encode_text(["crack two eggs into the bowl"])',
            "```",
        ]
    )


def _limits(config: ModelConfig) -> str:
    lines = [
        "- Narration is not a description: what is said is often not what is seen at that moment.",
        "- It finds what is said and seen in videos like those it learned from; elsewhere nothing was measured.",
        "- Clips have to come as the features named above, made by the same backbones.",
    ]
    if config.text.tokens in ("words", "learned"):
        lines.append("- A text without a word that it knows cannot be embedded.")
    return "\n".join(["## Limits", "", *lines])


def _retrieval(found: Any) -> dict[str, dict[str, float]]:
    """The rows of the table that are known, as finite numbers."""
    rows = {}
    for title, key in (("learned", "text_to_video"), ("chance", "chance"), ("shuffled", "shuffled")):
        row = found.get(key) if isinstance(found, Mapping) else None
        if isinstance(row, Mapping):
            known = {name: _number(row.get(name)) for name in _METRICS}
            if kept := {name: value for name, value in known.items() if value is not None}:
                rows[title] = kept
    return rows


def _held_out(retrieval: Mapping[str, Any]) -> str:
    counts = [f"{retrieval[key]:,} {key}" for key in ("clips", "videos") if _is_count(retrieval.get(key))]
    return " of ".join(counts) + ", kept out of training" if counts else "videos kept out of training"


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        return None
    return round(float(value), 4)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _value(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return json.dumps(value, ensure_ascii=False, default=str)


def _public(encoder: str) -> str:
    """Of a folder its name alone: where it lies is nobody's business."""
    is_folder = encoder.startswith((".", "/", "~")) or encoder.count("/") > 1
    return encoder.rstrip("/").rpartition("/")[2] if is_folder else encoder


def _plain(value: Any) -> str:
    """One line of characters that can be seen."""
    text = "".join(letter if letter.isprintable() else " " for letter in str(value))
    return " ".join(text.split())


def _escaped(value: Any) -> str:
    """As text in Markdown: a line that holds no markup."""
    return _SPECIAL.sub(r"\\\1", _plain(value))


def _code(value: Any) -> str:
    """Within backticks: a line without them."""
    return _plain(value).replace("`", "'")


def _yaml(value: Any) -> str:
    """A value in YAML's flow style, which is JSON's, in ASCII."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_yaml(key)}: {_yaml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_yaml, value)) + "]"
    if isinstance(value, float):
        return f"{value:.4f}"
    # Beyond ASCII by the number of the letter: JSON would write the rare ones as pairs, which YAML does not know.
    return "".join(letter if " " <= letter <= "~" else f"\\U{ord(letter):08x}" for letter in _quoted(value))


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
