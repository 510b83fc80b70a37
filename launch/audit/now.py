"""The kernel's tables of a run that goes on at this moment."""

from pathlib import Path
from typing import Any

from gmsr.topology.errors import UserError

from ..operate import Testbed
from ..place.base import Seen
from .proof import snapshot
from .tables import look


def seen_now(run_dir: Path) -> dict[str, Any] | None:
    """None if the run has ended."""
    if not (run_dir / "plan.json").exists():
        raise UserError(f"{run_dir}: is no run's; name the directory of a run")
    try:
        testbed = Testbed(run_dir)
    except UserError:
        return None
    try:
        pids = {agent.id: agent.pid for agent in testbed.agents() if agent.pid is not None}
        edges = [(edge.dispatcher, edge.server) for edge in testbed.folder().topology.edges]
        sockets = testbed.control["sockets"]
        return snapshot(lambda: [Seen("", pids, sockets, look(pids.values()))], edges, testbed.now)
    finally:
        testbed.close()
