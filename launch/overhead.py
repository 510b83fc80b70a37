"""``gmsr overhead``: what each feed costs under each policy, what it buys, and how its cost grows with the graph."""

import itertools
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from gmsr.topology.errors import UserError
from gmsr.topology.graph import Dispatcher, Edge, Topology

from . import plan
from .choices import choose, known
from .record.text import number, percent, seconds, table
from .run import run
from .show.progress import Progress
from .world.simulate import simulate

FEEDS = "every-change,on-change:by=0.05,periodic:every=0.1,piggyback,probe:d=2,probe:pool=16"
GROWTH = (1, 2, 4)
"""So many times as many dispatchers, or servers."""

Play = Callable[[Topology, plan.Options], dict[str, Any]]
"""Gives a run's summary."""


def pairs(policies: Sequence[str], feeds: Sequence[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """What goes together, and a line on each that does not. Raises UserError where nothing does, or one is no feed."""
    for feed in feeds:
        known(feed)  # what is no feed at all fits nobody
    fit: list[tuple[str, str]] = []
    misfits = []
    for policy in policies:
        reads = choose(policy).reads
        for feed in feeds if reads else feeds[:1]:  # who reads nothing is told nothing, whatever the feed
            try:
                fit.append((policy, choose(policy, feed).feed.name))
            except UserError as error:
                misfits.append(f"{policy} with {feed} is left out: {error}")
    if not fit:
        raise UserError(f"--feeds: no policy goes with any of them; {misfits[0]}")
    return fit, misfits


def everything(
    topology: Topology,
    options: plan.Options,
    fit: Sequence[tuple[str, str]],
    repeats: int,
    simulated: bool,
    grown: bool,
) -> dict[str, Any]:
    """``costs``, ``growth`` and ``census``. No run directory is kept."""
    with tempfile.TemporaryDirectory(prefix="gmsr-overhead-") as folder:
        places = (Path(folder) / str(count) for count in itertools.count())

        def virtual(topology: Topology, options: plan.Options) -> dict[str, Any]:
            return simulate(topology, options, next(places))

        def live(topology: Topology, options: plan.Options) -> dict[str, Any]:
            label = f"{options.policy}, {options.feed}, seed {options.seed}"
            return run(topology, options, next(places), Progress(label=label))

        costs = measure(topology, options, fit, repeats, virtual if simulated else live)
        policy = fit[0][0]
        feeds = [feed for each, feed in fit if each == policy]
        rows = growth(topology, options._replace(pace=1.0), policy, feeds, virtual) if grown else []
    return {"costs": costs, "growth": rows, "census": census(costs)}


def measure(
    topology: Topology, options: plan.Options, fit: Sequence[tuple[str, str]], repeats: int, play: Play
) -> list[dict[str, Any]]:
    """A row for each policy and feed: means over ``repeats`` seeds."""
    return [
        {"policy": policy, "feed": feed, **_costs(topology, options, policy, feed, repeats, play)}
        for policy, feed in fit
    ]


def growth(
    topology: Topology, options: plan.Options, policy: str, feeds: Sequence[str], play: Play
) -> list[dict[str, Any]]:
    """Cost by feed, with dispatchers split into several of a part of the rate, or servers and rates multiplied."""
    sizes = [(times, 1) for times in GROWTH] + [(1, times) for times in GROWTH[1:]]
    rows = []
    for feed in feeds:
        for dispatchers, servers in sizes:
            grown = multiplied(topology, dispatchers, servers)
            cost = _costs(grown, options, policy, feed, 1, play)
            rows.append(
                {
                    "feed": feed,
                    "dispatchers": len(grown.dispatchers),
                    "servers": len(grown.servers),
                    "told_per_job": cost["told_per_job"],
                    "told_per_job_by_formula": cost["told_per_job_by_formula"],
                    "bytes_per_job": cost["bytes_per_job"],
                }
            )
    return rows


def multiplied(topology: Topology, dispatchers: int = 1, servers: int = 1) -> Topology:
    """Each dispatcher as several of a part of its rate; each server as several, with as many times the demand."""

    def names(own_id: str, times: int) -> list[str]:
        return [own_id] if times == 1 else [f"{own_id}.{copy}" for copy in range(1, times + 1)]

    return topology._replace(
        dispatchers=tuple(
            Dispatcher(name, each.rate * servers / dispatchers)
            for each in topology.dispatchers
            for name in names(each.id, dispatchers)
        ),
        servers=tuple(
            each._replace(id=name) for each in topology.servers for name in names(each.id, servers)
        ),
        edges=tuple(
            Edge(dispatcher, server, edge.delay, edge.weight)
            for edge in topology.edges
            for dispatcher in names(edge.dispatcher, dispatchers)
            for server in names(edge.server, servers)
        ),
        faults=(),
    )


def _costs(
    topology: Topology, options: plan.Options, policy: str, feed: str, repeats: int, play: Play
) -> dict[str, Any]:
    summaries = [
        play(topology, options._replace(policy=policy, feed=feed, seed=options.seed + repeat))
        for repeat in range(repeats)
    ]

    def mean(*fields: str) -> float | None:
        values = []
        for summary in summaries:
            value: Any = summary
            for field in fields:
                value = value[field]
            values.append(value)
        return None if None in values else fmean(values)

    return {
        "valid": all(each["valid"] for each in summaries),
        "decentralised": _proved([each["decentralised"] for each in summaries]),
        "messages_per_job": mean("messages", "per_job"),
        "bytes_per_job": mean("messages", "bytes_per_job"),
        "control_share": mean("messages", "control_share"),
        "told_per_job": mean("messages", "told_per_job"),
        "told_per_job_by_formula": mean("messages", "told_per_job_by_formula"),
        "age_mean": mean("views", "mean"),
        "age_median": mean("views", "median"),
        "latency": mean("latency", "mean"),
        "p99": mean("latency", "p99"),
        "ratio": mean("ratio"),
        "lateness_p99": mean("fidelity", "lateness", "p99"),
        "warnings": sorted({line for each in summaries for line in each["warnings"]}),
    }


def text(found: Mapping[str, Any]) -> str:
    """Two tables, and what is to be said about them."""
    head = [
        "policy", "feed", "reports+questions/job", "by formula", "messages/job", "bytes/job", "control", "age mean",
        "median", "mean latency", "p99", "over the optimum",
    ]  # fmt: skip
    rows = [
        [
            each["policy"] + ("" if each["valid"] else " (NOT VALID)"),
            each["feed"],
            number(each["told_per_job"]),
            number(each["told_per_job_by_formula"]),
            number(each["messages_per_job"]),
            number(each["bytes_per_job"]),
            percent(each["control_share"]),
            seconds(each["age_mean"]),
            seconds(each["age_median"]),
            seconds(each["latency"]),
            seconds(each["p99"]),
            "–" if each["ratio"] is None else f"{each['ratio']:.3f}",
        ]
        for each in found["costs"]
    ]
    lines = table(head, rows)
    if found["growth"]:
        grown = [
            [
                each["feed"],
                str(each["dispatchers"]),
                str(each["servers"]),
                number(each["told_per_job"]),
                number(each["told_per_job_by_formula"]),
                number(each["bytes_per_job"]),
            ]
            for each in found["growth"]
        ]
        head = ["feed", "dispatchers", "servers", "reports+questions/job", "by formula", "bytes/job"]
        lines += ["", *table(head, grown)]
    lines += [f"warning: {line}" for line in found["left_out"]]
    for each in found["costs"]:
        lines += [f"warning: {each['policy']}, {each['feed']}: {line}" for line in each["warnings"]]
    return "\n".join([*lines, "", found["census"]])


def census(costs: Sequence[Mapping[str, Any]]) -> str:
    """What the counters of all these runs say about who talked to whom."""
    proved = _proved([each["decentralised"] for each in costs])
    if proved:
        return (
            "census      in every run each agent's messages went along its own edges and nowhere else: none to another "
            "dispatcher, none to a server without an edge, none to a third party"
        )
    if proved is not None:
        return "census      NOT CLEAN, see the warnings"
    return "census      under virtual time there are no sockets to look at: who is connected is proved on live runs"


def _proved(proofs: Sequence[bool | None]) -> bool | None:
    """False if one run contradicts it, None if nobody could look at one."""
    return False if False in proofs else None if None in proofs else True
