"""A summary as a person reads it."""

from collections.abc import Mapping, Sequence, Sized
from typing import Any

AT_MOST = 20
"""Longer tables are cut; the JSON has them whole."""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table: the first column to the left, the others to the right."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]

    def line(row: Sequence[str]) -> str:
        cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        return "  ".join([row[0].ljust(widths[0]), *cells]).rstrip()

    return [line(head), "  ".join("-" * width for width in widths), *map(line, rows)]


def number(value: float | None, digits: int = 4) -> str:
    """A number for reading; a dash for none."""
    return "–" if value is None else f"{value:.{digits}g}"


def seconds(value: float | None) -> str:
    """A time for reading."""
    if value is None:
        return "–"
    return f"{value:.4g} s" if value >= 0.1 else f"{value * 1e3:.3g} ms"


def percent(share: float | None) -> str:
    """A share for reading."""
    return "–" if share is None else f"{share:.2%}"


def rest(items: Sized) -> list[str]:
    """A line on what a table left out."""
    return [f"… and {len(items) - AT_MOST} more (--json has all)"] if len(items) > AT_MOST else []


def text(summary: Mapping[str, Any]) -> str:
    """The whole summary, a screen or two."""
    jobs, latency, messages = summary["jobs"], summary["latency"], summary["messages"]
    lost = sum(jobs["lost"].values())
    low, high = latency["ci95"]
    lines = [
        f"policy {summary['policy']}{_informed(summary)}, feed {summary['feed']}, seed {summary['seed']}, "
        f"scale {summary['scale']:g}: {summary['duration'] - summary['warmup']:g} s measured after "
        f"{summary['warmup']:g} s of warm-up",
        "",
        f"jobs        {jobs['offered']} offered = {jobs['completed']} completed + {lost} lost + "
        f"{jobs['in_flight']} in flight" + ("" if summary["valid"] else "   NOT VALID, see below"),
        f"latency     mean {seconds(latency['mean'])}"
        + (f" (95 %: {seconds(low)} to {seconds(high)})" if low is not None else "")
        + f", p50 {seconds(latency['p50'])}, p90 {seconds(latency['p90'])}, p99 {seconds(latency['p99'])}, "
        f"p99.9 {seconds(latency['p999'])}",
        _optimum(summary),
        f"throughput  {number(summary['throughput'])} volume/s, workload {number(summary['workload']['mean'])}",
        f"messages    {number(messages['per_job'])} a job, {number(messages['bytes_per_job'])} bytes a job, in "
        f"{messages['frames']} frames: "
        + ", ".join(f"{kind} {each['count']}" for kind, each in messages["by_kind"].items()),
        *_views(summary),
        *_learned(summary.get("learned", {})),
        f"fidelity    late by {seconds(summary['fidelity']['lateness']['p50'])} (median), "
        f"{seconds(summary['fidelity']['lateness']['p99'])} (p99, {percent(summary['fidelity']['relative'])} of "
        f"the mean latency); " + _cpu(summary["fidelity"]["cpu"]),
        *_hosts(summary.get("hosts") or {}),
        *_overload(summary.get("overload")),
        *_faults(summary.get("faults", [])),
        "",
        *_servers(summary),
        "",
        *_dispatchers(summary),
    ]
    if summary["warnings"]:
        lines += ["", *(f"warning: {warning}" for warning in summary["warnings"])]
    return "\n".join([*lines, "", f"everything is in {summary['run_dir']}"])


def _informed(summary: Mapping[str, Any]) -> str:
    """``oracle`` is no rival: say so wherever it is named."""
    return " (centrally informed, a yardstick)" if summary["policy"].partition(":")[0] == "oracle" else ""


def _optimum(summary: Mapping[str, Any]) -> str:
    if summary["optimum"] is None:
        return "optimum     none"
    best = summary["optimum"]
    ratio = "" if summary["ratio"] is None else f"; measured is {summary['ratio']:.3f} times that"
    return f"optimum     mean latency {seconds(best['latency'])}, workload {number(best['workload'])}{ratio}"


def _views(summary: Mapping[str, Any]) -> list[str]:
    views, messages = summary["views"], summary["messages"]
    if views["mean"] is None:
        return []
    formula = messages["told_per_job_by_formula"]
    by_formula = "" if formula is None else f" ({number(formula)} by the feed's formula)"
    return [
        f"views       {seconds(views['mean'])} old on average, median {seconds(views['median'])}, where a server was "
        f"chosen; {number(messages['told_per_job'])} reports and questions a job{by_formula}"
    ]


def _learned(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """How well curves were learned."""
    if not found:
        return []
    errors = {name: each["error"] for name, each in found.items() if each["error"] is not None}
    if not errors:
        return [f"learned     {len(found)} servers learned their curves: how well is not known"]
    worst = max(errors, key=lambda name: errors[name])
    return [
        f"learned     {len(found)} servers learned their curves: at the end rates were off by "
        f"{percent(sum(errors.values()) / len(errors))} on average, {percent(errors[worst])} at worst ({worst}), where "
        "they had been"
    ]


def _overload(found: Mapping[str, Any] | None) -> list[str]:
    """What theory says of an overloaded run, beside what it did."""
    if not found:
        return []
    carried, stable = found["throughput"], found["stable_workload"]
    lines = [
        f"overload    {number(found['offered'])} volume/s offered; carried {number(carried['measured'])} of the "
        f"{number(carried['predicted'])} that fit ({percent(carried['measured'] / carried['predicted'])})",
        f"            {len(found['stable']['predicted'])} servers are to stay stable with workload "
        f"{number(stable['predicted'])}, theirs was {number(stable['measured'])}; of "
        f"{len(found['growth'])} full ones {len(set(found['growth']) & set(found['grown']))} grew",
    ]
    rows = [
        [
            name,
            number(each["measured"]),
            number(each["predicted"]) + " (tie-break)" * (name in found["tie_break_decides"]),
        ]
        for name, each in list(found["growth"].items())[:AT_MOST]
    ]
    return [*lines, "", *table(["full server", "growth/s", "in the long run"], rows), *rest(found["growth"])]


def _faults(faults: Sequence[Mapping[str, Any]]) -> list[str]:
    if not faults:
        return []
    rows = [
        [
            each["what"],
            f"{each['at']:.4g}",
            number(each["until"]),
            seconds(each["noticed"]),
            str(sum(each["lost"].values())),
            str(each["resent"]),
            seconds(each["latency"]),
            seconds(each["recovered"]),
        ]
        for each in faults[:AT_MOST]
    ]
    head = ["fault", "from", "until", "noticed after", "lost", "resent", "mean latency", "recovered after"]
    return ["", *table(head, rows), *rest(faults)]


def _cpu(shares: Mapping[str, float]) -> str:
    return f"agents used {sum(shares.values()):.2f} cores" if shares else "CPU use not known"


def _hosts(hosts: Mapping[str, Any]) -> list[str]:
    """Where agents ran, and how far each clock was ahead of the launcher's."""
    rows = [
        [
            name,
            each["address"],
            str(each["agents"]),
            str(each["cores"]),
            f"{each['clock_ahead_s']:.6f} s",
            seconds(each["clock_error_s"]),
            seconds(each["clock_drift_s"]),
        ]
        for name, each in list(hosts.items())[:AT_MOST]
    ]
    head = ["host", "address", "agents", "cores", "clock ahead", "give or take", "and in the end"]
    return ["", *table(head, rows), *rest(hosts)] if hosts else []


def _servers(summary: Mapping[str, Any]) -> list[str]:
    workload = summary["workload"]["by_server"]
    rows = [
        [
            name,
            str(each["completed"]),
            number(each["throughput"]),
            percent(each["utilisation"]),
            number(workload[name]),
        ]
        for name, each in list(summary["by_server"].items())[:AT_MOST]
    ]
    return table(["server", "completed", "throughput", "utilisation", "workload"], rows) + rest(
        summary["by_server"]
    )


def _dispatchers(summary: Mapping[str, Any]) -> list[str]:
    rows = []
    for name, each in list(summary["by_dispatcher"].items())[:AT_MOST]:
        shares = sorted(each["split"].items(), key=lambda item: -item[1])
        split = ", ".join(f"{server} {share:.0%}" for server, share in shares[:8])
        rows.append([name, str(each["offered"]), seconds(each["latency"]["mean"]), split])
    lines = table(["dispatcher", "offered", "mean latency", "where its jobs went"], rows)
    return lines + rest(summary["by_dispatcher"])
