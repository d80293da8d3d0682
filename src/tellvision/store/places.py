"""Places: a folder on this machine or a prefix of an object store, behind one small set of verbs.

    /data/x, file:///data/x     a local folder; nothing but the standard library is needed
    s3://bucket/x               an object store that speaks S3, through fsspec and s3fs (extra `[s3]`)
    memory://x, gs://bucket/x   whatever else fsspec knows and the user has installed

Names are relative to the place, parted by `/`. A file is there whole or not at all. What the network, the
rights or a wrong name spoil is one line that names the place; no request waits for ever.
"""

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tellvision.records import InputError

CONNECT_SECONDS, READ_SECONDS = 5.0, 20.0
"""How long a request to an object store waits for an answer before it is tried again."""

TRIES = 2
"""Times that s3fs tries; within each of them botocore tries as often again."""

PAGE = 1000
"""Files that an object store is asked to list at a time."""

_URL = re.compile(r"([a-z][a-z0-9+.-]*)://(.*)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class File:
    """A file at a place.

    Attributes:
        name: relative to the place.
        size: bytes.
        state: changes when the file does: its size with the time of its last change or its ETag.
    """

    name: str
    size: int
    state: str


@dataclass(frozen=True, slots=True)
class Piece:
    """The bytes `start` to `end` (exclusive) of the file `name`."""

    name: str
    start: int
    end: int


class Place(Protocol):
    """What can be done at a place. Every verb raises InputError, one line, where it cannot."""

    def __str__(self) -> str:
        """As the user may name it again."""

    def files(self) -> Iterator[File]:
        """Every file at the place and below it, sorted by name; none where there is no such place."""

    def size(self, name: str) -> int | None:
        """Bytes of a file; None where it is not there."""

    def read(self, name: str) -> bytes:
        """A whole file."""

    def read_pieces(self, pieces: Sequence[Piece]) -> list[bytes | None]:
        """The bytes of each piece, several at a time; fewer where the file ends, None where there is no file."""

    def write(self, files: Mapping[str, bytes]) -> None:
        """Put files there, several at a time, over what has their names."""

    def put(self, name: str, path: Path) -> None:
        """Put a file of this machine there, of any size, over what has its name."""


def find_place(text: str | Path) -> Place:
    """The place that `text` names; nothing is asked of it yet.

    Raises:
        InputError: what it takes to reach it is not installed, or nobody knows such places.
    """
    parts = _URL.fullmatch(str(text))
    if parts is None:
        return LocalPlace(Path(text))
    if parts[1].lower() == "file":
        return LocalPlace(Path("/" + parts[2].lstrip("/")))
    return RemotePlace(str(text))


class LocalPlace:
    """A folder on this machine, see `Place`; a symbolic link to a folder is not followed below it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __str__(self) -> str:
        return str(self.folder)

    def files(self) -> Iterator[File]:
        """See `Place`."""
        with _told(self):
            yield from _below(self.folder, "")

    def size(self, name: str) -> int | None:
        """See `Place`."""
        with _told(self):
            path = self.folder / name
            return path.stat().st_size if path.exists() else None

    def read(self, name: str) -> bytes:
        """See `Place`."""
        with _told(self, name):
            return (self.folder / name).read_bytes()

    def read_pieces(self, pieces: Sequence[Piece]) -> list[bytes | None]:
        """See `Place`."""
        with _told(self):
            return [self._piece(piece) for piece in pieces]

    def _piece(self, piece: Piece) -> bytes | None:
        try:
            with (self.folder / piece.name).open("rb") as file:
                file.seek(piece.start)
                return file.read(piece.end - piece.start)
        except FileNotFoundError:
            return None

    def write(self, files: Mapping[str, bytes]) -> None:
        """See `Place`."""
        for name, data in files.items():
            with self._whole(name) as part:
                part.write_bytes(data)

    def put(self, name: str, path: Path) -> None:
        """See `Place`."""
        with self._whole(name) as part:
            shutil.copyfile(path, part)

    @contextmanager
    def _whole(self, name: str) -> Iterator[Path]:
        """Where to write what becomes the file `name`, once it is whole."""
        with _told(self, name):
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(path.name + ".part")
            yield part
            part.replace(path)


def _below(folder: Path, prefix: str) -> Iterator[File]:
    if not folder.exists():
        return
    with os.scandir(folder) as entries:
        found = sorted((entry.name + "/" * entry.is_dir(follow_symlinks=False)) for entry in entries)
    for name in found:  # with its slash a folder stands where an object store would list what is in it
        if name.endswith("/"):
            yield from _below(folder / name, prefix + name)
        elif (folder / name).is_file():
            known = (folder / name).stat()
            yield File(prefix + name, known.st_size, f"{known.st_size} {known.st_mtime_ns}")


class RemotePlace:
    """A prefix of an object store, see `Place`, through fsspec."""

    def __init__(self, text: str) -> None:
        self._text = text.rstrip("/")
        if "::" in text:
            raise InputError(f"{text} names a place within another: name one place, such as s3://bucket/folder")
        import fsspec

        scheme = text.partition(":")[0].lower()
        self._s3 = scheme in ("s3", "s3a")
        try:
            # A file system of its own: one from the cache may hold credentials and listings of before.
            self._fs, root = fsspec.url_to_fs(
                text, skip_instance_cache=True, **(_s3_options() if self._s3 else {})
            )
        except ImportError as error:
            line = "pip install 'tellvision[s3]'" if self._s3 else str(error)
            raise InputError(f"{text} cannot be reached without a library for {scheme}: {line}") from None
        except Exception as error:  # some ask their server at once, and raise what it brings
            raise InputError(f"{text}: {_line(error)}; name a folder, or s3://bucket/folder") from None
        self._root = root.rstrip("/")
        if self._s3:
            self._fs.retries = TRIES
            if not self._root:
                raise InputError(f"{text} names no bucket: name s3://bucket/folder")

    def __str__(self) -> str:
        return self._text

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def files(self) -> Iterator[File]:
        """See `Place`."""
        with _told(self):
            for path, size, changed in self._pages() if self._s3 else self._find():
                name = path[len(self._root) + 1 :]
                if name and not name.endswith("/"):  # such are the folders that consoles make
                    yield File(name, size, f"{size} {changed}")

    def _find(self) -> Iterator[tuple[str, int, object]]:
        """Path, size and a mark of the last change of every file, sorted by path."""
        for path, known in sorted(self._fs.find(self._root, detail=True).items()):
            yield (
                path,
                known["size"],
                next((known[key] for key in ("ETag", "mtime", "created") if key in known), ""),
            )

    def _pages(self) -> Iterator[tuple[str, int, object]]:
        """As `_find`, page by page: s3fs itself would hold all that the store knows of a million files."""
        bucket, prefix, _ = self._fs.split_path(self._root)
        asked = {"Bucket": bucket, "Prefix": f"{prefix}/" if prefix else "", "MaxKeys": PAGE}
        while True:
            page = self._fs.call_s3("list_objects_v2", **asked)
            for known in page.get("Contents", ()):
                yield f"{bucket}/{known['Key']}", known["Size"], known["ETag"]
            if not page.get("IsTruncated"):
                return
            asked["ContinuationToken"] = page["NextContinuationToken"]

    def size(self, name: str) -> int | None:
        """See `Place`."""
        with _told(self, name):
            try:
                return int(self._fs.info(self._path(name), refresh=True)["size"])
            except FileNotFoundError:
                return None

    def read(self, name: str) -> bytes:
        """See `Place`."""
        with _told(self, name):
            return bytes(self._fs.cat_file(self._path(name)))

    def read_pieces(self, pieces: Sequence[Piece]) -> list[bytes | None]:
        """See `Place`."""
        asked = [piece for piece in pieces if piece.end > piece.start]  # a range of no bytes cannot be asked for
        with _told(self):
            paths = [self._path(piece.name) for piece in asked]
            starts, ends = [piece.start for piece in asked], [piece.end for piece in asked]
            answers = iter(self._fs.cat_ranges(paths, starts, ends, on_error="return") if asked else ())
            return [_bytes_in(next(answers)) if piece.end > piece.start else b"" for piece in pieces]

    def write(self, files: Mapping[str, bytes]) -> None:
        """See `Place`."""
        with _told(self, next(iter(files), "")):
            self._fs.pipe({self._path(name): data for name, data in files.items()})

    def put(self, name: str, path: Path) -> None:
        """See `Place`."""
        with _told(self, name):
            self._fs.put_file(str(path), self._path(name))


def _s3_options() -> dict[str, Any]:
    config = {
        "connect_timeout": CONNECT_SECONDS,
        "read_timeout": READ_SECONDS,
        "retries": {"total_max_attempts": TRIES, "mode": "standard"},
    }
    return {"config_kwargs": config, "use_listings_cache": False}


def _bytes_in(answer: bytes | Exception) -> bytes | None:
    if isinstance(answer, FileNotFoundError):
        return None
    if isinstance(answer, Exception):
        raise answer
    return bytes(answer)


@contextmanager
def _told(place: Place, name: str = "") -> Iterator[None]:
    """What goes wrong at a place as one line."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # each store has its own: botocore's, aiohttp's, OSError ...
        where = f"{place}: {name}" if name else str(place)
        if isinstance(error, FileNotFoundError):
            raise InputError(f"{where} is not there ({_line(error)})") from None
        ask = "check your rights" if _is_of_rights(error) else "mend that"
        again = "run the same again, nothing done is lost"
        raise InputError(f"{where} cannot be used ({_line(error)}): {ask} and {again}") from None


def _is_of_rights(error: Exception) -> bool:
    return isinstance(error, PermissionError) or "credentials" in str(error).lower()


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
