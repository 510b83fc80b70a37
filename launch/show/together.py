"""What runs show side by side: figures first, latency and its tail, ΣN and its gap to the optimum."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..record.series import Series
from ..record.text import number, percent, seconds
from . import charts
from .parts import Figure, Section, Table, Tile, by_rows, rounded, wide
from .shown import Shown, bands


def glance(shown: Shown) -> Section:
    """What to see first of one run."""
    summary = shown.run.summary
    assert summary is not None
    latency, jobs, messages, trust = (summary[name] for name in ("latency", "jobs", "messages", "fidelity"))
    low, high = latency["ci95"]
    sure = "" if low is None else f"95 %: {seconds(low)} to {seconds(high)}"
    fates = f"{jobs['completed']} completed, {sum(jobs['lost'].values())} lost, {jobs['in_flight']} in flight"
    late = f"{percent(trust['relative'])} of the mean latency"
    made = [
        Tile("mean latency", seconds(latency["mean"]), sure),
        Tile("p99 latency", seconds(latency["p99"]), f"median {seconds(latency['p50'])}"),
        Tile("jobs", str(jobs["offered"]), fates),
        Tile(
            "messages a job", number(messages["per_job"]), f"{number(messages['bytes_per_job'])} bytes a job"
        ),
        Tile("lateness, p99", seconds(trust["lateness"]["p99"]), late),
    ]
    if summary["ratio"] is not None:
        best = f"optimum {seconds(summary['optimum']['latency'])}"
        made.insert(1, Tile("over the optimum", f"{summary['ratio']:.3f} ×", best))
    elif summary["overload"]:
        carried = summary["overload"]["throughput"]
        share = percent(carried["measured"] / carried["predicted"])
        made.insert(1, Tile("of the most that fits", share, "overloaded: throughput over the prediction"))
    return Section("At a glance", tiles=made)


def comparison(shown: Sequence[Shown]) -> Section:
    """A row for each run."""
    first = next((each.run.summary["latency"]["mean"] for each in shown if each.run.summary), None)
    rows = []
    for each in shown:
        summary = each.run.summary
        if summary is None:
            continue
        latency, jobs, messages = summary["latency"], summary["jobs"], summary["messages"]
        over = latency["mean"] / first if first and latency["mean"] is not None else None
        rows.append(
            [each.label, latency["mean"], *latency["ci95"], latency["p50"], latency["p99"], over, summary["ratio"],
             summary["workload"]["mean"], messages["per_job"], messages["bytes_per_job"],
             sum(jobs["lost"].values()), "yes" if summary["valid"] else "NO"]
        )  # fmt: skip
    heads = [
        "run", "mean latency, s", "95 % from, s", "to, s", "median, s", "p99, s", "over the first", "over the optimum",
        "workload ΣN", "messages a job", "bytes a job", "jobs lost", "valid",
    ]  # fmt: skip
    return Section("Side by side", tables=[by_rows("comparison", heads, rows)])


def latency(shown: Sequence[Shown]) -> Section:
    """Distribution, tail, and latency over time."""
    known = _known(shown)
    order = [each.label for each, _ in known]
    bins = [
        (each.label, low, high, share)
        for each, series in known
        for low, high, share in zip(
            *map(rounded, (series.density_edges[:-1], series.density_edges[1:], series.density)), strict=True
        )
    ]
    points = [
        (each.label, share, latency)
        for each, series in known
        for share, latency in zip(rounded(series.tail_share), rounded(series.tail), strict=True)
        if latency
    ]
    keys = ["who", "low", "high", "share"]
    spread = by_rows("latency", ["run", "latency from, s", "to, s", "share of jobs"], bins, keys)
    tail = by_rows(
        "tail", ["run", "share of jobs that took longer", "than, s"], points, ["who", "share", "latency"]
    )
    return Section(
        "Latency",
        ["From the scheduled arrival to the completion, of jobs that arrived in the measured time."],
        figures=[
            Figure("Distribution", "Jobs by latency, on a logarithmic axis.",
                   charts.density("latency", order=order), [spread]),
            Figure("Tail", "Share of jobs that took longer than so long; both axes are logarithmic.",
                   charts.tail("tail", order=order), [tail]),
            _latency_over_time(known),
        ],
    )  # fmt: skip


def _latency_over_time(known: Sequence[tuple[Shown, Series]]) -> Figure:
    if len(known) == 1:
        shown, series = known[0]
        lines = {"mean": series.mean, "median": series.p50, "p99": series.p99}
        table = wide("latency-over-time", series.latency_t, lines, "s")
        tables, caption = [table, *bands(shown)], "Of the jobs that arrived then."
        order, behind = list(lines), tables[1].name if len(tables) > 1 else None
    else:
        table, order = _merged(
            "latency-over-time", known, lambda series: (series.latency_t, series.mean), "mean latency, s"
        )
        tables, behind, caption = [table], None, "Mean latency of the jobs that arrived then."
    aims = _aims(known, "latency")
    chart = charts.lines(table.name, "latency in s", order=order, aims=aims, bands=behind, log=True)
    return Figure("Latency over time", caption + " The axis is logarithmic.", chart, tables)


def workload(shown: Sequence[Shown]) -> Section:
    """ΣN over time beside the optimum, and how far its mean is from it."""
    known = _known(shown)
    total, order = _merged("workload", known, lambda series: (series.t, series.workload), "ΣN")
    alone = [*bands(known[0][0]), *_steps(known[0][0])] if len(known) == 1 else []
    steps = alone[1].name if len(alone) > 1 else None
    figures = [
        Figure(
            "Jobs in the system, ΣN(t)",
            "Jobs at all servers over the scale n, averaged over each bin of time."
            + (" Grey: a fault was there. Dashed: the optimum, as faults change it." if alone else ""),
            charts.lines(
                "workload", "workload ΣN", order=order, aims={} if steps else _aims(known, "workload"), steps=steps,
                bands=alone[0].name if alone else None,
            ),
            [total, *alone],
        )
    ]  # fmt: skip
    best = [each for each in known if (each[0].run.summary or {}).get("optimum")]
    if best:
        figures.append(_gap(best))
    return Section("Workload", figures=figures + _stable(known))


def _steps(shown: Shown) -> list[Table]:
    """The optimal workload as faults change it; none where there were none."""
    summary = shown.run.summary
    if not summary or not summary["optima"]:
        return []
    changes = summary["optima"]
    ends = [*(t for t, _ in changes[1:]), summary["measured"][1]]
    rows = [rounded([t, end, best]) for (t, best), end in zip(changes, ends, strict=True) if best is not None]
    heads = ["from, s", "until, s", "optimal ΣN"]
    return [by_rows(f"{shown.key}-optima", heads, rows, ["begin", "end", "aim"])]


def _gap(known: Sequence[tuple[Shown, Series]]) -> Figure:
    gaps = {
        each.label: (series.t, 100.0 * (series.so_far / _best(each, series) - 1.0)) for each, series in known
    }
    return Figure(
        "Gap to the optimum",
        "Mean ΣN from the end of the warm-up until then, in percent over the mean of what a planner with full "
        "knowledge reaches in the long run. A short run may lie below.",
        charts.lines("gap", "over the optimum, %", order=list(gaps), aims={"optimum": 0.0}, zero=False),
        [_joined("gap", gaps, "over the optimum, %")],
    )


def _best(shown: Shown, series: Series) -> Any:
    """The optimal workload, averaged from the end of the warm-up; a number, or shape (bins,) where faults change it.

    Not-a-number from where there was none.
    """
    assert shown.run.summary
    changes = shown.run.summary["optima"]
    if not changes:
        return shown.run.summary["optimum"]["workload"]
    times, values = zip(*changes, strict=True)
    at = np.array([*times, max(series.end, times[-1])])
    area = np.concatenate([[0.0], np.cumsum(np.array(values, dtype=float) * np.diff(at))])
    ends = series.t + (series.t[1] - series.t[0]) / 2.0
    span = np.where(ends > series.begin, ends - series.begin, np.nan)
    return (np.interp(ends, at, area) - np.interp(series.begin, at, area)) / span


def _stable(known: Sequence[tuple[Shown, Series]]) -> list[Figure]:
    """Under overload: the workload of those servers that can stay stable."""
    lines: dict[str, tuple[Any, Any]] = {}
    aims: dict[str, float] = {}
    for each, series in known:
        found = (each.run.summary or {}).get("overload")
        names = found["stable"]["predicted"] if found else []
        if found and names:
            lines[each.label] = series.server_t, np.sum([series.workload_of[name] for name in names], axis=0)
            aims.setdefault("least at full throughput", found["stable_workload"]["predicted"])
    if not lines:
        return []
    return [
        Figure(
            "Workload of the servers that can stay stable",
            "The demand does not fit. Theory says which servers grow without end, whatever the routing, and how "
            "little the others can hold at full throughput.",
            charts.lines("stable", "their workload ΣN", order=list(lines), aims=aims),
            [_joined("stable", lines, "ΣN")],
        )
    ]


def _known(shown: Sequence[Shown]) -> list[tuple[Shown, Series]]:
    return [(each, each.run.series) for each in shown if each.run.series is not None]


def _merged(name: str, known: Sequence[tuple[Shown, Series]], of: Any, unit: str) -> tuple[Table, list[str]]:
    lines = {each.label: of(series) for each, series in known}
    return _joined(name, lines, unit), list(lines)


def _joined(name: str, lines: Mapping[str, tuple[Any, Any]], unit: str) -> Table:
    """Lines with instants of their own, one below the other."""
    rows = [
        (who, t, value)
        for who, (ts, values) in lines.items()
        for t, value in zip(rounded(ts), rounded(values), strict=True)
        if value is not None
    ]
    return by_rows(name, ["run", "time in s", unit], rows, ["who", "t", "value"])


def _aims(known: Sequence[tuple[Shown, Series]], what: str) -> dict[str, float]:
    """Optima: one line if they agree, else one a run."""
    found = {
        each.label: float(each.run.summary["optimum"][what])
        for each, _ in known
        if each.run.summary and each.run.summary.get("optimum")
    }
    if not found:
        return {}
    low, high = min(found.values()), max(found.values())
    if high <= 1.005 * low:
        return {"optimum": low}
    return {f"optimum of {who}": value for who, value in found.items()}
