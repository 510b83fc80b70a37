"""How fast GMSR's fluid limit comes to rest: time to ε from δ, which the paper bounds by O(δ + log 1/ε).

A start that is δ away holds (1 + δ) times the workload at rest at every server; ε is what is left of |ΣN − ΣN(∞)|, both
as shares of the workload at rest. Emptying servers that hold too much takes time in proportion to δ, since their rates
are bounded; the rest is an exponential approach.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .fleet import Fleet, Floats
from .fluid import Fluid, integrate, rest
from .keys import MARGINAL
from .network import Network

DELTAS = (1.0, 2.0, 4.0, 8.0, 16.0)
EPSILONS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
LONGEST = 12
"""The horizon is doubled so often at the most."""


class Speed(NamedTuple):
    """Times in emulated seconds, fitted to T(δ, ε) = constant + per_delta·δ + ln(1/ε)/rate by least squares."""

    deltas: tuple[float, ...]
    epsilons: tuple[float, ...]
    times: Floats  # (deltas, epsilons); after it the path stays within ε
    rate: float  # of the exponential approach, per second
    per_delta: float  # seconds for a further multiple of the workload at rest
    constant: float
    explained: float  # R² of the fit


def ladder(
    net: Network,
    fleet: Fleet,
    demand: Floats,
    deltas: Sequence[float] = DELTAS,
    epsilons: Sequence[float] = EPSILONS,
) -> Speed:
    """Times from each δ to each ε. The demand must fit: the path comes to rest.

    Raises ArithmeticError where it does not get there.
    """
    resting = rest(net, fleet, demand, MARGINAL)
    assert resting is not None
    goal = float(resting.sum())
    times = np.array(
        [
            until(settled(net, fleet, demand, (1.0 + delta) * resting, goal, min(epsilons)), goal, epsilons)
            for delta in deltas
        ]
    )
    left, right = np.meshgrid(deltas, -np.log(epsilons), indexing="ij")
    known = np.column_stack([np.ones(times.size), left.ravel(), right.ravel()])
    (constant, per_delta, slowness), *_ = np.linalg.lstsq(known, times.ravel())
    errors = times.ravel() - known @ [constant, per_delta, slowness]
    explained = 1.0 - float(errors @ errors) / float(((times - times.mean()) ** 2).sum())
    return Speed(
        tuple(deltas),
        tuple(epsilons),
        times,
        1.0 / float(slowness),
        float(per_delta),
        float(constant),
        explained,
    )


def settled(
    net: Network, fleet: Fleet, demand: Floats, start: Floats, goal: float, share: float, rule: int = MARGINAL
) -> Fluid:
    """A path that is followed until it stays within a share of ΣN(∞) = ``goal``, or rests."""
    horizon = 10.0 * (goal + float(start.sum())) / float(demand.sum())
    for _ in range(LONGEST):
        path = integrate(net, fleet, demand, rule, duration=horizon, start=start)
        if path.settled or abs(path.total[-1] - goal) < 0.3 * share * goal:
            return path
        horizon *= 2.0
    raise ArithmeticError(f"the fluid path is not within {share:.0e} of its rest by t = {horizon / 2.0:.3g}")


def until(path: Fluid, goal: float, epsilons: Sequence[float]) -> list[float]:
    """For each ε the time after which |ΣN − goal| stays below ε·goal, between points by the logarithm."""
    gap = np.maximum(np.abs(path.total - goal) / goal, 1e-300)
    found = []
    for epsilon in epsilons:
        above = np.flatnonzero(gap > epsilon)
        if not len(above):
            found.append(0.0)
            continue
        last = int(above[-1])
        if last + 1 == len(gap):
            raise ArithmeticError(
                f"the path rests above {epsilon:.0e}: where caps are met exactly nothing drains"
            )
        share = np.log(gap[last] / epsilon) / np.log(gap[last] / gap[last + 1])
        found.append(float(path.t[last] + min(share, 1.0) * (path.t[last + 1] - path.t[last])))
    return found
