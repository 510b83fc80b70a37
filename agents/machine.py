"""The contract between an agent's state machine and whatever drives it.

A machine owns no socket, no clock and no source of randomness that was not handed to it. Its driver, the
event loop over ZeroMQ or a test with a clock of its own, does in each turn:

1. ``received(peer, life, messages, now)`` for each frame that ``broker.inlet`` hands on, with ``missed(peer)``
   before it where frames in between are lost, and then ``cut_off`` for each peer whose connection has ended,
2. ``advance(now)`` once: whatever is due at or before ``now`` happens, in order, at its exact instant,
3. empty the ``outbox`` and send what was in it (one frame a peer); ``unsent(...)`` for what could not go,
4. sleep until ``deadline()`` or the next frame.

An agent may be killed and started again: that is another machine, in its next **life**. Its peers tell lives apart
by the number in each frame.

``now`` is in emulated seconds, 0 at the start of the run, and never falls. Before the start only
``knock`` and ``received`` are called, with ``now`` = 0.
"""

from collections.abc import Mapping
from typing import Any, Protocol

Message = tuple[Any, ...]
"""A message of ``broker.wire``: its kind, then its fields."""

Outbox = dict[str, list[Message]]
"""What is due to each peer, in order. Whoever sends it clears it."""

NEVER = float("inf")
LEAST_FACTOR, MOST_FACTOR = 1e-9, 1e9
"""Of an operator's ``slow`` and ``surge``. Beyond, rates would round to 0 or overflow, and are no order."""


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

    def received(self, peer: str, life: int, messages: list[Message], now: float) -> None:
        """Take what one frame of a known peer held."""

    def missed(self, peer: str) -> None:
        """Hear that frames of a peer are lost."""

    def cut_off(self, peer: str, now: float) -> None:
        """Hear that the connection to a peer has ended: its process died, or the transport gave it up."""

    def unsent(self, peer: str, messages: list[Message], now: float, cause: str) -> None:
        """Take back messages of the outbox that could not be sent; ``cause`` is one of ``census.UNSENT``."""

    def advance(self, now: float) -> None:
        """Do whatever is due at or before ``now``, then say what has changed."""

    def deadline(self) -> float:
        """When ``advance`` must be called next, in emulated seconds; ``NEVER`` if only a message can help."""

    def stop(self, now: float) -> None:
        """Close the edges early; ``finished`` follows once the peers have answered."""

    def order(self, order: Mapping[str, Any], now: float) -> None:
        """Do what the operator says (faults, joining and leaving). What it does not know it passes over."""

    def status(self) -> dict[str, Any]:
        """How it fares, for telemetry: a few numbers and lists of them."""

    def statement(self) -> dict[str, object]:
        """The final account, for the run directory."""

    def validate(self) -> None:
        """Raise AssertionError if an invariant is broken. For tests; too slow for live runs."""
