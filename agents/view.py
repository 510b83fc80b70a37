"""All that a dispatcher believes about its servers, in one object with one writer.

A policy reads the view, ``sight`` alone writes it. What a policy sees are the **candidates**: the servers
that can be chosen now, by index into ``servers``. Servers leave and enter, so a policy that holds more than the
lists themselves is made anew by the dispatcher whenever the candidates have changed; the lists are the same
objects for the whole run. Every server has a **number** too, for good, by which the dispatcher books jobs.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from .machine import NEVER


class _Aside(NamedTuple):
    """What is known of a server that cannot be chosen now."""

    inflight: int
    time: float
    values: list[float]


class View:
    """A dispatcher's servers, what they reported last, and its own jobs in flight."""

    __slots__ = ("_aside", "_columns", "_travels", "_weights", "inflight", "names", "now", "numbers", "place", "reads",
                 "sent", "servers", "times", "touched", "travel", "weights")  # fmt: skip

    def __init__(
        self,
        servers: Sequence[str],
        reads: Sequence[str],
        weights: Sequence[float],
        travel: Sequence[float] = (),
    ) -> None:
        self.names = list(servers)  # by number
        self.sent = [0] * len(servers)  # by number: own jobs that went there so far
        self.place = list(range(len(servers)))  # by number; -1: no candidate
        self.reads = tuple(reads)
        self._weights = list(weights)  # by number
        self._travels = list(travel) or [0.0] * len(servers)  # by number
        self._aside: dict[int, _Aside] = {}  # of who is no candidate
        self.now = 0.0  # the time of the choice at hand
        self.touched: Callable[[int], None] | None = None
        """Called with the place of a candidate of whom something has changed."""
        # By place among the candidates:
        self.numbers = list(range(len(servers)))
        self.servers = list(servers)
        self.weights = list(weights)
        self.travel = list(self._travels)  # there and back, emulated seconds a unit of volume (MODEL: delays)
        self.inflight = [0] * len(servers)
        self.times = [-NEVER] * len(servers)  # when what was reported last was true
        self._columns = [[0.0] * len(servers) for _ in reads]

    def column(self, quantity: str) -> list[float]:
        """What each candidate reported last of one quantity that the policy declares in ``reads``.

        Raises KeyError for any other: a report does not carry it.
        """
        if quantity not in self.reads:
            raise KeyError(f"{quantity!r} is not among what the policy reads: {self.reads}")
        return self._columns[self.reads.index(quantity)]

    def reported(self, number: int, values: Sequence[float], time: float = 0.0) -> None:
        """A report came: its values in the order of ``reads``, and when they were true."""
        place = self.place[number]
        if place < 0:
            self._aside[number] = self._aside[number]._replace(time=time, values=list(values))
            return
        self.times[place] = time
        for index, column in enumerate(self._columns):
            column[place] = values[index]
        if self.touched:
            self.touched(place)

    def correct(self, number: int, values: Sequence[float]) -> None:
        """What is believed of a server has moved without a report; of who cannot be chosen nothing is believed."""
        place = self.place[number]
        if place < 0:
            return
        for index, column in enumerate(self._columns):
            column[place] = values[index]
        if self.touched:
            self.touched(place)

    def add(self, number: int, change: int) -> None:
        """So many more of our own jobs are in flight at a server."""
        place = self.place[number]
        if place < 0:
            aside = self._aside[number]
            self._aside[number] = aside._replace(inflight=aside.inflight + change)
            return
        self.inflight[place] += change
        if self.touched:
            self.touched(place)

    def inflight_at(self, number: int) -> int:
        """Our own jobs in flight at a server, candidate or not."""
        place = self.place[number]
        return self._aside[number].inflight if place < 0 else self.inflight[place]

    def meet(self, server: str, weight: float, travel: float = 0.0) -> int:
        """A new server, no candidate yet; returns its number."""
        number = len(self.names)
        self.names.append(server)
        self.sent.append(0)
        self.place.append(-1)
        self._weights.append(weight)
        self._travels.append(travel)
        self._aside[number] = _Aside(0, -NEVER, [0.0] * len(self.reads))
        return number

    def leave(self, number: int) -> None:
        """A server can no longer be chosen."""
        place = self.place[number]
        if place < 0:
            return
        values = [column.pop(place) for column in self._columns]
        self._aside[number] = _Aside(self.inflight.pop(place), self.times.pop(place), values)
        del self.servers[place]
        del self.numbers[place]
        self._renumber()

    def enter(self, number: int) -> None:
        """A server can be chosen, as it last reported."""
        if self.place[number] >= 0:
            return
        aside = self._aside.pop(number)
        self.inflight.append(aside.inflight)
        self.times.append(aside.time)
        for column, value in zip(self._columns, aside.values, strict=True):
            column.append(value)
        self.servers.append(self.names[number])
        self.numbers.append(number)
        self._renumber()

    def deal(self, other: "View", numbers: Sequence[int]) -> None:
        """Be a view of some of another's candidates."""
        places = [other.place[number] for number in numbers if other.place[number] >= 0]
        pairs = (
            (self.numbers, other.numbers), (self.servers, other.servers), (self.weights, other.weights),
            (self.travel, other.travel), (self.inflight, other.inflight), (self.times, other.times),
            *zip(self._columns, other._columns, strict=True),
        )  # fmt: skip
        for mine, theirs in pairs:
            mine[:] = [theirs[place] for place in places]  # type: ignore[index]  # each pair is of one type

    def validate(self) -> None:
        """Every server has one place or none, and all lists are as long."""
        count = len(self.numbers)
        assert len(self.servers) == len(self.weights) == len(self.inflight) == count
        assert len(self.times) == len(self.travel) == count
        for column in self._columns:
            assert len(column) == count
        for place, number in enumerate(self.numbers):
            assert self.place[number] == place
            assert self.inflight[place] >= 0
        assert len(self._aside) == len(self.names) - count
        for number, aside in self._aside.items():
            assert self.place[number] == -1
            assert aside.inflight >= 0
            assert len(aside.values) == len(self._columns)

    def _renumber(self) -> None:
        self.place[:] = [-1] * len(self.place)
        for place, number in enumerate(self.numbers):
            self.place[number] = place
        self.travel[:] = [self._travels[number] for number in self.numbers]
        weights = [self._weights[number] for number in self.numbers]
        # A plan that gave all to those who are away says nothing of the others: all are as good then.
        self.weights[:] = weights if any(weights) else [1.0] * len(weights)
