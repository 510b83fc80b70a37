"""``gmsr bench chains``: one real server under Poisson load against the exact birth-death chain.

Twelve pairs of one dispatcher and one server, six curve kinds at two loads each, in one testbed: a
disconnected graph whose parts do not know of each other. For each law of job sizes the time average of the
number in system and the mean latency are set beside the chain's, which does not depend on that law.
"""

import tempfile
from collections.abc import Callable
from math import sqrt
from pathlib import Path
from typing import Any

from gmsr.topology import curves
from gmsr.topology.graph import Dispatcher, Edge, Server, Sizes, Topology
from gmsr.topology.theory.chains import chain

from .. import plan
from ..record.text import table
from ..run import run
from ..show.progress import Progress

SCALE = 10.0
PACE = 4.0
PARETO_RATIO = 50.0
"""Largest over smallest size of the bounded Pareto: wider, and time averages take hours to settle."""
SIZES = ("exponential", "deterministic", "bounded-pareto")
CASES: list[tuple[curves.Curve, tuple[float, float]]] = [
    (curves.Hyperbolic(25.0, 5.0), (12.5, 17.5)),
    (curves.Exponential(25.0, 8.0), (12.5, 20.0)),
    (curves.Multicore(1.25, 20), (12.5, 20.0)),
    (curves.Power(5.0, 0.5), (12.0, 20.0)),
    (curves.Logarithmic(8.0, 1.0), (12.0, 20.0)),
    (curves.Table([[1, 3], [4, 10], [16, 22], [32, 26]]), (13.0, 20.0)),
]
"""Curve, and jobs per second at scale 1: at about half load, and at about 0.8."""


def measure(minutes: float, seed: int = 1) -> list[dict[str, Any]]:
    """A row for each curve, load and law of sizes, with relative errors; ``minutes`` real a law."""
    rows: list[dict[str, Any]] = []
    for kind in SIZES:
        topology = pairs(Sizes(kind, ratio=PARETO_RATIO))
        duration = minutes * 60.0 * PACE
        options = plan.Options("random", "every-change", duration, 0.1 * duration, seed, SCALE, PACE)
        with tempfile.TemporaryDirectory(prefix="gmsr-bench-") as folder:
            summary = run(topology, options, Path(folder) / "run", Progress(label=kind))
        rows += compare(topology, kind, summary)
    return rows


def pairs(sizes: Sizes) -> Topology:
    """The twelve pairs."""
    flat = [(curve, rate) for curve, rates in CASES for rate in rates]
    return Topology(
        "pairs",
        tuple(Dispatcher(f"d{index}", rate) for index, (_, rate) in enumerate(flat)),
        tuple(Server(f"s{index}", curve) for index, (curve, _) in enumerate(flat)),
        tuple(Edge(f"d{index}", f"s{index}") for index in range(len(flat))),
        scale=SCALE,
        sizes=sizes,
    )


def compare(topology: Topology, kind: str, summary: dict[str, Any]) -> list[dict[str, Any]]:
    """Measured against exact, a row a pair. ``error_se`` is the standard error to expect of exponential sizes."""
    span = summary["duration"] - summary["warmup"]
    rows = []
    for dispatcher, server in zip(topology.dispatchers, topology.servers, strict=True):
        exact = chain(server.curve, dispatcher.rate * topology.scale, topology.scale)
        jobs = summary["workload"]["by_server"][server.id] * topology.scale
        latency = summary["by_dispatcher"][dispatcher.id]["latency"]["mean"]
        rows.append(
            {
                "curve": server.curve.kind,
                "rate": dispatcher.rate,
                "sizes": kind,
                "jobs": jobs,
                "jobs_exact": exact.jobs,
                "jobs_error": jobs / exact.jobs - 1.0,
                "latency": latency,
                "latency_exact": exact.latency,
                "latency_error": latency / exact.latency - 1.0,
                "error_se": sqrt(exact.asymptotic_variance / span) / exact.jobs,
                "valid": summary["valid"],
            }
        )
    return rows


def text(rows: list[dict[str, Any]]) -> str:
    """A table, and the largest errors."""
    shown = [
        [
            f"{row['curve']} at {row['rate']:g}", row["sizes"],
            f"{row['jobs']:.2f}", f"{row['jobs_exact']:.2f}", f"{row['jobs_error']:+.2%}",
            f"{row['latency']:.4f}", f"{row['latency_exact']:.4f}", f"{row['latency_error']:+.2%}",
            f"{row['error_se']:.2%}",
        ]
        for row in rows
    ]  # fmt: skip
    head = ["curve", "sizes", "jobs", "exact", "error", "latency s", "exact", "error", "1 s.e."]
    worst: Callable[[str], float] = lambda name: max(abs(row[name]) for row in rows)  # noqa: E731
    return "\n".join(
        [
            *table(head, shown),
            f"largest error: jobs {worst('jobs_error'):.2%}, latency {worst('latency_error'):.2%}",
        ]
    )
