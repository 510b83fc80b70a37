"""Flows, cuts and classes against independent solvers: networkx's largest flow, linear programmes, brute force."""

from itertools import combinations, pairwise

import networkx as nx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from gmsr.topology import curves
from gmsr.topology.graph import Dispatcher, Edge, Server, Topology
from gmsr.topology.theory import fleet as arrays
from gmsr.topology.theory.balance import balance
from gmsr.topology.theory.capacity import classify, fits, load_factor
from gmsr.topology.theory.keys import FEWEST, QUICKEST
from gmsr.topology.theory.network import largest_flow, network, offered
from gmsr.topology.theory.optimum import solve
from gmsr.topology.theory.overload import TooLarge, decompose, hold

pytestmark = pytest.mark.slow

PATIENT = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
RELIABLE = curves.Hyperbolic, curves.Exponential, curves.Multicore


@st.composite
def topologies(draw: st.DrawFn, most: int = 6, kinds: tuple[type, ...] = RELIABLE) -> Topology:
    """Small graphs whose rates and caps are eighths, so that caps are met exactly now and then."""
    fronts, backs = draw(st.integers(1, most)), draw(st.integers(1, most))
    eighths = st.integers(1, 24).map(lambda number: number / 8)
    dispatchers = tuple(Dispatcher(f"d{i}", draw(eighths)) for i in range(fronts))
    servers = []
    for j in range(backs):
        kind, size = draw(st.sampled_from(kinds)), draw(eighths)
        servers.append(
            Server(f"s{j}", kind(1.0, size) if kind is curves.Multicore else kind(size, draw(eighths)))
        )
    edges = []
    for i in range(fronts):
        own = draw(st.lists(st.integers(0, backs - 1), min_size=1, max_size=3, unique=True))
        edges += [Edge(f"d{i}", f"s{j}") for j in own]
    return Topology("t", dispatchers, tuple(servers), tuple(edges))


def volume_of(topology: Topology) -> dict[str, float]:
    return {each.id: each.rate for each in topology.dispatchers}


def most_carried(topology: Topology, caps: dict[str, float]) -> float:
    graph: nx.DiGraph[str] = nx.DiGraph()
    for dispatcher in topology.dispatchers:
        graph.add_edge("source", dispatcher.id, capacity=dispatcher.rate)
    for server in topology.servers:
        graph.add_edge(server.id, "sink", capacity=caps[server.id])
    for edge in topology.edges:
        graph.add_edge(edge.dispatcher, edge.server)
    return float(nx.maximum_flow_value(graph, "source", "sink"))


@PATIENT
@given(topologies())
def test_the_largest_flow_is_that_of_networkx(topology: Topology) -> None:
    net, plain, demand = (
        network(topology),
        arrays.fleet(topology.servers),
        offered(topology, volume_of(topology)),
    )
    flow = np.zeros(len(net.server))
    parts = np.zeros(len(demand), np.int64), np.zeros(len(plain.cap), np.int64)
    largest_flow(net, *parts, demand, plain.cap, flow)
    assert (flow >= 0.0).all()
    assert (np.bincount(net.dispatcher, flow, minlength=len(demand)) <= demand * (1 + 1e-9)).all()
    assert (np.bincount(net.server, flow, minlength=len(plain.cap)) <= plain.cap * (1 + 1e-9)).all()
    caps = {each.id: each.curve.cap for each in topology.servers}
    assert flow.sum() == pytest.approx(most_carried(topology, caps), rel=1e-9)


@PATIENT
@given(topologies())
def test_saturated_servers_are_those_whose_cap_binds(topology: Topology) -> None:
    """A server carries its cap in every largest flow if and only if a smaller cap makes the largest flow smaller."""
    volume = volume_of(topology)
    found = classify(network(topology), arrays.fleet(topology.servers), offered(topology, volume))
    caps = {each.id: each.curve.cap for each in topology.servers}
    most = most_carried(topology, caps)
    assert found.throughput == pytest.approx(most, rel=1e-9)
    for server, saturated in zip(topology.servers, found.saturated, strict=True):
        less = most_carried(topology, {**caps, server.id: caps[server.id] * (1 - 1e-3)})
        assert saturated == (less < most - 1e-6), server.id
    endless = any(
        saturated and not server.curve.cap_reached
        for server, saturated in zip(topology.servers, found.saturated, strict=True)
    )
    assert found.overloaded == (most < sum(volume.values()) - 1e-9 or endless) == (not fits(topology, volume))


@PATIENT
@given(topologies())
def test_the_load_factor_is_that_of_a_linear_programme(topology: Topology) -> None:
    """minimise ρ subject to Σⱼ fᵢⱼ = λᵢ, Σᵢ fᵢⱼ ≤ ρ·cⱼ, f ≥ 0."""
    edges = len(topology.edges)
    equal = np.array(
        [
            [float(edge.dispatcher == each.id) for edge in topology.edges] + [0.0]
            for each in topology.dispatchers
        ]
    )
    below = np.array(
        [
            [float(edge.server == each.id) for edge in topology.edges] + [-each.curve.cap]
            for each in topology.servers
        ]
    )
    answer = linprog(
        [0.0] * edges + [1.0], A_ub=below, b_ub=np.zeros(len(below)), A_eq=equal,
        b_eq=[each.rate for each in topology.dispatchers],
    )  # fmt: skip
    assert load_factor(topology, volume_of(topology)) == pytest.approx(answer.x[-1], rel=1e-7)


def test_uncapped_servers_carry_any_load() -> None:
    servers = (Server("s1", curves.Power(1.0, 0.5)), Server("s2", curves.Multicore(1.0, 2)))
    topology = Topology("t", (Dispatcher("d1", 9.0),), servers, (Edge("d1", "s1"), Edge("d1", "s2")))
    assert load_factor(topology, {"d1": 9.0}) == 0.0
    assert fits(topology, {"d1": 1e9})
    alone = topology._replace(dispatchers=(*topology.dispatchers, Dispatcher("d2", 3.0)),
                              edges=(*topology.edges, Edge("d2", "s2")))  # fmt: skip
    assert load_factor(alone, {"d1": 9.0, "d2": 3.0}) == pytest.approx(1.5)
    assert decompose(alone, {"d1": 9.0, "d2": 3.0}).saturated == ["s2"]


def test_a_cap_met_exactly_is_no_overload_if_it_is_reached() -> None:
    """0.1 + 0.2 on a cap of 0.3, which they exceed by rounding."""
    fronts = (Dispatcher("d1", 0.1), Dispatcher("d2", 0.2))
    for curve, overloaded in ((curves.Multicore(0.1, 3), False), (curves.Hyperbolic(0.3, 1.0), True)):
        topology = Topology("t", fronts, (Server("s", curve),), (Edge("d1", "s"), Edge("d2", "s")))
        found = decompose(topology, volume_of(topology))
        assert fits(topology, volume_of(topology)) is not overloaded
        assert found.growth == {"s": 0.0}
        assert (found.unstable, found.saturated) == ((["s"], []) if overloaded else ([], ["s"]))


def test_components_are_systems_of_their_own() -> None:
    """One part overloaded, one at its reached caps exactly, one with room."""
    servers = (Server("s1", curves.Hyperbolic(1.0, 1.0)), Server("s2", curves.Multicore(1.0, 2)),
               Server("s3", curves.Exponential(4.0, 2.0)))  # fmt: skip
    fronts = (Dispatcher("d1", 3.0), Dispatcher("d2", 2.0), Dispatcher("d3", 1.0))
    topology = Topology("t", fronts, servers, tuple(Edge(f"d{k}", f"s{k}") for k in (1, 2, 3)))
    found = decompose(topology, volume_of(topology))
    assert (found.throughput, found.stable, found.unstable, found.saturated) == (4.0, ["s3"], ["s1"], ["s2"])
    assert found.growth == pytest.approx({"s1": 2.0, "s2": 0.0})
    assert found.stable_workload == pytest.approx(curves.Exponential(4.0, 2.0).inverse(1.0), rel=1e-9)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(topologies(5, (curves.Multicore, curves.Multicore, curves.Hyperbolic)))
def test_the_most_that_can_be_held_is_that_of_brute_force(topology: Topology) -> None:
    """Try every set of saturated servers: can flows meet their caps exactly, with all saturated ones full?"""
    volume = volume_of(topology)
    found = decompose(topology, volume)
    full = {*found.saturated, *found.unstable}
    confined = [
        each
        for each in topology.dispatchers
        if all(edge.server in full for edge in topology.servers_of(each.id))
    ]
    caps = {each.id: each.curve.cap for each in topology.servers}

    def possible(held: tuple[str, ...]) -> bool:
        edges = [edge for each in confined for edge in topology.servers_of(each.id)]
        if not edges:
            return True
        names = sorted(full)
        enter = np.array([[float(edge.server == name) for edge in edges] for name in names])
        leave = np.array([[float(edge.dispatcher == each.id) for edge in edges] for each in confined])
        upper = np.array([caps[name] if name in held else np.inf for name in names])
        bounded = np.isfinite(upper)
        return bool(
            linprog(
                np.zeros(len(edges)), A_eq=leave, b_eq=[each.rate for each in confined],
                A_ub=np.vstack([-enter, enter[bounded]]),
                b_ub=np.concatenate([[1e-9 - caps[name] for name in names], upper[bounded] + 1e-9]),
            ).status == 0
        )  # fmt: skip

    best = max(size for size in range(len(found.saturated) + 1)
               if any(possible(held) for held in combinations(found.saturated, size)))  # fmt: skip
    answer = hold(topology, volume)
    assert (answer.most, answer.proven, len(answer.servers)) == (best, True, best)
    assert possible(tuple(answer.servers))


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    topologies(6, (*RELIABLE, curves.Multicore, curves.Logarithmic)), st.sampled_from([0.25, 0.5, 0.75, 1.0])
)
def test_prices_of_parts_never_contradict(topology: Topology, share: float) -> None:
    """Rates and caps in eighths: parts are full to their kinks exactly, and many prices fit them alone."""
    volume = {name: share * rate for name, rate in volume_of(topology).items()}
    if fits(topology, volume):
        assert solve(topology, volume, "balance").residual < 1e-9
    else:
        decompose(topology, volume)  # certified too, or it raises


def test_a_part_that_is_full_to_its_kink_has_the_price_of_its_neighbours() -> None:
    servers = (Server("s0", curves.Power(1.0, 0.5)), Server("s1", curves.Multicore(1.0, 2)),
               Server("s2", curves.Multicore(1.0, 1)))  # fmt: skip
    rates = {"d0": 1.0, "d1": 1.0, "d2": 1.0, "d3": 0.5}
    ends = {"d0": ("s0", "s1"), "d1": ("s0",), "d2": ("s0", "s2"), "d3": ("s1", "s2")}
    edges = tuple(Edge(front, back) for front, backs in ends.items() for back in backs)
    topology = Topology("t", tuple(Dispatcher(*each) for each in rates.items()), servers, edges)
    assert solve(topology, rates, "balance").residual < 1e-9


def test_too_many_servers_to_hold_are_refused() -> None:
    servers = tuple(Server(f"s{j}", curves.Multicore(1.0, 1)) for j in range(301))
    topology = Topology(
        "t", (Dispatcher("d", 400.0),), servers, tuple(Edge("d", each.id) for each in servers)
    )
    with pytest.raises(TooLarge, match="301 saturated servers"):
        hold(topology, {"d": 400.0})


@PATIENT
@given(
    topologies(5, (curves.Hyperbolic, curves.Exponential, curves.Logarithmic, curves.Power)), st.booleans()
)
def test_other_keys_rest_where_nobody_wants_to_move(topology: Topology, counts: bool) -> None:
    """Wardrop's condition: who sends to a server finds none of its others with less (N, or N/μ(N))."""
    topology = topology._replace(
        servers=tuple(
            each._replace(curve=curves.Power(1.0, 0.5)) if each.curve.kind == "power" else each
            for each in topology.servers
        )
    )
    volume = volume_of(topology)
    limit = load_factor(topology, volume)
    volume = {name: rate * min(1.0, 0.8 / limit if limit else 1.0) for name, rate in volume.items()}
    net = network(topology)
    found = balance(
        net, arrays.fleet(topology.servers), offered(topology, volume), FEWEST if counts else QUICKEST
    )

    def key(j: int) -> float:
        n, curve = float(found.workload[j]), topology.servers[j].curve
        if counts:
            return n
        return n / curve.value(n) if n > 0.0 else 1.0 / curve.slope(0.0)

    for i in range(len(topology.dispatchers)):
        own = range(net.first[i], net.first[i + 1])
        least = min(key(net.server[edge]) for edge in own)
        for edge in own:
            if found.flow[edge] > 1e-6 * volume[topology.dispatchers[i].id]:
                assert key(net.server[edge]) <= least * (1 + 1e-6) + 1e-12
    for j, server in enumerate(topology.servers):
        assert server.curve.value(float(found.workload[j])) == pytest.approx(
            found.inflow[j], rel=1e-6, abs=1e-9
        )


any_curve = st.one_of(
    st.builds(curves.Hyperbolic, st.floats(0.1, 20.0), st.floats(0.1, 20.0)),
    st.builds(curves.Exponential, st.floats(0.1, 20.0), st.floats(0.1, 20.0)),
    st.builds(curves.Multicore, st.floats(0.1, 5.0), st.floats(0.5, 20.0)),
    st.builds(curves.Power, st.floats(0.1, 5.0), st.floats(0.1, 0.9)),
    st.builds(curves.Logarithmic, st.floats(0.1, 5.0), st.floats(0.1, 20.0)),
    st.just(curves.Table([[1, 3.0], [4, 10.0], [16, 22.0], [32, 26.0]])),
)


widths = st.one_of(st.just(0.0), st.floats(0.01, 4.0))


@settings(max_examples=300, deadline=None)
@given(any_curve, st.floats(0.0, 100.0), widths)
def test_compiled_curves_are_the_curves(curve: curves.Curve, n: float, width: float) -> None:
    each = arrays.fleet([Server("s", curve, width)])
    assert arrays.value(each, 0, n) == pytest.approx(curve.value(n), rel=1e-13, abs=1e-15)
    assert arrays.slope(each, 0, n) == pytest.approx(curve.slope(n), rel=1e-13)
    expected = curves.mean_slope(curve, n, width)
    assert arrays.marginal(each, 0, n, 0.0) == pytest.approx(expected, rel=1e-6, abs=1e-12)


@settings(max_examples=300, deadline=None)
@given(any_curve, st.floats(0.01, 0.99), widths)
def test_place_is_the_inverse_of_the_marginal(curve: curves.Curve, share: float, width: float) -> None:
    """The least N at which the marginal is no more than was wanted: to the left it is more, to the right not."""
    each = arrays.fleet([Server("s", curve, width)])
    top = min(arrays.marginal(each, 0, 0.0, 0.0), 1e3)
    wanted = share * top
    n = arrays.place(each, 0, wanted)
    assert arrays.marginal(each, 0, n * (1 + 1e-6) + 1e-9, 0.0) <= wanted * (1 + 1e-4)
    if n > 1e-9:
        assert arrays.marginal(each, 0, n * (1 - 1e-6) - 1e-12, 0.0) >= wanted * (1 - 1e-4)


def test_a_window_too_small_to_tell_is_none() -> None:
    table = curves.Table([[1, 3.0], [4, 10.0]])
    assert curves.mean_slope(table, 1.0, 1e-291) == table.slope(1.0)
    assert arrays.marginal(arrays.fleet([Server("s", table, 1e-291)]), 0, 1.0, 0.0) == table.slope(1.0)


def test_marginals_never_rise() -> None:
    for width in (0.0, 0.3, 5.0, 40.0):
        each = arrays.fleet([Server("s", curves.Table([[1, 3.0], [4, 10.0], [16, 22.0]]), width)])
        values = [arrays.marginal(each, 0, n, 0.0) for n in np.linspace(0.0, 80.0, 2000)]
        assert all(left >= right - 1e-12 for left, right in pairwise(values))
