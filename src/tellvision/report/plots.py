"""Plots of the report as inline SVG, drawn in this process, the same bytes for the same numbers.

Colours become variables of the page's style sheet, so that a plot is readable in the dark and in
print; its letters are the page's.
"""

import io
import re
from collections.abc import Callable, Sequence
from typing import Any

# Stand-ins that no one would choose: each is replaced by a variable of page.css.
_COLOURS = {"#010203": "var(--soft)", "#040506": "var(--line)", "#070809": "var(--accent)"}
_SOFT, _LINE, _ACCENT = _COLOURS


def loss_curve(losses: Sequence[float]) -> str:
    """The mean loss of every epoch as an `<svg>` element.

    Args:
        losses: at least one, finite.
    """

    def plot(axes: Any) -> None:
        epochs = range(1, len(losses) + 1)
        marker_size = 3.5 if len(losses) < 60 else 0
        axes.plot(epochs, losses, color=_ACCENT, linewidth=2, marker="o", markersize=marker_size)
        axes.set_xlabel("epoch", color=_SOFT)
        axes.set_xlim(0.5, len(losses) + 0.5)
        axes.set_ylim(bottom=0)
        axes.locator_params(axis="x", nbins=6, integer=True)

    label = f"Mean loss of {len(losses)} epochs, from {losses[0]:.4f} to {losses[-1]:.4f}"
    return _drawn((7.2, 2.9), label, plot)


def histogram(starts: Sequence[float], counts: Sequence[float], label: str) -> str:
    """How many there are of each value as an `<svg>` element of bars, in shares of all.

    Args:
        starts: where each bar begins, at even distances; the last one has no end.
        counts: how many lie in each, at least one in all.
        label: what is counted.
    """
    total, step = sum(counts), starts[1] - starts[0]

    def plot(axes: Any) -> None:
        left = step / 2 if step == 1 else 0.0  # whole numbers stand in the middle of their bars
        begins = [start - left for start in starts]
        axes.bar(begins, [100 * count / total for count in counts], width=step * 0.86, align="edge", color=_ACCENT)
        axes.set_xlabel(label, color=_SOFT)
        axes.set_ylabel("% of all", color=_SOFT)
        axes.set_xlim(starts[0] - left, starts[-1] + step - left)
        ticks = [start for start in starts if start % 5 == 0]
        axes.set_xticks(ticks, [f"{tick:g}{'+' if tick == starts[-1] else ''}" for tick in ticks])
        axes.locator_params(axis="y", nbins=4)

    most = max(range(len(counts)), key=lambda place: counts[place])
    return _drawn((4.8, 2.4), f"{label}: most often {starts[most]:g}, {counts[most] / total:.0%} of all", plot)


def _drawn(inches: tuple[float, float], label: str, plot: Callable[[Any], None]) -> str:
    """What `plot` draws on axes, in the looks of the page."""
    import matplotlib  # a second to import: only where something is drawn
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": "tellvision", "svg.fonttype": "none", "font.size": 11}):
        figure = Figure(figsize=inches, layout="constrained", facecolor="none")
        axes = figure.add_subplot(facecolor="none")
        plot(axes)
        axes.grid(axis="y", color=_LINE, linewidth=1)
        axes.set_axisbelow(True)
        axes.tick_params(colors=_SOFT, length=0)
        for side, spine in axes.spines.items():
            spine.set_visible(side == "bottom")
            spine.set_color(_LINE)
        drawn = io.StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        FigureCanvasSVG(figure).print_svg(drawn, metadata=nothing)
    return _inline(drawn.getvalue(), label)


def _inline(svg: str, label: str) -> str:
    svg = svg[svg.index("<svg") :]
    svg = re.sub(
        r"^<svg[^>]*viewBox=\"([^\"]*)\"[^>]*>", rf'<svg viewBox="\1" role="img" aria-label="{label}">', svg
    )
    svg = re.sub(
        r"<defs>\s*<style.*?</style>\s*</defs>", "", svg, flags=re.DOTALL
    )  # would hold for the whole page
    svg = re.sub(r"font(-\w+)?:[^;\"]*(; )?", "", svg)
    svg = re.sub(r"<g id=\"[^\"]*\"", "<g", svg)  # a page holds several plots: what is named alike is alike
    for stand_in, variable in _COLOURS.items():
        svg = svg.replace(stand_in, variable)
    return svg.strip()
