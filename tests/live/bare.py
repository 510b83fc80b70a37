"""Live agents, one at a time: the test plays the peer with a bare socket, and the launcher."""

import json
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import msgpack
import pytest
import zmq

from gmsr.agents.machine import NEVER
from gmsr.broker import wire

PROGRAM = "import sys, json; from gmsr.agents.process import main; main(json.load(sys.stdin))"
PATIENCE_S = 30.0


class Peer:
    """A bare ROUTER socket that plays an agent, and the control channel of the agent under test. Use it in a ``with``:
    a context that is left to the garbage collector waits for its sockets for ever.
    """

    def __init__(self, own_id: str, folder: Path) -> None:
        self.context = zmq.Context()
        self.socket = self.router(own_id)
        self.heard: deque[tuple[Any, ...]] = deque()  # what came in one frame with what was waited for
        self.sent = 0  # number of the last frame
        self.control = folder / "agent.ctl"
        self.telemetry = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.telemetry.bind(str(folder / "nursery"))
        self.telemetry.settimeout(PATIENCE_S)

    def router(self, own_id: str) -> "zmq.Socket[bytes]":
        made = self.context.socket(zmq.ROUTER)
        made.setsockopt(zmq.IDENTITY, own_id.encode())
        made.setsockopt(zmq.LINGER, 0)
        made.setsockopt(zmq.SNDHWM, 0)
        made.setsockopt(zmq.RCVHWM, 0)
        return made

    def connect(self, socket: "zmq.Socket[bytes]", peer: str, address: str) -> None:
        socket.setsockopt(zmq.CONNECT_ROUTING_ID, peer.encode())
        socket.connect(address)

    def send(self, target: bytes, messages: list[wire.Message]) -> None:
        """One frame, under the next number."""
        self.sent += 1
        self.socket.send_multipart([target, wire.encode(messages, None, 1, self.sent)])

    def hear(self, kind: int) -> tuple[Any, ...]:
        """The next message of one kind; others are passed over."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            while self.heard:
                message = self.heard.popleft()
                if message[0] == kind:
                    return tuple(message)
            if not self.socket.poll(max(0, int((deadline - time.monotonic()) * 1000))):
                break
            self.heard.extend(wire.decode(self.socket.recv_multipart()[1])[2])
        pytest.fail(f"no message of kind {wire.KIND_NAMES[kind]} came")

    def start(self) -> None:
        """Wait for the agent's word that it is ready, and start its clock."""
        while msgpack.unpackb(self.telemetry.recv(4096))["say"] != "ready":
            pass
        self.tell({"tell": "start", "at_ns": time.monotonic_ns()})

    def tell(self, message: dict[str, object]) -> None:
        self.telemetry.sendto(msgpack.packb(message), str(self.control))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.telemetry.close()
        self.context.destroy(0)


@contextmanager
def agent(spec: dict[str, object]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stderr is not None
    try:
        json.dump(spec, process.stdin)
        process.stdin.close()
        yield process
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def common(folder: Path, own_id: str) -> dict[str, object]:
    return {
        "id": own_id, "run": "run", "life": 1, "born": 0.0, "start_ns": 0, "pace": 1.0, "duration": 600.0,
        "cooldown": 1.0, "heartbeat": NEVER, "seed": 1,
        "rows": str(folder / "rows"), "statement": str(folder / "statement"),
        "telemetry": str(folder / "nursery"), "control": str(folder / "agent.ctl"),
        "telemetry_real_s": 1.0, "reads": ["marginal"], "extras": [], "corrected": False,
        "delays": {},
    }  # fmt: skip


def server_spec(folder: Path, address: str, curve: dict[str, object], reads: list[str]) -> dict[str, object]:
    """A server "s1" of one dispatcher "d1", that is never asked whether it lives."""
    return common(folder, "s1") | {
        "role": "server", "address": address, "far_address": "", "dispatchers": ["d1"], "scale": 1.0, "smoothing": 0.0,
        "curve": curve, "feed": "gmsr.agents.feeds.every_change:EveryChange", "feed_options": {},
        "reads": reads,
        "drop": False, "learn": False,
    }  # fmt: skip


def dispatcher_spec(folder: Path, address: str, rate: float) -> dict[str, object]:
    """A dispatcher "d1" of one server "s1", under gmsr."""
    return common(folder, "d1") | {
        "role": "dispatcher", "servers": ["s1"], "addresses": [address], "weights": [1.0],
        "arrivals": {"kind": "poisson", "rate": rate, "on": 1.0, "off": 1.0, "schedule": ""},
        "sizes": {"kind": "exponential", "mean": 1.0, "sigma": 1.0, "alpha": 1.5, "ratio": 10.0, "values": ""},
        "policy": "gmsr.agents.policies.gmsr:Gmsr", "options": {}, "asking": None,
        "again": False,
    }  # fmt: skip
