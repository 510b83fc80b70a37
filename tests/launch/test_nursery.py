"""The nursery and its launcher's end: starts agents, passes words on, and nothing outlives its parent."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from msgpack import packb

from gmsr.launch.place.base import Event
from gmsr.launch.place.door import Operator
from gmsr.launch.place.local import Local
from gmsr.launch.place.nursery import LONGEST_HOME, home

pytestmark = [pytest.mark.live, pytest.mark.slow]

PATIENCE_REAL_S = 20.0
HEAVY = {"asyncio", "logging", "numpy", "click", "psutil", "dataclasses", "inspect", "argparse", "subprocess",
         "multiprocessing", "importlib.metadata", "gmsr.topology.files", "gmsr.launch.plan"}  # fmt: skip

LAUNCHER = """
import sys, json
from gmsr.launch.place.local import Local
specs, survive = json.loads(sys.argv[1]), sys.argv[2] == "survive"
place = Local(survive=survive, agent="nursery_agents:echo")
for spec in specs:
    spec.update(telemetry=f"{place.sockets}/nursery", control=f"{place.sockets}/{spec['id']}.ctl")
place.spawn(specs)
pids, ready = {}, set()
while len(ready) < len(specs):
    for event in place.events(1.0):
        if event["event"] == "spawned":
            pids[event["id"]] = event["pid"]
        elif event["event"] == "said":
            ready.add(event["message"]["id"])
print(json.dumps({"pids": pids, "sockets": place.sockets}), flush=True)
while True:
    place.events(60.0)
"""


class Crowd:
    """A local placement with tiny agents, and everything that it has reported."""

    def __init__(self, folder: Path, agent: str, survive: bool = False) -> None:
        self.folder = folder
        self.place = Local(survive=survive, agent=f"nursery_agents:{agent}")
        self.events: list[Event] = []

    def spec(self, name: str) -> dict[str, Any]:
        made = plain_spec(self.folder, name)
        made["telemetry"] = f"{self.place.sockets}/nursery"
        made["control"] = f"{self.place.sockets}/{name}.ctl"
        return made

    def start(self, *names: str) -> dict[str, psutil.Process]:
        """The new processes, those left out that have ended already."""
        self.place.spawn([self.spec(name) for name in names])
        processes = {}
        for name in names:
            pid = self.event("spawned", name)["pid"]
            with suppress(psutil.NoSuchProcess):
                processes[name] = psutil.Process(pid)
        return processes

    def event(self, kind: str, name: str) -> Event:
        return self.until(lambda event: bool(event["event"] == kind and event["id"] == name))

    def until(self, wanted: Callable[[Event], bool]) -> Event:
        """The first event so far, or to come, that is wanted."""
        deadline = time.monotonic() + PATIENCE_REAL_S
        seen = 0
        while time.monotonic() < deadline:
            for event in self.events[seen:]:
                if wanted(event):
                    return event
            seen = len(self.events)
            self.events += self.place.events(0.5)
        pytest.fail(f"it did not come; there were {self.events}")

    def heard(self, name: str, words: object) -> None:
        self.until(lambda event: event.get("message") == {"id": name, "say": words})


def plain_spec(folder: Path, name: str) -> dict[str, Any]:
    files = {"errors": "err", "statement": "json", "rows": "rows"}
    paths = {field: str(folder / f"{name}.{ending}") for field, ending in files.items()}
    return {"id": name, "life": 1, "pace": 1.0, **paths}


def gone(processes: list[psutil.Process]) -> bool:
    return not psutil.wait_procs(processes, timeout=PATIENCE_REAL_S)[1]


@contextmanager
def knock(testbed: Crowd) -> Iterator[Callable[[Any], dict[str, Any]]]:
    operator = Operator(testbed.place.sockets)
    yield operator.ask
    operator.close()


@pytest.fixture
def crowd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Crowd]]:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
    made: list[Crowd] = []

    def make(agent: str, survive: bool = False) -> Crowd:
        made.append(Crowd(tmp_path, agent, survive))
        return made[-1]

    yield make
    for each in made:
        each.place.close()
        assert not Path(each.place.sockets).exists()


def test_agents_start_hear_answer_and_end(crowd: Callable[..., Crowd]) -> None:
    testbed = crowd("echo")
    names = [f"a{number}" for number in range(20)]
    processes = testbed.start(*names)
    for name in names:
        testbed.heard(name, "ready")
    testbed.place.tell({"tell": "start", "at_ns": 2**62})
    testbed.place.tell({"only": "you"}, to="a7")
    for name in names:
        testbed.heard(name, {"tell": "start", "at_ns": 2**62})
    testbed.heard("a7", {"only": "you"})
    testbed.place.tell({"tell": "stop"})
    for name in names:
        ended = testbed.event("exited", name)
        assert (ended["status"], ended["pid"]) == (0, processes[name].pid)
    assert sum(event.get("message") == {"id": "a3", "say": {"only": "you"}} for event in testbed.events) == 0


def test_the_folder_of_sockets_is_the_users_alone(crowd: Callable[..., Crowd]) -> None:
    assert Path(crowd("echo").place.sockets).stat().st_mode & 0o777 == 0o700


def test_a_crash_is_reported_and_its_traceback_kept(crowd: Callable[..., Crowd], tmp_path: Path) -> None:
    testbed = crowd("crash")
    testbed.start("a")
    status = testbed.event("exited", "a")["status"]
    assert os.waitstatus_to_exitcode(status) == 1
    assert (tmp_path / "a.err").read_text().splitlines()[-1] == "LookupError: 'no sense in a'".replace(
        "'", ""
    )


def test_a_signal_reaches_the_one_agent(crowd: Callable[..., Crowd]) -> None:
    testbed = crowd("echo")
    testbed.start("a", "b")
    testbed.heard("a", "ready")  # before that a child may still take signals as the nursery does
    testbed.heard("b", "ready")
    testbed.place.signal("a", signal.SIGTERM)
    assert os.WTERMSIG(testbed.event("exited", "a")["status"]) == signal.SIGTERM
    testbed.place.tell({"still": "there"})
    testbed.heard("b", {"still": "there"})


def test_a_child_has_nothing_of_the_nursery(crowd: Callable[..., Crowd], tmp_path: Path) -> None:
    testbed = crowd("describe")
    testbed.start("a")
    testbed.event("exited", "a")
    found = json.loads((tmp_path / "a.json").read_text())
    opened = {number: target for number, target in found["descriptors"].items() if target}
    assert opened == {"0": "/dev/null", "1": "/dev/null", "2": str(tmp_path / "a.err")}
    assert not HEAVY & set(found["modules"])
    assert found["interrupt_ignored"]
    assert found["terminate_default"]
    assert found["session"] != os.getsid(0), "a terminal's Ctrl-C would reach agents"


def test_closing_ends_agents_that_are_stuck(crowd: Callable[..., Crowd]) -> None:
    testbed = crowd("echo")
    processes = testbed.start("a", "b")
    testbed.heard("a", "ready")
    processes["a"].suspend()  # SIGTERM waits until it goes on: only SIGKILL ends it
    testbed.place.close()
    assert gone([*processes.values()])


def test_agents_die_with_the_nursery(crowd: Callable[..., Crowd]) -> None:
    testbed = crowd("echo")
    processes = testbed.start("a", "b")
    testbed.heard("b", "ready")
    nursery = processes["a"].parent()
    assert nursery is not None
    nursery.kill()
    assert gone([*processes.values()])
    testbed.until(lambda event: event["event"] == "lost")


def test_a_killed_agent_lives_again_and_an_ended_one_does_not(
    crowd: Callable[..., Crowd], tmp_path: Path
) -> None:
    testbed = crowd("echo")
    testbed.place.tell({"tell": "start", "at_ns": time.monotonic_ns()})
    testbed.start("a", "b")
    testbed.heard("a", "ready")
    testbed.heard("b", "ready")  # who is not is told nothing
    testbed.place.signal("a", signal.SIGKILL)
    died = testbed.event("exited", "a")
    assert (os.WTERMSIG(died["status"]), died["life"], died["asked"]) == (signal.SIGKILL, 1, True)
    assert not Path(f"{testbed.place.sockets}/a.ctl").exists(), "its next life could not listen there"
    order = {"tell": "slow", "factor": 0.5}
    testbed.place.restart("a", [order])
    testbed.until(lambda event: event["event"] == "spawned" and event["id"] == "a" and event["life"] == 2)
    testbed.until(lambda event: event.get("message") == {"id": "a", "say": [order]})
    assert (tmp_path / "a@2.err").exists()
    testbed.place.tell({"tell": "stop"})
    testbed.event("exited", "b")
    with knock(testbed) as ask:
        assert ask({"do": "restart", "id": "b", "orders": []}) == {"error": "b has not died"}


def test_operators_command_and_are_answered(crowd: Callable[..., Crowd]) -> None:
    testbed = crowd("echo")
    processes = testbed.start("a", "b")
    testbed.heard("b", "ready")
    with knock(testbed) as ask, knock(testbed) as also:
        listed = ask({"do": "list"})
        assert listed["agents"] == {name: {"pid": processes[name].pid, "life": 1} for name in ("a", "b")}
        assert listed["launcher"]
        assert also({"do": "tell", "to": "b", "message": {"from": "operator"}}) == {}
        testbed.heard("b", {"from": "operator"})
        assert "no such command" in ask({"do": "dance"})["error"]
        assert ask(["not", "a", "map"])["error"]
        assert ask({"do": "signal", "id": "c", "signal": 9}) == {"error": "c is not running"}
        assert ask({"do": "signal", "id": "a", "signal": signal.SIGKILL}) == {"life": 1}
        testbed.event("exited", "a")
        assert list(also({"do": "list"})["agents"]) == ["b"]


def test_a_deaf_nursery_harms_nobody(crowd: Callable[..., Crowd]) -> None:
    testbed = crowd("echo")
    testbed.start("a")
    testbed.heard("a", "ready")
    testbed.place.deafen()
    with knock(testbed) as ask:
        assert list(ask({"do": "list"})["agents"]) == ["a"]


def test_without_a_launcher_it_ends_when_it_was_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
    specs = json.dumps([plain_spec(tmp_path, "a")])
    launcher = subprocess.Popen([sys.executable, "-c", LAUNCHER, specs, "survive"], stdout=subprocess.PIPE)
    assert launcher.stdout is not None
    with launcher, launcher.stdout:
        found = json.loads(launcher.stdout.readline())
        agent = psutil.Process(found["pids"]["a"])
        nursery = agent.parent()
        assert nursery is not None
        operator = Operator(found["sockets"])
        launcher.kill()
    agent.suspend()  # it would never end
    assert operator.ask({"do": "end_by", "at_ns": time.monotonic_ns() + 10**8}) == {}
    operator.close()
    assert gone([agent, nursery])
    assert not Path(found["sockets"]).exists()


@pytest.mark.parametrize("survive", [False, True], ids=["", "survive"])
def test_what_is_left_when_the_launcher_is_killed(
    survive: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
    names = ["a", "b", "c"]
    specs = json.dumps([plain_spec(tmp_path, name) for name in names])
    launcher = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, specs, "survive" if survive else ""], stdout=subprocess.PIPE
    )
    assert launcher.stdout is not None
    with launcher, launcher.stdout:
        found = json.loads(launcher.stdout.readline())
        agents = [psutil.Process(pid) for pid in found["pids"].values()]
        nursery = agents[0].parent()
        assert nursery is not None
        launcher.kill()
    if survive:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            for name in names:
                channel.sendto(packb({"tell": "stop"}), f"{found['sockets']}/{name}.ctl")
    assert gone([*agents, nursery])
    assert not Path(found["sockets"]).exists()
    finished = [(tmp_path / f"{name}.json").exists() for name in names]
    assert finished == [survive] * len(names)


def test_an_interrupted_start_leaves_no_nursery(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_self: Local, _timeout_real_s: float) -> None:
        raise KeyboardInterrupt

    before = set(psutil.Process().children())
    monkeypatch.setattr(Local, "events", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Local(agent="nursery_agents:echo")
    assert set(psutil.Process().children()) <= before


def test_sockets_go_where_their_names_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("x" * LONGEST_HOME)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "is" / "not"))
    assert home() == "/tmp"
