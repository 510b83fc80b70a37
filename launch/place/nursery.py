"""The nursery: a preloaded fork server. All agents of one host are its children.

The launcher starts one as a child in a session of its own and talks to it over stdin and stdout, in streams
of msgpack maps, so that it can just as well stand at the far end of an ssh connection. It imports what
agents need once, and forks: an agent then costs milliseconds to start and shares its code's memory.

Commands: ``{"do": "spawn", "spec"}``, ``{"do": "tell", "to": id or None for all, "message"}``,
``{"do": "signal", "id", "signal"}``, ``{"do": "restart", "id", "orders"}`` (a dead agent's next life, and what it is
told at once), ``{"do": "deafen"}`` (hear no telemetry any more), ``{"do": "end_by", "at_ns"}`` (without a launcher,
until then at most), ``{"do": "reserve", "address", "servers"}`` (ports), ``{"do": "list"}``, ``{"do": "cpu"}``,
``{"do": "clock"}``, ``{"do": "look"}`` (the kernel's tables of all agents), ``{"do": "watch", "after"}`` (each agent's
latest status, if that came after so many), ``{"do": "quit"}``; on a host of its own those of ``far``, too. The
launcher hears of events: ``hello`` (pid, sockets), ``spawned`` (id, pid, life), ``exited`` (id, pid, life, status as
of waitpid, asked: whether a command killed it, words: the end of what it wrote to its standard error), ``said``
(message: an agent's telemetry, passed on), ``answered`` (to a command with a number ``ask``). Operators (``door``)
give the same commands and get an answer each.

Nothing outlives its parent. When the launcher is gone, stdin ends, and the nursery ends its agents and
removes their sockets; when the nursery itself is killed the kernel kills its agents (PR_SET_PDEATHSIG). With
``--survive`` both let the agents finish their run instead. With ``--far=FOLDER`` it stands on a host of its own: it
keeps journals in a folder that it makes there, and a launcher that has said nothing for long is gone too, since a
network that is cut ends no stream.
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

from gmsr.agents.spec import met, reborn
from gmsr.broker.wire import MAX_LIFE

from .children import cpu_real_s, last_words
from .door import Door
from .far import Far
from .ports import Ports

_PR_SET_PDEATHSIG = 1
LARGEST_DATAGRAM = 1 << 16
"""Of an agent that has a thousand peers, a status has a number for each."""
WATCHED_A_PACKET = 100_000
"""Bytes of statuses in one answer: a packet has to fit into a socket's buffer, 208 KiB as a rule."""
LONGEST_HOME = 107 - len("/gmsr-12345678/") - 63 - len(".ctl")
"""Paths of sockets have at most 107 bytes (unix(7)), ids 63."""
DATAGRAMS_A_TURN = 256
GRACE_REAL_S = 1.0
LONGEST_SLEEP_REAL_S = 3600.0
SILENCE_REAL_S = 30.0
"""A launcher elsewhere says something every few seconds (``many``)."""
DEFAULT_AGENT = "gmsr.agents.process:main"

Message = dict[str, Any]


class Nursery:
    """One host's agents. ``agent`` is called with its specification in each child."""

    def __init__(self, agent: Callable[[Any], None], survive: bool, far: Far | None = None) -> None:
        self._agent = agent
        self._survive = survive
        self._far = far
        self._ports = Ports()
        self._heard = time.monotonic()
        self._libc = CDLL(None)
        self._pid = os.getpid()
        self._ids: dict[int, str] = {}  # by process id
        self._specs: dict[str, Any] = {}  # by id: of the last life, with all peers that it has met
        self._asked: set[int] = set()  # processes that a command killed
        self._fallen: set[str] = set()  # ids of those that a signal ended
        self._statuses: dict[str, tuple[int, bytes]] = {}  # by id: the latest; who spoke last stands last
        self._spoken = 0  # statuses so far
        self._start_ns = 0  # of the run, on the monotonic clock
        self._end_ns = sys.maxsize  # when a run without a launcher is over at the latest
        self._pack = Packer().pack
        self._unpacker = Unpacker()
        self._launcher_here = True
        self.sockets = tempfile.mkdtemp(prefix="gmsr-", dir=home())
        if far:
            far.note(self.sockets)
        self._telemetry = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._telemetry.bind(f"{self.sockets}/nursery")
        self._telemetry.setblocking(False)
        self._deaf = False
        self._door = Door(self.sockets)
        self._wake, self._woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._woken, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> None:
        """Until told to quit, or the launcher is gone; then nothing of this is left."""
        try:
            facts = self._far.facts() if self._far else {}
            self._event({"event": "hello", "pid": self._pid, "sockets": self.sockets, **facts})
            while self._launcher_here or (self._survive and self._ids and self._left_real_s() > 0.0):
                self._turn()
        finally:
            self._end_agents()
            self._door.close()
            self._ports.close()
            shutil.rmtree(self.sockets, ignore_errors=True)
            if self._far and not self._start_ns:
                self._far.discard()

    def _left_real_s(self) -> float:
        return (self._end_ns - time.monotonic_ns()) * 1e-9

    def _silence_left_real_s(self) -> float:
        """A launcher elsewhere that says nothing for longer is gone."""
        return max(self._heard + SILENCE_REAL_S - time.monotonic(), 0.0)

    def _turn(self) -> None:
        watched: list[Any] = [self._wake, *self._door.watched()]
        if not self._deaf:
            watched.append(self._telemetry)
        if self._launcher_here:
            watched.append(0)
        patience = LONGEST_SLEEP_REAL_S if self._launcher_here else max(self._left_real_s(), 0.0)
        if self._far and self._launcher_here:
            patience = self._silence_left_real_s()
        readable, _, _ = select.select(watched, [], [], min(patience, LONGEST_SLEEP_REAL_S))
        if self._wake in readable:
            with suppress(BlockingIOError):
                os.read(self._wake, 4096)
            self._reap()
        if self._telemetry in readable:
            self._relay()
        self._door.serve(readable, self._obey)
        if 0 in readable:
            self._listen()
        elif self._far and not self._silence_left_real_s():
            self._launcher_here = False

    def _listen(self) -> None:
        data = os.read(0, 1 << 16)
        if not data:
            self._launcher_here = False
            return
        self._heard = time.monotonic()
        self._unpacker.feed(data)
        for command in self._unpacker:
            if "ask" not in command:
                self._obey(command)
                continue
            try:
                answer = self._obey(command)
            except Exception as error:  # whoever asks is told
                answer = {"error": str(error) or type(error).__name__}
            self._event({"event": "answered", "ask": command["ask"], **answer})

    def _obey(self, command: Message) -> Message:
        """Do it, and say what came of it."""
        match command:
            case {"do": "spawn", "spec": spec}:
                return self._spawn(spec)
            case {"do": "tell", "to": to, "message": message}:
                self._tell(to, message)
            case {"do": "signal", "id": agent, "signal": number}:
                return self._signal(agent, number)
            case {"do": "restart", "id": agent, "orders": orders}:
                return self._restart(agent, orders)
            case {"do": "deafen"}:
                self._deaf = True
                self._telemetry.close()
            case {"do": "end_by", "at_ns": int(at_ns)}:
                self._end_ns = at_ns
            case {"do": "list"}:
                lives = {name: self._specs[name].get("life", 1) for name in self._specs}
                agents = {name: {"pid": pid, "life": lives[name]} for pid, name in self._ids.items()}
                return {"agents": agents, "lives": lives, "launcher": self._launcher_here}
            case {"do": "watch", "after": int(after)}:
                return self._news(after)
            case {"do": "quit"}:
                self._launcher_here = self._survive = False
            case _:
                return self._tell_of(command)
        return {}

    def _tell_of(self, command: Message) -> Message:
        """Commands that ask for something."""
        match command:
            case {"do": "reserve", "address": address, "servers": servers}:
                return {"ports": self._ports.reserve(address, servers)}
            case {"do": "clock"}:
                return {"ns": time.monotonic_ns()}
            case {"do": "cpu"}:
                return {"cpu_real_s": {name: cpu_real_s(pid) for pid, name in self._ids.items()}}
            case {"do": "look"}:
                from ..audit.tables import look, packed  # psutil, which agents have no use for

                return {
                    "pids": {name: pid for pid, name in self._ids.items()},
                    "tables": packed(look(self._ids)),
                }
        if self._far:
            return self._far.obey(command)
        return {"error": f"no such command: {command!r}"}

    def _signal(self, agent: str, number: int) -> Message:
        self._reap()
        for pid, name in self._ids.items():
            if name == agent:
                if number == signal.SIGKILL:
                    self._asked.add(pid)
                os.kill(pid, number)
                return {"life": self._specs[agent].get("life", 1)}
        return {"error": f"{agent} is not running"}

    def _restart(self, agent: str, orders: list[Message]) -> Message:
        self._reap()
        last = self._specs.get(agent)
        if last is None or agent not in self._fallen:
            return {"error": f"{agent} has not died"}
        if last["life"] >= MAX_LIFE:
            return {"error": f"{agent} has had {MAX_LIFE} lives, which is all that there are"}
        born = (time.monotonic_ns() - self._start_ns) * 1e-9 * last["pace"]
        spec: Message = {**reborn(last, last["life"] + 1, born, self._start_ns), "orders": orders}
        return self._spawn(spec)

    def _spawn(self, spec: Message) -> Message:
        pid = os.fork()
        if pid == 0:
            self._be_agent(spec)
        self._ids[pid] = spec["id"]
        self._fallen.discard(spec["id"])
        self._specs[spec["id"]] = spec
        life = spec.get("life", 1)
        self._event({"event": "spawned", "id": spec["id"], "pid": pid, "life": life})
        return {"life": life}

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
            self._door.close()
            self._ports.close()
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
        except SystemExit as end:
            status = int(end.code or 0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)

    def _tell(self, to: str | None, message: Message) -> None:
        """A datagram waits for room: a command to an agent may not get lost as telemetry may."""
        match message:
            case {"tell": "start", "at_ns": int(at_ns)}:
                self._start_ns = at_ns
            case {"tell": "join"} if to in self._specs:
                self._specs[to] = met(self._specs[to], message)
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
                    message = unpackb(datagram)
                    self._event({"event": "said", "message": message})
                    if message["say"] == "status" and message["id"] in self._specs:
                        self._spoken += 1
                        self._statuses.pop(message["id"], None)
                        self._statuses[message["id"]] = self._spoken, datagram

    def _news(self, after: int) -> Message:
        """Statuses since the one of that number, oldest first; where ``last`` is not ``newest`` there are more."""
        last, room, found = after, WATCHED_A_PACKET, []
        for number, datagram in self._statuses.values():
            if number > after and (room := room - len(datagram)) > 0:
                last = number
                found.append(datagram)
            elif room <= 0:
                break
        return {"statuses": found, "last": last, "newest": self._spoken, "launcher": self._launcher_here}

    def _reap(self) -> None:
        with suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    return
                agent = self._ids.pop(pid)
                if os.WIFSIGNALED(status):
                    self._fallen.add(agent)
                with suppress(KeyError, OSError):  # where its next life will listen
                    os.unlink(self._specs[agent]["control"])  # noqa: PTH108
                self._event(
                    {
                        "event": "exited",
                        "id": agent,
                        "pid": pid,
                        "life": self._specs[agent].get("life", 1),
                        "status": status,
                        "asked": pid in self._asked,
                        "words": last_words(self._specs[agent]["errors"]) if status else "",
                    }
                )

    def _event(self, event: Message) -> None:
        if not self._launcher_here:
            return
        data = self._pack(event)
        # A network that is cut takes nothing in. Telemetry is lost then, and all else waits for the cut to end.
        if self._far and event["event"] == "said" and not select.select([], [1], [], 0.0)[1]:
            return
        try:
            while data:
                if self._far and not select.select([], [1], [], self._silence_left_real_s())[1]:
                    self._launcher_here = False
                    return
                data = data[os.write(1, data[: select.PIPE_BUF]) :]  # so many bytes go at once where any do
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
    """``[--survive] [--far=FOLDER] [module:function]``: serve; the function is called in the agents' place."""
    from gmsr.agents.spec import load

    named = [argument for argument in arguments if not argument.startswith("--")]
    folders = [argument.partition("=")[2] for argument in arguments if argument.startswith("--far=")]
    agent = load(named[0] if named else DEFAULT_AGENT)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    # A user's own policy may stand in this folder; last, so that it hides nothing. pathlib is slow to load.
    sys.path.append(os.getcwd())  # noqa: PTH109
    try:
        far = Far(folders[0]) if folders else None
    except OSError as error:
        sys.exit(f"no folder for journals: {error.filename}: {error.strerror}")
    nursery = Nursery(agent, "--survive" in arguments, far)
    gc.collect()
    gc.freeze()  # a collection in a child would write to, and so copy, every page it shares
    nursery.serve()


if __name__ == "__main__":
    main(sys.argv[1:])
