"""Keys, the gate, and endpoints over tcp. What strangers can do to a real server: tests/live/test_strangers.py."""

import json
import os
import select
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq
from zmq.utils import z85
from zmq.utils.monitor import recv_monitor_message

from gmsr.broker import endpoint as module
from gmsr.broker.census import reconcile
from gmsr.broker.endpoint import Endpoint
from gmsr.broker.keys import Gate, Keys, forge
from gmsr.broker.wire import COMPLETION, HELLO, JOB, PING, REPORT, WELCOME, Frame, Message, Tally, encode

from .conftest import PATIENCE_S, receive, until

GREETING: list[Message] = [(HELLO, "run", "d1")]
PATIENCE_MS = int(PATIENCE_S * 1000)
EDGES = [("d1", "s1"), ("d2", "s1")]
KEYS = forge("run", ("s1", "d1", "d2"), EDGES)


class Net:
    """Endpoints over tcp on one port, which is held as ``launch.tcp`` holds it."""

    def __init__(self) -> None:
        self._held = socket.socket()
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._held.bind(("127.0.0.1", 0))
        self.port = self._held.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"
        self._closers: list[Callable[[], None]] = []

    def server(self, keys: Keys = KEYS["s1"]) -> Endpoint:
        made = Endpoint("s1", 1, keys)
        self._closers.append(made.close)
        made.allow(["d1", "d2"])
        made.bind(self.address)
        return made

    def dispatcher(self, own_id: str, keys: Keys | None = None) -> Endpoint:
        made = Endpoint(own_id, 1, keys or KEYS[own_id])
        self._closers.append(made.close)
        made.allow(["s1"])
        made.connect("s1", self.address)
        return made

    def close(self) -> None:
        for close in self._closers:
            close()
        self._held.close()


@pytest.fixture
def net(monkeypatch: pytest.MonkeyPatch) -> Iterator[Net]:
    monkeypatch.setattr(module, "LINGER_MS", 0)  # refused peers would keep what they cannot deliver
    made = Net()
    yield made
    made.close()


def untouched(server: Endpoint) -> bool:
    """Nothing that came was a good frame, or a bad one."""
    return not any(tally.frames for tally in server.census.received.values()) and not any(
        server.census.dropped.values()
    )


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


def test_an_agent_is_told_its_own_secret_and_its_neighbours_public_keys() -> None:
    keys = forge("run", ("s1", "s2", "d1", "lonely"), [("d1", "s1"), ("d1", "s2")])
    for name, own in keys.items():
        told = json.dumps(own)
        others = [other for other in keys if other != name]
        assert not [other for other in others if keys[other].secret in told]
        assert {other for other in others if keys[other].public in told} == set(own.peers)
        assert own.peers == {peer: keys[peer].public for peer in own.peers}
        assert own.names == {peer: keys[peer].names[name] for peer in own.peers}
    assert set(keys["d1"].peers) == {"s1", "s2"}
    assert keys["d1"].names["s1"] != keys["d1"].names["s2"]
    assert keys["lonely"].peers == {}


def test_no_two_runs_share_a_key() -> None:
    again = forge("run", ("s1", "d1", "d2"), EDGES)
    for name, own in KEYS.items():
        assert own.secret != again[name].secret
        assert not set(own.names.values()) & set(again[name].names.values())


@pytest.mark.parametrize(
    ("run", "key", "verdict"),
    [
        (b"run", KEYS["d1"].public, [b"200", b"", b"d1", b""]),
        (b"run", KEYS["d2"].public, [b"200", b"", b"d2", b""]),
        (b"run", KEYS["s1"].public, [b"400", b"no neighbour", b"", b""]),
        (b"run", zmq.curve_keypair()[0].decode(), [b"400", b"no neighbour", b"", b""]),
        (b"another run", KEYS["d1"].public, [b"400", b"no neighbour", b"", b""]),
    ],
    ids=["d1", "d2", "itself", "unknown", "another run"],
)
def test_the_gate_knows_the_neighbours_of_its_run(run: bytes, key: str, verdict: list[bytes]) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    gate, libzmq = Gate(context, KEYS["s1"]), context.socket(zmq.REQ)
    libzmq.connect("inproc://zeromq.zap.01")
    request = [run, b"127.0.0.1", b"s1", b"CURVE", z85.decode(key.encode())]
    try:
        assert gate.serve() == 0
        for number in (b"1", b"2"):
            libzmq.send_multipart([b"1.0", number, *request])
            assert select.select([gate.fd], (), (), PATIENCE_S)[0]
            assert gate.serve() == (verdict[0] != b"200")
            assert libzmq.poll(PATIENCE_MS)
            assert libzmq.recv_multipart() == [b"1.0", number, *verdict]
    finally:
        gate.close()
        context.destroy(0)


def test_one_socket_listens_bare_on_ipc_and_with_keys_on_tcp(net: Net, tmp_path: Path) -> None:
    """A server with dispatchers on its own host and on another; and a dispatcher whose servers are here and there."""
    near, far = f"ipc://{tmp_path}/s1", net.address
    s1 = Endpoint("s1", 1, KEYS["s1"])
    s1.allow(["d1", "d2"])
    s1.bind(near)
    s1.bind(far)
    d1, d2 = Endpoint("d1", 1, KEYS["d1"]), Endpoint("d2", 1, KEYS["d2"])
    # A process of this user that has no keys gets in on ipc, and is not heard; on tcp it does not get in.
    context = zmq.Context()
    stranger = context.socket(zmq.DEALER)
    stranger.setsockopt(zmq.IDENTITY, b"d1")
    stranger.setsockopt(zmq.LINGER, 0)
    try:
        for made, address in ((d1, near), (d2, far)):
            made.allow(["s1"])
            made.connect("s1", address)
            made.send("s1", GREETING)
        assert sorted(peer for peer, _ in receive(s1, 2)) == ["d1", "d2"]
        for made, name in ((d1, "d1"), (d2, "d2")):
            assert s1.send(name, [(WELCOME, "run")]) == []
            assert receive(made) == [("s1", [(WELCOME, "run")])]
        for address in (near, far):
            stranger.connect(address)
        stranger.send(encode(GREETING, Tally(), 1, 1))
        until(lambda: s1.census.dropped["sender"], s1)
        assert s1.census.received["d1"].frames == 1
    finally:
        context.destroy(0)
        for each in (d1, d2, s1):
            each.close()


def test_connections_of_one_socket_each_have_their_own_security(net: Net, tmp_path: Path) -> None:
    keys = forge("run", ("d1", "s1", "s2", "s3"), [("d1", "s1"), ("d1", "s2"), ("d1", "s3")])
    places = {"s1": net.address, "s2": f"ipc://{tmp_path}/s2", "s3": f"ipc://{tmp_path}/s3"}
    servers = {name: Endpoint(name, 1, keys[name]) for name in places}
    d1 = Endpoint("d1", 1, keys["d1"])
    d1.allow(places)
    try:
        for name in ("s2", "s1", "s3"):  # bare, with CURVE, and bare again
            servers[name].allow(["d1"])
            servers[name].bind(places[name])
            d1.connect(name, places[name])
            d1.send(name, GREETING)
        for name, server in servers.items():
            assert receive(server) == [("d1", GREETING)], name
    finally:
        for each in (d1, *servers.values()):
            each.close()


def test_frames_go_both_ways_and_the_counts_agree(net: Net) -> None:
    s1, d1, d2 = net.server(), net.dispatcher("d1"), net.dispatcher("d2")
    answer: list[Message] = [(WELCOME, "run"), (REPORT, 0.25)]
    for name, dispatcher in (("d1", d1), ("d2", d2)):
        assert dispatcher.send("s1", [(HELLO, "run", name)]) == []
        assert receive(s1) == [(name, [(HELLO, "run", name)])]
        assert s1.send(name, answer) == []
        assert receive(dispatcher) == [("s1", answer)]
    censuses = {"s1": s1.census.to_plain(), "d1": d1.census.to_plain(), "d2": d2.census.to_plain()}
    assert reconcile(censuses) == []
    assert censuses["s1"]["strangers"] == 0
    assert not any(s1.census.dropped.values())


def test_one_dispatcher_has_its_own_key_and_name_at_each_server(net: Net) -> None:
    """What is set for one connection does not stick to the next, nor to one that comes up again."""
    other = Net()
    keys = forge("run", ("s1", "s2", "d1"), [("d1", "s1"), ("d1", "s2")])
    d1 = Endpoint("d1", 1, keys["d1"])
    d1.allow(["s1", "s2"])
    d1.connect("s1", net.address)
    d1.connect("s2", other.address)
    for _ in range(2):
        servers = []
        for own_id, at in (("s1", net), ("s2", other)):
            server = Endpoint(own_id, 1, keys[own_id])
            server.allow(["d1"])
            server.bind(at.address)
            servers.append((own_id, server))
        for own_id, server in servers:
            d1.send(own_id, GREETING)
            assert receive(server) == [("d1", GREETING)]
            server.close()
    d1.close()
    other.close()


def test_who_is_no_neighbour_is_refused_and_counted_before_a_frame_is_read(net: Net) -> None:
    s1 = net.server()
    strange = forge("run", ("d1", "s1"), [("d1", "s1")])["d1"]
    mallory = net.dispatcher("d1", strange._replace(peers=KEYS["d1"].peers, names=KEYS["d1"].names))
    mallory.send("s1", GREETING)
    until(lambda: s1.census.strangers, s1)
    assert untouched(s1)
    d1 = net.dispatcher("d1")
    d1.send("s1", GREETING)
    assert receive(s1) == [("d1", GREETING)]
    assert s1.send("d1", [(WELCOME, "run")]) == []
    assert receive(d1) == [("s1", [(WELCOME, "run")])]
    assert mallory.receive() == []


def test_a_server_without_its_gate_lets_nobody_in(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    """libzmq, where nobody answers, lets everybody in, unless it is told otherwise."""
    monkeypatch.setattr("gmsr.broker.keys._ZAP", "inproc://elsewhere")
    s1, own = net.server(), KEYS["d1"]
    with zmq.Context() as context, context.socket(zmq.DEALER) as d1:
        d1.setsockopt(zmq.LINGER, 0)
        d1.setsockopt(zmq.CURVE_SERVERKEY, own.peers["s1"].encode())
        d1.setsockopt(zmq.CURVE_PUBLICKEY, own.public.encode())
        d1.setsockopt(zmq.CURVE_SECRETKEY, own.secret.encode())
        with d1.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED) as monitor:
            d1.connect(net.address)
            assert monitor.poll(PATIENCE_MS)
            assert recv_monitor_message(monitor)["event"] == zmq.EVENT_DISCONNECTED
            d1.disable_monitor()
    assert s1.receive() == []


@pytest.mark.parametrize(
    "claimed",
    ["d1", KEYS["s1"].names["d1"][:-1], KEYS["d2"].names["s1"] + "0"],
    ids=["an id", "a name cut short", "a name with a tail"],
)
def test_a_neighbour_cannot_speak_as_another_nor_get_what_is_anothers(net: Net, claimed: str) -> None:
    """The key is a neighbour's, d2's; the id that it claims is d1's, or anything but its own edge's name."""
    s1 = net.server()
    mallory = net.dispatcher("d2", KEYS["d2"]._replace(names={"s1": claimed}))
    mallory.send("s1", [(JOB, 1, 1.0)])
    until(lambda: s1.census.dropped["sender"] == 1, s1)
    assert s1.census.received["d1"].frames == s1.census.received["d2"].frames == 0
    for name in ("d1", "d2"):
        assert s1.send(name, [(COMPLETION, 1)]) == [(COMPLETION, 1)]
    assert s1.refusal == "unroutable"
    d1 = net.dispatcher("d1")  # whose place is not taken
    d1.send("s1", GREETING)
    assert receive(s1) == [("d1", GREETING)]
    assert s1.send("d1", [(COMPLETION, 2)]) == []
    assert receive(d1) == [("s1", [(COMPLETION, 2)])]
    assert mallory.receive() == []


@pytest.mark.slow
def test_silent_connections_neither_hinder_nor_stay(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    """200 that say nothing, half a greeting, or a greeting and no more."""
    monkeypatch.setattr(module, "HANDSHAKE_MS", 2000)
    s1 = net.server()
    before = descriptors()
    greeting = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"CURVE".ljust(20, b"\0") + bytes(32)
    silent = [socket.create_connection(("127.0.0.1", net.port)) for _ in range(200)]
    for number, connection in enumerate(silent):
        connection.sendall(greeting[: (0, 11, 64)[number % 3]])
    d1 = net.dispatcher("d1")
    d1.send("s1", GREETING)
    assert receive(s1) == [("d1", GREETING)]
    assert descriptors() >= before + 2 * len(silent), "it came while all of them were there, both ends"
    for connection in silent:
        connection.settimeout(PATIENCE_S)
        while connection.recv(100):  # libzmq's own greeting, then the end
            pass
        connection.close()
    d1.send("s1", [(PING, 1)])
    assert receive(s1) == [("d1", [(PING, 1)])]
    until(lambda: descriptors() < before + 20, s1)
    assert not any(s1.census.dropped.values())


def test_no_endpoint_goes_on_a_network_without_keys() -> None:
    bare = Endpoint("s1")
    bare.allow(["d1"])
    with pytest.raises(ValueError, match="without keys"):
        bare.bind("tcp://127.0.0.1:9")
    with pytest.raises(ValueError, match="without keys"):
        bare.connect("d1", "tcp://127.0.0.1:9")
    bare.close()


def test_without_the_keys_nothing_of_a_frame_can_be_read_on_the_way(net: Net) -> None:
    """The wire between, looked into: neither the frame nor the name of the edge is there."""
    s1 = net.server()
    listener = socket.create_server(("127.0.0.1", 0))
    d1 = Endpoint("d1", 1, KEYS["d1"])
    d1.allow(["s1"])
    d1.connect("s1", f"tcp://127.0.0.1:{listener.getsockname()[1]}")
    d1.send("s1", GREETING)
    near, far = listener.accept()[0], socket.create_connection(("127.0.0.1", net.port))
    seen = b""
    heard: list[tuple[str, Frame]] = []
    end = time.monotonic() + PATIENCE_S
    while not heard and time.monotonic() < end:
        for source in select.select([near, far], (), (), 0.01)[0]:
            data = source.recv(1 << 16)
            seen += data
            (far if source is near else near).sendall(data)
        heard = s1.receive()
    assert heard == [("d1", (1, 1, GREETING))]
    d1.close()
    assert encode(GREETING) not in seen
    assert KEYS["d1"].names["s1"].encode() not in seen
    for connection in (near, far, listener):
        connection.close()
