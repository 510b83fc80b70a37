"""The one event loop: real clock, sockets, one state machine.

Each turn reads what has arrived, lets the machine advance to the present, sends one frame to each peer
that something is due to, and sleeps until the machine's deadline or the next frame, to about 0.1 ms.
Emulated time is the monotonic clock since the common start, times the pace.
"""

import time

from gmsr.broker.endpoint import Endpoint
from gmsr.broker.impair import DelayLine
from gmsr.broker.wait import Waiter

from .journal import Rows
from .machine import Machine
from .telemetry import Telemetry

KNOCK_REAL_S = 0.25
"""How often greetings are repeated until they are answered, and the news of being ready until it is out."""

LONGEST_SLEEP_REAL_S = 3600.0


class Loop:
    """Drives ``machine`` until it is finished, or until the launcher says that it is over."""

    def __init__(
        self,
        machine: Machine,
        endpoint: Endpoint,
        telemetry: Telemetry,
        rows: Rows,
        pace: float,
        delays: dict[str, float],
    ) -> None:
        self._machine = machine
        self._endpoint = endpoint
        self._telemetry = telemetry
        self._rows = rows
        self._pace = pace
        self._delays = DelayLine(delays) if delays else None
        self._waiter = Waiter([endpoint.fd, telemetry.fd])
        self._start_ns = 0

    def run(self) -> None:
        """From the first greeting to the last goodbye."""
        if self._come_up():
            self._serve()

    def _come_up(self) -> bool:
        """Greet until all edges are up and the launcher has set the start; False if it called it off."""
        machine, telemetry = self._machine, self._telemetry
        next_knock = time.monotonic()
        said = False
        while not telemetry.start_ns:
            if telemetry.stopped:
                return False
            now = time.monotonic()
            if now >= next_knock:
                next_knock = now + KNOCK_REAL_S
                machine.knock()
            for peer, messages in self._endpoint.receive():  # no delay before time begins
                machine.received(peer, messages, 0.0)
            self._send(0.0)
            if machine.ready and not said:
                said = telemetry.say_ready()
            self._sleep(LONGEST_SLEEP_REAL_S if said else next_knock - time.monotonic())
        self._start_ns = telemetry.start_ns
        return True

    def _serve(self) -> None:
        machine, telemetry = self._machine, self._telemetry
        start_ns, per_ns = self._start_ns, self._pace * 1e-9
        clock = time.monotonic_ns
        next_status_ns = start_ns
        stopping = False
        while not machine.finished:
            now_ns = clock()
            now = max((now_ns - start_ns) * per_ns, 0.0)
            self._read(now)
            if now_ns >= start_ns:
                machine.advance(now)
            if telemetry.stopped and not stopping:
                stopping = True
                machine.stop(now)
            self._send(now)
            if now_ns >= next_status_ns:
                next_status_ns = now_ns + telemetry.interval_ns
                telemetry.say_status(now, machine.status())
                self._rows.flush()
            deadline = self._deadline()
            wait = (min(start_ns + deadline / per_ns, next_status_ns) - clock()) * 1e-9
            if wait > 0.0:
                self._sleep(wait)

    def _deadline(self) -> float:
        deadline = self._machine.deadline()
        return min(deadline, self._delays.deadline()) if self._delays else deadline

    def _read(self, now: float) -> None:
        received = self._machine.received
        arrived = self._endpoint.receive()
        if self._delays is None:
            for peer, messages in arrived:
                received(peer, messages, now)
            return
        for peer, messages in arrived:
            self._delays.push(peer, messages, now)
        for peer, messages in self._delays.due(now):
            received(peer, messages, now)

    def _send(self, now: float) -> None:
        outbox = self._machine.outbox
        if not outbox:
            return
        send = self._endpoint.send
        for peer, messages in list(outbox.items()):
            if left := send(peer, messages):
                self._machine.unsent(peer, left, now)
        outbox.clear()

    def _sleep(self, wait_real_s: float) -> None:
        if self._endpoint.pending():
            return
        if self._telemetry.fd in self._waiter.wait(min(max(wait_real_s, 0.0), LONGEST_SLEEP_REAL_S)):
            self._telemetry.listen()
