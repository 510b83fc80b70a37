"""The contract between an agent's state machine and whatever drives it.

A machine owns no socket, no clock and no source of randomness that was not handed to it. Its driver, the
event loop over ZeroMQ or a test with a clock of its own, does in each turn:

1. ``received(peer, messages, now)`` for each frame that has arrived,
2. ``advance(now)`` once: whatever is due at or before ``now`` happens, in order, at its exact instant,
3. send what is in ``outbox`` (one frame a peer) and empty it; ``unsent(...)`` for what could not go,
4. sleep until ``deadline()`` or the next frame.

``now`` is in emulated seconds, 0 at the start of the run, and never falls. Before the start only
``knock`` and ``received`` are called, with ``now`` = 0.
"""

from typing import Any, Protocol

Message = tuple[Any, ...]
"""A message of ``broker.wire``: its kind, then its fields."""

Outbox = dict[str, list[Message]]
"""What is due to each peer, in order. Whoever sends it clears it."""

NEVER = float("inf")


class Machine(Protocol):
    """What the loop needs of a dispatcher or a server."""

    outbox: Outbox

    @property
    def ready(self) -> bool:
        """Whether all edges are up."""

    @property
    def finished(self) -> bool:
        """Whether all edges are closed and nothing is left to do."""

    def knock(self) -> None:
        """Greet the peers that have not answered yet. The driver repeats it until ``ready``."""

    def received(self, peer: str, messages: list[Message], now: float) -> None:
        """Take what one frame of a known peer held."""

    def unsent(self, peer: str, messages: list[Message], now: float) -> None:
        """Take back messages of the outbox that could not be sent."""

    def advance(self, now: float) -> None:
        """Do whatever is due at or before ``now``, then say what has changed."""

    def deadline(self) -> float:
        """When ``advance`` must be called next, in emulated seconds; ``NEVER`` if only a message can help."""

    def stop(self, now: float) -> None:
        """Close the edges early; ``finished`` follows once the peers have answered."""

    def close(self) -> None:
        """Write what is still open to the journal. The last call."""

    def status(self) -> dict[str, int]:
        """Counts for telemetry."""

    def statement(self) -> dict[str, object]:
        """The final account, for the run directory."""

    def validate(self) -> None:
        """Raise AssertionError if an invariant is broken. For tests; too slow for live runs."""
