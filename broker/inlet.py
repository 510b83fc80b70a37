"""The way of a frame from the socket to the state machine: the emulated network, then order.

An edge is an ordered stream of numbered frames. Of each life of a peer a frame is taken once and in order:
a copy, and one that was overtaken, is dropped; a number that is skipped is a loss, and the machine is told so
(it then asks its peer what has become of things). A frame of an earlier life than the last is dropped too.
"""

from collections.abc import Iterable, Mapping
from random import Random
from typing import Protocol

from .census import Census
from .impair import NEVER, Network
from .wire import Frame, Message, count, sent_at


class Receiver(Protocol):
    """What an inlet asks of a state machine (``agents.machine``)."""

    def missed(self, peer: str) -> None:
        """Frames of a peer are lost, before the one that comes next."""

    def received(self, peer: str, life: int, messages: list[Message], now: float) -> None:
        """A frame of a peer, in one of its lives."""


class Inlet:
    """One agent's. ``census`` counts what is dropped here; it has counted already what came in."""

    __slots__ = ("_census", "_numbers", "network")

    def __init__(
        self, census: Census, delays: Mapping[str, float], random: Random, latency: float = 0.0
    ) -> None:
        self._census = census
        self.network = Network(delays, random, latency)
        self._numbers: dict[str, tuple[int, int]] = {}  # life and number of the last frame taken

    def impair(self, peer: str, changes: Mapping[str, float]) -> None:
        """Change what befalls frames from a peer: fields of ``impair.Impairment``."""
        self.network.impair(peer, changes)

    def take(
        self, frames: Iterable[tuple[str, Frame]], now: float, machine: Receiver, begun: bool = True
    ) -> None:
        """Hand ``machine`` what is due at ``now``, of these frames and of those that were under way.

        Before time has ``begun`` there are no delays: greetings are no part of the emulation.
        """
        network = self.network
        if begun and not network.perfect:
            for peer, frame in frames:
                if not network.push(peer, frame, now):
                    count(frame[2], self._census.lost[peer])
            frames = network.due(now)
        numbers = self._numbers
        for peer, (life, number, messages) in frames:
            known, last = numbers.get(peer, (0, 0))
            if life < known or (life == known and number <= last):
                self._census.dropped["stale"] += 1
                count(messages, self._census.stale[peer])
                continue
            numbers[peer] = (life, number)
            if number != (last + 1 if life == known else 1):
                machine.missed(peer)
            stamp = sent_at(messages)  # the network's affair
            machine.received(peer, life, messages if stamp is None else messages[1:], now)

    def last(self, peer: str) -> tuple[int, int]:
        """Life and number of the last frame that was taken from a peer; zeros before the first."""
        return self._numbers.get(peer, (0, 0))

    @property
    def waiting(self) -> int:
        """Messages that are under way."""
        return self.network.waiting

    def deadline(self) -> float:
        """When ``take`` has something without a new frame."""
        network = self.network
        return NEVER if network.perfect else network.deadline()
