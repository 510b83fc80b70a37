"""What servers tell: each quantity against its definition, and ties that are exact."""

from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmsr.agents import gauge as module
from gmsr.agents.gauge import QUANTITIES, Gauge
from gmsr.topology import curves

HYPERBOLIC = curves.Hyperbolic(4.0, 2.0)
CORES = curves.Multicore(0.3, 7)


def told(reads: list[str], curve: curves.Curve, jobs: int, scale: float = 1.0, width: float = 0.0) -> Any:
    return Gauge(reads, curve, scale, width).values(jobs)


@pytest.mark.parametrize(
    ("name", "jobs", "value"),
    [
        ("marginal", 2, 4 * 3 / 5 - 4 * 2 / 4),
        ("derivative", 2, 0.5),
        ("jobs", 2, 2.0),
        ("rate", 2, 2.0),
        ("latency", 2, 1.0),
        ("latency", 0, 0.5),
        ("idle", 2, 0.0),
        ("idle", 0, 1.0),
    ],
)
def test_quantities_by_hand(name: str, jobs: int, value: float) -> None:
    assert told([name], HYPERBOLIC, jobs) == (pytest.approx(value),)


def test_a_report_has_its_quantities_in_the_order_of_the_policy() -> None:
    assert told(["jobs", "rate"], HYPERBOLIC, 2) == (2.0, 2.0)
    assert told([], HYPERBOLIC, 2) == ()


def test_the_marginal_is_that_of_the_scale() -> None:
    """At scale n a job is 1/n of a unit, and the difference tends to the derivative."""
    assert told(["marginal"], HYPERBOLIC, 200, scale=100.0)[0] == pytest.approx(0.5, rel=0.01)
    assert told(["marginal"], HYPERBOLIC, 200_000, scale=100_000.0)[0] == pytest.approx(0.5, rel=1e-5)
    assert told(["derivative"], curves.Power(1.0, 0.5), 0) == (inf,)


@given(st.integers(0, 6), st.integers(1, 60))
def test_marginals_tie_exactly_on_a_linear_stretch(jobs: int, scale: int) -> None:
    """Below the kink, however the two values of μ were rounded."""
    below = int(jobs * scale * 0.9)
    assert told(["marginal"], CORES, below, scale=scale) == (0.3,)
    assert told(["marginal"], CORES, 7 * scale + jobs, scale=scale) == (0.0,)


@given(st.floats(0.1, 5.0), st.integers(0, 40))
def test_smoothing_is_the_mean_slope_around_the_job_to_come(width: float, jobs: int) -> None:
    smooth = told(["marginal"], CORES, jobs, width=width)[0]
    low, high = max(jobs - width, 0.0), jobs + 1.0 + width
    assert smooth == pytest.approx((CORES.value(high) - CORES.value(low)) / (high - low), rel=1e-9, abs=1e-12)
    assert 0.0 <= smooth <= 0.3


def test_smoothed_marginals_fall_steadily_where_plain_ones_jump() -> None:
    steps = [told(["marginal"], CORES, jobs, width=2.0)[0] for jobs in range(15)]
    assert steps == sorted(steps, reverse=True)
    assert len(set(steps)) > 5


def test_beyond_the_memo_reports_are_still_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MEMO", 10)
    made = Gauge(["jobs"], HYPERBOLIC, 1.0, 0.0)
    assert [made.values(jobs)[0] for jobs in (3, 9, 10, 500, 3)] == [3.0, 9.0, 10.0, 500.0, 3.0]


def test_every_quantity_is_a_finite_float_or_infinity() -> None:
    for name in QUANTITIES:
        for jobs in (0, 1, 5, 100_000):
            value = told([name], HYPERBOLIC, jobs)[0]
            assert type(value) is float
            assert value >= 0.0
