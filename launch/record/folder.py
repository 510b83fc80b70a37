"""The run directory: what is written where, and how it is read back.

topology.json   the resolved topology         plan.json     options, agents, versions, command
launch.json     how the launch went           inputs/       prepared schedules of traces
control.json    how to reach the testbed while it runs (launch/control.py)
agents/         statements, and raw journals until all agents have ended and these are collected; those of an
                agent's second life as ID@2, and so on
faults.jsonl    what was done to the testbed, and what befell it, in the order of happening
jobs.parquet    every job, as its dispatcher booked it
visits.parquet  every job, as its server served it
messages.json   each agent's counts           summary.json  the results
"""

import json
from collections.abc import Sequence
from math import inf, nextafter
from pathlib import Path
from typing import Any, Literal, NamedTuple, NotRequired, TypedDict, TypeVar

import msgspec

from gmsr.topology.errors import UserError
from gmsr.topology.faults import HARMLESS
from gmsr.topology.files import resolve
from gmsr.topology.graph import Topology

NAME_A_RUN = "name the directory of a run"


class AgentEntry(TypedDict):
    """An agent in ``plan.json``; rows of its journal name its peers by their place in ``peers``."""

    id: str
    role: Literal["dispatcher", "server"]
    peers: list[str]


class Plan(TypedDict):
    """What is read of ``plan.json``; there may be more. Times in emulated seconds."""

    policy: str
    feed: str
    seed: int
    scale: float
    pace: float  # emulated seconds per real second
    duration: float
    warmup: float
    reads: list[str]  # quantities that the policy reads
    carries: list[str]  # what a report holds
    mean_size: float  # of the jobs that the workload draws, in the unit of the curve
    agents: list[AgentEntry]


class Machine(TypedDict):
    """Where the agents ran."""

    cores: int | None
    system: NotRequired[str]


class HostEntry(TypedDict):
    """A host that agents ran on, other than the launcher's own machine, or beside it. Times in real seconds."""

    address: str
    agents: int
    cores: int
    system: str
    clock_ahead_s: float  # of the launcher's monotonic clock, when the run began
    clock_error_s: float  # how far off that may be
    clock_drift_s: float | None  # how much further it was ahead in the end; None: nobody could ask any more
    uncollected: str  # why its journals are not here; empty: they are


class Launch(TypedDict):
    """What is read of ``launch.json``, which the launcher writes when all agents have ended."""

    interrupted: bool
    failure: str  # empty if all went well
    ended_at: float  # emulated seconds
    cpu: dict[str, float]  # agent → share of one core, in the measured time
    ready_real_s: float
    machine: Machine
    hosts: NotRequired[dict[str, HostEntry]]


class Agent(NamedTuple):
    """One agent of the run; rows of its journal name its peers by index."""

    id: str
    role: str
    peers: tuple[str, ...]


class Happening(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A line of ``faults.jsonl``. Times in emulated seconds."""

    t: float
    event: Literal["begin", "end", "died", "started", "joined"]
    kind: str = ""  # of the fault (begin, end)
    agents: list[str] = []  # concerned
    edges: list[tuple[str, str]] = []  # concerned
    what: str = ""  # for a person
    by: str = "schedule"  # or chaos, hand; of a death: fault, or unknown
    number: int = 0  # of the fault: pairs an end with its beginning
    fault: dict[str, Any] = {}  # as a file would say it (begin)
    life: int = 1  # of the agent that died or was started
    why: str = ""  # it died
    entry: dict[str, Any] = {}  # of an agent that joined, as in plan.json
    fragment: dict[str, list[Any]] = {}  # of an agent that topology.json does not know: what to add there


class Folder(NamedTuple):
    """A run directory's own words about itself."""

    path: Path
    topology: Topology
    plan: Plan
    launch: Launch | None  # None if the launcher was killed, or still watches
    agents: tuple[Agent, ...]
    happenings: tuple[Happening, ...] = ()

    @property
    def hosts(self) -> dict[str, HostEntry]:
        """By name; none where all ran on the launcher's machine."""
        return self.launch.get("hosts", {}) if self.launch else {}

    @property
    def uncollected(self) -> dict[str, str]:
        """Hosts whose journals are not here, and why."""
        return {name: each["uncollected"] for name, each in self.hosts.items() if each["uncollected"]}

    @property
    def deaths(self) -> dict[tuple[str, int], float]:
        """When which life of an agent ended before its time."""
        return {(each.agents[0], each.life): each.t for each in self.happenings if each.event == "died"}

    @property
    def touched(self) -> tuple[set[str], set[tuple[str, str]]]:
        """Agents and edges that something was done to: on these, messages may be lost."""
        found = [each for each in self.happenings if each.kind not in HARMLESS]
        agents = {name for each in found if not each.edges for name in each.agents}
        return agents, {edge for each in found for edge in each.edges}

    def of(self, role: str) -> list[Agent]:
        """The dispatchers, or the servers."""
        return [agent for agent in self.agents if agent.role == role]

    def end(self, last_arrival: float) -> float:
        """When measuring ended, in emulated seconds: the duration, or after the last arrival if the run was cut short.

        Not the time at which the launcher gave up: it waits for the goodbyes of agents that offer nothing more.
        """
        duration = self.plan["duration"]
        if self.launch is None or not (self.launch["interrupted"] or self.launch["failure"]):
            return duration
        return min(duration, self.launch["ended_at"], nextafter(last_arrival, inf))


def open_run(path: Path) -> Folder:
    """Read what a run directory says of itself. Raises UserError if it is none."""
    plan = _typed(path / "plan.json", Plan)
    told = happenings(path)
    topology, entries = _with_joined(path, plan["agents"], told)
    launch = _typed(path / "launch.json", Launch) if (path / "launch.json").exists() else None
    agents = tuple(Agent(each["id"], each["role"], tuple(each["peers"])) for each in entries)
    wanted = {dispatcher.id: "dispatcher" for dispatcher in topology.dispatchers}
    wanted |= {server.id: "server" for server in topology.servers}
    if {agent.id: agent.role for agent in agents} != wanted or len(agents) != len(wanted):
        raise UserError(f"{path / 'plan.json'}: agents: are not those of topology.json; {NAME_A_RUN}")
    for agent in agents:
        if not all(wanted.get(peer, agent.role) != agent.role for peer in agent.peers):
            raise UserError(
                f"{path / 'plan.json'}: agents: {agent.id} has a peer of no such role; {NAME_A_RUN}"
            )
    return Folder(path, topology, plan, launch, agents, told)


def _with_joined(
    path: Path, entries: list[AgentEntry], told: Sequence[Happening]
) -> tuple[Topology, list[AgentEntry]]:
    """Topology and agents in the end: who joined comes behind, also among the peers of the others.

    Without those whose time to join did not come.
    """
    content = read_json(path / "topology.json")
    try:
        known = with_joined(entries, told)
        for each in told:
            for field, more in each.fragment.items() if each.event == "joined" else ():
                content[field] = [*content[field], *more]
    except (msgspec.ValidationError, KeyError) as error:
        raise UserError(f"{path / 'faults.jsonl'}: joined: {error}; copy the run again") from error
    topology = resolve(content, path / "topology.json").topology
    late = {name for fault in topology.faults if fault.kind == "join" for name in fault.agents}
    return topology.without(late - known.keys()), list(known.values())


def with_joined(entries: Sequence[AgentEntry], told: Sequence[Happening]) -> dict[str, AgentEntry]:
    """Agents by id; who joined comes behind, also among the peers of the others. Raises KeyError, ValidationError."""
    known: dict[str, AgentEntry] = {each["id"]: {**each, "peers": list(each["peers"])} for each in entries}
    for each in told:
        if each.event == "joined":
            entry = msgspec.convert(each.entry, AgentEntry)
            known.setdefault(entry["id"], entry)
            for peer in entry["peers"]:
                if entry["id"] not in known[peer]["peers"]:
                    known[peer]["peers"].append(entry["id"])
    return known


def happenings(path: Path) -> tuple[Happening, ...]:
    """What ``faults.jsonl`` of a run directory holds; a last line that is cut off is passed over."""
    file = path / "faults.jsonl"
    if not file.exists():
        return ()
    lines = file.read_bytes().splitlines(keepends=True)
    try:
        return tuple(msgspec.json.decode(line, type=Happening) for line in lines if line.endswith(b"\n"))
    except msgspec.DecodeError as error:
        raise UserError(f"{file}: {str(error).lower()}; copy the run again from its origin") from error


def tell(path: Path, happening: Happening) -> None:
    """Append a line to ``faults.jsonl``: whole, whoever else writes there."""
    with (path / "faults.jsonl").open("ab", buffering=0) as file:
        file.write(msgspec.json.encode(happening) + b"\n")


def write_json(path: Path, content: object) -> None:
    """Whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    part.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """A file that holds a JSON object. Raises UserError if it does not."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; {NAME_A_RUN}") from error
    except ValueError as error:
        raise UserError(f"{path}: is no JSON; this is no run directory, or a damaged one") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: is no run's; {NAME_A_RUN}")
    return content


Content = TypeVar("Content")


def _typed(path: Path, kind: type[Content]) -> Content:
    """A JSON file of known fields; others are passed over."""
    try:
        return msgspec.convert(read_json(path), kind)
    except msgspec.ValidationError as error:
        raise UserError(f"{path}: {str(error).lower()}; {NAME_A_RUN}") from error
