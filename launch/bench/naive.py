"""``gmsr bench naive``: on each family the naive policy over the optimum, by formula, in the models, in processes.

GMSR stands beside it, at the optimum. In processes only a small parameter: a nearly full server takes P² seconds to
settle.
"""

import tempfile
from pathlib import Path
from typing import Any

from gmsr.topology.graph import Topology
from gmsr.topology.theory.naive import FAMILIES, SCALE, Family

from .. import plan
from ..record.text import number, table
from ..run import run
from ..show.progress import Progress
from ..theory import model

PARAMETERS = (4.0, 16.0, 64.0)
LIVE = 4.0
PACE = 8.0


def measure(processes: bool) -> list[dict[str, Any]]:
    """A row for each family and parameter: ratios of the naive policy and of GMSR; None where nothing was run."""
    rows = []
    for family in FAMILIES.values():
        for parameter in PARAMETERS:
            topology = family.topology(parameter)
            row: dict[str, Any] = {
                "family": family.name,
                "policy": family.policy,
                "parameter": parameter,
                "formula": family.ratio(parameter),
                "fluid": _ratio(model.fluid, topology, family, family.policy, parameter),
                "fluid_gmsr": _ratio(model.fluid, topology, family, "gmsr", parameter),
                "slotted": _ratio(model.slotted, topology, family, family.policy, parameter),
                "slotted_gmsr": _ratio(model.slotted, topology, family, "gmsr", parameter),
                "processes": None,
                "processes_gmsr": None,
            }
            if processes and parameter == LIVE:
                row["processes"] = _ratio(run, topology, family, family.policy, parameter)
                row["processes_gmsr"] = _ratio(run, topology, family, "gmsr", parameter)
            rows.append(row)
    return rows


def _ratio(play: Any, topology: Topology, family: Family, policy: str, parameter: float) -> float:
    """Mean workload over the closed form's optimum, after twice the time that the policy takes to settle.

    That is the ratio of mean latencies too (Little), and jobs that outlast the run are in it.
    """
    settling = family.settling(parameter)
    options = plan.Options(
        policy, duration=4.0 * settling, warmup=2.0 * settling, scale=SCALE, pace=PACE if play is run else 1.0
    )
    with tempfile.TemporaryDirectory(prefix="gmsr-bench-") as folder:
        shown = Progress(label=f"{family.name}, {policy}", quiet=play is not run)
        summary = play(topology, options, Path(folder) / "run", shown)
    return float(summary["workload"]["mean"]) / family.optimum(parameter)


def text(rows: list[dict[str, Any]]) -> str:
    """A table: the formula, and naive / gmsr wherever they were measured."""
    shown = [
        [
            f"{row['family']} ({row['policy']})",
            f"{row['parameter']:g}",
            number(row["formula"]),
            *(
                f"{number(row[name])} / {number(row[name + '_gmsr'])}"
                for name in ("fluid", "slotted", "processes")
            ),
        ]
        for row in rows
    ]
    head = [
        "family",
        "P",
        "ratio by formula",
        "fluid: naive / gmsr",
        "slotted, n = 100",
        "processes, n = 100",
    ]
    formulas = [f"{family.name}: {family.formula}: {family.what}" for family in FAMILIES.values()]
    return "\n".join([*table(head, shown), "", *formulas])
