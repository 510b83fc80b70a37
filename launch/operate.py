"""A testbed that is under way, from another process: found, looked at, and told what to do.

Everything goes through the nursery's door (``place.door``), so that it works without a launcher too.
"""

import os
import signal
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from msgpack import unpackb

from gmsr.topology.errors import UserError

from .control import RUN_LINK, Control, boot_id, read_control
from .place.door import Message, Operator
from .record.folder import Folder, open_run


class Agent(NamedTuple):
    """An agent as it is now."""

    id: str
    state: str  # alive, stopped (SIGSTOP) or dead: ended, or killed
    life: int
    pid: int | None


class Testbed:
    """A run that goes on. Raises UserError where there is none, or it is another user's."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir.resolve()
        if not (self.run_dir / "plan.json").exists():
            raise UserError(f"{run_dir}: is no run's; name the directory of a run")
        self.control = _control(run_dir)
        if not self.control["sockets"]:
            raise UserError(
                f"{run_dir}: runs on several hosts, where nothing is done by hand; write faults into a file "
                f"(--faults), or end it with Ctrl-C (kill -INT {self.control['launcher']})"
            )
        try:
            self._operator = Operator(self.control["sockets"])
        except OSError as error:
            raise _ended(run_dir) from error

    @property
    def now(self) -> float:
        """Emulated seconds since the start."""
        return (time.monotonic_ns() - self.control["begin_ns"]) * 1e-9 * self.control["pace"]

    def require_time(self) -> float:
        """The time, if the run's duration is not over. Raises UserError if it is."""
        now = self.now
        if now >= self.control["duration"]:
            raise UserError(f"{self.run_dir}: its duration is over; nothing can be done to it any more")
        return max(now, 0.0)

    @property
    def launched(self) -> bool:
        """Whether its launcher still watches it."""
        return bool(self._ask({"do": "list"})["launcher"])

    def folder(self) -> Folder:
        """What the run directory says of itself at present."""
        return open_run(self.run_dir)

    def agents(self) -> list[Agent]:
        """All that were ever started."""
        found = self._ask({"do": "list"})
        made = []
        for name, life in found["lives"].items():
            pid = found["agents"].get(name, {}).get("pid")
            made.append(Agent(name, _state(pid), life, pid))
        return made

    def tell(self, message: dict[str, object], to: str | None = None) -> None:
        """Give an order to one agent, or to all."""
        self._ask({"do": "tell", "to": to, "message": message})

    def statuses(self, after: int) -> tuple[list[dict[str, Any]], int]:
        """What agents have said of themselves since ``after`` (0: ever), and what to say next time for it.

        Of each the latest: "id", "t" and what ``Machine.status`` has.
        """
        found: list[dict[str, Any]] = []
        while True:
            answer = self._ask({"do": "watch", "after": after})
            found += map(unpackb, answer["statuses"])
            whole = answer["last"] in (after, answer["newest"])
            after = answer["last"]
            if whole:
                return found, after

    def signal(self, agent: str, number: int) -> None:
        """Send a signal. Raises UserError if the agent is not running."""
        self._ask({"do": "signal", "id": agent, "signal": number})

    def restart(self, agent: str, orders: Sequence[dict[str, object]]) -> None:
        """Start a dead agent's next life. Raises UserError if it has not died."""
        self._ask({"do": "restart", "id": agent, "orders": list(orders)})

    def spawn(self, specs: Sequence[Any]) -> None:
        """Start agents."""
        for spec in specs:
            self._ask({"do": "spawn", "spec": spec})

    def stop(self) -> None:
        """End the run as Ctrl-C at its launcher does; without one, let all agents say goodbye."""
        if self.launched:
            launcher = self.control["launcher"]
            os.kill(launcher, signal.SIGTERM if _ignores_interrupt(launcher) else signal.SIGINT)
            return
        for agent in self.agents():
            if agent.state == "stopped":
                self.signal(agent.id, signal.SIGCONT)
        self.tell({"tell": "stop"})

    def close(self) -> None:
        """Leave it alone."""
        self._operator.close()

    def _ask(self, command: Message) -> Message:
        try:
            answer = self._operator.ask(command)
        except OSError as error:
            raise _ended(self.run_dir) from error
        if "error" in answer:
            raise UserError(f"{self.run_dir}: {answer['error']}")
        return answer


def running() -> list[Testbed]:
    """All of this user's testbeds on this machine, found by their folders of sockets."""
    homes = dict.fromkeys(filter(None, (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp")))
    found = []
    for home in homes:
        for link in sorted(Path(home).glob(f"gmsr-*/{RUN_LINK}")):
            try:
                if link.stat().st_uid == os.getuid():
                    found.append(Testbed(Path(link.read_text(encoding="utf-8"))))
            except (OSError, UserError):
                continue  # it has ended, and left its folder behind or is just removing it
    return found


def _control(run_dir: Path) -> Control:
    if (run_dir / "launch.json").exists():
        raise _ended(run_dir)
    control = read_control(run_dir)
    if control["uid"] != os.getuid():
        raise UserError(f"{run_dir}: belongs to user {control['uid']}; only that user can touch it")
    if control["boot"] != boot_id():
        raise _ended(run_dir)
    return control


def _ended(run_dir: Path) -> UserError:
    return UserError(f"{run_dir}: the run has ended; name one that is under way (gmsr ps lists them)")


def _state(pid: int | None) -> str:
    if pid is None:
        return "dead"
    try:
        return "stopped" if psutil.Process(pid).status() == psutil.STATUS_STOPPED else "alive"
    except psutil.Error:
        return "dead"


def _ignores_interrupt(pid: int) -> bool:
    """Whether a process was started so that Ctrl-C does not reach it, as a shell starts what is in the background."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("SigIgn:"):
            return bool(int(line.split()[1], 16) >> (signal.SIGINT - 1) & 1)
    return False
