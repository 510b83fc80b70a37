"""What must hold in the world, whatever befalls it. One function a property; each returns what breaks it.

At every turn: a machine's own invariants, and that a dispatcher believes of a server exactly what that told it last,
once nothing is under way between them; with local correction, moved for its own jobs as the server counts them. When
all faults are over and the last of them is digested: every server that lives is chosen again, nothing is in doubt,
nobody waits for a job that nobody holds, and nothing has piled up. At the end: the account of jobs
(``record.account``).
"""

from collections.abc import Callable, Iterator, Sequence

from gmsr.agents.dispatcher import Dispatcher
from gmsr.agents.feeds.correction import SLOPED, moved
from gmsr.agents.server import Server
from gmsr.broker.wire import REPORT, Frame, Message

from .node import Node
from .world import World


class Broken(AssertionError):
    """A property does not hold."""


class Watch:
    """Sees every frame and every turn of a world."""

    def __init__(self) -> None:
        self._told: dict[
            tuple[str, str], tuple[int, Message]
        ] = {}  # (server, dispatcher) → its life, last report

    def sees(self, sender: Node, peer: str, frame: Frame) -> None:
        """A frame goes out."""
        for message in reversed(frame[2]):
            if message[0] == REPORT:
                self._told[sender.name, peer] = (frame[0], message)
                return

    def checks(self, world: World, node: Node) -> None:
        """A turn is over. Raises Broken."""
        try:
            node.machine.validate()
        except AssertionError as error:
            raise Broken(
                f"{node.name} at {world.now:g} s: an invariant of its own is broken: {error}"
            ) from error
        machine = node.machine
        if isinstance(machine, Dispatcher):
            for line in self._stale_views(world, node, machine):
                raise Broken(line)

    def _stale_views(self, world: World, node: Node, dispatcher: Dispatcher) -> Iterator[str]:
        view = dispatcher.view
        for place, number in enumerate(view.numbers):
            name = view.names[number]
            server, told = world.nodes[name], self._told.get((name, node.name))
            if told is None or dispatcher.suspicion.peers[number].doubt or not server.knows(node.name):
                continue
            life, report = told
            if node.inlet.last(name) != server.last(node.name) or life != server.spec["life"]:
                continue  # something is under way, or lost and not yet noticed
            believed = tuple(view.column(quantity)[place] for quantity in view.reads)
            right = report[2:]
            if node.spec["corrected"]:
                if (
                    _under_way(node, server) or dispatcher.ledger.resent
                ):  # copies may be mistaken (``correction``)
                    continue
                assert isinstance(server.machine, Server)
                right = _moved(view.reads, right, server.machine.more(node.name))
            if believed != right:
                yield f"{node.name} at {world.now:g} s believes {believed} of {name}, and should {right}"


def _moved(reads: Sequence[str], told: Sequence[float], more: int) -> tuple[float, ...]:
    """What to believe of a server with so many own jobs more there than when it told ``told``."""
    *values, _ = told
    fall, rise = values[len(reads) :] or (0.0, 0.0)
    return tuple(
        moved(quantity in SLOPED, value, fall, rise, more) if more else value
        for quantity, value in zip(reads, values, strict=False)
    )


def digested(world: World) -> list[str]:
    """What must hold some seconds after the last fault, while load goes on."""
    rules: list[Callable[[World, Node, Dispatcher], Iterator[str]]] = [
        everybody_is_back,
        nobody_waits_in_vain,
        nothing_piles_up,
    ]
    lines = []
    for node in world.nodes.values():
        if node.alive and not node.done and isinstance(node.machine, Dispatcher):
            for rule in rules:
                lines += [f"at {world.now:g} s: {line}" for line in rule(world, node, node.machine)]
    return lines


def everybody_is_back(world: World, node: Node, dispatcher: Dispatcher) -> Iterator[str]:
    """A server that lives and stays is a candidate of its dispatchers; one that is dead, or has left, is not."""
    for number, name in enumerate(dispatcher.view.names):
        server = world.nodes[name]
        here = server.alive and not server.done and not leaves(server)
        state = dispatcher.suspicion.peers[number]
        chosen = dispatcher.view.place[number] >= 0
        if here != chosen:
            yield f"{node.name} believes that {name} is {state.state}, but it is {'here' if here else 'gone'}"
        if here and state.doubt:
            yield f"{node.name} has never cleared its doubt about {name}"


def nobody_waits_in_vain(world: World, node: Node, dispatcher: Dispatcher) -> Iterator[str]:
    """A job in flight at a server is held there."""
    for number, name in enumerate(dispatcher.view.names):
        server = world.nodes[name]
        if (
            not server.alive
            or not isinstance(server.machine, Server)
            or server.inbox
            or _under_way(node, server)
        ):
            continue
        held = server.machine.holds(node.name)
        lost = [job for job in dispatcher.ledger.at(number, dispatcher.ledger.sends) if job not in held]
        if lost:
            yield f"{node.name} waits for {len(lost)} jobs at {name} that it does not hold, as job {lost[0]}"


def nothing_piles_up(world: World, node: Node, dispatcher: Dispatcher) -> Iterator[str]:
    """Memory: a dispatcher remembers its jobs in flight, and no more of them than servers and network hold."""
    held = sum(
        len(each.machine.sharing.visits) for each in world.nodes.values() if isinstance(each.machine, Server)
    )
    under_way = sum(
        each.inlet.waiting + sum(len(messages) for _, (_, _, messages) in each.inbox)
        for each in world.nodes.values()
    )
    if dispatcher.ledger.in_flight > held + under_way:
        yield f"{node.name} has {dispatcher.ledger.in_flight} jobs in flight, servers hold {held}"


def leaves(server: Node) -> bool:
    """Whether a server was told to leave."""
    return isinstance(server.machine, Server) and server.machine.leaving


def _under_way(node: Node, server: Node) -> bool:
    """Whether a frame is between the two, either way, or was lost and is not yet missed."""
    here, there = node.inlet.last(server.name), server.last(node.name)
    return here != there or server.inlet.last(node.name) != node.last(server.name)
