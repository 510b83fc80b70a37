"""What a fault is said to have done, on runs whose every job was put there by hand."""

from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gmsr.agents.journal import CAUSES, COMPLETED, JOB_DTYPE, LOST, RESENT, VISIT_DTYPE
from gmsr.launch.faults.diary import begin_by_hand, episodes, in_force, line
from gmsr.launch.faults.recovery import as_it_is, effects
from gmsr.launch.record.collect import Collected, Table
from gmsr.launch.record.folder import Agent, Folder, Happening, happenings, tell
from gmsr.launch.record.workload import total_workload
from gmsr.topology import curves
from gmsr.topology.faults import Fault, make
from gmsr.topology.graph import Dispatcher, Edge, Server, Topology
from gmsr.topology.theory.optimum import solve

RATE, END = 100.0, 100.0
CURVE = curves.make({"kind": "hyperbolic", "a": 200.0, "b": 2.0})
TOPOLOGY = Topology(
    "t",
    (Dispatcher("d1", RATE),),
    (Server("s1", CURVE), Server("s2", CURVE)),
    (Edge("d1", "s1"), Edge("d1", "s2")),
)
NOTHING: Table = {name: np.zeros(0, dtype=code) for name, code in [("dispatcher", "u2"), *JOB_DTYPE]}


def folder(*told: Happening) -> Folder:
    agents = (
        Agent("d1", "dispatcher", ("s1", "s2")),
        Agent("s1", "server", ("d1",)),
        Agent("s2", "server", ("d1",)),
    )
    plan: Any = {"scale": 1.0, "pace": 1.0, "mean_size": 1.0, "warmup": 1.0}
    return Folder(Path(), TOPOLOGY, plan, None, agents, told)


def lasting(at: float, until: float = inf, **plain: Any) -> list[Happening]:
    fault = make({"at": at, **plain}, TOPOLOGY.edges)
    made = [line(fault, True, at, 0, "schedule")]
    return made if until == inf else [*made, line(fault, False, until, 0, "schedule")]


def optimum(*told: Happening, t: float) -> float:
    topology = as_it_is(folder(*told), episodes(told, TOPOLOGY.edges), t)
    return float(solve(topology, {"d1": RATE}).workload)


def run(stays: Any, events: Any = (), states: Any = None, given_up: Table = NOTHING) -> Collected:
    """Jobs that arrive evenly and stay as long as ``stays`` says, by arrival; every second one at s2."""
    arrival = np.arange(0.0, END, 1.0 / RATE)
    stay = np.vectorize(stays)(arrival)
    count = len(arrival)
    server = (np.arange(count) % 2).astype(np.uint16)
    state = np.full(count, COMPLETED, dtype=np.uint8) if states is None else states(arrival, server)
    done = np.where(state == COMPLETED, arrival + stay, np.nan)
    shared = {"life": np.ones(count, dtype=np.uint8), "job": np.arange(count), "size": np.ones(count)}
    jobs = {
        **shared,
        "dispatcher": np.zeros(count, dtype=np.uint16),
        "server": server,
        "state": state,
        "arrival": arrival,
        "sent": arrival,
        "done": done,
        "latency": done - arrival,
    }
    visits = {
        **shared,
        "dispatcher": np.zeros(count, dtype=np.uint16),
        "server": server,
        "state": np.zeros(count, dtype=np.uint8),
        "arrived": arrival,
        "departed": arrival + stay,
        "noticed": arrival + stay,
    }
    assert {name for name, _ in VISIT_DTYPE} <= visits.keys()
    return Collected(["d1"], ["s1", "s2"], jobs, visits, {"d1": {"events": list(events)}}, [], given_up)


def effect(told: list[Happening], found: Collected) -> dict[str, Any]:
    return effects(folder(*told), found, {"d1": RATE}, END)[0]


@pytest.mark.parametrize("lag", [0.0, 20.0])
def test_a_slow_server_has_a_new_optimum_that_is_reached_after_a_while(lag: float) -> None:
    told = lasting(30.0, kind="slow", server="s1", factor=0.6)
    before, after = (optimum(*told, t=t) for t in (0.0, 31.0))
    assert after > 1.25 * before
    found = effect(told, run(lambda t: (before if t < 30.0 + lag else after) / RATE))
    assert found["recovered"] == pytest.approx(lag, abs=10.0 + lag * 0.1)
    assert found["recovered"] >= 0.5 * lag
    assert found["until"] is None


def test_what_never_comes_near_has_not_recovered() -> None:
    told = lasting(30.0, kind="slow", server="s1", factor=0.6)
    before = optimum(*told, t=0.0)
    assert effect(told, run(lambda _: before / RATE))["recovered"] is None


def test_a_cut_counts_from_its_end_and_the_optimum_is_the_old_one() -> None:
    told = lasting(30.0, 40.0, kind="cut", edge=["d1", "s1"])
    best = optimum(*told, t=50.0)
    assert best == pytest.approx(optimum(*told, t=0.0))
    found = effect(told, run(lambda t: (3.0 if 30.0 <= t < 60.0 else 1.0) * best / RATE))
    assert 10.0 < found["recovered"] < 30.0


def test_where_too_little_time_is_left_nothing_is_said() -> None:
    told = lasting(END - 0.5, kind="slow", server="s1", factor=0.9)
    assert effect(told, run(lambda _: 0.05))["recovered"] is None


def test_overload_is_no_rest() -> None:
    told = lasting(30.0, kind="surge", dispatcher="d1", factor=10.0)
    assert effect(told, run(lambda _: 0.05))["recovered"] is None


def test_a_system_that_was_above_its_optimum_may_be_so_again() -> None:
    told = lasting(30.0, kind="slow", server="s1", factor=0.6)
    before, after = (optimum(*told, t=t) for t in (0.0, 31.0))
    found = effect(told, run(lambda t: 2.0 * (before if t < 30.0 else after) / RATE))
    assert found["recovered"] < 11.0
    assert found["optimum"] == pytest.approx(after)
    assert effect(told, run(lambda t: (before if t < 30.0 else 2.0 * after) / RATE))["recovered"] is None


def test_who_is_away_is_not_counted_on() -> None:
    died = Happening(t=30.0, event="died", agents=["s1"])
    born = Happening(t=50.0, event="started", agents=["s1"], life=2)
    joined = Happening(t=70.0, event="joined", agents=["s2"])
    told = [*lasting(30.0, 50.0, kind="crash", agent="s1"), died, born]
    there = {t: {each.id for each in as_it_is(folder(*told), [], t).servers} for t in (20.0, 40.0, 60.0)}
    assert there == {20.0: {"s1", "s2"}, 40.0: {"s2"}, 60.0: {"s1", "s2"}}
    assert {each.id for each in as_it_is(folder(joined), [], 20.0).servers} == {"s1"}
    nobody = as_it_is(folder(died, joined), [], 40.0)
    assert (nobody.dispatchers, nobody.servers, nobody.edges) == ((), (), ())


def test_losses_count_to_the_first_fault_that_they_fit() -> None:
    told = lasting(30.0, 40.0, kind="crash", agent="s1")
    fault = make({"at": 41.0, "kind": "freeze", "agent": "s1"}, TOPOLOGY.edges)
    told += [line(fault, True, 41.0, 1, "chaos"), line(fault, False, 50.0, 1, "chaos")]
    lost = LOST + CAUSES.index("dead")

    def states(arrival: Any, server: Any) -> Any:
        struck = (server == 0) & (arrival >= 29.96) & (arrival < 41.5)
        far = (arrival > 80.0) & (arrival < 81.0)  # of no fault
        return np.where(struck | far, lost, COMPLETED).astype(np.uint8)

    again = {name: np.zeros(3, dtype=column.dtype) for name, column in NOTHING.items()}
    again |= {
        "sent": np.array([35.0, 35.0, 90.0]),
        "server": np.array([0, 1, 0]),
        "state": np.full(3, RESENT),
    }
    events = [(30.4, "suspect", "s1"), (30.5, "suspect", "s2"), (40.1, "reborn", "s1")]
    found = effects(folder(*told), run(lambda _: 0.05, events, states, again), {"d1": RATE}, END)
    assert [each["noticed"] for each in found] == [pytest.approx(0.4), None]
    assert found[0]["lost"] == {"dead": int(11.54 * RATE / 2)}
    assert found[1]["lost"] == {}
    assert [each["resent"] for each in found] == [1, 0]
    assert found[0]["latency"] == pytest.approx(0.05)
    assert [each["by"] for each in found] == ["schedule", "chaos"]


def test_the_workload_is_exact() -> None:
    path = total_workload(run(lambda _: 0.05), 1.0, END)
    assert path.mean(10.0, 20.0) == pytest.approx(5.0)
    assert path.mean(np.array([0.0, 10.0]), np.array([0.01, 10.01])) == pytest.approx([1.0, 5.0])


def test_a_fault_by_hand_gets_a_number_of_its_own(tmp_path: Path) -> None:
    fault = Fault("cut", 3.0, agents=("d1", "s1"), edges=(("d1", "s1"),))
    tell(tmp_path, line(fault, True, 1.0, 1, "schedule"))
    assert begin_by_hand(tmp_path, fault, 1) == 2
    assert begin_by_hand(tmp_path, fault._replace(agents=("s1",)), 7) == 7
    tell(tmp_path, line(fault, False, 5.0, 2, "hand"))
    assert [(each.number, each.by) for each in in_force(tmp_path, TOPOLOGY.edges)] == [
        (1, "schedule"),
        (7, "hand"),
    ]
    read = episodes(happenings(tmp_path), TOPOLOGY.edges)
    assert [(each.at, each.until) for each in read] == [(1.0, inf), (3.0, 5.0), (3.0, inf)]
    assert read[1].fault == fault
