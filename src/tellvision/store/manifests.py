"""Manifests: what a stage's folder holds, from what it was made, and with which configuration.

A manifest is written last, so a folder without one is unfinished. It carries no times and
no host, so that the same input gives the same bytes, and its hash names the content.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from tellvision.records import InputError

SCHEMA = 1
MANIFEST = "manifest.json"


def digest(*parts: object) -> str:
    """A short stable name (32 hex digits) of anything that JSON can hold."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def atomic_write(path: Path, data: bytes) -> None:
    """Write `data` to `path` whole or not at all, and onto the disk before returning."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Put a file or a folder on disk; a new or renamed file is there only once its folder is synced too."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_manifest(
    folder: Path, *, stage: str, config: dict[str, Any], inputs: dict[str, str], counts: dict[str, Any]
) -> str:
    """Close `folder` as the output of `stage` and return the hash that names this state.

    Args:
        folder: the stage's folder, everything else in it already on disk.
        stage: `captions/main` and so on.
        config: the full configuration the stage ran with (JSON values).
        inputs: name of each input -> its manifest's hash.
        counts: whatever a reader wants to know without opening the tables; `content`, if there, names
            all that lies in the folder.
    """
    manifest = {"schema": SCHEMA, "stage": stage, "config": config, "inputs": inputs, "counts": counts}
    text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False)
    atomic_write(folder / MANIFEST, text.encode())
    return _name(manifest)


def _name(manifest: dict[str, Any]) -> str:
    """Where `counts` name the content, what it was made from does not matter: an equal one starts nothing."""
    return digest(manifest | {"inputs": {}} if "content" in manifest["counts"] else manifest)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of `folder`, with its own hash under `hash`.

    Raises:
        InputError: the folder was never finished, or another version wrote it.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{folder} is not finished: run `tellvision run` on this work folder first") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is damaged ({error}): delete that file and run again") from None
    check_schema(manifest.get("schema") if isinstance(manifest, dict) else None, path)
    if not manifest.keys() >= {"stage", "config", "inputs", "counts"}:
        raise InputError(f"{path} is damaged (parts of it are missing): delete that file and run again")
    return manifest | {"hash": _name(manifest)}


def manifests_below(folder: Path) -> dict[str, dict[str, Any]]:
    """The manifests of the finished artefacts that lie side by side in `folder`, by the names of theirs."""
    return {path.parent.name: read_manifest(path.parent) for path in sorted(folder.glob(f"*/{MANIFEST}"))}


def is_current(folder: Path, config: dict[str, Any], inputs: dict[str, str]) -> bool:
    """Whether `folder` was finished with this configuration from these inputs."""
    if not (folder / MANIFEST).exists():
        return False
    manifest = read_manifest(folder)
    return bool(manifest["config"] == json.loads(json.dumps(config)) and manifest["inputs"] == inputs)


def check_schema(schema: object, path: Path) -> None:
    """Refuse what another version of the layout wrote."""
    if schema != SCHEMA:
        raise InputError(
            f"{path} has layout version {schema}, this tellvision reads {SCHEMA}: "
            "use the version that wrote it, or another --out"
        )
