"""When silence means that a peer is gone. The rule, in one place:

Each side makes sure that the other hears something of it every ``heartbeat`` (H): a dispatcher asks (PING) each
server that it has not heard or not written to for H, and the server answers at once. A question that is not
answered by any word for T = max(10 H, srtt + 4 rttvar) makes the server **suspect**: it is chosen no more. The
round trip's mean and deviation are estimated from answered questions as TCP does (RFC 6298, section 2), so that
a slow link or a busy peer gets more time. After 2 T more it is **dead**, and what was in flight there is given up.
Any word of it makes it alive again, but only its own answer to a greeting if it was started anew.

A process that dies need not be waited for: the kernel closes its connections, and the transport tells
(``endpoint.cut_off``). Its server is suspect at once, until it answers. Silence alone tells of the frozen and the
unreachable, and may take its time: on a machine with too few cores a healthy process has to wait for a second.

No false alarm because *we* were late: whoever sleeps past its own tick by more than H could not have heard
anything meanwhile, and by so much every question's age is reduced. A driver hands over what has arrived before
it lets time pass.

With H = 0.1 s a silence is noticed after 1 s to 1.25 s: H until the question, T until the verdict, and two
looks of H/2.
"""

from collections.abc import Iterator

from .machine import NEVER

GREETING, ALIVE, SUSPECT, DEAD, GONE = "greeting", "alive", "suspect", "dead", "gone"
"""States of a peer. GREETING: has not answered yet. GONE: said goodbye; nothing is expected of it."""
ASK = "ask"
"""Not a state: it is time to ask this peer something."""

PATIENCE = 10.0
"""T in heartbeats, at least."""
DEAD_AFTER = 2.0
"""Times T."""
DEAD_ASKED = 5.0
"""In heartbeats: how often the dead are greeted."""
REMEMBERED = 64
"""So many questions may be under way at once and still be timed."""


class Peer:
    """What is known of one."""

    __slots__ = (
        "asked",
        "deviation",
        "doubt",
        "heard",
        "questions",
        "round_trip",
        "severed",
        "state",
        "times",
        "written",
    )

    def __init__(self, now: float) -> None:
        self.state = GREETING
        self.severed = False  # its connection has ended, and it has not answered since
        self.doubt = False  # something was lost on the edge: an inventory is asked for until that is mended
        self.heard = now
        self.written = now
        self.asked = NEVER  # when the first question went out that nothing has answered yet
        self.questions = 0
        self.times = [now] * REMEMBERED  # of the last ones, by number modulo REMEMBERED
        self.round_trip = NEVER  # not known yet
        self.deviation = 0.0


class Suspicion:
    """What a dispatcher makes of its servers' silence. Peers are numbered in the order in which they are met."""

    __slots__ = ("_heartbeat", "next_tick", "peers")

    def __init__(self, heartbeat: float, peers: int, now: float = 0.0) -> None:
        self._heartbeat = heartbeat
        self.peers = [Peer(now) for _ in range(peers)]
        self.next_tick = now if now else heartbeat / 2.0  # who begins in mid-run greets at once
        """When ``tick`` is due."""

    def meet(self, now: float) -> None:
        """One more peer."""
        self.peers.append(Peer(now))

    def set(self, peer: int, state: str, now: float) -> None:
        """Somebody knows better: a peer greeted, said goodbye, or cannot be reached."""
        found = self.peers[peer]
        found.state = state
        found.asked = now if state == SUSPECT else NEVER

    def ask(self, peer: int, now: float) -> int:
        """A question goes out; returns its number."""
        found = self.peers[peer]
        found.questions += 1
        found.times[found.questions % REMEMBERED] = found.written = now
        if found.asked == NEVER:
            found.asked = now
        return found.questions

    def answered(self, peer: int, question: int, now: float) -> None:
        """The answer to a question: a round trip (RFC 6298, 2.2 and 2.3). One that is too old says nothing."""
        found = self.peers[peer]
        if not found.questions - REMEMBERED < question <= found.questions:
            return
        took = now - found.times[question % REMEMBERED]
        if found.round_trip == NEVER:
            found.round_trip, found.deviation = took, took / 2.0
        else:
            found.deviation += 0.25 * (abs(took - found.round_trip) - found.deviation)
            found.round_trip += 0.125 * (took - found.round_trip)

    def patience(self, peer: int) -> float:
        """T."""
        found = self.peers[peer]
        if found.round_trip == NEVER:
            return PATIENCE * self._heartbeat
        return max(PATIENCE * self._heartbeat, found.round_trip + 4.0 * found.deviation)

    def tick(self, now: float) -> Iterator[tuple[int, str]]:
        """Who becomes SUSPECT, who DEAD; and ASK for each that is to be asked now."""
        overslept = now - self.next_tick
        if overslept < 0.0:
            return
        self.next_tick = now + self._heartbeat / 2.0
        for number, peer in enumerate(self.peers):
            if peer.state == GONE:
                continue
            if peer.asked < NEVER and overslept > self._heartbeat:
                peer.asked = min(peer.asked + overslept, now)
            if verdict := self._judge(number, peer, now):
                peer.state = verdict
                yield number, verdict
            if self._is_to_be_asked(peer, now):
                yield number, ASK

    def _judge(self, number: int, peer: Peer, now: float) -> str:
        if peer.asked < NEVER:
            waited, patience = now - peer.asked, self.patience(number)
            if peer.state == ALIVE and waited > patience:
                return SUSPECT
            if peer.state == SUSPECT and waited > DEAD_AFTER * patience:
                return DEAD
        return ""

    def _is_to_be_asked(self, peer: Peer, now: float) -> bool:
        if not peer.questions:
            return True
        last = peer.times[peer.questions % REMEMBERED]
        if peer.state == DEAD:
            return now - last >= DEAD_ASKED * self._heartbeat
        unsure = peer.asked < NEVER or peer.round_trip == NEVER
        if peer.state != ALIVE or peer.doubt or unsure:
            return now - last >= self._heartbeat
        return now - min(peer.heard, peer.written) >= self._heartbeat
