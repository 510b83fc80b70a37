"""Agents on several hosts: a nursery on each, and one placement in front of all.

Instants of the launcher's clock become those of each host's own before they are sent there (``clocks``). A host that is
gone is told of once, with why; what is said to it after that is said to nobody.
"""

import select
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gmsr.topology.errors import UserError

from .base import Event, Seen, Site
from .channel import QUIT_REAL_S, Channel
from .clocks import Offset, best
from .inventory import Host

ANSWER_REAL_S = 10.0
FIGURES_REAL_S = 2.0
"""For what a run can do without: a host that is cut off must not hold up the others' faults."""
PING_REAL_S = 5.0
"""A nursery that hears nothing for ``nursery.SILENCE_REAL_S`` takes the launcher for gone."""
CLOCK_REAL_S = 1.0
PART_BYTES = 1 << 20


class Link:
    """One host, its nursery and its clock."""

    def __init__(self, host: Host, channel: Channel) -> None:
        self.host = host
        self.channel = channel
        self.facts: dict[str, Any] = {}  # what the nursery said when it came up
        self.clock = Offset(0, 0)
        self.drift_s: float | None = None  # of the clock, in the course of the run
        self.asked = False  # its end is our own doing
        self.told = False  # that it is lost

    def measure(self) -> Offset | None:
        """How far its clock is ahead of ours, now."""
        deadline = time.monotonic() + CLOCK_REAL_S

        def ask() -> int | None:
            answer = self.channel.answer(self.channel.question({"do": "clock"}), deadline)
            return None if answer is None else int(answer["ns"])

        return best(ask)

    def why(self) -> str:
        """Why it is lost."""
        return "its nursery is gone"

    def close(self, deadline: float) -> None:
        """After its channel was told to end: wait until then (monotonic seconds), and end it."""
        self.channel.close(deadline)


class Gathered(NamedTuple):
    """What became of a host's journals."""

    host: str
    why: str  # they could not be collected; empty: they were


class Many:
    """``where``: each agent's host. Whoever makes one brings the links up, and fetches what is left on their hosts."""

    sockets = ""
    nursery = 0

    def __init__(self, links: Iterable[Link], where: Mapping[str, str]) -> None:
        self._links = {link.host.name: link for link in links}
        self._where = where
        self._delivered: set[tuple[str, str]] = set()
        self._pinged = time.monotonic()

    def sites(self, agents: Sequence[str], run_dir: Path) -> dict[str, Site]:
        """In a folder that stands for the run directory on each host."""
        made = {}
        for agent in agents:
            facts = self._of(agent).facts
            made[agent] = Site(self._where[agent], facts["folder"], facts["sockets"])
        return made

    def reserve(self, servers: Sequence[str]) -> dict[str, str]:
        """At the address that the inventory gives each host."""
        found: dict[str, str] = {}
        for link in self._links.values():
            own = [server for server in servers if self._where[server] == link.host.name]
            command = {"do": "reserve", "address": link.host.address, "servers": own}
            answer = link.channel.ask(command, ANSWER_REAL_S) or {"error": "it does not answer"}
            if "error" in answer:
                raise UserError(
                    f"host {link.host.name}: no port at {link.host.address} for each of {len(own)} servers "
                    f"({answer['error']}); mend its address in the inventory"
                )
            found |= {name: f"tcp://{link.host.on_network}:{port}" for name, port in answer["ports"].items()}
        return found

    def deliver(self, agent: str, file: Path) -> None:
        """Once to each host, in parts."""
        link = self._of(agent)
        if (link.host.name, file.name) in self._delivered:
            return
        self._delivered.add((link.host.name, file.name))
        with file.open("rb") as source:
            while part := source.read(PART_BYTES):
                command = {"do": "put", "name": file.name, "data": part}
                answer = link.channel.ask(command, ANSWER_REAL_S) or {"error": "it does not answer"}
                if "error" in answer:
                    raise UserError(
                        f"host {link.host.name}: {file.name} could not be brought there ({answer['error']}); "
                        "make room, or name another folder in the inventory"
                    )

    def spawn(self, specs: Sequence[Any]) -> None:
        """Each on its host."""
        for spec in specs:
            link = self._of(spec["id"])
            start_ns = spec["start_ns"] and spec["start_ns"] + link.clock.ahead_ns
            link.channel.say({"do": "spawn", "spec": {**spec, "start_ns": start_ns}})

    def begin(self, at_ns: int) -> None:
        """At the same instant, by each host's own clock."""
        for link in self._links.values():
            message = {"tell": "start", "at_ns": at_ns + link.clock.ahead_ns}
            link.channel.say({"do": "tell", "to": None, "message": message})

    def tell(self, message: dict[str, object], to: str | None = None) -> None:
        """Pass a control message on."""
        for link in self._links.values() if to is None else [self._of(to)]:
            link.channel.say({"do": "tell", "to": to, "message": message})

    def signal(self, agent: str, number: int) -> None:
        """Pass a signal on."""
        self._of(agent).channel.say({"do": "signal", "id": agent, "signal": number})

    def restart(self, agent: str, orders: Sequence[dict[str, object]]) -> None:
        """Pass it on."""
        self._of(agent).channel.say({"do": "restart", "id": agent, "orders": list(orders)})

    def lose(self, host: str) -> None:
        """Its nursery, which its agents do not outlive."""
        link = self._links[host]
        link.asked = True
        link.channel.say({"do": "perish"})

    def deafen(self) -> None:
        """On every host."""
        for link in self._links.values():
            link.channel.say({"do": "deafen"})

    def end_by(self, at_ns: int) -> None:
        """By each host's own clock."""
        for link in self._links.values():
            link.channel.say({"do": "end_by", "at_ns": at_ns + link.clock.ahead_ns})

    def cpu_real_s(self) -> dict[str, float]:
        """Of those hosts that answer soon."""
        answers = self._ask_all(self._links, {"do": "cpu"})
        return {name: used for each in answers.values() if each for name, used in each["cpu_real_s"].items()}

    def look(self, pids: Mapping[str, int]) -> list[Seen]:
        """Every nursery looks, of its own children."""
        from ..audit.tables import unpacked

        wanted = {
            name: link
            for name, link in self._links.items()
            if any(self._where[each] == name for each in pids)
        }
        seen = []
        for name, answer in self._ask_all(wanted, {"do": "look"}).items():
            sockets = wanted[name].facts["sockets"]
            if answer is None or "error" in answer:
                seen.append(Seen(name, {}, sockets, None))
                continue
            seen.append(Seen(name, answer["pids"], sockets, unpacked(answer["tables"])))
        return seen

    def events(self, timeout_real_s: float) -> list[Event]:
        """What the nurseries have reported, and which of them are gone."""
        self._ping()
        events = self._heard()
        if not events:
            channels = [link.channel for link in self._links.values() if not link.channel.lost]
            for channel in select.select(channels, [], [], timeout_real_s)[0]:
                channel.listen(0.0)
            events = self._heard()
        return events

    def close(self) -> None:
        """End all agents everywhere, side by side."""
        for link in self._links.values():
            if link.facts and not link.channel.lost and (after := link.measure()):
                link.drift_s = after.ahead_s - link.clock.ahead_s
            link.channel.dismiss()
        deadline = time.monotonic() + QUIT_REAL_S
        for link in self._links.values():
            link.close(deadline)

    def keepers(self) -> list[dict[str, Any]]:
        """By the inventory and the folder there."""
        return [{**link.host._asdict(), "kept": link.facts["folder"]} for link in self._links.values()]

    def gather(self, run_dir: Path) -> dict[str, Any]:
        """Fetch journals; what is told of each host stands in ``launch.json``."""
        failed = {each.host: each.why for each in self.fetch(list(self._links.values()), run_dir)}
        return {
            name: {
                "address": link.host.address,
                "agents": sum(host == name for host in self._where.values()),
                "cores": link.facts["cores"],
                "system": link.facts["system"],
                "clock_ahead_s": link.clock.ahead_s,
                "clock_error_s": link.clock.error_s,
                "clock_drift_s": link.drift_s,
                "uncollected": failed[name],
            }
            for name, link in self._links.items()
        }

    def fetch(self, links: Sequence[Link], run_dir: Path) -> list[Gathered]:
        """Bring home what agents wrote."""
        raise NotImplementedError

    def _of(self, agent: str) -> Link:
        return self._links[self._where[agent]]

    def _ask_all(
        self, links: Mapping[str, Link], command: dict[str, Any]
    ) -> dict[str, dict[str, Any] | None]:
        """Side by side; None where no answer comes soon."""
        numbers = {name: link.channel.question(command) for name, link in links.items()}
        deadline = time.monotonic() + FIGURES_REAL_S
        return {name: link.channel.answer(numbers[name], deadline) for name, link in links.items()}

    def _ping(self) -> None:
        if time.monotonic() >= self._pinged + PING_REAL_S:
            self._pinged = time.monotonic()
            for link in self._links.values():
                link.channel.say({"do": "clock"})

    def _heard(self) -> list[Event]:
        events: list[Event] = []
        for name, link in self._links.items():
            events += link.channel.heard()
            if link.channel.lost and not link.told:
                link.told = True
                events.append({"event": "lost", "host": name, "why": link.why(), "asked": link.asked})
        return events
