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
"""

from random import Random
from typing import ClassVar

from ..view import View
from .base import pick

TIES = ("order", "random", "inflight")


class Gmsr:
    """Greatest marginal service rate."""

    reads: ClassVar[tuple[str, ...]] = ("marginal",)

    def __init__(self, view: View, random: Random, ties: str = "inflight") -> None:
        if ties not in TIES:
            raise ValueError(f"ties={ties} is unknown; choose one of {', '.join(TIES)}")
        self._marginals = view.column(self.reads[0])
        self._inflight = view.inflight
        self._order = sorted(range(len(view.servers)), key=view.servers.__getitem__)
        self._random = random
        self._break = {"order": self._first, "random": self._any, "inflight": self._idlest}[ties]

    def choose(self) -> int:
        """The largest marginal rate."""
        marginals = self._marginals
        best = max(marginals)
        if marginals.count(best) == 1:
            return marginals.index(best)
        return self._break([index for index in self._order if marginals[index] == best])

    @staticmethod
    def _first(tied: list[int]) -> int:
        return tied[0]

    def _any(self, tied: list[int]) -> int:
        return pick(tied, self._random)

    def _idlest(self, tied: list[int]) -> int:
        return min(tied, key=self._inflight.__getitem__)


class GmsrDerivative(Gmsr):
    """GMSR on the right derivative of the curve instead of the forward difference."""

    reads: ClassVar[tuple[str, ...]] = ("derivative",)


class GmsrFewest(Gmsr):
    """GMSR whose ties go to the server that holds the fewest jobs, which it has to be told."""

    reads: ClassVar[tuple[str, ...]] = ("marginal", "jobs")

    def __init__(self, view: View, random: Random) -> None:
        super().__init__(view, random)
        jobs = view.column("jobs")
        self._break = lambda tied: min(tied, key=jobs.__getitem__)
