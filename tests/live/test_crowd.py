"""Many agents: all come up, none is heavy, and none is left."""

import os
from pathlib import Path

import psutil
import pytest

from gmsr.launch.bench.crowd import crowd
from gmsr.launch.plan import Options
from gmsr.launch.run import run
from gmsr.launch.show.progress import Progress

from .ours import ours

pytestmark = [pytest.mark.live, pytest.mark.slow]

LARGEST_PRIVATE_MB = 6.0


class Weighing(Progress):
    """Reads all agents' private memory once, in the middle of the run."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.pids: list[int] = []
        self.megabytes: list[float] = []

    def running(self, now: float, duration: float, *_: object) -> None:
        if not self.megabytes and now > 0.5 * duration:
            agents = [each for each in ours() if each.ppid() != os.getpid()]
            self.pids = [agent.pid for agent in agents]
            self.megabytes = [agent.memory_full_info().uss / 1e6 for agent in agents]


def test_a_hundred_agents_come_up_light_and_leave_nothing(tmp_path: Path) -> None:
    weighing = Weighing()
    summary = run(crowd(50, 50, 10), Options(duration=6.0, warmup=1.0), tmp_path / "run", weighing)
    assert summary["valid"], summary["warnings"]
    assert len(weighing.megabytes) == 100
    assert max(weighing.megabytes) < LARGEST_PRIVATE_MB
    assert not [pid for pid in weighing.pids if psutil.pid_exists(pid)]
    assert not ours()
