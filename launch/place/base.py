"""The contract of a placement: where agents run, and how the launcher reaches them."""

from collections.abc import Sequence
from typing import Any, Protocol

Event = dict[str, Any]
"""``spawned``, ``exited``, ``said`` as in ``nursery``; ``lost`` (why) if the placement itself failed."""


class Place(Protocol):
    """A running placement. Closing it ends every agent that it started."""

    sockets: str
    """Folder for the agents' sockets."""
    nursery: int
    """Process id of who starts the agents."""

    def spawn(self, specs: Sequence[Any]) -> None:
        """Start agents."""

    def tell(self, message: dict[str, object], to: str | None = None) -> None:
        """Send a control message to one agent, or to all."""

    def signal(self, agent: str, number: int) -> None:
        """Send a signal to one agent."""

    def restart(self, agent: str, orders: Sequence[dict[str, object]]) -> None:
        """Start a dead agent's next life, which begins with these orders."""

    def deafen(self) -> None:
        """Hear no telemetry any more."""

    def end_by(self, at_ns: int) -> None:
        """Should the launcher be gone, whoever still lives ends at that instant of the monotonic clock."""

    def events(self, timeout_real_s: float) -> list[Event]:
        """What has happened; waits for the first for ``timeout_real_s`` at most."""

    def close(self) -> None:
        """End all agents and remove their sockets."""
