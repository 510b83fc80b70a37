"""The account of a dispatcher's own jobs: each from offered to completed, or lost with a cause.

offered = completed + lost + in flight, at every instant. A job is booked once; a completion that nobody
waits for is counted as a stray and changes nothing.
"""

from typing import NamedTuple

from .journal import CAUSES, COMPLETED, IN_FLIGHT, LOST, Rows

NAN = float("nan")


class Entry(NamedTuple):
    """A job in flight. Times in emulated seconds."""

    server: int
    arrival: float
    sent: float
    size: float


class Ledger:
    """Books jobs, and journals each when its fate is known.

    ``horizon`` is the end of the measured run: jobs that arrive later load the system while the measured
    ones finish, and are told apart by their arrival.
    """

    __slots__ = (
        "_entries",
        "_horizon",
        "_rows",
        "completed",
        "lost",
        "measured_in_flight",
        "offered",
        "strays",
    )

    def __init__(self, rows: Rows, horizon: float) -> None:
        self._rows = rows
        self._horizon = horizon
        self._entries: dict[int, Entry] = {}
        self.offered = 0
        self.completed = 0
        self.lost = [0] * len(CAUSES)
        self.strays = 0
        self.measured_in_flight = 0

    @property
    def in_flight(self) -> int:
        """Jobs sent and not yet accounted for."""
        return len(self._entries)

    def offer(self, server: int, arrival: float, sent: float, size: float) -> int:
        """Open a job's account and give it its number."""
        job = self.offered
        self.offered = job + 1
        self._entries[job] = Entry(server, arrival, sent, size)
        if arrival < self._horizon:
            self.measured_in_flight += 1
        return job

    def complete(self, server: int, job: int, now: float) -> bool:
        """Book a completion; False if ``server`` holds no such job of ours."""
        entry = self._entries.get(job)
        if entry is None or entry.server != server:
            self.strays += 1
            return False
        self._close(job, entry, COMPLETED, now)
        self.completed += 1
        return True

    def lose(self, job: int, cause: int) -> int:
        """Book a loss, and say which server's it was."""
        entry = self._entries[job]
        self._close(job, entry, LOST + cause, NAN)
        self.lost[cause] += 1
        return entry.server

    def losses(self) -> dict[str, int]:
        """Lost jobs by cause; causes that never struck are left out."""
        return {cause: count for cause, count in zip(CAUSES, self.lost, strict=True) if count}

    def close(self) -> None:
        """Journal what is still in flight; it stays in the account."""
        for job, entry in self._entries.items():
            self._rows.write(job, entry.server, IN_FLIGHT, entry.arrival, entry.sent, NAN, entry.size)

    def validate(self) -> None:
        """The account balances."""
        assert self.offered == self.completed + sum(self.lost) + len(self._entries)
        measured = sum(entry.arrival < self._horizon for entry in self._entries.values())
        assert self.measured_in_flight == measured

    def _close(self, job: int, entry: Entry, state: int, done: float) -> None:
        del self._entries[job]
        if entry.arrival < self._horizon:
            self.measured_in_flight -= 1
        self._rows.write(job, entry.server, state, entry.arrival, entry.sent, done, entry.size)
