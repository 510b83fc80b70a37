"""Runs on tcp edges: ports, keys, and that no key is ever on a disk."""

import socket
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import zmq

from gmsr.broker.keys import Keys, forge
from gmsr.launch import plan, tcp
from gmsr.launch.choices import choose
from gmsr.launch.place.ports import Ports
from gmsr.launch.run import run
from gmsr.launch.tcp import Tcp
from gmsr.topology import curves
from gmsr.topology.errors import UserError
from gmsr.topology.graph import Dispatcher, Edge, Server, Topology

CURVE = curves.make({"kind": "hyperbolic", "a": 40.0, "b": 2.0})
TOPOLOGY = Topology(
    "little",
    (Dispatcher("d1", 20.0), Dispatcher("d2", 20.0)),
    (Server("s1", CURVE), Server("s2", CURVE)),
    (Edge("d1", "s1"), Edge("d1", "s2"), Edge("d2", "s2")),
)


def addresses(topology: Topology) -> dict[str, str]:
    return {server.id: f"tcp://127.0.0.1:{7000 + index}" for index, server in enumerate(topology.servers)}


def specs(topology: Topology) -> dict[str, Any]:
    ports = Tcp(topology, "token", addresses(topology))
    chosen = plan.options(topology, edges="tcp")
    inputs = plan.Inputs({}, None, 1.0)
    made = plan.specs(topology, chosen, choose("gmsr"), Path("/r"), "/tmp/x", "token", inputs, ports)
    return {spec["id"]: spec for spec in made}


def test_each_agent_has_its_own_keys_and_dispatchers_know_the_ports() -> None:
    lonely = TOPOLOGY._replace(servers=(*TOPOLOGY.servers, Server("idle", CURVE)))
    made = specs(lonely)
    assert made["d1"]["addresses"] == [made["s1"]["address"], made["s2"]["address"]]
    assert len({made[name]["address"] for name in ("s1", "s2", "idle")}) == 3
    assert all(made[name]["address"].startswith("tcp://127.0.0.1:") for name in ("s1", "s2", "idle"))
    for spec in made.values():
        keys = Keys(**spec["keys"])
        assert keys.run == "token"
        assert set(keys.peers) == set(keys.names) == set(spec.get("servers") or spec["dispatchers"])
    assert made["idle"]["keys"]["peers"] == {}, "keys too for who has no edge: it lets nobody in"


def nobody_listens(port: int, patience_s: float = 20.0) -> bool:
    """ZeroMQ closes a socket some time after it was told to."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            return True
    return False


def test_a_held_port_is_its_servers_own_and_nobody_elses() -> None:
    with closing(Ports()) as ports, zmq.Context() as context:
        port = ports.reserve("127.0.0.1", ["s1", "s2"])["s1"]
        address = f"tcp://127.0.0.1:{port}"
        for _ in range(2):  # it stays so while the server is dead, and for its next life
            with socket.socket() as other, pytest.raises(OSError, match="in use"):
                other.bind(("127.0.0.1", port))
            assert nobody_listens(port)
            with context.socket(zmq.ROUTER) as server, context.socket(zmq.ROUTER) as second:
                server.bind(address)
                socket.create_connection(("127.0.0.1", port)).close()
                with pytest.raises(zmq.ZMQError, match="in use"):
                    second.bind(address)


def test_too_few_ports_are_told_and_leave_none_held(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[Any] = []

    def made(*of: Any) -> Any:
        if held:
            raise OSError(24, "Too many open files")
        held.append(socket.SocketType(*of))
        return held[0]

    monkeypatch.setattr(socket, "socket", made)
    with pytest.raises(OSError, match="Too many open files"):
        Ports().reserve("127.0.0.1", ["s1", "s2"])
    assert held[0].fileno() == -1


def test_an_address_that_is_not_this_hosts_is_told() -> None:
    with pytest.raises(OSError, match="assign"):
        Ports().reserve("192.0.2.1", ["s1"])


def test_other_edges_are_refused() -> None:
    with pytest.raises(UserError, match="--edges: 'udp' is unknown; choose one of ipc, tcp"):
        plan.options(TOPOLOGY, edges="udp")


@pytest.mark.live
@pytest.mark.slow
def test_a_run_on_tcp_is_valid_and_writes_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets: list[str] = []

    def remembered(*of: Any) -> dict[str, Keys]:
        made = forge(*of)
        for keys in made.values():
            secrets.extend([keys.secret, *keys.names.values()])
        return made

    monkeypatch.setattr(tcp, "forge", remembered)
    summary = run(TOPOLOGY, plan.options(TOPOLOGY, duration=3.0, warmup=0.5, edges="tcp"), tmp_path / "run")
    assert summary["valid"], summary["warnings"]
    assert summary["jobs"]["completed"] > 20
    assert len(secrets) == 4 + 2 * 3
    for path in (tmp_path / "run").rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        assert not [secret for secret in secrets if secret.encode() in content], path
