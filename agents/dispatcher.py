"""The dispatcher: jobs arrive, each is sent at once to one of its servers, each completion is booked.

It knows the names of its own servers, what they report, and its own jobs. It talks to nobody else.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from gmsr.broker import wire
from gmsr.broker.wire import BYE, COMPLETION, HELLO, JOB, REPORT, WELCOME

from .care import ANSWERS, Care
from .feeds.asking import Asking, Job
from .ledger import MOST_IN_FLIGHT, Ledger
from .machine import LEAST_FACTOR, MOST_FACTOR, NEVER, Message
from .offering import CLOSING, OFFERING, Offering
from .sight import NO_POLICY, Sight
from .suspicion import ALIVE, DEAD, GONE, GREETING, SUSPECT, Suspicion
from .terms import Terms


class Dispatcher(Care):
    """One dispatcher's state machine (``machine.Machine``). ``asking``: who it asks before it chooses, if it does."""

    __slots__ = ("_asking", "_due")

    def __init__(
        self,
        run: str,
        own_id: str,
        sight: Sight,
        offering: Offering,
        ledger: Ledger,
        suspicion: Suspicion,
        terms: Terms,
        asking: Asking | None = None,
    ) -> None:
        super().__init__(run, own_id, sight, offering, ledger, suspicion, terms)
        self._asking = asking
        self._due = 0.0  # at once

    @property
    def ready(self) -> bool:
        """Whether every server has welcomed us."""
        return all(self._lives)

    @property
    def finished(self) -> bool:
        """Whether we have said goodbye, and every server that still lives has answered."""
        return self._offering.phase == CLOSING and all(
            peer.state in (GONE, DEAD) for peer in self.suspicion.peers
        )

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
        # What a server wrote before its connection ended proves nothing; an answer does.
        if not known.severed or any(message[0] in ANSWERS for message in messages):
            known.heard = now
            known.asked = NEVER
            known.severed = False
            if known.state not in (ALIVE, GREETING):
                self._back(server, now)
        sight, ledger = self.sight, self.ledger
        for message in messages:
            kind = message[0]
            if kind == COMPLETION:
                job = message[1]
                sent = ledger.complete(server, job, now)
                if sent is None:
                    sight.stray(server, job)
                else:
                    sight.completed(server, job, now - sent, now)
            elif kind == REPORT and len(message) == sight.width:
                sight.reported(server, message)
                if self._asking:
                    self._asking.answered(server, now)
                    self._send_off(now)
            else:
                self._rare(server, message, now)

    def advance(self, now: float) -> None:
        """Dispatch every job whose scheduled arrival has come, late or not; then see how things stand."""
        phase = self._offering.phase
        if now < self._due and phase in (OFFERING, CLOSING):
            return
        if phase != CLOSING:
            self._offer(now)
            self._move_on(now)
        if now >= self.suspicion.next_tick:  # after the jobs: an inventory counts those sent before it
            self._look(now)
        if self.sight.failure:
            self.stop(now)
        self._foresee()

    def deadline(self) -> float:
        """The next arrival, the next end of a phase, or the next look at the servers."""
        return self._due

    def order(self, order: Mapping[str, Any], now: float) -> None:
        """The operator's: ``surge`` (factor), ``policy`` (policy, options), ``drain``, ``join`` (peer, weight)."""
        self._obey(order, now)
        self._foresee()

    def _obey(self, order: Mapping[str, Any], now: float) -> None:
        offering = self._offering
        if offering.phase != CLOSING:
            self._offer(now)  # what is due already comes as it was to come
        match order:
            case {"tell": "surge", "factor": float(factor)} if LEAST_FACTOR <= factor <= MOST_FACTOR:
                offering.surge(factor, now)
            case {"tell": "policy", "policy": str(target), "options": dict(options)}:
                self.sight.follow(target, options)
            case {"tell": "drain"} if offering.phase != CLOSING:
                offering.drain()
                self._move_on(now)
            case {"tell": "join", "peer": str(peer), "weight": float(weight), **more} if (
                0.0 <= weight < NEVER
            ):
                delay = more.get("delay", 0.0)
                known = delay if isinstance(delay, float) and 0.0 <= delay < NEVER else 0.0
                self._meet(peer, weight, 2.0 * known / self._terms.size, now)

    def stop(self, now: float) -> None:
        """Offer nothing more and say goodbye."""
        if self._offering.phase != CLOSING:
            if self._asking:
                self._send_off(now, NEVER)  # nobody waits for answers any longer
            self._offering.phase = CLOSING
            for number, peer in enumerate(self.suspicion.peers):
                if peer.state != GONE:
                    self._ask(number, (BYE,), now)
                if peer.state == GREETING:  # it need not be waited for for ever
                    self.suspicion.set(number, SUSPECT, now)
            self._foresee()

    def status(self) -> dict[str, Any]:
        """Jobs so far, all their latency and lateness in emulated seconds, and ``sent``: to each server by number."""
        ledger = self.ledger
        return {
            **ledger.counts(), "latency": ledger.latency, "late": ledger.late, "sent": [*self.view.sent],
        }  # fmt: skip

    def statement(self) -> dict[str, object]:
        """The account in all, losses by cause, and what was believed of whom and when."""
        ledger = self.ledger
        return {
            **ledger.counts(),
            "lost": ledger.losses(),
            "resent": ledger.resent,
            "strays": ledger.strays,
            "closed_door": self._offering.closed_door,
            "ages": self.sight.ages.to_plain(),
            "failure": self.sight.failure,
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
                assert peer.state in (ALIVE, GREETING) or self._offering.phase == CLOSING
            else:
                assert peer.state != ALIVE or number in self._leaving

    def _offer(self, now: float) -> None:
        due = self._offering.due
        while job := due(now):
            if self._asking:
                self._inquire(Job(*job), now)
            else:
                self._dispatch(*job, now)
        if self._asking:
            self._send_off(now)

    def _dispatch(self, arrival: float, size: float, now: float, answers: Sequence[int] = ()) -> None:
        view, ledger = self.view, self.ledger
        if not view.numbers or ledger.in_flight >= MOST_IN_FLIGHT:
            if not any(self._lives):  # begun in mid-run, and not welcomed anywhere yet
                self._offering.closed_door += 1
                return
            ledger.lose(ledger.offer(0, arrival, now, size), "full" if view.numbers else "nobody")
            return
        server = self._choose(now, answers)
        if server == NO_POLICY:
            ledger.lose(ledger.offer(0, arrival, now, size), "policy")
            return
        job = ledger.offer(server, arrival, now, size)
        self.sight.sent(server, job)
        self._write(server, (JOB, job, size))
        self.suspicion.peers[server].written = now

    def _choose(self, now: float, answers: Sequence[int] = ()) -> int:
        if not self._asking:
            return self.sight.choose(now)
        server, worst = self.sight.choose_among(answers or self._asking.anybody(self.view.numbers), now)
        if server != NO_POLICY:
            self._asking.used(server, worst)
        return server

    def _inquire(self, job: Job, now: float) -> None:
        """A job has arrived; whom it is to be sent to is asked first, or asked for those that follow."""
        assert self._asking is not None
        for server in self._asking.arrived(job, self.view.numbers, now):
            self._write(server, (wire.PROBE,))

    def _send_off(self, now: float, patience: float | None = None) -> None:
        """Jobs that need wait for answers no longer; ``patience``: as if it were that late."""
        assert self._asking is not None
        for (arrival, size), answers in self._asking.ready(now if patience is None else patience):
            places = self.view.place
            self._dispatch(arrival, size, now, [server for server in answers if places[server] >= 0])

    def _move_on(self, now: float) -> None:
        waiting = self._asking.waiting if self._asking else 0
        ledger = self.ledger
        if self._offering.done(now, ledger.in_flight + waiting, ledger.measured_in_flight + waiting):
            self.stop(now)

    def _foresee(self) -> None:
        """When something is due without a message."""
        due = self.suspicion.next_tick
        if self._offering.phase != CLOSING:
            due = min(due, self._offering.deadline())
            if self._asking:
                due = min(due, self._asking.deadline())
        self._due = due
