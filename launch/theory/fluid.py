"""The fluid limit, as ``gmsr fluid`` gives it: paths by policy and window, the optimum, and how fast they settle.

It knows no delays of edges, and so the optimum here is the one without travel.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gmsr.topology.errors import RunError, UserError
from gmsr.topology.graph import Topology
from gmsr.topology.theory import speed
from gmsr.topology.theory.balance import balance
from gmsr.topology.theory.fleet import Fleet, Floats, Ints, fleet, marginal, value
from gmsr.topology.theory.fluid import FIXED, RULES, Fluid, integrate, rest, shares, undecided
from gmsr.topology.theory.keys import MARGINAL
from gmsr.topology.theory.network import Network, network, offered
from gmsr.topology.theory.optimum import NoOptimum
from gmsr.topology.theory.overload import Overload, planned
from gmsr.topology.theory.slotted import simulate
from gmsr.topology.theory.travel import without_delays

from ..demand import demand, informed, smoothed
from ..record.text import number, table

LIMIT_SCALE = 10_000.0
"""Where the inclusion does not fix the flows, the slotted model at this scale stands for the limit."""
POINTS = 400
ROWS = 14
NEAR = 1e-9
SLOWLY = 50.0
"""Where no rest is known beforehand, a path is followed for so many times its workload over the demand."""


class Wish(NamedTuple):
    """What was asked for."""

    policies: Sequence[str]
    windows: Sequence[float]  # relative to the last kink; empty: as the file says
    start: str = ""
    duration: float | None = None
    seed: int = 1


def paths(topology: Topology, wish: Wish) -> dict[str, Any]:
    """The fields of ``gmsr fluid --json`` (INTERFACE): of the first path, and ``paths`` with all of them.

    Raises UserError on a wish that makes no sense, RunError where a path could not be followed.
    """
    for policy in wish.policies:
        if policy not in RULES:
            raise UserError(
                f"--policies: {policy!r} has no fluid limit here; choose among {', '.join(RULES)}"
            )
    start = initial(topology, wish.start)
    volume = demand(topology).volume
    best, excess = _best(topology, volume)
    horizon = wish.duration
    made: dict[str, dict[str, Any]] = {}
    windows: Sequence[float | None] = wish.windows or [None]
    for window in windows:
        system = topology if window is None else smoothed(topology, window)
        for policy in wish.policies:
            label = policy if window is None else f"{policy}, window {window:g}"
            try:
                made[label] = path(system, policy, start, horizon, best is None, wish.seed)
            except ArithmeticError as error:
                raise RunError(f"{label}: {error}") from error
            horizon = horizon or made[label]["t"][-1]  # all are followed as long as the first
    first = next(iter(made.values()))
    found = {
        **{key: first[key] for key in ("t", "workload", "total")},
        "optimum": None
        if best is None
        else {"workload": best, "latency": best / sum(demand(topology).rates.values())},
        "overload": None if excess is None else _excess(excess),
        "paths": made,
    }
    if best is not None:
        for each in made.values():
            each["ratio"] = each["rest"] / best if each["rest"] is not None else None
    return found


def path(
    topology: Topology, policy: str, start: Floats, duration: float | None, overloaded: bool, seed: int
) -> dict[str, Any]:
    """One path, thinned to ``POINTS`` points."""
    net, curves = network(topology), fleet(topology.servers)
    volume = offered(topology, demand(topology).volume)
    found, at_end, method = _followed(
        topology, net, curves, volume, policy, start, duration, overloaded, seed
    )
    kept = _thinned(found.t)
    names = [server.id for server in topology.servers]
    return {
        "policy": policy,
        "method": method,
        "t": found.t[kept].tolist(),
        "workload": {name: found.workload[kept, j].tolist() for j, name in enumerate(names)},
        "total": found.total[kept].tolist(),
        "throughput": [sum(value(curves, j, n) for j, n in enumerate(row)) for row in found.workload[kept]],
        "marginal": {
            name: [marginal(curves, j, n, 0.0) for n in found.workload[kept, j]]
            for j, name in enumerate(names)
        },
        "rest": None if at_end is None else float(np.sum(at_end)),
    }


def _followed(
    topology: Topology, net: Network, curves: Fleet, volume: Floats, policy: str, start: Floats,
    duration: float | None, overloaded: bool, seed: int,
) -> tuple[Fluid, Floats | None, str]:  # fmt: skip
    """The path, where it comes to rest (None: it grows, or has not yet), and what it was followed by."""
    rule = RULES[policy]
    usual = float(start.sum()) if overloaded else float(balance(net, curves, volume).workload.sum())
    long = SLOWLY * (usual + float(start.sum())) / float(volume.sum())
    length = duration or (topology.run.duration if overloaded else long)
    if rule == MARGINAL and undecided(topology):
        slots = simulate(
            net, curves, volume, "gmsr", scale=LIMIT_SCALE, duration=length, start=start, seed=seed, points=POINTS
        )  # fmt: skip
        late = slots.workload[len(slots.t) // 2 :].mean(axis=0)
        return Fluid(slots.t, slots.workload, True), late, f"slotted model at n = {LIMIT_SCALE:g}"
    resting = None if overloaded else rest(net, curves, volume, rule)
    if resting is not None and duration is None:
        found = speed.settled(net, curves, volume, start, float(resting.sum()), NEAR, rule)
        return found, resting, "inclusion"
    flow = None
    if rule == FIXED:
        flow = fixed_flows(topology, net, policy, volume)
        resting = _alone(topology, net, flow)
    found = integrate(net, curves, volume, rule, duration=length, start=start, flow=flow)
    if resting is None and found.settled:
        resting = found.workload[-1]
    return found, resting, "inclusion"


def _alone(topology: Topology, net: Network, flow: Floats) -> Floats | None:
    """Where servers rest that each have a fixed inflow; None if one of them cannot carry it."""
    inflow = np.bincount(net.server, flow, minlength=len(topology.servers))
    found = np.array(
        [each.curve.inverse(float(rate)) for each, rate in zip(topology.servers, inflow, strict=True)]
    )
    return found if np.isfinite(found).all() else None


def fixed_flows(topology: Topology, net: Network, policy: str, volume: Floats) -> Floats:
    """What goes along each edge (E,) under random, static and oracle."""
    system = informed(without_delays(topology)) if policy == "oracle" else topology
    weights = np.array([1.0 if policy == "random" else edge.weight for edge in system.edges])
    return shares(net, weights[net.order], volume)


def initial(topology: Topology, text: str) -> Floats:
    """``--from``: nothing (empty servers), one number for all, numbers in the file's order, or id=number pairs.

    Raises UserError on a wrong size or sign, an unknown id, or no number.
    """
    names = [server.id for server in topology.servers]
    pieces = [piece.strip() for piece in text.split(",")] if text else ["0"]
    values = dict.fromkeys(names, 0.0)
    try:
        if any("=" in piece for piece in pieces):
            given = dict(piece.split("=", 1) for piece in pieces)
            for name in given:
                if name not in values:
                    raise UserError(f"--from: no server is called {name!r}; use the file's ids")
            values.update({name: float(number) for name, number in given.items()})
        elif len(pieces) in (1, len(names)):
            values = {name: float(pieces[index % len(pieces)]) for index, name in enumerate(names)}
        else:
            raise UserError(
                f"--from: {len(pieces)} numbers for {len(names)} servers; give one for each, or one for all"
            )
    except ValueError as error:
        raise UserError(
            f"--from: {text!r} is neither numbers nor id=number; give N, or N1,N2,…, or id=N,…"
        ) from error
    for name, workload in values.items():
        if not 0.0 <= workload < float("inf"):
            raise UserError(f"--from: workload {workload:g} of {name}; give a finite number ≥ 0")
    return np.array(list(values.values()))


def ladder(topology: Topology) -> dict[str, Any]:
    """Time to each ε from each δ, and the fit. Raises RunError where GMSR's path does not come to rest."""
    net, curves = network(topology), fleet(topology.servers)
    try:
        found = speed.ladder(net, curves, offered(topology, demand(topology).volume))
    except ArithmeticError as error:
        raise RunError(str(error)) from error
    return {**found._asdict(), "times": found.times.tolist()}


def _best(topology: Topology, volume: Mapping[str, float]) -> tuple[float | None, Overload | None]:
    try:
        found = planned(topology, volume)
    except NoOptimum as error:
        raise RunError(str(error)) from error
    return (None, found) if isinstance(found, Overload) else (found.workload, None)


def _excess(found: Overload) -> dict[str, Any]:
    return {
        "throughput": found.throughput,
        "stable": found.stable,
        "unstable": found.unstable,
        "saturated": found.saturated,
        "stable_workload": found.stable_workload,
        "growth": found.growth,
    }


def _thinned(t: Floats) -> Ints:
    """Indices of at most ``POINTS`` points, the first and last among them."""
    if len(t) <= POINTS:
        return np.arange(len(t))
    return np.unique(np.linspace(0, len(t) - 1, POINTS).round().astype(np.int64))


def text(found: Mapping[str, Any], climbed: Mapping[str, Any] | None) -> str:
    """Tables for a person."""
    best, excess = found["optimum"], found["overload"]
    goal = best["workload"] if best else None
    if excess:
        lines = [
            f"overloaded: {number(excess['throughput'])} volume/s is the most that is carried; stable "
            f"({' '.join(excess['stable']) or 'none'}) with a workload of {number(excess['stable_workload'])} "
            "at the least"
        ]
    else:
        lines = [f"optimum: workload {number(goal, 7)}, mean latency {number(best['latency'])} s"]
    lines += ["", *_ends(found)]
    lines += ["", *_rows(found, goal)]
    if climbed:
        lines += ["", *_ladder(climbed)]
    return "\n".join(lines)


def _ends(found: Mapping[str, Any]) -> list[str]:
    rows = [
        [
            label,
            number(each["total"][-1], 6),
            "not at rest" if each["rest"] is None else number(each["rest"], 6),
            number(each.get("ratio"), 5),
            each["method"],
        ]
        for label, each in found["paths"].items()
    ]
    return table(["policy", "workload at the end", "at rest", "over the optimum", "by the"], rows)


def _rows(found: Mapping[str, Any], goal: float | None) -> list[str]:
    """Σ N at chosen times under each policy."""
    end = found["t"][-1]
    times = [end * (step / ROWS) ** 2 for step in range(ROWS + 1)]
    at = {
        label: np.interp(
            times, each["t"], each["total"], right=np.nan if each["rest"] is None else each["total"][-1]
        )
        for label, each in found["paths"].items()
    }
    rows = []
    for index, time in enumerate(times):
        first = next(iter(at.values()))[index]
        gap = "–" if goal is None else f"{abs(first / goal - 1.0):.1e}"
        rows.append([f"{time:.4g}", *(number(float(each[index]), 5) for each in at.values()), gap])
    return table(["t in s", *at, "first's gap"], rows)


def _ladder(climbed: Mapping[str, Any]) -> list[str]:
    rows = [
        [f"{1.0 + delta:g} times the rest", *(f"{time:.4g}" for time in times)]
        for delta, times in zip(climbed["deltas"], climbed["times"], strict=True)
    ]
    return [
        *table(["seconds, from", *(f"to {epsilon:.0e}" for epsilon in climbed["epsilons"])], rows),
        f"O(δ + log 1/ε): {number(climbed['per_delta'])} s for each δ, then e-fold in "
        f"{number(1.0 / climbed['rate'])} s (rate {number(climbed['rate'])}/s); "
        f"the fit explains {climbed['explained']:.1%}",
    ]
