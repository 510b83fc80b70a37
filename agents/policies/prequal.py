"""``prequal``: of the servers probed lately, the quickest among those that hold no unusual number of jobs.

Wydrowski, Kleinberg, Rumble, Archer, "Load is not what you should balance: Introducing Prequal", NSDI 2024, section 4;
the hot-cold lexicographic rule:

- A server is hot if its requests in flight (RIF) exceed the ``q_rif`` quantile (2^−0.25 ≈ 0.84) of those that were
  reported lately, cold otherwise. If all are hot, the one with the lowest RIF is chosen, else the cold one with the
  lowest estimated latency. q_rif=0 looks at RIF alone, q_rif=1 at latency alone.
- A job that is sent by an answer raises that answer's RIF by 1, until the server answers anew.
- The worst, which the pool lets go of: the hot one with the highest RIF if one is hot, else the one with the highest
  latency.

Which servers are probed, and which answers are kept, is the business of the feed that the policy is published with
(``feeds/asking.py``). Other feeds serve as well: then all servers are candidates, by their last reports.

The server's estimate there is the median latency of recent queries that had about as many in flight as there are now.
Here a server reports N/μ(N), which by Little's law is what such queries take in the mean. The paper keeps «recent»
answers for the quantile without saying how many: here the last ``window`` (128). Ties are broken at random.
"""

from bisect import bisect_left, insort
from collections import defaultdict, deque
from math import ceil
from random import Random
from typing import ClassVar

from ..feeds.base import number
from ..machine import NEVER
from ..view import View
from .base import any_of


class Prequal:
    """Hot or cold by RIF, then the lowest latency. All is kept by server, since candidates change with each job."""

    reads: ClassVar[tuple[str, ...]] = ("jobs", "latency")
    feed: ClassVar[str] = "probe:pool=16"

    def __init__(
        self, view: View, random: Random, q_rif: str = "0.8408964152537145", window: str = "128"
    ) -> None:
        self._view = view
        self._random = random
        self._jobs, self._latencies = view.column("jobs"), view.column("latency")
        self._quantile = number("q_rif", q_rif, 0.0, 1.0, open_below=False)
        self._recent: deque[float] = deque()  # RIF as they were reported
        self._sorted: list[float] = []
        self._window = int(number("window", window, 1, 100_000, open_below=False))
        # By number, of the last answer: when it was true, and its RIF with the jobs sent by it
        self._heard: defaultdict[int, float] = defaultdict(lambda: -NEVER)
        self._held: defaultdict[int, float] = defaultdict(float)
        self._limit = NEVER
        # By place, as of the last look; the candidates' numbers and times then
        self._seen: tuple[list[int], list[float]] = [], []
        self._rifs: list[float] = []
        self._cold: list[float] = []  # latencies, those of hot ones never

    def changed(self) -> None:
        """What is kept by place is looked at before each choice."""

    def choose(self) -> int:
        """The quickest cold one, or the least hot."""
        view = self._view
        numbers, times = self._seen
        if times != view.times or numbers != view.numbers:
            self._look()
        candidates, best = self._cold, min(self._cold)
        if best == NEVER:
            candidates, best = self._rifs, min(self._rifs)
        chosen = any_of(candidates, best, self._random)
        self._held[view.numbers[chosen]] += 1.0
        self._rifs[chosen] += 1.0
        if self._rifs[chosen] > self._limit:
            self._cold[chosen] = NEVER
        return chosen

    def worst(self) -> int:
        """Of those that could be chosen just now."""
        places = range(len(self._rifs))
        hottest = max(places, key=self._rifs.__getitem__)
        return hottest if self._rifs[hottest] > self._limit else max(places, key=self._latencies.__getitem__)

    def _look(self) -> None:
        """There are new answers, or other candidates."""
        view, heard, held = self._view, self._heard, self._held
        self._seen = numbers, times = view.numbers.copy(), view.times.copy()
        for place in [place for place, server in enumerate(numbers) if times[place] > heard[server]]:
            self._hear(place)
        self._limit = limit = self._threshold()
        self._rifs = [held[server] for server in numbers]
        pairs = zip(self._latencies, self._rifs, strict=True)
        self._cold = [latency if rif <= limit else NEVER for latency, rif in pairs]

    def _hear(self, place: int) -> None:
        """A new answer counts for the quantile."""
        jobs, server = self._jobs[place], self._view.numbers[place]
        self._heard[server] = self._view.times[place]
        self._held[server] = jobs
        self._recent.append(jobs)
        insort(self._sorted, jobs)
        if len(self._recent) > self._window:
            del self._sorted[bisect_left(self._sorted, self._recent.popleft())]

    def _threshold(self) -> float:
        """The least RIF that the quantile's share of the window does not exceed."""
        if self._quantile == 1.0 or not self._sorted:
            return NEVER
        return self._sorted[max(ceil(self._quantile * len(self._sorted)) - 1, 0)]
