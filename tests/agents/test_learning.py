"""The learned curve: against true ones, against an exact solver, and against whatever may be observed."""

import math
from collections.abc import Callable
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from gmsr.agents import learning
from gmsr.agents.gauge import QUANTITIES
from gmsr.agents.learning import EAGER, Learned, Learner, concave
from gmsr.agents.sharing import Sharing
from gmsr.topology.curves import (
    Curve,
    Exponential,
    Hyperbolic,
    Logarithmic,
    Multicore,
    Power,
    Table,
    mean_slope,
    scaled,
)

HYPERBOLIC = Hyperbolic(6.0, 30.0)
CORES = Multicore(0.1, 40)
TABLE = Table([[10.0, 1.6], [20.0, 2.9], [40.0, 4.4], [80.0, 5.6]])
CURVES: dict[str, tuple[Curve, float]] = {
    "hyperbolic": (HYPERBOLIC, 3.5),
    "multicore": (CORES, 3.4),
    "table": (TABLE, 4.3),
}
"""Each with a load, volume per second, that keeps some forty jobs a unit of scale at the server."""


class Path:
    """A server of unknown curve under Poisson arrivals of exponential sizes, seen by a learner."""

    def __init__(self, curve: Curve, scale: float = 1.0, seed: int = 1, noise: float = 0.0) -> None:
        self.learner = Learner(scale)
        self.scale = scale
        self.sharing = Sharing(self._rate(curve))
        self.random = Random(seed)
        self.noise = noise
        self.now = 0.0
        self.jobs = 0
        self.held: list[int] = []

    def change(self, curve: Curve) -> None:
        self.sharing.change(self._rate(curve), self.now)

    def run(self, load: float, jobs: int) -> Learner:
        random, sharing, learner = self.random, self.sharing, self.learner
        self.held = []
        for _ in range(jobs):
            self.now += random.expovariate(load * self.scale)
            while sharing.next_departure <= self.now:
                visit, instant = sharing.depart()
                told = visit.size * random.lognormvariate(-(self.noise**2) / 2.0, self.noise)
                learner.departed(visit.job, told, instant)
            self.held.append(len(sharing.visits))
            self.jobs += 1
            sharing.arrive(0, self.jobs, random.expovariate(1.0), self.now)
            learner.arrived(self.jobs, self.now)
        self.held.sort()
        return learner

    def range(self) -> list[float]:
        """Workloads between which four in five arrivals found the server."""
        low, high = (self.held[int(len(self.held) * part)] / self.scale for part in (0.1, 0.9))
        return [low + (high - low) * step / 10 for step in range(11)]

    def _rate(self, curve: Curve) -> Callable[[int], float]:
        scale = self.scale
        return lambda jobs: scale * curve.value(jobs / scale)


def marginal(curve: Curve, jobs: int, scale: float = 1.0) -> float:
    return QUANTITIES["marginal"](curve, scale, 0.0, jobs)


def check_shape(curve: Learned, largest: float) -> None:
    """Concave, non-decreasing, 0 at 0, all up to rounding, at and beyond all that was seen."""
    grid = [0.0, *(largest * 1.1**step for step in range(-60, 40))]
    for told in (curve.fit, curve.value):
        rates = [told(workload) for workload in grid]
        assert rates[0] == 0.0
        assert all(math.isfinite(rate) for rate in rates)
        pieces = pairwise(zip(grid, rates, strict=True))
        slopes = [(high - low) / (right - left) for (left, low), (right, high) in pieces]
        rounding = [1e-9 * rate / workload for workload, rate in zip(grid[1:], rates[1:], strict=True)]
        assert all(slope >= -error for slope, error in zip(slopes, rounding, strict=True))
        for (before, after), error in zip(pairwise(slopes), rounding, strict=False):
            assert after <= before + 1e-9 * before + 20.0 * error
    assert all(0.0 <= curve.slope(workload) < math.inf for workload in grid)


@pytest.mark.parametrize(("name", "value_error", "slope_error"), [
    ("hyperbolic", 0.02, 0.15), ("table", 0.04, 0.20), ("multicore", 0.08, 0.40),
])  # fmt: skip
@pytest.mark.parametrize(("scale", "jobs"), [(1.0, 6000), (10.0, 20_000)])
@pytest.mark.slow
def test_known_curves_are_recovered(
    name: str, value_error: float, slope_error: float, scale: float, jobs: int
) -> None:
    """Where the server was. Errors of slopes are relative to μ/N, largest at kinks: the window rounds them.

    Bounds are 1.5 to 3 times the largest errors of thirty seeds.
    """
    curve, load = CURVES[name]
    path = Path(curve, scale)
    learned = path.run(load, jobs).curve()
    for workload in path.range():
        true = mean_slope(curve, workload, learning.WINDOW * workload)
        assert learned.value(workload) == pytest.approx(curve.value(workload), rel=value_error)
        assert abs(learned.slope(workload) - true) < slope_error * curve.value(workload) / workload


@pytest.mark.slow
def test_noisy_sizes_are_averaged_out() -> None:
    """Each is told wrong by a third; twice the largest errors of thirty seeds."""
    path = Path(HYPERBOLIC, noise=0.3)
    learned = path.run(3.5, 6000).curve()
    for workload in path.range():
        assert learned.value(workload) == pytest.approx(HYPERBOLIC.value(workload), rel=0.08)
        assert abs(learned.slope(workload) - HYPERBOLIC.slope(workload)) < 0.06
    check_shape(learned, 60.0)


@pytest.mark.slow
def test_counted_departures_of_a_birth_and_death_process_do_as_well() -> None:
    """Time at each q against the departures there: what a server sees that does not tell its jobs apart.

    The relative error of a rate that 20,000 departures gave is 1 %, of one in ten of them 2 %.
    """
    random, learner, jobs = Random(1), Learner(1.0), 0
    for _ in range(40_000):
        down = HYPERBOLIC.value(jobs)
        wait = random.expovariate(3.5 + down)
        left = random.random() * (3.5 + down) < down
        if jobs:
            learner.worked(jobs, wait, 1.0 if left else 0.0)
        jobs += -1 if left else 1
    for workload in (30.0, 40.0, 50.0):
        assert learner.curve().value(workload) == pytest.approx(HYPERBOLIC.value(workload), rel=0.1)
    check_shape(learner.curve(), 60.0)


observations = st.lists(
    st.tuples(
        st.floats(0.0, 100.0) | st.integers(1, 1_000_000) | st.floats(1.0, 1e7),
        st.just(0.0) | st.floats(0.0, 10.0) | st.floats(0.0, 1e9),
        st.just(0.0) | st.floats(1e-9, 100.0) | st.floats(1e-9, 1e9),
    ),
    max_size=150,
)


@given(observations, st.sampled_from([0.5, 1.0, 100.0]))
@settings(max_examples=150, deadline=None)
def test_whatever_is_seen_the_curve_is_one(seen: list[tuple[float, float, float]], scale: float) -> None:
    learner = Learner(scale)
    for jobs, seconds, volume in seen:
        learner.worked(jobs, seconds, volume)
    learner._fit()
    check_shape(learner.curve(), max([1.0, *(jobs for jobs, _, _ in seen)]) / scale)


@given(
    st.lists(st.tuples(st.floats(0.0, 3.0), st.just(0.0) | st.floats(1e-9, 9.0), st.booleans()), max_size=60)
)
@settings(deadline=None)
def test_whatever_comes_and_goes_too(steps: list[tuple[float, float, bool]]) -> None:
    """Jobs that leave the instant they came, many at once, or are thrown out; a server that rests."""
    learner, now = Learner(1.0), 0.0
    for job, (gap, size, dropped) in enumerate(steps):
        learner.arrived(job, now)
        now += gap
        learner.rested(now)
        if job % 3 == 2:
            for left in range(job - 2, job + 1):
                learner.dropped(left, now) if dropped else learner.departed(left, size, now)
    check_shape(learner.curve(), 10.0)
    assert len(learner._stays) == len(steps) % 3


def test_nobody_knows_means_try() -> None:
    """More than any server that has seen something, and without a difference that would shut one out."""
    learner = Learner(10.0)
    assert learner.revision == 0
    assert marginal(learner.curve(), 0, 10.0) == pytest.approx(EAGER)
    assert marginal(learner.curve(), 1000, 10.0) > 1e9
    check_shape(learner.curve(), 10.0)
    learner.worked(3.0, 1.0, 0.0)  # nothing done yet: nothing known
    assert learner.revision == 0
    learner.worked(3.0, 1.0, 2.0)
    assert learner.revision == 1
    assert learner.curve().fit(0.3) == pytest.approx(0.1, rel=1e-3)  # of both seconds, at scale 10


def test_where_it_never_was_the_curve_goes_on_and_flattens() -> None:
    learner = Learner(1.0)
    for jobs in range(10, 21):
        learner.worked(jobs, 10.0, 10.0 * HYPERBOLIC.value(jobs))
    curve = learner.curve()
    assert marginal(curve, 1) == pytest.approx(HYPERBOLIC.value(10) / 10, rel=1e-3)  # a chord
    slopes = [curve.slope(workload) for workload in (19.0, 30.0, 60.0, 120.0, 1000.0)]
    assert slopes == sorted(slopes, reverse=True)
    assert slopes[0] == pytest.approx(HYPERBOLIC.slope(19.0), rel=0.15)
    assert slopes[2] == pytest.approx(slopes[0] / 3.0, rel=0.3)
    assert slopes[-1] > 0.0


def test_a_flat_end_stays_flat_and_a_linear_one_ties_exactly() -> None:
    """Marginals that are equal are told as equal: ties are the policy's."""
    learner = Learner(1.0)
    for jobs in range(1, 81):
        learner.worked(jobs, 1.0, CORES.value(jobs))
    told = [float(f"{marginal(learner.curve(), jobs):.9g}") for jobs in range(100)]
    assert set(told[:30]) == {0.1}
    assert set(told[55:]) == {0.0}
    assert told == sorted(told, reverse=True)
    assert len(set(told[34:44])) > 5  # no jump at the kink


@pytest.mark.slow
@pytest.mark.parametrize("factor", [0.5, 0.1, 3.0])
def test_a_change_of_speed_is_followed(factor: float) -> None:
    """Soon, whatever the memory: within twenty times the jobs present. Of sixty seeds 0.05 at most."""
    path = Path(HYPERBOLIC)
    path.run(3.5, 6000)
    path.change(scaled(HYPERBOLIC, factor))
    learned = path.run(3.5 * factor, 800).curve()
    for workload in path.range():
        assert learned.value(workload) == pytest.approx(factor * HYPERBOLIC.value(workload), rel=0.1)


@pytest.mark.slow
def test_another_curve_is_learned_too() -> None:
    """Of sixty seeds 0.04 at most."""
    path = Path(CORES)
    path.run(3.4, 6000)
    path.change(HYPERBOLIC)
    learned = path.run(3.4, 4000).curve()
    for workload in path.range():
        assert learned.value(workload) == pytest.approx(HYPERBOLIC.value(workload), rel=0.06)


@pytest.mark.slow
def test_noise_is_no_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """A false alarm forgets nearly all."""
    alarms = []
    restart = Learner._restart

    def told(learner: Learner) -> None:
        alarms.append(learner)
        restart(learner)

    monkeypatch.setattr(Learner, "_restart", told)
    for seed, noise in enumerate([0.0, 0.0, 0.3, 0.3]):
        Path(HYPERBOLIC, seed=seed, noise=noise).run(3.5, 5000)
    assert not alarms
    path = Path(HYPERBOLIC)
    path.run(3.5, 3000)
    path.change(scaled(HYPERBOLIC, 0.5))
    path.run(1.75, 1000)
    assert 1 <= len(alarms) <= 5


def test_who_rests_for_long_hopes_until_a_job_tells() -> None:
    learner = Learner(1.0)
    for job in range(100):
        learner.arrived(job, 10.0 * job)
        learner.departed(job, 1.0, 10.0 * job + 1.0)
    before, revision = marginal(learner.curve(), 0), learner.revision
    assert before == pytest.approx(1.0, rel=0.01)
    learner.rested(991.0 + 4.0)
    assert learner.revision == revision
    learner.rested(991.0 + 15.0)
    assert marginal(learner.curve(), 0) == pytest.approx(9.0 * before)
    hoped = learner.revision
    learner.rested(991.0 + 15.5)
    assert learner.revision == hoped > revision
    learner.arrived(100, 1010.0)
    learner.rested(2000.0)
    assert learner.revision == hoped
    learner.departed(100, 1.0, 2000.0)
    assert marginal(learner.curve(), 0) < 2.0 * before


def test_who_became_faster_while_it_rested_finds_out_at_once() -> None:
    """One job that is served twenty times as fast suffices, where it was hope that brought it."""
    learner, now = Learner(1.0), 0.0
    for job in range(1501):
        stay, gap = (1.0, 2.0) if job < 1500 else (0.05, 40.0)
        now += gap
        learner.rested(now)
        learner.arrived(job, now)
        now += stay
        learner.departed(job, 1.0, now)
    assert marginal(learner.curve(), 0) == pytest.approx(20.0, rel=0.1)


@pytest.mark.slow
def test_memory_is_bounded() -> None:
    random, learner = Random(1), Learner(1.0)
    for _ in range(20_000):
        jobs = math.exp(random.random() * math.log(1e6))
        learner.worked(jobs, 1.0, HYPERBOLIC.value(jobs))
    assert len(learner._bins) <= 700
    assert len(learner.curve().describe()["points"]) <= learning.GROUPS + learning.PIECES + 2
    assert learner._weight < 1e3
    for job in range(1000):
        learner.arrived(job, 0.0)
    for job in range(0, 1000, 2):
        learner.departed(job, 1.0, 1.0)
        learner.dropped(job + 1, 1.0)
    assert not learner._stays


def test_fits_are_few_once_much_is_known() -> None:
    learner = Learner(1.0)
    for seen in (10, 100, 1000, 10_000):
        while learner._seen < min(seen, 1900):
            learner.worked(40.0, 1.0, 3.0)
    assert learner.revision < 80


def test_what_is_learned_is_determined() -> None:
    """By what was seen, to the last bit."""
    first, second = (Path(HYPERBOLIC, noise=0.1).run(3.5, 800) for _ in range(2))
    assert first.curve().describe() == second.curve().describe()
    assert first.revision == second.revision


def test_the_fit_is_nearly_that_of_least_squares() -> None:
    """Against an exact solver (Lawson and Hanson) over all bends at the evidence."""
    random, excess = Random(1), []
    for noise in (0.003, 0.01, 0.1, 1.0):
        for _ in range(10):
            jobs = sorted(random.gauss(50.0, 10.0) for _ in range(24))
            rates = [max(HYPERBOLIC.value(q) * (1.0 + noise * random.gauss(0.0, 1.0)), 0.0) for q in jobs]
            weights = np.array([random.uniform(0.5, 2.0) for _ in jobs])
            points, _ = concave(list(zip(jobs, rates, weights, strict=True)))
            fits = np.interp(jobs, [0.0, *(n for n, _ in points)], [0.0, *(rate for _, rate in points)])
            bends = np.minimum.outer(jobs, jobs) * np.sqrt(weights)[:, None]
            least = nnls(bends, np.sqrt(weights) * rates)[1] ** 2
            excess.append(float(weights @ (fits - rates) ** 2) / least - 1.0)
    assert min(excess) > -1e-6
    assert sum(excess) / len(excess) < 0.02
    assert max(excess) < 0.3


def test_evidence_that_is_concave_is_met_exactly() -> None:
    evidence = [(q, HYPERBOLIC.value(q), 1.0) for q in (1.0, 2.0, 5.0, 10.0, 40.0)]
    points, tail = concave(evidence)
    assert [n for n, _ in points] == [jobs for jobs, _, _ in evidence]
    assert [rate for _, rate in points] == pytest.approx([rate for _, rate, _ in evidence])
    assert tail == pytest.approx((HYPERBOLIC.value(40.0) - HYPERBOLIC.value(10.0)) / 30.0)
    assert concave([]) == ([], 0.0)
    assert concave([(1.0, 0.0, 1.0)]) == ([], 0.0)
    (point,), flat = concave([(1.0, 2.0, 1.0), (2.0, 1.0, 1.0)])
    assert point == pytest.approx((1.0, 1.5))
    assert flat == 0.0


@given(st.lists(st.floats(0.05, 1.0), min_size=1, max_size=8), st.floats(0.0, 1.0), st.floats(0.01, 50.0))
def test_the_window_is_a_mean_and_the_slope_its_derivative(
    falls: list[float], tail: float, workload: float
) -> None:
    """Both against sums over small steps."""
    points, slope, n, rate = [], 5.0, 0.0, 0.0
    for fall in falls:
        n, rate = n + 1.0, rate + slope
        points.append((n, rate))
        slope *= fall
    curve = Learned(points, slope * tail)
    spread = [workload * (1.0 + learning.WINDOW * (step / 500.0 - 0.999)) for step in range(1000)]
    mean = sum(curve.fit(each) for each in spread) / 1000
    assert curve.value(workload) == pytest.approx(mean, rel=1e-3)
    step = 1e-4 * workload
    rise = curve.value(workload + step) - curve.value(workload - step)
    assert curve.slope(workload) == pytest.approx(rise / (2.0 * step), rel=0.01, abs=1e-5)
    check_shape(curve, n)


class Fleet:
    """Unequal servers behind one dispatcher that goes by marginals: of their true curves, or of learned ones."""

    def __init__(self, curves: list[Curve], learned: bool) -> None:
        self.curves = curves
        self.sharing = [Sharing(curve.value) for curve in curves]
        self.learners = [Learner(1.0) for _ in curves] if learned else []
        self.random = Random(1)
        self.now = 0.0
        self.jobs = 0

    def run(self, load: float, jobs: int) -> float:
        """Mean number of jobs that arrivals find."""
        found = 0
        for _ in range(jobs):
            self.jobs += 1
            self._wait(self.now + self.random.expovariate(load))
            held = [len(sharing.visits) for sharing in self.sharing]
            found += sum(held)
            told = [each.curve() for each in self.learners] or self.curves
            marginals = [marginal(curve, here) for curve, here in zip(told, held, strict=True)]
            choice = marginals.index(max(marginals))
            self.sharing[choice].arrive(0, self.jobs, self.random.expovariate(1.0), self.now)
            if self.learners:
                self.learners[choice].arrived(self.jobs, self.now)
        return found / jobs

    def change(self, place: int, curve: Curve) -> None:
        self.curves[place] = curve
        self.sharing[place].change(curve.value, self.now)

    def _wait(self, until: float) -> None:
        self.now = until
        for place, sharing in enumerate(self.sharing):
            while sharing.next_departure <= until:
                visit, instant = sharing.depart()
                if self.learners:
                    self.learners[place].departed(visit.job, visit.size, instant)
            if self.learners:
                self.learners[place].rested(until)


@pytest.mark.slow
def test_a_fleet_that_learns_is_nearly_as_good_as_one_that_knows() -> None:
    """A thousand completions a server later, and again once one is half as fast. Of twenty seeds 0.5 %."""
    curves: list[Curve] = [Hyperbolic(6.0, 20.0), Hyperbolic(3.0, 5.0), Hyperbolic(4.0, 40.0), TABLE]
    knows, learns = Fleet(list(curves), learned=False), Fleet(list(curves), learned=True)
    for load in (11.0, 9.5):
        for fleet in (knows, learns):
            fleet.run(load, 4000)
        assert learns.run(load, 8000) == pytest.approx(knows.run(load, 8000), rel=0.02)
        for fleet in (knows, learns):
            fleet.change(0, scaled(curves[0], 0.5))


@pytest.mark.slow
def test_where_few_jobs_are_a_server_that_is_fast_again_is_used_again() -> None:
    """What it did with more jobs while it was slow must not hold it down. Of six seeds 0.8 %."""
    curves: list[Curve] = [
        Hyperbolic(16.0, 8.0), Exponential(12.0, 6.0), Multicore(1.0, 16), Power(2.0, 0.5), Logarithmic(8.0, 4.0),
    ]  # fmt: skip
    knows, learns = Fleet(list(curves), learned=False), Fleet(list(curves), learned=True)
    for curve, jobs in ((curves[0], 5000), (scaled(curves[0], 0.5), 4000), (curves[0], 2000)):
        for fleet in (knows, learns):
            fleet.change(0, curve)
            fleet.run(38.0, jobs)
    assert learns.run(38.0, 6000) == pytest.approx(knows.run(38.0, 6000), rel=0.02)


def test_every_quantity_can_be_told_of_a_learned_curve() -> None:
    curve: Curve = Path(HYPERBOLIC).run(3.5, 500).curve()
    for name, measure in QUANTITIES.items():
        for jobs in (0, 1, 30, 100_000):
            assert 0.0 <= measure(curve, 1.0, 0.0, jobs) < math.inf, name
