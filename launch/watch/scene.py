"""A run that goes on, as its watchers know it: how it fares, what befell it, what would be optimal as things are."""

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

from gmsr.topology.errors import UserError
from gmsr.topology.graph import Topology

from ..demand import demand
from ..faults.diary import Episode, episodes
from ..faults.recovery import as_it_is
from ..plan import telemetry_real_s
from ..record.folder import Folder, open_run
from .meter import Meter

POLITE = 10
"""Niceness of what works beside the agents: they go first."""


class Aim(NamedTuple):
    """What is optimal from ``t`` on, emulated seconds. None: the demand does not fit, or nobody knows."""

    t: float
    workload: float | None
    latency: float | None
    marginal: float | None = None  # the largest of any server that is used


def aim(topology: Topology, t: float = 0.0) -> Aim:
    """The central optimum of a topology with its nominal demand."""
    from gmsr.topology.theory.optimum import NoOptimum, Overloaded, solve

    try:
        wanted = demand(topology)
        rate = sum(wanted.rates.values())
        if not rate:
            return Aim(t, None, None)
        found = solve(topology, wanted.volume, job_size=wanted.mean_size)
    except (NoOptimum, Overloaded, UserError):
        return Aim(t, None, None)
    used = [found.marginals[name] for name, workload in found.workloads.items() if workload > 0.0]
    return Aim(t, float(found.workload), float(found.total / rate), float(max(used)))


def first_aim(topology: Topology) -> Aim:
    """At the beginning: without those who join later."""
    late = {name for fault in topology.faults if fault.kind == "join" for name in fault.agents}
    return aim(topology.without(late))


def politely() -> None:
    """The calling thread yields to the agents from now on."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), POLITE)


class Scene:
    """One run, from its directory and the statuses that ``meter`` is told. Raises UserError where it is no run's.

    ``aims``: optima that are known already. Others are worked out in a thread that yields to the agents.
    """

    def __init__(self, run_dir: Path, aims: Sequence[Aim] = ()) -> None:
        self.run_dir = run_dir
        self.aims = list(aims)
        self.faults: list[Episode] = []
        self._asked: SimpleQueue[tuple[float, Topology] | None] = SimpleQueue()
        self._told = -1
        self._read()
        plan = self.folder.plan
        interval = telemetry_real_s(len(self.folder.agents)) * plan["pace"]
        self.meter = Meter(_peers(self.folder), plan["scale"], plan["warmup"], plan["pace"], interval)
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def look(self, now: float) -> bool:
        """See what has befallen the run; whether there was something new."""
        file = self.run_dir / "faults.jsonl"
        told = file.stat().st_size if file.exists() else 0
        if told == self._told:
            return False
        self._told = told
        self._read()
        self.meter.peers = _peers(self.folder)
        if not self.aims:
            self._asked.put((0.0, as_it_is(self.folder, [], 0.0)))
        if self.folder.happenings:
            self._asked.put((now, as_it_is(self.folder, self.faults, now)))
        return True

    def close(self) -> None:
        """Work nothing out any more."""
        self._asked.put(None)

    def _read(self) -> None:
        self.folder = open_run(self.run_dir)
        self.faults = episodes(self.folder.happenings, self.folder.topology.edges)

    def _work(self) -> None:
        politely()
        while asked := self._asked.get():
            t, topology = asked
            self.aims.append(aim(topology, t))


def _peers(folder: Folder) -> dict[str, Sequence[str]]:
    return {agent.id: agent.peers for agent in folder.of("dispatcher")}
