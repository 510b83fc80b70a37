"""Service-rate curves μ(N): concave, non-decreasing, μ(0) = 0 (MODEL section 3).

Every agent loads this file: closed forms and the standard library only. N is workload (jobs divided by the
scale), μ is volume per emulated second. The closed forms are plain functions of numbers: ``topology.theory``
compiles these very functions for its loops.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import exp, expm1, inf, log, log1p
from typing import Any, Protocol


class Curve(Protocol):
    """A service-rate curve."""

    kind: str
    cap: float  # sup μ, possibly inf
    cap_reached: bool  # whether μ(N) = cap at a finite N
    kinks: tuple[float, ...]  # where the slope jumps, in increasing order

    def value(self, workload: float) -> float:
        """μ(N) for N ≥ 0."""

    def slope(self, workload: float) -> float:
        """Right derivative μ′(N+), possibly inf at 0."""

    def inverse(self, rate: float) -> float:
        """The smallest N with μ(N) = ``rate``; inf where the curve never gets there."""

    def describe(self) -> dict[str, Any]:
        """Plain data that ``make`` takes back."""


def hyperbolic(workload: float, a: float, b: float) -> float:
    """aN/(b+N), in an order in which nothing overflows."""
    return a * (workload / (b + workload))


def hyperbolic_slope(workload: float, a: float, b: float) -> float:
    """ab/(b+N)²."""
    ratio = b / (b + workload)
    return a / b * ratio * ratio


def exponential(workload: float, a: float, b: float) -> float:
    """a(1 − e^(−N/b))."""
    return -a * expm1(-workload / b)


def exponential_slope(workload: float, a: float, b: float) -> float:
    """(a/b)e^(−N/b)."""
    return a / b * exp(-workload / b)


def power(workload: float, a: float, p: float) -> float:
    """aN^p."""
    return float(a * workload**p)


def power_slope(workload: float, a: float, p: float) -> float:
    """apN^(p−1) for N > 0."""
    return float(a * p * workload ** (p - 1.0))


def logarithmic(workload: float, a: float, b: float) -> float:
    """a·ln(1+N/b)."""
    return a * log1p(workload / b)


def logarithmic_slope(workload: float, a: float, b: float) -> float:
    """a/(b+N)."""
    return a / (b + workload)


class _TwoParameters:
    """What curves of a size a and a scale b share."""

    kind: str
    cap_reached = False
    kinks: tuple[float, ...] = ()

    def __init__(self, a: float, b: float) -> None:
        self.a, self.b = a, b

    def describe(self) -> dict[str, Any]:
        """Plain data."""
        return {"kind": self.kind, "a": self.a, "b": self.b}


class Hyperbolic(_TwoParameters):
    """aN/(b+N): batch decoding with step time α + βN has a = 1/β and b = α/β."""

    kind = "hyperbolic"

    def __init__(self, a: float, b: float) -> None:
        super().__init__(a, b)
        self.cap = a

    def value(self, workload: float) -> float:
        """aN/(b+N)."""
        return hyperbolic(workload, self.a, self.b)

    def slope(self, workload: float) -> float:
        """ab/(b+N)²."""
        return hyperbolic_slope(workload, self.a, self.b)

    def inverse(self, rate: float) -> float:
        """br/(a−r)."""
        return self.b * rate / (self.a - rate) if rate < self.a else inf


class Exponential(_TwoParameters):
    """a(1 − e^(−N/b))."""

    kind = "exponential"

    def __init__(self, a: float, b: float) -> None:
        super().__init__(a, b)
        self.cap = a

    def value(self, workload: float) -> float:
        """a(1 − e^(−N/b))."""
        return exponential(workload, self.a, self.b)

    def slope(self, workload: float) -> float:
        """(a/b)e^(−N/b)."""
        return exponential_slope(workload, self.a, self.b)

    def inverse(self, rate: float) -> float:
        """−b·ln(1−r/a)."""
        return -self.b * log1p(-rate / self.a) if rate < self.a else inf


class Multicore:
    """m·min(N, k): k cores that each complete volume m a second."""

    kind = "multicore"
    cap_reached = True

    def __init__(self, m: float, k: float) -> None:
        self.m, self.k = m, k
        self.cap = m * k
        self.kinks: tuple[float, ...] = (float(k),)

    def value(self, workload: float) -> float:
        """m·min(N, k)."""
        return self.m * min(workload, self.k)

    def slope(self, workload: float) -> float:
        """m below k, 0 from k on."""
        return self.m if workload < self.k else 0.0

    def inverse(self, rate: float) -> float:
        """r/m, and exactly k at the cap."""
        if rate >= self.cap:
            return float(self.k) if rate == self.cap else inf
        return min(rate / self.m, self.k)

    def describe(self) -> dict[str, Any]:
        """Plain data."""
        return {"kind": self.kind, "m": self.m, "k": self.k}


class Power:
    """aN^p with 0 < p < 1."""

    kind = "power"
    cap = inf
    cap_reached = False
    kinks: tuple[float, ...] = ()

    def __init__(self, a: float, p: float) -> None:
        self.a, self.p = a, p

    def value(self, workload: float) -> float:
        """aN^p."""
        return power(workload, self.a, self.p)

    def slope(self, workload: float) -> float:
        """apN^(p−1), inf at 0, and where that overflows."""
        try:
            return power_slope(workload, self.a, self.p) if workload > 0.0 else inf
        except OverflowError:
            return inf

    def inverse(self, rate: float) -> float:
        """(r/a)^(1/p), inf where that overflows."""
        try:
            return float((rate / self.a) ** (1.0 / self.p))
        except OverflowError:
            return inf

    def describe(self) -> dict[str, Any]:
        """Plain data."""
        return {"kind": self.kind, "a": self.a, "p": self.p}


class Logarithmic(_TwoParameters):
    """a·ln(1+N/b)."""

    kind = "logarithmic"
    cap = inf

    def value(self, workload: float) -> float:
        """a·ln(1+N/b)."""
        return logarithmic(workload, self.a, self.b)

    def slope(self, workload: float) -> float:
        """a/(b+N)."""
        return logarithmic_slope(workload, self.a, self.b)

    def inverse(self, rate: float) -> float:
        """b(e^(r/a)−1), inf where that overflows."""
        return self.b * expm1(rate / self.a) if rate / self.a < log(1e300) else inf


class Table:
    """Linear between points (N, μ) from (0, 0) on, constant after the last.

    The points must be concave and non-decreasing: ``topology.table.repair`` makes measured ones so.
    """

    kind = "table"
    cap_reached = True

    def __init__(self, points: Sequence[Sequence[float]]) -> None:
        rows = [(float(n), float(rate)) for n, rate in points]
        if not rows or rows[0][0] != 0.0:
            rows.insert(0, (0.0, 0.0))
        self._n = [n for n, _ in rows]
        self._rates = [rate for _, rate in rows]
        steps = pairwise(rows)
        self._slopes = [(high - low) / (right - left) for (left, low), (right, high) in steps]
        self._slopes.append(0.0)
        self.cap = self._rates[-1]
        changes = zip(self._n[1:], self._slopes, self._slopes[1:], strict=False)
        # Slopes of equal pieces differ by rounding alone; that is no kink.
        self.kinks = tuple(n for n, before, after in changes if before - after > 1e-9 * before)

    def value(self, workload: float) -> float:
        """Interpolated."""
        at = bisect_right(self._n, workload) - 1
        return self._rates[at] + self._slopes[at] * (workload - self._n[at])

    def slope(self, workload: float) -> float:
        """Slope of the piece to the right."""
        return self._slopes[bisect_right(self._n, workload) - 1]

    def inverse(self, rate: float) -> float:
        """Interpolated; exactly the point's N at a point, at the cap the first that reaches it."""
        if rate > self.cap:
            return inf
        at = bisect_left(self._rates, rate)
        if self._rates[at] == rate:
            return self._n[at]
        return self._n[at - 1] + (rate - self._rates[at - 1]) / self._slopes[at - 1]

    def describe(self) -> dict[str, Any]:
        """Plain data."""
        points = [list(point) for point in zip(self._n[1:], self._rates[1:], strict=True)]
        return {"kind": self.kind, "points": points}


KINDS: dict[str, type[Any]] = {
    made.kind: made for made in (Hyperbolic, Exponential, Multicore, Power, Logarithmic, Table)
}


def make(description: Mapping[str, Any]) -> Curve:
    """The curve that ``describe`` described. Raises KeyError or TypeError on anything else."""
    fields = dict(description)
    made: Curve = KINDS[fields.pop("kind")](**fields)
    return made


def difference(curve: Curve, jobs: int, scale: float) -> float:
    """Marginal service rate of one more job: Δ(q) = n·[μ((q+1)/n) − μ(q/n)] (MODEL section 2)."""
    return scale * (curve.value((jobs + 1) / scale) - curve.value(jobs / scale))


def mean_slope(curve: Curve, workload: float, width: float) -> float:
    """Mean slope of the curve over [N − w, N + w], cut at 0; the right derivative if w = 0, or too small to tell."""
    low, high = max(workload - width, 0.0), workload + width
    if not high > low:
        return curve.slope(workload)
    return (curve.value(high) - curve.value(low)) / (high - low)


def last_kink(curve: Curve) -> float:
    """The largest N at which the slope jumps; 0 for a smooth curve."""
    return curve.kinks[-1] if curve.kinks else 0.0


def scaled(curve: Curve, factor: float) -> Curve:
    """The curve of a server that is ``factor`` > 0 times as fast at every workload."""
    plain = curve.describe()
    if plain["kind"] == "table":
        plain["points"] = [[workload, factor * rate] for workload, rate in plain["points"]]
    else:
        size = "m" if plain["kind"] == "multicore" else "a"
        plain[size] *= factor
    return make(plain)
