"""Statuses as agents send them, by hand, and what a watcher must make of them."""

from math import inf
from typing import Any

import pytest

from gmsr.broker.wire import KIND_NAMES, KINDS, REPORT
from gmsr.launch.watch.meter import Meter


def of_dispatcher(t: float, done: int, latency: float, sent: list[int], **more: Any) -> dict[str, Any]:
    counts = {"offered": done + 2, "completed": done, "in_flight": 2, "lost": 0, "late": 0.001 * done}
    return {"id": "d1", "t": t, **counts, "latency": latency, "sent": sent, "said": [0] * KINDS, **more}


def of_server(t: float, held: int, departed: int, **more: Any) -> dict[str, Any]:
    said = [0] * KINDS
    said[REPORT] = 3 * departed
    counts = {"arrived": departed + held, "departed": departed, "held": held, "late": 0.0}
    return {"id": "s1", "t": t, **counts, "rate": 2.5, "marginal": 0.25, "said": said, **more}


def meter(warmup: float = 0.0) -> Meter:
    return Meter({"d1": ["s1", "s2"]}, scale=2.0, warmup=warmup, pace=1.0, interval=1.0)


def test_rates_are_over_the_last_seconds() -> None:
    seen = meter()
    for t in range(21):  # 10 jobs a second; from t = 10 on all go to s2, and take 0.3 s instead of 0.1
        slow = max(t - 10, 0)
        seen.heard(of_dispatcher(float(t), 10 * t, t + 2.0 * slow, [10 * (t - slow), 10 * slow]))
        seen.heard(of_server(float(t), 6, 10 * t))
    frame = seen.frame(20.0)
    assert frame.offered == frame.completed == pytest.approx(10.0)
    assert frame.latency == pytest.approx(0.3)
    assert frame.so_far == pytest.approx((20.0 + 2.0 * 10.0) / 200.0)
    assert frame.flows == {"d1": {"s2": pytest.approx(10.0)}}
    assert frame.servers == {"s1": [3.0, 2.5, 0.25]}
    assert frame.workload == 3.0
    assert frame.messages == {KIND_NAMES[REPORT]: pytest.approx(30.0)}
    assert frame.late == pytest.approx(0.001 * 50 / 100)  # of ours and theirs


def test_what_came_before_the_warm_up_is_not_counted() -> None:
    seen = meter(warmup=10.0)
    for t in range(21):
        seen.heard(of_dispatcher(float(t), t, 5.0 * t if t <= 10 else 50.0 + (t - 10), [t, 0]))
    assert seen.frame(20.0).so_far == pytest.approx(1.0)


def test_another_life_begins_anew_and_falsifies_nothing() -> None:
    seen = meter()
    for t in range(11):
        seen.heard(of_dispatcher(float(t), 10 * t, float(t), [10 * t, 0], lost=3))
    for t in range(12, 20):  # it was dead for a moment, and counts from nothing
        seen.heard(of_dispatcher(float(t), 10 * (t - 11), 2.0 * (t - 11), [10 * (t - 11), 0], lost=1))
        frame = seen.frame(float(t))
        assert frame.completed in (0.0, pytest.approx(10.0))
        assert frame.lost == 4
    assert frame.so_far == pytest.approx((10.0 + 16.0) / (100 + 80))


def test_who_is_silent_is_not_there() -> None:
    seen = meter()
    seen.heard(of_server(1.0, 4, 10))
    assert seen.frame(2.0).servers == {"s1": [2.0, 2.5, 0.25]}
    assert seen.frame(6.0).servers == {}
    assert seen.frame(6.0).workload == 0.0


def test_nothing_known_is_none_and_infinity_too() -> None:
    assert meter().frame(0.0).latency is None
    seen = meter()
    seen.heard(of_server(1.0, 0, 0, marginal=inf))
    assert seen.frame(1.0).servers == {"s1": [0.0, 2.5, None]}


def test_a_server_that_is_met_in_mid_run_counts_from_none() -> None:
    seen = Meter({"d1": ["s1", "s2"]}, 1.0, 0.0, 1.0, 1.0)
    seen.heard(of_dispatcher(1.0, 10, 1.0, [10]))
    seen.heard(of_dispatcher(2.0, 20, 2.0, [15, 5]))
    assert seen.frame(2.0).flows == {"d1": {"s1": 5.0, "s2": 5.0}}
