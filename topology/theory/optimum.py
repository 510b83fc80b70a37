"""The central optimum (MODEL section 4): the least total workload that carries all demand.

minimise Σⱼ Nⱼ subject to Σᵢ fᵢⱼ ≤ μⱼ(Nⱼ), Σⱼ fᵢⱼ = λᵢ, f ≥ 0 on edges. Two ways lead there: a conic solver
(``conic``) and an exact method for this problem (``balance``), which also takes the graphs that are too large for the
first. Where both are asked the better certified answer counts, and how far they agree is part of the result. Neither's
word is taken for it: ``certificate`` bounds the excess from flows and prices.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..curves import Curve
from ..graph import Topology
from . import certificate
from .balance import balance
from .capacity import classify
from .certificate import Residuals
from .fleet import Fleet, Floats, fleet
from .network import Network, network, offered

ACCEPTED_RESIDUAL = 1e-6
"""Beyond it a solution is not one."""
CONIC_EDGES = 1500
"""Up to so many edges the conic solver is asked too: a second or two."""
KINK = 1e-7
"""A workload counts as at a kink within this share of itself (for the marginal that is told; nothing hangs on it)."""
METHODS = ("auto", "conic", "balance")


class NoOptimum(Exception):
    """There is no optimum (overload), or none was found; the message says which."""


class Overloaded(NoOptimum):
    """No routing carries all demand."""


class Optimum(NamedTuple):
    """Rates and workloads in volume (per second)."""

    workload: float  # Σ N
    workloads: dict[str, float]
    throughput: dict[str, float]
    flows: dict[str, dict[str, float]]
    marginals: dict[str, float]  # of each server; at a kink the supergradient that the optimum needs
    prices: dict[
        str, float
    ]  # marginal rate of each dispatcher's used servers; infinite where it offers nothing
    residuals: Residuals
    method: str  # conic or balance
    agreement: (
        float | None
    )  # relative difference of ΣN between the two methods; None where only one was asked

    @property
    def residual(self) -> float:
        """How far the conditions of optimality are missed at the most."""
        return self.residuals.worst


class _Candidate(NamedTuple):
    """One answer, with its certificate."""

    flow: Floats
    workload: Floats
    prices: Floats
    residuals: Residuals
    method: str


def solve(topology: Topology, volume: Mapping[str, float], method: str = "auto") -> Optimum:
    """The optimum at demand ``volume`` (per second, by dispatcher).

    ``method``: ``conic``, ``balance``, or ``auto``: both where the graph is small, else balance. Raises Overloaded if
    the demand does not fit the servers' capacity, NoOptimum if no certified solution was found.
    """
    net, plain = network(topology), fleet(topology.servers, smoothed=False)
    demand = offered(topology, volume)
    if demand.sum() <= 0.0:
        raise NoOptimum("nothing is offered")
    if classify(net, plain, demand).overloaded:
        raise Overloaded("the system is overloaded: no routing carries all demand")
    curves = [server.curve for server in topology.servers]
    found, failure = _found(net, plain, curves, demand, method)
    best = min(found, key=lambda each: each.residuals.worst, default=None)
    if best is None or not best.residuals.worst <= ACCEPTED_RESIDUAL:
        missed = "" if best is None else (
            f"no certified optimum was found: the {best.method} method's workload may exceed it by a share of "
            f"{best.residuals.excess:.1e}, its flows miss the demand by {best.residuals.demand:.1e}"
        )  # fmt: skip
        raise NoOptimum("; ".join(filter(None, [failure, missed])))
    totals = [float(each.workload.sum()) for each in found]
    apart = abs(totals[0] / totals[1] - 1.0) if len(totals) == 2 and np.isfinite(totals).all() else None
    return _named(topology, net, best, apart)


def _found(
    net: Network, plain: Fleet, curves: Sequence[Curve], demand: Floats, method: str
) -> tuple[list[_Candidate], str]:
    """The answers of the methods that are to be asked, and what a solver said that failed."""
    found: list[_Candidate] = []
    failure = ""
    if method == "conic" or (method == "auto" and len(net.server) <= CONIC_EDGES):
        from . import conic  # loads CVXPY

        try:
            flow, prices = conic.solve(net, plain, demand)
            found.append(_judged(net, plain, curves, demand, flow, prices, "conic"))
        except conic.SolverFailed as error:
            failure = f"the conic solver failed: {error}"
    if method in ("balance", "auto"):
        made = balance(net, plain, demand)
        found.append(_judged(net, plain, curves, demand, made.flow, made.key, "balance"))
    return found, failure


def _judged(
    net: Network,
    plain: Fleet,
    curves: Sequence[Curve],
    demand: Floats,
    flow: Floats,
    prices: Floats,
    method: str,
) -> _Candidate:
    """Workloads follow from the flows; a cap that rounding overran by its last digits is met."""
    carried = np.bincount(net.server, flow, minlength=len(curves))
    workload = np.array(
        [curve.inverse(min(float(rate), curve.cap)) for curve, rate in zip(curves, carried, strict=True)]
    )
    if not np.isfinite(workload).all():  # a cap that is never reached was overrun
        return _Candidate(flow, workload, prices, Residuals(0.0, np.inf, np.inf), method)
    return _Candidate(
        flow, workload, prices, certificate.check(net, plain, demand, flow, workload, prices), method
    )


def _named(topology: Topology, net: Network, best: _Candidate, agreement: float | None) -> Optimum:
    """By ids instead of indices, edges in the file's order."""
    dispatchers = [each.id for each in topology.dispatchers]
    servers = [each.id for each in topology.servers]
    carried = np.bincount(net.server, best.flow, minlength=len(servers))
    keys = np.zeros(len(servers))  # the best price of a server's dispatchers: the largest cost
    with np.errstate(divide="ignore"):
        np.maximum.at(keys, net.server, 1.0 / best.prices[net.dispatcher])
        keys = 1.0 / keys
    flows: dict[str, dict[str, float]] = {name: {} for name in dispatchers}
    for at in np.argsort(net.order):
        flows[dispatchers[net.dispatcher[at]]][servers[net.server[at]]] = float(best.flow[at])
    marginals = [
        _supergradient(server.curve, float(n), float(key))
        for server, n, key in zip(topology.servers, best.workload, keys, strict=True)
    ]
    return Optimum(
        float(best.workload.sum()),
        dict(zip(servers, map(float, best.workload), strict=True)),
        dict(zip(servers, map(float, carried), strict=True)),
        flows,
        dict(zip(servers, marginals, strict=True)),
        dict(zip(dispatchers, map(float, best.prices), strict=True)),
        best.residuals,
        best.method,
        agreement,
    )


def _supergradient(curve: Curve, workload: float, key: float) -> float:
    """The slope, or at a kink (within the last digits) and at 0 whatever of its interval is nearest to the key."""
    near = KINK * (1.0 + workload)
    before = curve.slope(max(workload - near, 0.0)) if workload > near else np.inf
    return float(min(max(key, curve.slope(workload + near)), before, curve.slope(0.0)))
