"""Whether demand fits capacity: a maximum flow from dispatchers through edges to servers' caps."""

from collections.abc import Mapping

import numpy as np
from scipy.optimize import linprog  # type: ignore[import-untyped,unused-ignore]
from scipy.sparse import coo_array  # type: ignore[import-untyped,unused-ignore]

from ..graph import Topology

MARGIN = 1e-9
"""A cap that is never reached must be missed by this much; one that is reached may be met within it."""


def load_factor(topology: Topology, volume: Mapping[str, float]) -> float:
    """The smallest factor by which all capacities could be multiplied and still carry the demand.

    Below 1 the demand fits with room to spare, at 1 some set of servers is full, above 1 the system is
    overloaded. 0 where all caps that matter are infinite. A linear programme: minimise ρ subject to
    Σⱼ fᵢⱼ = λᵢ, Σᵢ fᵢⱼ ≤ ρ·cⱼ, f ≥ 0 (MODEL section 7).
    """
    total = sum(volume.values())
    if total <= 0.0:
        return 0.0
    dispatchers = {dispatcher.id: index for index, dispatcher in enumerate(topology.dispatchers)}
    finite = [server for server in topology.servers if np.isfinite(server.curve.cap)]
    servers = {server.id: index for index, server in enumerate(finite)}
    edges = len(topology.edges)
    rows = [dispatchers[edge.dispatcher] for edge in topology.edges]
    equal = coo_array((np.ones(edges), (rows, np.arange(edges))), shape=(len(dispatchers), edges + 1))
    demand = np.array([volume[name] for name in dispatchers]) / total
    capped = [
        (servers[edge.server], column) for column, edge in enumerate(topology.edges) if edge.server in servers
    ]
    if not capped:
        return 0.0
    values = [*np.ones(len(capped)), *(-server.curve.cap / total for server in finite)]
    at = (
        [row for row, _ in capped] + list(range(len(finite))),
        [column for _, column in capped] + [edges] * len(finite),
    )
    below = coo_array((values, at), shape=(len(finite), edges + 1))
    cost = np.zeros(edges + 1)
    cost[-1] = 1.0
    solution = linprog(cost, A_ub=below, b_ub=np.zeros(len(finite)), A_eq=equal, b_eq=demand, method="highs")
    if solution.status != 0:
        raise ArithmeticError(f"the load could not be worked out: {solution.message}")
    return float(solution.x[-1])


def fits(topology: Topology, volume: Mapping[str, float]) -> bool:
    """Whether some routing keeps all workloads finite: caps that are reached may be met, others not."""
    load = load_factor(topology, volume)
    reached = all(
        server.curve.cap_reached or not np.isfinite(server.curve.cap) for server in topology.servers
    )
    return load <= 1.0 + MARGIN if reached else load < 1.0 - MARGIN
