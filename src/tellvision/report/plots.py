"""Plots of the report as inline SVG, drawn in this process, the same bytes for the same numbers.

Colours become variables of the page's style sheet, so that a plot is readable in the dark and in
print; its letters are the page's.
"""

import io
import re
from collections.abc import Sequence

# Stand-ins that no one would choose: each is replaced by a variable of page.css.
_COLOURS = {"#010203": "var(--soft)", "#040506": "var(--line)", "#070809": "var(--accent)"}
_SOFT, _LINE, _ACCENT = _COLOURS


def loss_curve(losses: Sequence[float]) -> str:
    """The mean loss of every epoch as an `<svg>` element.

    Args:
        losses: at least one, finite.
    """
    import matplotlib  # a second to import: only where something is drawn
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    epochs = range(1, len(losses) + 1)
    with matplotlib.rc_context({"svg.hashsalt": "tellvision", "svg.fonttype": "none", "font.size": 11}):
        figure = Figure(figsize=(7.2, 2.9), layout="constrained", facecolor="none")
        axes = figure.add_subplot(facecolor="none")
        axes.plot(
            epochs, losses, color=_ACCENT, linewidth=2, marker="o", markersize=3.5 if len(losses) < 60 else 0
        )
        axes.set_xlabel("epoch", color=_SOFT)
        axes.set_xlim(0.5, len(losses) + 0.5)
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.grid(axis="y", color=_LINE, linewidth=1)
        axes.set_axisbelow(True)
        axes.tick_params(colors=_SOFT, length=0)
        for side, spine in axes.spines.items():
            spine.set_visible(side == "bottom")
            spine.set_color(_LINE)
        drawn = io.StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        FigureCanvasSVG(figure).print_svg(drawn, metadata=nothing)
    return _inline(
        drawn.getvalue(), f"Mean loss of {len(losses)} epochs, from {losses[0]:.4f} to {losses[-1]:.4f}"
    )


def _inline(svg: str, label: str) -> str:
    svg = svg[svg.index("<svg") :]
    svg = re.sub(
        r"^<svg[^>]*viewBox=\"([^\"]*)\"[^>]*>", rf'<svg viewBox="\1" role="img" aria-label="{label}">', svg
    )
    svg = re.sub(
        r"<defs>\s*<style.*?</style>\s*</defs>", "", svg, flags=re.DOTALL
    )  # would hold for the whole page
    svg = re.sub(r"font(-\w+)?:[^;\"]*(; )?", "", svg)
    for stand_in, variable in _COLOURS.items():
        svg = svg.replace(stand_in, variable)
    return svg.strip()
