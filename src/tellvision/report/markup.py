"""Pieces of HTML, and numbers as a reader wants them.

What these functions take as `str` is HTML already, unless they say that they escape it.
"""

from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from textwrap import shorten

from tellvision.report.pictures import Still

LONGEST = 300  # letters of a caption


def document(
    title: str,
    *,
    header: str,
    body: str,
    footer: str,
    styles: Sequence[str] = ("page.css",),
    more_style: str = "",
    made_from: str = "",
) -> str:
    """A whole page that fetches nothing.

    Args:
        title: plain text.
        header: on top.
        body: inside `<main>`.
        footer: below; empty for none.
        styles: style sheets of this room.
        more_style: CSS behind them.
        made_from: names the artefacts it was made from; kept at its very beginning.
    """
    style = "".join(files(__package__).joinpath(name).read_text(encoding="utf-8") for name in styles)
    made = f'<meta name="tellvision-made-from" content="{escape(made_from)}">\n' if made_from else ""
    below = f"<footer>{footer}</footer>\n" if footer else ""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
{made}<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>
{style}{more_style}</style>
</head>
<body>
{header}
<main>
{body}
</main>
{below}</body>
</html>
"""


def said(text: str, longest: int = LONGEST) -> str:
    """What is said, escaped; a line without end is cut."""
    return escape(shorten(text[: 4 * longest], longest, placeholder=" …"))


def table(head: Iterable[str], rows: Iterable[tuple[str, ...]], chosen: int | None = None) -> str:
    """A table; the first cell of a row names it, row number `chosen` stands out."""
    lines = []
    for place, row in enumerate(rows):
        name = f'<th scope="row">{row[0]}</th>'
        cells = "".join(f"<td>{cell}</td>" for cell in row[1:])
        lines.append(f'<tr class="chosen">{name}{cells}</tr>' if place == chosen else f"<tr>{name}{cells}</tr>")
    columns = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    body = "\n".join(lines)
    return f'<div class="wide"><table><thead><tr>{columns}</tr></thead><tbody>\n{body}\n</tbody></table></div>'


def figure(still: Still, kind: str = "", mark: str = "") -> str:
    """A clip's picture with what is said in it; `mark` stands on it, `kind` is its class."""
    picture = '<span class="gone">the picture can no longer be read</span>'
    if still.picture:
        picture = f'<img src="{still.picture}" alt="">'
    badge = f"<b>{mark}</b>" if mark else ""
    return (
        f'<figure class="{kind}"><div class="shot">{picture}{badge}<time>{clock(still.start)}</time></div>'
        f"<figcaption>{said(still.text)}<cite>{escape(still.title)}</cite></figcaption></figure>"
    )


def bar(part: float) -> str:
    """A share, 0..1, as a length."""
    return f'<span class="bar"><i style="width:{part:.1%}"></i></span>'


def count(number: float) -> str:
    """1,234."""
    return f"{number:,.0f}"


def videos(number: int) -> str:
    """1 video, 1,234 videos."""
    return f"{count(number)} video{'' if number == 1 else 's'}"


def hours(number: float | None) -> str:
    """0.66, 6.6, 666: as many digits as mean something, or a dash for what is not known."""
    if number is None:
        return "–"
    return count(number) if number >= 100 else f"{number:.1f}" if number >= 1 else f"{number:.2f}"


def mean(number: float | None) -> str:
    """2.1, 110, or a dash for what is not known."""
    return "–" if number is None else count(number) if number >= 100 else f"{number:.1f}"


def rank(number: float) -> str:
    """17, or 17.5 where two ranks were averaged."""
    return f"{number:,.1f}".removesuffix(".0")


def share(part: float) -> str:
    """33.0%."""
    return f"{part:.1%}"


def clock(seconds: float) -> str:
    """1:05, or 1:00:05 from an hour on."""
    minutes, rest = divmod(int(seconds), 60)
    whole, minutes = divmod(minutes, 60)
    return f"{whole}:{minutes:02d}:{rest:02d}" if whole else f"{minutes}:{rest:02d}"


def moment(seconds: float) -> str:
    """1:05.4: with tenths, where clips of a few seconds are told apart."""
    tenths = round(seconds * 10)
    return f"{clock(tenths / 10)}.{tenths % 10}"
