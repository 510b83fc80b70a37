"""All faults of one run: the topology's own, and those that its options draw. Refused where one cannot be."""

from gmsr.topology.errors import UserError
from gmsr.topology.faults import LIVE_ONLY, problems
from gmsr.topology.graph import Topology

from .. import plan
from ..choices import choose, succeed
from .draw import LIVE, SIMULATED, draw


def scheduled(topology: Topology, options: plan.Options, simulated: bool) -> tuple[Topology, int]:
    """The topology with all faults of this run, and how many of these, the last ones, are chaos.

    Raises UserError where one cannot be.
    """
    for problem in problems(topology.faults, topology, options.duration):
        raise UserError(problem)
    for index, fault in enumerate(topology.faults):
        if fault.kind == "policy":
            try:
                succeed(fault.policy, choose(options.policy, options.feed).reads)
            except UserError as error:
                raise UserError(f"faults[{index}]: {str(error).removeprefix('--')}") from error
        if fault.kind in LIVE_ONLY and simulated:
            raise UserError(
                f"faults[{index}]: {fault.kind}: only live processes have one; use gmsr run, or leave it out"
            )
        if fault.kind == "reorder" and not simulated:
            raise UserError(f"faults[{index}]: no connection reorders frames; simulate it (gmsr simulate)")
        if fault.kind == "kill-launcher" and not options.survive:
            raise UserError(
                f"faults[{index}]: kill-launcher ends the run, since nothing outlives its launcher; "
                "let agents survive it (--survive)"
            )
        if fault.hosts and not fault.agents:
            raise UserError(
                f"faults[{index}]: {fault.describe()}: no agent is on any host; say who runs where (--hosts, or "
                "host: in the topology), or leave it out"
            )
    if options.chaos is None:
        return topology, 0
    drawn = draw(topology, options.chaos, options.duration, kinds=SIMULATED if simulated else LIVE)
    return topology._replace(faults=(*topology.faults, *drawn)), len(drawn)
