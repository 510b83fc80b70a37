"""The fluid limit against differential equations, a brute explicit scheme, the optimum and the overload classes."""

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from gmsr.launch import packaged
from gmsr.launch.demand import demand, smoothed
from gmsr.topology import curves, files, generate
from gmsr.topology.graph import Dispatcher, Edge, Server, Topology
from gmsr.topology.theory import speed
from gmsr.topology.theory.capacity import load_factor
from gmsr.topology.theory.fleet import Fleet, Floats, fleet, marginal, value
from gmsr.topology.theory.fluid import FASTEST, FIXED, integrate, rest, shares, undecided
from gmsr.topology.theory.keys import FEWEST, MARGINAL, QUICKEST
from gmsr.topology.theory.network import Network, network, offered
from gmsr.topology.theory.optimum import solve
from gmsr.topology.theory.overload import decompose

pytestmark = pytest.mark.slow

PATIENT = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def system(topology: Topology, smoothing: bool = True) -> tuple[Network, Fleet, Floats]:
    volume = demand(topology).volume
    return network(topology), fleet(topology.servers, smoothing), offered(topology, volume)


def at_load(made: Topology, load: float) -> Topology:
    limit = load_factor(made, {each.id: each.rate for each in made.dispatchers})
    return generate.with_rates(made, load / limit if limit else 3.0 * load)


SHAPES = (
    st.sampled_from(["random", "tree", "zones", "k-nearest"]),
    st.integers(1, 5),
    st.integers(1, 6),
    st.integers(0, 10**6),
)


@pytest.mark.parametrize(
    "curve",
    [curves.Hyperbolic(4, 2), curves.Exponential(3, 1.5), curves.Power(1, 0.5), curves.Logarithmic(2, 1)],
)
def test_one_server_is_its_differential_equation(curve: curves.Curve) -> None:
    topology = Topology("t", (Dispatcher("d", 1.7),), (Server("s", curve),), (Edge("d", "s"),))
    for start in (0.0, 20.0):
        path = integrate(*system(topology), MARGINAL, duration=40.0, start=np.array([start]))
        exact = solve_ivp(
            lambda _, n: 1.7 - np.array([curve.value(max(float(n[0]), 0.0))]), (0.0, 40.0), [start], rtol=1e-10,
            atol=1e-12, t_eval=path.t[path.t <= 40.0],
        )  # fmt: skip
        assert path.workload[:, 0] == pytest.approx(exact.y[0], rel=2e-3, abs=2e-3)


def test_fixed_shares_are_separate_equations() -> None:
    topology = files.load(packaged.path("hyperbolic-5x10")).topology
    net, plain, volume = system(topology)
    flow = shares(net, np.arange(1.0, 1.0 + len(net.server)), volume) * 0.6
    assert np.bincount(net.dispatcher, flow) == pytest.approx(0.6 * volume)
    inflow = np.bincount(net.server, flow, minlength=10)
    path = integrate(net, plain, volume, FIXED, duration=60.0, flow=flow)
    exact = solve_ivp(
        lambda _, n: inflow - np.array([value(plain, j, max(n[j], 0.0)) for j in range(10)]), (0.0, 60.0), np.zeros(10),
        rtol=1e-9, t_eval=path.t,
    )  # fmt: skip
    assert path.workload == pytest.approx(exact.y.T, rel=3e-3, abs=3e-3)


@pytest.mark.parametrize(
    ("rule", "name"), [(MARGINAL, "n-shaped"), (FEWEST, "n-shaped"), (QUICKEST, "two-regions")]
)
def test_sliding_is_the_limit_of_chattering(rule: int, name: str) -> None:
    """An explicit scheme that gives everything to one server chatters around the path that slides."""
    topology = files.load(packaged.path(name)).topology
    net, plain, volume = system(topology)
    path = integrate(net, plain, volume, rule, duration=6.0)
    step = 2e-3
    n = np.zeros(len(topology.servers))

    def key(j: int) -> float:
        if rule == MARGINAL:
            return marginal(plain, j, n[j], 0.0)
        return (
            -n[j] if rule == FEWEST else -(n[j] / value(plain, j, n[j]) if n[j] else 1.0 / slope_at_rest[j])
        )

    slope_at_rest = [min(server.curve.slope(0.0), 1e9) for server in topology.servers]
    worst = 0.0
    for index in range(int(6.0 / step)):
        expected = np.array([np.interp(index * step, path.t, path.workload[:, j]) for j in range(len(n))])
        worst = max(worst, float(np.abs(n - expected).max()))
        inflow = np.zeros(len(n))
        for i in range(len(volume)):
            own = net.server[net.first[i] : net.first[i + 1]]
            inflow[max(own, key=key)] += volume[i]
        n = np.maximum(n + step * (inflow - [value(plain, j, each) for j, each in enumerate(n)]), 0.0)
    assert worst < 0.05


@PATIENT
@given(*SHAPES, st.sampled_from(["hyperbolic", "exponential", "power", "logarithmic"]), st.floats(0.2, 0.9))
def test_from_anywhere_to_the_optimum(
    kind: str, fronts: int, backs: int, seed: int, family: str, load: float
) -> None:
    """Smooth curves: from empty, full and uneven starts the path ends within 1e-4 of the central optimum."""
    topology = at_load(generate.generate(kind, fronts, backs, 2, seed, "uniform", family, 4.0), load)
    net, plain, volume = system(topology)
    best = solve(topology, demand(topology).volume, "balance").workload
    random = np.random.default_rng(seed)
    for start in (
        np.zeros(backs),
        np.full(backs, 2.0 * best / backs),
        random.exponential(best / backs, backs),
    ):
        path = speed.settled(net, plain, volume, start, best, 1e-5)
        assert path.total[-1] == pytest.approx(best, rel=1e-4)
        assert (path.workload >= 0.0).all()


@PATIENT
@given(*SHAPES, st.sampled_from(["multicore", "mixed"]), st.floats(0.2, 0.9))
def test_with_kinks_to_within_the_window(
    kind: str, fronts: int, backs: int, seed: int, family: str, load: float
) -> None:
    """The error is at most what the window can misplace, 2w a server, and shrinks with it."""
    topology = at_load(generate.generate(kind, fronts, backs, 2, seed, "uniform", family, 4.0), load)
    best = solve(topology, demand(topology).volume, "balance").workload
    for window in (0.1, 0.01, 0.001):
        narrow = smoothed(topology, window)
        net, plain, volume = system(narrow)
        resting = rest(net, plain, volume, MARGINAL)
        assert resting is not None
        width = float(plain.width.sum())
        assert best * (1 - 1e-9) <= resting.sum() <= best + 2.0 * width + 1e-9
        path = speed.settled(net, plain, volume, np.zeros(backs), float(resting.sum()), 1e-6)
        assert path.total[-1] == pytest.approx(float(resting.sum()), rel=1e-5)


def overloads(family: str, seed: int) -> Topology:
    made = generate.generate("random", 4, 6, 2, seed, "zipf", family, 4.0)
    return at_load(made, 1.5)


@pytest.mark.parametrize("family", ["hyperbolic", "exponential"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_overload_grows_as_the_classes_say(family: str, seed: int) -> None:
    """Long-run growth, the bounded set and its workload: the fluid path against the decomposition."""
    topology = overloads(family, seed)
    found = decompose(topology, demand(topology).volume)
    assert found.throughput < found.offered
    # Beyond N of 700 b an exponential marginal is smaller than any number; before, linear growth has set in.
    duration = 4000.0 if family == "hyperbolic" else 150.0
    path = integrate(*system(topology), MARGINAL, duration=duration)
    half = int(np.searchsorted(path.t, duration / 2.0))
    growth = (path.workload[-1] - path.workload[half]) / (path.t[-1] - path.t[half])
    excess = found.offered - found.throughput
    assert sum(found.growth.values()) == pytest.approx(excess, rel=1e-6)
    stable = 0.0
    for j, server in enumerate(topology.servers):
        if server.id in found.stable:
            assert abs(growth[j]) < 1e-3 * excess
            stable += path.workload[-1, j]
        else:
            assert growth[j] == pytest.approx(found.growth[server.id], abs=0.03 * excess)
    assert stable == pytest.approx(found.stable_workload, rel=1e-3, abs=1e-6)


def test_beside_one_that_never_reaches_its_cap_a_reached_cap_is_held() -> None:
    servers = (Server("s1", curves.Multicore(1.0, 2)), Server("s2", curves.Hyperbolic(2.0, 1.0)))
    topology = Topology("t", (Dispatcher("d", 5.0),), servers, (Edge("d", "s1"), Edge("d", "s2")))
    found = decompose(topology, {"d": 5.0})
    assert found.growth == pytest.approx({"s1": 0.0, "s2": 1.0})
    path = integrate(*system(topology), MARGINAL, duration=500.0)
    assert path.workload[-1, 0] == pytest.approx(2.0, rel=0.06)
    assert path.workload[-1, 1] > 490.0


def test_the_fastest_takes_all() -> None:
    """Two equal servers at half load (MODEL section 10): the first one, ahead by its place, gets everything."""
    servers = (Server("s1", curves.Hyperbolic(1.0, 1.0)), Server("s2", curves.Hyperbolic(1.0, 1.0)))
    topology = Topology("t", (Dispatcher("d", 0.9),), servers, (Edge("d", "s1"), Edge("d", "s2")))
    path = integrate(*system(topology), FASTEST, duration=2000.0)
    assert path.workload[-1] == pytest.approx([9.0, 0.0], rel=1e-3)


def test_where_the_inclusion_does_not_decide() -> None:
    topology = files.load(packaged.path("kinked")).topology
    assert undecided(topology) == []
    assert [each.id for each in undecided(smoothed(topology, 0.0))] == ["s2", "s3", "s4"]


def test_the_rate_of_one_server_is_its_slope() -> None:
    """dN/dt = λ − μ(N) is linear near its rest, with rate μ′(N): 4·2/(2 + N)² at N = 2."""
    topology = Topology(
        "t", (Dispatcher("d", 2.0),), (Server("s", curves.Hyperbolic(4, 2)),), (Edge("d", "s"),)
    )
    found = speed.ladder(*system(topology), deltas=(0.5, 1.0, 2.0), epsilons=(1e-3, 1e-4, 1e-5, 1e-6))
    assert found.rate == pytest.approx(0.5, rel=0.01)
    exact: Any = solve_ivp(
        lambda _, n: 2.0 - 4.0 * n / (2.0 + n), (0.0, 60.0), [4.0], rtol=1e-11, atol=1e-13, dense_output=True
    )
    for time, epsilon in zip(found.times[1], found.epsilons, strict=True):
        assert float(exact.sol(time)[0]) / 2.0 - 1.0 == pytest.approx(epsilon, rel=0.02)


def test_time_is_linear_in_delta_and_in_the_logarithm() -> None:
    topology = files.load(packaged.path("llm-fleet")).topology
    found = speed.ladder(*system(topology))
    assert found.explained > 0.99
    assert (np.diff(found.times, axis=0) > 0.0).all()
    assert (np.diff(found.times, axis=1) > 0.0).all()


def test_a_path_that_never_comes_near_says_so() -> None:
    topology = files.load(packaged.path("overloaded")).topology
    net, plain, volume = system(topology)
    with pytest.raises(ArithmeticError, match="not within"):
        speed.settled(net, plain, volume, np.zeros(6), 1.0, 1e-3)
