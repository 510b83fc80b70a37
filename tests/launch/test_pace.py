"""The search for a pace, on machines that are made up."""

from typing import Any

import pytest

from gmsr.launch import pace
from gmsr.launch.plan import Options
from gmsr.topology.errors import UserError
from gmsr.topology.graph import Topology

NOTHING = Topology("nothing", (), (), ())


def machine(limit: float, tried: list[float]) -> Any:
    """Good up to a pace of ``limit``."""

    def attempt(at: float) -> pace.Trial:
        tried.append(at)
        return pace.Trial(relative=0.01 * at / limit, cpu=0.1) if at <= limit else pace.Trial(0.01, 0.95)

    return attempt


@pytest.mark.parametrize(
    ("limit", "found"),
    [(1.0, 1.0), (1.6, 1.5), (7.0, 6.0), (8.0, 8.0), (0.3, 0.25), (2.0**-6, 2.0**-6), (1e9, 2.0**7)],
)
def test_the_fastest_good_pace_is_found_in_few_trials(limit: float, found: float) -> None:
    tried: list[float] = []
    assert pace.search(machine(limit, tried)) == found
    assert len(tried) <= pace.TRIALS + 2
    assert len(set(tried)) == len(tried)


def test_a_machine_that_is_too_small_at_any_pace_is_told_so() -> None:
    with pytest.raises(UserError, match=r"^--pace: "):
        pace.search(machine(0.0, []))


@pytest.mark.parametrize(
    ("relative", "cpu", "good"), [(0.0, 0.0, True), (0.031, 0.1, False), (0.01, 0.71, False)]
)
def test_a_pace_is_good_if_agents_are_on_time_and_the_machine_has_room(
    relative: float, cpu: float, good: bool
) -> None:
    assert pace.Trial(relative, cpu).good is good


def summary(mean: float | None, optimum: float | None, duration: float = 2.0) -> dict[str, Any]:
    return {
        "fidelity": {"lateness": {"p99": 0.02}, "cpu": {"d1": 0.5, "s1": 0.3}},
        "latency": {"mean": mean},
        "optimum": None if optimum is None else {"latency": optimum},
        "duration": duration,
    }


@pytest.mark.parametrize(
    ("mean", "optimum", "relative"),
    [(0.5, 0.4, 0.04), (0.5, 4.0, 0.005), (None, 4.0, 0.005), (0.5, None, 0.04), (None, None, 0.01)],
)
def test_a_short_trial_of_a_slow_system_is_judged_by_the_optimum(
    mean: float | None, optimum: float | None, relative: float
) -> None:
    trial = pace.judge(summary(mean, optimum), cores=2)
    assert trial == pytest.approx((relative, 0.4))


def test_a_pace_is_a_positive_number_or_auto() -> None:
    assert pace.resolve(NOTHING, Options(), "2.5").pace == 2.5
    for text in ("fast", "0", "-1", "nan", "inf"):
        with pytest.raises(UserError, match=r"^--pace: "):
            pace.resolve(NOTHING, Options(), text)
