"""One agent of the world: the machine that a process would drive, and what stands in for its socket.

As over ZeroMQ a frame is numbered when it is sent, counted where it is sent and where it comes in, and goes through
the same ``Inlet``. What is written to a dead server waits for its next life, as in the connecting end's queue; what
is written to a dead dispatcher is refused, as at the binding end.
"""

from collections.abc import Callable
from typing import Any

from gmsr.agents import process
from gmsr.agents.journal import Rows
from gmsr.agents.machine import Machine
from gmsr.agents.workload import stream
from gmsr.broker.census import Census
from gmsr.broker.inlet import Inlet
from gmsr.broker.wire import Frame, Message, count, decode, encode, head_bytes, number_bytes

MOST_WAITING = 100_000
"""Frames that wait for an agent that is dead or frozen; what comes beyond is refused (``endpoint.QUEUED_FRAMES``)."""

MakeRows = Callable[[Any], Rows]
"""A journal for the life that a specification describes."""


class Node:
    """An agent in one of its lives after another."""

    __slots__ = (
        "_counted", "_heads", "_latency", "_numbers", "_written", "alive", "census", "done", "frozen", "inbox", "inlet",
        "life", "machine", "name", "queued", "rows", "running", "spec", "wake",
    )  # fmt: skip

    def __init__(self, spec: Any, make_rows: MakeRows, latency: float) -> None:
        self.name: str = spec["id"]
        self._latency = latency
        self.inbox: list[tuple[str, Frame]] = []
        self.queued = False  # for a turn
        self.live(spec, make_rows)

    def live(self, spec: Any, make_rows: MakeRows) -> None:
        """Begin a life."""
        self.spec = spec
        self.life: int = spec["life"]
        self.alive, self.frozen, self.done = True, False, False
        self.running = True  # all of that in one word, for speed
        self.wake = float("inf")  # when the next turn is due without a frame
        self.rows = make_rows(spec)
        self.census = Census()
        self._numbers: dict[str, int] = {}
        self._counted: dict[str, int] = {}  # so many frames are in the census
        self._heads: dict[str, int] = {}  # bytes of the others' heads
        self._written: dict[str, list[Message]] = {}  # their messages
        for peer in spec["servers"] if spec["role"] == "dispatcher" else spec["dispatchers"]:
            self.meet(peer)
        random = stream(spec["seed"], self.name, f"network/{spec['life']}")
        self.inlet = Inlet(self.census, spec["delays"], random, self._latency)
        make = process.server if spec["role"] == "server" else process.dispatcher
        self.machine: Machine = make(spec, self.rows)

    def wakes_at(self, time: float) -> bool:
        """Whether a turn that was foreseen for ``time`` is still to come."""
        return self.wake == time and self.running

    def knows(self, peer: str) -> bool:
        """Whether there is an edge to ``peer``."""
        return peer in self._numbers

    def meet(self, peer: str) -> None:
        """A new edge."""
        self.census.meet(peer)
        if peer not in self._numbers:
            self._numbers[peer] = self._counted[peer] = self._heads[peer] = 0
            self._written[peer] = []

    @property
    def listening(self) -> bool:
        """Whether a frame to it finds a place though it does not run; what waits for the dead is a server's."""
        if self.done or not (self.alive or self.spec["role"] == "server"):
            return False
        return len(self.inbox) < MOST_WAITING

    def settle(self) -> None:
        """After any of ``alive``, ``frozen``, ``done`` has changed."""
        self.running = self.alive and not self.frozen and not self.done

    def last(self, peer: str) -> tuple[int, int]:
        """Life and number of the last frame that went to a peer."""
        return self.life, self._numbers[peer]

    def stamp(self, peer: str, messages: list[Message]) -> Frame:
        """Number a frame to ``peer`` that goes out."""
        number = self._numbers[peer] + 1
        self._numbers[peer] = number
        self._written[peer] += messages
        self._heads[peer] += head_bytes(len(messages))
        return self.life, number, messages

    def count(self, others: "dict[str, Node]") -> None:
        """Bring the accounts of both ends up to date: what was sent has come in. Done in bulk, for speed."""
        for peer, messages in self._written.items():
            last, counted = self._numbers[peer], self._counted[peer]
            if last == counted:
                continue
            size = self._heads[peer] + number_bytes(last) - number_bytes(counted)
            for tally in (self.census.sent[peer], others[peer].census.received[self.name]):
                before = sum(tally.sizes)
                count(messages, tally)
                tally.frames += last - counted
                tally.frame_bytes += size + sum(tally.sizes) - before
            self._written[peer], self._heads[peer], self._counted[peer] = [], 0, last

    def take(self, now: float, begun: bool = True) -> None:
        """Hand the machine what has come in."""
        frames, machine = self.inbox, self.machine
        self.inbox = []
        for peer, life, messages, missed in self.inlet.take(frames, now, begun):
            if missed:
                machine.missed(peer)
            machine.received(peer, life, messages, now)

    def statement(self) -> dict[str, Any]:
        """What a process would leave behind."""
        dropped = getattr(self.rows, "dropped", 0)
        return {**process.account(self.spec, self.machine, self.census, dropped), "end": "finished"}


def through_bytes(frame: Frame) -> Frame:
    """The same frame, by way of the wire format."""
    life, number, messages = frame
    return decode(encode(messages, None, life, number))
