"""The central optimum as a convex programme in disciplined form (CVXPY), solved by a conic solver (Clarabel).

minimise Σⱼ μⱼ⁻¹(Σᵢ fᵢⱼ) + Σᵢⱼ cᵢⱼfᵢⱼ subject to Σⱼ fᵢⱼ = λᵢ, f ≥ 0 on edges; rates in units of all demand.
Curves of a kind share one vector expression, so that the time to compile the programme does not grow with their number.
"""

import warnings
from typing import Any

import cvxpy
import numpy as np
from scipy.sparse import csr_array  # type: ignore[import-untyped,unused-ignore]

from .fleet import EXPONENTIAL, HYPERBOLIC, LOGARITHMIC, PIECES, POWER, Fleet, Floats, Ints
from .network import Network

TOLERANCE = 1e-10

cp: Any = cvxpy  # its functions are typed by half


class SolverFailed(Exception):
    """The conic solver gave no answer; the message is its status."""


def solve(net: Network, fleet: Fleet, demand: Floats, cost: Floats) -> tuple[Floats, Floats]:
    """Flows (E,), adding up to the demand exactly, and marginal rates p (I,) from the dual variables.

    ``cost`` (E,) is c, the workload on its way per unit of flow. Raises SolverFailed. What it returns is the solver's
    word: ``certificate`` judges it.
    """
    total = float(demand.sum())
    edges = len(net.server)
    ones, at = np.ones(edges), np.arange(edges)
    leave = csr_array((ones, (net.dispatcher, at)), shape=(len(demand), edges))
    enter = csr_array((ones, (net.server, at)), shape=(len(fleet.kind), edges))
    flow = cp.Variable(edges, nonneg=True)
    costs, bounds = _workloads(fleet, enter @ flow, total)
    if cost.any():
        costs.append((total * cost) @ flow)
    balance = leave @ flow == demand / total
    problem = cp.Problem(cp.Minimize(sum(cp.sum(each) for each in costs)), [balance, *bounds])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "may be inaccurate": the certificate decides
            problem.solve(
                solver=cp.CLARABEL, tol_gap_abs=TOLERANCE, tol_gap_rel=TOLERANCE, tol_feas=TOLERANCE
            )
    except cp.SolverError as error:
        raise SolverFailed(" ".join(str(error).split())) from error
    if flow.value is None or balance.dual_value is None:
        raise SolverFailed(str(problem.status))
    found = np.maximum(flow.value, 0.0)
    sent = np.bincount(net.dispatcher, found, minlength=len(demand))
    found *= np.where(sent > 0.0, demand / np.maximum(sent, 1e-300), 0.0)[net.dispatcher]
    # A dual variable is minus the workload that a unit of a dispatcher's (relative) demand costs.
    price = np.maximum(-balance.dual_value / total, 1e-300)
    return found, np.where(demand > 0.0, 1.0 / price, np.inf)


def _workloads(fleet: Fleet, carried: Any, total: float) -> tuple[list[Any], list[Any]]:
    """Workloads as convex expressions of what servers carry, group by group, and constraints."""
    costs: list[Any] = []
    a, b = fleet.a / total, fleet.b
    for kind in range(PIECES):
        for group in _groups(fleet, kind):
            rate = carried[group]
            if kind == HYPERBOLIC:  # br/(a−r) = ab/(a−r) − b
                inverse = cp.multiply(a[group], cp.inv_pos(a[group] - rate)) - 1.0
                costs.append(cp.multiply(b[group], inverse))
            elif kind == EXPONENTIAL:
                costs.append(cp.multiply(-b[group], cp.log(1.0 - cp.multiply(rate, 1.0 / a[group]))))
            elif kind == LOGARITHMIC:
                costs.append(cp.multiply(b[group], cp.exp(cp.multiply(rate, 1.0 / a[group])) - 1.0))
            else:  # power: one exponent a group
                costs.append(cp.power(cp.multiply(rate, 1.0 / a[group]), 1.0 / float(b[group[0]])))
    straight = np.flatnonzero(fleet.kind == PIECES)
    if not len(straight):
        return costs, []
    workload = cp.Variable(len(straight), nonneg=True)
    owner = np.repeat(np.arange(len(straight)), np.diff(fleet.first)[straight])
    at = np.concatenate([np.arange(fleet.first[j], fleet.first[j + 1]) for j in straight])
    owner, at = owner[fleet.slope[at] > 0.0], at[fleet.slope[at] > 0.0]
    lines = cp.multiply(carried[straight[owner]], total / fleet.slope[at]) + (
        fleet.start[at] - fleet.height[at] / fleet.slope[at]
    )
    return [*costs, workload], [workload[owner] >= lines, carried[straight] <= fleet.cap[straight] / total]


def _groups(fleet: Fleet, kind: int) -> list[Ints]:
    """Servers of a kind; power curves by exponent."""
    members = np.flatnonzero(fleet.kind == kind)
    if kind != POWER:
        return [members] if len(members) else []
    return [members[fleet.b[members] == exponent] for exponent in np.unique(fleet.b[members])]
