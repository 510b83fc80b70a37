"""Earliest deadline first: the schedule behind weighted round robin in Envoy and gRPC.

Each place is due again 1/weight after its last turn, by a clock that the turns themselves advance. With constant
weights each has its share of the turns, evenly spread. (Envoy, source/common/upstream/edf_scheduler.h; gRPC proposal
A58, "Earliest Deadline First (EDF) Scheduler".)
"""

from collections.abc import Callable, Iterable
from heapq import heapify, heapreplace


class Schedule:
    """Of at least one place, each with its first deadline. Equal deadlines come in the order in which they were set."""

    __slots__ = ("_heap", "_set")

    def __init__(self, deadlines: Iterable[tuple[int, float]]) -> None:
        self._heap = [(deadline, order, place) for order, (place, deadline) in enumerate(deadlines)]
        self._set = len(self._heap)
        heapify(self._heap)

    def turn(self, weight: Callable[[int], float]) -> int:
        """Who is due now; ``weight`` says what its weight is, above 0."""
        deadline, _, place = self._heap[0]
        heapreplace(self._heap, (deadline + 1.0 / weight(place), self._set, place))
        self._set += 1
        return place
