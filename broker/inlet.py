"""The way of a frame from the socket to the state machine: the emulated network, then order.

An edge is an ordered stream of numbered frames. Of each life of a peer a frame is taken once and in order:
a copy, and one that was overtaken, is dropped; a number that is skipped is a loss, and the machine is told so
(it then asks its peer what has become of things). A frame of an earlier life than the last is dropped too.
"""

from collections.abc import Iterable, Mapping
from random import Random
from typing import NamedTuple

from .census import Census
from .impair import Network
from .wire import Frame, Message, count


class Arrival(NamedTuple):
    """What the machine gets of a frame."""

    peer: str
    life: int
    messages: list[Message]
    missed: bool  # frames before this one are lost


class Inlet:
    """One agent's. ``census`` counts what is dropped here; it has counted already what came in."""

    __slots__ = ("_census", "_network", "_numbers")

    def __init__(self, census: Census, delays: Mapping[str, float], random: Random) -> None:
        self._census = census
        self._network = Network(delays, random)
        self._numbers: dict[str, tuple[int, int]] = {}  # life and number of the last frame taken

    def impair(self, peer: str, changes: Mapping[str, float]) -> None:
        """Change what befalls frames from a peer: fields of ``impair.Impairment``."""
        self._network.impair(peer, changes)

    def take(self, frames: Iterable[tuple[str, Frame]], now: float) -> list[Arrival]:
        """What is due at ``now``, of these frames and of those that were under way."""
        network = self._network
        if not network.perfect:
            for peer, frame in frames:
                if not network.push(peer, frame, now):
                    count(frame[2], self._census.lost[peer])
            frames = network.due(now)
        arrivals = []
        numbers = self._numbers
        for peer, (life, number, messages) in frames:
            known, last = numbers.get(peer, (0, 0))
            if life < known or (life == known and number <= last):
                self._census.dropped["stale"] += 1
                count(messages, self._census.stale[peer])
                continue
            missed = number != (last + 1 if life == known else 1)
            numbers[peer] = (life, number)
            arrivals.append(Arrival(peer, life, messages, missed))
        return arrivals

    def deadline(self) -> float:
        """When ``take`` has something without a new frame."""
        return self._network.deadline()
