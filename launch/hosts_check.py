"""``gmsr hosts check``: whether the hosts of an inventory will do, and what to mend if not."""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from gmsr.topology.errors import UserError

from .place.channel import QUIT_REAL_S
from .place.clocks import Offset
from .place.inventory import Host
from .place.many import ANSWER_REAL_S
from .place.on_ssh import DESCRIPTORS_AN_AGENT, MEMORY_AN_AGENT, START_REAL_S, FarLink, open_link
from .record.text import AT_MOST, seconds, table


class Found(NamedTuple):
    """What was found out about a host."""

    host: Host
    facts: dict[str, Any]  # empty: it could not be asked
    clock: Offset | None
    problems: list[str]

    def as_plain(self) -> dict[str, Any]:
        """For JSON."""
        wanted = ("python", "code", "cores", "memory", "disk", "descriptors", "system")
        return {
            "address": self.host.address,
            **{name: self.facts.get(name) for name in wanted},
            "clock_ahead_s": self.clock.ahead_s if self.clock else None,
            "clock_error_s": self.clock.error_s if self.clock else None,
            "problems": self.problems,
        }


def check(hosts: Sequence[Host]) -> list[Found]:
    """Try each: log in, start a nursery, measure its clock, and let each pair of hosts connect to each other."""
    links: dict[str, FarLink] = {}
    problems: dict[str, list[str]] = {host.name: [] for host in hosts}
    clocks: dict[str, Offset] = {}
    try:
        for host in hosts:  # all at once
            try:
                links[host.name] = open_link(host, survive=False)
            except UserError as error:
                problems[host.name].append(_without_name(error))
        deadline = time.monotonic() + START_REAL_S
        for name, link in links.items():
            try:
                link.come_up(deadline)
                link.check(link.host.agents or 1, 0)
                link.set_clock()
                clocks[name] = link.clock
            except UserError as error:
                problems[name].append(_without_name(error))
        _reach_each_other([link for link in links.values() if link.host.name in clocks], problems)
    finally:
        for link in links.values():
            link.channel.dismiss()
        deadline = time.monotonic() + QUIT_REAL_S
        for link in links.values():
            link.close(deadline)
    return [
        Found(
            host,
            links[host.name].facts if host.name in links else {},
            clocks.get(host.name),
            problems[host.name],
        )
        for host in hosts
    ]


def _reach_each_other(links: Sequence[FarLink], problems: dict[str, list[str]]) -> None:
    """Ports that the kernel chooses must be open between hosts."""
    for link in links:
        own = link.host
        answer = link.channel.ask({"do": "listen", "address": own.address}, ANSWER_REAL_S) or {}
        if "port" not in answer:
            problems[own.name].append(
                f"nobody can listen at {own.address} there ({answer.get('error', 'no answer')}); mend its address"
            )
            continue
        for other in links:
            if other is link:
                continue
            command = {"do": "reach", "address": own.address, "port": answer["port"]}
            told = other.channel.ask(command, ANSWER_REAL_S) or {"error": "no answer"}
            if "error" in told:
                problems[own.name].append(
                    f"{other.host.name} cannot connect to {own.address}, port {answer['port']} ({told['error']}); "
                    f"mend its address, or let tcp ports from ip_local_port_range through its firewall"
                )


def _without_name(error: UserError) -> str:
    """A table's row names the host already."""
    return str(error).partition(": ")[2]


def text(found: Sequence[Found]) -> str:
    """For a person."""
    rows = [
        [
            each.host.name,
            each.host.address,
            str(each.facts.get("python", "–")),
            str(each.facts.get("cores", "–")),
            _room(each.facts),
            f"{each.clock.ahead_s:.6f} s" if each.clock else "–",
            seconds(each.clock.error_s if each.clock else None),
            "good" if not each.problems else "see below",
        ]
        for each in found[:AT_MOST]
    ]
    head = ["host", "address", "python", "cores", "room for agents", "clock ahead", "give or take", ""]
    lines = [f"host {each.host.name}: {problem}" for each in found for problem in each.problems]
    return "\n".join([*table(head, rows), *([""] if lines else []), *lines])


def _room(facts: dict[str, Any]) -> str:
    """By memory; an agent with many edges may need more descriptors than there are."""
    if not facts:
        return "–"
    most = facts["descriptors"]
    edges = "" if most is None else f", of {most - DESCRIPTORS_AN_AGENT} edges"
    return f"{facts['memory'] // MEMORY_AN_AGENT}{edges}"
