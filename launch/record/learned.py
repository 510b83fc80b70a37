"""How well servers that learn have learned: their curves beside the true ones, where the servers were."""

from math import inf
from typing import Any

import numpy as np

from gmsr.topology.curves import Curve, make

from ..faults.diary import episodes
from ..faults.recovery import worked
from .collect import Collected, ended, life_name
from .folder import Folder
from .occupancy import occupancy


def learned(folder: Folder, run: Collected, end: float) -> dict[str, dict[str, Any]]:
    """The field ``learned`` of a summary: of each server that learned, in its last life.

    ``error``: |learned − true| / true rate when it ended, in the mean over the time that it held jobs since it began,
    or its curve last changed. None where it learned nothing, left no statement, or its curve changed at the ``end``
    of the measured time, as that of who was slow until then.
    """
    faults = [
        each for each in episodes(folder.happenings, folder.topology.edges) if each.fault.kind == "slow"
    ]
    lives = {each.agents[0]: each.life for each in folder.happenings if each.event == "started"}
    found = {}
    for number, name in enumerate(run.servers):
        server = next(each for each in folder.topology.servers if each.id == name)
        if not server.learn:
            continue
        told = run.statements.get(life_name(name, lives.get(name, 1)), {}).get("learned")
        own = [each for each in faults if name in each.fault.agents]
        lasting = [each.fault for each in own if each.until == inf]
        changed = max([t for each in own for t in (each.at, each.until) if t < inf], default=0.0)
        visits = (run.visits["server"] == number) & (run.visits["life"] == lives.get(name, 1))
        arrived, gone = run.visits["arrived"][visits], ended(run.visits)[visits]
        error = None
        if told and told["revisions"] and changed < end:
            last = max(float(arrived.max(initial=end)), float(np.nanmax(gone, initial=end)))
            seconds = occupancy(arrived, gone, changed, last)
            error = _error(make(told["curve"]), worked(server, lasting).curve, folder.plan["scale"], seconds)
        found[name] = {"error": error, "revisions": told["revisions"] if told else None}
    return found


def _error(curve: Curve, true: Curve, scale: float, seconds: Any) -> float | None:
    jobs = np.arange(1, len(seconds))
    if not seconds[1:].sum() > 0.0:
        return None
    errors = [abs(curve.value(count / scale) / true.value(count / scale) - 1.0) for count in jobs]
    return float(np.average(errors, weights=seconds[1:]))
