"""The kernel's tables, against real sockets of real processes: every end, whose it is, and nothing else."""

import os
import select
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gmsr.launch.audit import tables
from gmsr.launch.audit.tables import Connection, Listening, Tables, look
from gmsr.topology.errors import RunError

pytestmark = [pytest.mark.live, pytest.mark.slow]

PATIENCE_REAL_S = 20.0

# Each says a line when it stands, and lives until it is killed.
PRELUDE = """
import os, socket, sys
argument = sys.argv[2]
def say(word="ready"):
    print(word, flush=True)
    sys.stdin.read()
exec(sys.argv[1])
"""
SERVER = """
import zmq, threading
router = zmq.Context().socket(zmq.ROUTER)
router.identity = b"server"
router.bind(argument)
threading.Thread(target=say, args=(router.last_endpoint.decode(),), daemon=True).start()
while True:
    router.send_multipart(router.recv_multipart())
"""
DISPATCHER = """
import zmq
router = zmq.Context().socket(zmq.ROUTER)
router.identity, router.connect_routing_id = b"dispatcher", b"server"
router.connect(argument)
router.send_multipart([b"server", b"there and back"])
router.recv_multipart()
say()
"""
NAMED_DATAGRAM = """
named = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
named.bind(argument)
say()
"""
TALKER = """
talker = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
talker.bind(argument + ".own")
talker.sendto(b"word", argument)
say()
"""
CONNECTED_TALKER = """
talker = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
talker.connect(argument)
say()
"""
LISTENER = """
listener = socket.socket(socket.AF_UNIX)
listener.bind("\\0" + argument[1:] if argument.startswith("@") else argument)
listener.listen()
say()
"""
ACCEPTER = """
listener = socket.socket(socket.AF_UNIX)
listener.bind(argument)
listener.listen()
print("ready", flush=True)
accepted, _ = listener.accept()
say("accepted")
"""
CLIENT = """
client = socket.socket(socket.AF_UNIX)
client.connect(argument)
say()
"""
PAIR = "pair = socket.socketpair(); say()"
HEIR = """
kept, passed_on = socket.socketpair()
heir = os.fork()
if heir == 0:
    kept.close()
    passed_on.send(b"closed")
    sys.stdin.read()
    os._exit(0)
kept.recv(6)
say(heir)
"""
ODD = """
kinds = [(socket.AF_INET, socket.SOCK_DGRAM), (socket.AF_INET, socket.SOCK_STREAM),
         (socket.AF_NETLINK, socket.SOCK_RAW), (socket.AF_UNIX, socket.SOCK_DGRAM)]
odd = [socket.socket(*kind) for kind in kinds]
say()
"""

Start = Callable[..., "Process"]


class Process:
    """A child that runs one of the programs above."""

    def __init__(self, program: str, argument: object = "") -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-c", PRELUDE, program, str(argument)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        self.pid = self.popen.pid

    def word(self) -> str:
        """The next line that it says."""
        assert self.popen.stdout
        assert select.select([self.popen.stdout], [], [], PATIENCE_REAL_S)[0], "it says nothing"
        return self.popen.stdout.readline().decode().strip()

    def end(self) -> None:
        self.popen.kill()
        self.popen.communicate()


@pytest.fixture
def start() -> Iterator[Start]:
    processes: list[Process] = []

    def make(program: str, argument: object = "") -> Process:
        processes.append(Process(program, argument))
        return processes[-1]

    yield make
    for process in processes:
        process.end()


@pytest.fixture
def ready(start: Start) -> Callable[..., int]:
    def make(program: str, argument: object = "") -> int:
        process = start(program, argument)
        assert process.word() == "ready"
        return process.pid

    return make


Ready = Callable[..., int]


def findings(**found: Any) -> Tables:
    """These and nothing else."""
    nothing = Tables((), (), (), {}, 0, (), ())
    return nothing._replace(**found)


def stream(
    pid: int, local: object, peer_pid: int | None, peer: object, state: str = "ESTABLISHED"
) -> Connection:
    return Connection(pid, "unix", "stream", str(local), peer_pid, str(peer), state)


def ordered(found: Tables) -> Tables:
    """Which of two processes has the lower number is chance."""
    return found._replace(
        connections=tuple(sorted(found.connections)), listening=tuple(sorted(found.listening))
    )


def test_an_edge_over_ipc_is_one_connection_with_two_ends(start: Start, ready: Ready, tmp_path: Path) -> None:
    path = tmp_path / "server.ipc"
    server = start(SERVER, f"ipc://{path}")
    assert server.word() == f"ipc://{path}"
    dispatcher = ready(DISPATCHER, f"ipc://{path}")
    ends = [stream(server.pid, path, dispatcher, ""), stream(dispatcher, "", server.pid, path)]
    listening = (Listening(server.pid, "unix", "stream", str(path)),)
    assert ordered(look([server.pid, dispatcher])) == findings(
        connections=tuple(sorted(ends)), listening=listening
    )
    # The far end is found though nobody asked for it.
    assert look([dispatcher]) == findings(connections=(ends[1],))
    assert look([server.pid]) == findings(connections=(ends[0],), listening=listening)
    assert look([]) == findings()


def test_an_edge_over_tcp_is_one_connection_with_two_ends(start: Start, ready: Ready) -> None:
    server = start(SERVER, "tcp://127.0.0.1:*")
    endpoint = server.word()
    address = endpoint.removeprefix("tcp://")
    dispatcher = ready(DISPATCHER, endpoint)
    found = look([dispatcher])
    (near,) = found.connections
    assert near == Connection(dispatcher, "tcp", "stream", near.local, server.pid, address, "ESTABLISHED")
    assert near.local.startswith("127.0.0.1:")
    assert found == findings(connections=(near,))
    assert look([server.pid]) == findings(
        connections=(
            Connection(server.pid, "tcp", "stream", address, dispatcher, near.local, "ESTABLISHED"),
        ),
        listening=(Listening(server.pid, "tcp", "stream", address),),
    )


def test_ipv6_and_ipv4_within_it() -> None:
    try:
        listener = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    except OSError:
        pytest.skip("no IPv6 here")
    with (
        closing(listener),
        closing(socket.create_connection(("127.0.0.1", listener.getsockname()[1]))) as client,
    ):
        with closing(listener.accept()[0]):
            port, client_port = listener.getsockname()[1], client.getsockname()[1]
            found = look([os.getpid()])
            assert Listening(os.getpid(), "tcp", "stream", f"[::]:{port}") in found.listening
            assert not [one for one in found.connections if str(client_port) in one.local + one.peer]
            assert found.internal >= 1
        assert client.recv(1) == b""


def test_datagrams_leave_names_and_no_connections(ready: Ready, tmp_path: Path) -> None:
    path = tmp_path / "nursery"
    named, talker = ready(NAMED_DATAGRAM, path), ready(TALKER, path)
    assert ordered(look([named, talker])) == findings(
        listening=tuple(sorted([
            Listening(named, "unix", "datagram", str(path)),
            Listening(talker, "unix", "datagram", f"{path}.own"),
        ]))
    )  # fmt: skip


def test_a_datagram_socket_learns_who_has_connected_to_it(ready: Ready, tmp_path: Path) -> None:
    path = tmp_path / "agent.ctl"
    named = ready(NAMED_DATAGRAM, path)
    stranger = ready(CONNECTED_TALKER, path)
    assert look([named]) == findings(
        connections=(Connection(named, "unix", "datagram", str(path), stranger, "", "CLOSE"),),
        listening=(Listening(named, "unix", "datagram", str(path)),),
    )
    assert look([stranger]) == findings(
        connections=(Connection(stranger, "unix", "datagram", "", named, str(path), "ESTABLISHED"),)
    )


def test_a_listener_by_path_and_by_abstract_name(ready: Ready, tmp_path: Path) -> None:
    abstract = f"@gmsr-test-{os.getpid()}"
    for address in (str(tmp_path / "listener"), abstract):
        listener = ready(LISTENER, address)
        assert look([listener]) == findings(listening=(Listening(listener, "unix", "stream", address),))


def test_who_waits_to_be_accepted_is_known(ready: Ready, tmp_path: Path) -> None:
    path = tmp_path / "listener"
    listener = ready(LISTENER, path)
    client = ready(CLIENT, path)
    assert look([listener]).connections == (stream(listener, path, client, "", "LISTEN"),)
    assert look([client]) == findings(connections=(stream(client, "", listener, path),))


def test_a_stream_whose_other_end_is_closed(start: Start, ready: Ready, tmp_path: Path) -> None:
    path = tmp_path / "listener"
    accepter = start(ACCEPTER, path)
    assert accepter.word() == "ready"
    client = start(CLIENT, path)
    assert (client.word(), accepter.word()) == ("ready", "accepted")
    client.end()
    assert look([accepter.pid]).connections == (stream(accepter.pid, path, None, "", "SHUTDOWN"),)


def test_a_process_talking_to_itself_is_internal(ready: Ready) -> None:
    assert look([ready(PAIR)]) == findings(internal=1)


def test_a_long_table_comes_in_several_parts() -> None:
    before = look([os.getpid()])
    pairs = [socket.socketpair() for _ in range(300)]
    after = look([os.getpid()])
    for pair in pairs:
        for one in pair:
            one.close()
    assert after == before._replace(internal=before.internal + 300)


def test_an_inherited_socket_is_shared_and_no_longer_internal(start: Start) -> None:
    parent = start(HEIR)
    heir = int(parent.word())
    found = look([parent.pid])
    # Each end is told from the parent's side: to the heir, and what it holds together with the heir.
    (inode,) = found.shared
    assert found.shared == {inode: tuple(sorted([parent.pid, heir]))}
    assert found.internal == 0
    assert {one.peer_pid for one in found.connections} == {heir, parent.pid}
    assert set(found.connections) == {stream(parent.pid, "", peer, "") for peer in (heir, parent.pid)}
    assert look([heir]) == findings(connections=(stream(heir, "", parent.pid, ""),), shared=found.shared)


def test_what_the_tables_do_not_tell_is_named(ready: Ready) -> None:
    odd = ready(ODD)
    found = look([odd])
    assert sorted(one.what for one in found.unseen) == [
        "NETLINK",
        "TCP",
        "UDP",
        "unix datagram without a name",
    ]
    assert found == findings(unseen=found.unseen)
    assert {one.pid for one in found.unseen} == {odd}


def test_who_has_ended_is_gone_reaped_or_not(ready: Ready, start: Start) -> None:
    pair = ready(PAIR)
    reaped, zombie = start(PAIR), start(PAIR)
    assert (reaped.word(), zombie.word()) == ("ready", "ready")
    reaped.end()
    zombie.popen.kill()
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
    gone = tuple(sorted([reaped.pid, zombie.pid]))
    assert look([reaped.pid, pair, zombie.pid]) == findings(internal=1, gone=gone)


def meanwhile(monkeypatch: pytest.MonkeyPatch, what: Callable[[], object]) -> None:
    """Between the pass over descriptors and the tables."""
    read = tables._unix_sockets
    monkeypatch.setattr(tables, "_unix_sockets", lambda: (what(), read())[1])


def test_a_process_that_ends_meanwhile_is_gone(
    monkeypatch: pytest.MonkeyPatch, ready: Ready, start: Start, tmp_path: Path
) -> None:
    path = tmp_path / "listener"
    listener = start(LISTENER, path)
    assert listener.word() == "ready"
    pair = ready(PAIR)
    meanwhile(monkeypatch, listener.end)
    assert look([listener.pid, pair]) == findings(internal=1, gone=(listener.pid,))


def test_a_socket_closed_meanwhile_is_not_held_against_anyone(monkeypatch: pytest.MonkeyPatch) -> None:
    before = look([os.getpid()])
    closed = socket.socket(socket.AF_UNIX)
    assert look([os.getpid()]) == before  # neither connected nor listening: nothing
    meanwhile(monkeypatch, closed.close)
    assert look([os.getpid()]) == before


def test_who_may_not_be_read_is_hidden(monkeypatch: pytest.MonkeyPatch, ready: Ready) -> None:
    secret, pair = ready(PAIR), ready(PAIR)
    iterdir = Path.iterdir

    def refuse(folder: Path) -> Iterator[Path]:
        if folder == Path(f"/proc/{secret}/fd"):
            raise PermissionError
        return iterdir(folder)

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert look([secret, pair]) == findings(internal=1, hidden=(secret,))


def test_without_netlink_there_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_SOCK_DIAG_BY_FAMILY", 99)
    with pytest.raises(RunError, match=r"does not list unix sockets \(sock_diag\(7\)\): "):
        look([os.getpid()])
    monkeypatch.setattr(tables, "_NETLINK_SOCK_DIAG", 31)
    with pytest.raises(RunError, match="Protocol not supported"):
        look([os.getpid()])
