"""A run whose demand did not fit, beside what theory predicts: throughput, who stays stable, with what workload."""

from collections.abc import Callable, Mapping
from math import sqrt
from typing import Any

from gmsr.topology.curves import Curve
from gmsr.topology.graph import Topology
from gmsr.topology.theory.overload import decompose

from .occupancy import occupancy

RISE = 0.1
"""A server grows if it holds this share more in the last quarter of the measured time than in the second, …"""
NOISE = 4.0
"""… and so many standard deviations of a Poisson number more, since a stable one wanders too."""


def served(curve: Curve, scale: float, arrived: Any, departed: Any, begin: float, end: float) -> float:
    """Volume per second that a server worked off in [begin, end): the mean of μ(N(t)) over its visits' exact instants.

    ``arrived`` and ``departed`` (shape (visits,), not-a-number while still there) in emulated seconds.
    """
    seconds = occupancy(arrived, departed, begin, end)
    rates = [curve.value(count / scale) for count in range(len(seconds))]
    return float(seconds @ rates) / (end - begin)


def compare(
    topology: Topology,
    volume: Mapping[str, float],
    served: Mapping[str, float],
    workloads: Callable[[float, float], Mapping[str, float]],
    begin: float,
    end: float,
) -> dict[str, Any]:
    """The field ``overload`` of a summary.

    ``workloads(from, to)`` gives mean N by server over a time; ``served`` is volume per second by server, work
    on jobs that are still there included: under processor sharing an overloaded server works on ever more jobs at
    once, and what it completes are the small ones.
    """
    found = decompose(topology, volume)
    span = end - begin
    second = workloads(begin + 0.25 * span, begin + 0.5 * span)
    last = workloads(begin + 0.75 * span, end)
    mean = workloads(begin, end)
    growing = {
        server.id
        for server in topology.servers
        if last[server.id] - second[server.id]
        > RISE * second[server.id] + NOISE * sqrt((second[server.id] + 1.0 / topology.scale) / topology.scale)
    }
    return {
        "offered": found.offered,
        "throughput": {"measured": sum(served.values()), "predicted": found.throughput},
        "stable": {
            "measured": [server.id for server in topology.servers if server.id not in growing],
            "predicted": found.stable,
        },
        "stable_workload": {
            "measured": sum(mean[name] for name in found.stable),
            "predicted": found.stable_workload,
        },
        "unstable": found.unstable,
        "saturated": found.saturated,
        "growth": {
            name: {"measured": 2.0 * (last[name] - second[name]) / span, "predicted": rate}
            for name, rate in found.growth.items()
        },
        "grown": [server.id for server in topology.servers if server.id in growing],
        "held": [name for name in found.saturated if name not in growing],
        "tie_break_decides": found.open_growth,
    }
