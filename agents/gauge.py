"""What a server can tell of itself: one number for each quantity that a policy may read.

A report carries the quantities that the policy declares, in its order, and what the feed adds for its own ends. Here
N = q/n is the workload of q jobs at scale n, and μ the server's curve (MODEL: curves, policy).
"""

from collections.abc import Callable, Sequence

from gmsr.topology.curves import Curve, difference, mean_slope

MEMO = 1 << 16
"""Reports are remembered up to this many jobs; beyond it they are computed each time. Only what is asked for is ever
computed: where the curve is learned the gauge is a new one now and then, for a server that may hold many jobs."""
NOMINAL = 100.0
"""A curve without a cap counts as full at this workload."""


def marginal(curve: Curve, scale: float, width: float, jobs: int) -> float:
    """Marginal service rate of one more job: the forward difference n[μ(N + 1/n) − μ(N)].

    With a smoothing window w the chord reaches w further on both sides, cut at 0, so that it is still
    centred on the job to come.
    """
    if width == 0.0:
        return difference(curve, jobs, scale)
    step = 0.5 / scale
    return mean_slope(curve, jobs / scale + step, width + step)


def derivative(curve: Curve, scale: float, width: float, jobs: int) -> float:
    """Right derivative μ′(N), or the mean slope over [N − w, N + w] where the server smooths."""
    return mean_slope(curve, jobs / scale, width)


def jobs_held(_curve: Curve, _scale: float, _width: float, jobs: int) -> float:
    """Number of jobs at the server."""
    return float(jobs)


def rate(curve: Curve, scale: float, _width: float, jobs: int) -> float:
    """Service rate μ(N), volume per second."""
    return curve.value(jobs / scale)


def latency(curve: Curve, scale: float, _width: float, jobs: int) -> float:
    """N/μ(N), the mean time in system at this workload by Little's law; its limit 1/μ′(0) when empty."""
    if jobs == 0:
        return 1.0 / curve.slope(0.0)
    workload = jobs / scale
    return workload / curve.value(workload)


def idle(_curve: Curve, _scale: float, _width: float, jobs: int) -> float:
    """1 if the server holds no job, 0 otherwise."""
    return 0.0 if jobs else 1.0


def utilisation(curve: Curve, scale: float, _width: float, jobs: int) -> float:
    """How much of its capacity the server uses: μ(N) over its cap, or over μ(100) where there is none."""
    full = curve.cap if curve.cap < float("inf") else curve.value(NOMINAL)
    return curve.value(jobs / scale) / full


QUANTITIES: dict[str, Callable[[Curve, float, float, int], float]] = {
    "marginal": marginal,
    "derivative": derivative,
    "jobs": jobs_held,
    "rate": rate,
    "latency": latency,
    "idle": idle,
    "utilisation": utilisation,
}
"""What a server can say of itself by its number of jobs alone."""
CURVELESS = ("jobs", "idle")
"""Those of them that say nothing of its curve."""
SLOPES = ("fall", "rise")
"""How much the marginal falls with some jobs more, and rises with as many fewer: two numbers ≥ 0, last in ``reads``."""


class Gauge:
    """Turns a number of jobs into the values that are due, and remembers them."""

    __slots__ = ("_measures", "_memo", "_setting", "slopes")

    def __init__(self, reads: Sequence[str], curve: Curve, scale: float, width: float) -> None:
        self._measures = [QUANTITIES[name] for name in reads if name not in SLOPES]
        self.slopes = SLOPES[0] in reads
        """Whether reports end with ``SLOPES``."""
        self._setting = (curve, scale, width)
        self._memo: dict[int, tuple[float, ...]] = {}

    def values(self, jobs: int) -> tuple[float, ...]:
        """One for each quantity but the slopes, with ``jobs`` jobs here."""
        known = self._memo.get(jobs)
        if known is None:
            known = self._measure(jobs)
            if jobs < MEMO:
                self._memo[jobs] = known
        return known

    def slope(self, jobs: int, ahead: float) -> tuple[float, float]:
        """``SLOPES`` for so many jobs more and fewer, which need not be whole: marginals in between are interpolated.

        Where the marginal is infinite nothing can be said of how it falls: zeros.
        """
        here = self.at(float(jobs))
        there, before = self.at(jobs + ahead), self.at(max(jobs - ahead, 0.0))
        if not before < float("inf"):
            return (max(here - there, 0.0), 0.0) if here < float("inf") else (0.0, 0.0)
        return max(here - there, 0.0), max(before - here, 0.0)

    def at(self, jobs: float) -> float:
        """The marginal, as it is reported; between whole numbers of jobs interpolated."""
        low = int(jobs)
        first = marginal(*self._setting, low)
        if jobs == low or first == float("inf"):
            return first
        return first + (jobs - low) * (marginal(*self._setting, low + 1) - first)

    def _measure(self, jobs: int) -> tuple[float, ...]:
        return tuple(_settled(measure(*self._setting, jobs)) for measure in self._measures)


def _settled(value: float) -> float:
    """The value to 12 significant digits.

    On a linear stretch all marginals are equal; a difference of two rounded values of μ is not, in its
    last digits, and would break ties by noise instead of by the policy's rule.
    """
    return float(f"{value:.12g}")
