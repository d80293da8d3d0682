"""YouTube's automatic WebVTT -> Cues, all lines at once: the short way round `blocks` and `rolling`.

YouTube writes every line in eight rows; behind the last line five of them, or one, are left out:

    00:00:04.160 --> 00:00:07.909 align:start position:0%
    as a man                                                 the line before, or a blank
    thinketh<00:00:05.279><c> by</c>                         the line, each further word with its time

    00:00:07.909 --> 00:00:07.919 align:start position:0%
    thinketh by                                              the line alone, or a blank
                                                             a blank

So the rows of a kind are sliced out of a file and looked at together. A file that departs from this in
the least is left to the long way; of the others both make the same Cues.
"""

from itertools import accumulate, pairwise

import numpy as np

from tellvision.corpus.subtitles.blocks import ARROW, MOST_CUES, unescaped
from tellvision.records import Cue, Word

_ROWS = 8  # that a line takes
_TIMING = "##:##:##.### --> ##:##:##.### align:start position:0%"
_STAMP = "##:##:##.###> "  # behind its <
_MS = np.array([36_000_000, 3_600_000, 600_000, 60_000, 10_000, 1_000, 100, 10, 1], np.int64)  # of each digit


def cues_of(text: str) -> list[Cue] | None:
    """The Cues of a file in YouTube's form, as `rolling.cues_of` gives them; None for a file in another.

    Args:
        text: the decoded file.
    """
    rows = text.rstrip("\n").split("\n")
    first = rows.index("") + 1 if "" in rows else len(rows)
    header, rows = rows[:first], rows[first:]
    if len(rows) % _ROWS not in (3, 7) or len(rows) // 4 >= MOST_CUES or ARROW in "".join(header):
        return None
    above, alone = rows[1::_ROWS], rows[5::_ROWS]
    if any(rows[3::4]) or rows[6::_ROWS].count(" ") < len(alone):
        return None
    if any(row not in (" ", before) for row, before in zip(above, [" ", *alone], strict=False)):
        return None
    spans = _seconds(rows[::4], _TIMING)
    found = _words_of(rows[2::_ROWS], rows[::_ROWS])
    shown = _plain([*alone, " "])
    if spans is None or found is None or shown is None or (spans[:, 1] < spans[:, 0]).any():
        return None
    words, times, edges = found
    starts, ends = spans[::2].T.tolist()
    limits = [*starts[1:], max(ends)]  # a line ends where the next begins
    if [times[edge] for edge in edges[:-1]] != starts or times != sorted(times) or times[-1] > limits[-1]:
        return None
    timed = tuple(map(Word, times, words))
    cues = []
    for (a, b), end, limit, again in zip(pairwise(edges), ends, limits, shown, strict=False):
        line = " ".join(words[a:b])
        if again not in (line, " ") and again.split() != words[a:b]:
            return None
        cues.append(Cue(times[a], max(times[b - 1], min(end, limit)), line, timed[a:b]))
    return cues


def _words_of(lines: list[str], timings: list[str]) -> tuple[list[str], list[float], list[int]] | None:
    """The words of all lines, their times in seconds, and the place of each line's first word, and of the end.

    None where a line holds no word, or anything but words and times, or where none holds a time.
    """
    lines = "\n".join(lines).replace("<c>", "").replace("</c>", "").split("\n")
    # With the time of its first word before it, a line is times and words in turn.
    marked = "".join([f"<{timing[:12]}> {line}" for timing, line in zip(timings, lines, strict=True)])
    pieces = marked.split("<")[1:]
    times, words = _seconds(pieces, _STAMP), _plain([piece[len(_STAMP) :] for piece in pieces])
    if times is None or words is None or len(pieces) == len(lines):
        return None
    edges = [0, *accumulate([line.count("<") + 1 for line in lines])]
    if " ".join(words).split() != words:  # a piece may hold several, or none
        parts = [piece.split() for piece in words]
        sizes = [len(part) for part in parts]
        before = [0, *accumulate(sizes)]
        words, times = [word for part in parts for word in part], times.repeat(sizes, axis=0)
        edges = [before[edge] for edge in edges]
        if any(a == b for a, b in pairwise(edges)):
            return None
    return words, times[:, 0].tolist(), edges


def _plain(rows: list[str]) -> list[str] | None:
    """The rows without character references; None where there is other markup."""
    text = "\n".join(rows)
    if "<" in text or ">" in text or "{" in text:
        return None
    plain = unescaped(text).split("\n")
    return plain if len(plain) == len(rows) else None  # a reference may be a line end


def _seconds(rows: list[str], shape: str) -> np.ndarray | None:
    """The times in rows that begin as `shape` does, with digits for `#`; None where one does not.

    Returns:
        (rows, times in each) float64 seconds.
    """
    text = "".join([row[: len(shape)] for row in rows])
    if len(text) != len(rows) * len(shape) or not text.isascii():
        return None
    letters, wanted = np.frombuffer(text.encode(), np.uint8), np.frombuffer(shape.encode(), np.uint8)
    letters = letters.reshape(len(rows), len(shape))
    is_digit = wanted == ord("#")
    digits = letters[:, is_digit] - ord("0")  # what stands before 0 comes out large
    if (digits > 9).any() or (letters[:, ~is_digit] != wanted[~is_digit]).any():
        return None
    return digits.reshape(len(rows), -1, len(_MS)) @ _MS / 1000
