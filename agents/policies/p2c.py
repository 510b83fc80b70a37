"""``p2c``: of two servers drawn at random, the one that reports fewer jobs.

Mitzenmacher, "The power of two choices in randomized load balancing", IEEE TPDS 12 (2001). The two are
drawn without replacement; a tie goes to the first drawn, which is either with equal chance.

Option ``beta``: only that share of jobs chooses, the others go to a random server. With outdated information this
(1 + β) process keeps servers more even than either of the two that it mixes (Los, Sauerwald, "Balanced allocations in
batches: the tower of two choices", SPAA 2023, arXiv 2302.04399; it is Peres, Talwar and Wieder's); their servers are
all alike.
"""

from random import Random
from typing import ClassVar

from ..feeds.base import number
from ..view import View


class PowerOfTwoChoices:
    """Fewer jobs reported, of two."""

    reads: ClassVar[tuple[str, ...]] = ("jobs",)

    def __init__(self, view: View, random: Random, beta: str = "1") -> None:
        self._jobs = view.column("jobs")
        self._random = random.random
        self._beta = number("beta", beta, 0.0, 1.0, open_below=False)

    def choose(self) -> int:
        """The better of two."""
        jobs = self._jobs
        count = len(jobs)
        first = int(self._random() * count)
        if count == 1 or (self._beta < 1.0 and self._random() >= self._beta):
            return first
        second = int(self._random() * (count - 1))
        second += second >= first
        return first if jobs[first] <= jobs[second] else second
