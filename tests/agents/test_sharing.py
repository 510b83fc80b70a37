"""Processor sharing: against brute force, closed forms and exact queueing theory."""

import math
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmsr.agents.machine import NEVER
from gmsr.agents.sharing import Sharing

jobs_strategy = st.lists(
    st.tuples(st.floats(0.0, 5.0), st.floats(0.01, 10.0)), min_size=1, max_size=30
)  # gap, size


def brute_force(jobs: list[tuple[float, float]], rate: list[float]) -> dict[int, float]:
    """Departure instants by stepping through all remaining sizes, with no virtual time."""
    instants: dict[int, float] = {}
    left: dict[int, float] = {}
    arrivals = []
    clock = 0.0
    for number, (gap, size) in enumerate(jobs):
        clock += gap
        arrivals.append((clock, number, size))
    now = 0.0
    while arrivals or left:
        speed = rate[len(left)] / len(left) if left else 0.0
        first = min(left, key=lambda number: left[number]) if left else None
        end = now + left[first] / speed if first is not None else math.inf
        if arrivals and arrivals[0][0] <= end:
            then, number, size = arrivals.pop(0)
            for other in left:
                left[other] -= (then - now) * speed
            left[number] = size
            now = then
        else:
            assert first is not None
            for other in left:
                left[other] -= (end - now) * speed
            instants[first] = now = end
            del left[first]
    return instants


@given(jobs_strategy, st.floats(0.1, 3.0), st.floats(0.3, 1.0))
def test_departures_are_those_of_brute_force(
    jobs: list[tuple[float, float]], base: float, power: float
) -> None:
    rate = [base * count**power for count in range(len(jobs) + 1)]
    sharing = Sharing(lambda count: rate[count])
    clock, instants = 0.0, {}
    for number, (gap, size) in enumerate(jobs):
        clock += gap
        while sharing.next_departure <= clock:
            visit, instant = sharing.depart()
            instants[visit.job] = instant
        sharing.arrive(0, number, size, clock)
    while sharing.next_departure < NEVER:
        visit, instant = sharing.depart()
        instants[visit.job] = instant
    expected = brute_force(jobs, rate)
    assert instants.keys() == expected.keys()
    for number, instant in instants.items():
        assert instant == pytest.approx(expected[number], rel=1e-9, abs=1e-6)


@given(st.lists(st.tuples(st.floats(0.0, 2.0), st.floats(0.01, 5.0)), min_size=1, max_size=20), st.randoms())
@settings(max_examples=50)
def test_late_wake_ups_change_nothing(jobs: list[tuple[float, float]], random: Random) -> None:
    """Departures noticed late, in lumps, have the same instants: only arrivals set the model's course."""

    def play(lumps: bool) -> list[tuple[int, float]]:
        sharing = Sharing(lambda count: 1.0 + 0.1 * count)
        clock, gone = 0.0, []
        for number, (gap, size) in enumerate(jobs):
            for part in range(5):
                if not lumps or random.random() < 0.1:
                    at = clock + gap * part / 5
                    while sharing.next_departure <= at:
                        visit, instant = sharing.depart()
                        gone.append((visit.job, instant))
            clock += gap
            while sharing.next_departure <= clock:
                visit, instant = sharing.depart()
                gone.append((visit.job, instant))
            sharing.arrive(0, number, size, clock)
        return gone

    assert play(lumps=False) == play(lumps=True)


def test_time_never_runs_backwards_and_no_work_is_lost_over_a_long_busy_period() -> None:
    random = Random(7)
    sharing = Sharing(lambda count: 3.0)
    clock, last, sizes, done = 0.0, 0.0, 0.0, 0
    sharing.arrive(0, 10**6, 1e9, 0.0)  # one giant keeps the virtual clock from being reset
    for number in range(20_000):
        clock += random.expovariate(2.0)
        while sharing.next_departure <= clock:
            _, instant = sharing.depart()
            assert instant >= last
            last, done = instant, done + 1
        size = random.expovariate(1.0)
        sizes += size
        sharing.arrive(0, number, size, clock)
    giant = next(visit for visit in sharing.visits if visit.job == 10**6)
    assert giant.arrived == 0.0
    served_to_all = sizes + 1e9 - sum(visit.finish - sharing._virtual for visit in sharing.visits)
    assert served_to_all == pytest.approx(3.0 * sharing._instant, rel=1e-6)


def test_beyond_the_memo_speeds_are_still_right() -> None:
    from gmsr.agents import sharing as module

    sharing = Sharing(float)  # each job is served at speed 1
    assert sharing._speed(module.MEMO + 5) == 1.0
    assert sharing._speed(3) == 1.0
