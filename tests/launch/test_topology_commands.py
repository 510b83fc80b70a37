"""``gmsr topology`` and ``gmsr examples``: what they print, what they write, and what they refuse."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gmsr.launch.commands import examples, topology
from gmsr.topology import files, generate
from gmsr.topology.errors import UserError

CHECKED = {"valid", "dispatchers", "servers", "edges", "components", "load", "overloaded"}
"""The fields of ``gmsr topology check --json`` that INTERFACE fixes."""


def call(command: Any, *arguments: object) -> str:
    """Standard output of a command that succeeds; a UserError comes through."""
    ended = CliRunner().invoke(command, [str(each) for each in arguments], catch_exceptions=False)
    assert ended.exit_code == 0, ended.output
    return ended.stdout


@pytest.fixture
def example(tmp_path: Path) -> Path:
    call(examples.command, "copy", "llm-fleet", tmp_path)
    return tmp_path / "llm-fleet.yaml"


@pytest.mark.slow  # the first call loads scipy
@pytest.mark.parametrize("kind", [kind for kind in generate.FAMILIES if kind != "path"])
def test_what_is_made_is_read_back_and_has_the_wished_load(kind: str, tmp_path: Path) -> None:
    # A caps-only family: where a server without a cap takes what is over, no load can be wished for.
    wished = (
        "new",
        kind,
        "--dispatchers",
        5,
        "--servers",
        7,
        "--degree",
        2,
        "--load",
        0.6,
        "--curves",
        "exponential",
    )
    made = tmp_path / "made.yaml"
    printed = call(topology.command, *wished, "--seed", 3)
    assert call(topology.command, *wished, "--seed", 3, "--out", made) == ""
    assert made.read_text() == printed
    assert files.load(made).topology.servers[0].curve.kind == "exponential"
    found = json.loads(call(topology.command, "check", made, "--json"))
    assert found.keys() >= CHECKED
    assert (found["valid"], found["overloaded"]) == (True, False)
    assert (found["dispatchers"], found["servers"]) == (5, 7)
    assert found["load"] == pytest.approx(0.6, rel=1e-4)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    there = tmp_path / "there.yaml"
    there.write_text("mine")
    for arguments in (("new", "star", "--out", there), ("draw", there, "-o", there.with_suffix(".svg"))):
        there.with_suffix(".svg").write_text("mine")
        with pytest.raises(UserError, match=r"there\."):
            call(topology.command, *arguments)
    assert there.read_text() == there.with_suffix(".svg").read_text() == "mine"
    call(examples.command, "copy", "kinked", tmp_path)
    with pytest.raises(UserError, match="exists"):
        call(examples.command, "copy", "kinked", tmp_path)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["cube"], "choose one of complete, random"),
        (["star", "--load", "nan"], "--load"),
        (["star", "--load", "-1"], "--load"),
        (["star", "--dispatchers", "0"], "--dispatchers"),
        (["star", "--spread", "0.5"], "--spread"),
        (["star", "--curves", "flat"], "--curves"),
        (["star", "--rates", "flat"], "--rates"),
        (["path", "--servers", "9"], "path: 4 dispatchers need 4 or 5 servers"),
        (["import"], "--from"),
        (["star", "--from", "graph.txt"], "--from"),
        (["import", "--from", "none.txt"], "none.txt: No such file"),
        (["star", "--out", "none/none.yaml"], "none/none.yaml: No such file"),
    ],
)
@pytest.mark.slow  # the first call loads scipy
def test_what_cannot_be_made(
    arguments: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as caught:
        call(topology.command, "new", *arguments)
    assert told in str(caught.value)
    assert ";" in str(caught.value) or "must be" in str(caught.value) or "goes with" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_edge_list_becomes_a_topology(tmp_path: Path) -> None:
    (tmp_path / "graph.txt").write_text("web gpu1\nweb gpu2\nbatch gpu2\n")
    made = tmp_path / "made.yaml"
    call(topology.command, "new", "import", "--from", tmp_path / "graph.txt", "--out", made, "--load", 0.5)
    topology_made = files.load(made).topology
    assert [each.id for each in topology_made.dispatchers] == ["web", "batch"]
    assert [(each.dispatcher, each.server) for each in topology_made.edges] == [
        ("web", "gpu1"), ("web", "gpu2"), ("batch", "gpu2"),
    ]  # fmt: skip


def test_check_says_what_is_wrong_also_in_json(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("dispatchers: []\n")
    with pytest.raises(UserError, match=r"bad\.yaml"):
        call(topology.command, "check", bad)
    ended = CliRunner().invoke(topology.command, ["check", str(bad), "--json"])
    assert isinstance(ended.exception, UserError)
    assert json.loads(ended.stdout) == {"valid": False, "problem": str(ended.exception)}


@pytest.mark.slow
def test_check_tells_of_repairs_and_overload(example: Path) -> None:
    told = call(topology.command, "check", example)
    assert "4 dispatchers, 8 servers, 14 edges in 1 component; load 0.80" in told
    assert "h100-tp2: curve is not concave as measured" in told
    assert "N = 32: 611.9 lifted to 761.55 (+24 %)" in told
    example.write_text(example.read_text().replace("rate: 58", "rate: 580"))
    assert "OVERLOADED" in call(topology.command, "check", example)
    assert json.loads(call(topology.command, "check", example, "--json"))["overloaded"] is True


@pytest.mark.slow
def test_show_prints_every_node_and_resolves_curves(example: Path) -> None:
    told = call(topology.command, "show", example)
    loaded = files.load(example).topology
    lines = told.splitlines()
    for name in [*(each.id for each in loaded.dispatchers), *(each.id for each in loaded.servers)]:
        assert any(line.startswith(f"{name} ") for line in lines)
    assert "load 0.80" in lines[0]
    resolved = json.loads(call(topology.command, "show", example, "--json"))
    assert all(server["curve"]["kind"] == "table" for server in resolved["servers"])
    again = files.resolve(resolved, example).topology
    assert again.servers[0].curve.describe() == loaded.servers[0].curve.describe()


@pytest.mark.slow  # matplotlib
@pytest.mark.parametrize(("ending", "magic"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("PNG", b"\x89PNG")])
def test_draw_makes_pictures(ending: str, magic: bytes, example: Path) -> None:
    picture = example.with_suffix(f".{ending}")
    assert "drawn" in call(topology.command, "draw", example, "--out", picture)
    assert picture.read_bytes().startswith(magic)


@pytest.mark.slow  # matplotlib
def test_draw_refuses_where_it_cannot_write(example: Path) -> None:
    for out, told in (("none/a.svg", "No such file"), ("a.gif", "neither .svg nor .png")):
        with pytest.raises(UserError, match=told):
            call(topology.command, "draw", example, "-o", example.parent / out)


@pytest.mark.slow  # matplotlib
@pytest.mark.parametrize("curves", ["power", "mixed"])
def test_draw_manages_odd_graphs(curves: str, tmp_path: Path) -> None:
    made = tmp_path / "made.yaml"
    size = ("--dispatchers", 1, "--servers", 1 if curves == "power" else 60)
    call(topology.command, "new", "star", *size, "--curves", curves, "--out", made)
    call(topology.command, "draw", made, "-o", tmp_path / "made.svg")
    drawn = (tmp_path / "made.svg").read_text()
    assert len(re.findall(r"<!-- s\d+ ", drawn)) == (1 if curves == "power" else 60), "labels of servers"


def test_examples_are_listed_shown_and_copied(tmp_path: Path) -> None:
    titles = json.loads(call(examples.command, "list", "--json"))
    assert {"n-shaped", "two-regions", "kinked", "hyperbolic-5x10", "llm-fleet", "llm-fleet-trace"} <= set(
        titles
    )
    listed = call(examples.command)
    for name, title in titles.items():
        assert f"{name} " in listed
        assert len(title) > 20
        assert call(examples.command, "show", name).startswith(f"# {title}")
        call(examples.command, "copy", name, tmp_path / name)
        assert files.load(tmp_path / name / f"{name}.yaml").topology.name == name
    with pytest.raises(UserError, match="choose one of"):
        call(examples.command, "show", "nothing")
