"""Faults: what is to go wrong in a run, and when. Plain data, resolved against a topology.

``make`` and ``Fault.to_dict`` translate between this and the form of a file; ``problems`` says what is impossible in
a schedule. Nothing here makes a fault happen.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:  # graph holds faults
    from .graph import Edge, Topology

Pair = tuple[str, str]
"""An edge: dispatcher and server."""

DOWN = ("crash", "freeze", "drain")
"""An agent is out of service, in three ways; one at a time."""
ON_EDGES = ("cut", "delay", "loss", "duplicate", "reorder")
"""What befalls frames."""
LIVE_ONLY = ("kill-launcher", "kill-telemetry", "lose-host")
"""The model has neither launcher nor telemetry nor hosts."""
SIMULATED_ONLY = ("reorder",)
"""ZeroMQ keeps the order of a connection's frames."""
KINDS = (*DOWN, "join", "slow", "surge", "policy", *ON_EDGES, *LIVE_ONLY)
HARMLESS = ("slow", "surge", "policy")
"""No message is lost by these, and nobody is to notice them."""

ROLES = {"slow": "server", "surge": "dispatcher", "policy": "dispatcher"}
"""Kinds that are about one side only; the field that names the agent is called like it."""
VALUES = {
    "slow": ("factor", "curve"),
    "surge": ("factor",),
    "policy": ("policy",),
    "delay": ("seconds", "jitter"),
    "loss": ("share",),
    "duplicate": ("share",),
    "reorder": ("share",),
}
NAMES_SHOWN = 3


class Fault(NamedTuple):
    """One fault, in emulated seconds from the run's start.

    ``until``: when all is as before; of a crash, when the agent is started again; inf: never.
    """

    kind: str
    at: float
    until: float = inf
    agents: tuple[str, ...] = ()  # whom it names; of one edge, both its ends
    edges: tuple[Pair, ...] = ()  # where frames meet it (cut, delay, loss, duplicate, reorder)
    factor: float = 1.0  # of the service rate (slow), of the arrival rate (surge)
    curve: dict[str, Any] | None = None  # in place of the server's own, as curves.make takes it (slow)
    share: float = 0.0  # probability for each frame (loss, duplicate, reorder)
    seconds: float = 0.0  # one way, on top of the edge's own (delay)
    jitter: float = 0.0  # uniform extra in [0, jitter] (delay)
    hosts: tuple[str, ...] = ()  # that it names; its agents and edges are those there
    policy: str = ""  # that dispatchers follow from then on, until the next such change (policy)

    def describe(self) -> str:
        """A few words: 'cut d1-s1', 'crash s1', 'slow s1 ×0.5'."""
        return " ".join(part for part in (self.kind, self._whom(), self._how()) if part)

    def to_dict(self) -> dict[str, Any]:
        """The form of a file, which ``make`` makes the same fault of."""
        plain: dict[str, Any] = {"kind": self.kind, "at": self.at, **self._target()}
        names = VALUES.get(self.kind, ())
        if self.kind == "slow":
            names = ("factor",) if self.curve is None else ("curve",)
        plain |= {name: getattr(self, name) for name in names}
        if self.until < inf:
            plain["restart" if self.kind == "crash" else "for"] = _span(self.at, self.until)
        return plain

    def _is_one_edge(self) -> bool:
        # And no group of two: its edges lead to others, never from one member to the other.
        return len(self.agents) == 2 and (self.agents[0], self.agents[1]) in self.edges

    def _target(self) -> dict[str, Any]:
        if self.hosts:
            return {"host": self.hosts[0]} if self.kind == "lose-host" else {"hosts": list(self.hosts)}
        if not self.agents:
            return {}
        if self._is_one_edge():
            return {"edge": list(self.agents)}
        if len(self.agents) == 1:
            return {ROLES.get(self.kind, "agent"): self.agents[0]}
        return {"group": list(self.agents)}

    def _whom(self) -> str:
        if self.hosts:
            return "-".join(self.hosts)
        if self._is_one_edge():
            return "-".join(self.agents)
        more = len(self.agents) - NAMES_SHOWN
        return ", ".join(self.agents[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")

    def _how(self) -> str:
        if self.curve is not None:
            return f"to {self.curve['kind']}"
        if self.kind == "policy":
            return f"to {self.policy}"
        if self.kind in ("slow", "surge"):
            return f"×{self.factor:g}"
        if self.kind == "delay":
            return f"+{self.seconds:g} s"
        return f"{self.share * 100:.3g} %" if self.share else ""


def make(plain: Mapping[str, Any], edges: Iterable["Edge"], where: Mapping[str, str] | None = None) -> Fault:
    """The fault that an entry of a file describes, on a graph of these edges. ``where``: hosts of agents."""
    kind, at = plain["kind"], plain["at"]
    pairs: tuple[Pair, ...] = ()
    hosts = (
        tuple(plain["hosts"])
        if "hosts" in plain
        else tuple(plain[field] for field in ("host",) if field in plain)
    )
    if hosts:
        agents: tuple[str, ...] = tuple(name for name, host in (where or {}).items() if host in hosts)
        if kind in ON_EDGES:
            pairs = between(hosts, edges, where or {})
    elif "edge" in plain:
        dispatcher, server = plain["edge"]
        agents = (dispatcher, server)
        pairs = ((dispatcher, server),)
    else:
        one = [plain[field] for field in ("agent", "server", "dispatcher") if field in plain]
        everybody = [edge.dispatcher for edge in edges] if kind == "policy" else []
        agents = tuple(dict.fromkeys(plain.get("group", one) or everybody))
        if kind in ON_EDGES:
            pairs = crossing(agents, edges)
    values = {name: plain[name] for name in VALUES.get(kind, ()) if name in plain}
    until = at + plain.get("restart", plain.get("for", inf))
    return Fault(kind, at, until, agents, pairs, **values, hosts=hosts)


def crossing(group: Iterable[str], edges: Iterable["Edge"]) -> tuple[Pair, ...]:
    """The edges between a group of agents and all others."""
    inside = set(group)
    return tuple(
        (edge.dispatcher, edge.server)
        for edge in edges
        if (edge.dispatcher in inside) != (edge.server in inside)
    )


def between(hosts: Sequence[str], edges: Iterable["Edge"], where: Mapping[str, str]) -> tuple[Pair, ...]:
    """The edges from one of two hosts to the other."""
    return tuple(
        (edge.dispatcher, edge.server)
        for edge in edges
        if edge.dispatcher in where
        and edge.server in where
        and where[edge.dispatcher] != where[edge.server]
        and {where[edge.dispatcher], where[edge.server]} == set(hosts)
    )


def _span(at: float, until: float) -> float:
    """What a file says so that ``at`` plus it is ``until``; without the noise of the difference, if it may be."""
    plain = round(until - at, 9)
    return plain if at + plain == until else until - at


def problems(faults: Sequence[Fault], topology: "Topology", duration: float | None) -> list[str]:
    """What makes a schedule impossible: a line each, with fault and mend. Empty if it is sound.

    ``duration`` None: of a run that is not known yet. Faults are weighed against each other only once each of them
    is sound by itself.
    """
    dispatchers = [dispatcher.id for dispatcher in topology.dispatchers]
    role = dict.fromkeys(dispatchers, "dispatcher") | {server.id: "server" for server in topology.servers}
    pairs = {(edge.dispatcher, edge.server) for edge in topology.edges}
    end = inf if duration is None else duration
    lines = []
    for index, fault in enumerate(faults):
        wrong = _time(fault, end) or _hosts(fault, topology) or _names(fault, role) or _edges(fault, pairs)
        if wrong:
            lines.append(f"faults[{index}]: {wrong}")
    return lines or [*_too_early(faults), *_overlaps(faults)]


def _time(fault: Fault, end: float) -> str:
    if not 0.0 <= fault.at < end:
        return f"at {fault.at:g} s is outside a run of {end:g} s; begin within it, or make the run longer"
    if not fault.at < fault.until:
        return f"it ends at {fault.until:g} s, not after its begin at {fault.at:g} s; let it last longer"
    return ""


def _names(fault: Fault, role: Mapping[str, str]) -> str:
    for name in fault.agents:
        if name not in role:
            return f"no agent is called {name!r}; mend its spelling, or add the agent to the topology"
        wanted = ROLES.get(fault.kind, role[name])
        if role[name] != wanted:
            return f"{fault.kind} is for a {wanted}, and {name!r} is a {role[name]}; name a {wanted}"
    return ""


def _hosts(fault: Fault, topology: "Topology") -> str:
    """Of hosts that agents are on: which these are may be known only when a run begins."""
    if len(topology.hosts) < len(topology.dispatchers) + len(topology.servers):
        return ""
    for host in fault.hosts:
        if host not in topology.hosts.values():
            return f"no agent is on a host {host!r}; name one of {', '.join(dict.fromkeys(topology.hosts.values()))}"
    if len(fault.hosts) == 2 and not fault.edges:
        return f"no edge leads from {fault.hosts[0]!r} to {fault.hosts[1]!r}; name two hosts that one leads between"
    return ""


def _edges(fault: Fault, pairs: set[Pair]) -> str:
    for dispatcher, server in fault.edges:
        if (dispatcher, server) not in pairs:
            return f"there is no edge from {dispatcher!r} to {server!r}; name one as [dispatcher, server]"
    if fault.kind in ON_EDGES and not fault.edges and not fault.hosts:
        return (
            f"no edge leads from {_listed(fault.agents)} to any other agent; name agents that one leads from"
        )
    return ""


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:NAMES_SHOWN])) + (", …" if len(names) > NAMES_SHOWN else "")


def _too_early(faults: Sequence[Fault]) -> list[str]:
    """Who joins is not there before, so that nothing can befall it."""
    joins: dict[str, tuple[float, int]] = {}
    for index, fault in enumerate(faults):
        if fault.kind == "join":
            joins.setdefault(fault.agents[0], (fault.at, index))
    return [
        f"faults[{index}]: {fault.describe()} at {fault.at:g} s comes before {name} joins at {joins[name][0]:g} s "
        f"(faults[{joins[name][1]}]); begin later, or let it join earlier"
        for index, fault in enumerate(faults)
        for name in fault.agents
        if fault.kind != "join" and name in joins and fault.at < joins[name][0]
    ]


def _overlaps(faults: Sequence[Fault]) -> list[str]:
    held: dict[tuple[str, ...], list[int]] = {}
    for index in sorted(range(len(faults)), key=lambda index: faults[index].at):
        for key in _holds(faults[index]):
            held.setdefault(key, []).append(index)
    clashes = []
    for indices in held.values():
        latest = indices[0]
        for index in indices[1:]:
            if faults[index].at < faults[latest].until:
                clashes.append((index, latest))
            latest = max(latest, index, key=lambda index: faults[index].until)
    return [  # two groups may meet on many edges
        f"faults[{index}]: {faults[index].describe()} at {faults[index].at:g} s falls into faults[{other}]: "
        f"{faults[other].describe()}, {_time_of(faults[other])}; begin after that, or remove one of the two"
        for index, other in dict.fromkeys(clashes)
    ]


def _holds(fault: Fault) -> list[tuple[str, ...]]:
    """What no other fault may hold while this one lasts; what never ends can happen once, but for another policy."""
    if fault.kind == "policy":
        return []
    if fault.kind in ON_EDGES:
        return [(fault.kind, *pair) for pair in fault.edges]
    if fault.hosts:
        return [("down", name) for name in fault.agents]
    return [("down" if fault.kind in DOWN else fault.kind, *fault.agents)]


def _time_of(fault: Fault) -> str:
    return f"{fault.at:g} s to {fault.until:g} s" if fault.until < inf else f"from {fault.at:g} s on"
