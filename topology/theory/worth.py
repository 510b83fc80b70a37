"""What if: the workload that more capacity of a server, or an edge that is missing, would save at the optimum.

Capacity, to first order, by the envelope theorem (Milgrom and Segal, "Envelope theorems for arbitrary choice sets",
Econometrica 70, 2002): if server j's curve becomes (1+s)·μⱼ, Σ N* changes at the rate −rⱼyⱼ at s = 0, with rⱼ what the
server carries and yⱼ what the last unit of it costs, one over the (super)marginal. Where there are several optima or
several prices it is the least yⱼ and the largest rⱼ (Gol'shtein's theorem; for less capacity it would be the
opposite). The least prices are those at a demand smaller by a hair: they differ from others by constraints
yᵢ ≤ yⱼ and bounds alone, so that the least of all are prices together. The largest rⱼ is one more flow.

An edge, exactly, by solving again with it; ``edges`` says how only few of the missing ones need that.
"""

from collections.abc import Mapping
from heapq import heappop, heappush, heappushpop
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ..graph import Topology
from .balance import balance
from .capacity import fits
from .compiled import compiled
from .fleet import PIECES, Fleet, Floats, Ints, fleet
from .network import Network, from_pairs, largest_flow, network, offered
from .optimum import Overloaded, solve

HAIR = 1e-9
"""The share by which demand is smaller where the least prices are wanted."""
SAME = 1e-9
"""Prices that differ by a smaller share are the same."""
NOTHING = 1e-9
"""An edge that saves a smaller share of all workload saves nothing, and so small a difference is a tie."""


class ServerWorth(NamedTuple):
    """Σ N saved by more of one server."""

    server: str
    saved: float  # per 1 % more of its curve, to first order
    per_volume: float | None  # per volume/s more of its cap, the curve scaled as a whole; None: it has no cap


class EdgeWorth(NamedTuple):
    """Σ N saved by one new edge, exactly."""

    dispatcher: str
    server: str
    saved: float


class EdgeSearch(NamedTuple):
    """The missing edges that are worth most."""

    best: list[EdgeWorth]  # the most first; fewer than were wished for where no more save anything
    proven: bool  # no other edge saves more than the last of them
    solved: int  # how many optima that took


def servers(topology: Topology, volume: Mapping[str, float]) -> list[ServerWorth]:
    """Every server's worth at demand ``volume`` (per second, by dispatcher), the largest first.

    Raises Overloaded, or NoOptimum as ``optimum.solve`` does.
    """
    cost_i, cost_j, carried = _least_prices(topology, volume)
    net, plain = network(topology), fleet(topology.servers, smoothed=False)
    least, most = _stretches(plain, carried, cost_j)
    demand = offered(topology, volume) * (1.0 - HAIR)
    most = _most_carried(net, *_levels(cost_i, cost_j), demand, least, most)
    worth = [
        ServerWorth(
            server.id, 0.01 * float(total), float(total) / server.curve.cap if np.isfinite(server.curve.cap) else None
        )
        for server, total in zip(topology.servers, most * cost_j, strict=True)
    ]  # fmt: skip
    return sorted(worth, key=lambda each: -each.saved)


def _least_prices(topology: Topology, volume: Mapping[str, float]) -> tuple[Floats, Floats, Floats]:
    """Workload per unit of volume, of dispatchers (I,) and of servers (J,), and what servers carry, at a hair less.

    Raises Overloaded, NoOptimum.
    """
    if not fits(topology, volume):
        raise Overloaded("the system is overloaded: no routing carries all demand")
    found = solve(topology, {name: rate * (1.0 - HAIR) for name, rate in volume.items()}, "balance")
    return (
        1.0 / np.array([found.prices[each.id] for each in topology.dispatchers]),
        1.0 / np.array([found.marginals[each.id] for each in topology.servers]),
        np.array([found.throughput[each.id] for each in topology.servers]),
    )


def _levels(cost_i: Floats, cost_j: Floats) -> tuple[Ints, Ints]:
    """Numbers, rising with the cost, that are equal where costs are; shapes (I,) and (J,)."""
    cost = np.concatenate([cost_i, cost_j])
    order = np.argsort(cost, kind="stable")
    steps = cost[order][1:] > cost[order][:-1] * (1.0 + SAME)
    level = np.empty(len(cost), np.int64)
    level[order] = np.concatenate([[0], np.cumsum(steps)])
    return level[: len(cost_i)], level[len(cost_i) :]


@compiled
def _stretches(fleet: Fleet, carried: Floats, cost: Floats) -> tuple[Floats, Floats]:
    """The least and the most that each server carries at its price; they differ on a linear stretch of that slope."""
    least, most = carried.copy(), carried.copy()
    for j in range(len(carried)):
        if fleet.kind[j] != PIECES:
            continue
        at = fleet.first[j]
        while fleet.slope[at] * cost[j] > 1.0 + SAME:
            at += 1
        least[j] = fleet.height[at]
        while fleet.slope[at] * cost[j] >= 1.0 - SAME:
            at += 1
        most[j] = fleet.height[at]
    return least, most


@compiled
def _most_carried(
    net: Network, level_i: Ints, level_j: Ints, demand: Floats, least: Floats, most: Floats
) -> Floats:
    """The most that each server carries in any optimum: the others get their least, and then it what it can.

    Edges in use are between equal levels. What is left can always be spread over the others' stretches (the inflows
    that a graph allows are a polymatroid: whatever can be extended extends to all of the demand).
    """
    flow = np.zeros(len(net.server))
    largest_flow(net, level_i, level_j, demand, least, flow)
    bound, found = least.copy(), least.copy()
    for j in range(len(least)):
        if most[j] > least[j]:
            more = flow.copy()
            bound[j] = most[j]
            largest_flow(net, level_i, level_j, demand, bound, more)
            bound[j] = least[j]
            found[j] = 0.0
            for at in range(net.first_in[j], net.first_in[j + 1]):
                found[j] += more[net.edge_in[at]]
    return found


class _Graph(NamedTuple):
    """What is solved again and again."""

    net: Network
    plain: Fleet
    demand: Floats

    def missing(self, i: int, members: Ints) -> Ints:
        """Those of some servers that dispatcher i has no edge to."""
        return members[~np.isin(members, self.net.server[self.net.first[i] : self.net.first[i + 1]])]

    def workload(self, i: int, members: Ints) -> float:
        """Σ N* with edges from dispatcher i to these servers as well."""
        wider = from_pairs(
            np.concatenate([self.net.dispatcher, np.full(len(members), i)]),
            np.concatenate([self.net.server, members]),
            len(self.demand),
            len(self.plain.kind),
        )
        return float(balance(wider, self.plain, self.demand).workload.sum())


def edges(topology: Topology, volume: Mapping[str, float], most: int = 10, solves: int = 2000) -> EdgeSearch:
    """The ``most`` missing edges that save most at demand ``volume`` (per second, by dispatcher).

    Branch and bound, the best bound first, over sets of edges from one dispatcher i to servers of neighbouring prices:
    all of them at first, then quarters. No edge of a set saves more than λᵢ(yᵢ − yⱼ) with its cheapest server j, by
    convexity, nor more than the whole set saves, which is one more optimum. At most ``solves`` of them are computed: of
    80,000 missing edges (200 × 400) about 100 did, in seconds, of two million (1,000 × 2,000) 1,800, in minutes.
    Raises Overloaded, or NoOptimum as ``optimum.solve`` does.
    """
    cost_i, cost_j, _ = _least_prices(topology, volume)
    graph = _Graph(network(topology), fleet(topology.servers, smoothed=False), offered(topology, volume))
    best, proven, solved = _search(graph, cost_i, cost_j, most, solves)
    named = [
        EdgeWorth(topology.dispatchers[-i].id, topology.servers[-j].id, saved)
        for saved, i, j in sorted(best, reverse=True)
    ]
    return EdgeSearch(named, proven, solved)


def _search(
    graph: _Graph, cost_i: Floats, cost_j: Floats, most: int, solves: int
) -> tuple[list[tuple[float, int, int]], bool, int]:
    """(saved, −i, −j) of the best edges; whether they are proven; how many optima it took."""
    order = np.argsort(cost_j, kind="stable")
    now = graph.workload(0, order[:0])
    solved = 1
    best: list[tuple[float, int, int]] = []

    def bound(i: int, low: int) -> float:
        return float(graph.demand[i] * (cost_i[i] - cost_j[order[low]]))

    # Sets of edges as (−bound, i, low, high): from i to the servers low ≤ at < high of the order.
    sets = sorted((-bound(i, 0), i, 0, len(order)) for i in range(len(cost_i)))
    while sets:
        least, i, low, high = heappop(sets)
        worst = (best[0][0] if len(best) == most else 0.0) + NOTHING * now
        if -least <= worst:
            break
        members = graph.missing(i, order[low:high])
        if not len(members):
            continue
        if solved >= solves:
            return best, False, solved
        saved = now - graph.workload(i, members)
        solved += 1
        if len(members) > 1:
            cuts = sorted({low + (high - low) * quarter // 4 for quarter in range(5)})
            for begin, end in pairwise(cuts):
                heappush(sets, (-min(saved, bound(i, begin)), i, begin, end))
        elif saved > worst:
            (heappush if len(best) < most else heappushpop)(best, (saved, -i, -int(members[0])))
    return best, True, solved
