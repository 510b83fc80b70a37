"""The dispatcher: jobs arrive, each is sent at once to one of its servers, each completion is booked.

It knows the names of its own servers, what they report, and its own jobs. It talks to nobody else.
"""

from gmsr.broker.wire import BYE, COMPLETION, HELLO, JOB, REPORT, WELCOME

from .ledger import Ledger
from .machine import NEVER, Message, Outbox
from .policies.base import Policy
from .view import View
from .workload import Workload

OFFERING, COOLING, CLOSING = "offering", "cooling", "closing"
"""Phases: the measured run; load goes on until the measured jobs are done; goodbyes are out."""


class Dispatcher:
    """One dispatcher's state machine (``machine.Machine``).

    After ``duration`` it goes on offering jobs, so that the last measured ones finish under the same load
    as the others, until none of those is in flight, but for ``cooldown`` at most (emulated seconds).
    """

    __slots__ = (
        "_cooldown", "_duration", "_gone", "_id", "_index", "_ledger", "_next", "_phase", "_policy", "_run",
        "_servers", "_view", "_welcomed", "_workload", "outbox", "refused",
    )  # fmt: skip

    def __init__(
        self,
        run: str,
        own_id: str,
        view: View,
        policy: Policy,
        workload: Workload,
        ledger: Ledger,
        duration: float,
        cooldown: float,
    ) -> None:
        self._run = run
        self._id = own_id
        self._view = view
        self._servers = view.servers
        self._index = {server: index for index, server in enumerate(view.servers)}
        self._policy = policy
        self._workload = workload
        self._ledger = ledger
        self._duration = duration
        self._cooldown = cooldown
        self._phase = OFFERING
        self._next = workload.next()  # (arrival, size) of the job to come
        self._welcomed: set[str] = set()
        self._gone: set[str] = set()
        self.outbox: Outbox = {}
        self.refused = 0  # well-formed messages that do not belong here

    @property
    def ready(self) -> bool:
        """Whether every server has welcomed us."""
        return len(self._welcomed) == len(self._servers)

    @property
    def finished(self) -> bool:
        """Whether every server has answered our goodbye."""
        return len(self._gone) == len(self._servers)

    def knock(self) -> None:
        """Greet the servers that have not answered yet."""
        for server in self._servers:
            if server not in self._welcomed:
                self.outbox.setdefault(server, []).append((HELLO, self._run, self._id))

    def received(self, peer: str, messages: list[Message], now: float) -> None:
        """Take completions, reports, welcomes and goodbyes of one server."""
        server = self._index[peer]
        view, ledger = self._view, self._ledger
        for message in messages:
            kind = message[0]
            if kind == COMPLETION:
                if ledger.complete(server, message[1], now):
                    view.inflight[server] -= 1
            elif kind == REPORT and len(message) == len(view.reads) + 1:
                view.reported(server, message[1:])
            elif kind == WELCOME and message[1] == self._run:
                self._welcomed.add(peer)
            elif kind == BYE and self._phase == CLOSING:
                self._gone.add(peer)
            else:
                self.refused += 1

    def unsent(self, peer: str, messages: list[Message], now: float) -> None:
        """Jobs that found no way to their server are lost."""
        for message in messages:
            if message[0] == JOB:
                self._view.inflight[self._ledger.lose(message[1], cause=0)] -= 1
            elif message[0] == BYE:
                self._gone.add(peer)

    def advance(self, now: float) -> None:
        """Dispatch every job whose scheduled arrival has come, late or not; then see where the run stands."""
        if self._phase == CLOSING:
            return
        arrival, size = self._next
        while arrival <= now:
            self._dispatch(arrival, size, now)
            arrival, size = self._next = self._workload.next()
        if now >= self._duration:
            self._phase = COOLING
            if not self._ledger.measured_in_flight or now >= self._duration + self._cooldown:
                self.stop(now)

    def deadline(self) -> float:
        """The next arrival, or the next end of a phase."""
        if self._phase == CLOSING:
            return NEVER
        end = self._duration if self._phase == OFFERING else self._duration + self._cooldown
        return min(self._next[0], end)

    def stop(self, now: float) -> None:
        """Offer nothing more and say goodbye."""
        if self._phase != CLOSING:
            self._phase = CLOSING
            for server in self._servers:
                self.outbox.setdefault(server, []).append((BYE,))

    def close(self) -> None:
        """Journal the jobs that are still in flight."""
        self._ledger.close()

    def status(self) -> dict[str, int]:
        """Jobs so far."""
        ledger = self._ledger
        return {
            "offered": ledger.offered,
            "completed": ledger.completed,
            "in_flight": ledger.in_flight,
            "lost": sum(ledger.lost),
        }

    def statement(self) -> dict[str, object]:
        """The account in all, losses by cause."""
        ledger = self._ledger
        return {
            **self.status(),
            "lost": ledger.losses(),
            "strays": ledger.strays,
            "refused": self.refused,
        }

    def validate(self) -> None:
        """The account balances, and the view agrees with it."""
        self._ledger.validate()
        assert sum(self._view.inflight) == self._ledger.in_flight
        assert min(self._view.inflight) >= 0

    def _dispatch(self, arrival: float, size: float, now: float) -> None:
        choice = self._policy.choose()
        job = self._ledger.offer(choice, arrival, now, size)
        self._view.inflight[choice] += 1
        server, outbox = self._servers[choice], self.outbox
        if server in outbox:
            outbox[server].append((JOB, job, size))
        else:
            outbox[server] = [(JOB, job, size)]
