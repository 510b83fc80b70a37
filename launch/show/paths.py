"""Pictures of ``gmsr fluid``: ΣN beside the optimum, marginals merging, the gap; of overload, the classes."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gmsr.topology.graph import Topology

from .figure import panels, save
from .palette import COLOURS

NEAR = 1e-2
LABELLED = 8
"""So many servers have a name in the picture; of more the lines must do."""


def draw(topology: Topology, found: Mapping[str, Any], climbed: Mapping[str, Any] | None, out: Path) -> None:
    """Draw what ``launch.theory.fluid.paths`` and ``ladder`` found."""
    if found["overload"]:
        figure, axes = panels(3)
        _classes(axes[0], found)
        _throughput(axes[1], found)
        _stable(axes[2], found)
    else:
        figure, axes = panels(3)
        _totals(axes[0], found)
        _marginals(axes[1], found)
        _gaps(axes[2], found, climbed)
    figure.suptitle(f"{topology.name}: fluid limit", fontsize=11)
    save(figure, out)


def _lines(
    axes: Any, found: Mapping[str, Any], of: Callable[[Mapping[str, Any]], Any], aim: float, word: str
) -> None:
    """A line for each path, the first on top, and a dotted one at what they are held against."""
    for index, (label, each) in enumerate(found["paths"].items()):
        axes.plot(
            each["t"],
            of(each),
            color=COLOURS[index % len(COLOURS)],
            label=label,
            zorder=3 if index == 0 else 2,
        )
    axes.axhline(aim, color="black", linewidth=0.8, linestyle=":", label=word)
    axes.set_xlabel("time in s")
    axes.legend(fontsize=8, frameon=False)


def _totals(axes: Any, found: Mapping[str, Any]) -> None:
    best = found["optimum"]["workload"]
    _lines(axes, found, lambda each: np.array(each["total"]) / best, 1.0, "central optimum")
    top = max(min(max(each["total"]) / best, 3.0) for each in found["paths"].values())
    axes.set_ylim(0.0, 1.1 * max(top, 1.2))
    first = next(iter(found["paths"].values()))
    total = np.array(first["total"])
    away = np.flatnonzero(np.abs(total - total[-1]) > NEAR * total[-1])
    if len(away):  # what follows after it has settled shows nothing
        axes.set_xlim(0.0, min(3.0 * first["t"][away[-1]], first["t"][-1]))
    axes.set_ylabel("workload ΣN over the optimum")
    axes.set_title("where each policy goes", fontsize=10)


def _marginals(axes: Any, found: Mapping[str, Any]) -> None:
    label, first = next(iter(found["paths"].items()))
    for index, (name, values) in enumerate(first["marginal"].items()):
        finite = np.where(np.isfinite(values), values, np.nan)
        axes.loglog(
            first["t"], finite, color=COLOURS[index % len(COLOURS)],
            label=name if len(first["marginal"]) <= LABELLED else None,
        )  # fmt: skip
    axes.set_xlim(left=1e-5 * first["t"][-1])
    axes.set_xlabel("time in s (logarithmic)")
    axes.set_ylabel("marginal service rate μ′(N)")
    axes.set_title(f"{label}: marginals of shared servers merge", fontsize=10)
    if len(first["marginal"]) <= LABELLED:
        axes.legend(fontsize=8, frameon=False)


def _gaps(axes: Any, found: Mapping[str, Any], climbed: Mapping[str, Any] | None) -> None:
    best = found["optimum"]["workload"]
    for index, (label, each) in enumerate(found["paths"].items()):
        goal = each["rest"] if index == 0 and each["rest"] is not None else best
        gap = np.maximum(np.abs(np.array(each["total"]) / goal - 1.0), 1e-12)
        axes.semilogy(each["t"], gap, color=COLOURS[index % len(COLOURS)], label=label)
    axes.set_ylim(1e-9, 10.0)
    if climbed:
        label, first = next(iter(found["paths"].items()))
        t, total = np.array(first["t"]), np.array(first["total"])
        at = int(np.argmin(np.abs(np.log(np.maximum(np.abs(total / first["rest"] - 1.0), 1e-300) / 1e-2))))
        line = 3e-2 * np.exp(-climbed["rate"] * (t - t[at]))  # beside the path, not on it
        axes.semilogy(
            t, line, color="black", linewidth=0.8, linestyle="--", label=f"e^(−{climbed['rate']:.3g} t)"
        )
        axes.set_xlim(0.0, min(t[-1], t[at] + np.log(1e7) / climbed["rate"]))
    axes.set_xlabel("time in s")
    axes.set_ylabel("relative gap")
    axes.set_title("distance to rest (first) or optimum (others)", fontsize=10)
    axes.legend(fontsize=8, frameon=False)


def _classes(axes: Any, found: Mapping[str, Any]) -> None:
    _, first = next(iter(found["paths"].items()))
    excess = found["overload"]
    for index, (name, values) in enumerate(first["workload"].items()):
        colour = COLOURS[index % len(COLOURS)]
        kind = next(kind for kind in ("stable", "unstable", "saturated") if name in excess[kind])
        axes.plot(first["t"], values, color=colour, label=f"{name}, {kind}")
        if kind != "stable" and excess["growth"][name] > 0.0:
            end = first["t"][-1]
            axes.plot([0.0, end], np.array([-end, 0.0]) * excess["growth"][name] + values[-1], color=colour,
                      linewidth=0.8, linestyle=":")  # fmt: skip
    axes.set_ylim(bottom=0.0)
    axes.set_xlabel("time in s")
    axes.set_ylabel("workload N")
    axes.set_title("who grows (dotted: predicted long-run rate)", fontsize=10)
    if len(first["workload"]) <= 2 * LABELLED:
        axes.legend(fontsize=8, frameon=False)


def _throughput(axes: Any, found: Mapping[str, Any]) -> None:
    """Σ μ(N): what is worked off, beside the most that any routing carries."""
    most = found["overload"]["throughput"]
    _lines(
        axes, found, lambda each: np.array(each["throughput"]) / most, 1.0, "most that any routing carries"
    )
    axes.set_ylim(0.0, 1.1)
    axes.set_ylabel("throughput over the most")
    axes.set_title("what is carried", fontsize=10)


def _stable(axes: Any, found: Mapping[str, Any]) -> None:
    """The stable servers' workload: under GMSR the least that any throughput-optimal routing allows."""
    names, least = found["overload"]["stable"], found["overload"]["stable_workload"]

    def held(each: Mapping[str, Any]) -> Any:
        return (
            np.sum([each["workload"][name] for name in names], axis=0) if names else np.zeros(len(each["t"]))
        )

    _lines(axes, found, held, least, "least at full throughput")
    axes.set_ylim(0.0, max(2.0 * least, 1e-9))
    axes.set_ylabel("their workload ΣN")
    axes.set_title("workload of those that stay stable", fontsize=10)
