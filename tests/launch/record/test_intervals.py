"""Intervals that cover, trends that are found, and false alarms as rare as stated."""

import numpy as np
import pytest
from numpy.typing import NDArray

from gmsr.launch.record import fidelity
from gmsr.launch.record.intervals import (
    BATCHES,
    batch_means,
    half_width,
    interval,
    neighbours_correlation,
    trend,
)

random = np.random.Generator(np.random.PCG64(1))


def correlated(length: int, memory: float) -> NDArray[np.float64]:
    """A stationary AR(1) series with mean 0: neighbours are correlated as latencies are."""
    noise = random.standard_normal(length) * np.sqrt(1 - memory**2)
    series = np.empty(length)
    series[0] = random.standard_normal()
    for index in range(1, length):
        series[index] = memory * series[index - 1] + noise[index]
    return series


def test_the_interval_covers_a_correlated_mean() -> None:
    """95 % of 400 intervals should hold the mean; between 91.5 and 98 is within 3.3 standard errors."""
    held = sum(low <= 0.0 <= high for _, low, high in (interval(correlated(4000, 0.9)) for _ in range(400)))
    assert 0.915 * 400 <= held <= 0.98 * 400
    naive = sum(
        abs(series.mean()) < 1.96 * series.std() / np.sqrt(len(series))
        for series in (correlated(4000, 0.9) for _ in range(100))
    )
    assert naive < 60, "what the plain formula would have held: batches are needed"


def test_a_settled_series_has_no_trend() -> None:
    """One alarm in a thousand: in 2,000 series more than 9 would be a one-in-ten-thousand event."""
    alarms = sum(trend(random.standard_normal(200)) for _ in range(2000))
    assert alarms <= 9


def test_a_drift_is_found() -> None:
    assert trend(random.standard_normal(2000) + np.linspace(0.0, 1.0, 2000))
    assert trend(random.standard_normal(2000) - np.linspace(0.0, 1.0, 2000))
    assert not trend(np.ones(100))
    assert trend(np.linspace(0.0, 1.0, 100))


def test_short_series() -> None:
    assert np.isnan(interval(np.array([])).mean)
    alone = interval(np.array([2.0]))
    assert (alone.mean, alone.low, alone.high) == (2.0, -np.inf, np.inf)
    assert not trend(np.arange(BATCHES - 1.0))
    assert len(batch_means(np.arange(7.0))) == 7
    assert half_width(np.array([1.0, 1.0, 1.0])) == 0.0


@pytest.mark.parametrize(
    ("relative", "cpu", "in_flight", "untold", "drifting", "word"),
    [
        (0.2, 0.1, 0, 0.0, False, "the machine was too small"),
        (0.01, 1.95, 0, 0.0, False, "the machine was full"),
        (0.01, 0.95, 0, 0.0, False, "busy nearly all the time"),
        (0.01, 0.1, 50, 0.3, False, "still in flight"),
        (0.01, 0.1, 2, 0.02, False, "had waited 2.0% of all latency"),
        (0.01, 0.1, 2, 0.001, False, ""),
        (0.01, 0.1, 0, 0.0, True, "has not settled"),
        (0.01, 0.1, 0, 0.0, False, ""),
    ],
)
def test_warnings(
    relative: float, cpu: float, in_flight: int, untold: float, drifting: bool, word: str
) -> None:
    trust = {"relative": relative, "cpu": {"s1": cpu}}
    lines = fidelity.warnings(trust, 2, {"offered": 1000, "in_flight": in_flight}, drifting, 1.0, untold)
    assert bool(lines) == bool(word)
    assert word in " ".join(lines)


def test_what_is_less_than_the_noise_is_not_worth_a_word() -> None:
    trust = {"relative": 0.01, "cpu": {"s1": 0.1}}
    few = {"offered": 1000, "in_flight": 2}
    assert not fidelity.warnings(trust, 2, few, False, 1.0, untold=0.02, noise=0.05)
    assert fidelity.warnings(trust, 2, few, False, 1.0, untold=0.02, noise=0.01)


def test_batches_that_are_correlated_widen_the_interval() -> None:
    """Short runs at high load: the plain interval holds the mean three times in four, ours nine in ten."""
    series = [correlated(2000, 0.99) for _ in range(400)]
    plain = sum(abs(one.mean()) <= half_width(batch_means(one)) for one in series)
    ours = sum(low <= 0.0 <= high for _, low, high in map(interval, series))
    assert plain < 0.84 * 400, "4 standard errors above what it holds"
    assert ours > 0.86 * 400


def test_correlation_of_neighbours() -> None:
    assert neighbours_correlation(np.ones(BATCHES)) == 0.0
    assert neighbours_correlation(np.array([1.0, -1.0] * 10)) == 0.0
    assert neighbours_correlation(np.linspace(0.0, 1.0, BATCHES)) == 0.8
    estimates = [neighbours_correlation(random.standard_normal(BATCHES)) for _ in range(500)]
    assert np.median(estimates) < 0.05
