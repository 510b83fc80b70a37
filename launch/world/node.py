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
from gmsr.broker.wire import Frame, Message, Tally, count, decode, encode, head_bytes, number_bytes, stamped

MOST_WAITING = 100_000
"""Frames that wait for an agent that is dead or frozen; what comes beyond is refused (``endpoint.QUEUED_FRAMES``)."""

MakeRows = Callable[[Any], Rows]
"""A journal for the life that a specification describes."""


class _Way:
    """Frames to one peer: how many, and the messages of those that are not in the census yet."""

    __slots__ = ("frames", "number")

    def __init__(self) -> None:
        self.number = 0
        self.frames: list[list[Message]] = []


class Node:
    """An agent in one of its lives after another."""

    __slots__ = (
        "_delayed", "_latency", "_ways", "alive", "census", "done", "frozen", "inbox", "inlet", "life", "machine",
        "name", "network", "queued", "rows", "running", "severed", "spec", "wake",
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
        self.severed: list[str] = []  # peers whose connection has ended, and it has not heard so yet
        self.wake = float("inf")  # when the next turn is due without a frame
        self.rows = make_rows(spec)
        self.census = Census()
        self._ways: dict[str, _Way] = {}
        for peer in spec["servers"] if spec["role"] == "dispatcher" else spec["dispatchers"]:
            self.meet(peer)
        random = stream(spec["seed"], self.name, f"network/{spec['life']}")
        self.inlet = Inlet(self.census, spec["delays"], random, self._latency)
        self.network = self.inlet.network
        self._delayed = spec["delays"]
        make = process.server if spec["role"] == "server" else process.dispatcher
        self.machine: Machine = make(spec, self.rows)

    def knows(self, peer: str) -> bool:
        """Whether there is an edge to ``peer``."""
        return peer in self._ways

    def meet(self, peer: str) -> None:
        """A new edge."""
        self.census.meet(peer)
        self._ways.setdefault(peer, _Way())

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
        return self.life, self._ways[peer].number

    def frame(self, peer: str, messages: list[Message], now: float) -> Frame:
        """What goes out to ``peer``, numbered, and with its time where the way takes some."""
        if peer in self._delayed:
            messages = stamped(messages, now)
        way = self._ways[peer]
        way.number = number = way.number + 1
        way.frames.append(messages)
        return self.life, number, messages

    def count(self, others: "dict[str, Node]") -> None:
        """Bring the accounts of both ends up to date: what was sent has come in. Done in bulk, for speed."""
        for peer, way in self._ways.items():
            if not way.frames:
                continue
            news = Tally()
            count([message for frame in way.frames for message in frame], news)
            news.frames = len(way.frames)
            news.frame_bytes = sum(news.sizes) + sum(head_bytes(len(frame)) for frame in way.frames)
            news.frame_bytes += number_bytes(way.number) - number_bytes(way.number - news.frames)
            self.census.sent[peer].add(news)
            others[peer].census.received[self.name].add(news)
            way.frames = []

    def take(self, now: float, begun: bool) -> None:
        """Hand the machine what has come in."""
        frames = self.inbox
        self.inbox = []
        self.inlet.take(frames, now, self.machine, begun)

    def statement(self) -> dict[str, Any]:
        """What a process would leave behind."""
        dropped = getattr(self.rows, "dropped", 0)
        return {**process.account(self.spec, self.machine, self.census, dropped), "end": "finished"}


def through_bytes(frame: Frame) -> Frame:
    """The same frame, by way of the wire format."""
    life, number, messages = frame
    return decode(encode(messages, None, life, number))
