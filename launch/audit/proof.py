"""That nobody is in charge, proved of a run. One function a claim; each returns what contradicts it.

1. The kernel's tables (``tables``): each agent's connections are exactly its edges, and beside the socket that its
   edges use it has one datagram socket, for telemetry.
2. The counters: no message ever went anywhere but over an edge, and both ends agree on each.
3. The bytes: of its servers a dispatcher learned what its policy declares that it reads, and nothing more.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gmsr.topology.errors import UserError

from ..place.base import Seen
from ..record import account
from ..record.collect import Collected, collect
from ..record.folder import Folder, open_run, read_json, write_json
from .joined import Joined, join

FILE = "audit.json"
REPORT_HEAD_BYTES, VALUE_BYTES = 2, 9
"""A report is an array of its kind and a float for each quantity (``broker.wire``)."""
NUMBERS_ONLY = (
    "job",
    "completion",
    "report",
    "ping",
    "pong",
    "missed",
    "ask",
    "held",
    "refused",
    "leaving",
    "bye",
    "probe",
    "sent",
)
"""Kinds without a name in them; a greeting carries the run's token and the dispatcher's own id."""
Pair = tuple[str, str]


class Proof(NamedTuple):
    """What was looked at, and what speaks against it."""

    run_dir: str
    agents: int
    edges: int
    connections: int | None  # found in the kernel's tables; None if nobody looked while the run went on
    at: float | None  # when they were, emulated seconds
    hosts: dict[str, int]  # agents on each host where the kernel was asked; empty: one machine
    messages: int | None  # counted; None while the run goes on
    learned: str  # what a dispatcher was told about its servers
    contradictions: list[str]

    @property
    def holds(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.contradictions


def snapshot(
    look: Callable[[], Sequence[Seen]],
    edges: Iterable[Pair],
    at: float,
    doors: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The kernels' tables of agents that live: who is connected to whom, and what speaks against the claim.

    ``doors``: where servers that are to be reached from other hosts listen. An odd finding is looked at twice: tables
    are not of one instant, and connections come and go.
    """
    wanted = list(edges)
    for _ in range(2):
        seen = look()
        joined = join(seen)
        found = _named(joined)
        contradictions = _against(joined, found, wanted, doors or {})
        contradictions += [
            f"host {each.host} did not answer: nobody saw its agents' connections"
            for each in seen
            if each.tables is None
        ]
        if not contradictions:
            break
    return {
        "at": at,
        "agents": len(joined.names),
        "connections": found,
        "contradictions": contradictions,
        "hosts": {each.host: len(each.pids) for each in seen if each.host},
    }


def keep(run_dir: Path, seen: Mapping[str, Any]) -> None:
    """Put a snapshot into the run directory."""
    write_json(run_dir / FILE, seen)


def prove(run_dir: Path, seen: Mapping[str, Any] | None = None) -> Proof:
    """All that can be proved of a run: of one that goes on by ``seen``, of one that has ended by what it left."""
    folder = open_run(run_dir)
    looked = seen or kept(run_dir)
    contradictions = list(looked["contradictions"]) if looked else []
    messages = None
    if seen is None:
        run = collect(folder)
        if not run.statements:
            raise UserError(
                f"{run_dir}: its agents left no statements; audit a run that has ended, or goes on"
            )
        contradictions += by_counters(folder, run)
        messages = _sent(run.statements)
    return Proof(
        str(run_dir),
        len(folder.agents),
        len(folder.topology.edges),
        None if looked is None else len(looked["connections"]),
        None if looked is None else looked["at"],
        looked.get("hosts", {}) if looked else {},
        messages,
        ", ".join(folder.plan["carries"]) or "nothing",
        contradictions,
    )


def kept(run_dir: Path) -> dict[str, Any] | None:
    """The snapshot in a run directory, if there is one."""
    return read_json(run_dir / FILE) if (run_dir / FILE).exists() else None


def by_counters(folder: Folder, run: Collected) -> list[str]:
    """What counters and bytes say against it."""
    rules: list[Callable[[Folder, Mapping[str, Any]], list[str]]] = [
        nothing_went_elsewhere,
        nothing_else_was_told,
    ]
    lines = [line for rule in rules for line in rule(folder, run.statements)]
    return lines + account.edges_agree(folder, run)


def nothing_went_elsewhere(folder: Folder, statements: Mapping[str, Any]) -> list[str]:
    """No agent counted a message to or from anybody that it has no edge to, or heard a stranger."""
    peers = {agent.id: set(agent.peers) for agent in folder.agents}
    lines = []
    for name, statement in statements.items():
        agent, census = name.partition("@")[0], statement["census"]
        for way in ("sent", "received"):
            lines += [
                f"{name} {way} messages on an edge to {peer}, which it has not"
                for peer, kinds in census[way].items()
                if kinds and peer not in peers[agent]
            ]
        if strangers := census["dropped"].get("sender", 0):
            lines.append(f"{name} heard {strangers} frames of strangers (and dropped them)")
    return lines


def nothing_else_was_told(folder: Folder, statements: Mapping[str, Any]) -> list[str]:
    """A report is as long as the quantities that the policy reads, and every other message is a job's number or less.

    Kinds that carry names are greetings, whose size does not depend on any server's state.
    """
    expected = REPORT_HEAD_BYTES + VALUE_BYTES * len(folder.plan["carries"])
    lines = []
    for name, statement in statements.items():
        for peer, kinds in statement["census"]["sent"].items():
            count, size = kinds.get("report", [0, 0])
            if size != expected * count or (count and not folder.plan["reads"]):
                lines.append(
                    f"{name} told {peer} {count} reports of {size} bytes in all, not of {expected} each"
                )
            for kind in kinds:
                if kind not in (*NUMBERS_ONLY, "hello", "welcome"):
                    lines.append(f"{name} sent {peer} messages of an unknown kind {kind}")
    return lines


def text(proof: Proof) -> str:
    """For a person."""
    looked = (
        "connections  nobody looked into the kernel's tables while it ran"
        if proof.connections is None
        else f"connections  {proof.connections} between {proof.agents} agents, for {proof.edges} edges: the kernel's "
        f"own tables{_on_hosts(proof)}, at {proof.at:.3g} s"
    )
    counted = (
        "messages     are counted when the run has ended"
        if proof.messages is None
        else f"messages     {proof.messages}, each over an edge, counted alike at both ends"
    )
    lines = [looked, counted, f"learned      of its servers a dispatcher was told: {proof.learned}"]
    if proof.holds:
        return "\n".join([*lines, "", "Nobody is in charge: nothing speaks against it."])
    return "\n".join([*lines, "", *(f"against it: {line}" for line in proof.contradictions)])


def _on_hosts(proof: Proof) -> str:
    return f" on {', '.join(proof.hosts)}" if proof.hosts else ""


def _sent(statements: Mapping[str, Any]) -> int:
    """Messages of all kinds and edges."""
    edges = (kinds for statement in statements.values() for kinds in statement["census"]["sent"].values())
    return sum(count for kinds in edges for count, _ in kinds.values())


def _named(joined: Joined) -> list[list[str]]:
    """Connections between agents, one for both their ends: a pair of names."""
    names = joined.names
    ends = Counter(
        _pair(names[each.pid], names[each.peer_pid])
        for each in joined.tables.connections
        if each.peer_pid in names and each.state == "ESTABLISHED"
    )
    return sorted([first, second] for (first, second), count in ends.items() for _ in range((count + 1) // 2))


def _pair(one: str, other: str) -> Pair:
    return (one, other) if one < other else (other, one)


def _against(
    joined: Joined, found: list[list[str]], edges: list[Pair], doors: Mapping[str, str]
) -> list[str]:
    tables, names, there = joined.tables, joined.names, set(joined.names.values())
    wanted = Counter(_pair(*edge) for edge in edges if edge[0] in there and edge[1] in there)
    have = Counter(_pair(*pair) for pair in found)
    lines = [f"edge {' – '.join(pair)} is not in the kernel's tables" for pair in sorted(wanted - have)]
    lines += [f"{' – '.join(pair)} are connected, and have no edge" for pair in sorted(have - wanted)]
    for each in tables.connections:
        if each.peer_pid not in names and each.state not in ("CLOSE", "SHUTDOWN"):
            who = joined.process(each.peer_pid or None)
            lines.append(f"{names[each.pid]} is connected to {who} ({each.family} {each.peer or each.local})")
    for listening in tables.listening:
        name, address = names[listening.pid], listening.address
        own = {f"{joined.sockets[name]}/{name}.ctl", f"{joined.sockets[name]}/{name}.ipc"}
        if listening.family == "unix" and address not in own:
            lines.append(f"{name} can be reached at {address}, too")
        if listening.family == "tcp" and not address.startswith("127.") and address != doors.get(name):
            lines.append(f"{name} can be reached from outside its machine, at {address}")
    lines += [
        f"{names[each.pid]} has a socket of kind {each.what} that no table tells of" for each in tables.unseen
    ]
    lines += [f"{names[pid]} may not be read" for pid in tables.hidden]
    lines += [
        f"{' and '.join(sorted(joined.process(pid) for pid in holders))} hold the same socket"
        for holders in tables.shared.values()
    ]
    return lines
