"""Processor sharing at a state-dependent total rate, exactly, in virtual time.

With q jobs the server completes ``total_rate(q)`` units of size a second, the same share for each job. Let
V be the service that every job present has received so far: dV/dt = total_rate(q)/q. A job of size s that
arrives at virtual time V leaves when V has grown by s, whoever comes and goes meanwhile, so one heap of
finishing values orders all departures: O(log q) a job (the construction of virtual time in Parekh and
Gallager, "A generalized processor sharing approach to flow control", 1993).

Instants are computed, never observed: a late wake-up changes when a departure is noticed, not when it was.
"""

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from .machine import NEVER

MEMO = 1 << 16
"""Speeds are remembered up to this many jobs; beyond it they are computed each time."""


class Visit(NamedTuple):
    """One job's stay at a server."""

    finish: float  # the virtual time at which it leaves; first, so that the heap orders by it
    order: int  # counts visits: breaks ties, and keeps the heap from comparing further
    dispatcher: int
    job: int
    size: float
    arrived: float
    row: int  # its place in the journal


class Sharing:
    """The jobs that a server holds.

    ``total_rate(q)`` is in units of size per emulated second and must be positive for q ≥ 1.
    """

    __slots__ = ("_instant", "_order", "_speeds", "_total_rate", "_virtual", "next_departure", "visits")

    def __init__(self, total_rate: Callable[[int], float]) -> None:
        self._total_rate: Callable[[int], float] | None = total_rate
        self._speeds = [0.0]  # dV/dt with q jobs, by q
        self.visits: list[Visit] = []
        """The jobs present, a heap; not to be changed from without."""
        self._virtual = 0.0
        self._instant = 0.0  # when _virtual was right
        self._order = 0
        self.next_departure = NEVER

    def arrive(self, dispatcher: int, job: int, size: float, now: float, row: int = -1) -> int:
        """Take a job in; returns its ``order``. No departure may be due before ``now``: call ``depart`` first."""
        heap = self.visits
        if heap:
            self._virtual += (now - self._instant) * self._speed(len(heap))
        else:
            self._virtual = 0.0  # nobody's finish depends on it: begin afresh, so that no error piles up
        self._instant = now
        self._order += 1
        heappush(heap, Visit(self._virtual + size, self._order, dispatcher, job, size, now, row))
        self._foresee()
        return self._order

    def change(self, total_rate: Callable[[int], float] | None, now: float) -> None:
        """Serve at another rate from ``now`` on; None: stand still. No departure may be due before ``now``."""
        if self.visits:
            self._virtual += (now - self._instant) * self._speed(len(self.visits))
        self._instant = now
        self._total_rate = total_rate
        self._speeds = [0.0]
        self._foresee()

    def evict(self, dispatcher: int, now: float) -> list[Visit]:
        """Throw a dispatcher's jobs out, and return them. No departure may be due before ``now``."""
        if self.visits:
            self._virtual += (now - self._instant) * self._speed(len(self.visits))
        self._instant = now
        gone = [visit for visit in self.visits if visit.dispatcher == dispatcher]
        self.visits = [visit for visit in self.visits if visit.dispatcher != dispatcher]
        heapify(self.visits)
        self._foresee()
        return gone

    def depart(self) -> tuple[Visit, float]:
        """Let the next job go, at its exact instant, which is returned beside it."""
        instant = self.next_departure
        visit = heappop(self.visits)
        self._virtual = visit.finish
        self._instant = instant
        self._foresee()
        return visit, instant

    def _foresee(self) -> None:
        heap = self.visits
        if not heap or self._total_rate is None:
            self.next_departure = NEVER
            return
        wait = (heap[0].finish - self._virtual) / self._speed(len(heap))
        # Rounding can put an equal finish a hair in the past; time does not run backwards.
        self.next_departure = self._instant + wait if wait > 0.0 else self._instant

    def _speed(self, jobs: int) -> float:
        speeds = self._speeds
        if jobs < len(speeds):
            return speeds[jobs]
        total_rate = self._total_rate
        if total_rate is None:
            return 0.0
        if jobs > MEMO:
            return total_rate(jobs) / jobs
        while len(speeds) <= jobs:
            count = len(speeds)
            speeds.append(total_rate(count) / count)
        return speeds[jobs]
