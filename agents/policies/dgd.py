"""``dgd-lb``: a random split that each dispatcher moves down the gradient of what its jobs cost, travel included.

Balseiro, Mirrokni, Wydrowski, "Load Balancing with Network Latencies via Distributed Gradient Descent", arXiv
2504.10693. Dispatcher i keeps a split xᵢ over its servers and sends each job to one drawn by it. Its approximate
gradient is gᵢⱼ = 1/μⱼ′(Nⱼ) + cᵢⱼ, with Nⱼ as it is known, that is as it was a while ago, and cᵢⱼ the travel there and
back (``view.travel``; ``gmsr_delay.py`` derives why that is the gradient). The split follows dxᵢ/dt = −η·gᵢ, projected
so that it stays a split. Its equilibria are the optima of the delayed system; that they are reached is proved locally,
for steps η that are small enough for the delays and the curves. A dispatcher knows nothing of the curves.

So the default step is ours and scales itself: η = ``step``/ḡ², with ḡ = Σⱼ xᵢⱼ·gᵢⱼ the price that is paid now, and
``step`` (0.1) a number without a unit. Around an equilibrium with one server the loop x → N → g → x has the gain
ηκλ/(s(s + μ′))·e^(−cs), κ = d(1/μ′)/dN, and is stable if ηκλ(1/μ′ + c) ≤ (π/2)·μ′: its phase stays above −π at the
frequency at which its gain is 1. Since ḡ = 1/μ′ + c that is step·κλ ≤ π/2, and κλ = 2ρ/(1 − ρ) on a hyperbolic curve
at utilisation ρ: the default is safe up to ρ = 0.88, whatever the delay and the unit of time. ``eta`` (per second²)
sets the paper's η itself.

In discrete time the split moves when 0.05·ḡ have passed since the last move, by at most ḡ. A price above ten times
the least is cut to that, or one server that is full for a moment would throw the whole split about; prices that are
in use at an equilibrium are all the least, so it stays where it is. A server that leaves gives its share to the
others in proportion; one that comes back has what it had, a new one begins with nothing.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from random import Random
from typing import ClassVar

from ..feeds.base import number
from ..machine import NEVER
from ..view import View

EVERY, MOST = 0.05, 1.0
"""Between two moves, in units of the price that is paid."""
DEAREST = 10.0
"""A price counts as no more than so many times the least."""


class DgdLb:
    """A split along the gradient of the delayed system's cost."""

    reads: ClassVar[tuple[str, ...]] = ("marginal",)

    def __init__(self, view: View, random: Random, step: str = "0.1", eta: str = "") -> None:
        self._view = view
        self._random = random.random
        self._marginals = view.column("marginal")
        self._step = number("step", step, 0.0, 10.0)
        self._eta = number("eta", eta, 0.0, 1e9) if eta else 0.0
        self._numbers: list[int] = []
        self._shares: list[float] = []  # by place
        self._kept: dict[int, float] = {}  # by number, of those who were candidates once
        self._moved = self._pause = 0.0
        self.changed()

    def changed(self) -> None:
        """Each server has the share that it had, of all that there is now."""
        self._kept.update(zip(self._numbers, self._shares, strict=True))
        self._numbers = list(self._view.numbers)
        shares = [self._kept.get(server, 0.0) for server in self._numbers]
        whole = sum(shares)
        self._set([share / whole for share in shares] if whole else [1.0 / len(shares)] * len(shares))

    def choose(self) -> int:
        """One at random, by the split."""
        elapsed = self._view.now - self._moved
        if elapsed >= self._pause:
            self._moved = self._view.now
            self._move(elapsed)
        return bisect_right(self._cumulated, self._random() * self._cumulated[-1])

    def _move(self, elapsed: float) -> None:
        """Down the gradient for so long."""
        prices = [
            1.0 / marginal + travel if marginal > 0.0 else NEVER
            for marginal, travel in zip(self._marginals, self._view.travel, strict=True)
        ]
        least = min(prices)
        if not 0.0 < least < NEVER / DEAREST:  # nobody says anything of use
            return
        dearer = [min(price, DEAREST * least) - least for price in prices]  # only differences move a split
        paid = least + sum(share * more for share, more in zip(self._shares, dearer, strict=True))
        self._pause = EVERY * paid
        pace = (self._eta or self._step / paid / paid) * min(elapsed, MOST * paid)
        self._set(projected([share - pace * more for share, more in zip(self._shares, dearer, strict=True)]))

    def _set(self, shares: list[float]) -> None:
        self._shares = shares
        self._cumulated = list(accumulate(shares))


def projected(point: Sequence[float]) -> list[float]:
    """The nearest split: what sums to 1 without a negative share (Held, Wolfe, Crowder, Math. Programming 6, 1974)."""
    total = level = 0.0
    for rank, value in enumerate(sorted(point, reverse=True), 1):
        total += value
        if value * rank <= total - 1.0:
            break
        level = (total - 1.0) / rank
    return [max(value - level, 0.0) for value in point]
