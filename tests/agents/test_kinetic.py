"""The kinetic tournament finds the greatest of moving values, and the damped rule expects what its formula says."""

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmsr.agents.policies.damped import GmsrDamped
from gmsr.agents.policies.kinetic import KineticTournament, Line
from gmsr.agents.view import View

SLOPE = st.sampled_from([0.0, 0.1, 0.25, 1.0, 3.0])
LINE = st.tuples(
    st.sampled_from([-2.0, -0.5, 0.0, 0.3, 1.0]), st.sampled_from([0.0, 0.4, 2.0, 9.0]), SLOPE, SLOPE
)
STEP = st.tuples(st.sampled_from([0.0, 0.01, 0.4, 1.0, 7.0]), st.integers(0, 8), LINE | st.none())


def value_of(line: Line, now: float) -> float:
    value, bend, before, after = line
    return value + (now - bend) * (before if now < bend else after)


@settings(deadline=None)
@given(st.lists(LINE, min_size=1, max_size=9), st.lists(STEP, max_size=30))
def test_the_winner_is_the_greatest_at_any_time(
    lines: list[Line], steps: list[tuple[float, int, Line | None]]
) -> None:
    now, fewest = 0.0, [0] * len(lines)
    tree = KineticTournament(lines, fewest, now)
    for wait, place, line in steps:
        now += wait
        if line is not None:
            lines[place % len(lines)] = line
            tree.put(place % len(lines), line, now)
        values = [value_of(line, now) for line in lines]
        assert values[tree.best(now)] == pytest.approx(max(values), abs=1e-9)


def test_ties_go_to_the_fewest_in_flight() -> None:
    fewest = [3, 1, 2, 1]
    assert KineticTournament([(1.0, 0.0, 0.0, 0.0)] * 4, fewest, 0.0).best(5.0) == 1
    fewest[1] = 4
    tree = KineticTournament([(1.0, 0.0, 0.0, 0.0)] * 4, fewest, 0.0)
    assert tree.best(5.0) == 3
    fewest[3] = 9
    tree.put(3, (1.0, 0.0, 0.0, 0.0), 5.0)
    assert tree.best(5.0) == 2


def policy(count: int, few: int) -> tuple[Any, View]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GmsrDamped, "few", few)
        view = View([f"s{number}" for number in range(count)], GmsrDamped.reads, [1.0] * count)
        made = GmsrDamped(view, Random(1))
        view.touched = made.touched
        made.choose()  # its lists are made for so few
    return made, view


@pytest.mark.parametrize("few", [0, 10**9])
@settings(deadline=None)
@given(data=st.data())
def test_the_damped_rule_takes_the_greatest_expected(few: int, data: st.DataObject) -> None:
    count = data.draw(st.sampled_from([1, 2, 3, 5, 8]))
    made, view = policy(count, few)
    assert (made._tournament is None) == bool(few)
    for _ in range(data.draw(st.integers(1, 40))):
        view.now += data.draw(st.sampled_from([0.0, 0.01, 0.2, 1.0]))
        number = data.draw(st.integers(0, count - 1))
        if data.draw(st.booleans()):
            slopes = data.draw(st.sampled_from([(0.0, 0.0), (0.05, 0.1), (0.2, 0.2)]))
            view.reported(number, (data.draw(st.sampled_from([0.0, 0.5, 0.6, 1.0])), *slopes), view.now)
        values = [value_of(line, view.now) for line in made._lines]
        chosen = made.choose()
        assert values[chosen] == pytest.approx(max(values), abs=1e-9)
        view.add(chosen, 1)


@pytest.mark.parametrize("jobs", [0, 3, 10, 25])
def test_what_it_expects_of_a_server(jobs: int) -> None:
    """One that reports each second, and gets ten jobs in each."""
    made, view = policy(1, 10)
    for tick in range(1, 2001):
        view.now = tick / 10
        if tick % 10 == 0:
            view.reported(0, (0.7, 0.2, 0.1), view.now)
        made.choose()
    view.now += 0.05
    view.reported(0, (0.7, 0.2, 0.1), view.now)
    for _ in range(jobs):
        made._sent[0] += 1
    after = 1.0 + (jobs > 0)  # so many seconds later
    view.correct(0, (0.7, 0.2, 0.1))
    view.now += after
    beyond = (jobs - 10.0 * after) / 10.0
    every = made._every[0]
    assert every == pytest.approx(1.0, rel=0.1)
    expected = 0.7 - beyond * (0.2 if beyond > 0.0 else 0.1)
    assert value_of(made._lines[0], view.now) == pytest.approx(expected, abs=0.03)


def test_shares_outlive_any_number_of_jobs_and_any_pause() -> None:
    made, view = policy(3, 10)
    for number in range(3):
        view.reported(number, (0.5, 0.1, 0.1), 0.0)
    for step in range(20_000):
        view.now += 1e6 if step % 1000 == 0 else 0.01
        view.reported(step % 3, (0.5, 0.1, 0.1), view.now)
        made.choose()
        shares = [made._unit * share for share in made._shares]
        assert sum(shares) == pytest.approx(1.0)
        assert min(shares) >= 0.0
