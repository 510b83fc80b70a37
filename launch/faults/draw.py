"""Random schedules of faults: a pure function of topology, seed and duration, always possible.

Swarm testing, as TigerBeetle's VOPR does it: the seed first decides which kinds occur at all and how many faults there
are, then draws each. A seed with few kinds goes deep where a mean of all kinds never would.
"""

from collections.abc import Callable, Collection
from random import Random
from typing import Any

from gmsr.topology.faults import Fault, make, problems
from gmsr.topology.graph import Topology

LIVE = ("crash", "freeze", "slow", "cut", "delay", "loss", "duplicate", "surge", "drain")
"""What real processes can suffer. Whatever ends a run or its record, and who joins, is for a file to say."""
SIMULATED = (*LIVE, "reorder")

MOST_FAULTS = 12
KIND_CHANCE = 0.5
"""With which each kind occurs at all in a schedule."""

TICKS = 1000
"""Times are whole thousandths of the duration, so that they read well."""
FIRST_BEGIN, LAST_BEGIN, LAST_END = 101, 699, 749
"""Within 10 % to 70 %, and 75 %, of the duration, whatever rounding does: the rest is for the system to come back."""
SHORTEST, LONGEST = 10, 300

FACTOR_LEAST, FACTOR_MOST = 0.2, 5.0
CURVE_CHANCE = 0.25
"""With which a slow server gets another's curve, and no factor."""
DELAY_MOST_S, JITTER_MOST_S = 0.15, 0.05
SHARE_LEAST, SHARE_MOST = 0.01, 0.3
GROUP_MOST = 0.5
"""Share of all agents."""


def draw(
    topology: Topology,
    seed: int,
    duration: float,
    *,
    kinds: Collection[str] = LIVE,
    most: int = MOST_FAULTS,
) -> tuple[Fault, ...]:
    """Up to ``most`` (≥ 1) faults of these kinds, in the order of time; they fit in with the topology's own."""
    possible = [kind for kind in SIMULATED if kind in kinds]  # kinds may be a set, whose order is chance
    if not possible or len(possible) < len(kinds):
        raise ValueError(f"{sorted(kinds)}: only kinds of {SIMULATED} are drawn, each named once")
    random = Random(f"chaos/{seed}")
    occurring = [kind for kind in possible if random.random() < KIND_CHANCE] or [random.choice(possible)]
    drawn: list[Fault] = []
    for _ in range(random.randint(1, most)):
        fault = make(_entry(random.choice(occurring), topology, duration, random), topology.edges)
        schedule = [*topology.faults, *drawn, fault]
        if fault.kind == "drain" and not _enough_stay(schedule, topology):
            continue
        if not problems(schedule, topology, duration):
            drawn.append(fault)
    return tuple(sorted(drawn, key=lambda fault: fault.at))


def _entry(kind: str, topology: Topology, duration: float, random: Random) -> dict[str, Any]:
    """A fault as a file would say it."""
    begin = random.randint(FIRST_BEGIN, LAST_BEGIN)
    ticks = random.randint(SHORTEST, min(LONGEST, LAST_END - begin))
    entry = {"kind": kind, "at": duration * begin / TICKS, **_WHAT[kind](topology, random)}
    if kind != "drain":
        entry["restart" if kind == "crash" else "for"] = duration * ticks / TICKS
    return entry


def _agent(topology: Topology, random: Random) -> dict[str, Any]:
    return {"agent": random.choice(_ids(topology))}


def _drain(topology: Topology, random: Random) -> dict[str, Any]:
    return {"agent": random.choice(topology.servers).id}


def _slow(topology: Topology, random: Random) -> dict[str, Any]:
    server = random.choice(topology.servers).id
    if random.random() < CURVE_CHANCE:
        return {"server": server, "curve": random.choice(topology.servers).curve.describe()}
    return {"server": server, "factor": _factor(random)}


def _surge(topology: Topology, random: Random) -> dict[str, Any]:
    return {"dispatcher": random.choice(topology.dispatchers).id, "factor": _factor(random)}


def _delay(topology: Topology, random: Random) -> dict[str, Any]:
    seconds, jitter = random.uniform(0.0, DELAY_MOST_S), random.uniform(0.0, JITTER_MOST_S)
    return {**_where(topology, random), "seconds": round(seconds, 3), "jitter": round(jitter, 3)}


def _share(topology: Topology, random: Random) -> dict[str, Any]:
    return {**_where(topology, random), "share": round(random.uniform(SHARE_LEAST, SHARE_MOST), 3)}


def _where(topology: Topology, random: Random) -> dict[str, Any]:
    """One edge, all of an agent, or all between two sides."""
    target = random.choice(("edge", "agent", "group"))
    if target == "edge":
        edge = random.choice(topology.edges)
        return {"edge": [edge.dispatcher, edge.server]}
    if target == "agent":
        return _agent(topology, random)
    ids = _ids(topology)
    return {"group": random.sample(ids, random.randint(1, max(1, int(GROUP_MOST * len(ids)))))}


_WHAT: dict[str, Callable[[Topology, Random], dict[str, Any]]] = {
    "crash": _agent,
    "freeze": _agent,
    "slow": _slow,
    "cut": _where,
    "delay": _delay,
    "loss": _share,
    "duplicate": _share,
    "surge": _surge,
    "drain": _drain,
    "reorder": _share,
}


def _factor(random: Random) -> float:
    """Log-uniform, so that slower is as likely as faster."""
    spread = FACTOR_MOST / FACTOR_LEAST
    return float(f"{FACTOR_LEAST * spread ** random.random():.3g}")


def _ids(topology: Topology) -> list[str]:
    return [each.id for each in topology.dispatchers] + [each.id for each in topology.servers]


def _enough_stay(schedule: list[Fault], topology: Topology) -> bool:
    """Whether most servers are never drained, and every dispatcher has one of them."""
    gone = {name for fault in schedule if fault.kind == "drain" for name in fault.agents}
    staying = {server.id for server in topology.servers if server.id not in gone}
    served = {edge.dispatcher for edge in topology.edges if edge.server in staying}
    return 2 * len(staying) > len(topology.servers) and all(
        each.id in served for each in topology.dispatchers
    )
