"""A curve learned from jobs: a server that does not know its μ, and reports the marginals of what it saw.

**What it sees** is what any server can: how many jobs it holds, and of each job that leaves when it came and
how large it was. Under processor sharing a job gets μ(q)/q while q jobs are held, so that over its stay

    size = ∫ μ(q)/q dt;  with its share of the server's time, seconds = ∫ dt/q, and jobs = stay / seconds,
    size / seconds is the rate μ with so many jobs: exactly where μ is linear over what q went through,

and sums over jobs lie on that line as well. (Counting departures at each q is unbiased too, but has the noise
of a whole job a departure.) Who has (jobs, seconds, volume) from elsewhere, as a model server that counts the
tokens of each step, hands them to ``Learner.worked``.

**The fit** is concave, non-decreasing, piecewise linear, 0 at 0, and of least squares, weighted by seconds
(Hildreth, "Point estimates of ordinates of concave functions", 1954), but for a shortcut: it first bends at
every point, then is straightened wherever it bends upwards and fitted again, until it is concave, as when
adjacent violators are pooled (Barlow et al. 1972). Pooling increments was rejected, as it gives the least
concave majorant, which noise lifts; so was the exact active set (Lawson and Hanson 1974): slopes are as good.

**Where nothing was seen** the fit hopes, as far as concavity allows: to the left it is a chord, to the right
the last slope goes on, but falling as 1/N, so that a server is tried further, yet falls behind others when it
stalls and no completion says so. Who has seen nothing is the best of all: it is tried.
"""

from bisect import bisect_right
from collections.abc import Hashable, Iterator, Sequence
from itertools import accumulate, pairwise
from math import log, sqrt

from gmsr.topology.curves import Table

from .machine import NEVER

MEMORY, TURNOVERS = 2000.0, 20.0
"""With q jobs present a completion is forgotten over the next MEMORY + TURNOVERS·q.
q wanders through its range in about q completions: fewer than some such turnovers show no slope. Where shares
or sizes are noisy by a third, 2000 bring the noise of a rate under 1 %."""
REFITS = 16
"""In a memory, evenly; before it is full as often as it grows by an eighth."""
WIDTH = 0.02
"""Of the bins that numbers of jobs fall into, relative: a million jobs make 700."""
GROUPS = 24
"""Neighbouring bins are one point of the fit until they hold one in so many of all seconds."""
WINDOW = 0.1
"""What is told is the fit averaged over [N(1 − h), N(1 + h)]: kinks hurt (docs/smoothing-and-ties.md)."""
SHORT, SURPRISE, DOUBT = 50.0, 0.2, 5.0
"""If the last SHORT completions, or fewer, had e^±SURPRISE times the rate of the fit, and e^±DOUBT times
their mean deviation over √count, the curve has changed. Then all that was seen is forgotten, and meanwhile
the fit is told at the new speed, as it is mostly speed that changes. It is the fit of before these completions,
from SHORT to twice as many ago (fewer where little was seen): they soon bend the fit itself to theirs, where they
are, and leave it too low elsewhere, so that a server that became faster would not be tried there for long.
"""
PATIENCE, STEP = 5.0, 1.25
"""Without jobs for k·PATIENCE times what one takes alone, a server tells k² times its marginals, in such
steps: it may be faster. If not, and k² times too slow, it has in the mean 1/(k·PATIENCE) jobs on trial."""
BOLDEST = 1e12
"""The largest k²."""
EAGER = 1e12
"""Slope of the curve of a server that has seen nothing."""
INSTANT = 1e-9
"""Seconds: what is shorter tells no rate. Also the part of all seconds that counts for none."""
BEYOND, PIECES = 1.5, 19
"""To the right of all that was seen the fit goes on by so many pieces, each so many times as far."""

Point = tuple[float, float]
Evidence = tuple[float, float, float]
"""Jobs, the rate with so many, and for how many seconds it was measured."""


class Learned(Table):
    """A fit through ``points`` (N, μ) that goes on, at first with slope ``tail``.

    Value and slope are means over the window, concave as well; the rest is said of the fit itself.
    """

    def __init__(self, points: Sequence[Point], tail: float) -> None:
        last, rate = points[-1]
        gain = tail * last * log(BEYOND)  # of each piece
        beyond = [(last * BEYOND**piece, rate + gain * piece) for piece in range(1, PIECES + 1)]
        super().__init__([*points, *beyond])
        self.kinks = ()
        ends = pairwise(zip(self._n, self._rates, strict=True))
        areas = (0.5 * (low + high) * (right - left) for (left, low), (right, high) in ends)
        self._areas = [0.0, *accumulate(areas)]

    def fit(self, workload: float) -> float:
        """μ(N), with kinks."""
        return super().value(workload)

    def value(self, workload: float) -> float:
        """Mean of the fit over the window."""
        low, high = workload * (1.0 - WINDOW), workload * (1.0 + WINDOW)
        at = bisect_right(self._n, low) - 1
        if self._slopes[at] == 0.0 or high <= self._n[at + 1]:  # exact, so that equal marginals are equal
            return self.fit(workload)
        return (self._area(high) - self._area(low)) / (high - low)

    def slope(self, workload: float) -> float:
        """The derivative of ``value``."""
        if workload == 0.0:
            return self._slopes[0]
        low, high = 1.0 - WINDOW, 1.0 + WINDOW
        ends = high * self.fit(high * workload) - low * self.fit(low * workload)
        return max(0.0, (ends / (high - low) - self.value(workload)) / workload)

    def _area(self, workload: float) -> float:
        """Integral of the fit from 0."""
        at = bisect_right(self._n, workload) - 1
        step = workload - self._n[at]
        return self._areas[at] + step * (self._rates[at] + 0.5 * self._slopes[at] * step)


class Learner:
    """What a server knows of its curve. Times in emulated seconds, volume in units of size; ``scale`` is n.

    A job costs 3 to 4 µs, with its part of the fits. Held are two numbers a job present, and three a bin.
    """

    __slots__ = (
        "_bins", "_changed", "_curve", "_due", "_empty", "_heir", "_hope", "_judge", "_knots", "_noise", "_now",
        "_recent", "_reign", "_scale", "_seen", "_share", "_size", "_stays", "_tail", "_weight", "revision",
    )  # fmt: skip

    def __init__(self, scale: float) -> None:
        self._scale = scale
        self._stays: dict[Hashable, Point] = {}  # of the jobs present: when they came, and the share then
        self._share = 0.0  # ∫ dt/q
        self._now = self._empty = self._changed = 0.0  # last event, job, change of the curve
        self._size = 0.0  # mean, of late
        self._bins: dict[int, list[float]] = {}  # by the logarithm of jobs: ∫ jobs dt, seconds, volume
        self._weight = 1.0  # of what is next: it grows, instead of all before shrinking
        self._seen = self._due = 0.0  # completions: in memory, until the next fit
        self._recent = (0.0, 0.0, 0.0)  # completions, their volume, and what it should be by the fit
        self._reign = 0.0  # completions until the next fit is the judge of the recent ones
        self._noise = 1.0  # mean deviation of one from those, relative: at first nothing is certain
        self._hope = 1.0
        self._knots, self._tail = [(scale, EAGER * scale)], EAGER  # of the fit
        self.revision = -1  # grows whenever the curve is another
        self._tell()
        self._judge = self._heir = self._curve  # the fit that the recent ones are held against; the next

    def curve(self) -> Learned:
        """What the server takes for its curve."""
        return self._curve

    def known(self, hope: float = 1.0) -> Learned:
        """The same, without what is only hoped."""
        points = [(jobs / self._scale, hope * rate / self._scale) for jobs, rate in self._knots]
        return Learned(points, hope * self._tail)

    @property
    def present(self) -> int:
        """How many jobs it takes for present."""
        return len(self._stays)

    def arrived(self, job: Hashable, now: float) -> None:
        """A job came."""
        self._pass(now)
        self._stays[job] = (now, self._share)

    def departed(self, job: Hashable, size: float, now: float) -> None:
        """A job is done, and was of that size."""
        self._pass(now)
        came, share = self._stays.pop(job)
        self._empty = now
        self._size += (size - self._size) / SHORT if self._size else size
        if (seconds := self._share - share) > 0.0:
            self.worked((now - came) / seconds, seconds, size, came >= self._changed)

    def dropped(self, job: Hashable, now: float) -> None:
        """A job was thrown out: nobody knows how much of it was done."""
        self._pass(now)
        del self._stays[job]
        self._empty = now

    def rested(self, now: float) -> None:
        """To be called at the ``deadline``: who has no jobs has nothing to learn from but the time of waiting."""
        if now < self.deadline():
            return
        waited = (now - self._empty) / self._patience()
        self._hope = min(max(waited * waited, self._hope * STEP), BOLDEST)
        self._recent = (0.0, 0.0, 0.0)
        self._tell()

    def deadline(self) -> float:
        """When who has no jobs hopes for more than before; ``NEVER`` while there are some, or nothing is known."""
        if self._stays or not self.revision or not self._size or self._hope >= BOLDEST:
            return NEVER
        return self._empty + self._patience() * sqrt(self._hope * STEP)

    def _patience(self) -> float:
        """So many times what a job takes alone, as far as it is known."""
        return PATIENCE * self._hope * self._size / (self._scale * self._curve.fit(1.0 / self._scale))

    def worked(self, jobs: float, seconds: float, volume: float, whole: bool = True) -> None:
        """With ``jobs`` present it did ``volume`` in ``seconds`` of its time, ``whole`` by one curve."""
        if seconds < INSTANT:
            return
        if self._hope > 1.0:  # now it will know
            self._hope = 1.0
            self._tell()
        jobs = max(jobs, 1.0)
        memory = MEMORY + TURNOVERS * jobs
        if self._surprised(jobs, seconds, volume):
            self._restart()
        if not whole:
            return
        weight = self._weight
        held = self._bins.setdefault(int(log(jobs) / WIDTH), [0.0, 0.0, 0.0])
        held[0] += weight * jobs * seconds
        held[1] += weight * seconds
        held[2] += weight * volume
        self._weight = weight * (1.0 + 1.0 / memory)
        self._seen += 1.0 - self._seen / memory
        self._due -= 1.0
        if self._due <= 0.0:
            self._fit()
            self._due = min(self._seen / 8.0, memory / REFITS)

    def _pass(self, now: float) -> None:
        if self._stays:
            self._share += (now - self._now) / len(self._stays)
        self._now = now

    def _surprised(self, jobs: float, seconds: float, volume: float) -> bool:
        """Whether the last completions had another rate than by the fit before; the fewer, the more it must differ."""
        if not self.revision:
            return False
        self._reign -= 1.0
        if self._reign <= 0.0:
            self._judge, self._heir = self._heir, self._curve
            self._reign = min(self._seen / 4.0, SHORT)
        expected = seconds * self._scale * self._judge.fit(jobs / self._scale)
        if expected <= 0.0:
            return False
        fade, (count, done, due) = 1.0 - 1.0 / SHORT, self._recent
        self._recent = count, done, due = fade * count + 1.0, fade * done + volume, fade * due + expected
        if done <= 0.0:
            return False
        apart = min(1.0, abs(volume / expected * (due / done) - 1.0))
        self._noise += (apart - self._noise) / (10.0 * SHORT)
        return abs(log(done / due)) > SURPRISE + DOUBT * self._noise / sqrt(count)

    def _restart(self) -> None:
        """The curve has changed: until enough is seen of the new one, it is the old one at the new speed."""
        _, done, due = self._recent
        self._knots = [(jobs, rate * (done / due)) for jobs, rate in self._knots]
        self._tail *= done / due
        self._tell()
        self._judge = self._heir = self._curve
        self._bins.clear()
        self._recent = (0.0, 0.0, 0.0)
        self._seen, self._due, self._changed = 0.0, 0.5 * SHORT, self._now

    def _fit(self) -> None:
        knots, tail = concave(self._evidence())
        if knots:  # otherwise nothing was done yet
            first = not self.revision
            self._knots, self._tail = knots, tail
            self._tell()
            if first:
                self._judge = self._heir = self._curve

    def _tell(self) -> None:
        """From now on the curve is another."""
        self._curve = self.known(self._hope)
        self.revision += 1

    def _evidence(self) -> list[Evidence]:
        """What the bins hold, in groups that have seconds enough; bins that time has emptied are given up."""
        total = sum(held[1] for held in self._bins.values())
        filled = sorted((place, held) for place, held in self._bins.items() if held[1] > total * INSTANT)
        self._bins = {place: [amount / self._weight for amount in held] for place, held in filled}
        enough = total / self._weight / GROUPS
        self._weight = 1.0
        groups: list[list[float]] = []
        for held in reversed(self._bins.values()):
            tied = groups and held[0] * groups[-1][1] > (1.0 - INSTANT) * held[1] * groups[-1][0]
            if groups and (tied or groups[-1][1] < enough):
                groups[-1] = [before + more for before, more in zip(groups[-1], held, strict=True)]
            else:
                groups.append(held)
        return [(area / time, volume / time, time) for area, time, volume in reversed(groups)]


def concave(evidence: Sequence[Evidence]) -> tuple[list[Point], float]:
    """A concave, non-decreasing curve through the origin near the evidence, which is in order of jobs.

    Its knots (jobs, rate), and its last slope. The sum of squares is in the mean 0.6 % above the least.
    """
    knots: Sequence[int] = range(len(evidence))
    rates, kinks = _bent(evidence, knots)
    while len(kinks) < len(knots):
        knots = list(kinks)
        rates, kinks = _bent(evidence, knots)
    points = [(evidence[knot][0], rate) for knot, rate in zip(knots, rates, strict=True)]
    return points, kinks.get(len(evidence) - 1, 0.0)


def _bent(evidence: Sequence[Evidence], knots: Sequence[int]) -> tuple[list[float], dict[int, float]]:
    """Least squares among curves that bend at these places of the evidence only, either way, and end flat.

    Rates at the knots, and by how much slopes fall where they do. The normal equations are tridiagonal.
    """
    diagonal, beside, right = ([0.0] * len(knots) for _ in range(3))
    for (at, share), (_, rate, weight) in zip(_places(evidence, knots), evidence, strict=False):
        diagonal[at] += weight * share * share
        right[at] += weight * share * rate
        if at:
            rest = 1.0 - share
            diagonal[at - 1] += weight * rest * rest
            right[at - 1] += weight * rest * rate
            beside[at] += weight * share * rest
    for at in range(1, len(knots)):
        factor = beside[at] / diagonal[at - 1]
        diagonal[at] -= factor * beside[at]
        right[at] -= factor * right[at - 1]
    rates = [0.0] * len(knots)
    after = 0.0
    for at in reversed(range(len(knots))):
        rates[at] = (right[at] - after) / diagonal[at]
        after = beside[at] * rates[at]
    points = [(0.0, 0.0), *((evidence[knot][0], rate) for knot, rate in zip(knots, rates, strict=True))]
    slopes = [(high - low) / (end - start) for (start, low), (end, high) in pairwise(points)]
    falls = zip(knots, pairwise([*slopes, 0.0]), strict=True)
    return rates, {knot: before - after for knot, (before, after) in falls if before > after}


def _places(evidence: Sequence[Evidence], knots: Sequence[int]) -> Iterator[tuple[int, float]]:
    """For each evidence: the number of the next knot, or last, and how far it is there from that before."""
    at, left = 0, 0.0
    for place, (jobs, _, _) in enumerate(evidence if knots else ()):
        if place > knots[at] and at < len(knots) - 1:
            left = evidence[knots[at]][0]
            at += 1
        yield at, min(1.0, (jobs - left) / (evidence[knots[at]][0] - left))
