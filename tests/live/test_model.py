"""Whole testbeds of real processes against exact theory.

Time averages are compared within intervals that a correct program leaves less than once in a thousand runs:
4.5 standard errors each, where up to 36 figures are compared at once. The standard error comes from theory
where sizes are exponential (``chains.Chain.asymptotic_variance``), and elsewhere from the run's batch means.
"""

from itertools import pairwise
from math import sqrt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linprog, minimize

from gmsr.launch.bench.chains import CASES, PACE, PARETO_RATIO, SCALE, pairs
from gmsr.launch.plan import Options
from gmsr.topology.curves import Hyperbolic
from gmsr.topology.generate import generate, with_rates
from gmsr.topology.graph import Sizes, Topology
from gmsr.topology.theory.capacity import load_factor
from gmsr.topology.theory.chains import chain

from .faithful import faithful

pytestmark = [pytest.mark.live, pytest.mark.slow]

SIGMAS = 4.5
LATE = 0.05
"""What the product itself still calls a machine that was large enough, as a share of the mean latency."""


def batch_error(run_dir: Path, server: str, begin: float, end: float, batches: int = 20) -> float:
    """Standard error of the time average of jobs at a server, by batch means over time."""
    visits = pd.read_parquet(run_dir / "visits.parquet")
    visits = visits[visits["server"] == server]
    arrived, departed = visits["arrived"].to_numpy(), visits["departed"].fillna(np.inf).to_numpy()
    edges = np.linspace(begin, end, batches + 1)
    means = [
        np.maximum(np.minimum(departed, right) - np.maximum(arrived, left), 0.0).sum() / (right - left)
        for left, right in pairwise(edges)
    ]
    return float(np.std(means, ddof=1)) / sqrt(batches)


@pytest.mark.parametrize("kind", ["exponential", "deterministic", "bounded-pareto"])
def test_one_real_server_is_its_birth_death_chain(tmp_path: Path, kind: str) -> None:
    """Six curve kinds at two loads; the law of sizes makes no difference (insensitivity)."""
    topology = pairs(Sizes(kind, ratio=PARETO_RATIO))
    duration, warmup = 20.0 * PACE, 3.0 * PACE
    options = Options("random", "every-change", duration, warmup, 7, SCALE, PACE)
    folder, summary = faithful(topology, options, tmp_path, (PACE, PACE, PACE / 2.0), LATE)
    rates = [rate for _, rates in CASES for rate in rates]
    for server, rate in zip(topology.servers, rates, strict=True):
        exact = chain(server.curve, rate * SCALE, SCALE)
        jobs = summary["workload"]["by_server"][server.id] * SCALE
        error = batch_error(folder, server.id, warmup, duration)
        if kind == "exponential":
            error = max(error, sqrt(exact.asymptotic_variance / (duration - warmup)))
        # Batches of a few relaxation times are still correlated: their error is too small by up to a third.
        assert abs(jobs - exact.jobs) < SIGMAS * 1.5 * error, server
        latency = summary["by_dispatcher"]["d" + server.id[1:]]["latency"]["mean"]
        overhead = summary["fidelity"]["lateness"]["p99"] * 2
        assert abs(latency - exact.latency) < SIGMAS * 1.5 * error / (rate * SCALE) + overhead, server


def test_static_routing_makes_every_server_a_chain_of_its_own(tmp_path: Path) -> None:
    """5 × 10 with unequal probabilities: exact means for the whole graph (MODEL section 8)."""
    made = generate("random", 5, 10, 4, 3, "uniform", "mixed", 3.0)
    edges = tuple(edge._replace(weight=1.0 + index % 3) for index, edge in enumerate(made.edges))
    topology = made._replace(edges=edges)
    flows = split(topology)
    heaviest = max(
        flow / server.curve.cap
        for server, flow in zip(topology.servers, flows, strict=True)
        if server.curve.cap < 1e9
    )
    topology = with_rates(topology, 0.7 / heaviest)
    flows = split(topology)
    scale, pace, duration, warmup = 10.0, 4.0, 100.0, 20.0
    options = Options("static", "every-change", duration, warmup, 5, scale, pace)
    _, summary = faithful(topology, options, tmp_path, (pace, pace, pace / 2.0), LATE)
    for server, flow in zip(topology.servers, flows, strict=True):
        exact = chain(server.curve, flow * scale, scale)
        jobs = summary["workload"]["by_server"][server.id] * scale
        error = sqrt(exact.asymptotic_variance / (duration - warmup))
        assert abs(jobs - exact.jobs) < SIGMAS * error, server


def split(topology: Topology) -> list[float]:
    """Jobs a second (at scale 1) that ``static`` sends to each server."""
    arriving = {server.id: 0.0 for server in topology.servers}
    for dispatcher in topology.dispatchers:
        own = topology.servers_of(dispatcher.id)
        total = sum(edge.weight for edge in own)
        for edge in own:
            arriving[edge.server] += dispatcher.rate * edge.weight / total
    return list(arriving.values())


def test_gmsr_reaches_the_central_optimum_at_scale_100(tmp_path: Path) -> None:
    """5 × 10 unequal hyperbolic servers at 80 % load: mean latency within 5 % of the planner's."""
    made = generate("random", 5, 10, 4, 3, "uniform", "hyperbolic", 4.0)
    rates = {dispatcher.id: dispatcher.rate for dispatcher in made.dispatchers}
    # A fifth of the family's b: the same loads at a fifth of the latency, so that 30 s are long.
    servers = tuple(
        server._replace(curve=Hyperbolic(server.curve.cap, server.curve.describe()["b"] / 5.0))
        for server in made.servers
    )
    topology = with_rates(made._replace(servers=servers), 0.8 / load_factor(made, rates))
    best = planner(topology)
    options = Options("gmsr", "every-change", duration=26.0, warmup=8.0, scale=100.0)
    _, summary = faithful(topology, options, tmp_path, (1.0, 0.5, 0.2), 0.01)
    assert summary["optimum"]["latency"] == pytest.approx(best, rel=1e-4), "our own optimum agrees"
    assert summary["latency"]["mean"] < 1.05 * best
    assert summary["latency"]["mean"] > 0.97 * best, "nor can it be much better: the optimum is a bound"


def planner(topology: Topology) -> float:
    """The optimal mean latency by a general solver (SLSQP on the flows): not the product's own way."""
    servers = {server.id: index for index, server in enumerate(topology.servers)}
    a = np.array([server.curve.cap for server in topology.servers])
    b = np.array([server.curve.describe()["b"] for server in topology.servers])
    columns = np.array([servers[edge.server] for edge in topology.edges])
    rates = np.array([dispatcher.rate for dispatcher in topology.dispatchers])
    rows = np.array([[d.id for d in topology.dispatchers].index(edge.dispatcher) for edge in topology.edges])

    def workload(flow: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
        carried = np.minimum(np.bincount(columns, flow, minlength=len(a)), 0.9999 * a)
        return float(np.sum(b * carried / (a - carried)))

    constraints = [
        {"type": "eq", "fun": lambda flow: np.bincount(rows, flow, minlength=len(rates)) - rates},
        {"type": "ineq", "fun": lambda flow: 0.999 * a - np.bincount(columns, flow, minlength=len(a))},
    ]
    into = np.array([[float(column == server) for column in columns] for server in range(len(a))])
    out = np.array([[float(row == dispatcher) for row in rows] for dispatcher in range(len(rates))])
    start = linprog(np.zeros(len(columns)), A_ub=into, b_ub=0.85 * a, A_eq=out, b_eq=rates).x  # at 80 % load
    found = minimize(
        workload, start, bounds=[(0.0, None)] * len(columns), constraints=constraints,
        options={"maxiter": 2000, "ftol": 1e-12},
    )  # fmt: skip
    assert found.success, found.message
    return float(found.fun) / float(rates.sum())
