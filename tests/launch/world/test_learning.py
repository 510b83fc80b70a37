"""Servers that learn their curves, in the deterministic world: as good as those that know, whatever befalls them."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gmsr.agents.dispatcher import Dispatcher
from gmsr.agents.feeds.on_change import off
from gmsr.agents.journal import COMPLETED
from gmsr.agents.server import Server
from gmsr.broker.wire import REPORT, Frame
from gmsr.launch import plan
from gmsr.launch.choices import choose
from gmsr.launch.cli import gmsr
from gmsr.launch.demand import learning
from gmsr.launch.packaged import path as example
from gmsr.launch.record.collect import collect
from gmsr.launch.record.folder import open_run
from gmsr.launch.record.text import text
from gmsr.launch.world.explore import Memory
from gmsr.launch.world.node import Node
from gmsr.launch.world.simulate import simulate
from gmsr.launch.world.world import World
from gmsr.topology.faults import Fault
from gmsr.topology.files import load
from gmsr.topology.graph import Topology

TWO_REGIONS = str(example("two-regions"))


def specs(topology: Topology, options: plan.Options) -> list[Any]:
    policy = choose(options.policy, options.feed)
    return list(
        plan.specs(topology, options, policy, Path("nowhere"), "nowhere", "learn", plan.Inputs({}, None, 1.0))
    )


@pytest.mark.slow
def test_the_main_demo_is_as_good_as_with_true_curves_and_so_again_after_a_change(tmp_path: Path) -> None:
    """Issue: within 5 %, from nothing, while the server that carries most is half as fast, and after that.

    ``gmsr bench learning`` over many seeds: 1 % from ten seconds on after each change; ``jsq``, without curves, 10 %.
    """
    slow = Fault("slow", 30.0, 60.0, ("h100-tp2",), factor=0.5)
    fleet = load(example("llm-fleet")).topology._replace(faults=(slow,))
    options = plan.Options(duration=90.0, warmup=0.0, seed=1)
    means = []
    for name, topology in (("known", fleet), ("learned", learning(fleet))):
        assert simulate(topology, options, tmp_path / name)["valid"]
        jobs = collect(open_run(tmp_path / name)).jobs
        done, phases = jobs["state"] == COMPLETED, ((10.0, 30.0), (40.0, 60.0), (70.0, 90.0))
        inside = [done & (jobs["arrival"] >= begin) & (jobs["arrival"] < end) for begin, end in phases]
        means.append([float(jobs["latency"][own].mean()) for own in inside])
    known, learned = means
    assert known[1] > 1.1 * known[0], "the change matters"
    for with_true, with_learned in zip(known, learned, strict=True):
        assert with_learned < 1.05 * with_true


@pytest.mark.slow
def test_the_summary_tells_how_well_they_learned(tmp_path: Path) -> None:
    """Against the curve as it is at the end, where the server was since; of who was slow until then nothing is told."""
    slow, slower = (
        Fault("slow", 150.0, 250.0, ("s1",), factor=0.5),
        Fault("slow", 150.0, agents=("s3",), factor=0.5),
    )
    topology = load(TWO_REGIONS).topology._replace(faults=(slow, slower))
    servers = tuple(each._replace(learn=each.id != "s2") for each in topology.servers)
    options = plan.Options(duration=400.0, warmup=10.0, seed=2, scale=4.0)
    summary = simulate(topology._replace(servers=servers), options, tmp_path / "run")
    assert set(summary["learned"]) == {each.id for each in servers if each.learn}
    for name, told in summary["learned"].items():
        assert told["error"] is None if name == "s3" else 0.0 < told["error"] < 0.05
        assert told["revisions"] > 10
    assert "servers learned their curves" in text(summary)
    assert "0 servers" not in text(summary)


@pytest.mark.slow
def test_a_server_that_is_started_again_knows_nothing() -> None:
    """Its first report is that of one that must be tried, which its former life's last were not."""
    topology = learning(load(TWO_REGIONS).topology)
    reports: dict[int, list[float]] = {1: [], 2: []}

    def listen(node: Node, _peer: str, frame: Frame) -> None:
        if node.name == "s1":
            reports[frame[0]] += [message[2] for message in frame[2] if message[0] == REPORT]

    crash = Fault("crash", 15.0, 20.0, ("s1",))
    options = plan.Options(duration=40.0, warmup=0.0)
    World(specs(topology, options), [crash], lambda _: Memory(), tap=listen).run()
    assert reports[1][0] == reports[2][0] > 1e9
    assert reports[1][-1] < 1e3
    assert reports[2][-1] < 1e3


@pytest.mark.slow
@pytest.mark.parametrize("correct", ["no", "yes"])
def test_the_band_of_on_change_holds_while_the_curve_is_learned(correct: str) -> None:
    """What a dispatcher believes is within the share of what the server would tell now, also when it has just learned.

    But for its own doing that the server has not seen, and what only local correction could know.
    """
    topology = learning(load(TWO_REGIONS).topology)
    topology = topology._replace(edges=tuple(edge._replace(delay=0.0) for edge in topology.edges))
    checked = 0

    def check(world: World, node: Node) -> None:
        nonlocal checked
        dispatcher = node.machine
        if not isinstance(dispatcher, Dispatcher):
            return
        for number, name in enumerate(dispatcher.view.names):
            server = world.nodes[name]
            machine = server.machine
            assert isinstance(machine, Server)
            here, there = node.inlet.last(name), server.inlet.last(node.name)
            under_way = here != server.last(node.name) or there != node.last(name)
            if under_way or server.queued or machine.sharing.next_departure <= world.now:
                continue
            (value,) = machine._work.gauge.values(len(machine.sharing.visits))
            believed = dispatcher.view.column("marginal")[dispatcher.view.place[number]]
            assert not off(value, believed, 0.3 + 1e-9)
            checked += 1

    options = plan.Options(feed=f"on-change:by=0.3,correct={correct}", duration=60.0, warmup=0.0, scale=4.0)
    World(specs(topology, options), (), lambda _: Memory(), check=check).run()
    assert checked > 1000


@pytest.mark.slow
def test_a_run_of_servers_that_learn_is_a_function_of_its_seed(tmp_path: Path) -> None:
    topology = learning(load(TWO_REGIONS).topology)
    slow = Fault("slow", 10.0, 20.0, ("s1",), factor=0.3)
    frozen = Fault("freeze", 5.0, 7.0, ("s2",))
    options = plan.Options(duration=30.0, warmup=3.0, feed="on-change:correct=yes")
    made = [
        simulate(topology._replace(faults=(slow, frozen)), options, tmp_path / name, checked=True)
        for name in ("one", "other")
    ]
    assert made[0] | {"run_dir": ""} == made[1] | {"run_dir": ""}
    one, other = (sorted((tmp_path / name / "agents").glob("*.json")) for name in ("one", "other"))
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]


@pytest.mark.slow
def test_the_option_makes_all_servers_learn(tmp_path: Path) -> None:
    given = [
        "simulate",
        TWO_REGIONS,
        "--learn",
        "--duration",
        "20",
        "--warmup",
        "2",
        "--out",
        str(tmp_path / "run"),
    ]
    assert CliRunner().invoke(gmsr, given).exit_code == 0
    again = load(tmp_path / "run" / "topology.json").topology
    assert all(server.learn for server in again.servers)
    assert not any(server.learn for server in load(TWO_REGIONS).topology.servers)


@pytest.mark.parametrize(("more", "told"), [
    (["--model", "fluid"], "--learn: a model knows all curves; leave it out"),
    (["--smoothing", "0,0.1"], "--smoothing: servers that learn smooth what they learned"),
])  # fmt: skip
def test_what_does_not_go_together_is_refused(more: list[str], told: str) -> None:
    result = CliRunner().invoke(gmsr, ["compare", TWO_REGIONS, "--learn", *more], standalone_mode=False)
    assert told in str(result.exception)


def test_nobody_foretells_reports_of_what_is_learned(tmp_path: Path) -> None:
    """The feed's formula works from journals, which hold no curve."""
    topology = learning(load(TWO_REGIONS).topology)
    for policy, formula in (("gmsr", False), ("jsq", True)):
        options = plan.Options(policy, duration=10.0, warmup=1.0)
        messages = simulate(topology, options, tmp_path / policy)["messages"]
        assert (messages["told_per_job_by_formula"] is not None) == formula
        if formula:
            assert messages["told_per_job"] == pytest.approx(messages["told_per_job_by_formula"], rel=0.05)
