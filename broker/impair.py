"""What the network does to frames on their way: delay, jitter, loss, duplication, reordering, a cut.

Applied where a frame is received, on the receiver's clock, to whole frames: it is read from the socket at once
and handed on later, or twice, or never. On an edge that has a delay in the topology frames say when they were sent, and
the delay counts from then, so that it holds the transport's own latency (0.1 to 0.4 ms on one machine), which comes on
top of a delay that is only imposed. The same file serves live agents and the deterministic world.

Frames of one peer stay in order, as on any connection: jitter delays those behind too. Only ``reorder``
lets a frame be overtaken, and no transport of ours does that: it is for the deterministic world.
"""

from collections.abc import Mapping
from heapq import heappop, heappush
from random import Random
from typing import NamedTuple

from .wire import Frame, sent_at

NEVER = float("inf")
ECHO_S = 0.01
"""The second copy of a frame, or one that is overtaken, is so much later at most (emulated seconds)."""


class Impairment(NamedTuple):
    """What befalls frames from one peer. Times in emulated seconds, shares of frames in [0, 1]."""

    delay: float = 0.0
    jitter: float = 0.0  # uniform, on top of the delay
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    cut: float = 0.0  # not 0: nothing passes


class Network:
    """Frames under way to one agent. ``delays``: by peer, the edge's own, always there; ``latency``: of a frame from
    anybody, uniform up to so much.
    """

    __slots__ = ("_delays", "_imposed", "_last", "_latency", "_order", "_random", "_under_way", "perfect")

    def __init__(self, delays: Mapping[str, float], random: Random, latency: float = 0.0) -> None:
        self._delays = {peer: delay for peer, delay in delays.items() if delay}
        self._latency = latency
        self._imposed: dict[str, Impairment] = {}
        self._last: dict[str, float] = {}  # when the last frame of a peer comes out
        self._random = random.random
        self._order = 0
        self._under_way: list[tuple[float, int, str, Frame]] = []
        self.perfect = False
        """Whether every frame passes at once, so that nobody need ask."""
        self._see()

    @property
    def waiting(self) -> int:
        """Messages under way."""
        return sum(len(messages) for _, _, _, (_, _, messages) in self._under_way)

    def impair(self, peer: str, changes: Mapping[str, float]) -> None:
        """Set some fields of a peer's ``Impairment``. Raises ValueError for a field or value that there is not."""
        for field, value in changes.items():
            if field not in Impairment._fields:
                raise ValueError(f"there is no impairment {field!r}")
            if not isinstance(value, int | float) or not 0.0 <= value < NEVER:
                raise ValueError(f"there is no {field} of {value!r}")
        imposed = self._imposed.get(peer, Impairment())._replace(**changes)
        if imposed == Impairment():
            self._imposed.pop(peer, None)
        else:
            self._imposed[peer] = imposed
        self._see()

    def push(self, peer: str, frame: Frame, now: float) -> bool:
        """A frame has come in. False if it is lost."""
        sent = sent_at(frame[2])
        if sent is not None and sent < now:
            now = sent
        base, imposed = self._delays.get(peer, 0.0), self._imposed.get(peer)
        if self._latency:
            base += self._latency * self._random()
        if imposed is None:
            self._send_on(peer, frame, now + base)
            return True
        random = self._random
        if imposed.cut or (imposed.loss and random() < imposed.loss):
            return False
        release = now + base + imposed.delay + imposed.jitter * random()
        if imposed.reorder and random() < imposed.reorder:
            self._put(peer, frame, release + ECHO_S * random())  # and who comes later may come out before
        else:
            release = self._send_on(peer, frame, release)
        if imposed.duplicate and random() < imposed.duplicate:
            self._put(peer, frame, release + ECHO_S * random())
        return True

    def due(self, now: float) -> list[tuple[str, Frame]]:
        """Frames whose time has come, the earliest first."""
        under_way, out = self._under_way, []
        while under_way and under_way[0][0] <= now:
            _, _, peer, frame = heappop(under_way)
            out.append((peer, frame))
        self._see()
        return out

    def deadline(self) -> float:
        """When the next frame is due; ``NEVER`` if none is under way."""
        return self._under_way[0][0] if self._under_way else NEVER

    def _see(self) -> None:
        self.perfect = not (self._delays or self._imposed or self._under_way or self._latency)

    def _send_on(self, peer: str, frame: Frame, release: float) -> float:
        release = max(release, self._last.get(peer, 0.0))
        self._last[peer] = release
        self._put(peer, frame, release)
        return release

    def _put(self, peer: str, frame: Frame, release: float) -> None:
        self._order += 1
        heappush(self._under_way, (release, self._order, peer, frame))
