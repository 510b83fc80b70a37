"""What each fault did to a run, and how long the system took to come back. Numbers from journals, optimum from theory.

A fault *touches* the jobs of the dispatchers it names, at the servers it names, and on the edges it names. Of these it
answers for the lost ones that were sent from its beginning, or before (by the longest latency until then: they may
have been under way), to ``NOTICE_REAL_S`` after its end. A job is counted once, to the first fault that it fits.

**Recovered**: the workload of all servers together, averaged over a window, is near its new optimum, and stays there
until something else begins or ends. Near is within ``NEAR`` of it, and ``NOISES`` standard deviations of such a
window's mean, taken from the differences of successive windows of the whole run (their median, so that jumps do not
count), or of a system whose jobs do not meet (M/G/∞) if that is more. Above it, as many times more as the run was
above its optimum before anything befell it: chance costs that, at any finite scale. A window holds ``WINDOW_JOBS``
arrivals, or a quarter of the time that there is. The new optimum is that of the topology as the fault leaves it:
without who is dead, frozen or has left, without what is cut, with curves and rates as they are then. It counts from
the beginning of what lasts (and of ``slow`` and ``surge``), otherwise from the end. Where there is too little time to
tell ``LOOSEST`` from the optimum nothing is said.
"""

from collections.abc import Mapping, Sequence
from math import inf, sqrt
from typing import Any

import numpy as np

from gmsr.agents.journal import CAUSES, COMPLETED, LOST
from gmsr.topology.curves import make, scaled
from gmsr.topology.faults import HARMLESS, Fault
from gmsr.topology.graph import Server, Topology

from ..record.collect import Collected, Table, lost_cause
from ..record.folder import Folder
from ..record.workload import Path, total_workload
from .diary import Episode, episodes

NOTICE_REAL_S = 2.0
MOMENT_REAL_S = 0.1
NEAR = 0.05
NOISES = 3.0
LOOSEST = 0.5
WINDOW_JOBS = 1000.0
STEPS_A_WINDOW = 10
NOTICED = ("suspect", "dead", "leaving", "reborn")
FROM_BEGIN = (*HARMLESS, "drain", "join")
NOBODY = LOST + CAUSES.index("nobody")


def effects(folder: Folder, run: Collected, volume: Mapping[str, float], end: float) -> list[dict[str, Any]]:
    """An entry for each fault, in the order of their beginning. ``volume``: offered per second, by dispatcher."""
    found = episodes(folder.happenings, folder.topology.edges)
    if not found:
        return []
    damage = Damage(folder, run, end)
    rest = Rest(folder, run, found, volume, end)
    return [
        {
            "number": each.number,
            "kind": each.fault.kind,
            "what": each.fault.describe(),
            "at": each.at,
            "until": None if each.until == inf else each.until,
            "agents": list(each.fault.agents),
            "edges": [list(edge) for edge in each.fault.edges],
            "by": each.by,
            "noticed": _noticed(folder, run, each),
            **damage.of(each),
            **rest.of(each),
        }
        for each in found
    ]


def optima(
    folder: Folder, run: Collected, volume: Mapping[str, float], end: float
) -> list[tuple[float, float | None]]:
    """From when which workload was optimal (None: none is), where faults changed that; empty where there were none."""
    found = episodes(folder.happenings, folder.topology.edges)
    return Rest(folder, run, found, volume, end).optima() if found else []


def as_it_is(folder: Folder, found: list[Episode], t: float) -> Topology:
    """The topology at an instant: who is there and works, what is connected, with curves and rates as they are."""
    topology = folder.topology
    lasting = [each.fault for each in found if each.at <= t < each.until]
    away = {name for fault in lasting if fault.kind in ("freeze", "drain") for name in fault.agents}
    for each in sorted(folder.happenings, key=lambda happening: happening.t):
        name = each.agents[0] if each.agents else ""
        if each.event == ("joined" if each.t > t else "died"):
            away.add(name)
        elif each.event == "started" and each.t <= t:
            away.discard(name)
    cut = {edge for fault in lasting if fault.kind == "cut" for edge in fault.edges}
    rates = {name: fault.factor for fault in lasting if fault.kind == "surge" for name in fault.agents}

    left = topology._replace(
        servers=tuple(worked(each, lasting) for each in topology.servers),
        dispatchers=tuple(
            each._replace(rate=each.rate * rates.get(each.id, 1.0)) for each in topology.dispatchers
        ),
        edges=tuple(each for each in topology.edges if (each.dispatcher, each.server) not in cut),
    ).without(away)
    served = {edge.dispatcher for edge in left.edges}
    useful = {edge.server for edge in left.edges}
    return left.without(
        {each.id for each in left.dispatchers if each.id not in served}
        | {each.id for each in left.servers if each.id not in useful}
    )


def worked(server: Server, lasting: Sequence[Fault]) -> Server:
    """The server with its curve as it is while these faults last."""
    for fault in lasting:
        if fault.kind == "slow" and server.id in fault.agents:
            curve = make(fault.curve) if fault.curve else scaled(server.curve, fault.factor)
            return server._replace(curve=curve)
    return server


def _edges(folder: Folder, each: Episode) -> set[tuple[str, str]]:
    """The edges that a fault touches; another policy loses nothing, and answers for no job."""
    if each.fault.kind == "policy":
        return set()
    if each.fault.edges:
        return set(each.fault.edges)
    named = set(each.fault.agents)
    return {(e.dispatcher, e.server) for e in folder.topology.edges if {e.dispatcher, e.server} & named}


def _noticed(folder: Folder, run: Collected, each: Episode) -> float | None:
    """Seconds until the last of those dispatchers noticed that noticed at all."""
    touched = _edges(folder, each)
    last = each.until + NOTICE_REAL_S * folder.plan["pace"]
    firsts: dict[tuple[str, str], float] = {}
    for name, statement in run.statements.items():
        for t, what, server in statement.get("events", ()):
            edge = (name.partition("@")[0], server)
            if what in NOTICED and each.at <= t < last and edge in touched:
                firsts[edge] = min(firsts.get(edge, inf), t - each.at)
    return max(firsts.values(), default=None)


class Damage:
    """Who was hurt. Ask in the order of the faults' beginning."""

    def __init__(self, folder: Folder, run: Collected, end: float) -> None:
        self._folder = folder
        self._run = run
        self._end = end
        self._open = {
            "lost": run.jobs["state"] >= LOST,
            "again": np.ones(len(run.given_up["job"]), dtype=bool),
        }

    def of(self, each: Episode) -> dict[str, Any]:
        """Fields ``lost``, ``resent`` and ``latency`` (of all jobs that arrived while it lasted)."""
        jobs = self._run.jobs
        completed = jobs["state"] == COMPLETED
        before = jobs["latency"][completed & (jobs["done"] < each.at)].max(initial=0.0)
        touched = self._touched(each)
        span = each.at - before, each.until + NOTICE_REAL_S * self._folder.plan["pace"]
        lost = self._take("lost", jobs, touched, span)
        again = self._take("again", self._run.given_up, touched, span)
        states = jobs["state"][lost]
        meanwhile = (jobs["arrival"] >= each.at) & (jobs["arrival"] < min(each.until, self._end))
        latencies = jobs["latency"][meanwhile & completed]
        return {
            "lost": {
                lost_cause(int(state)): int(np.count_nonzero(states == state)) for state in np.unique(states)
            },
            "resent": int(np.count_nonzero(again)),
            "latency": float(latencies.mean()) if len(latencies) else None,
        }

    def _touched(self, each: Episode) -> Any:
        rows = {name: index for index, name in enumerate(self._run.dispatchers)}
        columns = {name: index for index, name in enumerate(self._run.servers)}
        touched = np.zeros((len(rows), len(columns)), dtype=bool)
        for dispatcher, server in _edges(self._folder, each):
            touched[rows[dispatcher], columns[server]] = True
        return touched

    def _take(self, what: str, table: Table, touched: Any, span: tuple[float, float]) -> Any:
        anywhere = np.asarray(touched.any(axis=1))
        mine = touched[table["dispatcher"], table["server"]]
        mine |= (table["state"] == NOBODY) & anywhere[table["dispatcher"]]  # it had no server
        mine &= self._open[what] & (table["sent"] >= span[0]) & (table["sent"] < span[1])
        self._open[what] &= ~mine
        return mine


class Rest:
    """Where the system comes to rest, and when."""

    def __init__(
        self, folder: Folder, run: Collected, found: list[Episode], volume: Mapping[str, float], end: float
    ) -> None:
        self._folder = folder
        self._found = found
        self._volume = volume
        self._end = end
        self._path = total_workload(run, folder.plan["scale"], end)
        self._moment = MOMENT_REAL_S * folder.plan["pace"]
        begin, over = folder.plan["warmup"], min(each.at for each in found)
        optimum, _ = self._wanted(0.0)
        self._excess = 1.0
        """Workload over its optimum before the first fault."""
        if optimum and over > begin:
            self._excess = max(1.0, float(self._path.mean(begin, over)) / optimum)

    def of(self, each: Episode) -> dict[str, float | None]:
        """Fields ``optimum`` (workload; None: there is none) and ``recovered``."""
        lasts = each.until == inf or each.fault.kind in FROM_BEGIN
        begin = each.at if lasts else each.until
        optimum, rate = self._wanted(begin + self._moment)
        return {"optimum": optimum, "recovered": self._after(begin, optimum, rate)}

    def optima(self) -> list[tuple[float, float | None]]:
        """From when which workload was optimal, as it changed."""
        made: list[tuple[float, float | None]] = []
        t = 0.0
        while t < self._end:
            optimum, _ = self._wanted(t + self._moment if t else t)
            if not made or made[-1][1] != optimum:
                made.append((t, optimum))
            t = self._next(t)
        return made

    def _after(self, begin: float, optimum: float | None, rate: float) -> float | None:
        over = self._next(begin)
        if not optimum or over <= begin:
            return None
        path, window = self._path, min(WINDOW_JOBS / rate, (over - begin) / 4.0)
        noise = NOISES * max(_noise(path, window, self._end), optimum * sqrt(2.0 / (rate * window)))
        low, high = (1.0 - NEAR) * optimum - noise, (1.0 + NEAR) * self._excess * optimum + noise
        if noise > LOOSEST * optimum:
            return None
        starts = np.arange(begin, over - window, window / STEPS_A_WINDOW)
        means = path.mean(starts, starts + window)
        far = np.flatnonzero((means < low) | (means > high))
        if not len(far):
            return 0.0
        return None if far[-1] == len(starts) - 1 else float(starts[far[-1] + 1] - begin)

    def _next(self, t: float) -> float:
        """When the next thing happens; what a fault itself entails (a death, a birth) comes within a moment."""
        times = [time for each in self._found for time in (each.at, each.until)]
        times += [each.t for each in self._folder.happenings if each.event in ("died", "started", "joined")]
        return min([time for time in times if time > t + self._moment] + [self._end])

    def _wanted(self, t: float) -> tuple[float | None, float]:
        """The optimal workload at an instant, and jobs a second."""
        topology = as_it_is(self._folder, self._found, t)
        base = {each.id: each.rate for each in self._folder.topology.dispatchers}
        wanted = {
            each.id: self._volume[each.id] * (each.rate / base[each.id] if base[each.id] else 1.0)
            for each in topology.dispatchers
        }
        rate = sum(wanted.values()) / self._folder.plan["mean_size"] * self._folder.plan["scale"]
        return (_optimum(topology, wanted) if rate else None), rate


def _noise(path: Path, window: float, end: float) -> float:
    """Standard deviation of a window's mean."""
    starts = np.arange(0.0, end - window, window)
    if len(starts) < 3:
        return 0.0
    differences = np.abs(np.diff(path.mean(starts, starts + window)))
    return float(np.median(differences)) / (0.6745 * sqrt(2.0))  # of a normal one the median is 0.6745 σ


def _optimum(topology: Topology, volume: Mapping[str, float]) -> float | None:
    from gmsr.topology.theory.optimum import NoOptimum, Overloaded, solve

    if not topology.dispatchers:
        return None
    try:
        return float(solve(topology, volume).workload)
    except (NoOptimum, Overloaded):
        return None
