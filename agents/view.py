"""All that a dispatcher believes about its servers, in one object with one writer.

A policy reads the view, the dispatcher alone writes it. What a policy sees are the **candidates**: the servers
that can be chosen now, by index into ``servers``. Servers leave and enter, so a policy that holds more than the
lists themselves is made anew by the dispatcher whenever the candidates have changed; the lists are the same
objects for the whole run. Every server has a **number** too, for good, by which the dispatcher books jobs.
"""

from collections.abc import Sequence


class View:
    """A dispatcher's servers, what they reported last, and its own jobs in flight."""

    __slots__ = ("_aside", "_columns", "_weights", "inflight", "names", "numbers", "place", "reads", "servers",
                 "weights")  # fmt: skip

    def __init__(self, servers: Sequence[str], reads: Sequence[str], weights: Sequence[float]) -> None:
        self.names = list(servers)  # by number
        self.place = list(range(len(servers)))  # by number; -1: no candidate
        self.reads = tuple(reads)
        self._weights = list(weights)  # by number
        self._aside: dict[int, tuple[int, list[float]]] = {}  # in flight, columns of who is no candidate
        # By place among the candidates:
        self.numbers = list(range(len(servers)))
        self.servers = list(servers)
        self.weights = list(weights)
        self.inflight = [0] * len(servers)
        self._columns = [[0.0] * len(servers) for _ in reads]

    def column(self, quantity: str) -> list[float]:
        """What each candidate reported last of one quantity that the policy declares in ``reads``.

        Raises KeyError for any other: a report does not carry it.
        """
        if quantity not in self.reads:
            raise KeyError(f"{quantity!r} is not among what the policy reads: {self.reads}")
        return self._columns[self.reads.index(quantity)]

    def reported(self, number: int, values: Sequence[float]) -> None:
        """A report came: its values in the order of ``reads``."""
        place = self.place[number]
        if place < 0:
            self._aside[number] = (self._aside[number][0], list(values))
            return
        for index, column in enumerate(self._columns):
            column[place] = values[index]

    def add(self, number: int, change: int) -> None:
        """So many more of our own jobs are in flight at a server."""
        place = self.place[number]
        if place < 0:
            inflight, values = self._aside[number]
            self._aside[number] = (inflight + change, values)
        else:
            self.inflight[place] += change

    def inflight_at(self, number: int) -> int:
        """Our own jobs in flight at a server, candidate or not."""
        place = self.place[number]
        return self._aside[number][0] if place < 0 else self.inflight[place]

    def meet(self, server: str, weight: float) -> int:
        """A new server, no candidate yet; returns its number."""
        number = len(self.names)
        self.names.append(server)
        self.place.append(-1)
        self._weights.append(weight)
        self._aside[number] = (0, [0.0] * len(self.reads))
        return number

    def leave(self, number: int) -> None:
        """A server can no longer be chosen."""
        place = self.place[number]
        if place < 0:
            return
        self._aside[number] = (self.inflight.pop(place), [column.pop(place) for column in self._columns])
        del self.servers[place]
        del self.numbers[place]
        self._renumber()

    def enter(self, number: int) -> None:
        """A server can be chosen, as it last reported."""
        if self.place[number] >= 0:
            return
        inflight, values = self._aside.pop(number)
        self.inflight.append(inflight)
        for column, value in zip(self._columns, values, strict=True):
            column.append(value)
        self.servers.append(self.names[number])
        self.numbers.append(number)
        self._renumber()

    def validate(self) -> None:
        """Every server has one place or none, and all lists are as long."""
        count = len(self.numbers)
        assert len(self.servers) == len(self.weights) == len(self.inflight) == count
        for column in self._columns:
            assert len(column) == count
        for place, number in enumerate(self.numbers):
            assert self.place[number] == place
            assert self.inflight[place] >= 0
        assert len(self._aside) == len(self.names) - count
        for number, (inflight, values) in self._aside.items():
            assert self.place[number] == -1
            assert inflight >= 0
            assert len(values) == len(self._columns)

    def _renumber(self) -> None:
        self.place[:] = [-1] * len(self.place)
        for place, number in enumerate(self.numbers):
            self.place[number] = place
        weights = [self._weights[number] for number in self.numbers]
        # A plan that gave all to those who are away says nothing of the others: all are as good then.
        self.weights[:] = weights if any(weights) else [1.0] * len(weights)
