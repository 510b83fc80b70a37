"""Which servers a dispatcher asks, and which answers a job is sent by: together, and Prequal's pool."""

from collections import Counter
from random import Random

import pytest

from gmsr.agents.feeds.asking import Job, Pool, Together, asking
from gmsr.agents.machine import NEVER

ABLE = list(range(20))
JOB = Job(0.0, 1.0)


def pool(servers: int = 100, **options: str) -> Pool:
    return Pool(Random(1), servers, **options)


def answers(asked: Pool, now: float = 0.0) -> list[int]:
    """Those that the next job could go to."""
    asked.arrived(JOB, ABLE, now)
    ((_, able),) = asked.ready(now)
    return able


def test_the_options_say_which() -> None:
    assert isinstance(asking(Random(1), 9, 1.0, {"pool": "4"}), Pool)
    assert isinstance(asking(Random(1), 9, 1.0, {"d": "3"}), Together)
    with pytest.raises(ValueError, match="pool=1 must be a number 2 or more"):
        asking(Random(1), 9, 1.0, {"pool": "1"})
    with pytest.raises(TypeError, match="depth"):
        asking(Random(1), 9, 1.0, {"depth": "1"})


# -- together


def test_a_job_waits_for_all_its_answers() -> None:
    together = Together(Random(1), 1.0, d="2")
    first, second = together.arrived(JOB, ABLE, 0.0)
    together.answered(first, 0.1)
    assert not list(together.ready(0.1))
    assert together.waiting == 1
    together.answered(second, 0.2)
    assert list(together.ready(0.2)) == [(JOB, [first, second])]
    assert together.deadline() == NEVER


def test_patience_ends_with_the_answers_that_are_there() -> None:
    together = Together(Random(1), 1.0, d="2")
    first, _ = together.arrived(JOB, ABLE, 0.0)
    together.answered(first, 0.1)
    assert together.deadline() == 1.0
    assert list(together.ready(1.0)) == [(JOB, [first])]


def test_answers_go_to_the_jobs_in_order() -> None:
    together = Together(Random(1), 1.0, d="1")
    jobs = [Job(float(k), 1.0) for k in range(2)]
    for job in jobs:
        assert together.arrived(job, [7], job.arrival) == [7]
    together.answered(7, 1.1)
    assert list(together.ready(1.1)) == [(jobs[0], [7])]


# -- the pool


def test_each_job_asks_three_different_servers() -> None:
    made = pool()
    asked: Counter[int] = Counter()
    for _ in range(1000):
        servers = made.arrived(JOB, ABLE, 0.0)
        assert len(set(servers)) == 3
        asked.update(servers)
    assert all(100 < asked[server] < 200 for server in ABLE)
    half = pool(rate="0.5")
    assert [len(half.arrived(JOB, ABLE, 0.0)) for _ in range(4)] == [0, 1, 0, 1]
    assert len(pool().arrived(JOB, [4, 5], 0.0)) == 2, "not more than there are"


def test_fewer_than_two_answers_are_no_choice() -> None:
    made = pool()
    assert answers(made) == []
    made.answered(3, 0.0)
    assert answers(made) == []
    assert made.anybody([8]) == [8]
    made.answered(4, 0.0)
    assert answers(made) == [3, 4]


def test_the_oldest_makes_room_and_a_server_has_one_answer() -> None:
    made = pool(pool="3")
    for server in (1, 2, 3, 1, 4):
        made.answered(server, 0.0)
    assert answers(made) == [3, 1, 4]


def test_answers_grow_too_old() -> None:
    made = pool(age="1")
    for server, now in ((1, 0.0), (2, 0.5), (3, 0.9)):
        made.answered(server, now)
    assert answers(made, 1.0) == [1, 2, 3]
    assert answers(made, 1.2) == [2, 3]


def test_the_oldest_and_the_worst_go_in_turn() -> None:
    made = pool(reuse="99")
    for server in range(6):
        made.answered(server, 0.0)
    made.used(5, worst=4)
    assert answers(made) == [1, 2, 3, 4, 5], "the oldest"
    made.used(5, worst=4)
    assert answers(made) == [1, 2, 3, 5], "the worst"
    made.used(5, worst=-1)
    made.used(5, worst=-1)
    assert answers(made) == [3, 5], "where nobody says who is, the oldest again"


def test_removals_may_be_fractions() -> None:
    made = pool(remove="0.5", reuse="99")
    for server in range(4):
        made.answered(server, 0.0)
    left = []
    for _ in range(4):
        made.used(3, worst=-1)
        left.append(len(made._entries))
    assert left == [4, 3, 3, 2]


def test_an_answer_wears_out() -> None:
    made = pool(remove="0", reuse="2")
    for server in (1, 2, 3):
        made.answered(server, 0.0)
    made.used(2, worst=1)
    assert answers(made) == [1, 2, 3]
    made.used(2, worst=1)
    assert answers(made) == [1, 3]
    made.answered(2, 0.0)
    made.used(2, worst=1)
    assert answers(made) == [1, 3, 2], "a new answer is a new start"


def test_how_often_is_the_paper_s_equation() -> None:
    """b = max(1, (1 + δ)/((1 − m/n)·3 − 1)); with m = 16 and n = 100 that is 2/1.52, drawn as 1 or 2."""
    assert pool(100)._reuse == pytest.approx(2 / (0.84 * 3 - 1))
    assert pool(10**6)._reuse == pytest.approx(1.0, abs=1e-4)
    assert pool(100, rate="9")._reuse == 1.0
    assert pool(20)._reuse == NEVER, "removals alone take more than comes in"
    made = pool(100)
    uses = Counter(made._uses() for _ in range(10_000))
    assert sorted(uses) == [1.0, 2.0]
    assert uses[2.0] == pytest.approx(3158, rel=0.06)
