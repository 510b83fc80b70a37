"""Real sockets in a directory of the test's own, closed and gone when it ends."""

import select
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq

from gmsr.broker.endpoint import Endpoint
from gmsr.broker.wire import Message

PATIENCE_S = 20.0

Arrived = list[tuple[str, list[Message]]]


class Wires:
    """Opens endpoints and bare sockets at addresses below one short path (sockets' names have a limit)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._closers: list[Callable[[], None]] = []
        self._context = zmq.Context()

    def address(self, name: str) -> str:
        return f"ipc://{self._folder}/{name}"

    def endpoint(self, own_id: str, *peers: str, life: int = 1) -> Endpoint:
        made = Endpoint(own_id, life)
        made.allow(peers)
        self._closers.append(made.close)
        return made

    def server(self, own_id: str, *dispatchers: str) -> Endpoint:
        made = self.endpoint(own_id, *dispatchers)
        made.bind(self.address(own_id))
        return made

    def dispatcher(self, own_id: str, *servers: str) -> Endpoint:
        made = self.endpoint(own_id, *servers)
        for server in servers:
            made.connect(server, self.address(server))
        return made

    def bare(self, own_id: str, server: str) -> "zmq.Socket[bytes]":
        """A DEALER that says it is ``own_id`` (nobody, if empty) and puts on the wire what it is given."""
        made = self._context.socket(zmq.DEALER)
        made.setsockopt(zmq.LINGER, 0)
        if own_id:
            made.setsockopt(zmq.IDENTITY, own_id.encode())
        made.connect(self.address(server))
        self._closers.append(made.close)
        return made

    def close(self) -> None:
        for close in self._closers:
            close()
        self._context.term()


def wait(endpoint: Endpoint, patience_s: float = PATIENCE_S) -> None:
    """As the agents' loop waits: by the descriptor, after ``pending`` was asked."""
    if not endpoint.pending() and not select.select(endpoint.fds, (), (), patience_s)[0]:
        pytest.fail("nothing came")


def receive(endpoint: Endpoint, frames: int = 1) -> Arrived:
    """What at least so many good frames held."""
    arrived: Arrived = []
    while len(arrived) < frames:
        wait(endpoint)
        arrived += [(peer, messages) for peer, (_, _, messages) in endpoint.receive()]
    return arrived


def until(condition: Callable[[], object], endpoint: Endpoint) -> None:
    """Let an endpoint read until something holds."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "it never came to be"
        select.select(endpoint.fds, (), (), 0.01)
        endpoint.receive()


@pytest.fixture
def wires() -> Iterator[Wires]:
    with tempfile.TemporaryDirectory(prefix="gmsr-", dir="/tmp") as name:
        made = Wires(Path(name))
        yield made
        made.close()
