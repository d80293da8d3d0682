"""A JSON object of any size -> its members one by one, in the order of the file.

The released captions are one object with a member per video, up to 10 GB. Only one member and a piece
of the file are held at a time. The decoder is the standard library's, since the released files hold
NaN, which is no JSON and stops stricter readers.
"""

import codecs
import json
import re
from collections.abc import Iterator
from typing import BinaryIO

from tellvision.records import InputError

PIECE = 1 << 20
"""Bytes that are read at a time."""

MOST_MEMBER = 16 << 20
"""Characters of one member; a day of rolling captions has 6 million."""

# Times are floats here; Python's own reading of whole numbers takes long over long ones.
_DECODER = json.JSONDecoder(parse_int=float)
_BLANKS = re.compile(r"[ \t\n\r]*")


def members(file: BinaryIO) -> Iterator[tuple[str, object, int]]:
    """The members of the object in a file: name, value, and the bytes read up to the end of it.

    Numbers come as float. Bytes that are no UTF-8 come as lone surrogates. A name that comes twice
    comes twice.

    Args:
        file: open for reading bytes, in UTF-8 with or without a byte order mark.

    Raises:
        InputError: where the file stops being one JSON object, naming the byte; a file that ends
            early, or goes on behind the object, among them; a member larger than `MOST_MEMBER`.
    """
    text = _Text(file)
    text.expect("{")
    if text.peek() != "}":
        while True:
            name = text.value()
            if not isinstance(name, str):
                raise text.error("a name in quotes is missing")
            text.expect(":")
            yield name, text.value(), text.position
            if text.peek() != ",":
                break
            text.expect(",")
    text.expect("}")
    if text.peek():
        raise text.error("more stands behind the end")


class _Text:
    """The text of a file from `_at` on, as far as it is read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._text, self._at = "", 0
        self._counted, self._before = 0, 0  # a place in _text, and the bytes of the file before it
        self._ended = False
        self._read(PIECE)
        if self._text.startswith("\ufeff"):
            self._at = 1

    @property
    def position(self) -> int:
        """Bytes of the file before `_at`."""
        self._before += len(self._text[self._counted : self._at].encode("utf-8", "surrogateescape"))
        self._counted = self._at
        return self._before

    def error(self, what: str) -> InputError:
        return InputError(f"{what} at byte {self.position}")

    def peek(self) -> str:
        """The next character that is no blank; empty at the end."""
        while True:
            self._at = _BLANKS.match(self._text, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._text):
                return self._text[self._at]
            if self._ended:
                return ""
            self._read(PIECE)

    def expect(self, character: str) -> None:
        found = self.peek()
        if found != character:
            raise self.error(f"{character} is missing" if found else "the file ends early,")
        self._at += 1

    def value(self) -> object:
        """The value that begins here."""
        if not self.peek():
            raise self.error("the file ends early,")
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except RecursionError:
                raise self.error("nested too deeply") from None
            except ValueError as error:
                problem = error
            else:
                if end + 2 < len(self._text) or self._ended:  # behind "1" or "1e+" a number may go on
                    self._at = end
                    return value
                problem = ValueError("no end")
            held = len(self._text) - self._at
            if self._ended:
                raise self._explained(problem)
            if held > MOST_MEMBER:
                raise self.error(f"a value of more than {MOST_MEMBER >> 20} million characters")
            self._read(max(PIECE, held))

    def _explained(self, problem: ValueError) -> InputError:
        """What is wrong, at the byte where the decoder stopped."""
        if not isinstance(problem, json.JSONDecodeError):
            return self.error(str(problem))
        # A text without its closing quote is reported where it begins.
        if problem.pos >= len(self._text.rstrip()) or problem.msg.startswith("Unterminated"):
            self._at = len(self._text)
            return self.error("the file ends early,")
        self._at = problem.pos
        return self.error(f"no JSON ({problem.msg})")

    def _read(self, count: int) -> None:
        """Let go of what was read and add the next bytes."""
        self._before = self.position
        self._counted = 0
        data = self._file.read(count)
        self._ended = not data
        self._text = self._text[self._at :] + self._decoder.decode(data, final=self._ended)
        self._at = 0
