"""Rival policies: each rule of its own source, on views set by hand."""

from collections import Counter
from math import exp, inf
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmsr.agents.policies import POLICIES
from gmsr.agents.policies.dgd import projected
from gmsr.agents.policies.edf import Schedule
from gmsr.agents.sight import Sight
from gmsr.agents.spec import load
from gmsr.agents.view import View


def made(
    name: str,
    *reports: tuple[float, ...],
    servers: int = 0,
    weights: tuple[float, ...] = (),
    travel: tuple[float, ...] = (),
    **options: str,
) -> tuple[Any, View]:
    """A policy on a view with these reports, told of what changes as a dispatcher's is."""
    rule, count = load(POLICIES[name]), servers or len(reports)
    view = View([f"s{number}" for number in range(count)], rule.reads, weights or (1.0,) * count, travel)
    for number, values in enumerate(reports):
        view.reported(number, values)
    policy = rule(view, Random(1), **options)
    view.touched = getattr(policy, "touched", None)
    return policy, view


def often(rule: Any, count: int = 3000) -> Counter[int]:
    return Counter(rule.choose() for _ in range(count))


# -- prequal


def test_prequal_takes_the_quickest_of_the_cold() -> None:
    rule, _ = made("prequal", (2.0, 3.0), (2.0, 1.0), (9.0, 0.1), q_rif="0.5")
    assert rule.choose() == 1, "the third is quicker still, and hot: above the median of 2, 2 and 9"
    assert rule.worst() == 2, "the hottest"


def test_prequal_s_thresholds_at_both_ends() -> None:
    reports = ((3.0, 0.1), (2.0, 5.0), (1.0, 9.0))
    assert made("prequal", *reports, q_rif="0")[0].choose() == 2, "RIF alone"
    latency, _ = made("prequal", *reports, q_rif="1")
    assert often(latency, 20) == {0: 20}, "latency alone"
    assert latency.worst() == 2
    with pytest.raises(ValueError, match=r"q_rif=1\.5 must be a number 0 or more, 1 at most"):
        made("prequal", *reports, q_rif="1.5")


def test_prequal_takes_the_lowest_rif_if_all_are_hot() -> None:
    rule, view = made("prequal", (1.0, 1.0), (1.0, 1.0), q_rif="0")
    rule.choose()
    view.reported(0, (5.0, 0.1), time=1.0)
    view.reported(1, (4.0, 9.0), time=1.0)
    assert rule.choose() == 1
    assert rule.worst() == 0


def test_a_job_sent_by_an_answer_raises_its_rif_until_the_next_answer() -> None:
    rule, view = made("prequal", (3.0, 1.0), (5.0, 2.0), q_rif="0.75")
    assert [rule.choose() for _ in range(4)] == [0, 0, 0, 1], "3, 4 and 5 are cold, 6 is hot"
    view.reported(0, (3.0, 1.0), time=1.0)
    assert rule.choose() == 0


def test_prequal_s_quantile_is_of_what_was_reported_lately() -> None:
    rule, view = made("prequal", (1.0, 1.0), (1.0, 2.0), q_rif="0.84", window="10")
    for time in range(1, 30):
        view.reported(0, (float(time), 1.0), time=float(time))
        view.reported(1, (0.0, 2.0), time=float(time))
        rule.choose()
    # of the last ten, 0 0 0 0 0 25 26 27 28 29, the least that 84 % do not exceed is 28
    assert rule.choose() == 1


def test_prequal_keeps_what_it_knows_while_candidates_change_with_each_job() -> None:
    rule = load(POLICIES["prequal"])
    view = View(["a", "b", "c"], rule.reads, [1.0] * 3)
    sight = Sight(view, lambda view: rule(view, Random(1), q_rif="0.5"), asks=True)
    for number, values in enumerate(((1.0, 3.0), (5.0, 1.0), (2.0, 2.0))):
        view.reported(number, values, time=1.0)
    assert sight.choose_among([0, 1, 2], 1.0) == (2, 1)
    assert sight.choose_among([1, 2], 1.0) == (2, 1), "a 3, by the job just sent; both are hot"
    assert sight.choose_among([0, 1], 1.0) == (0, 1), "of 1, 2 and 5"


# -- dgd-lb


@settings(deadline=None)
@given(st.lists(st.floats(-5.0, 5.0), min_size=1, max_size=6))
def test_the_projection_is_the_nearest_split(point: list[float]) -> None:
    split = projected(point)
    assert sum(split) == pytest.approx(1.0)
    assert min(split) >= 0.0
    # what is positive was shifted by one amount, what is 0 would be below 0 by it
    shift = max(value - share for value, share in zip(point, split, strict=True))
    for value, share in zip(point, split, strict=True):
        assert share == pytest.approx(max(value - shift, 0.0), abs=1e-9)


def test_dgd_moves_its_split_down_the_gradient_by_the_step() -> None:
    rule, view = made("dgd-lb", (0.5,), (0.5,), travel=(0.0, 1.0), eta="0.1")
    often(rule, 10)
    view.now = 0.5  # prices 2 and 3
    rule.choose()
    assert rule._shares == pytest.approx([0.5 + 0.5 * 0.1 / 2, 0.5 - 0.5 * 0.1 / 2])
    scaled, view = made("dgd-lb", (0.5,), (0.5,), travel=(0.0, 1.0))
    view.now = 0.5
    scaled.choose()
    assert scaled._shares[0] == pytest.approx(0.5 + 0.5 * (0.1 / 2.5**2) / 2)


def test_dgd_finds_the_optimum_of_a_delayed_system() -> None:
    """One dispatcher, hyperbolic curves a N/(b + N) in the fluid: at the end 1/μ′ + travel is the same at both."""
    a, b, travel, rate, tick = (4.0, 2.0), (2.0, 2.0), (0.0, 1.0), 3.0, 0.01
    rule, view = made("dgd-lb", (1.0,), (1.0,), travel=travel)
    workload = [0.0, 0.0]
    for moment in range(40_000):
        view.now = moment * tick
        rule.choose()
        for j, share in enumerate(rule._shares):
            workload[j] += tick * (rate * share - a[j] * workload[j] / (b[j] + workload[j]))
            view.reported(j, (a[j] * b[j] / (b[j] + workload[j]) ** 2,))
    prices = [(b[j] + workload[j]) ** 2 / (a[j] * b[j]) + travel[j] for j in range(2)]
    assert all(share > 0.1 for share in rule._shares)
    assert prices[0] == pytest.approx(prices[1], rel=0.01)


def test_dgd_shares_what_a_server_had_and_gives_it_back() -> None:
    rule, view = made("dgd-lb", (1.0,), (1.0,), (1.0,))
    view.leave(1)
    rule.changed()
    assert set(often(rule, 100)) == {0, 1}
    view.enter(1)
    rule.changed()
    assert sorted(often(rule)) == [0, 1, 2]
    saturated, view = made("dgd-lb", (0.0,), (0.0,))
    view.now = 9.0
    assert sorted(often(saturated)) == [0, 1], "no price is known: the split stays"


# -- peak-ewma


def test_peak_ewma_jumps_to_a_peak_and_decays_from_it() -> None:
    rule, view = made("peak-ewma", servers=1, decay="10")
    rule.completed(0, 2.0)
    assert rule._cost(0) == 2.0
    view.now = 5.0
    rule.completed(0, 1.0)
    weight = exp(-0.5)
    assert rule._cost(0) == pytest.approx(2.0 * weight + 1.0 - weight)
    rule.completed(0, 8.0)
    view.inflight[0] = 3
    assert rule._cost(0) == 8.0 * 4
    view.now = 15.0
    assert rule._cost(0) == pytest.approx(8.0 * exp(-1.0) * 4), "who is not used is forgiven"


def test_peak_ewma_takes_the_cheaper_of_two() -> None:
    rule, view = made("peak-ewma", servers=3)
    for place, latency in enumerate((1.0, 3.0, 9.0)):
        rule.completed(place, latency)
    counts = often(rule)
    assert 1900 < counts[0] < 2100
    assert counts[2] == 0
    view.inflight[:] = [9, 0, 0]
    assert often(rule, 100)[0] == 0, "10 against 3 and 9"


def test_peak_ewma_asks_a_new_server_once_and_waits_for_its_answer() -> None:
    rule, view = made("peak-ewma", servers=2)
    rule.completed(0, 1.0)
    assert often(rule, 20) == {1: 20}
    view.inflight[1] = 1
    assert often(rule, 20) == {0: 20}
    linkerd, view = made("peak-ewma", servers=2, default_rtt="0.03")
    view.inflight[1] = 1
    linkerd.completed(0, 0.05)
    assert often(linkerd, 20) == {0: 20}, "0.05 against 0.06"


def test_peak_ewma_keeps_averages_by_server() -> None:
    rule, view = made("peak-ewma", servers=3)
    for place, latency in enumerate((9.0, 1.0, 2.0)):
        rule.completed(place, latency)
    view.leave(0)
    rule.changed()
    assert often(rule, 20) == {0: 20}, "that is the second now"


# -- least-request


def test_least_request_draws_two_with_replacement_where_weights_are_equal() -> None:
    rule, view = made("least-request", servers=3)
    view.inflight[:] = [5, 1, 3]
    counts = often(rule, 9000)
    assert counts[1] == pytest.approx(9000 * 5 / 9, rel=0.06)
    assert counts[0] == pytest.approx(9000 * 1 / 9, rel=0.15), "drawn twice"
    many, view = made("least-request", servers=3, choice_count="50")
    view.inflight[:] = [5, 1, 3]
    assert often(many, 50) == {1: 50}


def test_least_request_schedules_by_weight_over_active_where_weights_differ() -> None:
    rule, view = made("least-request", weights=(1.0, 2.0, 0.0), servers=3)
    assert often(rule, 300) == {0: 100, 1: 200}
    view.inflight[:] = [0, 3, 0]
    counts = often(rule, 300)
    assert counts[0] == pytest.approx(200, abs=2), "1 against 2/4"
    plain, view = made("least-request", weights=(1.0, 2.0, 0.0), servers=3, active_request_bias="0")
    view.inflight[:] = [0, 3, 0]
    assert often(plain, 300) == {0: 100, 1: 200}


def test_the_schedule_spreads_turns_evenly() -> None:
    schedule = Schedule([(0, 1.0), (1, 0.5)])
    assert [schedule.turn([1.0, 2.0].__getitem__) for _ in range(6)] == [1, 0, 1, 1, 0, 1]


# -- weighted-round-robin


def tell(view: View, time: float, *loads: tuple[float, float]) -> None:
    view.now = time
    for number, values in enumerate(loads):
        view.reported(number, values, time=time)


def test_weights_count_after_the_blackout_and_expire() -> None:
    rule, view = made("weighted-round-robin", servers=2)
    tell(view, 1.0, (2.0, 0.5), (2.0, 0.25))  # capacities 4 and 8
    tell(view, 10.0, (2.0, 0.5), (2.0, 0.25))
    assert often(rule, 300) == {0: 150, 1: 150}
    view.now = 11.5
    counts = often(rule, 300)
    assert counts[1] == pytest.approx(200, abs=2)
    view.now = 191.0  # three minutes after the last report
    assert often(rule, 300) == {0: 150, 1: 150}
    tell(view, 192.5, (2.0, 0.5), (2.0, 0.25))
    view.now = 200.0
    assert often(rule, 300) == {0: 150, 1: 150}, "and then has to report for a while again"
    view.now = 203.0
    assert often(rule, 300)[1] == pytest.approx(200, abs=2)


def test_a_server_without_a_weight_has_the_mean_of_the_others() -> None:
    rule, view = made("weighted-round-robin", servers=3, blackout_period="0")
    tell(view, 1.0, (2.0, 0.5), (4.0, 0.5), (0.0, 0.0))
    counts = often(rule, 900)
    assert [counts[k] for k in range(3)] == pytest.approx([200, 400, 300], abs=2)
    alone, view = made("weighted-round-robin", servers=2, blackout_period="0")
    tell(view, 1.0, (2.0, 0.5), (0.0, 0.0))
    assert often(alone, 300) == {0: 150, 1: 150}, "fewer than two weights are none"


def test_a_server_that_is_idle_or_talks_nonsense_keeps_its_last_weight() -> None:
    rule, view = made("weighted-round-robin", servers=2, blackout_period="0")
    tell(view, 1.0, (2.0, 0.5), (4.0, 0.5))
    tell(view, 2.0, (0.0, 0.0), (inf, inf))
    assert often(rule, 300)[1] == pytest.approx(200, abs=2)


def test_a_server_that_comes_back_has_to_report_for_a_while() -> None:
    rule, view = made("weighted-round-robin", servers=3)
    tell(view, 0.0, (1.0, 1.0), (2.0, 1.0), (3.0, 1.0))
    tell(view, 12.0, (1.0, 1.0), (2.0, 1.0), (3.0, 1.0))
    view.leave(2)
    rule.changed()
    assert often(rule, 300) == {0: 100, 1: 200}
    view.enter(2)
    rule.changed()
    assert often(rule, 900)[2] == pytest.approx(300, abs=2), "the mean of 1 and 2, not 3"


# -- jiq and gmsr-delay


def test_jiq_spends_its_tokens() -> None:
    rule, view = made("jiq", (1.0,), (0.0,), (1.0,))
    assert sorted(rule.choose() for _ in range(2)) == [0, 2]
    assert sorted(often(rule)) == [0, 1, 2], "none is left"
    view.reported(1, (1.0,))
    assert rule.choose() == 1


def test_gmsr_delay_takes_the_least_price_with_its_travel() -> None:
    assert made("gmsr-delay", (0.5,), (1.0,), travel=(0.0, 0.9))[0].choose() == 1, "2 against 1.9"
    assert made("gmsr-delay", (0.5,), (1.0,), travel=(0.0, 1.1))[0].choose() == 0
    assert made("gmsr-delay", (0.0,), (0.001,), travel=(0.0, 50.0))[0].choose() == 1, "finite before infinite"
    full, view = made("gmsr-delay", (0.0,), (0.0,), travel=(9.0, 0.0))
    view.inflight[:] = [1, 2]
    assert full.choose() == 0, "nothing raises a rate: where fewer wait or travel"
