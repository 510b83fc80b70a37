"""How far the figures can be trusted: was the machine quick enough, was the run long enough?"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from .collect import Collected

GOOD_RELATIVE_LATENESS = 0.05
"""99 % of wake-ups should be late by less than this share of the mean latency."""
FULL_MACHINE = 0.9
FULL_AGENT = 0.9
MUCH_IN_FLIGHT = 0.01
MUCH_UNTOLD = 0.005
"""Few jobs may be left and yet have waited long: so much of all latency is worth a word."""


def lateness(run: Collected, begin: float, end: float) -> dict[str, float]:
    """Quantiles of how late agents woke, emulated seconds: dispatchers to arrivals, servers to departures."""
    jobs, visits = run.jobs, run.visits
    sent = (jobs["arrival"] >= begin) & (jobs["arrival"] < end)
    noticed = (visits["departed"] >= begin) & (visits["departed"] < end)
    late = np.concatenate(
        [(jobs["sent"] - jobs["arrival"])[sent], (visits["noticed"] - visits["departed"])[noticed]]
    )
    if not len(late):
        return {"p50": 0.0, "p99": 0.0, "max": 0.0}
    p50, p99 = np.quantile(late, [0.5, 0.99])
    return {"p50": float(p50), "p99": float(p99), "max": float(late.max())}


def warnings(
    fidelity: Mapping[str, Any],
    cores: int,
    jobs: Mapping[str, Any],
    drifting: bool,
    pace: float,
    untold: float = 0.0,
    noise: float = 0.0,
) -> list[str]:
    """What the user must know before believing the figures.

    ``untold``: how long jobs that did not end had waited until then, as a share of all latency that was measured;
    it matters where it is more than ``noise``, half the mean latency's interval as a share of it.
    """
    lines = []
    slower = f"use a smaller --pace than {pace:g} (--pace auto finds one), or fewer agents"
    if fidelity["relative"] is not None and fidelity["relative"] > GOOD_RELATIVE_LATENESS:
        lines.append(
            f"the machine was too small: 1 % of wake-ups were later than {fidelity['relative']:.0%} of the mean "
            f"latency; {slower}"
        )
    cpu: Mapping[str, float] = fidelity["cpu"]
    if sum(cpu.values()) > FULL_MACHINE * cores:
        lines.append(f"the machine was full: agents used {sum(cpu.values()):.2f} of {cores} cores; {slower}")
    busy = [agent for agent, share in cpu.items() if share > FULL_AGENT]
    if busy:
        lines.append(f"these agents were busy nearly all the time: {', '.join(busy[:5])}; {slower}")
    if drifting:
        lines.append(
            "the run has not settled: its mean latency still drifts; use a longer --warmup and --duration"
        )
    if jobs["offered"] and jobs["in_flight"] > MUCH_IN_FLIGHT * jobs["offered"]:
        lines.append(
            f"{jobs['in_flight'] / jobs['offered']:.1%} of the jobs were still in flight at the end: the system is "
            "overloaded, or the run too short; mean latency is too small by what they would have added"
        )
    elif untold > max(MUCH_UNTOLD, noise):
        lines.append(
            f"{jobs['in_flight']} jobs were still in flight at the end and had waited {untold:.1%} of all latency: "
            "mean latency is too small by that and more; use a longer --duration"
        )
    return lines
