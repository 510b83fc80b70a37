"""``gmsr bench endurance`` and ``gmsr bench alarms``: long runs without faults.

Endurance: at a steady rate the private memory of every agent stays flat after the first minutes, and nothing is lost.
Alarms: at the highest rate that this machine carries no dispatcher ever suspects a server. What a machine carries for
some seconds it need not carry for long: where a piece falls behind, the next one is a rung lower, and so much longer
does it take.
"""

import tempfile
import threading
import time
from math import nan
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from gmsr.agents.journal import JOB_ROW, SEGMENT_ROWS
from gmsr.topology.errors import RunError

from .. import plan
from ..record.collect import collect
from ..record.folder import open_run
from ..record.text import table
from ..run import run
from ..show.progress import Progress
from .fleet import BEHIND_S, fleet, ladder

SAMPLE_S = 10.0
PIECE_S = 600.0
"""A run of ``alarms`` is made of pieces of so many seconds."""
SETTLED = 0.2
"""Share of a run after which memory must be flat."""
READINGS = (0.2, 0.4, 0.6, 0.8, 1.0)
"""Shares of a run at which memory is told."""
FLAT = 0.05
"""So much of it may come and go, beside a segment of the journal."""
SEGMENT_BYTES = SEGMENT_ROWS * JOB_ROW.size


def endurance(minutes: float, rate: float) -> dict[str, Any]:
    """Memory by agent at the settling point and at the end, and what was lost."""
    duration = 60.0 * minutes
    watch = _Watch()
    with tempfile.TemporaryDirectory(prefix="gmsr-bench-") as folder, watch:
        options = plan.Options(duration=duration, warmup=SETTLED * duration)
        summary = run(fleet(rate), options, Path(folder) / "run", Progress(label="endurance"))
    settled, last = watch.at(SETTLED * duration), watch.at(duration)
    growth = {agent: last[agent] - settled[agent] for agent in settled if agent in last}
    return {
        "minutes": minutes,
        "rate": rate,
        "valid": summary["valid"],
        "offered": summary["jobs"]["offered"],
        "lost": sum(summary["jobs"]["lost"].values()),
        "agents": len(growth),
        "private_mb": {
            f"{share:.0%}": median(watch.at(share * duration).values()) / 1e6 for share in READINGS
        },
        "largest_growth_mb": max(growth.values()) / 1e6,
        "flat": all(more <= FLAT * settled[agent] + SEGMENT_BYTES for agent, more in growth.items()),
    }


def alarms(minutes: float) -> dict[str, Any]:
    """Find the highest rate that is carried, then carry it for long, in pieces, and count suspicions."""
    rungs = [rung["rate"] for rung in ladder("") if rung["carried"]]
    pieces: list[dict[str, Any]] = []
    left_s = 60.0 * minutes
    while rungs and left_s > 0.0:
        pieces.append(_piece(rungs[-1], min(PIECE_S, left_s)))
        if pieces[-1]["carried"]:
            left_s -= pieces[-1]["seconds"]
        else:
            rungs.pop()
    carried = [each for each in pieces if each["carried"]]
    return {
        "minutes": sum(each["seconds"] for each in carried) / 60.0,
        "jobs": sum(each["jobs"] for each in carried),
        "alarms": sum(each["alarms"] for each in carried) if carried else None,
        "alarms_where_it_fell_behind": sum(each["alarms"] for each in pieces)
        - sum(each["alarms"] for each in carried),
        "pieces": pieces,
    }


def _piece(rate: float, duration: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="gmsr-bench-") as folder:
        path = Path(folder) / "run"
        options = plan.Options(duration=duration, warmup=min(10.0, duration / 10.0))
        try:
            summary = run(fleet(rate), options, path, Progress(label=f"{rate:g} jobs/s"))
        except RunError:  # so far behind that agents did not come to an end
            return {"rate": rate, "seconds": duration, "carried": False, "jobs": 0, "cores": nan, "late_ms_p99": nan,
                    "late_ms_max": nan, "alarms": 0}  # fmt: skip
        told = collect(open_run(path)).statements.values()
    events = [event for each in told for event in each.get("events", ())]
    late = summary["fidelity"]["lateness"]
    return {
        "rate": rate,
        "seconds": duration,
        "carried": summary["valid"] and late["p99"] < BEHIND_S,
        "jobs": summary["jobs"]["offered"],
        "cores": sum(summary["fidelity"]["cpu"].values()),
        "late_ms_p99": 1e3 * late["p99"],
        "late_ms_max": 1e3 * late["max"],
        "alarms": sum(what == "suspect" for _, what, _ in events),
    }


def alarms_text(found: dict[str, Any]) -> str:
    """A row a piece, and what they come to."""
    head = ["jobs/s", "seconds", "jobs", "cores", "late p99", "latest", "carried", "false alarms"]
    rows = [
        [
            f"{each['rate']:,.0f}",
            f"{each['seconds']:g}",
            f"{each['jobs']:,}",
            f"{each['cores']:.2f}",
            f"{each['late_ms_p99']:.1f} ms",
            f"{each['late_ms_max']:.0f} ms",
            "yes" if each["carried"] else "NO",
            str(each["alarms"]),
        ]
        for each in found["pieces"]
    ]
    total = f"{found['minutes']:g} minutes and {found['jobs']:,} jobs were carried: {found['alarms']} false alarms"
    return "\n".join([*table(head, rows), "", total])


def endurance_text(found: dict[str, Any]) -> str:
    """A figure a line."""
    return "\n".join(
        table(["", ""], [[key.replace("_", " "), _shown(value)] for key, value in found.items()])
    )


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


class _Watch:
    """Reads every agent's private memory (unique set size) now and then."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._readings: list[tuple[float, dict[int, float]]] = []
        self._began = time.monotonic()

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def at(self, seconds: float) -> dict[int, float]:
        """By process: the last reading by then, since the watch began."""
        return [sizes for elapsed, sizes in self._readings if elapsed <= seconds and len(sizes) > 1][-1]

    def _look(self) -> None:
        while not self._over.wait(SAMPLE_S):
            sizes = {}
            for child in psutil.Process().children(recursive=True):
                try:
                    sizes[child.pid] = float(child.memory_full_info().uss)
                except psutil.Error:
                    continue  # it is ending
            self._readings.append((time.monotonic() - self._began, sizes))
