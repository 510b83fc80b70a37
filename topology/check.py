"""Everything that is refused or warned of in a topology, in one list each."""

from collections import Counter
from math import inf

from .graph import Topology


def problems(topology: Topology) -> list[str]:
    """What makes a topology unusable: a line each, with field and mend. Empty if it is sound."""
    return [*_double(topology), *_dangling(topology), *_rates(topology), *_run(topology)]


def advice(topology: Topology) -> list[str]:
    """What a user should know though it is no error."""
    lines = []
    sharers = Counter(edge.server for edge in topology.edges)
    for server in topology.servers:
        count = sharers[server.id]
        if not count:
            lines.append(f"servers: {server.id}: no dispatcher has an edge to it; it will stay idle")
        if server.curve.kinks and server.width == 0.0 and count > 1:
            lines.append(
                f"servers: {server.id}: its curve has kinks, {count} dispatchers share it and smoothing "
                "is off: plain GMSR can settle away from the optimum; remove 'smoothing: 0'"
            )
    parts = len(topology.components())
    if parts > 1:
        lines.append(f"edges: the graph falls into {parts} separate parts; each is a system of its own")
    return lines


def _double(topology: Topology) -> list[str]:
    ids = [dispatcher.id for dispatcher in topology.dispatchers] + [server.id for server in topology.servers]
    twice = [name for name, count in Counter(ids).items() if count > 1]
    lines = [f"id {name} is used twice; every dispatcher and server needs an id of its own" for name in twice]
    pairs = Counter((edge.dispatcher, edge.server) for edge in topology.edges)
    lines += [
        f"edges: {dispatcher} to {server} stands twice; keep one"
        for (dispatcher, server), count in pairs.items()
        if count > 1
    ]
    return lines


def _dangling(topology: Topology) -> list[str]:
    dispatchers = {dispatcher.id for dispatcher in topology.dispatchers}
    servers = {server.id for server in topology.servers}
    lines = []
    for index, edge in enumerate(topology.edges):
        if edge.dispatcher not in dispatchers:
            kind = "is a server" if edge.dispatcher in servers else "does not exist"
            lines.append(
                f"edges[{index}]: dispatcher {edge.dispatcher!r} {kind}; edges go [dispatcher, server]"
            )
        if edge.server not in servers:
            kind = "is a dispatcher" if edge.server in dispatchers else "does not exist"
            lines.append(f"edges[{index}]: server {edge.server!r} {kind}; edges go [dispatcher, server]")
    linked = {edge.dispatcher for edge in topology.edges}
    lines += [
        f"dispatchers: {dispatcher.id}: has no edge to any server; add one, or remove it"
        for dispatcher in topology.dispatchers
        if dispatcher.id not in linked
    ]
    return lines


def _rates(topology: Topology) -> list[str]:
    rates = [(dispatcher.id, dispatcher.rate) for dispatcher in topology.dispatchers]
    lines = [f"dispatchers: {name}: rate {rate} is no rate; give a number ≥ 0" for name, rate in rates
             if not 0.0 <= rate < inf]  # fmt: skip
    if not lines and not any(rate for _, rate in rates):
        lines.append("dispatchers: all rates are 0; give one of them a rate")
    return lines


def _run(topology: Topology) -> list[str]:
    run = topology.run
    lines = []
    if not 0.0 < run.duration < inf:
        lines.append(f"run.duration: {run.duration:g} s is no time to measure; give seconds > 0")
    elif not 0.0 <= run.warmup < run.duration:
        lines.append(
            f"run.warmup: {run.warmup:g} s leaves nothing of a duration of {run.duration:g} s; make it shorter"
        )
    if not 0.0 < topology.scale < inf:
        lines.append(f"scale: {topology.scale:g} is no scale; give a number > 0")
    if topology.sizes.kind == "trace" and not topology.sizes.trace and topology.arrivals.kind != "trace":
        lines.append("workload.sizes: kind trace needs a field trace, or trace arrivals; name the file")
    return lines
