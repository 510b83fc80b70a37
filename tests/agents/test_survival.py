"""Losses, deaths, second lives and farewells: real machines, every frame carried or lost by hand, no clock."""

from collections.abc import Callable
from functools import partial
from math import isnan
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmsr.agents import server as server_module
from gmsr.agents.dispatcher import Dispatcher
from gmsr.agents.feeds.every_change import EveryChange
from gmsr.agents.journal import (
    CAUSES,
    COMPLETED,
    DEPARTED,
    DROPPED,
    HELD,
    IN_FLIGHT,
    LOST,
    RESENT,
    RETURNED,
    UNHEARD,
)
from gmsr.agents.ledger import JOBS_A_LIFE, Ledger
from gmsr.agents.machine import Machine
from gmsr.agents.offering import Offering
from gmsr.agents.policies.gmsr import Gmsr
from gmsr.agents.server import SILENT_AFTER, Server
from gmsr.agents.sight import Sight
from gmsr.agents.suspicion import Suspicion
from gmsr.agents.terms import Service, Terms, Upkeep
from gmsr.agents.view import View
from gmsr.agents.workload import Scheduled
from gmsr.broker import wire
from gmsr.broker.wire import (
    ASK,
    BYE,
    COMPLETION,
    HELLO,
    JOB,
    LEAVING,
    MISSED,
    PING,
    REFUSED,
    WELCOME,
    Message,
)
from gmsr.topology import curves

from .conftest import ListRows

H = 0.1
CORES = {"kind": "multicore", "m": 1.0, "k": 4}
"""Each of up to four jobs is served at speed 1, and the marginal rate is 1 below four jobs and 0 above."""


class Street:
    """Dispatchers and servers, all edges between them; a test carries or loses each frame.

    ``jobs``: arrival and size of each dispatcher's jobs. Servers are ``s1`` to ``sN``.
    """

    def __init__(
        self,
        jobs: dict[str, list[tuple[float, float]]],
        servers: int = 1,
        *,
        again: bool = False,
        drop: bool = False,
        curve: dict[str, Any] | None = None,
        duration: float = 50.0,
    ) -> None:
        self.jobs = jobs
        self.again = again
        self.drop = drop
        self.curve = curve or CORES
        self.duration = duration
        self.names = [f"s{number + 1}" for number in range(servers)]
        self.lives: dict[str, int] = {}
        self.rows: dict[str, ListRows] = {}
        self.machines: dict[str, Machine] = {}
        self.gaps: set[tuple[str, str]] = set()  # edges on which the next frame finds one lost before it
        self.told: list[tuple[str, str, Message]] = []
        self.now = 0.0
        self.fate: Callable[[], bool] = lambda: False  # whether a frame is lost
        for name in self.names:
            self.server(name)
        for name in jobs:
            self.dispatcher(name)
        for machine in self.machines.values():
            machine.knock()
        self.exchange()
        assert all(machine.ready for machine in self.machines.values())

    def server(self, name: str, life: int = 1) -> Server:
        service = Service(curves.make(self.curve), 1.0, 0.0, Gmsr.reads)
        upkeep = Upkeep(H, self.duration + 1.0, self.drop)
        self.begin(name, life)
        made = Server(
            "run",
            list(self.jobs),
            service,
            EveryChange(Gmsr.reads, False, Random(1)),
            self.rows[name],
            upkeep,
        )
        self.machines[name] = made
        return made

    def dispatcher(self, name: str, life: int = 1, born: float = 0.0) -> Dispatcher:
        self.begin(name, life)
        flat = [value for job in self.jobs[name] for value in job]
        terms = Terms(self.duration, 1.0, born, self.again)
        made = Dispatcher(
            "run",
            name,
            Sight(
                View(self.names, Gmsr.reads, [1.0] * len(self.names)),
                partial(Gmsr, random=Random(1), ties="inflight"),
            ),
            Offering(Scheduled(flat, None), terms),
            Ledger(self.rows[name], self.duration, life),
            Suspicion(H, len(self.names), born),
            terms,
        )
        self.machines[name] = made
        return made

    def begin(self, name: str, life: int) -> None:
        self.lives[name] = life
        self.rows.setdefault(name, ListRows())
        if life > 1:
            self.rows[name] = ListRows()

    def carry(self, sender: str, receiver: str) -> list[Message]:
        """One frame, as the loop of the receiver takes it. Returns what was in it."""
        messages = self.machines[sender].outbox.pop(receiver, [])
        if messages:
            wire.count(messages, None)  # the wire would take it
            self.told += [(sender, receiver, message) for message in messages]
            if (sender, receiver) in self.gaps:
                self.gaps.discard((sender, receiver))
                self.machines[receiver].missed(sender)
            self.machines[receiver].received(sender, self.lives[sender], messages, self.now)
            self.machines[receiver].advance(self.now)
        for machine in self.machines.values():
            machine.validate()
        return messages

    def lose(self, sender: str, receiver: str) -> list[Message]:
        """One frame, on its way."""
        messages = self.machines[sender].outbox.pop(receiver, [])
        if messages:
            self.gaps.add((sender, receiver))
        return messages

    def exchange(self, *cut: str) -> None:
        """All frames, until nobody has any; those from and to who is ``cut`` off or dead are lost."""
        while any(machine.outbox for machine in self.machines.values()):
            for name, machine in self.machines.items():
                for peer in list(machine.outbox):
                    if name in cut or peer in cut or self.fate():
                        self.lose(name, peer)
                    else:
                        self.carry(name, peer)

    def go(self, until: float, *cut: str) -> None:
        """Time passes from deadline to deadline; who is cut off stands still."""
        awake = {name: machine for name, machine in self.machines.items() if name not in cut}
        while (deadline := min(machine.deadline() for machine in awake.values())) <= until:
            self.now = max(self.now, deadline)
            for machine in awake.values():
                machine.advance(self.now)
            self.exchange(*cut)
            if all(machine.finished for machine in awake.values()):
                return
        self.now = until

    def turn(self, now: float) -> None:
        """Time passes; what is due is said, and not yet carried."""
        self.now = now
        for machine in self.machines.values():
            machine.advance(now)

    def __getitem__(self, name: str) -> Any:
        return self.machines[name]

    def losses(self, name: str = "d1") -> Any:
        return self[name].statement()["lost"]

    def events(self, name: str = "d1") -> list[tuple[str, str]]:
        return [(what, server) for _, what, server in self[name].statement()["events"]]

    def states(self, name: str) -> list[int]:
        return [int(row[2]) for row in self.rows[name].rows]

    def kinds(self, sender: str, receiver: str) -> list[int]:
        return [message[0] for one, other, message in self.told if (one, other) == (sender, receiver)]


def lost(cause: str) -> int:
    return LOST + CAUSES.index(cause)


def one(*jobs: tuple[float, float], **terms: Any) -> Street:
    return Street({"d1": list(jobs)}, **terms)


# Losses on an edge


def test_a_lost_job_is_noticed_at_the_next_frame_and_booked() -> None:
    street = one((1.0, 1.0), (1.02, 1.0))
    street.go(0.99)
    street.turn(1.0)
    assert street.lose("d1", "s1") == [(JOB, 0, 1.0)]
    street.turn(1.02)
    street.carry("d1", "s1")
    assert (MISSED,) in street.carry("s1", "d1")
    street.go(1.2)
    assert street.losses() == {"transit": 1}
    assert street.states("d1") == [lost("transit"), IN_FLIGHT]
    street.go(3.0)
    assert street["d1"].ledger.counts() == {"offered": 2, "completed": 1, "in_flight": 0, "lost": 1}
    assert street.events() == [], "nobody was suspected"


def test_a_lost_job_is_noticed_though_nothing_follows() -> None:
    street = one((1.0, 1.0))
    street.go(0.99)
    street.turn(1.0)
    street.lose("d1", "s1")
    street.go(1.5)
    assert street.losses() == {"transit": 1}


def test_a_lost_completion_is_noticed_and_booked_as_lost() -> None:
    street = one((1.0, 1.0))
    street.go(1.99)
    street.turn(2.0)
    assert (COMPLETION, 0) in street.lose("s1", "d1")
    street.go(2.5)
    assert street.losses() == {"transit": 1}
    assert street.states("s1") == [DEPARTED]
    assert street["d1"].view.inflight == [0]


def test_what_is_held_is_not_lost() -> None:
    """A report is lost; the inventory finds all jobs where they should be, and those sent meanwhile too."""
    street = one((1.0, 9.0), (1.02, 9.0), (1.3, 9.0))
    street.go(1.01)
    street.turn(1.02)
    street.carry("d1", "s1")
    street["s1"].outbox.setdefault("d1", []).append((MISSED,))
    street.lose("s1", "d1")
    street.go(2.0)
    assert ASK in street.kinds("d1", "s1")
    assert street["d1"].status()["in_flight"] == 3
    street.go(20.0)
    assert street["d1"].status()["completed"] == 3


def test_a_lost_report_is_mended_by_the_inventory() -> None:
    street = Street({"d1": [], "d2": [(1.0, 9.0), (1.0, 9.0), (1.0, 9.0), (1.0, 9.0)]})
    street.go(0.9)
    assert street["d1"].view.column("marginal") == [1.0]
    street.turn(1.0)
    street.carry("d2", "s1")
    street.lose("s1", "d1")
    street.go(1.5)
    assert street["d1"].view.column("marginal") == [0.0]


def test_an_inventory_of_many_parts_is_whole_or_void() -> None:
    street = one(*[(1.0, 9.0)] * 100)
    street.go(1.0)
    street["d1"].missed("s1")
    street.now = 1.2
    street["d1"].advance(1.2)
    assert ASK in [kind for kind, *_ in street.carry("d1", "s1")]
    parts = street["s1"].outbox["d1"]
    street["s1"].outbox["d1"] = parts[:2]
    street.carry("s1", "d1")
    assert street["d1"].suspicion.peers[0].doubt
    street["s1"].outbox["d1"] = parts[2:4]
    street.lose("s1", "d1")
    street["s1"].outbox["d1"] = parts[4:]
    street.carry("s1", "d1")
    assert street["d1"].suspicion.peers[0].doubt, "part of it was lost"
    assert street["d1"].status()["in_flight"] == 100
    street.go(2.0)
    assert not street["d1"].suspicion.peers[0].doubt
    assert street["d1"].status()["in_flight"] == 100


def test_a_slow_edge_is_mended_too() -> None:
    """A round trip of three heartbeats: other questions are under way when the first answer comes."""
    street = one((1.0, 9.0), (1.0, 9.0))
    street.go(0.99)
    street.turn(1.0)
    street.lose("d1", "s1")
    street["d1"].suspicion.peers[0].doubt = True
    waiting: list[tuple[float, list[Message]]] = []
    while street.now < 2.0:
        street.turn(street.now + 0.05)
        street.carry("d1", "s1")
        answer = street["s1"].outbox.pop("d1", [])
        waiting.append((street.now + 0.3, answer))
        while waiting and waiting[0][0] <= street.now:
            street["d1"].received("s1", 1, waiting.pop(0)[1], street.now)
    assert street.losses() == {"transit": 2}


# At least once


def test_what_may_be_lost_is_sent_again_elsewhere_and_booked_once() -> None:
    street = one((1.0, 2.0), servers=2, again=True)
    street.go(0.99)
    street.turn(1.0)
    assert street.lose("d1", "s1") == [(JOB, 0, 2.0)]
    street["s2"].outbox.clear()
    street.go(1.5)
    assert street.losses() == {}
    assert street.states("d1") == [RESENT, IN_FLIGHT]
    street.go(5.0)
    assert street["d1"].ledger.counts() == {"offered": 1, "completed": 1, "in_flight": 0, "lost": 0}
    assert street["d1"].statement()["resent"] == 1
    first, second = street.rows["d1"].rows
    assert first[3] == second[3] == 1.0, "one arrival"
    assert first[4] == 1.0 < second[4]
    assert isnan(first[5])


def test_a_server_that_falls_silent_loses_its_jobs_to_another() -> None:
    """It was only cut off: what it completes meanwhile and tells later changes nothing."""
    street = one((1.0, 1.0), (1.0, 1.0), servers=2, again=True)
    street.go(1.0)
    mine = [row[1] for row in street.rows["d1"].rows]
    assert mine == [0, 1]
    street.go(5.0, "s1")
    assert street.events() == [("suspect", "s1"), ("dead", "s1")]
    assert street["d1"].statement()["resent"] == 1
    street.go(7.0)
    assert street.events()[2:] == [("back", "s1")]
    statement = street["d1"].statement()
    assert (statement["completed"], statement["lost"], statement["in_flight"]) == (2, {}, 0)
    assert statement["strays"] == 1
    assert street["d1"].view.servers == ["s2", "s1"]
    fates = [row for row in street.rows["d1"].rows if row[2] == COMPLETED]
    assert sorted(row[0] for row in fates) == [0, 1]


def test_jobs_of_the_dead_wait_for_somebody_to_go_to() -> None:
    street = one((1.0, 1.0), servers=2, again=True)
    street.go(1.0)
    street.go(5.0, "s1", "s2")
    assert street.events() == [("suspect", "s1"), ("suspect", "s2"), ("dead", "s1"), ("dead", "s2")]
    assert street["d1"].status()["in_flight"] == 1, "it is not lost while it may be sent again"
    street.go(7.0, "s1")
    assert street["d1"].status()["completed"] == 1
    assert street.states("d1") == [RESENT, COMPLETED]


def test_what_finds_no_way_goes_elsewhere() -> None:
    street = one((1.0, 1.0), servers=2, again=True)
    street.go(0.99)
    street.turn(1.0)
    street["d1"].unsent("s1", street["d1"].outbox.pop("s1"), 1.0, "unroutable")
    assert street.states("d1") == [RETURNED, IN_FLIGHT]
    assert street.carry("d1", "s2") == [(JOB, 0, 1.0)]
    assert street["d1"].view.servers == ["s2"]


def test_a_queue_that_is_full_is_no_reason_to_flood_another() -> None:
    street = one((1.0, 1.0), servers=2, again=True)
    street.go(0.99)
    street.turn(1.0)
    street["d1"].unsent("s1", street["d1"].outbox.pop("s1"), 1.0, "full")
    assert street.losses() == {"full": 1}
    assert street["d1"].view.servers == ["s1", "s2"]


# Silence and second lives


def test_a_silent_server_is_chosen_no_more_and_what_is_there_is_given_up() -> None:
    street = one((1.0, 9.0), *[(1.5 + 0.1 * number, 0.01) for number in range(20)], servers=2)
    street.go(1.0)
    street.go(5.0, "s1")
    assert street.events() == [("suspect", "s1"), ("dead", "s1")]
    assert street.losses() == {"dead": 1}
    assert street["d1"].status()["completed"] == 20
    assert {row[1] for row in street.rows["d1"].rows[1:]} == {1}


def test_when_all_are_dead_there_is_nobody() -> None:
    street = one((1.0, 9.0), (5.0, 1.0), (6.0, 1.0))
    street.go(1.0)
    street.go(6.5, "s1")
    assert street.losses() == {"dead": 1, "nobody": 2}
    assert street.states("d1") == [lost("dead"), lost("nobody"), lost("nobody")]
    street.go(8.0)
    assert street.events() == [("suspect", "s1"), ("dead", "s1"), ("back", "s1")]
    assert street["d1"].view.servers == ["s1"]


def test_a_server_that_was_started_again_has_none_of_its_jobs() -> None:
    street = one((1.0, 9.0), (3.0, 1.0))
    street.go(1.2)
    street.server("s1", life=2)
    street["s1"].outbox["d1"] = [(COMPLETION, 0)]
    street.carry("s1", "d1")
    assert street["d1"].refused == 1, "a life that has not welcomed us is a stranger"
    street.go(2.9)
    assert ("reborn", "s1") in street.events()
    assert street.losses() == {"dead": 1}
    assert street["s1"].status()["arrived"] == 0
    street.go(5.0)
    assert street["d1"].status()["completed"] == 1


def test_a_reborn_server_may_get_its_jobs_again() -> None:
    street = one((1.0, 2.0), again=True)
    street.go(1.2)
    street.server("s1", life=2)
    street.go(5.0)
    assert street["d1"].status()["completed"] == 1
    assert street.states("d1") == [RESENT, COMPLETED]


def test_a_dispatcher_that_was_started_again_begins_anew() -> None:
    street = one((1.0, 3.0), (1.5, 1.0), (2.5, 1.0))
    street.go(1.2)
    reborn = street.dispatcher("d1", life=2, born=2.0)
    assert reborn.statement()["closed_door"] == 2
    assert reborn.view.servers == []
    street.now = 2.0
    street.go(2.2)
    assert reborn.view.servers == ["s1"]
    street.go(10.0)
    statement = reborn.statement()
    assert (statement["offered"], statement["completed"]) == (1, 1)
    assert street.rows["d1"].rows[0][0] == JOBS_A_LIFE
    assert statement["strays"] == 1, (
        "the end of the first life's job is told to the second, which knows it not"
    )
    assert street.states("s1") == [DEPARTED, DEPARTED]


def test_a_server_may_be_asked_not_to_work_for_the_dead() -> None:
    street = one((1.0, 3.0), (2.5, 1.0), drop=True)
    street.go(1.2)
    street.dispatcher("d1", life=2, born=2.0)
    street.now = 2.0
    street.go(10.0)
    assert street.states("s1") == [DROPPED, DEPARTED]
    assert street["s1"].statement()["dropped"] == 1
    assert street["d1"].statement()["strays"] == 0


def test_a_life_that_has_not_greeted_is_a_stranger() -> None:
    street = one()
    street["s1"].received("d1", 2, [(JOB, 0, 1.0), (PING, 1)], 1.0)
    assert street["s1"].refused == 2
    assert street["s1"].outbox == {}
    street["s1"].received("d1", 2, [(HELLO, "run", "d1"), (JOB, 0, 1.0)], 1.0)
    assert (WELCOME, "run") in street["s1"].outbox["d1"]
    assert street["s1"].status()["held"] == 1


@pytest.mark.parametrize("drop", [False, True])
def test_a_silent_dispatcher(drop: bool) -> None:
    """Its jobs are thrown out if that was asked; when it speaks again it learns what is left."""
    street = one((1.0, 30.0), (1.0, 30.0), drop=drop)
    street.go(1.0)
    silent = SILENT_AFTER * H
    street.go(1.0 + silent - 0.2, "d1")
    assert street["s1"].status()["held"] == 2
    street.go(1.0 + silent + 1.0, "d1")
    assert street["s1"].status()["held"] == (0 if drop else 2)
    assert street.states("s1") == [DROPPED if drop else HELD] * 2
    street.go(6.0)
    assert MISSED in street.kinds("s1", "d1")
    assert street.losses() == ({"transit": 2} if drop else {})
    assert street["d1"].status()["in_flight"] == (0 if drop else 2)


def test_a_silent_dispatcher_is_told_of_no_change_until_it_speaks() -> None:
    street = Street({"d1": [], "d2": [(10.0, 1.0)] * 4})
    street.go(1.0)
    street.go(9.0, "d1")
    street.told.clear()
    street.turn(10.0)
    street.carry("d2", "s1")
    assert list(street["s1"].outbox) == ["d2"]
    assert street["s1"].outbox["d2"][-1] == (wire.REPORT, 10.0, 0.0)
    street.now = 10.1
    street["d1"].outbox["s1"] = [(PING, 1)]
    street.carry("d1", "s1")
    assert street["s1"].outbox["d1"][0] == (wire.REPORT, 10.1, 0.0)


def test_nobody_is_blamed_by_a_server_that_overslept() -> None:
    street = one((1.0, 300.0), drop=True)
    street.go(1.0)
    street.now = 40.0
    street["s1"].advance(40.0)
    street["s1"].advance(41.0)
    assert street["s1"].status()["held"] == 1


# The end


def test_a_run_ends_though_a_server_is_dead() -> None:
    street = one((1.0, 1.0), servers=2, duration=5.0)
    street.go(3.0)
    street.go(20.0, "s1")
    assert street["d1"].finished
    assert street["s2"].finished
    assert street.now < 5.0 + 1.0 + 10 * H * 2.5


def test_a_server_that_was_never_met_keeps_nobody() -> None:
    street = one(duration=5.0)
    street.go(1.0)
    street["d1"].order({"tell": "join", "peer": "s9", "weight": 1.0}, 1.0)
    street.machines["s9"] = Server(
        "run",
        [],
        Service(curves.make(CORES), 1.0, 0.0, ()),
        EveryChange(Gmsr.reads, False, Random(1)),
        ListRows(),
        Upkeep(),
    )
    street.go(20.0, "s9")
    assert street["d1"].finished


def test_a_server_that_dies_after_the_goodbyes_keeps_nobody() -> None:
    street = one(duration=5.0)
    street.go(4.99)
    street.turn(5.0)
    assert (BYE,) in street.lose("d1", "s1")
    street.go(20.0, "s1")
    assert street["d1"].finished
    assert street.events() == [], "beliefs in the end are no news"


def test_a_goodbye_that_gets_lost_is_said_again() -> None:
    street = one(duration=5.0)
    street.go(4.99)
    street.turn(5.0)
    street.lose("d1", "s1")
    street.go(5.2)
    assert street["s1"].finished
    assert street["d1"].finished


def test_an_answer_to_a_goodbye_that_gets_lost_is_given_again() -> None:
    street = one(duration=5.0)
    street.go(4.99)
    street.turn(5.0)
    street.carry("d1", "s1")
    assert (BYE,) in street.lose("s1", "d1")
    street.go(5.2)
    assert street["d1"].finished


def test_the_last_words_of_a_server_that_has_left_are_waited_for_a_round_trip() -> None:
    street = one((4.5, 9.0), duration=5.0)
    street.go(5.99)
    street["d1"].suspicion.peers[0].round_trip = 0.6
    street.turn(
        6.0
    )  # both have said goodbye; the edge holds the server's for another 0.3 s, and it is gone by now
    for now in (6.0, 6.1, 6.2):
        street.now = now
        street["d1"].unsent("s1", [(BYE,)], now, "unroutable")
        assert not street["d1"].finished
    street["d1"].received("s1", 1, [(COMPLETION, 0), (BYE,)], 6.3)
    assert street["d1"].finished
    assert street["d1"].status()["completed"] == 1


def test_a_server_that_left_without_a_word_is_not_waited_for_longer() -> None:
    street = one(duration=5.0)
    street.go(4.99)
    street["d1"].suspicion.peers[0].round_trip = 0.6
    street.turn(5.0)
    street["d1"].unsent("s1", street["d1"].outbox.pop("s1"), 5.0, "unroutable")
    street["d1"].unsent("s1", [(BYE,)], 5.5, "unroutable")
    assert not street["d1"].finished
    street["d1"].unsent("s1", [(BYE,)], 5.7, "unroutable")
    assert street["d1"].finished


def test_a_server_ends_when_only_the_silent_are_left_after_its_end() -> None:
    street = Street({"d1": [], "d2": [(1.0, 60.0)]}, duration=5.0)
    street.go(2.0)
    street.go(5.5, "d2")
    assert street["d1"].finished
    assert not street["s1"].finished, "d2 may come back until the end"
    street.go(20.0, "d2")
    assert street["s1"].finished
    assert 6.0 <= street.now <= 7.0
    street.now = 70.0
    street["s1"].advance(70.0)
    assert street.states("s1") == [UNHEARD]
    assert street["s1"].statement()["held"] == {"d1": 0, "d2": 1}


def test_who_never_came_is_not_waited_for_after_the_end() -> None:
    made = Server(
        "run",
        ["d1"],
        Service(curves.make(CORES), 1.0, 0.0, ()),
        EveryChange(Gmsr.reads, False, Random(1)),
        ListRows(),
        Upkeep(H, 5.0),
    )
    while not made.finished:
        made.advance(made.deadline())
    assert made.deadline() <= 6.0


# Leaving


def test_a_server_that_leaves_gets_nothing_new_and_is_parted_from() -> None:
    street = one((1.0, 3.0), (2.0, 1.0), (2.1, 1.0), servers=2)
    street.go(1.5)
    leaving = "s1"
    assert street.rows["d1"].rows[0][1] == 0
    street[leaving].order({"tell": "drain"}, street.now)
    street.exchange()
    assert street["d1"].view.servers == ["s2"]
    street.go(3.9)
    assert not street[leaving].finished, "it works off what it has"
    street.go(4.5)
    assert street[leaving].finished
    assert street.events() == [("leaving", "s1"), ("gone", "s1")]
    assert street["d1"].status()["completed"] == 3
    assert street.kinds("d1", "s1").count(JOB) == 1
    street.go(60.0)
    assert street["d1"].finished


def test_who_does_not_hear_that_a_server_leaves_is_told_again() -> None:
    street = one(servers=2)
    street.go(1.0)
    street["s1"].order({"tell": "drain"}, street.now)
    assert street.lose("s1", "d1") == [(LEAVING,)]
    street.go(2.5)
    assert street["s1"].finished
    assert street["d1"].view.servers == ["s2"]


def test_who_greets_a_server_that_leaves_is_told_at_once() -> None:
    street = one(servers=2)
    street.go(1.0)
    street["s1"].order({"tell": "drain"}, street.now)
    street["s1"].outbox.clear()
    street["s1"].received("d1", 2, [(HELLO, "run", "d1")], street.now)
    assert [kind for kind, *_ in street["s1"].outbox["d1"]] == [WELCOME, wire.REPORT, LEAVING]


def test_a_dispatcher_that_leaves_waits_for_its_jobs() -> None:
    street = one((1.0, 3.0), (2.0, 1.0))
    street.go(1.5)
    street["d1"].order({"tell": "drain"}, 1.5)
    street.go(3.9)
    assert not street["d1"].finished
    street.go(4.1)
    assert street["d1"].finished
    assert street["d1"].ledger.counts() == {"offered": 1, "completed": 1, "in_flight": 0, "lost": 0}


def test_a_dispatcher_that_leaves_does_not_wait_beyond_the_end() -> None:
    street = one((1.0, 100.0), duration=5.0)
    street.go(1.5)
    street["d1"].order({"tell": "drain"}, 1.5)
    street.go(20.0)
    assert street["d1"].finished
    assert street.now == 6.0
    assert street["d1"].status()["in_flight"] == 1


def test_a_server_that_joins_is_greeted_and_chosen() -> None:
    street = one((1.0, 1.0), *[(2.0 + number, 5.0) for number in range(8)])
    street.go(1.0)
    street.server("s2")
    street["d1"].order({"tell": "join", "peer": "s2", "weight": 1.0}, 1.0)
    assert street["d1"].view.servers == ["s1"], "not before it has welcomed us"
    street.go(20.0)
    assert street["d1"].view.servers == ["s1", "s2"]
    assert {row[1] for row in street.rows["d1"].rows} == {0, 1}
    assert street["d1"].status()["completed"] == 9


def test_a_dispatcher_that_joins_is_served() -> None:
    street = one()
    street.go(1.0)
    street["s1"].order({"tell": "join", "peer": "d2"}, 1.0)
    street["s1"].received("d2", 1, [(HELLO, "run", "d2"), (JOB, 0, 1.0)], 1.0)
    street["s1"].validate()
    assert street["s1"].outbox["d2"][0] == (WELCOME, "run")
    assert street["s1"].status()["held"] == 1


# Limits


def test_a_server_refuses_what_it_cannot_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "MOST_HELD", 3)
    street = one(*[(1.0, 5.0)] * 5, (10.0, 1.0))
    street.go(1.2)
    assert street.kinds("s1", "d1").count(REFUSED) == 2
    assert street.losses() == {"refused": 2}
    assert street["s1"].status().items() >= {"arrived": 3, "departed": 0, "held": 3}.items()
    street.go(12.0)
    assert street["d1"].ledger.counts() == {"offered": 6, "completed": 4, "in_flight": 0, "lost": 2}
    assert street.states("d1") == [COMPLETED] * 3 + [lost("refused")] * 2 + [COMPLETED]


# What the operator changes, exactly


def departures(street: Street) -> list[float]:
    return [row[4] for row in street.rows["s1"].rows]


def test_slow_changes_departures_exactly() -> None:
    """Two jobs of 2 and 4, one server of speed 1: 2 × 1/2 are done at 2; then it works half as fast."""
    street = one((1.0, 2.0), (1.0, 4.0), curve={"kind": "multicore", "m": 1.0, "k": 1})
    street.go(3.0)
    street["s1"].order({"tell": "slow", "factor": 0.5}, 3.0)
    # Left: 1 and 3. At 1/4 each the first goes after 4 s, with 2 left of the other, which is alone then.
    street.go(30.0)
    assert departures(street) == [pytest.approx(7.0), pytest.approx(11.0)]


def test_a_change_is_from_its_instant_though_it_is_told_late() -> None:
    """Departures that were due before keep the old rate."""
    street = one((1.0, 1.0), (1.0, 3.0), curve={"kind": "multicore", "m": 1.0, "k": 2})
    street.go(1.0)
    street["s1"].order({"tell": "slow", "factor": 0.25}, 3.0)
    street.now = 3.0
    street.go(30.0)
    assert departures(street) == [2.0, pytest.approx(7.0)]


def test_another_curve_takes_the_place_of_the_first() -> None:
    street = one((1.0, 3.0), curve={"kind": "multicore", "m": 1.0, "k": 1})
    street.go(2.0)
    street["s1"].order({"tell": "slow", "curve": {"kind": "multicore", "m": 4.0, "k": 1}}, 2.0)
    street.exchange()
    street["s1"].advance(2.0)
    street.exchange()
    street.go(9.0)
    assert departures(street) == [pytest.approx(2.5)]
    assert street["d1"].view.column("marginal") == [4.0]


def test_a_pause_stands_still_and_a_resumption_goes_on() -> None:
    street = one((1.0, 2.0), (4.0, 1.0), curve={"kind": "multicore", "m": 1.0, "k": 2})
    street.go(2.0)
    street["s1"].order({"tell": "pause"}, 2.0)
    street.go(5.0)
    assert [isnan(each) for each in departures(street)] == [True, True]
    street["s1"].order({"tell": "resume"}, 5.5)
    street.now = 5.5
    street.go(9.0)
    assert departures(street) == [pytest.approx(6.5), pytest.approx(6.5)]


def test_slow_and_back_is_as_before() -> None:
    street = one((1.0, 2.0), (10.0, 2.0))
    street.go(0.5)
    street["s1"].order({"tell": "slow", "factor": 2.0}, 0.5)
    street.go(5.0)
    street["s1"].order({"tell": "slow", "factor": 1.0}, 5.0)
    street.go(20.0)
    assert departures(street) == [2.0, 12.0]


def arrivals(street: Street) -> list[float]:
    return [row[3] for row in street.rows["d1"].rows]


def test_a_surge_changes_arrivals_exactly() -> None:
    street = one(*[(1.0 + number, 0.1) for number in range(8)])
    street.go(2.5)
    street["d1"].order({"tell": "surge", "factor": 4.0}, 2.5)
    street.go(3.0)
    street["d1"].order({"tell": "surge", "factor": 1.0}, 3.0)
    street.go(30.0)
    # 0.5 s at four times the rate take what was to come until 4.5; the rest is 1.5 s earlier.
    assert arrivals(street) == pytest.approx([1.0, 2.0, 2.625, 2.875, 3.5, 4.5, 5.5, 6.5])


def test_a_surge_leaves_alone_what_was_due_before_it() -> None:
    street = one((1.0, 0.1), (2.0, 0.1))
    street.go(0.5)
    street.now = 1.5
    street["d1"].order({"tell": "surge", "factor": 2.0}, 1.5)
    street.go(5.0)
    assert arrivals(street) == [1.0, 1.75]


def test_a_surge_below_one_thins() -> None:
    street = one((1.0, 0.1), (2.0, 0.1), (3.0, 0.1))
    street.go(1.0)
    street["d1"].order({"tell": "surge", "factor": 0.5}, 1.0)
    street.go(9.0)
    assert arrivals(street) == [1.0, 3.0, 5.0]


@pytest.mark.parametrize(
    "order",
    [
        {"tell": "dance"},
        {"tell": "slow", "factor": 0.0},
        {"tell": "slow", "factor": float("inf")},
        {"tell": "surge", "factor": float("nan")},
        {"tell": "surge", "factor": "3"},
        {"tell": "join"},
        {},
    ],
)
def test_orders_that_make_no_sense_are_passed_over(order: dict[str, Any]) -> None:
    street = one((1.0, 1.0), (2.0, 1.0))
    for machine in street.machines.values():
        machine.order(order, 0.5)
    street.go(9.0)
    assert (arrivals(street), departures(street)) == ([1.0, 2.0], [2.0, 3.0])


# Whatever is lost


@pytest.mark.slow
@given(st.integers(0, 10**6), st.sampled_from((0.05, 0.3, 0.7)), st.booleans(), st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_whatever_is_lost_every_job_has_one_fate_and_all_come_to_an_end(
    seed: int, share: float, again: bool, servers: int
) -> None:
    """Frames are lost until 20 s. Invariants hold at each step; then all is mended, and a job is known to be done."""
    random = Random(seed)
    jobs = [(random.uniform(0.5, 22.0), random.uniform(0.1, 2.0)) for _ in range(40)]
    street = Street({"d1": sorted(jobs), "d2": []}, servers, again=again, duration=30.0)
    street.fate = lambda: random.random() < share and street.now < 20.0
    street.go(29.9)
    assert not any(peer.doubt for peer in street["d1"].suspicion.peers)
    assert street["d1"].view.servers, "all is well again"
    statement = street["d1"].statement()
    assert statement["in_flight"] == 0
    assert statement["offered"] == 40 == statement["completed"] + sum(statement["lost"].values())
    fates = [row for row in street.rows["d1"].rows if row[2] not in (RESENT, RETURNED)]
    assert sorted(row[0] for row in fates) == list(range(40))
    late = [row for row in fates if row[3] > 21.5]
    assert all(row[2] == COMPLETED for row in late), "nothing is lost when nothing is lost"
    if again:
        assert set(statement["lost"]) <= {"nobody", "transit", "dead"}
    street.go(60.0)
    assert all(machine.finished for machine in street.machines.values())
