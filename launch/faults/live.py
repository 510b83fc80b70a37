"""Faults on real processes: a schedule is performed when its times come, and all that happens is written down.

The launcher does this; it is the one that also tells of deaths and rebirths. What an operator does by hand
(``launch.operate``) goes the same way, through ``perform``.
"""

import os
import signal
from collections import deque
from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import Any, Protocol

from gmsr.topology.faults import Fault
from gmsr.topology.graph import Topology

from ..place.base import Event, Place
from ..record.folder import Happening, happenings, tell
from .diary import episodes, in_force, line
from .join import Spec, entry, invitations, without
from .steps import FOR_GOOD, Action, Step, actions, concerning, steps


class Means(Protocol):
    """Whoever can reach the agents: a placement, or an operator's connection to one."""

    def tell(self, message: dict[str, object], to: str | None = None) -> None:
        """Give an agent an order."""

    def signal(self, agent: str, number: int) -> None:
        """Send it a signal."""

    def restart(self, agent: str, orders: Sequence[dict[str, object]]) -> None:
        """Start its next life."""


def perform(means: Means, action: Action, lasting: Sequence[Fault]) -> None:
    """Do to one agent what a fault says. ``lasting``: faults that are there already, for whoever is started again."""
    match action:
        case Action("tell", agent, dict(order)):
            means.tell(order, agent)
        case Action("kill", agent):
            means.signal(agent, signal.SIGKILL)
        case Action("freeze", agent):
            means.tell({"tell": "freeze"}, agent)
        case Action("thaw", agent):
            means.signal(agent, signal.SIGCONT)
        case Action("restart", agent):
            means.restart(agent, concerning(agent, lasting))


class Schedule:
    """One run's faults. ``specs``: of all agents, also of those who join. The last ``drawn`` faults are chaos."""

    def __init__(
        self, run_dir: Path, topology: Topology, specs: Sequence[Spec], duration: float, drawn: int
    ) -> None:
        self._run_dir = run_dir
        self._edges = topology.edges
        self._steps: deque[Step] = deque(steps(topology.faults, duration))
        self._drawn_from = len(topology.faults) - drawn
        self._duration = duration
        self._specs = {spec["id"]: spec for spec in specs}
        self._absent = {name for fault in topology.faults if fault.kind == "join" for name in fault.agents}
        self._mended = False

    def at_start(self) -> list[Spec]:
        """Who is there from the beginning, and knows only of each other."""
        present = [spec for name, spec in self._specs.items() if name not in self._absent]
        return [without(spec, self._absent) for spec in present]

    @property
    def due(self) -> float:
        """When something is to be done next; inf: never."""
        end = inf if self._mended else self._duration
        return min(self._steps[0].t, end) if self._steps else end

    @property
    def awaited(self) -> bool:
        """Whether somebody is still to be started, even if nobody lives now."""
        return any(action.do in ("restart", "join") for step in self._steps for action in step.actions)

    def perform(self, testbed: Place, now: float, start_ns: int) -> None:
        """Do what is due. At the end of the duration mend what was done by hand and not undone."""
        while self._steps and self._steps[0].t <= now:
            self._do(testbed, self._steps.popleft(), now, start_ns)
        if now >= self._duration:
            self.mend(testbed, now)

    def mend(self, testbed: Place, now: float) -> None:
        """Undo what lasts, but for the dead, so that agents can end: nothing more is to happen."""
        if self._mended:
            return
        self._mended = True
        self._steps.clear()
        for each in in_force(self._run_dir, self._edges):
            if each.fault.kind not in ("crash", *FOR_GOOD):
                tell(self._run_dir, line(each.fault, False, now, each.number, each.by))
                for action in actions(each.fault, False):
                    perform(testbed, action, ())
        # Whoever heard of its freeze only after the thaw would stand still for ever.
        for each in episodes(happenings(self._run_dir), self._edges):
            for name in each.fault.agents if each.fault.kind == "freeze" else ():
                testbed.signal(name, signal.SIGCONT)

    def died(self, event: Event, now: float, why: str) -> None:
        """An agent was ended by a signal."""
        by = "fault" if event["asked"] else "unknown"
        self._tell(t=now, event="died", agents=[event["id"]], life=event["life"], why=why, by=by)

    def started(self, event: Event, now: float) -> None:
        """An agent lives again."""
        self._tell(t=now, event="started", agents=[event["id"]], life=event["life"])

    def _do(self, testbed: Place, step: Step, now: float, start_ns: int) -> None:
        by = "schedule" if step.number < self._drawn_from else "chaos"
        tell(self._run_dir, line(step.fault, step.begin, now, step.number, by))
        lasting = [each.fault for each in in_force(self._run_dir, self._edges)]
        for action in step.actions:
            match action.do:
                case "join":
                    self._join(testbed, action.agent, now, start_ns)
                case "telemetry":
                    testbed.deafen()
                case "lose":
                    testbed.lose(action.agent)
                case "launcher":
                    os.kill(os.getpid(), signal.SIGKILL)
                case _:
                    perform(testbed, action, lasting)

    def _join(self, testbed: Place, name: str, now: float, start_ns: int) -> None:
        self._absent.discard(name)
        spec = without(self._specs[name], self._absent) | {"born": now, "start_ns": start_ns}
        introduce(testbed, spec, self._specs)
        self._tell(t=now, event="joined", agents=[name], entry=dict(entry(spec)))

    def _tell(self, **fields: Any) -> None:
        tell(self._run_dir, Happening(**fields))


def introduce(place: Any, spec: Spec, specs: dict[str, Spec]) -> None:
    """Start an agent in mid-run. Its peers are told first, so that they open when it knocks."""
    for peer, order in invitations(spec, specs).items():
        place.tell(order, peer)
    place.spawn([spec])
