"""The command line: one thin command per link of the chain. `tellvision --help` lists them.

A command's module is imported only when it is called, so that help answers at once. What the user did
wrong is one line on stderr and exit status 1; `--json` prints for programs, progress goes to stderr.
"""

import argparse
import importlib
import inspect
import os
import sqlite3
import sys
import warnings
from collections.abc import Callable
from functools import partial
from keyword import iskeyword

from tellvision.records import InputError, Skip

COMMANDS = {
    "run": ("running", "from a folder of videos to a search that finds the moment"),
    "search": ("finding", "find the moment where something is done"),
    "serve": ("finding", "the search page, on this machine"),
    "import": ("narration", "take in captions without their videos, or features, the paper's released ones too"),
    "export": ("exchange", "write tracks to a folder or an object store"),
    "captions": ("narration", "read the subtitles beside the videos, or hear what is said in them"),
    "clips": ("narration", "cut a clip for every caption"),
    "features": ("learning", "turn pictures into tracks of vectors"),
    "pairs": ("learning", "pool the tracks over the clips"),
    "train": ("learning", "learn the joint space from the pairs"),
    "index": ("finding", "build the search, by what finds best on held-out videos"),
    "evaluate": ("learning", "measure a model"),
    "draw": ("running", "draw narrated how-to videos whose truth is known"),
    "verify": ("running", "check the stored vectors against their checksums"),
    "doctor": ("running", "what is installed, what is missing, and the line that installs it"),
}


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    if not words or words[0] in ("-h", "--help", "help"):
        print(_usage())
        return 0
    if words[0] == "--version":
        from tellvision import __version__

        print(__version__)
        return 0
    if words[0] not in COMMANDS:
        print(f"tellvision: unknown command {words[0]!r}; `tellvision --help` lists them", file=sys.stderr)
        return 2
    with warnings.catch_warnings():
        warnings.showwarning = _warn
        return _guarded(words[0], words[1:])


def _usage() -> str:
    lines = [f"  {name:<10} {what}" for name, (_, what) in COMMANDS.items()]
    return "\n".join(
        [
            "usage: tellvision COMMAND ...",
            "",
            "Learns to connect language and video from narration, and searches with it.",
            "",
            *lines,
            "",
            "Begin with:  tellvision run VIDEOS --out WORK  and then  tellvision serve WORK",
            "Each command explains itself:  tellvision COMMAND --help",
        ]
    )


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    print(f"tellvision: {' '.join(str(message).split())}", file=sys.stderr)


def _guarded(name: str, words: list[str]) -> int:
    try:
        _call(name, words)
    except (InputError, Skip) as problem:
        print(f"tellvision: {problem}", file=sys.stderr)
        return 1
    except (OSError, sqlite3.DatabaseError) as problem:
        if isinstance(problem, BrokenPipeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader went away: be quiet
            return 0
        print(
            f"tellvision: {problem}: mend it (disk space? rights?) and run the same again, nothing done is lost",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print("tellvision: stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def _call(name: str, words: list[str]) -> None:
    import tyro

    from tellvision import recipes

    module = importlib.import_module(f"tellvision.commands.{COMMANDS[name][0]}")
    command: Callable[..., None] = getattr(module, f"{name}_" if iskeyword(name) else name)
    if getattr(inspect.signature(command).parameters.get("settings"), "default", None) == recipes.laptop():
        # --recipe decides what the other flags start from, so it is read before them.
        first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
        first.add_argument("--recipe", default=recipes.DEFAULT)
        command = partial(command, settings=recipes.find(first.parse_known_args(words)[0].recipe))
    tyro.cli(command, prog=f"tellvision {name}", args=_with_ids(words))


def _with_ids(words: list[str]) -> list[str]:
    """The words with an id that begins with a dash, as one in 64 of YouTube's does, joined to its flag."""
    joined: list[str] = []
    for word in words:
        if joined[-1:] == ["--show"] and word.startswith("-") and not word.startswith("--"):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined
