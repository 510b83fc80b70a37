"""``gmsr bench herding``: mean latency over the optimum against the age of views, under virtual time.

Servers report every T seconds, staggered. Where many dispatchers act on the same old report they all send to the one
server that was best: the herd. What damps it: correcting a view for one's own jobs (helps few dispatchers), and
``gmsr-damped``.
"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np

from gmsr.topology.files import load
from gmsr.topology.graph import Topology

from .. import plan
from ..overhead import multiplied
from ..packaged import path as example
from ..record.intervals import half_width
from ..record.text import table
from ..world.simulate import simulate
from ..world.spread import spread

PERIODS_S = (0.01, 0.1, 0.5, 1.0, 2.0, 5.0)
ENTRANTS = (
    ("gmsr", ""), ("gmsr", ",correct=yes"), ("gmsr-damped", ""), ("p2c", ""), ("p2c", ",correct=yes"),
    ("p2c:beta=0.7", ""),
)  # fmt: skip
CROWDS = (1, 10)
"""Each of the demo's four dispatchers as so many, of a part of its rate."""
WARMUP_S = 30.0


class _Run(NamedTuple):
    topology: Topology
    policy: str
    feed: str
    duration: float
    seed: int


def measure(seconds: float, repeats: int) -> list[dict[str, Any]]:
    """A row for each crowd, policy and feed: by T the mean latency over the optimum, and half its 95 % interval."""
    fleet = load(example("llm-fleet")).topology
    rows = []
    for crowd in CROWDS:
        topology = multiplied(fleet, dispatchers=crowd)
        for policy, correction in ENTRANTS:
            runs = [
                _Run(topology, policy, f"periodic:every={period:g}{correction}", seconds, seed)
                for period in PERIODS_S
                for seed in range(1, repeats + 1)
            ]
            ratios = list(spread(_ratio, runs, None))
            found = [ratios[at : at + repeats] for at in range(0, len(ratios), repeats)]
            rows.append(
                {
                    "dispatchers": len(topology.dispatchers),
                    "policy": policy + (" corrected" if correction else ""),
                    "ratios": dict(zip(map(str, PERIODS_S), map(fmean, found), strict=True)),
                    "half_ci95": dict(zip(map(str, PERIODS_S), map(_half, found), strict=True)),
                }
            )
    return rows


def _ratio(run: _Run) -> float:
    options = plan.Options(
        policy=run.policy, feed=run.feed, duration=run.duration + WARMUP_S, warmup=WARMUP_S, seed=run.seed
    )
    with tempfile.TemporaryDirectory(prefix="gmsr-bench-") as folder:
        return float(simulate(run.topology, options, Path(folder) / "run")["ratio"])


def _half(values: Sequence[float]) -> float | None:
    return half_width(np.array(values)) if len(values) > 1 else None


def text(rows: Sequence[Mapping[str, Any]]) -> str:
    """A row an entrant, a column a period."""
    head = ["dispatchers", "reports every", *(f"{period:g} s" for period in PERIODS_S)]
    body = [
        [
            str(row["dispatchers"]),
            row["policy"],
            *(_shown(row["ratios"][str(period)], row["half_ci95"][str(period)]) for period in PERIODS_S),
        ]
        for row in rows
    ]
    return "\n".join([*table(head, body), "", "mean latency over the optimum; llm-fleet at load 0.8, n = 1"])


def _shown(ratio: float, half: float | None) -> str:
    return f"{ratio:.3f}" if half is None else f"{ratio:.3f} ± {half:.3f}"
