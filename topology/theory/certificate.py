"""By how much a routing can exceed the optimum: a bound from prices alone, whoever found either.

For any prices yᵢ ≥ 0 (workload per unit of dispatcher i's volume) Lagrange's dual bounds the optimum from below:

    Σⱼ Nⱼ* + Σᵢⱼ cᵢⱼfᵢⱼ* ≥ Σᵢ λᵢyᵢ − Σⱼ φⱼ*(wⱼ),   wⱼ = the largest yᵢ − cᵢⱼ of j's dispatchers, or 0,

with c the workload on its way per unit of flow (``travel``; 0 without delays), φⱼ = μⱼ⁻¹ and its conjugate
φⱼ*(w) = max over N of w·μⱼ(N) − N, reached where μⱼ′(N) = 1/w. So the excess of a routing f with workloads N is at most

    Σⱼ [Nⱼ + φⱼ*(wⱼ) − wⱼrⱼ]  +  Σᵢⱼ fᵢⱼ(wⱼ + cᵢⱼ − yᵢ),

and no term is negative. The first vanishes where wⱼ is one over a supergradient of μⱼ at Nⱼ, the second where i sends
only to servers that cost its own price: those are the conditions of MODEL section 4, with travel.
"""

from typing import NamedTuple

import numpy as np

from .compiled import compiled
from .fleet import Fleet, Floats, place, value
from .network import Network


class Residuals(NamedTuple):
    """How far the conditions are missed, each relative to what it is about."""

    demand: float  # largest |Σⱼ fᵢⱼ − λᵢ| over all demand
    capacity: float  # largest excess of a server's flow over μⱼ(Nⱼ), over all demand
    excess: float  # bound of (C − C*)/C, C = ΣN + Σcf

    @property
    def worst(self) -> float:
        """The largest of the three."""
        return max(self)


def check(
    net: Network, plain: Fleet, demand: Floats, cost: Floats, flow: Floats, workload: Floats, prices: Floats
) -> Residuals:
    """The residuals of flows (E,), workloads (J,) and prices (I,): marginal rates p = 1/y, infinite where λᵢ = 0.

    ``cost`` (E,) is c. ``plain`` is the fleet without smoothing: the optimum knows no windows.
    """
    total = float(demand.sum())
    sent = np.bincount(net.dispatcher, flow, minlength=len(demand))
    carried = np.bincount(net.server, flow, minlength=len(workload)).astype(np.float64)
    room = np.array([value(plain, j, workload[j]) for j in range(len(workload))])
    excess = float(_excess(net, plain, cost, flow, workload, carried, 1.0 / prices))
    return Residuals(
        float(np.abs(sent - demand).max()) / total,
        max(float((carried - room).max()), 0.0) / total,
        max(excess / float(workload.sum() + cost @ flow), 0.0),
    )


@compiled
def _excess(
    net: Network,
    fleet: Fleet,
    cost: Floats,
    flow: Floats,
    workload: Floats,
    carried: Floats,
    price: Floats,
) -> float:
    dearest = np.zeros(len(workload))
    for edge in range(len(flow)):
        j, here = net.server[edge], price[net.dispatcher[edge]] - cost[edge]
        dearest[j] = max(dearest[j], here)
    excess = 0.0
    for edge in range(len(flow)):
        if flow[edge] > 0.0:
            excess += flow[edge] * (dearest[net.server[edge]] + cost[edge] - price[net.dispatcher[edge]])
    for j in range(len(workload)):
        if dearest[j] > 0.0:
            best = place(fleet, j, 1.0 / dearest[j])
            excess += workload[j] - best + dearest[j] * (value(fleet, j, best) - carried[j])
        else:
            excess += workload[j]
    return excess
