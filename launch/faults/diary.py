"""Faults as ``faults.jsonl`` has them: a line when one begins and one when it ends, and back again."""

import fcntl
from collections.abc import Iterable, Sequence
from math import inf
from pathlib import Path
from typing import NamedTuple

from gmsr.topology.faults import Fault, make
from gmsr.topology.graph import Edge

from ..record.folder import Happening, happenings, tell


class Episode(NamedTuple):
    """A fault that was really there. Times in emulated seconds."""

    number: int
    fault: Fault
    at: float
    until: float  # inf: it did not end
    by: str


def line(fault: Fault, begin: bool, t: float, number: int, by: str) -> Happening:
    """What is to be told of a fault's beginning or end."""
    return Happening(
        t=t,
        event="begin" if begin else "end",
        kind=fault.kind,
        agents=list(fault.agents),
        edges=list(fault.edges),
        what=fault.describe(),
        by=by,
        number=number,
        fault=fault.to_dict() if begin else {},
    )


def episodes(told: Iterable[Happening], edges: Sequence[Edge]) -> list[Episode]:
    """All faults of a run so far, in the order of their beginning."""
    found: dict[int, Episode] = {}
    for each in told:
        if each.event == "begin":
            plain = each.fault or {"kind": each.kind, "at": each.t, "group": each.agents}
            # Who they were is told, not guessed.
            concerned = tuple(each.agents)
            fault = make(plain, edges)._replace(
                at=each.t, until=inf, agents=concerned, edges=tuple(each.edges)
            )
            found[each.number] = Episode(each.number, fault, each.t, inf, each.by)
        elif each.event == "end" and each.number in found:
            found[each.number] = found[each.number]._replace(until=each.t)
    return _succeeded(list(found.values()))


def _succeeded(found: list[Episode]) -> list[Episode]:
    """A policy lasts until the last of its dispatchers has been given another."""
    changes = [each for each in found if each.fault.kind == "policy"]
    for index, each in enumerate(changes):
        left = set(each.fault.agents)
        for later in changes[index + 1 :]:
            left -= set(later.fault.agents)
            if not left:
                found[found.index(each)] = each._replace(until=later.at)
                break
    return found


def in_force(run_dir: Path, edges: Sequence[Edge]) -> list[Episode]:
    """Faults of a run that have begun and not ended."""
    return [each for each in episodes(happenings(run_dir), edges) if each.until == inf]


def begin_by_hand(run_dir: Path, fault: Fault, scheduled: int) -> int:
    """Tell of a fault that the schedule does not know; returns its number. Others may do so at the same time."""
    with (run_dir / "faults.jsonl").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        taken = [each.number for each in happenings(run_dir) if each.event == "begin"]
        number = max([scheduled - 1, *taken]) + 1
        tell(run_dir, line(fault, True, fault.at, number, "hand"))
    return number
