"""Every kind of fault on real processes: the run goes on, ends by itself, its account balances, the effect shows."""

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from gmsr.launch import plan
from gmsr.launch.faults.diary import episodes
from gmsr.launch.record.folder import happenings, open_run
from gmsr.launch.record.summary import summarise
from gmsr.launch.run import run
from gmsr.topology import curves
from gmsr.topology.faults import make
from gmsr.topology.graph import Dispatcher, Edge, RunDefaults, Server, Topology

from .ours import ours

pytestmark = [pytest.mark.live, pytest.mark.slow]

PATIENCE_REAL_S = 30.0
AT, UNTIL, DURATION = 1.0, 1.8, 3.0
CURVE = curves.make({"kind": "hyperbolic", "a": 400.0, "b": 2.0})
TOPOLOGY = Topology(
    "two by three",
    (Dispatcher("d1", 150.0), Dispatcher("d2", 150.0)),
    (Server("s1", CURVE), Server("s2", CURVE), Server("s3", CURVE)),
    tuple(Edge(dispatcher, server) for dispatcher in ("d1", "d2") for server in ("s1", "s2", "s3")),
    run=RunDefaults(duration=DURATION, warmup=0.5),
)


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home for sockets of our own; in the end nothing is in it, and no process is left."""
    with tempfile.TemporaryDirectory(prefix="g", dir="/tmp") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)
        until(lambda: not list(Path(folder).iterdir()), "the folder of sockets is gone")
    assert not ours()


class Played:
    """A run that is over, and what can be asked of it."""

    def __init__(self, run_dir: Path, summary: dict[str, Any]) -> None:
        self.run_dir = run_dir
        self.summary = summary
        assert summary["valid"], summary["warnings"]
        jobs = summary["jobs"]
        self.lost: dict[str, int] = jobs["lost"]
        assert jobs["offered"] == jobs["completed"] + jobs["in_flight"] + sum(self.lost.values()) > 0

    @property
    def fault(self) -> dict[str, Any]:
        found: dict[str, Any] = self.summary["faults"][0]
        return found

    @property
    def jobs(self) -> pd.DataFrame:
        return pd.read_parquet(self.run_dir / "jobs.parquet")

    def statement(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.run_dir / "agents" / f"{name}.json").read_text())
        return found

    def beliefs(self, dispatcher: str, server: str) -> list[str]:
        return [what for _, what, about in self.statement(dispatcher)["events"] if about == server]

    def events(self) -> list[tuple[str, list[str]]]:
        return [(each.event, each.agents) for each in happenings(self.run_dir)]


LONG = {"duration": 6.0}
SILENT_S = 2.0
"""Longer than a dispatcher waits before it suspects."""


def play(tmp_path: Path, *entries: dict[str, Any], **chosen: Any) -> Played:
    faults = tuple(make({"at": AT, **entry}, TOPOLOGY.edges) for entry in entries)
    topology = TOPOLOGY._replace(faults=faults)
    return Played(tmp_path / "run", run(topology, plan.options(topology, **chosen), tmp_path / "run"))


def until(true: Any, what: str) -> None:
    deadline = time.monotonic() + PATIENCE_REAL_S
    while not true():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.02)


def test_a_server_is_killed_and_starts_again(tmp_path: Path) -> None:
    played = play(tmp_path, {"kind": "crash", "agent": "s1", "restart": 0.8})
    assert played.events() == [
        ("begin", ["s1"]),
        ("died", ["s1"]),
        ("end", ["s1"]),
        ("started", ["s1"]),
    ]
    assert 0.0 < played.fault["noticed"] < 0.5
    assert sum(played.fault["lost"].values()) == sum(played.lost.values())
    assert played.lost.keys() <= {"dead", "transit", "unroutable"}
    assert played.statement("s1@2")["departed"] > 0
    for dispatcher in ("d1", "d2"):
        assert "reborn" in played.beliefs(dispatcher, "s1")


def test_nothing_is_lost_with_a_server_if_jobs_are_sent_again(tmp_path: Path) -> None:
    played = play(tmp_path, {"kind": "crash", "agent": "s1"}, again=True, **LONG)
    assert played.lost == {}
    assert played.summary["resent"] >= played.fault["resent"] > 0
    assert played.fault["until"] is None
    late = played.jobs[played.jobs["arrival"] > AT + 1.5]
    assert not (late["server"] == "s1").any()


def test_a_dispatcher_is_killed_and_starts_again(tmp_path: Path) -> None:
    played = play(tmp_path, {"kind": "crash", "agent": "d1", "restart": 0.8})
    assert played.lost.keys() <= {"dispatcher", "nobody"}
    again = played.statement("d1@2")
    assert again["completed"] > 0
    assert again["closed_door"] > 0
    own = played.jobs[played.jobs["dispatcher"] == "d1"]
    assert not own["arrival"].between(AT + 0.1, AT + 0.8).any()


@pytest.mark.parametrize("agent", ["s1", "d1"])
def test_an_agent_is_frozen_and_goes_on(agent: str, tmp_path: Path) -> None:
    played = play(tmp_path, {"kind": "freeze", "agent": agent, "for": SILENT_S}, **LONG)
    assert played.lost == {}
    jobs = played.jobs
    own = jobs[(jobs["server"] == agent) | (jobs["dispatcher"] == agent)]
    assert own["latency"].max() > 0.5 * SILENT_S
    if agent == "s1":
        assert 1.0 < played.fault["noticed"] < SILENT_S
        assert played.beliefs("d1", "s1")[:2] == ["suspect", "back"]
    assert played.summary["fidelity"]["lateness"]["max"] < 0.9 * SILENT_S, "that was no lack of cores"


def test_a_slow_server_gets_less(tmp_path: Path) -> None:
    played = play(tmp_path, {"kind": "slow", "server": "s1", "factor": 0.2, "for": 1.5})
    jobs = played.jobs
    before, meanwhile = (jobs[jobs["arrival"].between(*span)] for span in ((0.2, AT), (AT + 0.2, AT + 1.5)))
    assert (meanwhile["server"] == "s1").mean() < 0.5 * (before["server"] == "s1").mean()
    assert played.lost == {}


@pytest.mark.parametrize(
    "where",
    [{"edge": ["d1", "s1"]}, {"agent": "s1"}, {"group": ["d1", "s1"]}],
    ids=["edge", "agent", "group"],
)
def test_an_edge_is_cut_and_mended(where: dict[str, Any], tmp_path: Path) -> None:
    played = play(tmp_path, {"kind": "cut", **where, "for": SILENT_S}, **LONG)
    assert 1.0 < played.fault["noticed"] < 2.5
    assert played.fault["lost"] == played.lost
    assert played.lost.keys() == {"transit"}
    late = played.jobs[played.jobs["arrival"] > AT + SILENT_S + 0.7]
    assert {"s1", "s2", "s3"} == set(late[late["dispatcher"] == "d1"]["server"]), "all are back"


def test_a_delay_is_there_both_ways_and_ends(tmp_path: Path) -> None:
    played = play(tmp_path, {"kind": "delay", "edge": ["d1", "s1"], "seconds": 0.1, "for": UNTIL - AT})
    assert played.lost == {}
    jobs = played.jobs
    own = jobs[(jobs["dispatcher"] == "d1") & (jobs["server"] == "s1")]
    meanwhile = own[own["arrival"].between(AT + 0.1, UNTIL - 0.3)]
    assert len(meanwhile)
    assert meanwhile["latency"].min() >= 0.2
    assert own[own["arrival"] > UNTIL + 0.2]["latency"].min() < 0.1


@pytest.mark.parametrize("again", [False, True], ids=["at most once", "at least once"])
def test_frames_are_lost(again: bool, tmp_path: Path) -> None:
    fault = {"kind": "loss", "agent": "s1", "share": 0.2, "for": UNTIL - AT}
    played = play(tmp_path, fault, again=again)
    assert played.lost.keys() == (set() if again else {"transit"})
    assert bool(played.fault["resent"]) == again
    assert sum(sum(kinds.values()) for kinds in _frames(played, "lost")) > 0


def test_frames_come_twice(tmp_path: Path) -> None:
    played = play(tmp_path, {"kind": "duplicate", "agent": "s1", "share": 0.5, "for": UNTIL - AT})
    assert played.lost == {}
    assert sum(sum(kinds.values()) for kinds in _frames(played, "stale")) > 0


def _frames(played: Played, what: str) -> list[dict[str, int]]:
    agents = json.loads((played.run_dir / "messages.json").read_text())["agents"]
    return [
        {kind: count for kind, (count, _) in kinds.items()}
        for census in agents.values()
        for kinds in census[what].values()
    ]


def test_a_surge_brings_more_and_ends(tmp_path: Path) -> None:
    played = play(tmp_path, {"kind": "surge", "dispatcher": "d1", "factor": 4.0, "for": 1.0})
    arrivals = played.jobs[played.jobs["dispatcher"] == "d1"]["arrival"]
    counts = [arrivals.between(begin, begin + 1.0).sum() for begin in (0.0, 1.0, 2.0)]
    assert counts[1] > 2.5 * max(counts[0], counts[2])


def test_a_server_drains(tmp_path: Path) -> None:
    played = play(tmp_path, {"kind": "drain", "agent": "s1"})
    assert played.lost == {}
    assert 0.0 <= played.fault["noticed"] < 0.5
    assert not (played.jobs[played.jobs["sent"] > AT + 0.5]["server"] == "s1").any()
    assert played.statement("s1")["wall_real_s"] < played.statement("s2")["wall_real_s"] - 0.5


def test_a_dispatcher_drains(tmp_path: Path) -> None:
    played = play(tmp_path, {"kind": "drain", "agent": "d1"})
    assert played.lost == {}
    assert played.jobs[played.jobs["dispatcher"] == "d1"]["arrival"].max() < AT + 0.1


@pytest.mark.parametrize("agent", ["s1", "d1", "s3"])
def test_an_agent_joins(agent: str, tmp_path: Path) -> None:
    played = play(
        tmp_path,
        {"kind": "join", "agent": agent},
        {"kind": "crash", "at": 2.0, "agent": "s2", "restart": 0.3},
    )
    own = played.jobs[(played.jobs["server"] == agent) | (played.jobs["dispatcher"] == agent)]
    own = own[own["state"] == "completed"]
    assert own["arrival"].min() >= AT
    assert len(own) > 20
    assert (own[own["arrival"] > 2.5]["server"] == "s2").any() or agent != "d1", "it is met again"


def test_nobody_needs_the_telemetry(tmp_path: Path) -> None:
    played = play(tmp_path, {"kind": "kill-telemetry"})
    assert played.lost == {}
    assert played.statement("s1")["departed"] > 0


def test_restarted_agents_are_told_again_what_lasts(tmp_path: Path) -> None:
    played = play(
        tmp_path,
        {"kind": "delay", "edge": ["d1", "s1"], "seconds": 0.1},
        {"kind": "crash", "at": 1.2, "agent": "s1", "restart": 0.2},
    )
    jobs = played.jobs
    own = jobs[(jobs["dispatcher"] == "d1") & (jobs["server"] == "s1") & jobs["arrival"].between(2.0, 2.8)]
    own = own[own["state"] == "completed"]
    assert own["latency"].min() >= 0.2


def hear_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def launched(tmp_path: Path, *more: str) -> "Iterator[subprocess.Popen[bytes]]":
    """``gmsr run`` in a process of its own, once its run has begun; it hears Ctrl-C wherever we were started."""
    file = tmp_path / "topology.json"
    file.write_text(json.dumps(TOPOLOGY.to_dict()))
    line = [sys.executable, "-m", "gmsr", "run", str(file), "--out", str(tmp_path / "run"), *more]
    with subprocess.Popen(
        line,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=hear_interrupts,  # noqa: PLW1509  # we have no threads
    ) as started:
        try:
            control = tmp_path / "run" / "control.json"
            until(lambda: control.exists() or started.poll() is not None, "it has begun")
            yield started
        finally:
            started.kill()


def gmsr(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "gmsr", *words],
        capture_output=True,
        text=True,
        timeout=PATIENCE_REAL_S,
        check=False,
    )


def test_agents_survive_their_launcher(tmp_path: Path, home: Path) -> None:
    faults = tmp_path / "faults.json"
    faults.write_text(json.dumps({"faults": [{"kind": "kill-launcher", "at": 0.5}]}))
    with launched(tmp_path, "--faults", str(faults), "--survive") as started:
        assert started.wait(PATIENCE_REAL_S) == -signal.SIGKILL
        found = json.loads(gmsr("ps", "--json").stdout)["testbeds"]
        assert [(each["run_dir"], each["launched"]) for each in found] == [(str(tmp_path / "run"), False)]
        killed = gmsr("inject", str(tmp_path / "run"), "crash", "s1", "--restart", "0.3")
        assert killed.returncode == 0, killed.stderr
    until(lambda: not list(home.iterdir()), "the nursery has ended")
    played = Played(tmp_path / "run", summarise(tmp_path / "run"))
    assert played.events()[1:] == [("begin", ["s1"]), ("died", ["s1"]), ("end", ["s1"]), ("started", ["s1"])]
    assert played.statement("s1@2")["departed"] > 0


def test_kill_launcher_needs_survive(tmp_path: Path) -> None:
    faults = tmp_path / "faults.json"
    faults.write_text(json.dumps({"faults": [{"kind": "kill-launcher", "at": 0.5}]}))
    (tmp_path / "topology.json").write_text(json.dumps(TOPOLOGY.to_dict()))
    refused = gmsr(
        "run", str(tmp_path / "topology.json"), "--faults", str(faults), "--out", str(tmp_path / "run")
    )
    assert refused.returncode == 2
    assert "--survive" in refused.stderr
    assert not (tmp_path / "run").exists()


def test_by_hand_from_another_process(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    fragment = tmp_path / "more.json"
    server = {"id": "s4", "curve": CURVE.describe()}
    fragment.write_text(json.dumps({"servers": [server], "edges": [["d1", "s4"]]}))
    with launched(tmp_path, "--duration", "14") as started:
        name = str(run_dir)
        for words, told in (
            (("inject", name, "crash", "nobody"), "no agent is called 'nobody'"),
            (("inject", name, "cut", "--edge", "s1,d1"), "there is no edge from 's1' to 'd1'"),
            (("inject", name, "cut"), "exactly one of --edge, --agent and --group"),
            (("inject", name, "slow", "s1", "--factor", "0"), "--factor: expected a number > 0"),
            (("inject", name, "surge", "s1", "--factor", "2"), "surge is for a dispatcher"),
            (("inject", name, "policy", "jsq"), "jsq reads jobs, and this run's reports carry marginal"),
            (("inject", name, "policy", "random", "s1"), "policy is for a dispatcher"),
            (("drain", name, "d9"), "no agent is called 'd9'"),
        ):
            refused = gmsr(*words)
            assert (refused.returncode, refused.stdout) == (2, "")
            assert refused.stderr.count("\n") == 1
            assert told in refused.stderr
        assert not (run_dir / "faults.jsonl").exists(), "nothing was done"
        assert gmsr("inject", name, "crash", "s1", "--restart", "0.3").returncode == 0
        made = gmsr("inject", name, "loss", "--agent", "s3", "--share", "0.5", "--for", "0.3", "--json")
        assert json.loads(made.stdout)["what"] == "loss s3 50 %"
        assert json.loads(gmsr("add", name, str(fragment), "--json").stdout) == {"joined": ["s4"]}
        assert gmsr("inject", name, "slow", "s1", "--factor", "0.5").returncode == 0
        assert (
            json.loads(gmsr("inject", name, "policy", "random", "d2", "--json").stdout)["policy"] == "random"
        )
        assert gmsr("drain", name, "s3").returncode == 0
        until(lambda: _state(name, "s3") == "dead", "s3 has ended")
        assert _state(name, "s4") == "alive"
        assert started.wait(PATIENCE_REAL_S) == 0
    played = Played(run_dir, json.loads((run_dir / "summary.json").read_text()))
    assert (played.jobs["server"] == "s4").sum() > 20
    kinds = [(each["kind"], each["by"]) for each in played.summary["faults"]]
    assert kinds == [(kind, "hand") for kind in ("crash", "loss", "slow", "policy", "drain")]
    found = episodes(happenings(run_dir), open_run(run_dir).topology.edges)
    assert found[2].until == pytest.approx(14.0, abs=0.3), "the run's end mends what no hand did"
    told = json.loads(gmsr("logs", name, "s1", "--json").stdout)["story"]
    assert [line["what"] for line in told if line["who"] in ("s1", "s1@2", "hand")] == [
        "begin: crash s1",
        "died (SIGKILL, by fault)",
        "end: crash s1",
        "began its next life",
        "begin: slow s1 ×0.5",
        "end: slow s1 ×0.5",
    ]
    when = played.summary["faults"][3]["at"]
    later = played.jobs[played.jobs["sent"] > when + 3.0]
    splits = later.groupby("dispatcher")["server"].value_counts(normalize=True)
    assert splits["d1", "s1"] < 0.4, "s1 is slow, as d1 sees"
    assert splits["d2", "s1"] == pytest.approx(0.5, abs=0.05), "d2 does not look at s1 and s2"
    late = gmsr("inject", name, "crash", "s1")
    assert (late.returncode, "the run has ended" in late.stderr) == (2, True)


def _state(name: str, agent: str) -> str:
    found = json.loads(gmsr("ps", "--json").stdout)["testbeds"]
    states = [each["agents"][agent]["state"] for each in found if each["run_dir"] == name]
    return str(states[0]) if states else "no testbed"


def test_ctrl_c_ends_a_fault_early_and_stop_ends_a_run(tmp_path: Path) -> None:
    name = str(tmp_path / "run")
    with launched(tmp_path, "--duration", "3600") as started:
        with subprocess.Popen(
            [sys.executable, "-m", "gmsr", "inject", name, "freeze", "s1", "--for", "3600"],
            stdout=subprocess.DEVNULL,
            preexec_fn=hear_interrupts,  # noqa: PLW1509
        ) as holding:
            until(lambda: _state(name, "s1") == "stopped", "s1 is frozen")
            holding.send_signal(signal.SIGINT)
            assert holding.wait(PATIENCE_REAL_S) == 130
        until(lambda: _state(name, "s1") == "alive", "s1 goes on")
        assert gmsr("stop", name).returncode == 0
        assert started.wait(PATIENCE_REAL_S) == 130
    assert [each.event for each in happenings(tmp_path / "run")] == ["begin", "end"]
