"""``gmsr-damped``: GMSR on marginals as they should be by now, if all dispatchers have acted as they do on average.

Between reports a herd forms: each dispatcher sends to the server that was best when it last spoke, and none sees that
the others do too (Mitzenmacher, "How useful is old information?", IEEE TPDS 11, 2000). Here each extrapolates what it
was told. Let a server report every H seconds, and let this dispatcher send it the share s of its λ jobs a second, both
on average. In the time τ since its report it should have got s·λ·τ of them; it got k. All others are taken to have
sent in proportion to us, and departures to go on at their long-run rate, so that the server holds

    x = (k − s·λ·τ) / (s·λ·H)    intervals' worth of jobs more than it said.

Its report tells by how much its marginal falls with an interval's worth of jobs more, and rises with as many fewer
(``fall``, ``rise``: differences of marginals). The policy takes the greatest m − x·fall, or m − x·rise where x < 0.
Nothing is sampled: who got much falls behind, whoever sends.

Where a server reports each job there is no interval, both differences are 0, and this is plain GMSR. All constants are
without dimension, and none is critical (a factor of three either way changes latencies by less than their errors): the
rule finds its scale in what it observes.

What it gives up: two more numbers a report (18 bytes); a choice looks at each server (about 0.3 µs each, where plain
GMSR needs a tree); a dispatcher that sends less than a job an interval to a server knows too little, and with fifty
such the better marginal of two random servers (``sampled``, agents/README.md) does better once views are older than a
service time; a change in demand is followed over ten intervals. The rule and its figures are our own:
docs/feeds.md.
"""

from math import exp
from random import Random
from typing import ClassVar

from ..view import View

AVERAGED = 0.1
"""Weight of the last interval in its mean."""
SLOWEST = 0.01
"""Least weight of the last gap between own jobs in its mean."""
INTERVALS, GAPS = 10.0, 50.0
"""Shares are averaged over so many intervals, and so many own jobs."""
FLOOR = 0.1
"""A server that gets nothing is taken for one that gets such a part of an even share."""


class GmsrDamped:
    """Greatest extrapolated marginal."""

    reads: ClassVar[tuple[str, ...]] = ("marginal", "fall", "rise")

    def __init__(self, view: View, random: Random) -> None:
        self._view = view
        self._marginals, self._falls, self._rises = (view.column(name) for name in self.reads)
        # By number, for good:
        self._told: list[float] = []  # when its last report was true
        self._every: list[float] = []  # mean interval between reports; 0: not known yet
        self._sent: list[int] = []  # own jobs since
        self._share: list[float] = []  # of own jobs
        self._count = 0
        self._last = 0.0
        self._gap = 0.0  # mean time between own jobs
        self.changed()

    def changed(self) -> None:
        """There may be servers that we have not met."""
        while len(self._told) < len(self._view.names):
            self._told.append(float("-inf"))
            self._every.append(0.0)
            self._sent.append(0)
            self._share.append(1.0 / max(len(self._view.names), 1))

    def touched(self, place: int) -> None:
        """A report may have come."""
        number, time = self._view.numbers[place], self._view.times[place]
        gap = time - self._told[number]
        if gap == 0.0:
            return
        if gap < float("inf"):
            known = self._every[number]
            self._every[number] = known + AVERAGED * (gap - known) if known else gap
        self._told[number] = time
        self._sent[number] = 0

    def choose(self) -> int:
        """The best by now; ties go to the server with the fewest own jobs in flight."""
        view = self._view
        waited = self._clock(view.now)
        best, most, fewest = 0, float("-inf"), 0
        inflight = view.inflight
        for place, value in enumerate(self._expected()):
            if value > most or (value == most and inflight[place] < fewest):
                best, most, fewest = place, value, inflight[place]
        self._book(view.numbers[best], waited)
        return best

    def _clock(self, now: float) -> float:
        """Time since the last job of our own; its mean is kept."""
        waited = max(now - self._last, 0.0)
        self._last = now
        self._count += 1
        self._gap += max(1.0 / self._count, SLOWEST) * (waited - self._gap)
        return waited

    def _expected(self) -> list[float]:
        """Marginals by now."""
        view, falls, rises = self._view, self._falls, self._rises
        values = self._marginals.copy()
        if not self._gap > 0.0:
            return values
        floor = FLOOR / max(len(values), 1)
        for place, number in enumerate(view.numbers):
            fall, rise, every = falls[place], rises[place], self._every[number]
            if not (every > 0.0 and (fall or rise)):
                continue
            rate = max(self._share[number], floor) / self._gap
            beyond = (self._sent[number] - rate * (view.now - view.times[place])) / (rate * every)
            values[place] -= beyond * (fall if beyond > 0.0 else rise)
        return values

    def _book(self, chosen: int, waited: float) -> None:
        """One more own job there."""
        self._sent[chosen] += 1
        longest = max((self._every[number] for number in self._view.numbers), default=0.0)
        span = max(INTERVALS * longest, GAPS * self._gap)
        weight = max(1.0 - exp(-waited / span) if span > 0.0 else 0.0, 1.0 / (self._count + 1))
        share = self._share
        for number in self._view.numbers:
            share[number] -= weight * share[number]
        share[chosen] += weight
