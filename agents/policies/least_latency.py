"""``least-latency``: the server with the smallest N/μ(N), its mean time in system by Little's law.

The selfish choice (Wardrop), which is not the optimal one: Pigou's example, MODEL section 10. Ties at random.
"""

from random import Random
from typing import ClassVar

from ..view import View
from .base import least


class LeastLatency:
    """Smallest N/μ(N) reported."""

    reads: ClassVar[tuple[str, ...]] = ("latency",)

    def __init__(self, view: View, random: Random) -> None:
        self._latency = view.column("latency")
        self._random = random

    def choose(self) -> int:
        """The quickest for the jobs it holds."""
        return least(self._latency, self._random)
