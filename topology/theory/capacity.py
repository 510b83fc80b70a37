"""Whether demand fits capacity, and which servers are full whatever one does: one flow and its least cut.

A server is *saturated* if it carries exactly its cap in every largest flow from dispatchers through edges to servers'
caps: if no server with room can be reached from it in the residual graph (Ford and Fulkerson, 1956; MODEL section 7).
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ..graph import Topology
from .balance import balance
from .compiled import compiled
from .fleet import Flags, Fleet, Floats, fleet
from .keys import FULLEST
from .network import DUST, Network, from_pairs, largest_flow, network, offered

MARGIN = 1e-9
"""A cap that is never reached must be missed by this share; one that is reached may be met within it."""


class Classes(NamedTuple):
    """What the least cut says."""

    throughput: float  # the largest that any routing reaches, volume per second
    saturated: Flags  # (J,)
    confined: Flags  # (I,) dispatchers that reach saturated servers only
    short: Floats  # (I,) volume per second that a largest flow leaves over
    overloaded: bool  # whether some workload grows for ever: demand is left over, or meets a cap that is never reached


def classify(net: Network, fleet: Fleet, demand: Floats) -> Classes:
    """Classes of servers at ``demand`` (I,), volume per second."""
    bound = np.minimum(fleet.cap, 4.0 * float(demand.sum()) + 1.0)  # an infinite cap has room for all
    flow = np.zeros(len(net.server))
    nothing = np.zeros(len(demand), np.int64), np.zeros(len(bound), np.int64)
    left, room, _, _ = largest_flow(net, *nothing, demand, bound, flow)
    free_i, free_j = _with_way_out(net, flow, demand, room > MARGIN * bound)
    short = np.where(left > MARGIN * demand, left, 0.0)
    overloaded = bool(short.any() or (~free_j & ~fleet.reached).any())
    return Classes(float(demand.sum() - short.sum()), ~free_j, ~free_i, short, overloaded)


@compiled
def _with_way_out(net: Network, flow: Floats, demand: Floats, spare: Flags) -> tuple[Flags, Flags]:
    """Dispatchers and servers from which a server with room can be reached in the residual graph."""
    free_i, free_j = np.zeros(len(demand), np.bool_), spare.copy()
    queue = np.empty(len(spare), np.int64)
    end = 0
    for j in range(len(spare)):
        if spare[j]:
            queue[end] = j
            end += 1
    begin = 0
    while begin < end:
        j = queue[begin]
        begin += 1
        for at in range(net.first_in[j], net.first_in[j + 1]):
            i = net.dispatcher[net.edge_in[at]]
            if free_i[i]:
                continue
            free_i[i] = True
            for edge in range(net.first[i], net.first[i + 1]):
                other = net.server[edge]
                if not free_j[other] and flow[edge] > DUST * demand[i]:
                    free_j[other] = True
                    queue[end] = other
                    end += 1
    return free_i, free_j


def load_factor(topology: Topology, volume: Mapping[str, float]) -> float:
    """The smallest factor by which all capacities could be multiplied and still carry the demand.

    Below 1 the demand fits with room to spare, at 1 some set of servers is full, above 1 the system is
    overloaded. 0 where all caps that matter are infinite. It is the largest share of its cap that a server must
    carry if shares are as equal as the edges allow.
    """
    net, plain = network(topology), fleet(topology.servers, smoothed=False)
    demand = offered(topology, volume)
    endless = np.zeros(len(demand), np.bool_)  # dispatchers that an uncapped server can serve whole
    endless[net.dispatcher[~np.isfinite(plain.cap)[net.server]]] = True
    if not demand[~endless].sum() > 0.0:
        return 0.0
    kept = ~endless[net.dispatcher]
    bound = from_pairs(net.dispatcher[kept], net.server[kept], len(demand), len(plain.kind))
    capped = plain._replace(
        cap=np.where(np.isfinite(plain.cap), plain.cap, 0.0)
    )  # no edge leads to the others now
    found = balance(bound, capped, np.where(endless, 0.0, demand), FULLEST)
    return float((1.0 / found.key).max())


def fits(topology: Topology, volume: Mapping[str, float]) -> bool:
    """Whether some routing keeps all workloads finite: caps that are reached may be met, others not."""
    demand = offered(topology, volume)
    return not classify(network(topology), fleet(topology.servers, smoothed=False), demand).overloaded
