"""Agents on nodes of a Ray cluster: Ray chooses where an outpost stands, and all else goes past it.

A ``driver``, a process of its own, joins the cluster and has one supervisor a node start an ``outpost`` there. From
then on each host is reached through ``relay`` as others are through ssh: its nursery, and its journals in the end. So
Ray sees no job, no report and no agent's key, and its head may die.
"""

import importlib.util
import ipaddress
import json
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import zmq

from gmsr.topology.errors import UserError

from .channel import Channel
from .inventory import Door, Host
from .many import Gathered, Link
from .on_ssh import Ssh, collect_all, explain

CONNECT_REAL_S = 40.0
PLACE_REAL_S = 45.0
END_REAL_S = 15.0
HOST_LABEL = "gmsr-host"
"""A node's label that says what topologies call it; else its name in the cluster."""
NO_NAME = re.compile(r"[^A-Za-z0-9._-]+")


class Choice(NamedTuple):
    """Which cluster, and which of its nodes."""

    address: str = "auto"
    nodes: int | None = None  # so many; None: all that fit
    labels: Mapping[str, str] = {}
    resources: Mapping[str, float] = {}  # that a node must have, and each supervisor holds


class Engine:
    """A cluster that this process has joined. Raises UserError where it cannot. Close it."""

    def __init__(self, address: str) -> None:
        if importlib.util.find_spec("ray") is None:
            raise UserError("--place: Ray is not installed here; add it with: pip install 'gmsr[ray]'")
        if address.startswith("ray://"):
            raise UserError(
                f"--ray: {address} is for Ray's client, whose server dies with the head; run gmsr on a node of the "
                "cluster (ray job submit does), and leave --ray out"
            )
        self._address = address
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 closed with it
        words = [sys.executable, "-P", "-m", "gmsr.launch.place.driver", address]
        self._channel = Channel(words, self._errors)

    def nodes(self) -> list[dict[str, Any]]:
        """All that live."""
        found: list[dict[str, Any]] = self._ask({"do": "nodes"}, CONNECT_REAL_S)["nodes"]
        return found

    def reach(self, hosts: Sequence[Host], resources: Mapping[str, float]) -> list[Host]:
        """Put an outpost on each host, and return them with the door that leads there. Raises UserError."""
        public, secret = (key.decode() for key in zmq.curve_keypair())
        run = uuid4().hex
        command = {
            "do": "place",
            "nodes": {host.node: host.address for host in hosts},
            "resources": dict(resources),
            "words": [run, public],
        }
        placed = self._ask(command, PLACE_REAL_S)["placed"]
        made = []
        for host in hosts:
            told = placed[host.node]
            if "error" in told:
                why = told["error"] or explain(host, 1, told["words"])
                raise UserError(f"host {host.name}: {why}")
            facts = json.loads(told["said"])
            door = Door(f"tcp://{host.on_network}:{facts['port']}", facts["key"], f"{secret} {public} {run}")
            made.append(host._replace(door=door))
        return made

    def close(self) -> None:
        """Leave the cluster; supervisors end, and what they started stays."""
        self._channel.dismiss()
        self._channel.close(time.monotonic() + END_REAL_S)
        self._errors.close()

    def _ask(self, command: dict[str, Any], patience_real_s: float) -> dict[str, Any]:
        answer = self._channel.ask(command, patience_real_s)
        if answer is not None and "error" not in answer:
            return answer
        where = "here" if self._address == "auto" else f"at {self._address}"
        if answer is None:
            why = "its driver ended" if self._channel.lost else f"no answer in {patience_real_s:g} s"
        else:
            why = answer["error"]
        raise UserError(
            f"--ray: no cluster can be joined {where} ({why}); start one (ray start), or mend the address"
        )


def find(choice: Choice) -> list[Host]:
    """The nodes that fit, as hosts. Raises UserError where there are too few."""
    engine = Engine(choice.address)
    try:
        nodes = engine.nodes()
    finally:
        engine.close()
    return chosen(nodes, choice)


def chosen(nodes: Sequence[Mapping[str, Any]], choice: Choice) -> list[Host]:
    """Of a cluster's nodes those that are wanted, in the order of their names. Raises UserError."""
    fit = [
        node
        for node in nodes
        if all(node["labels"].get(name) == value for name, value in choice.labels.items())
        and all(node["resources"].get(name, 0.0) >= least for name, least in choice.resources.items())
    ]
    wanted = 1 if choice.nodes is None else choice.nodes
    if len(fit) < wanted:
        raise UserError(
            f"--nodes: {wanted} wanted, and {len(fit)} of the cluster's {len(nodes)} nodes fit; add nodes, or ask less "
            "of them (--nodes, --node-labels, --node-resources)"
        )
    fit.sort(key=lambda node: (_name(node), node["id"]))
    taken = fit[: choice.nodes]
    same = Counter(_name(node) for node in taken)
    numbers: Counter[str] = Counter()
    hosts = []
    for node in taken:
        name = _name(node)
        numbers[name] += 1
        label = name if same[name] == 1 else f"{name}-{numbers[name]}"
        hosts.append(Host(label, str(ipaddress.ip_address(node["address"])), node=node["id"]))
    return hosts


def _name(node: Mapping[str, Any]) -> str:
    return NO_NAME.sub("-", node["labels"].get(HOST_LABEL) or node["name"])


class Ray(Ssh):
    """As ``Ssh``, by other doors. Raises UserError where a host cannot be had; nothing is left then."""

    def __init__(
        self,
        choice: Choice,
        hosts: Sequence[Host],
        where: Mapping[str, str],
        widest: int = 0,
        survive: bool = False,
    ) -> None:
        self._choice = choice
        self._engine = Engine(choice.address)
        try:
            used = [host for host in hosts if host.name in set(where.values())]
            super().__init__(self._engine.reach(used, choice.resources), where, widest, survive)
        except BaseException:
            self._engine.close()
            raise

    def close(self) -> None:
        """And give back what supervisors hold."""
        super().close()
        self._engine.close()

    def keepers(self) -> list[dict[str, Any]]:
        """With the cluster, through which they can be reached again; doors open for this run alone."""
        return [{**each, "door": None, "ray": self._choice.address} for each in super().keepers()]

    def fetch(self, links: Sequence[Link], run_dir: Path) -> list[Gathered]:
        """Through the doors that are there; through new ones, where a host was cut off until its own was given up."""
        found = {each.host: each for each in super().fetch(links, run_dir)}
        lost = [link for link in links if found[link.host.name].why]
        kept = [(link.host, link.facts["folder"]) for link in lost]
        return list(
            (found | {each.host: each for each in fetch(self._choice.address, kept, run_dir)}).values()
        )


def fetch(address: str, kept: Sequence[tuple[Host, str]], run_dir: Path) -> list[Gathered]:
    """Journals from nodes that keep them, through new doors; each host has what can be said of it."""
    if not kept:
        return []
    found = []
    try:
        engine = Engine(address)
        try:
            engine.nodes()  # one word for all if there is no cluster any more
            for host, folder in kept:
                found += _fetch(engine, host, folder, run_dir)
        finally:
            engine.close()
    except UserError as error:
        found += [Gathered(host.name, str(error)) for host, _ in kept[len(found) :]]
    return found


def _fetch(engine: Engine, host: Host, folder: str, run_dir: Path) -> list[Gathered]:
    try:
        return collect_all([(reached, folder) for reached in engine.reach([host], {})], run_dir)
    except UserError as error:
        return [Gathered(host.name, str(error))]
