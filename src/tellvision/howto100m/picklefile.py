"""A pickle of plain data -> the items of its dict one by one; nothing in the file is executed.

A pickle is a program for a small machine with a stack. This is that machine with the few instructions
that build dict, list, str, int and float; any other is refused by name. So there is nothing to import
or to call, no length is believed before its bytes are there, and the items of the outer dict, one per
video, are handed out as soon as they are complete instead of being collected.
"""

import codecs
import pickletools
import re
from collections.abc import Callable, Iterator
from struct import Struct
from typing import Any, BinaryIO

import numpy as np

from tellvision.records import InputError

PIECE = 1 << 20
"""Bytes that are read at a time."""

MOST_ITEM = 32 << 20
"""Bytes between items that are complete; a thousand videos, which is how many picklers write at once,
have 10 million."""

REMEMBERED = 4 << 20
"""Bytes behind which what earlier items hold is forgotten."""

MOST_PARTS = 1 << 20
"""Lists and dicts between items; each takes a byte in the file and a hundred in memory."""

MOST_REMEMBERED = 2 << 20
"""Texts and lists that are held to be taken up again; each takes a byte in the file and a hundred in memory."""

DEEPEST = 32
"""Lists within lists; the released files have three levels."""

_FLOATS = re.compile(rb"(?:G.{8}){2,}", re.DOTALL)  # the times of a video stand in a row
_FLOAT_ROWS = np.dtype([("code", "u1"), ("value", ">f8")])
_FLOAT = Struct(">d")
_ESCAPE = re.compile(  # another one is a mere backslash, of which Python would warn
    rb"\\(?:[\\'\"abfnrtvx\n]|[0-3][0-7]{2}|[0-7]{1,2}(?![0-7]))|(\\)"
)
_DIGITS = 100  # bytes of a number written in digits; long ones take Python long to read
_INSTRUCTIONS = {instruction.code: instruction.name for instruction in pickletools.opcodes}
_PLAIN = "only dict, list, str, int and float are read"


def items(file: BinaryIO) -> Iterator[tuple[str, object, int]]:
    """The items of the pickled dict in a file: key, value, and the bytes read so far.

    Keys that come twice come twice. An object that stands in several items, as texts may that were
    read from one table, is known again for 4 MB; short names are known for ever.

    Args:
        file: open for reading bytes; any protocol, as long as it holds a dict of dict, list, str, int
            and float with str for keys.

    Raises:
        InputError: anything else, naming what it is and the byte; a file that ends early; an item
            larger than `MOST_ITEM`.
    """
    return _Machine(file).run()


class _Machine:
    """The stack, the memory, and the bytes of the file from `_at` on, as far as they are read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._data, self._at = b"", 0
        self._before = 0  # bytes of the file before _data
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []  # the stacks under each mark
        self._top: dict[str, Any] | None = None  # the outer dict; it stays empty
        self._ready: list[tuple[str, Any]] = []  # its items that are complete
        self._item_began = self._forgot_at = self._num_parts = 0
        self._memory: dict[int, Any] = {}
        self._num_remembered = 0

    @property
    def position(self) -> int:
        """Bytes of the file before `_at`."""
        return self._before + self._at

    def error(self, what: str) -> InputError:
        return InputError(f"{what} at byte {self.position}")

    def run(self) -> Iterator[tuple[str, object, int]]:
        """Work through the file."""
        while (code := self.take(1)) != b".":
            action = _ACTIONS.get(code)
            if action is None:
                raise self._refusal(code)
            try:
                action(self)
            except InputError:
                raise
            except (IndexError, ValueError, TypeError):  # too little on the stack, or not what it should be
                raise self.error("a damaged pickle") from None
            if len(self._below) < 2:
                self._hand_out()
                for key, value in self._ready:
                    yield key, value, self.position
                self._ready.clear()
        if self._top is None or self._below or len(self._stack) != 1:
            raise self.error("a pickle that is no dict ends")

    def _hand_out(self) -> None:
        """Make ready what stands complete between the outer dict and the key that comes next."""
        stack = self._stack
        if self._top is None and stack:
            if type(stack[0]) is list:
                raise self.error("a pickle of a list, not of a dict with an entry per video,")
            self._top = stack[0] if type(stack[0]) is dict else None
        # What is filled when the next key is pushed is complete; what is empty may be about to be filled.
        if self._below and len(stack) > 2 and type(stack[2]) is str and self._is_top(self._below[0]):
            key, value = stack[:2]
            if value and type(value) is not str:
                self._ready.append((self._key(key), value))
                del stack[:2]
        if self._ready:
            self._item_began, self._num_parts = self.position, 0
            if self.position - self._forgot_at > REMEMBERED:
                self._forget()

    def _is_top(self, stack: list[Any]) -> bool:
        return len(stack) == 1 and stack[0] is self._top

    def _forget(self) -> None:
        """Remember only what items share: names, and texts that Python has once, of a character or none."""
        self._forgot_at = self.position
        names = {name for _, value in self._ready if type(value) is dict for name in value if len(name) < 32}
        kept = {at: known for at, known in self._memory.items() if type(known) is str and len(known) < 2}
        kept |= {at: known for at, known in self._memory.items() if type(known) is str and known in names}
        self._memory = kept if len(kept) < REMEMBERED >> 6 else {}

    def _key(self, key: object) -> str:
        if type(key) is not str:
            raise self.error(f"a key of type {type(key).__name__}: {_PLAIN}, with str for keys;")
        return key

    def _refusal(self, code: bytes) -> InputError:
        """Why an instruction is not carried out."""
        name = _INSTRUCTIONS.get(code.decode("latin-1"))
        if name is None:
            return self.error("no pickle")
        if name in ("GLOBAL", "INST"):
            wanted = [self.line(MOST_ITEM).decode("latin-1") for _ in range(2)]
        elif name == "STACK_GLOBAL":
            wanted = [name for name in self._stack[-2:] if type(name) is str]
        else:
            return self.error(f"a pickle with the instruction {name}: {_PLAIN};")
        name = ascii(".".join(wanted)[:80])[1:-1]
        return self.error(f"a pickle that needs {name}, which is not run: {_PLAIN};")

    # What instructions are made of.

    def take(self, count: int) -> bytes:
        """The next bytes of the file."""
        end = self._at + count
        if end > len(self._data):
            self._fill(count)
            end = count
        found = self._data[self._at : end]
        self._at = end
        return found

    def number(self, count: int) -> int:
        """The next bytes as a whole number without sign."""
        return int.from_bytes(self.take(count), "little")

    def line(self, most: int = _DIGITS) -> bytes:
        """The next bytes up to a line end, and without it."""
        while (end := self._data.find(b"\n", self._at, self._at + most)) < 0:
            held = len(self._data) - self._at
            if held >= most:
                raise self.error("a number without end")
            self._fill(held + 1)
        found = self._data[self._at : end]
        self._at = end + 1
        return found

    def _fill(self, count: int) -> None:
        """Let go of what was read and see to it that `count` bytes are there."""
        held = len(self._data) - self._at
        if self.position + count - self._item_began > MOST_ITEM:
            raise self.error(f"an entry of more than {MOST_ITEM >> 20} MB")
        self._before += self._at
        self._data = self._data[self._at :] + self._file.read(max(PIECE, count - held))
        self._at = 0
        if len(self._data) < count:
            self._at = len(self._data)
            raise self.error("the file ends early,")

    def push(self, value: object) -> None:
        self._stack.append(value)

    def push_part(self, part: list[Any] | dict[str, Any]) -> None:
        """A list or dict."""
        self._num_parts += 1
        if self._num_parts > MOST_PARTS:
            raise self.error(f"an entry of more than {MOST_PARTS} lists")
        self._stack.append(part)

    def push_floats(self) -> None:
        """A float, and all that follow it as far as the file is read."""
        row = _FLOATS.match(self._data, self._at - 1)
        if row is None:
            self._stack.append(_FLOAT.unpack(self.take(8))[0])
        else:
            self._stack.extend(np.frombuffer(row[0], _FLOAT_ROWS)["value"].tolist())
            self._at = row.end()

    def push_digits(self) -> None:
        """A whole number in digits; 00 and 01 are truth values."""
        digits = self.line()
        if digits in (b"00", b"01"):
            raise self.error(f"a pickle of a truth value: {_PLAIN};")
        self._stack.append(int(digits.removesuffix(b"L") or b"0"))

    def mark(self) -> None:
        if len(self._below) == DEEPEST:
            raise self.error("a pickle nested too deeply")
        self._below.append(self._stack)
        self._stack = []

    def above_mark(self) -> list[Any]:
        """What was pushed since the last mark; the mark goes."""
        found, self._stack = self._stack, self._below.pop()
        return found

    def append(self, values: list[Any]) -> None:
        """The values to the list on the stack."""
        if type(self._stack[-1]) is not list:
            raise self.error("a damaged pickle")
        self._stack[-1].extend(values)

    def set_items(self, values: list[Any]) -> None:
        """Keys and values in turn to the dict on the stack; those of the outer dict are ready."""
        target = self._stack[-1]
        if type(target) is not dict or len(values) % 2:
            raise self.error("a damaged pickle")
        pairs = [(self._key(key), value) for key, value in zip(values[::2], values[1::2], strict=True)]
        if target is self._top:
            self._ready += pairs
        else:
            target.update(pairs)

    def push_dict(self) -> None:
        values = self.above_mark()
        self.push_part({})
        self._hand_out()
        self.set_items(values)

    def remember(self, at: int) -> None:
        self._memory[at] = self._stack[-1]
        if len(self._memory) > MOST_REMEMBERED:
            raise self.error(f"an entry of more than {MOST_REMEMBERED} texts")

    def remember_next(self) -> None:
        self.remember(self._num_remembered)
        self._num_remembered += 1

    def recall(self, at: int) -> None:
        if at not in self._memory:
            raise self.error("the pickle takes up what an entry far before holds: write it as JSON and read that;")
        self._stack.append(self._memory[at])


def _text(data: bytes) -> str:
    """A str as Python 3 pickles it."""
    return data.decode("utf-8", "surrogatepass")


def _old_text(data: bytes) -> str:
    """A str as Python 2 pickled it: bytes of no stated encoding."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _quoted(data: bytes) -> str:
    """A str as Python 2 pickled it in text."""
    data = _ESCAPE.sub(lambda found: b"\\\\" if found[1] else found[0], data.strip()[1:-1])
    return _old_text(codecs.escape_decode(data)[0])


_ACTIONS: dict[bytes, Callable[[_Machine], object]] = {
    b"\x80": lambda m: m.take(1),  # protocol
    b"\x95": lambda m: m.take(8),  # length of a frame
    b"(": _Machine.mark,
    b"}": lambda m: m.push_part({}),
    b"]": lambda m: m.push_part([]),
    b"d": _Machine.push_dict,
    b"l": lambda m: m.push_part(m.above_mark()),
    b"a": lambda m: m.append([m._stack.pop()]),
    b"e": lambda m: m.append(m.above_mark()),
    b"s": lambda m: m.set_items([m._stack.pop(-2), m._stack.pop()]),
    b"u": lambda m: m.set_items(m.above_mark()),
    b"X": lambda m: m.push(_text(m.take(m.number(4)))),
    b"\x8c": lambda m: m.push(_text(m.take(m.number(1)))),
    b"\x8d": lambda m: m.push(_text(m.take(m.number(8)))),
    b"V": lambda m: m.push(m.line(MOST_ITEM).decode("raw-unicode-escape")),
    b"U": lambda m: m.push(_old_text(m.take(m.number(1)))),
    b"T": lambda m: m.push(_old_text(m.take(m.number(4)))),
    b"S": lambda m: m.push(_quoted(m.line(MOST_ITEM))),
    b"G": _Machine.push_floats,
    b"F": lambda m: m.push(float(m.line())),
    b"K": lambda m: m.push(m.number(1)),
    b"M": lambda m: m.push(m.number(2)),
    b"J": lambda m: m.push(int.from_bytes(m.take(4), "little", signed=True)),
    b"\x8a": lambda m: m.push(int.from_bytes(m.take(m.number(1)), "little", signed=True)),
    b"I": _Machine.push_digits,
    b"L": _Machine.push_digits,
    b"\x94": _Machine.remember_next,
    b"q": lambda m: m.remember(m.number(1)),
    b"r": lambda m: m.remember(m.number(4)),
    b"p": lambda m: m.remember(int(m.line())),
    b"h": lambda m: m.recall(m.number(1)),
    b"j": lambda m: m.recall(m.number(4)),
    b"g": lambda m: m.recall(int(m.line())),
}
