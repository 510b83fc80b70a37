"""The one event loop: real clock, sockets, one state machine.

Each turn reads what has arrived, lets the machine advance to the present, sends one frame to each peer
that something is due to, and sleeps until the machine's deadline or the next frame, to about 0.1 ms.
Emulated time is the monotonic clock since the common start, times the pace.
"""

import os
import signal
import time
from collections.abc import Container, Mapping
from contextlib import suppress
from typing import Any

from gmsr.broker.endpoint import Endpoint
from gmsr.broker.inlet import Inlet
from gmsr.broker.wait import Waiter
from gmsr.broker.wire import stamped

from .machine import NEVER, Machine
from .telemetry import Telemetry

KNOCK_REAL_S = 0.25
"""How often greetings are repeated until they are answered, and the news of being ready until it is out."""

LONGEST_SLEEP_REAL_S = 3600.0


class Loop:
    """Drives ``machine`` until it is finished, or until the launcher says that it is over.

    ``delayed``: peers to whom the way takes a time of its own, so that frames say when they were sent.
    """

    def __init__(
        self,
        machine: Machine,
        endpoint: Endpoint,
        inlet: Inlet,
        telemetry: Telemetry,
        pace: float,
        delayed: Container[str] = (),
    ) -> None:
        self._machine = machine
        self._endpoint = endpoint
        self._inlet = inlet
        self._telemetry = telemetry
        self._pace = pace
        self._delayed = delayed
        self._waiter = Waiter([*endpoint.fds, telemetry.fd])
        self._start_ns = 0
        self._severed = False

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
            self._read(0.0, begun=False)
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
            if telemetry.orders:
                for order in telemetry.take_orders():
                    self._obey(order, now)
                continue  # time may have passed
            self._read(now)
            if self._severed:
                self._severed = False
                for peer in self._endpoint.cut_off():
                    machine.cut_off(peer, now)
            if now_ns >= start_ns:
                machine.advance(now)
            if telemetry.stopped and not stopping:
                stopping = True
                machine.stop(now)
            self._send(now)
            if now_ns >= next_status_ns:
                next_status_ns = now_ns + telemetry.interval_ns
                telemetry.say_status(now, machine.status(), self._endpoint.census.said())
            deadline = min(machine.deadline(), self._inlet.deadline())
            wait = (min(start_ns + deadline / per_ns, next_status_ns) - clock()) * 1e-9
            if wait > 0.0:
                self._sleep(wait)

    def _obey(self, order: Mapping[str, Any], now: float) -> None:
        """What the operator says: to the edges, to this process, or to the machine."""
        match order:
            case {"tell": "impair", "peer": str(peer), "change": dict(change)}:
                with suppress(ValueError):  # no such impairment
                    if self._endpoint.knows(peer):
                        self._inlet.impair(peer, change)
            case {"tell": "freeze"}:
                # By itself, so that what it serves stands still from this instant on; SIGCONT is another's.
                self._machine.order({"tell": "pause"}, now)
                os.kill(os.getpid(), signal.SIGSTOP)
                thawed = (time.monotonic_ns() - self._start_ns) * 1e-9 * self._pace
                self._machine.order({"tell": "resume"}, thawed)
            case {"tell": "join"}:
                self._join(order, now)
            case _:
                self._machine.order(order, now)

    def _join(self, order: Mapping[str, Any], now: float) -> None:
        """An edge to a newcomer; none unless the order is whole, or the machine would know a peer without an edge."""
        match order:
            case {"peer": str(peer), "address": str(address), "weight": float(weight), "delay": float(delay)}:
                if not (0.0 <= weight < NEVER and 0.0 <= delay < NEVER):
                    return
                if not self._endpoint.knows(peer):
                    try:
                        self._endpoint.allow([peer])
                        if address:
                            self._endpoint.connect(peer, address)
                    except Exception:  # whatever the transport raises: no key, no such name or address
                        return
                    self._inlet.impair(peer, {"delay": delay})
                self._machine.order(order, now)

    def _read(self, now: float, begun: bool = True) -> None:
        self._inlet.take(self._endpoint.receive(), now, self._machine, begun)

    def _send(self, now: float) -> None:
        outbox = self._machine.outbox
        send = self._endpoint.send
        while outbox:  # what could not go may have been sent elsewhere
            due = list(outbox.items())
            outbox.clear()
            for peer, messages in due:
                if left := send(peer, stamped(messages, now) if peer in self._delayed else messages):
                    self._machine.unsent(peer, left, now, self._endpoint.refusal)

    def _sleep(self, wait_real_s: float) -> None:
        if self._endpoint.pending():
            return
        ready = self._waiter.wait(min(max(wait_real_s, 0.0), LONGEST_SLEEP_REAL_S))
        if self._telemetry.fd in ready:
            self._telemetry.listen()
        self._severed = self._severed or self._endpoint.watch_fd in ready
