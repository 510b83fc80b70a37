"""The central optimum with travel: closed forms, conditions of optimality, other solvers, what refuses it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize  # type: ignore[import-untyped,unused-ignore]

from gmsr.launch.commands import compare, optimum, simulate
from gmsr.launch.demand import informed
from gmsr.topology import curves, generate
from gmsr.topology.errors import UserError
from gmsr.topology.graph import Dispatcher, Edge, Server, Topology
from gmsr.topology.theory import certificate, travel
from gmsr.topology.theory.balance import balance
from gmsr.topology.theory.capacity import load_factor
from gmsr.topology.theory.fleet import fleet
from gmsr.topology.theory.network import network, offered
from gmsr.topology.theory.optimum import NoOptimum, Optimum, solve
from gmsr.topology.theory.overload import decompose

METHODS = ("conic", "relaxation")


def two(near: curves.Curve, far: curves.Curve, delay: float) -> Topology:
    servers = (Server("near", near), Server("far", far))
    return Topology("t", (Dispatcher("d", 3.0),), servers, (Edge("d", "near"), Edge("d", "far", delay)))


def drawn(
    kind: str,
    family: str,
    dispatchers: int,
    servers: int,
    seed: int,
    *,
    load: float = 0.7,
    delay: float = 0.5,
) -> tuple[Topology, dict[str, float]]:
    """A random graph with random delays, of seconds to servers whose jobs take about as long, and its demand."""
    made = generate.generate(kind, dispatchers, servers, 2, seed, "uniform", family, 4.0)
    random = np.random.default_rng(seed)
    delays = delay * random.exponential(size=len(made.edges)) * (random.random(len(made.edges)) < 0.7)
    made = made._replace(
        edges=tuple(edge._replace(delay=float(d)) for edge, d in zip(made.edges, delays, strict=True))
    )
    rates = {each.id: each.rate for each in made.dispatchers}
    limit = load_factor(made, rates)
    return made, {name: rate * (load / limit if limit else 3.0) for name, rate in rates.items()}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [1.0, 2.0])
def test_two_servers_by_hand(method: str, size: float) -> None:
    """a = 4, b = 1: 1/μ′ = 4/(4−r)². At r = 2 and 1 that is 1 and 4/9: they share so if the way costs c = 5/9."""
    topology = two(curves.Hyperbolic(4, 1), curves.Hyperbolic(4, 1), 5 / 18 * size)
    found = solve(topology, {"d": 3.0}, method, job_size=size)
    assert found.throughput == pytest.approx({"near": 2.0, "far": 1.0}, rel=1e-4)
    assert found.workload == pytest.approx(1 + 1 / 3, rel=1e-4)
    assert found.travel == pytest.approx(5 / 9, rel=1e-4)
    assert found.total == pytest.approx(17 / 9, rel=1e-8)
    assert found.prices["d"] == pytest.approx(1.0, rel=1e-4)
    assert found.marginals == pytest.approx({"near": 1.0, "far": 9 / 4}, rel=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_a_kink_takes_the_price_of_who_travels(method: str) -> None:
    """The near core is full at r = 1, 1/μ′ from 1 up; what is left goes far, at 1/μ′ = 1 (r = 2) and c = 1."""
    topology = two(curves.Multicore(1, 1), curves.Hyperbolic(4, 1), 0.5)
    found = solve(topology, {"d": 3.0}, method, job_size=1.0)
    assert found.throughput == pytest.approx({"near": 1.0, "far": 2.0}, rel=1e-6)
    assert (found.workload, found.travel) == pytest.approx((2.0, 2.0), rel=1e-6)
    assert found.prices["d"] == pytest.approx(0.5, rel=1e-5)
    assert found.marginals == pytest.approx({"near": 0.5, "far": 1.0}, rel=1e-5)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("delay", [1.88, 50.0, 1e6])
def test_too_far_is_not_used(method: str, delay: float) -> None:
    """All 3 at the near one cost 4 a unit, the first at the far one 1/4 + 2τ: from τ = 15/8 on nobody travels."""
    topology = two(curves.Hyperbolic(4, 1), curves.Hyperbolic(4, 1), delay)
    found = solve(topology, {"d": 3.0}, method, job_size=1.0)
    assert found.total == pytest.approx(3.0, rel=1e-7)
    if method == "relaxation":
        assert found.flows == {"d": {"near": 3.0, "far": 0.0}}
        assert found.travel == 0.0
    nearer = solve(two(curves.Hyperbolic(4, 1), curves.Hyperbolic(4, 1), 1.87), {"d": 3.0}, job_size=1.0)
    assert nearer.flows["d"]["far"] > 0.0


def test_a_load_that_fills_all_cores() -> None:
    """Two dispatchers, two full servers: who goes where is a transport problem. d0 far: 2 + 1, d1 far: 1 + 3."""
    servers = (Server("s0", curves.Multicore(1, 2)), Server("s1", curves.Multicore(0.5, 2)))
    fronts = (Dispatcher("d0", 1.0), Dispatcher("d1", 2.0))
    edges = (Edge("d0", "s0"), Edge("d0", "s1", 0.5), Edge("d1", "s0"), Edge("d1", "s1", 1.5))
    topology = Topology("t", fronts, servers, edges)
    found = solve(topology, {"d0": 1.0, "d1": 2.0}, "relaxation", job_size=1.0)
    assert found.flows == {
        "d0": pytest.approx({"s0": 0.0, "s1": 1.0}),
        "d1": pytest.approx({"s0": 2.0, "s1": 0.0}),
    }
    assert (found.workload, found.travel) == pytest.approx((4.0, 1.0))


@pytest.mark.parametrize("seed", range(40))
def test_the_conditions_of_optimality_hold(seed: int) -> None:
    """Prices: yᵢ = min over j of 1/μⱼ′ + cᵢⱼ, flow only where it is attained, on the figures that are handed out."""
    families, kinds = [*generate.CURVES, "mixed"], ["random", "tree", "zones", "k-nearest", "complete"]
    topology, volume = drawn(
        kinds[seed % len(kinds)], families[seed % len(families)], 1 + seed % 12, 1 + seed % 9, seed,
        load=(0.3, 0.8, 0.97, 0.999)[seed % 4], delay=10.0 ** (seed % 5 - 3),
    )  # fmt: skip
    size = 0.5 + seed % 3
    found = solve(topology, volume, "relaxation", job_size=size)
    assert found.residual < 1e-8
    check_conditions(topology, volume, size, found)


def check_conditions(topology: Topology, volume: dict[str, float], size: float, found: Optimum) -> None:
    within = 1e-6
    carried, under_way = dict.fromkeys(found.workloads, 0.0), 0.0
    for edge in topology.edges:
        rate, cost = found.flows[edge.dispatcher][edge.server], 2.0 * edge.delay / size
        assert rate >= 0.0
        carried[edge.server] += rate
        under_way += rate * cost
        here, price = 1.0 / found.marginals[edge.server] + cost, 1.0 / found.prices[edge.dispatcher]
        if volume[edge.dispatcher]:
            assert here >= price * (1.0 - within), "nobody has a cheaper server"
        if rate > 1e-9 * volume[edge.dispatcher]:
            assert here <= price * (1.0 + within), "what is used is cheapest"
    assert found.travel == pytest.approx(under_way, rel=1e-9)
    for dispatcher, flow in found.flows.items():
        assert sum(flow.values()) == pytest.approx(volume[dispatcher], rel=within)
    for each in topology.servers:
        n, marginal, near = found.workloads[each.id], found.marginals[each.id], 1e-7
        assert carried[each.id] == pytest.approx(
            each.curve.value(n), rel=within, abs=within * sum(volume.values())
        )
        assert marginal >= each.curve.slope(n + near * (1.0 + n)) * (1.0 - within)
        if n > near * (1.0 + n):
            assert marginal <= each.curve.slope(n - near * (1.0 + n)) * (1.0 + within)


@pytest.mark.slow
@given(
    st.sampled_from([*generate.CURVES, "mixed"]), st.integers(1, 8), st.integers(1, 8), st.integers(0, 10**6),
    st.sampled_from([0.01, 0.3, 5.0]),
)  # fmt: skip
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_conic_solver_agrees(
    family: str, dispatchers: int, servers: int, seed: int, delay: float
) -> None:
    topology, volume = drawn("random", family, dispatchers, servers, seed, delay=delay)
    both = solve(topology, volume, job_size=1.0)
    assert both.agreement is not None and both.agreement < 1e-6


@pytest.mark.parametrize("seed", range(6))
def test_without_delays_it_is_the_old_optimum(seed: int) -> None:
    topology, volume = drawn("random", [*generate.CURVES, "mixed"][seed], 6, 5, seed, delay=0.0)
    exact = solve(topology, volume, "balance")
    assert solve(topology, volume, "balance", job_size=3.0) == exact
    same = solve(topology, volume, "relaxation", job_size=3.0)
    assert same.workload == pytest.approx(exact.workload, rel=1e-9)
    assert (same.travel, exact.travel) == (0.0, 0.0)
    delayed = travel.without_delays(drawn("random", "mixed", 6, 5, seed)[0])
    assert not travel.delayed(delayed)


@pytest.mark.parametrize("family", ["hyperbolic", "exponential", "logarithmic", "power"])
@pytest.mark.parametrize("seed", range(3))
def test_a_general_solver_agrees(family: str, seed: int) -> None:
    """SLSQP on the plain formulation, from the flows that ignore travel."""
    topology, volume = drawn("complete", family, 2, 3, seed, delay=0.3)
    servers = {each.id: index for index, each in enumerate(topology.servers)}
    at = np.array([servers[edge.server] for edge in topology.edges])
    cost = np.array([2.0 * edge.delay for edge in topology.edges])

    def total(flow: Any) -> float:
        carried = np.bincount(at, np.maximum(flow, 0.0), len(servers))
        return float(sum(s.curve.inverse(min(r, 0.999999 * s.curve.cap))
                         for s, r in zip(topology.servers, carried, strict=True)) + cost @ flow)  # fmt: skip

    blind = solve(topology, volume, "balance").flows
    start = np.array([blind[edge.dispatcher][edge.server] for edge in topology.edges])
    meets = [
        {"type": "eq", "fun": lambda flow, own=own, rate=rate: flow[own].sum() - rate}
        for name, rate in volume.items()
        for own in [[k for k, edge in enumerate(topology.edges) if edge.dispatcher == name]]
    ]
    other = minimize(
        total, start, method="SLSQP", bounds=[(0.0, None)] * len(start), constraints=meets,
        options={"ftol": 1e-13, "maxiter": 1000},
    )  # fmt: skip
    found = solve(topology, volume, "relaxation", job_size=1.0)
    assert found.total <= total(start) * (1.0 + 1e-9)
    assert found.total == pytest.approx(other.fun, rel=1e-5)


@given(st.integers(0, 10**6), st.floats(0.2, 5.0), st.floats(0.0, 1.0))
@settings(max_examples=30, deadline=None)
def test_the_certificate_bounds_the_excess(seed: int, factor: float, share: float) -> None:
    """Whatever the prices: of flows that ignore travel, or nearly."""
    topology, volume = drawn("random", "mixed", 5, 4, seed)
    net, plain, wanted = network(topology), fleet(topology.servers, smoothed=False), offered(topology, volume)
    cost = travel.costs(topology, net, 1.0)
    best, prices = travel.relax(net, plain, wanted, cost)
    blind = balance(net, plain, wanted)

    def judged(flow: Any, price: Any) -> tuple[float, float]:
        carried = np.bincount(net.server, flow, minlength=len(topology.servers))
        n = np.array(
            [s.curve.inverse(min(r, s.curve.cap)) for s, r in zip(topology.servers, carried, strict=True)]
        )
        residuals = certificate.check(net, plain, wanted, cost, flow, n, price)
        return float(n.sum() + cost @ flow), residuals.excess

    least, proven = judged(best, prices)
    assert proven < 1e-8
    for price in (prices, blind.key, prices * factor):
        total, bound = judged(share * best + (1.0 - share) * blind.flow, price)
        assert (total - least) / total <= bound + 1e-9


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.floats(1e-3, 10.0), st.sampled_from([0.5, 0.95]))
@settings(max_examples=30, deadline=None)
def test_more_delay_is_never_better(seed: int, which: int, more: float, load: float) -> None:
    """The least total rises with each delay, and by no more than its present users would lose."""
    topology, volume = drawn("random", "mixed", 5, 4, seed, load=load)
    edge = topology.edges[which % len(topology.edges)]
    farther = topology._replace(
        edges=tuple(
            each._replace(delay=each.delay + more) if each == edge else each for each in topology.edges
        )
    )
    before, after = (solve(each, volume, "relaxation", job_size=1.0) for each in (topology, farther))
    lost = 2.0 * more * before.flows[edge.dispatcher][edge.server]
    assert before.total * (1.0 - 1e-9) <= after.total <= (before.total + lost) * (1.0 + 1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "family", "load"), [
    ("random", "hyperbolic", 0.8), ("random", "multicore", 0.95), ("k-nearest", "mixed", 0.95), ("tree", "mixed", 0.9),
])  # fmt: skip
def test_a_large_graph_is_certified(kind: str, family: str, load: float) -> None:
    topology, volume = drawn(kind, family, 1000, 1000, 1, load=load)
    found = solve(topology, volume, "relaxation", job_size=1.0)
    assert found.residual < 1e-8 and found.travel > 0.0
    check_conditions(topology, volume, 1.0, found)


def test_overload_knows_no_travel() -> None:
    topology, volume = drawn("random", "hyperbolic", 6, 5, 1, load=1.2)
    assert decompose(topology, volume) == decompose(travel.without_delays(topology), volume)
    with pytest.raises(NoOptimum, match="overloaded"):
        solve(topology, volume, job_size=1.0)


def test_what_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    topology, volume = drawn("random", "hyperbolic", 4, 4, 1)
    with pytest.raises(NoOptimum, match=r"^the balance method knows no travel"):
        solve(topology, volume, "balance", job_size=1.0)
    known = solve(topology, volume, "conic", job_size=1.0)

    def fails(*_: object) -> None:
        raise travel.NoPrices("prices did not settle")

    monkeypatch.setattr(travel, "relax", fails)
    with pytest.raises(NoOptimum, match=r"^the relaxation failed: prices did not settle$"):
        solve(topology, volume, "relaxation", job_size=1.0)
    assert solve(topology, volume, job_size=1.0) == known, "the other method stands in"


def test_an_oracle_travels_as_the_optimum_does() -> None:
    topology = two(curves.Hyperbolic(4, 1), curves.Hyperbolic(4, 1), 5 / 18)
    assert [edge.weight for edge in informed(topology).edges] == pytest.approx([2.0, 1.0], rel=1e-3)
    blind = informed(travel.without_delays(topology))
    assert [edge.weight for edge in blind.edges] == pytest.approx([1.5, 1.5], rel=1e-3)


FILE = """
dispatchers: [{id: d, rate: 3}]
servers: [{id: near, curve: {kind: hyperbolic, a: 4, b: 1}}, {id: far, curve: {kind: hyperbolic, a: 4, b: 1}}]
edges: [[d, near], {from: d, to: far, delay: 0.2777777777777778}]
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "two.yaml"
    made.write_text(FILE)
    return made


def call(command: Any, *arguments: object) -> str:
    ended = CliRunner().invoke(command, [str(each) for each in arguments], catch_exceptions=False)
    assert ended.exit_code == 0, ended.output
    return ended.stdout


@pytest.mark.slow
def test_the_command_tells_travel(path: Path) -> None:
    found = json.loads(call(optimum.command, path, "--json"))
    assert (found["latency"], found["travel"]) == pytest.approx((17 / 27, 5 / 27), rel=1e-4)
    assert found["workload"] == pytest.approx(4 / 3, rel=1e-4)
    told = call(optimum.command, path)
    assert (
        "mean latency 0.6296 s, 0.1852 s of it travel, workload 1.33" in told and "two methods agree" in told
    )
    over = json.loads(call(optimum.command, path, "--load", "1.5", "--json"))
    assert over["overloaded"] is True and "travel" not in over
    with pytest.raises(UserError, match=r"^--method: balance knows no travel"):
        call(optimum.command, path, "--method", "balance")
    with pytest.raises(UserError, match=r"^--sensitivity: it knows no travel"):
        call(optimum.command, path, "--sensitivity")
    assert "sensitivity" in json.loads(
        call(optimum.command, path, "--load", "1.5", "--sensitivity", "--json")
    )


@pytest.mark.slow
def test_runs_are_beside_the_optimum_with_travel_and_models_beside_the_one_without(
    path: Path, tmp_path: Path
) -> None:
    run = json.loads(call(
        simulate.command, path, "--policy", "oracle", "--scale", 100, "--duration", 40, "--out", tmp_path / "run",
        "--json",
    ))  # fmt: skip
    assert run["optimum"] == pytest.approx(
        {"latency": 17 / 27, "travel": 5 / 27, "workload": 4 / 3}, rel=1e-4
    )
    assert run["ratio"] == pytest.approx(1.0, abs=0.08), "at n = 100, with the optimum's own split"
    found = json.loads(call(compare.command, path, "--model", "fluid", "--policies", "gmsr,oracle", "--json"))
    assert [each["ratio_to_optimum"] for each in found["policies"].values()] == pytest.approx(
        [1.0, 1.0], rel=0.1
    )
