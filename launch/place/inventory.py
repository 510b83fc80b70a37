"""Inventories: a YAML (or JSON) file of the hosts that agents may run on, and how each is reached.

hosts:
  - name: left                # as dispatchers and servers name it (host: left)
    local: true               # this machine: no ssh
    address: 192.168.1.10     # where its agents listen for those of other hosts
  - name: right
    address: 192.168.1.11
    ssh: right.lan            # what ssh connects to [default: the address]; may be an alias of ~/.ssh/config
    user: me
    port: 2222
    identity: ~/.ssh/id_ed25519   # relative to this file
    known_hosts: known_hosts      # relative to this file [default: ssh's own]
    python: /opt/gmsr/bin/python  # [default: where gmsr hosts install puts it, or this one if local]
    folder: /var/tmp              # journals are kept there until they are collected [default: its own]
    agents: 40                    # at most so many [default: no limit]
"""

import ipaddress
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

from msgspec import UNSET, Meta, UnsetType

from gmsr.topology.errors import UserError
from gmsr.topology.explain import Refused, convert
from gmsr.topology.format import Id, Strict
from gmsr.topology.reading import read_plain

INSTALLED = ".local/share/gmsr/bin/python"
"""Relative to the user's home there, where an ssh session begins."""


class HostEntry(Strict):
    """A host, as the file has it."""

    name: Id
    address: str
    local: bool = False
    ssh: str | UnsetType = UNSET
    user: str | UnsetType = UNSET
    port: Annotated[int, Meta(ge=1, le=65535)] | UnsetType = UNSET
    identity: str | UnsetType = UNSET
    known_hosts: str | UnsetType = UNSET
    python: str | UnsetType = UNSET
    folder: str | UnsetType = UNSET
    agents: Annotated[int, Meta(ge=1)] | UnsetType = UNSET


class InventoryFile(Strict):
    """The hosts of a testbed."""

    hosts: Annotated[list[HostEntry], Meta(min_length=1)]


class Door(NamedTuple):
    """Of an ``outpost`` on a host where an engine has put us."""

    address: str
    key: str  # its own, public
    ours: str  # what ``relay`` wants in its environment


class Host(NamedTuple):
    """A machine that agents may run on. Empty: nothing was said."""

    name: str
    address: str  # an IP address
    ssh: tuple[str, ...] = ()  # options of ssh, and its destination last; empty: this machine
    python: str = sys.executable
    folder: str = ""
    agents: int | None = None
    node: str = ""  # of a cluster, as its engine calls it
    door: Door | None = None  # how it is reached there

    @property
    def on_network(self) -> str:
        """The address as a part of ``tcp://``."""
        return f"[{self.address}]" if ":" in self.address else self.address


def read(path: Path) -> list[Host]:
    """An inventory's hosts. Raises UserError with one line on whatever is wrong with it."""
    content = read_plain(path, "inventory of hosts")
    if not isinstance(content, dict):
        raise UserError(f"{path}: holds no mapping; start with 'hosts:'")
    try:
        entries = convert(content, InventoryFile).hosts
    except Refused as error:
        raise UserError(f"{path}: {error}") from error
    names = [entry.name for entry in entries]
    for index, entry in enumerate(entries):
        if entry.name in names[:index]:
            raise UserError(f"{path}: hosts[{index}]: {entry.name!r} is there twice; rename one of them")
    return [
        _host(entry, f"{path}: hosts[{index}] ({entry.name})", path.parent)
        for index, entry in enumerate(entries)
    ]


def _host(entry: HostEntry, where: str, folder: Path) -> Host:
    try:
        address = ipaddress.ip_address(entry.address)
    except ValueError as error:
        raise UserError(
            f"{where}.address: {entry.address[:60]!r} is no IP address; write the one that its agents are to listen on"
        ) from error
    if address.is_unspecified or address.is_multicast:
        raise UserError(f"{where}.address: {address} is no host's own; write the one that others reach it at")
    if entry.local:
        for name in ("ssh", "user", "port", "identity", "known_hosts"):
            if getattr(entry, name) is not UNSET:
                raise UserError(f"{where}.{name}: nobody logs in to a local host; remove it, or local")
    python = entry.python or (sys.executable if entry.local else INSTALLED)
    ssh = () if entry.local else _ssh(entry, where, folder)
    return Host(entry.name, str(address), ssh, python, entry.folder or "", entry.agents or None)


def _ssh(entry: HostEntry, where: str, folder: Path) -> tuple[str, ...]:
    """What ssh is told to reach it: no questions, no host that is not known already."""
    made: list[str] = []
    destination = entry.ssh or entry.address
    for name, value in (("ssh", destination), ("user", entry.user or "")):
        if value.startswith("-") or not value.isprintable() or any(each.isspace() for each in value):
            raise UserError(f"{where}.{name}: {value[:60]!r} is no name that ssh takes; mend it")
    if entry.port:
        made += ["-p", str(entry.port)]
    if entry.user:
        made += ["-l", entry.user]
    if entry.identity:
        made += ["-i", _file(entry.identity, f"{where}.identity", folder), "-o", "IdentitiesOnly=yes"]
    if entry.known_hosts:
        made += ["-o", f"UserKnownHostsFile={_file(entry.known_hosts, f'{where}.known_hosts', folder)}"]
        made += ["-o", "GlobalKnownHostsFile=/dev/null"]
    return (*made, destination)


def _file(name: str, where: str, folder: Path) -> str:
    path = (folder / Path(name).expanduser()).resolve()
    if not path.is_file():
        raise UserError(f"{where}: {path}: there is no such file; name one that is there")
    return str(path)


def named(hosts: Sequence[Host]) -> dict[str, Host]:
    """By name."""
    return {host.name: host for host in hosts}
