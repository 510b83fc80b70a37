"""Counts of everything that an agent sends and receives: by peer, kind and bytes.

Every message is counted where it is sent and where it is received. When both ends of an edge have said
goodbye the two counts must agree; ``reconcile`` says where they do not.
"""

from collections.abc import Mapping
from typing import Any

from .wire import KIND_NAMES, KINDS, REASONS, Tally

DROPPED = (*REASONS, "sender")
"""Why a frame was dropped: the decoder's reasons, and a sender that has no edge to this agent."""


class Traffic:
    """What went one way between this agent and one peer."""

    __slots__ = ("counts", "frame_bytes", "frames", "sizes")

    def __init__(self) -> None:
        self.counts = [0] * KINDS
        self.sizes = [0] * KINDS
        self.frames = 0
        self.frame_bytes = 0

    def add(self, tally: Tally, frame_bytes: int) -> None:
        """One more frame."""
        self.frames += 1
        self.frame_bytes += frame_bytes
        counts, sizes = self.counts, self.sizes
        for kind, count in enumerate(tally.counts):
            if count:
                counts[kind] += count
                sizes[kind] += tally.sizes[kind]

    def kinds(self) -> dict[str, list[int]]:
        """Kind → [messages, bytes], kinds that never came left out."""
        return {
            name: [self.counts[kind], self.sizes[kind]]
            for kind, name in enumerate(KIND_NAMES)
            if self.counts[kind]
        }


class Census:
    """One agent's counts."""

    __slots__ = ("dropped", "received", "sent", "unsent")

    def __init__(self) -> None:
        self.sent: dict[str, Traffic] = {}
        self.received: dict[str, Traffic] = {}
        self.dropped = dict.fromkeys(DROPPED, 0)
        self.unsent = 0  # frames that the transport would not take

    def meet(self, peer: str) -> None:
        """Open the account of a peer."""
        self.sent[peer] = Traffic()
        self.received[peer] = Traffic()

    def to_plain(self) -> dict[str, Any]:
        """Maps, lists and numbers, for the agent's statement."""
        both = {"sent": self.sent, "received": self.received}
        return {
            **{way: {peer: each.kinds() for peer, each in traffic.items()} for way, traffic in both.items()},
            "frames": {way: {peer: each.frames for peer, each in of.items()} for way, of in both.items()},
            "frame_bytes": {
                way: {peer: each.frame_bytes for peer, each in of.items()} for way, of in both.items()
            },
            "dropped": dict(self.dropped),
            "unsent": self.unsent,
        }


def reconcile(censuses: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Where a sender's and a receiver's counts of the same edge differ, a line each.

    ``censuses``: agent → ``Census.to_plain()``. A peer without a census is passed over: it has no say.
    """
    lines = []
    for agent, census in censuses.items():
        for peer, kinds in census["sent"].items():
            if peer not in censuses:
                continue
            heard = censuses[peer]["received"].get(agent, {})
            for kind in KIND_NAMES:
                sent, received = kinds.get(kind, [0, 0]), heard.get(kind, [0, 0])
                if list(sent) != list(received):
                    lines.append(
                        f"{agent} sent {peer} {sent[0]} of kind {kind} ({sent[1]} bytes), "
                        f"{peer} received {received[0]} ({received[1]} bytes)"
                    )
    return lines
