"""``gmsr bench throughput``: how many jobs 4 dispatchers and 8 servers carry on this machine.

The yardstick, of the same run: a bare pyzmq ROUTER-ROUTER echo over as many processes and edges. The testbed
is offered rising rates, journals and all; a rate is carried if the run is valid and nobody fell behind. That is done
with GMSR's own feed, and with a report of every change, since on a small machine messages are the limit. The highest
rate that GMSR's own feed carried is then run beside the echo a few times, and medians are given.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Iterable
from math import nan
from pathlib import Path
from typing import Any

from gmsr.topology.curves import Hyperbolic
from gmsr.topology.errors import RunError
from gmsr.topology.graph import Dispatcher, Edge, Server, Topology

from .. import plan
from ..place.local import Local
from ..record.text import number, table
from ..run import run
from ..show.progress import Progress

DISPATCHERS, SERVERS = 4, 8
FEEDS = {"gmsr's own feed": "", "every-change": "every-change"}
RATES = (1_000.0, 5_000.0, 10_000.0, 15_000.0, 20_000.0, 25_000.0, 30_000.0, 40_000.0, 50_000.0, 60_000.0)
RUN_S, WARMUP_S = 8.0, 2.0
ECHO_S = 4.0
BEHIND_S = 0.25
"""Who woke later than this fell behind."""


def fleet(rate: float) -> Topology:
    """A complete graph of unequal hyperbolic servers at 60 % of ``rate``-proof capacity; latencies of some ms."""
    size = rate / 0.6 / sum(1.0 + 0.25 * index for index in range(SERVERS))
    dispatchers = tuple(Dispatcher(f"d{index}", rate / DISPATCHERS) for index in range(DISPATCHERS))
    servers = tuple(
        Server(f"s{index}", Hyperbolic(size * (1.0 + 0.25 * index), 2.0 + size / 100.0))
        for index in range(SERVERS)
    )
    edges = tuple(Edge(dispatcher.id, server.id) for dispatcher in dispatchers for server in servers)
    return Topology("fleet", dispatchers, servers, edges)


def testbed(rate: float, feed: str = "", edges: str = "ipc") -> dict[str, Any]:
    """One run at ``rate`` jobs a second: what was carried, and what a job cost."""
    options = plan.Options("gmsr", feed, RUN_S, WARMUP_S, edges=edges)
    with tempfile.TemporaryDirectory(prefix="gmsr-bench-") as folder:
        try:
            summary = run(fleet(rate), options, Path(folder) / "run", Progress(label=f"{rate:g} jobs/s"))
        except RunError:
            return {"rate": rate, "carried": False}
    late = summary["fidelity"]["lateness"]
    cpu = sum(summary["fidelity"]["cpu"].values())
    return {
        "rate": rate,
        "carried": summary["valid"] and late["max"] < BEHIND_S and not summary["jobs"]["in_flight"],
        "jobs_per_s": summary["jobs"]["completed"] / RUN_S,
        # None: on a machine that is full nobody may have answered
        "cpu_us_per_job": 1e6 * cpu / rate if cpu else None,
        "cores": cpu or None,
        "late_ms_p99": 1e3 * late["p99"],
        "late_ms_max": 1e3 * late["max"],
        "messages_per_job": summary["messages"]["per_job"],
        "ratio_to_optimum": summary["ratio"],
    }


def echo() -> dict[str, float]:
    """The bare echo: messages there and back a second, and the CPU that each costs."""
    with tempfile.TemporaryDirectory(prefix="gmsr-echo-") as folder:
        place = Local(agent="gmsr.launch.bench.echo:main")
        try:
            servers = [f"s{index}" for index in range(SERVERS)]
            specs: list[dict[str, Any]] = [
                {"id": name, "role": "server", "address": f"ipc://{place.sockets}/{name}"} for name in servers
            ]
            addresses = [spec["address"] for spec in specs]
            specs += [
                {"id": f"d{index}", "role": "dispatcher", "servers": servers, "addresses": addresses}
                for index in range(DISPATCHERS)
            ]
            for spec in specs:
                spec |= {
                    "duration": ECHO_S,
                    "errors": f"{folder}/{spec['id']}.err",
                    "statement": f"{folder}/{spec['id']}.json",
                }
            place.spawn(specs)
            alive = {spec["id"] for spec in specs}
            deadline = time.monotonic() + 12.0 * ECHO_S
            while alive and time.monotonic() < deadline:
                alive -= {event["id"] for event in place.events(1.0) if event["event"] == "exited"}
        finally:
            place.close()
        told = {spec["id"]: json.loads(Path(spec["statement"]).read_text()) for spec in specs}
    echoes = sum(each["echoes"] for name, each in told.items() if name.startswith("d"))
    return {
        "echoes_per_s": echoes / ECHO_S,
        "cpu_us_per_echo": 1e6 * sum(each["cpu_real_s"] for each in told.values()) / echoes,
    }


def ladder(feed: str) -> list[dict[str, Any]]:
    """Rung by rung, up to the first that is not carried."""
    rungs: list[dict[str, Any]] = []
    for rate in RATES:
        rungs.append(testbed(rate, feed))
        if not rungs[-1]["carried"]:
            break
    return rungs


def measure(repeats: int) -> dict[str, Any]:
    """The ladders, then the best rung of the first beside the echo."""
    ladders = {name: ladder(feed) for name, feed in FEEDS.items()}
    carried = [rung["rate"] for rung in next(iter(ladders.values())) if rung["carried"]]
    if not carried:
        raise RunError(f"this machine does not carry {RATES[0]:g} jobs/s")
    both = [(testbed(carried[-1]), echo()) for _ in range(repeats)]
    both = [(ours, bare) for ours, bare in both if "jobs_per_s" in ours]
    if not both:
        raise RunError(
            f"{carried[-1]:g} jobs/s were carried once, and then no more: the machine is too noisy"
        )

    known = [(ours, bare) for ours, bare in both if ours["cpu_us_per_job"]]
    return {
        "ladders": ladders,
        "jobs_per_s": median(ours["jobs_per_s"] for ours, _ in both),
        "cpu_us_per_job": median(ours["cpu_us_per_job"] for ours, _ in known),
        "echoes_per_s": median(bare["echoes_per_s"] for _, bare in both),
        "cpu_us_per_echo": median(bare["cpu_us_per_echo"] for _, bare in both),
        "ratio_rate": median(ours["jobs_per_s"] / bare["echoes_per_s"] for ours, bare in both),
        "ratio_cpu": median(ours["cpu_us_per_job"] / bare["cpu_us_per_echo"] for ours, bare in known),
        "repeats": len(both),
    }


def median(values: Iterable[float]) -> float:
    """Of figures of which there may be none: then no number."""
    known = list(values)
    return statistics.median(known) if known else nan


def text(found: dict[str, Any]) -> str:
    """Tables."""
    rows = [
        [
            name, f"{rung['rate']:g}", "yes" if rung["carried"] else "no", *(
                number(rung.get(key), 3)
                for key in ("cores", "cpu_us_per_job", "late_ms_p99", "late_ms_max", "messages_per_job",
                            "ratio_to_optimum")
            ),
        ]
        for name, rungs in found["ladders"].items()
        for rung in rungs
    ]  # fmt: skip
    head = [
        "feed",
        "jobs/s",
        "carried",
        "cores",
        "CPU µs a job",
        "late ms p99",
        "max",
        "messages a job",
        "over the optimum",
    ]
    return "\n".join(
        [
            *table(head, rows),
            "",
            f"testbed   {found['jobs_per_s']:,.0f} jobs/s, {found['cpu_us_per_job']:.0f} µs of CPU a job",
            f"bare echo {found['echoes_per_s']:,.0f} messages/s, {found['cpu_us_per_echo']:.0f} µs of CPU each",
            f"ratio     {found['ratio_rate']:.2f} in rate, {found['ratio_cpu']:.2f} in CPU (medians of "
            f"{found['repeats']} pairs)",
        ]
    )
