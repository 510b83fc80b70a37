"""The life of a run with real agents: it ends by itself, by Ctrl-C, by a death; nothing is left behind."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import psutil
import pytest

from gmsr.launch import plan, run
from gmsr.launch.faults.scheduled import scheduled
from gmsr.launch.record.folder import happenings
from gmsr.launch.run_dir import file_name
from gmsr.launch.show.progress import Progress
from gmsr.topology import curves
from gmsr.topology.errors import RunError, UserError
from gmsr.topology.faults import make
from gmsr.topology.files import load
from gmsr.topology.graph import Arrivals, Dispatcher, Edge, RunDefaults, Server, Topology

PATIENCE_REAL_S = 30.0
LONG = 3600.0
"""A duration, in seconds, that no test waits for."""

HYPERBOLIC = curves.make({"kind": "hyperbolic", "a": 400.0, "b": 2.0})
TOPOLOGY = Topology(
    "two by three",
    (Dispatcher("d1", 200.0), Dispatcher("d2", 300.0)),
    (Server("s1", HYPERBOLIC), Server("s2", HYPERBOLIC), Server("s3", HYPERBOLIC)),
    (Edge("d1", "s1"), Edge("d1", "s2"), Edge("d2", "s2"), Edge("d2", "s3")),
    run=RunDefaults(duration=1.5, warmup=0.3),
)


class Family:
    """The nurseries and agents that this process has started and that have not ended."""

    @staticmethod
    def nurseries(parent: psutil.Process | None = None) -> list[psutil.Process]:
        children = (parent or psutil.Process()).children()
        return [child for child in children if "gmsr.launch.place.nursery" in " ".join(child.cmdline())]

    @staticmethod
    def agents(parent: psutil.Process | None = None) -> list[psutil.Process]:
        return [agent for nursery in Family.nurseries(parent) for agent in nursery.children()]


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home for sockets of our own, short enough, that must be empty in the end."""
    with tempfile.TemporaryDirectory(prefix="g", dir="/tmp") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)
        assert list(Path(folder).iterdir()) == []


class Meddling(Progress):
    """Does something once the run is under way, and remembers all processes of it."""

    def __init__(self, deed: str) -> None:
        super().__init__(quiet=True)
        self.deed = deed
        self.processes: list[psutil.Process] = []

    def running(self, now: float, duration: float, pace: float, totals: Mapping[str, int]) -> None:
        if self.processes or now < 0.1:
            return
        nursery, agents = Family.nurseries()[0], Family.agents()
        self.processes = [nursery, *agents]
        match self.deed:
            case "kill an agent":
                agents[1].kill()
            case "kill the nursery":
                nursery.kill()
            case "interrupt":
                os.kill(os.getpid(), signal.SIGINT)


def options(**chosen: object) -> plan.Options:
    return plan.options(TOPOLOGY, **chosen)


@pytest.mark.live
@pytest.mark.slow
def test_a_run_leaves_a_whole_folder_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "run"
    summary = run.run(TOPOLOGY, options(), out)
    assert summary["valid"], summary["warnings"]
    jobs = summary["jobs"]
    assert jobs["offered"] == jobs["completed"] + jobs["in_flight"] + sum(jobs["lost"].values())
    assert 400 < jobs["offered"] < 1200
    names = {path.name for path in out.iterdir()}
    assert {
        "topology.json",
        "plan.json",
        "launch.json",
        "summary.json",
        "jobs.parquet",
        "visits.parquet",
    } <= names
    assert json.loads((out / "summary.json").read_text())["jobs"] == jobs
    planned = json.loads((out / "plan.json").read_text())
    assert planned["seed"] == 1
    assert set(planned["versions"]) >= {"python", "gmsr", "pyzmq"}
    assert load(out / "topology.json").topology.edges == TOPOLOGY.edges
    assert set(summary["fidelity"]["cpu"]) == {"d1", "d2", "s1", "s2", "s3"}
    assert Family.nurseries() == []


@pytest.mark.live
@pytest.mark.slow
def test_same_seed_same_arrivals_and_sizes_whatever_the_policy(tmp_path: Path) -> None:
    import pandas as pd

    tables = []
    for policy in ("gmsr", "random"):
        run.run(TOPOLOGY, options(policy=policy), tmp_path / policy)
        jobs = pd.read_parquet(tmp_path / policy / "jobs.parquet")
        tables.append(jobs[jobs["arrival"] < 1.5].sort_values(["dispatcher", "job"])[["arrival", "size"]])
    assert tables[0].to_numpy().tolist() == tables[1].to_numpy().tolist()


@pytest.mark.live
@pytest.mark.slow
def test_the_death_of_the_nursery_ends_the_run(tmp_path: Path) -> None:
    meddling = Meddling("kill the nursery")
    with pytest.raises(RunError, match="the fork server is gone") as failed:
        run.run(TOPOLOGY, options(duration=LONG), tmp_path / "run", meddling)
    assert str(tmp_path / "run") in str(failed.value)
    assert not psutil.wait_procs(meddling.processes, timeout=PATIENCE_REAL_S)[1]
    launch = json.loads((tmp_path / "run" / "launch.json").read_text())
    assert "the fork server is gone" in launch["failure"]


@pytest.mark.live
@pytest.mark.slow
def test_the_death_of_an_agent_does_not_and_is_told(tmp_path: Path) -> None:
    meddling = Meddling("kill an agent")
    summary = run.run(TOPOLOGY, options(), tmp_path / "run", meddling)
    assert not psutil.wait_procs(meddling.processes, timeout=PATIENCE_REAL_S)[1]
    assert summary["valid"], summary["warnings"]
    assert any("was killed by SIGKILL" in line and "no fault" in line for line in summary["warnings"])
    died = [each for each in happenings(tmp_path / "run") if each.event == "died"]
    assert [(each.agents, each.by, each.why) for each in died] == [(["s2"], "unknown", "SIGKILL")]


@pytest.mark.live
@pytest.mark.slow
def test_a_policy_that_fails_in_mid_run_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "faulty_rule.py").write_text(
        "class Faulty:\n"
        "    reads = ()\n"
        "    def __init__(self, view, random):\n"
        "        self.left = 5\n"
        "    def choose(self):\n"
        "        self.left -= 1\n"
        "        if not self.left:\n"
        "            raise ArithmeticError('no server is good enough')\n"
        "        return 0\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    told = r"dispatcher d\d: its policy failed, and the run was ended; (?s:.*)\n(?s:.*)Error: no server is good enough"
    with pytest.raises(RunError, match=told) as failure:
        run.run(TOPOLOGY, options(policy="faulty_rule:Faulty", duration=LONG), tmp_path / "run")
    frames = [line for line in str(failure.value).splitlines() if line.startswith("  File ")]
    assert frames
    assert all("faulty_rule.py" in line for line in frames), "the policy's own frames alone"
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    jobs = summary["jobs"]
    assert jobs["lost"].keys() <= {"policy"}
    assert jobs["offered"] == jobs["completed"] + jobs["in_flight"] + sum(jobs["lost"].values()) > 0
    assert not [line for line in summary["warnings"] if "balance" in line or "journal" in line]
    assert Family.nurseries() == []


@pytest.mark.live
@pytest.mark.slow
def test_ctrl_c_stops_all_cleanly_and_keeps_what_was_measured(tmp_path: Path) -> None:
    meddling = Meddling("interrupt")
    with pytest.raises(run.Interrupted) as interrupted:
        run.run(TOPOLOGY, options(duration=LONG, warmup=0.0), tmp_path / "run", meddling)
    summary = interrupted.value.summary
    assert not summary["valid"]
    assert any("interrupted" in line for line in summary["warnings"])
    jobs = summary["jobs"]
    assert jobs["offered"] == jobs["completed"] + jobs["in_flight"] + sum(jobs["lost"].values()) > 0
    assert not psutil.wait_procs(meddling.processes, timeout=PATIENCE_REAL_S)[1]


@contextmanager
def command(folder: Path, *more: str) -> "Iterator[subprocess.Popen[str]]":
    """``gmsr run`` in a process of its own, once all its agents are up; killed at the end if it lives."""
    file = folder / "topology.json"
    file.write_text(json.dumps(TOPOLOGY.to_dict()))
    line = [
        sys.executable,
        "-m",
        "gmsr",
        "run",
        str(file),
        "--duration",
        str(LONG),
        "--out",
        str(folder / "run"),
    ]
    with subprocess.Popen(
        [*line, *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as started:
        try:
            assert started.stderr is not None
            read_until(started.stderr, "all edges up")
            yield started
        finally:
            started.kill()


def family_of(launcher: "subprocess.Popen[str]") -> list[psutil.Process]:
    parent = psutil.Process(launcher.pid)
    found = [*Family.nurseries(parent), *Family.agents(parent)]
    assert len(found) == 6
    return found


def read_until(stream: IO[str], words: str) -> None:
    """Its end would come if the process died, so that this cannot hang."""
    lines = []
    for line in stream:
        lines.append(line)
        if words in line:
            return
    pytest.fail(f"the command ended without {words!r}: {lines}")


@pytest.mark.live
@pytest.mark.slow
def test_ctrl_c_at_the_command_line(tmp_path: Path) -> None:
    with command(tmp_path, "--json") as started:
        family = family_of(started)
        started.send_signal(signal.SIGINT)
        out, _ = started.communicate(timeout=PATIENCE_REAL_S)
    assert started.returncode == 130
    assert json.loads(out)["valid"] is False
    assert (tmp_path / "run" / "summary.json").exists()
    assert not psutil.wait_procs(family, timeout=PATIENCE_REAL_S)[1]


@pytest.mark.live
@pytest.mark.slow
def test_a_killed_launcher_leaves_no_orphan(tmp_path: Path) -> None:
    with command(tmp_path) as started:
        family = family_of(started)
        started.kill()
        started.communicate(timeout=PATIENCE_REAL_S)
    assert not psutil.wait_procs(family, timeout=PATIENCE_REAL_S)[1]


def test_a_folder_that_holds_anything_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"^--out: .* exists"):
        run.run(TOPOLOGY, options(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_bad_trace_leaves_no_folder_behind(tmp_path: Path) -> None:
    topology = TOPOLOGY._replace(arrivals=Arrivals("trace", str(tmp_path / "none.csv")))
    with pytest.raises(UserError, match=r"none\.csv"):
        run.run(topology, options(), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("plain", "refusal"),
    [
        ({"kind": "crash", "at": 1.5, "agent": "s1"}, "outside a run of 1.5 s"),
        ({"kind": "crash", "at": 1.0, "agent": "s9"}, "no agent is called 's9'"),
        ({"kind": "reorder", "at": 1.0, "agent": "s1", "share": 0.1}, "no connection reorders frames"),
        ({"kind": "kill-launcher", "at": 1.0}, "--survive"),
    ],
    ids=["late", "nobody", "reorder", "kill-launcher"],
)
def test_a_fault_that_cannot_be_is_refused_before_anything(
    plain: dict[str, object], refusal: str, tmp_path: Path
) -> None:
    topology = TOPOLOGY._replace(faults=(make(plain, TOPOLOGY.edges),))
    with pytest.raises(UserError, match=refusal):
        run.run(topology, options(), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_chaos_is_drawn_behind_the_schedule_and_fits() -> None:
    topology = TOPOLOGY._replace(faults=(make({"kind": "drain", "at": 0.1, "agent": "s1"}, TOPOLOGY.edges),))
    made, drawn = scheduled(topology, options(chaos=5), simulated=False)
    assert made.faults[0] == topology.faults[0]
    assert len(made.faults) == 1 + drawn > 1
    assert scheduled(topology, options(), simulated=False) == (topology, 0)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a/b", "a-b"),
        ("m:C:x=1,y=2", "m-C-x=1,y=2"),
        ("../x", "x"),
        ("two regions", "two-regions"),
        ("//", "run"),
    ],
)
def test_any_text_makes_a_file_name(text: str, name: str) -> None:
    assert file_name(text) == name


@pytest.mark.parametrize(
    ("status", "words", "told"),
    [
        (signal.SIGKILL, "", "server s1 was killed by SIGKILL"),
        (1 << 8, "Traceback\n  line\nOSError: disk full", "server s1 crashed: OSError: disk full"),
        (5 << 8, "", "server s1 crashed: exit status 5"),
    ],
)
def test_a_death_is_told_in_a_line(status: int, words: str, told: str) -> None:
    assert run._death({"id": "s1", "life": 1, "status": status, "words": words}, "server") == told
