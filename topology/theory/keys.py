"""What dispatchers go by: a server's key, which falls as it fills; the workload at a key, and the inflow to it.

A rule is a number, so that one compiled method serves them all.
"""

import numpy as np

from .compiled import inlined
from .fleet import EXPONENTIAL, HYPERBOLIC, Fleet, Floats, place, quick_place, value

MARGINAL, FEWEST, QUICKEST, FULLEST, GROWTH = range(5)
"""What dispatchers go by: the marginal rate (GMSR), N (jsq), N/μ(N) (least-latency); and two auxiliary questions:
the share of its cap that a server carries (``load_factor``), and how fast it grows under overload."""
LEAST_KEY = 1e-300
"""Below it a marginal is 0. What remains to be placed then goes to where N is least."""


@inlined
def filled(fleet: Fleet, rule: int, floor: Floats, j: int, key: float, depth: float) -> float:
    """N of a server that is filled to a key, and at key 0 to a depth; never below where it falls by itself."""
    return max(place_at(fleet, rule, j, key), depth, floor[j])


@inlined
def place_at(fleet: Fleet, rule: int, j: int, key: float) -> float:
    """The least N whose key is no more than this."""
    if rule == MARGINAL:
        return place(fleet, j, key)
    if rule == QUICKEST:
        return quick_place(fleet, j, key)
    if rule == GROWTH:
        return _growth(fleet, j, key)
    return 1.0 / key  # FEWEST: N itself; FULLEST: the share of the cap


@inlined
def taken_in(
    fleet: Fleet, rule: int, start: Floats, step: float, floor: Floats, j: int, workload: float
) -> float:
    """What a server takes in that ends at this workload."""
    if rule == FULLEST:
        return fleet.cap[j] * workload
    if rule == GROWTH:
        return fleet.cap[j] + workload
    if step == np.inf:
        return fleet.cap[j] if workload == np.inf else value(fleet, j, workload)
    if workload <= floor[j]:
        return 0.0
    return max((workload - start[j]) / step + value(fleet, j, workload), 0.0)


@inlined
def _growth(fleet: Fleet, j: int, key: float) -> float:
    """How fast an overloaded server grows under GMSR once it is large, by a key that falls as growth rises.

    With N = g·t a hyperbolic curve's marginal is ab/(gt)², an exponential one's (a/b)e^(−gt/b), and a cap that
    is reached leaves 0. So a dispatcher prefers any exponential server that does not grow linearly to any hyperbolic
    one, and that to any at its cap, whatever the finite numbers; among alike equal marginals share the growth.
    """
    if fleet.kind[j] == HYPERBOLIC:
        return np.sqrt(fleet.a[j] * fleet.b[j]) / (key - 1.0) if key > 1.0 else np.inf
    if fleet.kind[j] == EXPONENTIAL:
        return fleet.b[j] * (1.0 / key - 1.0) if key < 1.0 else 0.0
    return 0.0
