"""Servers that learn, whole: they work at the true curve, and report by what a learner makes of their visits."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gmsr.agents.learning import Learner
from gmsr.broker.wire import REPORT
from gmsr.topology.curves import Hyperbolic, difference, make, scaled

CURVE = Hyperbolic(6.0, 10.0)
Build = Callable[..., Any]
ONE = {"s1": CURVE.describe()}, {"d1": ["s1"]}


def told(world: Any) -> list[tuple[float, float]]:
    """Times and marginals of the server's reports to d1, the greeting's first."""
    return [message[1:] for message in world.told["s1>d1"] if message[0] == REPORT]


def events(rows: list[Any]) -> Iterator[tuple[float, bool, int, float]]:
    """What happened at a server, in order: time, whether a job came, which, and its size."""
    came = [(row[3], True, number, row[6]) for number, row in enumerate(rows)]
    went = [(row[4], False, number, row[6]) for number, row in enumerate(rows) if not math.isnan(row[4])]
    yield from sorted(came + went)


def marginal(learner: Learner, jobs: int, scale: float) -> float:
    return float(f"{difference(learner.curve(), jobs, scale):.12g}")


@pytest.mark.parametrize(("rate", "scale"), [(3.5, 1.0), (2.0, 4.0), (0.05, 1.0)])
def test_reports_are_what_a_learner_makes_of_the_visits(fabric: Build, rate: float, scale: float) -> None:
    """The journal alone is played to another learner: each change of its marginal was told, at once, and no other.

    At the lowest rate the server is idle for long, and tells what it hopes.
    """
    world = fabric(*ONE, {"d1": rate}, scale=scale, duration=400.0 / scale / rate, learns=True)
    world.run()
    learner, jobs = Learner(scale), 0
    expected = [(0.0, marginal(learner, 0, scale))]

    def tell(now: float) -> None:
        if (value := marginal(learner, jobs, scale)) != expected[-1][1]:
            expected.append((now, value))

    for now, came, visit, size in events(world.journals["s1"].rows):
        while (due := learner.deadline()) < now:
            learner.rested(due)
            tell(due)
        jobs += 1 if came else -1
        learner.arrived(visit, now) if came else learner.departed(visit, size, now)
        tell(now)
    reports = [each for each in told(world) if each[0] <= now]
    assert [value for _, value in reports] == [value for _, value in expected]
    assert [time for time, _ in reports] == pytest.approx([time for time, _ in expected], abs=1e-9)
    assert len(expected) > 100


def test_it_works_at_the_true_curve(fabric: Build) -> None:
    """What it believes of itself changes nothing about its speed."""
    worlds = [fabric(*ONE, {"d1": 3.0}, duration=50.0, learns=learns) for learns in (False, True)]
    for world in worlds:
        world.run()
    known, learns = (world.journals["s1"].rows for world in worlds)
    assert [row[:5] for row in known] == [row[:5] for row in learns]
    assert told(worlds[0]) != told(worlds[1])


@pytest.mark.slow
def test_a_change_that_nobody_tells_is_found(fabric: Build) -> None:
    """Soon reports are those of the new speed, but for some slopes at the ends of where the server has been.

    Errors relative to μ/N, as where learners are tested: 0.15 is what they are held to in the middle four fifths.
    """
    world = fabric(*ONE, {"d1": 2.4}, duration=1200.0, learns=True, validating=False)
    world.run(until=500.0)
    world.servers["s1"].order({"tell": "slow", "factor": 0.5}, world.now)
    world.run(until=1000.0)
    slow = scaled(CURVE, 0.5)
    assert make(world.servers["s1"].statement()["learned"]["curve"]).value(40.0) == pytest.approx(
        slow.value(40.0), rel=0.05
    )
    held, jobs = {}, 0
    for now, came, _, _ in events(world.journals["s1"].rows):
        jobs += 1 if came else -1
        held[now] = jobs
    late = [(held[now], value) for now, value in told(world) if now > 800.0 and held.get(now, 0) > 1]
    assert len(late) > 500
    wrong = [
        abs(value - difference(slow, jobs, 1.0)) > 0.15 * slow.value(jobs) / jobs for jobs, value in late
    ]
    assert sum(wrong) < 0.2 * len(late)


def test_a_pause_is_no_news(fabric: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """The learner's clock stands while the server does: nothing is taken for a change of the curve."""
    monkeypatch.setattr(Learner, "_restart", lambda _: pytest.fail("the curve has not changed"))
    world = fabric(*ONE, {"d1": 3.0}, duration=200.0, learns=True)
    for at in (50.0, 100.0, 150.0):
        world.run(until=at)
        server = world.servers["s1"]
        server.order({"tell": "pause"}, at)
        world.run(until=at + 10.0)
        server.order({"tell": "pause"}, at + 10.0)
        server.advance(at + 12.0)
        assert server.deadline() > at + 12.0
        server.order({"tell": "resume"}, at + 12.0)
        server.order({"tell": "resume"}, at + 12.0)
        world.now = at + 12.0
        world.deliver()
    world.run()
    learned = make(world.servers["s1"].statement()["learned"]["curve"])
    assert learned.value(10.0) == pytest.approx(CURVE.value(10.0), rel=0.03)
