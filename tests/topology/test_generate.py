"""Families of graphs, imports, and the checks that every topology goes through."""

import json
from pathlib import Path

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmsr.topology import generate, importers
from gmsr.topology.check import advice, problems
from gmsr.topology.curves import Multicore
from gmsr.topology.errors import UserError
from gmsr.topology.graph import Dispatcher, Edge, Server, Topology
from gmsr.topology.theory.capacity import fits, load_factor


def make(
    kind: str, dispatchers: int = 6, servers: int = 9, degree: int = 3, seed: int = 1, **more: str
) -> Topology:
    curves, rates = more.get("curves", "hyperbolic"), more.get("rates", "uniform")
    return generate.generate(kind, dispatchers, servers, degree, seed, rates, curves, 3.0)


def volume(topology: Topology) -> dict[str, float]:
    return {dispatcher.id: dispatcher.rate for dispatcher in topology.dispatchers}


@pytest.mark.parametrize("kind", [kind for kind in generate.FAMILIES if kind != "path"])
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 5), st.integers(0, 99))
@settings(max_examples=30)
def test_every_family_gives_sound_topologies(
    kind: str, dispatchers: int, servers: int, degree: int, seed: int
) -> None:
    topology = make(kind, dispatchers, servers, degree, seed, curves="mixed")
    assert problems(topology) == []
    assert len(topology.dispatchers) == dispatchers
    assert len(topology.servers) == servers
    assert {edge.server for edge in topology.edges} == {server.id for server in topology.servers}
    assert sum(volume(topology).values()) == pytest.approx(1.0)
    assert topology.to_dict() == make(kind, dispatchers, servers, degree, seed, curves="mixed").to_dict()


def test_degrees_and_shapes() -> None:
    assert len(make("complete").edges) == 54
    assert all(len(make("k-nearest").servers_of(f"d{i}")) == 3 for i in range(1, 7))
    random = make("random", 20, 10, 4)
    assert all(len(random.servers_of(f"d{i}")) >= 4 for i in range(1, 21))
    assert len(random.edges) == 80
    star = make("star")
    assert len(star.dispatchers_of("s1")) == 6
    assert all(len(star.dispatchers_of(f"s{j}")) == 1 for j in range(2, 10))
    tree = make("tree")
    assert len(tree.edges) == 6 + 9 - 1
    assert len(tree.components()) == 1
    chain = make("path", 4, 5)
    assert [len(chain.dispatchers_of(f"s{j}")) for j in range(1, 6)] == [1, 2, 2, 2, 1]
    with pytest.raises(UserError, match="4 dispatchers need 4 or 5 servers"):
        make("path", 4, 9)
    popular = make("power-law", 200, 20, 3)
    degrees = [len(popular.dispatchers_of(f"s{j}")) for j in range(1, 21)]
    assert degrees[0] > 4 * sorted(degrees)[10]
    zones = make("zones", 6, 9, 3)
    assert len(zones.edges) == 3 * 2 * 3 + 3
    assert len(zones.components()) == 1


def test_seeds_differ() -> None:
    assert make("random", seed=1).edges != make("random", seed=2).edges


@pytest.mark.parametrize("kind", ["complete", "random", "star", "zones"])
@pytest.mark.parametrize("load", [0.3, 0.9, 1.4])
def test_the_wished_load_is_met(kind: str, load: float) -> None:
    made = make(kind)
    scaled = generate.with_rates(made, load / load_factor(made, volume(made)))
    assert load_factor(scaled, volume(scaled)) == pytest.approx(load, rel=1e-4)
    assert fits(scaled, volume(scaled)) == (load < 1)


def graph(edges: list[tuple[str, str]], rates: dict[str, float], cores: dict[str, int]) -> Topology:
    return Topology(
        "t",
        tuple(Dispatcher(name, rate) for name, rate in rates.items()),
        tuple(Server(name, Multicore(1.0, k)) for name, k in cores.items()),
        tuple(Edge(*edge) for edge in edges),
    )


def test_load_is_that_of_the_worst_cut() -> None:
    """d1 has one server of its own with 2 places: 3 into 2 is 1.5, however roomy the other is."""
    edges = [("d1", "s1"), ("d2", "s1"), ("d2", "s2")]
    topology = graph(edges, {"d1": 3.0, "d2": 1.0}, {"s1": 2, "s2": 8})
    assert load_factor(topology, volume(topology)) == pytest.approx(1.5)
    assert not fits(topology, volume(topology))
    full = graph(edges, {"d1": 2.0, "d2": 8.0}, {"s1": 2, "s2": 8})
    assert fits(full, volume(full)), "a cap that is reached may be met"


def test_advice() -> None:
    topology = graph(
        [("d1", "s1"), ("d2", "s1"), ("d3", "s2")], {"d1": 1, "d2": 1, "d3": 1}, {"s1": 2, "s2": 2, "s3": 1}
    )
    plain = topology._replace(servers=tuple(server._replace(smoothing=0.0) for server in topology.servers))
    notes = " | ".join(advice(plain))
    assert "servers: s3: no dispatcher has an edge to it" in notes
    assert "servers: s1: its curve has kinks, 2 dispatchers share it and smoothing is off" in notes
    assert "s2: its curve" not in notes
    assert "falls into 3 separate parts" in notes
    assert "smoothing is off" not in " ".join(advice(topology))


def test_imports_agree(tmp_path: Path) -> None:
    edges = [("a", "x"), ("a", "y"), ("b", "y")]
    (tmp_path / "g.txt").write_text("# who, whom\na x\na,y\nb\ty\n")
    made: nx.Graph[str] = nx.Graph()
    for name in "ab":
        made.add_node(name, side="dispatcher")
    for name in "xy":
        made.add_node(name, side="server")
    made.add_edges_from(edges)
    nx.write_graphml(made, tmp_path / "g.graphml")
    (tmp_path / "g.json").write_text(json.dumps(nx.node_link_data(made, edges="links")))
    for name in ("g.txt", "g.graphml", "g.json"):
        dispatchers, servers, found = importers.read(tmp_path / name)
        assert (dispatchers, servers, sorted(found)) == (["a", "b"], ["x", "y"], edges)


def test_the_direction_of_edges_tells_the_sides(tmp_path: Path) -> None:
    made: nx.DiGraph[str] = nx.DiGraph([("x", "b"), ("a", "b"), ("a", "c")])
    nx.write_graphml(made, tmp_path / "g.graphml")
    for edges in ("links", "edges"):  # what NetworkX called them before and from 3.6 on
        (tmp_path / "g.json").write_text(json.dumps(nx.node_link_data(made, edges=edges)))
        for name in ("g.graphml", "g.json"):
            dispatchers, servers, found = importers.read(tmp_path / name)
            assert (sorted(dispatchers), sorted(servers)) == (["a", "x"], ["b", "c"])
            assert sorted(found) == [("a", "b"), ("a", "c"), ("x", "b")]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("g.txt", "a b c\n", "line 1: 'a b c' is no edge"),
        ("g.txt", "a b\nb c\n", "b stands on both sides"),
        ("g.txt", "", "holds no edge"),
        ("g.txt", "a ä\n", "'ä' is no id"),
        ("g.json", "{", "JSONDecodeError"),
        ("g.json", '{"nodes": [{"id": "a"}], "links": []}', "node a: no attribute side"),
        ("g.json", '{"nodes": [{"id": "a", "side": "left"}], "links": []}', "node a: side 'left' is none"),
        ("g.json", '{"directed": true, "nodes": [{"id": "a"}], "links": []}', "node a: it has no edge"),
        (
            "g.json",
            '{"directed": true, "nodes": [{"id": "a"}, {"id": "b"}, {"id": "c"}],'
            ' "links": [{"source": "a", "target": "b"}, {"source": "b", "target": "c"}]}',
            "node b: edges both leave and reach it",
        ),
        ("g.json", "[1]", "give GraphML"),
        ("g.graphml", "<x/>", "give GraphML"),
        ("g.graphml", "<x", "give GraphML"),
        (
            "g.json",
            '{"nodes": [{"id": "a", "side": "server"}, {"id": "b", "side": "server"}],'
            ' "links": [{"source": "a", "target": "b"}]}',
            "edge a to b joins two of one side",
        ),
    ],
)
def test_bad_graphs(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError) as caught:
        importers.read(tmp_path / name)
    assert message in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)


def test_fewer_crossings() -> None:
    """A matching laid out in reverse is put straight."""
    left, right = generate.crossings_reduced(6, 6, [(k, 5 - k) for k in range(6)])
    assert [5 - k for k in left] == right
