"""The last digits of an optimum: flow is shifted between pairs of servers until marginal costs agree.

An interior-point solver leaves the flows of a nearly full system wrong in the fifth digit, and there the
cost of a unit of flow, 1/μ′, is steep. From so near, exchanging flow between the dearest and the cheapest of a
dispatcher's servers converges in a few rounds. Each exchange lowers ΣN or leaves it; nothing is lost by trying.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..curves import Curve

EXCHANGES = 20_000
HALVINGS = 60
AGREED = 1e-10
"""Costs that differ by less (relative) count as equal."""


def polish(
    curves: Sequence[Curve],
    flow: NDArray[np.float64],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Better flows with the same totals by dispatcher; shape (edges,)."""
    flow = flow.copy()
    carried = np.bincount(columns, flow, minlength=len(curves)).astype(np.float64)
    edges = [np.flatnonzero(rows == row) for row in range(int(rows.max()) + 1)]
    left = EXCHANGES
    moved = True
    while moved and left > 0:
        moved = False
        for own in edges:
            for _ in range(len(own) - 1):
                left -= 1
                moved = _exchange(curves, flow, carried, own, columns) or moved
    return flow


def _exchange(
    curves: Sequence[Curve],
    flow: NDArray[np.float64],
    carried: NDArray[np.float64],
    own: NDArray[np.int64],
    columns: NDArray[np.int64],
) -> bool:
    """Move flow from a dispatcher's dearest used server to its cheapest one; False if they agree."""
    costs = [_cost(curves[columns[edge]], carried[columns[edge]]) for edge in own]
    used = [index for index, edge in enumerate(own) if flow[edge] > 0.0]
    dear = max(used, key=costs.__getitem__)
    cheap = min(range(len(own)), key=costs.__getitem__)
    if not costs[dear] > costs[cheap] * (1.0 + AGREED):
        return False
    giver, taker = own[dear], own[cheap]
    low, high = 0.0, float(flow[giver])
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        if _cost(curves[columns[taker]], carried[columns[taker]] + middle) < _cost(
            curves[columns[giver]], carried[columns[giver]] - middle
        ):
            low = middle
        else:
            high = middle
    for edge, shift in ((giver, -low), (taker, low)):
        flow[edge] += shift
        carried[columns[edge]] += shift
    return low > 0.0


def _cost(curve: Curve, rate: float) -> float:
    """Workload that one more unit of rate costs: 1/μ′ at μ⁻¹(rate); infinite where there is no more."""
    if rate >= curve.cap:
        return float("inf")
    slope = curve.slope(curve.inverse(max(rate, 0.0)))
    return 1.0 / slope if slope > 0.0 else float("inf")
