"""``gmsr bench delays``: round trips on edges with delays, beside what the topology says.

Jobs are so small that a server is done with one in a microsecond: a dispatcher waits for the way there and back.
The last edge has no delay: its round trip is the transport's own, which the delays of the others contain.
"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gmsr.topology import curves
from gmsr.topology.graph import Dispatcher, Edge, Server, Sizes, Topology

from .. import plan
from ..record.collect import collect
from ..record.folder import open_run
from ..record.text import table
from ..run import run
from ..show.progress import Progress

DELAYS_S = (0.001, 0.005, 0.02, 0.1, 0.0)
RATE = 40.0
"""Jobs a second of each of two dispatchers: it waits for one most of the time, as on a real edge."""
WORK_S = 1e-6


def measure(seconds: float) -> list[dict[str, Any]]:
    """A row for each edge: configured round trip, measured median and 99th percentile, all in ms."""
    curve = curves.make({"kind": "multicore", "m": 1.0 / WORK_S, "k": 1000})
    servers = tuple(Server(f"s{number}", curve) for number in range(len(DELAYS_S)))
    edges = tuple(
        Edge(name, server.id, delay)
        for name in ("d1", "d2")
        for server, delay in zip(servers, DELAYS_S, strict=True)
    )
    dispatchers = (Dispatcher("d1", RATE), Dispatcher("d2", RATE))
    topology = Topology("delays", dispatchers, servers, edges, sizes=Sizes("deterministic"))
    options = plan.Options(policy="random", duration=seconds, warmup=1.0)
    with tempfile.TemporaryDirectory(prefix="gmsr-bench-") as folder:
        run(topology, options, Path(folder) / "run", Progress(label="delays"))
        found = collect(open_run(Path(folder) / "run"))
    jobs = found.jobs
    rows = []
    for edge in edges:
        own = (jobs["dispatcher"] == found.dispatchers.index(edge.dispatcher)) & (
            jobs["server"] == found.servers.index(edge.server)
        )
        trips = jobs["done"][own] - jobs["sent"][own]
        trips = 1e3 * trips[~np.isnan(trips)]
        rows.append(
            {
                "edge": f"{edge.dispatcher} {edge.server}",
                "configured_ms": 2e3 * edge.delay,
                "median_ms": float(np.median(trips)),
                "p99_ms": float(np.quantile(trips, 0.99)),
                "over_ms": float(np.median(trips)) - 2e3 * edge.delay,
                "jobs": len(trips),
            }
        )
    return rows


def text(rows: Sequence[Mapping[str, Any]]) -> str:
    """A row an edge."""
    head = ["edge", "round trip as configured", "median", "p99", "median beyond"]
    body = [
        [
            row["edge"],
            f"{row['configured_ms']:g} ms",
            f"{row['median_ms']:.2f} ms",
            f"{row['p99_ms']:.2f} ms",
            f"{row['over_ms']:.2f} ms",
        ]
        for row in rows
    ]
    return "\n".join(table(head, body))
