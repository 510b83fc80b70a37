"""``least-latency``: the server with the smallest N/μ(N), its mean time in system by Little's law.

The selfish choice (Wardrop), which is not the optimal one: Pigou's example, MODEL section 10. Ties at random.
"""

from random import Random
from typing import ClassVar

from ..view import View
from .ranked import Ranked


class LeastLatency(Ranked):
    """Smallest N/μ(N) reported."""

    reads: ClassVar[tuple[str, ...]] = ("latency",)

    def __init__(self, view: View, random: Random) -> None:
        super().__init__(view, random, view.column("latency"))
