"""The nursery: a preloaded fork server. All agents of one host are its children.

The launcher starts one as a child in a session of its own and talks to it over stdin and stdout, in streams
of msgpack maps, so that it can just as well stand at the far end of an ssh connection. It imports what
agents need once, and forks: an agent then costs milliseconds to start and shares its code's memory.

Commands: ``{"do": "spawn", "spec"}``, ``{"do": "tell", "to": id or None for all, "message"}``,
``{"do": "signal", "id", "signal"}``, ``{"do": "quit"}``. Events: ``hello`` (pid, sockets), ``spawned`` (id,
pid), ``exited`` (id, pid, status as of waitpid), ``said`` (message: an agent's telemetry, passed on).

Nothing outlives its parent. When the launcher is gone, stdin ends, and the nursery ends its agents and
removes their sockets; when the nursery itself is killed the kernel kills its agents (PR_SET_PDEATHSIG). With
``--survive`` both let the agents finish their run instead.
"""

import gc
import os
import select
import shutil
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from ctypes import CDLL
from typing import Any, NoReturn

from msgpack import Packer, Unpacker, unpackb

_PR_SET_PDEATHSIG = 1
LARGEST_DATAGRAM = 4096
LONGEST_HOME = 107 - len("/gmsr-12345678/") - 63 - len(".ctl")
"""Paths of sockets have at most 107 bytes (unix(7)), ids 63."""
DATAGRAMS_A_TURN = 256
GRACE_REAL_S = 1.0
DEFAULT_AGENT = "gmsr.agents.process:main"

Message = dict[str, Any]


class Nursery:
    """One host's agents. ``agent`` is called with its specification in each child."""

    def __init__(self, agent: Callable[[Any], None], survive: bool) -> None:
        self._agent = agent
        self._survive = survive
        self._libc = CDLL(None)
        self._pid = os.getpid()
        self._ids: dict[int, str] = {}  # by process id
        self._pack = Packer().pack
        self._unpacker = Unpacker()
        self._launcher_here = True
        self.sockets = tempfile.mkdtemp(prefix="gmsr-", dir=home())
        self._telemetry = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._telemetry.bind(f"{self.sockets}/nursery")
        self._telemetry.setblocking(False)
        self._wake, self._woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._woken, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> None:
        """Until told to quit, or the launcher is gone; then nothing of this is left."""
        try:
            self._event({"event": "hello", "pid": self._pid, "sockets": self.sockets})
            while self._launcher_here or (self._survive and self._ids):
                self._turn()
        finally:
            self._end_agents()
            shutil.rmtree(self.sockets, ignore_errors=True)

    def _turn(self) -> None:
        watched: list[Any] = [self._telemetry, self._wake]
        if self._launcher_here:
            watched.append(0)
        readable, _, _ = select.select(watched, [], [])
        if self._wake in readable:
            with suppress(BlockingIOError):
                os.read(self._wake, 4096)
            self._reap()
        if self._telemetry in readable:
            self._relay()
        if 0 in readable:
            self._listen()

    def _listen(self) -> None:
        data = os.read(0, 1 << 16)
        if not data:
            self._launcher_here = False
            return
        self._unpacker.feed(data)
        for command in self._unpacker:
            match command:
                case {"do": "spawn", "spec": spec}:
                    self._spawn(spec)
                case {"do": "tell", "to": to, "message": message}:
                    self._tell(to, message)
                case {"do": "signal", "id": agent, "signal": number}:
                    for pid, name in self._ids.items():
                        if name == agent:
                            os.kill(pid, number)
                case {"do": "quit"}:
                    self._launcher_here = self._survive = False

    def _spawn(self, spec: Message) -> None:
        pid = os.fork()
        if pid == 0:
            self._be_agent(spec)
        self._ids[pid] = spec["id"]
        self._event({"event": "spawned", "id": spec["id"], "pid": pid})

    def _be_agent(self, spec: Message) -> NoReturn:
        """In the child: shed what is the nursery's, then be the agent. Its standard error goes to a file."""
        status = 1
        try:
            if not self._survive:
                self._libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
                if os.getppid() != self._pid:
                    os._exit(1)  # the nursery died before the kernel was told
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is the launcher's business
            self._telemetry.close()
            os.close(self._wake)
            os.close(self._woken)
            errors = os.open(spec["errors"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            null = os.open(os.devnull, os.O_RDWR)
            for old, new in ((null, 0), (null, 1), (errors, 2)):
                os.dup2(old, new)
            os.close(errors)
            os.close(null)
            self._agent(spec)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)

    def _tell(self, to: str | None, message: Message) -> None:
        """A datagram waits for room: a command to an agent may not get lost as telemetry may."""
        datagram = self._pack(message)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(GRACE_REAL_S)
            for name in self._ids.values() if to is None else [to]:
                with suppress(OSError):  # an agent that has just ended
                    sender.sendto(datagram, f"{self.sockets}/{name}.ctl")

    def _relay(self) -> None:
        with suppress(BlockingIOError):
            for _ in range(DATAGRAMS_A_TURN):
                datagram = self._telemetry.recv(LARGEST_DATAGRAM)
                with suppress(Exception):  # out of band: what cannot be read is passed over
                    self._event({"event": "said", "message": unpackb(datagram)})

    def _reap(self) -> None:
        with suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    return
                self._event({"event": "exited", "id": self._ids.pop(pid), "pid": pid, "status": status})

    def _event(self, event: Message) -> None:
        if not self._launcher_here:
            return
        data = self._pack(event)
        try:
            while data:
                data = data[os.write(1, data) :]
        except BrokenPipeError:
            self._launcher_here = False

    def _end_agents(self) -> None:
        """Ask, then kill; wait for all."""
        for number, patience in ((signal.SIGTERM, GRACE_REAL_S), (signal.SIGKILL, 10 * GRACE_REAL_S)):
            for pid in self._ids:
                os.kill(pid, number)
            deadline = time.monotonic() + patience
            while self._ids and time.monotonic() < deadline:
                select.select([self._wake], [], [], 0.05)
                with suppress(BlockingIOError):
                    os.read(self._wake, 4096)
                self._reap()


def home() -> str | None:
    """Where the folder of sockets goes: the first place that can be written to and has a short name."""
    for place in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp"):
        if place and len(os.fsencode(place)) <= LONGEST_HOME and os.access(place, os.W_OK | os.X_OK):
            return place
    return None


def main(arguments: list[str]) -> None:
    """``[--survive] [module:function]``: serve; the function is called in the agents' place."""
    from gmsr.agents.process import load

    named = [argument for argument in arguments if not argument.startswith("--")]
    agent = load(named[0] if named else DEFAULT_AGENT)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    # A user's own policy may stand in this folder; last, so that it hides nothing. pathlib is slow to load.
    sys.path.append(os.getcwd())  # noqa: PTH109
    nursery = Nursery(agent, "--survive" in arguments)
    gc.collect()
    gc.freeze()  # a collection in a child would write to, and so copy, every page it shares
    nursery.serve()


if __name__ == "__main__":
    main(sys.argv[1:])
