"""100,000 random and mutated frames thrown at a live dispatcher and at a live server.

Neither stops serving, and every frame is counted. The agents are processes of their own; this test plays
their peer, and a stranger, with bare sockets.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import msgpack
import pytest
import zmq

from gmsr.broker import wire

pytestmark = [pytest.mark.live, pytest.mark.slow]

FRAMES = 100_000
BURST = 200
"""Frames thrown before the agent is asked to answer, so that no queue overflows."""
PROGRAM = "import sys, json; from gmsr.agents.process import main; main(json.load(sys.stdin))"


class Peer:
    """A bare ROUTER socket that plays an agent, and the control channel of the agent under test."""

    def __init__(self, own_id: str, folder: Path) -> None:
        self.context = zmq.Context()
        self.socket = self.router(own_id)
        self.control = folder / "agent.ctl"
        import socket

        self.telemetry = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.telemetry.bind(str(folder / "nursery"))
        self.telemetry.settimeout(20.0)

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

    def hear(self, kind: int) -> tuple[Any, ...]:
        """The next message of one kind; others are passed over."""
        deadline = time.monotonic() + 20.0
        while self.socket.poll(max(0, int((deadline - time.monotonic()) * 1000))):
            for message in wire.decode(self.socket.recv_multipart()[1]):
                if message[0] == kind:
                    return tuple(message)
        pytest.fail(f"no message of kind {wire.KIND_NAMES[kind]} came")

    def start(self) -> None:
        """Wait for the agent's word that it is ready, and start its clock."""
        while msgpack.unpackb(self.telemetry.recv(4096))["say"] != "ready":
            pass
        self.tell({"tell": "start", "at_ns": time.monotonic_ns()})

    def tell(self, message: dict[str, object]) -> None:
        self.telemetry.sendto(msgpack.packb(message), str(self.control))

    def close(self) -> None:
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


def hostile(good: list[bytes], random: Random) -> Iterator[bytes]:
    """Frames of noise, and good frames cut, lengthened, flipped and spliced."""
    for _ in range(FRAMES):
        frame = bytearray(random.choice(good))
        match random.randrange(5):
            case 0:
                frame = bytearray(random.randbytes(random.randrange(60)))
            case 1:
                del frame[random.randrange(len(frame)) :]
            case 2:
                frame += random.randbytes(random.randrange(1, 9))
            case 3:
                for _ in range(random.randrange(1, 4)):
                    frame[random.randrange(len(frame))] = random.randrange(256)
            case _:
                frame[random.randrange(len(frame)) :] = random.choice(good)
        yield bytes(frame)


def expected(frames: list[bytes]) -> tuple[int, int]:
    """How many of the frames are good by the decoder's own word, and how many are not."""
    good = 0
    for frame in frames:
        try:
            wire.decode(frame)
        except wire.WireError:
            continue
        good += 1
    return good, len(frames) - good


def common(folder: Path, own_id: str) -> dict[str, object]:
    return {
        "id": own_id, "run": "run", "pace": 1.0, "duration": 600.0,
        "rows": str(folder / "rows"), "statement": str(folder / "statement"),
        "telemetry": str(folder / "nursery"), "control": str(folder / "agent.ctl"),
        "telemetry_real_s": 1.0, "survive": False, "reads": ["marginal"], "delays": {},
    }  # fmt: skip


@pytest.fixture
def folder(short_folder: Path) -> Path:
    return short_folder


def check(folder: Path, peer: str, thrown: list[bytes], strange: int, ours: int) -> None:
    """The agent's census against what was thrown."""
    statement = json.loads((folder / "statement").read_text())
    census = statement["census"]
    good, bad = expected(thrown)
    dropped = census["dropped"]
    assert census["frames"]["received"][peer] == good + ours
    assert dropped["sender"] == strange
    assert sum(dropped.values()) == bad + strange


def throw(
    peer: Peer,
    target: bytes,
    frames: Iterator[bytes],
    stranger: "zmq.Socket[bytes]",
    probe: Callable[[], None],
) -> tuple[list[bytes], int]:
    """All frames, nine in ten from the known peer, the others from a stranger; probes in between."""
    thrown: list[bytes] = []
    strange = 0
    for number, frame in enumerate(frames):
        if number % 10:
            thrown.append(frame)
            peer.socket.send_multipart([target, frame])
        else:
            strange += 1
            stranger.send_multipart([target, frame])
        if number % BURST == BURST - 1:
            probe()
    return thrown, strange


def test_a_server_survives_and_counts(folder: Path) -> None:
    address = f"ipc://{folder}/s1.ipc"
    spec = common(folder, "s1") | {
        "role": "server", "address": address, "dispatchers": ["d1"], "scale": 1.0, "smoothing": 0.0,
        "curve": {"kind": "hyperbolic", "a": 1e6, "b": 1.0}, "feed": "gmsr.agents.feeds.every_change:EveryChange",
    }  # fmt: skip
    peer = Peer("d1", folder)
    stranger = peer.router("mallory")
    good = [
        wire.encode([(wire.JOB, 2**31 + 5, 1.0)]),
        wire.encode([(wire.HELLO, "run", "d1")]),
        wire.encode([(wire.JOB, 2**31 + number, 0.5) for number in range(3)]),
    ]
    job = 0

    def probe() -> None:
        nonlocal job
        job += 1
        peer.socket.send_multipart([b"s1", wire.encode([(wire.JOB, job, 1e-6)])])
        while peer.hear(wire.COMPLETION)[1] != job:
            pass

    with agent(spec) as process:
        for socket in (peer.socket, stranger):
            peer.connect(socket, "s1", address)
        peer.socket.send_multipart([b"s1", wire.encode([(wire.HELLO, "run", "d1")])])
        peer.hear(wire.WELCOME)
        peer.start()
        goodbye = wire.encode([(wire.BYE,)])
        frames = (frame for frame in hostile(good, Random(1)) if goodbye[-2:] not in frame[:4])
        thrown, strange = throw(peer, b"s1", frames, stranger, probe)
        probe()
        stranger.send_multipart([b"s1", b"last"])
        peer.socket.send_multipart([b"s1", goodbye])
        assert process.wait(30) == 0, process.stderr and process.stderr.read()
    check(folder, "d1", thrown, strange, ours=job + 2)
    peer.close()


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path leaves room for a socket's name (107 bytes at most)."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="gmsr-", dir=os.environ.get("XDG_RUNTIME_DIR")) as name:
        yield Path(name)
