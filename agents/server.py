"""The server: jobs in, departures at their exact instants, completions and reports out.

It knows its own curve, or learns it, and the names of the dispatchers that may send to it. It never asks, and it
answers nobody but the dispatcher whose job it was, except for the reports that its feed decides on.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from gmsr.broker import wire
from gmsr.broker.wire import BYE, COMPLETION, HELLO, JOB, WELCOME

from . import journal
from .feeds.base import Feed
from .journal import DEPARTED, DROPPED, UNHEARD, Rows
from .machine import Message, Outbox
from .terms import Service, Upkeep
from .work import Work

NAN = float("nan")
MOST_HELD = 1_000_000
"""Bounds a server's memory: a job beyond it is refused, and its dispatcher told so."""
SILENT_AFTER = 20.0
"""In heartbeats: a dispatcher that has said nothing for so long is gone. It may come back."""
CHECKED_EVERY = 5.0
"""In heartbeats: how often a server looks for such."""


class Server:
    """One server's state machine (``machine.Machine``)."""

    __slots__ = (
        "_checked",
        "_counts",
        "_dispatchers",
        "_draining",
        "_end",
        "_feed",
        "_gone",
        "_heard",
        "_index",
        "_lives",
        "_next_check",
        "_reports",
        "_rows",
        "_run",
        "_silent",
        "_study",
        "_unheard",
        "_upkeep",
        "_work",
        "arrived",
        "departed",
        "dropped",
        "late",
        "outbox",
        "refused",
        "sharing",
    )  # fmt: skip

    def __init__(
        self, run: str, dispatchers: Sequence[str], service: Service, feed: Feed, rows: Rows, upkeep: Upkeep
    ) -> None:
        self._run = run
        self._dispatchers = list(dispatchers)
        self._index = {dispatcher: index for index, dispatcher in enumerate(dispatchers)}
        self._lives = [0] * len(dispatchers)  # of who has greeted; 0: has not
        self._heard = [0.0] * len(dispatchers)
        self._unheard = [0] * len(dispatchers)
        self._gone: set[int] = set()  # have said goodbye
        self._silent: set[int] = set()
        self._work = Work(service)
        self._study = self._work.study  # None: it knows its curve
        self.sharing = self._work.sharing
        self._reports = bool(service.reads) and feed.reports  # a policy that reads nothing is told nothing
        self._feed = feed
        self._counts = feed.corrected  # the feed is told of each job that comes and goes
        self._rows = rows
        self._upkeep = upkeep
        self._end = upkeep.end
        self._checked = 0.0
        self._next_check = CHECKED_EVERY * upkeep.heartbeat
        self._draining = False
        self.outbox: Outbox = {}
        self.arrived = 0
        self.departed = 0
        self.late = 0.0  # how long after their instants departures were noticed, together
        self.dropped = 0
        self.refused = 0  # well-formed messages that do not belong here

    @property
    def ready(self) -> bool:
        """Whether every dispatcher has greeted."""
        return all(self._lives)

    @property
    def finished(self) -> bool:
        """Whether every dispatcher has said goodbye, or is not waited for any more."""
        return len(self._gone) == len(self._dispatchers)

    def knock(self) -> None:
        """A server waits to be greeted."""

    def received(self, peer: str, life: int, messages: list[Message], now: float) -> None:
        """Take jobs, questions, greetings and goodbyes. Departures that were due before ``now`` come first."""
        if self.sharing.next_departure <= now:
            self._depart(now)
        index = self._index[peer]
        stranger = life != self._lives[index] or index in self._gone
        if stranger and not self._greet(index, life, messages, now):
            return
        self._heard[index] = now
        if self._silent and index in self._silent:
            self._return(index, now)
        sharing, rows, study = self.sharing, self._rows, self._study
        for message in messages:
            if message[0] == JOB:
                if len(sharing.visits) >= MOST_HELD:
                    self._write(index, (wire.REFUSED, message[1]))
                    continue
                self.arrived += 1
                _, job, size = message
                row = rows.open(job, index, journal.HELD, now, NAN, NAN, size)
                visit = sharing.arrive(index, job, size, now, row)
                if study:
                    study.arrived(visit, now)
                if self._counts:
                    self._feed.seen[peer] = job
                    self._feed.counted(peer, 1)
            else:
                self._rare(index, message, now)

    def missed(self, peer: str) -> None:
        """Something that a dispatcher wrote is lost: it should ask what is here."""
        index = self._index[peer]
        if self._lives[index] and index not in self._gone:
            self._write(index, (wire.MISSED,))

    def cut_off(self, peer: str, now: float) -> None:
        """A dispatcher connects to us, and connects again: its silence tells."""

    def unsent(self, peer: str, messages: list[Message], now: float, cause: str) -> None:
        """A dispatcher that cannot be reached misses what it was told; it will ask."""

    def advance(self, now: float) -> None:
        """Let go whoever is done, report, and see who is silent."""
        if self.sharing.next_departure <= now:
            self._depart(now)
        if self._study:
            self._work.look(now)
        if self._reports:
            self._feed.tell(self._work.gauge, len(self.sharing.visits), self.arrived, self.outbox, now)
        if now >= self._next_check:
            self._check(now)

    def deadline(self) -> float:
        """The next departure, report or check."""
        due = self.sharing.next_departure
        if self._reports and (report := self._feed.deadline()) < due:
            due = report
        if self._study and (news := self._study.deadline()) < due:
            due = news
        return due if due < self._next_check else self._next_check

    def order(self, order: Mapping[str, Any], now: float) -> None:
        """The operator's: ``slow`` (factor or curve), ``pause``, ``resume``, ``drain``, ``join`` (peer)."""
        self._depart(now)
        match order:
            case {"tell": "slow"}:
                self._work.slow(order, now)
            case {"tell": "pause"}:
                self._work.pause(now)
            case {"tell": "resume"}:
                self._work.resume(now)
            case {"tell": "drain"}:
                self._draining = True
                self._announce()
            case {"tell": "join", "peer": str(peer)}:
                self._meet(peer, now)

    def stop(self, now: float) -> None:
        """A server stops when its dispatchers have: they say goodbye. Who is silent is not waited for."""
        self._end = min(self._end, now)

    def status(self) -> dict[str, Any]:
        """Jobs so far, lateness in emulated seconds, and how fast it works: μ(N), and what one more job would add."""
        held = len(self.sharing.visits)
        return {
            "arrived": self.arrived,
            "departed": self.departed,
            "held": held,
            "late": self.late,
            "rate": self._work.speed(held),
            "marginal": self._work.gauge.at(held),
        }

    def statement(self) -> dict[str, object]:
        """Jobs in all; ``held``: by dispatcher those that it was never told the end of, to it in flight."""
        open_jobs = list(self._unheard)
        for visit in self.sharing.visits:
            open_jobs[visit.dispatcher] += 1
        held = dict(zip(self._dispatchers, open_jobs, strict=True))
        return {
            "arrived": self.arrived,
            "departed": self.departed,
            "dropped": self.dropped,
            "held": held,
            "refused": self.refused,
            **({"learned": self._study.statement()} if self._study else {}),
        }

    @property
    def leaving(self) -> bool:
        """Whether it was told to leave."""
        return self._draining

    def holds(self, dispatcher: str) -> set[int]:
        """A dispatcher's jobs that are here."""
        index = self._index[dispatcher]
        return {visit.job for visit in self.sharing.visits if visit.dispatcher == index}

    def more(self, dispatcher: str) -> int:
        """How many more of a dispatcher's jobs are here than when it was told last (with local correction)."""
        return self._feed.own.get(dispatcher, 0)

    def validate(self) -> None:
        """Every job that came is here, has left, or was thrown out."""
        assert self.arrived == self.departed + self.dropped + len(self.sharing.visits)
        assert len(self.sharing.visits) <= MOST_HELD
        assert not self._study or self._study.present == len(self.sharing.visits)
        assert len(self._lives) == len(self._heard) == len(self._unheard) == len(self._dispatchers)

    def _write(self, index: int, message: Message) -> None:
        self.outbox.setdefault(self._dispatchers[index], []).append(message)

    def _depart(self, now: float) -> None:
        sharing, outbox, dispatchers, study = self.sharing, self.outbox, self._dispatchers, self._study
        while sharing.next_departure <= now:
            visit, instant = sharing.depart()
            self.departed += 1
            self.late += now - instant
            if study:
                study.departed(visit.order, visit.size, instant)
            index = visit.dispatcher
            state = UNHEARD if index in self._gone else DEPARTED
            self._rows.settle(visit.row, visit.job, index, state, visit.arrived, instant, now, visit.size)
            if state == UNHEARD:
                self._unheard[index] += 1
                continue
            dispatcher = dispatchers[index]
            if self._counts:
                self._feed.counted(dispatcher, -1)
            if dispatcher in outbox:
                outbox[dispatcher].append((COMPLETION, visit.job))
            else:
                outbox[dispatcher] = [(COMPLETION, visit.job)]
        if study:
            self._work.look(now)

    def _greet(self, index: int, life: int, messages: list[Message], now: float) -> bool:
        """Whether a dispatcher that has not greeted in this life, or has left, does so now."""
        peer = self._dispatchers[index]
        again = life == self._lives[index]  # it has left, and may say so again
        if not any(message == (HELLO, self._run, peer) for message in messages) and not again:
            self.refused += len(messages)
            return False
        if not again:
            if self._lives[index] and self._upkeep.drop:
                self._evict(index, now)
            self._lives[index] = life
            self._gone.discard(index)
            self._feed.seen.pop(peer, None)
        return True

    def _rare(self, index: int, message: Message, now: float) -> None:
        """Messages about the edge itself."""
        kind = message[0]
        if kind == BYE:
            self._gone.add(index)
            self._feed.left(self._dispatchers[index])
            self._write(index, (BYE,))
        elif index in self._gone:
            self.refused += 1
        elif kind == wire.PING:
            self._write(index, (wire.PONG, message[1]))
        elif kind == wire.ASK:
            self._tell_inventory(index, message[1], now)
        elif kind == wire.PROBE:
            if self._reports:
                self._feed.asked(
                    self._dispatchers[index], self._work.gauge, len(self.sharing.visits), self.outbox, now
                )
        elif message == (HELLO, self._run, self._dispatchers[index]):
            self._write(index, (WELCOME, self._run))
            self._inform(index, now)
            if self._draining:
                self._write(index, (wire.LEAVING,))
        else:
            self.refused += 1

    def _inform(self, index: int, now: float) -> None:
        if self._reports:
            self._feed.joined(
                self._dispatchers[index], self._work.gauge, len(self.sharing.visits), self.outbox, now
            )

    def _tell_inventory(self, index: int, question: int, now: float) -> None:
        """All that is here of a dispatcher, and how we stand: reports may be lost as well."""
        jobs = sorted(self.holds(self._dispatchers[index]))
        for start in range(0, max(len(jobs), 1), wire.MAX_HELD):
            more = int(start + wire.MAX_HELD < len(jobs))
            self._write(index, (wire.HELD, question, more, *jobs[start : start + wire.MAX_HELD]))
        self._inform(index, now)

    def _check(self, now: float) -> None:
        """Who is silent for too long; at the end nobody waits for them, nor for those who never came."""
        heartbeat = self._upkeep.heartbeat
        overslept = now - self._checked - CHECKED_EVERY * heartbeat
        self._checked = now
        self._next_check = now + CHECKED_EVERY * heartbeat
        for index in range(len(self._heard)):
            if index in self._gone:
                continue
            if overslept > heartbeat:  # we could not have heard anything
                self._heard[index] = min(self._heard[index] + overslept, now)
            if now - self._heard[index] > SILENT_AFTER * heartbeat and index not in self._silent:
                self._silent.add(index)
                self._feed.left(self._dispatchers[index])
                if self._upkeep.drop:
                    self._evict(index, now)
            if now >= self._end and index in self._silent:
                self._gone.add(index)
        if self._draining:
            self._announce()

    def _return(self, index: int, now: float) -> None:
        """Word of one that was silent: it may have missed much, and we may have thrown its jobs out."""
        self._silent.discard(index)
        self._inform(index, now)
        self._write(index, (wire.MISSED,))

    def _evict(self, index: int, now: float) -> None:
        for visit in self.sharing.evict(index, now):
            self.dropped += 1
            if self._study:
                self._study.dropped(visit.order, now)
            self._rows.settle(visit.row, visit.job, index, DROPPED, visit.arrived, NAN, now, visit.size)

    def _announce(self) -> None:
        """A server that leaves tells so, until all have said goodbye."""
        for index, life in enumerate(self._lives):
            if life and index not in self._gone:
                self._write(index, (wire.LEAVING,))
            else:
                self._gone.add(index)

    def _meet(self, peer: str, now: float) -> None:
        if peer in self._index:
            return
        self._index[peer] = len(self._dispatchers)
        self._dispatchers.append(peer)
        for column in (self._lives, self._unheard):
            column.append(0)
        self._heard.append(now)
