"""Policies side by side on the same arrivals."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gmsr.topology.errors import UserError
from gmsr.topology.graph import Topology

from . import plan
from .record.intervals import half_width
from .record.text import number, seconds, table
from .run import file_name, run
from .show.progress import Progress


class Outcome(NamedTuple):
    """One policy's runs, one a seed."""

    policy: str
    summaries: list[dict[str, Any]]


def compare(
    topology: Topology,
    options: plan.Options,
    policies: Sequence[str],
    repeats: int,
    out: Path | None,
    progress: Callable[[str], Progress],
) -> list[Outcome]:
    """Run each policy with seeds ``seed`` … ``seed + repeats − 1``; repeat by repeat, so that a machine whose
    speed drifts is as kind to one policy as to another. Raises UserError before anything is started.
    """
    if repeats < 1:
        raise UserError("--repeats: must be 1 or more")
    if len(set(policies)) != len(policies) or not policies:
        raise UserError("--policies: name each policy once, at least one")
    for policy in policies:
        plan.choose(policy)
    if out is not None and out.exists():
        raise UserError(f"--out: {out} exists; name a folder that does not, nothing is overwritten")
    outcomes = [Outcome(policy, []) for policy in policies]
    for repeat in range(repeats):
        for index, outcome in enumerate(outcomes):
            seed = options.seed + repeat
            folder = out / file_name(f"{index}-{outcome.policy}-seed{seed}") if out else None
            shown = progress(f"{outcome.policy}, seed {seed}")
            chosen = options._replace(policy=outcome.policy, seed=seed)
            outcome.summaries.append(run(topology, chosen, folder, shown))
    return outcomes


def split(text: str) -> list[str]:
    """Policies separated by commas; a piece ``key=value`` is a further option of the policy before it."""
    names: list[str] = []
    for piece in text.split(","):
        if names and "=" in piece.partition(":")[0]:
            names[-1] += f",{piece}"
        elif piece.strip():
            names.append(piece.strip())
    return names


def figures(outcomes: Sequence[Outcome]) -> dict[str, dict[str, Any]]:
    """Policy → mean, ci95, p99, ratio_to_first, ratio_to_optimum (INTERFACE), and intervals of the ratios.

    With one repeat the interval is that of the run's batch means; with more it is Student's over repeats, and
    ratios are taken seed by seed, since a seed's arrivals are the same for all policies.
    """
    first = _means(outcomes[0])
    made = {}
    for outcome in outcomes:
        means = _means(outcome)
        optima = np.array([(each["optimum"] or {}).get("latency", np.nan) for each in outcome.summaries])
        mean = float(means.mean())
        if len(means) > 1:
            half = half_width(means)
            ci95: list[float | None] = [mean - half, mean + half]
        else:
            ci95 = outcome.summaries[0]["latency"]["ci95"]
        made[outcome.policy] = {
            "mean": mean,
            "ci95": ci95,
            "p99": float(np.mean([each["latency"]["p99"] or np.nan for each in outcome.summaries])),
            **_ratio("ratio_to_first", means / first),
            **_ratio("ratio_to_optimum", means / optima),
            "valid": all(each["valid"] for each in outcome.summaries),
            "warnings": sorted({line for each in outcome.summaries for line in each["warnings"]}),
            "runs": [each["run_dir"] for each in outcome.summaries],
        }
    return made


def text(compared: Mapping[str, Mapping[str, Any]]) -> str:
    """A table, and the warnings under it."""
    rows = []
    for policy, each in compared.items():
        low, high = each["ci95"]
        rows.append(
            [
                policy + ("" if each["valid"] else " (NOT VALID)"),
                seconds(each["mean"]),
                "–" if low is None else f"{seconds(low)} to {seconds(high)}",
                seconds(each["p99"]),
                _shown(each, "ratio_to_first"),
                _shown(each, "ratio_to_optimum"),
            ]
        )
    head = ["policy", "mean latency", "95 % interval", "p99", "over the first", "over the optimum"]
    lines = table(head, rows)
    for policy, each in compared.items():
        lines += [f"warning: {policy}: {line}" for line in each["warnings"]]
    return "\n".join(lines)


def _means(outcome: Outcome) -> Any:
    return np.array([each["latency"]["mean"] or np.nan for each in outcome.summaries])


def _ratio(name: str, ratios: Any) -> dict[str, Any]:
    mean = float(ratios.mean())
    if not np.isfinite(mean):
        return {name: None, f"{name}_half": None}
    half = half_width(ratios) if len(ratios) > 1 else None
    return {name: mean, f"{name}_half": half}


def _shown(each: Mapping[str, Any], name: str) -> str:
    if each[name] is None:
        return "–"
    half = each[f"{name}_half"]
    return f"{each[name]:.3f}" if half is None else f"{each[name]:.3f} ± {number(half, 2)}"
