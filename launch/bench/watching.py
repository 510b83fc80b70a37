"""``gmsr bench watching``: what agents pay for being watched, in one benchmark: nothing, or it would not be a testbed.

The fleet of ``bench throughput`` at one rate, in pairs of runs: alone, and with the full view drawn to a terminal that
nobody sees and a page that is asked for news every second, as a browser does. Both burden the machine; the agents' own
CPU a job says what it costs them. Which of a pair comes first alternates.
"""

import json
import statistics
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .. import plan
from ..run import run
from ..show.progress import Progress
from ..watch.scene import Aim, first_aim
from ..watch.serving import Site
from ..watch.source import Live
from ..watch.terminal import LiveView
from .fleet import fleet

RATE = 1000.0
RUN_S, WARMUP_S = 20.0, 4.0
ASKED_EVERY_REAL_S = 1.0


class Unseen(LiveView):
    """Draws as on a terminal of 120 × 50."""

    def __init__(self, run_dir: Path, first: Aim) -> None:
        super().__init__(run_dir, first)
        self._terminal = True

    def _console(self) -> Any:
        from rich.console import Console

        return Console(file=Path("/dev/null").open("w"), force_terminal=True, width=120, height=50)


def measure(repeats: int) -> dict[str, Any]:
    """All pairs."""
    pairs = []
    for number in range(repeats):
        order = (False, True) if number % 2 else (True, False)
        found = {watched: _once(watched) for watched in order}
        pairs.append({"alone": found[False], "watched": found[True]})
    ratios = [each["alone"]["cpu_us_per_job"] / each["watched"]["cpu_us_per_job"] for each in pairs]
    return {"rate": RATE, "pairs": pairs, "ratio": statistics.median(ratios)}


def text(found: dict[str, Any]) -> str:
    """A line for each pair, and the median."""
    lines = [
        f"{each['alone']['cpu_us_per_job']:.1f} µs of the agents' CPU a job alone, "
        f"{each['watched']['cpu_us_per_job']:.1f} watched; {each['alone']['jobs_per_s']:.0f} and "
        f"{each['watched']['jobs_per_s']:.0f} jobs/s; {each['watched']['frames']} frames"
        for each in found["pairs"]
    ]
    return "\n".join(
        [*lines, f"ratio {found['ratio']:.3f} (median of {len(lines)} pairs at {found['rate']:g} jobs/s)"]
    )


def _once(watched: bool) -> dict[str, Any]:
    topology = fleet(RATE)
    options = plan.options(topology, policy="gmsr", duration=RUN_S, warmup=WARMUP_S)
    with tempfile.TemporaryDirectory(prefix="gmsr-bench-") as folder:
        run_dir = Path(folder) / "run"
        if not watched:
            summary, frames = run(topology, options, run_dir, Progress(label="alone")), 0
        else:
            best = first_aim(topology)
            view = Unseen(run_dir, best)
            with _reader(run_dir, best) as heard:
                summary = run(topology, options, run_dir, view, heard=view.heard)
            frames = heard[0]
    cpu = sum(summary["fidelity"]["cpu"].values())
    jobs_per_s = summary["jobs"]["completed"] / RUN_S
    return {
        "cpu_us_per_job": 1e6 * cpu / RATE,
        "jobs_per_s": jobs_per_s,
        "valid": summary["valid"],
        "frames": frames,
    }


@contextmanager
def _reader(run_dir: Path, best: Aim) -> Iterator[list[int]]:
    """Asks for news as a page does; yields how many frames have come."""
    site, over, frames = Site(Live(run_dir, (best,)), {}), threading.Event(), [0]

    def read() -> None:
        last = 0
        while not over.wait(ASKED_EVERY_REAL_S):
            with urllib.request.urlopen(f"{site.address}news?after={last}", timeout=10) as answer:
                news = json.load(answer)["frames"]
            frames[0] += len(news)
            last = news[-1]["number"] if news else last

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield frames
    finally:
        over.set()
        thread.join()
        site.close()
