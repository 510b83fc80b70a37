"""Curves: the properties that the model needs, for every kind (MODEL section 3)."""

from itertools import pairwise
from math import inf, isclose, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmsr.topology import curves, table
from gmsr.topology.curves import Curve
from gmsr.topology.errors import UserError

positive = st.floats(0.05, 50.0)


@st.composite
def tables(draw: st.DrawFn) -> curves.Table:
    steps = draw(st.lists(st.tuples(st.floats(0.1, 5.0), st.floats(0.01, 10.0)), min_size=1, max_size=8))
    points, n, rate = [], 0.0, 0.0
    for width, slope in sorted(steps, key=lambda step: -step[1]):
        n, rate = n + width, rate + width * slope
        points.append((n, rate))
    return curves.Table(points)


any_curve: st.SearchStrategy[Curve] = st.one_of(
    st.builds(curves.Hyperbolic, positive, positive),
    st.builds(curves.Exponential, positive, positive),
    st.builds(curves.Multicore, positive, st.integers(1, 40)),
    st.builds(curves.Power, positive, st.floats(0.1, 0.9)),
    st.builds(curves.Logarithmic, positive, positive),
    tables(),
)
workload = st.floats(0.0, 100.0)


@given(any_curve, workload, workload)
def test_concave_and_not_decreasing_from_zero(curve: Curve, left: float, right: float) -> None:
    low, high = sorted((left, right))
    assert curve.value(0.0) == 0.0
    assert curve.value(high) >= curve.value(low) - 1e-9
    middle = (low + high) / 2
    assert curve.value(middle) >= (curve.value(low) + curve.value(high)) / 2 - 1e-9 * (1 + curve.value(high))
    assert curve.slope(high) <= curve.slope(low) * (1 + 1e-9)
    assert curve.value(high) <= curve.cap * (1 + 1e-12)


@given(any_curve, st.floats(0.01, 100.0))
def test_the_slope_is_the_right_derivative(curve: Curve, at: float) -> None:
    step = 1e-6
    between = (curve.value(at + step) - curve.value(at)) / step
    # Concave: the chord to the right lies between the slopes at its ends.
    noise = 1e-8 * (1.0 + curve.value(at)) / step * 1e-2
    assert curve.slope(at + step) - noise <= between <= curve.slope(at) + noise


@given(any_curve, st.floats(0.001, 0.999))
def test_inverse_undoes_value(curve: Curve, share: float) -> None:
    rate = share * min(curve.cap, 200.0)
    least = curve.inverse(rate)
    if least < 1e250:
        assert isclose(curve.value(least), rate, rel_tol=1e-9, abs_tol=1e-12)


@given(any_curve)
def test_the_cap_is_reached_or_never(curve: Curve) -> None:
    if curve.cap_reached:
        first = curve.inverse(curve.cap)
        assert first < inf
        assert isclose(curve.value(first), curve.cap, rel_tol=1e-12)
        assert curve.slope(first * (1 + 1e-9)) == 0.0
    elif curve.cap < inf:
        assert curve.inverse(curve.cap) == inf
    assert curve.inverse(curve.cap * 1.01 if curve.cap < inf else 0.0) in (inf, 0.0)


@given(any_curve)
def test_the_least_workload_at_the_cap_is_exact(curve: Curve) -> None:
    """A rounding below it the slope would still be that of the last piece."""
    if curve.cap_reached:
        assert curve.inverse(curve.cap) == curve.kinks[-1]
        assert curve.slope(curve.inverse(curve.cap)) == 0.0


@given(any_curve, st.floats(0.0, 1.7e308), st.floats(0.0, 1.7e308))
def test_no_figure_is_out_of_range(curve: Curve, at: float, rate: float) -> None:
    assert 0.0 <= curve.value(at) <= curve.cap
    assert curve.slope(at) >= 0.0
    assert curve.inverse(rate) >= 0.0
    assert curve.inverse(0.0) == 0.0


@pytest.mark.parametrize("short", [1e-6, 1e-12, 1e-15])
def test_the_inverse_holds_close_to_a_cap_that_is_never_reached(short: float) -> None:
    rate = 1.0 - short
    left = 1.0 - rate  # as it is after rounding
    assert curves.Exponential(1.0, 2.0).inverse(rate) == pytest.approx(-2.0 * log(left), rel=1e-12)
    assert curves.Hyperbolic(1.0, 2.0).inverse(rate) == pytest.approx(2.0 * rate / left, rel=1e-12)


@pytest.mark.parametrize("at", [1e-300, 1e-18])
def test_small_workloads_keep_their_digits(at: float) -> None:
    for curve in (curves.Exponential(3.0, 1.5), curves.Logarithmic(2.0, 1.0), curves.Hyperbolic(4.0, 2.0)):
        assert curve.value(at) == pytest.approx(2.0 * at, rel=1e-12)
        assert curve.inverse(2.0 * at) == pytest.approx(at, rel=1e-12)


@given(any_curve)
def test_describe_and_make_are_inverse(curve: Curve) -> None:
    again = curves.make(curve.describe())
    assert again.describe() == curve.describe()
    assert again.value(3.3) == curve.value(3.3)


@given(any_curve, st.integers(0, 50), st.floats(0.5, 100.0))
def test_difference_lies_between_the_slopes(curve: Curve, jobs: int, scale: float) -> None:
    step = curves.difference(curve, jobs, scale)
    noise = 1e-12 * (1.0 + curve.value((jobs + 1) / scale)) * scale
    assert curve.slope((jobs + 1) / scale) - noise <= step <= curve.slope(jobs / scale) + noise


@given(any_curve, workload, st.floats(0.1, 10.0))
def test_mean_slope_is_the_chord_cut_at_zero(curve: Curve, at: float, width: float) -> None:
    low = max(0.0, at - width)
    chord = (curve.value(at + width) - curve.value(low)) / (at + width - low)
    assert curves.mean_slope(curve, at, width) == chord
    assert curves.mean_slope(curve, at, 0.0) == curve.slope(at)


@pytest.mark.parametrize(
    ("curve", "at", "value", "slope"),
    [
        (curves.Hyperbolic(4, 2), 2.0, 2.0, 0.5),
        (curves.Exponential(3, 1.5), 1.5, 3 * 0.6321205588, 2 * 0.3678794412),
        (curves.Multicore(0.5, 4), 3.0, 1.5, 0.5),
        (curves.Multicore(0.5, 4), 4.0, 2.0, 0.0),
        (curves.Power(1, 0.5), 4.0, 2.0, 0.25),
        (curves.Power(1, 0.5), 0.0, 0.0, inf),
        (curves.Logarithmic(2, 1), 1.718281828459045, 2.0, 2 / 2.718281828459045),
        (curves.Table([[2, 4.0], [6, 8.0]]), 2.0, 4.0, 1.0),
        (curves.Table([[2, 4.0], [6, 8.0]]), 9.0, 8.0, 0.0),
    ],
)
def test_values_by_hand(curve: Curve, at: float, value: float, slope: float) -> None:
    assert curve.value(at) == pytest.approx(value)
    assert curve.slope(at) == pytest.approx(slope)


points = st.lists(st.tuples(st.floats(0.1, 9.0), st.floats(0.0, 9.0)), min_size=1, max_size=10).map(
    lambda steps: [
        (sum(step[0] for step in steps[: k + 1]), 0.5 + sum(step[1] for step in steps[: k + 1]))
        for k in range(len(steps))
    ]
)


@given(points)
def test_repair_is_the_least_concave_majorant(measured: list[tuple[float, float]]) -> None:
    hull, lifted = table.repair(table.check(measured))
    curve = curves.Table(hull)
    for n, rate in measured:
        assert curve.value(n) >= rate * (1 - 1e-9)
    slopes = [curve.slope(n) for n, _ in [(0.0, 0.0), *hull]]
    assert all(after <= before + 1e-9 for before, after in pairwise(slopes))
    # Least: every corner of it is a measured point, so that nothing smaller is concave and above them.
    assert set(hull) <= set(measured)
    told = {repair.workload for repair in lifted}
    assert told == {n for n, rate in measured if (n, rate) not in hull}
    assert all(repair.repaired >= repair.measured * (1 - 1e-9) for repair in lifted)


def test_repair_says_where_and_by_how_much() -> None:
    hull, lifted = table.repair([(1.0, 10.0), (2.0, 11.0), (4.0, 30.0)])
    assert hull == [(1.0, 10.0), (4.0, 30.0)]
    assert [str(repair) for repair in lifted] == ["N = 2: 11 lifted to 16.6667 (+52 %)"]


@pytest.mark.parametrize(
    ("measured", "word"),
    [
        ([], "no points"),
        ([(0.0, 0.0)], "no points"),
        ([(1.0, 2.0), (2.0, 1.0)], "falls from 2 to 1 at N = 2"),
        ([(1.0, 2.0), (1.0, 3.0)], "increasing N"),
        ([(1.0, -2.0)], "positive and finite"),
        ([(1.0, float("nan"))], "positive and finite"),
    ],
)
def test_what_is_no_curve_is_refused(measured: list[tuple[float, float]], word: str) -> None:
    with pytest.raises(UserError, match=word):
        table.check(measured)


def test_equal_pieces_are_no_kinks() -> None:
    assert curves.Table([[1, 0.1], [2, 0.2], [3, 0.3], [4, 0.35]]).kinks == (3.0, 4.0)
    assert curves.last_kink(curves.Multicore(1, 8)) == 8.0
    assert curves.last_kink(curves.Hyperbolic(1, 8)) == 0.0
