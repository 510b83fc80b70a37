"""How far the figures can be trusted: was the machine quick enough, was the run long enough?"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

from .collect import Collected, Table
from .folder import HostEntry

GOOD_RELATIVE_LATENESS = 0.05
"""99 % of wake-ups should be late by less than this share of the mean latency."""
FULL_MACHINE = 0.9
FULL_AGENT = 0.9
MUCH_IN_FLIGHT = 0.01
MUCH_UNTOLD = 0.005
"""Few jobs may be left and yet have waited long: so much of all latency is worth a word."""


def lateness(
    run: Collected, begin: float, end: float, frozen: Iterable[tuple[Collection[str], float, float]] = ()
) -> dict[str, float]:
    """Quantiles of how late agents woke, emulated seconds: dispatchers to arrivals, servers to departures.

    ``frozen``: who was made to sleep, from when to when; that is not counted, nor are jobs that were sent again.
    """
    jobs, visits = run.jobs, run.visits
    sent = (jobs["arrival"] >= begin) & (jobs["arrival"] < end)
    noticed = (visits["departed"] >= begin) & (visits["departed"] < end)
    sent &= ~np.isin(_numbers(jobs), _numbers(run.given_up))
    for names, since, until in frozen:
        for table, ids, role, at, woke in (
            (jobs, run.dispatchers, "dispatcher", "arrival", "sent"),
            (visits, run.servers, "server", "departed", "noticed"),
        ):
            kept = sent if table is jobs else noticed
            asleep = np.isin(table[role], [index for index, name in enumerate(ids) if name in names])
            kept &= ~(asleep & (table[at] < until) & (table[woke] >= since))
    late = np.concatenate(
        [(jobs["sent"] - jobs["arrival"])[sent], (visits["noticed"] - visits["departed"])[noticed]]
    )
    if not len(late):
        return {"p50": 0.0, "p99": 0.0, "max": 0.0}
    p50, p99 = np.quantile(late, [0.5, 0.99])
    return {"p50": float(p50), "p99": float(p99), "max": float(late.max())}


def of_clocks(hosts: Mapping[str, HostEntry], pace: float, mean_latency: float | None) -> list[str]:
    """Hosts whose clocks may be off by so much that ages of views are not to be believed.

    Latency is no such figure: a dispatcher measures it by its own clock alone.
    """
    off = {
        name: pace * (each["clock_error_s"] + abs(each["clock_drift_s"] or 0.0))
        for name, each in hosts.items()
    }
    bad = [name for name in off if mean_latency and off[name] > GOOD_RELATIVE_LATENESS * mean_latency]
    if not bad:
        return []
    return [
        f"the clocks of {', '.join(bad)} may be off by up to {max(off[name] for name in bad):.3g} s: ages of views are "
        "too, and hosts begin so much apart; latency is measured by one clock, and right"
    ]


def _numbers(jobs: Table) -> Any:
    """One number for each job."""
    return jobs["dispatcher"].astype(np.uint64) << np.uint64(32) | jobs["job"].astype(np.uint64)


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
