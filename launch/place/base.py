"""The contract of a placement: where agents run, and how the launcher reaches them."""

from collections.abc import Sequence
from typing import Any, Protocol

Event = dict[str, Any]
"""``spawned``, ``exited``, ``said`` as in ``nursery``; ``lost`` (why) if the placement itself failed."""


class Place(Protocol):
    """A running placement. Closing it ends every agent that it started."""

    sockets: str
    """Folder for the agents' sockets."""

    def spawn(self, specs: Sequence[Any]) -> None:
        """Start agents."""

    def tell(self, message: dict[str, object], to: str | None = None) -> None:
        """Send a control message to one agent, or to all."""

    def signal(self, agent: str, number: int) -> None:
        """Send a signal to one agent."""

    def events(self, timeout_real_s: float) -> list[Event]:
        """What has happened; waits for the first for ``timeout_real_s`` at most."""

    def close(self) -> None:
        """End all agents and remove their sockets."""
