"""Dispatchers and servers together on perfect edges: the model itself, with every invariant checked."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmsr.agents.journal import COMPLETED, DEPARTED, IN_FLIGHT
from gmsr.broker.wire import BYE, COMPLETION, HELLO, JOB, REPORT, WELCOME

HYPERBOLIC = {"kind": "hyperbolic", "a": 4.0, "b": 2.0}
CORES = {"kind": "multicore", "m": 1.0, "k": 4}

Build = Callable[..., Any]


@given(
    st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=4),
    st.sampled_from(["gmsr", "random", "jsq", "least-inflight", "p2c", "jiq", "least-latency", "static"]),
    st.integers(0, 999),
)
@settings(max_examples=40, deadline=None)
def test_accounts_balance_on_any_graph(
    fabric_class: Build, edges: list[list[bool]], policy: str, seed: int
) -> None:
    names = ["s1", "s2", "s3"]
    servers_of = {
        f"d{row}": [name for name, edge in zip(names, mask, strict=True) if edge] or ["s1"]
        for row, mask in enumerate(edges)
    }
    world = fabric_class(
        dict.fromkeys(names, HYPERBOLIC),
        servers_of,
        dict.fromkeys(servers_of, 1.0),
        policy=policy,
        duration=20.0,
        cooldown=2.0,
        seed=seed,
    )
    world.run()
    for name, dispatcher in world.dispatchers.items():
        statement = dispatcher.statement()
        rows = world.journals[name].rows
        assert len(rows) == statement["offered"] == statement["completed"] + statement["in_flight"]
        assert len({row[0] for row in rows}) == len(rows), "no job is booked twice"
        for job, server, state, _arrival, _sent, done, size in rows:
            visits = [
                visit
                for visit in world.journals[servers_of[name][server]].rows
                if visit[0] == job and world.servers[servers_of[name][server]]._dispatchers[visit[1]] == name
            ]
            assert len(visits) == 1
            assert visits[0][6] == size
            if state == COMPLETED:
                assert visits[0][2] == DEPARTED
                assert visits[0][4] == done, "on perfect edges a completion is heard when it happens"
            else:
                assert state == IN_FLIGHT


@pytest.fixture(scope="session")
def fabric_class() -> Build:
    from .conftest import Fabric

    return Fabric


def test_a_report_carries_the_marginal_rate_and_nothing_else(fabric: Build) -> None:
    world = fabric({"s1": CORES, "s2": HYPERBOLIC}, {"d1": ["s1", "s2"]}, {"d1": 3.0}, duration=30.0)
    world.run()
    told = {kind for messages in world.told.values() for kind, *_ in messages}
    assert told == {HELLO, WELCOME, JOB, COMPLETION, REPORT, BYE}
    reports = [message for message in world.told["s1>d1"] if message[0] == REPORT]
    assert {len(message) for message in reports} == {3}
    assert {message[2] for message in reports} <= {0.0, 1.0}, "a multicore server's marginal is m or 0"
    times = [message[1] for message in reports]
    assert times == sorted(times), "each says when it was true"


def test_a_policy_that_reads_nothing_is_told_nothing(fabric: Build) -> None:
    world = fabric({"s1": CORES}, {"d1": ["s1"]}, {"d1": 1.0}, policy="round-robin", duration=30.0)
    world.run()
    assert REPORT not in {kind for messages in world.told.values() for kind, *_ in messages}


def test_an_unchanged_value_is_not_reported_again(fabric: Build) -> None:
    world = fabric({"s1": {"kind": "multicore", "m": 1.0, "k": 1000}}, {"d1": ["s1"]}, {"d1": 2.0})
    world.run()
    assert [message[0] for message in world.told["s1>d1"]].count(REPORT) == 1, "the one that welcomes"


def test_every_connected_dispatcher_hears_of_every_change(fabric: Build) -> None:
    world = fabric({"s1": HYPERBOLIC}, {"d1": ["s1"], "d2": ["s1"]}, {"d1": 1.0, "d2": 0.0}, duration=50.0)
    world.run(until=49.0)
    ours, theirs = (
        [message[1:] for message in world.told[f"s1>{name}"] if message[0] == REPORT] for name in ("d1", "d2")
    )
    assert ours == theirs
    assert len(ours) > 50


def test_arrivals_are_the_same_whatever_the_policy(fabric: Build) -> None:
    schedules = []
    for policy in ("gmsr", "random"):
        world = fabric(
            {"s1": HYPERBOLIC, "s2": CORES}, {"d1": ["s1", "s2"]}, {"d1": 2.0}, policy=policy, duration=50.0
        )
        world.run()
        rows = sorted(world.journals["d1"].rows)
        schedules.append([(row[0], row[3], row[6]) for row in rows if row[3] < 50.0])
    assert schedules[0] == schedules[1]


def test_the_load_goes_on_until_the_measured_jobs_are_done(fabric: Build) -> None:
    world = fabric({"s1": CORES}, {"d1": ["s1"]}, {"d1": 3.0}, duration=100.0, cooldown=50.0, seed=3)
    world.run()
    rows = world.journals["d1"].rows
    measured = [row for row in rows if row[3] < 100.0]
    assert all(row[2] == COMPLETED for row in measured)
    assert any(row[3] >= 100.0 for row in rows)
    assert world.now <= max(row[5] for row in measured) + 1e-9


def test_an_overloaded_system_ends_after_its_cooldown_with_jobs_in_flight(fabric: Build) -> None:
    world = fabric({"s1": CORES}, {"d1": ["s1"]}, {"d1": 8.0}, duration=50.0, cooldown=5.0)
    world.run()
    assert world.now == 55.0
    statement = world.dispatchers["d1"].statement()
    assert statement["in_flight"] == world.servers["s1"].statement()["held"]["d1"] > 100


def test_stop_ends_at_once(fabric: Build) -> None:
    world = fabric({"s1": CORES}, {"d1": ["s1"], "d2": ["s1"]}, {"d1": 3.0, "d2": 1.0})
    world.run(until=10.0)
    for machine in world.machines.values():
        machine.stop(world.now)
    world.deliver()
    assert all(machine.finished for machine in world.machines.values())


def test_what_does_not_belong_here_is_refused_and_changes_nothing(fabric: Build) -> None:
    world = fabric({"s1": CORES}, {"d1": ["s1"]}, {"d1": 3.0})
    world.run(until=5.0)
    dispatcher, server = world.dispatchers["d1"], world.servers["s1"]
    before = dispatcher.status()
    dispatcher.received("s1", 1, [(JOB, 1, 1.0), (HELLO, "run", "s1"), (WELCOME, "other"), (BYE,)], 5.0)
    dispatcher.received("s1", 1, [(REPORT,), (REPORT, 1.0, 2.0, 3.0), (COMPLETION, 10**6)], 5.0)
    server.received("d1", 1, [(COMPLETION, 1), (REPORT, 1.0), (HELLO, "other", "d1")], 5.0)
    world.deliver()
    assert dispatcher.status() == before
    assert (dispatcher.refused, server.refused) == (6, 3)
    assert dispatcher.statement()["strays"] == 1


def test_a_job_that_cannot_be_sent_is_booked_as_lost(fabric: Build) -> None:
    world = fabric({"s1": CORES}, {"d1": ["s1"]}, {"d1": 3.0})
    world.come_up()
    dispatcher = world.dispatchers["d1"]
    dispatcher.advance(dispatcher.deadline())
    dispatcher.unsent("s1", dispatcher.outbox.pop("s1"), 1.0, "unroutable")
    dispatcher.validate()
    assert dispatcher.statement()["lost"] == {"unroutable": 1}


@pytest.mark.slow
def test_one_server_is_the_birth_death_chain(fabric: Build) -> None:
    """M/M/4 under processor sharing: Erlang C gives the mean number of jobs."""
    rate, duration = 3.2, 20_000.0
    world = fabric({"s1": CORES}, {"d1": ["s1"]}, {"d1": rate}, duration=duration, validating=False)
    world.run()
    weights = [rate**k / math.factorial(k) for k in range(4)]
    tail = rate**4 / math.factorial(4) / (1 - rate / 4)
    waiting = tail / (sum(weights) + tail) * (rate / 4) / (1 - rate / 4)
    mean = world.workload("s1", 0.0, duration)
    # The relaxation time of the chain at this load is about 25 s, the variance of the count about 20.
    assert mean == pytest.approx(rate + waiting, abs=3.5 * math.sqrt(2 * 20 * 25 / duration))
