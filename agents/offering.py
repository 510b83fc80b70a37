"""When a dispatcher offers jobs, and when it has done: the schedule of a workload and the phases of a run.

After the duration it goes on offering, so that the last measured jobs finish under the same load as the others, until
none of those is in flight, but for the cool-down at most.
"""

from .terms import Terms
from .workload import LAST, Surge, Workload

OFFERING, COOLING, DRAINING, CLOSING = "offering", "cooling", "draining", "closing"
"""Phases: the measured run; load goes on until the measured jobs are done; it was told to leave; goodbyes are out."""


class Offering:
    """One life's. Times in emulated seconds."""

    __slots__ = ("_end", "_next", "_terms", "_workload", "closed_door", "phase")

    def __init__(self, workload: Workload, terms: Terms) -> None:
        self._workload = Surge(workload)
        self._terms = terms
        self._end = terms.duration + terms.cooldown
        self.phase = OFFERING
        self.closed_door = 0
        self._next = self._workload.next()  # (arrival, size) of the job to come
        while self._next[0] < terms.born:
            self.closed_door += 1
            self._next = self._workload.next()

    def due(self, now: float) -> tuple[float, float] | None:
        """Arrival and size of the next job that has arrived; None if there is none. Who wakes late offers no more."""
        job = self._next
        if job[0] > now or job[0] > self._end:
            return None
        self._next = self._workload.next()
        return job

    def done(self, now: float, in_flight: int, measured: int) -> bool:
        """Whether it is time to say goodbye, with so many jobs not finished, and so many of the measured ones."""
        if self.phase == DRAINING:
            return not in_flight or now >= self._end
        if now >= self._terms.duration:
            self.phase = COOLING
            return not measured or now >= self._end
        return False

    def surge(self, factor: float, now: float) -> None:
        """From now on jobs come so many times as fast."""
        if self._next != LAST:
            self._next = (self._workload.surge(factor, now), self._next[1])

    def drain(self) -> None:
        """Offer no more, and leave when all is done."""
        self.phase = DRAINING
        self._next = LAST

    def deadline(self) -> float:
        """The next arrival, or the next end of a phase."""
        end = self._terms.duration if self.phase == OFFERING else self._end
        return self._next[0] if self._next[0] < end else end
