"""Pictures of ``gmsr slotted``: paths by scale around the fluid limit, and their distance to it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .figure import panels, save
from .palette import COLOURS


def draw(found: Mapping[str, Any], out: Path) -> None:
    """Draw what ``launch.theory.slotted.approach`` found."""
    figure, (left, right) = panels(2)
    _paths(left, found)
    _distances(right, found)
    figure.suptitle(f"{found['policy']}: the slotted model approaches the fluid limit", fontsize=11)
    save(figure, out)


def _paths(axes: Any, found: Mapping[str, Any]) -> None:
    for index, (scale, each) in enumerate(found["scales"].items()):
        axes.plot(
            each["t"],
            each["total"],
            color=COLOURS[(index + 1) % len(COLOURS)],
            linewidth=0.9,
            label=f"n = {scale}",
        )
    limit = found["fluid"]
    axes.plot(limit["t"], limit["total"], color="black", linewidth=1.6, label="fluid limit")
    axes.set_ylim(bottom=0.0)
    axes.set_xlabel("time in s")
    axes.set_ylabel("workload ΣN")
    axes.set_title("one path at each scale", fontsize=10)
    axes.legend(fontsize=8, frameon=False)


def _distances(axes: Any, found: Mapping[str, Any]) -> None:
    scales = np.array([float(scale) for scale in found["scales"]])
    distances = np.array([each["distance"] for each in found["scales"].values()])
    axes.loglog(scales, distances, "o-", color=COLOURS[0], label="largest distance of a server's N")
    axes.loglog(
        scales,
        distances[-1] * np.sqrt(scales[-1] / scales),
        color="black",
        linewidth=0.8,
        linestyle="--",
        label="n^(−1/2)",
    )
    axes.set_xlabel("scale n")
    axes.set_ylabel("distance to the fluid path")
    axes.set_title("sup over time, mean of all repeats", fontsize=10)
    axes.legend(fontsize=8, frameon=False)
