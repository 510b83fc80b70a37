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
from gmsr.topology.theory.capacity import load_factor
from gmsr.topology.theory.chains import chain
from gmsr.topology.theory.optimum import NoOptimum, Optimum, solve


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
    st.sampled_from(["random", "tree", "zones", "k-nearest"]),
    st.sampled_from([*generate.CURVES, "mixed"]),
    st.integers(1, 8),
    st.integers(1, 8),
    st.floats(0.05, 0.95),
    st.integers(0, 10**6),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_conditions_of_optimality_hold(
    kind: str, family: str, dispatchers: int, servers: int, load: float, seed: int
) -> None:
    """On random graphs of all curve kinds: checked here anew, on the figures that are handed out."""
    made = generate.generate(kind, dispatchers, servers, 2, seed, "uniform", family, 4.0)
    rates = {dispatcher.id: dispatcher.rate for dispatcher in made.dispatchers}
    limit = load_factor(made, rates)
    volume = {name: rate * (load / limit if limit else load * 5) for name, rate in rates.items()}
    found = solve(made, volume)
    assert found.residual < 1e-5
    total = sum(volume.values())
    carried = dict.fromkeys(found.workloads, 0.0)
    for dispatcher, flow in found.flows.items():
        assert sum(flow.values()) == pytest.approx(volume[dispatcher], rel=1e-6)
        for server, rate in flow.items():
            assert rate >= 0.0
            carried[server] += rate
    for each in made.servers:
        assert carried[each.id] <= each.curve.value(found.workloads[each.id]) + 1e-6 * total
    # No direction improves: shifting a little flow between any two servers of a dispatcher costs workload.
    for flow in found.flows.values():
        for giver in flow:
            shift = min(flow[giver], 1e-4 * total)
            for taker in flow:
                if taker != giver and shift > 1e-5 * total:
                    gain = _cost(made, giver, carried[giver]) - _cost(made, giver, carried[giver] - shift)
                    loss = _cost(made, taker, carried[taker] + shift) - _cost(made, taker, carried[taker])
                    assert loss >= gain * (1 - 1e-2) - 1e-7 * found.workload


def _cost(topology: Topology, server: str, rate: float) -> float:
    curve = next(each.curve for each in topology.servers if each.id == server)
    if rate > curve.cap * (1 + 1e-9):
        return float("inf")
    return curve.inverse(min(max(rate, 0.0), curve.cap))


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
        assert solve(topology, demand(topology).volume).residual < 1e-5
