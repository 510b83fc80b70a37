"""Whoever finds a server's port: a process of its own, with plain pyzmq or plain TCP and what it is told on stdin.

Says on stdout, a line each, what becomes of its connections (``accepted``, ``refused``) and what it hears
(``heard``). It tries until it is killed.
"""

import json
import socket
import sys
import time
from contextlib import suppress
from typing import Any

import zmq
from zmq.utils.monitor import recv_monitor_message

WORDS = {
    zmq.EVENT_HANDSHAKE_SUCCEEDED: "accepted",
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: "refused",
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: "refused",
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: "refused",
    zmq.EVENT_DISCONNECTED: "refused",
}

GREETING_BYTES = 64
"""What libzmq tells everybody: that it speaks ZMTP, and CURVE."""


def say(word: str) -> None:
    print(word, flush=True)


def over_zeromq(plan: dict[str, Any]) -> None:
    """As a DEALER that claims an id, with the keys that it has."""
    made = zmq.Context().socket(zmq.DEALER)
    made.setsockopt(zmq.IDENTITY, plan["claim"].encode())
    for option, key in plan["keys"].items():
        made.setsockopt(getattr(zmq, option), key.encode())
    monitor = made.get_monitor_socket(sum(WORDS))
    made.connect(plan["address"])
    frames = [bytes.fromhex(frame) for frame in plan["frames"]]
    while True:
        if made.poll(10):
            made.recv_multipart()
            say("heard")
        while monitor.poll(0):
            say(WORDS[zmq.Event(recv_monitor_message(monitor)["event"])])
        for frame in frames:
            if made.poll(0, zmq.POLLOUT):
                made.send(frame)


def over_tcp(plan: dict[str, Any]) -> None:
    """Bytes, at once and in small pieces, on one connection after the other."""
    host, port = plan["address"].removeprefix("tcp://").split(":")
    data = b"".join(bytes.fromhex(frame) for frame in plan["frames"])
    while True:
        for piece in (len(data), 7):
            with suppress(ConnectionError), socket.create_connection((host, int(port))) as connection:
                for start in range(0, len(data), piece):
                    connection.sendall(data[start : start + piece])
                heard = b""
                while more := connection.recv(1 << 16):
                    heard += more
                if len(heard) > GREETING_BYTES:
                    say("heard")
            say("refused")
            time.sleep(0.01)


if __name__ == "__main__":
    told = json.load(sys.stdin)
    (over_tcp if told["over"] == "tcp" else over_zeromq)(told)
