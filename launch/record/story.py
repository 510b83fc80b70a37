"""What happened in a run, told in the order of time: what was done to it, who died, and who noticed what."""

from pathlib import Path
from typing import NamedTuple

from gmsr.topology.errors import UserError

from .collect import read_statements
from .folder import Folder, Happening, open_run

HAPPENED = {"died": "died", "started": "began its next life", "joined": "joined"}
BELIEVED = {
    "suspect": "suspects {} and sends it nothing more",
    "dead": "takes {} for dead",
    "back": "hears {} again",
    "reborn": "meets {} in a new life",
    "leaving": "hears that {} leaves",
    "gone": "parts from {}",
}
"""Events of dispatchers' statements."""


class Line(NamedTuple):
    """One event; ``t`` in emulated seconds."""

    t: float
    who: str
    what: str


def story(run_dir: Path, agent: str | None = None) -> list[Line]:
    """Everything, or what concerns one agent. Dispatchers tell what they noticed when they end.

    Raises UserError where there is no such run or agent.
    """
    folder = open_run(run_dir)
    _check(folder, agent)
    lines = [
        _told(each)
        for each in folder.happenings
        if agent is None or agent in each.agents or any(agent in edge for edge in each.edges)
    ]
    for name, statement in read_statements(folder).items():
        for t, what, server in statement.get("events", ()):
            if agent in (None, server, name.partition("@")[0]):
                lines.append(Line(t, name, BELIEVED.get(what, what + " {}").format(server)))
    return sorted(lines, key=lambda line: line.t)


def complaints(run_dir: Path, agent: str | None = None) -> dict[str, str]:
    """What each agent wrote to its standard error, if anything; of later lives as ID@2."""
    found = {}
    for file in sorted((run_dir / "agents").glob("*.err")):
        text = file.read_text(encoding="utf-8", errors="replace")
        if text and agent in (None, file.stem.partition("@")[0]):
            found[file.stem] = text
    return found


def _told(each: Happening) -> Line:
    if each.event in HAPPENED:
        name = each.agents[0] if each.life == 1 else f"{each.agents[0]}@{each.life}"
        why = f" ({each.why}, by {each.by})" if each.why else ""
        return Line(each.t, name, HAPPENED[each.event] + why)
    return Line(each.t, each.by, f"{'begin' if each.event == 'begin' else 'end'}: {each.what}")


def _check(folder: Folder, agent: str | None) -> None:
    if agent is not None and agent not in {each.id for each in folder.agents}:
        raise UserError(f"{folder.path}: has no agent {agent!r}; name one of its dispatchers or servers")
