"""What there is to say of a topology before it runs."""

from typing import Any

from gmsr.topology.check import advice
from gmsr.topology.graph import Topology
from gmsr.topology.theory.capacity import fits, load_factor

from .demand import demand
from .record.text import number, table


def facts(topology: Topology, warnings: list[str]) -> dict[str, Any]:
    """The fields of ``gmsr topology check --json`` (INTERFACE), and the warnings."""
    volume = demand(topology).volume
    overloaded = not fits(topology, volume)
    notes = [*warnings, *advice(topology)]
    if overloaded:
        notes.append("the demand does not fit: some servers will overflow, whatever the policy")
    return {
        "valid": True,
        "dispatchers": len(topology.dispatchers),
        "servers": len(topology.servers),
        "edges": len(topology.edges),
        "components": len(topology.components()),
        "load": load_factor(topology, volume),
        "overloaded": overloaded,
        "warnings": notes,
    }


def describe(topology: Topology, warnings: list[str]) -> str:
    """Tables of dispatchers and servers, the workload, and what is noteworthy."""
    wanted = demand(topology)
    found = facts(topology, warnings)
    dispatchers = [
        [
            dispatcher.id,
            number(wanted.rates[dispatcher.id] * topology.scale),
            number(wanted.volume[dispatcher.id]),
            " ".join(edge.server for edge in topology.servers_of(dispatcher.id)),
        ]
        for dispatcher in topology.dispatchers
    ]
    servers = [
        [
            server.id,
            _curve(server.curve.describe()),
            number(server.curve.cap) if server.curve.cap < float("inf") else "none",
            "learns" if server.learn else number(server.width),
            str(len(topology.dispatchers_of(server.id))),
        ]
        for server in topology.servers
    ]
    lines = [
        f"{topology.name}: load {found['load']:.3f}, scale {topology.scale:g}, arrivals {topology.arrivals.kind}, "
        f"sizes {topology.sizes.kind} with mean {wanted.mean_size:.4g}",
        "",
        *table(["dispatcher", "jobs/s", "volume/s", "servers"], dispatchers),
        "",
        *table(["server", "curve", "cap/s", "smoothing", "dispatchers"], servers),
        *(f"note: {line}" for line in found["warnings"]),
    ]
    return "\n".join(lines)


def _curve(plain: dict[str, Any]) -> str:
    if "points" in plain:
        last = plain["points"][-1]
        return f"table of {len(plain['points'])} points to ({last[0]:g}, {last[1]:g})"
    fields = ", ".join(f"{name}={value:g}" for name, value in plain.items() if name != "kind")
    return f"{plain['kind']} {fields}"
