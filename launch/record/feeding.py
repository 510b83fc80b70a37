"""What a feed costs by its formula, from the journals alone: what the counted reports and questions are held against.

The servers' paths (jobs there at the end of each turn, from when visits came and were noticed to be over) say when a
value changed, left its band, or fell to idle; the feed's own rule says who is told. What happens in one turn is told
together: a busy live server takes several changes in one, in virtual time every instant is a turn of its own.
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
from .collect import Collected
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
        return greeted + _frames(run)
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


def _frames(run: Collected) -> float:
    """Frames with completions in them: a turn of a server sends one to each dispatcher whose jobs it let go."""
    visits = run.visits
    gone = ~np.isnan(visits["departed"])
    turns = [visits[column][gone] for column in ("server", "noticed", "dispatcher")]
    return float(np.unique(np.stack(turns), axis=1).shape[1])


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
        return float(np.count_nonzero((counts[1:] == 0) & (counts[:-1] > 0)))
    gauge = Gauge([*plan["reads"], *feed.extras], server.curve, plan["scale"], server.width)
    if name == "every-change":
        values = np.array([gauge.values(jobs) for jobs in range(int(counts.max(initial=0)) + 1)])[counts]
        return len(dispatchers) * float(np.count_nonzero((values[1:] != values[:-1]).any(axis=1)))
    by = float(feed.options.get("by", BY))
    sloped = [quantity in SLOPED for quantity in plan["reads"] if quantity not in SLOPES]
    return float(sum(_exits(path, gauge, by, sloped, who if feed.corrected else None) for who in dispatchers))


class _Path(NamedTuple):
    """One server's jobs over time; it begins empty. A turn in which jobs came or went has one element each."""

    times: NDArray[Any]  # of turns
    counts: NDArray[Any]  # jobs there at their ends, and at the beginning: one more
    own: dict[int, NDArray[Any]]  # by dispatcher: how many more of its jobs are there than before


def _paths(run: Collected) -> Iterator[_Path]:
    """Of each server, in order."""
    visits = run.visits
    order = np.argsort(visits["server"], kind="stable")
    ends = np.cumsum(np.bincount(visits["server"], minlength=len(run.servers)))[:-1]
    came, went, owners = visits["arrived"], visits["noticed"], visits["dispatcher"]
    for here in np.split(order, ends):
        gone = here[~np.isnan(went[here])]
        times, turns = np.unique(np.concatenate([came[here], went[gone]]), return_inverse=True)
        steps = np.concatenate([np.ones(len(here)), -np.ones(len(gone))])
        whose = np.concatenate([owners[here], owners[gone]])

        def by_turn(
            weights: NDArray[Any], turns: NDArray[Any] = turns, count: int = len(times)
        ) -> NDArray[Any]:
            return np.bincount(turns, weights, count).astype(np.int64)

        counts = np.concatenate([[0], np.cumsum(by_turn(steps))])
        yield _Path(times, counts, {int(who): by_turn(steps * (whose == who)) for who in np.unique(whose)})


def _exits(path: _Path, gauge: Gauge, by: float, sloped: list[bool], who: int | None) -> int:
    """How often a value leaves the band around what a dispatcher believes; ``who``: it moves it for its own jobs."""
    exits, own = 0, 0
    told = gauge.values(0)
    fall, rise = gauge.slope(0, 1.0) if gauge.slopes else (0.0, 0.0)
    counts = path.counts[1:].tolist()
    more = path.own[who].tolist() if who in path.own else [0] * len(counts)
    for jobs, step in zip(counts, more, strict=True):
        own += step
        values = gauge.values(jobs)
        for index, value in enumerate(values):
            believed = moved(sloped[index], told[index], fall, rise, own) if own else told[index]
            if off(value, believed, by):
                exits, own, told = exits + 1, 0, values
                if gauge.slopes:
                    fall, rise = gauge.slope(jobs, 1.0)
                break
    return exits
