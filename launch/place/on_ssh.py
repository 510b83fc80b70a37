"""Agents on hosts that OpenSSH reaches: one connection a host, at whose far end stands the host's nursery.

ssh asks nothing (BatchMode) and believes no host that it does not know already (StrictHostKeyChecking). Nothing runs on
a host but the installed package, started by this connection, and gone with it.
"""

import os
import shlex
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gmsr.topology.errors import UserError

from .channel import Channel
from .far import code
from .inventory import Host
from .journals import ARRIVED, receive
from .many import Gathered, Link, Many
from .relay import OWN_KEY

CONNECT_REAL_S = 10
START_REAL_S = 30.0
ALIVE_REAL_S, ALIVE_COUNT = 5, 4
"""A connection on which nothing comes back for so often so long is given up: the host is lost."""
COLLECT_REAL_S = 120.0
OPTIONS = [
    "-T",
    *("-o", "BatchMode=yes"),
    *("-o", "StrictHostKeyChecking=yes"),
    *("-o", "ControlPath=none"),  # a shared connection would be another's, and outlive ours
    *("-o", "LogLevel=ERROR"),
    *("-o", f"ConnectTimeout={CONNECT_REAL_S}"),
    *("-o", f"ServerAliveInterval={ALIVE_REAL_S}"),
    *("-o", f"ServerAliveCountMax={ALIVE_COUNT}"),
]
DISK_BYTES = 64 << 20
MEMORY_AN_AGENT, DESCRIPTORS_AN_AGENT = 8 << 20, 32
OF_SSH, NO_SUCH_COMMAND, NOT_EXECUTABLE = 255, 127, 126
"""Exit statuses: ssh's own failures, and the remote shell's."""


def command(host: Host, *words: str) -> list[str]:
    """What runs some words on a host."""
    if not host.ssh:
        return list(words)
    *options, destination = host.ssh
    return ["ssh", *OPTIONS, *options, "--", destination, f"exec {shlex.join(words)}"]


def module(host: Host, name: str, *words: str) -> list[str]:
    """What runs a module of this folder on a host."""
    if host.door:
        relay = [sys.executable, "-P", "-m", "gmsr.launch.place.relay"]
        return [*relay, host.door.address, host.door.key, name, *words]
    return command(host, host.python, "-P", "-m", f"gmsr.launch.place.{name}", *words)


def environment(host: Host) -> dict[str, str] | None:
    """Of that command; None: ours."""
    return {**os.environ, OWN_KEY: host.door.ours} if host.door else None


class FarLink(Link):
    """A host and the process that reaches it."""

    def __init__(self, host: Host, survive: bool) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 closed with the link
        words = ["--survive"] if survive else []
        try:
            nursery = module(host, "nursery", f"--far={host.folder}", *words)
            channel = Channel(nursery, self._errors, environment(host))
        except OSError:
            self._errors.close()
            raise
        super().__init__(host, channel)

    def come_up(self, deadline: float) -> None:
        """Wait until its nursery is there, and look whether it will do. Raises UserError if not."""
        while not self.facts:
            left = deadline - time.monotonic()
            if self.channel.lost or left <= 0.0:
                raise self._refused(
                    self.why() if self.channel.lost else "nobody answers there; look at the host"
                )
            self.channel.listen(left)
            for event in self.channel.heard():
                if event.get("event") == "hello":
                    self.facts = event
        if self.facts.get("code") != code():
            raise self._refused(
                f"another version of gmsr is installed there ({self.facts.get('code')}, here {code()}); "
                f"put this one there: {_install(self.host)}"
            )

    def check(self, agents: int, widest: int) -> None:
        """Whether it has room for so many agents, of which one has so many edges. Raises UserError if not."""
        disk, memory, most = (self.facts[name] for name in ("disk", "memory", "descriptors"))
        if disk < DISK_BYTES:
            raise self._refused(
                f"the disk of {self.facts['folder']} is full ({disk >> 20} MiB are free, {DISK_BYTES >> 20} needed); "
                "make room, or name another folder in the inventory"
            )
        if memory < agents * MEMORY_AN_AGENT:
            raise self._refused(
                f"{agents} agents need about {agents * MEMORY_AN_AGENT >> 20} MiB of memory, {memory >> 20} are "
                "free; put fewer agents there"
            )
        if most is not None and most < DESCRIPTORS_AN_AGENT + widest:
            raise self._refused(
                f"an agent with {widest} edges needs {DESCRIPTORS_AN_AGENT + widest} file descriptors, the hard "
                f"limit there is {most}; raise it there, or give agents fewer edges"
            )

    def set_clock(self) -> None:
        """Measure it. Raises UserError if the host is gone meanwhile."""
        found = self.measure()
        if found is None:
            raise self._refused(self.why())
        self.clock = found

    def why(self) -> str:
        """What ssh, or the shell there, said last."""
        status = self.channel.process.poll()
        if status is None:
            try:
                status = self.channel.process.wait(1.0)  # its streams have ended; so will it
            except subprocess.TimeoutExpired:
                status = 0
        self._errors.seek(0)
        return explain(self.host, status, self._errors.read().decode(errors="replace"))

    def close(self, deadline: float) -> None:
        """And what its process said."""
        super().close(deadline)
        self._errors.close()

    def _refused(self, why: str) -> UserError:
        return UserError(f"host {self.host.name}: {why}")


def explain(host: Host, status: int, words: str) -> str:
    """Why nobody stands at the far end, and what mends it."""
    last = next((line.strip() for line in reversed(words.splitlines()) if line.strip()), "")
    place = " ".join(host.ssh[-1:]) or "this machine"
    if status == OF_SSH and host.ssh:
        if "Host key verification failed" in words or "host key" in words.lower():
            return f"ssh does not know {place} by its key; connect once by hand, and compare the fingerprint"
        if "Permission denied" in words:
            return f"{place} refuses our key; add it to authorized_keys there, or name another identity"
        return f"{place} cannot be reached ({last or 'the connection ended'}); see that it is up and ssh gets there"
    if status in (NO_SUCH_COMMAND, NOT_EXECUTABLE) or "FileNotFoundError" in words:
        return (
            f"there is no interpreter {host.python}; mend python in the inventory, or run gmsr hosts install"
        )
    if "No module named" in words or "ModuleNotFoundError" in words:
        return f"{'Ray' if host.node else host.python} there has no gmsr ({last}); {_install(host)}"
    if "nknown option" in words:
        return f"{host.python} there is older than Python 3.11; mend python in the inventory"
    return last or "its nursery ended without a word"


def _install(host: Host) -> str:
    return "add it to the environment that Ray runs in" if host.node else "run gmsr hosts install"


class Ssh(Many):
    """A nursery on each host that agents are to run on. Raises UserError where one cannot be had; none is left then."""

    def __init__(
        self, hosts: Sequence[Host], where: Mapping[str, str], widest: int = 0, survive: bool = False
    ) -> None:
        used = [host for host in hosts if host.name in set(where.values())]
        links: list[FarLink] = []
        super().__init__((), where)
        try:
            for host in used:  # all at once: each takes its half a second
                links.append(open_link(host, survive))
                self._links[host.name] = links[-1]
            deadline = time.monotonic() + START_REAL_S
            for link in links:
                link.come_up(deadline)
                link.check(sum(host == link.host.name for host in where.values()), widest)
            for link in links:
                link.set_clock()
        except BaseException:  # Ctrl-C too: whoever could close it has not got it yet
            self.close()
            raise

    def fetch(self, links: Sequence[Link], run_dir: Path) -> list[Gathered]:
        """By connections of their own, side by side: that of the run may have been lost."""
        return collect_all([(link.host, link.facts["folder"]) for link in links], run_dir)


def open_link(host: Host, survive: bool) -> FarLink:
    """Begin to reach a host. Raises UserError if there is nothing here to do it with."""
    try:
        return FarLink(host, survive)
    except FileNotFoundError as error:
        mend = "install OpenSSH's client" if host.ssh else "mend python in the inventory"
        raise UserError(f"host {host.name}: there is no {error.filename} here; {mend}") from error


def collect_all(kept: Sequence[tuple[Host, str]], run_dir: Path) -> list[Gathered]:
    """From each host, out of the folder where it keeps them; side by side."""
    with ThreadPoolExecutor(max(len(kept), 1)) as pool:
        return list(pool.map(lambda each: Gathered(each[0].name, collect(each[0], each[1], run_dir)), kept))


def collect(host: Host, folder: str, run_dir: Path) -> str:
    """Bring home what agents wrote on a host. Returns why that could not be; empty if it was."""
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            module(host, "journals", folder),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            bufsize=0,  # the stream has no end until we have said that it has arrived
            start_new_session=True,
            env=environment(host),
        )
        assert process.stdin is not None
        assert process.stdout is not None
        why = ""
        try:
            receive(process.stdout, run_dir)
            process.stdin.write(ARRIVED)
            process.stdin.close()
            process.wait(COLLECT_REAL_S)
        except (OSError, tarfile.TarError, EOFError, subprocess.TimeoutExpired) as error:
            why = f"what came breaks off ({error})"
        finally:
            process.stdin.close()
            process.stdout.close()
            if why:
                process.kill()
            status = process.wait()
        errors.seek(0)
        said = errors.read().decode(errors="replace")
    if status == 0 and not why:
        return ""
    told = explain(host, status, said)
    return f"{why}; {told}" if why else told
