"""A run over time, and the distribution of its latency, small enough to be drawn: a pure function of its journals.

Times are cut into equal bins. What is told of a bin is exact (a time average, or a quantile of all jobs that arrived
in it), so that no bin depends on where samples happened to fall.
"""

from math import inf
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gmsr.agents.gauge import Gauge
from gmsr.agents.journal import COMPLETED
from gmsr.topology.graph import Server

from ..faults.diary import episodes
from ..faults.recovery import as_it_is
from .collect import Collected
from .folder import Folder
from .workload import ServerPath, by_server, total_workload

BINS = 240
"""Of totals."""
CELLS = 12_000
"""Bins times servers, of what is told of each server; at least ``FEWEST_BINS`` bins, at most ``BINS``."""
FEWEST_BINS = 40
JOBS_A_BIN = 100
"""Fewer make no p99."""
TAIL_POINTS = 120
BINS_A_DECADE = 20
FASTEST = 0.002

Column = NDArray[Any]


class Series(NamedTuple):
    """What a run's charts are drawn from. Seconds are emulated; a bin is told by its middle, not-a-number is a gap."""

    begin: float  # of the measured time
    end: float
    t: Column  # shape (bins,)
    workload: Column  # mean ΣN in each bin
    so_far: Column  # mean ΣN from the end of the warm-up to the bin's end
    server_t: Column  # shape (server bins,)
    workload_of: dict[str, Column]  # server → mean N
    marginal_of: dict[str, Column]  # server → mean of what it would report; a gap while it is away
    latency_t: Column  # shape (latency bins,): by the time of arrival, all jobs that completed
    mean: Column
    p50: Column
    p99: Column
    tail_share: Column  # shape (TAIL_POINTS,): share of measured jobs …
    tail: Column  # … that took longer than this
    density_edges: Column  # shape (latencies + 1,): seconds, BINS_A_DECADE each
    density: Column  # share of measured jobs in each
    flows: dict[tuple[str, str], float]  # measured jobs per second from a dispatcher to a server
    marginals: dict[str, float]  # server → mean over the measured time
    workloads: dict[str, float]  # the same of N


def series(folder: Folder, run: Collected, begin: float, end: float) -> Series:
    """Work all of it out; [begin, end) is the measured time, as in the summary."""
    jobs, scale = run.jobs, folder.plan["scale"]
    edges = np.linspace(0.0, end, BINS + 1)
    total = total_workload(run, scale, end)
    late = edges[1:] > begin
    so_far = np.full(BINS, np.nan)
    so_far[late] = total.mean(begin, edges[1:][late])
    bins = int(np.clip(CELLS // max(len(run.servers), 1), FEWEST_BINS, BINS))
    own_edges = np.linspace(0.0, end, bins + 1)
    workload_of, marginal_of, workloads, marginals = _servers(folder, run, own_edges, begin, end)
    measured = (jobs["arrival"] >= begin) & (jobs["arrival"] < end)
    latencies = np.sort(jobs["latency"][measured & (jobs["state"] == COMPLETED)])
    return Series(
        begin, end,
        _middle(edges), total.mean(edges[:-1], edges[1:]), so_far,
        _middle(own_edges), workload_of, marginal_of,
        *_over_time(run, end),
        *_tail(latencies), *_density(latencies),
        _flows(run, measured, end - begin),
        marginals, workloads,
    )  # fmt: skip


def _middle(edges: Column) -> Column:
    return (edges[:-1] + edges[1:]) / 2.0


def _servers(
    folder: Folder, run: Collected, edges: Column, begin: float, end: float
) -> tuple[dict[str, Column], dict[str, Column], dict[str, float], dict[str, float]]:
    """Of each server: N and marginal in the bins, and both over the measured time."""
    scale = folder.plan["scale"]
    eras = _eras(folder, edges)
    workload: dict[str, Column] = {}
    marginal: dict[str, Column] = {}
    workloads: dict[str, float] = {}
    marginals: dict[str, float] = {}
    low, high = np.append(edges[:-1], begin), np.append(edges[1:], end)  # the last bin is the measured time
    for server, path in zip(folder.topology.servers, by_server(run), strict=True):
        counts = np.arange(int(path.counts.max(initial=0)) + 1)
        means = path.of(counts / scale, end).mean(low, high)
        workload[server.id], workloads[server.id] = means[:-1], float(means[-1])
        found = np.full(len(edges), np.nan)
        known: dict[Server, Column] = {}
        for bins, servers in eras:
            each = servers.get(server.id)
            if each is not None:
                if each not in known:
                    known[each] = _marginal(path, each, counts, scale, end).mean_of(low, high)
                found[bins] = known[each][bins]
        own = _marginal(path, server, counts, scale, end).mean_of(low, high) if len(eras) > 1 else found
        marginal[server.id], marginals[server.id] = found[:-1], float(own[-1])
    return workload, marginal, workloads, marginals


class _Finite(NamedTuple):
    """A path's integral where it is finite, and for how long that was."""

    value: Any
    time: Any

    def mean_of(self, low: Column, high: Column) -> Column:
        finite = self.time.mean(low, high)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(finite > 0.0, self.value.mean(low, high) / finite, np.nan)


def _marginal(path: ServerPath, server: Server, counts: Column, scale: float, end: float) -> _Finite:
    """An empty server of curve N^p reports infinity: means are of the time in which it does not."""
    gauge = Gauge(["marginal"], server.curve, scale, server.width)
    values = np.array([gauge.values(jobs)[0] for jobs in counts.tolist()])
    finite = np.isfinite(values)
    return _Finite(path.of(np.where(finite, values, 0.0), end), path.of(finite.astype(float), end))


def _eras(folder: Folder, edges: Column) -> list[tuple[Column, dict[str, Server]]]:
    """Spells in which nothing befalls: their bins (and the one behind them, the measured time), who is there."""
    found = episodes(folder.happenings, folder.topology.edges)
    times = {time for each in found for time in (each.at, each.until) if time < inf}
    times |= {each.t for each in folder.happenings}
    starts = [0.0, *sorted(time for time in times if 0.0 < time < edges[-1])]
    if len(starts) == 1:
        return [(np.ones(len(edges), dtype=bool), {each.id: each for each in folder.topology.servers})]
    middle = np.append(_middle(edges), np.nan)
    eras = []
    for start, over in zip(starts, [*starts[1:], inf], strict=True):
        bins = (middle >= start) & (middle < over)
        if bins.any():
            there = as_it_is(folder, found, start).servers
            eras.append((bins, {each.id: each for each in there}))
    return eras


def _over_time(run: Collected, end: float) -> tuple[Column, Column, Column, Column]:
    """Mean, median and p99 latency of who arrived in each bin."""
    jobs = run.jobs
    done = (jobs["state"] == COMPLETED) & (jobs["arrival"] < end)
    arrival, latency = jobs["arrival"][done], jobs["latency"][done]
    bins = int(np.clip(len(arrival) // JOBS_A_BIN, 1, BINS // 2))
    edges = np.linspace(0.0, end, bins + 1)
    order = np.argsort(arrival)
    parts = np.split(latency[order], np.searchsorted(arrival[order], edges[1:-1]))
    made = np.full((3, bins), np.nan)
    for index, part in enumerate(parts):
        if len(part):
            made[:, index] = part.mean(), *np.quantile(part, [0.5, 0.99])
    return _middle(edges), *made


def _tail(latencies: Column) -> tuple[Column, Column]:
    """Points of the complementary distribution, evenly on a log scale, from the median to the slowest job."""
    if not len(latencies):
        return np.empty(0), np.empty(0)
    share = np.geomspace(0.5, 1.0 / max(len(latencies), 2), TAIL_POINTS)
    place = np.clip(np.round((1.0 - share) * len(latencies)).astype(int), 0, len(latencies) - 1)
    return share, latencies[place]


def _density(latencies: Column) -> tuple[Column, Column]:
    """Jobs by latency, on a log scale whose bins are the same for all runs; the ``FASTEST`` share is left out."""
    positive = latencies[latencies > 0.0]
    if not len(positive):
        return np.empty(0), np.empty(0)
    low, high = np.log10([np.quantile(positive, FASTEST), positive[-1]]) * BINS_A_DECADE
    edges = 10.0 ** (np.arange(np.floor(low), np.floor(high) + 2.0) / BINS_A_DECADE)
    counts, _ = np.histogram(latencies, edges)
    return edges, counts / len(latencies)


def _flows(run: Collected, measured: Column, span: float) -> dict[tuple[str, str], float]:
    """Jobs per second on each edge that had any."""
    jobs, width = run.jobs, max(len(run.servers), 1)
    keys = jobs["dispatcher"][measured].astype(np.int64) * width + jobs["server"][measured]
    edges, counts = np.unique(keys, return_counts=True)
    return {
        (run.dispatchers[edge // width], run.servers[edge % width]): count / span
        for edge, count in zip(edges.tolist(), counts.tolist(), strict=True)
    }
