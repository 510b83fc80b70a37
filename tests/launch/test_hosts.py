"""What a run on several hosts is made of, without any: clocks, tables put together, what ssh says, what comes home."""

import io
import subprocess
import tarfile
from pathlib import Path
from random import Random

import pytest

from gmsr.launch import plan
from gmsr.launch.audit.joined import join
from gmsr.launch.audit.proof import snapshot
from gmsr.launch.audit.tables import Connection, Listening, Tables, packed, unpacked
from gmsr.launch.choices import choose
from gmsr.launch.place import on_ssh
from gmsr.launch.place.assign import placed
from gmsr.launch.place.base import Seen, Site
from gmsr.launch.place.clocks import ROUND_TRIPS, Offset, best
from gmsr.launch.place.inventory import Host
from gmsr.launch.place.journals import receive
from gmsr.launch.tcp import Tcp
from gmsr.topology import curves
from gmsr.topology.errors import UserError
from gmsr.topology.faults import Fault, problems
from gmsr.topology.graph import Dispatcher, Edge, Server, Topology

CURVE = curves.make({"kind": "hyperbolic", "a": 4.0, "b": 2.0})
TOPOLOGY = Topology(
    "little",
    (Dispatcher("d1", 1.0), Dispatcher("d2", 1.0)),
    (Server("s1", CURVE), Server("s2", CURVE)),
    (Edge("d1", "s1"), Edge("d1", "s2"), Edge("d2", "s2")),
)
WHERE = {"d1": "a", "s1": "a", "d2": "b", "s2": "b"}
NO_TABLES = Tables((), (), (), {}, 0, (), ())


@pytest.mark.parametrize("seed", range(20))
def test_an_offset_is_right_within_its_error_however_the_way_shares_the_time(seed: int) -> None:
    random = Random(seed)
    ahead = random.randrange(-(10**12), 10**12)
    now = 0
    trips: list[int] = []

    def clock() -> int:
        return now

    def ask() -> int:
        nonlocal now
        there, back = (int(random.expovariate(1e-5)) for _ in range(2))
        now += there
        told = now + ahead
        now += back
        trips.append(there + back)
        return told

    found = best(ask, clock)
    assert found is not None
    assert len(trips) == ROUND_TRIPS
    assert abs(found.ahead_ns - ahead) <= found.error_ns <= min(trips) // 2 + 1, (
        "the quickest trip says it best"
    )


def test_a_host_that_does_not_answer_has_no_clock() -> None:
    assert best(lambda: None) is None
    assert Offset(1_500_000_000, 1_000).ahead_s == 1.5


def test_addresses_are_ipc_within_a_host_and_tcp_between() -> None:
    sites = {name: Site(host, f"/far/{host}", f"/sockets/{host}") for name, host in WHERE.items()}
    tcp = Tcp(TOPOLOGY, "token", {"s1": "tcp://10.0.0.1:1", "s2": "tcp://10.0.0.2:2"})
    options, nothing = plan.options(TOPOLOGY), plan.Inputs({}, None, 1.0)
    specs = plan.specs(TOPOLOGY, options, choose("gmsr"), Path("/r"), "", "t", nothing, tcp, sites)
    made = {spec["id"]: spec for spec in specs}
    d1, d2, s1, s2 = (made[name] for name in ("d1", "d2", "s1", "s2"))
    assert d1["role"] == d2["role"] == "dispatcher"
    assert s1["role"] == s2["role"] == "server"
    assert d1["addresses"] == ["ipc:///sockets/a/s1.ipc", "tcp://10.0.0.2:2"]
    assert d2["addresses"] == ["ipc:///sockets/b/s2.ipc"]
    assert (s1["address"], s1["far_address"]) == ("ipc:///sockets/a/s1.ipc", "")
    assert (s2["address"], s2["far_address"]) == ("ipc:///sockets/b/s2.ipc", "tcp://10.0.0.2:2")
    assert d2["rows"] == "/far/b/agents/d2.rows"
    assert all("keys" in spec for spec in made.values())


def tables(*connections: Connection, listening: tuple[Listening, ...] = ()) -> Tables:
    return NO_TABLES._replace(connections=connections, listening=listening)


def end(pid: int, local: str, peer: str, peer_pid: int | None = None) -> Connection:
    return Connection(pid, "tcp", "stream", local, peer_pid, peer, "ESTABLISHED")


def test_a_connection_between_hosts_is_put_together_from_both_tables() -> None:
    """The same process ids on both: they mean something on their own host only."""
    a = Seen("a", {"d1": 7}, "/a", tables(end(7, "10.0.0.1:5000", "10.0.0.2:6000")))
    there = tables(
        end(7, "10.0.0.2:6000", "10.0.0.1:5000"), listening=(Listening(7, "tcp", "stream", "10.0.0.2:6000"),)
    )
    b = Seen("b", {"s2": 7}, "/b", unpacked(packed(there)))
    seen = snapshot(lambda: [a, b], [("d1", "s2")], 1.0, {"s2": "10.0.0.2:6000"})
    assert seen["contradictions"] == []
    assert seen["connections"] == [["d1", "s2"]]
    assert seen["hosts"] == {"a": 1, "b": 1}
    # What nobody has at its other end, a door that is no edge's, and a host that is silent speak against it.
    stray = Seen("a", {"d1": 7}, "/a", tables(end(7, "10.0.0.1:5000", "10.0.0.9:80")))
    against = snapshot(lambda: [stray, b], [("d1", "s2")], 1.0, {})["contradictions"]
    assert any("d1 is connected to nobody that is known (tcp 10.0.0.9:80)" in line for line in against)
    assert any("s2 can be reached from outside its machine, at 10.0.0.2:6000" in line for line in against)
    silent = snapshot(lambda: [a, Seen("b", {}, "/b", None)], [("d1", "s2")], 1.0)["contradictions"]
    assert any("host b did not answer" in line for line in silent)


def test_unknown_processes_keep_their_number() -> None:
    joined = join(
        [Seen("a", {}, "/a", NO_TABLES), Seen("b", {"s2": 7}, "/b", tables(end(7, "x", "y", 4242)))]
    )
    assert joined.process(joined.tables.connections[0].peer_pid) == "process 4242"


@pytest.mark.parametrize(
    ("status", "words", "told"),
    [
        (255, "Host key verification failed.\n", "does not know right by its key; connect once by hand"),
        (255, "me@right: Permission denied (publickey).\n", "refuses our key"),
        (
            255,
            "ssh: connect to host right port 22: No route to host\n",
            "cannot be reached (ssh: connect to host",
        ),
        (127, "sh: 1: exec: /no/python: not found\n", "there is no interpreter /py"),
        (1, "/py: No module named gmsr\n", "has no gmsr"),
        (
            1,
            "/py: Error while finding module specification (ModuleNotFoundError: No module named 'gmsr')",
            "no gmsr",
        ),
        (2, "unknown option -P\nusage: python\n", "older than Python 3.11"),
        (1, "no folder for journals: /x: Read-only file system", "no folder for journals: /x: Read-only"),
        (0, "", "without a word"),
    ],
)
def test_what_ssh_and_the_shell_say_becomes_a_mend(status: int, words: str, told: str) -> None:
    assert told in on_ssh.explain(Host("b", "10.0.0.2", ("-p", "22", "right"), "/py"), status, words)


def test_what_runs_on_a_host_is_quoted_and_asks_nothing() -> None:
    words = on_ssh.module(Host("b", "10.0.0.2", ("-p", "22", "right"), "/my py"), "nursery", "--far=a;b")
    assert words[0] == "ssh"
    assert words[-2:] == ["right", "exec '/my py' -P -m gmsr.launch.place.nursery '--far=a;b'"]
    assert words[-3] == "--"
    assert {"BatchMode=yes", "StrictHostKeyChecking=yes"} <= set(words)
    assert on_ssh.command(Host("a", "10.0.0.1"), "x", "y") == ["x", "y"]


def test_a_host_without_an_interpreter_here_is_named() -> None:
    with pytest.raises(UserError, match="host a: there is no /none/python here; mend python"):
        on_ssh.Ssh([Host("a", "127.0.0.1", (), "/none/python")], {"d1": "a"})


def test_only_files_of_agents_are_taken_in(tmp_path: Path) -> None:
    (tmp_path / "agents").mkdir()
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name in ("d1.rows", "d1@2.json", "../evil.rows", "/etc/evil.rows", "a/b.rows", "s1.py", ".rows"):
            member = tarfile.TarInfo(name)
            member.size = 3
            tar.addfile(member, io.BytesIO(b"abc"))
        link = tarfile.TarInfo("s1.rows")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    stream.seek(0)
    receive(stream, tmp_path)
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()} == {
        "agents/d1.rows", "agents/d1@2.json",
    }  # fmt: skip
    assert not (tmp_path.parent / "evil.rows").exists()


def test_a_stream_that_breaks_off_is_told(tmp_path: Path) -> None:
    (tmp_path / "agents").mkdir()
    with pytest.raises((tarfile.TarError, EOFError, OSError)):
        receive(io.BytesIO(b"no tar at all"), tmp_path)


def test_a_folder_that_is_none_of_ours_is_left_alone(tmp_path: Path) -> None:
    words = on_ssh.module(Host("a", "127.0.0.1"), "journals", str(tmp_path))
    done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 1
    assert "is not there any more" in done.stderr
    assert tmp_path.exists()


def test_faults_between_hosts_are_those_of_the_edges_between_them() -> None:
    unplaced = TOPOLOGY._replace(
        faults=(
            Fault("cut", 1.0, 2.0, hosts=("a", "b")),
            Fault("lose-host", 3.0, hosts=("b",)),
        )
    )
    assert problems(unplaced.faults, unplaced, 10.0) == [], "who runs where may be known later"
    made = placed(unplaced, WHERE)
    cut, lost = made.faults
    assert cut.edges == (("d1", "s2"),)
    assert cut.describe() == "cut a-b"
    assert lost.agents == ("d2", "s2")
    assert lost.to_dict() == {"kind": "lose-host", "at": 3.0, "host": "b"}
    assert problems(made.faults, made, 10.0) == []
    wrong = placed(TOPOLOGY._replace(faults=(Fault("lose-host", 3.0, hosts=("c",)),)), WHERE)
    assert "no agent is on a host 'c'; name one of a, b" in problems(wrong.faults, wrong, 10.0)[0]
    apart = placed(TOPOLOGY._replace(faults=(Fault("cut", 1.0, hosts=("a", "a")),)), WHERE)
    assert problems(apart.faults, apart, 10.0), "no edge leads from a host to itself"
