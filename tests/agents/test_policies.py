"""Each policy's rule on views set by hand, and the contract that all of them keep."""

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmsr.agents.gauge import QUANTITIES, SLOPES
from gmsr.agents.policies import POLICIES
from gmsr.agents.spec import load
from gmsr.agents.view import View


def policy(
    name: str,
    reports: Sequence[tuple[float, ...]] = (),
    servers: tuple[str, ...] = ("a", "b", "c"),
    weights: tuple[float, ...] | None = None,
    **options: str,
) -> tuple[Any, View]:
    rule = load(POLICIES[name])
    view = View(servers, rule.reads, weights or (1.0,) * len(servers))
    for index, values in enumerate(reports):
        view.reported(index, values)
    return rule(view, Random(1), **options), view


def often(rule: Any, count: int = 3000) -> Counter[int]:
    return Counter(rule.choose() for _ in range(count))


@pytest.mark.parametrize("name", POLICIES)
@given(data=st.data())
def test_every_policy_chooses_one_of_its_servers_and_repeats_itself(name: str, data: st.DataObject) -> None:
    rule = load(POLICIES[name])
    assert set(rule.reads) <= {*QUANTITIES, *SLOPES}
    count = data.draw(st.integers(1, 8))
    value = st.floats(0.0, 10.0) | st.just(float("inf"))
    reports = data.draw(st.lists(st.tuples(*[value] * len(rule.reads)), min_size=count, max_size=count))
    inflight = data.draw(st.lists(st.integers(0, 9), min_size=count, max_size=count))
    choices = []
    for _ in range(2):
        made, view = policy(name, reports, servers=tuple(f"s{k}" for k in range(count)))
        view.inflight[:] = inflight
        choices.append([made.choose() for _ in range(20)])
    assert choices[0] == choices[1]
    assert all(0 <= choice < count for choice in choices[0])


@pytest.mark.parametrize(
    ("name", "reports", "best"),
    [
        ("gmsr", [(0.1,), (0.9,), (0.5,)], 1),
        ("gmsr", [(float("inf"),), (0.9,), (0.5,)], 0),
        ("gmsr-derivative", [(0.1,), (0.9,), (2.5,)], 2),
        ("gmsr-fewest", [(0.9, 5.0), (0.9, 4.0), (0.5, 0.0)], 1),
        ("jsq", [(3.0,), (4.0,), (2.0,)], 2),
        ("least-latency", [(3.0,), (1.0,), (2.0,)], 1),
        ("fastest", [(3.0,), (1.0,), (2.0,)], 0),
        ("gmsr-delay", [(0.1,), (0.9,), (0.5,)], 1),
    ],
)
def test_the_best_is_chosen(name: str, reports: list[tuple[float, ...]], best: int) -> None:
    rule, _ = policy(name, reports)
    assert often(rule, 50) == {best: 50}


def test_gmsr_tie_breaks() -> None:
    tied = [(0.5,), (0.7,), (0.7,)]
    rule, _ = policy("gmsr", tied, servers=("x", "z", "y"), ties="order")
    assert often(rule, 50) == {2: 50}, "order: the first id, whatever the position"
    rule, _ = policy("gmsr", tied, ties="random")
    assert 1300 < often(rule)[1] < 1700
    for rule, view in (policy("gmsr", tied), policy("gmsr", tied, ties="inflight")):
        view.inflight[:] = [0, 3, 2]
        assert often(rule, 50) == {2: 50}
        view.inflight[:] = [0, 2, 2]
        assert often(rule, 50) == {1: 50}, "then the first id"
    with pytest.raises(ValueError, match="ties=sideways is unknown; choose one of order, random, inflight"):
        policy("gmsr", tied, ties="sideways")


def test_least_inflight_looks_at_its_own_jobs_only() -> None:
    rule, view = policy("least-inflight")
    view.inflight[:] = [2, 1, 2]
    assert often(rule, 50) == {1: 50}
    view.inflight[:] = [1, 1, 2]
    assert 1300 < often(rule)[0] < 1700


def test_p2c_never_takes_the_worst_and_takes_the_best_two_times_in_three() -> None:
    rule, _ = policy("p2c", [(5.0,), (1.0,), (3.0,)])
    counts = often(rule)
    assert counts[0] == 0
    assert 1900 < counts[1] < 2100
    alone, _ = policy("p2c", [(5.0,)], servers=("a",))
    assert alone.choose() == 0


def test_random_round_robin_and_static_split_as_they_should() -> None:
    assert all(880 < count < 1120 for count in often(policy("random")[0]).values())
    assert often(policy("round-robin")[0]) == {0: 1000, 1: 1000, 2: 1000}
    counts = often(policy("static", weights=(1.0, 0.0, 3.0))[0])
    assert counts[1] == 0
    assert 650 < counts[0] < 850
    with pytest.raises(ValueError, match="all weights"):
        policy("static", weights=(0.0, 0.0, 0.0))


def test_jiq_without_an_idle_server_is_random() -> None:
    counts = often(policy("jiq", [(0.0,)] * 3)[0])
    assert all(880 < count < 1120 for count in counts.values())


def test_a_policy_sees_only_what_it_declares() -> None:
    view = View(["a"], ("marginal",), [1.0])
    with pytest.raises(KeyError, match="'jobs' is not among what the policy reads"):
        view.column("jobs")


def test_a_share_of_jobs_does_not_choose() -> None:
    """(1 + β): with β = 0.4 the shorter of two queues gets 0.4 + 0.6/2 of the jobs; 5 standard errors."""
    rule, _ = policy("p2c", [(5.0,), (0.0,)], ("a", "b"), beta="0.4")
    shorter = sum(rule.choose() for _ in range(20_000)) / 20_000
    assert shorter == pytest.approx(0.7, abs=5 * (0.21 / 20_000) ** 0.5)
