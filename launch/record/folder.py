"""The run directory: what is written where, and how it is read back.

topology.json   the resolved topology         plan.json     options, agents, versions, command
launch.json     how the launch went           inputs/       prepared schedules of traces
agents/         raw journals and statements, until they are collected
jobs.parquet    every job, as its dispatcher booked it
visits.parquet  every job, as its server served it
messages.json   each agent's counts           summary.json  the results
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from gmsr.topology.errors import UserError
from gmsr.topology.files import resolve
from gmsr.topology.graph import Topology


class Agent(NamedTuple):
    """One agent of the run; rows of its journal name its peers by index."""

    id: str
    role: str
    peers: tuple[str, ...]


class Folder(NamedTuple):
    """A run directory's own words about itself."""

    path: Path
    topology: Topology
    plan: dict[str, Any]
    launch: dict[str, Any]  # empty if the launcher was killed
    agents: tuple[Agent, ...]

    def of(self, role: str) -> list[Agent]:
        """The dispatchers, or the servers."""
        return [agent for agent in self.agents if agent.role == role]

    @property
    def end(self) -> float:
        """When measuring ended, in emulated seconds: the duration, or earlier if the run was cut short."""
        duration: float = self.plan["duration"]
        cut = self.launch.get("interrupted") or self.launch.get("failure")
        return min(duration, self.launch["ended_at"]) if cut else duration


def open_run(path: Path) -> Folder:
    """Read what a run directory says of itself. Raises UserError if it is none."""
    plan = _read(path / "plan.json")
    topology = resolve(_read(path / "topology.json"), path / "topology.json").topology
    launch = _read(path / "launch.json") if (path / "launch.json").exists() else {}
    agents = tuple(Agent(each["id"], each["role"], tuple(each["peers"])) for each in plan["agents"])
    return Folder(path, topology, plan, launch, agents)


def write_json(path: Path, content: object) -> None:
    """Whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    part.replace(path)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; name the directory of a run") from error
    except ValueError as error:
        raise UserError(f"{path}: is no JSON; this is no run directory, or a damaged one") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: is no run's; name the directory of a run")
    return content
