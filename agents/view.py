"""All that a dispatcher believes about its servers, in one object with one writer.

A policy reads the view, the dispatcher alone writes it. Everything is by index into ``servers``; the
columns are the same list objects for the whole run, so that a policy can take hold of them once.
"""

from collections.abc import Sequence


class View:
    """A dispatcher's own servers, what they reported last, and its own jobs in flight."""

    __slots__ = ("_columns", "inflight", "reads", "servers", "weights")

    def __init__(self, servers: Sequence[str], reads: Sequence[str], weights: Sequence[float]) -> None:
        self.servers = tuple(servers)
        self.reads = tuple(reads)
        self.weights = tuple(weights)
        self.inflight = [0] * len(self.servers)  # this dispatcher's own jobs, by server
        self._columns = [[0.0] * len(self.servers) for _ in self.reads]

    def column(self, quantity: str) -> list[float]:
        """What each server reported last of one quantity that the policy declares in ``reads``.

        Raises KeyError for any other: a report does not carry it.
        """
        if quantity not in self.reads:
            raise KeyError(f"{quantity!r} is not among what the policy reads: {self.reads}")
        return self._columns[self.reads.index(quantity)]

    def reported(self, server: int, values: Sequence[float]) -> None:
        """A report came: its values in the order of ``reads``."""
        for column, value in zip(self._columns, values, strict=True):
            column[server] = value
