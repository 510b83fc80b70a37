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

Between two reports, and two jobs of our own, what is expected of a server moves in a line that is straight but for one
bend, where it has got what it should have got: x falls by one in H seconds. A line is drawn anew when its server
reports or gets a job of ours. A choice looks at each, or with many at the winner of a kinetic tournament
(``kinetic.py``).

What it gives up: two more numbers a report (18 bytes); a choice takes four times as long as plain GMSR's, and 4 µs with
a thousand servers; a dispatcher that sends less than a job an interval to a server knows too little, and with fifty
such the better marginal of two random servers (``sampled``, agents/README.md) does better once views are older than a
service time; a change in demand is followed over ten intervals. The rule and its figures are our own:
docs/feeds.md.
"""

from random import Random
from typing import ClassVar

from ..machine import NEVER
from ..view import View
from .kinetic import KineticTournament, Line

AVERAGED = 0.1
"""Weight of the last interval in its mean."""
SLOWEST = 0.01
"""Least weight of the last gap between own jobs in its mean."""
INTERVALS, GAPS = 10.0, 50.0
"""Shares are averaged over so many intervals, and so many own jobs."""
FLOOR = 0.1
"""A server that gets nothing is taken for one that gets such a part of an even share."""
FAINT = 1e-100
"""Shares are kept in units of their common decay, until that is so small."""


Told = tuple[float, float, float, float]
"""When a report was true, its marginal, and what that is expected to gain a second: while its server has more than it
should have got, and then."""


class GmsrDamped:
    """Greatest extrapolated marginal."""

    reads: ClassVar[tuple[str, ...]] = ("marginal", "fall", "rise")
    few: ClassVar[int] = 24
    """Of so many servers each is looked at."""

    def __init__(self, view: View, random: Random) -> None:
        self._view = view
        self._marginals, self._falls, self._rises = (view.column(name) for name in self.reads)
        # By number, for good:
        self._heard: list[float] = []  # when its last report was true
        self._every: list[float] = []  # mean interval between reports; 0: not known yet
        self._sent: list[int] = []  # own jobs since
        self._shares: list[float] = []  # of own jobs, in units
        self._unit = 1.0
        self._longest = 0.0  # interval, of late
        self._count = 1
        self._last = 0.0
        self._gap = 0.0  # mean time between own jobs
        self.changed()

    def changed(self) -> None:
        """There may be servers that we have not met, and places are others' now."""
        even = 1.0 / max(len(self._view.names), 1)
        while len(self._heard) < len(self._view.names):
            self._heard.append(-NEVER)
            self._every.append(0.0)
            self._sent.append(0)
            self._shares.append(even / self._unit)
        # By place, once somebody chooses:
        self._told: list[Told] = []
        self._lines: list[Line] = []
        self._tournament: KineticTournament | None = None

    def touched(self, place: int) -> None:
        """A report may have come, or a count of jobs has changed."""
        number, time = self._view.numbers[place], self._view.times[place]
        gap = time - self._heard[number]
        if gap != 0.0:
            if gap < NEVER:
                self._measure(number, gap)
            self._heard[number] = time
            self._sent[number] = 0
        if self._lines:
            self._told[place] = self._tell(place)
            self._draw(place, number, self._view.now)

    def choose(self) -> int:
        """The best by now; ties go to the server with the fewest own jobs in flight."""
        view = self._view
        now = view.now
        if not self._lines:
            self._draw_all()
        if self._tournament is not None:
            best = self._tournament.best(now)
        else:
            values = [
                value + (now - bend) * (before if now < bend else after)
                for value, bend, before, after in self._lines
            ]
            most = max(values)
            best = values.index(most)
            if not self._lines[best][3] and values.count(most) > 1:
                tied = [place for place, value in enumerate(values) if value == most]
                best = min(tied, key=view.inflight.__getitem__)
        number = view.numbers[best]
        self._book(number, now)
        self._draw(best, number, now)
        return best

    def _book(self, number: int, now: float) -> None:
        """One more own job there: of shares of the past, it is the newest."""
        self._count += 1
        newest = 1.0 / self._count
        waited = now - self._last
        self._last = now
        self._gap = gap = self._gap + (newest if newest > SLOWEST else SLOWEST) * (waited - self._gap)
        weight = waited / (INTERVALS * self._longest + GAPS * gap + waited) if waited else 0.0
        weight = weight if weight > newest else newest
        unit = self._unit * (1.0 - weight)
        if unit < FAINT:
            self._shares = [unit * share for share in self._shares]
            unit = 1.0
        self._unit = unit
        self._shares[number] += weight / unit
        self._sent[number] += 1

    def _measure(self, number: int, gap: float) -> None:
        """So long after the last report of that server came its newest."""
        known = self._every[number]
        self._every[number] = every = known + AVERAGED * (gap - known) if known else gap
        beyond = every - self._longest
        self._longest += beyond if beyond > 0.0 else AVERAGED * beyond / len(self._every)

    def _tell(self, place: int) -> Told:
        every = self._every[self._view.numbers[place]] or NEVER
        falling, rising = self._falls[place] / every, self._rises[place] / every
        return self._view.times[place], self._marginals[place], falling, rising

    def _draw(self, place: int, number: int, now: float) -> None:
        told, marginal, falling, rising = self._told[place]
        even = 0.0  # when it has got what it should have got
        if falling or rising:
            share, floor = self._unit * self._shares[number], self._floor
            even = told + self._gap * self._sent[number] / (share if share > floor else floor)
        self._lines[place] = line = marginal, even, falling, rising
        if self._tournament is not None:
            self._tournament.put(place, line, now)

    def _draw_all(self) -> None:
        numbers, now = self._view.numbers, self._view.now
        self._floor = FLOOR / len(numbers)
        self._told = [self._tell(place) for place in range(len(numbers))]
        self._lines = [(0.0, 0.0, 0.0, 0.0)] * len(numbers)
        for place, number in enumerate(numbers):
            self._draw(place, number, now)
        if len(numbers) > self.few:
            self._tournament = KineticTournament(self._lines, self._view.inflight, now)
