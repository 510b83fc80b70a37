"""``gmsr-delay``: GMSR where jobs travel. The server at which one more job costs the least, its travel included.

The rule of ``gmsr`` minimises the jobs at the servers. Where edge (i, j) takes a job a time, those under way count
too: by Little's law they are xᵢⱼ·cᵢⱼ, with xᵢⱼ the volume per second that i sends to j, and cᵢⱼ the way there and back
over the mean size (``view.travel``). So what is to be minimised is

    Σⱼ Nⱼ + Σᵢⱼ xᵢⱼ·cᵢⱼ   subject to   Σᵢ xᵢⱼ ≤ μⱼ(Nⱼ),   Σⱼ xᵢⱼ = λᵢ,   x, N ≥ 0,

which is convex, since each μⱼ is concave. With prices pⱼ of the servers' rates and qᵢ of the dispatchers' demands the
conditions of Karush, Kuhn and Tucker are sufficient for the optimum:

- in Nⱼ: 1 = pⱼ·μⱼ′(Nⱼ) where Nⱼ > 0, that is pⱼ = 1/μⱼ′(Nⱼ): so many more jobs must wait at j for one more volume a
  second; at an empty server pⱼ ≤ 1/μⱼ′(0);
- in xᵢⱼ: cᵢⱼ + pⱼ ≥ qᵢ, with equality where xᵢⱼ > 0: i uses those of its servers only where cᵢⱼ + 1/μⱼ′(Nⱼ) is least.

That is the rule, j ∈ argmin 1/μⱼ′(Nⱼ) + cᵢⱼ. Without delays it is GMSR's. The gradient is that of Balseiro, Mirrokni,
Wydrowski, "Load Balancing with Network Latencies via Distributed Gradient Descent", arXiv 2504.10693, who move a split
along it (``dgd-lb``) where this rule jumps to the least, as far as its views are fresh.

Ties are broken as ``gmsr`` breaks them. A marginal of 0 is an infinite price: such a server is chosen only if all are
like that. Then nothing that one more job does raises any rate, and where each is to wait is all there is. The nearest
would be the answer to a lasting overload, and would pile a burst up on one server (``gmsr`` on ties=order); with
ties=inflight the fewest own jobs in flight decide, and since those that travel are in flight too, far servers get less.
"""

from random import Random
from typing import ClassVar

from ..machine import NEVER
from ..view import View
from .gmsr import Gmsr


class GmsrDelay(Gmsr):
    """Least marginal price, its travel included."""

    reads: ClassVar[tuple[str, ...]] = ("marginal",)

    def __init__(self, view: View, random: Random, ties: str = "inflight") -> None:
        self._travel = view.travel
        super().__init__(view, random, ties)
        self.touched = self._play if self._many else self._rescore

    def changed(self) -> None:
        """Places are others' now."""
        super().changed()
        self._kept: list[float] = []  # scores by place, once somebody chooses

    def _scores(self) -> list[float]:
        self._kept = self._kept or [self._score(place) for place in range(len(self._marginals))]
        return self._kept

    def _rescore(self, place: int) -> None:
        if self._kept:
            self._kept[place] = self._score(place)

    def _score(self, place: int) -> float:
        marginal = self._marginals[place]
        return -(1.0 / marginal + self._travel[place]) if marginal > 0.0 else -NEVER
