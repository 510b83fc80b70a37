"""From a topology and options to specifications, and what is refused on the way."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gmsr.agents import process
from gmsr.agents.policies import POLICIES
from gmsr.agents.spec import met, reborn
from gmsr.launch import plan
from gmsr.launch.choices import choose
from gmsr.topology import curves
from gmsr.topology.errors import UserError
from gmsr.topology.graph import Arrivals, Dispatcher, Edge, Server, Sizes, Topology

HYPERBOLIC = curves.make({"kind": "hyperbolic", "a": 4.0, "b": 2.0})
MULTICORE = curves.make({"kind": "multicore", "m": 1.0, "k": 4})

TOPOLOGY = Topology(
    "little",
    (Dispatcher("d1", 3.0), Dispatcher("d2", 1.0)),
    (Server("s1", HYPERBOLIC), Server("s2", MULTICORE), Server("idle", HYPERBOLIC)),
    (Edge("d1", "s1"), Edge("d1", "s2", delay=0.02, weight=3.0), Edge("d2", "s2")),
)
NO_INPUTS = plan.Inputs({}, None, 1.0)


def made(topology: Topology = TOPOLOGY, policy: str = "gmsr", **chosen: Any) -> dict[str, Any]:
    specs = plan.specs(
        topology,
        plan.options(topology, **chosen),
        choose(policy),
        Path("/runs/one"),
        "/tmp/x",
        "token",
        NO_INPUTS,
    )
    return {spec["id"]: spec for spec in specs}


def trace(folder: Path, requests: int = 100) -> str:
    lines = [
        f"2023-11-16 18:{number // 60:02}:{number % 60:02}.0000000,10,{1 + number % 5}"
        for number in range(requests)
    ]
    file = folder / "trace.csv"
    file.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n" + "\n".join(lines) + "\n")
    return str(file)


def test_a_dispatcher_is_told_its_own_servers_and_arrivals_and_nothing_else() -> None:
    spec = made(scale=10.0, seed=7)["d1"]
    assert spec["servers"] == ["s1", "s2"]
    assert spec["weights"] == [1.0, 3.0]
    assert spec["delays"] == {"s2": 0.02}
    assert spec["arrivals"]["rate"] == 30.0
    assert spec["seed"] == 7
    assert spec["reads"] == ["marginal"]
    assert "d2" not in json.dumps(spec)
    assert "curve" not in spec


def test_a_server_is_told_its_curve_and_its_dispatchers() -> None:
    specs = made()
    assert specs["s2"]["dispatchers"] == ["d1", "d2"]
    assert specs["s2"]["delays"] == {"d1": 0.02}
    assert specs["s2"]["smoothing"] == pytest.approx(0.05 * 4)
    assert specs["s1"]["smoothing"] == 0.0
    assert specs["idle"]["dispatchers"] == []


def test_both_ends_of_an_edge_mean_the_same_socket() -> None:
    specs = made()
    for agent in ("d1", "d2"):
        for server, address in zip(specs[agent]["servers"], specs[agent]["addresses"], strict=True):
            assert address == specs[server]["address"]


def test_servers_come_first() -> None:
    assert [spec["role"] for spec in made().values()] == ["server"] * 3 + ["dispatcher"] * 2


@pytest.mark.parametrize("policy", POLICIES)
def test_agents_can_be_made_of_what_is_planned(policy: str) -> None:
    specs = made(policy=policy)
    dispatcher = process.dispatcher(specs["d1"], None)  # type: ignore[arg-type]
    server = process.server(specs["s2"], None)  # type: ignore[arg-type]
    assert not dispatcher.ready
    assert server.ready is False


def test_options_take_the_file_s_defaults_unless_something_is_chosen() -> None:
    topology = TOPOLOGY._replace(
        scale=5.0, run=TOPOLOGY.run._replace(policy="jsq", duration=30.0, warmup=2.0)
    )
    assert plan.options(topology) == plan.Options("jsq", "", 30.0, 2.0, 1, 5.0)
    chosen = plan.options(topology, policy=None, duration=9.0, seed=4, scale=2.0)
    assert chosen == plan.Options("jsq", "", 9.0, 2.0, 4, 2.0)
    assert chosen.cooldown == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("chosen", "field"),
    [
        ({"duration": 0.0}, "--duration"),
        ({"duration": float("nan")}, "--duration"),
        ({"duration": float("inf")}, "--duration"),
        ({"warmup": 60.0}, "--warmup"),
        ({"warmup": -1.0}, "--warmup"),
        ({"scale": 0.0}, "--scale"),
        ({"scale": float("nan")}, "--scale"),
    ],
)
def test_options_that_make_no_sense_are_refused(chosen: dict[str, Any], field: str) -> None:
    with pytest.raises(UserError, match=f"^{field}: ") as refused:
        plan.options(TOPOLOGY, **chosen)
    assert "\n" not in str(refused.value)


def test_a_policy_is_chosen_by_name_with_options() -> None:
    choice = choose("gmsr:ties=random")
    assert choice.target == POLICIES["gmsr"]
    assert choice.options == {"ties": "random"}
    assert choice.reads == ("marginal",)


def test_a_policy_is_chosen_by_module_and_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_rules.py").write_text(
        "class Mine:\n"
        "    reads = ('jobs', 'rate')\n"
        "    def __init__(self, view, random, a='1', b='2'):\n"
        "        self.both = int(a) + int(b)\n"
        "    def choose(self):\n"
        "        return 0\n"
        "class Mute:\n"
        "    reads = ()\n"
        "class Nosy(Mine):\n"
        "    reads = ('salary',)\n"
    )
    choice = choose("my_rules:Mine:a=3,b=4")
    assert choice.target == "my_rules:Mine"
    assert choice.options == {"a": "3", "b": "4"}
    assert choice.reads == ("jobs", "rate")
    for name, told in (("Mute", "'choose'"), ("Nosy", "'salary'"), ("Mine:a=x", "invalid literal")):
        with pytest.raises(UserError, match=told):
            choose(f"my_rules:{name}")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("fifo", "'fifo' is unknown; choose one of gmsr, "),
        ("", "is not NAME"),
        ("gmsr:", "is not NAME"),
        ("a:b:c", "is not NAME"),
        ("gmsr:ties=random:x=y", "is not NAME"),
        ("gmsr:=x", "is not NAME"),
        ("gmsr:ties=coin", "ties=coin is unknown"),
        ("gmsr:colour=red", "colour"),
        ("no.such.module:Rule", "ModuleNotFoundError"),
        ("gmsr.agents.policies.gmsr:Nothing", "AttributeError"),
    ],
)
def test_policies_that_are_none_are_refused_in_one_line(text: str, told: str) -> None:
    with pytest.raises(UserError) as refused:
        choose(text)
    assert told in str(refused.value)
    assert str(refused.value).startswith("--policy: ")
    assert "\n" not in str(refused.value)


def test_a_trace_is_split_over_the_dispatchers_and_sped_up(tmp_path: Path) -> None:
    topology = TOPOLOGY._replace(
        arrivals=Arrivals("trace", trace(tmp_path), speed=2.0), sizes=Sizes("trace"), scale=5.0
    )
    chosen = plan.options(topology, duration=8.0, warmup=1.0)
    (tmp_path / "inputs").mkdir()
    inputs = plan.prepare(topology, chosen, tmp_path / "inputs")
    rows = {name: np.fromfile(file).reshape(-1, 2) for name, file in inputs.schedules.items()}
    assert sorted(np.concatenate([each[:, 0] for each in rows.values()])) == pytest.approx(
        np.arange(100) / 10.0
    )
    assert len(rows["d1"]) > len(rows["d2"])
    assert inputs.mean_size == 3.0
    assert inputs.values is None
    spec = plan.specs(topology, chosen, choose("gmsr"), tmp_path, "/tmp/x", "token", inputs)[-1]
    assert spec["role"] == "dispatcher"
    assert spec["sizes"]["kind"] == "schedule"
    assert spec["arrivals"]["schedule"] == str(inputs.schedules["d2"])


def test_sizes_are_drawn_from_a_trace_under_poisson_arrivals(tmp_path: Path) -> None:
    topology = TOPOLOGY._replace(sizes=Sizes("trace", mean=6.0, trace=trace(tmp_path)))
    inputs = plan.prepare(topology, plan.options(topology), tmp_path)
    assert inputs.values is not None
    values = np.fromfile(inputs.values)
    assert sorted(set(values)) == pytest.approx([2.0, 4.0, 6.0, 8.0, 10.0])
    assert inputs.mean_size == 6.0


def test_a_trace_that_ends_before_the_run_is_refused_with_its_length(tmp_path: Path) -> None:
    topology = TOPOLOGY._replace(arrivals=Arrivals("trace", trace(tmp_path)))
    with pytest.raises(UserError, match=r"trace.csv: .* lasts 100 s, the run 101 s"):
        plan.prepare(topology, plan.options(topology, duration=101.0), tmp_path)


@pytest.mark.parametrize(("pace", "edges", "heartbeat"), [(1.0, 3, 0.1), (4.0, 3, 0.4)])
def test_agents_agree_on_the_heartbeat_and_on_when_life_begins(
    pace: float, edges: int, heartbeat: float
) -> None:
    specs = made(pace=pace)
    assert len(TOPOLOGY.edges) == edges
    assert {spec["heartbeat"] for spec in specs.values()} == {heartbeat}
    assert {(spec["life"], spec["born"], spec["start_ns"]) for spec in specs.values()} == {(1, 0.0, 0)}


def test_many_edges_are_asked_more_seldom() -> None:
    servers = tuple(Server(f"s{number}", HYPERBOLIC) for number in range(100))
    dispatchers = tuple(Dispatcher(f"d{number}", 1.0) for number in range(100))
    edges = tuple(Edge(one.id, other.id) for one in dispatchers for other in servers)
    specs = made(Topology("crowd", dispatchers, servers, edges))
    heartbeat = len(edges) / plan.HEARTBEATS_A_SECOND
    assert heartbeat > plan.HEARTBEAT_REAL_S
    assert {spec["heartbeat"] for spec in specs.values()} == {heartbeat}


def test_what_becomes_of_jobs_that_may_be_lost_is_the_users_choice() -> None:
    assert (made()["d1"]["again"], made()["s1"]["drop"]) == (False, False)
    specs = made(again=True, drop=True)
    assert (specs["d1"]["again"], specs["s1"]["drop"]) == (True, True)


def test_a_second_life_has_files_of_its_own() -> None:
    for first in made().values():
        second: Any = reborn(first, 2, 7.5, 123)
        assert (second["life"], second["born"], second["start_ns"]) == (2, 7.5, 123)
        own = first["id"]
        assert second["rows"] == f"/runs/one/agents/{own}@2.rows"
        assert second["errors"] == f"/runs/one/agents/{own}@2.err"
        assert second["statement"] == f"/runs/one/agents/{own}@2.json"
        changed = {name for name in first if first[name] != second[name]}
        assert changed == {"life", "born", "start_ns", "rows", "errors", "statement"}
        third: Any = reborn(second, 3, 9.0, 456)
        assert third["rows"] == f"/runs/one/agents/{own}@3.rows"


def test_who_met_somebody_starts_with_it_the_next_time() -> None:
    specs = made()
    d1: Any = met(specs["d1"], {"peer": "s9", "address": "ipc:///s9", "weight": 2.0, "delay": 0.5})
    assert (d1["servers"][-1], d1["addresses"][-1], d1["weights"][-1]) == ("s9", "ipc:///s9", 2.0)
    assert d1["delays"] == {"s2": 0.02, "s9": 0.5}
    s1: Any = met(specs["s1"], {"peer": "d9", "address": "", "delay": 0.0})
    assert s1["dispatchers"] == ["d1", "d9"]
    assert s1["delays"] == {}
    assert specs["s1"]["dispatchers"] == ["d1"], "the first is as it was"
