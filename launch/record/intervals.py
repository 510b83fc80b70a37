"""Confidence intervals and trends from batch means.

Latencies of neighbouring jobs are correlated, so that the standard error of their plain mean is far too
small. Means of long batches are nearly independent (Law and Kelton, "Simulation Modeling and Analysis",
section 9.5.3); Student's t gives the interval.
"""

from math import inf, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student  # type: ignore[import-untyped,unused-ignore]

BATCHES = 20
TREND_SIGNIFICANCE = 0.001
"""A settled run is called unsettled once in a thousand times."""


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
    """Mean of a correlated series and its 95 % interval by batch means."""
    if not len(values):
        return Interval(float("nan"), float("nan"), float("nan"))
    mean = float(values.mean())
    half = half_width(batch_means(values))
    return Interval(mean, mean - half, mean + half)


def half_width(means: NDArray[np.float64], level: float = 0.95) -> float:
    """Half the width of the interval for the mean of independent values."""
    count = len(means)
    if count < 2:
        return inf
    quantile: float = student.ppf(0.5 + level / 2.0, count - 1)
    return quantile * float(means.std(ddof=1)) / sqrt(count)


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
    bound: float = student.ppf(1.0 - TREND_SIGNIFICANCE / 2.0, count - 2)
    return abs(slope) / sqrt(variance) > bound
