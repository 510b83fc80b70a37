"""What a server can tell of itself: one number for each quantity that a policy may read.

A report carries exactly the quantities that the policy declares, in its order. Here N = q/n is the
workload of q jobs at scale n, and μ the server's curve (MODEL: curves, policy).
"""

from collections.abc import Callable, Sequence

from gmsr.topology.curves import Curve, difference, mean_slope

from .machine import Message

MEMO = 1 << 16
"""Reports are remembered up to this many jobs; beyond it they are computed each time."""


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


QUANTITIES: dict[str, Callable[[Curve, float, float, int], float]] = {
    "marginal": marginal,
    "derivative": derivative,
    "jobs": jobs_held,
    "rate": rate,
    "latency": latency,
    "idle": idle,
}
"""Every quantity that a policy may declare in ``reads``."""


class Gauge:
    """Turns a number of jobs into the report that is due, and remembers it."""

    __slots__ = ("_kind", "_measures", "_memo", "_setting")

    def __init__(self, kind: int, reads: Sequence[str], curve: Curve, scale: float, width: float) -> None:
        self._kind = kind
        self._measures = [QUANTITIES[name] for name in reads]
        self._setting = (curve, scale, width)
        self._memo: list[Message] = []

    def report(self, jobs: int) -> Message:
        """The message for ``jobs`` jobs: the kind, then a float for each quantity."""
        memo = self._memo
        if jobs < len(memo):
            return memo[jobs]
        if jobs >= MEMO:
            return self._measure(jobs)
        while len(memo) <= jobs:
            memo.append(self._measure(len(memo)))
        return memo[jobs]

    def _measure(self, jobs: int) -> Message:
        return (self._kind, *(_settled(measure(*self._setting, jobs)) for measure in self._measures))


def _settled(value: float) -> float:
    """The value to 12 significant digits.

    On a linear stretch all marginals are equal; a difference of two rounded values of μ is not, in its
    last digits, and would break ties by noise instead of by the policy's rule.
    """
    return float(f"{value:.12g}")
