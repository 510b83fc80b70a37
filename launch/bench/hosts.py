"""``gmsr bench hosts``: what crossing a network costs, and how fast many hosts start and are collected.

The yardstick of TCP with CURVE is ipc, in turns in one run, on the loopback device: jobs a second that 4 dispatchers
and 8 servers carry, CPU a job at the same rate, and the round trip of a job whose service takes no time. ``gmsr bench
throughput`` has the bare echo beside them.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

from gmsr.topology.curves import Hyperbolic, Multicore
from gmsr.topology.graph import Dispatcher, Edge, Server, Topology

from .. import plan
from ..placing import Wish, placing
from ..record.text import number, seconds, table
from ..run import run
from ..show.progress import Progress
from .fleet import RATES, median, testbed

AT_RATE = 5_000.0
"""Jobs a second at which CPU a job is compared: a rate that small machines carry."""
TRIP_RATE, TRIP_S, TRIP_WARMUP_S = 100.0, 12.0, 2.0
SERVICE_S = 1e-6
AGENTS = 60
CROWD_RATE, CROWD_LOAD = 5.0, 0.6


def measure(inventory: Path | None, minutes: float, repeats: int) -> dict[str, Any]:
    """Medians over ``repeats`` pairs; with an inventory also 60 agents on its hosts for so many real minutes."""
    kinds = ("ipc", "tcp")
    pairs = [
        {kind: {**testbed(AT_RATE, edges=kind), "trip_s": trip(kind)} for kind in kinds}
        for _ in range(repeats)
    ]
    found: dict[str, Any] = {
        kind: {
            "jobs_per_s": highest(kind),
            "cpu_us_per_job": median(
                cost for pair in pairs if (cost := pair[kind].get("cpu_us_per_job")) is not None
            ),
            "round_trip_s": median(pair[kind]["trip_s"] for pair in pairs),
        }
        for kind in kinds
    }
    return {**found, "hosts": crowd(inventory, minutes) if inventory else None}


def highest(edges: str) -> float:
    """The highest rate of the ladder that was carried; 0 if none was."""
    carried = 0.0
    for rate in RATES:
        if not testbed(rate, edges=edges)["carried"]:
            break
        carried = rate
    return carried


def trip(edges: str) -> float:
    """Median seconds from a job's arrival to its completion, where its service takes none."""
    server = Server("s1", Multicore(1.0 / SERVICE_S, 1.0))
    topology = Topology("trip", (Dispatcher("d1", TRIP_RATE),), (server,), (Edge("d1", "s1"),))
    options = plan.Options("gmsr", "", TRIP_S, TRIP_WARMUP_S, edges=edges)
    with tempfile.TemporaryDirectory(prefix="gmsr-bench-") as folder:
        return float(run(topology, options, Path(folder) / "run", Progress(label=edges))["latency"]["p50"])


def crowd(inventory: Path, minutes: float) -> dict[str, Any]:
    """60 agents spread over the hosts: until all are ready, and until all journals are home."""
    half = AGENTS // 2
    size = CROWD_RATE / CROWD_LOAD
    topology = Topology(
        "crowd",
        tuple(Dispatcher(f"d{number}", CROWD_RATE) for number in range(half)),
        tuple(Server(f"s{number}", Hyperbolic(2.0 * size, 2.0)) for number in range(half)),
        tuple(Edge(f"d{one}", f"s{(one + step) % half}") for one in range(half) for step in range(3)),
    )
    placed = placing(topology, Wish(hosts=inventory))
    options = plan.Options(duration=60.0 * minutes, warmup=6.0 * minutes)
    with tempfile.TemporaryDirectory(prefix="gmsr-bench-") as folder:
        summary = run(placed.topology, options, Path(folder) / "run", Progress(label="crowd"), placed.place)
        launch = json.loads((Path(folder) / "run" / "launch.json").read_text())
    return {
        "hosts": len(summary["hosts"]),
        "agents": AGENTS,
        "minutes": minutes,
        "jobs": summary["jobs"]["offered"],
        "valid": summary["valid"],
        "ready_real_s": summary["ready_real_s"],
        "collected_real_s": launch["collected_real_s"],
    }


def text(found: dict[str, Any]) -> str:
    """A table, and a line."""
    rows = [
        [
            kind,
            f"{found[kind]['jobs_per_s']:,.0f}",
            number(found[kind]["cpu_us_per_job"], 3),
            seconds(found[kind]["round_trip_s"]),
        ]
        for kind in ("ipc", "tcp")
    ]
    lines = table(["edges", "jobs/s", f"CPU µs a job at {AT_RATE:g}/s", "round trip"], rows)
    if crowd := found["hosts"]:
        lines += [
            "",
            f"{crowd['agents']} agents on {crowd['hosts']} hosts: ready after {crowd['ready_real_s']:.1f} s, journals "
            f"of {crowd['minutes']:g} minutes ({crowd['jobs']} jobs) collected in {crowd['collected_real_s']:.1f} s"
            + ("" if crowd["valid"] else "; THE RUN IS NOT VALID"),
        ]
    return "\n".join(lines)
