"""What happens to messages on their way: a constant one-way delay by edge.

Applied where a frame is received, on the receiver's clock: it is read from the socket at once and handed
on ``delay`` later, in order. The transport's own latency (about 0.1 ms on one machine) comes on top.
"""

from collections import deque
from collections.abc import Mapping

from .wire import Message

NEVER = float("inf")


class DelayLine:
    """Messages under way, by peer. Times and delays are in emulated seconds."""

    __slots__ = ("_delays", "_lines")

    def __init__(self, delays: Mapping[str, float]) -> None:
        self._delays = dict(delays)
        self._lines: dict[str, deque[tuple[float, list[Message]]]] = {}

    def push(self, peer: str, messages: list[Message], now: float) -> None:
        """A frame has come in."""
        release = now + self._delays.get(peer, 0.0)
        self._lines.setdefault(peer, deque()).append((release, messages))

    def due(self, now: float) -> list[tuple[str, list[Message]]]:
        """Frames whose time has come, the earliest first."""
        out = []
        for peer, line in self._lines.items():
            while line and line[0][0] <= now:
                release, messages = line.popleft()
                out.append((release, peer, messages))
        out.sort(key=lambda item: item[0])
        return [(peer, messages) for _, peer, messages in out]

    def deadline(self) -> float:
        """When the next frame is due; ``inf`` if none is under way."""
        return min((line[0][0] for line in self._lines.values() if line), default=NEVER)
