"""Simulated runs with seeds of their own, spread over cores; what they say together; a failing one made smaller."""

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, NamedTuple

from gmsr.topology.errors import RunError
from gmsr.topology.faults import Fault
from gmsr.topology.graph import Topology

from .. import plan
from ..faults.scheduled import scheduled
from ..record.text import number, seconds, table
from ..run_dir import fresh_name
from .explore import fewest
from .simulate import simulate
from .spread import spread


class Failure(NamedTuple):
    """A run in which something was broken."""

    seed: int
    why: str


class _Run(NamedTuple):
    topology: Topology
    options: plan.Options
    out: Path | None
    checked: bool


def simulate_all(
    topology: Topology, options: plan.Options, out: Path | None, checked: bool, repeats: int, jobs: int | None
) -> list[dict[str, Any] | Failure]:
    """One run for each of ``repeats`` seeds from the options' on, ``jobs`` at a time (None: as many as cores)."""
    scheduled(topology, options, simulated=True)  # refuse what cannot be before processes are started
    if repeats == 1:
        return [_one(_Run(topology, options, out, checked))]
    folder = out or Path("runs") / fresh_name(topology, f"{options.policy}-simulated")
    runs = [
        _Run(topology, options._replace(seed=seed), folder / f"seed-{seed}", checked)
        for seed in range(options.seed, options.seed + repeats)
    ]
    return list(spread(_one, runs, jobs))


def _one(run: _Run) -> dict[str, Any] | Failure:
    try:
        return simulate(run.topology, run.options, run.out, run.checked)
    except RunError as error:
        return Failure(run.options.seed, str(error))


def shrunk(topology: Topology, options: plan.Options) -> tuple[Fault, ...]:
    """Faults with which a failing run still fails, as few as leaving out one at a time finds."""
    topology, _ = scheduled(topology, options, simulated=True)
    options = options._replace(chaos=None)  # they are all in the topology now

    def fails(faults: Sequence[Fault]) -> bool:
        with tempfile.TemporaryDirectory(prefix="gmsr-shrink-") as folder:
            run = _Run(topology._replace(faults=tuple(faults)), options, Path(folder) / "run", True)
            return isinstance(_one(run), Failure)

    return fewest(topology.faults, fails)


def pooled(summaries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The mean latency over runs, with half its 95 % interval (normal; None for one run)."""
    means = [each["latency"]["mean"] for each in summaries if each["latency"]["mean"] is not None]
    ratios = [each["ratio"] for each in summaries if each["ratio"] is not None]
    return {
        "mean": fmean(means) if means else None,
        "half_ci95": _half(means),
        "ratio": fmean(ratios) if ratios else None,
        "half_ci95_ratio": _half(ratios),
        "valid": all(each["valid"] for each in summaries),
    }


def _half(values: Sequence[float]) -> float | None:
    from scipy.stats import t

    if len(values) < 2:
        return None
    return float(t.ppf(0.975, len(values) - 1)) * stdev(values) / math.sqrt(len(values))


def table_of(summaries: Sequence[dict[str, Any]]) -> str:
    """A row a run, and what they say together."""
    rows = [
        [
            str(each["seed"]),
            "yes" if each["valid"] else "NO",
            str(each["jobs"]["offered"]),
            str(sum(each["jobs"]["lost"].values())),
            seconds(each["latency"]["mean"]),
            seconds(each["latency"]["p99"]),
            number(each["ratio"]),
        ]
        for each in summaries
    ]
    lines = table(["seed", "valid", "offered", "lost", "mean latency", "p99", "over the optimum"], rows)
    whole = pooled(summaries)
    if whole["half_ci95"] is not None:
        lines += [
            "",
            f"mean latency {seconds(whole['mean'])} ± {seconds(whole['half_ci95'])}"
            + (
                f", over the optimum {whole['ratio']:.4f} ± {whole['half_ci95_ratio']:.4f}"
                if whole["half_ci95_ratio"] is not None
                else ""
            ),
        ]
    return "\n".join(lines)
