"""One server, exactly: the birth-death chain of its number of jobs (MODEL section 8).

Poisson arrivals and processor sharing with total rate μ(q): the stationary law is that of a birth-death chain,
π(q) ∝ Πₖ λ/μ(k), whatever the law of job sizes (insensitivity; Kelly, "Reversibility and Stochastic
Networks", 1979, section 3.3). Under ``static`` routing each server of a whole graph is such a chain.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..curves import Curve

TAIL = 1e-12
"""The chain is cut where the mass beyond is proven smaller than this share."""
LONGEST = 2_000_000


class Chain(NamedTuple):
    """The stationary law; times in emulated seconds."""

    probabilities: NDArray[np.float64]  # of q = 0, 1, …
    jobs: float  # E[q]
    variance: float  # of q
    latency: float  # mean time in system: E[q]/λ
    utilisation: float  # share of time with at least one job
    asymptotic_variance: float  # T·Var of the time average of q over a long T, for exponential sizes


def chain(curve: Curve, rate: float, scale: float = 1.0, mean_size: float = 1.0) -> Chain:
    """The chain of one server with ``rate`` jobs a second (at this scale).

    A job of mean size s is s/n of volume, so that q jobs depart at rate n·μ(q/n)/s. Raises ValueError where the
    server cannot carry the load.
    """
    if not rate > 0.0:
        raise ValueError(f"a rate of {rate:g} jobs per second is no load")
    limit = scale * curve.cap / mean_size
    if rate >= limit:
        raise ValueError(f"{rate:g} jobs per second are too many for a server of at most {limit:g}")
    weights = _log_weights(curve, rate, scale, mean_size)
    law = np.exp(weights - weights.max())
    law /= law.sum()
    counts = np.arange(len(law), dtype=np.float64)
    mean = float(law @ counts)
    centred = counts - mean
    # Asymptotic variance of a birth-death chain's time average: 2·Σₖ (Σ_{j≤k} (j − E)π(j))² / (λπ(k)).
    below = np.cumsum(centred * law)
    asymptotic = 2.0 * float(np.sum(below[law > 0.0] ** 2 / (rate * law[law > 0.0])))
    return Chain(law, mean, float(law @ centred**2), mean / rate, 1.0 - float(law[0]), asymptotic)


def _log_weights(curve: Curve, rate: float, scale: float, mean_size: float) -> NDArray[np.float64]:
    """ln π(q) up to a constant, for all q that matter.

    The departure rate does not fall with q, so from any q on with ratio r = λ/μ < 1 the rest is at most
    π(q)·r/(1 − r): the cut is proven, not guessed.
    """
    weights = [0.0]
    total = 0.0
    peak = 0.0
    while True:
        ratio = rate * mean_size / (scale * curve.value(len(weights) / scale))
        total += np.log(ratio)
        weights.append(total)
        peak = max(peak, total)
        if ratio < 1.0 and total + np.log(ratio / (1.0 - ratio)) < peak + np.log(TAIL):
            return np.array(weights)
        if len(weights) > LONGEST:
            raise ValueError(
                f"more than {LONGEST} jobs have to be reckoned with: the load is too close to the cap"
            )
