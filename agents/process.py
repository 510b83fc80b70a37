"""An agent process: a specification becomes objects, the loop drives them, the account is written.

The fork server calls ``main`` in a fresh child. Everything heavy is imported before the fork.
"""

import json
import mmap
import os
import time
from collections.abc import Sequence
from importlib import import_module
from typing import Any, cast

from gmsr.broker.endpoint import Endpoint
from gmsr.broker.wait import set_timer_slack
from gmsr.broker.wire import REPORT
from gmsr.topology import curves

from .dispatcher import Dispatcher
from .gauge import Gauge
from .journal import JOB_ROW, VISIT_ROW, Rows
from .ledger import Ledger
from .loop import Loop
from .server import Server
from .sharing import Sharing
from .spec import DispatcherSpec, ServerSpec
from .telemetry import Telemetry
from .view import View
from .workload import stream, workload


def main(spec: DispatcherSpec | ServerSpec) -> None:
    """Be the agent that ``spec`` describes, until the run is over.

    Raises OSError where a path or address of the specification cannot be used.
    """
    set_timer_slack()
    began = time.monotonic()
    own_id = spec["id"]
    telemetry = Telemetry(own_id, spec["control"], spec["telemetry"], spec["telemetry_real_s"])
    endpoint = Endpoint(own_id)
    machine: Dispatcher | Server
    if spec["role"] == "server":
        rows = Rows(spec["rows"], VISIT_ROW)
        machine = server(spec, rows)
        endpoint.allow(spec["dispatchers"])
        endpoint.bind(spec["address"])
    else:
        rows = Rows(spec["rows"], JOB_ROW)
        machine = dispatcher(spec, rows)
        endpoint.allow(spec["servers"])
        for peer, address in zip(spec["servers"], spec["addresses"], strict=True):
            endpoint.connect(peer, address)
    Loop(machine, endpoint, telemetry, rows, spec["pace"], spec["delays"]).run()
    machine.close()
    rows.close()
    endpoint.close()
    statement = {
        "id": own_id,
        "role": spec["role"],
        "end": "stopped" if telemetry.stopped else "finished",
        **machine.statement(),
        "dropped_rows": rows.dropped,
        "census": endpoint.census.to_plain(),
        "cpu_real_s": time.process_time(),
        "wall_real_s": time.monotonic() - began,
    }
    telemetry.close()
    _write(spec["statement"], statement)


def server(spec: ServerSpec, rows: Rows) -> Server:
    """The state machine of a server."""
    curve, scale = curves.make(spec["curve"]), spec["scale"]

    def total_rate(jobs: int) -> float:
        """Size completed per emulated second: n·μ(q/n), since a job's volume is its size divided by n."""
        return scale * curve.value(jobs / scale)

    gauge = Gauge(REPORT, spec["reads"], curve, scale, spec["smoothing"])
    feed = load(spec["feed"])()
    return Server(spec["run"], spec["dispatchers"], Sharing(total_rate), gauge, feed, rows)


def dispatcher(spec: DispatcherSpec, rows: Rows) -> Dispatcher:
    """The state machine of a dispatcher."""
    view = View(spec["servers"], spec["reads"], spec["weights"])
    random = stream(spec["seed"], spec["id"], "policy")
    policy = load(spec["policy"])(view, random, **spec["options"])
    jobs = workload(
        spec["arrivals"],
        spec["sizes"],
        spec["seed"],
        spec["id"],
        rows=_doubles(spec["arrivals"]["schedule"]),
        values=_doubles(spec["sizes"]["values"]),
    )
    ledger = Ledger(rows, spec["duration"])
    return Dispatcher(spec["run"], spec["id"], view, policy, jobs, ledger, spec["duration"], spec["cooldown"])


def load(name: str) -> Any:
    """The object that ``module:Class`` names. Raises ImportError or AttributeError if there is none."""
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)


def _doubles(path: str) -> Sequence[float]:
    """A file of native doubles, mapped: pages that are not needed cost no memory."""
    if not path:
        return ()
    with open(path, "rb") as file:
        if not os.fstat(file.fileno()).st_size:
            return ()
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return cast("Sequence[float]", memoryview(mapped).cast("d"))


def _write(path: str, statement: dict[str, object]) -> None:
    """Whole or not at all."""
    with open(path + ".part", "w", encoding="utf-8") as file:
        json.dump(statement, file)
    os.replace(path + ".part", path)
