"""``gmsr plot``: pictures of runs for papers. One panel each, runs in one another's colours throughout."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gmsr.topology.errors import UserError

from ..record.series import Series
from .figure import panels, save
from .palette import COLOURS, SEQUENCE
from .shown import Shown

LINES = 8
"""Of more servers a panel has rows of colour."""


def draw(shown: Sequence[Shown], what: Sequence[str], out: Path) -> None:
    """Panels side by side: ``what`` of ``PANELS``. Raises UserError where a run cannot show one of them."""
    for each in shown:
        if each.run.series is None:
            raise UserError(f"{each.run.path}: {' '.join(each.run.problems)}: there is nothing to plot")
    figure, axes = panels(len(what))
    for place, name in zip(axes, what, strict=True):
        PANELS[name](place, [(each, each.run.series) for each in shown if each.run.series])
    save(figure, out, "--out")


Known = Sequence[tuple[Shown, Series]]


def _lines(axes: Any, known: Known, x: Callable[[Series], Any], y: Callable[[Series], Any]) -> None:
    for index, (each, series) in enumerate(known):
        axes.plot(x(series), y(series), color=COLOURS[index % len(COLOURS)], linewidth=1.2, label=each.label)
    if len(known) > 1:
        axes.legend(fontsize=8, frameon=False)


def _below(axes: Any) -> None:
    """Names of servers, where they hide none of their lines."""
    axes.legend(fontsize=6, frameon=False, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.16))


def _optima(axes: Any, known: Known, of: str) -> None:
    """Dashed lines at the optima, one where they agree."""
    found = {
        round(float(each.run.summary["optimum"][of]), 6)
        for each, _ in known
        if each.run.summary and each.run.summary["optimum"] and not each.run.summary["optima"]
    }
    for index, value in enumerate(sorted(found)):
        axes.axhline(
            value, color="black", linewidth=0.9, linestyle="--", label="optimum" if index == 0 else None
        )
    if found:
        axes.legend(fontsize=8, frameon=False)


def _faults(axes: Any, known: Known) -> None:
    """Grey ground where something was wrong, in pictures of one run; its optimum then."""
    if len(known) > 1 or not known[0][0].run.summary:
        return
    summary, end = known[0][0].run.summary, known[0][1].end
    for fault in summary["faults"]:
        axes.axvspan(fault["at"], min(fault["until"] or end, end), color="#999999", alpha=0.18, linewidth=0)


def _latency(axes: Any, known: Known) -> None:
    for index, (each, series) in enumerate(known):
        axes.stairs(
            series.density,
            series.density_edges,
            color=COLOURS[index % len(COLOURS)],
            linewidth=1.2,
            label=each.label,
        )
    axes.set_xscale("log")
    axes.set_ylim(bottom=0.0)
    axes.set_xlabel("latency in s")
    axes.set_ylabel("share of jobs")
    if len(known) > 1:
        axes.legend(fontsize=8, frameon=False)


def _tail(axes: Any, known: Known) -> None:
    _lines(axes, known, lambda series: series.tail, lambda series: series.tail_share)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("latency in s")
    axes.set_ylabel("share of jobs that took longer")


def _workload(axes: Any, known: Known) -> None:
    _faults(axes, known)
    _lines(axes, known, lambda series: series.t, lambda series: series.workload)
    _optima(axes, known, "workload")
    summary = known[0][0].run.summary
    if len(known) == 1 and summary and summary["optima"]:
        t, best = zip(*summary["optima"], strict=True)
        axes.step(
            [*t, known[0][1].end], np.array([*best, best[-1]], dtype=float), where="post", color="black",
            linewidth=0.9, linestyle="--", label="optimum",
        )  # fmt: skip
        axes.legend(fontsize=8, frameon=False)
    axes.set_ylim(bottom=0.0)
    axes.set_xlabel("time in s")
    axes.set_ylabel("workload ΣN")


def _over_time(axes: Any, known: Known) -> None:
    _faults(axes, known)
    _lines(axes, known, lambda series: series.latency_t, lambda series: series.mean)
    _optima(axes, known, "latency")
    axes.set_ylim(bottom=0.0)
    axes.set_xlabel("time of arrival in s")
    axes.set_ylabel("mean latency in s")


def _marginals(axes: Any, known: Known) -> None:
    _of_servers(axes, known, lambda series: series.marginal_of, "marginal service rate μ′")


def _servers(axes: Any, known: Known) -> None:
    _of_servers(axes, known, lambda series: series.workload_of, "workload N")


def _of_servers(axes: Any, known: Known, of: Callable[[Series], dict[str, Any]], unit: str) -> None:
    """Of one run: a line for each server, or a row of colour where there are many."""
    if len(known) > 1:
        raise UserError("--what: marginals, servers and splits are of one run; name one RUN")
    series = known[0][1]
    values = of(series)
    axes.set_xlabel("time in s")
    if len(values) <= LINES:
        _faults(axes, known)
        for index, (name, line) in enumerate(values.items()):
            axes.plot(series.server_t, line, color=COLOURS[index % len(COLOURS)], linewidth=0.9, label=name)
        axes.set_ylabel(unit)
        _below(axes)
        return
    picture = axes.imshow(
        np.array(list(values.values())), aspect="auto", cmap=SEQUENCE, interpolation="nearest",
        extent=(0.0, series.end, len(values), 0.0),
    )  # fmt: skip
    axes.set_ylabel("server")
    axes.figure.colorbar(picture, ax=axes, label=unit)


def _splits(axes: Any, known: Known) -> None:
    if len(known) > 1:
        raise UserError("--what: marginals, servers and splits are of one run; name one RUN")
    summary = known[0][0].run.summary
    assert summary is not None  # its series are
    servers = list(summary["by_server"])
    splits = summary["by_dispatcher"]
    shares = np.array([[each["split"].get(server, 0.0) for server in servers] for each in splits.values()])
    if len(servers) <= LINES:
        left = np.zeros(len(splits))
        for index, server in enumerate(servers):
            axes.barh(
                list(splits), shares[:, index], left=left, color=COLOURS[index % len(COLOURS)], label=server
            )
            left += shares[:, index]
        axes.invert_yaxis()
        axes.set_xlabel("share of its jobs")
        _below(axes)
        return
    picture = axes.imshow(shares, aspect="auto", cmap=SEQUENCE, interpolation="nearest")
    axes.set_xlabel("server")
    axes.set_ylabel("dispatcher")
    axes.figure.colorbar(picture, ax=axes, label="share of its jobs")


PANELS: dict[str, Callable[[Any, Known], None]] = {
    "latency": _latency,
    "tail": _tail,
    "workload": _workload,
    "over-time": _over_time,
    "marginals": _marginals,
    "servers": _servers,
    "splits": _splits,
}
"""What can be plotted, by name."""
