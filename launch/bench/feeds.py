"""``gmsr bench feeds``: GMSR's own feed beside a report of every change, over the packaged topologies, in virtual time.

The same seeds on both sides, so that their ratio is known better than either latency.
"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np

from gmsr.agents.policies.gmsr import Gmsr
from gmsr.topology.files import load
from gmsr.topology.graph import Topology

from .. import plan
from ..demand import at_load
from ..packaged import path as example
from ..record.intervals import half_width
from ..record.text import table
from ..world.simulate import simulate
from ..world.spread import spread

CASES: tuple[tuple[str, float | None, float, float], ...] = (
    ("llm-fleet", None, 1.0, 200.0),
    ("llm-fleet", 0.6, 1.0, 200.0),
    ("llm-fleet", 0.9, 1.0, 200.0),
    ("llm-fleet", None, 10.0, 30.0),
    ("llm-fleet-trace", None, 1.0, 36.0),
    ("hyperbolic-5x10", None, 1.0, 200.0),
    ("hyperbolic-5x10", None, 10.0, 40.0),
    ("two-regions", None, 1.0, 1000.0),
    ("n-shaped", None, 1.0, 1000.0),
    ("kinked", None, 10.0, 60.0),
    ("overloaded", None, 5.0, 60.0),
    ("overloaded-multicore", None, 5.0, 60.0),
)
"""Name, load (None: the file's), scale, emulated seconds."""
WARMUP = 0.2
SIDES = ("every-change", Gmsr.feed)


class _Run(NamedTuple):
    topology: Topology
    options: plan.Options


def measure(repeats: int) -> list[dict[str, Any]]:
    """A row a case: latency and reports of GMSR's own feed over those with every change, means over seeds."""
    cases = [(at_load(load(example(name)).topology, factor) if factor else load(example(name)).topology, scale, seconds)
             for name, factor, scale, seconds in CASES]  # fmt: skip
    runs = [
        _Run(
            topology,
            plan.Options(feed=feed, duration=seconds, warmup=WARMUP * seconds, seed=seed, scale=scale),
        )
        for topology, scale, seconds in cases
        for seed in range(1, repeats + 1)
        for feed in SIDES
    ]
    found = iter(list(spread(_costs, runs, None)))
    rows = []
    for name, factor, scale, _ in CASES:
        pairs = [(next(found), next(found)) for _ in range(repeats)]
        ratios = [own[0] / fresh[0] for fresh, own in pairs]
        rows.append(
            {
                "topology": name,
                "load": factor,
                "scale": scale,
                "latency": fmean(ratios),
                "half_ci95": half_width(np.array(ratios)) if repeats > 1 else None,
                "reports": fmean(own[1] / fresh[1] for fresh, own in pairs),
                "reports_per_job": fmean(own[1] for _, own in pairs),
                "bytes_per_job": fmean(own[2] for _, own in pairs),
                "bytes_per_job_every_change": fmean(fresh[2] for fresh, _ in pairs),
            }
        )
    return rows


def _costs(run: _Run) -> tuple[float, float, float]:
    with tempfile.TemporaryDirectory(prefix="gmsr-bench-") as folder:
        summary = simulate(run.topology, run.options, Path(folder) / "run")
    messages = summary["messages"]
    return (
        float(summary["latency"]["mean"]),
        float(messages["told_per_job"]),
        float(messages["bytes_per_job"]),
    )


def text(rows: Sequence[Mapping[str, Any]]) -> str:
    """A row a case."""
    head = ["topology", "load", "n", "latency", "reports", "reports a job", "bytes a job", "every change"]
    body = [
        [
            row["topology"],
            "" if row["load"] is None else f"{row['load']:g}",
            f"{row['scale']:g}",
            f"{row['latency']:.4f}" + ("" if row["half_ci95"] is None else f" ± {row['half_ci95']:.4f}"),
            f"{row['reports']:.3f}",
            f"{row['reports_per_job']:.3f}",
            f"{row['bytes_per_job']:.0f}",
            f"{row['bytes_per_job_every_change']:.0f}",
        ]
        for row in rows
    ]
    return "\n".join([*table(head, body), "", f"latency and reports: {SIDES[1]}, over {SIDES[0]}"])
