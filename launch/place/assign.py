"""Which agent runs on which host: as the topology says, and by a strategy where it says nothing. Pure.

``spread``  as many on each host, dispatchers and servers each for themselves
``pack``    hosts are filled one after the other, each up to its limit
``together`` neighbours on one host, as far as even shares allow: fewest edges between hosts, by a walk of the graph
``apart``   dispatchers on some hosts and servers on the others, so that every edge lies between hosts
"""

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from math import inf

from gmsr.topology.errors import UserError
from gmsr.topology.faults import make
from gmsr.topology.graph import Dispatcher, Server, Topology

from .inventory import Host

STRATEGIES = ("spread", "pack", "together", "apart")


def assign(topology: Topology, hosts: Sequence[Host], strategy: str) -> Topology:
    """The topology with a host for every agent. Raises UserError where there is no place for one."""
    room = {host.name: inf if host.agents is None else host.agents for host in hosts}
    for name, host in topology.hosts.items():
        if host not in room:
            raise UserError(
                f"{name}: host: the inventory has no {host!r}, but {', '.join(room)}; name one of them, or add it"
            )
    agents: list[Dispatcher | Server] = [*topology.dispatchers, *topology.servers]
    free = [each.id for each in agents if not each.host]
    total = len(free) + len(topology.hosts)
    if total > sum(room.values()):
        raise UserError(
            f"--hosts: {total} agents, and the hosts take {sum(room.values()):g} in all; allow more (agents: …), or "
            "add hosts"
        )
    places = _Places(room, topology.hosts)
    match strategy:
        case "spread":
            _evenly(topology, places, free, list(room), list(room))
        case "pack":
            for name in free:
                places.put(name, places.having_room(room)[0])
        case "together":
            _together(topology, places, free, -(-total // len(room)))
        case "apart":
            _evenly(topology, places, free, *_sides(topology, list(room)))
        case _:
            raise UserError(f"--strategy: {strategy!r} is unknown; choose one of {', '.join(STRATEGIES)}")
    return placed(topology, places.chosen)


def placed(topology: Topology, hosts: Mapping[str, str]) -> Topology:
    """The topology with these hosts, and its faults where they are then."""
    return topology._replace(
        faults=tuple(
            make(fault.to_dict(), topology.edges, hosts) if fault.hosts else fault
            for fault in topology.faults
        ),
        dispatchers=tuple(each._replace(host=hosts[each.id]) for each in topology.dispatchers),
        servers=tuple(each._replace(host=hosts[each.id]) for each in topology.servers),
    )


class _Places:
    """Who has been put where."""

    def __init__(self, room: Mapping[str, float], chosen: Mapping[str, str]) -> None:
        self._room = room
        self.hosts = list(room)
        self.chosen = dict(chosen)
        self.load = Counter(self.chosen.values())
        for host, count in self.load.items():
            if count > room[host]:
                raise UserError(
                    f"--hosts: {host} takes {room[host]:g} agents, and {count} are to run there; allow more"
                )

    def having_room(self, hosts: Iterable[str]) -> list[str]:
        """Those of the hosts that take one more."""
        found = [host for host in hosts if self.load[host] < self._room[host]]
        if not found:
            raise UserError(f"--hosts: {', '.join(hosts)} are full; allow more agents there, or add hosts")
        return found

    def put(self, name: str, host: str) -> None:
        """An agent goes there."""
        self.chosen[name] = host
        self.load[host] += 1


def _evenly(
    topology: Topology, places: _Places, free: Sequence[str], fronts: Sequence[str], backs: Sequence[str]
) -> None:
    """Each role over its hosts, fewest first; of equals the one with fewer agents in all, then the file's order."""
    for agents, hosts in ((topology.dispatchers, fronts), (topology.servers, backs)):
        own = Counter(places.chosen[each.id] for each in agents if each.id in places.chosen)
        for name in (each.id for each in agents if each.id in set(free)):
            host = min(places.having_room(hosts), key=lambda host: (own[host], places.load[host]))
            places.put(name, host)
            own[host] += 1


def _sides(topology: Topology, hosts: list[str]) -> tuple[list[str], list[str]]:
    """Hosts of dispatchers and hosts of servers, in proportion; who is placed by hand says whose a host is."""
    if len(hosts) < 2:
        raise UserError("--strategy: apart needs two hosts at least; add one, or choose another strategy")
    fronts = {each.host for each in topology.dispatchers} - {""}
    backs = {each.host for each in topology.servers} - {""}
    share = len(topology.dispatchers) / (len(topology.dispatchers) + len(topology.servers))
    wanted = min(max(round(share * len(hosts)), 1), len(hosts) - 1)
    undecided = [host for host in hosts if host not in fronts | backs]
    while undecided and len(fronts) < wanted:
        fronts.add(undecided.pop(0))
    backs |= set(undecided)
    if fronts & backs or not fronts or not backs:
        raise UserError(
            "--strategy: the hosts that the topology names leave none for dispatchers alone and none for servers "
            "alone; name other hosts, or choose another strategy than apart"
        )
    return [host for host in hosts if host in fronts], [host for host in hosts if host in backs]


def _together(topology: Topology, places: _Places, free: Sequence[str], share: int) -> None:
    """Agents in the order of a walk, each to the host with most of its neighbours that has less than its share."""
    neighbours: dict[str, list[str]] = {name: [] for name in [*free, *topology.hosts]}
    for edge in topology.edges:
        neighbours[edge.dispatcher].append(edge.server)
        neighbours[edge.server].append(edge.dispatcher)
    for name in _walk(neighbours, free):
        near = Counter(places.chosen[peer] for peer in neighbours[name] if peer in places.chosen)
        most_neighbours = min(
            places.having_room(places.hosts),
            key=lambda host: (places.load[host] >= share, -near[host], places.load[host]),
        )
        places.put(name, most_neighbours)


def _walk(neighbours: Mapping[str, Sequence[str]], free: Sequence[str]) -> list[str]:
    """Breadth first, component after component."""
    seen: dict[str, None] = {}
    for start in free:
        queue = deque([start])
        while queue:
            name = queue.popleft()
            if name not in seen:
                seen[name] = None
                queue += neighbours[name]
    wanted = set(free)
    return [name for name in seen if name in wanted]
