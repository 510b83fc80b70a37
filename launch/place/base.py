"""The contract of a placement: where agents run, and how the launcher reaches them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:  # it loads psutil
    from ..audit.tables import Tables

Event = dict[str, Any]
"""``spawned``, ``exited``, ``said`` as in ``nursery``; ``lost`` (why, host) if all that is on a host is gone; without
``host``, if the placement itself is."""


class Site(NamedTuple):
    """Where an agent runs, and where it finds there what is the run's."""

    host: str  # empty: where the launcher runs
    folder: str  # the run directory, or what stands for it there
    sockets: str


class Seen(NamedTuple):
    """The kernel's tables of one host."""

    host: str
    pids: Mapping[str, int]  # of agents there
    sockets: str
    tables: "Tables | None"  # None: it did not answer


class Place(Protocol):
    """A running placement. Closing it ends every agent that it started."""

    sockets: str
    """Folder for the agents' sockets; of agents here."""
    nursery: int
    """Process id of who starts the agents; 0: there are several."""

    def sites(self, agents: Sequence[str], run_dir: Path) -> dict[str, Site]:
        """Where each agent is to run."""

    def reserve(self, servers: Sequence[str]) -> dict[str, str]:
        """Choose a port for each server, and hold it; returns the addresses. Raises UserError if there are too few."""

    def deliver(self, agent: str, file: Path) -> None:
        """Bring a file of the run directory's ``inputs`` to where an agent is to run."""

    def spawn(self, specs: Sequence[Any]) -> None:
        """Start agents."""

    def begin(self, at_ns: int) -> None:
        """Start all clocks at an instant of the launcher's monotonic clock."""

    def tell(self, message: dict[str, object], to: str | None = None) -> None:
        """Send a control message to one agent, or to all."""

    def signal(self, agent: str, number: int) -> None:
        """Send a signal to one agent."""

    def restart(self, agent: str, orders: Sequence[dict[str, object]]) -> None:
        """Start a dead agent's next life, which begins with these orders."""

    def lose(self, host: str) -> None:
        """Kill all that runs on a host. Raises RunError where there are no hosts."""

    def deafen(self) -> None:
        """Hear no telemetry any more."""

    def end_by(self, at_ns: int) -> None:
        """Should the launcher be gone, whoever still lives ends at that instant of the launcher's monotonic clock."""

    def cpu_real_s(self) -> dict[str, float]:
        """What processor time each agent that lives has used. Whoever does not answer in time is missing."""

    def look(self, pids: Mapping[str, int]) -> list[Seen]:
        """The kernel's tables of these agents, host by host."""

    def events(self, timeout_real_s: float) -> list[Event]:
        """What has happened; waits for the first for ``timeout_real_s`` at most."""

    def keepers(self) -> list[dict[str, Any]]:
        """Hosts that keep journals, and where: for whoever comes for them should the launcher be gone."""

    def close(self) -> None:
        """End all agents and remove their sockets."""

    def gather(self, run_dir: Path) -> dict[str, Any]:
        """After ``close``: bring journals into the run directory; returns what is to be told of each host."""
