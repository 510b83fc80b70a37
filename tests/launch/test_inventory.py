"""Inventories of hosts and who runs where: what is read, what is refused with file, field and mend, strategies."""

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from gmsr.launch.place.assign import STRATEGIES, assign
from gmsr.launch.place.inventory import INSTALLED, Host, read
from gmsr.topology import curves
from gmsr.topology.errors import UserError
from gmsr.topology.files import resolve
from gmsr.topology.graph import Dispatcher, Edge, Server, Topology

CURVE = curves.make({"kind": "hyperbolic", "a": 4.0, "b": 2.0})
HOSTS = [Host(name, f"10.0.0.{number}") for number, name in enumerate(("a", "b", "c"), 1)]


def pairs(count: int) -> Topology:
    """So many components of one dispatcher and two servers each."""
    return Topology(
        "pairs",
        tuple(Dispatcher(f"d{number}", 1.0) for number in range(count)),
        tuple(Server(f"s{number}{side}", CURVE) for number in range(count) for side in "lr"),
        tuple(Edge(f"d{number}", f"s{number}{side}") for number in range(count) for side in "lr"),
    )


def across(topology: Topology) -> int:
    """Edges between hosts."""
    hosts = topology.hosts
    return sum(hosts[edge.dispatcher] != hosts[edge.server] for edge in topology.edges)


def written(folder: Path, text: str) -> Path:
    file = folder / "hosts.yaml"
    file.write_text(text)
    return file


def test_an_inventory_says_how_each_host_is_reached(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("")
    (tmp_path / "known").write_text("")
    text = """
    hosts:
      - {name: left, address: 10.0.0.1, local: true}
      - {name: right, address: "fe80::1", ssh: right.lan, user: me, port: 2222, identity: key, known_hosts: known,
         python: /opt/py, folder: /var/tmp, agents: 40}
      - {name: plain, address: 10.0.0.3}
    """
    left, right, plain = read(written(tmp_path, text))
    assert left == Host("left", "10.0.0.1", (), sys.executable)
    assert right.ssh[-1] == "right.lan"
    assert right.ssh[:4] == ("-p", "2222", "-l", "me")
    assert str(tmp_path / "key") in right.ssh
    assert f"UserKnownHostsFile={tmp_path / 'known'}" in right.ssh
    assert (right.python, right.folder, right.agents, right.on_network) == (
        "/opt/py",
        "/var/tmp",
        40,
        "[fe80::1]",
    )
    assert plain == Host("plain", "10.0.0.3", ("10.0.0.3",), INSTALLED)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[]", "holds no mapping; start with 'hosts:'"),
        ("hosts: []", "hosts: "),
        ("hosts: [{name: a}]", "hosts[0] (a): field 'address' is missing; add it"),
        ("hosts: [{name: a, address: here}]", "hosts[0] (a).address: 'here' is no IP address"),
        ("hosts: [{name: a, address: 0.0.0.0}]", "hosts[0] (a).address: 0.0.0.0 is no host's own"),
        ("hosts: [{name: a b, address: 10.0.0.1}]", "hosts[0] (a b).name: 'a b' is no id"),
        ("hosts: [{name: a, address: 10.0.0.1, colour: red}]", "hosts[0] (a): unknown field 'colour'"),
        ("hosts: [{name: a, address: 10.0.0.1, port: 0}]", "hosts[0] (a).port: "),
        ("hosts: [{name: a, address: 10.0.0.1, agents: 0}]", "hosts[0] (a).agents: "),
        ("hosts: [{name: a, address: 10.0.0.1, identity: none}]", "none: there is no such file"),
        ("hosts: [{name: a, address: 10.0.0.1, ssh: -oProxyCommand=x}]", "is no name that ssh takes"),
        ("hosts: [{name: a, address: 10.0.0.1, user: 'me you'}]", "is no name that ssh takes"),
        ("hosts: [{name: a, address: 10.0.0.1, local: true, user: me}]", "nobody logs in to a local host"),
        (
            "hosts: [{name: a, address: 10.0.0.1}, {name: a, address: 10.0.0.2}]",
            "hosts[1]: 'a' is there twice; rename one of them",
        ),
    ],
)
def test_what_is_wrong_is_told_with_field_and_mend(tmp_path: Path, text: str, told: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(UserError) as caught:
        read(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_inventory_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="name a readable inventory of hosts"):
        read(tmp_path / "none.yaml")


def test_a_topology_names_hosts_and_keeps_them() -> None:
    plain: dict[str, Any] = {
        "dispatchers": [{"id": "d1", "rate": 1.0, "host": "a"}],
        "servers": [{"id": "s1", "curve": {"kind": "hyperbolic", "a": 4, "b": 2}, "host": "b"},
                    {"id": "s2", "curve": {"kind": "hyperbolic", "a": 4, "b": 2}}],
        "edges": "complete",
    }  # fmt: skip
    topology = resolve(plain, Path("x.yaml")).topology
    assert topology.hosts == {"d1": "a", "s1": "b"}
    assert resolve(topology.to_dict(), Path("y.yaml")).topology.hosts == topology.hosts
    for strategy in STRATEGIES:
        assert assign(topology, HOSTS, strategy).hosts.items() >= topology.hosts.items()


def test_spread_gives_each_host_as_many_of_each_role() -> None:
    made = assign(pairs(6), HOSTS, "spread")
    assert Counter(each.host for each in made.dispatchers) == dict.fromkeys("abc", 2)
    assert Counter(each.host for each in made.servers) == dict.fromkeys("abc", 4)


def test_pack_fills_hosts_in_turn() -> None:
    limited = [HOSTS[0]._replace(agents=4), *HOSTS[1:]]
    assert Counter(assign(pairs(2), limited, "pack").hosts.values()) == {"a": 4, "b": 2}


def test_together_keeps_components_whole_where_they_fit() -> None:
    assert across(assign(pairs(6), HOSTS, "together")) == 0
    assert across(assign(pairs(6), HOSTS, "spread")) > 0


def test_together_cuts_few_edges_of_a_chain_and_shares_evenly() -> None:
    names = range(12)
    chain = Topology(
        "chain",
        tuple(Dispatcher(f"d{number}", 1.0) for number in names),
        tuple(Server(f"s{number}", CURVE) for number in names),
        tuple(
            Edge(f"d{number}", f"s{other}")
            for number in names
            for other in (number, number + 1)
            if other < len(names)
        ),
    )
    made = assign(chain, HOSTS, "together")
    assert set(Counter(made.hosts.values()).values()) == {8}
    assert across(made) <= 4


def test_apart_puts_every_edge_between_hosts() -> None:
    made = assign(pairs(6), HOSTS, "apart")
    assert across(made) == len(made.edges)
    assert set(made.hosts.values()) == {"a", "b", "c"}
    by_hand = pairs(2)._replace(dispatchers=(Dispatcher("d0", 1.0, "c"), Dispatcher("d1", 1.0)))
    made = assign(by_hand, HOSTS, "apart")
    assert {each.host for each in made.dispatchers} == {"c"}


@pytest.mark.parametrize(
    ("topology", "hosts", "strategy", "told"),
    [
        (
            pairs(1)._replace(dispatchers=(Dispatcher("d0", 1.0, "x"),)),
            HOSTS,
            "spread",
            "no 'x', but a, b, c",
        ),
        (pairs(1), HOSTS[:1], "apart", "apart needs two hosts at least"),
        (pairs(1), HOSTS, "scatter", "'scatter' is unknown; choose one of spread"),
        (pairs(2), [HOSTS[0]._replace(agents=5)], "spread", "6 agents, and the hosts take 5 in all"),
        (pairs(2), [HOSTS[0]._replace(agents=3), HOSTS[1]._replace(agents=3)], "apart", "are full"),
        (
            pairs(1)._replace(
                dispatchers=(Dispatcher("d0", 1.0, "a"),),
                servers=tuple(Server(f"s0{side}", CURVE, host="a") for side in "lr"),
            ),
            [HOSTS[0]._replace(agents=2), HOSTS[1]],
            "spread",
            "a takes 2 agents, and 3 are to run there",
        ),
    ],
)
def test_who_has_no_place_is_told(topology: Topology, hosts: list[Host], strategy: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        assign(topology, hosts, strategy)
