"""What a nursery has beside its agents where the launcher's files are out of reach: on a host of its own.

A folder stands for the run directory there, until ``journals`` has sent home what is in it. A lock on it is held by the
nursery and, since they inherit it, by all of its agents: it is free when nobody writes there any more.
"""

import fcntl
import os
import resource
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from glob import glob
from hashlib import sha256
from typing import Any

from .ports import family

REACH_REAL_S = 2.0
PREFIX = "gmsr-run-"
LOCK = "nursery"
"""A file in the folder; holds the nursery's process id."""
SOCKETS = "sockets"
"""A file in the folder; says where the agents' sockets are, which a nursery that is killed cannot remove."""
PACKAGE = __file__.removesuffix("/launch/place/far.py")
OF_AGENTS = ("agents", "agents/feeds", "agents/policies", "broker", "topology", "launch/place")
"""Parts of the package that must be the same on all hosts."""


def code() -> str:
    """A digest of what runs on every host: versions that differ would not tell so by themselves."""
    found = sha256()
    for part in OF_AGENTS:
        folder = f"{PACKAGE}/{part}"
        for name in sorted(name for name in os.listdir(folder) if name.endswith(".py")):  # noqa: PTH208
            with open(f"{folder}/{name}", "rb") as file:  # noqa: PTH123
                found.update(f"{part}/{name}\n".encode() + file.read() + b"\n")
    return found.hexdigest()[:12]


class Far:
    """The folder. Raises OSError where it cannot be made."""

    def __init__(self, parent: str) -> None:
        self.folder = tempfile.mkdtemp(prefix=PREFIX, dir=parent or None)
        for name in ("agents", "inputs"):
            os.mkdir(f"{self.folder}/{name}")  # noqa: PTH102
        self._lock = open(f"{self.folder}/{LOCK}", "w")  # noqa: PTH123, SIM115
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._lock.write(str(os.getpid()))
        self._lock.flush()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != hard:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    def facts(self) -> dict[str, Any]:
        """What the launcher wants to know of this host before it sends agents there."""
        disk = os.statvfs(self.folder)
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        return {
            "folder": self.folder,
            "code": code(),
            "python": sys.version.split()[0],
            "cores": len(os.sched_getaffinity(0)),
            "system": " ".join(os.uname()[:3:2]),
            "memory": _memory(),
            "disk": disk.f_bavail * disk.f_frsize,
            "descriptors": None if descriptors == resource.RLIM_INFINITY else descriptors,
        }

    def obey(self, command: dict[str, Any]) -> dict[str, Any]:
        """``{"do": "put", "name", "data"}``: add to a file of inputs. ``{"do": "listen", "address"}``: at a free port.
        ``{"do": "reach", "address", "port"}``: try to connect. ``{"do": "perish"}``: die, and all agents here with it.
        Raises OSError where that cannot be.
        """
        match command:
            case {"do": "perish"}:
                os.killpg(0, signal.SIGKILL)
            case {"do": "put", "name": name, "data": data}:
                with open(f"{self.folder}/inputs/{os.path.basename(name)}", "ab") as file:  # noqa: PTH119, PTH123
                    file.write(data)
                return {}
            case {"do": "listen", "address": address}:
                self._listening = socket.create_server((address, 0), family=family(address))
                return {"port": self._listening.getsockname()[1]}
            case {"do": "reach", "address": address, "port": port}:
                socket.create_connection((address, port), REACH_REAL_S).close()
                return {}
        return {"error": f"no such command: {command!r}"}

    def note(self, sockets: str) -> None:
        """Where they are."""
        with open(f"{self.folder}/{SOCKETS}", "w") as file:  # noqa: PTH123
            file.write(sockets)

    def discard(self) -> None:
        """Nothing in it is worth anything."""
        shutil.rmtree(self.folder, ignore_errors=True)


def kept(words: Sequence[str], pid: int) -> bool:
    """Whether a nursery that was started with these words has left its folder."""
    folders = [word.partition("=")[2] for word in words if word.startswith("--far=")]
    for parent in folders:
        for lock in glob(f"{parent or tempfile.gettempdir()}/{PREFIX}*/{LOCK}"):  # noqa: PTH207
            with suppress(OSError), open(lock, encoding="ascii") as file:  # noqa: PTH123
                if file.read() == str(pid):
                    return True
    return False


def _memory() -> int:
    """Bytes that are free."""
    with open("/proc/meminfo", encoding="ascii") as file:  # noqa: PTH123
        kilobytes = dict(line.split(":") for line in file)["MemAvailable"]
    return int(kilobytes.split()[0]) << 10
