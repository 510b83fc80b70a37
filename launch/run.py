"""The life of a run: start all agents, wait until every edge is up, start the clock, watch, stop, sum up.

The launcher observes and never routes: between the start and the end of a run no agent waits for it.
"""

import os
import platform
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from math import inf
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from gmsr.agents.process import POLICY_FAILED
from gmsr.topology.errors import UserError
from gmsr.topology.graph import Topology

from . import limits, plan
from .audit import proof
from .choices import Choice, choose, failed
from .control import write_control
from .demand import informed
from .faults.live import Schedule
from .faults.scheduled import scheduled
from .place.base import Event, Place
from .place.local import Local
from .record.summary import summarise
from .run_dir import broken, make_folder, write_launch, write_plan
from .show.progress import Progress
from .tcp import Tcp

READY_REAL_S = 30.0
READY_REAL_S_AN_AGENT = 0.06
LEAD_REAL_S = 0.2
LEAD_REAL_S_AN_AGENT = 0.001
"""The start is set so far ahead that every agent has heard of it by then."""
END_REAL_S = 30.0
END_HEARTBEATS = 30.0
"""How long agents may take to end: each gives up the dead, and servers those dispatchers that are silent."""
LOOK, LOOK_AGAIN = 0.5, 0.05
"""Shares of the duration: when the kernel is asked who is connected to whom, and how often if something is odd."""
STOP_REAL_S = 5.0
STOP_REAL_S_AN_AGENT = 0.02
"""How long agents may take to say goodbye when they are told to stop. After a death its peers would wait for
the goodbye of the dead for ever, so that more of them get no more time.
"""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C: the run was stopped cleanly; ``summary`` is what there was until then."""

    def __init__(self, summary: dict[str, Any]) -> None:
        super().__init__("interrupted")
        self.summary = summary


class Stopped(NamedTuple):
    """How a run ended."""

    interrupted: bool
    failure: str  # empty if all went well
    mendable: bool  # it failed before it began, by what the user can mend


def run(
    topology: Topology,
    options: plan.Options,
    out: Path | None = None,
    progress: Progress | None = None,
    place: Callable[..., Place] = Local,
    heard: Callable[[Mapping[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Run a topology as real processes and return its summary (INTERFACE, also in ``summary.json``).

    ``heard`` is told each agent's status as telemetry brings it: "id", "t" (emulated seconds) and its counts.
    Raises UserError before anything is started, RunError if the run failed, Interrupted after Ctrl-C.
    """
    policy = choose(options.policy, options.feed)
    if place is Local:
        limits.check(topology)
    if policy.informed:
        topology = informed(topology)
    topology, drawn = scheduled(topology, options, simulated=False)
    if place is Local and any(fault.kind == "lose-host" for fault in topology.faults):
        raise UserError(
            "faults: lose-host: all agents run on this machine; name hosts (--hosts), or leave it out"
        )
    run_dir = make_folder(topology, options, out)
    topology = topology._replace(scale=options.scale)
    try:
        inputs = plan.prepare(topology, options, run_dir / "inputs")
        live = _Live(topology, options, run_dir, progress or Progress(quiet=True), drawn, heard)
        stopped = live.play(policy, inputs, place)
        if stopped.mendable:
            raise UserError(stopped.failure)
    except UserError:  # before anything has begun: it would be a poor run that could not be mended
        shutil.rmtree(run_dir)
        raise
    if stopped.failure:
        if live.started:
            with suppress(Exception):  # whatever is missing from a run that broke must not hide why it broke
                summarise(run_dir)
        raise broken(stopped.failure, run_dir)
    summary = summarise(run_dir)
    if stopped.interrupted:
        raise Interrupted(summary)
    return summary


class _Live:
    """One run's agents while they live."""

    def __init__(
        self,
        topology: Topology,
        options: plan.Options,
        run_dir: Path,
        progress: Progress,
        drawn: int,
        heard: Callable[[Mapping[str, Any]], None] | None,
    ) -> None:
        self._topology = topology
        self._options = options
        self._drawn = drawn  # so many of the faults are chaos
        self._run_dir = run_dir
        self._progress = progress
        self._heard = heard
        self._servers = {server.id for server in topology.servers}
        self._hosts: dict[str, str] = {}
        self._doors: dict[str, str] = {}  # of servers that are to be reached from other hosts
        self._lives: dict[str, int] = {}
        self._pids: dict[str, int] = {}
        self._waiting: set[str] = set()  # agents that are not ready yet
        self._living: set[str] = set()
        self._failure = ""
        self._mendable = False
        self._statuses: dict[str, dict[str, Any]] = {}
        self._cpu_begin: dict[tuple[str, int], float] = {}  # by agent and process
        self._cpu: dict[str, float] = {}
        self._begin_ns = 0
        self._schedule: Schedule | None = None
        self._look_at = LOOK * options.duration
        self._patience = 0.0  # emulated seconds, for all to end
        self.ready_real_s = 0.0
        self.started = False

    def play(self, policy: Choice, inputs: plan.Inputs, place: Callable[..., Place]) -> Stopped:
        """From the first process to the last."""
        interrupted, collected_real_s = False, 0.0
        hosts: dict[str, Any] = {}
        self._progress.phase("starting processes")
        began = time.monotonic()
        token = uuid4().hex
        testbed = place(survive=self._options.survive)
        try:
            self._start(testbed, policy, inputs, token)
            self._until_ready(testbed, began)
            self.ready_real_s = time.monotonic() - began
            if not self._failure:
                self._begin(testbed, token)
                self._until_over(testbed)
        except KeyboardInterrupt:
            interrupted = True
            self._progress.phase("interrupted: stopping all agents")
        finally:
            try:
                self._stop(testbed)
            except KeyboardInterrupt:  # a second one: no more patience
                interrupted = True
            testbed.close()
            self._progress.done()
        if self.started:
            began = time.monotonic()
            hosts = testbed.gather(self._run_dir)
            collected_real_s = time.monotonic() - began
        write_launch(
            self._run_dir,
            platform.platform(),
            failure=self._failure,
            ended_at=max(self._now(), 0.0) if self._begin_ns else 0.0,
            interrupted=interrupted,
            cpu=self._cpu,
            ready_real_s=self.ready_real_s,
            hosts=hosts,
            collected_real_s=collected_real_s,
        )
        return Stopped(interrupted, self._failure, self._mendable)

    def _start(self, testbed: Place, policy: Choice, inputs: plan.Inputs, token: str) -> None:
        options, run_dir, topology = self._options, self._run_dir, self._topology
        servers = [server.id for server in topology.servers]
        sites = testbed.sites([*servers, *(each.id for each in topology.dispatchers)], run_dir)
        tcp = None
        if options.edges == "tcp" or len({site.host for site in sites.values()}) > 1:
            tcp = Tcp(topology, token, testbed.reserve(servers))
        specs = plan.specs(topology, options, policy, run_dir, testbed.sockets, token, inputs, tcp, sites)
        for dispatcher in topology.dispatchers:
            for file in inputs.of(dispatcher.id):
                testbed.deliver(dispatcher.id, file)
        self._hosts = {name: site.host for name, site in sites.items()}
        bound = {
            spec["id"]: spec["far_address"] or spec["address"] for spec in specs if spec["role"] == "server"
        }
        self._doors = {name: address.removeprefix("tcp://") for name, address in bound.items()}
        self._schedule = Schedule(run_dir, topology, specs, options.duration, self._drawn)
        self._patience = END_REAL_S * options.pace + END_HEARTBEATS * specs[0]["heartbeat"]
        first = self._schedule.at_start()
        write_plan(run_dir, options, policy, first, inputs)
        self._waiting = {spec["id"] for spec in first}
        self._living = set(self._waiting)
        testbed.spawn(first)

    def _until_ready(self, testbed: Place, began: float) -> None:
        deadline = began + READY_REAL_S + READY_REAL_S_AN_AGENT * len(self._living)
        while self._waiting and not self._failure:
            self._take(testbed.events(0.5))
            self._progress.ready(len(self._living) - len(self._waiting), len(self._living))
            if time.monotonic() > deadline:
                missing = ", ".join(sorted(self._waiting)[:5])
                self._failure = f"{len(self._waiting)} agents were not ready in time, among them {missing}"

    def _begin(self, testbed: Place, token: str) -> None:
        options = self._options
        lead = LEAD_REAL_S + LEAD_REAL_S_AN_AGENT * len(self._living)
        self._begin_ns = time.monotonic_ns() + int(lead * 1e9)
        if options.survive:
            span = options.duration + options.cooldown + self._patience
            testbed.end_by(self._begin_ns + int(span / options.pace * 1e9))
        write_control(self._run_dir, testbed, self._begin_ns, options, token)
        testbed.begin(self._begin_ns)
        self.started = True

    def _until_over(self, testbed: Place) -> None:
        options, schedule = self._options, self._schedule
        assert schedule is not None
        warm, over = options.warmup, options.duration
        deadline = over + options.cooldown + self._patience
        while (self._living or schedule.awaited) and not self._failure:
            now = self._now()
            schedule.perform(testbed, now, self._begin_ns)
            if not self._cpu_begin and now >= warm:
                self._cpu_begin = self._cpu_times(testbed)
            if self._cpu_begin and not self._cpu and now >= over:
                self._cpu = self._shares(self._cpu_times(testbed), (over - warm) / options.pace)
            if now >= self._look_at:
                self._look(testbed, now)
            marks = [mark for mark in (warm, over, schedule.due, self._look_at) if mark > now]
            wait = min([0.5, *((mark - now) / options.pace for mark in marks)])
            self._take(testbed.events(wait))
            self._progress.running(now, over, options.pace, self._totals())
            if now > deadline:
                self._failure = f"{', '.join(sorted(self._living)[:5])} did not end in time"

    def _look(self, testbed: Place, now: float) -> None:
        """Who is connected to whom, by the kernel: once, or until nothing is odd, since agents come and go."""
        edges = [(edge.dispatcher, edge.server) for edge in self._topology.edges]
        living = {agent: pid for agent, pid in self._pids.items() if agent in self._living}
        seen = proof.snapshot(lambda: testbed.look(living), edges, now, self._doors)
        proof.keep(self._run_dir, seen)
        again = now + LOOK_AGAIN * self._options.duration
        self._look_at = again if seen["contradictions"] and again < self._options.duration else inf

    def _stop(self, testbed: Place) -> None:
        """Let what still lives say goodbye, for a while."""
        if not self._living:
            return
        if self._schedule and self.started:
            self._schedule.mend(testbed, self._now())
        testbed.tell({"tell": "stop"})
        patience = STOP_REAL_S + (0.0 if self._failure else STOP_REAL_S_AN_AGENT * len(self._living))
        deadline = time.monotonic() + patience
        while self._living and time.monotonic() < deadline:
            events = testbed.events(0.1)
            self._take(events)
            if any(event["event"] == "lost" and "host" not in event for event in events):
                return

    def _take(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case {"event": "spawned", "id": agent, "pid": pid, "life": life}:
                    self._pids[agent], self._lives[agent] = pid, life
                    self._living.add(agent)
                    if self._schedule and life > 1:
                        self._schedule.started(event, self._now())
                case {"event": "exited", "id": agent, "status": status}:
                    self._living.discard(agent)
                    if status:
                        self._lose(event)
                case {"event": "lost", "host": host, "why": why}:
                    self._lose_host(host, why, event["asked"])
                case {"event": "lost", "why": why}:
                    self._failure = self._failure or f"{why}; all agents ended with it"
                    self._living.clear()
                case {"event": "said", "message": {"id": agent, "say": "ready"}}:
                    self._waiting.discard(agent)
                case {"event": "said", "message": {"id": agent, "say": "status"}}:
                    self._statuses[agent] = event["message"]
                    if self._heard:
                        self._heard(event["message"])

    def _lose(self, event: Event) -> None:
        """An agent did not end by itself. A defect ends the run; a kill in its course is what runs are to survive."""
        agent, status = event["id"], event["status"]
        why = _death(event, "server" if agent in self._servers else "dispatcher")
        if self._schedule and self._begin_ns and os.WIFSIGNALED(status):
            self._schedule.died(event, self._now(), signal.Signals(os.WTERMSIG(status)).name)
        elif not self._failure:
            self._failure = why

    def _lose_host(self, host: str, why: str, asked: bool) -> None:
        """A host, and with it all agents there, for all that is known. Before the run it is the user's to mend."""
        gone = sorted(agent for agent in self._living if self._hosts[agent] == host)
        self._living.difference_update(gone)
        if not self._begin_ns and not self._failure:
            self._failure, self._mendable = f"host {host}: {why}", True
        for agent in gone if self._begin_ns else ():
            event = {"id": agent, "life": self._lives[agent], "asked": asked}
            assert self._schedule is not None
            self._schedule.died(event, self._now(), f"the loss of host {host} ({why})")

    def _now(self) -> float:
        return (time.monotonic_ns() - self._begin_ns) * 1e-9 * self._options.pace

    def _totals(self) -> dict[str, int]:
        keys = ("offered", "completed", "in_flight")
        return {key: sum(status.get(key, 0) for status in self._statuses.values()) for key in keys}

    def _cpu_times(self, testbed: Place) -> dict[tuple[str, int], float]:
        used = testbed.cpu_real_s()
        return {(agent, pid): used[agent] for agent, pid in self._pids.items() if agent in used}

    def _shares(self, end: dict[tuple[str, int], float], real_s: float) -> dict[str, float]:
        """Of who lived all that time."""
        begin = self._cpu_begin
        return {each[0]: (used - begin[each]) / real_s for each, used in end.items() if each in begin}


def _death(event: Event, role: str) -> str:
    """Why an agent died, in a line; and the traceback of its policy, if that is why."""
    agent, status, words = event["id"], event["status"], event["words"]
    if os.WIFSIGNALED(status):
        return f"{role} {agent} was killed by {signal.Signals(os.WTERMSIG(status)).name}"
    if os.waitstatus_to_exitcode(status) == POLICY_FAILED:
        return failed(agent, words)
    last = words.splitlines()[-1] if words else f"exit status {os.waitstatus_to_exitcode(status)}"
    return f"{role} {agent} crashed: {last}"
