"""A finished run as the frames that its watchers would have seen, from its journals and so exact."""

from typing import Any

import numpy as np

from gmsr.agents.journal import COMPLETED, LOST

from ..faults.diary import episodes
from ..record.collect import Collected, collect
from ..record.folder import Folder
from ..record.load import Run
from ..record.series import Series
from .meter import Frame
from .scene import Aim


def frames(run: Run) -> list[Frame]:
    """One for each bin of the run's series of servers, at the bin's end; none where the journals do not tell."""
    if run.folder is None or run.series is None:
        return []
    found = collect(run.folder)
    return _frames(run.folder, found, run.series)


def aims(run: Run) -> list[Aim]:
    """What was optimal when, as the summary has it."""
    summary = run.summary or {}
    best = summary.get("optimum")
    if summary.get("optima"):
        return [Aim(t, workload, None) for t, workload in summary["optima"]]
    return [Aim(0.0, best["workload"], best["latency"])] if best else []


def faults(run: Run) -> list[Any]:
    """What befell it."""
    return episodes(run.folder.happenings, run.folder.topology.edges) if run.folder else []


def _frames(folder: Folder, run: Collected, series: Series) -> list[Frame]:
    jobs, visits, scale = run.jobs, run.visits, folder.plan["scale"]
    width = 2.0 * float(series.server_t[0])
    bins = len(series.server_t)
    edges = np.linspace(0.0, width * bins, bins + 1)

    def sums(times: Any, weights: Any = None) -> Any:
        return np.histogram(times, edges, weights=weights)[0]

    done = jobs["state"] == COMPLETED
    ended, latency = jobs["done"][done], jobs["latency"][done]
    completed, total = sums(ended), sums(ended, latency)
    counts = np.cumsum(sums(ended[ended >= series.begin]))
    so_far = _over(np.cumsum(sums(ended[ended >= series.begin], latency[ended >= series.begin])), counts)
    offered, late = sums(jobs["arrival"]), sums(jobs["arrival"], jobs["sent"] - jobs["arrival"])
    by_server = _by(
        visits["server"], visits["departed"], len(run.servers), edges, visits["size"] / scale / width
    )
    came = _by(jobs["dispatcher"], jobs["arrival"], len(run.dispatchers), edges)
    went = _by(jobs["dispatcher"][done], ended, len(run.dispatchers), edges)
    waited = _by(jobs["dispatcher"][done], ended, len(run.dispatchers), edges, latency)
    pairs = jobs["dispatcher"].astype(np.int64) * len(run.servers) + jobs["server"]
    known, numbers = np.unique(pairs, return_inverse=True)
    sent = _by(numbers, jobs["sent"], len(known), edges) / width
    names = [
        (run.dispatchers[each // len(run.servers)], run.servers[each % len(run.servers)]) for each in known
    ]
    holding = np.array([series.workload_of[name] for name in run.servers])
    lost = np.cumsum(sums(jobs["sent"][jobs["state"] >= LOST]))
    return [
        Frame(
            float(edges[at + 1]), offered[at] / width, completed[at] / width, _number(_over(total, completed)[at]),
            _number(so_far[at]), float(holding[:, at].sum()),
            int(offered[: at + 1].sum() - completed[: at + 1].sum() - lost[at]), int(lost[at]),
            _number(_over(late, offered)[at]), {},
            {
                name: [
                    float(holding[index, at]), float(by_server[index, at]), _number(series.marginal_of[name][at])
                ]
                for index, name in enumerate(run.servers)
            },
            {
                name: [float(came[index, at]) / width, _number(_over(waited, went)[index, at])]
                for index, name in enumerate(run.dispatchers)
            },
            _nested(names, sent[:, at]),
        )
        for at in range(bins)
    ]  # fmt: skip


def _by(who: Any, times: Any, count: int, edges: Any, weights: Any = None) -> Any:
    """How many, or how much, of each in each bin, shape (count, bins)."""
    place = np.searchsorted(edges, times, side="right") - 1
    inside = (place >= 0) & (place < len(edges) - 1)
    flat = np.bincount(
        who[inside].astype(np.int64) * (len(edges) - 1) + place[inside],
        None if weights is None else weights[inside],
        minlength=count * (len(edges) - 1),
    )
    return flat.reshape(count, len(edges) - 1).astype(float)


def _over(total: Any, count: Any) -> Any:
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def _nested(names: list[tuple[str, str]], flows: Any) -> dict[str, dict[str, float]]:
    made: dict[str, dict[str, float]] = {}
    for (dispatcher, server), flow in zip(names, flows.tolist(), strict=True):
        if flow > 0.0:
            made.setdefault(dispatcher, {})[server] = flow
    return made
