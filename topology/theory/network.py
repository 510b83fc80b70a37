"""The bipartite graph as arrays, and the largest flow through it that servers' bounds allow.

Dinic's algorithm (1970) on dispatchers → edges → servers, with real capacities: edges have none, a dispatcher
sends at most its rate, a server takes at most its room. It runs on many separate parts of the graph at once: an
edge counts only where both its ends are in the same part.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ..graph import Topology
from .compiled import compiled
from .fleet import Floats, Ints

DUST = 1e-12
"""A share of a rate or of a room that is smaller counts as nothing."""


class Network(NamedTuple):
    """Edges in order of their dispatcher; I dispatchers, J servers, E edges."""

    first: Ints  # (I+1,) where a dispatcher's edges begin
    server: Ints  # (E,)
    dispatcher: Ints  # (E,)
    first_in: Ints  # (J+1,) where a server's edges begin in the next
    edge_in: Ints  # (E,) indices of edges, in order of their server
    order: Ints  # (E,) the topology's edge that each is


def network(topology: Topology) -> Network:
    """The arrays of a topology's graph."""
    dispatchers = {each.id: index for index, each in enumerate(topology.dispatchers)}
    servers = {each.id: index for index, each in enumerate(topology.servers)}
    return from_pairs(
        np.array([dispatchers[edge.dispatcher] for edge in topology.edges], dtype=np.int64),
        np.array([servers[edge.server] for edge in topology.edges], dtype=np.int64),
        len(dispatchers),
        len(servers),
    )


def offered(topology: Topology, volume: Mapping[str, float]) -> Floats:
    """Volume per second by dispatcher, in the file's order; shape (I,)."""
    return np.array([volume[each.id] for each in topology.dispatchers], dtype=np.float64)


def from_pairs(dispatcher: Ints, server: Ints, dispatchers: int, servers: int) -> Network:
    """The arrays of the graph with these edges; both of shape (E,)."""
    order = np.argsort(dispatcher, kind="stable")
    dispatcher, server = dispatcher[order], server[order]
    return Network(
        np.searchsorted(dispatcher, np.arange(dispatchers + 1)),
        server,
        dispatcher,
        np.searchsorted(np.sort(server), np.arange(servers + 1)),
        np.argsort(server, kind="stable"),
        order,
    )


@compiled
def largest_flow(
    net: Network, part_i: Ints, part_j: Ints, rate: Floats, bound: Floats, flow: Floats
) -> tuple[Floats, Floats, Ints, Ints]:
    """Raise ``flow`` (E,), in place, to the largest within each part; it may start from any smaller one.

    ``rate`` (I,) is what dispatchers have, ``bound`` (J,) what servers take at most. Returns what is left of both, and
    for dispatchers and servers their distance in the residual graph from a dispatcher with something left,
    or −1 where there is no way: the source side of the least cut.
    """
    dispatchers, servers = len(rate), len(bound)
    left, room = rate.copy(), bound.copy()
    for edge in range(len(flow)):
        left[net.dispatcher[edge]] -= flow[edge]
        room[net.server[edge]] -= flow[edge]
    level_i, level_j = np.empty(dispatchers, np.int64), np.empty(servers, np.int64)
    next_i, next_j = np.empty(dispatchers, np.int64), np.empty(servers, np.int64)
    queue = np.empty(dispatchers, np.int64)
    path = np.empty(2 * (dispatchers + servers) + 2, np.int64)
    while _levels(net, part_i, part_j, rate, bound, flow, left, room, level_i, level_j, queue):
        next_i[:] = net.first[:-1]
        next_j[:] = net.first_in[:-1]
        for source in range(dispatchers):
            while left[source] > DUST * rate[source] and _augment(
                net,
                part_i,
                part_j,
                rate,
                bound,
                flow,
                left,
                room,
                level_i,
                level_j,
                next_i,
                next_j,
                path,
                source,
            ):
                pass
    return left, room, level_i, level_j


@compiled
def _levels(
    net: Network, part_i: Ints, part_j: Ints, rate: Floats, bound: Floats, flow: Floats, left: Floats,
    room: Floats, level_i: Ints, level_j: Ints, queue: Ints,
) -> bool:  # fmt: skip
    """Breadth-first distances from all dispatchers with something left; whether a server with room is reached."""
    level_i[:] = -1
    level_j[:] = -1
    end = 0
    for i in range(len(rate)):
        if left[i] > DUST * rate[i]:
            level_i[i] = 0
            queue[end] = i
            end += 1
    found = False
    begin = 0
    while begin < end:
        i = queue[begin]
        begin += 1
        for edge in range(net.first[i], net.first[i + 1]):
            j = net.server[edge]
            if level_j[j] >= 0 or part_j[j] != part_i[i]:
                continue
            level_j[j] = level_i[i] + 1
            if room[j] > DUST * bound[j]:
                found = True
                continue
            for at in range(net.first_in[j], net.first_in[j + 1]):
                back = net.edge_in[at]
                other = net.dispatcher[back]
                if level_i[other] < 0 and flow[back] > DUST * rate[other]:
                    level_i[other] = level_j[j] + 1
                    queue[end] = other
                    end += 1
    return found


@compiled
def _augment(
    net: Network, part_i: Ints, part_j: Ints, rate: Floats, bound: Floats, flow: Floats, left: Floats,
    room: Floats, level_i: Ints, level_j: Ints, next_i: Ints, next_j: Ints, path: Ints, source: int,
) -> bool:  # fmt: skip
    """Push flow along one shortest path from a dispatcher; False if there is none any more.

    ``path`` holds edges: there, back, there, …; depth-first, each edge is given up at most once a phase.
    """
    depth = 0
    i = source
    while True:
        # At dispatcher i: step along an edge to a server one level further.
        advanced = False
        while next_i[i] < net.first[i + 1]:
            edge = next_i[i]
            j = net.server[edge]
            if part_j[j] == part_i[i] and level_j[j] == level_i[i] + 1:
                path[depth] = edge
                depth += 1
                if room[j] > DUST * bound[j]:
                    _push(net, flow, left, room, path, depth, source, j)
                    return True
                while next_j[j] < net.first_in[j + 1]:
                    back = net.edge_in[next_j[j]]
                    other = net.dispatcher[back]
                    if flow[back] > DUST * rate[other] and level_i[other] == level_j[j] + 1:
                        path[depth] = back
                        depth += 1
                        i = other
                        advanced = True
                        break
                    next_j[j] += 1
                if advanced:
                    break
                depth -= 1
            next_i[i] += 1
        if advanced:
            continue
        # Nothing further from dispatcher i: go back to the server that led here, and on from it.
        if depth == 0:
            return False
        depth -= 1
        next_j[net.server[path[depth]]] += 1
        depth -= 1
        i = net.dispatcher[path[depth]]


@compiled
def _push(
    net: Network, flow: Floats, left: Floats, room: Floats, path: Ints, depth: int, source: int, sink: int
) -> None:
    amount = min(left[source], room[sink])
    for at in range(1, depth, 2):
        amount = min(amount, flow[path[at]])
    left[source] -= amount
    room[sink] -= amount
    for at in range(depth):
        flow[path[at]] += amount if at % 2 == 0 else -amount
