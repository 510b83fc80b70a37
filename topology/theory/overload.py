"""When demand does not fit: throughput, which servers stay stable, how fast the others grow (MODEL section 7).

Three classes: ``stable`` servers have room in some largest flow; ``unstable`` ones are saturated and never
reach their cap at a finite workload, so that they grow for ever under any policy; ``saturated`` ones reach their
cap, and are held at a bounded workload if exactly their cap flows in.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp  # type: ignore[import-untyped,unused-ignore]
from scipy.sparse import coo_array, hstack, vstack  # type: ignore[import-untyped,unused-ignore]

from ..graph import Topology
from .balance import balance
from .capacity import Classes, classify
from .fleet import Floats, fleet
from .keys import GROWTH
from .network import network, offered
from .optimum import Optimum, Overloaded, solve

HOLD_SERVERS = 300
HOLD_EDGES = 5000
HOLD_SECONDS = 60.0
"""The integer programme is as hard as set cover: larger graphs are refused, and longer searches ended."""
GROWS = 1e-9
"""Slower growth, as a share of all that overflows, is none."""


class TooLarge(Exception):
    """The graph is too large for an exact answer; the message says what is possible."""


class Overload(NamedTuple):
    """The limit of an overloaded system under GMSR, volume per second by id."""

    offered: float
    throughput: float
    stable: list[str]
    unstable: list[str]
    saturated: list[str]
    optimum: Optimum | None  # of the stable servers with what reaches them; None where nothing does
    flows: dict[str, dict[str, float]]  # of all dispatchers, in the long run
    growth: dict[str, float]  # dN/dt in the long run of unstable and saturated servers
    open_growth: list[
        str
    ]  # saturated servers whose growth a tie-break at marginal 0 decides: an even split is shown

    @property
    def stable_workload(self) -> float:
        """Σ N of the stable servers: the least that any throughput-optimal routing allows."""
        return self.optimum.workload if self.optimum else 0.0


class Held(NamedTuple):
    """The largest number of saturated servers that any policy holds at a bounded workload at full throughput."""

    most: int
    servers: list[str]
    proven: bool  # False: the search was ended; more may be possible, ``bound`` at the most
    bound: int


def planned(topology: Topology, volume: Mapping[str, float]) -> Optimum | Overload:
    """The optimum at demand ``volume``, or what overload leaves of it. Raises NoOptimum as ``solve`` does."""
    try:
        return solve(topology, volume)
    except Overloaded:
        return decompose(topology, volume)


def decompose(topology: Topology, volume: Mapping[str, float]) -> Overload:
    """The three classes and what becomes of them at demand ``volume`` (per second, by dispatcher).

    Also of a system that is not overloaded: then no server grows.
    """
    found, demand = _classes(topology, volume)
    free = [each.id for each, kept in zip(topology.dispatchers, found.confined, strict=True) if not kept]
    full = {each.id for each, is_full in zip(topology.servers, found.saturated, strict=True) if is_full}
    stable = [each.id for each in topology.servers if each.id not in full]
    asked = {name: volume[name] for name in free}
    best = solve(part(topology, free, stable), asked) if sum(asked.values()) > 0.0 else None
    flows: dict[str, dict[str, float]] = {each.id: {} for each in topology.dispatchers}
    flows.update(best.flows if best else {})
    growth, undecided = _growth(topology, volume, set(free), full, float(found.short.sum()), flows)
    return Overload(
        float(demand.sum()),
        found.throughput,
        stable,
        [each.id for each in topology.servers if each.id in full and not each.curve.cap_reached],
        [each.id for each in topology.servers if each.id in full and each.curve.cap_reached],
        best,
        flows,
        growth,
        undecided,
    )


def _classes(topology: Topology, volume: Mapping[str, float]) -> tuple[Classes, Floats]:
    demand = offered(topology, volume)
    return classify(network(topology), fleet(topology.servers, smoothed=False), demand), demand


def part(topology: Topology, dispatchers: Iterable[str], servers: Iterable[str]) -> Topology:
    """The topology of some dispatchers and servers, and the edges between them."""
    front, back = set(dispatchers), set(servers)
    return topology._replace(
        dispatchers=tuple(each for each in topology.dispatchers if each.id in front),
        servers=tuple(each for each in topology.servers if each.id in back),
        edges=tuple(edge for edge in topology.edges if edge.dispatcher in front and edge.server in back),
    )


def _growth(
    topology: Topology,
    volume: Mapping[str, float],
    free: set[str],
    full: set[str],
    excess: float,
    flows: dict[str, dict[str, float]],
) -> tuple[dict[str, float], list[str]]:
    """Long-run growth of the saturated servers, and those of them where only a tie-break says who grows.

    Adds what their dispatchers send to ``flows``.
    """
    sub = part(topology, {each.id for each in topology.dispatchers} - free, full)
    if not sub.edges:
        return {server.id: 0.0 for server in sub.servers}, []
    net = network(sub)
    found = balance(net, fleet(sub.servers, smoothed=False), offered(sub, volume), GROWTH)
    for edge, rate in zip(net.order, found.flow, strict=True):
        flows[sub.edges[edge].dispatcher][sub.edges[edge].server] = float(rate)
    more = [got - server.curve.cap for server, got in zip(sub.servers, found.inflow, strict=True)]
    growth = {
        server.id: float(rate) if rate > GROWS * excess and excess > 0.0 else 0.0
        for server, rate in zip(sub.servers, more, strict=True)
    }
    # In parts where nothing but reached caps is left, all marginals are 0, and nothing says who grows.
    endless = {
        at for at, server in zip(found.part_j, sub.servers, strict=True) if not server.curve.cap_reached
    }
    growing = {at for at, server in zip(found.part_j, sub.servers, strict=True) if growth[server.id] > 0.0}
    undecided = [
        server.id for at, server in zip(found.part_j, sub.servers, strict=True) if at in growing - endless
    ]
    return growth, undecided


def hold(topology: Topology, volume: Mapping[str, float]) -> Held:
    """The most saturated servers (of those whose cap is reached) that some policy can hold at full throughput.

    maximise Σ hⱼ subject to Σⱼ fᵢⱼ = λᵢ, cⱼ ≤ Σᵢ fᵢⱼ ≤ cⱼ + M(1 − hⱼ), h binary: every saturated server carries its
    cap, and what is more goes to those that are not held. Mixed-integer, by HiGHS. Raises TooLarge.
    """
    found, _ = _classes(topology, volume)
    full = [each for each, is_full in zip(topology.servers, found.saturated, strict=True) if is_full]
    confined = [each.id for each, is_so in zip(topology.dispatchers, found.confined, strict=True) if is_so]
    sub = part(topology, confined, [each.id for each in full])
    edges, servers, fronts = len(sub.edges), len(sub.servers), len(sub.dispatchers)
    if servers > HOLD_SERVERS or edges > HOLD_EDGES:
        raise TooLarge(
            f"{servers} saturated servers and {edges} edges are too many for an integer programme "
            f"(at most {HOLD_SERVERS} and {HOLD_EDGES})"
        )
    candidates = [j for j, server in enumerate(sub.servers) if server.curve.cap_reached]
    if not candidates:
        return Held(0, [], True, 0)
    net = network(sub)
    demand = offered(sub, volume)
    caps = np.array([server.curve.cap for server in sub.servers])
    excess = max(float(demand.sum() - caps.sum()), 0.0)
    ones, at = np.ones(edges), np.arange(edges)
    leave = coo_array((ones, (net.dispatcher, at)), shape=(fronts, edges + servers))
    enter = coo_array((ones, (net.server, at)), shape=(servers, edges))
    held_back = hstack([enter, coo_array((np.full(servers, excess), (np.arange(servers),) * 2))])
    slack = 1e-9 * float(demand.sum())
    constraints = [
        LinearConstraint(leave.tocsr(), demand, demand),
        LinearConstraint(vstack([held_back]).tocsr(), -np.inf, caps + excess + slack),
        LinearConstraint(hstack([enter, coo_array((servers, servers))]).tocsr(), caps - slack, np.inf),
    ]
    upper = np.concatenate([np.full(edges, np.inf), np.zeros(servers)])
    upper[edges + np.array(candidates)] = 1.0
    cost = np.concatenate([np.zeros(edges), -np.ones(servers)])
    answer = milp(
        cost, integrality=np.concatenate([np.zeros(edges), np.ones(servers)]), bounds=Bounds(0.0, upper),
        constraints=constraints, options={"time_limit": HOLD_SECONDS},
    )  # fmt: skip
    if answer.x is None:
        raise TooLarge(f"the integer programme was not solved: {answer.message}")
    chosen = [sub.servers[j].id for j in candidates if answer.x[edges + j] > 0.5]
    bound = len(chosen) if answer.status == 0 else int(np.floor(-answer.mip_dual_bound + 1e-6))
    return Held(len(chosen), chosen, answer.status == 0, bound)
