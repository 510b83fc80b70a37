"""What a feed costs by its formula, from the journals alone: what the counted reports and questions are held against.

The servers' paths (number of jobs over time, from the exact instants of visits) say when a value changed, left its
band, or fell to idle; the feed's own rule says who is told. Changes of one wake-up are told together by a live server,
so that a busy live run sends fewer; in virtual time every instant is a turn of its own.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gmsr.agents.ages import middle
from gmsr.agents.feeds.correction import SLOPED, moved
from gmsr.agents.gauge import SLOPES, Gauge

from ..choices import Told, told
from .collect import Collected, ended
from .folder import Folder


def expected(folder: Folder, run: Collected) -> float | None:
    """Reports and questions of the whole run by formula, greetings included; None where there is no formula.

    There is none after a fault, which may silence or slow servers.
    """
    plan = folder.plan
    reads = tuple(plan["reads"])
    if folder.happenings:
        return None
    if not reads:
        return 0.0
    feed = told(plan["feed"], plan["policy"], reads)
    name = feed.name.partition(":")[0]
    jobs = len(run.jobs["job"])
    greeted = float(len(folder.topology.edges))
    if name == "none":
        return 0.0
    if name == "probe":
        return greeted + jobs * _questions(folder, run, feed)
    if name == "piggyback":
        return greeted + float(np.count_nonzero(~np.isnan(run.visits["departed"])))
    return greeted + sum(
        _told_by(folder, run, feed, name, server, len(folder.topology.dispatchers_of(server)))
        for server in run.servers
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
    wanted = float(asking.get("rate", "3")) if "pool" in asking else float(asking.get("d", "2"))
    owners = np.bincount(run.jobs["dispatcher"], minlength=len(run.dispatchers))
    known = np.array([len(folder.topology.servers_of(name)) for name in run.dispatchers])
    return float(2.0 * (owners * np.minimum(wanted, known)).sum() / max(owners.sum(), 1))


def _told_by(folder: Folder, run: Collected, feed: Told, name: str, server: str, dispatchers: int) -> float:
    """Reports of one server."""
    path = _path(run, server)
    times, counts = path.times, path.counts
    if name == "periodic":
        return dispatchers * float(times[-1] if len(times) else 0.0) / float(feed.options.get("every", "0.1"))
    if name == "tokens":
        return float(np.count_nonzero(counts[1:] == 0))
    gauge = _gauge(folder, server, feed)
    if name == "every-change":
        values = np.array([gauge.values(jobs) for jobs in range(int(counts.max(initial=0)) + 1)])[counts]
        return dispatchers * float(np.count_nonzero((values[1:] != values[:-1]).any(axis=1)))
    by = float(feed.options.get("by", "0.3"))
    mine = [run.dispatchers.index(edge.dispatcher) for edge in folder.topology.dispatchers_of(server)]
    sloped = [quantity in SLOPED for quantity in folder.plan["reads"] if quantity not in SLOPES]
    return float(sum(_exits(path, gauge, by, sloped, who if feed.corrected else None) for who in mine))


class _Path(NamedTuple):
    """One server's jobs over time; it begins empty."""

    times: NDArray[Any]  # of arrivals and departures
    steps: NDArray[Any]  # +1 or −1 at each
    owners: NDArray[Any]  # whose job
    counts: NDArray[Any]  # jobs there: one more than times


def _path(run: Collected, server: str) -> _Path:
    visits = run.visits
    own = visits["server"] == run.servers.index(server)
    went = ended(visits)[own]
    gone = ~np.isnan(went)
    times = np.concatenate([visits["arrived"][own], went[gone]])
    steps = np.concatenate([np.ones(len(went), np.int64), -np.ones(int(gone.sum()), np.int64)])
    owners = np.concatenate([visits["dispatcher"][own], visits["dispatcher"][own][gone]])
    order = np.argsort(times, kind="stable")
    return _Path(times[order], steps[order], owners[order], np.concatenate([[0], np.cumsum(steps[order])]))


def _gauge(folder: Folder, server: str, feed: Told) -> Gauge:
    plan = folder.plan
    own = next(each for each in folder.topology.servers if each.id == server)
    return Gauge([*plan["reads"], *feed.extras], own.curve, plan["scale"], own.width)


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
            if value != believed and not abs(value - believed) <= by * max(abs(value), abs(believed)):
                exits, own, told = exits + 1, 0, values
                if gauge.slopes:
                    fall, rise = gauge.slope(jobs, 1.0)
                break
    return exits
