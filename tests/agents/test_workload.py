"""Arrivals and sizes: the right law, fixed by the seed, the same whatever the policy."""

import hashlib
import math
import statistics
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmsr.agents.machine import NEVER
from gmsr.agents.workload import stream, workload


def arrivals(kind: str, rate: float = 5.0, **more: Any) -> Any:
    return {"kind": kind, "rate": rate, "on": 2.0, "off": 3.0, "schedule": ""} | more


def sizes(kind: str = "exponential", **more: Any) -> Any:
    return {"kind": kind, "mean": 2.0, "sigma": 1.0, "alpha": 1.5, "ratio": 100.0, "values": ""} | more


def take(count: int, *args: Any, **kwargs: Any) -> list[tuple[float, float]]:
    jobs = workload(*args, **kwargs)
    return [jobs.next() for _ in range(count)]


@pytest.mark.parametrize("kind", ["poisson", "deterministic", "on-off"])
def test_the_rate_is_right_and_arrivals_never_fall(kind: str) -> None:
    jobs = take(40_000, arrivals(kind), sizes(), 1, "d1")
    times = [arrival for arrival, _ in jobs]
    assert times == sorted(times)
    # The on-off process is the widest: the index of dispersion of its counts, from its cycle, is about 13.
    assert len(times) / times[-1] == pytest.approx(5.0, rel=3.3 * math.sqrt(15.0 / 40_000))


def test_poisson_gaps_are_exponential_and_deterministic_gaps_are_equal() -> None:
    times = [arrival for arrival, _ in take(20_000, arrivals("poisson"), sizes(), 3, "d1")]
    gaps = sorted(later - earlier for earlier, later in pairwise([0.0, *times]))
    count = len(gaps)
    distance = max(abs((k + 1) / count - (1 - math.exp(-5.0 * gap))) for k, gap in enumerate(gaps))
    assert distance < 1.95 / math.sqrt(count)  # Kolmogorov-Smirnov at 0.1 %
    times = [arrival for arrival, _ in take(100, arrivals("deterministic"), sizes(), 3, "d1")]
    assert 0.0 <= times[0] < 0.2
    assert {round(later - earlier, 9) for earlier, later in pairwise(times)} == {0.2}


def test_on_off_arrivals_come_in_bursts_at_the_peak_rate() -> None:
    times = [arrival for arrival, _ in take(50_000, arrivals("on-off"), sizes(), 5, "d1")]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    # Within a burst the rate is 5·(2+3)/2 = 12.5 a second; a gap ends the burst with chance 1/(12.5·2+1).
    long = sum(gap > 1.0 for gap in gaps) / len(gaps)
    assert long == pytest.approx(math.exp(-1 / 3) / 26, rel=0.15)
    assert statistics.median(gaps) == pytest.approx(math.log(2) / 12.5, rel=0.1)


@pytest.mark.parametrize("kind", ["exponential", "deterministic", "lognormal", "bounded-pareto", "trace"])
def test_the_mean_size_is_what_was_asked(kind: str) -> None:
    values = [1.0, 2.0, 3.0] if kind == "trace" else ()
    drawn = [size for _, size in take(40_000, arrivals("poisson"), sizes(kind), 2, "d1", values=values)]
    assert min(drawn) > 0.0
    spread = statistics.pstdev(drawn) / math.sqrt(len(drawn))
    assert abs(statistics.fmean(drawn) - 2.0) <= 3.5 * spread + 1e-12


@given(st.floats(0.1, 50.0), st.floats(0.3, 3.0), st.floats(1.5, 1e5))
def test_bounded_pareto_stays_in_its_bounds(mean: float, alpha: float, ratio: float) -> None:
    spec = sizes("bounded-pareto", mean=mean, alpha=alpha, ratio=ratio)
    drawn = [size for _, size in take(50, arrivals("poisson"), spec, 2, "d1")]
    assert max(drawn) / min(drawn) <= ratio * (1 + 1e-9)
    assert min(drawn) <= mean * (1 + 1e-9)


def test_a_schedule_is_followed_to_its_end() -> None:
    rows = [0.5, 7.0, 1.5, 9.0]
    jobs = take(3, arrivals("trace"), sizes("schedule"), 1, "d1", rows=rows)
    assert jobs == [(0.5, 7.0), (1.5, 9.0), (NEVER, 0.0)]
    drawn = take(2, arrivals("trace"), sizes("deterministic"), 1, "d1", rows=rows)
    assert drawn == [(0.5, 2.0), (1.5, 2.0)]


def test_seed_and_dispatcher_fix_the_jobs_and_nothing_else_does() -> None:
    one = take(100, arrivals("poisson"), sizes(), 1, "d1")
    assert one == take(100, arrivals("poisson"), sizes(), 1, "d1")
    assert one != take(100, arrivals("poisson"), sizes(), 2, "d1")
    assert one != take(100, arrivals("poisson"), sizes(), 1, "d2")
    deterministic = take(100, arrivals("poisson"), sizes("deterministic"), 1, "d1")
    assert [arrival for arrival, _ in one] == [arrival for arrival, _ in deterministic]


def test_streams_are_the_same_on_every_platform() -> None:
    text = b"1/d1/arrivals"
    seed = int.from_bytes(text + hashlib.sha512(text).digest(), "big")
    assert stream(1, "d1", "arrivals").random() == Random(seed).random()


def test_no_rate_means_no_arrivals() -> None:
    assert take(1, arrivals("poisson", rate=0.0), sizes(), 1, "d1")[0][0] == NEVER
