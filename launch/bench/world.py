"""``gmsr bench world``: jobs a second of the deterministic world on the main demo's graph, beside SimPy.

Ours runs the real agents: views, reports, heartbeats, accounts and journals. SimPy runs the same system, the same
graph, curves, load and policy, as a model: fresh views, no messages, no accounts.
"""

import tempfile
import time
from collections.abc import Generator, Iterator
from heapq import heappop, heappush
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import click

from gmsr.agents.journal import MappedRows
from gmsr.agents.process import journal
from gmsr.topology.curves import Curve, difference
from gmsr.topology.errors import UserError
from gmsr.topology.files import load
from gmsr.topology.graph import Topology

from .. import plan
from ..choices import choose
from ..demand import at_load
from ..packaged import path as example
from ..world.world import World

LOAD, SCALE = 0.6, 10.0
OUR_S, THEIR_S = 20.0, 20.0
REPEATS = 3


def measure() -> dict[str, Any]:
    """Medians of pairs."""
    topology = at_load(load(example("llm-fleet")).topology, LOAD)._replace(scale=SCALE)
    pairs = []
    for number in range(REPEATS):
        click.echo(f"pair {number + 1} of {REPEATS}", err=True)
        pairs.append((_ours(topology, number), _theirs(topology, number)))
    return {
        "jobs_per_s": median(ours for ours, _ in pairs),
        "simpy_jobs_per_s": median(theirs for _, theirs in pairs),
        "ratio": median(ours / theirs for ours, theirs in pairs),
        "repeats": REPEATS,
    }


def text(found: dict[str, Any]) -> str:
    """Three lines."""
    return "\n".join(
        [
            f"deterministic world  {found['jobs_per_s']:,.0f} jobs/s: real agents, every message, journals, accounts",
            f"SimPy                {found['simpy_jobs_per_s']:,.0f} jobs/s: the same system as a model, fresh views",
            f"ratio                {found['ratio']:.2f} (medians of {found['repeats']} pairs)",
        ]
    )


def _ours(topology: Topology, seed: int) -> float:
    options = plan.Options(duration=OUR_S, warmup=0.0, seed=seed, scale=SCALE)
    with tempfile.TemporaryDirectory(prefix="gmsr-bench-") as folder:
        (Path(folder) / "agents").mkdir()
        inputs = plan.prepare(topology, options, Path(folder) / "inputs")
        specs = plan.specs(topology, options, choose("gmsr"), Path(folder), "nowhere", "bench", inputs)
        journals: list[MappedRows] = []

        def rows(spec: Any) -> MappedRows:
            journals.append(journal(spec))
            return journals[-1]

        begin = time.perf_counter()
        world = World(specs, (), rows)
        world.run()
        spent = time.perf_counter() - begin
        for each in journals:
            each.close()
        offered: int = sum(node.machine.status().get("offered", 0) for node in world.nodes.values())
        return offered / spent


def _theirs(topology: Topology, seed: int) -> float:
    try:
        import simpy
    except ImportError as error:
        raise UserError("bench world: SimPy is missing; install the extra 'dev', or simpy itself") from error
    env = simpy.Environment()
    servers = {each.id: _Queue(env, each.curve, topology.scale) for each in topology.servers}
    counts = [0]
    for dispatcher in topology.dispatchers:
        mine = [servers[edge.server] for edge in topology.servers_of(dispatcher.id)]
        arrivals = _arrivals(
            env, dispatcher.rate * topology.scale, mine, topology, seed, dispatcher.id, counts
        )
        env.process(arrivals)
    begin = time.perf_counter()
    env.run(until=THEIR_S)
    return counts[0] / (time.perf_counter() - begin)


def _arrivals(
    env: Any,
    rate: float,
    servers: list["_Queue"],
    topology: Topology,
    seed: int,
    name: str,
    counts: list[int],
) -> Generator[Any, Any, None]:
    random = Random(f"{seed}/{name}")
    sizes = _sizes(topology, random)
    while True:
        yield env.timeout(random.expovariate(rate))
        best = max(servers, key=_Queue.marginal)
        best.arrive(next(sizes))
        counts[0] += 1


def _sizes(topology: Topology, random: Random) -> Iterator[float]:
    mean = topology.sizes.mean or 1.0
    while True:
        yield random.expovariate(1.0) * mean


class _Queue:
    """Processor sharing at a state-dependent rate, in SimPy: the next departure is awaited, or is out of date."""

    def __init__(self, env: Any, curve: Curve, scale: float) -> None:
        self._env, self._curve, self._scale = env, curve, scale
        self._heap: list[float] = []
        self._virtual = self._instant = 0.0
        self._version = 0
        self._marginals: dict[int, float] = {}

    def marginal(self) -> float:
        """Of the job to come."""
        jobs = len(self._heap)
        if jobs not in self._marginals:
            self._marginals[jobs] = difference(self._curve, jobs, self._scale)
        return self._marginals[jobs]

    def arrive(self, size: float) -> None:
        """A job."""
        self._move()
        heappush(self._heap, self._virtual + size)
        self._wait()

    def _move(self) -> None:
        if self._heap:
            self._virtual += (self._env.now - self._instant) * self._speed()
        self._instant = self._env.now

    def _speed(self) -> float:
        jobs = len(self._heap)
        return self._scale * self._curve.value(jobs / self._scale) / jobs

    def _wait(self) -> None:
        self._version += 1
        if self._heap:
            delay = max((self._heap[0] - self._virtual) / self._speed(), 0.0)
            version = self._version
            self._env.timeout(delay).callbacks.append(lambda _: self._depart(version))

    def _depart(self, version: int) -> None:
        if version == self._version:
            self._virtual, self._instant = heappop(self._heap), self._env.now
            self._wait()
