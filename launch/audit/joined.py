"""The kernels' tables of several hosts as those of one. Pure.

Process ids mean something on their own host only, so each gets a number of its own. A connection between hosts has an
end in the tables of each: the two whose addresses are each other's.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..place.base import Seen
from .tables import Connection, Tables

HOST = 1 << 32
"""Process ids are smaller."""


class Joined(NamedTuple):
    """Tables in which processes go by their numbers here."""

    tables: Tables
    names: dict[int, str]  # of agents
    sockets: dict[str, str]  # the folder of an agent's sockets

    def process(self, number: int | None) -> str:
        """What a process is called."""
        if number is None:
            return "nobody that is known"
        return self.names.get(number, f"process {number % HOST}")


def join(seen: Sequence[Seen]) -> Joined:
    """All tables as one."""
    ours = [(each, each.tables, index * HOST) for index, each in enumerate(seen) if each.tables]
    names = {pid + base: name for each, _, base in ours for name, pid in each.pids.items()}
    sockets = {name: each.sockets for each, _, _ in ours for name in each.pids}
    tables = [(table, base) for _, table, base in ours]
    connections = [
        one._replace(pid=one.pid + base, peer_pid=None if one.peer_pid is None else one.peer_pid + base)
        for table, base in tables
        for one in table.connections
    ]
    return Joined(
        Tables(
            connections=tuple(_across(connections)),
            listening=tuple(
                one._replace(pid=one.pid + base) for table, base in tables for one in table.listening
            ),
            unseen=tuple(one._replace(pid=one.pid + base) for table, base in tables for one in table.unseen),
            shared={
                inode + base: tuple(pid + base for pid in holders)
                for table, base in tables
                for inode, holders in table.shared.items()
            },
            internal=sum(table.internal for table, _ in tables),
            gone=tuple(pid + base for table, base in tables for pid in table.gone),
            hidden=tuple(pid + base for table, base in tables for pid in table.hidden),
        ),
        names,
        sockets,
    )


def _across(connections: Sequence[Connection]) -> Iterable[Connection]:
    """With the process at the other end, where that is on another host."""
    ends = {(one.local, one.peer): one.pid for one in connections if one.family == "tcp"}
    for one in connections:
        far = ends.get((one.peer, one.local)) if one.family == "tcp" and one.peer_pid is None else None
        yield one if far is None else one._replace(peer_pid=far)
