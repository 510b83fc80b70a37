"""Measured curves: points are checked, and repaired openly where they are not concave."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from .errors import UserError

Point = tuple[float, float]


class Repair(NamedTuple):
    """One measured point that the least concave majorant lifts."""

    workload: float
    measured: float
    repaired: float

    def __str__(self) -> str:
        lift = (self.repaired / self.measured - 1.0) * 100.0
        return f"N = {self.workload:g}: {self.measured:g} lifted to {self.repaired:.6g} (+{lift:.2g} %)"


def check(points: Sequence[Sequence[float]]) -> list[Point]:
    """The points as numbers, (0, 0) left out.

    Raises UserError (without the file's name) where they are no increasing curve through the origin.
    """
    rows = [(float(n), float(rate)) for n, rate in points]
    if rows and rows[0] == (0.0, 0.0):
        rows.pop(0)
    if not rows:
        raise UserError("no points; give at least one (N, rate) with N > 0")
    previous = (0.0, 0.0)
    for n, rate in rows:
        if not (0.0 < n < float("inf") and 0.0 < rate < float("inf")):
            raise UserError(f"point ({n:g}, {rate:g}): both numbers must be positive and finite")
        if n <= previous[0]:
            raise UserError(f"N = {n:g} follows N = {previous[0]:g}; list points by increasing N")
        if rate < previous[1]:
            raise UserError(
                f"the rate falls from {previous[1]:g} to {rate:g} at N = {n:g}; "
                "a curve may not decrease: end it at its largest rate"
            )
        previous = (n, rate)
    return rows


def repair(points: Sequence[Point]) -> tuple[list[Point], list[Repair]]:
    """The least concave majorant through the origin, and which points it had to lift.

    Upper hull by a single pass (Andrew's monotone chain). Points on the hull stay exactly as measured.
    """
    hull: list[Point] = [(0.0, 0.0)]
    for point in points:
        while len(hull) > 1 and _below(hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
    kept = set(hull)
    lifted = [Repair(n, rate, _at(hull, n)) for n, rate in points if (n, rate) not in kept]
    return hull[1:], lifted


def _below(left: Point, middle: Point, right: Point) -> bool:
    """Whether the middle point lies strictly below the chord of the other two."""
    return (middle[1] - left[1]) * (right[0] - left[0]) < (right[1] - left[1]) * (middle[0] - left[0])


def _at(hull: Sequence[Point], n: float) -> float:
    for (left, low), (right, high) in pairwise(hull):
        if n <= right:
            return low + (high - low) * (n - left) / (right - left)
    return hull[-1][1]
