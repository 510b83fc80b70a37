"""Jobs at servers over time, from the exact instants of arrival and departure in the journals."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .collect import Collected, ended


class Path(NamedTuple):
    """A quantity over time: exact, as its integral at the instants where it changes."""

    at: Any
    integral: Any

    def mean(self, begin: Any, end: Any) -> Any:
        """Time averages; ``begin`` and ``end`` are numbers or arrays of one shape."""
        area = np.interp(end, self.at, self.integral) - np.interp(begin, self.at, self.integral)
        return area / (end - begin)


class ServerPath(NamedTuple):
    """One server's jobs over time; it begins empty."""

    times: NDArray[Any]  # of arrivals and departures
    counts: NDArray[Any]  # jobs there: one more than times

    def of(self, values: NDArray[Any], end: float) -> Path:
        """The path of what depends on the number of jobs alone: ``values[count]``, shape (largest count + 1,)."""
        at = np.concatenate([[0.0], self.times, [max(end, self.times[-1] if len(self.times) else 0.0)]])
        return Path(at, np.concatenate([[0.0], np.cumsum(values[self.counts] * np.diff(at))]))


def total_workload(run: Collected, scale: float, end: float) -> Path:
    """Jobs at all servers over n."""
    visits = run.visits
    gone = ended(visits)
    gone = gone[~np.isnan(gone)]
    at = np.concatenate([[0.0], visits["arrived"], gone, [max(end, 0.0)]])
    change = np.concatenate([[0.0], np.ones(len(visits["arrived"])), -np.ones(len(gone)), [0.0]])
    order = np.argsort(at, kind="stable")
    at, level = at[order], np.cumsum(change[order]) / scale
    return Path(at, np.concatenate([[0.0], np.cumsum(level[:-1] * np.diff(at))]))


def by_server(run: Collected) -> Iterator[ServerPath]:
    """Of each server, in order: exact instants, whenever the server woke to them."""
    visits = run.visits
    order = np.argsort(visits["server"], kind="stable")
    ends = np.cumsum(np.bincount(visits["server"], minlength=len(run.servers)))[:-1]
    came, went = visits["arrived"], ended(visits)
    for own in np.split(order, ends):
        gone = own[~np.isnan(went[own])]
        times = np.concatenate([came[own], went[gone]])
        steps = np.concatenate([np.ones(len(own), np.int64), -np.ones(len(gone), np.int64)])
        by_time = np.argsort(times, kind="stable")
        yield ServerPath(times[by_time], np.concatenate([[0], np.cumsum(steps[by_time])]))
