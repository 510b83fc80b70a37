"""``--place``, ``--hosts``, ``--ray``, ``--strategy``: from what the user said to a placement."""

from collections import Counter
from collections.abc import Callable, Mapping
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


class Wish(NamedTuple):
    """What the user said of where agents are to run."""

    place: str | None = None  # local, ssh or ray
    hosts: Path | None = None  # an inventory
    strategy: str = "spread"
    ray: str | None = None  # address of a cluster
    nodes: int | None = None
    labels: Mapping[str, str] = {}
    resources: Mapping[str, float] = {}


def placing(topology: Topology, wish: Wish) -> Placing:
    """Raises UserError where what was said does not fit together, or hosts are not to be had."""
    of_ray = (wish.ray, wish.nodes, wish.labels or None, wish.resources or None)
    place = wish.place or (
        "ssh" if wish.hosts else "ray" if any(each is not None for each in of_ray) else "local"
    )
    if place != "ssh" and wish.hosts:
        raise UserError(
            f"--hosts: is an inventory for --place ssh, and agents are to be placed by {place}; remove one"
        )
    if place != "ray" and any(each is not None for each in of_ray):
        raise UserError(
            "--place: --ray, --nodes, --node-labels and --node-resources are for --place ray; remove them"
        )
    if place == "local":
        return Placing(topology, Local)
    if place == "ray":
        return _on_ray(topology, wish)
    if wish.hosts is None:
        raise UserError("--place: ssh needs an inventory of hosts; name one (--hosts FILE)")
    hosts = read(wish.hosts)
    placed = assign(topology, hosts, wish.strategy)
    return Placing(placed, partial(Ssh, hosts, placed.hosts, _widest(placed)))


def _on_ray(topology: Topology, wish: Wish) -> Placing:
    from .place.on_ray import Choice, Ray, find

    choice = Choice(wish.ray or "auto", wish.nodes, wish.labels, wish.resources)
    hosts = find(choice)
    placed = assign(topology, hosts, wish.strategy)
    return Placing(placed, partial(Ray, choice, hosts, placed.hosts, _widest(placed)))


def _widest(topology: Topology) -> int:
    """Most edges of one agent."""
    degrees = Counter(end for edge in topology.edges for end in (edge.dispatcher, edge.server))
    return max(degrees.values(), default=0)
