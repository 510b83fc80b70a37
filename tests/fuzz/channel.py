"""The operator's side channel: any datagrams, through ``Telemetry`` and the loop's own obedience, to a real machine.

Nothing is opened and nobody is stopped: datagrams come from the tape, edges are a stand-in that refuses what the real
one refuses, and ``SIGSTOP`` goes nowhere.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from math import isnan
from random import Random
from types import SimpleNamespace
from typing import Any, cast

from msgpack import packb

from gmsr.agents import loop as looping
from gmsr.agents.loop import Loop
from gmsr.agents.telemetry import Telemetry
from gmsr.broker.census import Census
from gmsr.broker.endpoint import Endpoint
from gmsr.broker.impair import Impairment
from gmsr.broker.inlet import Inlet
from gmsr.broker.wire import HELLO, JOB, MAX_MESSAGES, REPORT, WELCOME, Message, encode

from . import specs
from .frames import FLOATS, RUN
from .session import Seen
from .tape import Tape

MOST_DATAGRAMS = 24
MOST_DEPTH = 3
STEP_S = 0.25
LOW_RATE = 1e-8
"""A surge of the largest factor must not drown the fuzzer in jobs."""
KEYS = (
    "tell", "peer", "factor", "weight", "address", "delay", "change", "curve", "at_ns", "kind", "a", "b", "m", "k",
    "p", "points", *Impairment._fields,
)  # fmt: skip
WORDS = (
    "slow", "surge", "pause", "resume", "drain", "join", "impair", "freeze", "start", "stop", "s1", "d1", "d9", "s9",
    "ipc://x", "tcp://x", "", *(str(curve["kind"]) for curve in specs.CURVES),
)  # fmt: skip
SCALARS = (*FLOATS, 0, 1, -1, 2**63, True, False, None, b"", 1e-9, 1e9, 1e-10, 1e10, 7.5)
SHAPES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("slow", ("factor",)), ("slow", ("curve",)), ("surge", ("factor",)), ("pause", ()), ("resume", ()),
    ("drain", ()), ("join", ("peer", "address", "weight", "delay")), ("impair", ("peer", "change")),
    ("freeze", ()), ("start", ("at_ns",)), ("stop", ()), ("join", ("peer",)),
)  # fmt: skip


class Overheard(Telemetry):
    """Hears datagrams from a list."""

    def __init__(self, datagrams: list[bytes]) -> None:
        self._socket = cast(Any, SimpleNamespace(recv=self._next))
        self._coming = datagrams
        self.fd = -1
        self.interval_ns = 1
        self.start_ns = 1
        self.stopped = False
        self.orders = []

    def _next(self, _: int) -> bytes:
        if not self._coming:
            raise BlockingIOError
        return self._coming.pop(0)


class Edges:
    """Stands in for ``broker.endpoint.Endpoint``: frames from a list, and what is sent is only encoded."""

    refusal = "unroutable"

    def __init__(self, peers: list[str]) -> None:
        self.fds: list[int] = []
        self.census = Census()
        self.coming: list[tuple[str, Any]] = []
        self._known: set[str] = set()
        self.allow(peers)

    def allow(self, peers: list[str]) -> None:
        self._known.update(peers)
        for peer in peers:
            self.census.meet(peer)

    def knows(self, peer: str) -> bool:
        return peer in self._known

    def connect(self, peer: str, address: str) -> None:
        if not address.startswith("ipc://") or not peer:
            raise ValueError(address)

    def receive(self) -> list[tuple[str, Any]]:
        coming, self.coming = self.coming, []
        return coming

    def send(self, peer: str, messages: list[Message]) -> list[Message]:
        for start in range(0, len(messages), MAX_MESSAGES):
            encode(messages[start : start + MAX_MESSAGES], self.census.sent[peer])
        return []


class Clock:
    """The loop's: emulated time is real time, and stands still where the loop does not look."""

    now = 0.0

    def monotonic_ns(self) -> int:
        return round(self.now * 1e9)


@contextmanager
def harmless() -> Iterator[Clock]:
    """A loop with a clock of the session's own, that stops no process, not even ours."""
    clock = Clock()
    outside = {"os": SimpleNamespace(getpid=os.getpid, kill=lambda *_: None), "time": clock}
    kept = {name: getattr(looping, name) for name in outside}
    vars(looping).update(outside)
    try:
        yield clock
    finally:
        vars(looping).update(kept)


def value(tape: Tape, depth: int = 0) -> Any:
    """Anything that msgpack carries; often what an order's field may be."""
    match tape.byte() % 16:
        case 0 | 1 | 2 | 3 | 4 | 5 | 6:
            return tape.pick(SCALARS)
        case 7 | 8 | 9:
            return tape.pick(WORDS)
        case 10 | 11:
            return dict(tape.pick(specs.CURVES)) | _fields(tape, depth, tape.byte() % 3)
        case 12 | 13 if depth < MOST_DEPTH:
            return _fields(tape, depth + 1, tape.byte() % 5)
        case 14 if depth < MOST_DEPTH:
            return [value(tape, depth + 1) for _ in range(tape.byte() % 4)]
        case _:
            return tape.raw()


def _fields(tape: Tape, depth: int, count: int) -> dict[str, Any]:
    return {tape.pick(KEYS): value(tape, depth + 1) for _ in range(count)}


def datagram(tape: Tape) -> bytes:
    """Bytes as they stand, a map of anything, or an order with each field right or wrong."""
    how = tape.byte()
    if how % 8 == 0:
        return tape.raw()
    if how % 8 == 1:
        return bytes(packb(_fields(tape, 0, tape.byte() % 6)))
    word, fields = tape.pick(SHAPES)
    return bytes(packb({"tell": word, **{field: value(tape) for field in fields}}))


def obey(tape: Tape, clock: Clock, seen: Seen) -> None:
    """A running agent gets datagrams, while its peers go on talking and time passes."""
    dispatches = bool(tape.byte() % 2)
    machine, spec, _ = (specs.dispatcher if dispatches else specs.server)(tape, LOW_RATE)
    peers = spec["servers"] if dispatches else spec["dispatchers"]
    telemetry, edges = Overheard([]), Edges(peers)
    inlet = Inlet(edges.census, {}, Random(1))
    loop = Loop(machine, cast(Endpoint, edges), inlet, telemetry, 1.0)
    now = clock.now = float(spec["born"])
    for number in range(1, MOST_DATAGRAMS):
        for peer in peers:
            hello = [(WELCOME, RUN), (REPORT, *(1.0 for _ in spec["reads"] or "x"))]
            edges.coming.append(
                (peer, (1, number, hello if dispatches else [(HELLO, RUN, peer), (JOB, number, 1.0)]))
            )
        loop._read(now, begun=number > 1)
        machine.advance(now)
        loop._send(now)
        machine.validate()
        assert not isnan(machine.deadline()) and not isnan(inlet.deadline())
        if tape.over or machine.finished:
            break
        telemetry._coming.append(datagram(tape))
        telemetry.listen()
        for order in telemetry.take_orders():
            seen[f"order {order['tell']}" if order["tell"] in WORDS else "order other"] += 1
            loop._obey(order, now)
            machine.validate()
        now = clock.now = now + STEP_S
    machine.statement()
