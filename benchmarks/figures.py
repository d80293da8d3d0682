"""How a benchmark measures and what it reports: ratios of one run, with the machine they hold for.

A speed alone says more about the machine, and about who else is on it, than about the code. So a figure
is a ratio to a stated baseline: both are measured in turn, round by round, the ratio is taken within each
round, and the median of the rounds is the figure.
"""

import json
import os
import platform
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One ratio.

    Attributes:
        name: stable, `benchmark.case.what`.
        value: median of the rounds.
        low: of the rounds.
        high: of the rounds.
        unit: what the ratio is of.
        baseline: what it is measured against, in words.
        budget: at least this much is wanted; None where no budget is set.
    """

    name: str
    value: float
    low: float
    high: float
    unit: str
    baseline: str
    budget: float | None = None


def figure(
    name: str,
    rates: list[float],
    baseline_rates: list[float],
    unit: str,
    baseline: str,
    budget: float | None = None,
) -> Figure:
    """The figure of rates measured round by round beside those of the baseline, in the same order."""
    ratios = [rate / base for rate, base in zip(rates, baseline_rates, strict=True)]
    value, low, high = statistics.median(ratios), min(ratios), max(ratios)
    return Figure(name=name, value=value, low=low, high=high, unit=unit, baseline=baseline, budget=budget)


@dataclass(frozen=True, kw_only=True)
class Report:
    """What one case of a benchmark found.

    Attributes:
        title: what was measured on what.
        rates: name -> (a rate per round, its unit).
        figures: the ratios.
        notes: further lines for a reader.
    """

    title: str
    rates: Mapping[str, tuple[list[float], str]]
    figures: tuple[Figure, ...]
    notes: tuple[str, ...] = ()


def interleaved(measures: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Call every measure once per round, in turn, after a call of each that does not count."""
    for measure in measures.values():
        measure()
    found: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            found[name].append(measure())
    return found


def table(report: Report) -> str:
    """The report for a reader: median speeds, then the ratios with the range of the rounds."""
    lines = [report.title]
    for name, (rates, unit) in report.rates.items():
        lines.append(f"  {name:<52}{statistics.median(rates):>12,.1f} {unit}")
    for found in report.figures:
        ratio = f"{found.value:>12.3g} {found.unit} ({found.low:.3g} to {found.high:.3g})"
        lines.append(f"  {found.name:<52}{ratio}{_verdict(found)}")
        lines.append(f"    against {found.baseline}")
    lines += [f"  {note}" for note in report.notes]
    return "\n".join(lines)


def _verdict(found: Figure) -> str:
    if found.budget is None:
        return ""
    return f", budget {found.budget:g}: {'kept' if found.value >= found.budget else 'MISSED'}"


def json_lines(report: Report) -> list[str]:
    """One JSON object per figure."""
    where = machine()
    return [
        json.dumps(
            {
                "name": f.name,
                "value": float(f"{f.value:.4g}"),
                "unit": f.unit,
                "baseline": f.baseline,
                "machine": where,
            }
        )
        for f in report.figures
    ]


def machine() -> dict[str, Any]:
    """What the figures hold for."""
    return {
        "cpu": _cpu(),
        "cores": cores(),
        "torch_threads": torch.get_num_threads(),
        "bf16": bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
    }


def cores() -> int:
    """Cores of the machine."""
    return os.cpu_count() or 1


def _cpu() -> str:
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        for line in listing.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
