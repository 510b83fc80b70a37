"""A server's port on tcp, and who may find it: real processes that have no key, a wrong one, or another's name.

None gets a word to the server's state machine or hears one, and the server goes on serving its neighbours.
"""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from random import Random
from typing import Any

import pytest
import zmq

from gmsr.broker import wire
from gmsr.broker.endpoint import Endpoint
from gmsr.broker.keys import Keys, forge

from .bare import PATIENCE_S, Peer, agent, server_spec

pytestmark = [pytest.mark.live, pytest.mark.slow]

AGENTS, EDGES = ("s1", "d1", "d2"), [("d1", "s1"), ("d2", "s1")]
OURS = forge("run", AGENTS, EDGES)
ELSEWHERE = forge("run", AGENTS, EDGES)
NOBODY = [key.decode() for key in zmq.curve_keypair()]
STOLEN_JOB = 4_000_000_000
FRAMES = [wire.encode([(wire.HELLO, "run", "d1"), (wire.JOB, STOLEN_JOB, 1.0)]), wire.encode([(wire.BYE,)])]


def curve(public: str, secret: str, server: str = OURS["s1"].public) -> dict[str, str]:
    return {"CURVE_PUBLICKEY": public, "CURVE_SECRETKEY": secret, "CURVE_SERVERKEY": server}


def with_keys(keys: Keys) -> dict[str, str]:
    return curve(keys.public, keys.secret, keys.peers["s1"])


SECRET_NAME = OURS["d1"].names["s1"]
REFUSED: dict[str, tuple[str, dict[str, str]]] = {
    "no key": (SECRET_NAME, {}),
    "wrong server key": (SECRET_NAME, curve(OURS["d1"].public, OURS["d1"].secret, NOBODY[0])),
    "unknown own key": ("mallory", curve(*NOBODY)),
    "a neighbour's name, own unknown key": (SECRET_NAME, curve(*NOBODY)),
    "a neighbour's public key, not its secret one": (SECRET_NAME, curve(OURS["d1"].public, NOBODY[1])),
    "the server's own public key": (SECRET_NAME, curve(OURS["s1"].public, NOBODY[1])),
    "the keys of another run": (ELSEWHERE["d1"].names["s1"], with_keys(ELSEWHERE["d1"])),
    "another run's own key": (SECRET_NAME, curve(ELSEWHERE["d1"].public, ELSEWHERE["d1"].secret)),
}
ACCEPTED = {
    "a neighbour's key, another's id": ("d1", with_keys(OURS["d2"])),
    "a neighbour's key, its own id and not its name": ("d2", with_keys(OURS["d2"])),
}
"""Let in, and not heard: the key is good, the name is not."""

SIGNATURE = b"\xff" + bytes(8) + b"\x7f"
PLAIN = [bytes([0, len(frame)]) + frame for frame in FRAMES]
GARBAGE = {
    "noise": Random(1).randbytes(500),
    "a web browser": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" + bytes(100),
    "ZMTP 1": b"\x03\x00d1" + b"".join(bytes([len(frame) + 1, 0]) + frame for frame in FRAMES),
    "ZMTP 2": SIGNATURE + b"\x01\x05" + b"\x00\x02d1" + b"".join(PLAIN),
    "ZMTP 3, no security": SIGNATURE
    + b"\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
    + b"\x04\x26\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER\x08Identity\x00\x00\x00\x02d1"
    + b"".join(PLAIN),
    "CURVE, then no hello": SIGNATURE + b"\x03\x00" + b"CURVE".ljust(20, b"\0") + bytes(32) + b"".join(PLAIN),
    "CURVE, then a message beyond all bounds": SIGNATURE
    + b"\x03\x00" + b"CURVE".ljust(20, b"\0") + bytes(32) + b"\x06" + (1 << 40).to_bytes(8, "big") + bytes(999),
}  # fmt: skip


@pytest.fixture
def address() -> Iterator[str]:
    """A port that stays ours, as ``launch.tcp`` holds it."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        yield f"tcp://127.0.0.1:{held.getsockname()[1]}"


class Stranger:
    """A process that tries; ``said`` counts what it has said."""

    def __init__(self, plan: dict[str, Any], log: Path) -> None:
        self._log = log
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("stranger.py"))],
                stdin=subprocess.PIPE, stdout=out, text=True,
            )  # fmt: skip
        assert self.process.stdin is not None
        json.dump(plan, self.process.stdin)
        self.process.stdin.close()

    def said(self, word: str) -> int:
        return self._log.read_text().split().count(word)

    def close(self) -> None:
        assert self.process.poll() is None, "it broke"
        self.process.kill()
        self.process.wait()


class Neighbours:
    """Both dispatchers, which talk to the server in between."""

    def __init__(self, address: str) -> None:
        self.endpoints = {name: Endpoint(name, 1, OURS[name]) for name in ("d1", "d2")}
        self.jobs = 0
        for endpoint in self.endpoints.values():
            endpoint.allow(["s1"])
            endpoint.connect("s1", address)

    def ask(self, name: str, messages: list[wire.Message], answer: wire.Message) -> None:
        """Say something, and wait for one answer."""
        endpoint = self.endpoints[name]
        assert endpoint.send("s1", messages) == []
        end = time.monotonic() + PATIENCE_S
        while not any(answer in frame[2] for _, frame in endpoint.receive()):
            assert time.monotonic() < end, f"no {answer} came"
            time.sleep(0.001)

    def both_ask_for_a_job(self) -> None:
        self.jobs += 1
        for name in self.endpoints:
            self.ask(name, [(wire.JOB, self.jobs, 1e-6)], (wire.COMPLETION, self.jobs))

    def close(self) -> None:
        for endpoint in self.endpoints.values():
            endpoint.close()


def spec(folder: Path, address: str) -> dict[str, object]:
    made = server_spec(folder, address, {"kind": "hyperbolic", "a": 1e6, "b": 1.0}, ["marginal"])
    return made | {
        "dispatchers": ["d1", "d2"], "keys": OURS["s1"]._asdict(), "heartbeat": 1000.0, "cooldown": 1.0, "seed": 1,
        "life": 1, "born": 0.0, "start_ns": 0, "errors": "", "drop": False,
    }  # fmt: skip


def serve_among(
    folder: Path, address: str, plans: list[dict[str, Any]], word: str, times: int
) -> dict[str, Any]:
    """Serve both neighbours until each stranger has met its fate so many times. Returns the server's statement."""
    with (
        Peer("launcher", folder) as launcher,
        agent(spec(folder, address)) as process,
        closing(Neighbours(address)) as neighbours,
        ExitStack() as stack,
    ):
        for name in ("d1", "d2"):
            neighbours.ask(name, [(wire.HELLO, "run", name)], (wire.WELCOME, "run"))
        launcher.start()
        found = [Stranger(plan, folder / f"stranger{number}") for number, plan in enumerate(plans)]
        for stranger in found:
            stack.callback(stranger.close)
        end = time.monotonic() + PATIENCE_S
        while slow := [plan for plan, each in zip(plans, found, strict=True) if each.said(word) < times]:
            assert time.monotonic() < end, f"not {word}: {slow}"
            neighbours.both_ask_for_a_job()
        for _ in range(50):  # whoever was let in has spoken by now
            neighbours.both_ask_for_a_job()
        for name in ("d1", "d2"):
            neighbours.ask(name, [(wire.BYE,)], (wire.BYE,))
        assert process.wait(30) == 0, process.stderr and process.stderr.read()
        assert not any(each.said("heard") for each in found)
    statement: dict[str, Any] = json.loads((folder / "statement").read_text())
    assert statement["arrived"] == statement["departed"] == 2 * neighbours.jobs
    assert statement["refused"] == 0
    for name in ("d1", "d2"):
        assert statement["census"]["frames"]["received"][name] == neighbours.jobs + 2
    return statement


def plan(address: str, claim: str, keys: dict[str, str]) -> dict[str, Any]:
    frames = [frame.hex() for frame in FRAMES]
    return {"over": "zeromq", "address": address, "claim": claim, "keys": keys, "frames": frames}


def test_who_has_not_the_keys_is_refused_and_counted(folder: Path, address: str) -> None:
    plans = [plan(address, *found) for found in REFUSED.values()]
    census = serve_among(folder, address, plans, "refused", times=1)["census"]
    assert not any(census["dropped"].values()), "not a frame of theirs was read"
    assert census["strangers"] == 3, "three come as far as to show a key of their own, and then give up"


def test_who_has_a_neighbours_key_is_not_another_neighbour(folder: Path, address: str) -> None:
    plans = [plan(address, *found) for found in ACCEPTED.values()]
    census = serve_among(folder, address, plans, "accepted", times=1)["census"]
    dropped = census["dropped"]
    assert dropped["sender"] > 0
    assert sum(dropped.values()) == dropped["sender"]
    assert census["strangers"] == 0


def test_garbage_on_the_port_is_cut_off(folder: Path, address: str) -> None:
    plans = [{"over": "tcp", "address": address, "frames": [data.hex()]} for data in GARBAGE.values()]
    census = serve_among(folder, address, plans, "refused", times=10)["census"]
    assert not any(census["dropped"].values())
    assert census["strangers"] == 0, "none came as far as to show a key"
