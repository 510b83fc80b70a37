"""The server: jobs in, departures at their exact instants, completions and reports out.

It knows its own curve and the names of the dispatchers that may send to it. It never asks, and it answers
nobody but the dispatcher whose job it was, except for the reports that its feed decides on.
"""

from gmsr.broker.wire import BYE, COMPLETION, HELLO, JOB, WELCOME

from .feeds.base import Feed
from .gauge import Gauge
from .journal import DEPARTED, HELD, UNHEARD, Rows
from .machine import Message, Outbox
from .sharing import Sharing

NAN = float("nan")


class Server:
    """One server's state machine (``machine.Machine``)."""

    __slots__ = (
        "_dispatchers", "_feed", "_gauge", "_gone", "_greeted", "_index", "_reports", "_rows", "_run",
        "_sharing", "_unheard", "arrived", "departed", "outbox", "refused",
    )  # fmt: skip

    def __init__(
        self, run: str, dispatchers: list[str], sharing: Sharing, gauge: Gauge, feed: Feed, rows: Rows
    ) -> None:
        self._run = run
        self._dispatchers = dispatchers
        self._index = {dispatcher: index for index, dispatcher in enumerate(dispatchers)}
        self._sharing = sharing
        self._gauge = gauge
        self._reports = len(gauge.report(0)) > 1  # a policy that reads nothing is told nothing
        self._feed = feed
        self._rows = rows
        self._greeted: set[str] = set()
        self._gone: set[str] = set()
        self._unheard = [0] * len(dispatchers)
        self.outbox: Outbox = {}
        self.arrived = 0
        self.departed = 0
        self.refused = 0  # well-formed messages that do not belong here

    @property
    def ready(self) -> bool:
        """Whether every dispatcher has greeted."""
        return len(self._greeted) == len(self._dispatchers)

    @property
    def finished(self) -> bool:
        """Whether every dispatcher has said goodbye."""
        return len(self._gone) == len(self._dispatchers)

    def knock(self) -> None:
        """A server waits to be greeted."""

    def received(self, peer: str, messages: list[Message], now: float) -> None:
        """Take jobs, greetings and goodbyes. Departures that were due before ``now`` come first."""
        self._depart(now)
        sharing, index = self._sharing, self._index[peer]
        for message in messages:
            kind = message[0]
            if kind == JOB:
                self.arrived += 1
                sharing.arrive(index, message[1], message[2], now)
            elif kind == HELLO:
                self._greet(peer, message)
            elif kind == BYE:
                self._part(peer)
            else:
                self.refused += 1

    def unsent(self, peer: str, messages: list[Message], now: float) -> None:
        """A dispatcher that cannot be reached misses what it was told; its own account will show it."""

    def advance(self, now: float) -> None:
        """Let go whoever is done, then report."""
        self._depart(now)
        if self._reports:
            self._feed.tell(self._gauge.report(len(self._sharing)), self.outbox)

    def deadline(self) -> float:
        """The next departure."""
        return self._sharing.next_departure

    def stop(self, now: float) -> None:
        """A server stops when its dispatchers have: they say goodbye."""

    def close(self) -> None:
        """Journal the jobs that are still held."""
        for visit in self._sharing.held():
            self._rows.write(visit.job, visit.dispatcher, HELD, visit.arrived, NAN, NAN, visit.size)

    def status(self) -> dict[str, int]:
        """Jobs so far."""
        return {"arrived": self.arrived, "departed": self.departed, "held": len(self._sharing)}

    def statement(self) -> dict[str, object]:
        """Jobs in all; ``held``: by dispatcher those that it was never told the end of, to it in flight."""
        open_jobs = list(self._unheard)
        for visit in self._sharing.held():
            open_jobs[visit.dispatcher] += 1
        held = dict(zip(self._dispatchers, open_jobs, strict=True))
        return {"arrived": self.arrived, "departed": self.departed, "held": held, "refused": self.refused}

    def validate(self) -> None:
        """Every job that came is here or has left."""
        assert self.arrived == self.departed + len(self._sharing)
        assert self._gone <= self._greeted <= set(self._dispatchers)

    def _depart(self, now: float) -> None:
        sharing, outbox, dispatchers = self._sharing, self.outbox, self._dispatchers
        while sharing.next_departure <= now:
            visit, instant = sharing.depart()
            self.departed += 1
            dispatcher = dispatchers[visit.dispatcher]
            state = UNHEARD if dispatcher in self._gone else DEPARTED
            self._rows.write(visit.job, visit.dispatcher, state, visit.arrived, instant, now, visit.size)
            if state == UNHEARD:
                self._unheard[visit.dispatcher] += 1
                continue
            if dispatcher in outbox:
                outbox[dispatcher].append((COMPLETION, visit.job))
            else:
                outbox[dispatcher] = [(COMPLETION, visit.job)]

    def _greet(self, peer: str, message: Message) -> None:
        if message[1:] != (self._run, peer):
            self.refused += 1
            return
        self._greeted.add(peer)
        self.outbox.setdefault(peer, []).append((WELCOME, self._run))
        if self._reports:
            self._feed.joined(peer, self._gauge.report(len(self._sharing)), self.outbox)

    def _part(self, peer: str) -> None:
        self._gone.add(peer)
        self._feed.left(peer)
        self.outbox.setdefault(peer, []).append((BYE,))
