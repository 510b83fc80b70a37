"""``gmsr simulate``: the directory and the summary of a live run, from the seed alone."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from gmsr.launch import plan
from gmsr.launch.cli import gmsr
from gmsr.launch.faults.draw import SIMULATED, draw
from gmsr.launch.packaged import path as example
from gmsr.launch.record.collect import collect
from gmsr.launch.record.folder import open_run
from gmsr.launch.world.simulate import simulate
from gmsr.topology.errors import RunError, UserError
from gmsr.topology.faults import Fault
from gmsr.topology.files import load
from gmsr.topology.graph import Topology

TWO_REGIONS = str(example("two-regions"))
SHORT = ("--duration", "20", "--warmup", "2")


def topology(*faults: Fault) -> Topology:
    return load(TWO_REGIONS).topology._replace(faults=faults)


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(gmsr, ["simulate", *arguments], standalone_mode=False)


@pytest.mark.slow
def test_a_run_is_a_function_of_its_seed(tmp_path: Path) -> None:
    faults = draw(topology(), 5, 30.0, kinds=SIMULATED)
    options = plan.Options(duration=30.0, warmup=3.0, seed=5, again=True)
    told = []
    for name in ("one", "other"):
        summary = simulate(topology(*faults), options, tmp_path / name, checked=name == "one")
        told.append(summary | {"run_dir": ""})
    assert told[0] == told[1]
    for table in ("jobs.parquet", "visits.parquet", "faults.jsonl"):
        assert (tmp_path / "one" / table).read_bytes() == (tmp_path / "other" / table).read_bytes()
    other = simulate(topology(*faults), options._replace(seed=6), tmp_path / "third")
    assert other["latency"]["mean"] != told[0]["latency"]["mean"]


@pytest.mark.slow
def test_each_fault_shows_in_the_summary(tmp_path: Path) -> None:
    crash = Fault("crash", 8.0, 12.0, ("s1",))
    summary = simulate(topology(crash), plan.Options(duration=30.0, warmup=3.0), tmp_path / "run")
    assert summary["valid"]
    (told,) = summary["faults"]
    assert (told["kind"], told["at"]) == ("crash", 8.0)
    assert told["noticed"] == 0.0, "the kernel tells at once when a process dies"
    assert summary["jobs"]["lost"].keys() == {"dead"}


FAULTY = """
class Faulty:
    reads = ("marginal",)
    def __init__(self, view, random):
        self.left = 20
    def choose(self):
        self.left -= 1
        return 0 if self.left else self.rue()
    def rue(self):
        raise ArithmeticError("no server is good enough")
"""


def test_a_policy_that_fails_ends_the_run_with_its_own_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "faulty_world_rule.py").write_text(FAULTY)
    monkeypatch.syspath_prepend(tmp_path)
    options = plan.Options(policy="faulty_world_rule:Faulty", duration=500.0)
    with pytest.raises(RunError) as failure:
        simulate(topology(), options, tmp_path / "run", checked=True)
    first, *trace = str(failure.value).splitlines()
    assert first.startswith(
        "dispatcher d1: its policy failed, and the run was ended; what there is stands in"
    )
    assert trace[-1] == "ArithmeticError: no server is good enough"
    assert len([line for line in trace if line.startswith("  File ")]) == 2, "the policy's own frames alone"
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    jobs = summary["jobs"]
    assert not summary["valid"]
    assert jobs["lost"] == {"policy": 1}
    assert jobs["offered"] == jobs["completed"] + jobs["in_flight"] + 1
    assert jobs["offered"] < 100, "nobody went on"
    assert not [line for line in summary["warnings"] if "departed" in line or "balance" in line]


def change(at: float, policy: str, *dispatchers: str) -> Fault:
    return Fault("policy", at, agents=dispatchers, policy=policy)


@pytest.mark.slow
def test_another_policy_in_mid_run(tmp_path: Path) -> None:
    """Turns are taken while round-robin has its way, in d1's next life too, and only then; d2 never changes."""
    faults = (
        change(8.0, "round-robin", "d1"),
        Fault("crash", 12.0, 13.0, ("d1",)),
        change(20.0, "gmsr", "d1"),
    )
    options = plan.Options(duration=30.0, warmup=3.0, scale=4.0)
    summary = simulate(topology(*faults), options, tmp_path / "run", checked=True)
    assert summary["valid"]
    assert [(each["what"], each["at"], each["until"]) for each in summary["faults"]] == [
        ("policy d1 to round-robin", 8.0, 20.0), ("crash d1", 12.0, 13.0), ("policy d1 to gmsr", 20.0, None)
    ]  # fmt: skip
    assert not summary["faults"][0]["lost"], "no job is lost by a policy"
    run = collect(open_run(tmp_path / "run"))

    def turns(dispatcher: str, begin: float, end: float) -> float:
        """Share of jobs that go where the one before the last three went: all of them, where four take turns."""
        jobs = run.jobs
        mine = (
            (jobs["dispatcher"] == run.dispatchers.index(dispatcher))
            & (jobs["sent"] > begin)
            & (jobs["sent"] < end)
        )
        servers = jobs["server"][mine][np.argsort(jobs["sent"][mine])]
        count = len(set(servers.tolist()))
        return float(np.mean(servers[count:] == servers[:-count]))

    assert turns("d1", 8.0, 12.0) == turns("d1", 13.5, 20.0) == 1.0
    assert max(turns("d1", 0.0, 8.0), turns("d1", 20.0, 30.0), turns("d2", 8.0, 20.0)) < 0.8


@pytest.mark.parametrize(
    ("began", "policy", "said"),
    [
        (
            "gmsr",
            "jsq",
            r"faults\[0\]: policy: jsq reads jobs, and this run's reports carry marginal; begin a run",
        ),
        ("random", "gmsr", "reports carry nothing"),
        ("gmsr", "jsqq", r"faults\[0\]: policy: 'jsqq' is unknown; did you mean jsq"),
        ("gmsr", "oracle", "oracle is told the best split before a run; begin with it"),
        ("gmsr", "gmsr:ties=sideways", "ties=sideways is unknown"),
    ],
)
def test_a_policy_that_cannot_follow_is_refused(began: str, policy: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=said):
        simulate(topology(change(5.0, policy, "d1")), plan.Options(policy=began), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_policy_that_comes_later_and_fails_ends_the_run_with_its_own_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "faulty_later_rule.py").write_text(FAULTY)
    monkeypatch.syspath_prepend(tmp_path)
    later = change(5.0, "faulty_later_rule:Faulty", "d2")
    with pytest.raises(RunError, match="dispatcher d2: its policy failed") as failure:
        simulate(topology(later), plan.Options(duration=500.0), tmp_path / "run", checked=True)
    trace = str(failure.value).splitlines()
    assert trace[-1] == "ArithmeticError: no server is good enough"
    assert len([line for line in trace if line.startswith("  File ")]) == 2, "the policy's own frames alone"


@pytest.mark.slow
def test_who_joins_and_who_leaves(tmp_path: Path) -> None:
    faults = (Fault("join", 8.0, agents=("s3",)), Fault("drain", 15.0, agents=("s1",)))
    summary = simulate(
        topology(*faults), plan.Options(duration=30.0, warmup=3.0), tmp_path / "run", checked=True
    )
    assert summary["valid"]
    assert not summary["jobs"]["lost"]
    jobs = collect(open_run(tmp_path / "run")).jobs
    names = collect(open_run(tmp_path / "run")).servers
    assert jobs["arrival"][jobs["server"] == names.index("s3")].min() > 8.0
    assert jobs["arrival"][jobs["server"] == names.index("s1")].max() < 15.5
    assert summary["by_server"]["s3"]["completed"] > 10


@pytest.mark.slow
def test_at_least_once_loses_nothing(tmp_path: Path) -> None:
    crash = Fault("crash", 8.0, 12.0, ("s1",))
    options = plan.Options(duration=30.0, warmup=3.0, again=True)
    summary = simulate(topology(crash), options, tmp_path / "run")
    assert summary["valid"]
    assert not summary["jobs"]["lost"]
    assert summary["resent"] > 0


@pytest.mark.slow
def test_after_the_last_fault_the_system_returns_to_where_it_was(tmp_path: Path) -> None:
    """Beside the same arrivals without a fault: what was lost is gone, and the rest is as it would have been."""
    kinds = (
        "crash",
        "freeze",
        "slow",
        "cut",
        "delay",
        "loss",
        "duplicate",
        "surge",
    )  # a drained server is gone for good

    def workload(name: str, seed: int, *faults: Fault) -> float:
        options = plan.Options(duration=60.0, warmup=52.0, seed=seed, scale=4.0)  # all faults end by 45 s
        summary = simulate(topology(*faults), options, tmp_path / name)
        assert summary["valid"]
        return float(summary["workload"]["mean"])

    ratios = [
        workload(f"faults-{seed}", seed, *draw(topology(), seed, 60.0, kinds=kinds))
        / workload(f"none-{seed}", seed)
        for seed in range(12)
    ]
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.1)
    assert max(ratios) < 1.6


def test_what_only_processes_can_suffer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="only live processes have one"):
        simulate(topology(Fault("kill-launcher", 5.0)), plan.Options(), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_the_command(tmp_path: Path) -> None:
    told = invoke(TWO_REGIONS, *SHORT, "--chaos", "3", "--check", "--json", "--out", str(tmp_path / "run"))
    summary = json.loads(told.stdout)
    assert summary["valid"]
    assert (tmp_path / "run" / "summary.json").exists()
    assert summary["faults"]


@pytest.mark.slow
def test_repeats_have_seeds_of_their_own(tmp_path: Path) -> None:
    # In a process of its own, since multiprocessing leaves a helper behind for as long as its process lives.
    told = subprocess.run(
        [sys.executable, "-m", "gmsr", "simulate", TWO_REGIONS, *SHORT, "--repeats", "3", "--jobs", "2", "--json",
         "--out", str(tmp_path / "runs")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = json.loads(told.stdout)
    assert [each["seed"] for each in found["runs"]] == [1, 2, 3]
    assert len({each["latency"]["mean"] for each in found["runs"]}) == 3
    assert found["half_ci95"] > 0.0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--pace", "auto"), "virtual time needs no trial"),
        (("--faults", "nowhere.yaml"), "nowhere.yaml"),
        (("--duration", "-1"), "--duration"),
    ],
)
def test_wrong_input(arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
    told = invoke(TWO_REGIONS, *arguments, "--out", str(tmp_path / "run"))
    assert isinstance(told.exception, UserError)
    assert said in str(told.exception)
    assert not (tmp_path / "run").exists()
