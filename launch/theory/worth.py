"""What if: what more capacity and new edges would be worth, as ``gmsr optimum --sensitivity`` gives it."""

from collections.abc import Mapping
from typing import Any

from gmsr.topology.errors import RunError, UserError
from gmsr.topology.graph import Topology
from gmsr.topology.theory.capacity import fits
from gmsr.topology.theory.optimum import NoOptimum
from gmsr.topology.theory.travel import delayed
from gmsr.topology.theory.worth import edges, servers
from gmsr.topology.theory.worth_overloaded import edges_overloaded, servers_overloaded

from ..demand import demand
from ..record.text import AT_MOST, number, percent, rest, seconds, table

MOST = 10
SOLVES, EDGES_SOLVED = 2000, 400_000
"""At most so many optima, and so many edges in all of them, are worked out for the list: a minute or so."""


def worth(topology: Topology) -> dict[str, Any]:
    """Servers and missing edges, the worthiest first: in mean latency, or under overload in throughput.

    Raises UserError where travel would count, RunError where no certified optimum was found.
    """
    wanted = demand(topology)
    if not fits(topology, wanted.volume):
        return {
            "of": "throughput",
            "servers": [each._asdict() for each in servers_overloaded(topology, wanted.volume)],
            "edges": [each._asdict() for each in edges_overloaded(topology, wanted.volume, MOST)],
        }
    if delayed(topology):
        raise UserError("--sensitivity: it knows no travel, and edges have delays; leave it out")
    solves = min(SOLVES, max(50, EDGES_SOLVED // len(topology.edges)))
    try:
        backs, search = servers(topology, wanted.volume), edges(topology, wanted.volume, MOST, solves)
    except NoOptimum as error:
        raise RunError(str(error)) from error
    rate = sum(wanted.rates.values())
    return {
        "of": "latency",
        "servers": [
            {
                "server": each.server,
                "saved": each.saved / rate,
                "per_volume": None if each.per_volume is None else each.per_volume / rate,
            }
            for each in backs
        ],
        "edges": [
            {"dispatcher": each.dispatcher, "server": each.server, "saved": each.saved / rate}
            for each in search.best
        ],
        "edges_proven": search.proven,
    }


def text(found: Mapping[str, Any], latency: float | None) -> str:
    """Tables for a person; ``latency`` is the optimum's."""
    if found["of"] == "throughput":
        return "\n".join(_relief(found))
    assert latency is not None
    backs = [
        [each["server"], seconds(each["saved"]), percent(each["saved"] / latency), _each(each["per_volume"])]
        for each in found["servers"][:AT_MOST]
    ]
    fronts = [
        [
            f"{each['dispatcher']} to {each['server']}",
            seconds(each["saved"]),
            percent(each["saved"] / latency),
        ]
        for each in found["edges"]
    ]
    lines = [
        "what 1 % more of a server's capacity saves of the mean latency (to first order)",
        *table(["server", "saved", "of the latency", "s per volume/s of cap"], backs),
        *rest(found["servers"]),
        "",
    ]
    if not fronts:
        return "\n".join([*lines, "no single new edge saves anything"])
    sure = "exactly" if found["edges_proven"] else "the search was ended: others may save more"
    return "\n".join(
        [*lines, f"what one new edge saves ({sure})", *table(["edge", "saved", "of the latency"], fronts)]
    )


def _each(value: float | None) -> str:
    return "no cap" if value is None else number(value)


def _relief(found: Mapping[str, Any]) -> list[str]:
    backs = [
        [each["server"], number(each["per_volume"]), number(each["most"])]
        for each in found["servers"][:AT_MOST]
    ]
    fronts = [
        [f"{each['dispatcher']} to {each['server']}", number(each["gained"])] for each in found["edges"]
    ]
    lines = [
        "what more capacity of a server brings in throughput (volume/s)",
        *table(["server", "per volume/s of cap", "at the most"], backs),
        *rest(found["servers"]),
        "",
    ]
    if not fronts:
        return [*lines, "no single new edge brings anything"]
    return [*lines, "what one new edge brings (exactly)", *table(["edge", "throughput"], fronts)]
