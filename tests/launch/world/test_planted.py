"""Known bugs, planted one at a time: the harness must find each, or its silence proves nothing."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from gmsr.agents.dispatcher import Dispatcher
from gmsr.agents.ledger import Ledger
from gmsr.agents.server import Server
from gmsr.agents.view import View
from gmsr.broker.inlet import Inlet, Receiver
from gmsr.broker.wire import JOB, REPORT
from gmsr.launch.world import explore
from gmsr.launch.world.explore import fewest, play
from gmsr.launch.world.scenario import scenario

SEEDS = range(40)
Plant = Callable[[pytest.MonkeyPatch], None]


def a_lost_completion(patch: pytest.MonkeyPatch) -> None:
    """Now and then a dispatcher overlooks a completion."""
    complete = Ledger.complete

    def overlook(self: Ledger, server: int, job: int, now: float) -> float | None:
        return complete(self, server, job, now) if job % 97 != 50 else None

    patch.setattr(Ledger, "complete", overlook)


def a_double_count(patch: pytest.MonkeyPatch) -> None:
    complete = Ledger.complete

    def count_twice(self: Ledger, server: int, job: int, now: float) -> float | None:
        done = complete(self, server, job, now)
        self.completed += done is not None and job % 97 == 50
        return done

    patch.setattr(Ledger, "complete", count_twice)


def a_stuck_view(patch: pytest.MonkeyPatch) -> None:
    """A server that was away is never believed again."""
    reported, leave = View.reported, View.leave
    left: dict[int, tuple[View, set[int]]] = {}  # by identity; it holds the views, so that none is used again

    def note(self: View, number: int) -> None:
        left.setdefault(id(self), (self, set()))[1].add(number)
        leave(self, number)

    def ignore(self: View, number: int, values: Any, time: float = 0.0) -> None:
        if number not in left.get(id(self), (self, set()))[1]:
            reported(self, number, values, time)

    patch.setattr(View, "leave", note)
    patch.setattr(View, "reported", ignore)


def a_job_sent_again_twice(patch: pytest.MonkeyPatch) -> None:
    give_up = Dispatcher._give_up

    def twice(self: Dispatcher, job: int, *rest: Any, **options: Any) -> None:
        give_up(self, job, *rest, **options)
        for messages in self.outbox.values():
            messages += [message for message in messages if message[:2] == (JOB, job)]

    patch.setattr(Dispatcher, "_give_up", twice)


def a_report_out_of_order(patch: pytest.MonkeyPatch) -> None:
    """Reports in frames that were overtaken are believed all the same."""
    take = Inlet.take

    def take_late(
        self: Inlet, frames: Iterable[Any], now: float, machine: Receiver, begun: bool = True
    ) -> None:
        latest = dict(self._numbers)
        seen = [*frames, *(entry[2:] for entry in sorted(self.network._under_way) if entry[0] <= now)]
        late = [
            (peer, life, [message for message in messages if message[0] == REPORT])
            for peer, (life, number, messages) in seen
            if peer in latest and life == latest[peer][0] and number < latest[peer][1]
        ]
        take(self, frames, now, machine, begun)
        for peer, life, reports in late:
            machine.received(peer, life, reports, now)

    patch.setattr(Inlet, "take", take_late)


def a_server_that_forgets_a_job(patch: pytest.MonkeyPatch) -> None:
    """It leaves, and nobody is told."""
    write = Server._depart

    def forget(self: Server, now: float) -> None:
        before = self.departed
        write(self, now)
        if self.departed // 60 != before // 60 and self.outbox:
            self.outbox.pop(next(iter(self.outbox)))

    patch.setattr(Server, "_depart", forget)


def an_eternal_suspicion(patch: pytest.MonkeyPatch) -> None:
    """Whoever was away is not chosen again."""
    patch.setattr(View, "enter", lambda self, number: None)


PLANTS: list[Plant] = [
    a_lost_completion, a_double_count, a_stuck_view, a_job_sent_again_twice, a_report_out_of_order,
    a_server_that_forgets_a_job, an_eternal_suspicion,
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_the_harness_finds(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    assert any(play(scenario(seed)).broken for seed in SEEDS)


@pytest.mark.slow
def test_a_failing_schedule_is_shrunk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stuck view needs one fault: the others are left out."""
    a_stuck_view(monkeypatch)
    failing = next(drawn for drawn in map(scenario, SEEDS) if len(drawn.faults) > 2 and play(drawn).broken)
    assert len(explore.smaller(failing)) == 1


def test_shrinking_keeps_what_is_needed() -> None:
    faults: Any = tuple("abcdefg")
    kept: Any = fewest(faults, lambda some: {"b", "f"} <= set(some))
    assert kept == ("b", "f")
