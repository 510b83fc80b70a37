"""How a dispatcher looks after its servers: who lives, who is to be asked what, and which jobs are to be given up.

The half of ``dispatcher.Dispatcher`` that offers no jobs.
"""

from gmsr.broker import wire
from gmsr.broker.wire import BYE, HELLO, JOB, WELCOME

from .inventory import Inventories
from .ledger import Ledger
from .machine import NEVER, Message, Outbox
from .offering import CLOSING, Offering
from .sight import NO_POLICY, Sight
from .suspicion import ALIVE, DEAD, GONE, GREETING, SUSPECT, Suspicion
from .terms import Terms

ANSWERS = (WELCOME, wire.PONG, wire.HELD)
MOST_EVENTS = 10_000  # changes of belief that are remembered for the statement


class Care:
    """What is known of each server, by its number, and what to do when that changes."""

    __slots__ = (
        "_events", "_id", "_index", "_leaving", "_lives", "_offering", "_run", "_terms", "inventories", "ledger",
        "outbox", "refused", "sight", "suspicion", "view",
    )  # fmt: skip

    def __init__(
        self,
        run: str,
        own_id: str,
        sight: Sight,
        offering: Offering,
        ledger: Ledger,
        suspicion: Suspicion,
        terms: Terms,
    ) -> None:
        self._run = run
        self._id = own_id
        self.sight = sight
        self.view = view = sight.view
        self._index = {server: number for number, server in enumerate(view.names)}
        self._offering = offering
        self.ledger = ledger
        self.suspicion = suspicion
        self._terms = terms
        self._lives = [0] * len(view.names)  # of the servers; 0: not met yet
        self.inventories = Inventories()
        self._leaving: set[int] = set()
        self._events: list[tuple[float, str, str]] = []
        if terms.born:  # servers know another life of ours: none is chosen before it has welcomed this one
            for number in range(len(view.names)):
                sight.leave(number)
        self.outbox: Outbox = {}
        self.refused = 0  # well-formed messages that do not belong here

    def missed(self, peer: str) -> None:
        """Something that a server wrote is lost: ask it what it holds, until the answer comes through."""
        self.suspicion.peers[self._index[peer]].doubt = True
        self.inventories.spoil(self._index[peer])

    def cut_off(self, peer: str, now: float) -> None:
        """A server's process has died, or its connection broke: it is chosen no more until it answers."""
        server = self._index[peer]
        if self.suspicion.peers[server].state == ALIVE:
            self._suspect(server, now)
            self.suspicion.peers[server].severed = True

    def unsent(self, peer: str, messages: list[Message], now: float, cause: str) -> None:
        """Jobs that found no way to their server: it is not to be chosen, and they go elsewhere or are lost."""
        server = self._index[peer]
        if cause == "unroutable" and self.suspicion.peers[server].state == ALIVE:
            self._suspect(server, now)
        for message in messages:
            if message[0] == JOB and self.ledger.holder(message[1]) == server:
                self._give_up(message[1], server, cause, now, left=False)
            elif message[0] == BYE:
                self._miss(server, now)

    def _miss(self, server: int, now: float) -> None:
        """Our goodbye found nobody: the server has left, but its last words may be on their way for a round trip."""
        peer = self.suspicion.peers[server]
        if peer.state == ALIVE and peer.round_trip < NEVER:
            self.suspicion.set(server, SUSPECT, now)
        elif peer.state != SUSPECT or not now - peer.asked < peer.round_trip < NEVER:
            self.suspicion.set(server, GONE, now)

    def _write(self, server: int, message: Message) -> None:
        name, outbox = self.view.names[server], self.outbox
        if name in outbox:
            outbox[name].append(message)
        else:
            outbox[name] = [message]

    def _ask(self, server: int, message: Message, now: float) -> None:
        self.suspicion.ask(server, now)
        self._write(server, message)

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
        if self._offering.phase == CLOSING or (server in self._leaving and not self.view.inflight_at(server)):
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
        self.sight.leave(server)
        self._note(now, SUSPECT, server)

    def _despair(self, server: int, now: float) -> None:
        """Give up what is in flight at a server, unless it is to be sent again and there is nowhere to."""
        if self._offering.phase == CLOSING or (self._terms.again and not self.view.numbers):
            return
        for job in self.ledger.at(server, self.ledger.sends):
            self._give_up(job, server, "dead", now)

    def _give_up(self, job: int, server: int, cause: str, now: float, left: bool = True) -> None:
        ledger = self.ledger
        self.sight.given_up(server, job, left)
        again = (
            self._terms.again and self.view.numbers and cause != "full" and self._offering.phase != CLOSING
        )
        other = self._choose(now) if again else NO_POLICY
        if other == NO_POLICY:
            ledger.lose(job, cause)
            return
        self.sight.sent(other, job)
        self._write(other, (JOB, job, ledger.resend(job, other, now, left)))

    def _born(self, server: int, life: int, now: float) -> None:
        """A server that we did not know, or one that was started anew, without the jobs of its last life."""
        if self._lives[server]:
            self._note(now, "reborn", server)
        self._lives[server] = life
        self.sight.born(server)
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
        self.sight.enter(server)
        for other, peer in enumerate(self.suspicion.peers):  # jobs that had nowhere to go
            if peer.state in (DEAD, GONE) and self.view.inflight_at(other):
                self._despair(other, now)

    def _meet(self, peer: str, weight: float, travel: float, now: float) -> None:
        if peer not in self._index:
            self._index[peer] = self.view.meet(peer, weight, travel)
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
                self.sight.given_up(server, message[1])
                self.ledger.lose(message[1], "refused")
        elif kind == wire.LEAVING:
            if server not in self._leaving:
                self._leaving.add(server)
                self.sight.leave(server)
                self._note(now, "leaving", server)
        elif kind == BYE and (self._offering.phase == CLOSING or server in self._leaving):
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
        if len(self._events) < MOST_EVENTS and self._offering.phase != CLOSING:
            self._events.append((now, what, self.view.names[server]))

    def _choose(self, now: float) -> int:
        """A server for a job that is to be sent again, or NO_POLICY."""
        raise NotImplementedError
