"""Text of an XML subtitle file -> its paragraphs: what the XML formats share.

YouTube's forms and TTML alike are paragraphs with times, whose text may stand in spans
with times of their own. Read with the standard library's expat, event by event: time is
linear and memory that of the paragraphs. Nothing outside the file is touched: a document
type, the only door to entities and other files, is refused, and references such as
`&nbsp;` are resolved as HTML's, so that a stray `&` harms nothing. A file that breaks off
gives the paragraphs before the break.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from tellvision.corpus.subtitles import blocks
from tellvision.records import Skip

MOST_DEPTH = 16
"""Elements within elements; real files have five or six. Every text is held with those around it."""

MOST_ELEMENTS = 2_000_000
"""A day of speech with an element per word and line has 300,000."""

_CHUNK = 1 << 18
_HEAD = 4096
_BROKEN_OFF = frozenset({expat.errors.codes[name] for name in (
    expat.errors.XML_ERROR_NO_ELEMENTS, expat.errors.XML_ERROR_UNCLOSED_TOKEN,
    expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION, expat.errors.XML_ERROR_PARTIAL_CHAR,
)})  # fmt: skip
_NO_XML = re.compile("[\x0b\x0c\x1c-\x1f\ufffe\uffff]")
_COMMENT = re.compile("<!--.*?-->", re.DOTALL)
_ROOT = re.compile(r"<(?![?!])(?:[\w.-]{1,40}:)?([\w.-]{1,40})")

Attributes = dict[str, str]


@dataclass(slots=True)
class Element:
    """An element's name and attributes, all without their namespace's prefix."""

    name: str
    attributes: Attributes


@dataclass(slots=True)
class Paragraph:
    """A paragraph: the elements around it, outermost first, its own attributes, its text.

    Each of `pieces` is the attributes of the spans around a text, outermost first, those
    without any left out, and the text, where a line break is a `\\n`.
    """

    around: tuple[Element, ...]
    attributes: Attributes
    pieces: list[tuple[tuple[Attributes, ...], str]] = field(default_factory=list)


def root_of(text: str) -> str:
    """The name of the first element in the beginning of a text, without prefix; empty where there is none."""
    found = _ROOT.search(_COMMENT.sub("", text[:_HEAD]))
    return found[1] if found else ""


def paragraphs(text: str, *, roots: frozenset[str], names: frozenset[str]) -> Iterator[Paragraph]:
    """The elements with one of `names`, in the order of the file.

    Args:
        text: the decoded file.
        roots: what the outermost element may be called.
        names: what a paragraph may be called; within one they count as spans.

    Raises:
        Skip: `unreadable_subtitles`: another root, a document type, deeper than
            `MOST_DEPTH`, more than `MOST_ELEMENTS`, or broken anywhere but at the end.
    """
    reader = _Reader(roots, names)
    # References are left to `html`: expat knows five of them and would stop at the others.
    text = _NO_XML.sub(" ", text.lstrip().replace("&", "&amp;"))
    try:
        for at in range(0, len(text), _CHUNK):
            reader.parser.Parse(text[at : at + _CHUNK])
            yield from reader.taken()
        reader.parser.Parse("", True)
    except expat.ExpatError as error:
        if error.code not in _BROKEN_OFF or not reader.root_seen:
            raise Skip("unreadable_subtitles", f"no XML: {error}") from error
    yield from reader.taken()


class _Reader:
    """Collects paragraphs from expat's events."""

    def __init__(self, roots: frozenset[str], names: frozenset[str]) -> None:
        self.roots, self.names = roots, names
        self.root_seen = False
        self._num_elements = 0
        self._open: list[Element] = []
        self._depth = 0  # of the open paragraph; 0: none is open
        self._around: list[tuple[Attributes, ...]] = []  # of its text, and of that of each span open in it
        self._paragraph = Paragraph((), {})
        self._text: list[str] = []
        self._closed: list[Paragraph] = []
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.StartDoctypeDeclHandler = self._refuse

    def taken(self) -> list[Paragraph]:
        """The paragraphs closed since the last call."""
        closed, self._closed = self._closed, []
        return closed

    def _refuse(self, *_: object) -> None:
        raise Skip("unreadable_subtitles", "XML with a document type")

    def _start(self, name: str, attributes: Attributes) -> None:
        if ":" in name:
            name = name.rpartition(":")[2]
        if not self.root_seen:
            if name not in self.roots:
                raise Skip("unreadable_subtitles", f"XML that begins with <{name[:40]}>")
            self.root_seen = True
        self._num_elements += 1
        if len(self._open) >= MOST_DEPTH or self._num_elements > MOST_ELEMENTS:
            raise Skip(
                "unreadable_subtitles", f"XML deeper than {MOST_DEPTH} elements, or more than {MOST_ELEMENTS}"
            )
        if attributes:
            attributes = {key.rpartition(":")[2]: value for key, value in attributes.items()}
        if self._depth:
            self._take_text()
            if name == "br":
                self._text.append("\n")
            self._around.append((*self._around[-1], attributes) if attributes else self._around[-1])
        elif name in self.names and not (len(self._open) > 1 and self._open[1].name == "head"):
            self._paragraph = Paragraph(tuple(self._open), attributes)
            self._depth = len(self._open) + 1
            self._around = [()]
            self.parser.CharacterDataHandler = self._text.append
        self._open.append(Element(name, attributes))

    def _end(self, _: str) -> None:
        if self._depth:
            self._take_text()
            self._around.pop()
            if len(self._open) == self._depth:
                self._closed.append(self._paragraph)
                self._depth = 0
                self.parser.CharacterDataHandler = None
        self._open.pop()

    def _take_text(self) -> None:
        if self._text:
            text = blocks.unescaped("".join(self._text))
            self._paragraph.pieces.append((self._around[-1], text))
            self._text.clear()
