"""Agents on this machine: one nursery, started as a child of the launcher."""

import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gmsr.topology.errors import RunError, UserError

from .base import Event, Seen, Site
from .channel import QUIT_REAL_S, Channel

START_REAL_S = 20.0
ANSWER_REAL_S = 10.0
LOOPBACK = "127.0.0.1"
"""Where servers listen. What binds elsewhere needs a placement that knows its hosts."""


class Local:
    """One nursery and its agents. Raises RunError if the nursery cannot be started."""

    def __init__(self, survive: bool = False, agent: str = "") -> None:
        arguments = ["--survive"] if survive else []
        self._channel = Channel(
            [
                sys.executable,
                "-P",
                "-m",
                "gmsr.launch.place.nursery",
                *arguments,
                *([agent] if agent else []),
            ]
        )
        self._told_lost = False
        self.sockets = ""
        self.nursery = self._channel.process.pid
        try:
            self.sockets = self._hello()
        except BaseException:  # Ctrl-C too: whoever could close it has not got it yet
            self.close()
            raise

    def sites(self, agents: Sequence[str], run_dir: Path) -> dict[str, Site]:
        """All here."""
        return dict.fromkeys(agents, Site("", str(run_dir), self.sockets))

    def reserve(self, servers: Sequence[str]) -> dict[str, str]:
        """On the loopback device."""
        command = {"do": "reserve", "address": LOOPBACK, "servers": list(servers)}
        answer = self._channel.ask(command, ANSWER_REAL_S) or {"error": "the fork server does not answer"}
        if "error" in answer:
            raise UserError(
                f"--edges: no port for each of {len(servers)} servers ({answer['error']}); use ipc"
            )
        return {server: f"tcp://{LOOPBACK}:{port}" for server, port in answer["ports"].items()}

    def deliver(self, agent: str, file: Path) -> None:
        """It is there."""

    def spawn(self, specs: Sequence[Any]) -> None:
        """Fork one agent for each specification, in order."""
        for spec in specs:
            self._channel.say({"do": "spawn", "spec": spec})

    def begin(self, at_ns: int) -> None:
        """One clock for all."""
        self.tell({"tell": "start", "at_ns": at_ns})

    def tell(self, message: dict[str, object], to: str | None = None) -> None:
        """Pass a control message on."""
        self._channel.say({"do": "tell", "to": to, "message": message})

    def signal(self, agent: str, number: int) -> None:
        """Pass a signal on."""
        self._channel.say({"do": "signal", "id": agent, "signal": number})

    def restart(self, agent: str, orders: Sequence[dict[str, object]]) -> None:
        """Pass it on."""
        self._channel.say({"do": "restart", "id": agent, "orders": list(orders)})

    def lose(self, host: str) -> None:
        """There is only this one."""
        raise RunError(f"host {host} cannot be lost: all agents run on this machine; use --hosts")

    def deafen(self) -> None:
        """Pass it on."""
        self._channel.say({"do": "deafen"})

    def end_by(self, at_ns: int) -> None:
        """Pass it on."""
        self._channel.say({"do": "end_by", "at_ns": at_ns})

    def cpu_real_s(self) -> dict[str, float]:
        """What the nursery reads of its children."""
        answer = self._channel.ask({"do": "cpu"}, ANSWER_REAL_S)
        return answer["cpu_real_s"] if answer else {}

    def look(self, pids: Mapping[str, int]) -> list[Seen]:
        """The launcher looks itself."""
        from ..audit.tables import look

        return [Seen("", pids, self.sockets, look(pids.values()))]

    def events(self, timeout_real_s: float) -> list[Event]:
        """What the nursery has reported."""
        events = self._channel.heard()
        if not events:
            self._channel.listen(timeout_real_s)
            events = self._channel.heard()
        if self._channel.lost and not events and not self._told_lost:
            self._told_lost = True
            return [{"event": "lost", "why": "the fork server is gone"}]
        return events

    def keepers(self) -> list[dict[str, Any]]:
        """None: they are in the run directory."""
        return []

    def close(self) -> None:
        """Let the nursery end its agents; kill it, and so them, if it does not."""
        self._channel.dismiss()
        self._channel.close(time.monotonic() + QUIT_REAL_S)
        if self.sockets:
            shutil.rmtree(self.sockets, ignore_errors=True)  # there still if the nursery was killed

    def gather(self, run_dir: Path) -> dict[str, Any]:
        """They are there."""
        return {}

    def _hello(self) -> str:
        deadline = time.monotonic() + START_REAL_S
        while not self._channel.lost and time.monotonic() < deadline:
            for event in self.events(1.0):
                if event["event"] == "hello":
                    return str(event["sockets"])
        raise RunError("the fork server did not start")
