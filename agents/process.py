"""An agent process: a specification becomes objects, the loop drives them, the account is written.

The fork server calls ``main`` in a fresh child. Everything heavy is imported before the fork.
"""

import json
import mmap
import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import cast

from gmsr.broker.census import Census
from gmsr.broker.endpoint import Endpoint
from gmsr.broker.inlet import Inlet
from gmsr.broker.keys import Keys
from gmsr.broker.wait import set_timer_slack
from gmsr.topology import curves

from .dispatcher import Dispatcher
from .feeds.asking import Asking, asking
from .journal import JOB_ROW, VISIT_ROW, MappedRows, Rows
from .ledger import Ledger
from .loop import Loop
from .machine import Machine
from .offering import Offering
from .server import Server
from .sight import Make, Sight
from .spec import DispatcherSpec, ServerSpec, load
from .suspicion import PATIENCE, Suspicion
from .telemetry import Telemetry
from .terms import Service, Terms, Upkeep
from .view import View
from .workload import stream, workload

POLICY_FAILED = 3
"""Exit status of a dispatcher whose policy raised. Its standard error ends with the policy's own traceback."""


def main(spec: DispatcherSpec | ServerSpec) -> None:
    """Be the agent that ``spec`` describes, until the run is over.

    Raises OSError where a path or address of the specification cannot be used.
    """
    set_timer_slack()
    began = time.monotonic()
    own_id = spec["id"]
    telemetry = Telemetry(
        own_id, spec["control"], spec["telemetry"], spec["telemetry_real_s"], spec["start_ns"]
    )
    telemetry.orders += spec.get("orders", ())
    keys = Keys(**spec["keys"]) if "keys" in spec else None
    endpoint = Endpoint(own_id, spec["life"], keys)
    rows = journal(spec)
    machine: Dispatcher | Server
    if spec["role"] == "server":
        machine = server(spec, rows)
        endpoint.allow(spec["dispatchers"])
        endpoint.bind(spec["address"])
        if spec["far_address"]:
            endpoint.bind(spec["far_address"])
    else:
        machine = dispatcher(spec, rows)
        endpoint.allow(spec["servers"])
        for peer, address in zip(spec["servers"], spec["addresses"], strict=True):
            endpoint.connect(peer, address)
    inlet = Inlet(endpoint.census, spec["delays"], stream(spec["seed"], own_id, "network"))
    Loop(machine, endpoint, inlet, telemetry, spec["pace"], spec["delays"]).run()
    rows.close()
    endpoint.close()
    statement = {
        **account(spec, machine, endpoint.census, rows.dropped),
        "end": "stopped" if telemetry.stopped else "finished",
        "cpu_real_s": time.process_time(),
        "wall_real_s": time.monotonic() - began,
    }
    telemetry.close()
    _write(spec["statement"], statement)
    if failure := statement.get("failure"):
        sys.stderr.write(f"{failure}")
        sys.exit(POLICY_FAILED)


def journal(spec: DispatcherSpec | ServerSpec) -> MappedRows:
    """The journal of the life that ``spec`` describes. Raises OSError where it exists, or cannot be made."""
    return MappedRows(spec["rows"], VISIT_ROW if spec["role"] == "server" else JOB_ROW)


def account(
    spec: DispatcherSpec | ServerSpec, machine: Machine, census: Census, dropped: int
) -> dict[str, object]:
    """What a life leaves behind as its statement, but for how it ended and what it cost."""
    return {
        "id": spec["id"],
        "role": spec["role"],
        "life": spec["life"],
        **machine.statement(),
        "dropped_rows": dropped,
        "census": census.to_plain(),
    }


def server(spec: ServerSpec, rows: Rows) -> Server:
    """The state machine of a server."""
    reads = (*spec["reads"], *spec["extras"])
    service = Service(curves.make(spec["curve"]), spec["scale"], spec["smoothing"], reads, spec["learn"])
    random = stream(spec["seed"], spec["id"], "feed")
    feed = load(spec["feed"])(spec["reads"], spec["corrected"], random, **spec["feed_options"])
    upkeep = Upkeep(spec["heartbeat"], spec["duration"] + spec["cooldown"], spec["drop"])
    return Server(spec["run"], spec["dispatchers"], service, feed, rows, upkeep)


def dispatcher(spec: DispatcherSpec, rows: Rows) -> Dispatcher:
    """The state machine of a dispatcher."""
    random = stream(spec["seed"], spec["id"], "policy")

    def find(target: str, options: Mapping[str, str]) -> tuple[Make, str]:
        rule = load(target)
        return lambda view: rule(view, random, **options), sys.modules[rule.__module__].__file__ or ""

    jobs = workload(
        spec["arrivals"],
        spec["sizes"],
        spec["seed"],
        spec["id"],
        rows=_doubles(spec["arrivals"]["schedule"]),
        values=_doubles(spec["sizes"]["values"]),
    )
    terms = Terms(spec["duration"], spec["cooldown"], spec["born"], spec["again"], spec["sizes"]["mean"])
    asking = _asking(spec)
    travel = [2.0 * spec["delays"].get(server, 0.0) / terms.size for server in spec["servers"]]
    view = View(spec["servers"], spec["reads"], spec["weights"], travel)
    extra = len(spec["extras"]) + spec["corrected"]
    make, home = find(spec["policy"], spec["options"])
    sight = Sight(view, make, extra, spec["corrected"], asking is not None, home, find)
    return Dispatcher(
        spec["run"],
        spec["id"],
        sight,
        Offering(jobs, terms),
        Ledger(rows, spec["duration"], spec["life"]),
        Suspicion(spec["heartbeat"], len(spec["servers"]), spec["born"]),
        terms,
        asking,
    )


def _asking(spec: DispatcherSpec) -> Asking | None:
    options = spec["asking"]
    if options is None:
        return None
    random = stream(spec["seed"], spec["id"], "asking")
    return asking(random, len(spec["servers"]), PATIENCE * spec["heartbeat"], options)


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
