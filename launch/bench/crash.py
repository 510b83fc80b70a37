"""``gmsr bench crash``: the main demo's fleet under load loses a server: when that is noticed, and what it costs."""

import tempfile
from pathlib import Path
from typing import Any

from gmsr.topology.faults import Fault
from gmsr.topology.files import load
from gmsr.topology.graph import Topology

from .. import plan
from ..demand import at_load
from ..packaged import path as example
from ..record.text import number, percent, table
from ..run import run
from ..show.progress import Progress

LOAD, SCALE, PACE = 0.6, 4.0, 1.0
DURATION, WARMUP, AT = 60.0, 10.0, 25.0
RESTART = 15.0
CASES = (
    ("h100-tp2", False, False),
    ("h100-tp2", False, True),
    ("h100-tp2", True, True),
    ("bloom-a100", False, True),
)
"""The server that carries most, and the one that carries least; sent again or lost; started again or not."""


def measure() -> list[dict[str, Any]]:
    """A row for each server, delivery, and whether it comes back. Times in emulated seconds, and real ones."""
    topology = at_load(load(example("llm-fleet")).topology, LOAD)
    return [
        _one(topology, server, again, AT + RESTART if restarted else float("inf"))
        for server, again, restarted in CASES
    ]


def _one(topology: Topology, server: str, again: bool, until: float) -> dict[str, Any]:
    faulty = topology._replace(faults=(Fault("crash", AT, until, (server,)),))
    options = plan.Options(duration=DURATION, warmup=WARMUP, scale=SCALE, pace=PACE, again=again)
    with tempfile.TemporaryDirectory(prefix="gmsr-bench-") as folder:
        summary = run(faulty, options, Path(folder) / "run", Progress(label=f"{server} dies"))
    (told,) = summary["faults"]
    offered = summary["jobs"]["offered"]
    return {
        "server": server,
        "delivery": "at-least-once" if again else "at-most-once",
        "restarted_after_s": until - AT if until < float("inf") else None,
        "noticed_real_s": told["noticed"] / PACE if told["noticed"] is not None else None,
        "lost": sum(summary["jobs"]["lost"].values()),
        "lost_share": sum(summary["jobs"]["lost"].values()) / offered,
        "resent": summary["resent"],
        "latency_s": told["latency"],
        "recovered_s": told["recovered"],
        "valid": summary["valid"],
    }


def text(rows: list[dict[str, Any]]) -> str:
    """A table."""
    shown = [
        [
            row["server"],
            row["delivery"],
            "never" if row["restarted_after_s"] is None else f"{row['restarted_after_s']:g} s",
            f"{number(row['noticed_real_s'], 2)} s",
            f"{row['lost']} ({percent(row['lost_share'])})",
            str(row["resent"]),
            f"{number(row['latency_s'], 3)} s",
            f"{number(row['recovered_s'], 2)} s",
            "yes" if row["valid"] else "NO",
        ]
        for row in rows
    ]
    head = [
        "server",
        "delivery",
        "started again",
        "noticed",
        "lost",
        "sent again",
        "latency meanwhile",
        "back within 5 %",
        "valid",
    ]
    return "\n".join(table(head, shown))
