"""The central optimum and the exact chains, against closed forms and other solvers."""

from math import factorial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gmsr.launch import packaged
from gmsr.launch.demand import demand
from gmsr.topology import curves, files, generate
from gmsr.topology.graph import Dispatcher, Edge, Server, Topology
from gmsr.topology.theory import conic
from gmsr.topology.theory.capacity import load_factor
from gmsr.topology.theory.chains import chain
from gmsr.topology.theory.optimum import NoOptimum, Optimum, Overloaded, solve
from gmsr.topology.theory.overload import decompose, part


def one(curve: curves.Curve, rate: float) -> Optimum:
    topology = Topology("t", (Dispatcher("d", rate),), (Server("s", curve),), (Edge("d", "s"),))
    return solve(topology, {"d": rate})


@pytest.mark.parametrize(
    "curve",
    [
        curves.Hyperbolic(4, 2), curves.Exponential(3, 1.5), curves.Multicore(1, 4), curves.Power(1, 0.5),
        curves.Logarithmic(2, 1), curves.Table([[1, 1.0], [4, 2.5], [8, 3.0]]),
    ],
)  # fmt: skip
def test_one_server_is_its_inverse(curve: curves.Curve) -> None:
    assert one(curve, 1.7).workload == pytest.approx(curve.inverse(1.7), rel=1e-6)


def test_identical_servers_share_equally() -> None:
    servers = tuple(Server(f"s{j}", curves.Hyperbolic(4, 2)) for j in range(3))
    dispatchers = (Dispatcher("d0", 2.0), Dispatcher("d1", 4.0))
    edges = tuple(Edge(d.id, s.id) for d in dispatchers for s in servers)
    found = solve(Topology("t", dispatchers, servers, edges), {"d0": 2.0, "d1": 4.0})
    assert list(found.workloads.values()) == pytest.approx([2.0] * 3, rel=1e-4)
    assert found.workload == pytest.approx(6.0, rel=1e-6)
    assert list(found.prices.values()) == pytest.approx([0.5] * 2, rel=1e-4)


def test_two_servers_by_hand() -> None:
    """Pigou's example at its optimum (MODEL section 10): a = b = λ = 1, ample server of rate m."""
    m = 0.04
    servers = (Server("ample", curves.Multicore(m, 1000)), Server("quick", curves.Hyperbolic(1, 1)))
    topology = Topology("t", (Dispatcher("d", 1.0),), servers, (Edge("d", "ample"), Edge("d", "quick")))
    assert solve(topology, {"d": 1.0}).workload == pytest.approx(2 / m**0.5 - 1, rel=1e-6)


def test_the_kinked_example() -> None:
    """MODEL section 5: N = (6, 8, 4, 0), which needs supergradients at two kinks."""
    topology = files.load(packaged.path("kinked")).topology
    found = solve(topology, demand(topology).volume)
    assert list(found.workloads.values()) == pytest.approx([6, 8, 4, 0], abs=1e-4)
    assert found.marginals["s2"] == pytest.approx(found.prices["d1"])


def test_overload_has_no_optimum() -> None:
    with pytest.raises(NoOptimum, match="overloaded"):
        one(curves.Hyperbolic(4, 2), 4.0)
    with pytest.raises(NoOptimum, match="overloaded"):
        one(curves.Multicore(1, 4), 4.1)
    assert one(curves.Multicore(1, 4), 4.0).workload == pytest.approx(4.0)
    with pytest.raises(NoOptimum, match="nothing"):
        one(curves.Multicore(1, 4), 0.0)


@given(
    st.sampled_from(["random", "tree", "zones", "k-nearest", "complete", "power-law"]),
    st.sampled_from([*generate.CURVES, "mixed"]),
    st.integers(1, 12),
    st.integers(1, 12),
    st.sampled_from([0.05, 0.3, 0.7, 0.9, 0.99, 0.999, 1.2]),
    st.integers(0, 10**6),
)
@settings(max_examples=220, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_conditions_of_optimality_hold(
    kind: str, family: str, dispatchers: int, servers: int, load: float, seed: int
) -> None:
    """On random graphs of all curve kinds: MODEL section 4, checked anew on the figures that are handed out."""
    made = generate.generate(kind, dispatchers, servers, 2, seed, "uniform", family, 4.0)
    rates = {dispatcher.id: dispatcher.rate for dispatcher in made.dispatchers}
    limit = load_factor(made, rates)
    volume = {name: rate * (load / limit if limit else load * 5) for name, rate in rates.items()}
    if limit and load > 1.0:  # overload: the conditions hold on what stays stable
        with pytest.raises(Overloaded):
            solve(made, volume, "balance")
        kept = decompose(made, volume)
        if kept.optimum is None:
            return
        found = kept.optimum
        made = part(made, found.flows, kept.stable)
        volume = {name: volume[name] for name in found.flows}
    else:
        found = solve(made, volume, "balance")
    assert found.residual < 1e-6
    check_conditions(made, volume, found, 1e-6)


def check_conditions(topology: Topology, volume: dict[str, float], found: Optimum, within: float) -> None:
    """Flows add up, nothing overflows, one supergradient a server, and all go where it is largest."""
    total = sum(volume.values())
    carried = dict.fromkeys(found.workloads, 0.0)
    for dispatcher, flow in found.flows.items():
        assert sum(flow.values()) == pytest.approx(volume[dispatcher], rel=within)
        for server, rate in flow.items():
            assert rate >= 0.0
            carried[server] += rate
    for each in topology.servers:
        n, marginal = found.workloads[each.id], found.marginals[each.id]
        assert carried[each.id] <= each.curve.value(n) + within * total
        near = 1e-7 * (1.0 + n)
        assert marginal >= each.curve.slope(n + near) * (1 - within)
        if n > near:
            assert marginal <= each.curve.slope(n - near) * (1 + within)
    for dispatcher, flow in found.flows.items():
        best = max(found.marginals[server] for server in flow)
        for server, rate in flow.items():
            if rate > 1e-9 * volume[dispatcher]:
                assert found.marginals[server] >= best * (1 - within)


@given(
    st.sampled_from([*generate.CURVES, "mixed"]), st.integers(1, 8), st.integers(1, 8), st.integers(0, 10**6)
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_two_methods_agree(family: str, dispatchers: int, servers: int, seed: int) -> None:
    """A conic solver, which knows nothing of the method made for this problem, finds the same workload."""
    made = generate.generate("random", dispatchers, servers, 2, seed, "uniform", family, 4.0)
    rates = {dispatcher.id: dispatcher.rate for dispatcher in made.dispatchers}
    limit = load_factor(made, rates)
    volume = {name: rate * (0.7 / limit if limit else 4.0) for name, rate in rates.items()}
    conic, exact, both = (solve(made, volume, method) for method in ("conic", "balance", "auto"))
    assert conic.workload == pytest.approx(exact.workload, rel=1e-6)
    assert both.residual == min(conic.residual, exact.residual)
    assert both.agreement is not None and both.agreement < 1e-6


def test_multicore_ties_share_a_price() -> None:
    """Below their caps equal cores cost the same: any split is optimal, and ΣN is demand over m."""
    servers = tuple(Server(f"s{j}", curves.Multicore(0.5, k)) for j, k in enumerate((4, 8, 16)))
    fronts = (Dispatcher("d0", 3.0), Dispatcher("d1", 2.0))
    topology = Topology("t", fronts, servers, tuple(Edge(d.id, s.id) for d in fronts for s in servers))
    found = solve(topology, {"d0": 3.0, "d1": 2.0})
    assert found.workload == pytest.approx(10.0, rel=1e-9)
    assert list(found.prices.values()) == pytest.approx([0.5, 0.5])
    check_conditions(topology, {"d0": 3.0, "d1": 2.0}, found, 1e-6)


def test_parts_of_a_graph_have_prices_of_their_own() -> None:
    """A crowded island keeps its high cost; an edge from the other side into it stays unused."""
    servers = (Server("s0", curves.Hyperbolic(2.0, 1.0)), Server("s1", curves.Hyperbolic(4.0, 1.0)))
    fronts = (Dispatcher("d0", 1.8), Dispatcher("d1", 0.5))
    topology = Topology("t", fronts, servers, (Edge("d0", "s0"), Edge("d1", "s0"), Edge("d1", "s1")))
    found = solve(topology, {"d0": 1.8, "d1": 0.5}, "balance")
    assert found.flows["d1"] == pytest.approx({"s0": 0.0, "s1": 0.5})
    assert found.prices["d0"] < found.prices["d1"]
    assert found.workload == pytest.approx(1.8 / 0.2 + 0.5 / 3.5, rel=1e-12)


def test_a_large_graph_is_certified() -> None:
    """1,000 × 1,000 with degree 10: beyond the conic solver's size, by the method made for it."""
    made = generate.generate("random", 1000, 1000, 10, 1, "uniform", "hyperbolic", 4.0)
    rates = {dispatcher.id: dispatcher.rate for dispatcher in made.dispatchers}
    limit = load_factor(made, rates)
    volume = {name: rate * 0.8 / limit for name, rate in rates.items()}
    found = solve(made, volume)
    assert (found.method, found.agreement) == ("balance", None)
    assert found.residual < 1e-9
    check_conditions(made, volume, found, 1e-6)


def test_a_failed_solver_is_reported_never_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    topology = files.load(packaged.path("n-shaped")).topology

    def fails(*_: object) -> None:
        raise conic.SolverFailed("infeasible or so")

    monkeypatch.setattr(conic, "solve", fails)
    with pytest.raises(NoOptimum, match=r"^the conic solver failed: infeasible or so$"):
        solve(topology, demand(topology).volume, "conic")
    assert solve(topology, demand(topology).volume).agreement is None, "the other method stands in"

    def lies(*_: object) -> object:
        return np.array([2.0, 0.0, 1.5]) * 0.999, np.array([1.0, 1.0])

    monkeypatch.setattr(conic, "solve", lies)
    with pytest.raises(NoOptimum, match=r"exceed it by a share of .*, its flows miss the demand by 5.7e-04$"):
        solve(topology, demand(topology).volume, "conic")


@pytest.mark.parametrize("load", [0.3, 0.8, 0.95])
def test_m_m_1(load: float) -> None:
    exact = chain(curves.Multicore(1.0, 1), load)
    assert exact.jobs == pytest.approx(load / (1 - load))
    assert exact.variance == pytest.approx(load / (1 - load) ** 2)
    assert exact.utilisation == pytest.approx(load)
    # Daley, "The serial correlation coefficients of waiting times", and others: the time average's variance.
    assert exact.asymptotic_variance == pytest.approx(2 * load * (1 + load) / (1 - load) ** 4, rel=1e-6)


@pytest.mark.parametrize(("servers", "load"), [(2, 0.5), (4, 0.8), (16, 0.9)])
def test_m_m_k_by_erlang(servers: int, load: float) -> None:
    offered = servers * load
    tail = offered**servers / factorial(servers) / (1 - load)
    wait = tail / (sum(offered**k / factorial(k) for k in range(servers)) + tail)
    exact = chain(curves.Multicore(1.0, servers), offered)
    assert exact.jobs == pytest.approx(offered + wait * load / (1 - load))
    assert exact.latency == pytest.approx(exact.jobs / offered)


def test_infinite_servers_are_poisson() -> None:
    exact = chain(curves.Multicore(1.0, 10_000), 7.0)
    assert exact.jobs == pytest.approx(7.0)
    assert exact.variance == pytest.approx(7.0)


def test_scale_and_size_only_change_units() -> None:
    curve = curves.Hyperbolic(4, 2)
    assert chain(curve, 30.0, scale=10.0).jobs == pytest.approx(chain(curves.Hyperbolic(40, 20), 30.0).jobs)
    assert chain(curve, 3.0, mean_size=0.5).jobs == pytest.approx(chain(curves.Hyperbolic(8, 2), 3.0).jobs)
    fluid = curve.inverse(3.0)
    assert chain(curve, 3.0 * 3000, scale=3000.0).jobs / 3000 == pytest.approx(fluid, rel=0.01)


@given(st.floats(0.1, 0.97), st.floats(0.5, 20.0), st.floats(0.1, 5.0))
@settings(deadline=None)
def test_flow_balance(load: float, a: float, b: float) -> None:
    """In the stationary law as many jobs leave as arrive."""
    curve = curves.Exponential(a, b)
    exact = chain(curve, load * a)
    leaving = float(np.dot(exact.probabilities, [curve.value(q) for q in range(len(exact.probabilities))]))
    assert leaving == pytest.approx(load * a, rel=1e-6)


def test_what_cannot_be_carried_is_refused() -> None:
    with pytest.raises(ValueError, match="too many"):
        chain(curves.Hyperbolic(4, 2), 4.0)
    with pytest.raises(ValueError, match="no load"):
        chain(curves.Hyperbolic(4, 2), 0.0)
    with pytest.raises(ValueError, match="too close to the cap"):
        chain(curves.Hyperbolic(4, 2), 4.0 * (1 - 1e-9))


def test_the_file_is_found(tmp_path: Path) -> None:
    """Every packaged example has an optimum that is certified."""
    for name in packaged.titles():
        topology = files.load(packaged.path(name)).topology
        volume = demand(topology).volume
        if name.startswith("overloaded"):
            assert decompose(topology, volume).throughput < sum(volume.values())
        else:
            assert solve(topology, volume).residual < 1e-6
