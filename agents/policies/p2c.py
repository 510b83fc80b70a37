"""``p2c``: of two servers drawn at random, the one that reports fewer jobs.

Mitzenmacher, "The power of two choices in randomized load balancing", IEEE TPDS 12 (2001). The two are
drawn without replacement; a tie goes to the first drawn, which is either with equal chance.
"""

from random import Random
from typing import ClassVar

from ..view import View


class PowerOfTwoChoices:
    """Fewer jobs reported, of two."""

    reads: ClassVar[tuple[str, ...]] = ("jobs",)

    def __init__(self, view: View, random: Random) -> None:
        self._jobs = view.column("jobs")
        self._random = random.random

    def choose(self) -> int:
        """The better of two."""
        jobs = self._jobs
        count = len(jobs)
        first = int(self._random() * count)
        if count == 1:
            return first
        second = int(self._random() * (count - 1))
        second += second >= first
        return first if jobs[first] <= jobs[second] else second
