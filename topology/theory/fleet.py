"""All servers' curves as arrays, for compiled loops: μ, its marginal as servers report it, and their inverses.

The closed forms are those of ``topology.curves``, compiled. Piecewise linear curves (multicore, table) share one
form: pieces of constant slope.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import curves
from ..curves import Curve
from ..graph import Server
from .compiled import compiled, inlined

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

HYPERBOLIC, EXPONENTIAL, POWER, LOGARITHMIC, PIECES = range(5)
_CODES = {"hyperbolic": HYPERBOLIC, "exponential": EXPONENTIAL, "power": POWER, "logarithmic": LOGARITHMIC}

hyperbolic = compiled(curves.hyperbolic)
hyperbolic_slope = compiled(curves.hyperbolic_slope)
exponential = compiled(curves.exponential)
exponential_slope = compiled(curves.exponential_slope)
power = compiled(curves.power)
power_slope = compiled(curves.power_slope)
logarithmic = compiled(curves.logarithmic)
logarithmic_slope = compiled(curves.logarithmic_slope)


class Fleet(NamedTuple):
    """Servers j = 0 … J−1. Workloads in units of N, rates in volume per emulated second."""

    kind: Ints  # (J,)
    a: Floats  # (J,) first parameter
    b: Floats  # (J,) second parameter
    cap: Floats  # (J,) sup μ
    reached: Flags  # (J,) whether at a finite N
    width: Floats  # (J,) smoothing window w of the reported marginal
    first: Ints  # (J+1,) where a server's pieces begin in the next three
    start: Floats  # N at which a piece begins
    height: Floats  # μ there
    slope: Floats  # of the piece; the last is 0
    first_mark: Ints  # (J+1,) where a server's marks begin in the next two
    mark: Floats  # N between which a smoothed marginal is a simple fraction
    marked: Floats  # the marginal there


def fleet(servers: Sequence[Server], smoothed: bool = True) -> Fleet:
    """The arrays of these servers; without smoothing all windows are 0."""
    count = len(servers)
    a, b = np.zeros(count), np.ones(count)
    kind = np.full(count, PIECES)
    pieces: list[list[tuple[float, float, float]]] = []
    for j, server in enumerate(servers):
        plain = server.curve.describe()
        if server.curve.kind in _CODES:
            kind[j] = _CODES[server.curve.kind]
            a[j] = plain["a"]
            b[j] = plain["p" if server.curve.kind == "power" else "b"]
            pieces.append([])
        else:
            pieces.append(_pieces(server.curve))
    flat = np.array([piece for each in pieces for piece in each], dtype=np.float64).reshape(-1, 3)
    widths = np.array([server.width if smoothed else 0.0 for server in servers])
    start, height, steepness = (np.ascontiguousarray(column) for column in flat.T)
    bare = Fleet(
        kind, a, b, np.array([server.curve.cap for server in servers]),
        np.array([server.curve.cap_reached for server in servers]), widths,
        _offsets(pieces), start, height, steepness,
        np.zeros(count + 1, np.int64), np.zeros(0), np.zeros(0),
    )  # fmt: skip
    marks = [_marks(bare, j) for j in range(count)]
    marked = [[marginal(bare, j, n, 0.0) for n in each] for j, each in enumerate(marks)]
    return bare._replace(
        first_mark=_offsets(marks),
        mark=np.array([n for each in marks for n in each]),
        marked=np.array([value for each in marked for value in each]),
    )


def _pieces(curve: Curve) -> list[tuple[float, float, float]]:
    """(N, μ, slope) of each linear piece; neighbours of equal slope are one."""
    places = [0.0, *curve.kinks]
    return [(n, curve.value(n), curve.slope(n)) for n in places]


def _marks(each: Fleet, j: int) -> list[float]:
    """Between neighbouring marks both ends of the window stay on one piece each, or its left end at 0."""
    width = float(each.width[j])
    if each.kind[j] != PIECES or width == 0.0:
        return []
    starts = each.start[each.first[j] : each.first[j + 1]]
    return sorted({0.0, width, *(n for start in starts for n in (start - width, start + width) if n > 0.0)})


def _offsets(parts: Sequence[Sequence[object]]) -> Ints:
    return np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)


@inlined
def piece(fleet: Fleet, j: int, workload: float) -> int:
    """Index of the linear piece to the right of a workload."""
    low, high = fleet.first[j], fleet.first[j + 1]
    while high - low > 1:
        middle = (low + high) // 2
        if fleet.start[middle] <= workload:
            low = middle
        else:
            high = middle
    return int(low)


@inlined
def value(fleet: Fleet, j: int, workload: float) -> float:
    """μⱼ(N)."""
    kind, a, b = fleet.kind[j], fleet.a[j], fleet.b[j]
    if kind == HYPERBOLIC:
        return hyperbolic(workload, a, b)
    if kind == EXPONENTIAL:
        return exponential(workload, a, b)
    if kind == POWER:
        return power(workload, a, b)
    if kind == LOGARITHMIC:
        return logarithmic(workload, a, b)
    at = piece(fleet, j, workload)
    return fleet.height[at] + fleet.slope[at] * (workload - fleet.start[at])


@inlined
def slope(fleet: Fleet, j: int, workload: float) -> float:
    """Right derivative of μⱼ, infinite where a power curve begins."""
    kind, a, b = fleet.kind[j], fleet.a[j], fleet.b[j]
    if kind == HYPERBOLIC:
        return hyperbolic_slope(workload, a, b)
    if kind == EXPONENTIAL:
        return exponential_slope(workload, a, b)
    if kind == POWER:
        return power_slope(workload, a, b) if workload > 0.0 else np.inf
    if kind == LOGARITHMIC:
        return logarithmic_slope(workload, a, b)
    return fleet.slope[piece(fleet, j, workload)]


@inlined
def marginal(fleet: Fleet, j: int, workload: float, step: float) -> float:
    """What a server reports: the mean slope over [N − w, N + step + w], cut at 0.

    ``step`` is the volume of the job to come (1/n); with step and window 0 it is the right derivative.
    """
    low, high = max(workload - fleet.width[j], 0.0), workload + step + fleet.width[j]
    if not high > low:
        return slope(fleet, j, workload)
    if fleet.kind[j] == PIECES:
        at = piece(fleet, j, low)
        if at + 1 == fleet.first[j + 1] or high <= fleet.start[at + 1]:
            return fleet.slope[at]  # to the last bit: equal marginals must tie
    return (value(fleet, j, high) - value(fleet, j, low)) / (high - low)


@inlined
def place(fleet: Fleet, j: int, wanted: float) -> float:
    """The least N at which the reported marginal (step 0) is at most ``wanted`` > 0; 0 where it never is more."""
    kind, a, b = fleet.kind[j], fleet.a[j], fleet.b[j]
    if kind == PIECES:
        return _piecewise_place(fleet, j, wanted)
    if fleet.width[j] > 0.0:
        return _searched_place(fleet, j, wanted)
    if kind == HYPERBOLIC:
        return max(np.sqrt(a * b / wanted) - b, 0.0)
    if kind == EXPONENTIAL:
        return max(b * np.log(a / (b * wanted)), 0.0)
    if kind == POWER:
        return float((a * b / wanted) ** (1.0 / (1.0 - b)))
    return max(a / wanted - b, 0.0)


@compiled
def _piecewise_place(fleet: Fleet, j: int, wanted: float) -> float:
    low, high = fleet.first[j], fleet.first[j + 1]
    if fleet.width[j] == 0.0:
        at = low
        while fleet.slope[at] > wanted:
            at += 1
        return fleet.start[at]
    low, high = fleet.first_mark[j], fleet.first_mark[j + 1] - 1
    if fleet.marked[low] <= wanted:
        return 0.0
    while high - low > 1:  # marked[low] > wanted ≥ marked[high]
        middle = (low + high) // 2
        if fleet.marked[middle] > wanted:
            low = middle
        else:
            high = middle
    left, right, above, below = fleet.mark[low], fleet.mark[high], fleet.marked[low], fleet.marked[high]
    share = (above - wanted) / (above - below)
    width = fleet.width[j]
    if left >= width:  # the window has its full length: the marginal is linear in N
        return min(left + share * (right - left), right)
    # The window is [0, N + w]: the marginal is linear in 1/(N + w).
    return min(1.0 / (1.0 / (left + width) * (1.0 - share) + 1.0 / (right + width) * share) - width, right)


@compiled
def quick_place(fleet: Fleet, j: int, wanted: float) -> float:
    """The least N with μ(N)/N at most ``wanted`` > 0. Concave curves from the origin: the quotient never rises."""
    return 0.0 if slope(fleet, j, 0.0) <= wanted else _searched(fleet, j, wanted, True)


@compiled
def _searched_place(fleet: Fleet, j: int, wanted: float) -> float:
    """For smooth curves that are reported smoothed."""
    return 0.0 if marginal(fleet, j, 0.0, 0.0) <= wanted else _searched(fleet, j, wanted, False)


@compiled
def _searched(fleet: Fleet, j: int, wanted: float, mean: bool) -> float:
    """By bisection to the last bit: where μ(N)/N (``mean``) or the marginal comes down to ``wanted``."""
    low, high = 0.0, 1.0
    while _falling(fleet, j, high, mean) > wanted:
        low, high = high, 2.0 * high
        if high > 1e300:
            return np.inf
    while True:
        middle = 0.5 * (low + high)
        if not low < middle < high:
            return high
        if _falling(fleet, j, middle, mean) > wanted:
            low = middle
        else:
            high = middle


@compiled
def _falling(fleet: Fleet, j: int, workload: float, mean: bool) -> float:
    return value(fleet, j, workload) / workload if mean else marginal(fleet, j, workload, 0.0)


@compiled
def unfed(fleet: Fleet, j: int, workload: float, step: float) -> float:
    """Where a server that gets nothing is after an implicit step of length h: N⁺ + h·μ(N⁺) = N.

    Raises nothing; for a step of infinite length it is 0.
    """
    if workload <= 0.0 or step == np.inf:
        return 0.0
    low, high = 0.0, workload
    while True:
        middle = 0.5 * (low + high)
        if not low < middle < high:
            return high
        if middle + step * value(fleet, j, middle) < workload:
            low = middle
        else:
            high = middle
