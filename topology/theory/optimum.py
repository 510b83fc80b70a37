"""The central optimum (MODEL section 4): the least total workload that carries all demand.

minimise Σⱼ Nⱼ subject to Σᵢ fᵢⱼ ≤ μⱼ(Nⱼ), Σⱼ fᵢⱼ = λᵢ, f ≥ 0 on edges. Each curve is written in disciplined
convex form and a conic solver (Clarabel, through CVXPY) does the rest. Its word is not taken for it: the
optimality conditions are checked here, and the residual is part of the result.
"""

import warnings
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import cvxpy
import numpy as np
from numpy.typing import NDArray

from ..curves import Curve, Exponential, Hyperbolic, Logarithmic, Multicore, Power, Table
from ..graph import Topology
from .overload import fits
from .polish import polish

GOOD_RESIDUAL = 1e-7
"""No better answer is looked for."""
ACCEPTED_RESIDUAL = 1e-5
"""Beyond it a solution is not one."""
USED = 1e-6
"""A flow counts as used above this share of all demand."""
KINK = 1e-6
"""A workload counts as at a kink within this share of all workload: the solver's own accuracy."""
TOLERANCES = (1e-9, 1e-11, 1e-8, 1e-7)


cp: Any = cvxpy  # its functions are typed by half


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
    prices: dict[str, float]  # marginal rate of each dispatcher's used servers
    residual: float


def solve(topology: Topology, volume: Mapping[str, float]) -> Optimum:
    """The optimum at demand ``volume`` (per second, by dispatcher).

    Raises Overloaded if the demand does not fit the servers' capacity, NoOptimum if no certified solution
    was found.
    """
    if not fits(topology, volume):
        raise Overloaded("the system is overloaded: no routing carries all demand")
    total = sum(volume.values())
    if total <= 0.0:
        raise NoOptimum("nothing is offered")
    dispatchers = {dispatcher.id: index for index, dispatcher in enumerate(topology.dispatchers)}
    servers = {server.id: index for index, server in enumerate(topology.servers)}
    curves = [server.curve for server in topology.servers]
    demand = np.array([volume[name] for name in dispatchers])
    rows = np.array([dispatchers[edge.dispatcher] for edge in topology.edges])
    columns = np.array([servers[edge.server] for edge in topology.edges])
    best: _Candidate | None = None
    for shares in _flows(curves, demand / total, rows, columns, total):
        found = _certified(curves, shares * total, demand, rows, columns)
        if best is None or found.residual < best.residual:
            best = found
        if best.residual <= GOOD_RESIDUAL:
            break
    if best is None:
        raise NoOptimum("the conic solver failed at every tolerance")
    if best.residual > GOOD_RESIDUAL:
        better = _certified(curves, polish(curves, best.flow, rows, columns), demand, rows, columns)
        best = min(best, better, key=lambda each: each.residual)
    flow, carried, workloads, prices, marginals, residual = best
    if not residual <= ACCEPTED_RESIDUAL:
        raise NoOptimum(
            f"no certified optimum was found: the workload may exceed it by a share of {residual:.1e}"
        )
    flows: dict[str, dict[str, float]] = {name: {} for name in dispatchers}
    for edge, rate in zip(topology.edges, flow, strict=True):
        flows[edge.dispatcher][edge.server] = float(rate)
    return Optimum(
        float(workloads.sum()),
        {name: float(workloads[index]) for name, index in servers.items()},
        {name: float(carried[index]) for name, index in servers.items()},
        flows,
        {name: float(marginals[index]) for name, index in servers.items()},
        dict(zip(dispatchers, map(float, prices), strict=True)),
        residual,
    )


class _Candidate(NamedTuple):
    """One answer of the solver, with its certificate."""

    flow: NDArray[np.float64]
    carried: NDArray[np.float64]
    workloads: NDArray[np.float64]
    prices: NDArray[np.float64]
    marginals: NDArray[np.float64]
    residual: float


def _certified(
    curves: list[Curve],
    flow: NDArray[np.float64],
    demand: NDArray[np.float64],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
) -> _Candidate:
    carried = np.bincount(columns, flow, minlength=len(curves)).astype(np.float64)
    workloads = np.array(
        [curve.inverse(min(rate, curve.cap)) for curve, rate in zip(curves, carried, strict=True)]
    )
    if not np.isfinite(workloads).all():  # a cap that is never reached was overrun by rounding
        nothing = np.zeros(len(curves))
        return _Candidate(flow, carried, workloads, np.zeros(len(demand)), nothing, float("inf"))
    return _Candidate(flow, carried, workloads, *certificate(curves, workloads, flow, demand, rows, columns))


def certificate(
    curves: list[Curve],
    workloads: NDArray[np.float64],
    flow: NDArray[np.float64],
    demand: NDArray[np.float64],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Prices by dispatcher, marginals by server, and by how much the workload can exceed the optimum (relative).

    The conditions: flows add up to the demand, and each server has one supergradient of its curve such that a
    dispatcher sends only where it is largest among its own servers (MODEL section 4). How far they are missed is
    weighed as convexity does: a unit of flow costs 1/μ′ of workload, so that ΣN is above the optimum by at most
    Σ fᵢⱼ·(1/μ′ⱼ − 1/pᵢ), whatever supergradients are taken at kinks (the gap of Frank and Wolfe).
    """
    total = float(demand.sum())
    balance = float(np.abs(np.bincount(rows, flow, minlength=len(demand)) - demand).max()) / total
    near = KINK * (1.0 + float(workloads.sum()))
    high = np.array(
        [curve.slope(_to_kink(curve, n, near, -near)) for curve, n in zip(curves, workloads, strict=True)]
    )
    low = np.array(
        [curve.slope(_to_kink(curve, n, near, near)) for curve, n in zip(curves, workloads, strict=True)]
    )
    marginals = _consistent(low, high, flow / total > USED, rows, columns)
    prices = np.zeros(len(demand))
    np.maximum.at(prices, rows, marginals[columns])
    # A price of 0 (all caps of a dispatcher's servers met exactly) cannot be missed: no marginal is smaller.
    priced = (flow > 0.0) & (prices[rows] > 0.0)
    with np.errstate(divide="ignore"):
        excess = flow[priced] * (1.0 / marginals[columns][priced] - 1.0 / prices[rows][priced])
    gap = float(excess.sum()) / float(workloads.sum())
    return prices, marginals, max(balance, gap)


def _consistent(
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    used: NDArray[np.bool_],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Supergradients within their intervals: the least that leave no used edge short of its dispatcher's best.

    Monotone: start from the lower ends and raise what a dispatcher uses to the best that it sees.
    """
    marginals = np.minimum(low, high)
    for _ in range(len(low) + 1):
        best = np.zeros(int(rows.max()) + 1)
        np.maximum.at(best, rows, marginals[columns])
        wanted = marginals.copy()
        np.maximum.at(wanted, columns[used], best[rows[used]])
        raised = np.minimum(wanted, high)
        if np.allclose(raised, marginals, rtol=1e-12, atol=0.0):
            break
        marginals = raised
    return marginals


def _to_kink(curve: Curve, workload: float, near: float, aside: float) -> float:
    """The workload itself, or, where it lies at a kink within ``near``, a place to one side of that kink."""
    for kink in curve.kinks:
        if abs(workload - kink) <= near:
            return max(kink + aside, 0.0)
    return workload


def _flows(
    curves: list[Curve],
    demand: NDArray[np.float64],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    total: float,
) -> Iterator[NDArray[np.float64]]:
    """Flows in units of the total demand, edge by edge, at one tolerance after the other.

    An interior-point solver that is asked for too much may end with less than it had: who asked keeps the best.
    """
    edges = len(rows)
    flow = cp.Variable(edges, nonneg=True)
    leave = np.zeros((len(demand), edges))
    enter = np.zeros((len(curves), edges))
    leave[rows, np.arange(edges)] = 1.0
    enter[columns, np.arange(edges)] = 1.0
    carried = enter @ flow
    constraints: list[Any] = [leave @ flow == demand]
    workloads = []
    for index, curve in enumerate(curves):
        workload, more = _inverse(curve, carried[index], total)
        workloads.append(workload)
        constraints += more
    problem = cp.Problem(cp.Minimize(cp.sum(cp.hstack(workloads))), constraints)
    for tolerance in TOLERANCES:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # "may be inaccurate": the certificate decides
                problem.solve(
                    solver=cp.CLARABEL, tol_gap_abs=tolerance, tol_gap_rel=tolerance, tol_feas=tolerance
                )
        except cp.SolverError:
            continue
        if flow.value is not None:
            found: NDArray[np.float64] = np.maximum(flow.value, 0.0)
            sent = np.bincount(rows, found, minlength=len(demand))
            yield found * np.where(sent > 0.0, demand / np.maximum(sent, 1e-300), 0.0)[rows]


def _inverse(curve: Curve, carried: Any, total: float) -> tuple[Any, list[Any]]:
    """μ⁻¹(r) as a convex expression of r = ``carried`` · ``total``, and constraints."""
    if isinstance(curve, Hyperbolic):  # br/(a−r) = ab/(a−r) − b
        return curve.b * (curve.a / total * cp.inv_pos(curve.a / total - carried) - 1.0), []
    if isinstance(curve, Exponential):
        return -curve.b * cp.log(1.0 - carried * (total / curve.a)), []
    if isinstance(curve, Power):
        return cp.power(carried * (total / curve.a), 1.0 / curve.p), []
    if isinstance(curve, Logarithmic):
        return curve.b * (cp.exp(carried * (total / curve.a)) - 1.0), []
    if isinstance(curve, Multicore):
        return carried * (total / curve.m), [carried <= curve.cap / total]
    if isinstance(curve, Table):
        return _piecewise(curve, carried, total)
    raise TypeError(f"no convex form of a curve of kind {curve.kind}")


def _piecewise(curve: Table, carried: Any, total: float) -> tuple[Any, list[Any]]:
    """The largest of the lines through the pieces, turned over; above the cap there is none."""
    points = [(0.0, 0.0), *((n, rate) for n, rate in curve.describe()["points"])]
    lines = []
    for (left, low), (right, high) in pairwise(points):
        if high > low:
            per_rate = (right - left) / (high - low)
            lines.append(left + per_rate * (carried * total - low))
    return cp.max(cp.hstack(lines)), [carried <= curve.cap / total]
