"""By how much a routing can exceed the optimum: a bound from prices alone, whoever found either.

For any prices yᵢ ≥ 0 (workload per unit of dispatcher i's volume) Lagrange's dual bounds the optimum from below:

    Σⱼ Nⱼ* ≥ Σᵢ λᵢyᵢ − Σⱼ φⱼ*(yⱼ),   yⱼ = the largest yᵢ of j's dispatchers,

with φⱼ = μⱼ⁻¹ and its conjugate φⱼ*(y) = max over N of y·μⱼ(N) − N, reached where μⱼ′(N) = 1/y. So the excess of a
routing f with workloads N is at most

    Σⱼ [Nⱼ + φⱼ*(yⱼ) − yⱼrⱼ]  +  Σᵢⱼ fᵢⱼ(yⱼ − yᵢ),

and no term is negative. The first vanishes where yⱼ is one over a supergradient of μⱼ at Nⱼ, the second where i sends
only to servers at its own price: those are the conditions of MODEL section 4.
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
    excess: float  # bound of (ΣN − ΣN*)/ΣN

    @property
    def worst(self) -> float:
        """The largest of the three."""
        return max(self)


def check(
    net: Network, plain: Fleet, demand: Floats, flow: Floats, workload: Floats, prices: Floats
) -> Residuals:
    """The residuals of flows (E,), workloads (J,) and prices (I,): marginal rates p = 1/y, infinite where λᵢ = 0.

    ``plain`` is the fleet without smoothing: the optimum knows no windows.
    """
    total = float(demand.sum())
    sent = np.bincount(net.dispatcher, flow, minlength=len(demand))
    carried = np.bincount(net.server, flow, minlength=len(workload)).astype(np.float64)
    room = np.array([value(plain, j, workload[j]) for j in range(len(workload))])
    return Residuals(
        float(np.abs(sent - demand).max()) / total,
        max(float((carried - room).max()), 0.0) / total,
        max(float(_excess(net, plain, flow, workload, carried, 1.0 / prices)) / float(workload.sum()), 0.0),
    )


@compiled
def _excess(
    net: Network, fleet: Fleet, flow: Floats, workload: Floats, carried: Floats, price: Floats
) -> float:
    dearest = np.zeros(len(workload))
    for edge in range(len(flow)):
        j, y = net.server[edge], price[net.dispatcher[edge]]
        dearest[j] = max(dearest[j], y)
    excess = 0.0
    for edge in range(len(flow)):
        if flow[edge] > 0.0:
            excess += flow[edge] * (dearest[net.server[edge]] - price[net.dispatcher[edge]])
    for j in range(len(workload)):
        if dearest[j] > 0.0:
            best = place(fleet, j, 1.0 / dearest[j])
            excess += workload[j] - best + dearest[j] * (value(fleet, j, best) - carried[j])
        else:
            excess += workload[j]
    return excess
