"""The dispatcher: jobs arrive, each is sent at once to one of its servers, each completion is booked.

It knows the names of its own servers, what they report, and its own jobs. It talks to nobody else.
"""

from collections.abc import Callable, Mapping
from typing import Any

from gmsr.broker import wire
from gmsr.broker.wire import BYE, COMPLETION, HELLO, JOB, REPORT, WELCOME

from .inventory import Inventories
from .ledger import MOST_IN_FLIGHT, Ledger
from .machine import LEAST_FACTOR, MOST_FACTOR, NEVER, Message, Outbox
from .policies.base import Policy
from .suspicion import ALIVE, DEAD, GONE, GREETING, SUSPECT, Suspicion
from .terms import Terms
from .view import View
from .workload import LAST, Surge, Workload

OFFERING, COOLING, DRAINING, CLOSING = "offering", "cooling", "draining", "closing"
"""Phases: the measured run; load goes on until the measured jobs are done; it was told to leave; goodbyes are out."""
MOST_EVENTS = 10_000  # changes of belief that are remembered for the statement


class Dispatcher:
    """One dispatcher's state machine (``machine.Machine``).

    After ``duration`` it goes on offering jobs, so that the last measured ones finish under the same load
    as the others, until none of those is in flight, but for ``cooldown`` at most (emulated seconds).
    """

    __slots__ = (
        "_due", "_events", "_id", "_index", "_leaving", "_lives", "_make", "_next",
        "_phase", "_policy", "_run", "_terms", "_workload", "closed_door",
        "inventories", "ledger", "outbox", "refused", "suspicion", "view",
    )  # fmt: skip

    def __init__(
        self,
        run: str,
        own_id: str,
        view: View,
        make: Callable[[View], Policy],
        workload: Workload,
        ledger: Ledger,
        suspicion: Suspicion,
        terms: Terms,
    ) -> None:
        self._run = run
        self._id = own_id
        self.view = view
        self._index = {server: number for number, server in enumerate(view.names)}
        self._make = make
        self._policy: Policy | None = None  # made when it is asked, and anew when candidates have changed
        self._workload = Surge(workload)
        self.ledger = ledger
        self.suspicion = suspicion
        self._terms = terms
        self._phase = OFFERING
        self._lives = [0] * len(view.names)  # of the servers; 0: not met yet
        self.inventories = Inventories()
        self._leaving: set[int] = set()
        self._events: list[tuple[float, str, str]] = []
        if terms.born:  # servers know another life of ours: none is chosen before it has welcomed this one
            for number in range(len(view.names)):
                view.leave(number)
        self.closed_door = 0
        self._next = self._workload.next()  # (arrival, size) of the job to come
        while self._next[0] < terms.born:
            self.closed_door += 1
            self._next = self._workload.next()
        self._due = 0.0  # at once
        self.outbox: Outbox = {}
        self.refused = 0  # well-formed messages that do not belong here

    @property
    def ready(self) -> bool:
        """Whether every server has welcomed us."""
        return all(self._lives)

    @property
    def finished(self) -> bool:
        """Whether we have said goodbye, and every server that still lives has answered."""
        return self._phase == CLOSING and all(peer.state in (GONE, DEAD) for peer in self.suspicion.peers)

    def knock(self) -> None:
        """Greet the servers that have not answered yet."""
        for number, life in enumerate(self._lives):
            if not life:
                self._write(number, (HELLO, self._run, self._id))

    def received(self, peer: str, life: int, messages: list[Message], now: float) -> None:
        """Take completions, reports and words about themselves of one server."""
        server = self._index[peer]
        known = self.suspicion.peers[server]
        if known.state == GONE:
            self.refused += len(messages)
            return
        if life != self._lives[server]:
            if (WELCOME, self._run) not in messages:  # it cannot know us yet
                self.refused += len(messages)
                return
            self._born(server, life, now)
        known.heard = now
        known.asked = NEVER
        if known.state not in (ALIVE, GREETING):
            self._back(server, now)
        view, ledger = self.view, self.ledger
        for message in messages:
            kind = message[0]
            if kind == COMPLETION:
                if ledger.complete(server, message[1], now):
                    view.add(server, -1)
            elif kind == REPORT and len(message) == len(view.reads) + 1:
                view.reported(server, message[1:])
            else:
                self._rare(server, message, now)

    def missed(self, peer: str) -> None:
        """Something that a server wrote is lost: ask it what it holds, until the answer comes through."""
        self.suspicion.peers[self._index[peer]].doubt = True
        self.inventories.spoil(self._index[peer])

    def unsent(self, peer: str, messages: list[Message], now: float, cause: str) -> None:
        """Jobs that found no way to their server: it is not to be chosen, and they go elsewhere or are lost."""
        server = self._index[peer]
        if cause == "unroutable" and self.suspicion.peers[server].state == ALIVE:
            self._suspect(server, now)
        for message in messages:
            if message[0] == JOB and self.ledger.holder(message[1]) == server:
                self._give_up(message[1], server, cause, now, left=False)
            elif message[0] == BYE:
                self.suspicion.set(server, GONE, now)

    def advance(self, now: float) -> None:
        """Dispatch every job whose scheduled arrival has come, late or not; then see how things stand."""
        phase = self._phase
        if now < self._due and phase in (OFFERING, CLOSING):
            return
        if phase != CLOSING:
            self._offer(now)
            self._move_on(now)
        if now >= self.suspicion.next_tick:  # after the jobs: an inventory counts those sent before it
            self._look(now)
        self._foresee()

    def deadline(self) -> float:
        """The next arrival, the next end of a phase, or the next look at the servers."""
        return self._due

    def order(self, order: Mapping[str, Any], now: float) -> None:
        """The operator's: ``surge`` (factor), ``drain``, ``join`` (peer, weight). Others are passed over."""
        self._obey(order, now)
        self._foresee()

    def _obey(self, order: Mapping[str, Any], now: float) -> None:
        if self._phase != CLOSING:
            self._offer(now)  # what is due already comes as it was to come
        match order:
            case {"tell": "surge", "factor": float(factor)} if LEAST_FACTOR <= factor <= MOST_FACTOR:
                if self._next != LAST:
                    self._next = (self._workload.surge(factor, now), self._next[1])
            case {"tell": "drain"} if self._phase != CLOSING:
                self._phase = DRAINING
                self._next = LAST
                self._move_on(now)
            case {"tell": "join", "peer": str(peer), "weight": float(weight)} if 0.0 <= weight < NEVER:
                self._meet(peer, weight, now)

    def stop(self, now: float) -> None:
        """Offer nothing more and say goodbye."""
        if self._phase != CLOSING:
            self._phase = CLOSING
            for number, peer in enumerate(self.suspicion.peers):
                if peer.state != GONE:
                    self._ask(number, (BYE,), now)
                if peer.state == GREETING:  # it need not be waited for for ever
                    self.suspicion.set(number, SUSPECT, now)
            self._foresee()

    def status(self) -> dict[str, int]:
        """Jobs so far."""
        return self.ledger.counts()

    def statement(self) -> dict[str, object]:
        """The account in all, losses by cause, and what was believed of whom and when."""
        ledger = self.ledger
        return {
            **self.status(),
            "lost": ledger.losses(),
            "resent": ledger.resent,
            "strays": ledger.strays,
            "closed_door": self.closed_door,
            "refused": self.refused,
            "events": self._events,
        }

    def validate(self) -> None:
        """The account balances, and the view agrees with it."""
        self.ledger.validate()
        self.view.validate()
        view = self.view
        spread = self.ledger.spread(len(view.names))
        for number, peer in enumerate(self.suspicion.peers):
            assert view.inflight_at(number) == spread[number]
            if view.place[number] >= 0:
                assert peer.state in (ALIVE, GREETING) or self._phase == CLOSING
            else:
                assert peer.state != ALIVE or number in self._leaving

    def _offer(self, now: float) -> None:
        arrival, size = self._next
        last = min(now, self._terms.duration + self._terms.cooldown)  # whoever wakes later offers no more
        while arrival <= last:
            self._dispatch(arrival, size, now)
            arrival, size = self._next = self._workload.next()

    def _dispatch(self, arrival: float, size: float, now: float) -> None:
        view, ledger = self.view, self.ledger
        if not view.numbers or ledger.in_flight >= MOST_IN_FLIGHT:
            if not any(self._lives):  # begun in mid-run, and not welcomed anywhere yet
                self.closed_door += 1
                return
            ledger.lose(ledger.offer(0, arrival, now, size), "full" if view.numbers else "nobody")
            return
        choice = self._choose()
        server = view.numbers[choice]
        job = ledger.offer(server, arrival, now, size)
        view.inflight[choice] += 1
        self._write(server, (JOB, job, size))
        self.suspicion.peers[server].written = now

    def _choose(self) -> int:
        if self._policy is None:
            self._policy = self._make(self.view)
        return self._policy.choose()

    def _write(self, server: int, message: Message) -> None:
        name, outbox = self.view.names[server], self.outbox
        if name in outbox:
            outbox[name].append(message)
        else:
            outbox[name] = [message]

    def _ask(self, server: int, message: Message, now: float) -> None:
        self.suspicion.ask(server, now)
        self._write(server, message)

    def _move_on(self, now: float) -> None:
        terms, ledger = self._terms, self.ledger
        end = terms.duration + terms.cooldown
        if self._phase == DRAINING:
            if not ledger.in_flight or now >= end:
                self.stop(now)
        elif now >= terms.duration:
            self._phase = COOLING
            if not ledger.measured_in_flight or now >= end:
                self.stop(now)

    def _foresee(self) -> None:
        """When something is due without a message."""
        due = self.suspicion.next_tick
        if self._phase != CLOSING:
            terms = self._terms
            end = terms.duration if self._phase == OFFERING else terms.duration + terms.cooldown
            due = min(due, self._next[0], end)
        self._due = due

    def _look(self, now: float) -> None:
        """Who has been silent for too long, and who is to be asked what."""
        for server, verdict in self.suspicion.tick(now):
            if verdict == SUSPECT:
                self._suspect(server, now)
            elif verdict == DEAD:
                self._note(now, DEAD, server)
                self._despair(server, now)
            else:
                self._question(server, now)

    def _question(self, server: int, now: float) -> None:
        peer = self.suspicion.peers[server]
        if self._phase == CLOSING or (server in self._leaving and not self.view.inflight_at(server)):
            self._ask(server, (BYE,), now)
        elif peer.state != ALIVE:
            self._ask(server, (HELLO, self._run, self._id), now)
        elif peer.doubt:
            number = self.suspicion.ask(server, now)
            self.inventories.ask(server, number, self.ledger.sends)
            self._write(server, (wire.ASK, number))
        else:
            self._write(server, (wire.PING, self.suspicion.ask(server, now)))

    def _suspect(self, server: int, now: float) -> None:
        self.suspicion.set(server, SUSPECT, now)
        self.view.leave(server)
        self._policy = None
        self._note(now, SUSPECT, server)

    def _despair(self, server: int, now: float) -> None:
        """Give up what is in flight at a server, unless it is to be sent again and there is nowhere to."""
        if self._phase == CLOSING or (self._terms.again and not self.view.numbers):
            return
        for job in self.ledger.at(server, self.ledger.sends):
            self._give_up(job, server, "dead", now)

    def _give_up(self, job: int, server: int, cause: str, now: float, left: bool = True) -> None:
        view, ledger = self.view, self.ledger
        view.add(server, -1)
        if not (self._terms.again and view.numbers and cause != "full") or self._phase == CLOSING:
            ledger.lose(job, cause)
            return
        choice = self._choose()
        other = view.numbers[choice]
        view.inflight[choice] += 1
        self._write(other, (JOB, job, ledger.resend(job, other, now, left)))

    def _born(self, server: int, life: int, now: float) -> None:
        """A server that we did not know, or one that was started anew, without the jobs of its last life."""
        if self._lives[server]:
            self._note(now, "reborn", server)
        self._lives[server] = life
        lost = self.ledger.at(server, self.ledger.sends)
        self.suspicion.peers[server].doubt = False
        self.inventories.spoil(server)
        self._take_back(server, now)
        for job in lost:
            self._give_up(job, server, "dead", now)

    def _back(self, server: int, now: float) -> None:
        """Word of one that was suspect or dead: what became of our jobs there is to be asked."""
        self._note(now, "back", server)
        self.suspicion.peers[server].doubt = True
        self._take_back(server, now)

    def _take_back(self, server: int, now: float) -> None:
        self.suspicion.set(server, ALIVE, now)
        if server in self._leaving:
            return
        self.view.enter(server)
        self._policy = None
        for other, peer in enumerate(self.suspicion.peers):  # jobs that had nowhere to go
            if peer.state in (DEAD, GONE) and self.view.inflight_at(other):
                self._despair(other, now)

    def _meet(self, peer: str, weight: float, now: float) -> None:
        if peer not in self._index:
            self._index[peer] = self.view.meet(peer, weight)
            self.suspicion.meet(now)
            self._lives.append(0)
        elif self.suspicion.peers[self._index[peer]].state == GONE:
            self._leaving.discard(self._index[peer])
            self.suspicion.set(self._index[peer], GREETING, now)

    def _rare(self, server: int, message: Message, now: float) -> None:
        """Messages about the edge itself."""
        kind = message[0]
        known = self.suspicion.peers[server]
        if kind == wire.PONG:
            self.suspicion.answered(server, message[1], now)
        elif kind == wire.HELD:
            self._hold(server, message, now)
        elif kind == wire.MISSED:
            known.doubt = True
        elif kind == wire.REFUSED:
            if self.ledger.holder(message[1]) == server:
                self.view.add(server, -1)
                self.ledger.lose(message[1], "refused")
        elif kind == wire.LEAVING:
            if server not in self._leaving:
                self._leaving.add(server)
                self.view.leave(server)
                self._policy = None
                self._note(now, "leaving", server)
        elif kind == BYE and (self._phase == CLOSING or server in self._leaving):
            known.state = GONE
            self._despair(server, now)  # of what it should not have held any more
            self._note(now, GONE, server)
        elif kind != WELCOME or message[1] != self._run:
            self.refused += 1

    def _hold(self, server: int, message: Message, now: float) -> None:
        """A part of an inventory. After the last: what we sent before we asked, and it does not hold, is lost."""
        found = self.inventories.part(server, message)
        if found is None:
            return
        before, held = found
        self.suspicion.answered(server, message[1], now)
        self.suspicion.peers[server].doubt = False
        for job in self.ledger.at(server, before):
            if job not in held:
                self._give_up(job, server, "transit", now)

    def _note(self, now: float, what: str, server: int) -> None:
        if len(self._events) < MOST_EVENTS and self._phase != CLOSING:
            self._events.append((now, what, self.view.names[server]))
