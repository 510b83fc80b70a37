"""``gmsr bench smoothing``: which window a server with a kinked curve should smooth its marginal over.

Real runs of GMSR on the packaged LLM fleet at two loads and on the kinked example at two scales, with all
servers' windows set to a share of their curve's last kink: the figures behind the default.
"""

import tempfile
from pathlib import Path
from typing import Any

from gmsr.topology.files import load
from gmsr.topology.generate import with_rates

from .. import packaged, plan
from ..demand import smoothed
from ..record.text import table
from ..run import run
from ..show.progress import Progress

WINDOWS = (0.0, 0.02, 0.05, 0.1, 0.25)
CASES = (("llm-fleet", 0.75, 1.0, 16.0), ("llm-fleet", 1.0, 1.0, 16.0), ("kinked", 1.0, 10.0, 16.0),
         ("kinked", 1.0, 100.0, 4.0))  # fmt: skip
"""Example, factor of its rates, scale, pace."""
WARMUP_SHARE = 0.25


def measure(seconds: float) -> list[dict[str, Any]]:
    """A row for each window: measured mean latency over the optimum, by case; ``seconds`` real a run."""
    rows = []
    for window in WINDOWS:
        row: dict[str, Any] = {"window": window}
        for name, factor, scale, pace in CASES:
            topology = smoothed(with_rates(load(packaged.path(name)).topology, factor), window)
            duration = seconds * pace
            options = plan.Options("gmsr", "every-change", duration, WARMUP_SHARE * duration, 1, scale, pace)
            with tempfile.TemporaryDirectory(prefix="gmsr-bench-") as folder:
                shown = Progress(label=f"window {window:g}, {name}")
                row[label(name, factor, scale)] = run(topology, options, Path(folder) / "run", shown)["ratio"]
        rows.append(row)
    return rows


def label(name: str, factor: float, scale: float) -> str:
    """A column's head."""
    return f"{name}, {factor:g} of its load" if scale == 1.0 else f"{name}, n = {scale:g}"


def text(rows: list[dict[str, Any]]) -> str:
    """A table of ratios to the optimum."""
    heads = [name for name in rows[0] if name != "window"]
    shown = [
        [f"{row['window']:.0%} of the last kink", *(f"{row[name]:.3f}" for name in heads)] for row in rows
    ]
    return "\n".join(table(["window", *heads], shown))
