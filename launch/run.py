"""The life of a run: start all agents, wait until every edge is up, start the clock, watch, stop, sum up.

The launcher observes and never routes: between the start and the end of a run no agent waits for it.
"""

import os
import platform
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import psutil

from gmsr.topology.errors import RunError, UserError
from gmsr.topology.graph import Topology

from . import limits, plan
from .demand import informed
from .place.base import Event, Place
from .place.local import Local
from .record.folder import write_json
from .record.summary import summarise
from .show.progress import Progress

READY_REAL_S = 30.0
READY_REAL_S_AN_AGENT = 0.06
LEAD_REAL_S = 0.2
LEAD_REAL_S_AN_AGENT = 0.001
"""The start is set so far ahead that every agent has heard of it by then."""
END_REAL_S = 30.0
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
    policy = plan.choose(options.policy)
    limits.check(topology)
    if policy.informed:
        topology = informed(topology)
    run_dir = _make_folder(topology, options, out)
    topology = topology._replace(scale=options.scale)
    try:
        inputs = plan.prepare(topology, options, run_dir / "inputs")
    except UserError:
        shutil.rmtree(run_dir)  # we have just made it, and nothing was started
        raise
    live = _Live(topology, options, run_dir, progress or Progress(quiet=True))
    stopped = live.play(policy, inputs, place)
    if stopped.failure:
        if live.started:
            with suppress(Exception):  # whatever is missing from a run that broke must not hide why it broke
                summarise(run_dir)
        raise RunError(f"{stopped.failure}; what there is stands in {run_dir}")
    summary = summarise(run_dir)
    if stopped.interrupted:
        raise Interrupted(summary)
    return summary


class _Live:
    """One run's agents while they live."""

    def __init__(self, topology: Topology, options: plan.Options, run_dir: Path, progress: Progress) -> None:
        self._topology = topology
        self._options = options
        self._run_dir = run_dir
        self._progress = progress
        self._servers = {server.id for server in topology.servers}
        self._pids: dict[str, int] = {}
        self._waiting: set[str] = set()  # agents that are not ready yet
        self._living: set[str] = set()
        self._failure = ""
        self._statuses: dict[str, dict[str, Any]] = {}
        self._cpu_begin: dict[str, float] = {}
        self._cpu: dict[str, float] = {}
        self._begin_ns = 0
        self.ready_real_s = 0.0
        self.started = False

    def play(self, policy: plan.Choice, inputs: plan.Inputs, place: Callable[..., Place]) -> Stopped:
        """From the first process to the last."""
        interrupted = False
        self._progress.phase("starting processes")
        began = time.monotonic()
        testbed = place(survive=self._options.survive)
        try:
            specs = plan.specs(
                self._topology, self._options, policy, self._run_dir, testbed.sockets, uuid4().hex, inputs
            )
            _write_plan(self._run_dir, self._options, policy, specs, inputs)
            self._waiting = {spec["id"] for spec in specs}
            self._living = set(self._waiting)
            testbed.spawn(specs)
            self._until_ready(testbed, began)
            self.ready_real_s = time.monotonic() - began
            if not self._failure:
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
        self._write_launch(interrupted)
        return Stopped(interrupted, self._failure)

    def _until_ready(self, testbed: Place, began: float) -> None:
        deadline = began + READY_REAL_S + READY_REAL_S_AN_AGENT * len(self._living)
        while self._waiting and not self._failure:
            self._take(testbed.events(0.5))
            self._progress.ready(len(self._living) - len(self._waiting), len(self._living))
            if time.monotonic() > deadline:
                missing = ", ".join(sorted(self._waiting)[:5])
                self._failure = f"{len(self._waiting)} agents were not ready in time, among them {missing}"

    def _until_over(self, testbed: Place) -> None:
        options = self._options
        lead = LEAD_REAL_S + LEAD_REAL_S_AN_AGENT * len(self._living)
        self._begin_ns = time.monotonic_ns() + int(lead * 1e9)
        testbed.tell({"tell": "start", "at_ns": self._begin_ns})
        self.started = True
        warm, over = options.warmup, options.duration
        deadline = over + options.cooldown + END_REAL_S * options.pace
        while self._living and not self._failure:
            now = self._now()
            if not self._cpu_begin and now >= warm:
                self._cpu_begin = self._cpu_times()
            if self._cpu_begin and not self._cpu and now >= over:
                self._cpu = self._shares(self._cpu_times(), (over - warm) / options.pace)
            marks = [mark for mark in (warm, over) if mark > now]
            wait = min([0.5, *((mark - now) / options.pace for mark in marks)])
            self._take(testbed.events(wait))
            self._progress.running(now, over, options.pace, self._totals())
            if now > deadline:
                self._failure = f"{', '.join(sorted(self._living)[:5])} did not end in time"

    def _stop(self, testbed: Place) -> None:
        """Let what still lives say goodbye, for a while."""
        if not self._living:
            return
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
                case {"event": "spawned", "id": agent, "pid": pid}:
                    self._pids[agent] = pid
                case {"event": "exited", "id": agent, "status": status}:
                    self._living.discard(agent)
                    if status and not self._failure:
                        role = "server" if agent in self._servers else "dispatcher"
                        self._failure = f"{role} {_death(agent, status, self._run_dir)}"
                case {"event": "lost", "why": why}:
                    self._failure = self._failure or f"{why}; all agents ended with it"
                    self._living.clear()
                case {"event": "said", "message": {"id": agent, "say": "ready"}}:
                    self._waiting.discard(agent)
                case {"event": "said", "message": {"id": agent, "say": "status"}}:
                    self._statuses[agent] = event["message"]

    def _now(self) -> float:
        return (time.monotonic_ns() - self._begin_ns) * 1e-9 * self._options.pace

    def _totals(self) -> dict[str, int]:
        keys = ("offered", "completed", "in_flight")
        return {key: sum(status.get(key, 0) for status in self._statuses.values()) for key in keys}

    def _cpu_times(self) -> dict[str, float]:
        times = {}
        for agent, pid in self._pids.items():
            try:
                used = psutil.Process(pid).cpu_times()
            except psutil.Error:
                continue  # it has just ended
            times[agent] = used.user + used.system
        return times

    def _shares(self, end: dict[str, float], real_s: float) -> dict[str, float]:
        begin = self._cpu_begin
        return {agent: (used - begin[agent]) / real_s for agent, used in end.items() if agent in begin}

    def _write_launch(self, interrupted: bool) -> None:
        write_json(
            self._run_dir / "launch.json",
            {
                "interrupted": interrupted,
                "failure": self._failure,
                "ended_at": max(self._now(), 0.0) if self._begin_ns else 0.0,
                "cpu": self._cpu,
                "ready_real_s": self.ready_real_s,
                "machine": {"cores": os.cpu_count(), "system": platform.platform()},
            },
        )


def _death(agent: str, status: int, run_dir: Path) -> str:
    """Why an agent died, in a line."""
    if os.WIFSIGNALED(status):
        return f"{agent} was killed by {signal.Signals(os.WTERMSIG(status)).name}"
    try:
        last = (run_dir / "agents" / f"{agent}.err").read_text(encoding="utf-8").strip().splitlines()[-1]
    except (OSError, IndexError):
        last = f"exit status {os.waitstatus_to_exitcode(status)}"
    return f"{agent} crashed: {last}"


def fresh_name(topology: Topology, what: str) -> str:
    """A name for a new run directory."""
    return file_name(f"{topology.name}-{what}-{datetime.now(UTC).strftime('%Y%m%d-%H%M%S-%f')[:-3]}")


def file_name(text: str) -> str:
    """Any text as the name of a file."""
    return re.sub(r"[^A-Za-z0-9._=,+-]+", "-", text).lstrip(".-") or "run"


def _make_folder(topology: Topology, options: plan.Options, out: Path | None) -> Path:
    run_dir = out or Path("runs") / fresh_name(topology, options.policy)
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        if any(run_dir.iterdir()):
            raise FileExistsError
        for folder in ("inputs", "agents"):
            (run_dir / folder).mkdir()
    except FileExistsError as error:
        raise UserError(f"--out: {run_dir} exists; name a new folder, nothing is overwritten") from error
    except OSError as error:
        raise UserError(f"--out: {run_dir}: {error.strerror}; name a folder that can be made") from error
    write_json(run_dir / "topology.json", topology._replace(scale=options.scale).to_dict())
    return run_dir.resolve()


def _write_plan(
    run_dir: Path, options: plan.Options, policy: plan.Choice, specs: list[Any], inputs: plan.Inputs
) -> None:
    write_json(
        run_dir / "plan.json",
        {
            **options._asdict(),
            "cooldown": options.cooldown,
            "policy_class": policy.target,
            "reads": policy.reads,
            "mean_size": inputs.mean_size,
            "agents": [
                {
                    "id": spec["id"],
                    "role": spec["role"],
                    "peers": spec.get("servers") or spec.get("dispatchers") or [],
                }
                for spec in specs
            ],
            "command": sys.argv,
            "started": datetime.now(UTC).isoformat(),
            "versions": {
                "python": platform.python_version(),
                **{name: version(name) for name in ("gmsr", "pyzmq", "msgpack", "numpy", "psutil")},
            },
        },
    )
