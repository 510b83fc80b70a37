"""``gmsr``: send the job to the server whose service rate rises most from it.

Zhang, Balseiro, Kleinberg, Mirrokni, Sivan, Wydrowski, "Distributed Load Balancing with Workload-Dependent
Service Rates", arXiv 2411.17103: j ∈ argmax μⱼ′(Nⱼ) over the dispatcher's own servers.

Three variants differ in what a report carries: ``gmsr`` the forward difference of the job to come,
``gmsr-derivative`` the right derivative, ``gmsr-fewest`` the forward difference and the number of jobs,
which breaks ties. The paper leaves ties open; they are exact where curves are piecewise linear, and at
marginal 0 they decide which servers overflow. Option ``ties``:

- ``inflight`` (default): the server with the fewest of this dispatcher's own jobs in flight, then ``order``.
- ``order``: the server whose id comes first. All dispatchers that know a server agree on its place without
  talking, so that under lasting overload the fewest servers overflow (MODEL section 7).
- ``random``: each tied server as likely as the others.

The default is measured (docs/smoothing-and-ties.md). Where servers smooth, all four agree within 1 % under
Poisson load. In a burst beyond all caps every marginal is 0 and ties are all there is: ``order`` then piles the
burst on one server, which drains long after its neighbours are idle: on the Azure trace at load 0.8 it is a
third slower than the others, and slower than ``jsq``.

With up to 64 servers a choice looks at each of them. With more it looks at the winner of a
tournament, which each change of a report or of a count of jobs brings up to date (``tournament.py``); the rule is the
same. Choices and changes together cost the same both ways at 150 servers with two reports a choice, at 300 with eight;
at half as many where all marginals tie.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import ClassVar

from ..view import View
from .base import pick
from .tournament import Key, Tournament

TIES = ("order", "random", "inflight")


class Gmsr:
    """Greatest marginal service rate."""

    reads: ClassVar[tuple[str, ...]] = ("marginal",)
    feed: ClassVar[str] = "on-change:by=0.3,correct=yes"
    """Nearly as good as ``every-change``, for a tenth of the reports and less (docs/feeds.md)."""
    few: ClassVar[int] = 64
    """Of so many servers each is looked at."""

    def __init__(self, view: View, random: Random, ties: str = "inflight") -> None:
        if ties not in TIES:
            raise ValueError(f"ties={ties} is unknown; choose one of {', '.join(TIES)}")
        self._view = view
        self._random = random
        self._drawn = ties == "random"
        self._marginals = view.column(self.reads[0])
        self._fewest: Sequence[float] | None = view.inflight if ties == "inflight" else None
        self._many = len(view.names) > self.few
        self.touched: Callable[[int], None] | None = self._play if self._many else None
        self.changed()

    def changed(self) -> None:
        """Places are others' now: all is to be looked at anew, once somebody chooses."""
        servers = self._view.servers
        self._order = sorted(range(len(servers)), key=servers.__getitem__)
        self._tournament: Tournament | None = None

    def choose(self) -> int:
        """The largest marginal rate."""
        if self._many:
            return self._winner()
        scores = self._scores()
        best = max(scores)
        if scores.count(best) == 1:
            return scores.index(best)
        tied = [place for place in self._order if scores[place] == best]
        if self._drawn:
            return pick(tied, self._random)
        return tied[0] if self._fewest is None else min(tied, key=self._fewest.__getitem__)

    def _scores(self) -> list[float]:
        """What the choice is the largest of, by place."""
        return self._marginals

    def _score(self, place: int) -> float:
        return self._marginals[place]

    def _winner(self) -> int:
        if self._tournament is None:
            self._rank = sorted(range(len(self._order)), key=self._order.__getitem__)
            self._tournament = Tournament([self._key(place) for place in range(len(self._order))])
        if self._drawn:
            return self._tournament.draw(self._random)
        return self._order[int(self._tournament.best[-1])]

    def _play(self, place: int) -> None:
        if self._tournament is not None:
            self._tournament.put(place, self._key(place))

    def _key(self, place: int) -> Key:
        """The less, the better; those of no two places are the same, unless it is drawn among them."""
        score = -self._score(place)
        if self._drawn:
            return (score,)
        if self._fewest is None:
            return (score, self._rank[place])
        return (score, self._fewest[place], self._rank[place])


class GmsrDerivative(Gmsr):
    """GMSR on the right derivative of the curve instead of the forward difference."""

    reads: ClassVar[tuple[str, ...]] = ("derivative",)


class GmsrFewest(Gmsr):
    """GMSR whose ties go to the server that holds the fewest jobs, which it has to be told."""

    reads: ClassVar[tuple[str, ...]] = ("marginal", "jobs")

    def __init__(self, view: View, random: Random) -> None:
        super().__init__(view, random)
        self._fewest = view.column("jobs")
