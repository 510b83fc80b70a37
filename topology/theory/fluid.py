"""The fluid limit (MODEL section 5): dNⱼ/dt = Σᵢ λᵢxᵢⱼ − μⱼ(Nⱼ), where dispatchers send to the best of their servers.

An explicit scheme chatters where servers tie. Here each step is implicit, so that what a dispatcher goes by is taken
at the step's end: ``balance`` finds flows that keep tied servers tied for as long as they can be (sliding). One step of
length h is compared with two of h/2, which tells the error, and both are extrapolated to second order (Richardson;
Hairer and Wanner, "Solving ordinary differential equations II", section IV.9). Where a dispatcher changes its mind
within a step no order is to be had: steps shrink there to a floor and grow again.
"""

from typing import NamedTuple

import numpy as np

from ..graph import Server, Topology
from .balance import balance, settle
from .compiled import compiled
from .fleet import Fleet, Floats, unfed, value
from .keys import FEWEST, MARGINAL, QUICKEST
from .network import Network

FIXED, FASTEST = 10, 11
"""Beside the rules of ``balance``: fixed shares, and the largest μ(N)."""
RULES = {
    "gmsr": MARGINAL, "jsq": FEWEST, "least-latency": QUICKEST, "random": FIXED, "static": FIXED, "oracle": FIXED,
    "fastest": FASTEST,
}  # fmt: skip
"""Policies that have a fluid limit of their own. Under ``fastest`` the first of equal servers is ahead."""
RELATIVE = 0.01
"""Error of a step before it is extrapolated, as a share of what changes in it: so that also the last digits of an
approach fall at their true rate."""
FLOOR = 1e-5
"""Shortest step, as a share of the time scale (workload over demand)."""
CEILING = 0.005
"""Longest step, as a share of the duration."""
AT_REST = 1e-12
"""Change in a time scale, as a share of all workload, that counts as none."""
MOST_STEPS = 200_000


class Fluid(NamedTuple):
    """A path; workloads in units of N, times in emulated seconds."""

    t: Floats  # (K,)
    workload: Floats  # (K, J)
    settled: bool  # whether it came to rest before the end

    @property
    def total(self) -> Floats:
        """Σ N; shape (K,)."""
        return np.asarray(self.workload.sum(axis=1))


def shares(net: Network, weights: Floats, demand: Floats) -> Floats:
    """Fixed flows (E,) in proportion to weights (E,), in the network's order of edges."""
    whole = np.bincount(net.dispatcher, weights, minlength=len(demand))
    return np.asarray(demand[net.dispatcher] * weights / whole[net.dispatcher])


def undecided(topology: Topology) -> list[Server]:
    """Servers whose flows under plain GMSR the inclusion does not fix: kinked, shared, not smoothed (MODEL 5)."""
    sharers: dict[str, int] = {}
    for edge in topology.edges:
        sharers[edge.server] = sharers.get(edge.server, 0) + 1
    return [
        each
        for each in topology.servers
        if each.curve.kinks and each.width == 0.0 and sharers.get(each.id, 0) > 1
    ]


def integrate(
    net: Network,
    fleet: Fleet,
    demand: Floats,
    rule: int,
    *,
    duration: float,
    start: Floats | None = None,
    flow: Floats | None = None,
) -> Fluid:
    """The path from ``start`` (J,; empty by default) until ``duration``, or until it rests.

    ``flow`` (E,), for FIXED: what goes along each edge. Raises ArithmeticError where steps ran out.
    """
    now = np.zeros(len(fleet.kind)) if start is None else np.array(start, dtype=np.float64)
    fixed = np.zeros(len(now))
    if flow is not None:
        fixed = np.bincount(net.server, flow, minlength=len(now)).astype(np.float64)
    offered = float(demand.sum())
    at, length, settled = 0.0, 0.0, False
    times, path = [0.0], [now]
    for _ in range(MOST_STEPS):
        if at >= duration or settled:
            return Fluid(np.array(times), np.array(path), settled)
        scale = max(float(now.sum()), 1e-3) / offered
        floor = FLOOR * scale
        length = min(max(length, floor), CEILING * duration, duration - at)
        whole = _step(net, fleet, demand, rule, fixed, now, length)
        both = _step(
            net,
            fleet,
            demand,
            rule,
            fixed,
            _step(net, fleet, demand, rule, fixed, now, 0.5 * length),
            0.5 * length,
        )
        error, change, most = np.abs(both - whole).max(), np.abs(both - now).max(), both.max()
        allowed = RELATIVE * change + 1e-14 * most
        if error > allowed and length > 1.01 * floor:
            length *= max(0.25, 0.8 * np.sqrt(allowed / error))
            continue
        now = np.maximum(2.0 * both - whole, 0.0)
        at += length
        settled = bool(change * scale <= AT_REST * most * length) and rule != FASTEST
        times.append(at)
        path.append(now)
        length *= 2.0 if error <= 0.0 else min(2.0, 0.9 * allowed / error)
    raise ArithmeticError(f"the fluid path needs more than {MOST_STEPS} steps; it stands at t = {at:.4g}")


def rest(net: Network, fleet: Fleet, demand: Floats, rule: int) -> Floats | None:
    """Where the path ends if no cap is overrun, by the balance itself; None for FASTEST and FIXED."""
    return balance(net, fleet, demand, rule).workload if rule in (MARGINAL, FEWEST, QUICKEST) else None


def _step(
    net: Network, fleet: Fleet, demand: Floats, rule: int, fixed: Floats, now: Floats, length: float
) -> Floats:
    """Workloads at the end of an implicit step."""
    if rule < FIXED:
        return settle(net, fleet, demand, rule, now, length)[0]
    inflow = fixed if rule == FIXED else _to_the_fastest(net, fleet, demand, now)
    return _relaxed(fleet, now + length * inflow, length)


@compiled
def _relaxed(fleet: Fleet, gathered: Floats, length: float) -> Floats:
    workload = np.empty(len(gathered))
    for j in range(len(gathered)):
        workload[j] = unfed(fleet, j, gathered[j], length)
    return workload


@compiled
def _to_the_fastest(net: Network, fleet: Fleet, demand: Floats, now: Floats) -> Floats:
    """All to the server with the largest μ(N) at the step's start: being ahead grows, so that nothing slides."""
    inflow = np.zeros(len(now))
    for i in range(len(demand)):
        best, chosen = -1.0, 0
        for edge in range(net.first[i], net.first[i + 1]):
            rate = value(fleet, net.server[edge], now[net.server[edge]])
            if rate > best:
                best, chosen = rate, net.server[edge]
        inflow[chosen] += demand[i]
    return inflow
