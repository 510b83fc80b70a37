"""Agents that no file foresaw join a run that is under way: a fragment of a topology file, by hand."""

from pathlib import Path
from typing import Any

from gmsr.topology.errors import UserError
from gmsr.topology.files import resolve
from gmsr.topology.graph import Topology
from gmsr.topology.reading import read_plain

from .. import plan
from ..choices import choose
from ..operate import Testbed
from ..record.folder import Folder, Happening, read_json, tell
from .join import Spec, entry, peers, without
from .live import introduce

FIELDS = ("dispatchers", "servers", "edges")


def add(testbed: Testbed, file: Path) -> list[str]:
    """Start the fragment's agents, one after the other, and tell their peers; returns their ids.

    Raises UserError where it does not fit; nothing is done then.
    """
    testbed.require_time()
    folder = testbed.folder()
    whole = _whole(folder, file)
    before = {agent.id for agent in folder.agents}
    specs = _specs(testbed, folder, whole)
    new = [name for name in specs if name not in before]
    if not new:
        raise UserError(f"{file}: adds no agent; name new dispatchers or servers there")
    for edge in whole.edges:
        ends = {edge.dispatcher, edge.server}
        if ends <= before and edge not in folder.topology.edges:
            raise UserError(
                f"{file}: edges: {edge.dispatcher} and {edge.server} are there already; remove the edge"
            )
    absent = set(new)
    for name in new:
        absent.discard(name)
        now = testbed.now
        spec = without(specs[name], absent) | {"born": now, "start_ns": testbed.control["begin_ns"]}
        introduce(testbed, spec, specs)
        told = Happening(
            t=now,
            event="joined",
            agents=[name],
            by="hand",
            entry=dict(entry(spec)),
            fragment=_fragment(whole, spec),
        )
        tell(testbed.run_dir, told)
    return new


def _whole(folder: Folder, file: Path) -> Topology:
    """The topology with the fragment in it."""
    fragment = read_plain(file)
    if not isinstance(fragment, dict) or not fragment or not fragment.keys() <= set(FIELDS):
        raise UserError(f"{file}: is no fragment; it has lists {', '.join(FIELDS)} and nothing else")
    content = folder.topology.to_dict()
    for field, more in fragment.items():
        if not isinstance(more, list):
            raise UserError(f"{file}: {field} is no list; write one")
        content[field] = [*content[field], *more]
    return resolve(content, file).topology


def _specs(testbed: Testbed, folder: Folder, whole: Topology) -> dict[str, Spec]:
    planned: dict[str, Any] = read_json(folder.path / "plan.json")
    options = plan.Options(**{name: planned[name] for name in plan.Options._fields})
    if options.edges != "ipc":
        raise UserError(
            f"{folder.path}: its edges are {options.edges}, and keys are made before a run; use ipc"
        )
    joining = {each.id for each in whole.dispatchers} - {each.id for each in folder.topology.dispatchers}
    if whole.arrivals.kind == "trace" and joining:
        raise UserError(f"{folder.path}: plays a trace, which is shared out already; add servers only")
    values = folder.path / "inputs" / "sizes.values"
    inputs = plan.Inputs({}, values if values.exists() else None, planned["mean_size"])
    made = plan.specs(
        whole,
        options,
        choose(options.policy, options.feed),
        folder.path,
        testbed.control["sockets"],
        testbed.control["token"],
        inputs,
    )
    return {spec["id"]: spec for spec in made}


def _fragment(whole: Topology, spec: Spec) -> dict[str, list[Any]]:
    """The part of the whole that is one agent and its edges, as a file would say it."""
    name, around = spec["id"], {spec["id"], *peers(spec)}
    all_names = [each.id for each in whole.dispatchers] + [each.id for each in whole.servers]
    plain = whole.without(set(all_names) - around).to_dict()
    found = {
        field: [each for each in plain[field] if each["id"] == name] for field in ("dispatchers", "servers")
    }
    found["edges"] = [each for each in plain["edges"] if name in (each["from"], each["to"])]
    return {field: more for field, more in found.items() if more}
