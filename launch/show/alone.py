"""What one run shows: its graph, marginals, splits, messages, faults, fidelity, and how to do it again."""

import json
import shlex
from collections.abc import Iterable, Mapping
from math import isfinite
from pathlib import PurePath
from typing import Any

import numpy as np

from ..record.folder import read_json
from ..record.series import Series
from ..record.text import number, percent, seconds
from . import charts
from .graph import heights
from .parts import Figure, Section, Table, by_rows, rounded, wide
from .shown import Shown, bands

LINES = 8
"""Of more servers a chart has rows of colour: so many lines can be told apart."""
MOST_ROWS = 120
COLOURED = 0.98
MOST_EDGES = 3000
"""Of more edges those with the most flow are drawn."""


def graph(shown: Shown) -> Section:
    """Who sent how much to whom, and how much a job more would have been worth there."""
    topology, series = shown.run.topology, shown.run.series
    assert topology is not None
    left, right = heights(topology)
    flows = series.flows if series else {}
    offered = dict.fromkeys(left, 0.0)
    for (dispatcher, _), flow in flows.items():
        offered[dispatcher] += flow
    nodes = [
        (name, "dispatcher", 0.0, y, *rounded([offered[name] if series else None]), None, None)
        for name, y in left.items()
    ]
    marginals, workloads = (series.marginals, series.workloads) if series else ({}, {})
    nodes += [
        (name, "server", 1.0, y, None, *rounded([marginals.get(name), workloads.get(name)]))
        for name, y in right.items()
    ]
    drawn = sorted(topology.edges, key=lambda edge: -flows.get((edge.dispatcher, edge.server), 0.0))
    edges = [
        (each.dispatcher, each.server, 0.0, 1.0, left[each.dispatcher], right[each.server],
         *rounded([flows.get((each.dispatcher, each.server), 0.0)]))
        for each in drawn[:MOST_EDGES]
    ]  # fmt: skip
    tables = [
        by_rows(f"{shown.key}-edges", ["from", "to", "x", "x2", "y", "y2", "jobs/s"], edges,
                ["from", "to", "x", "x2", "y", "y2", "flow"]),
        by_rows(f"{shown.key}-nodes", ["agent", "role", "x", "y", "offered, jobs/s", "marginal rate", "workload N"],
                nodes, ["id", "role", "x", "y", "rate", "marginal", "workload"]),
    ]  # fmt: skip
    caption = (
        "Edges are as wide as their flow. Servers are coloured by what one more job would add to their service rate, "
        "averaged over the measured time: at the optimum those that a dispatcher uses have the same colour."
    )
    if len(topology.edges) > MOST_EDGES:
        caption += f" Of {len(topology.edges)} edges the {MOST_EDGES} with the most flow are drawn."
    chart = charts.graph(
        tables[1].name,
        tables[0].name,
        count=max(len(left), len(right)),
        widest=max(flows.values(), default=0.0),
        most=most_of(marginals.values()),
    )
    return Section("Who sent how much where", figures=[Figure("Graph", caption, chart, tables)])


def over_time(shown: Shown) -> Section:
    """Marginal rates and workloads of servers."""
    series = shown.run.series
    assert series is not None
    behind = bands(shown)
    return Section(
        "Servers over time",
        figures=[
            _servers(
                shown, series, "marginal", "Marginal service rates",
                "What one more job would add to a server's rate, as it would report it, averaged over each bin. GMSR "
                "brings those of servers that share dispatchers together. A gap: the server was away.",
                series.marginal_of, "marginal rate μ′", behind,
            ),
            _servers(
                shown, series, "servers", "Workload of each server", "Jobs over the scale n, averaged over each bin.",
                series.workload_of, "workload N", behind,
            ),
        ],
    )  # fmt: skip


def _servers(
    shown: Shown,
    series: Series,
    name: str,
    title: str,
    caption: str,
    values: Any,
    unit: str,
    behind: list[Table],
) -> Figure:
    name = f"{shown.key}-{name}"
    order = [each for each in _by_place(shown) if each in values]
    if len(order) <= LINES:
        table = wide(name, series.server_t, values, unit)
        spec = charts.lines(
            name,
            unit,
            order=list(values),
            bands=behind[0].name if behind else None,
            zero=unit == "workload N",
        )
        return Figure(title, caption, spec, [table, *behind])
    if len(order) > MOST_ROWS:
        busiest = sorted(order, key=lambda server: -series.workloads[server])[:MOST_ROWS]
        caption += f" The {MOST_ROWS} busiest of {len(order)} servers."
        order = [each for each in order if each in set(busiest)]
    table = wide(name, series.server_t, {each: values[each] for each in order}, unit)
    width = float(series.server_t[1] - series.server_t[0])
    return Figure(
        title,
        caption,
        charts.heat(
            name,
            unit,
            order=order,
            width_s=width,
            most=most_of(each for line in order for each in values[line]),
        ),
        [table],
    )


def most_of(values: Iterable[float]) -> float:
    """Where colours end, so that a few far ones do not take all others' difference."""
    finite = [value for value in values if isfinite(value)]
    return float(f"{np.quantile(finite, COLOURED):.2g}") if finite else 1.0


def _by_place(shown: Shown) -> list[str]:
    """Servers as they stand in the graph: neighbours there are neighbours here."""
    assert shown.run.topology is not None
    return list(heights(shown.run.topology)[1])


def agents(shown: Shown) -> Section:
    """How dispatchers split their jobs, and what each agent did."""
    summary = shown.run.summary
    assert summary is not None
    splits = {name: each["split"] for name, each in summary["by_dispatcher"].items()}
    dispatchers = [
        [name, each["offered"], each["completed"], each["latency"]["mean"], each["latency"]["p99"]]
        for name, each in summary["by_dispatcher"].items()
    ]
    workloads = summary["workload"]["by_server"]
    servers = [
        [name, each["completed"], each["throughput"], each["utilisation"], workloads[name]]
        for name, each in summary["by_server"].items()
    ]
    return Section(
        "Agents",
        tables=[
            by_rows(
                f"{shown.key}-dispatchers",
                ["dispatcher", "offered", "completed", "mean latency, s", "p99, s"], dispatchers,
            ),
            by_rows(
                f"{shown.key}-by-server",
                ["server", "completed", "throughput, volume/s", "utilisation", "workload N"], servers,
            ),
        ],
        figures=[_splits(shown, splits)],
    )  # fmt: skip


def _splits(shown: Shown, splits: dict[str, dict[str, float]]) -> Figure:
    assert shown.run.summary is not None
    rows = [
        (dispatcher, server, *rounded([share]))
        for dispatcher, split in splits.items()
        for server, share in split.items()
    ]
    servers = list(shown.run.summary["by_server"])
    name, heads = f"{shown.key}-splits", ["dispatcher", "server", "share of its jobs"]
    if len(servers) <= LINES:
        spec = charts.bars(name, "share of its jobs", rows=list(splits), parts=servers, stacked=True)
        keys = ["who", "part", "value"]
    else:
        if shown.run.topology is not None:
            left, right = heights(shown.run.topology)
            servers, splits = list(right), {each: splits[each] for each in left if each in splits}
        spec = charts.matrix(name, rows=list(splits), columns=servers)
        keys = ["from", "to", "value"]
    return Figure(
        "Splits by dispatcher",
        "Where each dispatcher sent its measured jobs.",
        spec,
        [by_rows(name, heads, rows, keys)],
    )


def messages(shown: Shown) -> Section:
    """The census."""
    summary = shown.run.summary
    assert summary is not None
    census, jobs = summary["messages"], summary["jobs"]["offered"]
    rows = [
        (kind, "messages", each["count"], each["bytes"])
        for kind, each in census["by_kind"].items()
        if each["count"]
    ]
    name = f"{shown.key}-messages"
    formula = census.get("told_per_job_by_formula")
    text = [
        f"{number(census['per_job'])} messages and {number(census['bytes_per_job'])} bytes a job, in "
        f"{census['frames']} frames; {percent(census['control_share'])} of the messages carry no job."
        + ("" if formula is None else f" Reports and questions a job: {number(census['told_per_job'])}, by the feed's "
           f"formula {number(formula)}.")
    ]  # fmt: skip
    views = summary["views"]
    if views["mean"] is not None:
        text.append(
            f"What dispatchers believed of the server they chose was {seconds(views['mean'])} old on average, in the "
            f"median {seconds(views['median'])}."
        )
    return Section(
        "Messages",
        text,
        figures=[
            Figure(
                "Census by kind", f"Messages sent by all agents, for {jobs} jobs.",
                charts.bars(name, "messages", rows=[row[0] for row in rows], parts=["messages"]),
                [by_rows(name, ["kind", "what", "messages", "bytes"], rows, ["who", "part", "value", "bytes"])],
            )
        ],
    )  # fmt: skip


def faults(shown: Shown) -> Section:
    """What befell it."""
    found = bands(shown)
    order = list(dict.fromkeys(found[0].columns[0])) if found else []
    if not order:
        return Section("Faults", ["None."])
    rows = [
        [each["what"], each["at"], each["until"], each["noticed"], sum(each["lost"].values()), each["resent"],
         each["latency"], each["optimum"], each["recovered"]]
        for each in shown.faults
    ]  # fmt: skip
    heads = [
        "fault", "from, s", "until, s", "noticed after, s", "jobs lost", "sent again", "mean latency meanwhile, s",
        "new optimal ΣN", "recovered after, s",
    ]  # fmt: skip
    assert shown.run.summary
    end = float(shown.run.summary["measured"][1])
    return Section(
        "Faults",
        tables=[by_rows(f"{shown.key}-faults", heads, rows)],
        figures=[
            Figure("Faults in time", "What was wrong, from when to when.",
                   charts.timeline(found[0].name, order=order, end=end), found)
        ],
    )  # fmt: skip


def fidelity(shown: Shown) -> Section:
    """How far the figures can be trusted."""
    summary = shown.run.summary
    assert summary is not None
    found = summary["fidelity"]
    late = found["lateness"]
    text = [
        f"Agents woke late by {seconds(late['p50'])} in the median, {seconds(late['p99'])} at p99 "
        f"({percent(found['relative'])} of the mean latency), {seconds(late['max'])} at most.",
        "The accounts balance: every job once, and both ends of every edge agree."
        if summary["valid"] else "NOT VALID: see the warnings.",
        {True: "By the kernel, each agent was connected to exactly the peers of its edges.",
         False: "NOT DECENTRALISED: see the warnings.",
         None: "The kernel was not asked who was connected to whom."}[summary["decentralised"]],
    ]  # fmt: skip
    shares = sorted(found["cpu"].items(), key=lambda item: -item[1])[:MOST_ROWS]
    if not shares:
        return Section("Fidelity", [*text, "CPU use is not known."])
    rows = [(who, "CPU", *rounded([share])) for who, share in shares]
    heads = ["agent", "what", "share of one core"]
    table = by_rows(f"{shown.key}-cpu", heads, rows, ["who", "part", "value"])
    spec = charts.bars(table.name, heads[2], rows=[who for who, _ in shares], parts=["CPU"])
    return Section("Fidelity", text, figures=[Figure("CPU by agent", "In the measured time.", spec, [table])])


def again(shown: Shown) -> Section:
    """The exact command, and what it ran with."""
    run, plan = shown.run, shown.run.plan
    first, *rest = [str(word) for word in plan.get("command", ["gmsr"])]
    name = PurePath(first).name
    command = shlex.join(["gmsr" if name == "__main__.py" else name, *rest])
    machine: Mapping[str, Any] = run.folder.launch["machine"] if run.folder and run.folder.launch else {}
    facts = {
        **plan.get("versions", {}),
        "system": machine.get("system"),
        "cores": machine.get("cores"),
        "started": plan.get("started"),
        "run directory": str(run.path.resolve()),
    }
    return Section(
        "Do it again",
        [
            "The seed fixes arrivals, sizes and every random choice. The topology, as it was run, is here to be had: "
            "gmsr takes it in place of the file that the command names."
        ],
        [by_rows(f"{shown.key}-versions", ["what", "which"], [list(fact) for fact in facts.items()])],
        code=[("The command that made this run", command)],
        files=[(f"{shown.key}-topology.json", json.dumps(read_json(run.path / "topology.json"), indent=1))],
    )
