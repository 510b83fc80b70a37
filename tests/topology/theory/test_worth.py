"""What more would be worth, against finite differences and against every missing edge tried in turn."""

from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from gmsr.topology import curves
from gmsr.topology.graph import Dispatcher, Edge, Server, Topology
from gmsr.topology.theory.balance import balance
from gmsr.topology.theory.capacity import classify, load_factor
from gmsr.topology.theory.fleet import fleet
from gmsr.topology.theory.network import network, offered
from gmsr.topology.theory.optimum import NoOptimum, Overloaded, solve
from gmsr.topology.theory.worth import edges, servers
from gmsr.topology.theory.worth_overloaded import (
    EdgeRelief,
    ServerRelief,
    edges_overloaded,
    servers_overloaded,
)

MANY = settings(
    max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
SEEDS = st.integers(0, 10**6)
Volume = dict[str, float]

SMOOTH: list[curves.Curve] = [
    curves.Hyperbolic(2, 1), curves.Hyperbolic(4, 2), curves.Exponential(3, 1), curves.Power(1, 0.5),
    curves.Power(2, 0.3), curves.Logarithmic(2, 1),
]  # fmt: skip
KINKED: list[curves.Curve] = [
    curves.Multicore(1, 1), curves.Multicore(1, 3), curves.Multicore(0.5, 4),
    curves.Table([[1, 1.0], [3, 2.0], [8, 3.0]]),
]  # fmt: skip
ALL = [*SMOOTH, *KINKED]
CAPPED = [curve for curve in ALL if curve.cap < 10]

Case = tuple[list[curves.Curve], float]
CASES: st.SearchStrategy[Case] = st.one_of(
    st.tuples(st.sampled_from([SMOOTH, KINKED, ALL]), st.floats(0.1, 0.95)), st.tuples(st.just(KINKED), st.just(1.0))
)  # fmt: skip
"""Curves, and the load at the most: caps that are reached may be met exactly."""


def made(rates: list[float], backends: list[curves.Curve], pairs: list[tuple[int, int]]) -> Topology:
    return Topology(
        "t",
        tuple(Dispatcher(f"d{i}", rate) for i, rate in enumerate(rates)),
        tuple(Server(f"s{j}", curve) for j, curve in enumerate(backends)),
        tuple(Edge(f"d{i}", f"s{j}") for i, j in pairs),
    )


def drawn(seed: int, choice: list[curves.Curve]) -> Topology:
    """A small random graph of few rates and few curves, so that ties and kinks met exactly are frequent."""
    random = Random(seed)
    fronts, backs, density = random.randint(1, 5), random.randint(1, 6), random.choice([0.1, 0.3, 0.6])
    kinds = random.sample(choice, random.randint(1, len(choice)))
    pairs = {(i, random.randrange(backs)) for i in range(fronts)}
    pairs |= {(i, j) for i in range(fronts) for j in range(backs) if random.random() < density}
    rates = [random.choice([0.0, 0.5, 1.0, 1.0, 2.0]) for _ in range(fronts - 1)]
    return made([1.0, *rates], [random.choice(kinds) for _ in range(backs)], sorted(pairs))


def rates(topology: Topology, factor: float = 1.0) -> Volume:
    return {each.id: factor * each.rate for each in topology.dispatchers}


def bearable(topology: Topology, load: float) -> Volume:
    """The rates, or if they are too much what makes this load."""
    limit = load_factor(topology, rates(topology))
    return rates(topology, load / limit if limit > load else 1.0)


def scaled(curve: curves.Curve, factor: float) -> curves.Curve:
    plain = curve.describe()
    if plain["kind"] == "table":
        return curves.Table([[n, factor * rate] for n, rate in plain["points"]])
    size = "m" if plain["kind"] == "multicore" else "a"
    return curves.make({**plain, size: factor * plain[size]})


def replaced(topology: Topology, name: str, curve: curves.Curve) -> Topology:
    return topology._replace(
        servers=tuple(each._replace(curve=curve) if each.id == name else each for each in topology.servers)
    )


def workload(topology: Topology, volume: Volume) -> float:
    """Σ N*."""
    return float(
        balance(network(topology), fleet(topology.servers, smoothed=False), offered(topology, volume)).workload.sum()
    )  # fmt: skip


def throughput(topology: Topology, volume: Volume) -> float:
    plain = fleet(topology.servers, smoothed=False)
    return classify(network(topology), plain, offered(topology, volume)).throughput


def missing(topology: Topology) -> list[Edge]:
    there = {(edge.dispatcher, edge.server) for edge in topology.edges}
    pairs = [(front.id, back.id) for front in topology.dispatchers for back in topology.servers]
    return [Edge(*pair) for pair in pairs if pair not in there]


def by_difference(topology: Topology, volume: Volume, name: str, step: float = 1e-6) -> float:
    """Σ N* saved per 1 % more of a server, one-sided."""
    curve = next(each.curve for each in topology.servers if each.id == name)
    more = workload(replaced(topology, name, scaled(curve, 1.0 + step)), volume)
    return 0.01 * (workload(topology, volume) - more) / step


def rounded(rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [tuple(round(each, 6) if isinstance(each, float) else each for each in row) for row in rows]


@pytest.mark.parametrize("curve", ALL, ids=lambda curve: str(curve.describe()))
def test_one_server_alone(curve: curves.Curve) -> None:
    topology = made([0.9], [curve], [(0, 0)])
    (worth,) = servers(topology, rates(topology))
    assert worth.saved == pytest.approx(by_difference(topology, rates(topology), "s0"), rel=1e-4)
    if curve.cap < np.inf:
        assert worth.per_volume == pytest.approx(100 * worth.saved / curve.cap)
    else:
        assert worth.per_volume is None


@given(SEEDS, CASES)
@MANY
def test_capacity_against_finite_differences(seed: int, case: Case) -> None:
    topology = drawn(seed, case[0])
    volume = bearable(topology, case[1])
    worth = servers(topology, volume)
    assert [each.saved for each in worth] == sorted((each.saved for each in worth), reverse=True)
    assert {each.server for each in worth} == {each.id for each in topology.servers}
    least = 1e-6 * workload(topology, volume)
    for each in worth:
        assert each.saved == pytest.approx(by_difference(topology, volume, each.server), rel=1e-3, abs=least)


def test_capacity_by_the_conic_prices() -> None:
    """Where nothing is degenerate it is what any certified prices say."""
    topology = made([1.5, 1.0], [curves.Hyperbolic(2, 1), curves.Exponential(3, 1)], [(0, 0), (0, 1), (1, 1)])
    found = solve(topology, rates(topology), "conic")
    for each in servers(topology, rates(topology)):
        by_price = 0.01 * found.throughput[each.server] / found.marginals[each.server]
        assert each.saved == pytest.approx(by_price, rel=1e-4)


def test_a_server_that_ties_is_worth_all_that_it_could_carry() -> None:
    """However the optimum at hand shares between equals: more of one draws all to it that can come."""
    topology = made([1.0, 2.0], [curves.Multicore(1, 5)] * 2, [(0, 0), (0, 1), (1, 1)])
    assert rounded(servers(topology, rates(topology))) == [("s1", 0.03, 3 / 5), ("s0", 0.01, 1 / 5)]


def test_a_kink_that_is_met_exactly() -> None:
    """The table's slope is 1 below N = 1 and 1/2 beyond; more of it meets the first."""
    topology = made([1.0, 1.0], [KINKED[-1], curves.Hyperbolic(2, 1)], [(0, 0), (1, 1)])
    worth = {each.server: each.saved for each in servers(topology, rates(topology))}
    assert worth == {"s0": pytest.approx(0.01), "s1": pytest.approx(0.02)}


def test_full_idle_and_unasked_servers() -> None:
    """Both full, so that more of the first relieves the second; one too slow to be used; one that nobody asks."""
    cores = [curves.Multicore(1, 1), curves.Multicore(0.5, 4), curves.Multicore(0.1, 9)]
    topology = made([3.0, 0.0], [*cores, curves.Hyperbolic(1, 1)], [(0, 0), (0, 1), (0, 2), (1, 3)])
    assert rounded(servers(topology, rates(topology))) == [
        ("s1", 0.04, 2.0), ("s0", 0.02, 2.0), ("s2", 0.0, 0.0), ("s3", 0.0, 0.0),
    ]  # fmt: skip


@given(SEEDS, CASES, st.integers(1, 4))
@MANY
def test_edges_against_all_that_are_missing(seed: int, case: Case, most: int) -> None:
    topology = drawn(seed, case[0])
    volume = bearable(topology, case[1])
    now = workload(topology, volume)
    found = edges(topology, volume, most)
    saved = {
        edge[:2]: now - workload(topology._replace(edges=(*topology.edges, edge)), volume)
        for edge in missing(topology)
    }
    best = sorted((each for each in saved.values() if each > 2e-9 * now), reverse=True)[:most]
    assert found.proven
    assert [each.saved for each in found.best[: len(best)]] == pytest.approx(best, rel=1e-7, abs=1e-8 * now)
    for each in found.best:
        assert each.saved == pytest.approx(saved[each.dispatcher, each.server], rel=1e-7, abs=1e-9 * now)
    assert len({each[:2] for each in found.best}) == len(found.best) <= most


def test_an_edge_by_hand() -> None:
    """Two dispatchers of 1, each with a server of its own; the second is idle otherwise, and half suffices."""
    topology = made([1.0, 0.0], [curves.Hyperbolic(2, 1)] * 2, [(0, 0), (1, 1)])
    found = edges(topology, rates(topology))
    assert rounded(found.best) == [("d0", "s1", round(1 - 2 / 3, 6))]
    assert found.proven


def test_few_optima_prove_a_list() -> None:
    """The bounds leave few of 300 candidates; with less the list is what was found until then."""
    random = Random(1)
    backends = [scaled(random.choice(SMOOTH), 0.5 + random.random()) for _ in range(20)]
    pairs = sorted({(i, random.randrange(20)) for i in range(16)} | {(i, i) for i in range(16)})
    topology = made([0.5 * random.random() for _ in range(16)], backends, pairs)
    full = edges(topology, rates(topology), most=3)
    assert full.proven and full.solved < 60
    part = edges(topology, rates(topology), most=3, solves=full.solved - 1)
    assert not part.proven and part.solved == full.solved - 1


def test_where_nothing_is_missing_nothing_is_found() -> None:
    topology = made([1.0], [curves.Hyperbolic(2, 1)] * 2, [(0, 0), (0, 1)])
    assert edges(topology, rates(topology)) == ([], True, 1)


def test_overload_and_nothing_offered_are_told() -> None:
    topology = made([4.0], [curves.Hyperbolic(2, 1)], [(0, 0)])
    for ask in (servers, edges):
        with pytest.raises(Overloaded, match="overloaded"):
            ask(topology, rates(topology))
        with pytest.raises(NoOptimum, match="nothing"):
            ask(topology, {"d0": 0.0})


@given(SEEDS, st.floats(1.01, 4.0))
@MANY
def test_capacity_under_overload_against_larger_flows(seed: int, load: float) -> None:
    topology = drawn(seed, CAPPED)
    volume = rates(topology, load / load_factor(topology, rates(topology)))
    total = sum(volume.values())
    now = throughput(topology, volume)
    worth = servers_overloaded(topology, volume)
    assert {each.server for each in worth} == {each.id for each in topology.servers}
    for each in worth:
        cap = next(server.curve.cap for server in topology.servers if server.id == each.server)
        little, much = (
            throughput(replaced(topology, each.server, curves.Multicore(1, cap + more)), volume) - now
            for more in (1e-5 * total, 10 * total)
        )
        assert each.most == pytest.approx(much, abs=1e-8 * total)
        assume(each.most == 0.0 or each.most > 1e-5 * total)
        assert each.per_volume == pytest.approx(little / (1e-5 * total), abs=1e-3)


@given(SEEDS, st.floats(1.01, 4.0), st.integers(1, 5))
@MANY
def test_edges_under_overload_against_all_that_are_missing(seed: int, load: float, most: int) -> None:
    topology = drawn(seed, CAPPED)
    volume = rates(topology, load / load_factor(topology, rates(topology)))
    total = sum(volume.values())
    now = throughput(topology, volume)
    gained = {
        edge[:2]: throughput(topology._replace(edges=(*topology.edges, edge)), volume) - now
        for edge in missing(topology)
    }
    found = edges_overloaded(topology, volume, most)
    best = sorted((each for each in gained.values() if each > 1e-8 * total), reverse=True)[:most]
    assert [each.gained for each in found[: len(best)]] == pytest.approx(best, abs=1e-8 * total)
    for each in found:
        assert each.gained == pytest.approx(gained[each.dispatcher, each.server], abs=1e-8 * total)


def test_relief_by_hand() -> None:
    """d0 has 3 for s0's 1, and s1 has room for 1 more. d1 could give s1 nothing that it does not have."""
    topology = made([3.0, 1.0], [curves.Multicore(1, 1), curves.Multicore(1, 2)], [(0, 0), (1, 1)])
    assert servers_overloaded(topology, rates(topology)) == [
        ServerRelief("s0", 1.0, 2.0),
        ServerRelief("s1", 0.0, 0.0),
    ]
    assert edges_overloaded(topology, rates(topology)) == [EdgeRelief("d0", "s1", 1.0)]


def test_without_overflow_there_is_no_relief() -> None:
    """Also where a cap that is never reached is met exactly: workload grows, but nothing is left over."""
    topology = made([1.0, 2.0], [curves.Hyperbolic(2, 1), curves.Hyperbolic(2, 1)], [(0, 0), (1, 1)])
    assert {each.most for each in servers_overloaded(topology, rates(topology))} == {0.0}
    assert edges_overloaded(topology, rates(topology)) == []
