"""Pairing -> one page to look at: what is said below what is seen, clip by clip.

On top a time line of the whole video; below every clip a strip of stills with its words, the line's own
apart from what growing took in. The page needs nothing else: no script, no other file.
"""

import base64
import math
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from tellvision.records import Caption, Clip, InputError, Skip
from tellvision.report.markup import clock, count, document, moment, said, table
from tellvision.report.pairing import Pair, Pairing
from tellvision.report.reasons import in_words, reason, unit
from tellvision.report.strips import MOST, SIDE, Strips, moments, rate_for, strips
from tellvision.store import atomic_write

TELLS_APART = (
    "Strong is the line that the clip was cut for, pale what it grew by; stills of the line’s own time are "
    "underlined."
)
LONGEST = 1000  # letters that are shown of a line, and of what was taken in on each side
_ROW = 150.0  # seconds of a time line's row, where the video is not longer than `_ROWS` of them
_ROWS = 12
_LANES = 8  # clips over each other that a time line tells apart
_LANE = 7  # pixels


def write_html(pairing: Pairing, path: Path, start: float = 0.0, end: float | None = None) -> None:
    """Write the page to `path`, whole or not at all.

    Args:
        pairing: of one video.
        path: the file to write.
        start: seconds; clips that end before are left out.
        end: seconds; clips that begin behind are left out. None: to the end of the video.

    Raises:
        InputError: `start` and `end` are no span, or `path` cannot be written.
    """
    stop = math.inf if end is None else end
    if not (0 <= start < stop and math.isfinite(start)):
        raise InputError(
            f"from {start} to {'the end' if end is None else end} s is no span: give seconds, the first before "
            "the second"
        )
    pairs = [pair for pair in pairing.pairs if pair.clip.end >= start and pair.clip.start <= stop]
    page = _page(pairing, pairs, start, min(stop, max(pairing.end, start)))
    try:
        atomic_write(path, page.encode())
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}): name another file") from None


def _page(pairing: Pairing, pairs: Sequence[Pair], start: float, end: float) -> str:
    found, problem = _stills(pairing, [pair.clip for pair in pairs], rate_for(end - start))
    sections = [f"<section>\n<h2>Time line</h2>\n{_time_line(pairing, pairs)}</section>"] if pairing.end else []
    sections.append(f"<section>\n<h2>Clips</h2>\n{_clips(pairing, pairs, found, problem)}</section>")
    if pairing.dropped or pairing.counted:
        sections.append(f"<section>\n<h2>What was dropped</h2>\n{_left(pairing)}</section>")
    return document(
        f"{pairing.title}: what is said, and what is seen",
        header=_header(pairing),
        body="\n".join(sections),
        footer="",
        styles=("page.css", "filmstrip.css"),
        more_style=_sheets(found) if found else "",
    )


def _stills(pairing: Pairing, clips: Sequence[Clip], rate: float) -> tuple[Strips | None, str]:
    """The stills, or why there are none."""
    if not clips:
        return None, ""
    if pairing.path is None:
        return None, "No file of this video is known: what is said stands alone."
    try:
        return strips(pairing.path, clips, rate), ""
    except Skip as skip:
        return None, f"The pictures cannot be read: {skip.detail or in_words(skip.reason)}."


def _sheets(found: Strips) -> str:
    """Each sheet once: the stills point at it."""
    shape = f".strip i {{ aspect-ratio: {found.width} / {found.height}; }}\n"
    return shape + "".join(
        f".s{number} {{ background-image: url(data:image/jpeg;base64,{base64.b64encode(sheet).decode()}); }}\n"
        for number, sheet in enumerate(found.sheets)
    )


def _header(pairing: Pairing) -> str:
    name = "" if pairing.title == pairing.video_id else f"<p><code>{escape(pairing.video_id)}</code></p>\n"
    sources = " ".join(map(_badge, pairing.sources))
    odd = [f"It was left out, {pairing.left_out}."] if pairing.left_out else []
    odd += [f"{note}." for note in pairing.notes]
    told = "".join(f"<p>{escape(one)}</p>\n" for one in odd)
    return f"""<header>
<p class="kind">What is said, and what is seen</p>
<h1>{escape(pairing.title)}</h1>
<p class="lead">{pairing.said} {sources}</p>
{name}{told}</header>"""


def _badge(source: str) -> str:
    return f'<span class="badge">{escape(source)}</span>'


def _clips(pairing: Pairing, pairs: Sequence[Pair], found: Strips | None, problem: str) -> str:
    if not pairs:
        return "<p>There is no clip to show.</p>\n"
    notes = []
    if len(pairs) < len(pairing.pairs):
        notes.append(f"{count(len(pairs))} of {count(len(pairing.pairs))} clips, those of the span asked for.")
    if any(pair.before or pair.after for pair in pairs):
        notes.append(TELLS_APART)
    if found:
        notes.append(_rule(found))
    several = len(pairing.sources) > 1
    shown = "\n".join(_clip(pair, found, several) for pair in pairs)
    gone = f'<p class="lost">{escape(problem)}</p>\n' if problem else ""
    return f'<p class="note">{" ".join(notes)}</p>\n{gone}{shown}\n'


def _rule(found: Strips) -> str:
    """Why there are so many stills and no more."""
    if found.rate >= 1:
        return ""
    return (
        f"A page shows at most {count(MOST)} moments: here one every {1 / found.rate:.1f} seconds. A part of the "
        "video shows more."
    )


def _clip(pair: Pair, found: Strips | None, several: bool) -> str:
    clip, line = pair.clip, pair.line
    facts = [f"<b>{escape(pair.number)}</b>", f"{moment(clip.start)}–{moment(clip.end)}"]
    facts.append(f"{clip.end - clip.start:.1f} s")
    if line and (line.start, line.end) != (clip.start, clip.end):
        facts.append(f"its line {moment(line.start)}–{moment(line.end)}")
    if line and several:
        facts.append(_badge(line.source))
    words = f"<strong>{said(pair.own, LONGEST)}</strong>"
    words = " ".join(part for part in (said(pair.before, LONGEST), words, said(pair.after, LONGEST)) if part)
    return f"""<article class="clip" id="clip-{escape(pair.number)}">
{_strip(pair, found) if found else ""}<p class="facts">{" ".join(f"<span>{fact}</span>" for fact in facts)}</p>
<p class="words">{words}</p>
</article>"""


def _strip(pair: Pair, found: Strips) -> str:
    shown = ""
    for at in moments(pair.clip, found.rate):
        place = found.places.get(at)
        if place is None:
            continue
        sheet, place = divmod(place, SIDE * SIDE)
        y, x = divmod(place, SIDE)
        seconds = at / found.rate
        own = pair.line is not None and pair.line.start <= seconds <= pair.line.end
        kind = f"s{sheet} own" if own else f"s{sheet}"
        label = clock(seconds) if seconds == int(seconds) else moment(seconds)
        shown += f'<i class="{kind}" style="--x:{x};--y:{y}"><time>{label}</time></i>'
    if not shown:
        return '<p class="lost">The pictures have ended before.</p>\n'
    label = f"{moment(pair.clip.start)} to {moment(pair.clip.end)}"
    return f'<div class="strip" role="img" aria-label="{label}">{shown}</div>\n'


def _left(pairing: Pairing) -> str:
    """What was dropped: each line without a clip, and the numbers by reason."""
    rows = [
        (
            f"{line.number}",
            f"{moment(line.start)}–{moment(line.end)}",
            escape(" or ".join(map(in_words, reasons))),
            said(line.text, LONGEST),
        )
        for line, reasons in pairing.dropped
    ]
    texts = f'<div class="texts">{table(["line", "time", "why", "what is said"], rows)}</div>\n' if rows else ""
    numbers = [
        (reason(name), unit(stage, name), count(number))
        for stage, reasons in pairing.counted.items()
        for name, number in reasons.items()
    ]
    return texts + (table(["reason", "what", "how many"], numbers) if numbers else "")


def _time_line(pairing: Pairing, pairs: Sequence[Pair]) -> str:
    """Rows of equal length: the lines, below them the clips in lanes, through both the cuts."""
    rows = min(_ROWS, math.ceil(pairing.end / _ROW))
    seconds = pairing.end / rows
    shown = {pair.clip.clip_id for pair in pairs}
    lanes = list(_lanes([pair.clip for pair in pairing.pairs]))
    num_lanes = max(lanes, default=-1) + 1
    height = (num_lanes + 2) * _LANE
    drawn = ""
    for row in range(rows):
        begin = row * seconds
        bars = "".join(_line_bar(line, begin, seconds) for line in pairing.lines)
        for pair, lane in zip(pairing.pairs, lanes, strict=True):
            bars += _clip_bar(pair, lane, begin, seconds, linked=pair.clip.clip_id in shown)
        for cut in pairing.cuts:
            if begin <= cut < begin + seconds:
                x = f"{(cut - begin) / seconds * 1000:.2f}"
                bars += f'<line class="cut" x1="{x}" x2="{x}" y1="0" y2="{height}"/>'
        drawn += (
            f'<div class="row"><time>{clock(begin)}</time><svg viewBox="0 0 1000 {height}" '
            f'preserveAspectRatio="none" style="height:{height}px" aria-hidden="true">{bars}</svg></div>\n'
        )
    cuts = '<li><i class="cuts"></i>cuts</li>' if pairing.cuts else ""
    legend = f'<li><i class="lines"></i>lines</li><li><i class="clips"></i>clips</li>{cuts}'
    return f'<div class="time-line">\n{drawn}</div>\n<ul class="legend">{legend}</ul>\n'


def _lanes(clips: Sequence[Clip]) -> Iterator[int]:
    """The first lane that is free for each clip, sorted by start; the one free first where none is."""
    free: list[float] = []
    for clip in clips:
        lane = next((lane for lane, end in enumerate(free) if end <= clip.start), None)
        if lane is None:
            if len(free) < _LANES:
                free.append(0.0)
                lane = len(free) - 1
            else:
                lane = free.index(min(free))
        free[lane] = clip.end
        yield lane


def _bar(start: float, end: float, begin: float, seconds: float, y: int, kind: str) -> str:
    """A bar of a row; none where it lies outside."""
    left, right = max(start - begin, 0.0), min(end - begin, seconds)
    if right <= 0 or left >= seconds:
        return ""
    x, width = left / seconds * 1000, max(right - left, 0.0) / seconds * 1000
    return f'<rect class="{kind}" x="{x:.2f}" y="{y}" width="{max(width, 0.5):.2f}" height="{_LANE}"/>'


def _line_bar(line: Caption, begin: float, seconds: float) -> str:
    return _bar(line.start, line.end, begin, seconds, 0, "said")


def _clip_bar(pair: Pair, lane: int, begin: float, seconds: float, *, linked: bool) -> str:
    clip = pair.clip
    bar = _bar(clip.start, clip.end, begin, seconds, (lane + 2) * _LANE - _LANE // 2, "shown")
    if not bar or not linked:
        return bar
    return f'<a href="#clip-{escape(pair.number)}">{bar}</a>'
