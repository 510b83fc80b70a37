"""``gmsr bench startup``: how long many agents take to be ready, and what memory each costs."""

import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from gmsr.topology.generate import generate
from gmsr.topology.graph import Topology

from .. import plan
from ..record.text import table
from ..run import run
from ..show.progress import Progress

SIZES = ((100, 100, 10), (500, 500, 10))
"""Dispatchers, servers, degree."""
RUN_S = 4.0
RATE = 0.2
"""Jobs per second of one dispatcher: it is the start that is measured."""
SAMPLE_S = 0.5


def crowd(dispatchers: int, servers: int, degree: int) -> Topology:
    """A random graph of quick servers under next to no load."""
    made = generate("random", dispatchers, servers, degree, 1, "equal", "hyperbolic", 2.0)
    return made._replace(dispatchers=tuple(each._replace(rate=RATE) for each in made.dispatchers))


def measure() -> list[dict[str, Any]]:
    """A row for each size."""
    rows = []
    for size in SIZES:
        topology = crowd(*size)
        watch = _Watch(size[0] + size[1])
        with tempfile.TemporaryDirectory(prefix="gmsr-bench-") as folder, watch:
            options = plan.Options("gmsr", "every-change", RUN_S, 1.0)
            summary = run(topology, options, Path(folder) / "run", Progress(label=f"{size[0]} × {size[1]}"))
        rows.append(
            {
                "agents": size[0] + size[1],
                "edges": len(topology.edges),
                "ready_s": summary["ready_real_s"],
                "private_mb_mean": watch.mean,
                "private_mb_max": watch.largest,
                "valid": summary["valid"],
            }
        )
    return rows


def text(rows: list[dict[str, Any]]) -> str:
    """A table."""
    shown = [
        [
            str(row["agents"]), str(row["edges"]), f"{row['ready_s']:.1f}",
            f"{row['private_mb_mean']:.2f}", f"{row['private_mb_max']:.2f}",
        ]
        for row in rows
    ]  # fmt: skip
    return "\n".join(table(["agents", "edges", "ready after s", "private MB each", "largest"], shown))


class _Watch:
    """Reads the agents' private memory (unique set size) once all of them live, while the run goes on."""

    def __init__(self, agents: int) -> None:
        self._agents = agents
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.mean = self.largest = float("nan")

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(SAMPLE_S):
            children = [
                grandchild for child in psutil.Process().children() for grandchild in child.children()
            ]
            if len(children) < self._agents:
                continue
            time.sleep(1.0)  # the edges are coming up; the last reading counts
            sizes = []
            for process in children:
                try:
                    sizes.append(process.memory_full_info().uss / 1e6)
                except psutil.Error:
                    return  # the run is ending
            self.mean, self.largest = sum(sizes) / len(sizes), max(sizes)
