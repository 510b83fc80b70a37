"""100,000 random and mutated frames thrown at a live dispatcher and at a live server.

Neither stops serving, and every frame is counted. The agents are processes of their own; this test plays
their peer, and a stranger, with bare sockets. Half of the good frames get the number that is due, so that
their messages come to the state machine; the others are old, and stop before it.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest
import zmq

from gmsr.broker import wire

from .bare import Peer, agent, dispatcher_spec, server_spec

pytestmark = [pytest.mark.live, pytest.mark.slow]

FRAMES = 100_000
BURST = 200
"""After so many frames the agent is asked to do its work, so that no queue runs over."""


def hostile(good: list[bytes], random: Random) -> Iterator[bytes]:
    """Frames of noise, and good frames cut, lengthened, flipped and spliced; none that says goodbye.

    None is of a later life or number than the first: the real peer's own frames would be stale after it.
    """
    made = 0
    while made < FRAMES:
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
        found = decoded(bytes(frame))
        if found is None or (found[:2] == (1, 1) and (wire.BYE,) not in found[2]):
            made += 1
            yield bytes(frame)


def decoded(frame: bytes) -> wire.Frame | None:
    try:
        return wire.decode(frame)
    except wire.WireError:
        return None


class Thrown:
    """Throws frames at an agent as its peer, and counts the good ones."""

    def __init__(self, peer: Peer, target: bytes) -> None:
        self.peer = peer
        self.target = target
        self.frames = 0
        self.good = 0
        self.stale = 0

    def throw(self, frame: bytes) -> None:
        found = decoded(frame)
        self.frames += 1
        self.good += found is not None
        if found is not None and self.good % 2:
            self.peer.send(self.target, found[2])
            return
        self.stale += found is not None
        self.peer.socket.send_multipart([self.target, frame])


def throw(
    peer: Peer,
    target: bytes,
    frames: Iterator[bytes],
    stranger: "zmq.Socket[bytes]",
    probe: Callable[[], None],
) -> tuple[Thrown, int]:
    """All frames, nine in ten from the known peer, the others from a stranger; probes in between."""
    thrown = Thrown(peer, target)
    strange = 0
    for number, frame in enumerate(frames):
        if number % 10:
            thrown.throw(frame)
        else:
            strange += 1
            stranger.send_multipart([target, frame])
        if number % BURST == BURST - 1:
            probe()
    return thrown, strange


def check(folder: Path, peer: str, thrown: Thrown, strange: int, ours: int) -> None:
    """The agent's census against what was thrown. A stranger's last frames may come too late to be read."""
    census = json.loads((folder / "statement").read_text())["census"]
    dropped = census["dropped"]
    assert census["frames"]["received"][peer] == thrown.good + ours
    assert dropped["stale"] == thrown.stale
    assert sum(dropped.values()) - dropped["sender"] - dropped["stale"] == thrown.frames - thrown.good
    assert strange - BURST // 10 <= dropped["sender"] <= strange
    assert thrown.stale > 500, "some mutated frames are good ones"
    assert min(dropped[reason] for reason in ("malformed", "version", "head", "kind", "fields")) > 100


@pytest.fixture
def peer(request: pytest.FixtureRequest, folder: Path) -> Iterator[Peer]:
    with Peer(request.param, folder) as made:
        yield made


@pytest.mark.parametrize("peer", ["d1"], indirect=True)
def test_a_server_survives_and_counts(folder: Path, peer: Peer) -> None:
    address = f"ipc://{folder}/s1.ipc"
    spec = server_spec(folder, address, {"kind": "hyperbolic", "a": 1e6, "b": 1.0}, ["marginal"])
    good = [
        wire.encode([(wire.JOB, 2**31 + 5, 1.0)]),
        wire.encode([(wire.HELLO, "run", "d1")]),
        wire.encode([(wire.JOB, 2**31 + number, 0.5) for number in range(3)]),
    ]
    jobs = 0

    def probe() -> None:
        nonlocal jobs
        jobs += 1
        peer.send(b"s1", [(wire.JOB, jobs, 1e-6)])
        while peer.hear(wire.COMPLETION)[1] != jobs:
            pass

    with agent(spec) as process, peer.router("mallory") as stranger:
        for socket in (peer.socket, stranger):
            peer.connect(socket, "s1", address)
        peer.send(b"s1", [(wire.HELLO, "run", "d1")])
        peer.hear(wire.WELCOME)
        peer.start()
        thrown, strange = throw(peer, b"s1", hostile(good, Random(1)), stranger, probe)
        probe()
        peer.send(b"s1", [(wire.BYE,)])
        peer.hear(wire.BYE)
        assert process.wait(30) == 0, process.stderr and process.stderr.read()
    check(folder, "d1", thrown, strange, ours=jobs + 2)


@pytest.mark.parametrize("peer", ["s1"], indirect=True)
def test_a_dispatcher_survives_and_counts(folder: Path, peer: Peer) -> None:
    """A dispatcher listens nowhere, so that no stranger can speak to it: all frames come from its server."""
    address = f"ipc://{folder}/s1.ipc"
    peer.socket.bind(address)
    good = [
        wire.encode([(wire.COMPLETION, 2**31 + 5)]),
        wire.encode([(wire.REPORT, 0.5)]),
        wire.encode([(wire.WELCOME, "run"), (wire.REPORT, 0.25)]),
        wire.encode([(wire.COMPLETION, number) for number in range(2**31, 2**31 + 3)]),
    ]
    answers = 0

    def probe() -> None:
        nonlocal answers
        answers += 1
        job = peer.hear(wire.JOB)[1]
        peer.send(b"d1", [(wire.COMPLETION, job), (wire.REPORT, 0.5)])

    with agent(dispatcher_spec(folder, address, rate=1000.0)) as process:
        peer.hear(wire.HELLO)
        peer.send(b"d1", [(wire.WELCOME, "run"), (wire.REPORT, 0.5)])
        peer.start()
        thrown = Thrown(peer, b"d1")
        for number, frame in enumerate(hostile(good, Random(2))):
            thrown.throw(frame)
            if number % BURST == BURST - 1:
                probe()
        probe()
        peer.tell({"tell": "stop"})
        peer.hear(wire.BYE)
        peer.send(b"d1", [(wire.BYE,)])
        assert process.wait(30) == 0, process.stderr and process.stderr.read()
    check(folder, "s1", thrown, 0, ours=answers + 2)
    statement = json.loads((folder / "statement").read_text())
    assert statement["offered"] == statement["completed"] + statement["in_flight"]
    assert 0 < statement["completed"] <= answers
