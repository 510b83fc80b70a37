"""A fabric: real machines joined by perfect edges, under a clock that jumps to the next deadline.

No mocks: dispatchers and servers are the ones that processes run. Every message arrives at the instant it
was sent, in order, so that what happens is the model itself. Nobody is ever asked whether he lives.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import isnan
from random import Random
from typing import Any

import pytest

from gmsr.agents.dispatcher import Dispatcher
from gmsr.agents.feeds.every_change import EveryChange
from gmsr.agents.ledger import Ledger
from gmsr.agents.machine import NEVER, Machine
from gmsr.agents.offering import Offering
from gmsr.agents.policies import POLICIES
from gmsr.agents.server import Server
from gmsr.agents.sight import Sight
from gmsr.agents.spec import load
from gmsr.agents.suspicion import Suspicion
from gmsr.agents.terms import Service, Terms, Upkeep
from gmsr.agents.view import View
from gmsr.agents.workload import stream, workload
from gmsr.topology import curves

Row = tuple[float, ...]


class ListRows:
    """A journal in memory, with the interface of ``agents.journal.Rows``."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def open(self, number: int, peer: int, state: int, *rest: float) -> int:
        self.rows.append((number, peer, state, *rest))
        return len(self.rows) - 1

    def settle(self, place: int, number: int, peer: int, state: int, *rest: float) -> None:
        self.rows[place] = (number, peer, state, *rest)


class Fabric:
    """Builds and drives a testbed in memory; ``validating`` checks all invariants after every step."""

    def __init__(
        self,
        curve_of: Mapping[str, Mapping[str, object]],
        servers_of: Mapping[str, Sequence[str]],
        rates: Mapping[str, float],
        *,
        policy: str = "gmsr",
        options: Mapping[str, str] | None = None,
        scale: float = 1.0,
        widths: Mapping[str, float] | None = None,
        learns: bool = False,
        duration: float = 100.0,
        cooldown: float = 10.0,
        seed: int = 1,
        sizes: Mapping[str, Any] | None = None,
        weights: Mapping[str, Sequence[float]] | None = None,
        validating: bool = True,
    ) -> None:
        self.validating = validating
        self.now = 0.0
        self.journals: dict[str, ListRows] = {}
        self.machines: dict[str, Machine] = {}
        self.told: dict[str, list[tuple[Any, ...]]] = {}
        self.servers: dict[str, Server] = {}
        self.dispatchers: dict[str, Dispatcher] = {}
        chosen = load(POLICIES[policy])
        self.widths = widths or {}
        self.learns = learns
        for server, description in curve_of.items():
            mine = [dispatcher for dispatcher, servers in servers_of.items() if server in servers]
            self.servers[server] = self._server(server, description, mine, chosen.reads, scale)
        terms = Terms(duration, cooldown)
        size_spec: Any = {
            "kind": "exponential", "mean": 1.0, "sigma": 1.0, "alpha": 1.5, "ratio": 1000.0, "values": "",
        } | dict(sizes or {})  # fmt: skip
        for dispatcher, servers in servers_of.items():
            arrivals: Any = {
                "kind": "poisson", "rate": rates[dispatcher] * scale, "on": 1.0, "off": 1.0, "schedule": "",
            }  # fmt: skip
            view = View(servers, chosen.reads, (weights or {}).get(dispatcher, [1.0] * len(servers)))
            rows = self.journals.setdefault(dispatcher, ListRows())
            self.dispatchers[dispatcher] = Dispatcher(
                "run",
                dispatcher,
                Sight(view, partial(chosen, random=stream(seed, dispatcher, "policy"), **(options or {}))),
                Offering(workload(arrivals, size_spec, seed, dispatcher), terms),
                Ledger(rows, duration),
                Suspicion(NEVER, len(servers)),
                terms,
            )
        self.machines.update(self.servers)
        self.machines.update(self.dispatchers)

    def _server(
        self,
        name: str,
        description: Mapping[str, object],
        mine: list[str],
        reads: Sequence[str],
        scale: float,
    ) -> Server:
        service = Service(
            curves.make(dict(description)), scale, self.widths.get(name, 0.0), reads, self.learns
        )
        return Server(
            "run",
            mine,
            service,
            EveryChange(reads, False, Random(1)),
            self.journals.setdefault(name, ListRows()),
            Upkeep(),
        )

    def come_up(self) -> None:
        """Greetings until all edges are up."""
        for machine in self.machines.values():
            machine.knock()
        self.deliver()
        assert all(machine.ready for machine in self.machines.values())

    def deliver(self) -> None:
        """Carry messages until all outboxes are empty."""
        busy = True
        while busy:
            busy = False
            for name, machine in self.machines.items():
                if machine.outbox:
                    busy = True
                    outgoing = dict(machine.outbox)
                    machine.outbox.clear()
                    for peer, messages in outgoing.items():
                        self.told.setdefault(f"{name}>{peer}", []).extend(messages)
                        self.machines[peer].received(name, 1, messages, self.now)
                        self.machines[peer].advance(self.now)
            if self.validating:
                for machine in self.machines.values():
                    machine.validate()

    def run(self, until: float = NEVER) -> None:
        """From deadline to deadline until ``until``, or until all have said goodbye."""
        if not self.told:
            self.come_up()
        while not all(machine.finished for machine in self.machines.values()):
            nearest = min(self.machines.values(), key=lambda machine: machine.deadline())
            deadline = nearest.deadline()
            if deadline > until or deadline == NEVER:
                break
            self.now = max(self.now, deadline)
            nearest.advance(self.now)
            self.deliver()
        if until == NEVER:
            assert all(machine.finished for machine in self.machines.values())

    def workload(self, server: str, start: float, end: float) -> float:
        """Time average of the number of jobs at a server over [start, end], from its visits."""
        area = 0.0
        for _, _, _, arrived, departed, *_ in self.journals[server].rows:
            left = end if isnan(departed) else departed
            area += max(0.0, min(left, end) - max(arrived, start))
        return area / (end - start)


@pytest.fixture
def fabric() -> Callable[..., Fabric]:
    return Fabric
