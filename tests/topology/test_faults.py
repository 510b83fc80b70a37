"""Schedules of faults: a file's form there and back, and what is impossible in one line."""

import json
import re
from collections import ChainMap
from collections.abc import Mapping
from math import inf
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gmsr.topology import faults, files
from gmsr.topology.curves import Hyperbolic
from gmsr.topology.errors import UserError
from gmsr.topology.faults import Fault, make, problems
from gmsr.topology.format import FaultEntry, schema
from gmsr.topology.graph import Dispatcher, Edge, Server, Topology

PAIRS = (("d1", "s1"), ("d1", "s2"), ("d2", "s2"), ("d2", "s3"))
TOPOLOGY = Topology(
    "t",
    (Dispatcher("d1", 1.0), Dispatcher("d2", 1.0)),
    tuple(Server(name, Hyperbolic(4.0, 2.0)) for name in ("s1", "s2", "s3", "idle")),
    tuple(Edge(*pair) for pair in PAIRS),
)
SHOWN = next(
    re.finditer(
        r"```yaml\n(.*?)```", (Path(__file__).parents[2] / "docs" / "faults.md").read_text(), re.DOTALL
    )
)[1]

AGENTS = ("d1", "d2", "s1", "s2", "s3")
TARGETS = st.one_of(
    st.sampled_from(PAIRS).map(lambda pair: {"edge": list(pair)}),
    st.sampled_from(AGENTS).map(lambda name: {"agent": name}),
    # with idle, whose edges are none, and less than all of the others: always cuts something
    st.lists(st.sampled_from([*AGENTS, "idle"]), min_size=1, max_size=9)
    .filter(lambda group: 0 < len({*group} & {*AGENTS}) < 5)
    .map(lambda group: {"group": group}),
)
CURVES = st.sampled_from(
    [
        {"kind": "power", "a": 1, "p": 0.5},
        {"kind": "table", "points": [[1, 1], [3, 2]]},
        {"kind": "multicore", "m": 1, "k": 2},
    ]
)
FACTORS = st.floats(1e-3, 1e3)
SPANS = st.floats(1e-6, 1e6)
AN_AGENT = st.fixed_dictionaries({"agent": st.sampled_from(AGENTS)})
LASTING = st.fixed_dictionaries({}, optional={"for": SPANS})
SHARES = st.fixed_dictionaries({"share": st.floats(1e-9, 1.0)})
SERVERS = st.fixed_dictionaries({"server": st.sampled_from(["s1", "s2", "idle"])})


def merged(kind: str, *parts: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Entries of a kind: the parts' fields, and the time of each."""
    at = st.fixed_dictionaries({"at": st.floats(0.0, 60.0, exclude_max=True)})
    return st.tuples(at, *parts).map(lambda given: dict(ChainMap({"kind": kind}, *given)))


ENTRIES = st.one_of(
    merged("crash", AN_AGENT, st.fixed_dictionaries({}, optional={"restart": SPANS})),
    merged("freeze", AN_AGENT, LASTING),
    merged("slow", SERVERS, st.fixed_dictionaries({"factor": FACTORS}), LASTING),
    merged("slow", SERVERS, st.fixed_dictionaries({"curve": CURVES}), LASTING),
    merged("surge", st.just({"dispatcher": "d1"}), st.fixed_dictionaries({"factor": FACTORS}), LASTING),
    merged(
        "policy",
        st.sampled_from(({}, {"dispatcher": "d1"}, {"group": ["d1", "d2"]})),
        st.just({"policy": "jsq"}),
    ),
    merged("cut", TARGETS, LASTING),
    merged("delay", TARGETS, st.fixed_dictionaries({"seconds": SPANS}, optional={"jitter": SPANS}), LASTING),
    *(merged(kind, TARGETS, SHARES, LASTING) for kind in ("loss", "duplicate", "reorder")),
    *(merged(kind, AN_AGENT) for kind in ("drain", "join")),
    *(merged(kind) for kind in ("kill-launcher", "kill-telemetry")),
)


def schedule(text: str) -> list[Fault]:
    """Faults in the words of a file, unchecked."""
    return [make(entry, TOPOLOGY.edges) for entry in yaml.safe_load(text)]


@given(ENTRIES)
def test_there_and_back(entry: dict[str, Any]) -> None:
    """As a fault, and through a topology file's JSON."""
    plain = TOPOLOGY.to_dict() | {"faults": [entry]}
    topology = files.resolve(plain, Path("t.json")).topology
    (fault,) = topology.faults
    assert make(fault.to_dict(), TOPOLOGY.edges) == fault
    again = files.resolve(json.loads(json.dumps(topology.to_dict())), Path("t.json")).topology
    assert again.faults == topology.faults
    assert fault.describe().startswith(fault.kind)


@given(st.floats(0.0, 1e9), st.floats(1e-9, 1e9))
def test_times_come_back_to_the_last_bit(at: float, span: float) -> None:
    fault = make({"kind": "freeze", "at": at, "agent": "s1", "for": span}, TOPOLOGY.edges)
    assert make(fault.to_dict(), TOPOLOGY.edges) == fault
    assert fault.until == at + span


def test_times_are_written_without_noise() -> None:
    assert schedule("[{kind: cut, at: 0.1, agent: d1, for: 0.2}]")[0].to_dict()["for"] == 0.2


def test_without_faults_a_topology_says_nothing_of_them() -> None:
    assert "faults" not in TOPOLOGY.to_dict()


def test_the_documented_schedule_is_one(tmp_path: Path) -> None:
    """Every kind is shown, and the types, the schema and the checks take it as it stands."""
    (tmp_path / "f.yaml").write_text(SHOWN)
    found = files.load_faults(tmp_path / "f.yaml", TOPOLOGY)
    assert {fault.kind for fault in found} == {*faults.KINDS}
    assert problems(found, TOPOLOGY, 60.0) == []
    plain = TOPOLOGY.to_dict() | yaml.safe_load(SHOWN)
    jsonschema.Draft202012Validator(schema()).validate(json.loads(json.dumps(plain)))
    assert files.resolve(plain, tmp_path / "t.yaml").topology.faults == found


def test_the_kinds_are_those_of_the_format() -> None:
    tags = [entry.__struct_config__.tag for entry in get_args(FaultEntry)]
    assert sorted(tags) == sorted(faults.KINDS)
    assert {*faults.LIVE_ONLY, *faults.SIMULATED_ONLY} < {*faults.KINDS}


@pytest.mark.parametrize(
    ("entry", "words", "agents", "edges"),
    [
        ("kind: cut, edge: [d1, s1]", "cut d1-s1", ("d1", "s1"), (("d1", "s1"),)),
        ("kind: cut, agent: s2", "cut s2", ("s2",), (("d1", "s2"), ("d2", "s2"))),
        ("kind: cut, group: [d1, s1, d1]", "cut d1, s1", ("d1", "s1"), (("d1", "s2"),)),
        ("kind: cut, group: [d1, s1, s2, s3]", "cut d1, s1, s2 and 1 more", ("d1", "s1", "s2", "s3"), PAIRS[2:]),
        ("kind: crash, agent: s1", "crash s1", ("s1",), ()),
        ("kind: slow, server: s1, factor: 0.5", "slow s1 ×0.5", ("s1",), ()),
        ("kind: slow, server: s1, curve: {kind: power, a: 1, p: 0.5}", "slow s1 to power", ("s1",), ()),
        ("kind: surge, dispatcher: d1, factor: 3", "surge d1 ×3", ("d1",), ()),
        ("kind: delay, edge: [d1, s1], seconds: 0.05", "delay d1-s1 +0.05 s", ("d1", "s1"), (("d1", "s1"),)),
        ("kind: loss, agent: s1, share: 0.1", "loss s1 10 %", ("s1",), (("d1", "s1"),)),
        ("kind: kill-launcher", "kill-launcher", (), ()),
    ],
)  # fmt: skip
def test_a_fault_in_a_few_words(entry: str, words: str, agents: tuple[str, ...], edges: object) -> None:
    (fault,) = schedule(f"[{{{entry}, at: 1}}]")
    assert (fault.describe(), fault.agents, fault.edges) == (words, agents, edges)
    assert (fault.at, fault.until) == (1, inf)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("crash", "faults[0]: expected a mapping, got 'crash'; write {kind: …, at: seconds, …}"),
        ("{at: 1}", "faults[0]: field 'kind' is missing; add it: one of crash, freeze, "),
        ("{kind: burn, at: 1}", "faults[0].kind: unknown kind 'burn'; choose one of crash, freeze, "),
        ("{kind: crash, agent: s1}", "faults[0]: field 'at' is missing; add it"),
        ("{kind: crash, at: 1}", "faults[0]: field 'agent' is missing; add it"),
        ("{kind: crash, at: 1, agent: s1, for: 2}", "faults[0]: unknown field 'for'; remove it"),
        ("{kind: crash, at: 1, agent: 1}", "faults[0].agent: expected text, got 1; put it in quotes"),
        ("{kind: crash, at: -1, agent: s1}", "faults[0].at: expected a number >= 0, got -1; "),
        ("{kind: crash, at: .inf, agent: s1}", "faults[0].at: inf is no finite number; "),
        ("{kind: crash, at: 1, agent: s1, restart: 0}", "faults[0].restart: expected a number > 0, got 0; "),
        ("{kind: freeze, at: 1, agent: s1, for: 0}", "faults[0].for: expected a number > 0, got 0; "),
        ("{kind: slow, at: 1, server: s1}", "faults[0]: none of factor, curve is given; add one"),
        ("{kind: slow, at: 1, server: s1, factor: 0}", "faults[0].factor: expected a number > 0, got 0; "),
        ("{kind: slow, at: 1, server: s1, factor: 2, curve: {kind: power, a: 1, p: 0.5}}",
         "faults[0]: factor and curve are given; keep one"),
        ("{kind: slow, at: 1, server: s1, curve: {kind: odd}}", "faults[0].curve.kind: unknown kind 'odd'; choose"),
        ("{kind: slow, at: 1, server: s1, curve: {kind: table, points: [[1, 2], [2, 1]]}}",
         "faults[0].curve: the rate falls from 2 to 1"),
        ("{kind: slow, at: 1, server: s1, curve: {kind: llm, name: gpt}}", "faults[0].curve: no measured curve"),
        ("{kind: cut, at: 1}", "faults[0]: none of edge, agent, group, hosts is given; add one"),
        ("{kind: cut, at: 1, agent: s1, group: [s1]}", "faults[0]: agent and group are given; keep one"),
        ("{kind: cut, at: 1, edge: d1-s1}", "faults[0].edge: expected a list, got 'd1-s1'; write [dispatcher, server]"),
        ("{kind: cut, at: 1, edge: [d1]}", "faults[0].edge: expected a list of length 2, got a list of 1; "),
        ("{kind: cut, at: 1, group: s1}", "faults[0].group: expected a list, got 's1'; write a list of ids"),
        ("{kind: cut, at: 1, group: []}", "faults[0].group: expected a list of length >= 1, got a list of 0; "),
        ("{kind: loss, at: 1, agent: s1, share: 0}", "faults[0].share: expected a number > 0, got 0; "),
        ("{kind: loss, at: 1, agent: s1, share: 1.5}", "faults[0].share: expected a number <= 1, got 1.5; "),
        ("{kind: surge, at: 1, dispatcher: d1}", "faults[0]: field 'factor' is missing; add it"),
        ("{kind: drain, at: 60, agent: s1}", "faults[0]: at 60 s is outside a run of 60 s; begin within it"),
        ('{kind: drain, at: 1, agent: "s\\n9"}', r"faults[0]: no agent is called 's\n9'; mend its spelling"),
    ],
)  # fmt: skip
def test_a_bad_entry_is_one_line_with_place_and_mend(tmp_path: Path, entry: str, message: str) -> None:
    (tmp_path / "t.yaml").write_text(f"{json.dumps(TOPOLOGY.to_dict())[:-1]}, faults: [{entry}]}}")
    with pytest.raises(UserError) as caught:
        files.load(tmp_path / "t.yaml")
    told = str(caught.value)
    assert told.startswith(f"{tmp_path / 't.yaml'}: {message}")
    assert ";" in told
    assert "\n" not in told


A_CRASH = "{kind: crash, at: 10, agent: s1, restart: 5}"
A_JOIN = "{kind: join, at: 20, agent: s3}"
A_CUT = "{kind: cut, at: 10, agent: d1, for: 5}"
A_SLOW = "{kind: slow, at: 10, server: s1, factor: 2, for: 5}"
A_SURGE = "{kind: surge, at: 10, dispatcher: d1, factor: 2, for: 5}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{kind: freeze, at: 1, agent: s9}", "faults[0]: no agent is called 's9'; "),
        ("{kind: cut, at: 1, group: [s1, s9]}", "faults[0]: no agent is called 's9'; "),
        ("{kind: slow, at: 1, server: d1, factor: 2}", "faults[0]: slow is for a server, and 'd1' is a dispatcher; "),
        ("{kind: surge, at: 1, dispatcher: s1, factor: 2}", "surge is for a dispatcher, and 's1' is a server; "),
        ("{kind: cut, at: 1, edge: [d1, s3]}", "faults[0]: there is no edge from 'd1' to 's3'; "),
        ("{kind: cut, at: 1, edge: [s1, d1]}", "faults[0]: there is no edge from 's1' to 'd1'; name one as [disp"),
        ("{kind: loss, at: 1, agent: idle, share: 1}", "faults[0]: no edge leads from 'idle' to any other agent; "),
        ("{kind: cut, at: 1, group: [d1, d2, s1, s2, s3]}", "no edge leads from 'd1', 'd2', 's1', … to any other"),
        (f"{A_CRASH}, {{kind: crash, at: 12, agent: s1}}",
         "faults[1]: crash s1 at 12 s falls into faults[0]: crash s1, 10 s to 15 s; begin after that, or remove one"),
        (f"{A_CRASH}, {{kind: freeze, at: 9, agent: s1, for: 2}}", "faults[0]: crash s1 at 10 s falls into faults[1]"),
        (f"{A_CRASH}, {{kind: drain, at: 14, agent: s1}}", "faults[1]: drain s1 at 14 s falls into faults[0]"),
        ("{kind: drain, at: 1, agent: d1}, {kind: crash, at: 50, agent: d1}", "drain d1, from 1 s on; begin after"),
        ("{kind: crash, at: 1, agent: s1}, {kind: freeze, at: 9, agent: s1}", "crash s1, from 1 s on; begin after"),
        (f"{A_JOIN}, {{kind: join, at: 30, agent: s3}}", "faults[1]: join s3 at 30 s falls into faults[0]"),
        (f"{{kind: freeze, at: 9, agent: s3, for: 1}}, {A_JOIN}",
         "faults[0]: freeze s3 at 9 s comes before s3 joins at 20 s (faults[1]); begin later, or let it join earlier"),
        (f"{A_JOIN}, {{kind: cut, at: 9, edge: [d2, s3]}}", "faults[1]: cut d2-s3 at 9 s comes before s3 joins"),
        (f"{A_JOIN}, {{kind: cut, at: 9, group: [d1, s3]}}", "faults[1]: cut d1, s3 at 9 s comes before s3 joins"),
        (f"{A_CUT}, {{kind: cut, at: 14, agent: s2}}", "faults[1]: cut s2 at 14 s falls into faults[0]: cut d1, 10 s"),
        (f"{A_CUT}, {A_CUT}", "faults[1]: cut d1 at 10 s falls into faults[0]"),
        (f"{A_SLOW}, {{kind: slow, at: 14, server: s1, factor: 2}}", "faults[1]: slow s1 ×2 at 14 s falls into"),
        (f"{A_SURGE}, {{kind: surge, at: 14, dispatcher: d1, factor: 2}}", "faults[1]: surge d1 ×2 at 14 s falls"),
        ("{kind: kill-launcher, at: 1}, {kind: kill-launcher, at: 2}", "faults[1]: kill-launcher at 2 s falls into"),
    ],
)  # fmt: skip
def test_what_is_impossible(text: str, message: str) -> None:
    (line,) = problems(schedule(f"[{text}]"), TOPOLOGY, 60.0)
    assert message in line
    assert ";" in line


@pytest.mark.parametrize(
    "text",
    [
        f"{A_CRASH}, {{kind: crash, at: 15, agent: s1}}",
        f"{{kind: crash, at: 15, agent: s1}}, {A_CRASH}",
        f"{A_CRASH}, {{kind: freeze, at: 12, agent: s2}}, {A_SLOW}",
        f"{A_JOIN}, {{kind: crash, at: 20, agent: s3}}, {{kind: cut, at: 9, agent: d2}}",
        f"{A_CUT}, {{kind: cut, at: 12, agent: s3}}, {{kind: loss, at: 12, agent: d1, share: 1}}",
        f"{A_SLOW}, {{kind: slow, at: 12, server: s2, factor: 2}}, {{kind: slow, at: 15, server: s1, factor: 3}}",
        "{kind: drain, at: 1, agent: d1}, {kind: drain, at: 1, agent: d2}",
        "{kind: crash, at: 0, agent: s1}, {kind: crash, at: 0, agent: s2}, {kind: crash, at: 0, agent: s3}",
        "{kind: kill-launcher, at: 1}, {kind: kill-telemetry, at: 2}",
    ],
)
def test_what_is_allowed(text: str) -> None:
    assert problems(schedule(f"[{text}]"), TOPOLOGY, 60.0) == []


def test_a_long_fault_is_not_forgotten_behind_a_short_one() -> None:
    lines = problems(
        [
            Fault("slow", 0.0, 50.0, ("s1",)),
            Fault("slow", 1.0, 2.0, ("s1",)),
            Fault("slow", 3.0, 4.0, ("s1",)),
        ],
        TOPOLOGY,
        60.0,
    )
    assert ["falls into faults[0]" in line for line in lines] == [True, True]


def test_the_duration_is_the_callers() -> None:
    late = [Fault("crash", 100.0, agents=("s1",))]
    assert problems(late, TOPOLOGY, 100.0)
    assert problems(late, TOPOLOGY, 100.5) == []
    assert problems(late, TOPOLOGY, None) == []
    assert "let it last longer" in problems([Fault("crash", 5.0, 5.0, ("s1",))], TOPOLOGY, None)[0]


@given(st.lists(ENTRIES, max_size=6))
def test_a_schedule_is_refused_or_sound_in_any_order(entries: list[Mapping[str, Any]]) -> None:
    made = [make(entry, TOPOLOGY.edges) for entry in entries]
    assert bool(problems(made, TOPOLOGY, 60.0)) == bool(problems(made[::-1], TOPOLOGY, 60.0))


def test_a_file_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_text(f"faults: [{A_CRASH.replace('10', '100')}]")
    assert files.load_faults(path, TOPOLOGY) == (Fault("crash", 100.0, 105.0, ("s1",)),), "longer runs are"
    for text, message in (
        ("", "holds nothing, not a mapping; start with 'faults:'"),
        ("faults: 3", "faults: expected a list, got 3; write a list of {kind: …, at: seconds, …}"),
        ("{}", "file: field 'faults' is missing; add it"),
        ("{faults: [], servers: []}", "file: unknown field 'servers'; remove it, or mend its spelling"),
        (f"faults: [{A_CRASH}, {A_CRASH}]", "faults[1]: crash s1 at 10 s falls into faults[0]"),
    ):
        path.write_text(text)
        with pytest.raises(UserError) as caught:
            files.load_faults(path, TOPOLOGY)
        assert str(caught.value).startswith(f"{path}: {message}")


def test_a_table_lies_beside_the_file_and_is_repaired_openly(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("n,rate\n1,10\n2,11\n4,30\n")
    path = tmp_path / "f.yaml"
    path.write_text("faults: [{kind: slow, at: 1, server: s1, curve: {kind: table, file: c.csv}}]")
    warnings: list[str] = []
    (fault,) = files.load_faults(path, TOPOLOGY, warnings)
    assert fault.curve == {"kind": "table", "points": [[1.0, 10.0], [4.0, 30.0]]}
    assert warnings[0].startswith(f"{path}: faults[0].curve is not concave as measured; ")
