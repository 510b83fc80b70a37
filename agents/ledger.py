"""The account of a dispatcher's own jobs: each from offered to completed, or lost with a cause.

offered = completed + lost + in flight, at every instant. A job is booked once; a completion that nobody
waits for is counted as a stray and changes nothing.
"""

from typing import NamedTuple

from .journal import CAUSES, COMPLETED, IN_FLIGHT, LOST, RESENT, RETURNED, Rows

NAN = float("nan")
JOBS_A_LIFE = 1 << 27
"""A dispatcher that was started again counts on from here, so that no number ever means two jobs."""
MOST_IN_FLIGHT = 1_000_000
"""Bounds a dispatcher's memory: a job beyond it is lost at once, as ``full``."""


class Entry(NamedTuple):
    """A job in flight. Times in emulated seconds."""

    server: int
    arrival: float
    sent: float
    size: float
    order: int  # of all that were ever sent, this attempt is so late
    row: int  # its place in the journal


class Ledger:
    """Books jobs, and journals each when it is sent and when its fate is known.

    ``horizon`` is the end of the measured run: jobs that arrive later load the system while the measured
    ones finish, and are told apart by their arrival.
    """

    __slots__ = (
        "_entries", "_first", "_horizon", "_rows", "completed", "late", "latency", "lost", "measured_in_flight",
        "offered", "resent", "sends", "strays",
    )  # fmt: skip

    def __init__(self, rows: Rows, horizon: float, life: int = 1) -> None:
        self._rows = rows
        self._horizon = horizon
        self._first = (life - 1) * JOBS_A_LIFE
        self._entries: dict[int, Entry] = {}
        self.offered = 0
        self.completed = 0
        self.latency = 0.0  # of all that completed together, from the scheduled arrival
        self.late = 0.0  # how long after their arrivals all jobs were sent, together
        self.lost = [0] * len(CAUSES)
        self.resent = 0
        self.strays = 0
        self.sends = 0
        self.measured_in_flight = 0

    @property
    def in_flight(self) -> int:
        """Jobs sent and not yet accounted for."""
        return len(self._entries)

    def offer(self, server: int, arrival: float, sent: float, size: float) -> int:
        """Open a job's account and give it its number."""
        job = self._first + self.offered
        self.offered += 1
        row = self._rows.open(job, server, IN_FLIGHT, arrival, sent, NAN, size)
        self.sends += 1
        self.late += sent - arrival
        self._entries[job] = Entry(server, arrival, sent, size, self.sends, row)
        if arrival < self._horizon:
            self.measured_in_flight += 1
        return job

    def complete(self, server: int, job: int, now: float) -> float | None:
        """Book a completion; returns when the job was sent, None if ``server`` holds no such job of ours."""
        entry = self._entries.get(job)
        if entry is None or entry.server != server:
            self.strays += 1
            return None
        self._close(job, entry, COMPLETED, now)
        self.completed += 1
        self.latency += now - entry.arrival
        return entry.sent

    def holder(self, job: int) -> int | None:
        """The server that a job is in flight at; None if it is not in flight."""
        entry = self._entries.get(job)
        return None if entry is None else entry.server

    def lose(self, job: int, cause: str) -> None:
        """Book a loss."""
        entry = self._entries[job]
        number = CAUSES.index(cause)
        self._close(job, entry, LOST + number, NAN)
        self.lost[number] += 1

    def resend(self, job: int, server: int, now: float, left: bool) -> float:
        """The job goes to another server, or to the same again; returns its size. ``left``: the last attempt did."""
        entry = self._entries[job]
        state = RESENT if left else RETURNED
        self._rows.settle(entry.row, job, entry.server, state, entry.arrival, entry.sent, NAN, entry.size)
        row = self._rows.open(job, server, IN_FLIGHT, entry.arrival, now, NAN, entry.size)
        self.sends += 1
        self.resent += 1
        self._entries[job] = Entry(server, entry.arrival, now, entry.size, self.sends, row)
        return entry.size

    def at(self, server: int, before: int) -> list[int]:
        """Jobs in flight at a server that were sent as the ``before``-th attempt or earlier, in order of number."""
        return [
            job for job, entry in self._entries.items() if entry.server == server and entry.order <= before
        ]

    def spread(self, servers: int) -> list[int]:
        """Jobs in flight at each of the first so many servers."""
        counts = [0] * servers
        for entry in self._entries.values():
            counts[entry.server] += 1
        return counts

    def losses(self) -> dict[str, int]:
        """Lost jobs by cause; causes that never struck are left out."""
        return {cause: count for cause, count in zip(CAUSES, self.lost, strict=True) if count}

    def counts(self) -> dict[str, int]:
        """The account in four numbers."""
        return {
            "offered": self.offered,
            "completed": self.completed,
            "in_flight": len(self._entries),
            "lost": sum(self.lost),
        }

    def validate(self) -> None:
        """The account balances."""
        assert self.offered == self.completed + sum(self.lost) + len(self._entries)
        measured = sum(entry.arrival < self._horizon for entry in self._entries.values())
        assert self.measured_in_flight == measured

    def _close(self, job: int, entry: Entry, state: int, done: float) -> None:
        del self._entries[job]
        if entry.arrival < self._horizon:
            self.measured_in_flight -= 1
        self._rows.settle(entry.row, job, entry.server, state, entry.arrival, entry.sent, done, entry.size)
