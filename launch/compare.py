"""Policies side by side on the same arrivals."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gmsr.topology.errors import UserError
from gmsr.topology.graph import Topology

from . import plan
from .choices import choose
from .demand import smoothed
from .record.intervals import half_width
from .record.text import number, percent, seconds, table
from .run import run
from .run_dir import file_name
from .show.progress import Progress

INFORMED = " (centrally informed)"
"""What the table adds to a policy that knows what no dispatcher can."""


class Outcome(NamedTuple):
    """One policy's runs, one a seed."""

    policy: str
    summaries: list[dict[str, Any]]
    label: str = ""  # where one policy stands under several windows

    @property
    def name(self) -> str:
        """What it is called beside the others."""
        return self.label or self.policy


class Entrant(NamedTuple):
    """A policy, on the topology with one window."""

    policy: str
    topology: Topology
    label: str = ""


def compare(
    topology: Topology,
    options: plan.Options,
    policies: Sequence[str],
    repeats: int,
    out: Path | None,
    progress: Callable[[str], Progress],
    windows: Sequence[float] = (),
    play: Callable[..., dict[str, Any]] | None = None,
) -> list[Outcome]:
    """Run each policy with seeds ``seed`` … ``seed + repeats − 1``; repeat by repeat, so that a machine whose
    speed drifts is as kind to one policy as to another. Raises UserError before anything is started.

    ``windows``: smoothing, relative to each curve's last kink; policies that read marginals run under each of them.
    ``play`` gives a run's summary: by processes (``run``, the default) or in a model (``theory.model``).
    """
    if repeats < 1:
        raise UserError("--repeats: must be 1 or more")
    if len(set(policies)) != len(policies) or not policies:
        raise UserError("--policies: name each policy once, at least one")
    if len(set(windows)) != len(windows):
        raise UserError("--smoothing: name each window once")
    entrants = [each for policy in policies for each in _entrants(policy, options.feed, topology, windows)]
    if out is not None and out.exists():
        raise UserError(f"--out: {out} exists; name a folder that does not, nothing is overwritten")
    outcomes = [Outcome(each.policy, [], each.label) for each in entrants]
    for repeat in range(repeats):
        for index, (outcome, entrant) in enumerate(zip(outcomes, entrants, strict=True)):
            seed = options.seed + repeat
            folder = out / file_name(f"{index}-{outcome.policy}-seed{seed}") if out else None
            shown = progress(f"{outcome.name}, seed {seed}")
            chosen = options._replace(policy=outcome.policy, seed=seed)
            outcome.summaries.append((play or run)(entrant.topology, chosen, folder, shown))
    return outcomes


def _entrants(policy: str, feed: str, topology: Topology, windows: Sequence[float]) -> list[Entrant]:
    """Windows matter to those who read marginals."""
    choice = choose(policy, feed)
    if not windows or not {"marginal", "derivative"} & set(choice.reads):
        return [Entrant(policy, topology)]
    return [Entrant(policy, smoothed(topology, window), f"{policy}, window {window:g}") for window in windows]


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
        made[outcome.name] = {
            "informed": choose(outcome.policy).informed,
            "mean": mean,
            "ci95": ci95,
            "p99": _mean_p99(outcome),
            **_ratio("ratio_to_first", means / first),
            **_ratio("ratio_to_optimum", means / optima),
            "valid": all(each["valid"] for each in outcome.summaries),
            "warnings": sorted({line for each in outcome.summaries for line in each["warnings"]}),
            "runs": [each["run_dir"] for each in outcome.summaries],
            "overload": _overload(outcome.summaries),
        }
    return made


def text(compared: Mapping[str, Mapping[str, Any]]) -> str:
    """A table, and the warnings under it."""
    rows = []
    for policy, each in compared.items():
        low, high = each["ci95"]
        rows.append(
            [
                policy + INFORMED * each["informed"] + ("" if each["valid"] else " (NOT VALID)"),
                seconds(each["mean"]),
                "–" if low is None else f"{seconds(low)} to {seconds(high)}",
                seconds(each["p99"]),
                _shown(each, "ratio_to_first"),
                _shown(each, "ratio_to_optimum"),
            ]
        )
    head = ["policy", "mean latency", "95 % interval", "p99", "over the first", "over the optimum"]
    lines = table(head, rows) + _overload_text(compared)
    for policy, each in compared.items():
        lines += [f"warning: {policy}: {line}" for line in each["warnings"]]
    return "\n".join(lines)


def _overload(summaries: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Throughput and workload of the stable servers beside the prediction, and who grew; means over repeats."""
    found = [each["overload"] for each in summaries if each.get("overload")]
    if not found:
        return None

    def mean(field: str, of: str) -> float:
        return float(np.mean([each[field][of] for each in found]))

    return {
        "throughput": mean("throughput", "measured"),
        "throughput_most": mean("throughput", "predicted"),
        "stable_workload": mean("stable_workload", "measured"),
        "stable_workload_least": mean("stable_workload", "predicted"),
        "servers_stable": float(np.mean([len(each["stable"]["measured"]) for each in found])),
        "servers_grown": float(np.mean([len(each["grown"]) for each in found])),
        "saturated_held": float(np.mean([len(each["held"]) for each in found])),
    }


def _overload_text(compared: Mapping[str, Mapping[str, Any]]) -> list[str]:
    rows = []
    for policy, each in compared.items():
        if found := each["overload"]:
            least = found["stable_workload_least"]
            rows.append(
                [
                    policy,
                    f"{number(found['throughput'])} ({percent(found['throughput'] / found['throughput_most'])})",
                    f"{number(found['stable_workload'])} ({percent(found['stable_workload'] / least)})"
                    if least
                    else "–",
                    f"{found['servers_grown']:g}",
                    f"{found['saturated_held']:g}",
                ]
            )
    if not rows:
        return []
    head = [
        "overloaded",
        "throughput (of the most)",
        "stable servers' workload (of the least)",
        "servers that grow",
    ]
    return ["", *table([*head, "saturated ones held"], rows)]


def _means(outcome: Outcome) -> Any:
    return np.array([each["latency"]["mean"] or np.nan for each in outcome.summaries])


def _mean_p99(outcome: Outcome) -> float | None:
    """None where a run has none: a model, or nothing completed."""
    found = [each["latency"]["p99"] for each in outcome.summaries]
    return None if None in found else float(np.mean(found))


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
