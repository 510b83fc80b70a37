"""What if, under overload: the throughput that more capacity of a server, or an edge that is missing, would bring.

A largest flow tells (Ford and Fulkerson, 1956). Overflow reaches some dispatchers and servers along the residual graph,
others still have a way to room; none is both. More capacity helps where overflow comes; a new edge helps where it leads
from the first to the second, and carries what can come to its one end and what can go on from its other:

    gain(i, j) = min(λᵢ − (T − T₋ᵢ), cⱼ − (T − T₋ⱼ)),

with T the throughput and T₋ that without the dispatcher, or without the server: i can give the new edge all but
what only i can send, and j can take all but what only j can serve. So every edge's gain is known from one flow a node:
a second or two for 5,000 edges, a minute or two for 100,000.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ..graph import Topology
from .capacity import MARGIN
from .compiled import compiled
from .fleet import Floats, Ints
from .network import Network, largest_flow, network, offered


class ServerRelief(NamedTuple):
    """Throughput that more capacity of one server brings."""

    server: str
    per_volume: float  # per volume/s more of its cap: 1 where overflow reaches it, else 0
    most: float  # volume per second: what all the capacity in the world would bring there


class EdgeRelief(NamedTuple):
    """Throughput that one new edge brings, exactly; volume per second."""

    dispatcher: str
    server: str
    gained: float


class _Flow(NamedTuple):
    """A largest flow and what it leaves."""

    net: Network
    demand: Floats
    bound: Floats
    flow: Floats
    left: Floats
    room: Floats
    level_i: Ints  # −1 where overflow does not come
    level_j: Ints


def servers_overloaded(topology: Topology, volume: Mapping[str, float]) -> list[ServerRelief]:
    """Every server's worth at demand ``volume`` (per second, by dispatcher), the most relief first.

    All are 0 where nothing is left over, also where the load just meets a cap that is never reached.
    """
    found = _largest(topology, volume)
    gained = _more_capacity(found) if _short(found) else np.zeros(len(found.bound))
    gained[gained <= MARGIN * found.demand.sum()] = 0.0
    worth = [
        ServerRelief(server.id, 1.0 if most > 0.0 else 0.0, float(most))
        for server, most in zip(topology.servers, gained, strict=True)
    ]
    return sorted(worth, key=lambda each: -each.most)


def edges_overloaded(topology: Topology, volume: Mapping[str, float], most: int = 10) -> list[EdgeRelief]:
    """The ``most`` missing edges that bring most at demand ``volume``; fewer where no more bring anything."""
    found = _largest(topology, volume)
    if not _short(found):
        return []
    comes, goes = _comes(found), _goes(found)
    # Of the best pairs one exists among the best of both ends: a lesser end has ``most`` others before it.
    fronts = np.argsort(-comes, kind="stable")[:most]
    backs = np.argsort(-goes, kind="stable")[:most]
    pairs = [(float(min(comes[i], goes[j])), int(i), int(j)) for i in fronts for j in backs]
    pairs.sort(key=lambda pair: -pair[0])
    return [
        EdgeRelief(topology.dispatchers[i].id, topology.servers[j].id, gained)
        for gained, i, j in pairs[:most]
        if gained > MARGIN * found.demand.sum()
    ]


def _largest(topology: Topology, volume: Mapping[str, float]) -> _Flow:
    net, demand = network(topology), offered(topology, volume)
    caps = np.array([server.curve.cap for server in topology.servers])
    bound = np.minimum(caps, 4.0 * float(demand.sum()) + 1.0)  # an infinite cap has room for all
    flow = np.zeros(len(net.server))
    nothing = np.zeros(len(demand), np.int64), np.zeros(len(bound), np.int64)
    return _Flow(net, demand, bound, flow, *largest_flow(net, *nothing, demand, bound, flow))


def _short(found: _Flow) -> bool:
    """Whether anything is left over, beyond rounding."""
    return bool((found.left > MARGIN * found.demand).any())


@compiled
def _more_capacity(found: _Flow) -> Floats:
    """By how much the flow grows if a server takes whatever comes; (J,)."""
    gained = np.zeros(len(found.bound))
    bound = found.bound.copy()
    for j in range(len(bound)):
        if found.level_j[j] >= 0:
            bound[j] = found.bound[j] + found.left.sum()
            gained[j] = _growth(found, found.demand, bound, found.flow.copy())
            bound[j] = found.bound[j]
    return gained


@compiled
def _comes(found: _Flow) -> Floats:
    """What a new edge could get from each dispatcher: what it has left, and what others would replace; (I,)."""
    net = found.net
    amount = np.zeros(len(found.demand))
    demand = found.demand.copy()
    for i in range(len(demand)):
        if found.level_i[i] >= 0:
            flow = found.flow.copy()
            flow[net.first[i] : net.first[i + 1]] = 0.0
            demand[i] = 0.0
            amount[i] = found.left[i] + _growth(found, demand, found.bound, flow)
            demand[i] = found.demand[i]
    return amount


@compiled
def _goes(found: _Flow) -> Floats:
    """What a new edge could bring to each server: the room there is, and what others would take instead; (J,)."""
    net = found.net
    amount = np.zeros(len(found.bound))
    bound = found.bound.copy()
    for j in range(len(bound)):
        if found.level_j[j] < 0:
            flow = found.flow.copy()
            for at in range(net.first_in[j], net.first_in[j + 1]):
                flow[net.edge_in[at]] = 0.0
            bound[j] = 0.0
            amount[j] = found.room[j] + _growth(found, found.demand, bound, flow)
            bound[j] = found.bound[j]
    return amount


@compiled
def _growth(found: _Flow, demand: Floats, bound: Floats, flow: Floats) -> float:
    """By how much a flow grows to the largest."""
    before = flow.sum()
    one_i, one_j = np.zeros(len(demand), np.int64), np.zeros(len(bound), np.int64)
    largest_flow(found.net, one_i, one_j, demand, bound, flow)
    return flow.sum() - before
