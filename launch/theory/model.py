"""Runs in a model instead of in processes: what ``gmsr compare --model slotted|fluid`` plays.

Summaries have the fields of a process run that a model can give. Mean latency is ΣN over all jobs per second (Little).
Percentiles, messages and fidelity are none of a model's business. Nor are delays of edges: the optimum here is without
travel.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gmsr.topology.errors import RunError, UserError
from gmsr.topology.graph import Topology
from gmsr.topology.theory import fluid as fluid_limit
from gmsr.topology.theory import slotted as slots
from gmsr.topology.theory.capacity import fits
from gmsr.topology.theory.fleet import Floats, fleet, value
from gmsr.topology.theory.network import network, offered
from gmsr.topology.theory.optimum import NoOptimum, Overloaded, solve
from gmsr.topology.theory.travel import without_delays

from .. import plan
from ..choices import choose
from ..demand import demand, informed
from ..record import overload
from ..record.intervals import half_width
from ..show.progress import Progress
from .fluid import path
from .patience import interruptible

POINTS = 2000


def slotted(
    topology: Topology, options: plan.Options, _out: Path | None, _progress: Progress
) -> dict[str, Any]:
    """One run of the slotted model. Raises UserError on what the model does not know."""
    found = simulated(topology, options, points=POINTS)
    batches = found.batches[~np.isnan(found.batches)]
    rate = sum(demand(topology).rates.values())
    half = half_width(batches) / rate
    mean = float(found.mean.sum()) / rate
    workloads = dict(zip((each.id for each in topology.servers), found.mean.tolist(), strict=True))
    served = dict(zip(workloads, found.served.tolist(), strict=True))
    return _summary(topology, options, mean, [mean - half, mean + half], found.t, found.workload, served)


def fluid(
    topology: Topology, options: plan.Options, _out: Path | None, _progress: Progress
) -> dict[str, Any]:
    """One path of the fluid limit, from empty servers. Raises UserError on a policy that has none."""
    policy, ties = resolve(options.policy, fluid_limit.RULES, "fluid")
    if ties:
        raise UserError(
            f"--policies: {options.policy}: in the fluid limit ties share the flow; leave out 'ties'"
        )
    start = np.zeros(len(topology.servers))
    overloaded = not fits(topology, demand(topology).volume)
    try:
        found = path(topology, policy, start, options.duration, overloaded, options.seed)
    except ArithmeticError as error:
        raise RunError(f"{options.policy}: {error}") from error
    t, workload = np.array(found["t"]), np.array(list(found["workload"].values())).T
    rate = sum(demand(topology).rates.values())
    mean = float(mean_between(t, workload, options.warmup, options.duration).sum()) / rate
    curves = fleet(topology.servers)
    rates = np.array([[value(curves, j, n) for j, n in enumerate(row)] for row in workload])
    served = mean_between(t, rates, options.warmup, options.duration)
    names = [each.id for each in topology.servers]
    return _summary(
        topology, options, mean, [None, None], t, workload, dict(zip(names, served.tolist(), strict=True))
    )


def simulated(topology: Topology, options: plan.Options, **more: Any) -> slots.Slotted:
    """A run of the slotted model by the names and options of policies. Raises UserError, in one line."""
    policy, ties = resolve(options.policy, (*slots.policies(), "oracle"), "slotted")
    weights = None
    net = network(topology)
    if policy in ("static", "oracle"):
        system = informed(without_delays(topology)) if policy == "oracle" else topology
        weights = np.array([edge.weight for edge in system.edges])[net.order]
        policy = "static"
    curves, volume = fleet(topology.servers), offered(topology, demand(topology).volume)
    try:
        return interruptible(
            lambda: slots.simulate(
                net, curves, volume, policy, ties=ties or "inflight", weights=weights, scale=options.scale,
                duration=options.duration, warmup=options.warmup, seed=options.seed, **more,
            )
        )  # fmt: skip
    except ValueError as error:
        raise UserError(f"slotted model: {error}") from error


def resolve(text: str, known: Mapping[str, Any] | tuple[str, ...], model: str) -> tuple[str, str]:
    """A policy's name in a model, and its option ``ties``. Raises UserError if the model has no such policy."""
    choice = choose(text)
    name = text.partition(":")[0]
    if name not in known or set(choice.options) - {"ties"}:
        raise UserError(f"--policies: {text!r} is not in the {model} model; choose among {', '.join(known)}")
    return name, choice.options.get("ties", "")


def mean_between(t: Floats, values: Floats, begin: float, end: float) -> Floats:
    """Time averages (J,) of a path (K, J), linear between its points, over [begin, end]."""
    inside = np.unique(np.concatenate([[begin, end], t[(t > begin) & (t < end)]]))
    at = np.array([np.interp(inside, t, column) for column in values.T]).T
    return np.asarray(np.trapezoid(at, inside, axis=0) / (end - begin))


def _summary(
    topology: Topology,
    options: plan.Options,
    mean: float,
    ci95: list[float | None],
    t: Floats,
    workload: Floats,
    served: Mapping[str, float],
) -> dict[str, Any]:
    names = [each.id for each in topology.servers]
    between: Callable[[float, float], dict[str, float]] = lambda begin, end: dict(  # noqa: E731
        zip(names, mean_between(t, workload, begin, end).tolist(), strict=True)
    )
    volume = demand(topology).volume
    best, overloaded = _optimum(topology)
    excess = None
    if overloaded:
        system = topology._replace(scale=options.scale)
        excess = overload.compare(system, volume, served, between, options.warmup, options.duration)
    by_server = between(options.warmup, options.duration)
    return {
        "policy": options.policy,
        "latency": {"mean": mean, "ci95": ci95, "p99": None},
        "workload": {"mean": sum(by_server.values()), "by_server": by_server},
        "throughput": sum(served.values()),
        "optimum": best,
        "overload": excess,
        "valid": True,
        "warnings": [],
        "run_dir": None,
    }


def _optimum(topology: Topology) -> tuple[dict[str, float] | None, bool]:
    wanted = demand(topology)
    try:
        best = solve(topology, wanted.volume)
    except Overloaded:
        return None, True
    except NoOptimum as error:
        raise RunError(str(error)) from error
    return {"latency": best.workload / sum(wanted.rates.values()), "workload": best.workload}, False
