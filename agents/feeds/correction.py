"""Local correction: between reports a dispatcher moves a server's values for its own jobs that the report missed.

The report brings two slopes, by how much the marginal falls with the next job and rises with one fewer, and the newest
of the dispatcher's jobs that the server had taken in when it spoke. Jobs that were sent later are not in the report
yet, and own completions that come after it have left: with k more of its own jobs there a server's marginal is
m − k·fall, never below 0; with k fewer it is m + k·rise. A number of jobs moves by k. So the view is right about the
dispatcher's own doing, and as old as the report about everybody else's.

It costs 27 bytes a report, 9 where the policy reads numbers of jobs, which need no slopes. Marginals only are learned:
a slope is the difference of two.

An edge is an ordered stream, so a server that has taken in one of our jobs has taken in, or will never see, all that
we had sent it before; a completion says that of its job as well as a report does of the newest that was seen. What is
remembered are jobs in flight and a number, however long no report comes. (Of a job that is sent again, to the same
server, word of its first copy is taken for word of the second: the view is then one job off until the next report.)
"""

from collections.abc import Sequence

from ..gauge import SLOPES
from ..view import View

SLOPED = ("marginal", "derivative")
COUNTED = ("jobs",)
CORRECTED = (*SLOPED, *COUNTED)
"""Quantities that can be corrected."""


def extras(reads: Sequence[str]) -> tuple[str, ...]:
    """What reports carry beside the policy's own, the newest job apart. Raises ValueError where it does not apply."""
    for quantity in reads:
        if quantity not in CORRECTED:
            raise ValueError(f"{quantity!r} cannot be corrected, only {', '.join(CORRECTED)}")
    return SLOPES if any(quantity in SLOPED for quantity in reads) else ()


def moved(sloped: bool, value: float, fall: float, rise: float, jobs: int) -> float:
    """A reported value with so many jobs more (or fewer, below 0). Both ends of an edge work it out alike."""
    if not sloped:
        value += jobs
    elif jobs > 0:
        value -= jobs * fall
    else:
        return value - jobs * rise
    return value if value > 0.0 else 0.0


class _Own:
    """What is known of one server: its report, and our jobs that are not in it."""

    __slots__ = ("done", "fall", "fresh", "reached", "rise", "sends", "values")

    def __init__(self, values: Sequence[float]) -> None:
        self.values = values
        self.fall = self.rise = 0.0
        self.sends = 0  # jobs that we have sent it
        self.reached = 0  # of those, how many it must have taken in, or will never see
        self.fresh: dict[int, int] = {}  # in flight and not in the report: the how manieth each was, in order
        self.done = 0  # of those in the report, how many have left

    def took(self, job: float) -> None:
        """It has taken in this one."""
        self.reached = max(self.reached, self.fresh.get(job, 0))  # type: ignore[call-overload]

    def lost(self, job: int) -> None:
        """This one is no longer there."""
        if self.fresh.pop(job, None) is None:
            self.done += 1


class Correction:
    """Of one dispatcher's view."""

    __slots__ = ("_kinds", "_own", "_view")

    def __init__(self, view: View) -> None:
        self._view = view
        self._kinds = [(index, quantity in SLOPED) for index, quantity in enumerate(view.reads)]
        self._own: dict[int, _Own] = {}

    def sent(self, server: int, job: int) -> None:
        """One more of ours is under way."""
        own = self._known(server)
        own.sends += 1
        own.fresh[job] = own.sends
        self._correct(server, own)

    def completed(self, server: int, job: int) -> None:
        """One of ours has left, whether we still waited for it or not."""
        own = self._known(server)
        own.took(job)
        own.lost(job)
        self._correct(server, own)

    def given_up(self, server: int, job: int, left: bool) -> None:
        """One of ours is lost; ``left``: on its way or there, so that those before it are no longer on theirs."""
        own = self._known(server)
        if left:
            own.took(job)
        own.lost(job)
        self._correct(server, own)

    def reported(self, server: int, values: Sequence[float], time: float, seen: float) -> None:
        """A report, as it came; ``values`` with the slopes at the end, where there are any."""
        own, width = self._known(server), len(self._kinds)
        own.values = values[:width]
        if len(values) > width:
            own.fall, own.rise = values[width:]
        own.done = 0
        own.took(seen)
        fresh = own.fresh
        while fresh and fresh[first := next(iter(fresh))] <= own.reached:
            del fresh[first]
        self._view.reported(server, own.values, time)
        if fresh:
            self._correct(server, own)

    def born(self, server: int) -> None:
        """The server was started anew: it knows none of our jobs."""
        self._own.pop(server, None)

    def _known(self, server: int) -> _Own:
        own = self._own.get(server)
        if own is None:
            own = self._own[server] = _Own([0.0] * len(self._kinds))
        return own

    def _correct(self, server: int, own: _Own) -> None:
        jobs, fall, rise = len(own.fresh) - own.done, own.fall, own.rise
        values = own.values
        self._view.correct(
            server, [moved(sloped, values[index], fall, rise, jobs) for index, sloped in self._kinds]
        )
