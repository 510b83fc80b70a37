"""Counts of everything that an agent sends and receives: by peer, kind and bytes.

Every message is counted where it is sent and where it is received. When both ends of an edge have said
goodbye the two counts must agree; ``reconcile`` says where they do not. The counting itself is in ``wire``:
``encode`` and ``decode`` add to the ``Tally`` of a peer as they go.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from .wire import BYE, KIND_NAMES, KINDS, REASONS, SENT, Tally

Count = TypeVar("Count")

DROPPED = (*REASONS, "sender", "stale")
"""Why a frame was dropped: the decoder's reasons, a sender that has no edge to this agent, and a frame that was
taken already, or overtaken (``inlet``)."""

UNSENT = ("unroutable", "full")
"""Why a message was not sent: the transport knows no such peer now, or the peer's queue is full."""


STAMP = KIND_NAMES[SENT]
"""When a frame was sent: the emulated network's own affair, and no message in any figure of a run."""


def unstamped(kinds: Mapping[str, Count]) -> dict[str, Count]:
    """Of what is counted by kind the messages of the system that is emulated."""
    return {kind: count for kind, count in kinds.items() if kind != STAMP}


class Census:
    """One agent's counts. ``sent`` and ``received`` are by peer; of what was received, ``lost`` fell to the
    emulated network, and ``stale`` are copies and what was overtaken. ``strangers`` are connections whose key is no
    neighbour's (tcp): refused before a frame was read.
    """

    __slots__ = ("dropped", "lost", "received", "sent", "stale", "strangers", "unsent")

    def __init__(self) -> None:
        self.sent: dict[str, Tally] = {}
        self.received: dict[str, Tally] = {}
        self.lost: dict[str, Tally] = {}
        self.stale: dict[str, Tally] = {}
        self.dropped = dict.fromkeys(DROPPED, 0)  # frames
        self.unsent = dict.fromkeys(UNSENT, 0)  # messages
        self.strangers = 0

    def meet(self, peer: str) -> None:
        """Open the account of a peer; one that is open stays as it is."""
        for tallies in (self.sent, self.received, self.lost, self.stale):
            tallies.setdefault(peer, Tally())

    def said(self) -> list[int]:
        """Messages that it has sent so far, by kind (``wire.KIND_NAMES``)."""
        return [sum(tally.counts[kind] for tally in self.sent.values()) for kind in range(KINDS)]

    def to_plain(self) -> dict[str, Any]:
        """Maps, lists and numbers, for the agent's statement.

        ``sent``, ``received``, ``lost``, ``stale``: peer → kind → [messages, bytes]; ``frames`` and ``frame_bytes``:
        the first two ways → peer → number, where a frame's bytes are those of its messages and its own head.
        """
        both = {"sent": self.sent, "received": self.received}
        dropped = {"lost": self.lost, "stale": self.stale}
        return {
            **{
                way: {peer: _kinds(tally) for peer, tally in of.items()}
                for way, of in (both | dropped).items()
            },
            "frames": {way: {peer: tally.frames for peer, tally in of.items()} for way, of in both.items()},
            "frame_bytes": {
                way: {peer: tally.frame_bytes for peer, tally in of.items()} for way, of in both.items()
            },
            "dropped": dict(self.dropped),
            "unsent": dict(self.unsent),
            "strangers": self.strangers,
        }


def _kinds(tally: Tally) -> dict[str, list[int]]:
    """Kind → [messages, bytes]; kinds that never came are left out."""
    return {
        name: [count, size]
        for name, count, size in zip(KIND_NAMES, tally.counts, tally.sizes, strict=True)
        if count
    }


def reconcile(censuses: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Where a sender's and a receiver's counts of the same edge differ, a line each; empty if they agree.

    ``censuses``: agent → ``Census.to_plain()``. A peer without a census is passed over: it has no say. What
    an agent received from a peer that says it sent nothing is told too. A goodbye is repeated until it is
    answered, and who has answered all of them is free to go: of several only one must have come.
    """
    sent_on = ((agent, peer) for agent, census in censuses.items() for peer in census["sent"])
    heard_on = ((peer, agent) for agent, census in censuses.items() for peer in census["received"])
    lines = []
    for sender, receiver in dict.fromkeys((*sent_on, *heard_on)):
        if sender not in censuses or receiver not in censuses:
            continue
        told = censuses[sender]["sent"].get(receiver, {})
        heard = censuses[receiver]["received"].get(sender, {})
        for kind in KIND_NAMES:
            sent, received = list(told.get(kind, [0, 0])), list(heard.get(kind, [0, 0]))
            goodbyes = kind == KIND_NAMES[BYE] and sent[0] >= received[0] >= 1
            if sent != received and not goodbyes:
                lines.append(
                    f"{sender} sent {receiver} {sent[0]} of kind {kind} ({sent[1]} bytes), "
                    f"{receiver} received {received[0]} ({received[1]} bytes)"
                )
    return lines
