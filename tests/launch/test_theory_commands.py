"""``gmsr optimum``, ``fluid``, ``slotted`` and ``compare --model``: fields, tables, pictures, and what they refuse."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from gmsr.launch import packaged
from gmsr.launch.commands import compare, fluid, optimum, slotted, topology
from gmsr.topology import files
from gmsr.topology.errors import RunError, UserError
from gmsr.topology.theory import naive
from gmsr.topology.theory import optimum as solver

pytestmark = pytest.mark.slow


def call(command: Any, *arguments: object) -> str:
    """Standard output of a command that succeeds; a UserError comes through."""
    ended = CliRunner().invoke(command, [str(each) for each in arguments], catch_exceptions=False)
    assert ended.exit_code == 0, ended.output
    return ended.stdout


def document(command: Any, *arguments: object) -> Any:
    return json.loads(call(command, *arguments, "--json"))


def example(name: str) -> Path:
    return packaged.path(name)


def test_the_optimum_has_the_fields_of_the_interface() -> None:
    found = document(optimum.command, example("n-shaped"))
    assert found["overloaded"] is False
    assert {"workload", "latency", "servers", "flows", "prices", "residual"} <= found.keys()
    assert set(found["servers"]["s1"]) >= {"workload", "throughput", "marginal"}
    assert found["latency"] == pytest.approx(found["workload"] / 3.5)
    assert found["servers"]["s1"]["utilisation"] == pytest.approx(found["servers"]["s1"]["throughput"] / 2.0)
    assert found["residual"] < 1e-9
    told = call(optimum.command, example("n-shaped"))
    assert "mean latency 1.577 s" in told and "conditions of optimality" in told and "agree" in told


def test_overload_has_the_fields_of_the_interface() -> None:
    found = document(optimum.command, example("overloaded"))
    assert found["overloaded"] is True
    assert found["throughput"] == pytest.approx(11.5)
    assert found["stable"] == ["s4", "s5", "s6"]
    assert (found["unstable"], found["saturated"]) == (["s1", "s2", "s3"], [])
    assert sum(each["growth"] for each in found["servers"].values() if "growth" in each) == pytest.approx(2.0)
    assert sum(found["flows"]["d1"].values()) == pytest.approx(5.0)
    told = call(optimum.command, example("overloaded"))
    assert "overloaded: 13.5 volume/s offered, 11.5 is the most" in told and "unstable" in told


def test_how_many_can_be_held() -> None:
    found = document(optimum.command, example("overloaded-multicore"), "--hold")
    assert (found["held"]["most"], found["held"]["proven"]) == (5, True)
    assert "can hold 5 at their caps" in call(optimum.command, example("overloaded-multicore"), "--hold")
    with pytest.raises(UserError, match=r"^--hold: the demand fits"):
        call(optimum.command, example("n-shaped"), "--hold")


def test_a_question_of_overload_needs_a_cap(tmp_path: Path) -> None:
    path = tmp_path / "endless.yaml"
    path.write_text(
        "dispatchers: [{id: d, rate: 9}]\nservers: [{id: s, curve: {kind: power, a: 1, p: 0.5}}]\nedges: complete\n"
    )
    with pytest.raises(UserError, match=r"^--load: servers without a cap"):
        call(optimum.command, path, "--load", 1.2)
    with pytest.raises(UserError, match=r"^--hold: the demand fits"):
        call(optimum.command, path, "--hold")


@pytest.mark.parametrize(("load", "of"), [(0.8, "latency"), (1.3, "throughput")])
def test_what_if(load: float, of: str) -> None:
    found = document(optimum.command, example("n-shaped"), "--load", load, "--sensitivity")["sensitivity"]
    assert found["of"] == of
    assert {each["server"] for each in found["servers"]} == {"s1", "s2"}
    gains = [each.get("saved", each.get("most")) for each in found["servers"]]
    assert gains == sorted(gains, reverse=True) and gains[0] > 0.0
    assert [(each["dispatcher"], each["server"]) for each in found["edges"]] in ([], [("d2", "s1")])
    assert "single new edge" in call(optimum.command, example("n-shaped"), "--load", load, "--sensitivity")


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(UserError, match=r"^--method: 'simplex' is unknown"):
        call(optimum.command, example("n-shaped"), "--method", "simplex")


def test_a_failed_solver_is_a_failed_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> object:
        raise solver.NoOptimum("the conic solver failed: status")

    monkeypatch.setattr("gmsr.launch.theory.optimum.solve", fails)
    with pytest.raises(RunError, match="the conic solver failed: status"):
        call(optimum.command, example("n-shaped"))


def test_the_fluid_path_ends_at_the_optimum(tmp_path: Path) -> None:
    picture = tmp_path / "fluid.svg"
    found = document(fluid.command, example("n-shaped"), "--policies", "gmsr,jsq,random", "--plot", picture)
    assert set(found["workload"]) == {"s1", "s2"}
    assert len(found["t"]) == len(found["total"]) == len(found["workload"]["s1"])
    assert found["total"][-1] == pytest.approx(found["optimum"]["workload"], rel=1e-6)
    assert list(found["paths"]) == ["gmsr", "jsq", "random"]
    assert found["paths"]["jsq"]["ratio"] == pytest.approx(6.0 / found["optimum"]["workload"], rel=1e-6)
    # random: s1 gets 1 of its 2, s2 the other 2.5 of its 4
    assert found["paths"]["random"]["rest"] == pytest.approx(1.0 + 3 * 2.5 / 1.5, rel=1e-9)
    assert found["ladder"]["explained"] > 0.99
    assert ElementTree.parse(picture).getroot().tag.endswith("svg")
    told = call(fluid.command, example("n-shaped"), "--policies", "gmsr,jsq", "--from", "s1=3,s2=1")
    assert "O(δ + log 1/ε)" in told and "over the optimum" in told


def test_plain_gmsr_misses_the_optimum_at_shared_kinks() -> None:
    """MODEL section 5: the slotted model's limit stands for the path that the inclusion leaves open."""
    found = document(fluid.command, example("kinked"), "--smoothing", "0,0.05,0.25", "--duration", 60)
    ratios = [each["ratio"] for each in found["paths"].values()]
    assert ratios[0] > 1.3
    assert 1.0 <= ratios[1] < 1.005 < ratios[2] < 1.03
    methods = [each["method"] for each in found["paths"].values()]
    assert methods == ["slotted model at n = 10000", "inclusion", "inclusion"]


def test_overload_in_the_fluid_limit(tmp_path: Path) -> None:
    picture = tmp_path / "overload.png"
    found = document(fluid.command, example("overloaded"), "--policies", "gmsr,random", "--plot", picture)
    assert found["optimum"] is None
    assert found["overload"]["stable"] == ["s4", "s5", "s6"]
    stable = sum(found["workload"][name][-1] for name in found["overload"]["stable"])
    assert stable == pytest.approx(found["overload"]["stable_workload"], rel=1e-3)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "not at rest" in call(fluid.command, example("overloaded"))


def test_the_slotted_model_approaches_the_fluid_limit(tmp_path: Path) -> None:
    picture = tmp_path / "slotted.svg"
    found = document(
        slotted.command, example("n-shaped"), "--scale", "10,100,1000", "--repeats", 4, "--plot", picture
    )
    distances = [each["distance"] for each in found["scales"].values()]
    assert distances == sorted(distances, reverse=True)
    assert -0.75 < found["exponent"] < -0.3
    each = found["scales"]["100"]
    assert set(each["workload"]) == {"s1", "s2"} and len(each["t"]) == len(each["total"])
    assert picture.exists()
    assert "distance falls as n^" in call(
        slotted.command, example("n-shaped"), "--scale", "10,100", "--repeats", 1
    )


def test_any_comparison_runs_in_a_model() -> None:
    policies = "gmsr,jsq,least-latency,random,oracle"
    for model in ("slotted", "fluid"):
        found = document(compare.command, example("n-shaped"), "--model", model, "--policies", policies)[
            "policies"
        ]
        assert list(found) == policies.split(",")
        assert found["gmsr"]["ratio_to_first"] == 1.0
        assert found["jsq"]["ratio_to_optimum"] > found["gmsr"]["ratio_to_optimum"] - 0.1
        assert found["oracle"]["informed"] and not found["gmsr"]["informed"]
        assert found["gmsr"]["p99"] is None
    told = call(compare.command, example("n-shaped"), "--model", "slotted", "--policies", "gmsr,oracle")
    assert "oracle (centrally informed)" in told


def test_windows_side_by_side_in_a_model() -> None:
    found = document(
        compare.command,
        example("kinked"),
        "--model",
        "slotted",
        "--policies",
        "gmsr,jsq",
        "--smoothing",
        "0,0.05",
    )["policies"]
    assert list(found) == ["gmsr, window 0", "gmsr, window 0.05", "jsq"]
    assert found["gmsr, window 0"]["ratio_to_optimum"] > 1.3
    assert found["gmsr, window 0.05"]["ratio_to_optimum"] < 1.06


def test_what_tie_breaks_do_under_overload() -> None:
    """One common order of servers lets fewer grow than any other tie-break, at the same throughput."""
    policies = "gmsr:ties=order,gmsr:ties=random,gmsr,gmsr-fewest"
    found = document(
        compare.command, example("overloaded-multicore"), "--model", "slotted", "--policies", policies,
        "--duration", 400, "--warmup", 50,
    )["policies"]  # fmt: skip
    grown = [each["overload"]["servers_grown"] for each in found.values()]
    held = [each["overload"]["saturated_held"] for each in found.values()]
    assert grown[0] == 2 < min(grown[1:])
    assert held[0] == 4
    for each in found.values():
        assert each["overload"]["throughput"] == pytest.approx(12.0, rel=0.01)


@pytest.mark.parametrize("name", naive.FAMILIES)
def test_a_family_is_made_and_behaves_as_its_formula_says(name: str, tmp_path: Path) -> None:
    family, path = naive.FAMILIES[name], tmp_path / "family.yaml"
    call(topology.command, "new", name, "--parameter", 4, "--out", path)
    made = files.load(path).topology
    assert (made.name, made.scale) == (f"{name}-4", 100.0)
    found = document(compare.command, path, "--model", "fluid", "--policies", f"gmsr,{family.policy}")[
        "policies"
    ]
    assert found["gmsr"]["ratio_to_optimum"] == pytest.approx(1.0, rel=0.01)
    assert found[family.policy]["ratio_to_optimum"] == pytest.approx(family.ratio(4.0), rel=0.02)


@pytest.mark.parametrize(
    ("command", "arguments", "message"),
    [
        (fluid.command, ["--from", "1,2,3"], "--from: 3 numbers for 2 servers"),
        (fluid.command, ["--from", "1,-2"], "--from: workload -2 of s2"),
        (fluid.command, ["--from", "s9=1"], "--from: no server is called 's9'"),
        (fluid.command, ["--from", "many"], "--from: 'many' is neither numbers"),
        (fluid.command, ["--from", "nan"], "--from: workload nan of s1"),
        (fluid.command, ["--policies", "p2c"], "--policies: 'p2c' has no fluid limit here"),
        (fluid.command, ["--duration", "0"], "--duration: 0 must be a number > 0"),
        (fluid.command, ["--smoothing", "-1"], "--smoothing: -1 must be a number"),
        (fluid.command, ["--plot", "x.gif"], "--plot: x.gif ends in neither"),
        (slotted.command, ["--scale", "10,1"], "--scale: 10,1: scales must rise"),
        (slotted.command, ["--scale", "1,1"], "--scale: 1,1: scales must rise"),
        (slotted.command, ["--scale", "-1"], "--scale: -1: scales must be numbers > 0"),
        (slotted.command, ["--scale", "ten"], "--scale: 'ten' is no list of numbers"),
        (slotted.command, ["--scale", "1e12"], "slotted model: duration:"),
        (slotted.command, ["--policy", "p2c"], "--policies: 'p2c' is not in the fluid model"),
        (slotted.command, ["--repeats", "0"], "--repeats: 0 must be"),
        (compare.command, ["--model", "markov"], "--model: 'markov' is unknown"),
        (compare.command, ["--model", "slotted", "--out", "x"], "--out: a model writes no run directories"),
        (compare.command, ["--model", "fluid", "--policies", "p2c"], "--policies: 'p2c' is not in the fluid model"),
        (compare.command, ["--model", "slotted", "--smoothing", "0,0"], "--smoothing: name each window once"),
        (topology.command, ["new", "pigou", "--parameter", "0.5"], "--parameter: pigou takes no 0.5"),
        (topology.command, ["new", "path", "--parameter", "2"], "--parameter: goes with the kinds"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_in_one_line(
    command: Any, arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = [] if command is topology.command else [example("n-shaped")]
    with pytest.raises(UserError) as refused:
        call(command, *file, *arguments)
    assert str(refused.value).startswith(message)
    assert "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


def test_a_picture_that_exists_is_left_alone(tmp_path: Path) -> None:
    picture = tmp_path / "there.svg"
    picture.write_text("mine")
    with pytest.raises(UserError, match="nothing is overwritten"):
        call(fluid.command, example("n-shaped"), "--plot", picture)
    assert picture.read_text() == "mine"


def test_a_degenerate_topology_is_no_error(tmp_path: Path) -> None:
    """A cap met exactly, a dispatcher that offers nothing, a server that nobody reaches."""
    path = tmp_path / "odd.yaml"
    path.write_text(
        "dispatchers: [{id: d1, rate: 1}, {id: d2, rate: 0}]\n"
        "servers: [{id: s1, curve: {kind: multicore, m: 1, k: 1}}, {id: s2, curve: {kind: power, a: 1, p: 0.5}},\n"
        "          {id: alone, curve: {kind: hyperbolic, a: 1, b: 1}}]\n"
        "edges: [[d1, s1], [d2, s1], [d2, s2]]\n"
    )
    best = document(optimum.command, path, "--sensitivity")
    assert (best["overloaded"], best["workload"]) == (False, pytest.approx(1.0))
    assert best["prices"]["d2"] is None
    assert document(fluid.command, path)["total"][-1] == pytest.approx(1.0, abs=0.01)
    assert document(fluid.command, path)["ladder"] is None
    assert list(document(slotted.command, path, "--scale", "1,10", "--repeats", 2)["scales"]) == ["1", "10"]
