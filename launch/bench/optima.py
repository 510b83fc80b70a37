"""The half of ``gmsr bench theory`` on optima: how long large graphs take, beside a conic solver where it can follow.

Curves of all kinds that have a cap, load 0.9, rates that differ up to a thousandfold (Zipf), random edges of degree 10:
tight enough that the optimum falls into many parts. Solutions are certified, and time includes the certificate.
"""

import resource
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import click

from gmsr.topology.curves import Curve, Exponential, Hyperbolic, Multicore, Table
from gmsr.topology.generate import generate, with_rates
from gmsr.topology.graph import Topology
from gmsr.topology.theory.capacity import load_factor
from gmsr.topology.theory.optimum import Optimum, solve

from ..record.text import number, table

SIZES = (100, 1_000, 10_000)
BESIDE = 100
"""The size at which the conic solver is asked too, on an easier graph of its own (equal rates, load 0.7)."""
REPEATS = 3
LOAD = 0.9


def measure() -> dict[str, Any]:
    """Seconds (median of three), residuals, and peak memory of this process after each size."""
    solve(_sized(10), _volume(_sized(10)), "balance")  # compiled before the clock starts
    rows: list[dict[str, Any]] = []
    for size in SIZES:
        click.echo(f"optimum of {size} × {size}", err=True)
        topology = _sized(size)
        volume = _volume(topology)
        spent, found = _timed(lambda: solve(topology, volume, "balance"))  # noqa: B023  # called at once
        rows.append(
            {
                "dispatchers": size,
                "servers": size,
                "edges": len(topology.edges),
                "seconds": spent,
                "residual": found.residual,
                "memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            }
        )
    click.echo(f"conic solver at {BESIDE} × {BESIDE}", err=True)
    topology = _sized(BESIDE, "equal", 0.7)
    volume = _volume(topology)
    exact, found = _timed(lambda: solve(topology, volume, "balance"))
    conic, known = _timed(lambda: solve(topology, volume, "conic"))
    beside = {
        "size": BESIDE,
        "conic_seconds": conic,
        "ratio": conic / exact,
        "difference": abs(known.workload / found.workload - 1.0),
    }
    return {"optimum": rows, "conic": beside}


def _sized(size: int, rates: str = "zipf", load: float = LOAD) -> Topology:
    made = generate("random", size, size, min(size, 10), 1, rates, "hyperbolic", 4.0)
    servers = tuple(each._replace(curve=_kind(j, each.curve.cap)) for j, each in enumerate(made.servers))
    made = made._replace(servers=servers)
    limit = load_factor(made, _volume(made))
    return with_rates(made, load / limit)


def _kind(index: int, cap: float) -> Curve:
    kinds: list[Curve] = [
        Hyperbolic(cap, 0.5 * cap),
        Exponential(cap, 0.5 * cap),
        Multicore(1.0, cap),
        Table([[0.25 * cap, 0.5 * cap], [cap, 0.8 * cap], [2.0 * cap, cap]]),
    ]
    return kinds[index % len(kinds)]


def _volume(topology: Topology) -> dict[str, float]:
    return {each.id: each.rate for each in topology.dispatchers}


def _timed(call: Callable[[], Optimum]) -> tuple[float, Optimum]:
    spent = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        found = call()
        spent.append(time.perf_counter() - begin)
    return median(spent), found


def text(found: dict[str, Any]) -> str:
    """A table, and the conic solver beside it."""
    rows = [
        [
            f"{row['dispatchers']} × {row['servers']}, {row['edges']} edges",
            f"{row['seconds']:.3g}",
            f"{row['residual']:.0e}",
            f"{row['memory_bytes'] / 1e9:.2f}",
        ]
        for row in found["optimum"]
    ]
    beside = found["conic"]
    return "\n".join(
        [
            *table(["optimum of", "seconds", "residual", "peak memory, GB"], rows),
            f"conic solver at {beside['size']} × {beside['size']}: {number(beside['conic_seconds'])} s, "
            f"{number(beside['ratio'], 3)} times as long; workloads differ by {beside['difference']:.0e}",
        ]
    )
