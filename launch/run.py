"""The life of a run: start all agents, wait until every edge is up, start the clock, watch, stop, sum up.

The launcher observes and never routes: between the start and the end of a run no agent waits for it.
"""

import os
import platform
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from math import inf
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import psutil

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
from .record.collect import life_name
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


def run(
    topology: Topology,
    options: plan.Options,
    out: Path | None = None,
    progress: Progress | None = None,
    place: Callable[..., Place] = Local,
) -> dict[str, Any]:
    """Run a topology as real processes and return its summary (INTERFACE, also in ``summary.json``).

    Raises UserError before anything is started, RunError if the run failed, Interrupted after Ctrl-C.
    """
    policy = choose(options.policy, options.feed)
    limits.check(topology)
    if policy.informed:
        topology = informed(topology)
    topology, drawn = scheduled(topology, options, simulated=False)
    run_dir = make_folder(topology, options, out)
    topology = topology._replace(scale=options.scale)
    try:
        inputs = plan.prepare(topology, options, run_dir / "inputs")
    except UserError:
        shutil.rmtree(run_dir)  # we have just made it, and nothing was started
        raise
    live = _Live(topology, options, run_dir, progress or Progress(quiet=True), drawn)
    stopped = live.play(policy, inputs, place)
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
        self, topology: Topology, options: plan.Options, run_dir: Path, progress: Progress, drawn: int
    ) -> None:
        self._topology = topology
        self._options = options
        self._drawn = drawn  # so many of the faults are chaos
        self._run_dir = run_dir
        self._progress = progress
        self._servers = {server.id for server in topology.servers}
        self._pids: dict[str, int] = {}
        self._waiting: set[str] = set()  # agents that are not ready yet
        self._living: set[str] = set()
        self._failure = ""
        self._statuses: dict[str, dict[str, Any]] = {}
        self._cpu_begin: dict[int, float] = {}  # by process
        self._cpu: dict[str, float] = {}
        self._begin_ns = 0
        self._schedule: Schedule | None = None
        self._look_at = LOOK * options.duration
        self._patience = 0.0  # emulated seconds, for all to end
        self.ready_real_s = 0.0
        self.started = False

    def play(self, policy: Choice, inputs: plan.Inputs, place: Callable[..., Place]) -> Stopped:
        """From the first process to the last."""
        interrupted = False
        self._progress.phase("starting processes")
        began = time.monotonic()
        token = uuid4().hex
        tcp = Tcp(self._topology, token) if self._options.edges == "tcp" else None
        testbed = place(survive=self._options.survive)
        try:
            self._start(testbed, policy, inputs, token, tcp)
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
            if tcp:
                tcp.close()
            self._progress.done()
        write_launch(
            self._run_dir,
            platform.platform(),
            failure=self._failure,
            ended_at=max(self._now(), 0.0) if self._begin_ns else 0.0,
            interrupted=interrupted,
            cpu=self._cpu,
            ready_real_s=self.ready_real_s,
        )
        return Stopped(interrupted, self._failure)

    def _start(
        self, testbed: Place, policy: Choice, inputs: plan.Inputs, token: str, tcp: Tcp | None
    ) -> None:
        options, run_dir = self._options, self._run_dir
        specs = plan.specs(self._topology, options, policy, run_dir, testbed.sockets, token, inputs, tcp)
        self._schedule = Schedule(run_dir, self._topology, specs, options.duration, self._drawn)
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
        testbed.tell({"tell": "start", "at_ns": self._begin_ns})
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
                self._cpu_begin = self._cpu_times()
            if self._cpu_begin and not self._cpu and now >= over:
                self._cpu = self._shares(self._cpu_times(), (over - warm) / options.pace)
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
        seen = proof.snapshot(living, testbed.sockets, edges, now)
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
            if any(event["event"] == "lost" for event in events):
                return

    def _take(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case {"event": "spawned", "id": agent, "pid": pid, "life": life}:
                    self._pids[agent] = pid
                    self._living.add(agent)
                    if self._schedule and life > 1:
                        self._schedule.started(event, self._now())
                case {"event": "exited", "id": agent, "status": status}:
                    self._living.discard(agent)
                    if status:
                        self._lose(event)
                case {"event": "lost", "why": why}:
                    self._failure = self._failure or f"{why}; all agents ended with it"
                    self._living.clear()
                case {"event": "said", "message": {"id": agent, "say": "ready"}}:
                    self._waiting.discard(agent)
                case {"event": "said", "message": {"id": agent, "say": "status"}}:
                    self._statuses[agent] = event["message"]

    def _lose(self, event: Event) -> None:
        """An agent did not end by itself. A defect ends the run; a kill in its course is what runs are to survive."""
        agent, status = event["id"], event["status"]
        why = _death(event, "server" if agent in self._servers else "dispatcher", self._run_dir)
        if self._schedule and self._begin_ns and os.WIFSIGNALED(status):
            self._schedule.died(event, self._now(), signal.Signals(os.WTERMSIG(status)).name)
        elif not self._failure:
            self._failure = why

    def _now(self) -> float:
        return (time.monotonic_ns() - self._begin_ns) * 1e-9 * self._options.pace

    def _totals(self) -> dict[str, int]:
        keys = ("offered", "completed", "in_flight")
        return {key: sum(status.get(key, 0) for status in self._statuses.values()) for key in keys}

    def _cpu_times(self) -> dict[int, float]:
        times = {}
        for pid in self._pids.values():
            try:
                used = psutil.Process(pid).cpu_times()
            except psutil.Error:
                continue  # it has just ended
            times[pid] = used.user + used.system
        return times

    def _shares(self, end: dict[int, float], real_s: float) -> dict[str, float]:
        """Of who lived all that time."""
        begin = self._cpu_begin
        names = {pid: agent for agent, pid in self._pids.items()}
        return {names[pid]: (used - begin[pid]) / real_s for pid, used in end.items() if pid in begin}


def _death(event: Event, role: str, run_dir: Path) -> str:
    """Why an agent died, in a line; and the traceback of its policy, if that is why."""
    agent, status = event["id"], event["status"]
    if os.WIFSIGNALED(status):
        return f"{role} {agent} was killed by {signal.Signals(os.WTERMSIG(status)).name}"
    try:
        name = life_name(agent, event["life"])
        errors = (run_dir / "agents" / f"{name}.err").read_text(encoding="utf-8").strip()
        if os.waitstatus_to_exitcode(status) == POLICY_FAILED:
            return failed(agent, errors)
        last = errors.splitlines()[-1]
    except (OSError, IndexError):
        last = f"exit status {os.waitstatus_to_exitcode(status)}"
    return f"{role} {agent} crashed: {last}"
