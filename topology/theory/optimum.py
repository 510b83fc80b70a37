"""The central optimum (MODEL section 4): the least total workload that carries all demand.

minimise Σⱼ Nⱼ + Σᵢⱼ cᵢⱼfᵢⱼ subject to Σᵢ fᵢⱼ ≤ μⱼ(Nⱼ), Σⱼ fᵢⱼ = λᵢ, f ≥ 0 on edges; c counts the jobs on their way
over edges with delays (``travel``), and is 0 without. Two ways lead there: a conic solver (``conic``) and a method for
this very problem (``balance``, or with travel ``travel.relax``), which also takes the graphs that are too large for the
first. Where both are asked the better certified answer counts, and how far they agree is part of the result. Neither's
word is taken for it: ``certificate`` bounds the excess from flows and prices.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..curves import Curve
from ..graph import Topology
from . import certificate, travel
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
METHODS = ("auto", "conic", "balance", "relaxation")


class NoOptimum(Exception):
    """There is no optimum (overload), or none was found; the message says which."""


class Overloaded(NoOptimum):
    """No routing carries all demand."""


class Optimum(NamedTuple):
    """Rates and workloads in volume (per second)."""

    workload: float  # Σ N
    travel: float  # Σ cf: jobs on their way, over the scale; 0 where travel does not count
    workloads: dict[str, float]
    throughput: dict[str, float]
    flows: dict[str, dict[str, float]]
    marginals: dict[str, float]  # of each server; at a kink the supergradient that the optimum needs
    prices: dict[
        str, float
    ]  # 1/y, y = workload per unit of a dispatcher's volume, travel included; infinite where it offers nothing
    residuals: Residuals
    method: str  # that found it
    agreement: (
        float | None
    )  # relative difference of the totals of the two methods; None where only one was asked

    @property
    def total(self) -> float:
        """Jobs in the system over the scale, on their way or served: what is least. Over jobs per second: latency."""
        return self.workload + self.travel

    @property
    def residual(self) -> float:
        """How far the conditions of optimality are missed at the most."""
        return self.residuals.worst


class _Question(NamedTuple):
    """The problem, in arrays."""

    net: Network
    plain: Fleet
    curves: Sequence[Curve]
    demand: Floats  # (I,)
    cost: Floats  # (E,)


class _Candidate(NamedTuple):
    """One answer, with its certificate."""

    flow: Floats
    workload: Floats
    prices: Floats
    total: float
    residuals: Residuals
    method: str


def solve(
    topology: Topology, volume: Mapping[str, float], method: str = "auto", job_size: float | None = None
) -> Optimum:
    """The optimum at demand ``volume`` (per second, by dispatcher).

    ``method``: ``conic``, ``balance`` (without travel), ``relaxation``, or ``auto``: balance or, with travel,
    relaxation, and where the graph is small conic too. ``job_size``: the mean, in the unit of the curves, with which
    edges' delays become workload; None: travel does not count. Raises Overloaded if the demand does not fit the
    servers' capacity, NoOptimum if no certified solution was found.
    """
    net, plain = network(topology), fleet(topology.servers, smoothed=False)
    demand = offered(topology, volume)
    cost = np.zeros(len(net.server)) if job_size is None else travel.costs(topology, net, job_size)
    if demand.sum() <= 0.0:
        raise NoOptimum("nothing is offered")
    if classify(net, plain, demand).overloaded:
        raise Overloaded("the system is overloaded: no routing carries all demand")
    question = _Question(net, plain, [server.curve for server in topology.servers], demand, cost)
    found, failure = _found(question, method)
    best = min(found, key=lambda each: each.residuals.worst, default=None)
    if best is None or not best.residuals.worst <= ACCEPTED_RESIDUAL:
        missed = "" if best is None else (
            f"no certified optimum was found: what the {best.method} method found may exceed it by a share of "
            f"{best.residuals.excess:.1e}, its flows miss the demand by {best.residuals.demand:.1e}"
        )  # fmt: skip
        raise NoOptimum("; ".join(filter(None, [failure, missed])))
    totals = [each.total for each in found]
    apart = abs(totals[0] / totals[1] - 1.0) if len(totals) == 2 and np.isfinite(totals).all() else None
    return _named(topology, question, best, apart)


def _found(question: _Question, method: str) -> tuple[list[_Candidate], str]:
    """The answers of the methods that are to be asked, and what those said that failed."""
    net, plain, _, demand, cost = question
    travels = bool(cost.any())
    if method == "balance" and travels:
        return [], "the balance method knows no travel, and edges have delays: ask another"
    found: list[_Candidate] = []
    failures: list[str] = []
    if method == "conic" or (method == "auto" and len(net.server) <= CONIC_EDGES):
        from . import conic  # loads CVXPY

        try:
            found.append(_judged(question, *conic.solve(net, plain, demand, cost), "conic"))
        except conic.SolverFailed as error:
            failures.append(f"the conic solver failed: {error}")
    if method == "relaxation" or (method == "auto" and travels):
        try:
            found.append(_judged(question, *travel.relax(net, plain, demand, cost), "relaxation"))
        except travel.NoPrices as error:
            failures.append(f"the relaxation failed: {error}")
    elif method in ("balance", "auto"):
        made = balance(net, plain, demand)
        found.append(_judged(question, made.flow, made.key, "balance"))
    return found, "; ".join(failures)


def _judged(question: _Question, flow: Floats, prices: Floats, method: str) -> _Candidate:
    """Workloads follow from the flows; a cap that rounding overran by its last digits is met."""
    net, plain, curves, demand, cost = question
    carried = np.bincount(net.server, flow, minlength=len(curves))
    workload = np.array(
        [curve.inverse(min(float(rate), curve.cap)) for curve, rate in zip(curves, carried, strict=True)]
    )
    if not np.isfinite(workload).all():  # a cap that is never reached was overrun
        return _Candidate(flow, workload, prices, np.inf, Residuals(0.0, np.inf, np.inf), method)
    residuals = certificate.check(net, plain, demand, cost, flow, workload, prices)
    return _Candidate(flow, workload, prices, float(workload.sum() + cost @ flow), residuals, method)


def _named(topology: Topology, question: _Question, best: _Candidate, agreement: float | None) -> Optimum:
    """By ids instead of indices, edges in the file's order."""
    net, cost = question.net, question.cost
    dispatchers = [each.id for each in topology.dispatchers]
    servers = [each.id for each in topology.servers]
    carried = np.bincount(net.server, best.flow, minlength=len(servers))
    keys = np.zeros(len(servers))  # what the best of a server's dispatchers would pay there: the largest cost
    with np.errstate(divide="ignore"):
        np.maximum.at(keys, net.server, 1.0 / best.prices[net.dispatcher] - cost)
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
        float(cost @ best.flow),
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
