"""The full view of a terminal, as rich's recording console has it, and what is left of it elsewhere."""

import io
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from rich.console import Console

from gmsr.broker.wire import KINDS
from gmsr.launch.faults.diary import line
from gmsr.launch.record.folder import tell
from gmsr.launch.watch.scene import Aim, Scene
from gmsr.launch.watch.terminal import LiveView, view
from gmsr.topology.faults import make

AIM = Aim(0.0, 6.0, 0.5)


def statuses(scene_or_view: Any, run_dir: Path, until: int = 10) -> None:
    """Ten jobs a second at each dispatcher, to its servers in turn; all servers hold three."""
    folder = Scene(run_dir, [AIM]).folder
    for t in range(until + 1):
        for agent in folder.of("dispatcher"):
            sent = [10 * t // len(agent.peers)] * len(agent.peers)
            counts = {"offered": 10 * t, "completed": 10 * t, "in_flight": 3, "lost": 0, "late": 0.0}
            more = {"latency": 6.0 * t, "sent": sent, "said": [t] * KINDS}
            scene_or_view.heard({"id": agent.id, "t": float(t), **counts, **more})
        for agent in folder.of("server"):
            counts = {"arrived": 5 * t + 3, "departed": 5 * t, "held": 3, "late": 0.0}
            more = {"rate": 2.0, "marginal": 0.25, "said": [t] * KINDS}
            scene_or_view.heard({"id": agent.id, "t": float(t), **counts, **more})


def drawn(scene: Scene, now: float, width: int = 110, height: int = 40) -> str:
    console = Console(record=True, width=width, height=height, file=io.StringIO(), force_terminal=True)
    console.print(view(scene, scene.meter.frame(now), width, height))
    return console.export_text()


def test_everything_is_on_the_screen(begun: Path) -> None:
    scene = Scene(begun, [AIM])
    statuses(scene.meter, begun)
    text = drawn(scene, 10.0)
    for words in (
        "10 of 60 s, 50 s left",
        "gmsr",
        "optimum 0.5 s",
        "1.200 × the optimum",
        "0.6 s now",
        "optimum 6",
    ):
        assert words in text
    for agent in scene.folder.agents:
        assert f"\n{agent.id} " in text or f" {agent.id} " in text
    assert "job" in text
    assert "lateness" in text
    scene.close()


def test_faults_are_told_as_they_come(begun: Path) -> None:
    scene = Scene(begun, [AIM])
    statuses(scene.meter, begun)
    fault = make({"kind": "surge", "at": 5.0, "dispatcher": "d1", "factor": 2.0}, scene.folder.topology.edges)
    assert "5.0 s" not in drawn(scene, 10.0)
    tell(begun, line(fault, True, 5.0, 0, "hand"))
    scene._asked = SimpleQueue()  # nobody takes what is asked here: what is optimal then is theory's
    assert scene.look(10.0)
    assert not scene.look(10.0)
    text = drawn(scene, 10.0)
    assert "5.0 s" in text
    assert ", now" in text
    tell(begun, line(fault, False, 8.0, 0, "hand"))
    assert scene.look(10.0)
    assert "until 8.0 s" in drawn(scene, 10.0)


@pytest.mark.parametrize(("width", "height"), [(60, 24), (80, 24), (110, 16), (200, 50)])
def test_it_fits_the_terminal(begun: Path, width: int, height: int) -> None:
    scene = Scene(begun, [AIM])
    statuses(scene.meter, begun)
    lines = drawn(scene, 10.0, width, height).splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) <= height
    assert any("more" in each for each in lines) == (height < 30)
    scene.close()


def test_without_a_terminal_lines_say_more(begun: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = LiveView(begun, AIM)
    statuses(shown, begun)
    totals = {"offered": 200, "completed": 190, "in_flight": 10}
    for now in range(61):
        shown.running(float(now), 60.0, 1.0, totals)
    shown.done()
    told = capsys.readouterr()
    assert told.out == ""
    lines = told.err.splitlines()
    assert len(lines) == 20
    assert lines[-1].startswith(
        "100%  60 of 60 s, 0 s left; jobs: 200 offered, 190 completed, 10 in flight; "
    )
    assert "optimum 0.5 s" in lines[0]
    assert "\033" not in told.err
