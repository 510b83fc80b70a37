"""Confidence intervals and trends from batch means.

Latencies of neighbouring jobs are correlated, so that the standard error of their plain mean is far too
small. Means of long batches are nearly independent (Law and Kelton, "Simulation Modeling and Analysis",
section 9.5.3); Student's t gives the interval. In short runs at high load they still are correlated, and the
plain formula is too sure of itself; ``interval`` widens by what the correlation of neighbouring means tells
(Tafazzoli, Steiger and Wilson, "Skart", IEEE Transactions on Automatic Control 56, 2011). Measured on simulated
M/M/1-PS latencies, nominally 95 %: 4,000 jobs at load 0.5, 0.7, 0.9: 95, 93, 82 % (plain: 94, 92, 72 %);
20,000 jobs at load 0.9: 91 % (88 %). No formula makes up for a run that is too short.
"""

from math import inf, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit  # type: ignore[import-untyped,unused-ignore]

BATCHES = 20
MOST_CORRELATED = 0.8
"""A correlation above it is taken for this: the estimate from few batches is too rough for more."""
TREND_SIGNIFICANCE = 0.001
"""A settled run is called unsettled once in a thousand times, if its batches are long enough to be independent
(M/M/1-PS with 4,000 jobs: at load 0.5 five, at load 0.9, where the run is in truth too short, 15 in a thousand).
"""


class Interval(NamedTuple):
    """A mean with its 95 % confidence interval; infinite where there is too little to tell."""

    mean: float
    low: float
    high: float


def batch_means(values: NDArray[np.float64], batches: int = BATCHES) -> NDArray[np.float64]:
    """Means of consecutive batches of nearly equal length, in order; shape (batches,), or fewer if short."""
    parts = np.array_split(values, max(min(batches, len(values)), 1))
    return np.array([part.mean() for part in parts if len(part)])


def interval(values: NDArray[np.float64]) -> Interval:
    """Mean of a correlated series and its 95 % interval by batch means, widened by their own correlation."""
    if not len(values):
        return Interval(float("nan"), float("nan"), float("nan"))
    mean = float(values.mean())
    means = batch_means(values)
    correlation = neighbours_correlation(means)
    half = half_width(means) * sqrt((1.0 + correlation) / (1.0 - correlation))
    return Interval(mean, mean - half, mean + half)


def neighbours_correlation(means: NDArray[np.float64]) -> float:
    """Correlation of neighbouring batch means, in [0, ``MOST_CORRELATED``].

    The plain estimate is low by 1 / (number of batches), since the mean is estimated too: that is added.
    """
    apart = means - means.mean()
    squares = float(apart @ apart)
    if squares <= 0.0:
        return 0.0
    plain = float(apart[1:] @ apart[:-1]) / squares
    return min(max(plain + 1.0 / len(means), 0.0), MOST_CORRELATED)


def half_width(means: NDArray[np.float64], level: float = 0.95) -> float:
    """Half the width of the interval for the mean of independent values."""
    count = len(means)
    if count < 2:
        return inf
    quantile = stdtrit(count - 1, 0.5 + level / 2.0)
    return float(quantile) * float(means.std(ddof=1)) / sqrt(count)


def trend(values: NDArray[np.float64]) -> bool:
    """Whether the series still drifts: the slope of its batch means is not 0 at ``TREND_SIGNIFICANCE``.

    An ordinary regression on the batches' order; with means that are independent and normal its t statistic
    has Student's law with (batches − 2) degrees of freedom.
    """
    means = batch_means(values)
    count = len(means)
    if count < BATCHES:
        return False
    order = np.arange(count) - (count - 1) / 2.0
    slope = float(order @ means) / float(order @ order)
    residuals = means - means.mean() - slope * order
    variance = float(residuals @ residuals) / (count - 2) / float(order @ order)
    if variance == 0.0:
        return slope != 0.0
    bound = stdtrit(count - 2, 1.0 - TREND_SIGNIFICANCE / 2.0)
    return abs(slope) / sqrt(variance) > float(bound)
