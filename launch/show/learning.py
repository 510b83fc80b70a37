"""Picture of ``gmsr bench learning``: latency with learned curves over that with true ones, by time."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .figure import panels, save
from .palette import COLOURS


def draw(found: Mapping[str, Any], out: Path) -> None:
    """Draw what ``launch.bench.learning`` found."""
    figure, (axes,) = panels(1, width=6.5)
    rows = found["slices"]
    edges = [rows[0]["from_s"], *(row["until_s"] for row in rows)]
    for name, label, colour in (
        ("jsq", "jsq, no curves", COLOURS[1]),
        ("learned", "gmsr, learned curves", COLOURS[0]),
    ):
        ratios = [row[name] for row in rows]
        axes.stairs(ratios, edges, baseline=None, color=colour, label=label)
        halves = [row[f"{name}_half"] or 0.0 for row in rows]
        low = [ratio - half for ratio, half in zip(ratios, halves, strict=True)]
        high = [ratio + half for ratio, half in zip(ratios, halves, strict=True)]
        axes.stairs(high, edges, baseline=low, fill=True, color=colour, alpha=0.2)
    axes.axhline(1.0, color="black", linewidth=0.8)
    for phase in found["as_good_after_s"]:
        begin = next(row["from_s"] for row in rows if row["phase"] == phase)
        axes.axvline(begin, color="grey", linewidth=0.8, linestyle=":")
        axes.text(begin, axes.get_ylim()[1], f" {phase}", va="top", fontsize=7)
    axes.set_xlabel("emulated seconds")
    axes.set_ylabel("mean latency over that with true curves")
    axes.legend(fontsize=7, frameon=False, loc="center right")
    save(figure, out)
