"""A really cut edge: dispatcher and server in network namespaces of their own, and the cable between them pulled.

On tcp under CURVE. What is emulated elsewhere, frames that are read and dropped, is here the kernel's doing: it keeps
what was sent and sends it again when the cable is back.
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgpack
import pytest

from gmsr.broker.keys import forge

from .bare import PATIENCE_S, PROGRAM, dispatcher_spec, server_spec

pytestmark = [
    pytest.mark.live,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
]
DURATION_S, CUT_AT_S, CUT_FOR_S = 10.0, 2.0, 5.0
RATE = 200.0
SERVER_IP, DISPATCHER_IP = "10.213.0.1", "10.213.0.2"


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@pytest.fixture
def namespaces() -> Iterator[tuple[str, str]]:
    """Two, joined by a cable whose ends are called ``cable``."""
    names = f"gmsr-s-{os.getpid()}", f"gmsr-d-{os.getpid()}"
    with ExitStack() as stack:
        for name in names:
            ip("netns", "add", name)
            stack.callback(ip, "netns", "delete", name)
        ip("-n", names[0], "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", names[1])
        for name, address in zip(names, (SERVER_IP, DISPATCHER_IP), strict=True):
            ip("-n", name, "address", "add", f"{address}/24", "dev", "cable")
            ip("-n", name, "link", "set", "cable", "up")
        yield names


class Agents:
    """A dispatcher and a server, and the launcher's side of their telemetry."""

    def __init__(self, folder: Path, namespaces: tuple[str, str]) -> None:
        address = f"tcp://{SERVER_IP}:7000"
        keys = forge("run", ("s1", "d1"), [("d1", "s1")])
        specs: dict[str, dict[str, Any]] = {
            "s1": server_spec(folder, address, {"kind": "hyperbolic", "a": 600.0, "b": 20.0}, ["marginal"]),
            "d1": dispatcher_spec(folder, address, RATE),
        }
        self.telemetry = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.telemetry.bind(str(folder / "nursery"))
        self.telemetry.settimeout(PATIENCE_S)
        self.controls = {name: str(folder / f"{name}.ctl") for name in specs}
        self.processes = {}
        for (name, spec), namespace in zip(specs.items(), namespaces, strict=True):
            spec |= {
                "duration": DURATION_S, "heartbeat": 0.1, "keys": keys[name]._asdict(), "control": self.controls[name],
                "rows": str(folder / f"{name}.rows"), "statement": str(folder / f"{name}.json"),
            }  # fmt: skip
            self.processes[name] = process = subprocess.Popen(
                ["ip", "netns", "exec", namespace, sys.executable, "-c", PROGRAM],
                stdin=subprocess.PIPE,
                text=True,
            )
            assert process.stdin is not None
            json.dump(spec, process.stdin)
            process.stdin.close()

    def start(self) -> float:
        """Wait for both, start their clocks; returns the monotonic second at which they begin."""
        waiting = set(self.controls)
        while waiting:
            told = msgpack.unpackb(self.telemetry.recv(4096))
            if told["say"] == "ready":
                waiting.discard(told["id"])
        begin = time.monotonic_ns() + 100_000_000
        for control in self.controls.values():
            self.telemetry.sendto(msgpack.packb({"tell": "start", "at_ns": begin}), control)
        return begin * 1e-9

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()
        self.telemetry.close()


def test_a_pulled_cable_is_noticed_and_its_server_taken_back(
    namespaces: tuple[str, str], tmp_path: Path
) -> None:
    with ExitStack() as stack:
        agents = Agents(tmp_path, namespaces)
        stack.callback(agents.close)
        begin = agents.start()
        time.sleep(begin + CUT_AT_S - time.monotonic())  # the fault's time, which no verdict hangs on
        ip("-n", namespaces[0], "link", "set", "cable", "down")
        cut = time.monotonic() - begin
        time.sleep(CUT_FOR_S)
        ip("-n", namespaces[0], "link", "set", "cable", "up")
        back = time.monotonic() - begin
        for process in agents.processes.values():
            assert process.wait(PATIENCE_S) == 0
    dispatcher, server = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("d1", "s1"))
    events = {what: t for t, what, _ in reversed(dispatcher["events"])}
    assert cut < events["suspect"] < events["dead"] < back
    assert events["back"] > back
    lost = dispatcher["lost"]
    assert lost.keys() <= {"dead", "nobody", "transit"}
    assert lost["nobody"] > 0, "there was no other server"
    assert dispatcher["offered"] == dispatcher["completed"] + sum(lost.values()) + dispatcher["in_flight"]
    # tcp loses nothing: what was under way arrived in the end, and was worked on for nothing.
    assert server["arrived"] >= dispatcher["completed"] + lost.get("dead", 0) - lost.get("transit", 0)
    assert dispatcher["strays"] > 0
