"""``gmsr simulate``: a run in the deterministic world, which leaves the same directory behind as a live one."""

import platform
import shutil
from pathlib import Path
from random import Random
from typing import Any

from gmsr.agents.journal import MappedRows
from gmsr.agents.process import journal
from gmsr.topology.errors import UserError
from gmsr.topology.graph import Topology

from .. import plan
from ..choices import choose
from ..demand import informed
from ..faults.scheduled import scheduled
from ..record.collect import life_name
from ..record.folder import tell, write_json
from ..record.summary import summarise
from ..run_dir import broken, make_folder, write_launch, write_plan
from .checks import Broken, Watch
from .world import Stuck, World


def simulate(
    topology: Topology,
    options: plan.Options,
    out: Path | None = None,
    checked: bool = False,
) -> dict[str, Any]:
    """Run a topology with its faults under virtual time and return its summary, as ``run.run`` does.

    A pure function of its arguments, but for the moment in ``plan.json``. ``checked`` holds every turn against
    ``checks``. Raises UserError before anything is done, RunError where a property is broken.
    """
    policy = choose(options.policy, options.feed)
    topology, drawn = scheduled(topology, options, simulated=True)
    if policy.informed:
        topology = informed(topology)
    run_dir = make_folder(topology, options, out)
    topology = topology._replace(scale=options.scale)
    try:
        inputs = plan.prepare(topology, options, run_dir / "inputs")
    except UserError:
        shutil.rmtree(run_dir)  # we have just made it
        raise
    token = f"{Random(options.seed).getrandbits(128):032x}"  # as long as a live one
    specs = plan.specs(topology, options, policy, run_dir, "nowhere", token, inputs)
    journals: list[MappedRows] = []

    def rows(spec: Any) -> MappedRows:
        journals.append(journal(spec))
        return journals[-1]

    watch = Watch() if checked else None
    world = World(
        specs,
        topology.faults,
        rows,
        lambda happening: tell(run_dir, happening),
        check=watch.checks if watch else None,
        tap=watch.sees if watch else None,
        drawn=drawn,
    )
    write_plan(run_dir, options, policy, world.first, inputs)
    failure = ""
    try:
        world.run()
        failure = world.failure
    except (Stuck, Broken) as error:
        failure = str(error)
    finally:
        for each in journals:
            each.close()
    _write_ends(run_dir, world, failure)
    if failure:
        if world.failure:
            summarise(run_dir)
        raise broken(failure, run_dir)
    return summarise(run_dir)


def _write_ends(run_dir: Path, world: World, failure: str) -> None:
    for node in world.nodes.values():
        if node.done:
            name = life_name(node.name, node.spec["life"])
            write_json(run_dir / "agents" / f"{name}.json", node.statement())
    system = f"virtual time, {platform.platform()}"
    write_launch(run_dir, system, failure=failure, ended_at=world.now)
