"""What a fault does to whom, and in which order: as plain data."""

from math import inf
from typing import Any

import pytest

from gmsr.broker.impair import Impairment
from gmsr.launch.faults.diary import episodes, line
from gmsr.launch.faults.join import entry, invitations, without
from gmsr.launch.faults.steps import Action, actions, concerning, steps
from gmsr.topology.faults import KINDS, Fault, make
from gmsr.topology.graph import Edge

P2C = "gmsr.agents.policies.p2c:PowerOfTwoChoices"
EDGES = (Edge("d1", "s1"), Edge("d1", "s2"), Edge("d2", "s2"))


def fault(**plain: Any) -> Fault:
    return make({"at": 1.0, **plain}, EDGES)


def impair(agent: str, peer: str, **change: float) -> Action:
    return Action("tell", agent, {"tell": "impair", "peer": peer, "change": change})


@pytest.mark.parametrize(
    ("plain", "begin", "end"),
    [
        ({"kind": "crash", "agent": "s1"}, [Action("kill", "s1")], [Action("restart", "s1")]),
        ({"kind": "freeze", "agent": "d1"}, [Action("freeze", "d1")], [Action("thaw", "d1")]),
        (
            {"kind": "slow", "server": "s1", "factor": 2},
            [Action("tell", "s1", {"tell": "slow", "factor": 2.0})],
            [Action("tell", "s1", {"tell": "slow", "factor": 1.0})],
        ),
        (
            {"kind": "slow", "server": "s1", "curve": {"kind": "power", "a": 1.0, "p": 0.5}},
            [Action("tell", "s1", {"tell": "slow", "curve": {"kind": "power", "a": 1.0, "p": 0.5}})],
            [Action("tell", "s1", {"tell": "slow", "factor": 1.0})],
        ),
        (
            {"kind": "surge", "dispatcher": "d2", "factor": 3},
            [Action("tell", "d2", {"tell": "surge", "factor": 3.0})],
            [Action("tell", "d2", {"tell": "surge", "factor": 1.0})],
        ),
        (
            {"kind": "policy", "policy": "p2c:beta=0.7"},
            [
                Action("tell", each, {"tell": "policy", "policy": P2C, "options": {"beta": "0.7"}})
                for each in ("d1", "d2")
            ],
            [],
        ),
        (
            {"kind": "cut", "edge": ["d1", "s1"]},
            [impair("d1", "s1", cut=1.0), impair("s1", "d1", cut=1.0)],
            [impair("d1", "s1", cut=0.0), impair("s1", "d1", cut=0.0)],
        ),
        (
            {"kind": "delay", "agent": "d2", "seconds": 1},
            [impair("d2", "s2", delay=1.0, jitter=0.0), impair("s2", "d2", delay=1.0, jitter=0.0)],
            [impair("d2", "s2", delay=0.0, jitter=0.0), impair("s2", "d2", delay=0.0, jitter=0.0)],
        ),
        (
            {"kind": "loss", "group": ["d1", "s1"], "share": 0.1},
            [impair("d1", "s2", loss=0.1), impair("s2", "d1", loss=0.1)],
            [impair("d1", "s2", loss=0.0), impair("s2", "d1", loss=0.0)],
        ),
        ({"kind": "drain", "agent": "s2"}, [Action("tell", "s2", {"tell": "drain"})], []),
        ({"kind": "join", "agent": "s2"}, [Action("join", "s2")], []),
        ({"kind": "kill-launcher"}, [Action("launcher")], []),
        ({"kind": "kill-telemetry"}, [Action("telemetry")], []),
        ({"kind": "lose-host", "host": "a"}, [Action("lose", "a")], []),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_what_a_fault_does(plain: dict[str, Any], begin: list[Action], end: list[Action]) -> None:
    assert actions(fault(**plain), True) == begin
    assert actions(fault(**plain), False) == end


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_does_something(kind: str) -> None:
    hosts = ("a",) if kind == "lose-host" else ()
    made = Fault(kind, 1.0, agents=("s1",), edges=(("d1", "s1"),), factor=2, share=1, seconds=1, hosts=hosts,
                 policy="jsq")  # fmt: skip
    assert actions(made, True)
    for action in (*actions(made, True), *actions(made, False)):
        order = action.order or {}
        assert isinstance(order.get("factor", 1.0), float), "machines take floats only"
        assert all(isinstance(value, float) for value in order.get("change", {}).values())
        Impairment()._replace(**order.get("change", {}))


def test_steps_come_in_order_and_ends_first() -> None:
    schedule = [
        fault(kind="freeze", agent="s1", at=3.0, **{"for": 2.0}),
        fault(kind="slow", server="s2", factor=2.0, at=1.0, **{"for": 2.0}),
        fault(kind="drain", agent="d2", at=0.0),
        fault(kind="slow", server="s2", factor=3.0, at=3.0),
    ]
    made = [(step.t, step.begin, step.number) for step in steps(schedule)]
    assert made == [
        (0.0, True, 2),
        (1.0, True, 1),
        (3.0, False, 1),
        (3.0, True, 0),
        (3.0, True, 3),
        (5.0, False, 0),
    ]


def test_in_the_end_all_is_mended_but_the_dead() -> None:
    schedule = [
        fault(kind="freeze", agent="s1"),
        fault(kind="cut", agent="s2", **{"for": 100.0}),
        fault(kind="crash", agent="d1", restart=100.0),
        fault(kind="crash", agent="d2"),
        fault(kind="drain", agent="s2"),
    ]
    assert [(step.t, step.number) for step in steps(schedule, 10.0) if not step.begin] == [
        (10.0, 0),
        (10.0, 1),
    ]
    assert [step.number for step in steps(schedule, inf) if not step.begin] == [1, 2]


def test_a_new_life_is_told_what_lasts() -> None:
    lasting = [
        fault(kind="cut", edge=["d1", "s1"]),
        fault(kind="slow", server="s1", factor=0.5),
        fault(kind="slow", server="s2", factor=0.5),
        fault(kind="crash", agent="s1"),
    ]
    told = concerning("s1", lasting)
    assert told == [
        {"tell": "impair", "peer": "d1", "change": {"cut": 1.0}},
        {"tell": "slow", "factor": 0.5},
    ]


def test_of_policies_a_new_life_is_told_the_latest_last() -> None:
    lasting = [
        fault(kind="policy", policy="jsq", dispatcher="d1", at=5.0),
        fault(kind="policy", policy="random", at=2.0),
    ]
    told = [order["policy"].rpartition(":")[2] for order in concerning("d1", lasting)]
    assert told == ["Uniform", "JoinShortestQueue"]


def test_a_policy_lasts_until_all_its_dispatchers_have_another() -> None:
    changes = [
        fault(kind="policy", policy="jsq", at=2.0),
        fault(kind="policy", policy="random", dispatcher="d1", at=4.0),
        fault(kind="policy", policy="p2c", dispatcher="d2", at=6.0),
    ]
    told = [line(each, True, each.at, number, "hand") for number, each in enumerate(changes)]
    assert [each.until for each in episodes(told, EDGES)] == [6.0, inf, inf]


SPECS: dict[str, Any] = {
    "s1": {
        "id": "s1",
        "role": "server",
        "dispatchers": ["d1", "d2"],
        "address": "ipc://s1",
        "delays": {"d1": 0.1},
    },
    "d1": {
        "id": "d1",
        "role": "dispatcher",
        "servers": ["s1", "s2"],
        "addresses": ["ipc://s1", "ipc://s2"],
        "weights": [3.0, 4.0],
        "delays": {"s1": 0.1},
    },
    "d2": {
        "id": "d2",
        "role": "dispatcher",
        "servers": ["s2", "s1"],
        "addresses": ["ipc://s2", "ipc://s1"],
        "weights": [5.0, 6.0],
        "delays": {},
    },
}


def test_who_is_not_there_yet_is_not_known() -> None:
    left = without(SPECS["d1"], {"s1"})
    assert (left["servers"], left["addresses"], left["weights"]) == (["s2"], ["ipc://s2"], [4.0])
    assert without(SPECS["s1"], {"d1"})["dispatchers"] == ["d2"]
    assert entry(left) == {"id": "d1", "role": "dispatcher", "peers": ["s2"]}


def test_peers_of_a_newcomer_are_invited() -> None:
    assert invitations(SPECS["s1"], SPECS) == {
        "d1": {"tell": "join", "peer": "s1", "address": "ipc://s1", "weight": 3.0, "delay": 0.1},
        "d2": {"tell": "join", "peer": "s1", "address": "ipc://s1", "weight": 6.0, "delay": 0.0},
    }
    told = invitations(SPECS["d1"], SPECS)
    assert told["s1"] == {"tell": "join", "peer": "d1", "address": "", "weight": 1.0, "delay": 0.1}
