"""What a feed costs by its formula, from the journals alone: what the counted reports and questions are held against.

The servers' paths (number of jobs over time, from the exact instants of visits) say when a value changed, left its
band, or fell to idle; the feed's own rule says who is told. Changes of one wake-up are told together by a live server,
so that a busy live run sends fewer; in virtual time every instant is a turn of its own.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gmsr.agents.ages import middle
from gmsr.agents.feeds.asking import RATE, D
from gmsr.agents.feeds.correction import SLOPED, moved
from gmsr.agents.feeds.on_change import BY, off
from gmsr.agents.feeds.periodic import EVERY
from gmsr.agents.gauge import CURVELESS, SLOPES, Gauge
from gmsr.topology.graph import Server

from ..choices import Told, told
from .collect import Collected, ended
from .folder import Folder, Plan


def expected(folder: Folder, run: Collected) -> float | None:
    """Reports and questions of the whole run by formula, greetings included; None where there is no formula.

    There is none after a fault, which may silence or slow servers, nor for when a server tells of its curve as it
    learns.
    """
    plan = folder.plan
    reads = tuple(plan["reads"])
    if folder.happenings:
        return None
    if not reads:
        return 0.0
    feed = told(plan["feed"], plan["policy"], reads)
    name = feed.name.partition(":")[0]
    of_the_curve = name in ("every-change", "on-change") and not set(reads) <= set(CURVELESS)
    if of_the_curve and any(each.learn for each in folder.topology.servers):
        return None
    jobs = len(run.jobs["job"])
    greeted = float(len(folder.topology.edges))
    if name == "none":
        return 0.0
    if name == "probe":
        return greeted + jobs * _questions(folder, run, feed)
    if name == "piggyback":
        return greeted + float(np.count_nonzero(~np.isnan(run.visits["departed"])))
    dispatchers: dict[str, list[int]] = {server: [] for server in run.servers}
    for edge in folder.topology.edges:
        dispatchers[edge.server].append(run.dispatchers.index(edge.dispatcher))
    servers = {each.id: each for each in folder.topology.servers}
    return greeted + sum(
        _told_by(plan, feed, name, servers[server], dispatchers[server], path)
        for server, path in zip(run.servers, _paths(run), strict=True)
    )


def ages(run: Collected) -> dict[str, Any]:
    """Mean and median age of the view of the chosen server, over all choices; None where none was told.

    A median is read from cells of 9 %.
    """
    cells: dict[int, int] = {}
    count, total = 0, 0.0
    for statement in run.statements.values():
        own = statement.get("ages", {"count": 0, "total": 0.0, "cells": []})
        count += own["count"]
        total += own["total"]
        for cell, number in own["cells"]:
            cells[cell] = cells.get(cell, 0) + number
    if not count:
        return {"mean": None, "median": None}
    seen = 0
    for cell in sorted(cells):
        seen += cells[cell]
        if 2 * seen >= count:
            break
    return {"mean": total / count, "median": middle(cell)}


def _questions(folder: Folder, run: Collected, feed: Told) -> float:
    """Questions and answers a job, over dispatchers: no more are asked than there are servers."""
    asking = feed.asking or {}
    wanted = float(asking.get("rate", RATE)) if "pool" in asking else float(asking.get("d", D))
    owners = np.bincount(run.jobs["dispatcher"], minlength=len(run.dispatchers))
    known = np.array([len(folder.topology.servers_of(name)) for name in run.dispatchers])
    return float(2.0 * (owners * np.minimum(wanted, known)).sum() / max(owners.sum(), 1))


def _told_by(
    plan: Plan, feed: Told, name: str, server: Server, dispatchers: list[int], path: "_Path"
) -> float:
    """Reports of one server to its dispatchers."""
    times, counts = path.times, path.counts
    if name == "periodic":
        last = float(times[-1]) if len(times) else 0.0
        return len(dispatchers) * last / float(feed.options.get("every", EVERY))
    if name == "tokens":
        return float(np.count_nonzero(counts[1:] == 0))
    gauge = Gauge([*plan["reads"], *feed.extras], server.curve, plan["scale"], server.width)
    if name == "every-change":
        values = np.array([gauge.values(jobs) for jobs in range(int(counts.max(initial=0)) + 1)])[counts]
        return len(dispatchers) * float(np.count_nonzero((values[1:] != values[:-1]).any(axis=1)))
    by = float(feed.options.get("by", BY))
    sloped = [quantity in SLOPED for quantity in plan["reads"] if quantity not in SLOPES]
    return float(sum(_exits(path, gauge, by, sloped, who if feed.corrected else None) for who in dispatchers))


class _Path(NamedTuple):
    """One server's jobs over time; it begins empty."""

    times: NDArray[Any]  # of arrivals and departures
    steps: NDArray[Any]  # +1 or −1 at each
    owners: NDArray[Any]  # whose job
    counts: NDArray[Any]  # jobs there: one more than times


def _paths(run: Collected) -> Iterator[_Path]:
    """Of each server, in order."""
    visits = run.visits
    order = np.argsort(visits["server"], kind="stable")
    ends = np.cumsum(np.bincount(visits["server"], minlength=len(run.servers)))[:-1]
    came, went, owners = visits["arrived"], ended(visits), visits["dispatcher"]
    for own in np.split(order, ends):
        gone = own[~np.isnan(went[own])]
        times = np.concatenate([came[own], went[gone]])
        steps = np.concatenate([np.ones(len(own), np.int64), -np.ones(len(gone), np.int64)])
        by_time = np.argsort(times, kind="stable")
        counts = np.concatenate([[0], np.cumsum(steps[by_time])])
        yield _Path(
            times[by_time], steps[by_time], np.concatenate([owners[own], owners[gone]])[by_time], counts
        )


def _exits(path: _Path, gauge: Gauge, by: float, sloped: list[bool], who: int | None) -> int:
    """How often a value leaves the band around what a dispatcher believes; ``who``: it moves it for its own jobs."""
    exits, own = 0, 0
    told = gauge.values(0)
    fall, rise = gauge.slope(0, 1.0) if gauge.slopes else (0.0, 0.0)
    for jobs, step, owner in zip(
        path.counts[1:].tolist(), path.steps.tolist(), path.owners.tolist(), strict=True
    ):
        own += step if owner == who else 0
        values = gauge.values(jobs)
        for index, value in enumerate(values):
            believed = moved(sloped[index], told[index], fall, rise, own) if own else told[index]
            if off(value, believed, by):
                exits, own, told = exits + 1, 0, values
                if gauge.slopes:
                    fall, rise = gauge.slope(jobs, 1.0)
                break
    return exits
