"""Topology files: what is right is read, what is wrong is one line with file, field and mend."""

import json
import tempfile
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gmsr.launch import packaged
from gmsr.topology import files, measured
from gmsr.topology.errors import UserError
from gmsr.topology.format import schema
from gmsr.topology.graph import Topology, default_smoothing

GOOD = """
dispatchers: [{id: d1, rate: 3.0}, {id: d2, rate: 1e0}]
servers:
  - {id: s1, curve: {kind: hyperbolic, a: 4, b: 2}}
  - {id: s2, curve: {kind: multicore, m: 1, k: 4}, smoothing: 0.1}
edges: [[d1, s1], {from: d2, to: s2, delay: 0.02}]
"""


def load(folder: Path, text: str, name: str = "t.yaml") -> Topology:
    (folder / name).write_text(text)
    return files.load(folder / name).topology


def refused(folder: Path, text: str, name: str = "t.yaml") -> str:
    with pytest.raises(UserError) as caught:
        load(folder, text, name)
    message = str(caught.value)
    assert message.startswith(str(folder / name))
    assert "\n" not in message
    return message.removeprefix(f"{folder / name}: ")


def test_a_good_file(tmp_path: Path) -> None:
    topology = load(tmp_path, GOOD)
    assert topology.name == "t"
    assert [dispatcher.rate for dispatcher in topology.dispatchers] == [3.0, 1.0]
    assert topology.edges[1].delay == 0.02
    assert topology.servers[1].smoothing == pytest.approx(0.4)
    assert topology.servers[0].smoothing is None
    assert topology.components() == [["d1", "s1"], ["d2", "s2"]]
    assert topology.run.duration == 60.0


def test_json_and_yaml_say_the_same(tmp_path: Path) -> None:
    plain = yaml.safe_load(GOOD.replace("1e0", "1.0"))
    assert load(tmp_path, json.dumps(plain), "t.json").to_dict() == load(tmp_path, GOOD).to_dict()


def test_to_dict_is_read_back_as_it_was(tmp_path: Path) -> None:
    for name in packaged.titles():
        topology = files.load(packaged.path(name)).topology
        again = files.resolve(topology.to_dict(), tmp_path / "t.json").topology
        assert again.to_dict() == topology.to_dict()


def test_complete_and_the_defaults(tmp_path: Path) -> None:
    text = "{dispatchers: [{id: a, rate: 1}], servers: [{id: b, curve: {kind: power, a: 1, p: 0.5}}], edges: complete}"
    topology = load(tmp_path, text)
    assert [(edge.dispatcher, edge.server) for edge in topology.edges] == [("a", "b")]
    assert (topology.arrivals.kind, topology.sizes.kind, topology.scale) == ("poisson", "exponential", 1.0)


def test_a_table_from_a_csv_file_is_repaired_openly(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("concurrency,tokens_per_s\n1,10\n2,11\n4,30\n")
    (tmp_path / "t.yaml").write_text(
        GOOD.replace("{kind: hyperbolic, a: 4, b: 2}", "{kind: table, file: c.csv}")
    )
    loaded = files.load(tmp_path / "t.yaml")
    assert loaded.topology.servers[0].curve.value(2.0) == pytest.approx(10 + 20 / 3)
    assert len(loaded.warnings) == 1
    assert "N = 2: 11 lifted to 16.6667 (+52 %)" in loaded.warnings[0]


def test_the_library_has_the_measured_curves(tmp_path: Path) -> None:
    assert len(measured.names()) == 8
    text = GOOD.replace("{kind: hyperbolic, a: 4, b: 2}", "{kind: llm, name: llama2-70b_h100_tp8}")
    curve = load(tmp_path, text).servers[0].curve
    assert (curve.cap, curve.value(1.0)) == (1275.9, 33.6)
    assert default_smoothing(curve) == pytest.approx(0.05 * 64)


A_CURVE = "{kind: hyperbolic, a: 4, b: 2}"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("rate: 3.0", "rate: -1", "dispatchers[0] (d1).rate: expected a number >= 0"),
        ("rate: 3.0", "rate: .nan", "dispatchers[0] (d1).rate: nan is no finite number"),
        ("rate: 3.0", "rate: .inf", "dispatchers[0] (d1).rate: inf is no finite number"),
        ("rate: 3.0", "rate: quick", "dispatchers[0] (d1).rate: expected a number, got 'quick'; write a plain number"),
        ("rate: 3.0", "speed: 3.0", "dispatchers[0] (d1): unknown field 'speed'; remove it, or mend its spelling"),
        (", rate: 3.0", "", "dispatchers[0] (d1): field 'rate' is missing; add it"),
        ("kind: hyperbolic", "kind: parabolic", "servers[0] (s1).curve.kind: unknown kind 'parabolic'; choose"),
        ("a: 4", "a: 0", "servers[0] (s1).curve.a: expected a number > 0"),
        (A_CURVE, "{kind: power, a: 1, p: 1.5}", "servers[0] (s1).curve.p: expected a number < 1"),
        (A_CURVE, "{kind: table, points: [[1, 2], [2, 1]]}", "servers: s1: curve: the rate falls from 2 to 1"),
        (A_CURVE, "{kind: table}", "servers: s1: curve: a table needs points or file"),
        (A_CURVE, "{kind: table, file: none.csv}", "none.csv: No such file or directory"),
        (A_CURVE, "{kind: llm, name: gpt}", "servers: s1: curve: no measured curve is called 'gpt'; choose"),
        (A_CURVE, A_CURVE + ", smoothing: 0.1", "servers: s1: smoothing: a hyperbolic curve has no kink"),
        ("id: d2", "id: d1", "id d1 is used twice"),
        ("id: s2", "id: d1", "id d1 is used twice"),
        ("id: d2", "id: 'a b'", "dispatchers[1] (a b).id: 'a b' is no id; use letters"),
        ("id: d2", f"id: {'x' * 64}", "… is no id; use letters"),
        ("[d1, s1]", "[d1, s9]", "edges[0]: server 's9' does not exist"),
        ("[d1, s1]", "[s1, d1]", "edges[0]: dispatcher 's1' is a server"),
        ("[d1, s1], ", "", "dispatchers: d1: has no edge to any server"),
        ("[d1, s1], ", "[d1, s1], [d1, s1], ", "edges: d1 to s1 stands twice"),
        ("delay: 0.02", "delay: -1", "edges[1].delay: expected a number >= 0"),
        ("dispatchers:", "run: {duration: 0}\ndispatchers:", "run.duration: expected a number > 0"),
        ("dispatchers:", "run: {warmup: 60}\ndispatchers:", "run.warmup: 60 s leaves nothing"),
        ("dispatchers:", "scale: 0\ndispatchers:", "scale: expected a number > 0"),
        ("dispatchers:", "workload: {sizes: uniform}\ndispatchers:", "workload.sizes:"),
        ("dispatchers:", "workload: {sizes: {kind: cauchy}}\ndispatchers:", "sizes.kind: unknown kind 'cauchy'"),
        ("dispatchers:", "workload: {sizes: trace}\ndispatchers:", "workload.sizes: kind trace needs a field trace"),
        ("dispatchers:", "workload: {arrivals: {speed: 3}}\ndispatchers:", "workload.arrivals: neither kind nor trace"),
        ("dispatchers:", "dispatchers: []\nservers:", "field 'servers' stands twice"),
        ("edges:", "edges: &a [[d1, s1]]\nname: *a\nedge:", "aliases (*a) are not read"),
        ("edges:", "edges: none\nedge:", "edges:"),
        ("rate: 3.0}", "rate: 3.0", "line 2: did not find expected"),
        ("id: d2", 'id: "d2\\n"', "dispatchers[1].id: 'd2\\n' is no id"),
        ("id: d2", "id: 2", "dispatchers[1].id: expected text, got 2; put it in quotes"),
        ("rate: 3.0", "rate: '3'", "(d1).rate: expected a number, got '3'; write a plain number, without quotes"),
        ("rate: 3.0", "rate: true", "(d1).rate: expected a number, got True"),
        ("rate: 3.0", "rate: 1e400", "(d1).rate: inf is no finite number"),
        ("rate: 3.0", f"rate: {'1' * 5000}", "(d1).rate: inf is no finite number"),
        (A_CURVE, "hyperbolic", "(s1).curve: expected a mapping, got 'hyperbolic'; write {kind: …}"),
        (A_CURVE, "{a: 1, b: 2}", "(s1).curve: field 'kind' is missing; add it: one of hyperbolic, "),
        (A_CURVE, "{kind: 3}", "(s1).curve.kind: unknown kind 3; choose one of hyperbolic, "),
        (A_CURVE, "{kind: table, points: [[1]]}", "(s1).curve.points[0]: expected a list of length 2, got a list of 1"),
        (A_CURVE, A_CURVE + ", smoothing: off", "(s1).smoothing: expected a number or a mapping, got 'off'; write 0"),
        (A_CURVE, A_CURVE + ", smoothing: {w: 1}", "(s1).smoothing: unknown field 'w'"),
        ("[d1, s1]", "[d1]", "edges[0]: expected a list of length 2, got a list of 1; write [dispatcher, server]"),
        ("[d1, s1]", "{from: d1}", "edges[0]: field 'to' is missing; add it"),
        ("dispatchers:", "1: 2\ndispatchers:", "file: a field's name is no text; put it in quotes"),
        ("dispatchers:", "? [a]\n: 1\ndispatchers:", "line 2: a list or mapping names a field"),
        ("dispatchers:", "name: !!int foo\ndispatchers:", "line 2: tags (tag:yaml.org,2002:int) are not read"),
        ("dispatchers:", "name: \a\ndispatchers:", "unacceptable character #x0007"),
        ("dispatchers:", "workload: {arrivals: trace}\ndispatchers:", "arrivals: unknown kind 'trace'; choose"),
        ("dispatchers:", "workload: {arrivals: {kind: trace}}\ndispatchers:", "kind trace needs field 'trace'"),
        ("dispatchers:", "workload: {arrivals: {kind: poisson, on: 3}}\ndispatchers:", "have no field 'on'"),
        ("dispatchers:", "workload: {sizes: {kind: exponential, sigma: 3}}\ndispatchers:", "unknown field 'sigma'"),
        ("dispatchers:", 'workload: {arrivals: {trace: "a\\0b"}}\ndispatchers:', "'a\\x00b' is no path"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_with_place_and_mend(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    told = refused(tmp_path, GOOD.replace(old, new, 1))
    assert message in told
    assert ";" in told, "a mend follows what is wrong"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds nothing, not a mapping"),
        ("- 1", "holds a list, not a mapping"),
        ("hello", "holds a str, not a mapping"),
        ("a: " + "[" * 100_000 + "]" * 100_000, "nest"),  # newer PyYAML has a limit, and words, of its own
        ("a: " + "{a: " * 500 + "1" + "}" * 500, "line 1: nested too deeply"),
        ("{}", "field 'dispatchers' is missing"),
    ],
)
def test_what_is_no_topology(tmp_path: Path, text: str, message: str) -> None:
    assert message in refused(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a":\n1,,}', "line 2: "),
        ('{"a": {"edges": 1, "edges": 2}}', "field 'edges' stands twice in one object; "),
        ('{"a": ' + "1" * 5000 + "}", "Exceeds the limit"),
        ('{"a": NaN}', "a: nan is no finite number; "),
        ('{"a": ' + "[" * 100 + "]" * 100 + "}", "nested too deeply; "),
        ("[" * 200_000, "nested too deeply; "),
    ],
)
def test_bad_json(tmp_path: Path, text: str, message: str) -> None:
    assert message in refused(tmp_path, text, "t.json")


def test_yaml_is_read_as_json_is(tmp_path: Path) -> None:
    """YAML 1.1 takes on for true, nan for a name's end, 1:30 for 90, and dies of 2024-13-45."""
    for name in ("on", "nan", "inf", "2024-13-45", "~x"):
        assert load(tmp_path, f"name: {name}\n" + GOOD).name == name
    for written, rate in (("1e3", 1000.0), ("2", 2.0), (".5", 0.5), ("+1.5E-1", 0.15)):
        assert load(tmp_path, GOOD.replace("3.0", written)).dispatchers[0].rate == rate
    assert load(tmp_path, GOOD.replace("d1", "on")).dispatchers[0].id == "on"
    bursts = load(tmp_path, "workload: {arrivals: {kind: on-off, on: 3, off: 2}}\n" + GOOD).arrivals
    assert (bursts.on, bursts.off) == (3.0, 2.0)
    assert load(tmp_path, "\ufeff" + GOOD).name == "t", "an editor's byte-order mark is no content"


def test_an_endless_file_is_not_read_to_its_end() -> None:
    with pytest.raises(UserError, match="67 MB is no topology file; the limit is 64 MiB"):
        files.load("/dev/zero")


def test_a_table_needs_its_header(tmp_path: Path) -> None:
    """Without one the first point would be dropped in silence."""
    (tmp_path / "c.csv").write_text("1,10\n2,11\n")
    with pytest.raises(UserError, match=r"c\.csv: line 1 holds numbers; write a header"):
        files.read_points(tmp_path / "c.csv")
    (tmp_path / "c.csv").write_text("\ufeffn,rate\n\n1,10\n2,x\n")
    with pytest.raises(UserError, match=r"c\.csv: line 4: '2,x' is not two numbers; "):
        files.read_points(tmp_path / "c.csv")


BITS = st.sampled_from(
    ["{", "}", "[", "]", ",", ": ", "\n", "  ", "- ", "? ", "&a ", "*a", "!!x ", '"', "'", "|\n", "#", "---\n",
     "edges", "servers", "dispatchers", "curve", "kind", "table", "id", "rate", "d1", "-1", ".inf", "1e9", "~", "\0"]
)  # fmt: skip


@given(st.integers(0, len(GOOD)), st.integers(0, 30), st.lists(BITS, max_size=6))
def test_a_mangled_file_is_read_or_refused_in_one_line(at: int, cut: int, new: list[str]) -> None:
    text = GOOD[:at] + "".join(new) + GOOD[at + cut :]
    with tempfile.TemporaryDirectory() as folder:
        for name in ("t.yaml", "t.json"):
            path = Path(folder) / name
            path.write_text(text)
            try:
                files.load(path)
            except UserError as error:
                assert str(error).startswith(str(path))
                assert "\n" not in str(error)


def test_all_rates_zero(tmp_path: Path) -> None:
    told = refused(tmp_path, GOOD.replace("3.0", "0").replace("1e0", "0"))
    assert "all rates are 0" in told


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "t.yaml").open("wb") as file:
        file.truncate(1 << 30)  # sparse: a file of 1 GB that takes no disk
    with pytest.raises(UserError, match=r"1,074 MB is no topology file"):
        files.load(tmp_path / "t.yaml")


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        files.load(tmp_path / "none.yaml")
    with pytest.raises(UserError, match="Is a directory"):
        files.load(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9")
    with pytest.raises(UserError, match="byte 9 is no UTF-8"):
        files.load(tmp_path / "latin.yaml")
    (tmp_path / "c.csv").write_text("n,rate\n1,10\n2\n")
    with pytest.raises(UserError, match=r"c.csv: line 3: '2' is not two numbers"):
        files.read_points(tmp_path / "c.csv")


def test_the_shipped_schema_is_that_of_the_types() -> None:
    shipped = json.loads((Path(files.__file__).parent / "schema.json").read_text())
    assert shipped == schema()


def test_the_schema_agrees_with_the_examples() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    validator = jsonschema.Draft202012Validator(schema())
    for name in packaged.titles():
        validator.validate(json.loads(json.dumps(yaml.safe_load(packaged.read(name)))))
    bad = yaml.safe_load(GOOD) | {"colour": "red"}
    assert not validator.is_valid(bad)
