"""``--place``, ``--hosts``, ``--strategy``: from what the user said to a placement, and a host for every agent."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from gmsr.topology.errors import UserError
from gmsr.topology.graph import Topology

from .place.assign import assign
from .place.base import Place
from .place.inventory import read
from .place.local import Local
from .place.on_ssh import Ssh


class Placing(NamedTuple):
    """Where a topology's agents are to run."""

    topology: Topology  # with a host for each agent, unless all run here
    place: Callable[..., Place]  # called with ``survive``


def placing(topology: Topology, place: str | None, inventory: Path | None, strategy: str) -> Placing:
    """Raises UserError where what was said does not fit together, or the inventory is wrong."""
    if place in (None, "local") and inventory is None:
        return Placing(topology, Local)
    if inventory is None:
        raise UserError("--place: ssh needs an inventory of hosts; name one (--hosts FILE)")
    if place == "local":
        raise UserError("--hosts: local agents all run on this machine; remove it, or use --place ssh")
    hosts = read(inventory)
    placed = assign(topology, hosts, strategy)
    degrees = Counter(end for edge in placed.edges for end in (edge.dispatcher, edge.server))
    widest = max(degrees.values(), default=0)
    return Placing(placed, partial(Ssh, hosts, placed.hosts, widest))
