"""The asking half of ``probe``: which servers a dispatcher asks, and which answers a job is sent by.

Together (``probe:d=2``): each job waits until d random servers of its own have answered, or patience ends; it is sent
to one of those who have. The round trip is on the job's way. (Azar, Broder, Karlin, Upfal, "Balanced allocations",
1999; the polling of Mitzenmacher's power of two choices.)

Pool (``probe:pool=16``): no job waits. Each job sends ``rate`` questions to different random servers, and is sent by
the answers to earlier ones, which are kept in a pool as Prequal keeps them (Wydrowski, Kleinberg, Rumble, Archer, "Load
is not what you should balance: introducing Prequal", NSDI 2024, section 4; its defaults are ours): ``pool`` answers at
most, or the oldest goes; none older than ``age`` emulated seconds; none used more than ``reuse`` times. With each job
``remove`` of them go, in turn the oldest and the worst in the policy's eyes, lest the pool fill with what nobody takes.
With fewer than two answers the job goes to a random server. The three numbers may have fractions: those of ``rate`` and
``remove`` add up from job to job, that of ``reuse`` is drawn for each answer.

One answer of a server is kept, its last (so the paper's equation for ``reuse`` counts too: a question to a server that
is in the pool does not make it grow). A policy that wants to know how many of its jobs an answer has sent counts them
itself (``policies/prequal.py``). Prequal's questions after a time without jobs are left out: a pool that is too old is
an empty one, and the next job goes to a random server.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from random import Random
from typing import NamedTuple

from ..machine import NEVER
from .base import number

MOST_WAITING = 100_000
D, RATE = "2", "3"
"""Questions a job unless the user says otherwise: together, and for a pool."""
FEWEST = 2
"""A pool of fewer answers is no choice."""
DELTA = 1.0
"""Prequal's δ: the net rate at which its pool may grow, in the rule for ``reuse``."""


class Job(NamedTuple):
    """One that has arrived and is not sent yet."""

    arrival: float
    size: float


class Asking:
    """One dispatcher's questions. Servers go by numbers; ``able`` are those that can be chosen."""

    __slots__ = ("_random",)

    def __init__(self, random: Random) -> None:
        self._random = random

    @property
    def waiting(self) -> int:
        """Jobs that wait for answers."""
        return 0

    def arrived(self, job: Job, able: Sequence[int], now: float) -> list[int]:
        """A job: whom to ask at once."""
        raise NotImplementedError

    def answered(self, server: int, now: float) -> None:
        """A server has reported."""

    def ready(self, now: float) -> Iterator[tuple[Job, list[int]]]:
        """Jobs to be sent now, each to one of these servers; to anyone, if there are none."""
        raise NotImplementedError

    def anybody(self, able: Sequence[int]) -> list[int]:
        """Candidates for a job that no answer helps: one at random."""
        return [able[int(self._random.random() * len(able))]]

    def used(self, server: int, worst: int) -> None:
        """A job went there; ``worst`` is who of those that it could choose among is the last."""

    def deadline(self) -> float:
        """When a job is ready though nobody answers."""
        return NEVER


class _Waiting:
    __slots__ = ("answers", "deadline", "job", "open")

    def __init__(self, job: Job, asked: Iterable[int], deadline: float) -> None:
        self.job = job
        self.open = set(asked)
        self.answers: list[int] = []
        self.deadline = deadline


class Together(Asking):
    """``probe:d=…``. A server's answers are taken for its questions in order."""

    __slots__ = ("_count", "_patience", "_ready", "_waiting")

    def __init__(self, random: Random, patience: float, d: str = D) -> None:
        super().__init__(random)
        self._count = int(number("d", d, 1, 1000, open_below=False))
        self._patience = patience
        self._waiting: deque[_Waiting] = deque()
        self._ready: list[tuple[Job, list[int]]] = []

    @property
    def waiting(self) -> int:
        """Jobs that wait for answers."""
        return len(self._waiting)

    def arrived(self, job: Job, able: Sequence[int], now: float) -> list[int]:
        """A job waits for its own answers."""
        if len(self._waiting) >= MOST_WAITING:
            self._ready.append((job, []))
            return []
        asked = self._random.sample(able, min(self._count, len(able)))
        self._waiting.append(_Waiting(job, asked, now + self._patience))
        return asked

    def answered(self, server: int, now: float) -> None:
        """Counts for the first job that waits for it."""
        for waiting in self._waiting:
            if server in waiting.open:
                waiting.open.discard(server)
                waiting.answers.append(server)
                return

    def ready(self, now: float) -> Iterator[tuple[Job, list[int]]]:
        """Whose answers are all there, or whose patience has ended; each in the order of arrival."""
        yield from self._ready
        self._ready.clear()
        kept = [each for each in self._waiting if each.open and now < each.deadline]
        if len(kept) < len(self._waiting):
            done = [each for each in self._waiting if not (each.open and now < each.deadline)]
            self._waiting = deque(kept)
            for each in done:
                yield each.job, each.answers

    def deadline(self) -> float:
        """The first to lose patience is the first that came."""
        return self._waiting[0].deadline if self._waiting else NEVER


class Pool(Asking):
    """``probe:pool=…``. Servers with an answer in the pool, the oldest first."""

    __slots__ = (
        "_age", "_credit", "_debit", "_entries", "_rate", "_ready", "_remove", "_reuse", "_size", "_turn",
    )  # fmt: skip

    def __init__(
        self,
        random: Random,
        servers: int,
        pool: str = "16",
        rate: str = RATE,
        age: str = "1",
        remove: str = "1",
        reuse: str = "",
    ) -> None:
        super().__init__(random)
        self._size = int(number("pool", pool, FEWEST, 1000, open_below=False))
        self._rate = number("rate", rate, 0.0, 100.0)
        self._age = number("age", age, 0.0, 1e6)
        self._remove = number("remove", remove, 0.0, 100.0, open_below=False)
        self._reuse = number("reuse", reuse, 1.0, 1e9, open_below=False) if reuse else self._reuses(servers)
        self._entries: dict[int, list[float]] = {}  # by server: when it answered, how often it may be used
        self._credit = 0.0  # questions that are due
        self._debit = 0.0  # answers that are to go
        self._turn = 0  # of who is removed
        self._ready: list[Job] = []

    def _reuses(self, servers: int) -> float:
        """b = max(1, (1 + δ) / ((1 − m/n)·r_probe − r_remove)), Prequal's equation (1); n servers, m places."""
        growth = (1.0 - self._size / servers) * self._rate - self._remove
        return max(1.0, (1.0 + DELTA) / growth) if growth > 0.0 else NEVER

    def _uses(self) -> float:
        if self._reuse == NEVER:
            return NEVER
        whole = int(self._reuse)
        return whole + (self._random.random() < self._reuse - whole)

    def arrived(self, job: Job, able: Sequence[int], now: float) -> list[int]:
        """The job is ready; its questions are for those to come."""
        self._ready.append(job)
        self._credit += self._rate
        count = min(int(self._credit), len(able))
        self._credit -= int(self._credit)
        return self._random.sample(able, count)

    def answered(self, server: int, now: float) -> None:
        """It goes to the young end; the oldest makes room."""
        self._entries.pop(server, None)
        self._entries[server] = [now, self._uses()]
        if len(self._entries) > self._size:
            del self._entries[next(iter(self._entries))]

    def ready(self, now: float) -> Iterator[tuple[Job, list[int]]]:
        """All jobs, each with the pool as it is."""
        while self._ready:
            while self._entries and next(iter(self._entries.values()))[0] < now - self._age:
                del self._entries[next(iter(self._entries))]
            yield self._ready.pop(0), list(self._entries) if len(self._entries) >= FEWEST else []

    def used(self, server: int, worst: int) -> None:
        """Wears the answer out, and lets others go."""
        if server in self._entries:
            self._entries[server][1] -= 1
            if self._entries[server][1] <= 0:
                del self._entries[server]
        self._debit += self._remove
        going, self._debit = int(self._debit), self._debit % 1.0
        for _ in range(min(going, len(self._entries))):
            self._turn += 1
            oldest = next(iter(self._entries))
            del self._entries[worst if self._turn % 2 == 0 and worst in self._entries else oldest]


def asking(random: Random, servers: int, patience: float, options: Mapping[str, str]) -> Asking:
    """As the options say: together, unless there is a pool. Raises ValueError or TypeError on what they do not know."""
    if "pool" in options:
        return Pool(random, servers, **options)
    return Together(random, patience, **options)
