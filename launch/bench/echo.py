"""The bare yardstick: pyzmq ROUTER-ROUTER echo over the same processes and edges, and nothing else.

Each dispatcher keeps a window of 26-byte messages in flight on every edge; servers send each back. No
wire format, no state, no journal: what remains is what ZeroMQ and Python's binding cost.
"""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import zmq

WINDOW = 16
"""Messages in flight on an edge: the machine is busy and messages wait for each other, as under load."""
PAYLOAD = bytes(26)


def main(spec: Mapping[str, Any]) -> None:
    """An agent of the echo; ``spec`` as for ``agents.process`` (no journal is written)."""
    context = zmq.Context()
    socket = context.socket(zmq.ROUTER)
    socket.setsockopt(zmq.IDENTITY, spec["id"].encode())
    socket.setsockopt(zmq.LINGER, 0)
    if spec["role"] == "server":
        socket.bind(spec["address"])
        count = _serve(socket, spec["duration"])
    else:
        for peer, address in zip(spec["servers"], spec["addresses"], strict=True):
            socket.setsockopt(zmq.CONNECT_ROUTING_ID, peer.encode())
            socket.connect(address)
        count = _ask(socket, [peer.encode() for peer in spec["servers"]], spec["duration"])
    told = {"echoes": count, "cpu_real_s": time.process_time()}
    Path(spec["statement"]).write_text(json.dumps(told), encoding="utf-8")
    socket.close()
    context.destroy(0)
    os._exit(0)


def _serve(socket: "zmq.Socket[bytes]", duration_real_s: float) -> int:
    """Send everything back; the first message starts the clock, silence after it ends the service."""
    count = 0
    end = time.monotonic() + 10.0 * duration_real_s
    while socket.poll(1000 if count else 10_000) and time.monotonic() < end:
        count += 1
        socket.send_multipart(socket.recv_multipart())
    return count


def _ask(socket: "zmq.Socket[bytes]", peers: list[bytes], duration_real_s: float) -> int:
    """Echoes heard in ``duration_real_s`` after all edges answered once."""
    for peer in peers:
        socket.send_multipart([peer, PAYLOAD])
    for _ in peers:
        socket.recv_multipart()
    for _ in range(WINDOW):
        for peer in peers:
            socket.send_multipart([peer, PAYLOAD])
    count = 0
    end = time.monotonic() + duration_real_s
    while time.monotonic() < end:
        socket.send_multipart(socket.recv_multipart())
        count += 1
    return count
