"""A session: a tape drives one machine through its inlet, and everything is looked at after each event.

Calls obey the contract of ``agents/machine.py``: time never falls, nothing but greetings before the start, a driver
that sends what is in the outbox and hands back what could not go. What comes in obeys nothing.
"""

from collections import Counter
from collections.abc import Sequence
from math import isnan
from random import Random
from typing import Any

from gmsr.agents.machine import NEVER
from gmsr.broker.census import Census
from gmsr.broker.impair import Impairment
from gmsr.broker.inlet import Inlet
from gmsr.broker.wire import BYE, HELLO, KIND_NAMES, MAX_LIFE, WELCOME, Message, WireError, decode, encode

from .frames import DISPATCHERS_VIEW, RUN, SERVERS_VIEW, Writer
from .specs import CheckedRows
from .tape import Tape

MOST_EVENTS = 64
MOST_ROUNDS = 100
"""Of sending: what could not go is sent elsewhere, or nowhere, in the end."""
STEPS_S = (0.0, 1e-9, 0.01, 0.06, 0.1, 0.3, 1.0, 4.0)
FAR_S = (1e3, 1e6, 1e9, 1e12)
LONGEST_SILENCE = 24
"""In deadlines: after two of the longest a peer is given up."""
PEOPLE = 6
"""So many peers at most: those of the specification and those that join."""
DELAYS: tuple[dict[str, float], ...] = ({}, {"s1": 0.03, "d1": 0.03})
CHANGES: tuple[dict[str, float], ...] = (
    {"loss": 0.5}, {"delay": 0.2}, {"jitter": 0.5}, {"duplicate": 0.7}, {"reorder": 0.7}, {"cut": 1.0},
    dict(Impairment()._asdict()),
)  # fmt: skip
CAUSES = ("", "unroutable", "full")

Seen = Counter[str]
"""What a session came to, for the test of the corpus."""


def whole(order: dict[str, Any]) -> bool:
    """Whether an order to let somebody join is one that a machine obeys."""
    match order:
        case {"tell": "join", "peer": str(), "weight": float(weight)}:
            return 0.0 <= weight < NEVER
    return False


class Session:
    """One machine and its peers."""

    def __init__(self, tape: Tape, machine: Any, spec: dict[str, Any], rows: CheckedRows, seen: Seen) -> None:
        self.tape = tape
        self.machine = machine
        self.rows = rows
        self.seen = seen
        self.dispatches = "servers" in spec
        self.now: float = spec["born"]
        self._begun = bool(spec["born"])
        self._steps = STEPS_S if self.dispatches and spec["arrivals"]["rate"] else STEPS_S + FAR_S
        self._census = Census()
        self._inlet = Inlet(self._census, tape.pick(DELAYS), Random(tape.byte()))
        self._writers: list[Writer] = []
        self._closed: dict[str, str] = {}
        for name in spec["servers"] if self.dispatches else spec["dispatchers"]:
            self.meet(name)

    def meet(self, name: str) -> None:
        """One more peer, of whom frames come in."""
        if len(self._writers) < PEOPLE and all(writer.name != name for writer in self._writers):
            self._census.meet(name)
            self._writers.append(Writer(name, DISPATCHERS_VIEW if self.dispatches else SERVERS_VIEW))

    def come_up(self) -> None:
        """Greetings, and whatever else a peer says before the start."""
        for _ in range(self.tape.byte() % 4):
            self.machine.knock()
            self._frame()
            self._look()
        for writer in self._writers:
            life = max(writer.life, self._inlet.last(writer.name)[0])
            self.received(writer.name, life, self._greeting(writer), self.now)
        self._look()
        assert self._begun or self.machine.ready, "all have greeted"
        self._begun = True
        self.post()

    def play(self, orders: Sequence[dict[str, Any]]) -> None:
        """Events until the tape is over."""
        for _ in range(MOST_EVENTS):
            if self.tape.over or self.machine.finished:
                break
            self._event(self.tape.byte(), orders)
            self._look()
        self._say_goodbye()

    def _event(self, what: int, orders: Sequence[dict[str, Any]]) -> None:
        machine, tape = self.machine, self.tape
        match what % 16:
            case 0 | 1 | 2 | 3 | 4 | 5:
                self._frame()
            case 6 | 7 | 8:
                self._pass(tape.pick(self._steps))
            case 9:
                self._pass(self._until_deadline())
            case 10:  # nobody says a word
                for _ in range(tape.byte() % LONGEST_SILENCE):
                    self._pass(self._until_deadline())
            case 11:
                order = tape.pick(orders)
                machine.order(order, self.now)
                if whole(order):  # or there is no edge, as in the loop
                    self.meet(order["peer"])
                self.seen[f"order {order.get('tell')}"] += 1
            case 12:
                self._closed[tape.pick(self._writers).name] = tape.pick(CAUSES)
            case 13:
                self._inlet.impair(tape.pick(self._writers).name, tape.pick(CHANGES))
            case 14:
                machine.missed(tape.pick(self._writers).name)
                if what >= 64:
                    machine.cut_off(tape.pick(self._writers).name, self.now)
            case _ if what > 240:
                machine.stop(self.now)
                self.seen["stop"] += 1
            case _:
                machine.knock()
        if what >= 128:
            self.post()

    def _until_deadline(self) -> float:
        return float(max(min(self.machine.deadline(), self._inlet.deadline()) - self.now, 0.0))

    def _pass(self, time: float) -> None:
        """Let time pass: hand over what has come, advance, and send, as the loop does."""
        if time < NEVER:
            self.now += time
        self._take([])
        self.machine.advance(self.now)
        self.post()

    def _frame(self) -> None:
        writer = self.tape.pick(self._writers)
        data = writer.frame(self.tape)
        try:
            frame = decode(data, self._census.received[writer.name])
        except WireError as error:
            self.seen[f"refused as {error.reason}"] += 1
            return
        self._take([(writer.name, frame)])

    def _take(self, frames: list[tuple[str, Any]]) -> None:
        self._inlet.take(frames, self.now, self, self._begun)

    def missed(self, peer: str) -> None:
        """The inlet's: frames are lost."""
        self.machine.missed(peer)
        self.seen["missed"] += 1

    def received(self, peer: str, life: int, messages: list[Message], now: float) -> None:
        """The inlet's: a frame."""
        for message in messages:
            self.seen[f"in {KIND_NAMES[message[0]]}"] += 1
        self.machine.received(peer, life, messages, now)

    def post(self) -> None:
        """Send what is due; hand back what cannot go."""
        machine = self.machine
        for _ in range(MOST_ROUNDS):
            if not machine.outbox:
                return
            due = list(machine.outbox.items())
            machine.outbox.clear()
            for peer, messages in due:
                if cause := self._closed.get(peer):
                    machine.unsent(peer, messages, self.now, cause)
                    self.seen[f"unsent {cause}"] += 1
                    self._look()
                else:
                    self._told(peer, messages)
        raise AssertionError("what cannot go is sent without end")

    def _told(self, peer: str, messages: list[Message]) -> None:
        for message in messages:
            self.seen[f"out {KIND_NAMES[message[0]]}"] += 1
        for writer in self._writers:
            if writer.name == peer:
                writer.hear(messages)

    def _look(self) -> None:
        """What must hold after every event."""
        machine = self.machine
        machine.validate()
        for messages in machine.outbox.values():
            encode(messages)
        deadline = machine.deadline()
        assert type(deadline) is float and not isnan(deadline), "a deadline is a number"
        status = machine.status()
        told = [each for value in status.values() for each in (value if isinstance(value, list) else [value])]
        assert all(type(each) in (int, float) and each >= -1e-9 for each in told), "rates may be rounded"
        held = status["in_flight"] if self.dispatches else status["held"]
        assert held == len(self.rows.open_rows), "the journal's open rows are the jobs in flight"
        machine.statement()

    def _greeting(self, writer: Writer) -> list[Message]:
        return [(WELCOME, RUN)] if self.dispatches else [(HELLO, RUN, writer.name)]

    def _say_goodbye(self) -> None:
        """Whatever has been: when it is told to stop, and all peers say goodbye, a machine comes to its end."""
        machine = self.machine
        machine.stop(self.now)
        self._closed.clear()
        self.post()
        for writer in self._writers:
            self.received(writer.name, MAX_LIFE, [*self._greeting(writer), (BYE,)], self.now)
            self._look()
        machine.advance(self.now)
        self.post()
        self._look()
        assert machine.finished, "all have said goodbye"
        self._note(machine.statement())

    def _note(self, statement: dict[str, Any]) -> None:
        for what in statement.get("events", ()):
            self.seen[f"believed {what[1]}"] += 1
        for cause in statement.get("lost", ()):
            self.seen[f"lost as {cause}"] += 1
        for what in ("resent", "strays", "closed_door", "refused", "dropped"):
            if count := statement.get(what):
                self.seen[what] += count
