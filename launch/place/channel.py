"""The launcher's end of the pipes to one nursery: a child of the launcher, or at the far end of an ssh connection."""

import os
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO, Any

from msgpack import Packer, Unpacker

from .base import Event

QUIT_REAL_S = 15.0
STUCK_REAL_S = 60.0
"""A command that nobody takes for so long has no taker any more."""


class Channel:
    """Commands go out, events come in. ``lost``: nobody is at the other end any more; no call raises for that.

    ``errors``: where the process's standard error goes; None: to ours. ``environment``: None: ours.
    """

    def __init__(
        self,
        command: Sequence[str],
        errors: IO[bytes] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
            bufsize=0,
            start_new_session=True,  # so that a terminal's Ctrl-C reaches the launcher alone
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._stdin, self._stdout = self.process.stdin, self.process.stdout
        os.set_blocking(self._stdin.fileno(), False)
        self._pack = Packer().pack
        self._unpacker = Unpacker()
        self._heard: list[Event] = []
        self._asked = 0
        self.lost = False

    def fileno(self) -> int:
        """Readable when there is something to hear."""
        return self._stdout.fileno()

    def say(self, command: dict[str, Any]) -> None:
        """Write a command, reading meanwhile: two full pipes must not wait for each other."""
        data = self._pack(command)
        while data and not self.lost:
            readable, writable, _ = select.select([self._stdout], [self._stdin], [], STUCK_REAL_S)
            if readable:
                self.listen(0.0)
            if writable:
                try:
                    data = data[os.write(self._stdin.fileno(), data) :]
                except BrokenPipeError:
                    return  # the end of its stdout tells the same
            self.lost = self.lost or not (readable or writable)

    def question(self, command: dict[str, Any]) -> int:
        """Write a command that is to be answered; returns the number that event ``answered`` will carry as ``ask``."""
        self._asked += 1
        self.say({**command, "ask": self._asked})
        return self._asked

    def answer(self, number: int, deadline: float) -> dict[str, Any] | None:
        """The answer to a question; None if none comes by then (monotonic seconds). All else is kept for ``heard``."""
        while True:
            for index, event in enumerate(self._heard):
                if event.get("ask") == number:
                    return self._heard.pop(index)
            left = deadline - time.monotonic()
            if self.lost or left <= 0.0:
                return None
            self.listen(left)

    def ask(self, command: dict[str, Any], patience_real_s: float) -> dict[str, Any] | None:
        """Question and answer."""
        return self.answer(self.question(command), time.monotonic() + patience_real_s)

    def listen(self, timeout_real_s: float) -> None:
        """Take in what has been said; wait for the first word for so long at most."""
        if self.lost or not select.select([self._stdout], [], [], timeout_real_s)[0]:
            return
        data = os.read(self._stdout.fileno(), 1 << 16)
        if not data:
            self.lost = True
            return
        self._unpacker.feed(data)
        try:
            self._heard.extend(event for event in self._unpacker if isinstance(event, dict))
        except Exception:  # whatever msgpack raises: at the far end stands something else
            self.lost = True

    def heard(self) -> list[Event]:
        """What has been said since the last call."""
        events, self._heard = self._heard, []
        return events

    def dismiss(self) -> None:
        """Let the nursery end its agents."""
        with suppress(OSError):
            self.say({"do": "quit"})
        with suppress(OSError):
            self._stdin.close()

    def close(self, deadline: float) -> None:
        """After ``dismiss``: wait until it has, until then (monotonic seconds); kill it, and so them, if it has not."""
        while not self.lost and (left := deadline - time.monotonic()) > 0.0:
            self.listen(min(left, 0.1))
        self.process.kill()  # no harm where it has ended
        self.process.wait()
        self._stdout.close()
