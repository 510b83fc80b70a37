"""Virtual time: from one deadline to the next, a pure function of the specifications, the faults and the seed.

The driver does for all agents what ``agents.loop`` does for one. Frames arrive at the instant at which they were
sent (an edge's delay and what is imposed on it come on top, in the receiver's ``Inlet``), and who has got one takes
a turn before time goes on, first come first served. Nothing here reads a clock, a set's order or a global random
source, so that a run repeats itself to the last byte.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from heapq import heappop, heappush
from math import nextafter
from typing import Any

from gmsr.agents.machine import NEVER
from gmsr.agents.spec import met, reborn
from gmsr.broker.wire import Frame
from gmsr.topology.faults import Fault

from ..choices import failed
from ..faults.diary import line
from ..faults.join import entry, invitations, without
from ..faults.steps import Action, Step, concerning, steps
from ..record.folder import Happening
from .node import MakeRows, Node, through_bytes

PATIENCE_S = 60.0
"""A world that has not ended so long after the cool-down is stuck."""
COUNTED_EVERY_S = 1.0


class Stuck(Exception):
    """The agents wait for each other for ever, or talk without end."""


class World:
    """All agents of a testbed.

    ``latency``: a frame takes a random time of up to so much, in order on its edge (emulated seconds). ``observe`` is
    told each happening, ``check`` is called after each turn, ``tap`` for each frame that goes out; ``by_bytes``
    sends frames through the wire format. The last ``drawn`` faults are chaos.
    """

    def __init__(
        self,
        specs: Sequence[Any],
        faults: Iterable[Fault],
        make_rows: MakeRows,
        observe: Callable[[Happening], None] = lambda _: None,
        *,
        check: Callable[["World", Node], None] | None = None,
        tap: Callable[[Node, str, Frame], None] | None = None,
        latency: float = 0.0,
        by_bytes: bool = False,
        drawn: int = 0,
    ) -> None:
        self.now = 0.0
        self.failure = ""
        """Whose policy raised what, if one did."""
        self._make_rows = make_rows
        self._observe = observe
        self._check = check
        self._tap = tap
        self._counted_at = 0.0
        self._latency = latency
        self._by_bytes = by_bytes
        self.faults = tuple(faults)
        self._drawn_from = len(self.faults) - drawn
        self._steps = deque(steps(self.faults, max(spec["duration"] for spec in specs)))
        self._step_at = self._steps[0].t if self._steps else NEVER
        self._specs = {spec["id"]: spec for spec in specs}
        self._absent = {fault.agents[0] for fault in self.faults if fault.kind == "join"}
        self.first = [without(spec, self._absent) for spec in specs if spec["id"] not in self._absent]
        """Specifications of those who are there from the beginning."""
        self.nodes = {spec["id"]: Node(spec, make_rows, latency) for spec in self.first}
        self._end = max(spec["duration"] + spec["cooldown"] for spec in specs)
        self._turns: deque[Node] = deque()
        self._wakes: list[tuple[float, int, Node]] = []
        self._order = 0
        self._begun = False
        self._news = True  # an agent has ended, died or come since the last count
        self._left: list[str] = []

    def come_up(self) -> None:
        """Greetings, until all edges are up; time stands still."""
        for node in self.nodes.values():
            node.machine.knock()
            self._post(node)
        self._settle()
        for node in self.nodes.values():
            if not node.machine.ready:
                raise Stuck(f"{node.name} was not welcomed everywhere")
        self._begun = True
        for node in self.nodes.values():
            self._foresee(node)

    def run(self, until: float = NEVER) -> None:
        """To the end, or to ``until``. Raises Stuck."""
        if not self._begun:
            self.come_up()
        wakes, horizon = self._wakes, -NEVER
        while not (self._news and self._over()):
            while wakes and wakes[0][0] != wakes[0][2].wake:  # it was foreseen anew
                heappop(wakes)
            following = wakes[0][0] if wakes else NEVER
            if following < horizon:
                self.now = max(self.now, following)
                self._turn(heappop(wakes)[2])
            elif not self._prepare(following, until):
                return
            else:  # before this nothing is due but turns
                last = nextafter(min(self._end + PATIENCE_S, until), NEVER)
                horizon = min(self._step_at, self._counted_at + COUNTED_EVERY_S, last)
            if self._turns:
                self._settle()

    def _prepare(self, wake: float, until: float) -> bool:
        """See what else is due before the next turn; False if ``until`` is. Raises Stuck."""
        following = min(wake, self._step_at)
        if following > until:
            self.now = until
            return False
        if following > self._end + PATIENCE_S:
            raise Stuck(self._who_is_left())
        if following >= self._counted_at + COUNTED_EVERY_S:
            self._count()
        self.now = max(self.now, following)
        if self._step_at <= self.now:
            self._do(self._steps.popleft())
        return True

    def _count(self) -> None:
        """Bound what waits to be counted."""
        self._counted_at = self.now
        for node in self.nodes.values():
            if not node.done and node.alive:
                node.count(self.nodes)

    def _over(self) -> bool:
        """Whether all have ended that live, or will again."""
        self._news = False
        coming = {action.agent for step in self._steps for action in step.actions if action.do == "restart"}
        self._left = [
            node.name for node in self.nodes.values() if not node.done and (node.alive or node.name in coming)
        ]
        return not self._left

    def _who_is_left(self) -> str:
        return f"at {self.now:g} s these had not ended: {', '.join(self._left[:5])}"

    def _settle(self) -> None:
        """Turns, until nobody has got a frame."""
        turns = self._turns
        while turns:
            node = turns.popleft()
            node.queued = False
            self._turn(node)

    def _turn(self, node: Node) -> None:
        """As ``agents.loop``: read, advance, send, and see when the next turn is due."""
        if not node.running:
            return
        machine, begun = node.machine, self._begun
        if node.inbox or not node.network.perfect:
            node.take(self.now, begun)
        if begun:
            machine.advance(self.now)
        if machine.outbox:
            self._post(node)
        if self._check:
            self._check(self, node)
        if begun:
            if machine.finished:
                node.count(self.nodes)
                node.done = True
                node.settle()
                self._news = True
                self._see_failure(node)
            self._foresee(node)

    def _see_failure(self, node: Node) -> None:
        """A policy that raised ends the run, as the launcher does: all others say goodbye."""
        trace = node.machine.statement().get("failure")
        if not trace or self.failure:
            return
        self.failure = failed(node.name, str(trace))
        for other in self.nodes.values():
            if other.running:
                other.machine.stop(self.now)
                self._queue(other)

    def _post(self, node: Node) -> None:
        machine, nodes, name, turns = node.machine, self.nodes, node.name, self._turns
        tap, by_bytes = self._tap, self._by_bytes
        while outbox := machine.outbox:  # what could not go may have been sent elsewhere
            due = list(outbox.items())
            outbox.clear()
            for peer, messages in due:
                other = nodes.get(peer)
                if other is None or (not other.running and not other.listening):
                    cause = "full" if other is not None and other.alive and not other.done else "unroutable"
                    node.census.unsent[cause] += len(messages)
                    machine.unsent(peer, messages, self.now, cause)
                    continue
                frame = node.frame(peer, messages, self.now)
                if tap:
                    tap(node, peer, frame)
                other.inbox.append((name, through_bytes(frame) if by_bytes else frame))
                if other.running and not other.queued:
                    other.queued = True
                    turns.append(other)

    def _foresee(self, node: Node) -> None:
        wake = node.machine.deadline()
        if not node.network.perfect:
            wake = min(wake, node.network.deadline())
        if wake != node.wake or wake <= self.now:
            node.wake = wake
            if wake < NEVER and node.running:
                self._order += 1
                heappush(self._wakes, (wake, self._order, node))

    def _do(self, step: Step) -> None:
        fault = self.faults[step.number]
        by = "schedule" if step.number < self._drawn_from else "chaos"
        self._observe(line(fault, step.begin, self.now, step.number, by))
        for action in step.actions:
            self._act(action)
        self._step_at = self._steps[0].t if self._steps else NEVER

    def _act(self, action: Action) -> None:
        name, node = action.agent, self.nodes.get(action.agent)
        if action.do == "join":
            self._join(name)
        if node is None or node.done:
            return
        match action:
            case Action("tell", _, dict(order)) if node.alive:
                self._tell(node, order)
            case Action("kill") if node.alive:
                node.count(self.nodes)
                node.alive = False
                node.settle()
                node.inbox.clear()
                self._news = True
                self._say("died", node, why="SIGKILL", by="fault")
                self._cut_off(node)
            case Action("restart") if not node.alive:
                life = node.spec["life"] + 1
                node.live(reborn(node.spec, life, self.now, 1), self._make_rows)
                self._say("started", node)
                for order in concerning(name, self._in_force()):
                    self._tell(node, order)
                self._queue(node)
            case Action("freeze") if node.alive:
                node.machine.order({"tell": "pause"}, self.now)
                node.frozen = True
                node.settle()
            case Action("thaw") if node.frozen:
                node.frozen = False
                node.settle()
                node.wake = NEVER
                node.machine.order({"tell": "resume"}, self.now)
                self._hear_of_ends(node)

    def _cut_off(self, dead: Node) -> None:
        """Whoever had connected to it hears that at once."""
        for peer in dead.spec["dispatchers"] if dead.spec["role"] == "server" else ():
            node = self.nodes.get(peer)
            if node is not None and node.alive and not node.done:
                node.severed.append(dead.name)
                self._hear_of_ends(node)

    def _hear_of_ends(self, node: Node) -> None:
        """Connections that have ended; who stands still hears of it when it goes on."""
        if not node.running:
            return
        node.take(self.now, self._begun)
        for name in node.severed:
            node.machine.cut_off(name, self.now)
        node.severed.clear()
        self._queue(node)

    def _tell(self, node: Node, order: Mapping[str, Any]) -> None:
        if order["tell"] == "impair":
            if node.knows(order["peer"]):
                node.inlet.impair(order["peer"], order["change"])
            return
        node.machine.order(order, self.now)
        self._queue(node)

    def _join(self, name: str) -> None:
        """An agent begins; its peers are told first, as the operator tells them."""
        self._absent.discard(name)
        spec = without(self._specs[name], self._absent) | {"born": self.now, "start_ns": 1}
        for peer, order in invitations(spec, self._specs).items():
            known = self.nodes[peer]
            known.spec = met(known.spec, order)
            if known.alive and not known.done:
                known.meet(name)
                known.inlet.impair(name, {"delay": order["delay"]})
                self._tell(known, order)
        node = self.nodes[name] = Node(spec, self._make_rows, self._latency)
        self._news = True
        self._observe(Happening(t=self.now, event="joined", agents=[name], entry=dict(entry(spec))))
        self._queue(node)

    def _in_force(self) -> list[Fault]:
        return [fault for fault in self.faults if fault.at <= self.now < fault.until]

    def _queue(self, node: Node) -> None:
        if not node.queued and node.running:
            node.queued = True
            self._turns.append(node)

    def _say(self, event: Any, node: Node, why: str = "", by: str = "schedule") -> None:
        self._observe(
            Happening(t=self.now, event=event, agents=[node.name], life=node.spec["life"], why=why, by=by)
        )
