"""Whether this machine can hold the testbed, found out before anything is started."""

import os
import resource
from pathlib import Path

import psutil

from gmsr.topology.errors import UserError
from gmsr.topology.graph import Topology

from .place.nursery import LONGEST_HOME, home

TASKS_AN_AGENT = 4  # its main thread, two of ZeroMQ's, the journal's
DESCRIPTORS_AN_AGENT = 32
MEMORY_AN_AGENT = 8 << 20
UNLIMITED = resource.RLIM_INFINITY


def check(topology: Topology) -> None:
    """Raise UserError if the topology is too large for this machine; raises the soft descriptor limit."""
    agents = len(topology.dispatchers) + len(topology.servers)
    if home() is None:
        raise UserError(
            f"TMPDIR: no folder for sockets can be written to whose path has at most {LONGEST_HOME} bytes; "
            "set TMPDIR to one"
        )
    _descriptors(topology)
    _tasks(agents)
    need, have = agents * MEMORY_AN_AGENT, psutil.virtual_memory().available
    if need > have:
        raise UserError(
            f"topology: {agents} agents need about {need >> 20} MiB of memory, {have >> 20} are free; "
            "use fewer dispatchers and servers, or another machine"
        )


def _descriptors(topology: Topology) -> None:
    degrees: dict[str, int] = {}
    for edge in topology.edges:
        for end in (edge.dispatcher, edge.server):
            degrees[end] = degrees.get(end, 0) + 1
    widest = max(degrees, key=lambda name: degrees[name])
    need = DESCRIPTORS_AN_AGENT + degrees[widest]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard not in (UNLIMITED,) and need > hard:
        raise UserError(
            f"topology: {widest} has {degrees[widest]} edges and needs {need} file descriptors, the hard "
            f"limit is {hard}; raise it (ulimit -Hn {need}), or give it fewer edges"
        )
    if soft != UNLIMITED and need > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (need, hard))


def _tasks(agents: int) -> None:
    need = agents * TASKS_AN_AGENT
    for name, limit, used in _task_limits():
        if need > limit - used:
            raise UserError(
                f"topology: {agents} agents need about {need} tasks, {name} leaves {max(limit - used, 0)}; "
                f"raise it, or use fewer dispatchers and servers"
            )


def _task_limits() -> list[tuple[str, int, int]]:
    """(name, limit, in use) for each limit on tasks that is in force."""
    limits = [
        ("kernel.pid_max", _number(Path("/proc/sys/kernel/pid_max")), len(psutil.pids())),
        ("kernel.threads-max", _number(Path("/proc/sys/kernel/threads-max")), len(psutil.pids())),
        ("pids.max of the control group", _number(Path("/sys/fs/cgroup/pids.max")), _number(
            Path("/sys/fs/cgroup/pids.current"))),
    ]  # fmt: skip
    soft, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    if os.geteuid() != 0 and soft != UNLIMITED:
        attributes = ("uids", "num_threads")
        infos = [process.info for process in psutil.process_iter(attributes)]
        own = sum(info["num_threads"] for info in infos if info["uids"] and info["uids"].real == os.getuid())
        limits.append(("ulimit -u", soft, own))
    return [(name, limit, max(used, 0)) for name, limit, used in limits if limit >= 0]


def _number(path: Path) -> int:
    """A limit's number; -1 where there is no limit."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return -1
