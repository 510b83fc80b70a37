"""Agents on this machine: one nursery, started as a child of the launcher."""

import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from msgpack import Packer, Unpacker

from gmsr.topology.errors import RunError

from .base import Event

START_REAL_S = 20.0
QUIT_REAL_S = 15.0


class Local:
    """One nursery and its agents. Raises RunError if the nursery cannot be started."""

    def __init__(self, survive: bool = False, agent: str = "") -> None:
        arguments = ["--survive"] if survive else []
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-P",
                "-m",
                "gmsr.launch.place.nursery",
                *arguments,
                *([agent] if agent else []),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,  # so that a terminal's Ctrl-C reaches the launcher alone
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        os.set_blocking(self._stdin.fileno(), False)
        self._pack = Packer().pack
        self._unpacker = Unpacker()
        self._early: list[Event] = []  # what came in while a command went out
        self._lost = False
        self.sockets = ""
        self.nursery = self._process.pid
        try:
            self.sockets = self._hello()
        except BaseException:  # Ctrl-C too: whoever could close it has not got it yet
            self.close()
            raise

    def spawn(self, specs: Sequence[Any]) -> None:
        """Fork one agent for each specification, in order."""
        for spec in specs:
            self._send({"do": "spawn", "spec": spec})

    def tell(self, message: dict[str, object], to: str | None = None) -> None:
        """Pass a control message on."""
        self._send({"do": "tell", "to": to, "message": message})

    def signal(self, agent: str, number: int) -> None:
        """Pass a signal on."""
        self._send({"do": "signal", "id": agent, "signal": number})

    def restart(self, agent: str, orders: Sequence[dict[str, object]]) -> None:
        """Pass it on."""
        self._send({"do": "restart", "id": agent, "orders": list(orders)})

    def deafen(self) -> None:
        """Pass it on."""
        self._send({"do": "deafen"})

    def end_by(self, at_ns: int) -> None:
        """Pass it on."""
        self._send({"do": "end_by", "at_ns": at_ns})

    def events(self, timeout_real_s: float) -> list[Event]:
        """What the nursery has reported."""
        events, self._early = self._early, []
        if not events and not self._lost:
            self._read(timeout_real_s)
            events, self._early = self._early, []
        return events

    def close(self) -> None:
        """Let the nursery end its agents; kill it, and so them, if it does not."""
        with suppress(OSError):
            self._send({"do": "quit"})
        with suppress(OSError):
            self._stdin.close()
        deadline = time.monotonic() + QUIT_REAL_S
        while not self._lost and time.monotonic() < deadline:
            self._read(0.1)
        self._process.kill()  # no harm where it has ended
        self._process.wait()
        self._stdout.close()
        if self.sockets:
            shutil.rmtree(self.sockets, ignore_errors=True)  # there still if the nursery was killed

    def _hello(self) -> str:
        deadline = time.monotonic() + START_REAL_S
        while not self._lost and time.monotonic() < deadline:
            for event in self.events(1.0):
                if event["event"] == "hello":
                    return str(event["sockets"])
        raise RunError("the fork server did not start")

    def _send(self, command: dict[str, object]) -> None:
        """Write a command, reading meanwhile: two full pipes must not wait for each other."""
        data = self._pack(command)
        while data and not self._lost:
            readable, writable, _ = select.select([self._stdout], [self._stdin], [])
            if readable:
                self._read(0.0)
            if writable:
                try:
                    data = data[os.write(self._stdin.fileno(), data) :]
                except BrokenPipeError:
                    return  # the end of its stdout tells the same

    def _read(self, timeout_real_s: float) -> None:
        if not select.select([self._stdout], [], [], timeout_real_s)[0]:
            return
        data = os.read(self._stdout.fileno(), 1 << 16)
        if not data:
            self._lost = True
            self._early.append({"event": "lost", "why": "the fork server is gone"})
            return
        self._unpacker.feed(data)
        self._early.extend(self._unpacker)
