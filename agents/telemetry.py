"""The side channel to the launcher: datagrams that may be lost and never block.

Nothing that routes a job depends on it. It tells when the agent is ready and how it fares, and it hears
when the run starts, and if it is called off.
"""

import socket
from contextlib import suppress
from typing import Any

from msgpack import packb, unpackb

LARGEST_DATAGRAM = 4096


class Telemetry:
    """Datagrams to the fork server, and from it."""

    def __init__(
        self, own_id: str, control: str, towards: str, interval_real_s: float, start_ns: int = 0
    ) -> None:
        self._id = own_id
        self._towards = towards
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(control)
        self.fd = self._socket.fileno()
        self.interval_ns = int(interval_real_s * 1e9)
        self.start_ns = start_ns  # of the monotonic clock; 0 while the launcher has not set it
        self.stopped = False
        self.orders: list[dict[str, Any]] = []  # what the operator has said and the loop has not yet obeyed

    def say_ready(self) -> bool:
        """All edges are up. False if it must be said again: the fork server's queue was full."""
        return self._say({"say": "ready"})

    def say_status(self, now: float, status: dict[str, Any], said: list[int]) -> None:
        """How the agent fares; ``now`` in emulated seconds, ``said``: messages that it has sent, by kind."""
        self._say({"say": "status", "t": now, **status, "said": said})

    def listen(self) -> None:
        """Take what the launcher has said. A datagram that is not understood is ignored."""
        with suppress(BlockingIOError):
            while True:
                datagram = self._socket.recv(LARGEST_DATAGRAM)
                with suppress(Exception):  # whatever msgpack raises: the channel is out of band
                    self._heard(unpackb(datagram))

    def take_orders(self) -> list[dict[str, Any]]:
        """The orders that have come, once."""
        orders, self.orders = self.orders, []
        return orders

    def close(self) -> None:
        """Hear and say no more."""
        self._socket.close()

    def _heard(self, message: Any) -> None:
        match message:
            case {"tell": "start", "at_ns": int(at_ns)} if at_ns > 0:
                self.start_ns = at_ns
            case {"tell": "stop"}:
                self.stopped = True
            case {"tell": str()} if self.start_ns:
                self.orders.append(message)

    def _say(self, message: dict[str, object]) -> bool:
        with suppress(OSError):  # nobody listens, or its queue is full
            self._socket.sendto(packb({"id": self._id, **message}), self._towards)
            return True
        return False
