"""How a server works, and what it can tell of that.

It works at its true curve, as an operator has last set it. If it knows that curve it reports by it. If it learns, it
is told nothing of the curve, nor when that changes, and reports by what its jobs have shown (``study.py``).
"""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

from gmsr.topology.curves import Curve, make, scaled

from .gauge import Gauge
from .machine import LEAST_FACTOR, MOST_FACTOR, NEVER
from .sharing import Sharing
from .study import Study
from .terms import Service

PROBES = [0.0, *(2.0**power for power in range(-20, 41))]
"""Workloads at which a curve that an operator orders is tried."""


class Work:
    """One server's, in one life."""

    __slots__ = ("_curve", "_paused", "_service", "gauge", "sharing", "study")

    def __init__(self, service: Service) -> None:
        self._service = service
        self._curve = service.curve  # at present
        self._paused = False
        self.sharing = Sharing(self._rate())
        self.study = Study(service) if service.learns else None
        self.gauge = self.study.gauge(0.0) if self.study else self._measure()
        """What can be told now."""

    def slow(self, order: Mapping[str, Any], now: float) -> None:
        """Work at another speed, or by another curve. What makes no sense is passed over."""
        match order:
            case {"factor": float(factor)} if LEAST_FACTOR <= factor <= MOST_FACTOR:
                self._curve = scaled(self._service.curve, factor)
            case {"curve": dict(plain)} if curve := sound(plain):
                self._curve = curve
            case _:
                return
        if not self._paused:
            self.sharing.change(self._rate(), now)
        if not self.study:
            self.gauge = self._measure()

    def pause(self, now: float) -> None:
        """Stand still."""
        self._paused = True
        self.sharing.change(None, now)
        if self.study:
            self.study.pause(now)

    def resume(self, now: float) -> None:
        """Go on."""
        self._paused = False
        self.sharing.change(self._rate(), now)
        if self.study:
            self.study.resume(now)

    def look(self, now: float) -> None:
        """See whether something was learned."""
        if self.study:
            self.gauge = self.study.gauge(now)

    def speed(self, jobs: int) -> float:
        """μ(N) with so many jobs here, volume per second; 0 while it stands still."""
        return 0.0 if self._paused else self._curve.value(jobs / self._service.scale)

    def _rate(self) -> Callable[[int], float]:
        curve, scale = self._curve, self._service.scale

        def total_rate(jobs: int) -> float:
            """Size completed per emulated second: n·μ(q/n), since a job's volume is its size divided by n."""
            return scale * curve.value(jobs / scale)

        return total_rate

    def _measure(self) -> Gauge:
        service = self._service
        return Gauge(service.reads, self._curve, service.scale, service.smoothing)


def sound(plain: Mapping[str, Any]) -> Curve | None:
    """The curve that an order describes; None if it describes none, or one that nobody can work by."""
    try:
        curve = make(plain)
        points = [workload for workload, _ in curve.describe().get("points", ())]
        rates = [curve.value(workload) for workload in sorted({*PROBES, *points})]
        rising = all(before <= after * (1.0 + 1e-9) for before, after in pairwise(rates))
        positive = rates[0] >= 0.0 and rates[1] > 0.0 and curve.slope(0.0) > 0.0
        return curve if rising and positive and rates[-1] < NEVER and points == sorted(points) else None
    except Exception:  # whatever a field of the wrong kind or size raises
        return None
