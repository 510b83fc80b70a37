"""The slotted model beside the fluid limit, as ``gmsr slotted`` gives it: distance by scale, and how it falls."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from gmsr.topology.errors import RunError, UserError
from gmsr.topology.graph import Topology
from gmsr.topology.theory.capacity import fits
from gmsr.topology.theory.fluid import RULES

from .. import plan
from ..demand import demand
from ..record.intervals import half_width
from ..record.text import number, table
from .fluid import LIMIT_SCALE, initial, path
from .model import resolve, simulated

POINTS = 400
SETTLED = 1.5
"""The default duration: so many times as long as the fluid path takes to come within 0.1 % of its rest."""


def scales(text: str) -> list[float]:
    """Rising positive numbers separated by commas. Raises UserError."""
    try:
        found = [float(piece) for piece in text.split(",")]
    except ValueError as error:
        raise UserError(f"--scale: {text!r} is no list of numbers; give n1,n2,…") from error
    if not all(0.0 < each < float("inf") for each in found):
        raise UserError(f"--scale: {text}: scales must be numbers > 0")
    if any(right <= left for left, right in pairwise(found)):
        raise UserError(f"--scale: {text}: scales must rise; sort them, each once")
    return found


def approach(
    topology: Topology,
    ladder: Sequence[float],
    policy: str,
    start: str,
    duration: float | None,
    seed: int,
    repeats: int,
) -> dict[str, Any]:
    """The fields of ``gmsr slotted --json`` (INTERFACE). Raises UserError, or RunError where there is no fluid path."""
    name, _ = resolve(policy, RULES, "fluid")
    begin = initial(topology, start)
    overloaded = not fits(topology, demand(topology).volume)
    try:
        limit = path(topology, name, begin, duration, overloaded, seed)
        if duration is None and not overloaded:  # until it has come near its rest, and not much longer
            limit = path(topology, name, begin, _settling(limit), overloaded, seed)
    except ArithmeticError as error:
        raise RunError(f"{policy}: {error}") from error
    length = limit["t"][-1]
    workloads = np.array(list(limit["workload"].values())).T
    made: dict[str, Any] = {}
    for scale in ladder:
        options = plan.Options(policy, duration=length, warmup=0.0, scale=scale)
        runs = [
            simulated(topology, options._replace(seed=seed + repeat), start=begin, points=POINTS,
                      reference=(limit["t"], workloads))
            for repeat in range(repeats)
        ]  # fmt: skip
        first = runs[0]
        distances = [run.distance for run in runs]
        made[f"{scale:g}"] = {
            "t": first.t.tolist(),
            "workload": {each.id: first.workload[:, j].tolist() for j, each in enumerate(topology.servers)},
            "total": first.workload.sum(axis=1).tolist(),
            "distance": float(np.mean(distances)),
            "distance_half": half_width(np.array(distances)) if repeats > 1 else None,
            "slots": round(length * scale),
        }
    return {"policy": policy, "scales": made, "fluid": limit, "exponent": _exponent(made)}


def _settling(limit: Mapping[str, Any]) -> float:
    total = np.array(limit["total"])
    away = np.flatnonzero(np.abs(total - total[-1]) > 1e-3 * total[-1])
    last = limit["t"][min(int(away[-1]) + 1, len(total) - 1)] if len(away) else limit["t"][-1]
    return float(SETTLED * last)


def _exponent(made: Mapping[str, Any]) -> float | None:
    """Slope of log distance against log n: −1/2 where the noise of arrivals is all there is."""
    if len(made) < 2:
        return None
    logs = np.log([[float(scale), each["distance"]] for scale, each in made.items()])
    return float(np.polyfit(logs[:, 0], logs[:, 1], 1)[0])


def text(found: Mapping[str, Any]) -> str:
    """A table for a person."""
    limit = found["fluid"]
    rows = []
    for scale, each in found["scales"].items():
        half = "" if each["distance_half"] is None else f" ± {number(each['distance_half'], 2)}"
        rows.append(
            [
                scale, str(each["slots"]), number(each["distance"]) + half,
                number(each["distance"] * float(scale) ** 0.5), number(each["total"][-1], 5),
            ]
        )  # fmt: skip
    lines = [
        f"fluid limit of {found['policy']}: workload {number(limit['total'][-1], 5)} at t = {number(limit['t'][-1])} s "
        f"(by the {limit['method']})",
        "",
        *table(["n", "slots", "largest distance of a server's N", "times √n", "workload at the end"], rows),
    ]
    if found["exponent"] is not None:
        lines.append(f"distance falls as n^{found['exponent']:.2f}; the noise of arrivals alone gives n^-0.5")
    if limit["method"] != "inclusion":
        lines.append(
            f"note: shared kinks without smoothing: the inclusion does not fix the flows, and the slotted model at "
            f"n = {LIMIT_SCALE:g} with the same seed stands for the limit"
        )
    return "\n".join(lines)
